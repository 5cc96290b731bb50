//! The registry after crashes, damage and an earlier version.

use std::{collections::BTreeSet, fs};

use tempfile::TempDir;

use super::*;
use crate::mapper::{CONTRACT, Manifest, with_manifest};

/// A mapper's bytes; they differ by name and version.
fn wasm(name: &str, version: &str) -> Vec<u8> {
    let manifest = serde_json::json!({ "name": name, "version": version, "contract": CONTRACT,
        "directions": ["to-canonical"], "canonical": "1.0" });
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    with_manifest(&wat::parse_str("(module)").unwrap(), &manifest)
}

fn now() -> Time {
    Time::from_millis(1_790_000_000_000)
}

fn name(text: &str) -> MapperName {
    MapperName::new(text).unwrap()
}

fn open(folder: &TempDir) -> (Registry, Vec<Damage>) {
    Registry::open(folder.path(), now()).unwrap()
}

/// A registry that holds these, each made live in turn.
fn holding(folder: &TempDir, mappers: &[(&str, &str)]) -> Registry {
    let (mut registry, _) = open(folder);
    for (name, version) in mappers {
        let file = folder.path().join("given");
        fs::write(&file, wasm(name, version)).unwrap();
        registry.take_in(&file, "nina", now()).unwrap();
        fs::remove_file(file).unwrap();
    }
    registry
}

fn live(registry: &Registry) -> Vec<String> {
    let title = |(name, shelf): (&MapperName, &Shelf)| {
        let version = shelf.live.and_then(|digest| Some(shelf.find(digest)?.version.clone()));
        format!("{name}@{}", version.unwrap_or("nothing".to_owned()))
    };
    registry.index().mappers.iter().map(title).collect()
}

#[test]
fn what_was_live_is_live_after_a_restart_and_earlier_ones_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    holding(&folder, &[("acme", "1.0.0"), ("acme", "1.1.0"), ("globex", "2.0.0"), ("acme", "1.2.0")]);
    let (registry, damage) = open(&folder);
    assert_eq!((live(&registry), damage), (vec!["acme@1.2.0".to_owned(), "globex@2.0.0".to_owned()], vec![]));
    let shelf = &registry.index().mappers["acme"];
    let earlier: Vec<&str> =
        shelf.earlier.iter().map(|digest| &*shelf.find(*digest).unwrap().version).collect();
    assert_eq!(earlier, ["1.0.0", "1.1.0"]);
    assert_eq!(shelf.generations[0].pushed_by, "nina");
}

#[test]
fn the_same_digest_again_changes_nothing_and_mends_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let registry = holding(&folder, &[("acme", "1.0.0")]);
    let before = fs::read(folder.path().join(INDEX)).unwrap();
    let file = place(folder.path(), registry.index().mappers["acme"].live.unwrap());
    fs::write(&file, b"bit rot").unwrap();
    holding(&folder, &[("acme", "1.0.0")]);
    assert_eq!(fs::read(folder.path().join(INDEX)).unwrap(), before);
    assert_eq!(fs::read(file).unwrap(), wasm("acme", "1.0.0"));
}

#[test]
fn files_of_the_older_form_are_taken_over_once_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.wasm"), wasm("acme", "1.0.0")).unwrap();
    fs::write(folder.path().join("globex.wasm"), wasm("globex", "2.0.0")).unwrap();
    for _ in 0..2 {
        let (registry, damage) = open(&folder);
        assert_eq!(
            (live(&registry), damage),
            (vec!["acme@1.0.0".to_owned(), "globex@2.0.0".to_owned()], vec![])
        );
    }
    let left: BTreeSet<String> = files(folder.path())
        .unwrap()
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, BTreeSet::from([INDEX.to_owned()]));
}

/// Every state that a crash of the taking over can leave: bytes half written, bytes without an index, an index
/// beside the old file.
#[test]
fn taking_over_repeats_safely_after_a_crash_at_any_step() {
    let bytes = wasm("acme", "1.0.0");
    let digest = Digest::of(&bytes);
    let steps: [&dyn Fn(&Path); 4] = [
        &|folder| fs::write(folder.join(BYTES).join(".tmpAbC123"), &bytes[..20]).unwrap(),
        &|folder| fs::write(place(folder, digest), &bytes).unwrap(),
        &|folder| fs::write(folder.join(".tmpIndex"), b"{ \"format\": 1, ").unwrap(),
        &|folder| {
            let mut index = Index::default();
            let (name, generation) = generation(&bytes, "", now()).unwrap();
            index.store(&name, generation).unwrap();
            index.promote(&name, digest);
            write_index(folder, &index).unwrap();
        },
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(BYTES)).unwrap();
    fs::write(folder.path().join("acme.wasm"), &bytes).unwrap();
    for step in steps {
        step(folder.path());
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join(BYTES)).unwrap();
        for (from, to) in [(folder.path().to_owned(), copy.path().to_owned())] {
            for file in files(&from).unwrap().into_iter().chain(files(&from.join(BYTES)).unwrap()) {
                fs::copy(&file, to.join(file.strip_prefix(&from).unwrap())).unwrap();
            }
        }
        let (registry, damage) = open(&copy);
        assert_eq!((live(&registry), damage), (vec!["acme@1.0.0".to_owned()], vec![]));
        assert_eq!(registry.index().mappers["acme"].earlier, []);
        let left = files(copy.path()).unwrap().len() + files(&copy.path().join(BYTES)).unwrap().len();
        assert_eq!(left, 2, "the index and the bytes");
    }
}

