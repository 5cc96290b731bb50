//! Calls over real sockets, to small servers of our own and to ports that misbehave.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use super::{Answer, Call as _, CallError, HttpCall, Request, excerpt};
use crate::{
    deliver::{Credentials, Endpoint, Secret, Target, WebhookKey},
    words::{Document, TargetName, Time},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Seen = Arc<Mutex<Vec<(http::request::Parts, Bytes)>>>;

fn on_sockets<T>(scene: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(scene)
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that keeps what it got and answers with what `answer` makes of the path.
async fn server(answer: fn(&str) -> http::Response<Full<Bytes>>) -> (SocketAddr, Seen) {
    let (listener, address) = listen().await;
    let seen: Seen = Seen::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            let service = service_fn(move |request: http::Request<Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    let (parts, body) = request.into_parts();
                    let response = answer(parts.uri.path());
                    let body = body.collect().await.unwrap().to_bytes();
                    kept.lock().unwrap().push((parts, body));
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, seen)
}

/// A port that reads a request's first bytes and then does as `act` says.
async fn port<F: Future<Output = ()> + Send + 'static>(act: fn(TcpStream) -> F) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _read = stream.read(&mut head).await;
                act(stream).await;
            });
        }
    });
    address
}

fn target(address: SocketAddr, path: &str) -> Target {
    let endpoint = Endpoint::parse(&format!("http://{address}{path}")).unwrap();
    Target::new(TargetName::new("erp").unwrap(), endpoint)
}

fn request(body: &str) -> Request {
    Request {
        id: "01JD8Q2M7T6V9K3H5X0YB4N8RC-to-erp".into(),
        document: Document {
            media_type: "application/edi-x12".into(),
            content: Bytes::copy_from_slice(body.as_bytes()),
            parameters: vec![("order".into(), "8841/22".into())],
        },
        at: Time::from_millis(1_614_265_330_000),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        keep_bytes: 64 * 1024,
    }
}

async fn call(target: Target, request: Request) -> Result<Answer, CallError> {
    HttpCall::new().call(Arc::new(target), request).await
}

fn plain(status: u16, body: impl Into<Bytes>) -> http::Response<Full<Bytes>> {
    let response =
        http::Response::builder().status(status).header("content-type", "Text/Plain; charset=utf-8");
    response.header("retry-after", "7").body(Full::new(body.into())).unwrap()
}

#[test]
fn a_call_carries_document_identity_signature_and_credentials() {
    on_sockets(async {
        let (address, seen) = server(|_| plain(202, "taken")).await;
        let mut target = target(address, "/orders/{order}?kind=940");
        target.sign = Some(WebhookKey::parse(&[SECRET]).unwrap());
        target.credentials = Credentials::Bearer(Secret::new("t0ken"));
        target.headers.insert("x-client", "100".parse().unwrap());
        let answer = call(target, request("ISA*00~")).await.unwrap();
        assert_eq!((answer.status, answer.media_type.as_str(), answer.cut), (202, "text/plain", false));
        assert_eq!((answer.content.as_ref(), answer.retry_after.as_deref()), (&b"taken"[..], Some("7")));
        let seen = seen.lock().unwrap();
        let (head, body) = &seen[0];
        let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
        assert_eq!((head.method.as_str(), body.as_ref()), ("POST", &b"ISA*00~"[..]));
        assert_eq!(head.uri.to_string(), "/orders/8841%2F22?kind=940");
        let id = "01JD8Q2M7T6V9K3H5X0YB4N8RC-to-erp";
        let at = Time::from_millis(1_614_265_330_000);
        let signature = WebhookKey::parse(&[SECRET]).unwrap().sign(id, at, b"ISA*00~");
        for (name, value) in [
            ("content-type", "application/edi-x12"),
            ("content-length", "7"),
            ("idempotency-key", id),
            ("webhook-id", id),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", &signature),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("user-agent", "crossdock"),
            ("authorization", "Bearer t0ken"),
            ("x-client", "100"),
        ] {
            assert_eq!(header(name), value, "{name}");
        }
    });
}

#[test]
fn every_kind_of_credentials_reaches_the_target() {
    on_sockets(async {
        let (address, seen) = server(|_| plain(200, "")).await;
        let basic = Credentials::Basic { user: "Aladdin".into(), password: Secret::new("open sesame") };
        let header = Credentials::Header { name: "x-api-key".parse().unwrap(), value: Secret::new("k3y") };
        for credentials in [basic, header, Credentials::None] {
            assert!(
                !format!("{credentials:?}").contains("sesame") && !format!("{credentials:?}").contains("k3y")
            );
            call(Target { credentials, ..target(address, "/") }, request("x")).await.unwrap();
        }
        let seen = seen.lock().unwrap();
        // The example of RFC 7617.
        assert_eq!(seen[0].0.headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(seen[1].0.headers["x-api-key"], "k3y");
        assert!(!seen[2].0.headers.contains_key("authorization"));
    });
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    on_sockets(async {
        let (address, seen) = server(|path| {
            let to = if path == "/elsewhere" { "/never" } else { "/elsewhere" };
            http::Response::builder().status(307).header("location", to).body(Full::default()).unwrap()
        })
        .await;
        assert_eq!(call(target(address, "/"), request("x")).await.unwrap().status, 307);
        assert_eq!(seen.lock().unwrap().len(), 1);
    });
}

#[test]
fn an_answer_is_kept_up_to_its_bound_and_the_rest_is_cut() {
    on_sockets(async {
        let (address, _) = server(|_| plain(422, vec![b'a'; 100_000])).await;
        let answer = call(target(address, "/"), request("x")).await.unwrap();
        assert_eq!((answer.status, answer.content.len(), answer.cut), (422, 65_536, true));
        let (address, _) = server(|_| plain(422, vec![b'a'; 65_536])).await;
        let answer = call(target(address, "/"), request("x")).await.unwrap();
        assert_eq!((answer.content.len(), answer.cut), (65_536, false));
    });
}

#[test]
fn an_endless_answer_is_left_after_a_mebibyte() {
    on_sockets(async {
        let address = port(|mut stream| async move {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let chunk = format!("1000\r\n{}\r\n", "a".repeat(4096));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        })
        .await;
        let answer = call(target(address, "/"), request("x")).await.unwrap();
        assert_eq!((answer.status, answer.content.len(), answer.cut), (200, 65_536, true));
    });
}

#[test]
fn an_answer_whose_body_stalls_still_counts_by_its_status() {
    on_sockets(async {
        let address = port(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
            std::future::pending().await
        })
        .await;
        let target = Target { timeout: Duration::from_millis(200), ..target(address, "/") };
        let answer = call(target, request("x")).await.unwrap();
        assert_eq!((answer.status, answer.content.as_ref(), answer.cut), (201, &b"half"[..], true));
    });
}

