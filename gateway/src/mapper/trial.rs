//! A mapper's own cases, run before it is let in: by this program as a child, under the limits that messages have. The
//! child has workers of its own, so that a mapper on trial takes no turn from one that serves.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use super::{CASES, Host, LoadError, clip, compile, sections};

/// The hidden command that runs the cases.
pub const COMMAND: &str = "try-mapper";

/// Longest trial. A Python mapper's cases take a second.
const LONGEST: Duration = Duration::from_secs(60);
/// Longest report in bytes.
const REPORT: u64 = 256 << 10;

/// What came of a mapper's cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// How many there are.
    pub cases: usize,
    /// How many of them differ.
    pub failing: usize,
    /// CPU microseconds of all of them together.
    pub cpu_micros: u64,
    /// The first differences, a line each.
    pub differences: Vec<String>,
}

impl Host {
    /// Runs the cases that a mapper carries; a mapper that carries none has none to fail.
    ///
    /// # Errors
    /// The trial did not come to an end.
    pub async fn try_cases(&self, wasm: &[u8]) -> Result<Tried, LoadError> {
        if sections::named(wasm, CASES).is_empty() {
            return Ok(Tried::default());
        }
        // One at a time, compilations included: a trial beside the traffic takes one processor and not two.
        let _turn = self.compiler.turn().await?;
        let fail = |what: String| LoadError::Trial(what);
        let room = tempfile::Builder::new().prefix("trial").tempdir_in(self.cache.folder());
        let room = room.map_err(|error| fail(format!("no folder for them: {error}")))?;
        let mut command = Command::new(self.compiler.program());
        command.arg(COMMAND).arg("--compiled").arg(self.cache.folder()).arg("--room").arg(room.path());
        let started = compile::start(&mut command);
        let (mut child, mut stdin, stdout, stderr) =
            started.map_err(|error| fail(format!("the child could not be started: {error}")))?;
        let (mut report, mut complaint) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(REPORT), stderr.take(REPORT));
        let run = async {
            let send = async {
                // A child that ended early says why on its standard error.
                let _ = stdin.write_all(wasm).await;
                drop(stdin);
            };
            let _ = tokio::join!(send, stdout.read_to_end(&mut report), stderr.read_to_end(&mut complaint));
            child.wait().await
        };
        match timeout(LONGEST, run).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(fail(error.to_string())),
            Err(_) => return Err(fail(format!("they took longer than {} s", LONGEST.as_secs()))),
        }
        serde_json::from_slice(&report).map_err(|_| {
            let said = clip(&String::from_utf8_lossy(&complaint), 300);
            fail(if said.is_empty() { "the child met its limit of time".to_owned() } else { said })
        })
    }
}
