//! `targets/*.yaml`, `subscriptions/*.yaml`, and what mappers are given.

use std::time::Duration;

use super::{
    Ask,
    gateway::{between, size},
    partner::edi,
    reader::{Fields, Reader},
};
use crate::{
    policy::{
        checked::{
            Breaker, EventPattern, MapperLimits, MapperRef, MapperRun, Retry, Stuck, Subscription, Target,
            TargetCredentials, Wanted,
        },
        raw::{Entry, Kind, Node},
        report::Finding,
    },
    words::{Digest, MapperName, PartnerName, SubscriptionName, TargetName},
};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Largest configuration of a mapper, as JSON: it is copied into every call.
const CONFIG_MAX_BYTES: usize = 64 << 10;

pub(super) fn target(reader: &mut Reader<'_>, node: &Node) -> Option<Target> {
    let mut fields = reader.fields(node, node.span)?;
    let at = fields.get("target").map_or(node.span, Entry::span);
    let name = fields.required(reader, "target", |r, n| r.parsed(n, TargetName::new));
    if let Some(name) = &name {
        reader.declares(Ask::Target, name.as_str(), at);
    }
    let url = fields.required(reader, "url", |r, n| r.url(n));
    let owner = fields.optional(reader, "owner", partner_name);
    let edi = fields.optional(reader, "edi", edi);
    let credentials = fields.or(reader, "credentials", TargetCredentials::None, credentials);
    let webhook_secret = fields.optional(reader, "sign", |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let secret = fields.required(reader, "webhook_secret", |r, n| r.secret(n));
        fields.end(reader);
        secret
    });
    let timeout =
        fields.or(reader, "timeout", 10 * SECOND, |r, n| between(r, n, 100 * MILLISECOND, 5 * MINUTE));
    let retry = retry(reader, &mut fields);
    let breaker = breaker(reader, &mut fields);
    let concurrency = fields.or(reader, "concurrency", 16, |r, n| r.number(n, 1, 10_000));
    let stuck = fields.or(reader, "stuck", Stuck::Hold, |r, n| {
        r.word(n, &[("hold", Stuck::Hold), ("skip", Stuck::Skip), ("latest-wins", Stuck::LatestWins)])
    });
    fields.end(reader);
    Some(Target {
        origin: reader.origin(at),
        name: name?,
        url: url?,
        owner,
        edi,
        credentials,
        webhook_secret,
        timeout,
        retry,
        breaker,
        concurrency,
        stuck,
    })
}

fn partner_name(reader: &mut Reader<'_>, node: &Node) -> Option<PartnerName> {
    let name = reader.parsed(node, PartnerName::new)?;
    reader.refers(Ask::Partner, name.as_str(), node.span);
    Some(name)
}

fn credentials(reader: &mut Reader<'_>, node: &Node) -> Option<TargetCredentials> {
    if matches!(&node.kind, Kind::Scalar { text, .. } if text == "none") {
        return Some(TargetCredentials::None);
    }
    let mut fields = reader.fields(node, node.span)?;
    let ways = [fields.get("bearer"), fields.get("basic"), fields.get("header")];
    fields.end(reader);
    let mut given = ways.into_iter().flatten();
    let (Some(way), None) = (given.next(), given.next()) else {
        reader.error(node.span, "expected one of `bearer`, `basic` and `header`");
        return None;
    };
    match way.key.as_str() {
        "bearer" => reader.secret(&way.value).map(TargetCredentials::Bearer),
        "basic" => {
            let mut fields = reader.fields(&way.value, way.at)?;
            let user = fields.required(reader, "user", |r, n| r.string(n));
            let password = fields.required(reader, "password", |r, n| r.secret(n));
            fields.end(reader);
            Some(TargetCredentials::Basic { user: user?, password: password? })
        }
        _ => {
            let mut fields = reader.fields(&way.value, way.at)?;
            let name = fields.required(reader, "name", header_name);
            let value = fields.required(reader, "value", |r, n| r.secret(n));
            fields.end(reader);
            Some(TargetCredentials::Header { name: name?, value: value? })
        }
    }
}

