//! The one thread that writes, and the one that carries the log back into the database.
//!
//! The writer takes what waits, runs it in one transaction, and answers when that is durable. Commands seldom fail, so
//! they run bare at first; when one does, the transaction is undone and done again with a savepoint for each, so that
//! the one that fails is undone alone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc as threads,
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Options,
    disk::Ballast,
    schema,
    write::{Delta, Fault, Names, Write},
};
use crate::{journal::Error, words::Clock};

/// Commands of one transaction: past 128 to 512 a longer one gains little and costs those who wait (measured).
const BATCH_COMMANDS: usize = 256;
/// Payload bytes of one transaction.
const BATCH_BYTES: usize = 8 << 20;
/// How long the writer waits for readers before it leaves a restart of the log for later.
const RESTART_PATIENCE: Duration = Duration::from_millis(20);
/// How long anybody else waits for a lock; only another program could hold one so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the threads and the store's handles share.
pub(super) struct Shared {
    pub(super) changes: watch::Sender<u64>,
    pub(super) stopped: watch::Sender<Option<String>>,
    /// Payload bytes of documents that wait to be written.
    pub(super) queued_bytes: AtomicUsize,
    /// The log is long and nearly carried back: the writer may begin it anew.
    pub(super) log_is_long: AtomicBool,
    tally: Mutex<Tally>,
}

/// Figures that would take a walk over the backlog to count.
#[derive(Clone, Default)]
pub(super) struct Tally {
    /// Pending deliveries by target and state.
    pub(super) pending: BTreeMap<(i64, u8), i64>,
    /// Open exceptions.
    pub(super) exceptions: i64,
}

impl Shared {
    pub(super) fn new(tally: Tally) -> Self {
        Self {
            changes: watch::Sender::new(0),
            stopped: watch::Sender::new(None),
            queued_bytes: AtomicUsize::new(0),
            log_is_long: AtomicBool::new(false),
            tally: Mutex::new(tally),
        }
    }

    /// Stops the store for good; the first reason stays.
    pub(super) fn stop(&self, reason: &str) {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                *stopped = Some(reason.to_owned());
            }
            first
        });
    }

    pub(super) fn stop_reason(&self) -> Option<String> {
        self.stopped.borrow().clone()
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Counts once, when the store opens.
    pub(super) fn count(db: &Connection) -> rusqlite::Result<Self> {
        let pending = db
            .prepare("SELECT target, state, count(*) FROM delivery WHERE state <= 2 GROUP BY target, state")?
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let exceptions =
            db.query_row("SELECT count(*) FROM exception WHERE resolution IS NULL", [], |row| row.get(0))?;
        Ok(Self { pending, exceptions })
    }

    fn add(&mut self, delta: &Delta) {
        for (target, state, by) in &delta.pending {
            let count = self.pending.entry((*target, *state)).or_default();
            *count += by;
            if *count == 0 {
                self.pending.remove(&(*target, *state));
            }
        }
        self.exceptions += delta.exceptions;
    }
}

/// What reaches the writer.
pub(super) enum Call {
    /// A command.
    Job(Box<dyn Job>),
    /// Write everything back, mark the store as closed, end.
    Close(oneshot::Sender<Result<(), Error>>),
}

/// A command on its way.
pub(super) trait Job: Send {
    /// Payload bytes that it brings.
    fn weight(&self) -> usize;
    /// Whether it makes the store grow and so must wait while the disk is full.
    fn grows(&self) -> bool;
    /// Whether it may make something ready.
    fn stirs(&self) -> bool;
    /// Carries it out and keeps the answer; on `Err` what it did is undone.
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), Undo>;
    /// Takes this failure as the answer.
    fn fail(&mut self, error: Error);
    /// Gives the answer.
    fn answer(self: Box<Self>);
}

/// What to do after a command that failed.
pub(super) enum Undo {
    /// Undo it alone: it has its answer.
    Alone,
    /// SQLite failed, and it may be more than this command's matter.
    Failed(rusqlite::Error),
}

/// A command made of a closure.
pub(super) struct Task<T, F> {
    pub(super) weight: usize,
    pub(super) grows: bool,
    pub(super) stirs: bool,
    pub(super) run: F,
    pub(super) outcome: Option<Result<T, Error>>,
    pub(super) reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Write<'_>) -> Result<T, Fault> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn grows(&self) -> bool {
        self.grows
    }

    fn stirs(&self) -> bool {
        self.stirs
    }

    fn run(&mut self, write: &mut Write<'_>) -> Result<(), Undo> {
        match (self.run)(write) {
            Ok(value) => {
                self.outcome = Some(Ok(value));
                Ok(())
            }
            Err(Fault::Answer(error)) => {
                self.outcome = Some(Err(error));
                Err(Undo::Alone)
            }
            Err(Fault::Sql(error)) => Err(Undo::Failed(error)),
        }
    }

    fn fail(&mut self, error: Error) {
        self.outcome = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        let gone = || Err(Error::Stopped("a command was left without an answer".to_owned()));
        // A caller that hung up does not need its answer; what it asked for is durable all the same.
        let _ = self.reply.send(self.outcome.unwrap_or_else(gone));
    }
}

