//! The one canonical form of an event's data (RFC 8785), with the moments of its local times worked out.

use serde_json::{Map, Value};

use super::{FAULTS_MAX, fault, moment};
use crate::words::{
    Diagnostic,
    json::{Kind, Members, Node},
};

/// Largest integer that a JSON number carries exactly (RFC 8785 writes numbers as doubles).
const EXACT_MAX: u64 = (1 << 53) - 1;

/// Writes data that is by its schema; `length` is that of its text.
///
/// # Errors
/// A time that is none, or a number that a reader would change: everything that is wrong.
pub(super) fn of(data: Node<'_>, length: usize, zone: Option<&str>) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let mut settling = Settling { zone, faults: Vec::new(), settled: Vec::new(), plain: true };
    settling.settle(data, &Trail::Top, false);
    let Settling { faults, settled, plain, .. } = settling;
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut writing = Writing { text: Vec::with_capacity(length + length / 8), settled };
    let written = writing.write(data).and_then(|()| match plain {
        true => Ok(writing.text),
        false => serde_json_canonicalizer::to_vec(&serde_json::from_slice::<Value>(&writing.text)?),
    });
    written.map_err(|error| vec![fault("not-canonical", "", error.to_string())])
}

/// Works out the moment of every local time whose zone is known, and refuses numbers that would change.
/// The data is by its schema here, so outside `extensions` only a time has a `basis`.
struct Settling<'a> {
    zone: Option<&'a str>,
    faults: Vec<Diagnostic>,
    /// Times that became others, by their index in the tree, which rises.
    settled: Vec<(u32, Map<String, Value>)>,
    /// Whether it is canonical once every object is in the order of its keys: RFC 8785 writes fractions its own way
    /// and orders keys beyond ASCII by other units.
    plain: bool,
}

/// The way from the top to a value; its text is needed only where something is wrong.
enum Trail<'a> {
    Top,
    Member(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl Settling<'_> {
    fn settle(&mut self, value: Node<'_>, at: &Trail<'_>, vendor: bool) {
        if self.faults.len() >= FAULTS_MAX {
            return;
        }
        match value.kind() {
            Kind::Object(members) => {
                if !vendor {
                    self.settle_time(value, members, at);
                }
                for (name, member) in members {
                    self.plain &= name.is_ascii();
                    self.settle(member, &Trail::Member(at, name), vendor || name == "extensions");
                }
            }
            Kind::List(items) => {
                for (index, item) in items.enumerate() {
                    self.settle(item, &Trail::Item(at, index), vendor);
                }
            }
            Kind::Number(number) => {
                let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
                self.plain &= size.is_some();
                if size.is_some_and(|size| size > EXACT_MAX) {
                    let message = "a JSON number does not carry so many digits exactly; write it as text";
                    self.faults.push(fault("inexact-number", &at.pointer(), message.to_owned()));
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Text(_) => {}
        }
    }

    fn settle_time(&mut self, value: Node<'_>, members: Members<'_>, at: &Trail<'_>) {
        let Some(basis) = members.get("basis") else { return };
        // What the source gave with its offset needs no working out.
        if basis.text() == Some("offset") {
            return;
        }
        let mut time = members.to_map();
        match moment::settle(&mut time, self.zone) {
            Ok(()) => self.settled.push((value.index(), time)),
            Err(message) => self.faults.push(fault("time", &at.pointer(), message)),
        }
    }
}

impl Trail<'_> {
    /// As a JSON Pointer (RFC 6901).
    fn pointer(&self) -> String {
        match self {
            Self::Top => String::new(),
            Self::Member(above, name) => {
                format!("{}/{}", above.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Item(above, index) => format!("{}/{index}", above.pointer()),
        }
    }
}

/// Writes values without spaces, every object in the order of its keys.
struct Writing {
    text: Vec<u8>,
    settled: Vec<(u32, Map<String, Value>)>,
}

impl Writing {
    fn write(&mut self, value: Node<'_>) -> Result<(), serde_json::Error> {
        match value.kind() {
            Kind::Null => self.text.extend_from_slice(b"null"),
            Kind::Bool(value) => self.text.extend_from_slice(if value { b"true" } else { b"false" }),
            Kind::Number(number) => serde_json::to_writer(&mut self.text, number)?,
            Kind::Text(text) => self.write_text(text)?,
            Kind::List(items) => {
                let mut before = b'[';
                for item in items {
                    self.text.push(before);
                    self.write(item)?;
                    before = b',';
                }
                self.close(before, *b"[]");
            }
            Kind::Object(members) => match self.settled_at(value) {
                Some(time) => serde_json::to_writer(&mut self.text, &self.settled[time].1)?,
                None => self.write_object(members)?,
            },
        }
        Ok(())
    }

    fn settled_at(&self, value: Node<'_>) -> Option<usize> {
        self.settled.binary_search_by_key(&value.index(), |(index, _)| *index).ok()
    }

    fn write_object(&mut self, members: Members<'_>) -> Result<(), serde_json::Error> {
        let mut before = b'{';
        let mut write = |writing: &mut Self, (name, value): (&str, Node<'_>)| {
            writing.text.push(before);
            before = b',';
            writing.write_text(name)?;
            writing.text.push(b':');
            writing.write(value)
        };
        // Mappers that write in order are the rule, and need no second list.
        if members.is_sorted_by_key(|(name, _)| name) {
            for member in members {
                write(self, member)?;
            }
        } else {
            let mut members: Vec<_> = members.collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for member in members {
                write(self, member)?;
            }
        }
        self.close(before, *b"{}");
        Ok(())
    }

    fn close(&mut self, before: u8, [open, close]: [u8; 2]) {
        if before == open {
            self.text.push(open);
        }
        self.text.push(close);
    }

    fn write_text(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let is_escaped = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\');
        if text.bytes().any(is_escaped) {
            return serde_json::to_writer(&mut self.text, text);
        }
        self.text.push(b'"');
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b'"');
        Ok(())
    }
}
