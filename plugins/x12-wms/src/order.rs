//! 940, warehouse shipping order: what a warehouse is to ship, or no longer to ship.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Code, Correction, CorrectionKind, Identifier, Line, Lot, OrderCancelled, OrderReleased,
    Quantity, Reference, Temperature, Totals,
};

use crate::heading::{Heading, product, totals, upc_case};
use crate::line::{self, Before, Numbers};
use crate::tables;
use crossdock_x12::{Problems, Reading, Zones, excerpt};

/// Reads a 940 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut order = Order::default();
    for segment in set.segments().iter().skip(1) {
        order.segment(segment, zones, problems);
    }
    order.end_loop();
    match &order.identification {
        None => {
            let message = "the W05 that identifies the order is missing".to_owned();
            problems.error(set.header(), 0, "segment-missing", "5", message);
        }
        Some(identification) if order.lines.is_empty() && identification.needs_lines() => {
            problems.error(set.header(), 0, "segment-missing", "5", "no W01 says what is ordered".to_owned());
        }
        Some(_) => {}
    }
    order.into_event(problems)
}

#[derive(Default)]
struct Order {
    heading: Heading,
    identification: Option<Identification>,
    carrier: Option<Carrier>,
    temperature: Option<Temperature>,
    totals: Option<Totals>,
    lines: Vec<Line>,
    numbers: Numbers,
    /// The number of the LX that was read last.
    number: String,
    /// How many W01 it has had.
    in_loop: usize,
    in_detail: bool,
    in_summary: bool,
    draft: Option<line::Draft>,
    before: Before,
}

/// What W05 says.
struct Identification {
    /// W0501: `N` original, `R` change, `F` cancel, ...
    status: String,
    order: String,
}

impl Identification {
    fn cancels(&self) -> bool {
        matches!(self.status.as_str(), "F" | "D")
    }

    /// A cancellation is of the whole order without any, and `G` changes everything but lines.
    fn needs_lines(&self) -> bool {
        !self.cancels() && self.status != "G"
    }
}

