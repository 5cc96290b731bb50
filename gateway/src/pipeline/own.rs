//! The partners' own door: what became of their messages, their events as they come, and where an order stands. It lies
//! under `/.crossdock/`, where no policy can put an operation, and at the short paths that no operation takes.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};

use super::{Answer, Gateway, plain};
use crate::{
    canonical,
    contract::Match,
    journal::{
        DeliveryFilter, DeliveryRecord, DeliveryState, EventFilter, EventRecord, ExceptionFilter,
        ExceptionSummary, Journal, MessageRecord,
    },
    policy::{Operation, Snapshot},
    problem,
    refusal::Refusal,
    server,
    words::{Caller, Disposition, EventId, EventOutcome, Key, MessageId, PartnerName, Permit, decode_form},
};

/// No operation of a policy lies below it.
const PREFIX: &str = "/.crossdock";
/// Longest wait for an event.
const LONGEST_WAIT: u64 = 60;
/// Between two looks that found nothing: every commit of every partner wakes those who wait.
const QUIET: Duration = Duration::from_millis(50);
/// A line that says nothing, so that nobody between takes the silence for a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events of one part of a stream; two parts wait for a slow reader.
const PART: usize = 16;
const PARTS: usize = 2;
/// Partners that wait or follow at one time: each holds a connection.
const FOLLOWERS: usize = 256;
/// Events that a business key's status shows.
const SHOWN: usize = 100;

/// Room for those who wait for events.
#[derive(Clone)]
pub struct Followers(Arc<Semaphore>);

impl Default for Followers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FOLLOWERS)))
    }
}

impl Followers {
    fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| Refusal::TooManyFollowers)
    }
}

/// What a partner asks about its own.
pub(super) enum Asked {
    /// What became of a message.
    Message(String),
    /// Its events, from a place on.
    Events(Events),
    /// One of its events.
    Event(String),
    /// Where the bearer of a business key stands.
    Status(Key),
}

/// Which events, and how they are sent.
pub(super) struct Events {
    /// An event's id, `0` for the beginning, `latest` for the end, or nothing.
    after: String,
    kind: Option<String>,
    key: Option<Key>,
    limit: usize,
    wait: Duration,
    stream: bool,
}

/// Reads what is asked, if it is asked here. An operation of the policy has its path to itself.
pub(super) fn asked(head: &Parts, found: &Match<'_, Arc<Operation>>) -> Result<Option<Asked>, Refusal> {
    let path = head.uri.path();
    let own = path.strip_prefix(PREFIX).filter(|rest| rest.starts_with('/'));
    let own = own.or_else(|| matches!(found, Match::NotFound).then_some(path));
    let Some(own) = own.filter(|_| head.method == Method::GET) else { return Ok(None) };
    let parts: Vec<&str> = own[1..].split('/').collect();
    let query = Query::read(head.uri.query().unwrap_or_default())?;
    Ok(Some(match parts[..] {
        ["messages", id] => Asked::Message(id.to_owned()),
        ["events"] => Asked::Events(events(&query, &head.headers)?),
        ["events", id] => Asked::Event(id.to_owned()),
        ["status"] => {
            let key = query.key()?;
            Asked::Status(
                key.ok_or_else(|| Refusal::Asked("`key` is needed: ?key=order:8841-22".to_owned()))?,
            )
        }
        _ => return Ok(None),
    }))
}

/// Where a partner finds what became of its message.
pub(super) fn place(policies: &Snapshot, message: MessageId) -> String {
    let short = format!("/messages/{message}");
    let free = matches!(policies.routes.find(&Method::GET, &short), Match::NotFound);
    if free { short } else { format!("{PREFIX}{short}") }
}

