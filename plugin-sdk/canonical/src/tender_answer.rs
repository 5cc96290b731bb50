//! A carrier's answer to a tender: it takes the shipment on, or it does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Canonical, Carrier, Charge, Code, Correction, Dated, Equipment, Extensions, Note, Party, Reference, Stop,
    Time,
};

/// A carrier takes on a shipment that was tendered to it (X12 990, EDIFACT IFTMBC).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShipmentTenderAccepted {
    /// The shipment's number with who tendered it.
    pub shipment: String,
    /// Every other number of it, the carrier's own among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When the carrier answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// The answer as the source wrote it: X12 B104 in list `x12-558`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Code>,
    /// The carrier accepts under conditions, which the remarks say.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub conditional: bool,
    /// Who answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// When the carrier means to pick up and deliver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// The same for each stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
    /// What the carrier sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
    /// What the carrier asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
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

/// A carrier does not take on a shipment that was tendered to it, or gives it back (X12 990, EDIFACT IFTMBC).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShipmentTenderDeclined {
    /// The shipment's number with who tendered it.
    pub shipment: String,
    /// Every other number of it, the carrier's own among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When the carrier answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// The answer as the source wrote it: X12 B104 in list `x12-558`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Code>,
    /// Why: X12 V908 in list `x12-641`, or an event of list `x12-304`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// The carrier proposes something else instead, which dates, charges and remarks say.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub counter: bool,
    /// Who answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// When the carrier means to pick up and deliver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// The same for each stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
    /// What the carrier could send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
    /// What the carrier asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
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

impl Canonical for ShipmentTenderAccepted {
    const KIND: &'static str = "shipment.tender-accepted";
}

impl Canonical for ShipmentTenderDeclined {
    const KIND: &'static str = "shipment.tender-declined";
}
