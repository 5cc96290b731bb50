//! `plugin bench`: what a mapper uses beside what it may, on one document or on its cases.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::json;

use super::{
    DONE, FAILED, NO, Tools, USE,
    bench::{Bench, Opened, Setting},
    cases::{self, Case},
    complain,
    description::Direction,
    locate, near,
    run::{Asked, Settled},
    show,
    test::{Given, give},
};
use crate::{
    cli::show::table,
    mapper::{Code, Limits, Usage},
};

/// Most time that one document is measured for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Fewest runs that make a figure.
const FEWEST: usize = 5;
/// Counting slows a mapper down; what is counted gets so many times its CPU.
const SLACK: u32 = 20;
/// Characters of a case's name that are shown.
const NAME: usize = 34;

/// What `plugin bench` is told.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// A name in `plugins/`, a mapper's folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// The document, or events in JSON; without it the mapper's cases.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which way to map; without it what the mapper offers and what is in the file decide.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// What the mapper is told, as for `plugin run`.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A folder of cross-reference tables, NAME.csv each.
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// How often each document is mapped, as far as a second allows it.
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// JSON lines on standard output: measured, and last result.
    #[arg(long)]
    json: bool,
}

/// A document and what it is mapped with.
struct Subject {
    case: Case,
    setting: Setting,
}

/// What the runs of one document used.
struct Measured {
    name: String,
    direction: Direction,
    /// CPU times, shortest first.
    times: Vec<Duration>,
    usage: Usage,
    instructions: Option<u64>,
    limits: Limits,
}

