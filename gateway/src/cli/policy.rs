//! `crossdock policy …`: the halves that work on files alone.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};

use crate::{
    policy::{self, CheckSchema, ReadError},
    words::Time,
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
    #[command(after_help = "Example: crossdock policy check policies --deny-warnings")]
    Check(Check),
}

/// Arguments of `policy check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// One line of JSON for each finding, on standard output
    #[arg(long)]
    json: bool,
    /// Warnings, too, make the answer no
    #[arg(long)]
    deny_warnings: bool,
}

/// Why a command could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read: wrong use.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Policy {
    /// Carries the command out; answers whether the answer is yes (exit 0) or no (exit 1).
    ///
    /// # Errors
    /// The folder cannot be read, or standard output is gone.
    pub fn run(&self, now: Time, check_schema: CheckSchema<'_>) -> Result<bool, Error> {
        match &self.command {
            Command::Check(check) => check.run(now, check_schema),
        }
    }
}

impl Check {
    fn run(&self, now: Time, check_schema: CheckSchema<'_>) -> Result<bool, Error> {
        let source = policy::read(&self.folder)?;
        let (_, report) = policy::check(&source, now, check_schema);
        let shown =
            if self.json { report.json_lines() } else { report.render(&self.folder.to_string_lossy(), true) };
        // The stream takes the colours out again where nobody sees them, and obeys NO_COLOR.
        let mut out = anstream::stdout().lock();
        match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
            // Whoever stopped reading has seen enough; the answer is the same.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        if self.json {
            writeln!(anstream::stderr().lock(), "{}", report.summary())?;
        }
        Ok(report.errors() == 0 && !(self.deny_warnings && report.warnings() > 0))
    }
}
