//! What a package is compiled from besides its own folder: the folders that it depends on by path.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders and files that a package's `Cargo.toml` names as paths, the contract of the SDK that it is in, and
/// the workspace that it inherits from. One too many only builds once too often.
pub(super) fn elsewhere(package: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string(package.join("Cargo.toml")) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        paths(&text).map(|path| package.join(path)).filter(|path| path.exists()).collect();
    for above in package.ancestors().skip(1).take(4) {
        if above.join("wit/mapper.wit").is_file() {
            found.push(above.join("wit"));
        }
        let workspace = above.join("Cargo.toml");
        let inherits = text.contains("workspace = true");
        if inherits && fs::read_to_string(&workspace).is_ok_and(|text| text.contains("[workspace]")) {
            found.push(workspace);
        }
    }
    found
}

/// The values of the keys `path` in a `Cargo.toml`, read without understanding the rest of it.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| {
        line.match_indices("path").filter_map(|(at, word)| {
            let rest = line[at + word.len()..].trim_start().strip_prefix('=')?.trim_start();
            let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
            rest[1..].split(quote).next()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_keys_are_found_in_every_form() {
        let text = "a = { path = \"../a\", version = \"1\" }\n[lib]\npath='src/lib.rs'\n# path = \"x\"\npath-like = 1";
        assert_eq!(paths(text).collect::<Vec<_>>(), ["../a", "src/lib.rs"]);
    }
}
