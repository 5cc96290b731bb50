//! Stored documents, mapped again: nothing is stored, nothing is sent, and no partner waits for it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Admin, Refusal};
use crate::{
    canonical::Origin,
    journal::MessageRecord,
    mapper::{Call, Context, Failure, Mapper, Stage, Usage},
    pipeline,
    policy::{BESIDE, ChangeError, Mapping, Snapshot, differ},
    words::{ApiName, Diagnostic, Disposition, Document, Event, MessageId, PartnerName, Receipt},
};

/// What a mapper made of a stored document.
pub(super) struct Again {
    /// Its events, or why there are none.
    pub(super) events: Result<Vec<Event>, String>,
    /// What it used, if it came to an end.
    pub(super) usage: Option<Usage>,
}

/// A stored document with what it was mapped by, as far as the policies in force still say so.
pub(super) struct Stored {
    pub(super) receipt: Receipt,
    pub(super) document: Document,
    pub(super) mapping: Mapping,
    /// Whether a rejected part leaves the others.
    pub(super) partial: bool,
}

impl Stored {
    /// Names of API and operation.
    fn names(&self) -> (&str, &str) {
        self.receipt.operation.split_once('/').unwrap_or(("", &self.receipt.operation))
    }
}

/// What is needed to map a message again.
///
/// # Errors
/// What is missing, in a sentence.
pub(super) fn stored(policies: &Snapshot, found: MessageRecord) -> Result<Stored, String> {
    let id = found.summary.id;
    let (Some(receipt), Some(document)) = (found.receipt, found.document) else {
        return Err(format!("message {id} was refused, and the document of a refused message is not stored"));
    };
    let operation = policies.operations.get(&receipt.operation);
    let contract = operation.and_then(|operation| operation.versions.get(&receipt.version));
    let found = contract.and_then(|contract| Some((contract.mapping.clone()?, contract.partial)));
    let (mapping, partial) = found.ok_or_else(|| {
        let (operation, version) = (&receipt.operation, &receipt.version);
        format!("{operation} {version}, which took message {id}, is not in the policies in force, or has no mapper")
    })?;
    Ok(Stored { receipt, document, mapping, partial })
}

/// What a mapper is told of a stored document, by the policies in force.
pub(super) fn context(policies: &Snapshot, stored: &Stored) -> Context {
    let Stored { receipt, mapping, .. } = stored;
    let (operation, stage) = (stored.names().1, Stage::Request);
    let (partner, version) = (&receipt.partner, &receipt.version);
    pipeline::context(policies, mapping, partner, operation, version, stage, receipt.received_at)
}

/// Maps a stored document by `mapper`, with the context, tables and limits that it would be given.
pub(super) async fn run(admin: &Admin, policies: &Snapshot, stored: &Stored, mapper: &Mapper) -> Again {
    let Stored { receipt, document, mapping, partial } = stored;
    let call = Call {
        partner: PartnerName::new(BESIDE).expect("it is a name"),
        context: context(policies, stored),
        tables: Arc::clone(&mapping.tables),
        limits: mapping.limits,
    };
    let ran = match admin.gateway.host.to_canonical(mapper, call, document.clone()).await {
        Ok(ran) => ran,
        Err(failure) => return Again { events: Err(said(&failure)), usage: None },
    };
    let usage = Some(ran.usage);
    if let Some(first) = ran.value.objection(*partial) {
        return Again { events: Err(refusal(first)), usage };
    }
    if ran.value.drafts.is_empty() {
        return Again { events: Err("nothing in the document makes an event".to_owned()), usage };
    }
    let Ok(api) = ApiName::new(stored.names().0) else {
        return Again { events: Err(format!("`{}` names no API", receipt.operation)), usage };
    };
    let origin = Origin {
        partner: &receipt.partner,
        api: &api,
        document: receipt.document,
        recorded_at: receipt.received_at,
        zone: policies.partners.get(&receipt.partner).and_then(|partner| partner.zone.as_deref()),
    };
    let events =
        admin.gateway.canon.check(ran.value.drafts, &origin, &admin.gateway.ids, &*admin.gateway.random);
    Again { events: events.map_err(|error| format!("not canonical: {error}")), usage }
}

