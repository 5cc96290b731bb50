//! `/api/v1/mappers…`: what is stored, what is live, and how that changes.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, Refusal, api, shadow};
use crate::policy::{ChangeError, Policies, Push, Terms};

/// Who a change is put down to if its caller names nobody.
const NOBODY: &str = "operator";
/// Earlier generations that tidying keeps unless told.
const KEEP: usize = 3;
/// Longest watch in seconds: a week has every kind of day.
const WATCHED_MAX: u64 = 7 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    hold: bool,
    by: String,
    source: Option<String>,
    signature: Option<String>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { hold: false, by: NOBODY.to_owned(), source: None, signature: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    to: String,
    #[serde(default = "nobody")]
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    #[serde(default = "nobody")]
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentOut {
    candidate: String,
    share: u8,
    failing_max: Option<u8>,
    differing_max: Option<u8>,
    time_max: Option<u16>,
    #[serde(default = "nobody")]
    by: String,
}

impl SentOut {
    fn terms(&self) -> Result<Terms, Refusal> {
        let usual = Terms::sharing(self.share);
        let terms = Terms {
            failing_max: self.failing_max.unwrap_or(usual.failing_max),
            differing_max: self.differing_max.unwrap_or(usual.differing_max),
            time_max: self.time_max.unwrap_or(usual.time_max),
            ..usual
        };
        if !(1..100).contains(&terms.share) || terms.failing_max > 100 || terms.differing_max > 100 {
            return Err(Refusal::Wrong("`share` is 1 to 99 percent, what may be is 0 to 100".to_owned()));
        }
        Ok(terms)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    candidate: String,
    seconds: u64,
    #[serde(default = "nobody")]
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tidy {
    #[serde(default = "keep")]
    keep: usize,
    dry_run: bool,
    #[serde(default = "nobody")]
    by: String,
}

fn nobody() -> String {
    NOBODY.to_owned()
}

fn keep() -> usize {
    KEEP
}

/// Answers what is below `mappers`.
pub(super) async fn answer(
    admin: &Admin,
    method: &Method,
    path: &[&str],
    query: &str,
    body: Bytes,
) -> Result<Value, Refusal> {
    let policies = Arc::clone(&admin.gateway.policies);
    match (method, path) {
        (&Method::GET, []) => Ok(json!({ "mappers": policies.stored(), "damage": policies.damage() })),
        (&Method::POST, []) => {
            let Asked { hold, by, source, signature } = api::filter(query)?;
            let bytes = signature.map(|text| STANDARD.decode(text)).transpose();
            let signature = bytes.map_err(|_| Refusal::Wrong("`signature` is not base64".to_owned()))?;
            let push = Push { hold, by, source, signature };
            whole(async move { policies.push_mapper(body, &push).await }).await
        }
        (&Method::POST, ["gc"]) => {
            let Tidy { keep, dry_run, by } = api::read(&body)?;
            whole(async move { policies.tidy(keep, dry_run, &by).await }).await
        }
        (&Method::POST, ["verify"]) => found(policies.verify().await?),
        (&Method::GET, [name, "generations"]) => found(policies.describe(name, None).await?),
        (&Method::GET, [name, "generations", asked]) => found(policies.describe(name, Some(asked)).await?),
        (&Method::GET, [name]) => {
            let stored = policies.stored();
            let found = stored.iter().find(|found| found.name.as_str() == *name);
            found.map(|found| json!({ "mapper": found })).ok_or_else(|| unknown(&policies, name))
        }
        (&Method::POST, [name, "promote"]) => {
            let (name, Promote { to, by }) = ((*name).to_owned(), api::read(&body)?);
            whole(async move { policies.promote(&name, &to, &by).await }).await
        }
        (&Method::POST, [name, "shadow"]) => shadow::answer(admin, name, &body).await,
        (&Method::POST, [name, "canary"]) => {
            let (name, sent) = ((*name).to_owned(), api::read::<SentOut>(&body)?);
            let terms = sent.terms()?;
            whole(async move { policies.send_out(&name, &sent.candidate, terms, &sent.by).await }).await
        }
        (&Method::POST, [name, "watch"]) => {
            let (name, Watch { candidate, seconds, by }) = ((*name).to_owned(), api::read(&body)?);
            let most = Duration::from_secs(seconds.min(WATCHED_MAX));
            let terms = Terms { until: Some(admin.gateway.clock.now().after(most)), ..Terms::sharing(0) };
            whole(async move { policies.send_out(&name, &candidate, terms, &by).await }).await
        }
        (&Method::POST, [name, "recall"]) => {
            let (name, RollBack { by }) = ((*name).to_owned(), api::read(&body)?);
            whole(async move { policies.call_back(&name, &by).await }).await
        }
        (&Method::POST, [name, "rollback"]) => {
            let (name, RollBack { by }) = ((*name).to_owned(), api::read(&body)?);
            whole(async move { policies.roll_back(&name, &by).await }).await
        }
        _ => Err(Refusal::Nothing),
    }
}

/// Carries a change out to its end, even if whoever asked for it hangs up in between.
async fn whole<T: serde::Serialize + Send + 'static>(
    change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
) -> Result<Value, Refusal> {
    let changed = tokio::spawn(change).await.unwrap_or(Err(ChangeError::CutOff))?;
    Ok(serde_json::to_value(changed).expect("names, numbers and texts"))
}

fn found(value: impl serde::Serialize) -> Result<Value, Refusal> {
    Ok(serde_json::to_value(value).expect("names, numbers and texts"))
}

fn unknown(policies: &Policies, name: &str) -> Refusal {
    let names: Vec<String> = policies.stored().iter().map(|found| found.name.to_string()).collect();
    let name: String = name.chars().take(80).collect();
    Refusal::Missing(match names.as_slice() {
        [] => format!("there is no mapper `{name}`; none is stored: crossdock plugin push"),
        names => format!("there is no mapper `{name}`; there are {}", names.join(", ")),
    })
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown(unknown) => Self::Missing(unknown.to_string()),
            other => Self::Wrong(other.to_string()),
        }
    }
}