/// Answers what a partner asks about its own.
pub(super) async fn answer(
    gateway: &Gateway,
    caller: Caller,
    asked: Asked,
    permit: Permit,
) -> Result<Answer, Refusal> {
    let limits = permit.limits.clone();
    let mut answer = match asked {
        Asked::Message(id) => json_answer(&message(gateway, &caller.partner, &id).await?),
        Asked::Event(id) => json_answer(&event(gateway, &caller.partner, &id).await?),
        Asked::Status(key) => json_answer(&status(gateway, caller.partner, key).await?),
        Asked::Events(asked) => {
            let after = cursor(&*gateway.journal, &caller.partner, &asked).await?;
            let feed = Feed::new(gateway, caller.partner, &asked, after, permit);
            if asked.stream { feed.stream()? } else { json_answer(&feed.poll(&asked).await?) }
        }
    };
    problem::write_limits(answer.headers_mut(), &limits);
    Ok(answer)
}

fn json_answer(value: &Value) -> Answer {
    plain(StatusCode::OK, "application/json", value.to_string().into())
}

struct Query(Vec<(String, String)>);

impl Query {
    fn read(text: &str) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()).take(32) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode_form(value).ok_or_else(|| {
                Refusal::Asked("a value of the query is not percent-encoded UTF-8".to_owned())
            })?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn key(&self) -> Result<Option<Key>, Refusal> {
        let Some(text) = self.get("key") else { return Ok(None) };
        let wrong = || Refusal::Asked("`key` is KIND:VALUE, like `order:8841-22`".to_owned());
        let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Some(Key { kind: kind.to_owned(), value: value.to_owned() }))
    }

    fn number(&self, name: &str, silent: u64) -> Result<u64, Refusal> {
        let Some(text) = self.get(name) else { return Ok(silent) };
        let text = text.strip_suffix('s').unwrap_or(text);
        text.parse().map_err(|_| Refusal::Asked(format!("`{name}` is a whole number")))
    }
}

fn events(query: &Query, headers: &HeaderMap) -> Result<Events, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let stream = text("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    let last = text("last-event-id").filter(|id| !id.is_empty());
    Ok(Events {
        // A client that lost its connection says what it has; that is later than what it began with.
        after: last.or_else(|| query.get("after")).unwrap_or_default().to_owned(),
        kind: query.get("type").map(str::to_owned),
        key: query.key()?,
        limit: usize::try_from(query.number("limit", 50)?.clamp(1, 200)).unwrap_or(50),
        wait: Duration::from_secs(query.number("wait", 0)?.min(LONGEST_WAIT)),
        stream,
    })
}

/// The journal's number of the event to go on from. Partners name events and no numbers: those tell how much others send.
async fn cursor(journal: &dyn Journal, partner: &PartnerName, asked: &Events) -> Result<u64, Refusal> {
    match asked.after.as_str() {
        "" | "0" => Ok(0),
        "latest" => {
            let filter = EventFilter {
                partner: Some(partner.clone()),
                newest: true,
                limit: 1,
                ..EventFilter::default()
            };
            Ok(journal.events(filter).await?.first().map_or(0, |event| event.sequence))
        }
        id => {
            let id: EventId = id
                .parse()
                .map_err(|_| Refusal::Asked("`after` is the id of an event, `0` or `latest`".to_owned()))?;
            let found = journal.event(id).await?;
            let own = found.filter(|event| event.partner == *partner);
            own.map(|event| event.sequence).ok_or(Refusal::NoCursor)
        }
    }
}

/// A partner's events from a place on.
struct Feed {
    journal: Arc<dyn Journal>,
    changes: tokio::sync::watch::Receiver<u64>,
    stop: tokio::sync::watch::Receiver<bool>,
    followers: Followers,
    filter: EventFilter,
    /// Held as long as the feed, so that a partner's bound on concurrency counts it.
    _permit: Permit,
}

impl Feed {
    fn new(gateway: &Gateway, partner: PartnerName, asked: &Events, after: u64, permit: Permit) -> Self {
        let filter = EventFilter {
            partner: Some(partner),
            kind: asked.kind.clone(),
            key: asked.key.clone(),
            after: Some(after),
            limit: if asked.stream { PART } else { asked.limit },
            ..EventFilter::default()
        };
        Self {
            journal: Arc::clone(&gateway.journal),
            changes: gateway.journal.changes(),
            stop: gateway.stop.clone(),
            followers: gateway.followers.clone(),
            filter,
            _permit: permit,
        }
    }

