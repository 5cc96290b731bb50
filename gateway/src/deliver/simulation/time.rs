//! A clock that stands still until everything waits, and seeded dice.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

use crate::{
    deliver::{Later, Timer},
    words::{Clock, Random, Time},
};

/// 2026-01-01T00:00:00Z.
pub fn start_of_time() -> Time {
    Time::from_millis(1_767_225_600_000)
}

/// Seeded randomness (SplitMix64).
pub struct Dice(AtomicU64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Random for Dice {
    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.0.fetch_add(step, SeqCst).wrapping_add(step);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// A clock that stands still until it is told to jump to the next wake.
pub struct SimulatedTime {
    now: AtomicI64,
    steps: AtomicU64,
    names: AtomicU64,
    stuck: AtomicU64,
    sleepers: Mutex<BTreeMap<(Time, u64), Waker>>,
    me: Weak<Self>,
}

impl SimulatedTime {
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            now: AtomicI64::new(start_of_time().millis()),
            steps: AtomicU64::new(0),
            names: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
            sleepers: Mutex::default(),
            me: me.clone(),
        })
    }

    /// Rises whenever anything happens.
    pub fn steps(&self) -> u64 {
        self.steps.load(SeqCst)
    }

    /// Something happened.
    pub fn step(&self) -> u64 {
        self.steps.fetch_add(1, SeqCst)
    }

    /// Goes on to the next wake.
    pub fn jump(&self) {
        let mut sleepers = self.sleepers.lock().unwrap();
        let Some((&(next, _), _)) = sleepers.first_key_value() else {
            // What just ended is allowed to be noticed first.
            assert!(self.stuck.fetch_add(1, SeqCst) < 100, "everything waits for ever");
            return;
        };
        self.stuck.store(0, SeqCst);
        self.now.fetch_max(next.millis(), SeqCst);
        let mut woken = Vec::new();
        while let Some(entry) = sleepers.first_entry().filter(|entry| entry.key().0 <= next) {
            woken.push(entry.remove());
        }
        drop(sleepers);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> Time {
        Time::from_millis(self.now.load(SeqCst))
    }
}

/// A sleeper that is dropped no longer holds the clock.
struct Sleeper(Arc<SimulatedTime>, (Time, u64));

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.sleepers.lock().unwrap().remove(&self.1);
    }
}

impl Timer for SimulatedTime {
    fn until(&self, at: Time) -> Later<'static, ()> {
        let time = self.me.upgrade().unwrap();
        Box::pin(async move {
            let key = (at, time.names.fetch_add(1, SeqCst));
            let sleeper = Sleeper(time, key);
            poll_fn(|context| {
                if sleeper.0.now() >= at {
                    return Poll::Ready(());
                }
                sleeper.0.sleepers.lock().unwrap().insert(sleeper.1, context.waker().clone());
                Poll::Pending
            })
            .await;
            sleeper.0.step();
        })
    }
}
