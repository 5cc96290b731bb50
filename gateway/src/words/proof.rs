//! What one stage proves to the next. Each is made by exactly one stage, and the next cannot be called without it.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ApiName, Diagnostic, Digest, EventId, Location, MapperName, MessageId, OperationName, Pairs, PartnerName,
    Revision, Time, VersionName,
};

/// An authenticated request's owner. Made by `auth`.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub partner: PartnerName,
    /// Which of its credentials, by its name in the policy; never the secret.
    pub credential: Arc<str>,
    /// OAuth scopes that the credential carries.
    pub scopes: Arc<[String]>,
}

/// Leave to go on under every limit that applies. Made by `throttle`; what it holds is given back on drop.
pub struct Permit {
    /// The tightest limits, for the `RateLimit` fields of the answer.
    pub limits: Vec<RateLimit>,
    /// Names of limits in shadow that would have refused.
    pub shadowed: Vec<Arc<str>>,
    held: Vec<Box<dyn Any + Send + Sync>>,
}

impl Permit {
    /// A permit that keeps `held` (concurrency slots) until it is dropped.
    pub fn new(limits: Vec<RateLimit>, held: Vec<Box<dyn Any + Send + Sync>>) -> Self {
        Self { limits, shadowed: Vec::new(), held }
    }

    /// Keeps one thing more until it is dropped.
    pub fn hold(&mut self, held: Box<dyn Any + Send + Sync>) {
        self.held.push(held);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("limits", &self.limits).field("held", &self.held.len()).finish()
    }
}

/// One limit as a caller sees it (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The limit's name: `partner`, `credential`, `operation`.
    pub name: Arc<str>,
    /// How much the window allows.
    pub quota: u64,
    /// Of what.
    pub unit: Unit,
    /// The window.
    pub window: Duration,
    /// How much is left.
    pub remaining: u64,
    /// Until the remaining quota is whole again.
    pub reset: Duration,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests in a window.
    Requests,
    /// Bytes of documents in a window.
    Bytes,
    /// Requests at the same moment.
    Concurrent,
}

/// A payload in somebody's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Media type without parameters, lower case: `application/edi-x12`.
    pub media_type: String,
    /// The bytes as they were sent.
    pub content: Bytes,
    /// In: path and query. Out: values for the target's URL template and headers.
    pub parameters: Pairs,
}

/// How an operation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// 202 with a receipt after the append.
    Exchange,
    /// The target's answer, mapped back.
    Proxy,
}

/// A document that passed authentication, limits, version and schema. Made by `contract`.
#[derive(Debug)]
pub struct Inbound {
    /// Who sent it.
    pub caller: Caller,
    /// The API.
    pub api: ApiName,
    /// The operation.
    pub operation: OperationName,
    /// The version.
    pub version: VersionName,
    /// What was sent.
    pub document: Document,
}

/// An event as a mapper drafted it: no envelope, not checked. Made by `mapper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Canonical type: `shipment.dispatched`.
    pub kind: String,
    /// Version of its canonical schema: `1.0`.
    pub schema_version: String,
    /// What makes it the same business fact.
    pub natural_key: Pairs,
    /// Business keys whose order it keeps, the flow's own key first.
    pub order_keys: Pairs,
    /// The source's own number of it.
    pub sequence: Option<String>,
    /// Natural key of the fact that it corrects or reverses; empty if none.
    pub corrects: Pairs,
    /// When it happened, RFC 3339 with offset, or a local time without one.
    pub occurred_at: Option<String>,
    /// JSON by the canonical schema of its kind.
    pub data: Bytes,
}

/// What makes an event the same business fact: the hash of its source, kind and natural key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(pub Digest);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A kind of business key and its value: `order`, `8841-22`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// `order`, `shipment`, `container`, …
    pub kind: String,
    /// The value as the canonical event carries it.
    pub value: String,
}

/// A business key whose order an event keeps, in the scope of the partner that owns it.
pub type OrderKey = Key;

/// A canonical event that passed every check. Made by `canonical`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own id, time-ordered.
    pub id: EventId,
    /// The same for the same business fact.
    pub identity: Identity,
    /// CloudEvents `source`; begins with the authenticated partner: `/acme-3pl/shipments`.
    pub source: String,
    /// Canonical type.
    pub kind: String,
    /// Version of its canonical schema.
    pub schema_version: String,
    /// Natural key as the mapper gave it.
    pub natural_key: Pairs,
    /// Order keys, the flow's own first.
    pub order_keys: Vec<OrderKey>,
    /// The source's own number of it.
    pub sequence: Option<String>,
    /// Identity of the fact that it corrects or reverses.
    pub corrects: Option<Identity>,
    /// RFC 3339; local (without offset) where nobody knows the zone.
    pub occurred_at: Option<String>,
    /// When this gateway recorded it.
    pub recorded_at: Time,
    /// JSON, canonicalised by RFC 8785.
    pub data: Bytes,
    /// Digest of `data`.
    pub data_digest: Digest,
}

/// What became of one event at the append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Disposition {
    /// Stored, and on its way to so many targets.
    Stored {
        /// Deliveries that were enqueued with it.
        deliveries: u32,
    },
    /// The same fact with the same data is known; nothing new is sent.
    Repeats {
        /// The event that said it first.
        event: EventId,
        /// The message that brought it.
        message: MessageId,
    },
    /// The same fact with other data, not declared a correction: kept for a person.
    Held {
        /// The number of the exception.
        exception: u64,
        /// The event that it contradicts.
        contradicts: EventId,
    },
}

/// One event's line in a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOutcome {
    /// The event.
    pub id: EventId,
    /// Its canonical type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its order keys, the flow's own first.
    pub keys: Vec<OrderKey>,
    /// What became of it.
    #[serde(flatten)]
    pub disposition: Disposition,
}

/// The proof that a document and its events are durable. Made by `journal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The message.
    pub message_id: MessageId,
    /// Who sent it.
    pub partner: PartnerName,
    /// `api/operation`.
    pub operation: String,
    /// The version of the API.
    pub version: VersionName,
    /// When it was received.
    pub received_at: Time,
    /// The revision that served it.
    pub revision: Revision,
    /// Digest of the document.
    pub document: Digest,
    /// The mapper that read it.
    pub mapper: MapperName,
    /// Its digest.
    pub mapper_digest: Digest,
    /// Its events.
    pub events: Vec<EventOutcome>,
    /// What the mapper remarked; never an error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// Units that could not be mapped, where the operation takes what could (`partial: true`). Nothing of them is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Rejected>,
    /// What an EDI sender waits for, where the operation answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Acknowledgement>,
}

/// A unit of a document that was not kept while its neighbours were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// `ST*945*0002`, as the mapper names it.
    pub unit: String,
    /// Where it is.
    pub at: Location,
    /// Why.
    pub errors: Vec<Diagnostic>,
}

/// A functional acknowledgement: X12 997 or 999, EDIFACT CONTRL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Its media type.
    pub media_type: String,
    /// The document.
    #[serde(flatten)]
    pub content: Content,
}

/// Bytes within JSON: as text where they are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// UTF-8.
    Text(String),
    /// Any other bytes, in base64.
    Base64(String),
}
