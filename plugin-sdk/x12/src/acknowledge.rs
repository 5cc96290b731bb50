//! How the sets of an interchange ended becomes a 997, or a 999 where their guide asks for it.

use crossdock_edi::x12::{
    Conflict, Envelope, Form, GUIDE_999, GroupAnswer, Headers, Remark, SetAnswer, Style, Writer,
};
use crossdock_mapper::{Context, Diagnostic, Outcome, Output, Refusal, Severity};

use crate::interchange::{clock, unwritable};

/// An interchange that answers every group; none where there is nothing to answer to: no envelope, or groups of
/// acknowledgements, which nobody acknowledges.
///
/// # Errors
/// The context lacks what the envelope needs, or a value can't be said in X12.
pub fn acknowledge(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
    let mut answers: Vec<(Headers, GroupAnswer)> = Vec::new();
    let mut before: &[u8] = b"";
    for outcome in outcomes {
        let envelope = outcome.part.envelope.as_slice();
        // The sets of one group come one after the other, all with the same envelope.
        if before != envelope || answers.is_empty() {
            let Some(headers) = Headers::read(envelope) else { continue };
            let group = group(&headers, outcome);
            answers.push((headers, group));
            before = envelope;
        }
        if let Some((headers, group)) = answers.last_mut() {
            group.sets.push(set(headers, outcome));
        }
    }
    answers.retain(|(headers, _)| headers.gs(1) != "FA");
    match answers.first() {
        None => Ok(None),
        Some((first, _)) => interchange(context, first, &answers).map(Some),
    }
}

fn interchange(
    context: &Context,
    first: &Headers,
    answers: &[(Headers, GroupAnswer)],
) -> Result<Output, Refusal> {
    let (date, time) = clock(&context.received_at)?;
    let number = |kind: &str| {
        context.control_number(kind).ok_or_else(|| {
            let message = format!("the host gave no control number `{kind}`");
            Refusal::from(Diagnostic::error("control-number-missing", message))
        })
    };
    let envelope = Envelope {
        sender: (first.isa(7), first.isa(8)),
        receiver: (first.isa(5), first.isa(6)),
        date: &date[2..],
        time: &time,
        version: first.isa(12),
        control_number: number("isa13")?,
        acknowledge: false,
        usage: first.isa(15).chars().next().unwrap_or('P'),
    };
    // The marks of the sender's own interchange are the ones that its reader surely knows.
    let style = Style { delimiters: first.delimiters, conflict: Conflict::Blank, lines: false };
    let mut writer = Writer::new(&envelope, style).map_err(unwritable)?;
    // One group holds all answers, since the host gives it one number; a 999 only where all sets follow such guides.
    let form = match answers.iter().all(|(headers, _)| headers.asks_for_999()) {
        true => Form::Implementation,
        false => Form::Functional,
    };
    let version = if form == Form::Implementation { GUIDE_999 } else { first.gs(8) };
    let header = ["FA", first.gs(3), first.gs(2), &date, &time, number("gs06")?, "X", version];
    writer.group(header).map_err(unwritable)?;
    for (nth, (_, group)) in answers.iter().enumerate() {
        group.write(&mut writer, form, &format!("{:04}", nth + 1)).map_err(unwritable)?;
    }
    let content = writer.finish().map_err(unwritable)?;
    Ok(Output::new("application/edi-x12", content))
}

fn group(headers: &Headers, outcome: &Outcome) -> GroupAnswer {
    let trailer = told(outcome, "group-trailer").map(|trailer| headers.elements(trailer));
    GroupAnswer {
        functional_id: headers.gs(1).to_owned(),
        control_number: headers.gs(6).to_owned(),
        version: headers.gs(8).to_owned(),
        included: trailer.and_then(|trailer| trailer.get(1)?.trim().parse().ok()),
        sets: Vec::new(),
    }
}

fn set(headers: &Headers, outcome: &Outcome) -> SetAnswer {
    let header = headers.elements(told(outcome, "header").unwrap_or_default());
    let element = |n: usize| header.get(n).map(|value| value.trim().to_owned()).unwrap_or_default();
    // A remark that no code of the standard says is no error of its, noted or not.
    let said = outcome
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error || found.standard_code.is_some());
    SetAnswer {
        id: element(1),
        control_number: element(2),
        guide: element(3),
        accepted: outcome.accepted,
        remarks: said.map(remark).collect(),
    }
}

fn remark(found: &Diagnostic) -> Remark {
    let more =
        |name: &str| found.more.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Remark {
        path: found.at.as_ref().map(|at| at.path.clone()).unwrap_or_default(),
        position: more("position").and_then(|position| position.parse().ok()),
        code: found.standard_code.clone(),
        value: more("value").unwrap_or_default(),
    }
}

fn told<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a str> {
    outcome.more.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