#[test]
fn failures_are_told_apart() {
    on_sockets(async {
        let (listener, address) = listen().await;
        drop(listener);
        assert_eq!(call(target(address, "/"), request("x")).await, Err(CallError::Refused));

        let nowhere = Endpoint::parse("http://no-such-host.invalid/").unwrap();
        let nowhere = Target { endpoint: nowhere, ..target(address, "/") };
        assert_eq!(call(nowhere, request("x")).await, Err(CallError::Unresolved));

        let silent = port(|stream| async move {
            let _open = stream;
            std::future::pending().await
        })
        .await;
        let short = Target { timeout: Duration::from_millis(100), ..target(silent, "/") };
        assert_eq!(call(short, request("x")).await, Err(CallError::TimedOut { sent: true }));

        let closing = port(|stream| async move { drop(stream) }).await;
        let ended = call(target(closing, "/"), request("x")).await;
        assert!(matches!(ended, Err(CallError::Broken { sent: true, .. })), "{ended:?}");

        let babbling =
            port(|mut stream| async move { stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap() }).await;
        let ended = call(target(babbling, "/"), request("x")).await;
        assert!(matches!(ended, Err(CallError::Broken { sent: true, .. })), "{ended:?}");

        let no_tls =
            port(|mut stream| async move { stream.write_all(b"HTTP/1.1 400 no\r\n\r\n").await.unwrap() })
                .await;
        let endpoint = Endpoint::parse(&format!("https://{no_tls}/")).unwrap();
        let ended = call(Target { endpoint, ..target(no_tls, "/") }, request("x")).await;
        assert!(matches!(ended, Err(CallError::Tls(_))), "{ended:?}");
        assert!(!ended.unwrap_err().is_ambiguous());
    });
}

#[test]
fn a_handshake_that_never_ends_uses_up_the_connect_time_only_and_sent_nothing() {
    on_sockets(async {
        let (_listener, address) = listen().await;
        let endpoint = Endpoint::parse(&format!("https://{address}/")).unwrap();
        let connect_timeout = Duration::from_millis(100);
        let target =
            Target { endpoint, connect_timeout, timeout: Duration::from_secs(3600), ..target(address, "/") };
        assert_eq!(call(target, request("x")).await, Err(CallError::TimedOut { sent: false }));
    });
}

#[test]
fn a_slow_answer_may_take_longer_than_the_connection() {
    on_sockets(async {
        let address = port(|mut stream| async move {
            // Longer than the connect time, far shorter than the whole.
            tokio::time::sleep(Duration::from_millis(60)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        })
        .await;
        let connect_timeout = Duration::from_millis(30);
        for body in ["x", ""] {
            let target = Target { connect_timeout, ..target(address, "/") };
            assert_eq!(
                call(target, request(body)).await.map(|answer| answer.status),
                Ok(200),
                "body {body:?}"
            );
        }
    });
}

#[test]
fn what_cannot_be_sent_is_said_and_nothing_is_sent() {
    on_sockets(async {
        let (address, seen) = server(|_| plain(200, "")).await;
        let missing = call(target(address, "/{shipment}"), request("x")).await;
        assert!(
            matches!(&missing, Err(CallError::Unsendable(why)) if why.contains("`shipment`")),
            "{missing:?}"
        );
        let mut broken = request("x");
        broken.document.media_type = "text/plain\r\nx-injected: 1".into();
        assert!(matches!(call(target(address, "/"), broken).await, Err(CallError::Unsendable(_))));
        assert!(seen.lock().unwrap().is_empty());
    });
}

#[test]
fn excerpts_are_safe_to_show() {
    let table: [(&[u8], Option<&str>); 8] = [
        (b"", None),
        (b" \r\n\t\0 ", None),
        (b"Batch L19284\r\n  not in plant", Some("Batch L19284 not in plant")),
        (b"\x1b[31mred\x1b[0m", Some("[31mred [0m")),
        ("a\u{202e}b\u{200b}c".as_bytes(), Some("abc")),
        ("\u{feff}{}".as_bytes(), Some("{}")),
        (b"\xff\xfe", Some("\u{fffd}\u{fffd}")),
        ("Stückgut".as_bytes(), Some("Stückgut")),
    ];
    for (content, expected) in table {
        assert_eq!(excerpt(content).as_deref(), expected, "{content:?}");
    }
}

proptest! {
    #[test]
    fn every_excerpt_is_short_and_without_controls(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        if let Some(text) = excerpt(&content) {
            prop_assert!(!text.is_empty() && text.len() <= 512);
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
