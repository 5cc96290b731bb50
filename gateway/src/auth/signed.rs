//! Requests that prove whose they are by a signature over what they say: the body has to be read before its sender is
//! known. Until then a request only claims to be somebody's.

use super::{Error, message::Message, webhook::Webhook};
use crate::words::Caller;

/// Whose a request is, or says it is.
#[derive(Debug)]
pub enum Identified {
    /// Known from its header fields or its connection.
    Known(Caller),
    /// Claimed; its body decides.
    Signed(Box<Signed>),
}

/// A claim that a body proves or refutes.
#[derive(Debug)]
pub struct Signed(pub(super) Claim);

#[derive(Debug)]
pub(super) enum Claim {
    Webhook(Webhook),
    Message(Message),
}

/// What makes a signed request a repetition of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Its `Idempotency-Key`, which the signature covers.
    Header,
    /// This, which nobody can change without breaking the signature.
    Key(String),
}

impl Signed {
    /// What makes it a repetition. A field that is not signed could be changed by whoever replays the request.
    pub fn repeats(&self) -> Repeats {
        match &self.0 {
            Claim::Webhook(webhook) => Repeats::Key(webhook.id().to_owned()),
            Claim::Message(message) => message.repeats(),
        }
    }

    /// The sender, if the signature is over this body.
    ///
    /// # Errors
    /// It is not.
    pub fn prove(self, body: &[u8]) -> Result<Caller, Error> {
        match self.0 {
            Claim::Webhook(webhook) => webhook.prove(body),
            Claim::Message(message) => message.prove(body),
        }
    }
}
