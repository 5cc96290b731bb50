//! `plugin test --watch`: the cases again, whenever the mapper or one of them changes. Code is built to be there soon:
//! without the optimising that the real build does, from what the compiler kept of the last time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    DONE, NO, Tools,
    bench::{Bench, Opened},
    build::Kept,
    cases::{self, Case},
    complain,
    description::Description,
    language, near, origin, show, sources,
    test::{self, Tried},
};
use crate::{mapper::Code, words::Digest};

/// How often is looked whether something changed.
const POLL: Duration = Duration::from_millis(100);
/// How deep a case's folder is looked into.
const DEEPEST: usize = 4;

/// What the mapper and its cases look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    /// What it is compiled from; none where that cannot be read.
    sources: Option<Digest>,
    /// The tables that all cases share.
    tables: Option<Digest>,
    /// Each case by its name.
    cases: BTreeMap<String, Digest>,
}

/// What is to be done after a change.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    build: bool,
    /// Names of cases; none for all.
    cases: Option<Vec<String>>,
}

/// Watches the mapper in `folder` until it is stopped or the folder is gone.
pub(super) fn run(folder: &Path, tools: Tools<'_>, as_json: bool) -> anyhow::Result<u8> {
    let bench = Bench::making(tools, Code::Hasty)?;
    let (mut opened, mut kept): (Option<Opened>, Kept) = (None, None);
    let mut seen = Look::default();
    anstream::eprintln!("watching {}   (Ctrl-C stops)", near(folder));
    loop {
        let now = look(folder);
        if let Some(due) = due(&seen, &now) {
            let begun = Instant::now();
            if due.build || opened.is_none() {
                match bench.open_hastily(folder, &mut kept) {
                    Ok(new) => opened = Some(new),
                    Err(error) => {
                        opened = None;
                        complain(&error, NO);
                    }
                }
            }
            let built = begun.elapsed();
            if let Some(opened) = &opened {
                let answer =
                    Answer { tried: try_cases(&bench, opened, folder, due.cases.as_deref()), built, begun };
                if as_json { answer.json() } else { answer.text() }
            }
            seen = now;
        }
        if !folder.is_dir() {
            complain(&format_args!("{} is gone", near(folder)), NO);
            return Ok(DONE);
        }
        thread::sleep(POLL);
    }
}

/// What the change asks for; nothing where there is none.
fn due(before: &Look, now: &Look) -> Option<Due> {
    if before.sources != now.sources {
        return Some(Due { build: true, cases: None });
    }
    if before.tables != now.tables {
        return Some(Due { build: false, cases: None });
    }
    let changed: Vec<_> =
        now.cases.iter().filter(|(name, digest)| before.cases.get(*name) != Some(digest)).collect();
    // A case that went away needs no run.
    (!changed.is_empty()).then(|| Due {
        build: false,
        cases: Some(changed.into_iter().map(|(name, _)| name.clone()).collect()),
    })
}

fn look(folder: &Path) -> Look {
    let sources = Description::read(folder)
        .ok()
        .and_then(|found| sources::read(folder, language::room(found.language).sources()).ok())
        .map(|sources| sources.all);
    // A description that is half written changes too: what it is made of is then its text alone.
    let sources = sources.or_else(|| fs::read(folder.join("mapper.yaml")).ok().map(|text| Digest::of(&text)));
    let cases = folder.join("cases");
    let mut look = Look { sources, tables: None, cases: BTreeMap::new() };
    let Ok(entries) = cases.read_dir() else { return look };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut text = Vec::new();
        stamp(&path, DEEPEST, &mut text);
        let digest = Digest::of(&text);
        if name == "tables" {
            look.tables = Some(digest);
        } else if !name.starts_with('.') {
            look.cases.insert(name, digest);
        }
    }
    look
}

/// Names, lengths and times of all files in a folder: reading them all ten times a second would be work.
fn stamp(folder: &Path, deep: usize, text: &mut Vec<u8>) {
    let Ok(entries) = folder.read_dir() else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(meta) = path.metadata() else { continue };
        if meta.is_dir() && deep > 0 {
            stamp(&path, deep - 1, text);
            continue;
        }
        text.extend(path.as_os_str().as_encoded_bytes());
        text.extend(format!(" {} {:?}\n", meta.len(), meta.modified().ok()).into_bytes());
    }
}

