//! From a delivery IDoc to events: what a warehouse is to ship or not to ship any more, or what was shipped.

mod heading;
mod items;
mod units;

pub use heading::function;
pub use items::MEASURES as ITEM_MEASURES;
pub use units::MEASURES as UNIT_MEASURES;

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Refusal, Reject,
    canonical::{
        Code, Correction, CorrectionKind, Dated, Decimal, Equipment, Extensions, Identifier, Measure,
        OrderCancelled, OrderReleased, Quantity, Reference, ShipmentDispatched, Time, Totals,
    },
    serde_json::{Map, Value, map::Entry},
    tables,
};

use crate::{
    encoding::{Text, excerpt},
    xml::{Document, Node},
};

/// The gateway takes that many diagnostics of one call.
const MOST_DIAGNOSTICS: usize = 100;

/// Letters of a field. SAP's longest have 255; what is kept of a customer's own segments may have as many as a segment.
const LONGEST_FIELD: usize = 255;
const LONGEST_OWN: usize = 1000;

pub fn map(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
    if document.content.starts_with(b"EDI_DC40") {
        let what = "this is an IDoc file of fixed columns; send the IDoc as XML";
        let place = Location::new("bytes", "line 1, column 1").bytes(0, 8);
        return Err(Diagnostic::error("not-xml", what).at(place).into());
    }
    let text = Text::read(&document.content)?;
    let document = Document::read(&text)?;
    let root = unwrapped(document.root())?;
    let idocs: Vec<_> = if root.name() == "IDOC" { vec![root] } else { root.all("IDOC").collect() };
    let is_delivery = |idoc: &Node<'_>| {
        idoc.child("EDI_DC40").is_some_and(|control| control.get("IDOCTYP").starts_with("DELVRY"))
    };
    // An extended type has a name of its own at the root, and its basic type in the control record.
    if !root.name().contains("DELVRY") && !idocs.iter().any(is_delivery) {
        let what = format!("a delivery IDoc (DELVRY01 to DELVRY07) is read here; this is {}", root.name());
        return Err(Diagnostic::error("not-a-delivery", what).at(root.place()).into());
    }
    if idocs.is_empty() {
        return Err(Diagnostic::error("empty", "there is no IDOC in the document").at(root.place()).into());
    }
    let mut mapped = Mapped::default();
    for (idoc, nth) in idocs.into_iter().zip(1..) {
        let zone = context.zone.as_deref().unwrap_or_default();
        let mut reading = Reading { zone, wrong: Vec::new(), remarks: Vec::new() };
        let events = reading.idoc(idoc);
        reading.wrong.sort_by_key(|wrong| wrong.at.as_ref().and_then(|at| at.offset));
        if reading.wrong.is_empty() {
            mapped.events.extend(events);
            mapped.diagnostics.extend(reading.remarks);
        } else {
            let number = idoc.child("EDI_DC40").and_then(|control| control.some("DOCNUM"));
            let unit = format!("IDOC*{}", number.unwrap_or_else(|| nth.to_string()));
            let diagnostics = reading.wrong;
            mapped.rejects.push(Reject { unit, at: idoc.place(), diagnostics, ..Reject::default() });
        }
    }
    if mapped.events.is_empty() {
        // There are no neighbours to save.
        let wrong = mapped.rejects.into_iter().flat_map(|reject| reject.diagnostics);
        return Err(Refusal(wrong.take(MOST_DIAGNOSTICS).collect()));
    }
    bound(&mut mapped);
    Ok(mapped)
}

