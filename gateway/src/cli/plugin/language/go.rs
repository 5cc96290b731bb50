//! Mappers in Go, by the second door: programs for WASI preview 1. The SDK is a package in the mapper's module, in
//! `crossdock/`.

use std::{fs, path::Path, process::Command};

use super::{Job, Machine, Made, Missing, Room, Sources, Template, Toolchain, machine::ASK, run_compiler};

/// The first release that compiles for WASI preview 1.
const OLDEST: (u32, u32) = (1, 21);

/// No paths, build times or debugging tables in the program: the same sources give the same bytes.
const SETTINGS: [&str; 3] = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];
const TARGET: [(&str, &str); 5] =
    [("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")];

/// The room of Go.
pub(super) struct Go;

struct Compiler {
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

    fn ready(&self, machine: &dyn Machine, _: &Path) -> Option<Box<dyn Toolchain>> {
        installed(machine).ok().map(|found| Box::new(found) as _)
    }

    fn find(&self, machine: &dyn Machine, _: &Path, _: &dyn Fn(&str)) -> Result<Box<dyn Toolchain>, Missing> {
        match installed(machine) {
            Ok(found) => Ok(Box::new(found)),
            Err(why) => Err(Missing {
                what: "Go to WASI preview 1",
                tried: vec![format!("go: {why}")],
                help: format!("install Go {}.{} or newer by https://go.dev/doc/install", OLDEST.0, OLDEST.1),
            }),
        }
    }

    fn entry(&self) -> &'static str {
        "main.go calls `crossdock.Run(crossdock.Mapper{…})`"
    }
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
    Ok(Compiler { version: version.to_owned() })
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
        let mut command = Command::new("go");
        command.arg("build").args(SETTINGS).envs(TARGET).arg("-o").arg(&file).arg(".");
        run_compiler(command.current_dir(job.plugin), job.progress)?;
        fs::read(&file).map(Made::Command).map_err(|error| format!("{}: {error}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn found(said: &'static str) -> Result<String, String> {
        let machine = Scripted { answers: vec![("go version", Ok(said))], ..Scripted::default() };
        let found = Go.find(&machine, Path::new("/tools"), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
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
        assert!(found("hello\n").unwrap_err().contains("does not say its version"));
        let nothing = Scripted::default();
        assert!(Go.ready(&nothing, Path::new("/tools")).is_none());
    }
}
