//! Mappers in Go, by the second door: programs for WASI preview 1. The SDK is a package in the mapper's module, in
//! `crossdock/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain, machine::ASK, run_compiler,
    tools::FromGo,
};

/// What is fetched where no Go is installed, or one that is too old.
const TOOLS: FromGo =
    FromGo { pinned: include_str!("../../../../../plugin-sdk/tools/go.txt"), size: "70 MB" };

/// The first release that compiles for WASI preview 1.
const OLDEST: (u32, u32) = (1, 21);

/// No paths, build times or debugging tables in the program: the same sources give the same bytes.
const SETTINGS: [&str; 3] = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];
const TARGET: [(&str, &str); 5] =
    [("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")];

/// The room of Go.
pub(super) struct Go;

struct Compiler {
    program: PathBuf,
    version: String,
}

impl Room for Go {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("go.mod", include_str!("../../../../../plugin-sdk/go/template/go.mod.in")),
                ("main.go", include_str!("../../../../../plugin-sdk/go/template/main.go.in")),
                ("crossdock/crossdock.go", include_str!("../../../../../plugin-sdk/go/crossdock.go")),
                ("crossdock/tables.go", include_str!("../../../../../plugin-sdk/go/tables.go")),
            ],
            main: "main.go",
            natively: "",
            sdk: None,
        }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &["testdata"], lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let found = installed(machine).ok().or_else(|| fetched(machine, tools));
        found.map(|found| Box::new(found) as _)
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        let mut tried = Vec::new();
        match installed(machine) {
            Ok(found) => return Ok(Box::new(found)),
            Err(why) => tried.push(format!("go: {why}")),
        }
        if let Some(found) = fetched(machine, tools) {
            return Ok(Box::new(found));
        }
        match TOOLS.fetch(machine, tools, progress) {
            Ok(folder) => return Ok(Box::new(compiler_in(&folder))),
            Err(why) => tried.push(format!("fetching Go from the module proxy: {why}")),
        }
        let help = format!("install Go {}.{} or newer by https://go.dev/doc/install", OLDEST.0, OLDEST.1);
        Err(Missing { what: "Go to WASI preview 1", tried, help })
    }

    fn entry(&self) -> &'static str {
        "main.go calls `crossdock.Run(crossdock.Mapper{…})`"
    }
}

/// The one that was fetched before.
fn fetched(machine: &dyn Machine, tools: &Path) -> Option<Compiler> {
    let folder = TOOLS.folder(tools);
    machine.exists(&folder).then(|| compiler_in(&folder))
}

fn compiler_in(folder: &Path) -> Compiler {
    let version = TOOLS.here().map_or("go", |(_, version, _)| version).to_owned();
    Compiler { program: folder.join("bin/go"), version }
}

fn installed(machine: &dyn Machine) -> Result<Compiler, String> {
    // Such as `go version go1.26.8 linux/amd64`.
    let said = machine.run("go", &["version"], ASK)?;
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("go1.").map(|_| word));
    let version = version.ok_or("it does not say its version")?;
    let mut numbers = version.trim_start_matches("go").split('.').map(|number| {
        number.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().unwrap_or(0)
    });
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(format!("{version} is too old: {}.{} is the first that will do", OLDEST.0, OLDEST.1));
    }
    Ok(Compiler { program: PathBuf::from("go"), version: version.to_owned() })
}

impl Toolchain for Compiler {
    fn describe(&self) -> String {
        self.version.clone()
    }

    fn key(&self) -> String {
        format!("{} {SETTINGS:?} {TARGET:?}", self.version)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let out = job.scratch()?;
        let file = out.path().join("mapper.wasm");
        let mut command = Command::new(&self.program);
        command.arg("build").args(SETTINGS).envs(TARGET).arg("-o").arg(&file).arg(".");
        run_compiler(command.current_dir(job.plugin), job.progress)?;
        fs::read(&file).map(Made::Command).map_err(|error| format!("{}: {error}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn find(machine: &Scripted) -> Result<String, String> {
        let tools = tempfile::tempdir().unwrap();
        let found = Go.find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    fn found(said: &'static str) -> Result<String, String> {
        find(&Scripted { answers: vec![("go version", Ok(said))], ..Scripted::default() })
    }

    #[test]
    fn a_go_that_knows_wasi_is_taken() {
        assert_eq!(found("go version go1.26.8 linux/amd64\n").unwrap(), "go1.26.8");
        assert_eq!(found("go version go1.21rc2 linux/amd64\n").unwrap(), "go1.21rc2");
    }

    #[test]
    fn an_old_or_absent_go_is_named_with_what_to_do() {
        let text = found("go version go1.19.8 linux/amd64\n").unwrap_err();
        assert!(text.contains("go1.19.8 is too old") && text.contains("go.dev/doc/install"), "{text}");
        assert!(text.contains("the module proxy: python3 is not installed"), "{text}");
        assert!(found("hello\n").unwrap_err().contains("does not say its version"));
        let nothing = Scripted::default();
        assert!(Go.ready(&nothing, Path::new("/tools")).is_none());
    }

    #[test]
    fn a_go_is_fetched_where_none_or_an_old_one_is_installed() {
        let python = ("python3", Ok("Python 3.11"));
        let fetched = find(&Scripted { answers: vec![python], ..Scripted::default() }).unwrap();
        assert!(fetched.starts_with("go1."), "{fetched}");
        let old = ("go version", Ok("go version go1.19.8 linux/amd64"));
        let instead = find(&Scripted { answers: vec![old, python], ..Scripted::default() });
        assert_eq!(instead.unwrap(), fetched);
    }
}
