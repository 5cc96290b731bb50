//! Who may call what, until when, how often, and with which documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Effect::{Changes, Narrows, Widens},
    Found, placeless,
    words::{day, edi, listed, mapper, number, optional, setting, size, span, state},
};
use crate::{
    policy::{
        checked::{
            Api, Binding, Checked, Credential, CredentialKind, Issuer, Limits, Operation, Origin, Partner,
            Version, VersionState,
        },
        compat,
        diff::words::set,
        units,
    },
    words::Mode,
};

/// Places of a schema that are listed for one change.
const PLACES: usize = 10;

pub(super) fn compare(before: &Checked, after: &Checked, found: &mut Found) {
    grants(before, after, found);
    let apis = (&before.apis, &after.apis);
    found.things(
        ("APIs", "API"),
        apis,
        |api| &api.origin,
        (Changes, Changes),
        |found, old, new| {
            api(before, after, old, new, found);
        },
    );
    let partners = (&before.partners, &after.partners);
    found.things(("partners", "partner"), partners, |p| &p.origin, (Widens, Narrows), partner);
    let issuers = (&before.issuers, &after.issuers);
    found.things(("issuers", "issuer of tokens"), issuers, |i| &i.origin, (Widens, Narrows), issuer);
    ownership(before, after, found);
}

/// Whose events of a type are: an owner more is wider, and so is a line less.
fn ownership(before: &Checked, after: &Checked, found: &mut Found) {
    let named = |kind: &String| format!("events of {kind}");
    for (kind, new) in &after.ownership {
        match before.ownership.get(kind) {
            None => found.note(Narrows, named(kind), format!("only of {}", listed(&new.owners)), &new.origin),
            Some(old) => {
                let words = ("may also come from", "may no longer come from");
                found.set(named(kind), words, (&set(&old.owners), &set(&new.owners)), &new.origin);
            }
        }
    }
    for (kind, old) in &before.ownership {
        if !after.ownership.contains_key(kind) {
            found.note(Widens, named(kind), "may come from everybody who may call", &old.origin);
        }
    }
}

/// One thing that a partner may do: partner, operation, version.
type Access<'c> = (&'c str, String, &'c str);

/// Under which conditions, one of which must hold; without any if one grant has none.
struct Terms<'c> {
    operation: &'c Operation,
    origin: &'c Origin,
    conditions: Option<BTreeSet<&'c str>>,
}

fn accesses(checked: &Checked) -> BTreeMap<Access<'_>, Terms<'_>> {
    let mut all = BTreeMap::<_, Terms<'_>>::new();
    for api in checked.apis.values() {
        for grant in &api.grants {
            for operation in grant.operations.iter().filter_map(|name| api.operations.get(name)) {
                for version in &grant.versions {
                    let state = api.versions.get(version).map(|version| version.state);
                    let lives = matches!(state, Some(VersionState::Active | VersionState::Deprecated));
                    if lives && operation.versions.contains_key(version) {
                        let id = format!("{}/{}", api.name, operation.name);
                        let key = (grant.partner.as_str(), id, version.as_str());
                        let terms =
                            Terms { operation, origin: &grant.origin, conditions: Some(BTreeSet::new()) };
                        let terms = all.entry(key).or_insert(terms);
                        match (&grant.when, &mut terms.conditions) {
                            (None, _) => terms.conditions = None,
                            (Some(when), Some(conditions)) => {
                                conditions.insert(&*when.text);
                            }
                            (Some(_), None) => {}
                        }
                    }
                }
            }
        }
    }
    all
}

