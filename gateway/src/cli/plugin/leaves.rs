//! The leaves of a document: each value that it holds, with its place, so that one of them can be changed alone. Pure.

mod csv;
mod edifact;
pub(super) mod json;
mod other;
mod x12;
mod xml;

use std::ops::Range;

use crate::words::Location;

/// Most leaves that are looked for in a document.
pub(super) const MOST: usize = 20_000;

/// A value in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The scheme of its path: `json-pointer`, `x12`, `edifact`, `xpath` or `csv`.
    pub scheme: &'static str,
    /// Its place: `ST*945*0001/LX[2]/W12/3`, `/items/0/lot`.
    pub path: String,
    /// Its bytes, with what encloses them where that is part of the value (the quotes of a JSON text).
    pub range: Range<usize>,
    /// What it says, for people.
    pub value: String,
    /// The same place in other documents of this kind: `W12[3]`, `items[].lot`.
    pub kind: String,
    /// What it is a part of and what may be unread as a whole: the segments of this kind, `N9*ZZ`.
    pub group: Option<String>,
    form: Form,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As a JSON text, with quotes and escapes.
    JsonText,
    /// As a JSON number, `true` or `false`.
    JsonWord,
    /// With references for the letters that mean something in XML.
    Xml,
    /// As it is.
    Raw,
}

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Json,
    X12,
    Edifact,
    Xml,
    Csv,
}

/// The leaves of a document in the order of their bytes, at most [`MOST`]. Values that are empty (`null`, blanks, an
/// element that was not sent) are none. What is not understood has no leaves.
pub(super) fn find(content: &[u8], media_type: &str) -> Vec<Leaf> {
    let Some(syntax) = syntax(content, media_type) else { return Vec::new() };
    let mut found = match syntax {
        Syntax::Json => json::find(content),
        Syntax::X12 => x12::find(content),
        Syntax::Edifact => edifact::find(content),
        Syntax::Xml => xml::find(content),
        Syntax::Csv => csv::find(content),
    };
    found.sort_by_key(|leaf| leaf.range.start);
    found.truncate(MOST);
    found
}

/// What is in the document decides; its media type only where a look does not tell.
fn syntax(content: &[u8], media_type: &str) -> Option<Syntax> {
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    let begins = |with: &str| text.starts_with(with.as_bytes());
    if ["ISA", "GS", "ST"].iter().any(|name| begins(name)) && !media_type.ends_with("csv") {
        return Some(Syntax::X12);
    }
    if (begins("UNA") || begins("UNB") || begins("UNH")) && !media_type.ends_with("csv") {
        return Some(Syntax::Edifact);
    }
    match text.first()? {
        b'{' | b'[' => Some(Syntax::Json),
        b'<' => Some(Syntax::Xml),
        _ if media_type.ends_with("json") => Some(Syntax::Json),
        _ if media_type.ends_with("csv") => Some(Syntax::Csv),
        _ => None,
    }
}

impl Leaf {
    /// Where it is, as a diagnostic would say it.
    pub fn location(&self) -> Location {
        Location {
            scheme: self.scheme.to_owned(),
            path: self.path.clone(),
            offset: u64::try_from(self.range.start).ok(),
            length: u64::try_from(self.range.len()).ok(),
        }
    }

    /// Copies of the document in which this leaf alone says something else, likeliest to be taken first.
    pub fn changed(&self, content: &[u8]) -> Vec<Vec<u8>> {
        let Some(bytes) = content.get(self.range.clone()) else { return Vec::new() };
        self.others(bytes).iter().map(|other| self.replaced(content, other)).collect()
    }

    /// Other values of the same shape as this one, written the way that the document writes it.
    fn others(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match self.form {
            Form::Raw => other::values(bytes),
            Form::JsonText => {
                other::values(self.value.as_bytes()).iter().filter_map(|value| json::text(value)).collect()
            }
            Form::JsonWord => json::other_words(bytes),
            Form::Xml => xml::decode(bytes)
                .map(|text| other::values(&text).iter().map(|value| xml::encode(value)).collect())
                .unwrap_or_default(),
        }
    }

    /// The document with these bytes in the leaf's place.
    fn replaced(&self, content: &[u8], other: &[u8]) -> Vec<u8> {
        let before = &content[..self.range.start];
        let after = &content[self.range.end..];
        [before, other, after].concat()
    }
}

/// Bytes as people read them; what is not UTF-8 is read as Latin-1.
pub(super) fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests;
