//! `tests/*.yaml`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    References,
    reader::{Reader, clip},
    utf8, yaml,
};
use crate::{
    policy::{
        checked::{Checked, Origin},
        raw::{Entry, Kind, Node},
        report::{Finding, Report, nearest},
        source::Source,
        trial::{As, Body, Call, Expect, Trial},
        units,
    },
    words::{PartnerName, SubscriptionName, Time, VersionName},
};

/// Reads the tests of a policy folder. Names of partners and credentials are looked up in the checked estate, where
/// there is one. Files in folders below `tests/` are documents and not read.
pub fn trials(source: &Source, checked: Option<&Checked>, report: &mut Report) -> Vec<Trial> {
    let mut references = References::default();
    let mut trials = Vec::new();
    let files = source.tests.iter().filter(|(path, _)| path.matches('/').count() == 1);
    for (path, bytes) in files {
        let Some(text) = utf8(path, bytes, report) else { continue };
        let mut reader = Reader { text: &text, report, references: &mut references };
        let Some(node) = yaml(&mut reader) else { continue };
        trials.extend(file(&mut reader, &node, checked).unwrap_or_default());
        reader.secrets_within(&node, "");
    }
    report.sort();
    trials
}

fn file(reader: &mut Reader<'_>, node: &Node, checked: Option<&Checked>) -> Option<Vec<Trial>> {
    let mut fields = reader.fields(node, node.span)?;
    let on = fields.optional(reader, "on", moment);
    let trials = fields.required(reader, "tests", |reader, node| {
        let entries = reader.map(node)?;
        Some(entries.iter().filter_map(|entry| trial(reader, entry, on, checked)).collect())
    });
    fields.end(reader);
    trials
}

fn trial(
    reader: &mut Reader<'_>,
    entry: &Entry,
    default_on: Option<Time>,
    checked: Option<&Checked>,
) -> Option<Trial> {
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let callers = fields.required(reader, "as", |reader, node| match &node.kind {
        Kind::List(_) => reader.some(node, |reader, item| caller(reader, item, checked)),
        _ => caller(reader, node, checked).map(|caller| vec![caller]),
    });
    let target = fields.required(reader, "call", |r, n| r.parsed(n, target));
    let headers = fields.or(reader, "headers", Vec::new(), |reader, node| {
        let entries = reader.map(node)?;
        Some(entries.iter().filter_map(|entry| header(reader, entry)).collect())
    });
    let body = fields.or(reader, "body", Body::None, body);
    let on = fields.optional(reader, "on", moment).or(default_on);
    let expect = fields.required(reader, "expect", expect);
    fields.end(reader);
    let (method, path) = target?;
    let call = Call { method, path, headers, body };
    let origin = reader.origin(entry.at);
    Some(Trial { origin, name: entry.key.clone(), callers: callers?, call, on, expect: expect? })
}

/// A day, for its beginning in UTC, or a moment of RFC 3339.
fn moment(reader: &mut Reader<'_>, node: &Node) -> Option<Time> {
    reader.parsed(node, |text| {
        let moment = text.parse::<jiff::Timestamp>().map(|moment| Time::from_millis(moment.as_millisecond()));
        units::date(text).or(moment).map_err(|_| "expected a day such as `2026-10-01`, or a moment with `Z`")
    })
}

/// `POST /v2/shipments/confirmations`.
fn target(text: &str) -> Result<(String, String), String> {
    let wrong = || "expected a method and a path, such as `POST /v2/shipments/confirmations`".to_owned();
    let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
    let path = path.trim();
    http::Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?;
    let uri: http::Uri = path.parse().map_err(|_| wrong())?;
    if !path.starts_with('/') || uri.authority().is_some() {
        return Err(wrong());
    }
    Ok((method.to_owned(), path.to_owned()))
}

fn header(reader: &mut Reader<'_>, entry: &Entry) -> Option<(String, String)> {
    if http::HeaderName::try_from(&entry.key).is_err() {
        reader.error(entry.at, "not the name of a header");
        return None;
    }
    let value = reader.scalar(&entry.value)?;
    if http::HeaderValue::try_from(value).is_err() {
        reader.error(entry.value.span, "not the value of a header");
        return None;
    }
    Some((entry.key.clone(), value.to_owned()))
}

fn body(reader: &mut Reader<'_>, node: &Node) -> Option<Body> {
    if let Kind::Scalar { text, .. } = &node.kind {
        return Some(Body::Text(text.clone()));
    }
    let mut fields = reader.fields(node, node.span)?;
    let file = fields.optional(reader, "file", |r, n| r.short(n, 1024));
    let json = fields.get("json").map(|entry| entry.value.json().to_string());
    fields.end(reader);
    match (file, json) {
        (Some(file), None) => Some(Body::File(file.into())),
        (None, Some(text)) => Some(Body::Text(text)),
        (None, None) | (Some(_), Some(_)) => {
            reader.error(node.span, "expected a text, or either `file` or `json`");
            None
        }
    }
}

