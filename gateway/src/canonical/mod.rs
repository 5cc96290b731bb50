//! The canonical check: from a mapper's draft to an event. What fails here is the mapper's fault.

mod envelope;
mod form;
mod identity;
mod moment;
mod schema;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::words::{
    ApiName, Diagnostic, Digest, Draft, Event, IdSource, Key, Location, Pairs, PartnerName, Random, Severity,
    Time, json,
};

pub use envelope::{cloud_event, document};
use schema::Schemas;

/// Most events that one document may make: a 945 of a full trailer makes one, a day of milestones some hundreds.
pub const EVENTS_MAX: usize = 1_000;
/// Most pairs in a natural key, in the order keys and in the key of what is corrected.
const PAIRS_MAX: usize = 32;
/// Longest kind or value of a key, in bytes: keys are indexed and shown.
const KEY_MAX_BYTES: usize = 256;
/// Most bytes of one event's data: eight times the largest document that is not a batch.
const DATA_MAX_BYTES: usize = 8 << 20;
/// Deepest nesting of one event's data.
const DEPTH_MAX: usize = 64;
/// Most faults that are listed; the rest would say the same.
const FAULTS_MAX: usize = 100;

/// The canonical model's schemas, compiled once.
pub struct Canon {
    schemas: Schemas,
}

/// Where a document came from, as the gateway knows it and not as the mapper says.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The authenticated partner.
    pub partner: &'a PartnerName,
    /// The API that it called.
    pub api: &'a ApiName,
    /// Digest of the document.
    pub document: Digest,
    /// When the gateway takes it down.
    pub recorded_at: Time,
    /// IANA zone of times that carry none, where the policy knows one.
    pub zone: Option<&'a str>,
}

/// What is wrong with one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which event of the document, from zero.
    pub event: usize,
    /// Its canonical type as the mapper gave it.
    pub kind: String,
    /// What is wrong; its place is a JSON Pointer into the event's data.
    pub diagnostic: Diagnostic,
}

/// Why a mapper's events are not canonical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than one document may make.
    #[error("{0} events of one document, {EVENTS_MAX} are allowed")]
    TooMany(usize),
    /// Some of them break the model. At least one fault, at most a hundred.
    #[error("{}", listed(.0))]
    Broken(Vec<Fault>),
}

impl Error {
    /// What is wrong, each with its place in the event's data.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::TooMany(_) => vec![fault("too-many-events", "", self.to_string())],
            Self::Broken(faults) => faults.iter().map(|fault| fault.diagnostic.clone()).collect(),
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    let Some(first) = faults.first() else { return "the events break the canonical model".to_owned() };
    let place = first.diagnostic.at.as_ref().map_or("", |at| at.path.as_str());
    let more = match faults.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    // The kind is the mapper's own text and may be anything.
    let kind: String = first.kind.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("event {} ({kind}) {place}: {}{more}", first.event, first.diagnostic.message)
}

impl Canon {
    /// Compiles the schemas.
    pub fn new() -> Self {
        Self { schemas: Schemas::new() }
    }

