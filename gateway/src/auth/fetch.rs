//! Fetching an issuer's keys: on a schedule, and when a token names a key that is not known yet. An issuer
//! that is down takes nobody down until its last keys are older than the policy bears.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::Mutex;

use super::keyset::{KeySet, KeySetError, parse};
use crate::words::{Clock, Time};

/// Largest answer; real sets are below 20 KiB.
const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// First and longest pause after a failed scheduled fetch; it doubles in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How keys are fetched and how long they are believed.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Between scheduled fetches.
    pub refresh: Duration,
    /// How much longer than `refresh` keys are believed while fetching fails.
    pub stale_if_error: Duration,
    /// At least so long between two fetches that tokens with an unknown `kid` cause.
    pub unknown_kid_cooldown: Duration,
    /// For one fetch from connecting to the last byte.
    pub timeout: Duration,
    /// Whom to trust; without it the public authorities.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Default for Fetch {
    /// Every ten minutes, a day of staleness, one fetch for unknown keys in thirty seconds, five seconds each.
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            stale_if_error: Duration::from_secs(24 * 3600),
            unknown_kid_cooldown: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error("no answer: {0}")]
    Connection(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// An answer that is not 200; redirects are not followed.
    #[error("answered {0}")]
    Status(StatusCode),
    /// More than 256 KiB, or broken off.
    #[error("the answer is too long or broken off: {0}")]
    Body(String),
    /// Not a set that can be used.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// Asked again too soon.
    #[error("fetched less than {0:?} ago")]
    Cooldown(Duration),
    /// The set is from a file.
    #[error("the keys are not fetched but from a file")]
    File,
}

#[derive(Debug)]
pub(super) struct Fetcher {
    url: Uri,
    settings: Fetch,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// When the last fetch began; held while one is under way, so that there is only one.
    last: Mutex<Option<Time>>,
}

impl KeySet {
    /// Fetches the keys now; a set from a file has nothing to fetch. On failure the old keys stay.
    ///
    /// # Errors
    /// The keys could not be fetched or are refused.
    pub async fn refresh(&self, now: Time) -> Result<(), FetchError> {
        let fetcher = self.fetcher().ok_or(FetchError::File)?;
        let mut last = fetcher.last.lock().await;
        *last = Some(now);
        fetcher.fetch(self, now).await
    }

    /// Fetches the keys on schedule, for as long as it is polled; ends at once for a set from a file.
    /// `failed` is told of every failure. Run it as a task and abort it when the issuer is gone.
    pub async fn keep_fresh(&self, clock: &dyn Clock, failed: impl Fn(&FetchError) + Send) {
        let Some(fetcher) = self.fetcher() else { return };
        let mut retry = RETRY.0;
        loop {
            let pause = match self.refresh(clock.now()).await {
                Ok(()) => {
                    retry = RETRY.0;
                    fetcher.settings.refresh.max(RETRY.0)
                }
                Err(error) => {
                    failed(&error);
                    let longer = (retry * 2).min(RETRY.1);
                    std::mem::replace(&mut retry, longer)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

impl Fetcher {
    pub(super) fn new(url: Uri, settings: Fetch) -> Result<Self, KeySetError> {
        let local = matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let allowed = match url.scheme_str() {
            Some("https") => url.host().is_some(),
            Some("http") => local,
            _ => false,
        };
        if !allowed {
            return Err(KeySetError::Address(url.to_string().chars().take(200).collect()));
        }
        let builder = HttpsConnectorBuilder::new();
        let builder = match &settings.tls {
            Some(tls) => builder.with_tls_config(rustls::ClientConfig::clone(tls)),
            None => builder
                .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
                .expect("ring has the default versions of TLS"),
        };
        // The scheme was checked above and nothing is followed, so http here means this machine.
        let connector = builder.https_or_http().enable_http1().enable_http2().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { url, settings, client, last: Mutex::new(None) })
    }

    /// Fetches because the set of generation `seen` lacks a key, unless another caller just did or the
    /// cooldown lasts.
    pub(super) async fn refetch(&self, set: &KeySet, seen: u64, now: Time) -> Result<(), FetchError> {
        let mut last = self.last.lock().await;
        if seen != set.generation() {
            return Ok(());
        }
        let cooldown = self.settings.unknown_kid_cooldown;
        if last.is_some_and(|last| now < last.after(cooldown)) {
            return Err(FetchError::Cooldown(cooldown));
        }
        *last = Some(now);
        self.fetch(set, now).await
    }

    async fn fetch(&self, set: &KeySet, now: Time) -> Result<(), FetchError> {
        let timeout = self.settings.timeout;
        let body =
            tokio::time::timeout(timeout, self.body()).await.map_err(|_| FetchError::Timeout(timeout))??;
        let void_from = now.after(self.settings.refresh.saturating_add(self.settings.stale_if_error));
        set.install(parse(&body)?, Some(void_from));
        Ok(())
    }

    async fn body(&self) -> Result<Bytes, FetchError> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::new())
            .expect("the address was parsed");
        let answer =
            self.client.request(request).await.map_err(|error| FetchError::Connection(chain(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| FetchError::Body(error.to_string()))
    }
}

/// The client's own words say only "client error"; its causes say which.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
