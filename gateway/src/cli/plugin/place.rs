//! Where a diagnostic points: its bytes, line and column in the document, and the excerpt that is shown. Pure.

use std::ops::Range;

use super::leaves::{self, json, readable};
use crate::words::{Diagnostic, Location};

/// The width of what is shown.
const WIDTH: usize = 100;
/// Characters of a line that are shown.
const WINDOW: usize = 84;
/// Of which so many stand before the place, where the line is longer.
const BEFORE: usize = 28;

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its bytes.
    pub range: Range<usize>,
    /// The line of its first byte, counted from 1.
    pub line: usize,
    /// The column of its first byte in characters, counted from 1.
    pub column: usize,
    /// Whether the place itself is there; else this is the nearest thing around it.
    pub exact: bool,
}

/// Finds what a location names; by its bytes where the mapper says them, else by its path.
pub(super) fn find(content: &[u8], media_type: &str, at: &Location) -> Option<Place> {
    let (range, exact) = match at.offset.and_then(|offset| usize::try_from(offset).ok()) {
        Some(start) => {
            let length = at.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            (start..start.saturating_add(length), true)
        }
        None => match at.scheme.as_str() {
            "json-pointer" => json::place(content, &at.path)?,
            "bytes" => (at.path.parse().ok().map(|start| start..start)?, true),
            _ => by_leaves(content, media_type, &at.path)?,
        },
    };
    let range = range.start.min(content.len())..range.end.min(content.len());
    let (line, column) = line_and_column(content, range.start);
    Some(Place { range, line, column, exact })
}

/// The same for a place in the data of one of a file's events, which is an array or a single one.
pub(super) fn find_in_event(content: &[u8], event: usize, at: &Location) -> Option<Place> {
    let is_list = content.trim_ascii_start().starts_with(b"[");
    let event = if is_list { format!("/{event}") } else { String::new() };
    let at = Location { path: format!("{event}/data{}", at.path), ..at.clone() };
    find(content, "application/json", &at)
}

