//! The gateway is killed, its targets fail, its disk fails and fills up; then what all sides saw is judged.

#![allow(missing_docs, reason = "a test has no readers from outside")]

mod churn;
mod full;
mod history;
mod rough;
mod single;
mod storm;
mod sync;

use anyhow::ensure;
use storm::Shape;

/// The seed of the run, unless `CROSSDOCK_CHAOS_SEED` names another one.
const SEED: u64 = 20_261_123;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_five_times_under_load_it_loses_doubles_and_reorders_nothing() -> anyhow::Result<()> {
    storm(Shape { seed: seed()?, kills: 25, clients: 8, churn: false }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_policies_and_mappers_change_it_loses_doubles_and_reorders_nothing() -> anyhow::Result<()>
{
    storm(Shape { seed: seed()? + 1, kills: 6, clients: 4, churn: true }).await
}

fn seed() -> anyhow::Result<u64> {
    Ok(std::env::var("CROSSDOCK_CHAOS_SEED").ok().map(|text| text.parse()).transpose()?.unwrap_or(SEED))
}

async fn storm(shape: Shape) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (history, tally) = storm::run(shape, folder.path()).await?;
    eprintln!("{shape:?}: {tally:?}");
    let violations = history::judge(&history);
    ensure!(violations.is_empty(), "seed {}: {violations:#?}", shape.seed);
    // A run in which hardly anything happened proves nothing.
    ensure!(tally.kills == shape.kills && tally.accepted > 20 * tally.kills as usize, "too calm: {tally:?}");
    ensure!(tally.duplicates > 0, "no attempt was ever repeated: {tally:?}");
    Ok(())
}
