//! `apis/*.yaml`.

use std::collections::BTreeMap;

use super::{
    Ask,
    credential::scopes,
    delivery,
    gateway::between,
    limits::{limits, shadow},
    reader::{Fields, Reader, clip},
};
use crate::{
    contract::{Condition, Invalid},
    policy::{
        checked::{
            Acknowledge, Api, Binding, Compatibility, Grant, Idempotency, Layer, Operation, Select, SelectBy,
            Version, VersionState, When,
        },
        raw::{Entry, Node, Span},
        report::{Finding, Place, nearest},
        units,
    },
    words::{ApiName, Mode, OperationName, PartnerName, TargetName, Time, VersionName},
};
use std::time::Duration;

pub(super) fn api(reader: &mut Reader<'_>, node: &Node, now: Time) -> Option<Api> {
    let mut fields = reader.fields(node, node.span)?;
    let entry = fields.get("api");
    let at = entry.map_or(node.span, Entry::span);
    let name = fields.required(reader, "api", |r, n| r.parsed(n, ApiName::new));
    if let Some(name) = &name {
        reader.declares(Ask::Api, name.as_str(), at);
    }
    let layer = fields.or(reader, "layer", Layer::Partner, |r, n| {
        r.word(n, &[("partner", Layer::Partner), ("process", Layer::Process), ("system", Layer::System)])
    });
    let promises = [
        ("none", Compatibility::None),
        ("backward", Compatibility::Backward),
        ("forward", Compatibility::Forward),
        ("full", Compatibility::Full),
    ];
    let compatibility = fields.or(reader, "compatibility", Compatibility::None, |r, n| r.word(n, &promises));
    let versions_entry = fields.get("versions");
    let versions = fields.required(reader, "versions", |r, n| versions(r, n, now)).unwrap_or_default();
    let select = select(reader, &mut fields, &versions);
    let operations = fields.required(reader, "operations", |reader, node| {
        let entries = reader.map(node)?;
        Some(
            entries
                .iter()
                .filter_map(|entry| operation(reader, entry, &versions))
                .collect::<BTreeMap<_, _>>(),
        )
    });
    let operations = operations.unwrap_or_default();
    if let Some(entries) = versions_entry.and_then(|entry| reader_map(&entry.value)) {
        unreachable_versions(reader, entries, &versions, &operations);
    }
    let grants_entry = fields.get("grants");
    let grants = fields.or(reader, "grants", Vec::new(), |reader, node| {
        reader.list(node, |reader, item| grant(reader, item, &versions, &operations))
    });
    let grants_at = grants_entry.map_or(at, |entry| entry.at);
    ungranted(reader, grants_at, &operations, &grants);
    fields.end(reader);
    Some(Api {
        origin: reader.origin(at),
        name: name?,
        layer,
        compatibility,
        select,
        versions,
        operations,
        grants,
    })
}

/// The entries of a node that has been read as a map already.
fn reader_map(node: &Node) -> Option<&[Entry]> {
    match &node.kind {
        crate::policy::raw::Kind::Map(entries) => Some(entries),
        _ => None,
    }
}

type Versions = BTreeMap<VersionName, Version>;
type Operations = BTreeMap<OperationName, Operation>;

fn versions(reader: &mut Reader<'_>, node: &Node, now: Time) -> Option<Versions> {
    let entries = reader.map(node)?;
    if entries.is_empty() {
        reader.error(node.span, "an API has at least one version");
    }
    let mut versions = Versions::new();
    for entry in entries {
        let name = match VersionName::new(&entry.key) {
            Ok(name) => name,
            Err(error) => {
                reader.error(entry.at, error.to_string());
                continue;
            }
        };
        if let Some(version) = version(reader, entry, entries, now) {
            versions.insert(name, version);
        }
    }
    Some(versions)
}

