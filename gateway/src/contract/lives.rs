//! The versions of an API, how a caller names one, and what it is told of a version that is going away.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

use crate::words::{Time, VersionName};

/// What a version is, apart from its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Being made; nobody can call it.
    Draft,
    /// To be called.
    Active,
    /// To be called, but no longer to be built upon.
    Deprecated,
    /// Gone.
    Retired,
}

/// One version of an API. Dates decide over the state: past its sunset a version is retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its name.
    pub version: VersionName,
    /// What it is.
    pub state: State,
    /// Since when, or from when on, it is deprecated. A date in the policy is 00:00 UTC of that day.
    pub deprecated: Option<Time>,
    /// From when on it is retired.
    pub sunset: Option<Time>,
    /// What to call instead.
    pub successor: Option<VersionName>,
}

/// Where a caller may name a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// As the first segment of the path: `/v2/orders`.
    Path,
    /// As a parameter of `Content-Type`, else of `Accept`: `;version=2`, `;v=2`, `;version=v2`.
    MediaType,
    /// In a header of its own.
    Header,
}

/// Versions that can't be served together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LivesError {
    /// The same name twice.
    #[error("version `{0}` appears twice")]
    Twice(VersionName),
    /// The default or a successor is no version.
    #[error("version `{0}` is named but does not exist")]
    Dangling(VersionName),
    /// It would be gone before anybody was told.
    #[error("version `{0}` has its sunset before its deprecation")]
    SunsetFirst(VersionName),
    /// A selector that can't select.
    #[error("versions are selected by header, but no header is named")]
    NoHeader,
}

/// Why no version answers. Whether the versions that it names may be told to this caller is for the one who
/// tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The caller named none and there is no default.
    #[error("no version was named")]
    Unnamed,
    /// There is no such version, or only a draft of it.
    #[error("there is no version `{asked}`")]
    Unknown {
        /// What the caller asked for, shortened and escaped.
        asked: String,
        /// What it may ask for.
        usable: Vec<VersionName>,
    },
    /// It was there once: 410.
    #[error("version `{version}` is retired")]
    Retired {
        /// The version.
        version: VersionName,
        /// Since when, where the policy says.
        since: Option<Time>,
        /// What to call instead.
        successor: Option<VersionName>,
    },
    /// It is there, but not for this caller.
    #[error("version `{version}` is not granted")]
    NotGranted {
        /// The version.
        version: VersionName,
    },
}

/// The version that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected<'a> {
    /// Its life.
    pub life: &'a Life,
    by_path: bool,
}

/// All versions of one API.
#[derive(Clone, Debug)]
pub struct Lives {
    lives: Vec<Life>,
    by: Vec<By>,
    header: Option<HeaderName>,
    default: Option<VersionName>,
}

impl Lives {
    /// The versions, where callers name one (the first place that does so decides), in which header, and
    /// which answers when nobody does.
    ///
    /// # Errors
    /// They contradict each other.
    pub fn new(
        lives: Vec<Life>,
        by: Vec<By>,
        header: Option<HeaderName>,
        default: Option<VersionName>,
    ) -> Result<Self, LivesError> {
        for (index, life) in lives.iter().enumerate() {
            if lives[..index].iter().any(|other| other.version == life.version) {
                return Err(LivesError::Twice(life.version.clone()));
            }
            if let (Some(deprecated), Some(sunset)) = (life.deprecated, life.sunset)
                && sunset < deprecated
            {
                return Err(LivesError::SunsetFirst(life.version.clone()));
            }
        }
        let named = default.iter().chain(lives.iter().filter_map(|life| life.successor.as_ref()));
        for name in named {
            if !lives.iter().any(|life| life.version == *name) {
                return Err(LivesError::Dangling(name.clone()));
            }
        }
        if by.contains(&By::Header) && header.is_none() {
            return Err(LivesError::NoHeader);
        }
        Ok(Self { lives, by, header, default })
    }

