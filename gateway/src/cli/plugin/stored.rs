//! `plugin show` and `plugin verify`: what a running gateway has stored, one generation whole or all of them checked.

use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, NO,
    live::{ask, digest, each, kilobytes},
};
use crate::cli::{
    client::{AdminArgs, encode},
    show,
};

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The mapper: the live generation of it, or the one of this version or digest.
    #[arg(value_name = "NAME[@VERSION]")]
    mapper: String,
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The gateway.
    #[command(flatten)]
    admin: AdminArgs,
}

/// One generation: where it came from, what it says of itself, what is bound to it.
pub(super) fn show(args: &ShowArgs) -> anyhow::Result<u8> {
    let path = match args.mapper.split_once('@') {
        Some((name, asked)) => format!("mappers/{}/generations/{}", encode(name), encode(asked)),
        None => format!("mappers/{}/generations", encode(&args.mapper)),
    };
    let found = match ask(&args.admin, async |client| client.get(&path).await)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    if args.admin.json {
        show::line(&found);
        return Ok(DONE);
    }
    let text = |name: &str| show::text(&found[name]);
    let manifest = &found["manifest"];
    let list = |value: &Value| each(value).iter().map(show::text).collect::<Vec<_>>().join(", ");
    let line = |name: &str, value: &str| {
        if !value.is_empty() && value != "-" {
            anstream::println!("  {name:<10}{}", show::safe(value));
        }
    };
    anstream::println!(
        "{}",
        show::safe(&format!("{} {}   {}", text("name"), text("version"), text("state")))
    );
    line("digest", &text("digest"));
    line("size", &format!("{} with {} cases", kilobytes(&found["size"]), text("cases")));
    line("pushed", &format!("{} by {}", show::second(&found["pushed_at"]), text("pushed_by")));
    line("source", &text("source"));
    line("signed", &text("signed_by"));
    line("language", &show::text(&manifest["language"]));
    line("follows", &show::text(&manifest["standard"]));
    line("maps", &list(&manifest["directions"]));
    line("reads", &list(&manifest["reads"]));
    line("writes", &list(&manifest["writes"]));
    line("tables", &list(&manifest["tables"]));
    line("numbers", &list(&manifest["control_numbers"]));
    line("imports", &list(&found["imports"]));
    let uses = each(&found["uses"]);
    for (index, one) in uses.iter().enumerate() {
        let name = if index == 0 { "serves" } else { "" };
        line(name, &format!("{}   {}", show::text(&one["what"]), show::text(&one["rule"])));
    }
    if uses.is_empty() {
        line("serves", "nothing: no operation and no subscription names it");
    }
    Ok(DONE)
}

/// Reads every stored file and holds it against its digest.
pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<u8> {
    let found = match ask(&args.admin, async |client| client.post("mappers/verify", &json!({})).await)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    let damaged = each(&found["damaged"]);
    let code = if damaged.is_empty() { DONE } else { NO };
    if args.admin.json {
        show::line(&found);
        return Ok(code);
    }
    for one in damaged {
        let title = format!("{}@{}", show::text(&one["name"]), show::text(&one["version"]));
        let line = format!(
            "damaged  {title} ({}, {})\n         {}",
            digest(&one["digest"]),
            show::text(&one["state"]),
            show::text(&one["what"])
        );
        anstream::println!("{}", show::safe(&line));
        anstream::println!("         push the same file again, or promote another generation");
    }
    let strays = found["strays"].as_u64().unwrap_or(0);
    let stray =
        if strays == 0 { String::new() } else { format!("; {strays} files that nothing names: plugin gc") };
    anstream::println!(
        "whole    {} generations, {}{stray}",
        show::text(&found["whole"]),
        kilobytes(&found["bytes"])
    );
    Ok(code)
}
