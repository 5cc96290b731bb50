//! What a mapping author does on a laptop: the commands of `plugin` on the mappers of this repository.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};
use crossdock_tests::{binary, root};
use serde_json::Value;

fn plugin(arguments: &[&str], here: &Path) -> anyhow::Result<Output> {
    Ok(Command::new(binary()).arg("plugin").args(arguments).current_dir(here).output()?)
}

fn lines(output: &Output) -> anyhow::Result<Vec<Value>> {
    let text = String::from_utf8(output.stdout.clone())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFIRMATION: &str = "plugins/acme-wms/cases/confirmation/in.json";

#[test]
fn a_field_is_followed_back_to_its_bytes_in_the_document() -> anyhow::Result<()> {
    let output = plugin(&["lineage", "acme-wms", CONFIRMATION, "--json"], &root())?;
    ensure!(output.status.success(), "{}", said(&output));
    let lines = lines(&output)?;
    let source = fs::read(root().join(CONFIRMATION))?;
    let field = |name: &str| {
        lines.iter().find(|line| line["field"] == name).with_context(|| format!("no field {name}"))
    };
    let order = field("natural_key/order")?;
    let location = &order["sources"][0]["location"];
    assert_eq!((&location["path"], &order["sources"][0]["repeated"]), (&"/orderNumber".into(), &true.into()));
    let start = usize::try_from(location["offset"].as_u64().context("no offset")?)?;
    let length = usize::try_from(location["length"].as_u64().context("no length")?)?;
    assert_eq!(serde_json::from_slice::<Value>(&source[start..start + length])?, order["value"]);
    assert_eq!(field("type")?["sources"], Value::Array(Vec::new()));
    assert_eq!(lines.last().context("nothing")?["kind"], "result");
    Ok(())
}

#[test]
fn what_only_opens_the_door_or_is_only_remarked_on_is_told_apart() -> anyhow::Result<()> {
    let file = "plugins/x12-wms/cases/945-several-sets/in.x12";
    let output = plugin(&["lineage", "x12-wms", file, "--json"], &root())?;
    ensure!(output.status.success(), "{}", said(&output));
    let lines = lines(&output)?;
    let kind = |path: &str| {
        let line = lines.iter().find(|line| line["location"]["path"] == path);
        line.map(|line| line["kind"].clone()).unwrap_or_default()
    };
    assert_eq!(kind("ST*945*0001/1"), "gate", "another set is not mapped");
    assert_eq!(kind("ST*945*0001/SE/1"), "remark", "a wrong count is remarked on");
    assert_eq!(kind("ISA/9"), "unread");
    assert_eq!(kind("ST*945*0001/W06/2"), Value::Null, "the order number is in fields");
    Ok(())
}

#[test]
fn a_field_that_is_not_there_is_answered_with_the_one_that_was_meant() -> anyhow::Result<()> {
    let output = plugin(&["lineage", "acme-wms", CONFIRMATION, "--field", "/lines/0/shiped/value"], &root())?;
    assert_eq!(output.status.code(), Some(2));
    ensure!(said(&output).contains("did you mean `/lines/0/shipped/value`?"), "{}", said(&output));
    let refused = plugin(&["lineage", "acme-wms", "plugins/acme-wms/cases/wrong-shape/in.json"], &root())?;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    Ok(())
}

#[test]
fn a_refusal_shows_its_place_in_the_file_as_a_compiler_does() -> anyhow::Result<()> {
    for (mapper, file, line, column, text) in [
        ("x12-wms", "plugins/x12-wms/cases/refuse-no-number/in.x12", 7, 8, "1O"),
        ("sap-idoc", "plugins/sap-idoc/cases/bad-quantity/in.xml", 3, 46, "1,5"),
        ("acme-wms", "plugins/acme-wms/cases/wrong-shape/in.json", 1, 20, "7"),
        ("x12-wms", "plugins/x12-wms/cases/refuse-out-unit-without-code/in.json", 143, 21, "\"4G\""),
    ] {
        let output = plugin(&["run", mapper, file, "--json"], &root())?;
        assert_eq!(output.status.code(), Some(1), "{file}: {}", said(&output));
        let source = fs::read(root().join(file))?;
        let is_it = |found: &Value| -> Option<bool> {
            let at = &found["location"];
            let start = usize::try_from(at["offset"].as_u64()?).ok()?;
            let bytes = source.get(start..start + usize::try_from(at["length"].as_u64()?).ok()?)?;
            Some(bytes == text.as_bytes() && at["line"] == line && at["column"] == column)
        };
        let lines = lines(&output)?;
        ensure!(lines.iter().any(|found| is_it(found) == Some(true)), "{file}: {lines:#?}");
        let shown = said(&plugin(&["run", mapper, file], &root())?);
        ensure!(shown.contains(&format!(" ┌ {file}:{line}:{column}")) && shown.contains('^'), "{shown}");
        ensure!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    }
    Ok(())
}

/// A new mapper in C, which builds in a second; none where nothing here compiles it.
fn fresh(home: &Path) -> anyhow::Result<Option<PathBuf>> {
    let place = home.display().to_string();
    let made = plugin(&["new", "author-c", "--lang", "c", "--dir", &place], home)?;
    ensure!(made.status.success(), "{}", said(&made));
    let folder = home.join("author-c");
    let built = plugin(&["build", &folder.display().to_string()], home)?;
    if said(&built).contains("no toolchain on this machine") {
        ensure!(std::env::var_os("CI").is_none(), "{}", said(&built));
        eprintln!("left out: {}", said(&built));
        return Ok(None);
    }
    ensure!(built.status.success(), "{}", said(&built));
    Ok(Some(folder))
}

/// Changes the text of a file in a mapper's folder.
fn edit(folder: &Path, file: &str, from: &str, to: &str) -> anyhow::Result<()> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(from), "{file} has no {from}");
    Ok(fs::write(&path, text.replace(from, to))?)
}