    /// The versions in the order of the policy.
    pub fn all(&self) -> &[Life] {
        &self.lives
    }

    /// The version that a request asks for. `in_path` is what [`split_version`] found.
    ///
    /// # Errors
    /// No version may answer; see [`Refused`].
    pub fn select(
        &self,
        in_path: Option<&str>,
        headers: &HeaderMap,
        granted: impl Fn(&VersionName) -> bool,
        now: Time,
    ) -> Result<Selected<'_>, Refused> {
        let asked = self.by.iter().find_map(|by| match by {
            By::Path => in_path,
            By::MediaType => {
                parameter(headers, &header::CONTENT_TYPE).or_else(|| parameter(headers, &header::ACCEPT))
            }
            By::Header => self.header.as_ref().and_then(|name| text(headers, name)),
        });
        // A version in the path where the policy looks elsewhere would otherwise be passed over in silence.
        let asked =
            asked.or(in_path).or(self.default.as_ref().map(VersionName::as_str)).ok_or(Refused::Unnamed)?;
        let life = self.lives.iter().find(|life| is(&life.version, asked) && life.state != State::Draft);
        let life = life.ok_or_else(|| Refused::Unknown {
            asked: asked.chars().take(32).flat_map(char::escape_debug).collect(),
            usable: self.usable(&granted, now),
        })?;
        if !granted(&life.version) {
            return Err(Refused::NotGranted { version: life.version.clone() });
        }
        if life.state == State::Retired || life.sunset.is_some_and(|sunset| sunset <= now) {
            return Err(Refused::Retired {
                version: life.version.clone(),
                since: life.sunset,
                successor: life.successor.clone(),
            });
        }
        Ok(Selected { life, by_path: self.by.contains(&By::Path) })
    }
}

impl Lives {
    /// The versions that answer this caller now.
    fn usable(&self, granted: &impl Fn(&VersionName) -> bool, now: Time) -> Vec<VersionName> {
        let lives = self.lives.iter().filter(|life| {
            matches!(life.state, State::Active | State::Deprecated)
                && life.sunset.is_none_or(|sunset| sunset > now)
                && granted(&life.version)
        });
        lives.map(|life| life.version.clone()).collect()
    }
}

impl<'a> Selected<'a> {
    /// The version.
    pub fn version(&self) -> &'a VersionName {
        &self.life.version
    }

    /// What to tell of its end: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a `Link` to the same path in
    /// the successor (RFC 5829). Nothing for a version that is to stay. `path` is the path without version.
    pub fn fields(&self, path: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::new();
        let mut add = |name: HeaderName, value: String| {
            fields.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
        };
        if let Some(deprecated) = self.life.deprecated {
            add(HeaderName::from_static("deprecation"), format!("@{}", deprecated.millis().div_euclid(1000)));
        }
        if let Some(date) = self.life.sunset.and_then(http_date) {
            add(HeaderName::from_static("sunset"), date);
        }
        let leaving = self.life.deprecated.is_some()
            || self.life.sunset.is_some()
            || self.life.state == State::Deprecated;
        if let Some(successor) = self.life.successor.as_ref().filter(|_| leaving) {
            let prefix = if self.by_path { format!("/{successor}") } else { String::new() };
            let path: String = path.chars().flat_map(uri_character).collect();
            add(header::LINK, format!("<{prefix}{path}>; rel=\"successor-version\""));
        }
        fields
    }
}