/// Runs it and gives the exit code.
pub(super) fn run(args: &BenchArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    let found = match locate::find(&args.mapper, here) {
        Ok(found) => found,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let bench = Bench::new(tools)?;
    let opened = match bench.open(&found) {
        Ok(opened) => opened,
        Err(error) => return Ok(complain(&error, NO)),
    };
    let subjects = match &args.file {
        Some(file) => one(args, &here.join(file), file, &opened, &bench).map(|subject| vec![subject]),
        None => all(&opened),
    };
    let subjects = match subjects {
        Ok(subjects) => subjects,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let progress = bench.progress();
    progress.tell(" making code that counts its instructions");
    let (counter, counting) = bench.another(&opened, Code::Counting)?;
    let (mut measured, mut aside) = (Vec::new(), Vec::new());
    for (number, subject) in subjects.iter().enumerate() {
        progress.tell(&format!(" measuring  {} of {}", number + 1, subjects.len()));
        match measure(&bench, &opened, (&counter, &counting), subject, args.runs) {
            Ok(found) => measured.push(found),
            Err(why) => aside.push((subject.case.name.clone(), why)),
        }
    }
    progress.clear();
    if args.json {
        as_json(&opened, &measured);
    } else {
        as_text(&opened, &measured);
    }
    // Of many cases some are refusals, which cost next to nothing; one document that is not mapped has no figures.
    let failed = aside.iter().find(|(_, why)| args.file.is_some() || !why.is_refusal());
    Ok(match failed {
        Some((name, why)) => {
            let code = if why.is_refusal() { NO } else { FAILED };
            complain(&format_args!("{name}: {}", why.0), code)
        }
        None => {
            if !aside.is_empty() && !args.json {
                anstream::eprintln!("{} cases are refused, and not measured", aside.len());
            }
            DONE
        }
    })
}

/// The document that was named.
fn one(
    args: &BenchArgs,
    path: &Path,
    named: &Path,
    opened: &Opened,
    bench: &Bench<'_>,
) -> Result<Subject, String> {
    let content = cases::read_file(path).map_err(|error| error.to_string())?;
    let tables = args.tables.clone().or_else(|| cases::tables_beside(path));
    let asked = Asked { direction: args.direction, context: &args.context, tables: tables.as_deref() };
    let Settled { told: context, setting, direction } = Settled::read(bench, opened, path, &content, asked)?;
    let case = Case {
        name: near(named),
        folder: path.parent().unwrap_or(path).to_owned(),
        direction,
        input: path.to_owned(),
        content,
        expected: None,
        context,
    };
    Ok(Subject { case, setting })
}

/// Every case of the mapper.
fn all(opened: &Opened) -> Result<Vec<Subject>, String> {
    let folder =
        opened.folder.as_deref().ok_or("a .wasm file has no cases beside it; name a document after it")?;
    let read = cases::read(folder).map_err(|error| error.to_string())?;
    let subjects: Vec<_> = read
        .into_iter()
        .flatten()
        .filter_map(|case| {
            let tables = cases::tables(&case);
            let setting = Setting::new(&case.context, opened.mapper.manifest(), tables.as_deref(), None);
            Some(Subject { setting: setting.ok()?, case })
        })
        .collect();
    if subjects.is_empty() {
        return Err(format!("{}: no cases to measure; name a document", near(folder)));
    }
    Ok(subjects)
}

/// Why a document has no figures.
struct Aside(String, bool);

impl Aside {
    fn is_refusal(&self) -> bool {
        self.1
    }
}

fn measure(
    bench: &Bench<'_>,
    opened: &Opened,
    (counter, counting): (&Bench<'_>, &Opened),
    subject: &Subject,
    runs: u32,
) -> Result<Measured, Aside> {
    let Subject { case, setting } = subject;
    let mapped =
        |bench: &Bench<'_>, opened: &Opened, setting: &Setting| match give(bench, opened, case, setting) {
            (Given::Events { .. } | Given::Document(_), usage) => Ok(usage),
            (Given::Refused(said), _) => {
                Err(Aside(said.first().map(show::diagnostic_line).unwrap_or_else(|| "refused".into()), true))
            }
            (Given::Failed(why), _) => Err(Aside(why, false)),
        };
    let mut usage = mapped(bench, opened, setting)?;
    let (begun, mut times) = (Instant::now(), Vec::new());
    for number in 0..runs as usize {
        if number >= FEWEST && begun.elapsed() > PATIENCE {
            break;
        }
        let again = mapped(bench, opened, setting)?;
        usage.memory_bytes = usage.memory_bytes.max(again.memory_bytes);
        times.push(again.cpu);
    }
    times.sort_unstable();
    let instructions = mapped(counter, counting, &setting.with_slack(SLACK))?.instructions;
    Ok(Measured {
        name: case.name.clone(),
        direction: case.direction,
        times,
        usage,
        instructions,
        limits: setting.limits(),
    })
}

impl Measured {
    /// The time that so many of a hundred runs do not exceed.
    fn percentile(&self, of: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get(last * of / 100).copied().unwrap_or_default()
    }

    fn allowed(&self) -> Duration {
        self.limits.for_input(self.usage.input_bytes).cpu
    }

    /// Percent of its CPU that the slow ones of its runs take.
    fn share(&self) -> f64 {
        100.0 * self.percentile(99).as_secs_f64() / self.allowed().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

fn as_text(opened: &Opened, measured: &[Measured]) {
    let mapper = &opened.mapper;
    anstream::println!("{} {}   digest {}\n", mapper.name(), mapper.version(), mapper.digest().short());
    let rows: Vec<Vec<String>> = measured
        .iter()
        .map(|one| {
            let name: String = if one.name.chars().count() > NAME {
                let skipped = one.name.chars().count() + 1 - NAME;
                std::iter::once('…').chain(one.name.chars().skip(skipped)).collect()
            } else {
                one.name.clone()
            };
            vec![
                name,
                show::time(one.percentile(50)),
                show::time(one.percentile(99)),
                format!("{:.1} %", one.share()),
                one.instructions.map_or_else(|| "-".to_owned(), grouped),
                show::memory(one.usage.memory_bytes),
                show::size(one.usage.input_bytes),
                show::size(one.usage.output_bytes),
            ]
        })
        .collect();
    table(
        &["case", "median", "p99", "of CPU", "instructions", "memory", "in", "out"],
        &rows,
        "nothing was measured",
    );
    let Some(slowest) = measured.iter().max_by(|one, other| one.share().total_cmp(&other.share())) else {
        return;
    };
    let limits = slowest.limits;
    anstream::println!(
        "\nlimits   {} CPU for {}, {} of memory, {} in, {} out",
        show::time(slowest.allowed()),
        show::plain(&slowest.name),
        show::memory(limits.memory_bytes),
        show::memory(limits.input_bytes),
        show::memory(limits.for_input(slowest.usage.input_bytes).output_bytes)
    );
}

fn as_json(opened: &Opened, measured: &[Measured]) {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    for one in measured {
        let ceiling = one.limits.for_input(one.usage.input_bytes);
        show::line(
            "measured",
            json!({
                "case": one.name, "direction": one.direction, "runs": one.times.len(),
                "cpu_us": {
                    "least": micros(one.percentile(0)), "median": micros(one.percentile(50)),
                    "p99": micros(one.percentile(99)), "most": micros(one.percentile(100)),
                },
                "instructions": one.instructions, "memory_bytes": one.usage.memory_bytes,
                "input_bytes": one.usage.input_bytes, "output_bytes": one.usage.output_bytes,
                "limits": {
                    "cpu_us": micros(ceiling.cpu), "memory_bytes": one.limits.memory_bytes,
                    "input_bytes": one.limits.input_bytes, "output_bytes": ceiling.output_bytes,
                },
            }),
        );
    }
    let mapper = &opened.mapper;
    show::line(
        "result",
        json!({
            "mapper": mapper.name(), "version": mapper.version(), "digest": mapper.digest(), "measured": measured.len(),
        }),
    );
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
