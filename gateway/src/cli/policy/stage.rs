//! Where calls are rehearsed: the checked files, what they come to, and the mappers that are at hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use tokio::runtime::Runtime;

use crate::{
    auth,
    canonical::Canon,
    cli::plugin::hand::Hand,
    pipeline::rehearse::{Call, End, Played, Scene, rehearse},
    policy::{
        self, Checked, Snapshot,
        checked::{Credential, CredentialKind, Partner},
        trial::As,
    },
    throttle::Limiter,
    words::{Caller, Clock, IdSource, MapperName, Random, Time},
};

/// How often a mapping is tried that the machine was too busy for.
const TRIES: u32 = 5;

/// Which mappers are at hand.
#[derive(Args, Debug)]
pub(super) struct Mappers {
    /// A folder of mappers: NAME.wasm, or folders of sources, which are built first; without it none is run
    #[arg(long, value_name = "DIR")]
    pub mappers: Option<PathBuf>,
}

/// Everything that a rehearsal needs, made once.
pub(super) struct Stage<'a> {
    pub checked: Checked,
    /// What is not there: mappers that were not found, or in another version.
    pub missing: Vec<String>,
    snapshot: Snapshot,
    hand: Option<Hand<'a>>,
    canon: Canon,
    ids: IdSource,
    random: &'a dyn Random,
    runtime: Runtime,
}

impl<'a> Stage<'a> {
    /// Makes the stage of a checked estate.
    pub fn new(
        checked: Checked,
        mappers: Option<&Path>,
        clock: &'a dyn Clock,
        random: &'a dyn Random,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let hand = match mappers {
            Some(folder) => Some(Hand::open(folder, &wanted(&checked), clock, random)?),
            None => None,
        };
        let none = BTreeMap::new();
        let at_hand = hand.as_ref().map_or(&none, Hand::mappers);
        let (snapshot, missing) = policy::rehearsing(&checked, at_hand, hand.as_ref().map(Hand::host));
        let snapshot = snapshot.ok_or_else(|| anyhow::anyhow!("{}", missing.join("\n")))?;
        let missing = if hand.is_some() { missing } else { Vec::new() };
        let (canon, ids) = (Canon::new(), IdSource::new());
        Ok(Self { checked, missing, snapshot, hand, canon, ids, random, runtime })
    }

    /// Plays a call.
    pub fn play(&self, call: impl Fn() -> Call) -> Played {
        self.counted(None, call)
    }

    /// Plays a call that counts under its limits.
    pub fn counted(&self, limiter: Option<&Limiter>, call: impl Fn() -> Call) -> Played {
        let scene = Scene {
            checked: &self.checked,
            policies: &self.snapshot,
            host: self.hand.as_ref().map(|hand| &**hand.host()),
            limiter,
            canon: &self.canon,
            ids: &self.ids,
            random: self.random,
        };
        for _ in 1..TRIES {
            let played = self.runtime.block_on(rehearse(&scene, call()));
            let busy = |name: &str| matches!(name, "mapper-starved" | "overloaded");
            if !matches!(&played.end, End::Refused(refusal) if busy(refusal.class().name)) {
                return played;
            }
        }
        self.runtime.block_on(rehearse(&scene, call()))
    }

    /// Whose a request with these header fields is. A token is read and not verified: no issuer's key is here.
    pub fn caller_of(&self, headers: &http::HeaderMap, now: Time) -> Result<Caller, auth::Error> {
        match claims_of(headers) {
            None => self.snapshot.authenticator.keyed(headers, now),
            Some(claims) => {
                let iss = claims.get("iss").and_then(|iss| iss.as_str()).unwrap_or_default();
                let issuer = self.checked.issuers.values().find(|issuer| issuer.issuer == iss);
                let issuer = issuer.ok_or_else(|| auth::Error::Issuer(iss.chars().take(64).collect()))?;
                self.token(&issuer.name, &claims)
            }
        }
    }

    /// The caller that a test or a flag names, as `auth` would tell it.
    pub fn caller(&self, who: &As, now: Time) -> Result<Caller, auth::Error> {
        match who {
            As::Nobody => Err(auth::Error::Missing),
            As::Token { issuer, claims } => self.token(issuer, claims),
            As::Partner { name, credential, scopes } => {
                let partner = self.checked.partners.get(name).ok_or(auth::Error::Unknown)?;
                let found = pick(partner, credential.as_deref())?;
                by(partner, found, scopes, now)
            }
        }
    }

    fn token(
        &self,
        issuer: &Arc<str>,
        claims: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Caller, auth::Error> {
        let required = self.checked.issuers.get(issuer).map(|issuer| &issuer.required_claims);
        if let Some(claim) = required.into_iter().flatten().find(|claim| !claims.contains_key(*claim)) {
            return Err(auth::Error::Claim { claim: claim.clone(), why: "is missing" });
        }
        self.snapshot.authenticator.whose(issuer, claims)
    }
}

/// The credential of this name, or the only one.
fn pick<'p>(partner: &'p Partner, name: Option<&str>) -> Result<&'p Credential, auth::Error> {
    match (name, partner.credentials.as_slice()) {
        (Some(name), all) => {
            all.iter().find(|credential| *credential.name == *name).ok_or(auth::Error::Unknown)
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(auth::Error::Missing),
        (None, _) => Err(auth::Error::Malformed("the partner has several credentials: name one")),
    }
}

fn by(
    partner: &Partner,
    credential: &Credential,
    brought: &[String],
    now: Time,
) -> Result<Caller, auth::Error> {
    let mut scopes = Arc::clone(&credential.scopes);
    match &credential.kind {
        CredentialKind::ApiKey { expires, .. }
        | CredentialKind::Webhook { expires, .. }
        | CredentialKind::Signature { expires, .. }
            if expires.is_some_and(|expires| now >= expires) =>
        {
            let said = format!("credential `{}` of `{}`", credential.name, partner.name);
            return Err(auth::Error::Expired(said));
        }
        CredentialKind::ApiKey { .. }
        | CredentialKind::Certificate(_)
        | CredentialKind::Webhook { .. }
        | CredentialKind::Signature { .. } => {}
        CredentialKind::Jwt { .. } => scopes = brought.into(),
    }
    Ok(Caller { partner: partner.name.clone(), credential: Arc::clone(&credential.name), scopes })
}

/// The claims of a bearer token, unverified; none where there is no token.
fn claims_of(headers: &http::HeaderMap) -> Option<serde_json::Map<String, serde_json::Value>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.starts_with("xd_") {
        return None;
    }
    let mut parts = token.trim().split('.');
    let (_, body, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The mappers that an estate names.
pub(super) fn wanted(checked: &Checked) -> BTreeSet<MapperName> {
    let operations = checked.apis.values().flat_map(|api| api.operations.values());
    let bindings = operations.flat_map(|operation| operation.versions.values());
    let inward = bindings.flat_map(|binding| binding.mapper.iter().chain(&binding.target_mapper));
    let outward = checked.subscriptions.values().filter_map(|subscription| subscription.mapper.as_ref());
    inward.chain(outward).map(|mapper| mapper.name.clone()).collect()
}
