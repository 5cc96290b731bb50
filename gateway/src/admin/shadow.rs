//! `POST mappers/{name}/shadow`: recent documents through the live mapper and a candidate, side by side.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Admin, Refusal,
    again::{self, Again},
    api,
};
use crate::{
    journal::{MessageFilter, MessageState},
    mapper::{Mapper, Usage},
    policy::{Snapshot, differ},
    words::{Digest, MapperName, MessageId, Time},
};

/// Documents unless told.
const DOCUMENTS: usize = 200;
/// Most documents of one run.
const DOCUMENTS_MAX: usize = 5_000;
/// Messages that are looked at for them: other operations' traffic lies in between.
const LOOKED_AT_MAX: usize = 50_000;
/// How long a run may take. A client waits for 90 s.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shadow {
    /// Version or digest; the newest that is held if none is named.
    candidate: Option<String>,
    #[serde(default = "documents")]
    documents: usize,
}

fn documents() -> usize {
    DOCUMENTS
}

/// What a run has found so far.
#[derive(Default)]
struct Tally {
    documents: usize,
    same: usize,
    /// Those that the policies in force cannot map any more.
    left_out: usize,
    since: Option<Time>,
    fields: BTreeMap<String, Field>,
    live: Vec<Usage>,
    candidate: Vec<Usage>,
}

/// A field that differs.
struct Field {
    documents: usize,
    live: String,
    candidate: String,
    message: MessageId,
}

/// Compares. One run at a time, one document at a time, in a queue of its own beside the partners'.
pub(super) async fn answer(admin: &Admin, name: &str, body: &[u8]) -> Result<Value, Refusal> {
    let Shadow { candidate, documents } = api::read(body)?;
    let Ok(_turn) = admin.shadowing.try_lock() else {
        return Err(Refusal::Wrong("another comparison is running; it takes a minute at most".to_owned()));
    };
    let (name, live, candidate) = pair(admin, name, candidate.as_deref()).await?;
    let live = admin.gateway.policies.generation(live).await?;
    let candidate = admin.gateway.policies.generation(candidate).await?;
    let policies = admin.gateway.policies.now();
    let mut tally = Tally::default();
    let asked = documents.clamp(1, DOCUMENTS_MAX);
    let run = compare(admin, &policies, &name, (&live, &candidate), asked, &mut tally);
    let cut_off = match timeout(LONGEST, run).await {
        Ok(done) => done.map(|()| false)?,
        Err(_) => true,
    };
    Ok(report(&name, (&live, &candidate), asked, cut_off, tally))
}

/// Which two are compared.
async fn pair(
    admin: &Admin,
    name: &str,
    asked: Option<&str>,
) -> Result<(MapperName, Digest, Digest), Refusal> {
    let (name, generations) = admin.gateway.policies.shelf(name).await?;
    let live = generations.live.ok_or_else(|| {
        Refusal::Wrong(format!("no generation of {name} is live, so there is nothing to compare with"))
    })?;
    let candidate = match asked {
        Some(asked) => generations.pick(&name, asked).map_err(crate::policy::ChangeError::from)?.digest,
        None => {
            let held =
                generations.generations.iter().rev().find(|one| generations.state(one.digest) == "held");
            let none = || {
                Refusal::Wrong(format!(
                    "no generation of {name} is held: push one with --hold, or name one: crossdock plugin shadow {name}@VERSION"
                ))
            };
            held.ok_or_else(none)?.digest
        }
    };
    Ok((name, live, candidate))
}

async fn compare(
    admin: &Admin,
    policies: &Snapshot,
    name: &MapperName,
    (live, candidate): (&Mapper, &Mapper),
    asked: usize,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    let mut filter =
        MessageFilter { state: Some(MessageState::Accepted), limit: 500, ..MessageFilter::default() };
    let mut looked_at = 0;
    while tally.documents < asked && looked_at < LOOKED_AT_MAX {
        let page = admin.gateway.journal.messages(filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.before = Some(last.id);
        looked_at += page.len();
        for summary in page.iter().filter(|summary| takes(policies, &summary.operation, name)) {
            if tally.documents == asked {
                return Ok(());
            }
            let Some(found) = admin.gateway.journal.message(summary.id).await? else { continue };
            if found.receipt.as_ref().is_none_or(|receipt| receipt.mapper != *name) {
                continue;
            }
            let Ok(stored) = again::stored(policies, found) else {
                tally.left_out += 1;
                continue;
            };
            let left = again::run(admin, policies, &stored, live).await;
            let right = again::run(admin, policies, &stored, candidate).await;
            tally.add(summary.id, summary.received_at, &left, &right);
        }
    }
    Ok(())
}

/// Whether any version of the operation is mapped by it.
fn takes(policies: &Snapshot, operation: &str, name: &MapperName) -> bool {
    policies.operations.get(operation).is_some_and(|operation| {
        let mut mappings = operation.versions.values().filter_map(|contract| contract.mapping.as_ref());
        mappings.any(|mapping| mapping.mapper.name() == name)
    })
}

impl Tally {
    fn add(&mut self, message: MessageId, received_at: Time, left: &Again, right: &Again) {
        self.documents += 1;
        self.since = Some(received_at);
        self.live.extend(left.usage);
        self.candidate.extend(right.usage);
        let fields = match (&left.events, &right.events) {
            (Ok(left), Ok(right)) => differ::fields(left, right),
            (Ok(_), Err(what)) => differ::one("(refused)", "mapped", what),
            (Err(what), Ok(_)) => differ::one("(refused)", what, "mapped"),
            (Err(left), Err(right)) if left == right => differ::Fields::new(),
            (Err(left), Err(right)) => differ::one("(refused)", left, right),
        };
        if fields.is_empty() {
            self.same += 1;
        }
        for (name, (live, candidate)) in fields {
            let field = Field { documents: 0, live, candidate, message };
            self.fields.entry(name).or_insert(field).documents += 1;
        }
    }
}

fn report(name: &MapperName, pair: (&Mapper, &Mapper), asked: usize, cut_off: bool, tally: Tally) -> Value {
    let mut fields: Vec<(String, Field)> = tally.fields.into_iter().collect();
    fields.sort_by(|left, right| right.1.documents.cmp(&left.1.documents).then(left.0.cmp(&right.0)));
    let fields: Vec<Value> = fields
        .into_iter()
        .map(|(name, field)| {
            json!({ "field": name, "documents": field.documents, "live": field.live,
                "candidate": field.candidate, "message": field.message })
        })
        .collect();
    let side = |mapper: &Mapper, mut used: Vec<Usage>| {
        used.sort_by_key(|usage| usage.cpu);
        let cpu =
            used.get(used.len() / 2).map(|usage| u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX));
        used.sort_by_key(|usage| usage.memory_bytes);
        let memory = used.get(used.len() / 2).map(|usage| usage.memory_bytes);
        json!({ "version": mapper.version(), "digest": mapper.digest(), "cpu_p50_micros": cpu,
            "memory_p50_bytes": memory })
    };
    json!({
        "mapper": name, "live": side(pair.0, tally.live), "candidate": side(pair.1, tally.candidate),
        "asked": asked, "documents": tally.documents, "since": tally.since, "same": tally.same,
        "differ": tally.documents - tally.same, "fields": fields, "left_out": tally.left_out, "cut_off": cut_off,
    })
}
