//! What all transport sets say in the same segments: references, parties, dates, remarks, equipment, weights.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{
    Dated, Equipment, Identifier, Note, Quantity, Reference, Temperature, Time, Totals,
};
use crossdock_x12::{Left, Parties, Problems, Reading, Zones, excerpt};

use crate::tables::{self, DATES, EQUIPMENT, NOTES, REFERENCES, code_of, name_of};

/// A heading, or one loop, as far as it is read.
#[derive(Clone)]
pub struct Facts {
    pub references: Vec<Reference>,
    pub parties: Parties,
    pub dates: Vec<Dated>,
    pub notes: Vec<Note>,
    pub equipment: Vec<Equipment>,
    pub temperature: Option<Temperature>,
    pub totals: Option<Totals>,
    pub left: Left,
    seals_of: Option<usize>,
    /// Whether an AT8 was there.
    weighed: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            references: Vec::new(),
            parties: Parties::new("G61"),
            dates: Vec::new(),
            notes: Vec::new(),
            equipment: Vec::new(),
            temperature: None,
            totals: None,
            left: Left::default(),
            seals_of: None,
            weighed: false,
        }
    }
}

impl Facts {
    /// The reference, of the first of these kinds that is there, that stands for the number of the shipment: it is
    /// missing in element `element` of `begin`.
    pub fn shipment_by_reference(
        &self,
        kinds: &[&str],
        begin: Segment<'_>,
        element: usize,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let (kind, value) =
            kinds.iter().find_map(|kind| Some((kind, Reference::find(&self.references, kind)?)))?;
        let message = format!("the shipment's number is missing; its {kind} `{}` was taken", excerpt(value));
        problems.warning(begin, element, "shipment-missing", "1", message);
        Some(value.to_owned())
    }

    /// Reads a segment; those without a place in the model are kept whole.
    pub fn read(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match segment.name() {
            "N1" | "N2" | "N3" | "N4" | "G61" | "PER" => {
                if !self.parties.read(segment, &mut self.left, problems) {
                    self.left.segment(segment);
                }
            }
            "L11" | "N9" => self.references.extend(reference(segment, &mut self.left)),
            "G62" => self.dates.extend(date(segment, zones, &mut self.left, problems)),
            "NTE" => self.note(segment),
            "K1" => self.remark(segment),
            "N7" => self.equipment(segment),
            "M7" => self.seals(segment),
            "W09" => self.temperature(segment, problems),
            "AT8" => self.weights(segment, problems),
            "PLD" => self.pallets(segment, problems),
            _ => self.left.segment(segment),
        }
    }

    /// Takes over what another says; of what there is one, its own stays unless the other has it.
    pub fn merge(&mut self, more: Self) {
        self.references.extend(more.references);
        self.parties.list.extend(more.parties.list);
        self.notes.extend(more.notes);
        self.dates.extend(more.dates);
        self.temperature = more.temperature.or(self.temperature.take());
        // The nearer totals count; those around them are kept.
        if let (Some(around), Some(_)) = (&self.totals, &more.totals) {
            self.left.value("totals_around", around);
        }
        self.totals = more.totals.or(self.totals.take());
        self.equipment.extend(more.equipment);
        self.left.merge(more.left);
    }

    /// How much it says, roughly.
    pub fn said(&self) -> usize {
        self.references.len()
            + self.parties.list.len()
            + self.notes.len()
            + self.dates.len()
            + self.equipment.len()
            + self.left.len()
    }

    fn note(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let (code, text) = (reading.take(1), reading.take(2));
        if text.is_empty() {
            return self.left.segment(segment);
        }
        let kind = (!code.is_empty()).then(|| name_of(NOTES, &code));
        if kind.as_deref() == Some("other") {
            reading.keep(1);
        }
        self.notes.push(Note { kind, text: text.into_owned() });
        reading.leave("NTE", &mut self.left);
    }

    /// K1 has two texts of thirty characters, which are remarks both.
    fn remark(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        for text in [reading.some(1), reading.some(2)].into_iter().flatten() {
            self.notes.push(Note { kind: None, text });
        }
        reading.leave("K1", &mut self.left);
    }

    fn equipment(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let number = format!("{}{}", reading.take(1), reading.take(2));
        let kind = reading.some(11).map(|code| name_of(EQUIPMENT, &code));
        if code_of(EQUIPMENT, kind.as_deref().unwrap_or_default()).as_deref() != Some(&*segment.value(11)) {
            reading.keep(11);
        }
        let type_code = reading.some(22);
        reading.leave(&format!("N7*{number}"), &mut self.left);
        let identifiers = identified(kind.as_deref(), number).into_iter().collect();
        self.equipment.push(Equipment { kind, identifiers, type_code, ..Equipment::default() });
        self.seals_of = Some(self.equipment.len() - 1);
    }

    fn seals(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let seals = (1..=4).filter_map(|n| reading.some(n)).collect::<Vec<_>>();
        let of = *self.seals_of.get_or_insert_with(|| {
            self.equipment.push(Equipment::default());
            self.equipment.len() - 1
        });
        let first = seals.first().map(String::as_str).unwrap_or_default();
        reading.leave(&format!("M7*{first}"), &mut self.left);
        self.equipment[of].seals.extend(seals);
    }