/// The name of a header that a policy may set or read, in lower case.
pub(super) fn header_name(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    /// These frame the message or are the gateway's own.
    const TAKEN: [&str; 10] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
        "trailer",
        "keep-alive",
        "idempotency-key",
    ];
    reader.parsed(node, |text| {
        let name = http::HeaderName::try_from(text).map_err(|_| "not the name of a header".to_owned())?;
        if TAKEN.contains(&name.as_str()) {
            return Err(format!("the gateway itself sets and reads `{name}`"));
        }
        Ok(name.as_str().to_owned())
    })
}

fn retry(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Retry {
    let silent =
        Retry { first: SECOND, factor: 2, cap: 15 * MINUTE, give_up_after: 72 * HOUR, attempts: None };
    fields.or(reader, "retry", silent, |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let first = fields.or(reader, "first", silent.first, |r, n| between(r, n, 10 * MILLISECOND, HOUR));
        let factor = fields.or(reader, "factor", silent.factor, |r, n| r.number(n, 1, 10));
        let cap_entry = fields.get("cap");
        let cap =
            cap_entry.and_then(|e| between(reader, &e.value, 10 * MILLISECOND, DAY)).unwrap_or(silent.cap);
        let give_up_after =
            fields.or(reader, "give_up_after", silent.give_up_after, |r, n| between(r, n, SECOND, 90 * DAY));
        let attempts = fields.optional(reader, "attempts", |r, n| r.number(n, 1, 10_000));
        fields.end(reader);
        if cap < first {
            let at = cap_entry.map_or(node.span, Entry::span);
            reader.error(at, "the longest wait is shorter than the first");
        }
        Some(Retry { first, factor, cap, give_up_after, attempts })
    })
}

fn breaker(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Breaker {
    let silent = Breaker {
        samples: 10,
        failure_percent: 50,
        window: 30 * SECOND,
        in_a_row: 10,
        open_for: 30 * SECOND,
    };
    fields.or(reader, "breaker", silent, |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let samples = fields.or(reader, "samples", silent.samples, |r, n| r.number(n, 1, 10_000));
        let failure_percent =
            fields.or(reader, "failure_percent", silent.failure_percent, |r, n| r.number(n, 1, 100));
        let window = fields.or(reader, "window", silent.window, |r, n| between(r, n, SECOND, HOUR));
        let in_a_row = fields.or(reader, "in_a_row", silent.in_a_row, |r, n| r.number(n, 1, 10_000));
        let open_for = fields.or(reader, "open_for", silent.open_for, |r, n| between(r, n, SECOND, HOUR));
        fields.end(reader);
        Some(Breaker { samples, failure_percent, window, in_a_row, open_for })
    })
}

pub(super) fn subscription(reader: &mut Reader<'_>, node: &Node) -> Option<Subscription> {
    let mut fields = reader.fields(node, node.span)?;
    let at = fields.get("subscription").map_or(node.span, Entry::span);
    let name = fields.required(reader, "subscription", |r, n| r.parsed(n, SubscriptionName::new));
    if let Some(name) = &name {
        reader.declares(Ask::Subscription, name.as_str(), at);
    }
    let from = fields.optional(reader, "from", |r, n| r.some(n, partner_name));
    let events = fields.required(reader, "events", |r, n| r.some(n, pattern));
    let target = fields.required(reader, "target", |reader, node| {
        let name = reader.parsed(node, TargetName::new)?;
        reader.refers(Ask::Target, name.as_str(), node.span);
        Some(name)
    });
    let mapper = fields.optional(reader, "mapper", mapper);
    let run = mapper_run(reader, &mut fields);
    fields.end(reader);
    let origin = reader.origin(at);
    Some(Subscription { origin, name: name?, from, events: events?, target: target?, mapper, run })
}

fn pattern(reader: &mut Reader<'_>, node: &Node) -> Option<EventPattern> {
    let origin = reader.origin(node.span);
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(EventPattern { origin, kind: event_kind(reader, node)?, versions: Vec::new() });
    }
    let mut fields = reader.fields(node, node.span)?;
    let kind = fields.required(reader, "type", event_kind);
    let versions = fields.or(reader, "versions", Vec::new(), |reader, node| {
        reader.some(node, |reader, item| {
            reader.parsed(item, |text| {
                let number = text.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
                number.filter(|number| *number > 0).ok_or("expected a version of the type, such as `v1`")
            })
        })
    });
    fields.end(reader);
    Some(EventPattern { origin, kind: kind?, versions })
}

