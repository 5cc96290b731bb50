//! What the stages say of a call that nobody makes: the same functions in the same order as [`super::serve`], with
//! each one's verdict and the rule behind it. Nothing is counted, called or stored.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, request::Parts};

use super::{
    Canonical, admit::limited, canonical_events, check, condition, destined, grant, idempotency, map,
    not_empty, operation, taken, trace::Trace, version,
};
use crate::{
    canonical::Canon,
    contract::{self, split_version},
    mapper::{Host, Stage},
    policy::{
        Checked, Contract, Operation, Snapshot,
        checked::{self, Api},
    },
    refusal::Refusal,
    spool,
    throttle::Limiter,
    words::{
        Caller, Digest, Document, Event, IdSource, Inbound, Mode, Random, SubscriptionName, Time, VersionName,
    },
};

/// What a rehearsal is played on.
pub struct Scene<'a> {
    /// What the files say, for the places of rules.
    pub checked: &'a Checked,
    /// What they come to.
    pub policies: &'a Snapshot,
    /// Runs mappers; none: it ends before them.
    pub host: Option<&'a Host>,
    /// Counts calls under their limits; none: nothing is counted.
    pub limiter: Option<&'a Limiter>,
    /// The canonical check.
    pub canon: &'a Canon,
    /// Identifiers.
    pub ids: &'a IdSource,
    /// Randomness.
    pub random: &'a dyn Random,
}

/// A call.
pub struct Call {
    /// Whose it is.
    pub caller: Result<Caller, crate::auth::Error>,
    /// `POST`.
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// The document.
    pub body: Bytes,
    /// When.
    pub now: Time,
}

/// What one stage said.
#[derive(Clone, Debug)]
pub struct Step {
    /// The stage: `authenticate`, `limits`, `route`, `version`, `grant`, `scopes`, `idempotency`, `document`, `schema`, `map`,
    /// `canonical`, `ownership`, `deliver`.
    pub stage: &'static str,
    /// Whether the call went on.
    pub passed: bool,
    /// What it found.
    pub said: String,
    /// The rule that decides: a file and its line.
    pub rule: Option<String>,
}

/// How far the call came, and how it ended.
pub struct Played {
    /// The verdicts in their order.
    pub steps: Vec<Step>,
    /// Who called, if that is known.
    pub caller: Option<Caller>,
    /// `api` and `operation`, once they are found.
    pub operation: Option<(String, String)>,
    /// The version that answers, once it is chosen.
    pub version: Option<VersionName>,
    /// The schema that the document was held against.
    pub schema: Option<String>,
    /// The events, once they are made.
    pub events: Vec<Event>,
    /// The subscriptions that take them, each once, in the order of their names.
    pub deliveries: Vec<SubscriptionName>,
    /// The end.
    pub end: End,
}

/// How a call ended.
pub enum End {
    /// With a receipt.
    Accepted,
    /// It would be: all that the policies say is yes. What the mapper or the target would say is not known.
    Open(String),
    /// By a refusal.
    Refused(Box<Refusal>),
}

/// Plays a call through the stages.
pub async fn rehearse(scene: &Scene<'_>, call: Call) -> Played {
    let mut played = Played {
        steps: Vec::new(),
        caller: None,
        operation: None,
        version: None,
        schema: None,
        events: Vec::new(),
        deliveries: Vec::new(),
        end: End::Accepted,
    };
    let walked = walk(scene, call, &mut played).await;
    played.end = walked.unwrap_or_else(|refusal| End::Refused(Box::new(refusal)));
    played
}

impl Played {
    fn passed(&mut self, stage: &'static str, said: impl Into<String>, rule: Option<String>) {
        self.steps.push(Step { stage, passed: true, said: said.into(), rule });
    }

    /// Takes a stage's refusal down before it ends the walk.
    fn held<T>(
        &mut self,
        stage: &'static str,
        rule: Option<String>,
        verdict: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        verdict.inspect_err(|refusal| {
            let said = refusal.for_the_log();
            self.steps.push(Step { stage, passed: false, said, rule });
        })
    }

    /// The rule behind the last verdict that has one.
    pub fn rule(&self) -> Option<&str> {
        self.steps.last().and_then(|step| step.rule.as_deref())
    }
}

