//! `plugin shadow`: a candidate beside what is live, on documents that were really sent.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, NO, Tools,
    live::{ask, digest, each},
    pairs,
    progress::Progress,
};
use crate::{
    cli::{
        client::{AdminArgs, Client, Error, encode},
        show,
    },
    policy::units,
    words::Clock,
};

/// Fields that are listed; the first of them explain the rest.
const LISTED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// The mapper; the newest that is held of it, or the one of this version or digest.
    #[arg(value_name = "NAME[@VERSION]")]
    mapper: String,
    /// Compare so many of the most recent documents
    #[arg(long, value_name = "N", default_value_t = 200)]
    documents: usize,
    /// Compare on what is sent from now on, for so long: 10m
    #[arg(long, value_name = "TIME", conflicts_with = "documents", value_parser = units::duration)]
    live: Option<Duration>,
    /// Compare with a legacy adapter instead: a folder of folders, each with `in.…` and what it made of it, `out.…`;
    /// NAME is then a mapper on this machine, and no gateway is asked
    #[arg(long, value_name = "DIR", conflicts_with_all = ["documents", "live"])]
    pairs: Option<PathBuf>,
    /// With `--pairs`: the mapper that writes, where the adapter goes from one format to another
    #[arg(long, value_name = "MAPPER", requires = "pairs")]
    then: Option<String>,
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

/// Compares, and answers whether they do the same.
pub(super) fn run(args: &ShadowArgs, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    if let Some(folder) = &args.pairs {
        let (mapper, then, json) = (args.mapper.as_str(), args.then.as_deref(), args.admin.json);
        return pairs::run(&pairs::Asked { mapper, then, folder, json }, here, tools);
    }
    let (name, candidate) = match args.mapper.split_once('@') {
        Some((name, candidate)) => (name, Some(candidate)),
        None => (args.mapper.as_str(), None),
    };
    if let Some(time) = args.live {
        return watch(&args.admin, name, candidate, time, tools.clock);
    }
    let body = body(candidate, args.documents);
    let path = format!("mappers/{}/shadow", encode(name));
    let compared = match ask(&args.admin, async |client: Client| client.post(&path, &body).await)? {
        Ok(compared) => compared,
        Err(code) => return Ok(code),
    };
    print(&args.admin, &compared);
    Ok(if compared["differ"] == 0 { DONE } else { NO })
}

