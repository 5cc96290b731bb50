//! Looking at what is stored without changing anything: one generation whole, or all of them against their digests.

use bytes::Bytes;
use serde::Serialize;

use super::{ChangeError, aside};
use crate::{
    mapper::{Host, Manifest},
    policy::{
        live::Policies,
        registry::{self, Damage, Generation},
    },
    words::{Digest, MapperName},
};

/// One stored generation, with what it says of itself and what is bound to it.
#[derive(Clone, Debug, Serialize)]
pub struct Described {
    /// Its mapper.
    pub name: MapperName,
    /// Its line in the index.
    #[serde(flatten)]
    pub generation: Generation,
    /// `live`, `earlier` or `held`.
    pub state: &'static str,
    /// What it says of itself.
    pub manifest: Option<Manifest>,
    /// What it imports: all that it can reach.
    pub imports: Vec<String>,
    /// What is bound to this mapper, and where in the policies.
    pub uses: Vec<Use>,
}

/// Something that a mapper is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Use {
    /// `operation shipments/confirm v2`, `subscription sap-orders`.
    pub what: String,
    /// `apis/shipments.yaml:31`
    pub rule: String,
}

/// What a look at all that is stored found.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Generations that are what the index says.
    pub whole: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Those that are not.
    pub damaged: Vec<Unsound>,
    /// Files that nothing names.
    pub strays: usize,
}

/// A stored generation that is not what the index says.
#[derive(Clone, Debug, Serialize)]
pub struct Unsound {
    /// Its mapper.
    pub name: MapperName,
    /// Its version.
    pub version: String,
    /// Its digest, as the index says.
    pub digest: Digest,
    /// Its state.
    pub state: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Policies {
    /// One stored generation: the live one, or the one of this version or digest.
    ///
    /// # Errors
    /// It is not stored, or its file is damaged.
    pub async fn describe(&self, name: &str, asked: Option<&str>) -> Result<Described, ChangeError> {
        let (name, shelf) = self.shelf(name).await?;
        let newest = || shelf.generations.last().map(|one| one.digest.to_string()).unwrap_or_default();
        let asked =
            asked.map_or_else(|| shelf.live.map_or_else(newest, |live| live.to_string()), str::to_owned);
        let generation = shelf.pick(&name, &asked)?.clone();
        let digest = generation.digest;
        let found = Host::inspect(&self.bytes(digest).await?);
        let found = found.map_err(|rejection| ChangeError::Load(rejection.into()))?;
        Ok(Described {
            state: shelf.state(digest),
            uses: self.now().bound_to(&name),
            name,
            generation,
            manifest: found.manifest,
            imports: found.imports,
        })
    }

    /// The bytes of a stored generation.
    ///
    /// # Errors
    /// It is not stored, or damaged.
    pub async fn bytes(&self, digest: Digest) -> Result<Bytes, ChangeError> {
        let folder = self.state.lock().await.registry.folder().to_owned();
        aside(move || Ok(registry::read_bytes(&folder, digest))).await?.map_err(ChangeError::Damaged)
    }

    /// Reads every stored file and holds it against its digest and the line of the index.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn verify(&self) -> Result<Verified, ChangeError> {
        let (folder, index) = {
            let state = self.state.lock().await;
            (state.registry.folder().to_owned(), state.registry.index().clone())
        };
        aside(move || {
            let strays = registry::strays(&folder, &index)?.len();
            let mut verified = Verified { whole: 0, bytes: 0, damaged: Vec::new(), strays };
            let all = index.mappers.iter().flat_map(|(name, shelf)| {
                shelf.generations.iter().map(move |generation| (name, shelf, generation))
            });
            for (name, shelf, generation) in all {
                let state = shelf.state(generation.digest);
                let read = registry::read_bytes(&folder, generation.digest);
                match read.map_err(|Damage { file, what, .. }| format!("{} {what}", file.display())) {
                    Ok(wasm) if wasm.len() as u64 == generation.size => {
                        verified.whole += 1;
                        verified.bytes += generation.size;
                    }
                    other => verified.damaged.push(Unsound {
                        name: name.clone(),
                        version: generation.version.clone(),
                        digest: generation.digest,
                        state,
                        what: other.err().unwrap_or_else(|| "the index has another size".to_owned()),
                    }),
                }
            }
            Ok(verified)
        })
        .await
    }
}
