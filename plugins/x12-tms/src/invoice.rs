//! 210, motor carrier freight details and invoice: what a carrier wants to be paid, charge by charge. An invoice may be of
//! many shipments: each line then names its own.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Amount, Carrier, Charge, Code, Correction, CorrectionKind, Dated, Decimal, FreightInvoiced, Identifier,
    Invoice, InvoiceLine, Line, Measure, Note, Quantity, Reference, Time,
};
use crossdock_x12::{Left, Problems, Reading, Zones};

use crate::facts::{Facts, reference};
use crate::money::{amount, magnitude, money, opposite};
use crate::stops::Stops;
use crate::tables::{CHARGES, INVOICE_DATES, WEIGHTS, code_of, name_of, volume_unit, weight_unit};
use crate::tender::{currency, own_leg};

/// Reads a 210 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut reader = Reader::default();
    for segment in set.segments().iter().skip(1) {
        reader.segment(segment, zones, problems);
    }
    reader.end_line();
    reader.stops.end();
    let Some(begin) = reader.begin else {
        let message = "the B3 that identifies the invoice is missing".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
        return None;
    };
    reader.compare(begin, problems);
    reader.into_event(problems)
}

#[derive(Default)]
struct Reader<'d> {
    begin: Option<Segment<'d>>,
    heading: Facts,
    stops: Stops,
    invoice: Invoice,
    shipment: Option<String>,
    carrier: Carrier,
    payable: Option<Decimal>,
    /// L305, the total of all charges.
    total: Option<Decimal>,
    open: Option<Draft>,
    in_summary: bool,
}

/// One LX loop, or one package (CD3) in it.
#[derive(Default)]
struct Draft {
    line: InvoiceLine,
    left: Left,
    /// Packages of this LX so far.
    packages: usize,
    /// Whether it is a package.
    of_package: bool,
}

