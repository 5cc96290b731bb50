//! XML as elements that know their place. No entities but the five, no document type, bounded depth and number.
//!
//! Elements lie in one list and point to each other, and a place is only spelled out when somebody asks for it:
//! work and memory grow with the document, whatever its shape.

use std::{borrow::Cow, collections::BTreeMap};

use crossdock_mapper::{Diagnostic, Location, Refusal};
use quick_xml::{
    Reader,
    events::{BytesStart, Event, attributes::AttrError},
};

use crate::encoding::{Text, excerpt};

/// Elements within each other. An IDoc has eight at most; what goes to extensions nests twice as deep, and the
/// gateway reads JSON to a depth of 64.
const DEEPEST: usize = 16;
/// Elements in all; a delivery of 5,000 items with all their fields has fewer.
const MOST: usize = 200_000;
/// Attributes of an element, and their letters in all. IDocs have one; envelopes declare some namespaces.
const MOST_ATTRIBUTES: usize = 32;
const LONGEST_ATTRIBUTES: usize = 4096;
/// SAP's names have 30 characters at most; namespaces in names make them somewhat longer.
const LONGEST_NAME: usize = 64;

/// No element.
const NONE: u32 = u32::MAX;

/// The elements of a document; the first is the root.
pub struct Document<'t> {
    elements: Vec<Element<'t>>,
    text: &'t Text<'t>,
}

struct Element<'t> {
    name: &'t str,
    /// Its own text, trimmed.
    text: Cow<'t, str>,
    parent: u32,
    /// Which it is among its siblings of one name, from one.
    nth: u32,
    first: u32,
    last: u32,
    next: u32,
    /// Its content, in bytes of the decoded text.
    start: usize,
    end: usize,
}

/// An element of a document.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    at: u32,
}

impl<'d> Node<'d> {
    fn element(self) -> &'d Element<'d> {
        &self.document.elements[self.at as usize]
    }

    /// Its name without a namespace.
    pub fn name(self) -> &'d str {
        self.element().name
    }

    /// Its own text, trimmed.
    pub fn text(self) -> &'d str {
        &self.element().text
    }

    /// The elements in it.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let some = move |at: u32| (at != NONE).then_some(Self { at, ..self });
        std::iter::successors(some(self.element().first), move |node| some(node.element().next))
    }

    /// Everything in it, in the order of the document.
    pub fn within(self) -> impl Iterator<Item = Self> {
        let count = u32::try_from(self.document.elements.len()).unwrap_or(u32::MAX);
        let end = self.element().end;
        (self.at + 1..count)
            .map(move |at| Self { at, ..self })
            .take_while(move |node| node.element().start < end)
    }

    /// The element that it stands in.
    pub fn parent(self) -> Option<Self> {
        let parent = self.element().parent;
        (parent != NONE).then_some(Self { at: parent, ..self })
    }

    /// Which it is among its siblings of one name, from one.
    pub fn nth(self) -> u32 {
        self.element().nth
    }

    /// Does it hold other elements, as a segment does?
    pub fn is_segment(self) -> bool {
        self.element().first != NONE
    }

    /// The first child of a name.
    pub fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// All children of a name.
    pub fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The text of a child, empty if it is not there.
    pub fn get(self, name: &str) -> &'d str {
        self.child(name).map_or("", Self::text)
    }

    /// The text of a child that says something.
    pub fn some(self, name: &str) -> Option<String> {
        let text = self.get(name);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The same, where zeros alone say nothing either: SAP fills numbers that are not set with them.
    pub fn set(self, name: &str) -> Option<String> {
        self.some(name).filter(|text| text.bytes().any(|byte| byte != b'0'))
    }

    /// Where it stands: `/DELVRY03/IDOC[1]/E1EDL20[1]`, and where its content is in bytes.
    pub fn place(self) -> Location {
        let element = self.element();
        let (start, end) = (self.document.text.offset(element.start), self.document.text.offset(element.end));
        Location::xpath(self.path()).bytes(start, end.saturating_sub(start))
    }

    /// Where a child stands, or would stand.
    pub fn place_of(self, name: &str) -> Location {
        self.child(name)
            .map_or_else(|| Location { path: format!("{}/{name}", self.path()), ..self.place() }, Self::place)
    }

    fn path(self) -> String {
        let element = self.element();
        match element.parent {
            NONE => format!("/{}", element.name),
            parent => format!("{}/{}[{}]", Self { at: parent, ..self }.path(), element.name, element.nth),
        }
    }
}

impl<'t> Document<'t> {
    /// Reads the root element and all that is in it.
    pub fn read(text: &'t Text<'t>) -> Result<Self, Refusal> {
        let mut reading =
            Reading { text, source: &text.text, elements: Vec::new(), open: Vec::new(), spaces: Vec::new() };
        reading.run()?;
        Ok(Self { elements: reading.elements, text })
    }

