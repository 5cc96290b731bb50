//! `plugin push`: makes a mapper live in a running gateway.

use std::path::Path;

use clap::Args;

use super::{
    DONE, NO, USE, build, complain,
    locate::{self, Found},
    progress::Progress,
    show,
};
use crate::{
    cli::client::{AdminArgs, Client},
    words::Clock,
};

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// A name in `plugins/`, a folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

/// Uploads the component; the gateway admits and compiles it, then swaps it in by one pointer.
pub(super) fn run(args: &PushArgs, here: &Path, clock: &dyn Clock) -> anyhow::Result<u8> {
    let file = match locate::find(&args.mapper, here) {
        Err(error) => return Ok(complain(&error, USE)),
        Ok(Found::Wasm(file)) => file,
        Ok(Found::Folder(folder)) => {
            let progress = Progress::new(clock);
            let built = build::build(&folder, &|line| progress.tell(line));
            progress.clear();
            match built {
                Ok(built) => built.wasm,
                Err(error) => return Ok(complain(&error, NO)),
            }
        }
    };
    let wasm = match std::fs::read(&file) {
        Ok(wasm) => wasm,
        Err(error) => return Ok(complain(&format_args!("{}: {error}", file.display()), USE)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&args.admin);
    match runtime.block_on(client.upload("mappers", "application/wasm", wasm.into())) {
        Err(error) => Ok(complain(&error, error.exit_code())),
        Ok(pushed) if args.admin.json => {
            show::line("pushed", pushed);
            Ok(DONE)
        }
        Ok(pushed) => {
            let text = |value: &serde_json::Value| crate::cli::show::safe(&crate::cli::show::text(value));
            let (live, before) = (&pushed["live"], &pushed["before"]);
            let digest: String = text(&live["digest"]).chars().take(8).collect();
            let before = if before.is_null() { "nothing".to_owned() } else { text(&before["version"]) };
            anstream::println!(
                "live   {} {}   digest {digest}   before: {before}",
                text(&live["name"]),
                text(&live["version"])
            );
            anstream::println!(
                "       swapped in {} µs, revision {}",
                text(&pushed["took_micros"]),
                text(&pushed["revision"])
            );
            Ok(DONE)
        }
    }
}
