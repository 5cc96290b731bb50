//! What an event tells, read from its data.
//!
//! Every kind of event has the same parts under the same names. They are taken out of the JSON by hand: what serde makes
//! of seven kinds of events and twenty parts is more code than all the rest of this mapper.

use crossdock_mapper::canonical::{
    Address, Carrier, Classifier, Code, Contact, Content, Correction, CorrectionKind, Dated, Decimal,
    Equipment, Hazard, Identifier, Item, Line, LineStatus, Lot, Measure, Money, Note, Pack, Party, Place,
    Quantity, Reference, Temperature, Time, Totals,
};
use crossdock_mapper::serde_json::Value;
use crossdock_mapper::{Diagnostic, Event, Refusal};

/// An event of any kind that is written.
pub struct Told {
    /// Its order or shipment number.
    pub number: String,
    /// Whether a carrier is told (`instruction`) or booked (`booking`).
    pub kind: Option<String>,
    /// When: released, dispatched, tendered, cancelled, happened, delivered.
    pub time: Option<Time>,
    pub milestone: Option<String>,
    pub status: Option<Code>,
    pub reason: Option<Code>,
    pub references: Vec<Reference>,
    pub dates: Vec<Dated>,
    pub parties: Vec<Party>,
    pub place: Option<Place>,
    pub places: Vec<Place>,
    pub carrier: Option<Carrier>,
    pub legs: Vec<Carrier>,
    pub equipment: Vec<Equipment>,
    pub lines: Vec<Line>,
    pub packs: Vec<Pack>,
    pub incoterms: Option<Code>,
    pub temperature: Option<Temperature>,
    pub totals: Option<Totals>,
    pub correction: Option<Correction>,
    pub notes: Vec<Note>,
}

