//! 211, motor carrier bill of lading: what a shipper hands over to a carrier, and where it goes.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Correction, CorrectionKind, Equipment, Identifier, Reference, ShipmentTendered, Time,
};
use crossdock_x12::{Problems, Reading, Zones};

use crate::facts::{Facts, identified};
use crate::goods::Goods;
use crate::tables::{EQUIPMENT, name_of};
use crate::tender::route;

/// Reads a 211 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut bill = Bill::default();
    for segment in set.segments().iter().skip(1) {
        match segment.name() {
            "SE" => {}
            "BOL" => bill.beginning(segment, zones, problems),
            "B2A" => bill.purpose(segment),
            "MS3" => route(segment, &mut bill.carrier, &mut bill.legs, &mut bill.heading),
            "MS2" => bill.equipment(segment),
            "N1" => {
                bill.goods.close();
                bill.heading.read(segment, zones, problems);
            }
            _ if bill.goods.read(segment, problems) => {}
            _ => bill.heading.read(segment, zones, problems),
        }
    }
    bill.goods.close();
    if bill.number.is_none() && !problems.refused() {
        let message = "the BOL that identifies the shipment is missing".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
    }
    bill.into_event(problems)
}

#[derive(Default)]
struct Bill {
    heading: Facts,
    goods: Goods,
    number: Option<String>,
    written: Option<Time>,
    purpose: String,
    carrier: Carrier,
    legs: Vec<Carrier>,
    equipment: Vec<Equipment>,
}

impl Bill {
    fn beginning(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        if self.number.is_some() {
            return problems.error(
                segment,
                0,
                "segment-repeated",
                "5",
                "BOL stands twice in one set".to_owned(),
            );
        }
        let mut reading = Reading::of(segment);
        self.carrier.identifiers.extend(reading.some(1).map(Identifier::scac));
        self.carrier.payment = reading.payment(2);
        self.number = Some(reading.must(3, "the shipment's number", problems));
        self.written = reading.time(4, Some((5, 0)), zones, problems);
        let pro = reading.some(6).map(|value| Reference::new("pro", value).source("BOL/6"));
        self.heading.references.extend(pro);
        reading.leave("BOL", &mut self.heading.left);
    }

    fn purpose(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        self.purpose = reading.take(1).into_owned();
        if !matches!(self.purpose.as_str(), "00" | "04" | "05") {
            reading.keep(1);
        }
        reading.leave("B2A", &mut self.heading.left);
    }

    /// MS2: the trailer that it is loaded into.
    fn equipment(&mut self, segment: Segment<'_>) {
        let mut reading = Reading::of(segment);
        let kind = reading.some(3).map(|code| name_of(EQUIPMENT, &code));
        let number = reading.take(2).into_owned();
        reading.leave("MS2", &mut self.heading.left);
        let identifiers = identified(kind.as_deref(), number).into_iter().collect();
        self.equipment.push(Equipment { kind, identifiers, ..Equipment::default() });
    }

    fn into_event(self, problems: &Problems<'_>) -> Option<Event> {
        let (Some(number), false) = (self.number, problems.refused()) else { return None };
        let mut heading = self.heading;
        let (purpose, correction) = match self.purpose.as_str() {
            "" | "00" => ("original", None),
            "04" => ("change", Some(CorrectionKind::Change)),
            "05" => ("replace", Some(CorrectionKind::Replacement)),
            "01" | "03" => ("other", Some(CorrectionKind::Reversal)),
            _ => ("other", None),
        };
        let corrects = correction.is_some();
        heading.equipment.extend(self.equipment);
        let data = ShipmentTendered {
            shipment: number.clone(),
            purpose: Some(purpose.to_owned()),
            // Not a question any more: the carrier has the goods, or is about to.
            kind: Some("instruction".to_owned()),
            references: heading.references,
            tendered: self.written.clone(),
            dates: heading.dates,
            parties: heading.parties.list,
            carrier: Some(self.carrier).filter(|carrier| *carrier != Carrier::default()),
            legs: self.legs,
            equipment: heading.equipment,
            lines: self.goods.lines,
            temperature: heading.temperature,
            totals: heading.totals,
            correction: correction.map(|kind| Correction {
                kind,
                corrects: vec![Reference::new("bol", &number)],
                reason: None,
            }),
            notes: heading.notes,
            extensions: heading.left.into_extensions(),
            ..ShipmentTendered::default()
        };
        // A bill of lading and the tender before it are two facts of one shipment.
        let event = Event::new(&data).natural_key("bol", &number).order_key("shipment", &number);
        let event = if corrects { event.corrects("bol", &number) } else { event };
        Some(match &self.written {
            Some(time) => event.occurred_at(time),
            None => event,
        })
    }
}
