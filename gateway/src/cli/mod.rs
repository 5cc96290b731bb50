//! The command line: one file a command.

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};

use crate::words::{Clock, Random};

mod api;
mod audit;
pub mod client;
mod demo;
pub mod exception;
mod job;
mod key;
pub mod lookup;
pub mod plugin;
pub mod policy;
mod serve;
pub mod show;

/// The gateway between warehouse, transport and finance systems.
#[derive(Parser, Debug)]
#[command(name = "crossdock", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// See the main job: three partners, four systems, an order from release to delivery
    Demo(demo::DemoArgs),
    /// Make, build and try mappers
    Plugin(plugin::PluginArgs),
    /// Check, test, explain and compare policy files
    Policy(policy::Policy),
    /// Describe what partners may call
    Api(api::Api),
    /// Make API keys for partners
    Key(key::KeyArgs),
    /// Look up documents that were handed in
    Message {
        #[command(subcommand)]
        command: lookup::Message,
        #[command(flatten)]
        admin: client::AdminArgs,
    },
    /// Look up what the documents said
    Event {
        #[command(subcommand)]
        command: lookup::Event,
        #[command(flatten)]
        admin: client::AdminArgs,
    },
    /// Look up events on their way to targets
    Delivery {
        #[command(subcommand)]
        command: lookup::Delivery,
        #[command(flatten)]
        admin: client::AdminArgs,
    },
    /// Look up and end what needs a person
    Exception {
        #[command(subcommand)]
        command: exception::Exception,
        #[command(flatten)]
        admin: client::AdminArgs,
    },
    /// See who changed what is in force, and whether that account is whole
    Audit {
        #[command(subcommand)]
        command: audit::Audit,
        #[command(flatten)]
        admin: client::AdminArgs,
    },
    /// Compile a mapper; the gateway calls this on itself, with resource limits
    #[command(name = crate::mapper::compile::COMMAND, hide = true)]
    Compile {
        /// What the code is made for
        #[arg(default_value = "fast", value_parser = code)]
        code: crate::mapper::Code,
    },
    /// Run the cases that a mapper carries; the gateway calls this on itself before it lets a mapper in
    #[command(name = crate::mapper::trial::COMMAND, hide = true)]
    Try(plugin::trial::TrialArgs),
}

/// Runs the command and gives its exit code: 0 done, 1 the answer is no, 2 wrong use, 3 a mapper trapped or
/// exceeded a limit, 4 the gateway or store could not be reached.
pub fn run(cli: Cli, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> ExitCode {
    let ended = match cli.command {
        Command::Serve(args) => on_runtime(serve::run(args, clock, random)),
        Command::Demo(args) => on_runtime(demo::run(args, clock, random)),
        Command::Plugin(args) => plugin::run(args, &*clock, &*random),
        Command::Policy(args) => Ok(answered(args.run(&*clock, &*random))),
        Command::Api(args) => Ok(answered(args.run(&*clock))),
        Command::Key(args) => key::run(args, &*clock, &*random),
        Command::Message { command, admin } => asked(lookup::message(command, &admin, clock, random)),
        Command::Event { command, admin } => asked(lookup::event(command, &admin)),
        Command::Delivery { command, admin } => asked(lookup::delivery(command, &admin)),
        Command::Exception { command, admin } => asked(exception::exception(command, &admin)),
        Command::Audit { command, admin } => audit::run(command, &admin),
        Command::Try(args) => plugin::trial::run(&args, &*clock, &*random).map(|()| ExitCode::SUCCESS),
        Command::Compile { code } => Ok(crate::mapper::compile::child_main(code)),
    };
    ended.unwrap_or_else(|error| {
        anstream::eprintln!("error: {}", show::safe(&format!("{error:#}")));
        ExitCode::FAILURE
    })
}

fn code(name: &str) -> Result<crate::mapper::Code, String> {
    crate::mapper::Code::named(name).ok_or_else(|| "no such code".to_owned())
}

fn answered(answer: Result<bool, policy::Error>) -> ExitCode {
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {}", show::safe(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

fn on_runtime<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(command);
    // Whoever wants to wait for something has waited: a thread that is still busy does not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Runs a client of the admin API; not reaching it has an exit code of its own.
fn asked(command: impl Future<Output = Result<(), client::Error>>) -> anyhow::Result<ExitCode> {
    let ended = on_runtime(async { Ok(command.await) })?;
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", show::safe(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    })
}
