//! What each field of a mapper's output depends on. A mapper is a pure function and a call is cheap, so it is found by
//! trying: change one leaf of the source, run again, see what moved. Pure: running is passed in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::leaves::Leaf;

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Events in the form of the case files, and what was said about the document.
    Events { events: Vec<Value>, remarks: Vec<String>, rejects: usize },
    /// The places of a document and what stands there.
    Document(Vec<(String, String)>),
    /// The code of a refusal.
    Refused(String),
    /// A trap, a limit or nonsense.
    Failed(String),
}

/// A field of the output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Of which event, counted from 0; 0 in a document.
    pub event: usize,
    /// The event's type; empty in a document.
    pub kind: String,
    /// `/lines/0/lot` in the event's data, `occurred_at` or `natural_key/order` beside it; a place in a document.
    pub name: String,
    /// What it says.
    pub value: String,
    /// What it depends on: what it repeats first, then in the order of the bytes.
    pub sources: Vec<Source>,
}

/// A leaf that a field depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Which of the leaves.
    pub leaf: usize,
    /// Whether the field repeats what the leaf says; else the leaf decides what the field says.
    pub carries: bool,
}

/// What came of changing a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Fields moved.
    Read,
    /// No field moved, but one appeared: the first of them.
    Adds(String),
    /// Only a remark on the document changed.
    Remark,
    /// No field moved, and some change was refused: the code, or what was lost.
    Gate(String),
    /// A change made the mapper trap or exceed a limit.
    Failed(String),
    /// Nothing depends on it.
    Unread,
    /// There was no time to try it, or no other value of its shape.
    Untried,
}

/// What depends on what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trace {
    /// The fields of the output in their order.
    pub fields: Vec<Field>,
    /// What came of each leaf, in the order of the leaves.
    pub effects: Vec<Effect>,
    /// How often the mapper was run.
    pub runs: usize,
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Until a leaf moved something: enough to know whether it is read.
    Quick,
    /// Every change of every leaf: a larger number may move another field than a smaller one does.
    Full,
}

