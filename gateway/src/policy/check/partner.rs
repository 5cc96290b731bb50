//! `partners/*.yaml`.

use std::{sync::Arc, time::Duration};

use super::{
    Ask,
    gateway::issuer_name,
    reader::{Fields, Reader},
};
use crate::{
    policy::{
        checked::{Credential, CredentialKind, Edi, Limits, Partner, Rate},
        raw::{Entry, Kind, Node},
        report::Finding,
        units,
    },
    words::{Digest, PartnerName, Time},
};

/// A key that ends sooner than this is worth a warning: time for two organisations to agree on a day.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn partner(reader: &mut Reader<'_>, node: &Node, now: Time) -> Option<Partner> {
    let mut fields = reader.fields(node, node.span)?;
    let entry = fields.get("partner");
    let name = fields.required(reader, "partner", |r, n| r.parsed(n, PartnerName::new));
    let at = entry.map_or(node.span, Entry::span);
    if let Some(name) = &name {
        reader.declares(Ask::Partner, name.as_str(), at);
    }
    let title = fields.optional(reader, "name", |r, n| r.string(n));
    let owner = fields.optional(reader, "owner", |r, n| r.string(n));
    let zone = fields.optional(reader, "zone", zone);
    let edi = fields.optional(reader, "edi", edi);
    let credentials = fields.or(reader, "credentials", Vec::new(), |reader, node| {
        let entries = reader.map(node)?;
        Some(entries.iter().filter_map(|entry| credential(reader, entry, now)).collect())
    });
    let limits = limits(reader, &mut fields);
    fields.end(reader);
    Some(Partner { origin: reader.origin(at), name: name?, title, owner, zone, edi, credentials, limits })
}

/// An IANA time zone.
fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    reader.parsed(node, |text| {
        let known = jiff::tz::TimeZone::get(text).is_ok();
        // A machine without a zone database knows none; then only the form can be judged.
        let shaped = text == "UTC"
            || text.contains('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
        if known || shaped && jiff::tz::TimeZone::get("Europe/Berlin").is_err() {
            Ok(text.to_owned())
        } else {
            Err("expected an IANA time zone such as `America/Chicago`")
        }
    })
}

/// Interchange identities.
pub(super) fn edi(reader: &mut Reader<'_>, node: &Node) -> Option<Edi> {
    let mut fields = reader.fields(node, node.span)?;
    let identity = |reader: &mut Reader<'_>, node: &Node| {
        reader.parsed(node, |text| {
            let fine = (1..=35).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            // X12's ISA06 has 15 places, EDIFACT's 0004 has 35.
            if fine { Ok(text.to_owned()) } else { Err("expected 1 to 35 printable ASCII characters") }
        })
    };
    let sender = fields.required(reader, "sender", identity);
    let receiver = fields.required(reader, "receiver", identity);
    fields.end(reader);
    Some(Edi { sender: sender?, receiver: receiver? })
}

fn credential(reader: &mut Reader<'_>, entry: &Entry, now: Time) -> Option<Credential> {
    if PartnerName::new(&entry.key).is_err() {
        reader.error(entry.at, "a credential's name is 1 to 64 of a–z, 0–9, `-`, `_` and `.`");
    }
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let api_key = fields.get("api_key");
    let jwt = fields.get("jwt");
    let scopes_entry = fields.get("scopes");
    let scopes = scopes_entry.and_then(|entry| scopes(reader, &entry.value)).unwrap_or_default();
    let limits = limits(reader, &mut fields);
    fields.end(reader);
    let kind = match (api_key, jwt) {
        (Some(key), None) => self::api_key(reader, &key.value, key.at, now)?,
        (None, Some(token)) => {
            if let Some(scopes) = scopes_entry {
                reader.error(scopes.at, "a token brings its own scopes");
            }
            self::jwt(reader, &token.value, token.at)?
        }
        (None, None) | (Some(_), Some(_)) => {
            reader.error(entry.at, "expected either `api_key` or `jwt`");
            return None;
        }
    };
    let scopes = scopes.into();
    Some(Credential {
        origin: reader.origin(entry.at),
        name: Arc::from(entry.key.as_str()),
        kind,
        scopes,
        limits,
    })
}

