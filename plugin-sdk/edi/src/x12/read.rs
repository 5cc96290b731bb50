//! The reader: one pass over the bytes into flat tables, which the views walk.

use std::borrow::Cow;

use super::delimiters::{Delimiters, Terminator};
use super::error::{Error, Finding, Severity};
use super::view::{Group, Interchange, Segment, TransactionSet};

/// A document that was read: interchanges, their groups, their transaction sets, and what was odd about them.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) bytes: &'a [u8],
    /// The whole document as text when it is UTF-8, so that values need no second check.
    pub(super) text: Option<&'a str>,
    pub(super) segments: Vec<SegmentEntry>,
    pub(super) elements: Vec<Span>,
    pub(super) interchanges: Vec<InterchangeEntry>,
    pub(super) groups: Vec<GroupEntry>,
    pub(super) sets: Vec<SetEntry>,
    pub(super) findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentEntry {
    pub span: Span,
    /// The name without line breaks; empty when it is none.
    pub name: [u8; 3],
    pub name_length: u8,
    pub first_element: u32,
    pub element_count: u32,
    pub interchange: u32,
}

#[derive(Clone, Debug)]
pub(super) struct InterchangeEntry {
    pub delimiters: Delimiters,
    pub header: Option<u32>,
    pub trailer: Option<u32>,
    pub groups: (u32, u32),
}

#[derive(Clone, Debug)]
pub(super) struct GroupEntry {
    pub interchange: u32,
    pub header: Option<u32>,
    pub trailer: Option<u32>,
    pub sets: (u32, u32),
}

#[derive(Clone, Debug)]
pub(super) struct SetEntry {
    pub group: u32,
    pub segments: (u32, u32),
    pub sound: bool,
}

impl<'a> Document<'a> {
    /// Reads a whole document: interchanges, or bare groups or transaction sets whose delimiters are guessed.
    ///
    /// # Errors
    /// [`Error`] when it is empty, no X12, or ends inside of what it opened. Everything else is a [`Finding`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        Reader::new(bytes, None)?.run()
    }

    /// Reads a part that was framed out of an interchange, with the delimiters of that interchange's ISA.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_part(bytes: &'a [u8], delimiters: Delimiters) -> Result<Self, Error> {
        Reader::new(bytes, Some(delimiters))?.run()
    }

    /// The interchanges in their order. A document without ISA is one interchange without a header.
    pub fn interchanges(&self) -> impl Iterator<Item = Interchange<'_>> {
        (0..self.interchanges.len()).map(|index| Interchange { document: self, index })
    }

    /// All transaction sets of all groups, in their order.
    pub fn sets(&self) -> impl Iterator<Item = TransactionSet<'_>> {
        (0..self.sets.len()).map(|index| TransactionSet { document: self, index })
    }

    /// The groups of all interchanges, in their order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        (0..self.groups.len()).map(|index| Group { document: self, index })
    }

    /// The acknowledgements of interchanges (`TA1`), which stand outside of any group.
    pub fn acknowledgements(&self) -> impl Iterator<Item = Segment<'_>> {
        let in_set = |at: u32| {
            let after = self.sets.partition_point(|set| set.segments.0 <= at);
            after.checked_sub(1).is_some_and(|before| at < self.sets[before].segments.1)
        };
        (0..self.segments.len() as u32)
            .map(|index| Segment::at(self, index))
            .filter(move |segment| segment.name() == "TA1" && !in_set(segment.index))
    }

    /// What was odd, in the order of the places; at most a hundred of each severity.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// These bytes as text without the line breaks that wrapping put into them. Bytes that are not UTF-8 are read
    /// as Windows-1252, which is what senders of Latin-1 mean, their typographic quotes included.
    pub(super) fn decode(&self, span: Span, terminator: Terminator) -> Cow<'_, str> {
        let range = span.start as usize..span.end as usize;
        let bytes = &self.bytes[range.clone()];
        let text = match self.text.and_then(|text| text.get(range)) {
            Some(text) => Cow::Borrowed(text),
            None => match core::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect()),
            },
        };
        let wrapped = |byte: &u8| *byte == b'\r' || *byte == b'\n';
        if terminator != Terminator::LineEnd && bytes.iter().any(wrapped) {
            return Cow::Owned(text.chars().filter(|c| *c != '\r' && *c != '\n').collect());
        }
        text
    }
}

