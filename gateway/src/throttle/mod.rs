//! Second stage: leave to go on, under every limit that applies, or the word when to come again. Knows
//! nothing of policies; limits come with each question, so a reload changes them and keeps what was used.

use std::{net::IpAddr, num::NonZeroU32, path::Path, sync::MutexGuard, time::Duration};

use crate::words::{Permit, RateLimit, Time, Unit};

mod bucket;
mod fair;
pub mod fields;
mod quota;
mod store;
mod stranger;
mod table;

pub use fair::{Crowded, Place, Places};
pub use quota::{Period, Quota, Window};

use bucket::{Bucket, State, Verdict};
use store::Store;
use stranger::Strangers;
use table::Table;

/// How long a caller waits that has too many requests under way; nobody knows when one of them ends.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(1);

/// A rate, quotas and a bound of requests under way; each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Requests over time.
    pub rate: Option<Rate>,
    /// So much in a period.
    pub quotas: Vec<Quota>,
    /// Requests under way at the same moment.
    pub concurrency: Option<u32>,
    /// It refuses nobody; what it would have refused is told in the permit.
    pub shadow: bool,
}

impl Limit {
    fn limits(&self) -> bool {
        self.rate.is_some() || self.concurrency.is_some() || !self.quotas.is_empty()
    }
}

/// So many requests per period, evenly, with so many at once after a pause (GCRA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per period.
    pub requests: NonZeroU32,
    /// The period.
    pub per: Duration,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// One limit that applies to a request, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// What kind of limit: `partner`, `credential`, `operation`. Callers read it.
    pub name: &'static str,
    /// Whose: the partner's name, `partner/credential`, `partner/api/operation`.
    pub key: &'a str,
    /// How much.
    pub limit: &'a Limit,
}

/// A request that has to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the `{}` limit of {} is used up", .limit.name, told(.limit))]
pub struct Exceeded {
    /// The limit that makes it wait longest.
    pub limit: RateLimit,
    /// How long.
    pub retry_after: Duration,
    /// Every limit, for the fields of the answer.
    pub all: Vec<RateLimit>,
}

fn told(limit: &RateLimit) -> String {
    match limit.unit {
        Unit::Concurrent => format!("{} requests under way", limit.quota),
        Unit::Requests => format!("{} requests in {:?}", limit.quota, limit.window),
        Unit::Bytes => format!("{} bytes in {:?}", limit.quota, limit.window),
    }
}

/// Every limit's state. Lives as long as the gateway and survives reloads of the policies; quotas survive a restart too.
#[derive(Debug)]
pub struct Limiter {
    limits: Table,
    strangers: Strangers,
    store: Option<Store>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// A limiter that has seen nobody and keeps nothing.
    pub fn new() -> Self {
        Self { limits: Table::default(), strangers: Strangers::default(), store: None }
    }

