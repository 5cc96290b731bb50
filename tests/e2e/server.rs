//! Sockets: protocols, TLS, the drain, and the operators' door.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crossdock_tests::{ACME_KEY, Gateway, call, until};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{ACME, CONFIRMATIONS, World, confirmation, receipt};

#[tokio::test]
async fn http2_serves_many_requests_at_once_on_one_connection() -> anyhow::Result<()> {
    let world = World::start().await?;
    let stream = TcpStream::connect(&world.gateway.address).await?;
    let url = format!("http://{}{CONFIRMATIONS}", world.gateway.address);
    let replies = over_http2(stream, &url, 9601..9611).await?;
    ensure!(replies.iter().all(|(status, body)| *status == 202 && body["version"] == "v2"), "{replies:?}");
    Ok(())
}

#[tokio::test]
async fn tls_speaks_both_protocols_and_plain_text_gets_nothing() -> anyhow::Result<()> {
    let pair = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["gateway.example".to_owned()])?.self_signed(&pair)?;
    let world = World::with(|estate| {
        std::fs::write(estate.folder().join("keys/tls.crt.pem"), certificate.pem())?;
        std::fs::write(estate.folder().join("keys/tls.key.pem"), pair.serialize_pem())?;
        estate.edit("gateway.yaml", |text| {
            format!("{text}\ntls: {{ certificate: file:keys/tls.crt.pem, key: file:keys/tls.key.pem }}\n")
        })
    })
    .await?;
    let url = format!("https://gateway.example{CONFIRMATIONS}");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
    let stream = TcpStream::connect(&world.gateway.address).await?;
    let stream = connector.connect("gateway.example".try_into()?, stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let replies = over_http2(stream, &url, 9621..9623).await?;
    ensure!(replies.iter().all(|(status, _)| *status == 202), "{replies:?}");

    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(&world.gateway.address).await?;
    let mut stream = connector.connect("gateway.example".try_into()?, stream).await?;
    let request = "GET /nowhere HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    ensure!(world.confirm("x").await.is_err(), "plain text was answered");
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_under_way_at_sigterm_is_finished_first() -> anyhow::Result<()> {
    let world = World::start().await?;
    let shipped = confirmation("0080009631", 9631)?;
    let (first, rest) = shipped.split_at(shipped.len() / 2);
    let mut stream = TcpStream::connect(&world.gateway.address).await?;
    let head = format!(
        "POST {CONFIRMATIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\ncontent-type: application/edi-x12\r\n"
    );
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{first}", shipped.len()).as_bytes()).await?;
    // A later call that is answered shows that the first one is being served, not still in the kernel's queue.
    receipt(&world.confirm(confirmation("0080009632", 9632)?).await?)?;
    // The rest of the world lives on to the end of the test.
    let World { gateway, estate: _estate, data: _data, .. } = world;
    let address = gateway.address.clone();
    let finish = async {
        until("nobody new is let in", async || Ok(TcpStream::connect(&address).await.is_err())).await?;
        // A slow sender, for whom the gateway has to wait.
        let mut pieces = rest.as_bytes().chunks(3);
        until("all is sent", async || {
            let Some(piece) = pieces.next() else { return Ok(true) };
            stream.write_all(piece).await?;
            Ok(false)
        })
        .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let (code, answer) = tokio::join!(gateway.stop(), finish);
    let answer = answer?;
    ensure!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(code?, Some(0));
    Ok(())
}

#[tokio::test]
async fn probes_and_figures_are_open_and_everything_else_needs_the_token() -> anyhow::Result<()> {
    let world = World::start().await?;
    receipt(&world.confirm(confirmation("0080009641", 9641)?).await?)?;
    let admin = &world.gateway.admin;
    let get = async |path: &'static str, headers: &'static [(&'static str, &'static str)]| {
        call(admin, "GET", path, headers, Bytes::new()).await
    };
    assert_eq!(
        (get("/healthz", &[]).await?.status, get("/healthz", &[]).await?.text()),
        (200, "ok\n".to_owned())
    );
    ensure!(get("/readyz", &[]).await?.text().starts_with("ready, revision "), "not ready");
    let figures = get("/metrics", &[]).await?;
    ensure!(
        figures.text().contains("partner=\"acme-3pl\"") && figures.text().ends_with("# EOF\n"),
        "{}",
        figures.text()
    );
    for headers in [&[][..], &[("authorization", "Bearer xda_0")], &[("authorization", "Bearer ")]] {
        assert_eq!(get("/api/v1/messages", headers).await?.status, 401);
    }
    // A page in an operator's browser has no business here, token or not.
    assert_eq!(get("/api/v1/messages", &[("origin", "https://evil.example")]).await?.status, 421);
    assert_eq!(get("/healthz", &[("origin", "https://evil.example")]).await?.status, 421);
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    // The partners' door does not lead there either.
    assert_eq!(world.gateway.get("/api/v1/messages", &ACME).await?.status, 404);

    let mode = |name: &str| {
        anyhow::Ok(std::fs::metadata(world.data.path().join(name))?.permissions().mode() & 0o777)
    };
    assert_eq!((mode("admin.token")?, mode("")?), (0o600, 0o700));
    Ok(())
}

#[tokio::test]
async fn a_token_file_that_others_may_read_keeps_the_gateway_from_starting() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.gateway.kill().await?;
    let file = world.data.path().join("admin.token");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    ensure!(Gateway::start(&world.estate, world.data.path()).await.is_err(), "it started");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    Gateway::start(&world.estate, world.data.path()).await?.kill().await?;
    Ok(())
}

/// Posts confirmations at the same time over one HTTP/2 connection.
async fn over_http2<S>(
    stream: S,
    url: &str,
    numbers: std::ops::Range<u32>,
) -> anyhow::Result<Vec<(u16, Value)>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut under_way = tokio::task::JoinSet::new();
    for number in numbers {
        let mut sender = sender.clone();
        let mut request = http::Request::post(url);
        for (name, value) in ACME {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(confirmation("0080009601", number)?)))?;
        under_way.spawn(async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, serde_json::from_slice(&body).context("JSON")?))
        });
    }
    under_way.join_all().await.into_iter().collect()
}
