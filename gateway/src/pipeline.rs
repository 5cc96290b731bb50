//! The way of a request, in one function that reads from top to bottom: `serve`.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tokio::sync::watch;
use tracing::{Instrument, info_span};

use crate::{
    auth::Repeats,
    canonical::{Canon, Origin},
    contract::{self, Match, Schema, Selected, split_version},
    deliver,
    journal::{Accepted, Appended, Destination, Journal},
    mapper::{Call, Context, Failure, Host, Mapped, Reject, Stage},
    observe::Metrics,
    policy::{Contract, Mapping, Operation, Policies, Snapshot},
    problem::{self, Problem},
    refusal::{self, Refusal},
    server::{self, Answering, Handler},
    spool::{Held, Spool},
    throttle::{Limiter, Places},
    words::{
        Caller, Clock, Digest, Document, Draft, Event, IdSource, Inbound, MessageId, Mode, Pairs,
        PartnerName, Peer, Permit, Random, Receipt, Rejected, Severity, Time, VersionName, json,
    },
};

mod acknowledge;
mod admit;
mod canary;
mod condition;
mod keys;
mod own;
mod proxy;
pub mod rehearse;
mod trace;

pub use keys::KeysInUse;
pub use own::Followers;

use admit::{Payload, ScopeKeys, authenticate, length, prove, scopes, throttle};
use keys::InUse;
use proxy::proxy;
use trace::{Trace, count, log, note};

/// Depth of a JSON document.
const JSON_DEPTH: usize = 64;
/// Longest `Idempotency-Key`.
const KEY_BYTES: usize = 255;

type Answer = Response<server::Body>;

/// Everything that serves requests; one for each process.
pub struct Gateway {
    /// The policies in force.
    pub policies: Arc<Policies>,
    /// Durable memory.
    pub journal: Arc<dyn Journal>,
    /// Runs mappers.
    pub host: Arc<Host>,
    /// The canonical check.
    pub canon: Arc<Canon>,
    /// Limits; they outlive policies.
    pub limiter: Arc<Limiter>,
    /// Places of requests under way, shared fairly among partners.
    pub places: Places,
    /// Bodies on their way in.
    pub spool: Spool,
    /// Calls targets, for proxy operations.
    pub calls: Arc<dyn deliver::Call>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Identifiers.
    pub ids: Arc<IdSource>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Idempotency keys whose first request is being served.
    pub keys: KeysInUse,
    /// Partners that follow their events.
    pub followers: Followers,
    /// True once the gateway stops.
    pub stop: watch::Receiver<bool>,
}

/// The canonical check with what it takes to make an event.
#[derive(Clone, Copy)]
struct Canonical<'a> {
    canon: &'a Canon,
    ids: &'a IdSource,
    random: &'a dyn Random,
}

impl Gateway {
    fn canonical(&self) -> Canonical<'_> {
        Canonical { canon: &self.canon, ids: &self.ids, random: &*self.random }
    }
}

impl Handler for Gateway {
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Answering {
        Box::pin(async move { handle(&self, request, peer).await })
    }
}

