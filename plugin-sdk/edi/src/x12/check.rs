//! The checks of the envelope: what a document states about itself against what stands there.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::error::{Finding, Severity};
use super::read::{Reader, SegmentEntry};
use super::view::TransactionSet;

/// Findings beyond this many of one severity would be noise.
const FINDINGS_MAX: usize = 100;

impl Reader<'_> {
    pub(super) fn check_count(
        &mut self,
        trailer: u32,
        count: u32,
        of: &str,
        code: &'static str,
        standard: &'static str,
    ) {
        let stated = self.value(trailer, 1);
        if stated.parse::<u32>() != Ok(count) {
            let stand = if count == 1 { " stands" } else { "s stand" };
            let message = format!("the trailer states `{}`, but {count} {of}{stand} here", excerpt(&stated));
            self.report(Severity::Warning, code, Some(standard), trailer, 1, message);
        }
    }

    pub(super) fn check_control(
        &mut self,
        trailer: u32,
        header: u32,
        element: u32,
        code: &'static str,
        standard: &'static str,
    ) {
        let stated = self.value(trailer, 2);
        let expected = self.value(header, element);
        if stated != expected {
            let (stated, expected) = (excerpt(&stated), excerpt(&expected));
            let message = format!("the trailer's control number is `{stated}`, the header's is `{expected}`");
            self.report(Severity::Warning, code, Some(standard), trailer, 2, message);
        }
    }

    /// ISA13 should not come twice in a file, nor GS06 twice in an interchange; both may be the same thing sent again.
    pub(super) fn find_repeated_interchanges_and_groups(&mut self) {
        let mut interchanges = BTreeSet::new();
        for at in 0..self.document.interchanges.len() {
            let entry = &self.document.interchanges[at];
            let (header, (first, last)) = (entry.header, entry.groups);
            if let Some(header) = header {
                let who = [5, 6, 7, 8, 13].map(|n| self.value(header, n));
                let number = who[4].clone();
                if !interchanges.insert(who) {
                    let message = format!("interchange `{}` stands twice in this file", excerpt(&number));
                    let code = "interchange-control-number-repeated";
                    self.report(Severity::Warning, code, Some("025"), header, 13, message);
                }
            }
            let mut groups = BTreeSet::new();
            for group in first..last {
                let Some(header) = self.document.groups[group as usize].header else { continue };
                let number = self.value(header, 6);
                if !groups.insert(number.clone()) {
                    let message = format!("group `{}` stands twice in one interchange", excerpt(&number));
                    let code = "group-control-number-repeated";
                    self.report(Severity::Warning, code, Some("19"), header, 6, message);
                }
            }
        }
    }

    /// ST02 must be unique within its group; only what looks twice alike is told, since answers name sets by it.
    pub(super) fn find_repeated_control_numbers(&mut self) {
        for group in 0..self.document.groups.len() {
            let (first, last) = self.document.groups[group].sets;
            let mut seen = BTreeSet::new();
            let mut repeated = Vec::new();
            for set in first..last {
                let header = self.document.sets[set as usize].segments.0;
                let number = self.value(header, 2);
                if !seen.insert(number.clone()) {
                    repeated.push((set, header, number));
                }
            }
            for (set, header, number) in repeated {
                self.open_set = Some(set);
                let message = format!("control number `{}` stands twice in one group", excerpt(&number));
                self.report(Severity::Warning, "set-control-number-repeated", Some("23"), header, 2, message);
            }
        }
        self.open_set = None;
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        standard_code: Option<&'static str>,
        segment: u32,
        element: u32,
        message: String,
    ) {
        let set = self.open_set.map(|set| set as usize);
        if let (Some(set), Severity::Error) = (set, severity) {
            self.document.sets[set].sound = false;
        }
        let told = &mut self.counts[severity as usize];
        *told += 1;
        if *told > FINDINGS_MAX {
            return;
        }
        let entry = self.document.segments[segment as usize];
        let span = if element == 0 || element > entry.element_count {
            entry.span
        } else {
            self.document.elements[(entry.first_element + element) as usize]
        };
        let path = match set {
            Some(set) => {
                let set = TransactionSet { document: &self.document, index: set };
                set.place_name(&entry, segment, element)
            }
            None => place_outside_sets(&entry, element),
        };
        // In the order of the places; there are few.
        let before = |other: &Finding| other.offset <= span.start as usize;
        let place = self.document.findings.partition_point(before);
        self.document.findings.insert(
            place,
            Finding {
                severity,
                code,
                standard_code,
                set,
                path,
                offset: span.start as usize,
                length: (span.end - span.start) as usize,
                message,
            },
        );
    }
}

fn place_outside_sets(entry: &SegmentEntry, element: u32) -> String {
    let name = match entry.name_length {
        0 => Cow::Borrowed("?"),
        length => String::from_utf8_lossy(&entry.name[..usize::from(length)]),
    };
    if element == 0 { name.into_owned() } else { format!("{name}/{element}") }
}

/// As much of a sender's value as a message can hold.
fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let mut short: String =
        text.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}
