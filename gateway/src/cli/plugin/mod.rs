//! `crossdock plugin`: mappers on a developer's machine, by the production host.

mod acknowledge;
mod bench;
pub mod build;
mod cases;
mod command;
mod compare;
mod damage;
pub mod description;
mod inspect;
pub mod language;
mod laws;
mod locate;
mod new;
mod progress;
mod push;
mod run;
mod show;
mod sources;
mod test;
mod written;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use crate::words::{Clock, Random};
use locate::Found;
use progress::Progress;

/// Done.
const DONE: u8 = 0;
/// The answer is no.
const NO: u8 = 1;
/// Wrong use.
const USE: u8 = 2;
/// A mapper trapped, exceeded a limit or broke the contract.
const FAILED: u8 = 3;

/// Make, build and try mappers.
#[derive(Debug, Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Begin a mapper from a small one that works.
    #[command(after_help = "Example:\n  crossdock plugin new acme-wms && crossdock plugin test acme-wms")]
    New(new::NewArgs),
    /// Build mappers into components.
    ///
    /// Finds or provides a toolchain for the mapper's language, and says which. What did not change since the last
    /// build is not built again.
    #[command(
        after_help = "Examples:\n  crossdock plugin build x12-wms\n  crossdock plugin build plugins/x12-wms --out dist"
    )]
    Build(BuildArgs),
    /// Map one document, or events, and show what the gateway would get.
    ///
    /// Exit codes: 0 mapped, 1 refused, 2 wrong use, 3 the mapper trapped or exceeded a limit.
    #[command(
        after_help = "Examples:\n  crossdock plugin run x12-wms order-945.x12 --context zone=America/Chicago\n  \
        crossdock plugin run x12-wms events.json --direction from-canonical --context isa13=000000042"
    )]
    Run(run::RunArgs),
    /// Run a mapper's cases, and damaged copies of them, by the production host under its limits.
    #[command(
        after_help = "Examples:\n  crossdock plugin test plugins/x12-wms\n  crossdock plugin test --update x12-wms"
    )]
    Test(test::TestArgs),
    /// Show what a mapper says of itself and what it asks for, without running it.
    #[command(after_help = "Example:\n  crossdock plugin inspect x12-wms")]
    Inspect(inspect::InspectArgs),
    /// Make a mapper live in a running gateway, while it runs.
    ///
    /// The gateway admits and compiles it first; what was live stays live until the new one is ready.
    #[command(after_help = "Example:\n  crossdock plugin push x12-wms --data /var/lib/crossdock")]
    Push(push::PushArgs),
}

#[derive(Debug, Args)]
struct BuildArgs {
    /// Names in `plugins/` or folders; all of `plugins/` if none is given.
    #[arg(value_name = "MAPPER")]
    mappers: Vec<String>,
    /// Also copy the components into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON line a mapper on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs a `plugin` command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: PluginArgs, clock: &dyn Clock, random: &dyn Random) -> anyhow::Result<ExitCode> {
    let here = env::current_dir()?;
    let code = match args.command {
        PluginCommand::New(args) => new::run(&args, &here),
        PluginCommand::Build(args) => build_all(&args, &here, clock)?,
        PluginCommand::Run(args) => run::run(&args, &here, clock, random)?,
        PluginCommand::Test(args) => test::run(&args, &here, clock, random)?,
        PluginCommand::Inspect(args) => inspect::run(&args, &here, clock)?,
        PluginCommand::Push(args) => push::run(&args, &here, clock)?,
    };
    Ok(ExitCode::from(code))
}

fn build_all(args: &BuildArgs, here: &Path, clock: &dyn Clock) -> anyhow::Result<u8> {
    let found = match named(&args.mappers, here) {
        Ok(found) => found,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let mut code = DONE;
    for found in found {
        let folder = match found {
            Found::Folder(folder) => folder,
            Found::Wasm(file) => {
                code = complain(
                    &format_args!("{}: a file is built already; name its folder", file.display()),
                    USE,
                );
                continue;
            }
        };
        let progress = Progress::new(clock);
        let built = build::build(&folder, &|line| progress.tell(line));
        progress.clear();
        let shown = built.and_then(|built| match &args.out {
            Some(out) => build::copy_to(&built, out).map(|wasm| build::Built { wasm, ..built }),
            None => Ok(built),
        });
        match shown {
            Ok(built) if args.json => show::line("built", serde_json::to_value(&built)?),
            Ok(built) => {
                let how = if built.cached { "unchanged" } else { "built" };
                anstream::eprintln!(
                    "{how}  {} {}   {} KB   digest {}   {}",
                    built.name,
                    built.version,
                    built.size.div_ceil(1000),
                    built.digest.short(),
                    built.toolchain
                );
                anstream::println!("{}", built.wasm.display());
            }
            Err(error) => code = complain(&error, NO),
        }
    }
    Ok(code)
}

fn named(words: &[String], here: &Path) -> Result<Vec<Found>, locate::Error> {
    if words.is_empty() {
        locate::all(here)
    } else {
        words.iter().map(|word| locate::find(word, here)).collect()
    }
}

/// Says on standard error what went wrong, and gives the exit code on.
fn complain(error: &dyn std::fmt::Display, code: u8) -> u8 {
    anstream::eprintln!("error: {error}");
    code
}