fn version(reader: &mut Reader<'_>, entry: &Entry, all: &[Entry], now: Time) -> Option<Version> {
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let words = [
        ("draft", VersionState::Draft),
        ("active", VersionState::Active),
        ("deprecated", VersionState::Deprecated),
        ("retired", VersionState::Retired),
    ];
    let state = fields.required(reader, "state", |r, n| r.word(n, &words));
    let deprecated_entry = fields.get("deprecated");
    let deprecated = deprecated_entry.and_then(|entry| reader.parsed(&entry.value, units::date));
    let sunset_entry = fields.get("sunset");
    let sunset = sunset_entry.and_then(|entry| reader.parsed(&entry.value, units::date));
    let successor = fields.optional(reader, "successor", |reader, node| {
        let name = reader.parsed(node, VersionName::new)?;
        if name.as_str() == entry.key {
            reader.error(node.span, "a version cannot succeed itself");
            return None;
        }
        let known = all.iter().map(|other| other.key.as_str());
        unknown(reader, node.span, "version", name.as_str(), known).then_some(name)
    });
    fields.end(reader);
    let state = state?;
    if let (Some(sunset), Some(sunset_entry)) = (sunset, sunset_entry) {
        life(reader, sunset_entry, state, deprecated, sunset, now);
    }
    if state == VersionState::Deprecated && deprecated_entry.is_none() {
        let finding = Finding::error(format!("`{}` is deprecated and does not say since when", entry.key));
        reader.push(finding.help(format!("add `deprecated: {}`", units::day(now))), entry.at);
    }
    if let (VersionState::Draft | VersionState::Active, Some(deprecated), Some(at)) =
        (state, deprecated, deprecated_entry)
        && deprecated <= now
    {
        let finding = Finding::warning("the day of its deprecation has come, and its state does not say so");
        reader.push(finding.help("set `state: deprecated`"), at.span());
    }
    Some(Version { origin: reader.origin(entry.at), state, deprecated, sunset, successor })
}

fn life(
    reader: &mut Reader<'_>,
    entry: &Entry,
    state: VersionState,
    deprecated: Option<Time>,
    sunset: Time,
    now: Time,
) {
    /// What partners need to change over, by common practice.
    const NOTICE: Duration = Duration::from_secs(92 * 86_400);
    let Some(deprecated) = deprecated else {
        let finding = Finding::error("a sunset without a deprecation takes partners by surprise");
        reader.push(
            finding.help("add `deprecated:` with the day from which answers announce it"),
            entry.span(),
        );
        return;
    };
    if sunset < deprecated {
        let days = deprecated.since(sunset).as_secs() / 86_400;
        let finding = Finding::error("sunset comes before deprecation")
            .label(format!("{days} days before {}", units::day(deprecated)))
            .help(format!(
                "a sunset at least 90 days after deprecation is usual: {}",
                units::day(deprecated.after(NOTICE))
            ));
        reader.push(finding, entry.span());
    } else if sunset <= now && state != VersionState::Retired {
        let finding = Finding::warning("the sunset has passed: every call is answered with 410")
            .help("set `state: retired`");
        reader.push(finding, entry.span());
    }
}

fn select(reader: &mut Reader<'_>, fields: &mut Fields<'_>, versions: &Versions) -> Select {
    let silent = Select { by: vec![SelectBy::Path], header: None, default: None };
    fields.or(reader, "select", silent, |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let words =
            [("path", SelectBy::Path), ("media-type", SelectBy::MediaType), ("header", SelectBy::Header)];
        let by = fields.required(reader, "by", |r, n| r.some(n, |r, item| r.word(item, &words)));
        let header_entry = fields.get("header");
        let header = header_entry.and_then(|entry| delivery::header_name(reader, &entry.value));
        let default = fields.optional(reader, "default", |reader, node| {
            let name = reader.parsed(node, VersionName::new)?;
            if !unknown(reader, node.span, "version", name.as_str(), versions.keys().map(VersionName::as_str))
            {
                return None;
            }
            let state = versions.get(&name).map(|version| version.state);
            if matches!(state, Some(VersionState::Draft | VersionState::Retired)) {
                reader.error(node.span, format!("`{name}` cannot be called and cannot be the default"));
            }
            Some(name)
        });
        fields.end(reader);
        let by = by?;
        match (by.contains(&SelectBy::Header), header_entry) {
            (true, None) => reader.error(node.span, "selecting by header needs `header`, its name"),
            (false, Some(entry)) => {
                reader.error(entry.at, "`header` is given and `by` does not list `header`")
            }
            (true, Some(_)) | (false, None) => {}
        }
        Some(Select { by, header, default })
    })
}

