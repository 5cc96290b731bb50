//! A tracker carries its whole history each time. Every entry becomes one event whose identity is the entry itself,
//! so that the gateway knows the entries that it has heard before.

use crossdock_mapper::{
    Diagnostic, Event, Input, Location, Mapped, Refusal,
    canonical::{
        Address, Carrier, Code, Identifier, Milestone, Place, Proof, Reference, ShipmentDelivered,
        ShipmentMilestone, Time,
    },
    serde_json::{Value, json},
};
use serde::Deserialize;

/// What is read of a tracker.
#[derive(Deserialize)]
struct Tracker {
    #[serde(default)]
    id: String,
    tracking_code: String,
    #[serde(default)]
    signed_by: Option<String>,
    #[serde(default)]
    est_delivery_date: Option<String>,
    #[serde(default)]
    shipment_id: Option<String>,
    #[serde(default)]
    carrier: Option<String>,
    #[serde(default)]
    tracking_details: Vec<Detail>,
    #[serde(default)]
    carrier_detail: Option<CarrierDetail>,
}

/// One entry of the history.
#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    message: Option<String>,
    status: String,
    #[serde(default)]
    status_detail: Option<String>,
    datetime: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    carrier_code: Option<String>,
    #[serde(default)]
    tracking_location: Option<TrackingLocation>,
}

#[derive(Deserialize)]
struct TrackingLocation {
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    zip: Option<String>,
}

#[derive(Deserialize)]
struct CarrierDetail {
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    est_delivery_date_local: Option<String>,
    #[serde(default)]
    est_delivery_time_local: Option<String>,
}

pub fn map(document: &Input) -> Result<Mapped, Refusal> {
    let value: Value = document.json()?;
    let (tracker, at) = tracker(&value)?;
    let mut events = Vec::with_capacity(tracker.tracking_details.len() + 1);
    let mut wrong = Vec::new();
    for (index, detail) in tracker.tracking_details.iter().enumerate() {
        match event(&tracker, detail) {
            Ok(event) => events.push(event),
            Err(what) => wrong.push(what.at(Location::json_pointer(format!("{at}/tracking_details/{index}/datetime")))),
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal(wrong));
    }
    events.extend(estimate(&tracker));
    if events.is_empty() {
        let place = Location::json_pointer(format!("{at}/tracking_details"));
        return Err(Diagnostic::error("no-history", "the tracker tells of nothing yet").at(place).into());
    }
    Ok(events.into())
}

/// The tracker in the document, and where it stands: bare, or as the result of a webhook's event.
fn tracker(value: &Value) -> Result<(Tracker, &'static str), Refusal> {
    let (found, at) = match value["object"].as_str() {
        Some("Tracker") => (value, ""),
        Some("Event") => (&value["result"], "/result"),
        other => return Err(not_a_tracker("/object", other)),
    };
    if found["object"].as_str() != Some("Tracker") {
        return Err(not_a_tracker(if at.is_empty() { "/object" } else { "/result/object" }, found["object"].as_str()));
    }
    let code = found["tracking_code"].as_str().unwrap_or_default();
    if code.trim().is_empty() {
        let place = Location::json_pointer(format!("{at}/tracking_code"));
        return Err(Diagnostic::error("missing", "the tracker has no tracking code").at(place).into());
    }
    let tracker = Tracker::deserialize(found).map_err(|error| {
        let place = Location::json_pointer(if at.is_empty() { "/".to_owned() } else { at.to_owned() });
        Refusal::from(Diagnostic::error("not-understood", error.to_string()).at(place))
    })?;
    Ok((tracker, at))
}

fn not_a_tracker(pointer: &str, found: Option<&str>) -> Refusal {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
    let what = format!("a Tracker, or an Event about one, is expected here; found {found}");
    Diagnostic::error("not-a-tracker", what).at(Location::json_pointer(pointer)).into()
}

fn event(tracker: &Tracker, detail: &Detail) -> Result<Event, Diagnostic> {
    if !is_moment(&detail.datetime) {
        let what = format!("`{}` is no time with an offset", detail.datetime);
        return Err(Diagnostic::error("not-a-time", what));
    }
    let happened = Time::at(&detail.datetime).actual();
    let status = detail.status_detail.as_deref().unwrap_or_default();
    let code = Code {
        list: Some("easypost".to_owned()),
        code: if status.is_empty() { detail.status.clone() } else { format!("{}/{status}", detail.status) },
        text: detail.message.clone().filter(|text| !text.is_empty()),
    };
    let extension = json!({ "carrier_code": detail.carrier_code, "source": detail.source, "tracker": tracker.id });
    let extensions = [("easypost".to_owned(), extension)].into();
    let drafted = if detail.status == "delivered" {
        let delivered = ShipmentDelivered {
            shipment: tracker.tracking_code.clone(),
            references: references(tracker),
            delivered: happened.clone(),
            place: place(detail),
            proof: tracker.signed_by.clone().filter(|name| !name.is_empty()).map(|name| Proof {
                signed_by: Some(name),
                kind: Some("signature".to_owned()),
                references: Vec::new(),
            }),
            carrier: carrier(tracker),
            extensions,
            ..ShipmentDelivered::default()
        };
        Event::new(&delivered)
    } else {
        let milestone = ShipmentMilestone {
            shipment: tracker.tracking_code.clone(),
            milestone: milestone(&detail.status, status),
            status: Some(code),
            references: references(tracker),
            happened: happened.clone(),
            place: place(detail),
            carrier: carrier(tracker),
            extensions,
            ..ShipmentMilestone::default()
        };
        Event::new(&milestone)
    };
    Ok(keyed(drafted, tracker)
        .natural_key("status", format!("{}/{status}", detail.status))
        .natural_key("at", &detail.datetime)
        .natural_key("message", detail.message.as_deref().unwrap_or_default())
        .occurred_at(&happened))
}

