//! INVRPT becomes `inventory.counted`, or `inventory.adjusted` where it tells of movements (`INV` 4501).

use crossdock_edi::edifact::Segment;
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{Code, Decimal, InventoryAdjusted, InventoryCounted, Lot, Quantity, Stock};

use crate::heading::{self, Heading, when};
use crate::line;
use crate::parts::{self, ItemRead};
use crate::source::Source;
use crate::tables;
use crate::times::{self, Dates};
use crate::tree::Node;

/// A report of stocks or of movements.
pub fn reported<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let Heading { id, mut dates, references, parties, notes, .. } = heading::read(source, root);
    let number = id.number.as_str();
    let mut stocks = Vec::new();
    for (position, lin) in root.all("LIN").enumerate() {
        stocks.extend(of_line(source, lin, position + 1));
    }
    if stocks.is_empty() {
        source.error(root.segment, 0, 0, "segment-missing", "13", "the report has no quantities".to_owned());
    }
    let place = root.all("LOC").find_map(|loc| parts::place(source, loc.segment));
    let at = dates.take_first(&["counted", "report-end", "document"]);
    if stocks.iter().any(|stock| stock.change.is_some()) {
        let data = InventoryAdjusted {
            adjustment: number.to_owned(),
            references,
            adjusted: at,
            dates: dates.rest(),
            parties,
            place,
            stocks,
            correction: id.correction("adjustment"),
            notes,
            extensions: source.left(),
        };
        let event = id.corrected(Event::new(&data), "adjustment", number).order_key("adjustment", number);
        return when(event, data.adjusted.as_ref());
    }
    let data = InventoryCounted {
        report: number.to_owned(),
        references,
        counted: at,
        dates: dates.rest(),
        parties,
        place,
        stocks,
        correction: id.correction("report"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "report", number).order_key("report", number);
    when(event, data.counted.as_ref())
}

/// Every quantity of a line, each with the state, place and lot that stand below it or beside it.
fn of_line<'d>(source: &Source<'d>, node: &Node<'d>, position: usize) -> Vec<Stock> {
    let lin = node.segment;
    let ItemRead { item, lots, serials, .. } = parts::item(source, node);
    if item.identifiers.is_empty() && item.description.is_none() {
        source.error(lin, 3, 1, "missing", "13", "the line names no item".to_owned());
    }
    let mut dates = Dates::of(source, node);
    let mut lots: Vec<Lot> = lots.into_iter().map(|number| Lot { number, ..Lot::default() }).collect();
    dated(&mut lots, &mut dates);
    let whole = Stock {
        number: source.some(lin, 1, 1).unwrap_or_else(|| position.to_string()),
        item,
        lots,
        serials,
        place: node.all("LOC").find_map(|loc| parts::place(source, loc.segment)),
        parties: parts::parties(source, node),
        references: parts::references(source, node),
        dates: dates.rest(),
        notes: parts::notes(source, node),
        ..Stock::default()
    };
    let mut found = Vec::new();
    for qty in node.all("QTY") {
        found.extend(of_quantity(source, &whole, qty.segment, qty.first("INV"), &[qty]));
    }
    // Since D.97A the movement stands before its quantities.
    for inv in node.all("INV") {
        for qty in inv.all("QTY") {
            found.extend(of_quantity(source, &whole, qty.segment, Some(inv), &[inv, qty]));
        }
    }
    found
}

fn of_quantity<'d>(
    source: &Source<'d>,
    whole: &Stock,
    qty: Segment<'d>,
    inv: Option<&Node<'d>>,
    around: &[&Node<'d>],
) -> Option<Stock> {
    let qualifier = qty.value(1, 1).into_owned();
    let quantity = source.quantity(qty, 1, (2, 3), "the quantity")?;
    source.take(qty, 1, 1);
    let mut stock = Stock {
        kind: Some(tables::name_of(tables::STOCKS, &qualifier)),
        source_kind: Some(qualifier).filter(|code| !code.is_empty()),
        ..whole.clone()
    };
    let direction = inv.map(|inv| source.take(inv.segment, 1, 1).into_owned()).unwrap_or_default();
    match direction.as_str() {
        "1" => stock.change = negative(quantity),
        "2" => stock.change = Some(quantity),
        _ => stock.quantity = Some(quantity),
    }
    if let Some(inv) = inv {
        let code = |list: &str, code: Option<String>| {
            code.map(|code| Code { list: Some(list.to_owned()), code, text: None })
        };
        stock.status = code("edifact-7491", source.some(inv.segment, 2, 1));
        stock.reason = code("edifact-4499", source.some(inv.segment, 3, 1));
    }
    for node in around {
        let own = node.all("LOC").find_map(|loc| parts::place(source, loc.segment));
        stock.place = own.or(stock.place);
        stock.parties.extend(parts::parties(source, node));
        stock.references.extend(parts::references(source, node));
        let mut dates = Dates::of(source, node);
        for gin in node.all("GIN") {
            match &*gin.segment.value(1, 1) {
                "BX" => {
                    let numbers = line::identities(source, gin.segment).into_iter();
                    stock.lots.extend(numbers.map(|number| Lot { number, ..Lot::default() }));
                }
                "BN" | "SN" | "SE" => stock.serials.extend(line::identities(source, gin.segment)),
                _ => {}
            }
        }
        dated(&mut stock.lots, &mut dates);
        stock.dates.extend(dates.rest());
    }
    Some(stock)
}

/// Gives a lot its expiry and production, where it is the only one.
fn dated(lots: &mut [Lot], dates: &mut Dates) {
    let [lot] = lots else { return };
    let expiry = dates.take_first(&["expiry", "best-before", "sell-by"]);
    lot.expiry = lot.expiry.take().or_else(|| expiry.as_ref().and_then(times::day));
    let produced = dates.take("production");
    lot.produced = lot.produced.take().or_else(|| produced.as_ref().and_then(times::day));
}

fn negative(quantity: Quantity) -> Option<Quantity> {
    let value = Decimal::ZERO.checked_sub(&quantity.value)?;
    Some(Quantity { value, ..quantity })
}
