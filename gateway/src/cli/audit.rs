//! `audit`: who changed what is in force, and whether the account of it is whole.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::json;

use super::{
    asked,
    client::{AdminArgs, Client, query},
    show,
};
use crate::audit;

/// The audit file.
#[derive(Subcommand, Debug)]
pub(super) enum Audit {
    /// List changes of what is in force, newest first
    #[command(after_help = "Example: crossdock audit list --limit 5")]
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u64,
    },
    /// Say whether the audit file is whole, or at which line its chain breaks
    ///
    /// Reads the file itself; no gateway need run. Lines cut off at the end leave a whole chain: compare the last
    /// hash with one that is kept elsewhere.
    #[command(after_help = "Example: crossdock audit verify --data /var/lib/crossdock")]
    Verify {
        /// The file; `audit.log` in the data folder if none is named
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Runs an `audit` command.
///
/// # Errors
/// There is no runtime to be had.
pub(super) fn run(command: Audit, admin: &AdminArgs) -> anyhow::Result<ExitCode> {
    match command {
        Audit::List { limit } => asked(async {
            let query = query(&[("limit", Some(limit.to_string()))]);
            let found = Client::new(admin).get(&format!("audit{query}")).await?;
            let lines = found["audit"].as_array().map(Vec::as_slice).unwrap_or_default();
            if admin.json {
                lines.iter().for_each(show::line);
                return Ok(());
            }
            let row = |line: &serde_json::Value| -> Vec<String> {
                ["at", "by", "what", "before", "after", "of"].map(|name| show::text(&line[name])).into()
            };
            let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
            show::table(&["at", "by", "what", "before", "after", "of"], &rows, "nothing was changed yet");
            Ok(())
        }),
        Audit::Verify { file } => {
            let file = file.unwrap_or_else(|| admin.data().join("audit.log"));
            Ok(verify(&file, admin.json))
        }
    }
}

fn verify(file: &std::path::Path, as_json: bool) -> ExitCode {
    let found = match audit::verify(file) {
        Ok(found) => found,
        Err(error) => {
            anstream::eprintln!("error: {}: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    let last = found.last.map_or_else(|| "-".to_owned(), |hash| hash.to_string());
    match &found.broken {
        _ if as_json => show::line(&json!(found)),
        None => anstream::println!("whole   {} lines   last hash {last}", found.lines),
        Some(broken) => {
            anstream::println!("broken  at line {}: {}", broken.line, show::safe(&broken.what));
            anstream::println!(
                "        the {} lines before it are whole; hash of the last of them {last}",
                found.lines
            );
        }
    }
    if found.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
