//! The mappers that are stored: each under the digest of its bytes, and one index that says which is live.
//!
//! `sha256/<digest>.wasm` beside `index.json`. A file is written beside its place, synced and renamed, and the folder
//! is synced: after a crash at any step the index is the old one or the new one, and what it names is there.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::Serialize;

use crate::{
    mapper::Host,
    words::{Digest, MapperName, Time},
};

mod index;
#[cfg(test)]
mod tests;

pub use index::{Ended, FORMAT, Generation, Index, Out, Shelf, Unknown};

/// The index, in the registry's folder.
const INDEX: &str = "index.json";
/// Where an index goes that cannot be read, for whoever wants to look.
const DAMAGED: &str = "index.damaged.json";
/// The folder of the mappers' bytes.
const BYTES: &str = "sha256";
/// How names of files begin that are not finished; a crash leaves them.
const UNFINISHED: &str = ".tmp";

/// The stored mappers.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    index: Index,
}

/// Something stored that cannot be used. It costs what is bound to it, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The mapper, where it is known.
    pub mapper: Option<MapperName>,
    /// The file.
    pub file: PathBuf,
    /// What is wrong, and what helps.
    pub what: String,
}

/// Why the registry cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A later version of the gateway wrote it.
    #[error("{}: format {format}, this version reads {FORMAT}: a newer version wrote it", file.display())]
    Newer {
        /// The index.
        file: PathBuf,
        /// What it says it is.
        format: u64,
    },
    /// It cannot be stored as asked.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// A file that is no mapper.
    #[error("{}: {what}", file.display())]
    NoMapper {
        /// The file.
        file: PathBuf,
        /// Why.
        what: String,
    },
}

impl Registry {
    /// Opens a registry, or makes an empty one. Files of the older form (`NAME.wasm`, each of them live) are taken
    /// over: stored and synced, named by the index, and only then removed.
    ///
    /// # Errors
    /// The folder cannot be read or written, or a newer version wrote it. Damage is no error.
    pub fn open(folder: &Path, now: Time) -> Result<(Self, Vec<Damage>), Error> {
        let bytes = folder.join(BYTES);
        fs::create_dir_all(&bytes).map_err(at(&bytes))?;
        sweep(folder)?;
        sweep(&bytes)?;
        let mut damage = Vec::new();
        let index = match read_index(folder)? {
            Read::Whole(index) => index,
            Read::Nothing => Index::default(),
            Read::Damaged(what) => {
                let file = folder.join(INDEX);
                let found = found_again(&bytes, now, &mut damage)?;
                damage.push(Damage { mapper: None, file: file.clone(), what });
                fs::rename(&file, folder.join(DAMAGED)).map_err(at(&file))?;
                write_index(folder, &found)?;
                found
            }
        };
        let mut registry = Self { folder: folder.to_owned(), index };
        registry.take_over(now, &mut damage)?;
        Ok((registry, damage))
    }

    /// What is stored, and what is live of it.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stores a mapper's file and makes it live, as the start asks for it. What is live already stays as it is.
    ///
    /// # Errors
    /// The file is no mapper, or the registry cannot be written.
    pub fn take_in(&mut self, file: &Path, by: &str, now: Time) -> Result<(), Error> {
        let wasm = fs::read(file).map_err(at(file))?;
        let no_mapper = |what| Error::NoMapper { file: file.to_owned(), what };
        let (name, generation) = generation(&wasm, by, now).map_err(no_mapper)?;
        self.make_live(&name, generation, &wasm)
    }

    /// The index from now on, after [`write_index`] has made it durable.
    pub(super) fn replaced(&mut self, index: Index) {
        self.index = index;
    }

    fn make_live(&mut self, name: &MapperName, generation: Generation, wasm: &[u8]) -> Result<(), Error> {
        let (mut next, digest) = (self.index.clone(), generation.digest);
        next.store(name, generation)?;
        next.promote(name, digest);
        keep_bytes(&self.folder, digest, wasm)?;
        if next != self.index {
            write_index(&self.folder, &next)?;
            self.index = next;
        }
        Ok(())
    }

