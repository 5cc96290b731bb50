//! How the live mappers change: pushed, promoted, rolled back, tidied. Each change is built, then durable, then
//! published by one pointer; what fails on the way leaves what was live.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Canary,
    built::build,
    live::{Policies, Said, State, revision},
    lock,
    registry::{self, Damage, Generation, Index, Registry},
    signature,
};
use crate::{
    mapper::{Host, Mapper},
    words::{Digest, MapperName, Revision},
};

pub(super) mod canaries;
mod looked;
mod shapes;

pub use looked::{Described, Unsound, Use, Verified};
pub use shapes::{
    ChangeError, Gone, LiveMapper, Mappers, Push, Pushed, StoredGeneration, StoredMapper, Tidied,
};

/// Earlier generations of each mapper that stay loaded, so that going back is a pointer and no load.
const READY: usize = 3;

/// A change on its way: what becomes live, and the index that says so.
struct Change<'a> {
    mapper: Mapper,
    next: Index,
    /// Bytes that are not stored yet.
    wasm: Option<Bytes>,
    /// The candidate that goes out with it.
    canary: Option<Arc<Canary>>,
    /// In a word, for the log.
    what: &'static str,
    /// In a sentence, for the audit file, where it is not the generations alone.
    of: Option<String>,
    by: &'a str,
}

impl<'a> Change<'a> {
    fn new(mapper: Mapper, next: Index, what: &'static str, by: &'a str) -> Self {
        Self { mapper, next, wasm: None, canary: None, what, of: None, by }
    }
}

impl Policies {
    /// Takes a mapper in: admitted and compiled first, then stored, then, unless it is to be held, swapped in.
    ///
    /// # Errors
    /// Why what was live stays.
    pub async fn push_mapper(&self, wasm: Bytes, push: &Push) -> Result<Pushed, ChangeError> {
        let Push { hold, by, source, signature } = push;
        let mapper = self.workshop.host.load(wasm.clone()).await?;
        let signed_by = {
            let state = self.state.lock().await;
            let (policy, signature) = (&state.checked.gateway.signatures, signature.as_deref());
            signature::signer(policy, mapper.name().as_str(), mapper.digest(), signature)?
        };
        let tried = self.workshop.host.try_cases(&wasm).await?;
        if tried.failing > 0 {
            return Err(ChangeError::Cases(format!("{} {}", mapper.name(), mapper.version()), tried));
        }
        let mut state = self.state.lock().await;
        let generation = Generation {
            version: mapper.version().to_owned(),
            digest: mapper.digest(),
            size: wasm.len() as u64,
            pushed_by: short(by),
            pushed_at: self.clock.now(),
            cases: tried.cases,
            source: source.as_deref().map(short),
            signed_by,
        };
        let mut next = state.registry.index().clone();
        next.store(mapper.name(), generation)?;
        if *hold {
            return self.hold(&mut state, &mapper, next, wasm, by).await;
        }
        next.promote(mapper.name(), mapper.digest());
        let change = Change::new(mapper, next, "pushed", by);
        self.change(&mut state, Change { wasm: Some(wasm), ..change }).await
    }

    /// Makes a stored generation live, named by its version or digest.
    ///
    /// # Errors
    /// Why what was live stays.
    pub async fn promote(&self, name: &str, asked: &str, by: &str) -> Result<Pushed, ChangeError> {
        let mut state = self.state.lock().await;
        let mut next = state.registry.index().clone();
        let (name, digest) = picked(&state, &next, name, asked)?;
        next.promote(&name, digest);
        let mapper = self.ready(&state, digest).await?;
        self.change(&mut state, Change::new(mapper, next, "promoted", by)).await
    }

    /// Makes the generation live that served before the present one.
    ///
    /// # Errors
    /// Why what is live stays.
    pub async fn roll_back(&self, name: &str, by: &str) -> Result<Pushed, ChangeError> {
        let mut state = self.state.lock().await;
        let mut next = state.registry.index().clone();
        // A candidate that serves a share is what there is to take back.
        let (name, shelf) = next.shelf(name)?;
        let name = name.clone();
        if shelf.canary.as_ref().is_some_and(|out| out.terms.share > 0) {
            return self.end_canary(&mut state, &name, by, "taken back by hand").await;
        }
        let (_, digest) = next.roll_back(name.as_str())?;
        let mapper = self.ready(&state, digest).await?;
        self.change(&mut state, Change::new(mapper, next, "rolled back", by)).await
    }

