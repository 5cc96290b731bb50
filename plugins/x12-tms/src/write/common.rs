//! What all sets write in the same segments: references, dates, remarks, equipment, weights, stops.

use crossdock_mapper::canonical::{
    Dated, Equipment, Extensions, Line, Measure, Note, Party, Place, Quantity, Reference, Stop, Temperature,
    Totals,
};
use crossdock_mapper::{Diagnostic, Location, Refusal, serde_json};
use crossdock_x12::{Kept, Sheet, clean, is_code, unit};

use serde::de::DeserializeOwned;

use super::goods;
use crate::stops::{self, has_unit};
use crate::tables::{self, DATES, EQUIPMENT, NOTES, REFERENCES, code_of};

/// References but for those that have a place of their own, by the source that they came from. `segment` is what they are
/// written as where they did not come from one: L11 or N9.
pub fn references(
    sheet: &mut Sheet,
    kept: &Kept<'_>,
    references: &[Reference],
    segment: &str,
    elsewhere: &[&str],
) {
    for reference in references {
        let source = reference.source_kind.as_deref().unwrap_or_default();
        if elsewhere.contains(&source) {
            continue;
        }
        // The qualifier comes along from any set of X12; which segment holds it is for this set to say.
        let (from, own) = match source.split_once('*') {
            Some((from @ ("L11" | "N9" | "MAN"), code)) if code.len() <= 3 => (from, Some(code)),
            _ => (segment, None),
        };
        let name = if from == "MAN" { from } else { segment };
        let code = own.map(str::to_owned).or_else(|| code_of(REFERENCES, &reference.kind));
        let code = code.as_deref().unwrap_or("ZZ");
        let value = &*reference.value;
        let key = format!("{from}*{code}*{value}");
        let values = if name == "L11" { [value, code] } else { [code, value] };
        sheet.row(kept, &key, name, values);
    }
}

pub fn dates(sheet: &mut Sheet, kept: &Kept<'_>, dates: &[Dated]) {
    for dated in dates {
        if let Some(code) = code_of(DATES, &dated.kind) {
            sheet.date(kept, &code, &dated.time);
        }
    }
}

/// Remarks: NTE in a 204, elsewhere K1 for those without a kind.
pub fn notes(sheet: &mut Sheet, kept: &Kept<'_>, notes: &[Note], plain: &str) {
    for note in notes {
        let text = clean(&note.text);
        match &note.kind {
            None if plain == "K1" => sheet.row(kept, "K1", "K1", [text]),
            kind => {
                let code =
                    kind.as_deref().map(|kind| code_of(NOTES, kind).unwrap_or_else(|| "GEN".to_owned()));
                sheet.row(kept, "NTE", "NTE", [code.unwrap_or_default(), text]);
            }
        }
    }
}

/// N7 and M7.
pub fn equipment(sheet: &mut Sheet, kept: &Kept<'_>, equipment: &[Equipment]) {
    for piece in equipment {
        let number = piece.identifiers.first().map_or("", |one| one.value.as_str());
        let kind = piece.kind.as_deref().and_then(|kind| code_of(EQUIPMENT, kind)).unwrap_or_default();
        if !number.is_empty() || !kind.is_empty() || piece.type_code.is_some() {
            let (initial, rest) = parts(number);
            let mut values = vec![String::new(); 22];
            values[0] = initial.to_owned();
            values[1] = rest.to_owned();
            values[10] = kind;
            values[21] = piece.type_code.clone().unwrap_or_default();
            sheet.row(kept, &format!("N7*{number}"), "N7", values);
        }
        seals(sheet, kept, &piece.seals);
    }
}

/// M7, four seals at a time; one of which something was kept begins another.
pub fn seals(sheet: &mut Sheet, kept: &Kept<'_>, seals: &[String]) {
    let key = |seal: &String| format!("M7*{seal}");
    let mut from = 0;
    for to in 1..=seals.len() {
        let goes_on = to < seals.len() && to - from < 4 && !kept.has(&key(&seals[to]));
        if !goes_on {
            sheet.row(kept, &key(&seals[from]), "M7", &seals[from..to]);
            from = to;
        }
    }
}

/// Element 206 has up to four letters, 207 what follows.
fn parts(number: &str) -> (&str, &str) {
    let letters = number.bytes().take(4).take_while(u8::is_ascii_uppercase).count();
    if letters == 4 { number.split_at(4) } else { ("", number) }
}

