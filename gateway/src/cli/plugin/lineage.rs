//! `plugin lineage`: from which places of a document each field of a mapper's output comes, and what was never read.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, FAILED, NO, Tools, USE, acknowledge,
    bench::{self, Bench, Opened, Setting},
    cases, complain,
    description::Direction,
    leaves::{self, Leaf},
    locate,
    rerun::{self, Unpacked},
    run::{Asked, Settled},
    show,
    trace::{self, Depth, Effect, Field, Outcome, Trace},
    written,
};
use crate::{
    admin::bundle::Bundle,
    mapper::Failure,
    words::{Clock, Diagnostic, Document, Draft, Location, Random, Severity},
};

/// Characters of a value that are shown.
const SHOWN: usize = 32;
/// Characters of a reason that are shown.
const REASON: usize = 72;
/// The width of a line.
const WIDTH: usize = 100;
/// Values that are listed under one heading.
const SECTION: usize = 60;
/// Sources of a field that are listed, unless the field was asked for.
const LISTED: usize = 4;

/// What `plugin lineage` is told.
#[derive(Debug, Args)]
pub(super) struct LineageArgs {
    /// A name in `plugins/`, a mapper's folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// The document; or events in JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which way to map; without it what the mapper offers and what is in the file decide.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// What the mapper is told, as for `plugin run`.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A folder of cross-reference tables, NAME.csv each.
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// What is shown, and how much is tried.
    #[command(flatten)]
    options: Options,
    /// JSON lines on standard output: field, unread, gate, adds, remark, failed, untried, and last result.
    #[arg(long)]
    json: bool,
}

/// What is shown of a lineage, and how much is tried.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Only this field: a pointer into the event's data, `/lines/0/lot`, or `occurred_at`, `natural_key/order`.
    #[arg(long, value_name = "POINTER")]
    field: Option<String>,
    /// Most values of the document that are tried.
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
    values: usize,
    /// Most seconds that it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

/// What is mapped again and again.
pub(super) struct Subject<'a> {
    pub bench: &'a Bench<'a>,
    pub opened: &'a Opened,
    pub setting: &'a Setting,
    pub direction: Direction,
    /// The document; of events only the content counts.
    pub document: Document,
}

/// The leaves of a document and what depends on them.
pub(super) struct Traced {
    pub leaves: Vec<Leaf>,
    pub trace: Trace,
}

/// Why a document has no lineage.
pub(super) enum Nothing {
    /// It is refused: the first line of it.
    Refused(String),
    /// The mapper trapped, exceeded a limit or broke the contract.
    Failed(String),
    /// Its format is not known.
    Unknown,
}