    /// Takes stored generations away that neither serve nor are among the `keep` most recent; or only says which.
    ///
    /// # Errors
    /// The registry cannot be read or written.
    pub async fn tidy(&self, keep: usize, dry_run: bool, by: &str) -> Result<Tidied, ChangeError> {
        let mut state = self.state.lock().await;
        let mut next = state.registry.index().clone();
        let pinned: Vec<Digest> = state.checked.lock.iter().flatten().map(|(_, pin)| pin.digest).collect();
        let garbage = next.garbage(keep, &pinned);
        next.forget(&garbage);
        let folder = state.registry.folder().to_owned();
        let (index, gone) = (next.clone(), garbage.iter().map(|(_, one)| one.digest).collect::<Vec<_>>());
        let unchanged = garbage.is_empty();
        let strays = aside(move || {
            let strays = registry::strays(&folder, &index)?;
            // The index first: what it names is always there.
            if !dry_run {
                if !unchanged {
                    registry::write_index(&folder, &index)?;
                }
                registry::remove_bytes(&folder, &[gone.as_slice(), strays.as_slice()].concat())?;
            }
            Ok(strays.iter().filter(|stray| !gone.contains(stray)).count())
        })
        .await?;
        if !dry_run {
            state.registry.replaced(next);
            self.trim(&mut state);
            self.show(&state);
        }
        let bytes: u64 = garbage.iter().map(|(_, one)| one.size).sum();
        if !dry_run {
            let names: Vec<String> =
                garbage.iter().map(|(name, one)| format!("{name} {}", one.title())).collect();
            let of = format!("{} generations, {strays} other files: {}", names.len(), names.join(", "));
            let written = self.write_down(by, "mappers.tidied", of, &self.now().revision.clone()).await;
            written.map_err(ChangeError::Audit)?;
            tracing::info!(generations = garbage.len(), strays, bytes, by, "stored mappers tidied");
        }
        let generations = garbage
            .into_iter()
            .map(|(name, one)| Gone { name, version: one.version, digest: one.digest, size: one.size })
            .collect();
        Ok(Tidied { dry_run, generations, strays, bytes })
    }

    /// A stored generation, ready to be called: for what compares, and never for what serves.
    ///
    /// # Errors
    /// It is not stored, damaged, or cannot be loaded.
    pub async fn generation(&self, digest: Digest) -> Result<Mapper, ChangeError> {
        let folder = {
            let state = self.state.lock().await;
            if let Some(mapper) = loaded(&state, digest) {
                return Ok(mapper);
            }
            state.registry.folder().to_owned()
        };
        // Nobody's way back waits while an old generation is compiled to be looked at.
        load(&self.workshop.host, folder, digest).await
    }

