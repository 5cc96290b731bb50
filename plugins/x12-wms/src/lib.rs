//! X12 004010 of warehouses: 940 (shipping order) and 945 (shipping advice), in both directions.

mod acknowledge;
mod advice;
mod heading;
mod order;
mod source;
mod tables;
mod write;

use crossdock_edi::x12::{Delimiters, Document, Severity, TransactionSet};
use crossdock_mapper::{
    Context, Diagnostic, Input, Location, Mapped, Mapper, Outcome, Output, Recorded, Refusal, Reject,
};

use source::{Problems, Zones};

/// The mapper.
pub struct X12Wms;

impl Mapper for X12Wms {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let document = read(context, &document.content).map_err(|error| {
            let opened_by = match &error {
                crossdock_edi::x12::Error::CutOff { opened_by, .. } => opened_by,
                _ => "",
            };
            let place = Location::new("x12", opened_by).bytes(error.offset(), 0);
            let diagnostic = Diagnostic::error(error.code(), error.to_string()).at(place);
            match error.standard_code() {
                Some(code) => diagnostic.standard_code(code),
                None => diagnostic,
            }
        })?;
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

        let zones = Zones { zone: context.zone.as_deref() };
        for set in document.sets() {
            let of_set =
                document.findings().iter().filter(|finding| finding.set == Some(set.index())).map(diagnostic);
            let mut told: Vec<Diagnostic> = of_set.collect();
            match map(set, &zones, &mut told) {
                Some(event) => {
                    mapped.events.push(event);
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
        let mut all: Vec<Diagnostic> =
            mapped.rejects.into_iter().flat_map(|reject| reject.diagnostics).collect();
        if all.is_empty() {
            all.push(Diagnostic::error("no-transaction-set", "the interchange holds no transaction set"));
        }
        all.truncate(DIAGNOSTICS_MAX);
        Err(all.into())
    }

    fn from_canonical(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        write::document(context, events)
    }

    fn acknowledge(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
        acknowledge::document(context, outcomes)
    }
}

crossdock_mapper::export!(X12Wms);

/// The host takes no more than this from one document.
const DIAGNOSTICS_MAX: usize = 100;

/// Reads a whole document, or a part with the delimiters of the ISA that encloses it.
fn read<'a>(context: &Context, content: &'a [u8]) -> Result<Document<'a>, crossdock_edi::x12::Error> {
    let envelope = context.part.as_ref().map(|part| part.envelope.trim_ascii_start()).unwrap_or_default();
    match envelope.starts_with(b"ISA") && !content.trim_ascii_start().starts_with(b"ISA") {
        true => Document::read_part(content, Delimiters::of_isa(envelope, 0)?),
        false => Document::read(content),
    }
}

/// One set: its event, or what is wrong with it.
fn map(
    set: TransactionSet<'_>,
    zones: &Zones<'_>,
    told: &mut Vec<Diagnostic>,
) -> Option<crossdock_mapper::Event> {
    if !set.is_sound() {
        return None;
    }
    let mut problems = Problems::new(set);
    let event = match &*set.id() {
        "945" => advice::read(set, zones, &mut problems),
        "940" => order::read(set, zones, &mut problems),
        other => {
            let message = format!("this mapper reads 940 and 945, not {}", source::excerpt(other));
            problems.error(set.header(), 1, "unsupported-set", "1", message);
            None
        }
    };
    let (refused, list) = problems.finish();
    told.extend(list);
    event.filter(|_| !refused)
}

fn diagnostic(finding: &crossdock_edi::x12::Finding) -> Diagnostic {
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