impl<'d> Reader<'d> {
    fn segment(&mut self, segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "SE" => {}
            "B3" => self.beginning(segment, zones, problems),
            "C3" if self.open.is_none() => self.invoice.currency = currency(segment, &mut self.heading),
            "ITD" if self.open.is_none() => self.terms(segment, zones, problems),
            "R3" | "MS3" if self.open.is_none() => own_leg(segment, &mut self.carrier, &mut self.heading),
            "W09" if self.open.is_none() => self.heading.left.segment(segment),
            "S5" => self.stops.begin(segment, problems),
            "LX" => {
                self.stops.end();
                self.end_line();
                let count = || (self.invoice.lines.len() + 1).to_string();
                let number = Reading::of(segment).some(1).unwrap_or_else(count);
                let line = InvoiceLine { line: Line { number, ..Line::default() }, ..InvoiceLine::default() };
                self.open = Some(Draft { line, ..Draft::default() });
            }
            "L3" => self.sum(segment, problems),
            "CD3" if self.open.is_some() => self.package(segment, problems),
            _ if self.in_summary => self.heading.left.segment(segment),
            _ => match &mut self.open {
                Some(draft) => draft.segment(segment, problems),
                None if self.stops.is_open() => self.stops.read(segment, zones, problems),
                None => self.heading.read(segment, zones, problems),
            },
        }
    }

    fn beginning(&mut self, segment: Segment<'d>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        if self.begin.is_some() {
            return problems.error(
                segment,
                0,
                "segment-repeated",
                "5",
                "B3 stands twice in one set".to_owned(),
            );
        }
        self.begin = Some(segment);
        let mut reading = Reading::of(segment);
        self.invoice.invoice = reading.must(2, "the invoice's number", problems);
        self.shipment = reading.some(3);
        self.carrier.payment = reading.payment(4);
        self.invoice.invoiced = reading.time(6, None, zones, problems);
        self.payable = amount(&mut reading, 7, "the amount due", problems);
        if self.payable.is_none() && !segment.has(7) {
            problems.error(segment, 7, "element-missing", "1", "the amount due is missing".to_owned());
        }
        self.invoice.source_kind = reading.some(8);
        let day = reading.time(9, None, zones, problems);
        let qualifier = reading.take(10);
        match day {
            Some(time) => {
                // By its definition the date of delivery, unless B310 says otherwise.
                let kind = if qualifier.is_empty() {
                    "delivered".to_owned()
                } else {
                    name_of(INVOICE_DATES, &qualifier)
                };
                if code_of(INVOICE_DATES, &kind).as_deref() != Some(&*qualifier) {
                    reading.keep(10);
                }
                self.heading.dates.push(Dated { kind, time });
            }
            None => reading.keep(10),
        }
        self.carrier.identifiers.extend(reading.some(11).map(Identifier::scac));
        let picked_up = reading.time(12, None, zones, problems);
        self.heading.dates.extend(picked_up.map(|time| Dated { kind: "picked-up".to_owned(), time }));
        reading.leave("B3", &mut self.heading.left);
    }

    /// ITD: when it is due; what else the terms say is kept.
    fn terms(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let due = reading.time(6, None, zones, problems);
        self.heading.dates.extend(due.map(|time| Dated { kind: "due".to_owned(), time }));
        reading.leave("ITD", &mut self.heading.left);
    }

    /// L3: totals of the whole.
    fn sum(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        self.end_line();
        if std::mem::replace(&mut self.in_summary, true) {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let totals = self.heading.totals.get_or_insert_default();
        if totals.weight.is_none() {
            totals.weight = billed(&mut reading, 1, 12, "the weight", weight_unit, problems);
        }
        if totals.volume.is_none() {
            totals.volume = billed(&mut reading, 9, 10, "the volume", volume_unit, problems);
        }
        if totals.units.is_none() {
            totals.units = billed(&mut reading, 11, 0, "the number of pieces", |_| None, problems);
        }
        self.total = amount(&mut reading, 5, "the total of the charges", problems);
        reading.leave("L3", &mut self.heading.left);
    }

    /// CD3: a package of the LX, with a charge or two of its own.
    fn package(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let Some(mut before) = self.open.take() else { return };
        let packages = before.packages + 1;
        let of = before.line.line.number.split('.').next().unwrap_or_default().to_owned();
        let number = format!("{of}.{packages}");
        before.packages = packages;
        self.close(before);
        let mut draft = Draft { packages, of_package: true, ..Draft::default() };
        draft.line.line.number = number;
        let mut reading = Reading::of(segment);
        let kind = weight_kind(&mut reading, 1);
        let weighed = reading.signed(2, "the weight", problems);
        let unit = if weighed.is_some() { reading.take(12) } else { Default::default() };
        draft.line.line.measures.extend(weighed.map(|value| measure(&kind, Quantity::x12(value, &unit))));
        for n in [8, 10] {
            let Some(charged) = amount(&mut reading, n, "the charge", problems) else { continue };
            draft.line.charges.push(charge(None, charged));
        }
        reading.leave("CD3", &mut draft.left);
        self.open = Some(draft);
    }

    fn end_line(&mut self) {
        if let Some(draft) = self.open.take() {
            self.close(draft);
        }
    }

    fn close(&mut self, draft: Draft) {
        let Draft { mut line, left, .. } = draft;
        line.line.extensions = left.into_extensions();
        self.invoice.lines.push(line);
    }

    /// Holds the sender to its sums: the charges of the lines, their total and what is due.
    fn compare(&mut self, begin: Segment<'_>, problems: &mut Problems<'_>) {
        if problems.refused() {
            return;
        }
        let of = |packages: bool| {
            let lines = self.invoice.lines.iter().filter(|line| line.line.number.contains('.') == packages);
            let charges: Vec<Decimal> = lines.flat_map(|line| &line.charges).filter_map(signed).collect();
            Decimal::sum(&charges).filter(|_| !charges.is_empty())
        };
        // Packages repeat what the line has charged already, or are charged beside it; both are usual.
        let (lines, packages) = (of(false), of(true));
        let both = match (&lines, &packages) {
            (Some(lines), Some(packages)) => lines.checked_add(packages),
            _ => None,
        };
        let sums: Vec<&Decimal> = [&lines, &packages, &both].into_iter().flatten().collect();
        let stated = self.total.as_ref().or(self.payable.as_ref());
        if let (Some(stated), Some(first)) = (stated, sums.first())
            && sums.iter().all(|sum| sum.compare(stated).is_ne())
        {
            let message = format!(
                "the charges of the lines make {}, and the total says {}",
                first.as_str(),
                stated.as_str()
            );
            problems.warning(begin, 7, "total-differs", "", message);
        }
        if let (Some(total), Some(payable)) = (&self.total, &self.payable)
            && total.compare(payable).is_ne()
        {
            let message = format!("{} is due, and L3 totals {}", payable.as_str(), total.as_str());
            problems.warning(begin, 7, "amount-differs", "", message);
        }
    }

    fn into_event(self, problems: &Problems<'_>) -> Option<Event> {
        if problems.refused() {
            return None;
        }
        let Self { mut invoice, mut heading, mut stops, carrier, shipment, payable, total, .. } = self;
        let payable = payable?;
        let correction = match invoice.source_kind.as_deref() {
            // Element 202: corrected, adjusted, or taking the place of another.
            Some("CO" | "CA" | "AJ" | "RV") => Some(CorrectionKind::Change),
            Some("RI" | "RB" | "RE") => Some(CorrectionKind::Replacement),
            _ => None,
        };
        invoice.kind = Some(
            match (payable.is_negative(), &correction) {
                (true, _) => "credit",
                (false, Some(_)) => "correction",
                (false, None) => "invoice",
            }
            .to_owned(),
        );
        let of_shipment =
            shipment.as_ref().map(|shipment| Reference::new("shipment", shipment).source("B3/3"));
        heading.merge(std::mem::take(&mut stops.trailers));
        invoice.references = of_shipment.into_iter().chain(heading.references).collect();
        invoice.dates = heading.dates;
        invoice.parties = heading.parties.list;
        invoice.equipment = heading.equipment;
        invoice.places = stops.list.iter().filter_map(|stop| stop.place.clone()).collect();
        heading.left.value("stops", &stops.list);
        heading.left.value("stops_left", &stops.left());
        heading.left.value("stops_goods", &stops.goods.lines);
        invoice.notes = heading.notes;
        invoice.totals = heading.totals.filter(|totals| *totals != Default::default());
        invoice.carrier = Some(carrier.clone()).filter(|carrier| *carrier != Carrier::default());
        let currency = invoice.currency.clone();
        let state = |kind: &str, source: &str, sum: Decimal| Amount {
            kind: kind.to_owned(),
            source_kind: Some(source.to_owned()),
            money: money(sum, currency.as_deref()),
        };
        invoice.amounts.push(state("payable", "B3/7", payable));
        invoice.amounts.extend(total.map(|total| state("charges", "L3/5", total)));
        for charge in invoice.lines.iter_mut().flat_map(|line| &mut line.charges) {
            for sum in [&mut charge.amount, &mut charge.rate].into_iter().flatten() {
                sum.currency.clone_from(&currency);
            }
        }
        let number = invoice.invoice.clone();
        invoice.correction = correction.map(|kind| Correction {
            kind,
            corrects: vec![Reference::new("invoice", &number)],
            reason: invoice.source_kind.clone().map(|code| Code {
                list: Some("x12-202".to_owned()),
                code,
                text: None,
            }),
        });
        let corrects = invoice.correction.is_some();
        invoice.extensions = heading.left.into_extensions();
        let at: Option<Time> = invoice.invoiced.clone();
        let event = Event::new(&FreightInvoiced(invoice)).natural_key("invoice", &number);
        let event = match carrier.identifiers.first() {
            Some(scac) => event.natural_key("scac", &scac.value),
            None => event,
        };
        let event = match &shipment {
            Some(shipment) => event.order_key("shipment", shipment),
            None => event.order_key("invoice", &number),
        };
        let event = if corrects { event.corrects("invoice", &number) } else { event };
        Some(match &at {
            Some(time) => event.occurred_at(time),
            None => event,
        })
    }
}

