//! Holds the house to its plan: imports go down only, each library is named in its room alone, and what every room
//! and every mapper's folder owes. The plan is in `plan.rs`; `gateway/ARCHITECTURE.md` says it in words.

mod plan;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use plan::{FLOORS, LINES, LONG_FILES, NEVER, ONLY_IN};
use source::{File, crate_files};

#[test]
fn imports_go_down_only() {
    let found = shipped().iter().flat_map(imports_that_climb).collect();
    nothing_of(found, "an import goes up, or from one stage to another");
}

#[test]
fn libraries_and_clocks_are_named_in_their_rooms_alone() {
    let found = shipped().iter().flat_map(strays).collect();
    nothing_of(found, "a name has left its room; plan.rs says where it lives");
}

#[test]
fn nothing_that_ships_can_panic_for_want_of_thought() {
    let calls = |file: &File| -> Vec<String> {
        let called = NEVER.iter().filter(|name| file.calls(name));
        called.map(|name| format!("{} calls {name}", file.path)).collect()
    };
    let found = shipped().iter().flat_map(calls).collect();
    nothing_of(found, "say by `expect` why it cannot fail, or return an error");
}

#[test]
fn a_long_file_is_named_with_its_reason() {
    let is_long = |file: &&File| file.text.lines().count() > LINES;
    let long: BTreeSet<String> = shipped().iter().filter(is_long).map(|file| file.path.clone()).collect();
    let named: BTreeSet<String> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    let found = long.symmetric_difference(&named);
    let said =
        found.map(|path| format!("{path} is {LINES} lines or less and is named, or longer and is not"));
    nothing_of(said.collect(), "make two rooms of it, or keep the list of plan.rs true");
}

#[test]
fn every_source_file_belongs_to_the_crate() {
    let (_, orphans) = crate_files(&gateway().join("src"));
    nothing_of(orphans.into_iter().collect(), "no `mod` leads to this file");
}

#[test]
fn the_plan_the_crate_and_the_description_name_the_same_rooms() {
    let planned: Vec<&str> = FLOORS.iter().flat_map(|floor| floor.iter().copied()).collect();
    let rooms: BTreeSet<String> = shipped().iter().map(|file| file.room().to_owned()).collect();
    let rooms: BTreeSet<&str> = rooms.iter().map(String::as_str).filter(|room| *room != "lib").collect();
    assert_eq!(rooms, planned.iter().copied().collect(), "the rooms of gateway/src and those of plan.rs");

    let text = read(&gateway().join("ARCHITECTURE.md"));
    let missing = planned.iter().filter(|room| !text.contains(&format!("`{room}`")));
    let missing = missing.map(|room| format!("`{room}` is not in gateway/ARCHITECTURE.md"));
    nothing_of(missing.collect(), "describe the room");
}

#[test]
fn the_crate_lists_its_rooms_lowest_floor_first() {
    let order: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(height, floor)| floor.iter().map(move |room| (*room, height)))
        .collect();
    let text = read(&gateway().join("src/lib.rs"));
    let listed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let heights: Vec<_> = listed.iter().map(|room| order.get(room)).collect();
    assert!(heights.is_sorted(), "gateway/src/lib.rs lists {listed:?}, on floors {heights:?}");
}

#[test]
fn the_gateway_links_no_guest_sdk() {
    let manifest = read(&gateway().join("Cargo.toml"));
    assert!(!manifest.contains("crossdock-mapper"), "gateway/Cargo.toml depends on the guest SDK");
    let workspace = read(&root().join("Cargo.toml"));
    for guest in ["plugin-sdk/rust", "plugin-sdk/x12", "plugins"] {
        let excluded = workspace.lines().any(|line| line.starts_with("exclude") && line.contains(guest));
        assert!(
            excluded,
            "Cargo.toml does not exclude {guest}, so guests would be built with the host's profile"
        );
    }
}

#[test]
fn every_mapper_says_what_it_is_and_has_cases() {
    let mut found = Vec::new();
    let folders = fs::read_dir(root().join("plugins")).expect("the folder of mappers").flatten();
    for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for file in ["README.md", "mapper.yaml"] {
            if !folder.join(file).is_file() {
                found.push(format!("plugins/{name} has no {file}"));
            }
        }
        let cases = fs::read_dir(folder.join("cases")).map_or(0, |cases| cases.flatten().count());
        if cases == 0 {
            found.push(format!("plugins/{name} has no cases"));
        }
        if !read(&folder.join("mapper.yaml")).lines().any(|line| line == format!("name: {name}")) {
            found.push(format!("plugins/{name}/mapper.yaml names another mapper than its folder"));
        }
    }
    nothing_of(found, "plugin-sdk/README.md says what a mapper's folder holds");
}

