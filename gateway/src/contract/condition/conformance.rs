//! The simple tests of the CEL specification, read in place: every case of what is offered here (no protocol buffers, no
//! times, no extensions) must give what it says. What does not is listed with its reason, and a listed case that begins to
//! pass fails the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use cel::{Context, Program, Value};

/// Files of what conditions offer. Left out: proto2, proto3, enums, fields, wrappers, dynamic (protocol buffers, which no
/// event has), timestamps (a condition knows no time), type_deduction (a type checker's), *_ext, optionals, macros2,
/// unknowns (extensions).
const FILES: [&str; 12] = [
    "basic",
    "comparisons",
    "conversions",
    "fp_math",
    "integer_math",
    "lists",
    "logic",
    "macros",
    "namespace",
    "parse",
    "plumbing",
    "string",
];

/// Cases that give something else, by what they have in common.
fn excused(case: &Case) -> Option<&'static str> {
    let expr = case.expr.as_str();
    let has = |words: &[&str]| words.iter().any(|word| expr.contains(word));
    if case.raw.contains("container:") || case.raw.contains("type_env") || case.raw.contains("bindings") {
        return Some("needs declarations and containers, which policies have not");
    }
    if has(&["google.protobuf", "TestAllTypes", "NullValue", "proto2", "proto3"]) {
        return Some("protocol buffers");
    }
    if has(&["timestamp(", "duration("]) {
        return Some("a condition knows no time");
    }
    if case.raw.contains("disable_check") || case.raw.contains("check_only") {
        return Some("about a type checker");
    }
    if has(&["type("]) || case.raw.contains("type_value") {
        return Some("types are no values in conditions");
    }
    LISTED.iter().find(|(name, _)| *name == case.name).map(|(_, reason)| *reason)
}

const LISTED: &[(&str, &str)] = &[];

struct Case {
    name: String,
    expr: String,
    raw: String,
}

#[test]
fn the_specifications_cases_give_what_they_say() {
    let Some(folder) = folder() else { return };
    let (mut ran, mut wrong, mut excuses) = (0, Vec::new(), BTreeMap::<&str, usize>::new());
    let mut passing: BTreeSet<String> = BTreeSet::new();
    for file in FILES {
        let text = std::fs::read_to_string(folder.join(format!("{file}.textproto"))).unwrap();
        for case in cases(file, &text) {
            let listed = LISTED.iter().any(|(name, _)| *name == case.name);
            if let (Some(reason), false) = (excused(&case), listed) {
                *excuses.entry(reason).or_default() += 1;
                continue;
            }
            ran += 1;
            match (verdict(&case), listed) {
                (Ok(()), true) => drop(passing.insert(case.name)),
                (Err(what), false) => wrong.push(format!("{}: {} {what}", case.name, case.expr)),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {ran} ({excuses:?}):\n{}", wrong.len(), wrong.join("\n"));
    assert!(passing.is_empty(), "listed, and yet it passes: {passing:?}");
    assert!(ran > 400, "only {ran} cases were found; {excuses:?}");
}

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("CROSSDOCK_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance")),
        PathBuf::from,
    );
    let folder = root.join("cel-spec/tests/simple/testdata");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there", folder.display());
    eprintln!("not run: {} is not there", folder.display());
    None
}

/// Runs a case; says what came out instead.
fn verdict(case: &Case) -> Result<(), String> {
    let expected = expected(&case.raw);
    let ran = std::panic::catch_unwind(|| match Program::compile(&case.expr) {
        Ok(program) => program.execute(&Context::default()).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    });
    let ran = ran.map_err(|_| "panicked".to_owned())?;
    match (expected, ran) {
        (None, Err(_)) => Ok(()),
        (None, Ok(value)) => Err(format!("should fail, gave {value:?}")),
        (Some(_), Err(error)) => Err(format!("failed: {error}")),
        (Some(expected), Ok(value)) if same(&expected, &value) => Ok(()),
        (Some(expected), Ok(value)) => Err(format!("should be {expected:?}, gave {value:?}")),
    }
}

/// What a case expects: a literal of CEL's own for each kind of value, or nothing where it must fail.
#[derive(Debug)]
enum Expected {
    Is(String, String),
    Other,
}