    /// The next events, if there are some now.
    async fn next(&mut self) -> Result<Vec<EventRecord>, Refusal> {
        loop {
            self.changes.mark_unchanged();
            let mut found = self.journal.events(self.filter.clone()).await?;
            let Some(last) = found.last() else { return Ok(found) };
            self.filter.after = Some(last.sequence);
            // What contradicts a known fact is no fact until a person says so.
            found.retain(|event| !event.held);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// Waits until something may have come; false when the time is over or the gateway stops.
    async fn wait(&mut self, over: Pin<&mut Sleep>) -> bool {
        let changed = async {
            sleep(QUIET).await;
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = server::stopped(&mut self.stop) => false,
            () = changed => true,
            () = over => false,
        }
    }

    async fn poll(mut self, asked: &Events) -> Result<Value, Refusal> {
        let mut found = self.next().await?;
        if found.is_empty() && !asked.wait.is_zero() {
            let _room = self.followers.enter()?;
            let mut over = pin!(sleep(asked.wait));
            while found.is_empty() && self.wait(over.as_mut()).await {
                found = self.next().await?;
            }
        }
        let next = found.last().map_or(asked.after.clone(), |event| event.event.id.to_string());
        let next = if next.is_empty() { "0".to_owned() } else { next };
        let events: Vec<_> = found.iter().map(seen).collect();
        Ok(json!({ "events": events, "next": next }))
    }

    /// Server-sent events (WHATWG HTML, section 9.2): the id is the event's, so that a client resumes by itself.
    fn stream(mut self) -> Result<Answer, Refusal> {
        let room = self.followers.enter()?;
        let (parts, body) = mpsc::channel(PARTS);
        tokio::spawn(async move {
            let _room = room;
            let mut part = Bytes::from_static(b"retry: 1000\n\n");
            while parts.send(part).await.is_ok() {
                let found = match self.next().await {
                    Ok(found) if found.is_empty() => {
                        let over = pin!(sleep(HEARTBEAT));
                        let go_on = tokio::select! {
                            () = parts.closed() => return,
                            go_on = self.wait(over) => go_on,
                        };
                        if *self.stop.borrow() {
                            return;
                        }
                        if go_on { self.next().await } else { Ok(Vec::new()) }
                    }
                    found => found,
                };
                part = match found {
                    Ok(found) if found.is_empty() => Bytes::from_static(b":\n\n"),
                    Ok(found) => found.iter().map(sent).collect::<String>().into(),
                    Err(error) => {
                        tracing::debug!(%error, "a feed ended early");
                        return;
                    }
                };
            }
        });
        let mut answer = plain(StatusCode::OK, "text/event-stream", Bytes::new());
        *answer.body_mut() = server::Body::Stream(body);
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(answer)
    }
}

/// An event as its owner sees it: the envelope names the message that brought it.
fn seen(event: &EventRecord) -> Value {
    canonical::cloud_event(&event.event, event.message_id)
}

fn sent(event: &EventRecord) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.event.id, event.event.kind, seen(event))
}

async fn message(gateway: &Gateway, partner: &PartnerName, id: &str) -> Result<Value, Refusal> {
    let id: MessageId = id.parse().map_err(|_| Refusal::NoMessage)?;
    let found = gateway.journal.message(id).await?;
    let found = found.filter(|found| found.summary.partner == *partner).ok_or(Refusal::NoMessage)?;
    Ok(message_view(&found))
}

/// A message as its sender may see it: no target's answers, no other partner's names.
fn message_view(found: &MessageRecord) -> Value {
    let problem: Option<Value> = found.problem.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let outcomes = found.receipt.as_ref().map_or(&[][..], |receipt| &receipt.events);
    let events: Vec<_> = outcomes.iter().map(|event| outcome_view(event, found)).collect();
    json!({
        "message": found.summary, "receipt": found.receipt, "problem": problem, "events": events,
        "deliveries": found.deliveries.iter().map(delivery_view).collect::<Vec<_>>(),
        "exceptions": found.exceptions.iter().map(exception_view).collect::<Vec<_>>(),
        "repeats": found.repeats, "parent": found.parent, "reprocessed_by": found.children,
    })
}

