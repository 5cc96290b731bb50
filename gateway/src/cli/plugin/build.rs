//! `plugin build`: from a mapper's folder to a component with its manifest, cached by what it is made of.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use wit_component::ComponentEncoder;

use super::{
    description::{self, Description, Language},
    language::{self, Here, Job, Made, Room, Toolchain},
    progress::Progress,
    sources,
};
use crate::{
    mapper::{self, Cases, Host, Manifest},
    words::{Clock, Digest},
};

/// Raised when the way of building changes, so that nothing older is taken from the cache.
const RECIPE: u32 = 1;

/// A mapper that was built, now or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The component.
    pub wasm: PathBuf,
    /// The component's digest.
    pub digest: Digest,
    /// Whether it was taken from the cache.
    pub cached: bool,
    /// The toolchain that built it, for people.
    pub toolchain: String,
    /// The component's size in bytes.
    pub size: u64,
    /// How many cases it carries.
    pub cases: usize,
}

/// Why a mapper could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its `mapper.yaml` is missing or wrong.
    #[error(transparent)]
    Description(#[from] description::Error),
    /// Its sources cannot be read.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// Nothing here compiles its language to WebAssembly.
    #[error(transparent)]
    Toolchain(#[from] language::Missing),
    /// The compiler refused it.
    #[error("{name} does not compile ({toolchain})\n{brief}")]
    Compile {
        /// The mapper.
        name: String,
        /// The toolchain, for people.
        toolchain: String,
        /// What the compiler said that is about the mapper.
        brief: String,
        /// All that the compiler said, or the last lines of it.
        complaint: String,
    },
    /// Its cases cannot go into it.
    #[error("{}: {what}", folder.display())]
    Cases {
        /// The folder of cases.
        folder: PathBuf,
        /// Why not.
        what: String,
    },
    /// It compiled, but what came out is no mapper.
    #[error("{name} compiles, but is no mapper that the gateway admits: {why}\nhelp: {entry}")]
    Encode {
        /// The mapper.
        name: String,
        /// What the encoder or the admission says.
        why: String,
        /// How a mapper comes to be one in its language.
        entry: &'static str,
    },
    /// Its sources changed while it was compiled.
    #[error("{name} changed while it was built; build it again")]
    Changed {
        /// The mapper.
        name: String,
    },
    /// The cache or the output folder cannot be written, or no home for the cache is known.
    #[error("{}: {source}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Builds with its steps on standard error.
///
/// # Errors
/// See [`Error`].
pub(super) fn build_telling(folder: &Path, clock: &dyn Clock) -> Result<Built, Error> {
    let progress = Progress::new(clock);
    let built = build(folder, &|line| progress.tell(line));
    progress.clear();
    built
}

impl Error {
    /// The error for people: with all that a compiler said, or with what of it is about the mapper.
    pub fn told(&self, verbose: bool) -> String {
        match self {
            Self::Compile { name, toolchain, complaint, .. } if verbose => {
                format!("{name} does not compile ({toolchain})\n{complaint}")
            }
            Self::Compile { brief, complaint, .. } if brief.trim() != complaint.trim() => {
                let lines = complaint.lines().count();
                format!("{self}\nhelp: --verbose shows all {lines} lines that the compiler said")
            }
            other => other.to_string(),
        }
    }
}

/// Where builds keep what they make.
#[derive(Clone, Debug)]
pub struct Places {
    /// Finished mappers, each in a folder named by the digest of what it is made of.
    pub mappers: PathBuf,
    /// Cargo's target folder of all mappers, so that what they share is compiled once.
    pub target: PathBuf,
    /// Compilers that are fetched for mappers alone.
    pub tools: PathBuf,
    /// What other languages' compilers keep for the next build.
    pub work: PathBuf,
    /// Mappers in machine code, as the host keeps them.
    pub compiled: PathBuf,
}

impl Places {
    /// `${XDG_CACHE_HOME:-~/.cache}/crossdock`; `CROSSDOCK_GUEST_TARGET` puts cargo's folder elsewhere.
    ///
    /// # Errors
    /// The environment names no home.
    pub fn usual() -> Result<Self, Error> {
        let from = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
        let cache = cache.map(|cache| cache.join("crossdock")).ok_or_else(|| Error::Store {
            path: PathBuf::from("~/.cache/crossdock"),
            source: io::Error::new(io::ErrorKind::NotFound, "neither XDG_CACHE_HOME nor HOME is set"),
        })?;
        let target = from("CROSSDOCK_GUEST_TARGET").unwrap_or_else(|| cache.join("guest-target"));
        Ok(Self {
            mappers: cache.join("mappers"),
            target,
            tools: cache.join("tools"),
            work: cache.join("guest-work"),
            compiled: cache.join("compiled"),
        })
    }

    fn folder(&self, toolchain: &dyn Toolchain, sources: Digest, hasty: bool) -> PathBuf {
        let haste = if hasty { " hasty" } else { "" };
        let mut text = format!("{RECIPE} {}{haste}", toolchain.key()).into_bytes();
        text.extend(sources.as_bytes());
        self.mappers.join(&Digest::of(&text).to_string()[..16])
    }

    fn work(&self, language: Language) -> PathBuf {
        match language {
            Language::Rust => self.target.clone(),
            other => self.work.join(other.to_string()),
        }
    }
}

/// Builds the mapper in the folder `plugin`, or takes it from the cache. `progress` hears a line for each step;
/// one that begins with a space belongs to the step before it. Blocks, a minute or two the first time.
///
/// # Errors
/// The description, the sources, the toolchain or the compiler stand in the way; the error says what to do.
pub fn build(plugin: &Path, progress: &dyn Fn(&str)) -> Result<Built, Error> {
    build_in(plugin, &Places::usual()?, progress)
}

/// The same, with the cache in other places.
///
/// # Errors
/// As [`build`].
pub fn build_in(plugin: &Path, places: &Places, progress: &dyn Fn(&str)) -> Result<Built, Error> {
    make(plugin, places, &mut Way::Thorough, progress)
}

/// The same in little time, where the language can: what comes out does the same, and is slower. For the author's eyes
/// alone; nothing of it goes live. The toolchain is kept for the next time.
///
/// # Errors
/// As [`build`].
pub(super) fn build_hastily(plugin: &Path, kept: &mut Kept, progress: &dyn Fn(&str)) -> Result<Built, Error> {
    make(plugin, &Places::usual()?, &mut Way::Hasty(kept), progress)
}

/// The toolchain of the last time, with its language.
pub(super) type Kept = Option<(Language, Box<dyn Toolchain>)>;

/// How a mapper is built.
enum Way<'a> {
    /// To run fast.
    Thorough,
    /// To be there soon.
    Hasty(&'a mut Kept),
}

impl Way<'_> {
    fn is_hasty(&self) -> bool {
        matches!(self, Self::Hasty(_))
    }

    /// Whether the toolchain of the last time is one for this language.
    fn kept(&mut self, language: Language) -> Option<Box<dyn Toolchain>> {
        match self {
            Self::Hasty(kept) => {
                kept.take().filter(|(of, _)| *of == language).map(|(_, toolchain)| toolchain)
            }
            Self::Thorough => None,
        }
    }

    fn keep(&mut self, language: Language, toolchain: Box<dyn Toolchain>) {
        if let Self::Hasty(kept) = self {
            **kept = Some((language, toolchain));
        }
    }
}

fn make(plugin: &Path, places: &Places, way: &mut Way<'_>, progress: &dyn Fn(&str)) -> Result<Built, Error> {
    let description = Description::read(plugin)?;
    let bare = compiled_in(plugin, &description, places, way, progress)?;
    // What nothing goes live of needs no proof.
    if way.is_hasty() { Ok(bare) } else { with_cases(bare, plugin) }
}

/// The mapper without its cases, which change more often than it does.
fn compiled_in(
    plugin: &Path,
    description: &Description,
    places: &Places,
    way: &mut Way<'_>,
    progress: &dyn Fn(&str),
) -> Result<Built, Error> {
    let room = language::room(description.language);
    let before = sources::read(plugin, room.sources())?;
    let machine = Here { folder: plugin };
    let hasty = way.is_hasty();
    // Looking into the cache comes before fetching a toolchain: where that fails, it fails slowly.
    let stored =
        |toolchain: &dyn Toolchain| Stored::find(&places.folder(toolchain, before.all, hasty), description);
    let ready = way.kept(description.language).or_else(|| room.ready(&machine, &places.tools));
    let toolchain = match ready {
        Some(toolchain) => toolchain,
        None => room.find(&machine, &places.tools, progress)?,
    };
    if let Some(built) = stored(&*toolchain) {
        way.keep(description.language, toolchain);
        return Ok(built);
    }
    progress(&format!("compiling {} with {}", description.name, toolchain.describe()));
    let job = Job { plugin, work: &places.work(description.language), hasty, progress };
    let made = toolchain.compile(&job).map_err(|complaint| Error::Compile {
        name: description.name.to_string(),
        toolchain: toolchain.describe(),
        brief: room.brief(&complaint),
        complaint,
    });
    let folder = |sources: Digest| places.folder(&*toolchain, sources, hasty);
    let built = made.and_then(|made| {
        // The first build writes the lock file; anything else that moved meanwhile makes the result doubtful.
        let after = sources::read(plugin, room.sources())?;
        if after.written != before.written {
            return Err(Error::Changed { name: description.name.to_string() });
        }
        let wasm = finish(made, description, room, progress)?;
        Stored::put(&folder(after.all), description, &*toolchain, &wasm)
    });
    way.keep(description.language, toolchain);
    built
}

/// Puts the files below `cases/` into the mapper: they travel with it, and a gateway runs them before it lets it in.
fn with_cases(bare: Built, plugin: &Path) -> Result<Built, Error> {
    let folder = plugin.join(sources::CASES);
    let cases = carried(&folder).map_err(|what| Error::Cases { folder, what })?;
    let store = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Store { path, source }
    };
    let wasm = cases.put_into(&fs::read(&bare.wasm).map_err(store(&bare.wasm))?);
    let digest = Digest::of(&wasm);
    if digest == bare.digest {
        return Ok(bare);
    }
    let name = bare.wasm.file_name().expect("a mapper's file has a name");
    let room = bare.wasm.with_file_name(&digest.to_string()[..16]);
    fs::create_dir_all(&room).map_err(store(&room))?;
    let file = room.join(name);
    if fs::read(&file).map(|there| Digest::of(&there)).ok() != Some(digest) {
        write(&file, &wasm)?;
    }
    Ok(Built { wasm: file, digest, size: wasm.len() as u64, cases: cases.count(), ..bare })
}

