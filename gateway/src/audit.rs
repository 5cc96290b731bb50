//! The audit file: what changed what is in force, who did it, and a chain of hashes that shows whether a line was
//! changed, taken out or put in afterwards.
//!
//! One JSON object a line, appended and synced before the change takes force. `previous` is the hash of the line
//! before, `hash` that of the line itself up to it. Lines cut off at the end leave a whole chain: who needs to see
//! that keeps the last hash elsewhere.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::words::{Digest, Revision, Time};

/// Longest line. What a line says is cut to fit long before.
const LINE_MAX: usize = 16 << 10;
/// Longest text of one value.
const TEXT_MAX: usize = 400;
/// How a line ends: its own hash, and nothing after it.
const HASH: &str = ",\"hash\":\"";

/// One change of what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Who decided.
    pub by: String,
    /// What: `mapper.pushed`, `mapper.promoted`, `policies.in-force` …
    pub what: String,
    /// Of what, for a person: `x12-wms@1.4.0 7f3a9c21, before 1.3.2 1b2c3d4e`.
    pub of: String,
    /// The revision in force before.
    pub before: Option<Revision>,
    /// The revision in force after it.
    pub after: Revision,
}

#[derive(Serialize, Deserialize)]
struct Line {
    n: u64,
    #[serde(flatten)]
    entry: Entry,
    previous: Option<Digest>,
}

/// The file, open for appending; nobody else may write to it meanwhile.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// Bytes of whole lines.
    length: u64,
    n: u64,
    last: Option<Digest>,
    after: Option<Revision>,
}

/// What a look at the whole file found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines whose chain is whole.
    pub lines: u64,
    /// The hash of the last of them.
    pub last: Option<Digest>,
    /// Where the chain breaks, if it does.
    pub broken: Option<Broken>,
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The line, from 1.
    pub line: u64,
    /// How it shows.
    pub what: String,
}

impl Log {
    /// Opens the file, or makes it with mode 0600. A line that a crash left half written was never answered for and
    /// is cut off. A chain that is broken further up is not looked for here: [`verify`] does.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        let mut start = size.saturating_sub(4 * LINE_MAX as u64);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&mut file).take(5 * LINE_MAX as u64).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 {
            start = 0;
        }
        let length = start + whole as u64;
        if length < size {
            tracing::warn!(file = %path.display(), "a line that was not finished is cut off the audit file");
            file.set_len(length)?;
            file.sync_all()?;
        }
        let last =
            bytes[..whole].strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        let read = last.and_then(|line| read(std::str::from_utf8(line).ok()?).ok());
        let tail = match (read, last) {
            (Some((line, hash)), _) => {
                Tail { file, length, n: line.n, last: Some(hash), after: Some(line.entry.after) }
            }
            // The last line is damaged: the chain goes on from its bytes as they are, and verifying shows the place.
            (None, Some(line)) => Tail { file, length, n: 0, last: Some(Digest::of(line)), after: None },
            (None, None) => Tail { file, length, n: 0, last: None, after: None },
        };
        Ok(Self { path: path.to_owned(), tail: Mutex::new(tail) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The revision that the last line says is in force.
    pub fn in_force(&self) -> Option<Revision> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).after.clone()
    }

    /// Appends a line and waits until it is on the disk.
    ///
    /// # Errors
    /// It could not be written; then nothing of it stays.
    pub fn append(&self, mut entry: Entry) -> io::Result<()> {
        for text in [&mut entry.by, &mut entry.what, &mut entry.of] {
            *text = text.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect();
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let (n, after) = (tail.n + 1, entry.after.clone());
        let line = serde_json::to_string(&Line { n, entry, previous: tail.last })?;
        // The hash stands last, and covers everything before it.
        let body = line.strip_suffix('}').unwrap_or(&line);
        let hash = Digest::of(body.as_bytes());
        let whole = format!("{body}{HASH}{hash}\"}}\n");
        let length = tail.length;
        let written = tail.file.write_all(whole.as_bytes()).and_then(|()| tail.file.sync_data());
        if let Err(error) = written {
            // Half a line would break the chain for the next one.
            let _ = tail.file.set_len(length);
            return Err(error);
        }
        (tail.length, tail.n, tail.last, tail.after) =
            (length + whole.len() as u64, n, Some(hash), Some(after));
        Ok(())
    }
}

/// Follows the chain from the first line to the last.
///
/// # Errors
/// The file cannot be read.
pub fn verify(path: &Path) -> io::Result<Verified> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut found = Verified { lines: 0, last: None, broken: None };
    loop {
        let mut bytes = Vec::new();
        (&mut reader).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(found);
        }
        let line = found.lines + 1;
        match follow(&bytes, line, found.last) {
            Ok(hash) => (found.lines, found.last) = (line, Some(hash)),
            Err(what) => {
                found.broken = Some(Broken { line, what });
                return Ok(found);
            }
        }
    }
}