/// The IDocs' root: SAP's SOAP port lays it into the body of an envelope.
fn unwrapped(root: Node<'_>) -> Result<Node<'_>, Refusal> {
    if root.name() != "Envelope" {
        return Ok(root);
    }
    let mut bodies = root.all("Body");
    let message = match (bodies.next(), bodies.next()) {
        (Some(body), None) => {
            let mut messages = body.children();
            messages.next().filter(|_| messages.next().is_none())
        }
        _ => None,
    };
    message.ok_or_else(|| {
        let what = "a SOAP envelope has to have one body with one message in it";
        Diagnostic::error("envelope", what).at(root.place()).into()
    })
}

/// Keeps what is said about the rejected parts within what the gateway takes; each of them keeps its first.
fn bound(mapped: &mut Mapped) {
    let mut left = MOST_DIAGNOSTICS.saturating_sub(mapped.rejects.len());
    for reject in &mut mapped.rejects {
        let more = (reject.diagnostics.len() - 1).min(left);
        reject.diagnostics.truncate(1 + more);
        left -= more;
    }
    mapped.diagnostics.truncate(left);
}

/// A delivery while it is read; everything that is wrong with it is kept, not only the first.
struct Reading<'c> {
    /// The partner's zone; empty where the policy gives none.
    zone: &'c str,
    wrong: Vec<Diagnostic>,
    /// What somebody should look at, though it can be mapped.
    remarks: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn idoc(&mut self, idoc: Node<'_>) -> Vec<Event> {
        self.formed(idoc);
        let Some(control) = self.must(idoc, "EDI_DC40") else { return Vec::new() };
        if self.must(idoc, "E1EDL20").is_none() {
            return Vec::new();
        }
        if !matches!(control.get("TEST"), "" | "0") {
            let what = "the control record says that this IDoc is a test (TEST)";
            self.remark("test", what, control.place_of("TEST"));
        }
        idoc.all("E1EDL20").filter_map(|delivery| self.delivery(control, delivery)).collect()
    }

    /// What would be lost or taken for something else if it were only passed over: text between fields, a field that
    /// SAP has once and that stands twice, texts without end.
    fn formed(&mut self, idoc: Node<'_>) {
        for node in idoc.within() {
            let (name, length) = (node.name(), node.text().len());
            let parent = node.parent().map_or("", Node::name);
            if node.is_segment() {
                if length > 0 {
                    let what = format!("text stands between the fields of {name}");
                    self.say("stray-text", &what, node.place());
                }
                continue;
            }
            let most = if parent.starts_with("E1") { LONGEST_FIELD } else { LONGEST_OWN };
            if length > most && node.text().chars().count() > most {
                self.say("too-long", &format!("{name} has more than {most} letters"), node.place());
            }
            let is_sap = |name: &str| name.starts_with("E1") || name == "EDI_DC40";
            if node.nth() > 1 && length > 0 && is_sap(parent) && !is_sap(name) {
                self.say("repeated", &format!("{name} stands twice in {parent}"), node.place());
            }
        }
        if let Some(second) = idoc.all("EDI_DC40").nth(1) {
            self.say("repeated", "an IDoc has one control record (EDI_DC40)", second.place());
        }
    }

    fn delivery(&mut self, control: Node<'_>, delivery: Node<'_>) -> Option<Event> {
        let number = delivery.get("VBELN");
        if number.is_empty() {
            self.say("missing", "the delivery has no number", delivery.place_of("VBELN"));
            return None;
        }
        // SAP's deliveries have ten; what comes from elsewhere may have more.
        if number.len() > 35 {
            self.say("too-long", "a delivery's number has at most 35 letters", delivery.place_of("VBELN"));
            return None;
        }
        // EL is SAP's own type of inbound deliveries, LR that of returns.
        let kind = delivery.child("E1EDL21").map_or("", |more| more.get("LFART"));
        let mestyp = control.get("MESTYP");
        if matches!(kind, "EL" | "LR") && mestyp != "DESADV" {
            let what = if kind == "EL" { "an inbound delivery" } else { "a return" };
            let what = format!("the delivery is {what} (LFART {kind}); only what goes out is read");
            self.say("not-outbound", &what, delivery.child("E1EDL21").unwrap_or(delivery).place_of("LFART"));
            return None;
        }
        match mestyp {
            "WHSORD" | "SHPORD" if has_control(delivery, "DEL") => {
                Some(self.cancelled(control, delivery, number))
            }
            "WHSORD" | "SHPORD" => Some(self.released(control, delivery, number)),
            "SHPCON" | "WHSCON" if !is_issued(delivery) => {
                let what = "the confirmation tells of picking, and of no goods issue (E1EDL18 with PGI)";
                self.say("not-issued", what, delivery.place_of("E1EDL18"));
                None
            }
            "DESADV" | "SHPCON" | "WHSCON" => Some(self.dispatched(control, delivery, number)),
            "" => {
                self.say("missing", "the control record has no message type", control.place_of("MESTYP"));
                None
            }
            other => {
                let what = format!(
                    "message type `{}` is not read; WHSORD, SHPORD, DESADV, SHPCON and WHSCON are",
                    excerpt(other, 30)
                );
                self.say("message-type", &what, control.place_of("MESTYP"));
                None
            }
        }
    }

    fn released(&mut self, control: Node<'_>, delivery: Node<'_>, number: &str) -> Event {
        let changed = has_control(delivery, "CHG");
        let created = self.created(control);
        let items = self.items(delivery, items::Told::Ordered);
        let order = OrderReleased {
            order: number.to_owned(),
            purpose: Some(if changed { "change" } else { "original" }.to_owned()),
            references: heading::references(delivery, number),
            released: created.clone(),
            dates: self.dates(delivery),
            parties: self.parties(delivery),
            carrier: heading::carrier(delivery),
            priority: delivery.child("E1EDL21").and_then(|more| more.set("LPRIO")),
            incoterms: incoterms(delivery),
            packs: self.packs(delivery, number, &items),
            lines: items.lines,
            totals: self.totals(delivery),
            correction: changed.then(|| Correction {
                kind: CorrectionKind::Change,
                corrects: vec![Reference::new("delivery", number)],
                reason: None,
            }),
            extensions: self.extensions(control, delivery, &["TRAID"]),
            ..OrderReleased::default()
        };
        let event = Event::new(&order).natural_key("delivery", number).order_key("order", number);
        let event = created.iter().fold(event, |event, time| event.occurred_at(time));
        // A change is a fact of its own, known by its IDoc.
        if changed {
            event.natural_key("idoc", control.get("DOCNUM")).corrects("delivery", number)
        } else {
            event
        }
    }

    fn cancelled(&mut self, control: Node<'_>, delivery: Node<'_>, number: &str) -> Event {
        let when = self.created(control);
        let cancelled = OrderCancelled {
            order: number.to_owned(),
            references: heading::references(delivery, number),
            cancelled: when.clone(),
            reason: Some(Code { list: Some("sap-e1edl18".to_owned()), code: "DEL".to_owned(), text: None }),
            parties: self.parties(delivery),
            lines: self.items(delivery, items::Told::Ordered).lines,
            extensions: self.extensions(control, delivery, &["TRAID", "INCO1", "INCO2"]),
            ..OrderCancelled::default()
        };
        let event = Event::new(&cancelled).natural_key("delivery", number).order_key("order", number);
        when.iter().fold(event, |event, time| event.occurred_at(time))
    }

    fn dispatched(&mut self, control: Node<'_>, delivery: Node<'_>, number: &str) -> Event {
        let items = self.items(delivery, items::Told::Shipped);
        let mut dates = self.dates(delivery);
        let left =
            dates.iter().position(|date| date.kind == "actual-goods-issue").map(|at| dates.remove(at).time);
        let shipment = ShipmentDispatched {
            shipment: number.to_owned(),
            references: heading::references(delivery, number),
            dispatched: left.clone(),
            dates,
            parties: self.parties(delivery),
            carrier: heading::carrier(delivery),
            equipment: equipment(delivery),
            packs: self.packs(delivery, number, &items),
            lines: items.lines,
            totals: self.totals(delivery),
            extensions: self.extensions(control, delivery, &["INCO1", "INCO2"]),
            ..ShipmentDispatched::default()
        };
        let event = Event::new(&shipment).natural_key("delivery", number).order_key("order", number);
        left.iter().fold(event, |event, time| event.occurred_at(time))
    }

    /// When the IDoc was made. Zeros are midnight here: a control record always has its time.
    fn created(&mut self, control: Node<'_>) -> Option<Time> {
        control.set("CREDAT")?;
        let time = Time::digits(control.get("CREDAT"), control.get("CRETIM"));
        if time.is_none() {
            let what =
                format!("`{}` is no date and time", shown(control.get("CREDAT"), control.get("CRETIM")));
            self.say("not-a-date", &what, control.place_of("CREDAT"));
        }
        time.map(|time| time.in_zone(self.zone))
    }

    fn totals(&mut self, delivery: Node<'_>) -> Option<Totals> {
        let totals = Totals {
            packs: delivery
                .set("ANZPK")
                .and_then(|_| self.number(delivery, "ANZPK"))
                .map(|value| Quantity::new(value, None, "")),
            weight: self.quantity(delivery, "BTGEW", "GEWEI"),
            volume: self.quantity(delivery, "VOLUM", "VOLEH"),
            ..Totals::default()
        };
        (totals != Totals::default()).then_some(totals)
    }

    /// Planned and actual dates (segment E1EDT13: NTANF and NTEND planned, ISDD and IEDD actual, from and to).
    fn dates(&mut self, delivery: Node<'_>) -> Vec<Dated> {
        const FIELDS: [(&str, &str, &str, &str); 4] = [
            ("NTANF", "NTANZ", "TZONE_BEG", "planned"),
            ("NTEND", "NTENZ", "TZONE_END", "planned-end"),
            ("ISDD", "ISDZ", "TZONE_BEG", "actual"),
            ("IEDD", "IEDZ", "TZONE_END", "actual-end"),
        ];
        let mut dates = Vec::new();
        for dated in delivery.all("E1EDT13") {
            let name = match dated.get("QUALF") {
                "006" => "goods-issue".to_owned(),
                "007" => "delivery".to_owned(),
                "010" => "picking".to_owned(),
                other => format!("sap-{}", slug(other)),
            };
            for (day, clock, zone, prefix) in FIELDS {
                if let Some(time) = self.time(dated, day, clock, zone) {
                    let time = if prefix.starts_with("actual") { time.actual() } else { time.planned() };
                    dates.push(Dated { kind: format!("{prefix}-{name}"), time });
                }
            }
        }
        dates
    }

    fn time(&mut self, node: Node<'_>, day: &str, clock: &str, zone: &str) -> Option<Time> {
        let date = node.set(day)?;
        // SAP fills an unknown time with zeros, so that they may be midnight or nothing: only the day is sure.
        // 240000 is the end of the day.
        let hour =
            Some(node.get(clock)).filter(|clock| !matches!(*clock, "000000" | "240000")).unwrap_or_default();
        let Some(time) = Time::digits(&date, hour) else {
            let what = format!("`{}` is no date and time", shown(&date, hour));
            self.say("not-a-date", &what, node.place_of(day));
            return None;
        };
        let zone = Some(zone).filter(|zone| !node.get(zone).is_empty()).unwrap_or("TZONE_BEG");
        Some(self.placed(time, node, zone))
    }

    /// In the zone that the IDoc names, by the table `zones`; SAP's names are no IANA names, and one that the table does
    /// not have is unknown. Where the IDoc names none, the partner's zone holds.
    fn placed(&mut self, time: Time, node: Node<'_>, zone: &str) -> Time {
        match node.get(zone) {
            "" => time.in_zone(self.zone),
            "UTC" => match time.local {
                Some(local) if local.contains('T') => Time::at(format!("{local}Z")),
                local => Time { local, ..Time::default() },
            },
            other => {
                let known = tables::column("zones", &[other], "iana");
                if known.is_none() {
                    let what = format!(
                        "the table `zones` does not have `{}`; the time stays local",
                        excerpt(other, 30)
                    );
                    self.remark("zone", &what, node.place_of(zone));
                }
                time.in_zone(known.unwrap_or_default())
            }
        }
    }

    /// A day of its own, such as an expiry date.
    fn day(&mut self, node: Node<'_>, field: &str) -> Option<String> {
        let text = node.set(field)?;
        let day = Time::digits(&text, "").and_then(|time| time.local);
        if day.is_none() {
            self.say("not-a-date", &format!("`{}` is no date", excerpt(&text, 30)), node.place_of(field));
        }
        day
    }

    fn quantity(&mut self, node: Node<'_>, field: &str, unit: &str) -> Option<Quantity> {
        let value = self.number(node, field)?;
        if value.is_negative() {
            self.remark("negative", "the quantity is less than nothing", node.place_of(field));
        }
        let unit = node.get(unit);
        Some(Quantity::new(value, crate::units::canonical(unit).as_deref(), unit))
    }

    fn measures(&mut self, node: Node<'_>, kinds: &[(&str, &str, &str)]) -> Vec<Measure> {
        let mut measures = Vec::new();
        for (kind, field, unit) in kinds {
            if let Some(value) = self.number(node, field) {
                let unit = node.get(unit);
                measures.push(Measure::new(kind, value, crate::units::canonical(unit).as_deref(), unit));
            }
        }
        measures
    }

    /// A number as SAP writes it: `12.500`, and `12.500-` for less than nothing.
    fn number(&mut self, node: Node<'_>, field: &str) -> Option<Decimal> {
        let text = Some(node.get(field)).filter(|text| !text.is_empty())?;
        let number = Decimal::parse(text).ok();
        if number.is_none() {
            let what = format!("`{}` is no number of at most 18 digits with a point", excerpt(text, 30));
            self.say("not-a-number", &what, node.place_of(field));
        }
        number
    }

    fn must<'d>(&mut self, node: Node<'d>, name: &str) -> Option<Node<'d>> {
        let found = node.child(name);
        if found.is_none() {
            self.say("missing", &format!("segment {name} is missing"), node.place_of(name));
        }
        found
    }

    fn remark(&mut self, code: &str, what: &str, at: Location) {
        if self.remarks.len() < MOST_DIAGNOSTICS {
            self.remarks.push(Diagnostic::warning(code, what).at(at));
        }
    }

    fn say(&mut self, code: &str, what: &str, at: Location) {
        if self.wrong.len() < MOST_DIAGNOSTICS {
            self.wrong.push(Diagnostic::error(code, what).at(at));
        }
    }

    /// What the model has no place for, under the names of SAP.
    fn extensions(&self, control: Node<'_>, delivery: Node<'_>, also: &[&str]) -> Extensions {
        let mut known = vec!["VBELN", "VOLUM", "VOLEH", "BOLNR", "LIFEX", "TRAID", "INCO1", "INCO2"];
        known.retain(|field| !also.contains(field));
        known.extend(["E1ADRM1", "E1EDT13", "E1EDL24", "E1EDL37"]);
        // The unit stands for both weights, of which the model has the gross one.
        if !delivery.get("BTGEW").is_empty() {
            known.extend(["BTGEW", "GEWEI"]);
        }
        if delivery.set("ANZPK").is_some() {
            known.push("ANZPK");
        }
        let mut sap = rest(delivery, &known);
        for (segment, key, known) in heading::KNOWN {
            put_rests(&mut sap, delivery.all(segment), key, known);
        }
        let units = units::rests(delivery);
        if !units.is_empty() {
            sap.insert("E1EDL37".to_owned(), Value::Array(units));
        }
        sap.insert("EDI_DC40".to_owned(), Value::Object(rest(control, &[])));
        [("sap".to_owned(), Value::Object(sap))].into()
    }
}

