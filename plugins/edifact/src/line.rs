//! `LIN` and what stands below it: a line of an order, an advice or a receipt.

use std::collections::BTreeMap;

use crossdock_edi::edifact::Segment;
use crossdock_mapper::canonical::{Code, Line, LineStatus, Lot, Money, Quantity, Reference};

use crate::parts::{self, ItemRead};
use crate::source::{Source, excerpt};
use crate::tables;
use crate::times::{self, Dates};
use crate::tree::Node;

/// The name of the quantity that decides what a line says.
pub type Fields = &'static [(&'static str, fn(&mut Line) -> &mut Option<Quantity>)];

/// Which quantity is which field; `invoiced` belongs to invoices alone.
pub const FIELDS: Fields = &[
    ("ordered", |line| &mut line.ordered),
    ("confirmed", |line| &mut line.confirmed),
    ("shipped", |line| &mut line.shipped),
    ("delivered", |line| &mut line.delivered),
    ("refused", |line| &mut line.refused),
    ("damaged", |line| &mut line.damaged),
    ("backordered", |line| &mut line.backordered),
];

/// Reads one line. `position` is its number where the sender gives none.
pub fn read<'d>(source: &Source<'d>, node: &Node<'d>, position: usize, currency: Option<&str>) -> Line {
    let lin = node.segment;
    let ItemRead { item, substitutes, lots, mut serials } = parts::item(source, node);
    if item.identifiers.is_empty() && item.description.is_none() {
        let message = "the line names no item".to_owned();
        // A service may be billed without a name.
        match &*source.message.kind() {
            "INVOIC" => source.warning(lin, 3, 1, "missing", "13", message),
            _ => source.error(lin, 3, 1, "missing", "13", message),
        }
    }
    for identifier in item.identifiers.iter().filter(|one| one.is_invalid()) {
        let message =
            format!("`{}` is no {}: its check digit is wrong", excerpt(&identifier.value), identifier.scheme);
        source.warning(lin, 3, 1, "check-digit", "12", message);
    }
    let mut line = Line {
        number: source.some(lin, 1, 1).unwrap_or_else(|| position.to_string()),
        item,
        substitutes,
        ..Line::default()
    };
    quantities(source, node, &mut line);
    let mut dates = Dates::of(source, node);
    line.lots = lots_of(source, node, lots, &mut serials, &mut dates);
    line.serials = serials;
    line.dates = dates.rest();
    line.measures = parts::measures(source, node);
    line.hazards = parts::hazards(source, node);
    line.price = price(source, node, currency);
    for rff in node.all("RFF").filter(|rff| !matches!(&*rff.segment.value(1, 1), "LT" | "BT")) {
        line.references.extend(parts::reference(source, rff.segment));
        // RFF+ON:4711:3 is line 3 of order 4711.
        if let Some(number) = source.some(rff.segment, 1, 3) {
            line.references.push(Reference::new("order-line", number).source("RFF/1156"));
        }
    }
    line.notes = parts::notes(source, node);
    variance(source, node, &mut line);
    line
}

/// Every `QTY` that has a field of the line; the first of its kind wins, and the rest is left.
fn quantities<'d>(source: &Source<'d>, node: &Node<'d>, line: &mut Line) {
    let mut plain = None;
    // What was accepted is in good order; what was received or delivered is so where nobody says what was accepted.
    let accepted = node.qualified("QTY", "194").or_else(|| node.qualified("QTY", "48"));
    let accepted = accepted.map(|qty| qty.segment.value(1, 1));
    for qty in node.all("QTY") {
        let qty = qty.segment;
        let qualifier = qty.value(1, 1);
        if qualifier == "1" {
            plain.get_or_insert(qty);
        }
        let Some(name) = tables::listed(tables::QUANTITIES, &qualifier) else { continue };
        if name == "delivered" && accepted.as_deref().is_some_and(|best| best != qualifier) {
            continue;
        }
        let Some((_, field)) = FIELDS.iter().find(|(field, _)| *field == name) else { continue };
        let field = field(line);
        let Some(quantity) = quantity(source, qty) else { continue };
        match field {
            None => *field = Some(quantity),
            Some(before) => {
                // Refused to be returned and refused to be destroyed are both refused; else the first one counts.
                let sum = before.value.checked_add(&quantity.value);
                match sum.filter(|_| name == "refused" && before.unit == quantity.unit) {
                    Some(sum) => before.value = sum,
                    None => [1, 2, 3].into_iter().for_each(|c| source.keep(qty, 1, c)),
                }
            }
        }
    }
    // A discrete quantity says nothing of itself: of an order it is what is ordered.
    if let (Some(qty), None, "ORDERS") = (plain, &line.ordered, &*source.message.kind()) {
        line.ordered = quantity(source, qty);
    }
}

