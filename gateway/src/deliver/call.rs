//! One call of a target: what is sent, what comes back, and how it can fail. `http.rs` makes real ones.

use std::sync::Arc;

use bytes::Bytes;

use super::{Later, target::Target};
use crate::words::{Document, Time};

mod http;
#[cfg(test)]
mod tests;

pub use self::http::HttpCall;

/// Calls targets. The real one speaks HTTP; tests put a simulated world in its place.
pub trait Call: Send + Sync {
    /// Sends the request and reads the answer, within the target's time-outs.
    ///
    /// # Errors
    /// No answer came; the error says whether the request may have arrived nonetheless.
    fn call(&self, target: Arc<Target>, request: Request) -> Later<'static, Result<Answer, CallError>>;
}

/// What is sent to a target.
#[derive(Clone, Debug)]
pub struct Request {
    /// The same on every attempt of one event to one target: goes out as `Idempotency-Key` and `webhook-id`.
    pub id: String,
    /// The body, its media type, and the parameters for the target's URL.
    pub document: Document,
    /// When it is sent; signed, so that a receiver can refuse old ones.
    pub at: Time,
    /// W3C trace context to go on with.
    pub traceparent: Option<String>,
    /// Most bytes of the answer's body to keep.
    pub keep_bytes: usize,
}

/// What a target answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After` as sent.
    pub retry_after: Option<String>,
    /// Media type without parameters, lower case; empty if none was sent.
    pub media_type: String,
    /// The beginning of the body.
    pub content: Bytes,
    /// Whether the body was longer than what is kept.
    pub cut: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request cannot be made from this document; nothing was sent, and nothing will change that.
    #[error("{0}")]
    Unsendable(String),
    /// The target's name has no address.
    #[error("the name of the target could not be resolved")]
    Unresolved,
    /// Nobody listens there.
    #[error("the target refused the connection")]
    Refused,
    /// No connection came to stand, for another reason.
    #[error("no connection to the target: {0}")]
    Unreachable(String),
    /// The TLS handshake failed.
    #[error("no secure connection to the target: {0}")]
    Tls(String),
    /// No answer in time.
    #[error("no answer in time, {}", arrived(*sent))]
    TimedOut {
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// The connection broke, or what came back was no HTTP.
    #[error("the connection broke, {}: {what}", arrived(*sent))]
    Broken {
        /// Whether the request may have arrived.
        sent: bool,
        /// What happened.
        what: String,
    },
}

impl CallError {
    /// Whether the target may have carried out the request although no answer came.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::TimedOut { sent } | Self::Broken { sent, .. } => *sent,
            Self::Unsendable(_) | Self::Unresolved | Self::Refused | Self::Unreachable(_) | Self::Tls(_) => {
                false
            }
        }
    }
}

fn arrived(sent: bool) -> &'static str {
    if sent { "the request may have arrived" } else { "before the request was sent" }
}

/// Longest excerpt of an answer that is kept with an attempt, in bytes.
const EXCERPT_BYTES: usize = 512;

/// Most characters of one error's text that are kept.
const ERROR_CHARS: usize = 200;

/// The beginning of a body, made safe to show in a terminal, a log or a page: text without control characters, every run of white space
/// one space, 512 bytes at most. None if there is nothing to read.
pub fn excerpt(content: &[u8]) -> Option<String> {
    // Twice the length leaves room for indentation that collapses.
    let text = String::from_utf8_lossy(&content[..content.len().min(4 * EXCERPT_BYTES)]);
    let mut safe = String::with_capacity(EXCERPT_BYTES);
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !safe.is_empty() {
            safe.push(' ');
        }
        safe.extend(word.chars().filter(|c| is_shown(*c)));
        if safe.len() > EXCERPT_BYTES {
            break;
        }
    }
    let mut end = safe.len().min(EXCERPT_BYTES);
    while !safe.is_char_boundary(end) {
        end -= 1;
    }
    safe.truncate(end);
    let safe = safe.trim_end();
    if safe.is_empty() { None } else { Some(safe.to_owned()) }
}

/// Characters that turn the direction of text or take no room can make a line say what it does not.
fn is_shown(c: char) -> bool {
    !matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// An error's text as it may be shown: safe like an excerpt, and short.
pub(super) fn short(text: &str) -> String {
    excerpt(text.as_bytes()).unwrap_or_default().chars().take(ERROR_CHARS).collect()
}
