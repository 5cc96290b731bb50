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
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
    types::ComponentItem,
};

use crate::words::{Digest, Document, MapperName, PartnerName};

mod cache;
mod call;
pub mod compile;
mod engine;
mod inspect;
mod limits;
mod manifest;
mod pool;
mod tables;
#[cfg(test)]
mod tests;
mod wire;

pub use call::{Call, Context, Failure, LogLine, Mapped, Ran, Recorded, Reject, Stage};
pub use inspect::{Inspection, Kind, LARGEST, Rejection};
pub use limits::{Ceiling, Limits, Usage, Which};
pub use manifest::{CONTRACT, Direction, Manifest, SECTION, with_manifest};
pub use tables::{TableError, Tables};

use call::{Desk, Order, Raw, State};
use pool::{Budget, Pool, Ticker};

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
    /// The host itself failed.
    #[error("the mapper host failed while it loaded the mapper")]
    Broken,
}

/// One engine, one linker, one pool of worker threads.
pub struct Host {
    desk: Arc<Desk>,
    linker: Linker<State>,
    pool: Pool,
    cache: Arc<cache::Cache>,
    compiler: compile::Compiler,
    compatibility: u64,
    loaded: Mutex<HashMap<Digest, Weak<Loaded>>>,
}

/// A mapper that is ready to be called; cheap to clone.
#[derive(Clone)]
pub struct Mapper(Arc<Loaded>);

pub(crate) struct Loaded {
    manifest: Manifest,
    digest: Digest,
    pre: InstancePre<State>,
    to_canonical: ComponentExportIndex,
    from_canonical: ComponentExportIndex,
}

impl Mapper {
    /// Its name.
    pub fn name(&self) -> &MapperName {
        &self.0.manifest.name
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
        let workers = settings.workers.clamp(1, 256);
        // The pool has a slot for each worker and one more, for a reset that is not finished when the next call begins.
        let engine = engine::serving(u32::try_from(workers + 1).expect("at most 257"))?;
        let linker = call::linker(&engine)?;
        let compatibility = engine::compatibility(&engine);
        let ticker = Ticker::start(engine.clone())?;
        let budget = Arc::new(Budget::new(settings.byte_budget));
        Ok(Arc::new(Self {
            desk: Arc::new(Desk { engine, ticker, budget }),
            linker,
            pool: Pool::start(workers, settings.queue_per_partner)?,
            cache: Arc::new(cache::Cache::open(&settings.cache)?),
            compiler: compile::Compiler::new(settings.compiler),
            compatibility,
            loaded: Mutex::default(),
        }))
    }

    /// Looks at a file without running or compiling anything of it.
    ///
    /// # Errors
    /// It is no WebAssembly that could be looked at. What else keeps it out is in [`Inspection::obstacles`].
    pub fn inspect(wasm: &[u8]) -> Result<Inspection, Rejection> {
        inspect::inspect(wasm)
    }

