//! A workbench: the production host and the canonical check, run on files of this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{
    Tools,
    build::{self, Built, Kept, Places},
    cases::CaseContext,
    locate::Found,
    progress::Progress,
};
use crate::{
    canonical::{self, Canon, Origin},
    mapper::{
        Call, Code, Context, Ended, Failure, Host, Limits, LoadError, Manifest, Mapped, Mapper, Ran,
        Recorded, Settings, Stage, Tables, outcomes,
    },
    policy::units,
    words::{ApiName, Diagnostic, Digest, Document, Draft, Event, IdSource, PartnerName, Time},
};

/// The partner that a mapper on the bench works for, if none is named.
const PARTNER: &str = "bench";
/// The number that a mapper gets where a context says nothing.
pub(super) fn default_number(name: &str) -> (String, String) {
    (name.to_owned(), CONTROL_NUMBER.to_owned())
}

/// A control number where none is given; long enough for an ISA13, short enough for a GS06.
const CONTROL_NUMBER: &str = "000000001";
/// The moment that a case is received at, if it names none: the same on every day.
const MOMENT: &str = "2026-01-15T12:00:00.000Z";
/// How often a call is tried that the machine was too busy for.
const TRIES: u32 = 5;
/// What takes longer says what it does.
const SHORT: Duration = Duration::from_millis(700);
/// Bytes that all calls together may hold.
const BUDGET: usize = 512 << 20;

/// Builds a folder and tells of each step.
type Builder<'a> = dyn FnMut(&Path, &dyn Fn(&str)) -> Result<Built, build::Error> + 'a;

/// Hosts mappers as the gateway does.
pub(super) struct Bench<'a> {
    host: Arc<Host>,
    canon: Canon,
    runtime: Runtime,
    ids: IdSource,
    tools: Tools<'a>,
}

/// A mapper on the bench.
pub(super) struct Opened {
    /// Ready to be called.
    pub mapper: Mapper,
    /// Its bytes.
    pub wasm: Bytes,
    /// Its folder, where it has one.
    pub folder: Option<PathBuf>,
}

/// Why a mapper does not come onto the bench.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It cannot be built.
    #[error("{0}")]
    Build(String),
    /// Its file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The host does not admit it.
    #[error("{}: {source}", path.display())]
    Load {
        /// The component.
        path: PathBuf,
        /// Why.
        source: LoadError,
    },
}

/// What goes into a call besides the document or the events.
#[derive(Clone)]
pub(super) struct Setting {
    partner: PartnerName,
    context: Context,
    tables: Arc<Tables>,
    api: ApiName,
    limits: Limits,
    /// Whether good units of a document are kept when others are rejected.
    pub partial: bool,
}

impl<'a> Bench<'a> {
    /// Starts the host.
    pub fn new(tools: Tools<'a>) -> anyhow::Result<Self> {
        Self::making(tools, Code::Fast)
    }

    /// Starts a host whose code is made for something else than traffic.
    pub fn making(tools: Tools<'a>, code: Code) -> anyhow::Result<Self> {
        Self::within(tools, code, Places::usual()?.compiled)
    }

