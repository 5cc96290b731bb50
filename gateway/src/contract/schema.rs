//! JSON Schemas, drafts 4 to 2020-12: compiled once, without network, files or backtracking; formats are
//! asserted; every error points into the caller's document and into the schema.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jsonschema::{PatternOptions, Retrieve, Uri, Validator, error::ValidationErrorKind};
use serde_json::Value;

use crate::words::{Diagnostic, Location, Severity, json};

/// Errors that are told of one document. The rest seldom helps, and nobody reads a thousand lines.
const MOST_ERRORS: usize = 20;

/// Longest message, in characters; some quote lists from the schema.
const MESSAGE_MAX_CHARS: usize = 300;

/// Deepest schema text.
const DEPTH: usize = 100;

/// Bytes that one compiled pattern may take.
const PATTERN_MAX_BYTES: usize = 1024 * 1024;

/// Why a schema can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its text is not JSON by the strict reader.
    #[error("{path} is not JSON: {error}")]
    Json {
        /// The schema's file.
        path: String,
        /// What and where.
        error: json::Error,
    },
    /// It is JSON, but no schema, or it refers to something that is not there.
    #[error("{path}#{pointer}: {message}")]
    Schema {
        /// The schema's file.
        path: String,
        /// The place in it, as a JSON Pointer.
        pointer: String,
        /// What is wrong.
        message: String,
    },
}

/// Other schemas that a schema may refer to, by their absolute address. Nothing else is ever fetched.
#[derive(Clone, Default)]
pub struct Library(Arc<BTreeMap<String, Value>>);

impl Library {
    /// A library of these, each under the address that references will use.
    pub fn new(schemas: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self(Arc::new(schemas.into_iter().collect()))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Retrieve for Library {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.0.get(uri.as_str()).or_else(|| self.0.get(uri.as_str().trim_end_matches('#')));
        found.cloned().ok_or_else(|| "schemas outside the policies are not fetched".into())
    }
}

/// A compiled schema.
pub struct Schema {
    validator: Validator<json::Instance>,
    path: Arc<str>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.path).finish()
    }
}

impl Schema {
    /// Compiles the text of the schema file `path`, which errors and rules will name.
    ///
    /// # Errors
    /// Not a schema; a reference to anywhere else; a pattern that can't be matched in linear time.
    pub fn compile(text: &str, path: &str) -> Result<Self, Error> {
        Self::compile_with(text, path, Library::default())
    }

    /// The same, for a schema that refers to those of `library`.
    ///
    /// # Errors
    /// As for [`Schema::compile`].
    pub fn compile_with(text: &str, path: &str, library: Library) -> Result<Self, Error> {
        let schema = json::read(text.as_bytes(), DEPTH)
            .map_err(|error| Error::Json { path: path.to_owned(), error })?;
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_MAX_BYTES).dfa_size_limit(PATTERN_MAX_BYTES);
        let validator = jsonschema::options_for::<json::Instance>()
            .with_retriever(library)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| Error::Schema {
                path: path.to_owned(),
                pointer: error.instance_path().to_string(),
                message: brief(&error.to_string()),
            })?;
        Ok(Self { validator, path: path.into() })
    }

    /// The schema's file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Checks a document, or a value in one. The places lack their bytes; [`place`] adds them.
    ///
    /// # Errors
    /// The value does not have the shape: at most twenty reasons.
    pub fn check(&self, value: json::Node<'_>) -> Result<(), Vec<Diagnostic>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        Err(self
            .validator
            .iter_errors(value)
            .take(MOST_ERRORS)
            .map(|error| self.diagnostic(&error))
            .collect())
    }

    fn diagnostic(&self, error: &jsonschema::ValidationError<'_>) -> Diagnostic {
        // Values of the document stay out of the message: it may go to a log, and the place says enough.
        let message = match error.kind() {
            ValidationErrorKind::Required { property } => format!("{property} is missing"),
            ValidationErrorKind::FalseSchema => "nothing is allowed here".to_owned(),
            ValidationErrorKind::Not { .. } => "the value has a shape that is excluded here".to_owned(),
            _ => error.masked_with("the value").to_string(),
        };
        Diagnostic {
            severity: Severity::Error,
            code: kebab(error.kind().keyword()),
            standard_code: None,
            at: Some(Location {
                scheme: "json-pointer".to_owned(),
                path: error.instance_path().to_string(),
                offset: None,
                length: None,
            }),
            message: brief(&message),
            rule: Some(format!("{}#{}", self.path, error.schema_path())),
        }
    }
}

/// Adds to diagnostics of [`Schema::check`] which bytes of the document they speak of.
pub fn place(diagnostics: &mut [Diagnostic], document: &[u8]) {
    for at in diagnostics.iter_mut().filter_map(|diagnostic| diagnostic.at.as_mut()) {
        if at.scheme == "json-pointer"
            && let Some((offset, length)) = json::locate(document, &at.path)
        {
            (at.offset, at.length) = (Some(offset), Some(length));
        }
    }
}

fn brief(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX_CHARS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// `additionalProperties` → `additional-properties`.
fn kebab(keyword: &str) -> String {
    let mut kebab = String::with_capacity(keyword.len() + 4);
    for c in keyword.chars() {
        if c.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
