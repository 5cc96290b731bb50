//! `policy test`: a folder held to the decisions that its own tests assert.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::{
    Answer, Error, counted,
    coverage::Coverage,
    right,
    stage::{Mappers, Stage},
};
use crate::{
    cli::show,
    pipeline::rehearse::{Call, End, Played},
    policy::{
        self, Report,
        checked::Origin,
        trial::{As, Body, Expect, Trial},
    },
    problem::Problem,
    words::{Clock, MessageId, Random, Revision, Time},
};

/// Longest document of a test: far over what an operation takes, far under what a laptop has.
const DOCUMENT_MAX_BYTES: u64 = 64 << 20;
/// Rules without a test that are listed; the rest is counted.
const GAPS_SHOWN: usize = 20;

/// Arguments of `policy test`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  crossdock policy test policies --mappers plugins\n  \
    crossdock policy test policies --only retired --json")]
pub(super) struct Test {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    #[command(flatten)]
    mappers: Mappers,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Rules that no test tries make the answer no
    #[arg(long)]
    deny_gaps: bool,
    /// One line of JSON for each test, and one for the coverage
    #[arg(long)]
    json: bool,
}

/// How one test ended.
struct Verdict<'t> {
    trial: &'t Trial,
    who: String,
    /// What was not as expected.
    failed: Option<Failed>,
    /// What could not be told without a mapper.
    open: Option<String>,
}

/// What was not as expected.
struct Failed {
    at: Origin,
    expected: String,
    got: String,
    rule: Option<String>,
}

impl Test {
    /// Runs the tests.
    pub fn run(&self, clock: &dyn Clock, random: &dyn Random) -> Result<Answer, Error> {
        let now = clock.now();
        let (source, checked) = right(&self.folder, now)?;
        let mut report = Report::of(source.tests.len());
        let trials = policy::trials(&source, Some(&checked), &mut report);
        if report.errors() > 0 {
            let report = report.render(&self.folder.to_string_lossy(), false).trim_end().to_owned();
            return Err(Error::Wrong { folder: self.folder.clone(), report });
        }
        let mut coverage = Coverage::new(&checked, self.mappers.mappers.is_some());
        let stage = Stage::new(checked, self.mappers.mappers.as_deref(), clock, random)?;
        let wanted = |trial: &&Trial| self.only.as_ref().is_none_or(|only| trial.name.contains(only));
        let trials: Vec<&Trial> = trials.iter().filter(wanted).collect();
        let mut verdicts = Vec::new();
        for trial in &trials {
            let body = document(&self.folder, trial)?;
            for who in &trial.callers {
                let (played, verdict) = tried(&stage, trial, who, &body, trial.on.unwrap_or(now));
                coverage.note(&played);
                verdicts.push(verdict);
            }
        }
        let text =
            if self.json { lines(&verdicts, &coverage) } else { self.told(&verdicts, &coverage, &stage) };
        let failed = verdicts.iter().any(|verdict| verdict.failed.is_some());
        let gaps = self.deny_gaps && self.only.is_none() && !coverage.gaps().is_empty();
        Ok(Answer { text, note: None, yes: !failed && !gaps && !verdicts.is_empty() })
    }