    /// The stored generations of a mapper.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn shelf(&self, name: &str) -> Result<(MapperName, registry::Shelf), ChangeError> {
        let state = self.state.lock().await;
        let (name, shelf) = state.registry.index().shelf(name)?;
        Ok((name.clone(), shelf.clone()))
    }

    /// Loads the most recent earlier generations, so that going back needs no loading. One that cannot be loaded
    /// says so when somebody goes back to it.
    pub async fn make_ready(&self) {
        let (folder, wanted) = {
            let state = self.state.lock().await;
            (state.registry.folder().to_owned(), wanted(state.registry.index()))
        };
        for digest in wanted {
            let folder = folder.clone();
            let Ok(wasm) = aside(move || Ok(registry::read_bytes(&folder, digest))).await else { return };
            let loaded = match wasm {
                Ok(wasm) => self.workshop.host.load(wasm).await.map_err(|error| error.to_string()),
                Err(damage) => Err(format!("{} {}", damage.file.display(), damage.what)),
            };
            match loaded {
                Ok(mapper) => {
                    let mut state = self.state.lock().await;
                    state.ready.insert(digest, mapper);
                    self.trim(&mut state);
                    self.show(&state);
                }
                Err(what) => tracing::warn!(%digest, what, "an earlier mapper cannot be made ready"),
            }
        }
    }

    async fn hold(
        &self,
        state: &mut State,
        mapper: &Mapper,
        next: Index,
        wasm: Bytes,
        by: &str,
    ) -> Result<Pushed, ChangeError> {
        let started = Instant::now();
        self.store(state, next, Some((mapper.digest(), wasm))).await?;
        let revision = self.now().revision.clone();
        let written = self.write_down(by, "mapper.held", title(mapper), &revision).await;
        written.map_err(ChangeError::Audit)?;
        let stored = started.elapsed();
        self.show(state);
        tracing::info!(mapper = %mapper.name(), version = mapper.version(), by, "mapper held");
        let before = state.mappers.live.get(mapper.name()).map(live);
        Ok(Pushed {
            live: before.clone(),
            before,
            held: Some(live(mapper)),
            canary: None,
            ended: None,
            revision,
            took_micros: 0,
            stored_micros: micros(stored),
        })
    }

    /// The common end of every change: build, make durable, publish.
    async fn change(&self, state: &mut State, change: Change<'_>) -> Result<Pushed, ChangeError> {
        let Change { mapper, next, wasm, canary, what, of, by } = change;
        let started = Instant::now();
        let mut mappers = state.mappers.clone();
        mappers.unusable.remove(mapper.name());
        let before = mappers.live.insert(mapper.name().clone(), mapper.clone());
        let was_out = mappers.canaries.remove(mapper.name());
        let stays = was_out.clone().filter(|_| next.canary(mapper.name()).is_some());
        let canary = canary.or(stays);
        mappers.canaries.extend(canary.iter().map(|canary| (mapper.name().clone(), Arc::clone(canary))));
        let same_canary = match (&was_out, &canary) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        let same = before.as_ref().is_some_and(|before| before.digest() == mapper.digest());
        let unchanged = same && same_canary;
        let shares =
            |canary: &Option<Arc<Canary>>| canary.as_ref().is_some_and(|canary| canary.terms.share > 0);
        if state.checked.lock.is_some() && (!same || shares(&was_out) || shares(&canary)) && !unchanged {
            let change = Change { mapper, next, wasm, canary, what, of, by };
            return self.change_by_lock(state, change, before).await;
        }
        let revision = revision(state.source, &mappers);
        // What served before only changes place with its successor; what did not is bound for the first time.
        let rebound =
            before.as_ref().and_then(|_| self.now().rebound(revision.clone(), &mapper, canary.as_ref()));
        let snapshot = match rebound {
            Some(snapshot) => snapshot,
            None => {
                let built = build(&state.checked, revision, &mappers, &self.workshop);
                built.map_err(ChangeError::Build)?
            }
        };
        let built = started.elapsed();
        let started = Instant::now();
        let previous = state.registry.index().clone();
        self.store(state, next, wasm.map(|wasm| (mapper.digest(), wasm))).await?;
        if !unchanged {
            let of = of.unwrap_or_else(|| changed(&mapper, before.as_ref()));
            let what = format!("mapper.{}", what.replace(' ', "-"));
            if let Err(error) = self.write_down(by, &what, of, &snapshot.revision).await {
                self.store(state, previous, None).await?;
                return Err(ChangeError::Audit(error));
            }
        }
        let stored = started.elapsed();
        let started = Instant::now();
        state.mappers = mappers;
        let mut revision = if unchanged { self.now().revision.clone() } else { self.publish(snapshot) };
        let swapped = started.elapsed();
        state.ready.extend(before.iter().map(|before| (before.digest(), before.clone())));
        self.trim(state);
        self.mended(mapper.name());
        self.show(state);
        tracing::info!(mapper = %mapper.name(), version = mapper.version(), %revision, by, "mapper {what}");
        // Files that were refused because this mapper was not here would otherwise wait for their next change.
        if self.refused().is_some()
            && let Ok(reloaded) = self.reload_in(state).await
        {
            tracing::info!(before = %revision, revision = %reloaded, "policies in force");
            revision = reloaded;
        }
        let canary = canary.as_ref().map(|canary| &canary.mapper);
        Ok(Pushed::serving(&mapper, before.as_ref(), canary, revision, (built + swapped, stored)))
    }

    /// The same where `mappers.lock` says what is live: the change is an edit of that file, and takes force with the
    /// folder's new revision. Should that fail, file and index are as they were.
    async fn change_by_lock(
        &self,
        state: &mut State,
        Change { mapper, next, wasm, canary, what, of, by }: Change<'_>,
        before: Option<Mapper>,
    ) -> Result<Pushed, ChangeError> {
        let started = Instant::now();
        let file = lock::place(&self.workshop.folder);
        let cannot = |source| ChangeError::Lock { file: file.clone(), source };
        let pins = state.checked.lock.clone().unwrap_or_default();
        let out = canary.as_ref().filter(|canary| canary.terms.share > 0);
        let out = out.map(|canary| (&canary.mapper, canary.terms.share));
        let (text, text_before) = (lock::text(&pins, &mapper, out), std::fs::read(&file).map_err(cannot)?);
        let previous = state.registry.index().clone();
        self.store(state, next, wasm.map(|wasm| (mapper.digest(), wasm))).await?;
        if let Err(source) = lock::write(&file, text.as_bytes()) {
            self.store(state, previous, None).await?;
            return Err(cannot(source));
        }
        let stored = started.elapsed();
        let started = Instant::now();
        let of = of.unwrap_or_else(|| changed(&mapper, before.as_ref()));
        let said = Said { by, what: format!("mapper.{}", what.replace(' ', "-")), of };
        let revision = match self.reload_saying(state, Some(said)).await {
            Ok(revision) => revision,
            Err(error) => {
                lock::write(&file, &text_before).map_err(cannot)?;
                self.store(state, previous, None).await?;
                return Err(error.into());
            }
        };
        tracing::info!(mapper = %mapper.name(), version = mapper.version(), %revision, by, "mapper {what}");
        let canary = canary.as_ref().map(|canary| &canary.mapper);
        Ok(Pushed::serving(&mapper, before.as_ref(), canary, revision, (started.elapsed(), stored)))
    }

    /// Makes bytes and index durable, in this order: the index names nothing that is not there.
    pub(super) async fn store(
        &self,
        state: &mut State,
        next: Index,
        wasm: Option<(Digest, Bytes)>,
    ) -> Result<(), registry::Error> {
        let folder = state.registry.folder().to_owned();
        let index = (next != *state.registry.index()).then(|| next.clone());
        let storing = tokio::task::spawn_blocking(move || {
            if let Some((digest, wasm)) = wasm {
                registry::keep_bytes(&folder, digest, &wasm)?;
            }
            index.map_or(Ok(()), |index| registry::write_index(&folder, &index))
        });
        let folder = || state.registry.folder().to_owned();
        storing.await.map_err(|error| registry::Error::Io { file: folder(), source: error.into() })??;
        state.registry.replaced(next);
        Ok(())
    }

    async fn ready(&self, state: &State, digest: Digest) -> Result<Mapper, ChangeError> {
        match loaded(state, digest) {
            Some(mapper) => Ok(mapper),
            None => load(&self.workshop.host, state.registry.folder().to_owned(), digest).await,
        }
    }

    /// Lets go of loaded generations that are no longer among the most recent.
    pub(super) fn trim(&self, state: &mut State) {
        let wanted = wanted(state.registry.index());
        state.ready.retain(|digest, _| wanted.contains(digest));
    }
}

