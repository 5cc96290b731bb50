//! 945 from `shipment.dispatched`.

use std::collections::{BTreeMap, BTreeSet};

use crossdock_mapper::canonical::{
    Content, Dated, Line, LineStatus, Measure, Pack, Quantity, Reference, ShipmentDispatched, units,
};
use crossdock_mapper::{Diagnostic, Location, Refusal};

use super::details::{
    dates, leading_value, line_details, loop_number, loops, notes, place_pairs, products, references, totals,
};
use super::order::missing;
use crate::tables::{EQUIPMENT, MARKS, WEIGHTS, code_of, line_status_code, payment_code};
use crossdock_x12::{Kept, Sheet, mode_code, scac, text, unit};

/// Kinds of references that W06 holds.
const IN_W06: [&str; 6] = ["order", "shipment", "agent-shipment", "po", "master-reference", "link-sequence"];

pub fn sheet(shipment: &ShipmentDispatched) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&shipment.extensions);
    let mut sheet = Sheet::default();
    identification(&mut sheet, &kept, shipment)?;
    sheet.parties(&kept, &shipment.parties, "PER");
    references(&mut sheet, &kept, &shipment.references, &IN_W06);
    if shipment.equipment.len() > 1 {
        let place = Location::json_pointer("/equipment/1");
        return Err(Diagnostic::error("too-much-equipment", "a 945 names one piece of equipment")
            .at(place)
            .into());
    }
    let shown = shipment.equipment.first();
    let seals = shown.map_or(&[][..], |equipment| equipment.seals.as_slice());
    // The last two seals have places of their own in W10, which comes after the references.
    let (referred, seals) = seals.split_at(seals.len().saturating_sub(2));
    for seal in referred {
        sheet.row(&kept, &format!("N9*SN*{seal}"), "N9", ["SN", seal]);
    }
    if let Some(time) = shipment.dispatched.as_ref().filter(|time| time.time_digits().is_some()) {
        sheet.date(&kept, "11", time);
    } else if let (Some(time), true) = (&shipment.dispatched, advice_date(shipment).is_some()) {
        sheet.date(&kept, "11", time);
    }
    dates(&mut sheet, &kept, &shipment.dates, &["advice"]);
    notes(&mut sheet, &kept, &shipment.notes);
    sheet.kept_segments(&kept, &["W27", "W10", "W03"]);
    carrier(&mut sheet, &kept, shipment);
    sheet.kept_again(&kept, "W27");
    let packs = shipment.totals.as_ref().and_then(|totals| totals.packs.as_ref());
    let pallets = packs.filter(|packs| counts_pallets(packs));
    let count = pallets.map_or("", |pallets| pallets.value.as_str());
    let seal = |n: usize| seals.get(n).map_or("", String::as_str);
    if !count.is_empty() || !seals.is_empty() || kept.get("W10/1").is_some() || kept.get("W10/3").is_some() {
        sheet.row(&kept, "W10", "W10", ["", count, "", seal(0), seal(1)]);
    }
    sheet.kept_again(&kept, "W10");
    let packs = Packs::of(&shipment.packs);
    let mut index = 0;
    for lines in loops(&shipment.lines) {
        sheet.row(&Kept::default(), "LX", "LX", [loop_number(&lines[0], index)]);
        let common = packs.before(&mut sheet, lines);
        for line in lines {
            item(&mut sheet, line, index, &packs, &common)?;
            index += 1;
        }
    }
    totals(&mut sheet, &kept, "W03", shipment.totals.as_ref())?;
    Ok(sheet)
}

/// W10-02 counts pallets by its definition; packs of another unit, or with the sender's own, are those of W03-06.
pub fn counts_pallets(packs: &Quantity) -> bool {
    packs.unit.as_deref() == Some("PF") && packs.source_unit.is_none()
}

fn advice_date(shipment: &ShipmentDispatched) -> Option<&Dated> {
    shipment.dates.iter().find(|dated| dated.kind == "advice")
}

