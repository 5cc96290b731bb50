//! Hostile and friendly guests.