/// The outer half: id, span, log line, latency, and refusals turned into answers.
async fn handle(gateway: &Gateway, request: Request<Incoming>, peer: Peer) -> Answer {
    let started = Instant::now();
    let now = gateway.clock.now();
    let message_id = gateway.ids.message(now, &*gateway.random);
    let policies = gateway.policies.now();
    let mut trace = Trace { from: peer.address, ..Trace::default() };
    let span = info_span!("request", message = %message_id, revision = %policies.revision);
    let served = serve(gateway, &policies, message_id, now, request, peer, &mut trace).instrument(span).await;
    let mut answer = match served {
        Ok(answer) => {
            log(&trace, message_id, &policies, started, answer.status(), None);
            answer
        }
        Err(refusal) => {
            let mut problem = Problem::new(&refusal, message_id, policies.revision.clone());
            problem.acknowledgement = trace.acknowledgement.take();
            log(&trace, message_id, &policies, started, refusal.class().status, Some(&refusal));
            note(gateway, &trace, &problem, now).await;
            problem.answer(&refusal)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&message_id.to_string()) {
        answer.headers_mut().insert("crossdock-message-id", value);
    }
    count(gateway, &trace, answer.status(), started);
    answer
}

/// The inner half. Each line consumes what the line above proved.
async fn serve(
    gateway: &Gateway,
    policies: &Snapshot,
    message_id: MessageId,
    now: Time,
    request: Request<Incoming>,
    peer: Peer,
    trace: &mut Trace,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let identified = authenticate(gateway, policies, &head, &peer, now).await?;
    let (in_path, path) = split_version(head.uri.path());
    let found = policies.routes.find(&head.method, path);
    let (caller, body, repeats) = prove(gateway, identified, &found, &head, body, &peer, now).await?;
    trace.caller = Some(caller.clone());
    let length = length(&head, &body);
    let permit = throttle(gateway, policies, &caller, &found, length, now)?;
    trace.shadowed.extend(permit.shadowed.iter().map(ToString::to_string));
    if let Some(asked) = own::asked(&head, &found)? {
        return own::answer(gateway, caller, asked, permit).await;
    }
    let (operation, parameters) = operation(found)?;
    trace.operation = Some(Arc::clone(&operation));
    let selected = version(&operation, &head, in_path, &caller, now)?;
    trace.version = Some(selected.version().to_string());
    let contract = grant(&operation, &selected, &caller)?;
    condition::before(&operation, selected.version(), &caller)?;
    let key = idempotency(&operation, &head, repeats)?;
    let body = read(gateway, &operation, &contract, &head, body, parameters).await?;
    trace.length = body.document.content.len() as u64;
    if length.is_none() {
        let keys = ScopeKeys::new(&caller, Some(&operation));
        gateway.limiter.charge(&scopes(policies, &caller, Some(&operation), &keys), trace.length, now);
    }
    let inbound = check(&operation, &selected, &contract, caller, body.document, trace)?;
    let answer = match contract.mode {
        Mode::Exchange => {
            exchange(gateway, policies, &operation, &contract, inbound, key, message_id, now, trace).await
        }
        Mode::Proxy => {
            proxy(gateway, policies, &operation, &contract, inbound, &head, message_id, now, trace).await
        }
    };
    answer.map(|answer| dress(answer, &permit, &selected, path))
}

fn operation(found: Match<'_, Arc<Operation>>) -> Result<(Arc<Operation>, Pairs), Refusal> {
    match found {
        Match::Found(operation, parameters) => Ok((Arc::clone(operation), parameters)),
        Match::MethodNotAllowed(allow) => Err(Refusal::Method { allow }),
        Match::NotFound => Err(Refusal::NoOperation),
    }
}

fn version<'a>(
    operation: &'a Operation,
    head: &Parts,
    in_path: Option<&str>,
    caller: &Caller,
    now: Time,
) -> Result<Selected<'a>, Refusal> {
    let versions = operation.grants.get(&caller.partner);
    let granted = |version: &VersionName| versions.is_some_and(|versions| versions.contains(version));
    Ok(operation.lives.select(in_path, &head.headers, granted, now)?)
}

fn grant(operation: &Operation, selected: &Selected<'_>, caller: &Caller) -> Result<Arc<Contract>, Refusal> {
    let Some(contract) = operation.versions.get(selected.version()) else {
        return Err(Refusal::NotGranted {
            operation: operation.id.clone(),
            version: selected.version().to_string(),
            rule: operation.rule.clone(),
        });
    };
    let missing: Vec<String> =
        operation.scopes.iter().filter(|scope| !caller.scopes.contains(scope)).cloned().collect();
    if missing.is_empty() {
        Ok(Arc::clone(contract))
    } else {
        Err(Refusal::Scopes { missing, rule: operation.rule.clone() })
    }
}

fn idempotency(
    operation: &Operation,
    head: &Parts,
    repeats: Option<Repeats>,
) -> Result<Option<String>, Refusal> {
    if let Some(Repeats::Key(key)) = repeats {
        return Ok(Some(key));
    }
    let Some(value) = head.headers.get("idempotency-key") else {
        return if operation.idempotency.required {
            Err(Refusal::KeyRequired { rule: operation.rule.clone() })
        } else {
            Ok(None)
        };
    };
    // The draft asks for a structured-field string; most clients send the bare text. Both are taken.
    let text = value.to_str().map_err(|_| Refusal::KeyMalformed)?.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if text.is_empty() || text.len() > KEY_BYTES {
        return Err(Refusal::KeyMalformed);
    }
    Ok(Some(text.to_owned()))
}

/// A body with its media type, and its share of the bytes in flight until it is dropped.
struct Body {
    document: Document,
    _held: Held,
}

async fn read(
    gateway: &Gateway,
    operation: &Operation,
    contract: &Contract,
    head: &Parts,
    body: Payload,
    parameters: Pairs,
) -> Result<Body, Refusal> {
    let media_type = taken(contract, head)?;
    let held = match body {
        Payload::Coming(body) => gateway.spool.read(body, operation.body_max).await?,
        Payload::Here(held) => held,
    };
    not_empty(head, &held.content)?;
    Ok(Body { document: Document { media_type, content: held.content.clone(), parameters }, _held: held })
}

