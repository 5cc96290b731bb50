//! Where two sets of events differ, by canonical field. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::words::{Document, Draft, Event};

/// Fields that are told apart; the first of them explain the rest.
const FIELDS_MAX: usize = 200;
/// Characters of a value that are shown.
const SHOWN: usize = 80;

/// What differs: the field, `items[].quantity.value`, and the first pair of values that shows it.
pub type Fields = BTreeMap<String, (String, String)>;

/// One difference that is none of a field.
pub fn one(what: &str, then: &str, now: &str) -> Fields {
    Fields::from([(what.to_owned(), (cut(then), cut(now)))])
}

/// The fields in which two lists of events differ, event by event in their order.
pub fn fields(left: &[Event], right: &[Event]) -> Fields {
    lists(left, right, |event| Face {
        kind: &event.kind,
        version: &event.schema_version,
        natural_key: pairs(&event.natural_key),
        order_keys: keys(event),
        sequence: event.sequence.as_deref(),
        corrects: format!("{:?}", event.corrects),
        occurred_at: event.occurred_at.as_deref(),
        data: &event.data,
    })
}

/// The same for what mappers give before it is checked.
pub fn drafts(left: &[Draft], right: &[Draft]) -> Fields {
    lists(left, right, |draft| Face {
        kind: &draft.kind,
        version: &draft.schema_version,
        natural_key: pairs(&draft.natural_key),
        order_keys: pairs(&draft.order_keys),
        sequence: draft.sequence.as_deref(),
        corrects: pairs(&draft.corrects),
        occurred_at: draft.occurred_at.as_deref(),
        data: &draft.data,
    })
}

/// Where two JSON values differ.
pub fn json(left: &Value, right: &Value) -> Fields {
    let mut found = Fields::new();
    values("", Some(left), Some(right), &mut found);
    found
}

/// All of an event that a mapper decides over, with the digest of its canonical data.
pub fn whole(event: &Event) -> Value {
    json!({
        "type": event.kind, "schema_version": event.schema_version, "identity": event.identity,
        "natural_key": event.natural_key, "order_keys": event.order_keys, "sequence": event.sequence,
        "corrects": event.corrects, "occurred_at": event.occurred_at, "data_digest": event.data_digest,
        "data": serde_json::from_slice::<Value>(&event.data).unwrap_or(Value::Null),
    })
}

/// Where two documents differ: JSON by its fields, anything else as a whole.
pub fn documents(left: &Document, right: &Document) -> Fields {
    let mut found = Fields::new();
    if left.media_type != right.media_type {
        note(&mut found, "(media type)", &left.media_type, &right.media_type);
    }
    if left.content != right.content {
        let value = |document: &Document| serde_json::from_slice::<Value>(&document.content).ok();
        match (value(left), value(right)) {
            (Some(left), Some(right)) if left != right => {
                values("", Some(&left), Some(&right), &mut found);
            }
            _ if left.content.starts_with(b"ISA") && right.content.starts_with(b"ISA") => {
                segments(&left.content, &right.content, &mut found);
            }
            _ => {
                let at = left.content.iter().zip(&right.content).take_while(|(left, right)| left == right);
                let from = at.count().saturating_sub(20);
                let text = |document: &Document| {
                    String::from_utf8_lossy(document.content.get(from..).unwrap_or_default()).into_owned()
                };
                note(&mut found, "(document)", &text(left), &text(right));
            }
        }
    }
    found
}

/// X12, segment by segment in their order, each element by its name: `W12[3]`. The separators are where ISA has them.
fn segments(left: &[u8], right: &[u8], found: &mut Fields) {
    let split = |content: &[u8]| -> Vec<Vec<String>> {
        let (element, end) = (content.get(3).copied(), content.get(105).copied());
        let segments = content.split(|byte| Some(*byte) == end);
        let elements = |segment: &[u8]| {
            let elements = segment.trim_ascii().split(|byte| Some(*byte) == element);
            elements.map(|element| String::from_utf8_lossy(element).into_owned()).collect()
        };
        segments.map(elements).collect()
    };
    let (left, right) = (split(left), split(right));
    if left.len() != right.len() {
        note(found, "(segments)", &left.len().to_string(), &right.len().to_string());
    }
    for (left, right) in left.iter().zip(&right) {
        let name = left.first().map(String::as_str).unwrap_or_default();
        if left.first() != right.first() {
            // From here on they are not the same segments any more.
            return note(found, "(segment)", &left.join("*"), &right.join("*"));
        }
        let nothing = String::new();
        for at in 1..left.len().max(right.len()) {
            let (left, right) = (left.get(at).unwrap_or(&nothing), right.get(at).unwrap_or(&nothing));
            if left != right {
                note(found, &format!("{name}[{at}]"), left, right);
            }
        }
    }
}

/// What is compared of an event.
struct Face<'a> {
    kind: &'a str,
    version: &'a str,
    natural_key: String,
    order_keys: String,
    sequence: Option<&'a str>,
    corrects: String,
    occurred_at: Option<&'a str>,
    data: &'a [u8],
}

