//! The systems of the demo's estate: each a small HTTP server that keeps what it receives, and can go away and come back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    server::{self, Answering, Body, Handler, Limits, Listener},
    words::Peer,
};

/// Longest wait for something that should happen soon.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest document that a system of the demo takes.
const LARGEST: usize = 4 << 20;

/// A document that arrived.
#[derive(Clone)]
pub(super) struct Arrived {
    /// When.
    pub at: Instant,
    /// Its bytes as text.
    pub text: String,
}

#[derive(Default)]
struct Inbox(Mutex<Vec<Arrived>>);

impl Handler for Inbox {
    fn answer(self: Arc<Self>, request: Request<Incoming>, _: Peer) -> Answering {
        Box::pin(async move {
            let body = Limited::new(request.into_body(), LARGEST).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            let arrived = Arrived { at: Instant::now(), text };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
            Response::new(Body::from(Bytes::new()))
        })
    }
}

/// A system that receives.
pub(super) struct System {
    /// Its address; the same after an outage.
    pub address: SocketAddr,
    inbox: Arc<Inbox>,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl System {
    /// Starts one on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let (address, running) = listen(SocketAddr::from(([127, 0, 0, 1], 0)), &inbox).await?;
        Ok(Self { address, inbox, running: Some(running) })
    }

    /// Goes away: connections are cut, new ones refused.
    pub async fn go_down(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.send_replace(true);
            let _ = task.await;
        }
    }

    /// Comes back at the same address.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        let (_, running) = listen(self.address, &self.inbox).await?;
        self.running = Some(running);
        Ok(())
    }

    /// Everything that arrived, oldest first.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for documents that contain `text`, so many.
    pub async fn wait_for(&self, text: &str, count: usize) -> Vec<Arrived> {
        let found = || -> Vec<_> {
            self.arrived().into_iter().filter(|arrived| arrived.text.contains(text)).collect()
        };
        let waited = timeout(PATIENCE, async {
            while found().len() < count {
                sleep(Duration::from_millis(2)).await;
            }
        });
        // A wait in vain shows as documents that are missing.
        let _ = waited.await;
        found()
    }
}

async fn listen(
    address: SocketAddr,
    inbox: &Arc<Inbox>,
) -> anyhow::Result<(SocketAddr, (watch::Sender<bool>, JoinHandle<()>))> {
    let listener =
        Listener::tcp(address, None).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.address().context("a TCP listener has an address")?;
    let stop = watch::Sender::new(false);
    let limits = Limits {
        connections: 256,
        header_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        drain: Duration::from_millis(200),
    };
    let task = tokio::spawn(server::serve(listener, limits, Arc::clone(inbox), stop.subscribe()));
    Ok((address, (stop, task)))
}
