//! `crossdock policy …`: the workbench of those who write policies.

#[cfg(test)]
mod cases;
mod check;
mod coverage;
mod curl;
mod diff;
mod explain;
mod import;
mod lifecycle;
mod recorded;
mod schema;
mod stage;
mod test;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

pub(super) use explain::moment;

use crate::{
    policy::{self, Checked, ReadError, Source},
    words::{Clock, Random, Time},
};

/// Policies on disk.
#[derive(Debug, Args)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong with a policy folder; changes nothing
    Check(check::Check),
    /// Say in words what a change means: who gains, who loses, what becomes wider or narrower
    Diff(Box<diff::Diff>),
    /// Say what would become of a call, stage by stage, and which rule decides
    Explain(Box<explain::Explain>),
    /// Begin policies from what a system says of itself
    Import(import::Import),
    /// Say which versions are going, who still calls them, and whom to write to
    Lifecycle(lifecycle::Lifecycle),
    /// Print the JSON Schema of a kind of policy file, for editors
    Schema(schema::Schema),
    /// Show every value in force: from which line, or by default
    Show(schema::Show),
    /// Hold a policy folder to its own tests, and say what they leave out
    Test(test::Test),
}

/// What a command answers.
pub(super) struct Answer {
    /// For standard output.
    text: String,
    /// For standard error, after it.
    note: Option<String>,
    /// Whether it is yes (exit 0) or no (exit 1).
    yes: bool,
}

/// Why a command could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read: wrong use.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The files are wrong, so that nothing can be said about what they decide.
    #[error("{report}\n  help: crossdock policy check {}", folder.display())]
    Wrong {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        report: String,
    },
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// The running gateway could not be asked.
    #[error(transparent)]
    Gateway(#[from] super::client::Error),
    /// Something that the arguments name is not as it should be.
    #[error("{0:#}")]
    Use(#[from] anyhow::Error),
}

impl Error {
    /// 1 where the policies are wrong, 2 where the arguments are.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Wrong { .. } => 1,
            Self::Read(_) | Self::Output(_) | Self::Use(_) => 2,
            Self::Gateway(error) => error.exit_code(),
        }
    }
}

impl Policy {
    /// Carries the command out and prints its answer; tells whether it is yes (exit 0) or no (exit 1).
    ///
    /// # Errors
    /// The folder cannot be read, or standard output is gone.
    pub fn run(&self, clock: &dyn Clock, random: &dyn Random) -> Result<bool, Error> {
        let answer = self.answer(clock, random)?;
        print(&answer.text)?;
        if let Some(note) = &answer.note {
            writeln!(anstream::stderr().lock(), "{note}")?;
        }
        Ok(answer.yes)
    }

    fn answer(&self, clock: &dyn Clock, random: &dyn Random) -> Result<Answer, Error> {
        match &self.command {
            Command::Check(check) => check.run(clock, random),
            Command::Diff(diff) => diff.run(clock, random),
            Command::Explain(explain) => explain.run(clock, random),
            Command::Import(import) => import.run(),
            Command::Lifecycle(lifecycle) => lifecycle.run(clock),
            Command::Schema(schema) => schema.run(),
            Command::Show(show) => show.run(clock.now()),
            Command::Test(test) => test.run(clock, random),
        }
    }
}

/// Reads and checks a folder whose decisions are asked for.
pub(super) fn right(folder: &Path, now: Time) -> Result<(Source, Checked), Error> {
    let source = policy::read(folder)?;
    let (checked, report) = policy::check(&source, now, &policy::compiles);
    match checked {
        Some(checked) => Ok((source, checked)),
        None => {
            let report = report.render(&folder.to_string_lossy(), false);
            Err(Error::Wrong { folder: folder.to_owned(), report: report.trim_end().to_owned() })
        }
    }
}

/// Writes a file, and the folders on its way.
fn write(place: &Path, text: &str) -> Result<(), Error> {
    let folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = folder.and_then(|()| std::fs::write(place, text));
    Ok(written.map_err(|error| anyhow::anyhow!("{}: {error}", place.display()))?)
}

/// Prints to standard output. Colours are taken out where nobody sees them; whoever stops reading has seen enough.
pub(super) fn print(text: &str) -> Result<(), io::Error> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// `1 test`, `2 tests`.
fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
