//! A mapper's cases: pairs of files in `cases/<case>/`, in and expected out.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    description::Direction,
    written::{self, PairsForm},
};

/// Longest file of a case; beyond the largest document that a mapper may be given.
const LONGEST: u64 = 64 << 20;
/// Most cases of a mapper.
const MOST: usize = 10_000;

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its folder's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Which way it maps.
    pub direction: Direction,
    /// The file that goes in.
    pub input: PathBuf,
    /// What goes in.
    pub content: Bytes,
    /// The file of what is expected, and its content; none for a case that was just begun.
    pub expected: Option<(PathBuf, Bytes)>,
    /// What the mapper is told.
    pub context: CaseContext,
}

/// What a mapper is told besides the document: `context.json`, all of it optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CaseContext {
    /// Which way the case maps, where the files leave it open.
    pub direction: Option<Direction>,
    /// The authenticated partner.
    pub partner: Option<String>,
    /// The interchange's sender.
    pub sender: String,
    /// The interchange's receiver.
    pub receiver: String,
    /// The operation.
    pub operation: String,
    /// The version of the API.
    pub version: String,
    /// `request` or `answer`.
    pub stage: Option<String>,
    /// RFC 3339; a fixed moment where none is given, so that a case gives the same on every day.
    pub received_at: Option<String>,
    /// IANA zone for times that carry none.
    pub zone: Option<String>,
    /// Control numbers for what is written.
    pub control_numbers: PairsForm,
    /// The mapper's configuration.
    pub config: Option<Value>,
    /// Media type of the document.
    pub media_type: Option<String>,
    /// Path, query and file name of the document.
    pub parameters: PairsForm,
    /// Whether good units of a document are kept when others are rejected, as an operation's `partial` says; for
    /// acknowledgements, and true where nothing is said.
    pub partial: Option<bool>,
    /// What the operation grants beyond the defaults.
    pub mapper_limits: CaseLimits,
}

/// Limits of a case, as an operation's policy writes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CaseLimits {
    /// CPU time: `50ms`.
    pub cpu: Option<String>,
}

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file says something that it cannot say, or is missing.
    #[error("{}: {message}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

fn wrong(path: &Path, message: impl Into<String>) -> Error {
    Error::Wrong { path: path.to_owned(), message: message.into() }
}

/// All cases in a mapper's folder, by name; a case that cannot be read is an error in its place.
pub(super) fn read(plugin: &Path) -> Result<Vec<Result<Case, Error>>, Error> {
    let folder = plugin.join("cases");
    if folder.is_dir() { read_in(&folder) } else { Ok(Vec::new()) }
}

/// All cases in a folder of cases.
pub(super) fn read_in(folder: &Path) -> Result<Vec<Result<Case, Error>>, Error> {
    let mut folders = entries(folder)?;
    folders.retain(|path| path.is_dir() && !is_aside(path));
    if folders.len() > MOST {
        return Err(wrong(folder, format!("more than {MOST} cases")));
    }
    Ok(folders.iter().map(|path| read_one(path)).collect())
}

/// Cross-reference tables lie beside the cases; hidden folders are nobody's case.
fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tables" || name.as_encoded_bytes().starts_with(b"."))
}

/// The tables of a case: its own folder of them, else the one beside all cases.
pub(super) fn tables(case: &Case) -> Option<PathBuf> {
    tables_of(&case.folder)
}

/// The tables of the case that this file goes into; none if it is no case's `in.…`.
pub(super) fn tables_beside(input: &Path) -> Option<PathBuf> {
    let is_case = input.file_stem().is_some_and(|stem| stem == "in");
    input.parent().filter(|_| is_case).and_then(tables_of)
}

fn tables_of(case: &Path) -> Option<PathBuf> {
    let shared = case.parent().map(|cases| cases.join("tables"));
    Some(case.join("tables")).into_iter().chain(shared).find(|folder| folder.is_dir())
}

fn read_one(folder: &Path) -> Result<Case, Error> {
    let files = entries(folder)?;
    let input = single(folder, &files, "in")?.ok_or_else(|| wrong(folder, "there is no file `in.…`"))?;
    let output = single(folder, &files, "out")?;
    let content = read_file(&input)?;
    let expected = output.map(|path| read_file(&path).map(|content| (path, content))).transpose()?;
    let context = read_context(&folder.join("context.json"))?;
    let direction = match context.direction {
        Some(direction) => direction,
        None => direction(&input, &content, expected.as_ref().map(|(path, _)| path.as_path())),
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Case { name, folder: folder.to_owned(), direction, input, content, expected, context })
}

