//! What makes an event the same business fact.

use crate::words::{Digest, Identity, Pairs};

/// The identity of a fact: its source, its kind and its natural key, in whatever order the pairs were given.
/// Without a natural key the document and the event's place in it stand in.
pub(super) fn of(source: &str, kind: &str, natural_key: &Pairs, document: Digest, index: usize) -> Identity {
    let mut bytes = Vec::with_capacity(256);
    // Every part is preceded by its length, so that no two different keys run together into the same bytes.
    let mut part = |text: &[u8]| {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text);
    };
    part(source.as_bytes());
    part(kind.as_bytes());
    if natural_key.is_empty() {
        part(b"document");
        part(document.as_bytes());
        part(&(index as u64).to_be_bytes());
    } else {
        part(b"key");
        let mut pairs: Vec<_> = natural_key.iter().collect();
        pairs.sort();
        for (kind, value) in pairs {
            part(kind.as_bytes());
            part(value.as_bytes());
        }
    }
    Identity(Digest::of(&bytes))
}
