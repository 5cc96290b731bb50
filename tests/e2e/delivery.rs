//! Targets that are down, refuse, or ask for patience.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock_tests::{Gateway, Received, Receiver, until};
use serde_json::{Value, json};

use crate::world::{World, confirmation, receipt};

/// The bills of lading that a target has taken, in order.
fn bills(receiver: &Receiver) -> Vec<String> {
    let bill = |call: &Received| call.text().split("BOL-").nth(1).map(|text| text.chars().take(7).collect());
    receiver.taken().iter().filter_map(bill).collect()
}

fn patient(world: crossdock_tests::Estate) -> anyhow::Result<crossdock_tests::Estate> {
    world.edit("targets/customer-portal.yaml", |text| {
        text.replace("first: 500ms, factor: 2, cap: 15m", "first: 50ms, factor: 1, cap: 50ms")
    })
}

#[tokio::test]
async fn what_waited_for_a_target_that_was_down_arrives_in_order() -> anyhow::Result<()> {
    let mut world = World::with(patient).await?;
    let address = world.portal.address.clone();
    let down = Receiver::start().await?;
    drop(std::mem::replace(&mut world.portal, down));
    let mut sent = Vec::new();
    for number in 9501..9506 {
        receipt(&world.confirm(confirmation("0080009501", number)?).await?)?;
        sent.push(format!("{number:07}"));
    }
    until("it was tried in vain", async || {
        let found = world.gateway.ask("deliveries?target=customer-portal").await?;
        Ok(found["deliveries"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["attempts"].as_u64() > Some(0))))
    })
    .await?;
    // The gateway may go down, too, in the meantime.
    world.gateway.kill().await?;
    world.gateway = Gateway::start(&world.estate, world.data.path()).await?;
    let back = Receiver::start_at(&address).await?;
    until("all have arrived", async || Ok(bills(&back).len() >= sent.len())).await?;
    assert_eq!(bills(&back), sent);
    Ok(())
}

#[tokio::test]
async fn a_refused_delivery_holds_its_order_until_a_person_has_looked_and_no_other() -> anyhow::Result<()> {
    let world = World::with(patient).await?;
    world.portal.answer(|call| {
        if call.text().contains("BOL-0009511") {
            (422, "no such customer".to_owned())
        } else {
            (200, String::new())
        }
    });
    for (order, number) in [("0080009511", 9511), ("0080009511", 9512), ("0080009513", 9513)] {
        receipt(&world.confirm(confirmation(order, number)?).await?)?;
    }
    until("the other order flows", async || Ok(bills(&world.portal) == ["0009513"])).await?;
    let open = exceptions(&world).await?;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((open[0]["target"].as_str(), open[0]["waiting"].as_u64()), (Some("customer-portal"), Some(1)));
    let id = open[0]["id"].as_u64().context("a number")?;
    let shown = world.gateway.ask(&format!("exceptions/{id}")).await?;
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1), "a refusal was repeated: {shown}");
    assert_eq!(shown["attempts"][0]["status"], 422);
    ensure!(
        shown["attempts"][0]["excerpt"].as_str().is_some_and(|text| text.contains("no such customer")),
        "{shown}"
    );

    world.portal.answer(|_| (200, String::new()));
    let answer = resolve(&world, id, "retry", json!({ "by": "ops" })).await?;
    assert_eq!(answer["resolution"]["by"], "ops", "{answer}");
    until("its order flows again", async || Ok(bills(&world.portal).len() == 3)).await?;
    assert_eq!(bills(&world.portal), ["0009513", "0009511", "0009512"]);
    assert_eq!(exceptions(&world).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_discarded_delivery_is_never_sent_and_its_followers_are() -> anyhow::Result<()> {
    let world = World::with(patient).await?;
    world.portal.answer(|call| (if call.text().contains("BOL-0009521") { 400 } else { 200 }, String::new()));
    for number in [9521, 9522] {
        receipt(&world.confirm(confirmation("0080009521", number)?).await?)?;
    }
    until("the refusal is there", async || Ok(exceptions(&world).await?.len() == 1)).await?;
    let id = exceptions(&world).await?[0]["id"].as_u64().context("a number")?;
    let body = Bytes::from(json!({ "by": "ops", "reason": " " }).to_string());
    assert_eq!(
        world.gateway.admin_call("POST", &format!("exceptions/{id}/discard"), body).await?.status,
        400
    );
    ensure!(bills(&world.portal).is_empty(), "a reason is needed");
    resolve(&world, id, "discard", json!({ "by": "ops", "reason": "sent by mail" })).await?;
    until("the follower is there", async || Ok(bills(&world.portal) == ["0009522"])).await?;
    let states = world.gateway.ask("deliveries?target=customer-portal&state=discarded").await?;
    assert_eq!(states["deliveries"].as_array().map(Vec::len), Some(1), "{states}");
    // Resolved once is resolved.
    let body = Bytes::from(json!({ "by": "ops" }).to_string());
    ensure!(
        world.gateway.admin_call("POST", &format!("exceptions/{id}/retry"), body).await?.status != 200,
        "twice"
    );
    Ok(())
}

#[tokio::test]
async fn a_target_that_fails_for_a_while_is_tried_again_under_the_same_id() -> anyhow::Result<()> {
    let world = World::with(patient).await?;
    let tries = AtomicU32::new(0);
    world
        .portal
        .answer(move |_| (if tries.fetch_add(1, Ordering::SeqCst) < 3 { 503 } else { 200 }, String::new()));
    receipt(&world.confirm(confirmation("0080009531", 9531)?).await?)?;
    until("it is delivered", async || Ok(bills(&world.portal).len() == 1)).await?;
    let ids: Vec<String> =
        world.portal.received().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 4);
    ensure!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    until("the store knows", async || {
        let found = world.gateway.ask("deliveries?target=customer-portal&state=delivered").await?;
        Ok(found["deliveries"][0]["attempts"] == 4)
    })
    .await
}

async fn exceptions(world: &World) -> anyhow::Result<Vec<Value>> {
    let found = world.gateway.ask("exceptions").await?;
    Ok(found["exceptions"].as_array().context("exceptions")?.clone())
}

async fn resolve(world: &World, id: u64, how: &str, body: Value) -> anyhow::Result<Value> {
    let reply =
        world.gateway.admin_call("POST", &format!("exceptions/{id}/{how}"), body.to_string().into()).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    reply.json()
}
