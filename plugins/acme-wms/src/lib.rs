//! The acme WMS confirms a shipment in JSON, with one lot and one logistic unit on each line.
//!
//! The document is read once and everything in it is borrowed from its bytes; numbers stay the digits that were sent.

mod read;

use std::borrow::Cow;

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Refusal,
    canonical::{
        Address, Carrier, Content, Decimal, Identifier, Item, Line, Lot, Pack, Party, Quantity, Reference,
        ShipmentDispatched, Time,
    },
    export,
};

use read::{Confirmation, Shipped};

/// The gateway takes that many diagnostics of one call.
const MOST_DIAGNOSTICS: usize = 100;

/// The mapper.
pub struct AcmeWms;

impl Mapper for AcmeWms {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let confirmation = Confirmation::read(&document.content)?;
        let mut mapping = Mapping { wrong: Vec::new(), warnings: Vec::new() };
        let shipment = mapping.shipment(context, &confirmation);
        let order = confirmation.order_number.trim();
        if !mapping.wrong.is_empty() {
            return Err(Refusal(mapping.wrong));
        }
        let event = Event::new(&shipment)
            .natural_key("shipment", shipment.shipment.as_str())
            .natural_key("order", order)
            .order_key("order", order)
            .order_key("shipment", shipment.shipment.as_str());
        let event = shipment.dispatched.iter().fold(event, |event, time| event.occurred_at(time));
        Ok(Mapped { diagnostics: mapping.warnings, ..Mapped::from(event) })
    }
}

export!(AcmeWms);

/// One confirmation while it becomes an event; everything that is wrong with it is kept, not only the first.
struct Mapping {
    wrong: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Mapping {
    fn shipment(&mut self, context: &Context, from: &Confirmation<'_>) -> ShipmentDispatched {
        self.key(&from.shipment_number, "/shipmentNumber");
        self.key(&from.order_number, "/orderNumber");
        let dispatched = self.time(&from.shipped_at, context.zone.as_deref());
        let mut packs = Packs::default();
        let sent = from.lines.as_deref().unwrap_or_default();
        let mut lines = Vec::with_capacity(sent.len());
        for (index, shipped) in sent.iter().enumerate() {
            lines.push(self.line(index, &shipped.0, &mut packs));
        }
        if lines.is_empty() {
            self.say("missing", "the confirmation has no lines", "/lines".to_owned());
        }
        let mut references = vec![
            Reference::new("order", from.order_number.trim()).source("orderNumber"),
            Reference::new("shipment", from.shipment_number.trim()).source("shipmentNumber"),
        ];
        references.extend(some(&from.message_id).map(|id| Reference::new("message", id).source("messageId")));
        ShipmentDispatched {
            shipment: from.shipment_number.trim().to_owned(),
            references,
            dispatched,
            parties: self.parties(from),
            carrier: some(&from.carrier_scac)
                .map(|code| Carrier { identifiers: vec![Identifier::scac(code)], ..Carrier::default() }),
            lines,
            packs: packs.packs,
            ..ShipmentDispatched::default()
        }
    }

    fn parties(&mut self, from: &Confirmation<'_>) -> Vec<Party> {
        let mut parties = Vec::with_capacity(2);
        if let Some(number) = some(&from.warehouse_gln) {
            let gln = self.checked(Identifier::gln(number), || "/warehouseGln".to_owned());
            parties.push(Party { identifiers: vec![gln], ..Party::new("ship-from") });
        }
        if let Some(read::Object(to)) = &from.ship_to {
            let country = some(&to.country);
            if let Some(code) = &country
                && !(matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase()))
            {
                self.say("not-a-country", "this is no code of a country", "/shipTo/country".to_owned());
            }
            let address = Address {
                lines: some(&to.street).into_iter().collect(),
                city: some(&to.city),
                region: some(&to.state),
                postal_code: some(&to.zip),
                country,
            };
            parties.push(Party {
                name: some(&to.name),
                address: (address != Address::default()).then_some(address),
                ..Party::new("ship-to")
            });
        }
        parties
    }

