//! Edi.
