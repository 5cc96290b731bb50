//! The main job: what one partner says in its format, the others hear in theirs.

use anyhow::{Context as _, ensure};
use crossdock_tests::{ACME_KEY, until};
use serde_json::{Value, json};

use crate::world::{ACME, GLOBEX, MILESTONES, RELEASES, World, case, confirmation, document, receipt};

#[tokio::test]
async fn an_order_of_the_erp_reaches_the_warehouse_as_a_940() -> anyhow::Result<()> {
    let world = World::start().await?;
    let receipt = receipt(&world.gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?)?;
    assert_eq!(receipt["events"][0]["type"], "order.released");
    assert_eq!(receipt["events"][0]["outcome"], "stored");
    assert_eq!(receipt["events"][0]["deliveries"], 1);
    until("the warehouse has it", async || Ok(!world.wms.taken().is_empty())).await?;
    let taken = &world.wms.taken()[0];
    let text = taken.text();
    ensure!(text.starts_with("ISA*00*"), "{text}");
    // Envelopes carry the parties of the target, not of the document that came.
    ensure!(text.contains("*ZZ*NORTHSTAR      *ZZ*ACME3PL        *"), "{text}");
    ensure!(text.contains("ST*940*") && text.contains("W05*N*0080001234*PGC-77120"), "{text}");
    // All three lines with their quantities, unit and GTIN.
    assert_eq!(text.matches("W01*").count(), 3, "{text}");
    for quantity in [
        "W01*240.000*CT**UK*10614141002204*",
        "W01*96.000*CT**UK*10614141003300*",
        "W01*30.000*CT**UK*10614141004406*",
    ] {
        ensure!(text.contains(quantity), "no {quantity} in {text}");
    }
    ensure!(!taken.header("webhook-id").is_empty(), "{:?}", taken.headers);
    assert_eq!(taken.header("webhook-id"), taken.header("idempotency-key").trim_matches('"'));
    ensure!(world.sap.received().is_empty() && world.tms.received().is_empty(), "the order went astray");
    Ok(())
}

#[tokio::test]
async fn a_945_reaches_the_erp_as_an_idoc_the_carrier_as_a_tracker_and_the_portal_as_an_event()
-> anyhow::Result<()> {
    let world = World::start().await?;
    let receipt = receipt(&world.confirm(document("shipped.945.edi")?).await?)?;
    assert_eq!(receipt["events"][0]["type"], "shipment.dispatched");
    assert_eq!(receipt["events"][0]["deliveries"], 3);
    until("all three have it", async || {
        Ok([&world.sap, &world.tms, &world.portal].iter().all(|target| !target.taken().is_empty()))
    })
    .await?;
    let idoc = world.sap.taken()[0].text();
    ensure!(idoc.contains("<DELVRY") && idoc.contains("<VBELN>0080001234</VBELN>"), "{idoc}");
    assert_eq!(idoc.matches("<E1EDL24").count(), 3, "{idoc}");
    let tracker = serde_json::from_slice::<Value>(&world.tms.taken()[0].body)?;
    ensure!(tracker.to_string().contains("NF20264711"), "{tracker}");
    let event = serde_json::from_slice::<Value>(&world.portal.taken()[0].body)?;
    assert_eq!(event["specversion"], "1.0", "{event}");
    assert_eq!(event["id"], receipt["events"][0]["id"]);
    ensure!(event["type"].as_str().is_some_and(|kind| kind.contains("shipment.dispatched")), "{event}");
    ensure!(world.wms.received().is_empty(), "the warehouse heard itself");
    Ok(())
}

