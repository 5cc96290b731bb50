//! `policy explain`: what would become of a call, stage by stage, and which rule decides.

use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use super::{
    Answer, Error,
    curl::{self, Request},
    recorded, right,
    stage::{Mappers, Stage},
};
use crate::{
    auth,
    cli::{client, show},
    pipeline::rehearse::{Call, End, Played},
    policy::{
        Checked,
        checked::{Limits, Origin},
        trial::As,
        units,
    },
    problem::Problem,
    words::{Caller, Clock, MessageId, PartnerName, Random, Revision, Time},
};

/// Arguments of `policy explain`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  crossdock policy explain --as acme-3pl --call 'POST /v1/shipments/confirmations' --on 2027-04-01\n  \
    crossdock policy explain --curl \"curl https://gateway/tracking/milestones -H 'X-Api-Key: …' --json @status.json\"\n  \
    crossdock policy explain --message 01JD8Q2M7T6V9K3H5X0YB4N8RC"
)]
pub(super) struct Explain {
    /// The policy folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Who calls: PARTNER, PARTNER/CREDENTIAL or nobody; without it the credential in the call says so
    #[arg(long = "as", value_name = "WHO", value_parser = who)]
    who: Option<As>,
    /// A scope that the caller's token brings; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What is called, as it is sent
    #[arg(long, value_name = "METHOD PATH", group = "what")]
    call: Option<String>,
    /// A file with the text of an HTTP request; `-` for standard input
    #[arg(long, value_name = "FILE", group = "what")]
    request: Option<PathBuf>,
    /// A curl command line; `-` for standard input
    #[arg(long, value_name = "COMMAND", group = "what")]
    curl: Option<String>,
    /// A message that a running gateway took or refused
    #[arg(long, value_name = "ID", group = "what")]
    message: Option<MessageId>,
    /// A header field, `Name: value`; may be repeated
    #[arg(long = "header", short = 'H', value_name = "FIELD")]
    headers: Vec<String>,
    /// The document
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The day or moment of the call; now, if none is given
    #[arg(long, value_name = "DATE", value_parser = moment)]
    on: Option<Time>,
    #[command(flatten)]
    mappers: Mappers,
    #[command(flatten)]
    admin: client::AdminArgs,
}

fn who(text: &str) -> Result<As, String> {
    if text == "nobody" {
        return Ok(As::Nobody);
    }
    let (partner, credential) =
        text.split_once('/').map_or((text, None), |(partner, credential)| (partner, Some(credential.into())));
    let name = PartnerName::new(partner).map_err(|error| error.to_string())?;
    Ok(As::Partner { name, credential, scopes: Vec::new() })
}

pub(in crate::cli) fn moment(text: &str) -> Result<Time, String> {
    let moment = || text.parse::<jiff::Timestamp>().map(|moment| Time::from_millis(moment.as_millisecond()));
    units::date(text).or_else(|wrong| moment().map_err(|_| wrong))
}

impl Explain {
    /// Plays the call and tells of it.
    pub fn run(&self, clock: &dyn Clock, random: &dyn Random) -> Result<Answer, Error> {
        let (_, checked) = right(&self.folder, clock.now())?;
        let mut now = self.on.unwrap_or_else(|| clock.now());
        let mut before = None;
        let mut who = self.who.clone();
        let mut request = match self.message {
            None => self.named()?,
            Some(id) => {
                let found = recorded::Recordings::new(&self.admin)?.one(id)?;
                let recorded = recorded::call(&checked, &found).map_err(anyhow::Error::msg)?;
                now = self.on.unwrap_or(recorded.at);
                who = who.or(Some(recorded.who));
                before = Some(recorded::story(&found));
                recorded.request
            }
        };
        for field in &self.headers {
            curl::add(&mut request.headers, field).map_err(anyhow::Error::msg)?;
        }
        if let Some(body) = &self.body {
            request.body = file(body)?.into();
        }
        let stage = Stage::new(checked, self.mappers.mappers.as_deref(), clock, random)?;
        let who = who.map(|who| with_scopes(who, &self.scopes));
        let played = stage.play(|| Call {
            caller: self.caller(&stage, who.as_ref(), &request.headers, now),
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            now,
        });
        let token = who.is_none() && request.headers.contains_key(header::AUTHORIZATION);
        let told =
            Told { checked: &stage.checked, request: &request, played: &played, now, unverified: token };
        let yes = !matches!(played.end, End::Refused(_));
        let text = if self.admin.json { told.json(before) } else { told.text(before, &stage.missing) };
        Ok(Answer { text, note: None, yes })
    }

