//! The goods of a stop or a bill of lading: OID, LAD, L5, AT8, AT1 to AT4 and the dangerous goods of LH1 to LH3.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Hazard, Identifier, Item, Line, Measure, Note, Quantity, Reference};
use crossdock_x12::tables::PRODUCTS;
use crossdock_x12::{Left, Problems, Reading};

use crate::facts::{reference, volume, weight};
use crate::tables::{WEIGHTS, name_of};

/// The lines of a set as far as they are read.
#[derive(Default)]
pub struct Goods {
    pub lines: Vec<Line>,
    open: Option<Draft>,
    /// References of the order (OID) that the lines belong to.
    of_order: Vec<Reference>,
}

#[derive(Default)]
struct Draft {
    line: Line,
    left: Left,
    /// Begun by an OID or AT1 and not yet described by LAD, L5 or AT2.
    bare: bool,
    /// Begun or described by a LAD, and by no L5 yet.
    lading: bool,
    /// L501 where an L5 described it: another L5 with the same goes on.
    said: Option<String>,
}

impl Goods {
    /// Reads a segment of the goods; false for one that is about something else.
    pub fn read(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) -> bool {
        match segment.name() {
            "OID" => self.order(segment, problems),
            "AT1" => self.item(segment),
            "LAD" => self.lading(segment, problems),
            "L5" => self.description(segment),
            "AT2" => self.packaged(segment, problems),
            "LH1" => self.hazard(segment, problems),
            // The rest belongs to a line, where there is one.
            _ if self.open.is_none() => return false,
            "AT4" => self.more_words(segment),
            // Behind a LAD it is the stop's again: the weight of packages stands in the LAD.
            "AT8" if self.open.as_ref().is_some_and(|draft| draft.lading) => return false,
            "AT8" => self.weights(segment, problems),
            "LH2" => self.hazard_class(segment),
            "LH3" => self.hazard_name(segment),
            "L11" | "N9" => {
                if let Some(draft) = &mut self.open {
                    draft.line.references.extend(reference(segment, &mut draft.left));
                }
            }
            "AT3" | "G61" | "LFH" | "LEP" | "LH4" | "LH6" | "LHT" | "LHR" | "LHE" | "MAN" | "SPO" | "LX" => {
                if let Some(draft) = &mut self.open {
                    draft.left.segment(segment);
                }
            }
            // Behind an L5 these are about the goods, and elsewhere about the stop.
            "AT5" | "RTT" | "C3" | "MEA" | "PER" | "L4" => match &mut self.open {
                Some(draft) if !draft.lading && !draft.bare => draft.left.segment(segment),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// Ends the line that is open; what follows belongs to none.
    pub fn close(&mut self) {
        self.end();
        self.of_order.clear();
    }

    fn end(&mut self) {
        if let Some(Draft { mut line, left, .. }) = self.open.take() {
            line.extensions = left.into_extensions();
            self.lines.push(line);
        }
    }

    fn begin(&mut self) -> &mut Draft {
        self.end();
        let line = Line {
            number: (self.lines.len() + 1).to_string(),
            references: self.of_order.clone(),
            ..Line::default()
        };
        self.open.insert(Draft { line, ..Draft::default() })
    }

    /// The line that is still bare, or a new one.
    fn bare(&mut self) -> &mut Draft {
        if self.open.as_ref().is_none_or(|draft| !draft.bare) {
            self.begin();
        }
        let draft = self.open.get_or_insert_default();
        draft.bare = false;
        draft
    }

    /// OID: an order that the goods belong to, with what it counts and weighs.
    fn order(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        self.close();
        let mut reading = Reading::of(segment);
        for (n, kind) in [(1, "so"), (2, "po"), (3, "customer-reference")] {
            let named = reading.some(n).map(|value| Reference::new(kind, value).source(&format!("OID/{n}")));
            self.of_order.extend(named);
        }
        let ordered = reading.quantity(5, 4, "the quantity", problems);
        let measures = measures(&mut reading, (7, 6), (9, 8), "weight", problems);
        let draft = self.begin();
        draft.bare = true;
        draft.line.ordered = ordered;
        draft.line.measures = measures;
        reading.leave("OID", &mut draft.left);
    }

    /// AT1: an item of a bill of lading.
    fn item(&mut self, segment: Segment<'_>) {
        self.close();
        let draft = self.begin();
        draft.bare = true;
        Reading::of(segment).leave("AT1", &mut draft.left);
    }

    /// LAD: how many of which package form, what they weigh and what is in them.
    fn lading(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let draft = self.bare();
        draft.lading = true;
        if draft.line.ordered.is_none() {
            draft.line.ordered = packages(&mut reading, 2, 1, problems);
        }
        if draft.line.measures.is_empty() {
            draft.line.measures = measures(&mut reading, (6, 5), (0, 0), "weight", problems);
        }
        for n in [7, 9, 11] {
            let (code, value) = (reading.take(n), reading.take(n + 1));
            match value.is_empty() {
                true => reading.keep(n),
                false => {
                    let scheme = name_of(PRODUCTS, &code);
                    if scheme == "other" {
                        reading.keep(n);
                    }
                    draft.line.item.identifiers.push(Identifier::new(scheme, value.into_owned()));
                }
            }
        }
        describe(&mut draft.line, reading.some(13));
        reading.leave("LAD", &mut draft.left);
    }

    /// L5: what it is, by words and by a commodity code. Another L5 is another line, unless it only goes on in words.
    fn description(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let said = &*segment.value(1);
        let goes_on = |draft: &&mut Draft| {
            draft.said.as_deref() == Some(said) && (3..=segment.element_count()).all(|n| !segment.has(n))
        };
        if let Some(draft) = self.open.as_mut().filter(goes_on) {
            return describe(&mut draft.line, reading.some(2));
        }
        // Behind a LAD it says of the same goods what kind they are. Its words are the better ones then.
        if self.open.as_ref().is_none_or(|draft| !draft.lading) {
            self.bare();
        }
        let draft = self.open.get_or_insert_default();
        draft.lading = false;
        draft.said = Some(said.to_owned()).filter(|said| !said.is_empty());
        if segment.has(2)
            && let Some(before) = draft.line.item.description.take()
        {
            draft.left.element("LAD", 13, before);
        }
        describe(&mut draft.line, reading.some(2));
        if let Some(code) = reading.some(3) {
            let scheme = match &*reading.take(4) {
                "N" => "nmfc",
                "T" => "stcc",
                "S" => "sic",
                "H" | "B" => "hs",
                _ => {
                    reading.keep(4);
                    "commodity"
                }
            };
            if scheme == "hs" {
                reading.keep(4);
            }
            draft.line.item.identifiers.push(Identifier::new(scheme, code));
        }
        reading.leave("L5", &mut draft.left);
    }

    /// AT2: packages, weight, commodity of an item of a bill of lading.
    fn packaged(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let draft = self.bare();
        draft.line.ordered = packages(&mut reading, 1, 2, problems);
        let kind = weight_kind(&mut reading, 3);
        draft.line.measures.extend(measures(&mut reading, (5, 4), (0, 0), &kind, problems));
        if let Some(code) = reading.some(9) {
            draft.line.item.identifiers.push(Identifier::new("nmfc", code));
        }
        reading.leave("AT2", &mut draft.left);
    }

    /// AT4: words, thirty or fifty letters at a time.
    fn more_words(&mut self, segment: Segment<'_>) {
        let draft = self.open.get_or_insert_default();
        describe(&mut draft.line, Reading::of(segment).some(1));
    }

    fn weights(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let draft = self.open.get_or_insert_default();
        if !draft.line.measures.is_empty() {
            return draft.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let kind = weight_kind(&mut reading, 1);
        draft.line.measures = measures(&mut reading, (3, 2), (7, 6), &kind, problems);
        if draft.line.ordered.is_none() {
            draft.line.ordered = packages(&mut reading, 4, 0, problems);
        }
        reading.leave("AT8", &mut draft.left);
    }

    /// LH1: dangerous goods of the line, which begins here where nothing came before.
    fn hazard(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        if self.open.is_none() {
            self.begin();
        }
        let draft = self.open.get_or_insert_default();
        draft.bare = false;
        if draft.line.ordered.is_none() {
            draft.line.ordered = reading.quantity(2, 1, "the quantity", problems);
        }
        let code = reading.take(3).into_owned();
        let un_number = (!code.is_empty()).then(|| code.strip_prefix("UN").unwrap_or(&code).to_owned());
        let packing_group = reading.some(10);
        reading.leave(&format!("LH1*{code}"), &mut draft.left);
        draft.line.hazards.push(Hazard { un_number, packing_group, ..Hazard::default() });
    }

    fn hazard_class(&mut self, segment: Segment<'_>) {
        let draft = self.open.get_or_insert_default();
        let Some(hazard) =
            draft.line.hazards.last_mut().filter(|hazard| hazard.class.is_none() && segment.has(1))
        else {
            return draft.left.segment(segment);
        };
        let mut reading = Reading::of(segment);
        hazard.class = reading.some(1);
        let key = format!("LH2*{}", hazard.class.as_deref().unwrap_or_default());
        reading.leave(&key, &mut draft.left);
    }

    fn hazard_name(&mut self, segment: Segment<'_>) {
        let draft = self.open.get_or_insert_default();
        let Some(hazard) =
            draft.line.hazards.last_mut().filter(|hazard| hazard.name.is_none() && segment.has(1))
        else {
            return draft.left.segment(segment);
        };
        let mut reading = Reading::of(segment);
        hazard.name = reading.some(1);
        let key = format!("LH3*{}", hazard.name.as_deref().unwrap_or_default());
        reading.leave(&key, &mut draft.left);
    }
}

/// The first words describe the item, the others go on.
fn describe(line: &mut Line, text: Option<String>) {
    let Item { description, .. } = &mut line.item;
    match (text, &description) {
        (Some(text), None) => *description = Some(text),
        (Some(text), Some(_)) => line.notes.push(Note { kind: Some("description".to_owned()), text }),
        (None, _) => {}
    }
}

/// So many packages of a form (element 211), which has no code by Recommendation 20.
fn packages(
    reading: &mut Reading<'_>,
    n: usize,
    form: usize,
    problems: &mut Problems<'_>,
) -> Option<Quantity> {
    let value = reading.number(n, "the number of packages", problems)?;
    let form = if form == 0 { String::new() } else { reading.take(form).into_owned() };
    Some(Quantity::new(value, None, &form))
}

/// The model's name of a weight qualifier (element 187).
fn weight_kind(reading: &mut Reading<'_>, n: usize) -> String {
    let code = reading.take(n);
    if code.is_empty() { "weight".to_owned() } else { name_of(WEIGHTS, &code) }
}

/// Weight and volume, each at its element with its unit of one letter; element 0 is not there.
fn measures(
    reading: &mut Reading<'_>,
    at_weight: (usize, usize),
    at_volume: (usize, usize),
    kind: &str,
    problems: &mut Problems<'_>,
) -> Vec<Measure> {
    let weight = weight(reading, at_weight.0, at_weight.1, problems);
    let volume = (at_volume.0 > 0).then(|| volume(reading, at_volume.0, at_volume.1, problems)).flatten();
    let measure = |kind: &str, quantity: Quantity| Measure {
        kind: kind.to_owned(),
        value: quantity.value,
        unit: quantity.unit,
        source_unit: quantity.source_unit,
    };
    let weight = weight.map(|weight| measure(kind, weight));
    weight.into_iter().chain(volume.map(|volume| measure("volume", volume))).collect()
}
