//! Targets that fail in every way, and the ledger that catches what must never happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use bytes::Bytes;

use super::{
    super::{
        Answer, Call, CallError, Endpoint, Later, Map, MapFailure, Plan, Request, Retry, Subscription,
        Target, Timer as _,
    },
    store::Crowded,
    time::{Dice, SimulatedTime, start_of_time},
};
use crate::{
    journal::{Accepted, Counter, DeliveryId, Destination, Journal as _, Next, Outbound, Outcome, Work},
    words::{
        ApiName, Clock as _, Digest, Document, EstateName, Event, IdSource, Identity, Key, MapperName,
        OperationName, Pairs, PartnerName, Revision, SubscriptionName, TargetName, Time, VersionName,
    },
};

/// The world around the runner.
pub struct World {
    pub time: Arc<SimulatedTime>,
    pub dice: Arc<Dice>,
    pub journal: Arc<Crowded>,
    targets: Vec<(Arc<Target>, Vec<Fault>)>,
    noisy: bool,
    arrivals: Mutex<Vec<Accepted>>,
    ledger: Arc<Mutex<Ledger>>,
    me: Weak<Self>,
}

/// A time in which a target is not itself.
struct Fault {
    from: Time,
    to: Time,
    kind: Trouble,
}

#[derive(Clone, Copy)]
pub enum Trouble {
    /// Nobody listens.
    Down,
    /// The answer comes too late.
    Slow,
    /// 500.
    Erring,
    /// 401.
    Locked,
    /// 410.
    Gone,
    /// 429.
    Busy,
}

/// What happened, for a test to judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub attempts: u64,
    pub effects: u64,
    pub repeats: u64,
    pub ambiguous: u64,
    pub parked: u64,
    pub busy: u64,
    pub violations: Vec<String>,
}

impl Summary {
    pub fn add(&mut self, other: Summary) {
        self.attempts += other.attempts;
        self.effects += other.effects;
        self.repeats += other.repeats;
        self.ambiguous += other.ambiguous;
        self.parked += other.parked;
        self.busy += other.busy;
    }
}

/// Everything that was seen from outside.
#[derive(Default)]
pub struct Ledger {
    pub summary: Summary,
    healed: bool,
    delivery: BTreeMap<String, DeliveryId>,
    due: BTreeMap<DeliveryId, Time>,
    bytes: BTreeMap<String, Bytes>,
    /// The requests of a lane in their order.
    lanes: BTreeMap<(TargetName, String), Vec<String>>,
    lanes_of: BTreeMap<String, Vec<(TargetName, String)>>,
    effects: BTreeSet<String>,
    flying: BTreeMap<TargetName, u32>,
    lanes_flying: BTreeSet<(TargetName, String)>,
}

impl Ledger {
    fn wrong(&mut self, what: String) {
        self.summary.violations.push(what);
    }

    pub fn note_work(&mut self, request: String, delivery: DeliveryId) {
        self.delivery.insert(request, delivery);
    }

    pub fn note_outcome(&mut self, outcome: &Outcome) {
        match &outcome.next {
            Next::Retry { due } => {
                self.due.insert(outcome.delivery, *due);
            }
            Next::Park { .. } => self.summary.parked += 1,
            Next::Delivered => {}
        }
    }

    fn begin(&mut self, target: &Target, request: &Request, now: Time) {
        self.summary.attempts += 1;
        let id = &request.id;
        let due = self.delivery.get(id).and_then(|delivery| self.due.get(delivery)).copied();
        if due.is_some_and(|due| now < due) {
            self.wrong(format!("{id} was tried at {now}, before it was due at {due:?}"));
        }
        let bytes = self.bytes.entry(id.clone()).or_insert_with(|| request.document.content.clone()).clone();
        if bytes != request.document.content {
            self.wrong(format!("{id} was sent with other bytes"));
        }
        for lane in self.lanes_of.get(id).cloned().unwrap_or_default() {
            let before = self.lanes[&lane].iter().take_while(|other| *other != id);
            if let Some(missing) = before.clone().find(|other| !self.effects.contains(*other)).cloned() {
                self.wrong(format!("{id} was sent before {missing} of the same lane had arrived"));
            }
            if !self.lanes_flying.insert(lane.clone()) {
                self.wrong(format!("two calls at once in {lane:?}"));
            }
        }
        let flying = self.flying.entry(target.name.clone()).or_default();
        *flying += 1;
        if *flying > target.concurrency {
            let flying = *flying;
            self.wrong(format!("{flying} calls at once to {}", target.name));
        }
    }

