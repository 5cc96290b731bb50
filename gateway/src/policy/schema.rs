//! JSON Schemas of the policy files, for editors; and with their defaults, what is in force where a file is silent.
//!
//! The checker decides, these describe: a test holds them to it, key by key and default by default.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    raw::{self, Kind, Node, Text},
    source::Source,
};

const ALL: &str = include_str!("schema.json");

/// The kinds of policy files, and where they lie.
pub const KINDS: [(&str, &str); 8] = [
    ("gateway", "gateway.yaml"),
    ("issuers", "issuers.yaml"),
    ("partner", "partners/*.yaml"),
    ("api", "apis/*.yaml"),
    ("target", "targets/*.yaml"),
    ("subscription", "subscriptions/*.yaml"),
    ("ownership", "ownership.yaml"),
    ("test", "tests/*.yaml"),
];

/// The JSON Schema (2020-12) of one kind of file.
pub fn of(kind: &str) -> Option<Value> {
    let all: Value = serde_json::from_str(ALL).expect("it is part of the program and a test reads it");
    let mut schema = all["$defs"].get(kind)?.as_object()?.clone();
    schema.insert("$schema".to_owned(), all["$schema"].clone());
    // The shared parts only: the other kinds are of no use here.
    let shared = all["$defs"].as_object().into_iter().flatten();
    let shared = shared.filter(|(name, _)| KINDS.iter().all(|(kind, _)| kind != name));
    schema.insert("$defs".to_owned(), shared.map(|(name, value)| (name.clone(), value.clone())).collect());
    Some(Value::Object(schema))
}

/// The kind of a file, by its path in the folder.
pub fn kind_of(path: &str) -> Option<&'static str> {
    let yaml = path.ends_with(".yaml");
    KINDS.into_iter().find_map(|(kind, place)| match place.split_once('/') {
        None => (path == place).then_some(kind),
        Some((folder, _)) => {
            (yaml && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))).then_some(kind)
        }
    })
}

/// One value that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its file.
    pub file: Arc<str>,
    /// Its key, from the top of the file: `limits.body`.
    pub key: String,
    /// The value as it would be written.
    pub value: String,
    /// The line where it stands; none: it is the default.
    pub line: Option<usize>,
}

/// Every value of the files that are YAML, and every default where they say nothing.
pub fn effective(source: &Source) -> Vec<Setting> {
    let mut all = Vec::new();
    for (path, bytes) in &source.files {
        let Some(schema) = kind_of(path).and_then(of) else { continue };
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let Ok(node) = raw::parse(text) else { continue };
        let text = Text::new(path.clone(), text.to_owned());
        let mut shown = Shown { root: &schema, text: &text, all: &mut all };
        shown.value(&schema, Some(&node), "");
    }
    all
}

struct Shown<'a> {
    root: &'a Value,
    text: &'a Text,
    all: &'a mut Vec<Setting>,
}

impl Shown<'_> {
    fn value(&mut self, schema: &Value, node: Option<&Node>, key: &str) {
        let schema = fitting(self.root, schema, node);
        let members = schema.get("properties").and_then(Value::as_object);
        match (node, members) {
            (Some(Node { kind: Kind::Map(entries), .. }), _) => {
                for entry in entries {
                    let member = members.and_then(|members| members.get(&entry.key));
                    let member =
                        member.or_else(|| schema.get("additionalProperties")).unwrap_or(&Value::Null);
                    self.value(member, Some(&entry.value), &inside(key, &entry.key));
                }
                let given = |name: &String| entries.iter().any(|entry| entry.key == *name);
                let silent = members.into_iter().flatten().filter(|(name, _)| !given(name));
                silent.for_each(|(name, member)| self.value(member, None, &inside(key, name)));
            }
            (Some(node), _) => self.leaf(key, &written(node), Some(self.text.line(node.span.start))),
            (None, _) if schema.get("default").is_some() => {
                let default = schema.get("default").unwrap_or(&Value::Null);
                self.leaf(key, &plain(default), None);
            }
            (None, Some(members)) => {
                members.iter().for_each(|(name, member)| self.value(member, None, &inside(key, name)));
            }
            (None, None) => {}
        }
    }

    fn leaf(&mut self, key: &str, value: &str, line: Option<usize>) {
        let (file, key, value) = (self.text.path.clone(), key.to_owned(), value.to_owned());
        self.all.push(Setting { file, key, value, line });
    }
}

/// The schema behind references, and of several the one that a value of this kind is of. What a reference itself
/// says, its default, goes before what it leads to.
fn fitting<'s>(root: &'s Value, schema: &'s Value, node: Option<&Node>) -> &'s Value {
    if node.is_none() && schema.get("default").is_some() {
        return schema;
    }
    let map = matches!(node, Some(Node { kind: Kind::Map(_), .. }));
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) {
        return root.pointer(pointer).map_or(schema, |found| fitting(root, found, node));
    }
    let variants = schema.get("anyOf").and_then(Value::as_array).filter(|_| map);
    let object = |variant: &&Value| variant.get("properties").is_some();
    variants.and_then(|variants| variants.iter().find(object)).unwrap_or(schema)
}

fn inside(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

fn written(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Scalar { text, .. } => text.clone(),
        Kind::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let members = entries.iter().map(|entry| format!("{}: {}", entry.key, written(&entry.value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn plain(value: &Value) -> String {
    let all = |members: &Map<String, Value>| {
        members.iter().map(|(key, value)| format!("{key}: {}", plain(value))).collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => format!("{{ {} }}", all(members)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
