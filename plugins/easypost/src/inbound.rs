//! A tracker carries its whole history each time. Every entry becomes one event whose identity is the entry itself,
//! so that the gateway knows the entries that it has heard before.

use crossdock_mapper::{
    Diagnostic, Event, Input, Location, Mapped, Refusal,
    canonical::{
        Address, Carrier, Code, Identifier, Milestone, Place, Proof, Reference, ShipmentDelivered,
        ShipmentMilestone, Time,
    },
    serde_json::{Map, Value},
};

use crate::moment;

/// The gateway takes that many events of one document; the estimate is one of them.
const MOST_ENTRIES: usize = 999;
/// And that many diagnostics.
const MOST_DIAGNOSTICS: usize = 100;
/// Bytes of a text; a key that makes an event's identity has half of that at most.
const LONGEST: usize = 512;
const LONGEST_KEY: usize = 256;

pub fn map(document: &Input) -> Result<Mapped, Refusal> {
    let value: Value = document.json()?;
    let (members, at) = find(&value)?;
    let mut wrong = Wrong(Vec::new());
    let tracker = tracker(Object { members, at: at.to_owned() }, &mut wrong);
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
    let mut events = Vec::new();
    for (index, entry) in entries.iter().take(MOST_ENTRIES).enumerate() {
        let at = format!("{at}/tracking_details/{index}");
        match entry.as_object() {
            Some(members) => events.extend(event(&tracker, &Object { members, at }, &mut wrong)),
            None => wrong.say("not-understood", "an object is needed", at),
        }
    }
    events.extend(tracker.expected.as_ref().and_then(|expected| estimate(&tracker, expected)));
    if events.is_empty() && wrong.0.is_empty() {
        wrong.say("no-history", "the tracker tells of nothing yet", format!("{at}/tracking_details"));
    }
    if wrong.0.is_empty() { Ok(events.into()) } else { Err(Refusal(wrong.0)) }
}

/// The tracker in the document, and where it stands: bare, or as the result of a webhook's event.
fn find(value: &Value) -> Result<(&Map<String, Value>, &'static str), Refusal> {
    let (found, at) = match value["object"].as_str() {
        Some("Tracker") => (value, ""),
        Some("Event") => (&value["result"], "/result"),
        other => return Err(not_a_tracker("", other)),
    };
    match (found["object"].as_str(), found.as_object()) {
        (Some("Tracker"), Some(members)) => Ok((members, at)),
        (other, _) => Err(not_a_tracker(at, other)),
    }
}

fn not_a_tracker(at: &str, found: Option<&str>) -> Refusal {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{}`", cut(found, 60)));
    let what = format!("a Tracker, or an Event about one, is expected here; found {found}");
    Diagnostic::error("not-a-tracker", what).at(Location::json_pointer(format!("{at}/object"))).into()
}

/// Everything that is wrong with a document.
struct Wrong(Vec<Diagnostic>);

impl Wrong {
    fn say(&mut self, code: &str, what: &str, at: String) {
        if self.0.len() < MOST_DIAGNOSTICS {
            self.0.push(Diagnostic::error(code, what).at(Location::json_pointer(at)));
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
        match self.members.get(name)? {
            Value::Null => None,
            Value::String(text) if text.len() <= LONGEST => Some(text.trim()).filter(|text| !text.is_empty()),
            Value::String(_) => {
                wrong.say("too-long", "a text has at most 512 bytes here", self.place(name));
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

fn tracker<'d>(object: Object<'d>, wrong: &mut Wrong) -> Tracker<'d> {
    let code = object.text("tracking_code", wrong).unwrap_or_default();
    if code.is_empty() {
        wrong.say("missing", "the tracker has no tracking code", object.place("tracking_code"));
    } else if code.len() > LONGEST_KEY {
        wrong.say("too-long", "a tracking code has at most 256 bytes", object.place("tracking_code"));
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
    let expected = expected(&object, detail.as_ref(), wrong).filter(|_| status != Some("delivered"));
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
    let said = wrong.0.len();
    let text = entry.text("datetime", wrong).unwrap_or_default();
    if moment::of(text) != Some(moment::Kind::Offset) && wrong.0.len() == said {
        let what = format!("`{}` is no time with an offset", cut(text, 60));
        wrong.say("not-a-time", &what, entry.place("datetime"));
    }
    let status = entry.text("status", wrong).unwrap_or_default();
    if status.is_empty() && wrong.0.len() == said {
        wrong.say("missing", "the entry has no status", entry.place("status"));
    }
    let detail = entry.text("status_detail", wrong).unwrap_or_default();
    let message = entry.text("message", wrong);
    let code = if detail.is_empty() { status.to_owned() } else { format!("{status}/{detail}") };
    let happened = Time::at(text).actual();
    let place = place(entry, wrong);
    let mut extension = Map::new();
    let fields = [("carrier_code", "carrier_code"), ("source", "source"), ("description", "description")];
    for (name, value) in fields
        .into_iter()
        .map(|(name, field)| (name, entry.text(field, wrong)))
        .chain([("tracker", tracker.id)])
    {
        extension.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    let drafted = if status == "delivered" {
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
    let keyed =
        keyed(drafted, tracker).natural_key("status", cut(&code, LONGEST_KEY)).natural_key("at", text);
    let keyed =
        message.iter().fold(keyed, |event, message| event.natural_key("message", cut(message, LONGEST_KEY)));
    (wrong.0.len() == said).then(|| keyed.occurred_at(&happened))
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
    carrier.iter().fold(event, |event, name| event.natural_key("carrier", cut(name, LONGEST_KEY)))
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
        ("return_to_sender" | "failure" | "cancelled" | "error", _) => Milestone::Exception,
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
            | "transit_exception",
        ) => Milestone::Exception,
        (_, "delayed" | "weather_delay") => Milestone::Delayed,
        ("pre_transit" | "unknown", _) => Milestone::Other,
        ("available_for_pickup", _) => Milestone::ArrivedAtDelivery,
        (_, "arrived_at_facility" | "received_at_origin_facility" | "received_at_destination_facility") => {
            Milestone::Arrived
        }
        (_, "departed_facility" | "departed_origin_facility") => Milestone::Departed,
        (_, "arrived_at_destination" | "arrived_at_pickup_location") => Milestone::ArrivedAtDelivery,
        ("out_for_delivery", _) => Milestone::OutForDelivery,
        ("in_transit", _) => Milestone::InTransit,
        _ => Milestone::Other,
    }
}

/// A text of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
