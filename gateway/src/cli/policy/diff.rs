//! `policy diff`: what a change means, in words.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    Answer, Error, counted,
    recorded::{Recordings, Refused, Replayed, replay},
    stage::Stage,
};
use crate::{
    cli::{client::AdminArgs, show},
    policy::{
        self, Checked, Source,
        diff::{Change, Changes, Effect, compare},
        units,
    },
    words::{Clock, Random, Time},
};

/// Arguments of `policy diff`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  crossdock policy diff main policies --fail-on widening\n  \
    crossdock policy diff HEAD~1:policies HEAD:policies\n  crossdock policy diff main..HEAD --json")]
pub(super) struct Diff {
    /// The earlier policies: a folder, a git revision, REVISION:FOLDER, or EARLIER..LATER for both
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The later policies
    #[arg(value_name = "AFTER", default_value = "policies")]
    after: String,
    /// The policy folder within a git revision that names none
    #[arg(long, value_name = "DIR", default_value = "policies")]
    folder: String,
    /// Which changes make the answer no; may be repeated
    #[arg(long, value_name = "EFFECT", value_enum)]
    fail_on: Vec<FailOn>,
    /// Also decide the calls again that a running gateway accepted in this time
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    against_recorded: Option<Duration>,
    /// At most so many of the newest of them
    #[arg(long, value_name = "N", default_value_t = 2000)]
    most: usize,
    #[command(flatten)]
    admin: AdminArgs,
}

/// What a pipeline may want to stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Somebody may do more
    Widening,
    /// Somebody may do less
    Narrowing,
    /// Anything at all
    Change,
    /// A recorded call that was accepted would be refused
    Refusal,
}

impl Diff {
    pub fn run(&self, clock: &dyn Clock, random: &dyn Random) -> Result<Answer, Error> {
        let now = clock.now();
        let (before, after) = match self.before.split_once("..") {
            Some((before, after)) if !Path::new(&self.before).exists() => {
                (self.tree(before), self.tree(if after.is_empty() { "HEAD" } else { after }))
            }
            _ => (self.before.clone(), self.after.clone()),
        };
        let (old_source, old) = self.read(&before, now)?;
        let (new_source, new) = self.read(&after, now)?;
        let changes = compare(&old, &new);
        let replayed = match self.against_recorded {
            None => None,
            Some(back) => Some(self.replay(new, back, clock, random)?),
        };
        let yes = !self.fail_on.iter().any(|fail| match fail {
            FailOn::Widening => changes.count(Effect::Widens) > 0,
            FailOn::Narrowing => changes.count(Effect::Narrows) > 0,
            FailOn::Change => !changes.changes.is_empty(),
            FailOn::Refusal => replayed.as_ref().is_some_and(|(replayed, _)| !replayed.refused.is_empty()),
        });
        let silent = silent(&old_source, &new_source);
        let text = match self.admin.json {
            true => lines(&changes, replayed.as_ref()),
            false => self.told(&changes, &silent, replayed.as_ref(), yes),
        };
        Ok(Answer { text, note: None, yes })
    }

