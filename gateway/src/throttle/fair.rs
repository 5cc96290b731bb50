//! Fairness between partners under overload. While there is room everybody is let in; when it gets scarce each partner
//! keeps its share, by weight, of those who are there; and who has more waits. It is asked before anything is read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::words::PartnerName;

/// A share of the whole, in percent, up to which nobody is held to a share.
const ROOMY_PERCENT: u64 = 75;

/// The places of requests that are under way.
#[derive(Debug)]
pub struct Places {
    most: u64,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: u64,
    weights: u64,
    partners: HashMap<PartnerName, Partner>,
}

#[derive(Clone, Copy, Debug)]
struct Partner {
    places: u64,
    weight: u64,
}

/// All places are taken, and this partner has its share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{total} requests are under way, and {own} of them are the partner's, whose share is {share}")]
pub struct Crowded {
    /// Requests under way.
    pub total: u64,
    /// The partner's own.
    pub own: u64,
    /// How many it may have while it is crowded.
    pub share: u64,
}

/// A place; given back on drop.
#[derive(Debug)]
pub struct Place {
    partner: PartnerName,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    /// So many places, at least one.
    pub fn new(most: u32) -> Self {
        Self { most: u64::from(most.max(1)), taken: Arc::default() }
    }

    /// Takes a place for a request of this partner.
    ///
    /// # Errors
    /// It is crowded, and the partner has its share.
    pub fn take(&self, partner: &PartnerName, weight: u32) -> Result<Place, Crowded> {
        let mut taken = lock(&self.taken);
        let weight = u64::from(weight.max(1));
        let own = taken.partners.get(partner).map_or(0, |own| own.places);
        let others = taken.weights - taken.partners.get(partner).map_or(0, |own| own.weight);
        if taken.total * 100 >= self.most * ROOMY_PERCENT {
            // Who is here shares; who comes new is counted in, so there is room for it.
            let share = (self.most * weight / (others + weight)).max(1);
            if own >= share {
                return Err(Crowded { total: taken.total, own, share });
            }
        }
        taken.total += 1;
        taken.weights = others + weight;
        taken.partners.insert(partner.clone(), Partner { places: own + 1, weight });
        Ok(Place { partner: partner.clone(), taken: Arc::clone(&self.taken) })
    }

    /// Requests under way.
    pub fn under_way(&self) -> u64 {
        lock(&self.taken).total
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total = taken.total.saturating_sub(1);
        let Some(own) = taken.partners.get_mut(&self.partner) else { return };
        own.places -= 1;
        if own.places == 0 {
            let weight = own.weight;
            taken.partners.remove(&self.partner);
            taken.weights -= weight;
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner(name: &str) -> PartnerName {
        PartnerName::new(name).unwrap()
    }

    fn fill(places: &Places, name: &str, weight: u32) -> Vec<Place> {
        std::iter::from_fn(|| places.take(&partner(name), weight).ok()).take(1000).collect()
    }

    #[test]
    fn one_partner_alone_has_the_whole_house() {
        let places = Places::new(100);
        let all = fill(&places, "acme", 1);
        assert_eq!(all.len(), 100);
        drop(all);
        assert_eq!(places.under_way(), 0);
        assert!(lock(&places.taken).partners.is_empty());
    }

    #[test]
    fn who_comes_into_a_full_house_gets_its_share_by_weight_and_who_has_more_waits() {
        let places = Places::new(100);
        let mut greedy = fill(&places, "greedy", 1);
        let modest = fill(&places, "modest", 1);
        assert_eq!(modest.len(), 50, "half of the house, though it was full");
        let heavy = fill(&places, "heavy", 2);
        assert_eq!(heavy.len(), 50);
        let refused = places.take(&partner("greedy"), 1).unwrap_err();
        assert_eq!((refused.own, refused.share), (100, 25));
        // As its requests end, the greedy one is let in again only below its share.
        greedy.truncate(25);
        assert!(places.take(&partner("greedy"), 1).is_err());
        greedy.truncate(24);
        assert!(places.take(&partner("greedy"), 1).is_ok());
    }

    #[test]
    fn a_house_of_one_place_serves_everybody_in_turn() {
        let places = Places::new(1);
        let first = places.take(&partner("a"), 1).unwrap();
        assert!(places.take(&partner("a"), 1).is_err());
        let second = places.take(&partner("b"), 1).unwrap();
        drop((first, second));
        assert!(places.take(&partner("a"), 1).is_ok());
    }
}
