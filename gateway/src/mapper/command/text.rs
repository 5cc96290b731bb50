//! The second door's convention as JSON: what a command is told and what it answers.
//!
//! Canonical data passes through as it is written, so that no number goes through a float on our side.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::super::{
    Failure, Outcome, Recorded, Stage,
    call::Context,
    clip,
    tables::Tables,
    wire::{DiagnosticOut, EventOut, LocationOut, MappedOut, RejectOut, WireSeverity},
};
use crate::words::{Diagnostic, Document, Pairs};

/// Longest complaint about an answer.
const LONGEST: usize = 200;

/// The context as a command gets it; the names are those of a case's `context.json`.
#[derive(Serialize)]
struct ContextText<'a> {
    partner: &'a str,
    sender: &'a str,
    receiver: &'a str,
    operation: &'a str,
    version: &'a str,
    stage: &'static str,
    received_at: String,
    zone: Option<&'a str>,
    control_numbers: &'a Pairs,
    config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Pairs>,
    tables: std::collections::BTreeMap<&'a str, Option<&'a RawValue>>,
}

/// The second argument of a command.
pub(super) fn context(context: &Context, document: Option<&Document>, tables: &Tables) -> String {
    json(&ContextText {
        partner: &context.partner,
        sender: &context.sender,
        receiver: &context.receiver,
        operation: &context.operation,
        version: &context.version,
        stage: match context.stage {
            Stage::Request => "request",
            Stage::Answer => "answer",
        },
        received_at: context.received_at.to_string(),
        zone: context.zone.as_deref(),
        control_numbers: &context.control_numbers,
        config: raw(&context.config),
        media_type: document.map(|document| document.media_type.as_str()),
        parameters: document.map(|document| &document.parameters),
        tables: tables.small(),
    })
}

/// A canonical event as a command gets it: in the form of the cases, with what the gateway added.
#[derive(Serialize)]
struct RecordedText<'a> {
    id: String,
    source: &'a str,
    recorded_at: String,
    #[serde(rename = "type")]
    kind: &'a str,
    schema_version: &'a str,
    natural_key: &'a Pairs,
    order_keys: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    data: Option<&'a RawValue>,
}

/// The standard input of a command that writes a document.
pub(super) fn recorded(events: &[Recorded]) -> Bytes {
    let events: Vec<_> = events
        .iter()
        .map(|Recorded { event }| RecordedText {
            id: event.id.to_string(),
            source: &event.source,
            recorded_at: event.recorded_at.to_string(),
            kind: &event.kind,
            schema_version: &event.schema_version,
            natural_key: &event.natural_key,
            order_keys: event.order_keys.iter().map(|key| (key.kind.as_str(), key.value.as_str())).collect(),
            sequence: event.sequence.as_deref(),
            occurred_at: event.occurred_at.as_deref(),
            data: raw(&event.data),
        })
        .collect();
    json(&events).into()
}

/// How a part ended, as a command gets it.
#[derive(Serialize)]
struct OutcomeText<'a> {
    part: PartText<'a>,
    accepted: bool,
    diagnostics: Vec<NotedText<'a>>,
    more: &'a Pairs,
}

#[derive(Serialize)]
struct PartText<'a> {
    index: u32,
    unit: &'a str,
    offset: u64,
    /// Text; bytes that are not UTF-8 are read as Latin-1, so that each of them is a character.
    envelope: Cow<'a, str>,
}

/// A diagnostic with what is known of its place.
#[derive(Serialize)]
struct NotedText<'a> {
    #[serde(flatten)]
    diagnostic: &'a Diagnostic,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    more: &'a Pairs,
}

/// The standard input of a command that writes an acknowledgement.
pub(super) fn outcomes(outcomes: &[Outcome]) -> Bytes {
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|Outcome { part, accepted, diagnostics, more }| OutcomeText {
            part: PartText {
                index: part.index,
                unit: &part.unit,
                offset: part.offset,
                envelope: match std::str::from_utf8(&part.envelope) {
                    Ok(text) => Cow::Borrowed(text),
                    Err(_) => part.envelope.iter().map(|byte| char::from(*byte)).collect(),
                },
            },
            accepted: *accepted,
            diagnostics: diagnostics
                .iter()
                .map(|(diagnostic, more)| NotedText { diagnostic, more })
                .collect(),
            more,
        })
        .collect();
    json(&outcomes).into()
}

fn raw(json: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(json).ok()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text, numbers and lists are JSON")
}

/// An event as a command writes it: the form of the cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an event, an object with `type` and `data`")]
struct EventText<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "schema_version")]
    schema_version: String,
    #[serde(default)]
    natural_key: PairsText,
    #[serde(default)]
    order_keys: PairsText,
    #[serde(default)]
    sequence: Option<String>,
    #[serde(default)]
    corrects: PairsText,
    #[serde(default)]
    occurred_at: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn schema_version() -> String {
    "1.0".to_owned()
}

/// Pairs as `[["order", "8841"]]` or as `{"order": "8841"}`, in their order.
#[derive(Default)]
struct PairsText(Pairs);

