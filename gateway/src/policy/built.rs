//! From checked to live: schemas compiled, secrets read, mappers bound, routes laid. One `Snapshot` serves a
//! message from its first stage to its last.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{
    Canary, KeySets,
    checked::{self, Checked, CredentialKind, MapperRef, MapperRun},
    mappers::Mappers,
    outward::Outward,
    secrets::Secrets,
};
use crate::{
    auth::Authenticator,
    contract::{Condition, Lives, Routes, Schema},
    deliver::{self, Plan, Target},
    mapper::{self, Host, Mapper, Tables},
    throttle,
    words::{
        ApiName, EstateName, Event, MapperName, Mode, OperationName, PartnerName, Revision, SubscriptionName,
        TargetName, Time, VersionName,
    },
};

mod rebound;

/// Everything in force at one moment.
pub struct Snapshot {
    /// Its name.
    pub revision: Revision,
    /// The estate.
    pub estate: EstateName,
    /// Tells who is calling.
    pub authenticator: Arc<Authenticator>,
    /// Partners by name.
    pub partners: Arc<HashMap<PartnerName, Arc<Partner>>>,
    /// Operations by method and path.
    pub routes: Routes<Arc<Operation>>,
    /// The same by `api/operation`.
    pub operations: BTreeMap<String, Arc<Operation>>,
    /// Where events go.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// Systems that events are delivered to.
    pub targets: Arc<BTreeMap<TargetName, Arc<Target>>>,
    /// Who may assert events of which types.
    pub ownership: Arc<Ownership>,
    /// When credentials expire, those that do.
    pub expiries: Arc<[Expiry]>,
}

/// When a credential expires.
#[derive(Clone, Debug)]
pub struct Expiry {
    /// Whose.
    pub partner: PartnerName,
    /// The credential.
    pub credential: Arc<str>,
    /// From when on it is void.
    pub at: Time,
}

/// What a request needs to know of its partner.
pub struct Partner {
    /// IANA zone for times that carry none.
    pub zone: Option<String>,
    /// Its identity in interchanges.
    pub sender: String,
    /// Ours, towards it.
    pub receiver: String,
    /// Limits over all of its credentials.
    pub limit: throttle::Limit,
    /// Its share under overload.
    pub weight: u32,
    /// Limits of single credentials.
    pub credentials: HashMap<Arc<str>, throttle::Limit>,
}

/// A method and a path, with everything that its requests meet.
#[derive(Clone)]
pub struct Operation {
    /// `api/operation`.
    pub id: String,
    /// The API.
    pub api: ApiName,
    /// The operation.
    pub name: OperationName,
    /// Scopes that a credential must carry.
    pub scopes: Vec<String>,
    /// Limit for each partner.
    pub limit: throttle::Limit,
    /// About `Idempotency-Key`.
    pub idempotency: checked::Idempotency,
    /// The versions of its API.
    pub lives: Arc<Lives>,
    /// What it does in each version.
    pub versions: HashMap<VersionName, Arc<Contract>>,
    /// Who may call it, in which versions.
    pub grants: Arc<HashMap<PartnerName, HashSet<VersionName>>>,
    /// Conditions of grants, where no grant without one gives the same.
    conditions: Arc<HashMap<PartnerName, HashMap<VersionName, Vec<When>>>>,
    /// Largest body in bytes.
    pub body_max: u64,
    /// Where it stands in the policy.
    pub rule: String,
}

impl Operation {
    /// Conditions under which a partner may call a version, one of which must hold; none: it may.
    pub fn conditions(&self, partner: &PartnerName, version: &VersionName) -> &[When] {
        self.conditions.get(partner).and_then(|versions| versions.get(version)).map_or(&[], Vec::as_slice)
    }
}

/// A condition of a grant.
#[derive(Clone)]
pub struct When {
    /// Compiled.
    pub condition: Arc<Condition>,
    /// Where it stands in the policy.
    pub rule: String,
}

/// Who may assert events of which types.
#[derive(Default)]
pub struct Ownership(HashMap<String, Owned>);

