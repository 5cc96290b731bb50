//! Proxy operations: the target's answer, mapped back, is the answer.

use std::sync::Arc;

use http::{StatusCode, request::Parts};

use super::{Answer, Gateway, call, canonical_events, condition, map, plain, refused, trace::Trace};
use crate::{
    canonical, deliver,
    mapper::{Recorded, Stage},
    policy::{Contract, Mapping, Operation, Snapshot},
    refusal::Refusal,
    words::{Digest, Document, Event, Inbound, MessageId, Mode, Time},
};

/// Proxy: the target's answer, mapped back, is the answer.
#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
pub(super) async fn proxy(
    gateway: &Gateway,
    policies: &Snapshot,
    operation: &Operation,
    contract: &Contract,
    inbound: Inbound,
    head: &Parts,
    message_id: MessageId,
    now: Time,
    trace: &mut Trace,
) -> Result<Answer, Refusal> {
    let target = contract.target.as_ref().ok_or(Refusal::Mode(Mode::Proxy))?;
    trace.mapper = contract.mapping.as_ref().map(Mapping::title);
    let outbound = outward(gateway, policies, operation, contract, &inbound, message_id, now, trace).await?;
    let request = deliver::Request {
        id: message_id.to_string(),
        document: outbound,
        at: gateway.clock.now(),
        traceparent: head.headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned),
        keep_bytes: usize::try_from(operation.body_max).unwrap_or(usize::MAX),
    };
    let failed =
        |what: String, retryable| Refusal::Target { target: target.name.to_string(), what, retryable };
    let answer = gateway.calls.call(Arc::clone(target), request).await;
    let answer = answer.map_err(|error| failed(error.to_string(), true))?;
    if answer.cut {
        return Err(failed(format!("an answer of more than {} bytes", operation.body_max), false));
    }
    let Some((theirs, ours)) = contract.target_mapping.as_ref().zip(contract.mapping.as_ref()) else {
        return Ok(passed_on(answer));
    };
    if !(200..300).contains(&answer.status) {
        return Err(failed(format!("answered {}", answer.status), answer.status >= 500));
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let returned =
        Document { media_type: answer.media_type.clone(), content: answer.content, parameters: Vec::new() };
    if returned.content.is_empty() {
        return Ok(plain(status, &returned.media_type, returned.content));
    }
    let inbound = Inbound { document: returned, ..inbound };
    let digest = Digest::of(&inbound.document.content);
    let mapped = map(&gateway.host, policies, theirs, &inbound, Stage::Answer, false, now, trace).await?;
    let events =
        canonical_events(gateway.canonical(), policies, theirs, &inbound, mapped.drafts, digest, now)?;
    let document =
        from_canonical(gateway, policies, ours, &inbound, events, Stage::Answer, now, trace).await?;
    Ok(plain(status, &document.media_type, document.content))
}

/// What a proxy operation sends: the document as it came, the canonical events, or the target's own format.
#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
async fn outward(
    gateway: &Gateway,
    policies: &Snapshot,
    operation: &Operation,
    contract: &Contract,
    inbound: &Inbound,
    message_id: MessageId,
    now: Time,
    trace: &mut Trace,
) -> Result<Document, Refusal> {
    let Some(mapping) = &contract.mapping else { return Ok(inbound.document.clone()) };
    let digest = Digest::of(&inbound.document.content);
    let mapped = map(&gateway.host, policies, mapping, inbound, Stage::Request, false, now, trace).await?;
    let events =
        canonical_events(gateway.canonical(), policies, mapping, inbound, mapped.drafts, digest, now)?;
    condition::after(operation, inbound, &events)?;
    trace.events = events.len();
    match &contract.target_mapping {
        Some(theirs) => {
            from_canonical(gateway, policies, theirs, inbound, events, Stage::Request, now, trace).await
        }
        None => Ok(canonical::document(&events, message_id)),
    }
}

#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
async fn from_canonical(
    gateway: &Gateway,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    events: Vec<Event>,
    stage: Stage,
    now: Time,
    trace: &mut Trace,
) -> Result<Document, Refusal> {
    let call = call(policies, mapping, inbound, stage, now);
    let events = events.into_iter().map(|event| Recorded { event }).collect();
    let ran = gateway.host.from_canonical(&mapping.mapper, call, events).await;
    let ran = ran.map_err(|failure| refused(mapping, failure))?;
    trace.cpu += ran.usage.cpu;
    Ok(ran.value)
}

fn passed_on(answer: deliver::Answer) -> Answer {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    plain(status, &answer.media_type, answer.content)
}