    /// Takes the files of the older form over. A crash in between leaves the file, and the next start repeats it.
    fn take_over(&mut self, now: Time, damage: &mut Vec<Damage>) -> Result<(), Error> {
        for file in files(&self.folder)?.into_iter().filter(|file| is_wasm(file)) {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let name = MapperName::new(stem).ok();
            let stored = fs::read(&file).map_err(|error| error.to_string()).and_then(|wasm| {
                let (name, generation) = generation(&wasm, "an earlier version's store", now)?;
                self.make_live(&name, generation, &wasm).map_err(|error| error.to_string())
            });
            match stored {
                Ok(()) => {
                    fs::remove_file(&file).map_err(at(&file))?;
                    sync(&self.folder)?;
                }
                Err(what) => {
                    // Another generation may have been pushed since; then the file costs nothing but this line.
                    let served = name.as_ref().is_some_and(|name| {
                        self.index.mappers.get(name).is_some_and(|shelf| shelf.live.is_some())
                    });
                    let mapper = name.filter(|_| !served);
                    damage.push(Damage { mapper, file, what: format!("{what}; push it again") });
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a stored mapper, checked against their name.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read_bytes(folder: &Path, digest: Digest) -> Result<Bytes, Damage> {
    let file = place(folder, digest);
    let damage = |what: String| Damage { mapper: None, file: file.clone(), what };
    let wasm = fs::read(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damage("is not stored any more".to_owned()),
        _ => damage(format!("cannot be read: {error}")),
    })?;
    let found = Digest::of(&wasm);
    if found == digest {
        Ok(wasm.into())
    } else {
        Err(damage(format!("is damaged: its digest is {}", found.short())))
    }
}

/// Stores a mapper's bytes under their digest, whole or not at all. What is there and whole stays untouched.
///
/// # Errors
/// They cannot be written.
pub(super) fn keep_bytes(folder: &Path, digest: Digest, wasm: &[u8]) -> Result<(), Error> {
    if read_bytes(folder, digest).is_ok() {
        return Ok(());
    }
    write_whole(&place(folder, digest), wasm)
}

/// Replaces the index, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_index(folder: &Path, index: &Index) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(index).expect("names, numbers and texts");
    text.push(b'\n');
    write_whole(&folder.join(INDEX), &text)
}

/// Removes bytes that no index names, after the index that named them is gone from the disk.
///
/// # Errors
/// They cannot be removed.
pub(super) fn remove_bytes(folder: &Path, digests: &[Digest]) -> Result<(), Error> {
    for digest in digests {
        let file = place(folder, *digest);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&file)(error)),
            _ => {}
        }
    }
    sync(&folder.join(BYTES))
}

/// Bytes that no shelf names: a push was refused or cut off after they were written.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn strays(folder: &Path, index: &Index) -> Result<Vec<Digest>, Error> {
    let files = files(&folder.join(BYTES))?;
    Ok(files.iter().filter_map(|file| digest_of(file)).filter(|digest| !index.has(*digest)).collect())
}

/// What the manifest and the bytes of a mapper say for its line in the index.
///
/// # Errors
/// Why it is no mapper.
pub(super) fn generation(wasm: &[u8], by: &str, now: Time) -> Result<(MapperName, Generation), String> {
    let found = Host::inspect(wasm).map_err(|error| error.to_string())?;
    let manifest = found.manifest.ok_or("it has no manifest")?;
    let generation = Generation {
        version: manifest.version,
        digest: found.digest,
        size: wasm.len() as u64,
        pushed_by: by.chars().filter(|letter| !letter.is_control()).take(80).collect(),
        pushed_at: now,
        cases: found.cases,
        source: None,
        signed_by: None,
    };
    Ok((manifest.name, generation))
}

enum Read {
    Whole(Index),
    Nothing,
    Damaged(String),
}

fn read_index(folder: &Path) -> Result<Read, Error> {
    let file = folder.join(INDEX);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Nothing),
        Err(error) => return Err(at(&file)(error)),
    };
    let value: serde_json::Value = match serde_json::from_slice(&text) {
        Ok(value) => value,
        Err(error) => return Ok(Read::Damaged(format!("is damaged: {error}"))),
    };
    match value["format"].as_u64() {
        Some(format) if format > u64::from(FORMAT) => return Err(Error::Newer { file, format }),
        _ => {}
    }
    Ok(match serde_json::from_value(value) {
        Ok(index) => Read::Whole(index),
        Err(error) => Read::Damaged(format!("is damaged: {error}")),
    })
}

/// An index of the bytes that are there. Of a name with one generation that one is live; of a name with several
/// nobody knows, and to guess would be to serve a mapping that may have been taken back.
fn found_again(bytes: &Path, now: Time, damage: &mut Vec<Damage>) -> Result<Index, Error> {
    let mut index = Index::default();
    let mut all = files(bytes)?;
    all.sort();
    for file in all {
        let named = digest_of(&file);
        let found = fs::read(&file).map_err(|error| error.to_string());
        match found.and_then(|wasm| generation(&wasm, "found again", now)) {
            Ok((name, generation)) if Some(generation.digest) == named => {
                index.store(&name, generation)?;
            }
            Ok(_) => damage.push(Damage {
                mapper: None,
                file,
                what: "is damaged: its digest is another".to_owned(),
            }),
            Err(what) => damage.push(Damage { mapper: None, file, what }),
        }
    }
    for shelf in index.mappers.values_mut() {
        match shelf.generations.as_slice() {
            [one] => shelf.live = Some(one.digest),
            _ => shelf.lost = true,
        }
    }
    Ok(index)
}

fn write_whole(place: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = place.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder).map_err(at(folder))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(at(place))?;
    file.persist(place).map_err(|error| at(place)(error.error))?;
    sync(folder)
}

/// Removes what a crash left unfinished.
fn sweep(folder: &Path) -> Result<(), Error> {
    for file in files(folder)? {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(UNFINISHED) {
            fs::remove_file(&file).map_err(at(&file))?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Where a mapper's bytes lie.
pub(super) fn place(folder: &Path, digest: Digest) -> PathBuf {
    folder.join(BYTES).join(format!("{digest}.wasm"))
}

fn digest_of(file: &Path) -> Option<Digest> {
    is_wasm(file).then(|| Digest::parse(file.file_stem()?.to_str()?)).flatten()
}

fn is_wasm(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "wasm")
}

fn sync(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

fn at(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Io { file, source }
}
