//! 214 from `shipment.milestone` and `shipment.delivered`.

use crossdock_mapper::canonical::{
    Classifier, Dated, Milestone, Place, Reference, ShipmentDelivered, ShipmentMilestone, Temperature,
};
use crossdock_mapper::{Diagnostic, Location, Refusal};
use crossdock_x12::{Kept, Sheet, clean, mode_code, moment, scac};

use super::common::{
    dates, kept_list, kept_value, leading, missing, notes, own_code, references, seals, temperature, weights,
};
use crate::tables::{EQUIPMENT, code_of, status, status_code};

pub fn milestone(milestone: &ShipmentMilestone) -> Result<Sheet, Refusal> {
    if milestone.milestone == Milestone::Appointment {
        let own = own_code("x12-1652", milestone.status.as_ref());
        let reason = own_code("x12-1651", milestone.reason.as_ref());
        let reason = reason.unwrap_or(if own.is_some() { "" } else { "NA" });
        return sheet(milestone, ["", "", own.unwrap_or("AB"), reason], None);
    }
    let expected = matches!(milestone.happened.classifier, Some(Classifier::Estimated | Classifier::Planned));
    // Another source's code may look like one of X12 and mean something else.
    let own = own_code("x12-1650", milestone.status.as_ref())
        .filter(|code| status(code).is_none_or(|(listed, _)| listed == milestone.milestone));
    let code = own.or_else(|| status_code(milestone.milestone, expected)).unwrap_or_default();
    let reason = own_code("x12-1651", milestone.reason.as_ref());
    let reason = reason.unwrap_or(if own.is_some() { "" } else { "NS" });
    sheet(milestone, [code, reason, "", ""], None)
}

/// A delivery has the fields of a milestone and a proof besides.
pub fn delivered(delivered: ShipmentDelivered) -> Result<Sheet, Refusal> {
    let stop = delivered.extensions.get("x12").and_then(|x12| x12.get("stop"));
    let as_milestone = ShipmentMilestone {
        stop: stop.and_then(|stop| stop.as_str()).map(str::to_owned),
        shipment: delivered.shipment,
        references: delivered.references,
        happened: delivered.delivered,
        place: delivered.place,
        parties: delivered.parties,
        carrier: delivered.carrier,
        equipment: delivered.equipment,
        totals: delivered.totals,
        notes: delivered.notes,
        extensions: delivered.extensions,
        ..ShipmentMilestone::default()
    };
    let signed_by = delivered.proof.and_then(|proof| proof.signed_by);
    sheet(&as_milestone, ["D1", "NS", "", ""], signed_by.as_deref())
}

