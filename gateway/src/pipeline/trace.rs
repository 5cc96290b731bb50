//! What a request leaves behind besides its answer: a log line, figures, and a line about a refusal.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;

use super::Gateway;
use crate::{
    journal::Refused,
    observe::{RequestLabels, ShadowLabels, brief},
    policy::{Operation, Snapshot},
    problem::Problem,
    refusal::Refusal,
    words::{Acknowledgement, Caller, MessageId, Time},
};

/// What is learned of a request on its way, for its span, its log line and its metrics.
#[derive(Default)]
pub(super) struct Trace {
    pub caller: Option<Caller>,
    pub operation: Option<Arc<Operation>>,
    pub version: Option<String>,
    pub mapper: Option<String>,
    pub length: u64,
    pub events: usize,
    pub cpu: Duration,
    /// Where the request came from.
    pub from: Option<SocketAddr>,
    /// Controls in shadow that would have refused it.
    pub shadowed: Vec<String>,
    /// What the sender of a refused document is answered besides.
    pub acknowledgement: Option<Acknowledgement>,
}

pub(super) fn log(
    trace: &Trace,
    message_id: MessageId,
    policies: &Snapshot,
    started: Instant,
    status: StatusCode,
    refusal: Option<&Refusal>,
) {
    let partner = trace.caller.as_ref().map_or("-", |caller| caller.partner.as_str());
    let operation = trace.operation.as_ref().map_or("-", |operation| operation.id.as_str());
    let version = trace.version.as_deref().unwrap_or("-");
    let mapper = trace.mapper.as_deref().unwrap_or("-");
    let (took, revision) = (brief(started.elapsed()), policies.revision.as_str());
    let (status, events, length) = (status.as_u16(), trace.events, trace.length);
    let shadow = (!trace.shadowed.is_empty()).then(|| trace.shadowed.join(","));
    // An address is told of those alone whom nobody knows: it is what can be done something about.
    let from = trace.from.filter(|_| trace.caller.is_none()).map(tracing::field::display);
    match refusal {
        None => tracing::info!(
            %message_id, partner, operation, version, mapper, status, length, events, took, revision, shadow, "accepted"
        ),
        Some(refusal) => tracing::info!(
            %message_id, partner, operation, version, mapper, status, length, took, revision, shadow, from,
            reason = refusal.for_the_log(), "refused"
        ),
    }
}

/// Keeps a line about a refusal, so that its sender can look it up. Strangers and throttled calls leave none:
/// they must not be able to fill the disk.
pub(super) async fn note(gateway: &Gateway, trace: &Trace, problem: &Problem, now: Time) {
    let Some(caller) = &trace.caller else { return };
    if matches!(problem.status, 404 | 405 | 429 | 503) {
        return;
    }
    let refused = Refused {
        message_id: problem.message_id,
        partner: caller.partner.clone(),
        operation: trace.operation.as_ref().map_or_else(|| "-".to_owned(), |operation| operation.id.clone()),
        received_at: now,
        revision: problem.revision.clone(),
        length: trace.length,
        problem: problem.json(),
    };
    if let Err(error) = gateway.journal.note_refusal(refused).await {
        tracing::debug!(%error, "a refusal was not noted");
    }
}

pub(super) fn count(gateway: &Gateway, trace: &Trace, status: StatusCode, started: Instant) {
    let labels = RequestLabels {
        operation: trace.operation.as_ref().map_or_else(|| "-".to_owned(), |operation| operation.id.clone()),
        partner: trace.caller.as_ref().map_or_else(|| "-".to_owned(), |caller| caller.partner.to_string()),
        status: status.as_u16(),
    };
    gateway.metrics.requests.get_or_create(&labels).inc();
    gateway.metrics.took.observe(started.elapsed().as_secs_f64());
    for control in &trace.shadowed {
        let control = control.clone();
        let (operation, partner) = (labels.operation.clone(), labels.partner.clone());
        gateway.metrics.shadowed.get_or_create(&ShadowLabels { control, operation, partner }).inc();
    }
    if !trace.cpu.is_zero() {
        gateway.metrics.mapping.observe(trace.cpu.as_secs_f64());
    }
}
