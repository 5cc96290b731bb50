//! Which mappers are stored and which of them is live: plain values, no I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    policy::Terms,
    words::{Digest, MapperName, Time},
};

/// The form of the file. A newer one is not read: what it means is not known here.
pub const FORMAT: u32 = 1;

/// Generations of one mapper that may be stored; at one push an hour, six weeks without tidying.
pub const GENERATIONS_MAX: usize = 1_000;

/// Everything that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u32,
    /// By name.
    pub mappers: BTreeMap<MapperName, Shelf>,
}

/// The generations of one mapper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// The one that serves.
    pub live: Option<Digest>,
    /// Those that served before, the most recent last.
    pub earlier: Vec<Digest>,
    /// All of them, in the order in which they came.
    pub generations: Vec<Generation>,
    /// The index was damaged, and which generation was live is not known any more.
    #[serde(default)]
    pub lost: bool,
    /// A candidate that serves a share, or is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Out>,
    /// How the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A candidate that is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Out {
    /// Its digest.
    pub digest: Digest,
    /// What it is given, and when it is taken back.
    pub terms: Terms,
    /// Who sent it out.
    pub by: String,
    /// When.
    pub since: Time,
}

/// How a candidate's time ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// When.
    pub at: Time,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
    /// Messages that it had mapped.
    pub seen: u64,
}

/// One stored mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Its version, as its manifest says.
    pub version: String,
    /// Digest of its Wasm.
    pub digest: Digest,
    /// Bytes of its Wasm.
    pub size: u64,
    /// Who pushed it.
    pub pushed_by: String,
    /// When.
    pub pushed_at: Time,
    /// How many cases it carries; a push is taken only if all of them are fine.
    #[serde(default)]
    pub cases: usize,
    /// What it was made from, as whoever pushed it says: a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The name of the key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// What a change of the index may meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No mapper of this name.
    #[error("there is no mapper `{name}`; {there}")]
    Mapper {
        /// What was asked for.
        name: String,
        /// What is there instead.
        there: String,
    },
    /// No such generation of it.
    #[error("there is no {name}@{asked}; stored are {there}")]
    Generation {
        /// The mapper.
        name: MapperName,
        /// Version or digest as asked.
        asked: String,
        /// What is stored.
        there: String,
    },
    /// More than one generation fits what was asked.
    #[error("{name}@{asked} may be any of {fits}; name the one by its digest")]
    Several {
        /// The mapper.
        name: MapperName,
        /// Version or digest as asked.
        asked: String,
        /// Those that fit.
        fits: String,
    },
    /// Nothing served before.
    #[error("no generation of {name} served before the present one; stored are {there}")]
    First {
        /// The mapper.
        name: MapperName,
        /// What is stored.
        there: String,
    },
    /// As many as may be.
    #[error(
        "{GENERATIONS_MAX} generations of {0} are stored, no more are taken\n  help: crossdock plugin gc --keep 10 --yes"
    )]
    Full(MapperName),
}

impl Default for Index {
    fn default() -> Self {
        Self { format: FORMAT, mappers: BTreeMap::new() }
    }
}

