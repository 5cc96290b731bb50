//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer with group commit, a few readers.
//!
//! An I/O error of a commit or of carrying the log back stops the store for good, because SQLite forgets it: the next
//! commit would succeed on pages that never reached the disk. The process ends and verifies at its next start.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering, mpsc as threads},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Row, config::DbConfig};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::{
    disk::Folder,
    read::Reader,
    schema::unreadable,
    write::{Fault, Write, unsigned},
    writer::{Call, Job, Shared, Tally, Task, Writer},
};
use super::{
    Accepted, Appended, Counter, DeliveryFilter, DeliveryId, DeliveryRecord, Edit, Error, EventFilter,
    EventRecord, ExceptionFilter, ExceptionGroup, ExceptionRecord, ExceptionSummary, GroupBy, Journal,
    MessageFilter, MessageRecord, MessageSummary, Outbound, Outcome, Pending, Refused, Remembered,
    Resolution, Status, Work, weight,
};
use crate::words::{Clock, EstateName, EventId, MessageId, PartnerName, TargetName, Time};

mod disk;
mod lanes;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;
mod writer;

/// Bytes of a page.
const PAGE_BYTES: usize = 4096;

/// Sizes of a store. The defaults suit a gateway; tests take smaller ones.
#[derive(Clone, Debug)]
pub struct Options {
    /// Commands that may wait for the writer; past it documents are answered `Busy`.
    pub queue: usize,
    /// Payload bytes that may wait for the writer.
    pub queue_bytes: usize,
    /// Connections that answer questions.
    pub readers: usize,
    /// After how many logged bytes, roughly, the log is carried back into the database.
    pub carry_bytes: usize,
    /// From which size on the log is begun anew.
    pub restart_bytes: usize,
    /// Room that is kept for when the disk is full; more than the log ever takes.
    pub ballast_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4096,
            queue_bytes: 64 << 20,
            readers: 4,
            carry_bytes: 8 << 20,
            restart_bytes: 32 << 20,
            ballast_bytes: 96 << 20,
        }
    }
}

/// The embedded store of one estate. It has its folder to itself.
///
/// Dropped without `close`, it is as if the process had been killed, but for what waits in the queue: that is written.
pub struct Store {
    calls: Option<mpsc::Sender<Call>>,
    queue_bytes: usize,
    readers: Arc<Readers>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Last, so that the folder is given back when the threads have ended.
    _folder: Folder,
}

impl Store {
    /// Opens the store in `folder`, making it where it is missing. It belongs to `estate` for good.
    ///
    /// # Errors
    /// Another process has it, it belongs to another estate, a later version wrote it, or it is damaged (looked for
    /// when it was not closed in good order).
    pub fn open(folder: &Path, estate: &EstateName, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(folder, estate, clock, &Options::default())
    }

