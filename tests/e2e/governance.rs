//! What governors ask of a gateway that runs.

use std::process::Output;

use anyhow::{Context as _, ensure};
use crossdock_tests::binary;
use serde_json::Value;
use tokio::process::Command;

use crate::world::{ACME, World, confirmation, receipt};

const SHIPMENTS: &str = "apis/shipments.yaml";

async fn policy(world: &World, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary());
    command.arg("policy").args(arguments).env("NO_COLOR", "1");
    command.args(["--admin", &world.gateway.admin, "--data"]).arg(world.data.path());
    Ok(command.output().await?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A copy of the world's policies in which a file was changed.
fn changed(
    world: &World,
    file: &str,
    change: impl FnOnce(String) -> String,
) -> anyhow::Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    let done =
        std::process::Command::new("cp").arg("-r").arg(world.estate.folder()).arg(copy.path()).status()?;
    ensure!(done.success(), "the policies could not be copied");
    let folder = copy.path().join(world.estate.folder().file_name().context("a name")?);
    let path = folder.join(file);
    std::fs::write(&path, change(std::fs::read_to_string(&path)?))?;
    // The folder itself, whatever it was called.
    std::fs::rename(folder, copy.path().join("policies"))?;
    Ok(copy)
}

#[tokio::test]
async fn a_change_is_held_against_the_calls_that_were_recorded() -> anyhow::Result<()> {
    let world = World::start().await?;
    for number in [9801, 9802] {
        receipt(&world.confirm(confirmation("0080009801", number)?).await?)?;
    }
    let old = [ACME[0], ACME[1], ("accept-version", "v1")];
    let sent =
        world.gateway.post("/shipments/confirmations", &old, confirmation("0080009801", 9803)?).await?;
    let last = receipt(&sent)?;
    let before = world.estate.folder().display().to_string();

    let without_v1 =
        changed(&world, SHIPMENTS, |text| text.replace("versions: [v1, v2] }", "versions: [v2] }"))?;
    let after = without_v1.path().join("policies").display().to_string();
    let arguments = ["diff", &before, &after, "--against-recorded", "1h", "--fail-on", "refusal"];
    let output = policy(&world, &arguments).await?;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "NARROWS  acme-3pl  may no longer call POST /shipments/confirmations (shipments/confirm v1)",
        "of 3 recorded calls that were accepted, 1 would be refused",
        "1 call of acme-3pl   shipments/confirm v1   not-granted",
        last["message_id"].as_str().context("an id")?,
    ] {
        ensure!(text.contains(part), "no {part} in\n{text}");
    }

    let slow = changed(&world, "partners/acme-3pl.yaml", |text| {
        text.replace("rate: 50/s, burst: 100", "rate: 1/h")
    })?;
    let after = slow.path().join("policies").display().to_string();
    let output = policy(&world, &["diff", &before, &after, "--against-recorded", "1h", "--json"]).await?;
    let lines: Vec<Value> = said(&output).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let refused: u64 = lines
        .iter()
        .filter(|line| line["kind"] == "would-refuse" && line["problem"] == "limit-exceeded")
        .filter_map(|line| line["calls"].as_u64())
        .sum();
    assert_eq!(refused, 2, "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn a_message_that_was_refused_or_taken_is_explained_by_its_id() -> anyhow::Result<()> {
    let world = World::start().await?;
    let taken = receipt(&world.confirm(confirmation("0080009804", 9804)?).await?)?;
    let folder = world.estate.folder().display().to_string();
    let id = taken["message_id"].as_str().context("an id")?;
    let output = policy(&world, &["explain", &folder, "--message", id]).await?;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    ensure!(text.contains("then      accepted") && text.contains("✓ grant"), "{text}");

    let json = [ACME[0], ("content-type", "application/json")];
    let refused = world.gateway.post("/shipments/confirmations", &json, "{}").await?;
    let id = refused.json()?["message_id"].as_str().context("an id")?.to_owned();
    let output = policy(&world, &["explain", &folder, "--message", &id]).await?;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    ensure!(text.contains("then      refused") && text.contains("is not kept"), "{text}");
    let output = policy(&world, &["explain", &folder, "--message", "01JD8Q2M7T6V9K3H5X0YB4N8RC"]).await?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn whoever_still_calls_what_is_going_is_named_with_whom_to_write_to() -> anyhow::Result<()> {
    let world = World::start().await?;
    let folder = world.estate.folder().display().to_string();
    let text = said(&policy(&world, &["lifecycle", &folder]).await?);
    ensure!(text.contains("shipments v1   ends 2027-04-01") && text.contains("no call in 30d"), "{text}");
    let old = [ACME[0], ACME[1], ("accept-version", "v1")];
    receipt(&world.gateway.post("/shipments/confirmations", &old, confirmation("0080009805", 9805)?).await?)?;
    receipt(&world.confirm(confirmation("0080009805", 9806)?).await?)?;
    let text = said(&policy(&world, &["lifecycle", &folder, "--json"]).await?);
    let line: Value = serde_json::from_str(text.trim())?;
    assert_eq!((&line["partner"], &line["calls"]), (&"acme-3pl".into(), &1.into()), "{line}");
    assert_eq!(line["owner"], "warehouse-team@northstar.example");
    Ok(())
}
