//! Holds the schemas to the checker. A key that the checker learns and the schema does not, or the other way round,
//! fails here, and so does another default.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde_json::json;

use super::*;
use crate::{
    contract::Schema,
    policy::{Checked, Report, check, check::reader_asked, read, trials},
    words::{Time, json as tree},
};

fn folder(name: &str) -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = read(&root.join("tests/policy/base")).unwrap();
    let over = read(&root.join(name)).unwrap();
    let mut files = base.files;
    files.extend(over.files);
    files.extend(over.tests);
    Source::of("policies".into(), files, Vec::new())
}

fn checked(source: &Source) -> Option<Checked> {
    let (checked, report) = check(source, Time::from_millis(1_795_435_200_000), &|_, _| Ok(()));
    assert!(checked.is_some(), "{}", report.render("policies", false));
    checked
}

/// The keys that a schema knows somewhere, by its place.
type Known = Vec<(String, BTreeSet<String>)>;

/// Each map of a file: where its first key stands, and the keys that the schema knows there, by pointer.
fn maps(root: &Value, schema: &Value, at: &str, node: &Node, found: &mut BTreeMap<usize, Known>) {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) {
        return maps(root, root.pointer(pointer).unwrap(), pointer, node, found);
    }
    for (index, variant) in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
        maps(root, variant, &format!("{at}/anyOf/{index}"), node, found);
    }
    match &node.kind {
        Kind::Map(entries) => {
            let members = schema.get("properties").and_then(Value::as_object);
            if let (Some(first), Some(members)) = (entries.first(), members) {
                let names = members.keys().cloned().collect();
                found.entry(first.at.start).or_default().push((at.to_owned(), names));
            }
            for entry in entries {
                let named = members.and_then(|members| members.get(&entry.key));
                let (place, member) = match named {
                    Some(member) => (format!("{at}/properties/{}", entry.key), member),
                    None => match schema.get("additionalProperties") {
                        Some(rest) if rest.is_object() => (format!("{at}/additionalProperties"), rest),
                        _ => continue,
                    },
                };
                maps(root, member, &place, &entry.value, found);
            }
        }
        Kind::List(items) => {
            if let Some(of) = schema.get("items") {
                items.iter().for_each(|item| maps(root, of, &format!("{at}/items"), item, found));
            }
        }
        Kind::Null | Kind::Scalar { .. } => {}
    }
}

