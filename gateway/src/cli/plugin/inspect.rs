//! `plugin inspect`: what a mapper says of itself and what it asks for, without running any of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    DONE, NO, Tools, USE, build,
    cases::{self, Case},
    complain,
    description::Direction,
    locate,
    locate::Found,
    near, show,
};
use crate::{
    mapper::{Host, Inspection, Kind, LARGEST, Manifest},
    words::Digest,
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
pub(super) fn run(args: &InspectArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    let (path, folder) = match locate::find(&args.mapper, here) {
        Ok(Found::Wasm(path)) => (path, None),
        Ok(Found::Folder(folder)) => match build::build_telling(&folder, tools.clock) {
            Ok(built) => (built.wasm, Some(folder)),
            Err(error) => return Ok(complain(&error.told(tools.verbose), NO)),
        },
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
    let cases = folder.as_deref().map(Cases::of);
    if args.json {
        as_json(&path, &inspection, cases)?;
    } else {
        as_text(&path, &inspection, cases);
    }
    Ok(if inspection.obstacles.is_empty() { DONE } else { NO })
}

/// How many cases lie beside a mapper.
#[derive(Clone, Copy, Serialize)]
struct Cases {
    to_canonical: usize,
    from_canonical: usize,
    acknowledge: usize,
    unreadable: usize,
}

impl Cases {
    fn of(folder: &Path) -> Self {
        let read = cases::read(folder).unwrap_or_default();
        let count = |direction: Direction| {
            read.iter().flatten().filter(|case: &&Case| case.direction == direction).count()
        };
        Self {
            to_canonical: count(Direction::ToCanonical),
            from_canonical: count(Direction::FromCanonical),
            acknowledge: count(Direction::Acknowledge),
            unreadable: read.iter().filter(|case| case.is_err()).count(),
        }
    }
}

/// The JSON line, its members in the order in which people ask for them.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    file: &'a PathBuf,
    #[serde(rename = "type")]
    door: Kind,
    digest: Digest,
    size: usize,
    manifest: &'a Option<Manifest>,
    imports: &'a [String],
    exports: &'a [String],
    cases: Option<Cases>,
    /// Those that it carries.
    carried: usize,
    admissible: bool,
    obstacles: Vec<String>,
}

fn as_json(path: &Path, found: &Inspection, cases: Option<Cases>) -> anyhow::Result<()> {
    let line = Line {
        kind: "mapper",
        file: &path.to_owned(),
        door: found.kind,
        digest: found.digest,
        size: found.size,
        manifest: &found.manifest,
        imports: &found.imports,
        exports: &found.exports,
        cases,
        carried: found.cases,
        admissible: found.obstacles.is_empty(),
        obstacles: found.obstacles.iter().map(ToString::to_string).collect(),
    };
    anstream::println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

fn as_text(path: &Path, found: &Inspection, cases: Option<Cases>) {
    let line = |name: &str, value: &str| {
        let value = if value.is_empty() { "none" } else { value };
        anstream::println!("{name:<12}{}", show::wrap(&show::plain(value), 12));
    };
    if let Some(manifest) = &found.manifest {
        line("name", manifest.name.as_str());
        line("version", &manifest.version);
        line("contract", &manifest.contract);
        line("language", &manifest.language);
        line("standard", &manifest.standard);
        let directions: Vec<_> = manifest.directions.iter().map(|direction| direction.name()).collect();
        line("directions", &directions.join(", "));
        line("reads", &manifest.reads.join(", "));
        line("writes", &manifest.writes.join(", "));
        line("canonical", &manifest.canonical);
        line("tables", &manifest.tables.join(", "));
        line("numbers", &manifest.control_numbers.join(", "));
    }
    line("file", &near(path));
    let kind = match found.kind {
        Kind::Component => "component",
        Kind::Command => "command module (WASI preview 1)",
        Kind::Module => "module without `_start`",
    };
    line("kind", kind);
    line("digest", &found.digest.to_string());
    line("size", &format!("{} of {} allowed", show::size(found.size), show::memory(LARGEST)));
    line("imports", &found.imports.join(", "));
    line("exports", &found.exports.join(", "));
    line("cases", &cases.map_or_else(|| format!("{} in it", found.cases), words));
    if found.obstacles.is_empty() {
        anstream::println!("\n✓ the gateway admits it");
    } else {
        anstream::println!("\nthe gateway does not admit it");
    }
    for obstacle in &found.obstacles {
        anstream::println!("✗ {}", show::wrap(&show::plain(&obstacle.to_string()), 2));
    }
}

fn words(cases: Cases) -> String {
    let Cases { to_canonical, from_canonical, acknowledge, unreadable } = cases;
    let counts = [
        (to_canonical, "to-canonical"),
        (from_canonical, "from-canonical"),
        (acknowledge, "acknowledge"),
        (unreadable, "that cannot be read"),
    ];
    let all: usize = counts.iter().map(|(count, _)| count).sum();
    let each: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if each.is_empty() { "none".to_owned() } else { format!("{all}: {}", each.join(", ")) }
}
