//! Reading a transaction set: which elements were used, what was left, what was wrong and where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crossdock_edi::x12::{Segment, TransactionSet};
use crossdock_mapper::canonical::{Decimal, Extensions, Quantity, Time};
use crossdock_mapper::serde_json::{self, Map, Value};
use crossdock_mapper::{Diagnostic, Location};
use serde::Serialize;

use crate::tables::{self, Zone};

/// Diagnostics beyond this many are not told: the host takes no more of them.
const PROBLEMS_MAX: usize = 100;

/// What was wrong with one transaction set.
pub struct Problems<'d> {
    set: TransactionSet<'d>,
    list: Vec<Diagnostic>,
    refused: bool,
}

impl<'d> Problems<'d> {
    /// Nothing so far.
    pub fn new(set: TransactionSet<'d>) -> Self {
        Self { set, list: Vec::new(), refused: false }
    }

    /// An error: this set can't become an event.
    pub fn error(&mut self, at: Segment<'_>, element: usize, code: &str, standard: &str, message: String) {
        self.refused = true;
        self.tell(Diagnostic::error(code, message), at, element, standard);
    }

    /// A warning: it can, and somebody should know.
    pub fn warning(&mut self, at: Segment<'_>, element: usize, code: &str, standard: &str, message: String) {
        self.tell(Diagnostic::warning(code, message), at, element, standard);
    }

    fn tell(&mut self, diagnostic: Diagnostic, at: Segment<'_>, element: usize, standard: &str) {
        if self.list.len() >= PROBLEMS_MAX {
            return;
        }
        let (offset, length) = match at.element(element) {
            Some(element) => (element.offset(), element.length()),
            None => (at.offset(), at.length()),
        };
        let location = Location::x12(self.set.path(at, element), offset, length);
        let diagnostic = diagnostic.at(location);
        self.list.push(if standard.is_empty() { diagnostic } else { diagnostic.standard_code(standard) });
    }

    /// Whether an error was told.
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// Whether an error was told, and everything that was.
    pub fn finish(self) -> (bool, Vec<Diagnostic>) {
        (self.refused, self.list)
    }
}

/// What the model can hold of a set's values. All lists are in the order of their names.
pub struct Values<'v> {
    /// Segments whose elements become fields of the model.
    pub read: &'v [&'v str],
    /// Elements whose fields have another room than most, in bytes: text for people, and what becomes a part of a longer
    /// identifier.
    pub bounds: &'v [(&'v str, usize, usize)],
    /// Elements that name a fact in its keys.
    pub keys: &'v [(&'v str, usize)],
}

/// The room of a field in bytes. The standard allows 80 characters in most places, so what is longer came from a broken
/// file.
const BYTES_MAX: usize = 256;

impl Values<'_> {
    /// Tells of values that the model can't hold.
    pub fn check(&self, set: TransactionSet<'_>, problems: &mut Problems<'_>) {
        for segment in set.segments().iter() {
            let name = segment.name();
            if self.read.binary_search(&name).is_err() {
                continue;
            }
            let bounds = of_name(self.bounds, name, |(of, ..)| of);
            let keys = of_name(self.keys, name, |(of, _)| of);
            for (index, element) in segment.elements().enumerate() {
                let n = index + 1;
                let bound =
                    bounds.iter().find(|(_, at, _)| *at == n).map_or(BYTES_MAX, |(_, _, bound)| *bound);
                if element.length() > bound && element.value().len() > bound {
                    let message = format!("{} bytes, and {bound} are allowed here", element.value().len());
                    problems.error(segment, n, "element-too-long", "5", message);
                }
                if keys.iter().any(|(_, at)| *at == n)
                    && element.bytes().iter().any(u8::is_ascii_control)
                    && element.value().contains(char::is_control)
                {
                    let message = format!("`{}` has a control character", excerpt(&element.value()));
                    problems.error(segment, n, "invalid-character", "6", message);
                }
            }
        }
    }

    /// Whether the lists are in their order, without which nothing would be found in them.
    pub fn are_in_order(&self) -> bool {
        self.read.is_sorted() && self.bounds.is_sorted() && self.keys.is_sorted()
    }
}

