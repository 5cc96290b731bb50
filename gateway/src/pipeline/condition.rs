//! Conditions of grants, and who may assert which events.

use crate::{
    contract::Facts,
    policy::{Operation, Snapshot, When},
    refusal::Refusal,
    words::{Caller, Event, Inbound, VersionName},
};

/// Holds a caller to the conditions of its grants before its document is read, as far as they speak of no event.
pub(super) fn before(operation: &Operation, version: &VersionName, caller: &Caller) -> Result<(), Refusal> {
    let conditions = operation.conditions(&caller.partner, version);
    if conditions.iter().any(|when| when.condition.is_about_events()) {
        return Ok(());
    }
    let facts = Facts { caller, api: &operation.api, operation: &operation.name, version, event: None };
    any(conditions, &facts)
}

/// Holds a caller to them for each event of its document: one grant for each is enough.
pub(super) fn after(operation: &Operation, inbound: &Inbound, events: &[Event]) -> Result<(), Refusal> {
    let conditions = operation.conditions(&inbound.caller.partner, &inbound.version);
    if !conditions.iter().any(|when| when.condition.is_about_events()) {
        return Ok(());
    }
    let facts = Facts {
        caller: &inbound.caller,
        api: &inbound.api,
        operation: &inbound.operation,
        version: &inbound.version,
        event: None,
    };
    events.iter().try_for_each(|event| any(conditions, &Facts { event: Some(event), ..facts }))
}

/// Refuses events of types that are others' to assert.
pub(super) fn owned(policies: &Snapshot, inbound: &Inbound, events: &[Event]) -> Result<(), Refusal> {
    for event in events {
        if let Some(owned) = policies.ownership.of(&event.kind)
            && !owned.owners.contains(&inbound.caller.partner)
        {
            return Err(Refusal::NotOwner { kind: event.kind.clone(), rule: owned.rule.clone() });
        }
    }
    Ok(())
}

fn any(conditions: &[When], facts: &Facts<'_>) -> Result<(), Refusal> {
    let mut refusal = Ok(());
    for when in conditions {
        let why = match when.condition.holds(facts) {
            Ok(true) => return Ok(()),
            Ok(false) => "it is false".to_owned(),
            Err(error) => error.to_string(),
        };
        refusal = Err(Refusal::Condition { rule: when.rule.clone(), why });
    }
    refusal
}
