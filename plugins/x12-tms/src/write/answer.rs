//! 990 from `shipment.tender-accepted` and `shipment.tender-declined`.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{
    Carrier, Code, Line, Note, ShipmentTenderAccepted, ShipmentTenderDeclined,
};
use crossdock_x12::{Kept, Sheet, scac};

use super::common::{dates, equipment, kept_list, missing, notes, own_code, references, stops};
use crate::tables::{CHARGES, code_of};

pub fn accepted(answer: &ShipmentTenderAccepted, refer: &str) -> Result<Sheet, Refusal> {
    let code = if answer.conditional { "B" } else { "A" };
    sheet(answer, code, None, refer)
}

/// A decline has the fields of an acceptance and a reason besides.
pub fn declined(declined: ShipmentTenderDeclined, refer: &str) -> Result<Sheet, Refusal> {
    let own =
        own_code("x12-558", declined.answer.as_ref()).filter(|code| matches!(*code, "C" | "D" | "E" | "R"));
    let code = own.unwrap_or(if declined.counter { "C" } else { "D" }).to_owned();
    let ShipmentTenderDeclined {
        shipment,
        references,
        answered,
        answer,
        reason,
        carrier,
        parties,
        dates,
        stops,
        equipment,
        charges,
        notes,
        extensions,
        ..
    } = declined;
    let answer = ShipmentTenderAccepted {
        shipment,
        references,
        answered,
        answer,
        carrier,
        parties,
        dates,
        stops,
        equipment,
        charges,
        notes,
        extensions,
        ..ShipmentTenderAccepted::default()
    };
    sheet(&answer, &code, reason.as_ref(), refer)
}

fn sheet(
    answer: &ShipmentTenderAccepted,
    code: &str,
    reason: Option<&Code>,
    refer: &str,
) -> Result<Sheet, Refusal> {
    let kept = Kept::of(&answer.extensions);
    let mut sheet = Sheet::default();
    let carrier: Carrier = answer.carrier.clone().unwrap_or_default();
    let day = answer.answered.as_ref().and_then(|time| time.date_digits()).unwrap_or_default();
    sheet.row(&kept, "B1", "B1", [&*scac(&carrier), &answer.shipment, &day, code]);
    references(&mut sheet, &kept, &answer.references, refer, &[]);
    dates(&mut sheet, &kept, &answer.dates);
    equipment(&mut sheet, &kept, &answer.equipment);
    for (index, charge) in answer.charges.iter().enumerate() {
        let own = own_code("x12-150", charge.code.as_ref()).map(str::to_owned);
        let code = own.or_else(|| code_of(CHARGES, charge.kind.as_deref().unwrap_or_default()));
        let code =
            code.ok_or_else(|| missing(&format!("/charges/{index}/code"), "a code of X12 for the charge"))?;
        let amount = charge.amount.as_ref().map_or("", |money| money.amount.as_str());
        sheet.row(&kept, "L9", "L9", [&*code, amount]);
    }
    // A reason in X12's own words has a place; one in others is a remark.
    let mut remarks = answer.notes.clone();
    if let Some(reason) = reason {
        let words = reason.text.as_deref().unwrap_or_default();
        match reason.list.as_deref() {
            Some("x12-304") => sheet.row(&kept, "V9", "V9", [&*reason.code, words]),
            Some("x12-641") => {
                sheet.row(&kept, "V9", "V9", ["", words, "", "", "", "", "", &*reason.code]);
            }
            _ => remarks
                .insert(0, Note { kind: None, text: format!("{} {words}", reason.code).trim().to_owned() }),
        }
    }
    notes(&mut sheet, &kept, &remarks, "K1");
    sheet.parties(&kept, &answer.parties, "G61");
    sheet.kept_segments(&kept, &[]);
    let lines: Vec<Line> = kept_list(&answer.extensions, "lines");
    stops(&mut sheet, &answer.extensions, "stops", &answer.stops, &lines, (refer, "K1"))?;
    Ok(sheet)
}