/// The files of all cases; hidden ones are nobody's case, and a case has no folders but `tables`.
fn carried(folder: &Path) -> Result<Cases, String> {
    let mut cases = Cases::default();
    let mut queue = vec![(folder.to_owned(), String::new())];
    while let Some((folder, path)) = queue.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries = folder.read_dir().map_err(|error| error.to_string())?;
        for entry in entries.flatten() {
            let (name, here) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            if name.starts_with('.') {
                continue;
            }
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if here.is_dir() {
                queue.push((here, path));
            } else {
                // Beside the cases lie notes for people.
                if path.contains('/') {
                    let content = fs::read(&here).map_err(|error| format!("{}: {error}", here.display()))?;
                    cases.add(&path, content.into())?;
                }
            }
        }
    }
    Ok(cases)
}

/// What lies beside a finished mapper.
#[derive(Serialize, Deserialize)]
struct Stored {
    digest: Digest,
    toolchain: String,
}

impl Stored {
    fn file(folder: &Path, description: &Description) -> PathBuf {
        folder.join(format!("{}-{}.wasm", description.name, description.version))
    }

    /// A mapper from the cache, unless a byte of it changed since.
    fn find(folder: &Path, description: &Description) -> Option<Built> {
        let file = Self::file(folder, description);
        let wasm = fs::read(&file).ok()?;
        let stored: Self = serde_json::from_slice(&fs::read(folder.join("built.json")).ok()?).ok()?;
        (stored.digest == Digest::of(&wasm)).then(|| stored.built(description, file, &wasm, true))
    }