/// The same where nobody says in which event: found where exactly one has it.
pub(super) fn find_in_events(content: &[u8], at: &Location) -> Option<Place> {
    if at.scheme != "json-pointer" {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(content).ok()?;
    let count = value.as_array().map_or(1, Vec::len);
    let mut found = (0..count).filter_map(|event| find_in_event(content, event, at));
    if count == 1 {
        return found.next();
    }
    let mut found = found.filter(|place| place.exact);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// From the first to the last value whose path is this one or lies under it; else of what is around it.
fn by_leaves(content: &[u8], media_type: &str, path: &str) -> Option<(Range<usize>, bool)> {
    // The first of its kind may be named without its number.
    let bare = |path: &str| path.replace("[1]", "");
    let leaves = leaves::find(content, media_type);
    let mut wanted = bare(path);
    let mut exact = true;
    while !wanted.is_empty() {
        let under = |path: &str| {
            path.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut found = leaves.iter().filter(|leaf| under(&bare(&leaf.path)));
        if let Some(first) = found.next() {
            let last = found.next_back().unwrap_or(first);
            return Some((first.range.start..last.range.end, exact));
        }
        wanted.truncate(wanted.rfind('/').unwrap_or(0));
        exact = false;
    }
    None
}

fn line_and_column(content: &[u8], at: usize) -> (usize, usize) {
    let before = &content[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line, readable(&before[start..]).chars().count() + 1)
}

/// What a compiler would show: the name of the place, the line that it is in, and carets under it.
///
/// ```text
///   ┌ order.x12:1:266   ST*945*0001/LX[2]/W12/3, bytes 265–266
/// 1 │ W12*CC*24*40**CA
///   │           ^^
/// ```
pub(super) fn excerpt(file: &str, content: &[u8], at: &Location, place: &Place) -> String {
    let number = place.line.to_string();
    let indent = " ".repeat(number.len());
    let bytes = match (place.range.start, place.range.len()) {
        (start, 0 | 1) => format!("byte {start}"),
        (start, length) => format!("bytes {start}–{}", start + length - 1),
    };
    // A mapper that knows only where in the bytes it stopped says nothing more with its path.
    let path = if at.path.is_empty() || at.scheme == "bytes" {
        bytes
    } else if place.exact {
        format!("{}, {bytes}", at.path)
    } else {
        format!("{} is not there; this is around it", at.path)
    };
    let (text, column, width) = window(content, &at.scheme, place);
    let carets = "^".repeat(width);
    let head = format!("{indent} ┌ {file}:{number}:{}", place.column);
    let gap = if head.chars().count() + path.chars().count() + 3 > WIDTH {
        format!("\n{indent} │ at ")
    } else {
        "   ".to_owned()
    };
    format!("{head}{gap}{path}\n{number} │ {text}\n{indent} │ {}{carets}", " ".repeat(column))
}

/// The stretch that is shown, and in it the column and the width of the place.
fn window(content: &[u8], scheme: &str, place: &Place) -> (String, usize, usize) {
    let Range { start, end } = place.range.clone();
    let ends = ends(content, scheme);
    let first = content[..start].iter().rposition(|byte| ends.contains(byte)).map_or(0, |end| end + 1);
    let rest = content[start..].iter().position(|byte| ends.contains(byte));
    let last = rest.map_or(content.len(), |length| start + length);
    let shown = |bytes: &[u8]| -> Vec<char> { readable(bytes).chars().map(harmless).collect() };
    let (before, after) = (shown(&content[first..start]), shown(&content[start..last]));
    let width = if place.exact { shown(&content[start..end.clamp(start, last)]).len() } else { 1 };
    let line: Vec<char> = before.iter().chain(&after).copied().collect();
    let mut column = before.len();
    if line.len() <= WINDOW {
        let text: String = line.iter().collect();
        return (text.trim_end().to_owned(), column, width.max(1));
    }
    let from = column.saturating_sub(BEFORE).min(line.len() - WINDOW);
    let to = from + WINDOW;
    let mut text: String = line[from..to].iter().collect();
    column -= from;
    if from > 0 {
        text.insert(0, '…');
        column += 1;
    }
    if to < line.len() {
        text.push('…');
    }
    let width = width.min(text.chars().count().saturating_sub(column)).max(1);
    (text, column, width)
}

/// What ends a line, or a segment, which often stand on one line all together.
fn ends(content: &[u8], scheme: &str) -> Vec<u8> {
    let mark = match scheme {
        "x12" if content.starts_with(b"ISA") => content.get(105).copied(),
        "x12" => Some(b'~'),
        "edifact" if content.starts_with(b"UNA") => content.get(8).copied(),
        "edifact" => Some(b'\''),
        _ => None,
    };
    [b'\n', b'\r'].into_iter().chain(mark).collect()
}

/// A character as wide as it was, without what a terminal would obey.
fn harmless(letter: char) -> char {
    match letter {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '·',
        letter if letter.is_control() => '·',
        letter => letter,
    }
}

/// A diagnostic with its place resolved, as JSON lines say it: line, column and bytes beside what the mapper said.
pub(super) fn resolved(found: &Diagnostic, place: Option<&Place>) -> serde_json::Value {
    let mut value = super::show::diagnostic(found);
    if let (Some(place), Some(location)) = (place, value["location"].as_object_mut()) {
        location.insert("line".into(), place.line.into());
        location.insert("column".into(), place.column.into());
        location.insert("offset".into(), place.range.start.into());
        location.insert("length".into(), if place.exact { place.range.len() } else { 0 }.into());
        if !place.exact {
            location.insert("missing".into(), true.into());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(scheme: &str, path: &str) -> Location {
        Location { scheme: scheme.into(), path: path.into(), offset: None, length: None }
    }

    fn shown(content: &str, location: &Location) -> String {
        let place = find(content.as_bytes(), "", location).unwrap();
        excerpt("in", content.as_bytes(), location, &place)
    }

    const JSON: &str = "{\"a\": 1,\n \"ü\": [{\"b/c\": \"x\"}, {\"d\": 24}]}";

    #[test]
    fn a_json_pointer_is_found_by_line_column_and_bytes() {
        let place = find(JSON.as_bytes(), "", &at("json-pointer", "/ü/1/d")).unwrap();
        assert_eq!((place.line, place.column, &JSON[place.range.clone()]), (2, 28, "24"));
        assert_eq!(
            shown(JSON, &at("json-pointer", "/ü/0/b~1c")),
            "  ┌ in:2:16   /ü/0/b~1c, bytes 25–27\n2 │  \"ü\": [{\"b/c\": \"x\"}, {\"d\": 24}]}\n  │                ^^^"
        );
    }

    #[test]
    fn what_is_missing_is_shown_by_what_is_around_it() {
        for path in ["/ü/1/e", "/ü/1/e/f"] {
            let place = find(JSON.as_bytes(), "", &at("json-pointer", path)).unwrap();
            assert_eq!((place.exact, &JSON[place.range]), (false, "{\"d\": 24}"));
        }
        let place = find(JSON.as_bytes(), "", &at("json-pointer", "/ü/2")).unwrap();
        assert!(!place.exact && JSON[place.range].starts_with("[{"));
        assert!(
            shown(JSON, &at("json-pointer", "/ü/1/e")).contains("/ü/1/e is not there; this is around it")
        );
    }

    #[test]
    fn a_segment_is_shown_alone_where_all_stand_on_one_line() {
        let content = "ST*945*0001~LX*1~W12*CC*24*40**CA~SE*4*0001~";
        let mut location = at("x12", "ST*945*0001/LX[1]/W12/3");
        let expected =
            "  ┌ in:1:28   ST*945*0001/LX[1]/W12/3, bytes 27–28\n1 │ W12*CC*24*40**CA\n  │           ^^";
        assert_eq!(shown(content, &location), expected);
        (location.offset, location.length) = (Some(27), Some(2));
        assert_eq!(shown(content, &location), expected);
    }

    #[test]
    fn an_xpath_is_found_with_and_without_the_number_of_the_first() {
        let content = "<D><I><N>1</N><N>2</N></I></D>";
        for (path, text) in [("/D/I/N[2]", "2"), ("/D/I[1]/N[1]", "1"), ("/D/I", "1</N><N>2")] {
            let place = find(content.as_bytes(), "", &at("xpath", path)).unwrap();
            assert_eq!((place.exact, &content[place.range]), (true, text), "{path}");
        }
        assert!(!find(content.as_bytes(), "", &at("xpath", "/D/I/M")).unwrap().exact);
    }

    #[test]
    fn a_place_in_events_is_found_where_one_event_has_it() {
        let one = br#"[{"type": "t", "data": {"a": 1}}]"#;
        let place = find_in_events(one, &at("json-pointer", "/a")).unwrap();
        assert_eq!(&one[place.range], b"1");
        let two = br#"[{"type": "t", "data": {"a": 1}}, {"type": "t", "data": {"a": 2, "b": 3}}]"#;
        assert_eq!(find_in_events(two, &at("json-pointer", "/a")), None);
        assert_eq!(&two[find_in_events(two, &at("json-pointer", "/b")).unwrap().range], b"3");
    }

    proptest! {
        #[test]
        fn no_place_in_any_bytes_makes_it_fail(
            content in proptest::collection::vec(any::<u8>(), 0..300), scheme in "(x12|edifact|xpath|csv|json-pointer|bytes)",
            path in "[a-z0-9/\\[\\]*+~]{0,12}", offset in proptest::option::of(0_u64..400), length in proptest::option::of(0_u64..400),
        ) {
            let location = Location { scheme, path, offset, length };
            if let Some(place) = find(&content, "text/csv", &location) {
                let shown = excerpt("in", &content, &location, &place);
                assert!((3..=4).contains(&shown.lines().count()), "{}", shown);
                assert!(shown.lines().skip(1).all(|line| line.chars().count() <= 100));
            }
            find_in_events(&content, &location);
        }
    }
}