    /// Opens the store with other sizes.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        folder: &Path,
        estate: &EstateName,
        clock: Arc<dyn Clock>,
        options: &Options,
    ) -> Result<Self, Error> {
        let held = Folder::take(folder)?;
        let path = held.database();
        let mut db = connect(&path, false).map_err(unreadable)?;
        let found = schema::prepare(&mut db, estate)?;
        if found == schema::Found::Unclean {
            writer::carry_all(&db).map_err(unreadable)?;
        }
        tracing::debug!(folder = %folder.display(), ?found, "store opened");
        let shared = Arc::new(Shared::new(Tally::count(&db).map_err(unreadable)?));
        let readers = (0..options.readers.max(1))
            .map(|_| connect(&path, true).map(Reader::new))
            .collect::<rusqlite::Result<Vec<_>>>()
            .map_err(unreadable)?;
        let carrier = connect(&path, false).map_err(unreadable)?;
        let (calls, queue) = mpsc::channel(options.queue.max(1));
        let (nudge, woken) = threads::sync_channel(1);
        let ballast = held.ballast(options.ballast_bytes);
        let writer = Writer::new(db, shared.clone(), clock, ballast, nudge, options.clone());
        let (seen, restart_bytes) = (shared.clone(), options.restart_bytes);
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(|error| Error::Unreadable(format!("cannot start the thread `{name}`: {error}")))
        };
        let threads = vec![
            start("journal-write", Box::new(move || writer.serve(queue)))?,
            start(
                "journal-carry",
                Box::new(move || writer::carry_back(&carrier, &seen, &woken, restart_bytes)),
            )?,
        ];
        Ok(Self {
            calls: Some(calls),
            queue_bytes: options.queue_bytes,
            readers: Arc::new(Readers { free: Semaphore::new(readers.len()), idle: Mutex::new(readers) }),
            shared,
            threads,
            _folder: held,
        })
    }

    /// Writes everything back and marks the store as closed in good order, so that the next start is quick. Later
    /// commands fail; the folder is given back on drop.
    ///
    /// # Errors
    /// The store had stopped, or stops now.
    pub async fn close(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        match &self.calls {
            Some(calls) if calls.send(Call::Close(reply)).await.is_ok() => {
                answer.await.unwrap_or(Err(gone()))
            }
            _ => Err(gone()),
        }
    }

    /// Holds the reason when the store has stopped for good: the process must end then.
    pub fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.shared.stopped.subscribe()
    }

    /// A command that may wait in line: its caller holds a permit of its own.
    fn command<T: Send + 'static>(
        &self,
        weight: usize,
        stirs: bool,
        run: impl FnMut(&mut Write<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Pending<'_, T> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let job = Box::new(Task { weight, grows: false, stirs, run, outcome: None, reply });
            self.sender()?.send(Call::Job(job)).await.map_err(|_| self.stop_error())?;
            answer.await.unwrap_or_else(|_| Err(self.stop_error()))
        })
    }

    /// A command from outside: it is turned away at once when too much waits.
    fn offer<T: Send + 'static>(
        &self,
        weight: usize,
        stirs: bool,
        run: impl FnMut(&mut Write<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        if let Some(reason) = self.shared.stop_reason() {
            return Err(Error::Stopped(reason));
        }
        let queued = &self.shared.queued_bytes;
        let waiting = queued.fetch_add(weight, Ordering::Relaxed);
        // The largest document must fit when nothing else waits.
        if waiting > 0 && waiting + weight > self.queue_bytes {
            queued.fetch_sub(weight, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Task { weight, grows: true, stirs, run, outcome: None, reply });
        match self.sender()?.try_send(Call::Job(job)) {
            Ok(()) => Ok(answer),
            Err(refused) => {
                queued.fetch_sub(weight, Ordering::Relaxed);
                Err(match refused {
                    mpsc::error::TrySendError::Full(_) => Error::Busy,
                    mpsc::error::TrySendError::Closed(_) => self.stop_error(),
                })
            }
        }
    }

    fn sender(&self) -> Result<&mpsc::Sender<Call>, Error> {
        self.calls.as_ref().ok_or_else(gone)
    }

    fn stop_error(&self) -> Error {
        self.shared.stop_reason().map_or_else(gone, Error::Stopped)
    }

    fn question<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'_, T> {
        Box::pin(async move {
            let readers = self.readers.clone();
            let _turn = readers.free.acquire().await.map_err(|_| gone())?;
            let pool = readers.clone();
            let asked = tokio::task::spawn_blocking(move || pool.with(ask)).await;
            match (asked, self.shared.stop_reason()) {
                (Ok(Ok(answer)), _) => Ok(answer),
                // Whatever a reader met after the store had stopped, that it stopped is what the caller must know.
                (_, Some(reason)) => Err(Error::Stopped(reason)),
                (Ok(Err(error)), None) => Err(error),
                // A process that ends cancels what has not begun.
                (Err(broke), None) if broke.is_cancelled() => Err(gone()),
                (Err(_), None) => Err(Error::Unreadable("a question to the store broke off".to_owned())),
            }
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.calls = None;
        for thread in self.threads.drain(..) {
            // A writer that panicked has said so through `stopped`.
            let _ = thread.join();
        }
    }
}

fn gone() -> Error {
    Error::Stopped("the store is closed".to_owned())
}

/// Connections that wait for a question.
struct Readers {
    free: Semaphore,
    idle: Mutex<Vec<Reader>>,
}

impl Readers {
    fn with<T>(&self, ask: impl FnOnce(&mut Reader) -> rusqlite::Result<T>) -> Result<T, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut reader = taken.ok_or(Error::Busy)?;
        let answer = consistent(&mut reader, ask).map_err(unreadable);
        idle().push(reader);
        answer
    }
}

/// All statements of one answer see the same state.
fn consistent<T>(
    reader: &mut Reader,
    ask: impl FnOnce(&mut Reader) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    reader.db.prepare_cached("BEGIN")?.execute([])?;
    let answer = ask(reader);
    let ended = reader.db.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    answer.and_then(|answer| ended.map(|_| answer))
}

fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(128);
    // The log is carried back by our own schedule and never on the way out: a process may be killed at any time.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Without this guarantee a statement that names a partial index's column is planned anew at every run (measured:
    // a seventh of the writer's time).
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "cache_size", if read_only { -4096 } else { -32_768 })?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    if !read_only {
        db.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES).unwrap_or(4096))?;
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        db.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    }
    Ok(db)
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

