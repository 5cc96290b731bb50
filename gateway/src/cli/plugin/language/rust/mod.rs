//! Mappers in Rust, compiled by cargo.

mod sources;
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::{
    super::command::{self, End, Line},
    COMPLAINT, Job, Machine, Made, Missing, PATIENCE, Room, Sources, Template,
};
use toolchain::{TARGET, Toolchain};

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
/// What is changed where it is to be there soon: most is kept from the last time, and little is optimised but the size,
/// for the host has to compile what comes out.
const HASTY: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
];
/// 48 KiB hold a JSON parser that recurses to its own bound of 128 levels, so that depth is refused and not a trap.
const STACK: &str = "link-arg=-zstack-size=49152";
/// With the stack first, running out of it traps instead of overwriting data.
const STACK_FIRST: &str = "link-arg=--stack-first";
/// As much as the host keeps resident for a mapper: within it a message costs no page fault.
const MEMORY: &str = "link-arg=--initial-memory=131072";

/// The room of Rust.
pub(super) struct Rust;

impl Room for Rust {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("Cargo.toml", include_str!("../../../../../../plugin-sdk/rust/template/Cargo.toml.in")),
                ("src/lib.rs", include_str!("../../../../../../plugin-sdk/rust/template/src/lib.rs")),
            ],
            main: "src/lib.rs",
            natively: ", or `cargo test` natively",
            sdk: Some("rust"),
        }
    }

    fn sources(&self) -> Sources {
        Sources {
            aside: &["target", "template", "tests", "examples", "benches"],
            lock: Some("Cargo.lock"),
            elsewhere: sources::elsewhere,
        }
    }

    fn ready(&self, machine: &dyn Machine, _: &Path) -> Option<Box<dyn super::Toolchain>> {
        toolchain::ready(machine).map(|found| Box::new(found) as _)
    }

    fn find(
        &self,
        machine: &dyn Machine,
        _: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn super::Toolchain>, Missing> {
        toolchain::find(machine, progress).map(|found| Box::new(found) as _)
    }

    fn entry(&self) -> &'static str {
        "`crossdock_mapper::export!(…)` in src/lib.rs makes one of a type that implements `Mapper`"
    }
}

impl super::Toolchain for Toolchain {
    fn describe(&self) -> String {
        Toolchain::describe(self)
    }

    fn key(&self) -> String {
        format!("{} {PROFILE:?} {STACK} {STACK_FIRST} {MEMORY}", self.version)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let file = match cargo(self, job, &[STACK, STACK_FIRST, MEMORY]) {
            // Much static data needs more memory than the usual from the start; the linker then decides how much.
            Err(complaint) if complaint.contains("initial memory too small") => {
                cargo(self, job, &[STACK, STACK_FIRST])?
            }
            other => other?,
        };
        fs::read(&file).map(Made::Module).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// Runs cargo and gives the path of the module, or the last lines of what it complained about.
fn cargo(toolchain: &Toolchain, job: &Job<'_>, link: &[&str]) -> Result<PathBuf, String> {
    let mut command = toolchain.cargo();
    command.current_dir(job.plugin);
    command.args(["rustc", "--release", "--lib", "--crate-type", "cdylib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]).args(toolchain.arguments());
    command.arg("--").args(link.iter().flat_map(|argument| ["-C", argument]));
    settle(&mut command, job.work);
    if job.hasty {
        // A folder of its own, so that neither waits for the other.
        command.envs(HASTY).env("CARGO_TARGET_DIR", job.work.join("hasty"));
    }
    let (mut module, mut complaint) = (None, Vec::new());
    let end = command::run(&mut command, PATIENCE, &mut |line| match line {
        Line::Out(line) => module = artifact(&line).or(module.take()),
        Line::Err(line) => match line.trim_start().strip_prefix("Compiling ") {
            Some(package) => (job.progress)(&format!("  {}", package.split(" (").next().unwrap_or(package))),
            // Another build holds the target folder; without a word this would look like a standstill.
            None if line.trim_start().starts_with("Blocking waiting") => {
                (job.progress)("waiting for another build");
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
fn settle(command: &mut Command, target: &Path) {
    command.env("CARGO_TARGET_DIR", target).envs(PROFILE).env("CARGO_TERM_COLOR", "never");
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
}