/// Who may assert events of one type.
pub struct Owned {
    /// Those.
    pub owners: HashSet<PartnerName>,
    /// Where it stands in the policy.
    pub rule: String,
}

impl Ownership {
    /// Who owns a type: by its own line, or by its family's. None: everybody.
    pub fn of(&self, kind: &str) -> Option<&Owned> {
        if self.0.is_empty() {
            return None;
        }
        let family = || kind.split_once('.').and_then(|(family, _)| self.0.get(&format!("{family}.*")));
        self.0.get(kind).or_else(family)
    }
}

/// What an operation does in one version.
#[derive(Clone)]
pub struct Contract {
    /// The schema of its documents.
    pub schema: Option<Arc<Schema>>,
    /// The schema only counts what it would have refused.
    pub schema_in_shadow: bool,
    /// Media types it takes; empty: any.
    pub media_types: Vec<String>,
    /// How it answers.
    pub mode: Mode,
    /// Whether good units of a document are kept when others are rejected.
    pub partial: bool,
    /// Whether the answer carries a functional acknowledgement.
    pub acknowledges: bool,
    /// The mapper of the caller's format.
    pub mapping: Option<Mapping>,
    /// Proxy: the system that answers.
    pub target: Option<Arc<Target>>,
    /// Proxy: the mapper of the target's format.
    pub target_mapping: Option<Mapping>,
}

/// A mapper with all that it is given.
#[derive(Clone)]
pub struct Mapping {
    /// The mapper.
    pub mapper: Mapper,
    /// Tables that it may look into.
    pub tables: Arc<Tables>,
    /// Its limits.
    pub limits: mapper::Limits,
    /// Its configuration, JSON.
    pub config: Bytes,
    /// Where the policy names it.
    pub rule: String,
    /// A candidate that is out for some of its messages.
    pub canary: Option<Arc<Canary>>,
    /// What the policy asks for.
    wanted: MapperRef,
}

impl Mapping {
    /// The same with another generation of its mapper, if the policy's version allows it.
    fn with(&self, mapper: &Mapper, canary: Option<&Arc<Canary>>) -> Option<Self> {
        let canary = self.wanted.allowed(canary);
        self.wanted.fits(mapper.version(), mapper.digest()).then(|| Self {
            mapper: mapper.clone(),
            canary,
            ..self.clone()
        })
    }

    /// The same for a candidate's work.
    pub fn by(&self, candidate: &Mapper) -> Self {
        Self { mapper: candidate.clone(), ..self.clone() }
    }

    fn is_of(&self, mapper: &Mapper) -> bool {
        self.mapper.name() == mapper.name()
    }

    /// `x12-wms@1.4.0`
    pub fn title(&self) -> String {
        format!("{}@{}", self.mapper.name(), self.mapper.version())
    }
}

/// Which events go to a target.
pub struct Subscription {
    /// Its name.
    pub name: SubscriptionName,
    /// Where they go.
    pub target: TargetName,
    from: Option<HashSet<PartnerName>>,
    events: Vec<checked::EventPattern>,
    outward: Arc<Outward>,
    delivery: Arc<deliver::Subscription>,
}

impl Subscription {
    /// Whether an event of this partner goes here.
    pub fn wants(&self, partner: &PartnerName, event: &Event) -> bool {
        let from = self.from.as_ref().is_none_or(|from| from.contains(partner));
        let major = event.schema_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        from && self.events.iter().any(|pattern| {
            let version =
                pattern.versions.is_empty() || major.is_some_and(|major| pattern.versions.contains(&major));
            pattern.kind == event.kind && version
        })
    }
}

fn delivery(
    name: &SubscriptionName,
    target: &TargetName,
    outward: &Arc<Outward>,
) -> Arc<deliver::Subscription> {
    let (name, target, map) = (name.clone(), target.clone(), Arc::clone(outward));
    Arc::new(deliver::Subscription { name, target, map })
}

impl Plan for Snapshot {
    fn targets(&self) -> Vec<Arc<Target>> {
        self.targets.values().cloned().collect()
    }

    fn target(&self, name: &TargetName) -> Option<Arc<Target>> {
        self.targets.get(name).cloned()
    }

