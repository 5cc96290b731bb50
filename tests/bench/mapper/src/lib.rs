//! A made-up WMS vendor's ship confirmation becomes one `shipment.dispatched`: the work that the benchmarks measure.
//! It is what such a mapper does in earnest: typed reading, check digits, units, exact decimals, typed writing.

use std::borrow::Cow;

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Refusal,
    canonical::{
        Address, Carrier, Decimal, Identifier, Item, Line, Lot, Party, Quantity, Reference,
        ShipmentDispatched, Time,
    },
    export,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The mapper.
pub struct BenchWms;

impl Mapper for BenchWms {
    fn to_canonical(_: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let confirmation: Confirmation = serde_json::from_slice(&document.content)
            .map_err(|error| Diagnostic::error("not-understood", error.to_string()))?;
        map(&confirmation)
    }
}

export!(BenchWms);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Confirmation<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    shipment_number: Cow<'a, str>,
    #[serde(borrow)]
    order_number: Cow<'a, str>,
    #[serde(borrow)]
    warehouse_gln: Cow<'a, str>,
    #[serde(borrow)]
    carrier_scac: Cow<'a, str>,
    #[serde(borrow)]
    shipped_at: Cow<'a, str>,
    #[serde(borrow)]
    ship_to: ShipTo<'a>,
    #[serde(borrow)]
    lines: Vec<Shipped<'a>>,
}

#[derive(Deserialize)]
struct ShipTo<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    street: Cow<'a, str>,
    #[serde(borrow)]
    city: Cow<'a, str>,
    #[serde(borrow)]
    zip: Cow<'a, str>,
    #[serde(borrow)]
    country: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Shipped<'a> {
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    gtin: Cow<'a, str>,
    #[serde(borrow)]
    qty: &'a RawValue,
    #[serde(borrow)]
    uom: Cow<'a, str>,
    #[serde(borrow)]
    lot: Cow<'a, str>,
    #[serde(borrow)]
    sscc: Cow<'a, str>,
}

fn map(from: &Confirmation<'_>) -> Result<Mapped, Refusal> {
    let warehouse = checked(Identifier::gln(&*from.warehouse_gln), || "/warehouseGln".to_owned())?;
    let dispatched = Time::at(&*from.shipped_at).actual();
    // A list that grows moves, and what it leaves behind stays taken: memory is never given back within a message.
    let mut lines = Vec::with_capacity(from.lines.len());
    for numbered in from.lines.iter().enumerate() {
        lines.push(line(numbered)?);
    }
    let event = ShipmentDispatched {
        shipment: from.shipment_number.to_string(),
        references: vec![
            Reference::new("order", &*from.order_number),
            Reference::new("message", &*from.message_id),
        ],
        dispatched: Some(dispatched.clone()),
        parties: vec![
            Party { identifiers: vec![warehouse], ..Party::new("ship-from") },
            Party {
                name: Some(from.ship_to.name.to_string()),
                address: Some(address(&from.ship_to)),
                ..Party::new("ship-to")
            },
        ],
        carrier: Some(Carrier {
            identifiers: vec![Identifier::scac(&*from.carrier_scac)],
            ..Carrier::default()
        }),
        lines,
        ..ShipmentDispatched::default()
    };
    Ok(Event::new(&event)
        .natural_key("shipment", &*from.shipment_number)
        .order_key("order", &*from.order_number)
        .occurred_at(&dispatched)
        .into())
}

fn address(to: &ShipTo<'_>) -> Address {
    Address {
        lines: vec![to.street.to_string()],
        city: Some(to.city.to_string()),
        region: None,
        postal_code: Some(to.zip.to_string()),
        country: Some(to.country.to_string()),
    }
}

fn line((index, from): (usize, &Shipped<'_>)) -> Result<Line, Refusal> {
    let place = |field: &str| format!("/lines/{index}/{field}");
    let gtin = checked(Identifier::gtin(&*from.gtin), || place("gtin"))?;
    let sscc = checked(Identifier::sscc(&*from.sscc), || place("sscc"))?;
    let value = Decimal::parse(from.qty.get()).map_err(|error| {
        Diagnostic::error("not-a-number", error.to_string()).at(Location::json_pointer(place("qty")))
    })?;
    let unit = unit(&from.uom).ok_or_else(|| {
        let what = format!("`{}` is no unit that is known here", from.uom);
        Diagnostic::error("unknown-unit", what).at(Location::json_pointer(place("uom")))
    })?;
    Ok(Line {
        number: (index + 1).to_string(),
        item: Item { identifiers: vec![Identifier::new("sku", &*from.sku), gtin], description: None },
        shipped: Some(Quantity::new(value, Some(unit), &from.uom)),
        lots: vec![Lot { number: from.lot.to_string(), ..Lot::default() }],
        packs: vec![sscc.value],
        ..Line::default()
    })
}

fn unit(uom: &str) -> Option<&'static str> {
    Some(match uom {
        "EA" => "EA",
        "CS" => "CS",
        "LB" => "LBR",
        "KG" => "KGM",
        _ => return None,
    })
}

fn checked(identifier: Identifier, place: impl FnOnce() -> String) -> Result<Identifier, Refusal> {
    if identifier.is_invalid() {
        let what = format!("`{}` has a wrong length or check digit", identifier.value);
        return Err(Diagnostic::error("check-digit", what).at(Location::json_pointer(place())).into());
    }
    Ok(identifier)
}
