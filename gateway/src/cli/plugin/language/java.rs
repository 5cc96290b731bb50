//! Mappers in Java and Kotlin, by the second door: programs for WASI preview 1, compiled by javac, Kotlin's compiler and
//! TeaVM. The SDK is a package in the mapper's folder, in `crossdock/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Machine, Made, Missing, Room, Sources, Template, Toolchain,
    machine::{self, ASK},
    run_compiler,
    tools::FromMaven,
};

/// What makes WebAssembly out of classes, with its own class library.
const TOOLS: FromMaven = FromMaven {
    name: "teavm",
    pinned: include_str!("../../../../../plugin-sdk/tools/teavm.txt"),
    size: "25 MB",
};

/// Kotlin's compiler, which runs on the same JDK.
const KOTLIN: FromMaven = FromMaven {
    name: "kotlin",
    pinned: include_str!("../../../../../plugin-sdk/tools/kotlin.txt"),
    size: "65 MB",
};

/// Kotlin without reflection, for the classes that TeaVM reads.
const KOTLIN_SETTINGS: [&str; 4] = ["-no-reflect", "-no-stdlib", "-jvm-target", "11"];

/// The first release of Java that runs it and fetches it.
const OLDEST: u32 = 11;

/// The language of the mapper: TeaVM's class library knows no later one.
const RELEASE: [&str; 2] = ["--release", "11"];

/// Megabytes of heap: it begins with the least and collects before it takes the most.
const SETTINGS: [&str; 8] = ["-t", "wasm-wasi", "-O", "3", "--min-heap", "1", "--max-heap", "32"];

const CROSSDOCK: &str = include_str!("../../../../../plugin-sdk/java/Crossdock.java");
const JSON: &str = include_str!("../../../../../plugin-sdk/java/Json.java");
const WASI: &str = include_str!("../../../../../plugin-sdk/java/Wasi.java");

/// The rooms of Java and Kotlin, which differ in what a mapper's own sources are.
pub(super) enum Java {
    /// `Main.java`.
    Plain,
    /// `Main.kt`, beside the same SDK.
    Kotlin,
}

struct Tools {
    folder: PathBuf,
    javac: String,
    kotlin: Option<PathBuf>,
}

impl Room for Java {
    fn template(&self) -> Template {
        let files: &[_] = match self {
            Self::Plain => &[
                ("Main.java", include_str!("../../../../../plugin-sdk/java/template/Main.java")),
                ("crossdock/Crossdock.java", CROSSDOCK),
                ("crossdock/Json.java", JSON),
                ("crossdock/Wasi.java", WASI),
            ],
            Self::Kotlin => &[
                ("Main.kt", include_str!("../../../../../plugin-sdk/kotlin/template/Main.kt")),
                ("crossdock/Crossdock.java", CROSSDOCK),
                ("crossdock/Json.java", JSON),
                ("crossdock/Wasi.java", WASI),
            ],
        };
        let main = match self {
            Self::Plain => "Main.java",
            Self::Kotlin => "Main.kt",
        };
        Template { files, main, natively: "", sdk: None }
    }

    fn sources(&self) -> Sources {
        Sources { aside: &["target", "tests"], lock: None, elsewhere: |_| Vec::new() }
    }

    fn ready(&self, machine: &dyn Machine, tools: &Path) -> Option<Box<dyn Toolchain>> {
        let there = |tool: FromMaven| Some(tool.folder(tools)).filter(|folder| machine.exists(folder));
        let folder = there(TOOLS)?;
        let kotlin = match self {
            Self::Plain => None,
            Self::Kotlin => Some(there(KOTLIN)?),
        };
        let javac = javac(machine).ok()?;
        Some(Box::new(Tools { folder, javac, kotlin }))
    }

    fn find(
        &self,
        machine: &dyn Machine,
        tools: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Box<dyn Toolchain>, Missing> {
        let mut tried = Vec::new();
        let found = javac(machine).or_else(|why| {
            tried.push(format!("javac: {why}"));
            let installed = machine::install(machine, &["default-jdk-headless"], progress);
            installed.and_then(|()| javac(machine)).map_err(|why| {
                tried.push(format!("installing Debian's packages: {why}"));
            })
        });
        if let Ok(javac) = found {
            let provide = |tool: FromMaven, title: &str| {
                let folder = tool.folder(tools);
                let there = machine.exists(&folder).then_some(Ok(folder));
                let folder = there.unwrap_or_else(|| tool.fetch(machine, tools, progress));
                folder.map_err(|why| format!("fetching {title} from Maven Central: {why}"))
            };
            let kotlin = || match self {
                Self::Plain => Ok(None),
                Self::Kotlin => provide(KOTLIN, "Kotlin's compiler").map(Some),
            };
            match provide(TOOLS, "TeaVM").and_then(|folder| Ok((folder, kotlin()?))) {
                Ok((folder, kotlin)) => return Ok(Box::new(Tools { folder, javac, kotlin })),
                Err(why) => tried.push(why),
            }
        }
        let help = format!(
            "install a JDK, {OLDEST} or newer; on Debian, as root: apt-get install default-jdk-headless"
        );
        let what = match self {
            Self::Plain => "Java to WASI preview 1",
            Self::Kotlin => "Kotlin to WASI preview 1",
        };
        Err(Missing { what, tried, help })
    }

    fn entry(&self) -> &'static str {
        match self {
            Self::Plain => "`main` in Main.java calls `run(new Main(), arguments)`",
            Self::Kotlin => "`main` in Main.kt calls `run(…, arguments)`",
        }
    }
}