    fn subscription(&self, name: &SubscriptionName) -> Option<Arc<deliver::Subscription>> {
        let found = self.subscriptions.iter().find(|found| found.name == *name)?;
        Some(Arc::clone(&found.delivery))
    }
}

/// What building needs besides the files.
pub struct Workshop {
    /// Runs mappers.
    pub host: Arc<Host>,
    /// The policy folder, for paths in it.
    pub folder: PathBuf,
    /// Key sets of token issuers; fetched ones outlive a reload.
    pub keys: Arc<KeySets>,
}

/// Makes a snapshot of `checked` and the live mappers.
///
/// # Errors
/// Everything that stands in the way, each with its place: a mapper that is not there, a secret that cannot be read.
pub fn build(
    checked: &Checked,
    revision: Revision,
    mappers: &Mappers,
    workshop: &Workshop,
) -> Result<Snapshot, Vec<String>> {
    let mut builder = Builder::new(checked, mappers);
    let secrets = Secrets::new(workshop.folder.clone());
    let targets = builder.targets(&secrets);
    let routes = builder.routes(&targets);
    let subscriptions = builder.subscriptions(&workshop.host);
    let authenticator = builder.authenticator(workshop, &secrets);
    let partners = builder.partners();
    let (Some(authenticator), Some(routes), true) = (authenticator, routes, builder.wrong.is_empty()) else {
        return Err(builder.wrong);
    };
    let estate = checked.gateway.estate.clone();
    let operations = builder.operations;
    let (authenticator, partners, targets) = (Arc::new(authenticator), Arc::new(partners), Arc::new(targets));
    let expiries = checked.partners.values().flat_map(expiries).collect();
    let ownership = Arc::new(ownership(checked));
    Ok(Snapshot {
        revision,
        estate,
        authenticator,
        partners,
        routes,
        operations,
        subscriptions,
        targets,
        ownership,
        expiries,
    })
}

fn ownership(checked: &Checked) -> Ownership {
    let owned = |(kind, owned): (&String, &checked::Owned)| {
        let owners = owned.owners.iter().cloned().collect();
        (kind.clone(), Owned { owners, rule: owned.origin.to_string() })
    };
    Ownership(checked.ownership.iter().map(owned).collect())
}

fn expiries(partner: &checked::Partner) -> impl Iterator<Item = Expiry> {
    partner.credentials.iter().filter_map(|credential| {
        let at = match credential.kind {
            CredentialKind::ApiKey { expires, .. }
            | CredentialKind::Webhook { expires, .. }
            | CredentialKind::Signature { expires, .. } => expires?,
            CredentialKind::Certificate(_) | CredentialKind::Jwt { .. } => return None,
        };
        Some(Expiry { partner: partner.name.clone(), credential: Arc::clone(&credential.name), at })
    })
}

/// Makes a snapshot that decides as one in force would and can neither call nor verify: it reads no secret and no
/// key, has no targets, and goes without the mappers that are not there. Without a host nothing is mapped, so nothing
/// is delivered either. Beside it, what is missing.
pub fn rehearsing(
    checked: &Checked,
    at_hand: &BTreeMap<MapperName, Mapper>,
    host: Option<&Arc<Host>>,
) -> (Option<Snapshot>, Vec<String>) {
    let mappers = Mappers { live: at_hand.clone(), ..Mappers::default() };
    let mut builder = Builder::new(checked, &mappers);
    let routes = builder.routes(&BTreeMap::new());
    let subscriptions = host.map(|host| builder.subscriptions(host)).unwrap_or_default();
    let partners = Arc::new(builder.partners());
    let (operations, wrong) = (builder.operations, builder.wrong);
    let snapshot = routes.map(|routes| Snapshot {
        revision: Revision::stored("rehearsal"),
        estate: checked.gateway.estate.clone(),
        authenticator: Arc::new(super::credentials::rehearsing(checked)),
        partners,
        routes,
        operations,
        subscriptions,
        targets: Arc::default(),
        ownership: Arc::new(ownership(checked)),
        expiries: Arc::default(),
    });
    (snapshot, wrong)
}

