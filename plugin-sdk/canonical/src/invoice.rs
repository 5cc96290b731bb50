//! What is to be paid: the carrier's invoice for freight, the seller's invoice and credit for goods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Canonical, Carrier, Code, Correction, Dated, Decimal, Equipment, Extensions, Line, Measure, Money, Note,
    Party, Place, Quantity, Reference, Time, Totals,
};

/// A tax on a charge, a line or the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tax {
    /// `vat`, `gst`, `customs-duty`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The kind as the source wrote it: `VAT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<String>,
    /// The category: standard, zero-rated, exempt, as the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// In percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
    /// What it is raised on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Money>,
    /// How much it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// A charge, or where it is an allowance, a deduction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// `freight`, `fuel-surcharge`, `handling`, `insurance`, `customs`, `waiting`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The charge's code as the source wrote it, with its list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// It is taken off instead of added.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub allowance: bool,
    /// How much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What it is worked out from: pallets, kilograms, kilometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Quantity>,
    /// The price of one unit of the basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Money>,
    /// The percentage it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
    /// `prepaid`, `collect`, `third-party`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The taxes on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
    /// Numbers that are this charge's own: the parcel, the consignment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// An amount that the source states of the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// `payable`, `lines`, `taxable`, `tax`, `charges`, `allowances`, `prepaid`, …
    pub kind: String,
    /// The kind as the source wrote it: `86`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<String>,
    /// How much.
    pub money: Money,
}

/// A line of an invoice: a service or an item, and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// What it is for.
    pub line: Line,
    /// What was invoiced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoiced: Option<Quantity>,
    /// What the line costs, before taxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Other amounts that the source states of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<Amount>,
    /// Charges and deductions of the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// The taxes on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
}

/// An invoice or a credit note; the event says which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// Its number with who sends it.
    pub invoice: String,
    /// `invoice`, `credit`, `correction`, `self-billed`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The kind as the source wrote it: `380`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<String>,
    /// Shipments, orders, deliveries, contracts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it was made out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoiced: Option<Time>,
    /// When it is due, and other dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// The currency of what names none, by ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// From where and to where it moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// What it moved in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
    /// What it weighed and measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    /// The terms of payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Code>,
    /// The terms of delivery, with their year in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoterms: Option<Code>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<InvoiceLine>,
    /// Charges and deductions of the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// The taxes, by their rates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
    /// The sums, as the source states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<Amount>,
    /// Totals as the source states them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// What it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What the model has no place for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: Extensions,
}

/// A carrier or forwarder asks to be paid for freight (X12 210, 110 and 310, EDIFACT INVOIC 780, UBL FreightInvoice).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreightInvoiced(pub Invoice);

/// A seller asks to be paid for goods (X12 810, EDIFACT INVOIC 380, UBL Invoice).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BillingInvoiced(pub Invoice);

/// A seller takes back what was invoiced, or some of it (X12 812, EDIFACT INVOIC 381, UBL CreditNote).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BillingCredited(pub Invoice);

impl Canonical for FreightInvoiced {
    const KIND: &'static str = "freight.invoiced";
}

impl Canonical for BillingInvoiced {
    const KIND: &'static str = "billing.invoiced";
}

impl Canonical for BillingCredited {
    const KIND: &'static str = "billing.credited";
}
