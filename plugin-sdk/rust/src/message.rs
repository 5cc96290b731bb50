//! What the gateway hands to a mapper and takes from it.

use serde::de::DeserializeOwned;

use crate::{Diagnostic, Location, Pairs, Refusal, canonical::Time};

const NOT_A_TIME: &str = "a time is needed, as in 2026-11-20T14:05:00+01:00";

/// Which half of a synchronous call a document belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A caller's question, or any document that is not part of a call.
    #[default]
    Request,
    /// A target's answer.
    Answer,
}

/// One unit that the gateway framed out of a larger document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its number, from zero.
    pub index: u32,
    /// `transaction-set`, `message`, `row`, `element` or `line`.
    pub unit: String,
    /// Where it begins in the whole document, in bytes.
    pub offset: u64,
    /// The segments or the header row that enclose it.
    pub envelope: Vec<u8>,
}

/// What a mapper knows besides the document. The same context and document always give the same result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The partner's name in the policies.
    pub partner: String,
    /// The interchange's sender, where the format has one.
    pub sender: String,
    /// The interchange's receiver.
    pub receiver: String,
    /// The operation.
    pub operation: String,
    /// Its version.
    pub version: String,
    /// Which half of a synchronous call.
    pub stage: Stage,
    /// When the document was received, RFC 3339: the only clock a mapper sees.
    pub received_at: String,
    /// IANA zone for times that carry none, where the policy knows it.
    pub zone: Option<String>,
    /// Control numbers that the gateway took for this document: `("isa13", "000000042")`.
    pub control_numbers: Pairs,
    /// Which part of a larger document this is.
    pub part: Option<Part>,
    /// The mapper's configuration from the policy, JSON.
    pub config: Vec<u8>,
    /// Room to grow: names that today's mapper ignores.
    pub more: Pairs,
}

impl Context {
    /// The control number of a kind.
    pub fn control_number(&self, kind: &str) -> Option<&str> {
        self.control_numbers.iter().find(|(name, _)| name == kind).map(|(_, number)| number.as_str())
    }

    /// A time of the document: a moment where it states its offset, else local, in the partner's zone if the policy
    /// knows it. Say with [`Time::actual`] and its like what it is.
    ///
    /// # Errors
    /// It is no time in the form of RFC 3339 (`not-a-time`, at the place). Nothing is made up for it.
    pub fn time(&self, text: &str, at: Location) -> Result<Time, Refusal> {
        match Time::read(text) {
            Some(time) if time.local.is_some() => Ok(time.in_zone(self.zone.as_deref().unwrap_or_default())),
            Some(time) => Ok(time),
            None => Err(Diagnostic::error("not-a-time", NOT_A_TIME).at(at).into()),
        }
    }

    /// The mapper's configuration; the type's default where the policy gives none.
    ///
    /// # Errors
    /// The configuration does not have the form that the mapper wants.
    pub fn config<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.config.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&self.config)
            .map_err(|error| Diagnostic::error("configuration", error.to_string()).into())
    }
}

/// A document in a vendor's own format, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Media type without parameters: `application/edi-x12`.
    pub media_type: String,
    /// The bytes as they were sent.
    pub content: Vec<u8>,
    /// Path, query and file name.
    pub parameters: Pairs,
    /// Room to grow.
    pub more: Pairs,
}

impl Input {
    /// The content as text.
    ///
    /// # Errors
    /// It is not UTF-8; the diagnostic says where.
    pub fn text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(&self.content).map_err(|error| {
            let place = Location::new("bytes", error.valid_up_to().to_string()).bytes(error.valid_up_to(), 1);
            Diagnostic::error("not-utf8", "the document is not UTF-8").at(place).into()
        })
    }

    /// The content as JSON.
    ///
    /// # Errors
    /// It is no JSON, or not of this form; the diagnostic says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.content).map_err(|error| {
            let offset = offset_of(&self.content, error.line(), error.column());
            // What ends too early is wrong at its end, where there is no byte to point at.
            let length = usize::from(offset < self.content.len());
            let place = Location::new("bytes", format!("line {}, column {}", error.line(), error.column()))
                .bytes(offset, length);
            Diagnostic::error("not-understood", error.to_string()).at(place).into()
        })
    }
}

/// The byte at a line and column, both from one.
fn offset_of(content: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        content.split(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum();
    (before + column.saturating_sub(1)).min(content.len())
}

/// A document in a target's own format, as it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Media type.
    pub media_type: String,
    /// The bytes.
    pub content: Vec<u8>,
    /// Values for the target's URL template and the headers that it allows.
    pub parameters: Pairs,
    /// Room to grow.
    pub more: Pairs,
}

impl Output {
    /// A document of a media type.
    pub fn new(media_type: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.to_owned(), content: content.into(), ..Self::default() }
    }

    /// Adds a value for the target's URL template or a header.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }
}

/// How one part of a document ended, for the acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Which part.
    pub part: Part,
    /// Are its events durable?
    pub accepted: bool,
    /// What was said about it.
    pub diagnostics: Vec<Diagnostic>,
    /// Room to grow.
    pub more: Pairs,
}
