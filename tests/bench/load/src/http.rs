//! As much of HTTP/1.1 as both ends need: heads with a content length, one message at a time. A full client would cost
//! the core that it shares with the target more than the gateway costs the other one.

use anyhow::{Context as _, bail};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Most bytes of a message.
const MOST: usize = 1 << 20;

/// One message at a time from a connection.
pub struct Reader {
    buffer: Vec<u8>,
    filled: usize,
}

/// A message: its first line and fields, and its body.
pub struct Message<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Reader {
    pub fn new() -> Self {
        Self { buffer: vec![0; 64 << 10], filled: 0 }
    }

    /// The next message, or none if the peer closed the connection between two. `used` are the bytes of the one before.
    pub async fn next(&mut self, stream: &mut TcpStream, used: usize) -> anyhow::Result<Option<usize>> {
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        loop {
            if let Some((head, body)) = self.lengths()?
                && self.filled >= head + body
            {
                return Ok(Some(head + body));
            }
            if self.filled == self.buffer.len() {
                if self.filled >= MOST {
                    bail!("a message of more than {MOST} bytes");
                }
                self.buffer.resize(self.filled * 2, 0);
            }
            let count = stream.read(&mut self.buffer[self.filled..]).await?;
            match (count, self.filled) {
                (0, 0) => return Ok(None),
                (0, _) => bail!("the peer broke off"),
                _ => self.filled += count,
            }
        }
    }

    /// The message of so many bytes that `next` found.
    pub fn message(&self, length: usize) -> Message<'_> {
        let head = end_of_head(&self.buffer[..length]).unwrap_or(length);
        Message { head: &self.buffer[..head], body: &self.buffer[head..length] }
    }

    fn lengths(&self) -> anyhow::Result<Option<(usize, usize)>> {
        let Some(head) = end_of_head(&self.buffer[..self.filled]) else { return Ok(None) };
        let text = std::str::from_utf8(&self.buffer[..head]).context("a head that is no text")?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        };
        match text.lines().find_map(field) {
            Some(length) => Ok(Some((head, length.context("content-length")?))),
            None => Ok(Some((head, 0))),
        }
    }
}

impl Message<'_> {
    /// The status of an answer.
    pub fn status(&self) -> u16 {
        let text = self.head.get(9..12).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
