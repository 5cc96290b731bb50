//! What 940 and 945 write beside their own segments: references, dates, notes, and what is said of a line.

use crossdock_mapper::canonical::{Dated, Identifier, Item, Line, Note, Reference, Totals};
use crossdock_mapper::{Diagnostic, Location, Refusal};
use crossdock_x12::{Kept, Row, Sheet, clean, is_code, unit};

use super::advice::counts_pallets;
use crate::tables::{self, DATES, NOTES, REFERENCES, code_of};

pub fn references(sheet: &mut Sheet, kept: &Kept<'_>, references: &[Reference], elsewhere: &[&str]) {
    for reference in references {
        let leading = || leading(references, &reference.kind).is_some_and(|led| std::ptr::eq(led, reference));
        if elsewhere.contains(&reference.kind.as_str()) && leading() {
            continue;
        }
        let own = reference.source_kind.as_deref().and_then(|source| source.strip_prefix("N9*"));
        let own = own.filter(|code| (2..=3).contains(&code.len()) && is_code(code));
        let code = own.map(str::to_owned).or_else(|| code_of(REFERENCES, &reference.kind));
        let code = code.as_deref().unwrap_or("ZZ");
        let key = format!("N9*{code}*{}", reference.value);
        sheet.row(kept, &key, "N9", [code, &reference.value]);
    }
}

pub fn dates(sheet: &mut Sheet, kept: &Kept<'_>, dates: &[Dated], elsewhere: &[&str]) {
    for dated in dates {
        if let Some(code) = code_of(DATES, &dated.kind)
            && !elsewhere.contains(&dated.kind.as_str())
        {
            sheet.date(kept, &code, &dated.time);
        }
    }
}

pub fn notes(sheet: &mut Sheet, kept: &Kept<'_>, notes: &[Note]) {
    for note in notes {
        let code = note.kind.as_deref().map(|kind| code_of(NOTES, kind).unwrap_or_else(|| "GEN".to_owned()));
        let code = code.as_deref().unwrap_or_default();
        sheet.row(kept, "NTE", "NTE", [code, &clean(&note.text)]);
    }
}

/// Description, lots, serial numbers, references and what was kept of a line.
pub fn line_details(sheet: &mut Sheet, kept: &Kept<'_>, line: &Line) {
    let descriptions = line.item.description.iter().chain(
        line.notes.iter().filter(|note| note.kind.as_deref() == Some("description")).map(|note| &note.text),
    );
    for description in descriptions {
        sheet.row(kept, "G69", "G69", [clean(description)]);
    }
    for (index, lot) in line.lots.iter().enumerate() {
        let key = format!("N9*LT*{}", lot.number);
        // The first lot stands in the line's own segment; what else was said of it needs an N9.
        if index > 0 || kept.has(&key) {
            sheet.row(kept, &key, "N9", ["LT", &lot.number]);
        }
    }
    for serial in &line.serials {
        sheet.row(kept, &format!("N9*SE*{serial}"), "N9", ["SE", serial]);
    }
    references(sheet, kept, &line.references, &[]);
    let expiries: Vec<&String> = line.lots.iter().filter_map(|lot| lot.expiry.as_ref()).collect();
    // A day for each lot can be told apart by its order, and fewer can't.
    if !expiries.is_empty() && expiries.len() == line.lots.len() {
        for expiry in expiries {
            sheet.row(kept, "G62*36", "G62", ["36", &expiry.replace('-', "")]);
        }
    }
    for count in 1.. {
        let key = if count == 1 { "G62*36".to_owned() } else { format!("G62*36[{count}]") };
        let Some(expiry) = kept.get(&format!("{key}/2")) else { break };
        sheet.rows.push(Row { name: "G62".to_owned(), values: vec!["36".to_owned(), expiry.to_owned()] });
    }
    sheet.kept_segments(kept, &[]);
}

