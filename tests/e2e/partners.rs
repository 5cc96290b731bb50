//! Partners ask: what became of a message, events as they come, where an order stands.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossdock_tests::{PATIENCE, Reply, open, until};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{ACME, GLOBEX, RELEASES, World, confirmation, document, receipt};

/// A connection on which a partner follows its events.
struct Feed {
    body: hyper::body::Incoming,
    text: String,
}

impl Feed {
    async fn open(world: &World, query: &str, headers: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut sender = open(&world.gateway.address).await?;
        let mut request = http::Request::builder().uri(format!("/events{query}"));
        let all = [("accept", "text/event-stream"), ("host", "localhost"), ACME[0]];
        for (name, value) in all.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Full::default())?).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Ok(Self { body: answer.into_body(), text: String::new() })
    }

    /// The next event's id, type and data.
    async fn next(&mut self) -> anyhow::Result<(String, String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = (field("id: "), field("event: "), field("data: "));
                self.text = rest.to_owned();
                if let (Some(id), Some(kind), Some(data)) = found {
                    return Ok((id, kind, serde_json::from_str(&data)?));
                }
            }
            let frame = timeout(PATIENCE, self.body.frame()).await?.context("the feed ended")??;
            self.text.push_str(std::str::from_utf8(frame.data_ref().context("data")?)?);
        }
    }

    /// Whether the gateway ends the feed.
    async fn ends(mut self) -> bool {
        timeout(PATIENCE, async { while let Some(Ok(_)) = self.body.frame().await {} }).await.is_ok()
    }
}

fn ids(reply: &Reply) -> anyhow::Result<Vec<String>> {
    let found = reply.json()?;
    let events = found["events"].as_array().with_context(|| format!("no events in {found}"))?;
    Ok(events.iter().filter_map(|event| event["id"].as_str().map(str::to_owned)).collect())
}

fn event(receipt: &Value) -> anyhow::Result<String> {
    Ok(receipt["events"][0]["id"].as_str().context("an event")?.to_owned())
}

#[tokio::test]
async fn a_partner_reads_its_own_events_page_by_page_and_nobody_elses() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut sent = Vec::new();
    for number in 9601..9604 {
        sent.push(event(&receipt(&world.confirm(confirmation("0080009601", number)?).await?)?)?);
        receipt(&world.gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?)?;
    }
    let first = world.gateway.get("/events?limit=2", &ACME).await?;
    assert_eq!(ids(&first)?, sent[..2]);
    let next = first.json()?["next"].as_str().context("a cursor")?.to_owned();
    assert_eq!(next, sent[1], "the cursor is the last event: a number would tell how much others send");
    ensure!(!first.text().contains("\"sequence\":"), "{}", first.text());
    assert_eq!(ids(&world.gateway.get(&format!("/events?after={next}"), &ACME).await?)?, sent[2..]);
    assert_eq!(ids(&world.gateway.get("/.crossdock/events?after=0&type=shipment.*", &ACME).await?)?, sent);
    assert_eq!(ids(&world.gateway.get("/events?type=order.released", &ACME).await?)?, Vec::<String>::new());
    assert_eq!(ids(&world.gateway.get("/events?after=latest", &ACME).await?)?, Vec::<String>::new());
    let theirs = world.gateway.get("/events", &GLOBEX).await?;
    ensure!(ids(&theirs)?.len() == 1 && !theirs.text().contains("acme"), "{}", theirs.text());
    // Another's event is no place to go on from, and looks like none at all.
    let foreign = world.gateway.get(&format!("/events?after={next}"), &GLOBEX).await?;
    let unknown = world.gateway.get("/events?after=01JD8Q2M7T6V9K3H5X0YB4N8RC", &GLOBEX).await?;
    assert_eq!((foreign.status, foreign.json()?["detail"].clone()), (410, unknown.json()?["detail"].clone()));
    for wrong in ["after=x", "key=8841", "limit=many", "wait=%zz"] {
        assert_eq!(world.gateway.get(&format!("/events?{wrong}"), &ACME).await?.status, 400, "{wrong}");
    }
    assert_eq!(world.gateway.get("/events", &[]).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_long_poll_waits_for_the_partners_own_event() -> anyhow::Result<()> {
    let world = World::start().await?;
    let began = Instant::now();
    let (found, sent) = tokio::join!(world.gateway.get("/events?wait=30", &ACME), async {
        receipt(&world.gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?)?;
        receipt(&world.confirm(confirmation("0080009611", 9611)?).await?)
    });
    assert_eq!(ids(&found?)?, [event(&sent?)?]);
    ensure!(began.elapsed() < Duration::from_secs(25), "it waited for its time to end");
    let nothing = world.gateway.get("/events?after=latest&wait=1", &ACME).await?.json()?;
    assert_eq!(nothing, json!({ "events": [], "next": "latest" }));
    Ok(())
}

#[tokio::test]
async fn a_feed_is_resumed_where_it_broke_off() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let mut feed = Feed::open(&world, "", &[]).await?;
    let first = event(&receipt(&world.confirm(confirmation("0080009621", 9621)?).await?)?)?;
    let (id, kind, data) = feed.next().await?;
    assert_eq!((id.as_str(), kind.as_str()), (first.as_str(), "shipment.dispatched"));
    assert_eq!((&data["id"], &data["specversion"]), (&json!(first), &json!("1.0")));
    drop(feed);
    let second = event(&receipt(&world.confirm(confirmation("0080009621", 9622)?).await?)?)?;
    world.gateway.kill().await?;
    world.gateway = crossdock_tests::Gateway::start(&world.estate, world.data.path()).await?;
    let mut feed = Feed::open(&world, "?after=0", &[("last-event-id", &first)]).await?;
    assert_eq!(feed.next().await?.0, second, "what was missed comes first");
    let third = event(&receipt(&world.confirm(confirmation("0080009621", 9623)?).await?)?)?;
    assert_eq!(feed.next().await?.0, third);
    Ok(())
}

