//! From the journal to the targets.
