//! `serve`: the gateway until SIGTERM.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::show;
use crate::{
    journal,
    observe::{LogFormat, start_logs},
    policy,
    run::{Options, Running},
    words::{Clock, Random},
};

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example: crossdock serve --policies policies --data /var/lib/crossdock")]
pub struct ServeArgs {
    /// The policy folder
    #[arg(long, value_name = "DIR", env = "CROSSDOCK_POLICIES", default_value = "policies")]
    policies: PathBuf,
    /// The data folder: journal, mappers, the admin token
    #[arg(long, value_name = "DIR", env = "CROSSDOCK_DATA", default_value = "data")]
    data: PathBuf,
    /// Address for partners instead of the policy's; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Address for operators instead of the policy's
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<SocketAddr>,
    /// A compiled mapper to make live first; may be repeated
    #[arg(long = "mapper", value_name = "FILE")]
    mappers: Vec<PathBuf>,
    /// How log lines look; JSON unless stderr is a terminal
    #[arg(long, value_name = "FORMAT")]
    log: Option<LogFormat>,
    /// Print one JSON line with the addresses when it serves
    #[arg(long)]
    json: bool,
}

/// Serves until SIGTERM or Ctrl-C, then drains.
///
/// # Errors
/// It cannot start.
pub async fn run(
    args: ServeArgs,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<ExitCode> {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    start_logs(args.log.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }), "info");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = Options {
        policies: args.policies,
        data: args.data,
        mappers: args.mappers,
        compiled: None,
        listen: args.listen,
        admin: args.admin,
        compiler: std::env::current_exe()?,
    };
    let running = match Running::start(options, clock, random).await {
        Ok(running) => running,
        Err(error) => return Ok(complain(&error)),
    };
    let (listen, admin) = (running.listen, running.admin_shown.clone());
    tracing::info!(%listen, admin, revision = %running.policies.now().revision, "serving");
    if args.json {
        let admin = running.admin.map_or(admin, |admin| admin.to_string());
        println!(
            "{}",
            json!({ "listen": listen, "admin": admin, "revision": running.policies.now().revision })
        );
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.failed() => {
            tracing::error!("the journal failed; nothing more is acknowledged, and it verifies itself at the next start");
            // No drain: whatever is in flight must not be answered with success.
            return Ok(ExitCode::from(4));
        }
    }
    tracing::info!("stopping: what is in flight is finished first; Ctrl-C or SIGTERM again stops at once");
    tokio::select! {
        stopped = running.stop() => stopped?,
        _ = terminate.recv() => tracing::warn!("stopped at once; what got a receipt is there at the next start"),
        _ = interrupt.recv() => tracing::warn!("stopped at once; what got a receipt is there at the next start"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says why the gateway did not start, and gives the exit code.
fn complain(error: &anyhow::Error) -> ExitCode {
    let (said, code) = match error.downcast_ref::<policy::StartError>() {
        // A report on files has its own headings and its own end.
        Some(policy::StartError::Check(report)) => (report.trim_end().to_owned(), 1),
        Some(policy::StartError::Build(missing)) => {
            let missing: Vec<_> = missing.iter().map(|missing| format!("error: {missing}")).collect();
            let help =
                "a mapper comes in at the start by `--mapper FILE`; `crossdock plugin build` prints the file";
            (format!("{}\n\nNothing was started.\n  help: {help}", missing.join("\n")), 1)
        }
        Some(policy::StartError::Read(_)) => (format!("error: {error:#}"), 2),
        _ if error.is::<journal::Error>() => (format!("error: {error:#}"), 4),
        _ => (format!("error: {error:#}"), 1),
    };
    anstream::eprintln!("{}", show::safe(&said));
    ExitCode::from(code)
}
