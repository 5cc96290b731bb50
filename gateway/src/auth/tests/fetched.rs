//! Key sets from a real socket: rotation, an issuer that is down, answers that are not keys.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// An issuer on this machine that answers every request with the same bytes.
struct Host {
    address: std::net::SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Host {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self { address, answer: Arc::default(), asked: Arc::default() };
        let (answer, asked) = (Arc::clone(&host.answer), Arc::clone(&host.asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = socket.read(&mut request).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let _ = socket.write_all(&answer).await;
            }
        });
        host
    }

    fn says(&self, status: &str, body: &str) {
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        *self.answer.lock().unwrap() = [head.as_bytes(), body.as_bytes()].concat();
    }

    fn breaks(&self) {
        self.answer.lock().unwrap().clear();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn gate(&self, fetch: Fetch) -> Authenticator {
        let url = format!("http://{}/keys", self.address).parse().unwrap();
        authenticator(issuer(KeySet::from_url(url, fetch).unwrap(), &[Algorithm::ES256]))
    }
}

fn old() -> Pair {
    Pair::new("old", Algorithm::ES256)
}

fn new() -> Pair {
    Pair::new("new", Algorithm::ES256)
}

fn claims_until(seconds: i64) -> Value {
    changed("exp", json!(seconds))
}

#[tokio::test]
async fn a_rotation_makes_no_gap_and_no_storm() {
    let host = Host::start().await;
    host.says("200 OK", &set(&[&old()]));
    let gate = host.gate(Fetch::default());
    gate.issuers[0].keys.refresh(at(NOW)).await.unwrap();
    let first = old().sign(&claims_until(NOW + 9000));
    assert!(present(&gate, &first, at(NOW)).await.is_ok());
    assert_eq!(host.asked(), 1);

    host.says("200 OK", &set(&[&old(), &new()]));
    let second = new().sign(&claims_until(NOW + 9000));
    assert!(present(&gate, &second, at(NOW + 40)).await.is_ok(), "an unknown kid fetches at once");
    assert!(present(&gate, &first, at(NOW + 40)).await.is_ok());
    assert_eq!(host.asked(), 2);

    let unknown = Pair::new("nobody", Algorithm::ES256).sign(&claims_until(NOW + 9000));
    for seconds in 41..70 {
        assert!(matches!(present(&gate, &unknown, at(NOW + seconds)).await, Err(Error::Key { .. })));
    }
    assert_eq!(host.asked(), 2, "the cooldown lasts 30 s");
    let _ = present(&gate, &unknown, at(NOW + 70)).await;
    assert_eq!(host.asked(), 3);

    host.says("200 OK", &set(&[&new()]));
    gate.issuers[0].keys.refresh(at(NOW + 80)).await.unwrap();
    assert!(
        matches!(present(&gate, &first, at(NOW + 80)).await, Err(Error::Key { .. })),
        "a withdrawn key is void, remembered or not"
    );
    assert!(present(&gate, &second, at(NOW + 80)).await.is_ok());
}

#[tokio::test]
async fn many_tokens_with_a_new_kid_cause_one_fetch() {
    let host = Host::start().await;
    host.says("200 OK", &set(&[&new()]));
    let gate = Arc::new(host.gate(Fetch::default()));
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (gate, token) = (Arc::clone(&gate), new().sign(&claims_until(NOW + 300 + number)));
            tokio::spawn(async move { present(&gate, &token, at(NOW)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(host.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_takes_nobody_down_until_its_keys_are_too_old() {
    let host = Host::start().await;
    host.says("200 OK", &set(&[&old()]));
    let fetch = Fetch {
        refresh: Duration::from_secs(100),
        stale_if_error: Duration::from_secs(1000),
        unknown_kid_cooldown: Duration::from_secs(1),
        ..Fetch::default()
    };
    let gate = host.gate(fetch);
    let token = old().sign(&claims_until(NOW + 9000));
    gate.issuers[0].keys.refresh(at(NOW)).await.unwrap();
    assert!(present(&gate, &token, at(NOW)).await.is_ok());
    for broken in ["503 Service Unavailable", "302 Found", ""] {
        if broken.is_empty() {
            host.breaks()
        } else {
            host.says(broken, &set(&[&new()]))
        }
        assert!(gate.issuers[0].keys.refresh(at(NOW + 500)).await.is_err(), "{broken}");
        assert!(present(&gate, &token, at(NOW + 1099)).await.is_ok(), "{broken}");
    }
    let late = present(&gate, &token, at(NOW + 1100)).await.unwrap_err();
    assert!(matches!(late, Error::KeysUnavailable { .. }) && late.is_retryable(), "{late}");
    host.says("200 OK", &set(&[&old()]));
    assert!(present(&gate, &token, at(NOW + 1200)).await.is_ok(), "it is asked again and recovers");
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_replaces_nothing() {
    let host = Host::start().await;
    host.says("200 OK", &set(&[&old()]));
    let gate = host.gate(Fetch::default());
    let keys = &gate.issuers[0].keys;
    keys.refresh(at(NOW)).await.unwrap();
    let generation = keys.generation();
    keys.refresh(at(NOW + 1)).await.unwrap();
    assert_eq!(keys.generation(), generation, "the same keys again change nothing");
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 * 1024));
    for body in
        ["", "<html>", "{\"keys\":[]}", &long, &json!({ "keys": [{ "kty": "oct", "k": "AA" }] }).to_string()]
    {
        host.says("200 OK", body);
        assert!(keys.refresh(at(NOW + 2)).await.is_err(), "{}", &body[..body.len().min(40)]);
    }
    host.says("302 Found\r\nlocation: http://127.0.0.1:1/", "");
    assert!(matches!(keys.refresh(at(NOW + 2)).await, Err(FetchError::Status(status)) if status == 302));
    assert_eq!(keys.generation(), generation);
    assert!(present(&gate, &old().sign(&claims()), at(NOW + 2)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_cannot_be_good_causes_no_fetch() {
    let host = Host::start().await;
    let gate = host.gate(Fetch::default());
    for claims in [
        changed("exp", json!(1)),
        without("aud"),
        changed("iss", json!("https://evil.example")),
        without("sub"),
    ] {
        assert!(present(&gate, &old().sign(&claims), at(NOW)).await.is_err());
    }
    let pinned = old().sign_texts(r#"{"alg":"RS256","kid":"x"}"#, &claims().to_string());
    assert!(present(&gate, &pinned, at(NOW)).await.is_err());
    assert_eq!(host.asked(), 0);
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let fetch = Fetch { timeout: Duration::from_millis(20), ..Fetch::default() };
    let keys = KeySet::from_url(url, fetch).unwrap();
    assert!(matches!(keys.refresh(at(NOW)).await, Err(FetchError::Timeout(_))));
    assert!(!keys.usable(at(NOW)));
}

#[test]
fn keys_come_over_tls_or_from_this_machine() {
    for (url, allowed) in [
        ("https://id.acme.example/keys", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://[::1]/keys", true),
        ("http://id.acme.example/keys", false),
        ("http://127.0.0.1.evil.example/", false),
        ("file:///etc/passwd", false),
        ("/keys", false),
    ] {
        let parsed = url.parse::<http::Uri>();
        assert_eq!(parsed.is_ok_and(|url| KeySet::from_url(url, Fetch::default()).is_ok()), allowed, "{url}");
    }
}
