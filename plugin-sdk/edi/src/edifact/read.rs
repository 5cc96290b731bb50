//! The reader: one pass over the bytes into flat tables, which the views walk.

use std::borrow::Cow;

use super::charset::Charset;
use super::error::{Error, Finding, Severity};
use super::service::Service;
use super::view::{Interchange, Message};

/// A document that was read: interchanges, their groups, their messages, and what was odd about them.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) bytes: &'a [u8],
    /// The whole document as text when it is UTF-8, whatever its syntax identifiers say, so that values need no second
    /// check.
    pub(super) text: Option<&'a str>,
    pub(super) segments: Vec<SegmentEntry>,
    pub(super) elements: Vec<ElementEntry>,
    /// The components of each element's first repetition.
    pub(super) components: Vec<Span>,
    pub(super) interchanges: Vec<InterchangeEntry>,
    pub(super) groups: Vec<GroupEntry>,
    pub(super) messages: Vec<MessageEntry>,
    pub(super) findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ElementEntry {
    pub span: Span,
    /// Its first component, and how many there are before it is repeated.
    pub first: u32,
    pub count: u32,
    /// Nothing in it is released, and no line breaks: the bytes are the value.
    pub plain: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentEntry {
    pub span: Span,
    /// The name's span is the element of this index; those that follow it are elements 1, 2 …
    pub first_element: u32,
    pub element_count: u32,
    /// The tag; blank where what stands there can't be one.
    pub name: [u8; 3],
    pub interchange: u32,
}

#[derive(Debug)]
pub(super) struct InterchangeEntry {
    pub service: Service,
    pub charset: Charset,
    /// The `UNB`; none for messages that came without.
    pub header: Option<u32>,
    pub trailer: Option<u32>,
    pub messages: (u32, u32),
    pub groups: (u32, u32),
}

#[derive(Debug)]
pub(super) struct GroupEntry {
    pub header: u32,
    pub trailer: Option<u32>,
    pub messages: (u32, u32),
}

#[derive(Debug)]
pub(super) struct MessageEntry {
    pub segments: (u32, u32),
    pub interchange: u32,
    pub group: Option<u32>,
    pub sound: bool,
}

impl<'a> Document<'a> {
    /// Reads a whole document: interchanges, or bare groups or messages.
    ///
    /// # Errors
    /// It is empty, no EDIFACT, cut off, or doesn't show how it is divided.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        Reader::new(bytes, None)?.read()
    }

    /// Reads messages that were taken out of an interchange which is divided so and has this syntax identifier.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_part(bytes: &'a [u8], service: Service, syntax: &str) -> Result<Self, Error> {
        Reader::new(bytes, Some((service, Charset::of(syntax).unwrap_or(Charset::Latin1))))?.read()
    }

    /// The interchanges in their order. Messages that came without one have one without a header.
    pub fn interchanges(&self) -> impl Iterator<Item = Interchange<'_>> {
        (0..self.interchanges.len()).map(|index| Interchange { document: self, index })
    }

    /// All messages in their order.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        (0..self.messages.len()).map(|index| Message { document: self, index })
    }

    /// What was wrong with it, in the order of the document.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub(super) fn slice(&self, span: Span) -> &'a [u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// The text of bytes that are a value as they stand.
    pub(super) fn plain(&self, span: Span, interchange: u32) -> Cow<'a, str> {
        let text = self.text.and_then(|text| text.get(span.start as usize..span.end as usize));
        let charset = || self.interchanges[interchange as usize].charset;
        text.map_or_else(|| charset().decode(self.slice(span)), Cow::Borrowed)
    }

    /// The text of raw bytes: released characters stand for themselves, line breaks from wrapping are left out.
    pub(super) fn text(&self, span: Span, interchange: u32) -> Cow<'a, str> {
        let entry = &self.interchanges[interchange as usize];
        let bytes = self.slice(span);
        // A control character that never stands in a value takes the place of a release character that there is not.
        let release = entry.service.release.unwrap_or(b'\n');
        if !bytes.iter().any(|byte| *byte == release || matches!(byte, b'\r' | b'\n')) {
            let text = self.text.and_then(|text| text.get(span.start as usize..span.end as usize));
            return text.map_or_else(|| entry.charset.decode(bytes), Cow::Borrowed);
        }
        let charset = if self.text.is_some() { Charset::Utf8 } else { entry.charset };
        let release = entry.service.release;
        let mut kept = Vec::with_capacity(bytes.len());
        let mut rest = bytes.iter();
        while let Some(byte) = rest.next() {
            match byte {
                byte if Some(*byte) == release => kept.extend(rest.next()),
                b'\r' | b'\n' => {}
                byte => kept.push(*byte),
            }
        }
        Cow::Owned(charset.decode(&kept).into_owned())
    }
}