/// C186: a quantity, never below nothing but in an invoice, which may take back.
pub fn quantity<'d>(source: &Source<'d>, qty: Segment<'d>) -> Option<Quantity> {
    let quantity = source.quantity(qty, 1, (2, 3), "the quantity")?;
    source.take(qty, 1, 1);
    if quantity.value.is_negative() && source.message.kind() != "INVOIC" {
        let message = format!("the quantity `{}` is negative", quantity.value.as_str());
        source.error(qty, 1, 2, "negative-number", "12", message);
        return None;
    }
    Some(quantity)
}

/// Lots from `PIA`, `RFF`, `GIN+BX` and the packs' `GIN`s, with expiry and production where one lot is all there is.
fn lots_of<'d>(
    source: &Source<'d>,
    node: &Node<'d>,
    mut numbers: Vec<String>,
    serials: &mut Vec<String>,
    dates: &mut Dates,
) -> Vec<Lot> {
    for rff in node.all("RFF").filter(|rff| matches!(&*rff.segment.value(1, 1), "LT" | "BT")) {
        source.take(rff.segment, 1, 1);
        numbers.extend(source.some(rff.segment, 1, 2));
    }
    let mut lots: Vec<Lot> = Vec::new();
    let marked = node.all("PCI").flat_map(|pci| {
        let own = pci.first("DTM").is_some() || pci.first("QTY").is_some();
        pci.all("GIN").map(move |gin| (gin, own.then_some(pci)))
    });
    for (gin, pci) in node.all("GIN").map(|gin| (gin, None)).chain(marked) {
        match &*gin.segment.value(1, 1) {
            "BX" => {
                let found = identities(source, gin.segment);
                if let Some(pci) = pci {
                    source.take(pci.segment, 1, 1);
                }
                match (pci, found.as_slice()) {
                    // A mark with its own dates and quantity is a lot with its own.
                    (Some(pci), [number]) => lots.push(marked_lot(source, pci, number)),
                    _ => numbers.extend(found),
                }
            }
            "BN" | "SN" | "SE" => serials.extend(identities(source, gin.segment)),
            _ => {}
        }
    }
    for number in numbers {
        if !lots.iter().any(|lot| lot.number == number) {
            lots.push(Lot { number, ..Lot::default() });
        }
    }
    if let [lot] = lots.as_mut_slice() {
        for kind in ["expiry", "best-before", "sell-by"] {
            if lot.expiry.is_none() {
                lot.expiry = dates.take(kind).as_ref().and_then(times::day);
            }
        }
        lot.produced = lot.produced.take().or_else(|| dates.take("production").as_ref().and_then(times::day));
    }
    lots
}

fn marked_lot<'d>(source: &Source<'d>, pci: &Node<'d>, number: &str) -> Lot {
    let mut dates = Dates::of(source, pci);
    let day = |dates: &mut Dates, kinds: &[&str]| dates.take_first(kinds).as_ref().and_then(times::day);
    Lot {
        number: number.to_owned(),
        expiry: day(&mut dates, &["expiry", "best-before", "sell-by"]),
        produced: day(&mut dates, &["production"]),
        quantity: pci.first("QTY").and_then(|qty| quantity(source, qty.segment)),
    }
}

/// The numbers of a `GIN` (C208, five at most): single ones, and of a short range of digits every one.
pub fn identities<'d>(source: &Source<'d>, gin: Segment<'d>) -> Vec<String> {
    const RANGE_MAX: u64 = 1_000;
    let mut found = Vec::new();
    for n in 2..=6 {
        let Some(first) = source.some(gin, n, 1) else { continue };
        let last = gin.value(n, 2).into_owned();
        let numbers = (digits(&first), digits(&last));
        match numbers {
            (Some(from), Some(until))
                if first.len() == last.len() && from <= until && until - from < RANGE_MAX =>
            {
                // SSCCs of a range count without their check digit, which is worked out for each.
                source.take(gin, n, 2);
                match first.len() {
                    18 => found.extend((from / 10..=until / 10).map(with_check_digit)),
                    length => found.extend((from..=until).map(|number| format!("{number:0length$}"))),
                }
            }
            _ => found.push(first),
        }
    }
    source.take(gin, 1, 1);
    found
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn with_check_digit(body: u64) -> String {
    let body = format!("{body:017}");
    let right = (0..10).map(|digit| format!("{body}{digit}"));
    right.into_iter().find(|number| crossdock_mapper::canonical::check_gs1(number)).unwrap_or(body)
}

/// `PRI`: the price of one unit; a net price (AAA) before a gross one (AAB).
fn price<'d>(source: &Source<'d>, node: &Node<'d>, currency: Option<&str>) -> Option<Money> {
    let pri = node
        .qualified("PRI", "AAA")
        .or_else(|| node.qualified("PRI", "INV"))
        .or_else(|| node.first("PRI"))?;
    let amount = source.number(pri.segment, 1, 2, "the price")?;
    source.take(pri.segment, 1, 1);
    let currency = parts::currency(source, pri).or_else(|| currency.map(str::to_owned));
    Some(Money { amount, currency })
}