fn lists<'a, T>(left: &'a [T], right: &'a [T], face: impl Fn(&'a T) -> Face<'a>) -> Fields {
    let mut found = Fields::new();
    if left.len() != right.len() {
        note(&mut found, "(events)", &left.len().to_string(), &right.len().to_string());
    }
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (face(left), face(right));
        let or_nothing = |text: Option<&'a str>| text.unwrap_or("nothing");
        let envelope = [
            ("(type)", left.kind, right.kind),
            ("(version)", left.version, right.version),
            ("(natural key)", &left.natural_key, &right.natural_key),
            ("(order keys)", &left.order_keys, &right.order_keys),
            ("(sequence)", or_nothing(left.sequence), or_nothing(right.sequence)),
            ("(corrects)", &left.corrects, &right.corrects),
            ("(occurred at)", or_nothing(left.occurred_at), or_nothing(right.occurred_at)),
        ];
        for (what, left, right) in envelope {
            if left != right {
                note(&mut found, what, left, right);
            }
        }
        if left.data != right.data {
            let value = |data: &[u8]| serde_json::from_slice(data).unwrap_or(Value::Null);
            values("", Some(&value(left.data)), Some(&value(right.data)), &mut found);
        }
    }
    found
}

fn values(path: &str, left: Option<&Value>, right: Option<&Value>, found: &mut Fields) {
    match (left, right) {
        (Some(left), Some(right)) if left == right => {}
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            for (name, value) in left {
                values(&below(path, name), Some(value), right.get(name), found);
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                values(&below(path, name), None, Some(value), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            let path = format!("{path}[]");
            for at in 0..left.len().max(right.len()) {
                values(&path, left.get(at), right.get(at), found);
            }
        }
        (left, right) => note(found, path, &shown(left), &shown(right)),
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn note(found: &mut Fields, field: &str, left: &str, right: &str) {
    if found.len() < FIELDS_MAX && !found.contains_key(field) {
        found.insert(field.to_owned(), (cut(left), cut(right)));
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}

fn pairs(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(kind, value)| format!("{kind} {value}")).collect::<Vec<_>>().join(", ")
}

fn keys(event: &Event) -> String {
    event.order_keys.iter().map(|key| format!("{} {}", key.kind, key.value)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(left: Value, right: Value) -> Vec<String> {
        let mut found = Fields::new();
        values("", Some(&left), Some(&right), &mut found);
        found.into_iter().map(|(field, (left, right))| format!("{field}: {left} → {right}")).collect()
    }

    #[test]
    fn fields_are_named_without_the_number_of_their_item() {
        let left = json!({ "items": [{ "lot": "", "quantity": "24" }, { "lot": "A", "quantity": "6" }], "bol": "1" });
        let right = json!({ "items": [{ "lot": "L1", "quantity": "24" }, { "lot": "B", "quantity": "7" }], "bol": "1" });
        assert_eq!(differ(left, right), [r#"items[].lot: "" → "L1""#, r#"items[].quantity: "6" → "7""#]);
    }

    #[test]
    fn documents_differ_by_element_by_field_or_as_a_whole() {
        let differ = |left: String, right: String| -> Vec<String> {
            let document = |content: String| Document {
                media_type: "text/plain".to_owned(),
                content: content.into(),
                parameters: Vec::new(),
            };
            let found = documents(&document(left), &document(right));
            found.into_iter().map(|(field, (left, right))| format!("{field}: {left} → {right}")).collect()
        };
        let x12 = |body: &str| format!("ISA*{}~{body}", "0".repeat(101));
        assert_eq!(differ(x12("W12*SH*24*24~LX*1~"), x12("W12*SH*24*20~LX*1~")), ["W12[3]: 24 → 20"]);
        assert_eq!(
            differ(x12("N9*BM*1~LX*1~"), x12("LX*1~")),
            ["(segment): N9*BM*1 → LX*1", "(segments): 4 → 3"]
        );
        assert_eq!(differ(r#"{"a":1}"#.to_owned(), r#"{"a":2}"#.to_owned()), ["a: 1 → 2"]);
        assert_eq!(differ("a;b".to_owned(), "a;c".to_owned()), ["(document): a;b → a;c"]);
        assert!(differ(x12("LX*1~"), x12("LX*1~")).is_empty());
    }

    #[test]
    fn what_only_one_has_is_nothing_on_the_other_side() {
        let left = json!({ "items": [1, 2], "carrier": { "scac": "UPS" } });
        let right = json!({ "items": [1], "carrier": { "scac": "UPS", "pro": "7" } });
        assert_eq!(differ(left, right), [r#"carrier.pro: nothing → "7""#, "items[]: 2 → nothing"]);
    }

    #[test]
    fn long_values_are_cut_and_equal_ones_say_nothing() {
        assert!(differ(json!({ "a": "x".repeat(500) }), json!({ "a": 1 }))[0].chars().count() < 100);
        assert!(differ(json!({ "a": [1, { "b": null }] }), json!({ "a": [1, { "b": null }] })).is_empty());
    }
}
