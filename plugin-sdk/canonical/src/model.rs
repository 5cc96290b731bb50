//! The parts that events are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Decimal, Hazard, Identifier, Time};

/// What the model has no place for, by vendor: `{"acme": {...}}`. Nothing that a source says is dropped.
pub type Extensions = BTreeMap<String, Value>;

/// How a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineStatus {
    /// All of it went.
    Complete,
    /// Less went, and no more is to come.
    Short,
    /// The rest is still to come.
    Backordered,
    /// Another item went in its place.
    Substituted,
    /// More went than was ordered.
    Over,
    /// It is not to go.
    Cancelled,
}

/// What a correction does to the fact that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorrectionKind {
    /// It changes some of it.
    #[default]
    Change,
    /// It takes its place.
    Replacement,
    /// It undoes it.
    Reversal,
}

/// A quantity, with its unit as a code and as the source wrote it. A missing unit stays missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// How many or how much.
    pub value: Decimal,
    /// The unit by UN/ECE Recommendation 20: `EA`, `CS`, `KGM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The unit as the source wrote it: `CA`, `PCE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_unit: Option<String>,
}

/// An amount of money. A missing currency stays missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// How much.
    pub amount: Decimal,
    /// By ISO 4217: `EUR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// A measured property: a weight, a volume, a length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `gross-weight`, `net-weight`, `volume`, `length`, `width`, `height`, …
    pub kind: String,
    /// How much.
    pub value: Decimal,
    /// The unit by UN/ECE Recommendation 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The unit as the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_unit: Option<String>,
}

/// A number or name by which somebody finds the business object again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// `order`, `po`, `so`, `depositor-order`, `delivery`, `bol`, `pro`, `tracking`, `shipment`, `invoice`, …
    pub kind: String,
    /// As it was sent.
    pub value: String,
    /// The qualifier as the source wrote it: `N9*BM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<String>,
}

/// A code of somebody's list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// The list: `x12-1651`, `edifact-9011`, `sap`, or a partner's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// The code.
    pub code: String,
    /// What it says, where the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// Street and what goes with it, in the order of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// City or town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State or province, as the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// By ISO 3166-1, two letters where the source has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// Somebody to talk to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What for: `delivery`, `order`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Somebody with a part in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// `ship-from`, `ship-to`, `depositor`, `warehouse`, `carrier`, `bill-to`, `buyer`, `seller`, …
    pub role: String,
    /// The role as the source wrote it: `ST`, `WE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_role: Option<String>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who, in every scheme that the source gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
}

/// Somewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// `pick-up`, `delivery`, `terminal`, `port-of-loading`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `gln`, `un-locode`, a facility's own code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Degrees north.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<Decimal>,
    /// Degrees east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<Decimal>,
}

/// What a trade item is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// `gtin`, `buyer`, `seller`, `sku`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// In the source's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A lot or batch of a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lot {
    /// The lot's number.
    pub number: String,
    /// The day it expires, `2027-03-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    /// The day it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub produced: Option<String>,
    /// How much of the line is of this lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

/// A line of an order or a shipment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The line's number in its document or order.
    pub number: String,
    /// The trade item.
    pub item: Item,
    /// The item that was ordered, where another one went instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitutes: Option<Item>,
    /// What was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Quantity>,
    /// What the seller promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Quantity>,
    /// What went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Quantity>,
    /// Shipped less ordered, as the source or the mapper worked it out: negative when short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Quantity>,
    /// What is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backordered: Option<Quantity>,
    /// What arrived in good order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Quantity>,
    /// What the receiver refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Quantity>,
    /// What arrived damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Quantity>,
    /// How the line stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<LineStatus>,
    /// Why it stands so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// The lots it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<Lot>,
    /// The serial numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// The packs it is in, by their `id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<String>,
    /// Weights and volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    /// Dangerous goods in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hazards: Vec<Hazard>,
    /// The price of one unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Dates that are this line's own: when it is wanted, when it is promised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// References that are this line's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Remarks on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What the model has no place for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: Extensions,
}

/// What a pack holds of a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The line's number.
    pub line: String,
    /// How much of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Of which lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// Which pieces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
}

/// A logistic unit: a pallet, a case, a parcel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    /// Its name within this event; the SSCC where it has one.
    pub id: String,
    /// `sscc`, `tracking`, `grai`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// `pallet`, `case`, `parcel`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The kind as the source wrote it: `PLT94`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<String>,
    /// The `id` of the pack that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What is in it directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<Content>,
    /// Its weights and lengths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
}

