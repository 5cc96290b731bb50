//! Credentials of a partner.

use std::{sync::Arc, time::Duration};

use super::{
    Ask,
    gateway::{between, issuer_name},
    limits::limits,
    reader::{Fields, Reader},
};
use crate::{
    auth::SignatureAlgorithm,
    policy::{
        checked::{CertificateName, Credential, CredentialKind},
        raw::{Entry, Kind, Node, Span},
        report::Finding,
        units,
    },
    words::{Digest, PartnerName, Subject, Time},
};

/// A key that ends sooner than this is worth a warning: time for two organisations to agree on a day.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 86_400);

/// Secrets of one webhook credential: one, and the next and the last while they are rotated.
const MOST_SECRETS: usize = 4;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What a credential can be.
const KINDS: [&str; 5] = ["api_key", "jwt", "mtls", "signature", "webhook"];

pub(super) fn credential(reader: &mut Reader<'_>, entry: &Entry, now: Time) -> Option<Credential> {
    if PartnerName::new(&entry.key).is_err() {
        reader.error(entry.at, "a credential's name is 1 to 64 of a–z, 0–9, `-`, `_` and `.`");
    }
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let kinds: Vec<&Entry> = KINDS.into_iter().filter_map(|kind| fields.get(kind)).collect();
    let scopes_entry = fields.get("scopes");
    let scopes = scopes_entry.and_then(|entry| scopes(reader, &entry.value)).unwrap_or_default();
    let limits = limits(reader, &mut fields);
    fields.end(reader);
    let [kind] = kinds[..] else {
        reader.error(entry.at, format!("expected one of `{}`", KINDS.join("`, `")));
        return None;
    };
    let kind = match kind.key.as_str() {
        "api_key" => api_key(reader, &kind.value, kind.at, now)?,
        "signature" => signature(reader, &kind.value, kind.at, now)?,
        "webhook" => webhook(reader, &kind.value, kind.at, now)?,
        "mtls" => CredentialKind::Certificate(mtls(reader, &kind.value, kind.at)?),
        _ => {
            if let Some(scopes) = scopes_entry {
                reader.error(scopes.at, "a token brings its own scopes");
            }
            jwt(reader, &kind.value, kind.at)?
        }
    };
    Some(Credential {
        origin: reader.origin(entry.at),
        name: Arc::from(entry.key.as_str()),
        kind,
        scopes: scopes.into(),
        limits,
    })
}

/// `mtls: { subject | san | fingerprint }`.
fn mtls(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<CertificateName> {
    let mut fields = reader.fields(node, at)?;
    let entries: Vec<&Entry> =
        ["subject", "san", "fingerprint"].into_iter().filter_map(|key| fields.get(key)).collect();
    fields.end(reader);
    let [entry] = entries[..] else {
        reader.error(at, "expected one of `subject`, `san`, `fingerprint`");
        return None;
    };
    let name = match entry.key.as_str() {
        "subject" => CertificateName::Subject(reader.parsed(&entry.value, Subject::parse)?),
        "san" => CertificateName::San(reader.parsed(&entry.value, san)?),
        _ => CertificateName::Fingerprint(reader.parsed(&entry.value, |text| {
            Digest::parse(&text.replace(':', ""))
                .ok_or("expected a SHA-256 fingerprint: openssl x509 -noout -fingerprint -sha256")
        })?),
    };
    let shown = match &name {
        CertificateName::Subject(subject) => subject.to_string(),
        CertificateName::San(name) => name.clone(),
        CertificateName::Fingerprint(sha256) => sha256.to_string(),
    };
    reader.declares(Ask::Certificate, &shown, entry.value.span);
    reader.refers(Ask::ClientAuthority, "tls", at);
    Some(name)
}

/// `dns:edi.acme.example`, as the certificate is read.
fn san(text: &str) -> Result<String, &'static str> {
    let wrong =
        "expected a name with its kind: `dns:edi.acme.example`, `uri:spiffe://acme/edi`, `email:…`, `ip:…`";
    let (kind, name) = text.split_once(':').ok_or(wrong)?;
    match kind {
        _ if name.is_empty() || name.contains(char::is_whitespace) => Err(wrong),
        "dns" if name.contains('*') => Err("a name with `*` is many clients': name one"),
        "dns" => Ok(text.to_ascii_lowercase()),
        "uri" | "email" => Ok(text.to_owned()),
        "ip" => name.parse::<std::net::IpAddr>().map(|address| format!("ip:{address}")).map_err(|_| wrong),
        _ => Err(wrong),
    }
}

fn api_key(reader: &mut Reader<'_>, node: &Node, at: Span, now: Time) -> Option<CredentialKind> {
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
    let expires = expires(reader, &mut fields, "key", now);
    fields.end(reader);
    Some(CredentialKind::ApiKey { sha256: sha256?, expires })
}

