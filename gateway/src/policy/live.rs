//! The policies in force: one pointer that a reload or a new mapper replaces, and the mappers that are live.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use super::{
    Canary, Checked, Source,
    built::{Snapshot, Workshop, build},
    check, lock,
    mappers::{LiveMapper, Mappers, StoredMapper, canaries, live, load_live, stored},
    registry::{self, Damage, Registry},
};
use crate::{
    audit,
    contract::Schema,
    deliver::Plan,
    mapper::Mapper,
    observe::Metrics,
    words::{Clock, Digest, MapperName, Revision},
};

/// What is in force, and how it changes. A message takes `now()` once and keeps it.
pub struct Policies {
    current: ArcSwap<Snapshot>,
    plan: watch::Sender<Arc<dyn Plan>>,
    pub(super) workshop: Workshop,
    pub(super) clock: Arc<dyn Clock>,
    audit: Arc<audit::Log>,
    metrics: Arc<Metrics>,
    /// Why the newest folder or mapper is not in force; none if it is.
    refused: Mutex<Option<String>>,
    /// One change at a time.
    pub(super) state: AsyncMutex<State>,
    shown: Mutex<Shown>,
    /// Rings when a candidate takes itself back.
    pub(super) bell: Arc<Notify>,
}

/// What the audit file says of a reload that somebody asked for.
pub(super) struct Said<'a> {
    pub(super) by: &'a str,
    pub(super) what: String,
    pub(super) of: String,
}

pub(super) struct State {
    pub(super) checked: Checked,
    pub(super) source: Digest,
    pub(super) mappers: Mappers,
    pub(super) registry: Registry,
    /// Earlier generations that are loaded.
    pub(super) ready: BTreeMap<Digest, Mapper>,
}