fn identification(sheet: &mut Sheet, kept: &Kept<'_>, shipment: &ShipmentDispatched) -> Result<(), Refusal> {
    let of = |kind| leading_value(&shipment.references, kind);
    let order = of("order");
    if order.is_empty() && of("shipment").is_empty() && of("agent-shipment").is_empty() {
        return Err(missing("", "references", "the order that was shipped").into());
    }
    let day = advice_date(shipment).map(|dated| &dated.time).or(shipment.dispatched.as_ref());
    let date = day.and_then(|time| time.date_digits()).unwrap_or_default();
    // The shipment's number is the order's or the bill of lading's where the source had none of its own.
    let bol = Reference::find(&shipment.references, "bol").unwrap_or_default();
    let borrowed = [order, of("agent-shipment"), bol].contains(&shipment.shipment.as_str());
    let number = match (of("shipment"), borrowed) {
        ("", false) => shipment.shipment.as_str(),
        (number, _) => number,
    };
    let values = [
        "F",
        order,
        &date,
        number,
        of("agent-shipment"),
        of("po"),
        of("master-reference"),
        of("link-sequence"),
    ];
    sheet.row(kept, "W06", "W06", values);
    Ok(())
}

fn carrier(sheet: &mut Sheet, kept: &Kept<'_>, shipment: &ShipmentDispatched) {
    let equipment = shipment.equipment.first();
    let number =
        equipment.and_then(|equipment| equipment.identifiers.first()).map_or("", |one| one.value.as_str());
    let kind =
        equipment.and_then(|equipment| equipment.kind.as_deref()).and_then(|kind| code_of(EQUIPMENT, kind));
    if shipment.carrier.is_none() && number.is_empty() && kind.is_none() {
        return;
    }
    let carrier = shipment.carrier.clone().unwrap_or_default();
    let payment = carrier.payment.as_deref().and_then(payment_code).unwrap_or_default();
    let payment = payment.as_str();
    // Element 206 has up to four letters, 207 what follows.
    let letters = number.bytes().take(4).take_while(u8::is_ascii_uppercase).count();
    let (initial, rest) = if letters == 4 { number.split_at(4) } else { ("", number) };
    let values = [
        &mode_code(&carrier),
        &scac(&carrier),
        &text(&carrier.name),
        payment,
        kind.as_deref().unwrap_or_default(),
        initial,
        rest,
    ];
    sheet.row(kept, "W27", "W27", values);
}

fn item(
    sheet: &mut Sheet,
    line: &Line,
    index: usize,
    packs: &Packs<'_>,
    common: &BTreeSet<&str>,
) -> Result<(), Refusal> {
    let at = format!("/lines/{index}");
    let kept = Kept::of(&line.extensions);
    let unsent = matches!(line.status, Some(LineStatus::Cancelled | LineStatus::Backordered));
    let shipped = match (&line.shipped, &line.ordered) {
        (Some(shipped), _) => shipped,
        (None, Some(ordered)) if unsent => ordered,
        _ => return Err(missing(&at, "shipped", "the quantity shipped").into()),
    };
    let (upc, pairs) = products(&line.item);
    if upc.is_empty() && pairs.is_empty() {
        return Err(missing(&at, "item/identifiers", "a product number").into());
    }
    let code = unit(shipped, &format!("{at}/shipped"))?;
    let same =
        |ordered: &&Quantity| (&ordered.unit, &ordered.source_unit) == (&shipped.unit, &shipped.source_unit);
    let ordered = match &line.ordered {
        Some(ordered) if !same(&ordered) && unit(ordered, &format!("{at}/ordered"))? != code => {
            let place = Location::json_pointer(format!("{at}/ordered/unit"));
            let message = "ordered and shipped have different units, and W12 has one for both";
            return Err(Diagnostic::error("units-differ", message).at(place).into());
        }
        ordered => ordered.as_ref(),
    };

    let mut values = vec![String::new(); 22];
    let status = line.status.or_else(|| LineStatus::of(ordered?, shipped)).unwrap_or(LineStatus::Complete);
    values[0] = line_status_code(status).to_owned();
    values[1] = ordered.map(|ordered| ordered.value.as_str().to_owned()).unwrap_or_default();
    values[2] = line.shipped.as_ref().map(|shipped| shipped.value.as_str().to_owned()).unwrap_or_default();
    if let Some(difference) = line.difference.as_ref().filter(|difference| !difference.value.is_zero()) {
        values[3] = difference.value.as_str().trim_start_matches('-').to_owned();
    }
    values[4] = code;
    values[5] = upc;
    match &line.substitutes {
        Some(original) if status == LineStatus::Substituted => {
            place_pairs(&mut values, &[7, 21], pairs, &at)?;
            let (upc, pairs) = products(original);
            values[15] = upc;
            place_pairs(&mut values, &[17], pairs, &at)?;
        }
        _ => place_pairs(&mut values, &[7, 17, 21], pairs, &at)?,
    }
    values[8] = line.lots.first().map(|lot| lot.number.clone()).unwrap_or_default();
    let weights = line.measures.iter().filter_map(|measure| Some((weight_code(measure)?, measure)));
    for (place, (code, measure)) in [9, 12].into_iter().zip(weights) {
        values[place] = measure.value.as_str().to_owned();
        values[place + 1] = code;
        values[place + 2] = weight_unit(measure);
    }
    values[18] = line.reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default();
    sheet.row(&kept, "W12", "W12", values);
    packs.within(sheet, &kept, line, common);
    line_details(sheet, &kept, line);
    Ok(())
}

