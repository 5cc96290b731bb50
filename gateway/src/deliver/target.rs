//! A system that events are delivered to, as the policy describes it. Plain values, checked where they are made.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, Method, Uri};

use super::sign::WebhookKey;
use crate::{
    journal::Stuck,
    words::{Pairs, TargetName},
};

/// A system that events are delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The method, `POST` by default.
    pub method: Method,
    /// Headers that every call carries.
    pub headers: HeaderMap,
    /// How the gateway proves itself to it.
    pub credentials: Credentials,
    /// The key that signs every call (Standard Webhooks), if it wants that.
    pub sign: Option<WebhookKey>,
    /// Until the connection stands.
    pub connect_timeout: Duration,
    /// From the start of a call to the end of its answer.
    pub timeout: Duration,
    /// How failed calls are repeated.
    pub retry: Retry,
    /// When it counts as down.
    pub breaker: Breaker,
    /// Most calls at one time.
    pub concurrency: u32,
    /// What happens to a lane whose head needs a person.
    pub stuck: Stuck,
    /// The gateway's own identity in documents for it: the sender of an interchange.
    pub sender: String,
    /// Its identity in documents: the receiver of an interchange.
    pub receiver: String,
}

impl Target {
    /// A target with the defaults for all that a policy may leave out.
    pub fn new(name: TargetName, endpoint: Endpoint) -> Self {
        Self {
            name,
            endpoint,
            method: Method::POST,
            headers: HeaderMap::new(),
            credentials: Credentials::None,
            sign: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            retry: Retry::default(),
            breaker: Breaker::default(),
            concurrency: 16,
            stuck: Stuck::default(),
            sender: String::new(),
            receiver: String::new(),
        }
    }
}

/// How failed calls are repeated. Every failure waits a random part of an exponentially growing time (full jitter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Longest wait after the first failure.
    pub first: Duration,
    /// By how much the longest wait grows from one failure to the next; 1 keeps it.
    pub factor: u32,
    /// Longest wait of all.
    pub cap: Duration,
    /// After so long since its first attempt a failing delivery is an exception.
    pub give_up_after: Duration,
    /// After so many attempts too, if set.
    pub attempts: Option<u32>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            factor: 2,
            cap: Duration::from_secs(15 * 60),
            give_up_after: Duration::from_secs(72 * 3600),
            attempts: None,
        }
    }
}

/// When a target counts as down, and how it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Fewest calls within the window before the share of failures counts.
    pub samples: u32,
    /// Percent of failed calls within the window that open it.
    pub failure_share: u32,
    /// The window.
    pub window: Duration,
    /// Failed calls in a row that open it.
    pub in_a_row: u32,
    /// How long it stays open before one probe is let through.
    pub open_for: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            samples: 10,
            failure_share: 50,
            window: Duration::from_secs(30),
            in_a_row: 10,
            open_for: Duration::from_secs(30),
        }
    }
}

/// How the gateway proves itself to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A header of the target's own.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: Secret,
    },
}

/// A secret text; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A target's URL. Its path and query may name parameters of the outbound document: `/orders/{order}`. Scheme and
/// authority never do: a document cannot choose the host that it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://erp.example:8443`
    origin: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String),
}

/// A text that is not a target's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a target's URL: {why}")]
pub struct InvalidEndpoint {
    url: String,
    why: &'static str,
}

