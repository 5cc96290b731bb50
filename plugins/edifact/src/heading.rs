//! `BGM` and what every message has in its heading: number, function, dates, references, parties, notes.

use crossdock_edi::edifact::Segment;
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Correction, CorrectionKind, Note, Party, Reference, ShipmentCancelled, Time,
};

use crate::parts;
use crate::source::Source;
use crate::tables;
use crate::times::Dates;
use crate::tree::Node;

/// The most order keys that one event enters the lanes of.
const ORDER_KEYS_MAX: usize = 16;

/// The standard allows 35 characters.
const SENDER_MAX: usize = 64;

/// The heading of a message.
pub struct Heading<'d> {
    pub bgm: Option<Segment<'d>>,
    pub id: Identity,
    pub dates: Dates,
    pub references: Vec<Reference>,
    pub parties: Vec<Party>,
    pub notes: Vec<Note>,
}

/// Which document it is, and what it does to the one before.
pub struct Identity {
    /// The document's number (1004).
    pub number: String,
    /// `original`, `change`, `replace`, `cancel`, `duplicate`, by its function (1225).
    pub purpose: Option<&'static str>,
    /// Who sent the interchange; many senders may share one way in.
    sender: String,
}

/// Reads a heading. Without a document number nothing could be found again, so that is an error.
pub fn read<'d>(source: &Source<'d>, root: &Node<'d>) -> Heading<'d> {
    let bgm = root.first("BGM").map(|node| node.segment);
    let number = match bgm {
        Some(bgm) => source.key(bgm, 2, 1, "the document's number"),
        None => {
            let message = "the message has no BGM".to_owned();
            source.error(root.segment, 0, 0, "segment-missing", "13", message);
            String::new()
        }
    };
    let purpose = bgm.and_then(|bgm| {
        let purpose = tables::listed(tables::FUNCTIONS, &bgm.value(3, 1));
        if purpose.is_some() {
            source.take(bgm, 3, 1);
        }
        purpose
    });
    if let Some(bgm) = bgm {
        // The name of the document, where it says no more than the type of the message does.
        let usual = tables::listed(tables::NAMES, &source.message.kind());
        if usual == Some(&*bgm.value(1, 1)) {
            source.take(bgm, 1, 1);
        }
        source.take(bgm, 1, 3);
    }
    let sender = source.message.interchange().sender();
    let sender = sender.chars().filter(|character| !character.is_control()).take(SENDER_MAX).collect();
    Heading {
        bgm,
        id: Identity { number, purpose, sender },
        dates: Dates::of(source, root),
        references: parts::references(source, root),
        parties: parts::parties(source, root),
        notes: parts::notes(source, root),
    }
}

impl Identity {
    /// What the document corrects, where its function says so; it names the fact by the same key.
    pub fn correction(&self, kind: &str) -> Option<Correction> {
        let function = match self.purpose? {
            "change" => CorrectionKind::Change,
            "replace" => CorrectionKind::Replacement,
            "cancel" => CorrectionKind::Reversal,
            _ => return None,
        };
        let corrects = vec![Reference::new(kind, self.number.clone())];
        Some(Correction { kind: function, corrects, reason: None })
    }

    /// Change and replacement; an original says nothing.
    pub fn changes(&self) -> Option<String> {
        self.purpose.filter(|purpose| matches!(*purpose, "change" | "replace")).map(str::to_owned)
    }

    /// Whether the document takes back the one before.
    pub fn cancels(&self) -> bool {
        self.purpose == Some("cancel")
    }

    /// Gives an event its natural key: a number, and who sent it.
    pub fn keyed(&self, event: Event, kind: &str, number: &str) -> Event {
        let event = event.natural_key(kind, number);
        if self.sender.is_empty() { event } else { event.natural_key("sender", &self.sender) }
    }

    /// The same for a document that may correct the one before.
    pub fn corrected(&self, event: Event, kind: &str, number: &str) -> Event {
        let event = self.keyed(event, kind, number);
        if !matches!(self.purpose, Some("change" | "replace" | "cancel")) {
            return event;
        }
        let event = event.corrects(kind, number);
        if self.sender.is_empty() { event } else { event.corrects("sender", &self.sender) }
    }
}

/// A shipment that its document takes back.
pub fn shipment_cancelled(source: &Source<'_>, heading: Heading<'_>, carrier: Option<Carrier>) -> Event {
    let Heading { id, mut dates, references, parties, notes, .. } = heading;
    let number = id.number.as_str();
    let data = ShipmentCancelled {
        shipment: number.to_owned(),
        references,
        cancelled: dates.take("document"),
        reason: None,
        parties,
        carrier,
        correction: id.correction("shipment"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "shipment", number);
    let event = in_lanes(event, data.references.iter(), ("shipment", number));
    when(event, data.cancelled.as_ref())
}

/// The orders that a document speaks of are its lanes; one that speaks of none has a lane of its own.
pub fn in_lanes<'r>(
    event: Event,
    references: impl Iterator<Item = &'r Reference>,
    (kind, number): (&str, &str),
) -> Event {
    let mut orders: Vec<&str> = Vec::new();
    for reference in references.filter(|reference| reference.kind == "po") {
        if !orders.contains(&reference.value.as_str()) && orders.len() < ORDER_KEYS_MAX {
            orders.push(&reference.value);
        }
    }
    if orders.is_empty() {
        return event.order_key(kind, number);
    }
    orders.into_iter().fold(event, |event, order| event.order_key("order", order))
}

/// When it happened, where that is known.
pub fn when(event: Event, time: Option<&Time>) -> Event {
    match time {
        Some(time) => event.occurred_at(time),
        None => event,
    }
}
