//! Makes a target's document from an event: a mapper's, or the event itself as CloudEvents JSON.

use std::sync::Arc;

use super::built::Mapping;
use crate::{
    canonical,
    deliver::{Later, Map, MapFailure, Target},
    journal::{Counter, Outbound, Work},
    mapper::{Call, Context, Failure, Host, Recorded, Stage},
    words::{Digest, MapperName, Pairs},
};

/// A subscription's mapper; without one the target gets the canonical event.
pub(super) struct Outward {
    pub host: Arc<Host>,
    pub mapping: Option<Mapping>,
    /// Zone of the target's owner, for formats whose times carry none.
    pub zone: Option<String>,
}

impl Map for Outward {
    fn wants(&self, target: &Target) -> Vec<Counter> {
        let Some(mapping) = &self.mapping else { return Vec::new() };
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
        let Some(mapping) = self.mapping.clone() else {
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
            let ran = host.from_canonical(&mapping.mapper, call, vec![Recorded { event }]).await;
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
                mapper: mapping.mapper.name().clone(),
                mapper_digest: mapping.mapper.digest(),
                document: ran.value,
                control_numbers,
            })
        })
    }
}
