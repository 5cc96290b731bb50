//! `demo`: the main job on embedded defaults, told as a story. Every `ok` is worked out from what the gateway answered
//! and what the systems behind it received.

use std::{process::ExitCode, sync::Arc, time::Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    observe::{LogFormat, start_logs},
    words::{Clock, Random},
};

mod caller;
mod estate;
mod story;
mod systems;
mod tokens;

use estate::Estate;

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "Example: crossdock demo --once --json")]
pub struct DemoArgs {
    /// End after the story; exit 0 if every step held
    #[arg(long)]
    once: bool,
    /// Print each step as a JSON line with `step`, `ok` and figures
    #[arg(long)]
    json: bool,
}

/// One step of the story.
pub(super) struct Step {
    name: &'static str,
    ok: bool,
    figures: Value,
    lines: Vec<String>,
}

/// Tells the story, and then stays up unless `--once`.
///
/// # Errors
/// The mappers could not be built, or the gateway could not start.
pub async fn run(args: DemoArgs, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> anyhow::Result<ExitCode> {
    start_logs(LogFormat::Text, "error");
    let started = Instant::now();
    let told = Teller { json: args.json };
    let mut estate =
        Estate::start(&|line| anstream::eprintln!("  {line}"), Arc::clone(&clock), random).await?;
    told.ready(&estate, started);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut held = true;
    let mut number = 0;
    let mut tell = |step: Step| {
        number += 1;
        held &= step.ok;
        told.step(number, &step);
    };
    let cut_short = tokio::select! {
        story = story::tell(&mut estate, &*clock, &mut tell) => { story?; None }
        _ = interrupt.recv() => Some(130),
        _ = terminate.recv() => Some(143),
    };
    if let Some(code) = cut_short {
        // Its folder goes with the estate once nothing writes in it; a signal's own way to end would leave it behind.
        estate.running.stop().await?;
        return Ok(ExitCode::from(code));
    }
    if args.once {
        estate.running.stop().await?;
        told.end(held, started);
        return Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    told.end(held, started);
    told.next(&estate, &estate.issuer.token(clock.now())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    estate.running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

struct Teller {
    json: bool,
}

impl Teller {
    fn ready(&self, estate: &Estate, started: Instant) {
        let took = started.elapsed();
        let policies = estate.running.policies.now();
        let cached = estate.mappers.iter().all(|built| built.cached);
        if self.json {
            let figures = json!({ "seconds": took.as_secs_f64(), "mappers": estate.mappers.len(), "cached": cached,
                "revision": policies.revision, "listen": estate.running.listen, "admin": estate.running.admin_shown });
            line("ready", true, &figures);
            return;
        }
        anstream::println!("\nReady in {:.1} s, revision {}", took.as_secs_f64(), policies.revision);
        for built in &estate.mappers {
            let how = if built.cached { "built before" } else { "built now" };
            anstream::println!(
                "  mapper     {:<9} {}   {} KB of WebAssembly, {how}",
                built.name,
                built.version,
                built.size / 1000
            );
        }
        anstream::println!("  partners   http://{}", estate.running.listen);
        anstream::println!("  operators  {}", estate.running.admin_shown);
    }

    fn step(&self, number: usize, step: &Step) {
        if self.json {
            line(step.name, step.ok, &step.figures);
            return;
        }
        let mark = if step.ok { "✓" } else { "✗" };
        let mut lines = step.lines.iter();
        anstream::println!("\n{mark} {number}  {}", lines.next().map_or("", String::as_str));
        for text in lines {
            anstream::println!("     {}", crate::cli::show::safe(text));
        }
        if !step.ok {
            anstream::println!("     this step did not hold: {}", step.figures);
        }
    }

    fn end(&self, held: bool, started: Instant) {
        if self.json {
            line("end", held, &json!({ "seconds": started.elapsed().as_secs_f64() }));
        } else {
            let verdict = if held { "Every step held." } else { "A step did not hold; see the ✗ above." };
            anstream::println!("\n{verdict}   {:.1} s in all", started.elapsed().as_secs_f64());
        }
    }

    fn next(&self, estate: &Estate, token: &str) {
        if self.json {
            return;
        }
        let documents = "gateway/src/cli/demo/documents";
        let (listen, data) = (estate.running.listen, estate.data());
        let admin = estate.running.admin_shown.trim_start_matches("http://").to_owned();
        let look = format!("--data {} --admin {admin}", data.display());
        anstream::println!("\nIt stays up. Try, in another terminal:");
        anstream::println!(
            "\n  the warehouse confirms a shipment (a changed document under a known identity is held for a person)"
        );
        anstream::println!(
            "    curl -i http://{listen}/shipments/confirmations -H 'Content-Type: application/edi-x12' \\"
        );
        anstream::println!(
            "      -H 'Authorization: Bearer {}' \\\n      --data-binary @{documents}/shipped.945.edi",
            caller::ACME_KEY
        );
        anstream::println!("\n  the carrier reports where it is");
        anstream::println!(
            "    curl -i http://{listen}/tracking/milestones -H 'Content-Type: application/json' \\"
        );
        anstream::println!(
            "      -H 'Authorization: Bearer {token}' \\\n      --data-binary @{documents}/delivered.json"
        );
        anstream::println!("\n  an operator looks");
        for command in [
            "event list --key order:0080001234",
            "delivery list --target globex-sap",
            "exception list",
            "message list --state refused",
        ] {
            anstream::println!("    crossdock {command} {look}");
        }
        anstream::println!("\nOperators' address: {}   Ctrl-C ends it.", estate.running.admin_shown);
    }
}

fn line(step: &str, ok: bool, figures: &Value) {
    anstream::println!("{}", json!({ "step": step, "ok": ok, "figures": figures }));
}