    fn end(&mut self, target: &Target, id: &str) {
        *self.flying.entry(target.name.clone()).or_default() -= 1;
        for lane in self.lanes_of.get(id).cloned().unwrap_or_default() {
            self.lanes_flying.remove(&lane);
        }
    }

    fn effect(&mut self, id: &str) {
        if self.effects.insert(id.to_owned()) {
            self.summary.effects += 1;
        } else {
            self.summary.repeats += 1;
        }
    }
}

/// Ends a call in the ledger, also when its process is killed.
struct Flight {
    ledger: Arc<Mutex<Ledger>>,
    target: Arc<Target>,
    id: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.ledger.lock().unwrap().end(&self.target, &self.id);
    }
}

impl World {
    /// Three targets with a bad day.
    pub fn new(seed: u64) -> Arc<Self> {
        let dice = Arc::new(Dice::new(seed));
        let names = ["erp", "wms", "tms"];
        let targets = names.into_iter().enumerate().map(|(place, name)| {
            let retry = Retry { give_up_after: hours(4), ..Retry::default() };
            let concurrency = 1 + u32::try_from(dice.below(4)).unwrap();
            let target = Target { retry, concurrency, ..target(name) };
            let faults = (0..dice.below(4)).map(|_| {
                let from = start_of_time().after(Duration::from_secs(dice.below(10 * 3600)));
                let kinds = [Trouble::Down, Trouble::Slow, Trouble::Erring, Trouble::Busy, Trouble::Locked];
                // Only one of them turns everybody away: it then waits for a person.
                let kind = kinds[usize::try_from(dice.below(if place == 0 { 5 } else { 4 })).unwrap()];
                Fault { from, to: from.after(Duration::from_secs(dice.below(8 * 3600))), kind }
            });
            (Arc::new(target), faults.collect())
        });
        let targets = targets.collect();
        let events = 25 + dice.below(25);
        Self::with(dice, targets, true, events, 12, Duration::from_secs(10 * 3600))
    }

    /// One target that is in trouble for 24 hours, or well, and so many orders for it within its first minute.
    pub fn calm(trouble: Option<Trouble>, orders: u64) -> Arc<Self> {
        let to = start_of_time().after(hours(24));
        let faults = trouble.map(|kind| Fault { from: start_of_time(), to, kind }).into_iter().collect();
        let targets = vec![(Arc::new(target("erp")), faults)];
        Self::with(Arc::new(Dice::new(1)), targets, false, orders, 1_000_000, Duration::from_secs(60))
    }

    fn with(
        dice: Arc<Dice>,
        targets: Vec<(Arc<Target>, Vec<Fault>)>,
        noisy: bool,
        events: u64,
        keys: u64,
        span: Duration,
    ) -> Arc<Self> {
        let time = SimulatedTime::new();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let room = if noisy { Some(Arc::clone(&dice)) } else { None };
        let journal = Arc::new(Crowded::new(Arc::clone(&time), room, Arc::clone(&ledger)));
        let mut moments: Vec<u64> = (0..events).map(|_| dice.below(span.as_secs())).collect();
        moments.sort_unstable_by(|a, b| b.cmp(a));
        let ids = IdSource::new();
        let arrivals = moments.iter().rev().enumerate().map(|(n, moment)| {
            let at = start_of_time().after(Duration::from_secs(*moment));
            accepted(n, at, &ids, &dice, keys, &targets)
        });
        let mut arrivals: Vec<Accepted> = arrivals.collect();
        arrivals.reverse();
        let arrivals = Mutex::new(arrivals);
        Arc::new_cyclic(|me| Self { time, dice, journal, targets, noisy, arrivals, ledger, me: me.clone() })
    }