/// Does a control segment of the header (E1EDL18) say so? `ORI`, `CHG` and `DEL` stand in orders, `PIC` and `PGI` in
/// confirmations.
fn has_control(delivery: Node<'_>, qualifier: &str) -> bool {
    delivery.all("E1EDL18").any(|control| control.get("QUALF") == qualifier)
}

/// Did the goods leave? Where the sender uses control segments, one of them has to say so.
fn is_issued(delivery: Node<'_>) -> bool {
    delivery.child("E1EDL18").is_none() || has_control(delivery, "PGI")
}

fn equipment(delivery: Node<'_>) -> Vec<Equipment> {
    let identifier = delivery.some("TRAID").map(|number| {
        let container = Identifier::container(number.as_str());
        if container.is_invalid() { Identifier::new("equipment", number) } else { container }
    });
    let kind = |id: &Identifier| (id.scheme == "container").then(|| "container".to_owned());
    identifier
        .map(|id| Equipment { kind: kind(&id), identifiers: vec![id], ..Equipment::default() })
        .into_iter()
        .collect()
}

fn incoterms(delivery: Node<'_>) -> Option<Code> {
    let code = delivery.some("INCO1")?;
    Some(Code { list: Some("incoterms".to_owned()), code, text: delivery.some("INCO2") })
}

