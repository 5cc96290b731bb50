//! `plugin run`: one document or some events through a mapper, and what the gateway would get.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, FAILED, NO, Tools, USE, acknowledge,
    bench::{self, Bench, Opened, Setting},
    cases::{self, CaseContext},
    complain,
    description::Direction,
    locate, near,
    place::{self, Place},
    show, written,
};
use crate::{
    canonical,
    mapper::{self, Failure, Limits, Manifest, Mapped, Ran, Usage},
    words::{Diagnostic, Document, Location},
};

/// What `plugin run` is told.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A name in `plugins/`, a mapper's folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// The document; or events in JSON, as the cases have them or as this command prints them.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which way to map; without it what the mapper offers and what is in the file decide.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// What the mapper is told: partner, sender, receiver, operation, version, stage, received_at, zone, media_type,
    /// partial, a control number by its name, or config.KEY.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A folder of cross-reference tables, NAME.csv each; columns marked with `*` are the key.
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// JSON lines on standard output: event, document, acknowledgement, reject, diagnostic, and last receipt.
    #[arg(long)]
    json: bool,
}

/// Runs it and gives the exit code.
pub(super) fn run(args: &RunArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
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
    let asked = Asked { direction: args.direction, context: &args.context, tables: args.tables.as_deref() };
    let given = match Settled::read(&bench, &opened, &file, &content, asked) {
        Ok(given) => given,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let document = given.document(&opened, &file, content);
    let Settled { setting, direction, .. } = given;
    let shown = Shown {
        json: args.json,
        opened: &opened,
        file: args.file.display().to_string(),
        document: document.clone(),
        direction,
        limits: setting.limits(),
    };
    match direction {
        Direction::FromCanonical => from_canonical(&bench, &opened, &setting, &document.content, &shown),
        Direction::ToCanonical => to_canonical(&bench, &opened, &setting, document, &shown),
        Direction::Acknowledge => acknowledge(&bench, &opened, &setting, document, &shown),
    }
}

/// What the command line says of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub direction: Option<Direction>,
    pub context: &'a [String],
    pub tables: Option<&'a Path>,
}

/// What a file is mapped with: by the command line, what stands beside the file, and what is in it.
pub(super) struct Settled {
    pub told: CaseContext,
    pub setting: Setting,
    pub direction: Direction,
}

impl Settled {
    /// Settles it.
    pub fn read(
        bench: &Bench<'_>,
        opened: &Opened,
        file: &Path,
        content: &[u8],
        asked: Asked<'_>,
    ) -> Result<Self, String> {
        let manifest = opened.mapper.manifest();
        let told = told(asked.context, file, manifest)?;
        let setting = Setting::new(&told, manifest, asked.tables, Some(bench.now()))?;
        let direction = asked.direction.or(told.direction).unwrap_or_else(|| direction(manifest, content));
        Ok(Self { told, setting, direction })
    }

    /// The file as a document of its media type.
    pub fn document(&self, opened: &Opened, file: &Path, content: Bytes) -> Document {
        let manifest = opened.mapper.manifest();
        let media_type = match self.direction {
            Direction::FromCanonical => "application/json".to_owned(),
            _ => self.told.media_type.clone().unwrap_or_else(|| bench::media_type(file, &manifest.reads)),
        };
        Document { media_type, content, parameters: self.told.parameters.0.clone() }
    }
}

/// The one way that the mapper offers; of two, the one that fits what is in the file.
fn direction(manifest: &Manifest, content: &[u8]) -> Direction {
    let offers = |way: mapper::Direction| manifest.directions.contains(&way);
    let events = || match serde_json::from_slice::<Value>(content) {
        Ok(value) => written::is_events(&value) || value.get("specversion").is_some(),
        Err(_) => content.starts_with(b"{\"kind\":\"event\""),
    };
    let only_out = offers(mapper::Direction::FromCanonical) && !offers(mapper::Direction::ToCanonical);
    let both = offers(mapper::Direction::FromCanonical);
    if only_out || both && events() { Direction::FromCanonical } else { Direction::ToCanonical }
}