    fn caller(
        &self,
        stage: &Stage<'_>,
        who: Option<&As>,
        headers: &HeaderMap,
        now: Time,
    ) -> Result<Caller, auth::Error> {
        match who {
            Some(who) => stage.caller(who, now),
            None => stage.caller_of(headers, now),
        }
    }

    fn named(&self) -> Result<Request, Error> {
        let here = Path::new(".");
        let read = match (&self.call, &self.request, &self.curl) {
            (Some(call), _, _) => {
                let wrong =
                    || "--call: a method and a path, such as 'POST /v2/shipments/confirmations'".to_owned();
                call.trim().split_once(' ').ok_or_else(wrong).and_then(|(method, path)| {
                    let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?;
                    let path = curl::path_of(path.trim())?;
                    Ok(Request { method, path, headers: HeaderMap::new(), body: Bytes::new() })
                })
            }
            (None, Some(path), _) => curl::request(&file(path)?),
            (None, None, Some(text)) if text == "-" => {
                let text = file(Path::new("-"))?;
                curl::curl(&String::from_utf8_lossy(&text), here)
            }
            (None, None, Some(text)) => curl::curl(text, here),
            (None, None, None) => {
                Err("say what is called: --call, --request, --curl or --message".to_owned())
            }
        };
        Ok(read.map_err(anyhow::Error::msg)?)
    }
}

/// Longest request that is read: a document of the largest operation, and room.
const REQUEST_MAX_BYTES: u64 = 64 << 20;

fn file(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(REQUEST_MAX_BYTES).read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|file| file.take(REQUEST_MAX_BYTES).read_to_end(&mut bytes)),
    };
    read.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Ok(bytes)
}

fn with_scopes(who: As, more: &[String]) -> As {
    match who {
        As::Partner { name, credential, mut scopes } => {
            scopes.extend_from_slice(more);
            As::Partner { name, credential, scopes }
        }
        other => other,
    }
}

/// All that is told of a played call.
struct Told<'a> {
    checked: &'a Checked,
    request: &'a Request,
    played: &'a Played,
    now: Time,
    /// Whether the caller showed a token that nobody verified.
    unverified: bool,
}

