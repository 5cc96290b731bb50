//! 204, motor carrier load tender: what a shipper asks a carrier to move, from stop to stop.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Charge, Code, Correction, CorrectionKind, Identifier, Money, Reference, ShipmentCancelled,
    ShipmentTendered,
};
use crossdock_x12::{Problems, Reading, Zones};

use crate::facts::{Facts, count, take_date, volume, weight};
use crate::money::{amount, money};
use crate::stops::Stops;
use crate::tables::{self, CHARGES, name_of};

/// Reads a 204 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut tender = Tender::default();
    for segment in set.segments().iter().skip(1) {
        match segment.name() {
            "SE" => {}
            "B2" => tender.beginning(segment, problems),
            "B2A" => tender.purpose(segment, problems),
            "MS3" => route(segment, &mut tender.carrier, &mut tender.legs, &mut tender.heading),
            "C3" if tender.currency.is_none() && !tender.stops.is_open() => {
                tender.currency = currency(segment, &mut tender.heading);
            }
            "S5" => tender.stops.begin(segment, problems),
            "L3" => tender.sum(segment, problems),
            _ if tender.stops.is_open() => tender.stops.read(segment, zones, problems),
            _ => tender.heading.read(segment, zones, problems),
        }
    }
    tender.stops.end();
    tender.into_event(set, problems)
}

#[derive(Default)]
struct Tender<'d> {
    heading: Facts,
    stops: Stops,
    begin: Option<Segment<'d>>,
    shipment: Option<String>,
    /// B2A01: `00` original, `01` cancel, `04` change, `05` replace, …
    purpose: String,
    carrier: Carrier,
    legs: Vec<Carrier>,
    charges: Vec<Charge>,
    currency: Option<String>,
}

impl<'d> Tender<'d> {
    fn beginning(&mut self, segment: Segment<'d>, problems: &mut Problems<'_>) {
        if self.begin.is_some() {
            return problems.error(
                segment,
                0,
                "segment-repeated",
                "5",
                "B2 stands twice in one set".to_owned(),
            );
        }
        self.begin = Some(segment);
        let mut reading = Reading::of(segment);
        self.carrier.identifiers.extend(reading.some(2).map(Identifier::scac));
        self.shipment = reading.some(4);
        self.carrier.payment = reading.payment(6);
        reading.leave("B2", &mut self.heading.left);
    }

    fn purpose(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        self.purpose = reading.must(1, "the purpose of the tender", problems);
        if !matches!(self.purpose.as_str(), "00" | "01" | "04" | "05") {
            reading.keep(1);
        }
        // LT is a load tender, which a 204 is anyway.
        if reading.take(2) != "LT" {
            reading.keep(2);
        }
        reading.leave("B2A", &mut self.heading.left);
    }

    /// L3: the totals and what was agreed on.
    fn sum(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        self.stops.end();
        let mut reading = Reading::of(segment);
        let totals = self.heading.totals.get_or_insert_default();
        if totals.weight.is_none() {
            totals.weight = weight(&mut reading, 1, 12, problems);
        }
        if totals.volume.is_none() {
            totals.volume = volume(&mut reading, 9, 10, problems);
        }
        if totals.units.is_none() {
            totals.units = count(&mut reading, 11, "the number of pieces", problems);
        }
        if *totals == Default::default() {
            self.heading.totals = None;
        }
        let code = reading.some(8);
        let rate = reading.number(3, "the rate", problems);
        let agreed = amount(&mut reading, 5, "the charge", problems);
        if agreed.is_some() || rate.is_some() {
            self.charges.push(Charge {
                kind: Some(code.as_deref().map_or("freight".to_owned(), |code| name_of(CHARGES, code))),
                code: code.map(|code| Code { list: Some("x12-150".to_owned()), code, text: None }),
                amount: agreed.map(|agreed| money(agreed, None)),
                rate: rate.map(|rate| money(rate, None)),
                ..Charge::default()
            });
        } else if code.is_some() {
            reading.keep(8);
        }
        reading.leave("L3", &mut self.heading.left);
    }

