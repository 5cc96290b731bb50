//! `plugin test`: a mapper's cases and the laws that every mapper keeps, by the production host under its limits.

use std::{fs, path::Path, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, NO, Tools, USE, acknowledge,
    bench::{self, Bench, Opened, Setting},
    cases::{self, Case},
    compare::{self, Difference},
    complain,
    description::Direction,
    laws::{self, Law},
    lineage,
    locate::Found,
    lost::{self, Lost},
    named, near, origin,
    show::{self, plain},
    watch, written,
};
use crate::{
    mapper::{Failure, Limits, Ran, Reject, Usage},
    words::{Diagnostic, Document, Draft},
};

/// What `plugin test` is told.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Names in `plugins/` or folders; all of `plugins/` if none is given.
    #[arg(value_name = "MAPPER")]
    mappers: Vec<String>,
    /// Write what the mapper gives as what is expected, where the two differ.
    #[arg(long)]
    update: bool,
    /// Run the cases again whenever the mapper or one of them changes, until Ctrl-C. Damage and laws are left out.
    #[arg(long, conflicts_with_all = ["update", "lost"])]
    watch: bool,
    /// How many damaged copies of the inputs to try.
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    damaged: u32,
    /// List every value that is never read and every canonical field that is never set.
    #[arg(long)]
    lost: bool,
    /// JSON lines on standard output: case, law, lost, unset, and last result.
    #[arg(long)]
    json: bool,
}

/// What a mapper gave for a case.
pub(super) enum Given {
    /// Events and remarks.
    Events { drafts: Vec<Draft>, rejects: Vec<Reject>, diagnostics: Vec<Diagnostic> },
    /// A document.
    Document(Document),
    /// Its own refusal.
    Refused(Vec<Diagnostic>),
    /// Nothing: it trapped, exceeded a limit or broke the contract.
    Failed(String),
}

/// A case that was run.
pub(super) struct Tried {
    pub case: Case,
    pub setting: Option<Setting>,
    pub given: Given,
    pub differences: Vec<Difference>,
    pub usage: Usage,
    updated: bool,
}

/// Runs it and gives the exit code.
pub(super) fn run(args: &TestArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    let found = match named(&args.mappers, here) {
        Ok(found) => found,
        Err(error) => return Ok(complain(&error, USE)),
    };
    if args.watch {
        return match found.as_slice() {
            [Found::Folder(folder)] => watch::run(folder, tools, args.json),
            _ => Ok(complain(&"--watch needs one mapper, by its name or folder", USE)),
        };
    }
    let bench = Bench::new(tools)?;
    let mut code = DONE;
    for found in &found {
        let opened = match bench.open(found) {
            Ok(opened) => opened,
            Err(error) => {
                code = complain(&error, NO);
                continue;
            }
        };
        let Some(folder) = opened.folder.clone() else {
            code = complain(&"a .wasm file has no cases beside it; name the mapper's folder", USE);
            continue;
        };
        if !test(args, &bench, &opened, &folder)? {
            code = code.max(NO);
        }
    }
    Ok(code)
}

/// Tests one mapper; whether all is well.
fn test(args: &TestArgs, bench: &Bench<'_>, opened: &Opened, folder: &Path) -> anyhow::Result<bool> {
    let read = match cases::read(folder) {
        Ok(read) => read,
        Err(error) => return Ok(complain(&error, NO) == DONE),
    };
    let progress = bench.progress();
    let (mut tried, mut unread) = (Vec::new(), Vec::new());
    let count = read.len();
    for (number, case) in read.into_iter().enumerate() {
        progress.tell(&format!(" case {} of {count}", number + 1));
        match case {
            Ok(case) => tried.push(try_case(bench, opened, case)),
            Err(error) => unread.push(error.to_string()),
        }
    }
    if args.update {
        for one in tried.iter_mut().filter(|one| !one.differences.is_empty()) {
            one.updated = update(one)?;
            if one.updated {
                one.differences.clear();
            }
        }
    }
    for one in tried.iter_mut().filter(|one| !one.differences.is_empty()) {
        origin::add(bench, opened, one);
    }
    progress.tell(" the laws that every mapper keeps");
    let mut laws = vec![laws::same_bytes(bench, opened, &tried)?];
    laws.extend(laws::there_and_back(bench, opened, &tried));
    laws.extend(laws::damaged(bench, opened, &tried, args.damaged, &progress));
    let lost = lost::find(bench, opened, &tried, &progress);
    progress.clear();
    let report = Report { opened, tried: &tried, unread: &unread, laws: &laws, lost: &lost, all: args.lost };
    if args.json {
        report.json()
    } else {
        report.text(folder)
    }
    Ok(report.is_fine())
}

