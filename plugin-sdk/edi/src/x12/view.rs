//! The views: what a mapper walks. They borrow from the document and cost nothing to copy.

use std::borrow::Cow;

use super::delimiters::{Delimiter, Delimiters, Terminator};
use super::read::{Document, GroupEntry, InterchangeEntry, SegmentEntry, SetEntry, Span};

/// One `ISA` to `IEA`, or the bare groups and sets of a document without.
#[derive(Clone, Copy, Debug)]
pub struct Interchange<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: usize,
}

/// One `GS` to `GE`, or bare transaction sets.
#[derive(Clone, Copy, Debug)]
pub struct Group<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: usize,
}

/// One `ST` to `SE`.
#[derive(Clone, Copy, Debug)]
pub struct TransactionSet<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: usize,
}

/// The segments of a set, `ST` and `SE` included.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'d> {
    document: &'d Document<'d>,
    first: u32,
    last: u32,
}

/// One segment and its place in the bytes.
#[derive(Clone, Copy)]
pub struct Segment<'d> {
    document: &'d Document<'d>,
    entry: &'d SegmentEntry,
    /// Asked for again and again, so it is looked at once.
    name: &'d str,
    pub(super) index: u32,
}

/// One element and its place in the bytes.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    document: &'d Document<'d>,
    span: Span,
    interchange: u32,
}

impl<'d> Interchange<'d> {
    fn entry(&self) -> &'d InterchangeEntry {
        &self.document.interchanges[self.index]
    }

    /// How this interchange is divided.
    pub fn delimiters(&self) -> Delimiters {
        self.entry().delimiters
    }

    /// The `ISA`.
    pub fn header(&self) -> Option<Segment<'d>> {
        self.entry().header.map(|index| Segment::at(self.document, index))
    }

    /// The `IEA`.
    pub fn trailer(&self) -> Option<Segment<'d>> {
        self.entry().trailer.map(|index| Segment::at(self.document, index))
    }

    /// The groups in their order; sets without `GS` stand in a group without header.
    pub fn groups(&self) -> impl Iterator<Item = Group<'d>> + use<'d> {
        let (first, last) = self.entry().groups;
        let document = self.document;
        (first..last).map(move |index| Group { document, index: index as usize })
    }
}

impl<'d> Group<'d> {
    fn entry(&self) -> &'d GroupEntry {
        &self.document.groups[self.index]
    }

    /// The `GS`.
    pub fn header(&self) -> Option<Segment<'d>> {
        self.entry().header.map(|index| Segment::at(self.document, index))
    }

    /// The `GE`.
    pub fn trailer(&self) -> Option<Segment<'d>> {
        self.entry().trailer.map(|index| Segment::at(self.document, index))
    }

    /// The interchange that this group is in.
    pub fn interchange(&self) -> Interchange<'d> {
        Interchange { document: self.document, index: self.entry().interchange as usize }
    }

    /// The transaction sets in their order.
    pub fn sets(&self) -> impl Iterator<Item = TransactionSet<'d>> + use<'d> {
        let (first, last) = self.entry().sets;
        let document = self.document;
        (first..last).map(move |index| TransactionSet { document, index: index as usize })
    }
}

