//! Mappers go live, go back and wait while the gateway serves; what is live outlives restarts and damage.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock::mapper::without_cases;
use crossdock_tests::{Gateway, binary, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    commands::{printed, run},
    policies::restamped,
    refusals::refused,
    world::{ACME, CONFIRMATIONS, GLOBEX, RELEASES, World, confirmation, document, generous, receipt},
};

/// Asks the admin API for a change that it grants.
async fn change(gateway: &Gateway, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Value> {
    let reply = gateway.admin_call("POST", path, body.into()).await?;
    ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.text());
    reply.json()
}

/// Runs a command that asks no gateway; its exit code and what it printed.
async fn offline(arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let ran = tokio::process::Command::new(binary()).args(arguments).output().await?;
    let said = [ran.stdout, ran.stderr].concat();
    Ok((ran.status.code(), String::from_utf8(said)?))
}

async fn x12(gateway: &Gateway) -> anyhow::Result<Value> {
    Ok(gateway.ask("mappers/x12-wms").await?["mapper"].clone())
}

/// Where the registry keeps the bytes of what is live of a mapper.
async fn live_file(gateway: &Gateway, data: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let found = gateway.ask(&format!("mappers/{name}")).await?;
    let digest = found["mapper"]["digest"].as_str().context("it is live")?.to_owned();
    Ok(data.join("mappers/sha256").join(format!("{digest}.wasm")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_under_traffic_drops_nothing_and_no_message_sees_two() -> anyhow::Result<()> {
    let world = Arc::new(World::with(generous).await?);
    let first = x12(&world.gateway).await?["digest"].clone();
    let second =
        change(&world.gateway, "mappers?by=nina", restamped("1.0.1")?).await?["live"]["digest"].clone();
    let third =
        change(&world.gateway, "mappers?by=nina", restamped("1.0.2")?).await?["live"]["digest"].clone();
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU32::new(30_000));
    let mut traffic = JoinSet::new();
    for _ in 0..3 {
        let (world, stop, next) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&next));
        traffic.spawn(async move {
            let mut seen = BTreeMap::<(String, String), u32>::new();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
                *seen
                    .entry((served["revision"].to_string(), served["mapper_digest"].to_string()))
                    .or_default() += 1;
            }
            anyhow::Ok(seen)
        });
    }
    let mut revisions = BTreeMap::new();
    for _ in 0..25 {
        for (path, body, live) in [
            ("mappers/x12-wms/rollback", json!({ "by": "nina" }), &second),
            ("mappers/x12-wms/promote", json!({ "to": "1.0.0" }), &first),
            ("mappers/x12-wms/promote", json!({ "to": "1.0.1" }), &second),
            ("mappers/x12-wms/promote", json!({ "to": "1.0.2" }), &third),
        ] {
            let changed = change(&world.gateway, path, body.to_string()).await?;
            assert_eq!(&changed["live"]["digest"], live);
            revisions.insert(changed["revision"].to_string(), live.to_string());
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for seen in traffic.join_all().await {
        for ((revision, digest), times) in seen? {
            count += times;
            assert_eq!(revisions.get(&revision), Some(&digest), "{revision}");
        }
    }
    ensure!(count > 40 && revisions.len() == 3, "{count} messages, {revisions:?}");
    Ok(())
}

#[tokio::test]
async fn a_restart_keeps_what_was_live_and_the_way_back() -> anyhow::Result<()> {
    let World { gateway, estate, data, .. } = World::start().await?;
    change(&gateway, "mappers", restamped("1.0.1")?).await?;
    change(&gateway, "mappers", restamped("1.0.2")?).await?;
    let changed = change(&gateway, "mappers/x12-wms/rollback", "{}").await?;
    assert_eq!(changed["live"]["version"], "1.0.1");
    let before = gateway.ask("status").await?;
    gateway.kill().await?;
    let gateway = Gateway::start_again(&estate, data.path()).await?;
    let after = gateway.ask("status").await?;
    assert_eq!((&before["revision"], &before["mappers"]), (&after["revision"], &after["mappers"]));
    assert_eq!(after["damage"], json!([]));
    until("the earlier generation is loaded again", async || {
        let found = x12(&gateway).await?;
        let earlier =
            found["generations"].as_array().and_then(|all| all.iter().find(|one| one["state"] == "earlier"));
        Ok(earlier.context("an earlier one")?["ready"] == true)
    })
    .await?;
    let changed = change(&gateway, "mappers/x12-wms/rollback", "{}").await?;
    assert_eq!(changed["live"]["version"], "1.0.0");
    let reply = gateway.admin_call("POST", "mappers/x12-wms/rollback", "{}".into()).await?;
    assert_eq!(reply.status, 404);
    ensure!(reply.text().contains("no generation of x12-wms served before"), "{}", reply.text());
    Ok(())
}

#[tokio::test]
async fn a_held_push_is_stored_and_not_live_until_it_is_promoted() -> anyhow::Result<()> {
    let world = World::start().await?;
    let before = world.gateway.ask("status").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("held.wasm");
    std::fs::write(&file, restamped("1.1.0")?)?;
    let file = file.to_str().context("a path")?;
    let text = printed(&world, &["plugin", "push", file, "--hold", "--by", "nina"]).await?;
    ensure!(text.starts_with("held   x12-wms 1.1.0") && text.contains("live: 1.0.0"), "{text}");
    let after = world.gateway.ask("status").await?;
    assert_eq!((&before["revision"], &before["mappers"]), (&after["revision"], &after["mappers"]));
    let served = receipt(&world.confirm(confirmation("0080009501", 9501)?).await?)?;
    assert_eq!(served["revision"], before["revision"]);
    let text = printed(&world, &["plugin", "list"]).await?;
    let held = text.lines().find(|line| line.contains("held")).context("a held one")?;
    ensure!(held.contains("x12-wms") && held.contains("1.1.0") && held.contains("nina"), "{text}");

    let wrong = run(&world, &["plugin", "promote", "x12-wms@9.9.9"]).await?;
    assert_eq!(wrong.status.code(), Some(1));
    let text = printed(&world, &["plugin", "promote", "x12-wms@1.1.0"]).await?;
    ensure!(text.contains("before: 1.0.0") && text.contains("crossdock plugin rollback x12-wms"), "{text}");
    let served = receipt(&world.confirm(confirmation("0080009502", 9502)?).await?)?;
    assert_eq!(served["mapper_digest"], x12(&world.gateway).await?["digest"]);
    let text = printed(&world, &["plugin", "status", "x12-wms"]).await?;
    ensure!(text.contains("live     1.1.0") && text.contains("earlier  1.0.0"), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_same_push_again_changes_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let first = change(&world.gateway, "mappers", restamped("1.0.1")?).await?;
    let again = change(&world.gateway, "mappers", restamped("1.0.1")?).await?;
    assert_eq!((&first["revision"], &first["live"]), (&again["revision"], &again["before"]));
    let found = x12(&world.gateway).await?;
    assert_eq!(found["generations"].as_array().map(Vec::len), Some(2));
    let back = change(&world.gateway, "mappers/x12-wms/rollback", "{}").await?;
    assert_eq!(back["live"]["version"], "1.0.0", "one push is one step back");
    Ok(())
}

#[tokio::test]
async fn tidying_shows_first_and_never_takes_what_is_live() -> anyhow::Result<()> {
    let world = World::start().await?;
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        change(&world.gateway, "mappers", restamped(version)?).await?;
    }
    let bytes = world.data.path().join("mappers/sha256");
    let count = || -> anyhow::Result<usize> { Ok(std::fs::read_dir(&bytes)?.count()) };
    let before = count()?;
    let text = printed(&world, &["plugin", "gc", "--keep", "1"]).await?;
    ensure!(text.contains("would go  x12-wms@1.0.0") && text.contains("x12-wms@1.0.1"), "{text}");
    ensure!(!text.contains("1.0.2") && !text.contains("1.0.3"), "{text}");
    assert_eq!(count()?, before, "only shown");
    printed(&world, &["plugin", "gc", "--keep", "1", "--yes"]).await?;
    assert_eq!(count()?, before - 2);
    printed(&world, &["plugin", "gc", "--keep", "0", "--yes"]).await?;
    receipt(&world.confirm(confirmation("0080009503", 9503)?).await?)?;
    assert_eq!(x12(&world.gateway).await?["generations"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_costs_its_own_operations_and_nothing_else() -> anyhow::Result<()> {
    let World { gateway, estate, data, sap: _sap, wms: _wms, tms: _tms, portal: _portal, .. } =
        World::start().await?;
    let file = live_file(&gateway, data.path(), "x12-wms").await?;
    gateway.kill().await?;
    let mut bytes = std::fs::read(&file)?;
    let good = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes)?;

    let gateway = Gateway::start_again(&estate, data.path()).await?;
    let reply = gateway.post(CONFIRMATIONS, &ACME, confirmation("0080009504", 9504)?).await?;
    refused(&reply, 503, "mapper-unusable", "gateway", true)?;
    let reply = gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?;
    receipt(&reply)?;
    let status = gateway.ask("status").await?;
    assert_eq!(status["damage"][0]["mapper"], "x12-wms", "{status}");
    let ready = crossdock_tests::call(&gateway.admin, "GET", "/readyz", &[], Bytes::new()).await?;
    assert_eq!(ready.status, 200);
    ensure!(ready.text().contains("mapper x12-wms cannot be used"), "{}", ready.text());

    // The same bytes again mend it, without a restart.
    change(&gateway, "mappers", good).await?;
    receipt(&gateway.post(CONFIRMATIONS, &ACME, confirmation("0080009504", 9504)?).await?)?;
    assert_eq!(gateway.ask("status").await?["damage"], json!([]));
    Ok(())
}

#[tokio::test]
async fn mappers_of_an_earlier_version_are_taken_over() -> anyhow::Result<()> {
    let World { gateway, estate, data, .. } = World::start().await?;
    let before = gateway.ask("status").await?;
    let store = data.path().join("mappers");
    let mut old = Vec::new();
    for mapper in before["mappers"].as_array().context("mappers")? {
        let name = mapper["name"].as_str().context("a name")?;
        old.push((name.to_owned(), std::fs::read(live_file(&gateway, data.path(), name).await?)?));
    }
    gateway.kill().await?;
    std::fs::remove_dir_all(&store)?;
    std::fs::create_dir(&store)?;
    for (name, bytes) in old {
        std::fs::write(store.join(format!("{name}.wasm")), bytes)?;
    }
    let gateway = Gateway::start_again(&estate, data.path()).await?;
    let after = gateway.ask("status").await?;
    assert_eq!((&before["revision"], &before["mappers"]), (&after["revision"], &after["mappers"]));
    assert_eq!(std::fs::read_dir(&store)?.count(), 2, "the index and the folder of bytes");
    Ok(())
}

#[tokio::test]
async fn every_change_is_written_down_in_a_chain_that_shows_where_it_was_touched() -> anyhow::Result<()> {
    let world = World::start().await?;
    change(&world.gateway, "mappers?by=nina", restamped("1.0.1")?).await?;
    change(&world.gateway, "mappers?by=nina&hold=true", restamped("1.0.2")?).await?;
    change(&world.gateway, "mappers/x12-wms/promote", json!({ "to": "1.0.2", "by": "otto" }).to_string())
        .await?;
    change(&world.gateway, "mappers/x12-wms/rollback", json!({ "by": "nina" }).to_string()).await?;
    change(&world.gateway, "mappers/gc", json!({ "dry_run": false, "keep": 0, "by": "otto" }).to_string())
        .await?;
    let before = world.gateway.ask("status").await?["revision"].clone();
    world.estate.save("apis/shipments.yaml", |text| text.to_owned() + "# changed\n")?;
    until("it is in force", async || Ok(world.gateway.ask("status").await?["revision"] != before)).await?;

    let lines = world.gateway.ask("audit").await?["audit"].as_array().context("lines")?.clone();
    let said: Vec<(&str, &str)> = lines
        .iter()
        .rev()
        .map(|line| (line["what"].as_str().unwrap_or("?"), line["by"].as_str().unwrap_or("?")))
        .collect();
    assert_eq!(
        said,
        [
            ("policies.in-force", "start"),
            ("mapper.pushed", "nina"),
            ("mapper.held", "nina"),
            ("mapper.promoted", "otto"),
            ("mapper.rolled-back", "nina"),
            ("mappers.tidied", "otto"),
            ("policies.in-force", "policy folder"),
        ]
    );
    for pair in lines.windows(2) {
        assert_eq!((&pair[0]["before"], &pair[0]["previous"]), (&pair[1]["after"], &pair[1]["hash"]));
    }
    assert_eq!(lines[0]["after"], world.gateway.ask("status").await?["revision"]);

    let text = printed(&world, &["audit", "verify"]).await?;
    ensure!(text.starts_with("whole   7 lines"), "{text}");
    let file = world.data.path().join("audit.log");
    let text = std::fs::read_to_string(&file)?.replacen("otto", "nina", 1);
    std::fs::write(&file, text)?;
    let wrong = run(&world, &["audit", "verify"]).await?;
    assert_eq!(wrong.status.code(), Some(1));
    ensure!(
        String::from_utf8_lossy(&wrong.stdout).starts_with("broken  at line 4: it was changed"),
        "{wrong:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_candidate_is_compared_on_what_was_really_sent_and_refused_where_it_differs() -> anyhow::Result<()>
{
    let world = World::start().await?;
    for number in 9601..9606 {
        receipt(&world.confirm(confirmation(&format!("008000{number}"), number)?).await?)?;
    }
    change(&world.gateway, "mappers?hold=true", restamped("1.0.9")?).await?;
    let same = printed(&world, &["plugin", "shadow", "x12-wms"]).await?;
    ensure!(same.contains("5 documents since") && same.contains("5 the same, 0 differ"), "{same}");
    ensure!(same.contains("speed     p50") && same.contains("MiB"), "{same}");

    change(&world.gateway, "mappers?hold=true", altered("1.1.0", "W06/2", "W06/9")?).await?;
    let events = world.gateway.ask("status").await?["store"]["events"].clone();
    let shadow = run(&world, &["plugin", "shadow", "x12-wms", "--documents", "4"]).await?;
    let text = String::from_utf8(shadow.stdout)?;
    assert_eq!(shadow.status.code(), Some(1), "{text}");
    ensure!(text.contains("0 the same, 4 differ"), "{text}");
    ensure!(text.contains("references[].source_kind differs in 4 of 4\n"), "{text}");
    ensure!(text.contains(r#""W06/2" → "W06/9"   message "#), "{text}");
    assert_eq!(world.gateway.ask("status").await?["store"]["events"], events, "nothing was stored");

    let refused = run(&world, &["plugin", "promote", "x12-wms@1.1.0"]).await?;
    assert_eq!(refused.status.code(), Some(1));
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("--accept-differences"), "{refused:?}");
    assert_eq!(x12(&world.gateway).await?["version"], "1.0.0");
    let text = printed(&world, &["plugin", "promote", "x12-wms@1.1.0", "--accept-differences"]).await?;
    ensure!(text.contains("live   x12-wms 1.1.0"), "{text}");
    let unknown = run(&world, &["plugin", "shadow", "x12-wms@7.7.7"]).await?;
    ensure!(String::from_utf8_lossy(&unknown.stderr).contains("stored are 1.1.0"), "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_message_is_run_again_by_its_original_mapper() -> anyhow::Result<()> {
    let world = World::start().await?;
    let sent = receipt(&world.confirm(confirmation("0080009611", 9611)?).await?)?;
    let id = sent["message_id"].as_str().context("an id")?;
    change(&world.gateway, "mappers", altered("1.1.0", "W06/2", "W06/9")?).await?;
    let text = printed(&world, &["message", "rerun", id]).await?;
    ensure!(text.contains("x12-wms 1.0.0") && text.contains("1 events, the same bytes"), "{text}");
    ensure!(text.contains("policies then"), "{text}");

    // Exported, it is the same on any machine; a changed document shows.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("message.json");
    let path = file.to_str().context("a path")?;
    printed(&world, &["message", "rerun", id, "--export", path]).await?;
    let text = offline(&["plugin", "rerun", path]).await?.1;
    ensure!(text.contains("x12-wms 1.0.0") && text.contains("1 events, the same bytes"), "{text}");
    let mut bundle: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    bundle["zone"] = json!("America/New_York");
    std::fs::write(&file, bundle.to_string())?;
    let (code, text) = offline(&["plugin", "rerun", path]).await?;
    ensure!(code == Some(1) && text.contains("dispatched.zone: then"), "{text}");

    // Another zone gives other moments: the configuration is that of now.
    let before = world.gateway.ask("status").await?["revision"].clone();
    world
        .estate
        .save("partners/acme-3pl.yaml", |text| text.replace("America/Chicago", "America/New_York"))?;
    until("it is in force", async || Ok(world.gateway.ask("status").await?["revision"] != before)).await?;
    let other = run(&world, &["message", "rerun", id]).await?;
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    ensure!(String::from_utf8_lossy(&other.stdout).contains("dispatched.zone: then"), "{other:?}");

    let tidy = json!({ "keep": 0, "dry_run": false }).to_string();
    change(&world.gateway, "mappers/gc", tidy).await?;
    let gone = run(&world, &["message", "rerun", id]).await?;
    assert_eq!(gone.status.code(), Some(1));
    ensure!(String::from_utf8_lossy(&gone.stderr).contains("is not stored any more"), "{gone:?}");
    Ok(())
}

#[tokio::test]
async fn a_stored_message_is_followed_back_to_its_bytes_by_the_mapper_that_made_it() -> anyhow::Result<()> {
    let world = World::start().await?;
    let sent = receipt(&world.confirm(confirmation("0080009621", 9621)?).await?)?;
    let id = sent["message_id"].as_str().context("an id")?;
    change(&world.gateway, "mappers", altered("1.1.0", "W06/2", "W06/9")?).await?;
    let text = printed(&world, &["message", "lineage", id]).await?;
    ensure!(text.contains("shipment.dispatched, event 1\n"), "{text}");
    ensure!(text.contains("\"0080009621\"   ←  ST*945*"), "{text}");
    ensure!(text.contains("\"W06/2\"") && !text.contains("W06/9"), "{text}");
    let one = printed(&world, &["message", "lineage", id, "--field", "natural_key/order"]).await?;
    ensure!(one.contains("natural_key/order") && !one.contains("occurred_at"), "{one}");
    let none = run(&world, &["message", "lineage", id, "--field", "natural_key/ordre"]).await?;
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    ensure!(String::from_utf8_lossy(&none.stderr).contains("did you mean `natural_key/order`?"), "{none:?}");
    Ok(())
}

/// A mapper like the live one that says something else in one place: the text is in its bytes, at the same length.
/// It carries no cases, for it would fail them.
fn altered(version: &str, from: &str, to: &str) -> anyhow::Result<Bytes> {
    replaced(without_cases(&restamped(version)?), from, to)
}

fn replaced(wasm: Vec<u8>, from: &str, to: &str) -> anyhow::Result<Bytes> {
    let at = wasm
        .windows(from.len())
        .position(|part| part == from.as_bytes())
        .context("the text is in the mapper")?;
    ensure!(from.len() == to.len(), "lengths differ");
    let mut changed = wasm;
    changed[at..at + to.len()].copy_from_slice(to.as_bytes());
    Ok(changed.into())
}

#[tokio::test]
async fn a_lock_in_the_policy_folder_decides_and_a_promotion_is_a_revision_of_it() -> anyhow::Result<()> {
    let World { gateway, estate, data, .. } = World::start().await?;
    change(&gateway, "mappers?hold=true", restamped("1.0.1")?).await?;
    let found = x12(&gateway).await?;
    let digest = |version: &str| -> anyhow::Result<String> {
        let all = found["generations"].as_array().context("generations")?;
        let one = all.iter().find(|one| one["version"] == version).context("the version")?;
        Ok(one["digest"].as_str().context("a digest")?.to_owned())
    };
    let (first, second) = (digest("1.0.0")?, digest("1.0.1")?);
    let file = estate.folder().join("mappers.lock");
    let write = |version: &str, digest: &str| {
        std::fs::write(&file, format!("x12-wms: {{ version: {version}, digest: {digest} }}\n"))
    };
    write("1.0.1", &second)?;
    until("the lock is in force", async || Ok(x12(&gateway).await?["version"] == "1.0.1")).await?;

    // What is not stored is refused at its line, and what was live stays.
    write("9.9.9", &"ab".repeat(32))?;
    until("the status says why", async || Ok(gateway.ask("status").await?["refused"].is_string())).await?;
    let why = gateway.ask("status").await?["refused"].to_string();
    ensure!(
        why.contains("mappers.lock:1: there is no x12-wms@abab") && why.contains("stored are 1.0.1"),
        "{why}"
    );
    assert_eq!(x12(&gateway).await?["version"], "1.0.1");
    write("1.0.1", &second)?;
    until("it is right again", async || Ok(gateway.ask("status").await?["refused"].is_null())).await?;

    let back = change(&gateway, "mappers/x12-wms/rollback", json!({ "by": "nina" }).to_string()).await?;
    assert_eq!(back["live"]["version"], "1.0.0");
    ensure!(std::fs::read_to_string(&file)?.contains(&first), "the file says what is live");
    let status = gateway.ask("status").await?;
    assert_eq!((&back["revision"], &status["refused"]), (&status["revision"], &Value::Null));
    let line = gateway.ask("audit?limit=1").await?["audit"][0].clone();
    assert_eq!((&line["what"], &line["by"]), (&json!("mapper.rolled-back"), &json!("nina")));

    // The folder is the truth at a start, too: a checkout while the gateway was down counts.
    gateway.kill().await?;
    write("1.0.1", &second)?;
    let gateway = Gateway::start_again(&estate, data.path()).await?;
    assert_eq!(x12(&gateway).await?["version"], "1.0.1");
    Ok(())
}

#[tokio::test]
async fn a_mapper_that_fails_its_own_cases_is_not_taken_in() -> anyhow::Result<()> {
    let world = World::start().await?;
    let before = x12(&world.gateway).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("wrong.wasm");
    std::fs::write(&file, replaced(restamped("1.1.0")?.to_vec(), "W06/2", "W06/9")?)?;
    let refused = run(&world, &["plugin", "push", file.to_str().context("a path")?]).await?;
    let text = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(1), "{text}");
    ensure!(text.contains("x12-wms 1.1.0 is not taken in: ") && text.contains("of its own "), "{text}");
    ensure!(text.contains("expected \"W06/2\", got \"W06/9\""), "{text}");
    assert_eq!(x12(&world.gateway).await?, before, "nothing of it is stored");

    std::fs::write(&file, restamped("1.1.0")?)?;
    let pushed = ["plugin", "push", file.to_str().context("a path")?, "--hold", "--source", "a1b2c3d4"];
    printed(&world, &pushed).await?;
    let text = printed(&world, &["plugin", "show", "x12-wms@1.1.0"]).await?;
    ensure!(text.starts_with("x12-wms 1.1.0   held") && text.contains("source    a1b2c3d4"), "{text}");
    ensure!(text.contains("operation shipments/confirm v2   apis/shipments.yaml:"), "{text}");
    let found = x12(&world.gateway).await?;
    ensure!(found["generations"][0]["cases"].as_u64() > Some(5), "{found}");
    Ok(())
}

#[tokio::test]
async fn verifying_names_the_stored_file_that_is_damaged() -> anyhow::Result<()> {
    let world = World::start().await?;
    change(&world.gateway, "mappers", restamped("1.0.1")?).await?;
    let text = printed(&world, &["plugin", "verify"]).await?;
    ensure!(text.starts_with("whole    ") && !text.contains("damaged"), "{text}");
    let file = live_file(&world.gateway, world.data.path(), "x12-wms").await?;
    let bytes = std::fs::read(&file)?;
    std::fs::write(&file, &bytes[..bytes.len() - 1])?;
    let damaged = run(&world, &["plugin", "verify"]).await?;
    let text = String::from_utf8(damaged.stdout)?;
    assert_eq!(damaged.status.code(), Some(1));
    ensure!(
        text.starts_with("damaged  x12-wms@1.0.1") && text.contains("is damaged: its digest is"),
        "{text}"
    );
    Ok(())
}

/// Sends confirmations of orders until one is served by another mapper than `live`, and gives that receipt.
async fn served_by_another(world: &World, live: &Value, from: u32) -> anyhow::Result<Value> {
    for number in from..from + 100 {
        let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
        if served["mapper_digest"] != *live {
            return Ok(served);
        }
    }
    anyhow::bail!("none of a hundred orders fell to the canary")
}

#[tokio::test]
async fn a_canary_serves_its_share_of_the_keys_and_goes_live_or_back() -> anyhow::Result<()> {
    let world = World::with(generous).await?;
    let live = x12(&world.gateway).await?["digest"].clone();
    change(&world.gateway, "mappers?hold=true", restamped("1.1.0")?).await?;
    let before = world.gateway.ask("status").await?["revision"].clone();
    let text = printed(&world, &["plugin", "promote", "x12-wms@1.1.0", "--canary", "40"]).await?;
    ensure!(text.contains("canary x12-wms 1.1.0") && text.contains("beside 1.0.0"), "{text}");
    let mut by_canary = 0;
    for number in 41_000..41_050 {
        let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
        assert_ne!(served["revision"], before, "who serves is part of the revision");
        by_canary += u32::from(served["mapper_digest"] != live);
    }
    ensure!((5..45).contains(&by_canary), "{by_canary} of 50");
    let found = x12(&world.gateway).await?;
    assert_eq!((&found["canary"]["seen"], &found["canary"]["same"]), (&json!(by_canary), &json!(by_canary)));
    let text = printed(&world, &["plugin", "status", "x12-wms"]).await?;
    ensure!(text.contains("canary   1.1.0") && text.contains("40 % of the keys"), "{text}");

    let figures = crossdock_tests::call(&world.gateway.admin, "GET", "/metrics", &[], Bytes::new()).await?;
    let figures = figures.text();
    for line in [
        r#"crossdock_mapper_canary_share{mapper="x12-wms",version="1.1.0"} 40"#.to_owned(),
        format!(
            r#"crossdock_mapper_canary_messages{{mapper="x12-wms",version="1.1.0",outcome="same"}} {by_canary}"#
        ),
        r#"crossdock_mapper_generations{mapper="x12-wms",state="canary"} 1"#.to_owned(),
    ] {
        ensure!(figures.lines().any(|shown| shown == line), "{line} is not in\n{figures}");
    }
    let text = printed(&world, &["plugin", "rollback", "x12-wms", "--by", "nina"]).await?;
    ensure!(text.starts_with("ended  x12-wms 1.1.0") && text.contains("taken back by hand"), "{text}");
    let status = world.gateway.ask("status").await?;
    assert_eq!(status["revision"], before);
    let text = printed(&world, &["plugin", "promote", "x12-wms@1.1.0", "--canary", "40"]).await?;
    ensure!(text.contains("all    crossdock plugin promote x12-wms@"), "{text}");
    printed(&world, &["plugin", "promote", "x12-wms@1.1.0"]).await?;
    let found = x12(&world.gateway).await?;
    assert_eq!((&found["version"], &found["canary"]), (&json!("1.1.0"), &Value::Null));
    let said: Vec<String> = world.gateway.ask("audit?limit=4").await?["audit"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| {
            format!("{} {}", line["what"].as_str().unwrap_or("?"), line["by"].as_str().unwrap_or("?"))
        })
        .collect();
    ensure!(said[0].starts_with("mapper.promoted") && said[2] == "mapper.canary-ended nina", "{said:?}");
    Ok(())
}

#[tokio::test]
async fn a_canary_that_maps_otherwise_takes_itself_back_and_costs_no_message() -> anyhow::Result<()> {
    let world = World::with(generous).await?;
    let live = x12(&world.gateway).await?["digest"].clone();
    change(&world.gateway, "mappers?hold=true", altered("1.1.0", "W06/2", "W06/9")?).await?;
    printed(&world, &["plugin", "promote", "x12-wms@1.1.0", "--canary", "50", "--differing-max", "2"])
        .await?;
    served_by_another(&world, &live, 42_000).await?;
    served_by_another(&world, &live, 42_100).await?;
    served_by_another(&world, &live, 42_200).await?;
    until("it is back", async || Ok(x12(&world.gateway).await?["canary"].is_null())).await?;
    let ended = x12(&world.gateway).await?["ended"].clone();
    assert_eq!((&ended["by"], &ended["version"]), (&json!("gateway"), &json!("1.1.0")));
    let why = ended["why"].as_str().context("a reason")?;
    ensure!(why.starts_with("it maps 3 of 3 messages otherwise, 2 % may be"), "{why}");
    ensure!(why.ends_with(r#"references[].source_kind: "W06/2" → "W06/9""#), "{why}");
    for number in 42_300..42_320 {
        let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
        assert_eq!(served["mapper_digest"], live);
    }
    let line = world.gateway.ask("audit?limit=1").await?["audit"][0].clone();
    assert_eq!((&line["what"], &line["by"]), (&json!("mapper.canary-ended"), &json!("gateway")));
    let text = printed(&world, &["plugin", "status", "x12-wms"]).await?;
    ensure!(text.contains("by gateway after 3 messages") && text.contains("it maps 3 of 3"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_watched_candidate_serves_nobody_and_is_compared_on_what_is_sent() -> anyhow::Result<()> {
    let world = World::with(generous).await?;
    let live = x12(&world.gateway).await?["digest"].clone();
    change(&world.gateway, "mappers?hold=true", altered("1.1.0", "W06/2", "W06/9")?).await?;
    let (shadow, sent) =
        tokio::join!(run(&world, &["plugin", "shadow", "x12-wms@1.1.0", "--live", "3s"]), async {
            until("it is watched", async || Ok(!x12(&world.gateway).await?["canary"].is_null())).await?;
            for number in 43_000..43_003 {
                let served = receipt(&world.confirm(confirmation(&format!("{number:010}"), number)?).await?)?;
                assert_eq!(served["mapper_digest"], live);
            }
            anyhow::Ok(())
        });
    sent?;
    let shadow = shadow?;
    let text = String::from_utf8(shadow.stdout)?;
    assert_eq!(shadow.status.code(), Some(1), "{text}");
    ensure!(text.starts_with("watched   3 messages in 3 s"), "{text}");
    ensure!(text.contains("references[].source_kind differs in 3 of 3"), "{text}");
    assert_eq!(x12(&world.gateway).await?["canary"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_canary_in_the_lock_is_out_and_outlives_a_restart() -> anyhow::Result<()> {
    let World { gateway, estate, data, .. } = World::start().await?;
    let found = x12(&gateway).await?;
    let live = found["digest"].as_str().context("a digest")?.to_owned();
    let held = change(&gateway, "mappers?hold=true", restamped("1.1.0")?).await?["held"]["digest"].clone();
    let held = held.as_str().context("a digest")?;
    let file = estate.folder().join("mappers.lock");
    std::fs::write(
        &file,
        format!(
            "x12-wms: {{ version: 1.0.0, digest: {live},\n  canary: {{ version: 1.1.0, digest: {held}, share: 20 }} }}\n"
        ),
    )?;
    until("the canary is out", async || Ok(x12(&gateway).await?["canary"]["terms"]["share"] == 20)).await?;
    let revision = gateway.ask("status").await?["revision"].clone();
    gateway.kill().await?;
    let gateway = Gateway::start_again(&estate, data.path()).await?;
    assert_eq!(x12(&gateway).await?["canary"]["terms"]["share"], 20);
    assert_eq!(gateway.ask("status").await?["revision"], revision);
    let ended = change(&gateway, "mappers/x12-wms/rollback", json!({ "by": "nina" }).to_string()).await?;
    assert_eq!(ended["ended"]["by"], "nina");
    ensure!(!std::fs::read_to_string(&file)?.contains("canary"), "the file says so");
    assert_eq!(x12(&gateway).await?["version"], "1.0.0");
    Ok(())
}

#[tokio::test]
async fn where_the_policies_ask_for_a_signature_nothing_goes_live_without_one() -> anyhow::Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let (key, file) = (folder.path().join("nina.key"), folder.path().join("next.wasm"));
    let (key, file) = (key.to_str().context("a path")?, file.to_str().context("a path")?);
    std::fs::write(file, restamped("1.0.1")?)?;
    change(&world.gateway, "mappers?hold=true", restamped("1.0.2")?).await?;
    let line = offline(&["plugin", "sign", "--new", key]).await?.1;
    ensure!(line.starts_with("mappers: { signatures: required, keys: { nina: "), "{line}");
    let before = world.gateway.ask("status").await?["revision"].clone();
    world.estate.save("gateway.yaml", |text| format!("{text}\n{line}"))?;
    until("it is in force", async || Ok(world.gateway.ask("status").await?["revision"] != before)).await?;

    let refused = run(&world, &["plugin", "push", file]).await?;
    let text = String::from_utf8(refused.stderr)?;
    ensure!(text.contains("ask for a signature of every mapper") && text.contains("--key FILE"), "{text}");
    let refused = run(&world, &["plugin", "promote", "x12-wms@1.0.2"]).await?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("x12-wms@1.0.2 has none"), "{refused:?}");
    assert_eq!(x12(&world.gateway).await?["version"], "1.0.0");
    printed(&world, &["plugin", "push", file, "--key", key]).await?;
    let text = printed(&world, &["plugin", "show", "x12-wms"]).await?;
    ensure!(text.starts_with("x12-wms 1.0.1   live") && text.contains("signed    nina"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_mapper_is_compared_with_what_a_legacy_adapter_made() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = folder.path().join("ship-1");
    std::fs::create_dir(&pair)?;
    let cases = crossdock_tests::root().join("plugins/x12-wms/cases/945-partial-shipments-of-one-order");
    for file in std::fs::read_dir(&cases)?.flatten() {
        std::fs::copy(file.path(), pair.join(file.file_name()))?;
    }
    let mapper = crossdock_tests::root().join("plugins/x12-wms");
    let (mapper, path) = (mapper.to_str().context("a path")?, folder.path().to_str().context("a path")?);
    let (code, text) = offline(&["plugin", "shadow", mapper, "--pairs", path]).await?;
    ensure!(code == Some(0) && text.contains("1 the same, 0 differ"), "{text}");
    let out = pair.join("out.json");
    std::fs::write(&out, std::fs::read_to_string(&out)?.replacen("W06/2", "W06/9", 1))?;
    let (code, text) = offline(&["plugin", "shadow", mapper, "--pairs", path]).await?;
    ensure!(code == Some(1) && text.contains("0 the same, 1 differ"), "{text}");
    ensure!(text.contains("references[].source_kind differs in 1 of 1") && text.contains("ship-1"), "{text}");
    Ok(())
}
