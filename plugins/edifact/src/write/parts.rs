//! What all messages share: the segments of dates, references, parties, carriers, items, measures, notes.

use crossdock_mapper::canonical::{
    Carrier, Code, Correction, CorrectionKind, Dated, Equipment, Hazard, Identifier, Item, Measure, Note,
    Party, Place, Quantity, Reference, Temperature, Time, Totals,
};
use crossdock_mapper::{Diagnostic, Refusal};

use super::rows::{Rows, text};
use crate::tables;

/// `BGM`: name, number and function of the document.
pub fn heading(rows: &mut Rows, kind: &str, number: &str, function: &str) {
    rows.add("BGM", &[&[tables::listed(tables::NAMES, kind).unwrap_or_default()], &[number], &[function]]);
}

/// 1225 of a document that corrects another, else of an original.
pub fn function(correction: Option<&Correction>) -> &'static str {
    match correction.map(|correction| correction.kind) {
        Some(CorrectionKind::Change) => "4",
        Some(CorrectionKind::Replacement) => "5",
        Some(CorrectionKind::Reversal) => "1",
        None => "9",
    }
}

/// `DTM` of a kind of the model, if it has a qualifier.
pub fn date(rows: &mut Rows, kind: &str, time: &Time) {
    let Some(qualifier) = tables::code_of(tables::DATES, kind, None) else { return };
    if let Some((value, format)) = value(time) {
        rows.add("DTM", &[&[&qualifier, &value, format]]);
    }
}

/// Every date of a list; a from and an until of one kind become a period.
pub fn dates(rows: &mut Rows, dates: &[Dated]) {
    for dated in dates {
        let Some(kind) = dated.kind.strip_suffix("-from") else {
            if !dated.kind.ends_with("-until") {
                date(rows, &dated.kind, &dated.time);
            }
            continue;
        };
        let until = dates.iter().find(|other| other.kind.strip_suffix("-until") == Some(kind));
        let Some(until) = until else { continue };
        let Some(qualifier) = tables::code_of(tables::DATES, kind, None) else { continue };
        match (value(&dated.time), value(&until.time)) {
            (Some((from, "102")), Some((until, "102"))) => {
                rows.add("DTM", &[&[&qualifier, &format!("{from}-{until}"), "718"]]);
            }
            (Some((from, "203")), Some((until, "203"))) => {
                rows.add("DTM", &[&[&qualifier, &format!("{from}{until}"), "719"]]);
            }
            _ => {}
        }
    }
}

/// A time in the shortest format that says all of it: the offset only where the source stated one.
fn value(time: &Time) -> Option<(String, &'static str)> {
    if time.local.is_none() {
        let (date, clock) = (time.date_digits()?, time.time_digits()?);
        let offset =
            time.at.as_deref()?.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        return Some(match offset {
            "Z" | "+00:00" if clock.ends_with("00") => (format!("{date}{}UTC", &clock[..4]), "303"),
            "Z" | "+00:00" => (format!("{date}{clock}UTC"), "304"),
            offset => (format!("{date}{}{}", &clock[..4], offset.replace(':', "")), "205"),
        });
    }
    let date = time.date_digits()?;
    Some(match time.time_digits() {
        None => (date, "102"),
        Some(clock) if clock.ends_with("00") => (format!("{date}{}", &clock[..4]), "203"),
        Some(clock) => (format!("{date}{clock}"), "204"),
    })
}

/// `RFF` for every reference that has a qualifier, with the date of it where there is one.
pub fn references(rows: &mut Rows, references: &[Reference], dates: &[Dated]) {
    let mut dates: Vec<&Dated> = dates.iter().collect();
    for reference in references {
        let Some(qualifier) = qualifier(reference) else { continue };
        rows.add("RFF", &[&[&qualifier, &reference.value]]);
        let own = dates.iter().position(|dated| dated.kind.strip_suffix("-date") == Some(&reference.kind));
        if let Some((value, format)) = own.and_then(|at| value(&dates.remove(at).time)) {
            rows.add("DTM", &[&["171", &value, format]]);
        }
    }
}

fn qualifier(reference: &Reference) -> Option<String> {
    let source = reference.source_kind.as_deref().and_then(|kind| kind.strip_prefix("RFF+"));
    tables::code_of(tables::REFERENCES, &reference.kind, source)
}

