//! Second stage: leave to go on, under every limit that applies, or the word when to come again. Knows
//! nothing of policies; limits come with each question, so a reload changes them and keeps what was used.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::words::{Permit, RateLimit, Time};

mod bucket;
pub mod fields;

use bucket::Bucket;

/// Keys that one limiter remembers at most. Partners, credentials and operations are far fewer; addresses
/// of strangers are as many as an attacker likes. A key takes about 200 bytes.
const MOST_KEYS: usize = 1 << 17;
const SHARDS: usize = 64;

/// How long a caller waits that has too many requests under way; nobody knows when one of them ends.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(1);

/// A rate and a bound of requests under way; either may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Requests over time.
    pub rate: Option<Rate>,
    /// Requests under way at the same moment.
    pub concurrency: Option<u32>,
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
    if limit.window.is_zero() {
        format!("{} requests under way", limit.quota)
    } else {
        format!("{} requests in {:?}", limit.quota, limit.window)
    }
}

/// Buckets by the limit's name and whose it is.
type Buckets = HashMap<Arc<str>, Arc<Bucket>>;

/// Every limit's state. Lives as long as the gateway and survives reloads of the policies.
#[derive(Debug)]
pub struct Limiter {
    shards: Box<[Mutex<Buckets>]>,
    hasher: RandomState,
    keys_per_shard: usize,
    /// Takes the place of a key's own bucket when there is room for no more keys.
    crowd: Arc<Bucket>,
    strangers: Rate,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// A limiter that has seen nobody. An address may fail to authenticate 20 times at once, then 30 times
    /// a minute: enough for a misconfigured fleet behind one address to be noticed, too few to guess.
    pub fn new() -> Self {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        let minute = Duration::from_secs(60);
        Self::with_strangers(Rate { requests: number(30), per: minute, burst: number(20) })
    }