/// The rules must be able to find something: each of these breaks one.
#[test]
fn a_broken_rule_is_seen() {
    let climbs = |path: &str, text: &str| imports_that_climb(&File::new(path, text));
    assert_eq!(climbs("auth/mod.rs", "use crate::{words::Time, policy::Live};").len(), 1, "up");
    assert_eq!(climbs("auth/token.rs", "use crate::journal::Journal;").len(), 1, "from stage to stage");
    assert_eq!(climbs("auth/token.rs", "fn a() { crate::journal::open() }").len(), 1, "without `use`");
    assert_eq!(climbs("auth/token.rs", "use super::super::journal;").len(), 1, "by `super`");
    assert_eq!(climbs("auth.rs", "use super::journal;").len(), 1, "by `super` from one file");
    assert_eq!(climbs("auth/mod.rs", "#[cfg(test)]\nmod tests { use crate::policy; }").len(), 0, "tests may");
    assert_eq!(
        climbs("auth/mod.rs", "// crate::policy\nfn a() -> &'static str { \"crate::policy\" }").len(),
        0,
        "text"
    );
    assert_eq!(climbs("pipeline.rs", "use crate::{auth, journal::{self, Journal}, words};").len(), 0, "down");

    let stray = |path: &str, text: &str| strays(&File::new(path, text));
    assert_eq!(stray("deliver/mod.rs", "use wasmtime::Engine;").len(), 1);
    assert_eq!(stray("mapper/engine.rs", "use wasmtime::Engine;").len(), 0);
    assert_eq!(
        stray("run.rs", "use hyper_util::{rt::TokioIo, server::conn::auto};").len(),
        1,
        "inside a group"
    );
    assert_eq!(stray("run.rs", "use hyper_util::rt::TokioIo;").len(), 0);
    assert_eq!(stray("deliver/decide.rs", "fn a() -> Time { SystemTime::now() }").len(), 1);
    assert_eq!(stray("deliver/decide.rs", "fn a() -> Time { std::time::SystemTime::now() }").len(), 1);

    let calls = |text: &str, name: &str| File::new("run.rs", text).calls(name);
    assert!(calls("fn a() { b.unwrap() }", "unwrap"));
    assert!(!calls("fn a() { b.unwrap_or(1) }\n/// .unwrap()\n#[cfg(test)] fn c() { b.unwrap() }", "unwrap"));
    assert!(calls("fn a() { todo!() }", "todo"));
    assert!(!calls("fn a() { r#\"todo!()\"#; '\"'; todo != b }", "todo"));
}

fn imports_that_climb(file: &File) -> Vec<String> {
    let height = |room: &str| FLOORS.iter().position(|floor| floor.contains(&room));
    let (room, own) = (file.room(), height(file.room()));
    let wrong = |other: &String| height(other).is_some_and(|other| own.is_some_and(|own| other >= own));
    let named = file.rooms_named().into_iter().filter(wrong);
    named.map(|other| format!("{} ({room}) names crate::{other}", file.path)).collect()
}

fn strays(file: &File) -> Vec<String> {
    let mut found = BTreeSet::new();
    for path in file.paths() {
        for (name, rooms, _) in ONLY_IN {
            let parts: Vec<&str> = name.split("::").collect();
            let named = path.windows(parts.len()).position(|part| part == parts.as_slice());
            // A library is named where a path begins; a function of the standard library wherever it stands.
            let counts =
                if name.starts_with(char::is_uppercase) { named.is_some() } else { named == Some(0) };
            if counts && !rooms.iter().any(|room| file.path.starts_with(room)) {
                found.insert(format!("{} names {name}, which lives in {}", file.path, rooms.join(", ")));
            }
        }
    }
    found.into_iter().collect()
}

fn nothing_of(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn shipped() -> Vec<File> {
    crate_files(&gateway().join("src")).0
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' folder lies in the repository")
        .to_owned()
}

fn gateway() -> PathBuf {
    root().join("gateway")
}