    /// W09 gives one or two temperatures with their units; two are the range.
    fn temperature(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.temperature.is_some() {
            return self.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let mut degrees = |n: usize| {
            let value = reading.signed(n, "the temperature", problems)?;
            let unit = reading.take(n + 1);
            let known = match &*unit {
                "FA" => Some("FAH"),
                "CE" => Some("CEL"),
                _ => None,
            };
            Some(Quantity::new(value, known, &unit))
        };
        let temperature = match (degrees(2), degrees(4)) {
            (Some(first), Some(second)) => {
                let colder_first = first.value.compare(&second.value).is_le();
                let (minimum, maximum) = if colder_first { (first, second) } else { (second, first) };
                Temperature { minimum: Some(minimum), maximum: Some(maximum), set_point: None }
            }
            (first, second) => Temperature { set_point: first.or(second), ..Temperature::default() },
        };
        self.temperature = Some(temperature).filter(|read| *read != Temperature::default());
        reading.leave("W09", &mut self.left);
    }

    /// AT8: weight, handling units, pieces, volume. What was said before of the same is kept.
    fn weights(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let said = self.totals.get_or_insert_default();
        let is_said = said.weight.is_some() && segment.has(3) || said.volume.is_some() && segment.has(7);
        if std::mem::replace(&mut self.weighed, true) || is_said {
            return self.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        if said.weight.is_none() {
            said.weight = weight(&mut reading, 3, 2, problems);
        }
        if said.packs.is_none() {
            said.packs = count(&mut reading, 4, "the number of handling units", problems);
        }
        if said.units.is_none() {
            said.units = count(&mut reading, 5, "the number of pieces", problems);
        }
        if said.volume.is_none() {
            said.volume = volume(&mut reading, 7, 6, problems);
        }
        if *said == Totals::default() {
            self.totals = None;
        }
        reading.leave("AT8", &mut self.left);
    }

    fn pallets(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        if self.totals.as_ref().is_some_and(|totals| totals.packs.is_some()) {
            return self.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let pallets = reading.number(1, "the number of pallets", problems);
        reading.leave("PLD", &mut self.left);
        if let Some(pallets) = pallets {
            self.totals.get_or_insert_default().packs = Some(Quantity::new(pallets, Some("PF"), ""));
        }
    }
}

/// An L11 or N9 as a reference; what it says beside its number is left.
pub fn reference(segment: Segment<'_>, left: &mut Left) -> Option<Reference> {
    let (number, qualifier) = if segment.name() == "L11" { (1, 2) } else { (2, 1) };
    let mut reading = Reading::of(segment);
    let (value, code) = (reading.take(number), reading.take(qualifier));
    if value.is_empty() {
        left.segment(segment);
        return None;
    }
    let name = segment.name();
    let kind = name_of(REFERENCES, &code);
    reading.leave(&format!("{name}*{code}*{value}"), left);
    Some(Reference::new(&kind, &*value).source(&format!("{name}*{code}")))
}

/// A G62; one without a date is kept.
pub fn date(
    segment: Segment<'_>,
    zones: &Zones<'_>,
    left: &mut Left,
    problems: &mut Problems<'_>,
) -> Option<Dated> {
    let mut reading = Reading::of(segment);
    let qualifier = reading.take(1);
    if !segment.has(2) {
        left.segment(segment);
        return None;
    }
    let time = reading.time(2, Some((4, 5)), zones, problems)?;
    let kind = name_of(DATES, &qualifier);
    // What is left goes by the code that is written for this kind of date.
    let written = code_of(DATES, &kind).unwrap_or_default();
    if written != qualifier {
        reading.keep(1);
    }
    reading.leave(&format!("G62*{written}"), left);
    Some(Dated { kind, time })
}

/// Takes the first date of a kind out of a list.
pub fn take_date(dates: &mut Vec<Dated>, kind: &str) -> Option<Time> {
    let at = dates.iter().position(|dated| dated.kind == kind)?;
    Some(dates.remove(at).time)
}

/// The identifier of a piece of equipment by what it is.
pub fn identified(kind: Option<&str>, number: String) -> Option<Identifier> {
    let scheme = if kind == Some("container") { "container" } else { "equipment" };
    (!number.is_empty()).then(|| Identifier::new(scheme, number))
}

/// A weight with its unit of one letter.
pub fn weight(
    reading: &mut Reading<'_>,
    n: usize,
    unit: usize,
    problems: &mut Problems<'_>,
) -> Option<Quantity> {
    let value = reading.number(n, "the weight", problems)?;
    let letter = reading.take(unit);
    Some(Quantity::new(value, tables::weight_unit(&letter), &letter))
}

/// A volume with its unit of one letter.
pub fn volume(
    reading: &mut Reading<'_>,
    n: usize,
    unit: usize,
    problems: &mut Problems<'_>,
) -> Option<Quantity> {
    let value = reading.number(n, "the volume", problems)?;
    let letter = reading.take(unit);
    Some(Quantity::new(value, tables::volume_unit(&letter), &letter))
}

/// A number of things whose unit nobody says.
pub fn count(
    reading: &mut Reading<'_>,
    n: usize,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<Quantity> {
    reading.number(n, what, problems).map(|value| Quantity::new(value, None, ""))
}