/// Element 187 for a measure that is a weight.
fn weight_code(measure: &Measure) -> Option<String> {
    let weighs = measure.kind.ends_with("weight") || measure.kind.starts_with("x12-");
    weighs.then(|| code_of(WEIGHTS, &measure.kind).unwrap_or_default())
}

/// Element 188, one letter.
fn weight_unit(measure: &Measure) -> String {
    let means_it = |own: &&str| own.len() == 1 && units::from_x12_weight(own) == measure.unit.as_deref();
    let own = measure.source_unit.as_deref().filter(means_it);
    let letters = ["L", "K", "G"];
    let known =
        || letters.into_iter().find(|letter| units::from_x12_weight(letter) == measure.unit.as_deref());
    own.or_else(known).unwrap_or_default().to_owned()
}

/// The packs by what they hold.
struct Packs<'p> {
    of_line: BTreeMap<&'p str, Vec<(&'p Pack, &'p Content)>>,
}

impl<'p> Packs<'p> {
    fn of(packs: &'p [Pack]) -> Self {
        let mut of_line: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for pack in packs {
            for content in &pack.contents {
                of_line.entry(content.line.as_str()).or_default().push((pack, content));
            }
        }
        Self { of_line }
    }

    /// The packs that hold every line of a loop go before its lines: MAN. Their names are handed back.
    fn before(&self, sheet: &mut Sheet, lines: &[Line]) -> BTreeSet<&'p str> {
        let kept = Kept::of(&lines[0].extensions);
        let mut common = BTreeSet::new();
        for (pack, _) in self.holding(&lines[0]) {
            let holds = |line: &Line| {
                pack.contents.iter().any(|content| content.quantity.is_none() && content.line == line.number)
            };
            // A mere licence plate has no qualifier in MAN.
            if marks(pack).0 == "licence-plate"
                || !lines.iter().all(holds)
                || !common.insert(pack.id.as_str())
            {
                continue;
            }
            mark(sheet, &kept, pack);
        }
        common
    }

    /// The other packs of a line, with the units in each: N9*LV. One that is known by its carrier's number, or by two
    /// numbers, needs a MAN.
    fn within(&self, sheet: &mut Sheet, kept: &Kept<'_>, line: &Line, common: &BTreeSet<&str>) {
        for (pack, content) in self.holding(line).filter(|(pack, _)| !common.contains(pack.id.as_str())) {
            let units = content.quantity.as_ref().map_or("", |quantity| quantity.value.as_str());
            let (scheme, value) = marks(pack);
            let has_plate = matches!(scheme, "licence-plate" | "sscc") && pack.identifiers.len() < 2;
            match units.is_empty() && !has_plate {
                true => mark(sheet, kept, pack),
                false => sheet.row(kept, &format!("N9*LV*{}", pack.id), "N9", ["LV", &value, units]),
            }
        }
    }

    fn holding(&self, line: &Line) -> impl Iterator<Item = &(&'p Pack, &'p Content)> {
        self.of_line.get(line.number.as_str()).into_iter().flatten()
    }
}

/// A MAN with one number of the pack, or two.
fn mark(sheet: &mut Sheet, kept: &Kept<'_>, pack: &Pack) {
    let (scheme, value) = marks(pack);
    let code = |scheme: &str| code_of(MARKS, scheme).unwrap_or_else(|| "ZZ".to_owned());
    let mut values = vec![code(scheme), value];
    if let Some(second) = pack.identifiers.get(1) {
        values.extend([String::new(), code(&second.scheme), second.value.clone()]);
    }
    sheet.row(kept, &format!("MAN*{}*{}", code(scheme), pack.id), "MAN", values);
}

/// The scheme of a pack's number, and the number as X12 has it: an SSCC after its application identifier.
fn marks(pack: &Pack) -> (&str, String) {
    let scheme = pack.identifiers.first().map_or("licence-plate", |identifier| &identifier.scheme);
    let value =
        if scheme == "sscc" && pack.id.len() == 18 { format!("00{}", pack.id) } else { pack.id.clone() };
    (scheme, value)
}
