//! The scheduling of one target as a step function: given what is ready and what ended, it says what to start and when
//! to look again. Pure: the runner drives it with a real clock, the tests with a simulated one.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    breaker::{Circuit, Run, Standing},
    decide::{Decision, Health, parked},
    target::Target,
};
use crate::{
    journal::{DeliveryId, Next},
    words::{EventId, Time},
};

/// So many different keys that a target turned away say that it is the target, not the documents.
const TURNED_KEYS: usize = 5;

/// One target's desk.
#[derive(Clone, Debug)]
pub struct Desk {
    target: Target,
    circuit: Circuit,
    in_flight: BTreeMap<DeliveryId, Run>,
    asked_until: Option<Time>,
    turned: BTreeSet<String>,
    pause: Option<Pause>,
    counts: Counts,
}

/// What passed over a desk since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Deliveries that the target took.
    pub delivered: u64,
    /// Attempts that will be repeated.
    pub failed: u64,
    /// Deliveries that became exceptions.
    pub parked: u64,
    /// Looks at deliveries whose subscription the policy no longer has.
    pub orphaned: u64,
    /// Times that the mapper host had no room.
    pub unmapped: u64,
}

/// A target that waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The delivery whose exception stands for the target.
    pub delivery: DeliveryId,
    /// Its event.
    pub event: EventId,
}

