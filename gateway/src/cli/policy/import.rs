//! `policy import`: policies begun from what a system says of itself.

use std::{fmt::Write as _, fs, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Answer, Error};
use crate::{
    cli::show,
    policy::{self, openapi},
    words::{ApiName, PartnerName},
};

/// Largest OpenAPI file.
const FILE_MAX_BYTES: u64 = 32 << 20;

/// Arguments of `policy import`.
#[derive(Args, Debug)]
pub(super) struct Import {
    #[command(subcommand)]
    from: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// Begin an API, its target and its schemas from an OpenAPI 3 file, JSON or YAML
    #[command(
        after_help = "Example: crossdock policy import openapi rates.yaml --name rates --partner acme-3pl"
    )]
    Openapi(Openapi),
}

#[derive(Args, Debug)]
struct Openapi {
    /// The OpenAPI file
    file: PathBuf,
    /// Name of the API and of its target
    #[arg(long, value_name = "NAME", value_parser = ApiName::new)]
    name: ApiName,
    /// Who may call all of it; without one nobody may
    #[arg(long, value_name = "PARTNER", value_parser = PartnerName::new)]
    partner: Option<PartnerName>,
    /// The policy folder; files that are there are left alone
    #[arg(long, value_name = "DIR", default_value = "policies")]
    folder: PathBuf,
}

impl Import {
    pub fn run(&self) -> Result<Answer, Error> {
        let Kind::Openapi(asked) = &self.from;
        let name = asked.file.display();
        let length = fs::metadata(&asked.file).map_err(|error| anyhow::anyhow!("{name}: {error}"))?.len();
        if length > FILE_MAX_BYTES {
            return Err(anyhow::anyhow!("{name}: larger than {} MiB", FILE_MAX_BYTES >> 20).into());
        }
        let text = fs::read_to_string(&asked.file).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let openapi = policy::yaml_or_json(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let partner = asked.partner.as_ref().map(ToString::to_string);
        let import = openapi::Import { name: asked.name.clone(), partner };
        let begun = openapi::import(&openapi, &import).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let taken: Vec<&String> = begun
            .files
            .iter()
            .map(|(path, _)| path)
            .filter(|path| asked.folder.join(path).exists())
            .collect();
        if let Some(path) = taken.first() {
            let path = asked.folder.join(path);
            let help = "take it away first, or choose another --name";
            return Err(anyhow::anyhow!("{} is there already\n  help: {help}", path.display()).into());
        }
        let mut out = String::new();
        for (path, text) in &begun.files {
            let place = asked.folder.join(path);
            super::write(&place, text)?;
            let _ = writeln!(out, "wrote     {}", place.display());
        }
        for left in &begun.left_out {
            let _ = writeln!(out, "left out  {}", show::safe(left));
        }
        let _ = writeln!(out, "\nnext      crossdock policy check {}", asked.folder.display());
        Ok(Answer { text: out, note: None, yes: true })
    }
}
