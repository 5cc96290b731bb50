//! What changes of the live mappers take, give and can meet.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::Serialize;

use crate::{
    mapper::{LoadError, Mapper, Tried},
    policy::{
        Canary, Progress, live,
        registry::{self, Damage, Ended, Unknown},
        signature,
    },
    words::{Digest, MapperName, Revision, Time},
};

/// The mappers that policies are built with.
#[derive(Clone, Debug, Default)]
pub struct Mappers {
    /// Those that serve.
    pub live: BTreeMap<MapperName, Mapper>,
    /// Those that should and cannot, and why: what is bound to them is refused, and nothing else.
    pub unusable: BTreeMap<MapperName, String>,
    /// Candidates that are out beside those that serve.
    pub canaries: BTreeMap<MapperName, Arc<Canary>>,
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

/// A mapper with all of its stored generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredMapper {
    /// Its name.
    pub name: MapperName,
    /// The version that serves.
    pub version: Option<String>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Why it cannot be used, if it cannot.
    pub unusable: Option<String>,
    /// A candidate that serves a share or is watched, and how it does.
    pub canary: Option<Progress>,
    /// How the last candidate's time ended.
    pub ended: Option<Ended>,
    /// What is stored of it, the newest first.
    pub generations: Vec<StoredGeneration>,
}

/// One stored generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredGeneration {
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// `live`, `canary`, `watched`, `earlier` (it served before, and a rollback can lead to it) or `held`.
    pub state: &'static str,
    /// Whether it can go live without being loaded.
    pub ready: bool,
    /// Bytes.
    pub size: u64,
    /// Who pushed it first.
    pub pushed_by: String,
    /// When.
    pub pushed_at: Time,
    /// How many cases it carries.
    pub cases: usize,
    /// What it was made from.
    pub source: Option<String>,
    /// The name of the key that signed it.
    pub signed_by: Option<String>,
}

/// How a mapper is to be taken in.
#[derive(Clone, Debug)]
pub struct Push {
    /// Store it without making it live.
    pub hold: bool,
    /// Who decides.
    pub by: String,
    /// What it was made from: a commit.
    pub source: Option<String>,
    /// Its signature.
    pub signature: Option<Vec<u8>>,
}

/// What a change of what is live changed.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// What is live now; nothing if the first generation of a mapper is held.
    pub live: Option<LiveMapper>,
    /// What was live before.
    pub before: Option<LiveMapper>,
    /// What was stored without going live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<LiveMapper>,
    /// The candidate that is out now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<LiveMapper>,
    /// The candidate that was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// The revision in force now.
    pub revision: Revision,
    /// Microseconds from the loaded mapper to serving: building the snapshot and swapping the pointer.
    pub took_micros: u64,
    /// Microseconds until it was durable, in between.
    pub stored_micros: u64,
}

/// What tidying took away, or would.
#[derive(Clone, Debug, Serialize)]
pub struct Tidied {
    /// Whether it only looked.
    pub dry_run: bool,
    /// The generations.
    pub generations: Vec<Gone>,
    /// Files that nothing names.
    pub strays: usize,
    /// Bytes of the generations.
    pub bytes: u64,
}

/// A generation that goes.
#[derive(Clone, Debug, Serialize)]
pub struct Gone {
    /// Its mapper.
    pub name: MapperName,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// Why what was live stays.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What was asked for is not there.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// It is no mapper, or cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It does not what it says itself that it does.
    #[error("{}", failing(.0, .1))]
    Cases(String, Tried),
    /// There is no such candidate to send out or to take back.
    #[error("{0}")]
    NoCanary(String),
    /// It is not signed as the policies ask.
    #[error(transparent)]
    Unsigned(#[from] signature::Unsigned),
    /// The policies cannot be served with it.
    #[error("{}", .0.join("\n"))]
    Build(Vec<String>),
    /// A stored file is damaged.
    #[error("{} {}; push it again", .0.file.display(), .0.what)]
    Damaged(Damage),
    /// It could not be stored.
    #[error("the mapper could not be stored: {0}")]
    Store(#[from] registry::Error),
    /// What is not written down does not take force.
    #[error("the audit file could not be written: {0}")]
    Audit(std::io::Error),
    /// The policy folder decides what is live, and it cannot be written.
    #[error("{} says what is live and cannot be written: {source}; change it there", file.display())]
    Lock {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder as it is now cannot take force with it.
    #[error(transparent)]
    Policies(#[from] live::Error),
    /// The gateway failed in the middle of it.
    #[error("the change was cut off; `crossdock plugin list` shows what is live")]
    CutOff,
}

/// Why a mapper's own cases keep it out.
fn failing(mapper: &str, tried: &Tried) -> String {
    let Tried { cases, failing, differences, .. } = tried;
    let verb = if *failing == 1 { "differs" } else { "differ" };
    let lines: String = differences.iter().map(|difference| format!("\n  {difference}")).collect();
    let more = failing.saturating_sub(differences.len());
    let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
    format!(
        "{mapper} is not taken in: {failing} of its own {cases} cases {verb}{lines}{more}\n  help: `crossdock plugin test` runs the same cases on a laptop"
    )
}
