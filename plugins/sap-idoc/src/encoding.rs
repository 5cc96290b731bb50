//! The bytes of a document as text that knows where each letter of it came from.

use std::borrow::Cow;

use crossdock_mapper::{Diagnostic, Location, Refusal};

/// What windows-1252 has from 0x80 to 0x9F; blanks are bytes that it leaves open.
const WINDOWS_1252: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";
/// Where ISO-8859-15 differs from ISO-8859-1.
const LATIN_9: [(u8, char); 8] =
    [(0xA4, '€'), (0xA6, 'Š'), (0xA8, 'š'), (0xB4, 'Ž'), (0xB8, 'ž'), (0xBC, 'Œ'), (0xBD, 'œ'), (0xBE, 'Ÿ')];
/// Bytes of text from one mark to the next.
const STEP: usize = 4096;

/// The text of a document.
pub struct Text<'t> {
    pub text: Cow<'t, str>,
    form: Form,
    /// Bytes before it: a byte order mark.
    before: usize,
    /// Of a text that was decoded: here and there, a byte of it and the byte of the document that it came from.
    marks: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Utf16 { big: bool },
    Latin1,
    Latin9,
    Windows1252,
}

impl<'t> Text<'t> {
    /// Reads what the byte order mark says, else what the XML declaration says, else UTF-8.
    pub fn read(content: &'t [u8]) -> Result<Self, Refusal> {
        // Without a mark, UTF-16 shows by the zero beside the first letter.
        let (form, before) = match content {
            [0xEF, 0xBB, 0xBF, ..] => (Form::Utf8, 3),
            [0xFF, 0xFE, ..] => (Form::Utf16 { big: false }, 2),
            [0xFE, 0xFF, ..] => (Form::Utf16 { big: true }, 2),
            [b'<', 0, ..] => (Form::Utf16 { big: false }, 0),
            [0, b'<', ..] => (Form::Utf16 { big: true }, 0),
            _ => (declared(content)?, 0),
        };
        let mut text = Self { text: "".into(), form, before, marks: Vec::new() };
        let body = &content[before..];
        match form {
            Form::Utf8 => match std::str::from_utf8(body) {
                Ok(body) => text.text = body.into(),
                Err(error) => {
                    text.text = String::from_utf8_lossy(&body[..error.valid_up_to()]);
                    return Err(text.wrong("the document is not UTF-8"));
                }
            },
            Form::Utf16 { big } => text.decode(utf16(body, big))?,
            form => text.decode(body.iter().map(|byte| single(*byte, form)))?,
        }
        Ok(text)
    }

    fn decode(&mut self, letters: impl Iterator<Item = Option<char>>) -> Result<(), Refusal> {
        let (mut text, mut from) = (String::new(), self.before);
        for letter in letters {
            if self.marks.last().is_none_or(|(at, _)| text.len() - at >= STEP) {
                self.marks.push((text.len(), from));
            }
            let Some(letter) = letter else {
                self.text = text.into();
                let name = match self.form {
                    Form::Utf16 { .. } => "UTF-16",
                    _ => "windows-1252",
                };
                return Err(self.wrong(&format!("the document is not {name}")));
            };
            text.push(letter);
            from += self.width(letter);
        }
        self.text = text.into();
        Ok(())
    }

    /// Bytes of a letter in the document.
    fn width(&self, letter: char) -> usize {
        match self.form {
            Form::Utf8 => letter.len_utf8(),
            Form::Utf16 { .. } => 2 * letter.len_utf16(),
            _ => 1,
        }
    }

    /// The byte of the document at a byte of the text.
    pub fn offset(&self, at: usize) -> usize {
        if self.form == Form::Utf8 {
            return self.before + at;
        }
        let next = self.marks.partition_point(|(mark, _)| *mark <= at);
        let (mark, from) = next.checked_sub(1).map_or((0, self.before), |mark| self.marks[mark]);
        from + self.text.get(mark..at).map_or(0, |text| text.chars().map(|letter| self.width(letter)).sum())
    }

    /// The line and column of a byte of the text, and where it is in the document.
    pub fn place(&self, at: usize) -> Location {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Location::new("bytes", format!("line {line}, column {column}")).bytes(self.offset(at), 0)
    }

    /// What stands behind the text so far cannot be read.
    fn wrong(&self, what: &str) -> Refusal {
        let place = Location { length: Some(1), ..self.place(self.text.len()) };
        encoding(what, place)
    }
}

/// What the XML declaration says of a document whose first letters are one byte each.
fn declared(content: &[u8]) -> Result<Form, Refusal> {
    let head = String::from_utf8_lossy(&content[..content.len().min(200)]);
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let value = declaration.and_then(|(declaration, _)| declaration.split_once("encoding"));
    let quoted = value.map(|(_, rest)| rest.trim_start_matches([' ', '=', '\t', '\r', '\n']));
    let name = quoted.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next()).unwrap_or_default().trim();
    Ok(match name.to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => Form::Utf8,
        // SAP declares what the text was in its memory, and files are often written in UTF-8 after that. These bytes
        // are no UTF-16, and what is neither is still refused.
        "utf-16" | "utf-16le" | "utf-16be" => Form::Utf8,
        "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => Form::Latin1,
        "iso-8859-15" | "iso8859-15" | "latin9" | "latin-9" => Form::Latin9,
        "windows-1252" | "cp1252" => Form::Windows1252,
        other => {
            let at = head.find(name).unwrap_or_default();
            let place = Location::new("bytes", format!("line 1, column {}", at + 1)).bytes(at, name.len());
            return Err(encoding(&format!("the encoding `{}` is not read", excerpt(other, 40)), place));
        }
    })
}

fn encoding(what: &str, at: Location) -> Refusal {
    let what = format!("{what}; send UTF-8, UTF-16, ISO-8859-1, ISO-8859-15 or windows-1252, and declare it");
    Diagnostic::error("encoding", what).at(at).into()
}

/// A letter of one byte.
fn single(byte: u8, form: Form) -> Option<char> {
    match (form, byte) {
        (Form::Windows1252, 0x80..=0x9F) => {
            WINDOWS_1252.chars().nth(usize::from(byte - 0x80)).filter(|letter| *letter != ' ')
        }
        (Form::Latin9, _) => {
            let other = LATIN_9.iter().find(|(known, _)| *known == byte);
            Some(other.map_or(char::from(byte), |(_, letter)| *letter))
        }
        _ => Some(char::from(byte)),
    }
}

/// Letters of UTF-16; half a letter is none.
fn utf16(content: &[u8], big: bool) -> impl Iterator<Item = Option<char>> {
    let pairs = content.chunks(2).map(move |pair| match pair {
        [first, second] if big => u16::from_be_bytes([*first, *second]),
        [first, second] => u16::from_le_bytes([*first, *second]),
        // A surrogate without its other half.
        _ => 0xD800,
    });
    char::decode_utf16(pairs).map(Result::ok)
}

/// The beginning of a text that may be long.
pub fn excerpt(text: &str, letters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
