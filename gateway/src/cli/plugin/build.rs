//! `plugin build`: from a mapper's folder to a component with its manifest, cached by what it is made of.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wit_component::ComponentEncoder;

use super::{
    command::{self, End, Line},
    description::{self, Description},
    sources,
    toolchain::{self, TARGET, Toolchain},
};
use crate::{
    mapper::{self, Host, Manifest},
    words::Digest,
};

/// What the compiler is told about every mapper, whatever its `Cargo.toml` says: the fastest code there is, and
/// one set of settings for all, so that what they share is compiled once.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];
/// 48 KiB hold a JSON parser that recurses to its own bound of 128 levels, so that depth is refused and not a trap.
const STACK: &str = "link-arg=-zstack-size=49152";
/// With the stack first, running out of it traps instead of overwriting data.
const STACK_FIRST: &str = "link-arg=--stack-first";
/// As much as the host keeps resident for a mapper: within it a message costs no page fault.
const MEMORY: &str = "link-arg=--initial-memory=131072";
/// Raised when the way of building changes, so that nothing older is taken from the cache.
const RECIPE: u32 = 1;

/// The compiler may be silent while it links one large crate on a slow machine.
const PATIENCE: Duration = Duration::from_secs(900);
/// Lines of the compiler's complaint that are kept.
const COMPLAINT: usize = 200;

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
    /// Nothing here compiles Rust to WebAssembly.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Missing),
    /// The compiler refused it.
    #[error("{name} does not compile ({toolchain})\n{complaint}")]
    Compile {
        /// The mapper.
        name: String,
        /// The toolchain, for people.
        toolchain: String,
        /// The last lines of what cargo said.
        complaint: String,
    },
    /// It compiled, but what came out is no mapper.
    #[error(
        "{name} compiles, but is no mapper that the gateway admits: {why}\n\
         help: `crossdock_mapper::export!(…)` in src/lib.rs makes one of a type that implements `Mapper`"
    )]
    Encode {
        /// The mapper.
        name: String,
        /// What the encoder says.
        why: String,
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

/// Where builds keep what they make.
#[derive(Clone, Debug)]
pub struct Places {
    /// Finished mappers, each in a folder named by the digest of what it is made of.
    pub mappers: PathBuf,
    /// Cargo's target folder of all mappers, so that what they share is compiled once.
    pub target: PathBuf,
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
        Ok(Self { mappers: cache.join("mappers"), target, compiled: cache.join("compiled") })
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
    let description = Description::read(plugin)?;
    let before = sources::read(plugin)?;
    // Looking into the cache comes before fetching a toolchain: where that fails, it fails slowly.
    let stored = |toolchain: &Toolchain| Stored::find(&places.folder(toolchain, before.all), &description);
    if let Some(built) = toolchain::find_ready(plugin).as_ref().and_then(stored) {
        return Ok(built);
    }
    let toolchain = toolchain::find(plugin, progress)?;
    if let Some(built) = stored(&toolchain) {
        return Ok(built);
    }
    let core = compile(plugin, &description, &toolchain, places, progress)?;
    // The first build writes the lock file; anything else that moved meanwhile makes the result doubtful.
    let after = sources::read(plugin)?;
    if after.written != before.written {
        return Err(Error::Changed { name: description.name.to_string() });
    }
    progress("encoding the component");
    let wasm = component(&core, &description)?;
    Stored::put(&places.folder(&toolchain, after.all), &description, &toolchain, &wasm)
}

impl Places {
    fn folder(&self, toolchain: &Toolchain, sources: Digest) -> PathBuf {
        let settings = format!("{RECIPE} {} {PROFILE:?} {STACK} {STACK_FIRST} {MEMORY}", toolchain.version);
        let mut text = settings.into_bytes();
        text.extend(sources.as_bytes());
        self.mappers.join(&Digest::of(&text).to_string()[..16])
    }
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
        toolchain: &Toolchain,
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

/// Compiles the core module.
fn compile(
    plugin: &Path,
    description: &Description,
    toolchain: &Toolchain,
    places: &Places,
    progress: &dyn Fn(&str),
) -> Result<Vec<u8>, Error> {
    progress(&format!("compiling {} with {}", description.name, toolchain.describe()));
    let failed = |complaint: String| Error::Compile {
        name: description.name.to_string(),
        toolchain: toolchain.describe(),
        complaint,
    };
    let file = match cargo(plugin, toolchain, places, &[STACK, STACK_FIRST, MEMORY], progress) {
        // Much static data needs more memory than the usual from the start; the linker then decides how much.
        Err(complaint) if complaint.contains("initial memory too small") => {
            cargo(plugin, toolchain, places, &[STACK, STACK_FIRST], progress)
        }
        other => other,
    };
    let file = file.map_err(failed)?;
    fs::read(&file).map_err(|source| Error::Store { path: file, source })
}

/// Runs cargo and gives the path of the module, or the last lines of what it complained about.
fn cargo(
    plugin: &Path,
    toolchain: &Toolchain,
    places: &Places,
    link: &[&str],
    progress: &dyn Fn(&str),
) -> Result<PathBuf, String> {
    let mut command = toolchain.cargo();
    command.current_dir(plugin);
    command.args(["rustc", "--release", "--lib", "--crate-type", "cdylib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]).args(toolchain.arguments());
    command.arg("--").args(link.iter().flat_map(|argument| ["-C", argument]));
    settle(&mut command, places);
    let (mut module, mut complaint) = (None, Vec::new());
    let end = command::run(&mut command, PATIENCE, &mut |line| match line {
        Line::Out(line) => module = artifact(&line).or(module.take()),
        Line::Err(line) => match line.trim_start().strip_prefix("Compiling ") {
            Some(package) => progress(&format!("  {}", package.split(" (").next().unwrap_or(package))),
            // Another build holds the target folder; without a word this would look like a standstill.
            None if line.trim_start().starts_with("Blocking waiting") => {
                progress("waiting for another build")
            }
            None => complaint.push(line),
        },
    });
    match (end, module) {
        (End::Fine, Some(module)) => Ok(module),
        (End::Fine, None) => Err("cargo made no module: the package needs a library".to_owned()),
        (End::Silent, _) => Err(format!("cargo said nothing for {} minutes", PATIENCE.as_secs() / 60)),
        (End::Absent, _) => Err("cargo could not be started".to_owned()),
        (End::Failed(_), _) => Err(complaint[complaint.len().saturating_sub(COMPLAINT)..].join("\n")),
    }
}

/// The settings that are the same for every mapper.
fn settle(command: &mut Command, places: &Places) {
    command.env("CARGO_TARGET_DIR", &places.target).envs(PROFILE).env("CARGO_TERM_COLOR", "never");
    // A panic's message names source files; the home of whoever built the mapper is nobody's business.
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    if let Some(home) = home {
        command.env("CARGO_ENCODED_RUSTFLAGS", format!("--remap-path-prefix={}=cargo", home.display()));
    }
}

/// The module's path, if the line is cargo's word that it is made.
fn artifact(line: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    message.filenames.into_iter().find(|name| name.extension().is_some_and(|extension| extension == "wasm"))
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

/// Encodes the component and writes the manifest into it.
fn component(core: &[u8], description: &Description) -> Result<Vec<u8>, Error> {
    let refused = |why: String| Error::Encode { name: description.name.to_string(), why };
    let encode = || ComponentEncoder::default().validate(true).module(core)?.encode();
    let wasm = encode().map_err(|error| refused(format!("{error:#}")))?;
    let wasm = mapper::with_manifest(&wasm, &manifest(description));
    // A module that exports nothing encodes as well; what the gateway would refuse is said here already.
    let found = Host::inspect(&wasm).map_err(|rejection| refused(rejection.to_string()))?;
    if let Some(obstacle) = found.obstacles.first() {
        return Err(refused(obstacle.to_string()));
    }
    Ok(wasm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_word_about_the_module_is_found_among_its_others() {
        let said =
            r#"{"reason":"compiler-artifact","filenames":["/t/x.d","/t/release/x.wasm"],"fresh":false}"#;
        assert_eq!(artifact(said), Some(PathBuf::from("/t/release/x.wasm")));
        for other in
            [r#"{"reason":"build-finished","success":true}"#, "", "Compiling", r#"{"filenames":["a.rlib"]}"#]
        {
            assert_eq!(artifact(other), None, "{other}");
        }
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
        let toolchain = Stored { digest: Digest::of(b"wasm"), toolchain: "rustc".into() };
        fs::write(root.path().join("built.json"), serde_json::to_vec(&toolchain).unwrap()).unwrap();
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
        if toolchain::find_ready(root.path()).is_none() {
            assert!(env::var_os("CI").is_none(), "no toolchain here compiles mappers, so nothing was tested");
            eprintln!("no toolchain here compiles mappers; this test was left out");
            return;
        }
        let folder = super::super::new::make("fresh", root.path(), root.path()).unwrap();
        let places = Places { mappers: root.path().join("mappers"), ..Places::usual().unwrap() };
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
