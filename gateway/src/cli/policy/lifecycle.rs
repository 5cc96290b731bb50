//! `policy lifecycle`: versions that are going, who still calls them, and whom to write to.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use super::{Answer, Error, recorded::Recordings, right};
use crate::{
    cli::{client::AdminArgs, show},
    policy::{
        Checked,
        checked::{Api, Origin, Version, VersionState},
        units,
    },
    words::{Clock, Time},
};

/// Arguments of `policy lifecycle`.
#[derive(Args, Debug)]
#[command(after_help = "Example: crossdock policy lifecycle policies --since 30d --within 180d")]
pub(super) struct Lifecycle {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// How far back calls are looked at
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = units::duration)]
    since: Duration,
    /// Only versions that end within this time; all that are going, if none is given
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    within: Option<Duration>,
    /// At most so many of each partner's newest messages are looked at
    #[arg(long, value_name = "N", default_value_t = 2000)]
    most: usize,
    /// Do not ask a running gateway: only what the files say
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// One version that is going, for one partner that may call it.
struct Going {
    api: String,
    version: String,
    sunset: Option<Time>,
    successor: Option<String>,
    origin: Origin,
    partner: String,
    owner: Option<String>,
    uses: Uses,
}

/// What was seen of its calls.
#[derive(Clone, Default)]
struct Uses {
    calls: usize,
    refused: usize,
    last: Option<Time>,
    /// There were more messages than were looked at.
    more: bool,
}

impl Lifecycle {
    pub fn run(&self, clock: &dyn Clock) -> Result<Answer, Error> {
        let now = clock.now();
        let (_, checked) = right(&self.folder, now)?;
        let mut going = self.going(&checked, now);
        if !self.offline && !going.is_empty() {
            self.used(&checked, &mut going, now)?;
        }
        going.sort_by_key(|one| {
            (one.sunset.map_or(i64::MAX, Time::millis), one.api.clone(), one.version.clone())
        });
        let text = if self.admin.json { lines(&going) } else { self.told(&going, now) };
        Ok(Answer { text, note: None, yes: true })
    }

    fn going(&self, checked: &Checked, now: Time) -> Vec<Going> {
        let mut all = Vec::new();
        for api in checked.apis.values() {
            for (name, version) in api.versions.iter().filter(|(_, version)| self.goes(version, now)) {
                for partner in callers(api, name.as_str()) {
                    let whose = checked.partners.get(partner);
                    all.push(Going {
                        api: api.name.to_string(),
                        version: name.to_string(),
                        sunset: version.sunset,
                        successor: version.successor.as_ref().map(ToString::to_string),
                        origin: version.origin.clone(),
                        partner: partner.to_owned(),
                        owner: whose.and_then(|partner| partner.owner.clone()),
                        uses: Uses::default(),
                    });
                }
            }
        }
        all
    }

    fn goes(&self, version: &Version, now: Time) -> bool {
        let going = matches!(version.state, VersionState::Deprecated | VersionState::Retired)
            || version.deprecated.is_some()
            || version.sunset.is_some();
        let soon = self.within.is_none_or(|within| {
            version.state == VersionState::Retired
                || version.sunset.is_some_and(|sunset| sunset <= now.after(within))
        });
        going && soon
    }

