//! Compiled code on disk. Loading it runs it, so only what this host wrote is read back: each file carries a
//! message authentication code under a key that only this host's user can read.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::Error;
use crate::words::{Digest, Random, SystemRandom};

/// Bytes of the code before each file's content.
const MAC: usize = 32;

/// Block length of SHA-256, which HMAC (RFC 2104) pads its key to.
const BLOCK: usize = 64;

/// The folder of compiled code.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; 32],
    written: AtomicU64,
}

impl Cache {
    /// Opens the folder and reads its key; makes them where they are not there.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let fail = |source: io::Error| Error::Cache { folder: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        let key = key(&folder.join("key")).map_err(fail)?;
        Ok(Self { folder: folder.to_owned(), key, written: AtomicU64::new(0) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The content under `name`, if there is one and this host wrote it under that name.
    pub fn get(&self, name: Digest) -> Option<Vec<u8>> {
        let mut content = fs::read(self.path(name)).ok()?;
        let (mac, code) = content.split_at_checked(MAC)?;
        if !bool::from(self.mac(name, code).ct_eq(mac)) {
            return None;
        }
        content.drain(..MAC);
        Some(content)
    }

    /// Keeps `code` under `name`, all of it or nothing.
    pub fn put(&self, name: Digest, code: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!("{}-{number}.draft", std::process::id()));
        let written = self.write(&draft, name, code).and_then(|()| fs::rename(&draft, self.path(name)));
        if written.is_err() {
            // Only a draft is left behind then, and it is nobody's.
            let _ = fs::remove_file(&draft);
        }
        written
    }

    fn write(&self, draft: &Path, name: Digest, code: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
        file.write_all(&self.mac(name, code))?;
        file.write_all(code)
    }

    fn path(&self, name: Digest) -> PathBuf {
        self.folder.join(format!("{name}.native"))
    }

    /// HMAC-SHA256 over the name and the code, so that no file passes under another's name.
    fn mac(&self, name: Digest, code: &[u8]) -> [u8; MAC] {
        let padded = |with: u8| -> [u8; BLOCK] {
            let mut block = [with; BLOCK];
            block.iter_mut().zip(self.key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let inner = Sha256::new().chain_update(padded(0x36)).chain_update(name.as_bytes()).chain_update(code);
        Sha256::new().chain_update(padded(0x5c)).chain_update(inner.finalize()).finalize().into()
    }
}

/// Reads the key, or makes one. A key that others could read proves nothing any more and is replaced.
fn key(path: &Path) -> io::Result<[u8; 32]> {
    if let Some(key) = stored(path)? {
        return Ok(key);
    }
    // A secret is not something that a simulated source may stand in for, so this one is not passed in.
    let mut fresh = [0; 32];
    for part in fresh.chunks_mut(8) {
        part.copy_from_slice(&SystemRandom.next().to_le_bytes());
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => file.write_all(&fresh).map(|()| fresh),
        // Another process made it in between; its own is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            stored(path)?.ok_or_else(|| io::Error::other("the key file is being replaced; try again"))
        }
        Err(error) => Err(error),
    }
}

fn stored(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::with_capacity(33);
    (&file).take(33).read_to_end(&mut content)?;
    let private = file.metadata()?.permissions().mode().trailing_zeros() >= 6;
    match <[u8; 32]>::try_from(content) {
        Ok(key) if private => Ok(Some(key)),
        _ => fs::remove_file(path).map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        (folder, cache)
    }

    #[test]
    fn what_was_put_is_read_back_by_a_later_host() {
        let (folder, cache) = opened();
        cache.put(Digest::of(b"a"), b"code").unwrap();
        let later = Cache::open(folder.path()).unwrap();
        assert_eq!(later.get(Digest::of(b"a")).as_deref(), Some(&b"code"[..]));
        assert_eq!(later.get(Digest::of(b"b")), None);
    }

    #[test]
    fn a_changed_a_cut_and_a_renamed_file_are_not_read() {
        let (_folder, cache) = opened();
        let (name, other) = (Digest::of(b"a"), Digest::of(b"b"));
        cache.put(name, b"code").unwrap();
        let whole = fs::read(cache.path(name)).unwrap();
        fs::write(cache.path(other), &whole).unwrap();
        assert_eq!(cache.get(other), None);
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            fs::write(cache.path(name), &changed).unwrap();
            assert_eq!(cache.get(name), None, "byte {index}");
            fs::write(cache.path(name), &whole[..index]).unwrap();
            assert_eq!(cache.get(name), None, "cut at {index}");
        }
    }

    #[test]
    fn the_key_and_the_code_are_private_and_a_key_that_is_not_is_replaced() {
        let (folder, cache) = opened();
        cache.put(Digest::of(b"a"), b"code").unwrap();
        let key = folder.path().join("key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&key), mode(&cache.path(Digest::of(b"a")))), (0o600, 0o600));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let later = Cache::open(folder.path()).unwrap();
        assert_eq!(later.get(Digest::of(b"a")), None);
        assert_eq!(mode(&key), 0o600);
    }
}