/// Who moves it and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carrier {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `scac`, a house code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// `road`, `parcel`, `rail`, `sea`, `air`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The mode as the source wrote it: `M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_mode: Option<String>,
    /// The service level, as the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Who pays: `prepaid`, `collect`, `third-party`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// `bol`, `pro`, `tracking`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// A trailer, a container, a rail car.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Equipment {
    /// `trailer`, `container`, `railcar`, `truck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `container`, `trailer`, `plate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// By ISO 6346, where it has one: `45R1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
    /// The seals' numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<String>,
    /// What it is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
}

/// A temperature to keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// To be kept, unit `CEL` or `FAH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_point: Option<Quantity>,
    /// No colder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Quantity>,
    /// No warmer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Quantity>,
}

/// A remark for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What for: `delivery`, `warehouse`, `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In the source's words.
    pub text: String,
}

/// A date that the event speaks of, beside its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dated {
    /// `requested-ship`, `requested-delivery`, `ship-not-before`, `cancel-after`, `estimated-delivery`, …
    pub kind: String,
    /// When.
    pub time: Time,
}

/// What an event corrects, reverses or replaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Which of these.
    pub kind: CorrectionKind,
    /// The natural key of the fact that it corrects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrects: Vec<Reference>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
}

/// Totals as the source states them; they are not worked out from the lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Units ordered or shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Quantity>,
    /// Packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packs: Option<Quantity>,
    /// Lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Quantity>,
    /// Weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Quantity>,
    /// Volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Quantity>,
}

impl Quantity {
    /// So many of a unit, and the unit as the source wrote it.
    pub fn new(value: Decimal, unit: Option<&str>, source_unit: &str) -> Self {
        let source_unit = (!source_unit.is_empty()).then(|| source_unit.to_owned());
        Self { value, unit: unit.map(str::to_owned), source_unit }
    }

    /// So many of an X12 unit (element 355). A unit without a code by Recommendation 20 keeps its own name.
    pub fn x12(value: Decimal, code: &str) -> Self {
        Self::new(value, crate::units::from_x12(code), code)
    }
}

impl Measure {
    /// A measured property, with its unit as a code and as the source wrote it.
    pub fn new(kind: &str, value: Decimal, unit: Option<&str>, source_unit: &str) -> Self {
        let Quantity { value, unit, source_unit } = Quantity::new(value, unit, source_unit);
        Self { kind: kind.to_owned(), value, unit, source_unit }
    }
}

impl Reference {
    /// A reference of a kind.
    pub fn new(kind: &str, value: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), value: value.into(), source_kind: None }
    }

    /// The same, with the qualifier as the source wrote it.
    #[must_use]
    pub fn source(mut self, source_kind: &str) -> Self {
        self.source_kind = Some(source_kind.to_owned());
        self
    }

    /// The value of the first reference of a kind.
    pub fn find<'a>(references: &'a [Self], kind: &str) -> Option<&'a str> {
        references.iter().find(|reference| reference.kind == kind).map(|reference| reference.value.as_str())
    }
}

impl Party {
    /// Somebody with a part in it; fill in the rest.
    pub fn new(role: &str) -> Self {
        Self { role: role.to_owned(), ..Self::default() }
    }

    /// The first party with a role.
    pub fn find<'a>(parties: &'a [Self], role: &str) -> Option<&'a Self> {
        parties.iter().find(|party| party.role == role)
    }
}

impl Item {
    /// Its first identifier of a scheme.
    pub fn identifier(&self, scheme: &str) -> Option<&str> {
        let found = self.identifiers.iter().find(|identifier| identifier.scheme == scheme);
        found.map(|identifier| identifier.value.as_str())
    }
}

impl LineStatus {
    /// How a line stands by what was ordered and what went; none where the units differ or one is unknown.
    pub fn of(ordered: &Quantity, shipped: &Quantity) -> Option<Self> {
        let same_unit = match (&ordered.unit, &shipped.unit) {
            (Some(ordered), Some(shipped)) => ordered == shipped,
            (None, None) => ordered.source_unit == shipped.source_unit,
            _ => false,
        };
        same_unit.then(|| match shipped.value.compare(&ordered.value) {
            std::cmp::Ordering::Less => Self::Short,
            std::cmp::Ordering::Equal => Self::Complete,
            std::cmp::Ordering::Greater => Self::Over,
        })
    }
}
