//! Reading a message: which components were used, what was left, what was wrong and where.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crossdock_edi::edifact::{Component, Message, Segment};
use crossdock_mapper::canonical::{Decimal, Extensions, Quantity};
use crossdock_mapper::serde_json::{Map, Value};
use crossdock_mapper::{Diagnostic, Location, Severity};

use crate::tables;

/// Diagnostics beyond this many are not told: the host takes no more of them.
pub const DIAGNOSTICS_MAX: usize = 100;

/// A field of the model has room for so many bytes; free text for more. Directories allow 512 at most, in most places 35.
const BYTES_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 512;

/// Segments whose components are text for people, and go into fields with more room.
const TEXTS: &[&str] = &["FTX", "IMD", "NAD", "PCI"];

/// One message being read.
pub struct Source<'d> {
    pub message: Message<'d>,
    /// The zone of times that carry none.
    pub zone: Option<&'d str>,
    /// A bit for each byte of the message: set where a component begins that somebody asked for.
    used: RefCell<Vec<u64>>,
    told: RefCell<Vec<Diagnostic>>,
    refused: Cell<bool>,
}

impl<'d> Source<'d> {
    pub fn new(message: Message<'d>, zone: Option<&'d str>) -> Self {
        let used = RefCell::new(vec![0; message.length() / 64 + 1]);
        Self { message, zone, used, told: RefCell::default(), refused: Cell::new(false) }
    }

