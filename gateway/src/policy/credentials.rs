//! Credentials of the policy as `auth` needs them, and the key sets of issuers, which outlive a reload.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::AbortHandle;

use super::{
    checked::{Checked, CredentialKind, Issuer, Jwks, TokenAlgorithm},
    secrets::Secrets,
};
use crate::{
    auth::{self, Algorithm, ApiKey, Authenticator, Fetch, KeySet, TokenRule},
    words::Clock,
};

/// Key sets that are fetched, by their address and settings. One that no policy names any more is let go.
pub struct KeySets {
    clock: Arc<dyn Clock>,
    fetched: Mutex<HashMap<String, (Arc<KeySet>, AbortHandle)>>,
}

impl KeySets {
    /// No sets yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, fetched: Mutex::default() }
    }

    fn fetched(&self, url: &str, fetch: Fetch) -> Result<Arc<KeySet>, String> {
        let name = format!("{url} {fetch:?}");
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((set, _)) = fetched.get(&name) {
            return Ok(Arc::clone(set));
        }
        let address = url.parse().map_err(|_| format!("`{url}` is not a URL"))?;
        let set = Arc::new(KeySet::from_url(address, fetch).map_err(|error| error.to_string())?);
        let (kept, clock, shown) = (Arc::clone(&set), Arc::clone(&self.clock), url.to_owned());
        let task = tokio::spawn(async move {
            let failed =
                |error: &auth::FetchError| tracing::warn!(url = shown, %error, "keys could not be fetched");
            kept.keep_fresh(&*clock, failed).await;
        });
        fetched.insert(name, (Arc::clone(&set), task.abort_handle()));
        Ok(set)
    }

    /// Lets go of the sets that nothing but this map holds.
    fn tidy(&self) {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.retain(|_, (set, task)| {
            // The map and the fetching task hold one each.
            let used = Arc::strong_count(set) > 2;
            if !used {
                task.abort();
            }
            used
        });
    }
}

/// Makes the authenticator of an estate.
pub(super) fn build(
    checked: &Checked,
    sets: &KeySets,
    secrets: &Secrets,
) -> Result<Authenticator, Vec<String>> {
    let mut wrong = Vec::new();
    let (keys, rules) = credentials(checked);
    let mut issuers = Vec::new();
    for issuer in checked.issuers.values() {
        match key_set(issuer, sets, secrets) {
            Ok(keys) => issuers.push(auth::Issuer {
                name: Arc::clone(&issuer.name),
                iss: issuer.issuer.clone(),
                audience: issuer.audience.clone(),
                algorithms: issuer.algorithms.iter().map(|algorithm| pinned(*algorithm)).collect(),
                required_claims: issuer.required_claims.clone(),
                leeway: issuer.leeway,
                keys,
            }),
            Err(what) => wrong.push(format!("{}: {what}", issuer.origin)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let built = Authenticator::new(keys, issuers, rules);
    sets.tidy();
    Ok(built)
}

/// An authenticator that knows every credential and no issuer's keys: it tells keys by their hash and whose
/// claims are, and verifies no token.
pub(super) fn rehearsing(checked: &Checked) -> Authenticator {
    let (keys, rules) = credentials(checked);
    Authenticator::new(keys, Vec::new(), rules)
}

fn credentials(checked: &Checked) -> (Vec<ApiKey>, Vec<TokenRule>) {
    let (mut keys, mut rules) = (Vec::new(), Vec::new());
    for partner in checked.partners.values() {
        for credential in &partner.credentials {
            match &credential.kind {
                CredentialKind::ApiKey { sha256, expires } => keys.push(ApiKey {
                    partner: partner.name.clone(),
                    credential: Arc::clone(&credential.name),
                    sha256: *sha256,
                    scopes: Arc::clone(&credential.scopes),
                    expires: *expires,
                }),
                CredentialKind::Jwt { issuer, claims } => rules.push(TokenRule {
                    partner: partner.name.clone(),
                    credential: Arc::clone(&credential.name),
                    issuer: Arc::clone(issuer),
                    claims: claims.clone(),
                }),
            }
        }
    }
    (keys, rules)
}

fn key_set(issuer: &Issuer, sets: &KeySets, secrets: &Secrets) -> Result<Arc<KeySet>, String> {
    match &issuer.jwks {
        Jwks::File(path) => {
            let path = secrets.setting(path)?;
            let text = secrets.file(Path::new(&path))?;
            KeySet::from_json(&text).map(Arc::new).map_err(|error| format!("{path}: {error}"))
        }
        Jwks::Url { url, refresh, stale_if_error, unknown_kid_cooldown } => {
            let fetch = Fetch {
                refresh: *refresh,
                stale_if_error: *stale_if_error,
                unknown_kid_cooldown: *unknown_kid_cooldown,
                ..Fetch::default()
            };
            sets.fetched(&secrets.setting(url)?, fetch)
        }
    }
}

fn pinned(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
