//! Finds or provides a toolchain that compiles Rust to WebAssembly.
//!
//! The order is: the wasm target of the user's own toolchain; `rustup target add`; Debian's `rustc-web` with
//! the standard library built from source, installed first where that is possible.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::super::machine::{self, ASK, Machine, Missing};

/// The target that mappers are compiled for: no WASI, nothing to import but the contract.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages that compile for it; its plain `rustc` is older than the code of the mappers.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// The target's library is 20 MB; without a network rustup gives up after a second or two by itself.
const DOWNLOAD: Duration = Duration::from_secs(90);

/// How a toolchain was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The user's toolchain has the target.
    Installed,
    /// rustup fetched the target just now.
    Rustup,
    /// Debian's packages, the standard library built from source.
    Debian,
}

/// A toolchain that compiles mappers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// How it was come by.
    pub way: Way,
    /// What the compiler says of itself: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub version: String,
    cargo: PathBuf,
    rustc: PathBuf,
    linker: Option<PathBuf>,
}

/// A toolchain that is there, without changing the machine: no download, no installation.
pub(super) fn ready(machine: &dyn Machine) -> Option<Toolchain> {
    installed(machine).or_else(|_| debian(machine)).ok()
}

/// Finds a toolchain, or provides one.
///
/// # Errors
/// No way leads to one; the error lists what was tried.
pub(super) fn find(machine: &dyn Machine, progress: &dyn Fn(&str)) -> Result<Toolchain, Missing> {
    let mut tried = Vec::new();
    find_by(machine, progress, &mut tried).ok_or_else(|| Missing {
        what: "Rust to wasm32-unknown-unknown",
        tried,
        help: format!(
            "install Rust by https://rustup.rs and run `rustup target add {TARGET}`;\n      \
             on Debian, as root: apt-get install {}",
            DEBIAN.join(" ")
        ),
    })
}

fn find_by(machine: &dyn Machine, progress: &dyn Fn(&str), tried: &mut Vec<String>) -> Option<Toolchain> {
    match installed(machine) {
        Ok(toolchain) => return Some(toolchain),
        Err(why) => tried.push(format!("the installed toolchain: {why}")),
    }
    if machine.run("rustup", &["--version"], ASK).is_ok() {
        progress(&format!("fetching {TARGET} by rustup"));
        match machine.run("rustup", &["target", "add", TARGET], DOWNLOAD) {
            Ok(_) => match installed(machine) {
                Ok(toolchain) => return Some(Toolchain { way: Way::Rustup, ..toolchain }),
                Err(why) => tried.push(format!("`rustup target add {TARGET}`: it ended well, but {why}")),
            },
            Err(why) => tried.push(format!("`rustup target add {TARGET}`: {why}")),
        }
    } else {
        tried.push("rustup: it is not installed".to_owned());
    }
    match debian(machine) {
        Ok(toolchain) => return Some(toolchain),
        Err(why) => tried.push(format!("Debian's packages: {why}")),
    }
    match machine::install(machine, &DEBIAN, progress).and_then(|()| debian(machine)) {
        Ok(toolchain) => Some(toolchain),
        Err(why) => {
            tried.push(format!("installing Debian's packages: {why}"));
            None
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

fn compiler_version(machine: &dyn Machine, rustc: &str) -> Result<String, String> {
    let said = machine.run(rustc, &["--version"], ASK).map_err(|why| format!("{rustc}: {why}"))?;
    said.lines()
        .find(|line| line.starts_with("rustc "))
        .map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("{rustc} does not say its version"))
}

impl Toolchain {
    /// For people: which compiler, and how it was come by.
    pub(super) fn describe(&self) -> String {
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

#[cfg(test)]
mod tests {
    use super::{super::super::machine::scripted::Scripted, *};

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
        super::find(machine, &|_| ())
    }

    #[test]
    fn an_installed_target_is_taken_and_nothing_is_fetched() {
        let machine =
            Scripted { answers: RUST.to_vec(), paths: vec!["/sysroot/wasm"], ..Scripted::default() };
        let toolchain = find(&machine).unwrap();
        assert_eq!((toolchain.way, toolchain.linker.clone()), (Way::Installed, None));
        assert_eq!(toolchain.describe(), "rustc 1.95.0, target wasm32-unknown-unknown installed");
        assert!(!machine.was_asked("rustup"));
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
        assert!(!machine.was_asked("apt-get"));
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
