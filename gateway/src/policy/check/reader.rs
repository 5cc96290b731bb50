//! Reads one file's tree into checked values. A wrong value is reported at its place and read as none, so
//! that one pass finds everything.

use std::{
    collections::{BTreeMap, btree_map},
    fmt::Display,
    sync::Arc,
};

use super::{Ask, References};
use crate::policy::{
    checked::{Origin, SecretRef, Setting},
    raw::{Entry, Kind, Node, Span, Text},
    report::{Finding, Report, looks_secret, names_a_secret, nearest},
};

/// A list or map longer than this is a mistake; it also bounds what the cross checks cost.
const LIST_MAX: usize = 50_000;

/// A map that was read: its file, where its first key stands, and the keys that were asked for.
#[cfg(test)]
pub(in crate::policy) type Asked = (Arc<str>, usize, Vec<&'static str>);

#[cfg(test)]
thread_local! {
    /// The maps that this thread has read, for the test that holds the schemas to the checker.
    static ASKED: std::cell::RefCell<Vec<Asked>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Takes the maps that were read since the last time.
#[cfg(test)]
pub(in crate::policy) fn reader_asked() -> Vec<Asked> {
    ASKED.take()
}

/// Reads one file.
pub(super) struct Reader<'a> {
    pub text: &'a Arc<Text>,
    pub report: &'a mut Report,
    pub references: &'a mut References,
}

/// A map whose keys are known. [`Fields::end`] reports the others.
pub(super) struct Fields<'n> {
    pub at: Span,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a key that may be missing; a key without a value counts as missing.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key && !matches!(entry.value.kind, Kind::Null))
    }

    /// Reads a key that may be missing.
    pub fn optional<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        let entry = self.get(key)?;
        read(reader, &entry.value)
    }

    /// Reads a key that must be there.
    pub fn required<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(entry) => read(reader, &entry.value),
            None => {
                reader.error(self.at, format!("`{key}` is missing"));
                None
            }
        }
    }

    /// Reads a key that has a default. A wrong value is reported and then counts as the default.
    pub fn or<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Reader<'_>, &'n Node) -> Option<T>,
    ) -> T {
        self.optional(reader, key, read).unwrap_or(default)
    }

    /// Reports every key that nobody asked for.
    pub fn end(self, reader: &mut Reader<'_>) {
        #[cfg(test)]
        if let Some(first) = self.entries.first() {
            let asked = (reader.text.path.clone(), first.at.start, self.known.clone());
            ASKED.with_borrow_mut(|all| all.push(asked));
        }
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let finding = Finding::error(format!("unknown key `{}`", entry.key)).at(reader.text, entry.at);
            let finding = match nearest(&entry.key, self.known.iter().copied()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("known here: {}", self.known.join(", "))),
            };
            reader.report.push(finding);
        }
    }
}