/// The entries of a list for one segment.
fn of_name<'v, T>(list: &'v [T], name: &str, of: fn(&T) -> &str) -> &'v [T] {
    let first = list.partition_point(|entry| of(entry) < name);
    let count = list[first..].iter().take_while(|entry| of(entry) == name).count();
    &list[first..first + count]
}

/// One segment being read; it remembers which elements somebody asked for.
pub struct Reading<'d> {
    /// Which.
    pub segment: Segment<'d>,
    used: u64,
}

impl<'d> Reading<'d> {
    /// Of this segment nothing was asked for yet.
    pub fn of(segment: Segment<'d>) -> Self {
        Self { segment, used: 0 }
    }

    /// Element `n`, empty when it was not sent.
    pub fn take(&mut self, n: usize) -> Cow<'d, str> {
        self.used |= 1_u64.checked_shl(n as u32).unwrap_or(0);
        self.segment.value(n)
    }

    /// Element `n`, if it was sent.
    pub fn some(&mut self, n: usize) -> Option<String> {
        let value = self.take(n);
        (!value.is_empty()).then(|| value.into_owned())
    }

    /// Element `n` is kept with what was left, though it was asked for.
    pub fn keep(&mut self, n: usize) {
        self.used &= !1_u64.checked_shl(n as u32).unwrap_or(0);
    }

    /// An element that must be there.
    pub fn must(&mut self, n: usize, what: &str, problems: &mut Problems<'_>) -> String {
        let value = self.take(n).into_owned();
        if value.is_empty() {
            problems.error(self.segment, n, "element-missing", "1", format!("{what} is missing"));
        }
        value
    }

    /// A number, none when it was not sent or is none.
    pub fn number(&mut self, n: usize, what: &str, problems: &mut Problems<'_>) -> Option<Decimal> {
        let number = self.signed(n, what, problems)?;
        if number.is_negative() {
            let message = format!("{what} `{}` is negative", number.as_str());
            problems.error(self.segment, n, "negative-number", "6", message);
            return None;
        }
        Some(number)
    }

    /// A number that may be negative.
    pub fn signed(&mut self, n: usize, what: &str, problems: &mut Problems<'_>) -> Option<Decimal> {
        let value = self.take(n);
        if value.is_empty() {
            return None;
        }
        let number = Decimal::parse(&value).ok();
        if number.is_none() {
            let message = format!("{what} `{}` is no number", excerpt(&value));
            problems.error(self.segment, n, "not-a-number", "6", message);
        }
        number
    }

    /// A number with the unit of another element.
    pub fn quantity(
        &mut self,
        n: usize,
        unit: usize,
        what: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Quantity> {
        let unit = self.take(unit);
        self.number(n, what, problems).map(|number| Quantity::x12(number, &unit))
    }

    /// Who pays the carrier (element 146); a code that says more is kept.
    pub fn payment(&mut self, n: usize) -> Option<String> {
        let code = self.some(n)?;
        let payment = tables::payment(&code);
        if tables::payment_code(payment).as_deref() != Some(&*code) {
            self.keep(n);
        }
        Some(payment.to_owned())
    }

    /// A date, with a time and its code where those elements are given and sent.
    pub fn time(
        &mut self,
        date: usize,
        time: Option<(usize, usize)>,
        context: &Zones<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<Time> {
        let day = self.take(date);
        if day.is_empty() {
            return None;
        }
        let (clock, code) = match time {
            Some((time, code)) => (self.take(time), self.take(code)),
            None => (Cow::Borrowed(""), Cow::Borrowed("")),
        };
        let Some(mut local) = Time::digits(&day, &clock) else {
            let (element, standard, kind) = match (Time::digits(&day, ""), time) {
                (Some(_), Some((time, _))) => (time, "9", "time"),
                _ => (date, "8", "date"),
            };
            let message = format!("`{}` is no {kind}", excerpt(&self.segment.value(element)));
            problems.error(
                self.segment,
                element,
                if kind == "time" { "not-a-time" } else { "not-a-date" },
                standard,
                message,
            );
            return None;
        };
        if clock.is_empty() {
            if let Some((_, code_at)) = time {
                self.keep(code_at);
            }
            // A day belongs to a place whatever its zone; there is no moment to work out.
            return Some(local);
        }
        // HHMMSSDD: the tenths and hundredths of a second.
        if let (Some(fraction), Some(text)) =
            (clock.get(6..).filter(|rest| !rest.is_empty()), local.local.as_mut())
        {
            text.push('.');
            text.push_str(fraction);
        }
        match tables::zone(&code) {
            Some(Zone::Offset(offset)) => local.local.map(|local| Time::at(format!("{local}{offset}"))),
            Some(Zone::Named(zone)) => Some(local.in_zone(zone)),
            Some(Zone::Local) => Some(local.in_zone(context.zone.unwrap_or_default())),
            None => {
                if let Some((_, code_at)) = time {
                    self.keep(code_at);
                    let message = format!("`{}` is no time code, so the time stays local", excerpt(&code));
                    problems.warning(self.segment, code_at, "unknown-time-code", "7", message);
                }
                Some(local)
            }
        }
    }

    /// Hands over what nobody asked for.
    ///
    /// Segments of the same key are told apart by their number: the second is `key[2]`.
    pub fn leave(self, key: &str, left: &mut Left) {
        let nth = left.read.entry(key.to_owned()).or_insert(0);
        *nth += 1;
        let key = &numbered(key, *nth);
        for (index, element) in self.segment.elements().enumerate() {
            let n = index + 1;
            let used = n < 64 && self.used & (1 << n) != 0;
            let value = element.value();
            if !used && !value.is_empty() {
                left.elements.insert(format!("{key}/{n}"), value.into_owned());
            }
        }
    }
}

/// What is known about zones where a time carries none.
pub struct Zones<'c> {
    /// The sender's IANA zone, where the policy knows it.
    pub zone: Option<&'c str>,
}

