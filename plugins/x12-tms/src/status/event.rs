//! A status becomes an event, with everything that its set says of it.

use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Classifier, Code, Milestone, Place, Proof, Reference, ShipmentDelivered, ShipmentMilestone,
    Time, Totals,
};
use crossdock_x12::Reading;

use super::{Loop, Report, Status};
use crate::facts::Facts;
use crate::tables;

impl Report<'_> {
    /// The event of one status of a loop.
    pub(super) fn event(&self, open: &Loop<'_>, status: &Status<'_>) -> Event {
        let facts = self.said_of(open, status);
        let keys = self.keys(open, status, &facts);
        let event = match tables::is_delivered(&status.segment.value(1)) {
            true => Event::new(&self.delivered(open, status, facts)),
            false => Event::new(&self.milestone(open, status, facts)),
        };
        let event = event.natural_key("shipment", &self.shipment);
        let event = keys.into_iter().fold(event, |event, (kind, value)| event.natural_key(kind, value));
        event.order_key("shipment", &self.shipment).occurred_at(&status.time)
    }

    /// What the heading, the loops around it, its own and the status itself say, in this order.
    fn said_of(&self, open: &Loop<'_>, status: &Status<'_>) -> Facts {
        let mut facts = self.heading.clone();
        let mut around = Vec::new();
        let mut parent = open.parent;
        while let Some(index) = parent {
            around.push(&self.loops[index].facts);
            parent = self.loops[index].parent;
        }
        let own = [&open.facts, &open.below, &status.facts];
        around.into_iter().rev().chain(own).for_each(|more| facts.merge(more.clone()));
        facts.equipment.splice(0..0, status.equipment.clone());
        // Seals without a trailer of their own are those of the status's.
        if let [first, second] = facts.equipment.as_mut_slice()
            && second.identifiers.is_empty()
            && second.kind.is_none()
        {
            first.seals.append(&mut second.seals);
            facts.equipment.truncate(1);
        }
        // A status has one date; others, which stand with a party, have no place, and neither has a temperature.
        facts.left.value("dates", &facts.dates);
        facts.left.value("temperature", &facts.temperature);
        facts
    }

    /// What makes it the same fact when it is told again, beside the shipment.
    fn keys(&self, open: &Loop<'_>, status: &Status<'_>, facts: &Facts) -> Vec<(&'static str, String)> {
        let said = status.said();
        let moment = [status.time.date_digits(), status.time.time_digits()].map(Option::unwrap_or_default);
        let equipment = status.equipment.as_ref().and_then(|equipment| equipment.identifiers.first());
        let find = |kind| Reference::find(&facts.references, kind);
        let package = ["tracking", "package", "sscc"].into_iter().find_map(find);
        let keys = [
            ("scac", self.carrier.identifiers.first().map(|scac| scac.value.clone())),
            ("status", Some(said.code)),
            ("reason", Some(said.reason)),
            ("time", Some(moment.concat())),
            ("stop", self.stop_of(open)),
            ("place", status.place.as_ref().and_then(city_and_state)),
            ("equipment", equipment.map(|equipment| equipment.value.clone())),
            ("package", package.map(str::to_owned)),
        ];
        let known = keys.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
        known
            .filter(|(_, value)| !value.is_empty())
            .map(|(kind, value)| (kind, value.chars().take(KEY_CHARACTERS).collect()))
            .collect()
    }

    fn delivered(&self, open: &Loop<'_>, status: &Status<'_>, mut facts: Facts) -> ShipmentDelivered {
        let said = status.said();
        // What the event says by its kind alone is not kept besides.
        let mut reading = Reading::of(status.segment);
        [5, 6, 7].into_iter().for_each(|n| drop(reading.take(n)));
        if said.code == "D1" {
            reading.take(1);
        }
        if said.reason == "NS" {
            reading.take(2);
        }
        reading.leave("AT7", &mut facts.left);
        facts.left.value("stop", &self.stop_of(open));
        let signed_by = open.signed_by.clone();
        ShipmentDelivered {
            shipment: self.shipment.clone(),
            references: facts.references,
            delivered: status.time.clone().actual(),
            place: status.place.clone(),
            proof: signed_by.map(|name| Proof { signed_by: Some(name), ..Proof::default() }),
            parties: facts.parties.list,
            carrier: self.own_carrier(),
            equipment: facts.equipment,
            totals: facts.totals.filter(|totals| *totals != Totals::default()),
            notes: facts.notes,
            extensions: facts.left.into_extensions(),
            ..ShipmentDelivered::default()
        }
    }

    fn milestone(&self, open: &Loop<'_>, status: &Status<'_>, mut facts: Facts) -> ShipmentMilestone {
        let said = status.said();
        let (milestone, classifier) = match said.is_appointment {
            true => (Milestone::Appointment, Classifier::Planned),
            false => tables::status(&said.code).unwrap_or((Milestone::Other, Classifier::Actual)),
        };
        let mut reading = Reading::of(status.segment);
        let own = if said.is_appointment { [3, 4, 5, 6, 7] } else { [1, 2, 5, 6, 7] };
        own.into_iter().for_each(|n| drop(reading.take(n)));
        reading.leave("AT7", &mut facts.left);
        facts.left.value("signed_by", &open.signed_by);
        let code = |list: &str, code: String| Code { list: Some(list.to_owned()), code, text: None };
        ShipmentMilestone {
            shipment: self.shipment.clone(),
            milestone,
            status: Some(code(if said.is_appointment { "x12-1652" } else { "x12-1650" }, said.code)),
            reason: (!said.reason.is_empty()).then(|| code("x12-1651", said.reason)),
            references: facts.references,
            happened: Time { classifier: Some(classifier), ..status.time.clone() },
            place: status.place.clone(),
            stop: self.stop_of(open),
            parties: facts.parties.list,
            carrier: self.own_carrier(),
            equipment: facts.equipment,
            totals: facts.totals.filter(|totals| *totals != Totals::default()),
            notes: facts.notes,
            extensions: facts.left.into_extensions(),
            ..ShipmentMilestone::default()
        }
    }

    /// The stop that a loop names, or one around it.
    fn stop_of(&self, open: &Loop<'_>) -> Option<String> {
        let around = || self.stop_of(&self.loops[open.parent?]);
        open.stop.clone().or_else(around)
    }

    fn own_carrier(&self) -> Option<Carrier> {
        Some(self.carrier.clone()).filter(|carrier| *carrier != Carrier::default())
    }
}

/// A key of an event holds less than a field does; the beginning of a city is enough to tell two of them apart.
const KEY_CHARACTERS: usize = 80;

/// What an AT7 says: a status and its reason, or an appointment and its own.
struct Said {
    is_appointment: bool,
    code: String,
    reason: String,
}

impl Status<'_> {
    fn said(&self) -> Said {
        let code = |n: usize| self.segment.value(n).into_owned();
        match self.segment.has(1) {
            true => Said { is_appointment: false, code: code(1), reason: code(2) },
            false => Said { is_appointment: true, code: code(3), reason: code(4) },
        }
    }
}

/// City and state, as far as they are there.
fn city_and_state(place: &Place) -> Option<String> {
    let address = place.address.as_ref()?;
    let parts: Vec<&str> =
        [&address.city, &address.region].into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
