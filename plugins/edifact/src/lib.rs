//! UN/EDIFACT of warehouses, carriers and trade: DESADV, RECADV, INVRPT, ORDERS, ORDRSP, IFTMIN, IFTMBF, IFTSTA and
//! INVOIC in; ORDERS, DESADV, IFTMIN and IFTSTA out; CONTRL as the acknowledgement.

mod acknowledge;
mod despatch;
mod heading;
mod invoice;
mod line;
mod orders;
mod packs;
mod parts;
mod source;
mod status;
mod stock;
mod tables;
mod times;
mod transport;
mod tree;
mod write;

use crossdock_edi::edifact::{Document, Error, Finding, Headers, Message, Severity};
use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Outcome, Output, Recorded, Refusal, Reject,
};

use source::{DIAGNOSTICS_MAX, Source, excerpt};
use tree::{Level, Node};

/// The mapper.
pub struct Edifact;

impl Mapper for Edifact {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let document = read(context, &document.content).map_err(|error| unreadable(&error))?;
        let mut mapped = Mapped::default();
        let mut outside = Vec::new();
        for finding in document.findings().iter().filter(|finding| finding.message_index.is_none()) {
            match finding.severity {
                Severity::Error => outside.push(diagnostic(finding)),
                Severity::Warning => mapped.diagnostics.push(diagnostic(finding)),
            }
        }
        // What stands between messages belongs to none of them, so no single message can answer for it.
        if !outside.is_empty() {
            return Err(outside.into());
        }
        for message in document.messages() {
            let findings =
                document.findings().iter().filter(|finding| finding.message_index == Some(message.index()));
            let mut told: Vec<Diagnostic> = findings.map(diagnostic).collect();
            match map(context, message, &mut told) {
                Some(events) => {
                    mapped.events.extend(events);
                    mapped.diagnostics.append(&mut told);
                }
                None => mapped.rejects.push(Reject {
                    unit: message.path(message.header(), 0, 0),
                    at: place(message),
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
            let header = document.interchanges().find_map(|interchange| interchange.header());
            let at = Location::new("edifact", "UNB");
            let at = header.map_or(at.clone(), |header| at.bytes(header.offset(), header.length()));
            let message = "the interchange holds no message";
            all.push(Diagnostic::error("no-message", message).standard_code("32").at(at));
        }
        all.append(&mut mapped.diagnostics);
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

crossdock_mapper::export!(Edifact);

/// Reads a whole document, or a part with the service characters of the interchange that encloses it.
fn read<'a>(context: &Context, content: &'a [u8]) -> Result<Document<'a>, Error> {
    let envelope = context.part.as_ref().map(|part| part.envelope.trim_ascii_start()).unwrap_or_default();
    let is_part = content.trim_ascii_start().starts_with(b"UNH");
    if envelope.is_empty() || !is_part {
        return Document::read(content);
    }
    match Headers::read(envelope) {
        Some(headers) => Document::read_part(content, headers.service, headers.value("UNB", 1, 1)),
        None => Document::read(content),
    }
}

/// What becomes of a message of a type.
enum Mapping {
    One(&'static [Level], for<'s, 'd> fn(&'s Source<'d>, &'s Node<'d>) -> Event),
    Many(&'static [Level], for<'s, 'd> fn(&'s Source<'d>, &'s Node<'d>) -> Vec<Event>),
}

/// The types of messages that are read, each with the structure of its directories and its mapping.
const MAPPINGS: &[(&str, Mapping)] = &[
    ("DESADV", Mapping::One(tree::DESADV, despatch::despatched)),
    ("RECADV", Mapping::One(tree::RECADV, despatch::received)),
    ("INVRPT", Mapping::One(tree::INVRPT, stock::reported)),
    ("ORDERS", Mapping::One(tree::ORDERS, orders::released)),
    ("ORDRSP", Mapping::One(tree::ORDRSP, orders::answered)),
    ("IFTMIN", Mapping::One(tree::IFTMIN, transport::tendered)),
    ("IFTMBF", Mapping::One(tree::IFTMBF, transport::tendered)),
    ("IFTSTA", Mapping::Many(tree::IFTSTA, status::statuses)),
    ("INVOIC", Mapping::One(tree::INVOIC, invoice::invoiced)),
];

/// One message: its events, or what is wrong with it.
fn map(context: &Context, message: Message<'_>, told: &mut Vec<Diagnostic>) -> Option<Vec<Event>> {
    if !message.is_sound() {
        return None;
    }
    let kind = message.kind().into_owned();
    let source = Source::new(message, context.zone.as_deref());
    let Some((_, mapping)) = MAPPINGS.iter().find(|(name, _)| *name == kind) else {
        let known: Vec<_> = MAPPINGS.iter().map(|(name, _)| *name).collect();
        let message_text = format!("this mapper reads {}, not {}", known.join(", "), excerpt(&kind));
        // 14: a value that is not supported in this position.
        source.error(message.header(), 2, 1, "unsupported-message", "14", message_text);
        told.extend(source.into_told());
        return None;
    };
    let levels = match mapping {
        Mapping::One(levels, _) | Mapping::Many(levels, _) => levels,
    };
    source.check_values();
    let (root, strays) = tree::grow(message, levels);
    for stray in strays {
        let text = format!("{} has no place in {kind} by its directories", excerpt(stray.name()));
        source.warning(stray, 0, 0, "unexpected-segment", "15", text);
    }
    let events = match mapping {
        Mapping::One(_, map) => vec![map(&source, &root)],
        Mapping::Many(_, map) => map(&source, &root),
    };
    let refused = source.is_refused();
    told.extend(source.into_told());
    (!refused).then_some(events)
}

fn unreadable(error: &Error) -> Refusal {
    let opened_by = match error {
        Error::CutOff { opened_by, .. } => opened_by,
        Error::Envelope { .. } => "UNA",
        _ => "",
    };
    let at = Location::new("edifact", opened_by).bytes(error.offset(), 0);
    let diagnostic = Diagnostic::error(error.code(), error.to_string()).at(at);
    match error.standard_code() {
        Some(code) => diagnostic.standard_code(code).into(),
        None => diagnostic.into(),
    }
}

fn diagnostic(finding: &Finding) -> Diagnostic {
    let diagnostic = match finding.severity {
        Severity::Error => Diagnostic::error(finding.code, &finding.message),
        Severity::Warning => Diagnostic::warning(finding.code, &finding.message),
    };
    let at = Location::new("edifact", &finding.path).bytes(finding.offset, finding.length);
    diagnostic.at(at).standard_code(finding.standard_code)
}

fn place(message: Message<'_>) -> Location {
    let path = message.path(message.header(), 0, 0);
    Location::new("edifact", path).bytes(message.offset(), message.length())
}