/// Only events in JSON go from-canonical. A document that is answered by one is acknowledged. Where both files are JSON, what is in the first one decides.
fn direction(input: &Path, content: &[u8], expected: Option<&Path>) -> Direction {
    let is_json = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    if !is_json(input) {
        let answered = expected.is_some_and(|path| !is_json(path));
        return if answered { Direction::Acknowledge } else { Direction::ToCanonical };
    }
    if expected.is_some_and(|path| !is_json(path)) {
        return Direction::FromCanonical;
    }
    match serde_json::from_slice(content) {
        Ok(value) if written::is_events(&value) => Direction::FromCanonical,
        _ => Direction::ToCanonical,
    }
}

/// The one file with this stem, whatever its extension.
fn single(folder: &Path, files: &[PathBuf], stem: &str) -> Result<Option<PathBuf>, Error> {
    let mut found =
        files.iter().filter(|path| path.is_file() && path.file_stem().is_some_and(|name| name == stem));
    let (first, second) = (found.next(), found.next());
    match second {
        Some(_) => Err(wrong(folder, format!("there is more than one file `{stem}.…`"))),
        None => Ok(first.cloned()),
    }
}

fn read_context(path: &Path) -> Result<CaseContext, Error> {
    if !path.exists() {
        return Ok(CaseContext::default());
    }
    let text = read_file(path)?;
    serde_json::from_slice(&text).map_err(|error| wrong(path, error.to_string()))
}

/// Reads a file of bounded size.
pub(super) fn read_file(path: &Path) -> Result<Bytes, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    if path.is_dir() {
        return Err(wrong(path, "a folder; a file is needed"));
    }
    // A device or pipe says no length, and may never end.
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LONGEST {
        return Err(wrong(path, format!("longer than {} MiB", LONGEST >> 20)));
    }
    Ok(content.into())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
    let entries = folder.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join("cases").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn directions(files: &[(&str, &str)]) -> Vec<Direction> {
        read(plugin(files).path()).unwrap().into_iter().map(|case| case.unwrap().direction).collect()
    }

    #[test]
    fn the_files_tell_which_way_a_case_maps() {
        let events = r#"[{"type": "order.released", "data": {}}]"#;
        use Direction::{Acknowledge, FromCanonical, ToCanonical};
        assert_eq!(directions(&[("a/in.x12", "ISA"), ("a/out.x12", "ISA")]), [Acknowledge]);
        assert_eq!(directions(&[("a/in.x12", "ISA"), ("a/out.json", "[]")]), [ToCanonical]);
        assert_eq!(directions(&[("a/in.json", events), ("a/out.x12", "ISA")]), [FromCanonical]);
        assert_eq!(directions(&[("a/in.json", events), ("a/out.json", "{}")]), [FromCanonical]);
        assert_eq!(directions(&[("a/in.json", "{}"), ("a/out.json", "[]")]), [ToCanonical]);
        assert_eq!(directions(&[("a/in.json", "{"), ("a/out.json", "{}")]), [ToCanonical]);
        let context = r#"{"direction": "to-canonical"}"#;
        assert_eq!(directions(&[("a/in.json", events), ("a/context.json", context)]), [ToCanonical]);
    }

    #[test]
    fn a_context_is_read_and_an_unknown_key_in_it_is_refused_with_its_place() {
        let context = r#"{"zone": "America/Chicago", "control_numbers": {"isa13": "42"}}"#;
        let root = plugin(&[("a/in.x12", "ISA"), ("a/context.json", context)]);
        let case = read(root.path()).unwrap().remove(0).unwrap();
        assert_eq!(case.context.zone.as_deref(), Some("America/Chicago"));
        assert_eq!(case.context.control_numbers.0, [("isa13".to_owned(), "42".to_owned())]);
        let root = plugin(&[("a/in.x12", "ISA"), ("a/context.json", "{\"zoen\": 1}")]);
        let error = read(root.path()).unwrap().remove(0).unwrap_err().to_string();
        assert!(error.contains("zoen") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_case_that_is_not_whole_spoils_no_other() {
        let root = plugin(&[
            ("a/readme", ""),
            ("b/in.x12", "ISA"),
            ("b/in.edi", "ISA"),
            ("c/in.x12", "ISA"),
            ("tables/scac.csv", ""),
        ]);
        let read = read(root.path()).unwrap();
        let errors: Vec<_> = read.iter().map(|case| case.as_ref().err().map(ToString::to_string)).collect();
        assert!(errors[0].as_ref().unwrap().contains("no file `in.…`"));
        assert!(errors[1].as_ref().unwrap().contains("more than one file `in.…`"));
        assert!(errors[2].is_none());
        assert_eq!(errors.len(), 3);
        assert!(tables(read[2].as_ref().unwrap()).is_some());
    }
}
