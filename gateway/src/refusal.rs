//! Every way a request can be refused, in one enum; `problem.rs` says it to the caller.

use http::StatusCode;

use crate::{
    auth, canonical, contract, journal, mapper, spool, throttle,
    words::{Diagnostic, Mode, json},
};

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No valid credential; the reason is for the log alone.
    #[error("not authenticated: {0}")]
    Unauthenticated(#[from] auth::Error),
    /// A limit is exceeded.
    #[error("the limit `{}` is exceeded", .0.limit.name)]
    TooMany(Box<throttle::Exceeded>),
    /// Too many requests are under way, and the partner has its share of them.
    #[error(transparent)]
    Crowded(#[from] throttle::Crowded),
    /// Too many failed attempts came from this address, or claimed to be this one.
    #[error("too many failed attempts from this address or under this name")]
    TooManyFailures {
        /// When to come back.
        retry_after: std::time::Duration,
    },
    /// No operation has this path, or the caller may not know of it.
    #[error("no such operation")]
    NoOperation,
    /// The path is known, the method is not.
    #[error("method not allowed")]
    Method {
        /// The methods that are.
        allow: String,
    },
    /// The caller's partner has no grant for the operation in this version.
    #[error("no grant for {operation} {version}")]
    NotGranted {
        /// `api/operation`.
        operation: String,
        /// The version asked for.
        version: String,
        /// Where grants are written.
        rule: String,
    },
    /// The grant has a condition, and the request does not meet it.
    #[error("the condition at {rule} is not met: {why}")]
    Condition {
        /// Where it is written.
        rule: String,
        /// What came out, for the log.
        why: String,
    },
    /// The partner asserts an event of a type that is others' to assert.
    #[error("{kind} is not the partner's to assert, says {rule}")]
    NotOwner {
        /// The event's type.
        kind: String,
        /// Where its owners are written.
        rule: String,
    },
    /// The credential lacks scopes.
    #[error("the credential lacks the scopes {missing:?}")]
    Scopes {
        /// What is missing.
        missing: Vec<String>,
        /// Where they are asked for.
        rule: String,
    },
    /// No version of the operation answers.
    #[error(transparent)]
    Version(#[from] contract::Refused),
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] spool::Error),
    /// The body is empty where a document is needed.
    #[error("the body is empty")]
    Empty,
    /// The operation does not take this media type.
    #[error("media type `{sent}` is not taken")]
    MediaType {
        /// What was sent.
        sent: String,
        /// What is taken.
        taken: Vec<String>,
    },
    /// The body is encoded in a way that is not taken.
    #[error("content encoding `{0}` is not taken")]
    Encoding(String),
    /// The document is not the JSON that its schema speaks of.
    #[error("the document is not JSON: {0:?}")]
    NotJson(Box<Diagnostic>),
    /// The document breaks its schema.
    #[error("the document breaks its schema in {} places", .0.len())]
    Schema(Vec<Diagnostic>),
    /// The operation needs an `Idempotency-Key`.
    #[error("an idempotency key is required")]
    KeyRequired {
        /// Where it is asked for.
        rule: String,
    },
    /// The `Idempotency-Key` is not one.
    #[error("the idempotency key is malformed")]
    KeyMalformed,
    /// The key was used with another document.
    #[error("the idempotency key was used with another document")]
    KeyReused,
    /// The first request under this key is still being served.
    #[error("the idempotency key is in use")]
    KeyBusy,
    /// The mapper did not map the document.
    #[error("mapper {name}: {failure}")]
    Mapper {
        /// Its name and version.
        name: String,
        /// What happened.
        failure: mapper::Failure,
        /// Where the policy names it.
        rule: String,
    },
    /// The mapper's events break the canonical model.
    #[error("mapper {name}: {error}")]
    Canonical {
        /// Its name and version.
        name: String,
        /// How.
        error: canonical::Error,
    },
    /// The mapper found no events in the document.
    #[error("mapper {name} found nothing in the document")]
    NoEvents {
        /// Its name and version.
        name: String,
    },
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The target of a proxy operation did not answer.
    #[error("target {target}: {what}")]
    Target {
        /// Its name.
        target: String,
        /// What happened, for the log.
        what: String,
        /// Whether it may work later.
        retryable: bool,
    },
    /// The partners' own door was asked for something that it does not understand.
    #[error("{0}")]
    Asked(String),
    /// The event to go on from is not there, or not this partner's.
    #[error("the event to go on from is not there")]
    NoCursor,
    /// Too many follow their events already.
    #[error("too many follow their events")]
    TooManyFollowers,
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopping,
    /// A message that this partner never sent.
    #[error("no such message")]
    NoMessage,
    /// An operation lacks what it needs to answer in its mode: an exchange its mapper, whose stored file is damaged;
    /// a proxy its target.
    #[error("the operation lacks what mode {0:?} needs")]
    Mode(Mode),
}

