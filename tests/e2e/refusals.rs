//! What is refused, and how it is said: problem details that name the kind, the fault and the place.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock_tests::{ACME_KEY, GLOBEX_KEY, Reply, call, until};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{ACME, CONFIRMATIONS, MILESTONES, RELEASES, World, confirmation, document, receipt};

/// What all refusals have in common, and what this one is.
pub fn refused(
    reply: &Reply,
    status: u16,
    kind: &str,
    fault: &str,
    retryable: bool,
) -> anyhow::Result<Value> {
    let problem = reply.json()?;
    ensure!(reply.status == status, "{kind}: {} {problem}", reply.status);
    ensure!(reply.header("content-type") == "application/problem+json", "{:?}", reply.headers);
    ensure!(problem["type"] == format!("https://crossdock.dev/problems/{kind}"), "{kind}: {problem}");
    ensure!(problem["status"] == status && problem["fault"] == fault, "{kind}: {problem}");
    ensure!(problem["retryable"] == retryable, "{kind}: {problem}");
    ensure!(problem["message_id"] == reply.header("crossdock-message-id"), "{problem} {:?}", reply.headers);
    let said = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
    ensure!(said("title") && said("detail") && said("revision"), "{kind}: {problem}");
    Ok(problem)
}

#[tokio::test]
async fn whoever_is_nobody_is_told_so_and_not_why() -> anyhow::Result<()> {
    let world = World::start().await?;
    let estate = &world.estate;
    let bearer = format!("Bearer {ACME_KEY}");
    let hour_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() - 3600;
    let expired = estate.token_with(|claims| claims["exp"] = json!(hour_ago))?;
    let foreign = estate.token_with(|claims| claims["iss"] = json!("https://evil.example"))?;
    let elsewhere = estate.token_with(|claims| claims["aud"] = json!("https://other.example"))?;
    let nobody = estate.token_with(|claims| claims["client_id"] = json!("stranger"))?;
    let other = crossdock_tests::Issuer::new()?;
    let forged = other.sign(&json!({ "iss": "https://login.northstar.example",
        "aud": "https://gateway.northstar.example", "sub": "tms", "client_id": "nordfracht-tms",
        "scope": "tracking:write", "exp": hour_ago + 7200 }))?;
    let forged = format!("Bearer {forged}");
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("x-api-key", "xd_demo_acme_wrong")],
        &[("x-api-key", ACME_KEY), ("authorization", &bearer)],
        &[("x-api-key", ACME_KEY), ("x-api-key", GLOBEX_KEY)],
        &[("authorization", &expired)],
        &[("authorization", &foreign)],
        &[("authorization", &elsewhere)],
        &[("authorization", &nobody)],
        &[("authorization", &forged)],
    ];
    let mut said = Vec::new();
    for headers in cases {
        let reply = world.gateway.post(CONFIRMATIONS, headers, "x").await?;
        let problem = refused(&reply, 401, "unauthenticated", "caller", false)?;
        ensure!(reply.header("www-authenticate").starts_with("Bearer"), "{:?}", reply.headers);
        said.push((problem["title"].clone(), problem["detail"].clone()));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "the answers differ, and tell what was wrong: {said:?}");
    // Neither may they fill the journal.
    assert_eq!(world.gateway.ask("messages").await?["messages"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_a_partner_may_not_do_is_refused_with_what_it_takes_instead() -> anyhow::Result<()> {
    let world = World::start().await?;
    let gateway = &world.gateway;
    let shipped = confirmation("0080009101", 9101)?;
    let reply = gateway.post(RELEASES, &[ACME[0], ("content-type", "application/xml")], "<x/>").await?;
    refused(&reply, 403, "not-granted", "caller", false)?;

    let poor = world.estate.token_with(|claims| claims["scope"] = json!("tracking:read"))?;
    let headers = [("authorization", poor.as_str()), ("content-type", "application/json")];
    let problem =
        refused(&gateway.post(MILESTONES, &headers, "{}").await?, 403, "scope-missing", "caller", false)?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("tracking:write")), "{problem}");

    refused(&gateway.post("/nowhere", &ACME, "x").await?, 404, "no-operation", "caller", false)?;
    let reply = gateway.get(CONFIRMATIONS, &ACME).await?;
    refused(&reply, 405, "method-not-allowed", "caller", false)?;
    assert_eq!(reply.header("allow"), "POST");
    let reply = gateway.post(&format!("/v9{CONFIRMATIONS}"), &ACME, shipped.clone()).await?;
    refused(&reply, 404, "version-unknown", "caller", false)?;

    let reply =
        gateway.post(CONFIRMATIONS, &[ACME[0], ("content-type", "text/plain")], shipped.clone()).await?;
    refused(&reply, 415, "media-type", "caller", false)?;
    assert_eq!(reply.header("accept"), "application/edi-x12");
    let reply = gateway.post(CONFIRMATIONS, &[ACME[0], ACME[1], ("content-encoding", "gzip")], "x").await?;
    refused(&reply, 415, "content-encoding", "caller", false)?;
    refused(&world.confirm("").await?, 400, "empty", "caller", false)?;
    for key in [String::new(), "k".repeat(256)] {
        refused(
            &world.confirm_as(&key, shipped.clone()).await?,
            400,
            "idempotency-key-malformed",
            "caller",
            false,
        )?;
    }
    assert_eq!(gateway.ask("events").await?["events"], json!([]), "a refused document left an event");
    Ok(())
}

