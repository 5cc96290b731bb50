//! Records as operators get them.

use serde_json::{Value, json};

use crate::{
    canonical,
    journal::{EventRecord, ExceptionRecord, MessageRecord, Outbound, PastOutbound},
    words::Document,
};

/// Bytes of a document that are shown.
const SHOWN: usize = 64 * 1024;

pub(super) fn message(found: &MessageRecord) -> Value {
    let problem: Option<Value> = found.problem.as_deref().and_then(|text| serde_json::from_str(text).ok());
    json!({
        "message": found.summary, "receipt": found.receipt, "problem": problem,
        "document": if found.pruned { json!({ "pruned": true }) } else { json!(found.document.as_ref().map(document)) },
        "deliveries": found.deliveries, "exceptions": found.exceptions, "repeats": found.repeats,
        "parent": found.parent, "children": found.children,
    })
}

pub(super) fn event(found: &EventRecord) -> Value {
    json!({
        "sequence": found.sequence, "partner": found.partner, "message_id": found.message_id,
        "keys": found.event.order_keys, "held": found.held, "revises": found.revises, "event": canonical::cloud_event(&found.event, found.message_id),
    })
}

pub(super) fn exception(found: &ExceptionRecord) -> Value {
    json!({
        "exception": found.summary, "message_id": found.message_id, "document": document(&found.document),
        "event": canonical::cloud_event(&found.event, found.message_id), "contradicts": found.contradicts,
        "outbound": found.outbound.as_ref().map(outbound), "attempts": found.attempts,
        "past": found.past.iter().map(past).collect::<Vec<_>>(),
    })
}

fn past(past: &PastOutbound) -> Value {
    let mut shown = outbound(&past.outbound);
    shown["revision"] = past.revision.into();
    shown["replaced_by"] = past.by.clone().into();
    shown["replaced_at"] = past.at.to_string().into();
    shown
}

fn outbound(outbound: &Outbound) -> Value {
    json!({
        "mapper": outbound.mapper, "mapper_digest": outbound.mapper_digest,
        "control_numbers": outbound.control_numbers, "document": document(&outbound.document),
    })
}

/// A document with its text, where it is text; cut at 64 KiB.
fn document(document: &Document) -> Value {
    let shown = &document.content[..document.content.len().min(SHOWN)];
    let text = std::str::from_utf8(shown).ok().or_else(|| {
        let whole = std::str::from_utf8(shown).err().map_or(0, |error| error.valid_up_to());
        // A character that the cut went through is no reason to show nothing.
        (shown.len() - whole < 4 && shown.len() == SHOWN)
            .then(|| std::str::from_utf8(&shown[..whole]).unwrap_or(""))
    });
    json!({ "media_type": document.media_type, "length": document.content.len(), "text": text,
        "cut": document.content.len() > SHOWN })
}
