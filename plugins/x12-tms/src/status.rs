//! 214, shipment status: each AT7 is a point on the way, or the delivery.

mod event;

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{Address, Carrier, Equipment, Identifier, Place, Reference, Time};
use crossdock_x12::{Problems, Reading, Zones, excerpt};

use crate::facts::{Facts, identified};
use crate::tables::{self, APPOINTMENTS, EQUIPMENT, code_of, name_of};
use crate::tender::own_leg;

/// Reads a 214 into an event for each status; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Vec<Event> {
    // Since 004020 a remark or seals behind a status are its own; before, they are of all statuses of the LX.
    let version = set.group().header().map(|header| header.value(8).into_owned()).unwrap_or_default();
    let mut report = Report { remarks_of_status: version.as_str() >= "004020", ..Report::default() };
    for segment in set.segments().iter().skip(1) {
        report.segment(segment, zones, problems);
    }
    report.end_loop(problems);
    if !report.saw_beginning {
        let message = "the B10 that identifies the shipment is missing".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
    } else if report.events.is_empty() && !problems.refused() {
        let message = "no AT7 says where the shipment stands".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
    }
    report.events
}

#[derive(Default)]
struct Report<'d> {
    remarks_of_status: bool,
    saw_beginning: bool,
    shipment: String,
    heading: Facts,
    carrier: Carrier,
    /// One loop: LX, or a package (CD3) or order (PRF) in it.
    within: Option<Loop<'d>>,
    /// What the LX said before its first order or package.
    of_shipment: Facts,
    /// What the order said before its first package.
    of_order: Option<Facts>,
    events: Vec<Event>,
    /// How much was said again so far, see [`REPEATED_MAX`].
    repeated: usize,
}

/// References, parties and remarks that the events of one set may repeat, all together.
const REPEATED_MAX: usize = 50_000;

/// What a loop is about.
#[derive(Clone, Copy, Default, PartialEq)]
enum Level {
    #[default]
    Shipment,
    Order,
    Package,
}

#[derive(Default)]
struct Loop<'d> {
    level: Level,
    facts: Facts,
    stop: Option<String>,
    signed_by: Option<String>,
    statuses: Vec<Status<'d>>,
}

/// One AT7 with its MS1 and MS2.
struct Status<'d> {
    segment: Segment<'d>,
    time: Time,
    place: Option<Place>,
    equipment: Option<Equipment>,
    facts: Facts,
}

impl<'d> Report<'d> {
    fn segment(&mut self, segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "SE" => {}
            "B10" => self.beginning(segment, problems),
            "LX" => {
                self.end_loop(problems);
                self.within = Some(Loop::default());
            }
            "CD3" | "PRF" => self.begin_within(segment, problems),
            "AT7" => {
                // Some senders leave LX out.
                let shipment = self.within.get_or_insert_default();
                shipment.statuses.extend(status(segment, zones, problems));
            }
            "MS3" if self.within.is_none() => own_leg(segment, &mut self.carrier, &mut self.heading),
            _ => match &mut self.within {
                Some(open) => open.segment(segment, self.remarks_of_status, zones, problems),
                None => mark_or_fact(segment, &mut self.heading, zones, problems),
            },
        }
    }

    /// A package (CD3) or an order (PRF) has statuses of its own. What the loop said before the first of them is said of
    /// each, and what the order said of each of its packages.
    fn begin_within(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let (is_order, before) = (segment.name() == "PRF", self.within.take().unwrap_or_default());
        match before.level {
            Level::Shipment => {
                self.of_shipment = before.facts.clone();
                self.of_order = None;
            }
            Level::Order => self.of_order = Some(before.facts.clone()),
            Level::Package => {}
        }
        self.within = Some(before);
        self.end_loop(problems);
        let order = self.of_order.clone().filter(|_| !is_order);
        let mut open = Loop { facts: order.unwrap_or_else(|| self.of_shipment.clone()), ..Loop::default() };
        open.level = if is_order { Level::Order } else { Level::Package };
        let mut reading = Reading::of(segment);
        if is_order {
            let order = reading.some(1).map(|value| Reference::new("po", value).source("PRF/1"));
            open.facts.references.extend(order);
        }
        reading.leave(segment.name(), &mut open.facts.left);
        self.within = Some(open);
    }

    fn beginning(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if std::mem::replace(&mut self.saw_beginning, true) {
            return problems.error(
                segment,
                0,
                "segment-repeated",
                "5",
                "B10 stands twice in one set".to_owned(),
            );
        }
        let mut reading = Reading::of(segment);
        let (pro, shipment) = (reading.some(1), reading.some(2));
        self.carrier.identifiers.extend(reading.some(3).map(Identifier::scac));
        if let Some(pro) = &pro {
            self.heading.references.push(Reference::new("pro", pro).source("B10/1"));
        }
        match shipment.or(pro) {
            Some(shipment) => self.shipment = shipment,
            None => {
                let message = "neither the carrier's number nor the shipment's is there".to_owned();
                problems.error(segment, 2, "element-missing", "1", message);
            }
        }
        reading.leave("B10", &mut self.heading.left);
    }

    /// Makes events of the statuses of a loop, once everything that it says of them is read.
    fn end_loop(&mut self, problems: &mut Problems<'_>) {
        let Some(open) = self.within.take() else { return };
        for status in &open.statuses {
            // Each status repeats what the heading and its loop say.
            self.repeated += self.heading.said() + open.facts.said();
            if self.repeated > REPEATED_MAX {
                let message =
                    "so many statuses and references in one set would grow beyond measure; send several sets";
                return problems.error(status.segment, 0, "too-many-statuses", "4", message.to_owned());
            }
            let event = self.event(&open, status);
            self.events.push(event);
        }
    }
}