impl Draft {
    fn segment(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "N9" | "L11" => self.line.line.references.extend(reference(segment, &mut self.left)),
            "L5" => self.description(segment),
            "L0" => self.quantities(segment, problems),
            "L1" => self.charge(segment, problems),
            "L9" if self.of_package => self.charge_of_package(segment, problems),
            "K1" => {
                let mut reading = Reading::of(segment);
                for text in [reading.some(1), reading.some(2)].into_iter().flatten() {
                    self.line.line.notes.push(Note { kind: None, text });
                }
            }
            _ => self.left.segment(segment),
        }
    }

    fn description(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let line = &mut self.line.line;
        match (reading.some(2), &line.item.description) {
            (Some(text), None) => line.item.description = Some(text),
            (Some(text), Some(_)) => line.notes.push(Note { kind: Some("description".to_owned()), text }),
            (None, _) => {}
        }
        if let Some(code) = reading.some(3) {
            let scheme = match &*segment.value(4) {
                "N" => "nmfc",
                "T" => "stcc",
                _ => "commodity",
            };
            if scheme != "commodity" {
                reading.take(4);
            }
            line.item.identifiers.push(Identifier::new(scheme, code));
        }
        // L501 counts lines, as LX does already.
        reading.take(1);
        reading.leave("L5", &mut self.left);
    }

    /// L0: what was rated, what it weighed and how many packages it was.
    fn quantities(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.line.invoiced.is_some()
            || !self.line.line.measures.is_empty()
            || self.line.line.shipped.is_some()
        {
            return self.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        reading.take(1);
        self.line.invoiced = billed(&mut reading, 2, 3, "the quantity billed", |_| None, problems);
        let kind = weight_kind(&mut reading, 5);
        let weighed = billed(&mut reading, 4, 11, "the weight", weight_unit, problems);
        let measures = &mut self.line.line.measures;
        measures.extend(weighed.map(|weighed| measure(&kind, weighed)));
        let filled = billed(&mut reading, 6, 7, "the volume", volume_unit, problems);
        measures.extend(filled.map(|filled| measure("volume", filled)));
        self.line.line.shipped = billed(&mut reading, 8, 9, "the number of packages", |_| None, problems);
        reading.leave("L0", &mut self.left);
    }

    /// L1: a rate and a charge; negative ones are taken off.
    fn charge(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        reading.take(1);
        let rate = reading.signed(2, "the rate", problems);
        let charged = amount(&mut reading, 4, "the charge", problems);
        let code = reading.some(8).map(|code| Code {
            list: Some("x12-150".to_owned()),
            code,
            text: reading.some(12),
        });
        let percent = reading.signed(19, "the percentage", problems);
        match charged {
            Some(charged) => {
                let payment = (segment.value(11) == "P").then(|| "prepaid".to_owned());
                let payment = payment.or_else(|| (segment.value(11) == "C").then(|| "collect".to_owned()));
                if payment.is_some() {
                    reading.take(11);
                }
                self.line.charges.push(Charge {
                    percent,
                    payment,
                    rate: rate.map(|rate| money(rate, None)),
                    ..charge(code, charged)
                });
                reading.leave("L1", &mut self.left);
            }
            None if segment.has(8) || segment.has(2) => {
                self.line.charges.push(Charge {
                    kind: Some(kind_of(code.as_ref())),
                    code,
                    percent,
                    rate: rate.map(|rate| money(rate, None)),
                    ..Charge::default()
                });
                reading.leave("L1", &mut self.left);
            }
            None => self.left.segment(segment),
        }
    }

    /// L9: a charge of a package, with its decimals.
    fn charge_of_package(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let code = reading.some(1).map(|code| Code { list: Some("x12-150".to_owned()), code, text: None });
        if let Some(charged) = reading.signed(2, "the charge", problems) {
            self.line.charges.push(charge(code, charged));
        }
        reading.leave("L9", &mut self.left);
    }
}