impl Desk {
    /// An empty desk.
    pub fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            circuit: Circuit::new(target.breaker),
            in_flight: BTreeMap::new(),
            asked_until: None,
            turned: BTreeSet::new(),
            pause: None,
            counts: Counts::default(),
        }
    }

    /// Takes over what a policy now says of the target. A target that was changed is worth another try, so a pause ends.
    pub fn renew(&mut self, target: &Target) {
        if self.target != *target {
            self.target = target.clone();
            self.circuit.renew(target.breaker);
            self.asked_until = None;
            self.resume();
        }
    }

    /// How many deliveries may start at `now`.
    pub fn room(&mut self, now: Time) -> usize {
        let resting = self.asked_until.is_some_and(|until| now < until);
        if resting || self.pause.is_some() {
            return 0;
        }
        self.asked_until = None;
        let allowed = self.circuit.allowed(now, self.target.concurrency.max(1));
        (allowed as usize).saturating_sub(self.in_flight.len())
    }

    /// How many ready deliveries to ask the journal for: those in flight are among them.
    pub fn ask(&mut self, now: Time) -> usize {
        match self.room(now) {
            0 => 0,
            room => room + self.in_flight.len(),
        }
    }

    /// Of what is ready at `now`, the longest due first: what to start. From then on it is in flight.
    pub fn start(&mut self, now: Time, ready: &[DeliveryId]) -> Vec<DeliveryId> {
        let room = self.room(now);
        let run = self.circuit.run();
        let mut started = Vec::new();
        for delivery in ready {
            if started.len() == room {
                break;
            }
            if !self.in_flight.contains_key(delivery) {
                self.in_flight.insert(*delivery, run);
                started.push(*delivery);
            }
        }
        started
    }

    /// Turns what follows for a delivery into what is recorded: several deliveries may say together what none says alone.
    /// `key` is the business key that it stands for.
    pub fn judge(
        &mut self,
        delivery: DeliveryId,
        event: EventId,
        key: &str,
        decision: Decision,
        now: Time,
    ) -> Next {
        self.learn(delivery, &decision.health, now);
        let next = match decision.health {
            Health::Gone => self.turn_away(delivery, event, decision.next, now),
            Health::Turned => {
                self.turned.insert(key.to_owned());
                if self.pause.is_some() || self.turned.len() >= TURNED_KEYS {
                    self.turn_away(delivery, event, decision.next, now)
                } else {
                    decision.next
                }
            }
            Health::Took | Health::Judged | Health::Failed | Health::Asked(_) | Health::Silent => {
                decision.next
            }
        };
        match &next {
            Next::Delivered => self.counts.delivered += 1,
            Next::Retry { .. } if decision.health == Health::Silent => self.counts.unmapped += 1,
            Next::Retry { .. } => self.counts.failed += 1,
            Next::Park { .. } => self.counts.parked += 1,
        }
        next
    }

    /// Takes note of a delivery whose subscription is not in the policy.
    pub fn note_orphan(&mut self) {
        self.counts.orphaned += 1;
    }

    /// A delivery's outcome is durable; it is no longer in flight.
    pub fn leave(&mut self, delivery: DeliveryId) {
        self.in_flight.remove(&delivery);
    }

    /// Lets nothing start before `until`.
    pub fn rest(&mut self, until: Time) {
        self.asked_until = Some(self.asked_until.map_or(until, |before| before.max(until)));
    }

    /// The pause that the target is in.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// A person decided about the exception that stands for the target: one probe goes through.
    pub fn resume(&mut self) {
        self.turned.clear();
        if self.pause.take().is_some() {
            self.circuit.probe();
        }
    }

    /// When more may start than now, without anything else happening.
    pub fn wake(&self) -> Option<Time> {
        self.asked_until.into_iter().chain(self.circuit.opens_at()).max()
    }

    /// Whether anything is in flight.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Deliveries in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How the circuit stands.
    pub fn standing(&self) -> Standing {
        self.circuit.standing()
    }

    /// What passed so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn learn(&mut self, delivery: DeliveryId, health: &Health, now: Time) {
        let passed = match health {
            Health::Took => {
                self.turned.clear();
                true
            }
            Health::Judged | Health::Turned | Health::Gone => true,
            Health::Failed => false,
            Health::Asked(until) => return self.rest(*until),
            Health::Silent => return,
        };
        if let Some(run) = self.in_flight.get(&delivery) {
            self.circuit.record(*run, passed, now, self.target.concurrency);
        }
    }

    /// The first delivery that a gone target turns away becomes the exception that stands for it; the others wait.
    fn turn_away(&mut self, delivery: DeliveryId, event: EventId, next: Next, now: Time) -> Next {
        if self.pause.is_some() {
            return Next::Retry { due: now };
        }
        self.pause = Some(Pause { delivery, event });
        let said = match next {
            Next::Park { cause, .. } => cause.detail,
            Next::Delivered | Next::Retry { .. } => String::new(),
        };
        let detail = format!(
            "deliveries to `{}` are paused until this exception is dealt with: {said}",
            self.target.name
        );
        parked("target-paused", detail, self.target.stuck)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        deliver::{Breaker, Endpoint},
        journal::Stuck,
        words::{TargetName, Time},
    };

    fn target() -> Target {
        let endpoint = Endpoint::parse("https://erp.example/in").unwrap();
        Target { concurrency: 4, ..Target::new(TargetName::new("erp").unwrap(), endpoint) }
    }

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn ids(range: std::ops::Range<u64>) -> Vec<DeliveryId> {
        range.map(DeliveryId).collect()
    }

    fn event() -> EventId {
        EventId::from_bytes([7; 16])
    }

    fn verdict(health: Health) -> Decision {
        let next = match health {
            Health::Took => Next::Delivered,
            Health::Failed | Health::Silent | Health::Asked(_) => Next::Retry { due: at(10) },
            Health::Judged | Health::Turned | Health::Gone => {
                parked("target-refused", "404".into(), Stuck::Hold)
            }
        };
        Decision { next, health }
    }

    fn code(next: &Next) -> &str {
        match next {
            Next::Park { cause, .. } => &cause.code,
            Next::Retry { .. } => "retry",
            Next::Delivered => "delivered",
        }
    }

    #[test]
    fn what_is_in_flight_is_not_started_again_and_takes_room() {
        let mut desk = Desk::new(&target());
        assert_eq!(desk.ask(at(0)), 4);
        assert_eq!(desk.start(at(0), &ids(1..4)), ids(1..4));
        assert_eq!(desk.ask(at(0)), 4, "one more, and three that are in flight");
        assert_eq!(desk.start(at(0), &ids(1..6)), ids(4..5));
        assert_eq!(desk.ask(at(0)), 0);
        desk.leave(DeliveryId(2));
        assert_eq!(desk.start(at(0), &ids(1..6)), ids(2..3));
    }

    #[test]
    fn five_keys_turned_away_pause_the_target_with_one_exception() {
        let mut desk = Desk::new(&target());
        let mut codes = Vec::new();
        for n in 1..8 {
            desk.start(at(0), &[DeliveryId(n)]);
            let next =
                desk.judge(DeliveryId(n), event(), &format!("key-{n}"), verdict(Health::Turned), at(0));
            codes.push(code(&next).to_owned());
            desk.leave(DeliveryId(n));
        }
        assert_eq!(codes[..4], ["target-refused"; 4]);
        assert_eq!(codes[4..], ["target-paused", "retry", "retry"]);
        assert_eq!(desk.room(at(1_000_000)), 0, "time alone never ends a pause");
        assert_eq!(desk.pause().unwrap().delivery, DeliveryId(5));
        desk.resume();
        assert_eq!(desk.room(at(1)), 1, "one probe after a person's decision");
    }

    #[test]
    fn one_key_turned_away_often_does_not_pause_and_a_success_forgets() {
        let mut desk = Desk::new(&target());
        for n in 0..9 {
            desk.judge(DeliveryId(n), event(), "the same", verdict(Health::Turned), at(0));
        }
        for n in 0..4 {
            desk.judge(DeliveryId(n), event(), &format!("key-{n}"), verdict(Health::Took), at(0));
            desk.judge(DeliveryId(n), event(), &format!("key-{n}"), verdict(Health::Turned), at(0));
        }
        assert_eq!(desk.pause(), None);
    }

    #[test]
    fn a_target_that_is_gone_pauses_at_once() {
        let mut desk = Desk::new(&target());
        let next = desk.judge(DeliveryId(1), event(), "k", verdict(Health::Gone), at(0));
        assert_eq!(code(&next), "target-paused");
        assert_eq!(desk.room(at(0)), 0);
    }

    #[test]
    fn a_changed_target_is_tried_again_and_an_unchanged_one_stays_paused() {
        let mut desk = Desk::new(&target());
        desk.judge(DeliveryId(1), event(), "k", verdict(Health::Gone), at(0));
        desk.renew(&target());
        assert_eq!(desk.room(at(0)), 0);
        desk.renew(&Target { endpoint: Endpoint::parse("https://new.example/in").unwrap(), ..target() });
        assert_eq!(desk.room(at(0)), 1);
    }

    #[test]
    fn a_pause_that_the_target_asks_for_holds_all_its_lanes() {
        let mut desk = Desk::new(&target());
        desk.start(at(0), &ids(1..2));
        desk.judge(DeliveryId(1), event(), "k", verdict(Health::Asked(at(60))), at(0));
        desk.leave(DeliveryId(1));
        assert_eq!(desk.room(at(59)), 0);
        assert_eq!(desk.wake(), Some(at(60)));
        assert_eq!(desk.room(at(60)), 4);
        assert_eq!(desk.wake(), None);
    }

    #[test]
    fn an_open_circuit_starts_nothing_and_says_when_it_will() {
        let mut desk = Desk::new(&target());
        for n in 0..10 {
            desk.start(at(0), &[DeliveryId(n)]);
            desk.judge(DeliveryId(n), event(), "k", verdict(Health::Failed), at(0));
            desk.leave(DeliveryId(n));
        }
        assert_eq!(desk.standing(), Standing::Open);
        assert_eq!((desk.room(at(29)), desk.wake()), (0, Some(at(30))));
        assert_eq!(desk.start(at(30), &ids(20..30)).len(), 1, "one probe");
        desk.judge(DeliveryId(20), event(), "k", verdict(Health::Silent), at(30));
        desk.leave(DeliveryId(20));
        assert_eq!(desk.room(at(30)), 1, "a probe that was never sent gives its place back");
    }

    proptest! {
        #[test]
        fn never_more_in_flight_than_allowed_and_never_one_twice(
            concurrency in 1u32..6,
            steps in prop::collection::vec((0u64..40, 0usize..7, 0i64..20), 1..200),
        ) {
            let breaker = Breaker { open_for: std::time::Duration::from_secs(5), ..Breaker::default() };
            let mut desk = Desk::new(&Target { concurrency, breaker, ..target() });
            let (mut flying, mut now) = (BTreeSet::new(), at(0));
            for (first, what, wait) in steps {
                now = now.after(std::time::Duration::from_secs(wait.unsigned_abs()));
                let ready = ids(first..first + 8);
                prop_assert!(desk.ask(now) == 0 || desk.ask(now) > flying.len());
                for started in desk.start(now, &ready) {
                    prop_assert!(flying.insert(started), "{started:?} was in flight");
                }
                prop_assert!(flying.len() <= concurrency as usize);
                let health = [Health::Took, Health::Failed, Health::Failed, Health::Failed, Health::Turned,
                    Health::Silent, Health::Asked(now.after(std::time::Duration::from_secs(9)))][what];
                if let Some(ended) = flying.pop_first() {
                    desk.judge(ended, event(), &format!("{first}"), verdict(health), now);
                    desk.leave(ended);
                }
            }
            prop_assert_eq!(desk.in_flight(), flying.len());
        }
    }
}
