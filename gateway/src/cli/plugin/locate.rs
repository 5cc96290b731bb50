//! Finds the mapper that a command names: by its name, its folder or its file.

use std::path::{Path, PathBuf};

use super::description::FILE;

/// Where a mapper is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A folder with a `mapper.yaml`: it is built first.
    Folder(PathBuf),
    /// A component.
    Wasm(PathBuf),
}

/// Nothing here goes by that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// It is neither a name, nor a folder, nor a file.
    #[error("no mapper `{word}`: it is neither a folder, a .wasm file nor a name in {}{}", named(.plugins), advice(.near))]
    Unknown {
        /// What was asked for.
        word: String,
        /// The folder of mappers that was searched.
        plugins: Option<PathBuf>,
        /// A name that is much like it.
        near: Option<String>,
    },
    /// A folder, but no mapper's.
    #[error("{}: no {FILE} in it, so it is no mapper's folder", .0.display())]
    NoMapper(PathBuf),
    /// Something that is neither a file nor a folder: a device, a pipe.
    #[error("{}: neither a .wasm file nor a mapper's folder", .0.display())]
    Odd(PathBuf),
    /// No mapper was named and there is no folder of them.
    #[error("no mapper is named, and there is no folder `plugins` here or above")]
    NoPlugins,
}

fn named(plugins: &Option<PathBuf>) -> String {
    plugins
        .as_ref()
        .map_or("a folder `plugins`, which is missing".to_owned(), |path| path.display().to_string())
}

fn advice(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!("\nhelp: did you mean `{near}`?")).unwrap_or_default()
}

/// Finds the mapper that `word` names, seen from the folder `here`.
pub(super) fn find(word: &str, here: &Path) -> Result<Found, Error> {
    let path = here.join(word);
    if path.is_file() {
        return Ok(Found::Wasm(path));
    }
    if path.join(FILE).is_file() {
        return Ok(Found::Folder(path));
    }
    let plugins = plugins(here);
    let bare = !word.is_empty() && !word.contains(['/', '\\']) && word != "." && word != "..";
    if let Some(folder) = plugins.as_ref().filter(|_| bare).map(|plugins| plugins.join(word))
        && folder.join(FILE).is_file()
    {
        return Ok(Found::Folder(folder));
    }
    if path.is_dir() {
        return Err(Error::NoMapper(path));
    }
    if path.exists() {
        return Err(Error::Odd(path));
    }
    let near = plugins.as_ref().and_then(|plugins| {
        let names =
            folders(plugins).into_iter().filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
        let near = names.map(|name| (strsim::damerau_levenshtein(word, &name), name));
        near.filter(|(distance, name)| *distance <= 1 + name.len() / 4).min().map(|(_, name)| name)
    });
    Err(Error::Unknown { word: word.to_owned(), plugins, near })
}

/// All mappers in the folder `plugins` that is nearest.
pub(super) fn all(here: &Path) -> Result<Vec<Found>, Error> {
    let plugins = plugins(here).ok_or(Error::NoPlugins)?;
    Ok(folders(&plugins).into_iter().map(Found::Folder).collect())
}

/// The folder `plugins` here or above.
pub(super) fn plugins(here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| folder.join("plugins")).find(|folder| folder.is_dir())
}

fn folders(plugins: &Path) -> Vec<PathBuf> {
    let Ok(entries) = plugins.read_dir() else { return Vec::new() };
    let mut folders: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join(FILE).is_file()).collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn estate() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in ["plugins/x12-wms", "plugins/sap-idoc", "elsewhere/mine", "plugins/none/deep"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        for name in ["plugins/x12-wms", "plugins/sap-idoc", "elsewhere/mine"] {
            fs::write(root.path().join(name).join(FILE), "").unwrap();
        }
        fs::write(root.path().join("built.wasm"), "").unwrap();
        root
    }

    #[test]
    fn a_mapper_is_found_by_name_folder_or_file() {
        let root = estate();
        let deep = root.path().join("plugins/none/deep");
        assert_eq!(find("x12-wms", &deep), Ok(Found::Folder(root.path().join("plugins/x12-wms"))));
        assert_eq!(
            find("elsewhere/mine", root.path()),
            Ok(Found::Folder(root.path().join("elsewhere/mine")))
        );
        assert_eq!(find("built.wasm", root.path()), Ok(Found::Wasm(root.path().join("built.wasm"))));
        assert_eq!(all(&deep).unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_was_perhaps_meant() {
        let root = estate();
        let error = find("x12-wsm", root.path()).unwrap_err().to_string();
        assert!(error.contains("did you mean `x12-wms`?"), "{error}");
        assert_eq!(find("elsewhere", root.path()), Err(Error::NoMapper(root.path().join("elsewhere"))));
        assert!(matches!(find("../etc", root.path()), Err(Error::Unknown { near: None, .. })));
        assert_eq!(find("/dev/null", root.path()), Err(Error::Odd("/dev/null".into())));
    }
}
