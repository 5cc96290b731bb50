//! What `plugin` commands print: lines for people, JSON lines for programs.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    mapper::{Failure, Reject, Usage},
    words::{Diagnostic, Document, Pairs, Severity},
};

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

/// A reject as its JSON line says it.
pub(super) fn reject(found: &Reject) -> Value {
    let diagnostics: Vec<_> = found.diagnostics.iter().map(diagnostic).collect();
    json!({"unit": found.unit, "location": found.at, "diagnostics": diagnostics})
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

/// A diagnostic for people, on one line.
pub(super) fn diagnostic_line(found: &Diagnostic) -> String {
    let word = match found.severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let place = found.at.as_ref().map(|at| {
        let byte = at.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
        format!("   at {}{byte}", at.path)
    });
    plain(&format!("{word}: {} ({}){}", found.message, found.code, place.unwrap_or_default()))
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

/// A time in milliseconds with one decimal, or in microseconds below one.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 1000 { format!("{micros} µs") } else { format!("{:.1} ms", time.as_secs_f64() * 1000.0) }
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
    fn times_have_units_that_fit() {
        assert_eq!(time(Duration::from_micros(58)), "58 µs");
        assert_eq!(time(Duration::from_micros(12_440)), "12.4 ms");
    }
}
