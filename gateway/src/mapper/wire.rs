//! The contract's types as they cross the border, and what they become on our side.
//!
//! They mirror `plugin-sdk/wit/mapper.wit` by hand rather than by `bindgen!`: inputs are then lowered from borrowed
//! bytes, and exports are type-checked once at load, not at every call.

use wasmtime::component::{ComponentType, Lift, Lower};

use super::{Context, Failure, Mapped, Outcome, Recorded, Reject, Stage, clip};
use crate::words::{Diagnostic, Document, Draft, Location, Pairs, Severity};

/// Longest message of a diagnostic in bytes.
const LONGEST_MESSAGE: usize = 2 << 10;

/// Longest code, scheme or unit in bytes.
const LONGEST_WORD: usize = 128;

/// Longest path of a location in bytes.
const LONGEST_PATH: usize = 512;

type PairIn<'a> = (&'a str, &'a str);

/// Parameters of `to-canonical`.
pub(super) type ToParams<'a> = (ContextIn<'a>, DocumentIn<'a>);
/// Its result.
pub(super) type ToResult = (Result<MappedOut, Vec<DiagnosticOut>>,);
/// Parameters of `from-canonical`.
pub(super) type FromParams<'a> = (ContextIn<'a>, Vec<RecordedIn<'a>>);
/// Its result.
pub(super) type FromResult = (Result<DocumentOut, Vec<DiagnosticOut>>,);
/// Parameters of `acknowledge`.
pub(super) type AcknowledgeParams<'a> = (ContextIn<'a>, Vec<OutcomeIn<'a>>);
/// Its result.
pub(super) type AcknowledgeResult = (Result<Option<DocumentOut>, Vec<DiagnosticOut>>,);

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WireSeverity {
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
    #[component(name = "error")]
    Error,
}

