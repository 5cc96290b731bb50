//! DESADV of a dispatched shipment: what stands in what as `CPS`, and what is in it as `LIN`.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{Content, Decimal, Line, Lot, Pack, Quantity, Time};

use super::parts;
use super::rows::{Rows, text};
use super::told::Told;
use crate::tables;

pub fn dispatched(shipment: &Told) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    parts::heading(&mut rows, "DESADV", &shipment.number, parts::function(shipment.correction.as_ref()));
    if let Some(dispatched) = &shipment.time {
        parts::date(&mut rows, "dispatched", dispatched);
    }
    parts::dates(&mut rows, &shipment.dates);
    parts::references(&mut rows, &shipment.references, &shipment.dates);
    parts::parties(&mut rows, &shipment.parties, true);
    let (vehicles, others) = parts::vehicles(&shipment.equipment);
    if let Some(carrier) = &shipment.carrier {
        parts::carrier(&mut rows, "20", carrier, vehicles.first().copied());
    }
    for equipment in others {
        parts::equipment(&mut rows, equipment, false);
    }
    levels(&mut rows, shipment)?;
    parts::totals(&mut rows, shipment.totals.as_ref())?;
    Ok(rows)
}

/// `CPS`: the shipment itself with what stands in no pack, then the packs, outer ones before those in them.
fn levels(rows: &mut Rows, shipment: &Told) -> Result<(), Refusal> {
    let mut told: Vec<&str> = Vec::new();
    rows.add("CPS", &[&["1"]]);
    parts::notes(rows, &shipment.notes);
    let packed = |line: &Line| {
        shipment.packs.iter().any(|pack| pack.contents.iter().any(|content| content.line == line.number))
    };
    for line in shipment.lines.iter().filter(|line| !packed(line)) {
        self::line(rows, line, line.shipped.as_ref(), &line.lots, &line.serials, &mut told)?;
    }
    let groups = alike(&shipment.packs);
    let mut numbers: Vec<(&str, String)> = Vec::new();
    for (at, packs) in groups.iter().enumerate() {
        let number = (at + 2).to_string();
        let Some(first) = packs.first() else { continue };
        let parent = first.parent.as_deref().and_then(|parent| numbers.iter().find(|(id, _)| *id == parent));
        let parent = parent.map_or_else(|| "1".to_owned(), |(_, number)| number.clone());
        rows.add("CPS", &[&[&number], &[&parent]]);
        for pack in packs {
            numbers.push((&pack.id, number.clone()));
        }
        pack(rows, packs);
        for content in &first.contents {
            let Some(line) = shipment.lines.iter().find(|line| line.number == content.line) else { continue };
            let rest = rest_of(line, &shipment.packs);
            let quantity = content.quantity.as_ref().or(rest.as_ref());
            let (lots, serials) = held(line, content);
            self::line(rows, line, quantity, &lots, &serials, &mut told)?;
        }
    }
    Ok(())
}

/// What of a line stands in packs of which nobody says how much: all but what is known.
fn rest_of(line: &Line, packs: &[Pack]) -> Option<Quantity> {
    let shipped = line.shipped.as_ref()?;
    let contents = packs.iter().flat_map(|pack| &pack.contents).filter(|content| content.line == line.number);
    let known = Decimal::sum(contents.filter_map(|content| Some(&content.quantity.as_ref()?.value)))?;
    Some(Quantity { value: shipped.value.checked_sub(&known)?, ..shipped.clone() })
}

/// Packs that one `CPS` describes: each its own, but those together of which nobody says how much is in which.
fn alike(packs: &[Pack]) -> Vec<Vec<&Pack>> {
    let mut groups: Vec<Vec<&Pack>> = Vec::new();
    for pack in packs {
        let unknown =
            !pack.contents.is_empty() && pack.contents.iter().all(|content| content.quantity.is_none());
        let group = groups.last_mut().filter(|group| {
            let same = |first: &&Pack| {
                (&first.contents, &first.parent, &first.kind) == (&pack.contents, &pack.parent, &pack.kind)
            };
            unknown && group.first().is_some_and(same)
        });
        match group {
            Some(group) => group.push(pack),
            None => groups.push(vec![pack]),
        }
    }
    groups
}