impl Subject<'_> {
    /// Changes each of at most `most` leaves; `go_on` is asked before each, with its number and how many there are.
    pub fn trace(
        &self,
        depth: Depth,
        most: usize,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Traced, Nothing> {
        let content = &self.document.content;
        let base = self.map(content.clone());
        match base {
            Outcome::Refused(why) => return Err(Nothing::Refused(why)),
            Outcome::Failed(why) => return Err(Nothing::Failed(why)),
            Outcome::Events { .. } | Outcome::Document(_) => {}
        }
        let leaves = leaves::find(content, &self.document.media_type);
        if leaves.is_empty() {
            return Err(Nothing::Unknown);
        }
        let count = leaves.len();
        let trace = trace::trace(
            content,
            &leaves,
            &base,
            depth,
            &mut |copy| self.map(Bytes::from(copy)),
            &mut |number| number < most && go_on(number, count),
        );
        Ok(Traced { leaves, trace })
    }

    fn map(&self, content: Bytes) -> Outcome {
        if self.direction == Direction::FromCanonical {
            return self.map_events(&content);
        }
        let document = Document { content, ..self.document.clone() };
        if self.direction == Direction::Acknowledge {
            return self.acknowledge(&document);
        }
        match self.bench.read_document(&self.opened.mapper, self.setting, document) {
            Ok(ran) => {
                let rejected = ran.value.rejects.iter().flat_map(|reject| &reject.diagnostics);
                Outcome::Events {
                    events: ran.value.drafts.iter().map(event).collect(),
                    remarks: ran.value.diagnostics.iter().chain(rejected).map(remark).collect(),
                    rejects: ran.value.rejects.len(),
                }
            }
            Err(failure) => failed(&failure),
        }
    }

    fn map_events(&self, content: &[u8]) -> Outcome {
        let drafts = match written::drafts(content) {
            Ok(drafts) => drafts,
            Err(error) => return Outcome::Refused(error),
        };
        let events = match self.bench.check(drafts, self.setting, content) {
            Ok(events) => events,
            Err(error) => {
                let first = bench::diagnostics(&error).first().map(reason);
                return Outcome::Refused(first.unwrap_or_else(|| "not canonical".to_owned()));
            }
        };
        match self.bench.write_document(&self.opened.mapper, self.setting, events) {
            Ok(ran) => places(&ran.value),
            Err(failure) => failed(&failure),
        }
    }

    fn acknowledge(&self, document: &Document) -> Outcome {
        let (bench, opened, setting) = (self.bench, self.opened, self.setting);
        let read = bench.read_document(&opened.mapper, setting, document.clone()).map(|ran| ran.value);
        match acknowledge::ask(bench, opened, setting, document, read.as_ref()) {
            Ok(ran) => ran.value.map_or_else(|| Outcome::Document(Vec::new()), |answer| places(&answer)),
            Err(failure) => failed(&failure),
        }
    }
}

/// The places of a document that was written.
fn places(document: &Document) -> Outcome {
    let leaves = leaves::find(&document.content, &document.media_type);
    if leaves.is_empty() {
        let text = String::from_utf8_lossy(&document.content).into_owned();
        return Outcome::Document(vec![("the whole document".to_owned(), text)]);
    }
    Outcome::Document(leaves.into_iter().map(|leaf| (leaf.path, leaf.value)).collect())
}

fn failed(failure: &Failure) -> Outcome {
    match failure {
        Failure::Refused(diagnostics) => {
            let errors = diagnostics.iter().find(|found| found.severity == Severity::Error);
            Outcome::Refused(errors.or(diagnostics.first()).map(reason).unwrap_or_default())
        }
        other => Outcome::Failed(show::failure_line(other)),
    }
}

/// Why something is refused; the place is the one that was changed, or says so in the message.
fn reason(found: &Diagnostic) -> String {
    format!("{} ({})", found.message, found.code)
}

/// A draft in the form of the case files, its keys by their names where no name comes twice.
fn event(draft: &Draft) -> Value {
    let mut event = written::show(draft);
    for (name, pairs) in [
        ("natural_key", &draft.natural_key),
        ("order_keys", &draft.order_keys),
        ("corrects", &draft.corrects),
    ] {
        let map: serde_json::Map<_, _> =
            pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        if !map.is_empty() && map.len() == pairs.len() {
            event[name] = Value::Object(map);
        }
    }
    event
}

/// What makes a remark another one; its bytes move with whatever stands before it.
fn remark(found: &Diagnostic) -> String {
    let path = found.at.as_ref().map(|at| at.path.as_str()).unwrap_or_default();
    format!("{} {} {path}", found.code, found.message)
}

