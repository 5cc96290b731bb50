//! A system behind the gateway: it keeps what it received, in order, and answers as it is told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinHandle};

/// One call that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status that was answered.
    pub answered: u16,
}

impl Received {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

type Script = dyn Fn(&Received) -> (u16, String) + Send + Sync;

struct State {
    received: Mutex<Vec<Received>>,
    script: Mutex<Box<Script>>,
}

/// A real HTTP server on a port of its own.
pub struct Receiver {
    /// Its address.
    pub address: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that answers 200 to everything.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts one at an address, to come back after an outage.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn start_at(address: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?.to_string();
        let state = Arc::new(State {
            received: Mutex::default(),
            script: Mutex::new(Box::new(|_: &Received| (200, String::new()))),
        });
        let task = tokio::spawn(listen(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Answers as `script` says from now on.
    pub fn answer(&self, script: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static) {
        *self.state.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// All calls so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The calls so far that were answered with success.
    pub fn taken(&self) -> Vec<Received> {
        self.received().into_iter().filter(|call| call.answered < 300).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    // Connections end with the listener: an outage is an outage.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let state = Arc::clone(&state);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                let mut call = Received { headers: head.headers, body, answered: 0 };
                let (status, text) = state.script.lock().unwrap_or_else(PoisonError::into_inner)(&call);
                call.answered = status;
                state.received.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                let mut answer = Response::new(Full::new(Bytes::from(text)));
                *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::OK);
                Ok::<_, Infallible>(answer)
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}
