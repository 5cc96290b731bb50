//! The way of a document: its envelopes, then one transaction set after the other.

use crossdock_edi::x12::{Delimiters, Document, Error, Finding, Group, Severity, TransactionSet};
use crossdock_mapper::{Context, Diagnostic, Event, Input, Location, Mapped, Refusal, Reject};

use crate::source::{Problems, Values, Zones, excerpt};

/// What a mapper reads.
pub struct Mapping<'m> {
    /// Its transaction sets, with the functional group (element 479) that each stands in.
    pub sets: &'m [(&'m str, &'m str)],
    /// Versions that have them as they are read here; an industry's suffix may follow.
    pub versions: std::ops::RangeInclusive<&'m str>,
    /// What the model can hold of their values.
    pub values: Values<'m>,
    /// Reads one set into its events, or tells of an error.
    pub map: fn(TransactionSet<'_>, &Zones<'_>, &mut Problems<'_>) -> Vec<Event>,
}

/// The host takes no more than this from one document.
const DIAGNOSTICS_MAX: usize = 100;

/// Reads a document into events, set by set: a bad one is rejected by itself.
///
/// # Errors
/// What stands outside of sets or ends in the middle refuses the whole, and so does a document whose sets are all bad.
pub fn read(mapping: &Mapping<'_>, context: &Context, input: &Input) -> Result<Mapped, Refusal> {
    let document = open(context, &input.content).map_err(|error| unreadable(&error))?;
    let mut mapped = Mapped::default();
    let mut outside = Vec::new();
    for finding in document.findings().iter().filter(|finding| finding.set.is_none()) {
        match finding.severity {
            Severity::Error => outside.push(diagnostic(finding)),
            Severity::Warning => mapped.diagnostics.push(diagnostic(finding)),
        }
    }
    // What stands between sets belongs to none of them, so no single set can answer for it.
    if !outside.is_empty() {
        return Err(outside.into());
    }

    for acknowledgement in document.acknowledgements().take(DIAGNOSTICS_MAX) {
        let message = "this mapper does not read acknowledgements of interchanges".to_owned();
        let at = Location::x12("TA1", acknowledgement.offset(), acknowledgement.length());
        mapped.diagnostics.push(Diagnostic::warning("unsupported-acknowledgement", message).at(at));
    }
    document.groups().for_each(|group| mapping.check_group(group, &mut mapped.diagnostics));

    let zones = Zones { zone: context.zone.as_deref() };
    for set in document.sets() {
        let of_set =
            document.findings().iter().filter(|finding| finding.set == Some(set.index())).map(diagnostic);
        let mut told: Vec<Diagnostic> = of_set.collect();
        match mapping.map(set, &zones, &mut told) {
            Some(mut events) => {
                mapped.events.append(&mut events);
                mapped.diagnostics.append(&mut told);
            }
            None => mapped.rejects.push(Reject {
                unit: format!("ST*{}*{}", set.id(), set.control_number()),
                at: Location::x12(set.path(set.header(), 0), set.offset(), set.length()),
                diagnostics: told,
                ..Reject::default()
            }),
        }
    }
    if !mapped.events.is_empty() {
        mapped.diagnostics.truncate(DIAGNOSTICS_MAX);
        return Ok(mapped);
    }
    Err(nothing_mapped(&document, mapped))
}

