//! Reads a warehouse's ship confirmations and writes its order releases, both in JSON of the warehouse's own.
//! Replace the two formats by yours; the cases in `cases/` say what is expected.

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Output, Recorded, Refusal,
    canonical::{
        Decimal, Identifier, Item, Line, LineStatus, OrderReleased, Quantity, Reference, ShipmentDispatched,
    },
    serde_json,
};
use serde::{Deserialize, Serialize};

struct Warehouse;

crossdock_mapper::export!(Warehouse);

/// A ship confirmation as the warehouse sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Confirmation {
    shipment_id: String,
    order_id: String,
    shipped_at: String,
    items: Vec<Shipped>,
}

#[derive(Deserialize)]
struct Shipped {
    gtin: String,
    ordered: u32,
    shipped: u32,
}

/// An order release as the warehouse wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Release<'a> {
    order_id: &'a str,
    items: Vec<Wanted<'a>>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    gtin: &'a str,
    quantity: &'a str,
}

impl Mapper for Warehouse {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let confirmation: Confirmation = document.json()?;
        // An identifier that is not there makes no natural key, and a guess would be worse.
        if confirmation.shipment_id.is_empty() {
            let place = Location::json_pointer("/shipmentId");
            return Err(Diagnostic::error("missing", "the shipment has no number").at(place).into());
        }
        let place = Location::json_pointer("/shippedAt");
        let dispatched = context.time(&confirmation.shipped_at, place)?.actual();
        let shipment = ShipmentDispatched {
            shipment: confirmation.shipment_id.clone(),
            references: vec![Reference::new("order", &confirmation.order_id)],
            dispatched: Some(dispatched.clone()),
            lines: confirmation.items.iter().enumerate().map(line).collect(),
            ..ShipmentDispatched::default()
        };
        Ok(Event::new(&shipment)
            .natural_key("shipment", confirmation.shipment_id)
            .order_key("order", confirmation.order_id)
            .occurred_at(&dispatched)
            .into())
    }

    fn from_canonical(_: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        let [event] = events else {
            return Err(Diagnostic::error("one-event", "a release is made of one event").into());
        };
        let order: OrderReleased = event.data()?;
        let mut items = Vec::with_capacity(order.lines.len());
        for (index, line) in order.lines.iter().enumerate() {
            let missing = |what: &str| {
                let place = Location::json_pointer(format!("/lines/{index}"));
                Diagnostic::error("missing", format!("the line has no {what}")).at(place)
            };
            let gtin = line.item.identifier("gtin").ok_or_else(|| missing("GTIN"))?;
            let ordered = line.ordered.as_ref().ok_or_else(|| missing("quantity"))?;
            items.push(Wanted { gtin, quantity: ordered.value.as_str() });
        }
        let release =
            serde_json::to_vec(&Release { order_id: &order.order, items }).expect("texts become JSON");
        Ok(Output::new("application/json", release).parameter("order", order.order))
    }
}

fn line((index, item): (usize, &Shipped)) -> Line {
    // The document names no unit, so none is invented.
    let of = |count: u32| Quantity { value: Decimal::from(count), ..Quantity::default() };
    let (ordered, shipped) = (of(item.ordered), of(item.shipped));
    Line {
        number: (index + 1).to_string(),
        item: Item { identifiers: vec![Identifier::gtin(&item.gtin)], description: None },
        status: LineStatus::of(&ordered, &shipped),
        ordered: Some(ordered),
        shipped: Some(shipped),
        ..Line::default()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crossdock_mapper::testing::cases::<super::Warehouse>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    }
}