/// The context of a case's own file, and over it what the command line says.
fn told(words: &[String], file: &Path, manifest: &Manifest) -> Result<CaseContext, String> {
    let beside = file.with_file_name("context.json");
    let is_case = file.file_stem().is_some_and(|stem| stem == "in") && beside.exists();
    let mut told = CaseContext::default();
    if is_case {
        let text = cases::read_file(&beside).map_err(|error| error.to_string())?;
        told = serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", beside.display()))?;
        anstream::eprintln!("context from {}", near(&beside));
    }
    for word in words {
        let (key, value) =
            word.split_once('=').ok_or_else(|| format!("--context {word}: KEY=VALUE is needed"))?;
        tell(&mut told, key, value, manifest)?;
    }
    Ok(told)
}

const KEYS: [&str; 10] = [
    "partner",
    "sender",
    "receiver",
    "operation",
    "version",
    "stage",
    "received_at",
    "zone",
    "media_type",
    "partial",
];

fn tell(told: &mut CaseContext, key: &str, value: &str, manifest: &Manifest) -> Result<(), String> {
    let text = value.to_owned();
    match key {
        "partner" => told.partner = Some(text),
        "sender" => told.sender = text,
        "receiver" => told.receiver = text,
        "operation" => told.operation = text,
        "version" => told.version = text,
        "stage" => told.stage = Some(text),
        "received_at" => told.received_at = Some(text),
        "zone" => told.zone = Some(text),
        "media_type" => told.media_type = Some(text),
        "partial" => {
            let wrong = || format!("--context partial={value}: true or false is needed");
            told.partial = Some(value.parse().map_err(|_| wrong())?);
        }
        number if manifest.control_numbers.iter().any(|known| known == number) => {
            if told.control_numbers.0.is_empty() {
                told.control_numbers.0 =
                    manifest.control_numbers.iter().map(|name| bench::default_number(name)).collect();
            }
            told.control_numbers.0.retain(|(known, _)| known != number);
            told.control_numbers.0.push((number.to_owned(), text));
        }
        _ => match key.strip_prefix("config.") {
            Some(name) if !name.is_empty() => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
                let config = told.config.get_or_insert_with(|| json!({}));
                let map = config.as_object_mut().ok_or("the configuration of the case is not an object")?;
                map.insert(name.to_owned(), value);
            }
            _ => {
                let numbers = manifest.control_numbers.iter().map(String::as_str);
                let known: Vec<_> = KEYS.into_iter().chain(numbers).chain(["config.KEY"]).collect();
                return Err(format!("--context {key}: unknown key; known are {}", known.join(", ")));
            }
        },
    }
    Ok(())
}

struct Shown<'a> {
    json: bool,
    opened: &'a Opened,
    /// The file, as it was named.
    file: String,
    document: Document,
    direction: Direction,
    limits: Limits,
}

fn to_canonical(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    document: Document,
    shown: &Shown<'_>,
) -> anyhow::Result<u8> {
    let content = document.content.clone();
    let read = bench.read_document(&opened.mapper, setting, document.clone());
    let answer = acknowledge::after(bench, opened, setting, &document, read.as_ref().map(|ran| &ran.value));
    let Ran { value: Mapped { drafts, rejects, diagnostics }, usage, log } = match read {
        Ok(ran) => ran,
        Err(failure) => {
            shown.answer(answer);
            return Ok(shown.failure(&failure, "to-canonical", content.len()));
        }
    };
    shown.log(&log);
    for reject in &rejects {
        shown.reject(reject);
    }
    shown.diagnostics(&diagnostics);
    let count = drafts.len();
    let events = match bench.check(drafts, setting, &content) {
        Ok(events) => events,
        Err(error) => {
            shown.broken(&error);
            shown.receipt("to-canonical", "not-canonical", Some(&usage), usage.input_bytes, 0);
            return Ok(NO);
        }
    };
    let message = bench.message();
    for event in &events {
        let cloud_event = canonical::cloud_event(event, message);
        if shown.json {
            show::line("event", json!({"event": cloud_event}));
        } else {
            let keys: crate::words::Pairs =
                event.order_keys.iter().map(|key| (key.kind.clone(), key.value.clone())).collect();
            let time = event.occurred_at.as_deref().unwrap_or("no time");
            anstream::println!(
                "{}   {}   {}",
                show::plain(&event.kind),
                show::keys(&keys),
                show::plain(time)
            );
            let data = serde_json::to_string_pretty(&cloud_event["data"])?;
            anstream::println!("  {}\n", show::plain(&data).replace('\n', "\n  "));
        }
    }
    shown.answer(answer);
    shown.receipt("to-canonical", "accepted", Some(&usage), usage.input_bytes, count);
    Ok(if rejects.is_empty() { DONE } else { NO })
}