/// Has the candidate run beside the traffic for a while, and answers whether it did the same.
fn watch(
    admin: &AdminArgs,
    name: &str,
    candidate: Option<&str>,
    time: Duration,
    clock: &dyn Clock,
) -> anyhow::Result<u8> {
    let path = format!("mappers/{}", encode(name));
    let progress = Progress::new(clock);
    let watched = ask(admin, async |client: Client| {
        let found = client.get(&path).await?;
        let held = || each(&found["mapper"]["generations"]).iter().find(|one| one["state"] == "held");
        let newest = || held().map(|one| show::text(&one["digest"]));
        let none = || Error::No(format!("no generation of {name} is held; name one: {name}@VERSION"));
        let candidate = candidate.map(str::to_owned).or_else(newest).ok_or_else(none)?;
        // Should this command be cut off, the gateway ends the watch by itself.
        let body = json!({ "candidate": candidate, "seconds": time.as_secs() + 5 });
        client.post(&format!("{path}/watch"), &body).await?;
        let until = Instant::now() + time;
        loop {
            let found = client.get(&path).await?;
            let out = &found["mapper"]["canary"];
            if out.is_null() {
                let why = show::text(&found["mapper"]["ended"]["why"]);
                return Err(Error::No(format!("the watch ended early: {why}")));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                client.post(&format!("{path}/recall"), &json!({ "by": "plugin shadow" })).await?;
                return Ok(found["mapper"].clone());
            }
            let seen = show::text(&out["seen"]);
            progress.tell(&format!("watching  {seen} messages   {} s left   (Ctrl-C stops)", left.as_secs()));
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    })?;
    progress.clear();
    let watched = match watched {
        Ok(watched) => watched,
        Err(code) => return Ok(code),
    };
    let out = &watched["canary"];
    if admin.json {
        super::show::line("shadow", out.clone());
    } else {
        print_watched(&watched, time);
    }
    Ok(if out["seen"] == out["same"] { DONE } else { NO })
}

fn print_watched(mapper: &Value, time: Duration) {
    let out = &mapper["canary"];
    let text = |value: &Value| show::safe(&show::text(value));
    let title = |side: &Value| format!("{} ({})", text(&side["version"]), digest(&side["digest"]));
    anstream::println!(
        "watched   {} messages in {} s, live {} beside {}",
        text(&out["seen"]),
        time.as_secs(),
        title(mapper),
        title(out)
    );
    anstream::println!(
        "          {} the same, {} differ, {} only live maps, {} only the candidate maps",
        text(&out["same"]),
        text(&out["differing"]),
        text(&out["failing"]),
        text(&out["mended"])
    );
    print_fields(&out["fields"], out["seen"].as_u64().unwrap_or(0));
    anstream::println!(
        "speed     {} → {} µs on the average",
        text(&out["live_micros"]),
        text(&out["candidate_micros"])
    );
    if out["left_out"] != 0 {
        anstream::println!("          {} messages left out: too many were under way", text(&out["left_out"]));
    }
}

/// Compares before a promotion; nothing where nothing of the mapper is live yet.
pub(super) fn compared(
    admin: &AdminArgs,
    name: &str,
    candidate: Option<&str>,
    documents: usize,
) -> anyhow::Result<Result<Option<Value>, u8>> {
    let body = body(candidate, documents);
    let compared = ask(admin, async |client: Client| -> Result<Value, Error> {
        let found = client.get(&format!("mappers/{}", encode(name))).await?;
        if found["mapper"]["digest"].is_null() {
            return Ok(Value::Null);
        }
        client.post(&format!("mappers/{}/shadow", encode(name)), &body).await
    })?;
    Ok(compared.map(|compared| (!compared.is_null()).then_some(compared)))
}

fn body(candidate: Option<&str>, documents: usize) -> Value {
    match candidate {
        Some(candidate) => json!({ "candidate": candidate, "documents": documents }),
        None => json!({ "documents": documents }),
    }
}

/// Shows what a comparison found.
pub(super) fn print(admin: &AdminArgs, compared: &Value) {
    if admin.json {
        super::show::line("shadow", compared.clone());
        return;
    }
    let text = |value: &Value| show::safe(&show::text(value));
    let (live, candidate) = (&compared["live"], &compared["candidate"]);
    let title = |side: &Value| format!("{} ({})", text(&side["version"]), digest(&side["digest"]));
    let documents = compared["documents"].as_u64().unwrap_or(0);
    if documents == 0 {
        anstream::println!(
            "shadow    no stored document was read by {}: nothing to compare {} with",
            text(&compared["mapper"]),
            title(candidate)
        );
        return;
    }
    anstream::println!(
        "shadow    {documents} documents since {}, live {} beside {}",
        text(&compared["since"]),
        title(live),
        title(candidate)
    );
    anstream::println!(
        "          {} the same, {} differ",
        text(&compared["same"]),
        text(&compared["differ"])
    );
    print_fields(&compared["fields"], documents);
    let micros = |side: &Value| text(&side["cpu_p50_micros"]);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mebibytes = |side: &Value| {
        side["memory_p50_bytes"]
            .as_u64()
            .map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1_048_576.0))
    };
    anstream::println!(
        "speed     p50 {} → {} µs, memory {} → {} MiB",
        micros(live),
        micros(candidate),
        mebibytes(live),
        mebibytes(candidate)
    );
    if compared["cut_off"] == true {
        anstream::println!(
            "          stopped after a minute; {} documents were asked for",
            text(&compared["asked"])
        );
    }
    if compared["left_out"] != 0 {
        anstream::println!(
            "          {} documents left out: the policies in force do not map them",
            text(&compared["left_out"])
        );
    }
}

/// What differs, by field: a line for the field, and the first pair of values below it.
pub(super) fn print_fields(fields: &Value, documents: u64) {
    let fields = each(fields);
    for field in fields.iter().take(LISTED) {
        let line = format!(
            "          {} differs in {} of {documents}",
            show::text(&field["field"]),
            show::text(&field["documents"])
        );
        anstream::println!("{}", show::safe(&line));
        let message = field["message"].as_str().map(|id| format!("   message {id}"));
        let pair = field["pair"].as_str().map(|name| format!("   {name}"));
        let message = message.or(pair).unwrap_or_default();
        let pair = [&field["live"], &field["candidate"]].map(|value| cut(&show::text(value)));
        anstream::println!("{}", show::safe(&format!("            {} → {}{message}", pair[0], pair[1])));
    }
    if fields.len() > LISTED {
        anstream::println!("          and {} more fields: --json shows all", fields.len() - LISTED);
    }
}

/// Two values and a message's id fit a line of 100.
fn cut(value: &str) -> String {
    if value.chars().count() <= 22 {
        return value.to_owned();
    }
    value.chars().take(21).chain(['…']).collect()
}