#[test]
fn a_damaged_file_of_the_older_form_costs_its_own_mapper() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.wasm"), b"\0asm, once").unwrap();
    fs::write(folder.path().join("globex.wasm"), wasm("globex", "2.0.0")).unwrap();
    let (registry, damage) = open(&folder);
    assert_eq!(live(&registry), ["globex@2.0.0"]);
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].mapper, Some(name("acme")));
    holding(&folder, &[("acme", "1.0.1")]);
    let (registry, damage) = open(&folder);
    assert_eq!(live(&registry), ["acme@1.0.1", "globex@2.0.0"]);
    assert_eq!(damage[0].mapper, None, "another generation serves, so the file costs nothing");
}

#[test]
fn a_damaged_index_is_made_anew_and_guesses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    holding(&folder, &[("acme", "1.0.0"), ("acme", "1.1.0"), ("globex", "2.0.0")]);
    let text = fs::read_to_string(folder.path().join(INDEX)).unwrap();
    fs::write(folder.path().join(INDEX), &text[..text.len() / 2]).unwrap();
    for round in 0..2 {
        let (registry, damage) = open(&folder);
        assert_eq!(live(&registry), ["acme@nothing", "globex@2.0.0"]);
        let index = &registry.index().mappers;
        assert!(index["acme"].lost && !index["globex"].lost);
        assert!(registry.index().garbage(0, &[]).is_empty(), "nobody knows what may go");
        assert_eq!(damage.len(), 1 - round, "{damage:?}");
    }
    assert!(folder.path().join(DAMAGED).is_file());
}

#[test]
fn an_index_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(INDEX), r#"{ "format": 2, "shelves": [] }"#).unwrap();
    let error = Registry::open(folder.path(), now()).unwrap_err();
    assert!(
        error.to_string().ends_with("format 2, this version reads 1: a newer version wrote it"),
        "{error}"
    );
}

#[test]
fn going_back_leads_through_the_generations_in_order_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut index =
        holding(&folder, &[("acme", "1.0.0"), ("acme", "1.1.0"), ("acme", "1.2.0")]).index().clone();
    for version in ["1.1.0", "1.0.0"] {
        let (name, digest) = index.roll_back("acme").unwrap();
        assert_eq!(index.mappers[&name].find(digest).unwrap().version, version);
    }
    let error = index.roll_back("acme").unwrap_err().to_string();
    assert!(error.starts_with("no generation of acme served before") && error.contains("1.2.0 ("), "{error}");
}

#[test]
fn a_generation_is_named_by_version_or_digest_and_errors_name_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let registry = holding(&folder, &[("acme", "1.0.0"), ("acme", "1.1.0")]);
    let (found, shelf) = registry.index().shelf("acme").unwrap();
    let digest = shelf.pick(found, "1.0.0").unwrap().digest.to_string();
    for asked in [&digest, &digest[..8], &format!("sha256:{digest}")] {
        assert_eq!(shelf.pick(found, asked).unwrap().version, "1.0.0");
    }
    let wrong = shelf.pick(found, "9.9.9").unwrap_err().to_string();
    assert!(wrong.starts_with("there is no acme@9.9.9; stored are 1.1.0 ("), "{wrong}");
    let wrong = registry.index().shelf("acne").unwrap_err().to_string();
    assert_eq!(wrong, "there is no mapper `acne`; there are acme");
}

#[test]
fn tidying_never_takes_what_is_live_what_is_kept_or_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"].map(|version| ("acme", version));
    let mut index = holding(&folder, &versions).index().clone();
    let (acme, held) = generation(&wasm("acme", "2.0.0"), "", now()).unwrap();
    index.store(&acme, held).unwrap();
    let gone = |index: &Index, keep| -> Vec<String> {
        index.garbage(keep, &[]).into_iter().map(|(_, one)| one.version).collect()
    };
    assert_eq!(gone(&index, 2), ["1.0.0"]);
    assert_eq!(gone(&index, 0), ["1.0.0", "1.1.0", "1.2.0", "2.0.0"]);
    let never = index.mappers["acme"].generations[0].digest;
    assert_eq!(index.garbage(1, &[never]).len(), 1, "1.1.0");
    let garbage = index.garbage(0, &[]);
    index.forget(&garbage);
    let shelf = &index.mappers["acme"];
    assert_eq!((shelf.generations.len(), shelf.earlier.len()), (1, 0));
    assert_eq!(shelf.find(shelf.live.unwrap()).unwrap().version, "1.3.0");
    assert_eq!(strays(folder.path(), &index).unwrap().len(), 3);
}