/// `RFF` of a line: the line of an order stands in the reference of the order.
pub fn line_references(rows: &mut Rows, references: &[Reference]) {
    let mut rest = references.iter().peekable();
    while let Some(reference) = rest.next() {
        let Some(qualifier) = qualifier(reference) else { continue };
        let line = rest.next_if(|next| next.source_kind.as_deref() == Some("RFF/1156"));
        rows.add("RFF", &[&[&qualifier, &reference.value, line.map_or("", |line| line.value.as_str())]]);
    }
}

/// `NAD` for every party whose role has a qualifier, with its registration numbers and contacts.
pub fn parties(rows: &mut Rows, parties: &[Party], with_details: bool) {
    for party in parties {
        let Some(role) = tables::code_of(tables::ROLES, &party.role, party.source_role.as_deref()) else {
            continue;
        };
        let (id, agency) = identified(&party.identifiers);
        let address = party.address.clone().unwrap_or_default();
        let name = split(text(&party.name));
        let names: Vec<&str> = name.iter().map(String::as_str).collect();
        let lines: Vec<&str> = address.lines.iter().map(String::as_str).take(4).collect();
        rows.add(
            "NAD",
            &[
                &[&role],
                &[id, "", &agency],
                &[],
                &names,
                &lines,
                &[text(&address.city)],
                &[text(&address.region)],
                &[text(&address.postal_code)],
                &[text(&address.country)],
            ],
        );
        if !with_details {
            continue;
        }
        for identifier in &party.identifiers {
            if let Some(qualifier) = tables::code_of(tables::REFERENCES, &identifier.scheme, None) {
                rows.add("RFF", &[&[&qualifier, &identifier.value]]);
            }
        }
        for contact in &party.contacts {
            let role = contact.role.as_deref().and_then(|role| tables::code_of(tables::CONTACTS, role, None));
            rows.add("CTA", &[&[role.as_deref().unwrap_or("IC")], &["", text(&contact.name)]]);
            for (value, way) in [(&contact.phone, "TE"), (&contact.email, "EM")] {
                if let Some(value) = value {
                    rows.add("COM", &[&[value, way]]);
                }
            }
        }
    }
}

/// The identifier that has an agency (3055), and the agency.
fn identified(identifiers: &[Identifier]) -> (&str, String) {
    let known = identifiers
        .iter()
        .find_map(|one| Some((one.value.as_str(), tables::code_of(tables::AGENCIES, &one.scheme, None)?)));
    let plain = || identifiers.iter().find(|one| matches!(&*one.scheme, "party" | "carrier" | "place"));
    known.or_else(|| plain().map(|one| (one.value.as_str(), String::new()))).unwrap_or_default()
}

/// A name in pieces of 35 characters at most, divided between words.
fn split(name: &str) -> Vec<String> {
    const LENGTH: usize = 35;
    let mut pieces: Vec<String> = Vec::new();
    for word in name.split(' ') {
        match pieces.last_mut().filter(|piece| piece.chars().count() + 1 + word.chars().count() <= LENGTH) {
            Some(piece) => {
                piece.push(' ');
                piece.push_str(word);
            }
            None => pieces.push(word.to_owned()),
        }
    }
    if pieces.len() > 5 {
        let rest = pieces.split_off(4).join(" ");
        pieces.push(rest);
    }
    pieces
}

/// `LOC` of a place.
pub fn place(rows: &mut Rows, place: &Place) {
    let role = place.role.as_deref().and_then(|role| tables::code_of(tables::PLACES, role, None));
    let (id, agency) = identified(&place.identifiers);
    let list = if agency == "6" { "139" } else { "" };
    rows.add("LOC", &[&[role.as_deref().unwrap_or("175")], &[id, list, &agency, text(&place.name)]]);
}

