//! A policy folder as a git revision has it: `HEAD~1:policies`.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use super::source::{FILES_MAX, Problem, Source, wanted};

/// Why a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git is not there, or does not know the revision.
    #[error("git {what}: {why}")]
    Git {
        /// What was asked for.
        what: String,
        /// What it said.
        why: String,
    },
    /// More files than an estate has.
    #[error("{tree} holds more than {FILES_MAX} files")]
    TooMany {
        /// Which.
        tree: String,
    },
}

/// Reads the tree `REVISION:FOLDER` of the repository around `here`, with the bounds of a folder on disk.
///
/// # Errors
/// There is no such tree, or git cannot be run.
pub fn from_git(tree: &str, here: &Path) -> Result<Source, Error> {
    let failed = |what: &str, why: &dyn std::fmt::Display| Error::Git {
        what: format!("{what} {tree}"),
        why: why.to_string().trim().trim_start_matches("fatal: ").to_owned(),
    };
    // A name that begins with a dash would be an option.
    if tree.starts_with('-') {
        return Err(failed("ls-tree", &"not a revision"));
    }
    // From a folder below the top, names of trees are still whole.
    let listed = Command::new("git")
        .arg("-C")
        .arg(here)
        .args(["ls-tree", "-r", "-z", "--full-tree", tree])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed("ls-tree", &error))?;
    if !listed.status.success() {
        return Err(failed("ls-tree", &String::from_utf8_lossy(&listed.stderr)));
    }
    let mut blobs = Vec::new();
    let mut problems = Vec::new();
    for entry in listed.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let Some((head, path)) = entry.split_once('\t') else { continue };
        let mut head = head.split(' ');
        let (Some(mode), Some("blob"), Some(id)) = (head.next(), head.next(), head.next()) else { continue };
        let hidden = path.split('/').any(|part| part.starts_with('.'));
        let Some(max) = wanted(path).filter(|_| !hidden) else { continue };
        if mode == "120000" {
            let what = "a link, and links are not followed in a revision".to_owned();
            problems.push(Problem { path: path.into(), what });
            continue;
        }
        blobs.push((id.to_owned(), path.to_owned(), max));
        if blobs.len() > FILES_MAX {
            return Err(Error::TooMany { tree: tree.to_owned() });
        }
    }
    let files = contents(&blobs, here, &mut problems).map_err(|error| failed("cat-file", &error))?;
    Ok(Source::of(PathBuf::from(tree), files, problems))
}

type Files = BTreeMap<Arc<str>, Arc<[u8]>>;

/// The files' bytes, by one process for all of them.
fn contents(
    blobs: &[(String, String, u64)],
    here: &Path,
    problems: &mut Vec<Problem>,
) -> std::io::Result<Files> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(here)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(std::io::Error::other("its pipes are not there"));
    };
    let mut answers = BufReader::new(stdout);
    let mut files = BTreeMap::new();
    for (id, path, max) in blobs {
        writeln!(stdin, "{id}")?;
        stdin.flush()?;
        let mut head = String::new();
        answers.read_line(&mut head)?;
        let size = head.trim().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| std::io::Error::other(head.trim().to_owned()))?;
        let mut bytes = Vec::new();
        // One more: a line end follows each.
        answers.by_ref().take(size + 1).read_to_end(&mut bytes)?;
        bytes.pop();
        if size > *max {
            let what = format!("larger than {} MiB", max >> 20);
            problems.push(Problem { path: path.as_str().into(), what });
        } else {
            files.insert(path.as_str().into(), bytes.into());
        }
    }
    drop(stdin);
    child.wait()?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let set = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
        let done = Command::new("git").arg("-C").arg(folder).args(set).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn a_revision_reads_as_the_folder_read_when_it_was_committed() {
        let root = tempfile::tempdir().unwrap();
        let policies = root.path().join("policies");
        std::fs::create_dir_all(policies.join("partners")).unwrap();
        for (path, text) in [
            ("gateway.yaml", "estate: a\n"),
            ("partners/b.yaml", "partner: b"),
            ("README.md", "text"),
            (".hidden.yaml", "x"),
        ] {
            std::fs::write(policies.join(path), text).unwrap();
        }
        let before = super::super::read(&policies).unwrap();
        git(root.path(), &["init", "-q"]);
        git(root.path(), &["add", "."]);
        git(root.path(), &["commit", "-qm", "one"]);
        std::fs::write(policies.join("gateway.yaml"), "estate: other\n").unwrap();
        for here in [root.path(), &policies] {
            let read = from_git("HEAD:policies", here).unwrap();
            assert_eq!((read.digest, read.files), (before.digest, before.files.clone()));
        }
        for wrong in ["HEAD~7:policies", "HEAD:nowhere", "--help"] {
            assert!(from_git(wrong, root.path()).unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }
}