fn operation(
    reader: &mut Reader<'_>,
    entry: &Entry,
    versions: &Versions,
) -> Option<(OperationName, Operation)> {
    let name = match OperationName::new(&entry.key) {
        Ok(name) => Some(name),
        Err(error) => {
            reader.error(entry.at, error.to_string());
            None
        }
    };
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let route = fields.required(reader, "match", |reader, node| {
        let (method, path) = reader.parsed(node, route)?;
        reader.declares(Ask::Route, &shape(&method, &path), node.span);
        Some((method, path))
    });
    let scopes = fields.or(reader, "scopes", Vec::new(), scopes);
    let limits = limits(reader, &mut fields);
    let idempotency = idempotency(reader, &mut fields);
    let bindings = fields.required(reader, "versions", |reader, node| {
        let entries = reader.map(node)?;
        if entries.is_empty() {
            reader.error(node.span, "an operation exists in at least one version");
        }
        Some(entries.iter().filter_map(|entry| binding(reader, entry, versions)).collect())
    });
    fields.end(reader);
    let (method, path) = route?;
    let origin = reader.origin(entry.at);
    let operation = Operation {
        origin,
        name: name.clone()?,
        method,
        path,
        scopes,
        limits,
        idempotency,
        versions: bindings?,
    };
    Some((name?, operation))
}

/// Where partners ask the gateway itself about their messages and events.
const OWN: &str = ".crossdock";

/// `POST /shipments/confirmations`.
fn route(text: &str) -> Result<(String, String), String> {
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let wrong = || "expected a method and a path, such as `POST /shipments/confirmations`".to_owned();
    let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
    if !METHODS.contains(&method) {
        let hint = nearest(&method.to_ascii_uppercase(), METHODS).map(|m| format!("; did you mean `{m}`?"));
        return Err(format!("`{}` is no method{}", clip(method), hint.unwrap_or_default()));
    }
    let path = path.trim();
    let rest = path.strip_prefix('/').ok_or_else(wrong)?;
    if path.len() > 512 {
        return Err("longer than 512 bytes".to_owned());
    }
    let mut names = Vec::new();
    for segment in rest.split('/') {
        let parameter = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
        };
        if !plain(parameter.unwrap_or(segment)) || segment == "." || segment == ".." {
            return Err(format!(
                "`{}` is not a segment of a path: letters, digits, `-`, `_`, `.`, `~`, or `{{name}}`",
                clip(segment)
            ));
        }
        if names.is_empty() && segment == OWN && rest.starts_with(segment) {
            return Err(format!("what lies below `/{OWN}` is the gateway's own"));
        }
        if let Some(parameter) = parameter {
            if names.contains(&parameter) {
                return Err(format!("`{{{parameter}}}` stands in the path twice"));
            }
            names.push(parameter);
        }
    }
    Ok((method.to_owned(), path.to_owned()))
}

/// A route without the names of its parameters: two of the same shape answer the same calls.
fn shape(method: &str, path: &str) -> String {
    let segments: Vec<&str> =
        path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect();
    format!("{method} {}", segments.join("/"))
}

fn idempotency(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Idempotency {
    const DAY: Duration = Duration::from_secs(86_400);
    let silent = Idempotency { required: false, ttl: DAY };
    fields.or(reader, "idempotency", silent, |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let required = fields.or(reader, "required", silent.required, |r, n| r.boolean(n));
        let ttl =
            fields.or(reader, "ttl", silent.ttl, |r, n| between(r, n, Duration::from_secs(60), 365 * DAY));
        fields.end(reader);
        Some(Idempotency { required, ttl })
    })
}

