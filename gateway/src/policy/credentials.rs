//! Credentials of the policy as `auth` needs them, and the key sets of issuers, which outlive a reload.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::AbortHandle;

use super::{
    checked::{CertificateName, Checked, Credential, CredentialKind, Issuer, Jwks, Partner, TokenAlgorithm},
    secrets::Secrets,
};
use crate::{
    auth::{
        self, Algorithm, ApiKey, Authenticator, Believed, CertificateRule, Fetch, KeySet, KnownBy,
        SignerRule, TokenRule, VerifyingKey, WebhookRule,
    },
    words::{Clock, webhook::WebhookSecret},
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
    let mut believed = public(checked);
    for partner in checked.partners.values() {
        for credential in &partner.credentials {
            match &credential.kind {
                CredentialKind::Webhook { .. } => match webhook(partner, credential, secrets) {
                    Ok(rule) => believed.webhooks.push(rule),
                    Err(what) => wrong.push(format!("{}: {what}", credential.origin)),
                },
                CredentialKind::Signature { .. } => match signer(partner, credential, secrets) {
                    Ok(rule) => believed.signers.push(rule),
                    Err(what) => wrong.push(format!("{}: {what}", credential.origin)),
                },
                CredentialKind::ApiKey { .. }
                | CredentialKind::Certificate(_)
                | CredentialKind::Jwt { .. } => {}
            }
        }
    }
    for issuer in checked.issuers.values() {
        match key_set(issuer, sets, secrets) {
            Ok(keys) => believed.issuers.push(auth::Issuer {
                name: Arc::clone(&issuer.name),
                iss: issuer.issuer.clone(),
                audience: issuer.audience.clone(),
                algorithms: issuer.algorithms.iter().map(|algorithm| pinned(*algorithm)).collect(),
                required_claims: issuer.required_claims.clone(),
                certificate_bound: issuer.certificate_bound,
                leeway: issuer.leeway,
                keys,
            }),
            Err(what) => wrong.push(format!("{}: {what}", issuer.origin)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let built = Authenticator::new(believed);
    sets.tidy();
    Ok(built)
}

/// An authenticator that reads no secret: it tells keys by their hash, certificates by their names and whose claims
/// are, and verifies no token and no signature.
pub(super) fn rehearsing(checked: &Checked) -> Authenticator {
    Authenticator::new(public(checked))
}

/// The credentials that the files say everything of.
fn public(checked: &Checked) -> Believed {
    let mut believed = Believed::default();
    for partner in checked.partners.values() {
        for credential in &partner.credentials {
            match &credential.kind {
                CredentialKind::ApiKey { sha256, expires } => believed.keys.push(ApiKey {
                    partner: partner.name.clone(),
                    credential: Arc::clone(&credential.name),
                    sha256: *sha256,
                    scopes: Arc::clone(&credential.scopes),
                    expires: *expires,
                }),
                CredentialKind::Certificate(name) => believed.certificates.push(CertificateRule {
                    partner: partner.name.clone(),
                    credential: Arc::clone(&credential.name),
                    scopes: Arc::clone(&credential.scopes),
                    known_by: match name.clone() {
                        CertificateName::Subject(subject) => KnownBy::Subject(subject),
                        CertificateName::San(name) => KnownBy::Name(name),
                        CertificateName::Fingerprint(sha256) => KnownBy::Fingerprint(sha256),
                    },
                }),
                CredentialKind::Jwt { issuer, claims } => believed.rules.push(TokenRule {
                    partner: partner.name.clone(),
                    credential: Arc::clone(&credential.name),
                    issuer: Arc::clone(issuer),
                    claims: claims.clone(),
                }),
                CredentialKind::Webhook { .. } | CredentialKind::Signature { .. } => {}
            }
        }
    }
    believed
}

fn webhook(partner: &Partner, credential: &Credential, secrets: &Secrets) -> Result<WebhookRule, String> {
    let CredentialKind::Webhook { secrets: named, tolerance, expires } = &credential.kind else {
        return Err("not a webhook".to_owned());
    };
    let read = |named| {
        let text = secrets.read(named)?;
        WebhookSecret::parse(&text).map_err(|error| format!("{named}: {error}"))
    };
    Ok(WebhookRule {
        partner: partner.name.clone(),
        credential: Arc::clone(&credential.name),
        scopes: Arc::clone(&credential.scopes),
        secrets: named.iter().map(read).collect::<Result<_, _>>()?,
        tolerance: *tolerance,
        expires: *expires,
    })
}

fn signer(partner: &Partner, credential: &Credential, secrets: &Secrets) -> Result<SignerRule, String> {
    let CredentialKind::Signature { keyid, algorithm, key, components, window, tag, expires } =
        &credential.kind
    else {
        return Err("not a signature".to_owned());
    };
    Ok(SignerRule {
        partner: partner.name.clone(),
        credential: Arc::clone(&credential.name),
        scopes: Arc::clone(&credential.scopes),
        keyid: keyid.clone(),
        key: VerifyingKey::read(*algorithm, &secrets.read(key)?)
            .map_err(|error| format!("{key}: {error}"))?,
        components: components.clone(),
        window: *window,
        tag: tag.clone(),
        expires: *expires,
    })
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
