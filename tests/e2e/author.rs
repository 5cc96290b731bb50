//! What a mapping author does on a laptop: the commands of `plugin` on the mappers of this repository.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use crossdock_tests::{binary, root};
use serde_json::Value;

fn plugin(arguments: &[&str], here: &Path) -> anyhow::Result<Output> {
    Ok(Command::new(binary()).arg("plugin").args(arguments).current_dir(here).output()?)
}

fn lines(output: &Output) -> anyhow::Result<Vec<Value>> {
    let text = String::from_utf8(output.stdout.clone())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFIRMATION: &str = "plugins/acme-wms/cases/confirmation/in.json";

#[test]
fn a_field_is_followed_back_to_its_bytes_in_the_document() -> anyhow::Result<()> {
    let output = plugin(&["lineage", "acme-wms", CONFIRMATION, "--json"], &root())?;
    ensure!(output.status.success(), "{}", said(&output));
    let lines = lines(&output)?;
    let source = std::fs::read(root().join(CONFIRMATION))?;
    let field = |name: &str| {
        lines.iter().find(|line| line["field"] == name).with_context(|| format!("no field {name}"))
    };
    let order = field("natural_key/order")?;
    let location = &order["sources"][0]["location"];
    assert_eq!((&location["path"], &order["sources"][0]["repeated"]), (&"/orderNumber".into(), &true.into()));
    let start = usize::try_from(location["offset"].as_u64().context("no offset")?)?;
    let length = usize::try_from(location["length"].as_u64().context("no length")?)?;
    assert_eq!(serde_json::from_slice::<Value>(&source[start..start + length])?, order["value"]);
    assert_eq!(field("type")?["sources"], Value::Array(Vec::new()));
    assert_eq!(lines.last().context("nothing")?["kind"], "result");
    Ok(())
}

#[test]
fn what_only_opens_the_door_or_is_only_remarked_on_is_told_apart() -> anyhow::Result<()> {
    let file = "plugins/x12-wms/cases/945-several-sets/in.x12";
    let output = plugin(&["lineage", "x12-wms", file, "--json"], &root())?;
    ensure!(output.status.success(), "{}", said(&output));
    let lines = lines(&output)?;
    let kind = |path: &str| {
        let line = lines.iter().find(|line| line["location"]["path"] == path);
        line.map(|line| line["kind"].clone()).unwrap_or_default()
    };
    assert_eq!(kind("ST*945*0001/1"), "gate", "another set is not mapped");
    assert_eq!(kind("ST*945*0001/SE/1"), "remark", "a wrong count is remarked on");
    assert_eq!(kind("ISA/9"), "unread");
    assert_eq!(kind("ST*945*0001/W06/2"), Value::Null, "the order number is in fields");
    Ok(())
}

#[test]
fn a_field_that_is_not_there_is_answered_with_the_one_that_was_meant() -> anyhow::Result<()> {
    let output = plugin(&["lineage", "acme-wms", CONFIRMATION, "--field", "/lines/0/shiped/value"], &root())?;
    assert_eq!(output.status.code(), Some(2));
    ensure!(said(&output).contains("did you mean `/lines/0/shipped/value`?"), "{}", said(&output));
    let refused = plugin(&["lineage", "acme-wms", "plugins/acme-wms/cases/wrong-shape/in.json"], &root())?;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    Ok(())
}
