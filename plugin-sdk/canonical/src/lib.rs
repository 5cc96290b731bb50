//! Canonical.