impl Loop<'_> {
    fn segment(
        &mut self,
        segment: Segment<'_>,
        remarks_of_status: bool,
        zones: &Zones<'_>,
        problems: &mut Problems<'_>,
    ) {
        match (segment.name(), self.statuses.last_mut()) {
            ("K1" | "M7", Some(status)) if remarks_of_status => status.facts.read(segment, zones, problems),
            ("OID", _) => self.order(segment),
            ("MS1", Some(status)) if status.place.is_none() => status.place(segment),
            ("MS2", Some(status)) if status.equipment.is_none() => status.equipment(segment),
            // The number of the stop within the shipment.
            ("L11", _) if segment.value(2) == "QN" && segment.has(1) && self.stop.is_none() => {
                let mut reading = Reading::of(segment);
                self.stop = reading.some(1);
                reading.take(2);
                reading.leave("L11*QN", &mut self.facts.left);
            }
            ("NM1", _) if self.signed_by.is_none() && segment.has(3) => {
                let mut reading = Reading::of(segment);
                let names = [reading.some(4), reading.some(3)];
                self.signed_by = Some(names.into_iter().flatten().collect::<Vec<_>>().join(" "));
                reading.keep(3);
                reading.keep(4);
                reading.leave("NM1", &mut self.facts.left);
            }
            _ => mark_or_fact(segment, &mut self.facts, zones, problems),
        }
    }
}

impl Loop<'_> {
    /// OID, since 004020: an order that the status is of. How much of it went is kept.
    fn order(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        for (n, kind) in [(1, "so"), (2, "po")] {
            let named = reading.some(n).map(|value| Reference::new(kind, value).source(&format!("OID/{n}")));
            self.facts.references.extend(named);
        }
        reading.leave(&format!("OID*{}*{}", segment.value(1), segment.value(2)), &mut self.facts.left);
    }
}

impl Status<'_> {
    /// MS1: city, state, country; degrees are kept as they were sent.
    fn place(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let mut address = Address { city: reading.some(1), region: reading.some(2), ..Address::default() };
        let country = segment.value(3);
        if crossdock_x12::is_country(&country) {
            address.country = reading.some(3);
        }
        address.postal_code = reading.some(8);
        reading.leave("MS1", &mut self.facts.left);
        if address != Address::default() {
            self.place = Some(Place { address: Some(address), ..Place::default() });
        }
    }

    /// MS2: whose trailer it is, its number and kind.
    fn equipment(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let kind = reading.some(3).map(|code| name_of(EQUIPMENT, &code));
        if code_of(EQUIPMENT, kind.as_deref().unwrap_or_default()).as_deref() != Some(&*segment.value(3)) {
            reading.keep(3);
        }
        let number = reading.take(2).into_owned();
        reading.leave("MS2", &mut self.facts.left);
        let identifiers: Vec<_> = identified(kind.as_deref(), number).into_iter().collect();
        if kind.is_some() || !identifiers.is_empty() {
            self.equipment = Some(Equipment { kind, identifiers, ..Equipment::default() });
        }
    }
}

/// An AT7 with its time; none where it has no time that could be read.
fn status<'d>(segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Status<'d>> {
    let (said, appointment) = (segment.value(1), segment.value(3));
    if said.is_empty() && appointment.is_empty() {
        let message = "neither a status nor an appointment is there".to_owned();
        problems.error(segment, 1, "element-missing", "2", message);
    } else if !said.is_empty() && tables::status(&said).is_none() && !tables::is_delivered(&said) {
        let message =
            format!("`{}` is no status that this mapper knows; it is kept as it is", excerpt(&said));
        problems.warning(segment, 1, "unknown-status", "7", message);
    } else if said.is_empty() && !APPOINTMENTS.contains(&&*appointment) {
        let message = format!("`{}` is no status of an appointment", excerpt(&appointment));
        problems.warning(segment, 3, "unknown-status", "7", message);
    }
    let time = Reading::of(segment).time(5, Some((6, 7)), zones, problems);
    if time.is_none() && !segment.has(5) {
        problems.error(segment, 5, "element-missing", "1", "the status has no date".to_owned());
    }
    Some(Status { segment, time: time?, place: None, equipment: None, facts: Facts::default() })
}

/// MAN names packages; everything else is as in other sets.
fn mark_or_fact(segment: Segment<'_>, facts: &mut Facts, zones: &Zones<'_>, problems: &mut Problems<'_>) {
    if segment.name() != "MAN" || !segment.has(2) {
        return facts.read(segment, zones, problems);
    }
    let mut reading = Reading::of(segment);
    let (code, value) = (reading.take(1), reading.take(2));
    let kind = match &*code {
        "GM" => "sscc",
        "CP" => "tracking",
        _ => "package",
    };
    reading.leave(&format!("MAN*{code}*{value}"), &mut facts.left);
    facts.references.push(Reference::new(kind, &*value).source(&format!("MAN*{code}")));
}