/// Why a whole transaction failed.
enum Failure {
    /// One command failed and must be undone alone.
    One,
    Full,
    Fatal(String),
}

impl Failure {
    fn of(error: &rusqlite::Error) -> Option<Self> {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code()? {
            ErrorCode::DiskFull => Some(Self::Full),
            // No room to lengthen the index of the log; nothing durable was touched.
            ErrorCode::SystemIoFailure if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => Some(Self::Full),
            ErrorCode::TooBig | ErrorCode::ConstraintViolation => None,
            _ => Some(Self::Fatal(error.to_string())),
        }
    }

    /// A failure of a statement that runs for all.
    fn common(error: rusqlite::Error) -> Self {
        Self::of(&error).unwrap_or_else(|| Self::Fatal(error.to_string()))
    }
}

/// The writer's state.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ballast: Ballast,
    /// Wakes the thread that carries the log back.
    pub(super) nudge: threads::SyncSender<()>,
    pub(super) options: Options,
    names: Names,
    /// Roughly what was logged since the last nudge.
    logged: usize,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        ballast: Ballast,
        nudge: threads::SyncSender<()>,
        options: Options,
    ) -> Self {
        Self { db, shared, clock, ballast, nudge, options, names: Names::default(), logged: 0 }
    }

    /// Serves until it is told to close or nobody is left to ask.
    pub(super) fn serve(mut self, mut calls: mpsc::Receiver<Call>) {
        let _watch = Watch(self.shared.clone());
        let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH_COMMANDS);
        while let Some(first) = calls.blocking_recv() {
            let mut next = Some(first);
            let mut bytes = 0;
            let mut other = None;
            while let Some(call) = next.take() {
                match call {
                    Call::Job(job) => {
                        bytes += job.weight();
                        batch.push(job);
                    }
                    call => other = Some(call),
                }
                if other.is_none() && batch.len() < BATCH_COMMANDS && bytes < BATCH_BYTES {
                    next = calls.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.commit(&mut batch);
            }
            if self.shared.log_is_long.swap(false, Ordering::Relaxed) {
                self.restart_log();
            }
            if let Some(Call::Close(reply)) = other {
                let _ = reply.send(self.close());
                return;
            }
        }
    }

    fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        let bytes = batch.iter().filter(|job| job.grows()).map(|job| job.weight()).sum();
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let stirred = match self.carry_out(batch) {
            Ok(()) => batch.iter().any(|job| job.stirs()),
            Err(error) => {
                batch.iter_mut().for_each(|job| job.fail(error.clone()));
                false
            }
        };
        batch.drain(..).for_each(Job::answer);
        if stirred {
            self.shared.changes.send_modify(|count| *count += 1);
        }
    }

    fn carry_out(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let roomy = self.ballast.keep();
        let mut outcome = self.transact(batch, roomy);
        if matches!(outcome, Err(Failure::Full)) && roomy {
            // With the ballast given up there is room for everything but new documents.
            self.ballast.give_up();
            outcome = self.transact(batch, false);
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Full) => Err(Error::Full),
            Err(Failure::One) => Err(Error::Unreadable("a command could not be undone".to_owned())),
            Err(Failure::Fatal(reason)) => {
                self.shared.stop(&reason);
                Err(Error::Stopped(reason))
            }
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>], roomy: bool) -> Result<(), Failure> {
        if let Some(reason) = self.shared.stop_reason() {
            return Err(Failure::Fatal(reason));
        }
        let mut outcome = self.run_all(batch, roomy, false);
        if matches!(outcome, Err(Failure::One)) {
            self.undo();
            outcome = self.run_all(batch, roomy, true);
        }
        if outcome.is_err() {
            self.undo();
        }
        let logged: usize = batch.iter().map(|job| job.weight() + LOGGED_BY_A_COMMAND).sum();
        self.logged = self.logged.saturating_add(logged);
        if self.logged >= self.options.carry_bytes {
            self.logged = 0;
            // A full channel means that the thread has been woken and has not looked yet.
            let _ = self.nudge.try_send(());
        }
        let delta = outcome?;
        let mut tally = self.shared.tally();
        delta.iter().for_each(|delta| tally.add(delta));
        Ok(())
    }

    fn undo(&mut self) {
        self.names.clear();
        // SQLite may have rolled back by itself; there is nothing to save in either case.
        let _ = self.db.execute_batch("ROLLBACK");
    }

    fn run_all(
        &mut self,
        batch: &mut [Box<dyn Job>],
        roomy: bool,
        apart: bool,
    ) -> Result<Vec<Delta>, Failure> {
        let now = self.clock.now();
        let mut deltas = Vec::with_capacity(batch.len());
        self.execute("BEGIN IMMEDIATE")?;
        for job in batch {
            if job.grows() && !roomy {
                job.fail(Error::Full);
                continue;
            }
            if apart {
                self.execute("SAVEPOINT command")?;
            }
            let mut write = Write { db: &self.db, names: &mut self.names, delta: Delta::default(), now };
            match job.run(&mut write) {
                Ok(()) => deltas.push(write.delta),
                Err(undo) => {
                    if let Undo::Failed(error) = undo {
                        if let Some(failure) = Failure::of(&error) {
                            return Err(failure);
                        }
                        job.fail(Error::Unreadable(format!("the store cannot keep this: {error}")));
                    }
                    if !apart {
                        return Err(Failure::One);
                    }
                    self.names.clear();
                    self.execute("ROLLBACK TO command")?;
                }
            }
            if apart {
                self.execute("RELEASE command")?;
            }
        }
        self.execute("COMMIT")?;
        Ok(deltas)
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(Failure::common)
    }

    /// The log begins anew when everything in it is in the database. The other thread has carried most of it, so
    /// little is left to do here, where no command can slip in between.
    fn restart_log(&self) {
        if self.shared.stop_reason().is_some() {
            return;
        }
        let patience = |time| self.db.busy_timeout(time);
        let outcome = patience(RESTART_PATIENCE).and_then(|()| carry(&self.db, "RESTART"));
        let outcome = outcome.and_then(|_| patience(PATIENCE));
        if let Err(error) = outcome {
            self.shared.stop(&error.to_string());
        }
    }

    fn close(&self) -> Result<(), Error> {
        if let Some(reason) = self.shared.stop_reason() {
            return Err(Error::Stopped(reason));
        }
        let outcome = schema::mark_closed(&self.db).and_then(|()| carry(&self.db, "TRUNCATE"));
        outcome.map(drop).map_err(|error| {
            self.shared.stop(&error.to_string());
            Error::Stopped(error.to_string())
        })
    }
}

