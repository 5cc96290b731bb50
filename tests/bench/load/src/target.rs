//! The system behind the gateway: it takes everything, and notes when each shipment arrived.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    document::{DIGITS, MARK},
    http::Reader,
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// What has arrived.
pub struct Target {
    pub address: SocketAddr,
    started: Instant,
    calls: AtomicU64,
    /// Microseconds since `started` by the shipment's number; 0 if it has not arrived.
    arrived: Vec<AtomicU64>,
}

impl Target {
    /// Listens on a free port, with room for so many shipments.
    pub async fn start(room: usize) -> anyhow::Result<Rc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let arrived = (0..room).map(|_| AtomicU64::new(0)).collect();
        let target = Rc::new(Self {
            address: listener.local_addr()?,
            started: Instant::now(),
            calls: AtomicU64::new(0),
            arrived,
        });
        tokio::task::spawn_local(listen(listener, Rc::clone(&target)));
        Ok(target)
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Microseconds from the target's start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// When the shipment of this number arrived first.
    pub fn arrival(&self, number: u64) -> Option<u64> {
        let at = self.arrived.get(usize::try_from(number).ok()?)?.load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }

    fn note(&self, body: &[u8]) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(at) = body.windows(MARK.len()).position(|four| four == MARK) else { return };
        let digits = body
            .get(at + MARK.len()..at + MARK.len() + DIGITS)
            .and_then(|text| std::str::from_utf8(text).ok());
        let number = digits.and_then(|text| text.parse::<usize>().ok());
        if let Some(place) = number.and_then(|number| self.arrived.get(number)) {
            let _ = place.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

async fn listen(listener: TcpListener, target: Rc<Target>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let target = Rc::clone(&target);
        tokio::task::spawn_local(async move {
            let _ = stream.set_nodelay(true);
            let (mut reader, mut used) = (Reader::new(), 0);
            while let Ok(Some(length)) = reader.next(&mut stream, used).await {
                target.note(reader.message(length).body);
                used = length;
                if stream.write_all(ANSWER).await.is_err() {
                    return;
                }
            }
        });
    }
}