    /// The canonical types that there are.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.schemas.kinds()
    }

    /// Makes events of drafts: each of a known kind and version, by its schema, its times worked out, its
    /// data in the one canonical form, with an identity that follows from what it says. All or none.
    ///
    /// # Errors
    /// There are too many, or some break the model; every broken one is listed.
    pub fn check(
        &self,
        drafts: Vec<Draft>,
        origin: &Origin<'_>,
        ids: &IdSource,
        random: &dyn Random,
    ) -> Result<Vec<Event>, Error> {
        if drafts.len() > EVENTS_MAX {
            return Err(Error::TooMany(drafts.len()));
        }
        let source = format!("/{}/{}", origin.partner, origin.api);
        let mut events = Vec::with_capacity(drafts.len());
        let mut faults = Vec::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            match self.values(&draft, origin.zone) {
                Ok((occurred_at, data)) => {
                    let identity =
                        identity::of(&source, &draft.kind, &draft.natural_key, origin.document, index);
                    let corrects = (!draft.corrects.is_empty())
                        .then(|| identity::of(&source, &draft.kind, &draft.corrects, origin.document, index));
                    events.push(Event {
                        id: ids.event(origin.recorded_at, random),
                        identity,
                        source: source.clone(),
                        kind: draft.kind,
                        schema_version: draft.schema_version,
                        natural_key: draft.natural_key,
                        order_keys: draft
                            .order_keys
                            .into_iter()
                            .map(|(kind, value)| Key { kind, value })
                            .collect(),
                        sequence: draft.sequence,
                        corrects,
                        occurred_at,
                        recorded_at: origin.recorded_at,
                        data_digest: Digest::of(&data),
                        data,
                    });
                }
                Err(diagnostics) => {
                    let room = FAULTS_MAX - faults.len();
                    let here = diagnostics.into_iter().take(room);
                    faults.extend(here.map(|diagnostic| Fault {
                        event: index,
                        kind: draft.kind.clone(),
                        diagnostic,
                    }));
                    if faults.len() == FAULTS_MAX {
                        break;
                    }
                }
            }
        }
        if faults.is_empty() { Ok(events) } else { Err(Error::Broken(faults)) }
    }

    /// The moment and the canonical data of a draft, or everything that is wrong with it.
    fn values(&self, draft: &Draft, zone: Option<&str>) -> Result<(Option<String>, Bytes), Vec<Diagnostic>> {
        let mut faults = Vec::new();
        check_keys(draft, &mut faults);
        let occurred_at = match draft.occurred_at.as_deref().map(|text| moment::occurred(text, zone)) {
            Some(Ok(text)) => Some(text),
            Some(Err(message)) => {
                faults.push(fault("occurred-at", "", message));
                None
            }
            None => None,
        };
        let schema = self
            .schemas
            .find(&draft.kind, &draft.schema_version)
            .map_err(|diagnostic| faults.push(*diagnostic));
        if draft.data.len() > DATA_MAX_BYTES {
            let message = format!("{} bytes of data, {DATA_MAX_BYTES} are allowed", draft.data.len());
            faults.push(fault("too-large", "", message));
            return Err(faults);
        }
        let tree = match json::tree(&draft.data, DEPTH_MAX) {
            Ok(tree) => tree,
            Err(error) => {
                faults.push(fault("not-json", "", error.to_string()));
                return Err(faults);
            }
        };
        let Ok(schema) = schema else { return Err(faults) };
        schema.check(tree.root(), FAULTS_MAX, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        match form::of(tree.root(), draft.data.len(), zone) {
            Ok(data) => Ok((occurred_at, data.into())),
            Err(faults) => Err(faults),
        }
    }
}

impl Default for Canon {
    fn default() -> Self {
        Self::new()
    }
}

fn fault(code: &str, path: &str, message: String) -> Diagnostic {
    let at =
        Location { scheme: "json-pointer".to_owned(), path: path.to_owned(), offset: None, length: None };
    Diagnostic {
        severity: Severity::Error,
        code: code.to_owned(),
        standard_code: None,
        at: Some(at),
        message,
        rule: None,
    }
}

fn check_keys(draft: &Draft, faults: &mut Vec<Diagnostic>) {
    let lists: [(&str, &Pairs); 3] = [
        ("natural key", &draft.natural_key),
        ("order keys", &draft.order_keys),
        ("key of what is corrected", &draft.corrects),
    ];
    for (name, pairs) in lists {
        if pairs.len() > PAIRS_MAX {
            faults.push(fault(
                "key",
                "",
                format!("the {name} has {} pairs, {PAIRS_MAX} are allowed", pairs.len()),
            ));
        } else if let Some(wrong) =
            pairs.iter().flat_map(|(kind, value)| [kind, value]).find_map(|text| wrong_key(text))
        {
            faults.push(fault("key", "", format!("the {name} has {wrong}")));
        }
    }
    if let Some(wrong) = draft.sequence.as_deref().and_then(wrong_key) {
        faults.push(fault("key", "", format!("the sequence is {wrong}")));
    }
}

fn wrong_key(text: &str) -> Option<String> {
    match text {
        "" => Some("an empty text".to_owned()),
        long if long.len() > KEY_MAX_BYTES => {
            Some(format!("a text of {} bytes, {KEY_MAX_BYTES} are allowed", long.len()))
        }
        odd if odd.contains(char::is_control) => Some("a control character".to_owned()),
        _ => None,
    }
}
