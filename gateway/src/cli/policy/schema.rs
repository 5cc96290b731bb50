//! `policy schema` and `policy show`: what can be written, and what is in force where nothing was.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use serde_json::json;

use super::{Answer, Error, right};
use crate::{
    cli::show,
    policy::schema::{self, KINDS},
    words::Time,
};

/// Arguments of `policy schema`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  crossdock policy schema api\n  crossdock policy schema --out .schemas")]
pub(super) struct Schema {
    /// The kind of file
    #[arg(value_parser = KINDS.map(|(kind, _)| kind))]
    kind: Option<String>,
    /// Write one file for each kind here, and print what editors need to find them
    #[arg(long, value_name = "DIR", conflicts_with = "kind")]
    out: Option<PathBuf>,
}

impl Schema {
    pub fn run(&self) -> Result<Answer, Error> {
        let mut text = String::new();
        let shown = |kind: &str| schema::of(kind).map(|schema| format!("{schema:#}\n")).unwrap_or_default();
        match (&self.kind, &self.out) {
            (Some(kind), _) => text = shown(kind),
            (None, Some(folder)) => {
                let mut settings = serde_json::Map::new();
                for (kind, place) in KINDS {
                    let file = folder.join(format!("{kind}.schema.json"));
                    super::write(&file, &shown(kind))?;
                    settings.insert(file.display().to_string(), json!(format!("policies/{place}")));
                }
                // The form that the YAML language server takes, in VS Code and elsewhere.
                let _ = writeln!(text, "{:#}", json!({ "yaml.schemas": settings }));
            }
            (None, None) => {
                for (kind, place) in KINDS {
                    let _ = writeln!(text, "{kind:<14} {place}");
                }
            }
        }
        Ok(Answer { text, note: None, yes: true })
    }
}

/// Arguments of `policy show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  crossdock policy show policies --only retry\n  crossdock policy show --defaults --json"
)]
pub(super) struct Show {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Only keys or files that contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only what no file says
    #[arg(long)]
    defaults: bool,
    /// One line of JSON for each value
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn run(&self, now: Time) -> Result<Answer, Error> {
        let (source, _) = right(&self.folder, now)?;
        let mut text = String::new();
        let mut file = None;
        for one in schema::effective(&source) {
            let named = |only: &String| one.key.contains(only) || one.file.contains(only.as_str());
            if !self.only.as_ref().is_none_or(named) || self.defaults && one.line.is_some() {
                continue;
            }
            if self.json {
                let from = one.line.map_or(json!("default"), |line| json!(format!("{}:{line}", one.file)));
                let line = json!({ "file": &*one.file, "key": one.key, "value": one.value, "from": from });
                let _ = writeln!(text, "{line}");
                continue;
            }
            if file.as_ref() != Some(&one.file) {
                let gap = if file.is_some() { "\n" } else { "" };
                let _ = writeln!(text, "{gap}{}", show::safe(&one.file));
                file = Some(one.file.clone());
            }
            let from = one.line.map_or_else(|| "default".to_owned(), |line| format!("line {line}"));
            let (key, value) = (show::safe(&one.key), show::safe(&one.value));
            let _ = if key.chars().count() > 44 {
                writeln!(text, "  {key}\n  {:<44} {value:<38} {from}", "")
            } else {
                writeln!(text, "  {key:<44} {value:<38} {from}")
            };
        }
        Ok(Answer { text, note: None, yes: true })
    }
}