impl Order {
    fn segment(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "SE" => {}
            "LX" => {
                self.end_loop();
                self.in_detail = true;
                self.in_loop = 0;
                self.before = Before::default();
                self.number = self.numbers.read(segment, problems);
            }
            "W01" => self.item(segment, problems),
            "W76" if self.totals.is_none() => {
                self.end_line();
                self.in_summary = true;
                let mut reading = Reading::of(segment);
                self.totals = Some(totals(&mut reading, problems));
                reading.leave("W76", &mut self.heading.left);
            }
            _ if self.in_detail && !self.in_summary => self.detail(segment, zones, problems),
            "W05" => self.identification(segment, problems),
            "W66" => self.carrier(segment),
            "W09" => self.temperature(segment, problems),
            _ => self.heading.read(segment, zones, problems),
        }
    }

    fn identification(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.identification.is_some() {
            problems.error(segment, 0, "segment-repeated", "5", "W05 stands twice in one set".to_owned());
            return;
        }
        let mut reading = Reading::of(segment);
        let status = reading.must(1, "the order's status", problems);
        if !matches!(status.as_str(), "N" | "R" | "F" | "") {
            reading.keep(1);
        }
        if !status.is_empty() && !tables::ORDER_STATUSES.contains(&status.as_str()) {
            let message = match status.as_str() {
                "A" | "X" => format!("status `{status}` informs or simulates, and orders nothing"),
                _ => format!("`{}` is no status of an order", excerpt(&status)),
            };
            problems.error(segment, 1, "unsupported-status", "7", message);
        }
        let order = reading.must(2, "the depositor's order number", problems);
        let references = &mut self.heading.references;
        references.push(Reference::new("order", &order).source("W05/2"));
        for (n, kind) in [(3, "po"), (4, "link-sequence"), (5, "master-reference")] {
            references
                .extend(reading.some(n).map(|value| Reference::new(kind, value).source(&format!("W05/{n}"))));
        }
        reading.leave("W05", &mut self.heading.left);
        self.identification = Some(Identification { status, order });
    }

    fn carrier(&mut self, segment: Segment<'_>) {
        if self.carrier.is_some() {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let carrier = self.carrier.get_or_insert_default();
        carrier.payment = reading.payment(1);
        if let Some(mode) = reading.some(2) {
            carrier.mode = Some(tables::mode(&mode).to_owned());
            carrier.source_mode = Some(mode);
        }
        carrier.service = reading.some(5);
        carrier.identifiers.extend(reading.some(10).map(Identifier::scac));
        reading.leave("W66", &mut self.heading.left);
    }

    /// W09 gives one or two temperatures with their units; two are the range.
    fn temperature(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.temperature.is_some() {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let first = degrees(&mut reading, 2, problems);
        let second = degrees(&mut reading, 4, problems);
        let temperature = match (first, second) {
            (Some(first), Some(second)) => {
                let colder_first = first.value.compare(&second.value).is_le();
                let (minimum, maximum) = if colder_first { (first, second) } else { (second, first) };
                Temperature { minimum: Some(minimum), maximum: Some(maximum), set_point: None }
            }
            (first, second) => Temperature { set_point: first.or(second), ..Temperature::default() },
        };
        if temperature != Temperature::default() {
            self.temperature = Some(temperature);
        }
        reading.leave("W09", &mut self.heading.left);
    }

    fn item(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        self.end_line();
        self.in_detail = true;
        self.in_loop += 1;
        let number = match (self.number.as_str(), self.in_loop) {
            ("", _) => (self.lines.len() + 1).to_string(),
            (number, 1) => number.to_owned(),
            (number, more) => format!("{number}.{more}"),
        };
        let mut reading = Reading::of(segment);
        let mut line = Line { number, ..Line::default() };
        line.ordered = reading.quantity(1, 2, "the quantity ordered", problems);
        if !segment.has(1) {
            problems.error(segment, 1, "element-missing", "1", "the quantity ordered is missing".to_owned());
        }
        upc_case(&mut reading, 3, &mut line.item);
        for n in [4, 6, 15] {
            product(&mut reading, n, &mut line.item, problems);
        }
        if line.item.identifiers.is_empty() && (3..=5).all(|n| !segment.has(n)) {
            problems.error(
                segment,
                4,
                "product-missing",
                "2",
                "no product number says what is ordered".to_owned(),
            );
        }
        line.lots.extend(reading.some(13).map(|number| Lot { number, ..Lot::default() }));
        let mut draft = self.before.begin(line);
        reading.leave("W01", &mut draft.left);
        self.draft = Some(draft);
    }

    fn detail(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match self.draft.as_mut() {
            Some(draft) => draft.read(segment, zones, problems),
            None => self.before.read(segment),
        }
    }

    fn end_loop(&mut self) {
        self.end_line();
        if self.in_loop == 0 {
            self.before.hand_over(&mut self.heading.references, &mut self.heading.left);
        }
    }

    fn end_line(&mut self) {
        self.lines.extend(self.draft.take().map(line::Draft::finish));
    }

    fn into_event(self, problems: &mut Problems<'_>) -> Option<Event> {
        let identification = self.identification?;
        if problems.refused() {
            return None;
        }
        let heading = self.heading;
        let Identification { ref order, ref status } = identification;
        let key = |event: Event| event.natural_key("order", order).order_key("order", order);
        if identification.cancels() {
            let reason = Some(Code { list: Some("x12-473".to_owned()), code: status.clone(), text: None });
            let mut left = heading.left;
            // A cancellation has no place for dates, a carrier or totals.
            left.value("dates", &heading.dates);
            left.value("carrier", &self.carrier);
            left.value("temperature", &self.temperature);
            left.value("totals", &self.totals);
            let data = OrderCancelled {
                order: order.clone(),
                references: heading.references,
                reason,
                parties: heading.parties.list,
                lines: self.lines,
                notes: heading.notes,
                extensions: left.into_extensions(),
                ..OrderCancelled::default()
            };
            return Some(key(Event::new(&data)));
        }
        let purpose = match status.as_str() {
            "N" | "T" => Some("original"),
            "R" | "G" => Some("change"),
            "L" => Some("replace"),
            _ => None,
        };
        let correction = match purpose {
            Some("change") => Some(CorrectionKind::Change),
            Some("replace") => Some(CorrectionKind::Replacement),
            _ => None,
        };
        let corrects = correction.is_some();
        let data = OrderReleased {
            order: order.clone(),
            purpose: purpose.map(str::to_owned),
            references: heading.references,
            dates: heading.dates,
            parties: heading.parties.list,
            carrier: self.carrier,
            temperature: self.temperature,
            lines: self.lines,
            totals: self.totals,
            correction: correction.map(|kind| Correction {
                kind,
                corrects: vec![Reference::new("order", order)],
                reason: None,
            }),
            notes: heading.notes,
            extensions: heading.left.into_extensions(),
            ..OrderReleased::default()
        };
        let event = key(Event::new(&data));
        Some(if corrects { event.corrects("order", order) } else { event })
    }
}

/// A temperature and its unit: element 355 has `FA` for Fahrenheit and `CE` for Celsius.
fn degrees(reading: &mut Reading<'_>, n: usize, problems: &mut Problems<'_>) -> Option<Quantity> {
    let value = reading.take(n);
    if value.is_empty() {
        return None;
    }
    let unit = reading.take(n + 1);
    let known = match &*unit {
        "FA" => Some("FAH"),
        "CE" => Some("CEL"),
        _ => None,
    };
    match crossdock_mapper::canonical::Decimal::parse(&value) {
        Ok(number) => Some(Quantity::new(number, known, &unit)),
        Err(_) => {
            let message = format!("the temperature `{}` is no number", excerpt(&value));
            problems.error(reading.segment, n, "not-a-number", "6", message);
            None
        }
    }
}
