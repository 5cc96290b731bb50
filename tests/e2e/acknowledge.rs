//! What an EDI sender waits for: its functional acknowledgement, in the answer.

use anyhow::ensure;
use crossdock_tests::Estate;
use serde_json::{Value, json};

use crate::{
    refusals::refused,
    world::{World, case, confirmation, receipt},
};

const BINDING: &str = "mapper: x12-wms@1, mode: exchange,";

/// The worked estate, whose confirmations are acknowledged with these words.
async fn world(words: &str) -> anyhow::Result<World> {
    let keys = format!("{BINDING} {words},");
    World::with(|estate: Estate| estate.edit("apis/shipments.yaml", |text| text.replace(BINDING, &keys)))
        .await
}

/// The acknowledgement of an answer: its segments without the terminator.
fn acknowledgement(answer: &Value) -> anyhow::Result<Vec<String>> {
    let found = &answer["acknowledgement"];
    ensure!(found["media_type"] == "application/edi-x12", "{answer}");
    let text = found["text"].as_str().unwrap_or_default();
    Ok(text.split_terminator('~').map(|segment| segment.trim().to_owned()).collect())
}

/// The segments that say how each set ended.
fn verdicts(segments: &[String]) -> Vec<&str> {
    let said = ["AK5", "AK9"];
    segments.iter().filter(|segment| said.contains(&&segment[..3])).map(String::as_str).collect()
}

#[tokio::test]
async fn a_receipt_carries_the_997_and_a_repeated_request_gets_the_same_one() -> anyhow::Result<()> {
    let world = world("acknowledge: answer").await?;
    let document = confirmation("0080009801", 9801)?;
    let first = receipt(&world.confirm_as("one", document.clone()).await?)?;
    let segments = acknowledgement(&first)?;
    ensure!(
        segments[0].starts_with("ISA*00*          *00*          *ZZ*NORTHSTAR      *ZZ*ACME3PL        *")
    );
    ensure!(segments[0].contains("*000000001*0*P*"), "{segments:?}");
    ensure!(segments[1].starts_with("GS*FA*NORTHSTAR*ACME3PL*"), "{segments:?}");
    assert_eq!(segments[3..7], ["AK1*SW*9801", "AK2*945*0001", "AK5*A", "AK9*A*1*1*1"]);
    // Sent again, and looked up, it is the same to the byte: no second number is taken for it.
    assert_eq!(receipt(&world.confirm_as("one", document).await?)?, first);
    let id = first["message_id"].as_str().unwrap_or_default();
    let kept = world.gateway.get(&format!("/messages/{id}"), &crate::world::ACME).await?.json()?;
    assert_eq!(kept["receipt"]["acknowledgement"], first["acknowledgement"]);
    let next = acknowledgement(&receipt(&world.confirm(confirmation("0080009802", 9802)?).await?)?)?;
    ensure!(next[0].contains("*000000002*0*P*"), "{next:?}");
    Ok(())
}

#[tokio::test]
async fn a_refused_document_is_answered_with_reject_codes_in_its_problem() -> anyhow::Result<()> {
    let world = world("acknowledge: answer").await?;
    let reply = world.confirm(case("x12-wms", "945-one-bad-set-of-several/in.x12")?).await?;
    let problem = refused(&reply, 422, "mapping-refused", "caller", false)?;
    let segments = acknowledgement(&problem)?;
    // The operation takes the document whole: the good sets are not kept either, and the answer says so.
    assert_eq!(verdicts(&segments), ["AK5*R", "AK5*R*5", "AK5*R", "AK5*R*1", "AK9*R*4*4*0"]);
    let at = segments.iter().position(|segment| segment == "AK2*945*0002").unwrap_or_default();
    assert_eq!(segments[at + 1..at + 3], ["AK3*W12*5**8", "AK4*3**6*3x"]);
    assert_eq!(world.gateway.ask("events").await?["events"], json!([]));
    // What cannot be read as an interchange has nobody to be acknowledged to.
    let problem = refused(&world.confirm("hello").await?, 422, "mapping-refused", "caller", false)?;
    assert_eq!(problem["acknowledgement"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_partial_operation_keeps_the_good_sets_and_says_which_it_did_not() -> anyhow::Result<()> {
    let world = world("acknowledge: answer, partial: true").await?;
    let answer = receipt(&world.confirm(case("x12-wms", "945-one-bad-set-of-several/in.x12")?).await?)?;
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(2));
    let units: Vec<_> = answer["rejects"].as_array().into_iter().flatten().map(|one| &one["unit"]).collect();
    assert_eq!(units, ["ST*945*0002", "ST*943*0004"]);
    assert_eq!(answer["rejects"][0]["errors"][0]["standard_code"], "6");
    assert_eq!(answer["rejects"][0]["errors"][0]["at"]["path"], "ST*945*0002/LX[1]/W12/3");
    let segments = acknowledgement(&answer)?;
    assert_eq!(verdicts(&segments), ["AK5*A", "AK5*R*5", "AK5*A", "AK5*R*1", "AK9*P*4*4*2"]);
    // Where no set is good nothing is kept, and it is a refusal.
    let reply = world.confirm(case("x12-wms", "refuse-bad-dates/in.x12")?).await?;
    let problem = refused(&reply, 422, "mapping-refused", "caller", false)?;
    assert_eq!(verdicts(&acknowledgement(&problem)?), ["AK5*R*5", "AK9*R*1*1*0"]);
    Ok(())
}

#[tokio::test]
async fn an_operation_that_acknowledges_needs_a_mapper_that_can() -> anyhow::Result<()> {
    let world = world("acknowledge: no").await?;
    ensure!(receipt(&world.confirm(confirmation("0080009803", 9803)?).await?)?["acknowledgement"].is_null());
    world.estate.save("apis/tracking.yaml", |text| {
        text.replace("mapper: easypost@1, mode: exchange", "mapper: easypost@1, acknowledge: answer")
    })?;
    crossdock_tests::until("the status says why", async || {
        let status = world.gateway.ask("status").await?;
        let why = status["refused"].as_str().unwrap_or_default();
        Ok(why.contains("apis/tracking.yaml") && why.contains("writes no acknowledgements"))
    })
    .await
}
