//! The policy folder as bytes, read once. Nothing is interpreted here; what cannot be read is kept as a
//! problem with its path, so that a check can report it beside everything else.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::words::Digest;

/// Largest YAML or JSON file. A partner's file is about 1 KiB; a vendor's JSON Schema reaches 300 KiB.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// Largest table. A carrier's or an item's list has some 100,000 rows.
const TABLE_MAX_BYTES: u64 = 32 << 20;
/// All files together.
const FOLDER_MAX_BYTES: u64 = 256 << 20;
/// Files in the folder: an estate of 10,000 partners, and room.
pub(super) const FILES_MAX: usize = 50_000;
/// Folders within folders.
const DEPTH_MAX: usize = 8;

/// The bytes of a policy folder.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it was read from.
    pub folder: PathBuf,
    /// Contents by path in the folder, with `/`.
    pub files: BTreeMap<Arc<str>, Arc<[u8]>>,
    /// The files of `tests/`, likewise. They decide nothing, so they are no part of what is in force.
    pub tests: BTreeMap<Arc<str>, Arc<[u8]>>,
    /// What could not be read, and why.
    pub problems: Vec<Problem>,
    /// Links to folders: they are not followed.
    pub passed_over: Vec<Arc<str>>,
    /// Over the sorted paths and contents, without those of `tests`: equal folders have equal digests.
    pub digest: Digest,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its path in the folder.
    pub path: Arc<str>,
    /// Why.
    pub what: String,
}

/// The folder as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there, not a folder or not ours to read.
    #[error("policy folder {folder}: {why}\n  help: name the folder that holds `gateway.yaml`")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// More files than an estate has.
    #[error("policy folder {folder} holds more than {FILES_MAX} files")]
    TooMany {
        /// Which.
        folder: PathBuf,
    },
    /// More bytes than an estate has.
    #[error("policy folder {folder} holds more than {} MiB", FOLDER_MAX_BYTES >> 20)]
    TooLarge {
        /// Which.
        folder: PathBuf,
    },
}

/// Reads a policy folder: every `.yaml`, the schemas, tables and public keys. Hidden files are left out;
/// links are followed to files inside the folder only.
///
/// # Errors
/// The folder cannot be listed or is larger than any estate.
pub fn read(folder: &Path) -> Result<Source, ReadError> {
    let failed = |why| ReadError::Folder { folder: folder.to_owned(), why };
    let root = folder.canonicalize().map_err(failed)?;
    let mut walk = Walk {
        root: &root,
        files: BTreeMap::new(),
        problems: Vec::new(),
        passed_over: Vec::new(),
        seen: 0,
        bytes: 0,
    };
    walk.folder(&root, "", 0).map_err(|stop| match stop {
        Stop::Io(source) => failed(source),
        Stop::TooMany => ReadError::TooMany { folder: folder.to_owned() },
        Stop::TooLarge => ReadError::TooLarge { folder: folder.to_owned() },
    })?;
    walk.passed_over.sort();
    let passed_over = walk.passed_over;
    Ok(Source { passed_over, ..Source::of(folder.to_owned(), walk.files, walk.problems) })
}

impl Source {
    /// A source from memory: tests, and revisions that were stored.
    pub fn of(folder: PathBuf, mut files: BTreeMap<Arc<str>, Arc<[u8]>>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        let tests = files.extract_if(.., |path, _| path.starts_with("tests/")).collect();
        let mut all = Vec::new();
        for (path, bytes) in &files {
            // Each part is preceded by its length or replaced by a digest of fixed length, so that no two
            // folders make the same bytes.
            all.extend_from_slice(&(path.len() as u64).to_be_bytes());
            all.extend_from_slice(path.as_bytes());
            all.extend_from_slice(Digest::of(bytes).as_bytes());
        }
        let digest = Digest::of(&all);
        Self { folder, files, tests, problems, passed_over: Vec::new(), digest }
    }
}

enum Stop {
    Io(io::Error),
    TooMany,
    TooLarge,
}