/// Cuts a version (`v` and a digit, then what a name may have) off the front of a path: `/v2/orders` is `v2`
/// and `/orders`.
pub fn split_version(path: &str) -> (Option<&str>, &str) {
    let whole = (None, path);
    let Some(rest) = path.strip_prefix('/') else { return whole };
    let (first, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let numbered =
        first.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    if numbered && !after.is_empty() && VersionName::new(first).is_ok() {
        (Some(first), after)
    } else {
        whole
    }
}

/// `2` names `v2`, and `v2` does.
fn is(version: &VersionName, asked: &str) -> bool {
    version.as_str() == asked || version.as_str().strip_prefix('v') == Some(asked)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

/// The `version` or `v` parameter of a media type (RFC 9110, section 8.3.1). Of several in `Accept` the first
/// that has one counts.
fn parameter<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    text(headers, name)?.split(',').flat_map(|media_type| media_type.split(';').skip(1)).find_map(
        |parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            let named = name.eq_ignore_ascii_case("version") || name.eq_ignore_ascii_case("v");
            named.then(|| value.trim_matches('"'))
        },
    )
}

fn http_date(time: Time) -> Option<String> {
    let moment = Timestamp::from_millisecond(time.millis()).ok()?;
    Some(moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A path comes from the caller: nothing of it may end the reference or the field.
fn uri_character(c: char) -> Vec<char> {
    if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(c) {
        return vec![c];
    }
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes)
        .bytes()
        .flat_map(|byte| format!("%{byte:02X}").chars().collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Time {
        Time::from_millis(format!("{text}T00:00:00Z").parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn name(text: &str) -> VersionName {
        VersionName::new(text).unwrap()
    }

    fn life(version: &str, state: State) -> Life {
        Life { version: name(version), state, deprecated: None, sunset: None, successor: None }
    }

    fn shipments() -> Lives {
        let leaving = Life {
            deprecated: Some(day("2026-10-01")),
            sunset: Some(day("2027-04-01")),
            successor: Some(name("v2")),
            ..life("v1", State::Deprecated)
        };
        let by = vec![By::Path, By::MediaType, By::Header];
        let header = Some(HeaderName::from_static("accept-version"));
        let lives = vec![leaving, life("v2", State::Active), life("v3", State::Draft)];
        Lives::new(lives, by, header, Some(name("v2"))).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn ask(path: &str, pairs: &[(&'static str, &'static str)]) -> Result<String, Refused> {
        let lives = shipments();
        let (in_path, _) = split_version(path);
        let answer = lives.select(in_path, &headers(pairs), |_| true, day("2026-11-23"));
        answer.map(|selected| selected.version().to_string())
    }

    #[test]
    fn a_version_is_named_by_path_then_media_type_then_header_then_default() {
        let typed = ("content-type", "application/json; charset=utf-8; Version=1");
        let own = ("accept-version", "v1");
        assert_eq!(ask("/v1/x", &[("accept-version", "v2")]).unwrap(), "v1");
        assert_eq!(ask("/x", &[typed, ("accept-version", "v2")]).unwrap(), "v1");
        assert_eq!(ask("/x", &[("content-type", "application/json;v=\"1\"")]).unwrap(), "v1");
        assert_eq!(ask("/x", &[("accept", "text/html, application/json;v=1")]).unwrap(), "v1");
        assert_eq!(ask("/x", &[own]).unwrap(), "v1");
        assert_eq!(ask("/x", &[("accept-version", "1")]).unwrap(), "v1");
        assert_eq!(ask("/x", &[]).unwrap(), "v2");
    }

    #[test]
    fn a_version_that_is_not_there_is_refused_and_never_replaced_by_the_default() {
        for (path, pairs) in [("/v9/x", vec![]), ("/v3/x", vec![]), ("/x", vec![("accept-version", "nine")])]
        {
            assert!(matches!(ask(path, &pairs), Err(Refused::Unknown { .. })), "{path} {pairs:?}");
        }
        let by_header = Lives::new(vec![life("v1", State::Active)], vec![], None, Some(name("v1"))).unwrap();
        let answer = by_header.select(Some("v9"), &HeaderMap::new(), |_| true, day("2026-11-23"));
        assert!(matches!(answer, Err(Refused::Unknown { .. })));
    }

    #[test]
    fn whoever_asks_for_an_unknown_version_hears_which_answer_it_now() {
        let lives = shipments();
        let told = |granted: &'static [&'static str], now: &str| {
            let granted = move |version: &VersionName| granted.contains(&version.as_str());
            match lives.select(Some("v9"), &HeaderMap::new(), granted, day(now)) {
                Err(Refused::Unknown { usable, .. }) => {
                    usable.iter().map(ToString::to_string).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(&["v1", "v2", "v3"], "2026-11-23"), ["v1", "v2"], "v3 is a draft");
        assert_eq!(told(&["v1", "v2"], "2027-04-01"), ["v2"], "v1 is gone");
        assert_eq!(told(&["v1"], "2026-11-23"), ["v1"], "v2 is not granted");
    }

    #[test]
    fn a_version_ends_on_the_day_of_its_sunset_and_not_a_moment_before() {
        let lives = shipments();
        let at = |now| lives.select(Some("v1"), &HeaderMap::new(), |_| true, now);
        let last = Time::from_millis(day("2027-04-01").millis() - 1);
        assert!(at(last).is_ok());
        let gone = Refused::Retired {
            version: name("v1"),
            since: Some(day("2027-04-01")),
            successor: Some(name("v2")),
        };
        assert_eq!(at(day("2027-04-01")), Err(gone));
    }

    #[test]
    fn a_version_that_is_not_granted_says_nothing_of_its_life() {
        let lives = shipments();
        let answer = lives.select(
            Some("v1"),
            &HeaderMap::new(),
            |version| version.as_str() == "v2",
            day("2028-01-01"),
        );
        assert_eq!(answer, Err(Refused::NotGranted { version: name("v1") }));
    }

    #[test]
    fn the_end_of_a_version_is_told_by_three_fields() {
        let lives = shipments();
        let told = |version: &str| -> Vec<String> {
            let selected =
                lives.select(Some(version), &HeaderMap::new(), |_| true, day("2026-11-23")).unwrap();
            let fields = selected.fields("/shipments/a>b\r\n\u{e9}");
            fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        let wanted = [
            "deprecation: @1790812800",
            "sunset: Thu, 01 Apr 2027 00:00:00 GMT",
            "link: </v2/shipments/a%3Eb%0D%0A%C3%A9>; rel=\"successor-version\"",
        ];
        assert_eq!(told("v1"), wanted);
        assert!(told("v2").is_empty());
    }

    #[test]
    fn only_a_numbered_segment_before_another_is_a_version() {
        assert_eq!(split_version("/v2/orders/7"), (Some("v2"), "/orders/7"));
        assert_eq!(split_version("/v2.1/orders"), (Some("v2.1"), "/orders"));
        for path in ["/orders/v2", "/vendors/x", "/v2", "/V2/x", "/v/x", "", "/", "v2/x", "/v2%20/x"] {
            assert_eq!(split_version(path), (None, path));
        }
    }

    #[test]
    fn versions_that_contradict_each_other_are_refused() {
        let lives = |lives, by, default| Lives::new(lives, by, None, default).map(drop).unwrap_err();
        let v1 = || life("v1", State::Active);
        assert_eq!(lives(vec![v1(), v1()], vec![], None), LivesError::Twice(name("v1")));
        assert_eq!(lives(vec![v1()], vec![], Some(name("v2"))), LivesError::Dangling(name("v2")));
        assert_eq!(lives(vec![v1()], vec![By::Header], None), LivesError::NoHeader);
        let early = Life { deprecated: Some(day("2026-02-01")), sunset: Some(day("2026-01-01")), ..v1() };
        assert_eq!(lives(vec![early], vec![], None), LivesError::SunsetFirst(name("v1")));
        let orphan = Life { successor: Some(name("v7")), ..v1() };
        assert_eq!(lives(vec![orphan], vec![], None), LivesError::Dangling(name("v7")));
    }
}