    /// The root element.
    pub fn root(&self) -> Node<'_> {
        Node { document: self, at: 0 }
    }
}

struct Reading<'t> {
    text: &'t Text<'t>,
    source: &'t str,
    elements: Vec<Element<'t>>,
    open: Vec<Open<'t>>,
    spaces: Vec<Space>,
}

/// A prefix that stands for a namespace within an element, whose depth is known.
struct Space {
    prefix: String,
    name: String,
    depth: usize,
}

/// An element that is not closed yet, and how many children of each name it has.
struct Open<'t> {
    at: u32,
    names: BTreeMap<&'t str, u32>,
}

impl<'t> Reading<'t> {
    fn run(&mut self) -> Result<(), Refusal> {
        if let Some(at) = self.source.bytes().position(is_forbidden) {
            let what = format!("the character U+{:04X} has no place in XML", self.source.as_bytes()[at]);
            return Err(self.broken(&what, at));
        }
        let mut reader = Reader::from_str(self.source);
        loop {
            let before = position(&reader);
            let event = reader.read_event().map_err(|error| self.broken(&error.to_string(), before))?;
            let after = position(&reader);
            match event {
                Event::Start(tag) => self.begin(&tag, before, after)?,
                Event::Empty(tag) => {
                    self.begin(&tag, before, after)?;
                    self.end(after);
                }
                Event::End(_) => self.end(before),
                Event::Text(part) => self.say(&self.source[before..after], &part, before)?,
                Event::CData(part) => self.say("cdata", &part, before)?,
                Event::GeneralRef(name) => {
                    let found = entity(&name);
                    let found = found.ok_or_else(|| self.unknown(&name, before))?;
                    self.say("entity", found.encode_utf8(&mut [0; 4]), before)?;
                }
                Event::DocType(_) => return Err(self.broken("a document type is not read", before)),
                Event::Decl(_) if before > 0 => {
                    let what = "the XML declaration stands behind something; it has to be the very first";
                    return Err(self.broken(what, before));
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        if let Some(open) = self.open.last() {
            let document = Document { elements: std::mem::take(&mut self.elements), text: self.text };
            let node = Node { document: &document, at: open.at };
            let what = format!("the document ends inside of {}", node.name());
            let place = Location { length: Some(0), ..node.place() };
            return Err(Diagnostic::error("cut-off", what).at(place).into());
        }
        if self.elements.is_empty() {
            return Err(self.broken("there is no element", 0));
        }
        Ok(())
    }

    fn begin(&mut self, tag: &BytesStart<'_>, before: usize, after: usize) -> Result<(), Refusal> {
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err(self.broken("a second root element begins", before));
        }
        if self.open.len() >= DEEPEST {
            return Err(self.broken(&format!("more than {DEEPEST} elements lie in each other"), before));
        }
        if self.elements.len() >= MOST {
            return Err(self.broken(&format!("there are more than {MOST} elements"), before));
        }
        // The name begins after `<`.
        let length = tag.name().as_ref().len();
        let qualified = self.source.get(before + 1..before + 1 + length).unwrap_or_default();
        let (prefix, name) = qualified.rsplit_once(':').unwrap_or(("", qualified));
        if name.len() > LONGEST_NAME {
            return Err(self.broken(&format!("a name has more than {LONGEST_NAME} letters"), before));
        }
        if !is_name(name) {
            return Err(self.broken(&format!("`{}` is no name of an element", excerpt(name, 20)), before));
        }
        self.attributes(tag, before)?;
        if !prefix.is_empty() {
            self.space(prefix, before)?;
        }
        let at = u32::try_from(self.elements.len()).expect("elements are counted above");
        let (parent, nth) = match self.open.last_mut() {
            None => (NONE, 1),
            Some(open) => {
                let count = open.names.entry(name).or_default();
                *count += 1;
                let parent = &mut self.elements[open.at as usize];
                let last = std::mem::replace(&mut parent.last, at);
                match last {
                    NONE => parent.first = at,
                    last => self.elements[last as usize].next = at,
                }
                (open.at, *count)
            }
        };
        self.elements.push(Element {
            name,
            text: Cow::Borrowed(""),
            parent,
            nth,
            first: NONE,
            last: NONE,
            next: NONE,
            start: after,
            end: after,
        });
        self.open.push(Open { at, names: BTreeMap::new() });
        Ok(())
    }

    fn end(&mut self, before: usize) {
        let Some(open) = self.open.pop() else { return };
        let element = &mut self.elements[open.at as usize];
        element.end = before.max(element.start);
        element.text = match std::mem::take(&mut element.text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        let depth = self.open.len();
        while self.spaces.pop_if(|space| space.depth > depth).is_some() {}
    }

    /// Attributes say nothing of a delivery, but they have to be XML: each once, with values that are closed, and no
    /// entities but XML's own.
    fn attributes(&mut self, tag: &BytesStart<'_>, before: usize) -> Result<(), Refusal> {
        if tag.attributes_raw().is_empty() {
            return Ok(());
        }
        if tag.attributes_raw().len() > LONGEST_ATTRIBUTES {
            return Err(
                self.broken(&format!("the attributes have more than {LONGEST_ATTRIBUTES} bytes"), before)
            );
        }
        let mut prefixed = Vec::new();
        for (attribute, count) in tag.attributes().zip(1..) {
            let attribute = attribute.map_err(|error| self.attribute(&error, before))?;
            if count > MOST_ATTRIBUTES {
                return Err(
                    self.broken(&format!("an element has more than {MOST_ATTRIBUTES} attributes"), before)
                );
            }
            if attribute.value.contains('<') {
                return Err(self.broken("`<` stands in the value of an attribute", before));
            }
            for reference in attribute.value.split('&').skip(1) {
                let name = reference.split_once(';').map_or(reference, |(name, _)| name);
                if entity(name).is_none() {
                    return Err(self.unknown(name, before));
                }
            }
            let key = attribute.key.as_ref();
            if let Some(prefix) = key.strip_prefix("xmlns:") {
                let (prefix, name) = (prefix.to_owned(), attribute.value.into_owned());
                self.spaces.push(Space { prefix, name, depth: self.open.len() + 1 });
            } else if let Some((prefix, local)) = key.split_once(':') {
                prefixed.push((prefix.to_owned(), local.to_owned()));
            }
        }
        // Two prefixes may stand for one namespace.
        let mut known = Vec::new();
        for (prefix, local) in prefixed {
            let found = (self.space(&prefix, before)?.to_owned(), local);
            if known.contains(&found) {
                let what = format!("the attribute `{}` stands twice", excerpt(&found.1, 20));
                return Err(self.broken(&what, before));
            }
            known.push(found);
        }
        Ok(())
    }

    /// What is wrong with an attribute; the reader counts from the tag's name.
    fn attribute(&self, error: &AttrError, before: usize) -> Refusal {
        let (what, at) = match error {
            AttrError::Duplicated(at, _) => ("an attribute stands twice", at),
            AttrError::UnquotedValue(at) => ("the value of an attribute has no quotes", at),
            AttrError::ExpectedQuote(at, _) => ("the value of an attribute does not end", at),
            AttrError::ExpectedEq(at) | AttrError::ExpectedValue(at) => ("an attribute has no value", at),
        };
        self.broken(what, before + 1 + at)
    }

    /// The namespace that a prefix stands for.
    fn space(&self, prefix: &str, before: usize) -> Result<&str, Refusal> {
        if prefix == "xml" {
            return Ok("http://www.w3.org/XML/1998/namespace");
        }
        let found = self.spaces.iter().rev().find(|space| space.prefix == prefix);
        found.map(|space| space.name.as_str()).ok_or_else(|| {
            self.broken(&format!("the prefix `{}` stands for no namespace", excerpt(prefix, 20)), before)
        })
    }

    fn broken(&self, what: &str, at: usize) -> Refusal {
        let what = format!("the document is not XML that can be read: {}", excerpt(what, 200));
        Diagnostic::error("not-xml", what).at(self.text.place(at)).into()
    }

    fn unknown(&self, entity: &str, at: usize) -> Refusal {
        let what = match entity.strip_prefix('#') {
            Some(_) => format!("`&{};` is no character that XML has", excerpt(entity, 20)),
            None => format!("the entity `&{};` is not one of XML's own five", excerpt(entity, 20)),
        };
        self.broken(&what, at)
    }

    /// Text in the open element. The first piece is borrowed; most elements have no other.
    fn say(&mut self, raw: &'t str, part: &str, before: usize) -> Result<(), Refusal> {
        let Some(open) = self.open.last() else {
            let blank = part.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty();
            return if blank {
                Ok(())
            } else {
                Err(self.broken("text stands outside of the root element", before))
            };
        };
        let text = &mut self.elements[open.at as usize].text;
        if text.is_empty() && raw == part {
            *text = Cow::Borrowed(raw);
        } else {
            text.to_mut().push_str(part);
        }
        Ok(())
    }
}

/// A control character; XML 1.0 has none but the tabulator and the ends of lines.
fn is_forbidden(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

fn is_name(name: &str) -> bool {
    let letters =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte > 0x7F;
    let first = |first: char| first.is_ascii_digit() || matches!(first, '-' | '.');
    !name.is_empty() && name.bytes().all(letters) && !name.starts_with(first)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t'))
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}