#[tokio::test]
async fn a_drain_does_not_wait_for_those_who_wait() -> anyhow::Result<()> {
    let world = World::start().await?;
    let feed = Feed::open(&world, "", &[]).await?;
    let (address, admin) = (world.gateway.address.clone(), world.gateway.admin.clone());
    let token = std::fs::read_to_string(world.data.path().join("admin.token"))?;
    let poll = tokio::spawn(async move {
        crossdock_tests::call(&address, "GET", "/events?wait=60", &ACME, bytes::Bytes::new()).await
    });
    let tail = tokio::spawn(async move {
        let admin = admin.trim_start_matches("http://").to_owned();
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let path = "/api/v1/events?after=0&wait=30";
        crossdock_tests::call(&admin, "GET", path, &headers, bytes::Bytes::new()).await
    });
    // Both are being served when the signal comes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    assert_eq!(world.gateway.stop().await?, Some(0));
    ensure!(began.elapsed() < Duration::from_secs(8), "the drain took {:?}", began.elapsed());
    assert_eq!(poll.await??.json()?["events"], json!([]));
    assert_eq!(tail.await??.json()?["events"], json!([]));
    ensure!(feed.ends().await, "the feed went on");
    Ok(())
}

#[tokio::test]
async fn a_message_tells_its_sender_all_that_became_of_it_and_nothing_of_the_targets() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.portal.answer(|_| (422, "customer 4711 of globex is blocked".to_owned()));
    let shipped = confirmation("0080009631", 9631)?;
    let reply = world.confirm(shipped.clone()).await?;
    let (first, path) = (receipt(&reply)?, reply.header("location").to_owned());
    let again = receipt(&world.confirm(shipped.clone()).await?)?;
    let other = shipped.replace("W12*CC*12*12*", "W12*CC*12*11*1*").replace("*11*1*0*CA", "*11*1*CA");
    let held = world.confirm(other).await?;
    until("the portal has refused it", async || {
        let seen = world.gateway.get(&path, &ACME).await?.json()?;
        Ok(seen["exceptions"].as_array().is_some_and(|all| all.len() == 1)
            && world.sap.taken().len() == 1
            && seen["deliveries"].as_array().is_some_and(|all| all.iter().all(|one| one["state"] != "ready")))
    })
    .await?;
    let seen = world.gateway.get(&path, &ACME).await?;
    let view = seen.json()?;
    assert_eq!(view["events"][0]["state"], "needs-attention", "{view}");
    assert_eq!(view["exceptions"][0]["code"], "target-refused");
    assert_eq!(view["repeats"], json!([{ "event": event(&first)?, "message": again["message_id"] }]));
    for secret in ["globex", "4711", "blocked", "customer-portal", "nordfracht", "sap"] {
        ensure!(!seen.text().contains(secret), "`{secret}` is in {}", seen.text());
    }
    let held = world.gateway.get(held.header("location"), &ACME).await?.json()?;
    assert_eq!(held["events"][0]["state"], "held", "{held}");

    let key = &first["events"][0]["keys"][0];
    let key = format!("{}:{}", key["kind"].as_str().unwrap_or("-"), key["value"].as_str().unwrap_or("-"));
    let status = world.gateway.get(&format!("/status?key={key}"), &ACME).await?;
    let states: Vec<_> = status.json()?["events"]
        .as_array()
        .context("events")?
        .iter()
        .map(|one| one["state"].as_str().unwrap_or("-").to_owned())
        .collect();
    assert_eq!(states, ["held", "needs-attention"]);
    ensure!(!status.text().contains("blocked") && !status.text().contains("portal"), "{}", status.text());
    let theirs = world.gateway.get(&format!("/status?key={key}"), &GLOBEX).await?.json()?;
    assert_eq!(theirs["events"], json!([]));
    let one = world.gateway.get(&format!("/events/{}", event(&first)?), &ACME).await?.json()?;
    assert_eq!(one["state"], "needs-attention");
    assert_eq!(world.gateway.get(&format!("/events/{}", event(&first)?), &GLOBEX).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn an_operation_of_the_policy_has_its_path_to_itself() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        estate.edit("apis/orders.yaml", |text| text.replace("POST /orders/releases", "POST /messages/{id}"))
    })
    .await?;
    let reply = world.confirm(confirmation("0080009641", 9641)?).await?;
    let sent = receipt(&reply)?;
    let id = sent["message_id"].as_str().context("an id")?;
    assert_eq!(reply.header("location"), format!("/.crossdock/messages/{id}"));
    assert_eq!(world.gateway.get(reply.header("location"), &ACME).await?.json()?["receipt"], sent);
    assert_eq!(world.gateway.get(&format!("/messages/{id}"), &ACME).await?.status, 405);
    Ok(())
}
