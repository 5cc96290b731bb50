//! The views of a document: interchanges, groups, messages, segments, elements and components.

use std::borrow::Cow;

use super::read::{Document, SegmentEntry, Span};
use super::service::Service;

/// What stands between a `UNB` and its `UNZ`, or messages that came without.
#[derive(Clone, Copy, Debug)]
pub struct Interchange<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: usize,
}

/// What stands between a `UNG` and its `UNE`.
#[derive(Clone, Copy, Debug)]
pub struct Group<'d> {
    document: &'d Document<'d>,
    index: usize,
}

/// What stands from a `UNH` to its `UNT`.
#[derive(Clone, Copy, Debug)]
pub struct Message<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: usize,
}

/// The segments of a message, `UNH` and `UNT` among them.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'d> {
    document: &'d Document<'d>,
    first: u32,
    last: u32,
}

/// One segment.
#[derive(Clone, Copy)]
pub struct Segment<'d> {
    document: &'d Document<'d>,
    entry: &'d SegmentEntry,
    index: u32,
}

/// One element: a value, or a composite of components, perhaps repeated.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    document: &'d Document<'d>,
    span: Span,
    interchange: u32,
    plain: bool,
}

/// One component of an element.
pub type Component<'d> = Element<'d>;

impl<'d> Interchange<'d> {
    /// How it is divided.
    pub fn service(&self) -> Service {
        self.document.interchanges[self.index].service
    }

    /// The `UNB`; none for messages that came without.
    pub fn header(&self) -> Option<Segment<'d>> {
        self.document.interchanges[self.index].header.map(|index| Segment::at(self.document, index))
    }

    /// The `UNZ`.
    pub fn trailer(&self) -> Option<Segment<'d>> {
        self.document.interchanges[self.index].trailer.map(|index| Segment::at(self.document, index))
    }

    /// Who sent it (0004); empty without a `UNB`.
    pub fn sender(&self) -> Cow<'d, str> {
        self.of_header(2, 1)
    }

    /// For whom it is (0010); empty without a `UNB`.
    pub fn recipient(&self) -> Cow<'d, str> {
        self.of_header(3, 1)
    }

    /// Its control reference (0020); empty without a `UNB`.
    pub fn reference(&self) -> Cow<'d, str> {
        self.of_header(5, 1)
    }

    /// Whether it is a test (0035).
    pub fn is_test(&self) -> bool {
        self.of_header(11, 1) == "1"
    }

    /// Its messages.
    pub fn messages(&self) -> impl Iterator<Item = Message<'d>> + use<'d> {
        let (document, (first, last)) = (self.document, self.document.interchanges[self.index].messages);
        (first..last).map(move |index| Message { document, index: index as usize })
    }

    fn of_header(&self, element: usize, component: usize) -> Cow<'d, str> {
        self.header().map_or(Cow::Borrowed(""), |header| header.value(element, component))
    }
}

