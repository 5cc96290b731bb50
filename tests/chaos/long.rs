//! Kills, reloads and swaps together, round after round, for hours: `tests/run --long`.
//!
//! Each round has a seed of its own and adds a line to `tally.tsv`; a run that was broken off goes on after the last line.
//! `CROSSDOCK_LONG_MINUTES` says for how long (two hours unless it does), `CROSSDOCK_LONG_KILLS` how many kills make a round.

#![allow(missing_docs, reason = "a test has no readers from outside")]

mod churn;
mod history;
mod rough;
mod storm;

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use storm::Shape;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes hours: tests/run --long"]
async fn for_hours_it_loses_doubles_and_reorders_nothing() -> anyhow::Result<()> {
    let minutes = number("CROSSDOCK_LONG_MINUTES", 120)?;
    let kills = u32::try_from(number("CROSSDOCK_LONG_KILLS", 40)?)?;
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut rounds = rounds_so_far()?;
    let mut bad = Vec::new();
    while Instant::now() < end {
        rounds += 1;
        // Now fewer clients with more time each, now more of them.
        let clients = [2, 8, 24][usize::try_from(rounds % 3)?];
        let shape = Shape { seed: 7_000_000 + rounds, kills, clients, churn: rounds % 4 != 0 };
        let folder = tempfile::tempdir()?;
        let (history, tally) =
            storm::run(shape, folder.path()).await.with_context(|| format!("{shape:?}"))?;
        let violations = history::judge(&history);
        note(rounds, shape, tally, violations.len())?;
        eprintln!("round {rounds}: {tally:?}, {} violations", violations.len());
        if !violations.is_empty() {
            let kept = folder.keep();
            eprintln!("{shape:?}, data kept in {}: {violations:#?}", kept.display());
            bad.push(shape.seed);
        }
    }
    ensure!(bad.is_empty(), "these seeds broke a promise: {bad:?}");
    Ok(())
}

fn number(variable: &str, otherwise: u64) -> anyhow::Result<u64> {
    let Ok(text) = std::env::var(variable) else { return Ok(otherwise) };
    text.parse().with_context(|| format!("{variable}={text}"))
}

fn tally_file() -> PathBuf {
    crossdock_tests::root().join("tests/chaos/tally.tsv")
}

/// The number of the last round in the tally.
fn rounds_so_far() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(tally_file()).unwrap_or_default();
    let Some(last) = text.lines().skip(1).last() else { return Ok(0) };
    let round = last.split('\t').nth(3).context("a tally line has a round")?;
    round.parse().with_context(|| format!("the tally's last line: {last}"))
}

fn note(round: u64, shape: Shape, tally: storm::Tally, violations: usize) -> anyhow::Result<()> {
    let path = tally_file();
    let new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if new {
        writeln!(
            file,
            "date\tseed\tmachine\tround\tkills\tchanges\taccepted\tarrivals\tduplicates\tviolations"
        )?;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let now = crossdock::words::Time::from_millis(i64::try_from(now)?);
    let cores = std::thread::available_parallelism()?;
    let machine = format!("{} {} {cores} cores", std::env::consts::OS, std::env::consts::ARCH);
    let storm::Tally { kills, accepted, arrivals, duplicates, changes } = tally;
    writeln!(
        file,
        "{now}\t{}\t{machine}\t{round}\t{kills}\t{changes}\t{accepted}\t{arrivals}\t{duplicates}\t{violations}",
        shape.seed
    )?;
    Ok(())
}