impl Journal for Store {
    fn append(&self, accepted: Accepted) -> Pending<'_, Appended> {
        Box::pin(async move {
            let payload: usize = accepted.events.iter().map(|(event, _)| event.data.len()).sum();
            let bytes = payload + weight(&accepted.document);
            let answer = self.offer(bytes, true, move |write| write.append(&accepted))?;
            answer.await.unwrap_or_else(|_| Err(self.stop_error()))
        })
    }

    fn note_refusal(&self, refused: Refused) -> Pending<'_, ()> {
        Box::pin(async move {
            let bytes = refused.problem.len();
            self.offer(bytes, false, move |write| write.note_refusal(&refused)).map(drop)
        })
    }

    fn remembered(&self, partner: PartnerName, key: String, now: Time) -> Pending<'_, Option<Remembered>> {
        self.question(move |reader| write::remembered(&reader.db, partner.as_str(), &key, now))
    }

    fn ready(&self, target: TargetName, now: Time, limit: usize) -> Pending<'_, Vec<DeliveryId>> {
        self.question(move |reader| reader.ready(target.as_str(), now, limit))
    }

    fn next_due(&self, target: TargetName) -> Pending<'_, Option<Time>> {
        self.question(move |reader| reader.next_due(target.as_str()))
    }

    fn work(&self, deliveries: Vec<DeliveryId>) -> Pending<'_, Vec<Work>> {
        self.question(move |reader| reader.work(&deliveries))
    }

    fn take_number(&self, counter: Counter) -> Pending<'_, u64> {
        self.command(0, false, move |write| write.take_number(&counter))
    }

    fn pin(&self, delivery: DeliveryId, outbound: Outbound) -> Pending<'_, ()> {
        self.command(weight(&outbound.document), false, move |write| write.pin(delivery, &outbound))
    }

    fn advance(&self, outcome: Outcome) -> Pending<'_, ()> {
        self.command(0, true, move |write| write.advance(&outcome))
    }

    fn retry(&self, exception: u64, remap: bool, by: String, now: Time) -> Pending<'_, Resolution> {
        self.command(0, true, move |write| write.retry(exception, remap, &by, now))
    }

    fn edit(&self, exception: u64, edit: Edit, by: String, now: Time) -> Pending<'_, Resolution> {
        let bytes = match &edit {
            Edit::Outbound(outbound) => weight(&outbound.document),
            Edit::Event(event) => event.data.len(),
        };
        self.command(bytes, true, move |write| write.edit(exception, &edit, &by, now))
    }

    fn assign(&self, exception: u64, owner: Option<String>) -> Pending<'_, ()> {
        self.command(0, false, move |write| write.assign(exception, owner.as_deref()))
    }

    fn discard(&self, exception: u64, reason: String, by: String, now: Time) -> Pending<'_, Resolution> {
        self.command(0, true, move |write| write.discard(exception, &reason, &by, now))
    }

    fn message(&self, id: MessageId) -> Pending<'_, Option<MessageRecord>> {
        self.question(move |reader| reader.message(id))
    }

    fn messages(&self, filter: MessageFilter) -> Pending<'_, Vec<MessageSummary>> {
        self.question(move |reader| reader.messages(&filter))
    }

    fn event(&self, id: EventId) -> Pending<'_, Option<EventRecord>> {
        self.question(move |reader| reader.event(id))
    }

    fn events(&self, filter: EventFilter) -> Pending<'_, Vec<EventRecord>> {
        self.question(move |reader| reader.events(&filter))
    }

    fn deliveries(&self, filter: DeliveryFilter) -> Pending<'_, Vec<DeliveryRecord>> {
        self.question(move |reader| reader.deliveries(&filter))
    }

    fn exceptions(&self, filter: ExceptionFilter) -> Pending<'_, Vec<ExceptionSummary>> {
        self.question(move |reader| reader.exceptions(&filter))
    }

    fn exception_groups(
        &self,
        filter: ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Pending<'_, Vec<ExceptionGroup>> {
        self.question(move |reader| reader.exception_groups(&filter, by, now))
    }

    fn exception(&self, id: u64) -> Pending<'_, Option<ExceptionRecord>> {
        self.question(move |reader| reader.exception(id))
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async move {
            let tally = self.shared.tally().clone();
            let queued = self.sender().map_or(0, |calls| calls.max_capacity() - calls.capacity()) as u64;
            self.question(move |reader| {
                let (messages, events) = reader.totals()?;
                let mut pending = Vec::new();
                for ((target, state), count) in tally.pending {
                    pending.push(reader.pending(target, state, unsigned(count))?);
                }
                pending.sort_by(|a, b| (&a.target, a.state.number()).cmp(&(&b.target, b.state.number())));
                Ok(Status { messages, events, pending, exceptions: unsigned(tally.exceptions), queued })
            })
            .await
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}