    fn line(&mut self, index: usize, shipped: &Shipped<'_>, packs: &mut Packs) -> Line {
        let place = |field: &str| format!("/lines/{index}/{field}");
        let number = (index + 1).to_string();
        let mut identifiers = Vec::with_capacity(2);
        identifiers
            .extend(some(&shipped.gtin).map(|gtin| self.checked(Identifier::gtin(gtin), || place("gtin"))));
        identifiers.extend(some(&shipped.sku).map(|sku| Identifier::new("sku", sku)));
        if identifiers.is_empty() {
            self.say("missing", "the line has neither GTIN nor SKU", place("gtin"));
        }
        let quantity = self.quantity(shipped, || place("qty"));
        let lot = some(&shipped.lot);
        let mut of_line = Vec::new();
        if let Some(sscc) = some(&shipped.sscc) {
            let sscc = self.checked(Identifier::sscc(sscc), || place("sscc"));
            of_line.push(sscc.value.clone());
            packs.put(
                sscc,
                Content {
                    line: number.clone(),
                    quantity: quantity.clone(),
                    lot: lot.clone(),
                    serials: Vec::new(),
                },
            );
        }
        Line {
            number,
            item: Item { identifiers, description: None },
            lots: lot
                .map(|number| Lot { number, quantity: quantity.clone(), ..Lot::default() })
                .into_iter()
                .collect(),
            shipped: quantity,
            packs: of_line,
            ..Line::default()
        }
    }

    fn quantity(&mut self, shipped: &Shipped<'_>, place: impl Fn() -> String) -> Option<Quantity> {
        // JSON allows an exponent and this model does not: a number is refused rather than written anew.
        let digits = shipped.quantity.get();
        if digits == "null" {
            self.say("missing", "the line has no quantity", place());
            return None;
        }
        let Ok(value) = Decimal::parse(digits) else {
            self.say(
                "not-a-number",
                "a quantity is a JSON number of at most 18 digits, without an exponent",
                place(),
            );
            return None;
        };
        if value.is_negative() {
            self.say("negative", "less than nothing cannot be shipped", place());
            return None;
        }
        Some(Quantity::new(value, unit(&shipped.unit), &shipped.unit))
    }

    /// A time states its offset, or it is local to the zone that the policy knows, or to nobody's.
    fn time(&mut self, text: &str, zone: Option<&str>) -> Option<Time> {
        let place = || "/shippedAt".to_owned();
        if text.is_empty() {
            self.must(text, place);
            return None;
        }
        match read::moment(text) {
            Some(read::Moment::Offset) => Some(Time::at(text).actual()),
            Some(read::Moment::Local) => Some(Time::local(text).in_zone(zone.unwrap_or_default()).actual()),
            None => {
                self.say("not-a-time", "a time is needed as 2026-11-23T14:05:00-06:00", place());
                None
            }
        }
    }

    /// A wrong check digit is kept and flagged, and somebody should look.
    fn checked(&mut self, identifier: Identifier, place: impl Fn() -> String) -> Identifier {
        if identifier.is_invalid() && self.warnings.len() < MOST_DIAGNOSTICS {
            let what = format!("the check digit or the length of this {} is wrong", identifier.scheme);
            self.warnings.push(Diagnostic::warning("check-digit", what).at(Location::json_pointer(place())));
        }
        identifier
    }

    /// What events are known by is there, in one line.
    fn key(&mut self, text: &str, place: &str) {
        self.must(text, || place.to_owned());
        if text.trim().contains(char::is_control) {
            self.say("not-understood", "control characters have no place in a number", place.to_owned());
        }
    }

    fn must(&mut self, text: &str, place: impl Fn() -> String) {
        if text.trim().is_empty() {
            self.say("missing", "this has to say something", place());
        }
    }

    fn say(&mut self, code: &str, what: &str, at: String) {
        if self.wrong.len() < MOST_DIAGNOSTICS {
            self.wrong.push(Diagnostic::error(code, what).at(Location::json_pointer(at)));
        }
    }
}

/// The logistic units, each once, though many lines may lie in one.
#[derive(Default)]
struct Packs {
    packs: Vec<Pack>,
    by_label: std::collections::BTreeMap<String, usize>,
}

impl Packs {
    fn put(&mut self, label: Identifier, content: Content) {
        // Lines of one unit mostly stand together.
        let last = self.packs.last().filter(|pack| pack.id == label.value).map(|_| self.packs.len() - 1);
        let at = last.unwrap_or_else(|| {
            *self.by_label.entry(label.value.clone()).or_insert_with(|| {
                let id = label.value.clone();
                self.packs.push(Pack { id, identifiers: vec![label], ..Pack::default() });
                self.packs.len() - 1
            })
        });
        self.packs[at].contents.push(content);
    }
}

/// What says something, without the blanks around it.
fn some(text: &Cow<'_, str>) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The vendor's units by Recommendation 20. Another one stays as it was sent, and unknown.
fn unit(code: &str) -> Option<&'static str> {
    Some(match code {
        "EA" => "EA",
        "CS" => "CS",
        "LB" => "LBR",
        "KG" => "KGM",
        _ => return None,
    })
}