    /// Starts a host with its folder of compiled mappers.
    pub fn within(tools: Tools<'a>, code: Code, cache: PathBuf) -> anyhow::Result<Self> {
        let settings = Settings {
            cache,
            compiler: env::current_exe()?,
            workers: 1,
            byte_budget: BUDGET,
            queue_per_partner: 64,
            bound_waste: false,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let host = Host::making(settings, code)?;
        Ok(Self { host, canon: Canon::new(), runtime, ids: IdSource::new(), tools })
    }

    /// Builds a folder, reads a file, and lets the host admit and compile it.
    pub fn open(&self, found: &Found) -> Result<Opened, Error> {
        match found {
            Found::Wasm(path) => self.load(path, None),
            Found::Folder(folder) => self.open_built(folder, &mut build::build),
        }
    }

    /// Builds a folder so that it is there soon.
    pub fn open_hastily(&self, folder: &Path, kept: &mut Kept) -> Result<Opened, Error> {
        self.open_built(folder, &mut |folder, progress| build::build_hastily(folder, kept, progress))
    }

    fn open_built(&self, folder: &Path, build: &mut Builder<'_>) -> Result<Opened, Error> {
        let progress = self.progress();
        let built = build(folder, &|line| progress.tell(line));
        progress.clear();
        let Built { wasm, .. } = built.map_err(|error| Error::Build(error.told(self.tools.verbose)))?;
        self.load(&wasm, Some(folder.to_owned()))
    }

    fn load(&self, path: &Path, folder: Option<PathBuf>) -> Result<Opened, Error> {
        let progress = self.progress();
        let wasm = fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let wasm = Bytes::from(wasm);
        let loaded = self.runtime.block_on(async {
            let mut loading = std::pin::pin!(self.host.load(wasm.clone()));
            if let Ok(loaded) = tokio::time::timeout(SHORT, &mut loading).await {
                return loaded;
            }
            progress.tell("compiling to machine code, once for this digest");
            loading.await
        });
        progress.clear();
        let mapper = loaded.map_err(|source| Error::Load { path: path.to_owned(), source })?;
        Ok(Opened { mapper, wasm, folder })
    }

    /// A second host of its own, and the same mapper on it.
    pub fn another(&self, opened: &Opened, code: Code) -> anyhow::Result<(Bench<'a>, Opened)> {
        let other = Bench::making(self.tools, code)?;
        let mapper = other.runtime.block_on(other.host.load(opened.wasm.clone()))?;
        let again = Opened { mapper, wasm: opened.wasm.clone(), folder: opened.folder.clone() };
        Ok((other, again))
    }

    /// Lets the host admit and compile a mapper that has no file.
    pub fn open_bytes(&self, wasm: Bytes) -> Result<Opened, LoadError> {
        let mapper = self.runtime.block_on(self.host.load(wasm.clone()))?;
        Ok(Opened { mapper, wasm, folder: None })
    }

    /// Maps a document to drafts.
    pub fn read_document(
        &self,
        mapper: &Mapper,
        setting: &Setting,
        document: Document,
    ) -> Result<Ran<Mapped>, Failure> {
        patiently(|| self.runtime.block_on(self.host.to_canonical(mapper, setting.call(), document.clone())))
    }

    /// Maps events to a document.
    pub fn write_document(
        &self,
        mapper: &Mapper,
        setting: &Setting,
        events: Vec<Event>,
    ) -> Result<Ran<Document>, Failure> {
        let events: Vec<_> = events.into_iter().map(|event| Recorded { event }).collect();
        patiently(|| self.runtime.block_on(self.host.from_canonical(mapper, setting.call(), events.clone())))
    }

    /// Asks for the acknowledgement of a document that ended so.
    pub fn acknowledge(
        &self,
        mapper: &Mapper,
        setting: &Setting,
        document: &Document,
        ended: &Ended<'_>,
    ) -> Result<Ran<Option<Document>>, Failure> {
        let outcomes = outcomes(document, ended);
        let mut call = setting.call();
        // As the gateway does: an acknowledgement goes the other way.
        std::mem::swap(&mut call.context.sender, &mut call.context.receiver);
        patiently(|| self.runtime.block_on(self.host.acknowledge(mapper, call.clone(), outcomes.clone())))
    }

    /// Checks drafts as the gateway does before it stores them.
    pub fn check(
        &self,
        drafts: Vec<Draft>,
        setting: &Setting,
        document: &[u8],
    ) -> Result<Vec<Event>, canonical::Error> {
        let origin = Origin {
            partner: &setting.partner,
            api: &setting.api,
            document: Digest::of(document),
            recorded_at: setting.context.received_at,
            zone: setting.context.zone.as_deref(),
        };
        self.canon.check(drafts, &origin, &self.ids, self.tools.random)
    }

    /// Shows how far something is.
    pub fn progress(&self) -> Progress<'a> {
        Progress::new(self.tools.clock)
    }

