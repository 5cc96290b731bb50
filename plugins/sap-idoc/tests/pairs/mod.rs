//! The file pairs under `cases/`, run natively: with their tables, their remarks and their rejected parts.

use std::{fs, path::Path, thread};

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Mapper, Recorded, Refusal,
    serde_json::{self, Value, json},
    tables,
};
use sap_idoc::SapIdoc;

/// Runs a case in a thread of its own, whose tables nobody else sees.
pub fn run(folder: &Path) {
    let case = folder.to_owned();
    if thread::spawn(move || hold(&case)).join().is_err() {
        panic!("{} does not hold", folder.display());
    }
}

fn hold(folder: &Path) {
    for table in fs::read_dir(folder.join("tables")).into_iter().flatten() {
        insert(&table.unwrap().path());
    }
    let context = context(&folder.join("context.json"));
    if folder.join("in.json").exists() {
        let events: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("in.json")).unwrap()).unwrap();
        let events: Vec<_> = events.iter().map(recorded).collect();
        match SapIdoc::from_canonical(&context, &events) {
            Ok(written) => assert_eq!(
                String::from_utf8(written.content).unwrap(),
                fs::read_to_string(folder.join("out.xml")).unwrap(),
                "{}",
                folder.display()
            ),
            Err(refusal) => refused(folder, &refusal),
        }
        return;
    }
    let content = fs::read(folder.join("in.xml")).unwrap();
    let document = Input { media_type: "application/xml".to_owned(), content, ..Input::default() };
    match SapIdoc::to_canonical(&context, &document) {
        Ok(mapped) => {
            let events: Vec<_> = mapped.events.iter().map(shown).collect();
            let rejects = mapped.rejects.iter().map(
                |reject| json!({ "unit": reject.unit, "at": reject.at, "diagnostics": told(&reject.diagnostics) }),
            );
            let expected = expected(folder);
            let expected = if expected.is_array() { json!({ "events": expected }) } else { expected };
            let got = json!({
                "events": events,
                "diagnostics": told(&mapped.diagnostics),
                "rejects": rejects.collect::<Vec<_>>(),
            });
            same(&expected, &got, folder);
        }
        Err(refusal) => refused(folder, &refusal),
    }
}

fn refused(folder: &Path, refusal: &Refusal) {
    let expected = expected(folder);
    assert!(expected.get("events").is_none(), "{} is refused: {refusal:?}", folder.display());
    same(&expected, &json!({ "diagnostics": told(&refusal.0) }), folder);
}

fn expected(folder: &Path) -> Value {
    let text = fs::read(folder.join("out.json"));
    let text = text.unwrap_or_else(|_| panic!("{} is not refused, and was to be", folder.display()));
    serde_json::from_slice(&text).unwrap()
}

/// What is expected has to be said; data is compared whole.
fn same(expected: &Value, got: &Value, folder: &Path) {
    assert!(within(expected, got), "{}\nexpected {expected:#}\ngot {got:#}", folder.display());
}

fn within(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => expected.iter().all(|(name, value)| {
            got.get(name).is_some_and(|got| if name == "data" { value == got } else { within(value, got) })
        }),
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(one, other)| within(one, other))
        }
        _ => expected == got,
    }
}

fn told(diagnostics: &[Diagnostic]) -> Value {
    json!(diagnostics)
}

fn shown(event: &Event) -> Value {
    json!({
        "type": event.kind, "natural_key": event.natural_key, "order_keys": event.order_keys,
        "corrects": event.corrects, "occurred_at": event.occurred_at, "data": event.value(),
    })
}

fn recorded(value: &Value) -> Recorded {
    let kind = value["type"].as_str().unwrap().to_owned();
    let event = Event { kind, data: value["data"].to_string().into_bytes(), ..Event::default() };
    Recorded { event, ..Recorded::default() }
}

fn context(file: &Path) -> Context {
    let value: Value = fs::read(file).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let numbers = match &value["control_numbers"] {
        Value::Object(numbers) => {
            numbers.iter().map(|(kind, number)| (kind.clone(), number.as_str().unwrap().to_owned())).collect()
        }
        numbers => serde_json::from_value(numbers.clone()).unwrap_or_default(),
    };
    Context {
        sender: text("sender"),
        receiver: text("receiver"),
        received_at: if value["received_at"].is_string() {
            text("received_at")
        } else {
            "2026-01-15T12:00:00Z".to_owned()
        },
        zone: value["zone"].as_str().map(str::to_owned),
        control_numbers: numbers,
        config: value.get("config").map(|config| config.to_string().into_bytes()).unwrap_or_default(),
        ..Context::default()
    }
}

/// A table's rows; columns marked with `*` are the key and come first.
fn insert(file: &Path) {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let text = fs::read_to_string(file).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = rows.next().unwrap();
    let keys = columns.iter().filter(|column| column.starts_with('*')).count();
    for row in rows {
        let others: Vec<_> =
            columns[keys..].iter().copied().zip(row.get(keys..).unwrap().iter().copied()).collect();
        tables::insert(name, &row[..keys], &others);
    }
}
