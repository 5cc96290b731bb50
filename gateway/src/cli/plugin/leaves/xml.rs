//! The texts and attributes of XML.

use std::{collections::BTreeMap, ops::Range};

use super::{Form, Leaf, MOST, readable};

/// Deepest nesting that is followed.
const DEEPEST: usize = 256;

pub(super) fn find(content: &[u8]) -> Vec<Leaf> {
    let mut reader = Reader { content, found: Vec::new(), open: Vec::new() };
    let mut at = 0;
    while at < content.len() && reader.found.len() <= MOST {
        match reader.step(at) {
            Some(next) => at = next,
            None => break,
        }
    }
    reader.found
}

/// What a text says; none where it refers to something that only a document type would tell.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'&') {
        decoded.extend_from_slice(&rest[..at]);
        let end = rest[at..].iter().position(|byte| *byte == b';')? + at;
        let name = std::str::from_utf8(&rest[at + 1..end]).ok()?;
        let letter = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            name => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        };
        decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[end + 1..];
    }
    decoded.extend_from_slice(rest);
    Some(decoded)
}

/// A value as the text of an element or an attribute.
pub(super) fn encode(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'&' => text.extend_from_slice(b"&amp;"),
            b'<' => text.extend_from_slice(b"&lt;"),
            b'>' => text.extend_from_slice(b"&gt;"),
            b'"' => text.extend_from_slice(b"&quot;"),
            b'\'' => text.extend_from_slice(b"&apos;"),
            other => text.push(*other),
        }
    }
    text
}

struct Open {
    path: String,
    kind: String,
    /// How often each child came.
    children: BTreeMap<String, usize>,
}

struct Reader<'a> {
    content: &'a [u8],
    found: Vec<Leaf>,
    open: Vec<Open>,
}

impl Reader<'_> {
    fn after(&self, from: usize, end: &[u8]) -> Option<usize> {
        let rest = self.content.get(from..)?;
        let at = rest.windows(end.len()).position(|window| window == end)?;
        Some(from + at + end.len())
    }

    /// Reads what begins here; where the next begins. None where it is no XML.
    fn step(&mut self, at: usize) -> Option<usize> {
        let rest = &self.content[at..];
        if rest.starts_with(b"<!--") {
            self.after(at + 4, b"-->")
        } else if rest.starts_with(b"<![CDATA[") {
            let end = self.after(at + 9, b"]]>")?;
            self.text(at + 9..end - 3, Form::Raw);
            Some(end)
        } else if rest.starts_with(b"<?") {
            self.after(at, b"?>")
        } else if rest.starts_with(b"<!") {
            // An internal subset has marks of its own; without one the next `>` is the end.
            let end = self.after(at, b">")?;
            if self.content[at..end].contains(&b'[') { self.after(at, b"]>") } else { Some(end) }
        } else if rest.starts_with(b"</") {
            self.open.pop();
            self.after(at, b">")
        } else if rest.starts_with(b"<") {
            self.element(at)
        } else {
            let end = at + rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
            self.text(at..end, Form::Xml);
            Some(end)
        }
    }

    fn text(&mut self, range: Range<usize>, form: Form) {
        let Some(open) = self.open.last() else { return };
        let bytes = &self.content[range.clone()];
        let blanks = bytes.len() - bytes.trim_ascii_start().len();
        let start = range.start + blanks;
        let (path, kind) = (open.path.clone(), open.kind.clone());
        self.leaf(path, kind, start..start + bytes.trim_ascii().len(), form);
    }

    fn leaf(&mut self, path: String, kind: String, range: Range<usize>, form: Form) {
        let bytes = &self.content[range.clone()];
        if bytes.trim_ascii().is_empty() {
            return;
        }
        let value = match form {
            Form::Xml => decode(bytes).map_or_else(|| readable(bytes), |text| readable(&text)),
            _ => readable(bytes),
        };
        self.found.push(Leaf { scheme: "xpath", path, range, value, kind, group: None, form });
    }

    fn element(&mut self, start: usize) -> Option<usize> {
        if self.open.len() >= DEEPEST {
            return None;
        }
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'=');
        let word =
            |from: usize| -> Option<usize> { Some(from + self.content.get(from..)?.iter().position(ends)?) };
        let mut at = word(start + 1)?;
        let name = readable(&self.content[start + 1..at]);
        let (path, kind) = match self.open.last_mut() {
            None => (format!("/{name}"), format!("/{name}")),
            Some(parent) => {
                let count = parent.children.entry(name.clone()).or_default();
                *count += 1;
                (format!("{}/{name}[{count}]", parent.path), format!("{}/{name}", parent.kind))
            }
        };
        let mut attributes = Vec::new();
        loop {
            match self.content.get(at)? {
                b'>' => {
                    self.open.push(Open {
                        path: path.clone(),
                        kind: kind.clone(),
                        children: BTreeMap::new(),
                    });
                    break;
                }
                b'/' if self.content.get(at + 1) == Some(&b'>') => {
                    at += 1;
                    break;
                }
                byte if byte.is_ascii_whitespace() => at += 1,
                _ => {
                    let end = word(at)?;
                    let name = readable(&self.content[at..end]);
                    let rest = self.content.get(end..)?;
                    let quote = end + rest.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
                    let close = self.content.get(quote + 1..)?;
                    let close = quote + 1 + close.iter().position(|byte| *byte == self.content[quote])?;
                    attributes.push((name, quote + 1..close));
                    at = close + 1;
                }
            }
        }
        for (name, range) in attributes {
            // Names of namespaces belong to the form of the document, not to what it says.
            if name != "xmlns" && !name.starts_with("xmlns:") {
                self.leaf(format!("{path}/@{name}"), format!("{kind}/@{name}"), range, Form::Xml);
            }
        }
        Some(at + 1)
    }
}
