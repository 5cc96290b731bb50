//! The canonical logistics model: what a ship confirmation, an order release or a milestone says once a
//! mapper has read it. The gateway compiles this crate natively, mappers compile it to WebAssembly.
//!
//! Values follow four rules: quantities and money are decimal strings and never floats; a time without a
//! zone stays local and says so; identifiers carry their scheme, and a wrong check digit is kept and
//! flagged; what the model has no place for goes to `extensions.<vendor>`.

mod answers;
mod decimal;
mod events;
mod identifier;
mod invoice;
mod model;
#[cfg(feature = "schemas")]
mod schemas;
mod stock;
mod tender;
mod tender_answer;
mod time;
pub mod units;

pub use answers::{Agreement, OrderAccepted, OrderRejected};
pub use decimal::{Decimal, InvalidDecimal};
pub use events::{
    Canonical, Milestone, OrderCancelled, OrderReleased, Proof, ShipmentDelivered, ShipmentDispatched,
    ShipmentMilestone,
};
pub use identifier::{Check, Identifier, check_awb, check_container, check_gs1, check_imo};
pub use invoice::{
    Amount, BillingCredited, BillingInvoiced, Charge, FreightInvoiced, Invoice, InvoiceLine, Tax,
};
pub use model::{
    Address, Carrier, Code, Contact, Content, Correction, CorrectionKind, Dated, Equipment, Extensions, Item,
    Line, LineStatus, Lot, Measure, Money, Note, Pack, Party, Place, Quantity, Reference, Temperature,
    Totals,
};
#[cfg(feature = "schemas")]
pub use schemas::{DEFS, schemas};
pub use stock::{InventoryAdjusted, InventoryCounted, ReceivingReceived, Stock};
pub use tender::{Hazard, ShipmentCancelled, ShipmentTendered, Stop};
pub use tender_answer::{ShipmentTenderAccepted, ShipmentTenderDeclined};
pub use time::{Basis, Classifier, Resolution, Time};

/// The version of the model that this crate holds: the folder of its schemas.
pub const MODEL: &str = "v1";

/// The version that every schema of this model carries in an event's envelope.
pub const VERSION: &str = "1.0";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(value: &bool) -> bool {
    !*value
}