impl Told {
    /// Reads an event's data.
    pub fn read(event: &Event) -> Result<Self, Refusal> {
        let data = event.value();
        let data = &data;
        let number = text(data, "order").or_else(|| text(data, "shipment"));
        let number = number.ok_or_else(|| {
            Refusal::from(Diagnostic::error("wrong-event", "the event names neither order nor shipment"))
        })?;
        let times = ["released", "dispatched", "tendered", "cancelled", "happened", "delivered"];
        Ok(Self {
            number,
            kind: text(data, "kind"),
            time: times.into_iter().find_map(|name| one(data, name, time)),
            milestone: text(data, "milestone"),
            status: one(data, "status", code),
            reason: one(data, "reason", code),
            references: many(data, "references", reference),
            dates: many(data, "dates", dated),
            parties: many(data, "parties", party),
            place: one(data, "place", place),
            places: many(data, "places", place),
            carrier: one(data, "carrier", carrier),
            legs: many(data, "legs", carrier),
            equipment: many(data, "equipment", equipment),
            lines: many(data, "lines", line),
            packs: many(data, "packs", pack),
            incoterms: one(data, "incoterms", code),
            temperature: one(data, "temperature", temperature),
            totals: one(data, "totals", totals),
            correction: one(data, "correction", correction),
            notes: many(data, "notes", note),
        })
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn one<T>(value: &Value, name: &str, read: fn(&Value) -> Option<T>) -> Option<T> {
    value.get(name).and_then(read)
}

fn many<T>(value: &Value, name: &str, read: fn(&Value) -> Option<T>) -> Vec<T> {
    let list = value.get(name).and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(read).collect()).unwrap_or_default()
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn decimal(value: &Value, name: &str) -> Option<Decimal> {
    Decimal::parse(value.get(name)?.as_str()?).ok()
}

fn quantity(value: &Value) -> Option<Quantity> {
    let number = decimal(value, "value")?;
    Some(Quantity { value: number, unit: text(value, "unit"), source_unit: text(value, "source_unit") })
}

fn money(value: &Value) -> Option<Money> {
    Some(Money { amount: decimal(value, "amount")?, currency: text(value, "currency") })
}

fn measure(value: &Value) -> Option<Measure> {
    let Quantity { value: number, unit, source_unit } = quantity(value)?;
    Some(Measure { kind: text(value, "kind")?, value: number, unit, source_unit })
}

fn reference(value: &Value) -> Option<Reference> {
    let (kind, number) = (text(value, "kind")?, text(value, "value")?);
    Some(Reference { kind, value: number, source_kind: text(value, "source_kind") })
}

fn identifier(value: &Value) -> Option<Identifier> {
    let (scheme, number) = (text(value, "scheme")?, text(value, "value")?);
    Some(Identifier { scheme: scheme.into(), value: number, check: None })
}

fn code(value: &Value) -> Option<Code> {
    Some(Code { list: text(value, "list"), code: text(value, "code")?, text: text(value, "text") })
}

fn note(value: &Value) -> Option<Note> {
    Some(Note { kind: text(value, "kind"), text: text(value, "text")? })
}

fn dated(value: &Value) -> Option<Dated> {
    Some(Dated { kind: text(value, "kind")?, time: one(value, "time", time)? })
}

fn time(value: &Value) -> Option<Time> {
    let classifier = match value.get("classifier").and_then(Value::as_str) {
        Some("actual") => Some(Classifier::Actual),
        Some("planned") => Some(Classifier::Planned),
        Some("estimated") => Some(Classifier::Estimated),
        _ => None,
    };
    let (at, local) = (text(value, "at"), text(value, "local"));
    (at.is_some() || local.is_some()).then(|| Time { at, local, classifier, ..Time::default() })
}

fn correction(value: &Value) -> Option<Correction> {
    let kind = match value.get("kind").and_then(Value::as_str)? {
        "replacement" => CorrectionKind::Replacement,
        "reversal" => CorrectionKind::Reversal,
        _ => CorrectionKind::Change,
    };
    Some(Correction { kind, ..Correction::default() })
}

fn party(value: &Value) -> Option<Party> {
    Some(Party {
        role: text(value, "role")?,
        source_role: text(value, "source_role"),
        name: text(value, "name"),
        identifiers: many(value, "identifiers", identifier),
        address: one(value, "address", address),
        contacts: many(value, "contacts", contact),
    })
}

fn address(value: &Value) -> Option<Address> {
    Some(Address {
        lines: many(value, "lines", word),
        city: text(value, "city"),
        region: text(value, "region"),
        postal_code: text(value, "postal_code"),
        country: text(value, "country"),
    })
}

fn contact(value: &Value) -> Option<Contact> {
    Some(Contact {
        name: text(value, "name"),
        role: text(value, "role"),
        phone: text(value, "phone"),
        email: text(value, "email"),
    })
}

fn place(value: &Value) -> Option<Place> {
    Some(Place {
        role: text(value, "role"),
        name: text(value, "name"),
        identifiers: many(value, "identifiers", identifier),
        address: one(value, "address", address),
        ..Place::default()
    })
}

fn carrier(value: &Value) -> Option<Carrier> {
    Some(Carrier {
        name: text(value, "name"),
        identifiers: many(value, "identifiers", identifier),
        mode: text(value, "mode"),
        source_mode: text(value, "source_mode"),
        service: text(value, "service"),
        payment: text(value, "payment"),
        references: many(value, "references", reference),
    })
}

fn equipment(value: &Value) -> Option<Equipment> {
    Some(Equipment {
        kind: text(value, "kind"),
        identifiers: many(value, "identifiers", identifier),
        type_code: text(value, "type_code"),
        seals: many(value, "seals", word),
        temperature: one(value, "temperature", temperature),
    })
}

fn temperature(value: &Value) -> Option<Temperature> {
    Some(Temperature {
        set_point: one(value, "set_point", quantity),
        minimum: one(value, "minimum", quantity),
        maximum: one(value, "maximum", quantity),
    })
}

fn totals(value: &Value) -> Option<Totals> {
    Some(Totals {
        units: one(value, "units", quantity),
        packs: one(value, "packs", quantity),
        lines: one(value, "lines", quantity),
        weight: one(value, "weight", quantity),
        volume: one(value, "volume", quantity),
    })
}

fn item(value: &Value) -> Option<Item> {
    Some(Item {
        identifiers: many(value, "identifiers", identifier),
        description: text(value, "description"),
    })
}

fn lot(value: &Value) -> Option<Lot> {
    Some(Lot {
        number: text(value, "number")?,
        expiry: text(value, "expiry"),
        produced: text(value, "produced"),
        quantity: one(value, "quantity", quantity),
    })
}

fn hazard(value: &Value) -> Option<Hazard> {
    Some(Hazard {
        regulation: text(value, "regulation"),
        class: text(value, "class"),
        un_number: text(value, "un_number"),
        packing_group: text(value, "packing_group"),
        name: text(value, "name"),
        flash_point: one(value, "flash_point", quantity),
    })
}

fn line(value: &Value) -> Option<Line> {
    Some(Line {
        number: text(value, "number")?,
        item: one(value, "item", item).unwrap_or_default(),
        substitutes: one(value, "substitutes", item),
        ordered: one(value, "ordered", quantity),
        shipped: one(value, "shipped", quantity),
        difference: one(value, "difference", quantity),
        backordered: one(value, "backordered", quantity),
        status: one(value, "status", status),
        reason: one(value, "reason", code),
        lots: many(value, "lots", lot),
        serials: many(value, "serials", word),
        packs: many(value, "packs", word),
        measures: many(value, "measures", measure),
        hazards: many(value, "hazards", hazard),
        price: one(value, "price", money),
        dates: many(value, "dates", dated),
        references: many(value, "references", reference),
        notes: many(value, "notes", note),
        ..Line::default()
    })
}

fn status(value: &Value) -> Option<LineStatus> {
    Some(match value.as_str()? {
        "complete" => LineStatus::Complete,
        "short" => LineStatus::Short,
        "backordered" => LineStatus::Backordered,
        "substituted" => LineStatus::Substituted,
        "over" => LineStatus::Over,
        _ => LineStatus::Cancelled,
    })
}

fn content(value: &Value) -> Option<Content> {
    Some(Content {
        line: text(value, "line")?,
        quantity: one(value, "quantity", quantity),
        lot: text(value, "lot"),
        serials: many(value, "serials", word),
    })
}

fn pack(value: &Value) -> Option<Pack> {
    Some(Pack {
        id: text(value, "id")?,
        identifiers: many(value, "identifiers", identifier),
        kind: text(value, "kind"),
        source_kind: text(value, "source_kind"),
        parent: text(value, "parent"),
        contents: many(value, "contents", content),
        measures: many(value, "measures", measure),
    })
}
