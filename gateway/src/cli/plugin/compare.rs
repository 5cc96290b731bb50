//! The difference between what a case expects and what a mapper gave, with its place. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::words::Location;

/// Differences that are worth listing; the first of them explain the rest.
const LISTED: usize = 12;
/// Characters of a value that are shown.
const SHOWN: usize = 60;
/// Characters before the first difference that are shown with it.
const BEFORE: usize = 16;

/// One place where the two differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Difference {
    /// Where: `shipment.dispatched  /lines/1/shipped/value`, `segment 7`, `line 3`.
    pub place: String,
    /// What the case expects there.
    pub expected: String,
    /// What the mapper gave.
    pub got: String,
    /// Which field of the output it is: the event's number, and its name as a trace names it.
    #[serde(skip)]
    pub field: Option<(usize, String)>,
    /// The first byte that differs in a document that is no JSON.
    #[serde(skip)]
    pub byte: Option<usize>,
    /// Where in the input the mapper read it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_from: Vec<ReadFrom>,
}

/// A value of the input that a field of the output depends on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct ReadFrom {
    /// Its place.
    pub location: Location,
    /// What it says.
    pub value: String,
}

impl Difference {
    /// A difference that belongs to no field.
    pub fn new(place: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        let (place, expected, got) = (place.into(), expected.into(), got.into());
        Self { place, expected, got, field: None, byte: None, read_from: Vec::new() }
    }
}

const NOTHING: &str = "nothing";

/// Compares lists of things (events, diagnostics) that have a `name` each. Of each only the members that the
/// expectation has are compared, and `strict` members whole.
pub(super) fn lists(what: &str, strict: &[&str], expected: &[Value], got: &[Value]) -> Vec<Difference> {
    let mut found = Vec::new();
    for index in 0..expected.len().max(got.len()) {
        let (left, right) = (expected.get(index), got.get(index));
        let name = left.or(right).and_then(|thing| thing.get("type").or_else(|| thing.get("code")));
        let name = name.and_then(Value::as_str).unwrap_or(what);
        let many = expected.len().max(got.len()) > 1;
        let place = if many { format!("{what} {}, {name}", index + 1) } else { name.to_owned() };
        match (left, right) {
            (Some(Value::Object(left)), Some(Value::Object(right))) => {
                for (member, value) in left {
                    let (is_strict, before) = (strict.contains(&member.as_str()), found.len());
                    let pointer =
                        if is_strict { format!("{place}  ") } else { format!("{place}  {member} ") };
                    match right.get(member) {
                        Some(other) => json(&pointer, "", value, other, is_strict, &mut found),
                        None => found.push(difference(&pointer, "", Some(value), None)),
                    }
                    // A trace names data by its pointer alone, and what stands beside it with its member.
                    for one in &mut found[before..] {
                        let inner = one.field.take().map(|(_, inner)| inner).unwrap_or_default();
                        one.field = Some((index, if is_strict { inner } else { format!("{member}{inner}") }));
                    }
                }
            }
            (left, right) => {
                found.push(Difference { field: None, ..difference(&place, "", left, right) });
            }
        }
    }
    found.truncate(LISTED);
    found
}

/// Compares two values whole.
pub(super) fn values(what: &str, expected: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    json(&format!("{what}  "), "", expected, got, true, &mut found);
    found
}

/// Compares two values; unless `whole`, members that are only in the second are passed over.
fn json(place: &str, pointer: &str, expected: &Value, got: &Value, whole: bool, found: &mut Vec<Difference>) {
    if found.len() >= LISTED || expected == got {
        return;
    }
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<_> = left.keys().chain(right.keys().filter(|_| whole)).collect();
            for name in names {
                let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => json(place, &inner, left, right, whole, found),
                    (left, right) => found.push(difference(place, &inner, left, right)),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let inner = format!("{pointer}/{index}");
                match (left.get(index), right.get(index)) {
                    (Some(left), Some(right)) => json(place, &inner, left, right, whole, found),
                    (left, right) => found.push(difference(place, &inner, left, right)),
                }
            }
        }
        _ => found.push(difference(place, pointer, Some(expected), Some(got))),
    }
}

fn difference(place: &str, pointer: &str, expected: Option<&Value>, got: Option<&Value>) -> Difference {
    let text = |value: Option<&Value>| value.map_or(NOTHING.to_owned(), |value| clip(&value.to_string(), 0));
    let place = format!("{place}{pointer}").trim_end().to_owned();
    let field = Some((0, pointer.to_owned()));
    Difference { field, ..Difference::new(place, text(expected), text(got)) }
}

