//! What `plugin` commands print: lines for people, JSON lines for programs.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    mapper::{Failure, Usage},
    words::{Diagnostic, Document, Pairs, Severity},
};

/// The widest line.
const WIDTH: usize = 100;

/// A JSON line on standard output, its `kind` first.
pub(super) fn line(kind: &str, value: Value) {
    let rest = match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    let mut text = format!("{{\"kind\":{}", Value::from(kind));
    for (name, value) in rest {
        text.push_str(&format!(",{}:{value}", Value::from(name)));
    }
    anstream::println!("{text}}}");
}

/// A diagnostic as its JSON line says it.
pub(super) fn diagnostic(found: &Diagnostic) -> Value {
    let mut value = json!({
        "severity": found.severity, "code": found.code, "message": found.message, "location": found.at,
    });
    if let (Some(map), Some(code)) = (value.as_object_mut(), &found.standard_code) {
        map.insert("standard_code".to_owned(), json!(code));
    }
    value
}

/// A document as its JSON line says it.
pub(super) fn document(found: &Document) -> Value {
    let mut value = json!({"media_type": found.media_type, "parameters": found.parameters});
    let (name, content) = match std::str::from_utf8(&found.content) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(&found.content)),
    };
    if let Some(map) = value.as_object_mut() {
        map.insert(name.to_owned(), content.into());
    }
    value
}

/// What a diagnostic says, without its place.
pub(super) fn headline(found: &Diagnostic) -> String {
    let word = match found.severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    plain(&format!("{word}: {} ({})", found.message, found.code))
}

/// A diagnostic for people, on one line.
pub(super) fn diagnostic_line(found: &Diagnostic) -> String {
    let place = found.at.as_ref().map(|at| {
        let byte = at.offset.map(|offset| format!("byte {offset}"));
        let path = Some(at.path.clone()).filter(|path| !path.is_empty());
        let place: Vec<_> = path.into_iter().chain(byte).collect();
        if place.is_empty() { String::new() } else { format!("   at {}", place.join(", ")) }
    });
    format!("{}{}", headline(found), plain(&place.unwrap_or_default()))
}

/// Why a call gave nothing, for people.
pub(super) fn failure_line(failure: &Failure) -> String {
    match failure {
        Failure::Refused(diagnostics) => {
            let first =
                diagnostics.first().map(diagnostic_line).unwrap_or_else(|| "without a word".to_owned());
            format!("refused: {first}")
        }
        other => plain(&other.in_full()),
    }
}

/// A word for how a call ended.
pub(super) fn outcome(failure: &Failure) -> &'static str {
    match failure {
        Failure::Refused(_) => "refused",
        Failure::Limit { .. } => "limit",
        Failure::Trapped { .. } => "trapped",
        Failure::Nonsense { .. } => "nonsense",
        Failure::Overloaded => "overloaded",
        Failure::TooLong => "too-long",
        Failure::Wasteful { .. } => "wasteful",
        Failure::Broken => "broken",
    }
}

/// What a call used.
pub(super) fn usage(used: &Usage) -> Value {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    json!({
        "cpu_us": micros(used.cpu), "wall_us": micros(used.wall), "memory_bytes": used.memory_bytes,
        "input_bytes": used.input_bytes, "output_bytes": used.output_bytes,
    })
}

/// A time with the unit that fits: `58 µs`, `12.4 ms`, `44.2 s`.
pub(super) fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// Memory and what limits it: `129 KiB`, `64 MiB`.
pub(super) fn memory(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// A size in bytes with the unit that fits, in tens: `812 bytes`, `1.4 KB`, `25 KB`, `19 MB`.
pub(super) fn size(bytes: usize) -> String {
    let (whole, tenths) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..10_000 => return format!("{}.{} KB", bytes / 1_000, bytes % 1_000 / 100),
        10_000..1_000_000 => return format!("{} KB", bytes / 1_000),
        _ => (bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    };
    if whole < 10 { format!("{whole}.{tenths} MB") } else { format!("{whole} MB") }
}

/// Text on lines that are no wider than a terminal is thought to be, all but the first behind `indent` blanks.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        // Blanks at the beginning of a line belong to it.
        let words = line.trim_start_matches(' ');
        let mut shown = " ".repeat(line.len() - words.len());
        for (number, word) in words.split(' ').enumerate() {
            if number > 0 && shown.chars().count() + word.chars().count() + 1 + indent > WIDTH {
                lines.push(std::mem::take(&mut shown));
            } else if number > 0 {
                shown.push(' ');
            }
            shown.push_str(word);
        }
        lines.push(shown);
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Keys for people: `order 8841-22, shipment 4711`.
pub(super) fn keys(pairs: &Pairs) -> String {
    plain(&pairs.iter().map(|(kind, value)| format!("{kind} {value}")).collect::<Vec<_>>().join(", "))
}

/// Somebody else's text without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' || is_direction(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks that turn the direction of text round, so that it reads as something else.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_command_of_a_sender() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\nü"), "a\\u{1b}[2Jb\\u{202e}c\nü");
    }

    #[test]
    fn a_document_is_shown_as_text_or_as_base64() {
        let mut sent = Document {
            media_type: "application/edi-x12".into(),
            content: "ISA*00~".into(),
            parameters: Vec::new(),
        };
        assert_eq!(document(&sent)["text"], "ISA*00~");
        sent.content = vec![0xff, 0xfe].into();
        assert_eq!(document(&sent)["base64"], "//4=");
    }

    #[test]
    fn sizes_have_units_that_fit() {
        let shown = [0, 812, 1_449, 25_000, 352_999, 1_749_000, 19_000_000].map(size);
        assert_eq!(shown, ["0 bytes", "812 bytes", "1.4 KB", "25 KB", "352 KB", "1.7 MB", "19 MB"]);
    }

    #[test]
    fn long_lines_are_wrapped_between_words_and_short_ones_stay() {
        assert_eq!(wrap("a  b\n  c", 4), "a  b\n      c");
        let long = ["word"; 60].join(" ");
        let shown = wrap(&long, 4);
        assert!(
            shown.lines().count() > 2 && shown.lines().all(|line| line.chars().count() <= WIDTH),
            "{shown}"
        );
        assert_eq!(shown.split_whitespace().count(), 60);
        assert_eq!(wrap(&"x".repeat(200), 4), "x".repeat(200));
    }

    #[test]
    fn times_have_units_that_fit() {
        assert_eq!(time(Duration::from_micros(58)), "58 µs");
        assert_eq!(time(Duration::from_micros(12_440)), "12.4 ms");
        assert_eq!(time(Duration::from_millis(44_230)), "44.2 s");
        assert_eq!([100, 132_000, 64 << 20].map(memory), ["100 bytes", "129 KiB", "64 MiB"]);
    }
}