fn caller(reader: &mut Reader<'_>, node: &Node, checked: Option<&Checked>) -> Option<As> {
    if let Kind::Scalar { text, .. } = &node.kind {
        if text == "nobody" {
            return Some(As::Nobody);
        }
        let name = partner(reader, node, checked)?;
        return Some(As::Partner { name, credential: None, scopes: Vec::new() });
    }
    let mut fields = reader.fields(node, node.span)?;
    let named = fields.get("partner");
    let credential = fields.get("credential");
    let scopes = fields.or(reader, "scopes", Vec::new(), super::credential::scopes);
    let issuer = fields.get("issuer");
    let claims = fields.get("claims");
    fields.end(reader);
    match (named, issuer, claims) {
        (Some(entry), None, None) => {
            let name = partner(reader, &entry.value, checked)?;
            let credential = match credential {
                None => None,
                Some(entry) => Some(self::credential(reader, &entry.value, &name, checked)?),
            };
            Some(As::Partner { name, credential, scopes })
        }
        (None, Some(issuer), Some(claims)) => {
            let name = reader.string(&issuer.value)?;
            if let Some(checked) = checked {
                let known = checked.issuers.keys().map(AsRef::as_ref);
                known_or(reader, &issuer.value, "issuer", &name, known)?;
            }
            reader.map(&claims.value)?;
            match claims.value.json() {
                Value::Object(claims) => Some(As::Token { issuer: name.into(), claims }),
                _ => None,
            }
        }
        _ => {
            let message = "expected `nobody`, a partner, or either `partner` or `issuer` with `claims`";
            reader.error(node.span, message);
            None
        }
    }
}

fn partner(reader: &mut Reader<'_>, node: &Node, checked: Option<&Checked>) -> Option<PartnerName> {
    let name = reader.parsed(node, PartnerName::new)?;
    if let Some(checked) = checked {
        known_or(reader, node, "partner", name.as_str(), checked.partners.keys().map(PartnerName::as_str))?;
    }
    Some(name)
}

fn credential(
    reader: &mut Reader<'_>,
    node: &Node,
    partner: &PartnerName,
    checked: Option<&Checked>,
) -> Option<std::sync::Arc<str>> {
    let name = reader.string(node)?;
    if let Some(partner) = checked.and_then(|checked| checked.partners.get(partner)) {
        let known = partner.credentials.iter().map(|credential| credential.name.as_ref());
        known_or(reader, node, "credential", &name, known)?;
    }
    Some(name.into())
}

fn known_or<'k>(
    reader: &mut Reader<'_>,
    node: &Node,
    word: &str,
    name: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Option<()> {
    if known.clone().any(|other| other == name) {
        return Some(());
    }
    let finding = Finding::error(format!("there is no {word} `{}`", clip(name)));
    let finding = match nearest(name, known.clone()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("there are: {}", known.take(10).collect::<Vec<_>>().join(", "))),
    };
    reader.push(finding, node.span);
    None
}

fn expect(reader: &mut Reader<'_>, node: &Node) -> Option<Expect> {
    let origin = reader.origin(node.span);
    if let Kind::Scalar { .. } = &node.kind {
        return match reader.word(node, &[("accept", true), ("refuse", false)])? {
            true => Some(Expect::Accept { origin, version: None, events: None, deliveries: None }),
            false => Some(Expect::Refuse { origin, problem: None, status: None, rule: None, at: None }),
        };
    }
    let mut fields = reader.fields(node, node.span)?;
    let accept = fields.get("accept");
    let refuse = fields.get("refuse");
    fields.end(reader);
    match (accept, refuse) {
        (Some(entry), None) => accepted(reader, &entry.value),
        (None, Some(entry)) => refused(reader, &entry.value),
        (None, None) | (Some(_), Some(_)) => {
            reader.error(node.span, "expected either `accept` or `refuse`");
            None
        }
    }
}

fn accepted(reader: &mut Reader<'_>, node: &Node) -> Option<Expect> {
    let mut fields = reader.fields(node, node.span)?;
    let version =
        fields.optional(reader, "version", |r, n| placed(r, n, |r, n| r.parsed(n, VersionName::new)));
    let kinds = |r: &mut Reader<'_>, n: &Node| r.list(n, super::delivery::event_kind);
    let events = fields.optional(reader, "events", |r, n| placed(r, n, kinds));
    let names = |r: &mut Reader<'_>, n: &Node| r.list(n, |r, item| r.parsed(item, SubscriptionName::new));
    let deliveries = fields.optional(reader, "deliveries", |r, n| placed(r, n, names));
    fields.end(reader);
    Some(Expect::Accept { origin: reader.origin(node.span), version, events, deliveries })
}

fn refused(reader: &mut Reader<'_>, node: &Node) -> Option<Expect> {
    let origin = reader.origin(node.span);
    if let Kind::Scalar { .. } = &node.kind {
        let problem = placed(reader, node, |r, n| r.string(n));
        return Some(Expect::Refuse { origin, problem, status: None, rule: None, at: None });
    }
    let mut fields = reader.fields(node, node.span)?;
    let problem = fields.optional(reader, "problem", |r, n| placed(r, n, |r, n| r.string(n)));
    let status = fields.optional(reader, "status", |r, n| placed(r, n, |r, n| r.number(n, 400, 599)));
    let status = status.and_then(|(status, origin)| Some((u16::try_from(status).ok()?, origin)));
    let rule = fields.optional(reader, "rule", |r, n| placed(r, n, |r, n| r.string(n)));
    let at = fields.optional(reader, "at", |r, n| placed(r, n, |r, n| r.string(n)));
    fields.end(reader);
    Some(Expect::Refuse { origin, problem, status, rule, at })
}

fn placed<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    read: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<(T, Origin)> {
    let origin = reader.origin(node.span);
    read(reader, node).map(|value| (value, origin))
}

/// Names of tests by file, for those who list them.
pub fn by_file(trials: &[Trial]) -> BTreeMap<&str, Vec<&Trial>> {
    let mut files: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        files.entry(&trial.origin.file).or_default().push(trial);
    }
    files
}
