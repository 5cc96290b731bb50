//! Partners with their credentials and limits.

use std::{sync::Arc, time::Duration};

use super::{Origin, SecretRef};
use crate::{
    auth::SignatureAlgorithm,
    throttle::Quota,
    words::{Digest, PartnerName, Subject, Time},
};

/// One partner.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: PartnerName,
    /// What people call it.
    pub title: Option<String>,
    /// Who is responsible for it.
    pub owner: Option<String>,
    /// IANA zone for times that carry none.
    pub zone: Option<String>,
    /// Interchange identities.
    pub edi: Option<Edi>,
    /// Its credentials.
    pub credentials: Vec<Credential>,
    /// Its limits.
    pub limits: Limits,
    /// Its share when there is more to do than can be done, against 1 of the others.
    pub weight: u32,
}

/// Interchange identities (X12 ISA06 and ISA08; IDoc SNDPRN and RCVPRN).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edi {
    /// Who sends.
    pub sender: String,
    /// Who receives.
    pub receiver: String,
}

/// One credential of a partner.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Where it stands.
    pub origin: Origin,
    /// Its name, shown in logs.
    pub name: Arc<str>,
    /// What it is.
    pub kind: CredentialKind,
    /// The scopes it carries; those of a token come from the token, and this is empty.
    pub scopes: Arc<[String]>,
    /// Its own limits.
    pub limits: Limits,
}

/// What a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    ApiKey {
        /// SHA-256 of the key.
        sha256: Digest,
        /// The first moment at which it is no longer good.
        expires: Option<Time>,
    },
    /// The certificate that a client shows in the TLS handshake.
    Certificate(CertificateName),
    /// Webhooks signed by Standard Webhooks.
    Webhook {
        /// Any of these secrets or public keys.
        secrets: Vec<SecretRef>,
        /// How far a timestamp may be from now.
        tolerance: Duration,
        /// The first moment at which they are no longer good.
        expires: Option<Time>,
    },
    /// Requests signed by RFC 9421.
    Signature {
        /// The key's name in requests.
        keyid: String,
        /// The algorithm that it is pinned to.
        algorithm: SignatureAlgorithm,
        /// A public key in PEM, or a shared secret.
        key: SecretRef,
        /// Components that must be covered.
        components: Vec<String>,
        /// How long after `created` a request is taken.
        window: Duration,
        /// The application that it must be meant for.
        tag: Option<String>,
        /// The first moment at which it is no longer good.
        expires: Option<Time>,
    },
    /// A token that an issuer signed.
    Jwt {
        /// A name of `issuers.yaml`.
        issuer: Arc<str>,
        /// Claims that must have exactly one of these values.
        claims: Vec<(String, Vec<String>)>,
    },
}

/// By what a client certificate is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// Its whole subject.
    Subject(Subject),
    /// A subject alternative name with its kind: `dns:edi.acme.example`.
    San(String),
    /// SHA-256 of its DER form.
    Fingerprint(Digest),
}

/// Limits of a partner, a credential or an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a time.
    pub rate: Option<Rate>,
    /// So much in a period.
    pub quotas: Vec<Quota>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
    /// They refuse nobody and count whom they would have.
    pub shadow: bool,
}

/// `rate: 50/s` with `burst: 100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many requests, at least 1 …
    pub requests: u32,
    /// … in this time.
    pub per: Duration,
    /// So many at once, at least 1; `requests` where the file says nothing.
    pub burst: u32,
}
