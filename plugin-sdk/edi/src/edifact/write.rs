//! The writer: interchanges whose envelope, counts and references are right by construction.

use std::fmt;

use super::charset::Charset;
use super::service::Service;

/// The values of a `UNB`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// S001 0001, the syntax identifier: `UNOC`.
    pub syntax: &'a str,
    /// S001 0002, the syntax version: `3` or `4`.
    pub version: &'a str,
    /// S002: the sender and its qualifier, which may be empty.
    pub sender: (&'a str, &'a str),
    /// S003: the recipient and its qualifier, which may be empty.
    pub recipient: (&'a str, &'a str),
    /// S004 0017, `YYMMDD`; eight digits in syntax version 4.
    pub date: &'a str,
    /// S004 0019, `HHMM`.
    pub time: &'a str,
    /// 0020, at most 14 characters.
    pub reference: &'a str,
    /// 0035: whether it is a test.
    pub test: bool,
}

/// Why a document could not be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// A value contains a control character, or one that the character set has no place for.
    Character {
        /// The segment's name.
        segment: String,
        /// Counted from 1.
        element: usize,
        /// The value that can't be sent.
        value: String,
    },
    /// A value of the envelope has the wrong form.
    Envelope {
        /// `0020`.
        element: &'static str,
        /// The value.
        value: String,
    },
    /// A segment was written where it can't stand, or its name is none.
    Order(&'static str),
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { segment, element, value } => {
                write!(out, "element {element} of {segment} has a character that can't be sent: {value:?}")
            }
            Self::Envelope { element, value } => write!(out, "{element} can't hold {value:?}"),
            Self::Order(what) => out.write_str(what),
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes one interchange.
///
/// ```
/// use crossdock_edi::edifact::{Envelope, Writer};
///
/// let envelope = Envelope {
///     syntax: "UNOC", version: "3", sender: ("4012345000009", "14"), recipient: ("NORTH", ""),
///     date: "261120", time: "1405", reference: "42", test: false,
/// };
/// let mut writer = Writer::new(&envelope).unwrap();
/// writer.message("1", &["DESADV", "D", "96A", "UN"]).unwrap();
/// writer.segment("BGM", &[&["351"], &["4711"], &["9"]]).unwrap();
/// writer.segment("FTX", &[&["ZZZ"], &[], &[], &["why? it's late", ""]]).unwrap();
/// let text = String::from_utf8(writer.finish().unwrap()).unwrap();
/// assert!(text.starts_with("UNA:+.? '\nUNB+UNOC:3+4012345000009:14+NORTH+261120:1405+42'\n"));
/// assert!(text.ends_with("FTX+ZZZ+++why?? it?'s late'\nUNT+4+1'\nUNZ+1+42'\n"));
/// ```
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    service: Service,
    charset: Charset,
    reference: String,
    messages: u32,
    /// The open message's reference and how many segments it has.
    message: Option<(String, u32)>,
}

impl Writer {
    /// Begins an interchange with `UNA` and `UNB`.
    ///
    /// # Errors
    /// [`WriteError::Envelope`] when a value does not fit, [`WriteError::Character`].
    pub fn new(envelope: &Envelope<'_>) -> Result<Self, WriteError> {
        let wrong = |element, value: &str| Err(WriteError::Envelope { element, value: value.to_owned() });
        let Some(charset) = Charset::of(envelope.syntax) else { return wrong("0001", envelope.syntax) };
        let digits = |value: &str, lengths: &[usize]| {
            lengths.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
        };
        let date_length = if envelope.version == "4" { 8 } else { 6 };
        if !matches!(envelope.version, "1" | "2" | "3" | "4") {
            return wrong("0002", envelope.version);
        }
        if !digits(envelope.date, &[date_length]) {
            return wrong("0017", envelope.date);
        }
        if !digits(envelope.time, &[4]) {
            return wrong("0019", envelope.time);
        }
        for (element, value, longest) in [
            ("0020", envelope.reference, 14),
            ("0004", envelope.sender.0, 35),
            ("0010", envelope.recipient.0, 35),
        ] {
            if value.is_empty() || value.len() > longest {
                return wrong(element, value);
            }
        }
        let mut writer = Self {
            out: Vec::with_capacity(1024),
            service: Service { repetition: (envelope.version == "4").then_some(b'*'), ..Service::default() },
            charset,
            reference: envelope.reference.to_owned(),
            messages: 0,
            message: None,
        };
        writer.out.extend_from_slice(&writer.service.una());
        writer.out.push(b'\n');
        let test: &[&[&str]] = &[&[], &[], &[], &[], &[], &["1"]];
        let mut elements: Vec<&[&str]> = Vec::new();
        let syntax = [envelope.syntax, envelope.version];
        let (sender, recipient) =
            ([envelope.sender.0, envelope.sender.1], [envelope.recipient.0, envelope.recipient.1]);
        let (prepared, reference) = ([envelope.date, envelope.time], [envelope.reference]);
        elements.extend::<[&[&str]; 5]>([&syntax, &sender, &recipient, &prepared, &reference]);
        elements.extend(if envelope.test { test } else { &[] });
        writer.raw("UNB", &elements)?;
        Ok(writer)
    }