#[tokio::test]
async fn an_old_version_still_serves_and_says_when_it_ends_and_what_follows() -> anyhow::Result<()> {
    let world = World::start().await?;
    let reply =
        world.gateway.post(&format!("/v1{CONFIRMATIONS}"), &ACME, confirmation("0080009102", 9102)?).await?;
    assert_eq!(receipt(&reply)?["version"], "v1");
    // 2026-10-01T00:00:00Z, the day that the policy names.
    assert_eq!(reply.header("deprecation"), "@1790812800");
    assert_eq!(reply.header("sunset"), "Thu, 01 Apr 2027 00:00:00 GMT");
    assert_eq!(reply.header("link"), "</v2/shipments/confirmations>; rel=\"successor-version\"");
    let reply = world.confirm(confirmation("0080009103", 9103)?).await?;
    assert_eq!(receipt(&reply)?["version"], "v2");
    assert_eq!(reply.header("deprecation"), "");
    let named = [ACME[0], ACME[1], ("accept-version", "v1")];
    let reply = world.gateway.post(CONFIRMATIONS, &named, confirmation("0080009104", 9104)?).await?;
    assert_eq!(receipt(&reply)?["version"], "v1");
    Ok(())
}

#[tokio::test]
async fn a_broken_document_is_refused_with_its_place() -> anyhow::Result<()> {
    let world = World::start().await?;
    let shipped = document("shipped.945.edi")?;
    let cut = &shipped[..shipped.find("LX*2~").context("a second line")?];
    let problem = refused(&world.confirm(cut.to_owned()).await?, 422, "mapping-refused", "caller", false)?;
    let at = &problem["errors"][0]["at"];
    // It ends too early: the place is the end.
    assert_eq!(at["offset"].as_u64(), Some(cut.len() as u64), "{problem}");

    // More than was ordered: a rule of the mapper, at the element that breaks it.
    let over = shipped.replace("W12*CC*240*240*0*", "W12*CC*24*240*0*");
    let problem = refused(&world.confirm(over.clone()).await?, 422, "mapping-refused", "caller", false)?;
    let offset = problem["errors"][0]["at"]["offset"].as_u64().context("an offset")?;
    let segment = over.find("W12*CC*24*").context("the segment")? as u64;
    ensure!((segment..segment + 30).contains(&offset), "{problem}");

    let token = world.estate.token()?;
    let json = [("authorization", token.as_str()), ("content-type", "application/json")];
    let reply =
        world.gateway.post(MILESTONES, &json, "{\"object\": \"Tracker\", \"tracking_code\": nix}").await?;
    let problem = refused(&reply, 400, "not-json", "caller", false)?;
    assert_eq!(problem["errors"][0]["at"]["offset"], 40, "{problem}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&world.gateway.post(MILESTONES, &json, deep).await?, 400, "not-json", "caller", false)?;

    let wrong = json!({ "object": "Tracker", "tracking_code": "NF1",
        "tracking_details": [{ "status": "in_transit", "datetime": "2026-11-24T18:40:00Z" }, { "status": "IN TRANSIT", "datetime": "2026-11-24T18:40:00Z" }] });
    let reply = world.gateway.post(MILESTONES, &json, wrong.to_string()).await?;
    let problem = refused(&reply, 422, "schema-violated", "caller", false)?;
    let error = &problem["errors"][0];
    assert_eq!(error["at"]["path"], "/tracking_details/1/status", "{problem}");
    ensure!(error["rule"].as_str().is_some_and(|rule| rule.contains("tracker.json")), "{problem}");
    ensure!(error["at"]["offset"].is_u64(), "{problem}");
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_comes() -> anyhow::Result<()> {
    let world = World::start().await?;
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\n"
    );
    // Announced: refused before anything is read.
    let answer = raw(&world, format!("{head}content-length: 1048577\r\n\r\n").as_bytes()).await?;
    ensure!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("problems/too-large"), "{answer}");
    // In chunks: refused at the byte that is too many.
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..16 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(std::iter::repeat_n(b'x', 0x10000));
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"1\r\nx\r\n");
    let answer = raw(&world, &chunked).await?;
    ensure!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("problems/too-large"), "{answer}");
    // Up to the last byte of the limit it is the mapper's to judge.
    let reply = world.confirm(vec![b'x'; 1 << 20]).await?;
    refused(&reply, 422, "mapping-refused", "caller", false)?;
    Ok(())
}