/// The fields and segments of a segment that are not known, as JSON; what is there several times becomes an array.
fn rest(node: Node<'_>, known: &[&str]) -> Map<String, Value> {
    let mut left = Map::new();
    for child in node.children().filter(|child| !known.contains(&child.name())) {
        let value =
            if child.is_segment() { Value::Object(rest(child, &[])) } else { Value::from(child.text()) };
        if value.as_str() == Some("") {
            continue;
        }
        match left.entry(child.name()) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(values) => values.push(value),
                first => *first = Value::Array(vec![first.take(), value]),
            },
        }
    }
    left
}

/// Puts what is left of each of these segments under their name, with the field by which each is found again. Of orders
/// (E1EDL41) the model has the customer's own, 001.
fn put_rests<'d>(
    to: &mut Map<String, Value>,
    segments: impl Iterator<Item = Node<'d>>,
    key: &str,
    known: &[&str],
) {
    let mut rests = Vec::new();
    let mut name = "";
    for segment in segments {
        let of_others = segment.name() == "E1EDL41" && segment.get(key) != "001";
        let mut left = rest(segment, if of_others { &[] } else { known });
        left.remove(key);
        if !left.is_empty() {
            name = segment.name();
            // One without its key stays, too, though it cannot be put back where it was.
            if !segment.get(key).is_empty() {
                left.insert(key.to_owned(), segment.get(key).into());
            }
            rests.push(Value::Object(left));
        }
    }
    if !rests.is_empty() {
        to.insert(name.to_owned(), Value::Array(rests));
    }
}

/// A code of SAP in the letters that names have in the model.
fn slug(code: &str) -> String {
    let letter =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '-' };
    let slug: String = code.bytes().take(16).map(letter).collect();
    if slug.is_empty() { "other".to_owned() } else { slug }
}

fn shown(date: &str, clock: &str) -> String {
    format!("{} {}", excerpt(date, 20), excerpt(clock, 20)).trim_end().to_owned()
}
