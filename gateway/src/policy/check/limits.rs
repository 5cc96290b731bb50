//! `limits` of partners, credentials and operations.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{
    gateway::{between, size},
    reader::{Fields, Reader},
};
use crate::{
    policy::{
        checked::{Limits, Rate},
        raw::{Kind, Node},
        report::Finding,
        units,
    },
    throttle::{Period, Quota, Window},
    words::Unit,
};

/// Quotas of one scope.
const MOST_QUOTAS: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// `limits` of a partner, a credential or an operation.
pub(super) fn limits(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Limits {
    fields.or(reader, "limits", Limits::default(), |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let rate = fields.optional(reader, "rate", |r, n| r.parsed(n, units::rate));
        let burst_entry = fields.get("burst");
        let burst = burst_entry.and_then(|entry| reader.number(&entry.value, 1, 1_000_000));
        let concurrency = fields.optional(reader, "concurrency", |r, n| r.number(n, 1, 1_000_000));
        let rate_given = fields.get("rate").is_some();
        let quotas = fields.or(reader, "quota", Vec::new(), quotas);
        let mode = fields.get("mode");
        let shadow = mode.and_then(|entry| shadow(reader, &entry.value)).unwrap_or(false);
        if let (true, Some(entry)) = (shadow, mode) {
            let finding = Finding::warning("these limits are in shadow: they refuse nobody")
                .help("`crossdock_shadow_refusals_total` counts whom they would have refused");
            reader.push(finding, entry.span());
        }
        fields.end(reader);
        if let (Some(entry), false) = (burst_entry, rate_given) {
            reader.error(entry.at, "a `burst` needs a `rate`");
        }
        let rate = rate.map(|(requests, per)| Rate { requests, per, burst: burst.unwrap_or(requests) });
        Some(Limits { rate, quotas, concurrency, shadow })
    })
}

/// `mode: enforce | shadow`, as every control has it.
pub(super) fn shadow(reader: &mut Reader<'_>, node: &Node) -> Option<bool> {
    reader.word(node, &[("enforce", false), ("shadow", true)])
}

/// One quota, or a list of them.
fn quotas(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Quota>> {
    if !matches!(node.kind, Kind::List(_)) {
        return quota(reader, node).map(|quota| vec![quota]);
    }
    let mut all: Vec<Quota> = Vec::new();
    let read = reader.some(node, |reader, item| {
        let read = quota(reader, item)?;
        if all.iter().any(|other| other.name == read.name) {
            reader.error(item.span, "a second quota of the same period: the smaller one would decide");
            return None;
        }
        all.push(read.clone());
        Some(read)
    })?;
    if read.len() > MOST_QUOTAS {
        reader.error(node.span, format!("more than {MOST_QUOTAS} quotas"));
    }
    Some(read)
}

/// `{ requests: 10000, per: day, zone: Europe/Berlin }` or `{ bytes: 5GiB, rolling: 24h }`.
fn quota(reader: &mut Reader<'_>, node: &Node) -> Option<Quota> {
    let mut fields = reader.fields(node, node.span)?;
    let requests = fields.get("requests");
    let bytes = fields.get("bytes");
    let per = fields.get("per");
    let rolling = fields.get("rolling");
    let zone_entry = fields.get("zone");
    let zone = zone_entry.and_then(|entry| {
        reader.parsed(&entry.value, |text| {
            TimeZone::get(text).map_err(|_| "expected an IANA time zone such as `America/Chicago`")
        })
    });
    fields.end(reader);
    let (most, unit) = match (requests, bytes) {
        (Some(entry), None) => (u64::from(reader.number(&entry.value, 1, u32::MAX)?), Unit::Requests),
        (None, Some(entry)) => (size(reader, &entry.value, 1, 1 << 50)?, Unit::Bytes),
        _ => {
            reader.error(node.span, "expected either `requests` or `bytes`");
            return None;
        }
    };
    let window = match (per, rolling) {
        (Some(entry), None) => {
            let words = [
                ("hour", Period::Hour),
                ("day", Period::Day),
                ("week", Period::Week),
                ("month", Period::Month),
            ];
            Window::Calendar(reader.word(&entry.value, &words)?, zone.unwrap_or(TimeZone::UTC))
        }
        (None, Some(entry)) => {
            if let Some(zone) = zone_entry {
                reader.error(zone.at, "a rolling window has no zone");
            }
            Window::Rolling(between(reader, &entry.value, MINUTE, 366 * DAY)?)
        }
        _ => {
            reader
                .error(node.span, "expected either `per` (hour, day, week, month) or `rolling` (a duration)");
            return None;
        }
    };
    Some(Quota::new(most, unit, window))
}
