//! What 940 and 945 have in common: parties, references, dates, notes and items.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Dated, Identifier, Item, Note, Quantity, Reference, Time, Totals};

use crate::tables::{DATES, NOTES, PRODUCTS, REFERENCES, code_of, name_of};
use crossdock_x12::{Left, Parties, Problems, Reading, Zones, excerpt};

/// The heading of a set as far as it is read.
pub struct Heading {
    pub references: Vec<Reference>,
    pub parties: Parties,
    pub dates: Vec<Dated>,
    pub notes: Vec<Note>,
    /// G62*11, the day that it left.
    pub shipped: Option<Time>,
    pub left: Left,
}

impl Default for Heading {
    fn default() -> Self {
        Self {
            references: Vec::new(),
            parties: Parties::new("PER"),
            dates: Vec::new(),
            notes: Vec::new(),
            shipped: None,
            left: Left::default(),
        }
    }
}

impl Heading {
    /// Reads a segment of the heading; those that are none are kept whole.
    pub fn read(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        if self.parties.read(segment, &mut self.left, problems) {
            return;
        }
        match segment.name() {
            "N9" => self.reference(segment),
            "G62" => self.date(segment, zones, problems),
            "NTE" => self.note(segment),
            _ => self.left.segment(segment),
        }
    }

    fn reference(&mut self, segment: Segment<'_>) {
        if let Some(reference) = reference(segment, &mut self.left) {
            self.references.push(reference);
        }
    }

    fn date(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let qualifier = reading.take(1);
        if !segment.has(2) {
            self.left.segment(segment);
            return;
        }
        // The time's own qualifier (element 176) says nothing that the date's has not said; it is kept.
        let Some(time) = reading.time(2, Some((4, 5)), zones, problems) else { return };
        // What is left goes by the code that is written for this kind of date.
        let mut code = "11".to_owned();
        if qualifier == "11" && self.shipped.is_none() {
            self.shipped = Some(time);
        } else {
            let kind = name_of(DATES, &qualifier);
            let written = code_of(DATES, &kind);
            if written.as_deref() != Some(&*qualifier) {
                reading.keep(1);
            }
            code = written.unwrap_or_default();
            self.dates.push(Dated { kind, time });
        }
        reading.leave(&format!("G62*{code}"), &mut self.left);
    }

    fn note(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let (code, text) = (reading.take(1), reading.take(2));
        if text.is_empty() {
            self.left.segment(segment);
            return;
        }
        let kind = (!code.is_empty()).then(|| name_of(NOTES, &code));
        if kind.as_deref() == Some("other") {
            reading.keep(1);
        }
        self.notes.push(Note { kind, text: text.into_owned() });
        reading.leave("NTE", &mut self.left);
    }
}

/// An N9 as a reference; what it says beside its number is left.
pub fn reference(segment: Segment<'_>, left: &mut Left) -> Option<Reference> {
    let mut reading = Reading::of(segment);
    let (qualifier, value) = (reading.take(1), reading.take(2));
    if value.is_empty() {
        left.segment(segment);
        return None;
    }
    let reference =
        Reference::new(&name_of(REFERENCES, &qualifier), &*value).source(&format!("N9*{qualifier}"));
    reading.leave(&format!("N9*{qualifier}*{value}"), left);
    Some(reference)
}

/// The totals of W03 or W76: units, weight, volume.
pub fn totals(reading: &mut Reading<'_>, problems: &mut Problems<'_>) -> Totals {
    let units =
        reading.number(1, "the number of units", problems).map(|value| Quantity::new(value, None, ""));
    let weight = reading.quantity(2, 3, "the weight", problems);
    let volume = reading.quantity(4, 5, "the volume", problems);
    Totals { units, weight, volume, ..Totals::default() }
}

/// Adds a product number to an item: qualifier at `n`, value behind it.
pub fn product(reading: &mut Reading<'_>, n: usize, item: &mut Item, problems: &mut Problems<'_>) {
    let (qualifier, value) = (reading.take(n), reading.take(n + 1));
    match (qualifier.is_empty(), value.is_empty()) {
        (true, true) => {}
        (false, false) if is_qualifier(&qualifier) => {
            item.identifiers.push(Identifier::new(name_of(PRODUCTS, &qualifier), value.into_owned()));
        }
        (false, false) => {
            let message =
                format!("`{}` is no product qualifier: it has two letters or digits", excerpt(&qualifier));
            problems.error(reading.segment, n, "bad-qualifier", "7", message);
        }
        (true, false) => {
            let message = format!("the product number `{}` has no qualifier", excerpt(&value));
            problems.error(reading.segment, n, "qualifier-missing", "2", message);
        }
        (false, true) => {
            let message = format!("the qualifier `{}` has no product number", excerpt(&qualifier));
            problems.error(reading.segment, n + 1, "product-missing", "2", message);
        }
    }
}

/// The UPC case code (element 438): system, manufacturer and case code without a check digit.
pub fn upc_case(reading: &mut Reading<'_>, n: usize, item: &mut Item) {
    if let Some(code) = reading.some(n) {
        item.identifiers.push(Identifier::new("upc-case", code));
    }
}

/// Element 235 has two characters, always.
pub fn is_qualifier(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
