//! First stage: whose request this is. API keys by their hash, tokens (JWT, RFC 7519) by issuers whose
//! algorithms and keys are pinned. A caller learns nothing but "not authenticated"; the log learns why.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use subtle::ConstantTimeEq;

use crate::words::{Caller, Certificate, Digest, PartnerName, Peer, Time};

mod algorithm;
mod cache;
mod certificate;
mod claimed;
mod fetch;
mod keyset;
mod message;
mod signed;
mod token;
mod webhook;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use certificate::{CertificateRule, KnownBy};
pub use claimed::claimed;
pub use fetch::{Fetch, FetchError};
pub use keyset::{KeySet, KeySetError};
pub use message::{SignatureAlgorithm, SignerRule, VerifyingKey};
pub use signed::{Identified, Repeats, Signed};
pub use webhook::WebhookRule;

use cache::Cache;
use message::Message;
use signed::Claim;
use webhook::Webhook;

/// Longest token or key that is looked at, in bytes. Real ones stay below 4 KiB; a header is at most 16 KiB.
const LONGEST: usize = 8 * 1024;

/// Somebody whose tokens are believed, as far as its pinned algorithms and keys go.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name in the policy; rules refer to it.
    pub name: Arc<str>,
    /// The `iss` claim, character for character.
    pub iss: String,
    /// Who we are to it: one of these must be in `aud`. None means that no token of it is for us.
    pub audience: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Claims that must be there and not be empty, beside `iss`, `aud` and `exp`, which always must.
    pub required_claims: Vec<String>,
    /// Whether each of its tokens must be bound to the certificate of the client that shows it.
    pub certificate_bound: bool,
    /// How far its clock may be from ours.
    pub leeway: Duration,
    /// Its keys.
    pub keys: Arc<KeySet>,
}

/// A secret that a partner sends as it is. Only its hash is known here.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Whose.
    pub partner: PartnerName,
    /// Its name in the policy.
    pub credential: Arc<str>,
    /// SHA-256 of the whole secret, prefix included.
    pub sha256: Digest,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// From when on it is void.
    pub expires: Option<Time>,
}

/// Which tokens speak for a partner.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// For whom.
    pub partner: PartnerName,
    /// The credential's name in the policy.
    pub credential: Arc<str>,
    /// The issuer's name in the policy.
    pub issuer: Arc<str>,
    /// Claims that must all have one of their values, or contain it where they are lists. A rule without claims
    /// matches nothing: a token is somebody's only because the policy says by what.
    pub claims: Vec<(String, Vec<String>)>,
}

