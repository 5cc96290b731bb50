//! What can be wrong with a document: so that it can't be read, or so that it can.

use core::fmt;

/// Why a document could not be read at all. Every variant knows the byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is nothing but blanks.
    Empty,
    /// What stands here begins neither an interchange nor a group nor a message.
    NotEdifact {
        /// Where it stands.
        offset: usize,
    },
    /// The first segment of an interchange doesn't show how the rest is divided.
    Envelope {
        /// Where the segment begins.
        offset: usize,
        /// What it lacks.
        reason: &'static str,
    },
    /// The document ends, or another unit begins, inside something that was opened.
    CutOff {
        /// The segment that opened it: `UNB`, `UNG` or `UNH`.
        opened_by: &'static str,
        /// Where that segment begins.
        opened_at: usize,
        /// Where it should have been closed.
        offset: usize,
    },
    /// Larger than 4 GiB; places are kept in 32 bits.
    TooLarge,
}

impl Error {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty-document",
            Self::NotEdifact { .. } => "not-edifact",
            Self::Envelope { .. } => "unreadable-envelope",
            Self::CutOff { .. } => "cut-off",
            Self::TooLarge => "too-large",
        }
    }

    /// The byte that the error is about.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::TooLarge => 0,
            Self::NotEdifact { offset } | Self::Envelope { offset, .. } | Self::CutOff { offset, .. } => {
                *offset
            }
        }
    }

    /// The standard's own code (0085): a trailer is missing, or a service character can't be one.
    pub fn standard_code(&self) -> Option<&'static str> {
        match self {
            Self::CutOff { .. } => Some("13"),
            Self::Envelope { .. } => Some("20"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "the document is empty"),
            Self::NotEdifact { offset } => write!(out, "no UNA, UNB, UNG or UNH begins at byte {offset}"),
            Self::Envelope { offset, reason } => {
                write!(out, "unreadable envelope at byte {offset}: {reason}")
            }
            Self::CutOff { opened_by, opened_at, offset } => {
                write!(out, "cut off at byte {offset}: the {opened_by} of byte {opened_at} is never closed")
            }
            Self::TooLarge => write!(out, "the document is larger than 4 GiB"),
        }
    }
}

impl core::error::Error for Error {}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Readable all the same; real documents are full of these.
    Warning,
    /// The message, or what stands outside of one, can't be trusted.
    Error,
}

/// Something wrong in a document that could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for programs.
    pub code: &'static str,
    /// The standard's own code (0085).
    pub standard_code: &'static str,
    /// The index of the message, counted over the whole document, where it is about one.
    pub message_index: Option<usize>,
    /// The place for people: `UNH+4711+DESADV/UNT/1`.
    pub path: String,
    /// The first byte.
    pub offset: usize,
    /// How many bytes.
    pub length: usize,
    /// What is wrong, in words.
    pub message: String,
}