/// Loads what is live. What cannot be loaded is named with its reason, and the rest goes on.
pub(super) async fn load_live(host: &Host, registry: &Registry, damage: &mut Vec<Damage>) -> Mappers {
    let mut mappers = Mappers::default();
    for found in damage.iter() {
        if let Some(name) = &found.mapper {
            mappers.unusable.insert(name.clone(), format!("{} {}", found.file.display(), found.what));
        }
    }
    for (name, shelf) in &registry.index().mappers {
        let fail = |file: std::path::PathBuf, what: String| {
            let what =
                format!("{what}; crossdock plugin push {name}, or crossdock plugin promote {name}@VERSION");
            Damage { mapper: Some(name.clone()), file, what }
        };
        let loaded = match (shelf.live, shelf.lost) {
            (None, false) => continue,
            (None, true) => {
                let what = "was damaged, and which generation was live is not known";
                Err(fail(registry.folder().to_owned(), what.to_owned()))
            }
            (Some(digest), _) => {
                let folder = registry.folder().to_owned();
                match aside(move || Ok(registry::read_bytes(&folder, digest))).await {
                    Ok(Ok(wasm)) => {
                        let file = registry::place(registry.folder(), digest);
                        host.load(wasm).await.map_err(|error| fail(file, error.to_string()))
                    }
                    Ok(Err(found)) => Err(fail(found.file, found.what)),
                    Err(error) => Err(fail(registry.folder().to_owned(), error.to_string())),
                }
            }
        };
        match loaded {
            Ok(mapper) => {
                mappers.live.insert(name.clone(), mapper);
            }
            Err(found) => {
                mappers.unusable.insert(name.clone(), format!("{} {}", found.file.display(), found.what));
                damage.push(found);
            }
        }
    }
    mappers
}

