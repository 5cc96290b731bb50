//! The policies in force: one pointer that a reload or a new mapper replaces, and the mappers that are live.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Mutex as AsyncMutex, watch};

use super::{
    Checked, Source,
    built::{Snapshot, Workshop, build},
    check,
};
use crate::{
    contract::Schema,
    deliver::Plan,
    mapper::{Host, Mapper},
    observe::Metrics,
    words::{Clock, Digest, MapperName, Revision},
};

/// What is in force, and how it changes. A message takes `now()` once and keeps it.
pub struct Policies {
    current: ArcSwap<Snapshot>,
    plan: watch::Sender<Arc<dyn Plan>>,
    workshop: Workshop,
    store: PathBuf,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// Why the newest folder or mapper is not in force; none if it is.
    refused: Mutex<Option<String>>,
    /// One change at a time.
    state: AsyncMutex<State>,
    shown: Mutex<Vec<LiveMapper>>,
}

struct State {
    checked: Checked,
    source: Digest,
    mappers: BTreeMap<MapperName, Mapper>,
}

/// A mapper that serves now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveMapper {
    /// Its name.
    pub name: MapperName,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
}

/// What a push changed.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// What is live now.
    pub live: LiveMapper,
    /// What was live before.
    pub before: Option<LiveMapper>,
    /// The revision in force now.
    pub revision: Revision,
    /// Microseconds from the compiled mapper to serving: building the snapshot and swapping the pointer.
    pub took_micros: u64,
}

