//! 945, warehouse shipping advice: what a warehouse says has left it.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Code, Dated, Decimal, Equipment, Identifier, Item, Line, LineStatus, Lot, Measure, Quantity,
    Reference, ShipmentDispatched, Time, Totals, units,
};

use crate::heading::{Heading, is_qualifier, product, totals, upc_case};
use crate::line::{self, Before, Numbers};
use crate::packs::{Mention, Packs};
use crate::tables::{self, EQUIPMENT, WEIGHTS, name_of};
use crossdock_x12::{Problems, Reading, Zones, excerpt};

/// Reads a 945 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut advice = Advice::default();
    for segment in set.segments().iter().skip(1) {
        advice.segment(segment, zones, problems);
    }
    advice.end_loop(problems);
    let header = set.header();
    if advice.identification.is_none() {
        problems.error(
            header,
            0,
            "segment-missing",
            "5",
            "the W06 that identifies the shipment is missing".to_owned(),
        );
    }
    if advice.lines.is_empty() && !advice.saw_loop {
        problems.error(header, 0, "segment-missing", "5", "no W12 says what was shipped".to_owned());
    }
    advice.into_event(problems)
}

/// Where in the set the reader is.
#[derive(Default, PartialEq)]
enum Area {
    #[default]
    Heading,
    Detail,
    Summary,
}

#[derive(Default)]
struct Advice<'d> {
    area: Area,
    heading: Heading,
    identification: Option<Identification>,
    carrier: Option<Carrier>,
    equipment: Option<Equipment>,
    seals: Vec<String>,
    totals: Option<Totals>,
    saw_loop: bool,
    saw_load: bool,
    numbers: Numbers,
    packs: Packs,
    lines: Vec<Line>,
    current: Loop<'d>,
}

/// What W06 says.
#[derive(Default)]
struct Identification {
    order: Option<String>,
    shipment: Option<String>,
    agent_shipment: Option<String>,
    date: Option<Time>,
}

/// One LX loop while it is read.
#[derive(Default)]
struct Loop<'d> {
    number: String,
    /// The LX, for the place of what is missing in it.
    begin: Option<Segment<'d>>,
    lines: Vec<Draft>,
    /// Packs named before any W12: they hold every line of the loop.
    packs: Vec<Mention>,
    before: Before,
}

/// One W12 loop while it is read.
#[derive(Default)]
struct Draft {
    detail: line::Draft,
    packs: Vec<Mention>,
}