impl<'d> Group<'d> {
    /// The `UNG`.
    pub fn header(&self) -> Segment<'d> {
        Segment::at(self.document, self.document.groups[self.index].header)
    }

    /// The `UNE`.
    pub fn trailer(&self) -> Option<Segment<'d>> {
        self.document.groups[self.index].trailer.map(|index| Segment::at(self.document, index))
    }

    /// Its number within the document, from 0.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl<'d> Message<'d> {
    /// Its number within the document, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its type (0065): `DESADV`.
    pub fn kind(&self) -> Cow<'d, str> {
        self.header().value(2, 1)
    }

    /// The directory that it follows: version and release (0052, 0054), `D.96A`.
    pub fn directory(&self) -> String {
        let header = self.header();
        format!("{}.{}", header.value(2, 2), header.value(2, 3))
    }

    /// The subset (0057): `EAN005`; empty where there is none.
    pub fn subset(&self) -> Cow<'d, str> {
        self.header().value(2, 5)
    }

    /// Its reference (0062).
    pub fn reference(&self) -> Cow<'d, str> {
        self.header().value(1, 1)
    }

    /// The `UNH`.
    pub fn header(&self) -> Segment<'d> {
        Segment::at(self.document, self.document.messages[self.index].segments.0)
    }

    /// All segments, `UNH` and `UNT` among them.
    pub fn segments(&self) -> Segments<'d> {
        let (first, last) = self.document.messages[self.index].segments;
        Segments { document: self.document, first, last }
    }

    /// Its interchange.
    pub fn interchange(&self) -> Interchange<'d> {
        let index = self.document.messages[self.index].interchange as usize;
        Interchange { document: self.document, index }
    }

    /// Its group, where it is in one.
    pub fn group(&self) -> Option<Group<'d>> {
        let index = self.document.messages[self.index].group?;
        Some(Group { document: self.document, index: index as usize })
    }

    /// Whether nothing was found that makes it untrustworthy.
    pub fn is_sound(&self) -> bool {
        self.document.messages[self.index].sound
    }

    /// The first byte of `UNH`.
    pub fn offset(&self) -> usize {
        self.header().offset()
    }

    /// How many bytes from `UNH` to the end of `UNT`, its terminator not counted.
    pub fn length(&self) -> usize {
        let (_, last) = self.document.messages[self.index].segments;
        let last = Segment::at(self.document, last - 1);
        last.offset() + last.length() - self.offset()
    }

    /// The place of an element or component for people, `UNH+4711+DESADV/CPS[2]/LIN[1]/QTY/1/2`; element 0 is the
    /// segment itself, component 0 the element.
    ///
    /// It walks the message, so it is for diagnostics and not for every value.
    pub fn path(&self, segment: Segment<'_>, element: usize, component: usize) -> String {
        self.place_name(segment.entry, segment.index, element, component)
    }

    pub(super) fn place_name(
        &self,
        entry: &SegmentEntry,
        index: u32,
        element: usize,
        component: usize,
    ) -> String {
        let header = self.header();
        let mut path = format!("UNH+{}+{}", header.value(1, 1), header.value(2, 1));
        let (first, last) = self.document.messages[self.index].segments;
        let name_at = |at: u32| name_of(&self.document.segments[at as usize]);
        let name = name_of(entry);
        let mut scope = first + 1;
        if index > first {
            // What sums a message up follows its last group without belonging to it.
            let summary = (first + 1..=index).rev().find(|at| matches!(name_at(*at), "UNS" | "UNT"));
            scope = summary.unwrap_or(scope);
            let anchors = if summary.is_some() { &[] } else { ANCHORS };
            for anchor in anchors {
                let Some(at) = (scope..=index).rev().find(|at| name_at(*at) == *anchor) else { continue };
                let count = (scope..=at).filter(|at| name_at(*at) == *anchor).count();
                path.push_str(&format!("/{anchor}[{count}]"));
                scope = at + 1;
                if at == index {
                    return with_element(path, element, component);
                }
            }
            let end = (index + 1..last).find(|at| ANCHORS.contains(&name_at(*at))).unwrap_or(last);
            let before = (scope..index).filter(|at| name_at(*at) == name).count();
            let after = (index + 1..end).any(|at| name_at(at) == name);
            path.push('/');
            path.push_str(if name.is_empty() { "?" } else { name });
            if before > 0 || after {
                path.push_str(&format!("[{}]", before + 1));
            }
        }
        with_element(path, element, component)
    }
}

/// Segments that begin the groups people speak of, from the outside in: a pack, a consignment, a goods item or line.
const ANCHORS: &[&str] = &["CPS", "CNI", "GID", "LIN"];

fn with_element(mut path: String, element: usize, component: usize) -> String {
    if element > 0 {
        path.push_str(&format!("/{element}"));
        if component > 0 {
            path.push_str(&format!("/{component}"));
        }
    }
    path
}

impl<'d> Segments<'d> {
    /// How many.
    pub fn len(&self) -> usize {
        (self.last - self.first) as usize
    }

    /// Never: a message has at least its `UNH`.
    pub fn is_empty(&self) -> bool {
        self.first == self.last
    }

    /// The segment at this position, `UNH` at 0.
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
    fn at(document: &'d Document<'d>, index: u32) -> Self {
        Self { document, entry: &document.segments[index as usize], index }
    }

