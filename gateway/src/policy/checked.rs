//! What the files say, checked: a plain tree of values in which every reference resolves, every size and
//! duration is parsed, and every item knows its place. Secrets are named here and never read; nothing is
//! opened, connected or compiled. `built` makes the live objects from it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use super::compat::Compatibility;
use crate::words::{
    ApiName, Digest, EstateName, MapperName, Mode, OperationName, PartnerName, SubscriptionName, TargetName,
    Time, VersionName,
};

mod partner;

pub use partner::{CertificateName, Credential, CredentialKind, Edi, Limits, Partner, Rate};

/// A whole estate, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// `gateway.yaml`.
    pub gateway: Gateway,
    /// `issuers.yaml`, by name.
    pub issuers: BTreeMap<Arc<str>, Issuer>,
    /// `partners/`.
    pub partners: BTreeMap<PartnerName, Partner>,
    /// `apis/`.
    pub apis: BTreeMap<ApiName, Api>,
    /// `targets/`.
    pub targets: BTreeMap<TargetName, Target>,
    /// `subscriptions/`.
    pub subscriptions: BTreeMap<SubscriptionName, Subscription>,
    /// `ownership.yaml`, by type or family (`shipment.*`).
    pub ownership: BTreeMap<String, Owned>,
    /// JSON Schemas by their path in the folder: `schemas/nordfracht/status.v1.json`.
    pub schemas: BTreeMap<String, Arc<str>>,
    /// Cross-reference tables by name: the file's name without `.csv`.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// `mappers.lock`: which generation of a mapper is live. Without the file the data folder alone says so.
    pub lock: Option<BTreeMap<MapperName, Pin>>,
}

/// A line of `mappers.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Where it stands.
    pub origin: Origin,
    /// The mapper's version, for people.
    pub version: String,
    /// The digest that is live.
    pub digest: Digest,
    /// A candidate that serves a share of its messages.
    pub canary: Option<PinnedCanary>,
}

/// A candidate in `mappers.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedCanary {
    /// Its version, for people.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Percent of the business keys that it serves.
    pub share: u8,
}

/// Where something stands in the policy files; shown as `apis/shipments.yaml:31`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Path in the policy folder, with `/`.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where a secret is kept. The policy names the place; only `built` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// `env:NAME`, an environment variable.
    Env(String),
    /// `file:PATH`, relative to the policy folder unless absolute.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A value that is not secret and may come from the environment: a URL, a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// As written.
    Text(String),
    /// `env:NAME`, or `{ env: NAME, default: … }`.
    Env {
        /// The variable.
        name: String,
        /// What stands in when it is not set.
        default: Option<String>,
    },
}

/// `gateway.yaml`.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it stands.
    pub origin: Origin,
    /// The estate's name.
    pub estate: EstateName,
    /// The data path's address.
    pub listen: SocketAddr,
    /// The admin API's address, if any.
    pub admin: Option<Admin>,
    /// The data path's certificate; without it the listener speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Limits of the listener.
    pub limits: GatewayLimits,
    /// How long things are kept.
    pub retention: Retention,
    /// Who may say that a mapper is theirs.
    pub signatures: Signatures,
}

/// Signatures of mappers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Whether a mapper without one is taken in or goes live.
    pub required: bool,
    /// Ed25519 public keys by their names.
    pub keys: BTreeMap<String, [u8; 32]>,
}

/// Where the admin API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// TCP with a token.
    Tcp {
        /// The address.
        listen: SocketAddr,
        /// Where the token is written; `<data>/admin.token` if none.
        token_file: Option<PathBuf>,
    },
    /// A Unix socket of mode 0600.
    Socket(PathBuf),
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM chain.
    pub certificate: SecretRef,
    /// PEM private key.
    pub key: SecretRef,
    /// PEM authorities whose client certificates are asked for and believed.
    pub client_ca: Option<SecretRef>,
}

/// Limits of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Largest body of a request.
    pub body_max_bytes: u64,
    /// A connection may take so long to send a request's header.
    pub header_timeout: Duration,
    /// And so long to send its body.
    pub body_timeout: Duration,
    /// Connections at the same time.
    pub connections: u32,
    /// Requests under way, past which partners are held to their shares.
    pub requests: u32,
    /// Bodies, guest memory and output at the same time.
    pub in_flight_max_bytes: u64,
    /// On a stop, what is in flight may take so long to finish.
    pub drain: Duration,
}

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Receipts, and with them the memory of what repeats.
    pub receipts: Duration,
}

