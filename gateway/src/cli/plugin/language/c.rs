//! Mappers in C, compiled by clang or by Zig's own clang. The SDK lies in the mapper's folder, in `sdk/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain,
    machine::{self, ASK},
    run_compiler,
    tools::FromPython,
};

/// Debian's packages that compile C to WebAssembly.
const DEBIAN: [&str; 4] = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"];

/// Zig, whose C compiler brings its own library.
pub(super) const ZIG: FromPython = FromPython {
    name: "ziglang",
    pinned: include_str!("../../../../../plugin-sdk/tools/ziglang.txt"),
    size: "100 MB",
};

/// The C library is the one for WASI; nothing of WASI is left where no file, clock or environment is used.
/// 48 KiB of stack hold the JSON reader at its deepest, and memory is what the host keeps resident for a mapper.
const SETTINGS: [&str; 9] = [
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-std=c11",
    "-O3",
    "-Wall",
    "-Wextra",
    "-Wl,-z,stack-size=49152",
    "-Wl,--strip-all",
    "-I.",
];
const MEMORY: &str = "-Wl,--initial-memory=131072";

/// The room of C.
pub(super) struct C;

enum Compiler {
    Clang(String),
    Zig(PathBuf),
}

impl Room for C {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("mapper.c", include_str!("../../../../../plugin-sdk/c/template/mapper.c")),
                ("sdk/crossdock.h", include_str!("../../../../../plugin-sdk/c/crossdock.h")),
                ("sdk/crossdock.c", include_str!("../../../../../plugin-sdk/c/crossdock.c")),
                ("sdk/json.c", include_str!("../../../../../plugin-sdk/c/json.c")),
                ("sdk/allocator.c", include_str!("../../../../../plugin-sdk/c/allocator.c")),
                ("sdk/generated/mapper.h", include_str!("../../../../../plugin-sdk/c/generated/mapper.h")),
                ("sdk/generated/mapper.c", include_str!("../../../../../plugin-sdk/c/generated/mapper.c")),
            ],
            main: "mapper.c",
            natively: "",
            sdk: None,
        }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &["tests"], lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let zig = || zig(machine, tools);
        clang(machine).ok().or_else(zig).map(|found| Box::new(found) as _)
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        find(machine, tools, progress).map(|found| Box::new(found) as _)
    }

    fn entry(&self) -> &'static str {
        "sdk/ of a fresh `crossdock plugin new NAME --lang c` has the exports; the mapper defines `cd_to_canonical` and the like"
    }
}

fn find(machine: &dyn Machine, tools: &Path, progress: &dyn Fn(&str)) -> Result<Compiler, Missing> {
    let mut tried = Vec::new();
    match clang(machine) {
        Ok(found) => return Ok(found),
        Err(why) => tried.push(format!("clang: {why}")),
    }
    if let Some(found) = zig(machine, tools) {
        return Ok(found);
    }
    match ZIG.fetch(machine, tools, progress) {
        Ok(folder) => return Ok(Compiler::Zig(folder)),
        Err(why) => tried.push(format!("fetching Zig from PyPI: {why}")),
    }
    match machine::install(machine, &DEBIAN, progress).and_then(|()| clang(machine)) {
        Ok(found) => Ok(found),
        Err(why) => {
            tried.push(format!("installing Debian's packages: {why}"));
            Err(Missing {
                what: "C to wasm32",
                tried,
                help: format!("on Debian, as root: apt-get install {}", DEBIAN.join(" ")),
            })
        }
    }
}

/// The installed clang, if it has a linker and a C library for the target.
fn clang(machine: &dyn Machine) -> Result<Compiler, String> {
    let said = machine.run("clang", &["--version"], ASK)?;
    let version = said.lines().next().unwrap_or_default().trim().to_owned();
    let ask = |what: &str| machine.run("clang", &["--target=wasm32-wasi", what], ASK);
    // A file that clang does not find comes back as the bare name that was asked for.
    let start = ask("-print-file-name=crt1-reactor.o")?;
    if !machine.exists(Path::new(start.trim())) {
        return Err(format!("{version} has no C library for wasm32-wasi"));
    }
    let linker = ask("-print-prog-name=wasm-ld")?;
    if !machine.exists(Path::new(linker.trim())) {
        return Err(format!("{version} has no linker wasm-ld"));
    }
    Ok(Compiler::Clang(version))
}