/// Changes each leaf in turn. `run` maps a changed copy; `go_on` is asked before each leaf, with its number.
pub(super) fn trace(
    content: &[u8],
    leaves: &[Leaf],
    base: &Outcome,
    depth: Depth,
    run: &mut dyn FnMut(Vec<u8>) -> Outcome,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Trace {
    let base_fields = fields(base);
    let mut sources: BTreeMap<&Key, Vec<Source>> = BTreeMap::new();
    let mut effects = vec![Effect::Untried; leaves.len()];
    let mut runs = 0;
    for (number, at) in order(leaves).into_iter().enumerate() {
        if !go_on(number) {
            break;
        }
        let (effect, moved) = effect(content, &leaves[at], (base, &base_fields), depth, run, &mut runs);
        effects[at] = effect;
        for (key, value) in base_fields.iter().filter(|(key, _)| moved.contains(key)) {
            let carries = repeats(value, &leaves[at].value);
            sources.entry(key).or_default().push(Source { leaf: at, carries });
        }
    }
    let kinds = match base {
        Outcome::Events { events, .. } => {
            events.iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
        }
        _ => Vec::new(),
    };
    let named = base_fields.iter().map(|(key, value)| {
        let mut sources = sources.get(key).cloned().unwrap_or_default();
        sources.sort_by_key(|source| (!source.carries, source.leaf));
        let (event, pointer) = key;
        let kind = kinds.get(*event).cloned().unwrap_or_default();
        Field { event: *event, kind, name: name(pointer), value: value.clone(), sources }
    });
    Trace { fields: named.collect(), effects, runs }
}

/// The first leaf of each kind, then the second of each: where there is no time for all, every kind is known.
fn order(leaves: &[Leaf]) -> Vec<usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<_> = leaves
        .iter()
        .enumerate()
        .map(|(at, leaf)| {
            let count = counts.entry(leaf.kind.as_str()).or_default();
            *count += 1;
            (*count, at)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

/// The event and the pointer of a field.
type Key = (usize, String);

/// Tries changes of one leaf, and says which fields moved.
fn effect(
    content: &[u8],
    leaf: &Leaf,
    (base, base_fields): (&Outcome, &[(Key, String)]),
    depth: Depth,
    run: &mut dyn FnMut(Vec<u8>) -> Outcome,
    runs: &mut usize,
) -> (Effect, BTreeSet<Key>) {
    // What speaks loudest counts: a failure, then a remark, then a refusal, then silence.
    let (mut failed, mut remark, mut gate, mut adds, mut tried) = (None, false, None, None, false);
    let mut all = BTreeSet::new();
    for changed in leaf.changed(content) {
        if depth == Depth::Quick && !all.is_empty() {
            break;
        }
        *runs += 1;
        tried = true;
        match (base, run(changed)) {
            (_, Outcome::Refused(code)) => {
                gate.get_or_insert(code);
            }
            (_, Outcome::Failed(why)) => {
                failed.get_or_insert(why);
            }
            (
                Outcome::Events { events, rejects, remarks },
                Outcome::Events { events: others, rejects: more, remarks: said },
            ) => {
                if others.len() < events.len() || more > *rejects {
                    gate.get_or_insert_with(|| "an event is not given any more".to_owned());
                    continue;
                }
                let moved = moved_events(events, &others);
                all.extend(moved);
                adds = adds.or_else(|| first_new(base_fields, &fields_of_events(&others)));
                remark |= *remarks != said;
            }
            (Outcome::Document(_), Outcome::Document(others)) => {
                let others = numbered(&others);
                let found: BTreeMap<_, _> = others.iter().cloned().collect();
                let moved = base_fields.iter().filter(|(key, value)| found.get(key) != Some(value));
                let moved: Vec<_> = moved.map(|(key, _)| key.clone()).collect();
                all.extend(moved);
                adds = adds.or_else(|| first_new(base_fields, &others));
            }
            _ => {}
        }
    }
    if !all.is_empty() {
        return (Effect::Read, all);
    }
    let effect = match (adds, failed, gate) {
        (Some(name), _, _) => Effect::Adds(name),
        (None, Some(why), _) => Effect::Failed(why),
        (None, None, _) if remark => Effect::Remark,
        (None, None, Some(code)) => Effect::Gate(code),
        (None, None, None) if tried => Effect::Unread,
        (None, None, None) => Effect::Untried,
    };
    (effect, all)
}

fn first_new(base: &[(Key, String)], others: &[(Key, String)]) -> Option<String> {
    let known: BTreeSet<_> = base.iter().map(|(key, _)| key).collect();
    others.iter().find(|(key, _)| !known.contains(key)).map(|(key, _)| name(&key.1))
}

/// Whether a field says what a leaf says, whatever marks stand between the letters: `20260115` and `2026-01-15`.
fn repeats(field: &str, leaf: &str) -> bool {
    let bare = |text: &str| -> String { text.chars().filter(|letter| letter.is_alphanumeric()).collect() };
    let (field, leaf) = (bare(field), bare(leaf));
    !leaf.is_empty() && field.contains(&leaf)
}

/// A pointer into an event as people name it: data without its name.
fn name(pointer: &str) -> String {
    match pointer.strip_prefix("/data") {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => pointer.strip_prefix('/').unwrap_or(pointer).to_owned(),
    }
}

fn fields(outcome: &Outcome) -> Vec<(Key, String)> {
    match outcome {
        Outcome::Events { events, .. } => fields_of_events(events),
        Outcome::Document(places) => numbered(places),
        Outcome::Refused(_) | Outcome::Failed(_) => Vec::new(),
    }
}

fn fields_of_events(events: &[Value]) -> Vec<(Key, String)> {
    let mut found = Vec::new();
    for (number, event) in events.iter().enumerate() {
        each(event, String::new(), &mut |pointer, value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            found.push(((number, pointer), text));
        });
    }
    found
}

/// Places of a document; one that comes again is counted.
fn numbered(places: &[(String, String)]) -> Vec<(Key, String)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let one = |(place, value): &'_ (String, String), count: usize| ((count, place.clone()), value.clone());
    places
        .iter()
        .map(|pair| {
            let count = counts.entry(pair.0.as_str()).or_default();
            *count += 1;
            one(pair, *count - 1)
        })
        .collect()
}

/// Every value that holds no others, with its pointer.
fn each(value: &Value, pointer: String, found: &mut dyn FnMut(String, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, inner) in map {
                each(inner, format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, inner) in list.iter().enumerate() {
                each(inner, format!("{pointer}/{index}"), found);
            }
        }
        _ => found(pointer, value),
    }
}