impl Mapping<'_> {
    /// One set: its events, or what is wrong with it.
    fn map(
        &self,
        set: TransactionSet<'_>,
        zones: &Zones<'_>,
        told: &mut Vec<Diagnostic>,
    ) -> Option<Vec<Event>> {
        if !set.is_sound() {
            return None;
        }
        let mut problems = Problems::new(set);
        let id = set.id();
        let mut events = Vec::new();
        if self.sets.iter().any(|(read, _)| *read == id) {
            self.values.check(set, &mut problems);
            events = (self.map)(set, zones, &mut problems);
        } else {
            let read: Vec<_> = self.sets.iter().map(|(read, _)| *read).collect();
            let (last, others) = read.split_last().unwrap_or((&"nothing", &[]));
            let read = if others.is_empty() {
                (*last).to_owned()
            } else {
                format!("{} and {last}", others.join(", "))
            };
            let message = format!("this mapper reads {read}, not {}", excerpt(&id));
            problems.error(set.header(), 1, "unsupported-set", "1", message);
        }
        let (refused, list) = problems.finish();
        told.extend(list);
        Some(events).filter(|events| !refused && !events.is_empty())
    }

    /// Whether a group is of the kind that its sets are, and of a version that has them as they are read here.
    fn check_group(&self, group: Group<'_>, told: &mut Vec<Diagnostic>) {
        let Some(header) = group.header() else { return };
        let mut warn = |n: usize, code: &str, standard: &str, message: String| {
            let (offset, length) = header
                .element(n)
                .map_or((header.offset(), header.length()), |element| (element.offset(), element.length()));
            let at = Location::x12(format!("GS/{n}"), offset, length);
            told.push(Diagnostic::warning(code, message).standard_code(standard).at(at));
        };
        let functional = header.value(1);
        let mut others = group.sets().filter_map(|set| self.sets.iter().find(|(id, _)| *id == set.id()));
        if let Some((set, right)) = others.find(|(_, right)| *right != functional) {
            let message =
                format!("a group of kind `{}` holds a {set}, which is of `{right}`", excerpt(&functional));
            warn(1, "functional-group", "1", message);
        }
        let version = header.value(8);
        let known = version.get(..6).is_some_and(|number| {
            number.bytes().all(|byte| byte.is_ascii_digit()) && self.versions.contains(&number)
        });
        if !known && group.sets().any(|set| self.sets.iter().any(|(id, _)| *id == set.id())) {
            let message = format!("`{}` is no version that this mapper knows", excerpt(&version));
            warn(8, "version", "2", message);
        }
    }
}

/// Reads a whole document, or a part with the delimiters of the ISA that encloses it.
fn open<'a>(context: &Context, content: &'a [u8]) -> Result<Document<'a>, Error> {
    let envelope = context.part.as_ref().map(|part| part.envelope.trim_ascii_start()).unwrap_or_default();
    match envelope.starts_with(b"ISA") && !content.trim_ascii_start().starts_with(b"ISA") {
        true => Document::read_part(content, Delimiters::of_isa(envelope, 0)?),
        false => Document::read(content),
    }
}

fn unreadable(error: &Error) -> Refusal {
    let opened_by = match error {
        Error::CutOff { opened_by, .. } => opened_by,
        _ => "",
    };
    let place = Location::new("x12", opened_by).bytes(error.offset(), 0);
    let diagnostic = Diagnostic::error(error.code(), error.to_string()).at(place);
    match error.standard_code() {
        Some(code) => diagnostic.standard_code(code).into(),
        None => diagnostic.into(),
    }
}

/// Everything that was wrong, where no set became an event.
fn nothing_mapped(document: &Document<'_>, mut mapped: Mapped) -> Refusal {
    let mut all: Vec<Diagnostic> = mapped.rejects.into_iter().flat_map(|reject| reject.diagnostics).collect();
    if all.is_empty() {
        let header = document.interchanges().find_map(|interchange| interchange.header());
        let at = header.map_or(Location::new("x12", ""), |header| {
            Location::x12("ISA", header.offset(), header.length())
        });
        let message = "the interchange holds no transaction set";
        all.push(Diagnostic::error("no-transaction-set", message).standard_code("024").at(at));
    }
    all.append(&mut mapped.diagnostics);
    all.truncate(DIAGNOSTICS_MAX);
    all.into()
}

fn diagnostic(finding: &Finding) -> Diagnostic {
    let diagnostic = match finding.severity {
        Severity::Error => Diagnostic::error(finding.code, &finding.message),
        Severity::Warning => Diagnostic::warning(finding.code, &finding.message),
    };
    let diagnostic = diagnostic.at(Location::x12(&finding.path, finding.offset, finding.length));
    match finding.standard_code {
        Some(code) => diagnostic.standard_code(code),
        None => diagnostic,
    }
}
