//! A disk that fills up, on a small file system of its own.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use crossdock_tests::{Gateway, until};
use tempfile::TempDir;

use crate::{
    history::{Answered, Doc, History, judge},
    rough::Log,
    single::post,
    storm::{TARGETS, all_delivered, ask_again, estate, read_journal},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acceptance_alone_and_loses_nothing() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount("400m")? else { return Ok(()) };
    let log = Log::new(0);
    log.calm();
    let (estate, _targets) = estate(&log).await?;
    let data = disk.folder().join("data");
    let mut client = Client { answered: Vec::new(), next: 0 };

    let gateway = Gateway::start(&estate, &data).await?;
    for _ in 0..20 {
        ensure!(client.post(&gateway).await?.is_none(), "refused with room on the disk");
    }
    let filler = disk.fill("filler")?;
    let problem = client.post_until_refused(&gateway).await?;
    ensure!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/store-full")), "{problem}");
    ensure!(problem["fault"] == "gateway" && problem["retryable"] == true, "{problem}");
    // What was accepted goes out all the same, and can be asked for.
    all_delivered(&gateway).await?;
    let message = client.answered[0].receipt["message_id"].as_str().context("an id")?.to_owned();
    gateway.ask(&format!("messages/{message}")).await?;

    // It comes up on the full disk, and still refuses.
    gateway.kill().await?;
    let gateway = Gateway::start(&estate, &data).await.context("on a full disk")?;
    let problem = client.post_until_refused(&gateway).await?;
    ensure!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/store-full")), "{problem}");

    std::fs::remove_file(filler)?;
    until("it accepts again, by itself", async || Ok(client.post(&gateway).await?.is_none())).await?;

    // Somebody else takes even the room that was kept: whatever happens, nothing is lost.
    let fillers = [disk.fill("filler")?, {
        client.post_until_refused(&gateway).await?;
        disk.fill("more")?
    }];
    gateway.kill().await?;
    if let Ok(gateway) = Gateway::start(&estate, &data).await {
        client.post_until_refused(&gateway).await?;
        gateway.kill().await?;
    }
    for filler in fillers {
        std::fs::remove_file(filler)?;
    }
    let gateway = Gateway::start(&estate, &data).await.context("with room again")?;
    until("it accepts again", async || Ok(client.post(&gateway).await?.is_none())).await?;
    all_delivered(&gateway).await?;

    let mut history = History { targets: TARGETS.to_vec(), answered: client.answered, ..History::default() };
    history.again = ask_again(&gateway, &history.answered, &mut history.odd).await?;
    history.stored = read_journal(&gateway).await?;
    history.arrivals = log.arrivals();
    gateway.stop().await?;
    let violations = judge(&history);
    ensure!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

/// One who posts an order after the other, and the same again after a refusal.
struct Client {
    answered: Vec<Answered>,
    next: u32,
}

impl Client {
    /// Posts once; the problem, if it was refused.
    async fn post(&mut self, gateway: &Gateway) -> anyhow::Result<Option<serde_json::Value>> {
        let doc = Doc { order: 4 * self.next, place: 0 };
        let reply = post(&gateway.address, doc).await?;
        if reply.status != 202 {
            ensure!(reply.status == 503 && !reply.header("retry-after").is_empty(), "{}", reply.text());
            return reply.json().map(Some);
        }
        self.answered.push(Answered { doc, receipt: reply.json()? });
        self.next += 1;
        Ok(None)
    }

    async fn post_until_refused(&mut self, gateway: &Gateway) -> anyhow::Result<serde_json::Value> {
        let mut refused = None;
        until("the full disk is noticed", async || {
            refused = self.post(gateway).await?;
            Ok(refused.is_some())
        })
        .await?;
        refused.context("it was refused")
    }
}

/// A file system of its own, small, and gone in the end.
struct Disk(TempDir);

impl Disk {
    /// None where this process may not mount; with `CI` set it must.
    fn mount(size: &str) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o"]).arg(format!("size={size}")).arg("tmpfs").arg(folder.path());
        if command.output().is_ok_and(|output| output.status.success()) {
            return Ok(Some(Self(folder)));
        }
        ensure!(std::env::var_os("CI").is_none(), "no file system can be mounted, and CI is set");
        eprintln!("only root may mount a file system: skipped");
        Ok(None)
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder().join(name);
        let mut file = File::create(&path)?;
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            while file.write_all(&block).is_ok() {}
            block.truncate(block.len() / 2);
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that was killed may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(self.folder()).output();
    }
}
