//! Languages that mappers are written in, one room each: where its toolchain comes from, how a folder is compiled,
//! what it is compiled from, and a small mapper to begin with.

mod machine;
mod rust;

use std::path::{Path, PathBuf};

pub use machine::Missing;
pub(super) use machine::{Here, Machine};

use super::description::Language;

/// The room of a language.
pub(super) fn room(language: Language) -> &'static dyn Room {
    match language {
        Language::Rust => &rust::Rust,
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
    /// Hears a line for each step; one that begins with a space belongs to the step before it.
    pub progress: &'a dyn Fn(&str),
}

/// What a compiler makes.
pub(super) enum Made {
    /// A core module with the contract's functions and its type: a component when it is encoded.
    Module(Vec<u8>),
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