fn moved_events(events: &[Value], others: &[Value]) -> BTreeSet<Key> {
    let mut moved = BTreeSet::new();
    for (number, other) in pairs(events, others) {
        moved_in(&events[number], other, String::new(), &mut |pointer| {
            moved.insert((number, pointer));
        });
    }
    moved
}

/// Each item with the one that stands for it in the other list. Where one was put in or taken out, what is alike at
/// the beginning and at the end keeps its place.
fn pairs<'a>(list: &[Value], others: &'a [Value]) -> Vec<(usize, Option<&'a Value>)> {
    if list.len() == others.len() {
        return others.iter().map(Some).enumerate().collect();
    }
    let shorter = list.len().min(others.len());
    let head = list.iter().zip(others).take_while(|(one, other)| one == other).count();
    let tail = list.iter().rev().zip(others.iter().rev()).take_while(|(one, other)| one == other).count();
    let tail = tail.min(shorter - head);
    let standing = |index: usize| {
        if index >= list.len() - tail {
            others.get(others.len() - (list.len() - index))
        } else {
            others[..others.len() - tail].get(index)
        }
    };
    (0..list.len()).map(|index| (index, standing(index))).collect()
}

fn moved_in(value: &Value, other: Option<&Value>, pointer: String, moved: &mut dyn FnMut(String)) {
    match (value, other) {
        (value, Some(other)) if value == other => {}
        (Value::Object(map), Some(Value::Object(others))) if !map.is_empty() => {
            for (name, inner) in map {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                moved_in(inner, others.get(name), pointer, moved);
            }
        }
        (Value::Array(list), Some(Value::Array(others))) if !list.is_empty() => {
            for (index, other) in pairs(list, others) {
                moved_in(&list[index], other, format!("{pointer}/{index}"), moved);
            }
        }
        _ => each(value, pointer, &mut |pointer, _| moved(pointer)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::plugin::leaves;

    /// A mapper that knows what it does.
    fn map(document: &[u8]) -> Outcome {
        let Ok(value) = serde_json::from_slice::<Value>(document) else {
            return Outcome::Refused("no-json".into());
        };
        if value["lines"].as_array().is_some_and(|lines| value["count"] != lines.len()) {
            return Outcome::Refused("wrong-count".into());
        }
        if value["fragile"] != "no" {
            return Outcome::Failed("trapped".into());
        }
        if value["date"].as_str() > Some("2026-12-31") {
            return Outcome::Refused("too-late".into());
        }
        let mut data = json!({"lines": [], "status": "complete"});
        for line in value["lines"].as_array().into_iter().flatten() {
            let mut out = json!({"sku": line["sku"]});
            if line["kind"] == "LT" {
                out["lot"] = line["text"].clone();
            }
            data["lines"].as_array_mut().unwrap().push(out);
        }
        if value["rush"] == true {
            data["rush"] = json!("yes");
        }
        let remarks = if value["note"] == "ok" { vec![] } else { vec!["odd-note".to_owned()] };
        let event = json!({"type": "t", "natural_key": {"order": value["order"]}, "data": data});
        Outcome::Events { events: vec![event], remarks, rejects: 0 }
    }

    const DOCUMENT: &str = r#"{"order": "8841", "count": 2, "fragile": "no", "note": "ok", "rush": false, "date": "2026-12-31",
        "lines": [{"sku": "A1", "kind": "LT", "text": "L7"}, {"sku": "B2", "kind": "ZZ", "text": "free"}]}"#;

    fn traced() -> (Vec<Leaf>, Trace) {
        let leaves = leaves::find(DOCUMENT.as_bytes(), "application/json");
        let base = map(DOCUMENT.as_bytes());
        let trace =
            trace(DOCUMENT.as_bytes(), &leaves, &base, Depth::Full, &mut |copy| map(&copy), &mut |_| true);
        (leaves, trace)
    }

    #[test]
    fn each_field_knows_the_leaves_that_move_it() {
        let (leaves, trace) = traced();
        let shown: Vec<_> = trace
            .fields
            .iter()
            .map(|field| {
                let sources = field.sources.iter();
                let sources: Vec<_> =
                    sources.map(|source| (leaves[source.leaf].path.as_str(), source.carries)).collect();
                (field.name.as_str(), sources)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("/lines/0/lot", vec![("/lines/0/text", true), ("/lines/0/kind", false)]),
                ("/lines/0/sku", vec![("/lines/0/sku", true)]),
                ("/lines/1/sku", vec![("/lines/1/sku", true)]),
                ("/status", vec![]),
                ("natural_key/order", vec![("/order", true)]),
                ("type", vec![]),
            ]
        );
    }

    #[test]
    fn what_moves_nothing_is_told_apart() {
        let (leaves, trace) = traced();
        let effect = |path: &str| {
            let at = leaves.iter().position(|leaf| leaf.path == path).unwrap();
            trace.effects[at].clone()
        };
        assert_eq!(effect("/count"), Effect::Gate("wrong-count".into()));
        assert_eq!(
            effect("/date"),
            Effect::Gate("too-late".into()),
            "one change was taken and moved nothing"
        );
        assert_eq!(effect("/fragile"), Effect::Failed("trapped".into()));
        assert_eq!(effect("/note"), Effect::Remark);
        assert_eq!(effect("/rush"), Effect::Adds("/rush".into()));
        assert_eq!(effect("/lines/1/text"), Effect::Unread);
        assert_eq!(effect("/lines/1/kind"), Effect::Unread);
    }

    #[test]
    fn out_of_time_says_untried_and_not_unread() {
        let leaves = leaves::find(DOCUMENT.as_bytes(), "application/json");
        let base = map(DOCUMENT.as_bytes());
        let trace =
            trace(DOCUMENT.as_bytes(), &leaves, &base, Depth::Full, &mut |copy| map(&copy), &mut |number| {
                number < 1
            });
        assert_eq!(trace.effects[0], Effect::Read);
        assert!(trace.effects[1..].iter().all(|effect| *effect == Effect::Untried));
    }

    #[test]
    fn every_kind_of_value_is_tried_before_any_comes_again() {
        let leaves = leaves::find(DOCUMENT.as_bytes(), "application/json");
        let kinds: Vec<_> = order(&leaves).into_iter().map(|at| leaves[at].path.as_str()).collect();
        let again = kinds.iter().position(|path| *path == "/lines/1/sku").unwrap();
        assert_eq!(kinds[again..], ["/lines/1/sku", "/lines/1/kind", "/lines/1/text"]);
    }

    #[test]
    fn an_item_that_goes_does_not_move_those_behind_it() {
        let mut moved = Vec::new();
        let (list, others) = (json!({"l": ["a", "b", "c"]}), json!({"l": ["a", "c"]}));
        moved_in(&list, Some(&others), String::new(), &mut |pointer| moved.push(pointer));
        assert_eq!(moved, ["/l/1"]);
    }

    #[test]
    fn a_place_of_a_document_that_comes_twice_is_counted() {
        let outcome = Outcome::Document(vec![("GE/1".into(), "1".into()), ("GE/1".into(), "2".into())]);
        let keys: Vec<_> = fields(&outcome).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [(0, "GE/1".to_owned()), (1, "GE/1".to_owned())]);
    }
}
