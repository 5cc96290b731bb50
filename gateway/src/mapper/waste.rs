//! What a partner's messages may waste: the CPU of calls that were stopped at a limit or trapped. A partner that
//! sends such messages only is told to wait, and its neighbours do not notice it. Good calls waste nothing and are
//! never counted, however many there are.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Failure;
use crate::words::{Digest, PartnerName};

/// What is forgiven in a second.
const PER_SECOND: Duration = Duration::from_millis(20);

/// What may be wasted before anybody waits: some twenty runaways under the default limits.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Entries before those that are forgiven are looked for and forgotten. Only a partner with a grant can make one.
const MOST: usize = 4096;

/// Who wastes, and with which mapper: its messages for other mappers go on.
type Whose = (PartnerName, Digest);

/// The debts of all partners.
pub(super) struct Waste {
    bounded: bool,
    debts: Mutex<HashMap<Whose, Debt>>,
}

/// CPU that was wasted and is not forgiven yet.
#[derive(Clone, Copy)]
struct Debt {
    cpu: Duration,
    at: Instant,
}

impl Debt {
    fn now(self, now: Instant) -> Duration {
        let forgiven = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND.as_secs_f64();
        self.cpu.saturating_sub(Duration::from_secs_f64(forgiven))
    }
}

impl Waste {
    /// No debts; if `bounded` is false, none will be held against anybody.
    pub fn new(bounded: bool) -> Self {
        Self { bounded, debts: Mutex::default() }
    }

    /// Runs a call, which answers with the CPU that it took, unless its partner has to wait.
    pub fn bounded<T>(
        &self,
        partner: &PartnerName,
        mapper: Digest,
        call: impl FnOnce() -> (Duration, Result<T, Failure>),
    ) -> Result<T, Failure> {
        if let Some(retry_after) = self.wait(partner, mapper, Instant::now()) {
            return Err(Failure::Wasteful { retry_after });
        }
        let (cpu, result) = call();
        if self.bounded && matches!(result, Err(Failure::Limit { .. } | Failure::Trapped { .. })) {
            self.add(partner, mapper, cpu, Instant::now());
        }
        result
    }

    /// How long a message has to wait, if its partner has wasted too much with this mapper.
    fn wait(&self, partner: &PartnerName, mapper: Digest, now: Instant) -> Option<Duration> {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.is_empty() {
            return None;
        }
        let whose = (partner.clone(), mapper);
        let debt = debts.get(&whose)?.now(now);
        if debt.is_zero() {
            debts.remove(&whose);
        }
        let over = debt.checked_sub(AT_ONCE).filter(|over| !over.is_zero())?;
        Some(over.div_f64(PER_SECOND.as_secs_f64()))
    }

    /// A call of this partner spent so much for nothing.
    fn add(&self, partner: &PartnerName, mapper: Digest, cpu: Duration, now: Instant) {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= MOST {
            debts.retain(|_, debt| !debt.now(now).is_zero());
        }
        let debt = debts.entry((partner.clone(), mapper)).or_insert(Debt { cpu: Duration::ZERO, at: now });
        *debt = Debt { cpu: debt.now(now) + cpu, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> (PartnerName, Digest) {
        (PartnerName::new("acme-3pl").unwrap(), Digest::of(b"mapper"))
    }

    #[test]
    fn waste_within_the_allowance_makes_nobody_wait() {
        let (waste, now, (partner, mapper)) = (Waste::new(true), Instant::now(), whose());
        waste.add(&partner, mapper, AT_ONCE, now);
        assert_eq!(waste.wait(&partner, mapper, now), None);
    }

    #[test]
    fn waste_past_the_allowance_makes_wait_until_it_is_forgiven() {
        let (waste, now, (partner, mapper)) = (Waste::new(true), Instant::now(), whose());
        waste.add(&partner, mapper, AT_ONCE, now);
        waste.add(&partner, mapper, PER_SECOND, now);
        assert_eq!(waste.wait(&partner, mapper, now), Some(Duration::from_secs(1)));
        assert_eq!(waste.wait(&partner, mapper, now + Duration::from_secs(1)), None);
    }

    #[test]
    fn other_partners_and_other_mappers_go_on() {
        let (waste, now, (partner, mapper)) = (Waste::new(true), Instant::now(), whose());
        waste.add(&partner, mapper, 2 * AT_ONCE, now);
        assert!(waste.wait(&partner, mapper, now).is_some());
        assert_eq!(waste.wait(&PartnerName::new("globex").unwrap(), mapper, now), None);
        assert_eq!(waste.wait(&partner, Digest::of(b"other"), now), None);
    }

    #[test]
    fn debts_that_are_forgiven_are_forgotten() {
        let (waste, now, (partner, _)) = (Waste::new(true), Instant::now(), whose());
        for number in 0..MOST {
            waste.add(&partner, Digest::of(&number.to_le_bytes()), PER_SECOND, now);
        }
        waste.add(&partner, Digest::of(b"late"), PER_SECOND, now + Duration::from_secs(2));
        assert_eq!(waste.debts.lock().unwrap().len(), 1);
    }
}