/// Why policies cannot take force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read.
    #[error(transparent)]
    Read(#[from] super::ReadError),
    /// The files are wrong; the report says where.
    #[error("{0}")]
    Check(String),
    /// The files are right, but something that they name is not there.
    #[error("{}", .0.join("\n"))]
    Build(Vec<String>),
    /// A mapper of the store cannot be used.
    #[error("mapper {}: {what}", path.display())]
    Mapper {
        /// Its file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

/// Reads and checks a folder.
///
/// # Errors
/// It cannot be read, or its files are wrong.
pub fn read_checked(folder: &Path, clock: &dyn Clock) -> Result<(Source, Checked), Error> {
    let source = super::read(folder)?;
    let (checked, report) = check(&source, clock.now(), &compiles);
    let shown = || Error::Check(report.render(&folder.to_string_lossy(), false));
    checked.map(|checked| (source, checked)).ok_or_else(shown)
}

/// Compiles a schema as serving would.
///
/// # Errors
/// Why it is none.
pub fn compiles(path: &str, text: &str) -> Result<(), String> {
    Schema::compile(text, path).map(drop).map_err(|error| error.to_string())
}

impl Policies {
    /// Puts the checked files into force with the mappers of `store` (`<data>/mappers`).
    ///
    /// # Errors
    /// A mapper cannot be used, or something that the files name is not there.
    pub async fn start(
        source: &Source,
        checked: Checked,
        workshop: Workshop,
        store: PathBuf,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, Error> {
        let mappers = load_all(&workshop.host, &store).await?;
        let snapshot = build(&checked, revision(source.digest, &mappers), &mappers, &workshop);
        let snapshot = Arc::new(snapshot.map_err(Error::Build)?);
        let plan: Arc<dyn Plan> = Arc::clone(&snapshot) as Arc<dyn Plan>;
        let shown = Mutex::new(shown(&mappers));
        Ok(Arc::new(Self {
            current: ArcSwap::new(snapshot),
            plan: watch::Sender::new(plan),
            workshop,
            store,
            clock,
            metrics,
            refused: Mutex::default(),
            state: AsyncMutex::new(State { checked, source: source.digest, mappers }),
            shown,
        }))
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What is in force, for deliveries.
    pub fn plan(&self) -> watch::Receiver<Arc<dyn Plan>> {
        self.plan.subscribe()
    }

    /// Why the newest folder or mapper is not in force.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mappers that serve now.
    pub fn mappers(&self) -> Vec<LiveMapper> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the folder again. A folder that is wrong changes nothing.
    ///
    /// # Errors
    /// Why what was in force stays.
    pub async fn reload(&self) -> Result<Revision, Error> {
        let mut state = self.state.lock().await;
        let reloaded = self.try_reload(&mut state);
        self.note(reloaded.as_ref().err().map(ToString::to_string));
        reloaded
    }

    fn try_reload(&self, state: &mut State) -> Result<Revision, Error> {
        let (source, checked) = read_checked(&self.workshop.folder, &*self.clock)?;
        if source.digest == state.source {
            return Ok(self.now().revision.clone());
        }
        let snapshot =
            build(&checked, revision(source.digest, &state.mappers), &state.mappers, &self.workshop);
        let snapshot = snapshot.map_err(Error::Build)?;
        (state.checked, state.source) = (checked, source.digest);
        Ok(self.publish(snapshot))
    }

    /// Makes a mapper live: admitted and compiled first, then stored, then swapped in by one pointer.
    ///
    /// # Errors
    /// Why what was live stays.
    pub async fn push_mapper(&self, wasm: Bytes) -> Result<Pushed, String> {
        let mapper = self.workshop.host.load(wasm.clone()).await.map_err(|error| error.to_string())?;
        let mut state = self.state.lock().await;
        let started = std::time::Instant::now();
        let mut mappers = state.mappers.clone();
        let before = mappers.insert(mapper.name().clone(), mapper.clone());
        let snapshot = build(&state.checked, revision(state.source, &mappers), &mappers, &self.workshop);
        let snapshot = snapshot.map_err(|wrong| wrong.join("\n"))?;
        let built_in = started.elapsed();
        let (store, name) = (self.store.clone(), mapper.name().clone());
        let kept = tokio::task::spawn_blocking(move || keep(&store, &name, &wasm)).await;
        let kept = kept.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        kept.map_err(|error| format!("the mapper could not be stored: {error}"))?;
        let started = std::time::Instant::now();
        state.mappers = mappers;
        let mut revision = self.publish(snapshot);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown(&state.mappers);
        let took_micros = u64::try_from((built_in + started.elapsed()).as_micros()).unwrap_or(u64::MAX);
        tracing::info!(mapper = %mapper.name(), version = mapper.version(), %revision, "mapper live");
        // Files that were refused because this mapper was not here would otherwise wait for their next change.
        if self.refused().is_some() {
            let reloaded = self.try_reload(&mut state);
            self.note(reloaded.as_ref().err().map(ToString::to_string));
            if let Ok(reloaded) = reloaded {
                tracing::info!(before = %revision, revision = %reloaded, "policies in force");
                revision = reloaded;
            }
        }
        Ok(Pushed { live: live(&mapper), before: before.as_ref().map(live), revision, took_micros })
    }

    fn publish(&self, snapshot: Snapshot) -> Revision {
        let snapshot = Arc::new(snapshot);
        let revision = snapshot.revision.clone();
        self.current.store(Arc::clone(&snapshot));
        self.plan.send_replace(snapshot);
        self.metrics.reloads.inc();
        revision
    }

    fn note(&self, why: Option<String>) {
        if why.is_some() {
            self.metrics.refused_reloads.inc();
        }
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// Copies a mapper into a store, whole or not at all.
///
/// # Errors
/// The store cannot be written.
pub fn keep(store: &Path, name: &MapperName, wasm: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(store)?;
    let mut file = tempfile::NamedTempFile::new_in(store)?;
    std::io::Write::write_all(&mut file, wasm)?;
    file.as_file().sync_all()?;
    file.persist(store.join(format!("{name}.wasm"))).map_err(|error| error.error)?;
    std::fs::File::open(store)?.sync_all()
}

async fn load_all(host: &Arc<Host>, store: &Path) -> Result<BTreeMap<MapperName, Mapper>, Error> {
    let mut mappers = BTreeMap::new();
    let mut files: Vec<PathBuf> = match std::fs::read_dir(store) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "wasm")) {
        let fail = |what: String| Error::Mapper { path: path.clone(), what };
        let wasm = std::fs::read(&path).map_err(|error| fail(error.to_string()))?;
        let mapper = host.load(wasm.into()).await.map_err(|error| fail(error.to_string()))?;
        mappers.insert(mapper.name().clone(), mapper);
    }
    Ok(mappers)
}

/// The hash of all that is in force: the files and the mappers.
fn revision(source: Digest, mappers: &BTreeMap<MapperName, Mapper>) -> Revision {
    let mut text = source.to_string();
    for mapper in mappers.values() {
        text.push_str(&format!("\n{} {}", mapper.name(), mapper.digest()));
    }
    Revision::new(Digest::of(text.as_bytes()))
}

fn live(mapper: &Mapper) -> LiveMapper {
    LiveMapper { name: mapper.name().clone(), version: mapper.version().to_owned(), digest: mapper.digest() }
}

fn shown(mappers: &BTreeMap<MapperName, Mapper>) -> Vec<LiveMapper> {
    mappers.values().map(live).collect()
}
