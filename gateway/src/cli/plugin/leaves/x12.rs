//! The elements of X12 interchanges, and their repetitions and components.

use std::collections::BTreeSet;

use crossdock_edi::x12::{Document, Element, Segment};

use super::{Form, Leaf, MOST, readable};

/// Segments whose first element says what the others are about, so that each kind of them stands alone.
const QUALIFIED: [&str; 17] = [
    "AMT", "CAS", "DTM", "DTP", "G61", "G62", "MAN", "N1", "N9", "NM1", "NTE", "PER", "PID", "PWK", "QTY",
    "REF", "SAC",
];

pub(super) fn find(content: &[u8]) -> Vec<Leaf> {
    let Ok(document) = Document::read(content) else { return Vec::new() };
    let mut finder = Finder::default();
    for interchange in document.interchanges() {
        for segment in interchange.header().into_iter().chain(interchange.trailer()) {
            finder.segment(segment, segment.name());
        }
    }
    for group in document.groups() {
        for segment in group.header().into_iter().chain(group.trailer()) {
            finder.segment(segment, segment.name());
        }
    }
    for set in document.sets() {
        for segment in set.segments().iter() {
            if finder.found.len() > MOST {
                return finder.found;
            }
            finder.segment(segment, &set.path(segment, 0));
        }
    }
    finder.found
}

#[derive(Default)]
struct Finder {
    found: Vec<Leaf>,
    /// Segments may be had twice, from the interchange and from a group without an envelope.
    seen: BTreeSet<usize>,
}

impl Finder {
    fn segment(&mut self, segment: Segment<'_>, place: &str) {
        if !self.seen.insert(segment.offset()) {
            return;
        }
        let name = segment.name();
        let group =
            if QUALIFIED.contains(&name) { format!("{name}*{}", segment.value(1)) } else { name.to_owned() };
        for (index, element) in segment.elements().enumerate() {
            let number = index + 1;
            // ISA11 and ISA16 are no values but the marks that divide them.
            if name == "ISA" && matches!(number, 11 | 16) {
                continue;
            }
            let repetitions: Vec<_> = element.repetitions().collect();
            for (index, repetition) in repetitions.iter().enumerate() {
                let mut path = format!("{place}/{number}");
                if repetitions.len() > 1 {
                    path.push_str(&format!("[{}]", index + 1));
                }
                let components: Vec<_> = repetition.components().collect();
                for (index, component) in components.iter().enumerate() {
                    if components.len() > 1 {
                        self.leaf(
                            *component,
                            format!("{path}/{}", index + 1),
                            &group,
                            &format!("{number}/{}", index + 1),
                        );
                    } else {
                        self.leaf(*component, path.clone(), &group, &number.to_string());
                    }
                }
            }
        }
    }

    fn leaf(&mut self, element: Element<'_>, path: String, group: &str, number: &str) {
        let bytes = element.bytes();
        if bytes.trim_ascii().is_empty() {
            return;
        }
        self.found.push(Leaf {
            scheme: "x12",
            path,
            range: element.offset()..element.offset() + element.length(),
            value: readable(bytes.trim_ascii()),
            kind: format!("{group}[{number}]"),
            group: Some(group.to_owned()),
            form: Form::Raw,
        });
    }
}
