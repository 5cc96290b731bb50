//! The mapper host: everything that names wasmtime.
//!
//! A mapper is admitted by looking at it ([`Host::inspect`]), compiled in a child process, and kept compiled.
//! Every message gets a fresh instance on a worker thread of the host's own, under limits of memory, CPU, output
//! and time. A mapper sees its document, its context and the tables that it was granted, and nothing else.

use std::{
    collections::HashMap,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::words::{Digest, Document, MapperName, PartnerName};

mod cache;
mod call;
mod carried;
mod command;
pub mod compile;
mod component;
mod contract;
mod engine;
mod figures;
mod inspect;
mod limits;
mod manifest;
mod outcome;
mod pool;
mod sections;
mod tables;
#[cfg(test)]
mod tests;
pub mod trial;
mod waste;
mod wire;

pub use call::{Call, Context, Failure, LogLine, Mapped, Ran, Recorded, Reject, Stage, Trace};
pub use carried::{CASES, Cases, without_cases};
pub use engine::Code;
pub use figures::{MapperFigures, Spread};
pub use inspect::{Inspection, Kind, LARGEST, Rejection};
pub use limits::{Ceiling, Limits, Usage, Which};
pub use manifest::{CONTRACT, Direction, Manifest, SECTION, with_manifest};
pub use outcome::{Ended, Outcome, Part, outcomes};
pub use tables::{TableError, Tables, WrittenTable};
pub use trial::Tried;

use call::{Desk, Order, Raw, State};
use command::Command;
use component::Component;
use contract::{Contract, SERVED};
use figures::{Counters, Figures};
use pool::{Budget, Pool, Ticker};
use waste::Waste;

/// What a host is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder for compiled code; made with mode 0700 where it is not there.
    pub cache: PathBuf,
    /// The program whose hidden command [`compile::COMMAND`] runs [`compile::child_main`]: this executable.
    pub compiler: PathBuf,
    /// Worker threads, and with them calls at one time.
    pub workers: usize,
    /// Bytes that all calls together may hold: bodies, guest memory and output.
    pub byte_budget: usize,
    /// Calls of one partner that may wait.
    pub queue_per_partner: usize,
    /// Whether a partner whose messages meet limits or trap again and again has to wait.
    pub bound_waste: bool,
}

/// A host that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// wasmtime does not work here.
    #[error("the wasm engine could not be made: {0}")]
    Engine(String),
    /// A thread could not be started.
    #[error("a mapper thread could not be started: {0}")]
    Thread(String),
    /// The folder of compiled code cannot be used.
    #[error("the folder of compiled mappers `{}` cannot be used: {source}", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A mapper that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is not admitted: the first reason that was found.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It could not be compiled within the limits.
    #[error("the mapper could not be compiled: {0}")]
    Compile(String),
    /// Its own cases did not come to an end.
    #[error("the mapper's own cases could not be run: {0}")]
    Trial(String),
    /// The host itself failed.
    #[error("the mapper host failed while it loaded the mapper")]
    Broken,
}

/// One engine, a linker for each door, one pool of worker threads.
pub struct Host {
    desk: Arc<Desk>,
    linkers: Linkers,
    contracts: &'static [&'static Contract],
    pool: Pool,
    cache: Arc<cache::Cache>,
    compiler: compile::Compiler,
    compatibility: u64,
    loaded: Mutex<HashMap<Digest, Weak<Loaded>>>,
    figures: Figures,
    waste: Arc<Waste>,
}

/// What mappers may import, by the door that they come through.
#[derive(Clone)]
struct Linkers {
    components: wasmtime::component::Linker<State>,
    commands: wasmtime::Linker<State>,
}

/// A mapper that is ready to be called; cheap to clone.
#[derive(Clone)]
pub struct Mapper(Arc<Loaded>);

pub(crate) struct Loaded {
    manifest: Manifest,
    digest: Digest,
    door: Door,
    counters: Arc<Counters>,
}

/// The door that a mapper came through. Behind it both are the same.
enum Door {
    Component(Component),
    Command(Command),
}

impl Door {
    fn document_to_events(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        document: &Document,
    ) -> Raw<wire::ToResult> {
        match self {
            Self::Component(component) => {
                (component.contract.to_canonical)(component, desk, order, context, document)
            }
            Self::Command(command) => command.document_to_events(desk, order, context, document),
        }
    }

