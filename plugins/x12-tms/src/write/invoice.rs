//! 210 from `freight.invoiced`.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{Charge, Decimal, Invoice, InvoiceLine, Line, Quantity, Stop};
use crossdock_x12::{Kept, Sheet, clean, mode_code, scac, text};

use super::common::{
    dates, equipment, kept_list, leading, missing, notes, own_code, quantity, references, stops,
    totals_of_l3, value, volume_letter, weight_letter,
};
use crate::money::{cents, opposite};
use crate::tables::{CHARGES, INVOICE_DATES, WEIGHTS, code_of, payment_code};

pub fn sheet(invoice: &Invoice, refer: &str) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&invoice.extensions);
    let mut sheet = Sheet::default();
    let carrier = invoice.carrier.clone().unwrap_or_default();
    let scac = scac(&carrier);
    let left = beginning(&mut sheet, &kept, invoice, &scac)?;
    let currency = invoice.currency.as_deref().unwrap_or_default();
    if !currency.is_empty() || kept.has("C3") {
        sheet.row(&kept, "C3", "C3", [currency]);
    }
    let due = left.iter().find(|dated| dated.kind == "due").and_then(|dated| dated.time.date_digits());
    if due.is_some() || kept.has("ITD") {
        sheet.row(&kept, "ITD", "ITD", ["", "", "", "", "", &*due.unwrap_or_default()]);
    }
    references(&mut sheet, &kept, &invoice.references, refer, &["B3/3"]);
    dates(&mut sheet, &kept, &left);
    if carrier.mode.is_some() {
        sheet.row(&kept, &format!("R3*{scac}"), "R3", [&*scac, "B", "", &mode_code(&carrier)]);
    }
    notes(&mut sheet, &kept, &invoice.notes, "K1");
    sheet.parties(&kept, &invoice.parties, "G61");
    equipment(&mut sheet, &kept, &invoice.equipment);
    sheet.kept_segments(&kept, &["L3"]);
    let kept_stops: Vec<Stop> = kept_list(&invoice.extensions, "stops");
    let goods: Vec<Line> = kept_list(&invoice.extensions, "stops_goods");
    stops(&mut sheet, &invoice.extensions, "stops_left", &kept_stops, &goods, (refer, "K1"))?;
    for (index, line) in invoice.lines.iter().enumerate() {
        self::line(&mut sheet, line, index, refer)?;
    }
    sum(&mut sheet, &kept, invoice)?;
    sheet.kept_again(&kept, "L3");
    Ok(sheet)
}

/// B3. The dates that it has no room for are handed back.
fn beginning(
    sheet: &mut Sheet,
    kept: &Kept<'_>,
    invoice: &Invoice,
    scac: &str,
) -> Result<Vec<crossdock_mapper::canonical::Dated>, Refusal> {
    let payable =
        stated(invoice, "payable").ok_or_else(|| missing("/amounts", "the amount that is payable"))?;
    let carrier = invoice.carrier.as_ref();
    let payment = carrier.and_then(|carrier| payment_code(carrier.payment.as_deref()?)).unwrap_or_default();
    let mut left = invoice.dates.clone();
    let known = |kind: &str| {
        code_of(INVOICE_DATES, kind).filter(|_| !kind.starts_with("x12-") || kept.get("B3/10").is_none())
    };
    let delivered = left.iter().position(|dated| known(&dated.kind).is_some()).map(|at| left.remove(at));
    let picked_up = left.iter().position(|dated| dated.kind == "picked-up").map(|at| left.remove(at).time);
    let day = |time: &crossdock_mapper::canonical::Time| time.date_digits().unwrap_or_default();
    let own = invoice.source_kind.as_deref().filter(|code| code.len() == 2);
    let indicator = own.unwrap_or(if invoice.correction.is_some() { "CO" } else { "" });
    let values = [
        String::new(),
        invoice.invoice.clone(),
        leading(&invoice.references, "shipment", "B3/3").to_owned(),
        payment,
        String::new(),
        invoice.invoiced.as_ref().map(day).unwrap_or_default(),
        cents(payable, "/amounts")?,
        indicator.to_owned(),
        delivered.as_ref().map(|dated| day(&dated.time)).unwrap_or_default(),
        delivered.as_ref().and_then(|dated| known(&dated.kind)).unwrap_or_default(),
        scac.to_owned(),
        picked_up.as_ref().map(day).unwrap_or_default(),
    ];
    sheet.row(kept, "B3", "B3", values);
    Ok(left)
}

