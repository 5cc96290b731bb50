//! The writer: interchanges whose envelope, counts and control numbers are right by construction.

use std::fmt;

use super::delimiters::{Delimiters, Terminator};

/// What to do with a value that contains a delimiter or a control character. X12 has no escape, so such a value can't
/// be sent as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Conflict {
    /// Refuse to write the document; nothing is altered.
    #[default]
    Refuse,
    /// Put a blank in its place, which suits descriptions and never identifiers.
    Blank,
}

/// How the document is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// The four marks.
    pub delimiters: Delimiters,
    /// Whether a line end follows each terminator, for people who read along.
    pub lines: bool,
    /// What to do with values that contain a mark.
    pub conflict: Conflict,
}

/// The values of an ISA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// ISA05 and ISA06, the qualifier and the identity; two and at most 15 characters.
    pub sender: (&'a str, &'a str),
    /// ISA07 and ISA08.
    pub receiver: (&'a str, &'a str),
    /// ISA09, `YYMMDD`.
    pub date: &'a str,
    /// ISA10, `HHMM`.
    pub time: &'a str,
    /// ISA12, `00401`.
    pub version: &'a str,
    /// ISA13, at most nine digits; padded with zeros.
    pub control_number: &'a str,
    /// ISA14: whether a TA1 is asked for.
    pub acknowledge: bool,
    /// ISA15: `P` production, `T` test.
    pub usage: char,
}

/// Why a document could not be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// A value contains a delimiter or a control character.
    Delimiter {
        /// The segment's name.
        segment: String,
        /// Counted from 1.
        element: usize,
        /// The value that can't be sent.
        value: String,
    },
    /// A value of the envelope has the wrong form or does not fit its column.
    Envelope {
        /// `ISA06`.
        element: &'static str,
        /// The value.
        value: String,
    },
    /// The segment's name is not two or three capital letters and digits, or belongs to the envelope.
    Name(String),
    /// A segment, set or group was written where it can't stand.
    Order(&'static str),
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delimiter { segment, element, value } => {
                write!(out, "{segment}{element:02} contains a delimiter or control character: {value:?}")
            }
            Self::Envelope { element, value } => write!(out, "{element} can't hold {value:?}"),
            Self::Name(name) => write!(out, "{name:?} is no segment name"),
            Self::Order(what) => out.write_str(what),
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes one interchange.
///
/// ```
/// use crossdock_edi::x12::{Envelope, Style, Writer};
///
/// let envelope = Envelope {
///     sender: ("ZZ", "ACME"), receiver: ("ZZ", "NORTH"), date: "261120", time: "1405",
///     version: "00401", control_number: "42", acknowledge: false, usage: 'T',
/// };
/// let mut writer = Writer::new(&envelope, Style::default()).unwrap();
/// writer.group(["OW", "ACME", "NORTH", "20261120", "1405", "42", "X", "004010"]).unwrap();
/// writer.set("940", "0001").unwrap();
/// writer.segment("W05", ["N", "88"]).unwrap();
/// let bytes = writer.finish().unwrap();
/// assert!(bytes.starts_with(b"ISA*00*          *00*          *ZZ*ACME           *"));
/// assert!(bytes.ends_with(b"SE*3*0001~GE*1*42~IEA*1*000000042~"));
/// ```
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    style: Style,
    control_number: String,
    groups: u32,
    group: Option<(String, u32)>,
    set: Option<(String, u32)>,
}