/// `TDT` of the main carriage or another leg, with the vehicle that it uses.
pub fn carrier(rows: &mut Rows, stage: &str, carrier: &Carrier, vehicle: Option<&Equipment>) {
    let mode = carrier
        .mode
        .as_deref()
        .and_then(|mode| tables::code_of(tables::MODES, mode, carrier.source_mode.as_deref()));
    let mode =
        mode.as_deref().or(carrier.source_mode.as_deref().filter(|mode| mode.len() <= 3)).unwrap_or_default();
    let conveyance = Reference::find(&carrier.references, "conveyance").unwrap_or_default();
    let (id, agency) = identified(&carrier.identifiers);
    let (mut number, mut list, mut named) = ("", ["", ""], "");
    for identifier in vehicle.iter().flat_map(|vehicle| &vehicle.identifiers) {
        match &*identifier.scheme {
            "imo" => (number, list) = (&identifier.value, ["146", "11"]),
            "call-sign" => (number, list) = (&identifier.value, ["103", ""]),
            "vessel" => number = &identifier.value,
            _ if named.is_empty() => named = &identifier.value,
            _ => {}
        }
    }
    let [list, responsible] = list;
    rows.add(
        "TDT",
        &[
            &[stage],
            &[conveyance],
            &[mode],
            &["", text(&carrier.service)],
            &[id, "", &agency, text(&carrier.name)],
            &[],
            &[],
            &[number, list, responsible, named],
        ],
    );
}

/// The vehicles among the equipment, which stand in `TDT`, and what stands in `EQD`.
pub fn vehicles(equipment: &[Equipment]) -> (Vec<&Equipment>, Vec<&Equipment>) {
    let moves = |one: &&Equipment| {
        matches!(one.kind.as_deref(), Some("vessel" | "truck" | "train" | "aircraft" | "vehicle"))
    };
    equipment.iter().partition(moves)
}

/// `EQD` and the seals of it.
pub fn equipment(rows: &mut Rows, equipment: &Equipment, with_temperature: bool) {
    let kind = equipment.kind.as_deref().and_then(|kind| tables::code_of(tables::EQUIPMENT, kind, None));
    let number = equipment.identifiers.first().map_or("", |one| one.value.as_str());
    rows.add("EQD", &[&[kind.as_deref().unwrap_or("TE")], &[number], &[text(&equipment.type_code)]]);
    for seal in &equipment.seals {
        rows.add("SEL", &[&[seal]]);
    }
    if let Some(temperature) = equipment.temperature.as_ref().filter(|_| with_temperature) {
        self::temperature(rows, temperature);
    }
}

/// `TMP` and `RNG`.
pub fn temperature(rows: &mut Rows, temperature: &Temperature) {
    if let Some(set_point) = &temperature.set_point {
        rows.add("TMP", &[&["2"], &[set_point.value.as_str(), text(&set_point.unit)]]);
    }
    let bound = |bound: &Option<Quantity>| {
        bound.as_ref().map(|one| one.value.as_str().to_owned()).unwrap_or_default()
    };
    let unit =
        temperature.minimum.as_ref().or(temperature.maximum.as_ref()).map(|one| text(&one.unit).to_owned());
    if let Some(unit) = unit {
        rows.add("RNG", &[&["5"], &[&unit, &bound(&temperature.minimum), &bound(&temperature.maximum)]]);
    }
}

/// `MEA` for every measure; `purpose` is what such measures are for (6311).
pub fn measures(rows: &mut Rows, measures: &[Measure], purpose: &str) {
    for measure in measures {
        let Some(property) = tables::code_of(tables::MEASURES, &measure.kind, None) else { continue };
        let unit = measure.unit.as_deref().or(measure.source_unit.as_deref()).unwrap_or_default();
        rows.add("MEA", &[&[purpose], &[&property], &[unit, measure.value.as_str()]]);
    }
}

/// `FTX` for every note, five lines each.
pub fn notes(rows: &mut Rows, notes: &[Note]) {
    for note in notes {
        let kind = note.kind.as_deref().unwrap_or("general");
        let subject = tables::code_of(tables::NOTES, kind, None).unwrap_or_else(|| "ZZZ".to_owned());
        let lines: Vec<&str> = note.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for five in lines.chunks(5) {
            rows.add("FTX", &[&[&subject], &[], &[], five]);
        }
    }
}

/// `DGS` for dangerous goods, with their name.
pub fn hazards(rows: &mut Rows, hazards: &[Hazard]) {
    for hazard in hazards {
        let flash = hazard.flash_point.as_ref();
        let flash = flash.map(|point| (point.value.as_str(), text(&point.unit))).unwrap_or_default();
        rows.add(
            "DGS",
            &[
                &[text(&hazard.regulation)],
                &[text(&hazard.class)],
                &[text(&hazard.un_number)],
                &[flash.0, flash.1],
                &[text(&hazard.packing_group)],
            ],
        );
        if let Some(name) = &hazard.name {
            rows.add("FTX", &[&["AAD"], &[], &[], &name.lines().take(5).collect::<Vec<_>>()]);
        }
    }
}