fn expected(raw: &str) -> Option<Expected> {
    if raw.contains("eval_error") || raw.contains("any_eval_errors") {
        return None;
    }
    // `value: { int64_value: 2 }`, with or without its colon, on one line or several; without one, `true` is meant.
    let Some((_, rest)) = raw.split_once("\n    value") else {
        return Some(Expected::Is("bool_value".to_owned(), "true".to_owned()));
    };
    let inner = rest.trim_start_matches(':').trim_start().trim_start_matches('{').trim_start();
    if ["list_value", "map_value", "object_value"].iter().any(|kind| inner.starts_with(kind)) {
        return Some(Expected::Other);
    }
    let (kind, value) = inner.split_once(':')?;
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let mut end = 1;
            let bytes = value.as_bytes();
            while bytes.get(end).is_some_and(|byte| *byte != quote as u8) {
                end += 1 + usize::from(bytes[end] == b'\\');
            }
            value.get(..=end)?.to_owned()
        }
        _ => value.split(['}', '\n']).next()?.trim().to_owned(),
    };
    Some(Expected::Is(kind.trim().to_owned(), value))
}

fn same(expected: &Expected, value: &Value) -> bool {
    let Expected::Is(kind, text) = expected else {
        // Lists and maps are compared by the cases with `==`; here it is enough that one came.
        return matches!(value, Value::List(_) | Value::Map(_));
    };
    match (kind.as_str(), value) {
        ("int64_value", Value::Int(number)) => text.parse() == Ok(*number),
        ("uint64_value", Value::UInt(number)) => text.parse() == Ok(*number),
        ("double_value", Value::Float(number)) => match text.as_str() {
            "nan" | "NaN" => number.is_nan(),
            "inf" | "Infinity" => *number == f64::INFINITY,
            "-inf" | "-Infinity" => *number == f64::NEG_INFINITY,
            text => text.parse::<f64>().is_ok_and(|wanted| wanted == *number),
        },
        ("bool_value", Value::Bool(bool)) => text.parse() == Ok(*bool),
        ("string_value", Value::String(string)) => unquoted(text) == string.as_bytes(),
        ("bytes_value", Value::Bytes(bytes)) => unquoted(text) == **bytes,
        ("null_value", Value::Null) => true,
        _ => false,
    }
}

/// A string of the text format of protocol buffers.
fn unquoted(text: &str) -> Vec<u8> {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default().as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escape) = inner.get(at) else { break };
        at += 1;
        let digits = |from: usize, most: usize, radix: u32| {
            let run =
                inner[from..].iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
            let text = std::str::from_utf8(&inner[from..from + run]).unwrap_or_default();
            (u32::from_str_radix(text, radix).unwrap_or(0), run)
        };
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'x' => {
                let (number, run) = digits(at, 2, 16);
                out.push(u8::try_from(number).unwrap_or(0));
                at += run;
            }
            b'u' | b'U' => {
                let (number, run) = digits(at, if escape == b'u' { 4 } else { 8 }, 16);
                let mut buffer = [0; 4];
                out.extend(char::from_u32(number).unwrap_or('?').encode_utf8(&mut buffer).bytes());
                at += run;
            }
            b'0'..=b'7' => {
                let (number, run) = digits(at - 1, 3, 8);
                out.push(u8::try_from(number & 255).unwrap_or(0));
                at += run - 1;
            }
            other => out.push(other),
        }
    }
    out
}

/// The cases of a file: each from `test {` to the line that closes it.
fn cases(file: &str, text: &str) -> Vec<Case> {
    let mut found = Vec::new();
    for part in text.split("\n  test {").skip(1) {
        let raw = part.split("\n  }").next().unwrap_or_default().to_owned();
        let line = |name: &str| raw.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim));
        let name = line("name:").map(|name| name.trim_matches('"').to_owned()).unwrap_or_default();
        let Some(expr) = quoted_after(&raw, "\n    expr:") else { continue };
        found.push(Case { name: format!("{file}/{name}"), expr, raw });
    }
    found
}

/// The string, or the strings one after another, behind a key.
fn quoted_after(raw: &str, key: &str) -> Option<String> {
    let (_, rest) = raw.split_once(key)?;
    let mut rest = rest.trim_start();
    let mut out = Vec::new();
    while let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let bytes = rest.as_bytes();
        let mut end = 1;
        while bytes.get(end).is_some_and(|byte| *byte != quote as u8) {
            end += 1 + usize::from(bytes[end] == b'\\');
        }
        out.extend(unquoted(rest.get(..=end)?));
        rest = rest[end + 1..].trim_start();
    }
    String::from_utf8(out).ok()
}
