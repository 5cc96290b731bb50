//! One gateway and one client, for tests that look at every call.

use anyhow::Context as _;
use crossdock_tests::{PATIENCE, Reply};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::{
    history::Doc,
    storm::{CLIENT_PATIENCE, send},
};

/// Where it listens, by the line that it prints when it serves; and the rest of its output, which must stay open.
///
/// # Errors
/// It did not come up.
pub async fn comes_up(child: &mut Child) -> anyhow::Result<(String, Lines<BufReader<ChildStdout>>)> {
    let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.context("it did not come up in time")??;
    let line = line.context("it ended before it served")?;
    let ready: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
    Ok((ready["listen"].as_str().context("an address")?.to_owned(), lines))
}

/// Posts a document once, on a connection of its own.
///
/// # Errors
/// No answer came.
pub async fn post(address: &str, doc: Doc) -> anyhow::Result<Reply> {
    timeout(CLIENT_PATIENCE, send(doc, &mut None, address)).await.context("no answer in time")?
}