fn stated<'i>(invoice: &'i Invoice, kind: &str) -> Option<&'i Decimal> {
    invoice.amounts.iter().find(|amount| amount.kind == kind).map(|amount| &amount.money.amount)
}

fn line(sheet: &mut Sheet, line: &InvoiceLine, index: usize, refer: &str) -> Result<(), Refusal> {
    let said = &line.line;
    let kept = Kept::of(&said.extensions);
    if said.number.contains('.') && kept_package(&kept, line) {
        return package(sheet, &kept, line, index, refer);
    }
    let digits = said.number.bytes().all(|byte| byte.is_ascii_digit()) && said.number.len() <= 6;
    let number = if digits { said.number.clone() } else { (index + 1).to_string() };
    sheet.row(&kept, "LX", "LX", [&*number]);
    references(sheet, &kept, &said.references, refer, &[]);
    let mut words = said.item.description.iter().chain(
        said.notes.iter().filter(|note| note.kind.as_deref() == Some("description")).map(|note| &note.text),
    );
    let mut commodities = said.item.identifiers.iter().filter_map(|one| match &*one.scheme {
        "nmfc" => Some([&*one.value, "N"]),
        "stcc" => Some([&*one.value, "T"]),
        "commodity" => Some([&*one.value, ""]),
        _ => None,
    });
    // The first L5 is there whatever it says.
    for nth in 0.. {
        let (word, commodity) = (words.next(), commodities.next());
        if nth > 0 && word.is_none() && commodity.is_none() {
            break;
        }
        let [code, qualifier] = commodity.unwrap_or_default();
        sheet.row(&kept, "L5", "L5", [&*number, &text(&word.cloned()), code, qualifier]);
    }
    quantities(sheet, &kept, line, &number)?;
    for (nth, charge) in line.charges.iter().enumerate() {
        let at = format!("/lines/{index}/charges/{nth}");
        let values = charge_values(charge, &number, &at)?;
        sheet.row(&kept, "L1", "L1", values);
    }
    sheet.kept_segments(&kept, &[]);
    for note in said.notes.iter().filter(|note| note.kind.is_none()) {
        sheet.row(&Kept::default(), "K1", "K1", [clean(&note.text)]);
    }
    Ok(())
}

/// Whether a line is a package of the line before: it has no more than a package says.
fn kept_package(kept: &Kept<'_>, line: &InvoiceLine) -> bool {
    line.invoiced.is_none() && line.line.shipped.is_none() && !kept.has("L0") && !kept.has("L1")
}

/// CD3 with its references and charges.
fn package(
    sheet: &mut Sheet,
    kept: &Kept<'_>,
    line: &InvoiceLine,
    index: usize,
    refer: &str,
) -> Result<(), Refusal> {
    let said = &line.line;
    let mut values = vec![String::new(); 12];
    if let Some(measure) = said.measures.first() {
        values[0] = code_of(WEIGHTS, &measure.kind).unwrap_or_default();
        values[1] = measure.value.as_str().to_owned();
        values[11] = crossdock_x12::unit(&quantity(measure), &format!("/lines/{index}/measures/0"))?;
    }
    let (plain, coded): (Vec<&Charge>, Vec<&Charge>) =
        line.charges.iter().partition(|charge| charge.code.is_none());
    for (place, charge) in [7, 9].into_iter().zip(&plain) {
        values[place] = signed_cents(charge, &format!("/lines/{index}/charges"))?;
    }
    sheet.row(kept, "CD3", "CD3", values);
    references(sheet, kept, &said.references, refer, &[]);
    for charge in coded {
        let code = own_code("x12-150", charge.code.as_ref()).unwrap_or("ZZZ");
        let amount = charge.amount.as_ref().map(|money| &money.amount);
        let amount = amount.map(|amount| if charge.allowance { opposite(amount) } else { amount.clone() });
        sheet.row(kept, "L9", "L9", [code, amount.as_ref().map_or("", Decimal::as_str)]);
    }
    sheet.kept_segments(kept, &[]);
    Ok(())
}

