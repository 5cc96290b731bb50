//! A transaction set while it is written, and what came with the event from another X12 document.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crossdock_mapper::canonical::{Carrier, Extensions, Party, Quantity, Time, units};
use crossdock_mapper::serde_json::Value;
use crossdock_mapper::{Diagnostic, Location, Refusal};

use crate::source::numbered;
use crate::tables::{self, PARTY_SCHEMES, ROLES, code_of, name_of};

/// The segments of a set between ST and SE.
#[derive(Default)]
pub struct Sheet {
    /// In their order.
    pub rows: Vec<Row>,
}

/// One segment.
pub struct Row {
    /// The segment's name.
    pub name: String,
    /// Its elements.
    pub values: Vec<String>,
}

/// What an X12 document said and the model has no place for, to be said again in its place.
#[derive(Default)]
pub struct Kept<'e> {
    /// By their places, in order.
    elements: Vec<(&'e str, &'e str)>,
    /// How many segments of a key were written.
    written: RefCell<BTreeMap<String, usize>>,
    segments: Vec<Vec<&'e str>>,
}

impl<'e> Kept<'e> {
    /// What an event's `extensions.x12` holds.
    pub fn of(extensions: &'e Extensions) -> Self {
        extensions.get("x12").map(Self::of_value).unwrap_or_default()
    }

    /// What a value holds that has the form of `extensions.x12`.
    pub fn of_value(x12: &'e Value) -> Self {
        let Value::Object(x12) = x12 else { return Self::default() };
        let elements = x12.get("elements").and_then(Value::as_object).into_iter().flatten();
        let segments = x12.get("segments").and_then(Value::as_array).into_iter().flatten();
        Self {
            elements: elements.filter_map(|(place, value)| Some((place.as_str(), value.as_str()?))).collect(),
            segments: segments
                .filter_map(Value::as_array)
                .map(|values| values.iter().filter_map(Value::as_str).collect())
                .collect(),
            written: RefCell::default(),
        }
    }

    /// An element by its key, where it was kept.
    pub fn get(&self, key: &str) -> Option<&'e str> {
        self.from(key).next().filter(|(place, _)| *place == key).map(|(_, value)| value)
    }

    /// Whether anything was kept of a segment.
    pub fn has(&self, key: &str) -> bool {
        let prefix = format!("{key}/");
        self.from(&prefix).next().is_some_and(|(place, _)| place.starts_with(&prefix))
    }

    /// What was kept from a place on.
    fn from(&self, place: &str) -> impl Iterator<Item = (&'e str, &'e str)> {
        let first = self.elements.partition_point(|(before, _)| *before < place);
        self.elements[first..].iter().copied()
    }

    fn fill(&self, key: &str, values: &mut Vec<String>) {
        if self.elements.is_empty() {
            return;
        }
        let mut written = self.written.borrow_mut();
        let nth = written.entry(key.to_owned()).or_insert(0);
        *nth += 1;
        let prefix = format!("{}/", numbered(key, *nth));
        let of_row = self.from(&prefix).take_while(|(place, _)| place.starts_with(&prefix));
        for (place, value) in of_row {
            // No segment has more than a few dozen elements; a larger number is not from here.
            let Some(n) = place[prefix.len()..].parse::<usize>().ok().filter(|n| (1..=64).contains(n)) else {
                continue;
            };
            if values.len() < n {
                values.resize(n, String::new());
            }
            values[n - 1] = value.to_owned();
        }
    }
}

impl Sheet {
    /// Writes a segment, with what was kept of its like.
    pub fn row<V: Into<String>>(
        &mut self,
        kept: &Kept<'_>,
        key: &str,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        let mut values = values.into_iter().map(Into::into).collect();
        kept.fill(key, &mut values);
        self.rows.push(Row { name: name.to_owned(), values });
    }

    /// Writes the segments that were kept whole, but for those that follow another of their name.
    pub fn kept_segments(&mut self, kept: &Kept<'_>, elsewhere: &[&str]) {
        self.kept_where(kept, |name| !elsewhere.contains(&name));
    }

    /// Writes the segments of a name that were kept whole, because the one before them has the fields.
    pub fn kept_again(&mut self, kept: &Kept<'_>, name: &str) {
        self.kept_where(kept, |kept| kept == name);
    }

    fn kept_where(&mut self, kept: &Kept<'_>, is_meant: impl Fn(&str) -> bool) {
        for values in &kept.segments {
            if let Some((name, values)) = values.split_first().filter(|(name, _)| is_meant(name)) {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                self.rows.push(Row { name: (*name).to_owned(), values });
            }
        }
    }

