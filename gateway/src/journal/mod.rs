//! All storage. `Journal` is the only door: whole commands in, plain records out; no transaction, row or
//! connection leaves it. Every store passes the suite in `suite.rs`.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::words::{
    Acknowledgement, ApiName, Diagnostic, Digest, Document, Event, EventId, EventOutcome, MapperName,
    MessageId, OperationName, Pairs, PartnerName, Receipt, Rejected, Revision, SubscriptionName, TargetName,
    Time, VersionName,
};

pub mod memory;
mod records;
pub mod sqlite;
#[cfg(test)]
mod suite;

use records::fingerprint;
pub use records::{
    DeliveryFilter, DeliveryRecord, DeliveryState, EventFilter, EventRecord, ExceptionFilter, ExceptionGroup,
    ExceptionRecord, ExceptionSummary, GroupBy, MessageFilter, MessageRecord, MessageState, MessageSummary,
    PastOutbound, PendingCount, Repeat, Status,
};

/// What a command answers, later.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Durable memory: messages, events, deliveries and exceptions of one estate.
///
/// A command that answered is durable; one that failed left nothing behind.
pub trait Journal: Send + Sync {
    /// Makes a document, its events, their pending deliveries, the receipt and the idempotency answer
    /// durable together, or none of them.
    fn append(&self, accepted: Accepted) -> Pending<'_, Appended>;

    /// Keeps a line about a refused document. Best effort: answers when queued, may be lost in a crash.
    fn note_refusal(&self, refused: Refused) -> Pending<'_, ()>;

    /// The answer that was given under this idempotency key and has not expired at `now`.
    fn remembered(&self, partner: PartnerName, key: String, now: Time) -> Pending<'_, Option<Remembered>>;

    /// Deliveries to `target` that head all their lanes and are due at `now`, the longest due first.
    fn ready(&self, target: TargetName, now: Time, limit: usize) -> Pending<'_, Vec<DeliveryId>>;

    /// When the next delivery to `target` falls due, now or later.
    fn next_due(&self, target: TargetName) -> Pending<'_, Option<Time>>;

    /// What is needed to carry out these deliveries; finished or parked ones are left out.
    fn work(&self, deliveries: Vec<DeliveryId>) -> Pending<'_, Vec<Work>>;

    /// The next number of a counter, beginning with 1. A number is never given twice.
    fn take_number(&self, counter: Counter) -> Pending<'_, u64>;

    /// Stores the bytes that every attempt of this delivery will send.
    fn pin(&self, delivery: DeliveryId, outbound: Outbound) -> Pending<'_, ()>;

    /// Records an attempt and moves its delivery on.
    fn advance(&self, outcome: Outcome) -> Pending<'_, ()>;

    /// Sends the delivery behind an open exception again: at once, with a fresh retry budget. `remap` forgets the pinned bytes.
    fn retry(&self, exception: u64, remap: bool, by: String, now: Time) -> Pending<'_, Resolution>;

    /// Puts an edited document or event in the place of what is stuck behind an open exception, and sends that: at once,
    /// with a fresh retry budget, under a key of its own. What it replaces is kept.
    fn edit(&self, exception: u64, edit: Edit, by: String, now: Time) -> Pending<'_, Resolution>;

    /// Says who is in charge of an open exception, or that nobody is.
    fn assign(&self, exception: u64, owner: Option<String>) -> Pending<'_, ()>;

    /// Gives up the delivery (or the held event) behind an open exception; its lanes go on.
    fn discard(&self, exception: u64, reason: String, by: String, now: Time) -> Pending<'_, Resolution>;

    /// One message with its document, or none.
    fn message(&self, id: MessageId) -> Pending<'_, Option<MessageRecord>>;

    /// Messages, newest first.
    fn messages(&self, filter: MessageFilter) -> Pending<'_, Vec<MessageSummary>>;

    /// One event, or none.
    fn event(&self, id: EventId) -> Pending<'_, Option<EventRecord>>;

    /// Events in the order of their sequence numbers, from after `filter.after`; or the newest first if `filter.newest`.
    fn events(&self, filter: EventFilter) -> Pending<'_, Vec<EventRecord>>;

    /// Deliveries, newest first.
    fn deliveries(&self, filter: DeliveryFilter) -> Pending<'_, Vec<DeliveryRecord>>;

    /// Exceptions, newest first.
    fn exceptions(&self, filter: ExceptionFilter) -> Pending<'_, Vec<ExceptionSummary>>;