/// L0: what was billed, weighed and carried.
fn quantities(sheet: &mut Sheet, kept: &Kept<'_>, line: &InvoiceLine, number: &str) -> Result<(), Refusal> {
    let said = &line.line;
    let find = |is: fn(&str) -> bool| said.measures.iter().find(|measure| is(&measure.kind));
    let weight = find(|kind| kind.ends_with("weight") || kind.starts_with("x12-"));
    let volume = find(|kind| kind == "volume");
    if line.invoiced.is_none()
        && weight.is_none()
        && volume.is_none()
        && said.shipped.is_none()
        && !kept.has("L0")
    {
        return Ok(());
    }
    let own = |quantity: Option<&Quantity>| {
        quantity.and_then(|quantity| quantity.source_unit.clone()).unwrap_or_default()
    };
    let (weight_quantity, volume_quantity) = (weight.map(quantity), volume.map(quantity));
    let values = [
        number.to_owned(),
        value(line.invoiced.as_ref()),
        own(line.invoiced.as_ref()),
        value(weight_quantity.as_ref()),
        weight.and_then(|weight| code_of(WEIGHTS, &weight.kind)).unwrap_or_default(),
        value(volume_quantity.as_ref()),
        volume_letter(volume_quantity.as_ref(), "/lines/measures")?,
        value(said.shipped.as_ref()),
        own(said.shipped.as_ref()),
        String::new(),
        weight_letter(weight_quantity.as_ref(), "/lines/measures")?,
    ];
    sheet.row(kept, "L0", "L0", values);
    Ok(())
}

/// L1 of a charge.
fn charge_values(charge: &Charge, number: &str, at: &str) -> Result<Vec<String>, Refusal> {
    let mut values = vec![String::new(); 19];
    values[0] = number.to_owned();
    values[1] = charge.rate.as_ref().map(|rate| rate.amount.as_str().to_owned()).unwrap_or_default();
    values[3] = signed_cents(charge, at)?;
    let own = own_code("x12-150", charge.code.as_ref()).map(str::to_owned);
    let known =
        || charge.kind.as_deref().filter(|kind| *kind != "freight").and_then(|kind| code_of(CHARGES, kind));
    values[7] = own.or_else(known).unwrap_or_default();
    values[10] = match charge.payment.as_deref() {
        Some("prepaid") => "P",
        Some("collect") => "C",
        _ => "",
    }
    .to_owned();
    values[11] = charge.code.as_ref().and_then(|code| code.text.as_deref()).map(clean).unwrap_or_default();
    values[18] = charge.percent.as_ref().map(|percent| percent.as_str().to_owned()).unwrap_or_default();
    Ok(values)
}

fn signed_cents(charge: &Charge, at: &str) -> Result<String, Refusal> {
    let Some(money) = &charge.amount else { return Ok(String::new()) };
    let signed = if charge.allowance { opposite(&money.amount) } else { money.amount.clone() };
    cents(&signed, &format!("{at}/amount"))
}

/// L3: totals of the whole.
fn sum(sheet: &mut Sheet, kept: &Kept<'_>, invoice: &Invoice) -> Result<(), Refusal> {
    let totals = invoice.totals.clone().unwrap_or_default();
    let charges = stated(invoice, "charges");
    if totals == Default::default() && charges.is_none() && !kept.has("L3") {
        return Ok(());
    }
    let charges = charges.map_or(Ok(String::new()), |charges| cents(charges, "/amounts"))?;
    let mut values = totals_of_l3(&totals)?;
    values[4] = charges;
    sheet.row(kept, "L3", "L3", values);
    Ok(())
}
