//! The JSON Schemas (2020-12) of the events, as text.

/// The shared definitions, which every schema refers to as `defs.json`.
pub const DEFS: &str = include_str!("../v1/defs.json");

/// Every schema with its event's canonical type; the shared definitions are there as `defs`.
pub fn schemas() -> &'static [(&'static str, &'static str)] {
    &[
        ("defs", DEFS),
        ("order.released", include_str!("../v1/order.released.json")),
        ("order.cancelled", include_str!("../v1/order.cancelled.json")),
        ("shipment.dispatched", include_str!("../v1/shipment.dispatched.json")),
        ("shipment.milestone", include_str!("../v1/shipment.milestone.json")),
        ("shipment.delivered", include_str!("../v1/shipment.delivered.json")),
        ("order.accepted", include_str!("../v1/order.accepted.json")),
        ("order.rejected", include_str!("../v1/order.rejected.json")),
        ("shipment.tendered", include_str!("../v1/shipment.tendered.json")),
        ("shipment.tender-accepted", include_str!("../v1/shipment.tender-accepted.json")),
        ("shipment.tender-declined", include_str!("../v1/shipment.tender-declined.json")),
        ("shipment.cancelled", include_str!("../v1/shipment.cancelled.json")),
        ("receiving.received", include_str!("../v1/receiving.received.json")),
        ("inventory.counted", include_str!("../v1/inventory.counted.json")),
        ("inventory.adjusted", include_str!("../v1/inventory.adjusted.json")),
        ("freight.invoiced", include_str!("../v1/freight.invoiced.json")),
        ("billing.invoiced", include_str!("../v1/billing.invoiced.json")),
        ("billing.credited", include_str!("../v1/billing.credited.json")),
    ]
}