/// `TOD`: the terms of delivery.
pub fn incoterms(rows: &mut Rows, incoterms: Option<&Code>) {
    let Some(terms) = incoterms else { return };
    rows.add("TOD", &[&["3"], &[], &[&terms.code]]);
    if let Some(place) = &terms.text {
        rows.add("LOC", &[&["1"], &["", "", "", place]]);
    }
}

/// `LIN`, `PIA` and `IMD`: which item a line is about.
pub fn item(rows: &mut Rows, number: &str, item: &Item, substitutes: Option<&Item>) {
    let coded = |identifier: &Identifier| {
        let code = match &*identifier.scheme {
            // What is not 14 digits long is an EAN or UPC, as it always was.
            "gtin" if identifier.value.len() == 13 => Some("EN".to_owned()),
            "gtin" if identifier.value.len() == 12 => Some("UP".to_owned()),
            "item" => Some(String::new()),
            scheme => tables::code_of(tables::ITEMS, scheme, None),
        };
        code.map(|code| (identifier.value.clone(), code))
    };
    let mut identifiers = item.identifiers.iter().filter_map(coded);
    let (value, code) = identifiers.next().unwrap_or_default();
    rows.add("LIN", &[&[number], &[], &[&value, &code]]);
    let rest: Vec<_> = identifiers.collect();
    let ordered: Vec<_> = substitutes.iter().flat_map(|item| &item.identifiers).filter_map(coded).collect();
    for (function, numbers) in [("1", rest), ("4", ordered)] {
        for five in numbers.chunks(5) {
            let mut elements: Vec<Vec<&str>> = vec![vec![function]];
            elements.extend(five.iter().map(|(value, code)| vec![value.as_str(), code.as_str()]));
            let elements: Vec<&[&str]> = elements.iter().map(Vec::as_slice).collect();
            rows.add("PIA", &elements);
        }
    }
    if let Some(description) = &item.description {
        rows.add("IMD", &[&["F"], &[], &["", "", "", description]]);
    }
}

/// `QTY` by its qualifier. A unit that no code says can't be sent.
pub fn quantity(rows: &mut Rows, qualifier: &str, quantity: Option<&Quantity>) -> Result<(), Refusal> {
    let Some(quantity) = quantity else { return Ok(()) };
    let unit = unit(quantity)?;
    rows.add("QTY", &[&[qualifier, quantity.value.as_str(), &unit]]);
    Ok(())
}

/// 6411: the unit as the source wrote it where that means the same, else by Recommendation 20.
pub fn unit(quantity: &Quantity) -> Result<String, Refusal> {
    let source = quantity.source_unit.as_deref();
    let same = source.filter(|source| tables::listed(tables::UNITS, source) == quantity.unit.as_deref());
    let code =
        same.filter(|source| source.len() <= 3).or(quantity.unit.as_deref()).or(source).unwrap_or_default();
    if code.len() > 8 || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!("no code of EDIFACT says the unit `{code}`");
        return Err(Diagnostic::error("unit", message).into());
    }
    Ok(code.to_owned())
}

/// `PCI` and `GIN`: numbers that are marked so, five in each segment.
pub fn marks(rows: &mut Rows, mark: &str, kind: &str, numbers: &[&str]) {
    rows.add("PCI", &[&[mark]]);
    identities(rows, kind, numbers);
}

/// `GIN`: numbers of a kind, five in each segment.
pub fn identities(rows: &mut Rows, kind: &str, numbers: &[&str]) {
    for five in numbers.chunks(5) {
        let mut elements: Vec<[&str; 1]> = vec![[kind]];
        elements.extend(five.iter().map(|number| [*number]));
        let elements: Vec<&[&str]> = elements.iter().map(|one| one.as_slice()).collect();
        rows.add("GIN", &elements);
    }
}

/// `CNT`: the totals.
pub fn totals(rows: &mut Rows, totals: Option<&Totals>) -> Result<(), Refusal> {
    let Some(totals) = totals else { return Ok(()) };
    for (qualifier, quantity) in [
        ("1", &totals.units),
        ("2", &totals.lines),
        ("7", &totals.weight),
        ("11", &totals.packs),
        ("15", &totals.volume),
    ] {
        if let Some(quantity) = quantity {
            rows.add("CNT", &[&[qualifier, quantity.value.as_str(), &unit(quantity)?]]);
        }
    }
    Ok(())
}