fn api_key(
    reader: &mut Reader<'_>,
    node: &Node,
    at: crate::policy::raw::Span,
    now: Time,
) -> Option<CredentialKind> {
    let mut fields = reader.fields(node, at)?;
    let sha256 = fields.required(reader, "sha256", |reader, node| {
        let text = reader.scalar(node)?;
        match Digest::parse(text) {
            Some(digest) => {
                reader.declares(Ask::KeyHash, &digest.to_string(), node.span);
                Some(digest)
            }
            None => {
                // Somebody may have put the key itself here.
                let finding = Finding::error("expected 64 hexadecimal digits, the SHA-256 of the key")
                    .help("printf %s \"$KEY\" | sha256sum");
                reader.hidden(finding, node.span);
                None
            }
        }
    });
    let expires_entry = fields.get("expires");
    let expires = expires_entry.and_then(|entry| reader.parsed(&entry.value, units::date));
    fields.end(reader);
    if let (Some(expires), Some(entry)) = (expires, expires_entry) {
        if expires <= now {
            let finding = Finding::warning("this key is no longer good")
                .label(format!("today is {}", units::day(now)))
                .help("give the partner a new key, or take this credential away");
            reader.push(finding, entry.span());
        } else if expires <= now.after(EXPIRES_SOON) {
            let days = expires.since(now).as_secs() / 86_400;
            let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            let finding = Finding::warning(format!("this key expires in {left}"))
                .help("add a second credential now, so that both serve while the partner changes over");
            reader.push(finding, entry.span());
        }
    }
    Some(CredentialKind::ApiKey { sha256: sha256?, expires })
}

fn jwt(reader: &mut Reader<'_>, node: &Node, at: crate::policy::raw::Span) -> Option<CredentialKind> {
    let mut fields = reader.fields(node, at)?;
    let issuer = fields.required(reader, "issuer", issuer_name);
    let claims = fields.required(reader, "claims", |reader, node| {
        let entries = reader.map(node)?;
        if entries.is_empty() {
            reader.error(node.span, "every token of the issuer would be this partner's: name a claim");
            return None;
        }
        let claim = |entry: &Entry| Some((entry.key.clone(), reader.string(&entry.value)?));
        Some(entries.iter().filter_map(claim).collect::<Vec<_>>())
    });
    fields.end(reader);
    let (issuer, mut claims) = (issuer?, claims?);
    claims.sort();
    // Two partners with the same rule would both own the same token.
    let rule = claims.iter().fold(issuer.to_string(), |rule, (key, value)| format!("{rule} {key}={value}"));
    reader.declares(Ask::TokenRule, &rule, at);
    Some(CredentialKind::Jwt { issuer, claims })
}

/// A list of OAuth scopes (RFC 6749 §3.3).
pub(super) fn scopes(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    reader.list(node, |reader, item| {
        reader.parsed(item, |text| {
            let fine = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if !text.is_empty() && text.len() <= 128 && text.bytes().all(fine) {
                Ok(text.to_owned())
            } else {
                Err("expected a scope such as `shipments:write`")
            }
        })
    })
}

/// `limits` of a partner, a credential or an operation.
pub(super) fn limits(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Limits {
    fields.or(reader, "limits", Limits::default(), |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let rate = fields.optional(reader, "rate", |r, n| r.parsed(n, units::rate));
        let burst_entry = fields.get("burst");
        let burst = burst_entry.and_then(|entry| reader.number(&entry.value, 1, 1_000_000));
        let concurrency = fields.optional(reader, "concurrency", |r, n| r.number(n, 1, 1_000_000));
        let rate_given = fields.get("rate").is_some();
        fields.end(reader);
        if let (Some(entry), false) = (burst_entry, rate_given) {
            reader.error(entry.at, "a `burst` needs a `rate`");
        }
        let rate = rate.map(|(requests, per)| Rate { requests, per, burst: burst.unwrap_or(requests) });
        Some(Limits { rate, concurrency })
    })
}

/// Whether a file's node is empty: only comments, or nothing.
pub(super) fn is_empty(node: &Node) -> bool {
    matches!(node.kind, Kind::Null)
}
