//! Calls the gateway as its partners do.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// The warehouse's key; `policies/README.md` says that it opens nothing but the demo.
pub(super) const ACME_KEY: &str = "xd_demo_acme_xhav2ugdixpz2a5762umygy4oxwypnmn";
/// The ERP's key.
pub(super) const GLOBEX_KEY: &str = "xd_demo_globex_i22c476lakujhzhs2bb6ywjpsxgigxuo";

/// An answer of the gateway.
pub(super) struct Answer {
    /// Its status.
    pub status: u16,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body as JSON; null if it is not.
    pub body: Value,
    /// When it was there.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
}

/// A partner's client.
#[derive(Clone)]
pub(super) struct Partner {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    secret: String,
    media_type: &'static str,
}

impl Partner {
    /// A partner that shows `secret` and sends documents of one media type.
    pub fn new(address: SocketAddr, secret: &str, media_type: &'static str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, secret: secret.to_owned(), media_type }
    }

    /// Posts a document.
    pub async fn post(&self, path: &str, document: impl Into<Bytes>) -> anyhow::Result<Answer> {
        self.call("POST", path, document.into()).await
    }

    /// Gets something.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, Bytes::new()).await
    }

    async fn call(&self, method: &str, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {}", self.secret))
            .header("content-type", self.media_type)
            .body(Full::new(body))?;
        let started = Instant::now();
        let answer = self.client.request(request).await.with_context(|| format!("{method} {path}"))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.context("the answer broke off")?.to_bytes();
        let at = Instant::now();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, at, took: at - started })
    }
}
