//! Which rules the tests of a policy folder tried, and which they did not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    pipeline::rehearse::{End, Played},
    policy::Checked,
};

/// The kinds of rules, in the order in which they are shown.
const KINDS: [&str; 5] = ["grants", "operations", "versions", "schemas", "subscriptions"];

/// The rules of an estate, and those that were tried.
pub(super) struct Coverage {
    /// By kind: what it is and where it stands.
    rules: BTreeMap<&'static str, BTreeMap<String, String>>,
    tried: BTreeSet<(&'static str, String)>,
}

impl Coverage {
    /// Every rule of the estate, none tried. Without mappers there are no events, and subscriptions are left out.
    pub fn new(checked: &Checked, mappers: bool) -> Self {
        let mut rules: BTreeMap<_, BTreeMap<_, _>> = KINDS.map(|kind| (kind, BTreeMap::new())).into();
        let mut add = |kind: &'static str, what: String, rule: String| {
            rules.entry(kind).or_default().entry(what).or_insert(rule);
        };
        for api in checked.apis.values() {
            for (name, version) in &api.versions {
                add("versions", format!("{} {name}", api.name), version.origin.to_string());
            }
            for operation in api.operations.values() {
                add("operations", format!("{}/{}", api.name, operation.name), operation.origin.to_string());
                for binding in operation.versions.values() {
                    if let Some(schema) = &binding.schema {
                        add("schemas", schema.clone(), binding.origin.to_string());
                    }
                }
            }
            for grant in &api.grants {
                for operation in grant.operations.iter().filter_map(|name| api.operations.get(name)) {
                    for version in grant.versions.iter().filter(|v| operation.versions.contains_key(*v)) {
                        let what = format!("{} {}/{} {version}", grant.partner, api.name, operation.name);
                        add("grants", what, grant.origin.to_string());
                    }
                }
            }
        }
        for subscription in checked.subscriptions.values().filter(|_| mappers) {
            add("subscriptions", subscription.name.to_string(), subscription.origin.to_string());
        }
        Self { rules, tried: BTreeSet::new() }
    }

    /// Takes down what a call met.
    pub fn note(&mut self, played: &Played) {
        let Some((api, operation)) = &played.operation else { return };
        self.tried.insert(("operations", format!("{api}/{operation}")));
        if let Some(version) = &played.version {
            self.tried.insert(("versions", format!("{api} {version}")));
            let granted = played.steps.iter().any(|step| step.stage == "grant" && step.passed);
            // A version that is gone is refused after its grant was found.
            let gone =
                matches!(&played.end, End::Refused(refusal) if refusal.class().name == "version-retired");
            if let Some(caller) = played.caller.as_ref().filter(|_| granted || gone) {
                let what = format!("{} {api}/{operation} {version}", caller.partner);
                self.tried.insert(("grants", what));
            }
        }
        if let Some(schema) = &played.schema {
            self.tried.insert(("schemas", schema.clone()));
        }
        for subscription in &played.deliveries {
            self.tried.insert(("subscriptions", subscription.to_string()));
        }
    }

    /// Rules that were never tried: kind, what, where.
    pub fn gaps(&self) -> Vec<(&'static str, &str, &str)> {
        let mut gaps = Vec::new();
        for kind in KINDS {
            for (what, rule) in self.rules.get(kind).into_iter().flatten() {
                if !self.tried.contains(&(kind, what.clone())) {
                    gaps.push((kind, what.as_str(), rule.as_str()));
                }
            }
        }
        gaps
    }

    fn counts(&self) -> Vec<(&'static str, usize, usize)> {
        let gaps = self.gaps();
        let count = |kind: &'static str| {
            let all = self.rules.get(kind).map_or(0, BTreeMap::len);
            (kind, all - gaps.iter().filter(|gap| gap.0 == kind).count(), all)
        };
        KINDS.into_iter().map(count).filter(|count| count.2 > 0).collect()
    }

    /// `grants 4 of 4   operations 3 of 3`.
    pub fn line(&self) -> String {
        let counts = self.counts().into_iter();
        let told = counts.map(|(kind, tried, all)| format!("{kind} {tried} of {all}"));
        told.collect::<Vec<_>>().join("   ")
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let counts = self.counts().into_iter();
        let counts: serde_json::Map<_, _> = counts
            .map(|(kind, tried, all)| (kind.to_owned(), json!({ "tried": tried, "all": all })))
            .collect();
        let gaps: Vec<_> = self
            .gaps()
            .into_iter()
            .map(|(kind, what, rule)| json!({ "kind": kind, "what": what, "rule": rule }))
            .collect();
        json!({ "kind": "coverage", "counts": counts, "untried": gaps })
    }
}