impl Writer {
    /// Begins an interchange with an ISA of exactly 106 bytes (for one-byte delimiters).
    ///
    /// # Errors
    /// [`WriteError::Envelope`] when a value does not fit; [`WriteError::Order`] when two delimiters are alike.
    pub fn new(envelope: &Envelope<'_>, style: Style) -> Result<Self, WriteError> {
        if !distinct(&style.delimiters) {
            return Err(WriteError::Order("the delimiters must differ from each other"));
        }
        let usage = envelope.usage.to_string();
        let standards = match style.delimiters.repetition {
            Some(mark) if envelope.version >= "00402" => {
                String::from_utf8_lossy(mark.as_bytes()).into_owned()
            }
            _ => "U".to_owned(),
        };
        let digits = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
        for (element, value, length) in
            [("ISA09", envelope.date, 6), ("ISA10", envelope.time, 4), ("ISA12", envelope.version, 5)]
        {
            if value.len() != length || !digits(value) {
                return Err(WriteError::Envelope { element, value: value.to_owned() });
            }
        }
        let number = envelope.control_number;
        if number.is_empty() || number.len() > 9 || !digits(number) {
            return Err(WriteError::Envelope { element: "ISA13", value: number.to_owned() });
        }

        let mut writer = Self {
            out: Vec::with_capacity(1024),
            style,
            control_number: format!("{number:0>9}"),
            groups: 0,
            group: None,
            set: None,
        };
        let columns: [(&'static str, &str, usize); 15] = [
            ("ISA01", "00", 2),
            ("ISA02", "", 10),
            ("ISA03", "00", 2),
            ("ISA04", "", 10),
            ("ISA05", envelope.sender.0, 2),
            ("ISA06", envelope.sender.1, 15),
            ("ISA07", envelope.receiver.0, 2),
            ("ISA08", envelope.receiver.1, 15),
            ("ISA09", envelope.date, 6),
            ("ISA10", envelope.time, 4),
            ("ISA11", &standards, 1),
            ("ISA12", envelope.version, 5),
            ("ISA13", number, 9),
            ("ISA14", if envelope.acknowledge { "1" } else { "0" }, 1),
            ("ISA15", &usage, 1),
        ];
        writer.out.extend_from_slice(b"ISA");
        for (element, value, width) in columns {
            writer.out.extend_from_slice(style.delimiters.element.as_bytes());
            writer.column(element, value, width)?;
        }
        writer.out.extend_from_slice(style.delimiters.element.as_bytes());
        if let Some(mark) = style.delimiters.component {
            writer.out.extend_from_slice(mark.as_bytes());
        }
        writer.end_segment();
        Ok(writer)
    }

    /// Begins a group with the eight elements of its GS; the one before ends.
    ///
    /// # Errors
    /// [`WriteError::Delimiter`].
    pub fn group(&mut self, elements: [&str; 8]) -> Result<(), WriteError> {
        self.end_group()?;
        self.raw_segment("GS", elements)?;
        self.groups += 1;
        self.group = Some((elements[5].to_owned(), 0));
        Ok(())
    }

    /// Begins a transaction set; the one before ends.
    ///
    /// # Errors
    /// [`WriteError::Order`] outside of a group, [`WriteError::Delimiter`].
    pub fn set(&mut self, id: &str, control_number: &str) -> Result<(), WriteError> {
        self.begin_set([id, control_number])
    }

    /// Begins a transaction set that names its implementation guide in ST03; the one before ends.
    ///
    /// # Errors
    /// [`WriteError::Order`] outside of a group, [`WriteError::Delimiter`].
    pub fn set_of_guide(&mut self, id: &str, control_number: &str, guide: &str) -> Result<(), WriteError> {
        self.begin_set([id, control_number, guide])
    }

    fn begin_set<const N: usize>(&mut self, header: [&str; N]) -> Result<(), WriteError> {
        self.end_set()?;
        let group = self.group.as_mut().ok_or(WriteError::Order("a transaction set stands in a group"))?;
        group.1 += 1;
        self.raw_segment("ST", header)?;
        self.set = Some((header[1].to_owned(), 1));
        Ok(())
    }

    /// Writes a segment. Empty elements at its end are left out, as the standard wants.
    ///
    /// # Errors
    /// [`WriteError::Order`] outside of a set, [`WriteError::Name`], [`WriteError::Delimiter`].
    pub fn segment<V: AsRef<str>>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<(), WriteError> {
        let set = self.set.as_mut().ok_or(WriteError::Order("a segment stands in a transaction set"))?;
        let well_formed = matches!(name.len(), 2 | 3)
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !well_formed || matches!(name, "ISA" | "IEA" | "GS" | "GE" | "ST" | "SE") {
            return Err(WriteError::Name(name.to_owned()));
        }
        set.1 += 1;
        self.raw_segment(name, elements)
    }

    /// Ends the set, the group and the interchange.
    ///
    /// # Errors
    /// [`WriteError::Delimiter`] when a control number can't be repeated.
    pub fn finish(mut self) -> Result<Vec<u8>, WriteError> {
        self.end_group()?;
        let (groups, number) = (self.groups.to_string(), std::mem::take(&mut self.control_number));
        self.raw_segment("IEA", [groups.as_str(), &number])?;
        Ok(self.out)
    }

    fn end_set(&mut self) -> Result<(), WriteError> {
        match self.set.take() {
            Some((number, segments)) => {
                self.raw_segment("SE", [(segments + 1).to_string().as_str(), &number])
            }
            None => Ok(()),
        }
    }

    fn end_group(&mut self) -> Result<(), WriteError> {
        self.end_set()?;
        match self.group.take() {
            Some((number, sets)) => self.raw_segment("GE", [sets.to_string().as_str(), &number]),
            None => Ok(()),
        }
    }

    fn column(&mut self, element: &'static str, value: &str, width: usize) -> Result<(), WriteError> {
        // ISA11 carries the repetition separator itself, so it is exempt from the check for marks.
        let plain = element == "ISA11" || (value.is_ascii() && !self.needs_escape(value));
        let width_given = if element == "ISA11" { value.chars().count() } else { value.len() };
        if !plain || width_given > width {
            return Err(WriteError::Envelope { element, value: value.to_owned() });
        }
        if element == "ISA13" {
            self.out.extend_from_slice(self.control_number.as_bytes());
            return Ok(());
        }
        self.out.extend_from_slice(value.as_bytes());
        self.out.resize(self.out.len() + width - width_given, b' ');
        Ok(())
    }

    fn raw_segment<V: AsRef<str>>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<(), WriteError> {
        self.out.extend_from_slice(name.as_bytes());
        let mut kept = self.out.len();
        for (index, element) in elements.into_iter().enumerate() {
            let value = element.as_ref();
            self.out.extend_from_slice(self.style.delimiters.element.as_bytes());
            if !value.is_empty() {
                self.value(name, index + 1, value)?;
                kept = self.out.len();
            }
        }
        self.out.truncate(kept);
        self.end_segment();
        Ok(())
    }

    fn value(&mut self, segment: &str, element: usize, value: &str) -> Result<(), WriteError> {
        if !self.needs_escape(value) {
            self.out.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        if self.style.conflict == Conflict::Refuse {
            let (segment, value) = (segment.to_owned(), value.to_owned());
            return Err(WriteError::Delimiter { segment, element, value });
        }
        let mut buffer = [0; 4];
        for character in value.chars() {
            let text: &str = character.encode_utf8(&mut buffer);
            let text = if self.needs_escape(text) { " " } else { text };
            self.out.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    fn needs_escape(&self, value: &str) -> bool {
        let marks = self.style.delimiters;
        let terminator = match marks.terminator {
            Terminator::Mark(mark) => Some(mark),
            Terminator::LineEnd => None,
        };
        let bytes = value.as_bytes();
        value.chars().any(char::is_control)
            || [Some(marks.element), marks.component, marks.repetition, terminator]
                .into_iter()
                .flatten()
                .any(|mark| bytes.windows(mark.length()).any(|window| window == mark.as_bytes()))
    }

    fn end_segment(&mut self) {
        match self.style.delimiters.terminator {
            Terminator::Mark(mark) => {
                self.out.extend_from_slice(mark.as_bytes());
                if self.style.lines {
                    self.out.push(b'\n');
                }
            }
            Terminator::LineEnd => self.out.push(b'\n'),
        }
    }
}

/// Two marks that are alike could not be told apart by a reader.
fn distinct(delimiters: &Delimiters) -> bool {
    let terminator = match delimiters.terminator {
        Terminator::Mark(mark) => Some(mark),
        Terminator::LineEnd => None,
    };
    let marks = [Some(delimiters.element), delimiters.component, delimiters.repetition, terminator];
    let present: Vec<_> = marks.into_iter().flatten().collect();
    (1..present.len()).all(|at| !present[..at].contains(&present[at]))
}
