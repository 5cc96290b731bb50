//! DESADV becomes `shipment.dispatched`, RECADV `receiving.received`.

use crossdock_mapper::Event;
use crossdock_mapper::canonical::{ReceivingReceived, Reference, ShipmentDispatched};

use crate::heading::{self, Heading, in_lanes, when};
use crate::packs::{self, Packed};
use crate::parts;
use crate::source::Source;
use crate::tree::Node;

/// A despatch advice.
pub fn despatched<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let heading = heading::read(source, root);
    let (carrier, _, vehicles) = parts::carriers(source, root);
    if heading.id.cancels() {
        return heading::shipment_cancelled(source, heading, carrier);
    }
    let Heading { id, mut dates, references, parties, mut notes, .. } = heading;
    let number = id.number.as_str();
    let Packed { lines, packs, notes: of_packs } = packs::read(source, root, |line| line.shipped.as_ref());
    if lines.is_empty() && packs.is_empty() {
        let message = "the advice has neither lines nor packs".to_owned();
        source.error(root.segment, 0, 0, "segment-missing", "13", message);
    }
    notes.extend(of_packs);
    let mut equipment = parts::equipment(source, root);
    equipment.extend(vehicles);
    let data = ShipmentDispatched {
        shipment: number.to_owned(),
        references,
        dispatched: dates.take_first(&["dispatched", "shipped", "departure", "pick-up"]),
        dates: dates.rest(),
        parties,
        carrier,
        equipment,
        lines,
        packs,
        totals: parts::totals(source, root),
        correction: id.correction("shipment"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "shipment", number);
    let of_lines = data.lines.iter().flat_map(|line| &line.references);
    let event = in_lanes(event, data.references.iter().chain(of_lines), ("shipment", number));
    when(event, data.dispatched.as_ref())
}

/// A receiving advice.
pub fn received<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let Heading { id, mut dates, mut references, parties, mut notes, .. } = heading::read(source, root);
    let number = id.number.as_str();
    let (carrier, _, vehicles) = parts::carriers(source, root);
    let Packed { lines, packs, notes: of_packs } = packs::read(source, root, |line| line.delivered.as_ref());
    if lines.is_empty() {
        source.error(root.segment, 0, 0, "segment-missing", "13", "the receipt has no lines".to_owned());
    }
    notes.extend(of_packs);
    let mut equipment = parts::equipment(source, root);
    equipment.extend(vehicles);
    // DOC is a document that the receipt speaks of; 351 is the despatch advice.
    for doc in root.all("DOC") {
        let kind = if doc.segment.value(1, 1) == "351" { "despatch-advice" } else { "document" };
        if let Some(value) = source.some(doc.segment, 2, 1) {
            source.take(doc.segment, 1, 1);
            references.push(Reference::new(kind, value).source("DOC"));
        }
    }
    let data = ReceivingReceived {
        receipt: number.to_owned(),
        references,
        received: dates.take_first(&["received", "delivered"]),
        dates: dates.rest(),
        parties,
        place: None,
        carrier,
        equipment,
        lines,
        packs,
        totals: parts::totals(source, root),
        correction: id.correction("receipt"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "receipt", number);
    let of_lines = data.lines.iter().flat_map(|line| &line.references);
    let event = in_lanes(event, data.references.iter().chain(of_lines), ("receipt", number));
    when(event, data.received.as_ref())
}