async fn walk(scene: &Scene<'_>, call: Call, played: &mut Played) -> Result<End, Refusal> {
    let Scene { checked, policies, .. } = scene;
    let now = call.now;
    let head = head(&call)?;
    let caller = played.held("authenticate", None, call.caller.map_err(Refusal::from))?;
    played.caller = Some(caller.clone());
    let rule = credential(checked, &caller).map(|credential| credential.origin.to_string());
    played.passed("authenticate", format!("{} by `{}`", caller.partner, caller.credential), rule);

    let (in_path, path) = split_version(head.uri.path());
    let found = policies.routes.find(&head.method, path);
    if let Some(limiter) = scene.limiter {
        let permit = limited(limiter, policies, &caller, &found, Some(call.body.len() as u64), now);
        let rule = match &found {
            contract::Match::Found(operation, _) => Some(operation.rule.clone()),
            _ => None,
        };
        played.held("limits", rule, permit)?;
    }
    let (operation, parameters) = played.held("route", None, operation(found))?;
    let (api, spoken) = written(checked, &operation);
    played.operation = Some((operation.api.to_string(), operation.name.to_string()));
    played.passed("route", operation.id.clone(), Some(operation.rule.clone()));

    let chosen = version(&operation, &head, in_path, &caller, now);
    let rule = api.and_then(|api| version_rule(api, &operation, &caller, &chosen));
    let stage = match &chosen {
        Err(Refusal::Version(contract::Refused::NotGranted { .. })) => "grant",
        _ => "version",
    };
    if let Err(Refusal::Version(
        contract::Refused::Retired { version, .. } | contract::Refused::NotGranted { version },
    )) = &chosen
    {
        played.version = Some(version.clone());
    }
    let selected = played.held(stage, rule.clone(), chosen)?;
    played.version = Some(selected.version().clone());
    let life = api.and_then(|api| api.versions.get(selected.version()));
    let said = format!("{}{}", selected.version(), life.map(told).unwrap_or_default());
    played.passed("version", said, life.map(|life| life.origin.to_string()));
    if let Some(origin) = api.and_then(|api| grant_of(api, &operation, &caller, selected.version())) {
        let said = format!("{} may call {} {}", caller.partner, operation.id, selected.version());
        played.passed("grant", said, Some(origin));
    }

    let bound = grant(&operation, &selected, &caller);
    let stage = if matches!(bound, Err(Refusal::NotGranted { .. })) { "version" } else { "scopes" };
    let contract = played.held(stage, Some(operation.rule.clone()), bound)?;
    if !operation.scopes.is_empty() {
        played.passed("scopes", operation.scopes.join(", "), Some(operation.rule.clone()));
    }
    let allowed = condition::before(&operation, selected.version(), &caller);
    played.held("grant", refusing(&allowed), allowed)?;
    let key =
        played.held("idempotency", Some(operation.rule.clone()), idempotency(&operation, &head, None))?;
    if let Some(key) = key {
        played.passed("idempotency", format!("under the key `{key}`"), Some(operation.rule.clone()));
    }

    let binding = spoken.and_then(|spoken| spoken.versions.get(selected.version()));
    let rule = binding.map(|binding| binding.origin.to_string());
    let media_type = played.held("document", rule.clone(), taken(&contract, &head))?;
    let limit = operation.body_max;
    let size = if call.body.len() as u64 > limit {
        Err(Refusal::Body(spool::Error::TooLarge { limit }))
    } else {
        Ok(())
    };
    played.held("document", Some(checked.gateway.origin.to_string()), size)?;
    played.held("document", rule.clone(), not_empty(&head, &call.body))?;
    let kind = if media_type.is_empty() { "no media type" } else { &media_type };
    played.passed("document", format!("{} bytes, {kind}", call.body.len()), rule.clone());
    let document = Document { media_type, content: call.body, parameters };
    played.schema = contract.schema.as_ref().map(|schema| schema.path().to_owned());
    let inbound = check(&operation, &selected, &contract, caller, document, &mut Trace::default());
    let inbound = played.held("schema", rule.clone(), inbound)?;
    if let Some(path) = played.schema.clone() {
        played.passed("schema", path, rule.clone());
    }
    mapped(scene, &operation, &contract, binding, inbound, now, played).await
}