/// Runs one case and compares.
pub(super) fn try_case(bench: &Bench<'_>, opened: &Opened, case: Case) -> Tried {
    let tables = cases::tables(&case);
    let setting = Setting::new(&case.context, opened.mapper.manifest(), tables.as_deref(), None);
    let (given, usage, setting) = match setting {
        Ok(setting) => {
            let (given, usage) = give(bench, opened, &case, &setting);
            (given, usage, Some(setting))
        }
        Err(error) => (Given::Failed(format!("context.json: {error}")), Usage::default(), None),
    };
    let mut differences = differences(&case, &given);
    if differences.is_empty()
        && let (Given::Events { drafts, .. }, Some(setting)) = (&given, &setting)
    {
        // What the case expects is what the mapper drafts; the gateway must take it as well.
        if let Err(error) = bench.check(drafts.clone(), setting, &case.content) {
            differences.extend(bench::diagnostics(&error).iter().map(|found| {
                let got = show::diagnostic_line(found);
                Difference::new("canonical check", "every event is canonical", got)
            }));
        }
    }
    Tried { case, setting, given, differences, usage, updated: false }
}

/// Gives the case's input to the mapper.
pub(super) fn give(bench: &Bench<'_>, opened: &Opened, case: &Case, setting: &Setting) -> (Given, Usage) {
    match case.direction {
        Direction::FromCanonical => give_events(bench, opened, &case.content, setting),
        Direction::ToCanonical => {
            give_document(bench, opened, document(opened, case, case.content.clone()), setting)
        }
        Direction::Acknowledge => {
            give_acknowledgement(bench, opened, document(opened, case, case.content.clone()), setting)
        }
    }
}

/// The case's document with this content.
pub(super) fn document(opened: &Opened, case: &Case, content: bytes::Bytes) -> Document {
    let reads = &opened.mapper.manifest().reads;
    let media_type = case.context.media_type.clone().unwrap_or_else(|| bench::media_type(&case.input, reads));
    Document { media_type, content, parameters: case.context.parameters.0.clone() }
}

/// Gives a document to the mapper.
pub(super) fn give_document(
    bench: &Bench<'_>,
    opened: &Opened,
    document: Document,
    setting: &Setting,
) -> (Given, Usage) {
    match bench.read_document(&opened.mapper, setting, document) {
        Ok(Ran { value, usage, .. }) => {
            let given = Given::Events {
                drafts: value.drafts,
                rejects: value.rejects,
                diagnostics: value.diagnostics,
            };
            (given, usage)
        }
        Err(failure) => (failed(failure), Usage::default()),
    }
}

/// Gives a document to the mapper, and then how it ended. That there is no acknowledgement is an empty one.
pub(super) fn give_acknowledgement(
    bench: &Bench<'_>,
    opened: &Opened,
    document: Document,
    setting: &Setting,
) -> (Given, Usage) {
    let read = bench.read_document(&opened.mapper, setting, document.clone()).map(|ran| ran.value);
    match acknowledge::ask(bench, opened, setting, &document, read.as_ref()) {
        Ok(Ran { value, usage, .. }) => {
            let nothing = || Document {
                media_type: document.media_type.clone(),
                content: bytes::Bytes::new(),
                parameters: Vec::new(),
            };
            (Given::Document(value.unwrap_or_else(nothing)), usage)
        }
        Err(failure) => (failed(failure), Usage::default()),
    }
}

fn give_events(bench: &Bench<'_>, opened: &Opened, content: &[u8], setting: &Setting) -> (Given, Usage) {
    let nothing = |why: String| (Given::Failed(why), Usage::default());
    let drafts = match written::drafts(content) {
        Ok(drafts) => drafts,
        Err(error) => return nothing(error),
    };
    let events = match bench.check(drafts, setting, content) {
        Ok(events) => events,
        Err(error) => {
            let lines: Vec<_> = bench::diagnostics(&error).iter().map(show::diagnostic_line).collect();
            return nothing(format!("the events of the case are not canonical: {}", lines.join("; ")));
        }
    };
    match bench.write_document(&opened.mapper, setting, events) {
        Ok(Ran { value, usage, .. }) => (Given::Document(value), usage),
        Err(failure) => (failed(failure), Usage::default()),
    }
}

fn failed(failure: Failure) -> Given {
    match failure {
        Failure::Refused(diagnostics) => Given::Refused(diagnostics),
        other => Given::Failed(show::failure_line(&other)),
    }
}