/// Runs it and gives the exit code.
pub(super) fn run(args: &LineageArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    let found = match locate::find(&args.mapper, here) {
        Ok(found) => found,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let file = here.join(&args.file);
    let content = match cases::read_file(&file) {
        Ok(content) => content,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let bench = Bench::new(tools)?;
    let opened = match bench.open(&found) {
        Ok(opened) => opened,
        Err(error) => return Ok(complain(&error, NO)),
    };
    let tables = args.tables.clone().or_else(|| cases::tables_beside(&file));
    let asked = Asked { direction: args.direction, context: &args.context, tables: tables.as_deref() };
    let given = match Settled::read(&bench, &opened, &file, &content, asked) {
        Ok(given) => given,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let document = given.document(&opened, &file, content);
    let Settled { setting, direction, .. } = given;
    let subject = Subject { bench: &bench, opened: &opened, setting: &setting, direction, document };
    Ok(match follow(&subject, &args.options, args.json) {
        Ok(()) => DONE,
        Err(Unfollowed { what, code }) => {
            complain(&what.replace(HERE, &args.file.display().to_string()), code)
        }
    })
}

/// The same for a message that a gateway keeps: on this machine, with the document, context, tables and mapper that the
/// gateway hands over, so that it costs the gateway nothing.
///
/// # Errors
/// Why nothing is shown, for people.
pub(in crate::cli) fn of_message(
    bundle: Value,
    options: &Options,
    json: bool,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(), String> {
    let bundle: Bundle = serde_json::from_value(bundle).map_err(|error| error.to_string())?;
    let message = format!("message {}", bundle.message_id);
    let bench = Bench::new(Tools { clock, random, verbose: false }).map_err(|error| format!("{error:#}"))?;
    let unpacked = rerun::unpack(&bundle, &bench);
    let Unpacked { opened, setting, document } =
        unpacked.map_err(|unusable| format!("{message}: {}", unusable.what))?;
    let direction = Direction::ToCanonical;
    let subject = Subject { bench: &bench, opened: &opened, setting: &setting, direction, document };
    if bundle.revision_then != bundle.revision_now {
        let (then, now) = (&bundle.revision_then, &bundle.revision_now);
        anstream::eprintln!("policies then {then}, now {now}: configuration and tables are those of now");
    }
    follow(&subject, options, json).map_err(|unfollowed| unfollowed.what.replace(HERE, &message))
}

/// Stands for what was to be followed, in what is said of it.
const HERE: &str = "{here}";

/// Why nothing is shown, and the exit code.
struct Unfollowed {
    what: String,
    code: u8,
}

/// Traces and shows.
fn follow(subject: &Subject<'_>, options: &Options, json: bool) -> Result<(), Unfollowed> {
    let progress = subject.bench.progress();
    let (begun, most) = (Instant::now(), Duration::from_secs(options.seconds));
    let traced = subject.trace(Depth::Full, options.values, &mut |number, count| {
        if number > 0 && number % 50 == 0 {
            progress.tell(&format!(" tracing  {number} of {count} values   (Ctrl-C stops)"));
        }
        begun.elapsed() < most
    });
    progress.clear();
    let traced = traced.map_err(explain)?;
    if let Some(asked) = &options.field
        && !traced.trace.fields.iter().any(|field| field.name == *asked)
    {
        return Err(Unfollowed { what: unknown_field(asked, &traced.trace.fields), code: USE });
    }
    let report = Report { options, opened: subject.opened, traced: &traced, took: begun.elapsed() };
    if json {
        report.json();
    } else {
        report.text();
    }
    Ok(())
}

fn explain(nothing: Nothing) -> Unfollowed {
    let (what, code) = match nothing {
        Nothing::Refused(why) => {
            let why = show::plain(&format!("{HERE} is refused, so no field comes from it: {why}"));
            let help = "help: mend that place first, or take another document";
            (format!("{}\n{help}", show::wrap(&why, 2)), NO)
        }
        Nothing::Failed(why) => (why, FAILED),
        Nothing::Unknown => {
            let what = "no values are found in it; JSON, X12, EDIFACT, XML and CSV are understood";
            let help = "help: --context media_type=text/csv says what it is";
            (format!("{HERE}: {what}\n{help}"), USE)
        }
    };
    Unfollowed { what, code }
}

fn unknown_field(asked: &str, fields: &[Field]) -> String {
    let near = fields
        .iter()
        .map(|field| (strsim::damerau_levenshtein(asked, &field.name), &field.name))
        .min()
        .map(|(_, name)| format!("\nhelp: did you mean `{name}`? Without --field all are shown"));
    format!("--field {asked}: the output has no such field{}", near.unwrap_or_default())
}

struct Report<'a> {
    options: &'a Options,
    opened: &'a Opened,
    traced: &'a Traced,
    took: Duration,
}

impl Report<'_> {
    fn asked(&self) -> impl Iterator<Item = &Field> {
        let asked = self.options.field.as_deref();
        self.traced.trace.fields.iter().filter(move |field| asked.is_none_or(|asked| field.name == asked))
    }

    /// Leaves with what came of them.
    fn leaves(&self) -> impl Iterator<Item = (&Leaf, &Effect)> {
        self.traced.leaves.iter().zip(&self.traced.trace.effects)
    }

    fn count(&self, which: fn(&Effect) -> bool) -> usize {
        self.traced.trace.effects.iter().filter(|effect| which(effect)).count()
    }

    fn text(&self) {
        let mapper = &self.opened.mapper;
        anstream::eprintln!(
            "{} {}   digest {}   {} values, {} runs, {}\n",
            mapper.name(),
            mapper.version(),
            mapper.digest().short(),
            self.traced.leaves.len(),
            self.traced.trace.runs,
            show::time(self.took)
        );
        let mut last = None;
        for field in self.asked().filter(|field| !field.sources.is_empty()) {
            if !field.kind.is_empty() && last != Some(field.event) {
                anstream::println!("{}, event {}", show::plain(&field.kind), field.event + 1);
                last = Some(field.event);
            }
            self.field(field);
        }
        let bare: Vec<_> = self.asked().filter(|field| field.sources.is_empty()).collect();
        if !bare.is_empty() {
            anstream::println!("from no value of the document alone: constants, context, tables");
            for field in bare {
                let event = if field.kind.is_empty() {
                    String::new()
                } else {
                    format!("   event {}", field.event + 1)
                };
                anstream::println!("  {}   {}{event}", show::plain(&field.name), quoted(&field.value));
            }
        }
        if self.options.field.is_some() {
            return;
        }
        self.section("never read", |effect| (*effect == Effect::Unread).then(String::new));
        self.section("gates: another value is refused, and none moved a field", |effect| match effect {
            Effect::Gate(why) => Some(why.clone()),
            _ => None,
        });
        self.section("decides whether another field is set", |effect| match effect {
            Effect::Adds(name) => Some(name.clone()),
            _ => None,
        });
        self.section("only a remark depends on it", |effect| (*effect == Effect::Remark).then(String::new));
        self.section("another value makes the mapper fail", |effect| match effect {
            Effect::Failed(why) => Some(why.clone()),
            _ => None,
        });
        let untried = self.count(|effect| *effect == Effect::Untried);
        if self.traced.leaves.len() == leaves::MOST {
            anstream::println!("! only the first {} values of the document were looked at", leaves::MOST);
        }
        if untried > 0 {
            anstream::println!(
                "! {untried} of {} values were not tried (--values {}, --seconds {}): the later ones of each kind",
                self.traced.leaves.len(),
                self.options.values,
                self.options.seconds
            );
        }
    }

    fn field(&self, field: &Field) {
        let begin = format!("  {}   {}", show::plain(&field.name), quoted(&field.value));
        let listed = if self.options.field.is_some() { usize::MAX } else { LISTED };
        for (number, source) in field.sources.iter().take(listed).enumerate() {
            let leaf = &self.traced.leaves[source.leaf];
            let says =
                if leaf.value == field.value { String::new() } else { format!("   {}", quoted(&leaf.value)) };
            let end = format!("←  {}{says}", place(leaf));
            if number > 0 {
                anstream::println!("      {end}");
            } else if begin.chars().count() + end.chars().count() + 3 > WIDTH {
                anstream::println!("{begin}\n      {end}");
            } else {
                anstream::println!("{begin}   {end}");
            }
        }
        if field.sources.len() > listed {
            anstream::println!(
                "      ←  and {} more (--field {} lists them)",
                field.sources.len() - listed,
                field.name
            );
        }
    }

    fn section(&self, title: &str, which: impl Fn(&Effect) -> Option<String>) {
        let mut lines = self.leaves().filter_map(|(leaf, effect)| Some((leaf, which(effect)?))).peekable();
        if lines.peek().is_some() {
            anstream::println!("{title}");
        }
        for (number, (leaf, why)) in lines.enumerate() {
            if number == SECTION {
                let rest = self.leaves().filter_map(|(_, effect)| which(effect)).count() - SECTION;
                anstream::println!("  and {rest} more (--json lists them)");
                break;
            }
            let why = if why.is_empty() { why } else { format!("   {}", clip(&why, REASON)) };
            let line = format!("  {}   {}{}", place(leaf), quoted(&leaf.value), show::plain(&why));
            anstream::println!("{}", show::wrap(&line, 6));
        }
    }

    fn json(&self) {
        for field in self.asked() {
            let sources: Vec<_> = field
                .sources
                .iter()
                .map(|source| {
                    let leaf = &self.traced.leaves[source.leaf];
                    json!({"location": leaf.location(), "value": leaf.value, "repeated": source.carries})
                })
                .collect();
            let mut line = json!({"field": field.name, "value": field.value, "sources": sources});
            if !field.kind.is_empty() {
                (line["event"], line["type"]) = (json!(field.event), json!(field.kind));
            }
            show::line("field", line);
        }
        if self.options.field.is_none() {
            for (leaf, effect) in self.leaves() {
                let mut line = json!({"location": leaf.location(), "value": leaf.value});
                let kind = match effect {
                    Effect::Read => continue,
                    Effect::Unread => "unread",
                    Effect::Untried => "untried",
                    Effect::Remark => "remark",
                    Effect::Adds(name) => {
                        line["field"] = json!(name);
                        "adds"
                    }
                    Effect::Gate(why) => {
                        line["why"] = json!(why);
                        "gate"
                    }
                    Effect::Failed(why) => {
                        line["why"] = json!(why);
                        "failed"
                    }
                };
                show::line(kind, line);
            }
        }
        let mapper = &self.opened.mapper;
        show::line(
            "result",
            json!({
                "mapper": mapper.name(), "version": mapper.version(), "digest": mapper.digest(),
                "values": self.traced.leaves.len(), "runs": self.traced.trace.runs,
                "read": self.count(|effect| *effect == Effect::Read),
                "unread": self.count(|effect| *effect == Effect::Unread),
                "gates": self.count(|effect| matches!(effect, Effect::Gate(_))),
                "untried": self.count(|effect| *effect == Effect::Untried),
                "whole": self.traced.leaves.len() < leaves::MOST,
            }),
        );
    }
}

/// A leaf's place for people: `ST*945*0001/LX[2]/W12/3, bytes 812–813`.
pub(super) fn place(leaf: &Leaf) -> String {
    place_of(&leaf.location())
}

/// The same of a location that knows its bytes.
pub(super) fn place_of(at: &Location) -> String {
    let (first, length) = (at.offset.unwrap_or(0), at.length.unwrap_or(0));
    let bytes =
        if length > 1 { format!("bytes {first}–{}", first + length - 1) } else { format!("byte {first}") };
    let path = if at.path.is_empty() { String::new() } else { format!("{}, ", at.path) };
    show::plain(&format!("{path}{bytes}"))
}

/// A value in quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    show::plain(&format!("\"{}\"", clip(text, SHOWN).replace('\n', "↵")))
}

fn clip(text: &str, most: usize) -> String {
    let mut rest = text.chars();
    let mut shown: String = rest.by_ref().take(most).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}