    /// N1 loops; `contact` names the segment that says in this set whom to ask.
    pub fn parties(&mut self, kept: &Kept<'_>, parties: &[Party], contact: &str) {
        for party in parties {
            // Another format's code may look like one of X12 and mean somebody else.
            let own = party.source_role.as_deref().filter(|code| name_of(ROLES, code) == party.role);
            let code = own
                .map(str::to_owned)
                .or_else(|| code_of(ROLES, &party.role))
                .unwrap_or_else(|| "ZZ".to_owned());
            let identifier = party.identifiers.first();
            let qualifier =
                identifier.map(|one| code_of(PARTY_SCHEMES, &one.scheme).unwrap_or_else(|| "ZZ".to_owned()));
            let qualifier = qualifier.as_deref().unwrap_or_default();
            let value = identifier.map_or("", |one| &one.value);
            let key = format!("N1*{code}");
            self.row(kept, &key, "N1", [&code, &text(&party.name), qualifier, value]);
            let below = |name: &str| format!("{key}/{name}");
            self.kept_row(kept, &below("N2"), "N2");
            if let Some(address) = &party.address {
                for lines in address.lines.chunks(2) {
                    self.row(kept, &below("N3"), "N3", lines.iter().map(|line| clean(line)));
                }
                let place =
                    [&address.city, &address.region, &address.postal_code, &address.country].map(text);
                if place.iter().any(|value| !value.is_empty()) {
                    self.row(kept, &below("N4"), "N4", place);
                }
            }
            for person in &party.contacts {
                let mut values = vec!["IC".to_owned(), text(&person.name)];
                for (qualifier, value) in [("TE", &person.phone), ("EM", &person.email)] {
                    if let Some(value) = value {
                        values.extend([qualifier.to_owned(), value.clone()]);
                    }
                }
                self.row(kept, &below(contact), contact, values);
            }
        }
    }

    /// A segment that consists only of what was kept.
    pub fn kept_row(&mut self, kept: &Kept<'_>, key: &str, name: &str) {
        let mut values = Vec::new();
        kept.fill(key, &mut values);
        if !values.is_empty() {
            self.rows.push(Row { name: name.to_owned(), values });
        }
    }

    /// A G62; what is no date is left out, since the model holds a time that nobody could read as well.
    pub fn date(&mut self, kept: &Kept<'_>, code: &str, time: &Time) {
        if let Some([date, clock, zone]) = moment(time) {
            self.row(kept, &format!("G62*{code}"), "G62", [code, &date, "", &clock, &zone]);
        }
    }
}

/// The X12 unit of a quantity: the source's own where it is one, else the one that means the same. `at` is the quantity's
/// place in the event, as a JSON Pointer.
///
/// # Errors
/// X12 has no code for the unit.
pub fn unit(quantity: &Quantity, at: &str) -> Result<String, Refusal> {
    let own = quantity.source_unit.as_deref();
    match (quantity.unit.as_deref(), own) {
        (Some(known), Some(own)) if units::from_x12(own) == Some(known) => Ok(own.to_owned()),
        (Some(known), _) if units::to_x12(known).is_some() => {
            Ok(units::to_x12(known).unwrap_or_default().to_owned())
        }
        (None, Some(own)) if own.len() == 2 && is_code(own) => Ok(own.to_owned()),
        (None, None) => Ok(String::new()),
        (known, own) => {
            let message = format!("the unit `{}` has no code in X12", known.or(own).unwrap_or_default());
            let place = Location::json_pointer(format!("{at}/unit"));
            Err(Diagnostic::error("unit-without-code", message).at(place).into())
        }
    }
}

/// The carrier's SCAC; empty where it has none.
pub fn scac(carrier: &Carrier) -> String {
    carrier
        .identifiers
        .iter()
        .find(|identifier| identifier.scheme == "scac")
        .map(|scac| scac.value.clone())
        .unwrap_or_default()
}

/// Element 91 of a carrier; empty where it has no mode.
pub fn mode_code(carrier: &Carrier) -> String {
    let mode = carrier.mode.as_deref().unwrap_or_default();
    tables::mode_code(mode, carrier.source_mode.as_deref())
}

/// Text for people, without what would divide it: X12 has no escape.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '*' | '~' | '>') { ' ' } else { c }).collect()
}

/// Optional text for people, see [`clean`].
pub fn text(text: &Option<String>) -> String {
    text.as_deref().map(clean).unwrap_or_default()
}

/// Whether a text could be a code of X12: capital letters and digits.
pub fn is_code(code: &str) -> bool {
    code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Date, time and time code (elements 373, 337, 623) of a time; none for what is no date.
pub fn moment(time: &Time) -> Option<[String; 3]> {
    let date = time.date_digits()?;
    let mut clock = time.time_digits().unwrap_or_default();
    let fraction = fraction(time);
    match fraction.is_empty() {
        true if clock.ends_with("00") => clock.truncate(4),
        true => {}
        false => clock.push_str(&fraction),
    }
    let zone = if clock.is_empty() { String::new() } else { zone_code(time) };
    Some([date, clock, zone])
}

/// Tenths and hundredths of a second, which is all that element 337 holds.
fn fraction(time: &Time) -> String {
    let text = time.local.as_deref().or(time.at.as_deref()).unwrap_or_default();
    let digits = text.get(19..).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    digits.chars().take_while(char::is_ascii_digit).take(2).collect()
}

fn zone_code(time: &Time) -> String {
    if let (Some(zone), Some(_)) = (&time.zone, &time.local) {
        return tables::zone_code(zone).unwrap_or_default().to_owned();
    }
    let offset = time.at.as_deref().filter(|_| time.local.is_none()).and_then(|at| at.get(19..));
    offset
        .and_then(|offset| {
            tables::offset_code(offset.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()))
        })
        .unwrap_or_default()
}