/// What the carrier expects. It is not delivered, and each new expectation is a fact of its own.
fn estimate(tracker: &Tracker) -> Option<Event> {
    let local = tracker.carrier_detail.as_ref().and_then(|detail| {
        let day = detail.est_delivery_date_local.as_deref()?;
        let time = detail.est_delivery_time_local.as_deref().unwrap_or_default();
        Some(Time::local(if time.is_empty() { day.to_owned() } else { format!("{day}T{time}") }))
    });
    let expected = local.or_else(|| tracker.est_delivery_date.as_deref().filter(|at| is_moment(at)).map(Time::at))?;
    let expected = expected.estimated();
    let milestone = ShipmentMilestone {
        shipment: tracker.tracking_code.clone(),
        milestone: Milestone::DeliveryEstimated,
        references: references(tracker),
        happened: expected.clone(),
        carrier: carrier(tracker),
        ..ShipmentMilestone::default()
    };
    let text = expected.text()?;
    Some(keyed(Event::new(&milestone), tracker).natural_key("expected", text).occurred_at(&expected))
}

fn keyed(event: Event, tracker: &Tracker) -> Event {
    event
        .natural_key("tracking", &tracker.tracking_code)
        .natural_key("carrier", tracker.carrier.as_deref().unwrap_or_default())
        .order_key("tracking", &tracker.tracking_code)
}

fn references(tracker: &Tracker) -> Vec<Reference> {
    let mut references = vec![Reference::new("tracking", &tracker.tracking_code).source("tracking_code")];
    if let Some(shipment) = &tracker.shipment_id {
        references.push(Reference::new("shipment", shipment).source("shipment_id"));
    }
    references
}

fn carrier(tracker: &Tracker) -> Option<Carrier> {
    let name = tracker.carrier.clone()?;
    Some(Carrier {
        identifiers: vec![Identifier::new("easypost", &name)],
        name: Some(name),
        mode: Some("parcel".to_owned()),
        service: tracker.carrier_detail.as_ref().and_then(|detail| detail.service.clone()),
        ..Carrier::default()
    })
}

fn place(detail: &Detail) -> Option<Place> {
    let found = detail.tracking_location.as_ref()?;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let address = Address {
        lines: Vec::new(),
        city: text(&found.city),
        region: text(&found.state),
        postal_code: text(&found.zip),
        country: text(&found.country),
    };
    (address != Address::default()).then(|| Place { address: Some(address), ..Place::default() })
}

/// EasyPost's `status` and `status_detail` (API v2, "Tracker statuses").
fn milestone(status: &str, detail: &str) -> Milestone {
    match (status, detail) {
        (_, "arrived_at_facility" | "received_at_origin_facility" | "received_at_destination_facility") => Milestone::Arrived,
        (_, "departed_facility" | "departed_origin_facility") => Milestone::Departed,
        (_, "arrived_at_destination" | "arrived_at_pickup_location") => Milestone::ArrivedAtDelivery,
        (_, "delayed" | "weather_delay") => Milestone::Delayed,
        (_, "damaged" | "lost" | "missorted" | "refused" | "delivery_exception" | "transit_exception") => Milestone::Exception,
        ("out_for_delivery", _) => Milestone::OutForDelivery,
        ("available_for_pickup", _) => Milestone::ArrivedAtDelivery,
        ("return_to_sender" | "failure" | "cancelled" | "error", _) => Milestone::Exception,
        ("in_transit", _) => Milestone::InTransit,
        _ => Milestone::Other,
    }
}

/// Whether a text begins as RFC 3339 does and states its offset; the gateway checks the rest.
fn is_moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 20 && bytes[4] == b'-' && bytes[7] == b'-' && matches!(bytes[10], b'T' | b't');
    let tail = &text.get(19..).unwrap_or_default();
    dated && (tail.ends_with(['Z', 'z']) || tail.contains(['+', '-']))
}
