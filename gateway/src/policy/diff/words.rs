//! How values read in a difference.

use std::{collections::BTreeSet, fmt, time::Duration};

use crate::{
    policy::{
        checked::{Edi, MapperRef, SecretRef, Setting, VersionState},
        units,
    },
    words::Time,
};

pub(super) fn day(time: &Option<Time>) -> String {
    time.map_or("never".to_owned(), units::day)
}

pub(super) fn span(duration: &Duration) -> String {
    units::span(*duration)
}

pub(super) fn size(bytes: &u64) -> String {
    units::bytes(*bytes)
}

pub(super) fn number(number: &u32) -> String {
    number.to_string()
}

pub(super) fn optional<T: fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or("none".to_owned(), ToString::to_string)
}

pub(super) fn edi(edi: &Option<Edi>) -> String {
    edi.as_ref().map_or("none".to_owned(), |edi| format!("{} → {}", edi.sender, edi.receiver))
}

pub(super) fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => text.clone(),
        Setting::Env { name, default: None } => format!("env:{name}"),
        Setting::Env { name, default: Some(default) } => format!("env:{name} or {default}"),
    }
}

pub(super) fn secret(secret: &Option<SecretRef>) -> String {
    optional(secret)
}

pub(super) fn state(state: &VersionState) -> String {
    match state {
        VersionState::Draft => "draft",
        VersionState::Active => "active",
        VersionState::Deprecated => "deprecated",
        VersionState::Retired => "retired",
    }
    .to_owned()
}

pub(super) fn set<T: Ord + Clone>(items: &[T]) -> BTreeSet<T> {
    items.iter().cloned().collect()
}

pub(super) fn listed<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A mapper without the place where it is named.
pub(super) fn mapper(mapper: &Option<MapperRef>) -> String {
    optional(mapper)
}
