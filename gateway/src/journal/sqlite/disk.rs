//! The store's folder: who may read it, who holds it, and the room that is kept for bad days.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, OpenOptionsExt as _},
        },
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::journal::Error;

/// Tries of a lock, and the wait before each: half a second, which a fork takes only on a machine that is very busy.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// A folder that this process holds alone until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing (mode 0700) and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let failed =
            |what: &str, error: io::Error| Error::Unreadable(format!("{what} {}: {error}", path.display()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("cannot make the store's folder", error))?;
        let lock = private(&path.join("lock")).map_err(|error| failed("cannot open the lock in", error))?;
        match patiently(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Unreadable(format!(
                    "the store in {} is in use by another process\n  help: stop that `crossdock serve`, or give this one a folder of its own by `--data`",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("cannot lock the store in", error)),
        }
        // SQLite gives its other files the mode of this one.
        private(&path.join("journal.db")).map_err(|error| failed("cannot open the store in", error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// The ballast of this folder.
    pub(super) fn ballast(&self, bytes: u64) -> Ballast {
        Ballast { folder: self.path.clone(), bytes }
    }
}

/// Takes a lock that may be free in a moment. A child process holds copies of all descriptors from its fork until it
/// becomes its program, and with them a lock that its parent has given back by then.
fn patiently(lock: &File) -> Result<(), TryLockError> {
    let mut outcome = lock.try_lock();
    for _ in 0..LOCK_TRIES {
        if !matches!(outcome, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(LOCK_WAIT);
        outcome = lock.try_lock();
    }
    outcome
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// A file that only takes room, so that there is some to give up when the disk is full: then what was accepted can
/// still be delivered and noted, and the log can be written back.
pub(super) struct Ballast {
    folder: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// Whether the room is kept; takes it if there is enough, and as much again, to go on with.
    pub(super) fn keep(&self) -> bool {
        let path = self.folder.join("ballast");
        if fs::metadata(&path).is_ok_and(|found| found.len() >= self.bytes) {
            return true;
        }
        let roomy = free(&self.folder).is_ok_and(|free| free >= self.bytes.saturating_mul(2));
        let kept = roomy && private(&path).and_then(|file| allocate(&file, self.bytes)).is_ok();
        if !kept {
            self.give_up();
        }
        kept
    }

    /// Gives the room back to the disk.
    pub(super) fn give_up(&self) {
        // A file that is not there gives no room, and nothing better can be done with one that cannot be removed.
        let _ = fs::remove_file(self.folder.join("ballast"));
    }
}

/// Bytes that this process may still write to the file system of `path`.
fn free(path: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain data for which zeroes are a value; the call reads a terminated string and fills it.
    let (outcome, figures) = unsafe {
        let mut figures: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut figures), figures)
    };
    if outcome == 0 {
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    } else {
        Err(io::Error::last_os_error())
    }
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the descriptor belongs to `file`, which outlives the call.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
