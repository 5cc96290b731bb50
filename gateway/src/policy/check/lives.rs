//! Versions and routes of the estate as a whole: what cannot be reached, what is granted and gone, what stands in
//! another's way, and what a version's schema does to the documents of the one before it.

use super::estate::at;
use crate::{
    policy::{
        checked::{Api, Checked, Compatibility, Operation, SelectBy, VersionState},
        compat,
        report::{Finding, Report},
        units,
    },
    words::{Time, VersionName},
};

/// Operations that are compared with each other; their number squared is what it costs.
const OPERATIONS_MAX: usize = 2_000;
/// Breaking changes that one finding lists.
const BREAKS: usize = 8;

pub(super) fn judge(checked: &Checked, now: Time, report: &mut Report) {
    for api in checked.apis.values() {
        unnamed(api, report);
        gone(api, now, report);
        successors(api, report);
        compatible(checked, api, report);
    }
    routes(checked, report);
}

/// Versions that no call can name.
fn unnamed(api: &Api, report: &mut Report) {
    if api.select.by != [SelectBy::Path] {
        return;
    }
    for (name, version) in &api.versions {
        let number = name.as_str().strip_prefix('v').unwrap_or_default();
        let numbered = number.starts_with(|c: char| c.is_ascii_digit());
        if !numbered && api.select.default.as_ref() != Some(name) {
            let finding = Finding::warning(format!("no call can name version `{name}`"))
                .help("a path names versions such as `v2`; select by `header` or `media-type`, or rename it");
            report.push(at(finding, &version.origin));
        }
    }
}

/// Versions that are retired and still granted.
fn gone(api: &Api, now: Time, report: &mut Report) {
    for grant in &api.grants {
        for name in &grant.versions {
            let Some(version) = api.versions.get(name) else { continue };
            let past = version.sunset.is_some_and(|sunset| sunset <= now);
            if version.state == VersionState::Retired || past {
                let finding =
                    Finding::warning(format!("`{name}` is retired and still granted to `{}`", grant.partner))
                        .help("take it out of `versions`: every call of it is answered with 410");
                report.push(at(finding, &grant.origin));
            }
        }
    }
}

/// Successors that are no help to whoever changes over.
fn successors(api: &Api, report: &mut Report) {
    for (name, version) in &api.versions {
        let Some((next, successor)) =
            version.successor.as_ref().and_then(|next| Some((next, api.versions.get(next)?)))
        else {
            continue;
        };
        let finding = match successor.state {
            VersionState::Retired => Some(format!("the successor of `{name}` is retired")),
            VersionState::Draft if version.state == VersionState::Deprecated => {
                Some(format!("the successor of `{name}` is a draft, which nobody can call"))
            }
            _ => None,
        };
        if let Some(message) = finding {
            report.push(at(Finding::warning(message), &version.origin));
        } else if let Some(end) = successor.sunset
            && version.sunset.is_none_or(|own| end <= own)
        {
            let own = version.sunset.map_or("never".to_owned(), units::day);
            let message = format!("`{next}` succeeds `{name}` and retires before it");
            let finding =
                Finding::warning(message).note(format!("`{next}` {}, `{name}` {own}", units::day(end)));
            report.push(at(finding, &version.origin));
        }
    }
}