fn javac(machine: &dyn Machine) -> Result<String, String> {
    // Such as `javac 17.0.15`; up to Java 8 `javac 1.8.0_292`.
    let said = machine.run("javac", &["--version"], ASK)?;
    let version = said.split_whitespace().nth(1).ok_or("it does not say its version")?.to_owned();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST => Ok(version),
        _ => Err(format!("{version} is too old: {OLDEST} is the first that will do")),
    }
}

impl Toolchain for Tools {
    fn describe(&self) -> String {
        let kotlin = self.kotlin.as_ref().map(|_| format!("Kotlin {}, ", KOTLIN.version()));
        format!("{}javac {} and TeaVM {}", kotlin.unwrap_or_default(), self.javac, TOOLS.version())
    }

    fn key(&self) -> String {
        let java = format!("{} {} {RELEASE:?} {SETTINGS:?}", self.javac, TOOLS.pinned);
        match self.kotlin {
            Some(_) => format!("{java} {} {KOTLIN_SETTINGS:?}", KOTLIN.pinned),
            None => java,
        }
    }

    fn compile(&self, job: &Job<'_>) -> Result<Made, String> {
        let out = job.scratch()?;
        let (classes, library) = (out.path().join("classes"), self.folder.join("*"));
        let mut javac = Command::new("javac");
        javac
            .args(RELEASE)
            .arg("-cp")
            .arg(&library)
            .arg("-d")
            .arg(&classes)
            .args(sources(job.plugin, "java")?);
        run_compiler(javac.current_dir(job.plugin), job.progress)?;
        let mut teavm = Command::new("java");
        // The classes come first: whatever follows them up to the next option would be more of them.
        teavm.arg("-cp").arg(&library).args(["org.teavm.cli.TeaVMRunner", "-p"]).arg(&classes);
        if let Some(kotlin) = &self.kotlin {
            self.compile_kotlin(job, kotlin, &classes)?;
            teavm.arg(standard_library(kotlin));
        }
        teavm.args(SETTINGS).arg("-d").arg(out.path()).args(["-f", "mapper.wasm"]);
        // The top of Main.kt is a class of that name.
        teavm.arg(if self.kotlin.is_some() { "MainKt" } else { "Main" });
        run_compiler(teavm.current_dir(out.path()), job.progress)?;
        let file = out.path().join("mapper.wasm");
        fs::read(&file).map(Made::Command).map_err(|error| format!("{}: {error}", file.display()))
    }
}

impl Tools {
    /// Compiles a mapper's own sources against the classes of its SDK, beside them.
    fn compile_kotlin(&self, job: &Job<'_>, kotlin: &Path, classes: &Path) -> Result<(), String> {
        let known = std::env::join_paths([classes.to_owned(), standard_library(kotlin)]);
        let known = known.map_err(|error| format!("{}: {error}", kotlin.display()))?;
        let mut command = Command::new("java");
        command.arg("-cp").arg(kotlin.join("*")).arg("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler");
        command.args(KOTLIN_SETTINGS).arg("-cp").arg(known).arg("-d").arg(classes);
        command.args(sources(job.plugin, "kt")?);
        run_compiler(command.current_dir(job.plugin), job.progress)
    }
}

fn standard_library(kotlin: &Path) -> PathBuf {
    kotlin.join(format!("kotlin-stdlib-{}.jar", KOTLIN.version()))
}

/// Every source in the mapper's folder and its packages, in an order of their own.
fn sources(plugin: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let (mut found, mut queue) = (Vec::new(), vec![plugin.to_owned()]);
    while let Some(folder) = queue.pop() {
        let entries = folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let aside = ["cases", "target", "tests"].iter().any(|aside| path.ends_with(aside));
            if path.is_dir() && !aside {
                queue.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(plugin).unwrap_or(&path).to_owned());
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
        let found = Java::Plain.find(machine, tools.path(), &|_| ()).map(|found| found.describe());
        found.map_err(|missing| missing.to_string())
    }

    #[test]
    fn teavm_is_fetched_where_a_jdk_is_there() {
        let answers = vec![("javac --version", Ok("javac 17.0.15\n")), ("java -D", Ok(""))];
        let said = found(&Scripted { answers, ..Scripted::default() }).unwrap();
        assert!(said.starts_with("javac 17.0.15 and TeaVM 0."), "{said}");
        let answers = vec![("javac --version", Ok("javac 21\n")), ("java -D", Ok(""))];
        let machine = Scripted { answers, ..Scripted::default() };
        let tools = tempfile::tempdir().unwrap();
        let said = Java::Kotlin.find(&machine, tools.path(), &|_| ()).unwrap().describe();
        assert!(said.starts_with("Kotlin 2.") && said.contains(", javac 21 and TeaVM 0."), "{said}");
    }

    #[test]
    fn without_a_jdk_or_maven_central_each_way_is_listed_with_what_came_of_it() {
        let text = found(&Scripted::default()).unwrap_err();
        assert!(text.contains("javac: it is not installed") && text.contains("this is no Debian"), "{text}");
        let answers = vec![("javac --version", Ok("javac 1.8.0_292\n"))];
        let text = found(&Scripted { answers, ..Scripted::default() }).unwrap_err();
        assert!(text.contains("1.8.0_292 is too old"), "{text}");
        let answers = vec![("javac --version", Ok("javac 21\n")), ("java -D", Err("no route"))];
        let text = found(&Scripted { answers, ..Scripted::default() }).unwrap_err();
        assert!(text.contains("Maven Central: no route"), "{text}");
    }

    #[test]
    fn every_package_of_the_folder_is_compiled_and_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        for place in ["Main.java", "a/b/C.java", "cases/D.java", "mapper.yaml", "tests/E.java"] {
            let path = root.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(sources(root.path(), "java").unwrap(), [Path::new("Main.java"), Path::new("a/b/C.java")]);
    }
}
