//! `plugin push`: makes a mapper live in a running gateway.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use super::{
    NO, USE, build, complain, live,
    locate::{self, Found},
    sign,
};
use crate::{cli::client::query, words::Clock};

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// A name in `plugins/`, a folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// Store it without making it live: to shadow it first, or to promote it at a better hour
    #[arg(long)]
    hold: bool,
    /// What it was made from; without it, the commit of the folder where git knows one
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Sign it with the key of this file, which `crossdock plugin sign --new` makes
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Send the signature of this file, which `crossdock plugin sign` writes
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    signature: Option<PathBuf>,
    /// Who, and where.
    #[command(flatten)]
    asking: live::Asking,
}

/// Uploads the component; the gateway admits and compiles it, then swaps it in by one pointer.
pub(super) fn run(args: &PushArgs, here: &Path, clock: &dyn Clock) -> anyhow::Result<u8> {
    let mut source = args.source.clone();
    let file = match locate::find(&args.mapper, here) {
        Err(error) => return Ok(complain(&error, USE)),
        Ok(Found::Wasm(file)) => file,
        Ok(Found::Folder(folder)) => {
            source = source.or_else(|| commit(&folder));
            match build::build_telling(&folder, clock) {
                Ok(built) => built.wasm,
                Err(error) => return Ok(complain(&error, NO)),
            }
        }
    };
    let wasm = match std::fs::read(&file) {
        Ok(wasm) => wasm,
        Err(error) => return Ok(complain(&format_args!("{}: {error}", file.display()), USE)),
    };
    let signature = match (&args.key, &args.signature) {
        (Some(key), _) => Some(sign::signature(key, &wasm)),
        (None, Some(file)) => Some(sign::read(file)),
        (None, None) => None,
    };
    let signature = match signature.transpose() {
        Ok(signature) => signature,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let hold = args.hold.then(|| "true".to_owned());
    let query = query(&[
        ("hold", hold),
        ("by", Some(args.asking.by.clone())),
        ("source", source),
        ("signature", signature),
    ]);
    let path = format!("mappers{query}");
    let pushed = live::ask(&args.asking.admin, async |client| {
        client.upload(&path, "application/wasm", wasm.into()).await
    })?;
    Ok(pushed.map_or_else(|code| code, |pushed| live::went_live(&args.asking.admin, "pushed", &pushed)))
}

/// The commit that a folder was checked out from, with `-dirty` where something in it has changed since.
fn commit(folder: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let ran = Command::new("git").arg("-C").arg(folder).args(args).stderr(Stdio::null()).output().ok()?;
        ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "."])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}-dirty") })
}