fn grants(before: &Checked, after: &Checked, found: &mut Found) {
    let (old, new) = (accesses(before), accesses(after));
    for ((partner, id, version), Terms { operation, origin, conditions }) in &new {
        match old.get(&(*partner, id.clone(), *version)) {
            Some(before) if before.conditions == *conditions => {
                *found.same.entry("grants").or_default() += 1;
            }
            Some(before) => {
                let effect = match (&before.conditions, conditions) {
                    (Some(_), None) => Widens,
                    (None, Some(_)) => Narrows,
                    (Some(old), Some(new)) if new.is_superset(old) => Widens,
                    (Some(old), Some(new)) if new.is_subset(old) => Narrows,
                    _ => Changes,
                };
                found.note(effect, partner, format!("may call {id} {version} {}", terms(conditions)), origin);
            }
            None => {
                let mut what =
                    format!("may now call {} {} ({id} {version})", operation.method, operation.path);
                if conditions.is_some() {
                    what = format!("{what} {}", terms(conditions));
                }
                found.note(Widens, partner, what, origin);
            }
        }
    }
    for ((partner, id, version), Terms { operation, origin, .. }) in &old {
        if !new.contains_key(&(*partner, id.clone(), *version)) {
            let what = format!("may no longer call {} {} ({id} {version})", operation.method, operation.path);
            found.note(Narrows, partner, what, origin);
        }
    }
}

fn terms(conditions: &Option<BTreeSet<&str>>) -> String {
    match conditions {
        None => "without a condition".to_owned(),
        Some(all) => format!("when {}", all.iter().copied().collect::<Vec<_>>().join(" or ")),
    }
}

fn api(before: &Checked, after: &Checked, old: &Api, new: &Api, found: &mut Found) {
    let name = &new.name;
    found.value(
        name,
        "layer",
        (&old.layer, &new.layer),
        |layer| format!("{layer:?}").to_lowercase(),
        &new.origin,
    );
    let (old_select, new_select) = (&old.select, &new.select);
    found.value(
        name,
        "the default version",
        (&old_select.default, &new_select.default),
        optional,
        &new.origin,
    );
    if (&old_select.by, &old_select.header) != (&new_select.by, &new_select.header) {
        found.note(Changes, name, "a version is named in another way", &new.origin);
    }
    for (version, life) in &new.versions {
        match old.versions.get(version) {
            Some(before) => self::life(&format!("{name} {version}"), before, life, found),
            None => found.note(Changes, format!("{name} {version}"), "is a new version", &life.origin),
        }
    }
    for (version, life) in &old.versions {
        if !new.versions.contains_key(version) {
            found.note(Changes, format!("{name} {version}"), "is no version any more", &life.origin);
        }
    }
    for (id, operation) in &new.operations {
        let subject = format!("{name}/{id}");
        match old.operations.get(id) {
            Some(before_operation) => {
                if placeless(before_operation) == placeless(operation) {
                    *found.same.entry("operations").or_default() += 1;
                }
                self::operation(&subject, before, after, before_operation, operation, found);
            }
            None => {
                let what = format!("is a new operation, {} {}", operation.method, operation.path);
                found.note(Changes, subject, what, &operation.origin);
            }
        }
    }
    for (id, operation) in old.operations.iter().filter(|(id, _)| !new.operations.contains_key(*id)) {
        found.note(Changes, format!("{name}/{id}"), "is no operation any more", &operation.origin);
    }
}

fn life(subject: &str, old: &Version, new: &Version, found: &mut Found) {
    let callable = |state| matches!(state, VersionState::Active | VersionState::Deprecated);
    if old.state != new.state {
        let effect = match (callable(old.state), callable(new.state)) {
            (false, true) => Widens,
            (true, false) => Narrows,
            _ => Changes,
        };
        let what = format!("is {}, was {}", state(&new.state), state(&old.state));
        found.note(effect, subject, what, &new.origin);
    }
    if old.sunset != new.sunset {
        let later = match (old.sunset, new.sunset) {
            (Some(old), Some(new)) => new > old,
            (_, new) => new.is_none(),
        };
        let what = format!("retires {} → {}", day(&old.sunset), day(&new.sunset));
        found.note(if later { Widens } else { Narrows }, subject, what, &new.origin);
    }
    found.value(subject, "deprecated from", (&old.deprecated, &new.deprecated), day, &new.origin);
    found.value(subject, "successor", (&old.successor, &new.successor), optional, &new.origin);
}

