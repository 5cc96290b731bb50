//! A tracker carries its whole history each time. Every entry becomes one event whose identity is the entry itself,
//! so that the gateway knows the entries that it has heard before.

use std::collections::{BTreeMap, btree_map::Entry};

use crossdock_mapper::{
    Diagnostic, Event, Input, Location, Mapped, Refusal, Reject,
    canonical::{
        Address, Carrier, Code, Identifier, Milestone, Place, Proof, Reference, ShipmentDelivered,
        ShipmentMilestone, Time,
    },
    serde_json::{Map, Value},
};

use crate::{json, moment};

/// The gateway takes that many events of one document; a tracker's estimate is one of them.
const MOST_EVENTS: usize = 1000;
const MOST_ENTRIES: usize = MOST_EVENTS - 1;
/// And that many diagnostics.
const MOST_DIAGNOSTICS: usize = 100;
/// Bytes of a text; a key that makes an event's identity has half of that at most.
const LONGEST: usize = 512;
const LONGEST_KEY: usize = 256;
/// Bytes of what a carrier says in its own words.
const LONGEST_MESSAGE: usize = 4096;

pub fn map(document: &Input) -> Result<Mapped, Refusal> {
    let value = json::read(document)?;
    let mut mapped = read(&value).map_err(|mut refusal| {
        json::point(&document.content, &mut refusal.0);
        refusal
    })?;
    json::point(&document.content, &mut mapped.diagnostics);
    for reject in &mut mapped.rejects {
        json::point(&document.content, &mut reject.diagnostics);
    }
    Ok(mapped)
}

fn read(value: &Value) -> Result<Mapped, Refusal> {
    let found = documents(value)?;
    let several = found.len() > 1;
    let mut mapped = Mapped::default();
    let mut left = MOST_DIAGNOSTICS;
    for ((value, at), nth) in found.into_iter().zip(1_usize..) {
        let mut wrong = Wrong::default();
        let events = match find(value, &at) {
            Ok((members, at)) => one(&Object { members, at }, &mut wrong),
            Err(refusal) => {
                wrong.errors = refusal.0;
                Vec::new()
            }
        };
        if mapped.events.len() + events.len() > MOST_EVENTS {
            wrong.say("too-many", &format!("a document makes {MOST_EVENTS} events at most"), at.clone());
        }
        if wrong.errors.is_empty() {
            mapped.events.extend(events);
            mapped.diagnostics.extend(wrong.remarks);
        } else if several {
            // Each rejected tracker keeps its first.
            wrong.errors.truncate(left.max(1));
            left = left.saturating_sub(wrong.errors.len());
            let code = value["tracking_code"].as_str().or(value["result"]["tracking_code"].as_str());
            let unit = format!("Tracker*{}", code.map_or_else(|| nth.to_string(), key));
            let at = Location::json_pointer(at);
            mapped.rejects.push(Reject { unit, at, diagnostics: wrong.errors, ..Reject::default() });
        } else {
            return Err(Refusal(wrong.errors));
        }
    }
    if mapped.events.is_empty() && !mapped.rejects.is_empty() {
        let wrong = mapped.rejects.into_iter().flat_map(|reject| reject.diagnostics);
        return Err(Refusal(wrong.take(MOST_DIAGNOSTICS).collect()));
    }
    mapped.diagnostics.truncate(left);
    Ok(mapped)
}

/// A tracker or event, or a list of them as `GET /v2/trackers` answers it, and where each stands.
fn documents(value: &Value) -> Result<Vec<(&Value, String)>, Refusal> {
    let (list, at) = match value {
        Value::Array(list) => (list, ""),
        _ => match &value["trackers"] {
            Value::Array(list) if value["object"].is_null() => (list, "/trackers"),
            _ => return Ok(vec![(value, String::new())]),
        },
    };
    if list.is_empty() {
        return Err(Diagnostic::error("empty", "the list has no tracker")
            .at(Location::json_pointer(at))
            .into());
    }
    Ok(list.iter().enumerate().map(|(index, value)| (value, format!("{at}/{index}"))).collect())
}

