//! Segments while they are put together, and the XML that they become.

use crossdock_mapper::{
    Diagnostic, Location, Severity, log,
    serde_json::{Map, Value},
};

use crate::{encoding::excerpt, layout};

/// Segments within each other that are passed on.
const DEEPEST: usize = 8;

/// Segments and the fields by which one of several is found again.
pub type Keys = [(&'static str, &'static [&'static str])];

/// A segment: its fields, and the segments in it.
pub struct Segment {
    name: String,
    /// Where in the event it comes from, as a JSON Pointer.
    from: String,
    fields: Vec<(String, String)>,
    segments: Vec<Segment>,
}

impl Segment {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), from: String::new(), fields: Vec::new(), segments: Vec::new() }
    }

    /// The same, of this part of the event.
    pub fn from(name: &str, from: impl Into<String>) -> Self {
        Self { from: from.into(), ..Self::new(name) }
    }

    /// Sets a field; nothing where there is nothing to say, and nothing twice.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.trim().is_empty() && self.get(name).is_empty() {
            self.fields.push((name.to_owned(), value));
        }
    }

    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn put(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    /// The segment in it of that name whose field has that value; it is made where it is not there.
    pub fn keyed(&mut self, name: &str, key: &str, value: &str) -> &mut Segment {
        let found =
            self.segments.iter().position(|segment| segment.name == name && segment.get(key) == value);
        let at = found.unwrap_or_else(|| {
            let mut segment = Segment::from(name, self.from.as_str());
            segment.set(key, value);
            self.segments.push(segment);
            self.segments.len() - 1
        });
        &mut self.segments[at]
    }

    /// Puts back what the reader of IDocs kept under SAP's own names. Fields that are set stay as they are. Segments that
    /// have a key are completed where they are there; `skip` says which others are not wanted.
    pub fn complete(&mut self, kept: &Map<String, Value>, keys: &Keys, skip: &[&str]) {
        self.complete_to(kept, keys, skip, DEEPEST);
    }

    fn complete_to(&mut self, kept: &Map<String, Value>, keys: &Keys, skip: &[&str], depth: usize) {
        let wanted = |name: &str| {
            // `_-` is a slash in a name of SAP.
            let letters =
                |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
            let named = (1..=30).contains(&name.len())
                && name.bytes().all(letters)
                && !name.starts_with(|first: char| first.is_ascii_digit() || first == '-');
            named && !skip.contains(&name)
        };
        for (name, value) in kept.iter().filter(|(name, _)| depth > 0 && wanted(name)) {
            let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
            let there = !self.get(name).is_empty();
            for value in values {
                match value {
                    // A vendor's segment may repeat a field.
                    Value::String(text) if !there => self.fields.push((name.clone(), text.clone())),
                    Value::Object(kept) => {
                        let found = keys.iter().find(|(segment, _)| segment == name).and_then(|(_, keys)| {
                            self.segments.iter().position(|known| known.name == *name && known.is(kept, keys))
                        });
                        let at = found.unwrap_or_else(|| {
                            self.segments.push(Segment::from(name, self.from.as_str()));
                            self.segments.len() - 1
                        });
                        self.segments[at].complete_to(kept, keys, &[], depth - 1);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Is it the one that was kept? It is where the keys agree that were kept with it.
    fn is(&self, kept: &Map<String, Value>, keys: &[&str]) -> bool {
        let mut stated = keys.iter().filter_map(|key| Some((key, kept.get(*key)?.as_str()?))).peekable();
        stated.peek().is_some() && stated.all(|(key, value)| self.get(key) == value)
    }

    /// The document of a basic type with one IDoc.
    pub fn document(mut self, kind: &str) -> Result<String, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        self.check(&mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{kind}>\n");
        self.write(&mut out, 1);
        out.push_str(&format!("</{kind}>\n"));
        Ok(out)
    }

    /// Brings everything into SAP's order and to its lengths. A number, code, name or address that is too long would be
    /// another one; a description says the same without its end.
    fn check(&mut self, wrong: &mut Vec<Diagnostic>) {
        let layout = layout::of(&self.name);
        let place = |name: &str| layout.iter().position(|(known, _)| *known == name).unwrap_or(layout.len());
        self.fields.sort_by_key(|(name, _)| place(name));
        self.segments.sort_by_key(|segment| place(&segment.name));
        for (name, value) in &mut self.fields {
            let Some((_, most)) = layout.get(place(name)) else { continue };
            let letters = value.chars().count();
            if letters <= *most {
                continue;
            }
            let at = format!("{}{}", self.from, layout::member(name));
            let what =
                format!("{}-{name} has {most} letters; `{}` has {letters}", self.name, excerpt(value, 60));
            if layout::DESCRIPTIONS.contains(&name.as_str()) {
                log::write(Severity::Warning, &format!("{what}: its end is left out, {at}"));
                *value = value.chars().take(*most).collect::<String>().trim_end().to_owned();
            } else if wrong.len() < 100 {
                wrong.push(Diagnostic::error("too-long", what).at(Location::json_pointer(at)));
            }
        }
        self.segments.iter_mut().for_each(|segment| segment.check(wrong));
    }

    fn write(&self, out: &mut String, depth: usize) {
        let attribute = if self.name == "IDOC" { "BEGIN" } else { "SEGMENT" };
        indent(out, depth);
        out.push_str(&format!("<{} {attribute}=\"1\">\n", self.name));
        for (name, value) in &self.fields {
            indent(out, depth + 1);
            out.push_str(&format!("<{name}>"));
            for letter in value.chars() {
                match letter {
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '&' => out.push_str("&amp;"),
                    // XML 1.0 has no place for them, and SAP's fields none for line breaks.
                    letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                        out.push(' ')
                    }
                    letter => out.push(letter),
                }
            }
            out.push_str(&format!("</{name}>\n"));
        }
        self.segments.iter().for_each(|segment| segment.write(out, depth + 1));
        indent(out, depth);
        out.push_str(&format!("</{}>\n", self.name));
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}
