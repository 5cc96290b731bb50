//! How the parts of a document ended: what a mapper writes its functional acknowledgement from.
//!
//! The host frames the parts itself, so that an answer names every transaction set that came, those too that the
//! mapper had nothing to say about.

use bytes::Bytes;
use crossdock_edi::{edifact, x12};

use super::Reject;
use crate::words::{Diagnostic, Document, Pairs, Severity};

/// Longest value that is repeated to its sender: X12 element 724 (AK404) has room for no more.
const LONGEST_VALUE: usize = 99;

/// One unit that the host framed out of a larger document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its number, from zero.
    pub index: u32,
    /// `transaction-set`, `message`, or `document` where there is nothing to take apart.
    pub unit: String,
    /// Its first byte in the document.
    pub offset: u64,
    /// The segments that enclose it, as they were sent.
    pub envelope: Bytes,
}

/// How one part ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Which part.
    pub part: Part,
    /// Whether its events are kept.
    pub accepted: bool,
    /// What was said about it, each with what a standard's answer says besides: the segment, its position, the value.
    pub diagnostics: Vec<(Diagnostic, Pairs)>,
    /// The part's own first segment (`header`) and the last one of its group (`group-trailer`), where it has them.
    pub more: Pairs,
}

impl Outcome {
    /// Bytes that it hands to the mapper.
    pub(super) fn length(&self) -> usize {
        let pairs = |pairs: &Pairs| pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let said = |(found, more): &(Diagnostic, Pairs)| found.code.len() + found.message.len() + pairs(more);
        let diagnostics: usize = self.diagnostics.iter().map(said).sum();
        self.part.envelope.len() + self.part.unit.len() + diagnostics + pairs(&self.more)
    }
}

/// What became of a whole document.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Units that the mapper rejected.
    pub rejects: &'a [Reject],
    /// What it said besides; of a refusal, everything.
    pub diagnostics: &'a [Diagnostic],
    /// Whether what was not rejected is kept: never if the document was refused, and where an operation takes a
    /// document whole, only if nothing was rejected.
    pub kept: bool,
}

/// Every part of the document with how it ended. A document that is not taken apart is one part.
pub fn outcomes(document: &Document, ended: &Ended<'_>) -> Vec<Outcome> {
    let read = Read::of(document);
    let mut parts = match &read {
        Some(Read::X12(read)) => transaction_sets(&document.content, read),
        Some(Read::Edifact(read)) => messages(read),
        None => Vec::new(),
    };
    if parts.is_empty() {
        let unit = "document".to_owned();
        let part = Part { unit, ..Part::default() };
        parts.push(Framed { outcome: Outcome { part, ..Outcome::default() }, path: String::new() });
    }
    for framed in &mut parts {
        framed.outcome.accepted = ended.kept;
    }
    for reject in ended.rejects {
        let at = place(&parts, Some((reject.at.offset, &reject.at.path)));
        parts[at].outcome.accepted = false;
        for found in &reject.diagnostics {
            note(&mut parts[at].outcome, found, read.as_ref());
        }
    }
    for found in ended.diagnostics {
        let at = place(&parts, found.at.as_ref().map(|at| (at.offset, &at.path)));
        note(&mut parts[at].outcome, found, read.as_ref());
    }
    let mut outcomes: Vec<_> = parts.into_iter().map(|framed| framed.outcome).collect();
    if !ended.kept {
        outcomes.iter_mut().filter(|outcome| !is_wrong(outcome)).for_each(sunk);
    }
    outcomes
}

/// A part that is being put together.
struct Framed {
    outcome: Outcome,
    /// How diagnostics name it: `ST*945*0001`.
    path: String,
}

/// A document that can be taken apart.
enum Read<'a> {
    X12(x12::Document<'a>),
    Edifact(edifact::Document<'a>),
}

impl<'a> Read<'a> {
    fn of(document: &'a Document) -> Option<Self> {
        let content = document.content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&document.content);
        let begins = |names: &[&[u8]]| names.iter().any(|name| content.trim_ascii_start().starts_with(name));
        if document.media_type == "application/edifact" || begins(&[b"UNA", b"UNB"]) {
            return edifact::Document::read(&document.content).ok().map(Self::Edifact);
        }
        let is_x12 = document.media_type == "application/edi-x12" || begins(&[b"ISA"]);
        is_x12.then(|| x12::Document::read(&document.content).ok().map(Self::X12)).flatten()
    }
}

fn transaction_sets(content: &Bytes, read: &x12::Document<'_>) -> Vec<Framed> {
    let mut parts = Vec::new();
    for group in read.groups() {
        // The headers with whatever divides them: from each header's first byte to the next segment's.
        let mut envelope = Vec::new();
        for header in [group.interchange().header(), group.header()].into_iter().flatten() {
            let end = header.offset() + header.length();
            let mark = content[end..].iter().position(u8::is_ascii_alphanumeric).unwrap_or(0);
            envelope.extend_from_slice(&content[header.offset()..end + mark]);
        }
        let envelope = Bytes::from(envelope);
        let text = |segment: x12::Segment<'_>| String::from_utf8_lossy(segment.bytes()).into_owned();
        for set in group.sets() {
            let mut more = vec![("header".to_owned(), text(set.header()))];
            more.extend(group.trailer().map(|trailer| ("group-trailer".to_owned(), text(trailer))));
            let part = Part {
                index: u32::try_from(parts.len()).unwrap_or(u32::MAX),
                unit: "transaction-set".to_owned(),
                offset: set.offset() as u64,
                envelope: envelope.clone(),
            };
            parts.push(Framed {
                outcome: Outcome { part, more, ..Outcome::default() },
                path: set.path(set.header(), 0),
            });
        }
    }
    parts
}