fn operation(
    subject: &str,
    before: &Checked,
    after: &Checked,
    old: &Operation,
    new: &Operation,
    found: &mut Found,
) {
    let route = |operation: &Operation| format!("{} {}", operation.method, operation.path);
    if route(old) != route(new) {
        found.note(Changes, subject, format!("moves from {} to {}", route(old), route(new)), &new.origin);
    }
    let (before_scopes, now) = (set(&old.scopes), set(&new.scopes));
    // A scope more lets fewer in.
    found.set(
        subject,
        ("no longer asks for the scope", "asks for the scope"),
        (&now, &before_scopes),
        &new.origin,
    );
    limits(subject, &old.limits, &new.limits, &new.origin, found);
    match (old.idempotency.required, new.idempotency.required) {
        (false, true) => found.note(Narrows, subject, "asks for an Idempotency-Key", &new.origin),
        (true, false) => found.note(Widens, subject, "no longer asks for an Idempotency-Key", &new.origin),
        _ => {}
    }
    let kept = (&old.idempotency.ttl, &new.idempotency.ttl);
    found.value(subject, "remembers an Idempotency-Key for", kept, span, &new.origin);
    for (version, binding) in &new.versions {
        let subject = format!("{subject} {version}");
        match old.versions.get(version) {
            Some(old) => self::binding(&subject, before, after, old, binding, found),
            None => found.note(Changes, subject, "exists now", &binding.origin),
        }
    }
    for (version, binding) in old.versions.iter().filter(|(version, _)| !new.versions.contains_key(*version))
    {
        found.note(Changes, format!("{subject} {version}"), "does not exist any more", &binding.origin);
    }
}

fn binding(
    subject: &str,
    before: &Checked,
    after: &Checked,
    old: &Binding,
    new: &Binding,
    found: &mut Found,
) {
    let count = found.changes.len();
    let rule = &new.origin;
    found.value(
        subject,
        "mode",
        (&old.mode, &new.mode),
        |mode| match mode {
            Mode::Exchange => "exchange".to_owned(),
            Mode::Proxy => "proxy".to_owned(),
        },
        rule,
    );
    match (old.media_types.as_slice(), new.media_types.as_slice()) {
        ([], [_, ..]) => {
            found.note(Narrows, subject, format!("takes {} only", listed(&new.media_types)), rule)
        }
        ([_, ..], []) => found.note(Widens, subject, "takes any media type", rule),
        (old, new) => found.set(subject, ("takes", "no longer takes"), (&set(old), &set(new)), rule),
    }
    schema(subject, before, after, old, new, found);
    found.value(subject, "mapper", (&mapper(&old.mapper), &mapper(&new.mapper)), Clone::clone, rule);
    found.value(subject, "target", (&old.target, &new.target), optional, rule);
    let theirs = (&mapper(&old.target_mapper), &mapper(&new.target_mapper));
    found.value(subject, "mapper of the target", theirs, Clone::clone, rule);
    super::flow::run(subject, &old.run, &new.run, rule, found);
    if found.changes.len() == count && placeless(old) != placeless(new) {
        found.note(Changes, subject, "is set up differently", rule);
    }
}