#[test]
fn a_difference_names_the_bytes_that_it_was_read_from() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let Some(folder) = fresh(home.path())? else { return Ok(()) };
    let name = folder.display().to_string();
    edit(&folder, "cases/confirmation/out.json", "\"value\": \"12\"", "\"value\": \"13\"")?;
    let output = plugin(&["test", &name, "--json"], home.path())?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let found = lines(&output)?;
    let case = found.iter().find(|line| line["case"] == "confirmation").context("no case")?;
    let difference = &case["differences"][0];
    assert_eq!((&difference["expected"], &difference["got"]), (&"\"13\"".into(), &"\"12\"".into()));
    let read = &difference["read_from"][0];
    assert_eq!((&read["location"]["path"], &read["value"]), (&"/items/1/shipped".into(), &"12".into()));
    let shown = plugin(&["test", &name], home.path())?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("read from /items/1/shipped, bytes "), "{shown}");
    Ok(())
}

#[test]
fn a_test_says_which_values_are_lost_and_which_fields_are_never_set() -> anyhow::Result<()> {
    let output = plugin(&["test", "acme-wms", "--json", "--damaged", "40"], &root())?;
    ensure!(output.status.success(), "{}", said(&output));
    let found = lines(&output)?;
    let lost = |name: &str| found.iter().any(|line| line["kind"] == "lost" && line["name"] == name);
    ensure!(lost("lines[].new") && !lost("lines[].qty"), "{found:#?}");
    let unset = found.iter().find(|line| line["kind"] == "unset").context("nothing is unset")?;
    ensure!(unset["fields"].as_array().is_some_and(|fields| fields.contains(&"/totals".into())), "{unset}");
    let shown = String::from_utf8(plugin(&["test", "acme-wms", "--lost"], &root())?.stdout)?;
    ensure!(shown.contains("    lines[].new   in 1 of") && shown.contains("    /totals\n"), "{shown}");
    ensure!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    Ok(())
}

