//! IFTMIN or IFTMBF of a shipment that is tendered, and the message that takes one back.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{Line, Pack, Reference};

use super::parts;
use super::rows::Rows;
use super::told::Told;
use crate::tables;

pub fn tendered(shipment: &Told, kind: &str) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    parts::heading(&mut rows, kind, &shipment.number, parts::function(shipment.correction.as_ref()));
    if let Some(tendered) = &shipment.time {
        parts::date(&mut rows, "document", tendered);
    }
    parts::dates(&mut rows, &shipment.dates);
    parts::notes(&mut rows, &shipment.notes);
    parts::totals(&mut rows, shipment.totals.as_ref())?;
    for place in &shipment.places {
        parts::place(&mut rows, place);
    }
    parts::incoterms(&mut rows, shipment.incoterms.as_ref());
    parts::references(&mut rows, &shipment.references, &shipment.dates);
    let payment = shipment.carrier.as_ref().and_then(|carrier| carrier.payment.as_deref());
    if let Some(code) = payment.and_then(paid) {
        rows.add("CPI", &[&["4"], &[], &[code]]);
    }
    let (vehicles, others) = parts::vehicles(&shipment.equipment);
    if let Some(carrier) = &shipment.carrier {
        parts::carrier(&mut rows, "20", carrier, vehicles.first().copied());
    }
    for leg in &shipment.legs {
        parts::carrier(&mut rows, "10", leg, None);
    }
    parts::parties(&mut rows, &shipment.parties, true);
    for (position, line) in shipment.lines.iter().enumerate() {
        goods(&mut rows, line, &shipment.packs)?;
        // The temperature of the whole stands with the first of its goods.
        if let Some(temperature) = shipment.temperature.as_ref().filter(|_| position == 0) {
            parts::temperature(&mut rows, temperature);
        }
        details(&mut rows, line, &shipment.packs);
    }
    for equipment in others {
        parts::equipment(&mut rows, equipment, true);
    }
    Ok(rows)
}

pub fn cancelled(shipment: &Told, kind: &str) -> Rows {
    let mut rows = Rows::default();
    parts::heading(&mut rows, kind, &shipment.number, "1");
    if let Some(cancelled) = &shipment.time {
        parts::date(&mut rows, "document", cancelled);
    }
    if kind == "IFTMIN" {
        parts::notes(&mut rows, &shipment.notes);
    }
    parts::references(&mut rows, &shipment.references, &shipment.dates);
    if let (Some(carrier), "IFTMIN") = (&shipment.carrier, kind) {
        parts::carrier(&mut rows, "20", carrier, None);
    }
    parts::parties(&mut rows, &shipment.parties, true);
    if let (Some(carrier), "DESADV") = (&shipment.carrier, kind) {
        parts::carrier(&mut rows, "20", carrier, None);
    }
    rows
}

fn paid(payment: &str) -> Option<&'static str> {
    match payment {
        "prepaid" => Some("P"),
        "collect" => Some("C"),
        _ => None,
    }
}

/// `GID`: a goods item and its packages.
fn goods(rows: &mut Rows, line: &Line, packs: &[Pack]) -> Result<(), Refusal> {
    let kind = packs.iter().find(|pack| line.packs.contains(&pack.id));
    let kind = kind.and_then(|pack| {
        let source = pack.source_kind.as_deref();
        tables::code_of(tables::PACKAGES, pack.kind.as_deref()?, source).or_else(|| source.map(str::to_owned))
    });
    let (number, unit) = match &line.ordered {
        Some(ordered) => (ordered.value.as_str(), parts::unit(ordered)?),
        None => ("", String::new()),
    };
    let code = if unit.is_empty() { kind.unwrap_or_default() } else { unit };
    rows.add("GID", &[&[&line.number], &[number, &code]]);
    Ok(())
}

fn details(rows: &mut Rows, line: &Line, packs: &[Pack]) {
    let identifiers: Vec<_> = line
        .item
        .identifiers
        .iter()
        .filter_map(|one| Some((one.value.as_str(), tables::code_of(tables::ITEMS, &one.scheme, None)?)))
        .collect();
    for (value, code) in identifiers {
        rows.add("PIA", &[&["5"], &[value, &code]]);
    }
    if let Some(description) = &line.item.description {
        rows.add("FTX", &[&["AAA"], &[], &[], &description.lines().take(5).collect::<Vec<_>>()]);
    }
    parts::notes(rows, &line.notes);
    parts::measures(rows, &line.measures, "AAE");
    let own = |one: &&Reference| one.source_kind.as_deref() != Some("SGP");
    parts::references(rows, &line.references.iter().filter(own).cloned().collect::<Vec<_>>(), &[]);
    let codes: Vec<_> = packs
        .iter()
        .filter(|pack| line.packs.contains(&pack.id))
        .flat_map(|pack| &pack.identifiers)
        .filter(|one| one.scheme == "sscc")
        .map(|one| one.value.as_str())
        .collect();
    if !codes.is_empty() {
        parts::marks(rows, "33E", "BJ", &codes);
    }
    for reference in line.references.iter().filter(|one| one.source_kind.as_deref() == Some("SGP")) {
        rows.add("SGP", &[&[&reference.value]]);
    }
    parts::hazards(rows, &line.hazards);
}