/// Loads a stored generation.
pub(super) async fn load(host: &Host, folder: PathBuf, digest: Digest) -> Result<Mapper, ChangeError> {
    let wasm = aside(move || Ok(registry::read_bytes(&folder, digest))).await?;
    Ok(host.load(wasm.map_err(ChangeError::Damaged)?).await?)
}

fn loaded(state: &State, digest: Digest) -> Option<Mapper> {
    let live = state.mappers.live.values().find(|mapper| mapper.digest() == digest);
    let out =
        || state.mappers.canaries.values().map(|canary| &canary.mapper).find(|one| one.digest() == digest);
    live.or_else(|| state.ready.get(&digest)).or_else(out).cloned()
}

/// What is stored, as it is shown.
pub(super) fn stored(state: &State) -> Vec<StoredMapper> {
    let index = state.registry.index();
    let one = |(name, shelf): (&MapperName, &registry::Shelf)| {
        let live = state.mappers.live.get(name);
        let generation = |one: &Generation| StoredGeneration {
            version: one.version.clone(),
            digest: one.digest,
            state: shelf.state(one.digest),
            ready: live.is_some_and(|live| live.digest() == one.digest)
                || state.ready.contains_key(&one.digest),
            size: one.size,
            pushed_by: one.pushed_by.clone(),
            pushed_at: one.pushed_at,
            cases: one.cases,
            source: one.source.clone(),
            signed_by: one.signed_by.clone(),
        };
        StoredMapper {
            name: name.clone(),
            version: live.map(|live| live.version().to_owned()),
            digest: live.map(Mapper::digest),
            unusable: state.mappers.unusable.get(name).cloned(),
            canary: None,
            ended: shelf.ended.clone(),
            generations: shelf.generations.iter().rev().map(generation).collect(),
        }
    };
    index.mappers.iter().map(one).collect()
}

pub(super) fn live(mapper: &Mapper) -> LiveMapper {
    LiveMapper { name: mapper.name().clone(), version: mapper.version().to_owned(), digest: mapper.digest() }
}

/// What a line of the audit file says of a change.
fn changed(mapper: &Mapper, before: Option<&Mapper>) -> String {
    match before {
        Some(before) => format!("{}, before {}", title(mapper), title(before)),
        None => title(mapper),
    }
}

/// `x12-wms 1.4.0 (7f3a9c21)`
fn title(mapper: &Mapper) -> String {
    format!("{} {} ({})", mapper.name(), mapper.version(), mapper.digest().short())
}

/// The stored generation that is asked for. What was stored before signatures were asked for does not go live without
/// one, except by going back.
fn picked(
    state: &State,
    index: &Index,
    name: &str,
    asked: &str,
) -> Result<(MapperName, Digest), ChangeError> {
    let (name, shelf) = index.shelf(name)?;
    let found = shelf.pick(name, asked)?;
    let policy = &state.checked.gateway.signatures;
    let known = found.signed_by.as_ref().is_some_and(|key| policy.keys.contains_key(key));
    if policy.required && !known {
        return Err(signature::Unsigned::Missing(format!("{name}@{}", found.version)).into());
    }
    Ok((name.clone(), found.digest))
}

impl Pushed {
    /// What is live now and what was, with how long the building and the disk took.
    fn serving(
        mapper: &Mapper,
        before: Option<&Mapper>,
        canary: Option<&Mapper>,
        revision: Revision,
        (took, stored): (Duration, Duration),
    ) -> Self {
        Self {
            live: Some(live(mapper)),
            before: before.map(live),
            held: None,
            canary: canary.map(live),
            ended: None,
            revision,
            took_micros: micros(took),
            stored_micros: micros(stored),
        }
    }
}

fn wanted(index: &Index) -> BTreeSet<Digest> {
    index.mappers.values().flat_map(|shelf| shelf.earlier.iter().rev().take(READY).copied()).collect()
}

fn short(by: &str) -> String {
    by.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Runs what waits for a disk on a thread that may wait.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, registry::Error> + Send + 'static,
) -> Result<T, ChangeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ChangeError::CutOff),
    }
}
