//! Whether the mappers at hand are those that the policies mean: version, directions, media types, tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    check::at,
    checked::{Checked, MapperRef, MapperRun, Origin},
    report::{Finding, Report},
};
use crate::{
    mapper::{Direction, Manifest},
    words::{Digest, MapperName},
};

/// One place where a policy names a mapper.
struct Use<'c> {
    mapper: &'c MapperRef,
    origin: &'c Origin,
    run: &'c MapperRun,
    directions: &'static [Direction],
    /// What it will be given to read; nothing: anything.
    media_types: &'c [String],
}

/// Holds what the policies say of mappers against what the mappers at hand say of themselves.
pub fn fit(checked: &Checked, at_hand: &BTreeMap<MapperName, (&Manifest, Digest)>, report: &mut Report) {
    let mut granted: BTreeMap<&MapperName, BTreeSet<&str>> = BTreeMap::new();
    let mut places: BTreeMap<&MapperName, &Origin> = BTreeMap::new();
    for one in uses(checked) {
        let name = &one.mapper.name;
        let Some((manifest, digest)) = at_hand.get(name) else {
            let finding =
                Finding::warning(format!("mapper `{}` is not among the mappers at hand", one.mapper));
            report.push(at(finding, one.origin));
            continue;
        };
        granted.entry(name).or_default().extend(one.run.tables.iter().map(String::as_str));
        places.entry(name).or_insert(one.origin);
        if !one.mapper.fits(&manifest.version, *digest) {
            let message = format!("`{}` is asked for, {} is at hand", one.mapper, manifest.version);
            report.push(at(Finding::error(message), one.origin));
        }
        for direction in one.directions.iter().filter(|direction| !manifest.directions.contains(direction)) {
            let what = match direction {
                Direction::ToCanonical => "reads no documents",
                Direction::FromCanonical => "writes no documents",
                Direction::Acknowledge => "acknowledges nothing",
            };
            report.push(at(Finding::error(format!("mapper `{}` {what}", one.mapper)), one.origin));
        }
        for kind in
            one.media_types.iter().filter(|kind| !manifest.reads.is_empty() && !manifest.reads.contains(kind))
        {
            let finding = Finding::error(format!("mapper `{}` does not read `{kind}`", one.mapper))
                .help(format!("it reads {}", manifest.reads.join(", ")));
            report.push(at(finding, one.origin));
        }
    }
    for (name, origin) in places {
        let tables = at_hand.get(name).into_iter().flat_map(|(manifest, _)| &manifest.tables);
        let granted = granted.get(name);
        for table in tables.filter(|table| !granted.is_some_and(|granted| granted.contains(table.as_str()))) {
            let finding = Finding::warning(format!(
                "mapper `{name}` looks into the table `{table}`, which it is never granted"
            ))
            .help("name it under `tables`");
            report.push(at(finding, origin));
        }
    }
    report.sort();
}

fn uses(checked: &Checked) -> Vec<Use<'_>> {
    const IN: &[Direction] = &[Direction::ToCanonical];
    const OUT: &[Direction] = &[Direction::FromCanonical];
    const BOTH: &[Direction] = &[Direction::ToCanonical, Direction::FromCanonical];
    let mut uses = Vec::new();
    let operations = checked.apis.values().flat_map(|api| api.operations.values());
    for binding in operations.flat_map(|operation| operation.versions.values()) {
        let (origin, run) = (&binding.origin, &binding.run);
        if let Some(mapper) = &binding.mapper {
            // In proxy mode the answer goes back through it.
            let directions = if binding.target_mapper.is_some() { BOTH } else { IN };
            uses.push(Use { mapper, origin, run, directions, media_types: &binding.media_types });
        }
        if let Some(mapper) = &binding.target_mapper {
            uses.push(Use { mapper, origin, run, directions: BOTH, media_types: &[] });
        }
    }
    for subscription in checked.subscriptions.values() {
        if let Some(mapper) = &subscription.mapper {
            let (origin, run) = (&subscription.origin, &subscription.run);
            uses.push(Use { mapper, origin, run, directions: OUT, media_types: &[] });
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{policy, words::Time};

    #[test]
    fn a_mapper_that_is_another_than_the_policies_mean_is_told_with_its_place() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let source = policy::read(&folder).unwrap();
        let (checked, _) = policy::check(&source, Time::from_millis(1_795_435_200_000), &|_, _| Ok(()));
        let manifest =
            |name: &str, version: &str, directions: Vec<Direction>, reads: &[&str], tables: &[&str]| {
                Manifest {
                    name: MapperName::new(name).unwrap(),
                    version: version.to_owned(),
                    contract: String::new(),
                    language: String::new(),
                    standard: String::new(),
                    directions,
                    reads: reads.iter().map(ToString::to_string).collect(),
                    writes: Vec::new(),
                    canonical: "v1".to_owned(),
                    tables: tables.iter().map(ToString::to_string).collect(),
                    control_numbers: Vec::new(),
                }
            };
        let both = || vec![Direction::ToCanonical, Direction::FromCanonical];
        let x12 =
            manifest("x12-wms", "2.0.0", vec![Direction::ToCanonical], &["application/edi-x12"], &["units"]);
        let idoc = manifest("sap-idoc", "1.4.2", both(), &["application/xml"], &["plants"]);
        let at_hand = [&x12, &idoc].map(|one| (one.name.clone(), (one, Digest::of(b"")))).into();
        let mut report = Report::of(1);
        fit(&checked.unwrap(), &at_hand, &mut report);
        let told: Vec<String> = report
            .findings
            .iter()
            .map(|one| format!("{}: {}", one.place.as_ref().unwrap().file, one.message))
            .collect();
        for wanted in [
            "apis/orders.yaml: mapper `sap-idoc@1` does not read `text/xml`",
            "apis/orders.yaml: mapper `sap-idoc` looks into the table `plants`, which it is never granted",
            "apis/shipments.yaml: `x12-wms@1` is asked for, 2.0.0 is at hand",
            "apis/tracking.yaml: mapper `easypost@1` is not among the mappers at hand",
            "subscriptions/release-to-wms.yaml: mapper `x12-wms@1` writes no documents",
        ] {
            assert!(told.iter().any(|told| told == wanted), "{wanted} is not among {told:#?}");
        }
        assert_eq!(told.len(), 8, "{told:#?}");
    }
}