/// Roughly the pages that a small command leaves in the log.
const LOGGED_BY_A_COMMAND: usize = 16 << 10;

/// Frames in the log, and those of them that are in the database.
struct Log {
    frames: i64,
}

/// Carries the log back. A log that somebody still reads is no error.
fn carry(db: &Connection, how: &str) -> rusqlite::Result<Log> {
    let outcome =
        db.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| Ok(Log { frames: row.get(1)? }));
    match outcome {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(Log { frames: 0 }),
        outcome => outcome,
    }
}

/// Carries the whole log back before a store is used whose process ended without closing it. After a sync that failed the
/// kernel counts as written what never reached the disk, and a later sync says nothing of it: read back it looks durable,
/// and a receipt could be given again for it. Copied into the database and synced there, it is durable.
pub(super) fn carry_all(db: &Connection) -> rusqlite::Result<()> {
    match carry(db, "TRUNCATE") {
        // A full disk must not keep the store from coming up: deliveries and questions go on.
        Err(error) if matches!(Failure::of(&error), Some(Failure::Full)) => {
            tracing::warn!(%error, "the log could not be carried back at the start");
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// Carries the log back whenever it is woken, beside the writer: this way of doing it stops nobody.
pub(super) fn carry_back(
    db: &Connection,
    shared: &Shared,
    woken: &threads::Receiver<()>,
    restart_bytes: usize,
) {
    while woken.recv().is_ok() {
        if shared.stop_reason().is_some() {
            return;
        }
        match carry(db, "PASSIVE") {
            Ok(log) => {
                let bytes = usize::try_from(log.frames).unwrap_or(0).saturating_mul(super::PAGE_BYTES);
                shared.log_is_long.store(bytes >= restart_bytes, Ordering::Relaxed);
            }
            Err(error) if matches!(Failure::of(&error), Some(Failure::Full)) => {}
            Err(error) => shared.stop(&format!("checkpoint: {error}")),
        }
    }
}

/// Stops the store when its writer panics: nothing can be acknowledged after that.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the writer panicked");
        }
    }
}
