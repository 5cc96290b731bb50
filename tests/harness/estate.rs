//! A copy of the worked estate that a test may change.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Receiver, issuer::Issuer, root};

/// The key of `acme-3pl`, as `policies/README.md` has it.
pub const ACME_KEY: &str = "xd_demo_acme_xhav2ugdixpz2a5762umygy4oxwypnmn";
/// The key of `globex`.
pub const GLOBEX_KEY: &str = "xd_demo_globex_i22c476lakujhzhs2bb6ywjpsxgigxuo";

/// A policy folder of a test's own; gone when it is dropped.
pub struct Estate {
    folder: TempDir,
    issuer: Issuer,
}

impl Estate {
    /// The worked estate as it is, with an issuer whose private key the test has.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        copy(&root().join("policies"), folder.path())?;
        let issuer = Issuer::new()?;
        std::fs::write(folder.path().join("keys/corp.jwks.json"), issuer.jwks.to_string())?;
        Ok(Self { folder, issuer })
    }

    /// Sends what goes to a target to a receiver.
    ///
    /// # Errors
    /// There is no such target.
    pub fn target(self, name: &str, receiver: &Receiver) -> anyhow::Result<Self> {
        let url = format!("url: http://{}/", receiver.address);
        self.edit(&format!("targets/{name}.yaml"), |text| {
            let lines = text.lines().map(|line| if line.starts_with("url:") { &url } else { line });
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    /// Changes a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn edit(self, file: &str, change: impl FnOnce(&str) -> String) -> anyhow::Result<Self> {
        self.save(file, change)?;
        Ok(self)
    }

    /// Changes a file of an estate that is being served.
    ///
    /// # Errors
    /// There is no such file.
    pub fn save(&self, file: &str, change: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
        let path = self.folder().join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {file} in the estate"))?;
        // Renamed into place, as editors and checkouts do; from beside the estate, which has no such file.
        let new = self.folder().with_extension("new");
        std::fs::write(&new, change(&text))?;
        Ok(std::fs::rename(new, path)?)
    }

    /// `Bearer` and a token of `nordfracht` for milestones.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn token(&self) -> anyhow::Result<String> {
        self.token_with(|_| {})
    }

    /// The same with other claims.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn token_with(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let mut claims = json!({
            "iss": "https://login.northstar.example", "aud": "https://gateway.northstar.example",
            "sub": "tms", "client_id": "nordfracht-tms", "scope": "tracking:write", "iat": now, "exp": now + 600
        });
        change(&mut claims);
        Ok(format!("Bearer {}", self.issuer.sign(&claims)?))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
