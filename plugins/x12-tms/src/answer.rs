//! 990, response to a load tender: a carrier takes a shipment on, or does not.

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Canonical, Carrier, Charge, Code, Identifier, ShipmentTenderAccepted, ShipmentTenderDeclined, Time,
};
use crossdock_x12::{Problems, Reading, Zones, excerpt};

use crate::facts::Facts;
use crate::money::money;
use crate::stops::Stops;
use crate::tables::{self, Answer, CHARGES, name_of};

/// Reads a 990 into one event; none when a problem is an error.
pub fn read(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Option<Event> {
    let mut response = Response::default();
    for segment in set.segments().iter().skip(1) {
        match segment.name() {
            "SE" => {}
            "B1" => response.beginning(segment, zones, problems),
            "V9" => response.reason(segment),
            "L9" => response.charge(segment, problems),
            // An answer has no goods of its own.
            "AT8" | "PLD" | "W09" if !response.stops.is_open() => response.heading.left.segment(segment),
            "S5" => response.stops.begin(segment, problems),
            _ if response.stops.is_open() => response.stops.read(segment, zones, problems),
            _ => response.heading.read(segment, zones, problems),
        }
    }
    response.stops.end();
    if response.shipment.is_none() && !problems.refused() {
        let message = "the B1 that answers a tender is missing".to_owned();
        problems.error(set.header(), 0, "segment-missing", "5", message);
    }
    response.into_event(problems)
}

#[derive(Default)]
struct Response {
    heading: Facts,
    stops: Stops,
    shipment: Option<String>,
    answered: Option<Time>,
    code: String,
    answer: Option<Answer>,
    reason: Option<Code>,
    carrier: Carrier,
    charges: Vec<Charge>,
}

impl Response {
    fn beginning(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        if self.shipment.is_some() {
            return problems.error(
                segment,
                0,
                "segment-repeated",
                "5",
                "B1 stands twice in one set".to_owned(),
            );
        }
        let mut reading = Reading::of(segment);
        self.carrier.identifiers.extend(reading.some(1).map(Identifier::scac));
        self.shipment = Some(reading.must(2, "the shipment's number", problems));
        self.answered = reading.time(3, None, zones, problems);
        self.code = reading.must(4, "the answer", problems);
        self.answer = tables::answer(&self.code);
        if self.answer.is_none() && !self.code.is_empty() {
            let message = format!("`{}` answers no tender", excerpt(&self.code));
            problems.error(segment, 4, "unsupported-answer", "7", message);
        }
        reading.leave("B1", &mut self.heading.left);
    }

    /// V9: the event and the reason of a decline.
    fn reason(&mut self, segment: Segment<'_>) {
        if self.reason.is_some() || self.answer != Some(Answer::Declined) {
            return self.heading.left.segment(segment);
        }
        let mut reading = Reading::of(segment);
        let (list, n) = if segment.has(8) { ("x12-641", 8) } else { ("x12-304", 1) };
        let Some(code) = reading.some(n) else { return self.heading.left.segment(segment) };
        self.reason = Some(Code { list: Some(list.to_owned()), code, text: reading.some(2) });
        reading.leave("V9", &mut self.heading.left);
    }

    /// L9: what the carrier asks for it.
    fn charge(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let code = reading.must(1, "the charge's code", problems);
        let asked = reading.signed(2, "the charge", problems);
        reading.leave("L9", &mut self.heading.left);
        self.charges.push(Charge {
            kind: Some(name_of(CHARGES, &code)),
            code: Some(Code { list: Some("x12-150".to_owned()), code, text: None }),
            amount: asked.map(|asked| money(asked, None)),
            ..Charge::default()
        });
    }

    fn into_event(mut self, problems: &Problems<'_>) -> Option<Event> {
        let (Some(shipment), Some(answer), false) = (self.shipment, self.answer, problems.refused()) else {
            return None;
        };
        let mut heading = self.heading;
        heading.left.value("stops", &self.stops.left());
        heading.left.value("lines", &self.stops.goods.lines);
        heading.merge(std::mem::take(&mut self.stops.trailers));
        let extensions = heading.left.into_extensions();
        let scac = self.carrier.identifiers.first().map(|scac| scac.value.clone());
        let day = self.answered.as_ref().and_then(|time| time.date_digits());
        let carrier = Some(self.carrier).filter(|carrier| *carrier != Carrier::default());
        let said = Some(Code { list: Some("x12-558".to_owned()), code: self.code, text: None });
        // Told several times, an answer is one for each day.
        let key = |event: Event| {
            let keys = [("scac", scac), ("day", day)];
            let event = event.natural_key("shipment", &shipment).order_key("shipment", &shipment);
            keys.into_iter()
                .filter_map(|(kind, value)| Some((kind, value?)))
                .fold(event, |event, (kind, value)| event.natural_key(kind, value))
        };
        Some(match answer {
            Answer::Accepted | Answer::Conditional => key(event(
                &ShipmentTenderAccepted {
                    shipment: shipment.clone(),
                    references: heading.references,
                    answered: self.answered.clone(),
                    answer: said,
                    conditional: answer == Answer::Conditional,
                    carrier,
                    parties: heading.parties.list,
                    dates: heading.dates,
                    stops: self.stops.list,
                    equipment: heading.equipment,
                    charges: self.charges,
                    correction: None,
                    notes: heading.notes,
                    extensions,
                },
                self.answered,
            )),
            Answer::Declined | Answer::Counter => key(event(
                &ShipmentTenderDeclined {
                    shipment: shipment.clone(),
                    references: heading.references,
                    answered: self.answered.clone(),
                    answer: said,
                    reason: self.reason,
                    counter: answer == Answer::Counter,
                    carrier,
                    parties: heading.parties.list,
                    dates: heading.dates,
                    stops: self.stops.list,
                    equipment: heading.equipment,
                    charges: self.charges,
                    correction: None,
                    notes: heading.notes,
                    extensions,
                },
                self.answered,
            )),
        })
    }
}

fn event<T: Canonical>(data: &T, at: Option<Time>) -> Event {
    let event = Event::new(data);
    match at {
        Some(time) => event.occurred_at(&time),
        None => event,
    }
}