    fn events_to_document(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        events: &[Recorded],
    ) -> Raw<wire::FromResult> {
        match self {
            Self::Component(component) => {
                (component.contract.from_canonical)(component, desk, order, context, events)
            }
            Self::Command(command) => command.events_to_document(desk, order, context, events),
        }
    }

    fn outcomes_to_document(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        outcomes: &[Outcome],
    ) -> Raw<wire::AcknowledgeResult> {
        match self {
            Self::Component(component) => {
                (component.contract.acknowledge)(component, desk, order, context, outcomes)
            }
            Self::Command(command) => command.outcomes_to_document(desk, order, context, outcomes),
        }
    }
}

impl Mapper {
    /// Its name.
    pub fn name(&self) -> &MapperName {
        &self.0.manifest.name
    }

    /// Whether it offers this way of mapping.
    pub fn offers(&self, direction: Direction) -> bool {
        self.0.manifest.directions.contains(&direction)
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.0.manifest.version
    }

    /// Digest of its Wasm, manifest included.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }
}

impl fmt::Debug for Mapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} {}", self.name(), self.version(), self.digest().short())
    }
}

impl Host {
    /// Starts the threads and opens the folder of compiled code.
    ///
    /// # Errors
    /// The engine, a thread or the folder is not to be had.
    pub fn new(settings: Settings) -> Result<Arc<Self>, Error> {
        Self::making(settings, Code::Fast)
    }

