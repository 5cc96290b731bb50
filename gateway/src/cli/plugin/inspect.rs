//! `plugin inspect`: what a mapper says of itself and what it asks for, without running any of it.

use std::{fs, path::Path};

use clap::Args;
use serde_json::{Value, json};

use super::{DONE, NO, USE, build, complain, locate, locate::Found, progress::Progress, show};
use crate::{
    mapper::{Host, Inspection, Kind},
    words::Clock,
};

/// What `plugin inspect` is told.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A name in `plugins/`, a mapper's folder (built first) or a .wasm file.
    #[arg(value_name = "MAPPER")]
    mapper: String,
    /// One JSON line on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs it and gives the exit code: 1 if the gateway would not admit the mapper.
pub(super) fn run(args: &InspectArgs, here: &Path, clock: &dyn Clock) -> anyhow::Result<u8> {
    let path = match locate::find(&args.mapper, here) {
        Ok(Found::Wasm(path)) => path,
        Ok(Found::Folder(folder)) => {
            let progress = Progress::new(clock);
            let built = build::build(&folder, &|line| progress.tell(line));
            progress.clear();
            match built {
                Ok(built) => built.wasm,
                Err(error) => return Ok(complain(&error, NO)),
            }
        }
        Err(error) => return Ok(complain(&error, USE)),
    };
    let wasm = match fs::read(&path) {
        Ok(wasm) => wasm,
        Err(error) => return Ok(complain(&format_args!("{}: {error}", path.display()), USE)),
    };
    let inspection = match Host::inspect(&wasm) {
        Ok(inspection) => inspection,
        Err(rejection) => return Ok(complain(&format_args!("{}: {rejection}", path.display()), NO)),
    };
    if args.json {
        as_json(&path, &inspection)
    } else {
        as_text(&path, &inspection)
    }
    Ok(if inspection.obstacles.is_empty() { DONE } else { NO })
}

fn as_json(path: &Path, found: &Inspection) {
    let obstacles: Vec<_> = found.obstacles.iter().map(ToString::to_string).collect();
    show::line(
        "mapper",
        json!({
            "file": path, "type": found.kind, "digest": found.digest, "size": found.size, "manifest": found.manifest,
            "cases": found.cases, "imports": found.imports, "exports": found.exports,
            "admissible": obstacles.is_empty(), "obstacles": obstacles,
        }),
    );
}

fn as_text(path: &Path, found: &Inspection) {
    let line = |name: &str, value: String| {
        let value = if value.is_empty() { "none".to_owned() } else { show::plain(&value) };
        anstream::println!("{name:<12}{value}");
    };
    line("file", path.display().to_string());
    let kind = match found.kind {
        Kind::Component => "component",
        Kind::Command => "command module (WASI preview 1)",
        Kind::Module => "module without `_start`",
    };
    line("kind", kind.to_owned());
    line("digest", found.digest.to_string());
    line("size", format!("{} KB", found.size.div_ceil(1000)));
    if let Some(manifest) = &found.manifest {
        let Ok(Value::Object(members)) = serde_json::to_value(manifest) else { return };
        for (name, value) in members {
            let value = match value {
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                Value::String(text) => text,
                other => other.to_string(),
            };
            line(if name == "control_numbers" { "numbers" } else { &name }, value);
        }
    }
    line("cases", found.cases.to_string());
    line("imports", found.imports.join(", "));
    line("exports", found.exports.join(", "));
    if found.obstacles.is_empty() {
        anstream::println!("\n✓ the gateway admits it");
    }
    for obstacle in &found.obstacles {
        anstream::println!("\n✗ {}", show::plain(&obstacle.to_string()));
    }
}