fn zig(machine: &dyn Machine, tools: &Path) -> Option<Compiler> {
    let folder = ZIG.folder(tools);
    machine.exists(&folder).then_some(Compiler::Zig(folder))
}

/// Zig from its folder, as a Python package runs it.
pub(super) fn zig_command(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("ziglang/zig"));
    command.env_remove("ZIG_LOCAL_CACHE_DIR");
    command
}

impl Toolchain for Compiler {
    fn describe(&self) -> String {
        match self {
            Self::Clang(version) => version.clone(),
            Self::Zig(_) => format!("clang of Zig {}", ZIG.version()),
        }
    }

    fn key(&self) -> String {
        format!("{} {SETTINGS:?} {MEMORY}", self.describe())
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let made = match self.run(job, &[MEMORY]) {
            // Much static data needs more memory than the usual from the start; the linker then decides how much.
            Err(complaint) if complaint.contains("initial memory too small") => self.run(job, &[]),
            other => other,
        };
        made.map(Made::Untyped)
    }
}

impl Compiler {
    fn run(&self, job: &Job<'_>, link: &[&str]) -> Result<Vec<u8>, String> {
        let out = job.scratch()?;
        let file = out.path().join("mapper.wasm");
        let mut command = match self {
            Self::Clang(_) => Command::new("clang"),
            Self::Zig(folder) => {
                let mut command = zig_command(folder);
                command.arg("cc");
                command
            }
        };
        if let Self::Clang(_) = self {
            // With the stack first, running out of it traps instead of overwriting data; Zig does it unasked.
            command.arg("-Wl,--stack-first");
        }
        command.args(SETTINGS).args(link).arg("-o").arg(&file).current_dir(job.plugin);
        let sources = c_files(job.plugin).map_err(|error| format!("{}: {error}", job.plugin.display()))?;
        run_compiler(command.args(sources), job.progress)?;
        fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// The files to compile, as paths below the mapper's folder.
fn c_files(plugin: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut queue) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = queue.pop() {
        for entry in plugin.join(&folder).read_dir()?.flatten() {
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let path = folder.join(&name);
            if kind.is_dir() && !hidden && name != "cases" && name != "tests" {
                queue.push(path);
            } else if !kind.is_dir() && path.extension().is_some_and(|extension| extension == "c") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn found(machine: &Scripted) -> Result<String, String> {
        let tools = tempfile::tempdir().unwrap();
        let found = find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    const CLANG: [(&str, Result<&str, &str>); 3] = [
        ("clang --version", Ok("Debian clang version 14.0.6\nTarget: x86_64\n")),
        ("clang --target=wasm32-wasi -print-file-name", Ok("/lib/crt1-reactor.o\n")),
        ("clang --target=wasm32-wasi -print-prog-name", Ok("/bin/wasm-ld\n")),
    ];
    const PIP: [(&str, Result<&str, &str>); 2] =
        [("python3 -m pip --version", Ok("pip 1")), ("python3 -m pip install", Ok(""))];

    #[test]
    fn an_installed_clang_that_has_all_is_taken() {
        let machine = Scripted {
            answers: CLANG.to_vec(),
            paths: vec!["/lib/crt1-reactor.o", "/bin/wasm-ld"],
            ..Scripted::default()
        };
        assert_eq!(found(&machine).unwrap(), "Debian clang version 14.0.6");
        assert!(!machine.was_asked("python3"));
    }

    #[test]
    fn a_clang_without_a_library_or_linker_gives_way_to_zig() {
        for paths in [vec!["/bin/wasm-ld"], vec!["/lib/crt1-reactor.o"]] {
            let answers = CLANG.into_iter().chain(PIP).collect();
            let machine = Scripted { answers, paths, ..Scripted::default() };
            assert!(found(&machine).unwrap().starts_with("clang of Zig"));
        }
    }

    #[test]
    fn when_no_way_leads_there_each_is_listed_with_what_came_of_it() {
        let machine = Scripted { paths: vec!["/etc/debian_version"], ..Scripted::default() };
        let text = found(&machine).unwrap_err();
        for part in ["clang: it is not installed", "python3 has no pip", "only root may", "wasi-libc"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
