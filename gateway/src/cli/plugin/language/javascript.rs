//! Mappers in JavaScript and TypeScript: bundled by esbuild, put into a component with QuickJS by componentize-qjs.
//! The SDK lies in the mapper's folder, in `sdk/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain, contract, essence,
    machine::{self, ASK},
    run_compiler,
    tools::FromNpm,
};

/// The bundler, and what puts an engine and its script into a component.
const TOOLS: FromNpm = FromNpm {
    name: "javascript",
    package: include_str!("../../../../../plugin-sdk/tools/javascript/package.json"),
    pinned: include_str!("../../../../../plugin-sdk/tools/javascript/package-lock.json"),
    size: "15 MB",
};

/// One file of what the engine understands; what the gateway gives stays an import.
const BUNDLE: [&str; 5] =
    ["--bundle", "--format=esm", "--target=es2022", "--external:crossdock:*", "--log-level=warning"];
/// No event loop and nothing of WASI is left. An instance lives for one message, so nothing is collected.
const COMPONENT: [&str; 3] = ["--sync", "--stub-wasi", "--disable-gc"];

const SDK: &str = include_str!("../../../../../plugin-sdk/js/crossdock.ts");
const TYPES: &str = include_str!("../../../../../plugin-sdk/js/contract.d.ts");

/// The rooms of JavaScript and TypeScript, which differ in how a mapper begins.
pub(super) enum JavaScript {
    /// `mapper.js`.
    Plain,
    /// `mapper.ts`.
    Typed,
}

struct Tools {
    folder: PathBuf,
    node: String,
    main: &'static str,
}

impl Room for JavaScript {
    fn template(&self) -> Template {
        let files: &[_] = match self {
            Self::Plain => &[
                ("mapper.js", include_str!("../../../../../plugin-sdk/js/template/mapper.js")),
                ("sdk/crossdock.ts", SDK),
                ("sdk/contract.d.ts", TYPES),
            ],
            Self::Typed => &[
                ("mapper.ts", include_str!("../../../../../plugin-sdk/js/template-ts/mapper.ts")),
                ("tsconfig.json", include_str!("../../../../../plugin-sdk/js/template-ts/tsconfig.json")),
                ("sdk/crossdock.ts", SDK),
                ("sdk/contract.d.ts", TYPES),
            ],
        };
        Template { files, main: self.main(), natively: "", sdk: None }
    }

    fn sources(&self) -> Sources {
        // What npm installs is what the lock file says, which counts.
        Sources { aside: &["node_modules", "tests"], lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let folder = TOOLS.folder(tools);
        if !machine.exists(&folder) {
            return None;
        }
        let node = node(machine).ok()?;
        Some(Box::new(Tools { folder, node, main: self.main() }))
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        let mut tried = Vec::new();
        let title = "esbuild and componentize-qjs";
        match with_node(&TOOLS, title, node, machine, tools, progress, &mut tried) {
            Some((folder, node)) => Ok(Box::new(Tools { folder, node, main: self.main() })),
            None => Err(Missing {
                what: "JavaScript to a component",
                tried,
                help: "install Node.js 18 or newer with npm; on Debian, as root: apt-get install nodejs npm"
                    .into(),
            }),
        }
    }

    fn brief(&self, complaint: &str) -> String {
        // esbuild is started by a script that falls over what esbuild says.
        let noise = ["componentize-qjs", "WIT:", "JS:", "Output:", "Stubbing WASI"];
        essence(complaint, &noise, &["node:child_process", "node:internal"])
    }

    fn entry(&self) -> &'static str {
        "`export const { toCanonical, fromCanonical, acknowledge } = mapper({ … })` makes one"
    }
}

impl JavaScript {
    fn main(&self) -> &'static str {
        match self {
            Self::Plain => "mapper.js",
            Self::Typed => "mapper.ts",
        }
    }
}

/// The compilers of an npm lock file with the Node.js that runs them, installed and fetched where they are not there. What was
/// in vain is told in `tried`.
pub(super) fn with_node(
    compilers: &FromNpm,
    title: &str,
    node: impl Fn(&dyn Machine) -> Result<String, String>,
    machine: &dyn Machine,
    tools: &Path,
    progress: &dyn Fn(&str),
    tried: &mut Vec<String>,
) -> Option<(PathBuf, String)> {
    let node = node(machine).or_else(|why| {
        tried.push(format!("node: {why}"));
        let installed = machine::install(machine, &["nodejs", "npm"], progress);
        installed.and_then(|()| node(machine)).map_err(|why| {
            tried.push(format!("installing Debian's packages: {why}"));
        })
    });
    let node = node.ok()?;
    let folder = compilers.folder(tools);
    if machine.exists(&folder) {
        return Some((folder, node));
    }
    let fetched = compilers.fetch(machine, tools, progress);
    fetched
        .map_err(|why| tried.push(format!("fetching {title} from npm: {why}")))
        .ok()
        .map(|folder| (folder, node))
}