/// A schema that came, went, or became another.
fn schema(subject: &str, before: &Checked, after: &Checked, old: &Binding, new: &Binding, found: &mut Found) {
    let read = |checked: &Checked, path: &Option<String>| -> Option<Value> {
        serde_json::from_str(checked.schemas.get(path.as_ref()?)?).ok()
    };
    let rule = &new.origin;
    match (read(before, &old.schema), read(after, &new.schema)) {
        (None, Some(_)) => {
            let what = format!("documents are held against {}", optional(&new.schema));
            found.note(Narrows, subject, what, rule);
        }
        (Some(_), None) => found.note(Widens, subject, "documents are held against no schema", rule),
        (Some(a), Some(b)) => {
            if old.schema != new.schema {
                let what = format!("schema {} → {}", optional(&old.schema), optional(&new.schema));
                found.note(Changes, subject, what, rule);
            }
            for place in compat::compare(&a, &b).into_iter().take(PLACES) {
                let effect = match (place.narrows, place.widens) {
                    (true, false) => Narrows,
                    (false, _) => Widens,
                    (true, true) => Changes,
                };
                found.note(effect, subject, format!("schema {}: {}", place.at, place.what), rule);
            }
        }
        (None, None) => {}
    }
}

pub(super) fn limits(subject: &str, old: &Limits, new: &Limits, rule: &Origin, found: &mut Found) {
    if old == new {
        return;
    }
    if (&old.quotas, old.shadow) != (&new.quotas, new.shadow) {
        let effect = match (old.shadow, new.shadow) {
            (false, true) => Widens,
            (true, false) => Narrows,
            _ if new.quotas.is_empty() => Widens,
            _ if old.quotas.is_empty() => Narrows,
            _ => Changes,
        };
        found.note(effect, subject, format!("{} → {}", units::limits(old), units::limits(new)), rule);
        return;
    }
    // Requests in a second of the long run, the burst, and what may be under way; nothing is without end.
    let measures = |limits: &Limits| {
        let rate = limits.rate.map(|rate| f64::from(rate.requests) / rate.per.as_secs_f64());
        let burst = limits.rate.map(|rate| f64::from(rate.burst));
        [rate, burst, limits.concurrency.map(f64::from)].map(|measure| measure.unwrap_or(f64::INFINITY))
    };
    let (before, after) = (measures(old), measures(new));
    let wider = before.iter().zip(&after).any(|(old, new)| new > old);
    let narrower = before.iter().zip(&after).any(|(old, new)| new < old);
    let effect = match (wider, narrower) {
        (true, false) => Widens,
        (false, true) => Narrows,
        _ => Changes,
    };
    found.note(effect, subject, format!("{} → {}", units::limits(old), units::limits(new)), rule);
}

