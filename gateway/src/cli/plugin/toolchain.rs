//! Finds or provides a toolchain that compiles Rust to WebAssembly.
//!
//! The order is: the wasm target of the user's own toolchain; `rustup target add`; Debian's `rustc-web` with
//! the standard library built from source, installed first where that is possible.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::command::{self, End, Line};

/// The target that mappers are compiled for: no WASI, nothing to import but the contract.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages that compile for it; its plain `rustc` is older than the code of the mappers.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// Asking a compiler for its version; a proxy of rustup may have to load a little first.
const ASK: Duration = Duration::from_secs(30);
/// The target's library is 20 MB; without a network rustup gives up after a second or two by itself.
const DOWNLOAD: Duration = Duration::from_secs(90);
/// Debian's packages are 400 MB.
const INSTALL: Duration = Duration::from_secs(1200);

/// How a toolchain was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The user's toolchain has the target.
    Installed,
    /// rustup fetched the target just now.
    Rustup,
    /// Debian's packages, the standard library built from source.
    Debian,
}

/// A toolchain that compiles mappers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// How it was come by.
    pub way: Way,
    /// What the compiler says of itself: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub version: String,
    cargo: PathBuf,
    rustc: PathBuf,
    linker: Option<PathBuf>,
}

/// None of the ways leads to a toolchain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no toolchain on this machine compiles Rust to {TARGET}\n{}\n\
     help: install Rust by https://rustup.rs and run `rustup target add {TARGET}`;\n      \
     on Debian, as root: apt-get install {}", listed(.tried), DEBIAN.join(" ")
)]
pub struct Missing {
    /// What was tried, and what came of it.
    pub tried: Vec<String>,
}

fn listed(tried: &[String]) -> String {
    tried.iter().map(|line| format!("  tried {line}")).collect::<Vec<_>>().join("\n")
}

/// What the search may do to the machine; the tests put a scripted one in its place.
pub(super) trait Machine {
    /// Runs a program in the mapper's folder; the lines that it printed, standard output first.
    fn run(&self, program: &str, arguments: &[&str], patience: Duration) -> Result<String, String>;
    /// Whether there is something at the path.
    fn exists(&self, path: &Path) -> bool;
    /// Whether a folder holds a file that begins so.
    fn holds(&self, folder: &Path, prefix: &str) -> bool;
    /// Whether packages may be installed.
    fn is_root(&self) -> bool;
}

/// Finds a toolchain for the mapper in `folder`.
///
/// # Errors
/// No way leads to one; the error lists what was tried.
pub fn find(folder: &Path, progress: &dyn Fn(&str)) -> Result<Toolchain, Missing> {
    find_on(&Here { folder }, progress)
}

/// The same without changing the machine: no download, no installation.
pub fn find_ready(folder: &Path) -> Option<Toolchain> {
    let here = Here { folder };
    installed(&here).or_else(|_| debian(&here)).ok()
}

fn find_on(machine: &dyn Machine, progress: &dyn Fn(&str)) -> Result<Toolchain, Missing> {
    let mut tried = Vec::new();
    match installed(machine) {
        Ok(toolchain) => return Ok(toolchain),
        Err(why) => tried.push(format!("the installed toolchain: {why}")),
    }
    if machine.run("rustup", &["--version"], ASK).is_ok() {
        progress(&format!("fetching {TARGET} by rustup"));
        match machine.run("rustup", &["target", "add", TARGET], DOWNLOAD) {
            Ok(_) => match installed(machine) {
                Ok(toolchain) => return Ok(Toolchain { way: Way::Rustup, ..toolchain }),
                Err(why) => tried.push(format!("`rustup target add {TARGET}`: it ended well, but {why}")),
            },
            Err(why) => tried.push(format!("`rustup target add {TARGET}`: {why}")),
        }
    } else {
        tried.push("rustup: it is not installed".to_owned());
    }
    match debian(machine) {
        Ok(toolchain) => return Ok(toolchain),
        Err(why) => tried.push(format!("Debian's packages: {why}")),
    }
    if !machine.exists(Path::new("/etc/debian_version")) {
        return Err(Missing { tried });
    }
    if !machine.is_root() {
        tried.push("installing Debian's packages: only root may".to_owned());
        return Err(Missing { tried });
    }
    progress(&format!("installing {} (400 MB, once)", DEBIAN.join(", ")));
    match install(machine).and_then(|()| debian(machine)) {
        Ok(toolchain) => Ok(toolchain),
        Err(why) => {
            tried.push(format!("installing Debian's packages: {why}"));
            Err(Missing { tried })
        }
    }
}

