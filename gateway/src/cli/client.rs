//! The admin API as the look-up commands call it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

/// Largest answer.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Where the gateway's admin API is.
#[derive(Args, Clone, Debug)]
pub struct AdminArgs {
    /// Address of the admin API: HOST:PORT, or the path of its Unix socket
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CROSSDOCK_ADMIN",
        default_value = "127.0.0.1:9080",
        help_heading = "The gateway",
        global = true
    )]
    admin: String,
    /// The gateway's data folder, whose `admin.token` opens the API
    #[arg(
        long,
        value_name = "DIR",
        env = "CROSSDOCK_DATA",
        default_value = "data",
        help_heading = "The gateway",
        global = true
    )]
    data: PathBuf,
    /// Print JSON lines instead of text
    #[arg(long, global = true, display_order = 100)]
    pub json: bool,
}

impl AdminArgs {
    /// The gateway's data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

/// Why the admin API gave no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, or it broke off.
    #[error(
        "the gateway cannot be reached at {address}: {what}\n  help: is `crossdock serve` running? `--admin` names another address"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What happened.
        what: String,
    },
    /// The token is missing or wrong.
    #[error("the gateway at {address} does not take the token of {}\n  help: `--data` names the folder that `crossdock serve` was given", file.display())]
    Token {
        /// Where.
        address: String,
        /// The file that was tried.
        file: PathBuf,
    },
    /// The gateway wants a token and there is none to send.
    #[error("the token {} cannot be read: {why}\n  help: `--data` names the folder that `crossdock serve` was given", file.display())]
    NoToken {
        /// The file that was tried.
        file: PathBuf,
        /// What happened.
        why: String,
    },
    /// The answer is no.
    #[error("{0}")]
    No(String),
}

impl Error {
    /// 1 where the answer is no, 4 where there was none.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Token { .. } | Self::NoToken { .. } => 4,
            Self::No(_) => 1,
        }
    }
}

/// Calls the admin API.
pub struct Client {
    address: String,
    token_file: PathBuf,
    token: String,
    /// Why the token file could not be read.
    unread: Option<String>,
}

impl Client {
    /// A client for these arguments; a missing token file shows at the first call.
    pub fn new(args: &AdminArgs) -> Self {
        let address = args.admin.strip_prefix("http://").unwrap_or(&args.admin).trim_end_matches('/');
        Self::at(address, &args.data.join("admin.token"))
    }

    /// A client for an address and the file of its token.
    pub fn at(address: &str, token_file: &Path) -> Self {
        let (address, token_file) = (address.to_owned(), token_file.to_owned());
        let (token, unread) = match std::fs::read_to_string(&token_file) {
            Ok(text) => (text.trim().to_owned(), None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        Self { address, token_file, token, unread }
    }

    /// `GET /api/v1/{path}`.
    ///
    /// # Errors
    /// The gateway cannot be reached, or its answer is no.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Method::GET, path, "application/json", Bytes::new()).await
    }

    /// `POST /api/v1/{path}` with JSON.
    ///
    /// # Errors
    /// The gateway cannot be reached, or its answer is no.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.call(Method::POST, path, "application/json", body.to_string().into()).await
    }

    /// `POST /api/v1/{path}` with bytes.
    ///
    /// # Errors
    /// The gateway cannot be reached, or its answer is no.
    pub async fn upload(&self, path: &str, kind: &str, body: Bytes) -> Result<Value, Error> {
        self.call(Method::POST, path, kind, body).await
    }

    async fn call(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Value, Error> {
        let wait = Duration::from_secs(90);
        let answer = timeout(wait, self.exchange(method, path, kind, body)).await;
        let (status, body) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(what)) => return Err(self.unreachable(what.to_string())),
            Err(_) => return Err(self.unreachable(format!("no answer within {} s", wait.as_secs()))),
        };
        if status == http::StatusCode::UNAUTHORIZED {
            let file = self.token_file.clone();
            return Err(match &self.unread {
                Some(why) => Error::NoToken { file, why: why.clone() },
                None => Error::Token { address: self.address.clone(), file },
            });
        }
        let value: Value = serde_json::from_slice(&body)
            .map_err(|_| self.unreachable(format!("{status}, and not JSON: is this the admin address?")))?;
        if status.is_success() {
            return Ok(value);
        }
        Err(Error::No(value["detail"].as_str().unwrap_or(status.as_str()).to_owned()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> anyhow::Result<(http::StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header(header::HOST, if self.address.starts_with('/') { "localhost" } else { &self.address })
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(body))?;
        let mut sender = if self.address.starts_with('/') {
            connect(TokioIo::new(tokio::net::UnixStream::connect(&self.address).await?)).await?
        } else {
            connect(TokioIo::new(TcpStream::connect(&self.address).await?)).await?
        };
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        Ok((status, body))
    }

    fn unreachable(&self, what: String) -> Error {
        Error::Unreachable { address: self.address.clone(), what }
    }
}

async fn connect<S>(stream: S) -> anyhow::Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Writes one part of a path or query so that nothing in it is taken for syntax.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A query string of the pairs that have a value.
pub fn query(pairs: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", encode(value))))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}