#[tokio::test]
async fn a_slow_body_is_cut_off_and_slow_headers_are_too() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        estate.edit("gateway.yaml", |text| {
            text.replace("header_timeout: 10s", "header_timeout: 1s")
                .replace("body_timeout: 30s", "body_timeout: 1s")
        })
    })
    .await?;
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\n"
    );
    let answer = raw(&world, format!("{head}content-length: 1000\r\n\r\nISA").as_bytes()).await?;
    ensure!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("problems/too-slow"), "{answer}");
    ensure!(answer.to_lowercase().contains("connection: close"), "{answer}");
    for begun in ["", "POST ", head.as_str()] {
        let answer = raw(&world, begun.as_bytes()).await?;
        ensure!(!answer.contains("HTTP/1.1 2"), "{answer}");
    }
    receipt(&world.confirm(confirmation("0080009105", 9105)?).await?)?;
    Ok(())
}

#[tokio::test]
async fn hostile_input_costs_its_sender_an_answer_and_a_neighbour_nothing() -> anyhow::Result<()> {
    let world = World::with(crate::world::generous).await?;
    receipt(&world.confirm(confirmation("0080009200", 9200)?).await?)?;
    until("the first is delivered", async || Ok(world.portal.taken().len() == 1)).await?;
    let mut random = StdRng::seed_from_u64(20_261_124);
    let mut noise = vec![0; 10 << 20];
    random.fill(noise.as_mut_slice());
    let noise = Bytes::from(noise);
    let token = world.estate.token()?;
    let json = [("authorization", token.as_str()), ("content-type", "application/json")];
    let deep = Bytes::from("[".repeat(100_000));
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\n"
    );
    let storm = async |round: usize| -> anyhow::Result<()> {
        // The answer may be lost where the connection is closed on a sender that does not listen.
        if let Ok(reply) = call(&world.gateway.address, "POST", CONFIRMATIONS, &ACME, noise.clone()).await {
            refused(&reply, 413, "too-large", "caller", false)?;
        }
        let at = round * 4096;
        let reply = world.confirm(noise.slice(at..at + 500_000)).await?;
        refused(&reply, 422, "mapping-refused", "caller", false)?;
        refused(
            &world.gateway.post(MILESTONES, &json, deep.clone()).await?,
            400,
            "not-json",
            "caller",
            false,
        )?;
        let mut stream = TcpStream::connect(&world.gateway.address).await?;
        stream.write_all(format!("{head}content-length: 900000\r\n\r\n").as_bytes()).await?;
        stream.write_all(&noise[..300_000]).await?;
        drop(stream);
        let long = format!("{head}x-long: {}\r\n\r\n", "x".repeat(300_000));
        let answer = raw(&world, long.as_bytes()).await?;
        ensure!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{}",
            &answer[..200.min(answer.len())]
        );
        let many = format!("{head}{}\r\n", "x-many: y\r\n".repeat(200));
        let answer = raw(&world, many.as_bytes()).await?;
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let answer = raw(&world, &noise[at..at + 2000]).await?;
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        Ok(())
    };
    // The first rounds warm pools and allocators; what later ones add would be a leak.
    for round in 0..5 {
        storm(round).await?;
    }
    let before = world.gateway.memory()?;
    for round in 5..25 {
        storm(round).await?;
    }
    let grown = world.gateway.memory()?.saturating_sub(before);
    ensure!(grown < 48 << 20, "20 rounds grew the gateway by {grown} bytes");
    receipt(&world.confirm(confirmation("0080009201", 9201)?).await?)?;
    until("the neighbour is delivered", async || Ok(world.portal.taken().len() == 2)).await?;
    Ok(())
}

/// Sends bytes as they are, and reads until the gateway closes or stops answering.
async fn raw(world: &World, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(&world.gateway.address).await?;
    // A gateway that has heard enough may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crossdock_tests::PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.context("the gateway neither answers nor closes")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