/// The user's own toolchain, if it has the target's library.
fn installed(machine: &dyn Machine) -> Result<Toolchain, String> {
    let version = compiler_version(machine, "rustc")?;
    machine.run("cargo", &["--version"], ASK).map_err(|why| format!("cargo: {why}"))?;
    let library = machine.run("rustc", &["--print", "target-libdir", "--target", TARGET], ASK)?;
    if !machine.holds(Path::new(library.trim()), "libstd-") {
        return Err(format!("{version} has no target {TARGET}"));
    }
    Ok(Toolchain { way: Way::Installed, version, cargo: "cargo".into(), rustc: "rustc".into(), linker: None })
}

/// Debian's toolchain, if the library's source and a linker are there as well.
fn debian(machine: &dyn Machine) -> Result<Toolchain, String> {
    let (rustc, cargo) = ("/usr/bin/rustc", "/usr/bin/cargo");
    let version = compiler_version(machine, rustc)?;
    for needed in [cargo, "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"] {
        if !machine.exists(Path::new(needed)) {
            return Err(format!("{needed} is missing"));
        }
    }
    let linker =
        ["/usr/bin/wasm-ld", "/usr/bin/rust-lld", "/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| machine.exists(path))
            .ok_or("no linker: wasm-ld and rust-lld are missing")?;
    Ok(Toolchain {
        way: Way::Debian,
        version,
        cargo: cargo.into(),
        rustc: rustc.into(),
        linker: Some(linker),
    })
}

fn install(machine: &dyn Machine) -> Result<(), String> {
    let mut arguments = vec!["-y", "--no-install-recommends", "-o", "Acquire::http::Timeout=20", "install"];
    arguments.extend(DEBIAN);
    if machine.run("apt-get", &arguments, INSTALL).is_ok() {
        return Ok(());
    }
    // A fresh container knows no package until it has asked once.
    machine.run("apt-get", &["-o", "Acquire::http::Timeout=20", "update"], INSTALL)?;
    machine.run("apt-get", &arguments, INSTALL).map(|_| ())
}

fn compiler_version(machine: &dyn Machine, rustc: &str) -> Result<String, String> {
    let said = machine.run(rustc, &["--version"], ASK).map_err(|why| format!("{rustc}: {why}"))?;
    said.lines()
        .find(|line| line.starts_with("rustc "))
        .map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("{rustc} does not say its version"))
}

impl Toolchain {
    /// For people: which compiler, and how it was come by.
    pub fn describe(&self) -> String {
        let version = self.version.split(" (").next().unwrap_or(&self.version);
        match self.way {
            Way::Installed => format!("{version}, target {TARGET} installed"),
            Way::Rustup => format!("{version}, target {TARGET} added by rustup"),
            Way::Debian => format!("{version} of Debian, standard library from source"),
        }
    }

    /// Cargo with this compiler; nothing of the caller's own build leaks into it.
    pub(super) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        for foreign in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"]
        {
            command.env_remove(foreign);
        }
        command.env("RUSTC", &self.rustc);
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            // Debian has no library for the target, and building it is an unstable feature of cargo.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// The arguments that this toolchain needs besides the usual.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        match self.way {
            Way::Installed | Way::Rustup => &[],
            Way::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

/// The machine that this runs on.
struct Here<'a> {
    folder: &'a Path,
}