impl Endpoint {
    /// Reads an absolute `http` or `https` URL.
    ///
    /// # Errors
    /// The text is no such URL, carries credentials, or a parameter stands outside path and query.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let fail = |why| InvalidEndpoint { url: text.chars().take(200).collect(), why };
        let after_scheme = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = after_scheme.ok_or_else(|| fail("it begins with neither `https://` nor `http://`"))?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(InvalidEndpoint {
                url: "…@…".into(), why: "credentials belong under `credentials`"
            });
        }
        if authority.contains(['{', '}']) {
            return Err(fail("a parameter cannot stand in the host"));
        }
        let (origin, path) = text.split_at(text.len() - rest.len() + authority.len());
        if path.contains('#') {
            return Err(fail("a fragment is never sent"));
        }
        let endpoint = Self { origin: origin.to_owned(), pieces: pieces(path).map_err(fail)? };
        // With every parameter filled by a harmless value it must be a URL as the client reads it.
        let sample = endpoint.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Parameter(_) => "x",
        });
        let uri = endpoint
            .uri(&sample.collect::<String>())
            .map_err(|_| fail("it has characters that a URL has not"))?;
        let authority = uri.authority().ok_or_else(|| fail("the host is missing"))?;
        let rest = authority.as_str().len() - authority.host().len();
        if authority.host().is_empty() {
            return Err(fail("the host is missing"));
        }
        // The client would take the scheme's own port for one that it cannot read.
        if rest > 0 && authority.port_u16().is_none() {
            return Err(fail("the port is no number from 0 to 65535"));
        }
        Ok(endpoint)
    }

    /// The URL with its parameters filled in, each percent-encoded.
    ///
    /// # Errors
    /// Names the parameter that the document does not carry, or that is empty.
    pub fn fill(&self, parameters: &Pairs) -> Result<Uri, String> {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Parameter(name) => {
                    let value =
                        parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
                    // Dots alone would step up the path, and receivers read them so even when they are encoded.
                    let value = value.filter(|value| value.bytes().any(|byte| byte != b'.'));
                    let missing =
                        || format!("the document has no parameter `{name}` that fits the target's URL");
                    let value = value.ok_or_else(missing)?;
                    encode(value, &mut path);
                }
            }
        }
        self.uri(&path).map_err(|_| "the target's URL is too long with the document's parameters".to_owned())
    }

    /// Whether calls go over TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    fn uri(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        format!("{}{path}", self.origin).parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Parameter(name) => write!(f, "{{{name}}}"),
        })
    }
}

fn pieces(path: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a `{` is never closed")?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(fine) {
            return Err("a parameter's name is made of letters, digits, `-`, `_` and `.`");
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            into.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_that_are_no_target_are_refused_with_the_reason() {
        let table = [
            ("ftp://host/", "begins with neither"),
            ("//host/", "begins with neither"),
            ("", "begins with neither"),
            ("http://", "characters"),
            ("http:///path", "characters"),
            ("https://user:secret@host/", "credentials belong"),
            ("https://{host}/", "host"),
            ("https://host{x}/", "host"),
            ("https://host/#top", "fragment"),
            ("https://host/{order", "never closed"),
            ("https://host/{}", "name is made of"),
            ("https://host/{a b}", "name is made of"),
            ("https://host/a b", "characters"),
            ("https://host:port/", "port"),
            ("https://host:70000/", "port"),
            ("https://host:/", "port"),
        ];
        for (url, why) in table {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn parameters_fill_path_and_query_and_nothing_else() {
        let with = |value: &str| vec![("order".to_owned(), value.to_owned())];
        let table = [
            ("https://h:8443/in", "x", Some("https://h:8443/in")),
            ("https://h", "x", Some("https://h/")),
            ("https://h/{order}", "8841-22", Some("https://h/8841-22")),
            ("https://h/{order}/lines?o={order}&v=1", "a b", Some("https://h/a%20b/lines?o=a%20b&v=1")),
            ("https://h/{order}", "../admin", Some("https://h/..%2Fadmin")),
            ("https://h/{order}", "..", None),
            ("https://h/{order}", ".", None),
            ("https://h/{order}", "", None),
            ("https://h/{other}", "x", None),
            ("https://h/{order}", "x?y#z@evil", Some("https://h/x%3Fy%23z%40evil")),
            ("https://h/{order}", "ü\r\n", Some("https://h/%C3%BC%0D%0A")),
        ];
        for (url, value, expected) in table {
            let filled = Endpoint::parse(url).unwrap().fill(&with(value)).ok().map(|uri| uri.to_string());
            assert_eq!(filled.as_deref(), expected, "{url} with {value:?}");
        }
    }

    #[test]
    fn it_is_shown_as_it_was_written() {
        for url in ["https://h/{order}/x?y={z}", "http://127.0.0.1:7001/edi", "https://[::1]:9/"] {
            assert_eq!(Endpoint::parse(url).unwrap().to_string(), url);
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_the_host_or_adds_a_step(value in ".{0,40}") {
            let endpoint = Endpoint::parse("https://erp.example/a/{v}/b").unwrap();
            if let Ok(uri) = endpoint.fill(&vec![("v".into(), value)]) {
                prop_assert_eq!(uri.host(), Some("erp.example"));
                prop_assert_eq!(uri.path().split('/').count(), 4);
                prop_assert_eq!(uri.query(), None);
            }
        }

        #[test]
        fn no_text_makes_it_panic(url in ".{0,60}", path in "[/{}a.?#%@ ]{0,20}") {
            let _read = Endpoint::parse(&url).is_ok();
            let _read = Endpoint::parse(&format!("https://h{path}")).is_ok();
        }
    }
}
