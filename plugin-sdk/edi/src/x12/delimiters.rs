//! The four marks that divide a document, and where they are found.

use super::Error;

/// One dividing mark: usually an ASCII character, but partners use multi-byte ones too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delimiter {
    bytes: [u8; 4],
    length: u8,
}

impl Delimiter {
    /// The mark that is this one ASCII byte, or in a document that is not UTF-8 this one byte.
    pub const fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    /// The mark that is this character in UTF-8.
    pub fn character(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Self { bytes, length: length as u8 }
    }

    /// The bytes as they stand in the document.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(super) fn first(&self) -> u8 {
        self.bytes[0]
    }

    pub(super) fn length(&self) -> usize {
        usize::from(self.length)
    }

    pub(super) fn stands_at(&self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..).is_some_and(|rest| rest.starts_with(self.as_bytes()))
    }

    /// Letters, digits and blanks occur in every value; an envelope that seems to divide by them is no envelope.
    fn can_divide(&self) -> bool {
        let first = self.first();
        !first.is_ascii_alphanumeric() && first != b' ' && first != b'\r' && first != b'\n' && first != 0
    }

    /// The character or, where the document is not UTF-8, the byte at this place.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let rest = bytes.get(at..)?;
        let first = *rest.first()?;
        let length = match first {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let character = rest.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok());
        Some(character.and_then(|text| text.chars().next()).map_or(Self::byte(first), Self::character))
    }
}

/// What ends a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminator {
    /// A mark of its own; line ends around it are decoration.
    Mark(Delimiter),
    /// The end of the line: CR, LF or both.
    LineEnd,
}

/// How one interchange is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delimiters {
    /// Between elements.
    pub element: Delimiter,
    /// Between the components of an element (ISA16); absent where the sender leaves ISA16 out.
    pub component: Option<Delimiter>,
    /// Between the repetitions of an element (ISA11 since 004020).
    pub repetition: Option<Delimiter>,
    /// After each segment.
    pub terminator: Terminator,
}

impl Default for Delimiters {
    /// `*`, `>` and `~`, what most of the field uses.
    fn default() -> Self {
        Self {
            element: Delimiter::byte(b'*'),
            component: Some(Delimiter::byte(b'>')),
            repetition: None,
            terminator: Terminator::Mark(Delimiter::byte(b'~')),
        }
    }
}

/// A legal ISA has 106 bytes. Without padding it is shorter, with line breaks a little longer; beyond this it is
/// another kind of text and looking further is a waste.
const ISA_WINDOW: usize = 512;

impl Delimiters {
    /// Finds the delimiters of the interchange whose `ISA` begins at `start`.
    ///
    /// They are taken from the sixteen elements and not from fixed columns, because padding is often missing.
    ///
    /// # Errors
    /// [`Error::Envelope`] when the sixteen elements are not there or divide by letters, digits or blanks.
    pub fn of_isa(bytes: &[u8], start: usize) -> Result<Self, Error> {
        let broken = |standard_code, reason| Error::Envelope { offset: start, reason, standard_code };
        let end = bytes.len().min(start.saturating_add(ISA_WINDOW));
        let element = Delimiter::at(bytes, start + 3).ok_or(broken("023", "ISA is cut off"))?;
        if !element.can_divide() {
            return Err(broken("026", "no element separator after ISA"));
        }

        let mut starts = [0; 17];
        let mut found = 0;
        let mut at = start + 3;
        while at < end && found < 16 {
            if element.stands_at(bytes, at) {
                found += 1;
                at += element.length();
                starts[found] = at;
            } else {
                at += 1;
            }
        }
        if found < 16 {
            return Err(broken("022", "ISA has fewer than 16 elements"));
        }

        let (component, terminator) = tail_of_isa(bytes, starts[16], element)
            .ok_or(broken("004", "no segment terminator after ISA"))?;
        let field = |n: usize| &bytes[starts[n]..starts[n + 1] - element.length()];
        let repetition = repetition_mark(field(11), field(12));
        Ok(Self { element, component, repetition, terminator })
    }

