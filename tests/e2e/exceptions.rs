//! Exceptions as work items (rule 8): found in groups, edited, ended in bulk, and ended by what comes later.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossdock_tests::until;
use serde_json::{Value, json};

use crate::{
    commands::{printed, run},
    world::{World, confirmation, receipt},
};

async fn open(world: &World, count: usize) -> anyhow::Result<Vec<Value>> {
    until("the exceptions are there", async || {
        let found = world.gateway.ask("exceptions").await?;
        Ok(found["exceptions"].as_array().is_some_and(|all| all.len() == count))
    })
    .await?;
    let found = world.gateway.ask("exceptions").await?;
    Ok(found["exceptions"].as_array().context("exceptions")?.clone())
}

async fn refused(orders: &[(&str, u32)]) -> anyhow::Result<World> {
    let world = World::start().await?;
    world.portal.answer(|call| (422, format!("customer {} is blocked", call.body.len())));
    for (order, number) in orders {
        receipt(&world.confirm(confirmation(order, *number)?).await?)?;
    }
    Ok(world)
}

async fn post(world: &World, path: &str, body: Value) -> anyhow::Result<Value> {
    let reply = world.gateway.admin_call("POST", path, body.to_string().into()).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    reply.json()
}

#[tokio::test]
async fn rule_8_an_edited_event_is_sent_in_the_place_of_the_refused_one_and_under_another_key()
-> anyhow::Result<()> {
    let world = refused(&[("0080009801", 9801), ("0080009801", 9802)]).await?;
    let one = open(&world, 1).await?.remove(0);
    let id = one["id"].to_string();
    world.portal.answer(|_| (200, String::new()));
    let wrong = run(&world, &["exception", "edit", &id, "--set", "/nowhere/lot=x"]).await?;
    assert_eq!(wrong.status.code(), Some(1));
    ensure!(String::from_utf8_lossy(&wrong.stderr).contains("`/nowhere/lot` points to nothing"), "{wrong:?}");
    let uncanonical = run(&world, &["exception", "edit", &id, "--set", "/lines=none"]).await?;
    ensure!(String::from_utf8_lossy(&uncanonical.stderr).contains("not canonical"), "{uncanonical:?}");
    let shown = world.gateway.ask(&format!("exceptions/{id}")).await?;
    let unit = shown["event"]["data"]["lines"][0]["ordered"]["value"].as_str().context("a quantity")?;
    let set = format!("/lines/0/ordered/value={unit}.5");
    let text = printed(&world, &["exception", "edit", &id, "--set", &set, "--by", "ada"]).await?;
    ensure!(text.contains("edited by ada") && text.contains("1 later events"), "{text}");
    until("both are there", async || Ok(world.portal.taken().len() == 2)).await?;
    let (taken, first) = (world.portal.taken(), world.portal.received()[0].clone());
    let event: Value = serde_json::from_slice(&taken[0].body)?;
    assert_eq!(event["data"]["lines"][0]["ordered"]["value"], format!("{unit}.5"));
    assert_eq!(event["identity"], event["corrects"], "it corrects the fact that it tells: {event}");
    assert_ne!(taken[0].header("webhook-id"), first.header("webhook-id"));
    ensure!(taken[0].header("webhook-id").ends_with("+2"), "{:?}", taken[0].headers);
    let known = world.gateway.ask(&format!("events/{}", event["id"].as_str().context("an id")?)).await?;
    assert_eq!(known["revises"], one["event"]);
    let ended = world.gateway.ask(&format!("exceptions/{id}")).await?;
    assert_eq!(ended["past"].as_array().map(Vec::len), Some(1), "what was refused is kept: {ended}");
    // Its sender may tell the same again.
    let again = receipt(&world.confirm(confirmation("0080009801", 9801)?).await?)?;
    assert_eq!(again["events"][0]["outcome"], "repeats");
    Ok(())
}

