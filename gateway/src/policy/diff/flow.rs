//! Where events go and how: subscriptions, targets, what mappers are given, tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effect::{Changes, Narrows, Widens},
    Found, access,
    words::{edi, mapper, number, optional, secret, set, setting, span},
};
use crate::{
    policy::{
        checked::{Checked, EventPattern, MapperLimits, MapperRun, Origin, Pin, Subscription, Table, Target},
        units,
    },
    words::Digest,
};

pub(super) fn compare(before: &Checked, after: &Checked, found: &mut Found) {
    access::gateway(before, after, found);
    let subscriptions = (&before.subscriptions, &after.subscriptions);
    for (name, new) in subscriptions.1.iter().filter(|(name, _)| !subscriptions.0.contains_key(*name)) {
        found.note(Widens, name, flows(new, "now gets"), &new.origin);
    }
    for (name, old) in subscriptions.0.iter().filter(|(name, _)| !subscriptions.1.contains_key(*name)) {
        found.note(Narrows, name, flows(old, "no longer gets"), &old.origin);
    }
    let kept = |all: &BTreeMap<_, Subscription>, other: &BTreeMap<_, Subscription>| {
        let both = all.iter().filter(|(name, _)| other.contains_key(*name));
        both.map(|(name, one): (&crate::words::SubscriptionName, _)| (name.clone(), one.clone())).collect()
    };
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (kept(subscriptions.0, subscriptions.1), kept(subscriptions.1, subscriptions.0));
    let kind = ("subscriptions", "subscription");
    found.things(kind, (&old, &new), |one| &one.origin, (Widens, Narrows), subscription);
    let targets = (&before.targets, &after.targets);
    found.things(("targets", "target"), targets, |one| &one.origin, (Changes, Changes), target);
    let tables = (&before.tables, &after.tables);
    found.things(("tables", "table"), tables, |one| &one.origin, (Changes, Changes), table);
    let pins = |checked: &Checked| checked.lock.clone().unwrap_or_default();
    let pins = (&pins(before), &pins(after));
    found.things(("pinned mappers", "pinned mapper"), pins, |one| &one.origin, (Changes, Changes), pin);
}

