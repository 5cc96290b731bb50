//! Two JSON Schemas compared: which documents the second refuses that the first takes, and the other way round.
//!
//! It walks both side by side and knows the keywords that vendors' schemas are made of. What it has no judgement of
//! (a changed pattern, another `oneOf`) counts in both directions, so that it never calls compatible what may not be.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Differences that are listed; nobody reads more before the first are mended.
const MOST: usize = 50;
/// Deepest walk: a schema may refer to itself.
const DEPTH: usize = 24;

/// What the schema of a version promises about the documents of the version that it succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// Nothing.
    #[default]
    None,
    /// It takes all of them.
    Backward,
    /// Its own would have been taken before.
    Forward,
    /// Both.
    Full,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in a document: a JSON Pointer whose `*` is any item or member.
    pub at: String,
    /// What is different, in words.
    pub what: String,
    /// The second refuses documents that the first takes.
    pub narrows: bool,
    /// The second takes documents that the first refuses.
    pub widens: bool,
}

/// What the second schema does to documents of the first, place by place.
pub fn compare(before: &Value, after: &Value) -> Vec<Difference> {
    let mut walk = Walk { before, after, found: Vec::new() };
    walk.schema(before, after, "", 0);
    walk.found
}

struct Walk<'a> {
    before: &'a Value,
    after: &'a Value,
    found: Vec<Difference>,
}

