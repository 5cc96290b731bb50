//! The versions of an API as `contract` selects them.

use http::HeaderName;

use super::checked::{self, SelectBy, VersionState};
use crate::contract::{By, Life, Lives, LivesError, State};

/// Lays out an API's versions.
pub(super) fn build(api: &checked::Api) -> Result<Lives, LivesError> {
    let lives = api.versions.iter().map(|(name, version)| Life {
        version: name.clone(),
        state: match version.state {
            VersionState::Draft => State::Draft,
            VersionState::Active => State::Active,
            VersionState::Deprecated => State::Deprecated,
            VersionState::Retired => State::Retired,
        },
        deprecated: version.deprecated,
        sunset: version.sunset,
        successor: version.successor.clone(),
    });
    let by = api.select.by.iter().map(|by| match by {
        SelectBy::Path => By::Path,
        SelectBy::MediaType => By::MediaType,
        SelectBy::Header => By::Header,
    });
    let header = api.select.header.as_deref().and_then(|name| HeaderName::try_from(name).ok());
    Lives::new(lives.collect(), by.collect(), header, api.select.default.clone())
}
