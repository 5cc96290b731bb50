//! One token: a JWS in compact form (RFC 7515) whose payload is claims (RFC 7519), read by the rules of
//! RFC 8725. The library only computes the signature; every decision is here.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Algorithm, Error, Issuer};
use crate::words::{Digest, Time, json};

/// Header parameters that would bring their own key or change what is signed.
const NEVER: [(&str, &str); 6] = [
    ("jku", "`jku` is present"),
    ("x5u", "`x5u` is present"),
    ("jwk", "`jwk` is present"),
    ("crit", "`crit` is present"),
    ("b64", "`b64` is present"),
    ("zip", "`zip` is present"),
];

/// A token whose signature and registered claims hold.
pub(super) struct Verified<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) claims: Map<String, Value>,
    /// Leeway included.
    pub(super) from: Time,
    /// Leeway included.
    pub(super) until: Time,
    /// The certificate that it is bound to (RFC 8705, section 3.1).
    pub(super) bound: Option<Digest>,
    /// Generation of the key set that verified it.
    pub(super) generation: u64,
}

pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
}

pub(super) async fn verify<'a>(token: &str, issuers: &'a [Issuer], now: Time) -> Result<Verified<'a>, Error> {
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::Malformed("a token has three parts"));
    };
    let header = header(head)?;
    let claims = object(body).ok_or(Error::Malformed("the token's claims are not a JSON object"))?;
    let iss = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let issuer = issuers.iter().find(|issuer| !iss.is_empty() && issuer.iss == iss);
    let issuer = issuer.ok_or_else(|| Error::Issuer(excerpt(iss)))?;
    let algorithm = header.alg.parse().ok().filter(|algorithm| issuer.algorithms.contains(algorithm));
    let algorithm: Algorithm = algorithm.ok_or_else(|| Error::Algorithm {
        algorithm: excerpt(&header.alg),
        issuer: Arc::clone(&issuer.name),
    })?;
    // Before the keys are asked for: a token that can't be good must not cause a fetch.
    let (from, until) = lifetime(&claims, issuer.leeway, now)?;
    registered(&claims, issuer)?;
    let bound = bound(&claims, issuer)?;
    let key = issuer.keys.find(header.kid.as_deref(), algorithm, issuer, now).await?;
    let signed = &token[..head.len() + 1 + body.len()];
    if !key.verifies(algorithm, signed.as_bytes(), signature) {
        return Err(Error::Signature(Arc::clone(&issuer.name)));
    }
    Ok(Verified { issuer, claims, from, until, bound, generation: key.generation() })
}

/// Whether every wanted claim has one of its values, or contains it.
pub(super) fn matches(claims: &Map<String, Value>, wanted: &[(String, Vec<String>)]) -> bool {
    let is = |value: &Value, text: &str| match value {
        Value::String(value) => value == text,
        Value::Number(value) => value.to_string() == text,
        Value::Bool(value) => value.to_string() == text,
        _ => false,
    };
    let holds = |(name, texts): &(String, Vec<String>)| match claims.get(name) {
        Some(Value::Array(items)) => items.iter().any(|item| texts.iter().any(|text| is(item, text))),
        Some(value) => texts.iter().any(|text| is(value, text)),
        None => false,
    };
    !wanted.is_empty() && wanted.iter().all(holds)
}

/// Scopes of `scope` (RFC 8693: words in one string) and `scp` (the same, or a list).
pub(super) fn scopes(claims: &Map<String, Value>) -> Arc<[String]> {
    let words =
        |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let of = |name: &str| match claims.get(name) {
        Some(Value::String(text)) => words(text),
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = of("scope");
    all.extend(of("scp"));
    all.sort_unstable();
    all.dedup();
    all.into()
}

pub(super) fn header(part: &str) -> Result<Header, Error> {
    let header = object(part).ok_or(Error::Malformed("the token's header is not a JSON object"))?;
    if let Some((_, why)) = NEVER.iter().find(|(name, _)| header.contains_key(*name)) {
        return Err(Error::Header(why));
    }
    // Another kind of token of the same issuer (a logout token, a proof) must not pass for an access token.
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) => {
            let typ = typ.to_ascii_lowercase();
            if !matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt") {
                return Err(Error::Header("`typ` is neither JWT nor at+jwt"));
            }
        }
        Some(_) => return Err(Error::Header("`typ` is not a text")),
    }
    let Some(Value::String(alg)) = header.get("alg") else {
        return Err(Error::Header("`alg` is missing or not a text"));
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err(Error::Header("`kid` is not a text")),
    };
    Ok(Header { alg: alg.clone(), kid })
}

/// Strict in both layers: no padding, no stray bits, no repeated keys, little depth.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match json::read(&bytes, 16) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// From when until when the token holds by `nbf` and `exp`, our leeway included.
fn lifetime(claims: &Map<String, Value>, leeway: Duration, now: Time) -> Result<(Time, Time), Error> {
    let bad = |claim: &str, why| Error::Claim { claim: claim.to_owned(), why };
    let moment = |claim: &str| match claims.get(claim) {
        None => Ok(None),
        // A cast saturates, so that no number can wrap into validity.
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some((seconds * 1000.0) as i64)),
            None => Err(bad(claim, "is not a number")),
        },
    };
    let leeway = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
    let expires = moment("exp")?.ok_or_else(|| bad("exp", "is missing"))?;
    let until = Time::from_millis(expires.saturating_add(leeway));
    if now >= until {
        return Err(Error::Expired(format!("token, at {}", Time::from_millis(expires))));
    }
    let not_before = moment("nbf")?.unwrap_or(i64::MIN);
    let from = Time::from_millis(not_before.saturating_sub(leeway));
    if now < from {
        return Err(Error::NotYet(Time::from_millis(not_before)));
    }
    Ok((from, until))
}

fn registered(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Error> {
    let bad = |claim: &str, why| Err(Error::Claim { claim: claim.to_owned(), why });
    let ours =
        |value: &Value| value.as_str().is_some_and(|text| issuer.audience.iter().any(|own| own == text));
    match claims.get("aud") {
        None => return bad("aud", "is missing"),
        Some(Value::Array(all)) if all.iter().any(ours) => {}
        Some(value) if ours(value) => {}
        Some(_) => return bad("aud", "does not name this gateway"),
    }
    for claim in &issuer.required_claims {
        match claims.get(claim) {
            None | Some(Value::Null) => return bad(claim, "is missing"),
            Some(Value::String(text)) if text.is_empty() => return bad(claim, "is empty"),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The certificate that a token is bound to. A token that is bound to something else, whose holder nobody can check
/// here, is no bearer's either.
fn bound(claims: &Map<String, Value>, issuer: &Issuer) -> Result<Option<Digest>, Error> {
    let bad = |why| Err(Error::Claim { claim: "cnf".to_owned(), why });
    let confirmation = match claims.get("cnf") {
        None if issuer.certificate_bound => return bad("is missing"),
        None => return Ok(None),
        Some(Value::Object(confirmation)) => confirmation,
        Some(_) => return bad("is not an object"),
    };
    let thumbprint = match (confirmation.len(), confirmation.get("x5t#S256")) {
        (1, Some(Value::String(text))) => URL_SAFE_NO_PAD.decode(text).ok(),
        _ => return bad("binds the token to something other than a certificate"),
    };
    match thumbprint.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(bytes) => Ok(Some(Digest::from_bytes(bytes))),
        None => bad("has no SHA-256 thumbprint"),
    }
}

/// Text from outside, fit for a log line.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
