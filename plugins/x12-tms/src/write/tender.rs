//! 204 from `shipment.tendered` and `shipment.cancelled`.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{Carrier, ShipmentCancelled, ShipmentTendered};
use crossdock_x12::{Kept, Sheet, mode_code, scac};

use super::common::{
    dates, equipment, kept_value, notes, own_code, references, stops, temperature, totals_of_l3,
};
use crate::money::cents;
use crate::tables::{CHARGES, code_of, payment_code};

pub fn tendered(tender: &ShipmentTendered) -> Result<Sheet, Refusal> {
    let purpose = match tender.purpose.as_deref() {
        Some("change") => "04",
        Some("replace") => "05",
        _ => "00",
    };
    sheet(tender, purpose)
}

/// A cancellation is a tender with another purpose; what it has no place for was kept with it.
pub fn cancelled(cancelled: &ShipmentCancelled) -> Result<Sheet, Refusal> {
    let mut tender: ShipmentTendered = kept_value(&cancelled.extensions, "tender").unwrap_or_default();
    tender.shipment.clone_from(&cancelled.shipment);
    tender.references.clone_from(&cancelled.references);
    tender.parties.clone_from(&cancelled.parties);
    tender.carrier.clone_from(&cancelled.carrier);
    tender.notes.clone_from(&cancelled.notes);
    tender.extensions.clone_from(&cancelled.extensions);
    sheet(&tender, "01")
}

fn sheet(tender: &ShipmentTendered, purpose: &str) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&tender.extensions);
    let mut sheet = Sheet::default();
    let carrier = tender.carrier.clone().unwrap_or_default();
    let payment = carrier.payment.as_deref().and_then(payment_code).unwrap_or_default();
    sheet.row(&kept, "B2", "B2", ["", &scac(&carrier), "", &tender.shipment, "", &payment]);
    sheet.row(&kept, "B2A", "B2A", [purpose, "LT"]);
    let currency = tender.charges.iter().find_map(|charge| charge.amount.as_ref()?.currency.as_deref());
    if currency.is_some() || kept.has("C3") {
        sheet.row(&kept, "C3", "C3", [currency.unwrap_or_default()]);
    }
    references(&mut sheet, &kept, &tender.references, "L11", &[]);
    if let Some(time) = &tender.respond_by {
        sheet.date(&kept, "64", time);
    }
    dates(&mut sheet, &kept, &tender.dates);
    let own = (carrier.mode.is_some()).then_some(&carrier);
    for leg in own.into_iter().chain(&tender.legs) {
        route(&mut sheet, &kept, leg);
    }
    let pallets = tender.totals.as_ref().and_then(|totals| totals.packs.as_ref());
    if let Some(pallets) = pallets.filter(|packs| packs.unit.as_deref() == Some("PF")) {
        sheet.row(&kept, "PLD", "PLD", [pallets.value.as_str()]);
    }
    temperature(&mut sheet, &kept, tender.temperature.as_ref());
    sheet.kept_segments(&kept, &["L3"]);
    notes(&mut sheet, &kept, &tender.notes, "NTE");
    sheet.parties(&kept, &tender.parties, "G61");
    equipment(&mut sheet, &kept, &tender.equipment);
    stops(&mut sheet, &tender.extensions, "stops", &tender.stops, &tender.lines, ("L11", "NTE"))?;
    sum(&mut sheet, &kept, tender)?;
    sheet.kept_again(&kept, "L3");
    Ok(sheet)
}

fn route(sheet: &mut Sheet, kept: &Kept<'_>, leg: &Carrier) {
    let scac = scac(leg);
    sheet.row(kept, &format!("MS3*{scac}"), "MS3", [&*scac, "B", "", &mode_code(leg)]);
}

/// L3: the totals and what was agreed on.
fn sum(sheet: &mut Sheet, kept: &Kept<'_>, tender: &ShipmentTendered) -> Result<(), Refusal> {
    let totals = tender.totals.clone().unwrap_or_default();
    let charge = tender.charges.first();
    if totals.weight.is_none()
        && totals.volume.is_none()
        && totals.units.is_none()
        && charge.is_none()
        && !kept.has("L3")
    {
        return Ok(());
    }
    let amount = charge.and_then(|charge| charge.amount.as_ref());
    let amount = amount.map_or(Ok(String::new()), |money| cents(&money.amount, "/charges/0/amount"))?;
    let mut values = totals_of_l3(&totals)?;
    values[4] = amount;
    if let Some(charge) = charge {
        values[2] = charge.rate.as_ref().map(|rate| rate.amount.as_str().to_owned()).unwrap_or_default();
        let own = own_code("x12-150", charge.code.as_ref()).map(str::to_owned);
        let known = || {
            charge.kind.as_deref().filter(|kind| *kind != "freight").and_then(|kind| code_of(CHARGES, kind))
        };
        values[7] = own.or_else(known).unwrap_or_default();
    }
    sheet.row(kept, "L3", "L3", values);
    Ok(())
}
