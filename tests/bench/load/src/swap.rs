//! A thousand swaps among three generations of one mapper while documents are handed in.

use std::{
    cell::Cell,
    collections::BTreeSet,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::{Bench, QUIET, load, percentile};

/// Swaps of one run.
const SWAPS: usize = 1_000;
/// Generations that take turns.
const VERSIONS: [&str; 3] = ["1.0.0", "1.0.1", "1.0.2"];
const NAME: &str = "bench-wms";

/// The phase.
pub fn swap(bench: Rc<Bench>) -> Pin<Box<dyn Future<Output = anyhow::Result<Vec<Value>>>>> {
    Box::pin(async move {
        let wasm = std::fs::read(&bench.mapper)?;
        let mut uploads = Vec::new();
        for version in &VERSIONS[1..] {
            let sent = Instant::now();
            bench.gateway.admin("mappers?by=bench", "application/wasm", &restamped(&wasm, version)?).await?;
            uploads.push(micros(sent.elapsed())?);
        }
        let done = Rc::new(Cell::new(false));
        let load = load::Load {
            done: Some(Rc::clone(&done)),
            ..bench.load("/exchange", QUIET, 202, 40, 32, Duration::from_secs(600), None)
        };
        let calls = LocalSet::new();
        let (target, next) = (Rc::clone(&bench.target), Rc::clone(&bench.next));
        let running = calls.spawn_local(async move { load::run(load, &target, &next).await });
        let (cpu, before) = (bench.gateway.cpu()?, bench.gateway.memory()?);
        let swaps = calls.run_until(swaps(&bench)).await;
        done.set(true);
        calls.await;
        let outcome = running.await??;
        let (swaps, cpu) = (swaps?, bench.gateway.cpu()? - cpu);
        let mixed = outcome.seen.keys().filter(|seen| !swaps.pairs.contains(*seen)).count();
        let mut row = bench.row("exchange, 1,000 swaps", 40, &outcome, cpu, mixed as u64)?;
        row["swap_p50_us"] = (percentile(&swaps.took, 50) * 1e3).into();
        row["swap_p99_us"] = (percentile(&swaps.took, 99) * 1e3).into();
        row["swap_max_us"] = (percentile(&swaps.took, 100) * 1e3).into();
        row["upload_to_live_ms"] =
            json!(uploads.iter().map(|micros| *micros as f64 / 1e3).collect::<Vec<_>>());
        row["mapper_bytes"] = wasm.len().into();
        row["memory_before_mib"] = before.into();
        row["generations_seen"] = outcome.seen.len().into();
        eprintln!(
            "{SWAPS} swaps among {} generations: activation p50 {} µs, p99 {} µs, longest {} µs; {mixed} messages \
             saw two; memory {before:.0} → {:.0} MiB; upload of {} KB to live {} ms",
            VERSIONS.len(),
            row["swap_p50_us"],
            row["swap_p99_us"],
            row["swap_max_us"],
            bench.gateway.memory()?,
            wasm.len() / 1000,
            row["upload_to_live_ms"]
        );
        Ok(vec![row])
    })
}

/// What the swaps said of themselves.
struct Swaps {
    /// Microseconds from the loaded mapper to serving, sorted.
    took: Vec<u64>,
    /// Revisions with the digest that serves under each.
    pairs: BTreeSet<(String, String)>,
}

async fn swaps(bench: &Bench) -> anyhow::Result<Swaps> {
    let (mut took, mut pairs) = (Vec::with_capacity(SWAPS), BTreeSet::new());
    // The load has begun when the last push is live.
    let mut at = VERSIONS.len() - 1;
    let mut note = |changed: &Value| -> anyhow::Result<u64> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        pairs.insert((text(&changed["revision"])?, text(&changed["live"]["digest"])?));
        changed["took_micros"].as_u64().context("took_micros")
    };
    for swap in 0..SWAPS {
        // Every third one goes back instead of on.
        let changed = if swap % 3 == 2 {
            at = (at + VERSIONS.len() - 1) % VERSIONS.len();
            bench.gateway.admin(&format!("mappers/{NAME}/rollback"), "application/json", b"{}").await?
        } else {
            at = (at + 1) % VERSIONS.len();
            let to = json!({ "to": VERSIONS[at] }).to_string();
            bench.gateway.admin(&format!("mappers/{NAME}/promote"), "application/json", to.as_bytes()).await?
        };
        took.push(note(&changed)?);
    }
    took.sort_unstable();
    Ok(Swaps { took, pairs })
}

/// The same mapper under another version, which has as many letters: its manifest is JSON in the file.
fn restamped(wasm: &[u8], version: &str) -> anyhow::Result<Vec<u8>> {
    let (from, to) = (br#""version":"1.0.0""#, format!(r#""version":"{version}""#));
    ensure!(to.len() == from.len(), "another length");
    let at = wasm.windows(from.len()).position(|part| part == from).context("the manifest's version")?;
    let mut other = wasm.to_vec();
    other[at..at + from.len()].copy_from_slice(to.as_bytes());
    Ok(other)
}

fn micros(took: Duration) -> anyhow::Result<u64> {
    Ok(u64::try_from(took.as_micros())?)
}