impl<'d> TransactionSet<'d> {
    fn entry(&self) -> &'d SetEntry {
        &self.document.sets[self.index]
    }

    /// Its index among all sets of the document; findings name it.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The group that this set is in.
    pub fn group(&self) -> Group<'d> {
        Group { document: self.document, index: self.entry().group as usize }
    }

    /// ST01: `945`.
    pub fn id(&self) -> Cow<'d, str> {
        self.header().value(1)
    }

    /// ST02.
    pub fn control_number(&self) -> Cow<'d, str> {
        self.header().value(2)
    }

    /// The `ST`.
    pub fn header(&self) -> Segment<'d> {
        Segment::at(self.document, self.entry().segments.0)
    }

    /// False when a finding of severity error is about this set: its end or a segment of it is missing.
    pub fn is_sound(&self) -> bool {
        self.entry().sound
    }

    /// All segments, `ST` and `SE` included.
    pub fn segments(&self) -> Segments<'d> {
        let (first, last) = self.entry().segments;
        Segments { document: self.document, first, last }
    }

    /// The first byte of `ST`.
    pub fn offset(&self) -> usize {
        self.header().offset()
    }

    /// How many bytes from `ST` to the end of `SE`, its terminator not counted.
    pub fn length(&self) -> usize {
        let last = Segment::at(self.document, self.entry().segments.1 - 1);
        last.offset() + last.length() - self.offset()
    }

    /// The place of an element for people, `ST*945*0001/LX[2]/W12/3`; element 0 is the segment itself.
    ///
    /// The `LX` or `HL` before it is named, counted from 1; the segment is counted where its like stands beside it.
    /// It walks the set, so it is for diagnostics and not for every value.
    pub fn path(&self, segment: Segment<'_>, element: usize) -> String {
        self.place_name(segment.entry, segment.index, element as u32)
    }

    pub(super) fn place_name(&self, entry: &SegmentEntry, index: u32, element: u32) -> String {
        let mut path = format!("ST*{}*{}", self.id(), self.control_number());
        let (first, last) = self.entry().segments;
        let name = entry_name(entry);
        let at_header = index == first;
        if !at_header {
            let (scope_first, scope_last, anchor) = self.scope(index, first, last.max(index + 1));
            if let Some((anchor, count)) = anchor {
                path.push_str(&format!("/{anchor}[{count}]"));
            }
            if scope_first != index || anchor.is_none() {
                let alike = |at: &u32| entry_name(&self.document.segments[*at as usize]) == name;
                let before = (scope_first..index).filter(alike).count();
                let after = (index + 1..scope_last).any(|at| alike(&at));
                path.push('/');
                path.push_str(if name.is_empty() { "?" } else { name });
                if before > 0 || after {
                    path.push_str(&format!("[{}]", before + 1));
                }
            }
        }
        if element > 0 {
            path.push_str(&format!("/{element}"));
        }
        path
    }

    /// The stretch of segments around this one that belong together, and the loop that it is.
    fn scope(&self, index: u32, first: u32, last: u32) -> (u32, u32, Option<(&'d str, usize)>) {
        let name_at = |at: u32| entry_name(&self.document.segments[at as usize]);
        let is_anchor = |at: u32| matches!(name_at(at), "LX" | "HL");
        // What sums up a set follows its last loop without belonging to it.
        let is_summary = |at: u32| matches!(name_at(at), "W03" | "W76" | "CTT" | "SE");
        let Some(anchor) = (first..=index).rev().find(|at| is_anchor(*at)) else {
            let end = (index + 1..last).find(|at| is_anchor(*at)).unwrap_or(last);
            return (first, end, None);
        };
        if let Some(summary) = (anchor..=index).find(|at| is_summary(*at)) {
            return (summary, last, None);
        }
        let count = (first..=anchor).filter(|at| name_at(*at) == name_at(anchor)).count();
        let end = (index + 1..last).find(|at| is_anchor(*at) || is_summary(*at)).unwrap_or(last);
        (anchor, end, Some((name_at(anchor), count)))
    }
}

impl<'d> Segments<'d> {
    /// How many.
    pub fn len(&self) -> usize {
        (self.last - self.first) as usize
    }

    /// Never: a set has at least its `ST`.
    pub fn is_empty(&self) -> bool {
        self.first == self.last
    }

    /// The segment at this position, `ST` at 0.
    pub fn get(&self, position: usize) -> Option<Segment<'d>> {
        let index = u32::try_from(position).ok()?.checked_add(self.first)?;
        (index < self.last).then(|| Segment::at(self.document, index))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Segment<'d>> + use<'d> {
        let document = self.document;
        (self.first..self.last).map(move |index| Segment::at(document, index))
    }
}

