//! One mapper, written in every language: the template of each is made, built, tested and run by the command line, and
//! gives the same answers to the same documents, byte for byte. A case is a folder in `languages/`: `in.json`,
//! `context.json`, and `out.jsonl` with what is expected. A second mapper in every language, in `echo/`, says what it is
//! told for an acknowledgement.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use crossdock_tests::{binary, root};
use serde_json::{Value, json};

#[test]
fn a_mapper_in_rust_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("rust")
}

#[test]
fn a_mapper_in_c_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("c")
}

#[test]
fn a_mapper_in_javascript_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("javascript")
}

#[test]
fn a_mapper_in_typescript_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("typescript")
}

#[test]
fn a_mapper_in_python_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("python")
}

#[test]
fn a_mapper_in_go_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("go")
}

#[test]
fn a_mapper_in_zig_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("zig")
}

#[test]
fn a_mapper_in_assemblyscript_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("assemblyscript")
}

#[test]
fn a_mapper_in_java_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("java")
}

#[test]
fn a_mapper_in_kotlin_answers_as_all_do() -> anyhow::Result<()> {
    answers_as_all_do("kotlin")
}

fn answers_as_all_do(language: &str) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    // The same name in every run finds the mapper of the last one in the cache.
    let name = format!("language-{language}");
    succeeds(crossdock(&["plugin", "new", &name, "--lang", language, "--dir"]).arg(home.path()).output()?)?;
    let mapper = home.path().join(&name);
    let built = crossdock(&["plugin", "build"]).arg(&mapper).output()?;
    if text(&built.stderr).contains("no toolchain on this machine") {
        ensure!(std::env::var_os("CI").is_none(), "{}", text(&built.stderr));
        eprintln!("left out: {}", text(&built.stderr));
        return Ok(());
    }
    succeeds(built)?;
    succeeds(crossdock(&["plugin", "test"]).arg(&mapper).output()?)?;
    let mut differences = Vec::new();
    for case in cases()? {
        let expected = fs::read(case.join("out.jsonl")).unwrap_or_default();
        let answer = answer(&mapper, &case)?;
        if let Some(written) = std::env::var_os("CROSSDOCK_UPDATE").filter(|written| written == language) {
            ensure!(written == "rust", "the cases are what the mapper in Rust says");
            fs::write(case.join("out.jsonl"), &answer)?;
        } else if answer.as_bytes() != expected {
            let name = case.file_name().unwrap_or_default().display().to_string();
            differences.push(format!("{name}\n  expected {}\n  got      {answer}", text(&expected)));
        }
    }
    ensure!(differences.is_empty(), "{language}: {}", differences.join("\n"));
    echoes(language)
}

/// A mapper that refuses everything, and writes down the outcomes: it is told the same in every language.
fn echoes(language: &str) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let name = format!("echo-{language}");
    succeeds(crossdock(&["plugin", "new", &name, "--lang", language, "--dir"]).arg(home.path()).output()?)?;
    let mapper = home.path().join(&name);
    let (main, source) = match language {
        "rust" => ("src/lib.rs", "rust.rs"),
        "c" => ("mapper.c", "c.c"),
        "javascript" => ("mapper.js", "javascript.js"),
        "typescript" => ("mapper.ts", "typescript.ts"),
        "python" => ("mapper.py", "python.py"),
        "go" => ("main.go", "go.go"),
        "zig" => ("mapper.zig", "zig.zig"),
        "assemblyscript" => ("mapper.ts", "assemblyscript.ts"),
        "kotlin" => ("Main.kt", "kotlin.kt"),
        _ => ("Main.java", "java.java"),
    };
    let echo = root().join("tests/e2e/echo");
    fs::write(mapper.join(main), fs::read_to_string(echo.join(source))?.replace("{{name}}", &name))?;
    let description = fs::read_to_string(mapper.join("mapper.yaml"))?;
    fs::write(mapper.join("mapper.yaml"), description.replace("from-canonical", "acknowledge"))?;
    let told = ["sender=ACME", "receiver=NORTH", "media_type=application/edi-x12"];
    let output = crossdock(&["plugin", "run", "--json", "--direction", "acknowledge"])
        .args(told.iter().flat_map(|told| ["--context", told]))
        .arg(&mapper)
        .arg(echo.join("in.x12"))
        .output()?;
    let first = text(&output.stdout);
    let first: Value = serde_json::from_str(first.lines().next().with_context(|| text(&output.stderr))?)?;
    let expected = fs::read_to_string(echo.join("out.txt"))?;
    ensure!(first["kind"] == "acknowledgement", "{language}: {first} {}", text(&output.stderr));
    ensure!(first["text"] == *expected, "{language}: expected {expected}got {first}");
    Ok(())
}

/// What the gateway would get: the events without what differs in every run, else why the document is refused.
fn answer(mapper: &Path, case: &Path) -> anyhow::Result<String> {
    // What is compared is answers, not speed: a second of CPU is enough for the first message of every language, also
    // while two cores compile something else.
    let folder = tempfile::tempdir()?;
    let mut context: Value = serde_json::from_slice(&fs::read(case.join("context.json"))?)?;
    context["mapper_limits"] = json!({ "cpu": "1s" });
    fs::write(folder.path().join("context.json"), context.to_string())?;
    let input = folder.path().join("in.json");
    fs::copy(case.join("in.json"), &input)?;
    let output = crossdock(&["plugin", "run", "--json"]).arg(mapper).arg(&input).output()?;
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| text(&output.stdout))?;
    let receipt = lines.last().with_context(|| text(&output.stderr))?;
    let mut answers = vec![json!({ "outcome": receipt["outcome"] })];
    for line in &lines {
        match line["kind"].as_str() {
            Some("event") => answers.push(event(&line["event"])),
            Some("document") => answers.push(document(line)?),
            Some("diagnostic") => answers.push(diagnostic(line)),
            _ => {}
        }
    }
    // Members are in the order of their names and there are no fractions, so this is RFC 8785 already.
    Ok(answers.iter().map(|answer| format!("{answer}\n")).collect())
}

fn event(event: &Value) -> Value {
    let mut event = event.clone();
    for each_time in ["id", "causationid", "recordedtime"] {
        event.as_object_mut().map(|members| members.remove(each_time));
    }
    event
}

/// JSON by its values: languages need not agree on the order of members.
fn document(line: &Value) -> anyhow::Result<Value> {
    let content: Value = serde_json::from_str(line["text"].as_str().with_context(|| line.to_string())?)?;
    Ok(json!({ "content": content, "media_type": line["media_type"], "parameters": line["parameters"] }))
}

/// What is no JSON of the expected form each language's own reader says in its own words, and some know no place.
fn diagnostic(line: &Value) -> Value {
    let (code, severity) = (&line["code"], &line["severity"]);
    if code == "not-understood" || code == "not-utf8" {
        return json!({ "code": "not-understood", "severity": severity });
    }
    let mut location = line["location"].clone();
    // Line, column and bytes are what the command line finds for the place that the mapper names.
    for found in ["line", "column", "offset", "length"] {
        location.as_object_mut().map(|members| members.remove(found));
    }
    json!({ "code": code, "severity": severity, "message": line["message"], "location": location })
}

fn cases() -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join("tests/e2e/languages");
    let mut cases: Vec<_> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    cases.sort();
    ensure!(cases.len() > 10, "the common cases are gone");
    Ok(cases)
}

fn crossdock(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env("NO_COLOR", "1");
    command
}

fn succeeds(output: Output) -> anyhow::Result<()> {
    ensure!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
