//! The bodies of requests on their way in: counted against one budget, read against a deadline, on disk past 1 MiB.

use std::{io::SeekFrom, path::PathBuf, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Bytes of one body that are kept in memory; the rest waits in a file.
const IN_MEMORY: usize = 1024 * 1024;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than the operation allows.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The client did not send all of it in time.
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    /// The client broke off.
    #[error("the body ended before it was whole")]
    Broken,
    /// Too many bodies are in flight.
    #[error("too many bytes are in flight")]
    Full,
    /// The spool file could not be written or read.
    #[error("the spool failed: {0}")]
    Disk(#[from] std::io::Error),
}

/// The budget that all bodies in flight share.
#[derive(Clone)]
pub struct Spool {
    budget: Arc<Semaphore>,
    folder: PathBuf,
    deadline: Duration,
}

/// A body in memory, with its part of the budget until it is dropped.
#[derive(Debug)]
pub struct Held {
    /// The bytes.
    pub content: Bytes,
    _share: OwnedSemaphorePermit,
}

impl Spool {
    /// A spool that holds at most `bytes` at once, in memory and in files under `folder`.
    pub fn new(folder: PathBuf, bytes: usize, deadline: Duration) -> Self {
        Self { budget: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))), folder, deadline }
    }

    /// Reads a whole body of at most `limit` bytes.
    ///
    /// # Errors
    /// It is too long, too slow, broken off, or no room is left.
    pub async fn read(&self, body: Incoming, limit: u64) -> Result<Held, Error> {
        let announced = body.size_hint().lower();
        if announced > limit {
            return Err(Error::TooLarge { limit });
        }
        let mut share = self.reserve(0)?;
        let mut reader = Reader { memory: BytesMut::new(), file: None, length: 0 };
        let deadline = Instant::now() + self.deadline;
        let mut body = body;
        loop {
            let frame =
                timeout_at(deadline, body.frame()).await.map_err(|_| Error::TooSlow(self.deadline))?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Error::Broken)?.into_data() else { continue };
            if reader.length + data.len() as u64 > limit {
                return Err(Error::TooLarge { limit });
            }
            share.merge(self.reserve(data.len())?);
            reader.take(data, self).await?;
        }
        Ok(Held { content: reader.finish().await?, _share: share })
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let bytes = u32::try_from(bytes).map_err(|_| Error::Full)?;
        Arc::clone(&self.budget).try_acquire_many_owned(bytes).map_err(|_| Error::Full)
    }
}

struct Reader {
    memory: BytesMut,
    file: Option<File>,
    length: u64,
}

impl Reader {
    async fn take(&mut self, data: Bytes, spool: &Spool) -> Result<(), Error> {
        self.length += data.len() as u64;
        if self.file.is_none() && self.memory.len() + data.len() <= IN_MEMORY {
            self.memory.extend_from_slice(&data);
            return Ok(());
        }
        if self.file.is_none() {
            let folder = spool.folder.clone();
            // An unnamed file: it is gone with its last handle, whatever happens to the process.
            let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder))
                .await
                .map_err(std::io::Error::other)??;
            let mut file = File::from_std(file);
            file.write_all(&self.memory.split()).await?;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&data).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<Bytes, Error> {
        let Some(mut file) = self.file else { return Ok(self.memory.freeze()) };
        let length = usize::try_from(self.length).map_err(|_| Error::Full)?;
        let mut content = Vec::with_capacity(length);
        file.flush().await?;
        file.seek(SeekFrom::Start(0)).await?;
        file.read_to_end(&mut content).await?;
        Ok(content.into())
    }
}