impl<'d> Segment<'d> {
    pub(super) fn at(document: &'d Document<'d>, index: u32) -> Self {
        let entry = &document.segments[index as usize];
        Self { document, entry, name: entry_name(entry), index }
    }

    /// The name: `W12`. Empty when what stands there can't be one.
    pub fn name(&self) -> &'d str {
        self.name
    }

    /// The first byte.
    pub fn offset(&self) -> usize {
        self.entry.span.start as usize
    }

    /// How many bytes, the terminator not counted.
    pub fn length(&self) -> usize {
        (self.entry.span.end - self.entry.span.start) as usize
    }

    /// How many elements follow the name.
    pub fn element_count(&self) -> usize {
        self.entry.element_count as usize
    }

    /// Element `n`, counted from 1 as the standard does; none beyond the last that was sent.
    pub fn element(&self, n: usize) -> Option<Element<'d>> {
        if n == 0 || n > self.element_count() {
            return None;
        }
        let span = self.document.elements[self.entry.first_element as usize + n];
        Some(Element { document: self.document, span, interchange: self.entry.interchange })
    }

    /// The elements in their order, the name not among them.
    pub fn elements(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let segment = *self;
        (1..=self.element_count()).filter_map(move |n| segment.element(n))
    }

    /// Element `n` without the blanks around it; empty when it was not sent.
    pub fn value(&self, n: usize) -> Cow<'d, str> {
        self.element(n).map_or(Cow::Borrowed(""), |element| element.value())
    }

    /// Whether element `n` holds anything but blanks.
    pub fn has(&self, n: usize) -> bool {
        self.element(n).is_some_and(|element| !element.value().is_empty())
    }

    /// The segment as it was sent, without its terminator.
    pub fn bytes(&self) -> &'d [u8] {
        &self.document.bytes[self.offset()..self.offset() + self.length()]
    }
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}@{}", String::from_utf8_lossy(self.bytes()), self.offset())
    }
}

impl<'d> Element<'d> {
    fn delimiters(&self) -> &'d Delimiters {
        &self.document.interchanges[self.interchange as usize].delimiters
    }

    fn terminator(&self) -> Terminator {
        self.delimiters().terminator
    }

    /// The first byte.
    pub fn offset(&self) -> usize {
        self.span.start as usize
    }

    /// How many bytes.
    pub fn length(&self) -> usize {
        (self.span.end - self.span.start) as usize
    }

    /// The bytes as they were sent.
    pub fn bytes(&self) -> &'d [u8] {
        &self.document.bytes[self.span.start as usize..self.span.end as usize]
    }

    /// The text with its blanks; line breaks from wrapping are left out, and what is not UTF-8 is read as
    /// Windows-1252.
    pub fn text(&self) -> Cow<'d, str> {
        self.document.decode(self.span, self.terminator())
    }

    /// The text without the blanks around it, which pad and mean nothing.
    pub fn value(&self) -> Cow<'d, str> {
        match self.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    /// The components, at least one.
    pub fn components(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.split(self.delimiters().component)
    }

    /// The repetitions, at least one.
    pub fn repetitions(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.split(self.delimiters().repetition)
    }

    fn split(&self, mark: Option<Delimiter>) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let element = *self;
        let mut next = Some(self.span.start as usize);
        std::iter::from_fn(move || {
            let start = next?;
            let end = element.span.end as usize;
            let found = mark.and_then(|mark| {
                (start..end)
                    .find(|at| mark.stands_at(element.document.bytes, *at))
                    .map(|at| (at, mark.length()))
            });
            next = found.map(|(at, length)| at + length);
            let span = Span { start: start as u32, end: found.map_or(end, |(at, _)| at) as u32 };
            Some(Element { span, ..element })
        })
    }
}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}@{}", self.text(), self.offset())
    }
}

fn entry_name(entry: &SegmentEntry) -> &str {
    // Only ASCII capitals and digits are kept as a name.
    core::str::from_utf8(&entry.name[..usize::from(entry.name_length)]).unwrap_or_default()
}