/// W09; the kind of equipment that it begins with is kept, or any.
pub fn temperature(sheet: &mut Sheet, kept: &Kept<'_>, temperature: Option<&Temperature>) {
    let Some(temperature) = temperature else { return };
    let ends = [&temperature.set_point, &temperature.minimum, &temperature.maximum];
    let mut values = vec!["TF".to_owned()];
    for degrees in ends.into_iter().flatten() {
        let unit = match degrees.unit.as_deref() {
            Some("FAH") => "FA",
            Some("CEL") => "CE",
            _ => degrees.source_unit.as_deref().unwrap_or_default(),
        };
        values.extend([degrees.value.as_str().to_owned(), unit.to_owned()]);
    }
    sheet.row(kept, "W09", "W09", values);
}

/// AT8, and PLD where the packs are pallets. Units that say what they are stand in the stop's own segment.
pub fn weights(sheet: &mut Sheet, kept: &Kept<'_>, totals: Option<&Totals>) -> Result<(), Refusal> {
    let nothing = Totals::default();
    let totals = totals.unwrap_or(&nothing);
    if let Some(pallets) = totals.packs.as_ref().filter(|packs| packs.unit.as_deref() == Some("PF")) {
        sheet.row(kept, "PLD", "PLD", [pallets.value.as_str()]);
    }
    let packs = totals.packs.as_ref().filter(|packs| packs.unit.as_deref() != Some("PF"));
    let units = totals.units.as_ref().filter(|units| !has_unit(units));
    if totals.weight.is_none()
        && totals.volume.is_none()
        && packs.is_none()
        && units.is_none()
        && !kept.has("AT8")
    {
        return Ok(());
    }
    let values = [
        String::new(),
        weight_letter(totals.weight.as_ref(), "/totals/weight")?,
        value(totals.weight.as_ref()),
        value(packs),
        value(units),
        volume_letter(totals.volume.as_ref(), "/totals/volume")?,
        value(totals.volume.as_ref()),
    ];
    sheet.row(kept, "AT8", "AT8", values);
    Ok(())
}

/// The number of a quantity; empty where there is none.
pub fn value(quantity: Option<&Quantity>) -> String {
    quantity.map_or("", |quantity| quantity.value.as_str()).to_owned()
}

/// A measure without its kind.
pub fn quantity(measure: &Measure) -> Quantity {
    let Measure { value, unit, source_unit, .. } = measure.clone();
    Quantity { value, unit, source_unit }
}

/// The elements of an L3 that say how much it is in all; the others are empty.
pub fn totals_of_l3(totals: &Totals) -> Result<Vec<String>, Refusal> {
    let mut values = vec![String::new(); 12];
    values[0] = value(totals.weight.as_ref());
    values[8] = value(totals.volume.as_ref());
    values[9] = volume_letter(totals.volume.as_ref(), "/totals/volume")?;
    values[10] = value(totals.units.as_ref());
    values[11] = weight_letter(totals.weight.as_ref(), "/totals/weight")?;
    Ok(values)
}

/// Element 188 of a weight.
pub fn weight_letter(weight: Option<&Quantity>, at: &str) -> Result<String, Refusal> {
    letter(weight, at, &["L", "K", "G", "E", "S", "T", "O"], tables::weight_unit)
}

/// Element 184 of a volume.
pub fn volume_letter(volume: Option<&Quantity>, at: &str) -> Result<String, Refusal> {
    let first = volume.and_then(|volume| tables::volume_letter(volume.unit.as_deref()?));
    letter(volume, at, &[first.unwrap_or_default()], tables::volume_unit)
}

fn letter(
    quantity: Option<&Quantity>,
    at: &str,
    letters: &[&str],
    meaning: fn(&str) -> Option<&'static str>,
) -> Result<String, Refusal> {
    let Some(quantity) = quantity else { return Ok(String::new()) };
    let known = quantity.unit.as_deref();
    let own =
        quantity.source_unit.as_deref().filter(|own| is_code(own) && own.len() <= 2 && meaning(own) == known);
    let found =
        own.or_else(|| letters.iter().copied().find(|letter| known.is_some() && meaning(letter) == known));
    match (found, known) {
        (Some(letter), _) => Ok(letter.to_owned()),
        (None, None) => Ok(String::new()),
        (None, Some(known)) => {
            let message = format!("the unit `{known}` has no letter in X12");
            let place = Location::json_pointer(format!("{at}/unit"));
            Err(Diagnostic::error("unit-without-code", message).at(place).into())
        }
    }
}

