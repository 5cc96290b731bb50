//! Cases of `policy check` as files. Each folder in `gateway/tests/policy/` is laid over `base` and must give
//! its `expected.txt`; `CROSSDOCK_BLESS=1` writes what came out instead, to be read before it is committed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Checked, Report, Source, check, read};
use crate::words::Time;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy")
}

fn check_source(source: &Source) -> (Option<Checked>, Report) {
    let schema = |_: &str, text: &str| {
        if text.contains("nonsense") { Err("`nonsense` is no type".to_owned()) } else { Ok(()) }
    };
    // 2026-11-23T12:00:00Z.
    check(source, Time::from_millis(1_795_435_200_000), &schema)
}

/// The case's files over the base's; a file `NAME.gone` takes the base's away.
fn case(name: &str) -> Source {
    let base = read(&root().join("base")).unwrap();
    let over = read(&root().join(name)).unwrap();
    let mut files = base.files;
    files.extend(over.files);
    for entry in fs::read_dir(root().join(name)).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(gone) = file.strip_suffix(".gone") {
            files.remove(gone);
        }
    }
    Source::of("policies".into(), files, over.problems)
}

#[test]
fn every_case_reports_what_its_file_expects() {
    let bless = std::env::var_os("CROSSDOCK_BLESS").is_some();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (checked, report) = check_source(&case(&name));
        assert_eq!(checked.is_some(), report.errors() == 0, "{name}");
        let text = report.render("policies", false);
        let expected = root().join(&name).join("expected.txt");
        if bless {
            fs::write(&expected, &text).unwrap();
        }
        if fs::read_to_string(&expected).ok().as_ref() != Some(&text) {
            wrong.push(format!("--- {name} gave\n{text}"));
        }
        cases += 1;
    }
    assert!(cases > 5, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_report_repeats_a_secret() {
    let (_, report) = check_source(&case("secrets"));
    let text = report.render("policies", true) + &report.json_lines();
    assert!(report.errors() >= 4, "{text}");
    for secret in ["hunter2hunter2", "xd_live_", "eyJhbGci", "c2VjcmV0"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_worked_estate_has_nothing_to_report_and_says_where_its_rules_stand() {
    let source = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")).unwrap();
    let (checked, report) = check_source(&source);
    assert_eq!(report.findings.len(), 0, "{}", report.render("policies", false));
    let checked = checked.unwrap();
    let shipments = &checked.apis["shipments"];
    assert_eq!(shipments.operations["confirm"].versions["v2"].origin.to_string(), "apis/shipments.yaml:14");
    assert_eq!(checked.tables["units"].keys, [0, 1]);
    assert_eq!(checked.subscriptions.len(), 4);
}

#[test]
fn every_finding_is_one_line_of_json_with_its_place() {
    let (_, report) = check_source(&case("unknown-keys"));
    for line in report.json_lines().lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(finding["severity"], "error");
        assert!(finding["file"].is_string() && finding["line"].as_u64() > Some(0), "{line}");
    }
    assert_eq!(report.json_lines().lines().count(), report.findings.len());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// A checkout in progress and a hand that slips: any file cut or overwritten anywhere gives a report.
    #[test]
    fn no_damage_to_a_file_makes_the_check_panic(
        pick in 0usize..1000, at in 0usize..2000, with in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8), cut: bool,
    ) {
        let base = read(&root().join("base")).unwrap();
        let mut files: BTreeMap<Arc<str>, Arc<[u8]>> = base.files;
        let path = files.keys().nth(pick % files.len()).unwrap().clone();
        let mut bytes = files[&path].to_vec();
        let at = at % (bytes.len() + 1);
        if cut {
            bytes.truncate(at);
        }
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at.min(end)..end, with);
        files.insert(path, bytes.into());
        let (checked, report) = check_source(&Source::of("policies".into(), files, Vec::new()));
        proptest::prop_assert_eq!(checked.is_some(), report.errors() == 0);
    }
}
