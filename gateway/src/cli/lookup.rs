//! `message`, `event`, `delivery`: clients of the admin API and nothing more.

use std::{os::unix::fs::OpenOptionsExt as _, path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{AdminArgs, Client, Error, query},
    plugin::lineage,
    show,
};
use crate::words::{Clock, EventId, MessageId, Random};

/// Arguments of a list.
#[derive(Args, Debug)]
pub struct Page {
    /// At most so many, up to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// Only of this partner
    #[arg(long, value_name = "NAME")]
    pub(super) partner: Option<String>,
}

/// A business key as it is asked for.
pub(super) fn business_key(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, value)) if !kind.is_empty() && !value.is_empty() => Ok(text.to_owned()),
        _ => Err("a key is KIND:VALUE, like `order:8841-22`".to_owned()),
    }
}

/// Messages: documents that were handed in.
#[derive(Subcommand, Debug)]
pub enum Message {
    /// List messages, newest first
    #[command(after_help = "Example: crossdock message list --partner acme-3pl --state refused")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: Page,
        /// Only in this state
        #[arg(long, value_name = "STATE", value_parser = ["accepted", "refused"])]
        state: Option<String>,
        /// Only older than this message
        #[arg(long, value_name = "ID")]
        before: Option<MessageId>,
    },
    /// Show from which bytes of a stored document each field of its events comes
    ///
    /// By the mapper that made them, on this machine: the gateway hands over the document, its context and the mapper,
    /// and stores and sends nothing. Exit codes: 0 shown, 1 it cannot be followed.
    #[command(after_help = "Examples:\n  crossdock message lineage 01JD8Q2M7T6V9K3H5X0YB4N8RC\n  \
        crossdock message lineage 01JD8Q2M7T6V9K3H5X0YB4N8RC --field /lines/0/lot")]
    Lineage {
        /// The message
        id: MessageId,
        /// What is shown, and how much is tried
        #[command(flatten)]
        options: lineage::Options,
    },
    /// Map a stored document again by its original mapper and compare the events; stores and sends nothing
    ///
    /// Exit codes: 0 the same bytes, 1 something differs or it cannot be run again.
    #[command(after_help = "Examples:\n  crossdock message rerun 01JD8Q2M7T6V9K3H5X0YB4N8RC\n  \
        crossdock message rerun 01JD8Q2M7T6V9K3H5X0YB4N8RC --export message.json")]
    Rerun {
        /// The message
        id: MessageId,
        /// Write all that this takes to a file, document included, for `crossdock plugin rerun` on any machine
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// Show one message: its document, what became of it, where its events went
    #[command(after_help = "Example: crossdock message show 01JD8Q2M7T6V9K3H5X0YB4N8RC")]
    Show {
        /// The message
        id: MessageId,
    },
}

/// Events: what the documents said.
#[derive(Subcommand, Debug)]
pub enum Event {
    /// List events, newest first
    #[command(after_help = "Example: crossdock event list --key order:8841-22")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: Page,
        /// Only of this type; `shipment.*` matches a family
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only with this business key
        #[arg(long, value_name = "KIND:VALUE", value_parser = business_key)]
        key: Option<String>,
    },
    /// Show one event as CloudEvents JSON
    #[command(after_help = "Example: crossdock event show 01JD8Q2M7T6V9K3H5X0YB4N8RC")]
    Show {
        /// The event
        id: EventId,
    },
    /// Print events as they come, until Ctrl-C
    #[command(after_help = "Example: crossdock event tail --type 'shipment.*' --json")]
    Tail {
        /// Only of this type; `shipment.*` matches a family
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// From after this sequence number; without it, from now on
        #[arg(long, value_name = "N")]
        after: Option<u64>,
    },
}

/// Deliveries: events on their way to targets.
#[derive(Subcommand, Debug)]
pub enum Delivery {
    /// List deliveries, newest first
    #[command(after_help = "Example: crossdock delivery list --target globex-sap --state parked")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: Page,
        /// Only to this target
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
        /// Only in this state
        #[arg(long, value_name = "STATE", value_parser = ["waiting", "ready", "parked", "delivered", "discarded"])]
        state: Option<String>,
        /// Only of this event
        #[arg(long, value_name = "ID")]
        event: Option<EventId>,
    },
}

