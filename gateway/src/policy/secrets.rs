//! Reads what the policy only names: secrets and settings of this machine.

use std::path::{Path, PathBuf};

use super::checked::{SecretRef, Setting};

/// Longest secret file: a certificate chain.
const LONGEST: u64 = 256 * 1024;

/// One secret of a policy in `folder`.
///
/// # Errors
/// The environment or the folder has none.
pub fn read_secret(secret: &SecretRef, folder: &Path) -> Result<String, String> {
    Secrets::new(folder.to_owned()).read(secret)
}

/// Resolves references against the environment and the policy folder.
pub(super) struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The secret, without the line end that editors put behind it.
    pub fn read(&self, secret: &SecretRef) -> Result<String, String> {
        match secret {
            SecretRef::Env(name) => {
                std::env::var(name).map_err(|_| format!("the environment has no `{name}`"))
            }
            SecretRef::File(path) => {
                let text = self.file(path)?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }

    /// The setting's text.
    pub fn setting(&self, setting: &Setting) -> Result<String, String> {
        match setting {
            Setting::Text(text) => Ok(text.clone()),
            Setting::Env { name, default } => match (std::env::var(name), default) {
                (Ok(text), _) => Ok(text),
                (Err(_), Some(default)) => Ok(default.clone()),
                (Err(_), None) => Err(format!("the environment has no `{name}`")),
            },
        }
    }

    /// A whole text file, relative to the policy folder.
    pub fn file(&self, path: &Path) -> Result<String, String> {
        let path = self.folder.join(path);
        let said = |error: std::io::Error| format!("{}: {error}", path.display());
        if std::fs::metadata(&path).map_err(said)?.len() > LONGEST {
            return Err(format!("{}: longer than 256 KiB", path.display()));
        }
        std::fs::read_to_string(&path).map_err(said)
    }
}
