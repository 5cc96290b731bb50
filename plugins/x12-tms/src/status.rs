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
    let Some(begin) = report.begin else {
        let message = "the B10 that identifies the shipment is missing".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
        return Vec::new();
    };
    report.name_shipment(begin, problems);
    report.hand_over_loops_without_status();
    let events = report.events(problems);
    if events.is_empty() && !problems.refused() {
        let message = "no AT7 says where the shipment stands".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
    }
    events
}

#[derive(Default)]
struct Report<'d> {
    remarks_of_status: bool,
    begin: Option<Segment<'d>>,
    shipment: String,
    heading: Facts,
    carrier: Carrier,
    /// LX, and the orders (PRF) and packages (CD3) in them, in their order.
    loops: Vec<Loop<'d>>,
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

/// One loop, and what it says itself.
#[derive(Default)]
struct Loop<'d> {
    level: Level,
    /// The loop that it stands in, whose facts are its own too.
    parent: Option<usize>,
    /// The PRF or CD3.
    begin: Option<Segment<'d>>,
    facts: Facts,
    /// What loops below say that have no status: it is of this loop's statuses, and of no other loop's.
    below: Facts,
    stop: Option<String>,
    signed_by: Option<String>,
    statuses: Vec<Status<'d>>,
}

/// One AT7 with its MS1 and MS2.
#[derive(Clone)]
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
            "LX" => self.loops.push(Loop::default()),
            "CD3" | "PRF" => self.begin_within(segment),
            "AT7" => {
                // Some senders leave LX out.
                if self.loops.is_empty() {
                    self.loops.push(Loop::default());
                }
                let status = status(segment, zones, problems);
                self.loops.last_mut().into_iter().for_each(|open| open.statuses.extend(status.clone()));
            }
            "MS3" if self.loops.is_empty() => own_leg(segment, &mut self.carrier, &mut self.heading),
            _ => match self.loops.last_mut() {
                Some(open) => open.segment(segment, self.remarks_of_status, zones, problems),
                None => mark_or_fact(segment, &mut self.heading, zones, problems),
            },
        }
    }

    /// A package (CD3) or an order (PRF) has statuses of its own, and so has a package of an order.
    fn begin_within(&mut self, segment: Segment<'d>) {
        let level = if segment.name() == "PRF" { Level::Order } else { Level::Package };
        let since_shipment = self.loops.iter().rposition(|open| open.level == Level::Shipment);
        let holds = |open: &Loop<'_>| match level {
            Level::Package => open.level != Level::Package,
            _ => open.level == Level::Shipment,
        };
        let from = since_shipment.unwrap_or_default();
        let parent = self.loops[from..].iter().rposition(holds).map(|at| from + at);
        self.loops.push(Loop { level, parent, begin: Some(segment), ..Loop::default() });
    }

    fn beginning(&mut self, segment: Segment<'d>, problems: &mut Problems<'_>) {
        if self.begin.is_some() {
            let message = "B10 stands twice in one set".to_owned();
            return problems.error(segment, 0, "segment-repeated", "5", message);
        }
        self.begin = Some(segment);
        let mut reading = Reading::of(segment);
        let (pro, shipment) = (reading.some(1), reading.some(2));
        self.carrier.identifiers.extend(reading.some(3).map(Identifier::scac));
        if let Some(pro) = &pro {
            self.heading.references.push(Reference::new("pro", pro).source("B10/1"));
        }
        self.shipment = shipment.or(pro).unwrap_or_default();
        reading.leave("B10", &mut self.heading.left);
    }

    /// Where B10 names neither the shipment nor the carrier's own number, a reference stands for them.
    fn name_shipment(&mut self, begin: Segment<'_>, problems: &mut Problems<'_>) {
        if !self.shipment.is_empty() {
            return;
        }
        let kinds = ["shipment", "load", "bol", "pro", "tracking"];
        match self.heading.shipment_by_reference(&kinds, begin, 2, problems) {
            Some(shipment) => self.shipment = shipment,
            None => {
                let message = "neither the carrier's number nor the shipment's is there".to_owned();
                problems.error(begin, 2, "element-missing", "1", message);
            }
        }
    }

    /// A loop without a status of its own tells of the statuses of the loop around it, or of all where it has none.
    fn hand_over_loops_without_status(&mut self) {
        let mut told: Vec<bool> = self.loops.iter().map(|open| !open.statuses.is_empty()).collect();
        // A loop is told of by what stands in it, too.
        for at in (0..self.loops.len()).rev() {
            if let (true, Some(parent)) = (told[at], self.loops[at].parent) {
                told[parent] = true;
            }
        }
        for (at, told) in told.into_iter().enumerate() {
            self.loops[at].finish(told);
            if told {
                continue;
            }
            let mut around = self.loops[at].parent;
            while let Some(index) = around.filter(|index| self.loops[*index].statuses.is_empty()) {
                around = self.loops[index].parent;
            }
            let untold = std::mem::take(&mut self.loops[at]);
            match around {
                Some(index) => {
                    let around = &mut self.loops[index];
                    around.below.merge(untold.facts);
                    around.signed_by = around.signed_by.take().or(untold.signed_by);
                    around.stop = around.stop.take().or(untold.stop);
                }
                None => self.heading.merge(untold.facts),
            }
        }
    }

    /// An event for each status.
    fn events(&self, problems: &mut Problems<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut repeated = 0;
        for open in &self.loops {
            for status in &open.statuses {
                // Each status repeats what the heading and its loops say.
                repeated += self.heading.said() + open.facts.said() + open.below.said();
                if repeated > REPEATED_MAX {
                    let message = "so many statuses and references in one set would grow beyond measure; send several sets";
                    problems.error(status.segment, 0, "too-many-statuses", "4", message.to_owned());
                    return Vec::new();
                }
                events.push(self.event(open, status));
            }
        }
        events
    }
}

impl Loop<'_> {
    /// Reads the segment that it begins with. Where nobody tells of the loop itself, the segment is kept as it is.
    fn finish(&mut self, told: bool) {
        let Some(begin) = self.begin else { return };
        let mut first = Facts::default();
        let source = if told { "PRF/1" } else { "PRF" };
        if self.level == Level::Order && begin.has(1) {
            first.references.push(Reference::new("po", begin.value(1)).source(source));
        }
        match told {
            true => {
                let mut reading = Reading::of(begin);
                if self.level == Level::Order {
                    reading.take(1);
                }
                reading.leave(begin.name(), &mut first.left);
            }
            false => first.left.segment(begin),
        }
        first.merge(std::mem::take(&mut self.facts));
        self.facts = first;
    }

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
        if !segment.has(1) && !segment.has(2) {
            return self.facts.left.segment(segment);
        }
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
