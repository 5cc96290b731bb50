//! Stops: the S5 loops of 204, 990 and 210.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Extensions, Place, Quantity, Stop};
use crossdock_mapper::serde_json::{Map, Value};
use crossdock_x12::{Problems, Reading, Zones};

use crate::facts::{Facts, volume, weight};
use crate::goods::Goods;
use crate::tables::{STOPS, code_of, name_of};

/// The stops of a set as far as they are read.
#[derive(Default)]
pub struct Stops {
    pub list: Vec<Stop>,
    /// The goods of all stops; each stop names its own.
    pub goods: Goods,
    /// Trailers that stand with a stop: they are of the shipment, like those of the heading.
    pub trailers: Facts,
    /// What the model has no place for, by the stop's position.
    left: Map<String, Value>,
    open: Option<(Stop, Facts)>,
    /// How many lines there were before this stop.
    lines_before: usize,
}

impl Stops {
    /// Whether what follows belongs to a stop.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Reads an S5.
    pub fn begin(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        self.end();
        let mut reading = Reading::of(segment);
        let mut facts = Facts::default();
        let mut stop = Stop { number: reading.must(1, "the stop's number", problems), ..Stop::default() };
        if let Some(code) = reading.some(2) {
            stop.kind = Some(name_of(STOPS, &code));
            stop.source_kind = Some(code);
        }
        let totals = facts.totals.get_or_insert_default();
        totals.weight = weight(&mut reading, 3, 4, problems);
        totals.units = reading.quantity(5, 6, "the number of units", problems);
        totals.volume = volume(&mut reading, 7, 8, problems);
        reading.leave("S5", &mut facts.left);
        self.lines_before = self.goods.lines.len();
        self.open = Some((stop, facts));
    }

    /// Reads a segment of the stop that is open.
    pub fn read(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        // Dates, notes, parties and trailers are the stop's own, wherever in it they stand.
        let of_stop = matches!(segment.name(), "G62" | "NTE" | "K1" | "N1" | "N7" | "M7" | "PLD");
        if matches!(segment.name(), "N1" | "N7") {
            self.goods.close();
        }
        if !of_stop && self.goods.read(segment, problems) {
            return;
        }
        match (segment.name(), &mut self.open) {
            ("N7" | "N7A" | "N7B" | "M7", _) => self.trailers.read(segment, zones, problems),
            // A temperature is of the whole shipment.
            ("W09", Some((_, facts))) => facts.left.segment(segment),
            (_, Some((_, facts))) => facts.read(segment, zones, problems),
            (_, None) => {}
        }
    }

    /// Ends the stop that is open.
    pub fn end(&mut self) {
        self.goods.close();
        let Some((mut stop, facts)) = self.open.take() else { return };
        let own = self.goods.lines.get(self.lines_before..).unwrap_or_default();
        stop.lines = own.iter().map(|line| line.number.clone()).collect();
        stop.place = facts.parties.list.first().map(|party| Place {
            role: stop.kind.clone(),
            name: party.name.clone(),
            identifiers: party.identifiers.clone(),
            address: party.address.clone(),
            ..Place::default()
        });
        stop.parties = facts.parties.list;
        stop.dates = facts.dates;
        stop.references = facts.references;
        stop.totals = facts.totals.filter(|totals| *totals != Default::default());
        stop.notes = facts.notes;
        let left: Extensions = facts.left.into_extensions();
        if let Some(left) = left.into_iter().next().map(|(_, left)| left) {
            self.left.insert((self.list.len() + 1).to_string(), left);
        }
        self.list.push(stop);
    }

    /// What the model has no place for in them, by the position of the stop.
    pub fn left(&mut self) -> Value {
        match self.left.is_empty() {
            true => Value::Null,
            false => Value::Object(std::mem::take(&mut self.left)),
        }
    }
}

/// Element 163 of a stop: the source's own code where it means that, else the first that does.
pub fn code(stop: &Stop) -> String {
    let kind = stop.kind.as_deref().unwrap_or_default();
    let own = stop.source_kind.clone().filter(|own| name_of(STOPS, own) == kind);
    own.or_else(|| code_of(STOPS, kind)).unwrap_or_default()
}

/// Whether a quantity says its unit.
pub fn has_unit(quantity: &Quantity) -> bool {
    quantity.unit.is_some() || quantity.source_unit.is_some()
}
