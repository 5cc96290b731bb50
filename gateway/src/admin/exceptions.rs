//! Exceptions as work items: listed, grouped, assigned, edited, ended one by one or in bulk.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, Refusal, api::read, jobs::between, query, view};
use crate::{
    canonical::Origin,
    journal::{Edit, ExceptionFilter, ExceptionGroup, ExceptionRecord, GroupBy, Outbound},
    policy::units,
    words::{ApiName, Document, Draft, Event, MapperName, Pairs},
};

/// Exceptions that one bulk action takes at most.
const BULK: usize = 100_000;
/// Groups that a plan shows.
const GROUPS: usize = 20;
/// Exceptions that are ended in one second unless told.
const RATE: u32 = 50;

pub(super) async fn answer(
    admin: &Arc<Admin>,
    method: &Method,
    path: &[&str],
    text: &str,
    body: &Bytes,
) -> Result<Value, Refusal> {
    match (method, path) {
        (&Method::GET, []) => list(admin, text).await,
        (&Method::POST, ["bulk"]) => bulk(admin, read(body)?).await,
        (_, [id, rest @ ..]) => one(admin, method, super::api::number(id)?, rest, body).await,
        _ => Err(Refusal::Nothing),
    }
}

async fn one(admin: &Admin, method: &Method, id: u64, path: &[&str], body: &Bytes) -> Result<Value, Refusal> {
    let now = admin.gateway.clock.now();
    match (method, path) {
        (&Method::GET, []) => Ok(view::exception(&find(admin, id).await?)),
        (&Method::POST, ["retry"]) => {
            let Retry { by, remap } = read(body)?;
            Ok(json!({ "resolution": admin.gateway.journal.retry(id, remap, by, now).await? }))
        }
        (&Method::POST, ["discard"]) => {
            let Discard { by, reason } = read(body)?;
            let reason = given(reason)?;
            Ok(json!({ "resolution": admin.gateway.journal.discard(id, reason, by, now).await? }))
        }
        (&Method::POST, ["assign"]) => {
            let Assign { owner } = read(body)?;
            let owner = owner.filter(|owner| !owner.trim().is_empty());
            admin.gateway.journal.assign(id, owner.clone()).await?;
            Ok(json!({ "exception": id, "owner": owner }))
        }
        (&Method::POST, ["edit"]) => {
            let asked: Change = read(body)?;
            let found = find(admin, id).await?;
            let (by, edit) = (asked.by.clone(), edited(admin, &found, asked)?);
            Ok(json!({ "resolution": admin.gateway.journal.edit(id, edit, by, now).await? }))
        }
        _ => Err(Refusal::Nothing),
    }
}