    /// Guesses the delimiters of a document that begins with `ST` or `GS`, without an ISA to state them.
    ///
    /// The values of ST are letters and digits, so the first other character that is no separator ends it; for GS
    /// that holds from its eighth element on.
    ///
    /// # Errors
    /// [`Error::Envelope`] when no separator or no terminator can be seen.
    pub fn guess(bytes: &[u8], start: usize) -> Result<Self, Error> {
        let broken = |standard_code, reason| Error::Envelope { offset: start, reason, standard_code };
        let element = Delimiter::at(bytes, start + 2).ok_or(broken("023", "the first segment is cut off"))?;
        if !element.can_divide() {
            return Err(broken("026", "no element separator after the first segment's name"));
        }
        let free_elements = if bytes[start..].starts_with(b"GS") { 8 } else { 1 };
        let end = bytes.len().min(start.saturating_add(ISA_WINDOW));
        let mut separators = 0;
        let mut at = start + 2;
        while at < end {
            let byte = bytes[at];
            if element.stands_at(bytes, at) {
                separators += 1;
                at += element.length();
            } else if byte == b'\r' || byte == b'\n' {
                return Ok(Self { element, terminator: Terminator::LineEnd, ..Self::default() });
            } else if separators < free_elements || byte.is_ascii_alphanumeric() || byte == b' ' {
                at += 1;
            } else {
                let mark = Delimiter::at(bytes, at).ok_or(broken("023", "the first segment is cut off"))?;
                return Ok(Self { element, terminator: Terminator::Mark(mark), ..Self::default() });
            }
        }
        Err(broken("004", "the first segment does not end"))
    }
}

/// Reads what stands between the sixteenth separator and the next segment: component separator and terminator.
fn tail_of_isa(bytes: &[u8], start: usize, element: Delimiter) -> Option<(Option<Delimiter>, Terminator)> {
    let mut marks: [Option<(Delimiter, usize)>; 2] = [None, None];
    let mut found = 0;
    let mut line_ended = false;
    let mut at = start;
    while found < 2 && at < bytes.len() {
        let byte = bytes[at];
        if byte == b'\r' || byte == b'\n' {
            line_ended = true;
            at += 1;
        } else if (byte == b' ' || byte == b'\t') && (found > 0 || line_ended) {
            at += 1;
        } else if next_segment_stands_at(bytes, at, element) {
            break;
        } else {
            let mark = Delimiter::at(bytes, at)?;
            marks[found] = Some((mark, at));
            found += 1;
            at += mark.length();
        }
    }
    match marks {
        [Some((component, _)), Some((terminator, _))] if terminator.can_divide() && terminator != element => {
            Some((Some(component), Terminator::Mark(terminator)))
        }
        [Some((mark, _)), None] if line_ended && !ends_next_line(bytes, at, mark) => {
            Some((Some(mark), Terminator::LineEnd))
        }
        // One mark alone: ISA16 was left out, and this is the terminator.
        [Some((mark, _)), None] if mark.can_divide() => Some((None, Terminator::Mark(mark))),
        [None, _] if line_ended => Some((None, Terminator::LineEnd)),
        _ => None,
    }
}

/// Whether the segments that may follow an ISA begin here.
fn next_segment_stands_at(bytes: &[u8], at: usize, element: Delimiter) -> bool {
    ["GS", "TA1", "IEA", "ISB", "ISE"]
        .iter()
        .any(|name| bytes[at..].starts_with(name.as_bytes()) && element.stands_at(bytes, at + name.len()))
}

/// Whether the line that begins here ends with this mark: then the mark is the terminator and the line break is not.
fn ends_next_line(bytes: &[u8], at: usize, mark: Delimiter) -> bool {
    let rest = &bytes[at..bytes.len().min(at + ISA_WINDOW)];
    let line = rest.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    !line.is_empty() && line.trim_ascii_end().ends_with(mark.as_bytes())
}

/// ISA11 was the standards identifier `U` until 004010 and is the repetition separator since 004020.
fn repetition_mark(standards: &[u8], version: &[u8]) -> Option<Delimiter> {
    let standards: &[u8] = standards.trim_ascii();
    let mark = Delimiter::at(standards, 0)?;
    let since = version.trim_ascii() >= b"00402".as_slice();
    (since && mark.length() == standards.len() && mark.can_divide()).then_some(mark)
}