/// `PAC`, `MEA`, `PCI` and `GIN` of packs that are alike.
fn pack(rows: &mut Rows, packs: &[&Pack]) {
    let Some(first) = packs.first() else { return };
    let source = first.source_kind.as_deref();
    let kind = first.kind.as_deref().and_then(|kind| tables::code_of(tables::PACKAGES, kind, source));
    let kind =
        kind.or_else(|| source.filter(|source| source.len() <= 17).map(str::to_owned)).unwrap_or_default();
    // GS1's own codes are digits.
    let agency = if kind.bytes().all(|byte| byte.is_ascii_digit()) && !kind.is_empty() { "9" } else { "" };
    rows.add("PAC", &[&[&packs.len().to_string()], &[], &[&kind, "", agency]]);
    parts::measures(rows, &first.measures, "PD");
    let codes: Vec<_> = packs
        .iter()
        .flat_map(|pack| pack.identifiers.iter().find(|one| one.scheme == "sscc"))
        .map(|one| one.value.as_str())
        .collect();
    if !codes.is_empty() {
        parts::marks(rows, "33E", "BJ", &codes);
    }
}

/// Lots and serial numbers of a line that are in one pack; all of them where it is in one pack alone.
fn held(line: &Line, content: &Content) -> (Vec<Lot>, Vec<String>) {
    let alone = line.packs.len() <= 1;
    let lots = match &content.lot {
        Some(number) => line.lots.iter().filter(|lot| lot.number == *number).cloned().collect(),
        None if alone => line.lots.clone(),
        None => Vec::new(),
    };
    let serials =
        if alone && content.serials.is_empty() { line.serials.clone() } else { content.serials.clone() };
    (lots, serials)
}

/// `LIN` and what stands below it. What is ordered, the price and the rest are said once, with the first pack.
fn line<'s>(
    rows: &mut Rows,
    line: &'s Line,
    quantity: Option<&Quantity>,
    lots: &[Lot],
    serials: &[String],
    told: &mut Vec<&'s str>,
) -> Result<(), Refusal> {
    let first = !told.contains(&line.number.as_str());
    told.push(&line.number);
    parts::item(rows, &line.number, &line.item, line.substitutes.as_ref());
    if first {
        parts::measures(rows, &line.measures, "AAE");
    }
    parts::quantity(rows, "12", quantity)?;
    if first {
        parts::quantity(rows, "21", line.ordered.as_ref())?;
        parts::quantity(rows, "83", line.backordered.as_ref())?;
    }
    parts::identities(rows, "BN", &serials.iter().map(String::as_str).collect::<Vec<_>>());
    if first {
        parts::dates(rows, &line.dates);
        parts::notes(rows, &line.notes);
        parts::line_references(rows, &line.references);
        parts::hazards(rows, &line.hazards);
    }
    for lot in lots {
        rows.add("PCI", &[&["36E"]]);
        for (kind, day) in [("best-before", &lot.expiry), ("production", &lot.produced)] {
            if let Some(day) = day {
                parts::date(rows, kind, &Time::local(day.clone()));
            }
        }
        parts::quantity(rows, "12", lot.quantity.as_ref())?;
        rows.add("GIN", &[&["BX"], &[&lot.number]]);
    }
    if let Some(difference) = line.difference.as_ref().filter(|_| first) {
        let discrepancy = line.status.and_then(discrepancy).unwrap_or_default();
        let own = line.reason.as_ref().filter(|reason| reason.list.as_deref() == Some("edifact-4221"));
        let listed = own.filter(|reason| tables::listed(tables::DISCREPANCIES, &reason.code).is_some());
        let (discrepancy, reason) = match (listed, own) {
            (Some(reason), _) => (reason.code.as_str(), ""),
            (None, Some(reason)) => (discrepancy, reason.code.as_str()),
            (None, None) => (discrepancy, ""),
        };
        let why = own.map(|reason| text(&reason.text)).unwrap_or_default();
        rows.add("QVR", &[&[difference.value.as_str(), discrepancy], &[reason, "", "", why]]);
    }
    Ok(())
}

/// 4221 of how a line stands.
fn discrepancy(status: crossdock_mapper::canonical::LineStatus) -> Option<&'static str> {
    use crossdock_mapper::canonical::LineStatus;
    Some(match status {
        LineStatus::Complete => "CC",
        LineStatus::Short => "CP",
        LineStatus::Backordered => "BP",
        LineStatus::Substituted => "CS",
        LineStatus::Over => "AC",
        LineStatus::Cancelled => "IC",
    })
}
