//! The components of EDIFACT interchanges (ISO 9735).

use std::{collections::BTreeMap, ops::Range};

use super::{Form, Leaf, MOST, readable};

/// Segments whose first component says what the others are about.
const QUALIFIED: [&str; 14] =
    ["ALI", "CNT", "DTM", "FTX", "GIN", "IMD", "LOC", "MEA", "MOA", "NAD", "PIA", "QTY", "RFF", "TDT"];
/// Segments that begin a loop; what follows is counted from there on.
const ANCHORS: [&str; 4] = ["CPS", "LIN", "GID", "EQD"];

/// The marks of an interchange.
struct Marks {
    component: u8,
    element: u8,
    release: u8,
    end: u8,
}

pub(super) fn find(content: &[u8]) -> Vec<Leaf> {
    let mut marks = Marks { component: b':', element: b'+', release: b'?', end: b'\'' };
    let mut start = content.iter().take_while(|byte| !byte.is_ascii_alphabetic()).count();
    if let Some(advice) = content[start..].strip_prefix(b"UNA").and_then(|rest| rest.get(..6)) {
        (marks.component, marks.element) = (advice[0], advice[1]);
        (marks.release, marks.end) = (advice[3], advice[5]);
        start += 9;
    }
    // What divides by letters is no interchange, and a letter in it could not be changed safely.
    let used = [marks.component, marks.element, marks.release, marks.end];
    if used.iter().any(u8::is_ascii_alphanumeric) {
        return Vec::new();
    }
    let mut finder = Finder {
        content,
        marks,
        found: Vec::new(),
        message: String::new(),
        loops: BTreeMap::new(),
        counts: BTreeMap::new(),
        place: String::new(),
    };
    for range in finder.split(start..content.len(), finder.marks.end) {
        finder.segment(range);
        if finder.found.len() > MOST {
            break;
        }
    }
    finder.found
}

struct Finder<'a> {
    content: &'a [u8],
    marks: Marks,
    found: Vec<Leaf>,
    /// `UNH+1+DESADV`, empty outside of a message.
    message: String,
    /// How often each loop began in the message.
    loops: BTreeMap<String, usize>,
    /// How often each segment came since the loop began.
    counts: BTreeMap<String, usize>,
    /// The loop: `UNH+1+DESADV/LIN[2]`.
    place: String,
}

impl Finder<'_> {
    /// The parts between marks that are not released.
    fn split(&self, range: Range<usize>, mark: u8) -> Vec<Range<usize>> {
        let (mut parts, mut start, mut at) = (Vec::new(), range.start, range.start);
        while at < range.end {
            let byte = self.content[at];
            if byte == self.marks.release && self.marks.release != b' ' {
                at += 2;
                continue;
            }
            if byte == mark {
                parts.push(start..at);
                start = at + 1;
            }
            at += 1;
        }
        parts.push(start..range.end);
        parts
    }

    fn segment(&mut self, range: Range<usize>) {
        let blanks = self.content[range.clone()].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let elements: Vec<Vec<Range<usize>>> = self
            .split(range.start + blanks..range.end, self.marks.element)
            .into_iter()
            .map(|element| self.split(element, self.marks.component))
            .collect();
        let value = |element: usize, component: usize| -> String {
            let range = elements.get(element).and_then(|components| components.get(component));
            range.map(|range| readable(&self.content[range.clone()])).unwrap_or_default()
        };
        let name = value(0, 0);
        if name.trim().is_empty() {
            return;
        }
        if name == "UNH" {
            self.message = format!("UNH+{}+{}", value(1, 0), value(2, 0));
            self.place.clone_from(&self.message);
            self.loops.clear();
            self.counts.clear();
        }
        let path = if self.message.is_empty() || name == "UNH" {
            if name == "UNH" { self.message.clone() } else { name.clone() }
        } else if ANCHORS.contains(&name.as_str()) {
            let count = self.loops.entry(name.clone()).or_default();
            *count += 1;
            self.place = format!("{}/{name}[{count}]", self.message);
            self.counts.clear();
            self.place.clone()
        } else {
            let count = self.counts.entry(name.clone()).or_default();
            *count += 1;
            format!("{}/{name}[{count}]", self.place)
        };
        let group =
            if QUALIFIED.contains(&name.as_str()) { format!("{name}+{}", value(1, 0)) } else { name.clone() };
        for (number, components) in elements.iter().enumerate().skip(1) {
            for (index, range) in components.iter().enumerate() {
                let bytes = &self.content[range.clone()];
                if bytes.trim_ascii().is_empty() {
                    continue;
                }
                let part =
                    if components.len() > 1 { format!("{number}/{}", index + 1) } else { number.to_string() };
                self.found.push(Leaf {
                    scheme: "edifact",
                    path: format!("{path}/{part}"),
                    range: range.clone(),
                    value: readable(bytes.trim_ascii()),
                    kind: format!("{group}[{part}]"),
                    group: Some(group.clone()),
                    form: Form::Raw,
                });
            }
        }
        if name == "UNT" {
            self.message.clear();
        }
    }
}