/// The acknowledgement alone, as it would be sent.
fn acknowledge(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    document: Document,
    shown: &Shown<'_>,
) -> anyhow::Result<u8> {
    let length = document.content.len();
    let read = bench.read_document(&opened.mapper, setting, document.clone());
    let read = read.map(|ran| ran.value);
    match acknowledge::ask(bench, opened, setting, &document, read.as_ref()) {
        Err(failure) => Ok(shown.failure(&failure, "acknowledge", length)),
        Ok(Ran { value, usage, log }) => {
            shown.log(&log);
            match value {
                Some(answer) if shown.json => show::line("acknowledgement", show::document(&answer)),
                Some(answer) => print_document(&answer)?,
                None => {
                    anstream::eprintln!("no acknowledgement: there is nothing in the document to answer to")
                }
            }
            shown.receipt("acknowledge", "accepted", Some(&usage), usage.input_bytes, 0);
            Ok(DONE)
        }
    }
}

fn from_canonical(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    content: &[u8],
    shown: &Shown<'_>,
) -> anyhow::Result<u8> {
    let drafts = match written::drafts(content) {
        Ok(drafts) => drafts,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let count = drafts.len();
    let events = match bench.check(drafts, setting, content) {
        Ok(events) => events,
        Err(error) => {
            shown.broken(&error);
            return Ok(NO);
        }
    };
    match bench.write_document(&opened.mapper, setting, events) {
        Err(failure) => Ok(shown.failure(&failure, "from-canonical", content.len())),
        Ok(Ran { value: document, usage, log }) => {
            shown.log(&log);
            if shown.json {
                show::line("document", show::document(&document));
            } else {
                print_document(&document)?;
            }
            shown.receipt("from-canonical", "accepted", Some(&usage), usage.input_bytes, count);
            Ok(DONE)
        }
    }
}

/// Prints a document as it is into a file or pipe, and without control characters at a terminal.
fn print_document(document: &Document) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        let text = String::from_utf8_lossy(&document.content);
        writeln!(out, "{}", show::plain(&text.replace("\r\n", "\n")))?;
    } else {
        out.write_all(&document.content)?;
        out.flush()?;
    }
    Ok(())
}

