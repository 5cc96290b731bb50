//! Webhooks that come in by Standard Webhooks (specification 1.0.0): `webhook-id`, `webhook-timestamp` and
//! `webhook-signature` over id, timestamp and body.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, request::Parts};
use ring::{hmac, signature};
use subtle::ConstantTimeEq;

use super::Error;
use crate::words::{Caller, PartnerName, Time, webhook::WebhookSecret};

/// Signatures of one request that are looked at. Senders put one for each secret while they rotate: two, seldom three.
const MOST_SIGNATURES: usize = 16;
/// Longest `webhook-id`; it becomes an idempotency key.
const ID_BYTES: usize = 200;

/// Secrets that sign a partner's webhooks.
#[derive(Clone, Debug)]
pub struct WebhookRule {
    /// Whose.
    pub partner: PartnerName,
    /// The credential's name in the policy.
    pub credential: Arc<str>,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// Any of these; more than one while they are rotated.
    pub secrets: Vec<WebhookSecret>,
    /// How far the timestamp may be from now, into either direction.
    pub tolerance: Duration,
    /// From when on it is void.
    pub expires: Option<Time>,
}

/// A webhook whose signature nobody has checked yet.
#[derive(Debug)]
pub(super) struct Webhook {
    id: String,
    timestamp: String,
    signatures: Vec<(Version, Vec<u8>)>,
    rules: Vec<Arc<WebhookRule>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// HMAC-SHA256.
    V1,
    /// Ed25519.
    V1a,
}

impl Webhook {
    /// Reads the fields of a webhook; none if the request is none.
    pub(super) fn read(head: &Parts, rules: &[Arc<WebhookRule>], now: Time) -> Result<Option<Self>, Error> {
        if rules.is_empty() || !head.headers.contains_key("webhook-signature") {
            return Ok(None);
        }
        let id = one(&head.headers, "webhook-id")?;
        // A full stop in the id would move the boundary between id and timestamp, which are joined by one.
        let fine = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
        if id.is_empty() || id.len() > ID_BYTES || !id.bytes().all(fine) {
            return Err(Error::Webhook("its id is empty, too long, or has a full stop or a space"));
        }
        let timestamp = one(&head.headers, "webhook-timestamp")?;
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = timestamp.parse::<i64>().ok().filter(|_| digits);
        let seconds = seconds.ok_or(Error::Webhook("its timestamp is not a number of seconds"))?;
        let signatures = signatures(one(&head.headers, "webhook-signature")?)?;
        let rules = claimed(head, rules)?;
        let rules = in_time(rules, seconds, now)?;
        Ok(Some(Self { id: id.to_owned(), timestamp: timestamp.to_owned(), signatures, rules }))
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn prove(self, body: &[u8]) -> Result<Caller, Error> {
        let rule = self.rules.iter().find(|rule| rule.secrets.iter().any(|secret| self.is_by(secret, body)));
        let rule = rule.ok_or(Error::Webhook("no secret of the partner made its signature"))?;
        Ok(Caller {
            partner: rule.partner.clone(),
            credential: Arc::clone(&rule.credential),
            scopes: Arc::clone(&rule.scopes),
        })
    }

    fn is_by(&self, secret: &WebhookSecret, body: &[u8]) -> bool {
        let of = |wanted| self.signatures.iter().filter(move |(version, _)| *version == wanted);
        let start = format!("{}.{}.", self.id, self.timestamp);
        match secret {
            WebhookSecret::Shared(secret) => {
                let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
                context.update(start.as_bytes());
                context.update(body);
                let made = context.sign();
                of(Version::V1).any(|(_, given)| bool::from(made.as_ref().ct_eq(given)))
            }
            WebhookSecret::Public(key) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                let signed = [start.as_bytes(), body].concat();
                of(Version::V1a).any(|(_, given)| key.verify(&signed, given).is_ok())
            }
        }
    }
}

/// The one value of a field.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Error> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Error::Webhook("a field is not printable ASCII")),
        (None, _) => Err(Error::Webhook("a field is missing: id, timestamp and signature are needed")),
        (Some(_), Some(_)) => Err(Error::Webhook("a field came twice")),
    }
}

/// `v1,BASE64 v1a,BASE64 …`; versions that are not known are passed over.
fn signatures(text: &str) -> Result<Vec<(Version, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index == MOST_SIGNATURES {
            return Err(Error::Webhook("it has more than 16 signatures"));
        }
        let version = match word.split_once(',') {
            Some(("v1", signature)) => Some((Version::V1, signature)),
            Some(("v1a", signature)) => Some((Version::V1a, signature)),
            _ => None,
        };
        let read = version.and_then(|(version, text)| Some((version, STANDARD.decode(text).ok()?)));
        found.extend(read);
    }
    if found.is_empty() { Err(Error::Webhook("it has no signature `v1` or `v1a`")) } else { Ok(found) }
}

/// The secrets of the partner that the address names by `?partner=`; where a single partner sends webhooks, of that one.
fn claimed(head: &Parts, rules: &[Arc<WebhookRule>]) -> Result<Vec<Arc<WebhookRule>>, Error> {
    let pairs = head.uri.query().unwrap_or_default().split('&');
    let mut named = pairs.filter_map(|pair| pair.strip_prefix("partner="));
    let partner = match (named.next(), named.next()) {
        (Some(partner), None) => partner,
        (Some(_), Some(_)) => return Err(Error::Webhook("its address names two partners")),
        (None, _) => {
            let first = rules.first().map(|rule| &rule.partner);
            match first.filter(|first| rules.iter().all(|rule| rule.partner == **first)) {
                Some(only) => only.as_str(),
                None => {
                    return Err(Error::Webhook("its address names no partner: `?partner=NAME` is needed"));
                }
            }
        }
    };
    let of: Vec<_> = rules.iter().filter(|rule| rule.partner.as_str() == partner).cloned().collect();
    if of.is_empty() {
        Err(Error::Webhook("the partner that it names has no webhook secret"))
    } else {
        Ok(of)
    }
}

/// Those that have not expired and whose window the timestamp is in.
fn in_time(
    mut rules: Vec<Arc<WebhookRule>>,
    seconds: i64,
    now: Time,
) -> Result<Vec<Arc<WebhookRule>>, Error> {
    rules.retain(|rule| rule.expires.is_none_or(|expires| now < expires));
    if rules.is_empty() {
        return Err(Error::Expired("every webhook secret of the partner".to_owned()));
    }
    let sent = Time::from_millis(seconds.saturating_mul(1000));
    let away = now.since(sent).max(sent.since(now));
    rules.retain(|rule| away <= rule.tolerance);
    if rules.is_empty() { Err(Error::Webhook("its timestamp is outside of the window")) } else { Ok(rules) }
}
