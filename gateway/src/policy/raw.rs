//! A YAML file as a tree that keeps every place: as close to the text as possible, nothing judged but syntax.
//!
//! It is read in one go through serde into [`Loose`] and then given the text of its scalars as they were
//! written (`0012` stays `0012`), because a number's look is lost on the way.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

/// Depth of a file: the deepest legitimate place is a mapper's configuration.
const DEPTH_MAX: usize = 32;
/// Nodes of a file.
const NODES_MAX: usize = 200_000;
/// Events that aliases may repeat: enough to share a list of scopes, too few for a bomb.
const ALIAS_EVENTS_MAX: usize = 10_000;

/// A file's text with the places of its lines.
#[derive(Debug)]
pub struct Text {
    /// Path in the policy folder.
    pub path: Arc<str>,
    /// The whole text.
    pub text: String,
    lines: Vec<usize>,
}

impl Text {
    /// Finds the lines.
    pub fn new(path: Arc<str>, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { path, text, lines }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }

    /// The first byte of a line and its text without the line break.
    pub fn line_text(&self, line: usize) -> (usize, &str) {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        (start, self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r']))
    }
}

/// Bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: usize,
    /// After the last.
    pub end: usize,
}

impl Span {
    /// From the beginning of this to the end of `other`.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.end) }
    }
}

/// A value and its place.
#[derive(Debug)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Its place.
    pub span: Span,
}

/// A value.
#[derive(Debug)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, with what YAML 1.2 takes it for.
    Scalar {
        /// As written, quotes resolved.
        text: String,
        /// A string, a number or a boolean.
        json: serde_json::Value,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file. A key may be there twice: the reader says so.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its place.
    pub at: Span,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// Key and value.
    pub fn span(&self) -> Span {
        self.at.to(self.value.span)
    }
}

impl Node {
    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Scalar { json, .. } => json.clone(),
            Kind::List(items) => items.iter().map(Node::json).collect(),
            Kind::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect()
            }
        }
    }
}

/// A file that is not YAML, or more of it than a policy needs.
#[derive(Debug)]
pub struct SyntaxError {
    /// What.
    pub message: String,
    /// Where, if known.
    pub at: Option<Span>,
}

/// Reads a file's text.
///
/// # Errors
/// It is not YAML, uses tags or merge keys, or is deeper or larger than a policy file may be.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 1,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_EVENTS_MAX,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Loose>>(text, options) {
        Ok(loose) => Ok(loose_to_node(loose, text)),
        Err(error) => {
            let at = error.location().map(|location| error_span(location, text));
            Err(in_our_words(first_sentence(&error.without_snippet().render()), at, text))
        }
    }
}

/// Reads a file that is no policy as JSON, whichever of the two it is.
///
/// # Errors
/// It is neither.
pub fn yaml_or_json(text: &str) -> Result<serde_json::Value, String> {
    if text.trim_start().starts_with(['{', '[']) {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    parse(text).map(|node| node.json()).map_err(|error| error.message)
}

/// What the parser says of its own bounds, and of tabs, as somebody understands it who has only the file.
fn in_our_words(said: String, at: Option<Span>, text: &str) -> SyntaxError {
    if (said.contains("found a tab") || said.starts_with("tabs disallowed"))
        && let Some(tab) = indenting_tab(text)
    {
        let message = "a tab indents this line; YAML takes spaces only".to_owned();
        return SyntaxError { message, at: Some(Span { start: tab, end: tab + 1 }) };
    }
    let message = if said.starts_with("budget breached: Documents") {
        "a second document begins here; a file holds one".to_owned()
    } else if said.starts_with("alias replay limit exceeded") {
        format!("the aliases of this file repeat more than {ALIAS_EVENTS_MAX} values")
    } else {
        said
    };
    SyntaxError { message, at }
}

/// The first tab that stands before anything else in its line.
fn indenting_tab(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

/// What the parser says, without its own line and column: the report shows those.
fn first_sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or("not YAML");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = match line.find(" at line ") {
        Some(at) => &line[..at],
        None => line,
    };
    let line = match (line.strip_prefix("line "), line.find(": ")) {
        (Some(_), Some(at)) => &line[at + 2..],
        _ => line,
    };
    line.trim().to_owned()
}

/// The place of an error, which comes with a line and a column and not always with bytes.
fn error_span(location: Location, text: &str) -> Span {
    let whole = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let Some(line) = text.split_inclusive('\n').nth(whole(location.line()).saturating_sub(1)) else {
        return Span { start: text.len(), end: text.len() };
    };
    let before: usize =
        line.chars().take(whole(location.column()).saturating_sub(1)).map(char::len_utf8).sum();
    // The lines are slices of the text, so their distance from its beginning is a place in it.
    let start = line.as_ptr() as usize - text.as_ptr() as usize + before;
    Span { start, end: start }
}

fn span(location: Location, text: &str) -> Span {
    let place = location.span();
    let byte = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
    let start = byte(place.byte_offset()).min(text.len());
    let end = start.saturating_add(byte(place.byte_len())).min(text.len());
    Span { start, end }
}

fn loose_to_node(loose: Spanned<Loose>, text: &str) -> Node {
    let span_here = span(loose.referenced, text);
    let written = || {
        let place = span(loose.defined, text);
        text.get(place.start..place.end).unwrap_or("").trim().to_owned()
    };
    let kind = match loose.value {
        Loose::Null => Kind::Null,
        Loose::Plain(json) => Kind::Scalar { text: written(), json },
        Loose::Text(text) => Kind::Scalar { json: text.clone().into(), text },
        Loose::List(items) => Kind::List(items.into_iter().map(|item| loose_to_node(item, text)).collect()),
        Loose::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    at: span(key.referenced, text),
                    key: key.value,
                    value: loose_to_node(value, text),
                })
                .collect(),
        ),
    };
    Node { kind, span: span_here }
}