/// Schemas of versions that follow each other, where the API promises something about them.
fn compatible(checked: &Checked, api: &Api, report: &mut Report) {
    let (backward, forward) = match api.compatibility {
        Compatibility::None => return,
        Compatibility::Backward => (true, false),
        Compatibility::Forward => (false, true),
        Compatibility::Full => (true, true),
    };
    for (name, version) in &api.versions {
        let Some(next) = &version.successor else { continue };
        for operation in api.operations.values() {
            let schema = |version: &VersionName| -> Option<serde_json::Value> {
                let path = operation.versions.get(version)?.schema.as_ref()?;
                serde_json::from_str(checked.schemas.get(path)?).ok()
            };
            let (Some(old), Some(new)) = (schema(name), schema(next)) else { continue };
            let found = compat::compare(&old, &new);
            let mut tell = |wanted: bool, narrows: bool, message: String| {
                let breaks: Vec<_> =
                    found.iter().filter(|place| if narrows { place.narrows } else { place.widens }).collect();
                if !wanted || breaks.is_empty() {
                    return;
                }
                let mut finding = Finding::error(message);
                for place in breaks.iter().take(BREAKS) {
                    finding = finding.note(format!("{}: {}", place.at, place.what));
                }
                if breaks.len() > BREAKS {
                    finding = finding.note(format!("… {} more", breaks.len() - BREAKS));
                }
                let word = format!("{:?}", api.compatibility).to_lowercase();
                let finding = finding.help(format!("`{}` promises `compatibility: {word}`", api.name));
                let origin =
                    operation.versions.get(next).map_or(&operation.origin, |binding| &binding.origin);
                report.push(at(finding, origin));
            };
            let id = &operation.name;
            tell(backward, true, format!("`{id}` refuses in `{next}` what it takes in `{name}`"));
            tell(forward, false, format!("`{id}` takes in `{next}` what it refuses in `{name}`"));
        }
    }
}

/// Routes that another one, or the gateway itself, stands before.
fn routes(checked: &Checked, report: &mut Report) {
    let operations: Vec<(&Api, &Operation)> =
        checked.apis.values().flat_map(|api| api.operations.values().map(move |one| (api, one))).collect();
    for (_, operation) in &operations {
        let first = operation.path.split('/').nth(1).unwrap_or_default();
        let numbered =
            first.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if numbered && operation.path.matches('/').count() > 1 {
            let message = format!("no call reaches `{}`: `{first}` is taken for the version", operation.path);
            report.push(at(
                Finding::error(message).help("leave the version out of `match`"),
                &operation.origin,
            ));
        }
        let parts: Vec<&str> = operation.path.split('/').collect();
        if operation.method == "GET" && matches!(parts[..], ["", "messages", last] if !last.is_empty()) {
            let message = "the gateway itself answers `GET /messages/…`: it shows a partner its messages";
            report.push(at(Finding::error(message).help("choose another path"), &operation.origin));
        }
    }
    if operations.len() > OPERATIONS_MAX {
        return;
    }
    for (index, (api, one)) in operations.iter().enumerate() {
        for (other_api, other) in &operations[..index] {
            let Some((finer, coarser)) = overlap(one, other) else { continue };
            match (finer, coarser) {
                // Two of the same shape are found where names are looked up.
                (false, false) => {}
                (true, true) => {
                    let message = format!("`{}` and `{}` answer the same calls", one.path, other.path);
                    let finding = Finding::error(message).note(format!("the other is at {}", other.origin));
                    report.push(at(finding, &one.origin));
                }
                (one_is_finer, _) if api.name != other_api.name => {
                    let (front, behind) = if one_is_finer { (one, other) } else { (other, one) };
                    let message =
                        format!("some calls of `{}` go to `{}`, in another API", behind.path, front.path);
                    let finding = Finding::warning(message).note(format!("it is at {}", front.origin));
                    report.push(at(finding, &behind.origin));
                }
                _ => {}
            }
        }
    }
}

/// Whether some call matches both, and then whether the first, and the second, is the more exact one somewhere.
fn overlap(one: &Operation, other: &Operation) -> Option<(bool, bool)> {
    if one.method != other.method || one.path.matches('/').count() != other.path.matches('/').count() {
        return None;
    }
    let (mut finer, mut coarser) = (false, false);
    for (a, b) in one.path.split('/').zip(other.path.split('/')) {
        match (a.starts_with('{'), b.starts_with('{')) {
            (false, false) if a != b => return None,
            (false, true) => finer = true,
            (true, false) => coarser = true,
            _ => {}
        }
    }
    Some((finer, coarser))
}
