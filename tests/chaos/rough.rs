//! A system that fails as real ones do: it refuses, answers late, or breaks the connection before or after it took what
//! was sent. Which of them, a seed decides.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::history::{Arrival, Doc};

/// How long the gateway waits for an answer in these tests.
pub const TIMEOUT: Duration = Duration::from_millis(300);

/// What all targets of a run share.
pub struct Log {
    arrivals: Mutex<Vec<Arrival>>,
    moods: Mutex<StdRng>,
    calm: AtomicBool,
}

impl Log {
    /// An empty log; moods come from this seed.
    pub fn new(seed: u64) -> Arc<Self> {
        let moods = Mutex::new(StdRng::seed_from_u64(seed));
        Arc::new(Self { arrivals: Mutex::default(), moods, calm: AtomicBool::new(false) })
    }

    /// From now on everything succeeds.
    pub fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// All calls so far, in the order in which they were dealt with.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, arrival: &Arrival, taken: bool) {
        let arrival = Arrival { taken, ..arrival.clone() };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }

    fn mood(&self) -> Mood {
        if self.calm.load(Ordering::Relaxed) {
            return Mood::Good;
        }
        let mut moods = self.moods.lock().unwrap_or_else(PoisonError::into_inner);
        let late = TIMEOUT.mul_f64(moods.random_range(0.2..2.0));
        match moods.random_range(0..100) {
            0..80 => Mood::Good,
            80..85 => Mood::TakesAndBreaks,
            85..89 => Mood::Breaks,
            89..92 => Mood::Refuses(503),
            92..94 => Mood::Refuses(429),
            94..96 => Mood::Refuses(408),
            96..98 => Mood::TakesAndIsLate(late),
            _ => Mood::IsLate(late),
        }
    }
}

enum Mood {
    Good,
    TakesAndBreaks,
    Breaks,
    Refuses(u16),
    TakesAndIsLate(Duration),
    IsLate(Duration),
}

/// A target on a port of its own.
pub struct Rough {
    /// Its address.
    pub address: String,
    task: JoinHandle<()>,
}

impl Rough {
    /// Starts one that writes to `log` under this name.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(name: &'static str, log: Arc<Log>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                let service = service_fn(move |request| take(name, Arc::clone(&log), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Rough {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error breaks the connection: nothing more is sent on it.
async fn take(
    target: &'static str,
    log: Arc<Log>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let id = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let doc = Doc::find(&String::from_utf8_lossy(&body));
    let arrival = Arrival { target, id, doc, body: Sha256::digest(&body).into(), taken: false };
    let broken = || Err(io::Error::other("this target breaks connections"));
    match log.mood() {
        Mood::Good => log.note(&arrival, true),
        Mood::TakesAndBreaks => {
            log.note(&arrival, true);
            return broken();
        }
        Mood::Breaks => {
            log.note(&arrival, false);
            return broken();
        }
        Mood::Refuses(status) => {
            log.note(&arrival, false);
            return Ok(answer(status));
        }
        Mood::TakesAndIsLate(late) => {
            log.note(&arrival, true);
            tokio::time::sleep(late).await;
        }
        // By the time it is taken, the caller may be gone or may have tried again.
        Mood::IsLate(late) => {
            tokio::time::sleep(late).await;
            log.note(&arrival, true);
        }
    }
    Ok(answer(200))
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status of the list above");
    answer
}