/// `QVR`: by how much a line differs and why; else what its quantities say.
fn variance<'d>(source: &Source<'d>, node: &Node<'d>, line: &mut Line) {
    if let Some(qvr) = node.first("QVR") {
        let qvr = qvr.segment;
        let unit = line.shipped.as_ref().or(line.delivered.as_ref()).or(line.ordered.as_ref());
        let (unit, source_unit) =
            unit.map(|of| (of.unit.clone(), of.source_unit.clone())).unwrap_or_default();
        line.difference =
            source.number(qvr, 1, 1, "the difference").map(|value| Quantity { value, unit, source_unit });
        let discrepancy = source.take(qvr, 1, 2);
        line.status = tables::listed(tables::DISCREPANCIES, &discrepancy).map(status);
        let reason = source.some(qvr, 2, 1);
        source.take(qvr, 2, 3);
        let text = source.some(qvr, 2, 4);
        let code = reason.or_else(|| (!discrepancy.is_empty()).then(|| discrepancy.into_owned()));
        line.reason = code.map(|code| Code { list: Some("edifact-4221".to_owned()), code, text });
    }
    if line.status.is_none() {
        let compared = line.ordered.as_ref().zip(line.shipped.as_ref());
        line.status = compared.and_then(|(ordered, shipped)| LineStatus::of(ordered, shipped));
        let backordered = line.backordered.as_ref().is_some_and(|rest| !rest.value.is_zero());
        if line.status == Some(LineStatus::Short) && backordered {
            line.status = Some(LineStatus::Backordered);
        }
        if line.substitutes.is_some() {
            line.status = Some(LineStatus::Substituted);
        }
    }
}

fn status(name: &str) -> LineStatus {
    match name {
        "over" => LineStatus::Over,
        "backordered" => LineStatus::Backordered,
        "short" => LineStatus::Short,
        "substituted" => LineStatus::Substituted,
        "cancelled" => LineStatus::Cancelled,
        _ => LineStatus::Complete,
    }
}

/// Lines of one message: those that come again in another pack become one, and every number names one line.
#[derive(Default)]
pub struct Lines {
    pub lines: Vec<Line>,
    /// Where the lines of a number and item are.
    known: BTreeMap<(String, Vec<(String, String)>), usize>,
    numbers: BTreeMap<String, usize>,
}

impl Lines {
    /// Adds a line, and gives its place; its number may be another from now on.
    pub fn add(&mut self, mut line: Line) -> usize {
        let items = line.item.identifiers.iter();
        let key =
            (line.number.clone(), items.map(|one| (one.scheme.to_string(), one.value.clone())).collect());
        if let Some(at) = self.known.get(&key).copied()
            && join(&mut self.lines[at], &line).is_some()
        {
            return at;
        }
        let count = self.numbers.entry(line.number.clone()).or_default();
        *count += 1;
        if *count > 1 {
            line.number = format!("{}-{count}", line.number);
        }
        self.known.insert(key, self.lines.len());
        self.lines.push(line);
        self.lines.len() - 1
    }
}

/// Adds what another pack holds of a line to it; none where the two can't be one.
fn join(line: &mut Line, more: &Line) -> Option<()> {
    let addable = |one: &Option<Quantity>, other: &Option<Quantity>| match (one, other) {
        (Some(one), Some(other)) => one.unit == other.unit && one.source_unit == other.source_unit,
        (_, None) => true,
        (None, Some(_)) => false,
    };
    let fits = addable(&line.shipped, &more.shipped) && addable(&line.delivered, &more.delivered);
    if !fits || (more.shipped.is_none() && more.delivered.is_none()) {
        return None;
    }
    for (sum, one) in [
        (&mut line.shipped, &more.shipped),
        (&mut line.delivered, &more.delivered),
        (&mut line.refused, &more.refused),
        (&mut line.damaged, &more.damaged),
    ] {
        match (sum.as_mut(), one) {
            (Some(sum), Some(one)) => sum.value = sum.value.checked_add(&one.value)?,
            (None, Some(one)) => *sum = Some(one.clone()),
            _ => {}
        }
    }
    for lot in &more.lots {
        if !line.lots.iter().any(|known| known.number == lot.number) {
            line.lots.push(lot.clone());
        }
    }
    line.serials.extend(more.serials.iter().cloned());
    for reference in
        more.references.iter().filter(|one| !line.references.contains(one)).cloned().collect::<Vec<_>>()
    {
        line.references.push(reference);
    }
    line.measures.extend(more.measures.iter().cloned());
    if let (Some(ordered), Some(shipped)) = (&line.ordered, &line.shipped)
        && line.status != Some(LineStatus::Substituted)
    {
        line.status = LineStatus::of(ordered, shipped);
    }
    Some(())
}
