//! `tests/*.yaml`: what the policies must decide, as their authors say it.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

use super::checked::Origin;
use crate::words::{PartnerName, SubscriptionName, Time, VersionName};

/// A call, and what must become of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Where it stands.
    pub origin: Origin,
    /// The sentence that names it.
    pub name: String,
    /// Who calls: the same is expected for each.
    pub callers: Vec<As>,
    /// What is called.
    pub call: Call,
    /// The moment of the call; none: now.
    pub on: Option<Time>,
    /// What must become of it.
    pub expect: Expect,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq)]
pub enum As {
    /// Nobody: the call carries no credential.
    Nobody,
    /// A partner, by one of its credentials.
    Partner {
        /// The partner.
        name: PartnerName,
        /// The credential; none: its only one.
        credential: Option<Arc<str>>,
        /// The scopes that its token brings; a key has its own.
        scopes: Vec<String>,
    },
    /// Whoever owns a token with these claims.
    Token {
        /// The issuer's name in the policy.
        issuer: Arc<str>,
        /// The claims.
        claims: Map<String, Value>,
    },
}

/// What is called.
#[derive(Clone, Debug)]
pub struct Call {
    /// `POST`.
    pub method: String,
    /// `/v2/shipments/confirmations`, as it is sent.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The document.
    pub body: Body,
}

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// There is none.
    None,
    /// It stands in the test.
    Text(String),
    /// A file, seen from the folder of the test.
    File(PathBuf),
}

/// What must become of a call, with the place of each expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// It is accepted.
    Accept {
        /// Where that is said.
        origin: Origin,
        /// In this version.
        version: Option<(VersionName, Origin)>,
        /// It makes events of these types, in this order.
        events: Option<(Vec<String>, Origin)>,
        /// Which go by these subscriptions, each at least once, and by no others.
        deliveries: Option<(Vec<SubscriptionName>, Origin)>,
    },
    /// It is refused.
    Refuse {
        /// Where that is said.
        origin: Origin,
        /// The last part of the problem's `type`.
        problem: Option<(String, Origin)>,
        /// Status of the answer.
        status: Option<(u16, Origin)>,
        /// The rule that decides: a file, or a file and a line.
        rule: Option<(String, Origin)>,
        /// A place in the document that is pointed at.
        at: Option<(String, Origin)>,
    },
}
