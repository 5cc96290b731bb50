//! How the messages of an interchange ended becomes a CONTRL (syntax version 3, or 4 where the interchange is of 4): what
//! was accepted, what was rejected, and for what reason at which segment and element.
//!
//! `UCI` answers the interchange, `UCF` a group of it, `UCM` a message, `UCS` a segment and `UCD` an element in error.

use crossdock_edi::edifact::{Envelope, Headers, WriteError, Writer};
use crossdock_mapper::{Context, Diagnostic, Outcome, Output, Refusal, Severity};

use crate::write::{control_number, syntax_date, unwritable};

/// 0083: this level and all lower levels are rejected; acknowledged, lower levels too unless they say otherwise.
const REJECTED: &str = "4";
const ACKNOWLEDGED: &str = "7";

/// A CONTRL for each interchange among the parts; none where there is nothing to answer to: no interchange, or one of
/// CONTRLs, which nobody acknowledges.
pub fn document(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
    let mut answers: Vec<(Headers, Vec<&Outcome>)> = Vec::new();
    for outcome in outcomes {
        let Some(headers) = Headers::read(&outcome.part.envelope) else { continue };
        match answers.last_mut().filter(|(open, _)| same_interchange(open, &headers)) {
            Some((_, parts)) => parts.push(outcome),
            None => answers.push((headers, vec![outcome])),
        }
    }
    answers.retain(|(headers, parts)| !parts.iter().all(|part| message(headers, part)[2][0] == "CONTRL"));
    let Some((first, _)) = answers.first() else { return Ok(None) };
    let four = first.value("UNB", 1, 2) == "4";
    let (date, time) = syntax_date(&context.received_at, four)?;
    let reference = control_number(context)?;
    let envelope = Envelope {
        // What an answer repeats of its sender's may need the sender's own characters.
        syntax: if first.value("UNB", 1, 1) == "UNOA" { "UNOC" } else { first.value("UNB", 1, 1) },
        version: if four { "4" } else { "3" },
        sender: (first.value("UNB", 3, 1), first.value("UNB", 3, 2)),
        recipient: (first.value("UNB", 2, 1), first.value("UNB", 2, 2)),
        date: &date,
        time: &time,
        reference,
        test: first.value("UNB", 11, 1) == "1",
    };
    let mut writer = Writer::new(&envelope).map_err(unwritable)?;
    for (nth, (headers, parts)) in answers.iter().enumerate() {
        let version: &[&str] = if four { &["CONTRL", "4", "1", "UN"] } else { &["CONTRL", "D", "3", "UN"] };
        writer.message(&(nth + 1).to_string(), version).map_err(unwritable)?;
        answer(&mut writer, headers, parts).map_err(unwritable)?;
    }
    let content = writer.finish().map_err(unwritable)?;
    Ok(Some(Output::new("application/edifact", content)))
}

fn same_interchange(one: &Headers, other: &Headers) -> bool {
    let key = |headers: &Headers| [2, 3, 5].map(|n| headers.value("UNB", n, 1).to_owned());
    key(one) == key(other)
}

fn answer(writer: &mut Writer, headers: &Headers, parts: &[&Outcome]) -> Result<(), WriteError> {
    // An interchange is rejected as a whole only where nothing of it was accepted.
    let action = if parts.iter().any(|part| part.accepted) { ACKNOWLEDGED } else { REJECTED };
    let unb = |n, c| headers.value("UNB", n, c);
    let (sender, recipient) = ([unb(2, 1), unb(2, 2), unb(2, 3)], [unb(3, 1), unb(3, 2), unb(3, 3)]);
    writer.segment("UCI", &[&[unb(5, 1)], &sender, &recipient, &[action]])?;
    let mut group = String::new();
    for (at, part) in parts.iter().enumerate() {
        let own = Headers::read(&part.part.envelope);
        let ung = |n, c| own.as_ref().map_or("", |own| own.value("UNG", n, c));
        if !ung(5, 1).is_empty() && ung(5, 1) != group {
            group = ung(5, 1).to_owned();
            let of_group = |other: &&&Outcome| {
                Headers::read(&other.part.envelope).is_some_and(|other| other.value("UNG", 5, 1) == group)
            };
            let accepted = parts[at..].iter().filter(of_group).any(|other| other.accepted);
            let action = if accepted { ACKNOWLEDGED } else { REJECTED };
            let (sender, recipient) = ([ung(2, 1), ung(2, 2)], [ung(3, 1), ung(3, 2)]);
            writer.segment("UCF", &[&[&group], &sender, &recipient, &[action]])?;
        }
        one(writer, headers, part)?;
    }
    Ok(())
}

