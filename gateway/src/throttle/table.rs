//! Buckets by their key, bounded whoever comes.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::bucket::Bucket;
use crate::words::Time;

/// Keys that one table remembers at most. Partners, credentials and operations are far fewer; addresses
/// of strangers are as many as an attacker likes, so they have a table of their own. A key takes about 250 bytes.
const MOST_KEYS: usize = 1 << 17;
/// Parts with a lock of their own.
pub(super) const SHARDS: usize = 64;

/// A full shard looks for keys that it may forget once in so long: under a flood of new keys there are none, and looking
/// for them every time would be the flood's second harm.
const TIDY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Shard {
    buckets: HashMap<Arc<str>, Arc<Bucket>>,
    tidied: Option<Time>,
}

/// Buckets by the limit's name and whose it is.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    pub(super) keys_per_shard: usize,
    /// Takes the place of a key's own bucket when there is room for no more keys.
    crowd: Arc<Bucket>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            keys_per_shard: MOST_KEYS / SHARDS,
            crowd: Arc::default(),
        }
    }
}

/// The key of a limit's bucket.
pub(super) fn key(name: &str, whose: &str) -> String {
    format!("{name}\0{whose}")
}

impl Table {
    /// The key's bucket; a new one where it has none.
    pub(super) fn bucket(&self, key: &str, now: Time) -> Arc<Bucket> {
        let mut shard = self.shard(key);
        if let Some(bucket) = shard.buckets.get(key) {
            return Arc::clone(bucket);
        }
        let tidied = shard.tidied.is_some_and(|last| last <= now && now < last.after(TIDY));
        if shard.buckets.len() >= self.keys_per_shard && !tidied {
            retain(&mut shard, now);
        }
        if shard.buckets.len() >= self.keys_per_shard {
            return Arc::clone(&self.crowd);
        }
        Arc::clone(shard.buckets.entry(key.into()).or_default())
    }

    /// The key's bucket, if it has one; the crowd's if there is room for no more.
    pub(super) fn known(&self, key: &str) -> Option<Arc<Bucket>> {
        let shard = self.shard(key);
        let full = shard.buckets.len() >= self.keys_per_shard;
        shard.buckets.get(key).or(full.then_some(&self.crowd)).cloned()
    }

    pub(super) fn retain_recent(&self, now: Time) {
        for shard in &self.shards {
            retain(&mut lock(shard), now);
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).buckets.len()).sum()
    }

    /// Shows every bucket, without holding more than one lock at a time.
    pub(super) fn each(&self, mut show: impl FnMut(&str, &Bucket)) {
        for shard in &self.shards {
            let all: Vec<_> =
                lock(shard).buckets.iter().map(|(key, one)| (Arc::clone(key), Arc::clone(one))).collect();
            all.iter().for_each(|(key, bucket)| show(key, bucket));
        }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).expect("less than 64");
        lock(&self.shards[shard])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bucket that somebody else holds at this moment is about to be used, so it stays.
fn retain(shard: &mut Shard, now: Time) {
    shard.tidied = Some(now);
    shard.buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_idle(now));
}