/// A charge, or a deduction where it is negative.
fn charge(code: Option<Code>, charged: Decimal) -> Charge {
    Charge {
        kind: Some(kind_of(code.as_ref())),
        allowance: charged.is_negative(),
        amount: Some(money(magnitude(&charged), None)),
        code,
        ..Charge::default()
    }
}

/// What a charge is for; without a code it is the freight itself.
fn kind_of(code: Option<&Code>) -> String {
    code.map_or("freight".to_owned(), |code| name_of(CHARGES, &code.code))
}

/// A charge's amount with its sign.
fn signed(charge: &Charge) -> Option<Decimal> {
    let amount = &charge.amount.as_ref()?.amount;
    Some(if charge.allowance { opposite(amount) } else { amount.clone() })
}

/// A quantity with its unit; a credit takes back what was billed, so it may be negative.
fn billed(
    reading: &mut Reading<'_>,
    n: usize,
    unit: usize,
    what: &str,
    meaning: fn(&str) -> Option<&'static str>,
    problems: &mut Problems<'_>,
) -> Option<Quantity> {
    let value = reading.signed(n, what, problems)?;
    let unit = if unit == 0 { String::new() } else { reading.take(unit).into_owned() };
    Some(Quantity::new(value, meaning(&unit), &unit))
}

fn weight_kind(reading: &mut Reading<'_>, n: usize) -> String {
    let code = reading.take(n);
    if code.is_empty() { "weight".to_owned() } else { name_of(WEIGHTS, &code) }
}

fn measure(kind: &str, quantity: Quantity) -> Measure {
    let Quantity { value, unit, source_unit } = quantity;
    Measure { kind: kind.to_owned(), value, unit, source_unit }
}
