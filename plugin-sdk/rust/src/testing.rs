//! Runs a mapper's cases natively, as an ordinary test:
//!
//! ```no_run
//! # struct Acme;
//! # impl crossdock_mapper::Mapper for Acme {}
//! # #[allow(unused)]
//! #[test]
//! fn cases_hold() {
//!     crossdock_mapper::testing::cases::<Acme>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
//! }
//! ```
//!
//! A case is a folder. `in.<ext>` with `out.json` goes to canonical: the outcome is an array of events
//! (`type`, `natural_key`, `order_keys`, `occurred_at`, `data`), or `{"diagnostics": […]}` for a refusal. `in.json` that is an array of events goes the other way, to
//! `out.<ext>`. `context.json` may say what the mapper knows besides. `crossdock plugin test` runs the same
//! cases on the real host; there tables are files, here [`crate::tables::insert`] puts their rows.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{Context, Event, Input, Mapper, Outcome, Pairs, Part, Recorded, Refusal, Stage};

/// Runs every case in a folder.
///
/// # Panics
/// A case's outcome is not the one that it asks for, a file cannot be read, or there are no cases.
pub fn cases<M: Mapper>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut cases: Vec<_> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && !is_aside(path))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} has no cases", folder.display());
    for case in cases {
        run::<M>(&case);
    }
}

/// Tables lie beside the cases; hidden folders are nobody's case.
fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tables" || name.as_encoded_bytes().starts_with(b"."))
}

fn run<M: Mapper>(case: &Path) {
    let name = case.display();
    let read =
        |file: &str| fs::read(case.join(file)).unwrap_or_else(|error| panic!("{name}/{file}: {error}"));
    let json = |file: &str| -> Value {
        serde_json::from_slice(&read(file)).unwrap_or_else(|error| panic!("{name}/{file}: {error}"))
    };
    let (input, output) = (only(case, "in"), only(case, "out"));
    let given = if case.join("context.json").exists() { json("context.json") } else { Value::Null };
    let context = context(&given);
    let events = (input == "in.json").then(|| json("in.json")).filter(is_events);
    let wrong = match events {
        Some(events) => {
            let recorded: Vec<Recorded> = events.as_array().into_iter().flatten().map(recorded).collect();
            match M::from_canonical(&context, &recorded) {
                Ok(document) if output == "out.json" => {
                    let got = serde_json::from_slice(&document.content)
                        .unwrap_or_else(|_| text(&document.content).into());
                    (got != json("out.json")).then_some(got)
                }
                Ok(document) => (document.content != read(&output)).then(|| text(&document.content).into()),
                Err(refusal) => other_refusal(&refusal, &read(&output)),
            }
        }
        None => {
            let media_type = word(&given["media_type"]).unwrap_or_else(|| media_type(&input).to_owned());
            let parameters = pairs(&given["parameters"]);
            let document = Input { media_type, content: read(&input), parameters, ..Input::default() };
            match M::to_canonical(&context, &document) {
                Ok(mapped) => other_events(&mapped.events, &json(&output)),
                Err(refusal) => other_refusal(&refusal, &read(&output)),
            }
        }
    };
    if let Some(got) = wrong {
        panic!("{name}\nexpected {}\ngot {got:#}", text(&read(&output)));
    }
}

/// The events, if they are not the expected ones. Only what the expectation says is compared, data whole.
fn other_events(events: &[Event], expected: &Value) -> Option<Value> {
    let same = |expected: &Value, event: &Event| {
        let got = shown(event);
        expected.as_object().is_some_and(|members| {
            members.iter().all(|(name, value)| match name.as_str() {
                "natural_key" | "order_keys" | "corrects" => pairs(value) == pairs(&got[name]),
                _ => *value == got[name],
            })
        })
    };
    let expected = expected.as_array().map(Vec::as_slice);
    let all = expected.is_some_and(|all| {
        all.len() == events.len() && all.iter().zip(events).all(|(expected, event)| same(expected, event))
    });
    (!all).then(|| events.iter().map(shown).collect())
}

/// The refusal, if it is not the expected one. Only what the expectation says is compared.
fn other_refusal(refusal: &Refusal, expected: &[u8]) -> Option<Value> {
    let got = json!({ "diagnostics": refusal });
    let expected = serde_json::from_slice::<Value>(expected).unwrap_or(Value::Null);
    let same = expected.get("diagnostics").is_some() && within(&expected, &got);
    (!same).then_some(got)
}

/// Does `got` say all that `expected` says?
fn within(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            expected.iter().all(|(name, value)| got.get(name).is_some_and(|got| within(value, got)))
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| within(expected, got))
        }
        (expected, got) => expected == got,
    }
}

/// The case's one file with a stem.
fn only(case: &Path, stem: &str) -> String {
    let listed = fs::read_dir(case).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found: Vec<String> =
        names.filter(|name| name.split_once('.').is_some_and(|(first, _)| first == stem)).collect();
    let [name] = found.as_slice() else {
        panic!("{} needs one file `{stem}.…`, it has {found:?}", case.display())
    };
    name.clone()
}

/// A file of events, and not a vendor's JSON document: an array of objects with a type and data.
fn is_events(value: &Value) -> bool {
    let is_event = |item: &Value| item["type"].is_string() && item["data"].is_object();
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_event))
}

