//! ORDERS of an order that is released or cancelled.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::Line;

use super::parts;
use super::rows::Rows;
use super::told::Told;

pub fn released(order: &Told) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    parts::heading(&mut rows, "ORDERS", &order.number, parts::function(order.correction.as_ref()));
    if let Some(released) = &order.time {
        parts::date(&mut rows, "document", released);
    }
    parts::dates(&mut rows, &order.dates);
    parts::notes(&mut rows, &order.notes);
    parts::references(&mut rows, &order.references, &order.dates);
    parts::parties(&mut rows, &order.parties, true);
    let currency = order.lines.iter().find_map(|line| line.price.as_ref()?.currency.clone());
    if let Some(currency) = &currency {
        rows.add("CUX", &[&["2", currency, "9"]]);
    }
    if let Some(carrier) = &order.carrier {
        parts::carrier(&mut rows, "20", carrier, None);
    }
    parts::incoterms(&mut rows, order.incoterms.as_ref());
    lines(&mut rows, &order.lines)?;
    rows.add("UNS", &[&["S"]]);
    parts::totals(&mut rows, order.totals.as_ref())?;
    Ok(rows)
}

pub fn cancelled(order: &Told) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    parts::heading(&mut rows, "ORDERS", &order.number, "1");
    if let Some(cancelled) = &order.time {
        parts::date(&mut rows, "document", cancelled);
    }
    parts::notes(&mut rows, &order.notes);
    parts::references(&mut rows, &order.references, &order.dates);
    parts::parties(&mut rows, &order.parties, true);
    lines(&mut rows, &order.lines)?;
    rows.add("UNS", &[&["S"]]);
    Ok(rows)
}

fn lines(rows: &mut Rows, lines: &[Line]) -> Result<(), Refusal> {
    for line in lines {
        parts::item(rows, &line.number, &line.item, line.substitutes.as_ref());
        parts::measures(rows, &line.measures, "AAE");
        parts::quantity(rows, "21", line.ordered.as_ref())?;
        parts::dates(rows, &line.dates);
        parts::notes(rows, &line.notes);
        if let Some(price) = &line.price {
            rows.add("PRI", &[&["AAA", price.amount.as_str()]]);
        }
        parts::line_references(rows, &line.references);
        for lot in &line.lots {
            rows.add("RFF", &[&["LT", &lot.number]]);
        }
    }
    Ok(())
}
