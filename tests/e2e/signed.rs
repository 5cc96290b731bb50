//! Requests that are signed: webhooks and HTTP message signatures, as a carrier sends them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossdock_tests::{Reply, until};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use sha2::{Digest as _, Sha256};

use crate::{
    refusals::refused,
    world::{MILESTONES, World, case, receipt},
};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5u";
const ADDRESS: &str = "/tracking/milestones?partner=nordfracht";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The worked estate whose carrier signs, with this credential.
async fn signing(credential: &str, files: &[(&str, String)]) -> anyhow::Result<World> {
    World::with(|estate| {
        for (name, text) in files {
            std::fs::write(estate.folder().join("keys").join(name), text)?;
        }
        estate.edit("partners/nordfracht.yaml", |text| {
            let credential =
                format!("credentials:\n  signed:\n    {credential}\n    scopes: [tracking:write]\n");
            text.replace("credentials:\n", &credential)
        })
    })
    .await
}

fn now() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

async fn hook(world: &World, secret: &str, id: &str, at: i64, body: &str) -> anyhow::Result<Reply> {
    let secret = STANDARD.decode(secret.trim_start_matches("whsec_"))?;
    let made =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), format!("{id}.{at}.{body}").as_bytes());
    let (at, signature) = (at.to_string(), format!("v1,{}", STANDARD.encode(made)));
    let headers = [JSON, ("webhook-id", id), ("webhook-timestamp", &at), ("webhook-signature", &signature)];
    world.gateway.post(ADDRESS, &headers, body.to_owned()).await
}

#[tokio::test]
async fn a_webhook_is_taken_once_and_a_retry_gets_the_same_receipt() -> anyhow::Result<()> {
    let world = signing(
        "webhook: { secrets: [file:keys/new.hook, file:keys/old.hook] }",
        &[("new.hook", NEW.to_owned()), ("old.hook", OLD.to_owned())],
    )
    .await?;
    let body = case("easypost", "tracker-delivered/in.json")?;
    let first = receipt(&hook(&world, OLD, "msg_1", now()?, &body).await?)?;
    assert_eq!(first["partner"], "nordfracht");
    // The sender heard nothing and tries again, signed with the next secret.
    let again = hook(&world, NEW, "msg_1", now()? + 1, &body).await?;
    assert_eq!((receipt(&again)?, again.header("idempotency-replayed")), (first, "true"));
    let other = body.replace('{', "{ ");
    refused(
        &hook(&world, OLD, "msg_1", now()?, &other).await?,
        422,
        "idempotency-key-reused",
        "caller",
        false,
    )?;

    for (what, secret, at, sent) in [
        ("changed on the way", "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4", 0, &body),
        ("too old", OLD, -301, &body),
        ("too new", OLD, 301 + 5, &body),
    ] {
        let reply = hook(&world, secret, "msg_2", now()? + at, sent).await?;
        refused(&reply, 401, "unauthenticated", "caller", false).context(what)?;
    }
    // The old secret is taken away, and with the next reload it signs nothing any more.
    world.estate.save("partners/nordfracht.yaml", |text| text.replace(", file:keys/old.hook", ""))?;
    until("the old secret is void", async || {
        Ok(hook(&world, OLD, "msg_3", now()?, &body).await?.status == 401)
    })
    .await
}

#[tokio::test]
async fn a_signed_request_is_taken_as_it_was_signed_and_no_other() -> anyhow::Result<()> {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).ok().context("a key pair")?;
    let start = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice();
    let der = STANDARD.encode([start, signer.public_key().as_ref()].concat());
    let world = signing(
        "signature: { keyid: nord-1, algorithm: ed25519, key: file:keys/nord.pub.pem }",
        &[("nord.pub.pem", format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"))],
    )
    .await?;
    let body = case("easypost", "tracker-delivered/in.json")?;
    let digest = |body: &str| format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
    let send = async |path: &str, created: i64, signed: &str, sent: &str| {
        let input = format!("(\"@method\" \"@path\" \"content-digest\");created={created};keyid=\"nord-1\"");
        let base = format!(
            "\"@method\": POST\n\"@path\": {MILESTONES}\n\"content-digest\": {}\n\"@signature-params\": {input}",
            digest(signed)
        );
        let signature = format!("sig=:{}:", STANDARD.encode(signer.sign(base.as_bytes())));
        let (digest, input) = (digest(signed), format!("sig={input}"));
        let headers = [
            JSON,
            ("content-digest", digest.as_str()),
            ("signature-input", &input),
            ("signature", &signature),
        ];
        world.gateway.post(path, &headers, sent.to_owned()).await
    };
    let created = now()?;
    let first = receipt(&send(MILESTONES, created, &body, &body).await?)?;
    // Whoever recorded it and sends it again learns the receipt and changes nothing.
    let replayed = send(MILESTONES, created, &body, &body).await?;
    assert_eq!((receipt(&replayed)?, replayed.header("idempotency-replayed")), (first, "true"));
    let wrong = [
        (MILESTONES, created, &body, body.replace("delivered", "returned")),
        ("/orders/releases", created, &body, body.clone()),
        (MILESTONES, created - 301, &body, body.clone()),
        ("/tracking/milestones?x=1", created, &body, body.clone()),
    ];
    for (path, created, signed, sent) in wrong {
        let reply = send(path, created, signed, &sent).await?;
        refused(&reply, 401, "unauthenticated", "caller", false).with_context(|| path.to_owned())?;
    }
    ensure!(
        world.gateway.ask("messages").await?["messages"].as_array().is_some_and(|all| all.len() == 1),
        "more"
    );
    Ok(())
}
