//! Events become an interchange: orders a 940 each, dispatched shipments a 945 each.

mod advice;
mod details;
mod order;

use crossdock_mapper::canonical::{OrderCancelled, OrderReleased, ShipmentDispatched};
use crossdock_mapper::{Context, Diagnostic, Output, Recorded, Refusal};
use crossdock_x12::{Config, Group};

/// Writes one interchange with one group for each kind of set.
pub fn document(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
    let config: Config = context.config()?;
    let mut orders = Vec::new();
    let mut advices = Vec::new();
    for event in events {
        if event.is::<OrderReleased>() {
            orders.push(order::released(&event.data()?)?);
        } else if event.is::<OrderCancelled>() {
            orders.push(order::cancelled(&event.event)?);
        } else if event.is::<ShipmentDispatched>() {
            advices.push(advice::sheet(&event.data()?)?);
        } else {
            let message = format!("X12 940 and 945 can't say {}", event.event.kind);
            return Err(Diagnostic::error("unsupported-event", message).into());
        }
    }
    let orders = Group { functional: "OW", set: "940", sheets: orders };
    let advices = Group { functional: "SW", set: "945", sheets: advices };
    crossdock_x12::write(context, &config, &[orders, advices])
}