    fn told(&self, verdicts: &[Verdict<'_>], coverage: &Coverage, stage: &Stage<'_>) -> String {
        let mut out = String::new();
        let mut files: Vec<&str> = verdicts.iter().map(|verdict| &*verdict.trial.origin.file).collect();
        files.dedup();
        for file in files {
            let here = || verdicts.iter().filter(|verdict| &*verdict.trial.origin.file == file);
            let failed = here().filter(|verdict| verdict.failed.is_some()).count();
            let mark = if failed == 0 { "\u{1b}[32m✓\u{1b}[0m" } else { "\u{1b}[1;31m✗\u{1b}[0m" };
            let said = match failed {
                0 => counted(here().count(), "test"),
                failed => format!("{failed} of {} failed", counted(here().count(), "test")),
            };
            let _ = writeln!(out, "{mark} {file:<34} {said}");
            for verdict in here() {
                if let Some(failed) = &verdict.failed {
                    failure(&mut out, &self.folder, verdict, failed);
                }
            }
        }
        let failed = verdicts.iter().filter(|verdict| verdict.failed.is_some()).count();
        let open: Vec<&Verdict<'_>> = verdicts.iter().filter(|verdict| verdict.open.is_some()).collect();
        out.push('\n');
        if verdicts.is_empty() {
            let _ = writeln!(out, "No test was found: they stand in {}/tests/*.yaml.", self.folder.display());
            return out;
        }
        if let Some(first) = open.first() {
            let why = first.open.as_deref().unwrap_or_default();
            let _ = writeln!(
                out,
                "{} told only in part: {why}. `--mappers plugins` runs mappers.",
                match open.len() {
                    1 => "1 test was".to_owned(),
                    number => format!("{number} tests were"),
                }
            );
        }
        for missing in &stage.missing {
            let _ = writeln!(out, "not there: {missing}");
        }
        let _ = writeln!(out, "coverage   {}", coverage.line());
        let gaps = coverage.gaps();
        if !gaps.is_empty() && self.only.is_none() {
            out.push_str("never tried\n");
            for (kind, what, rule) in gaps.iter().take(GAPS_SHOWN) {
                let kind = kind.strip_suffix('s').unwrap_or(kind);
                let _ = writeln!(out, "  {kind:<13} {what:<42} {rule}");
            }
            if gaps.len() > GAPS_SHOWN {
                let _ = writeln!(out, "  … {} more", gaps.len() - GAPS_SHOWN);
            }
        }
        let _ = match failed {
            0 => writeln!(out, "\nAll {} as expected.", counted(verdicts.len(), "decision")),
            failed => writeln!(out, "\n{failed} of {} not as expected.", counted(verdicts.len(), "decision")),
        };
        out
    }
}

fn failure(out: &mut String, folder: &Path, verdict: &Verdict<'_>, failed: &Failed) {
    let _ = writeln!(out, "  {} ({})", show::safe(&verdict.trial.name), show::safe(&verdict.who));
    let _ = writeln!(out, "    at        {}", folder.join(failed.at.to_string()).display());
    let _ = writeln!(out, "    expected  {}", show::safe(&failed.expected));
    let _ = writeln!(out, "    got       {}", show::safe(&failed.got));
    if let Some(rule) = &failed.rule {
        let _ = writeln!(out, "    decided   {}", folder.join(rule).display());
    }
}

fn lines(verdicts: &[Verdict<'_>], coverage: &Coverage) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let mut line = json!({
            "kind": "test", "name": verdict.trial.name, "as": verdict.who, "file": verdict.trial.origin.file.as_ref(),
            "line": verdict.trial.origin.line, "passed": verdict.failed.is_none(),
        });
        if let Some(failed) = &verdict.failed {
            line["failed"] = json!({ "file": failed.at.file.as_ref(), "line": failed.at.line,
                "expected": failed.expected, "got": failed.got, "rule": failed.rule });
        }
        if let Some(open) = &verdict.open {
            line["untold"] = Value::from(open.as_str());
        }
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{}", coverage.json());
    out
}

/// The document of a test.
fn document(folder: &Path, trial: &Trial) -> Result<Bytes, Error> {
    match &trial.call.body {
        Body::None => Ok(Bytes::new()),
        Body::Text(text) => Ok(Bytes::from(text.clone())),
        Body::File(file) => {
            let path = folder.join("tests").join(file);
            let read = || -> std::io::Result<Vec<u8>> {
                let file = File::open(&path)?;
                if !file.metadata()?.is_file() {
                    return Err(std::io::Error::other("not a regular file"));
                }
                let mut bytes = Vec::new();
                file.take(DOCUMENT_MAX_BYTES).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            let said = |error| anyhow::anyhow!("{}: the document {}: {error}", trial.origin, path.display());
            Ok(read().map_err(said)?.into())
        }
    }
}

fn tried<'t>(
    stage: &Stage<'_>,
    trial: &'t Trial,
    who: &As,
    body: &Bytes,
    now: Time,
) -> (Played, Verdict<'t>) {
    let headers: HeaderMap = trial
        .call
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        })
        .collect();
    let played = stage.play(|| Call {
        caller: stage.caller(who, now),
        method: Method::from_bytes(trial.call.method.as_bytes()).unwrap_or(Method::GET),
        path: trial.call.path.clone(),
        headers: headers.clone(),
        body: body.clone(),
        now,
    });
    let (failed, open) = compare(&trial.expect, &played);
    (played, Verdict { trial, who: named(who), failed, open })
}

