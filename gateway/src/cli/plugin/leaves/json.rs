//! The texts, numbers and truths of JSON, one value or several after each other.

use std::ops::Range;

use super::{Form, Leaf, MOST};

/// Deepest nesting that is followed; the gateway's own bound is lower.
const DEEPEST: usize = 128;

pub(super) fn find(content: &[u8]) -> Vec<Leaf> {
    let start = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut reader = Reader { content, at: start, found: Vec::new(), keeps: true };
    let (mut number, mut first) = (0, 0);
    // Of JSON lines each is named by its number, as an array's items are; one value alone by nothing.
    while reader.blanks().is_some() && reader.found.len() < MOST {
        let path = if number == 0 { String::new() } else { format!("/{number}") };
        if reader.value(&path, "", 0).is_none() {
            break;
        }
        if number == 0 {
            first = reader.found.len();
        }
        number += 1;
    }
    if number > 1 {
        for leaf in &mut reader.found[..first] {
            leaf.path.insert_str(0, "/0");
        }
    }
    reader.found
}

/// A value as a JSON text; none if it is no text.
pub(super) fn text(value: &[u8]) -> Option<Vec<u8>> {
    serde_json::to_vec(std::str::from_utf8(value).ok()?).ok()
}

/// Other numbers, or the other truth.
pub(super) fn other_words(word: &[u8]) -> Vec<Vec<u8>> {
    match word {
        b"true" => vec![b"false".to_vec(), b"null".to_vec()],
        b"false" => vec![b"true".to_vec(), b"null".to_vec()],
        number => {
            let is_number = |value: &Vec<u8>| serde_json::from_slice::<serde_json::Number>(value).is_ok();
            let less = std::str::from_utf8(number).ok().and_then(|text| text.parse::<i64>().ok());
            // Of `10` and `1` nothing smaller has the same digits.
            let less =
                less.and_then(|number| number.checked_sub(1)).map(|number| number.to_string().into_bytes());
            let mut found: Vec<_> = super::other::values(number).into_iter().filter(is_number).collect();
            found.extend(less.filter(|less| !found.contains(less)));
            found
        }
    }
}

/// The bytes of what a JSON Pointer names, or of the nearest value around it that is there, and whether it is it.
pub(in super::super) fn place(content: &[u8], pointer: &str) -> Option<(Range<usize>, bool)> {
    let start = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut reader = Reader { content, at: start, found: Vec::new(), keeps: false };
    reader.blanks()?;
    let mut start = reader.at;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if reader.enter(&part).is_none() {
            return Some((reader.whole(start), false));
        }
        start = reader.at;
    }
    Some((reader.whole(start), true))
}

struct Reader<'a> {
    content: &'a [u8],
    at: usize,
    found: Vec<Leaf>,
    /// Whether the values are wanted, or only where they end.
    keeps: bool,
}

impl Reader<'_> {
    /// Passes over blanks; the byte behind them.
    fn blanks(&mut self) -> Option<u8> {
        while self.content.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.content.get(self.at).copied()
    }

    /// Reads a value and what is in it; none where it is no JSON, and what was found before it counts.
    fn value(&mut self, path: &str, kind: &str, depth: usize) -> Option<()> {
        if depth > DEEPEST || self.found.len() >= MOST {
            return None;
        }
        match self.blanks()? {
            b'{' => self.members(path, kind, depth),
            b'[' => self.items(path, kind, depth),
            b'"' => {
                let start = self.at;
                let value = self.string()?;
                if !value.trim().is_empty() {
                    self.leaf(path, kind, start, value, Form::JsonText);
                }
                Some(())
            }
            _ => {
                let start = self.at;
                let rest = &self.content[start..];
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
                let word = std::str::from_utf8(&self.content[start..self.at]).ok()?;
                serde_json::from_str::<serde_json::Value>(word).ok()?;
                if word != "null" {
                    self.leaf(path, kind, start, word.to_owned(), Form::JsonWord);
                }
                Some(())
            }
        }
    }

    /// Goes to the member or item of this name in the value that begins here.
    fn enter(&mut self, name: &str) -> Option<()> {
        let begin = self.blanks()?;
        self.at += 1;
        match begin {
            b'{' => loop {
                if self.blanks()? != b'"' {
                    return None;
                }
                let found = self.string()?;
                if self.blanks()? != b':' {
                    return None;
                }
                self.at += 1;
                self.blanks()?;
                if found == name {
                    return Some(());
                }
                self.next()?;
            },
            b'[' => {
                for _ in 0..name.parse::<usize>().ok()? {
                    self.next()?;
                }
                (self.blanks()? != b']').then_some(())
            }
            _ => None,
        }
    }

    /// Passes over a value and the comma behind it; none where nothing comes after it.
    fn next(&mut self) -> Option<()> {
        self.value("", "", 0)?;
        (self.blanks()? == b',').then(|| self.at += 1)?;
        self.blanks().map(|_| ())
    }

    /// The bytes of the value that begins at `start`; of one that is cut off what is there of it.
    fn whole(&mut self, start: usize) -> Range<usize> {
        self.at = start;
        let whole = self.value("", "", 0).is_some();
        start..if whole { self.at } else { self.content.len() }
    }

    fn leaf(&mut self, path: &str, kind: &str, start: usize, value: String, form: Form) {
        if !self.keeps {
            return;
        }
        self.found.push(Leaf {
            scheme: "json-pointer",
            path: path.to_owned(),
            range: start..self.at,
            value,
            kind: kind.to_owned(),
            group: None,
            form,
        });
    }

    fn members(&mut self, path: &str, kind: &str, depth: usize) -> Option<()> {
        self.at += 1;
        if self.blanks()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.blanks()? != b'"' {
                return None;
            }
            let name = self.string()?;
            if self.blanks()? != b':' {
                return None;
            }
            self.at += 1;
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            let kind = if kind.is_empty() { name } else { format!("{kind}.{name}") };
            self.value(&path, &kind, depth + 1)?;
            match self.blanks()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn items(&mut self, path: &str, kind: &str, depth: usize) -> Option<()> {
        self.at += 1;
        if self.blanks()? == b']' {
            self.at += 1;
            return Some(());
        }
        let kind = format!("{kind}[]");
        for index in 0_usize.. {
            self.value(&format!("{path}/{index}"), &kind, depth + 1)?;
            match self.blanks()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Reads a text with its quotes, and gives what it says.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.content.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_slice(self.content.get(start..self.at)?).ok()
    }
}