/// Where what was given is not what the case expects.
fn differences(case: &Case, given: &Given) -> Vec<Difference> {
    let one = |expected: &str, got: String| vec![Difference::new("outcome", expected, got)];
    let Some((path, expected)) = &case.expected else {
        return one("a file `out.…`, which is missing (--update writes it)", summary(given));
    };
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let parsed = if is_json {
        serde_json::from_slice::<Value>(expected).map_err(|error| error.to_string())
    } else {
        Ok(Value::Null)
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return one(&format!("JSON in {}: {error}", path.display()), summary(given)),
    };
    let refusal = parsed.get("diagnostics").filter(|_| parsed.get("events").is_none());
    match (given, refusal) {
        (Given::Refused(got), Some(expected)) => {
            compare::lists("diagnostic", &[], &list(expected), &values(got))
        }
        (given, Some(expected)) if case.direction == Direction::ToCanonical || is_refusal(&parsed) => {
            let codes: Vec<_> =
                list(expected).iter().filter_map(|one| one["code"].as_str().map(str::to_owned)).collect();
            one(&format!("refused: {}", codes.join(", ")), summary(given))
        }
        (Given::Document(got), _) => match serde_json::from_slice::<Value>(&got.content) {
            // In JSON the order of members and the blanks between them say nothing.
            Ok(got) if is_json => compare::values("document", &parsed, &got),
            _ => compare::documents(expected, &got.content).into_iter().collect(),
        },
        (Given::Events { drafts, rejects, diagnostics }, _) => {
            let events = if parsed.is_array() { &parsed } else { &parsed["events"] };
            let expected: Vec<_> = list(events).into_iter().map(normal).collect();
            let got: Vec<_> = drafts.iter().map(written::show_whole).collect();
            let mut found = compare::lists("event", &["data"], &expected, &got);
            if let Some(expected) = parsed.get("diagnostics") {
                found.extend(compare::lists("diagnostic", &[], &list(expected), &values(diagnostics)));
            }
            if let Some(expected) = parsed.get("rejects") {
                let got: Vec<_> = rejects.iter().map(reject_value).collect();
                found.extend(compare::lists("reject", &[], &list(expected), &got));
            }
            found
        }
        (given, _) => {
            let expected = match case.direction {
                Direction::FromCanonical => "a document".to_owned(),
                Direction::Acknowledge => "an acknowledgement".to_owned(),
                Direction::ToCanonical => format!(
                    "{} events",
                    list(if parsed.is_array() { &parsed } else { &parsed["events"] }).len()
                ),
            };
            one(&expected, summary(given))
        }
    }
}

/// Of two JSON files the second one may be a document too; a refusal has nothing but diagnostics.
fn is_refusal(expected: &Value) -> bool {
    expected.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("diagnostics"))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn values(diagnostics: &[Diagnostic]) -> Vec<Value> {
    diagnostics.iter().map(|found| json!(found)).collect()
}

fn reject_value(reject: &Reject) -> Value {
    json!({"unit": reject.unit, "at": reject.at, "diagnostics": values(&reject.diagnostics)})
}

/// An expected event with its pairs in the one form that drafts are shown in.
fn normal(mut event: Value) -> Value {
    for name in ["natural_key", "order_keys", "corrects"] {
        if let Some(pairs) = event.get(name).and_then(|value| written::pairs(value).ok()) {
            event[name] = json!(pairs);
        }
    }
    event
}

fn summary(given: &Given) -> String {
    match given {
        Given::Events { drafts, .. } if drafts.len() == 1 => "1 event".to_owned(),
        Given::Events { drafts, .. } => format!("{} events", drafts.len()),
        Given::Document(document) => format!("a document of {} bytes", document.content.len()),
        Given::Refused(diagnostics) => {
            let lines: Vec<_> = diagnostics.iter().map(show::diagnostic_line).collect();
            format!("refused: {}", lines.join("; "))
        }
        Given::Failed(why) => why.clone(),
    }
}

/// Writes what was given as what is expected; a mapper that failed gives nothing to expect.
fn update(one: &Tried) -> anyhow::Result<bool> {
    let previous = one.case.expected.as_ref();
    let of_json = |value: &Value| -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        Ok(text)
    };
    let (extension, content) = match &one.given {
        Given::Failed(_) => return Ok(false),
        Given::Document(document) => (bench::extension(&document.media_type), document.content.to_vec()),
        Given::Refused(diagnostics) => ("json", of_json(&json!({"diagnostics": values(diagnostics)}))?),
        Given::Events { drafts, rejects, diagnostics } => {
            let events: Vec<_> = drafts.iter().map(written::show).collect();
            let was_object = previous.is_some_and(|(_, text)| text.trim_ascii_start().starts_with(b"{"));
            let mut value = json!({"events": events});
            if !diagnostics.is_empty() {
                value["diagnostics"] = json!(values(diagnostics));
            }
            if !rejects.is_empty() {
                value["rejects"] = json!(rejects.iter().map(reject_value).collect::<Vec<_>>());
            }
            // Only events: the short form, unless the author chose the long one.
            let short = value.as_object().is_some_and(|map| map.len() == 1) && !was_object;
            ("json", of_json(if short { &value["events"] } else { &value })?)
        }
    };
    let path = one.case.folder.join(format!("out.{extension}"));
    if let Some((old, _)) = previous.filter(|(old, _)| *old != path) {
        fs::remove_file(old)?;
    }
    fs::write(&path, content)?;
    Ok(true)
}