/// So many values of one place are looked through for an equal one.
const LOOKED_THROUGH: usize = 32;

/// What the model has no place for: single elements by their place, and whole segments.
#[derive(Clone, Default)]
pub struct Left {
    elements: BTreeMap<String, String>,
    /// How many segments of a key were read, whether anything was left of them or not.
    read: BTreeMap<String, usize>,
    /// Where to go on counting the likes of a place that many stand at.
    counted: BTreeMap<String, usize>,
    segments: Vec<Vec<String>>,
    values: Vec<(&'static str, Value)>,
}

impl Left {
    /// One element, by the key of its segment: `W06`, `N9*BM*4711`, `N1*ST/N2`. Another value at the same place is counted.
    pub fn element(&mut self, key: &str, n: usize, value: String) {
        let mut place = format!("{key}/{n}");
        let mut count = 1;
        while self.elements.get(&place).is_some_and(|kept| *kept != value) {
            count += 1;
            if count == LOOKED_THROUGH {
                let next = self.counted.entry(format!("{key}/{n}")).or_insert(count);
                count = *next;
                *next += 1;
            }
            place = format!("{key}[{count}]/{n}");
        }
        self.elements.insert(place, value);
    }

    /// A whole segment.
    pub fn segment(&mut self, segment: Segment<'_>) {
        let values = segment.elements().map(|element| element.value().into_owned());
        let mut values: Vec<_> = std::iter::once(segment.name().to_owned()).chain(values).collect();
        // Separators behind the last value say nothing.
        let last = values.iter().rposition(|value| !value.is_empty()).unwrap_or_default();
        values.truncate(last + 1);
        self.segments.push(values);
    }

    /// How many elements and segments.
    pub fn len(&self) -> usize {
        self.elements.len() + self.segments.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.values.is_empty()
    }

