//! Sockets: listening, TLS, connection limits, header timeouts, drain. The only room that names hyper's server.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::words::Peer;

mod patient;
mod tls;

pub use tls::Tls;

use patient::Patient;

/// The answer to one request, later.
pub type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Full<Bytes>),
    /// Parts as they come, until the sender is dropped. The channel's bound is all that waits for a slow reader.
    Stream(mpsc::Receiver<Bytes>),
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self::Whole(Full::new(content))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(content) => Pin::new(content).poll_frame(context),
            Self::Stream(parts) => {
                parts.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(content) => content.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(content) => content.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Answers requests. It never fails: a failure is an answer too.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request that came from `peer`.
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Answering;
}

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// From the first byte of a request to the end of its headers; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How long a client may take nothing while there is something for it.
    pub write_timeout: Duration,
    /// From the signal to stop until open connections are cut.
    pub drain: Duration,
}

/// Bytes that the headers of a request may take.
const HEADER_BYTES: usize = 64 * 1024;
/// Header fields that a request may have.
const HEADER_COUNT: usize = 100;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// Streams that a client may open and reset before it is cut off (CVE-2023-44487).
const RESETS: usize = 32;
/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket that is bound and listens.
pub enum Listener {
    /// TCP, with TLS if a configuration is there.
    Tcp(TcpListener, Option<Arc<Tls>>),
    /// A Unix socket that only its owner can open; removed on drop.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub async fn tcp(address: SocketAddr, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        Ok(Self::Tcp(TcpListener::bind(address).await?, tls))
    }

    /// Binds a Unix socket of mode 0600. A socket left behind by a dead process is replaced.
    ///
    /// # Errors
    /// The path holds something else, or a living process listens there.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        match tokio::fs::symlink_metadata(path).await {
            Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                tokio::fs::remove_file(path).await?;
            }
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "not a socket")),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).await?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The bound TCP address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves until `stop` turns true, then drains: no new connections, open ones finish what they are at.
pub async fn serve<H: Handler>(
    listener: Listener,
    limits: Limits,
    handler: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            () = stopped(&mut stop) => break,
        };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok(socket) => {
                let connection = Connection {
                    handler: Arc::clone(&handler),
                    limits: limits.clone(),
                    slot,
                    watcher: open.watcher(),
                };
                tokio::spawn(connection.run(socket));
            }
            Err(error) => {
                // Out of descriptors, or the peer left before it was accepted: neither ends the listener.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(listener);
    if timeout(limits.drain, open.shutdown()).await.is_err() {
        tracing::warn!(after = ?limits.drain, "connections were cut at the end of the drain");
    }
}

/// Waits until `stop` is true or its sender is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

enum Socket {
    Tcp(TcpStream, SocketAddr, Option<Arc<Tls>>),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<Socket> {
    match listener {
        Listener::Tcp(listener, tls) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream, peer, tls.clone()))
        }
        Listener::Unix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
    }
}

struct Connection<H> {
    handler: Arc<H>,
    limits: Limits,
    slot: OwnedSemaphorePermit,
    watcher: hyper_util::server::graceful::Watcher,
}

impl<H: Handler> Connection<H> {
    async fn run(self, socket: Socket) {
        match socket {
            Socket::Unix(stream) => self.speak(stream, Peer::default(), false).await,
            Socket::Tcp(stream, address, None) => {
                let peer = Peer { address: Some(address), ..Peer::default() };
                // hyper's own detection waits for ever for the first bytes; this one does not.
                if let Ok(Ok(http2)) = timeout(self.limits.header_timeout, begins_as_http2(&stream)).await {
                    self.speak(stream, peer, http2).await;
                }
            }
            Socket::Tcp(stream, peer, Some(tls)) => {
                let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
                match timeout(self.limits.header_timeout, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let session = stream.get_ref().1;
                        let http2 = session.alpn_protocol() == Some(b"h2");
                        let certificate = tls.client(session.peer_certificates().unwrap_or_default());
                        let peer = Peer { address: Some(peer), secure: true, certificate };
                        self.speak(stream, peer, http2).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection came about"),
                    Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak<S>(self, stream: S, peer: Peer, http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(HEADER_BYTES)
            .max_headers(HEADER_COUNT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .max_header_list_size(u32::try_from(HEADER_BYTES).expect("64 KiB fit"))
            .keep_alive_interval(self.limits.header_timeout)
            .keep_alive_timeout(self.limits.header_timeout);
        let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
        let handler = self.handler;
        let address = peer.address;
        let service = service_fn(move |request| {
            let (handler, peer) = (Arc::clone(&handler), peer.clone());
            async move { Ok::<_, Infallible>(handler.answer(request, peer).await) }
        });
        let stream = Patient::new(stream, self.limits.write_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(?address, %error, "a connection ended early");
        }
        drop(self.slot);
    }
}

/// Looks, without taking anything, whether the client begins with HTTP/2's preface.
async fn begins_as_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    let mut known = 0;
    loop {
        let count = stream.peek(&mut seen).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        if count == known {
            // The socket stays readable while we only peek: give the peer a moment instead of spinning.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        known = count;
    }
}