    /// The same for whoever writes a mapper, with code that is made for something else than traffic.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn making(settings: Settings, code: Code) -> Result<Arc<Self>, Error> {
        Self::serving(settings, SERVED, code)
    }

    fn serving(
        settings: Settings,
        contracts: &'static [&'static Contract],
        code: Code,
    ) -> Result<Arc<Self>, Error> {
        let workers = settings.workers.clamp(1, 256);
        // The pool has a slot for each worker and one more, for a reset that is not finished when the next call begins.
        let engine = engine::serving(u32::try_from(workers + 1).expect("at most 257"), code)?;
        let fail = |error: wasmtime::Error| Error::Engine(error.to_string());
        let linkers = Linkers {
            components: component::linker(&engine, contracts).map_err(fail)?,
            commands: command::linker(&engine).map_err(fail)?,
        };
        let compatibility = engine::compatibility(&engine);
        let ticker = Ticker::start(engine.clone())?;
        let budget = Arc::new(Budget::new(settings.byte_budget));
        Ok(Arc::new(Self {
            desk: Arc::new(Desk { engine, ticker, budget, counts: code == Code::Counting }),
            linkers,
            contracts,
            pool: Pool::start(workers, settings.queue_per_partner)?,
            cache: Arc::new(cache::Cache::open(&settings.cache)?),
            compiler: compile::Compiler::new(settings.compiler, code),
            compatibility,
            loaded: Mutex::default(),
            figures: Figures::default(),
            waste: Arc::new(Waste::new(settings.bound_waste)),
        }))
    }

    /// Looks at a file without running or compiling anything of it.
    ///
    /// # Errors
    /// It is no WebAssembly that could be looked at. What else keeps it out is in [`Inspection::obstacles`].
    pub fn inspect(wasm: &[u8]) -> Result<Inspection, Rejection> {
        inspect::inspect(wasm, SERVED)
    }

    /// Admits, compiles (or finds the compiled form) and type-checks a mapper. Runs no code of it.
    ///
    /// # Errors
    /// It is not admitted, or could not be compiled within the limits.
    pub async fn load(&self, wasm: Bytes) -> Result<Mapper, LoadError> {
        let (looked, contracts) = (wasm.clone(), self.contracts);
        let Inspection { kind, manifest, mut obstacles, digest, .. } =
            aside(move || inspect::inspect(&looked, contracts)).await??;
        if !obstacles.is_empty() {
            return Err(obstacles.swap_remove(0).into());
        }
        let manifest = manifest.ok_or(Rejection::NoManifest)?;
        if let Some(known) = self.known(digest) {
            return Ok(known);
        }
        let counters = self.figures.of(manifest.name.as_str(), &manifest.version);
        let (code, compiled) = self.code(self.cache_name(digest), &wasm).await?;
        counters.loaded(compiled);
        let linkers = self.linkers.clone();
        let door = aside({
            let manifest = manifest.clone();
            move || prepare(&linkers, contracts, &code, kind, &manifest, digest)
        });
        let door = door.await??;
        let loaded = Loaded { manifest, digest, door, counters };
        let mapper = Mapper(Arc::new(loaded));
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, mapper| mapper.strong_count() > 0);
        all.insert(digest, Arc::downgrade(&mapper.0));
        Ok(mapper)
    }

    /// What was counted of each mapper and version that was loaded, at most a few hundred.
    pub fn figures(&self) -> Vec<MapperFigures> {
        self.figures.read()
    }

    /// Maps a document to canonical events.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn to_canonical(
        &self,
        mapper: &Mapper,
        call: Call,
        document: Document,
    ) -> Result<Ran<Mapped>, Failure> {
        // Path and query are bounded by the server; a body of exactly the limit is still within it.
        let input_bytes = document.content.len();
        let loaded = Arc::clone(&mapper.0);
        let Call { partner, context, tables, limits } = call;
        let ceiling = limits.for_input(input_bytes);
        self.submit(&mapper.0, &partner, &limits, input_bytes, move |desk, abandoned| {
            let order = Order { tables, limits, ceiling, input_bytes, abandoned };
            let mut raw = loaded.door.document_to_events(desk, order, &context, &document);
            call::weighed(&mut raw, ceiling);
            let usage = raw.usage;
            let length = u64::try_from(document.content.len()).ok();
            let dropped = raw.dropped;
            let mut reader = wire::Reader { document: length, diagnostics_left: limits.diagnostics, dropped };
            let result = raw.finish(|(value,)| match value {
                Ok(mapped) => reader.mapped(mapped),
                Err(diagnostics) => Err(reader.refused(diagnostics)),
            });
            (usage, result)
        })
        .await
    }

    /// Maps canonical events to a document.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn from_canonical(
        &self,
        mapper: &Mapper,
        call: Call,
        events: Vec<Recorded>,
    ) -> Result<Ran<Document>, Failure> {
        let input_bytes = events.iter().map(|recorded| recorded.event.data.len()).sum();
        let loaded = Arc::clone(&mapper.0);
        let Call { partner, context, tables, limits } = call;
        let ceiling = limits.for_input(input_bytes);
        self.submit(&mapper.0, &partner, &limits, input_bytes, move |desk, abandoned| {
            let order = Order { tables, limits, ceiling, input_bytes, abandoned };
            let mut raw = loaded.door.events_to_document(desk, order, &context, &events);
            call::weighed(&mut raw, ceiling);
            let usage = raw.usage;
            let dropped = raw.dropped;
            let mut reader = wire::Reader { document: None, diagnostics_left: limits.diagnostics, dropped };
            let result = raw.finish(|(value,)| match value {
                Ok(document) => wire::Reader::document(document),
                Err(diagnostics) => Err(reader.refused(diagnostics)),
            });
            (usage, result)
        })
        .await
    }

    /// Asks for the functional acknowledgement of a document whose parts ended so; none where there is none to give.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn acknowledge(
        &self,
        mapper: &Mapper,
        call: Call,
        outcomes: Vec<Outcome>,
    ) -> Result<Ran<Option<Document>>, Failure> {
        let input_bytes = outcomes.iter().map(Outcome::length).sum();
        let loaded = Arc::clone(&mapper.0);
        let Call { partner, context, tables, limits } = call;
        let ceiling = limits.for_input(input_bytes);
        self.submit(&mapper.0, &partner, &limits, input_bytes, move |desk, abandoned| {
            let order = Order { tables, limits, ceiling, input_bytes, abandoned };
            let mut raw = loaded.door.outcomes_to_document(desk, order, &context, &outcomes);
            call::weighed(&mut raw, ceiling);
            let usage = raw.usage;
            let dropped = raw.dropped;
            let mut reader = wire::Reader { document: None, diagnostics_left: limits.diagnostics, dropped };
            let result = raw.finish(|(value,)| match value {
                Ok(document) => document.map(wire::Reader::document).transpose(),
                Err(diagnostics) => Err(reader.refused(diagnostics)),
            });
            (usage, result)
        })
        .await
    }

    /// Queues work for a worker and waits for its answer.
    async fn submit<T: Send + 'static>(
        &self,
        mapper: &Arc<Loaded>,
        partner: &PartnerName,
        limits: &Limits,
        input_bytes: usize,
        work: impl FnOnce(&Desk, Arc<AtomicBool>) -> (Usage, Result<Ran<T>, Failure>) + Send + 'static,
    ) -> Result<Ran<T>, Failure> {
        // A call that never comes to its worker is counted here, every other one when it ends.
        let turned_away = |failure: Failure| {
            mapper.counters.ended(Some(&failure));
            failure
        };
        if input_bytes > limits.input_bytes {
            let widen = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            let (allowed, used) = (widen(limits.input_bytes), widen(input_bytes));
            return Err(turned_away(Failure::Limit { which: Which::Input, allowed, used }));
        }
        let held = self.desk.budget.hold(input_bytes).ok_or_else(|| turned_away(Failure::Overloaded))?;
        let (answer, answered) = oneshot::channel();
        let leaving = Leaving(Arc::new(AtomicBool::new(false)));
        let (abandoned, desk, loaded) = (Arc::clone(&leaving.0), Arc::clone(&self.desk), Arc::clone(mapper));
        let (waste, owner) = (Arc::clone(&self.waste), partner.clone());
        let job = Box::new(move || {
            // Nothing is run for a caller that went away while it waited.
            if !abandoned.load(Ordering::Relaxed) {
                let result = waste.bounded(&owner, loaded.digest, || {
                    let (usage, result) = work(&desk, abandoned);
                    loaded.counters.used(&usage);
                    (usage.cpu, result)
                });
                drop(held);
                loaded.counters.ended(result.as_ref().err());
                // The caller may have gone away by now; then nobody misses the answer.
                let _ = answer.send(result);
            }
        });
        self.pool.submit(partner, job).map_err(|pool::Full| turned_away(Failure::Overloaded))?;
        answered.await.unwrap_or(Err(Failure::Broken))
    }

    fn known(&self, digest: Digest) -> Option<Mapper> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.get(&digest).and_then(Weak::upgrade).map(Mapper)
    }

    fn cache_name(&self, digest: Digest) -> Digest {
        let mut name = digest.as_bytes().to_vec();
        name.extend_from_slice(&self.compatibility.to_le_bytes());
        Digest::of(&name)
    }

    /// The compiled form: kept, or made now and in how much time.
    async fn code(&self, name: Digest, wasm: &[u8]) -> Result<(Vec<u8>, Option<Duration>), LoadError> {
        if let Some(code) = self.kept(name).await? {
            return Ok((code, None));
        }
        let turn = self.compiler.turn().await?;
        // Whoever had the turn before may have compiled the same.
        if let Some(code) = self.kept(name).await? {
            return Ok((code, None));
        }
        let began = Instant::now();
        let code = self.compiler.compile(&turn, wasm).await?;
        let (cache, took) = (Arc::clone(&self.cache), began.elapsed());
        aside(move || {
            if let Err(error) = cache.put(name, &code) {
                tracing::warn!(%error, "a compiled mapper could not be kept; it will be compiled again");
            }
            (code, Some(took))
        })
        .await
    }

    async fn kept(&self, name: Digest) -> Result<Option<Vec<u8>>, LoadError> {
        let cache = Arc::clone(&self.cache);
        aside(move || cache.get(name)).await
    }
}