/// W03 or W76.
pub fn totals(
    sheet: &mut Sheet,
    kept: &Kept<'_>,
    name: &str,
    totals: Option<&Totals>,
) -> Result<(), Refusal> {
    let Some(totals) = totals else { return Ok(()) };
    let Some(units) = &totals.units else { return Ok(()) };
    let mut values = vec![units.value.as_str().to_owned()];
    for (quantity, at) in [(&totals.weight, "/totals/weight"), (&totals.volume, "/totals/volume")] {
        match quantity {
            Some(quantity) => values.extend([quantity.value.as_str().to_owned(), unit(quantity, at)?]),
            None => values.extend([String::new(), String::new()]),
        }
    }
    if let Some(packs) = totals.packs.as_ref().filter(|packs| name == "W03" && !counts_pallets(packs)) {
        values.extend([packs.value.as_str().to_owned(), unit(packs, "/totals/packs")?]);
    }
    sheet.row(kept, name, name, values);
    sheet.kept_again(kept, name);
    Ok(())
}

/// The reference of a kind that stands in the set's first segment: the first that did not come from an N9.
fn leading<'r>(references: &'r [Reference], kind: &str) -> Option<&'r Reference> {
    let from_n9 = |reference: &Reference| {
        reference.source_kind.as_deref().is_some_and(|source| source.starts_with("N9*"))
    };
    references.iter().find(|reference| reference.kind == kind && !from_n9(reference))
}

/// Its value.
pub fn leading_value<'r>(references: &'r [Reference], kind: &str) -> &'r str {
    leading(references, kind).map_or("", |reference| &reference.value)
}

/// The UPC case code, and the other product numbers as qualifier and value.
pub fn products(item: &Item) -> (String, Vec<(String, String)>) {
    let is_upc = |identifier: &&Identifier| identifier.scheme == "upc-case";
    let upc = item.identifiers.iter().find(is_upc);
    let others =
        item.identifiers.iter().filter(|identifier| !upc.is_some_and(|upc| std::ptr::eq(upc, *identifier)));
    let pairs = others.map(|identifier| {
        let code =
            tables::product_code(&identifier.scheme, &identifier.value).unwrap_or_else(|| "ZZ".to_owned());
        (code, identifier.value.clone())
    });
    (upc.map(|upc| upc.value.clone()).unwrap_or_default(), pairs.collect())
}

/// Puts pairs of qualifier and value into their places, counted from 1; more pairs than places can't be said.
pub fn place_pairs(
    values: &mut [String],
    places: &[usize],
    pairs: Vec<(String, String)>,
    at: &str,
) -> Result<(), Refusal> {
    if pairs.len() > places.len() {
        let message =
            format!("{} product numbers, and the segment has room for {}", pairs.len(), places.len());
        let place = Location::json_pointer(format!("{at}/item/identifiers"));
        return Err(Diagnostic::error("too-many-identifiers", message).at(place).into());
    }
    for (place, (code, value)) in places.iter().zip(pairs) {
        values[place - 1] = code;
        values[*place] = value;
    }
    Ok(())
}

/// LX01 counts; a line number that is no count goes along as a reference.
pub fn loop_number(line: &Line, index: usize) -> String {
    let digits = line.number.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (1..=6).contains(&line.number.len()) { line.number.clone() } else { (index + 1).to_string() }
}

/// The lines by the LX that they stand in: `2` and `2.2` and `2.3` share one.
pub fn loops(lines: &[Line]) -> Vec<&[Line]> {
    let mut loops = Vec::new();
    let mut start = 0;
    for at in 1..=lines.len() {
        let shared = lines.get(at).is_some_and(|line| {
            let next = line.number.strip_prefix(lines[start].number.as_str());
            next.and_then(|rest| rest.strip_prefix('.')) == Some((at - start + 1).to_string().as_str())
        });
        if !shared {
            loops.push(&lines[start..at]);
            start = at;
        }
    }
    loops.retain(|lines| !lines.is_empty());
    loops
}
