//! A real gateway on real sockets, with tiny real systems behind it. Tests read like sentences with it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

mod client;
mod estate;
mod issuer;
mod receiver;
mod warm;

pub use client::{Reply, call, call_over, open};
pub use estate::{ACME_KEY, Estate, GLOBEX_KEY};
pub use issuer::Issuer;
pub use receiver::{Received, Receiver};
pub use warm::lend;

/// Longest wait for something that should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for a gateway that compiles its mappers while other tests have the processors.
const COMING_UP: Duration = Duration::from_secs(120);

/// A running `crossdock serve`.
pub struct Gateway {
    child: Child,
    /// Where partners call.
    pub address: String,
    /// Where operators call.
    pub admin: String,
    token: String,
}

impl Gateway {
    /// Starts the real binary on an estate and a data folder, and waits until it serves.
    ///
    /// # Errors
    /// It did not come up; what it said is in the error.
    pub async fn start(estate: &Estate, data: &Path) -> anyhow::Result<Self> {
        warm::lend(data).await?;
        Self::start_cold(estate, data).await
    }

    /// The same, but mappers that this data folder has not seen are compiled anew.
    ///
    /// # Errors
    /// It did not come up; what it said is in the error.
    pub async fn start_cold(estate: &Estate, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(estate, data, mappers()).await
    }

    /// Starts it on a data folder that has its mappers already: what was live is to be live again.
    ///
    /// # Errors
    /// It did not come up; what it said is in the error.
    pub async fn start_again(estate: &Estate, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(estate, data, &[]).await
    }

    async fn start_with(estate: &Estate, data: &Path, mappers: &[PathBuf]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary());
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policies"]);
        command.arg(estate.folder()).arg("--data").arg(data);
        for mapper in mappers {
            command.arg("--mapper").arg(mapper);
        }
        command.env("CROSSDOCK_LOG", std::env::var("CROSSDOCK_LOG").unwrap_or_else(|_| "warn".to_owned()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{} does not start", binary().display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let line =
            timeout(COMING_UP, lines.next_line()).await.context("the gateway did not come up in time")??;
        let Some(line) = line else { bail!("the gateway ended before it served: {}", child.wait().await?) };
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let text = |name: &str| {
            ready[name].as_str().map(str::to_owned).with_context(|| format!("no `{name}` in {line}"))
        };
        let token = std::fs::read_to_string(data.join("admin.token")).context("the admin token")?;
        Ok(Self { child, address: text("listen")?, admin: text("admin")?, token })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// `kill -9`, and waits for its end.
    ///
    /// # Errors
    /// It could not be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill")
    }

    /// SIGTERM, without waiting for what comes of it.
    ///
    /// # Errors
    /// The process has no id that a signal can be sent to.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = libc::pid_t::try_from(self.pid()).context("a pid fits")?;
        // SAFETY: a plain system call on our own child, which has not been waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        Ok(())
    }

    /// SIGTERM, and the exit code after the drain.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn stop(mut self) -> anyhow::Result<Option<i32>> {
        self.terminate()?;
        Ok(timeout(PATIENCE, self.child.wait()).await.context("the gateway did not drain in time")??.code())
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process is gone.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let pages: u64 = text.split(' ').nth(1).context("statm has a second field")?.parse()?;
        Ok(pages * 4096)
    }

    /// Posts a document.
    ///
    /// # Errors
    /// No answer came.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> anyhow::Result<Reply> {
        call(&self.address, "POST", path, headers, body.into()).await
    }

    /// Gets something.
    ///
    /// # Errors
    /// No answer came.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Reply> {
        call(&self.address, "GET", path, headers, bytes::Bytes::new()).await
    }

    /// Asks the admin API.
    ///
    /// # Errors
    /// No answer came, or it is no.
    pub async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let reply = self.admin_call("GET", path, bytes::Bytes::new()).await?;
        if reply.status != 200 {
            bail!("{path}: {} {}", reply.status, reply.text());
        }
        reply.json()
    }

    /// Calls the admin API with its token.
    ///
    /// # Errors
    /// No answer came.
    pub async fn admin_call(&self, method: &str, path: &str, body: bytes::Bytes) -> anyhow::Result<Reply> {
        let token = format!("Bearer {}", self.token.trim());
        call(&self.admin, method, &format!("/api/v1/{path}"), &[("authorization", &token)], body).await
    }
}

/// Waits until `condition` holds.
///
/// # Errors
/// It did not within [`PATIENCE`]; `what` says what was waited for.
pub async fn until<F: AsyncFnMut() -> anyhow::Result<bool>>(
    what: &str,
    mut condition: F,
) -> anyhow::Result<()> {
    let waited = timeout(PATIENCE, async {
        while !condition().await? {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    });
    waited.await.with_context(|| format!("waited in vain until {what}"))?
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// A folder of shared test data, if it is there; with `CI` set it must be.
pub fn shared(variable: &str, name: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os(variable).map_or_else(|| root().join("../shared").join(name), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is absent, and CI is set: name it with {variable}",
        folder.display()
    );
    eprintln!("{} is absent: skipped; name it with {variable}", folder.display());
    None
}

/// The gateway's binary, beside the test's own.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own.ancestors().find(|folder| folder.join("crossdock").is_file());
    folder.map(|folder| folder.join("crossdock")).unwrap_or_else(|| {
        panic!("no `crossdock` beside {}: cargo build --release -p crossdock", own.display())
    })
}

/// The compiled mappers of the worked estate; built once, then cached by the digest of their sources.
pub fn mappers() -> &'static [PathBuf] {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut built = Vec::new();
        let folder = std::fs::read_dir(root().join("plugins")).expect("plugins/ is there");
        for entry in folder.flatten().filter(|entry| entry.path().join("mapper.yaml").is_file()) {
            let found = crossdock::cli::plugin::build::build(&entry.path(), &|line| eprintln!("{line}"));
            built.push(found.expect("the mappers of the estate build").wasm);
        }
        built.sort();
        built
    })
}