    /// Counts what partners called. A message's version stands in its receipt, so each is asked for.
    fn used(&self, checked: &Checked, going: &mut [Going], now: Time) -> Result<(), Error> {
        let recordings = Recordings::new(&self.admin)?;
        let since = Time::from_millis(now.millis() - i64::try_from(self.since.as_millis()).unwrap_or(0));
        let mut partners: Vec<String> = going.iter().map(|one| one.partner.clone()).collect();
        partners.sort();
        partners.dedup();
        for partner in partners {
            let Some((name, _)) = checked.partners.get_key_value(partner.as_str()) else { continue };
            let (messages, more) = recordings.since(since, Some(name), self.most)?;
            let mut uses: BTreeMap<(String, String), Uses> = BTreeMap::new();
            for message in &messages {
                let operation = show::text(&message["operation"]);
                let Some((api, _)) = operation.split_once('/') else { continue };
                if !going.iter().any(|one| one.partner == partner && one.api == api) {
                    continue;
                }
                let Ok(id) = show::text(&message["id"]).parse() else { continue };
                let found = recordings.one(id)?;
                let gone =
                    found["problem"]["type"].as_str().is_some_and(|kind| kind.ends_with("/version-retired"));
                let version = match (found["receipt"]["version"].as_str(), gone) {
                    (Some(version), _) => version.to_owned(),
                    // The problem says which: "Version v1 has reached its sunset".
                    (None, true) => {
                        let detail = found["problem"]["detail"].as_str().unwrap_or_default();
                        detail.split(' ').nth(1).unwrap_or_default().to_owned()
                    }
                    (None, false) => continue,
                };
                let uses = uses.entry((api.to_owned(), version)).or_default();
                uses.calls += usize::from(!gone);
                uses.refused += usize::from(gone);
                uses.last = serde_json::from_value(message["received_at"].clone()).ok().max(uses.last);
            }
            for one in going.iter_mut().filter(|one| one.partner == partner) {
                one.uses = uses.get(&(one.api.clone(), one.version.clone())).cloned().unwrap_or_default();
                one.uses.more = more;
            }
        }
        Ok(())
    }

    fn told(&self, going: &[Going], now: Time) -> String {
        let mut out = String::new();
        let mut before = None;
        for one in going {
            let version = (&one.api, &one.version);
            if before != Some(version) {
                let gap = if before.is_some() { "\n" } else { "" };
                let end = match one.sunset {
                    None => "no sunset".to_owned(),
                    Some(sunset) if sunset <= now => format!("gone since {}", units::day(sunset)),
                    Some(sunset) => {
                        format!(
                            "ends {}, in {} days",
                            units::day(sunset),
                            sunset.since(now).as_secs() / 86_400
                        )
                    }
                };
                let successor =
                    one.successor.as_ref().map(|next| format!(", then {next}")).unwrap_or_default();
                let _ = writeln!(out, "{gap}{} {}   {end}{successor}   {}", one.api, one.version, one.origin);
                before = Some(version);
            }
            let owner =
                one.owner.as_ref().map_or("nobody: `owner` is missing".to_owned(), |owner| show::safe(owner));
            let more = if one.uses.more { "at least " } else { "" };
            let uses = match (&one.uses.last, self.offline) {
                (_, true) => "may call it".to_owned(),
                (None, _) => format!("no call in {}", units::span(self.since)),
                (Some(last), _) => {
                    let refused = match one.uses.refused {
                        0 => String::new(),
                        refused => format!(", {refused} refused with 410"),
                    };
                    format!("{more}{} calls{refused}, last {}", one.uses.calls, units::day(*last))
                }
            };
            let _ = writeln!(out, "  {:<20} {uses:<44} write to {owner}", one.partner);
        }
        if going.is_empty() {
            out.push_str("No version that anybody may call is going.\n");
        }
        out
    }
}

fn lines(going: &[Going]) -> String {
    let mut out = String::new();
    for one in going {
        let line = json!({ "api": one.api, "version": one.version, "sunset": one.sunset, "successor": one.successor,
            "rule": one.origin.to_string(), "partner": one.partner, "owner": one.owner, "calls": one.uses.calls,
            "refused": one.uses.refused, "last": one.uses.last, "more": one.uses.more });
        let _ = writeln!(out, "{line}");
    }
    out
}

/// Partners that may call something in this version, each once.
fn callers<'a>(api: &'a Api, version: &str) -> Vec<&'a str> {
    let grants =
        api.grants.iter().filter(|grant| grant.versions.iter().any(|granted| granted.as_str() == version));
    let mut callers: Vec<&str> = grants.map(|grant| grant.partner.as_str()).collect();
    callers.sort_unstable();
    callers.dedup();
    callers
}
