//! Ground floor: identifiers, places, and the proof types that one stage hands to the next. No I/O.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod form;
mod ids;
pub mod json;
mod name;
mod peer;
mod proof;
mod time;
pub mod webhook;

pub use form::decode_form;
pub use ids::{EventId, IdSource, MessageId, Random, SystemRandom};
pub use name::{
    ApiName, EstateName, InvalidName, MapperName, OperationName, PartnerName, SubscriptionName, TargetName,
    VersionName,
};
pub use peer::{Certificate, Peer, Subject};
pub use proof::{
    Acknowledgement, Caller, Content, Disposition, Document, Draft, Event, EventOutcome, Identity, Inbound,
    Key, Mode, OrderKey, Permit, RateLimit, Receipt, Rejected, Unit,
};
pub use time::{Clock, SystemClock, Time};

/// A SHA-256 digest: of a document, a mapper, a policy folder. Shown as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest read back from where it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// The hash of everything in force: policies, schemas, tables and mapper digests. It is on every
/// receipt, refusal, audit line and span; people see its first eight digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Revision(Arc<str>);

impl From<String> for Revision {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0.as_ref().to_owned()
    }
}

impl Revision {
    /// The revision of a digest.
    pub fn new(digest: Digest) -> Self {
        Self(digest.short().into())
    }

    /// A revision read back from where it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a diagnostic weighs. Only `Error` refuses a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Accepted, but somebody should look.
    Warning,
    /// Not accepted.
    Error,
}

/// A place in the sender's own document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// `json-pointer`, `xpath`, `x12`, `edifact`, `csv` or `bytes`.
    pub scheme: String,
    /// The place in that scheme: `/items/0/lot`, `ST*945*0001/LX[2]/W12/3`.
    pub path: String,
    /// First byte of the place within the document, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes of the place, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

/// One thing to say about a sender's document, with its place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// A stable word: `shipped-exceeds-ordered`.
    pub code: String,
    /// The standard's own code for acknowledgements (X12 element 723, EDIFACT 0085, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_code: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
    /// What, in the sender's words.
    pub message: String,
    /// The policy or schema rule that says so: `schemas/acme/ship-confirm.v2.json#/required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A name and its value; order and repeats are kept.
pub type Pairs = Vec<(String, String)>;
