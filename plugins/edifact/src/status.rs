//! IFTSTA becomes a `shipment.milestone` for each status, or `shipment.delivered` where it is a delivery.

use crossdock_edi::edifact::Segment;
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Classifier, Code, Equipment, Milestone, Pack, Party, Place, Reference, ShipmentDelivered,
    ShipmentMilestone, Time,
};

use crate::heading::{self, Heading, Identity, in_lanes, when};
use crate::packs;
use crate::parts;
use crate::source::{Source, excerpt};
use crate::tables;
use crate::times::Dates;
use crate::tree::Node;

/// References that name a shipment, the most telling one first, where its consignment (`CNI`) gives no number.
const SHIPMENTS: &[&str] = &[
    "shipment",
    "waybill",
    "transport-document",
    "bol",
    "awb",
    "house-waybill",
    "carrier-reference",
    "booking",
    "shipper-reference",
    "consignor-reference",
    "forwarder-reference",
    "unique-consignment",
    "delivery",
    "despatch-advice",
    "po",
];

/// Kinds of dates that tell when a status came about, the most telling one first.
const HAPPENED: &[&str] = &[
    "status",
    "delivered",
    "arrival",
    "departure",
    "pick-up",
    "dispatched",
    "shipped",
    "received",
    "effective",
    "scheduled-arrival",
    "scheduled-departure",
    "scheduled-delivery",
    "estimated-arrival",
    "estimated-departure",
    "estimated-delivery",
    "transaction",
    "document",
];

/// What all statuses of a message share.
struct Told<'d, 's> {
    source: &'s Source<'d>,
    id: Identity,
    references: Vec<Reference>,
    parties: Vec<Party>,
    sent: Option<Time>,
    notes: Vec<crossdock_mapper::canonical::Note>,
}

/// Every status of a message; errors are told where a status names no shipment or no time.
pub fn statuses<'d>(source: &Source<'d>, root: &Node<'d>) -> Vec<Event> {
    let Heading { id, mut dates, references, parties, notes, .. } = heading::read(source, root);
    let told = Told { source, id, references, parties, sent: dates.take("document"), notes };
    let mut found: Vec<(Status<'_, 'd>, Vec<Reference>)> = Vec::new();
    for cni in root.all("CNI") {
        source.take(cni.segment, 1, 1);
        let own: Vec<_> = source
            .some(cni.segment, 2, 1)
            .map(|number| Reference::new("consignment", number).source("CNI"))
            .into_iter()
            .chain(parts::references(source, cni))
            .collect();
        found.extend(cni.all("STS").map(|sts| (Status { sts, around: None }, own.clone())));
    }
    for eqd in root.all("EQD") {
        let own = parts::references(source, eqd);
        found.extend(eqd.all("STS").map(|sts| (Status { sts, around: Some(eqd) }, own.clone())));
    }
    // Some senders leave out the consignment.
    found.extend(root.all("STS").map(|sts| (Status { sts, around: None }, Vec::new())));
    if found.is_empty() {
        let message = "the message tells of no status: STS is missing".to_owned();
        source.error(root.segment, 0, 0, "segment-missing", "13", message);
    }
    let mut drafts: Vec<Draft> = Vec::new();
    for (node, own) in found {
        drafts.extend(told.drafts(&node, own));
    }
    // What nobody read belongs to the message; the first event carries it.
    let mut left = Some(source.left());
    let mut events: Vec<Event> = Vec::new();
    for draft in drafts {
        let event = draft.event(&told.id, left.take().unwrap_or_default());
        // A message may tell the same twice.
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events
}

/// A status, and the container around it where there is one.
struct Status<'n, 'd> {
    sts: &'n Node<'d>,
    around: Option<&'n Node<'d>>,
}

/// One status, read.
struct Draft {
    kind: Kind,
    shipment: String,
    status: Code,
    reason: Option<Code>,
    references: Vec<Reference>,
    happened: Time,
    place: Option<Place>,
    parties: Vec<Party>,
    carrier: Option<crossdock_mapper::canonical::Carrier>,
    equipment: Vec<Equipment>,
    packs: Vec<Pack>,
    notes: Vec<crossdock_mapper::canonical::Note>,
}

enum Kind {
    Milestone(Milestone),
    Delivered,
}

