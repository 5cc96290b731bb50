//! Compiled mappers, lent from one test's gateway to the next: compiling them takes longer than most tests.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::{Estate, Gateway, binary, estate::copy};

/// Puts what was compiled before into a new data folder.
///
/// # Errors
/// No gateway comes up to compile it, or it cannot be copied.
pub async fn lend(data: &Path) -> anyhow::Result<()> {
    static WARM: OnceCell<PathBuf> = OnceCell::const_new();
    let compiled = data.join("compiled");
    if compiled.exists() {
        return Ok(());
    }
    let warm = WARM.get_or_try_init(warm).await?;
    std::fs::create_dir_all(&compiled)?;
    copy(warm, &compiled)
}

/// Beside the binary, so that it goes where the binary goes. What another build left is of no use and does no harm.
async fn warm() -> anyhow::Result<PathBuf> {
    let kept = binary().with_file_name("compiled-for-tests");
    let data = tempfile::tempdir()?;
    let compiled = data.path().join("compiled");
    if kept.is_dir() {
        std::fs::create_dir_all(&compiled)?;
        copy(&kept, &compiled)?;
    }
    Gateway::start_cold(&Estate::new()?, data.path()).await?.kill().await?;
    // Renamed into place: a run that is cut off leaves nothing half.
    let new = kept.with_file_name(format!("compiled-for-tests.{}", std::process::id()));
    std::fs::create_dir_all(&new)?;
    copy(&compiled, &new)?;
    let _ = std::fs::remove_dir_all(&kept);
    let _ = std::fs::rename(&new, &kept);
    Ok(if kept.is_dir() { kept } else { new })
}