/// Compares two documents byte by byte and names the first difference by segment (X12) or line.
pub(super) fn documents(expected: &[u8], got: &[u8]) -> Option<Difference> {
    if expected == got {
        return None;
    }
    let terminator = if expected.starts_with(b"ISA") { expected.get(105).copied() } else { None };
    let (unit, end) = match terminator {
        Some(end) if end != b'\n' && end != b'\r' => ("segment", end),
        _ => ("line", b'\n'),
    };
    let mut left = expected.split(|byte| *byte == end);
    let mut right = got.split(|byte| *byte == end);
    let (mut number, mut began) = (0, 0);
    loop {
        number += 1;
        let (left, right) = (left.next(), right.next());
        if let (Some(one), true) = (left, left == right) {
            began += one.len() + 1;
            continue;
        }
        let (a, b) = (left.unwrap_or_default(), right.unwrap_or_default());
        let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let byte = Some(began + at);
        let text = |part: Option<&[u8]>| part.map_or(NOTHING.to_owned(), |part| excerpt(part, at));
        let place = format!("{unit} {number}, byte {}", at + 1);
        return Some(Difference { byte, ..Difference::new(place, text(left), text(right)) });
    }
}

/// The part around byte `at`, quoted, without control characters.
fn excerpt(part: &[u8], at: usize) -> String {
    // Segments may stand on lines of their own; the line's end is none of theirs.
    let blank = part.iter().take(at).take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let (part, at) = (&part[blank..], at - blank);
    let before = String::from_utf8_lossy(&part[..at.min(part.len())]).chars().count();
    let text = String::from_utf8_lossy(part);
    clip(&format!("{:?}", clip(&text, before.saturating_sub(BEFORE))), 0)
}

fn clip(text: &str, skip: usize) -> String {
    let mut rest = text.chars().skip(skip);
    let mut shown: String = if skip > 0 { "…".to_owned() } else { String::new() };
    shown.extend(rest.by_ref().take(SHOWN));
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(expected: Value, got: Value) -> Vec<String> {
        let list = |value: Value| value.as_array().unwrap().clone();
        let found = lists("event", &["data"], &list(expected), &list(got));
        found
            .into_iter()
            .map(|found| format!("{}: {} → {}", found.place, found.expected, found.got))
            .collect()
    }

    #[test]
    fn a_wrong_value_is_named_by_its_pointer() {
        let expected =
            json!([{"type": "shipment.dispatched", "data": {"lines": [{}, {"shipped": {"value": "24"}}]}}]);
        let got =
            json!([{"type": "shipment.dispatched", "data": {"lines": [{}, {"shipped": {"value": "40"}}]}}]);
        assert_eq!(places(expected, got), ["shipment.dispatched  /lines/1/shipped/value: \"24\" → \"40\""]);
    }

    #[test]
    fn data_is_compared_whole_and_the_rest_as_far_as_it_is_expected() {
        let expected = json!([{"type": "a", "data": {"x": 1}}]);
        let got = json!([{"type": "a", "natural_key": [["a", "1"]], "data": {"x": 1, "y/z": 2}}]);
        assert_eq!(places(expected, got), ["a  /y~1z: nothing → 2"]);
    }

    #[test]
    fn a_missing_and_a_surplus_event_are_both_named() {
        let one = json!([{"type": "a", "data": 1}]);
        let two = json!([{"type": "a", "data": 1}, {"type": "b", "data": 2}]);
        assert_eq!(places(two.clone(), one.clone()), ["event 2, b: {\"data\":2,\"type\":\"b\"} → nothing"]);
        assert_eq!(places(one, two), ["event 2, b: nothing → {\"data\":2,\"type\":\"b\"}"]);
    }

    #[test]
    fn equal_lists_have_no_difference_and_long_ones_are_cut() {
        let many = |value: usize| json!([{"type": "a", "data": vec![value; 100]}]);
        assert_eq!(places(many(1), many(1)), [""; 0]);
        assert_eq!(places(many(1), many(2)).len(), LISTED);
    }

    #[test]
    fn documents_differ_by_segment_or_line() {
        let isa = format!("ISA*{}~", "0".repeat(101));
        let expected = format!("{isa}GS*OW*A~ST*940*0001~");
        let got = format!("{isa}GS*OW*A~ST*940*0002~");
        let found = documents(expected.as_bytes(), got.as_bytes()).unwrap();
        assert_eq!(
            (found.place.as_str(), found.expected.as_str()),
            ("segment 3, byte 11", "\"ST*940*0001\"")
        );
        let found = documents(b"a\nb\n", b"a\n").unwrap();
        assert_eq!(
            (found.place.as_str(), found.expected.as_str(), found.got.as_str()),
            ("line 2, byte 1", "\"b\"", "\"\"")
        );
        assert_eq!(documents(b"a\n", b"a\n"), None);
        assert_eq!(documents(b"a", b"a\n").unwrap().expected, NOTHING);
    }

    proptest::proptest! {
        #[test]
        fn any_two_documents_differ_or_are_equal(
            a in proptest::collection::vec(0u8..5, 0..40),
            b in proptest::collection::vec(0u8..5, 0..40),
        ) {
            assert_eq!(documents(&a, &b).is_none(), a == b);
        }
    }
}
