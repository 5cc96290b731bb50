//! The checks of the envelope: what a document states about itself against what stands there.

use std::collections::BTreeSet;

use super::error::{Finding, Severity};
use super::read::{Reader, SegmentEntry, Span};
use super::view::{Message, pieces};

/// Findings beyond this many of one severity would be noise.
const FINDINGS_MAX: usize = 100;

impl<'a> Reader<'a> {
    /// `0036` and `0074`: what the trailer counts.
    pub(super) fn check_count(&mut self, trailer: u32, count: u32, of: &str) {
        let stated = self.value(trailer, 1);
        if stated.trim().parse::<u32>() != Ok(count) {
            let plural = if count == 1 { "" } else { "s" };
            let stated =
                if stated.is_empty() { "nothing".to_owned() } else { format!("`{}`", clip(&stated)) };
            let message = format!("the trailer counts {stated}, but {count} {of}{plural} stand here");
            self.report(Severity::Warning, "count", "29", trailer, (1, 0), message);
        }
    }

    /// `0020`, `0048` and `0062`: the trailer repeats the header's reference.
    pub(super) fn check_reference(&mut self, trailer: u32, header: u32, element: u32, severity: Severity) {
        let (stated, expected) = (self.value(trailer, 2), self.value(header, element));
        if stated.trim() != expected.trim() {
            let (stated, expected) = (clip(&stated), clip(&expected));
            let message = format!("the trailer's reference is `{stated}`, the header's is `{expected}`");
            self.report(severity, "reference", "28", trailer, (2, 0), message);
        }
    }

    /// The syntax identifier and version of an interchange, and who sent it.
    pub(super) fn check_syntax(&mut self, header: u32, syntax: &str, known: bool) {
        if !known {
            let message = match syntax {
                "" => "the interchange has no syntax identifier".to_owned(),
                syntax => format!("`{}` is no syntax identifier that is known here", clip(syntax)),
            };
            let code = if syntax.is_empty() { "13" } else { "46" };
            self.report(Severity::Warning, "character-set", code, header, (1, 1), message);
        }
        let version = String::from_utf8_lossy(self.bytes_of(header, 1, 2)).into_owned();
        if known && !matches!(version.as_str(), "1" | "2" | "3" | "4") {
            let message = format!("`{}` is no syntax version", clip(&version));
            self.report(Severity::Warning, "syntax-version", "2", header, (1, 2), message);
        }
    }

    /// A message has a reference and a type.
    pub(super) fn check_message_header(&mut self, header: u32) {
        if self.value(header, 1).trim().is_empty() {
            let message = "the message has no reference".to_owned();
            self.report(Severity::Error, "reference-missing", "13", header, (1, 0), message);
        }
        if self.bytes_of(header, 2, 1).trim_ascii().is_empty() {
            let message = "the message does not say of which type it is".to_owned();
            self.report(Severity::Error, "type-missing", "13", header, (2, 1), message);
        }
    }

    /// `0062` is unique within its interchange, since answers name messages by it.
    pub(super) fn find_repeated_references(&mut self) {
        for interchange in 0..self.document.interchanges.len() {
            let (first, last) = self.document.interchanges[interchange].messages;
            let mut seen = BTreeSet::new();
            for message in first..last {
                let entry = &self.document.messages[message as usize];
                let (header, group) = (entry.segments.0, entry.group);
                let reference = self.value(header, 1);
                if !reference.is_empty() && !seen.insert((group, reference.clone())) {
                    self.open_message = Some(message);
                    let text = format!("reference `{}` stands twice in one interchange", clip(&reference));
                    self.report(Severity::Warning, "reference-repeated", "26", header, (1, 0), text);
                }
            }
        }
        self.open_message = None;
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        standard_code: &'static str,
        segment: u32,
        (element, component): (u32, u32),
        message: String,
    ) {
        let message_index = self.open_message.map(|index| index as usize);
        if let (Some(index), Severity::Error) = (message_index, severity) {
            self.document.messages[index].sound = false;
        }
        let told = &mut self.counts[severity as usize];
        *told += 1;
        if *told > FINDINGS_MAX {
            return;
        }
        let entry = self.document.segments[segment as usize];
        let span = self.span(&entry, element, component);
        let path = match message_index {
            Some(index) => {
                let of = Message { document: &self.document, index };
                of.place_name(&entry, segment, element as usize, component as usize)
            }
            None => outside(&entry, element, component),
        };
        self.document.findings.push(Finding {
            severity,
            code,
            standard_code,
            message_index,
            path,
            offset: span.start as usize,
            length: (span.end - span.start) as usize,
            message,
        });
    }

    /// Where an element or component stands; the whole segment where it was not sent.
    fn span(&self, entry: &SegmentEntry, element: u32, component: u32) -> Span {
        if element == 0 || element > entry.element_count {
            return entry.span;
        }
        let span = self.document.elements[(entry.first_element + element) as usize].span;
        match component {
            0 => span,
            component => self.component(span, component as usize).unwrap_or(span),
        }
    }

    fn component(&self, span: Span, n: usize) -> Option<Span> {
        let service = self.service;
        pieces(self.document.bytes, span, Some(service.component), service.release).nth(n.checked_sub(1)?)
    }

    fn value(&self, segment: u32, element: u32) -> String {
        let entry = self.document.segments[segment as usize];
        if element > entry.element_count {
            return String::new();
        }
        let span = self.document.elements[(entry.first_element + element) as usize].span;
        self.document.text(span, entry.interchange).into_owned()
    }

    /// The bytes of a component as they were sent.
    pub(super) fn bytes_of(&self, segment: u32, element: u32, component: usize) -> &'a [u8] {
        let entry = self.document.segments[segment as usize];
        if element > entry.element_count {
            return &[];
        }
        let span = self.document.elements[(entry.first_element + element) as usize].span;
        let bytes = self.document.slice(span);
        bytes.split(|byte| *byte == self.service.component).nth(component - 1).unwrap_or_default()
    }

    pub(super) fn excerpt(&self, segment: u32, element: u32) -> String {
        let entry = self.document.segments[segment as usize];
        let found = self.document.elements[(entry.first_element + element.min(entry.element_count)) as usize];
        clip(&String::from_utf8_lossy(self.document.slice(found.span)))
    }
}

fn outside(entry: &SegmentEntry, element: u32, component: u32) -> String {
    let name = match core::str::from_utf8(&entry.name).unwrap_or_default().trim() {
        "" => "?",
        name => name,
    };
    match (element, component) {
        (0, _) => name.to_owned(),
        (element, 0) => format!("{name}/{element}"),
        (element, component) => format!("{name}/{element}/{component}"),
    }
}

/// As much of a sender's value as a message can hold.
pub(super) fn clip(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let mut short: String =
        text.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}