fn partner(found: &mut Found, old: &Partner, new: &Partner) {
    let (name, rule) = (new.name.as_str(), &new.origin);
    found.value(name, "name", (&old.title, &new.title), optional, rule);
    found.value(name, "owner", (&old.owner, &new.owner), optional, rule);
    found.value(name, "zone", (&old.zone, &new.zone), optional, rule);
    found.value(name, "interchanges", (&old.edi, &new.edi), edi, rule);
    limits(name, &old.limits, &new.limits, rule, found);
    let by_name = |partner: &'_ Partner| -> BTreeMap<String, Credential> {
        partner.credentials.iter().map(|one| (format!("{name}/{}", one.name), one.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let effects = (Widens, Narrows);
    found.things(
        ("credentials", "credential"),
        (&before, &after),
        |one| &one.origin,
        effects,
        |found, old, new| {
            credential(&format!("{name}/{}", new.name), old, new, found);
        },
    );
}

fn credential(subject: &str, old: &Credential, new: &Credential, found: &mut Found) {
    let rule = &new.origin;
    found.set(
        subject,
        ("carries the scope", "no longer carries the scope"),
        (&set(&old.scopes), &set(&new.scopes)),
        rule,
    );
    limits(subject, &old.limits, &new.limits, rule, found);
    match (&old.kind, &new.kind) {
        (
            CredentialKind::ApiKey { sha256: key, expires: until },
            CredentialKind::ApiKey { sha256: new_key, expires: new_until },
        ) => {
            if key != new_key {
                found.note(Changes, subject, "is another key", rule);
            }
            if until != new_until {
                let longer = new_until.is_none_or(|new| until.is_some_and(|old| new > old));
                let what = format!("is good until {} → {}", day(until), day(new_until));
                found.note(if longer { Widens } else { Narrows }, subject, what, rule);
            }
        }
        (old, new) if old != new => found.note(Changes, subject, "is shown by other means or claims", rule),
        _ => {}
    }
}

fn issuer(found: &mut Found, old: &Issuer, new: &Issuer) {
    let (name, rule) = (&new.name, &new.origin);
    found.value(name, "iss", (&old.issuer, &new.issuer), Clone::clone, rule);
    found.set(
        name,
        ("takes the audience", "no longer takes the audience"),
        (&set(&old.audience), &set(&new.audience)),
        rule,
    );
    let algorithms = |issuer: &Issuer| issuer.algorithms.iter().map(|one| format!("{one:?}")).collect();
    found.set(name, ("may sign with", "may no longer sign with"), (&algorithms(old), &algorithms(new)), rule);
    found.bound(name, "leeway", (old.leeway, new.leeway), span, rule);
    let (before, now) = (set(&old.required_claims), set(&new.required_claims));
    found.set(name, ("no longer needs the claim", "needs the claim"), (&now, &before), rule);
    if old.jwks != new.jwks {
        let place = |jwks: &crate::policy::checked::Jwks| match jwks {
            crate::policy::checked::Jwks::File(path) => setting(path),
            crate::policy::checked::Jwks::Url { url, .. } => setting(url),
        };
        found.note(Changes, name, format!("keys {} → {}", place(&old.jwks), place(&new.jwks)), rule);
    }
}

/// Limits of the whole gateway.
pub(super) fn gateway(before: &Checked, after: &Checked, found: &mut Found) {
    let (old, new) = (&before.gateway, &after.gateway);
    let (name, rule) = ("gateway", &new.origin);
    found.value(name, "estate", (&old.estate, &new.estate), ToString::to_string, rule);
    found.value(name, "listens on", (&old.listen, &new.listen), ToString::to_string, rule);
    if old.admin != new.admin {
        found.note(Changes, name, "operators come by another door", rule);
    }
    match (&old.tls, &new.tls) {
        (Some(_), None) => found.note(Widens, name, "speaks without TLS", rule),
        (None, Some(_)) => found.note(Narrows, name, "speaks TLS only", rule),
        (old, new) if old != new => found.note(Changes, name, "another certificate", rule),
        _ => {}
    }
    let (a, b) = (&old.limits, &new.limits);
    found.bound(name, "largest body", (a.body_max_bytes, b.body_max_bytes), size, rule);
    found.bound(name, "connections", (a.connections, b.connections), number, rule);
    found.bound(name, "in flight", (a.in_flight_max_bytes, b.in_flight_max_bytes), size, rule);
    found.value(name, "time for a header", (&a.header_timeout, &b.header_timeout), span, rule);
    found.value(name, "time for a body", (&a.body_timeout, &b.body_timeout), span, rule);
    found.value(name, "time to drain", (&a.drain, &b.drain), span, rule);
    found.value(name, "keeps receipts for", (&old.retention.receipts, &new.retention.receipts), span, rule);
    match (old.signatures.required, new.signatures.required) {
        (false, true) => found.note(Narrows, name, "takes signed mappers only", rule),
        (true, false) => found.note(Widens, name, "takes mappers that nobody signed", rule),
        _ => {}
    }
    let signers = |names: &BTreeMap<String, [u8; 32]>| names.keys().cloned().collect();
    let keys = (&signers(&old.signatures.keys), &signers(&new.signatures.keys));
    found.set(name, ("takes mappers signed by", "no longer takes mappers signed by"), keys, rule);
    if placeless(old) != placeless(new) && !found.changes.iter().any(|change| change.subject == name) {
        found.note(Changes, name, "is set up differently", rule);
    }
}