/// An element that is being read.
struct Open {
    start: usize,
    /// Where its open component begins.
    component: usize,
    first: u32,
    plain: bool,
    /// The first repetition is over.
    repeats: bool,
}

impl Open {
    fn at(start: usize, document: &Document<'_>) -> Self {
        let first = document.components.len() as u32;
        Self { start, component: start, first, plain: true, repeats: false }
    }

    fn end_component(&mut self, at: usize, document: &mut Document<'_>) {
        if !self.repeats {
            document.components.push(Span { start: self.component as u32, end: at as u32 });
        }
        self.component = at + 1;
    }

    fn end(mut self, at: usize, document: &mut Document<'_>) {
        self.end_component(at, document);
        let (first, plain) = (self.first, self.plain);
        let count = document.components.len() as u32 - first;
        let span = Span { start: self.start as u32, end: at as u32 };
        document.elements.push(ElementEntry { span, first, count, plain });
    }
}

pub(super) struct Reader<'a> {
    pub(super) document: Document<'a>,
    at: usize,
    pub(super) service: Service,
    by_una: bool,
    open_interchange: bool,
    open_group: Option<u32>,
    pub(super) open_message: Option<u32>,
    /// Findings told by severity; more than a bound would be noise.
    pub(super) counts: [usize; 2],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], part: Option<(Service, Charset)>) -> Result<Self, Error> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::TooLarge);
        }
        let document = Document {
            bytes,
            text: core::str::from_utf8(bytes).ok(),
            segments: Vec::with_capacity(bytes.len() / 24),
            elements: Vec::with_capacity(bytes.len() / 8),
            components: Vec::with_capacity(bytes.len() / 6),
            interchanges: Vec::new(),
            groups: Vec::new(),
            messages: Vec::new(),
            findings: Vec::new(),
        };
        let mut reader = Self {
            document,
            at: if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 },
            service: Service::default(),
            by_una: false,
            open_interchange: false,
            open_group: None,
            open_message: None,
            counts: [0; 2],
        };
        reader.skip_blanks();
        let start = reader.at;
        let rest = &bytes[start..];
        if rest.is_empty() {
            return Err(Error::Empty);
        }
        if let Some((service, charset)) = part {
            reader.service = service;
            reader.by_una = true;
            reader.begin_interchange(None, charset);
        } else if [b"UNB", b"UNG", b"UNH"].iter().any(|name| rest.starts_with(*name)) {
            reader.service = Service::without_una(bytes, start)?;
        } else if !rest.starts_with(b"UNA") {
            return Err(Error::NotEdifact { offset: start });
        }
        Ok(reader)
    }

    fn read(mut self) -> Result<Document<'a>, Error> {
        loop {
            self.skip_blanks();
            let Some(rest) = self.document.bytes.get(self.at..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            // A service string may stand before each interchange.
            if self.open_message.is_none() && rest.starts_with(b"UNA") {
                self.service = Service::of_una(self.document.bytes, self.at)?;
                self.by_una = true;
                self.at += 9;
                continue;
            }
            if rest.starts_with(b"UNB") && !self.by_una {
                self.service = Service::without_una(self.document.bytes, self.at)?;
            }
            let segment = self.segment()?;
            self.place(segment)?;
        }
        self.end()?;
        Ok(self.document)
    }

    /// Blanks and line breaks between segments are decoration; some senders end with a control Z.
    fn skip_blanks(&mut self) {
        let bytes = self.document.bytes;
        let decoration = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1A);
        while bytes.get(self.at).is_some_and(decoration) {
            self.at += 1;
        }
    }

    /// Reads one segment into the tables.
    fn segment(&mut self) -> Result<u32, Error> {
        let bytes = self.document.bytes;
        let service = self.service;
        let start = self.at;
        let first_element = self.document.elements.len() as u32;
        let mut open = Open::at(start, &self.document);
        let mut at = start;
        let mut released = false;
        while at < bytes.len() {
            let byte = bytes[at];
            if released {
                released = false;
            } else if byte == service.element {
                open.end(at, &mut self.document);
                open = Open::at(at + 1, &self.document);
            } else if byte == service.component {
                open.end_component(at, &mut self.document);
            } else if byte == service.terminator {
                break;
            } else if service.release == Some(byte) {
                released = true;
                open.plain = false;
            } else if service.repetition == Some(byte) {
                open.end_component(at, &mut self.document);
                open.repeats = true;
            }
            open.plain &= !matches!(byte, b'\r' | b'\n');
            at += 1;
        }
        let terminated = at < bytes.len();
        let mut end = at;
        if !terminated {
            // The last segment without its terminator: what pads the end of the file is not its value.
            let pads = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1A);
            while end > open.component && pads(bytes[end - 1]) {
                end -= 1;
            }
        }
        open.end(end, &mut self.document);
        self.at = at + usize::from(terminated);

        let tag = self.document.elements[first_element as usize];
        // A tag may say how it is nested: `LIN:1:2`.
        let tag =
            self.document.slice(tag.span).split(|byte| *byte == service.component).next().unwrap_or_default();
        let named = tag.len() == 3
            && tag[0].is_ascii_uppercase()
            && tag.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let name = if named { [tag[0], tag[1], tag[2]] } else { [b' '; 3] };
        let index = self.document.segments.len() as u32;
        self.document.segments.push(SegmentEntry {
            span: Span { start: start as u32, end: end as u32 },
            first_element,
            element_count: self.document.elements.len() as u32 - first_element - 1,
            name,
            interchange: (self.document.interchanges.len() as u32).saturating_sub(1),
        });
        if !terminated {
            let message = "the last segment has no terminator".to_owned();
            self.report(Severity::Warning, "terminator-missing", "13", index, (0, 0), message);
        }
        Ok(index)
    }

    /// Gives a segment its place in interchange, group and message.
    fn place(&mut self, index: u32) -> Result<(), Error> {
        let entry = self.document.segments[index as usize];
        match &entry.name {
            b"UNB" => {
                self.must_be_closed(entry.span.start as usize, false)?;
                let version = self.bytes_of(index, 1, 2);
                self.service = self.service.with_version(version, self.by_una);
                let syntax = String::from_utf8_lossy(self.bytes_of(index, 1, 1)).into_owned();
                let charset = Charset::of(&syntax);
                self.begin_interchange(Some(index), charset.unwrap_or(Charset::Latin1));
                self.document.segments[index as usize].interchange =
                    self.document.interchanges.len() as u32 - 1;
                self.open_interchange = true;
                self.check_syntax(index, &syntax, charset.is_some());
            }
            b"UNG" => {
                self.must_be_closed(entry.span.start as usize, true)?;
                self.need_interchange(index);
                let messages = self.document.messages.len() as u32;
                self.open_group = Some(self.document.groups.len() as u32);
                self.document.groups.push(GroupEntry {
                    header: index,
                    trailer: None,
                    messages: (messages, messages),
                });
            }
            b"UNH" => {
                if let Some(open) = self.open_message {
                    return Err(self.cut_off(
                        "UNH",
                        self.document.messages[open as usize].segments.0,
                        entry.span.start,
                    ));
                }
                self.need_interchange(index);
                self.open_message = Some(self.document.messages.len() as u32);
                self.document.messages.push(MessageEntry {
                    segments: (index, index + 1),
                    interchange: self.document.interchanges.len() as u32 - 1,
                    group: self.open_group,
                    sound: true,
                });
                self.check_message_header(index);
            }
            b"UNT" if self.open_message.is_some() => self.end_message(index),
            b"UNE" if self.open_group.is_some() && self.open_message.is_none() => self.end_group(index),
            b"UNZ" if self.open_interchange => {
                self.must_be_closed(entry.span.start as usize, true)?;
                self.end_interchange(index);
            }
            b"UNE" | b"UNZ" if self.open_message.is_some() => {
                let open = self.open_message.unwrap_or_default();
                return Err(self.cut_off(
                    "UNH",
                    self.document.messages[open as usize].segments.0,
                    entry.span.start,
                ));
            }
            _ => match self.open_message {
                Some(open) => {
                    self.document.messages[open as usize].segments.1 = index + 1;
                    if entry.name == [b' '; 3] {
                        let message = format!("`{}` is no segment", self.excerpt(index, 0));
                        self.report(Severity::Error, "no-segment", "12", index, (0, 0), message);
                    }
                }
                None => {
                    self.need_interchange(index);
                    let message = format!("`{}` stands outside of any message", self.excerpt(index, 0));
                    self.report(Severity::Error, "stray-segment", "33", index, (0, 0), message);
                }
            },
        }
        Ok(())
    }

    fn end_message(&mut self, index: u32) {
        let Some(open) = self.open_message else { return };
        let entry = &mut self.document.messages[open as usize];
        entry.segments.1 = index + 1;
        let (first, last) = entry.segments;
        self.check_count(index, last - first, "segment");
        self.check_reference(index, first, 1, Severity::Error);
        self.open_message = None;
        let messages = self.document.messages.len() as u32;
        if let Some(group) = self.open_group {
            self.document.groups[group as usize].messages.1 = messages;
        }
        if let Some(interchange) = self.document.interchanges.last_mut() {
            interchange.messages.1 = messages;
        }
    }

    fn end_group(&mut self, index: u32) {
        let Some(open) = self.open_group.take() else { return };
        let entry = &mut self.document.groups[open as usize];
        entry.trailer = Some(index);
        let (header, (first, last)) = (entry.header, entry.messages);
        self.check_count(index, last - first, "message");
        self.check_reference(index, header, 5, Severity::Warning);
        if let Some(interchange) = self.document.interchanges.last_mut() {
            interchange.groups.1 = self.document.groups.len() as u32;
        }
    }

    fn end_interchange(&mut self, index: u32) {
        self.open_interchange = false;
        let Some(entry) = self.document.interchanges.last_mut() else { return };
        entry.trailer = Some(index);
        let (messages, groups, header) = (entry.messages, entry.groups, entry.header);
        // Groups are counted where there are any, else messages.
        match groups.1 - groups.0 {
            0 => self.check_count(index, messages.1 - messages.0, "message"),
            groups => self.check_count(index, groups, "group"),
        }
        if let Some(header) = header {
            self.check_reference(index, header, 5, Severity::Warning);
        }
        self.by_una = false;
    }

    fn begin_interchange(&mut self, header: Option<u32>, charset: Charset) {
        let (messages, groups) = (self.document.messages.len() as u32, self.document.groups.len() as u32);
        self.document.interchanges.push(InterchangeEntry {
            service: self.service,
            charset,
            header,
            trailer: None,
            messages: (messages, messages),
            groups: (groups, groups),
        });
    }

    /// Groups and messages without an interchange are put into one without a header.
    fn need_interchange(&mut self, index: u32) {
        let bare = self.document.interchanges.last().is_some_and(|last| last.header.is_none());
        if self.open_interchange || bare {
            return;
        }
        let after = !self.document.interchanges.is_empty();
        self.begin_interchange(None, Charset::Latin1);
        self.document.segments[index as usize].interchange = self.document.interchanges.len() as u32 - 1;
        let is_unit = matches!(&self.document.segments[index as usize].name, b"UNG" | b"UNH");
        if after && is_unit {
            let message = "a message after the end of the interchange".to_owned();
            self.report(Severity::Error, "outside-interchange", "33", index, (0, 0), message);
        }
    }

    /// A header may begin only where nothing of its kind or below it is still open.
    fn must_be_closed(&mut self, offset: usize, within_interchange: bool) -> Result<(), Error> {
        if let Some(open) = self.open_message {
            return Err(self.cut_off("UNH", self.document.messages[open as usize].segments.0, offset as u32));
        }
        if let Some(open) = self.open_group {
            return Err(self.cut_off("UNG", self.document.groups[open as usize].header, offset as u32));
        }
        let header = self.document.interchanges.last().and_then(|open| open.header);
        match header {
            Some(header) if self.open_interchange && !within_interchange => {
                Err(self.cut_off("UNB", header, offset as u32))
            }
            _ => Ok(()),
        }
    }

    fn cut_off(&self, opened_by: &'static str, header: u32, offset: u32) -> Error {
        let opened_at = self.document.segments[header as usize].span.start as usize;
        Error::CutOff { opened_by, opened_at, offset: offset as usize }
    }

    fn end(&mut self) -> Result<(), Error> {
        let end = self.document.bytes.len();
        self.must_be_closed(end, false)?;
        self.find_repeated_references();
        self.document.findings.sort_by_key(|finding| finding.offset);
        Ok(())
    }
}
