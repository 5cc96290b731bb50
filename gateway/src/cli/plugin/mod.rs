//! `crossdock plugin`: mappers on a developer's machine, by the production host.

mod acknowledge;
mod bench;
pub mod build;
mod cases;
mod command;
mod compare;
mod damage;
pub mod description;
pub(super) mod hand;
mod inspect;
pub mod language;
mod laws;
mod leaves;
pub(super) mod lineage;
mod live;
mod locate;
mod lost;
mod measure;
mod new;
mod origin;
mod pairs;
mod place;
mod progress;
mod push;
mod rerun;
mod run;
mod shadow;
mod show;
mod sign;
mod sources;
mod stored;
mod test;
mod trace;
pub mod trial;
mod watch;
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

/// What every command is given.
#[derive(Clone, Copy)]
struct Tools<'a> {
    clock: &'a dyn Clock,
    random: &'a dyn Random,
    /// Whether all that a compiler says is shown.
    verbose: bool,
}

/// Make, build and try mappers.
#[derive(Debug, Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
    /// Show all that a compiler says, not only what is about the mapper.
    #[arg(long, global = true)]
    verbose: bool,
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
    /// Show from which places of a document each canonical field comes, and which values nothing depends on.
    ///
    /// A mapper is a pure function, so this is found by trying: each value of the document is changed alone, and the
    /// mapper runs again.
    ///
    /// Exit codes: 0 shown, 1 the document is refused, 2 wrong use, 3 the mapper trapped or exceeded a limit.
    #[command(after_help = "Examples:\n  crossdock plugin lineage x12-wms order-945.x12\n  \
        crossdock plugin lineage x12-wms order-945.x12 --field /lines/0/lot")]
    Lineage(lineage::LineageArgs),
    /// Measure a mapper beside its limits: time, memory and the number of its instructions.
    ///
    /// Without a document all of its cases are measured. Instructions are counted in an engine of their own and are the
    /// same on every machine; times are this machine's.
    #[command(
        after_help = "Examples:\n  crossdock plugin bench x12-wms\n  crossdock plugin bench x12-wms order-945.x12 --json"
    )]
    Bench(measure::BenchArgs),
    /// Show what a mapper says of itself and what it asks for, without running it.
    #[command(after_help = "Example:\n  crossdock plugin inspect x12-wms")]
    Inspect(inspect::InspectArgs),
    /// Map an exported message again on this machine, and compare the events with those that were stored.
    ///
    /// Exit codes: 0 the same bytes, 1 something differs.
    #[command(
        after_help = "Example:\n  crossdock message rerun 01JD8Q2M7T6V9K3H5X0YB4N8RC --export message.json\n  \
        crossdock plugin rerun message.json"
    )]
    Rerun(rerun::RerunArgs),
    /// Sign a mapper, or make a key that signs; the policies say whose signatures are asked for.
    #[command(
        after_help = "Examples:\n  crossdock plugin sign --new nina.key\n  crossdock plugin sign x12-wms --key nina.key"
    )]
    Sign(sign::SignArgs),
    /// Make a mapper live in a running gateway, while it runs.
    ///
    /// The gateway admits and compiles it first; what was live stays live until the new one is ready.
    #[command(after_help = "Examples:\n  crossdock plugin push x12-wms --data /var/lib/crossdock\n  \
        crossdock plugin push x12-wms --hold")]
    Push(push::PushArgs),
    /// List the mappers that a running gateway has stored, every generation of them.
    #[command(after_help = "Example:\n  crossdock plugin list --json")]
    List(live::ListArgs),
    /// Show of each mapper what is live, what a rollback leads to, what is held and what is damaged.
    #[command(after_help = "Example:\n  crossdock plugin status x12-wms")]
    Status(live::StatusArgs),
    /// Show one stored generation: where it came from, what it says of itself, what is bound to it.
    #[command(
        after_help = "Examples:\n  crossdock plugin show x12-wms\n  crossdock plugin show x12-wms@1.3.2 --json"
    )]
    Show(stored::ShowArgs),
    /// Read every stored mapper and hold it against its digest.
    ///
    /// Exit codes: 0 all are whole, 1 some are damaged.
    #[command(after_help = "Example:\n  crossdock plugin verify --data /var/lib/crossdock")]
    Verify(stored::VerifyArgs),
    /// Run recent documents through a candidate and what is live, and show what differs.
    ///
    /// Nothing is stored or sent, and no partner waits for it. Exit codes: 0 the same, 1 it differs.
    #[command(
        after_help = "Examples:\n  crossdock plugin shadow x12-wms\n  crossdock plugin shadow x12-wms@1.4.0 --documents 1000\n  \
        crossdock plugin shadow x12-wms@1.4.0 --live 10m\n  \
        crossdock plugin shadow x12-wms --pairs old-adapter/ --then sap-idoc"
    )]
    Shadow(shadow::ShadowArgs),
    /// Make a stored generation of a mapper live, once recent documents have shown that it does the same.
    #[command(
        after_help = "Examples:\n  crossdock plugin promote x12-wms@1.4.0\n  crossdock plugin promote x12-wms@7f3a9c21 --accept-differences\n  \
        crossdock plugin promote x12-wms@1.4.0 --canary 10"
    )]
    Promote(live::PromoteArgs),
    /// Make the generation of a mapper live that served before the present one.
    #[command(after_help = "Example:\n  crossdock plugin rollback x12-wms")]
    Rollback(live::RollbackArgs),
    /// Take stored generations away that nobody goes back to; shows them first.
    #[command(after_help = "Examples:\n  crossdock plugin gc --keep 5\n  crossdock plugin gc --keep 5 --yes")]
    Gc(live::GcArgs),
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
    let tools = Tools { clock, random, verbose: args.verbose };
    let code = match args.command {
        PluginCommand::New(args) => new::run(&args, &here),
        PluginCommand::Build(args) => build_all(&args, &here, tools)?,
        PluginCommand::Run(args) => run::run(&args, &here, tools)?,
        PluginCommand::Bench(args) => measure::run(&args, &here, tools)?,
        PluginCommand::Test(args) => test::run(&args, &here, tools)?,
        PluginCommand::Lineage(args) => lineage::run(&args, &here, tools)?,
        PluginCommand::Inspect(args) => inspect::run(&args, &here, tools)?,
        PluginCommand::Rerun(args) => rerun::run(&args, tools)?,
        PluginCommand::Sign(args) => sign::run(&args, &here, tools),
        PluginCommand::Push(args) => push::run(&args, &here, clock)?,
        PluginCommand::List(args) => live::list(&args)?,
        PluginCommand::Status(args) => live::status(&args)?,
        PluginCommand::Show(args) => stored::show(&args)?,
        PluginCommand::Verify(args) => stored::verify(&args)?,
        PluginCommand::Shadow(args) => shadow::run(&args, &here, tools)?,
        PluginCommand::Promote(args) => live::promote(&args)?,
        PluginCommand::Rollback(args) => live::rollback(&args)?,
        PluginCommand::Gc(args) => live::gc(&args)?,
    };
    Ok(ExitCode::from(code))
}

fn build_all(args: &BuildArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
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
        let progress = Progress::new(tools.clock);
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
                let line = format!(
                    "{how}  {} {}   {} with {} cases   digest {}   {}",
                    built.name,
                    built.version,
                    show::size(usize::try_from(built.size).unwrap_or(usize::MAX)),
                    built.cases,
                    built.digest.short(),
                    built.toolchain
                );
                anstream::eprintln!("{}", show::wrap(&line, 2));
                anstream::println!("{}", built.wasm.display());
            }
            Err(error) => code = complain(&error.told(tools.verbose), NO),
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

/// A path as short as it can be named from here.
fn near(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
