//! Where in the input a difference comes from: the case is traced, and each field that differs names its sources.

use std::time::{Duration, Instant};

use super::{
    bench::{Bench, Opened},
    compare::ReadFrom,
    leaves,
    lineage::Subject,
    test::{Given, Tried, document},
    trace::Depth,
};
use crate::words::Document;

/// Most time that one case may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most values of a case that are tried.
const MOST: usize = 2_000;
/// Sources of one difference that are named.
const NAMED: usize = 3;

/// Adds to each difference of a case what the mapper read it from.
pub(super) fn add(bench: &Bench<'_>, opened: &Opened, one: &mut Tried) {
    name_fields(one);
    let Some(setting) =
        one.setting.as_ref().filter(|_| one.differences.iter().any(|one| one.field.is_some()))
    else {
        return;
    };
    let subject = Subject {
        bench,
        opened,
        setting,
        direction: one.case.direction,
        document: document(opened, &one.case, one.case.content.clone()),
    };
    let begun = Instant::now();
    // A case that is refused has no fields, and what has none is shown without its sources.
    let Ok(traced) = subject.trace(Depth::Full, MOST, &mut |_, _| begun.elapsed() < PATIENCE) else {
        return;
    };
    for difference in &mut one.differences {
        let Some((event, name)) = &difference.field else { continue };
        let mut fields = traced.trace.fields.iter();
        let Some(field) = fields.find(|field| field.event == *event && field.name == *name) else { continue };
        difference.read_from = field
            .sources
            .iter()
            .take(NAMED)
            .map(|source| {
                let leaf = &traced.leaves[source.leaf];
                ReadFrom { location: leaf.location(), value: leaf.value.clone() }
            })
            .collect();
    }
}

/// Names the fields as a trace does, and the place of a byte in a document by its path.
fn name_fields(one: &mut Tried) {
    for difference in &mut one.differences {
        match &one.given {
            Given::Document(document) => {
                let named = in_document(document, difference.byte, difference.field.take());
                if let (Some(_), Some((_, name))) = (difference.byte, &named) {
                    difference.place.push_str(&format!(", {name}"));
                }
                difference.field = named;
            }
            Given::Events { drafts, .. } => {
                let Some((event, name)) = &mut difference.field else { continue };
                let Some(draft) = drafts.get(*event) else { continue };
                // Pairs are compared by their numbers, and traced by their names.
                for (member, pairs) in [
                    ("natural_key", &draft.natural_key),
                    ("order_keys", &draft.order_keys),
                    ("corrects", &draft.corrects),
                ] {
                    let number = name.strip_prefix(member).and_then(|rest| rest.split('/').nth(1));
                    let pair = number.and_then(|number| pairs.get(number.parse::<usize>().ok()?));
                    if let Some((key, _)) = pair {
                        *name = format!("{member}/{key}");
                    }
                }
            }
            Given::Refused(_) | Given::Failed(_) => difference.field = None,
        }
    }
}

/// The value of a document that this byte or this pointer is in, with how often its path came before.
fn in_document(
    document: &Document,
    byte: Option<usize>,
    field: Option<(usize, String)>,
) -> Option<(usize, String)> {
    let leaves = leaves::find(&document.content, &document.media_type);
    let at = match byte {
        Some(byte) => {
            let inside = leaves.iter().position(|leaf| (leaf.range.start..=leaf.range.end).contains(&byte));
            // The name of a segment belongs to the values behind it.
            let behind = || leaves.iter().position(|leaf| leaf.range.start > byte);
            inside.or_else(behind).or(leaves.len().checked_sub(1))?
        }
        None => {
            let (_, pointer) = field?;
            leaves.iter().position(|leaf| leaf.path == pointer)?
        }
    };
    let path = &leaves[at].path;
    let before = leaves[..at].iter().filter(|leaf| leaf.path == *path).count();
    Some((before, path.strip_prefix('/').unwrap_or(path).to_owned()))
}