/// `expires` of a credential, with a warning when it is near.
fn expires(reader: &mut Reader<'_>, fields: &mut Fields<'_>, what: &str, now: Time) -> Option<Time> {
    let entry = fields.get("expires")?;
    let expires = reader.parsed(&entry.value, units::date)?;
    if expires <= now {
        let finding = Finding::warning(format!("this {what} is no longer good"))
            .label(format!("today is {}", units::day(now)))
            .help(format!("give the partner a new {what}, or take this credential away"));
        reader.push(finding, entry.span());
    } else if expires <= now.after(EXPIRES_SOON) {
        let days = expires.since(now).as_secs() / 86_400;
        let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        let finding = Finding::warning(format!("this {what} expires in {left}"))
            .help("add a second credential now, so that both serve while the partner changes over");
        reader.push(finding, entry.span());
    }
    Some(expires)
}

/// `webhook: { secrets, tolerance, expires }`.
fn webhook(reader: &mut Reader<'_>, node: &Node, at: Span, now: Time) -> Option<CredentialKind> {
    let mut fields = reader.fields(node, at)?;
    let secrets = fields.required(reader, "secrets", |r, n| r.some(n, |r, item| r.secret(item)));
    let tolerance = fields.or(reader, "tolerance", 5 * MINUTE, |r, n| between(r, n, SECOND, 60 * MINUTE));
    let expires = expires(reader, &mut fields, "secret", now);
    fields.end(reader);
    let secrets = secrets?;
    if secrets.len() > MOST_SECRETS {
        reader.error(at, format!("each request would be tried with more than {MOST_SECRETS} secrets"));
        return None;
    }
    Some(CredentialKind::Webhook { secrets, tolerance, expires })
}

/// `signature: { keyid, algorithm, key, components, window, tag, expires }`.
fn signature(reader: &mut Reader<'_>, node: &Node, at: Span, now: Time) -> Option<CredentialKind> {
    let mut fields = reader.fields(node, at)?;
    let keyid = fields.required(reader, "keyid", |reader, node| {
        let keyid = reader.parsed(node, |text| {
            let fine =
                (1..=200).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if fine { Ok(text.to_owned()) } else { Err("expected 1 to 200 printable ASCII characters") }
        })?;
        reader.declares(Ask::SignatureKey, &keyid, node.span);
        Some(keyid)
    });
    let algorithm = fields.required(reader, "algorithm", |r, n| r.word(n, &SignatureAlgorithm::ALL));
    let key = fields.required(reader, "key", |r, n| r.secret(n));
    let silent = ["@method", "@path", "@query"].map(str::to_owned).to_vec();
    let components = fields.or(reader, "components", silent, |r, n| r.list(n, component));
    let window = fields.or(reader, "window", 5 * MINUTE, |r, n| between(r, n, SECOND, 60 * MINUTE));
    let tag = fields.optional(reader, "tag", |r, n| r.string(n));
    let expires = expires(reader, &mut fields, "key", now);
    fields.end(reader);
    let (keyid, algorithm, key) = (keyid?, algorithm?, key?);
    Some(CredentialKind::Signature { keyid, algorithm, key, components, window, tag, expires })
}

/// A component of a message signature: a field's name in lower case, or a derived one.
fn component(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    const DERIVED: [&str; 7] =
        ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];
    reader.parsed(node, |text| {
        let field = !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if field || DERIVED.contains(&text) {
            Ok(text.to_owned())
        } else {
            Err(format!("expected the name of a field in lower case, or one of: {}", DERIVED.join(", ")))
        }
    })
}

fn jwt(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<CredentialKind> {
    let mut fields = reader.fields(node, at)?;
    let issuer = fields.required(reader, "issuer", issuer_name);
    let claims = fields.required(reader, "claims", |reader, node| {
        let entries = reader.map(node)?;
        if entries.is_empty() {
            reader.error(node.span, "every token of the issuer would be this partner's: name a claim");
            return None;
        }
        let claim = |entry: &Entry| {
            let values = match entry.value.kind {
                Kind::List(_) => reader.some(&entry.value, Reader::string)?,
                _ => vec![reader.string(&entry.value)?],
            };
            Some((entry.key.clone(), values))
        };
        Some(entries.iter().filter_map(claim).collect::<Vec<_>>())
    });
    fields.end(reader);
    let (issuer, mut claims) = (issuer?, claims?);
    claims.sort();
    // Two partners with the same rule would both own the same token.
    let rule = claims
        .iter()
        .fold(issuer.to_string(), |rule, (key, value)| format!("{rule} {key}={}", value.join("|")));
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