/// Who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The one who called.
    Caller,
    /// The mapper's author.
    Mapper,
    /// Whoever runs the gateway.
    Gateway,
    /// The system behind it.
    Target,
}

/// How a refusal is classed: the stable part of what a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Status of the answer.
    pub status: StatusCode,
    /// Last part of the problem's `type`.
    pub name: &'static str,
    /// The problem's `title`.
    pub title: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Refusal {
    /// The refusal with what its operator may read and its sender may not.
    pub fn for_the_log(&self) -> String {
        match self {
            Self::Mapper { name, failure, .. } => format!("mapper {name}: {}", failure.on_one_line()),
            other => other.to_string(),
        }
    }

    /// Classes the refusal; every variant is named, so that a new one cannot be forgotten.
    pub fn class(&self) -> Class {
        use Fault::{Caller, Gateway, Mapper, Target};
        let (status, name, title, fault, retryable) = match self {
            Self::Unauthenticated(error) if error.is_retryable() => {
                (503, "keys-unavailable", "The issuer's keys cannot be had just now", Gateway, true)
            }
            Self::Unauthenticated(_) => {
                (401, "unauthenticated", "The credential is missing or not valid", Caller, false)
            }
            Self::TooMany(_) => (429, "limit-exceeded", "A limit is exceeded", Caller, true),
            Self::Crowded(_) => (503, "overloaded", "The gateway has too much in flight", Gateway, true),
            Self::TooManyFailures { .. } => {
                (429, "too-many-failures", "Too many failed attempts", Caller, true)
            }
            Self::NoOperation => (404, "no-operation", "No operation has this path", Caller, false),
            Self::Method { .. } => {
                (405, "method-not-allowed", "The operation has another method", Caller, false)
            }
            Self::NotGranted { .. } => (403, "not-granted", "The operation is not granted", Caller, false),
            Self::Condition { .. } => {
                (403, "condition-not-met", "A condition of the grant is not met", Caller, false)
            }
            Self::NotOwner { .. } => {
                (403, "not-owner", "Events of this type are for others to assert", Caller, false)
            }
            Self::Scopes { .. } => (403, "scope-missing", "The credential lacks a scope", Caller, false),
            Self::Version(contract::Refused::Unnamed) => {
                (400, "version-unnamed", "No version was named", Caller, false)
            }
            Self::Version(contract::Refused::Unknown { .. }) => {
                (404, "version-unknown", "There is no such version", Caller, false)
            }
            Self::Version(contract::Refused::Retired { .. }) => {
                (410, "version-retired", "The version is retired", Caller, false)
            }
            Self::Version(contract::Refused::NotGranted { .. }) => {
                (403, "not-granted", "The operation is not granted", Caller, false)
            }
            Self::Body(spool::Error::TooLarge { .. }) => {
                (413, "too-large", "The document is too large", Caller, false)
            }
            Self::Body(spool::Error::TooSlow(_)) => {
                (408, "too-slow", "The document did not arrive in time", Caller, true)
            }
            Self::Body(spool::Error::Broken) => {
                (400, "broken-off", "The document was not sent whole", Caller, true)
            }
            Self::Body(spool::Error::Full) => {
                (503, "overloaded", "The gateway has too much in flight", Gateway, true)
            }
            Self::Body(spool::Error::Disk(_)) => {
                (503, "spool-failed", "The gateway could not keep the document", Gateway, true)
            }
            Self::Empty => (400, "empty", "The document is empty", Caller, false),
            Self::MediaType { .. } => (415, "media-type", "The media type is not taken", Caller, false),
            Self::Encoding(_) => {
                (415, "content-encoding", "The content encoding is not taken", Caller, false)
            }
            Self::NotJson(_) => (400, "not-json", "The document is not JSON", Caller, false),
            Self::Schema(_) => (422, "schema-violated", "The document breaks its schema", Caller, false),
            Self::KeyRequired { .. } => {
                (400, "idempotency-key-required", "An Idempotency-Key is required", Caller, false)
            }
            Self::KeyMalformed => {
                (400, "idempotency-key-malformed", "The Idempotency-Key is malformed", Caller, false)
            }
            Self::KeyReused => (
                422,
                "idempotency-key-reused",
                "The Idempotency-Key was used with another document",
                Caller,
                false,
            ),
            Self::KeyBusy => (
                409,
                "idempotency-key-in-use",
                "The first request under this Idempotency-Key is still being served",
                Caller,
                true,
            ),
            Self::Mapper { failure, .. } => match failure {
                mapper::Failure::Refused(_) => {
                    (422, "mapping-refused", "The document could not be mapped", Caller, false)
                }
                mapper::Failure::Limit { .. } => {
                    (422, "mapper-limit", "The document took its mapper past a limit", Mapper, false)
                }
                mapper::Failure::Trapped { .. } => {
                    (500, "mapper-trapped", "The mapper failed on this document", Mapper, false)
                }
                mapper::Failure::Nonsense { .. } => {
                    (500, "mapper-nonsense", "The mapper's output breaks the contract", Mapper, false)
                }
                mapper::Failure::Wasteful { .. } => {
                    (429, "mapper-limits-met", "Too many documents met a limit of their mapper", Mapper, true)
                }
                mapper::Failure::Broken => (500, "mapper-host", "The mapper host failed", Gateway, true),
                mapper::Failure::Overloaded => {
                    (503, "overloaded", "The mappers have too much to do", Gateway, true)
                }
                mapper::Failure::TooLong => {
                    (503, "mapper-starved", "The mapper got too little time", Gateway, true)
                }
            },
            Self::Canonical { .. } => {
                (500, "not-canonical", "The mapper's events break the canonical model", Mapper, false)
            }
            Self::NoEvents { .. } => {
                (422, "no-events", "Nothing in the document makes an event", Caller, false)
            }
            Self::Journal(journal::Error::Full) => {
                (503, "store-full", "The store is full; nothing was kept", Gateway, true)
            }
            Self::Journal(journal::Error::Busy) => {
                (503, "store-behind", "The store is too far behind; nothing was kept", Gateway, true)
            }
            Self::Journal(journal::Error::Stopped(_)) => {
                (503, "store-stopped", "The store has stopped; nothing was kept", Gateway, true)
            }
            Self::Journal(journal::Error::NotFound(_)) => {
                (404, "not-found", "There is no such thing", Caller, false)
            }
            Self::Journal(journal::Error::Unreadable(_)) => {
                (503, "store-unreadable", "The store cannot be read; nothing was kept", Gateway, true)
            }
            Self::Target { retryable, .. } => (
                502,
                "target-failed",
                "The system behind this operation did not answer as it should",
                Target,
                *retryable,
            ),
            Self::Asked(_) => (400, "asked-wrongly", "The question cannot be read", Caller, false),
            Self::NoCursor => (410, "no-cursor", "The event to go on from is not kept", Caller, false),
            Self::TooManyFollowers => {
                (503, "too-many-followers", "Too many follow their events already", Gateway, true)
            }
            Self::Stopping => (503, "stopping", "The gateway is stopping", Gateway, true),
            Self::NoMessage => (404, "no-message", "There is no such message", Caller, false),
            Self::Mode(Mode::Exchange) => {
                (503, "mapper-unusable", "The operation's mapper cannot be used just now", Gateway, true)
            }
            Self::Mode(Mode::Proxy) => (500, "mode", "The operation is set up wrongly", Gateway, false),
        };
        let status = StatusCode::from_u16(status).expect("the statuses above are legal");
        Class { status, name, title, fault, retryable }
    }
}

impl From<throttle::Exceeded> for Refusal {
    fn from(exceeded: throttle::Exceeded) -> Self {
        Self::TooMany(Box::new(exceeded))
    }
}

/// A JSON syntax error as a diagnostic with its place.
pub fn not_json(error: &json::Error) -> Refusal {
    Refusal::NotJson(Box::new(Diagnostic {
        severity: crate::words::Severity::Error,
        code: "not-json".to_owned(),
        standard_code: None,
        at: Some(crate::words::Location {
            scheme: "bytes".to_owned(),
            path: error.offset.to_string(),
            offset: Some(error.offset),
            length: None,
        }),
        message: error.message.clone(),
        rule: None,
    }))
}
