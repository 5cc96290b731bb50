//! A target of the policy as `deliver` needs it.

use std::time::Duration;

use http::{HeaderName, Method};

use super::{
    checked::{self, TargetCredentials},
    secrets::Secrets,
};
use crate::{
    deliver::{Breaker, Credentials, Endpoint, Retry, Secret, Target, WebhookKey},
    journal::Stuck,
};

/// Reads a target's secrets and makes it callable.
pub(super) fn build(target: &checked::Target, secrets: &Secrets) -> Result<Target, String> {
    let endpoint = Endpoint::parse(&secrets.setting(&target.url)?).map_err(|error| error.to_string())?;
    let credentials = match &target.credentials {
        TargetCredentials::None => Credentials::None,
        TargetCredentials::Bearer(secret) => Credentials::Bearer(Secret::new(&secrets.read(secret)?)),
        TargetCredentials::Basic { user, password } => {
            Credentials::Basic { user: user.clone(), password: Secret::new(&secrets.read(password)?) }
        }
        TargetCredentials::Header { name, value } => Credentials::Header {
            name: HeaderName::try_from(name.as_str())
                .map_err(|_| format!("`{name}` is not a header name"))?,
            value: Secret::new(&secrets.read(value)?),
        },
    };
    let sign = match &target.webhook_secret {
        None => None,
        Some(secret) => {
            Some(WebhookKey::parse(&[&secrets.read(secret)?]).map_err(|error| error.to_string())?)
        }
    };
    let edi = target.edi.as_ref();
    Ok(Target {
        method: Method::POST,
        credentials,
        sign,
        connect_timeout: target.timeout.min(Duration::from_secs(5)),
        timeout: target.timeout,
        retry: Retry {
            first: target.retry.first,
            factor: target.retry.factor,
            cap: target.retry.cap,
            give_up_after: target.retry.give_up_after,
            attempts: target.retry.attempts,
        },
        breaker: Breaker {
            samples: target.breaker.samples,
            failure_share: target.breaker.failure_percent,
            window: target.breaker.window,
            in_a_row: target.breaker.in_a_row,
            open_for: target.breaker.open_for,
        },
        concurrency: target.concurrency,
        stuck: match target.stuck {
            checked::Stuck::Hold => Stuck::Hold,
            checked::Stuck::Skip => Stuck::Skip,
            checked::Stuck::LatestWins => Stuck::LatestWins,
        },
        sender: edi.map(|edi| edi.sender.clone()).unwrap_or_default(),
        receiver: edi.map(|edi| edi.receiver.clone()).unwrap_or_default(),
        ..Target::new(target.name.clone(), endpoint)
    })
}