fn named(who: &As) -> String {
    match who {
        As::Nobody => "nobody".to_owned(),
        As::Partner { name, credential: None, .. } => name.to_string(),
        As::Partner { name, credential: Some(credential), .. } => format!("{name} by {credential}"),
        As::Token { issuer, .. } => format!("a token of {issuer}"),
    }
}

/// What was not as expected, and what could not be told.
fn compare(expect: &Expect, played: &Played) -> (Option<Failed>, Option<String>) {
    let got = got(played);
    let failed = |at: &Origin, expected: String, got: &str| {
        let rule = played.rule().map(str::to_owned);
        Some(Failed { at: at.clone(), expected, got: got.to_owned(), rule })
    };
    match expect {
        Expect::Accept { origin, version, events, deliveries } => {
            if let End::Refused(_) = &played.end {
                return (failed(origin, "accepted".to_owned(), &got), None);
            }
            if let Some((version, at)) = version
                && played.version.as_ref() != Some(version)
            {
                let other = played.version.as_ref().map_or("no version", |version| version.as_str());
                return (failed(at, format!("version {version}"), other), None);
            }
            if let End::Open(why) = &played.end
                && played.events.is_empty()
            {
                return (None, Some(why.clone()));
            }
            let made: Vec<&str> = played.events.iter().map(|event| event.kind.as_str()).collect();
            if let Some((events, at)) = events
                && made != *events
            {
                return (failed(at, told(events), &told(&made)), None);
            }
            if let Some((wanted, at)) = deliveries {
                let mut wanted = wanted.clone();
                wanted.sort();
                wanted.dedup();
                if wanted != played.deliveries {
                    let went = told(&played.deliveries);
                    return (failed(at, format!("deliveries by {}", told(&wanted)), &went), None);
                }
            }
            (None, None)
        }
        Expect::Refuse { origin, problem, status, rule, at } => {
            let End::Refused(refusal) = &played.end else {
                let expected = problem.as_ref().map_or("refused".to_owned(), |p| format!("refused: {}", p.0));
                return match &played.end {
                    // A mapper's own refusals cannot be told without it.
                    End::Open(why) if problem.as_ref().is_none_or(|(name, _)| of_a_mapper(name)) => {
                        (None, Some(why.clone()))
                    }
                    _ => (failed(origin, expected, &got), None),
                };
            };
            let class = refusal.class();
            if let Some((name, place)) = problem
                && name != class.name
            {
                return (failed(place, format!("refused: {name}"), &got), None);
            }
            if let Some((status, place)) = status
                && *status != class.status.as_u16()
            {
                return (failed(place, format!("status {status}"), &got), None);
            }
            if let Some((rule, place)) = rule
                && !played.rule().is_some_and(|decided| decided == rule || file(decided) == rule)
            {
                let decided = played.rule().unwrap_or("no rule");
                return (failed(place, format!("by the rule {rule}"), decided), None);
            }
            if let Some((path, place)) = at {
                let problem = Problem::new(refusal, MessageId::from_bytes([0; 16]), Revision::stored("-"));
                let places: Vec<&str> = problem
                    .errors
                    .iter()
                    .filter_map(|error| Some(error.at.as_ref()?.path.as_str()))
                    .collect();
                if !places.contains(&path.as_str()) {
                    return (failed(place, format!("pointing at {path}"), &told(&places)), None);
                }
            }
            (None, None)
        }
    }
}

fn of_a_mapper(problem: &str) -> bool {
    problem.starts_with("mapp") || matches!(problem, "no-events" | "not-canonical")
}

fn file(rule: &str) -> &str {
    rule.rsplit_once(':').map_or(rule, |(file, _)| file)
}

fn told<T: std::fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn got(played: &Played) -> String {
    match &played.end {
        End::Accepted | End::Open(_) => {
            let version = played.version.as_ref().map(|version| format!(" in {version}"));
            format!("accepted{}", version.unwrap_or_default())
        }
        End::Refused(refusal) => {
            let class = refusal.class();
            let stage = played.steps.last().map_or("", |step| step.stage);
            let why = refusal.for_the_log();
            format!("{} {}: {why} (stage {stage})", class.status.as_u16(), class.name)
        }
    }
}