/// One issuer of tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Where it stands.
    pub origin: Origin,
    /// The policy's name for it.
    pub name: Arc<str>,
    /// The exact `iss`.
    pub issuer: String,
    /// Accepted `aud`; one of them must be in the token.
    pub audience: Vec<String>,
    /// Pinned algorithms; of public keys only.
    pub algorithms: Vec<TokenAlgorithm>,
    /// Where its keys are.
    pub jwks: Jwks,
    /// Tolerated difference of clocks.
    pub leeway: Duration,
    /// Claims that a token must carry besides `iss`, `aud` and `exp`.
    pub required_claims: Vec<String>,
    /// Whether every token must be bound to the client's certificate (RFC 8705).
    pub certificate_bound: bool,
}

/// A signature algorithm of tokens (RFC 7518 §3.1, RFC 8037). Symmetric ones and `none` cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the registry's own")]
pub enum TokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl TokenAlgorithm {
    /// Every one, by its registered name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDSA),
    ];
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// A file, relative to the policy folder unless absolute.
    File(Setting),
    /// Fetched.
    Url {
        /// The address.
        url: Setting,
        /// Fetched again this often.
        refresh: Duration,
        /// When a fetch fails, the old keys serve this long.
        stale_if_error: Duration,
        /// An unknown `kid` makes at most one fetch in this time.
        unknown_kid_cooldown: Duration,
    },
}

/// One API.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: ApiName,
    /// For whom it is.
    pub layer: Layer,
    /// What the schema of a version's successor promises about its documents.
    pub compatibility: Compatibility,
    /// How a request names its version.
    pub select: Select,
    /// Its versions.
    pub versions: BTreeMap<VersionName, Version>,
    /// Its operations.
    pub operations: BTreeMap<OperationName, Operation>,
    /// Who may call what. What no grant names is denied.
    pub grants: Vec<Grant>,
}

/// For whom an API is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// For other organisations.
    Partner,
    /// Joins systems to a business process.
    Process,
    /// One system's own.
    System,
}

/// How a request names its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The ways that are tried, in this order.
    pub by: Vec<SelectBy>,
    /// The header's name for `SelectBy::Header`, lower case.
    pub header: Option<String>,
    /// The version of a request that names none.
    pub default: Option<VersionName>,
}

/// One way to name a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectBy {
    /// `/v2/shipments/confirmations`.
    Path,
    /// `Content-Type: application/json; version=2`.
    MediaType,
    /// A header.
    Header,
}

/// A version's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Where it stands.
    pub origin: Origin,
    /// What it is now.
    pub state: VersionState,
    /// 00:00Z of the day from which it is deprecated.
    pub deprecated: Option<Time>,
    /// 00:00Z of the day from which it is gone.
    pub sunset: Option<Time>,
    /// What to use instead.
    pub successor: Option<VersionName>,
}

/// What a version is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// Not callable yet.
    Draft,
    /// In force.
    Active,
    /// In force, and said to go.
    Deprecated,
    /// Gone: 410.
    Retired,
}

/// A method and a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: OperationName,
    /// `POST`.
    pub method: String,
    /// `/orders/{id}`; begins with `/` and carries no version.
    pub path: String,
    /// Scopes that a caller must carry, all of them.
    pub scopes: Vec<String>,
    /// Its limits, for each partner.
    pub limits: Limits,
    /// About `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// What it does in each version.
    pub versions: BTreeMap<VersionName, Binding>,
}

/// About `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// A call without one is refused.
    pub required: bool,
    /// How long an answer is remembered.
    pub ttl: Duration,
}

/// What an operation does in one version.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Where it stands; this is the `rule` of a refusal.
    pub origin: Origin,
    /// A key of `Checked::schemas`.
    pub schema: Option<String>,
    /// The schema refuses nothing and counts what it would have.
    pub schema_in_shadow: bool,
    /// Accepted media types, lower case, without parameters; empty: any.
    pub media_types: Vec<String>,
    /// The mapper of what comes in, and in proxy mode of the answer to the caller.
    pub mapper: Option<MapperRef>,
    /// How it answers.
    pub mode: Mode,
    /// Whether good units of a document are kept when others are rejected.
    pub partial: bool,
    /// How the sender gets its functional acknowledgement.
    pub acknowledge: Acknowledge,
    /// Proxy: the system that answers.
    pub target: Option<TargetName>,
    /// Proxy: the mapper of the target's format.
    pub target_mapper: Option<MapperRef>,
    /// What both mappers are given.
    pub run: MapperRun,
}

/// How the sender of an EDI document gets its functional acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Not from here.
    #[default]
    No,
    /// In the answer: in its receipt, or in the problem.
    Answer,
}

/// `x12-wms@1`: a mapper and the generation of it that must be live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapperRef {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: MapperName,
    /// Which of it.
    pub wanted: Wanted,
}

/// Which generations of a mapper a policy takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One to three numbers: `1`, `1.4` or `1.4.0`. What is missing may be anything.
    Version(String),
    /// This one and no other.
    Digest(Digest),
}