fn binding(reader: &mut Reader<'_>, entry: &Entry, versions: &Versions) -> Option<(VersionName, Binding)> {
    let name = VersionName::new(&entry.key).ok();
    let known = versions.keys().map(VersionName::as_str);
    unknown(reader, entry.at, "version", &entry.key, known);
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let schema = fields.optional(reader, "schema", schema);
    let (schema, schema_in_shadow) = schema.map_or((None, false), |(path, shadow)| (Some(path), shadow));
    let media_types = fields.or(reader, "media_types", Vec::new(), |r, n| r.list(n, media_type));
    let mapper = fields.optional(reader, "mapper", delivery::mapper);
    let mode = fields.or(reader, "mode", Mode::Exchange, |r, n| {
        r.word(n, &[("exchange", Mode::Exchange), ("proxy", Mode::Proxy)])
    });
    let partial_entry = fields.get("partial");
    let partial = fields.or(reader, "partial", false, |r, n| r.boolean(n));
    let acknowledge_entry = fields.get("acknowledge");
    let acknowledge = fields.or(reader, "acknowledge", Acknowledge::No, |r, n| {
        r.word(n, &[("answer", Acknowledge::Answer), ("no", Acknowledge::No)])
    });
    let target_entry = fields.get("target");
    let target = target_entry.and_then(|entry| {
        let name = reader.parsed(&entry.value, TargetName::new)?;
        reader.refers(Ask::Target, name.as_str(), entry.value.span);
        Some(name)
    });
    let target_mapper_entry = fields.get("target_mapper");
    let target_mapper = target_mapper_entry.and_then(|entry| delivery::mapper(reader, &entry.value));
    let has_mapper = fields.get("mapper").is_some();
    let run = delivery::mapper_run(reader, &mut fields);
    fields.end(reader);
    match mode {
        Mode::Exchange => {
            if !has_mapper {
                let finding =
                    Finding::error("an exchange operation needs a mapper: nothing else makes events");
                reader.push(finding.help("add `mapper: name@1`, or set `mode: proxy`"), entry.at);
            }
            for extra in [target_entry, target_mapper_entry].into_iter().flatten() {
                let finding = Finding::error(format!("`{}` is for `mode: proxy`", extra.key));
                reader.push(finding.help("events reach a target by a subscription"), extra.at);
            }
        }
        Mode::Proxy => {
            if target_entry.is_none() {
                reader.error(entry.at, "a proxy operation needs a target that answers");
            }
            for extra in [partial_entry, acknowledge_entry].into_iter().flatten() {
                let finding = Finding::error(format!("`{}` is for `mode: exchange`", extra.key));
                reader.push(finding.help("the target's answer is the answer"), extra.at);
            }
        }
    }
    let origin = reader.origin(entry.at);
    let binding = Binding {
        origin,
        schema,
        schema_in_shadow,
        media_types,
        mapper,
        mode,
        partial,
        acknowledge,
        target,
        target_mapper,
        run,
    };
    Some((name?, binding))
}

/// A path in `schemas/`, or `{ path, mode }`.
fn schema(reader: &mut Reader<'_>, node: &Node) -> Option<(String, bool)> {
    let known = |reader: &mut Reader<'_>, node: &Node| {
        let path = reader.string(node)?;
        reader.refers(Ask::Schema, &path, node.span);
        Some(path)
    };
    if reader_map(node).is_none() {
        return Some((known(reader, node)?, false));
    }
    let mut fields = reader.fields(node, node.span)?;
    let path = fields.required(reader, "path", known);
    let mode = fields.get("mode");
    let in_shadow = mode.and_then(|entry| shadow(reader, &entry.value)).unwrap_or(false);
    if let (true, Some(entry)) = (in_shadow, mode) {
        let finding = Finding::warning("this schema is in shadow: it refuses nothing")
            .help("`crossdock_shadow_refusals_total` counts what it would have refused");
        reader.push(finding, entry.span());
    }
    fields.end(reader);
    Some((path?, in_shadow))
}

fn media_type(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    reader.parsed(node, |text| {
        let token = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        match text.split_once('/') {
            Some((kind, sub)) if text.len() <= 127 && token(kind) && token(sub) => {
                Ok(text.to_ascii_lowercase())
            }
            _ => Err("expected a media type without parameters, such as `application/edi-x12`"),
        }
    })
}

