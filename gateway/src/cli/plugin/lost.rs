//! What the cases of a mapper show to be lost: values that no output depended on, and canonical fields that are never
//! set. Neither breaks a law: a format may say more than the canonical model, and less.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    bench::{Bench, Opened},
    description::Direction,
    leaves::Leaf,
    lineage::{self, Subject},
    progress::Progress,
    show,
    test::{Given, Tried, document},
    trace::{Depth, Effect},
};

/// Most time for all cases of a mapper.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most values of one case that are tried.
const MOST: usize = 1_000;
/// Segments of interchanges that say how they are sent, and nothing of the business.
const ENVELOPE: [&str; 10] = ["ISA", "GS", "ST", "SE", "GE", "IEA", "UNB", "UNH", "UNT", "UNZ"];
/// The width of a line.
const WIDTH: usize = 98;
/// Deepest field of the canonical model that is looked for.
const DEEPEST: usize = 8;

/// What is lost.
#[derive(Default)]
pub(super) struct Lost {
    unread: Vec<Unread>,
    unset: Vec<Unset>,
    /// Cases of which not all values were tried.
    hasty: usize,
    /// Cases that were traced, by direction: documents, events.
    traced: [usize; 2],
}

/// Values that nothing depended on, in any case that has them.
struct Unread {
    direction: Direction,
    /// `N9*ZZ`, `W27[5]`, `items[].lot`.
    name: String,
    cases: usize,
    case: String,
    example: Leaf,
}

/// The fields of one type of event that no case sets; of an object that is never there only itself.
struct Unset {
    kind: String,
    fields: Vec<String>,
}

/// What was seen of one kind of value.
struct Seen {
    read: bool,
    cases: BTreeSet<usize>,
    first: (usize, Leaf),
}

/// Finds what is lost in the cases that were mapped.
pub(super) fn find(bench: &Bench<'_>, opened: &Opened, tried: &[Tried], progress: &Progress<'_>) -> Lost {
    let begun = Instant::now();
    let mut lost = Lost { unset: unset(tried), ..Lost::default() };
    // By direction, group and kind: what stands alone has its kind for a group.
    let mut seen: BTreeMap<(bool, String), BTreeMap<String, Seen>> = BTreeMap::new();
    for (number, one) in tried.iter().enumerate() {
        let Some(setting) = &one.setting else { continue };
        if !matches!(one.given, Given::Events { .. } | Given::Document(_)) {
            continue;
        }
        progress.tell(&format!(" tracing  case {} of {}", number + 1, tried.len()));
        let (direction, content) = (one.case.direction, one.case.content.clone());
        let subject =
            Subject { bench, opened, setting, direction, document: document(opened, &one.case, content) };
        let traced = subject.trace(Depth::Quick, MOST, &mut |_, _| begun.elapsed() < PATIENCE);
        let Ok(traced) = traced else { continue };
        let out = direction == Direction::FromCanonical;
        lost.traced[usize::from(out)] += 1;
        lost.hasty += usize::from(traced.trace.effects.contains(&Effect::Untried));
        for (leaf, effect) in traced.leaves.into_iter().zip(traced.trace.effects) {
            // What stands beside an event's data makes its identity, which is the gateway's.
            if effect == Effect::Untried || out && !leaf.kind.trim_start_matches("[].").starts_with("data") {
                continue;
            }
            let group = leaf.group.clone().unwrap_or_else(|| leaf.kind.clone());
            let kinds = seen.entry((out, group)).or_default();
            let kind = kinds.entry(leaf.kind.clone()).or_insert_with(|| Seen {
                read: false,
                cases: BTreeSet::new(),
                first: (number, leaf),
            });
            kind.read |= effect != Effect::Unread;
            kind.cases.insert(number);
        }
    }
    for ((out, group), kinds) in seen {
        let direction = if out { Direction::FromCanonical } else { Direction::ToCanonical };
        let whole = kinds.values().all(|seen| !seen.read);
        let cases: BTreeSet<_> = kinds.values().flat_map(|seen| &seen.cases).copied().collect();
        let mut kinds: Vec<_> = kinds.into_iter().filter(|(_, seen)| !seen.read).collect();
        kinds.sort_by_key(|(_, seen)| (seen.first.0, seen.first.1.range.start));
        // Of a group that nobody reads its name says enough.
        kinds.truncate(if whole { 1 } else { usize::MAX });
        for (kind, Seen { cases: own, first: (case, example), .. }) in kinds {
            let name = if whole { group.clone() } else { kind };
            let name = if out { name.trim_start_matches("[].").replacen("data.", "", 1) } else { name };
            let cases = if whole { cases.len() } else { own.len() };
            lost.unread.push(Unread { direction, name, cases, case: tried[case].case.name.clone(), example });
        }
    }
    lost
}

