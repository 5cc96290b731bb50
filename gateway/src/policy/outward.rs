//! Makes a target's document from an event: a mapper's, or the event itself as CloudEvents JSON.

use std::sync::Arc;

use super::{BESIDE, Canary, Pair, Part, built::Mapping, differ, is_its_own};
use crate::{
    canonical,
    deliver::{Later, Map, MapFailure, Target},
    journal::{Counter, Outbound, Work},
    mapper::{Call, Context, Failure, Host, Mapper, Ran, Recorded, Stage},
    words::{Digest, Document, Event, MapperName, Pairs, PartnerName},
};

/// A subscription's mapper; without one the target gets the canonical event, and with one that cannot be used
/// its deliveries wait.
pub(super) struct Outward {
    pub host: Arc<Host>,
    pub mapping: Result<Option<Mapping>, String>,
    /// Zone of the target's owner, for formats whose times carry none.
    pub zone: Option<String>,
}

impl Map for Outward {
    fn wants(&self, target: &Target) -> Vec<Counter> {
        let Ok(Some(mapping)) = &self.mapping else { return Vec::new() };
        let kinds = mapping.mapper.manifest().control_numbers.iter();
        let counter = |kind: &String| Counter {
            kind: kind.clone(),
            sender: target.sender.clone(),
            receiver: target.receiver.clone(),
        };
        kinds.map(counter).collect()
    }

    fn map(
        &self,
        work: &Work,
        target: &Target,
        control_numbers: Pairs,
    ) -> Later<'static, Result<Outbound, MapFailure>> {
        let mapping = match self.mapping.clone() {
            Ok(mapping) => mapping,
            Err(what) => return Box::pin(async move { Err(MapFailure::Later(what)) }),
        };
        let Some(mapping) = mapping else {
            let document = canonical::document(std::slice::from_ref(&work.event), work.message_id);
            let name = MapperName::new("canonical").expect("it is a name");
            let outbound =
                Outbound { mapper: name, mapper_digest: Digest::of(b""), document, control_numbers };
            return Box::pin(async move { Ok(outbound) });
        };
        let context = Context {
            partner: work.partner.to_string(),
            sender: target.sender.clone(),
            receiver: target.receiver.clone(),
            operation: work.subscription.to_string(),
            version: work.event.schema_version.clone(),
            stage: Stage::Request,
            // The event's own moment: the same event gives the same bytes whenever it is sent.
            received_at: work.event.recorded_at,
            zone: self.zone.clone(),
            control_numbers: control_numbers.clone(),
            config: mapping.config.clone(),
        };
        let call = Call {
            partner: work.partner.clone(),
            context,
            tables: Arc::clone(&mapping.tables),
            limits: mapping.limits,
        };
        let (host, event) = (Arc::clone(&self.host), work.event.clone());
        Box::pin(async move {
            let (ran, mapper) = write(&host, &mapping, call, event).await;
            let ran = ran.map_err(|failure| match failure {
                Failure::Refused(diagnostics) => MapFailure::Refused(diagnostics),
                Failure::Overloaded | Failure::TooLong | Failure::Wasteful { .. } => {
                    MapFailure::Later(failure.to_string())
                }
                failure => {
                    MapFailure::Failed(format!("mapper {}: {}", mapping.title(), failure.on_one_line()))
                }
            })?;
            Ok(Outbound {
                mapper: mapper.name().clone(),
                mapper_digest: mapper.digest(),
                document: ran.value,
                control_numbers,
            })
        })
    }
}

/// Maps an event by what is live, or by the candidate that is out for its business key; which of them it was.
async fn write(
    host: &Arc<Host>,
    mapping: &Mapping,
    call: Call,
    event: Event,
) -> (Result<Ran<Document>, Failure>, Mapper) {
    let ours = mapping.mapper.clone();
    let Some(canary) = &mapping.canary else {
        return (host.from_canonical(&ours, call, vec![Recorded { event }]).await, ours);
    };
    let events = vec![Recorded { event: event.clone() }];
    let live = host.from_canonical(&ours, call.clone(), events.clone()).await;
    if live.as_ref().err().is_some_and(|failure| !is_its_own(failure)) {
        return (live, ours);
    }
    let key = event
        .order_keys
        .first()
        .map_or_else(|| event.id.to_string(), |key| format!("{} {}", key.kind, key.value));
    match canary.part(&call.partner, &key) {
        Part::Nothing => (live, ours),
        Part::Serves => {
            let theirs = host.from_canonical(&canary.mapper, call, events).await;
            if theirs.as_ref().err().is_some_and(|failure| !is_its_own(failure)) {
                return (live, ours);
            }
            compare(canary, &live, &theirs);
            if theirs.is_ok() { (theirs, canary.mapper.clone()) } else { (live, ours) }
        }
        Part::Beside(permit) => {
            let (host, canary, before) = (Arc::clone(host), Arc::clone(canary), live.clone());
            let call = Call { partner: PartnerName::new(BESIDE).expect("it is a name"), ..call };
            tokio::spawn(async move {
                let theirs = host.from_canonical(&canary.mapper, call, events).await;
                if theirs.as_ref().err().is_none_or(is_its_own) {
                    compare(&canary, &before, &theirs);
                }
                drop(permit);
            });
            (live, ours)
        }
    }
}

fn compare(canary: &Canary, live: &Result<Ran<Document>, Failure>, theirs: &Result<Ran<Document>, Failure>) {
    let cpu =
        |ran: &Result<Ran<Document>, Failure>| ran.as_ref().map(|ran| ran.usage.cpu).unwrap_or_default();
    let pair = match (live, theirs) {
        (Ok(live), Ok(theirs)) => Pair::Both(differ::documents(&live.value, &theirs.value)),
        (Ok(_), Err(failure)) => Pair::Failed(failure.on_one_line()),
        (Err(failure), Ok(_)) => Pair::Mended(failure.on_one_line()),
        (Err(_), Err(_)) => Pair::Neither,
    };
    canary.saw(pair, cpu(live), cpu(theirs));
}
