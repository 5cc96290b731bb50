//! A disk that fails to sync, once: `strace` makes the call of one thread of the gateway fail, as a disk would.
//!
//! What was written before a failed sync still sits in the page cache, so a look at the data alone could not tell a
//! gateway that acknowledges too early. The calls themselves can: each receipt needs a sync of its own before it.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, ensure};
use crossdock_tests::{Estate, Gateway, PATIENCE, until};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    history::{Answered, Doc, History, judge},
    single::{comes_up, post},
    storm::{ask_again, read_journal, serve, unlimited},
};

/// The subscriptions of the worked estate. Without them, acceptance alone writes.
const SUBSCRIPTIONS: [&str; 4] =
    ["dispatch-to-erp", "dispatch-to-tms", "milestones-to-portal", "release-to-wms"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_sync_that_failed_nothing_is_acknowledged_and_what_was_is_there() -> anyhow::Result<()> {
    if !can_trace().await? {
        return Ok(());
    }
    let estate = quiet()?;
    let folder = tempfile::tempdir()?;
    let mut run = Run { estate, answered: Vec::new(), next: 0 };
    for when in [1, 2, 9, 30] {
        let (acknowledged, syncs) = run.fail_one("journal-write", when, folder.path()).await?;
        ensure!(syncs + 1 >= when, "the sync failed too early: {syncs} before it, {when} was asked for");
        ensure!(acknowledged <= syncs, "{acknowledged} receipts for {syncs} syncs");
    }
    run.all_is_there(folder.path()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_checkpoint_that_failed_nothing_is_acknowledged_and_what_was_is_there() -> anyhow::Result<()>
{
    if !can_trace().await? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut run = Run { estate: quiet()?, answered: Vec::new(), next: 0 };
    // The log, then the database. The second sync of all is that of the folder, whose failure SQLite lets pass.
    for when in [1, 3] {
        run.fail_one("journal-carry", when, folder.path()).await?;
    }
    run.all_is_there(folder.path()).await
}

/// One client and its receipts, over several starts of the gateway.
struct Run {
    estate: Estate,
    answered: Vec<Answered>,
    next: u32,
}

impl Run {
    /// Posts one document after the other until the sync fails and the process has ended. Gives the receipts of this round
    /// and the syncs that succeeded.
    async fn fail_one(&mut self, thread: &str, when: usize, data: &Path) -> anyhow::Result<(usize, usize)> {
        let mut child = serve(&self.estate, data).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let (address, _output) = comes_up(&mut child).await?;
        let log = data.with_extension("strace");
        let pid = child.id().context("it runs")?;
        let mut tracer = trace(thread_of(pid, thread)?, when, &log)?;
        let traced = format!("/proc/{pid}/task/{}/status", thread_of(pid, thread)?);
        until("the tracer is attached", async || {
            let status = std::fs::read_to_string(&traced)?;
            Ok(!status
                .lines()
                .any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() == "0")))
        })
        .await?;
        let mut acknowledged = 0;
        let mut failed = false;
        // As many as fill the log for the thread that carries it back, and more.
        for _ in 0..20_000 {
            let doc = Doc { order: 4 * self.next, place: 0 };
            let Ok(reply) = post(&address, doc).await else { break };
            if reply.status == 202 {
                ensure!(!failed, "a receipt after the store had stopped");
                self.answered.push(Answered { doc, receipt: reply.json()? });
                // What the round before left half done may be in the log: the start made it durable.
                acknowledged += usize::from(reply.header("idempotency-replayed") != "true");
                self.next += 1;
                continue;
            }
            let problem = reply.json()?;
            let kind = problem["type"].as_str().unwrap_or_default().to_owned();
            ensure!(reply.status == 503 && problem["retryable"] == true, "{problem}");
            ensure!(kind.ends_with("/store-stopped"), "{problem}");
            failed = true;
        }
        let ended = timeout(PATIENCE, child.wait()).await.context("it goes on after a failed sync")??;
        ensure!(ended.code() == Some(4), "it ended with {ended}");
        timeout(PATIENCE, tracer.wait()).await.context("strace goes on")??;
        let calls = std::fs::read_to_string(&log)?;
        ensure!(calls.contains("(INJECTED)"), "no sync failed: {calls}");
        let before = calls.lines().take_while(|line| !line.contains("(INJECTED)"));
        Ok((acknowledged, before.filter(|line| line.trim_end().ends_with("= 0")).count()))
    }

    /// The next start verifies the store; every receipt is there, and the document that got none is taken now.
    async fn all_is_there(mut self, data: &Path) -> anyhow::Result<()> {
        let gateway = Gateway::start(&self.estate, data).await?;
        let doc = Doc { order: 4 * self.next, place: 0 };
        let reply = post(&gateway.address, doc).await?;
        ensure!(reply.status == 202, "{} {}", reply.status, reply.text());
        self.answered.push(Answered { doc, receipt: reply.json()? });
        let mut history = History { answered: self.answered, ..History::default() };
        history.again = ask_again(&gateway, &history.answered, &mut history.odd).await?;
        history.stored = read_journal(&gateway).await?;
        gateway.stop().await?;
        let violations = judge(&history);
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }
}

fn quiet() -> anyhow::Result<Estate> {
    let estate = unlimited()?;
    for name in SUBSCRIPTIONS {
        std::fs::remove_file(estate.folder().join(format!("subscriptions/{name}.yaml")))?;
    }
    Ok(estate)
}

/// The kernel's number of a thread.
fn thread_of(pid: u32, name: &str) -> anyhow::Result<u32> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = entry?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == name {
            let number = path.file_name().and_then(|name| name.to_str()).context("a thread's number")?;
            return Ok(number.parse()?);
        }
    }
    anyhow::bail!("no thread `{name}`")
}

/// Lets the sync with this number fail on one thread, once; those after it succeed again, which is the trap.
fn trace(thread: u32, when: usize, log: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "trace=fsync,fdatasync", "-e"]);
    command.arg(format!("inject=fsync,fdatasync:error=EIO:when={when}"));
    command.arg("-o").arg(log).arg("-p").arg(thread.to_string());
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().context("strace")
}

/// Whether strace is there and may look into other processes.
async fn can_trace() -> anyhow::Result<bool> {
    let mut patient = Command::new("sleep").arg("30").kill_on_drop(true).spawn()?;
    let pid = patient.id().context("it runs")?;
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-p", &pid.to_string()]).stderr(Stdio::null()).kill_on_drop(true);
    let traced = async {
        let Ok(mut tracer) = command.spawn() else { return Ok(false) };
        let status = format!("/proc/{pid}/status");
        let mut able = false;
        until("strace is attached or has given up", async || {
            able = !std::fs::read_to_string(&status)?.contains("TracerPid:\t0");
            Ok(able || tracer.try_wait()?.is_some())
        })
        .await?;
        anyhow::Ok(able)
    };
    let able = traced.await?;
    patient.kill().await?;
    if !able {
        ensure!(std::env::var_os("CI").is_none(), "strace is absent or may not trace, and CI is set");
        eprintln!("strace is absent or may not trace other processes: skipped");
    }
    Ok(able)
}