impl<'d> Told<'d, '_> {
    /// The status, and what is expected besides where its dates say so.
    fn drafts(&self, node: &Status<'_, 'd>, own: Vec<Reference>) -> Vec<Draft> {
        let (source, sts) = (self.source, node.sts);
        let own_of_status = parts::references(source, sts);
        let mut references = own;
        references.extend(own_of_status);
        // What a loop says of itself outdoes the heading.
        for reference in &self.references {
            if !references.contains(reference) {
                references.push(reference.clone());
            }
        }
        let (carrier, _, vehicles) = parts::carriers(source, sts);
        let mut equipment = parts::equipment(source, sts);
        equipment.extend(node.around.and_then(|around| container(source, around)));
        equipment.extend(vehicles);
        let Some(shipment) = shipment(&references, &equipment) else {
            let message = "the status names no shipment: neither CNI nor RFF nor EQD does".to_owned();
            source.error(sts.segment, 0, 0, "missing", "13", message);
            return Vec::new();
        };
        let status = self.code(sts.segment, 2, "edifact-4405");
        let reason = self.reason(sts.segment);
        let mut dates = Dates::of(source, sts);
        let (happened, classifier) = match first(&mut dates) {
            Some(time) => {
                let classifier = time.classifier;
                (time, classifier)
            }
            None => match &self.sent {
                Some(sent) => {
                    let message = "the status has no time of its own; the message's is taken".to_owned();
                    source.warning(sts.segment, 0, 0, "no-time", "13", message);
                    (sent.clone(), None)
                }
                None => {
                    source.error(sts.segment, 0, 0, "missing", "13", "the status has no time".to_owned());
                    return Vec::new();
                }
            },
        };
        let Some(status) = status else {
            source.error(sts.segment, 2, 1, "missing", "13", "the status has no code".to_owned());
            return Vec::new();
        };
        let place = sts.all("LOC").find_map(|loc| parts::place(source, loc.segment));
        let mut packs = Vec::new();
        for gid in sts.all("GID") {
            packs.extend(packs::identities(source, gid));
        }
        packs.extend(packs::identities(source, sts));
        references.extend(packs.iter().map(|code| Reference::new("sscc", code.value.clone())));
        let mut notes = parts::notes(source, sts);
        notes.extend(self.notes.iter().cloned());
        let mut parties = parts::parties(source, sts);
        parties.extend(self.parties.iter().cloned());
        let draft = Draft {
            kind: kind(&status, classifier),
            shipment: shipment.clone(),
            status,
            reason,
            references: references.clone(),
            happened,
            place,
            parties: parties.clone(),
            carrier: carrier.clone(),
            equipment: equipment.clone(),
            packs: packs
                .into_iter()
                .map(|code| Pack { id: code.value.clone(), identifiers: vec![code], ..Pack::default() })
                .collect(),
            notes,
        };
        let mut drafts = vec![draft];
        for time in expected(dates) {
            drafts.push(Draft {
                kind: Kind::Milestone(Milestone::DeliveryEstimated),
                shipment: shipment.clone(),
                status: Code { list: Some("edifact-2005".to_owned()), code: "17".to_owned(), text: None },
                reason: None,
                references: references.clone(),
                happened: time,
                place: None,
                parties: parties.clone(),
                carrier: carrier.clone(),
                equipment: equipment.clone(),
                packs: Vec::new(),
                notes: Vec::new(),
            });
        }
        drafts
    }

    /// C555 or C556: a code with its list, and the text beside it.
    fn code(&self, sts: Segment<'d>, n: usize, list: &str) -> Option<Code> {
        let source = self.source;
        let (code, text) = (source.some(sts, n, 1), source.some(sts, n, 4));
        let agency = source.take(sts, n, 3).into_owned();
        source.take(sts, 1, 1);
        let list = match agency.as_str() {
            "" | "6" => list.to_owned(),
            agency => format!("{list}-{}", agency.to_ascii_lowercase()),
        };
        let code = code.or_else(|| text.clone())?;
        Some(Code { list: Some(list).filter(|list| list.is_ascii()), code, text })
    }

    fn reason(&self, sts: Segment<'d>) -> Option<Code> {
        self.code(sts, 3, "edifact-9013")
    }
}

fn container<'d>(source: &Source<'d>, eqd: &Node<'d>) -> Option<Equipment> {
    let kind = tables::name_of(tables::EQUIPMENT, &source.take(eqd.segment, 1, 1));
    let number = source.some(eqd.segment, 2, 1)?.replace(' ', "");
    [(2, 2), (2, 3), (3, 2), (3, 3)].into_iter().for_each(|(n, c)| drop(source.take(eqd.segment, n, c)));
    let scheme = if kind == "container" { "container" } else { "equipment" };
    let identifiers = vec![crossdock_mapper::canonical::Identifier::new(scheme, number)];
    Some(Equipment {
        kind: Some(kind),
        identifiers,
        type_code: source.some(eqd.segment, 3, 1),
        ..Equipment::default()
    })
}

