//! `POST /v2/trackers`: one request for each tracking number of a dispatched shipment, the first one here.

use crossdock_mapper::{
    Diagnostic, Location, Output, Recorded, Refusal,
    canonical::{Carrier, Reference, ShipmentDispatched},
    serde_json::json,
    tables,
};

/// Kinds of references that a carrier tracks by, the best first.
const TRACKED_BY: [&str; 3] = ["tracking", "pro", "bol"];

pub fn map(events: &[Recorded]) -> Result<Output, Refusal> {
    let [recorded] = events else {
        let what = format!("one event makes one tracker; {} came", events.len());
        return Err(Diagnostic::error("one-at-a-time", what).into());
    };
    let dispatched: ShipmentDispatched = recorded.data()?;
    let carrier = dispatched.carrier.clone().unwrap_or_default();
    let code = TRACKED_BY.iter().find_map(|kind| {
        Reference::find(&carrier.references, kind).or_else(|| Reference::find(&dispatched.references, kind))
    });
    // Parcels may each have a number; the first stands for the shipment.
    let of_packs = || {
        let all = dispatched.packs.iter().flat_map(|pack| &pack.identifiers);
        all.filter(|identifier| identifier.scheme == "tracking")
            .map(|identifier| identifier.value.as_str())
            .next()
    };
    let Some(code) = code.or_else(of_packs) else {
        let what = "the shipment carries no tracking number, PRO or bill of lading to track it by";
        return Err(Diagnostic::error("nothing-to-track", what)
            .at(Location::json_pointer("/references"))
            .into());
    };
    let mut tracker = json!({ "tracking_code": code });
    if let Some(name) = named(&carrier) {
        tracker["carrier"] = name.into();
    }
    Ok(Output::new("application/json", json!({ "tracker": tracker }).to_string()))
}

/// EasyPost's name of the carrier: by the policy's table of SCACs, or the shipment's own name for it.
fn named(carrier: &Carrier) -> Option<String> {
    let scac = carrier.identifiers.iter().find(|identifier| identifier.scheme == "scac");
    let listed = scac.and_then(|scac| tables::column("carriers", &[&scac.value], "easypost"));
    listed.or_else(|| carrier.name.clone())
}
