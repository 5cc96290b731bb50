//! `plugin sign`: a signature beside a mapper, and the key that makes it.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;

use super::{DONE, NO, Tools, USE, build, complain, locate, locate::Found};
use crate::{policy::signature, words::Digest};

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// A name in `plugins/`, a folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER", required_unless_present = "new")]
    mapper: Option<String>,
    /// The file of the key
    #[arg(long, value_name = "FILE", required_unless_present = "new")]
    key: Option<PathBuf>,
    /// Make a key instead: write it to this file, and print the line for `gateway.yaml`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mapper", "key"])]
    new: Option<PathBuf>,
}

/// Signs, or makes a key, and gives the exit code.
pub(super) fn run(args: &SignArgs, here: &Path, tools: Tools<'_>) -> u8 {
    let done = match (&args.new, &args.mapper, &args.key) {
        (Some(file), _, _) => new(file, tools),
        (None, Some(mapper), Some(key)) => sign(mapper, key, here),
        _ => Err(("a mapper and a key are needed".to_owned(), USE)),
    };
    match done {
        Ok(shown) => {
            anstream::println!("{shown}");
            DONE
        }
        Err((error, code)) => complain(&error, code),
    }
}

fn new(file: &Path, tools: Tools<'_>) -> Result<String, (String, u8)> {
    let seed: Vec<u8> = (0..4).flat_map(|_| tools.random.next().to_le_bytes()).collect();
    let public = signature::public(&seed).map_err(|error| (error, NO))?;
    let wrong = |error: std::io::Error| (format!("{}: {error}", file.display()), USE);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(wrong)?;
    writeln!(out, "{}", STANDARD.encode(&seed)).map_err(wrong)?;
    let public: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(format!("mappers: {{ signatures: required, keys: {{ {name}: {public} }} }}"))
}

fn sign(mapper: &str, key: &Path, here: &Path) -> Result<String, (String, u8)> {
    let wasm = match locate::find(mapper, here).map_err(|error| (error.to_string(), USE))? {
        Found::Wasm(file) => file,
        Found::Folder(folder) => {
            build::build(&folder, &|_| ()).map_err(|error| (error.to_string(), NO))?.wasm
        }
    };
    let bytes = std::fs::read(&wasm).map_err(|error| (format!("{}: {error}", wasm.display()), USE))?;
    let text = signature(key, &bytes).map_err(|error| (error, USE))?;
    let file = here.join(wasm.file_name().unwrap_or_default()).with_extension("wasm.sig");
    std::fs::write(&file, format!("{text}\n"))
        .map_err(|error| (format!("{}: {error}", file.display()), USE))?;
    Ok(file.display().to_string())
}

/// The signature of a mapper's bytes in base64, by the key of this file.
pub(super) fn signature(key: &Path, wasm: &[u8]) -> Result<String, String> {
    let shown = key.display();
    let meant = |what: &str| format!("{shown}: {what}\n  help: crossdock plugin sign --new FILE makes a key");
    let mode = std::fs::metadata(key).map_err(|error| meant(&error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("{shown} may be read by others (mode {:o}): chmod 600 it", mode & 0o777));
    }
    let seed = STANDARD.decode(read(key)?).map_err(|_| meant("is no key"))?;
    let signed = signature::sign(&seed, Digest::of(wasm)).map_err(|error| meant(&error))?;
    Ok(STANDARD.encode(signed))
}

/// The one line of a file.
pub(super) fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}