fn grant(
    reader: &mut Reader<'_>,
    node: &Node,
    versions: &Versions,
    operations: &Operations,
) -> Option<Grant> {
    let mut fields = reader.fields(node, node.span)?;
    let partner = fields.required(reader, "partner", |reader, node| {
        let name = reader.parsed(node, PartnerName::new)?;
        reader.refers(Ask::Partner, name.as_str(), node.span);
        Some(name)
    });
    let granted = fields.required(reader, "operations", |reader, node| {
        reader.some(node, |reader, item| {
            let name = reader.parsed(item, OperationName::new)?;
            let known = operations.keys().map(OperationName::as_str);
            unknown(reader, item.span, "operation", name.as_str(), known).then_some(name)
        })
    });
    let granted_versions = fields.required(reader, "versions", |reader, node| {
        reader.some(node, |reader, item| {
            let name = reader.parsed(item, VersionName::new)?;
            let known = versions.keys().map(VersionName::as_str);
            unknown(reader, item.span, "version", name.as_str(), known).then_some(name)
        })
    });
    let when = fields.optional(reader, "when", when);
    fields.end(reader);
    let (granted, granted_versions) = (granted?, granted_versions?);
    if let Some((when, true)) = &when {
        let blind = granted.iter().filter_map(|name| operations.get(name)).find(|operation| {
            let versions = granted_versions.iter().filter_map(|version| operation.versions.get(version));
            versions.into_iter().any(|binding| binding.mapper.is_none())
        });
        if let Some(operation) = blind {
            let finding = Finding::error(format!(
                "the condition speaks of an event, and `{}` has no mapper that makes one",
                operation.name
            ));
            let mut finding = finding;
            finding.place = Some(Place::line(&when.origin));
            reader.report.push(finding);
        }
    }
    for name in &granted {
        let bound = operations.get(name).is_some_and(|operation| {
            granted_versions.iter().any(|version| operation.versions.contains_key(version))
        });
        if operations.contains_key(name) && !bound {
            reader.warning(node.span, format!("`{name}` exists in none of the granted versions"));
        }
    }
    let origin = reader.origin(node.span);
    let when = when.map(|(when, _)| when);
    Some(Grant { origin, partner: partner?, operations: granted, versions: granted_versions, when })
}

/// A condition, and whether it is about events.
fn when(reader: &mut Reader<'_>, node: &Node) -> Option<(When, bool)> {
    let text = reader.scalar(node)?;
    match Condition::compile(text) {
        Ok(condition) => {
            let about_events = condition.is_about_events();
            Some((When { origin: reader.origin(node.span), text: text.into() }, about_events))
        }
        Err(error) => {
            let finding = Finding::error(error.to_string());
            let finding = match &error {
                Invalid::Syntax { column: Some(column), .. } => {
                    finding.label(format!("at column {column} of the expression"))
                }
                Invalid::Name(name) | Invalid::Function(name) => {
                    match nearest(name, error.known().iter().copied()) {
                        Some(near) => finding.help(format!("did you mean `{near}`?")),
                        None => finding.help(format!("there are: {}", error.known().join(", "))),
                    }
                }
                _ => finding,
            };
            reader.push(finding, node.span);
            None
        }
    }
}

/// Reports a name that is not among the known ones; answers whether it is.
fn unknown<'k>(
    reader: &mut Reader<'_>,
    span: Span,
    word: &str,
    name: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> bool {
    let found = known.clone().any(|candidate| candidate == name);
    if !found {
        let finding = Finding::error(format!("there is no {word} `{}` in this API", clip(name)));
        let finding = match nearest(name, known.clone()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => {
                let names: Vec<&str> = known.take(10).collect();
                finding.help(format!("it has: {}", names.join(", ")))
            }
        };
        reader.push(finding, span);
    }
    found
}

/// Versions in force in which no operation exists.
fn unreachable_versions(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    versions: &Versions,
    operations: &Operations,
) {
    for entry in entries {
        let callable = versions
            .get(entry.key.as_str())
            .is_some_and(|version| matches!(version.state, VersionState::Active | VersionState::Deprecated));
        let bound = operations.values().any(|operation| operation.versions.contains_key(entry.key.as_str()));
        if callable && !bound && !operations.is_empty() {
            reader.warning(entry.at, format!("no operation exists in version `{}`", entry.key));
        }
    }
}

/// Operations that nobody may call.
fn ungranted(reader: &mut Reader<'_>, at: Span, operations: &Operations, grants: &[Grant]) {
    for name in operations.keys() {
        if !grants.iter().any(|grant| grant.operations.contains(name)) {
            let finding = Finding::warning(format!("nobody may call `{name}`"));
            reader.push(finding.help("grant it to a partner, or take it away"), at);
        }
    }
}