    /// The tag: `QTY`. Empty when what stands there can't be one.
    pub fn name(&self) -> &'d str {
        name_of(self.entry)
    }

    /// The first byte.
    pub fn offset(&self) -> usize {
        self.entry.span.start as usize
    }

    /// How many bytes, the terminator not counted.
    pub fn length(&self) -> usize {
        (self.entry.span.end - self.entry.span.start) as usize
    }

    /// How many elements follow the tag.
    pub fn element_count(&self) -> usize {
        self.entry.element_count as usize
    }

    /// Element `n`, counted from 1 as directories do; none beyond the last that was sent.
    pub fn element(&self, n: usize) -> Option<Element<'d>> {
        if n == 0 || n > self.element_count() {
            return None;
        }
        let entry = self.document.elements[self.entry.first_element as usize + n];
        Some(self.piece(entry.span, entry.plain))
    }

    /// The elements in their order, the tag not among them.
    pub fn elements(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let segment = *self;
        (1..=self.element_count()).filter_map(move |n| segment.element(n))
    }

    /// Component `c` of the first repetition of element `n`, if it was sent.
    pub fn component(&self, n: usize, c: usize) -> Option<Component<'d>> {
        if n == 0 || n > self.element_count() {
            return None;
        }
        let entry = self.document.elements[self.entry.first_element as usize + n];
        let place = u32::try_from(c.checked_sub(1)?).ok().filter(|place| *place < entry.count)?;
        Some(self.piece(self.document.components[(entry.first + place) as usize], entry.plain))
    }

    fn piece(&self, span: Span, plain: bool) -> Element<'d> {
        Element { document: self.document, span, interchange: self.entry.interchange, plain }
    }

    /// The value of component `c` of element `n`, without the blanks around it; empty when it was not sent.
    pub fn value(&self, n: usize, c: usize) -> Cow<'d, str> {
        self.component(n, c).map_or(Cow::Borrowed(""), |component| component.value())
    }

    /// The segment as it was sent, without its terminator.
    pub fn bytes(&self) -> &'d [u8] {
        self.document.slice(self.entry.span)
    }
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}@{}", String::from_utf8_lossy(self.bytes()), self.offset())
    }
}

impl<'d> Element<'d> {
    fn service(&self) -> Service {
        self.document.interchanges[self.interchange as usize].service
    }

    /// The first byte.
    pub fn offset(&self) -> usize {
        self.span.start as usize
    }

    /// How many bytes.
    pub fn length(&self) -> usize {
        (self.span.end - self.span.start) as usize
    }

    /// The bytes as they were sent, release characters among them.
    pub fn bytes(&self) -> &'d [u8] {
        self.document.slice(self.span)
    }

    /// The text, with its blanks, released characters standing for themselves.
    pub fn text(&self) -> Cow<'d, str> {
        match self.plain {
            true => self.document.plain(self.span, self.interchange),
            false => self.document.text(self.span, self.interchange),
        }
    }

    /// The text without the blanks around it, which pad and mean nothing.
    pub fn value(&self) -> Cow<'d, str> {
        let padded = |text: &str| {
            let pads = |byte: Option<&u8>| byte.is_some_and(|byte| *byte <= b' ' || *byte > 127);
            pads(text.as_bytes().first()) || pads(text.as_bytes().last())
        };
        match self.text() {
            text if !padded(&text) => text,
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    /// The components, at least one.
    pub fn components(&self) -> impl Iterator<Item = Component<'d>> + use<'d> {
        self.split(Some(self.service().component))
    }

    /// The repetitions, at least one.
    pub fn repetitions(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.split(self.service().repetition)
    }

    fn split(&self, mark: Option<u8>) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let element = *self;
        pieces(self.document.bytes, self.span, mark, self.service().release)
            .map(move |span| Element { span, ..element })
    }
}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}@{}", self.text(), self.offset())
    }
}

/// The pieces of a stretch between a mark that is not released, at least one.
pub(super) fn pieces(
    bytes: &[u8],
    span: Span,
    mark: Option<u8>,
    release: Option<u8>,
) -> impl Iterator<Item = Span> + use<'_> {
    let mut next = Some(span.start);
    std::iter::from_fn(move || {
        let start = next?;
        let mut released = false;
        let end = (start..span.end).find(|at| {
            let byte = bytes[*at as usize];
            let divides = !released && Some(byte) == mark;
            released = !released && Some(byte) == release;
            divides
        });
        next = end.map(|at| at + 1);
        Some(Span { start, end: end.unwrap_or(span.end) })
    })
}

fn name_of(entry: &SegmentEntry) -> &str {
    // A tag has three letters, or there is none.
    match entry.name[0] {
        b' ' => "",
        _ => core::str::from_utf8(&entry.name).unwrap_or_default(),
    }
}