fn media_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "x12" | "edi" => "application/edi-x12",
        "edifact" => "application/edifact",
        "json" => "application/json",
        "xml" | "idoc" => "application/xml",
        "csv" => "text/csv",
        _ => "application/octet-stream",
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An event as cases write it; what is not there is left out.
fn shown(event: &Event) -> Value {
    let mut shown =
        json!({ "type": event.kind, "schema_version": event.schema_version, "data": event.value() });
    let lists = [
        ("natural_key", &event.natural_key),
        ("order_keys", &event.order_keys),
        ("corrects", &event.corrects),
    ];
    for (name, pairs) in lists.into_iter().filter(|(_, pairs)| !pairs.is_empty()) {
        shown[name] = json!(pairs);
    }
    for (name, value) in [("occurred_at", &event.occurred_at), ("sequence", &event.sequence)] {
        if let Some(value) = value {
            shown[name] = value.as_str().into();
        }
    }
    shown
}

fn pairs(value: &Value) -> Pairs {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Object(members) => members.iter().map(|(kind, value)| (kind.clone(), text(value))).collect(),
        Value::Array(items) => items.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        _ => Pairs::new(),
    }
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn recorded(value: &Value) -> Recorded {
    let event = Event {
        kind: word(&value["type"]).unwrap_or_default(),
        schema_version: word(&value["schema_version"])
            .unwrap_or_else(|| crate::canonical::VERSION.to_owned()),
        natural_key: pairs(&value["natural_key"]),
        order_keys: pairs(&value["order_keys"]),
        sequence: word(&value["sequence"]),
        corrects: pairs(&value["corrects"]),
        occurred_at: word(&value["occurred_at"]),
        data: value["data"].to_string().into_bytes(),
        more: Pairs::new(),
    };
    Recorded {
        id: word(&value["id"]).unwrap_or_else(|| "01J00000000000000000000000".to_owned()),
        source: word(&value["source"]).unwrap_or_else(|| "/partner/api".to_owned()),
        recorded_at: word(&value["recorded_at"]).unwrap_or_else(|| "2026-01-01T00:00:00Z".to_owned()),
        event,
    }
}

fn context(value: &Value) -> Context {
    let text = |name: &str, usual: &str| word(&value[name]).unwrap_or_else(|| usual.to_owned());
    Context {
        partner: text("partner", "partner"),
        sender: text("sender", ""),
        receiver: text("receiver", ""),
        operation: text("operation", "operation"),
        version: text("version", "v1"),
        stage: if value["stage"] == "answer" { Stage::Answer } else { Stage::Request },
        received_at: text("received_at", "2026-01-01T00:00:00Z"),
        zone: word(&value["zone"]),
        control_numbers: pairs(&value["control_numbers"]),
        part: None,
        config: if value["config"].is_null() { Vec::new() } else { value["config"].to_string().into_bytes() },
        more: Pairs::new(),
    }
}

/// The outcome of a part, for tests of [`Mapper::acknowledge`].
pub fn outcome(index: u32, unit: &str, envelope: &[u8], accepted: bool) -> Outcome {
    let part = Part { index, unit: unit.to_owned(), offset: 0, envelope: envelope.to_vec() };
    Outcome { part, accepted, ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostic, Location, Mapped, canonical::OrderCancelled};

    struct Cancels;

    impl Mapper for Cancels {
        fn to_canonical(_: &Context, document: &Input) -> Result<Mapped, Refusal> {
            match document.text()? {
                "" => {
                    Err(Diagnostic::error("empty", "nothing is in it").at(Location::x12("ST", 0, 2)).into())
                }
                order => {
                    let cancelled = OrderCancelled { order: order.to_owned(), ..OrderCancelled::default() };
                    Ok(Event::new(&cancelled).natural_key("order", order).into())
                }
            }
        }
    }

    /// Runs a case that is made of these two files; its outcome is a panic or none.
    fn case(name: &str, input: &str, expected: &str) -> bool {
        let folder = std::env::temp_dir().join(format!("crossdock-mapper-{}-{name}", std::process::id()));
        let case = folder.join("case");
        fs::create_dir_all(&case).unwrap();
        fs::write(case.join("in.txt"), input).unwrap();
        fs::write(case.join("out.json"), expected).unwrap();
        let holds = std::panic::catch_unwind(|| cases::<Cancels>(&folder)).is_ok();
        fs::remove_dir_all(&folder).unwrap();
        holds
    }

    #[test]
    fn a_case_holds_when_the_events_are_the_expected_ones() {
        assert!(case(
            "same",
            "8841",
            r#"[{"type": "order.cancelled", "natural_key": {"order": "8841"}, "data": {"order": "8841"}}]"#
        ));
        assert!(!case("data", "8841", r#"[{"type": "order.cancelled", "data": {"order": "8842"}}]"#));
        assert!(!case("key", "8841", r#"[{"type": "order.cancelled", "natural_key": {"po": "8841"}}]"#));
        assert!(!case("number", "8841", "[]"));
        assert!(!case("refusal", "8841", r#"{"diagnostics": []}"#));
    }

    #[test]
    fn a_refusal_holds_when_it_says_what_is_expected_in_its_place() {
        assert!(case("empty", "", r#"{"diagnostics": [{"code": "empty", "at": {"path": "ST"}}]}"#));
        assert!(!case("place", "", r#"{"diagnostics": [{"code": "empty", "at": {"path": "SE"}}]}"#));
        assert!(!case("events", "", "[]"));
    }

    #[test]
    fn a_direction_that_a_mapper_leaves_out_is_unsupported() {
        let refused = Cancels::from_canonical(&Context::default(), &[]).unwrap_err();
        assert_eq!(refused.0[0].code, "unsupported");
    }

    #[test]
    fn a_row_is_found_by_its_whole_key() {
        crate::tables::insert("carriers", &["acme", "UPS"], &[("scac", "UPSN")]);
        assert_eq!(crate::tables::column("carriers", &["acme", "UPS"], "scac").as_deref(), Some("UPSN"));
        assert_eq!(crate::tables::column("carriers", &["acme"], "scac"), None);
    }
}
