//! What a seller answers to an order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Canonical, Carrier, Code, Correction, Dated, Extensions, Line, Note, Party, Reference, Time, Totals,
};

/// How far an answer follows its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// As it was ordered.
    #[default]
    AsOrdered,
    /// With other quantities, dates, items or prices: the lines say which.
    WithChanges,
}

/// An order is accepted, as it is or with changes (X12 855 and 865, EDIFACT ORDRSP).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderAccepted {
    /// The order's number with its owner.
    pub order: String,
    /// How far the answer follows it, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Every other number of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Time>,
    /// Promised and other dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who is to move it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// The terms of delivery, with their year in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoterms: Option<Code>,
    /// What is promised of each line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
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

/// An order is not accepted (X12 855, EDIFACT ORDRSP).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The order's number with its owner.
    pub order: String,
    /// Every other number of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// The lines that it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
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

impl Canonical for OrderAccepted {
    const KIND: &'static str = "order.accepted";
}

impl Canonical for OrderRejected {
    const KIND: &'static str = "order.rejected";
}