/// The number that names a shipment: of its consignment, else the most telling reference, else of its container.
pub fn shipment(references: &[Reference], equipment: &[Equipment]) -> Option<String> {
    let named = std::iter::once("consignment").chain(SHIPMENTS.iter().copied());
    let mut found = named.filter_map(|kind| Reference::find(references, kind));
    let number = found.next().map(str::to_owned);
    number.or_else(|| equipment.iter().flat_map(|one| &one.identifiers).map(|one| one.value.clone()).next())
}

fn first(dates: &mut Dates) -> Option<Time> {
    HAPPENED.iter().find_map(|kind| dates.take(kind)).or_else(|| dates.take_any())
}

/// Expected deliveries and arrivals that are told beside a status.
fn expected(mut dates: Dates) -> Vec<Time> {
    ["estimated-delivery", "estimated-arrival"].iter().filter_map(|kind| dates.take(kind)).collect()
}

/// The milestone of a status. A delivery that is planned or estimated is none.
fn kind(status: &Code, classifier: Option<Classifier>) -> Kind {
    let open = matches!(status.list.as_deref(), Some("edifact-4405" | "edifact-4405-9"));
    let name = tables::listed(tables::STATUS, &status.code).filter(|_| open).unwrap_or("other");
    let is_fact = matches!(classifier, None | Some(Classifier::Actual));
    Kind::Milestone(match name {
        "delivered" if is_fact => return Kind::Delivered,
        "delivered" => Milestone::DeliveryEstimated,
        "arrived" => Milestone::Arrived,
        "departed" => Milestone::Departed,
        "departed-pick-up" => Milestone::DepartedPickUp,
        "arrived-at-delivery" => Milestone::ArrivedAtDelivery,
        "arrived-at-pick-up" => Milestone::ArrivedAtPickUp,
        "out-for-delivery" => Milestone::OutForDelivery,
        "loaded" => Milestone::Loaded,
        "in-transit" => Milestone::InTransit,
        "customs" => Milestone::Customs,
        "delayed" => Milestone::Delayed,
        "delivery-attempted" => Milestone::DeliveryAttempted,
        "exception" => Milestone::Exception,
        _ => Milestone::Other,
    })
}

impl Draft {
    fn event(self, id: &Identity, extensions: crossdock_mapper::canonical::Extensions) -> Event {
        let key = |event: Event| {
            let event = id.keyed(event, "shipment", &self.shipment);
            let event = event.natural_key("status", excerpt(&self.status.code));
            let event = event.natural_key("at", self.happened.text().unwrap_or_default());
            let place = self.place.as_ref().and_then(|place| place.identifiers.first());
            match place {
                Some(place) => event.natural_key("place", &place.value),
                None => event,
            }
        };
        let lanes = |event: Event, references: &[Reference]| {
            in_lanes(event, references.iter(), ("shipment", &self.shipment))
        };
        match self.kind {
            Kind::Delivered => {
                let data = ShipmentDelivered {
                    shipment: self.shipment.clone(),
                    references: self.references.clone(),
                    delivered: Time { classifier: None, ..self.happened.clone() },
                    place: self.place.clone(),
                    parties: self.parties.clone(),
                    carrier: self.carrier.clone(),
                    equipment: self.equipment.clone(),
                    packs: self.packs.clone(),
                    notes: self.notes.clone(),
                    extensions,
                    ..ShipmentDelivered::default()
                };
                when(lanes(key(Event::new(&data)), &data.references), Some(&data.delivered))
            }
            Kind::Milestone(milestone) => {
                let data = ShipmentMilestone {
                    shipment: self.shipment.clone(),
                    milestone,
                    status: Some(self.status.clone()),
                    reason: self.reason.clone(),
                    references: self.references.clone(),
                    happened: self.happened.clone(),
                    place: self.place.clone(),
                    parties: self.parties.clone(),
                    carrier: self.carrier.clone(),
                    equipment: self.equipment.clone(),
                    notes: self.notes.clone(),
                    extensions,
                    ..ShipmentMilestone::default()
                };
                when(lanes(key(Event::new(&data)), &data.references), Some(&data.happened))
            }
        }
    }
}
