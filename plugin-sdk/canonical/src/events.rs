//! The events: what happened to an order or a shipment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Carrier, Code, Correction, Dated, Equipment, Extensions, Line, Note, Pack, Party, Place, Reference,
    Temperature, Time, Totals,
};

/// The data of one kind of event.
pub trait Canonical: Serialize + DeserializeOwned {
    /// The canonical type: `shipment.dispatched`.
    const KIND: &'static str;
    /// The version of its schema.
    const VERSION: &'static str = crate::VERSION;
}

/// A point on a shipment's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// The vehicle is at the place of pick-up (X12 X3).
    ArrivedAtPickUp,
    /// The goods are loaded (X12 CP, AM).
    Loaded,
    /// The vehicle left the place of pick-up (X12 AF; DCSA DEPA).
    DepartedPickUp,
    /// At a terminal, hub or port (X12 X4; DCSA ARRI).
    Arrived,
    /// It left a terminal, hub or port (X12 P1; DCSA DEPA).
    Departed,
    /// On its way, with nothing else to say (X12 X6; IFTSTA 31).
    #[default]
    InTransit,
    /// Customs has it, or has let it go; the status says which.
    Customs,
    /// On the vehicle that brings it.
    OutForDelivery,
    /// The vehicle is at the place of delivery (X12 X1).
    ArrivedAtDelivery,
    /// A delivery was tried (X12 AH).
    DeliveryAttempted,
    /// Delivery is expected, and the time says when (X12 AG). It is not delivered.
    DeliveryEstimated,
    /// The vehicle left the place of delivery (X12 CD).
    DepartedDelivery,
    /// An appointment is made (X12 AA, AB).
    Appointment,
    /// It will be late (X12 SD).
    Delayed,
    /// Something else went wrong: refused, damaged, lost (X12 A7, A9); the status and reason say what.
    Exception,
    /// A status that is none of these; the code says which.
    Other,
}

/// An order is released to a warehouse to be picked, packed and shipped (X12 940, IDoc DELVRY).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderReleased {
    /// The order's number with its owner (X12 W0502, IDoc VBELN).
    pub order: String,
    /// `original`, `change`, `replace`, `cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Every other number of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Time>,
    /// Requested and limiting dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who is to move it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// As the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// The terms of delivery, with their year in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoterms: Option<Code>,
    /// The temperature to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    /// What is ordered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Packs, where the order says how to pack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<Pack>,
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

/// An order, or some lines of it, is not to be shipped any more (X12 940 W0501 F, IDoc DELVRY deletion).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order's number with its owner.
    pub order: String,
    /// Every other number of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// The lines that are cancelled; all of them where there are none here.
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

/// A shipment left the warehouse (X12 945 and 856, EDIFACT DESADV, IDoc DELVRY goods issue).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShipmentDispatched {
    /// The shipment's number with its sender (X12 W0604, BSN02).
    pub shipment: String,
    /// Orders, purchase orders, bills of lading, deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched: Option<Time>,
    /// Other dates that it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dated>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who moves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// What it moves in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
    /// What went, and what did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// How it is packed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<Pack>,
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

/// A shipment reached a point of its way, or is expected to (X12 214, EDIFACT IFTSTA, DCSA Track & Trace).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShipmentMilestone {
    /// The shipment's number with its carrier.
    pub shipment: String,
    /// Which point.
    pub milestone: Milestone,
    /// The status as the source wrote it: X12 AT701 in list `x12-1650`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Code>,
    /// Why: X12 AT702 in list `x12-1651`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Orders, bills of lading, tracking numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When, and whether that is a fact, a plan or an estimate.
    pub happened: Time,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The stop's number within the shipment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who moves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// What it moves in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
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

/// A shipment was handed to its receiver (X12 214 D1, EDIFACT IFTSTA 21, a carrier's proof of delivery).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShipmentDelivered {
    /// The shipment's number with its carrier.
    pub shipment: String,
    /// Orders, bills of lading, tracking numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// When.
    pub delivered: Time,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Who has a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Who moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// What it moved in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<Equipment>,
    /// What arrived, and in which state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// The packs that arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<Pack>,
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

/// What proves a delivery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The name that was signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// `signature`, `photo`, `code`, `left-safe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where the proof is found: a document's number, an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}
impl Canonical for OrderReleased {
    const KIND: &'static str = "order.released";
}

impl Canonical for OrderCancelled {
    const KIND: &'static str = "order.cancelled";
}

impl Canonical for ShipmentDispatched {
    const KIND: &'static str = "shipment.dispatched";
}

impl Canonical for ShipmentMilestone {
    const KIND: &'static str = "shipment.milestone";
}

impl Canonical for ShipmentDelivered {
    const KIND: &'static str = "shipment.delivered";
}
