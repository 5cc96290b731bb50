//! `crossdock api …`: what the policies offer, for those who call it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::policy::{Error, print, right};
use crate::{
    policy::openapi,
    words::{Clock, PartnerName, Time},
};

/// What partners may call.
#[derive(Args, Debug)]
pub struct Api {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print OpenAPI 3.1 of what a partner may call
    #[command(after_help = "Example: crossdock api openapi --partner acme-3pl > acme-3pl.openapi.json")]
    Openapi(Openapi),
}

#[derive(Args, Debug)]
struct Openapi {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Only what this partner may call
    #[arg(long, value_name = "NAME", value_parser = PartnerName::new)]
    partner: Option<PartnerName>,
    /// As of this day or moment; now, if none is given
    #[arg(long, value_name = "DATE", value_parser = super::policy::moment)]
    on: Option<Time>,
}

impl Api {
    /// Carries the command out.
    ///
    /// # Errors
    /// The policies cannot be read or are wrong, or standard output is gone.
    pub fn run(&self, clock: &dyn Clock) -> Result<bool, Error> {
        let Command::Openapi(asked) = &self.command;
        let (_, checked) = right(&asked.folder, clock.now())?;
        if let Some(partner) = &asked.partner
            && !checked.partners.contains_key(partner)
        {
            let known: Vec<&str> = checked.partners.keys().map(PartnerName::as_str).take(10).collect();
            let known = known.join(", ");
            return Err(anyhow::anyhow!("there is no partner `{partner}`\n  help: there are: {known}").into());
        }
        let now = asked.on.unwrap_or_else(|| clock.now());
        print(&format!("{:#}\n", openapi::document(&checked, asked.partner.as_ref(), now)))?;
        Ok(true)
    }
}
