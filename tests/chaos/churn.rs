//! Changes while everything runs: policies saved anew and mappers of other versions pushed, one after the other.

use bytes::Bytes;
use crossdock::mapper::{Host, with_manifest};
use crossdock_tests::{Estate, Gateway, mappers, until};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Changes something again and again, until it is dropped: at any moment of a change.
///
/// # Errors
/// A good change was refused, or did not take force.
pub async fn forever(gateway: &Gateway, estate: &Estate, seed: u64, changes: &mut u32) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        *changes += 1;
        if random.random() {
            push(gateway, &mut random).await?;
        } else {
            reload(gateway, estate, &mut random).await?;
        }
    }
}

/// The same mapper under another version has another digest: a swap that changes nothing but what receipts name.
async fn push(gateway: &Gateway, random: &mut StdRng) -> anyhow::Result<()> {
    let files = mappers();
    let wasm = std::fs::read(&files[random.random_range(0..files.len())])?;
    let found = Host::inspect(&wasm)?;
    let mut manifest = found.manifest.ok_or_else(|| anyhow::anyhow!("a mapper without a manifest"))?;
    manifest.version = format!("1.0.{}", random.random_range(1..4));
    let reply = gateway.admin_call("POST", "mappers", Bytes::from(with_manifest(&wasm, &manifest))).await?;
    anyhow::ensure!(reply.status == 200, "a mapper was refused: {}", reply.text());
    Ok(())
}

/// A policy that says something else, saved as editors do: a new file takes the old one's name.
async fn reload(gateway: &Gateway, estate: &Estate, random: &mut StdRng) -> anyhow::Result<()> {
    let revision = async || anyhow::Ok(gateway.ask("status").await?["revision"].clone());
    let before = revision().await?;
    let path = estate.folder().join("partners/acme-3pl.yaml");
    let text = std::fs::read_to_string(&path)?;
    let burst = format!("burst: {},", random.random_range(100_000..200_000));
    let start = text.find("burst: ").ok_or_else(|| anyhow::anyhow!("no burst in {text}"))?;
    let end = start + text[start..].find(',').unwrap_or(0) + 1;
    let new = path.with_extension("new");
    std::fs::write(&new, format!("{}{burst}{}", &text[..start], &text[end..]))?;
    std::fs::rename(&new, &path)?;
    until("the saved policy is in force", async || Ok(revision().await? != before)).await
}
