//! What 940 and 945 have in common: parties, references, dates, notes and items.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{
    Address, Contact, Dated, Identifier, Item, Note, Party, Quantity, Reference, Time, Totals,
};

use crate::source::{Left, Problems, Reading, Zones, excerpt};
use crate::tables::{self, DATES, NOTES, PARTY_SCHEMES, PRODUCTS, REFERENCES, ROLES, code_of, name_of};

/// The heading of a set as far as it is read.
#[derive(Default)]
pub struct Heading {
    pub references: Vec<Reference>,
    pub parties: Vec<Party>,
    pub dates: Vec<Dated>,
    pub notes: Vec<Note>,
    /// G62*11, the day that it left.
    pub shipped: Option<Time>,
    pub left: Left,
    /// Whether N2, N3, N4 and PER still belong to the last party.
    in_party: bool,
}

impl Heading {
    /// Reads a segment of the heading; those that are none are kept whole.
    pub fn read(&mut self, segment: Segment<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) {
        match (segment.name(), self.in_party) {
            ("N1", _) => self.party(segment, problems),
            ("N2" | "N3" | "N4" | "PER", true) => self.party_detail(segment),
            (name, _) => {
                self.in_party = false;
                match name {
                    "N9" => self.reference(segment),
                    "G62" => self.date(segment, zones, problems),
                    "NTE" => self.note(segment),
                    _ => self.left.segment(segment),
                }
            }
        }
    }

    fn party(&mut self, segment: Segment<'_>, problems: &mut Problems<'_>) {
        let mut reading = Reading::of(segment);
        let code = reading.must(1, "the party's role", problems);
        let mut party = Party { role: name_of(ROLES, &code), name: reading.some(2), ..Party::default() };
        party.source_role = Some(code.clone());
        let (qualifier, value) = (reading.take(3), reading.take(4));
        if !value.is_empty() {
            party.identifiers.push(Identifier::new(name_of(PARTY_SCHEMES, &qualifier), value.into_owned()));
        } else if !qualifier.is_empty() {
            reading.keep(3);
        }
        if name_of(PARTY_SCHEMES, &qualifier) == "other" {
            reading.keep(3);
        }
        reading.leave(&format!("N1*{code}"), &mut self.left);
        self.parties.push(party);
        self.in_party = true;
    }

    fn party_detail(&mut self, segment: Segment<'_>) {
        let Some(party) = self.parties.last_mut() else { return };
        let mut reading = Reading::of(segment);
        match segment.name() {
            "N3" => {
                let lines = [reading.some(1), reading.some(2)];
                party.address.get_or_insert_default().lines.extend(lines.into_iter().flatten());
            }
            "N4" => {
                let address: &mut Address = party.address.get_or_insert_default();
                let places = [&mut address.city, &mut address.region, &mut address.postal_code];
                for (n, place) in places.into_iter().enumerate() {
                    if place.is_none() {
                        *place = reading.some(n + 1);
                    }
                }
                if address.country.is_none() && is_country(&segment.value(4)) {
                    address.country = reading.some(4);
                }
            }
            "PER" => {
                let mut contact = Contact { name: reading.some(2), ..Contact::default() };
                for n in [3, 5, 7] {
                    let place = match &*segment.value(n) {
                        "TE" if contact.phone.is_none() => &mut contact.phone,
                        "EM" if contact.email.is_none() => &mut contact.email,
                        _ => continue,
                    };
                    reading.take(n);
                    *place = reading.some(n + 1);
                }
                party.contacts.push(contact);
            }
            _ => {}
        }
        let key = format!("N1*{}/{}", party.source_role.as_deref().unwrap_or_default(), segment.name());
        reading.leave(&key, &mut self.left);
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

/// Who pays the carrier (element 146); a code that says more is kept.
pub fn payment(reading: &mut Reading<'_>, n: usize) -> Option<String> {
    let code = reading.some(n)?;
    let payment = tables::payment(&code);
    if tables::payment_code(payment).as_deref() != Some(&*code) {
        reading.keep(n);
    }
    Some(payment.to_owned())
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

/// Element 26 has two capital letters, or three; a country in words is kept as it was sent.
fn is_country(code: &str) -> bool {
    matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Element 235 has two characters, always.
pub fn is_qualifier(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
