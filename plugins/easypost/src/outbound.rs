//! `POST /v2/trackers`: one request for each tracking number of a dispatched shipment, the first one here.
//!
//! A few members of the event are read, so it is read as it is: its type has hundreds, and each would cost the mapper room.

use crossdock_mapper::{
    Diagnostic, Location, Output, Recorded, Refusal,
    canonical::{Canonical, ShipmentDispatched},
    serde_json::{Value, json},
    tables,
};

/// Kinds of references that a carrier tracks by, the best first.
const TRACKED_BY: [&str; 3] = ["tracking", "pro", "bol"];

pub fn map(events: &[Recorded]) -> Result<Output, Refusal> {
    let [recorded] = events else {
        let what = format!("one event makes one tracker; {} came", events.len());
        return Err(Diagnostic::error("one-at-a-time", what).into());
    };
    if !recorded.is::<ShipmentDispatched>() {
        let what = format!("a {} event is needed, this is {}", ShipmentDispatched::KIND, recorded.event.kind);
        return Err(Diagnostic::error("wrong-event", what).into());
    }
    let dispatched = recorded.event.value();
    let carrier = &dispatched["carrier"];
    let references = |kind: &&str| {
        let of = |owner: &Value| found(&owner["references"], "kind", kind);
        of(carrier).or_else(|| of(&dispatched))
    };
    // Parcels may each have a number; the first stands for the shipment.
    let of_packs =
        || items(&dispatched["packs"]).find_map(|pack| found(&pack["identifiers"], "scheme", "tracking"));
    let Some(code) = TRACKED_BY.iter().find_map(references).or_else(of_packs) else {
        let what = "the shipment carries no tracking number, PRO or bill of lading to track it by";
        return Err(Diagnostic::error("nothing-to-track", what)
            .at(Location::json_pointer("/references"))
            .into());
    };
    let mut tracker = json!({ "tracking_code": code });
    if let Some(name) = named(carrier) {
        tracker["carrier"] = name.into();
    }
    Ok(Output::new("application/json", json!({ "tracker": tracker }).to_string()))
}

/// EasyPost's name of the carrier: by the policy's table of SCACs, or the shipment's own name for it.
fn named(carrier: &Value) -> Option<String> {
    let scac = found(&carrier["identifiers"], "scheme", "scac");
    let listed = scac.and_then(|scac| tables::column("carriers", &[&scac], "easypost"));
    listed.or_else(|| carrier["name"].as_str().map(str::to_owned))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The value of the first in a list whose member says so.
fn found(list: &Value, member: &str, says: &str) -> Option<String> {
    items(list).find(|item| item[member] == says)?["value"].as_str().map(str::to_owned)
}