/// What is asked for without waiting for a change that is under way.
struct Shown {
    live: Vec<LiveMapper>,
    stored: Vec<StoredMapper>,
    canaries: BTreeMap<MapperName, Arc<Canary>>,
    damage: Vec<Damage>,
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
    /// What is live could not be made durable.
    #[error("the mapper store: {0}")]
    Store(#[from] registry::Error),
    /// What is not written down does not take force.
    #[error("the audit file could not be written: {0}")]
    Audit(std::io::Error),
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
    /// Puts the checked files into force with the live mappers of the registry. One that is damaged costs what is
    /// bound to it, and is named in the log and by [`Policies::damage`].
    ///
    /// # Errors
    /// Something that the files name is not there, or the audit file cannot be written.
    pub async fn start(
        source: &Source,
        checked: Checked,
        workshop: Workshop,
        (mut registry, mut damage): (Registry, Vec<Damage>),
        audit: Arc<audit::Log>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, Error> {
        let mappers = load_live(&workshop.host, &registry, &mut damage).await;
        for Damage { mapper, file, what } in &damage {
            let mapper = mapper.as_ref().map_or("unknown", MapperName::as_str);
            tracing::error!(mapper, "{} {what}", file.display());
        }
        let ready = BTreeMap::new();
        let (lock, now) = (checked.lock.as_ref(), clock.now());
        let obeyed = lock::obeyed(lock, &workshop.host, &registry, &mappers, &ready, now).await;
        let (index, mut mappers) = obeyed.map_err(Error::Build)?;
        let bell = Arc::new(Notify::new());
        mappers.canaries =
            canaries::out(&workshop.host, registry.folder(), &index, &mappers, &ready, &bell).await;
        if index != *registry.index() {
            registry::write_index(registry.folder(), &index)?;
            registry.replaced(index);
        }
        let snapshot = build(&checked, revision(source.digest, &mappers), &mappers, &workshop);
        let snapshot = Arc::new(snapshot.map_err(Error::Build)?);
        let plan: Arc<dyn Plan> = Arc::clone(&snapshot) as Arc<dyn Plan>;
        let state = State { checked, source: source.digest, mappers, registry, ready };
        let canaries = state.mappers.canaries.clone();
        let shown = Shown { live: serving(&state), stored: stored(&state), canaries, damage };
        let revision = snapshot.revision.clone();
        let policies = Arc::new(Self {
            current: ArcSwap::new(snapshot),
            plan: watch::Sender::new(plan),
            workshop,
            clock,
            audit,
            metrics,
            refused: Mutex::default(),
            state: AsyncMutex::new(state),
            shown: Mutex::new(shown),
            bell,
        });
        // Whatever changed while the gateway was down, or at the very end of it, shows as one line.
        if policies.audit.in_force().as_ref() != Some(&revision) {
            let of = "files and mappers as they are at the start".to_owned();
            policies.write_down("start", "policies.in-force", of, &revision).await.map_err(Error::Audit)?;
        }
        Ok(policies)
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
        self.shown().live.clone()
    }

    /// All stored mappers with their generations.
    pub fn stored(&self) -> Vec<StoredMapper> {
        let shown = self.shown();
        let mut stored = shown.stored.clone();
        for mapper in &mut stored {
            mapper.canary = shown.canaries.get(&mapper.name).map(|canary| canary.progress());
        }
        stored
    }

    /// What is stored and cannot be used.
    pub fn damage(&self) -> Vec<Damage> {
        self.shown().damage.clone()
    }

    /// Reads the folder again. A folder that is wrong changes nothing.
    ///
    /// # Errors
    /// Why what was in force stays.
    pub async fn reload(&self) -> Result<Revision, Error> {
        let mut state = self.state.lock().await;
        self.reload_in(&mut state).await
    }

    pub(super) async fn reload_in(&self, state: &mut State) -> Result<Revision, Error> {
        self.reload_saying(state, None).await
    }

    pub(super) async fn reload_saying(
        &self,
        state: &mut State,
        said: Option<Said<'_>>,
    ) -> Result<Revision, Error> {
        let reloaded = self.try_reload(state, said).await;
        self.note(reloaded.as_ref().err().map(ToString::to_string));
        reloaded
    }

    async fn try_reload(&self, state: &mut State, said: Option<Said<'_>>) -> Result<Revision, Error> {
        let (source, checked) = read_checked(&self.workshop.folder, &*self.clock)?;
        if source.digest == state.source {
            return Ok(self.now().revision.clone());
        }
        let (host, lock, now) = (&self.workshop.host, checked.lock.as_ref(), self.clock.now());
        let obeyed = lock::obeyed(lock, host, &state.registry, &state.mappers, &state.ready, now);
        let (index, mut mappers) = obeyed.await.map_err(Error::Build)?;
        let folder = state.registry.folder();
        mappers.canaries = canaries::out(host, folder, &index, &mappers, &state.ready, &self.bell).await;
        let snapshot = build(&checked, revision(source.digest, &mappers), &mappers, &self.workshop);
        let snapshot = snapshot.map_err(Error::Build)?;
        let previous = state.registry.index().clone();
        self.store(state, index, None).await?;
        let folder = || Said {
            by: "policy folder",
            what: "policies.in-force".to_owned(),
            of: format!("{} files", source.files.len()),
        };
        let Said { by, what, of } = said.unwrap_or_else(folder);
        if let Err(error) = self.write_down(by, &what, of, &snapshot.revision).await {
            self.store(state, previous, None).await?;
            return Err(Error::Audit(error));
        }
        let before = std::mem::replace(&mut state.mappers, mappers);
        (state.checked, state.source) = (checked, source.digest);
        state.ready.extend(before.live.into_values().map(|mapper| (mapper.digest(), mapper)));
        self.trim(state);
        for name in state.mappers.live.keys() {
            self.mended(name);
        }
        self.show(state);
        Ok(self.publish(snapshot))
    }

    /// Makes a line of the audit file durable: before what it says takes force.
    pub(super) async fn write_down(
        &self,
        by: &str,
        what: &str,
        of: String,
        after: &Revision,
    ) -> std::io::Result<()> {
        let entry = audit::Entry {
            at: self.clock.now(),
            by: by.to_owned(),
            what: what.to_owned(),
            of,
            before: self.audit.in_force(),
            after: after.clone(),
        };
        let log = Arc::clone(&self.audit);
        tokio::task::spawn_blocking(move || log.append(entry)).await.map_err(std::io::Error::other)?
    }

    /// The newest lines of the audit file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn written_down(&self, limit: usize) -> std::io::Result<Vec<serde_json::Value>> {
        audit::newest(self.audit.path(), limit)
    }

    /// Shows what is live and stored now.
    pub(super) fn show(&self, state: &State) {
        let mut shown = self.shown();
        (shown.live, shown.stored) = (serving(state), stored(state));
        shown.canaries.clone_from(&state.mappers.canaries);
    }

    /// A generation of this mapper serves again: what was damaged of it costs nothing any more.
    pub(super) fn mended(&self, name: &MapperName) {
        self.shown().damage.retain(|damage| damage.mapper.as_ref() != Some(name));
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, snapshot: Snapshot) -> Revision {
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

/// The hash of all that is in force: the files and the mappers.
pub(super) fn revision(source: Digest, mappers: &Mappers) -> Revision {
    let mut text = source.to_string();
    for mapper in mappers.live.values() {
        text.push_str(&format!("\n{} {}", mapper.name(), mapper.digest()));
    }
    // What is only watched is not in force.
    for canary in mappers.canaries.values().filter(|canary| canary.terms.share > 0) {
        let (mapper, share) = (&canary.mapper, canary.terms.share);
        text.push_str(&format!("\n{} {} {share}%", mapper.name(), mapper.digest()));
    }
    Revision::new(Digest::of(text.as_bytes()))
}

fn serving(state: &State) -> Vec<LiveMapper> {
    state.mappers.live.values().map(live).collect()
}