/// Every place of a schema that names keys.
fn places(schema: &Value, at: &str, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if schema.get("properties").is_some_and(|names| !names.as_object().unwrap().is_empty()) {
                into.insert(at.to_owned());
            }
            for (name, member) in members {
                places(member, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schemas_know_exactly_the_keys_that_the_checker_asks_for() {
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in ["tests/policy/everything", "tests/policy/base", "../policies"] {
        let source = folder(name);
        reader_asked();
        let estate = checked(&source);
        trials(&source, estate.as_ref(), &mut Report::of(0));
        let mut known: BTreeMap<(Arc<str>, usize), Known> = BTreeMap::new();
        for (path, bytes) in source.files.iter().chain(&source.tests) {
            let Some(kind) = kind_of(path) else { continue };
            let schema = of(kind).unwrap();
            let mut found = BTreeMap::new();
            maps(&schema, &schema, "", &raw::parse(std::str::from_utf8(bytes).unwrap()).unwrap(), &mut found);
            known.extend(found.into_iter().map(|(at, all)| ((path.clone(), at), all)));
        }
        for (path, at, asked) in reader_asked() {
            let asked: BTreeSet<String> = asked.into_iter().map(str::to_owned).collect();
            let here = known.get(&(path.clone(), at)).map(Vec::as_slice).unwrap_or_default();
            let fits = here.iter().find(|(_, names)| *names == asked);
            let (place, _) = fits.unwrap_or_else(|| {
                panic!(
                    "{path}, byte {at}: the checker knows {asked:?}, the schema of {} {here:?}",
                    kind_of(&path).unwrap()
                )
            });
            seen.entry(kind_of(&path).unwrap()).or_default().insert(place.clone());
        }
    }
    for (kind, _) in KINDS {
        let schema = of(kind).unwrap();
        let mut all = BTreeSet::new();
        places(&schema, "", &mut all);
        // Shared parts are tried where they are used; ownership.yaml has no keys of ours.
        let seen = seen.remove(kind).unwrap_or_default();
        let untried: Vec<_> = all.difference(&seen).filter(|place| !place.starts_with("/$defs")).collect();
        assert!(untried.is_empty(), "tests/policy/everything does not try {untried:?} of {kind}");
    }
}

#[test]
fn every_file_that_the_checker_takes_is_right_by_its_schema() {
    for name in ["tests/policy/everything", "tests/policy/base", "../policies"] {
        let source = folder(name);
        for (path, bytes) in source.files.iter().chain(&source.tests) {
            let Some(kind) = kind_of(path) else { continue };
            let wrong = wrong(kind, std::str::from_utf8(bytes).unwrap());
            assert!(wrong.is_none(), "{path}: {wrong:?}");
        }
    }
    let unknown = folder("tests/policy/unknown-keys");
    let text = String::from_utf8(unknown.files["apis/shipments.yaml"].to_vec()).unwrap();
    assert!(wrong("api", &text).is_some());
}

fn wrong(kind: &str, text: &str) -> Option<String> {
    let schema = Schema::compile(&of(kind).unwrap().to_string(), kind).unwrap();
    let value = raw::parse(text).unwrap().json().to_string();
    let value = tree::tree(value.as_bytes(), 64).unwrap();
    schema.check(value.root()).err().map(|wrong| format!("{wrong:?}"))
}

/// A value with every default of its schema written out.
fn filled(root: &Value, schema: &Value, value: Option<Value>) -> Option<Value> {
    let default = schema.get("default").cloned();
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(to) => root.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let members = schema.get("properties").and_then(Value::as_object);
    match (value, members) {
        (Some(Value::Object(mut given)), members) => {
            for (name, member) in members.into_iter().flatten() {
                let filled = filled(root, member, given.remove(name));
                given.extend(filled.map(|value| (name.clone(), value)));
            }
            if let Some(rest) = schema.get("additionalProperties").filter(|rest| rest.is_object()) {
                for (_, member) in given.iter_mut() {
                    *member = filled(root, rest, Some(member.take())).unwrap();
                }
            }
            Some(Value::Object(given))
        }
        (Some(value), _) => Some(value),
        (None, _) if default.is_some() => default,
        (None, Some(_)) => filled(root, schema, Some(json!({}))).filter(|value| *value != json!({})),
        (None, None) => None,
    }
}

#[test]
fn the_defaults_of_the_schemas_are_the_checkers() {
    let minimal = [
        ("gateway", "gateway.yaml", json!({ "estate": "a", "listen": "127.0.0.1:1" })),
        (
            "issuers",
            "issuers.yaml",
            json!({ "corp": { "issuer": "i", "audience": ["a"], "algorithms": ["ES256"], "jwks": { "url": "https://a.example" } } }),
        ),
        ("partner", "partners/p.yaml", json!({ "partner": "p" })),
        (
            "api",
            "apis/a.yaml",
            json!({ "api": "a", "versions": { "v1": { "state": "active" } }, "operations": { "o": {
                "match": "POST /o", "versions": { "v1": { "mapper": "m@1" } } } } }),
        ),
        ("target", "targets/t.yaml", json!({ "target": "t", "url": "https://t.example" })),
        (
            "subscription",
            "subscriptions/s.yaml",
            json!({ "subscription": "s", "events": ["order.released"], "target": "t" }),
        ),
    ];
    let estate = |fill: bool| {
        let files = minimal.iter().map(|(kind, path, value)| {
            let schema = of(kind).unwrap();
            let value =
                if fill { filled(&schema, &schema, Some(value.clone())).unwrap() } else { value.clone() };
            (Arc::from(*path), Arc::from(value.to_string().into_bytes()))
        });
        Source::of("policies".into(), files.collect(), Vec::new())
    };
    let (silent, spoken) = (estate(false), estate(true));
    let grown = spoken.files["targets/t.yaml"].len() > 3 * silent.files["targets/t.yaml"].len();
    assert!(grown, "the defaults are not written out");
    let (a, b) = (checked(&silent).unwrap(), checked(&spoken).unwrap());
    let changes = crate::policy::diff::compare(&a, &b);
    assert!(changes.changes.is_empty(), "{:#?}", changes.changes);
    assert_eq!(format!("{:?}", a.gateway), format!("{:?}", b.gateway));
}

#[test]
fn what_is_in_force_is_told_with_its_line_or_as_a_default() {
    let told: Vec<String> = effective(&folder("tests/policy/base"))
        .into_iter()
        .map(|one| format!("{} {} {} {:?}", one.file, one.key, one.value, one.line))
        .collect();
    for line in [
        "gateway.yaml estate northstar Some(1)",
        "gateway.yaml limits.body 1MiB None",
        "apis/shipments.yaml versions.v1.sunset 2027-04-01 Some(4)",
        "apis/shipments.yaml operations.confirm.idempotency.ttl 24h None",
        "targets/erp.yaml retry.cap 15m None",
        "targets/erp.yaml credentials.bearer env:ERP_TOKEN Some(3)",
    ] {
        assert!(told.iter().any(|told| told == line), "{line} is not among\n{}", told.join("\n"));
    }
}