/// From the mapper to the subscriptions.
async fn mapped(
    scene: &Scene<'_>,
    operation: &Operation,
    contract: &Contract,
    binding: Option<&checked::Binding>,
    inbound: Inbound,
    now: Time,
    played: &mut Played,
) -> Result<End, Refusal> {
    let wanted = binding.and_then(|binding| binding.mapper.as_ref());
    let target = binding.and_then(|binding| binding.target.as_ref());
    let Some((host, mapping)) = scene.host.zip(contract.mapping.as_ref()) else {
        return Ok(End::Open(match (wanted, target) {
            (Some(mapper), _) => format!("mapper {mapper} is not at hand"),
            (None, Some(target)) => format!("`{target}` would be asked"),
            (None, None) => "nothing maps it".to_owned(),
        }));
    };
    let rule = Some(mapping.rule.clone());
    let mut trace = Trace::default();
    let drafts =
        map(host, scene.policies, mapping, &inbound, Stage::Request, contract.partial, now, &mut trace).await;
    let drafts = played.held("map", rule.clone(), drafts)?.drafts;
    played.passed("map", mapping.title(), rule.clone());
    let canonical = Canonical { canon: scene.canon, ids: scene.ids, random: scene.random };
    let digest = Digest::of(&inbound.document.content);
    let events = canonical_events(canonical, scene.policies, mapping, &inbound, drafts, digest, now);
    let events = played.held("canonical", rule, events)?;
    let listed: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    played.passed("canonical", listed.join(", "), None);
    let allowed = condition::after(operation, &inbound, &events);
    played.held("grant", refusing(&allowed), allowed)?;
    let owned = condition::owned(scene.policies, &inbound, &events);
    played.held("ownership", refusing(&owned), owned)?;
    played.events.clone_from(&events);
    if contract.mode == Mode::Proxy {
        let target = target.map_or_else(String::new, |target| format!("`{target}` would be asked"));
        return Ok(End::Open(target));
    }
    for event in events {
        let (_, destinations) = destined(scene.policies, &inbound, event);
        played.deliveries.extend(destinations.into_iter().map(|destination| destination.subscription));
    }
    played.deliveries.sort();
    played.deliveries.dedup();
    for name in played.deliveries.clone() {
        let spoken = scene.checked.subscriptions.get(&name);
        let target = spoken.map(|spoken| spoken.target.to_string()).unwrap_or_default();
        let rule = spoken.map(|spoken| spoken.origin.to_string());
        played.passed("deliver", format!("{name} → {target}"), rule);
    }
    Ok(End::Accepted)
}

/// The rule that a condition or an ownership refuses by.
fn refusing(verdict: &Result<(), Refusal>) -> Option<String> {
    match verdict {
        Err(Refusal::Condition { rule, .. } | Refusal::NotOwner { rule, .. }) => Some(rule.clone()),
        _ => None,
    }
}

fn head(call: &Call) -> Result<Parts, Refusal> {
    let mut request = Request::builder().method(call.method.clone()).uri(call.path.as_str());
    if let Some(headers) = request.headers_mut() {
        *headers = call.headers.clone();
    }
    // A path that is none meets no operation, as at the socket.
    Ok(request.body(()).map_err(|_| Refusal::NoOperation)?.into_parts().0)
}

fn credential<'a>(checked: &'a Checked, caller: &Caller) -> Option<&'a checked::Credential> {
    let partner = checked.partners.get(&caller.partner)?;
    partner.credentials.iter().find(|credential| credential.name == caller.credential)
}

fn written<'a>(
    checked: &'a Checked,
    operation: &Operation,
) -> (Option<&'a Api>, Option<&'a checked::Operation>) {
    let api = checked.apis.get(&operation.api);
    (api, api.and_then(|api| api.operations.get(&operation.name)))
}

/// Where a version's fate is written: its own line; for one that is not granted, the caller's nearest grant.
fn version_rule(
    api: &Api,
    operation: &Operation,
    caller: &Caller,
    chosen: &Result<contract::Selected<'_>, Refusal>,
) -> Option<String> {
    use contract::Refused;
    let line = |version: &VersionName| api.versions.get(version).map(|version| version.origin.to_string());
    match chosen {
        Ok(selected) => line(selected.version()),
        Err(Refusal::Version(Refused::Retired { version, .. })) => line(version),
        Err(Refusal::Version(Refused::NotGranted { .. })) => {
            let own = api.grants.iter().filter(|grant| grant.partner == caller.partner);
            let nearest = own.clone().find(|grant| grant.operations.contains(&operation.name));
            let grant = nearest.or_else(|| own.clone().next());
            Some(grant.map_or_else(|| api.origin.to_string(), |grant| grant.origin.to_string()))
        }
        Err(_) => Some(api.origin.to_string()),
    }
}

fn grant_of(api: &Api, operation: &Operation, caller: &Caller, version: &VersionName) -> Option<String> {
    let grant = api.grants.iter().find(|grant| {
        grant.partner == caller.partner
            && grant.operations.contains(&operation.name)
            && grant.versions.contains(version)
    })?;
    Some(grant.origin.to_string())
}

/// The end that is near, in words.
fn told(life: &checked::Version) -> String {
    let day = crate::policy::units::day;
    let mut said = String::new();
    if let Some(deprecated) = life.deprecated {
        said.push_str(&format!(", deprecated {}", day(deprecated)));
    }
    if let Some(sunset) = life.sunset {
        said.push_str(&format!(", sunset {}", day(sunset)));
    }
    said
}