/// Tells a running call that its caller has gone.
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs what would hold up the caller's thread on one that may block.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LoadError::Broken)
}

/// Makes compiled code ready to be called.
fn prepare(
    linkers: &Linkers,
    contracts: &[&'static Contract],
    code: &[u8],
    kind: Kind,
    manifest: &Manifest,
    digest: Digest,
) -> Result<Door, LoadError> {
    // SAFETY: the code comes from our own compiler, directly or from a file whose authentication code was checked.
    Ok(match kind {
        Kind::Component => {
            let asked = contracts.iter().find(|contract| contract.name == manifest.contract);
            let contract = asked.ok_or(Rejection::NoManifest)?;
            Door::Component(unsafe { Component::prepare(&linkers.components, code, contract)? })
        }
        Kind::Command => {
            Door::Command(unsafe { Command::prepare(&linkers.commands, code, manifest, digest)? })
        }
        Kind::Module => return Err(Rejection::NotMapper.into()),
    })
}

fn chain(error: &wasmtime::Error) -> String {
    clip(&format!("{error:#}"), 300)
}

/// At most `most` bytes of `text`, cut between characters, with control characters replaced: what a guest writes
/// is shown to people and kept in logs.
pub(crate) fn clip(text: &str, most: usize) -> String {
    let mut clipped = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        // Bidirectional overrides can make a line read as something else than it is.
        let hidden =
            character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let shown = if hidden { ' ' } else { character };
        if clipped.len() + shown.len_utf8() > most {
            break;
        }
        clipped.push(shown);
    }
    clipped
}