    fn put(
        folder: &Path,
        description: &Description,
        toolchain: &dyn Toolchain,
        wasm: &[u8],
    ) -> Result<Built, Error> {
        let file = Self::file(folder, description);
        let stored = Self { digest: Digest::of(wasm), toolchain: toolchain.describe() };
        let note = serde_json::to_vec(&stored).expect("a digest and a text are always JSON");
        fs::create_dir_all(folder).map_err(|source| Error::Store { path: folder.to_owned(), source })?;
        write(&file, wasm)?;
        write(&folder.join("built.json"), &note)?;
        Ok(stored.built(description, file, wasm, false))
    }

    fn built(self, description: &Description, wasm: PathBuf, content: &[u8], cached: bool) -> Built {
        Built {
            name: description.name.to_string(),
            version: description.version.to_string(),
            wasm,
            digest: self.digest,
            cached,
            toolchain: self.toolchain,
            size: content.len() as u64,
            cases: 0,
        }
    }
}

/// Copies a finished mapper into `folder`, under its own name.
///
/// # Errors
/// The folder cannot be written.
pub fn copy_to(built: &Built, folder: &Path) -> Result<PathBuf, Error> {
    let store = |source| Error::Store { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(store)?;
    let file = folder.join(built.wasm.file_name().expect("a mapper's file has a name"));
    write(&file, &fs::read(&built.wasm).map_err(store)?)?;
    Ok(file)
}

/// Writes a file so that nobody ever reads half of it.
fn write(file: &Path, content: &[u8]) -> Result<(), Error> {
    let store = |source| Error::Store { path: file.to_owned(), source };
    let folder = file.parent().expect("the file is in the cache's folder");
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(store)?;
    io::Write::write_all(&mut fresh, content).map_err(store)?;
    fresh.persist(file).map(|_| ()).map_err(|error| store(error.error))
}

/// The description as the host reads it.
fn manifest(from: &Description) -> Manifest {
    Manifest {
        name: from.name.clone(),
        version: from.version.to_string(),
        contract: from.contract.to_string(),
        language: from.language.to_string(),
        standard: from.standard.clone(),
        directions: from.directions.iter().map(|direction| (*direction).into()).collect(),
        reads: from.reads.clone(),
        writes: from.writes.clone(),
        canonical: from.canonical.to_string(),
        tables: from.tables.clone(),
        control_numbers: from.control_numbers.clone(),
    }
}

/// Makes a mapper of what the compiler made: encoded where need be, with its manifest.
fn finish(
    made: Made,
    description: &Description,
    room: &dyn Room,
    progress: &dyn Fn(&str),
) -> Result<Vec<u8>, Error> {
    let refused =
        |why: String| Error::Encode { name: description.name.to_string(), why, entry: room.entry() };
    let wasm = match made {
        Made::Component(wasm) | Made::Command(wasm) => Ok(wasm),
        Made::Module(core) => encode(&core, progress),
        Made::Untyped(core) => language::contract::with_type(core).and_then(|core| encode(&core, progress)),
    };
    let wasm = wasm.map_err(|error| refused(format!("{error:#}")))?;
    let wasm = mapper::with_manifest(&wasm, &manifest(description));
    // A module that exports nothing encodes as well; what the gateway would refuse is said here already.
    let found = Host::inspect(&wasm).map_err(|rejection| refused(rejection.to_string()))?;
    if let Some(obstacle) = found.obstacles.first() {
        return Err(refused(obstacle.to_string()));
    }
    Ok(wasm)
}

fn encode(core: &[u8], progress: &dyn Fn(&str)) -> anyhow::Result<Vec<u8>> {
    progress("encoding the component");
    ComponentEncoder::default().validate(true).module(core)?.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(core: &[u8], description: &Description) -> Result<Vec<u8>, Error> {
        let room = language::room(description.language);
        finish(Made::Module(core.to_vec()), description, room, &|_| ())
    }

    #[test]
    fn a_module_without_a_mapper_says_what_is_missing() {
        let description = serde_saphyr::from_str(
            "{name: a, version: 1.0.0, contract: 'crossdock:mapper@1.0.0', language: rust, directions: [to-canonical], canonical: v1}",
        )
        .unwrap();
        let module = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
        let wasm = component(&module, &description);
        let why = wasm.unwrap_err().to_string();
        assert!(why.contains("to-canonical"), "{why}");
        assert!(matches!(component(b"not wasm", &description), Err(Error::Encode { .. })));
    }

    #[test]
    fn a_mapper_in_the_cache_is_taken_only_whole() {
        let root = tempfile::tempdir().unwrap();
        let description: Description = serde_saphyr::from_str(
            "{name: a, version: 1.0.0, contract: 'crossdock:mapper@1.0.0', language: rust, directions: [to-canonical], canonical: v1}",
        )
        .unwrap();
        let note = Stored { digest: Digest::of(b"wasm"), toolchain: "rustc".into() };
        fs::write(root.path().join("built.json"), serde_json::to_vec(&note).unwrap()).unwrap();
        assert_eq!(Stored::find(root.path(), &description), None);
        fs::write(root.path().join("a-1.0.0.wasm"), b"wasm").unwrap();
        let found = Stored::find(root.path(), &description).unwrap();
        assert!(found.cached);
        assert_eq!((found.digest, found.size), (Digest::of(b"wasm"), 4));
        fs::write(root.path().join("a-1.0.0.wasm"), b"wasn").unwrap();
        assert_eq!(Stored::find(root.path(), &description), None, "a damaged mapper is built again");
    }

    #[test]
    fn a_new_mapper_builds_once_and_is_admitted() {
        let root = tempfile::tempdir().unwrap();
        let places = Places { mappers: root.path().join("mappers"), ..Places::usual().unwrap() };
        let rust = language::room(Language::Rust);
        if rust.ready(&Here { folder: root.path() }, &places.tools).is_none() {
            assert!(env::var_os("CI").is_none(), "no toolchain here compiles mappers, so nothing was tested");
            eprintln!("no toolchain here compiles mappers; this test was left out");
            return;
        }
        let folder = super::super::new::make("fresh", Language::Rust, root.path(), root.path()).unwrap();
        let built = build_in(&folder, &places, &|_| ()).unwrap();
        assert!(!built.cached);
        let found = Host::inspect(&fs::read(&built.wasm).unwrap()).unwrap();
        assert_eq!(found.obstacles, []);
        assert_eq!(found.manifest.unwrap().name.as_str(), "fresh");
        assert_eq!(build_in(&folder, &places, &|_| ()).unwrap(), Built { cached: true, ..built.clone() });
        // A case is nothing that the mapper is compiled from; its code is.
        fs::write(folder.join("cases/release/out.json"), "{}").unwrap();
        assert!(build_in(&folder, &places, &|_| ()).unwrap().cached);
        fs::write(folder.join("src/lib.rs"), "compile_error!(\"not like this\");").unwrap();
        let error = build_in(&folder, &places, &|_| ()).unwrap_err().to_string();
        assert!(error.contains("not like this") && error.contains("src/lib.rs:1:1"), "{error}");
    }
}