    /// Now, by the clock that was passed in.
    pub fn now(&self) -> Time {
        self.tools.clock.now()
    }

    /// A fresh message's id.
    pub fn message(&self) -> crate::words::MessageId {
        self.ids.message(self.tools.clock.now(), self.tools.random)
    }
}

impl Setting {
    /// The setting that a case or a command line describes; `now` where it names no moment.
    ///
    /// # Errors
    /// A value that the field cannot have, or a table that cannot be read.
    pub fn new(
        told: &CaseContext,
        manifest: &Manifest,
        tables: Option<&Path>,
        now: Option<Time>,
    ) -> Result<Self, String> {
        let partner = told.partner.as_deref().unwrap_or(PARTNER);
        let partner = PartnerName::new(partner).map_err(|error| format!("partner: {error}"))?;
        let time = |text: &str| -> Result<Time, String> {
            serde_json::from_value(Value::from(text))
                .map_err(|error| format!("received_at `{text}`: {error}"))
        };
        let received_at = match (&told.received_at, now) {
            (Some(text), _) => time(text)?,
            (None, Some(now)) => now,
            (None, None) => time(MOMENT)?,
        };
        let stage = match told.stage.as_deref() {
            None | Some("request") => Stage::Request,
            Some("answer") => Stage::Answer,
            Some(other) => return Err(format!("stage `{other}` is neither request nor answer")),
        };
        let mut control_numbers = told.control_numbers.0.clone();
        // A context that lists numbers lists all of them: a case may ask what happens where one is missing.
        if control_numbers.is_empty() {
            control_numbers = manifest.control_numbers.iter().map(|name| default_number(name)).collect();
        }
        let config = told
            .config
            .as_ref()
            .map_or_else(|| Bytes::from_static(b"{}"), |config| config.to_string().into());
        let context = Context {
            partner: partner.to_string(),
            sender: told.sender.clone(),
            receiver: told.receiver.clone(),
            operation: told.operation.clone(),
            version: told.version.clone(),
            stage,
            received_at,
            zone: told.zone.clone(),
            control_numbers,
            config,
        };
        let tables = tables.map_or_else(|| Ok(Tables::new()), read_tables)?;
        let api = ApiName::new(PARTNER).expect("the bench's name keeps the rule for names");
        let mut limits = Limits::default();
        if let Some(cpu) = &told.mapper_limits.cpu {
            limits.cpu = units::duration(cpu).map_err(|error| format!("mapper_limits.cpu: {error}"))?;
        }
        Ok(Self {
            partner,
            context,
            tables: Arc::new(tables),
            api,
            limits,
            partial: told.partial.unwrap_or(true),
        })
    }

    /// The same with so many times the CPU time.
    pub fn with_slack(&self, times: u32) -> Self {
        let mut slack = self.clone();
        slack.limits.cpu = slack.limits.cpu.saturating_mul(times);
        slack.limits.cpu_per_10_kib = slack.limits.cpu_per_10_kib.saturating_mul(times);
        slack
    }

    /// What the mapper may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The same for an API and its tables.
    pub fn within(self, api: ApiName, tables: Arc<Tables>) -> Self {
        Self { api, tables, ..self }
    }

    fn call(&self) -> Call {
        Call {
            partner: self.partner.clone(),
            context: self.context.clone(),
            tables: Arc::clone(&self.tables),
            limits: self.limits,
        }
    }
}

/// Calls again when the machine, not the mapper, was too slow: a laptop that compiles something beside it.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..TRIES {
        match call() {
            Err(Failure::TooLong | Failure::Overloaded) => {}
            other => return other,
        }
    }
    call()
}