/// Runs a `message` command.
///
/// # Errors
/// The gateway cannot be reached, or its answer is no.
pub async fn message(
    command: Message,
    admin: &AdminArgs,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(), Error> {
    let client = Client::new(admin);
    match command {
        Message::List { page, state, before } => {
            let query = query(&[
                ("limit", Some(page.limit.to_string())),
                ("partner", page.partner),
                ("state", state),
                ("before", before.map(|before| before.to_string())),
            ]);
            let found = client.get(&format!("messages{query}")).await?;
            let headings = ["message", "received", "partner", "operation", "state", "bytes", "events"];
            list(admin, page.limit, &found["messages"], &headings, "no messages", |row| {
                let mut cells = vec![show::text(&row["id"]), show::second(&row["received_at"])];
                let rest = ["partner", "operation", "state", "length", "events"];
                cells.extend(rest.iter().map(|name| show::text(&row[name])));
                cells
            });
        }
        Message::Lineage { id, options } => {
            let bundle = client.get(&format!("messages/{id}/bundle")).await?;
            let json = admin.json;
            // It runs a mapper thousands of times, on a runtime of its own.
            let traced = tokio::task::spawn_blocking(move || {
                lineage::of_message(bundle, &options, json, &*clock, &*random)
            });
            let traced = traced.await.map_err(|error| Error::No(error.to_string()))?;
            traced.map_err(Error::No)?;
        }
        Message::Rerun { id, export: Some(file) } => {
            let bundle = client.get(&format!("messages/{id}/bundle")).await?;
            let text = bundle.to_string();
            let no = |error: std::io::Error| Error::No(format!("{}: {error}", file.display()));
            // It holds a partner's document: nobody else's business.
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let mut out = options.open(&file).map_err(no)?;
            std::io::Write::write_all(&mut out, text.as_bytes()).map_err(no)?;
            let shown = show::safe(&file.display().to_string());
            anstream::eprintln!("exported  {shown}, {} KB", text.len().div_ceil(1000));
            anstream::eprintln!("          crossdock plugin rerun {shown}");
        }
        Message::Rerun { id, export: None } => {
            let found = client.post(&format!("messages/{id}/rerun"), &json!({})).await?;
            if admin.json {
                show::line(&found);
            } else {
                print_rerun(&found);
            }
            if found["same"] != true {
                return Err(Error::No(format!("message {id} does not give the same events again")));
            }
        }
        Message::Show { id } => {
            let found = client.get(&format!("messages/{id}")).await?;
            if admin.json {
                show::line(&found);
            } else {
                print_message(&found);
            }
        }
    }
    Ok(())
}

/// Shows what came of mapping a message again.
pub(super) fn print_rerun(found: &Value) {
    let text = |name: &str| show::safe(&show::text(&found[name]));
    let digest: String = text("digest").chars().take(8).collect();
    let outcome = if found["same"] == true { "the same bytes" } else { "not the same" };
    anstream::println!(
        "rerun   {} {} ({digest})   {} events, {outcome}",
        text("mapper"),
        text("version"),
        text("events")
    );
    for row in found["differences"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let [field, then, now] = ["field", "then", "now"].map(|name| show::safe(&show::text(&row[name])));
        anstream::println!("        {field}: then {then}, now {now}");
    }
    if found["revision_then"] != found["revision_now"] {
        anstream::println!(
            "        policies then {}, now {}: configuration and tables are those of now",
            text("revision_then"),
            text("revision_now")
        );
    }
}

/// Runs an `event` command.
///
/// # Errors
/// The gateway cannot be reached, or its answer is no.
pub async fn event(command: Event, admin: &AdminArgs) -> Result<(), Error> {
    let client = Client::new(admin);
    match command {
        Event::List { page, kind, key } => {
            let query = query(&[
                ("limit", Some(page.limit.to_string())),
                ("newest", Some("true".to_owned())),
                ("partner", page.partner),
                ("kind", kind),
                ("key", key),
            ]);
            let found = client.get(&format!("events{query}")).await?;
            list(admin, page.limit, &found["events"], &EVENT_HEADINGS, "no events", event_row);
        }
        Event::Show { id } => {
            let found = client.get(&format!("events/{id}")).await?;
            if admin.json {
                show::line(&found["event"]);
            } else {
                let text = serde_json::to_string_pretty(&found["event"]).unwrap_or_default();
                anstream::println!("{}", show::safe(&text));
            }
        }
        Event::Tail { kind, after } => tail(&client, admin, kind, after).await?,
    }
    Ok(())
}

const EVENT_HEADINGS: [&str; 6] = ["n", "event", "recorded", "partner", "type", "keys"];

fn event_row(row: &Value) -> Vec<String> {
    let event = &row["event"];
    vec![
        show::text(&row["sequence"]),
        show::text(&event["id"]),
        show::second(&event["recordedtime"]),
        show::text(&row["partner"]),
        show::text(&event["type"]),
        show::keys(&row["keys"]),
    ]
}

async fn tail(
    client: &Client,
    admin: &AdminArgs,
    kind: Option<String>,
    after: Option<u64>,
) -> Result<(), Error> {
    let mut after = match after {
        Some(after) => after,
        None => {
            let newest = client.get("events?newest=true&limit=1").await?;
            newest["events"][0]["sequence"].as_u64().unwrap_or(0)
        }
    };
    loop {
        let query = query(&[
            ("after", Some(after.to_string())),
            ("wait", Some("25".to_owned())),
            ("limit", Some("200".to_owned())),
            ("kind", kind.clone()),
        ]);
        let found = client.get(&format!("events{query}")).await?;
        for row in found["events"].as_array().map(Vec::as_slice).unwrap_or_default() {
            after = row["sequence"].as_u64().unwrap_or(after);
            if admin.json {
                show::line(row);
            } else {
                anstream::println!("{}", show::safe(&event_row(row).join("  ")));
            }
        }
    }
}

/// Runs a `delivery` command.
///
/// # Errors
/// The gateway cannot be reached, or its answer is no.
pub async fn delivery(command: Delivery, admin: &AdminArgs) -> Result<(), Error> {
    let Delivery::List { page, target, state, event } = command;
    let query = query(&[
        ("limit", Some(page.limit.to_string())),
        ("partner", page.partner),
        ("target", target),
        ("state", state),
        ("event", event.map(|event| event.to_string())),
    ]);
    let found = Client::new(admin).get(&format!("deliveries{query}")).await?;
    let headings =
        ["delivery", "enqueued", "target", "type", "keys", "state", "attempts", "last", "due", "why"];
    list(admin, page.limit, &found["deliveries"], &headings, "no deliveries", |row| {
        vec![
            show::text(&row["id"]),
            show::second(&row["enqueued_at"]),
            show::text(&row["target"]),
            show::text(&row["type"]),
            show::keys(&row["keys"]),
            show::text(&row["state"]),
            show::text(&row["attempts"]),
            last_answer(row),
            show::second(&row["due"]),
            show::brief(&row["last_error"], 60),
        ]
    });
    Ok(())
}

/// What the target said last; a target that was tried and gave no answer is not one that was never tried.
fn last_answer(delivery: &Value) -> String {
    match (delivery["last_status"].as_u64(), delivery["attempts"].as_u64()) {
        (Some(status), _) => status.to_string(),
        (None, None | Some(0)) => "-".to_owned(),
        (None, Some(_)) => "no answer".to_owned(),
    }
}

pub(super) fn list(
    admin: &AdminArgs,
    limit: u64,
    rows: &Value,
    headings: &[&str],
    nothing: &str,
    row: impl Fn(&Value) -> Vec<String>,
) {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if admin.json {
        rows.iter().for_each(show::line);
    } else {
        let rows: Vec<_> = rows.iter().map(row).collect();
        show::table(headings, &rows, nothing);
        if u64::try_from(rows.len()).is_ok_and(|rows| rows == limit) {
            anstream::eprintln!("these are the newest {limit}; `--limit` shows more");
        }
    }
}

fn print_message(found: &Value) {
    let message = &found["message"];
    let head: Vec<String> =
        ["partner", "operation", "state"].iter().map(|name| show::text(&message[name])).collect();
    anstream::println!("{}   {}", show::text(&message["id"]), show::safe(&head.join("   ")));
    anstream::println!(
        "received {}   {} bytes",
        show::text(&message["received_at"]),
        show::text(&message["length"])
    );
    if let Some(problem) = found["problem"].as_object() {
        anstream::println!("refused  {}", show::safe(&show::text(&problem["title"])));
        anstream::println!("         {}", show::safe(&show::text(&problem["detail"])));
        print_errors("         at ", &found["problem"]["errors"]);
    }
    if let Some(receipt) = found["receipt"].as_object() {
        anstream::println!(
            "mapper   {} {}   revision {}",
            show::text(&receipt["mapper"]),
            &show::text(&receipt["mapper_digest"]).chars().take(8).collect::<String>(),
            show::text(&receipt["revision"])
        );
        for event in receipt["events"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let line = format!("{}  {}", show::text(&event["type"]), show::keys(&event["keys"]));
            anstream::println!(
                "event    {}  {}  {}",
                show::text(&event["id"]),
                show::safe(&line),
                show::text(&event["outcome"])
            );
        }
    }
    for delivery in found["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default() {
        anstream::println!(
            "to       {}  {}  {} attempts  last {}  {}",
            show::text(&delivery["target"]),
            show::text(&delivery["state"]),
            show::text(&delivery["attempts"]),
            last_answer(delivery),
            match (delivery["due"].is_null(), delivery["ended_at"].is_null()) {
                (false, _) => format!("next {}", show::second(&delivery["due"])),
                (true, false) => format!("ended {}", show::second(&delivery["ended_at"])),
                (true, true) => String::new(),
            }
            .trim_end()
        );
    }
    print_document("document", &found["document"]);
}

pub(super) fn print_errors(title: &str, errors: &Value) {
    for error in errors.as_array().map(Vec::as_slice).unwrap_or_default() {
        let place = show::text(&error["at"]["path"]);
        let offset =
            error["at"]["offset"].as_u64().map(|offset| format!(", byte {offset}")).unwrap_or_default();
        let line =
            format!("{place}{offset}: {} ({})", show::text(&error["message"]), show::text(&error["code"]));
        anstream::println!("{title}{}", show::safe(&line));
    }
}

pub(super) fn print_document(title: &str, document: &Value) {
    if document.is_null() {
        return;
    }
    anstream::println!(
        "{title}  {}, {} bytes",
        show::text(&document["media_type"]),
        show::text(&document["length"])
    );
    match document["text"].as_str() {
        Some(text) => anstream::print!("{}", show::excerpt(&text.replace('~', "~\n"), 12, "  ")),
        None => anstream::println!("  (not text)"),
    }
}
