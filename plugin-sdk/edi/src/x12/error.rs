//! What can be wrong with a document: so that it can't be read, or so that it can.

use core::fmt;

/// Why a document could not be read at all. Every variant knows the byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is nothing but blanks.
    Empty,
    /// What stands here begins neither an interchange nor a group nor a transaction set.
    NotX12 {
        /// Where it stands.
        offset: usize,
    },
    /// The first segment of an interchange doesn't show how the rest is divided.
    Envelope {
        /// Where the segment begins.
        offset: usize,
        /// What it lacks.
        reason: &'static str,
        /// The code of I18 (TA105) for that.
        standard_code: &'static str,
    },
    /// The document ends, or another interchange begins, inside something that was opened.
    CutOff {
        /// The segment that opened it: `ISA`, `GS` or `ST`.
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
            Self::NotX12 { .. } => "not-x12",
            Self::Envelope { .. } => "unreadable-envelope",
            Self::CutOff { .. } => "cut-off",
            Self::TooLarge => "too-large",
        }
    }

    /// The byte that the error is about.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::TooLarge => 0,
            Self::NotX12 { offset } | Self::Envelope { offset, .. } | Self::CutOff { offset, .. } => *offset,
        }
    }

    /// The standard's own code, where it has one: X12 716 and 718, and I18 for interchanges.
    pub fn standard_code(&self) -> Option<&'static str> {
        match self {
            Self::CutOff { opened_by: "ST", .. } => Some("2"),
            Self::CutOff { opened_by: "GS", .. } => Some("3"),
            Self::CutOff { .. } => Some("023"),
            Self::Envelope { standard_code, .. } => Some(standard_code),
            Self::NotX12 { offset } if *offset > 0 => Some("022"),
            Self::Empty | Self::NotX12 { .. } | Self::TooLarge => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "the document is empty"),
            Self::NotX12 { offset } => write!(out, "no ISA, GS or ST begins at byte {offset}"),
            Self::Envelope { offset, reason, .. } => {
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
    /// The transaction set, or what stands outside of one, can't be trusted.
    Error,
}

/// Something wrong in a document that could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for programs.
    pub code: &'static str,
    /// The standard's own code: X12 718 (AK5) in a set, 716 (AK9) in a group, I18 (TA1) in an interchange.
    pub standard_code: Option<&'static str>,
    /// The index of the transaction set, counted over the whole document, where it is about one.
    pub set: Option<usize>,
    /// The place for people: `ST*945*0001/SE/1`.
    pub path: String,
    /// The first byte.
    pub offset: usize,
    /// How many bytes.
    pub length: usize,
    /// What is wrong, in words.
    pub message: String,
}