    /// Hands in what arrives up to `now`.
    pub async fn events_of(&self, now: Time) {
        loop {
            let next = {
                let mut arrivals = self.arrivals.lock().unwrap();
                arrivals.pop_if(|accepted| accepted.received_at <= now)
            };
            let Some(mut accepted) = next else { return };
            accepted.received_at = now;
            {
                let mut ledger = self.ledger();
                for (event, destinations) in &accepted.events {
                    for to in destinations {
                        let request = format!("{}-{}", event.id, to.subscription);
                        for key in &event.order_keys {
                            let lane = (to.target.clone(), key.value.clone());
                            ledger.lanes.entry(lane.clone()).or_default().push(request.clone());
                            ledger.lanes_of.entry(request.clone()).or_default().push(lane);
                        }
                    }
                }
            }
            self.journal.inner.append(accepted).await.unwrap();
            self.journal.changed();
        }
    }

    /// Every fault is over.
    pub fn heal(&self) {
        self.ledger().healed = true;
    }

    pub fn summary(&self) -> Summary {
        self.ledger().summary.clone()
    }

    pub fn plan(&self) -> Arc<dyn Plan> {
        Arc::new(self.me.upgrade().unwrap())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn trouble(&self, target: &Target, now: Time) -> Option<Trouble> {
        let (_, faults) = self.targets.iter().find(|(known, _)| known.name == target.name)?;
        faults.iter().find(|fault| fault.from <= now && now < fault.to).map(|fault| fault.kind)
    }

    async fn wait(&self, longest: Duration) {
        let part = Duration::from_millis(1 + self.dice.below(u64::try_from(longest.as_millis()).unwrap()));
        self.time.until(self.time.now().after(part)).await;
    }

    async fn answer(self: Arc<Self>, target: Arc<Target>, request: Request) -> Result<Answer, CallError> {
        self.ledger().begin(&target, &request, self.time.now());
        let id = request.id.clone();
        let _flight =
            Flight { ledger: Arc::clone(&self.ledger), target: Arc::clone(&target), id: id.clone() };
        self.wait(Duration::from_millis(1500)).await;
        let healed = self.ledger().healed;
        if !healed {
            match self.trouble(&target, self.time.now()) {
                Some(Trouble::Down) => return Err(CallError::Refused),
                Some(Trouble::Slow) => return self.too_late(id).await,
                Some(Trouble::Erring) => return says(500, None),
                Some(Trouble::Locked) => return says(401, None),
                Some(Trouble::Gone) => return says(410, None),
                Some(Trouble::Busy) => return says(429, Some("90")),
                None => {}
            }
            if self.noisy && id.as_bytes()[25] % 16 == 3 {
                return says(422, None);
            }
        }
        let noise = if self.noisy && !healed { self.dice.below(20) } else { 20 };
        match noise {
            0 => return says(503, None),
            1 => return says(409, Some("3")),
            2 => return Err(CallError::Broken { sent: false, what: "closed".into() }),
            3 => return self.too_late(id).await,
            _ => {}
        }
        self.ledger().effect(&id);
        self.wait(Duration::from_millis(1500)).await;
        match noise {
            4 => {
                self.ledger().summary.ambiguous += 1;
                Err(CallError::Broken { sent: true, what: "reset".into() })
            }
            5 => says(502, None),
            _ => says(200, None),
        }
    }

    /// The gateway gives up before the target is done; it does the work nonetheless, or not.
    async fn too_late(self: Arc<Self>, id: String) -> Result<Answer, CallError> {
        self.time.until(self.time.now().after(Duration::from_secs(10))).await;
        self.ledger().summary.ambiguous += 1;
        let world = Arc::clone(&self);
        tokio::spawn(async move {
            world.wait(Duration::from_secs(40)).await;
            if world.dice.one_in(2) {
                world.ledger().effect(&id);
            }
        });
        Err(CallError::TimedOut { sent: true })
    }
}

impl Call for World {
    fn call(&self, target: Arc<Target>, request: Request) -> Later<'static, Result<Answer, CallError>> {
        self.time.step();
        Box::pin(self.me.upgrade().unwrap().answer(target, request))
    }
}

impl Plan for Arc<World> {
    fn targets(&self) -> Vec<Arc<Target>> {
        self.targets.iter().map(|(target, _)| Arc::clone(target)).collect()
    }

    fn target(&self, name: &TargetName) -> Option<Arc<Target>> {
        self.targets().into_iter().find(|target| target.name == *name)
    }