    /// A limiter that keeps what was used of quotas in this folder.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, now: Time) -> std::io::Result<Self> {
        let (store, lines) = Store::open(folder)?;
        let limits = Table::default();
        for line in lines.into_iter().filter(|line| line.until > now.millis()) {
            let part = quota::Part { from: line.from, until: line.until, used: line.used };
            limits.bucket(&line.key, now).lock().quota(&line.quota).restore(part);
        }
        Ok(Self { limits, strangers: Strangers::default(), store: Some(store) })
    }

    /// Asks every scope for leave and takes from all of them or from none: a request that one limit refuses
    /// costs nothing under the others. `bytes` is the length of its document as far as it is known. Slots of concurrency
    /// are given back when the permit is dropped.
    ///
    /// # Errors
    /// At least one limit is used up.
    pub fn admit(&self, scopes: &[Scope<'_>], bytes: u64, now: Time) -> Result<Permit, Exceeded> {
        let mut asked: Vec<_> = scopes
            .iter()
            .filter(|scope| scope.limit.limits())
            .map(|scope| (scope, table::key(scope.name, scope.key)))
            .map(|(scope, key)| (scope, self.limits.bucket(&key, now), key))
            .collect();
        // Locks are taken in one order by everybody; the same bucket twice would wait for itself.
        asked.sort_by_key(|(_, bucket, _)| std::sync::Arc::as_ptr(bucket));
        asked.dedup_by_key(|(_, bucket, _)| std::sync::Arc::as_ptr(bucket));
        let mut locked: Vec<_> =
            asked.iter().map(|(scope, bucket, key)| (*scope, bucket, key, bucket.lock())).collect();

        let mut answers: Vec<Answer> = locked
            .iter_mut()
            .map(|(scope, bucket, _, state)| ask(scope, bucket, state, bytes, now))
            .collect();
        let mut limits: Vec<RateLimit> = Vec::new();
        let mut refused: Option<(RateLimit, Duration)> = None;
        for ((scope, ..), answer) in locked.iter().zip(&mut answers) {
            if !scope.limit.shadow {
                limits.append(&mut answer.limits);
                let longer = |wait: &Duration| refused.as_ref().is_none_or(|(_, longest)| wait > longest);
                if answer.refused.as_ref().is_some_and(|(_, wait)| longer(wait)) {
                    refused = answer.refused.take();
                }
            }
        }
        limits.sort_by_key(|limit| scopes.iter().position(|scope| limit.name.starts_with(scope.name)));
        if let Some((limit, retry_after)) = refused {
            return Err(Exceeded { limit, retry_after, all: limits });
        }
        let mut permit = Permit::new(limits, Vec::new());
        for ((scope, bucket, key, state), answer) in locked.iter_mut().zip(answers) {
            // What a limit in shadow would have refused costs it nothing, as if it had.
            if let Some((limit, _)) = answer.refused {
                permit.shadowed.push(limit.name);
                continue;
            }
            if let Some(verdict) = answer.rate {
                state.take(verdict);
            }
            self.charge_quotas(scope.limit, key, state, |quota| quota.cost(bytes), now);
            if scope.limit.concurrency.is_some() {
                permit.hold(Box::new(bucket.take_slot()));
            }
        }
        Ok(permit)
    }

    /// Counts bytes that were not known when the request was admitted.
    pub fn charge(&self, scopes: &[Scope<'_>], bytes: u64, now: Time) {
        for scope in scopes.iter().filter(|scope| !scope.limit.quotas.is_empty()) {
            let key = table::key(scope.name, scope.key);
            let bucket = self.limits.bucket(&key, now);
            let cost = |quota: &Quota| if quota.unit == Unit::Bytes { bytes } else { 0 };
            self.charge_quotas(scope.limit, &key, &mut bucket.lock(), cost, now);
        }
    }

    fn charge_quotas(
        &self,
        limit: &Limit,
        key: &str,
        state: &mut MutexGuard<'_, State>,
        cost: impl Fn(&Quota) -> u64,
        now: Time,
    ) {
        for quota in &limit.quotas {
            let cost = cost(quota);
            if cost == 0 {
                continue;
            }
            let part = state.quota(&quota.name).take(quota, cost, now);
            if let Some(store) = &self.store {
                store.note(key, &quota.name, part);
            }
        }
    }

    /// Whether somebody at this address, who claims to be this one, may try to authenticate. Takes nothing; see
    /// [`Self::note_failure`].
    ///
    /// # Errors
    /// Too many attempts from there, or under that name, failed.
    pub fn admit_stranger(&self, address: IpAddr, claim: Option<&str>, now: Time) -> Result<(), Exceeded> {
        self.strangers.admit(address, claim, now)
    }

    /// Counts an attempt that did not authenticate, against its address and against whom it claimed to be.
    pub fn note_failure(&self, address: IpAddr, claim: Option<&str>, now: Time) {
        self.strangers.note_failure(address, claim, now);
    }

    /// Remembers that this claim was true from this address: a stranger's failures elsewhere do not shut it out.
    pub fn note_success(&self, address: IpAddr, claim: Option<&str>) {
        self.strangers.note_success(address, claim);
    }

    /// Forgets every key whose limits are whole again and that has nothing under way, and tells the disk what was used
    /// of quotas. Call it now and then; a table that runs out of room does the first by itself.
    pub fn retain_recent(&self, now: Time) {
        self.limits.retain_recent(now);
        self.strangers.retain_recent(now);
        let Some(store) = &self.store else { return };
        store.sync();
        if let Some(generation) = store.begin_anew() {
            self.limits.each(|key, bucket| {
                for (name, used) in bucket.lock().quotas() {
                    used.parts().for_each(|part| store.note(key, name, *part));
                }
            });
            store.drop_before(generation);
        }
    }

    /// Tells the disk what was used of quotas.
    pub fn sync(&self) {
        if let Some(store) = &self.store {
            store.sync();
        }
    }

    /// Keys that are remembered now.
    pub fn keys(&self) -> usize {
        self.limits.keys() + self.strangers.keys()
    }
}

/// What one scope says.
struct Answer {
    rate: Option<Verdict>,
    limits: Vec<RateLimit>,
    /// The limit that makes it wait longest.
    refused: Option<(RateLimit, Duration)>,
}

fn ask(scope: &Scope<'_>, bucket: &Bucket, state: &mut State, bytes: u64, now: Time) -> Answer {
    let mut answer = Answer { rate: None, limits: Vec::new(), refused: None };
    if let Some(rate) = &scope.limit.rate {
        let verdict = state.ask(rate, now);
        answer.add(seen(scope.name, rate, &verdict), verdict.wait);
        answer.rate = Some(verdict);
    }
    for quota in &scope.limit.quotas {
        let standing = state.quota(&quota.name).ask(quota, quota.cost(bytes), now);
        let limit = RateLimit {
            name: format!("{}-{}", scope.name, quota.name).into(),
            quota: quota.most,
            unit: quota.unit,
            window: standing.window,
            remaining: standing.remaining,
            reset: standing.reset,
        };
        answer.add(limit, standing.wait);
    }
    if let Some(most) = scope.limit.concurrency
        && bucket.in_flight() >= most
    {
        answer.add(full_house(scope.name, most), Some(CONCURRENCY_WAIT));
    }
    answer
}

impl Answer {
    fn add(&mut self, limit: RateLimit, wait: Option<Duration>) {
        if let Some(wait) = wait
            && self.refused.as_ref().is_none_or(|(_, longest)| wait > *longest)
        {
            self.refused = Some((limit.clone(), wait));
        }
        self.limits.push(limit);
    }
}

fn seen(name: &str, rate: &Rate, verdict: &Verdict) -> RateLimit {
    RateLimit {
        name: name.into(),
        quota: rate.requests.get().into(),
        unit: Unit::Requests,
        window: rate.per,
        remaining: verdict.remaining,
        reset: verdict.reset,
    }
}

/// A bound of concurrency has no window.
fn full_house(name: &str, most: u32) -> RateLimit {
    RateLimit {
        name: format!("{name}-concurrency").into(),
        quota: most.into(),
        unit: Unit::Concurrent,
        window: Duration::ZERO,
        remaining: 0,
        reset: CONCURRENCY_WAIT,
    }
}

#[cfg(test)]
mod tests;
