//! `policy check`: everything that is wrong with a folder.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    Answer, Error,
    stage::{Mappers, wanted},
};
use crate::{
    cli::plugin::hand::Hand,
    policy,
    words::{Clock, Random},
};

/// Arguments of `policy check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossdock policy check policies --deny-warnings\n  crossdock policy check --format sarif > policies.sarif"
)]
pub(super) struct Check {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value = "text", conflicts_with = "json")]
    format: Format,
    #[command(flatten)]
    mappers: Mappers,
    /// Warnings, too, make the answer no
    #[arg(long)]
    deny_warnings: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One line for each finding
    Json,
    /// SARIF 2.1.0, which code hosts show beside the changed lines
    Sarif,
}

impl Check {
    pub fn run(&self, clock: &dyn Clock, random: &dyn Random) -> Result<Answer, Error> {
        let source = policy::read(&self.folder)?;
        let (checked, mut report) = policy::check(&source, clock.now(), &policy::compiles);
        policy::trials(&source, checked.as_ref(), &mut report);
        if let (Some(folder), Some(checked)) = (&self.mappers.mappers, &checked) {
            let hand = Hand::open(folder, &wanted(checked), clock, random)?;
            let manifests = hand
                .mappers()
                .iter()
                .map(|(name, mapper)| (name.clone(), (mapper.manifest(), mapper.digest())));
            policy::fit(checked, &manifests.collect(), &mut report);
        }
        report.files += source.tests.len();
        let yes = report.errors() == 0 && !(self.deny_warnings && report.warnings() > 0);
        let folder = self.folder.to_string_lossy();
        let (text, note) = match self.format {
            Format::Text if !self.json => (report.render(&folder, true), None),
            Format::Sarif => {
                (format!("{:#}\n", policy::sarif::log(&report, &folder)), Some(report.summary()))
            }
            Format::Text | Format::Json => (report.json_lines(), Some(report.summary())),
        };
        Ok(Answer { text, note, yes })
    }
}