impl Shown<'_> {
    fn failure(&self, failure: &Failure, direction: &str, input_bytes: usize) -> u8 {
        let outcome = show::outcome(failure);
        match failure {
            Failure::Refused(diagnostics) => {
                self.diagnostics(diagnostics);
                self.receipt(direction, outcome, None, input_bytes, 0);
                NO
            }
            other => {
                if self.json {
                    let (code, message) = (outcome, other.to_string());
                    let mut line =
                        json!({"severity": "error", "code": code, "message": message, "location": null});
                    if let Failure::Trapped { trace, .. } = other {
                        let log: Vec<_> = trace.log.iter().map(|line| line.message.as_str()).collect();
                        (line["trace"], line["log"]) = (json!(trace.frames), json!(log));
                    }
                    show::line("diagnostic", line);
                } else {
                    complain(&show::failure_line(other), FAILED);
                }
                self.receipt(direction, outcome, None, input_bytes, 0);
                FAILED
            }
        }
    }

    /// What the sender would be answered; none where the mapper writes no acknowledgements.
    fn answer(&self, answer: Option<Result<Ran<Option<Document>>, Failure>>) {
        match answer {
            Some(Ok(Ran { value: Some(document), .. })) if self.json => {
                show::line("acknowledgement", show::document(&document));
            }
            Some(Ok(Ran { value: Some(document), .. })) => {
                let text = String::from_utf8_lossy(&document.content).replace("\r\n", "\n");
                anstream::println!("acknowledgement   {}", show::plain(&document.media_type));
                anstream::println!("  {}\n", show::plain(text.trim_end()).replace('\n', "\n  "));
            }
            Some(Err(failure)) => {
                anstream::eprintln!("no acknowledgement: {}", show::failure_line(&failure));
            }
            Some(Ok(Ran { value: None, .. })) | None => {}
        }
    }

    fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for found in diagnostics {
            self.diagnostic(found, found.at.as_ref().and_then(|at| self.place(at)));
        }
    }

    fn diagnostic(&self, found: &Diagnostic, place: Option<Place>) {
        if self.json {
            return show::line("diagnostic", place::resolved(found, place.as_ref()));
        }
        match (&found.at, place) {
            (Some(at), Some(place)) => {
                let excerpt = place::excerpt(&self.file, &self.document.content, at, &place);
                anstream::eprintln!("{}\n{}", show::headline(found), show::plain(&excerpt));
            }
            _ => anstream::eprintln!("{}", show::diagnostic_line(found)),
        }
    }

    /// Where a location is in the file.
    fn place(&self, at: &Location) -> Option<Place> {
        let Document { media_type, content, .. } = &self.document;
        match self.direction {
            Direction::FromCanonical => place::find_in_events(content, at),
            _ => place::find(content, media_type, at),
        }
    }

    fn reject(&self, reject: &mapper::Reject) {
        if self.json {
            let resolved = |found: &Diagnostic| {
                place::resolved(found, found.at.as_ref().and_then(|at| self.place(at)).as_ref())
            };
            let diagnostics: Vec<_> = reject.diagnostics.iter().map(resolved).collect();
            return show::line(
                "reject",
                json!({"unit": reject.unit, "location": reject.at, "diagnostics": diagnostics}),
            );
        }
        anstream::eprintln!("rejected {}", show::plain(&reject.unit));
        self.diagnostics(&reject.diagnostics);
    }

    /// What the canonical check refuses: of the file's own events with the place, of the mapper's without.
    fn broken(&self, error: &canonical::Error) {
        let ours = self.direction == Direction::FromCanonical;
        if !self.json {
            let whose = if ours { "is in the file" } else { "the mapper gave" };
            anstream::eprintln!("error: the canonical check refuses what {whose}");
        }
        let events: Vec<_> = match error {
            canonical::Error::Broken(faults) => faults.iter().map(|fault| Some(fault.event)).collect(),
            _ => Vec::new(),
        };
        for (number, found) in bench::diagnostics(error).iter().enumerate() {
            let event = events.get(number).copied().flatten().filter(|_| ours);
            let place = event
                .zip(found.at.as_ref())
                .and_then(|(event, at)| place::find_in_event(&self.document.content, event, at));
            self.diagnostic(found, place);
        }
    }

    fn log(&self, log: &[mapper::LogLine]) {
        for line in log {
            anstream::eprintln!("log: {}", show::plain(&line.message));
        }
    }

    fn receipt(
        &self,
        direction: &str,
        outcome: &str,
        usage: Option<&Usage>,
        input_bytes: usize,
        events: usize,
    ) {
        let mapper = &self.opened.mapper;
        let limits = self.limits;
        let ceiling = limits.for_input(input_bytes);
        if self.json {
            let mut value = json!({
                "mapper": mapper.name(), "version": mapper.version(), "digest": mapper.digest(),
                "direction": direction, "outcome": outcome, "events": events,
                "usage": usage.map(show::usage),
                "limits": {
                    "cpu_us": u64::try_from(ceiling.cpu.as_micros()).unwrap_or(u64::MAX),
                    "memory_bytes": limits.memory_bytes, "input_bytes": limits.input_bytes,
                    "output_bytes": ceiling.output_bytes,
                },
            });
            if let (None, Some(map)) = (usage, value.as_object_mut()) {
                map.remove("usage");
            }
            return show::line("receipt", value);
        }
        let used = usage.map(|used| {
            format!(
                "   {} of {} CPU   {} of memory",
                show::time(used.cpu),
                show::time(ceiling.cpu),
                show::memory(used.memory_bytes)
            )
        });
        anstream::eprintln!(
            "{outcome}   {} {}   {events} {}{}   digest {}",
            mapper.name(),
            mapper.version(),
            if events == 1 { "event" } else { "events" },
            used.unwrap_or_default(),
            mapper.digest().short()
        );
    }
}
