//! A snapshot with another generation of one mapper, and what is bound to a mapper.

use std::{collections::BTreeMap, sync::Arc};

use super::{Contract, Mapping, Operation, Outward, Snapshot, Subscription, delivery};
use crate::{
    mapper::{Direction, Mapper},
    policy::{Canary, Use},
    words::{MapperName, Revision},
};

impl Snapshot {
    /// What is bound to a mapper, and where the policies say so.
    pub fn bound_to(&self, name: &MapperName) -> Vec<Use> {
        let mut uses = Vec::new();
        for operation in self.operations.values() {
            let mut versions: Vec<_> = operation.versions.iter().collect();
            versions.sort_by(|left, right| left.0.cmp(right.0));
            for (version, contract) in versions {
                for mapping in [&contract.mapping, &contract.target_mapping].into_iter().flatten() {
                    if mapping.mapper.name() == name {
                        let what = format!("operation {} {version}", operation.id);
                        uses.push(Use { what, rule: mapping.rule.clone() });
                    }
                }
            }
        }
        for subscription in &self.subscriptions {
            if let Ok(Some(mapping)) = &subscription.outward.mapping
                && mapping.mapper.name() == name
            {
                let what = format!("subscription {}", subscription.name);
                uses.push(Use { what, rule: mapping.rule.clone() });
            }
        }
        uses
    }

    /// The same with another generation of one mapper: what is not bound to it is shared, so this takes as long
    /// for ten thousand partners as for three. None where only building anew can say what is wrong.
    pub(in crate::policy) fn rebound(
        &self,
        revision: Revision,
        mapper: &Mapper,
        canary: Option<&Arc<Canary>>,
    ) -> Option<Self> {
        let mut operations = BTreeMap::new();
        for (id, operation) in &self.operations {
            let rebound = operation.rebound(mapper, canary)?;
            operations.insert(id.clone(), rebound.map_or_else(|| Arc::clone(operation), Arc::new));
        }
        let routes = self
            .routes
            .map(|operation| operations.get(&operation.id).map_or_else(|| Arc::clone(operation), Arc::clone));
        let mut subscriptions = Vec::with_capacity(self.subscriptions.len());
        for subscription in &self.subscriptions {
            let rebound = subscription.rebound(mapper, canary)?;
            subscriptions.push(rebound.map_or_else(|| Arc::clone(subscription), Arc::new));
        }
        Some(Self {
            revision,
            estate: self.estate.clone(),
            authenticator: Arc::clone(&self.authenticator),
            partners: Arc::clone(&self.partners),
            routes,
            operations,
            subscriptions,
            targets: Arc::clone(&self.targets),
            ownership: Arc::clone(&self.ownership),
            expiries: Arc::clone(&self.expiries),
        })
    }
}

impl Operation {
    /// With another generation of a mapper: nothing if it is not bound to it, none at all if that does not fit.
    fn rebound(&self, mapper: &Mapper, canary: Option<&Arc<Canary>>) -> Option<Option<Self>> {
        let of = |mapping: &Option<Mapping>| mapping.as_ref().is_some_and(|mapping| mapping.is_of(mapper));
        let bound = |contract: &Arc<Contract>| of(&contract.mapping) || of(&contract.target_mapping);
        if !self.versions.values().any(bound) {
            return Some(None);
        }
        let with = |mapping: &Option<Mapping>| match mapping {
            Some(mapping) if mapping.is_of(mapper) => mapping.with(mapper, canary).map(Some),
            other => Some(other.clone()),
        };
        let mut versions = self.versions.clone();
        for contract in versions.values_mut().filter(|contract| bound(contract)) {
            let (mapping, target_mapping) = (with(&contract.mapping)?, with(&contract.target_mapping)?);
            if contract.acknowledges && of(&contract.mapping) && !mapper.offers(Direction::Acknowledge) {
                return None;
            }
            *contract = Arc::new(Contract { mapping, target_mapping, ..Contract::clone(contract) });
        }
        Some(Some(Self { versions, ..self.clone() }))
    }
}

impl Subscription {
    /// With another generation of a mapper: nothing if it is not bound to it, none at all if that does not fit.
    fn rebound(&self, mapper: &Mapper, canary: Option<&Arc<Canary>>) -> Option<Option<Self>> {
        let Ok(Some(mapping)) = &self.outward.mapping else { return Some(None) };
        if !mapping.is_of(mapper) {
            return Some(None);
        }
        let mapping = Ok(Some(mapping.with(mapper, canary)?));
        let (host, zone) = (Arc::clone(&self.outward.host), self.outward.zone.clone());
        let outward = Arc::new(Outward { host, mapping, zone });
        Some(Some(Self {
            name: self.name.clone(),
            target: self.target.clone(),
            from: self.from.clone(),
            events: self.events.clone(),
            delivery: delivery(&self.name, &self.target, &outward),
            outward,
        }))
    }
}
