//! Tokens that were verified a moment ago. An entry is good only as long as its token is and as the issuer's
//! keys are those that verified it.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use super::{KeySet, token::Verified};
use crate::words::{Caller, Digest, Time};

/// Entries of the young half; twice as many are kept at most, about 2 MiB.
const HALF: usize = 4096;

/// Remembers by SHA-256 of the whole token. When the young half is full it becomes the old one and the
/// former old one is forgotten; what is asked for in the old half becomes young again.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    caller: Caller,
    bound: Option<Digest>,
    from: Time,
    until: Time,
    keys: Arc<KeySet>,
    generation: u64,
}

impl Entry {
    fn holds(&self, now: Time) -> bool {
        let same_keys = self.keys.generation() == self.generation && self.keys.usable(now);
        same_keys && self.from <= now && now < self.until
    }
}

impl Cache {
    /// Whose the token is, and the certificate that it is bound to.
    pub(super) fn get(&self, token: &Digest, now: Time) -> Option<(Caller, Option<Digest>)> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match halves.young.get(token) {
            Some(entry) => entry.clone(),
            None => {
                let entry = halves.old.remove(token)?;
                halves.insert(*token, entry.clone());
                entry
            }
        };
        if entry.holds(now) {
            return Some((entry.caller, entry.bound));
        }
        halves.young.remove(token);
        None
    }

    pub(super) fn put(&self, token: Digest, caller: &Caller, verified: &Verified<'_>) {
        let entry = Entry {
            caller: caller.clone(),
            bound: verified.bound,
            from: verified.from,
            until: verified.until,
            keys: Arc::clone(&verified.issuer.keys),
            generation: verified.generation,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, entry);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let halves = self.0.lock().unwrap();
        halves.young.len() + halves.old.len()
    }
}

impl Halves {
    fn insert(&mut self, token: Digest, entry: Entry) {
        if self.young.len() >= HALF {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(token, entry);
    }
}
