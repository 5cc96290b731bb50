//! Where two sets of events differ, by canonical field. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::words::Event;

/// Fields that are told apart; the first of them explain the rest.
const FIELDS_MAX: usize = 200;
/// Characters of a value that are shown.
const SHOWN: usize = 80;

/// What differs: the field, `items[].quantity.value`, and the first pair of values that shows it.
pub(super) type Fields = BTreeMap<String, (String, String)>;

/// One difference that is none of a field.
pub(super) fn one(what: &str, then: &str, now: &str) -> Fields {
    Fields::from([(what.to_owned(), (cut(then), cut(now)))])
}

/// The fields in which two lists of events differ, event by event in their order.
pub(super) fn fields(left: &[Event], right: &[Event]) -> Fields {
    let mut found = Fields::new();
    if left.len() != right.len() {
        note(&mut found, "(events)", &left.len().to_string(), &right.len().to_string());
    }
    for (left, right) in left.iter().zip(right) {
        let none = || "nothing".to_owned();
        let envelope = [
            ("(type)", left.kind.clone(), right.kind.clone()),
            ("(version)", left.schema_version.clone(), right.schema_version.clone()),
            ("(natural key)", pairs(&left.natural_key), pairs(&right.natural_key)),
            ("(order keys)", keys(left), keys(right)),
            (
                "(sequence)",
                left.sequence.clone().unwrap_or_else(none),
                right.sequence.clone().unwrap_or_else(none),
            ),
            ("(corrects)", format!("{:?}", left.corrects), format!("{:?}", right.corrects)),
            (
                "(occurred at)",
                left.occurred_at.clone().unwrap_or_else(none),
                right.occurred_at.clone().unwrap_or_else(none),
            ),
        ];
        for (what, left, right) in envelope {
            if left != right {
                note(&mut found, what, &left, &right);
            }
        }
        if left.data != right.data {
            let value = |event: &Event| serde_json::from_slice(&event.data).unwrap_or(Value::Null);
            values("", Some(&value(left)), Some(&value(right)), &mut found);
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
    use serde_json::json;

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
