//! `plugin list`, `status`, `promote`, `rollback`, `gc`: which mappers a running gateway has, and which of them is
//! live. Clients of the admin API and nothing more.

use clap::Args;
use serde_json::{Value, json};

use super::{DONE, complain, shadow};
use crate::cli::{
    client::{AdminArgs, Client, Error, encode},
    show,
};

/// Who decides, and whom it is asked of.
#[derive(Debug, Args)]
pub(super) struct Asking {
    /// Who decides; for the audit
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    pub(super) by: String,
    /// The gateway.
    #[command(flatten)]
    pub(super) admin: AdminArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this mapper.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    /// The mapper, with the version or digest that is to go live.
    #[arg(value_name = "NAME@VERSION")]
    mapper: String,
    /// Compare it with what is live on so many recent documents first; 0 goes without
    #[arg(long, value_name = "N", default_value_t = 200)]
    shadow: usize,
    /// Go live even if it does something else than what is live
    #[arg(long)]
    accept_differences: bool,
    /// Serve so many percent of the business keys first, and come back by itself past the terms below
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    canary: Option<u8>,
    /// Canary: percent of messages that it may fail at where what is live does not
    #[arg(long, value_name = "PERCENT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    failing_max: u8,
    /// Canary: percent of messages that it may map otherwise
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    differing_max: u8,
    /// Canary: percent of the CPU time of what is live that it may take on the average
    #[arg(long, value_name = "PERCENT", default_value_t = 200)]
    time_max: u16,
    /// Who, and where.
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The mapper.
    #[arg(value_name = "NAME")]
    name: String,
    /// Who, and where.
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Keep so many earlier generations of each mapper, and so many that never served
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,
    /// Take them away; without it, only show what would go
    #[arg(long)]
    yes: bool,
    /// Who, and where.
    #[command(flatten)]
    asking: Asking,
}

/// Every stored generation, one a line.
pub(super) fn list(args: &ListArgs) -> anyhow::Result<u8> {
    let found = match ask(&args.admin, async |client| client.get("mappers").await)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    let mut rows = Vec::new();
    for mapper in each(&found["mappers"]) {
        for one in each(&mapper["generations"]) {
            if args.admin.json {
                let mut line = one.clone();
                line["name"] = mapper["name"].clone();
                show::line(&line);
            }
            rows.push(vec![
                show::text(&mapper["name"]),
                show::text(&one["version"]),
                show::text(&one["state"]),
                digest(&one["digest"]),
                kilobytes(&one["size"]),
                show::text(&one["cases"]),
                show::second(&one["pushed_at"]),
                show::text(&one["pushed_by"]),
                show::text(&one["source"]),
            ]);
        }
    }
    if !args.admin.json {
        let headings = ["mapper", "version", "state", "digest", "size", "cases", "pushed", "by", "source"];
        show::table(&headings, &rows, "no mapper is stored: crossdock plugin push");
    }
    damaged(&found["damage"]);
    Ok(DONE)
}

