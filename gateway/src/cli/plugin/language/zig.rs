//! Mappers in Zig, by the second door: programs for WASI preview 1. The SDK lies in the mapper's folder, in `sdk/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain,
    c::{ZIG, zig_command},
    run_compiler,
};

/// 48 KiB of stack before the data, so that running out of it traps.
const SETTINGS: [&str; 8] =
    ["build-exe", "mapper.zig", "-target", "wasm32-wasi", "-O", "ReleaseFast", "-fstrip", "--stack"];
const STACK: &str = "49152";
/// As much as the host keeps resident for a mapper: within it a message costs no page fault.
const MEMORY: &str = "--initial-memory=131072";

/// The room of Zig.
pub(super) struct Zig;

struct Compiler {
    folder: PathBuf,
}

impl Room for Zig {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("mapper.zig", include_str!("../../../../../plugin-sdk/zig/template/mapper.zig")),
                ("sdk/crossdock.zig", include_str!("../../../../../plugin-sdk/zig/crossdock.zig")),
            ],
            main: "mapper.zig",
            natively: "",
            sdk: None,
        }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &["zig-out", "zig-cache"], lock: None, elsewhere: |_| Vec::new() }
    }

    // Zig's library changes with every release, so it is always the release that the SDK is written for.
    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let folder = ZIG.folder(tools);
        machine.exists(&folder).then(|| Box::new(Compiler { folder }) as _)
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        if let Some(found) = self.ready(machine, tools) {
            return Ok(found);
        }
        match ZIG.fetch(machine, tools, progress) {
            Ok(folder) => Ok(Box::new(Compiler { folder })),
            Err(why) => Err(Missing {
                what: "Zig to WASI preview 1",
                tried: vec![format!("fetching Zig {} from PyPI: {why}", ZIG.version())],
                help: "install Python with pip; on Debian, as root: apt-get install python3-pip".into(),
            }),
        }
    }

    fn entry(&self) -> &'static str {
        "`pub const main = crossdock.main(.{ … })` in mapper.zig makes one"
    }
}

impl Toolchain for Compiler {
    fn describe(&self) -> String {
        format!("Zig {}", ZIG.version())
    }

    fn key(&self) -> String {
        format!("{} {SETTINGS:?} {STACK} {MEMORY}", ZIG.pinned)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let made = match self.run(job, &[MEMORY]) {
            // Much static data needs more memory than the usual from the start; the linker then decides how much.
            Err(complaint) if complaint.contains("initial memory too small") => self.run(job, &[]),
            other => other,
        };
        made.map(Made::Command)
    }
}

impl Compiler {
    fn run(&self, job: &Job<'_>, memory: &[&str]) -> Result<Vec<u8>, String> {
        let out = job.scratch()?;
        let file = out.path().join("mapper.wasm");
        let mut command = zig_command(&self.folder);
        command.args(SETTINGS).arg(STACK).args(memory);
        command.arg("--cache-dir").arg(job.work.join("cache"));
        command.arg(format!("-femit-bin={}", file.display()));
        run_compiler(command.current_dir(job.plugin), job.progress)?;
        fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    #[test]
    fn zig_is_fetched_once_and_its_absence_is_explained() {
        let tools = tempfile::tempdir().unwrap();
        let missing = Zig.find(&Scripted::default(), tools.path(), &|_| ()).err().unwrap().to_string();
        assert!(missing.contains("python3 has no pip") && missing.contains("help:"), "{missing}");
        let answers = vec![("python3 -m pip --version", Ok("pip 1")), ("python3 -m pip install", Ok(""))];
        let machine = Scripted { answers, ..Scripted::default() };
        let found = Zig.find(&machine, tools.path(), &|_| ()).unwrap();
        assert!(found.describe().starts_with("Zig 0."), "{}", found.describe());
    }
}