/// A stored message with what mapping it again takes.
pub(super) async fn found(admin: &Admin, policies: &Snapshot, id: MessageId) -> Result<Stored, Refusal> {
    let found = admin.gateway.journal.message(id).await?;
    let found = found.ok_or_else(|| Refusal::Missing(format!("there is no message {id}")))?;
    stored(policies, found).map_err(Refusal::Wrong)
}

/// Why the mapper that read a message is not to be had.
pub(super) fn no_mapper(receipt: &Receipt, error: ChangeError) -> Refusal {
    let why = match error {
        ChangeError::Damaged(damage) => damage.what,
        other => other.to_string(),
    };
    let (id, name, digest) = (receipt.message_id, &receipt.mapper, receipt.mapper_digest.short());
    Refusal::Wrong(format!(
        "message {id} cannot be run again: its mapper {name} ({digest}) {why}\n  help: push the same file again with --hold"
    ))
}

/// `POST messages/{id}/rerun`: the original mapper on the stored document, compared with what is stored.
pub(super) async fn rerun(admin: &Admin, id: MessageId) -> Result<Value, Refusal> {
    let policies = admin.gateway.policies.now();
    let stored = found(admin, &policies, id).await?;
    let receipt = &stored.receipt;
    let mapper = admin.gateway.policies.generation(receipt.mapper_digest).await;
    let mapper = mapper.map_err(|error| no_mapper(receipt, error))?;
    let before = originals(admin, receipt).await?;
    let again = run(admin, &policies, &stored, &mapper).await;
    let (differences, events) = match &again.events {
        Ok(events) => (differ::fields(&before, events), events.len()),
        Err(what) => (differ::one("(refused)", "mapped", what), 0),
    };
    let same_bytes = again.events.as_ref().is_ok_and(|events| {
        events.len() == before.len()
            && events
                .iter()
                .zip(&before)
                .all(|(now, then)| now.data == then.data && now.identity == then.identity)
    });
    let differences: Vec<Value> = differences
        .into_iter()
        .map(|(field, (then, now))| json!({ "field": field, "then": then, "now": now }))
        .collect();
    Ok(json!({
        "message_id": id, "mapper": receipt.mapper, "version": mapper.version(), "digest": receipt.mapper_digest,
        "revision_then": receipt.revision, "revision_now": policies.revision,
        "same": same_bytes && differences.is_empty(), "events": events, "differences": differences,
    }))
}

/// The events of a message as they were appended, whatever became of each.
pub(super) async fn originals(admin: &Admin, receipt: &Receipt) -> Result<Vec<Event>, Refusal> {
    let mut events = Vec::with_capacity(receipt.events.len());
    for outcome in &receipt.events {
        let event = match &outcome.disposition {
            Disposition::Stored { .. } => {
                admin.gateway.journal.event(outcome.id).await?.map(|found| found.event)
            }
            // The same fact with the same data.
            Disposition::Repeats { event, .. } => {
                admin.gateway.journal.event(*event).await?.map(|found| found.event)
            }
            Disposition::Held { exception, .. } => {
                admin.gateway.journal.exception(*exception).await?.map(|found| found.event)
            }
        };
        let gone =
            || Refusal::Missing(format!("event {} of message {} is gone", outcome.id, receipt.message_id));
        events.push(event.ok_or_else(gone)?);
    }
    Ok(events)
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Refused(diagnostics) => diagnostics.first().map_or_else(|| "refused".to_owned(), refusal),
        failure => failure.on_one_line(),
    }
}

fn refusal(first: &Diagnostic) -> String {
    format!("refused, {}: {}", first.code, first.message)
}
