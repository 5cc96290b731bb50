//! 940 from `order.released` and `order.cancelled`.

use crossdock_mapper::canonical::{Canonical, Extensions, Line, OrderReleased, Quantity, Reference};
use crossdock_mapper::serde_json;
use crossdock_mapper::{Diagnostic, Event, Location, Refusal};
use serde::de::DeserializeOwned;

use super::details::{
    dates, leading_value, line_details, loop_number, loops, notes, place_pairs, products, references, totals,
};
use crate::tables::payment_code;
use crossdock_x12::{Kept, Sheet, mode_code, scac, unit};

/// Kinds of references that W05 holds.
const IN_W05: [&str; 4] = ["order", "po", "link-sequence", "master-reference"];

pub fn released(order: &OrderReleased) -> Result<Sheet, Refusal> {
    let status = match order.purpose.as_deref() {
        Some("change") => "R",
        Some("replace") => "L",
        Some("cancel") => "F",
        _ => "N",
    };
    sheet(order, status)
}

/// A cancellation is an order with another status: its event has fields of an order's and no others that a 940 says. What
/// it has no place for was kept with it.
pub fn cancelled(event: &Event) -> Result<Sheet, Refusal> {
    let as_order =
        Event { kind: OrderReleased::KIND.to_owned(), data: event.data.clone(), ..Event::default() };
    let mut order: OrderReleased = as_order.data()?;
    order.dates = kept_value(&order.extensions, "dates").unwrap_or_default();
    order.carrier = kept_value(&order.extensions, "carrier");
    order.temperature = kept_value(&order.extensions, "temperature");
    order.totals = kept_value(&order.extensions, "totals");
    sheet(&order, "F")
}

fn kept_value<T: DeserializeOwned>(extensions: &Extensions, name: &str) -> Option<T> {
    // By way of text, for which the model has its code already.
    let text = extensions.get("x12")?.get(name)?.to_string();
    serde_json::from_slice(text.as_bytes()).ok()
}

fn sheet(order: &OrderReleased, status: &str) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&order.extensions);
    let mut sheet = Sheet::default();
    identification(&mut sheet, &kept, status, &order.order, &order.references);
    sheet.parties(&kept, &order.parties, "PER");
    references(&mut sheet, &kept, &order.references, &IN_W05);
    dates(&mut sheet, &kept, &order.dates, &[]);
    notes(&mut sheet, &kept, &order.notes);
    sheet.kept_segments(&kept, &["W09", "W66", "W76"]);
    if let Some(temperature) = &order.temperature {
        let ends = match (&temperature.set_point, &temperature.minimum, &temperature.maximum) {
            (Some(point), _, _) => vec![point],
            (None, Some(minimum), Some(maximum)) => vec![minimum, maximum],
            (None, minimum, maximum) => minimum.iter().chain(maximum).collect(),
        };
        let mut values = vec!["TF".to_owned()];
        values.extend(
            ends.into_iter().flat_map(|degrees| [degrees.value.as_str().to_owned(), degrees_unit(degrees)]),
        );
        sheet.row(&kept, "W09", "W09", values);
    } else if let Some(equipment) = kept.get("W09/1") {
        sheet.row(&kept, "W09", "W09", [equipment]);
    }
    sheet.kept_again(&kept, "W09");
    if let Some(carrier) = &order.carrier {
        let payment = carrier.payment.as_deref().and_then(payment_code).unwrap_or_default();
        let payment = payment.as_str();
        let service = carrier.service.as_deref().unwrap_or_default();
        let values = [payment, &mode_code(carrier), "", "", service, "", "", "", "", &scac(carrier)];
        sheet.row(&kept, "W66", "W66", values);
    }
    sheet.kept_again(&kept, "W66");
    lines(&mut sheet, &order.lines)?;
    totals(&mut sheet, &kept, "W76", order.totals.as_ref())?;
    Ok(sheet)
}

fn identification(sheet: &mut Sheet, kept: &Kept<'_>, status: &str, order: &str, references: &[Reference]) {
    let of = |kind| leading_value(references, kind);
    let values = [status, order, of("po"), of("link-sequence"), of("master-reference")];
    sheet.row(kept, "W05", "W05", values);
}

fn lines(sheet: &mut Sheet, lines: &[Line]) -> Result<(), Refusal> {
    let mut index = 0;
    for lines in loops(lines) {
        let number = loop_number(&lines[0], index);
        sheet.row(&Kept::default(), "LX", "LX", [&number]);
        for line in lines {
            item(sheet, line, index)?;
            index += 1;
        }
        let first = &lines[0];
        if number != first.number && Reference::find(&first.references, "order-line").is_none() {
            sheet.row(&Kept::default(), "N9*LI", "N9", ["LI", &first.number]);
        }
    }
    Ok(())
}

fn item(sheet: &mut Sheet, line: &Line, index: usize) -> Result<(), Refusal> {
    let at = format!("/lines/{index}");
    let kept = Kept::of(&line.extensions);
    let ordered = line.ordered.as_ref().ok_or_else(|| missing(&at, "ordered", "the quantity ordered"))?;
    let (upc, pairs) = products(&line.item);
    if upc.is_empty() && pairs.is_empty() {
        return Err(missing(&at, "item/identifiers", "a product number").into());
    }
    let mut values = vec![String::new(); 16];
    values[0] = ordered.value.as_str().to_owned();
    values[1] = unit(ordered, &format!("{at}/ordered"))?;
    values[2] = upc;
    place_pairs(&mut values, &[4, 6, 15], pairs, &at)?;
    values[12] = line.lots.first().map(|lot| lot.number.clone()).unwrap_or_default();
    sheet.row(&kept, "W01", "W01", values);
    line_details(sheet, &kept, line);
    Ok(())
}

pub fn missing(at: &str, field: &str, what: &str) -> Diagnostic {
    Diagnostic::error("not-enough", format!("{what} is missing"))
        .at(Location::json_pointer(format!("{at}/{field}")))
}

fn degrees_unit(degrees: &Quantity) -> String {
    match degrees.unit.as_deref() {
        Some("FAH") => "FA".to_owned(),
        Some("CEL") => "CE".to_owned(),
        _ => degrees.source_unit.clone().unwrap_or_default(),
    }
}
