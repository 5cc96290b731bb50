//! `plugin shadow`: a candidate beside what is live, on documents that were really sent.

use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, NO,
    live::{ask, digest, each},
};
use crate::cli::{
    client::{AdminArgs, Client, Error, encode},
    show,
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
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

/// Compares, and answers whether they do the same.
pub(super) fn run(args: &ShadowArgs) -> anyhow::Result<u8> {
    let (name, candidate) = match args.mapper.split_once('@') {
        Some((name, candidate)) => (name, Some(candidate)),
        None => (args.mapper.as_str(), None),
    };
    let body = body(candidate, args.documents);
    let path = format!("mappers/{}/shadow", encode(name));
    let compared = match ask(&args.admin, async |client: Client| client.post(&path, &body).await)? {
        Ok(compared) => compared,
        Err(code) => return Ok(code),
    };
    print(&args.admin, &compared);
    Ok(if compared["differ"] == 0 { DONE } else { NO })
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
    let fields = each(&compared["fields"]);
    for field in fields.iter().take(LISTED) {
        let line = format!(
            "          {} differs in {} of {documents}: {} → {}   message {}",
            show::text(&field["field"]),
            show::text(&field["documents"]),
            show::text(&field["live"]),
            show::text(&field["candidate"]),
            show::text(&field["message"])
        );
        anstream::println!("{}", show::safe(&line));
    }
    if fields.len() > LISTED {
        anstream::println!("          and {} more fields: --json shows all", fields.len() - LISTED);
    }
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