impl<'d> Advice<'d> {
    fn segment(&mut self, segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "SE" => {}
            "LX" => {
                self.end_loop(problems);
                self.area = Area::Detail;
                self.saw_loop = true;
                let number = self.numbers.read(segment, problems);
                self.current = Loop { number, begin: Some(segment), ..Loop::default() };
            }
            "W03" => {
                self.end_loop(problems);
                self.area = Area::Summary;
                self.totals(segment, problems);
            }
            "W12" => self.item(segment, problems),
            _ if self.area == Area::Detail => self.detail(segment, zones, problems),
            "W06" => self.identification(segment, zones, problems),
            "W27" => self.carrier(segment),
            "W10" => self.load(segment, problems),
            "N9" if segment.value(1) == "SN" && segment.has(2) => {
                let mut reading = Reading::of(segment);
                let (qualifier, seal) = (reading.take(1), reading.take(2));
                self.seals.push(seal.to_string());
                reading.leave(&format!("N9*{qualifier}*{seal}"), &mut self.heading.left);
            }
            _ => self.heading.read(segment, zones, problems),
        }
    }

    fn identification(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        if self.identification.is_some() {
            problems.error(segment, 0, "segment-repeated", "5", "W06 stands twice in one set".to_owned());
            return;
        }
        let mut reading = Reading::of(segment);
        // Everything is reported in full unless the sender says otherwise, which is kept.
        if reading.take(1) != "F" {
            reading.keep(1);
        }
        let order = reading.some(2);
        let date = reading.time(3, None, zones, problems);
        let (shipment, agent_shipment) = (reading.some(4), reading.some(5));
        if order.is_none() {
            let message = "the depositor's order number is missing".to_owned();
            // The standard leaves it optional: what was shipped is known by its shipment too.
            match shipment.is_some() || agent_shipment.is_some() {
                true => problems.warning(segment, 2, "order-missing", "1", message),
                false => problems.error(segment, 2, "element-missing", "1", message),
            }
        }
        let references = &mut self.heading.references;
        references.extend(order.as_ref().map(|order| Reference::new("order", order).source("W06/2")));
        for (n, kind, value) in [
            (4, "shipment", shipment.clone()),
            (5, "agent-shipment", agent_shipment.clone()),
            (6, "po", reading.some(6)),
            (7, "master-reference", reading.some(7)),
            (8, "link-sequence", reading.some(8)),
        ] {
            references.extend(value.map(|value| Reference::new(kind, value).source(&format!("W06/{n}"))));
        }
        reading.leave("W06", &mut self.heading.left);
        self.identification = Some(Identification { order, shipment, agent_shipment, date });
    }

    fn carrier(&mut self, segment: Segment<'_>) {
        if self.carrier.is_some() {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let carrier = self.carrier.get_or_insert_default();
        if let Some(mode) = reading.some(1) {
            carrier.mode = Some(tables::mode(&mode).to_owned());
            carrier.source_mode = Some(mode);
        }
        carrier.identifiers.extend(reading.some(2).map(Identifier::scac));
        carrier.name = reading.some(3);
        carrier.payment = reading.payment(4);
        let kind = reading.some(5).map(|code| name_of(EQUIPMENT, &code));
        let number = format!("{}{}", reading.take(6), reading.take(7));
        if kind.is_some() || !number.is_empty() {
            let scheme = if kind.as_deref() == Some("container") { "container" } else { "equipment" };
            let identifiers =
                if number.is_empty() { Vec::new() } else { vec![Identifier::new(scheme, number)] };
            self.equipment = Some(Equipment { kind, identifiers, ..Equipment::default() });
        }
        reading.leave("W27", &mut self.heading.left);
    }

    fn load(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if std::mem::replace(&mut self.saw_load, true) {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        // W10-02 counts pallets by its definition, so the unit is not made up.
        let pallets = reading.number(2, "the number of pallets", problems);
        if let Some(pallets) = pallets {
            self.totals.get_or_insert_default().packs = Some(Quantity::new(pallets, Some("PF"), ""));
        }
        self.seals.extend([reading.some(4), reading.some(5)].into_iter().flatten());
        reading.leave("W10", &mut self.heading.left);
    }

    fn totals(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.totals.as_ref().is_some_and(|totals| totals.units.is_some()) {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let read = totals(&mut reading, problems);
        // A line that could not be read would only make a wrong sum.
        if let (Some(stated), false) = (&read.units, problems.refused()) {
            let shipped =
                self.lines.iter().filter_map(|line| line.shipped.as_ref()).map(|shipped| &shipped.value);
            if let Some(sum) = Decimal::sum(shipped).filter(|sum| sum.compare(&stated.value).is_ne()) {
                let message =
                    format!("W03 states {} units, the lines ship {}", stated.value.as_str(), sum.as_str());
                problems.warning(segment, 1, "total-differs", "", message);
            }
        }
        let pallets = self.totals.take().and_then(|totals| totals.packs);
        let packs = match pallets {
            Some(pallets) => Some(pallets),
            None => reading.quantity(6, 7, "the number of packs", problems),
        };
        self.totals = Some(Totals { packs, ..read });
        reading.leave("W03", &mut self.heading.left);
    }

    fn detail(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        let is_pack = match segment.name() {
            "MAN" => true,
            "N9" => segment.value(1) == "LV" && segment.has(2),
            _ => false,
        };
        match self.current.lines.last_mut() {
            Some(draft) if is_pack => draft.packs.extend(self.packs.read(segment, &mut draft.detail.left)),
            Some(draft) => draft.detail.read(segment, zones, problems),
            None if is_pack => {
                if let Some(mention) = self.packs.read(segment, &mut self.current.before.left) {
                    mention.keep_units(&mut self.current.before.left);
                    self.current.packs.push(mention);
                }
            }
            None => self.current.before.read(segment),
        }
    }

    fn item(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.area != Area::Detail {
            self.area = Area::Detail;
            self.current.number = (self.lines.len() + 1).to_string();
        }
        let mut reading = Reading::of(segment);
        let number = match self.current.lines.len() {
            0 => self.current.number.clone(),
            more => format!("{}.{}", self.current.number, more + 1),
        };
        let mut line = Line { number, ..Line::default() };
        line.ordered = reading.quantity(2, 5, "the quantity ordered", problems);
        line.shipped = reading.quantity(3, 5, "the quantity shipped", problems);
        line.status = status(&mut reading, &line, problems);
        shipped(&mut reading, &mut line, problems);
        compare(&mut reading, &mut line, problems);

        let shift = usize::from(is_shifted(segment));
        if shift == 1 {
            let message =
                "the product numbers stand one element too far to the right; they were read from there"
                    .to_owned();
            problems.warning(segment, 7, "elements-shifted", "7", message);
        }
        upc_case(&mut reading, 6 + shift, &mut line.item);
        product(&mut reading, 7 + shift, &mut line.item, problems);
        line.lots.extend(reading.some(9 + shift).map(|number| Lot { number, ..Lot::default() }));
        for n in [10 + shift, 13 + shift] {
            line.measures.extend(weight(&mut reading, n, problems));
        }
        if line.status == Some(LineStatus::Substituted) {
            let mut original = Item::default();
            upc_case(&mut reading, 16 + shift, &mut original);
            product(&mut reading, 17 + shift, &mut original, problems);
            line.substitutes = (!original.identifiers.is_empty()).then_some(original);
        } else {
            upc_case(&mut reading, 16 + shift, &mut line.item);
            product(&mut reading, 17 + shift, &mut line.item, problems);
        }
        line.reason =
            reading.some(19 + shift).map(|code| Code { list: Some("x12-371".to_owned()), code, text: None });
        product(&mut reading, 21 + shift, &mut line.item, problems);
        if line.item.identifiers.is_empty() && (6..=8).all(|n| !segment.has(n)) {
            problems.error(
                segment,
                7,
                "product-missing",
                "2",
                "no product number says what was shipped".to_owned(),
            );
        }
        let mut detail = self.current.before.begin(line);
        reading.leave("W12", &mut detail.left);
        self.current.lines.push(Draft { detail, packs: Vec::new() });
    }

    /// Gives the lines of the loop that ends their packs and lots.
    fn end_loop(&mut self, problems: &mut Problems<'_>) {
        let current = std::mem::take(&mut self.current);
        if let (Some(begin), true) = (current.begin, current.lines.is_empty()) {
            problems.error(
                begin,
                0,
                "segment-missing",
                "5",
                "no W12 in this loop says what was shipped".to_owned(),
            );
        }
        for Draft { mut detail, packs } in current.lines {
            self.packs.fill(&mut detail.line, &mut detail.left, &packs, &current.packs);
            self.lines.push(detail.finish());
        }
    }

    fn into_event(self, problems: &mut Problems<'_>) -> Option<Event> {
        let identification = self.identification?;
        if problems.refused() {
            return None;
        }
        let heading = self.heading;
        let bol = Reference::find(&heading.references, "bol").map(str::to_owned);
        let named = identification.shipment.or(identification.agent_shipment).or(bol);
        let mut dates = heading.dates;
        let dispatched = match (heading.shipped, identification.date) {
            (Some(shipped), Some(date)) => {
                if date.date_digits() != shipped.date_digits() {
                    dates.push(Dated { kind: "advice".to_owned(), time: date });
                }
                Some(shipped)
            }
            (shipped, date) => shipped.or(date),
        };
        let mut equipment: Vec<Equipment> = self.equipment.into_iter().collect();
        if !self.seals.is_empty() {
            match equipment.first_mut() {
                Some(equipment) => equipment.seals = self.seals,
                None => equipment.push(Equipment { seals: self.seals, ..Equipment::default() }),
            }
        }
        let order = identification.order;
        let data = ShipmentDispatched {
            shipment: named.clone().or_else(|| order.clone()).unwrap_or_default(),
            references: heading.references,
            dispatched: dispatched.map(Time::actual),
            dates,
            parties: heading.parties.list,
            carrier: self.carrier,
            equipment,
            lines: self.lines,
            packs: self.packs.list,
            totals: self.totals,
            notes: heading.notes,
            extensions: heading.left.into_extensions(),
            ..ShipmentDispatched::default()
        };
        let event = match &order {
            Some(order) => Event::new(&data).natural_key("order", order),
            None => Event::new(&data),
        };
        // Several advices may answer one order: the shipment tells them apart, or at least the day.
        let day = data.dispatched.as_ref().and_then(|time| time.date_digits());
        let event = match (named, day) {
            (Some(shipment), _) => event.natural_key("shipment", shipment),
            (None, Some(day)) => event.natural_key("day", day),
            (None, None) => event,
        };
        let event = match (&order, &data.shipment) {
            (Some(order), _) => event.order_key("order", order),
            (None, shipment) => event.order_key("shipment", shipment),
        };
        Some(match &data.dispatched {
            Some(time) => event.occurred_at(time),
            None => event,
        })
    }
}

/// How W12-01 says that the line stands; a code that says the same in other words is kept.
fn status(reading: &mut Reading<'_>, line: &Line, problems: &mut Problems<'_>) -> Option<LineStatus> {
    let code = reading.take(1);
    let status = tables::line_status(&code);
    if status.is_none_or(|status| tables::line_status_code(status) != code) {
        reading.keep(1);
    }
    if status.is_some() {
        return status;
    }
    if !tables::status_by_quantities(&code) {
        let (standard, message) = match code.is_empty() {
            true => ("1", "the line's status is missing".to_owned()),
            false => ("7", format!("`{}` is no status of a shipped line", excerpt(&code))),
        };
        problems.warning(reading.segment, 1, "unknown-status", standard, message);
    }
    LineStatus::of(line.ordered.as_ref()?, line.shipped.as_ref()?)
}

/// The quantity shipped, where only what was ordered and what is missing are sent (W12-03 is optional). Nothing has gone
/// of a line that is cancelled or still to come, and need not be said.
fn shipped(reading: &mut Reading<'_>, line: &mut Line, problems: &mut Problems<'_>) {
    if line.shipped.is_some() || reading.segment.has(3) {
        return;
    }
    let missing = reading.signed(4, "the difference", problems).map(|missing| magnitude(&missing));
    let worked_out = match (&line.ordered, missing) {
        (Some(ordered), Some(missing)) => {
            ordered.value.checked_sub(&missing).filter(|rest| !rest.is_negative())
        }
        _ => None,
    };
    let unsent = matches!(line.status, Some(LineStatus::Cancelled | LineStatus::Backordered));
    match (&line.ordered, worked_out) {
        (Some(ordered), Some(value)) => {
            let message = format!(
                "the quantity shipped is missing; what was ordered less the difference is {}",
                value.as_str()
            );
            line.shipped = Some(Quantity { value, ..ordered.clone() });
            problems.warning(reading.segment, 3, "shipped-worked-out", "1", message);
        }
        _ if unsent => {}
        _ => {
            let message = "the quantity shipped is missing".to_owned();
            problems.error(reading.segment, 3, "element-missing", "1", message);
        }
    }
}

/// Works out what is missing or too much, and holds the sender to what it says about it.
fn compare(reading: &mut Reading<'_>, line: &mut Line, problems: &mut Problems<'_>) {
    let stated = reading.signed(4, "the difference", problems);
    let (Some(ordered), Some(shipped)) = (&line.ordered, &line.shipped) else {
        reading.keep(4);
        return;
    };
    let Some(difference) = shipped.value.checked_sub(&ordered.value) else { return };
    let as_quantity = |value: Decimal| Quantity { value, ..shipped.clone() };
    let missing = ordered
        .value
        .checked_sub(&shipped.value)
        .filter(|missing| !missing.is_negative() && !missing.is_zero());

    let over = !difference.is_negative() && !difference.is_zero();
    if over && !matches!(line.status, Some(LineStatus::Over | LineStatus::Substituted)) {
        let unit = reading.take(5);
        let message = format!(
            "ships {} {unit} of {} ordered, and the status does not say that more was to go",
            shipped.value.as_str(),
            ordered.value.as_str()
        );
        problems.error(reading.segment, 3, "shipped-exceeds-ordered", "7", message);
    }
    if let (Some(missing), Some(LineStatus::Complete)) = (&missing, line.status) {
        let message =
            format!("the status says that the line is complete, and {} are missing", missing.as_str());
        problems.warning(reading.segment, 1, "status-differs", "7", message);
    }
    if let Some(stated) = stated {
        // The standard has the size of it, and some senders its sign as well.
        let size = missing.as_ref().unwrap_or(&difference);
        if magnitude(&stated).compare(size).is_ne() {
            let message = format!("states a difference of {}, but it is {}", stated.as_str(), size.as_str());
            problems.warning(reading.segment, 4, "difference-differs", "7", message);
        }
        if stated.compare(size).is_ne() {
            reading.keep(4);
        }
    }
    if line.status == Some(LineStatus::Backordered) {
        line.backordered = missing.map(as_quantity);
    }
    line.difference = Some(as_quantity(difference));
}

/// A number without its sign.
fn magnitude(number: &Decimal) -> Decimal {
    match number.is_negative() {
        true => Decimal::ZERO.checked_sub(number).unwrap_or_default(),
        false => number.clone(),
    }
}

/// A weight, its qualifier and its unit of one letter.
fn weight(reading: &mut Reading<'_>, n: usize, problems: &mut Problems<'_>) -> Option<Measure> {
    let value = reading.number(n, "the weight", problems)?;
    let (qualifier, unit) = (reading.take(n + 1), reading.take(n + 2));
    let kind = if qualifier.is_empty() { "weight".to_owned() } else { name_of(WEIGHTS, &qualifier) };
    Some(Measure::new(&kind, value, units::from_x12_weight(&unit), &unit))
}

/// Some warehouses leave one element too many empty before the UPC case code. It shows: where the qualifier of two
/// letters belongs stand twelve digits, and the qualifier follows them.
fn is_shifted(segment: Segment<'_>) -> bool {
    let code = segment.value(7);
    !segment.has(6)
        && code.len() == 12
        && code.bytes().all(|byte| byte.is_ascii_digit())
        && is_qualifier(&segment.value(8))
        && segment.has(9)
}
