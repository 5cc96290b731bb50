//! Events become an interchange: tenders a 204 each, answers a 990, milestones and deliveries a 214, freight invoices a 210.

mod answer;
mod common;
mod goods;
mod invoice;
mod status;
mod tender;

use crossdock_mapper::canonical::{
    FreightInvoiced, ShipmentCancelled, ShipmentDelivered, ShipmentMilestone, ShipmentTenderAccepted,
    ShipmentTenderDeclined, ShipmentTendered,
};
use crossdock_mapper::{Context, Diagnostic, Output, Recorded, Refusal};
use crossdock_x12::{Config, Group};

/// Writes one interchange with one group for each kind of set.
pub fn document(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
    let config: Config = context.config()?;
    // Since 004040 a 990 and a 210 refer by L11 as the others do.
    let version = config.version.as_deref().unwrap_or_default();
    let refer = if version >= "004040" { "L11" } else { "N9" };
    let group = |functional, set| Group { functional, set, sheets: Vec::new() };
    let mut tenders = group("SM", "204");
    let mut answers = group("GF", "990");
    let mut statuses = group("QM", "214");
    let mut invoices = group("IM", "210");
    for event in events {
        if event.is::<ShipmentTendered>() {
            tenders.sheets.push(tender::tendered(&event.data()?)?);
        } else if event.is::<ShipmentCancelled>() {
            tenders.sheets.push(tender::cancelled(&event.data()?)?);
        } else if event.is::<ShipmentTenderAccepted>() {
            answers.sheets.push(answer::accepted(&event.data()?, refer)?);
        } else if event.is::<ShipmentTenderDeclined>() {
            answers.sheets.push(answer::declined(event.data()?, refer)?);
        } else if event.is::<ShipmentMilestone>() {
            statuses.sheets.push(status::milestone(&event.data()?)?);
        } else if event.is::<ShipmentDelivered>() {
            statuses.sheets.push(status::delivered(event.data()?)?);
        } else if event.is::<FreightInvoiced>() {
            let FreightInvoiced(invoice) = event.data()?;
            invoices.sheets.push(invoice::sheet(&invoice, refer)?);
        } else {
            let message = format!("X12 204, 990, 214 and 210 can't say {}", event.event.kind);
            return Err(Diagnostic::error("unsupported-event", message).into());
        }
    }
    crossdock_x12::write(context, &config, &[tenders, answers, statuses, invoices])
}
