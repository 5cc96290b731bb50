//! Watches a job of the gateway until it ends: one line on a terminal, renewed; else a line every ten seconds.

use std::{io::IsTerminal as _, time::Duration};

use serde_json::{Value, json};

use super::{
    client::{AdminArgs, Client, Error},
    show,
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two lines where no terminal is.
const LOOKS_A_LINE: u32 = 50;

/// Watches until the job ends; Ctrl-C cancels it after its present step.
///
/// # Errors
/// The gateway cannot be reached, or some steps failed.
pub async fn watch(client: &Client, admin: &AdminArgs, job: &Value) -> Result<(), Error> {
    let id = job["job"].as_u64().unwrap_or(0);
    let terminal = std::io::stderr().is_terminal();
    let mut shown = job.clone();
    let mut looks = 0;
    while shown["state"] == "running" {
        if terminal {
            anstream::eprint!("\r{}\x1b[K", line(&shown));
        } else if looks > 0 && looks % LOOKS_A_LINE == 0 {
            anstream::eprintln!("{}", line(&shown));
        }
        looks += 1;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Ok(()) = tokio::signal::ctrl_c() => {
                client.post(&format!("jobs/{id}/cancel"), &json!({})).await?;
            }
        }
        shown = client.get(&format!("jobs/{id}")).await?["job"].take();
    }
    if terminal {
        anstream::eprint!("\r\x1b[K");
    }
    if admin.json {
        show::line(&shown);
    } else {
        anstream::println!("{} {}", line(&shown), show::text(&shown["state"]));
    }
    for trouble in shown["troubles"].as_array().map(Vec::as_slice).unwrap_or_default() {
        anstream::eprintln!("  {}", show::safe(&show::text(trouble)));
    }
    match shown["failed"].as_u64() {
        Some(0) => Ok(()),
        _ => Err(Error::No(format!("{} steps were not done", show::text(&shown["failed"])))),
    }
}

fn line(job: &Value) -> String {
    let number = |name: &str| job[name].as_u64().unwrap_or(0);
    let done = number("done") + number("failed");
    let total = match job["total"].as_u64() {
        Some(total) if total > 0 => format!(" of {total}"),
        _ => String::new(),
    };
    format!("{}: {done}{total}, {} refused", show::safe(&show::text(&job["what"])), number("failed"))
}