struct Builder<'a> {
    checked: &'a Checked,
    mappers: &'a Mappers,
    /// One set of tables for each combination that is granted.
    tables: HashMap<Vec<String>, Arc<Tables>>,
    operations: BTreeMap<String, Arc<Operation>>,
    wrong: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(checked: &'a Checked, mappers: &'a Mappers) -> Self {
        let (tables, operations) = (HashMap::new(), BTreeMap::new());
        Self { checked, mappers, tables, operations, wrong: Vec::new() }
    }

    fn partners(&self) -> HashMap<PartnerName, Arc<Partner>> {
        self.checked
            .partners
            .values()
            .map(|partner| {
                let credentials = partner
                    .credentials
                    .iter()
                    .filter(|credential| credential.limits != checked::Limits::default())
                    .map(|credential| (Arc::clone(&credential.name), limit(&credential.limits)))
                    .collect();
                let built = Partner {
                    zone: partner.zone.clone(),
                    sender: partner.edi.as_ref().map(|edi| edi.sender.clone()).unwrap_or_default(),
                    receiver: partner.edi.as_ref().map(|edi| edi.receiver.clone()).unwrap_or_default(),
                    limit: limit(&partner.limits),
                    weight: partner.weight,
                    credentials,
                };
                (partner.name.clone(), Arc::new(built))
            })
            .collect()
    }

    fn authenticator(&mut self, workshop: &Workshop, secrets: &Secrets) -> Option<Authenticator> {
        let built = super::credentials::build(self.checked, &workshop.keys, secrets);
        built.map_err(|wrong| self.wrong.extend(wrong)).ok()
    }

    fn targets(&mut self, secrets: &Secrets) -> BTreeMap<TargetName, Arc<Target>> {
        let mut targets = BTreeMap::new();
        for target in self.checked.targets.values() {
            match super::targets::build(target, secrets) {
                Ok(built) => {
                    targets.insert(target.name.clone(), Arc::new(built));
                }
                Err(what) => self.wrong.push(format!("{}: {what}", target.origin)),
            }
        }
        targets
    }

    fn routes(&mut self, targets: &BTreeMap<TargetName, Arc<Target>>) -> Option<Routes<Arc<Operation>>> {
        let mut routes = Vec::new();
        let checked = self.checked;
        for api in checked.apis.values() {
            let lives = match super::lives::build(api) {
                Ok(lives) => Arc::new(lives),
                Err(error) => {
                    self.wrong.push(format!("{}: {error}", api.origin));
                    continue;
                }
            };
            for operation in api.operations.values() {
                let built = Arc::new(self.operation(api, operation, &lives, targets));
                self.operations.insert(built.id.clone(), Arc::clone(&built));
                match Method::from_bytes(operation.method.as_bytes()) {
                    Ok(method) => routes.push((method, operation.path.clone(), built)),
                    Err(_) => {
                        self.wrong.push(format!("{}: `{}` is no method", operation.origin, operation.method))
                    }
                }
            }
        }
        let laid = Routes::build(routes);
        laid.map_err(|error| self.wrong.push(error.to_string())).ok()
    }

    fn operation(
        &mut self,
        api: &checked::Api,
        operation: &checked::Operation,
        lives: &Arc<Lives>,
        targets: &BTreeMap<TargetName, Arc<Target>>,
    ) -> Operation {
        let mut versions = HashMap::new();
        for (version, binding) in &operation.versions {
            versions.insert(version.clone(), Arc::new(self.contract(binding, targets)));
        }
        let mut grants: HashMap<PartnerName, HashSet<VersionName>> = HashMap::new();
        for grant in api.grants.iter().filter(|grant| grant.operations.contains(&operation.name)) {
            grants.entry(grant.partner.clone()).or_default().extend(grant.versions.iter().cloned());
        }
        let conditions = self.conditions(api, operation);
        Operation {
            id: format!("{}/{}", api.name, operation.name),
            api: api.name.clone(),
            name: operation.name.clone(),
            scopes: operation.scopes.clone(),
            limit: limit(&operation.limits),
            idempotency: operation.idempotency,
            lives: Arc::clone(lives),
            versions,
            grants: Arc::new(grants),
            conditions: Arc::new(conditions),
            body_max: self.checked.gateway.limits.body_max_bytes,
            rule: operation.origin.to_string(),
        }
    }

    fn conditions(
        &mut self,
        api: &checked::Api,
        operation: &checked::Operation,
    ) -> HashMap<PartnerName, HashMap<VersionName, Vec<When>>> {
        let mut all: HashMap<PartnerName, HashMap<VersionName, Vec<When>>> = HashMap::new();
        let grants = || api.grants.iter().filter(|grant| grant.operations.contains(&operation.name));
        for grant in grants() {
            let Some(when) = &grant.when else { continue };
            let condition = match Condition::compile(&when.text) {
                Ok(condition) => Arc::new(condition),
                Err(error) => {
                    self.wrong.push(format!("{}: {error}", when.origin));
                    continue;
                }
            };
            let when = When { condition, rule: when.origin.to_string() };
            let versions = all.entry(grant.partner.clone()).or_default();
            for version in &grant.versions {
                versions.entry(version.clone()).or_default().push(when.clone());
            }
        }
        for grant in grants().filter(|grant| grant.when.is_none()) {
            if let Some(versions) = all.get_mut(&grant.partner) {
                versions.retain(|version, _| !grant.versions.contains(version));
            }
        }
        all
    }

    fn contract(
        &mut self,
        binding: &checked::Binding,
        targets: &BTreeMap<TargetName, Arc<Target>>,
    ) -> Contract {
        let schema = binding.schema.as_ref().and_then(|path| {
            let text = self.checked.schemas.get(path)?;
            let compiled = Schema::compile(text, path);
            compiled.map(Arc::new).map_err(|error| self.wrong.push(format!("{path}: {error}"))).ok()
        });
        let ours = self.bound(binding.mapper.as_ref(), &binding.run);
        let theirs = self.bound(binding.target_mapper.as_ref(), &binding.run);
        let target = binding.target.as_ref().and_then(|name| targets.get(name).cloned());
        let media_types = binding.media_types.clone();
        let (partial, acknowledges) = (binding.partial, binding.acknowledge == checked::Acknowledge::Answer);
        if let (Bound::Ready(mapping), true) = (&ours, acknowledges)
            && !mapping.mapper.offers(mapper::Direction::Acknowledge)
        {
            self.wrong.push(format!(
                "{}: `acknowledge` is asked for, and mapper {} writes no acknowledgements\n  help: its \
                 `directions` do not name `acknowledge`; take another mapper, or the key away",
                binding.origin,
                mapping.title()
            ));
        }
        let schema_in_shadow = binding.schema_in_shadow;
        match (ours, theirs) {
            (Bound::Unusable(_), _) | (_, Bound::Unusable(_)) => Contract {
                schema,
                schema_in_shadow,
                media_types,
                // An exchange without a mapper is refused as the gateway's fault; a proxy call without one would
                // hand the document on as it came.
                mode: Mode::Exchange,
                partial,
                acknowledges,
                mapping: None,
                target: None,
                target_mapping: None,
            },
            (ours, theirs) => Contract {
                schema,
                schema_in_shadow,
                media_types,
                mode: binding.mode,
                partial,
                acknowledges,
                mapping: ours.ready(),
                target,
                target_mapping: theirs.ready(),
            },
        }
    }

    fn subscriptions(&mut self, host: &Arc<Host>) -> Vec<Arc<Subscription>> {
        let mut subscriptions = Vec::new();
        for subscription in self.checked.subscriptions.values() {
            let mapping = match self.bound(subscription.mapper.as_ref(), &subscription.run) {
                Bound::Wrong => Err("it is not here".to_owned()),
                Bound::Unusable(what) => Err(what),
                bound => Ok(bound.ready()),
            };
            let owner =
                self.checked.targets.get(&subscription.target).and_then(|target| target.owner.as_ref());
            let zone = owner.and_then(|owner| self.checked.partners.get(owner)?.zone.clone());
            let outward = Arc::new(Outward { host: Arc::clone(host), mapping, zone });
            let delivery = delivery(&subscription.name, &subscription.target, &outward);
            subscriptions.push(Arc::new(Subscription {
                name: subscription.name.clone(),
                target: subscription.target.clone(),
                from: subscription.from.as_ref().map(|from| from.iter().cloned().collect()),
                events: subscription.events.clone(),
                outward,
                delivery,
            }));
        }
        subscriptions
    }

    fn bound(&mut self, wanted: Option<&MapperRef>, run: &MapperRun) -> Bound {
        let Some(wanted) = wanted else { return Bound::Nothing };
        if let Some(what) = self.mappers.unusable.get(&wanted.name) {
            return Bound::Unusable(format!("mapper `{wanted}` cannot be used: {what}"));
        }
        let Some(mapper) = self.mappers.live.get(&wanted.name) else {
            self.wrong.push(format!(
                "{}: mapper `{wanted}` is not here\n  help: crossdock plugin build {} && crossdock plugin push {}",
                wanted.origin, wanted.name, wanted.name
            ));
            return Bound::Wrong;
        };
        if !wanted.fits(mapper.version(), mapper.digest()) {
            self.wrong.push(format!(
                "{}: `{wanted}` is asked for, {} ({}) is live",
                wanted.origin,
                mapper.version(),
                mapper.digest().short()
            ));
            return Bound::Wrong;
        }
        let config = Value::Object(run.config.clone()).to_string();
        Bound::Ready(Box::new(Mapping {
            mapper: mapper.clone(),
            tables: self.granted(&run.tables),
            limits: limits(&run.limits),
            config: config.into(),
            rule: wanted.origin.to_string(),
            canary: wanted.allowed(self.mappers.canaries.get(&wanted.name)),
            wanted: wanted.clone(),
        }))
    }

    fn granted(&mut self, names: &[String]) -> Arc<Tables> {
        let checked = self.checked;
        let tables = self.tables.entry(names.to_vec()).or_insert_with(|| {
            let mut tables = Tables::default();
            for table in names.iter().filter_map(|name| checked.tables.get(name)) {
                tables.insert(&table.name, &table.columns, &table.keys, &table.rows);
            }
            Arc::new(tables)
        });
        Arc::clone(tables)
    }
}