#[test]
fn a_watched_mapper_runs_the_cases_that_a_change_concerns() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let Some(folder) = fresh(home.path())? else { return Ok(()) };
    let mut watching = Command::new(binary())
        .args(["plugin", "test", "--watch", "--json"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut answers = BufReader::new(watching.stdout.take().context("no pipe")?).lines();
    let mut answer = || -> anyhow::Result<(u64, bool)> {
        loop {
            let line = answers.next().context("it ended")??;
            let line: Value = serde_json::from_str(&line)?;
            if line["kind"] == "result" {
                return Ok((line["cases"].as_u64().context("no cases")?, line["passed"] == true));
            }
        }
    };
    let watched = (|| -> anyhow::Result<()> {
        assert_eq!(answer()?, (3, true), "all, to begin with");
        edit(&folder, "cases/confirmation/out.json", "S-4711", "S-4712")?;
        assert_eq!(answer()?, (1, false), "the case that was changed");
        edit(&folder, "cases/confirmation/out.json", "S-4712", "S-4711")?;
        assert_eq!(answer()?, (1, true));
        edit(&folder, "sdk/json.c", "CD(\"invalid\")", "CD(\"wrong\")")?;
        assert_eq!(answer()?, (3, false), "all, as the mapper is another");
        Ok(())
    })();
    watching.kill()?;
    watching.wait()?;
    watched
}

#[test]
fn a_bench_counts_the_same_instructions_every_time() -> anyhow::Result<()> {
    let file = "plugins/x12-wms/cases/945-several-sets/in.x12";
    let measured = || -> anyhow::Result<Value> {
        let output = plugin(&["bench", "x12-wms", file, "--json", "--runs", "5"], &root())?;
        ensure!(output.status.success(), "{}", said(&output));
        lines(&output)?.into_iter().next().context("nothing was measured")
    };
    let (one, other) = (measured()?, measured()?);
    ensure!(one["instructions"].as_u64().is_some_and(|count| count > 1_000), "{one}");
    assert_eq!(one["instructions"], other["instructions"]);
    let figure =
        |path: &str| one.pointer(path).and_then(Value::as_u64).with_context(|| format!("no {path} in {one}"));
    ensure!(figure("/cpu_us/median")? <= figure("/limits/cpu_us")?);
    ensure!(figure("/memory_bytes")? <= figure("/limits/memory_bytes")?);
    assert_eq!(figure("/runs")?, 5);
    let refused = plugin(&["bench", "x12-wms", "plugins/x12-wms/cases/refuse-empty/in.x12"], &root())?;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    Ok(())
}

#[test]
fn an_inspection_tells_what_keeps_a_file_from_being_admitted() -> anyhow::Result<()> {
    let fine = plugin(&["inspect", "acme-wms"], &root())?;
    let shown = String::from_utf8(fine.stdout)?;
    let names: Vec<_> = shown.lines().filter_map(|line| line.split_whitespace().next()).take(4).collect();
    assert_eq!(names, ["name", "version", "contract", "language"]);
    ensure!(shown.contains("✓ the gateway admits it"), "{shown}");
    ensure!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    let home = tempfile::tempdir()?;
    fs::write(home.path().join("empty.wasm"), b"\0asm\x01\0\0\0")?;
    let odd = plugin(&["inspect", "empty.wasm"], home.path())?;
    assert_eq!(odd.status.code(), Some(1));
    let shown = String::from_utf8(odd.stdout)?;
    ensure!(shown.contains("the gateway does not admit it\n✗ ") && shown.contains("8 bytes"), "{shown}");
    Ok(())
}

#[test]
fn odd_words_on_the_command_line_are_answered_plainly() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    for (arguments, answer) in [
        (&["new", "fn"][..], "`fn` is no name for a mapper in Rust"),
        (&["run", "/dev/null", "x"], "/dev/null: neither a .wasm file nor a mapper's folder"),
        (&["test", "--watch"], "no folder `plugins`"),
    ] {
        let output = plugin(arguments, home.path())?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        ensure!(said(&output).contains(answer), "{arguments:?}: {}", said(&output));
    }
    let output = plugin(&["run", "acme-wms", "plugins"], &root())?;
    ensure!(said(&output).contains("plugins: a folder; a file is needed"), "{}", said(&output));
    Ok(())
}
