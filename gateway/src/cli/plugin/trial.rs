//! The hidden command `try-mapper`: a mapper's own cases in a child of the gateway, by the same code as `plugin test`.

use std::{io::Read as _, path::PathBuf};

use bytes::Bytes;
use clap::Args;

use super::{Tools, bench::Bench, cases, test};
use crate::{
    mapper::{Cases, Code, LARGEST, Tried},
    words::{Clock, Random},
};

/// Differences that are told; the first of them explain the rest.
const TOLD: usize = 5;

/// What the gateway tells its child.
#[derive(Debug, Args)]
pub struct TrialArgs {
    /// The gateway's folder of compiled mappers.
    #[arg(long)]
    compiled: PathBuf,
    /// An empty folder for the cases.
    #[arg(long)]
    room: PathBuf,
}

/// Reads a mapper from the standard input, runs the cases that it carries and prints what came of them.
///
/// # Errors
/// It is no mapper, or its cases cannot be read.
pub fn run(args: &TrialArgs, clock: &dyn Clock, random: &dyn Random) -> anyhow::Result<()> {
    let mut wasm = Vec::new();
    std::io::stdin().lock().take(LARGEST as u64 + 1).read_to_end(&mut wasm)?;
    let carried = Cases::of(&wasm).map_err(anyhow::Error::msg)?.unwrap_or_default();
    carried.unpack(&args.room.join("cases"))?;
    let tools = Tools { clock, random, verbose: false };
    let bench = Bench::within(tools, Code::Fast, args.compiled.clone())?;
    let opened = bench.open_bytes(Bytes::from(wasm))?;
    let mut tried = Tried::default();
    for case in cases::read(&args.room)? {
        tried.cases += 1;
        let differences = match case {
            Ok(case) => {
                let one = test::try_case(&bench, &opened, case);
                tried.cpu_micros += u64::try_from(one.usage.cpu.as_micros()).unwrap_or(u64::MAX);
                let name = &one.case.name;
                let line = |found: &super::compare::Difference| {
                    format!("{name}: {}: expected {}, got {}", found.place, found.expected, found.got)
                };
                one.differences.first().map(line)
            }
            // The room's own path says nothing to whoever reads this.
            Err(error) => Some(error.to_string().replace(&format!("{}/cases/", args.room.display()), "")),
        };
        if let Some(difference) = differences {
            tried.failing += 1;
            if tried.differences.len() < TOLD {
                tried.differences.push(super::show::plain(&difference));
            }
        }
    }
    anstream::println!("{}", serde_json::to_string(&tried)?);
    Ok(())
}
