//! ORDERS becomes `order.released` or `order.cancelled`, ORDRSP `order.accepted` or `order.rejected`.

use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Agreement, Code, Line, LineStatus, OrderAccepted, OrderCancelled, OrderRejected, OrderReleased, Reference,
};

use crate::heading::{self, Heading, when};
use crate::line::{self, Lines};
use crate::parts;
use crate::source::Source;
use crate::tables;
use crate::tree::Node;

/// An order.
pub fn released<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let Heading { id, mut dates, references, parties, notes, .. } = heading::read(source, root);
    let number = id.number.as_str();
    let lines = lines(source, root);
    if id.cancels() {
        let reason = Code { list: Some("edifact-1225".to_owned()), code: "1".to_owned(), text: None };
        let data = OrderCancelled {
            order: number.to_owned(),
            references,
            cancelled: dates.take("document"),
            reason: Some(reason),
            parties,
            lines,
            correction: id.correction("order"),
            notes,
            extensions: source.left(),
        };
        let event = id.keyed(Event::new(&data), "order", number).order_key("order", number);
        return when(event, data.cancelled.as_ref());
    }
    if lines.is_empty() {
        source.error(root.segment, 0, 0, "segment-missing", "13", "the order has no lines".to_owned());
    }
    let (carrier, _, _) = parts::carriers(source, root);
    let data = OrderReleased {
        order: number.to_owned(),
        purpose: id.changes(),
        references,
        released: dates.take_first(&["document", "order"]),
        dates: dates.rest(),
        parties,
        carrier,
        priority: None,
        incoterms: parts::incoterms(source, root),
        temperature: None,
        lines,
        packs: Vec::new(),
        totals: parts::totals(source, root),
        correction: id.correction("order"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "order", number).order_key("order", number);
    when(event, data.released.as_ref())
}

/// A seller's answer to an order, which is the order that `RFF+ON` names.
pub fn answered<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let Heading { bgm, id, mut dates, mut references, parties, notes, .. } = heading::read(source, root);
    let order = match references.iter().position(|reference| reference.kind == "po") {
        Some(at) => references.remove(at).value,
        None => {
            let message = "the answer does not say to which order: RFF+ON is missing".to_owned();
            source.error(bgm.unwrap_or(root.segment), 0, 0, "segment-missing", "13", message);
            String::new()
        }
    };
    references.insert(0, Reference::new("order-response", id.number.clone()).source("BGM"));
    let lines = lines(source, root);
    let function = bgm.map(|bgm| source.take(bgm, 3, 1).into_owned()).unwrap_or_default();
    let said = tables::column(tables::ANSWERS, &function, 1);
    let cancelled = |line: &Line| line.status == Some(LineStatus::Cancelled);
    let every_line_rejected = !lines.is_empty() && lines.iter().all(cancelled);
    let (carrier, _, _) = parts::carriers(source, root);
    if said == Some("rejected") || (said.is_none() && every_line_rejected) {
        let data = OrderRejected {
            order: order.clone(),
            references,
            rejected: dates.take("document"),
            reason: Some(Code { list: Some("edifact-1225".to_owned()), code: function, text: None })
                .filter(|reason| !reason.code.is_empty()),
            parties,
            lines,
            correction: None,
            notes,
            extensions: source.left(),
        };
        let event = id.keyed(Event::new(&data), "order-response", &id.number).order_key("order", order);
        return when(event, data.rejected.as_ref());
    }
    let changed = lines.iter().any(|line| line.reason.is_some() && line.status != Some(LineStatus::Complete));
    let agreement = match said {
        Some("as-ordered") => Some(Agreement::AsOrdered),
        Some("with-changes") => Some(Agreement::WithChanges),
        _ if changed => Some(Agreement::WithChanges),
        _ => None,
    };
    let data = OrderAccepted {
        order: order.clone(),
        agreement,
        references,
        accepted: dates.take("document"),
        dates: dates.rest(),
        parties,
        carrier,
        incoterms: parts::incoterms(source, root),
        lines,
        totals: parts::totals(source, root),
        correction: None,
        notes,
        extensions: source.left(),
    };
    let event = id.keyed(Event::new(&data), "order-response", &id.number).order_key("order", order);
    when(event, data.accepted.as_ref())
}

/// The lines of an order or answer, with what is answered to each.
fn lines<'d>(source: &Source<'d>, root: &Node<'d>) -> Vec<Line> {
    let currency = parts::currency(source, root);
    let mut lines = Lines::default();
    for (position, lin) in root.all("LIN").enumerate() {
        let mut line = line::read(source, lin, position + 1, currency.as_deref());
        let action = lin.segment.value(2, 1).into_owned();
        if let Some(answer) =
            tables::column(tables::ANSWERS, &action, 2).filter(|_| source.message.kind() == "ORDRSP")
        {
            source.take(lin.segment, 2, 1);
            line.status = match answer {
                "accepted" => Some(LineStatus::Complete),
                "rejected" => Some(LineStatus::Cancelled),
                _ => line.status,
            };
            line.reason = Some(Code { list: Some("edifact-1229".to_owned()), code: action, text: None });
        }
        lines.add(line);
    }
    lines.lines
}