impl Reader<'_> {
    pub fn origin(&self, span: Span) -> Origin {
        Origin { file: self.text.path.clone(), line: self.text.line(span.start) }
    }

    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Finding::error(message), span);
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Finding::warning(message), span);
    }

    pub fn push(&mut self, finding: Finding, span: Span) {
        self.report.push(finding.at(self.text, span));
    }

    /// Remembers that `name` must exist.
    pub fn refers(&mut self, ask: Ask, name: &str, span: Span) {
        self.references.wanted.push((ask, name.to_owned(), self.text.clone(), span));
    }

    /// Remembers that `name` exists; a second time is an error.
    pub fn declares(&mut self, ask: Ask, name: &str, span: Span) {
        let origin = self.origin(span);
        match self.references.declared.entry((ask, name.to_owned())) {
            btree_map::Entry::Vacant(entry) => {
                entry.insert(origin);
            }
            btree_map::Entry::Occupied(first) => {
                let note = format!("the first is at {}", first.get());
                let message = match ask {
                    Ask::Certificate | Ask::KeyHash | Ask::TokenRule => format!("a second {}", ask.word()),
                    _ => format!("a second {} `{name}`", ask.word()),
                };
                self.push(Finding::error(message).note(note), span);
            }
        }
    }

    /// A map, each key once.
    pub fn map<'n>(&mut self, node: &'n Node) -> Option<&'n [Entry]> {
        let Kind::Map(entries) = &node.kind else {
            self.error(node.span, "expected a map of keys and values");
            return None;
        };
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for entry in entries {
            if let Some(first) = seen.insert(&entry.key, entry.at) {
                let note = format!("the first is in line {}", self.text.line(first.start));
                self.push(Finding::error(format!("`{}` stands here twice", entry.key)).note(note), entry.at);
            }
        }
        Some(entries)
    }

    /// A map whose keys are known; `at` is shown when one is missing.
    pub fn fields<'n>(&mut self, node: &'n Node, at: Span) -> Option<Fields<'n>> {
        let entries = self.map(node)?;
        Some(Fields { at, entries, known: Vec::new() })
    }

    /// A list, each item read.
    pub fn list<'n, T>(
        &mut self,
        node: &'n Node,
        mut read: impl FnMut(&mut Self, &'n Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Kind::List(items) = &node.kind else {
            self.error(node.span, "expected a list");
            return None;
        };
        if items.len() > LIST_MAX {
            self.error(node.span, format!("more than {LIST_MAX} items"));
            return None;
        }
        Some(items.iter().filter_map(|item| read(self, item)).collect())
    }

    /// A list of at least one item.
    pub fn some<'n, T>(
        &mut self,
        node: &'n Node,
        read: impl FnMut(&mut Self, &'n Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            self.error(node.span, "expected at least one item");
            return None;
        }
        self.list(node, read)
    }

    /// A scalar as it was written.
    pub fn scalar<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Null | Kind::List(_) | Kind::Map(_) => {
                self.error(node.span, "expected a single value");
                None
            }
        }
    }

    /// A text that is not empty, of at most `max` bytes.
    pub fn short(&mut self, node: &Node, max: usize) -> Option<String> {
        let text = self.scalar(node)?;
        if text.trim().is_empty() || text.len() > max || text.chars().any(char::is_control) {
            self.error(node.span, format!("expected a text of 1 to {max} bytes without control characters"));
            return None;
        }
        Some(text.to_owned())
    }

    /// A text of ordinary length.
    pub fn string(&mut self, node: &Node) -> Option<String> {
        self.short(node, 256)
    }

    /// A scalar that `parse` understands; its error is shown under the caret.
    pub fn parsed<T, E: Display>(
        &mut self,
        node: &Node,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.scalar(node)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(node.span, error.to_string());
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, node: &Node, from: u32, to: u32) -> Option<u32> {
        self.parsed(node, |text| match text.parse::<u32>() {
            Ok(number) if (from..=to).contains(&number) => Ok(number),
            _ => Err(format!("expected a whole number from {from} to {to}")),
        })
    }

    /// A boolean, as YAML 1.2 has it.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        self.parsed(node, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("expected `true` or `false`"),
        })
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.scalar(node)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let finding = Finding::error(format!("`{}` is none of: {}", clip(text), known.join(", ")));
        self.push(finding.did_you_mean(text, known), node.span);
        None
    }

    /// A place where a secret is kept; the secret itself is refused and not repeated.
    pub fn secret(&mut self, node: &Node) -> Option<SecretRef> {
        let text = self.scalar(node)?;
        match reference(text) {
            Some(reference) => Some(reference),
            None => {
                let finding = Finding::error("a secret must not stand in a policy file")
                    .label("expected `env:NAME` or `file:PATH`")
                    .help("put it into the environment or a file of mode 0600, replace it at its owner, and name it here");
                self.hidden(finding, node.span);
                None
            }
        }
    }

    /// Reports at a line without showing it, because a secret may stand in it.
    pub fn hidden(&mut self, finding: Finding, span: Span) {
        let mut finding = finding.at(self.text, span);
        if let Some(place) = &mut finding.place {
            place.excerpt.clear();
        }
        // Two rules may see the same secret; one sentence about it is enough.
        let told = |other: &Finding| other.place == finding.place && other.place.is_some();
        if self.report.findings.iter().any(told) {
            return;
        }
        self.report.push(finding);
    }

    /// A value that may come from the environment: text, `env:NAME`, or `{ env: NAME, default: … }`.
    pub fn setting(&mut self, node: &Node) -> Option<Setting> {
        if matches!(node.kind, Kind::Map(_)) {
            let mut fields = self.fields(node, node.span)?;
            let name = fields.required(self, "env", |reader, node| {
                reader.parsed(node, |text| {
                    variable(text).ok_or("expected the name of a variable, such as `ACME_WMS_URL`")
                })
            });
            let default = fields.optional(self, "default", |reader, node| reader.short(node, 2048));
            fields.end(self);
            return Some(Setting::Env { name: name?, default });
        }
        let text = self.short(node, 2048)?;
        match text.strip_prefix("env:") {
            None => Some(Setting::Text(text)),
            Some(name) => match variable(name) {
                Some(name) => Some(Setting::Env { name, default: None }),
                None => {
                    self.error(
                        node.span,
                        "expected `env:` and the name of a variable, such as `env:ACME_WMS_URL`",
                    );
                    None
                }
            },
        }
    }

    /// A value that must be a URL wherever it is known.
    pub fn url(&mut self, node: &Node) -> Option<Setting> {
        let setting = self.setting(node)?;
        let known = match &setting {
            Setting::Text(text) | Setting::Env { default: Some(text), .. } => text,
            Setting::Env { default: None, .. } => return Some(setting),
        };
        match check_url(known) {
            Ok(()) => Some(setting),
            Err(what) => {
                self.error(node.span, what);
                None
            }
        }
    }

    /// Reports secrets that stand anywhere in the file, whatever its kind.
    pub fn secrets_within(&mut self, node: &Node, key: &str) {
        match &node.kind {
            Kind::Map(entries) => {
                // Whoever signs mappers is known by a public key, which looks like any other.
                let public = |entry: &&Entry| key == "mappers" && entry.key == "keys";
                let entries = entries.iter().filter(|entry| !public(entry));
                entries.for_each(|entry| self.secrets_within(&entry.value, &entry.key));
            }
            Kind::List(items) => items.iter().for_each(|item| self.secrets_within(item, key)),
            Kind::Scalar { text, .. } => {
                let named = names_a_secret(key) && reference(text).is_none() && text.len() >= 8;
                if looks_secret(text) || named && looks_random(text) {
                    let finding = Finding::error("this looks like a secret, and secrets must not stand in policy files")
                        .help("name the place where it is kept: `env:NAME` or `file:PATH`; and replace it at its owner");
                    self.hidden(finding, node.span);
                }
            }
            Kind::Null => {}
        }
    }
}

/// `env:NAME` or `file:PATH`.
fn reference(text: &str) -> Option<SecretRef> {
    if let Some(name) = text.strip_prefix("env:") {
        return variable(name).map(SecretRef::Env);
    }
    let path = text.strip_prefix("file:")?;
    (!path.is_empty() && path.len() <= 1024 && !path.contains('\0')).then(|| SecretRef::File(path.into()))
}

fn variable(text: &str) -> Option<String> {
    let fine = text.len() <= 128
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    fine.then(|| text.to_owned())
}

/// Letters and digits mixed, as no word of prose is.
fn looks_random(text: &str) -> bool {
    !text.contains(char::is_whitespace)
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether `text` is a URL that the gateway may call: http or https, with a host, without a user.
fn check_url(text: &str) -> Result<(), String> {
    let wrong = |what: &str| format!("not a URL to call: {what}");
    let url: http::Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("it must begin with `https://` or `http://`")),
    }
    match url.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err(wrong("a user or password in it would be shown; use `credentials`"))
        }
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => Err(wrong("it names no host")),
    }
}

/// The beginning of a text, for a message.
pub(super) fn clip(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
