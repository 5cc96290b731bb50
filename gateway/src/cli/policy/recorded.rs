//! Calls as a running gateway remembers them, and what other policies make of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Error, curl::Request, stage::Stage};
use crate::{
    cli::{
        client::{AdminArgs, Client, query},
        show,
    },
    pipeline::rehearse::{Call, End},
    policy::{
        Checked,
        checked::{Credential, Operation},
        trial::As,
    },
    throttle::Limiter,
    words::{MessageId, PartnerName, Time},
};

/// Messages of one page.
const PAGE: usize = 500;

/// Asks a running gateway what it remembers.
pub(super) struct Recordings {
    runtime: Runtime,
    client: Client,
}

impl Recordings {
    pub fn new(admin: &AdminArgs) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, client: Client::new(admin) })
    }

    /// One message with all that is known of it.
    pub fn one(&self, id: MessageId) -> Result<Value, Error> {
        Ok(self.runtime.block_on(self.client.get(&format!("messages/{id}")))?)
    }

    /// The newest messages since a moment, oldest first, at most so many; and whether there are more.
    pub fn since(
        &self,
        since: Time,
        partner: Option<&PartnerName>,
        most: usize,
    ) -> Result<(Vec<Value>, bool), Error> {
        let mut found: Vec<Value> = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let page = query(&[
                ("since", Some(since.to_string())),
                ("partner", partner.map(ToString::to_string)),
                ("before", before.clone()),
                ("limit", Some(PAGE.to_string())),
            ]);
            let page = self.runtime.block_on(self.client.get(&format!("messages{page}")))?;
            let page = page["messages"].as_array().cloned().unwrap_or_default();
            before = page.last().and_then(|last| last["id"].as_str().map(str::to_owned));
            let whole = page.len() == PAGE;
            found.extend(page);
            if !whole || found.len() > most {
                break;
            }
        }
        let more = found.len() > most;
        found.truncate(most);
        found.reverse();
        Ok((found, more))
    }
}

/// A call as it came, as far as it was kept.
pub(super) struct Recorded {
    pub request: Request,
    pub who: As,
    pub at: Time,
}

/// The call behind a message, as these policies would get it.
///
/// # Errors
/// The policies have no such operation, or the document was not told whole.
pub(super) fn call(checked: &Checked, found: &Value) -> Result<Recorded, String> {
    let message = &found["message"];
    let id_of = show::text(&message["operation"]);
    let (api, operation) = id_of.split_once('/').unwrap_or((&id_of, ""));
    let spoken = checked.apis.get(api).and_then(|api| api.operations.get(operation));
    let spoken = spoken.ok_or_else(|| format!("there is no operation {id_of}"))?;
    let name = PartnerName::new(&show::text(&message["partner"])).map_err(|error| error.to_string())?;
    let credential = holder(checked, &name, spoken).map(|credential| credential.name.clone());
    let who = As::Partner { name, credential, scopes: spoken.scopes.clone() };
    let version = found["receipt"]["version"].as_str();
    let path = version.map_or_else(|| spoken.path.clone(), |version| format!("/{version}{}", spoken.path));
    let document = &found["document"];
    if document["cut"] == true || document["text"].is_null() && !document.is_null() {
        return Err("the document is not text of at most 64 KiB, and is not told again".to_owned());
    }
    let mut headers = HeaderMap::new();
    // Whether a key came with it is not told: it is taken to have come.
    headers.insert("idempotency-key", HeaderValue::from_static("recorded"));
    if let Some(kind) = document["media_type"].as_str().and_then(|kind| HeaderValue::try_from(kind).ok()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let body = Bytes::from(document["text"].as_str().unwrap_or_default().to_owned());
    let at = serde_json::from_value(message["received_at"].clone()).map_err(|error| error.to_string())?;
    let method = Method::from_bytes(spoken.method.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Recorded { request: Request { method, path: path.replace(['{', '}'], ""), headers, body }, who, at })
}

/// Which credential it was is not told; any of the partner's that carries the scopes could have been it.
fn holder<'c>(checked: &'c Checked, partner: &PartnerName, spoken: &Operation) -> Option<&'c Credential> {
    let partner = checked.partners.get(partner)?;
    let fits = |credential: &&Credential| {
        let carries = |scope| credential.scopes.contains(scope);
        credential.scopes.is_empty() || spoken.scopes.iter().all(carries)
    };
    partner.credentials.iter().find(fits).or(partner.credentials.first())
}

/// What became of a recorded call when it came.
pub(super) fn story(found: &Value) -> Value {
    let message = &found["message"];
    let revision = found["receipt"].get("revision").or_else(|| found["problem"].get("revision"));
    json!({ "id": message["id"], "state": message["state"], "received_at": message["received_at"],
        "revision": revision, "problem": found["problem"] })
}

/// Accepted calls that other policies would refuse, alike ones together.
#[derive(Default)]
pub(super) struct Replayed {
    /// Calls that were decided again.
    pub calls: usize,
    /// Calls that could not be: their documents are not told whole.
    pub untold: usize,
    /// By who, what, why and by which rule.
    pub refused: BTreeMap<Refused, Times>,
}

/// Who would be refused, calling what, why, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub partner: String,
    pub operation: String,
    pub version: String,
    pub problem: String,
    pub why: String,
    pub rule: Option<String>,
}

/// How often, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub calls: usize,
    pub first: Time,
    pub last: Time,
    /// The last of them.
    pub example: String,
}

/// Decides accepted calls again, in their order, limits included. `read` gives each with its document.
pub(super) fn replay(
    stage: &Stage<'_>,
    messages: &[Value],
    mut read: impl FnMut(&Value) -> Result<Value, Error>,
) -> Result<Replayed, Error> {
    let limiter = Limiter::new();
    let mut replayed = Replayed::default();
    for message in messages.iter().filter(|message| message["state"] == "accepted") {
        let found = read(message)?;
        let at = serde_json::from_value(message["received_at"].clone()).map_err(anyhow::Error::from)?;
        let verdict = match call(&stage.checked, &found) {
            Err(why) if why.starts_with("there is no operation") => {
                Some(("no-operation".to_owned(), why, None))
            }
            Err(_) => {
                replayed.untold += 1;
                continue;
            }
            Ok(recorded) => {
                let played = stage.counted(Some(&limiter), || Call {
                    caller: stage.caller(&recorded.who, recorded.at),
                    method: recorded.request.method.clone(),
                    path: recorded.request.path.clone(),
                    headers: recorded.request.headers.clone(),
                    body: recorded.request.body.clone(),
                    now: recorded.at,
                });
                match &played.end {
                    End::Refused(refusal) => {
                        let why = played.steps.last().map(|step| step.said.clone()).unwrap_or_default();
                        Some((refusal.class().name.to_owned(), why, played.rule().map(str::to_owned)))
                    }
                    _ => None,
                }
            }
        };
        replayed.calls += 1;
        let Some((problem, why, rule)) = verdict else { continue };
        let refused = Refused {
            partner: show::text(&message["partner"]),
            operation: show::text(&message["operation"]),
            version: found["receipt"]["version"].as_str().unwrap_or("-").to_owned(),
            problem,
            why,
            rule,
        };
        let example = show::text(&message["id"]);
        let times =
            replayed.refused.entry(refused).or_insert(Times { calls: 0, first: at, last: at, example });
        times.calls += 1;
        times.last = at;
        times.example = show::text(&message["id"]);
    }
    Ok(replayed)
}