/// The events of one tracker.
fn one(object: &Object<'_>, wrong: &mut Wrong) -> Vec<Event> {
    let (members, at) = (object.members, object.at.as_str());
    if members.get("mode").and_then(Value::as_str) == Some("test") {
        wrong.remark("test", "this is of EasyPost's test mode", format!("{at}/mode"));
    }
    let tracker = tracker(object, wrong);
    let entries = match members.get("tracking_details") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(_) => {
            wrong.say("not-understood", "an array is needed", format!("{at}/tracking_details"));
            &[]
        }
    };
    if entries.len() > MOST_ENTRIES {
        let what = format!("the history has {} entries; {MOST_ENTRIES} are read at most", entries.len());
        wrong.say("too-many", &what, format!("{at}/tracking_details"));
    }
    let mut events: Vec<Event> = Vec::new();
    let mut known = BTreeMap::new();
    for (index, entry) in entries.iter().take(MOST_ENTRIES).enumerate() {
        let at = format!("{at}/tracking_details/{index}");
        let Some(members) = entry.as_object() else {
            wrong.say("not-understood", "an object is needed", at);
            continue;
        };
        let Some(event) = event(&tracker, &Object { members, at: at.clone() }, wrong) else { continue };
        // A history may tell an entry twice. Nobody could tell two apart that differ in something else alone.
        match known.entry(event.natural_key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(events.len());
                events.push(event);
            }
            Entry::Occupied(entry) if events[*entry.get()] == event => {}
            Entry::Occupied(_) => {
                let what = "an entry of the same time, status and message stands before it; that one is kept";
                wrong.remark("repeated", what, at);
            }
        }
    }
    events.extend(tracker.expected.as_ref().and_then(|expected| estimate(&tracker, expected)));
    if events.is_empty() && wrong.errors.is_empty() {
        let what = "the tracker has no history yet, and expects no delivery";
        wrong.say("no-history", what, format!("{at}/tracking_details"));
    }
    events
}

/// The tracker in the document, and where it stands: bare, or as the result of a webhook's event.
fn find<'v>(value: &'v Value, at: &str) -> Result<(&'v Map<String, Value>, String), Refusal> {
    let (found, at) = match value["object"].as_str() {
        Some("Tracker") => (value, at.to_owned()),
        Some("Event") => (&value["result"], format!("{at}/result")),
        other => return Err(not_a_tracker(at, other)),
    };
    match (found["object"].as_str(), found.as_object()) {
        (Some("Tracker"), Some(members)) => Ok((members, at)),
        (other, _) => Err(not_a_tracker(&at, other)),
    }
}