    /// Decides again what the gateway accepted, and whether there was more than was looked at.
    fn replay(
        &self,
        new: Checked,
        back: Duration,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<(Replayed, bool), Error> {
        let since = clock.now().millis() - i64::try_from(back.as_millis()).unwrap_or(0);
        let recordings = Recordings::new(&self.admin)?;
        let (messages, more) = recordings.since(Time::from_millis(since), None, self.most)?;
        let stage = Stage::new(new, None, clock, random)?;
        let replayed = replay(&stage, &messages, |message| {
            let id = show::text(&message["id"]).parse().map_err(anyhow::Error::msg)?;
            recordings.one(id)
        })?;
        Ok((replayed, more))
    }

    fn tree(&self, revision: &str) -> String {
        if revision.contains(':') { revision.to_owned() } else { format!("{revision}:{}", self.folder) }
    }

    /// A folder if there is one of that name, else a git revision.
    fn read(&self, place: &str, now: Time) -> Result<(Source, Checked), Error> {
        let source = if Path::new(place).is_dir() {
            policy::read(Path::new(place))?
        } else {
            policy::from_git(&self.tree(place), Path::new(".")).map_err(|error| {
                anyhow::anyhow!("`{place}` is neither a folder nor a git revision: {error}")
            })?
        };
        let (checked, report) = policy::check(&source, now, &policy::compiles);
        let wrong = || {
            let report = report.render(place, false).trim_end().to_owned();
            Error::Wrong { folder: PathBuf::from(place), report }
        };
        let checked = checked.ok_or_else(wrong)?;
        Ok((source, checked))
    }

    fn told(
        &self,
        changes: &Changes,
        silent: &[String],
        replayed: Option<&(Replayed, bool)>,
        yes: bool,
    ) -> String {
        let mut out = String::new();
        for change in &changes.changes {
            line(&mut out, change);
        }
        let same: Vec<String> = changes
            .same
            .iter()
            .map(|(kind, number)| counted(*number, kind.strip_suffix('s').unwrap_or(kind)))
            .collect();
        if !same.is_empty() {
            let _ = writeln!(out, "SAME     {}", same.join(", "));
        }
        if changes.changes.is_empty() && !silent.is_empty() {
            let _ = writeln!(out, "         different files that mean the same: {}", silent.join(", "));
        }
        if let Some((replayed, more)) = replayed {
            told_replay(&mut out, replayed, *more);
        }
        let count = |effect, one| counted(changes.count(effect), one);
        let _ = write!(
            out,
            "\n{}, {}, {}",
            count(Effect::Widens, "widening"),
            count(Effect::Narrows, "narrowing"),
            count(Effect::Changes, "other change"),
        );
        out.push_str(if yes { ".\n" } else { ": needs approval.\n" });
        out
    }
}

fn line(out: &mut String, change: &Change) {
    let (word, colour) = match change.effect {
        Effect::Widens => ("WIDENS", "1;33"),
        Effect::Narrows => ("NARROWS", "1;36"),
        Effect::Changes => ("CHANGES", "1"),
    };
    let said = show::safe(&format!("{}  {}", change.subject, change.what));
    let _ = if said.chars().count() > 70 {
        writeln!(out, "\u{1b}[{colour}m{word:<8}\u{1b}[0m {said}\n         {}", change.rule)
    } else {
        writeln!(out, "\u{1b}[{colour}m{word:<8}\u{1b}[0m {said:<70} {}", change.rule)
    };
}

fn told_replay(out: &mut String, replayed: &Replayed, more: bool) {
    let newest = if more { "newest " } else { "" };
    let untold = match replayed.untold {
        0 => String::new(),
        untold => format!("; {untold} more have documents that are not told again"),
    };
    let refused: usize = replayed.refused.values().map(|times| times.calls).sum();
    let calls = counted(replayed.calls, &format!("{newest}recorded call"));
    let _ = writeln!(out, "\nof {calls} that were accepted, {refused} would be refused{untold}");
    for (what, times) in &replayed.refused {
        let Refused { partner, operation, version, problem, why, rule } = what;
        let _ = writeln!(
            out,
            "REFUSES  {:<62} {}",
            format!("{} of {partner}   {operation} {version}   {problem}", counted(times.calls, "call")),
            rule.as_deref().unwrap_or("")
        );
        let _ = writeln!(out, "         {}", show::safe(why));
        let _ = writeln!(out, "         {} to {}, the last is {}", times.first, times.last, times.example);
    }
}

fn lines(changes: &Changes, replayed: Option<&(Replayed, bool)>) -> String {
    let mut out = String::new();
    for change in &changes.changes {
        let mut line = serde_json::to_value(change).unwrap_or_default();
        line["kind"] = "change".into();
        let _ = writeln!(out, "{line}");
    }
    for (what, times) in replayed.iter().flat_map(|(replayed, _)| &replayed.refused) {
        let line = json!({ "kind": "would-refuse", "partner": what.partner, "operation": what.operation,
            "version": what.version, "problem": what.problem, "why": what.why, "rule": what.rule,
            "calls": times.calls, "first": times.first, "last": times.last, "example": times.example });
        let _ = writeln!(out, "{line}");
    }
    if let Some((replayed, more)) = replayed {
        let line =
            json!({ "kind": "recorded", "calls": replayed.calls, "untold": replayed.untold, "more": more });
        let _ = writeln!(out, "{line}");
    }
    let sums = json!({ "kind": "sums", "widens": changes.count(Effect::Widens), "narrows": changes.count(Effect::Narrows),
        "changes": changes.count(Effect::Changes), "same": changes.same });
    let _ = writeln!(out, "{sums}");
    out
}

/// Files whose bytes differ.
fn silent(old: &Source, new: &Source) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = old.files.keys().chain(new.files.keys()).collect();
    let differ = paths.into_iter().filter(|path| old.files.get(*path) != new.files.get(*path));
    differ.map(ToString::to_string).collect()
}