#[tokio::test]
async fn rule_8_a_person_may_write_the_targets_document() -> anyhow::Result<()> {
    let world = refused(&[("0080009811", 9811)]).await?;
    let id = open(&world, 1).await?[0]["id"].to_string();
    world.portal.answer(|_| (200, String::new()));
    let body = json!({ "by": "ada", "outbound": { "content": STANDARD.encode("by hand") } });
    let answer = post(&world, &format!("exceptions/{id}/edit"), body).await?;
    assert_eq!(answer["resolution"]["action"], "edited");
    until("it is there", async || Ok(world.portal.taken().len() == 1)).await?;
    assert_eq!(world.portal.taken()[0].text(), "by hand");
    Ok(())
}

#[tokio::test]
async fn rule_8_alike_exceptions_are_counted_together_and_ended_together_after_a_plan() -> anyhow::Result<()>
{
    let world = refused(&[("0080009821", 9821), ("0080009822", 9822), ("0080009823", 9823)]).await?;
    let all = open(&world, 3).await?;
    let text = printed(&world, &["exception", "list", "--group", "fingerprint", "--json"]).await?;
    let group: Value = serde_json::from_str(text.trim())?;
    assert_eq!((&group["count"], &group["value"]), (&json!(3), &all[0]["fingerprint"]), "{text}");
    printed(&world, &["exception", "assign", &all[1]["id"].to_string(), "ada"]).await?;
    let text = printed(&world, &["exception", "list", "--owner", "ada", "--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(text.trim())?["id"], all[1]["id"]);
    let older = printed(&world, &["exception", "list", "--older", "1h", "--json"]).await?;
    ensure!(older.is_empty(), "{older}");

    // Without a filter nothing is done, and without --yes neither.
    assert_eq!(run(&world, &["exception", "retry"]).await?.status.code(), Some(1));
    let plan = printed(&world, &["exception", "retry", "--target", "customer-portal"]).await?;
    ensure!(plan.starts_with("3 exceptions") && plan.contains("is blocked"), "{plan}");
    assert_eq!(open(&world, 3).await?.len(), 3);
    world.portal.answer(|_| (200, String::new()));
    let text =
        printed(&world, &["exception", "retry", "--owner", "nobody", "--cause", "target-refused", "--yes"])
            .await?;
    ensure!(text.contains("retry of exceptions: 2 of 2, 0 refused done"), "{text}");
    until("two are there", async || Ok(world.portal.taken().len() == 2)).await?;
    let text =
        printed(&world, &["exception", "discard", "--every", "--reason", "no customer", "--yes", "--json"])
            .await?;
    let last: Value = serde_json::from_str(text.lines().last().context("a line")?)?;
    assert_eq!((&last["state"], &last["done"]), (&json!("done"), &json!(1)), "{text}");
    open(&world, 0).await?;
    let text = printed(&world, &["exception", "show", &all[1]["id"].to_string()]).await?;
    ensure!(text.contains("discarded by") && text.contains(": no customer"), "{text}");
    Ok(())
}

#[tokio::test]
async fn rule_8_a_job_goes_at_its_rate_and_ends_when_it_is_cancelled() -> anyhow::Result<()> {
    let world = refused(&[("0080009831", 9831), ("0080009832", 9832), ("0080009833", 9833)]).await?;
    open(&world, 3).await?;
    let asked = json!({ "action": "discard", "by": "ada", "reason": "a test", "rate": 1, "apply": true });
    let job = post(&world, "exceptions/bulk", asked).await?["job"]["job"].to_string();
    open(&world, 2).await?;
    post(&world, &format!("jobs/{job}/cancel"), json!({})).await?;
    until("it has ended", async || {
        Ok(world.gateway.ask(&format!("jobs/{job}")).await?["job"]["state"] == "cancelled")
    })
    .await?;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(open(&world, 2).await?.len(), 2, "nothing is done after that");
    Ok(())
}

#[tokio::test]
async fn rule_4_a_list_of_deliveries_says_why_the_last_attempt_failed() -> anyhow::Result<()> {
    let world = refused(&[("0080009841", 9841)]).await?;
    open(&world, 1).await?;
    let text = printed(&world, &["delivery", "list", "--target", "customer-portal"]).await?;
    ensure!(text.lines().next().is_some_and(|line| line.ends_with("why")), "{text}");
    ensure!(text.contains("422: customer") && text.contains("is blocked"), "{text}");
    Ok(())
}
