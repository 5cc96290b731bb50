//! Policies and mappers change while the gateway serves.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock::mapper::{Host, with_manifest};
use crossdock_tests::{mappers, until};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    refusals::refused,
    world::{World, confirmation, generous, receipt},
};

const SHIPMENTS: &str = "apis/shipments.yaml";

#[tokio::test]
async fn a_broken_file_changes_nothing_and_a_mended_one_takes_force() -> anyhow::Result<()> {
    let world = World::start().await?;
    let before = world.gateway.ask("status").await?;
    assert_eq!(before["refused"], Value::Null);
    world.estate.save(SHIPMENTS, |text| text.replace("mapper: x12-wms@1", "mapper: x12-vms@1"))?;
    until("the status says why", async || Ok(world.gateway.ask("status").await?["refused"].is_string()))
        .await?;
    let status = world.gateway.ask("status").await?;
    assert_eq!(status["revision"], before["revision"]);
    ensure!(status["refused"].as_str().is_some_and(|why| why.contains("x12-vms")), "{status}");
    let served = receipt(&world.confirm(confirmation("0080009401", 9401)?).await?)?;
    assert_eq!(served["revision"], before["revision"]);

    world
        .estate
        .save(SHIPMENTS, |text| text.replace("mapper: x12-vms@1", "mapper: x12-wms@1") + "# mended\n")?;
    until("the mended folder is in force", async || {
        let status = world.gateway.ask("status").await?;
        Ok(status["refused"].is_null() && status["revision"] != before["revision"])
    })
    .await?;
    receipt(&world.confirm(confirmation("0080009402", 9402)?).await?)?;
    Ok(())
}

#[tokio::test]
async fn a_grant_that_is_taken_away_refuses_the_next_call() -> anyhow::Result<()> {
    let world = World::start().await?;
    receipt(&world.confirm(confirmation("0080009403", 9403)?).await?)?;
    world.estate.save(SHIPMENTS, |text| text.replace("versions: [v1, v2] }", "versions: [v1] }"))?;
    until("the grant is gone", async || {
        let reply = world.confirm(confirmation("0080009404", 9404)?).await?;
        if reply.status == 202 {
            return Ok(false);
        }
        refused(&reply, 403, "not-granted", "caller", false)?;
        Ok(true)
    })
    .await?;
    world.estate.save(SHIPMENTS, |text| text.replace("versions: [v1] }", "versions: [v1, v2] }"))?;
    until("it is back", async || Ok(world.confirm(confirmation("0080009404", 9404)?).await?.status == 202))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_and_mapper_swaps_under_traffic_fail_no_request_and_tear_no_receipt() -> anyhow::Result<()> {
    let world = Arc::new(World::with(generous).await?);
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU32::new(20_000));
    let mut traffic = JoinSet::new();
    for _ in 0..3 {
        let (world, stop, next) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&next));
        traffic.spawn(async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
                let text = |name: &str| served[name].as_str().map(str::to_owned).context("a text");
                seen.push((text("revision")?, text("mapper_digest")?));
            }
            anyhow::Ok(seen)
        });
    }
    let stamped = [restamped("1.0.1")?, restamped("1.0.2")?];
    // What was in force together: every revision with the one mapper that it stands for.
    let mut pairs = BTreeSet::new();
    for round in 0..200_usize {
        // Files change in half of the rounds, the mapper in the other half.
        if round % 2 == 0 {
            let before = world.gateway.ask("status").await?["revision"].clone();
            world.estate.save(SHIPMENTS, |text| format!("{text}# {round}\n"))?;
            if round % 20 == 0 {
                until(
                    "it is in force",
                    async || Ok(world.gateway.ask("status").await?["revision"] != before),
                )
                .await?;
            }
        } else {
            let reply = world.gateway.admin_call("POST", "mappers", stamped[round / 2 % 2].clone()).await?;
            ensure!(reply.status == 200, "{}", reply.text());
            let pushed = reply.json()?;
            pairs.insert((pushed["revision"].to_string(), pushed["live"]["digest"].to_string()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut served = BTreeSet::new();
    let mut count = 0;
    for seen in traffic.join_all().await {
        let seen = seen?;
        count += seen.len();
        served.extend(seen);
    }
    let revisions: BTreeSet<_> = served.iter().map(|(revision, _)| revision).collect();
    assert_eq!(revisions.len(), served.len(), "one revision, two mappers: {served:?}");
    let digests: BTreeSet<_> = served.iter().map(|(_, digest)| digest).collect();
    ensure!(
        digests.len() >= 2 && revisions.len() >= 10,
        "hardly anything changed under {count} requests: {served:?}"
    );
    for (revision, digest) in &served {
        let other = pairs
            .iter()
            .find(|(name, live)| *name == format!("\"{revision}\"") && *live != format!("\"{digest}\""));
        ensure!(other.is_none(), "{revision} served with {digest}, but was published as {other:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_that_is_no_mapper_is_refused_and_changes_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let before = world.gateway.ask("status").await?;
    let good = std::fs::read(x12()?)?;
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    let module = b"\0asm\x01\0\0\0".to_vec();
    for hostile in [Vec::new(), b"GIF89a".to_vec(), torn, module, vec![0xff; 1 << 20]] {
        let reply = world.gateway.admin_call("POST", "mappers", hostile.into()).await?;
        assert_eq!(reply.status, 400, "{}", reply.text());
        ensure!(reply.json()?["detail"].as_str().is_some_and(|text| !text.is_empty()), "{}", reply.text());
    }
    let after = world.gateway.ask("status").await?;
    assert_eq!((&after["revision"], &after["mappers"]), (&before["revision"], &before["mappers"]));
    let served = receipt(&world.confirm(confirmation("0080009405", 9405)?).await?)?;

    let reply = world.gateway.admin_call("POST", "mappers", restamped("1.0.1")?).await?;
    let pushed = reply.json()?;
    assert_eq!((reply.status, pushed["live"]["version"].as_str()), (200, Some("1.0.1")));
    assert_eq!(pushed["before"]["digest"], served["mapper_digest"]);
    let served = receipt(&world.confirm(confirmation("0080009406", 9406)?).await?)?;
    assert_eq!(
        (&served["mapper_digest"], &served["revision"]),
        (&pushed["live"]["digest"], &pushed["revision"])
    );
    Ok(())
}

/// The warehouse's mapper under another version.
pub fn restamped(version: &str) -> anyhow::Result<Bytes> {
    let wasm = std::fs::read(x12()?)?;
    let mut manifest = Host::inspect(&wasm)?.manifest.context("a manifest")?;
    version.clone_into(&mut manifest.version);
    Ok(with_manifest(&wasm, &manifest).into())
}

fn x12() -> anyhow::Result<&'static std::path::PathBuf> {
    mappers()
        .iter()
        .find(|path| {
            std::fs::read(path).is_ok_and(|wasm| {
                Host::inspect(&wasm).is_ok_and(|found| {
                    found.manifest.is_some_and(|manifest| manifest.name.as_str() == "x12-wms")
                })
            })
        })
        .context("the mapper of the warehouse")
}