fn outcome_view(event: &EventOutcome, found: &MessageRecord) -> Value {
    let deliveries: Vec<_> = found.deliveries.iter().filter(|one| one.event == event.id).collect();
    let state = match &event.disposition {
        Disposition::Repeats { .. } => "repeats",
        Disposition::Held { .. } => match found.exceptions.iter().find(|one| one.event == event.id) {
            Some(ended) if ended.resolution.is_some() => "discarded",
            _ => "held",
        },
        Disposition::Stored { .. } => standing(&deliveries),
    };
    let mut view = serde_json::to_value(event).unwrap_or_default();
    view["state"] = state.into();
    view
}

/// Where an event stands over all its deliveries: the one that is furthest behind decides.
fn standing(deliveries: &[&DeliveryRecord]) -> &'static str {
    let any = |state| deliveries.iter().any(|delivery| delivery.state == state);
    if any(DeliveryState::Parked) {
        "needs-attention"
    } else if any(DeliveryState::Waiting) || any(DeliveryState::Ready) {
        "on-its-way"
    } else if any(DeliveryState::Delivered) {
        "delivered"
    } else if any(DeliveryState::Discarded) {
        "discarded"
    } else {
        "recorded"
    }
}

fn delivery_view(delivery: &DeliveryRecord) -> Value {
    json!({ "event": delivery.event, "type": delivery.kind, "state": delivery.state, "attempts": delivery.attempts,
        "enqueued_at": delivery.enqueued_at, "ended_at": delivery.ended_at })
}

/// What needs a person, without what a target said.
fn exception_view(exception: &ExceptionSummary) -> Value {
    let ended = exception.resolution.as_ref().map(|end| json!({ "action": end.action, "at": end.at }));
    json!({ "event": exception.event, "type": exception.kind, "keys": exception.keys, "code": exception.cause.code,
        "since": exception.since, "ended": ended })
}

async fn event(gateway: &Gateway, partner: &PartnerName, id: &str) -> Result<Value, Refusal> {
    let id: EventId = id.parse().map_err(|_| Refusal::NoMessage)?;
    let found = gateway.journal.event(id).await?;
    let found = found.filter(|found| found.partner == *partner).ok_or(Refusal::NoMessage)?;
    event_view(gateway, &found).await
}

async fn event_view(gateway: &Gateway, found: &EventRecord) -> Result<Value, Refusal> {
    let id = found.event.id;
    let deliveries = DeliveryFilter { event: Some(id), limit: 1000, ..DeliveryFilter::default() };
    let deliveries = gateway.journal.deliveries(deliveries).await?;
    let exceptions =
        ExceptionFilter { event: Some(id), all: true, limit: 1000, ..ExceptionFilter::default() };
    let exceptions = gateway.journal.exceptions(exceptions).await?;
    let state = match (found.held, exceptions.iter().any(|one| one.resolution.is_none())) {
        (true, true) => "held",
        (true, false) => "discarded",
        (false, _) => standing(&deliveries.iter().collect::<Vec<_>>()),
    };
    Ok(json!({
        "event": seen(found), "state": state,
        "deliveries": deliveries.iter().map(delivery_view).collect::<Vec<_>>(),
        "exceptions": exceptions.iter().map(exception_view).collect::<Vec<_>>(),
    }))
}

async fn status(gateway: &Gateway, partner: PartnerName, key: Key) -> Result<Value, Refusal> {
    let filter = EventFilter {
        partner: Some(partner),
        key: Some(key.clone()),
        newest: true,
        limit: SHOWN,
        ..EventFilter::default()
    };
    let mut events = Vec::new();
    for found in gateway.journal.events(filter).await? {
        events.push(event_view(gateway, &found).await?);
    }
    Ok(json!({ "key": key, "events": events }))
}