impl MapperRef {
    /// A candidate, where its version is one that the policy takes.
    fn allowed(&self, canary: Option<&Arc<Canary>>) -> Option<Arc<Canary>> {
        canary.filter(|canary| self.fits(canary.mapper.version(), canary.mapper.digest())).cloned()
    }
}

/// What a mapper's name in the policy leads to.
enum Bound {
    Nothing,
    Ready(Box<Mapping>),
    /// It is stored and cannot be used: the operation or subscription is there and refuses.
    Unusable(String),
    /// The policies cannot be served; the reason is noted.
    Wrong,
}

impl Bound {
    fn ready(self) -> Option<Mapping> {
        match self {
            Self::Ready(mapping) => Some(*mapping),
            Self::Nothing | Self::Unusable(_) | Self::Wrong => None,
        }
    }
}

fn limit(limits: &checked::Limits) -> throttle::Limit {
    let rate = limits.rate.and_then(|rate| {
        Some(throttle::Rate {
            requests: rate.requests.try_into().ok()?,
            per: rate.per,
            burst: rate.burst.try_into().ok()?,
        })
    });
    throttle::Limit {
        rate,
        quotas: limits.quotas.clone(),
        concurrency: limits.concurrency,
        shadow: limits.shadow,
    }
}

fn limits(set: &checked::MapperLimits) -> mapper::Limits {
    let mut limits = mapper::Limits::default();
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    if let Some(cpu) = set.cpu {
        limits.cpu = cpu;
        limits.cpu_per_10_kib = Duration::ZERO;
    }
    if let Some(memory) = set.memory_bytes {
        limits.memory_bytes = bytes(memory);
    }
    if let Some(input) = set.input_bytes {
        limits.input_bytes = bytes(input);
    }
    if let Some(output) = set.output_bytes {
        limits.output_bytes = bytes(output);
        limits.output_ratio = 0;
    }
    limits
}
