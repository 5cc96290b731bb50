//! The functional acknowledgement (X12 997 and 999, EDIFACT CONTRL) that an EDI sender waits for.
//!
//! It is written before the append and stored by it, inside of the receipt: the answer to a repeated request is then
//! the same to the byte, with the same control numbers, and no crash can part it from what it acknowledges. Nobody
//! sees it before the parts are durable.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Gateway, call};
use crate::{
    journal::{self, Counter},
    mapper::{self, Context, Ended, Failure, Reject, Stage},
    policy::{Mapping, Snapshot},
    words::{Acknowledgement, Content, Diagnostic, Document, Inbound, Pairs, Severity, Time},
};

/// Asks the mapper for the acknowledgement of what it mapped. A mapper that fails at it costs the acknowledgement
/// and not the document; the receipt then says so.
pub(super) async fn of_accepted(
    gateway: &Gateway,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    rejects: &[Reject],
    diagnostics: &mut Vec<Diagnostic>,
    now: Time,
) -> Result<Option<Acknowledgement>, journal::Error> {
    let ended = Ended { rejects, diagnostics, kept: true };
    match write(gateway, policies, mapping, inbound, &ended, now).await? {
        Ok(written) => Ok(written),
        Err(failure) => {
            tracing::warn!(mapper = mapping.title(), failure = failure.on_one_line(), "no acknowledgement");
            diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                code: "not-acknowledged".to_owned(),
                standard_code: None,
                at: None,
                message: "the document is accepted; its functional acknowledgement could not be written"
                    .to_owned(),
                rule: Some(mapping.rule.clone()),
            });
            Ok(None)
        }
    }
}

/// Asks the mapper for the acknowledgement of what it refused. Without one the problem itself says what is wrong.
pub(super) async fn of_refused(
    gateway: &Gateway,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    diagnostics: &[Diagnostic],
    now: Time,
) -> Option<Acknowledgement> {
    let ended = Ended { rejects: &[], diagnostics, kept: false };
    let why = match write(gateway, policies, mapping, inbound, &ended, now).await {
        Ok(Ok(written)) => return written,
        Ok(Err(failure)) => failure.on_one_line(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(mapper = mapping.title(), failure = why, "no acknowledgement");
    None
}

async fn write(
    gateway: &Gateway,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    ended: &Ended<'_>,
    now: Time,
) -> Result<Result<Option<Acknowledgement>, Failure>, journal::Error> {
    let mut call = call(policies, mapping, inbound, Stage::Request, now);
    // It goes the other way: from us to the partner.
    let Context { sender, receiver, .. } = &mut call.context;
    std::mem::swap(sender, receiver);
    let mut numbers = Pairs::new();
    for kind in &mapping.mapper.manifest().control_numbers {
        let counter = Counter { kind: kind.clone(), sender: sender.clone(), receiver: receiver.clone() };
        numbers.push((kind.clone(), gateway.journal.take_number(counter).await?.to_string()));
    }
    call.context.control_numbers = numbers;
    let outcomes = mapper::outcomes(&inbound.document, ended);
    let ran = gateway.host.acknowledge(&mapping.mapper, call, outcomes).await;
    Ok(ran.map(|ran| ran.value.map(acknowledgement)))
}

fn acknowledgement(document: Document) -> Acknowledgement {
    let content = match std::str::from_utf8(&document.content) {
        Ok(text) => Content::Text(text.to_owned()),
        Err(_) => Content::Base64(STANDARD.encode(&document.content)),
    };
    Acknowledgement { media_type: document.media_type, content }
}
