//! `exception`: what needs a person, and what persons do about it. A client of the admin API and nothing more.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    client::{AdminArgs, Client, Error, query},
    job,
    lookup::{Page, list, print_document, print_errors},
    show,
};

/// Exceptions: what needs a person.
#[derive(Subcommand, Debug)]
pub enum Exception {
    /// List open exceptions, newest first
    #[command(after_help = "Example: crossdock exception list --target globex-sap --group fingerprint")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: Page,
        /// Which ones
        #[command(flatten)]
        which: Which,
        /// Count them in groups instead
        #[arg(long, value_name = "BY", value_parser = ["fingerprint", "owner", "partner", "target", "cause", "age"])]
        group: Option<String>,
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// Show one exception: what was sent, what the target said, what waits behind it
    #[command(after_help = "Example: crossdock exception show 4711")]
    Show {
        /// The exception
        id: u64,
    },
    /// Send one again, at once; or all that are alike, after their plan was shown
    #[command(
        after_help = "Examples:\n  crossdock exception retry 4711 --remap\n  crossdock exception retry --target globex-sap --cause retries-exhausted --yes"
    )]
    Retry {
        /// The exception; without it, all that the filters meet
        id: Option<u64>,
        /// Map the event again instead of sending the stored bytes
        #[arg(long)]
        remap: bool,
        /// Which ones, how fast
        #[command(flatten)]
        bulk: Bulk,
        /// Who decides; for the audit
        #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
        by: String,
    },
    /// Change what is stuck and send that: values of the event, or the whole document for the target
    #[command(
        after_help = "Examples:\n  crossdock exception edit 4711 --set /items/0/lot=L19284A\n  crossdock exception edit 4711 --outbound corrected.idoc.xml"
    )]
    Edit {
        /// The exception
        id: u64,
        /// A place in the event's data, as a JSON Pointer, and its new value; the event is mapped again
        #[arg(long, value_name = "POINTER=VALUE", value_parser = assignment, required_unless_present = "outbound")]
        set: Vec<(String, String)>,
        /// The document that the target gets instead
        #[arg(long, value_name = "FILE", conflicts_with = "set")]
        outbound: Option<PathBuf>,
        /// Its media type, if it is another one
        #[arg(long, value_name = "TYPE", requires = "outbound")]
        media_type: Option<String>,
        /// Who decides; for the audit
        #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
        by: String,
    },
    /// Say who is in charge
    #[command(after_help = "Example: crossdock exception assign 4711 ada")]
    Assign {
        /// The exception
        id: u64,
        /// The person; without it, nobody
        owner: Option<String>,
    },
    /// Give one up with a reason; later events of its order go on. Or all that are alike, after their plan was shown
    #[command(after_help = "Example: crossdock exception discard 4711 --reason \"shipped by hand\"")]
    Discard {
        /// The exception; without it, all that the filters meet
        id: Option<u64>,
        /// Why; for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Which ones, how fast
        #[command(flatten)]
        bulk: Bulk,
        /// Who decides; for the audit
        #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
        by: String,
    },
}

/// Filters of exceptions.
#[derive(Args, Debug)]
pub struct Which {
    /// Only to this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Only of this cause: target-refused, retries-exhausted, mapper-refused, contradiction …
    #[arg(long, value_name = "CODE")]
    cause: Option<String>,
    /// Only those alike
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Only in this person's charge; `nobody` for nobody's
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only older than this: 2h, 3d
    #[arg(long, value_name = "DURATION")]
    older: Option<String>,
}

