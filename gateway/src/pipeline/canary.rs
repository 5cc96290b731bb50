//! A message where a candidate is out: live maps it first, which gives its business key, and then the candidate, if
//! the key is in its share. So what both do is compared, and a candidate that fails costs no message.

use std::{sync::Arc, time::Duration};

use super::{Gateway, Trace, call, canonical_events, map, sink};
use crate::{
    mapper::{Call, Mapped, Ran, Stage},
    policy::{BESIDE, Canary, Mapping, Pair, Part, Snapshot, differ, is_its_own},
    refusal::Refusal,
    words::{Digest, Inbound, PartnerName, Time},
};

/// What a message became, and the candidate's mapping where it is the candidate's work.
type Read = (Result<Mapped, Refusal>, Option<Mapping>);

/// Maps a message by what is live, or by the candidate that is out for its business key.
#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
pub(super) async fn read(
    gateway: &Gateway,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    document: Digest,
    partial: bool,
    now: Time,
    trace: &mut Trace,
) -> Read {
    let before = trace.cpu;
    let live = map(&gateway.host, policies, mapping, inbound, Stage::Request, partial, now, trace).await;
    let Some(canary) = &mapping.canary else { return (live, None) };
    let live_cpu = trace.cpu.saturating_sub(before);
    let failed = match &live {
        Ok(_) => None,
        Err(Refusal::Mapper { failure, .. }) if is_its_own(failure) => Some(failure.on_one_line()),
        Err(_) => return (live, None),
    };
    match canary.part(&inbound.caller.partner, &key(&live, document)) {
        Part::Nothing => (live, None),
        Part::Beside(permit) => {
            let mut call = call(policies, mapping, inbound, Stage::Request, now);
            call.partner = PartnerName::new(BESIDE).expect("it is a name");
            let live = (live, failed);
            let compared = (live.0.as_ref().ok().cloned(), live.1);
            beside(gateway, canary, call, inbound, partial, compared, live_cpu, permit);
            (live.0, None)
        }
        Part::Serves => {
            let candidate = mapping.by(&canary.mapper);
            let before = trace.cpu;
            let read =
                map(&gateway.host, policies, &candidate, inbound, Stage::Request, partial, now, trace).await;
            let cpu = trace.cpu.saturating_sub(before);
            // Events that break the canonical model are no events: live's serve.
            let read = read.and_then(|read| {
                let drafts = read.drafts.clone();
                canonical_events(gateway.canonical(), policies, &candidate, inbound, drafts, document, now)
                    .map(|_| read)
            });
            let said = match &read {
                Ok(_) => None,
                Err(Refusal::Mapper { failure, .. }) if !is_its_own(failure) => return (live, None),
                Err(Refusal::Mapper { failure, .. }) => Some(failure.on_one_line()),
                Err(other) => Some(other.for_the_log()),
            };
            let pair = pair(live.as_ref().ok(), failed, read.as_ref().ok(), said);
            let serves = read.is_ok();
            canary.saw(pair, live_cpu, cpu);
            if serves { (read, Some(candidate)) } else { (live, None) }
        }
    }
}

/// Runs the candidate when the answer is on its way, and only compares.
#[expect(clippy::too_many_arguments, reason = "what a task of its own needs to take along")]
fn beside(
    gateway: &Gateway,
    canary: &Arc<Canary>,
    call: Call,
    inbound: &Inbound,
    partial: bool,
    (live, failed): (Option<Mapped>, Option<String>),
    live_cpu: Duration,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    let (host, canary, document) = (Arc::clone(&gateway.host), Arc::clone(canary), inbound.document.clone());
    tokio::spawn(async move {
        let ran = host.to_canonical(&canary.mapper, call, document).await;
        let (read, cpu) = match ran {
            Ok(Ran { value, usage, .. }) => (sink(value, partial), usage.cpu),
            Err(failure) => (Err(failure), Duration::ZERO),
        };
        let said = match &read {
            Ok(_) => None,
            Err(failure) if is_its_own(failure) => Some(failure.on_one_line()),
            Err(_) => return,
        };
        canary.saw(pair(live.as_ref(), failed, read.as_ref().ok(), said), live_cpu, cpu);
        drop(permit);
    });
}

fn pair(live: Option<&Mapped>, failed: Option<String>, read: Option<&Mapped>, said: Option<String>) -> Pair {
    match (live, read) {
        (Some(live), Some(read)) => Pair::Both(differ::drafts(&live.drafts, &read.drafts)),
        (Some(_), None) => Pair::Failed(said.unwrap_or_default()),
        (None, Some(_)) => Pair::Mended(failed.unwrap_or_default()),
        (None, None) => Pair::Neither,
    }
}

/// The flow's own key of the first event; the document itself where there is none.
fn key(live: &Result<Mapped, Refusal>, document: Digest) -> String {
    let drafts = live.as_ref().map(|mapped| mapped.drafts.as_slice()).unwrap_or_default();
    let key = drafts.iter().find_map(|draft| draft.order_keys.first());
    key.map_or_else(|| document.to_string(), |(kind, value)| format!("{kind} {value}"))
}
