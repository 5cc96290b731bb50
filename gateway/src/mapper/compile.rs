//! Compiling in a child process: Cranelift cannot be stopped from within, a process can.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    LoadError, clip,
    engine::{self, Code},
    inspect::LARGEST,
};

/// The hidden command that runs [`child_main`].
pub const COMMAND: &str = "compile-mapper";

/// Address space of the child. The largest mapper that was built needs about a third of it.
const ADDRESS_SPACE: u64 = 4 << 30;

/// CPU seconds of the child; the slowest known mapper takes 18.
const CPU_SECONDS: u64 = 90;

/// Time by the clock on the wall, for a machine that is busy with other things.
const WALL: Duration = Duration::from_secs(300);

/// Bytes of compiled code; the largest that was seen has 36 MB.
const LARGEST_CODE: usize = 256 << 20;

/// Bytes of the child's complaint that are read.
const COMPLAINT: u64 = 4 << 10;

/// Starts children, one at a time: two large compilations side by side would starve the messages.
pub(super) struct Compiler {
    program: PathBuf,
    code: Code,
    turn: Semaphore,
}

impl Compiler {
    /// A compiler that starts `program` with [`COMMAND`] and the name of the code that it is to make.
    pub fn new(program: PathBuf, code: Code) -> Self {
        Self { program, code, turn: Semaphore::new(1) }
    }

    /// The program that it starts.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Waits until nothing else is compiled.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, LoadError> {
        self.turn.acquire().await.map_err(|_| LoadError::Broken)
    }

    /// Compiles; the child is killed when the future is dropped.
    pub async fn compile(&self, _turn: &SemaphorePermit<'_>, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        match timeout(WALL, self.run(wasm)).await {
            Ok(compiled) => compiled,
            Err(_) => Err(fail(&format!("it took longer than {} s", WALL.as_secs()))),
        }
    }

    async fn run(&self, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let started = start(Command::new(&self.program).args([COMMAND, self.code.name()]));
        let (mut child, mut stdin, stdout, stderr) =
            started.map_err(|error| fail(&format!("the compiler could not be started: {error}")))?;
        let send = async {
            // A child that died does not read to the end; its exit status says more than this error would.
            let _ = stdin.write_all(wasm).await;
            drop(stdin);
        };
        let (mut code, mut complaint) = (Vec::new(), Vec::new());
        let limit = u64::try_from(LARGEST_CODE).unwrap_or(u64::MAX).saturating_add(1);
        let (mut stdout, mut stderr) = (stdout.take(limit), stderr.take(COMPLAINT));
        let receive = stdout.read_to_end(&mut code);
        let listen = stderr.read_to_end(&mut complaint);
        let ((), received, listened) = tokio::join!(send, receive, listen);
        if code.len() > LARGEST_CODE {
            return Err(fail(&format!("the compiled code has more than {LARGEST_CODE} bytes")));
        }
        let status = child.wait().await.map_err(|error| fail(&error.to_string()))?;
        received.and(listened).map_err(|error| fail(&error.to_string()))?;
        if status.success() {
            return Ok(code);
        }
        let complaint = clip(&String::from_utf8_lossy(&complaint), 300);
        // A child that met a limit of its own is killed by a signal or aborts, and says nothing useful.
        Err(fail(if status.code() == Some(1) && !complaint.is_empty() {
            &complaint
        } else {
            "the compiler met its limit of time or memory"
        }))
    }
}

/// Starts a child with three pipes and nothing of our environment; it is killed when it is dropped.
pub(super) fn start(command: &mut Command) -> std::io::Result<(Child, ChildStdin, ChildStdout, ChildStderr)> {
    command.env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => Ok((child, stdin, stdout, stderr)),
        _ => Err(std::io::Error::other("it has no pipes")),
    }
}

fn fail(what: &str) -> LoadError {
    LoadError::Compile(what.to_owned())
}

/// The child's side: limits itself, reads a component or module from stdin, writes compiled code to stdout.
/// A failure is one line on stderr and exit code 1.
pub fn child_main(code: Code) -> ExitCode {
    match child(code) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            // Nobody is left to tell if stderr is gone.
            let _ = writeln!(std::io::stderr(), "{what}");
            ExitCode::FAILURE
        }
    }
}

/// The work of [`child_main`].
pub(super) fn child(code: Code) -> Result<(), String> {
    limit(libc::RLIMIT_AS, ADDRESS_SPACE)?;
    limit(libc::RLIMIT_CPU, CPU_SECONDS)?;
    limit(libc::RLIMIT_CORE, 0)?;
    // It has all the files open that it needs, and writes to none on disk.
    limit(libc::RLIMIT_FSIZE, 0)?;
    let mut wasm = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(most).read_to_end(&mut wasm).map_err(|error| error.to_string())?;
    if wasm.len() > LARGEST {
        return Err(format!("more than {LARGEST} bytes"));
    }
    let engine = engine::compiling(code).map_err(|error| error.to_string())?;
    let compiled = if wasmparser::Parser::is_component(&wasm) {
        engine.precompile_component(&wasm)
    } else {
        engine.precompile_module(&wasm)
    };
    let code = compiled.map_err(|error| format!("{error:#}"))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(|error| error.to_string())
}

#[cfg(target_os = "linux")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_os = "linux"))]
type Resource = libc::c_int;

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let most = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: `most` is a valid rlimit for the whole call.
    let failed = unsafe { libc::setrlimit(resource, &most) };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}