    fn subscription(&self, name: &SubscriptionName) -> Option<Arc<Subscription>> {
        // Now and then a policy is published that lacks a subscription, and the next one has it again.
        if self.noisy && !self.ledger().healed && self.dice.one_in(50) {
            return None;
        }
        let target = TargetName::new(name.as_str().strip_prefix("to-")?).ok()?;
        let map: Arc<dyn Map> = Arc::clone(self) as Arc<dyn Map>;
        Some(Arc::new(Subscription { name: name.clone(), target, map }))
    }
}

impl Map for World {
    fn wants(&self, target: &Target) -> Vec<Counter> {
        vec![Counter { kind: "isa13".into(), sender: "US".into(), receiver: target.name.to_string() }]
    }

    fn map(&self, work: &Work, _: &Target, numbers: Pairs) -> Later<'static, Result<Outbound, MapFailure>> {
        self.time.step();
        let healed = self.ledger().healed;
        let failure = match work.event.id.to_bytes()[15] % 16 {
            _ if healed || !self.noisy => None,
            4 => Some(MapFailure::Refused(Vec::new())),
            _ if self.dice.one_in(10) => Some(MapFailure::Later("the queue is full".into())),
            _ => None,
        };
        let content = Bytes::from(format!("{} {}", work.event.id, numbers[0].1));
        let document = Document { media_type: "text/plain".into(), content, parameters: Vec::new() };
        let mapped = Outbound {
            mapper: MapperName::new("plain").unwrap(),
            mapper_digest: Digest::of(b"plain"),
            document,
            control_numbers: numbers,
        };
        Box::pin(async move { failure.map_or(Ok(mapped), Err) })
    }
}

fn says(status: u16, retry_after: Option<&str>) -> Result<Answer, CallError> {
    let retry_after = retry_after.map(str::to_owned);
    Ok(Answer { status, retry_after, media_type: String::new(), content: Bytes::new(), cut: false })
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn target(name: &str) -> Target {
    Target::new(TargetName::new(name).unwrap(), Endpoint::parse("http://target.example/").unwrap())
}

fn accepted(
    n: usize,
    at: Time,
    ids: &IdSource,
    dice: &Dice,
    keys: u64,
    targets: &[(Arc<Target>, Vec<Fault>)],
) -> Accepted {
    let text = format!("fact {n}");
    let mut order_keys = vec![Key { kind: "order".into(), value: format!("o{}", dice.below(keys)) }];
    if dice.one_in(5) {
        order_keys.push(Key { kind: "order".into(), value: format!("o{}", dice.below(keys)) });
        order_keys.dedup();
    }
    let event = Event {
        id: ids.event(at, dice),
        identity: Identity(Digest::of(text.as_bytes())),
        source: "/acme/orders".into(),
        kind: "order.released".into(),
        schema_version: "1.0".into(),
        natural_key: vec![("n".into(), text.clone())],
        order_keys,
        sequence: None,
        corrects: None,
        occurred_at: None,
        recorded_at: at,
        data: Bytes::from(format!("{{\"n\":{n}}}")),
        data_digest: Digest::of(text.as_bytes()),
    };
    let mut destinations: Vec<Destination> = Vec::new();
    for (target, _) in targets {
        if targets.len() == 1 || !dice.one_in(3) {
            let subscription = SubscriptionName::new(&format!("to-{}", target.name)).unwrap();
            destinations.push(Destination { subscription, target: target.name.clone() });
        }
    }
    let content = Bytes::from(text);
    Accepted {
        message_id: ids.message(at, dice),
        partner: PartnerName::new("acme").unwrap(),
        api: ApiName::new("orders").unwrap(),
        operation: OperationName::new("release").unwrap(),
        version: VersionName::new("v1").unwrap(),
        credential: "key".into(),
        received_at: at,
        revision: Revision::new(Digest::of(b"policy")),
        document_digest: Digest::of(&content),
        document: Document { media_type: "text/plain".into(), content, parameters: Vec::new() },
        mapper: MapperName::new("plain").unwrap(),
        mapper_digest: Digest::of(b"plain"),
        diagnostics: Vec::new(),
        rejects: Vec::new(),
        acknowledgement: None,
        events: vec![(event, destinations)],
        idempotency: None,
        parent: None,
    }
}

/// The estate of every world.
pub fn estate() -> EstateName {
    EstateName::new("simulated").unwrap()
}