/// What came of a mapper's test.
struct Report<'a> {
    opened: &'a Opened,
    tried: &'a [Tried],
    unread: &'a [String],
    laws: &'a [Law],
    lost: &'a Lost,
    /// Whether everything that is lost is listed.
    all: bool,
}

impl Report<'_> {
    fn is_fine(&self) -> bool {
        self.differing() == 0 && self.laws.iter().all(|law| law.holds)
    }

    fn differing(&self) -> usize {
        self.tried.iter().filter(|one| !one.differences.is_empty()).count() + self.unread.len()
    }

    fn count(&self) -> usize {
        self.tried.len() + self.unread.len()
    }

    fn text(&self, folder: &Path) {
        let mapper = &self.opened.mapper;
        anstream::println!("{} {}   digest {}\n", mapper.name(), mapper.version(), mapper.digest().short());
        let spent: Duration = self.tried.iter().map(|one| one.usage.cpu).sum();
        let slowest = self.tried.iter().max_by_key(|one| one.usage.cpu).map(|one| {
            let limits = one.setting.as_ref().map_or_else(Limits::default, Setting::limits);
            let allowed = limits.for_input(one.usage.input_bytes).cpu;
            format!(
                "     slowest {} {} of {} allowed",
                one.case.name,
                show::time(one.usage.cpu),
                show::time(allowed)
            )
        });
        let passed = self.count() - self.differing();
        let mark = if passed > 0 { "✓" } else { "!" };
        let cases = if passed == 1 { "case" } else { "cases" };
        anstream::println!(
            "{mark} {passed} {cases}     {}{}",
            show::time(spent),
            slowest.unwrap_or_default()
        );
        for one in self.tried {
            if one.updated {
                anstream::println!("! {} updated", one.case.name);
            }
            print_differences(one);
        }
        for error in self.unread {
            anstream::println!("✗ {}", plain(error));
        }
        let (held, rest): (Vec<_>, Vec<_>) =
            self.laws.iter().partition(|law| law.holds && law.remark.is_none());
        if !held.is_empty() {
            let line: Vec<_> = held.iter().map(|law| format!("✓ {}", law.says)).collect();
            anstream::println!("{}", line.join("   "));
        }
        for law in rest {
            let mark = if law.holds { "!" } else { "✗" };
            let remark = law.remark.as_deref().unwrap_or_default();
            anstream::println!("{mark} {}\n    {}", law.says, show::wrap(&plain(remark), 4));
        }
        self.lost.text(self.all);
        if self.differing() > 0 {
            let verb = if self.differing() == 1 { "differs" } else { "differ" };
            let look = self.tried.iter().find(|one| !one.differences.is_empty());
            let look = look
                .map(|one| format!(" Look: crossdock plugin run {} {}", near(folder), near(&one.case.input)));
            anstream::println!(
                "\n{} of {} cases {verb}.{}",
                self.differing(),
                self.count(),
                look.unwrap_or_default()
            );
        }
    }

    fn json(&self) {
        for one in self.tried {
            case_line(one);
        }
        for error in self.unread {
            show::line("case", json!({"passed": false, "error": error}));
        }
        for law in self.laws {
            show::line(
                "law",
                json!({"law": law.name, "holds": law.holds, "says": law.says, "remark": law.remark}),
            );
        }
        self.lost.json();
        let mapper = &self.opened.mapper;
        show::line(
            "result",
            json!({
                "mapper": mapper.name(), "version": mapper.version(), "digest": mapper.digest(),
                "passed": self.is_fine(), "cases": self.count(), "differing": self.differing(),
            }),
        );
    }
}

/// What differs in a case, each with its place in the output and in the input; nothing where it is as expected.
pub(super) fn print_differences(one: &Tried) {
    if !one.differences.is_empty() {
        anstream::println!("✗ {}", one.case.name);
    }
    for found in &one.differences {
        let expected = show::wrap(&plain(&found.expected), 15);
        let got = show::wrap(&plain(&found.got), 15);
        anstream::println!("    {}\n      expected {expected}\n      got      {got}", plain(&found.place));
        for (number, source) in found.read_from.iter().enumerate() {
            let begin = if number == 0 { "read from" } else { "         " };
            let value = lineage::quoted(&source.value);
            anstream::println!("      {begin} {}   {value}", lineage::place_of(&source.location));
        }
    }
}

/// A case as its JSON line says it.
pub(super) fn case_line(one: &Tried) {
    show::line(
        "case",
        json!({
            "case": one.case.name, "passed": one.differences.is_empty(), "updated": one.updated,
            "differences": one.differences, "usage": show::usage(&one.usage),
        }),
    );
}
