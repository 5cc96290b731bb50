//! IFTSTA of a milestone or a delivery: one consignment with one status.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{
    Carrier, Classifier, Code, Equipment, Milestone, Note, Party, Place, Reference, ShipmentDelivered,
    ShipmentMilestone, Time,
};

use super::parts;
use super::rows::{Rows, text};
use crate::status::shipment;
use crate::tables;

pub fn milestone(event: &ShipmentMilestone, id: &str) -> Result<Rows, Refusal> {
    Ok(status(&Told {
        id,
        shipment: &event.shipment,
        name: named(event.milestone),
        status: event.status.as_ref(),
        reason: event.reason.as_ref(),
        references: &event.references,
        happened: &event.happened,
        qualifier: qualifier(event.milestone, &event.happened),
        place: event.place.as_ref(),
        parties: &event.parties,
        carrier: event.carrier.as_ref(),
        equipment: &event.equipment,
        notes: &event.notes,
    }))
}

pub fn delivered(event: &ShipmentDelivered, id: &str) -> Result<Rows, Refusal> {
    Ok(status(&Told {
        id,
        shipment: &event.shipment,
        name: "delivered",
        status: None,
        reason: None,
        references: &event.references,
        happened: &event.delivered,
        qualifier: "delivered",
        place: event.place.as_ref(),
        parties: &event.parties,
        carrier: event.carrier.as_ref(),
        equipment: &event.equipment,
        notes: &event.notes,
    }))
}

struct Told<'e> {
    id: &'e str,
    shipment: &'e str,
    name: &'static str,
    status: Option<&'e Code>,
    reason: Option<&'e Code>,
    references: &'e [Reference],
    happened: &'e Time,
    qualifier: &'static str,
    place: Option<&'e Place>,
    parties: &'e [Party],
    carrier: Option<&'e Carrier>,
    equipment: &'e [Equipment],
    notes: &'e [Note],
}

fn status(told: &Told<'_>) -> Rows {
    let mut rows = Rows::default();
    // The event's own id is the number of the message: 35 characters are enough for it.
    let number: String = told.id.chars().filter(char::is_ascii_alphanumeric).take(35).collect();
    let number = if number.is_empty() { told.shipment } else { number.as_str() };
    parts::heading(&mut rows, "IFTSTA", number, "9");
    parts::parties(&mut rows, told.parties, false);
    // The number stands in CNI, but where a reference says it already.
    let said = shipment(told.references, told.equipment);
    let is_said =
        said.as_deref() == Some(told.shipment) && Reference::find(told.references, "consignment").is_none();
    rows.add("CNI", &[&["1"], &[if is_said { "" } else { told.shipment }]]);
    let code = |code: Option<&Code>, list: &str| {
        let own = code.filter(|code| code.list.as_deref().is_some_and(|one| one.starts_with(list)));
        let agency = own.and_then(|code| code.list.as_deref()?.strip_prefix(list)?.strip_prefix('-'));
        own.map(|code| {
            let coded = if code.text.as_deref() == Some(&code.code) { "" } else { code.code.as_str() };
            (coded.to_owned(), agency.unwrap_or_default().to_ascii_uppercase(), text(&code.text).to_owned())
        })
    };
    let (status, agency, named) = code(told.status, "edifact-4405").unwrap_or_else(|| {
        let code = tables::code_of(tables::STATUS, told.name, None).unwrap_or_else(|| "31".to_owned());
        (code, String::new(), told.status.map(|status| text(&status.text).to_owned()).unwrap_or_default())
    });
    let (reason, reason_agency, why) = code(told.reason, "edifact-9013").unwrap_or_default();
    rows.add("STS", &[&["1"], &[&status, "", &agency, &named], &[&reason, "", &reason_agency, &why]]);
    let consignment = |one: &&Reference| one.kind != "consignment" && one.kind != "sscc";
    let references: Vec<_> = told.references.iter().filter(consignment).cloned().collect();
    parts::references(&mut rows, &references);
    parts::date(&mut rows, told.qualifier, told.happened);
    parts::notes(&mut rows, told.notes);
    if let Some(place) = told.place {
        parts::place(&mut rows, place);
    }
    let (vehicles, others) = parts::vehicles(told.equipment);
    if let Some(carrier) = told.carrier {
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
    rows
}

/// The name that the table of statuses has for a milestone.
fn named(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::ArrivedAtPickUp | Milestone::Arrived | Milestone::ArrivedAtDelivery => "arrived",
        Milestone::Loaded => "loaded",
        Milestone::DepartedPickUp => "departed-pick-up",
        Milestone::Departed | Milestone::DepartedDelivery => "departed",
        Milestone::Customs => "customs",
        Milestone::DeliveryAttempted => "delivery-attempted",
        Milestone::DeliveryEstimated => "delivered",
        Milestone::Delayed => "delayed",
        Milestone::Exception => "exception",
        Milestone::InTransit | Milestone::OutForDelivery | Milestone::Appointment | Milestone::Other => {
            "in-transit"
        }
    }
}

/// What its date is: a fact, or of what is expected, what.
fn qualifier(milestone: Milestone, happened: &Time) -> &'static str {
    let arrival =
        matches!(milestone, Milestone::Arrived | Milestone::ArrivedAtDelivery | Milestone::ArrivedAtPickUp);
    match (milestone, happened.classifier) {
        (Milestone::DeliveryEstimated, Some(Classifier::Planned)) => "scheduled-delivery",
        (Milestone::DeliveryEstimated, _) => "estimated-delivery",
        (_, Some(Classifier::Estimated)) if arrival => "estimated-arrival",
        (_, Some(Classifier::Estimated)) => "estimated-departure",
        (_, Some(Classifier::Planned)) if arrival => "scheduled-arrival",
        (_, Some(Classifier::Planned)) => "scheduled-departure",
        _ => "status",
    }
}