fn not_a_tracker(at: &str, found: Option<&str>) -> Refusal {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{}`", cut(found, 60)));
    let what = format!("a Tracker, or an Event about one, is expected here; found {found}");
    Diagnostic::error("not-a-tracker", what).at(Location::json_pointer(format!("{at}/object"))).into()
}

/// Everything that is wrong with a tracker, and what somebody should look at.
#[derive(Default)]
struct Wrong {
    errors: Vec<Diagnostic>,
    remarks: Vec<Diagnostic>,
}

impl Wrong {
    fn say(&mut self, code: &str, what: &str, at: String) {
        if self.errors.len() < MOST_DIAGNOSTICS {
            self.errors.push(Diagnostic::error(code, what).at(Location::json_pointer(at)));
        }
    }

    fn remark(&mut self, code: &str, what: &str, at: String) {
        if self.remarks.len() < MOST_DIAGNOSTICS {
            self.remarks.push(Diagnostic::warning(code, what).at(Location::json_pointer(at)));
        }
    }
}

/// An object and where it stands.
struct Object<'d> {
    members: &'d Map<String, Value>,
    at: String,
}

impl<'d> Object<'d> {
    /// The text of a member, if it says something; null says nothing.
    fn text(&self, name: &str, wrong: &mut Wrong) -> Option<&'d str> {
        self.long(name, LONGEST, wrong)
    }

    fn long(&self, name: &str, most: usize, wrong: &mut Wrong) -> Option<&'d str> {
        match self.members.get(name)? {
            Value::Null => None,
            Value::String(text) if text.len() <= most => Some(text.trim()).filter(|text| !text.is_empty()),
            Value::String(_) => {
                wrong.say("too-long", &format!("a text has at most {most} bytes here"), self.place(name));
                None
            }
            _ => {
                wrong.say("not-understood", "a text is needed", self.place(name));
                None
            }
        }
    }

    /// An object in it; null is none.
    fn object(&self, name: &str, wrong: &mut Wrong) -> Option<Object<'d>> {
        match self.members.get(name)? {
            Value::Null => None,
            Value::Object(members) => Some(Object { members, at: self.place(name) }),
            _ => {
                wrong.say("not-understood", "an object is needed", self.place(name));
                None
            }
        }
    }

    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }
}

/// Of these, nothing is expected any more, whatever day is still written there.
const NOTHING_EXPECTED: [&str; 6] =
    ["delivered", "available_for_pickup", "return_to_sender", "failure", "cancelled", "error"];

/// What is read of a tracker.
struct Tracker<'d> {
    id: Option<&'d str>,
    code: &'d str,
    signed_by: Option<&'d str>,
    references: Vec<Reference>,
    carrier: Option<Carrier>,
    /// The carrier's expectation, while it is one.
    expected: Option<Time>,
}

fn tracker<'d>(object: &Object<'d>, wrong: &mut Wrong) -> Tracker<'d> {
    let said = wrong.errors.len();
    let code = object.text("tracking_code", wrong).unwrap_or_default();
    if code.is_empty() && wrong.errors.len() == said {
        wrong.say("missing", "the tracker has no tracking code", object.place("tracking_code"));
    } else if code.len() > LONGEST_KEY {
        wrong.say("too-long", "a tracking code has at most 256 bytes", object.place("tracking_code"));
    } else if code.contains(char::is_control) {
        let what = "a tracking code has no control characters";
        wrong.say("not-understood", what, object.place("tracking_code"));
    }
    let mut references = vec![Reference::new("tracking", code).source("tracking_code")];
    let shipment = object.text("shipment_id", wrong);
    references.extend(shipment.map(|id| Reference::new("shipment", id).source("shipment_id")));
    let detail = object.object("carrier_detail", wrong);
    let service = detail.as_ref().and_then(|detail| detail.text("service", wrong));
    let carrier = object.text("carrier", wrong).map(|name| Carrier {
        identifiers: vec![Identifier::new("easypost", cut(name, LONGEST_KEY))],
        name: Some(name.to_owned()),
        mode: Some("parcel".to_owned()),
        service: service.map(str::to_owned),
        ..Carrier::default()
    });
    let status = object.text("status", wrong);
    let expected = expected(object, detail.as_ref(), wrong)
        .filter(|_| status.is_none_or(|status| !NOTHING_EXPECTED.contains(&status)));
    let (id, signed_by) = (object.text("id", wrong), object.text("signed_by", wrong));
    Tracker { id, code, signed_by, references, carrier, expected }
}

/// When the carrier expects to deliver: the day and time at the place of delivery where the carrier tells them, else
/// EasyPost's moment.
fn expected(object: &Object<'_>, detail: Option<&Object<'_>>, wrong: &mut Wrong) -> Option<Time> {
    if let Some(detail) = detail
        && let Some(day) = detail.text("est_delivery_date_local", wrong)
    {
        let clock = detail.text("est_delivery_time_local", wrong);
        let local = clock.map_or_else(|| day.to_owned(), |clock| format!("{day}T{clock}"));
        if moment::is_day(day) && clock.is_none_or(|_| moment::of(&local) == Some(moment::Kind::Local)) {
            return Some(Time::local(local).estimated());
        }
        wrong.say(
            "not-a-time",
            "a day, and a time as 17:00:00, are needed",
            detail.place("est_delivery_date_local"),
        );
    }
    let text = object.text("est_delivery_date", wrong)?;
    match moment::of(text) {
        Some(moment::Kind::Offset) => Some(Time::at(text).estimated()),
        Some(moment::Kind::Local) => Some(Time::local(text).estimated()),
        None if moment::is_day(text) => Some(Time::local(text).estimated()),
        None => {
            let what = format!("`{}` is no time with an offset", cut(text, 60));
            wrong.say("not-a-time", &what, object.place("est_delivery_date"));
            None
        }
    }
}

/// One entry of the history.
fn event(tracker: &Tracker<'_>, entry: &Object<'_>, wrong: &mut Wrong) -> Option<Event> {
    let said = wrong.errors.len();
    let text = entry.text("datetime", wrong).unwrap_or_default();
    // Without an offset it is local to the place of the scan, and nobody says in which zone that is.
    let happened = match moment::of(text) {
        Some(moment::Kind::Offset) => Time::at(text).actual(),
        Some(moment::Kind::Local) => Time::local(text).actual(),
        None if moment::is_day(text) => Time::local(text).actual(),
        None if wrong.errors.len() > said => Time::default(),
        None if text.is_empty() => {
            wrong.say("missing", "the entry has no time", entry.place("datetime"));
            Time::default()
        }
        None => {
            let what = format!("`{}` is no time as 2026-11-23T14:05:00Z", cut(text, 60));
            wrong.say("not-a-time", &what, entry.place("datetime"));
            Time::default()
        }
    };
    let status = entry.text("status", wrong).unwrap_or_default();
    if status.is_empty() && wrong.errors.len() == said {
        wrong.say("missing", "the entry has no status", entry.place("status"));
    }
    let detail = entry.text("status_detail", wrong).unwrap_or_default();
    let message = entry.long("message", LONGEST_MESSAGE, wrong);
    let code = if detail.is_empty() { status.to_owned() } else { format!("{status}/{detail}") };
    let place = place(entry, wrong);
    let mut extension = Map::new();
    let fields = [("carrier_code", "carrier_code"), ("source", "source"), ("description", "description")];
    for (name, value) in fields
        .into_iter()
        .map(|(name, field)| (name, entry.long(field, LONGEST_MESSAGE, wrong)))
        .chain([("tracker", tracker.id)])
    {
        extension.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    // What came back is delivered to its sender, and not to whom it was sent.
    let drafted = if status == "delivered" && detail != "return" {
        // A delivery has no place in the model for what the carrier calls it.
        extension.insert("status".to_owned(), code.as_str().into());
        extension.extend(message.map(|message| ("message".to_owned(), message.into())));
        Event::new(&ShipmentDelivered {
            shipment: tracker.code.to_owned(),
            references: tracker.references.clone(),
            delivered: happened.clone(),
            place,
            proof: tracker.signed_by.map(|name| Proof {
                signed_by: Some(name.to_owned()),
                kind: Some("signature".to_owned()),
                references: Vec::new(),
            }),
            carrier: tracker.carrier.clone(),
            extensions: [("easypost".to_owned(), Value::Object(extension))].into(),
            ..ShipmentDelivered::default()
        })
    } else {
        Event::new(&ShipmentMilestone {
            shipment: tracker.code.to_owned(),
            milestone: milestone(status, detail),
            status: Some(Code {
                list: Some("easypost".to_owned()),
                code: cut(&code, LONGEST).to_owned(),
                text: message.map(str::to_owned),
            }),
            references: tracker.references.clone(),
            happened: happened.clone(),
            place,
            carrier: tracker.carrier.clone(),
            extensions: [("easypost".to_owned(), Value::Object(extension))].into(),
            ..ShipmentMilestone::default()
        })
    };
    let keyed = keyed(drafted, tracker).natural_key("status", key(&code)).natural_key("at", text);
    let keyed = message.iter().fold(keyed, |event, message| event.natural_key("message", key(message)));
    (wrong.errors.len() == said).then(|| keyed.occurred_at(&happened))
}

/// What the carrier expects. It is not delivered, and each new expectation is a fact of its own.
fn estimate(tracker: &Tracker<'_>, expected: &Time) -> Option<Event> {
    let milestone = ShipmentMilestone {
        shipment: tracker.code.to_owned(),
        milestone: Milestone::DeliveryEstimated,
        references: tracker.references.clone(),
        happened: expected.clone(),
        carrier: tracker.carrier.clone(),
        ..ShipmentMilestone::default()
    };
    Some(
        keyed(Event::new(&milestone), tracker)
            .natural_key("expected", expected.text()?)
            .occurred_at(expected),
    )
}

fn keyed(event: Event, tracker: &Tracker<'_>) -> Event {
    let event = event.natural_key("tracking", tracker.code).order_key("tracking", tracker.code);
    let carrier = tracker.carrier.as_ref().and_then(|carrier| carrier.name.as_deref());
    carrier.iter().fold(event, |event, name| event.natural_key("carrier", key(name)))
}

fn place(entry: &Object<'_>, wrong: &mut Wrong) -> Option<Place> {
    let found = entry.object("tracking_location", wrong)?;
    let mut text = |name: &str| found.text(name, wrong).map(str::to_owned);
    let (city, region, postal_code, country) = (text("city"), text("state"), text("zip"), text("country"));
    let is_code =
        |code: &String| matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase());
    // Some carriers give the country's name, which the model has no code for: it stays a line of the address.
    let (country, lines) = match country {
        Some(name) if !is_code(&name) => (None, vec![name]),
        code => (code, Vec::new()),
    };
    let address = Address { lines, city, region, postal_code, country };
    (address != Address::default()).then(|| Place { address: Some(address), ..Place::default() })
}

/// EasyPost's `status` and `status_detail`. A status that ends the usual way comes first: what is scanned at a facility
/// on its way back is no progress.
fn milestone(status: &str, detail: &str) -> Milestone {
    match (status, detail) {
        ("return_to_sender" | "failure" | "cancelled" | "error" | "delivered", _) => Milestone::Exception,
        (
            _,
            "damaged"
            | "lost"
            | "missorted"
            | "refused"
            | "return"
            | "held"
            | "address_correction"
            | "awaiting_information"
            | "delivery_exception"
            | "transit_exception"
            | "failure"
            | "cancelled",
        ) => Milestone::Exception,
        (_, "delayed" | "weather_delay") => Milestone::Delayed,
        ("pre_transit" | "unknown", _) | (_, "expired" | "label_created") => Milestone::Other,
        ("available_for_pickup", _) => Milestone::ArrivedAtDelivery,
        (_, "arrived_at_facility" | "received_at_origin_facility" | "received_at_destination_facility") => {
            Milestone::Arrived
        }
        (_, "departed_facility" | "departed_origin_facility") => Milestone::Departed,
        (_, "arrived_at_destination" | "arrived_at_pickup_location") => Milestone::ArrivedAtDelivery,
        ("out_for_delivery", _) | ("in_transit", "out_for_delivery") => Milestone::OutForDelivery,
        ("in_transit", _) => Milestone::InTransit,
        _ => Milestone::Other,
    }
}

/// A text as a key: bounded, and with blanks for what keys cannot have.
fn key(text: &str) -> String {
    cut(text, LONGEST_KEY).replace(char::is_control, " ")
}

/// A text of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