fn messages(read: &edifact::Document<'_>) -> Vec<Framed> {
    let mut parts = Vec::new();
    for message in read.messages() {
        let interchange = message.interchange();
        let service = interchange.service();
        // The service string is always there: a part says how it is divided.
        let mut envelope = service.una().to_vec();
        for header in
            [interchange.header(), message.group().map(|group| group.header())].into_iter().flatten()
        {
            envelope.extend_from_slice(header.bytes());
            envelope.push(service.terminator);
        }
        let text = |segment: edifact::Segment<'_>| String::from_utf8_lossy(segment.bytes()).into_owned();
        let mut more = vec![("header".to_owned(), text(message.header()))];
        let trailer = message.group().and_then(|group| group.trailer());
        more.extend(trailer.map(|trailer| ("group-trailer".to_owned(), text(trailer))));
        let part = Part {
            index: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            unit: "message".to_owned(),
            offset: message.offset() as u64,
            // Messages that came without an interchange are enclosed by nothing.
            envelope: if interchange.header().is_some() { Bytes::from(envelope) } else { Bytes::new() },
        };
        let outcome = Outcome { part, more, ..Outcome::default() };
        parts.push(Framed { outcome, path: message.path(message.header(), 0, 0) });
    }
    parts
}

/// The part that a place is in. What stands between parts belongs to the one before it; what has no place, to the
/// first.
fn place(parts: &[Framed], at: Option<(Option<u64>, &String)>) -> usize {
    match at {
        Some((Some(offset), _)) => {
            let after = parts.partition_point(|framed| framed.outcome.part.offset <= offset);
            after.saturating_sub(1)
        }
        Some((None, path)) => {
            let named = |framed: &Framed| !framed.path.is_empty() && path.starts_with(&framed.path);
            parts.iter().position(named).unwrap_or(0)
        }
        None => 0,
    }
}

fn note(outcome: &mut Outcome, found: &Diagnostic, read: Option<&Read<'_>>) {
    let offset = |scheme: &str| found.at.as_ref().filter(|at| at.scheme == scheme).and_then(|at| at.offset);
    let more = match read {
        Some(Read::X12(read)) => offset("x12")
            .map(|offset| position(read, offset, found.at.as_ref().and_then(|at| at.length)))
            .unwrap_or_default(),
        Some(Read::Edifact(read)) => {
            offset("edifact").map(|offset| position_in(read, offset)).unwrap_or_default()
        }
        None => Pairs::new(),
    };
    outcome.diagnostics.push((found.clone(), more));
}

/// What a 997 says of a place: the segment, its number in the set (the ST is 1), and the value that stands there.
fn position(read: &x12::Document<'_>, offset: u64, length: Option<u64>) -> Pairs {
    let Ok(offset) = usize::try_from(offset) else { return Pairs::new() };
    let set = read.sets().take_while(|set| set.offset() <= offset).last();
    let Some(set) = set.filter(|set| offset < set.offset() + set.length()) else { return Pairs::new() };
    let found =
        set.segments().iter().enumerate().take_while(|(_, segment)| segment.offset() <= offset).last();
    let Some((before, segment)) = found else { return Pairs::new() };
    let mut more = vec![
        ("segment".to_owned(), segment.name().to_owned()),
        ("position".to_owned(), (before + 1).to_string()),
    ];
    let alike = |element: &x12::Element<'_>| {
        element.offset() == offset && length == u64::try_from(element.length()).ok()
    };
    if let Some(element) = segment.elements().find(alike) {
        let value = super::clip(&element.value(), LONGEST_VALUE);
        if !value.is_empty() {
            more.push(("value".to_owned(), value));
        }
    }
    more
}

/// What a CONTRL says of a place: the segment, and its number in the message (the UNH is 1).
fn position_in(read: &edifact::Document<'_>, offset: u64) -> Pairs {
    let Ok(offset) = usize::try_from(offset) else { return Pairs::new() };
    let message = read.messages().take_while(|message| message.offset() <= offset).last();
    let Some(message) = message.filter(|message| offset < message.offset() + message.length()) else {
        return Pairs::new();
    };
    let segments = message.segments();
    let found = segments.iter().enumerate().take_while(|(_, segment)| segment.offset() <= offset).last();
    let Some((before, segment)) = found else { return Pairs::new() };
    vec![("segment".to_owned(), segment.name().to_owned()), ("position".to_owned(), (before + 1).to_string())]
}

fn is_wrong(outcome: &Outcome) -> bool {
    outcome.diagnostics.iter().any(|(found, _)| found.severity == Severity::Error)
}

/// Says of a part that nothing was wrong with why it was not kept all the same.
fn sunk(outcome: &mut Outcome) {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: "document-refused".to_owned(),
        standard_code: None,
        at: None,
        message: "another part of the document was refused, and it is taken whole or not at all".to_owned(),
        rule: None,
    };
    outcome.diagnostics.push((diagnostic, Pairs::new()));
}