fn follow(bytes: &[u8], n: u64, previous: Option<Digest>) -> Result<Digest, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').ok_or_else(|| "it has no end".to_owned())?;
    let (line, hash) = read(text)?;
    if line.previous != previous {
        return Err("it does not follow the line before: one was changed, taken out or put in".to_owned());
    }
    if line.n != n {
        return Err(format!("it says that it is line {}", line.n));
    }
    Ok(hash)
}

/// A line and its hash, which fits.
fn read(text: &str) -> Result<(Line, Digest), String> {
    let (body, rest) = text.rsplit_once(HASH).ok_or_else(|| "it has no hash".to_owned())?;
    let hash = rest.strip_suffix("\"}").and_then(Digest::parse).ok_or_else(|| "it has no hash".to_owned())?;
    if Digest::of(body.as_bytes()) != hash {
        return Err("it was changed: its hash is another".to_owned());
    }
    let line: Line = serde_json::from_str(&format!("{body}}}")).map_err(|error| error.to_string())?;
    Ok((line, hash))
}

/// The last lines, the newest first, as they stand; at most 1,000.
///
/// # Errors
/// The file cannot be read.
pub fn newest(path: &Path, limit: usize) -> io::Result<Vec<Value>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let limit = limit.min(1_000);
    let start = size.saturating_sub((limit as u64 + 1) * 1_024);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(size - start).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
    Ok(lines.take(limit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: &str) -> Entry {
        Entry {
            at: Time::from_millis(1_790_000_000_000),
            by: "nina".to_owned(),
            what: what.to_owned(),
            of: "x12-wms@1.4.0".to_owned(),
            before: None,
            after: Revision::stored("7f3a9c21"),
        }
    }

    /// A file of four lines, written by two openings.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        for pair in [["one", "two"], ["three", "four"]] {
            let log = Log::open(&path).unwrap();
            for what in pair {
                log.append(entry(what)).unwrap();
            }
        }
        (folder, path)
    }

    fn broken(path: &Path) -> Option<u64> {
        verify(path).unwrap().broken.map(|broken| broken.line)
    }

    #[test]
    fn a_chain_is_whole_over_restarts() {
        let (_folder, path) = written();
        let found = verify(&path).unwrap();
        assert_eq!((found.lines, found.broken), (4, None));
        assert!(std::fs::read_to_string(&path).unwrap().contains(&found.last.unwrap().to_string()));
        let newest = newest(&path, 2).unwrap();
        assert_eq!((newest.len(), &newest[0]["what"]), (2, &Value::from("four")));
    }

    #[test]
    fn a_changed_a_missing_a_doubled_and_a_moved_line_are_each_found_at_their_place() {
        let (_folder, path) = written();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let changed = lines[1].replace("nina", "otto");
        let cases: [(Vec<&str>, u64); 5] = [
            (vec![lines[0], &changed, lines[2], lines[3]], 2),
            (vec![lines[0], lines[2], lines[3]], 2),
            (vec![lines[1], lines[2], lines[3]], 1),
            (vec![lines[0], lines[1], lines[1], lines[2]], 3),
            (vec![lines[0], lines[2], lines[1], lines[3]], 2),
        ];
        for (lines, line) in cases {
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            assert_eq!(broken(&path), Some(line), "{lines:#?}");
        }
    }

    #[test]
    fn a_line_that_a_crash_cut_is_taken_back_and_the_chain_goes_on() {
        let (_folder, path) = written();
        let whole = std::fs::read(&path).unwrap();
        let third = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0 + 1;
        for cut in [third + 1, third + 40, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let log = Log::open(&path).unwrap();
            log.append(entry("after the crash")).unwrap();
            let found = verify(&path).unwrap();
            assert_eq!((found.lines, found.broken), (4, None), "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_last_line_does_not_stop_the_log_and_shows_when_verified() {
        let (_folder, path) = written();
        let text = std::fs::read_to_string(&path).unwrap().replace("four", "fore");
        std::fs::write(&path, text).unwrap();
        Log::open(&path).unwrap().append(entry("five")).unwrap();
        assert_eq!(broken(&path), Some(4));
    }

    #[test]
    fn what_callers_name_is_cut_and_cannot_break_a_line() {
        let (_folder, path) = written();
        let by = format!("nina\n{{\"n\":5}},\"hash\":\"{}", "x".repeat(100_000));
        Log::open(&path).unwrap().append(Entry { by, ..entry("five") }).unwrap();
        let found = verify(&path).unwrap();
        assert_eq!((found.lines, found.broken), (5, None));
    }
}
