//! One key's bucket. The arithmetic (GCRA) is governor's; the state is ours, because governor's own stores
//! take from one limit before they can know that the next one refuses.

use std::{
    cell::Cell,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};

use super::{
    Rate,
    quota::{Ledger, Used},
};
use crate::words::Time;

/// Longest time that an empty bucket takes to fill. It keeps governor's unchecked 64-bit nanoseconds far
/// from their end; a longer burst is cut to it.
const LONGEST_REFILL: Duration = Duration::from_secs(400 * 24 * 3600);

/// What is kept of one key: when its bucket will be full again, and how many requests are under way.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    state: Mutex<State>,
    in_flight: Arc<AtomicU32>,
}

/// What changes with every request.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Nanoseconds since the epoch at which the bucket is (or was) full.
    full_at: u64,
    quotas: Ledger,
}

/// What a bucket says to one more request, before anything is taken from it.
pub(super) struct Verdict {
    /// When the bucket will be full if the request goes on.
    next: u64,
    /// Requests that could follow at once.
    pub(super) remaining: u64,
    /// Until the bucket is full.
    pub(super) reset: Duration,
    /// How long to wait, if it is refused.
    pub(super) wait: Option<Duration>,
}

impl Bucket {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Takes one of the slots; the caller holds the lock, so that counting and taking are one step.
    pub(super) fn take_slot(&self) -> Slot {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Slot(Arc::clone(&self.in_flight))
    }

    /// Whether forgetting this bucket would change nothing.
    pub(super) fn is_idle(&self, now: Time) -> bool {
        self.in_flight() == 0 && self.lock().is_idle(now)
    }
}

impl State {
    fn is_idle(&self, now: Time) -> bool {
        self.full_at <= nanos(now) && self.quotas.iter().all(|(_, used)| used.is_idle(now))
    }

    /// What was used of the quota of this name.
    pub(super) fn quota(&mut self, name: &str) -> &mut Used {
        let known = self.quotas.iter().position(|(known, _)| **known == *name);
        let index = known.unwrap_or_else(|| {
            self.quotas.push((name.into(), Used::default()));
            self.quotas.len() - 1
        });
        &mut self.quotas[index].1
    }

    /// What was used of all of them, by their names.
    pub(super) fn quotas(&self) -> impl Iterator<Item = (&str, &Used)> {
        self.quotas.iter().map(|(name, used)| (&**name, used))
    }

    pub(super) fn ask(&self, rate: &Rate, now: Time) -> Verdict {
        let quota = quota(rate);
        let emission = quota.replenish_interval();
        let capacity = emission * quota.burst_size().get();
        let now = nanos(now);
        // More missing than the bucket holds means that the clock stepped back or the limit was narrowed:
        // it counts as empty, so that nobody waits for the old time to come again.
        let missing = Duration::from_nanos(self.full_at.saturating_sub(now)).min(capacity);
        let limiter: RateLimiter<_, _, _, StateInformationMiddleware> =
            RateLimiter::new(quota, Missing::new(missing), Standing);
        let answer = limiter.check();
        let after = limiter.into_state_store().after.get();
        let next = now.saturating_add(after.as_u64());
        let reset = after.into();
        match answer {
            Ok(state) => {
                Verdict { next, remaining: u64::from(state.remaining_burst_capacity()), reset, wait: None }
            }
            Err(refused) => {
                Verdict { next, remaining: 0, reset, wait: Some(refused.wait_time_from(Nanos::default())) }
            }
        }
    }

    pub(super) fn take(&mut self, verdict: Verdict) {
        self.full_at = verdict.next;
    }
}

/// A place among the requests under way; given back on drop.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn nanos(time: Time) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0).saturating_mul(1_000_000)
}

fn quota(rate: &Rate) -> Quota {
    let emission = (rate.per.min(LONGEST_REFILL) / rate.requests.get()).max(Duration::from_nanos(1));
    let most = u32::try_from(LONGEST_REFILL.as_nanos() / emission.as_nanos()).unwrap_or(u32::MAX);
    let burst = rate.burst.min(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
    Quota::with_period(emission).expect("at least a nanosecond").allow_burst(burst)
}

/// Governor's state for one question: how much is missing until the bucket is full, counted from now.
struct Missing {
    before: Nanos,
    after: Cell<Nanos>,
}

impl Missing {
    fn new(missing: Duration) -> Self {
        let before = Nanos::from(missing);
        Self { before, after: Cell::new(before) }
    }
}

impl StateStore for Missing {
    type Key = NotKeyed;
    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, after) = f(Some(self.before))?;
        self.after.set(after);
        Ok(answer)
    }
}

/// A clock at zero: `Missing` counts from now already.
struct Standing;

impl Clock for Standing {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::default()
    }
}
