//! Mappers in Python: put into a component with CPython by componentize-py. The SDK lies in the mapper's folder, in
//! `sdk/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain, contract, essence,
    machine::{self, ASK},
    run_compiler,
    tools::FromPython,
};

/// What puts the interpreter and the modules, imported already, into a component.
const COMPONENTIZE: FromPython = FromPython {
    name: "componentize-py",
    pinned: include_str!("../../../../../plugin-sdk/tools/componentize-py.txt"),
    size: "40 MB",
};

/// Where componentize-py looks for the exports: made of the mapper's module.
const APP: &str = "import mapper\nfrom sdk.crossdock import exported\n\nWitWorld = exported(mapper)\n";
/// Folders that nothing is imported from.
const ASIDE: [&str; 4] = ["__pycache__", "tests", "venv", "node_modules"];

/// The room of Python.
pub(super) struct Python;

struct Componentize {
    folder: PathBuf,
}

impl Room for Python {
    fn template(&self) -> Template {
        Template {
            files: &[
                ("mapper.py", include_str!("../../../../../plugin-sdk/python/template/mapper.py")),
                ("sdk/crossdock.py", include_str!("../../../../../plugin-sdk/python/crossdock.py")),
                // The first message after a start may take more CPU than an operation grants unasked.
                (
                    "cases/confirmation/context.json",
                    include_str!("../../../../../plugin-sdk/python/template/cases/confirmation/context.json"),
                ),
                (
                    "cases/confirmation-without-number/context.json",
                    include_str!(
                        "../../../../../plugin-sdk/python/template/cases/confirmation-without-number/context.json"
                    ),
                ),
                (
                    "cases/release/context.json",
                    include_str!("../../../../../plugin-sdk/python/template/cases/release/context.json"),
                ),
            ],
            main: "mapper.py",
            natively: "",
            sdk: None,
        }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &ASIDE, lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let folder = COMPONENTIZE.folder(tools);
        machine.exists(&folder).then(|| Box::new(Componentize { folder }) as _)
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
        let mut tried = Vec::new();
        if let Err(why) = machine.run("python3", &["-m", "pip", "--version"], ASK) {
            tried.push(format!("python3 with pip: {why}"));
            if let Err(why) = machine::install(machine, &["python3", "python3-pip"], progress) {
                tried.push(format!("installing Debian's packages: {why}"));
            }
        }
        match COMPONENTIZE.fetch(machine, tools, progress) {
            Ok(folder) => Ok(Box::new(Componentize { folder })),
            Err(why) => {
                tried.push(format!("fetching componentize-py from PyPI: {why}"));
                Err(Missing {
                    what: "Python to a component",
                    tried,
                    help: "install Python 3.10 or newer with pip; on Debian, as root: apt-get install python3-pip"
                        .into(),
                })
            }
        }
    }

    fn brief(&self, complaint: &str) -> String {
        // The compiler's own stack stands before and behind the mapper's.
        let own = complaint.rsplit_once("AssertionError: Traceback").map_or(complaint, |(_, own)| own);
        let own = own.split_once("\n").map_or(own, |(_, own)| own);
        essence(own, &["File \"/0/crossdock_app.py\"", "import mapper"], &["Caused by:", "Stack backtrace:"])
    }

    fn entry(&self) -> &'static str {
        "mapper.py defines `to_canonical`, `from_canonical` or `acknowledge`"
    }
}

impl Toolchain for Componentize {
    fn describe(&self) -> String {
        format!("componentize-py {}", COMPONENTIZE.version())
    }

    fn key(&self) -> String {
        format!("{} {APP}", COMPONENTIZE.pinned)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let out = job.scratch()?;
        let (modules, wasm) = (out.path().join("modules"), out.path().join("mapper.wasm"));
        let wit = out.path().join("mapper.wit");
        // The interpreter writes beside what it imports, so it imports copies.
        let copied = copy(job.plugin, &modules)
            .and_then(|()| fs::write(modules.join("crossdock_app.py"), APP))
            .and_then(|()| fs::write(&wit, contract::TEXT));
        copied.map_err(|error| format!("{}: {error}", out.path().display()))?;
        let mut command = Command::new("python3");
        command.arg(self.folder.join("bin/componentize-py")).env("PYTHONPATH", &self.folder);
        command.arg("-d").arg(&wit).args(["-w", contract::WORLD, "componentize", "--stub-wasi"]);
        command.arg("-p").arg(&modules).arg("-o").arg(&wasm).arg("crossdock_app");
        run_compiler(command.current_dir(out.path()), job.progress)?;
        fs::read(&wasm).map(Made::Component).map_err(|error| format!("{}: {error}", wasm.display()))
    }
}

/// Copies the folder's modules and what may lie beside them.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()?.flatten() {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let aside = name == "cases" || ASIDE.iter().any(|aside| name == *aside);
        if kind.is_dir() && !hidden && !aside {
            copy(&entry.path(), &to.join(&name))?;
        } else if !kind.is_dir() && !hidden {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn found(machine: &Scripted) -> Result<String, String> {
        let tools = tempfile::tempdir().unwrap();
        let found = Python.find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    #[test]
    fn of_a_complaint_the_mappers_own_part_is_shown() {
        let said = "Traceback (most recent call last):\n  File \"/bin/componentize-py\", line 8, in <module>\n\
            AssertionError: Traceback (most recent call last):\n  File \"/0/crossdock_app.py\", line 1, in <module>\n    \
            import mapper\n  File \"/0/mapper.py\", line 66, in <module>\n    import nothing\n\
            ModuleNotFoundError: No module named 'nothing'\n\n\nCaused by:\n    x\n\nStack backtrace:\n   0: y";
        assert_eq!(
            Python.brief(said),
            "  File \"/0/mapper.py\", line 66, in <module>\n    import nothing\nModuleNotFoundError: No module named 'nothing'"
        );
    }

    #[test]
    fn the_tool_is_fetched_where_pip_is_there() {
        let answers = vec![("python3 -m pip --version", Ok("pip 1")), ("python3 -m pip install", Ok(""))];
        let said = found(&Scripted { answers, ..Scripted::default() }).unwrap();
        assert!(said.starts_with("componentize-py 0."), "{said}");
    }

    #[test]
    fn without_pip_each_way_is_listed_with_what_came_of_it() {
        let text = found(&Scripted::default()).unwrap_err();
        for part in
            ["python3 with pip: it is not installed", "this is no Debian", "python3 has no pip", "help:"]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn modules_are_copied_and_cases_stay() {
        let root = tempfile::tempdir().unwrap();
        for file in ["mapper.py", "sdk/crossdock.py", "cases/a/in.json", "__pycache__/mapper.pyc", ".venv/x"]
        {
            let file = root.path().join("from").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let to = root.path().join("to");
        copy(&root.path().join("from"), &to).unwrap();
        for (file, there) in
            [("mapper.py", true), ("sdk/crossdock.py", true), ("cases", false), ("__pycache__", false)]
        {
            assert_eq!(to.join(file).exists(), there, "{file}");
        }
        assert!(!to.join(".venv").exists());
    }
}
