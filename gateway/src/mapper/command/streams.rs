//! What one command reads and writes: its arguments, its three streams, its clock and its random numbers.

use bytes::{Buf, Bytes};
use sha2::{Digest as _, Sha256};
use wasmtime::ModuleExport;

use super::{
    super::{
        call::Log,
        limits::{Stop, Which},
        wire::DiagnosticOut,
    },
    text::{self, About, Line},
};
use crate::words::{Digest, Severity, Time};

/// Longest line of the standard error that is looked at; of a longer one the rest is dropped.
const LONGEST_LINE: usize = 16 << 10;

/// What streams are made of.
pub(super) struct Setting {
    pub memory: ModuleExport,
    pub arguments: [String; 3],
    pub stdin: Bytes,
    pub stdout_most: usize,
    pub diagnostics_most: usize,
    pub now: Time,
    pub mapper: Digest,
}

/// All that a command has besides its memory.
pub(in super::super) struct Streams {
    pub(super) memory: ModuleExport,
    pub(super) arguments: [String; 3],
    /// Which of the three are not closed.
    pub(super) open: [bool; 3],
    /// The moment of the message in nanoseconds since 1970: the only one that there is.
    pub(super) now: u64,
    /// Nanoseconds that the command asked to wait. Nobody waits; only the monotonic clock moves on.
    pub(super) waited: u64,
    whole_input: Bytes,
    stdin: Bytes,
    stdout: Vec<u8>,
    stdout_most: usize,
    stderr: Stderr,
    mapper: Digest,
    random: Option<Random>,
}

impl Streams {
    pub(super) fn new(setting: Setting) -> Self {
        let now = u64::try_from(setting.now.millis()).unwrap_or(0).saturating_mul(1_000_000);
        Self {
            memory: setting.memory,
            arguments: setting.arguments,
            open: [true; 3],
            now,
            waited: 0,
            whole_input: setting.stdin.clone(),
            stdin: setting.stdin,
            stdout: Vec::new(),
            stdout_most: setting.stdout_most,
            stderr: Stderr::new(setting.diagnostics_most),
            mapper: setting.mapper,
            random: None,
        }
    }

    /// Bytes of the input that were not read yet.
    pub(super) fn unread(&self) -> usize {
        self.stdin.len()
    }

    /// Reads into `place` as much as there is.
    pub(super) fn read(&mut self, place: &mut [u8]) -> usize {
        let length = place.len().min(self.stdin.len());
        if let Some(place) = place.get_mut(..length) {
            self.stdin.copy_to_slice(place);
        }
        length
    }

    /// Adds to the standard output, up to the limit of output.
    pub(super) fn print(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let wanted = self.stdout.len().saturating_add(bytes.len());
        if wanted > self.stdout_most {
            let widen = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            let (allowed, used) = (widen(self.stdout_most), widen(wanted));
            return Err(Stop::Limit { which: Which::Output, allowed, used });
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds to the standard error.
    pub(super) fn complain(&mut self, bytes: &[u8], log: &mut Log) {
        self.stderr.write(bytes, log);
    }

    /// Fills `place` with numbers that follow from the mapper and its input alone.
    pub(super) fn random(&mut self, place: &mut [u8]) {
        let (mapper, input) = (self.mapper, &self.whole_input);
        self.random.get_or_insert_with(|| Random::new(mapper, Digest::of(input))).fill(place);
    }

    /// Takes the last line of the standard error, which needs no end.
    pub(super) fn finish(&mut self, log: &mut Log) {
        self.stderr.end_line(log);
    }

    /// What was written to the standard output.
    pub(super) fn stdout(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stdout)
    }

    /// The diagnostics that were kept.
    pub(super) fn diagnostics(&mut self) -> Vec<DiagnosticOut> {
        std::mem::take(&mut self.stderr.diagnostics)
    }

    /// The number of those that were not.
    pub(super) fn dropped(&self) -> usize {
        self.stderr.dropped
    }

    /// What the mapper said about its document.
    pub(super) fn about(&mut self) -> About {
        self.stderr.about.take().unwrap_or_default()
    }
}

/// Takes the standard error apart into lines: diagnostics, a word about the document, and everything else as log.
struct Stderr {
    line: Vec<u8>,
    diagnostics: Vec<DiagnosticOut>,
    most: usize,
    dropped: usize,
    about: Option<About>,
}

impl Stderr {
    fn new(most: usize) -> Self {
        Self { line: Vec::new(), diagnostics: Vec::new(), most, dropped: 0, about: None }
    }

    fn write(&mut self, bytes: &[u8], log: &mut Log) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            if ends {
                self.end_line(log);
            }
        }
    }

    fn end_line(&mut self, log: &mut Log) {
        let line = std::mem::take(&mut self.line);
        let full = self.diagnostics.len() >= self.most;
        // Past both bounds nothing is read any more, only counted: reading is what the guest does not pay.
        if full && log.left() == 0 {
            self.dropped += usize::from(line.starts_with(b"{"));
        } else if !line.is_empty() {
            match text::line(&line) {
                Some(Line::Diagnostic(_)) if full => self.dropped += 1,
                Some(Line::Diagnostic(diagnostic)) => self.diagnostics.push(*diagnostic),
                Some(Line::About(about)) => self.about = Some(about),
                None => log.write(Severity::Info, &String::from_utf8_lossy(&line)),
            }
        }
    }
}

/// SHA-256 over the seed and a counter: the same on every machine, and even.
struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    fn new(mapper: Digest, input: Digest) -> Self {
        let seed = Sha256::new().chain_update(mapper.as_bytes()).chain_update(input.as_bytes()).finalize();
        Self { seed: seed.into(), counter: 0 }
    }

    fn fill(&mut self, place: &mut [u8]) {
        for part in place.chunks_mut(32) {
            let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes());
            part.iter_mut().zip(block.finalize()).for_each(|(place, byte)| *place = byte);
            self.counter = self.counter.wrapping_add(1);
        }
    }
}
