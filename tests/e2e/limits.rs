//! Quotas, fairness between partners, and controls that only watch.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock_tests::{ACME_KEY, Gateway, call, until};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    refusals::refused,
    world::{CONFIRMATIONS, GLOBEX, MILESTONES, RELEASES, World, confirmation, document, receipt},
};

const ACME_LIMITS: &str = "limits: { rate: 50/s, burst: 100, concurrency: 32 }";

async fn limited(limits: &str) -> anyhow::Result<World> {
    let limits = format!("limits: {limits}");
    World::with(|estate| estate.edit("partners/acme-3pl.yaml", |text| text.replace(ACME_LIMITS, &limits)))
        .await
}

async fn figures(world: &World) -> anyhow::Result<String> {
    Ok(call(&world.gateway.admin, "GET", "/metrics", &[], Bytes::new()).await?.text())
}

#[tokio::test]
async fn a_quota_is_kept_over_a_kill_and_told_in_the_answers() -> anyhow::Result<()> {
    let mut world =
        limited("{ quota: [{ requests: 3, rolling: 24h }, { bytes: 1GiB, per: month }] }").await?;
    for left in [2, 1] {
        let reply = world.confirm(confirmation("0080009901", 9900 + left)?).await?;
        receipt(&reply)?;
        let fields = (reply.header("ratelimit"), reply.header("ratelimit-policy"));
        ensure!(fields.0.contains(&format!("\"partner-rolling-86400s\";r={left};t=")), "{fields:?}");
        ensure!(fields.1.contains("\"partner-rolling-86400s\";q=3;w=86400"), "{fields:?}");
        ensure!(
            fields.1.contains("\"partner-month-bytes\";q=1073741824;")
                && fields.1.contains("qu=\"content-bytes\""),
            "{fields:?}"
        );
    }
    world.gateway.kill().await?;
    world.gateway = Gateway::start(&world.estate, world.data.path()).await?;
    receipt(&world.confirm(confirmation("0080009901", 9904)?).await?)?;
    let reply = world.confirm(confirmation("0080009901", 9905)?).await?;
    let problem = refused(&reply, 429, "limit-exceeded", "caller", true)?;
    ensure!(
        problem["detail"].as_str().is_some_and(|text| text.contains("3 requests in 86400 s")),
        "{problem}"
    );
    let wait: u64 = reply.header("retry-after").parse().context("Retry-After")?;
    ensure!((86_000..=88_000).contains(&wait), "{wait} s");
    Ok(())
}

#[tokio::test]
async fn bytes_count_whether_they_were_announced_or_not() -> anyhow::Result<()> {
    let shipped = confirmation("0080009910", 9910)?;
    let most = shipped.len() * 2 + 100;
    let world = limited(&format!("{{ quota: {{ bytes: {most}, rolling: 24h }} }}")).await?;
    // In chunks: nobody knows before how long it is.
    let mut stream = TcpStream::connect(&world.gateway.address).await?;
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(format!("{head}{:x}\r\n{shipped}\r\n0\r\n\r\n", shipped.len()).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let reply = world.confirm(confirmation("0080009911", 9911)?).await?;
    receipt(&reply)?;
    ensure!(reply.header("ratelimit").contains("r=100;"), "{:?}", reply.headers);
    let reply = world.confirm(shipped).await?;
    let problem = refused(&reply, 429, "limit-exceeded", "caller", true)?;
    ensure!(
        problem["detail"].as_str().is_some_and(|text| text.contains(&format!("{most} bytes"))),
        "{problem}"
    );
    Ok(())
}

#[tokio::test]
async fn a_control_in_shadow_refuses_nobody_and_counts_whom_it_would_have() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        estate
            .edit("partners/acme-3pl.yaml", |text| {
                text.replace(ACME_LIMITS, "limits: { rate: 1/h, mode: shadow }")
            })?
            .edit("apis/tracking.yaml", |text| {
                text.replace(
                    "schema: schemas/easypost/tracker.json",
                    "schema: { path: schemas/easypost/tracker.json, mode: shadow }",
                )
            })
    })
    .await?;
    for number in 9920..9924 {
        let reply = world.confirm(confirmation("0080009920", number)?).await?;
        receipt(&reply)?;
        ensure!(!reply.header("ratelimit").contains("partner"), "{:?}", reply.headers);
    }
    let token = world.estate.token()?;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let wrong = json!({ "object": "Tracker", "tracking_code": 7 });
    let reply = world.gateway.post(MILESTONES, &headers, wrong.to_string()).await?;
    ensure!(!reply.text().contains("schema-violated"), "{}", reply.text());
    let figures = figures(&world).await?;
    for line in [
        r#"crossdock_shadow_refusals_total{control="partner",operation="shipments/confirm",partner="acme-3pl"} 3"#,
        r#"crossdock_shadow_refusals_total{control="schema",operation="tracking/milestone",partner="nordfracht"} 1"#,
    ] {
        ensure!(figures.contains(line), "no {line} in {figures}");
    }
    Ok(())
}

#[tokio::test]
async fn one_partner_cannot_take_the_places_of_the_others() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        estate
            .edit("gateway.yaml", |text| text.replace("connections: 4096", "connections: 4096, requests: 4"))
    })
    .await?;
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\ncontent-length: 100\r\n\r\nISA"
    );
    let mut slow = Vec::new();
    until("the house is full", async || {
        // One more each time: the call below may have had the place that one of them came for.
        let mut stream = TcpStream::connect(&world.gateway.address).await?;
        stream.write_all(head.as_bytes()).await?;
        slow.push(stream);
        let reply = world.confirm(confirmation("0080009930", 9930)?).await?;
        if reply.status == 503 {
            refused(&reply, 503, "overloaded", "gateway", true)?;
            ensure!(reply.header("retry-after") == "1", "{:?}", reply.headers);
        }
        Ok(reply.status == 503)
    })
    .await?;
    let reply = world.gateway.post(RELEASES, &GLOBEX, document("order.idoc.xml")?).await?;
    receipt(&reply)?;
    drop(slow);
    until("there is room again", async || {
        Ok(world.confirm(confirmation("0080009930", 9931)?).await?.status == 202)
    })
    .await
}

#[tokio::test]
async fn figures_tell_failed_attempts_by_their_kind_and_when_credentials_end() -> anyhow::Result<()> {
    let world = World::start().await?;
    for (name, value) in
        [("x-api-key", "xd_demo_acme_guess"), ("authorization", "Basic eDp5"), ("x-none", "x")]
    {
        let reply = world.gateway.post(CONFIRMATIONS, &[(name, value)], "x").await?;
        refused(&reply, 401, "unauthenticated", "caller", false)?;
    }
    let figures = figures(&world).await?;
    for line in [
        r#"crossdock_credentials_failed_total{reason="unknown-key"} 1"#,
        r#"crossdock_credentials_failed_total{reason="malformed"} 1"#,
        r#"crossdock_credentials_failed_total{reason="missing"} 1"#,
        // 2030-06-30T00:00:00Z
        r#"crossdock_credential_expiry_timestamp_seconds{partner="acme-3pl",credential="wms-key"} 1909008000"#,
    ] {
        ensure!(figures.contains(line), "no {line} in {figures}");
    }
    Ok(())
}

#[tokio::test]
async fn probes_answer_head_and_refuse_what_would_change_something() -> anyhow::Result<()> {
    let world = World::start().await?;
    let admin = &world.gateway.admin;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let reply = call(admin, "HEAD", path, &[], Bytes::new()).await?;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
        let reply = call(admin, "POST", path, &[], Bytes::new()).await?;
        assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"), "{path}");
    }
    Ok(())
}