    fn into_event(mut self, set: TransactionSet<'_>, problems: &mut Problems<'_>) -> Option<Event> {
        let Some(begin) = self.begin else {
            let message = "the B2 that identifies the shipment is missing".to_owned();
            problems.error(set.header(), 0, "segment-missing", "5", message);
            return None;
        };
        let shipment = self.name_shipment(begin, problems);
        if self.stops.list.is_empty() && !matches!(self.purpose.as_str(), "01" | "03") {
            let message = "no S5 says where to load and unload".to_owned();
            problems.error(set.header(), 0, "segment-missing", "5", message);
        }
        if problems.refused() {
            return None;
        }
        let shipment = shipment?;
        for charge in &mut self.charges {
            for sum in [&mut charge.amount, &mut charge.rate].into_iter().flatten() {
                let Money { currency, .. } = sum;
                *currency = self.currency.clone();
            }
        }
        let scac = self.carrier.identifiers.first().map(|scac| scac.value.clone());
        let mut heading = self.heading;
        heading.left.value("stops", &self.stops.left());
        heading.merge(std::mem::take(&mut self.stops.trailers));
        let (purpose, correction) = match self.purpose.as_str() {
            "" | "00" => ("original", None),
            "04" => ("change", Some(CorrectionKind::Change)),
            "05" => ("replace", Some(CorrectionKind::Replacement)),
            _ => ("other", None),
        };
        let corrects = correction.is_some();
        let mut data = ShipmentTendered {
            shipment: shipment.clone(),
            purpose: Some(purpose.to_owned()),
            kind: Some("tender".to_owned()),
            references: heading.references,
            respond_by: take_date(&mut heading.dates, "respond-by"),
            dates: heading.dates,
            parties: heading.parties.list,
            stops: self.stops.list,
            carrier: Some(self.carrier).filter(|carrier| *carrier != Carrier::default()),
            legs: self.legs,
            equipment: heading.equipment,
            lines: self.stops.goods.lines,
            temperature: heading.temperature,
            charges: self.charges,
            totals: heading.totals,
            correction: correction.map(|kind| Correction {
                kind,
                corrects: vec![Reference::new("shipment", &shipment)],
                reason: None,
            }),
            notes: heading.notes,
            ..ShipmentTendered::default()
        };
        let key = |event: Event| {
            let event = event.natural_key("shipment", &shipment).order_key("shipment", &shipment);
            match &scac {
                Some(scac) => event.natural_key("scac", scac),
                None => event,
            }
        };
        if matches!(self.purpose.as_str(), "01" | "03") {
            let cancelled = ShipmentCancelled {
                shipment: shipment.clone(),
                references: std::mem::take(&mut data.references),
                reason: Some(Code { list: Some("x12-353".to_owned()), code: self.purpose, text: None }),
                parties: std::mem::take(&mut data.parties),
                carrier: data.carrier.take(),
                notes: std::mem::take(&mut data.notes),
                ..ShipmentCancelled::default()
            };
            // A cancellation has no place for stops, goods, dates or charges, which many senders repeat.
            heading.left.value("tender", &data);
            let extensions = heading.left.into_extensions();
            return Some(key(Event::new(&ShipmentCancelled { extensions, ..cancelled })));
        }
        data.extensions = heading.left.into_extensions();
        let event = key(Event::new(&data));
        Some(if corrects { event.corrects("shipment", &shipment) } else { event })
    }

    /// B204; where it is empty, the number that stands among the references.
    fn name_shipment(&self, begin: Segment<'_>, problems: &mut Problems<'_>) -> Option<String> {
        if self.shipment.is_some() {
            return self.shipment.clone();
        }
        let kinds = ["shipment", "load", "bol", "master-bol", "pro"];
        let named = self.heading.shipment_by_reference(&kinds, begin, 4, problems);
        if named.is_none() {
            let message = "the shipment's number is missing, and no reference stands for it".to_owned();
            problems.error(begin, 4, "element-missing", "1", message);
        }
        named
    }
}

/// MS3: how the carrier itself moves it, or who else does before and after.
pub fn route(segment: Segment<'_>, carrier: &mut Carrier, legs: &mut Vec<Carrier>, heading: &mut Facts) {
    let leg = leg(segment, heading);
    let is_own = leg.identifiers.first() == carrier.identifiers.first() && carrier.mode.is_none();
    match is_own {
        true => (carrier.mode, carrier.source_mode) = (leg.mode, leg.source_mode),
        false => legs.push(leg),
    }
}

/// MS3, or R3 of an invoice: a carrier, the city where it takes over, and how it moves.
fn leg(segment: Segment<'_>, heading: &mut Facts) -> Carrier {
    let mut reading = Reading::of(segment);
    let mut leg = Carrier::default();
    leg.identifiers.extend(reading.some(1).map(Identifier::scac));
    if let Some(code) = reading.some(4) {
        leg.mode = Some(tables::mode(&code).to_owned());
        leg.source_mode = Some(code);
    }
    let scac = segment.value(1);
    reading.leave(&format!("{}*{scac}", segment.name()), &mut heading.left);
    leg
}

/// How the carrier itself moves it; what is said of others is kept.
pub fn own_leg(segment: Segment<'_>, carrier: &mut Carrier, heading: &mut Facts) {
    let scac = carrier.identifiers.first().map_or("", |scac| &scac.value);
    if carrier.mode.is_some() || segment.value(1) != scac || !segment.has(4) {
        return heading.left.segment(segment);
    }
    let leg = leg(segment, heading);
    (carrier.mode, carrier.source_mode) = (leg.mode, leg.source_mode);
}

/// C3: the currency by ISO 4217; what is none is kept.
pub fn currency(segment: Segment<'_>, heading: &mut Facts) -> Option<String> {
    let mut reading = Reading::of(segment);
    let code = reading.take(1).into_owned();
    let known = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if !known {
        reading.keep(1);
    }
    reading.leave("C3", &mut heading.left);
    known.then_some(code)
}
