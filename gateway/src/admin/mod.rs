//! The operators' door: probes, metrics, and the API that the command line speaks to.

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use crate::{
    deliver::Runner,
    journal,
    observe::{CredentialLabels, TargetLabels},
    pipeline::Gateway,
    server::{Answering, Body, Handler},
    words::{Peer, Random, decode_form},
};

mod again;
mod api;
pub mod bundle;
mod exceptions;
mod jobs;
mod mappers;
mod shadow;
#[cfg(test)]
mod tests;
mod view;

pub use jobs::Jobs;

/// The OpenAPI description of this API.
const OPENAPI: &str = include_str!("openapi.json");
/// Largest body: a mapper.
const BODY_BYTES: usize = 32 * 1024 * 1024;
/// Fewest characters of a token that are worth the name: 128 bits as hexadecimal digits.
const TOKEN_CHARS: usize = 32;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(60);

type Answer = Response<Body>;

/// Answers operators.
pub struct Admin {
    /// The partners' side of the house: policies, store, mappers, figures, and what they are made with.
    pub gateway: Arc<Gateway>,
    /// Carries events to targets; tells how that stands.
    pub deliveries: Arc<Runner>,
    /// Held while two mappers are compared: one comparison at a time.
    pub shadowing: tokio::sync::Mutex<()>,
    /// Who may ask; none on a Unix socket, whose mode already says so.
    pub token: Option<Token>,
    /// Work that takes longer than a request.
    pub jobs: Jobs,
}

/// The admin token: 256 random bits in a file of mode 0600.
pub struct Token(String);

