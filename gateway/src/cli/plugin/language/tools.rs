//! Compilers that are fetched for mappers alone, from npm, PyPI, Maven Central and the Go module proxy. Each lies in a folder of its own under
//! `crossdock/tools` in the user's cache, named by the digest of the file that pins it: every file that is fetched is
//! held against a hash in there.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::machine::{ASK, Machine};
use crate::words::Digest;

/// Fetching up to 100 MB over a slow line; npm and pip tell nothing meanwhile.
const FETCH: Duration = Duration::from_secs(600);

/// A compiler from PyPI.
pub(super) struct FromPython {
    /// The package's name.
    pub name: &'static str,
    /// The version and the hashes of its files, as pip reads them.
    pub pinned: &'static str,
    /// How much is fetched, for people.
    pub size: &'static str,
}

/// Compilers from npm.
pub(super) struct FromNpm {
    /// What they are together.
    pub name: &'static str,
    /// `package.json`.
    pub package: &'static str,
    /// `package-lock.json`.
    pub pinned: &'static str,
    /// How much is fetched, for people.
    pub size: &'static str,
}

impl FromPython {
    /// Where it is, once it was fetched.
    pub fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(name(self.name, self.pinned))
    }

    /// Its version, as it is pinned.
    pub fn version(&self) -> &'static str {
        let line = self.pinned.lines().next().unwrap_or_default();
        line.split("==").nth(1).unwrap_or_default().trim_end_matches(['\\', ' '])
    }

    /// Fetches it.
    ///
    /// # Errors
    /// There is no pip, or it failed; in words for the list of what was tried.
    pub fn fetch(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<PathBuf, String> {
        machine
            .run("python3", &["-m", "pip", "--version"], ASK)
            .map_err(|_| "python3 has no pip; on Debian, as root: apt-get install python3-pip".to_owned())?;
        progress(&format!("fetching {} {} from PyPI ({}, once)", self.name, self.version(), self.size));
        place(&self.folder(tools), |fresh| {
            let list = fresh.join("requirements.txt");
            fs::write(&list, self.pinned).map_err(|error| format!("{}: {error}", list.display()))?;
            let (list, fresh) = (list.display().to_string(), fresh.display().to_string());
            let quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"];
            let strict = ["--require-hashes", "--only-binary", ":all:", "--target", &fresh, "-r", &list];
            let arguments: Vec<&str> =
                ["-m", "pip", "install"].into_iter().chain(quiet).chain(strict).collect();
            machine.run("python3", &arguments, FETCH).map(|_| ())
        })
    }
}

impl FromNpm {
    /// Where they are, once they were fetched.
    pub fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(name(self.name, self.pinned))
    }

    /// Fetches them.
    ///
    /// # Errors
    /// There is no npm, or it failed; in words for the list of what was tried.
    pub fn fetch(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<PathBuf, String> {
        machine
            .run("npm", &["--version"], ASK)
            .map_err(|_| "npm is not installed; on Debian, as root: apt-get install nodejs npm".to_owned())?;
        progress(&format!("fetching {} from npm ({}, once)", self.name, self.size));
        place(&self.folder(tools), |fresh| {
            for (file, text) in [("package.json", self.package), ("package-lock.json", self.pinned)] {
                let file = fresh.join(file);
                fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
            }
            // Nothing that a package brings along is run while it is installed.
            let fresh = fresh.display().to_string();
            let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", &fresh];
            machine.run("npm", &arguments, FETCH).map(|_| ())
        })
    }
}

/// Compilers from Maven Central.
pub(super) struct FromMaven {
    /// What they are together.
    pub name: &'static str,
    /// SHA-256 and path of each file, a line each; the version is a folder of the path.
    pub pinned: &'static str,
    /// How much is fetched, for people.
    pub size: &'static str,
}

/// Fetches files by such a list; a JDK runs it from its source, so that nothing besides a JDK is needed.
const FETCH_FROM_MAVEN: &str = include_str!("../../../../../plugin-sdk/tools/Fetch.java");

impl FromMaven {
    /// Where they are, once they were fetched.
    pub fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(name(self.name, self.pinned))
    }

    /// The version of the first file.
    pub fn version(&self) -> &'static str {
        self.pinned.lines().next().and_then(|line| line.rsplit('/').nth(1)).unwrap_or_default()
    }

    /// Fetches them.
    ///
    /// # Errors
    /// A file cannot be had, or is another one than is pinned; in words for the list of what was tried.
    pub fn fetch(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<PathBuf, String> {
        let version = self.version();
        progress(&format!("fetching {} {version} from Maven Central ({}, once)", self.name, self.size));
        place(&self.folder(tools), |fresh| {
            let (list, program) = (fresh.join("pinned.txt"), fresh.join("Fetch.java"));
            for (file, text) in [(&list, self.pinned), (&program, FETCH_FROM_MAVEN)] {
                fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
            }
            let [program, list, fresh] = [&program, &list, fresh].map(|path| path.display().to_string());
            let arguments = ["-Djava.net.useSystemProxies=true", &program, &list, &fresh];
            machine.run("java", &arguments, FETCH).map(|_| ())
        })
    }
}

