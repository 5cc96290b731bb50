//! What was used of quotas, kept over a restart.
//!
//! It has a file of its own beside the journal: a quota changes with every request, refused ones and proxied ones
//! included, which the journal never hears of, and it needs none of the journal's promises. A line is appended before the
//! request goes on, so `kill -9` loses nothing; the disk is told once a second, so a power cut loses a second at most.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::quota::Part;

/// A file of more bytes is written anew.
const LONG: u64 = 4 << 20;

/// One line of the file.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Line {
    /// The bucket's key.
    pub(super) key: String,
    /// The quota's name.
    pub(super) quota: String,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) used: u64,
}

/// The file that quotas are kept in.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    generation: u64,
    bytes: u64,
    unsynced: bool,
    failed: bool,
}

impl Store {
    /// Opens the newest file of the folder and reads all of them, the oldest first.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<Line>)> {
        std::fs::create_dir_all(folder)?;
        let mut generations = generations(folder)?;
        generations.sort_unstable();
        let mut lines = Vec::new();
        for generation in &generations {
            for line in BufReader::new(File::open(path(folder, *generation))?).split(b'\n') {
                // The last line of a power cut may be half a line.
                lines.extend(serde_json::from_slice::<Line>(&line?).ok());
            }
        }
        let generation = generations.last().copied().unwrap_or(1);
        let mut file = append(&path(folder, generation))?;
        let bytes = file.metadata()?.len();
        // So that what comes next is not the end of half a line.
        file.write_all(b"\n")?;
        let open = Mutex::new(Open { file, generation, bytes, unsynced: false, failed: false });
        Ok((Self { folder: folder.to_owned(), open }, lines))
    }

    /// Appends one line. A disk that takes none is told of once, and quotas go on in memory.
    pub(super) fn note(&self, key: &str, quota: &str, part: Part) {
        let line = Line {
            key: key.to_owned(),
            quota: quota.to_owned(),
            from: part.from,
            until: part.until,
            used: part.used,
        };
        let Ok(mut text) = serde_json::to_vec(&line) else { return };
        text.push(b'\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let written = open.file.write_all(&text);
        open.tell(written.as_ref().err());
        open.bytes += text.len() as u64;
        open.unsynced = true;
    }

    /// Tells the disk what was appended.
    pub(super) fn sync(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut open.unsynced) {
            let synced = open.file.sync_data();
            open.tell(synced.as_ref().err());
        }
    }

    /// Begins a new file if the present one is long, and answers its number: the caller then notes all that is still in
    /// force, and [`Store::drop_before`] takes the old ones away.
    pub(super) fn begin_anew(&self) -> Option<u64> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes < LONG {
            return None;
        }
        let generation = open.generation + 1;
        let file = append(&path(&self.folder, generation));
        open.tell(file.as_ref().err());
        open.file = file.ok()?;
        (open.generation, open.bytes) = (generation, 0);
        Some(generation)
    }

    /// Takes the files before this one away, once this one is on the disk.
    pub(super) fn drop_before(&self, generation: u64) {
        self.sync();
        for old in generations(&self.folder).unwrap_or_default() {
            if old < generation {
                let _ = std::fs::remove_file(path(&self.folder, old));
            }
        }
    }
}

impl Open {
    fn tell(&mut self, error: Option<&io::Error>) {
        if let Some(error) = error
            && !self.failed
        {
            tracing::error!(%error, "quotas cannot be kept: after a restart they begin anew");
        }
        self.failed = error.is_some();
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("quotas.{generation}"))
}

fn generations(folder: &Path) -> io::Result<Vec<u64>> {
    let names = std::fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_prefix("quotas.")?.parse().ok()).collect())
}