    /// A limiter with another bound for failed authentication.
    pub fn with_strangers(strangers: Rate) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            keys_per_shard: MOST_KEYS / SHARDS,
            crowd: Arc::default(),
            strangers,
        }
    }

    /// Asks every scope for leave and takes from all of them or from none: a request that one limit refuses
    /// costs nothing under the others. Slots of concurrency are given back when the permit is dropped.
    ///
    /// # Errors
    /// At least one limit is used up.
    pub fn admit(&self, scopes: &[Scope<'_>], now: Time) -> Result<Permit, Exceeded> {
        let mut asked: Vec<_> = scopes
            .iter()
            .filter(|scope| *scope.limit != Limit::default())
            .map(|scope| (scope, self.bucket(scope.name, scope.key, now)))
            .collect();
        // Locks are taken in one order by everybody; the same bucket twice would wait for itself.
        asked.sort_by_key(|(_, bucket)| Arc::as_ptr(bucket));
        asked.dedup_by_key(|(_, bucket)| Arc::as_ptr(bucket));
        let mut locked: Vec<_> =
            asked.iter().map(|(scope, bucket)| (*scope, bucket, bucket.lock())).collect();

        let mut verdicts = Vec::with_capacity(locked.len());
        let mut limits = Vec::with_capacity(locked.len());
        let mut refused: Option<(RateLimit, Duration)> = None;
        for (scope, bucket, full) in &locked {
            let verdict = scope.limit.rate.as_ref().map(|rate| {
                let verdict = full.ask(rate, now);
                let limit = seen(scope.name, rate, &verdict);
                refuse_longest(&mut refused, &limit, verdict.wait);
                limits.push(limit);
                verdict
            });
            if let Some(most) = scope.limit.concurrency
                && bucket.in_flight() >= most
            {
                let limit = full_house(scope.name, most);
                refuse_longest(&mut refused, &limit, Some(CONCURRENCY_WAIT));
                limits.push(limit);
            }
            verdicts.push(verdict);
        }
        limits.sort_by_key(|limit| scopes.iter().position(|scope| limit.name.starts_with(scope.name)));
        if let Some((limit, retry_after)) = refused {
            return Err(Exceeded { limit, retry_after, all: limits });
        }
        let mut held: Vec<Box<dyn std::any::Any + Send + Sync>> = Vec::new();
        for ((scope, bucket, full), verdict) in locked.iter_mut().zip(verdicts) {
            if let Some(verdict) = verdict {
                full.take(verdict);
            }
            if scope.limit.concurrency.is_some() {
                held.push(Box::new(bucket.take_slot()));
            }
        }
        Ok(Permit::new(limits, held))
    }

    /// Whether somebody at this address may try to authenticate. Takes nothing; see [`Self::note_failure`].
    ///
    /// # Errors
    /// Too many attempts from there failed.
    pub fn admit_stranger(&self, address: IpAddr, now: Time) -> Result<(), Exceeded> {
        let verdict = self.stranger(address, now).lock().ask(&self.strangers, now);
        let Some(retry_after) = verdict.wait else { return Ok(()) };
        let limit = seen("failed-authentication", &self.strangers, &verdict);
        Err(Exceeded { all: vec![limit.clone()], limit, retry_after })
    }

    /// Counts an attempt from this address that did not authenticate.
    pub fn note_failure(&self, address: IpAddr, now: Time) {
        let bucket = self.stranger(address, now);
        let mut full = bucket.lock();
        let verdict = full.ask(&self.strangers, now);
        full.take(verdict);
    }

    /// Forgets every key whose limits are whole again and that has nothing under way. Call it now and then;
    /// a shard that runs out of room does it by itself.
    pub fn retain_recent(&self, now: Time) {
        for shard in &self.shards {
            retain(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), now);
        }
    }

    /// Keys that are remembered now.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn stranger(&self, address: IpAddr, now: Time) -> Arc<Bucket> {
        let address = match address.to_canonical() {
            // One subscriber has at least a /64, so single addresses of it say nothing.
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
            v4 => v4,
        };
        self.bucket("address", &address.to_string(), now)
    }

    fn bucket(&self, name: &str, key: &str, now: Time) -> Arc<Bucket> {
        let key: Arc<str> = format!("{name}\0{key}").into();
        let shard = usize::try_from(self.hasher.hash_one(&key) % SHARDS as u64).expect("less than 64");
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = shard.get(&key) {
            return Arc::clone(bucket);
        }
        if shard.len() >= self.keys_per_shard {
            retain(&mut shard, now);
        }
        if shard.len() >= self.keys_per_shard {
            return Arc::clone(&self.crowd);
        }
        Arc::clone(shard.entry(key).or_default())
    }
}

/// A bucket that somebody else holds at this moment is about to be used, so it stays.
fn retain(shard: &mut HashMap<Arc<str>, Arc<Bucket>>, now: Time) {
    shard.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_idle(now));
}

fn seen(name: &str, rate: &Rate, verdict: &bucket::Verdict) -> RateLimit {
    RateLimit {
        name: name.into(),
        quota: rate.requests.get().into(),
        window: rate.per,
        remaining: verdict.remaining,
        reset: verdict.reset,
    }
}

/// A bound of concurrency has no window; `fields` tells it by its unit.
fn full_house(name: &str, most: u32) -> RateLimit {
    RateLimit {
        name: format!("{name}-concurrency").into(),
        quota: most.into(),
        window: Duration::ZERO,
        remaining: 0,
        reset: CONCURRENCY_WAIT,
    }
}

fn refuse_longest(refused: &mut Option<(RateLimit, Duration)>, limit: &RateLimit, wait: Option<Duration>) {
    if let Some(wait) = wait
        && refused.as_ref().is_none_or(|(_, longest)| wait > *longest)
    {
        *refused = Some((limit.clone(), wait));
    }
}

#[cfg(test)]
mod tests;