#[tokio::test]
async fn what_a_token_brings_becomes_milestones_and_a_repeated_webhook_changes_nothing() -> anyhow::Result<()>
{
    let world = World::start().await?;
    let token = world.estate.token()?;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let tracker = case("easypost", "tracker-delivered/in.json")?;
    let history: Value = serde_json::from_str(&tracker)?;
    let history = history["tracking_details"].as_array().context("a history")?.len();
    let first = receipt(&world.gateway.post(MILESTONES, &headers, tracker.clone()).await?)?;
    let events = first["events"].as_array().context("events")?;
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((count("shipment.milestone"), count("shipment.delivered")), (history - 1, 1), "{first}");
    until("the portal has all of it", async || Ok(world.portal.taken().len() == history)).await?;

    let again = receipt(&world.gateway.post(MILESTONES, &headers, tracker).await?)?;
    let again = again["events"].as_array().context("events")?;
    assert_eq!(again.len(), history);
    for (event, before) in again.iter().zip(events) {
        assert_eq!(event["outcome"], "repeats", "{event}");
        assert_eq!(event["event"], before["id"], "{event}");
        assert_eq!(event["message"], first["message_id"]);
    }
    // What comes after the repeat overtakes nothing: once it is there, the repeat would be too.
    receipt(&world.confirm(confirmation("0080009001", 9001)?).await?)?;
    until("the portal has the confirmation", async || Ok(world.portal.taken().len() > history)).await?;
    assert_eq!(world.portal.taken().len(), history + 1);
    assert_eq!(
        world.gateway.ask("deliveries?limit=100&target=customer-portal").await?["deliveries"]
            .as_array()
            .map(Vec::len),
        Some(history + 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_partner_sees_what_became_of_its_own_messages_and_of_nobody_elses() -> anyhow::Result<()> {
    let world = World::start().await?;
    let reply = world.confirm(confirmation("0080009002", 9002)?).await?;
    let sent = receipt(&reply)?;
    let path = reply.header("location").to_owned();
    assert_eq!(path, format!("/messages/{}", sent["message_id"].as_str().context("an id")?));
    until("it is delivered", async || Ok(world.portal.taken().len() == 1 && world.sap.taken().len() == 1))
        .await?;
    until("its sender sees that", async || {
        let seen = world.gateway.get(&path, &ACME).await?.json()?;
        Ok(seen["deliveries"]
            .as_array()
            .is_some_and(|all| all.len() == 3 && all.iter().all(|one| one["state"] == "delivered")))
    })
    .await?;
    let seen = world.gateway.get(&path, &ACME).await?;
    assert_eq!(seen.json()?["receipt"], sent);
    ensure!(!seen.text().contains("globex"), "a sender learns who else is there: {}", seen.text());

    let others = world.gateway.get(&path, &GLOBEX).await?;
    assert_eq!(
        (others.status, others.json()?["type"].clone()),
        (404, json!("https://crossdock.dev/problems/no-message"))
    );
    let nobody = world.gateway.get("/messages/01JD8Q2M7T6V9K3H5X0YB4N8RC", &ACME).await?;
    // Another's message and none at all cannot be told apart.
    assert_eq!(nobody.json()?["detail"], others.json()?["detail"]);
    assert_eq!(world.gateway.get(&path, &[]).await?.status, 401);

    let refused = world
        .confirm(document("overshipped.945.edi")?.replace("W12*CC*240*240*0", "W12*CC*24*240*0"))
        .await?;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let id = refused.header("crossdock-message-id").to_owned();
    let path = format!("/messages/{id}");
    until("the refusal is noted", async || Ok(world.gateway.get(&path, &ACME).await?.status == 200)).await?;
    let seen = world.gateway.get(&path, &ACME).await?.json()?;
    assert_eq!(seen["message"]["state"], "refused");
    assert_eq!(seen["problem"], refused.json()?);
    Ok(())
}

#[tokio::test]
async fn an_operator_finds_a_message_by_what_it_says_and_follows_events_as_they_come() -> anyhow::Result<()> {
    let world = World::start().await?;
    let first = receipt(&world.confirm(confirmation("0080009003", 9003)?).await?)?;
    let other = receipt(&world.gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?)?;
    let messages = world.gateway.ask("messages?partner=acme-3pl").await?;
    assert_eq!(messages["messages"][0]["id"], first["message_id"]);
    assert_eq!(messages["messages"].as_array().map(Vec::len), Some(1), "{messages}");
    let key = &first["events"][0]["keys"][0];
    let (kind, value) = (key["kind"].as_str().context("a kind")?, key["value"].as_str().context("a value")?);
    let found = world.gateway.ask(&format!("events?key={kind}:{value}")).await?;
    assert_eq!(found["events"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["events"][0]["event"]["id"], first["events"][0]["id"]);
    let of_order = world.gateway.ask("events?kind=order.*").await?;
    assert_eq!(of_order["events"][0]["event"]["id"], other["events"][0]["id"]);
    let shown =
        world.gateway.ask(&format!("messages/{}", first["message_id"].as_str().context("an id")?)).await?;
    ensure!(shown["document"]["text"].as_str().is_some_and(|text| text.contains("0080009003")), "{shown}");

    // A long poll: asked first, answered by what comes later.
    let last = of_order["events"][0]["sequence"]
        .as_u64()
        .context("a sequence")?
        .max(found["events"][0]["sequence"].as_u64().unwrap_or(0));
    let path = format!("events?after={last}&wait=30");
    let (tail, sent) =
        tokio::join!(world.gateway.ask(&path), world.confirm(confirmation("0080009004", 9004)?));
    let (tail, sent) = (tail?, receipt(&sent?)?);
    assert_eq!(tail["events"][0]["event"]["id"], sent["events"][0]["id"]);
    Ok(())
}

#[tokio::test]
async fn a_document_that_contradicts_a_known_one_is_kept_for_a_person() -> anyhow::Result<()> {
    let world = World::start().await?;
    let shipped = confirmation("0080009005", 9005)?;
    let first = receipt(&world.confirm(shipped.clone()).await?)?;
    let other = shipped.replace("W12*CC*12*12*", "W12*CC*12*11*1*").replace("*11*1*0*CA", "*11*1*CA");
    let second = receipt(&world.confirm(other).await?)?;
    let held = &second["events"][0];
    assert_eq!(held["outcome"], "held", "{second}");
    assert_eq!(held["contradicts"], first["events"][0]["id"]);
    let exception = world.gateway.ask(&format!("exceptions/{}", held["exception"])).await?;
    assert_eq!(exception["exception"]["partner"], "acme-3pl");
    assert_eq!(world.gateway.ask("exceptions").await?["exceptions"].as_array().map(Vec::len), Some(1));
    // The same key by the other header is the same caller.
    let bearer = format!("Bearer {ACME_KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/edi-x12")];
    let again = receipt(&world.gateway.post(crate::world::CONFIRMATIONS, &headers, shipped).await?)?;
    assert_eq!(again["events"][0]["outcome"], "repeats");
    Ok(())
}