fn flows(subscription: &Subscription, verb: &str) -> String {
    let from = match &subscription.from {
        None => "everybody".to_owned(),
        Some(from) => from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let events: Vec<&str> = subscription.events.iter().map(|pattern| pattern.kind.as_str()).collect();
    format!("`{}` {verb} {} of {from}", subscription.target, events.join(", "))
}

fn subscription(found: &mut Found, old: &Subscription, new: &Subscription) {
    let (name, rule) = (&new.name, &new.origin);
    match (&old.from, &new.from) {
        (None, Some(from)) => {
            let from: Vec<String> = from.iter().map(ToString::to_string).collect();
            found.note(Narrows, name, format!("takes events of {} only", from.join(", ")), rule);
        }
        (Some(_), None) => found.note(Widens, name, "takes events of everybody", rule),
        (Some(a), Some(b)) => {
            found.set(name, ("also takes events of", "takes no events of"), (&set(a), &set(b)), rule)
        }
        (None, None) => {}
    }
    let kinds = |events: &[EventPattern]| -> BTreeSet<String> {
        let shown = |pattern: &EventPattern| -> Vec<String> {
            match pattern.versions.as_slice() {
                [] => vec![pattern.kind.clone()],
                versions => versions.iter().map(|version| format!("{} v{version}", pattern.kind)).collect(),
            }
        };
        events.iter().flat_map(shown).collect()
    };
    found.set(name, ("also takes", "no longer takes"), (&kinds(&old.events), &kinds(&new.events)), rule);
    found.value(name, "goes to", (&old.target, &new.target), ToString::to_string, rule);
    found.value(name, "mapper", (&mapper(&old.mapper), &mapper(&new.mapper)), Clone::clone, rule);
    run(name.as_str(), &old.run, &new.run, rule, found);
}

/// What a mapper is given.
pub(super) fn run(subject: &str, old: &MapperRun, new: &MapperRun, rule: &Origin, found: &mut Found) {
    let tables = (&set(&old.tables), &set(&new.tables));
    found.set(subject, ("its mapper sees the table", "its mapper no longer sees the table"), tables, rule);
    let keys: BTreeSet<&String> = old.config.keys().chain(new.config.keys()).collect();
    for key in keys {
        let shown = |value: &Option<&serde_json::Value>| value.map_or("none".to_owned(), ToString::to_string);
        found.value(
            subject,
            &format!("config {key}"),
            (&old.config.get(key), &new.config.get(key)),
            shown,
            rule,
        );
    }
    let MapperLimits { cpu, memory_bytes, input_bytes, output_bytes } = new.limits;
    if cpu != old.limits.cpu {
        let shown = |cpu: Option<std::time::Duration>| cpu.map_or("the default".to_owned(), units::span);
        let what = format!("its mapper's CPU time {} → {}", shown(old.limits.cpu), shown(cpu));
        found.note(Changes, subject, what, rule);
    }
    for (name, before, after) in [
        ("memory", old.limits.memory_bytes, memory_bytes),
        ("input", old.limits.input_bytes, input_bytes),
        ("output", old.limits.output_bytes, output_bytes),
    ] {
        let shown = |size: &Option<u64>| size.map_or("the default".to_owned(), units::bytes);
        found.value(subject, &format!("its mapper's {name}"), (&before, &after), shown, rule);
    }
}

fn target(found: &mut Found, old: &Target, new: &Target) {
    let (name, rule) = (&new.name, &new.origin);
    found.value(name, "url", (&old.url, &new.url), setting, rule);
    found.value(name, "owner", (&old.owner, &new.owner), optional, rule);
    found.value(name, "interchanges", (&old.edi, &new.edi), edi, rule);
    if old.credentials != new.credentials {
        found.note(Changes, name, "is shown another credential", rule);
    }
    match (&old.webhook_secret, &new.webhook_secret) {
        (Some(_), None) => found.note(Widens, name, "gets deliveries that are not signed", rule),
        (None, Some(_)) => found.note(Narrows, name, "gets signed deliveries", rule),
        pair => found.value(name, "signing secret", (pair.0, pair.1), secret, rule),
    }
    found.value(name, "timeout", (&old.timeout, &new.timeout), span, rule);
    found.value(name, "calls at the same time", (&old.concurrency, &new.concurrency), number, rule);
    found.value(name, "stuck", (&old.stuck, &new.stuck), |stuck| format!("{stuck:?}").to_lowercase(), rule);
    if old.retry != new.retry {
        let shown = |target: &Target| {
            let retry = &target.retry;
            let attempts = retry.attempts.map(|number| format!(", {number} attempts")).unwrap_or_default();
            format!(
                "{} × {} to {}, for {}{attempts}",
                units::span(retry.first),
                retry.factor,
                units::span(retry.cap),
                units::span(retry.give_up_after)
            )
        };
        found.note(Changes, name, format!("retries {} → {}", shown(old), shown(new)), rule);
    }
    if old.breaker != new.breaker {
        found.note(Changes, name, "its circuit breaker opens at other figures", rule);
    }
}

fn pin(found: &mut Found, old: &Pin, new: &Pin) {
    let generation = |version: &str, digest: &Digest| format!("{version} {}", digest.short());
    let out = |pin: &Pin| match &pin.canary {
        None => "none".to_owned(),
        Some(canary) => format!("{} for {} %", generation(&canary.version, &canary.digest), canary.share),
    };
    let live = |pin: &Pin| generation(&pin.version, &pin.digest);
    found.value("mappers.lock", "live", (&live(old), &live(new)), Clone::clone, &new.origin);
    found.value("mappers.lock", "candidate", (&out(old), &out(new)), Clone::clone, &new.origin);
}

fn table(found: &mut Found, old: &std::sync::Arc<Table>, new: &std::sync::Arc<Table>) {
    let rule = &new.origin;
    if old.columns != new.columns || old.keys != new.keys {
        found.note(Changes, &new.name, "has other columns", rule);
        return;
    }
    fn rows(table: &Table) -> BTreeMap<Vec<&String>, &Vec<String>> {
        table
            .rows
            .iter()
            .map(|row| (table.keys.iter().filter_map(|at| row.get(*at)).collect(), row))
            .collect()
    }
    let (before, after) = (rows(old), rows(new));
    let added = after.keys().filter(|key| !before.contains_key(*key)).count();
    let gone = before.keys().filter(|key| !after.contains_key(*key)).count();
    let other = after.iter().filter(|(key, row)| before.get(*key).is_some_and(|old| old != *row)).count();
    let what = format!("rows: {added} added, {gone} taken away, {other} changed");
    found.note(Changes, format!("table {}", new.name), what, rule);
}
