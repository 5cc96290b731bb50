//! 945, warehouse shipping advice: what a warehouse says has left it.

use std::collections::BTreeMap;

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Code, Content, Dated, Decimal, Equipment, Identifier, Item, Line, LineStatus, Lot, Measure,
    Note, Pack, Quantity, Reference, ShipmentDispatched, Time, Totals, units,
};

use crate::heading::{Heading, is_qualifier, payment, product, reference, totals, upc_case};
use crate::source::{Left, Problems, Reading, Zones, excerpt};
use crate::tables::{self, EQUIPMENT, MARKS, WEIGHTS, name_of};

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
    packs: Packs,
    lines: Vec<Line>,
    current: Loop<'d>,
}

/// What W06 says.
#[derive(Default)]
struct Identification {
    order: String,
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
    packs: Vec<usize>,
    left: Left,
}

/// One W12 loop while it is read.
#[derive(Default)]
struct Draft {
    line: Line,
    /// The day of G62*36, to go to the line's lot.
    expiry: Option<String>,
    /// Packs by N9*LV or MAN, with what stands in the quantity's place and the key of the segment it came from.
    packs: Vec<(usize, String, String)>,
    left: Left,
}

impl<'d> Advice<'d> {
    fn segment(&mut self, segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "SE" => {}
            "LX" => {
                self.end_loop(problems);
                self.area = Area::Detail;
                self.saw_loop = true;
                let mut reading = Reading::of(segment);
                let number = reading.must(1, "the line's number", problems);
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
        let order = reading.must(2, "the depositor's order number", problems);
        let date = reading.time(3, None, zones, problems);
        let (shipment, agent_shipment) = (reading.some(4), reading.some(5));
        let references = &mut self.heading.references;
        references.push(Reference::new("order", &order).source("W06/2"));
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
        let mut reading = Reading::of(segment);
        let carrier = self.carrier.get_or_insert_default();
        if let Some(mode) = reading.some(1) {
            carrier.mode = Some(tables::mode(&mode).to_owned());
            carrier.source_mode = Some(mode);
        }
        carrier.identifiers.extend(reading.some(2).map(Identifier::scac));
        carrier.name = reading.some(3);
        carrier.payment = payment(&mut reading, 4);
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
        let mut reading = Reading::of(segment);
        let read = totals(&mut reading, problems);
        let packs = self.totals.take().and_then(|totals| totals.packs);
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
        self.totals = Some(Totals { packs, ..read });
        reading.leave("W03", &mut self.heading.left);
    }

    fn detail(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        let name = segment.name();
        let qualifier = segment.value(1);
        if name == "MAN" || (name == "N9" && qualifier == "LV" && segment.has(2)) {
            return self.pack(segment);
        }
        let Some(draft) = self.current.lines.last_mut() else {
            self.current.left.segment(segment);
            return;
        };
        match (name, &*qualifier) {
            ("G69", _) => {
                let mut reading = Reading::of(segment);
                match reading.some(1) {
                    Some(text) if draft.line.item.description.is_none() => {
                        draft.line.item.description = Some(text)
                    }
                    Some(text) => draft.line.notes.push(Note { kind: Some("description".to_owned()), text }),
                    None => {}
                }
                reading.leave("G69", &mut draft.left);
            }
            ("N9", "LT") if segment.has(2) => {
                let mut reading = Reading::of(segment);
                reading.take(1);
                let number = reading.take(2).into_owned();
                if draft.line.lots.iter().all(|lot| lot.number != number) {
                    draft.line.lots.push(Lot { number: number.clone(), ..Lot::default() });
                }
                reading.leave(&format!("N9*LT*{number}"), &mut draft.left);
            }
            ("N9", "SE") if segment.has(2) => {
                let mut reading = Reading::of(segment);
                reading.take(1);
                let serial = reading.take(2).into_owned();
                reading.leave(&format!("N9*SE*{serial}"), &mut draft.left);
                draft.line.serials.push(serial);
            }
            ("N9", _) => draft.line.references.extend(reference(segment, &mut draft.left)),
            ("G62", "36") if draft.expiry.is_none() => {
                let mut reading = Reading::of(segment);
                reading.take(1);
                draft.expiry = reading.time(2, None, zones, problems).and_then(|time| time.local);
                reading.leave("G62*36", &mut draft.left);
            }
            _ => draft.left.segment(segment),
        }
    }

    /// A MAN, or an N9*LV: a licence plate.
    fn pack(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let (qualifier, value) = (reading.take(1), reading.take(2));
        let scheme = match segment.name() {
            "N9" if is_sscc(&value) => "sscc".to_owned(),
            "N9" => "licence-plate".to_owned(),
            _ => name_of(MARKS, &qualifier),
        };
        let left = match self.current.lines.last_mut() {
            Some(draft) => &mut draft.left,
            None => &mut self.current.left,
        };
        if value.is_empty() {
            left.segment(segment);
            return;
        }
        let identifier = if scheme == "sscc" {
            Identifier::sscc(&*value)
        } else {
            Identifier::new(scheme, value.into_owned())
        };
        let pack = self.packs.find_or_add(identifier);
        let key = format!("{}*{qualifier}*{}", segment.name(), self.packs.list[pack].id);
        // Many warehouses put the units on a pallet where the standard has a description.
        let units = if segment.name() == "N9" { reading.take(3).into_owned() } else { String::new() };
        reading.leave(&key, left);
        match self.current.lines.last_mut() {
            Some(draft) => draft.packs.push((pack, units, key)),
            None => {
                if !units.is_empty() {
                    self.current.left.element(&key, 3, units);
                }
                self.current.packs.push(pack);
            }
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
        let mut draft = Draft { line, ..Draft::default() };
        reading.leave("W12", &mut draft.left);
        self.current.lines.push(draft);
    }

    /// Gives the lines of the loop that ends their packs and lots.
    fn end_loop(&mut self, problems: &mut Problems<'_>) {
        let mut current = std::mem::take(&mut self.current);
        if let (Some(begin), true) = (current.begin, current.lines.is_empty()) {
            problems.error(
                begin,
                0,
                "segment-missing",
                "5",
                "no W12 in this loop says what was shipped".to_owned(),
            );
        }
        for (index, mut draft) in std::mem::take(&mut current.lines).into_iter().enumerate() {
            if let Some(expiry) = draft.expiry.take() {
                match draft.line.lots.as_mut_slice() {
                    [lot] => lot.expiry = Some(expiry),
                    // Which lot it is for can't be told.
                    _ => draft.left.element("G62*36", 2, expiry.replace('-', "")),
                }
            }
            self.packs.fill(&mut draft, &current.packs);
            if index == 0 {
                std::mem::take(&mut current.left).append_to(&mut draft.left);
            }
            draft.line.extensions = std::mem::take(&mut draft.left).into_extensions();
            self.lines.push(draft.line);
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
            shipment: named.clone().unwrap_or_else(|| order.clone()),
            references: heading.references,
            dispatched: dispatched.map(Time::actual),
            dates,
            parties: heading.parties,
            carrier: self.carrier,
            equipment,
            lines: self.lines,
            packs: self.packs.list,
            totals: self.totals,
            notes: heading.notes,
            extensions: heading.left.into_extensions(),
            ..ShipmentDispatched::default()
        };
        let event = Event::new(&data).natural_key("order", &order);
        // Several advices may answer one order: the shipment tells them apart, or at least the day.
        let day = data.dispatched.as_ref().and_then(|time| time.date_digits());
        let event = match (named, day) {
            (Some(shipment), _) => event.natural_key("shipment", shipment),
            (None, Some(day)) => event.natural_key("day", day),
            (None, None) => event,
        };
        let event = event.order_key("order", &order);
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

/// Works out what is missing or too much, and holds the sender to what it says about it.
fn compare(reading: &mut Reading<'_>, line: &mut Line, problems: &mut Problems<'_>) {
    let stated = reading.number(4, "the difference", problems);
    let (Some(ordered), Some(shipped)) = (&line.ordered, &line.shipped) else {
        reading.keep(4);
        if line.shipped.is_none() && !reading.segment.has(3) {
            problems.error(
                reading.segment,
                3,
                "element-missing",
                "1",
                "the quantity shipped is missing".to_owned(),
            );
        }
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
    if let Some(stated) = stated {
        let size = missing.as_ref().unwrap_or(&difference);
        if stated.compare(size).is_ne() {
            let message = format!("states a difference of {}, but it is {}", stated.as_str(), size.as_str());
            problems.warning(reading.segment, 4, "difference-differs", "7", message);
            reading.keep(4);
        }
    }
    if line.status == Some(LineStatus::Backordered) {
        line.backordered = missing.map(as_quantity);
    }
    line.difference = Some(as_quantity(difference));
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

/// 18 digits, or 20 with the application identifier 00 before them.
fn is_sscc(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
        && (value.len() == 18 || (value.len() == 20 && value.starts_with("00")))
}

/// The packs of a shipment; one that is named twice is one pack.
#[derive(Default)]
struct Packs {
    list: Vec<Pack>,
    by_id: BTreeMap<String, usize>,
}

impl Packs {
    fn find_or_add(&mut self, identifier: Identifier) -> usize {
        let id = identifier.value.clone();
        *self.by_id.entry(id.clone()).or_insert_with(|| {
            self.list.push(Pack { id, identifiers: vec![identifier], ..Pack::default() });
            self.list.len() - 1
        })
    }

    /// Puts a line into its own packs, and into those of its loop.
    fn fill(&mut self, draft: &mut Draft, of_loop: &[usize]) {
        let units = self.units(draft);
        for (index, (pack, text, key)) in draft.packs.iter().enumerate() {
            let quantity = units.as_ref().map(|units| units[index].clone());
            if quantity.is_none() && !text.is_empty() {
                draft.left.element(key, 3, text.clone());
            }
            self.put(*pack, &mut draft.line, quantity);
        }
        for pack in of_loop {
            self.put(*pack, &mut draft.line, None);
        }
    }

    /// The text beside a licence plate counts units only where all of them together are what was shipped.
    fn units(&self, draft: &Draft) -> Option<Vec<Quantity>> {
        let shipped = draft.line.shipped.as_ref()?;
        let numbers: Vec<Decimal> =
            draft.packs.iter().map(|(_, text, _)| Decimal::parse(text).ok()).collect::<Option<_>>()?;
        let sum =
            Decimal::sum(&numbers).filter(|sum| sum.compare(&shipped.value).is_eq() && !numbers.is_empty());
        sum.map(|_| numbers.into_iter().map(|value| Quantity { value, ..shipped.clone() }).collect())
    }

    fn put(&mut self, pack: usize, line: &mut Line, quantity: Option<Quantity>) {
        let pack = &mut self.list[pack];
        let lot = match line.lots.as_slice() {
            [lot] => Some(lot.number.clone()),
            _ => None,
        };
        pack.contents.push(Content { line: line.number.clone(), quantity, lot, ..Content::default() });
        line.packs.push(pack.id.clone());
    }
}