fn sheet(milestone: &ShipmentMilestone, codes: [&str; 4], signed_by: Option<&str>) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&milestone.extensions);
    let mut sheet = Sheet::default();
    let carrier = milestone.carrier.clone().unwrap_or_default();
    let scac = scac(&carrier);
    let pro = leading(&milestone.references, "pro", "B10/1");
    sheet.row(&kept, "B10", "B10", [pro, &milestone.shipment, &scac]);
    let own = |reference: &&Reference| {
        !(reference.kind == "pro" && reference.value == pro && !has_segment(reference))
    };
    let others: Vec<Reference> = milestone.references.iter().filter(own).cloned().collect();
    references(&mut sheet, &kept, &others, "L11", &["B10/1", "PRF/1", "PRF", "OID/1", "OID/2"]);
    notes(&mut sheet, &kept, &milestone.notes, "K1");
    if let Some(name) = signed_by.filter(|_| !kept.has("NM1")) {
        sheet.row(&Kept::default(), "K1", "K1", [clean(&format!("SIGNED BY {name}"))]);
    }
    sheet.parties(&kept, &milestone.parties, "G61");
    dates(&mut sheet, &kept, &kept_list::<Dated>(&milestone.extensions, "dates"));
    let degrees: Option<Temperature> = kept_value(&milestone.extensions, "temperature");
    temperature(&mut sheet, &kept, degrees.as_ref());
    if carrier.mode.is_some() {
        sheet.row(&kept, &format!("MS3*{scac}"), "MS3", [&*scac, "B", "", &mode_code(&carrier)]);
    }
    sheet.row(&Kept::default(), "LX", "LX", ["1"]);
    // The order or the package that the status is of.
    let order =
        milestone.references.iter().find(|reference| reference.source_kind.as_deref() == Some("PRF/1"));
    if let Some(order) = order {
        sheet.row(&kept, "PRF", "PRF", [&*order.value]);
    }
    if kept.has("CD3") {
        sheet.row(&kept, "CD3", "CD3", [""]);
    }
    let [date, clock, zone] =
        moment(&milestone.happened).ok_or_else(|| missing("/happened", "a date that X12 can say"))?;
    let [status, reason, appointment, appointment_reason] = codes;
    sheet.row(&kept, "AT7", "AT7", [status, reason, appointment, appointment_reason, &date, &clock, &zone]);
    place(&mut sheet, &kept, milestone.place.as_ref());
    equipment(&mut sheet, &kept, milestone, &scac)?;
    if kept.has("NM1") {
        sheet.row(&kept, "NM1", "NM1", [""]);
    }
    if let Some(stop) = &milestone.stop {
        sheet.row(&kept, "L11*QN", "L11", [stop, "QN"]);
    }
    weights(&mut sheet, &kept, milestone.totals.as_ref())?;
    sheet.kept_segments(&kept, &[]);
    orders(&mut sheet, &kept, &milestone.references);
    Ok(sheet)
}

/// Whether a reference came from a segment of its own.
fn has_segment(reference: &Reference) -> bool {
    reference.source_kind.as_deref().is_some_and(|source| source.contains('*'))
}

/// OID of each order that the status is of.
fn orders(sheet: &mut Sheet, kept: &Kept<'_>, references: &[Reference]) {
    let mut seller = "";
    let mut references = references.iter().peekable();
    while let Some(reference) = references.next() {
        let next = references.peek().and_then(|next| next.source_kind.as_deref());
        let buyer = match reference.source_kind.as_deref() {
            Some("OID/1") => {
                seller = &reference.value;
                // Its purchase order follows, where it has one.
                if next == Some("OID/2") {
                    continue;
                }
                ""
            }
            Some("OID/2") => &*reference.value,
            _ => continue,
        };
        sheet.row(kept, &format!("OID*{seller}*{buyer}"), "OID", [seller, buyer]);
        seller = "";
    }
}

fn place(sheet: &mut Sheet, kept: &Kept<'_>, place: Option<&Place>) {
    let address = place.and_then(|place| place.address.clone()).unwrap_or_default();
    let text = |value: &Option<String>| value.as_deref().map(clean).unwrap_or_default();
    let values = [
        text(&address.city),
        text(&address.region),
        text(&address.country),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        text(&address.postal_code),
    ];
    if values.iter().any(|value| !value.is_empty()) || kept.has("MS1") {
        sheet.row(kept, "MS1", "MS1", values);
    }
}

fn equipment(
    sheet: &mut Sheet,
    kept: &Kept<'_>,
    milestone: &ShipmentMilestone,
    scac: &str,
) -> Result<(), Refusal> {
    if milestone.equipment.len() > 1 {
        let place = Location::json_pointer("/equipment/1");
        let message = "a status of a 214 names one piece of equipment";
        return Err(Diagnostic::error("too-much-equipment", message).at(place).into());
    }
    let piece = milestone.equipment.first().cloned().unwrap_or_default();
    let number = piece.identifiers.first().map_or("", |one| one.value.as_str());
    let kind = piece.kind.as_deref().and_then(|kind| code_of(EQUIPMENT, kind)).unwrap_or_default();
    if !number.is_empty() || !kind.is_empty() || kept.has("MS2") {
        sheet.row(kept, "MS2", "MS2", [scac, number, &kind]);
    }
    seals(sheet, kept, &piece.seals);
    Ok(())
}
