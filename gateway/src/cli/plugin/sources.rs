//! The digest of everything that a mapper is compiled from: its folder, and what its language adds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::language;
use crate::words::Digest;

/// More files or bytes than that are no mapper's sources.
const FILES: usize = 5000;
const BYTES: u64 = 64 << 20;

/// The folder of cases, from which nothing is compiled in any language.
pub(super) const CASES: &str = "cases";

/// Why the sources could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is no mapper's folder.
    #[error("{}: more than {FILES} files or {} MiB of sources", folder.display(), BYTES >> 20)]
    TooMuch {
        /// The folder.
        folder: PathBuf,
    },
}

/// Two digests of the same sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// Of all files but the lock file.
    pub written: Digest,
    /// Of all files.
    pub all: Digest,
}

/// Reads the sources of the mapper in `folder`.
pub(super) fn read(folder: &Path, language: language::Sources) -> Result<Sources, Error> {
    let mut reader = Reader { folder, language, files: 0, bytes: 0, text: Vec::new() };
    let mut seen = BTreeSet::new();
    let mut queue = vec![folder.to_owned()];
    while let Some(next) = queue.pop() {
        let whole = next.canonicalize().map_err(|source| Error::Unreadable { path: next.clone(), source })?;
        if !seen.insert(whole.clone()) {
            continue;
        }
        reader.folder(&whole, &whole)?;
        queue.extend((language.elsewhere)(&whole));
    }
    let written = Digest::of(&reader.text);
    let mut all = reader.text;
    if let Some(lock) = language.lock.and_then(|lock| fs::read(folder.join(lock)).ok()) {
        all.extend(Digest::of(&lock).as_bytes());
    }
    Ok(Sources { written, all: Digest::of(&all) })
}

struct Reader<'a> {
    folder: &'a Path,
    language: language::Sources,
    files: usize,
    bytes: u64,
    text: Vec<u8>,
}

impl Reader<'_> {
    fn folder(&mut self, root: &Path, folder: &Path) -> Result<(), Error> {
        if folder.is_file() {
            return self.file(root, folder);
        }
        let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
        let mut entries =
            folder.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            let hidden = name.as_encoded_bytes().starts_with(b".");
            // A link to a folder may lead round in circles; cargo compiles nothing behind one that is not named.
            let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
            let aside = || name == CASES || self.language.aside.iter().any(|aside| name == *aside);
            let lock = || self.language.lock.is_some_and(|lock| name == lock);
            if is_folder && !hidden && !aside() {
                self.folder(root, &path)?;
            } else if !is_folder && !hidden && !lock() && path.is_file() {
                self.file(root, &path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, path: &Path) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        self.files += 1;
        self.bytes += fs::metadata(path).map_err(unreadable)?.len();
        if self.files > FILES || self.bytes > BYTES {
            return Err(Error::TooMuch { folder: self.folder.to_owned() });
        }
        let content = Digest::of(&fs::read(path).map_err(unreadable)?);
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        self.text.extend((name.len() as u64).to_le_bytes());
        self.text.extend(name.as_bytes());
        self.text.extend(content.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::description::Language, *};

    fn read(plugin: &Path) -> Result<Sources, Error> {
        super::read(plugin, language::room(Language::Rust).sources())
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn estate() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let dependency =
            "[dependencies]\ncrossdock-mapper = { path = \"../../sdk/rust\" } # path = \"none\"\n";
        write(root.path(), "plugins/a/Cargo.toml", dependency);
        write(root.path(), "plugins/a/src/lib.rs", "mod a;");
        write(root.path(), "sdk/rust/Cargo.toml", "version.workspace = true\n[lib]\npath = 'src/lib.rs'");
        write(root.path(), "sdk/rust/src/lib.rs", "sdk");
        write(root.path(), "sdk/wit/mapper.wit", "world");
        write(root.path(), "Cargo.toml", "[workspace]");
        root
    }

    #[test]
    fn whatever_a_mapper_is_compiled_from_changes_its_digest() {
        let root = estate();
        let plugin = root.path().join("plugins/a");
        let sources = [
            "plugins/a/src/lib.rs",
            "plugins/a/mapper.yaml",
            "sdk/rust/src/lib.rs",
            "sdk/wit/mapper.wit",
            "Cargo.toml",
        ];
        for changed in sources {
            let before = read(&plugin).unwrap();
            write(root.path(), changed, "[workspace] # another");
            assert_ne!(read(&plugin).unwrap().written, before.written, "{changed}");
        }
    }

    #[test]
    fn cases_builds_and_neighbours_do_not() {
        let root = estate();
        let plugin = root.path().join("plugins/a");
        let before = read(&plugin).unwrap();
        for aside in
            ["plugins/a/cases/one/in.x12", "plugins/a/target/x", "plugins/a/.git/x", "plugins/b/src/lib.rs"]
        {
            write(root.path(), aside, "another");
        }
        assert_eq!(read(&plugin).unwrap(), before);
    }

    #[test]
    fn the_lock_file_counts_apart_from_what_was_written_by_hand() {
        let root = estate();
        let plugin = root.path().join("plugins/a");
        let before = read(&plugin).unwrap();
        write(root.path(), "plugins/a/Cargo.lock", "version = 4");
        let after = read(&plugin).unwrap();
        assert_eq!(after.written, before.written);
        assert_ne!(after.all, before.all);
    }

    #[test]
    fn a_file_that_moves_changes_the_digest() {
        let root = estate();
        let plugin = root.path().join("plugins/a");
        let before = read(&plugin).unwrap();
        fs::rename(plugin.join("src/lib.rs"), plugin.join("src/main.rs")).unwrap();
        assert_ne!(read(&plugin).unwrap(), before);
    }
}