impl Told<'_> {
    fn text(&self, before: Option<Value>, missing: &[String]) -> String {
        let mut out = String::new();
        let path = show::safe(&self.request.path);
        let _ = writeln!(out, "{} {path}   on {}", self.request.method, self.now);
        if let Some(before) = before {
            out.push_str(&told_before(&before));
        }
        out.push('\n');
        for step in &self.played.steps {
            let mark = if step.passed { "\u{1b}[32m✓\u{1b}[0m" } else { "\u{1b}[1;31m✗\u{1b}[0m" };
            let said = show::safe(&step.said);
            let rule = step.rule.as_deref().unwrap_or("");
            if said.chars().count() > 52 {
                let _ = writeln!(out, "{mark} {:<13} {rule}\n    {said}", step.stage);
            } else {
                let _ =
                    writeln!(out, "{}", format!("{mark} {:<13} {said:<54} {rule}", step.stage).trim_end());
            }
        }
        if self.unverified {
            out.push_str(
                "  the token's claims were read; its signature, dates and audience were not checked\n",
            );
        }
        let limits = self.limits();
        if !limits.is_empty() {
            out.push_str("\nlimits that count it\n");
            for (name, limit, origin) in &limits {
                let _ = writeln!(out, "  {name:<13} {limit:<54} {origin}");
            }
        }
        for missing in missing {
            let _ = writeln!(out, "\nnot there: {missing}");
        }
        out.push('\n');
        match &self.played.end {
            End::Accepted => out.push_str("accepted\n"),
            End::Open(why) => {
                let _ = writeln!(out, "accepted as far as can be told: {why}");
            }
            End::Refused(refusal) => {
                let problem = Problem::new(refusal, MessageId::from_bytes([0; 16]), Revision::stored("-"));
                let kind = refusal.class().name;
                let _ = writeln!(out, "refused: {} {kind}. {}", problem.status, show::safe(&problem.detail));
                for error in problem.errors.iter().take(5) {
                    let at = error.at.as_ref().map_or("", |at| at.path.as_str());
                    let rule = error.rule.as_deref().map(|rule| format!("   {rule}")).unwrap_or_default();
                    let _ = writeln!(
                        out,
                        "  {}  {}{}",
                        show::safe(at),
                        show::safe(&error.message),
                        show::safe(&rule)
                    );
                }
            }
        }
        out
    }

    fn json(&self, before: Option<Value>) -> String {
        let mut out = String::new();
        if let Some(mut before) = before {
            before["kind"] = "recorded".into();
            let _ = writeln!(out, "{before}");
        }
        for step in &self.played.steps {
            let line = json!({ "kind": "stage", "stage": step.stage, "passed": step.passed, "said": step.said, "rule": step.rule });
            let _ = writeln!(out, "{line}");
        }
        for (name, limit, origin) in self.limits() {
            let _ = writeln!(
                out,
                "{}",
                json!({ "kind": "limit", "of": name, "limit": limit, "rule": origin.to_string() })
            );
        }
        let line = match &self.played.end {
            End::Accepted => json!({ "kind": "end", "accepted": true, "deliveries": self.played.deliveries }),
            End::Open(why) => json!({ "kind": "end", "accepted": true, "untold": why }),
            End::Refused(refusal) => {
                let problem = Problem::new(refusal, MessageId::from_bytes([0; 16]), Revision::stored("-"));
                let name = refusal.class().name;
                json!({ "kind": "end", "accepted": false, "problem": name, "status": problem.status,
                    "detail": problem.detail, "rule": self.played.rule(), "errors": problem.errors })
            }
        };
        let _ = writeln!(out, "{line}");
        out
    }

    /// The limits that the call counts under.
    fn limits(&self) -> Vec<(&'static str, String, &Origin)> {
        let mut limits = Vec::new();
        let mut add = |name, limit: &Limits, origin| {
            if *limit != Limits::default() {
                limits.push((name, units::limits(limit), origin));
            }
        };
        let Some(caller) = &self.played.caller else { return limits };
        if let Some(partner) = self.checked.partners.get(&caller.partner) {
            add("partner", &partner.limits, &partner.origin);
            let own = partner.credentials.iter().find(|credential| credential.name == caller.credential);
            if let Some(own) = own {
                add("credential", &own.limits, &own.origin);
            }
        }
        let operation = self.played.operation.as_ref().and_then(|(api, operation)| {
            self.checked.apis.get(api.as_str())?.operations.get(operation.as_str())
        });
        if let Some(operation) = operation {
            add("operation", &operation.limits, &operation.origin);
        }
        limits
    }
}

/// What became of a recorded call when it came.
fn told_before(before: &Value) -> String {
    let revision = show::text(&before["revision"]);
    let state = show::text(&before["state"]);
    let why = before["problem"]["detail"].as_str().map(|detail| format!(": {}", show::safe(detail)));
    let mut out = format!("then      {state} under revision {revision}{}\n", why.unwrap_or_default());
    if before["problem"].is_object() {
        out.push_str("          the document of a refused call is not kept: it is told without one\n");
    }
    out.push_str("now       by these files\n");
    out
}
