//! Drives the deliveries: one task a target, bounded calls, and every outcome recorded before its lane goes on.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{self, JoinSet},
};

use super::{
    Call, Later, Plan, Target,
    breaker::Standing,
    carry::{Carrier, lock},
    desk::{Counts, Desk, Pause},
};
use crate::{
    journal::{self, DeliveryFilter, DeliveryId, DeliveryState, Journal},
    words::{Clock, Random, TargetName, Time},
};

/// Longest time between two looks at a target's queue, so that a clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// While calls are in flight the journal's next due time is theirs, so the queue is looked at in such steps.
const STEP: Duration = Duration::from_millis(100);

/// Between two looks that found nothing, at most. The journal tells of every change, also those of other targets; a busy
/// gateway must not pay a query for each of them at each idle target.
const LONGEST_QUIET: Duration = Duration::from_millis(16);

/// Between two looks at whether a person dealt with the exception of a paused target.
const PAUSE_LOOK: Duration = Duration::from_secs(1);

/// How long a target rests after the journal could not answer, or a delivery's task broke.
const TROUBLE: Duration = Duration::from_secs(1);

/// What the deliveries work with.
#[derive(Clone)]
pub struct Parts {
    /// Where deliveries are kept.
    pub journal: Arc<dyn Journal>,
    /// The policy in force. A new value is seen at once; a delivery keeps the one that it began with.
    pub plan: watch::Receiver<Arc<dyn Plan>>,
    /// Calls targets.
    pub call: Arc<dyn Call>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Spreads retries.
    pub random: Arc<dyn Random>,
    /// Waits.
    pub timer: Arc<dyn Timer>,
}

/// Waits for a moment; passed in, so that simulated time can pass at once.
pub trait Timer: Send + Sync {
    /// Ready when the clock has reached `at`.
    fn until(&self, at: Time) -> Later<'static, ()>;
}

/// The runtime's timer, counting from what the clock says.
pub struct RuntimeTimer(pub Arc<dyn Clock>);

impl Timer for RuntimeTimer {
    fn until(&self, at: Time) -> Later<'static, ()> {
        let wait = at.since(self.0.now());
        Box::pin(async move { tokio::time::sleep(wait).await })
    }
}

/// How the deliveries stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Every target of the policy, by name.
    pub targets: BTreeMap<TargetName, TargetStats>,
}

/// How the deliveries of one target stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TargetStats {
    /// Calls that are under way.
    pub in_flight: usize,
    /// The circuit breaker.
    pub breaker: Standing,
    /// Whether the target waits for a person.
    pub paused: bool,
    /// What passed since the process began.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Carries events from the journal to the targets.
pub struct Runner {
    parts: Parts,
    desks: Mutex<BTreeMap<TargetName, Arc<Mutex<Desk>>>>,
}

impl Runner {
    /// A runner at rest.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, desks: Mutex::default() })
    }

    /// Delivers until `stop` is ready. Then nothing new is started, what is in flight may finish within `drain`, and the
    /// rest stays with the journal.
    ///
    /// # Errors
    /// The store stopped, and the process must end.
    pub async fn run(
        self: Arc<Self>,
        stop: impl Future<Output = ()> + Send,
        drain: Duration,
    ) -> Result<(), journal::Error> {
        let (halt, halted) = watch::channel(false);
        let mut plan = self.parts.plan.clone();
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let targets = plan.borrow_and_update().targets();
            for target in targets {
                if let Some(desk) = self.open_desk(&target) {
                    let queue = Queue::new(self.parts.clone(), target.name.clone(), desk);
                    tasks.spawn(queue.tend(halted.clone()));
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = tasks.join_next() => ended.unwrap_or_else(|broke| Err(broken(&broke)))?,
                () = changed(&mut plan) => {}
            }
        }
        halt.send_replace(true);
        let deadline = self.parts.timer.until(self.parts.clock.now().after(drain));
        let finished = async {
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap_or_else(|broke| Err(broken(&broke)))?;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            ended = finished => ended,
            () = deadline => Ok(()),
        }
    }

    /// How the deliveries stand, for metrics and the console.
    pub fn stats(&self) -> Stats {
        let desks = lock(&self.desks);
        let plan = self.parts.plan.borrow().clone();
        let current =
            desks.iter().filter(|(name, desk)| plan.target(name).is_some() || !lock(desk).is_idle());
        let targets = current.map(|(name, desk)| {
            let desk = lock(desk);
            let stats = TargetStats {
                in_flight: desk.in_flight(),
                breaker: desk.standing(),
                paused: desk.pause().is_some(),
                counts: desk.counts(),
            };
            (name.clone(), stats)
        });
        Stats { targets: targets.collect() }
    }

    /// A desk for a target that has none yet.
    fn open_desk(&self, target: &Target) -> Option<Arc<Mutex<Desk>>> {
        let mut desks = lock(&self.desks);
        if desks.contains_key(&target.name) {
            return None;
        }
        let desk = Arc::new(Mutex::new(Desk::new(target)));
        desks.insert(target.name.clone(), Arc::clone(&desk));
        Some(desk)
    }
}

