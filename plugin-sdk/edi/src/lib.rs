//! Readers and writers of segment-based documents: the framing, never the meaning.
//!
//! The gateway uses it to split interchanges, mappers use it to read and write their documents. It has no
//! dependencies and builds for `wasm32-unknown-unknown` as it does natively.

pub mod edifact;
pub mod x12;
