//! Retries and limits: the same request again, and too many of them.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use crossdock_tests::{ACME_KEY, Gateway, until};
use tokio::task::JoinSet;

use crate::{
    refusals::refused,
    world::{ACME, CONFIRMATIONS, MILESTONES, World, confirmation, receipt},
};

#[tokio::test]
async fn a_retry_under_the_same_key_gets_the_same_receipt_even_after_a_kill() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let shipped = confirmation("0080009301", 9301)?;
    let first = world.confirm_as("order-9301", shipped.clone()).await?;
    assert_eq!(first.header("idempotency-replayed"), "");
    let first = receipt(&first)?;
    // Quoted, as the draft has it, or bare: it is one key.
    for key in ["order-9301", "\"order-9301\""] {
        let again = world.confirm_as(key, shipped.clone()).await?;
        assert_eq!(receipt(&again)?, first);
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    let other = world.confirm_as("order-9301", confirmation("0080009302", 9302)?).await?;
    refused(&other, 422, "idempotency-key-reused", "caller", false)?;

    world.gateway.kill().await?;
    world.gateway = Gateway::start(&world.estate, world.data.path()).await?;
    let again = world.confirm_as("order-9301", shipped).await?;
    assert_eq!((receipt(&again)?, again.header("idempotency-replayed")), (first, "true"));
    let other = world.confirm_as("order-9301", confirmation("0080009302", 9302)?).await?;
    refused(&other, 422, "idempotency-key-reused", "caller", false)?;
    assert_eq!(world.gateway.ask("events").await?["events"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn of_many_first_requests_under_one_key_one_is_stored() -> anyhow::Result<()> {
    let world = Arc::new(World::with(crate::world::generous).await?);
    for round in 0..5 {
        let shipped = confirmation("0080009303", 9310 + round)?;
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            let (world, shipped, key) = (Arc::clone(&world), shipped.clone(), format!("round-{round}"));
            calls.spawn(async move { world.confirm_as(&key, shipped).await });
        }
        let mut receipts = Vec::new();
        let mut replayed = 0;
        for reply in calls.join_all().await {
            let reply = reply?;
            if reply.status == 409 {
                refused(&reply, 409, "idempotency-key-in-use", "caller", true)?;
            } else {
                replayed += usize::from(reply.header("idempotency-replayed") == "true");
                receipts.push(receipt(&reply)?);
            }
        }
        assert_eq!(receipts.len() - replayed, 1, "stored more than once, or never");
        ensure!(receipts.iter().all(|one| *one == receipts[0]), "{receipts:?}");
    }
    assert_eq!(
        world.gateway.ask("messages?limit=100").await?["messages"]
            .as_array()
            .map(|all| all.iter().filter(|one| one["state"] == "accepted").count()),
        Some(5)
    );
    Ok(())
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_back_and_a_neighbour_is_not() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        estate.edit("partners/acme-3pl.yaml", |text| {
            text.replace("rate: 50/s, burst: 100", "rate: 3/m, burst: 3")
        })
    })
    .await?;
    for number in 0..3 {
        let reply = world.confirm(confirmation("0080009304", 9330 + number)?).await?;
        receipt(&reply)?;
        ensure!(reply.header("ratelimit").contains(&format!("r={}", 2 - number)), "{:?}", reply.headers);
        ensure!(reply.header("ratelimit-policy").contains("\"partner\";q=3;w=60"), "{:?}", reply.headers);
    }
    let reply = world.confirm(confirmation("0080009304", 9334)?).await?;
    refused(&reply, 429, "limit-exceeded", "caller", true)?;
    let wait: u64 = reply.header("retry-after").parse().context("Retry-After")?;
    ensure!((1..=20).contains(&wait), "{wait} s, where every 20 s brings a new one");
    ensure!(reply.header("ratelimit").contains("r=0"), "{:?}", reply.headers);
    let token = world.estate.token()?;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let reply = world
        .gateway
        .post(MILESTONES, &headers, crate::world::case("easypost", "tracker-delivered/in.json")?)
        .await?;
    receipt(&reply)?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_guesses_keys_is_turned_away() -> anyhow::Result<()> {
    let world = World::start().await?;
    let guess = [("x-api-key", "xd_demo_acme_guess"), ("content-type", "application/edi-x12")];
    let mut refusals = 0;
    until("guessing is stopped", async || {
        let reply = world.gateway.post(CONFIRMATIONS, &guess, "x").await?;
        refusals += 1;
        if reply.status == 401 {
            return Ok(false);
        }
        refused(&reply, 429, "too-many-failures", "caller", true)?;
        ensure!(
            reply.header("retry-after").parse::<u64>().is_ok_and(|wait| wait >= 1),
            "{:?}",
            reply.headers
        );
        Ok(true)
    })
    .await?;
    ensure!((20..40).contains(&refusals), "stopped after {refusals}");
    // The address is what is turned away, with whatever it shows: a guess that hits must not be told from one that misses.
    let reply = world.gateway.post(CONFIRMATIONS, &[("x-api-key", ACME_KEY), ACME[1]], "x").await?;
    assert_eq!(reply.status, 429);
    Ok(())
}
