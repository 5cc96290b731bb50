//! What every mapper keeps, whatever it maps: the same input gives the same bytes, damage never makes it trap, and
//! what it reads back is what it wrote.

use bytes::Bytes;
use serde_json::Value;

use super::{
    bench::{Bench, Opened, Setting, diagnostics},
    compare,
    damage::{Dice, damage, disturb},
    description::Direction,
    leaves,
    progress::Progress,
    show,
    test::{Given, Tried, document, give, give_acknowledgement, give_document},
    written,
};
use crate::{mapper::Code, words::Draft};

/// A second run gets so many times its CPU.
const SLACK: u32 = 20;

/// Whether a mapper keeps a law.
pub(super) struct Law {
    /// Its name for programs.
    pub name: &'static str,
    /// Whether the mapper keeps it.
    pub holds: bool,
    /// The law for people.
    pub says: String,
    /// What broke it, or what is worth a look.
    pub remark: Option<String>,
}

/// Every case a second time, and once more on a host of its own, in the opposite order: the same bytes.
pub(super) fn same_bytes(bench: &Bench<'_>, opened: &Opened, tried: &[Tried]) -> anyhow::Result<Law> {
    let (other, loaded) = bench.another(opened, Code::Fast)?;
    // A busy machine may take a second run over its CPU time, which says nothing about the bytes; and what failed the
    // first time has none.
    let differs = |bench: &Bench<'_>, opened: &Opened, one: &&Tried| match (&one.given, &one.setting) {
        (Given::Failed(_), _) | (_, None) => false,
        (given, Some(setting)) => {
            !is_same(given, &give(bench, opened, &one.case, &setting.with_slack(SLACK)).0)
        }
    };
    let again = tried.iter().find(|one| differs(bench, opened, one)).map(|one| (one, "the second time"));
    let elsewhere =
        || tried.iter().rev().find(|one| differs(&other, &loaded, one)).map(|one| (one, "on another host"));
    let differing = again.or_else(elsewhere);
    Ok(Law {
        name: "same-input-same-bytes",
        holds: differing.is_none(),
        says: "same input, same bytes".to_owned(),
        remark: differing.map(|(one, when)| format!("{} gave something else {when}", one.case.name)),
    })
}

fn is_same(first: &Given, second: &Given) -> bool {
    match (first, second) {
        (
            Given::Events { drafts, rejects, diagnostics },
            Given::Events { drafts: again, rejects: rejects_again, diagnostics: diagnostics_again },
        ) => drafts == again && rejects == rejects_again && diagnostics == diagnostics_again,
        (Given::Document(first), Given::Document(second)) => first == second,
        (Given::Refused(first), Given::Refused(second)) => first == second,
        (Given::Failed(first), Given::Failed(second)) => first == second,
        _ => false,
    }
}

/// Events of the cases written as documents, and read again. A format that has no room for all of an event loses
/// something on the way, so a difference is worth a look but breaks nothing. None where the mapper does not write
/// what it reads.
pub(super) fn there_and_back(bench: &Bench<'_>, opened: &Opened, tried: &[Tried]) -> Option<Law> {
    let manifest = opened.mapper.manifest();
    if !manifest.reads.iter().any(|read| manifest.writes.contains(read)) {
        return None;
    }
    let (mut went, mut first, mut drifts) = (0, None, None);
    for one in tried {
        let (Given::Events { drafts, .. }, Some(setting)) = (&one.given, &one.setting) else { continue };
        for draft in drafts {
            let Some(returned) = back(bench, opened, setting, one, draft) else { continue };
            went += 1;
            first = first.or_else(|| changed(one, std::slice::from_ref(draft), &returned));
            // What the format has no room for is lost the first time; from then on nothing may change.
            for draft in &returned {
                let Some(again) = back(bench, opened, setting, one, draft) else { continue };
                drifts = drifts.or_else(|| changed(one, std::slice::from_ref(draft), &again));
            }
        }
    }
    let (holds, says, remark) = match (drifts, first) {
        (Some(drift), _) => (false, "what came back once is changed when it goes again", Some(drift)),
        (None, Some(loss)) => (true, "there and back, with a loss", Some(loss)),
        (None, None) => (true, "there and back", None),
    };
    (went > 0).then(|| Law { name: "there-and-back", holds, says: says.to_owned(), remark })
}

/// The first difference between events and what came back of them.
fn changed(one: &Tried, before: &[Draft], after: &[Draft]) -> Option<String> {
    let show = |drafts: &[Draft]| drafts.iter().map(written::show).collect::<Vec<_>>();
    let found = compare::lists("event", &["data"], &show(before), &show(after)).into_iter().next()?;
    Some(format!("{}: {}  {} became {}", one.case.name, found.place, found.expected, found.got))
}

