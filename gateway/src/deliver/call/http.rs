//! Real calls: a pooled client for HTTP/1.1 and HTTP/2, with and without TLS. It follows no redirect.

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::watch, time::Instant};

use super::{Answer, Call, CallError, Request, short};
use crate::deliver::{
    Later,
    sign::timestamp,
    target::{Credentials, Target},
};

/// Most bytes of an answer that are read; a connection that has more to say is dropped.
const READ_BYTES: usize = 1024 * 1024;

/// A connection that nobody used for so long is closed; most servers keep theirs for a minute or more.
const IDLE: Duration = Duration::from_secs(30);

/// Most header lines of an answer.
const HEADERS: usize = 100;

/// Most bytes of an answer's head.
const HEAD_BYTES: usize = 64 * 1024;

/// Calls targets over HTTP.
#[derive(Clone)]
pub struct HttpCall {
    client: Client<HttpsConnector<HttpConnector>, Watched>,
}

impl HttpCall {
    /// A client that trusts the public certificate authorities.
    pub fn new() -> Self {
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the ring provider has the default versions")
                .with_webpki_roots()
                .with_no_client_auth();
        Self::with_tls(config)
    }

    /// A client that speaks TLS by this configuration, for private authorities and client certificates. Its list of
    /// application protocols must be empty; it is filled in here.
    pub fn with_tls(config: rustls::ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_headers(HEADERS)
            .http1_max_buf_size(HEAD_BYTES)
            .build(connector);
        Self { client }
    }
}

impl Default for HttpCall {
    fn default() -> Self {
        Self::new()
    }
}

impl Call for HttpCall {
    fn call(&self, target: Arc<Target>, request: Request) -> Later<'static, Result<Answer, CallError>> {
        let client = self.client.clone();
        Box::pin(async move {
            let (sent, sending) = watch::channel(request.document.content.is_empty());
            let http = build(&target, &request, sent)?;
            let deadline = Instant::now() + target.timeout;
            let response = tokio::select! {
                biased;
                response = client.request(http) => response,
                // A connection has to stand within a time of its own, so that a dead host does not use up the whole one.
                () = not_sent_within(target.connect_timeout, begins(sending.clone())) => {
                    return Err(CallError::TimedOut { sent: false });
                }
                () = tokio::time::sleep_until(deadline) => {
                    return Err(CallError::TimedOut { sent: *sending.borrow() });
                }
            };
            let response = response.map_err(|error| failure(&error, *sending.borrow()))?;
            Ok(read(response, request.keep_bytes, deadline).await)
        })
    }
}

/// The request as it goes out.
fn build(
    target: &Target,
    request: &Request,
    sent: watch::Sender<bool>,
) -> Result<http::Request<Watched>, CallError> {
    let uri = target.endpoint.fill(&request.document.parameters).map_err(CallError::Unsendable)?;
    let body = Watched { content: Some(request.document.content.clone()), sent };
    let mut http = http::Request::new(body);
    *http.uri_mut() = uri;
    *http.method_mut() = target.method.clone();
    *http.headers_mut() = headers(target, request)?;
    Ok(http)
}

fn headers(target: &Target, request: &Request) -> Result<HeaderMap, CallError> {
    let mut headers = target.headers.clone();
    let mut put = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value);
        let value =
            value.map_err(|_| CallError::Unsendable(format!("the value of `{name}` cannot be a header")))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, CallError>(())
    };
    put("content-type", &request.document.media_type)?;
    put("idempotency-key", &request.id)?;
    put("webhook-id", &request.id)?;
    put("webhook-timestamp", &timestamp(request.at).to_string())?;
    if let Some(key) = &target.sign {
        put("webhook-signature", &key.sign(&request.id, request.at, &request.document.content))?;
    }
    if let Some(context) = &request.traceparent {
        put("traceparent", context)?;
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("crossdock"));
    if let Some((name, value)) = credentials(&target.credentials) {
        let value = HeaderValue::from_str(&value);
        let mut value =
            value.map_err(|_| CallError::Unsendable("the target's credentials cannot be a header".into()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn credentials(credentials: &Credentials) -> Option<(HeaderName, String)> {
    match credentials {
        Credentials::None => None,
        Credentials::Bearer(token) => Some((AUTHORIZATION, format!("Bearer {}", token.reveal()))),
        Credentials::Basic { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.reveal()));
            Some((AUTHORIZATION, format!("Basic {pair}")))
        }
        Credentials::Header { name, value } => Some((name.clone(), value.reveal().to_owned())),
    }
}

/// Reads an answer as far as it counts. Its status is the target's verdict, so a body that breaks off, is too long or too
/// slow only cuts what is kept.
async fn read(response: http::Response<Incoming>, keep: usize, deadline: Instant) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut kept = BytesMut::new();
    let (mut seen, mut cut) = (0, false);
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) => {
                cut = true;
                break;
            }
        };
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len();
        let room = keep - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        cut |= data.len() > room;
        if seen > READ_BYTES {
            cut = true;
            break;
        }
    }
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let media_type = text(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
    Answer {
        status: head.status.as_u16(),
        retry_after: text(RETRY_AFTER).map(str::to_owned),
        media_type: media_type.trim().to_ascii_lowercase(),
        content: kept.freeze(),
        cut,
    }
}

/// A body that tells when the connection begins to take it: from then on the request may have arrived.
struct Watched {
    content: Option<Bytes>,
    sent: watch::Sender<bool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.sent.send_replace(true);
        let content = self.content.take().filter(|content| !content.is_empty());
        Poll::Ready(content.map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}

/// Ready when sending begins; never, if it never does.
async fn begins(mut sending: watch::Receiver<bool>) {
    if sending.wait_for(|sent| *sent).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ready when the time is over and nothing was sent; never, if sending began before.
async fn not_sent_within(time: Duration, sending_begins: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = sending_begins => std::future::pending().await,
        () = tokio::time::sleep(time) => {}
    }
}

/// Tells the ways apart in which a call fails.
fn failure(error: &hyper_util::client::legacy::Error, sent: bool) -> CallError {
    if !error.is_connect() {
        return CallError::Broken { sent, what: short(&innermost(error)) };
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(failure) = connecting(current) {
            return failure;
        }
        next = current.source();
    }
    CallError::Unreachable(short(&innermost(error)))
}

fn connecting(error: &(dyn StdError + 'static)) -> Option<CallError> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(CallError::Tls(short(&tls.to_string())));
    }
    // The resolver's error has a private type; its text is all there is.
    if error.to_string().starts_with("dns error") {
        return Some(CallError::Unresolved);
    }
    let io = error.downcast_ref::<io::Error>()?;
    match io.kind() {
        io::ErrorKind::ConnectionRefused => Some(CallError::Refused),
        io::ErrorKind::TimedOut => Some(CallError::TimedOut { sent: false }),
        // An I/O error wraps another one without naming it as its source.
        _ => io.get_ref().and_then(|inner| connecting(inner as &(dyn StdError + 'static))),
    }
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