/// The document's media type, if the operation takes it.
fn taken(contract: &Contract, head: &Parts) -> Result<String, Refusal> {
    if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        return Err(Refusal::Encoding(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
    }
    let media_type = media_type(&head.headers);
    let taken = &contract.media_types;
    if !taken.is_empty() && !taken.contains(&media_type) {
        return Err(Refusal::MediaType { sent: media_type, taken: taken.clone() });
    }
    Ok(media_type)
}

fn not_empty(head: &Parts, content: &[u8]) -> Result<(), Refusal> {
    let bodiless = matches!(head.method, Method::GET | Method::HEAD | Method::DELETE);
    if content.is_empty() && !bodiless { Err(Refusal::Empty) } else { Ok(()) }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn check(
    operation: &Operation,
    selected: &Selected<'_>,
    binding: &Contract,
    caller: Caller,
    document: Document,
    trace: &mut Trace,
) -> Result<Inbound, Refusal> {
    if let Some(schema) = &binding.schema {
        match conforms(schema, &document) {
            Err(_) if binding.schema_in_shadow => trace.shadowed.push("schema".to_owned()),
            checked => checked?,
        }
    }
    let (api, operation, version) =
        (operation.api.clone(), operation.name.clone(), selected.version().clone());
    Ok(Inbound { caller, api, operation, version, document })
}

fn conforms(schema: &Schema, document: &Document) -> Result<(), Refusal> {
    let tree = json::tree(&document.content, JSON_DEPTH).map_err(|error| refusal::not_json(&error))?;
    schema.check(tree.root()).map_err(|mut diagnostics| {
        contract::place(&mut diagnostics, &document.content);
        Refusal::Schema(diagnostics)
    })
}

/// Exchange: map, check, append; the receipt is the answer.
#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
async fn exchange(
    gateway: &Gateway,
    policies: &Snapshot,
    operation: &Operation,
    contract: &Contract,
    inbound: Inbound,
    key: Option<String>,
    message_id: MessageId,
    now: Time,
    trace: &mut Trace,
) -> Result<Answer, Refusal> {
    let mapping = contract.mapping.as_ref().ok_or(Refusal::Mode(Mode::Exchange))?;
    trace.mapper = Some(mapping.title());
    let digest = Digest::of(&inbound.document.content);
    let in_use = match key {
        None => None,
        Some(key) => {
            let in_use = InUse::new(gateway, operation, &inbound, &digest, key, now).await?;
            if let Some(receipt) = &in_use.remembered {
                trace.events = receipt.events.len();
                return Ok(receipt_answer(policies, receipt, true));
            }
            Some(in_use)
        }
    };
    let (mapped, candidate) =
        canary::read(gateway, policies, mapping, &inbound, digest, contract.partial, now, trace).await;
    // Where a candidate is out for this business key, it is the candidate's work from here on.
    let mapping =
        candidate.as_ref().inspect(|candidate| trace.mapper = Some(candidate.title())).unwrap_or(mapping);
    if let Err(Refusal::Mapper { failure: Failure::Refused(diagnostics), .. }) = &mapped
        && contract.acknowledges
    {
        trace.acknowledgement =
            acknowledge::of_refused(gateway, policies, mapping, &inbound, diagnostics, now).await;
    }
    let Mapped { drafts, rejects, mut diagnostics } = mapped?;
    let canonical = gateway.canonical();
    let events = canonical_events(canonical, policies, mapping, &inbound, drafts, digest, now)?;
    condition::after(operation, &inbound, &events)?;
    condition::owned(policies, &inbound, &events)?;
    trace.events = events.len();
    let acknowledgement = if contract.acknowledges {
        let diagnostics = &mut diagnostics;
        acknowledge::of_accepted(gateway, policies, mapping, &inbound, &rejects, diagnostics, now).await?
    } else {
        None
    };
    let events = events.into_iter().map(|event| destined(policies, &inbound, event)).collect();
    let accepted = Accepted {
        message_id,
        partner: inbound.caller.partner,
        api: inbound.api,
        operation: inbound.operation,
        version: inbound.version,
        credential: inbound.caller.credential.to_string(),
        received_at: now,
        revision: policies.revision.clone(),
        document: inbound.document,
        document_digest: digest,
        mapper: mapping.mapper.name().clone(),
        mapper_digest: mapping.mapper.digest(),
        diagnostics,
        rejects: rejects.into_iter().map(rejected).collect(),
        acknowledgement,
        events,
        idempotency: in_use.as_ref().map(|in_use| in_use.idempotency.clone()),
        parent: None,
    };
    match gateway.journal.append(accepted).await? {
        Appended::Stored(receipt) => Ok(receipt_answer(policies, &receipt, false)),
        Appended::Remembered(before) => {
            let asked = in_use.map(|in_use| in_use.idempotency.fingerprint);
            if asked == Some(before.fingerprint) {
                Ok(receipt_answer(policies, &before.receipt, true))
            } else {
                Err(Refusal::KeyReused)
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the way of a request hands on what it has proved")]
async fn map(
    host: &Host,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    stage: Stage,
    partial: bool,
    now: Time,
    trace: &mut Trace,
) -> Result<Mapped, Refusal> {
    let call = call(policies, mapping, inbound, stage, now);
    let ran = host.to_canonical(&mapping.mapper, call, inbound.document.clone()).await;
    let ran = ran.map_err(|failure| refused(mapping, failure))?;
    trace.cpu += ran.usage.cpu;
    sink(ran.value, partial).map_err(|failure| refused(mapping, failure))
}

/// What is sunk or has errors is a refusal by its mapper.
fn sink(mut mapped: Mapped, partial: bool) -> Result<Mapped, Failure> {
    let errors = mapped.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    if errors || mapped.is_sunk(partial) {
        let mut diagnostics: Vec<_> =
            mapped.rejects.drain(..).flat_map(|reject| reject.diagnostics).collect();
        diagnostics.append(&mut mapped.diagnostics);
        return Err(Failure::Refused(diagnostics));
    }
    Ok(mapped)
}

fn canonical_events(
    canonical: Canonical<'_>,
    policies: &Snapshot,
    mapping: &Mapping,
    inbound: &Inbound,
    drafts: Vec<Draft>,
    document: Digest,
    now: Time,
) -> Result<Vec<Event>, Refusal> {
    if drafts.is_empty() {
        return Err(Refusal::NoEvents { name: mapping.title() });
    }
    let zone = policies.partners.get(&inbound.caller.partner).and_then(|partner| partner.zone.as_deref());
    let origin =
        Origin { partner: &inbound.caller.partner, api: &inbound.api, document, recorded_at: now, zone };
    let events = canonical.canon.check(drafts, &origin, canonical.ids, canonical.random);
    events.map_err(|error| Refusal::Canonical { name: mapping.title(), error })
}

/// An event and every target that a subscription sends it to.
fn destined(policies: &Snapshot, inbound: &Inbound, event: Event) -> (Event, Vec<Destination>) {
    let wanted = policies.subscriptions.iter().filter(|found| found.wants(&inbound.caller.partner, &event));
    let destinations = wanted
        .map(|found| Destination { subscription: found.name.clone(), target: found.target.clone() })
        .collect();
    (event, destinations)
}

/// What a mapper is told of a partner's document, now and whenever it is mapped again.
pub(crate) fn context(
    policies: &Snapshot,
    mapping: &Mapping,
    partner: &PartnerName,
    operation: &str,
    version: &VersionName,
    stage: Stage,
    received_at: Time,
) -> Context {
    let known = policies.partners.get(partner);
    Context {
        partner: partner.to_string(),
        sender: known.map(|partner| partner.sender.clone()).unwrap_or_default(),
        receiver: known.map(|partner| partner.receiver.clone()).unwrap_or_default(),
        operation: operation.to_owned(),
        version: version.to_string(),
        stage,
        received_at,
        zone: known.and_then(|partner| partner.zone.clone()),
        control_numbers: Vec::new(),
        config: mapping.config.clone(),
    }
}

fn call(policies: &Snapshot, mapping: &Mapping, inbound: &Inbound, stage: Stage, now: Time) -> Call {
    let (partner, operation) = (&inbound.caller.partner, inbound.operation.as_str());
    Call {
        partner: partner.clone(),
        context: context(policies, mapping, partner, operation, &inbound.version, stage, now),
        tables: Arc::clone(&mapping.tables),
        limits: mapping.limits,
    }
}

fn rejected(reject: Reject) -> Rejected {
    Rejected { unit: reject.unit, at: reject.at, errors: reject.diagnostics }
}

fn refused(mapping: &Mapping, failure: Failure) -> Refusal {
    Refusal::Mapper { name: mapping.title(), failure, rule: mapping.rule.clone() }
}

fn receipt_answer(policies: &Snapshot, receipt: &Receipt, replayed: bool) -> Answer {
    let body = serde_json::to_vec(receipt).expect("a receipt has only strings and numbers");
    let mut answer = plain(StatusCode::ACCEPTED, "application/json", body.into());
    if let Ok(location) = HeaderValue::from_str(&own::place(policies, receipt.message_id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    if replayed {
        answer.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    answer
}

fn plain(status: StatusCode, media_type: &str, content: Bytes) -> Answer {
    let mut answer = Response::new(server::Body::from(content));
    *answer.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(media_type) {
        answer.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    answer
}

/// Puts on the fields that every served answer carries.
fn dress(mut answer: Answer, permit: &Permit, selected: &Selected<'_>, path: &str) -> Answer {
    let headers = answer.headers_mut();
    problem::write_limits(headers, &permit.limits);
    headers.extend(selected.fields(path));
    answer
}