/// Windows-1252 is Latin-1 with printable characters in place of the controls from 0x80 to 0x9F. Five places of it are
/// empty, and stay what they are (the WHATWG's encoding standard does the same).
fn windows_1252(byte: u8) -> char {
    const C1: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => C1[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

pub(super) struct Reader<'a> {
    pub(super) document: Document<'a>,
    at: usize,
    /// What to divide by where no ISA says it.
    given: Option<Delimiters>,
    delimiters: Delimiters,
    open_interchange: bool,
    open_group: Option<u32>,
    pub(super) open_set: Option<u32>,
    /// How many findings of each severity, the untold ones included.
    pub(super) counts: [usize; 2],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], given: Option<Delimiters>) -> Result<Self, Error> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::TooLarge);
        }
        let document = Document {
            bytes,
            text: core::str::from_utf8(bytes).ok(),
            // An EDI segment is rarely shorter than twenty bytes; growing in steps costs a guest more than room.
            segments: Vec::with_capacity(bytes.len() / 20 + 4),
            elements: Vec::with_capacity(bytes.len() / 6 + 16),
            interchanges: Vec::new(),
            groups: Vec::new(),
            sets: Vec::new(),
            findings: Vec::new(),
        };
        Ok(Self {
            document,
            at: if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 },
            given,
            delimiters: given.unwrap_or_default(),
            open_interchange: false,
            open_group: None,
            open_set: None,
            counts: [0; 2],
        })
    }

    fn run(mut self) -> Result<Document<'a>, Error> {
        self.skip_blanks();
        if self.at == self.document.bytes.len() {
            return Err(Error::Empty);
        }
        while self.at < self.document.bytes.len() {
            if !self.open_interchange {
                self.begin()?;
            }
            let index = self.segment();
            self.place(index)?;
            self.skip_blanks();
        }
        self.finish()
    }

    /// Blanks, line ends, NUL and Ctrl-Z stand between segments and behind the last one in files of all ages, and
    /// doubled terminators do too: nothing is lost with them.
    fn skip_blanks(&mut self) {
        let bytes = self.document.bytes;
        loop {
            match (bytes.get(self.at), self.delimiters.terminator) {
                (Some(b' ' | b'\t' | b'\r' | b'\n' | 0 | 0x1A), _) => self.at += 1,
                (Some(_), Terminator::Mark(mark)) if mark.stands_at(bytes, self.at) => {
                    self.at += mark.length()
                }
                _ => return,
            }
        }
    }

    /// Opens an interchange at a place outside of any.
    fn begin(&mut self) -> Result<(), Error> {
        let bytes = self.document.bytes;
        let rest = &bytes[self.at..];
        self.delimiters = if rest.starts_with(b"ISA") {
            Delimiters::of_isa(bytes, self.at)?
        } else if rest.starts_with(b"ST") || rest.starts_with(b"GS") {
            match self.given {
                Some(delimiters) => delimiters,
                None => Delimiters::guess(bytes, self.at)?,
            }
        } else {
            return Err(Error::NotX12 { offset: self.at });
        };
        let groups = self.document.groups.len() as u32;
        self.document.interchanges.push(InterchangeEntry {
            delimiters: self.delimiters,
            header: None,
            trailer: None,
            groups: (groups, groups),
        });
        self.open_interchange = true;
        Ok(())
    }

    /// Reads one segment up to its terminator or the end of the document.
    fn segment(&mut self) -> u32 {
        let bytes = self.document.bytes;
        let element = self.delimiters.element;
        let first_element = self.document.elements.len();
        let start = self.at;
        let mut element_start = start;
        let mut at = start;
        let (end, next) = loop {
            let Some(&byte) = bytes.get(at) else { break (at, at) };
            if byte == element.first() && element.stands_at(bytes, at) {
                self.document.elements.push(Span { start: element_start as u32, end: at as u32 });
                at += element.length();
                element_start = at;
                continue;
            }
            match self.delimiters.terminator {
                Terminator::Mark(mark) if byte == mark.first() && mark.stands_at(bytes, at) => {
                    break (at, at + mark.length());
                }
                Terminator::LineEnd if byte == b'\n' || byte == b'\r' => break (at, at + 1),
                _ => at += 1,
            }
        };
        self.document.elements.push(Span { start: element_start as u32, end: end as u32 });
        self.at = next;

        let name_span = self.document.elements[first_element];
        let (name, name_length) = segment_name(&bytes[name_span.start as usize..name_span.end as usize]);
        self.document.segments.push(SegmentEntry {
            span: Span { start: start as u32, end: end as u32 },
            name,
            name_length,
            first_element: first_element as u32,
            element_count: (self.document.elements.len() - first_element - 1) as u32,
            interchange: (self.document.interchanges.len() - 1) as u32,
        });
        (self.document.segments.len() - 1) as u32
    }

    /// Gives the segment its place in the envelope.
    fn place(&mut self, index: u32) -> Result<(), Error> {
        let entry = self.document.segments[index as usize];
        match &entry.name[..usize::from(entry.name_length)] {
            b"ISA" => self.isa(index)?,
            b"IEA" => self.iea(index),
            b"GS" => self.gs(index),
            b"GE" => self.ge(index),
            b"ST" => self.st(index),
            b"SE" => self.se(index),
            b"TA1" | b"ISB" | b"ISE" if self.open_set.is_none() => {}
            name if self.open_set.is_none() => {
                let what = if name.is_empty() { "no segment" } else { "no envelope segment" };
                let message = format!("{what} stands here, outside of any transaction set");
                self.report(Severity::Error, "outside-of-sets", Some("022"), index, 0, message);
            }
            b"" => {
                let message = "a segment's name is two or three capital letters and digits".to_owned();
                self.report(Severity::Error, "segment-name", Some("5"), index, 0, message);
            }
            _ => {}
        }
        Ok(())
    }

    fn isa(&mut self, index: u32) -> Result<(), Error> {
        let current = self.interchange();
        let begins_it = current.header.is_none() && self.first_of_interchange(index);
        if !begins_it {
            if let Some(opened) = self.opened() {
                let offset = self.document.segments[index as usize].span.start as usize;
                return Err(self.cut_off(opened, offset));
            }
            // Bare groups or sets came before: their made-up interchange ends, and the real one is read anew,
            // because its delimiters may be others.
            let entry = self.document.segments.pop().expect("this segment was just pushed");
            self.document.elements.truncate(entry.first_element as usize);
            self.close_interchange();
            self.at = entry.span.start as usize;
            self.begin()?;
            let index = self.segment();
            self.interchange().header = Some(index);
            return Ok(());
        }
        self.interchange().header = Some(index);
        Ok(())
    }

    fn iea(&mut self, index: u32) {
        self.close_set_without_trailer(index);
        self.close_group_without_trailer();
        let groups = self.document.groups.len() as u32 - self.interchange().groups.0;
        let header = self.interchange().header;
        self.interchange().trailer = Some(index);
        match header {
            None => {
                let message = "IEA without an ISA".to_owned();
                self.report(Severity::Warning, "trailer-without-header", Some("022"), index, 0, message);
            }
            Some(header) => {
                self.check_count(index, groups, "group", "group-count", "021");
                self.check_control(index, header, 13, "interchange-control-number", "001");
            }
        }
        self.close_interchange();
    }

    fn gs(&mut self, index: u32) {
        self.close_set_without_trailer(index);
        self.close_group_without_trailer();
        self.open_group(Some(index));
    }

    fn ge(&mut self, index: u32) {
        self.close_set_without_trailer(index);
        let Some(group) = self.open_group.take() else {
            let message = "GE without a GS".to_owned();
            self.report(Severity::Error, "trailer-without-header", Some("022"), index, 0, message);
            return;
        };
        let sets = self.document.sets.len() as u32;
        let entry = &mut self.document.groups[group as usize];
        entry.trailer = Some(index);
        entry.sets.1 = sets;
        let (count, header) = (sets - entry.sets.0, entry.header);
        match header {
            None => {
                let message = "GE without a GS".to_owned();
                self.report(Severity::Warning, "trailer-without-header", Some("022"), index, 0, message);
            }
            Some(header) => {
                self.check_count(index, count, "transaction set", "set-count", "5");
                self.check_control(index, header, 6, "group-control-number", "4");
            }
        }
    }

    fn st(&mut self, index: u32) {
        self.close_set_without_trailer(index);
        let group = match self.open_group {
            Some(group) => group,
            None => {
                if self.interchange().header.is_some() {
                    let message = "a transaction set outside of any group".to_owned();
                    self.report(Severity::Warning, "set-without-group", Some("022"), index, 0, message);
                }
                self.open_group(None)
            }
        };
        self.document.sets.push(SetEntry { group, segments: (index, index + 1), sound: true });
        let sets = self.document.sets.len() as u32;
        self.document.groups[group as usize].sets.1 = sets;
        self.open_set = Some(sets - 1);
        if self.value(index, 2).is_empty() {
            let message = "the transaction set has no control number".to_owned();
            self.report(Severity::Warning, "set-control-number-missing", Some("7"), index, 2, message);
        }
    }

    fn se(&mut self, index: u32) {
        let Some(set) = self.open_set else {
            let message = "SE without an ST".to_owned();
            self.report(Severity::Error, "trailer-without-header", Some("022"), index, 0, message);
            return;
        };
        let header = self.document.sets[set as usize].segments.0;
        self.document.sets[set as usize].segments.1 = index + 1;
        self.check_count(index, index + 1 - header, "segment", "segment-count", "4");
        self.check_control(index, header, 2, "set-control-number", "3");
        self.open_set = None;
    }

    fn open_group(&mut self, header: Option<u32>) -> u32 {
        let sets = self.document.sets.len() as u32;
        let interchange = self.document.interchanges.len() as u32 - 1;
        self.document.groups.push(GroupEntry { interchange, header, trailer: None, sets: (sets, sets) });
        let groups = self.document.groups.len() as u32;
        self.interchange().groups.1 = groups;
        self.open_group = Some(groups - 1);
        groups - 1
    }

    fn close_set_without_trailer(&mut self, next: u32) {
        if let Some(set) = self.open_set.take() {
            self.document.sets[set as usize].segments.1 = next;
            let header = self.document.sets[set as usize].segments.0;
            self.open_set = Some(set);
            let message = "the transaction set is not closed by an SE".to_owned();
            self.report(Severity::Error, "trailer-missing", Some("2"), header, 0, message);
            self.open_set = None;
        }
    }

    fn close_group_without_trailer(&mut self) {
        if let Some(group) = self.open_group.take() {
            let sets = self.document.sets.len() as u32;
            let entry = &mut self.document.groups[group as usize];
            entry.sets.1 = sets;
            if let Some(header) = entry.header {
                let message = "the group is not closed by a GE".to_owned();
                self.report(Severity::Warning, "trailer-missing", Some("3"), header, 0, message);
            }
        }
    }

    fn close_interchange(&mut self) {
        self.open_interchange = false;
        self.open_group = None;
    }

    fn finish(mut self) -> Result<Document<'a>, Error> {
        if self.open_interchange {
            if let Some(opened) = self.opened() {
                return Err(self.cut_off(opened, self.document.bytes.len()));
            }
            self.close_interchange();
        }
        self.find_repeated_interchanges_and_groups();
        self.find_repeated_control_numbers();
        Ok(self.document)
    }

    /// The innermost segment that was opened and must be closed before the document may end.
    fn opened(&self) -> Option<(&'static str, u32)> {
        let set = self.open_set.map(|set| ("ST", self.document.sets[set as usize].segments.0));
        let group = || self.open_group.and_then(|group| self.document.groups[group as usize].header);
        let interchange = || self.document.interchanges.last().and_then(|interchange| interchange.header);
        set.or_else(|| group().map(|header| ("GS", header)))
            .or_else(|| interchange().map(|header| ("ISA", header)))
    }

    fn cut_off(&self, (opened_by, segment): (&'static str, u32), offset: usize) -> Error {
        let opened_at = self.document.segments[segment as usize].span.start as usize;
        Error::CutOff { opened_by, opened_at, offset }
    }

    fn interchange(&mut self) -> &mut InterchangeEntry {
        self.document.interchanges.last_mut().expect("an interchange is begun before any segment is read")
    }

    fn first_of_interchange(&self, index: u32) -> bool {
        let current = self.document.segments[index as usize].interchange;
        index == 0 || self.document.segments[index as usize - 1].interchange != current
    }

    /// Element `n` of a segment as the bytes between blanks, line breaks left out.
    pub(super) fn value(&self, segment: u32, n: u32) -> String {
        let entry = self.document.segments[segment as usize];
        if n > entry.element_count {
            return String::new();
        }
        let span = self.document.elements[(entry.first_element + n) as usize];
        let terminator = self.document.interchanges[entry.interchange as usize].delimiters.terminator;
        self.document.decode(span, terminator).trim().to_owned()
    }
}

/// The name of a segment without the line breaks that wrapping may have put into it; empty when it is none.
fn segment_name(bytes: &[u8]) -> ([u8; 3], u8) {
    let mut name = [0; 3];
    let mut length = 0;
    for byte in bytes.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        if length == 3 || !(byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
            return ([0; 3], 0);
        }
        name[length] = *byte;
        length += 1;
    }
    if length < 2 { ([0; 3], 0) } else { (name, length as u8) }
}