/// An event written as a document and read again; none where the mapper does not write such events.
fn back(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    one: &Tried,
    draft: &Draft,
) -> Option<Vec<Draft>> {
    let events = bench.check(vec![draft.clone()], setting, &one.case.content).ok()?;
    let written = bench.write_document(&opened.mapper, setting, events).ok()?.value;
    let again = document(opened, &one.case, written.content);
    match give_document(bench, opened, again, setting).0 {
        Given::Events { drafts, .. } => Some(drafts),
        Given::Refused(_) | Given::Failed(_) | Given::Document(_) => Some(Vec::new()),
    }
}

/// Damaged copies of the inputs: refused or mapped, but never a trap, a limit or nonsense.
pub(super) fn damaged(
    bench: &Bench<'_>,
    opened: &Opened,
    tried: &[Tried],
    copies: u32,
    progress: &Progress<'_>,
) -> Option<Law> {
    let inputs: Vec<_> = tried.iter().filter_map(|one| Some((one, one.setting.as_ref()?))).collect();
    if inputs.is_empty() || copies == 0 {
        return None;
    }
    let (mut broken, mut unclean, mut unclean_count, mut tried_copies) = (None, None, 0_u32, 0_u32);
    let (mut placeless, mut placeless_count) = (None, 0_u32);
    let leaves: Vec<_> = inputs
        .iter()
        .map(|(one, _)| {
            leaves::find(&one.case.content, &document(opened, &one.case, Bytes::new()).media_type)
        })
        .collect();
    for (number, ((one, setting), leaves)) in (0..copies).zip(inputs.iter().zip(&leaves).cycle()) {
        if number > 0 && number % 100 == 0 {
            progress.tell(&format!(" damaged copy {number} of {copies}"));
        }
        let mut dice = Dice::new(u64::from(number));
        let (given, what) = match one.case.direction {
            Direction::FromCanonical => match disturbed(bench, opened, &one.case.content, setting, &mut dice)
            {
                Some(given) => given,
                None => continue,
            },
            Direction::Acknowledge => {
                let (content, what) = damage(&one.case.content, leaves, &mut dice);
                let document = document(opened, &one.case, Bytes::from(content));
                (give_acknowledgement(bench, opened, document, setting).0, what)
            }
            Direction::ToCanonical => {
                let (content, what) = damage(&one.case.content, leaves, &mut dice);
                let content = Bytes::from(content);
                let given =
                    give_document(bench, opened, document(opened, &one.case, content.clone()), setting).0;
                if let Given::Events { drafts, .. } = &given
                    && let Err(error) = bench.check(drafts.clone(), setting, &content)
                {
                    unclean_count += 1;
                    let said = diagnostics(&error).first().map(show::diagnostic_line).unwrap_or_default();
                    unclean.get_or_insert_with(|| format!("{}, {what}: {said}", one.case.name));
                }
                if let Given::Refused(said) = &given
                    && !said.iter().any(|found| found.at.is_some())
                {
                    placeless_count += 1;
                    let said = said.first().map(show::diagnostic_line).unwrap_or_default();
                    placeless.get_or_insert_with(|| format!("{}, {what}: {said}", one.case.name));
                }
                (given, what)
            }
        };
        tried_copies += 1;
        if let Given::Failed(why) = given {
            broken = Some(format!("{}, {what}: {why}", one.case.name));
            break;
        }
    }
    let says = match &broken {
        Some(_) => format!("damaged copy {tried_copies} made it fail"),
        None => format!("{tried_copies} damaged copies, none trapped"),
    };
    let unclean = unclean.map(|first| {
        format!("{unclean_count} of them gave events that the canonical check refuses as the mapper's fault,\nnot the sender's. The first: {first}")
    });
    let placeless = placeless.map(|first| {
        format!("{placeless_count} of them were refused without a place in the document. The first:\n{first}")
    });
    let remarks: Vec<_> = [broken.clone(), unclean, placeless].into_iter().flatten().collect();
    let remark = (!remarks.is_empty()).then(|| remarks.join("\n"));
    Some(Law { name: "damaged-copies", holds: broken.is_none(), says, remark })
}

/// Events with one of their texts changed, where the canonical check still takes them.
fn disturbed(
    bench: &Bench<'_>,
    opened: &Opened,
    content: &[u8],
    setting: &Setting,
    dice: &mut Dice,
) -> Option<(Given, String)> {
    let mut drafts = written::drafts(content).ok()?;
    let index = dice.below(drafts.len());
    let mut data: Value = serde_json::from_slice(&drafts[index].data).ok()?;
    let what = disturb(&mut data, dice)?;
    drafts[index].data = Bytes::from(serde_json::to_vec(&data).ok()?);
    let events = bench.check(drafts, setting, content).ok()?;
    let given = match bench.write_document(&opened.mapper, setting, events) {
        Ok(ran) => Given::Document(ran.value),
        Err(crate::mapper::Failure::Refused(diagnostics)) => Given::Refused(diagnostics),
        Err(failure) => Given::Failed(show::failure_line(&failure)),
    };
    Some((given, what))
}
