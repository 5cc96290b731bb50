//! Languages that mappers are written in, one room each: where its toolchain comes from, how a folder is compiled,
//! what it is compiled from, and a small mapper to begin with.

mod assemblyscript;
mod c;
pub(super) mod contract;
mod go;
mod java;
mod javascript;
mod machine;
mod python;
mod rust;
mod tools;
mod zig;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub use machine::Missing;
pub(super) use machine::{Here, Machine};

use super::{
    command::{self, End, Line},
    description::Language,
};

/// A compiler may be silent for long on a slow machine.
const PATIENCE: Duration = Duration::from_secs(900);
/// Lines of a compiler's complaint that are kept.
const COMPLAINT: usize = 200;

/// The room of a language.
pub(super) fn room(language: Language) -> &'static dyn Room {
    match language {
        Language::Rust => &rust::Rust,
        Language::C => &c::C,
        Language::JavaScript => &javascript::JavaScript::Plain,
        Language::TypeScript => &javascript::JavaScript::Typed,
        Language::Python => &python::Python,
        Language::Go => &go::Go,
        Language::Zig => &zig::Zig,
        Language::AssemblyScript => &assemblyscript::AssemblyScript,
        Language::Java => &java::Java::Plain,
        Language::Kotlin => &java::Java::Kotlin,
    }
}

/// What a language has to know for its mappers to be made and built.
pub(super) trait Room: Sync {
    /// The small mapper to begin with.
    fn template(&self) -> Template;

    /// What a mapper's folder is compiled from besides and except its files.
    fn sources(&self) -> Sources;

    /// A toolchain that is there, without changing the machine.
    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>>;

    /// Finds a toolchain, or provides one: what is fetched for mappers alone lies in the folder `tools`.
    ///
    /// # Errors
    /// No way leads to one; the error lists what was tried.
    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing>;

    /// How a mapper comes to be exported, for those whose mapper is none.
    fn entry(&self) -> &'static str;

    /// What of a compiler's complaint is about the mapper, and not about the compiler.
    fn brief(&self, complaint: &str) -> String {
        complaint.to_owned()
    }
}

/// Lines of a complaint that is cut to what matters.
const BRIEF: usize = 16;

/// The last lines of a complaint, without the lines that begin with some noise, and without everything from a line on
/// that begins with an end. Where nothing is left, the complaint as it was.
fn essence(complaint: &str, noise: &[&str], ends: &[&str]) -> String {
    let begins = |line: &str, with: &[&str]| with.iter().any(|begin| line.trim_start().starts_with(begin));
    let lines: Vec<_> = complaint
        .lines()
        .take_while(|line| !begins(line, ends))
        .filter(|line| !line.trim().is_empty() && !begins(line, noise))
        .collect();
    if lines.is_empty() {
        complaint.to_owned()
    } else {
        lines[lines.len().saturating_sub(BRIEF)..].join("\n")
    }
}

/// What compiles a mapper.
pub(super) trait Toolchain {
    /// For people: which compiler, and how it was come by.
    fn describe(&self) -> String;

    /// Whatever of it and of its settings decides over the result.
    fn key(&self) -> String;

    /// Compiles a mapper.
    ///
    /// # Errors
    /// The compiler's complaint.
    fn compile(&self, job: &Job<'_>) -> Result<Made, String>;
}

/// A mapper to compile.
pub(super) struct Job<'a> {
    /// Its folder.
    pub plugin: &'a Path,
    /// Where the language keeps what it can use again.
    pub work: &'a Path,
    /// Whether it is to be there soon rather than to be fast.
    pub hasty: bool,
    /// Hears a line for each step; one that begins with a space belongs to the step before it.
    pub progress: &'a dyn Fn(&str),
}

/// What a compiler makes.
pub(super) enum Made {
    /// A core module with the contract's functions and its type: a component when it is encoded.
    Module(Vec<u8>),
    /// The same without the type.
    Untyped(Vec<u8>),
    /// A component.
    Component(Vec<u8>),
    /// A program for WASI preview 1.
    Command(Vec<u8>),
}

/// What a mapper is compiled from.
#[derive(Clone, Copy)]
pub(super) struct Sources {
    /// Names of folders that nothing is compiled from, besides its cases.
    pub aside: &'static [&'static str],
    /// A file that the first build may write.
    pub lock: Option<&'static str>,
    /// Files and folders elsewhere that a folder is compiled from as well.
    pub elsewhere: fn(&Path) -> Vec<PathBuf>,
}

/// A small mapper that works. What is the same in every language is added to it: description, README and cases.
#[derive(Clone, Copy)]
pub(super) struct Template {
    /// Its files and their places; `{{name}}` and `{{sdk}}` in them are filled in.
    pub files: &'static [(&'static str, &'static str)],
    /// The file to begin with.
    pub main: &'static str,
    /// How its README ends the sentence about tests, where they run without the gateway too.
    pub natively: &'static str,
    /// The SDK's folder in the gateway's sources, where the mapper refers to it and does not have it by itself.
    pub sdk: Option<&'static str>,
}

impl Job<'_> {
    /// A folder for what the compiler leaves; it goes with its owner.
    fn scratch(&self) -> Result<tempfile::TempDir, String> {
        fs::create_dir_all(self.work)
            .and_then(|()| tempfile::tempdir_in(self.work))
            .map_err(|error| format!("{}: {error}", self.work.display()))
    }
}

/// Runs a compiler to its end.
///
/// # Errors
/// The last lines of what it said, on either stream: some complain on standard output.
fn run_compiler(command: &mut Command, progress: &dyn Fn(&str)) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut said = Vec::new();
    let end = command::run(command, PATIENCE, &mut |line| {
        let (Line::Out(line) | Line::Err(line)) = line;
        progress(&format!("  {line}"));
        said.push(line);
    });
    match end {
        End::Fine => Ok(()),
        End::Failed(_) => Err(said[said.len().saturating_sub(COMPLAINT)..].join("\n")),
        End::Silent => Err(format!("{name} said nothing for {} minutes", PATIENCE.as_secs() / 60)),
        End::Absent => Err(format!("{name} could not be started")),
    }
}