    /// Begins a message of a type and directory; the one before ends.
    ///
    /// # Errors
    /// [`WriteError::Envelope`] without a reference, [`WriteError::Character`].
    pub fn message(&mut self, reference: &str, identifier: &[&str]) -> Result<(), WriteError> {
        self.end_message()?;
        if reference.is_empty() || reference.len() > 14 {
            return Err(WriteError::Envelope { element: "0062", value: reference.to_owned() });
        }
        self.raw("UNH", &[&[reference], identifier])?;
        self.messages += 1;
        self.message = Some((reference.to_owned(), 1));
        Ok(())
    }

    /// Writes a segment of the open message: its elements, each as its components. What is empty at the end is left
    /// out.
    ///
    /// # Errors
    /// [`WriteError::Order`] outside of a message or with a service segment's name, [`WriteError::Character`].
    pub fn segment(&mut self, name: &str, elements: &[&[&str]]) -> Result<(), WriteError> {
        let named =
            name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !named || matches!(name, "UNA" | "UNB" | "UNG" | "UNH" | "UNT" | "UNE" | "UNZ") {
            return Err(WriteError::Order("a segment of a message has a name of three capital letters"));
        }
        match &mut self.message {
            Some((_, count)) => *count += 1,
            None => return Err(WriteError::Order("a segment stands within a message")),
        }
        self.raw(name, elements)
    }

    /// How many segments the open message has so far, its `UNH` among them.
    pub fn position(&self) -> u32 {
        self.message.as_ref().map_or(0, |(_, count)| *count)
    }

    /// Ends message and interchange.
    ///
    /// # Errors
    /// [`WriteError::Order`] when it holds no message.
    pub fn finish(mut self) -> Result<Vec<u8>, WriteError> {
        self.end_message()?;
        if self.messages == 0 {
            return Err(WriteError::Order("an interchange holds a message at least"));
        }
        let (count, reference) = (self.messages.to_string(), self.reference.clone());
        self.raw("UNZ", &[&[&count], &[&reference]])?;
        Ok(self.out)
    }

    fn end_message(&mut self) -> Result<(), WriteError> {
        match self.message.take() {
            Some((reference, count)) => self.raw("UNT", &[&[&(count + 1).to_string()], &[&reference]]),
            None => Ok(()),
        }
    }

    fn raw(&mut self, name: &str, elements: &[&[&str]]) -> Result<(), WriteError> {
        self.out.extend_from_slice(name.as_bytes());
        let mut pending_elements = 0;
        for (index, components) in elements.iter().enumerate() {
            pending_elements += 1;
            let mut pending_components = 0;
            for value in *components {
                if !value.is_empty() {
                    let marks = std::iter::repeat_n(self.service.element, pending_elements);
                    self.out
                        .extend(marks.chain(std::iter::repeat_n(self.service.component, pending_components)));
                    (pending_elements, pending_components) = (0, 0);
                    self.value(name, index + 1, value)?;
                }
                pending_components += 1;
            }
        }
        self.out.extend_from_slice(&[self.service.terminator, b'\n']);
        Ok(())
    }

    fn value(&mut self, segment: &str, element: usize, value: &str) -> Result<(), WriteError> {
        let unsendable =
            || WriteError::Character { segment: segment.to_owned(), element, value: value.to_owned() };
        if value.chars().any(char::is_control) {
            return Err(unsendable());
        }
        for byte in self.charset.encode(value).ok_or_else(unsendable)? {
            if self.service.is_mark(byte) {
                self.out.extend(self.service.release);
            }
            self.out.push(byte);
        }
        Ok(())
    }
}