#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WireStage {
    #[component(name = "request")]
    Request,
    #[component(name = "answer")]
    Answer,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct PartIn<'a> {
    index: u32,
    unit: &'a str,
    offset: u64,
    envelope: &'a [u8],
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ContextIn<'a> {
    partner: &'a str,
    sender: &'a str,
    receiver: &'a str,
    operation: &'a str,
    version: &'a str,
    stage: WireStage,
    #[component(name = "received-at")]
    received_at: String,
    zone: Option<&'a str>,
    #[component(name = "control-numbers")]
    control_numbers: Vec<PairIn<'a>>,
    part: Option<PartIn<'a>>,
    config: &'a [u8],
    more: Vec<PairIn<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct DocumentIn<'a> {
    #[component(name = "media-type")]
    media_type: &'a str,
    content: &'a [u8],
    parameters: Vec<PairIn<'a>>,
    more: Vec<PairIn<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct EventIn<'a> {
    kind: &'a str,
    #[component(name = "schema-version")]
    schema_version: &'a str,
    #[component(name = "natural-key")]
    natural_key: Vec<PairIn<'a>>,
    #[component(name = "order-keys")]
    order_keys: Vec<PairIn<'a>>,
    sequence: Option<&'a str>,
    corrects: Vec<PairIn<'a>>,
    #[component(name = "occurred-at")]
    occurred_at: Option<&'a str>,
    data: &'a [u8],
    more: Vec<PairIn<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct RecordedIn<'a> {
    id: String,
    source: &'a str,
    #[component(name = "recorded-at")]
    recorded_at: String,
    event: EventIn<'a>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct LocationIn<'a> {
    scheme: &'a str,
    path: &'a str,
    offset: Option<u32>,
    length: Option<u32>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct DiagnosticIn<'a> {
    severity: WireSeverity,
    code: &'a str,
    #[component(name = "standard-code")]
    standard_code: Option<&'a str>,
    at: Option<LocationIn<'a>>,
    message: &'a str,
    more: Vec<PairIn<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct OutcomeIn<'a> {
    part: PartIn<'a>,
    accepted: bool,
    diagnostics: Vec<DiagnosticIn<'a>>,
    more: Vec<PairIn<'a>>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct LocationOut {
    pub scheme: String,
    pub path: String,
    pub offset: Option<u32>,
    pub length: Option<u32>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct DiagnosticOut {
    pub severity: WireSeverity,
    pub code: String,
    #[component(name = "standard-code")]
    pub standard_code: Option<String>,
    pub at: Option<LocationOut>,
    pub message: String,
    pub more: Pairs,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct DocumentOut {
    #[component(name = "media-type")]
    pub media_type: String,
    pub content: Vec<u8>,
    pub parameters: Pairs,
    pub more: Pairs,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct EventOut {
    pub kind: String,
    #[component(name = "schema-version")]
    pub schema_version: String,
    #[component(name = "natural-key")]
    pub natural_key: Pairs,
    #[component(name = "order-keys")]
    pub order_keys: Pairs,
    pub sequence: Option<String>,
    pub corrects: Pairs,
    #[component(name = "occurred-at")]
    pub occurred_at: Option<String>,
    pub data: Vec<u8>,
    pub more: Pairs,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct RejectOut {
    pub unit: String,
    pub at: LocationOut,
    pub diagnostics: Vec<DiagnosticOut>,
    pub more: Pairs,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct MappedOut {
    pub events: Vec<EventOut>,
    pub rejects: Vec<RejectOut>,
    pub diagnostics: Vec<DiagnosticOut>,
    pub more: Pairs,
}

fn pairs(pairs: &Pairs) -> Vec<PairIn<'_>> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

impl DiagnosticOut {
    /// Whether it refuses a document.
    pub fn is_error(&self) -> bool {
        matches!(self.severity, WireSeverity::Error)
    }
}

impl<'a> ContextIn<'a> {
    /// What the mapper is told about the call.
    pub fn new(context: &'a Context) -> Self {
        Self {
            partner: &context.partner,
            sender: &context.sender,
            receiver: &context.receiver,
            operation: &context.operation,
            version: &context.version,
            stage: match context.stage {
                Stage::Request => WireStage::Request,
                Stage::Answer => WireStage::Answer,
            },
            received_at: context.received_at.to_string(),
            zone: context.zone.as_deref(),
            control_numbers: pairs(&context.control_numbers),
            part: None,
            config: &context.config,
            more: Vec::new(),
        }
    }
}

impl<'a> DocumentIn<'a> {
    /// A document on its way in.
    pub fn new(document: &'a Document) -> Self {
        Self {
            media_type: &document.media_type,
            content: &document.content,
            parameters: pairs(&document.parameters),
            more: Vec::new(),
        }
    }
}

impl<'a> RecordedIn<'a> {
    /// An event on its way in. `corrects` is empty: the identity that we keep of it is not a key that a target knows.
    pub fn new(recorded: &'a Recorded) -> Self {
        let event = &recorded.event;
        let order_keys = event.order_keys.iter().map(|key| (key.kind.as_str(), key.value.as_str()));
        Self {
            id: event.id.to_string(),
            source: &event.source,
            recorded_at: event.recorded_at.to_string(),
            event: EventIn {
                kind: &event.kind,
                schema_version: &event.schema_version,
                natural_key: pairs(&event.natural_key),
                order_keys: order_keys.collect(),
                sequence: event.sequence.as_deref(),
                corrects: Vec::new(),
                occurred_at: event.occurred_at.as_deref(),
                data: &event.data,
                more: Vec::new(),
            },
        }
    }
}

impl<'a> OutcomeIn<'a> {
    /// How a part ended, on its way in.
    pub fn new(outcome: &'a Outcome) -> Self {
        let part = &outcome.part;
        Self {
            part: PartIn {
                index: part.index,
                unit: &part.unit,
                offset: part.offset,
                envelope: &part.envelope,
            },
            accepted: outcome.accepted,
            diagnostics: outcome
                .diagnostics
                .iter()
                .map(|(found, more)| DiagnosticIn {
                    severity: match found.severity {
                        Severity::Info => WireSeverity::Info,
                        Severity::Warning => WireSeverity::Warning,
                        Severity::Error => WireSeverity::Error,
                    },
                    code: &found.code,
                    standard_code: found.standard_code.as_deref(),
                    at: found.at.as_ref().map(|at| LocationIn {
                        scheme: &at.scheme,
                        path: &at.path,
                        offset: at.offset.and_then(|offset| u32::try_from(offset).ok()),
                        length: at.length.and_then(|length| u32::try_from(length).ok()),
                    }),
                    message: &found.message,
                    more: pairs(more),
                })
                .collect(),
            more: pairs(&outcome.more),
        }
    }
}

/// Turns what a mapper gave into our own types: counted, clipped, and checked against the document's length.
pub(super) struct Reader {
    /// Bytes of the document that locations point into; none where they point into events.
    pub document: Option<u64>,
    /// Diagnostics that may still be kept.
    pub diagnostics_left: usize,
    /// Diagnostics that were not.
    pub dropped: usize,
}

impl Reader {
    /// A mapped document.
    pub fn mapped(&mut self, out: MappedOut) -> Result<Mapped, Failure> {
        let drafts = out.events.into_iter().map(draft).collect();
        let mut rejects = Vec::new();
        for reject in out.rejects {
            let diagnostics = self.diagnostics(reject.diagnostics)?;
            let at = self.location(reject.at)?;
            rejects.push(Reject { unit: clip(&reject.unit, LONGEST_WORD), at, diagnostics });
        }
        let mut diagnostics = self.diagnostics(out.diagnostics)?;
        self.count_dropped(&mut diagnostics);
        Ok(Mapped { drafts, rejects, diagnostics })
    }

    /// A refusal in the mapper's own words.
    pub fn refused(&mut self, out: Vec<DiagnosticOut>) -> Failure {
        match self.diagnostics(out) {
            Ok(mut diagnostics) => {
                self.count_dropped(&mut diagnostics);
                Failure::Refused(diagnostics)
            }
            Err(failure) => failure,
        }
    }

    /// A document that a mapper wrote.
    pub fn document(out: DocumentOut) -> Result<Document, Failure> {
        let media_type = clip(&out.media_type, LONGEST_WORD);
        if media_type.is_empty() || media_type != out.media_type {
            return Err(Failure::Nonsense {
                what: "the media type of the document is empty or not printable".to_owned(),
            });
        }
        Ok(Document { media_type, content: out.content.into(), parameters: out.parameters })
    }

    fn diagnostics(&mut self, out: Vec<DiagnosticOut>) -> Result<Vec<Diagnostic>, Failure> {
        let keep = out.len().min(self.diagnostics_left);
        self.diagnostics_left -= keep;
        self.dropped += out.len() - keep;
        out.into_iter().take(keep).map(|diagnostic| self.diagnostic(diagnostic)).collect()
    }

    fn diagnostic(&self, out: DiagnosticOut) -> Result<Diagnostic, Failure> {
        Ok(Diagnostic {
            severity: severity(out.severity),
            code: clip(&out.code, LONGEST_WORD),
            standard_code: out.standard_code.map(|code| clip(&code, LONGEST_WORD)),
            at: out.at.map(|at| self.location(at)).transpose()?,
            message: clip(&out.message, LONGEST_MESSAGE),
            rule: None,
        })
    }

    fn location(&self, out: LocationOut) -> Result<Location, Failure> {
        let (offset, length) = (out.offset.map(u64::from), out.length.map(u64::from));
        let end = offset.unwrap_or(0).saturating_add(length.unwrap_or(0));
        if let Some(document) = self.document
            && end > document
        {
            let what = format!("a location ends at byte {end} of a document of {document} bytes");
            return Err(Failure::Nonsense { what });
        }
        Ok(Location {
            scheme: clip(&out.scheme, LONGEST_WORD),
            path: clip(&out.path, LONGEST_PATH),
            offset,
            length,
        })
    }

    /// Says how many diagnostics are not shown, so that nobody takes the kept ones for all.
    fn count_dropped(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        if self.dropped > 0 {
            diagnostics.push(Diagnostic {
                severity: Severity::Info,
                code: "diagnostics-dropped".to_owned(),
                standard_code: None,
                at: None,
                message: format!("{} further diagnostics are not shown", self.dropped),
                rule: None,
            });
        }
    }
}

/// A severity on our side.
pub(super) fn severity(severity: WireSeverity) -> Severity {
    match severity {
        WireSeverity::Info => Severity::Info,
        WireSeverity::Warning => Severity::Warning,
        WireSeverity::Error => Severity::Error,
    }
}

fn draft(out: EventOut) -> Draft {
    Draft {
        kind: out.kind,
        schema_version: out.schema_version,
        natural_key: out.natural_key,
        order_keys: out.order_keys,
        sequence: out.sequence,
        corrects: out.corrects,
        occurred_at: out.occurred_at,
        data: out.data.into(),
    }
}

fn pair_bytes(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// Bytes that a mapper gave, counted as they count against the limit of output.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for LocationOut {
    fn weight(&self) -> usize {
        self.scheme.len() + self.path.len()
    }
}

impl Weight for DiagnosticOut {
    fn weight(&self) -> usize {
        let at = self.at.as_ref().map_or(0, Weight::weight);
        self.code.len()
            + optional(self.standard_code.as_ref())
            + at
            + self.message.len()
            + pair_bytes(&self.more)
    }
}

impl Weight for EventOut {
    fn weight(&self) -> usize {
        let keys = pair_bytes(&self.natural_key) + pair_bytes(&self.order_keys) + pair_bytes(&self.corrects);
        let optional = optional(self.sequence.as_ref()) + optional(self.occurred_at.as_ref());
        self.kind.len()
            + self.schema_version.len()
            + keys
            + optional
            + self.data.len()
            + pair_bytes(&self.more)
    }
}

impl Weight for RejectOut {
    fn weight(&self) -> usize {
        self.unit.len() + self.at.weight() + self.diagnostics.weight() + pair_bytes(&self.more)
    }
}

impl Weight for MappedOut {
    fn weight(&self) -> usize {
        self.events.weight() + self.rejects.weight() + self.diagnostics.weight() + pair_bytes(&self.more)
    }
}

impl Weight for DocumentOut {
    fn weight(&self) -> usize {
        self.media_type.len() + self.content.len() + pair_bytes(&self.parameters) + pair_bytes(&self.more)
    }
}

impl<T: Weight> Weight for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, Weight::weight)
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn weight(&self) -> usize {
        self.iter().map(Weight::weight).sum()
    }
}

impl<T: Weight, E: Weight> Weight for Result<T, E> {
    fn weight(&self) -> usize {
        match self {
            Ok(value) => value.weight(),
            Err(error) => error.weight(),
        }
    }
}
