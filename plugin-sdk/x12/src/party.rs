//! Parties: N1 with what follows it, N2, N3, N4, PER and G61.

use crossdock_edi::x12::Segment;
use crossdock_mapper::canonical::{Address, Contact, Identifier, Party};

use crate::source::{Left, Problems, Reading};
use crate::tables::{PARTY_SCHEMES, ROLES, name_of};

/// The parties of a set, or of one loop of it.
#[derive(Clone)]
pub struct Parties {
    /// As far as they are read.
    pub list: Vec<Party>,
    /// The segment that says in these sets whom to ask.
    contact: &'static str,
    /// Whether N2, N3, N4 and the contacts still belong to the last one.
    open: bool,
}

impl Parties {
    /// None so far. `contact` is `PER`, or `G61` where sets have that one; what is left of either goes by this name.
    pub fn new(contact: &'static str) -> Self {
        Self { list: Vec::new(), contact, open: false }
    }

    /// Reads an N1 or what belongs to the one before; false for a segment that is neither.
    pub fn read(&mut self, segment: Segment<'_>, left: &mut Left, problems: &mut Problems<'_>) -> bool {
        match (segment.name(), self.open) {
            ("N1", _) => self.begin(segment, left, problems),
            ("N2" | "N3" | "N4" | "PER", true) => self.detail(segment, left),
            ("G61", true) if self.contact == "G61" => self.detail(segment, left),
            _ => {
                self.open = false;
                return false;
            }
        }
        true
    }

    fn begin(&mut self, segment: Segment<'_>, left: &mut Left, problems: &mut Problems<'_>) {
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
        reading.leave(&format!("N1*{code}"), left);
        self.list.push(party);
        self.open = true;
    }

    fn detail(&mut self, segment: Segment<'_>, left: &mut Left) {
        let Some(party) = self.list.last_mut() else { return };
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
            "PER" | "G61" => {
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
        let name = if segment.name().starts_with('N') { segment.name() } else { self.contact };
        let key = format!("N1*{}/{name}", party.source_role.as_deref().unwrap_or_default());
        reading.leave(&key, left);
    }
}

/// Element 26 has two capital letters, or three; a country in words is kept as it was sent.
pub fn is_country(code: &str) -> bool {
    matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase())
}
