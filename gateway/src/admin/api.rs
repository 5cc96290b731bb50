//! What `/api/v1/` answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Admin, Refusal, again, bundle, exceptions, mappers, query, view};
use crate::{
    journal::{DeliveryFilter, EventFilter, MessageFilter},
    server,
};

/// Longest wait for new events.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn answer(
    admin: &Arc<Admin>,
    method: &Method,
    path: &[&str],
    query: &str,
    body: Bytes,
) -> Result<Value, Refusal> {
    match (method, path) {
        (&Method::GET, ["messages"]) => {
            let filter: MessageFilter = filter(query)?;
            Ok(json!({ "messages": admin.gateway.journal.messages(filter).await? }))
        }
        (&Method::GET, ["messages", id]) => {
            let id = id.parse().map_err(Refusal::Wrong)?;
            let found = admin.gateway.journal.message(id).await?;
            found.map(|found| view::message(&found)).ok_or_else(|| missing("message", &id))
        }
        (&Method::GET, ["messages", id, "bundle"]) => {
            bundle::of(admin, id.parse().map_err(Refusal::Wrong)?).await
        }
        (&Method::POST, ["messages", id, "rerun"]) => {
            again::rerun(admin, id.parse().map_err(Refusal::Wrong)?).await
        }
        (&Method::GET, ["events"]) => events(admin, query).await,
        (&Method::GET, ["events", id]) => {
            let id = id.parse().map_err(Refusal::Wrong)?;
            let found = admin.gateway.journal.event(id).await?;
            found.map(|found| view::event(&found)).ok_or_else(|| missing("event", &id))
        }
        (&Method::GET, ["deliveries"]) => {
            let filter: DeliveryFilter = filter(query)?;
            Ok(json!({ "deliveries": admin.gateway.journal.deliveries(filter).await? }))
        }
        (_, ["exceptions", rest @ ..]) => exceptions::answer(admin, method, rest, query, &body).await,
        (&Method::GET, ["jobs"]) => Ok(json!({ "jobs": admin.jobs.all() })),
        (&Method::GET, ["jobs", id]) => {
            let id = number(id)?;
            let job = admin.jobs.get(id).ok_or_else(|| missing("job", &id))?;
            Ok(json!({ "job": job.shown() }))
        }
        (&Method::POST, ["jobs", id, "cancel"]) => {
            let id = number(id)?;
            let job = admin.jobs.cancel(id).ok_or_else(|| missing("job", &id))?;
            Ok(json!({ "job": job }))
        }
        (&Method::GET, ["status"]) => {
            let status = admin.gateway.journal.status().await?;
            let policies = admin.gateway.policies.now();
            Ok(json!({
                "estate": policies.estate, "revision": policies.revision, "refused": admin.gateway.policies.refused(),
                "store": status, "mappers": admin.gateway.policies.mappers(), "damage": admin.gateway.policies.damage(),
                "deliveries": admin.deliveries.stats(),
            }))
        }
        (&Method::GET, ["audit"]) => {
            let Newest { limit } = filter(query)?;
            let lines = admin.gateway.policies.written_down(limit.unwrap_or(50));
            let lines = lines.map_err(|error| Refusal::Missing(format!("the audit file: {error}")))?;
            Ok(json!({ "audit": lines }))
        }
        (_, ["mappers", rest @ ..]) => mappers::answer(admin, method, rest, query, body).await,
        _ => Err(Refusal::Nothing),
    }
}

async fn events(admin: &Admin, text: &str) -> Result<Value, Refusal> {
    let mut asked = query(text)?;
    let wait = asked.as_object_mut().and_then(|asked| asked.remove("wait")).and_then(|wait| wait.as_u64());
    let filter: EventFilter =
        serde_json::from_value(asked).map_err(|error| Refusal::Wrong(error.to_string()))?;
    let (mut changes, mut stop) = (admin.gateway.journal.changes(), admin.gateway.stop.clone());
    let waited = tokio::time::sleep(Duration::from_secs(wait.unwrap_or(0)).min(LONGEST_WAIT));
    tokio::pin!(waited);
    loop {
        changes.mark_unchanged();
        let found = admin.gateway.journal.events(filter.clone()).await?;
        let first = found.is_empty() && wait.is_some();
        if !first {
            return Ok(json!({ "events": found.iter().map(view::event).collect::<Vec<_>>() }));
        }
        tokio::select! {
            biased;
            () = server::stopped(&mut stop) => return Ok(json!({ "events": [] })),
            changed = changes.changed() => if changed.is_err() { return Ok(json!({ "events": [] })); },
            () = &mut waited => return Ok(json!({ "events": [] })),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    limit: Option<usize>,
}

pub(super) fn filter<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_value(query(text)?).map_err(|error| Refusal::Wrong(error.to_string()))
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Wrong(format!("the body: {error}")))
}

pub(super) fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::Wrong(format!("`{text}` is not a number")))
}

fn missing(what: &str, id: &dyn std::fmt::Display) -> Refusal {
    Refusal::Missing(format!("there is no {what} {id}"))
}