/// A canonical type of events.
pub(super) fn event_kind(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.scalar(node)?;
    let known = super::EVENT_KINDS;
    if !known.contains(&text) {
        let finding = Finding::error(format!("there is no canonical event `{}`", super::reader::clip(text)));
        let family = text.split('.').next().unwrap_or_default();
        let siblings: Vec<&str> =
            known.iter().copied().filter(|kind| kind.split('.').next() == Some(family)).collect();
        let finding = match crate::policy::report::nearest(text, known.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None if siblings.is_empty() => finding,
            None => finding.help(format!("of this family there are: {}", siblings.join(", "))),
        };
        reader.push(finding, node.span);
        return None;
    }
    Some(text.to_owned())
}

/// `x12-wms@1`, or `x12-wms@sha256:…` for one generation and no other.
pub(super) fn mapper(reader: &mut Reader<'_>, node: &Node) -> Option<MapperRef> {
    let origin = reader.origin(node.span);
    reader.parsed(node, |text| {
        let wrong = "expected a mapper and its version, such as `x12-wms@1` or `x12-wms@1.4.0`";
        let (name, version) = text.split_once('@').ok_or_else(|| wrong.to_owned())?;
        let name = MapperName::new(name).map_err(|error| error.to_string())?;
        if let Some(hex) = version.strip_prefix("sha256:") {
            let digest = Digest::parse(hex).ok_or("a digest is 64 hexadecimal digits after `sha256:`")?;
            return Ok(MapperRef { origin, name, wanted: Wanted::Digest(digest) });
        }
        let parts: Vec<&str> = version.split('.').collect();
        let number =
            |part: &&str| part.len() <= 6 && part.parse::<u32>().is_ok_and(|n| n.to_string() == **part);
        if parts.len() > 3 || !parts.iter().all(number) {
            return Err(wrong.to_owned());
        }
        Ok(MapperRef { origin, name, wanted: Wanted::Version(version.to_owned()) })
    })
}

/// `tables`, `config` and `mapper_limits`.
pub(super) fn mapper_run(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> MapperRun {
    let tables = fields.or(reader, "tables", Vec::new(), |reader, node| {
        reader.list(node, |reader, item| {
            let name = reader.string(item)?;
            reader.refers(Ask::Table, &name, item.span);
            Some(name)
        })
    });
    let config = fields.or(reader, "config", serde_json::Map::new(), |reader, node| {
        every_map(reader, node)?;
        match node.json() {
            serde_json::Value::Object(config) => {
                let length = serde_json::to_string(&config).map_or(usize::MAX, |text| text.len());
                if length > CONFIG_MAX_BYTES {
                    reader.error(node.span, format!("more than {} KiB as JSON", CONFIG_MAX_BYTES >> 10));
                    return None;
                }
                Some(config)
            }
            _ => {
                reader.error(node.span, "expected a map of keys and values");
                None
            }
        }
    });
    let limits = fields.or(reader, "mapper_limits", MapperLimits::default(), |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let limits = MapperLimits {
            cpu: fields.optional(reader, "cpu", |r, n| between(r, n, MILLISECOND, MINUTE)),
            memory_bytes: fields.optional(reader, "memory", |r, n| size(r, n, 1 << 20, 4 << 30)),
            input_bytes: fields.optional(reader, "input", |r, n| size(r, n, 1, 1 << 30)),
            output_bytes: fields.optional(reader, "output", |r, n| size(r, n, 1, 1 << 30)),
        };
        fields.end(reader);
        Some(limits)
    });
    MapperRun { tables, config, limits }
}

/// Reports keys that stand twice anywhere in a free-form value.
fn every_map(reader: &mut Reader<'_>, node: &Node) -> Option<()> {
    match &node.kind {
        Kind::Map(_) => reader.map(node)?.iter().try_for_each(|entry| every_map(reader, &entry.value)),
        Kind::List(items) => items.iter().try_for_each(|item| every_map(reader, item)),
        Kind::Null | Kind::Scalar { .. } => Some(()),
    }
}