struct Walk<'a> {
    root: &'a Path,
    files: BTreeMap<Arc<str>, Arc<[u8]>>,
    problems: Vec<Problem>,
    passed_over: Vec<Arc<str>>,
    seen: usize,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Stop> {
        for entry in fs::read_dir(folder).map_err(Stop::Io)? {
            let entry = entry.map_err(Stop::Io)?;
            self.seen += 1;
            if self.seen > FILES_MAX {
                return Err(Stop::TooMany);
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.problem(&format!("{prefix}{}", name.to_string_lossy()), "the file's name is not UTF-8");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(Stop::Io)?;
            if kind.is_dir() {
                if depth == DEPTH_MAX {
                    self.problem(&path, &format!("more than {DEPTH_MAX} folders deep"));
                } else if let Err(stop) = self.folder(&entry.path(), &format!("{path}/"), depth + 1) {
                    match stop {
                        Stop::Io(error) => {
                            self.problem(&path, &format!("the folder cannot be read: {error}"))
                        }
                        stop => return Err(stop),
                    }
                }
            } else if kind.is_symlink() && entry.path().is_dir() {
                self.passed_over.push(path.into());
            } else if let Some(max) = wanted(&path) {
                self.file(&entry.path(), &path, kind.is_symlink(), max)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, place: &Path, path: &str, link: bool, max: u64) -> Result<(), Stop> {
        match self.bytes_of(place, link, max) {
            Ok(bytes) => {
                self.bytes += bytes.len() as u64;
                if self.bytes > FOLDER_MAX_BYTES {
                    return Err(Stop::TooLarge);
                }
                self.files.insert(path.into(), bytes.into());
            }
            Err(what) => self.problem(path, &what),
        }
        Ok(())
    }

    fn bytes_of(&self, place: &Path, link: bool, max: u64) -> Result<Vec<u8>, String> {
        let real;
        let place = if link {
            real = place.canonicalize().map_err(|error| format!("the link leads nowhere: {error}"))?;
            if !real.starts_with(self.root) {
                return Err("the link leads out of the policy folder and is not followed".to_owned());
            }
            &real
        } else {
            place
        };
        let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
        // A pipe would block the open, and a link could be put in the file's place in between.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(place)
            .map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err("not a regular file".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > max {
            return Err(format!("larger than {} MiB", max >> 20));
        }
        Ok(bytes)
    }

    fn problem(&mut self, path: &str, what: &str) {
        self.problems.push(Problem { path: path.into(), what: what.to_owned() });
    }
}

/// The largest size of a file that belongs to an estate; none for what does not.
pub(super) fn wanted(path: &str) -> Option<u64> {
    let folder = path.split_once('/').map_or("", |(first, _)| first);
    match (folder, Path::new(path).extension()?.to_str()?) {
        (_, "yaml" | "yml") | ("schemas" | "keys", "json") | ("", "lock") => Some(FILE_MAX_BYTES),
        ("tables", "csv") => Some(TABLE_MAX_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let place = folder.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn only_files_of_an_estate_are_read() {
        let folder = folder(&[
            ("gateway.yaml", b"a"),
            ("partners/x.yaml", b"b"),
            ("tables/t.csv", b"c"),
            ("schemas/x/y.json", b"d"),
            ("certs/gateway.key", b"secret"),
            ("README.md", b"text"),
            (".git/config.yaml", b"hidden"),
        ]);
        let source = read(folder.path()).unwrap();
        let paths: Vec<&str> = source.files.keys().map(AsRef::as_ref).collect();
        assert_eq!(paths, ["gateway.yaml", "partners/x.yaml", "schemas/x/y.json", "tables/t.csv"]);
        assert_eq!(source.problems, []);
    }

    #[test]
    fn links_are_followed_inside_the_folder_only() {
        let outside = folder(&[("secret.yaml", b"outside")]);
        let folder = folder(&[("data/inner.yaml", b"inside")]);
        symlink(folder.path().join("data/inner.yaml"), folder.path().join("gateway.yaml")).unwrap();
        symlink(outside.path().join("secret.yaml"), folder.path().join("stolen.yaml")).unwrap();
        symlink(outside.path(), folder.path().join("partners")).unwrap();
        symlink("missing", folder.path().join("gone.yaml")).unwrap();
        let source = read(folder.path()).unwrap();
        assert_eq!(source.files["gateway.yaml"].as_ref(), b"inside");
        assert_eq!(source.files.len(), 2);
        let problems: Vec<&str> = source.problems.iter().map(|problem| problem.path.as_ref()).collect();
        assert_eq!(problems, ["gone.yaml", "stolen.yaml"]);
        assert_eq!(source.passed_over, ["partners".into()]);
        assert!(source.problems[1].what.contains("leads out of the policy folder"));
    }

    #[test]
    fn a_file_past_its_limit_is_a_problem_and_not_read() {
        let big = vec![b'#'; usize::try_from(FILE_MAX_BYTES).unwrap() + 1];
        let folder = folder(&[("gateway.yaml", &big)]);
        let source = read(folder.path()).unwrap();
        assert!(source.files.is_empty());
        assert_eq!(source.problems[0].what, "larger than 1 MiB");
    }

    #[test]
    fn a_pipe_in_the_folder_does_not_block() {
        let folder = folder(&[]);
        let path = std::ffi::CString::new(folder.path().join("a.yaml").to_str().unwrap()).unwrap();
        // SAFETY: the path is a valid C string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        assert_eq!(read(folder.path()).unwrap().problems[0].what, "not a regular file");
    }

    #[test]
    fn the_digest_tells_paths_from_contents() {
        let of = |files: &[(&str, &[u8])]| read(folder(files).path()).unwrap().digest;
        assert_eq!(of(&[("a.yaml", b"1"), ("b.yaml", b"2")]), of(&[("b.yaml", b"2"), ("a.yaml", b"1")]));
        assert_ne!(of(&[("a.yaml", b"1"), ("b.yaml", b"2")]), of(&[("a.yaml", b"2"), ("b.yaml", b"1")]));
    }

    #[test]
    fn tests_are_no_part_of_what_is_in_force() {
        let with = read(folder(&[("a.yaml", b"1"), ("tests/a.yaml", b"2")]).path()).unwrap();
        assert_eq!(with.digest, read(folder(&[("a.yaml", b"1")]).path()).unwrap().digest);
        assert_eq!(with.tests.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["tests/a.yaml"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = read(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().starts_with("policy folder /nowhere/at/all: "));
    }
}
