//! Failed attempts: too many from one address, or too many that claim to be the same, and the next ones wait.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::{Exceeded, Rate, seen, table, table::Table};
use crate::words::Time;

/// Pairs of claim and address that are remembered as true; 512 KiB.
const KNOWN: usize = 1 << 16;

/// What is kept of those who failed.
#[derive(Debug)]
pub(super) struct Strangers {
    pub(super) table: Table,
    addresses: Rate,
    claims: Rate,
    /// Whether any claim failed lately; until then nobody looks.
    claimed: AtomicBool,
    known: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Strangers {
    /// An address may fail to authenticate 20 times at once, then 30 times a minute: enough for a misconfigured fleet
    /// behind one address to be noticed, too few to guess. A name may be claimed in vain 100 times at once, then 60
    /// times a minute, from wherever.
    fn default() -> Self {
        let rate = |requests, burst| {
            let number = |n| NonZeroU32::new(n).expect("not zero");
            Rate { requests: number(requests), per: Duration::from_secs(60), burst: number(burst) }
        };
        Self {
            table: Table::default(),
            addresses: rate(30, 20),
            claims: rate(60, 100),
            claimed: AtomicBool::new(false),
            known: (0..KNOWN).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Strangers {
    pub(super) fn admit(&self, address: IpAddr, claim: Option<&str>, now: Time) -> Result<(), Exceeded> {
        let address = network(address);
        self.ask(&table::key("address", &address.to_string()), &self.addresses, now)?;
        match claim {
            Some(claim) if self.claimed.load(Ordering::Relaxed) && !self.is_known(address, claim) => {
                self.ask(&table::key("claim", claim), &self.claims, now)
            }
            _ => Ok(()),
        }
    }

    fn ask(&self, key: &str, rate: &Rate, now: Time) -> Result<(), Exceeded> {
        let Some(bucket) = self.table.known(key) else { return Ok(()) };
        let verdict = bucket.lock().ask(rate, now);
        let Some(retry_after) = verdict.wait else { return Ok(()) };
        let limit = seen("failed-authentication", rate, &verdict);
        Err(Exceeded { all: vec![limit.clone()], limit, retry_after })
    }

    pub(super) fn note_failure(&self, address: IpAddr, claim: Option<&str>, now: Time) {
        let address = network(address);
        self.count(&table::key("address", &address.to_string()), &self.addresses, now);
        if let Some(claim) = claim {
            self.claimed.store(true, Ordering::Relaxed);
            // Its own mistakes are its address's; they must not shut it out elsewhere.
            if !self.is_known(address, claim) {
                self.count(&table::key("claim", claim), &self.claims, now);
            }
        }
    }

    fn count(&self, key: &str, rate: &Rate, now: Time) {
        let bucket = self.table.bucket(key, now);
        let mut state = bucket.lock();
        let verdict = state.ask(rate, now);
        state.take(verdict);
    }

    pub(super) fn note_success(&self, address: IpAddr, claim: Option<&str>) {
        if let Some(claim) = claim {
            let (slot, mark) = self.pair(network(address), claim);
            if slot.load(Ordering::Relaxed) != mark {
                slot.store(mark, Ordering::Relaxed);
            }
        }
    }

    fn is_known(&self, address: IpAddr, claim: &str) -> bool {
        let (slot, mark) = self.pair(address, claim);
        slot.load(Ordering::Relaxed) == mark
    }

    /// Where a pair is remembered, and as what. The hash is keyed, so nobody can choose whose place is taken.
    fn pair(&self, address: IpAddr, claim: &str) -> (&AtomicU64, u64) {
        let mark = self.hasher.hash_one((address, claim)) | 1;
        let slot = usize::try_from(mark >> 32).unwrap_or(0) % KNOWN;
        (&self.known[slot], mark)
    }

    pub(super) fn retain_recent(&self, now: Time) {
        self.table.retain_recent(now);
        if self.table.keys() == 0 {
            self.claimed.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.table.keys()
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        // One subscriber has at least a /64, so single addresses of it say nothing.
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
        v4 => v4,
    }
}