/// Runs the cases of these names, or all, and says of each difference where it was read from.
fn try_cases(
    bench: &Bench<'_>,
    opened: &Opened,
    folder: &Path,
    names: Option<&[String]>,
) -> Vec<Result<Tried, String>> {
    let read = match cases::read(folder) {
        Ok(read) => read,
        Err(error) => return vec![Err(error.to_string())],
    };
    let wanted = |case: &Case| names.is_none_or(|names| names.contains(&case.name));
    read.into_iter()
        .filter(|case| case.as_ref().map_or(true, wanted))
        .map(|case| {
            let mut one = test::try_case(bench, opened, case.map_err(|error| error.to_string())?);
            if !one.differences.is_empty() {
                origin::add(bench, opened, &mut one);
            }
            Ok(one)
        })
        .collect()
}

/// What came of a change.
struct Answer {
    tried: Vec<Result<Tried, String>>,
    built: Duration,
    begun: Instant,
}

impl Answer {
    fn differing(&self) -> usize {
        self.tried.iter().filter(|one| one.as_ref().map_or(true, |one| !one.differences.is_empty())).count()
    }

    fn text(&self) {
        let took = self.begun.elapsed();
        let passed = self.tried.len() - self.differing();
        let mark = if self.differing() == 0 { "✓" } else { "✗" };
        let cases = if passed == 1 { "case" } else { "cases" };
        anstream::println!(
            "{mark} {passed} {cases} of {}     {} after the change: built in {}, mapped in {}",
            self.tried.len(),
            show::time(took),
            show::time(self.built),
            show::time(took.saturating_sub(self.built))
        );
        for one in &self.tried {
            match one {
                Ok(one) => test::print_differences(one),
                Err(error) => anstream::println!("✗ {}", show::plain(error)),
            }
        }
    }

    fn json(&self) {
        for one in &self.tried {
            match one {
                Ok(one) => test::case_line(one),
                Err(error) => show::line("case", json!({"passed": false, "error": error})),
            }
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        show::line(
            "result",
            json!({
                "passed": self.differing() == 0, "cases": self.tried.len(), "differing": self.differing(),
                "built_ms": millis(self.built), "took_ms": millis(self.begun.elapsed()),
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(sources: &[u8], cases: &[(&str, &[u8])]) -> Look {
        let cases = cases.iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text))).collect();
        Look { sources: Some(Digest::of(sources)), tables: None, cases }
    }

    #[test]
    fn a_changed_source_asks_for_all_and_a_changed_case_for_itself() {
        let before = look(b"a", &[("one", b"1"), ("two", b"2")]);
        assert_eq!(due(&before, &before.clone()), None);
        let all = Some(Due { build: true, cases: None });
        assert_eq!(due(&before, &look(b"b", &[("one", b"1"), ("two", b"2")])), all);
        assert_eq!(due(&Look::default(), &before), all);
        let one = Some(Due { build: false, cases: Some(vec!["two".to_owned()]) });
        assert_eq!(due(&before, &look(b"a", &[("one", b"1"), ("two", b"3")])), one);
        assert_eq!(due(&before, &look(b"a", &[("one", b"1")])), None, "a case that went away needs no run");
        let tables = Look { tables: Some(Digest::of(b"t")), ..before.clone() };
        assert_eq!(due(&before, &tables), Some(Due { build: false, cases: None }));
    }

    #[test]
    fn a_mappers_folder_is_looked_at_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("mapper.yaml", "half: [");
        write("cases/one/in.json", "{}");
        write("cases/tables/units.csv", "a");
        let before = super::look(root.path());
        assert!(before.sources.is_some() && before.tables.is_some());
        write("cases/one/tables/own.csv", "b");
        let after = super::look(root.path());
        assert_eq!((after.sources, after.tables), (before.sources, before.tables));
        assert_ne!(after.cases["one"], before.cases["one"]);
        write("mapper.yaml", "half: [,");
        assert_ne!(super::look(root.path()).sources, after.sources);
    }
}
