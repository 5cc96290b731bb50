//! Idempotency keys in use: while the first request under a key is being served, a second one waits for nobody and is
//! told to come again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::Gateway;
use crate::{
    journal::Idempotency,
    policy::Operation,
    refusal::Refusal,
    words::{Digest, Inbound, Receipt, Time},
};

/// Idempotency keys whose first request is being served.
#[derive(Clone, Default)]
pub struct KeysInUse(Arc<Mutex<HashSet<(String, String)>>>);

/// A key that this request alone uses, until it is dropped.
pub(super) struct InUse {
    keys: KeysInUse,
    entry: (String, String),
    pub idempotency: Idempotency,
    pub remembered: Option<Receipt>,
}

impl InUse {
    pub async fn new(
        gateway: &Gateway,
        operation: &Operation,
        inbound: &Inbound,
        document: &Digest,
        key: String,
        now: Time,
    ) -> Result<Self, Refusal> {
        let partner = inbound.caller.partner.clone();
        let entry = (partner.to_string(), key.clone());
        let fingerprint = Digest::of(format!("{}\n{}\n{document}", operation.id, inbound.version).as_bytes());
        if !gateway.keys.0.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.clone()) {
            return Err(Refusal::KeyBusy);
        }
        let expires_at = now.after(operation.idempotency.ttl);
        let idempotency = Idempotency { key: key.clone(), fingerprint, expires_at };
        let mut in_use = Self { keys: gateway.keys.clone(), entry, idempotency, remembered: None };
        if let Some(before) = gateway.journal.remembered(partner, key, now).await? {
            if before.fingerprint != fingerprint {
                return Err(Refusal::KeyReused);
            }
            in_use.remembered = Some(before.receipt);
        }
        Ok(in_use)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}