impl Index {
    /// The shelf of a mapper.
    ///
    /// # Errors
    /// There is none; the error names those that are there.
    pub fn shelf(&self, name: &str) -> Result<(&MapperName, &Shelf), Unknown> {
        self.mappers.get_key_value(name).ok_or_else(|| {
            let names: Vec<&str> = self.mappers.keys().map(MapperName::as_str).collect();
            let there = match names.as_slice() {
                [] => "none is stored: crossdock plugin push".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            Unknown::Mapper { name: name.chars().take(80).collect(), there }
        })
    }

    /// Puts a generation on its shelf, not live. One that is there keeps its line: who pushed it first stays true.
    ///
    /// # Errors
    /// The shelf is full.
    pub fn store(&mut self, name: &MapperName, generation: Generation) -> Result<(), Unknown> {
        let shelf = self.mappers.entry(name.clone()).or_default();
        if shelf.find(generation.digest).is_some() {
            return Ok(());
        }
        if shelf.generations.len() >= GENERATIONS_MAX {
            return Err(Unknown::Full(name.clone()));
        }
        shelf.generations.push(generation);
        Ok(())
    }

    /// Makes a stored generation live; the one before it becomes the most recent of the earlier ones.
    pub fn promote(&mut self, name: &MapperName, digest: Digest) {
        let Some(shelf) = self.mappers.get_mut(name) else { return };
        shelf.lost = false;
        if shelf.live == Some(digest) {
            return;
        }
        shelf.canary = None;
        let before = shelf.live.replace(digest);
        shelf.earlier.retain(|earlier| *earlier != digest && Some(*earlier) != before);
        shelf.earlier.extend(before);
    }

    /// Makes the generation live that served before the present one.
    ///
    /// # Errors
    /// There is no such mapper, or nothing served before.
    pub fn roll_back(&mut self, name: &str) -> Result<(MapperName, Digest), Unknown> {
        let (name, shelf) = self.shelf(name)?;
        let name = name.clone();
        let there = shelf.listed();
        let first = Unknown::First { name: name.clone(), there };
        let shelf = self.mappers.get_mut(&name).ok_or(first.clone())?;
        let back = shelf.earlier.pop().ok_or(first)?;
        shelf.live = Some(back);
        shelf.canary = None;
        shelf.lost = false;
        Ok((name, back))
    }

    /// What tidying would take away: of each mapper all but the live one, the `keep` most recent that served
    /// before, and the `keep` newest that never did. `never` stays in any case.
    pub fn garbage(&self, keep: usize, never: &[Digest]) -> Vec<(MapperName, Generation)> {
        let mut garbage = Vec::new();
        for (name, shelf) in &self.mappers {
            let served = |generation: &&Generation| shelf.earlier.contains(&generation.digest);
            let waiting =
                shelf.generations.iter().rev().filter(|one| !served(one) && !shelf.is_live(one.digest));
            let kept: Vec<Digest> = (shelf.earlier.iter().rev().take(keep).copied())
                .chain(waiting.take(keep).map(|one| one.digest))
                .chain(shelf.live)
                .chain(shelf.canary.as_ref().map(|out| out.digest))
                .chain(never.iter().copied())
                .collect();
            // Where nobody knows what was live, nothing is garbage.
            let gone = shelf.generations.iter().filter(|one| !shelf.lost && !kept.contains(&one.digest));
            garbage.extend(gone.map(|one| (name.clone(), one.clone())));
        }
        garbage
    }

    /// Takes generations off their shelves.
    pub fn forget(&mut self, garbage: &[(MapperName, Generation)]) {
        for (name, gone) in garbage {
            if let Some(shelf) = self.mappers.get_mut(name) {
                shelf.generations.retain(|one| one.digest != gone.digest);
                shelf.earlier.retain(|digest| *digest != gone.digest);
            }
        }
    }

    /// The candidate that is out of a mapper.
    pub fn canary(&self, name: &MapperName) -> Option<&Out> {
        self.mappers.get(name)?.canary.as_ref()
    }

    /// Whether any shelf has it.
    pub fn has(&self, digest: Digest) -> bool {
        self.mappers.values().any(|shelf| shelf.find(digest).is_some())
    }
}

impl Shelf {
    /// A generation by its digest.
    pub fn find(&self, digest: Digest) -> Option<&Generation> {
        self.generations.iter().find(|one| one.digest == digest)
    }

    /// A generation by its version, its digest or at least four digits that its digest begins with.
    ///
    /// # Errors
    /// None fits, or several do.
    pub fn pick(&self, name: &MapperName, asked: &str) -> Result<&Generation, Unknown> {
        let asked: String = asked.chars().take(80).collect();
        let hex = asked.trim_start_matches("sha256:").to_ascii_lowercase();
        let by_digest = |one: &&Generation| hex.len() >= 4 && one.digest.to_string().starts_with(&hex);
        let mut fits: Vec<&Generation> = self.generations.iter().filter(|one| one.version == asked).collect();
        if fits.is_empty() {
            fits = self.generations.iter().filter(by_digest).collect();
        }
        match fits.as_slice() {
            [one] => Ok(one),
            [] => Err(Unknown::Generation { name: name.clone(), asked, there: self.listed() }),
            several => {
                let fits = several.iter().map(|one| one.title()).collect::<Vec<_>>().join(", ");
                Err(Unknown::Several { name: name.clone(), asked, fits })
            }
        }
    }

    /// `live`, `canary` or `watched` for a candidate that is out, `earlier`, or `held` for one that never served.
    pub fn state(&self, digest: Digest) -> &'static str {
        let out = self.canary.as_ref().filter(|out| out.digest == digest);
        if self.is_live(digest) {
            "live"
        } else if let Some(out) = out {
            if out.terms.share == 0 { "watched" } else { "canary" }
        } else if self.earlier.contains(&digest) {
            "earlier"
        } else {
            "held"
        }
    }

    fn is_live(&self, digest: Digest) -> bool {
        self.live == Some(digest)
    }

    /// Its generations for a sentence, the newest first, at most ten.
    fn listed(&self) -> String {
        let titles: Vec<String> = self.generations.iter().rev().take(10).map(Generation::title).collect();
        let more = self.generations.len().saturating_sub(10);
        let more = if more == 0 { String::new() } else { format!(" and {more} older ones") };
        format!("{}{more}", titles.join(", "))
    }
}

impl Generation {
    /// `1.4.0 (7f3a9c21)`
    pub fn title(&self) -> String {
        format!("{} ({})", self.version, self.digest.short())
    }
}