impl Lost {
    /// Some lines for people: a summary, or all of it.
    pub fn text(&self, all: bool) {
        let (envelope, rest): (Vec<_>, Vec<_>) = self.unread.iter().partition(|one| one.is_envelope());
        if all {
            self.whole();
        } else {
            let names = rest.iter().map(|one| {
                let cases = if one.cases == 1 { "case" } else { "cases" };
                format!("{} (in {} {cases})", show::plain(&one.name), one.cases)
            });
            let mut more = String::new();
            if !envelope.is_empty() {
                more = format!(", {} of the envelope", envelope.len());
            }
            summary("never read: ", names.collect(), &more);
            for one in &self.unset {
                let names = one.fields.iter().map(|field| show::plain(field)).collect();
                summary(&format!("never set in {}: ", one.kind), names, "");
            }
        }
        if self.hasty > 0 {
            anstream::println!(
                "! not every value was tried, for want of time, in {} of {} cases: crossdock plugin lineage",
                self.hasty,
                self.traced.iter().sum::<usize>()
            );
        }
    }

    /// Of how many cases its direction has.
    fn of(&self, one: &Unread) -> usize {
        self.traced[usize::from(one.direction == Direction::FromCanonical)]
    }

    fn whole(&self) {
        for (direction, of) in
            [(Direction::ToCanonical, "documents"), (Direction::FromCanonical, "canonical events")]
        {
            let mut found = self.unread.iter().filter(|one| one.direction == direction).peekable();
            if found.peek().is_some() {
                anstream::println!("! values of {of} that nothing depends on, in any case");
            }
            for one in found {
                let at = lineage::place(&one.example);
                let value = lineage::quoted(&one.example.value);
                let cases = format!("in {} of {} cases", one.cases, self.of(one));
                let head = format!("    {}   {cases}", show::plain(&one.name));
                let tail = format!("{}: {at}   {value}", one.case);
                let gap = if head.chars().count() + tail.chars().count() + 3 > WIDTH {
                    "\n        "
                } else {
                    "   "
                };
                anstream::println!("{head}{gap}{tail}");
            }
        }
        for one in &self.unset {
            anstream::println!("! fields of {} that no case sets", one.kind);
            for field in &one.fields {
                anstream::println!("    {}", show::plain(field));
            }
        }
    }

    /// JSON lines for programs.
    pub fn json(&self) {
        for one in &self.unread {
            show::line(
                "lost",
                json!({
                    "direction": one.direction, "name": one.name, "cases": one.cases, "of": self.of(one),
                    "envelope": one.is_envelope(), "case": one.case, "location": one.example.location(),
                    "value": one.example.value,
                }),
            );
        }
        for one in &self.unset {
            show::line("unset", json!({"type": one.kind, "fields": one.fields}));
        }
    }
}

impl Unread {
    fn is_envelope(&self) -> bool {
        let name = self.name.split(['[', '*', '+']).next().unwrap_or_default();
        self.example.group.is_some() && ENVELOPE.contains(&name)
    }
}