impl Token {
    /// Reads the token file, or makes it.
    ///
    /// # Errors
    /// The file cannot be read or written, or others may read it.
    pub fn read_or_make(path: &Path, random: &dyn Random) -> std::io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let mode = std::fs::metadata(path)?.permissions().mode();
                if mode & 0o077 != 0 {
                    let what = format!(
                        "{} may be read by others (mode {:o}): chmod 600 it",
                        path.display(),
                        mode & 0o777
                    );
                    return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
                }
                let text = text.trim();
                if text.len() < TOKEN_CHARS {
                    let what = format!(
                        "{} holds {} characters, a token has at least {TOKEN_CHARS}: remove it, and a new one is made",
                        path.display(),
                        text.len()
                    );
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
                }
                Ok(Self(text.to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut text = String::from("xda_");
                for _ in 0..4 {
                    let _ = write!(text, "{:016x}", random.next());
                }
                // Whole or not at all: half a token, left by a crash, would be a weak one, and none would open the door.
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
                std::io::Write::write_all(&mut file, text.as_bytes())?;
                file.as_file().sync_all()?;
                file.persist_noclobber(path).map_err(|error| error.error)?;
                Ok(Self(text))
            }
            Err(error) => Err(error),
        }
    }

    fn is(&self, sent: &str) -> bool {
        self.0.as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

/// Why an operator's request is not served.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("send the token of the token file as `Authorization: Bearer …`")]
    Token,
    #[error("this API answers to its own address only, not to `{0}`")]
    Origin(String),
    #[error("this is for GET and HEAD alone")]
    Method,
    #[error("nothing is here; see /api/v1/openapi.json")]
    Nothing,
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Nothing | Self::Missing(_) | Self::Journal(journal::Error::NotFound(_)) => {
                StatusCode::NOT_FOUND
            }
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::Journal(journal::Error::Unreadable(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Journal(journal::Error::Full | journal::Error::Busy | journal::Error::Stopped(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl Handler for Admin {
    fn answer(self: Arc<Self>, request: Request<Incoming>, _peer: Peer) -> Answering {
        Box::pin(async move {
            match serve(&self, request).await {
                Ok(answer) => answer,
                Err(refusal) => {
                    let title = refusal.status().canonical_reason().unwrap_or("Refused");
                    let problem = json!({ "type": "about:blank", "title": title,
                        "status": refusal.status().as_u16(), "detail": refusal.to_string() });
                    let mut answer = text(refusal.status(), "application/problem+json", problem.to_string());
                    if matches!(refusal, Refusal::Method) {
                        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                    }
                    answer
                }
            }
        })
    }
}

async fn serve(admin: &Arc<Admin>, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    own_address(&head.headers)?;
    let path = head.uri.path();
    if let probe @ ("/healthz" | "/readyz" | "/metrics") = path {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        return match probe {
            "/healthz" => Ok(text(StatusCode::OK, "text/plain", "ok\n".to_owned())),
            "/readyz" => Ok(ready(admin).await),
            _ => metrics(admin).await,
        };
    }
    if let Some(token) = &admin.token {
        let sent = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !token.is(sent) {
            return Err(Refusal::Token);
        }
    }
    let Some(path) = path.strip_prefix("/api/v1/") else { return Err(Refusal::Nothing) };
    if (&head.method, path) == (&Method::GET, "openapi.json") {
        return Ok(text(StatusCode::OK, "application/json", OPENAPI.to_owned()));
    }
    let body = timeout(BODY_TIME, Limited::new(body, BODY_BYTES).collect())
        .await
        .map_err(|_| Refusal::Wrong("the body took too long".to_owned()))?
        .map_err(|error| Refusal::Wrong(format!("the body cannot be read: {error}")))?
        .to_bytes();
    let parts: Vec<&str> = path.split('/').collect();
    let value = api::answer(admin, &head.method, &parts, head.uri.query().unwrap_or_default(), body).await?;
    Ok(text(StatusCode::OK, "application/json", value.to_string()))
}

/// A page of another site in an operator's browser must not reach this API, whatever name it found for it.
fn own_address(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let numeric = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if !numeric && name != "localhost" {
        return Err(Refusal::Origin(name.chars().take(80).collect()));
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        Some(origin) if origin != format!("http://{host}") && origin != format!("https://{host}") => {
            Err(Refusal::Origin(origin.chars().take(80).collect()))
        }
        _ => Ok(()),
    }
}

async fn ready(admin: &Admin) -> Answer {
    let (status, line) = match admin.gateway.journal.status().await {
        Ok(_) => {
            // What is damaged costs its own operations; the rest is worth serving.
            let mut text = format!("ready, revision {}\n", admin.gateway.policies.now().revision);
            for damage in admin.gateway.policies.damage() {
                let mapper =
                    damage.mapper.map_or_else(|| "a mapper".to_owned(), |name| format!("mapper {name}"));
                let _ = writeln!(text, "{mapper} cannot be used: {}", damage.what);
            }
            (StatusCode::OK, text)
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    };
    text(status, "text/plain", line)
}

async fn metrics(admin: &Admin) -> Result<Answer, Refusal> {
    let status = admin.gateway.journal.status().await?;
    admin.gateway.metrics.pending.clear();
    for count in &status.pending {
        let state =
            serde_json::to_value(count.state).ok().and_then(|value| value.as_str().map(str::to_owned));
        let labels = TargetLabels { target: count.target.to_string(), state: state.unwrap_or_default() };
        #[expect(clippy::cast_precision_loss, reason = "a gauge may round counts above 2^53")]
        admin.gateway.metrics.pending.get_or_create(&labels).set(count.count as f64);
    }
    admin.gateway.metrics.exceptions.set(i64::try_from(status.exceptions).unwrap_or(i64::MAX));
    admin.gateway.metrics.credential_expiry.clear();
    for expiry in admin.gateway.policies.now().expiries.iter() {
        let (partner, credential) = (expiry.partner.to_string(), expiry.credential.to_string());
        let labels = CredentialLabels { partner, credential };
        admin.gateway.metrics.credential_expiry.get_or_create(&labels).set(expiry.at.millis() / 1000);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(text(StatusCode::OK, kind, admin.gateway.metrics.text()))
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Body::from(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Query parameters as a JSON object, so that one strict reader serves them and bodies.
fn query(text: &str) -> Result<Value, Refusal> {
    let mut object = serde_json::Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode_form(value)
            .ok_or_else(|| Refusal::Wrong(format!("`{name}` is not percent-encoded UTF-8")))?;
        let value = match name {
            "limit" | "after" | "wait" => value
                .parse::<u64>()
                .map(Value::from)
                .map_err(|_| Refusal::Wrong(format!("`{name}` is a whole number, not `{value}`")))?,
            "before" => value.parse::<u64>().map_or_else(|_| Value::from(value.clone()), Value::from),
            "all" | "newest" | "hold" => Value::Bool(value.is_empty() || value == "true"),
            "key" => match value.split_once(':') {
                Some((kind, value)) => json!({ "kind": kind, "value": value }),
                None => return Err(Refusal::Wrong("`key` is KIND:VALUE, like `order:8841-22`".to_owned())),
            },
            _ => Value::from(value),
        };
        object.insert(name.to_owned(), value);
    }
    Ok(Value::Object(object))
}