/// What the canonical check has to say, each naming its event; the places are in the events' data.
pub(super) fn diagnostics(error: &canonical::Error) -> Vec<Diagnostic> {
    match error {
        canonical::Error::Broken(faults) => faults
            .iter()
            .map(|fault| {
                let message =
                    format!("{} (event {}): {}", fault.kind, fault.event + 1, fault.diagnostic.message);
                Diagnostic { message, ..fault.diagnostic.clone() }
            })
            .collect(),
        other => other.diagnostics(),
    }
}

/// Every CSV file of a folder as a table by its name. Columns whose header begins with `*` are the key; they come
/// first, and where none is marked the first column is.
fn read_tables(folder: &Path) -> Result<Tables, String> {
    let fail = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let entries = folder.read_dir().map_err(|error| fail(folder, &error))?;
    let mut tables = Tables::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| fail(&path, &error))?;
        let (header, rows) = text.split_once('\n').unwrap_or((&text, ""));
        let marked =
            header.trim_start_matches('\u{feff}').split(',').filter(|name| name.trim().starts_with('*'));
        let keys = marked.count().max(1);
        let plain = format!("{}\n{rows}", header.replace('*', ""));
        tables.from_csv(name, &plain, keys).map_err(|error| fail(&path, &error))?;
    }
    Ok(tables)
}

/// The media type of a file that goes in: by its extension, and by what the mapper says that it reads.
pub(super) fn media_type(file: &Path, reads: &[String]) -> String {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let guess = match extension.as_deref() {
        Some("json") => "application/json",
        Some("ndjson" | "jsonl") => "application/x-ndjson",
        Some("xml" | "idoc") => "application/xml",
        Some("csv") => "text/csv",
        Some("x12" | "edi") => "application/edi-x12",
        Some("edifact") => "application/edifact",
        _ => "application/octet-stream",
    };
    let suffix = guess.rsplit('/').next().map(|kind| format!("+{kind}")).unwrap_or_default();
    match reads {
        reads if reads.iter().any(|read| read == guess) => guess.to_owned(),
        [only] => only.clone(),
        reads => {
            reads.iter().find(|read| read.ends_with(&suffix)).cloned().unwrap_or_else(|| guess.to_owned())
        }
    }
}

/// The extension of a file that holds a document of this media type.
pub(super) fn extension(media_type: &str) -> &'static str {
    match media_type {
        "application/edi-x12" => "x12",
        "application/edifact" => "edifact",
        "text/csv" => "csv",
        json if json.ends_with("json") => "json",
        xml if xml.ends_with("xml") => "xml",
        _ => "txt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_media_type_follows_from_its_name_and_from_what_the_mapper_reads() {
        let guess = |file: &str, reads: &[&str]| {
            let reads: Vec<_> = reads.iter().map(|read| (*read).to_owned()).collect();
            media_type(Path::new(file), &reads)
        };
        assert_eq!(guess("in.x12", &["application/edi-x12"]), "application/edi-x12");
        assert_eq!(guess("in.edi", &["application/edi-x12"]), "application/edi-x12");
        assert_eq!(guess("in.json", &["application/vnd.acme+json", "text/csv"]), "application/vnd.acme+json");
        assert_eq!(guess("in.json", &["text/csv", "application/json"]), "application/json");
        assert_eq!(guess("in", &[]), "application/octet-stream");
    }

    #[test]
    fn tables_are_read_with_their_marked_keys() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("units.csv"), "*from,*kind,to\nCA,x,CT\n").unwrap();
        fs::write(root.path().join("scac.csv"), "code,name\nUPSN,UPS\n").unwrap();
        fs::write(root.path().join("notes.txt"), "").unwrap();
        assert_eq!(read_tables(root.path()).unwrap().names(), ["scac", "units"]);
        fs::write(root.path().join("twice.csv"), "code,name\nA,1\nA,2\n").unwrap();
        let error = read_tables(root.path()).unwrap_err();
        assert!(error.contains("twice.csv") && error.contains("line 3"), "{error}");
    }
}
