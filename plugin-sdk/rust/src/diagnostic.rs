//! What a mapper has to say about a document, and where in it.

use serde::{Deserialize, Serialize};

use crate::Pairs;

/// How much a diagnostic weighs. Only an error in a refusal refuses a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Accepted, but somebody should look.
    Warning,
    /// Not accepted.
    Error,
}

/// A place in the sender's own document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// `json-pointer`, `x12`, `edifact`, `xpath`, `csv` or `bytes`.
    pub scheme: String,
    /// The place in that scheme.
    pub path: String,
    /// Its first byte within the content that the mapper was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
}

impl Location {
    /// A place by a scheme and a path in it.
    pub fn new(scheme: &str, path: impl Into<String>) -> Self {
        Self { scheme: scheme.to_owned(), path: path.into(), ..Self::default() }
    }

    /// A JSON Pointer (RFC 6901): `/items/0/lot`.
    pub fn json_pointer(path: impl Into<String>) -> Self {
        Self::new("json-pointer", path)
    }

    /// A segment and element, with where it is in bytes: `ST*945*0001/LX[2]/W12/3`.
    pub fn x12(path: impl Into<String>, offset: usize, length: usize) -> Self {
        Self::new("x12", path).bytes(offset, length)
    }

    /// An XPath: `/DELVRY03/IDOC/E1EDL20/VBELN`.
    pub fn xpath(path: impl Into<String>) -> Self {
        Self::new("xpath", path)
    }

    /// A row and column of a CSV file, the header being row 1: `3/quantity`.
    pub fn csv(row: usize, column: &str) -> Self {
        Self::new("csv", format!("{row}/{column}"))
    }

    /// Where it is, in bytes from the beginning of the content. A place past 4 GiB has no offset.
    #[must_use]
    pub fn bytes(mut self, offset: usize, length: usize) -> Self {
        self.offset = u32::try_from(offset).ok();
        self.length = u32::try_from(length).ok();
        self
    }
}

/// One thing to say about a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// A stable word for programs: `shipped-exceeds-ordered`.
    pub code: String,
    /// The standard's own code for acknowledgements: X12 element 723, EDIFACT 0085.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_code: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
    /// What, in the sender's words.
    pub message: String,
    /// Room to grow: names and values that today's gateway ignores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Pairs,
}

impl Diagnostic {
    fn new(severity: Severity, code: &str, message: impl Into<String>) -> Self {
        let code = code.to_owned();
        Self { severity, code, standard_code: None, at: None, message: message.into(), more: Pairs::new() }
    }

    /// A reason to refuse the document.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// Something to look at; the document is accepted.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Something worth knowing.
    pub fn info(code: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, message)
    }

    /// Where it is.
    #[must_use]
    pub fn at(mut self, place: Location) -> Self {
        self.at = Some(place);
        self
    }

    /// The standard's own code for it.
    #[must_use]
    pub fn standard_code(mut self, code: impl Into<String>) -> Self {
        self.standard_code = Some(code.into());
        self
    }
}

/// Why a document is not accepted. `?` makes one from a diagnostic or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Refusal(pub Vec<Diagnostic>);

impl From<Diagnostic> for Refusal {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl From<Vec<Diagnostic>> for Refusal {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self(diagnostics)
    }
}