/// Which exceptions at once, and how.
#[derive(Args, Debug)]
pub struct Bulk {
    /// Only of this partner
    #[arg(long, value_name = "NAME")]
    partner: Option<String>,
    #[command(flatten)]
    which: Which,
    /// All open exceptions, whatever they are
    #[arg(long)]
    every: bool,
    /// Carry the plan out; without it the plan is shown and nothing else happens
    #[arg(long)]
    yes: bool,
    /// So many a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

impl Which {
    fn pairs(&self) -> [(&'static str, Option<String>); 5] {
        [
            ("target", self.target.clone()),
            ("cause", self.cause.clone()),
            ("fingerprint", self.fingerprint.clone()),
            ("owner", self.owner.clone()),
            ("older", self.older.clone()),
        ]
    }
}

impl Bulk {
    fn filter(&self) -> Map<String, Value> {
        let pairs = self.which.pairs().into_iter().chain([("partner", self.partner.clone())]);
        pairs.filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((pointer, value)) if pointer.starts_with('/') => Ok((pointer.to_owned(), value.to_owned())),
        _ => Err("expected POINTER=VALUE, like `/items/0/lot=L19284A`".to_owned()),
    }
}

/// Runs an `exception` command.
///
/// # Errors
/// The gateway cannot be reached, or its answer is no.
pub async fn exception(command: Exception, admin: &AdminArgs) -> Result<(), Error> {
    let client = Client::new(admin);
    match command {
        Exception::List { page, which, group, all } => {
            listed(&client, admin, page, &which, group, all).await?
        }
        Exception::Show { id } => {
            let found = client.get(&format!("exceptions/{id}")).await?;
            if admin.json {
                show::line(&found);
            } else {
                print_exception(&found);
            }
        }
        Exception::Retry { id: Some(id), remap, bulk: _, by } => {
            let asked = json!({ "by": by, "remap": remap });
            resolved(admin, &client.post(&format!("exceptions/{id}/retry"), &asked).await?);
        }
        Exception::Retry { id: None, remap, bulk, by } => {
            let asked = json!({ "action": "retry", "by": by, "remap": remap });
            in_bulk(&client, admin, &bulk, asked).await?;
        }
        Exception::Edit { id, set, outbound, media_type, by } => {
            let mut asked = json!({ "by": by });
            match outbound {
                Some(file) => {
                    let content = std::fs::read(&file)
                        .map_err(|error| Error::No(format!("{}: {error}", file.display())))?;
                    asked["outbound"] = json!({ "content": STANDARD.encode(content) });
                    if let Some(media_type) = media_type {
                        asked["outbound"]["media_type"] = media_type.into();
                    }
                }
                None => {
                    let set: Map<_, _> = set.into_iter().map(|(at, value)| (at, value.into())).collect();
                    asked["set"] = set.into();
                }
            }
            resolved(admin, &client.post(&format!("exceptions/{id}/edit"), &asked).await?);
        }
        Exception::Assign { id, owner } => {
            let answer = client.post(&format!("exceptions/{id}/assign"), &json!({ "owner": owner })).await?;
            if admin.json {
                show::line(&answer);
            } else {
                let owner = answer["owner"].as_str().unwrap_or("nobody");
                anstream::println!("exception {id} is in charge of {}", show::safe(owner));
            }
        }
        Exception::Discard { id: Some(id), reason, bulk: _, by } => {
            let asked = json!({ "by": by, "reason": reason });
            resolved(admin, &client.post(&format!("exceptions/{id}/discard"), &asked).await?);
        }
        Exception::Discard { id: None, reason, bulk, by } => {
            let asked = json!({ "action": "discard", "by": by, "reason": reason });
            in_bulk(&client, admin, &bulk, asked).await?;
        }
    }
    Ok(())
}

async fn listed(
    client: &Client,
    admin: &AdminArgs,
    page: Page,
    which: &Which,
    group: Option<String>,
    all: bool,
) -> Result<(), Error> {
    let grouped = group.is_some();
    let mut pairs = vec![
        ("limit", Some(page.limit.to_string())),
        ("partner", page.partner),
        ("group", group),
        ("all", all.then(|| "true".to_owned())),
    ];
    pairs.extend(which.pairs());
    let found = client.get(&format!("exceptions{}", query(&pairs))).await?;
    if grouped {
        let headings = ["group", "count", "oldest", "newest", "like", "says"];
        list(admin, page.limit, &found["groups"], &headings, "no open exceptions", |row| {
            vec![
                show::text(&row["value"]),
                show::text(&row["count"]),
                show::second(&row["oldest"]),
                show::second(&row["newest"]),
                show::text(&row["example"]),
                show::brief(&row["detail"], 60),
            ]
        });
        return Ok(());
    }
    let headings = ["exception", "since", "partner", "target", "keys", "why", "waiting", "owner"];
    list(admin, page.limit, &found["exceptions"], &headings, "no open exceptions", |row| {
        vec![
            show::text(&row["id"]),
            show::second(&row["since"]),
            show::text(&row["partner"]),
            show::text(&row["target"]),
            show::keys(&row["keys"]),
            show::text(&row["cause"]["code"]),
            show::text(&row["waiting"]),
            show::text(&row["owner"]),
        ]
    });
    Ok(())
}

/// Shows what would be done; with `--yes` it is done, and watched.
async fn in_bulk(client: &Client, admin: &AdminArgs, bulk: &Bulk, mut asked: Value) -> Result<(), Error> {
    let filter = bulk.filter();
    if filter.is_empty() && !bulk.every {
        return Err(Error::No(
            "name an exception, or say which by --target, --cause, --fingerprint …; `--every` means all"
                .to_owned(),
        ));
    }
    asked["filter"] = filter.into();
    asked["rate"] = bulk.rate.into();
    asked["apply"] = bulk.yes.into();
    let answer = client.post("exceptions/bulk", &asked).await?;
    let plan = &answer["plan"];
    if admin.json {
        show::line(plan);
    } else {
        print_plan(plan);
    }
    if !bulk.yes {
        anstream::eprintln!("this is the plan, nothing was done; `--yes` carries it out");
        return Ok(());
    }
    job::watch(client, admin, &answer["job"]).await
}

fn print_plan(plan: &Value) {
    anstream::println!(
        "{} exceptions, {} later events wait behind them",
        show::text(&plan["exceptions"]),
        show::text(&plan["waiting"])
    );
    for group in plan["groups"].as_array().map(Vec::as_slice).unwrap_or_default() {
        anstream::println!(
            "  {:>6}  like {}: {}",
            show::text(&group["count"]),
            show::text(&group["example"]),
            show::safe(&show::brief(&group["detail"], 70))
        );
    }
    if plan["left_out"].as_u64().is_some_and(|left_out| left_out > 0) {
        let left_out = show::text(&plan["left_out"]);
        anstream::println!(
            "  {left_out:>6}  left out: a contradiction was never sent, so it can only be discarded"
        );
    }
    if plan["more"] == true {
        anstream::println!("  there are more; do these first");
    }
}

fn resolved(admin: &AdminArgs, answer: &Value) {
    let resolution = &answer["resolution"];
    if admin.json {
        show::line(resolution);
        return;
    }
    let (id, action) = (show::text(&resolution["exception"]), show::text(&resolution["action"]));
    anstream::println!("exception {id} {action} by {}", show::safe(&show::text(&resolution["by"])));
    if let Some(waiting) = resolution["waiting"].as_u64().filter(|waiting| *waiting > 0) {
        anstream::println!("{waiting} later events of its lanes follow in order");
    }
}

fn print_exception(found: &Value) {
    let exception = &found["exception"];
    let mut route = show::text(&exception["partner"]);
    // What contradicts an earlier event never set out for a target.
    if let Some(target) = exception["target"].as_str() {
        route = format!("{route} → {target}");
    }
    let waiting = exception["waiting"].as_u64().unwrap_or(0);
    anstream::println!(
        "{}   {}   since {}   holds {waiting} later events",
        show::safe(&route),
        show::safe(&show::keys(&exception["keys"])),
        show::text(&exception["since"])
    );
    anstream::println!(
        "{}, from message {}",
        show::text(&exception["type"]),
        show::text(&found["message_id"])
    );
    let cause = &exception["cause"];
    anstream::println!(
        "  why      {}: {}",
        show::text(&cause["code"]),
        show::safe(&show::text(&cause["detail"]))
    );
    print_errors("  at       ", &cause["diagnostics"]);
    for attempt in found["attempts"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let said = if attempt["status"].is_null() {
            show::text(&attempt["error"])
        } else {
            show::text(&attempt["status"])
        };
        let excerpt = attempt["excerpt"].as_str().map(|text| format!(": \"{text}\"")).unwrap_or_default();
        anstream::println!(
            "  tried    {}  {}",
            show::text(&attempt["started_at"]),
            show::safe(&format!("{said}{excerpt}"))
        );
    }
    if let Some(resolution) = exception["resolution"].as_object() {
        let why = resolution.get("reason").and_then(Value::as_str).map(|why| format!(": {why}"));
        anstream::println!(
            "  ended    {} by {} at {}{}",
            show::text(&resolution["action"]),
            show::safe(&show::text(&resolution["by"])),
            show::second(&resolution["at"]),
            show::safe(&why.unwrap_or_default())
        );
    } else {
        let owner = exception["owner"].as_str().unwrap_or("nobody");
        anstream::println!(
            "  in charge {}   alike {}",
            show::safe(owner),
            show::text(&exception["fingerprint"])
        );
    }
    for past in found["past"].as_array().map(Vec::as_slice).unwrap_or_default() {
        anstream::println!(
            "  replaced revision {} by {} at {}",
            show::text(&past["revision"]),
            show::safe(&show::text(&past["replaced_by"])),
            show::second(&past["replaced_at"])
        );
    }
    print_document("came as", &found["document"]);
    print_document("sent as", &found["outbound"]["document"]);
    if exception["resolution"].is_null() {
        let id = show::text(&exception["id"]);
        anstream::println!("do");
        // What contradicts an earlier event was never on its way, so there is nothing to send again.
        if !exception["delivery"].is_null() {
            anstream::println!("  retry     crossdock exception retry {id}");
            anstream::println!("  edit      crossdock exception edit {id} --set /POINTER=VALUE");
        }
        anstream::println!("  discard   crossdock exception discard {id} --reason \"…\"");
    }
}