impl<'de> Deserialize<'de> for PairsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(r#"pairs: [["name", "value"]] or {"name": "value"}"#)
            }
            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::new())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Pairs, A::Error> {
                let mut pairs = Pairs::new();
                while let Some(pair) = items.next_element()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Pairs, A::Error> {
                let mut pairs = Pairs::new();
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_any(Visitor).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapped object, with `events`, `rejects` and `diagnostics`")]
struct MappedText<'a> {
    #[serde(borrow, default)]
    events: Vec<EventText<'a>>,
    #[serde(default)]
    rejects: Vec<RejectText>,
    #[serde(default)]
    diagnostics: Vec<DiagnosticText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a reject, an object with `unit` and `at`")]
struct RejectText {
    unit: String,
    #[serde(alias = "location")]
    at: LocationText,
    #[serde(default)]
    diagnostics: Vec<DiagnosticText>,
}

/// Unknown members are let pass: loggers add a time or a level of their own.
#[derive(Deserialize)]
#[serde(expecting = "a diagnostic, an object with `code` and `message`")]
struct DiagnosticText {
    #[serde(default)]
    severity: SeverityText,
    code: String,
    #[serde(default)]
    standard_code: Option<String>,
    #[serde(default, alias = "location")]
    at: Option<LocationText>,
    message: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SeverityText {
    Info,
    Warning,
    #[default]
    Error,
}

/// A place, or only its path: then a JSON Pointer.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a place, an object with `scheme` and `path`")]
enum LocationText {
    Path(String),
    Whole {
        #[serde(default = "json_pointer")]
        scheme: String,
        path: String,
        #[serde(default)]
        offset: Option<u32>,
        #[serde(default)]
        length: Option<u32>,
    },
}

fn json_pointer() -> String {
    "json-pointer".to_owned()
}

/// What a mapper says about the document that it writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutText {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    parameters: PairsText,
}

/// The same, taken apart.
#[derive(Debug, Default)]
pub(super) struct About {
    pub media_type: Option<String>,
    pub parameters: Pairs,
}

/// A line of the standard error that means something.
pub(super) enum Line {
    Diagnostic(Box<DiagnosticOut>),
    About(About),
}

/// Reads a line of the standard error; `None` if it is nothing but a line of the log.
pub(super) fn line(line: &[u8]) -> Option<Line> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct AboutLine {
        document: AboutText,
    }
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    if let Ok(diagnostic) = serde_json::from_slice::<DiagnosticText>(line) {
        return Some(Line::Diagnostic(Box::new(diagnostic.into())));
    }
    let AboutLine { document: AboutText { media_type, parameters } } = serde_json::from_slice(line).ok()?;
    Some(Line::About(About { media_type, parameters: parameters.0 }))
}

/// Reads the answer of a command that mapped a document: an array of events, or a whole mapped object.
pub(super) fn mapped(stdout: &[u8]) -> Result<MappedOut, Failure> {
    let nonsense = |what: String| Failure::Nonsense { what: clip(&what, LONGEST) };
    let text = std::str::from_utf8(stdout).map_err(|error| {
        nonsense(format!("the standard output is not UTF-8, at byte {}", error.valid_up_to()))
    })?;
    let (events, rejects, diagnostics) = match text.trim_ascii_start().as_bytes().first() {
        None => {
            let what = "the standard output is empty; no events are written as `[]`";
            return Err(nonsense(what.to_owned()));
        }
        Some(b'{') => {
            let MappedText { events, rejects, diagnostics } = serde_json::from_str(text)
                .map_err(|error| nonsense(format!("the standard output is no mapped object: {error}")))?;
            (events, rejects, diagnostics)
        }
        Some(_) => {
            let events = serde_json::from_str(text)
                .map_err(|error| nonsense(format!("the standard output is no array of events: {error}")))?;
            (events, Vec::new(), Vec::new())
        }
    };
    Ok(MappedOut {
        events: events.into_iter().map(EventOut::from).collect(),
        rejects: rejects.into_iter().map(RejectOut::from).collect(),
        diagnostics: diagnostics.into_iter().map(DiagnosticOut::from).collect(),
        more: Vec::new(),
    })
}

impl From<EventText<'_>> for EventOut {
    fn from(text: EventText<'_>) -> Self {
        Self {
            kind: text.kind,
            schema_version: text.schema_version,
            natural_key: text.natural_key.0,
            order_keys: text.order_keys.0,
            sequence: text.sequence,
            corrects: text.corrects.0,
            occurred_at: text.occurred_at,
            data: text.data.get().as_bytes().to_vec(),
            more: Vec::new(),
        }
    }
}

impl From<RejectText> for RejectOut {
    fn from(text: RejectText) -> Self {
        let diagnostics = text.diagnostics.into_iter().map(DiagnosticOut::from).collect();
        Self { unit: text.unit, at: text.at.into(), diagnostics, more: Vec::new() }
    }
}

impl From<DiagnosticText> for DiagnosticOut {
    fn from(text: DiagnosticText) -> Self {
        Self {
            severity: match text.severity {
                SeverityText::Info => WireSeverity::Info,
                SeverityText::Warning => WireSeverity::Warning,
                SeverityText::Error => WireSeverity::Error,
            },
            code: text.code,
            standard_code: text.standard_code,
            at: text.at.map(LocationOut::from),
            message: text.message,
            more: Vec::new(),
        }
    }
}

impl From<LocationText> for LocationOut {
    fn from(text: LocationText) -> Self {
        match text {
            LocationText::Path(path) => Self { scheme: json_pointer(), path, offset: None, length: None },
            LocationText::Whole { scheme, path, offset, length } => Self { scheme, path, offset, length },
        }
    }
}