/// A Go toolchain from the module proxy.
pub(super) struct FromGo {
    /// Platform, version and hash in Go's checksum database, a line for each platform.
    pub pinned: &'static str,
    /// How much is fetched, for people.
    pub size: &'static str,
}

/// Fetches a toolchain by its hash.
const FETCH_FROM_GO: &str = include_str!("../../../../../plugin-sdk/tools/fetch_go.py");

impl FromGo {
    /// Where it is, once it was fetched.
    pub fn folder(&self, tools: &Path) -> PathBuf {
        tools.join(name("go", self.pinned))
    }

    /// The version and the hash for this platform; none where none is pinned.
    pub fn here(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let here = format!("{os}-{machine}");
        self.pinned.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (platform, version, hash) = (words.next()?, words.next()?, words.next()?);
            (platform == here).then_some((platform, version, hash))
        })
    }

    /// Fetches it.
    ///
    /// # Errors
    /// It is not pinned for this platform, there is no Python, or the proxy gave nothing or something else.
    pub fn fetch(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<PathBuf, String> {
        let (platform, version, hash) = self.here().ok_or("none is pinned for this platform")?;
        machine
            .run("python3", &["--version"], ASK)
            .map_err(|_| "python3 is not installed, which fetches it".to_owned())?;
        progress(&format!("fetching {version} from the Go module proxy ({}, once)", self.size));
        place(&self.folder(tools), |fresh| {
            let program = fresh.join("fetch_go.py");
            fs::write(&program, FETCH_FROM_GO).map_err(|error| format!("{}: {error}", program.display()))?;
            let (program, fresh) = (program.display().to_string(), fresh.display().to_string());
            machine.run("python3", &[&program, version, platform, hash, &fresh], FETCH).map(|_| ())
        })
    }
}

fn name(name: &str, pinned: &str) -> String {
    format!("{name}-{}", &Digest::of(pinned.as_bytes()).to_string()[..12])
}

/// Fills a folder beside `folder` and puts it in its place, so that nobody ever finds half of a compiler.
fn place(folder: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let parent = folder.parent().expect("a tool's folder lies in the folder of tools");
    let failed = |error: std::io::Error| format!("{}: {error}", parent.display());
    fs::create_dir_all(parent).map_err(failed)?;
    let fresh = tempfile::tempdir_in(parent).map_err(failed)?;
    fill(fresh.path())?;
    match fs::rename(fresh.path(), folder) {
        // What was put there meanwhile is the same.
        Err(_) if folder.is_dir() => {}
        ended => ended.map_err(failed)?,
    }
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    const TOOL: FromPython = FromPython { name: "ziglang", pinned: "ziglang==1.2 \\\n", size: "1 MB" };

    #[test]
    fn a_tool_is_fetched_into_a_folder_of_its_pins_and_found_there() {
        let root = tempfile::tempdir().unwrap();
        let machine = Scripted {
            answers: vec![("python3 -m pip --version", Ok("pip 1")), ("python3 -m pip install", Ok(""))],
            ..Scripted::default()
        };
        let folder = TOOL.fetch(&machine, root.path(), &|_| ()).unwrap();
        assert_eq!((TOOL.version(), &folder), ("1.2", &TOOL.folder(root.path())));
        assert_eq!(fs::read_to_string(folder.join("requirements.txt")).unwrap(), TOOL.pinned);
        let other = FromPython { pinned: "ziglang==1.3 \\\n", ..TOOL };
        assert_ne!(other.folder(root.path()), folder, "another version lies elsewhere");
    }

    #[test]
    fn a_fetch_that_fails_leaves_nothing_and_says_why() {
        let root = tempfile::tempdir().unwrap();
        let machine = Scripted {
            answers: vec![
                ("python3 -m pip --version", Ok("pip 1")),
                ("python3 -m pip install", Err("THESE PACKAGES DO NOT MATCH THE HASHES")),
            ],
            ..Scripted::default()
        };
        let why = TOOL.fetch(&machine, root.path(), &|_| ()).unwrap_err();
        assert!(why.contains("DO NOT MATCH"), "{why}");
        assert_eq!(root.path().read_dir().unwrap().count(), 0);
        let why = TOOL.fetch(&Scripted::default(), root.path(), &|_| ()).unwrap_err();
        assert!(why.contains("apt-get install python3-pip"), "{why}");
    }
}