    /// Exceptions that the filter meets, counted in groups, the largest first. `filter.limit` bounds the groups.
    fn exception_groups(
        &self,
        filter: ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Pending<'_, Vec<ExceptionGroup>>;

    /// One exception with all that a person needs, or none.
    fn exception(&self, id: u64) -> Pending<'_, Option<ExceptionRecord>>;

    /// Figures for readiness and metrics.
    fn status(&self) -> Pending<'_, Status>;

    /// Changes whenever something may have become ready: an append, a pass of a lane, a retry.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Why a command failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk, or the store's limit, is full; nothing was kept, later may work.
    #[error("the store is full")]
    Full,
    /// More is waiting to be written than the store takes.
    #[error("the store is too far behind")]
    Busy,
    /// The store met an I/O error and stopped for good; the process must end and verify at its start.
    #[error("the store stopped after an I/O error: {0}")]
    Stopped(String),
    /// There is no such open exception, delivery or event.
    #[error("{0}")]
    NotFound(String),
    /// The store cannot be read: a newer version, a damaged file.
    #[error("{0}")]
    Unreadable(String),
}

/// A document that may be acknowledged once it is durable.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its id.
    pub message_id: MessageId,
    /// Who sent it.
    pub partner: PartnerName,
    /// The API.
    pub api: ApiName,
    /// The operation.
    pub operation: OperationName,
    /// The version.
    pub version: VersionName,
    /// Name of the credential.
    pub credential: String,
    /// When it was received.
    pub received_at: Time,
    /// The revision that served it.
    pub revision: Revision,
    /// What was sent.
    pub document: Document,
    /// Digest of its bytes.
    pub document_digest: Digest,
    /// The mapper that read it.
    pub mapper: MapperName,
    /// Its digest.
    pub mapper_digest: Digest,
    /// What the mapper remarked.
    pub diagnostics: Vec<Diagnostic>,
    /// Units of the document that are not kept.
    pub rejects: Vec<Rejected>,
    /// What an EDI sender is answered.
    pub acknowledgement: Option<Acknowledgement>,
    /// The events, each with where it goes.
    pub events: Vec<(Event, Vec<Destination>)>,
    /// The caller's idempotency key, if it sent one.
    pub idempotency: Option<Idempotency>,
    /// The message whose document this is again, reprocessed.
    pub parent: Option<MessageId>,
}

/// Where an event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The subscription that says so.
    pub subscription: SubscriptionName,
    /// Its target.
    pub target: TargetName,
}

/// An `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) with the fingerprint of what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key as sent.
    pub key: String,
    /// Digest of operation, version and document.
    pub fingerprint: Digest,
    /// When the answer may be forgotten.
    pub expires_at: Time,
}

/// How an append ended.
#[derive(Clone, Debug)]
pub enum Appended {
    /// Durable now.
    Stored(Receipt),
    /// Another request under the same idempotency key was first; nothing was stored.
    Remembered(Remembered),
}

/// An answer that was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Fingerprint of the request that it answered.
    pub fingerprint: Digest,
    /// The answer.
    pub receipt: Receipt,
}

/// A line about a document that was not accepted.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its id.
    pub message_id: MessageId,
    /// Who sent it.
    pub partner: PartnerName,
    /// `api/operation` as far as it was known.
    pub operation: String,
    /// When it was received.
    pub received_at: Time,
    /// The revision that refused it.
    pub revision: Revision,
    /// Length of the document in bytes.
    pub length: u64,
    /// The problem details as the caller got them, JSON.
    pub problem: String,
}

/// Number of a delivery; rises with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

/// What is needed to carry out one delivery.
#[derive(Clone, Debug)]
pub struct Work {
    /// The delivery.
    pub id: DeliveryId,
    /// The subscription that asked for it.
    pub subscription: SubscriptionName,
    /// Where it goes.
    pub target: TargetName,
    /// The partner that owns the event.
    pub partner: PartnerName,
    /// The message that brought the event.
    pub message_id: MessageId,
    /// The event.
    pub event: Event,
    /// What was pinned at the first attempt.
    pub outbound: Option<Outbound>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first attempt of the present retry budget was made.
    pub first_attempt_at: Option<Time>,
    /// Which bytes are sent: 1 for the first ones, and one more for each time that a person had others made.
    pub revision: u32,
}

/// A counter for control numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// What is counted: `isa13`, `gs06`, `idoc`.
    pub kind: String,
    /// Sender of the interchange.
    pub sender: String,
    /// Its receiver.
    pub receiver: String,
}

/// The bytes that every attempt of a delivery sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The mapper that made them.
    pub mapper: MapperName,
    /// Its digest.
    pub mapper_digest: Digest,
    /// The document.
    pub document: Document,
    /// Control numbers that it carries.
    pub control_numbers: Pairs,
}

/// One attempt and what follows from it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What was tried; none if nothing was sent (a mapper refused).
    pub attempt: Option<Attempt>,
    /// What follows.
    pub next: Next,
}

/// One call of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started_at: Time,
    /// How long it took.
    #[serde(with = "millis")]
    pub took: Duration,
    /// The answer's status.
    pub status: Option<u16>,
    /// What went wrong, if no answer came.
    pub error: Option<String>,
    /// The beginning of the answer's body, made safe to show.
    pub excerpt: Option<String>,
}

impl Attempt {
    /// What went wrong, in one line; none after a success.
    pub fn trouble(&self) -> Option<String> {
        match (self.status, &self.error, &self.excerpt) {
            (Some(200..=299), ..) => None,
            (Some(status), _, Some(excerpt)) => Some(format!("{status}: {excerpt}")),
            (Some(status), _, None) => Some(status.to_string()),
            (None, error, _) => error.clone(),
        }
    }
}

