//! What a partner may say, not only whether it may speak: conditions of grants, and owners of events.

use anyhow::ensure;
use crossdock_tests::until;
use serde_json::json;

use crate::{
    refusals::refused,
    world::{CONFIRMATIONS, MILESTONES, World, case, confirmation, receipt},
};

const GRANT: &str = "{ partner: nordfracht, operations: [milestone], versions: [v1] }";

async fn granted(when: &str) -> anyhow::Result<World> {
    let grant = format!("{{ partner: nordfracht, operations: [milestone], versions: [v1], when: {when} }}");
    World::with(|estate| estate.edit("apis/tracking.yaml", |text| text.replace(GRANT, &grant))).await
}

#[tokio::test]
async fn a_carrier_speaks_for_itself_alone() -> anyhow::Result<()> {
    let world = granted(
        "\"event.data.carrier.identifiers.exists(id, id.scheme == 'easypost' && id.value == 'NordfrachtLines')\"",
    )
    .await?;
    let token = world.estate.token()?;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let own = case("easypost", "tracker-delivered/in.json")?;
    receipt(&world.gateway.post(MILESTONES, &headers, own.clone()).await?)?;
    let others = own.replace("NordfrachtLines", "OtherLines");
    let reply = world.gateway.post(MILESTONES, &headers, others).await?;
    let problem = refused(&reply, 403, "condition-not-met", "caller", false)?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("apis/tracking.yaml:")), "{problem}");
    ensure!(
        world.gateway.ask("events").await?["events"]
            .as_array()
            .is_some_and(|all| { all.iter().all(|event| event.to_string().contains("NordfrachtLines")) }),
        "an event of somebody else was kept"
    );
    Ok(())
}

#[tokio::test]
async fn a_condition_on_the_caller_is_judged_before_the_document_is_read() -> anyhow::Result<()> {
    let world = granted("\"'tracking:admin' in caller.scopes\"").await?;
    let poor = world.estate.token()?;
    let rich = world.estate.token_with(|claims| claims["scope"] = json!("tracking:write tracking:admin"))?;
    let post = async |token: &str, body: String| {
        let headers = [("authorization", token), ("content-type", "application/json")];
        world.gateway.post(MILESTONES, &headers, body).await
    };
    refused(&post(&poor, "no json".to_owned()).await?, 403, "condition-not-met", "caller", false)?;
    receipt(&post(&rich, case("easypost", "tracker-delivered/in.json")?).await?)?;
    Ok(())
}

#[tokio::test]
async fn events_are_asserted_by_their_owners_alone() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        std::fs::write(estate.folder().join("ownership.yaml"), "shipment.dispatched: [globex]\n")?;
        Ok(estate)
    })
    .await?;
    let headers = [crate::world::ACME[0], crate::world::ACME[1]];
    let reply = world.gateway.post(CONFIRMATIONS, &headers, confirmation("0080009601", 9651)?).await?;
    let problem = refused(&reply, 403, "not-owner", "caller", false)?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("shipment.dispatched")), "{problem}");
    std::fs::write(world.estate.folder().join("ownership.yaml"), "shipment.*: [acme-3pl, nordfracht]\n")?;
    until("the warehouse owns what it ships", async || {
        Ok(world.confirm(confirmation("0080009601", 9652)?).await?.status == 202)
    })
    .await
}