    /// Takes over what was left elsewhere, of segments that come after its own.
    pub fn merge(&mut self, other: Self) {
        for (place, value) in other.elements {
            let Some((key, n)) = place.rsplit_once('/') else { continue };
            let (key, nth) = number_of(key);
            let before = self.read.get(key).copied().unwrap_or_default();
            self.elements.insert(format!("{}/{n}", numbered(key, before + nth)), value);
        }
        for (key, count) in other.read {
            *self.read.entry(key).or_insert(0) += count;
        }
        self.segments.extend(other.segments);
        self.values.extend(other.values);
    }

    /// Something that was understood but that this kind of event has no place for.
    pub fn value(&mut self, name: &'static str, value: &impl Serialize) {
        // By way of text, for which the model has its code already.
        let text = serde_json::to_vec(value).unwrap_or_default();
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            self.values.push((name, value));
        }
    }

    /// As `extensions.x12`; nothing when nothing is left.
    pub fn into_extensions(self) -> Extensions {
        let text = |text: String| Value::String(text);
        let mut content = Map::new();
        if !self.elements.is_empty() {
            let mut elements = Map::new();
            for (place, value) in self.elements {
                elements.insert(place, text(value));
            }
            content.insert("elements".to_owned(), Value::Object(elements));
        }
        if !self.segments.is_empty() {
            let segments = self.segments.into_iter();
            let segments = segments.map(|values| Value::Array(values.into_iter().map(text).collect()));
            content.insert("segments".to_owned(), Value::Array(segments.collect()));
        }
        for (name, value) in self.values {
            content.insert(name.to_owned(), value);
        }
        let mut extensions = Extensions::new();
        if !content.is_empty() {
            extensions.insert("x12".to_owned(), Value::Object(content));
        }
        extensions
    }
}

/// The key of the nth segment that has it.
pub(crate) fn numbered(key: &str, nth: usize) -> String {
    if nth > 1 { format!("{key}[{nth}]") } else { key.to_owned() }
}

/// A key without the number of its segment, and that number.
fn number_of(key: &str) -> (&str, usize) {
    let numbered = key.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    let read = numbered.and_then(|(key, nth)| Some((key, nth.parse().ok()?)));
    read.unwrap_or((key, 1))
}

/// As much of a sender's value as a message can hold.
pub fn excerpt(text: &str) -> String {
    text.chars()
        .take(40)
        .map(|character| if character.is_control() { '\u{FFFD}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use crossdock_edi::x12::Document;

    use super::*;

    /// What is left of the segments of a set, where nobody asks for their second element.
    fn left_of(segments: &str) -> Left {
        let text = format!("ST*214*0001~{segments}SE*9*0001~");
        let document = Document::read(text.as_bytes()).unwrap();
        let mut left = Left::default();
        for set in document.sets() {
            for segment in set.segments().iter().filter(|segment| segment.name() == "M7") {
                let mut reading = Reading::of(segment);
                reading.take(1);
                reading.leave("M7", &mut left);
            }
        }
        left
    }

    fn places(left: &Left) -> Vec<(&str, &str)> {
        left.elements.iter().map(|(place, value)| (place.as_str(), value.as_str())).collect()
    }

    #[test]
    fn what_is_left_of_segments_with_one_key_is_told_apart_by_their_number() {
        let left = left_of("M7*A*SH~M7*B~M7*C*SH~");
        assert_eq!(places(&left), [("M7/2", "SH"), ("M7[3]/2", "SH")]);
    }

    #[test]
    fn what_is_left_elsewhere_is_counted_on() {
        let mut left = left_of("M7*A*SH~M7*B~");
        left.merge(left_of("M7*C*CA~M7*D*CU~"));
        assert_eq!(places(&left), [("M7/2", "SH"), ("M7[3]/2", "CA"), ("M7[4]/2", "CU")]);
    }

    #[test]
    fn many_values_of_one_place_are_all_kept() {
        let mut left = Left::default();
        for value in 0..1000 {
            left.element("NTE", 3, value.to_string());
            left.element("NTE", 3, "0".to_owned());
        }
        assert_eq!(left.elements.len(), 1000);
    }
}
