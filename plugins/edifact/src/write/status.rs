//! IFTSTA of a milestone or a delivery: one consignment with one status.

use crossdock_mapper::canonical::{Classifier, Code, Reference, Time};
use crossdock_mapper::{Diagnostic, Refusal};

use super::parts;
use super::rows::{Rows, text};
use super::told::Told;
use crate::status::shipment;
use crate::tables;

/// A status has no number of its own: `document` is that of the message.
pub fn status(told: &Told, document: &str) -> Result<Rows, Refusal> {
    let Some(happened) = &told.time else {
        return Err(Diagnostic::error("wrong-event", "the event does not say when it happened").into());
    };
    // A delivery has no milestone.
    let milestone = told.milestone.as_deref().unwrap_or("delivered");
    let mut rows = Rows::default();
    parts::heading(&mut rows, "IFTSTA", document, "9");
    parts::parties(&mut rows, &told.parties, false);
    // The number stands in CNI, but where a reference says it already.
    let said = shipment(&told.references, &told.equipment);
    let is_said = said.as_deref() == Some(told.number.as_str())
        && Reference::find(&told.references, "consignment").is_none();
    rows.add("CNI", &[&["1"], &[if is_said { "" } else { told.number.as_str() }]]);
    let code = |code: Option<&Code>, list: &str| {
        let own = code.filter(|code| code.list.as_deref().is_some_and(|one| one.starts_with(list)));
        let agency = own.and_then(|code| code.list.as_deref()?.strip_prefix(list)?.strip_prefix('-'));
        own.map(|code| {
            let coded = if code.text.as_deref() == Some(&code.code) { "" } else { code.code.as_str() };
            (coded.to_owned(), agency.unwrap_or_default().to_ascii_uppercase(), text(&code.text).to_owned())
        })
    };
    let (status, agency, named) = code(told.status.as_ref(), "edifact-4405").unwrap_or_else(|| {
        // What no code of the standard says goes as what both sides agreed, in its own words.
        if matches!(milestone, "exception" | "other" | "appointment") {
            let own = told.status.as_ref();
            let code =
                own.map(|status| status.code.clone()).filter(|code| code.len() <= 3).unwrap_or_default();
            let words = own.map_or(milestone, |status| status.text.as_deref().unwrap_or(&status.code));
            return (code, "ZZZ".to_owned(), words.to_owned());
        }
        let code = tables::code_of(tables::STATUS, named(milestone), None).unwrap_or_else(|| "31".to_owned());
        (
            code,
            String::new(),
            told.status.as_ref().map(|status| text(&status.text).to_owned()).unwrap_or_default(),
        )
    });
    let (reason, reason_agency, why) = code(told.reason.as_ref(), "edifact-9013").unwrap_or_default();
    rows.add("STS", &[&["1"], &[&status, "", &agency, &named], &[&reason, "", &reason_agency, &why]]);
    let consignment = |one: &&Reference| one.kind != "consignment" && one.kind != "sscc";
    let references: Vec<_> = told.references.iter().filter(consignment).cloned().collect();
    parts::references(&mut rows, &references, &[]);
    parts::date(&mut rows, qualifier(milestone, happened), happened);
    parts::notes(&mut rows, &told.notes);
    if let Some(place) = &told.place {
        parts::place(&mut rows, place);
    }
    let (vehicles, others) = parts::vehicles(&told.equipment);
    if let Some(carrier) = &told.carrier {
        parts::carrier(&mut rows, "20", carrier, vehicles.first().copied());
    }
    for equipment in others {
        parts::equipment(&mut rows, equipment, false);
    }
    let codes: Vec<_> =
        told.references.iter().filter(|one| one.kind == "sscc").map(|one| one.value.as_str()).collect();
    if !codes.is_empty() {
        rows.add("GID", &[&["1"]]);
        parts::marks(&mut rows, "33E", "BJ", &codes);
    }
    Ok(rows)
}

/// The name that the table of statuses has for a milestone.
fn named(milestone: &str) -> &str {
    match milestone {
        "arrived-at-pick-up" | "arrived-at-delivery" => "arrived",
        "departed-delivery" => "departed",
        "delivery-estimated" => "delivered",
        "out-for-delivery" | "appointment" | "other" => "in-transit",
        milestone => milestone,
    }
}

/// What its date is: a fact, or of what is expected, what.
fn qualifier(milestone: &str, happened: &Time) -> &'static str {
    let arrival = milestone.starts_with("arrived");
    match (milestone, happened.classifier) {
        ("delivered", _) => "delivered",
        ("delivery-estimated", Some(Classifier::Planned)) => "scheduled-delivery",
        ("delivery-estimated", _) => "estimated-delivery",
        (_, Some(Classifier::Estimated)) if arrival => "estimated-arrival",
        (_, Some(Classifier::Estimated)) => "estimated-departure",
        (_, Some(Classifier::Planned)) if arrival => "scheduled-arrival",
        (_, Some(Classifier::Planned)) => "scheduled-departure",
        _ => "status",
    }
}
