//! The packs of a shipment, and what they hold.

use std::collections::BTreeMap;

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Content, Decimal, Identifier, Line, Pack, Quantity};

use crate::tables::{MARKS, name_of};
use crossdock_x12::{Left, Reading};

/// A pack that a line is in, as its segment says it.
pub struct Mention {
    pack: usize,
    /// What stands where the standard has a description: many warehouses put the units on a pallet there.
    units: String,
    /// The key of the segment that it came from.
    key: String,
}

/// The packs of a shipment; one that is named twice is one pack.
#[derive(Default)]
pub struct Packs {
    pub list: Vec<Pack>,
    by_id: BTreeMap<String, usize>,
}

impl Packs {
    /// A MAN, or an N9*LV: a licence plate. None where it names nothing, and is kept whole.
    pub fn read(&mut self, segment: Segment<'_>, left: &mut Left) -> Option<Mention> {
        let mut reading = Reading::of(segment);
        let (qualifier, value) = (reading.take(1), reading.take(2));
        if value.is_empty() {
            left.segment(segment);
            return None;
        }
        let scheme = match segment.name() {
            "N9" if is_sscc(&value) => "sscc".to_owned(),
            "N9" => "licence-plate".to_owned(),
            _ => name_of(MARKS, &qualifier),
        };
        let identifier = match scheme.as_str() {
            "sscc" => Identifier::sscc(&*value),
            _ => Identifier::new(scheme, value.into_owned()),
        };
        let pack = self.find_or_add(identifier);
        let key = format!("{}*{qualifier}*{}", segment.name(), self.list[pack].id);
        let is_mark = segment.name() == "MAN";
        if is_mark {
            self.second_mark(pack, &mut reading);
        }
        let units = if is_mark { String::new() } else { reading.take(3).into_owned() };
        reading.leave(&key, left);
        Some(Mention { pack, units, key })
    }

    /// MAN04 and MAN05 name the same pack once more, as its carrier does.
    fn second_mark(&mut self, pack: usize, reading: &mut Reading<'_>) {
        if !(reading.segment.has(4) && reading.segment.has(5)) {
            return;
        }
        let (qualifier, value) = (reading.take(4), reading.take(5).into_owned());
        let identifier = Identifier::new(name_of(MARKS, &qualifier), value);
        let known = &mut self.list[pack].identifiers;
        if !known.contains(&identifier) {
            known.push(identifier);
        }
    }

    fn find_or_add(&mut self, identifier: Identifier) -> usize {
        let id = identifier.value.clone();
        *self.by_id.entry(id.clone()).or_insert_with(|| {
            self.list.push(Pack { id, identifiers: vec![identifier], ..Pack::default() });
            self.list.len() - 1
        })
    }

    /// Puts a line into its own packs, and into those of its loop.
    pub fn fill(&mut self, line: &mut Line, left: &mut Left, own: &[Mention], of_loop: &[Mention]) {
        let units = units(line, own);
        for (index, mention) in own.iter().enumerate() {
            let quantity = units.as_ref().map(|units| units[index].clone());
            if quantity.is_none() && !mention.units.is_empty() {
                left.element(&mention.key, 3, mention.units.clone());
            }
            self.put(mention.pack, line, quantity);
        }
        for mention in of_loop {
            self.put(mention.pack, line, None);
        }
    }

    fn put(&mut self, pack: usize, line: &mut Line, quantity: Option<Quantity>) {
        let pack = &mut self.list[pack];
        let lot = match line.lots.as_slice() {
            [lot] => Some(lot.number.clone()),
            _ => None,
        };
        pack.contents.push(Content { line: line.number.clone(), quantity, lot, ..Content::default() });
        line.packs.push(pack.id.clone());
    }
}

impl Mention {
    /// Keeps the units that nobody could read, where the pack is not of one line.
    pub fn keep_units(&self, left: &mut Left) {
        if !self.units.is_empty() {
            left.element(&self.key, 3, self.units.clone());
        }
    }
}

/// The text beside a licence plate counts units only where all of them together are what was shipped.
fn units(line: &Line, own: &[Mention]) -> Option<Vec<Quantity>> {
    let shipped = line.shipped.as_ref()?;
    let numbers: Vec<Decimal> =
        own.iter().map(|mention| Decimal::parse(&mention.units).ok()).collect::<Option<_>>()?;
    let sum = Decimal::sum(&numbers).filter(|sum| sum.compare(&shipped.value).is_eq() && !numbers.is_empty());
    sum.map(|_| numbers.into_iter().map(|value| Quantity { value, ..shipped.clone() }).collect())
}

/// 18 digits, or 20 with the application identifier 00 before them.
fn is_sscc(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
        && (value.len() == 18 || (value.len() == 20 && value.starts_with("00")))
}