    /// Component `c` of element `n`, empty when it was not sent.
    pub fn take(&self, segment: Segment<'d>, n: usize, c: usize) -> Cow<'d, str> {
        let Some(component) = segment.component(n, c) else { return Cow::Borrowed("") };
        self.mark(component);
        component.value()
    }

    /// Component `c` of element `n`, if it was sent.
    pub fn some(&self, segment: Segment<'d>, n: usize, c: usize) -> Option<String> {
        let value = self.take(segment, n, c);
        (!value.is_empty()).then(|| value.into_owned())
    }

    /// The components of an element from `first` on that were sent.
    pub fn rest(&self, segment: Segment<'d>, n: usize, first: usize, last: usize) -> Vec<String> {
        (first..=last).filter_map(|c| self.some(segment, n, c)).collect()
    }

    /// Remembers that a component was used.
    pub fn mark(&self, component: Component<'d>) {
        let (word, bit) = self.bit(component);
        if let Some(word) = self.used.borrow_mut().get_mut(word) {
            *word |= bit;
        }
    }

    /// A component is kept with what was left, though it was asked for.
    pub fn keep(&self, segment: Segment<'d>, n: usize, c: usize) {
        let Some(component) = segment.component(n, c) else { return };
        let (word, bit) = self.bit(component);
        if let Some(word) = self.used.borrow_mut().get_mut(word) {
            *word &= !bit;
        }
    }

    fn bit(&self, component: Component<'d>) -> (usize, u64) {
        let place = component.offset().saturating_sub(self.message.offset());
        (place / 64, 1 << (place % 64))
    }

    fn is_used(&self, component: Component<'d>) -> bool {
        let (word, bit) = self.bit(component);
        self.used.borrow().get(word).is_some_and(|word| word & bit != 0)
    }

    /// A number, none when it was not sent or is none.
    pub fn number(&self, segment: Segment<'d>, n: usize, c: usize, what: &str) -> Option<Decimal> {
        let value = self.take(segment, n, c);
        if value.is_empty() {
            return None;
        }
        // Syntax version 4 has point and comma both be decimal marks, and no version has any mark for thousands.
        let number = Decimal::parse(&value.replace(',', "."));
        if number.is_err() {
            let marks = value.bytes().filter(|byte| matches!(byte, b'.' | b',')).count();
            let standard = if marks > 1 { "19" } else { "37" };
            let message = format!("{what} `{}` is no number", excerpt(&value));
            self.error(segment, n, c, "not-a-number", standard, message);
        }
        number.ok()
    }

    /// A number with the unit of another component.
    pub fn quantity(
        &self,
        segment: Segment<'d>,
        n: usize,
        (value, unit): (usize, usize),
        what: &str,
    ) -> Option<Quantity> {
        let number = self.number(segment, n, value, what)?;
        let unit = self.take(segment, n, unit);
        Some(Quantity::new(number, tables::listed(tables::UNITS, &unit), &unit))
    }

    /// An error: this message can't become an event.
    pub fn error(&self, at: Segment<'d>, n: usize, c: usize, code: &str, standard: &str, message: String) {
        self.refused.set(true);
        self.tell(Diagnostic::error(code, message), at, (n, c), standard);
    }

    /// A warning: it can, and somebody should know.
    pub fn warning(&self, at: Segment<'d>, n: usize, c: usize, code: &str, standard: &str, message: String) {
        self.tell(Diagnostic::warning(code, message), at, (n, c), standard);
    }

    fn tell(&self, diagnostic: Diagnostic, at: Segment<'d>, (n, c): (usize, usize), standard: &str) {
        let mut told = self.told.borrow_mut();
        // An error has to be among them, however many warnings came before.
        let is_error = diagnostic.severity == Severity::Error;
        let errors = told.iter().filter(|one| one.severity == Severity::Error).count();
        if told.len() >= DIAGNOSTICS_MAX && !(is_error && errors < DIAGNOSTICS_MAX) {
            return;
        }
        if told.len() >= DIAGNOSTICS_MAX {
            let warning = told.iter().rposition(|one| one.severity != Severity::Error);
            warning.map(|at| told.remove(at));
        }
        let component = at.component(n, c.max(1)).filter(|component| component.length() > 0);
        let (offset, length) = component
            .map_or((at.offset(), at.length()), |component| (component.offset(), component.length()));
        let place = Location::new("edifact", self.message.path(at, n, c)).bytes(offset, length);
        told.push(diagnostic.standard_code(standard).at(place));
    }

    /// Whether an error was told.
    pub fn is_refused(&self) -> bool {
        self.refused.get()
    }

    /// Everything that was told.
    pub fn into_told(self) -> Vec<Diagnostic> {
        self.told.into_inner()
    }

    /// Tells of values that the model can't hold.
    pub fn check_values(&self) {
        for segment in self.message.segments().iter() {
            if !TEXTS.contains(&segment.name())
                && segment.bytes().iter().any(|byte| byte.is_ascii_control() || *byte > 127)
            {
                self.check_characters(segment);
            }
            let most = if TEXTS.contains(&segment.name()) { TEXT_BYTES_MAX } else { BYTES_MAX };
            if segment.length() <= most {
                continue;
            }
            for (n, element) in segment.elements().enumerate() {
                for (c, component) in element.components().enumerate().filter(|(_, one)| one.length() > most)
                {
                    let length = component.value().len();
                    if length > most {
                        let message = format!("{length} bytes, and {most} are allowed here");
                        self.error(segment, n + 1, c + 1, "value-too-long", "39", message);
                    }
                }
            }
        }
    }

    /// Numbers and codes stand in one line; text for people may do as it likes.
    fn check_characters(&self, segment: Segment<'d>) {
        for (n, element) in segment.elements().enumerate() {
            for (c, component) in element.components().enumerate() {
                let value = component.value();
                if value.contains(char::is_control) {
                    let message = format!("`{}` has a control character", excerpt(&value));
                    self.error(segment, n + 1, c + 1, "invalid-character", "21", message);
                }
            }
        }
    }

    /// A number that events are known by: it has to be there.
    pub fn key(&self, segment: Segment<'d>, n: usize, c: usize, what: &str) -> String {
        let value = self.take(segment, n, c).into_owned();
        if value.is_empty() {
            self.error(segment, n, c, "missing", "13", format!("{what} is missing"));
        }
        value
    }

    /// What nobody asked for, as `extensions.edifact`: single components by their place, and whole segments.
    pub fn left(&self) -> Extensions {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut elements, mut segments) = (Map::new(), Vec::new());
        for segment in self.message.segments().iter() {
            if matches!(segment.name(), "UNH" | "UNT" | "UNS") {
                continue;
            }
            let count = counts.entry(segment.name()).or_default();
            *count += 1;
            let mut left = Vec::new();
            let mut used = false;
            for (n, element) in segment.elements().enumerate() {
                for (r, repetition) in element.repetitions().enumerate() {
                    for (c, component) in
                        repetition.components().enumerate().filter(|(_, one)| one.length() > 0)
                    {
                        match self.is_used(component) {
                            true => used = true,
                            false => left.push(((n + 1, r, c + 1), component)),
                        }
                    }
                }
            }
            if !used && !left.is_empty() {
                segments.push(Value::Array(whole(segment).into_iter().map(Value::String).collect()));
                continue;
            }
            for ((n, r, c), component) in left {
                let value = component.value();
                if !value.is_empty() {
                    let again = if r > 0 { format!("*{}", r + 1) } else { String::new() };
                    let place = format!("{}[{count}]/{n}{again}/{c}", segment.name());
                    elements.insert(place, Value::String(value.into_owned()));
                }
            }
        }
        let mut content = Map::new();
        if !elements.is_empty() {
            content.insert("elements".to_owned(), Value::Object(elements));
        }
        if !segments.is_empty() {
            content.insert("segments".to_owned(), Value::Array(segments));
        }
        let mut extensions = Extensions::new();
        if !content.is_empty() {
            extensions.insert("edifact".to_owned(), Value::Object(content));
        }
        extensions
    }
}

/// A segment's tag and elements, components divided by `:` as they mostly are.
fn whole(segment: Segment<'_>) -> Vec<String> {
    let elements = segment.elements().map(|element| {
        let components: Vec<_> =
            element.components().map(|component| component.value().into_owned()).collect();
        components.join(":")
    });
    let mut values: Vec<_> = std::iter::once(segment.name().to_owned()).chain(elements).collect();
    let last = values.iter().rposition(|value| !value.is_empty()).unwrap_or_default();
    values.truncate(last + 1);
    values
}

/// As much of a sender's value as a message can hold.
pub fn excerpt(text: &str) -> String {
    text.chars()
        .take(40)
        .map(|character| if character.is_control() { '\u{FFFD}' } else { character })
        .collect()
}
