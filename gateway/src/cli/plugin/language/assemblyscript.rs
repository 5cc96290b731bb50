//! Mappers in AssemblyScript, by the second door: programs for WASI preview 1. The SDK lies in the mapper's folder, in
//! `sdk/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain,
    javascript::{node, with_node},
    run_compiler,
    tools::FromNpm,
};

/// The compiler, and the optimiser that it brings along.
const TOOLS: FromNpm = FromNpm {
    name: "assemblyscript",
    package: include_str!("../../../../../plugin-sdk/tools/assemblyscript/package.json"),
    pinned: include_str!("../../../../../plugin-sdk/tools/assemblyscript/package-lock.json"),
    size: "20 MB",
};

/// The first release of Node.js that runs it.
const OLDEST_NODE: u32 = 20;

/// An instance lives for one message, so nothing is collected. Its own `abort` writes to the log and ends.
const SETTINGS: [&str; 9] = [
    "mapper.ts",
    "-O3",
    "--converge",
    "--runtime",
    "stub",
    "--exportStart",
    "_start",
    "--use",
    "abort=sdk/crossdock/abort",
];
/// Pages of 64 KiB from the start: as much as the host keeps resident for a mapper.
const MEMORY: [&str; 2] = ["--initialMemory", "2"];

/// The room of AssemblyScript.
pub(super) struct AssemblyScript;

struct Tools {
    folder: PathBuf,
    node: String,
}

impl Room for AssemblyScript {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("mapper.ts", include_str!("../../../../../plugin-sdk/assemblyscript/template/mapper.ts")),
                ("sdk/crossdock.ts", include_str!("../../../../../plugin-sdk/assemblyscript/crossdock.ts")),
                ("sdk/json.ts", include_str!("../../../../../plugin-sdk/assemblyscript/json.ts")),
            ],
            main: "mapper.ts",
            natively: "",
            sdk: None,
        }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &["node_modules", "tests"], lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let folder = TOOLS.folder(tools);
        if !machine.exists(&folder) {
            return None;
        }
        let node = new_node(machine).ok()?;
        Some(Box::new(Tools { folder, node }))
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        let mut tried = Vec::new();
        let title = "AssemblyScript";
        let found = with_node(&TOOLS, title, new_node, machine, tools, progress, &mut tried);
        if let Some((folder, node)) = found {
            return Ok(Box::new(Tools { folder, node }));
        }
        let help = format!("install Node.js {OLDEST_NODE} or newer with npm by https://nodejs.org");
        Err(Missing { what: "AssemblyScript to WASI preview 1", tried, help })
    }

    fn entry(&self) -> &'static str {
        "`run(new …())` at the end of mapper.ts makes one"
    }
}

fn new_node(machine: &dyn Machine) -> Result<String, String> {
    // Such as `v20.19.2`.
    let version = node(machine)?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_NODE => Ok(version),
        _ => Err(format!("{version} is too old: {OLDEST_NODE} is the first that will do")),
    }
}

impl Toolchain for Tools {
    fn describe(&self) -> String {
        format!("AssemblyScript {} on Node.js {}", version(), self.node)
    }

    fn key(&self) -> String {
        // Which Node.js runs the compiler does not decide over what it makes.
        format!("{} {SETTINGS:?} {MEMORY:?}", TOOLS.pinned)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let made = match self.run(job, &MEMORY) {
            // Much static data needs more memory than the usual from the start; the compiler then decides how much.
            Err(complaint) if complaint.contains("initial memory") => self.run(job, &[]),
            other => other,
        };
        made.map(Made::Command)
    }
}

impl Tools {
    fn run(&self, job: &Job<'_>, memory: &[&str]) -> Result<Vec<u8>, String> {
        let out = job.scratch()?;
        let file = out.path().join("mapper.wasm");
        let mut command = Command::new(self.folder.join("node_modules/.bin/asc"));
        command.args(SETTINGS).args(memory).arg("--outFile").arg(&file);
        run_compiler(command.current_dir(job.plugin), job.progress)?;
        fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// The compiler's version, as `package.json` pins it.
fn version() -> String {
    let package: serde_json::Value = serde_json::from_str(TOOLS.package).unwrap_or_default();
    package["dependencies"]["assemblyscript"].as_str().unwrap_or("of no version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn found(machine: &Scripted) -> Result<String, String> {
        let tools = tempfile::tempdir().unwrap();
        let found = AssemblyScript.find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    #[test]
    fn the_compiler_is_fetched_where_node_is_there() {
        let answers =
            vec![("node --version", Ok("v20.1.0\n")), ("npm --version", Ok("9")), ("npm ci", Ok(""))];
        let said = found(&Scripted { answers, ..Scripted::default() }).unwrap();
        assert!(said.starts_with("AssemblyScript 0.") && said.ends_with("Node.js v20.1.0"), "{said}");
    }

    #[test]
    fn without_a_new_enough_node_or_npm_each_way_is_listed_with_what_came_of_it() {
        let answers = vec![("node --version", Ok("v18.2.0\n"))];
        let text = found(&Scripted { answers, ..Scripted::default() }).unwrap_err();
        assert!(text.contains("v18.2.0 is too old") && text.contains("this is no Debian"), "{text}");
        let answers = vec![("node --version", Ok("v22.1.0\n"))];
        let text = found(&Scripted { answers, ..Scripted::default() }).unwrap_err();
        assert!(text.contains("npm is not installed") && text.contains("nodejs.org"), "{text}");
    }
}
