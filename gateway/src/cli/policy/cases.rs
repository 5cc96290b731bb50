//! Cases of the workbench as files. Each folder in `gateway/tests/workbench/` has a file `commands` and is laid over
//! `gateway/tests/policy/base`; what its commands answer must be its `expected.txt`. `CROSSDOCK_BLESS=1` writes what
//! came out instead, to be read before it is committed.
//!
//! In a command, `{base}` is the folder without the case's files, `{dir}` the one with them, `{case}` the case itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;

use super::Policy;
use crate::words::{Clock, SystemRandom, Time};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    policy: Policy,
}

/// 2026-11-23T12:00:00Z.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time::from_millis(1_795_435_200_000)
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Copies a folder; a file `NAME.gone` takes NAME away.
fn lay(from: &Path, over: &Path) {
    fs::create_dir_all(over).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            lay(&path, &over.join(name));
        } else if let Some(gone) = name.strip_suffix(".gone") {
            fs::remove_file(over.join(gone)).unwrap();
        } else if !matches!(name.as_str(), "commands" | "expected.txt") {
            fs::copy(path, over.join(name)).unwrap();
        }
    }
}

fn played(case: &Path) -> String {
    let room = tempfile::tempdir().unwrap();
    let (base, dir) = (room.path().join("base"), room.path().join("policies"));
    lay(&tests().join("policy/base"), &base);
    lay(&base, &dir);
    lay(case, &dir);
    let places = [("{base}", &base), ("{dir}", &dir), ("{case}", &case.to_path_buf())];
    let mut out = String::new();
    for line in fs::read_to_string(case.join("commands")).unwrap().lines() {
        let words = super::curl::words(line).unwrap().into_iter().map(|mut word| {
            for (name, place) in places {
                word = word.replace(name, &place.to_string_lossy());
            }
            word
        });
        let parsed = Line::try_parse_from(["policy".to_owned()].into_iter().chain(words));
        let (text, code) = match parsed.map(|line| line.policy.answer(&Noon, &SystemRandom)) {
            Err(error) => (error.to_string(), 2),
            Ok(Err(error)) => (format!("error: {error}\n"), error.exit_code()),
            Ok(Ok(answer)) => (answer.text, u8::from(!answer.yes)),
        };
        out.push_str(&format!(
            "$ crossdock policy {line}\n{}exit {code}\n\n",
            anstream::adapter::strip_str(&text)
        ));
    }
    for (name, place) in [("before", &base), ("policies", &dir)] {
        out = out.replace(&*place.to_string_lossy(), name);
    }
    // A release changes no case.
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    out.replace(&*case.to_string_lossy(), "case").replace(&version, "\"version\": \"…\"")
}

#[test]
fn every_case_answers_what_its_file_expects() {
    let bless = std::env::var_os("CROSSDOCK_BLESS").is_some();
    let (mut cases, mut wrong) = (0, Vec::new());
    for case in fs::read_dir(tests().join("workbench")).unwrap().flatten().map(|entry| entry.path()) {
        let text = played(&case);
        let expected = case.join("expected.txt");
        if bless {
            fs::write(&expected, &text).unwrap();
        }
        if fs::read_to_string(&expected).ok().as_ref() != Some(&text) {
            wrong.push(format!("--- {} gave\n{text}", case.display()));
        }
        cases += 1;
    }
    assert!(cases >= 2, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