mod millis {
    use std::time::Duration;
    pub fn serialize<S: serde::Serializer>(took: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        serde::Deserialize::deserialize(d).map(Duration::from_millis)
    }
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The target has it; its lanes go on.
    Delivered,
    /// Try again then.
    Retry {
        /// When.
        due: Time,
    },
    /// A person must look.
    Park {
        /// Why.
        cause: Cause,
        /// Whether later events of its lanes wait behind it.
        stuck: Stuck,
    },
}

/// What happens to a lane whose head is parked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stuck {
    /// Later events wait behind it.
    #[default]
    Hold,
    /// Later events go on; their order is given up.
    Skip,
    /// Each event tells the whole state, so a later one of the same type and keys takes its place.
    LatestWins,
}

impl Stuck {
    /// The number that a store keeps for it.
    fn number(self) -> u8 {
        match self {
            Self::Hold => 0,
            Self::Skip => 1,
            Self::LatestWins => 2,
        }
    }
}

/// Why something needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A stable word: `target-refused`, `retries-exhausted`, `mapper-refused`, `contradiction`.
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
    /// Places in the document, where a mapper named them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// What a person puts in the place of what is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another document for the target.
    Outbound(Outbound),
    /// The event with other data; it is mapped anew.
    Event(Box<Event>),
}

/// How an exception ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The exception.
    pub exception: u64,
    /// `retried`, `edited`, `discarded` or `superseded`.
    pub action: String,
    /// Why, as far as somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided; `crossdock` where a later event did.
    pub by: String,
    /// When.
    pub at: Time,
    /// Events that waited behind it.
    pub waiting: u64,
}

/// Turns a filter's limit into the number to ask for: 50 by default, 1,000 at most.
pub(crate) fn page(limit: usize) -> usize {
    if limit == 0 { 50 } else { limit.min(1_000) }
}

/// Bytes that a record holds, for byte budgets.
pub(crate) fn weight(document: &Document) -> usize {
    let parameters: usize = document.parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
    let content: &Bytes = &document.content;
    content.len() + document.media_type.len() + parameters
}

/// How many deliveries behind an exception are counted: a lane may be very long, and a listing must stay quick.
const WAITING_COUNTED: u64 = 10_000;

/// How many attempts an exception shows.
const ATTEMPTS_SHOWN: usize = 100;

/// The receipt of an append whose events had these outcomes.
fn receipt(accepted: &Accepted, events: Vec<EventOutcome>) -> Receipt {
    Receipt {
        message_id: accepted.message_id,
        partner: accepted.partner.clone(),
        operation: format!("{}/{}", accepted.api, accepted.operation),
        version: accepted.version.clone(),
        received_at: accepted.received_at,
        revision: accepted.revision.clone(),
        document: accepted.document_digest,
        mapper: accepted.mapper.clone(),
        mapper_digest: accepted.mapper_digest,
        events,
        diagnostics: accepted.diagnostics.clone(),
        rejects: accepted.rejects.clone(),
        acknowledgement: accepted.acknowledgement.clone(),
    }
}

/// The cause of an exception about a fact that was told before, differently.
fn contradiction(first: EventId) -> Cause {
    Cause {
        code: "contradiction".to_owned(),
        detail: format!(
            "event {first} says the same fact with other data, and this one is not marked as a correction"
        ),
        diagnostics: Vec::new(),
    }
}

/// Who ends an exception that no person ended.
const NOBODY: &str = "crossdock";

/// What says what an exception's event would have said, or better.
#[derive(Clone, Copy)]
struct Successor {
    event: EventId,
    message: MessageId,
    /// It corrects the fact; else it is a later state of the same thing.
    corrects: bool,
}

/// The end of an exception whose fact was told anew.
fn superseded(exception: u64, by: Successor, at: Time, waiting: u64) -> Resolution {
    let how = if by.corrects { "corrects it" } else { "is a later state of the same" };
    Resolution {
        exception,
        action: "superseded".to_owned(),
        reason: Some(format!("event {} of message {} {how}", by.event, by.message)),
        by: NOBODY.to_owned(),
        at,
        waiting,
    }
}

/// A person's resolution.
fn resolution(exception: u64, action: &str, by: &str, at: Time, waiting: u64) -> Resolution {
    Resolution { exception, action: action.to_owned(), reason: None, by: by.to_owned(), at, waiting }
}

fn no_ready_delivery(id: DeliveryId) -> Error {
    Error::NotFound(format!("there is no delivery {} that is ready", id.0))
}

fn pinned_already(id: DeliveryId) -> Error {
    Error::NotFound(format!("delivery {} is pinned to other bytes already", id.0))
}

fn no_open_exception(id: u64) -> Error {
    Error::NotFound(format!("there is no open exception {id}"))
}

fn only_discardable(id: u64) -> Error {
    Error::NotFound(format!("exception {id} holds an event and no delivery; it can only be discarded"))
}

fn not_of_its_fact(id: u64) -> Error {
    Error::NotFound(format!("the edited event tells another fact than that of exception {id}"))
}