/// What serde hands over: typed, without the look of numbers.
enum Loose {
    Null,
    Plain(serde_json::Value),
    Text(String),
    List(Vec<Spanned<Loose>>),
    Map(Vec<(Spanned<String>, Spanned<Loose>)>),
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Loose, E> {
        Ok(Loose::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Loose, E> {
        Ok(Loose::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Loose, E> {
        Ok(Loose::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Loose, E> {
        Ok(Loose::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Loose::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Loose, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            list.push(entry);
        }
        Ok(Loose::Map(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> &[Entry] {
        match &node.kind {
            Kind::Map(entries) => entries,
            other => panic!("{other:?} is not a map"),
        }
    }

    #[test]
    fn scalars_keep_their_look_and_every_place() {
        let text = "# è\na: 0012\nb: 1_000\nc: yes\nd: {e: 1.50, f: \"q\\n\"}\ng:\n  - 2026-10-01\nh:\n";
        let node = parse(text).unwrap();
        let seen: Vec<(String, String, &str)> = entries(&node)
            .iter()
            .map(|entry| {
                let look = match &entry.value.kind {
                    Kind::Scalar { text, json } => format!("{text}={json}"),
                    other => format!("{}", matches!(other, Kind::Null)),
                };
                (entry.key.clone(), look, &text[entry.at.start..entry.at.end])
            })
            .collect();
        let expected = [
            ("a", "0012=\"0012\"", "a"),
            ("b", "1_000=\"1_000\"", "b"),
            ("c", "yes=\"yes\"", "c"),
            ("d", "false", "d"),
            ("g", "false", "g"),
            ("h", "true", "h"),
        ];
        assert_eq!(seen, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c)));
        let inner = entries(&entries(&node)[3].value);
        assert_eq!(&text[inner[0].value.span.start..inner[0].value.span.end], "1.50");
        assert!(matches!(&inner[0].value.kind, Kind::Scalar { text, .. } if text == "1.50"));
        assert!(matches!(&inner[1].value.kind, Kind::Scalar { text, .. } if text == "q\n"));
    }

    #[test]
    fn repeated_keys_are_both_kept_for_the_reader() {
        let node = parse("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(
            entries(&node).iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(),
            ["a", "b", "a"]
        );
    }

    #[test]
    fn bombs_and_oddities_are_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let previous = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        for text in [
            &deep,
            &bomb,
            "a: !!python/object x",
            "a: 1\n<<: {b: 2}",
            "---\na: 1\n---\nb: 2",
            "a: [",
            "a: &a [*a]",
        ] {
            assert!(parse(text).is_err(), "{text:.60}");
        }
    }

    #[test]
    fn a_syntax_error_knows_its_line() {
        let text = "é: [1\nb: 2\n";
        let at = parse(text).unwrap_err().at.unwrap();
        assert_eq!(&text[at.start..=at.start], ":", "{at:?}");
        assert_eq!(parse("a: [").unwrap_err().at.unwrap().start, 3);
    }

    #[test]
    fn lines_are_found_from_bytes() {
        let text = Text::new("x".into(), "one\r\ntwo\n\nfour".to_owned());
        assert_eq!([0, 3, 5, 8, 9, 10, 99].map(|at| text.line(at)), [1, 1, 2, 2, 3, 4, 4]);
        assert_eq!(text.line_text(1), (0, "one"));
        assert_eq!(text.line_text(4), (10, "four"));
        assert_eq!(text.line_text(9), (14, ""));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c:{}\\[\\]\\-&*!|>\"'# \n\t0-9é\u{1F511}]{0,200}") {
            if let Ok(node) = parse(&text) {
                let _ = node.json();
            }
        }
    }

    #[test]
    fn a_tab_is_pointed_at_where_it_stands() {
        let text = "api: x\nversions:\n  v1:\n\tstate: active\n";
        let error = parse(text).unwrap_err();
        assert_eq!(error.message, "a tab indents this line; YAML takes spaces only");
        assert_eq!(error.at.map(|at| at.start), text.find('\t'));
    }

    #[test]
    fn bounds_are_told_without_the_words_of_the_parser() {
        let two = parse("api: x\n---\napi: y\n").unwrap_err();
        assert_eq!(two.message, "a second document begins here; a file holds one");
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")] {
            bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(","));
        }
        let bomb = parse(&bomb).unwrap_err();
        assert_eq!(
            bomb.message,
            format!("the aliases of this file repeat more than {ALIAS_EVENTS_MAX} values")
        );
    }
}