/// One line of as many names as there is room for.
fn summary(title: &str, names: Vec<String>, more: &str) {
    if names.is_empty() && more.is_empty() {
        return;
    }
    let mut line = format!("! {title}");
    let (count, mut shown) = (names.len(), 0);
    for name in names {
        let comma = if shown > 0 { ", " } else { "" };
        let room = more.chars().count() + ", and 1000 more (--lost)".len();
        if shown > 0 && line.chars().count() + comma.len() + name.chars().count() + room > WIDTH {
            break;
        }
        line.push_str(comma);
        line.push_str(&name);
        shown += 1;
    }
    if shown < count {
        line.push_str(&format!(", and {} more", count - shown));
    }
    line.push_str(if count == 0 { more.trim_start_matches(", ") } else { more });
    anstream::println!("{line} (--lost)");
}

/// The fields that no event of its type has, for each type that the cases give or take.
fn unset(tried: &[Tried]) -> Vec<Unset> {
    let mut set: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in tried {
        let Given::Events { drafts, .. } = &one.given else { continue };
        for draft in drafts {
            let Ok(data) = serde_json::from_slice::<Value>(&draft.data) else { continue };
            patterns(&data, String::new(), set.entry(draft.kind.clone()).or_default());
        }
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let defs = read(
        crossdock_canonical::schemas().iter().find(|(kind, _)| *kind == "defs").map_or("", |found| found.1),
    );
    let mut found = Vec::new();
    for (kind, text) in crossdock_canonical::schemas() {
        let Some(set) = set.get(*kind) else { continue };
        let mut fields = Vec::new();
        missing(&read(text), &defs, "", set, &mut Vec::new(), &mut fields);
        if !fields.is_empty() {
            found.push(Unset { kind: (*kind).to_owned(), fields });
        }
    }
    found
}

/// The fields of a value, with all items of a list under one name.
fn patterns(value: &Value, pattern: String, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                patterns(inner, format!("{pattern}/{name}"), found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| patterns(inner, format!("{pattern}[]"), found)),
        _ => {}
    }
    found.insert(pattern);
}

/// The fields of a schema that are not set, though what they are in is.
fn missing<'a>(
    schema: &'a Value,
    defs: &'a Value,
    pattern: &str,
    set: &BTreeSet<String>,
    open: &mut Vec<&'a str>,
    found: &mut Vec<String>,
) {
    if open.len() > DEEPEST {
        return;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        // What may hold its like is looked into once.
        if !open.contains(&name) {
            open.push(name);
            missing(&defs["$defs"][name], defs, pattern, set, open, found);
            open.pop();
        }
        return;
    }
    if schema["items"].is_object() {
        return missing(&schema["items"], defs, &format!("{pattern}[]"), set, open, found);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let pattern = format!("{pattern}/{name}");
        if set.contains(&pattern) {
            missing(inner, defs, &pattern, set, open, found);
        } else {
            found.push(pattern);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_never_set_is_named_once_by_what_is_missing_of_it() {
        let defs = json!({"$defs": {"lot": {"properties": {"number": {}, "expires": {}}},
            "pack": {"properties": {"id": {}, "inner": {"items": {"$ref": "#/$defs/pack"}}}}}});
        let schema = json!({"properties": {"order": {}, "lines": {"items": {"properties": {
            "lot": {"$ref": "defs.json#/$defs/lot"}, "text": {}}}}, "packs": {"items": {"$ref": "defs.json#/$defs/pack"}},
            "carrier": {"properties": {"scac": {}}}}});
        let mut set = BTreeSet::new();
        patterns(
            &json!({"order": "1", "lines": [{}, {"lot": {"number": "L"}}], "packs": [{"id": 1}]}),
            String::new(),
            &mut set,
        );
        let mut found = Vec::new();
        missing(&schema, &defs, "", &set, &mut Vec::new(), &mut found);
        assert_eq!(found, ["/carrier", "/lines[]/lot/expires", "/lines[]/text", "/packs[]/inner"]);
    }

    #[test]
    fn every_canonical_type_has_fields_to_set() {
        for (kind, text) in crossdock_canonical::schemas().iter().filter(|(kind, _)| *kind != "defs") {
            let mut found = Vec::new();
            let schema = serde_json::from_str(text).unwrap();
            missing(&schema, &json!({}), "", &BTreeSet::new(), &mut Vec::new(), &mut found);
            assert!(found.len() > 3, "{kind}: {found:?}");
        }
    }
}