pub(super) fn node(machine: &dyn Machine) -> Result<String, String> {
    machine.run("node", &["--version"], ASK).map(|said| said.trim().to_owned())
}

impl Toolchain for Tools {
    fn describe(&self) -> String {
        format!("{}, {} on Node.js {}", pinned("componentize-qjs"), pinned("esbuild"), self.node)
    }

    fn key(&self) -> String {
        // Which Node.js runs the compilers does not decide over what they make.
        format!("{} {BUNDLE:?} {COMPONENT:?}", TOOLS.pinned)
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let out = job.scratch()?;
        let (script, wasm) = (out.path().join("mapper.js"), out.path().join("mapper.wasm"));
        let wit = out.path().join("mapper.wit");
        fs::write(&wit, contract::TEXT).map_err(|error| format!("{}: {error}", wit.display()))?;
        let mut esbuild = self.command("esbuild");
        esbuild.arg(self.main).args(BUNDLE).arg(format!("--outfile={}", script.display()));
        run_compiler(esbuild.current_dir(job.plugin), job.progress)?;
        let mut componentize = self.command("componentize-qjs");
        componentize.arg("--wit").arg(&wit).arg("--js").arg(&script).args(["--world", contract::WORLD]);
        componentize.args(COMPONENT).arg("--output").arg(&wasm);
        run_compiler(componentize.current_dir(out.path()), job.progress)?;
        fs::read(&wasm).map(Made::Component).map_err(|error| format!("{}: {error}", wasm.display()))
    }
}

impl Tools {
    fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join("node_modules/.bin").join(name))
    }
}

/// A tool and the version that `package.json` pins.
fn pinned(name: &str) -> String {
    let package: serde_json::Value = serde_json::from_str(TOOLS.package).unwrap_or_default();
    format!("{name} {}", package["dependencies"][name].as_str().unwrap_or("of no version"))
}

#[cfg(test)]
mod tests {
    use super::{super::machine::scripted::Scripted, *};

    fn found(machine: &Scripted) -> Result<String, String> {
        let tools = tempfile::tempdir().unwrap();
        let found = JavaScript::Plain.find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    #[test]
    fn of_a_complaint_the_mappers_own_part_is_shown() {
        let said = "\u{2718} [ERROR] Unexpected \";\"\n\n    mapper.js:62:22:\n\nnode:child_process:930\n    throw err;\n";
        let brief = JavaScript::Plain.brief(said);
        assert!(brief.ends_with("mapper.js:62:22:") && !brief.contains("throw"), "{brief}");
        let said = "componentize-qjs\n  WIT:    /x\nStubbing WASI imports...\nError: : Failed: x is not defined\n    at <a> (/mapper.js:2:1)";
        assert_eq!(
            JavaScript::Typed.brief(said),
            "Error: : Failed: x is not defined\n    at <a> (/mapper.js:2:1)"
        );
        assert_eq!(JavaScript::Plain.brief("node:child_process"), "node:child_process");
    }

    #[test]
    fn the_tools_are_fetched_where_node_is_there() {
        let answers =
            vec![("node --version", Ok("v20.1.0\n")), ("npm --version", Ok("9")), ("npm ci", Ok(""))];
        let said = found(&Scripted { answers, ..Scripted::default() }).unwrap();
        assert!(said.starts_with("componentize-qjs 0.") && said.ends_with("Node.js v20.1.0"), "{said}");
    }

    #[test]
    fn without_node_or_npm_each_way_is_listed_with_what_came_of_it() {
        let text = found(&Scripted::default()).unwrap_err();
        assert!(text.contains("node: it is not installed") && text.contains("this is no Debian"), "{text}");
        let answers = vec![("node --version", Ok("v20.1.0\n"))];
        let text = found(&Scripted { answers, ..Scripted::default() }).unwrap_err();
        assert!(text.contains("npm is not installed; on Debian"), "{text}");
    }
}
