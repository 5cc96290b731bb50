//! XML as elements that know their place. No entities but the five, no document type, bounded depth and number.
//!
//! Elements lie in one list and point to each other, and a place is only spelled out when somebody asks for it:
//! work and memory grow with the document, whatever its shape.

use std::{borrow::Cow, collections::BTreeMap};

use crossdock_mapper::{Diagnostic, Location, Refusal};
use quick_xml::{Reader, events::Event};

/// Elements within each other. An IDoc has eight at most; what goes to extensions nests twice as deep, and the
/// gateway reads JSON to a depth of 64.
const DEEPEST: usize = 16;
/// Elements in all; a delivery of 5,000 items with all their fields has fewer.
const MOST: usize = 200_000;
/// Letters of a field. SAP's longest have 255.
const LONGEST_FIELD: usize = 255;
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

/// The text of a document, which knows where each byte of it came from.
pub struct Text<'t> {
    text: Cow<'t, str>,
    /// Bytes before it: a byte order mark.
    before: usize,
}

impl<'t> Text<'t> {
    /// UTF-8, or ISO-8859-1 where the XML declaration says so.
    pub fn read(content: &'t [u8]) -> Result<Self, Refusal> {
        if content.starts_with(&[0xFE, 0xFF]) || content.starts_with(&[0xFF, 0xFE]) {
            return Err(encoding("UTF-16 is not read", 0));
        }
        let marked = content.strip_prefix(b"\xEF\xBB\xBF");
        // The mark says more than the declaration does, which conversions often leave as it was.
        let declared = if marked.is_some() { String::new() } else { declared_encoding(content) };
        match declared.as_str() {
            "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => {}
            "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => {
                let text = content.iter().map(|byte| char::from(*byte)).collect::<String>();
                return Ok(Self { text: text.into(), before: 0 });
            }
            other => return Err(encoding(&format!("the encoding `{other}` is not read"), 0)),
        }
        let before = if marked.is_some() { 3 } else { 0 };
        match std::str::from_utf8(marked.unwrap_or(content)) {
            Ok(text) => Ok(Self { text: text.into(), before }),
            Err(error) => Err(encoding("the document is not UTF-8", before + error.valid_up_to())),
        }
    }

    /// The byte of the document at a byte of the text.
    fn offset(&self, at: usize) -> usize {
        match &self.text {
            Cow::Borrowed(_) => self.before + at,
            // Each letter was one byte of ISO-8859-1.
            Cow::Owned(text) => text.get(..at).map_or(at, |before| before.chars().count()),
        }
    }

    fn broken(&self, what: &str, at: usize) -> Refusal {
        let offset = self.offset(at);
        let what = format!("the document is not XML that can be read: {}", excerpt(what, 200));
        Diagnostic::error("not-xml", what)
            .at(Location::new("bytes", offset.to_string()).bytes(offset, 0))
            .into()
    }
}

fn declared_encoding(content: &[u8]) -> String {
    let head = String::from_utf8_lossy(&content[..content.len().min(200)]);
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let value = declaration.and_then(|(declaration, _)| declaration.split_once("encoding"));
    let quoted = value.map(|(_, rest)| rest.trim_start_matches([' ', '=', '\t', '\r', '\n']));
    let name = quoted.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next());
    name.unwrap_or_default().trim().to_ascii_lowercase()
}

fn encoding(what: &str, offset: usize) -> Refusal {
    let at = Location::new("bytes", offset.to_string()).bytes(offset, 1);
    Diagnostic::error("encoding", format!("{what}; send UTF-8, or ISO-8859-1 and declare it")).at(at).into()
}

/// The beginning of a text that may be long.
pub fn excerpt(text: &str, letters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl<'t> Document<'t> {
    /// Reads the root element and all that is in it.
    pub fn read(text: &'t Text<'t>) -> Result<Self, Refusal> {
        let mut reading = Reading { text, source: &text.text, elements: Vec::new(), open: Vec::new() };
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
}

/// An element that is not closed yet, and how many children of each name it has.
struct Open<'t> {
    at: u32,
    names: BTreeMap<&'t str, u32>,
}

impl<'t> Reading<'t> {
    fn run(&mut self) -> Result<(), Refusal> {
        let mut reader = Reader::from_str(self.source);
        loop {
            let before = position(&reader);
            let event = reader.read_event().map_err(|error| self.text.broken(&error.to_string(), before))?;
            let after = position(&reader);
            match event {
                Event::Start(tag) => self.begin(tag.name().as_ref().len(), before, after)?,
                Event::Empty(tag) => {
                    self.begin(tag.name().as_ref().len(), before, after)?;
                    self.end(after)?;
                }
                Event::End(_) => self.end(before)?,
                Event::Text(part) => self.say(&self.source[before..after], &part, before)?,
                Event::CData(part) => self.say("cdata", &part, before)?,
                Event::GeneralRef(name) => {
                    let found = entity(&name);
                    let found = found
                        .ok_or_else(|| self.text.broken("only the five entities of XML are read", before))?;
                    self.say("entity", found.encode_utf8(&mut [0; 4]), before)?;
                }
                Event::DocType(_) => return Err(self.text.broken("a document type is not read", before)),
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
            return Err(self.text.broken("there is no element", 0));
        }
        Ok(())
    }

    fn begin(&mut self, name_length: usize, before: usize, after: usize) -> Result<(), Refusal> {
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err(self.text.broken("a second root element begins", before));
        }
        if self.open.len() >= DEEPEST || self.elements.len() >= MOST {
            return Err(self.text.broken("elements lie too deep, or are too many", before));
        }
        // The name begins after `<`.
        let qualified = self.source.get(before + 1..before + 1 + name_length).unwrap_or_default();
        let name = qualified.rsplit_once(':').map_or(qualified, |(_, local)| local);
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(self
                .text
                .broken("an element has no name, or a name of more than 64 letters", before));
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

    fn end(&mut self, before: usize) -> Result<(), Refusal> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let element = &mut self.elements[open.at as usize];
        element.end = before.max(element.start);
        element.text = match std::mem::take(&mut element.text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if element.text.len() > LONGEST_FIELD && element.text.chars().count() > LONGEST_FIELD {
            return Err(self.text.broken("a field of an IDoc has at most 255 letters", before));
        }
        Ok(())
    }

    /// Text in the open element. The first piece is borrowed; most elements have no other.
    fn say(&mut self, raw: &'t str, part: &str, before: usize) -> Result<(), Refusal> {
        let Some(open) = self.open.last() else {
            let blank = part.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty();
            return if blank {
                Ok(())
            } else {
                Err(self.text.broken("text stands outside of the root element", before))
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