/// One target's queue and the calls under way. A target that leaves the policy keeps its task, at rest, so that there
/// never are two for one target when it comes back.
struct Queue {
    parts: Parts,
    name: TargetName,
    desk: Arc<Mutex<Desk>>,
    calls: JoinSet<Result<(), journal::Error>>,
    under_way: BTreeMap<task::Id, DeliveryId>,
    /// Something may be ready that the last look did not see.
    stale: bool,
    /// No look before then, unless a call ended.
    quiet_until: Time,
    quiet: Duration,
    /// When a look is due although nothing changed.
    look_at: Option<Time>,
}

impl Queue {
    fn new(parts: Parts, name: TargetName, desk: Arc<Mutex<Desk>>) -> Self {
        let quiet_until = parts.clock.now();
        Self {
            parts,
            name,
            desk,
            calls: JoinSet::new(),
            under_way: BTreeMap::new(),
            stale: true,
            quiet_until,
            quiet: Duration::ZERO,
            look_at: None,
        }
    }

    /// Starts what may start, until told to halt; then waits for what is under way.
    async fn tend(mut self, mut halted: watch::Receiver<bool>) -> Result<(), journal::Error> {
        let mut changes = self.parts.journal.changes();
        let mut plan = self.parts.plan.clone();
        while !*halted.borrow_and_update() {
            let snapshot = plan.borrow_and_update().clone();
            let wake = match snapshot.target(&self.name) {
                Some(target) => {
                    lock(&self.desk).renew(&target);
                    self.settle_pause().await?;
                    // Seen before the look: what changes during it is news.
                    self.stale |= changes.has_changed().unwrap_or(false);
                    changes.mark_unchanged();
                    self.step(&snapshot, &target).await?
                }
                None => self.parts.clock.now().after(LONGEST_WAIT),
            };
            tokio::select! {
                biased;
                () = changed(&mut halted) => {}
                Some(ended) = self.calls.join_next_with_id() => {
                    self.ended(ended)?;
                    // Many calls may have ended: one look serves them all.
                    while let Some(ended) = self.calls.try_join_next_with_id() {
                        self.ended(ended)?;
                    }
                }
                () = changed(&mut plan) => self.stale = true,
                () = changed(&mut changes), if !self.stale => self.stale = true,
                () = self.parts.timer.until(wake) => {}
            }
        }
        while let Some(ended) = self.calls.join_next_with_id().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    /// Looks at the queue if there is reason to, starts what may start, and says when to come back.
    async fn step(&mut self, plan: &Arc<dyn Plan>, target: &Arc<Target>) -> Result<Time, journal::Error> {
        let now = self.parts.clock.now();
        let latest = now.after(LONGEST_WAIT);
        let ask = lock(&self.desk).ask(now);
        if ask == 0 {
            // It is the desk that keeps anything from starting; it knows until when.
            self.stale = true;
            let paused = lock(&self.desk).pause().map(|_| now.after(PAUSE_LOOK));
            let wake = lock(&self.desk).wake().filter(|wake| *wake > now);
            return Ok(paused.into_iter().chain(wake).fold(latest, Time::min));
        }
        self.stale |= self.look_at.is_some_and(|due| now >= due);
        // A clock that was set back must not stretch a rest.
        let resting = now < self.quiet_until && self.quiet_until.since(now) <= TROUBLE;
        if self.stale && !resting {
            match self.look(plan, target, ask, now).await {
                Ok(()) => {}
                Err(journal::Error::Stopped(why)) => return Err(journal::Error::Stopped(why)),
                Err(error) => {
                    tracing::error!(target = %self.name, %error, "the queue could not be read");
                    self.stale = true;
                    self.quiet_until = now.after(TROUBLE);
                }
            }
        }
        let wake = if self.stale { Some(self.quiet_until) } else { self.look_at };
        Ok(wake.map_or(latest, |wake| wake.clamp(now, latest)))
    }

    async fn look(
        &mut self,
        plan: &Arc<dyn Plan>,
        target: &Arc<Target>,
        ask: usize,
        now: Time,
    ) -> Result<(), journal::Error> {
        self.stale = false;
        let ready = self.parts.journal.ready(self.name.clone(), now, ask).await?;
        let started = lock(&self.desk).start(now, &ready);
        if started.is_empty() {
            self.quiet = (self.quiet * 2).clamp(Duration::from_millis(1), LONGEST_QUIET);
            self.quiet_until = now.after(self.quiet);
        } else {
            self.quiet = Duration::ZERO;
            self.launch(plan, target, started).await?;
        }
        let (room, idle) = {
            let mut desk = lock(&self.desk);
            (desk.room(now), desk.is_idle())
        };
        self.look_at = None;
        // Without room it is the end of a call that gives reason for the next look.
        if room > 0 {
            let next = self.parts.journal.next_due(self.name.clone()).await?;
            self.look_at = next.map(|due| if idle { due } else { due.max(now.after(STEP)) });
        }
        Ok(())
    }

    /// Begins to carry deliveries that the desk has let start.
    async fn launch(
        &mut self,
        plan: &Arc<dyn Plan>,
        target: &Arc<Target>,
        started: Vec<DeliveryId>,
    ) -> Result<(), journal::Error> {
        let work = match self.parts.journal.work(started.clone()).await {
            Ok(work) => work,
            Err(error) => {
                started.iter().for_each(|delivery| lock(&self.desk).leave(*delivery));
                return Err(error);
            }
        };
        // Finished or parked since the look: a person was faster.
        for delivery in started.iter().filter(|id| work.iter().all(|work| work.id != **id)) {
            lock(&self.desk).leave(*delivery);
        }
        for work in work {
            let carrier = Carrier {
                parts: self.parts.clone(),
                plan: Arc::clone(plan),
                target: Arc::clone(target),
                desk: Arc::clone(&self.desk),
            };
            let delivery = work.id;
            let handle = self.calls.spawn(async move { carrier.carry(work).await });
            self.under_way.insert(handle.id(), delivery);
        }
        Ok(())
    }

    /// A call's outcome is durable, or will never be.
    fn ended(
        &mut self,
        ended: Result<(task::Id, Result<(), journal::Error>), task::JoinError>,
    ) -> Result<(), journal::Error> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(broke) => (broke.id(), Err(broken(&broke))),
        };
        let delivery = self.under_way.remove(&id);
        delivery.into_iter().for_each(|delivery| lock(&self.desk).leave(delivery));
        self.stale = true;
        self.quiet_until = self.parts.clock.now();
        match result {
            Ok(()) => Ok(()),
            Err(journal::Error::Stopped(why)) => Err(journal::Error::Stopped(why)),
            Err(error) => {
                let delivery = delivery.map(|id| id.0);
                tracing::error!(target = %self.name, delivery, %error, "a delivery was left where it was");
                lock(&self.desk).rest(self.parts.clock.now().after(TROUBLE));
                Ok(())
            }
        }
    }

    /// Ends the pause of a target when a person has dealt with the exception that stands for it.
    async fn settle_pause(&mut self) -> Result<(), journal::Error> {
        let pause = lock(&self.desk).pause();
        let Some(Pause { delivery, event }) = pause else { return Ok(()) };
        // Its outcome must be durable before it can be said that a person changed it.
        if self.under_way.values().any(|id| *id == delivery) {
            return Ok(());
        }
        let filter = DeliveryFilter {
            target: Some(self.name.clone()),
            event: Some(event),
            limit: 1000,
            ..DeliveryFilter::default()
        };
        match self.parts.journal.deliveries(filter).await {
            Ok(records) => {
                let waits = |state| state == DeliveryState::Parked;
                if !records.iter().any(|record| record.id == delivery && waits(record.state)) {
                    lock(&self.desk).resume();
                }
                Ok(())
            }
            Err(journal::Error::Stopped(why)) => Err(journal::Error::Stopped(why)),
            Err(_) => Ok(()),
        }
    }
}

/// The next change; never, if nobody is left to make one.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn broken(broke: &task::JoinError) -> journal::Error {
    journal::Error::Unreadable(format!("a delivery's task ended early: {broke}"))
}