impl Machine for Here<'_> {
    fn run(&self, program: &str, arguments: &[&str], patience: Duration) -> Result<String, String> {
        let (mut out, mut last) = (String::new(), String::new());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder);
        // Without a network the answer should be no at once, not after several tries.
        command.envs([
            ("RUSTUP_MAX_RETRIES", "0"),
            ("RUSTUP_DOWNLOAD_TIMEOUT", "15"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ]);
        let end = command::run(&mut command, patience, &mut |line| match line {
            Line::Out(line) => {
                out.push_str(&line);
                out.push('\n');
            }
            Line::Err(line) if !line.trim().is_empty() => last = line.trim().to_owned(),
            Line::Err(_) => {}
        });
        match end {
            End::Fine => Ok(out),
            End::Failed(_) if last.is_empty() => Err("it failed without a word".to_owned()),
            End::Failed(_) => Err(last),
            End::Silent => Err(format!("stopped after {} s without a word", patience.as_secs())),
            End::Absent => Err("it is not installed".to_owned()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn holds(&self, folder: &Path, prefix: &str) -> bool {
        let Ok(entries) = folder.read_dir() else { return false };
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    }

    fn is_root(&self) -> bool {
        // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
        unsafe { libc::geteuid() == 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A machine by a script: which commands answer what, which paths are there, and what a command changes.
    #[derive(Default)]
    struct Scripted {
        answers: Vec<(&'static str, Result<&'static str, &'static str>)>,
        paths: Vec<&'static str>,
        appears: Vec<(&'static str, &'static str)>,
        there: RefCell<Vec<&'static str>>,
        asked: RefCell<Vec<String>>,
        root: bool,
    }

    impl Machine for Scripted {
        fn run(&self, program: &str, arguments: &[&str], _: Duration) -> Result<String, String> {
            let asked = format!("{program} {}", arguments.join(" "));
            let answer = self.answers.iter().find(|(begin, _)| asked.starts_with(begin));
            if matches!(answer, Some((_, Ok(_)))) {
                let new = self.appears.iter().filter(|(begin, _)| asked.starts_with(begin));
                self.there.borrow_mut().extend(new.map(|(_, path)| *path));
            }
            self.asked.borrow_mut().push(asked);
            match answer {
                Some((_, Ok(said))) => Ok((*said).to_owned()),
                Some((_, Err(why))) => Err((*why).to_owned()),
                None => Err("it is not installed".to_owned()),
            }
        }

        fn exists(&self, path: &Path) -> bool {
            let path = path.to_str().expect("the tests use plain paths");
            self.paths.contains(&path) || self.there.borrow().contains(&path)
        }

        fn holds(&self, folder: &Path, _: &str) -> bool {
            self.exists(folder)
        }

        fn is_root(&self) -> bool {
            self.root
        }
    }

    const RUST: [(&str, Result<&str, &str>); 3] = [
        ("rustc --version", Ok("rustc 1.95.0 (59807616e 2026-04-14)\n")),
        ("cargo --version", Ok("cargo 1.95.0\n")),
        ("rustc --print target-libdir", Ok("/sysroot/wasm\n")),
    ];
    const DEBIAN_RUST: (&str, Result<&str, &str>) =
        ("/usr/bin/rustc --version", Ok("rustc 1.96.0 (Debian)\n"));
    const DEBIAN_PATHS: [&str; 3] =
        ["/usr/bin/cargo", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml", "/usr/bin/wasm-ld"];

    fn find(machine: &Scripted) -> Result<Toolchain, Missing> {
        find_on(machine, &|_| ())
    }

    #[test]
    fn an_installed_target_is_taken_and_nothing_is_fetched() {
        let machine =
            Scripted { answers: RUST.to_vec(), paths: vec!["/sysroot/wasm"], ..Scripted::default() };
        let toolchain = find(&machine).unwrap();
        assert_eq!((toolchain.way, toolchain.linker.clone()), (Way::Installed, None));
        assert_eq!(toolchain.describe(), "rustc 1.95.0, target wasm32-unknown-unknown installed");
        assert!(!machine.asked.borrow().iter().any(|asked| asked.starts_with("rustup")));
    }

    #[test]
    fn a_missing_target_is_added_by_rustup() {
        let mut answers = RUST.to_vec();
        answers.extend([("rustup --version", Ok("rustup 1.29\n")), ("rustup target add", Ok(""))]);
        let machine = Scripted {
            answers,
            appears: vec![("rustup target add", "/sysroot/wasm")],
            ..Scripted::default()
        };
        assert_eq!(find(&machine).unwrap().way, Way::Rustup);
    }

    #[test]
    fn without_a_network_debians_packages_serve() {
        let mut answers = RUST.to_vec();
        answers.extend([
            ("rustup --version", Ok("rustup 1.29\n")),
            ("rustup target add", Err("could not download")),
            DEBIAN_RUST,
        ]);
        let machine = Scripted { answers, paths: DEBIAN_PATHS.to_vec(), ..Scripted::default() };
        let toolchain = find(&machine).unwrap();
        assert_eq!(toolchain.way, Way::Debian);
        assert_eq!(toolchain.linker.as_deref(), Some(Path::new("/usr/bin/wasm-ld")));
        assert_eq!(toolchain.arguments(), ["-Zbuild-std=std,panic_abort"]);
        assert!(!machine.asked.borrow().iter().any(|asked| asked.starts_with("apt-get")));
    }

    #[test]
    fn root_on_a_bare_debian_gets_the_packages_installed() {
        let appears = DEBIAN_PATHS.iter().map(|path| ("apt-get -y", *path)).collect();
        let machine = Scripted {
            answers: vec![("apt-get -y", Ok("")), DEBIAN_RUST],
            paths: vec!["/etc/debian_version"],
            appears,
            root: true,
            ..Scripted::default()
        };
        assert_eq!(find(&machine).unwrap().way, Way::Debian);
    }

    #[test]
    fn when_no_way_leads_there_each_is_listed_with_what_came_of_it() {
        let machine = Scripted {
            answers: vec![RUST[0], RUST[1], RUST[2]],
            paths: vec!["/etc/debian_version"],
            ..Scripted::default()
        };
        let text = find(&machine).unwrap_err().to_string();
        for part in [
            "1.95.0 (59807616e 2026-04-14) has no target",
            "rustup: it is not installed",
            "only root may",
            "help:",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_compiler_that_answers_nonsense_is_no_compiler() {
        let machine = Scripted { answers: vec![("rustc --version", Ok("hello\n"))], ..Scripted::default() };
        assert!(find(&machine).unwrap_err().tried[0].contains("does not say its version"));
    }
}