/// Why a request is nobody's. The text is for the log and holds nothing secret; a caller gets [`Error::public`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No credential at all.
    #[error("no credential")]
    Missing,
    /// Something that is no credential, or more than one.
    #[error("malformed credential: {0}")]
    Malformed(&'static str),
    /// An API key that nobody has.
    #[error("unknown api key")]
    Unknown,
    /// It was good once.
    #[error("expired: {0}")]
    Expired(String),
    /// It will be good later.
    #[error("the token is not valid before {0}")]
    NotYet(Time),
    /// The token's header asks for something that is never done.
    #[error("token header refused: {0}")]
    Header(&'static str),
    /// `iss` is missing or nobody known.
    #[error("unknown issuer `{0}`")]
    Issuer(String),
    /// The algorithm is not one that the issuer is pinned to.
    #[error("algorithm `{algorithm}` is not pinned for issuer `{issuer}`")]
    Algorithm {
        /// What the token said.
        algorithm: String,
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// No key of the issuer fits the token.
    #[error("no key `{kid}` of issuer `{issuer}` fits the token's algorithm")]
    Key {
        /// What the token said, or nothing.
        kid: String,
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// The signature is not the issuer's.
    #[error("wrong signature for issuer `{0}`")]
    Signature(Arc<str>),
    /// A claim is missing or has a wrong value.
    #[error("claim `{claim}` {why}")]
    Claim {
        /// Its name.
        claim: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A good token that no rule gives to a partner.
    #[error("no partner has this token of issuer `{0}`")]
    Nobody(Arc<str>),
    /// A good token that rules give to several partners.
    #[error("the token of issuer `{issuer}` matches credentials of `{first}` and `{second}`")]
    Ambiguous {
        /// The issuer's name.
        issuer: Arc<str>,
        /// One partner.
        first: PartnerName,
        /// Another.
        second: PartnerName,
    },
    /// A client certificate that is nobody's.
    #[error("certificate `{subject}`: {why}")]
    Certificate {
        /// Whose it says it is.
        subject: String,
        /// What is wrong.
        why: String,
    },
    /// A webhook (Standard Webhooks) whose signature does not hold.
    #[error("webhook: {0}")]
    Webhook(&'static str),
    /// A request whose signature (RFC 9421) does not hold.
    #[error("signature of key `{keyid}`: {why}")]
    Message {
        /// The key that it names, or nothing.
        keyid: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The issuer's keys could not be had for too long.
    #[error("keys of issuer `{issuer}` are not available: {why}")]
    KeysUnavailable {
        /// The issuer's name.
        issuer: Arc<str>,
        /// The last failure.
        why: String,
    },
}

impl Error {
    /// What the caller reads: the same for every reason, so that it can't be used to guess.
    pub fn public(&self) -> &'static str {
        "the request carries no valid credential"
    }

    /// What kind of failure it was, for figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Unknown => "unknown-key",
            Self::Expired(_) | Self::NotYet(_) => "not-in-time",
            Self::Header(_) | Self::Algorithm { .. } | Self::Key { .. } | Self::Signature(_) => {
                "token-signature"
            }
            Self::Issuer(_) => "issuer",
            Self::Claim { .. } => "claim",
            Self::Nobody(_) | Self::Ambiguous { .. } => "nobody",
            Self::Certificate { .. } => "certificate",
            Self::Webhook(_) => "webhook",
            Self::Message { .. } => "message-signature",
            Self::KeysUnavailable { .. } => "keys-unavailable",
        }
    }

    /// Whether the same request may succeed later without a change: only when the keys were not to be had.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::KeysUnavailable { .. })
    }
}

/// Whom one revision of the policies believes, and by what.
#[derive(Debug, Default)]
pub struct Believed {
    /// API keys.
    pub keys: Vec<ApiKey>,
    /// Issuers of tokens.
    pub issuers: Vec<Issuer>,
    /// Whose their tokens are.
    pub rules: Vec<TokenRule>,
    /// Client certificates.
    pub certificates: Vec<CertificateRule>,
    /// Secrets of webhooks.
    pub webhooks: Vec<WebhookRule>,
    /// Keys that sign requests.
    pub signers: Vec<SignerRule>,
}

/// Tells whose a request is. Built from one revision of the policies and never changed; key sets are shared
/// with the next revision.
#[derive(Debug)]
pub struct Authenticator {
    keys: HashMap<[u8; 8], Vec<ApiKey>>,
    issuers: Vec<Issuer>,
    rules: Vec<TokenRule>,
    certificates: Vec<CertificateRule>,
    webhooks: Vec<Arc<WebhookRule>>,
    signers: Vec<Arc<SignerRule>>,
    cache: Cache,
}

impl Authenticator {
    /// An authenticator that believes these and nobody else.
    pub fn new(believed: Believed) -> Self {
        let Believed { keys, issuers, rules, certificates, webhooks, signers } = believed;
        let (webhooks, signers) = (webhooks.into_iter().map(Arc::new), signers.into_iter().map(Arc::new));
        let (webhooks, signers) = (webhooks.collect(), signers.collect());
        let mut by_hash: HashMap<_, Vec<_>> = HashMap::new();
        for key in keys {
            by_hash.entry(bin(&key.sha256)).or_default().push(key);
        }
        Self { keys: by_hash, issuers, rules, certificates, webhooks, signers, cache: Cache::default() }
    }

    /// Reads the one credential of a request: `Authorization: Bearer` with a token or an API key,
    /// `Authorization: ApiKey`, or `X-Api-Key`; without any of them a message signature, a webhook's signature or the
    /// client's certificate, the first that is there. Waits only while an issuer's keys are fetched because the token
    /// names one that is not known yet.
    ///
    /// # Errors
    /// The request is nobody's; see [`Error`].
    pub async fn authenticate(&self, head: &Parts, peer: &Peer, now: Time) -> Result<Identified, Error> {
        let known = match (credential(&head.headers)?, &peer.certificate) {
            (Some(Credential::Key(secret)), _) => self.api_key(secret, now),
            (Some(Credential::Token(token)), shown) => self.token(token, shown.as_deref(), now).await,
            (None, shown) => {
                if let Some(claim) = self.signed(head, peer, now)? {
                    return Ok(Identified::Signed(Box::new(Signed(claim))));
                }
                let shown = shown.as_ref().ok_or(Error::Missing)?;
                certificate::caller(&self.certificates, shown, now)
            }
        };
        known.map(Identified::Known)
    }

    /// Whose the API key among these header fields is: for rehearsals, to which nothing else can be shown.
    ///
    /// # Errors
    /// There is none, or it is nobody's.
    pub fn keyed(&self, headers: &HeaderMap, now: Time) -> Result<Caller, Error> {
        match credential(headers)? {
            Some(Credential::Key(secret)) => self.api_key(secret, now),
            Some(Credential::Token(_)) | None => Err(Error::Missing),
        }
    }

    fn signed(&self, head: &Parts, peer: &Peer, now: Time) -> Result<Option<Claim>, Error> {
        if let Some(message) = Message::read(head, peer, &self.signers, now)? {
            return Ok(Some(Claim::Message(message)));
        }
        Ok(Webhook::read(head, &self.webhooks, now)?.map(Claim::Webhook))
    }

    fn api_key(&self, secret: &str, now: Time) -> Result<Caller, Error> {
        let digest = Digest::of(secret.as_bytes());
        // The hash is taken first, so the time of the look-up says nothing about a secret.
        let same = |key: &&ApiKey| bool::from(key.sha256.as_bytes().ct_eq(digest.as_bytes()));
        let key = self.keys.get(&bin(&digest)).into_iter().flatten().find(same).ok_or(Error::Unknown)?;
        if key.expires.is_some_and(|expires| now >= expires) {
            return Err(Error::Expired(format!("api key `{}` of `{}`", key.credential, key.partner)));
        }
        Ok(Caller {
            partner: key.partner.clone(),
            credential: Arc::clone(&key.credential),
            scopes: Arc::clone(&key.scopes),
        })
    }

    async fn token(&self, token: &str, shown: Option<&Certificate>, now: Time) -> Result<Caller, Error> {
        let digest = Digest::of(token.as_bytes());
        if let Some((caller, bound)) = self.cache.get(&digest, now) {
            return certificate::hold(bound.as_ref(), shown).map(|()| caller);
        }
        let verified = token::verify(token, &self.issuers, now).await?;
        certificate::hold(verified.bound.as_ref(), shown)?;
        let caller = self.whose(&verified.issuer.name, &verified.claims)?;
        self.cache.put(digest, &caller, &verified);
        Ok(caller)
    }

    /// Whose a token of this issuer is that carries these claims. It verifies nothing: for tokens that were
    /// verified, and for rehearsals, which have no token at all.
    ///
    /// # Errors
    /// Nobody's, or several partners'.
    pub fn whose(
        &self,
        issuer: &Arc<str>,
        claims: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Caller, Error> {
        let mut matching =
            self.rules.iter().filter(|rule| rule.issuer == *issuer && token::matches(claims, &rule.claims));
        let rule = matching.next().ok_or_else(|| Error::Nobody(Arc::clone(issuer)))?;
        if let Some(other) = matching.find(|other| other.partner != rule.partner) {
            return Err(Error::Ambiguous {
                issuer: Arc::clone(issuer),
                first: rule.partner.clone(),
                second: other.partner.clone(),
            });
        }
        Ok(Caller {
            partner: rule.partner.clone(),
            credential: Arc::clone(&rule.credential),
            scopes: token::scopes(claims),
        })
    }
}

fn bin(digest: &Digest) -> [u8; 8] {
    let bytes = digest.as_bytes();
    std::array::from_fn(|i| bytes[i])
}

enum Credential<'a> {
    Key(&'a str),
    Token(&'a str),
}

fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Error> {
    let authorization = headers.get_all(AUTHORIZATION).iter();
    let mut all = authorization
        .map(|value| (true, value))
        .chain(headers.get_all("x-api-key").iter().map(|value| (false, value)));
    let Some((is_authorization, value)) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Error::Malformed("more than one credential"));
    }
    let value = value.to_str().map_err(|_| Error::Malformed("not printable ASCII"))?.trim_matches(' ');
    let (scheme, secret) = match is_authorization {
        true => value.split_once(' ').ok_or(Error::Malformed("no scheme before the credential"))?,
        false => ("ApiKey", value),
    };
    let secret = secret.trim_start_matches(' ');
    if secret.is_empty() || secret.len() > LONGEST {
        return Err(Error::Malformed("empty, or longer than 8 KiB"));
    }
    if secret.contains([' ', ',']) {
        return Err(Error::Malformed("more than one word after the scheme"));
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        let is_token = !secret.starts_with("xd_") && secret.contains('.');
        Ok(Some(if is_token { Credential::Token(secret) } else { Credential::Key(secret) }))
    } else if scheme.eq_ignore_ascii_case("apikey") {
        Ok(Some(Credential::Key(secret)))
    } else {
        Err(Error::Malformed("a scheme other than Bearer and ApiKey"))
    }
}

#[cfg(test)]
mod tests;