    /// Admits, compiles (or finds the compiled form) and type-checks a mapper. Runs no code of it.
    ///
    /// # Errors
    /// It is not admitted, or could not be compiled within the limits.
    pub async fn load(&self, wasm: Bytes) -> Result<Mapper, LoadError> {
        let looked = wasm.clone();
        let Inspection { manifest, mut obstacles, digest, .. } =
            aside(move || inspect::inspect(&looked)).await??;
        if !obstacles.is_empty() {
            return Err(obstacles.swap_remove(0).into());
        }
        let manifest = manifest.ok_or(Rejection::NoManifest)?;
        if let Some(known) = self.known(digest) {
            return Ok(known);
        }
        let code = self.code(self.cache_name(digest), &wasm).await?;
        let (linker, engine) = (self.linker.clone(), self.desk.engine.clone());
        let loaded = aside(move || prepare(&engine, &linker, &code, manifest, digest)).await??;
        let mapper = Mapper(Arc::new(loaded));
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, mapper| mapper.strong_count() > 0);
        all.insert(digest, Arc::downgrade(&mapper.0));
        Ok(mapper)
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
        self.submit(&partner, &limits, input_bytes, move |desk, abandoned| {
            let order = Order { tables, limits, ceiling, input_bytes, abandoned };
            let input = (wire::ContextIn::new(&context), wire::DocumentIn::new(&document));
            let index = loaded.to_canonical;
            // SAFETY: `prepare` checked the export at this index against these types.
            let mut raw =
                unsafe { desk.run::<wire::ToParams<'_>, wire::ToResult>(&loaded, index, order, input) };
            call::weighed(&mut raw, ceiling);
            let length = u64::try_from(document.content.len()).ok();
            let mut reader =
                wire::Reader { document: length, diagnostics_left: limits.diagnostics, dropped: 0 };
            raw.finish(|(value,)| match value {
                Ok(mapped) => reader.mapped(mapped),
                Err(diagnostics) => Err(reader.refused(diagnostics)),
            })
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
        self.submit(&partner, &limits, input_bytes, move |desk, abandoned| {
            let order = Order { tables, limits, ceiling, input_bytes, abandoned };
            let recorded = events.iter().map(wire::RecordedIn::new).collect();
            let input = (wire::ContextIn::new(&context), recorded);
            let index = loaded.from_canonical;
            // SAFETY: `prepare` checked the export at this index against these types.
            let mut raw =
                unsafe { desk.run::<wire::FromParams<'_>, wire::FromResult>(&loaded, index, order, input) };
            call::weighed(&mut raw, ceiling);
            let mut reader =
                wire::Reader { document: None, diagnostics_left: limits.diagnostics, dropped: 0 };
            raw.finish(|(value,)| match value {
                Ok(document) => wire::Reader::document(document),
                Err(diagnostics) => Err(reader.refused(diagnostics)),
            })
        })
        .await
    }

    /// Queues work for a worker and waits for its answer.
    async fn submit<T: Send + 'static>(
        &self,
        partner: &PartnerName,
        limits: &Limits,
        input_bytes: usize,
        work: impl FnOnce(&Desk, Arc<AtomicBool>) -> Result<Ran<T>, Failure> + Send + 'static,
    ) -> Result<Ran<T>, Failure> {
        if input_bytes > limits.input_bytes {
            let widen = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            let (allowed, used) = (widen(limits.input_bytes), widen(input_bytes));
            return Err(Failure::Limit { which: Which::Input, allowed, used });
        }
        let held = self.desk.budget.hold(input_bytes).ok_or(Failure::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let leaving = Leaving(Arc::new(AtomicBool::new(false)));
        let (abandoned, desk) = (Arc::clone(&leaving.0), Arc::clone(&self.desk));
        let job = Box::new(move || {
            // Nothing is run for a caller that went away while it waited.
            if !abandoned.load(Ordering::Relaxed) {
                let result = work(&desk, abandoned);
                drop(held);
                // The caller may have gone away by now; then nobody misses the answer.
                let _ = answer.send(result);
            }
        });
        self.pool.submit(partner, job).map_err(|pool::Full| Failure::Overloaded)?;
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

    /// The compiled form: kept, or made now.
    async fn code(&self, name: Digest, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        if let Some(code) = self.kept(name).await? {
            return Ok(code);
        }
        let turn = self.compiler.turn().await?;
        // Whoever had the turn before may have compiled the same.
        if let Some(code) = self.kept(name).await? {
            return Ok(code);
        }
        let code = self.compiler.compile(&turn, wasm).await?;
        let cache = Arc::clone(&self.cache);
        aside(move || {
            if let Err(error) = cache.put(name, &code) {
                tracing::warn!(%error, "a compiled mapper could not be kept; it will be compiled again");
            }
            code
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

impl<R> Raw<R> {
    fn finish<T>(self, read: impl FnOnce(R) -> Result<T, Failure>) -> Result<Ran<T>, Failure> {
        let value = self.value.and_then(read)?;
        Ok(Ran { value, usage: self.usage, log: self.log })
    }
}

/// Runs what would hold up the caller's thread on one that may block.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LoadError::Broken)
}

/// Makes compiled code ready to be called, and checks its exports once for all calls.
fn prepare(
    engine: &wasmtime::Engine,
    linker: &Linker<State>,
    code: &[u8],
    manifest: Manifest,
    digest: Digest,
) -> Result<Loaded, LoadError> {
    // SAFETY: the code comes from our own compiler, directly or from a file whose authentication code was checked.
    let component = unsafe { Component::deserialize(engine, code) }
        .map_err(|error| Rejection::Needs(clip(&error.root_cause().to_string(), 300)))?;
    let to_canonical = export::<wire::ToParams<'static>, wire::ToResult>(engine, &component, "to-canonical")?;
    let from_canonical =
        export::<wire::FromParams<'static>, wire::FromResult>(engine, &component, "from-canonical")?;
    export::<wire::AcknowledgeParams<'static>, wire::AcknowledgeResult>(engine, &component, "acknowledge")?;
    let pre = linker.instantiate_pre(&component).map_err(|error| {
        Rejection::Imports(format!("something of another type than the contract says ({})", chain(&error)))
    })?;
    Ok(Loaded { manifest, digest, pre, to_canonical, from_canonical })
}

fn export<P, R>(
    engine: &wasmtime::Engine,
    component: &Component,
    name: &'static str,
) -> Result<ComponentExportIndex, Rejection>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let missing = || Rejection::Exports(format!("`{name}`"));
    let types = component.component_type();
    let item = types.get_export(engine, name).ok_or_else(missing)?;
    let wrong = |what: String| Rejection::Type { export: name, what };
    let ComponentItem::ComponentFunc(function) = item.ty else {
        return Err(wrong("it is not a function".to_owned()));
    };
    if function.async_() {
        return Err(wrong("it is asynchronous".to_owned()));
    }
    function.typecheck::<P, R>(&types.instance_type()).map_err(|error| wrong(chain(&error)))?;
    component.get_export_index(None, name).ok_or_else(missing)
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