/// One mapper a line: what is live, what a rollback leads to, what waits, what is damaged.
pub(super) fn status(args: &StatusArgs) -> anyhow::Result<u8> {
    let asked = ask(&args.admin, async |client| match &args.name {
        Some(name) => {
            let found = client.get(&format!("mappers/{}", encode(name))).await?;
            Ok(json!({ "mappers": [found["mapper"]], "damage": [] }))
        }
        None => client.get("mappers").await,
    })?;
    let found = match asked {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    for mapper in each(&found["mappers"]) {
        if args.admin.json {
            show::line(mapper);
            continue;
        }
        let of = |state: &str| -> Vec<&Value> {
            each(&mapper["generations"]).iter().filter(|one| one["state"] == state).collect()
        };
        let title = |one: &Value| {
            let ready = if one["ready"] == true { "" } else { ", not loaded" };
            format!("{} ({}{ready})", show::text(&one["version"]), digest(&one["digest"]))
        };
        let titles = |all: &[&Value]| all.iter().take(5).map(|one| title(one)).collect::<Vec<_>>().join(", ");
        let print = |text: String| anstream::println!("{}", show::safe(&text));
        print(show::text(&mapper["name"]));
        match of("live").as_slice() {
            [live] => print(format!(
                "  live     {}   pushed {} by {}",
                title(live),
                show::second(&live["pushed_at"]),
                show::text(&live["pushed_by"])
            )),
            _ => print("  live     nothing".to_owned()),
        }
        if let Some(why) = mapper["unusable"].as_str() {
            print(format!("  damaged  {why}"));
        }
        candidate(mapper);
        let (earlier, held) = (of("earlier"), of("held"));
        if !earlier.is_empty() {
            print(format!("  earlier  {}", titles(&earlier)));
            print(format!("  back     crossdock plugin rollback {}", show::text(&mapper["name"])));
        }
        if !held.is_empty() {
            print(format!("  held     {}", titles(&held)));
        }
    }
    damaged(&found["damage"]);
    Ok(DONE)
}

/// The candidate that is out, and how the last one ended.
fn candidate(mapper: &Value) {
    let print = |text: String| anstream::println!("{}", show::safe(&text));
    let title = |one: &Value| format!("{} ({})", show::text(&one["version"]), digest(&one["digest"]));
    let out = &mapper["canary"];
    if !out.is_null() {
        let share = out["terms"]["share"].as_u64().unwrap_or(0);
        let (word, what) = match share {
            0 => ("watched", "beside what is live".to_owned()),
            share => ("canary", format!("{share} % of the keys")),
        };
        let count = |name: &str| show::text(&out[name]);
        print(format!("  {word:<8} {}   {what}", title(out)));
        print(format!(
            "           {} messages: {} the same, {} differ, {} only live maps, {} only it maps",
            count("seen"),
            count("same"),
            count("differing"),
            count("failing"),
            count("mended")
        ));
    }
    let ended = &mapper["ended"];
    if !ended.is_null() {
        print(format!(
            "  ended    {}   {} by {} after {} messages",
            title(ended),
            show::second(&ended["at"]),
            show::text(&ended["by"]),
            show::text(&ended["seen"])
        ));
        print(format!("           {}", show::text(&ended["why"])));
    }
}

/// Makes a stored generation live.
pub(super) fn promote(args: &PromoteArgs) -> anyhow::Result<u8> {
    let Some((name, to)) = args.mapper.split_once('@') else {
        let what = format!(
            "`{0}` says no version: {0}@VERSION, or {0}@DIGEST; `crossdock plugin list` shows them",
            args.mapper
        );
        return Ok(complain(&what, super::USE));
    };
    let mut to = to.to_owned();
    if args.shadow > 0 {
        let compared = match shadow::compared(&args.asking.admin, name, Some(&to), args.shadow)? {
            Ok(compared) => compared,
            Err(code) => return Ok(code),
        };
        if let Some(compared) = compared {
            shadow::print(&args.asking.admin, &compared);
            let differ = compared["differ"].as_u64().unwrap_or(0);
            if differ > 0 && !args.accept_differences {
                let what = format!(
                    "it differs in {differ} of {} documents, so what is live stays\n  help: --accept-differences makes it live all the same",
                    show::text(&compared["documents"])
                );
                return Ok(complain(&what, super::NO));
            }
            // What was compared goes live, whatever was pushed in between.
            to = show::text(&compared["candidate"]["digest"]);
        }
    }
    let (path, body) = match args.canary {
        None => (format!("mappers/{}/promote", encode(name)), json!({ "to": to, "by": args.asking.by })),
        Some(share) => {
            // Whoever accepts differences on recent documents accepts them on those of today.
            let differing = if args.accept_differences { 100 } else { args.differing_max };
            let body = json!({ "candidate": to, "share": share, "failing_max": args.failing_max,
                "differing_max": differing, "time_max": args.time_max, "by": args.asking.by });
            (format!("mappers/{}/canary", encode(name)), body)
        }
    };
    let changed = ask(&args.asking.admin, async |client| client.post(&path, &body).await)?;
    Ok(changed.map_or_else(|code| code, |changed| went_live(&args.asking.admin, "promoted", &changed)))
}

/// Makes the generation live that served before.
pub(super) fn rollback(args: &RollbackArgs) -> anyhow::Result<u8> {
    let path = format!("mappers/{}/rollback", encode(&args.name));
    let body = json!({ "by": args.asking.by });
    let changed = ask(&args.asking.admin, async |client| client.post(&path, &body).await)?;
    Ok(changed.map_or_else(|code| code, |changed| went_live(&args.asking.admin, "rolled-back", &changed)))
}

/// Shows what could go, or takes it away.
pub(super) fn gc(args: &GcArgs) -> anyhow::Result<u8> {
    let body = json!({ "keep": args.keep, "dry_run": !args.yes, "by": args.asking.by });
    let tidied = match ask(&args.asking.admin, async |client| client.post("mappers/gc", &body).await)? {
        Ok(tidied) => tidied,
        Err(code) => return Ok(code),
    };
    if args.asking.admin.json {
        show::line(&tidied);
        return Ok(DONE);
    }
    let gone = each(&tidied["generations"]);
    for one in gone {
        let line = [&one["name"], &one["version"]].map(show::text).join("@");
        let word = if args.yes { "removed" } else { "would go" };
        let size = kilobytes(&one["size"]);
        anstream::println!(
            "{}",
            show::safe(&format!("{word}  {line}   digest {}   {size}", digest(&one["digest"])))
        );
    }
    let strays = tidied["strays"].as_u64().unwrap_or(0);
    let stray = if strays == 0 { String::new() } else { format!(", and {strays} files that nothing names") };
    let summary = format!("{} generations, {}{stray}", gone.len(), kilobytes(&tidied["bytes"]));
    if args.yes {
        anstream::eprintln!("{summary} removed; what is live and {} before it stay", args.keep);
    } else if gone.is_empty() && strays == 0 {
        anstream::eprintln!("nothing would go: what is live and {} before it stay", args.keep);
    } else {
        anstream::eprintln!("{summary} would go. Do it: crossdock plugin gc --keep {} --yes", args.keep);
    }
    Ok(DONE)
}

/// Says what is live now and how to go back.
pub(super) fn went_live(admin: &AdminArgs, kind: &str, changed: &Value) -> u8 {
    if admin.json {
        super::show::line(kind, changed.clone());
        return DONE;
    }
    let text = |value: &Value| show::safe(&show::text(value));
    let (live, before) = (&changed["live"], &changed["before"]);
    let was = if before.is_null() { "nothing".to_owned() } else { text(&before["version"]) };
    if !changed["held"].is_null() {
        let held = &changed["held"];
        let (name, version) = (text(&held["name"]), text(&held["version"]));
        if held["digest"] == live["digest"] {
            anstream::println!(
                "live   {name} {version}   digest {} is live already",
                digest(&held["digest"])
            );
            return DONE;
        }
        anstream::println!("held   {name} {version}   digest {}   live: {was}", digest(&held["digest"]));
        anstream::println!("       crossdock plugin promote {name}@{}", digest(&held["digest"]));
        return DONE;
    }
    let name = text(&live["name"]);
    let ended = &changed["ended"];
    if !ended.is_null() {
        anstream::println!(
            "ended  {name} {}   digest {}   after {} messages: {}",
            text(&ended["version"]),
            digest(&ended["digest"]),
            text(&ended["seen"]),
            text(&ended["why"])
        );
        anstream::println!("live   {name} {}   digest {}", text(&live["version"]), digest(&live["digest"]));
        return DONE;
    }
    if kind == "promoted" && !changed["canary"].is_null() {
        let canary = &changed["canary"];
        let version = text(&canary["version"]);
        anstream::println!(
            "canary {name} {version}   digest {}   beside {}, revision {}",
            digest(&canary["digest"]),
            text(&live["version"]),
            text(&changed["revision"])
        );
        anstream::println!("look   crossdock plugin status {name}");
        anstream::println!("all    crossdock plugin promote {name}@{}", digest(&canary["digest"]));
        anstream::println!("back   crossdock plugin rollback {name}");
        return DONE;
    }
    anstream::println!(
        "live   {name} {}   digest {}   before: {was}",
        text(&live["version"]),
        digest(&live["digest"])
    );
    anstream::println!(
        "       swapped in {} µs, durable in {} µs, revision {}",
        text(&changed["took_micros"]),
        text(&changed["stored_micros"]),
        text(&changed["revision"])
    );
    if !before.is_null() && before != live {
        anstream::println!("back   crossdock plugin rollback {name}");
    }
    DONE
}

/// Asks the gateway, and complains where the answer is no.
pub(super) fn ask(
    admin: &AdminArgs,
    question: impl AsyncFnOnce(Client) -> Result<Value, Error>,
) -> anyhow::Result<Result<Value, u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(question(Client::new(admin)));
    Ok(answer.map_err(|error| complain(&show::safe(&error.to_string()), error.exit_code())))
}

fn damaged(damage: &Value) {
    for found in each(damage) {
        let text = format!("damaged  {}: {}", show::text(&found["file"]), show::text(&found["what"]));
        anstream::eprintln!("{}", show::safe(&text));
    }
}

pub(super) fn each(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn digest(value: &Value) -> String {
    show::safe(&show::text(value)).chars().take(8).collect()
}

pub(super) fn kilobytes(bytes: &Value) -> String {
    format!("{} KB", bytes.as_u64().unwrap_or(0).div_ceil(1000))
}