impl MapperRef {
    /// Whether a mapper of this full version (`1.4.0`) and digest fits.
    pub fn fits(&self, version: &str, digest: Digest) -> bool {
        match &self.wanted {
            Wanted::Version(wanted) => {
                let mut have = version.split('.');
                wanted.split('.').all(|wanted| have.next() == Some(wanted))
            }
            Wanted::Digest(wanted) => *wanted == digest,
        }
    }
}

impl fmt::Display for MapperRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Version(version) => write!(f, "{}@{version}", self.name),
            Wanted::Digest(digest) => write!(f, "{}@sha256:{}", self.name, digest.short()),
        }
    }
}

/// What a mapper is given to run.
#[derive(Clone, Debug, Default)]
pub struct MapperRun {
    /// Granted tables: keys of `Checked::tables`.
    pub tables: Vec<String>,
    /// Its configuration, a JSON object.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Limits other than the defaults.
    pub limits: MapperLimits,
}

/// Limits of a mapper that a policy sets; what is none has the host's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapperLimits {
    /// CPU time of one call, instead of the default that grows with the input.
    pub cpu: Option<Duration>,
    /// Memory of the whole store.
    pub memory_bytes: Option<u64>,
    /// Largest input.
    pub input_bytes: Option<u64>,
    /// Largest output.
    pub output_bytes: Option<u64>,
}

/// Who may call what.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Where it stands.
    pub origin: Origin,
    /// Who.
    pub partner: PartnerName,
    /// Which operations.
    pub operations: Vec<OperationName>,
    /// In which versions.
    pub versions: Vec<VersionName>,
    /// What must hold besides.
    pub when: Option<When>,
}

/// A condition: an expression of CEL that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Where it stands.
    pub origin: Origin,
    /// As it is written.
    pub text: Arc<str>,
}

/// Who may assert events of a type.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Where it stands.
    pub origin: Origin,
    /// Those.
    pub owners: Vec<PartnerName>,
}

/// A system that events are delivered to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: TargetName,
    /// Where it is.
    pub url: Setting,
    /// The partner that runs it.
    pub owner: Option<PartnerName>,
    /// Interchange identities of what goes there.
    pub edi: Option<Edi>,
    /// How the gateway shows who it is.
    pub credentials: TargetCredentials,
    /// Secret of Standard Webhooks signatures (`whsec_…`).
    pub webhook_secret: Option<SecretRef>,
    /// A whole call may take so long.
    pub timeout: Duration,
    /// When to try again.
    pub retry: Retry,
    /// When to stop trying for a while.
    pub breaker: Breaker,
    /// Calls at the same time.
    pub concurrency: u32,
    /// What a delivery out of retries does to its lane.
    pub stuck: Stuck,
}

/// How the gateway shows a target who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetCredentials {
    /// It does not.
    None,
    /// `Authorization: Bearer …`.
    Bearer(SecretRef),
    /// `Authorization: Basic …`.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: SecretRef,
    },
    /// A header of the target's own.
    Header {
        /// Its name, lower case.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

/// When to try again: exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Before the second attempt.
    pub first: Duration,
    /// Each wait is so many times the one before, at least 1.
    pub factor: u32,
    /// The longest wait.
    pub cap: Duration,
    /// Time after which it is given up.
    pub give_up_after: Duration,
    /// Attempts after which it is given up.
    pub attempts: Option<u32>,
}

/// When to stop trying for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Fewer samples in the window decide nothing.
    pub samples: u32,
    /// Opens at this share of failures, percent.
    pub failure_percent: u32,
    /// The window.
    pub window: Duration,
    /// Opens at so many failures in a row.
    pub in_a_row: u32,
    /// Lets a probe through after this.
    pub open_for: Duration,
}

/// What a delivery out of retries does to its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Later events of the lane wait.
    Hold,
    /// They go on; the order is given up.
    Skip,
    /// A later event of the same type and keys takes its place.
    LatestWins,
}

/// A binding of event types to a target and its mapper.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: SubscriptionName,
    /// Whose events; none: everybody's.
    pub from: Option<Vec<PartnerName>>,
    /// Which events.
    pub events: Vec<EventPattern>,
    /// Where they go.
    pub target: TargetName,
    /// The mapper of the target's format; none: the canonical event itself goes there, as CloudEvents JSON.
    pub mapper: Option<MapperRef>,
    /// What it is given.
    pub run: MapperRun,
}

/// A type of events, in some versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern {
    /// Where it stands.
    pub origin: Origin,
    /// `order.released`.
    pub kind: String,
    /// Major versions: `v1` is 1; empty: all.
    pub versions: Vec<u32>,
}

/// A cross-reference table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// The columns of its key, by their position, in the order of the file.
    pub keys: Vec<usize>,
    /// The columns' names, without the `*` that marks a key.
    pub columns: Vec<String>,
    /// Its rows, each as long as `columns`; no two have the same key.
    pub rows: Vec<Vec<String>>,
}
