//! `serve`: the gateway until SIGTERM.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    observe::{LogFormat, start_logs},
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
    let running = Running::start(options, clock, random).await?;
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
    tracing::info!("stopping: what is in flight is finished first");
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}