/// One message: `UCM`, and for each error `UCS` and `UCD`.
fn one(writer: &mut Writer, headers: &Headers, part: &Outcome) -> Result<(), WriteError> {
    let header = message(headers, part);
    let identifier: Vec<&str> = header[2].iter().map(String::as_str).take(5).collect();
    let errors: Vec<_> = part.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
    if part.accepted {
        return writer.segment("UCM", &[&[&header[1][0]], &identifier, &[ACKNOWLEDGED]]);
    }
    // 18 says that there is an error which no code of the standard says.
    let code = |found: &Diagnostic| found.standard_code.clone().unwrap_or_else(|| "18".to_owned());
    // An error of the message, or of its UNH or UNT, stands in its UCM; those of other segments follow.
    let (of_message, of_segments): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|found| matches!(more(found, "segment"), None | Some("UNH" | "UNT")));
    let (whole, tag, element, component) = match of_message.first() {
        Some(found) => {
            let (element, component) = place(found);
            (
                code(found),
                more(found, "segment").filter(|_| element > 0).unwrap_or_default(),
                element,
                component,
            )
        }
        None if of_segments.is_empty() => ("18".to_owned(), "", 0, 0),
        None => Default::default(),
    };
    let [element, component] = positions(element, component);
    let place_of_it = [element.as_str(), component.as_str()];
    writer.segment("UCM", &[&[&header[1][0]], &identifier, &[REJECTED], &[&whole], &[tag], &place_of_it])?;
    let mut open = String::new();
    for found in of_segments {
        let Some(position) = more(found, "position").map(str::to_owned) else { continue };
        let (element, component) = place(found);
        let of_segment = if element == 0 { code(found) } else { String::new() };
        if position != open || element == 0 {
            writer.segment("UCS", &[&[&position], &[&of_segment]])?;
            open = position;
        }
        if element > 0 {
            let at = positions(element, component);
            writer.segment("UCD", &[&[&code(found)], &[&at[0], &at[1]]])?;
        }
    }
    Ok(())
}

/// What the host says of the place of an error: `segment`, `position`.
fn more<'f>(found: &'f Diagnostic, name: &str) -> Option<&'f str> {
    found.more.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Element and component that an error is about, 0 where it is about the whole.
fn place(found: &Diagnostic) -> (usize, usize) {
    let path = found.at.as_ref().map(|at| at.path.as_str()).unwrap_or_default();
    // `UNH+4711+DESADV/LIN[1]/QTY/1/2`: what follows the segment's name are numbers.
    let mut numbers = path.split('/').skip(1).filter_map(|step| step.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// S011: the tag is the first element in this count.
fn positions(element: usize, component: usize) -> [String; 2] {
    let text = |number: usize| if number == 0 { String::new() } else { number.to_string() };
    [text(if element == 0 { 0 } else { element + 1 }), text(component)]
}

/// The `UNH` of a part, by elements and components, each there at least once.
fn message(headers: &Headers, part: &Outcome) -> Vec<Vec<String>> {
    let text = part.more.iter().find(|(name, _)| name == "header").map(|(_, value)| value.as_str());
    let mut header = headers.segment(text.unwrap_or_default().as_bytes());
    header.resize_with(3, || vec![String::new()]);
    header
}
