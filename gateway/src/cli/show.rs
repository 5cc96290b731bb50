//! How look-ups print: aligned columns for people, JSON lines for machines, nothing raw from outside.

use std::fmt::Write as _;

use serde_json::Value;

/// Prints one JSON line.
pub fn line(value: &Value) {
    anstream::println!("{value}");
}

/// Prints rows under headings, columns aligned; says so if there are none.
pub fn table(headings: &[&str], rows: &[Vec<String>], nothing: &str) {
    if rows.is_empty() {
        anstream::eprintln!("{nothing}");
        return;
    }
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| safe(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        anstream::println!("{}", padded.join("  ").trim_end());
    };
    line(&mut headings.iter().copied());
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
}

/// The text of a value; `-` for nothing.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time to the second, which is what a person compares; the milliseconds are in the JSON.
pub fn second(value: &Value) -> String {
    let text = text(value);
    match text.split_once('.') {
        Some((second, rest)) => {
            format!("{second}{}", rest.trim_start_matches(|letter: char| letter.is_ascii_digit()))
        }
        None => text,
    }
}

/// Business keys as people read them: `order 8841-22, shipment 4711`.
pub fn keys(value: &Value) -> String {
    let keys = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let keys: Vec<String> =
        keys.iter().map(|key| format!("{} {}", text(&key["kind"]), text(&key["value"]))).collect();
    keys.join(", ")
}

/// The beginning of a text, so that a row stays a row; nothing for nothing.
pub fn brief(value: &Value, most: usize) -> String {
    let text = value.as_str().unwrap_or_default();
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text from outside made safe for a terminal: control characters shown, not obeyed.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' {
            let _ = write!(out, "{}", letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// The first `lines` lines of a text, safe and indented.
pub fn excerpt(text: &str, lines: usize, indent: &str) -> String {
    let all: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    let mut out = String::new();
    for line in all.iter().take(lines) {
        let cut: String = safe(line).chars().take(96).collect();
        let _ = writeln!(out, "{indent}{cut}");
    }
    if all.len() > lines {
        let _ = writeln!(out, "{indent}… {} more lines", all.len() - lines);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_second_with_its_offset() {
        assert_eq!(second(&"2026-11-25T08:03:21.155Z".into()), "2026-11-25T08:03:21Z");
        assert_eq!(second(&"2026-11-25T08:03:21.5+01:00".into()), "2026-11-25T08:03:21+01:00");
        assert_eq!(second(&"2026-11-25T08:03:21Z".into()), "2026-11-25T08:03:21Z");
        assert_eq!(second(&Value::Null), "-");
    }
}
