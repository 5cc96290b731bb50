//! The command line against a gateway that runs.

use std::process::{Output, Stdio};

use anyhow::{Context as _, ensure};
use crossdock_tests::{PATIENCE, binary, until};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

use crate::world::{World, confirmation, receipt};

#[tokio::test]
async fn look_ups_are_readable_and_as_json_one_line_each() -> anyhow::Result<()> {
    let world = World::start().await?;
    let sent = receipt(&world.confirm(confirmation("0080009701", 9701)?).await?)?;
    let id = sent["message_id"].as_str().context("an id")?;
    until("it is delivered", async || {
        let found = world.gateway.ask("deliveries?state=delivered").await?;
        Ok(found["deliveries"].as_array().is_some_and(|all| all.len() == 3))
    })
    .await?;
    let text = printed(&world, &["message", "list"]).await?;
    ensure!(
        text.starts_with("message ") && text.contains(id) && text.contains("shipments/confirm"),
        "{text}"
    );
    let text = printed(&world, &["message", "show", id]).await?;
    for part in [id, "acme-3pl", "x12-wms", "shipment.dispatched", "customer-portal", "ST*945*0001~"] {
        ensure!(text.contains(part), "no {part} in\n{text}");
    }
    let text = printed(&world, &["delivery", "list", "--target", "globex-sap"]).await?;
    ensure!(text.lines().count() == 2 && text.contains("delivered"), "{text}");
    let key = &sent["events"][0]["keys"][0];
    let key =
        format!("{}:{}", key["kind"].as_str().context("a kind")?, key["value"].as_str().context("a value")?);
    let text = printed(&world, &["event", "list", "--key", &key]).await?;
    ensure!(text.contains("shipment.dispatched"), "{text}");
    let event = sent["events"][0]["id"].as_str().context("an id")?;
    let text = printed(&world, &["event", "show", event]).await?;
    assert_eq!(serde_json::from_str::<Value>(&text)?["id"], event);

    for (command, lines) in [("message", 1), ("event", 1), ("delivery", 3), ("exception", 0)] {
        let text = printed(&world, &[command, "list", "--json"]).await?;
        let rows: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(rows.len() == lines && rows.iter().all(Value::is_object), "{command}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn an_exception_is_found_understood_and_retried_from_the_command_line() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.portal.answer(|_| (400, "unknown customer \u{1b}[31m".to_owned()));
    receipt(&world.confirm(confirmation("0080009702", 9702)?).await?)?;
    until("it is there", async || {
        Ok(world.gateway.ask("exceptions").await?["exceptions"].as_array().is_some_and(|all| all.len() == 1))
    })
    .await?;
    let row = printed(&world, &["exception", "list", "--json"]).await?;
    let id = serde_json::from_str::<Value>(row.trim())?["id"].to_string();
    let text = printed(&world, &["exception", "show", &id]).await?;
    ensure!(
        text.contains("unknown customer") && text.contains(&format!("crossdock exception retry {id}")),
        "{text}"
    );
    // What a target answers is shown, not obeyed: the rest of the escape sequence is plain text.
    ensure!(text.contains("unknown customer [31m"), "{text:?}");
    world.portal.answer(|_| (200, String::new()));
    let text = printed(&world, &["exception", "retry", &id, "--by", "nina"]).await?;
    ensure!(text.contains("by nina"), "{text}");
    until("it is delivered", async || Ok(world.portal.taken().len() == 1)).await?;
    // Ended is ended: the answer is no.
    assert_eq!(run(&world, &["exception", "retry", &id]).await?.status.code(), Some(1));
    assert_eq!(run(&world, &["message", "show", "01JD8Q2M7T6V9K3H5X0YB4N8RC"]).await?.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_tail_prints_what_comes() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut tail =
        command(&world, &["event", "tail", "--json", "--after", "0"]).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(tail.stdout.take().context("stdout is piped")?).lines();
    for number in [9703, 9704] {
        let sent = receipt(&world.confirm(confirmation("0080009703", number)?).await?)?;
        let line = timeout(PATIENCE, lines.next_line()).await??.context("a line")?;
        assert_eq!(serde_json::from_str::<Value>(&line)?["event"]["id"], sent["events"][0]["id"]);
    }
    Ok(())
}

#[tokio::test]
async fn exit_codes_tell_what_went_wrong() -> anyhow::Result<()> {
    let world = World::start().await?;
    let check = async |folder: &std::path::Path| {
        anyhow::Ok(Command::new(binary()).args(["policy", "check"]).arg(folder).output().await?)
    };
    assert_eq!(check(world.estate.folder()).await?.status.code(), Some(0));
    world.estate.save("apis/orders.yaml", |text| text.replace("partner: globex", "partner: globecks"))?;
    let wrong = check(world.estate.folder()).await?;
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stdout);
    ensure!(
        said.contains("apis/orders.yaml") && said.contains("globecks") && said.contains("globex"),
        "{said}"
    );
    assert_eq!(check(&world.estate.folder().join("nowhere")).await?.status.code(), Some(2));

    let stranger = tempfile::tempdir()?;
    let mut command = Command::new(binary());
    command.args(["message", "list", "--admin", &world.gateway.admin, "--data"]).arg(stranger.path());
    assert_eq!(command.output().await?.status.code(), Some(4), "a wrong token");
    let mut command = command_at("127.0.0.1:1", world.data.path(), &["message", "list"]);
    let nobody = command.output().await?;
    assert_eq!(nobody.status.code(), Some(4));
    ensure!(String::from_utf8_lossy(&nobody.stderr).contains("crossdock serve"), "{nobody:?}");

    let mistyped: [&[&str]; 4] = [
        &["message", "list", "--state", "lost"],
        &["message", "show", "4711"],
        &["event", "list", "--key", "8841"],
        &["delivery", "list", "--limit", "0"],
    ];
    for mistyped in mistyped {
        assert_eq!(run(&world, mistyped).await?.status.code(), Some(2), "{mistyped:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_why_and_what_to_do() -> anyhow::Result<()> {
    let world = World::start().await?;
    let serve = async |policies: &std::path::Path, data: &std::path::Path| {
        let mut serve = Command::new(binary());
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policies"])
            .arg(policies);
        let ended = serve.arg("--data").arg(data).kill_on_drop(true).output().await?;
        anyhow::Ok((ended.status.code(), String::from_utf8(ended.stderr)?))
    };
    let (code, said) = serve(world.estate.folder(), world.data.path()).await?;
    ensure!(code == Some(4) && said.contains("in use") && said.contains("--data"), "{code:?} {said}");

    let fresh = tempfile::tempdir()?;
    let (code, said) = serve(&fresh.path().join("nowhere"), fresh.path()).await?;
    ensure!(code == Some(2) && said.matches("No such file").count() == 1, "{code:?} {said}");
    let (code, said) = serve(fresh.path(), fresh.path()).await?;
    ensure!(
        code == Some(1) && said.starts_with("error: the estate has no `gateway.yaml`"),
        "{code:?} {said}"
    );
    let (code, said) = serve(world.estate.folder(), fresh.path()).await?;
    ensure!(code == Some(1) && said.contains("mapper `x12-wms@1` is not here"), "{code:?} {said}");
    ensure!(said.contains("--mapper FILE"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() -> anyhow::Result<()> {
    let world = World::start().await?;
    // It asks the gateway to wait for news, so that there is something to drain.
    let mut tail =
        command(&world, &["event", "tail", "--json", "--after", "0"]).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(tail.stdout.take().context("stdout is piped")?).lines();
    receipt(&world.confirm(confirmation("0080009705", 9705)?).await?)?;
    timeout(PATIENCE, lines.next_line()).await??.context("a line")?;
    let began = std::time::Instant::now();
    world.gateway.terminate()?;
    until("it takes no more calls", async || {
        Ok(tokio::net::TcpStream::connect(&world.gateway.address).await.is_err())
    })
    .await?;
    assert_eq!(world.gateway.stop().await?, Some(0));
    // The drain would have taken its 20 s.
    ensure!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn operators_may_come_by_a_unix_socket_of_their_own() -> anyhow::Result<()> {
    let World { gateway, estate, data, .. } = &World::with(|estate| {
        estate.edit("gateway.yaml", |text| text.replace("listen: 127.0.0.1:9080", "socket: admin.sock"))
    })
    .await?;
    // The harness asks for TCP; this one obeys the policy. Two gateways never share a data folder.
    let (own, _) = (tempfile::tempdir()?, (gateway, data));
    let mut serve = Command::new(binary());
    serve.args(["serve", "--json", "--listen", "127.0.0.1:0", "--policies"]).arg(estate.folder());
    serve.arg("--data").arg(own.path()).stdout(Stdio::piped()).kill_on_drop(true);
    crossdock_tests::lend(own.path()).await?;
    for mapper in crossdock_tests::mappers() {
        serve.arg("--mapper").arg(mapper);
    }
    let mut child = serve.env("CROSSDOCK_LOG", "warn").spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    let line = timeout(PATIENCE, lines.next_line()).await??.context("it did not come up")?;
    let socket = serde_json::from_str::<Value>(&line)?["admin"].as_str().context("a path")?.to_owned();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let output = command_at(&socket, own.path(), &["message", "list"]).output().await?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_key_lets_its_partner_in_once_its_lines_stand_in_the_policy() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut make = Command::new(binary());
    make.args(["key", "new", "acme-3pl", "--name", "autumn", "--scope", "shipments:write"]);
    let made = make.output().await?;
    ensure!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout)?.trim().to_owned();
    let said = String::from_utf8(made.stderr)?;
    ensure!(key.starts_with("xd_acme-3pl_") && !said.contains(&key), "{said}");
    let lines = said.split_once("  autumn:\n").context("the lines for the policy")?.1;
    let lines = format!("credentials:\n  autumn:\n{lines}\n");
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/edi-x12")];
    let send = async || {
        world.gateway.post(crate::world::CONFIRMATIONS, &headers, confirmation("0080009703", 9703)?).await
    };
    assert_eq!(send().await?.status, 401);
    let before = world.gateway.ask("status").await?["revision"].clone();
    world.estate.save("partners/acme-3pl.yaml", |text| text.replace("credentials:\n", &lines))?;
    until("the lines are in force", async || Ok(world.gateway.ask("status").await?["revision"] != before))
        .await?;
    receipt(&send().await?)?;
    // The old one still is.
    receipt(&world.confirm(confirmation("0080009704", 9704)?).await?)?;

    let mut hash = Command::new(binary());
    hash.args(["key", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hash = hash.spawn()?;
    hash.stdin.take().context("stdin is piped")?.write_all(format!("{key}\n").as_bytes()).await?;
    let hashed = String::from_utf8(hash.wait_with_output().await?.stdout)?;
    ensure!(hashed.trim().len() == 64 && said.contains(hashed.trim()), "{hashed}");
    Ok(())
}

fn command(world: &World, arguments: &[&str]) -> Command {
    command_at(&world.gateway.admin, world.data.path(), arguments)
}

pub fn command_at(admin: &str, data: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--admin").arg(admin).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

pub async fn run(world: &World, arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(command(world, arguments).output().await?)
}

/// What a command that succeeds prints.
pub async fn printed(world: &World, arguments: &[&str]) -> anyhow::Result<String> {
    let output = run(world, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