async fn find(admin: &Admin, id: u64) -> Result<ExceptionRecord, Refusal> {
    let found = admin.gateway.journal.exception(id).await?;
    found.ok_or_else(|| Refusal::Missing(format!("there is no exception {id}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    by: String,
    #[serde(default)]
    remap: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discard {
    by: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    owner: Option<String>,
}

/// What a person changes: values of the event, or the target's whole document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    by: String,
    /// JSON Pointers into the event's data, and the values to put there.
    #[serde(default)]
    set: BTreeMap<String, String>,
    outbound: Option<Sent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    media_type: Option<String>,
    /// The document in base64.
    content: String,
}

fn given(reason: String) -> Result<String, Refusal> {
    let missing = reason.trim().is_empty();
    if missing { Err(Refusal::Wrong("a reason is needed to discard".to_owned())) } else { Ok(reason) }
}

async fn list(admin: &Admin, text: &str) -> Result<Value, Refusal> {
    let mut asked = query(text)?;
    let group = asked.as_object_mut().and_then(|asked| asked.remove("group"));
    let filter = filter(admin, asked)?;
    match group {
        None => Ok(json!({ "exceptions": admin.gateway.journal.exceptions(filter).await? })),
        Some(by) => {
            let by: GroupBy = serde_json::from_value(by).map_err(|_| {
                Refusal::Wrong("`group` is fingerprint, owner, partner, target, cause or age".to_owned())
            })?;
            let groups =
                admin.gateway.journal.exception_groups(filter, by, admin.gateway.clock.now()).await?;
            Ok(json!({ "groups": groups }))
        }
    }
}

/// A filter as it is asked for; `older` is a duration, for those that are in no mood to subtract.
fn filter(admin: &Admin, mut asked: Value) -> Result<ExceptionFilter, Refusal> {
    let older = asked.as_object_mut().and_then(|asked| asked.remove("older"));
    if let Some(older) = older {
        let text = older.as_str().unwrap_or_default();
        let age = units::duration(text).map_err(|why| Refusal::Wrong(format!("`older`: {why}")))?;
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let until = crate::words::Time::from_millis(admin.gateway.clock.now().millis().saturating_sub(age));
        asked["until"] = until.to_string().into();
    }
    serde_json::from_value(asked).map_err(|error| Refusal::Wrong(error.to_string()))
}

/// One action on all open exceptions that a filter meets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    action: Action,
    #[serde(default)]
    filter: Value,
    by: String,
    reason: Option<String>,
    #[serde(default)]
    remap: bool,
    /// So many a second.
    #[serde(default)]
    rate: Option<u32>,
    /// Carry it out; without it the answer is the plan alone.
    #[serde(default)]
    apply: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Retry,
    Discard,
}

async fn bulk(admin: &Arc<Admin>, asked: Bulk) -> Result<Value, Refusal> {
    let filter = match &asked.filter {
        Value::Null => ExceptionFilter::default(),
        given => filter(admin, given.clone())?,
    };
    let filter = ExceptionFilter { all: false, before: None, ..filter };
    let reason = match asked.action {
        Action::Retry => String::new(),
        Action::Discard => given(asked.reason.unwrap_or_default())?,
    };
    let plan = plan(admin, &filter, asked.action).await?;
    if !asked.apply {
        return Ok(json!({ "plan": plan.shown() }));
    }
    let what = match asked.action {
        Action::Retry => "retry of exceptions",
        Action::Discard => "discard of exceptions",
    };
    let job =
        admin.jobs.begin(what.to_owned(), asked.by.clone(), admin.gateway.clock.now(), plan.ids.len() as u64);
    let job = job.ok_or_else(|| Refusal::Wrong("too many jobs run already; wait for one".to_owned()))?;
    let shown = json!({ "plan": plan.shown(), "job": job.shown() });
    let (admin, wait) = (Arc::clone(admin), between(asked.rate.unwrap_or(RATE)));
    tokio::spawn(async move {
        let mut stop = admin.gateway.stop.clone();
        // The oldest first: their orders wait the longest.
        for id in plan.ids.into_iter().rev() {
            if !job.pace(wait, &mut stop).await {
                return;
            }
            let (by, now) = (asked.by.clone(), admin.gateway.clock.now());
            let ended = match asked.action {
                Action::Retry => admin.gateway.journal.retry(id, asked.remap, by, now).await,
                Action::Discard => admin.gateway.journal.discard(id, reason.clone(), by, now).await,
            };
            job.step(ended.map(drop).map_err(|error| format!("exception {id}: {error}")));
        }
        job.finish();
    });
    Ok(shown)
}

/// What a bulk action would do.
struct Plan {
    /// The newest first.
    ids: Vec<u64>,
    /// Those that the action is not for: an event that is held cannot be sent again.
    left_out: usize,
    more: bool,
    waiting: u64,
    groups: Vec<ExceptionGroup>,
}

impl Plan {
    fn shown(&self) -> Value {
        json!({ "exceptions": self.ids.len(), "left_out": self.left_out, "more": self.more,
            "waiting": self.waiting, "groups": self.groups })
    }
}

async fn plan(admin: &Admin, filter: &ExceptionFilter, action: Action) -> Result<Plan, Refusal> {
    let groups = ExceptionFilter { limit: GROUPS, ..filter.clone() };
    let groups = admin
        .gateway
        .journal
        .exception_groups(groups, GroupBy::Fingerprint, admin.gateway.clock.now())
        .await?;
    let mut plan = Plan { ids: Vec::new(), left_out: 0, more: false, waiting: 0, groups };
    let mut before = None;
    loop {
        let page = ExceptionFilter { before, limit: 1000, ..filter.clone() };
        let found = admin.gateway.journal.exceptions(page).await?;
        let Some(last) = found.last() else { return Ok(plan) };
        before = Some(last.id);
        for one in found {
            if matches!(action, Action::Retry) && one.delivery.is_none() {
                plan.left_out += 1;
            } else if plan.ids.len() == BULK {
                plan.more = true;
                return Ok(plan);
            } else {
                plan.ids.push(one.id);
                plan.waiting += one.waiting;
            }
        }
    }
}

fn edited(admin: &Admin, found: &ExceptionRecord, asked: Change) -> Result<Edit, Refusal> {
    match (asked.set.is_empty(), asked.outbound) {
        (true, Some(sent)) => outbound(found, sent).map(Edit::Outbound),
        (false, None) => event(admin, found, &asked.set).map(|event| Edit::Event(Box::new(event))),
        _ => Err(Refusal::Wrong("either `set` or `outbound` is needed".to_owned())),
    }
}

/// The target's document as a person wrote it; mapper and control numbers stay those of the one it replaces.
fn outbound(found: &ExceptionRecord, sent: Sent) -> Result<Outbound, Refusal> {
    let content = STANDARD.decode(&sent.content);
    let content = content.map_err(|_| Refusal::Wrong("`content` is not base64".to_owned()))?;
    if content.is_empty() {
        return Err(Refusal::Wrong("the document is empty".to_owned()));
    }
    let before = found.outbound.clone().unwrap_or_else(|| Outbound {
        mapper: MapperName::new("by-hand").expect("it is a name"),
        mapper_digest: crate::words::Digest::of(b""),
        document: Document { media_type: String::new(), content: Bytes::new(), parameters: Pairs::new() },
        control_numbers: Pairs::new(),
    });
    let media_type = sent.media_type.unwrap_or_else(|| before.document.media_type.clone());
    if media_type.is_empty() {
        return Err(Refusal::Wrong("nothing was mapped before, so `media_type` is needed".to_owned()));
    }
    let document = Document { media_type, content: content.into(), ..before.document };
    Ok(Outbound { document, ..before })
}

/// The event with other values, checked as a mapper's would be. It corrects the fact that it tells.
fn event(admin: &Admin, found: &ExceptionRecord, set: &BTreeMap<String, String>) -> Result<Event, Refusal> {
    let about = &found.event;
    let mut data: Value = serde_json::from_slice(&about.data).expect("an event's data is canonical JSON");
    for (pointer, value) in set {
        put(&mut data, pointer, value).map_err(Refusal::Wrong)?;
    }
    let api = about.source.rsplit('/').next().and_then(|api| ApiName::new(api).ok());
    let api = api.ok_or_else(|| Refusal::Wrong(format!("`{}` is no source of ours", about.source)))?;
    let draft = Draft {
        kind: about.kind.clone(),
        schema_version: about.schema_version.clone(),
        natural_key: about.natural_key.clone(),
        order_keys: about.order_keys.iter().map(|key| (key.kind.clone(), key.value.clone())).collect(),
        sequence: about.sequence.clone(),
        corrects: Pairs::new(),
        occurred_at: about.occurred_at.clone(),
        data: data.to_string().into(),
    };
    let gateway = &admin.gateway;
    let origin = Origin {
        partner: &found.summary.partner,
        api: &api,
        document: crate::words::Digest::of(&found.document.content),
        recorded_at: admin.gateway.clock.now(),
        zone: None,
    };
    let checked = gateway.canon.check(vec![draft], &origin, &gateway.ids, &*gateway.random);
    let checked =
        checked.map_err(|error| Refusal::Wrong(format!("the edited event is not canonical: {error}")))?;
    let checked = checked.into_iter().next().expect("one draft gives one event");
    Ok(Event {
        identity: about.identity,
        corrects: Some(about.identity),
        order_keys: about.order_keys.clone(),
        ..checked
    })
}

/// Puts a value where a JSON Pointer (RFC 6901) points; text where text was, else what the value is as JSON.
fn put(data: &mut Value, pointer: &str, value: &str) -> Result<(), String> {
    let missing = || format!("`{pointer}` points to nothing in the event's data");
    if let Some(place) = data.pointer_mut(pointer) {
        *place = if place.is_string() { value.into() } else { read_value(value) };
        return Ok(());
    }
    let (parent, name) = pointer.rsplit_once('/').ok_or_else(missing)?;
    let parent = data.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(missing)?;
    parent.insert(name.replace("~1", "/").replace("~0", "~"), read_value(value));
    Ok(())
}

fn read_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_where_it_points_and_stays_text_where_text_was() {
        let mut data = json!({ "items": [{ "lot": "L1", "count": 3 }] });
        for (pointer, value) in
            [("/items/0/lot", "19284"), ("/items/0/count", "4"), ("/items/0/serial", "S 1")]
        {
            put(&mut data, pointer, value).expect("it is there");
        }
        assert_eq!(data, json!({ "items": [{ "lot": "19284", "count": 4, "serial": "S 1" }] }));
        for pointer in ["", "lot", "/items/7/lot", "/nowhere/lot", "/items/x"] {
            let whole = put(&mut data.clone(), pointer, "x");
            assert!(whole.is_err() || pointer.is_empty(), "{pointer}");
        }
    }
}
