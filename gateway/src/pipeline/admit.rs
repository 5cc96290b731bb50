//! Who asks, and whether it may go on: nobody's requests, and those that come too often, end here, before anything of them
//! is looked at.

use std::sync::Arc;

use http::{header, request::Parts};
use hyper::body::Incoming;

use super::Gateway;
use crate::{
    auth::{self, Identified, Repeats},
    contract::Match,
    observe::ReasonLabels,
    policy::{Operation, Snapshot},
    refusal::Refusal,
    spool::Held,
    throttle::{self, Limiter, Scope},
    words::{Caller, Peer, Permit, Time},
};

/// Largest signed body that no operation takes.
const UNROUTED_BYTES: u64 = 64 * 1024;

pub(super) async fn authenticate(
    gateway: &Gateway,
    policies: &Snapshot,
    head: &Parts,
    peer: &Peer,
    now: Time,
) -> Result<Identified, Refusal> {
    let address = peer.address.map(|address| address.ip());
    let claim = auth::claimed(head, peer);
    if let Some(address) = address {
        let refused =
            |exceeded: throttle::Exceeded| Refusal::TooManyFailures { retry_after: exceeded.retry_after };
        gateway.limiter.admit_stranger(address, claim, now).map_err(refused)?;
    }
    let identified = policies.authenticator.authenticate(head, peer, now).await;
    if let (Ok(Identified::Known(_)), Some(address)) = (&identified, address) {
        gateway.limiter.note_success(address, claim);
    }
    identified.map_err(|error| failed(gateway, head, peer, error, now))
}

/// Counts an attempt that failed, against its address and against whom it claimed to be.
fn failed(gateway: &Gateway, head: &Parts, peer: &Peer, error: auth::Error, now: Time) -> Refusal {
    if let Some(address) = peer.address {
        gateway.limiter.note_failure(address.ip(), auth::claimed(head, peer), now);
    }
    gateway.metrics.failed_credentials.get_or_create(&ReasonLabels { reason: error.kind() }).inc();
    error.into()
}

/// A body on its way, or one that had to be read because a signature is over it.
pub(super) enum Payload {
    Coming(Incoming),
    Here(Held),
}

/// Who it is, once a signature has been held against the body.
pub(super) async fn prove(
    gateway: &Gateway,
    identified: Identified,
    found: &Match<'_, Arc<Operation>>,
    head: &Parts,
    body: Incoming,
    peer: &Peer,
    now: Time,
) -> Result<(Caller, Payload, Option<Repeats>), Refusal> {
    let signed = match identified {
        Identified::Known(caller) => return Ok((caller, Payload::Coming(body), None)),
        Identified::Signed(signed) => signed,
    };
    let most = match found {
        Match::Found(operation, _) => operation.body_max,
        Match::MethodNotAllowed(_) | Match::NotFound => UNROUTED_BYTES,
    };
    let held = gateway.spool.read(body, most).await?;
    let repeats = signed.repeats();
    let caller = signed.prove(&held.content).map_err(|error| failed(gateway, head, peer, error, now))?;
    if let Some(address) = peer.address {
        gateway.limiter.note_success(address.ip(), auth::claimed(head, peer));
    }
    Ok((caller, Payload::Here(held), Some(repeats)))
}

/// How long the document is, if that is known before it is read.
pub(super) fn length(head: &Parts, body: &Payload) -> Option<u64> {
    match body {
        Payload::Here(held) => Some(held.content.len() as u64),
        Payload::Coming(_) => head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok(),
    }
}

/// A place while there are any, then leave under every limit.
pub(super) fn throttle(
    gateway: &Gateway,
    policies: &Snapshot,
    caller: &Caller,
    found: &Match<'_, Arc<Operation>>,
    length: Option<u64>,
    now: Time,
) -> Result<Permit, Refusal> {
    let weight = policies.partners.get(&caller.partner).map_or(1, |partner| partner.weight);
    let place = gateway.places.take(&caller.partner, weight)?;
    let mut permit = limited(&gateway.limiter, policies, caller, found, length, now)?;
    permit.hold(Box::new(place));
    Ok(permit)
}

/// Leave under every limit.
pub(super) fn limited(
    limiter: &Limiter,
    policies: &Snapshot,
    caller: &Caller,
    found: &Match<'_, Arc<Operation>>,
    length: Option<u64>,
    now: Time,
) -> Result<Permit, Refusal> {
    let operation = match found {
        Match::Found(operation, _) => Some(*operation),
        Match::MethodNotAllowed(_) | Match::NotFound => None,
    };
    let keys = ScopeKeys::new(caller, operation);
    let scopes = scopes(policies, caller, operation, &keys);
    Ok(limiter.admit(&scopes, length.unwrap_or(0), now)?)
}

/// Whose the limits of a request are.
pub(super) struct ScopeKeys {
    credential: String,
    operation: String,
}

impl ScopeKeys {
    pub(super) fn new(caller: &Caller, operation: Option<&Arc<Operation>>) -> Self {
        let operation = operation.map(|operation| format!("{}/{}", caller.partner, operation.id));
        Self {
            credential: format!("{}/{}", caller.partner, caller.credential),
            operation: operation.unwrap_or_default(),
        }
    }
}

pub(super) fn scopes<'a>(
    policies: &'a Snapshot,
    caller: &'a Caller,
    operation: Option<&'a Arc<Operation>>,
    keys: &'a ScopeKeys,
) -> Vec<Scope<'a>> {
    let mut scopes = Vec::with_capacity(3);
    if let Some(partner) = policies.partners.get(&caller.partner) {
        scopes.push(Scope { name: "partner", key: caller.partner.as_str(), limit: &partner.limit });
        if let Some(limit) = partner.credentials.get(&caller.credential) {
            scopes.push(Scope { name: "credential", key: &keys.credential, limit });
        }
    }
    if let Some(operation) = operation {
        scopes.push(Scope { name: "operation", key: &keys.operation, limit: &operation.limit });
    }
    scopes
}
