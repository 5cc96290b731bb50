//! What the search for a toolchain may do to the machine, and what is told when no way leads to one.

use std::{path::Path, process::Command, time::Duration};

use super::super::command::{self, End, Line};

/// Asking a program for its version; a proxy may have to load a little first.
pub(in super::super) const ASK: Duration = Duration::from_secs(30);
/// Debian's packages may be 400 MB.
const INSTALL: Duration = Duration::from_secs(1200);
/// An unreachable mirror is given up soon.
const TIMEOUT: &str = "Acquire::http::Timeout=20";

/// The machine; the tests put a scripted one in its place.
pub(in super::super) trait Machine {
    /// Runs a program in the mapper's folder; the lines that it printed on standard output, or its last complaint.
    fn run(&self, program: &str, arguments: &[&str], patience: Duration) -> Result<String, String>;
    /// Whether there is something at the path.
    fn exists(&self, path: &Path) -> bool;
    /// Whether a folder holds a file that begins so.
    fn holds(&self, folder: &Path, prefix: &str) -> bool;
    /// Whether packages may be installed.
    fn is_root(&self) -> bool;
}

/// None of the ways leads to a toolchain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no toolchain on this machine compiles {what}\n{}\nhelp: {help}", listed(.tried))]
pub struct Missing {
    /// From what to what: `Rust to wasm32-unknown-unknown`.
    pub what: &'static str,
    /// What was tried, and what came of it.
    pub tried: Vec<String>,
    /// What to do.
    pub help: String,
}

fn listed(tried: &[String]) -> String {
    tried.iter().map(|line| format!("  tried {line}")).collect::<Vec<_>>().join("\n")
}

/// Installs Debian's packages.
///
/// # Errors
/// This is no Debian, nobody may install here, or apt-get refused; in words for the list of what was tried.
pub(super) fn install(
    machine: &dyn Machine,
    packages: &[&str],
    progress: &dyn Fn(&str),
) -> Result<(), String> {
    if !machine.exists(Path::new("/etc/debian_version")) {
        return Err("this is no Debian".to_owned());
    }
    if !machine.is_root() {
        return Err("only root may".to_owned());
    }
    progress(&format!("installing {}", packages.join(", ")));
    let mut arguments = vec!["-y", "--no-install-recommends", "-o", TIMEOUT, "install"];
    arguments.extend(packages);
    if machine.run("apt-get", &arguments, INSTALL).is_ok() {
        return Ok(());
    }
    // A fresh container knows no package until it has asked once.
    machine.run("apt-get", &["-o", TIMEOUT, "update"], INSTALL)?;
    machine.run("apt-get", &arguments, INSTALL).map(|_| ())
}

/// The machine that this runs on.
pub(in super::super) struct Here<'a> {
    /// The mapper's folder: what is installed may depend on it.
    pub folder: &'a Path,
}

impl Machine for Here<'_> {
    fn run(&self, program: &str, arguments: &[&str], patience: Duration) -> Result<String, String> {
        let (mut out, mut last) = (String::new(), String::new());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder);
        // Without a network the answer should be no at once, not after several tries.
        command.envs([
            ("RUSTUP_MAX_RETRIES", "0"),
            ("RUSTUP_DOWNLOAD_TIMEOUT", "15"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ]);
        let end = command::run(&mut command, patience, &mut |line| match line {
            Line::Out(line) => {
                out.push_str(&line);
                out.push('\n');
            }
            Line::Err(line) if !line.trim().is_empty() => last = line.trim().to_owned(),
            Line::Err(_) => {}
        });
        match end {
            End::Fine => Ok(out),
            End::Failed(_) if last.is_empty() => Err("it failed without a word".to_owned()),
            End::Failed(_) => Err(last),
            End::Silent => Err(format!("stopped after {} s without a word", patience.as_secs())),
            End::Absent => Err("it is not installed".to_owned()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn holds(&self, folder: &Path, prefix: &str) -> bool {
        let Ok(entries) = folder.read_dir() else { return false };
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    }

    fn is_root(&self) -> bool {
        // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
        unsafe { libc::geteuid() == 0 }
    }
}

/// A machine for tests, by a script.
#[cfg(test)]
pub(super) mod scripted {
    use std::cell::RefCell;

    use super::*;

    /// Which commands answer what, which paths are there, and what a command changes.
    #[derive(Default)]
    pub(in super::super) struct Scripted {
        pub answers: Vec<(&'static str, Result<&'static str, &'static str>)>,
        pub paths: Vec<&'static str>,
        pub appears: Vec<(&'static str, &'static str)>,
        pub there: RefCell<Vec<&'static str>>,
        pub asked: RefCell<Vec<String>>,
        pub root: bool,
    }

    impl Scripted {
        /// Whether a command that begins so was run.
        pub fn was_asked(&self, begin: &str) -> bool {
            self.asked.borrow().iter().any(|asked| asked.starts_with(begin))
        }
    }

    impl Machine for Scripted {
        fn run(&self, program: &str, arguments: &[&str], _: Duration) -> Result<String, String> {
            let asked = format!("{program} {}", arguments.join(" "));
            let answer = self.answers.iter().find(|(begin, _)| asked.starts_with(begin));
            if matches!(answer, Some((_, Ok(_)))) {
                let new = self.appears.iter().filter(|(begin, _)| asked.starts_with(begin));
                self.there.borrow_mut().extend(new.map(|(_, path)| *path));
            }
            self.asked.borrow_mut().push(asked);
            match answer {
                Some((_, Ok(said))) => Ok((*said).to_owned()),
                Some((_, Err(why))) => Err((*why).to_owned()),
                None => Err("it is not installed".to_owned()),
            }
        }

        fn exists(&self, path: &Path) -> bool {
            let path = path.to_str().expect("the tests use plain paths");
            self.paths.contains(&path) || self.there.borrow().contains(&path)
        }

        fn holds(&self, folder: &Path, _: &str) -> bool {
            self.exists(folder)
        }

        fn is_root(&self) -> bool {
            self.root
        }
    }
}