/// S5 loops with their goods; lines that no stop names stand with the first. References are written as `refer`, remarks as
/// `remark`.
pub fn stops(
    sheet: &mut Sheet,
    extensions: &Extensions,
    name: &str,
    stops: &[Stop],
    lines: &[Line],
    (refer, remark): (&str, &str),
) -> Result<(), Refusal> {
    let left = extensions.get("x12").and_then(|x12| x12.get(name));
    let named = |line: &Line| stops.iter().any(|stop| stop.lines.contains(&line.number));
    for (index, stop) in stops.iter().enumerate() {
        let kept =
            left.and_then(|left| left.get((index + 1).to_string())).map(Kept::of_value).unwrap_or_default();
        // A 204 has an AT8 for weights; the others have room for them in S5 alone.
        let is_tender = remark == "NTE";
        let nothing = Totals::default();
        let totals = stop.totals.as_ref().unwrap_or(&nothing);
        let units = totals.units.as_ref().filter(|units| has_unit(units) || !is_tender);
        let code = units.map(|units| unit(units, &format!("/stops/{index}/totals/units"))).transpose()?;
        let (weight, volume) = match is_tender {
            true => (None, None),
            false => (totals.weight.as_ref(), totals.volume.as_ref()),
        };
        let values = [
            stop.number.clone(),
            stops::code(stop),
            value(weight),
            weight_letter(weight, "/stops/totals/weight")?,
            value(units),
            code.unwrap_or_default(),
            value(volume),
            volume_letter(volume, "/stops/totals/volume")?,
        ];
        sheet.row(&kept, "S5", "S5", values);
        references(sheet, &kept, &stop.references, refer, &[]);
        dates(sheet, &kept, &stop.dates);
        if is_tender {
            weights(sheet, &kept, stop.totals.as_ref())?;
        }
        let of_stop = |line: &&Line| stop.lines.contains(&line.number) || (index == 0 && !named(line));
        let (lading, others): (Vec<&Line>, Vec<&Line>) =
            lines.iter().filter(of_stop).partition(|line| goods::is_lading(line));
        // Mere packages stand before the party, and what is described after it.
        for line in lading {
            goods::line(sheet, line)?;
        }
        notes(sheet, &kept, &stop.notes, remark);
        sheet.kept_segments(&kept, &[]);
        match (stop.parties.as_slice(), &stop.place) {
            ([], Some(place)) => sheet.parties(&kept, &[party(place, stop)], "G61"),
            (parties, _) => sheet.parties(&kept, parties, "G61"),
        }
        for line in others {
            goods::line(sheet, line)?;
        }
    }
    Ok(())
}

/// Whom a place belongs to, where only the place is known: who ships there, or who receives.
fn party(place: &Place, stop: &Stop) -> Party {
    let delivers = stop.kind.as_deref().is_some_and(|kind| kind.ends_with("delivery"));
    Party {
        role: if delivers { "consignee" } else { "shipper" }.to_owned(),
        name: place.name.clone(),
        identifiers: place.identifiers.clone(),
        address: place.address.clone(),
        ..Party::default()
    }
}

/// A value that was kept with an event because its kind has no place for it.
pub fn kept_value<T: DeserializeOwned>(extensions: &Extensions, name: &str) -> Option<T> {
    // By way of text, for which the model has its code already.
    let text = extensions.get("x12")?.get(name)?.to_string();
    serde_json::from_slice(text.as_bytes()).ok()
}

/// A list of such values; empty where nothing was kept.
pub fn kept_list<T: DeserializeOwned>(extensions: &Extensions, name: &str) -> Vec<T> {
    kept_value(extensions, name).unwrap_or_default()
}

/// The first reference of a kind that came from a place, or from no segment of X12 at all.
pub fn leading<'r>(references: &'r [Reference], kind: &str, place: &str) -> &'r str {
    let found = references.iter().find(|reference| reference.source_kind.as_deref() == Some(place));
    let found = found.or_else(|| {
        references.iter().find(|reference| {
            reference.kind == kind
                && !reference.source_kind.as_deref().is_some_and(|source| source.contains('*'))
        })
    });
    found.map_or("", |reference| &reference.value)
}

/// Whether a code of the source is one of X12's list, and may be written as it is.
pub fn own_code<'c>(list: &str, code: Option<&'c crossdock_mapper::canonical::Code>) -> Option<&'c str> {
    let code = code.filter(|code| code.list.as_deref() == Some(list))?;
    Some(&*code.code).filter(|code| is_code(code) && code.len() <= 3)
}

/// A field that X12 can't do without.
pub fn missing(at: &str, what: &str) -> Diagnostic {
    Diagnostic::error("not-enough", format!("{what} is missing")).at(Location::json_pointer(at))
}
