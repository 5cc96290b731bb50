//! The estate as a whole, once every name resolves: things that are allowed and most likely not meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    policy::{
        checked::{Api, Checked, CredentialKind, Origin, Partner},
        report::{Finding, Place, Report},
    },
    words::{Mode, PartnerName, Time},
};

pub(super) fn judge(checked: &Checked, now: Time, report: &mut Report) {
    super::lives::judge(checked, now, report);
    let senders = senders(checked);
    for (partner, origin) in &senders {
        let taken = checked
            .subscriptions
            .values()
            .any(|subscription| subscription.from.as_ref().is_none_or(|from| from.contains(partner)));
        if !taken {
            let finding = Finding::warning(format!("no subscription takes the events of `{partner}`"))
                .help("they are stored and go nowhere; add a subscription with this partner in `from`");
            report.push(at(finding, origin));
        }
    }
    for subscription in checked.subscriptions.values() {
        for partner in subscription.from.iter().flatten() {
            if !senders.contains_key(partner) {
                let finding = Finding::warning(format!(
                    "`{}` waits for events of `{partner}`, who may call no exchange operation",
                    subscription.name
                ));
                report.push(at(finding, &subscription.origin));
            }
        }
    }
    for api in checked.apis.values() {
        scopes(checked, api, report);
    }
    for partner in checked.partners.values() {
        let granted =
            checked.apis.values().flat_map(|api| &api.grants).any(|grant| grant.partner == partner.name);
        if granted && partner.credentials.is_empty() {
            let finding = Finding::warning(format!("`{}` has grants and no credential", partner.name));
            report.push(at(finding, &partner.origin));
        }
    }
    unused(checked, report);
}

/// Partners who may call an exchange operation, with the place of the first grant.
fn senders(checked: &Checked) -> BTreeMap<PartnerName, Origin> {
    let mut senders = BTreeMap::new();
    for api in checked.apis.values() {
        for grant in &api.grants {
            let sends =
                grant.operations.iter().filter_map(|name| api.operations.get(name)).any(|operation| {
                    grant
                        .versions
                        .iter()
                        .filter_map(|version| operation.versions.get(version))
                        .any(|binding| binding.mode == Mode::Exchange)
                });
            if sends {
                senders.entry(grant.partner.clone()).or_insert_with(|| grant.origin.clone());
            }
        }
    }
    senders
}

/// Grants that no credential of the partner can use, for want of a scope.
fn scopes(checked: &Checked, api: &Api, report: &mut Report) {
    for grant in &api.grants {
        let Some(partner) = checked.partners.get(&grant.partner) else { continue };
        for operation in grant.operations.iter().filter_map(|name| api.operations.get(name)) {
            let missing: Vec<&str> = operation
                .scopes
                .iter()
                .map(String::as_str)
                .filter(|scope| !may_carry(partner, scope))
                .collect();
            if !missing.is_empty() && !partner.credentials.is_empty() {
                let finding = Finding::warning(format!(
                    "`{}` may call `{}`, but none of its credentials carries {}",
                    partner.name,
                    operation.name,
                    missing.join(", ")
                ));
                report.push(at(finding, &grant.origin));
            }
        }
    }
}

/// A token brings its own scopes, so nothing can be said about those here.
fn may_carry(partner: &Partner, scope: &str) -> bool {
    partner.credentials.iter().any(|credential| match credential.kind {
        CredentialKind::Jwt { .. } => true,
        _ => credential.scopes.iter().any(|own| own == scope),
    })
}

/// Tables and schemas that nothing mentions.
fn unused(checked: &Checked, report: &mut Report) {
    let bindings = || {
        let operations = checked.apis.values().flat_map(|api| api.operations.values());
        operations.flat_map(|operation| operation.versions.values())
    };
    let runs = bindings().map(|binding| &binding.run).chain(checked.subscriptions.values().map(|s| &s.run));
    let granted: BTreeSet<&str> = runs.flat_map(|run| &run.tables).map(String::as_str).collect();
    for table in checked.tables.values().filter(|table| !granted.contains(table.name.as_str())) {
        let finding = Finding::warning(format!("no mapper is granted the table `{}`", table.name));
        report.push(finding.in_file(&table.origin.file));
    }
    let held: BTreeSet<&str> = bindings().filter_map(|binding| binding.schema.as_deref()).collect();
    for path in checked.schemas.keys().filter(|path| !held.contains(path.as_str())) {
        let finding = Finding::warning(format!("no document is held against `{path}`"));
        report.push(finding.in_file(&path.as_str().into()));
    }
}

/// A finding at the line of a thing that is checked already.
pub(in crate::policy) fn at(mut finding: Finding, origin: &Origin) -> Finding {
    finding.place = Some(Place {
        file: origin.file.clone(),
        line: origin.line,
        column: 1,
        width: 0,
        excerpt: String::new(),
    });
    finding
}