/// Keywords that say nothing about documents.
const SILENT: [&str; 13] = [
    "$schema",
    "$id",
    "id",
    "title",
    "description",
    "$comment",
    "examples",
    "default",
    "definitions",
    "$defs",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// Keywords that the walk judges.
const JUDGED: [&str; 20] = [
    "$ref",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "nullable",
];
/// Bounds: the keyword, its words, and whether a larger number narrows.
const BOUNDS: [(&str, &str, bool); 10] = [
    ("minimum", "least value", true),
    ("exclusiveMinimum", "value must be over", true),
    ("maximum", "largest value", false),
    ("exclusiveMaximum", "value must be under", false),
    ("minLength", "shortest text", true),
    ("maxLength", "longest text", false),
    ("minItems", "fewest items", true),
    ("maxItems", "most items", false),
    ("minProperties", "fewest members", true),
    ("maxProperties", "most members", false),
];

impl Walk<'_> {
    fn note(&mut self, at: &str, what: impl Into<String>, narrows: bool, widens: bool) {
        if (narrows || widens) && self.found.len() < MOST {
            let at = if at.is_empty() { "/".to_owned() } else { at.to_owned() };
            self.found.push(Difference { at, what: what.into(), narrows, widens });
        }
    }

    fn schema(&mut self, before: &Value, after: &Value, at: &str, depth: usize) {
        if depth > DEPTH || self.found.len() >= MOST {
            return;
        }
        let (before, after) = (resolved(self.before, before), resolved(self.after, after));
        if before == after {
            return;
        }
        let empty = Map::new();
        let (a, b) = match (before, after) {
            (Value::Bool(false), _) => {
                return self.note(at, "nothing was allowed, something is now", false, true);
            }
            (_, Value::Bool(false)) => return self.note(at, "nothing is allowed any more", true, false),
            (Value::Bool(_), Value::Object(b)) => (&empty, b),
            (Value::Object(a), Value::Bool(_)) => (a, &empty),
            (Value::Object(a), Value::Object(b)) => (a, b),
            _ => return self.note(at, "one of the two is no schema", true, true),
        };
        self.types(a, b, at);
        self.values(a, b, at);
        self.bounds(a, b, at);
        self.members(a, b, at, depth);
        match (a.get("items"), b.get("items")) {
            (None, None) => {}
            (Some(a), Some(b)) if a.is_array() || b.is_array() => {
                if a != b {
                    self.note(at, "`items` is another list of schemas", true, true);
                }
            }
            (a, b) => {
                let any = Value::Bool(true);
                self.schema(a.unwrap_or(&any), b.unwrap_or(&any), &format!("{at}/*"), depth + 1);
            }
        }
        let unknown: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for keyword in unknown {
            let known = SILENT.contains(&keyword.as_str()) || JUDGED.contains(&keyword.as_str());
            if known || a.get(keyword) == b.get(keyword) {
                continue;
            }
            match (a.get(keyword), b.get(keyword)) {
                (None, Some(_)) => self.note(at, format!("`{keyword}` is asked for"), true, false),
                (Some(_), None) => self.note(at, format!("`{keyword}` is no longer asked for"), false, true),
                _ => self.note(at, format!("`{keyword}` is another one"), true, true),
            }
        }
    }

    fn types(&mut self, a: &Map<String, Value>, b: &Map<String, Value>, at: &str) {
        let (before, after) = (types(a), types(b));
        // Every integer is a number.
        let covers = |all: &BTreeSet<String>, one: &String| {
            all.is_empty() || all.contains(one) || one == "integer" && all.contains("number")
        };
        let narrows =
            !after.is_empty() && (before.is_empty() || !before.iter().all(|one| covers(&after, one)));
        let widens =
            !before.is_empty() && (after.is_empty() || !after.iter().all(|one| covers(&before, one)));
        let shown = |types: &BTreeSet<String>| match types.len() {
            0 => "anything".to_owned(),
            _ => types.iter().cloned().collect::<Vec<_>>().join(" or "),
        };
        self.note(at, format!("{} → {}", shown(&before), shown(&after)), narrows, widens);
    }

    fn values(&mut self, a: &Map<String, Value>, b: &Map<String, Value>, at: &str) {
        let listed = |schema: &Map<String, Value>| -> Option<Vec<Value>> {
            match (schema.get("const"), schema.get("enum")) {
                (Some(one), _) => Some(vec![one.clone()]),
                (None, Some(Value::Array(all))) => Some(all.clone()),
                _ => None,
            }
        };
        let shown = |values: &[&Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (listed(a), listed(b)) {
            (None, None) => {}
            (None, Some(all)) => {
                let all: Vec<&Value> = all.iter().take(8).collect();
                self.note(at, format!("only {} from now on", shown(&all)), true, false);
            }
            (Some(_), None) => self.note(at, "other values than the listed ones", false, true),
            (Some(before), Some(after)) => {
                let gone: Vec<&Value> =
                    before.iter().filter(|value| !after.contains(value)).take(8).collect();
                let new: Vec<&Value> = after.iter().filter(|value| !before.contains(value)).take(8).collect();
                self.note(at, format!("without the value {}", shown(&gone)), !gone.is_empty(), false);
                self.note(at, format!("also the value {}", shown(&new)), false, !new.is_empty());
            }
        }
        let unique = |schema: &Map<String, Value>| schema.get("uniqueItems") == Some(&Value::Bool(true));
        self.note(at, "items must differ", !unique(a) && unique(b), false);
        self.note(at, "items may repeat", false, unique(a) && !unique(b));
    }

    fn bounds(&mut self, a: &Map<String, Value>, b: &Map<String, Value>, at: &str) {
        for (keyword, words, larger_narrows) in BOUNDS {
            let (before, after) = (a.get(keyword), b.get(keyword));
            if before == after {
                continue;
            }
            let shown = |value: Option<&Value>| value.map_or("none".to_owned(), ToString::to_string);
            let larger = match (before.and_then(Value::as_f64), after.and_then(Value::as_f64)) {
                (None, Some(_)) => larger_narrows,
                (Some(_), None) => !larger_narrows,
                (Some(before), Some(after)) => after > before,
                // Draft 4 has booleans here.
                (None, None) => {
                    self.note(at, format!("{words} {} → {}", shown(before), shown(after)), true, true);
                    continue;
                }
            };
            let narrows = larger == larger_narrows;
            self.note(at, format!("{words} {} → {}", shown(before), shown(after)), narrows, !narrows);
        }
    }

    fn members(&mut self, a: &Map<String, Value>, b: &Map<String, Value>, at: &str, depth: usize) {
        let names = |schema: &Map<String, Value>| -> BTreeSet<String> {
            let list = schema.get("required").and_then(Value::as_array);
            list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let (before, after) = (names(a), names(b));
        for name in after.difference(&before) {
            self.note(&inside(at, name), "is required from now on", true, false);
        }
        for name in before.difference(&after) {
            self.note(&inside(at, name), "may be missing", false, true);
        }
        let empty = Map::new();
        let of =
            |schema: &'_ Map<String, Value>| schema.get("properties").and_then(Value::as_object).cloned();
        let (own, new) = (of(a).unwrap_or_else(|| empty.clone()), of(b).unwrap_or(empty));
        let rest = |schema: &Map<String, Value>| {
            schema.get("additionalProperties").cloned().unwrap_or(Value::Bool(true))
        };
        let (rest_before, rest_after) = (rest(a), rest(b));
        let all: BTreeSet<&String> = own.keys().chain(new.keys()).collect();
        for name in all {
            let place = inside(at, name);
            match (own.get(name), new.get(name)) {
                (Some(before), Some(after)) => self.schema(before, after, &place, depth + 1),
                (Some(_), None) if rest_after == Value::Bool(false) => {
                    self.note(&place, "is not taken any more", true, false);
                }
                (None, Some(_)) if rest_before == Value::Bool(false) => {
                    self.note(&place, "is taken from now on", false, true);
                }
                // An open object took it as anything.
                (Some(before), None) => self.schema(before, &rest_after, &place, depth + 1),
                (None, Some(after)) => self.schema(&rest_before, after, &place, depth + 1),
                (None, None) => {}
            }
        }
        if rest_before != rest_after {
            let closed = |rest: &Value| *rest == Value::Bool(false);
            match (closed(&rest_before), closed(&rest_after)) {
                (false, true) => {
                    self.note(at, "members that are not named are refused from now on", true, false)
                }
                (true, false) => self.note(at, "members that are not named are taken", false, true),
                _ => {
                    self.schema(&rest_before, &rest_after, &format!("{at}/*"), depth + 1);
                }
            }
        }
    }
}

fn inside(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn types(schema: &Map<String, Value>) -> BTreeSet<String> {
    let mut types: BTreeSet<String> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(all)) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => BTreeSet::new(),
    };
    if schema.get("nullable") == Some(&Value::Bool(true)) && !types.is_empty() {
        types.insert("null".to_owned());
    }
    types
}

/// Follows references within the same file, a few steps.
fn resolved<'v>(root: &'v Value, schema: &'v Value) -> &'v Value {
    let mut schema = schema;
    for _ in 0..8 {
        let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'))
        else {
            break;
        };
        match root.pointer(pointer) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `N` narrows, `W` widens, `B` both.
    fn shown(before: Value, after: Value) -> Vec<String> {
        let mark = |found: &Difference| match (found.narrows, found.widens) {
            (true, true) => "B",
            (true, false) => "N",
            _ => "W",
        };
        compare(&before, &after)
            .iter()
            .map(|found| format!("{} {} {}", mark(found), found.at, found.what))
            .collect()
    }

    #[test]
    fn each_keyword_is_judged_by_what_it_does_to_documents() {
        let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
        for (before, after, wanted) in [
            (
                json!({ "type": "string" }),
                json!({ "type": ["string", "null"] }),
                "W / string → null or string",
            ),
            (json!({ "type": "number" }), json!({ "type": "integer" }), "N / number → integer"),
            (json!({ "type": "string" }), json!({ "type": "integer" }), "B / string → integer"),
            (json!({}), json!({ "type": "string" }), "N / anything → string"),
            (object(json!({}), json!([])), object(json!({}), json!(["a"])), "N /a is required from now on"),
            (object(json!({}), json!(["a"])), object(json!({}), json!([])), "W /a may be missing"),
            (
                object(json!({}), json!([])),
                object(json!({ "a": { "type": "string" } }), json!([])),
                "N /a anything → string",
            ),
            (
                json!({ "enum": ["a", "b"] }),
                json!({ "enum": ["b", "c"] }),
                "N / without the value \"a\"|W / also the value \"c\"",
            ),
            (json!({ "maxLength": 5 }), json!({ "maxLength": 3 }), "N / longest text 5 → 3"),
            (json!({ "minimum": 5 }), json!({}), "W / least value 5 → none"),
            (json!({}), json!({ "maximum": 5 }), "N / largest value none → 5"),
            (json!({ "pattern": "a" }), json!({ "pattern": "b" }), "B / `pattern` is another one"),
            (json!({ "items": { "type": "string" } }), json!({}), "W /* string → anything"),
            (
                json!({}),
                json!({ "additionalProperties": false }),
                "N / members that are not named are refused from now on",
            ),
            (json!({ "title": "x" }), json!({ "description": "y" }), ""),
        ] {
            assert_eq!(shown(before.clone(), after.clone()).join("|"), wanted, "{before} {after}");
        }
    }

    #[test]
    fn references_are_followed_and_may_run_in_circles() {
        let tree = |kind: &str| {
            json!({ "$ref": "#/$defs/node", "$defs": { "node": { "properties": {
                "value": { "type": kind }, "next": { "$ref": "#/$defs/node" } } } } })
        };
        let found = compare(&tree("string"), &tree("integer"));
        assert!(found[0].at.starts_with("/next/next/"), "{}", found[0].at);
        assert!(found.iter().any(|found| found.at == "/value"));
        assert!(compare(&tree("string"), &tree("string")).is_empty());
    }
}
