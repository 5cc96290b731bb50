//! Peers that mean harm: requests that two readers would cut apart differently, floods of frames, and clients that are slow
//! on purpose. Each is cut off, and its neighbours notice nothing.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossdock_tests::{ACME_KEY, Gateway, call_over, shared};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::world::{ACME, CONFIRMATIONS, World, confirmation, generous, receipt};

/// What memory may grow by under any of these floods.
const GROWTH: u64 = 64 << 20;

/// Longest that a harmful connection is borne here.
const BORNE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn no_gadget_makes_the_gateway_see_a_request_that_was_in_a_body() -> anyhow::Result<()> {
    let Some(folder) = shared("CROSSDOCK_CONFORMANCE", "conformance") else { return Ok(()) };
    let world = World::with(generous).await?;
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join("http1-smuggler/cases.json"))?)?;
    let cases = file["cases"].as_array().context("cases")?;
    let hidden = format!("GET /messages/hidden HTTP/1.1\r\nHost: x\r\nX-Api-Key: {ACME_KEY}\r\n\r\n");
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for case in cases {
        let gadget = STANDARD.decode(case["gadget_b64"].as_str().context("bytes")?)?;
        // By its length the body has another request in it, by its chunks that request stands behind it; and the other way round.
        let by_length = format!("0\r\n\r\n{hidden}");
        let by_chunks = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        let short = by_chunks.find('\n').context("a line")? + 1;
        for (framing, length, body) in
            [("length", by_length.len(), &by_length), ("chunks", short, &by_chunks)]
        {
            let answers = exchange(&world.gateway, &gadget, length, body.as_bytes()).await?;
            // A line may end in a bare LF (RFC 9112, section 2.2): then the gadget ends the header, and what follows is no
            // request. What was refused before it was read whole may be reset before the answer arrives.
            let cut = gadget.starts_with(b"\n") || gadget.windows(2).any(|pair| pair == b"\n\n");
            let fine = match case["strict"].as_str() {
                Some("reject") if cut => answers.iter().all(|status| matches!(status, 400 | 401)),
                Some("reject") => {
                    answers.len() <= 1 && answers.iter().all(|status| *status >= 400 && *status != 404)
                }
                // What is no framing to anybody leaves the length to decide: behind a short one stand another request and
                // the rest of the chunk.
                Some("ordinary") => answers.len() <= if framing == "length" { 1 } else { 3 },
                _ => answers.len() <= 1,
            };
            refused += usize::from(answers == [400]);
            if !fine {
                wrong.push(format!("{} ({framing}): {answers:?}, should be {}", case["id"], case["strict"]));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len() * 2, wrong.join("\n"));
    ensure!(cases.len() > 1000 && refused > 500, "{} gadgets, {refused} refused", cases.len());
    receipt(&world.confirm(confirmation("0080009701", 9701)?).await?)?;
    Ok(())
}

/// The statuses of all answers to a request with this line in its header.
async fn exchange(gateway: &Gateway, line: &[u8], length: usize, body: &[u8]) -> anyhow::Result<Vec<u16>> {
    let mut stream = TcpStream::connect(&gateway.address).await?;
    let mut request = format!("POST {CONFIRMATIONS} HTTP/1.1\r\n").into_bytes();
    request.extend_from_slice(line);
    request.extend_from_slice(
        format!("\r\nHost: x\r\nX-Api-Key: {ACME_KEY}\r\nContent-Type: application/edi-x12\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
    );
    request.extend_from_slice(body);
    stream.write_all(&request).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    // What was refused may be reset before it is read whole; what came until then counts.
    let _ = timeout(BORNE, stream.read_to_end(&mut answer)).await.context("no end of the answer")?;
    let text = String::from_utf8_lossy(&answer);
    let status = |part: &str| part.get(..3).and_then(|status| status.parse().ok());
    Ok(text.split("HTTP/1.1 ").skip(1).filter_map(status).collect())
}

#[tokio::test]
async fn what_a_strict_parser_refuses_is_refused() -> anyhow::Result<()> {
    let Some(folder) = shared("CROSSDOCK_CONFORMANCE", "conformance") else { return Ok(()) };
    let world = World::start().await?;
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join("http1-llhttp/cases.json"))?)?;
    let mut ran = 0;
    for case in file["cases"].as_array().context("cases")? {
        let kind = case["type"].as_str().unwrap_or_default();
        if !kind.starts_with("request") {
            continue;
        }
        let mut stream = TcpStream::connect(&world.gateway.address).await?;
        stream.write_all(&STANDARD.decode(case["input_b64"].as_str().context("bytes")?)?).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        let _ =
            timeout(BORNE, stream.read_to_end(&mut answer)).await.with_context(|| case["id"].to_string())?;
        let text = String::from_utf8_lossy(&answer);
        // Nobody has shown who it is, so nothing is served, however the bytes are read.
        for status in text.split("HTTP/1.1 ").skip(1).filter_map(|part| part.get(..3)) {
            ensure!(status.starts_with('4'), "{}: {status}", case["id"]);
        }
        ran += 1;
    }
    ensure!(ran > 100, "only {ran} cases were found");
    Ok(())
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// `GET /` by the static table (RFC 7541, appendix A).
const GET: &[u8] = &[0x82, 0x84, 0x86, 0x41, 1, b'x'];

/// Writes pieces until the gateway ends the connection; says how many it took.
async fn until_cut(
    gateway: &Gateway,
    mut piece: impl FnMut(u32) -> Vec<u8>,
    most: u32,
) -> anyhow::Result<u32> {
    let mut stream = TcpStream::connect(&gateway.address).await?;
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await?;
    let (mut read, mut write) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 16 << 10];
        while matches!(read.read(&mut buffer).await, Ok(count) if count > 0) {}
    });
    let mut sent = 0;
    let writing = async {
        while sent < most && !reading.is_finished() {
            if write.write_all(&piece(sent)).await.is_err() {
                break;
            }
            sent += 1;
        }
    };
    timeout(BORNE, writing).await.context("the flood was borne")?;
    timeout(BORNE, reading).await.context("the connection stayed open")??;
    Ok(sent)
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_their_connection_alone() -> anyhow::Result<()> {
    let world = World::with(generous).await?;
    let before = world.gateway.memory()?;
    for _ in 0..8 {
        let piece = |number: u32| {
            let stream = number.saturating_mul(2) | 1;
            [frame(1, 5, stream, GET), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        let sent = until_cut(&world.gateway, piece, 1_000_000).await?;
        ensure!(sent < 1_000_000, "never cut off");
    }
    // The flood's own address has failed too often by now; its neighbour has not.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let stream = socket.connect(world.gateway.address.parse()?).await?;
    let shipped = confirmation("0080009702", 9702)?;
    receipt(&call_over(stream, "POST", "x", CONFIRMATIONS, &ACME, shipped.into()).await?)?;
    let grown = world.gateway.memory()?.saturating_sub(before);
    ensure!(grown < GROWTH, "memory grew by {grown} bytes");
    Ok(())
}

#[tokio::test]
async fn headers_without_an_end_are_cut_off() -> anyhow::Result<()> {
    let world = World::with(generous).await?;
    let before = world.gateway.memory()?;
    // A literal field without indexing, `a: b…`, again and again: a header that never ends.
    let field = [&[0_u8, 1, b'a', 0x7f, 0x81, 0x3e][..], &[b'b'; 8064][..]].concat();
    for _ in 0..8 {
        let piece = |number: u32| match number {
            0 => frame(1, 0, 1, GET),
            _ => frame(9, 0, 1, &field),
        };
        let sent = until_cut(&world.gateway, piece, 100_000).await?;
        ensure!(sent < 100_000, "never cut off");
    }
    // Empty ones cost their reader no memory, and time all the same.
    let piece = |number: u32| if number == 0 { frame(1, 0, 1, GET) } else { frame(9, 0, 1, &[]) };
    until_cut(&world.gateway, piece, 5_000_000).await?;
    receipt(&world.confirm(confirmation("0080009703", 9703)?).await?)?;
    let grown = world.gateway.memory()?.saturating_sub(before);
    ensure!(grown < GROWTH, "memory grew by {grown} bytes");
    Ok(())
}

#[tokio::test]
async fn clients_that_read_nothing_are_cut_off_and_hold_no_memory() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        generous(estate)?.edit("gateway.yaml", |text| text.replace("body_timeout: 30s", "body_timeout: 2s"))
    })
    .await?;
    let before = world.gateway.memory()?;
    // Each asks so much and reads so little that the answers stay in the gateway's way.
    let request = format!(
        "GET /messages/01M88ZT0BZ0CV865W9BNMMDZTK HTTP/1.1\r\nhost: x\r\nx-api-key: {ACME_KEY}\r\n\r\n"
    );
    let many = std::sync::Arc::new(request.repeat(200));
    let mut clients = Vec::new();
    for _ in 0..20 {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(2048)?;
        let stream = socket.connect(world.gateway.address.parse()?).await?;
        let many = std::sync::Arc::clone(&many);
        clients.push(tokio::spawn(async move {
            let mut stream = stream;
            // Until it is cut off: then writing fails.
            timeout(BORNE, async { while stream.write_all(many.as_bytes()).await.is_ok() {} }).await.is_ok()
        }));
    }
    for number in 0..5 {
        receipt(&world.confirm(confirmation("0080009704", 9710 + number)?).await?)?;
    }
    for client in clients {
        ensure!(client.await?, "a client that reads nothing was borne");
    }
    let grown = world.gateway.memory()?.saturating_sub(before);
    ensure!(grown < GROWTH, "memory grew by {grown} bytes");
    Ok(())
}

#[tokio::test]
async fn many_slow_senders_keep_nobody_waiting() -> anyhow::Result<()> {
    let world = World::with(|estate| {
        generous(estate)?
            .edit("gateway.yaml", |text| text.replace("header_timeout: 10s", "header_timeout: 1s"))
    })
    .await?;
    let before = world.gateway.memory()?;
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(&world.gateway.address).await?;
        stream.write_all(b"POST /shipments/confirmations HTTP/1.1\r\nx-slow: ").await?;
        slow.push(stream);
    }
    receipt(&world.confirm(confirmation("0080009705", 9720)?).await?)?;
    // None of them is kept, and none was answered with success.
    let mut stream = slow.pop().context("one of them")?;
    let mut answer = Vec::new();
    let _ = timeout(BORNE, stream.read_to_end(&mut answer)).await.context("a slow sender was borne")?;
    ensure!(!String::from_utf8_lossy(&answer).contains(" 2"), "{answer:?}");
    let grown = world.gateway.memory()?.saturating_sub(before);
    ensure!(grown < GROWTH, "memory grew by {grown} bytes");
    Ok(())
}
