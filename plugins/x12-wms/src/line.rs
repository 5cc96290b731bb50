//! What 940 and 945 say of one line beside its own segment: description, lots, serial numbers, references.

use std::collections::BTreeSet;

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Line, Lot, Note, Reference};

use crate::heading::reference;
use crossdock_x12::{Left, Problems, Reading, Zones, excerpt};

/// One line while it is read.
#[derive(Default)]
pub struct Draft {
    pub line: Line,
    /// The days of G62*36, to go to the line's lots.
    expiries: Vec<String>,
    pub left: Left,
}

impl Draft {
    /// Reads a segment below W01 or W12; those without a place in the model are kept whole.
    pub fn read(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match (segment.name(), &*segment.value(1)) {
            ("G69", _) => self.description(segment),
            ("N9", "LT" | "BT") if segment.has(2) => self.lot(segment),
            ("N9", "SE") if segment.has(2) => {
                let mut reading = Reading::of(segment);
                reading.take(1);
                let serial = reading.take(2).into_owned();
                reading.leave(&format!("N9*SE*{serial}"), &mut self.left);
                self.line.serials.push(serial);
            }
            ("N9", _) => self.line.references.extend(reference(segment, &mut self.left)),
            ("G62", "36") if segment.has(2) => {
                let mut reading = Reading::of(segment);
                reading.take(1);
                self.expiries.extend(reading.time(2, None, zones, problems).and_then(|time| time.local));
                reading.leave("G62*36", &mut self.left);
            }
            _ => self.left.segment(segment),
        }
    }

    fn description(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        match reading.some(1) {
            Some(text) if self.line.item.description.is_none() => self.line.item.description = Some(text),
            Some(text) => self.line.notes.push(Note { kind: Some("description".to_owned()), text }),
            None => {}
        }
        reading.leave("G69", &mut self.left);
    }

    /// A lot or a batch, which are the same thing in the words of different trades.
    fn lot(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let number = reading.take(2).into_owned();
        if reading.take(1) != "LT" {
            reading.keep(1);
        }
        if self.line.lots.iter().all(|lot| lot.number != number) {
            self.line.lots.push(Lot { number: number.clone(), ..Lot::default() });
        }
        reading.leave(&format!("N9*LT*{number}"), &mut self.left);
    }

    /// The line with everything in its place.
    pub fn finish(mut self) -> Line {
        // As many days as lots belong to them in their order; otherwise which is for which can't be told.
        if self.expiries.len() == self.line.lots.len() {
            for (lot, expiry) in self.line.lots.iter_mut().zip(self.expiries) {
                lot.expiry = Some(expiry);
            }
        } else {
            for expiry in self.expiries {
                self.left.element("G62*36", 2, expiry.replace('-', ""));
            }
        }
        self.line.extensions = self.left.into_extensions();
        self.line
    }
}

/// What stands between an LX and its first line: it is of every line of the loop.
#[derive(Default)]
pub struct Before {
    references: Vec<Reference>,
    pub left: Left,
}

impl Before {
    pub fn read(&mut self, segment: Segment<'_>) {
        match segment.name() {
            "N9" => self.references.extend(reference(segment, &mut self.left)),
            _ => self.left.segment(segment),
        }
    }

    /// What a loop without any line says is of the whole.
    pub fn hand_over(&mut self, references: &mut Vec<Reference>, left: &mut Left) {
        references.append(&mut self.references);
        left.merge(std::mem::take(&mut self.left));
    }

    /// Begins a line of the loop; the first one takes along what the model has no place for.
    pub fn begin(&mut self, mut line: Line) -> Draft {
        line.references.extend(self.references.iter().cloned());
        Draft { line, left: std::mem::take(&mut self.left), ..Draft::default() }
    }
}

/// Numbers of LX. They should count, and some senders write the same for every line.
#[derive(Default)]
pub struct Numbers {
    seen: BTreeSet<String>,
}

impl Numbers {
    /// The number of an LX, or the next one that is free where the LX repeats another.
    pub fn read(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) -> String {
        let mut number = Reading::of(segment).must(1, "the line's number", problems);
        if self.seen.contains(&number) {
            let free = (self.seen.len() + 1..).map(|count| count.to_string());
            let free = free.into_iter().find(|count| !self.seen.contains(count)).unwrap_or_default();
            let message =
                format!("line `{}` stands twice in this set; this one is read as {free}", excerpt(&number));
            problems.warning(segment, 1, "line-number-repeated", "7", message);
            number = free;
        }
        self.seen.insert(number.clone());
        number
    }
}
