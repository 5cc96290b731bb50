//! Lanes: a delivery stands in one for each order key of its event, and goes when it heads them all.

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::write::unsigned;
use crate::{journal::WAITING_COUNTED, words::Key};

/// Bytes of a key's digest: 128 bits never meet by chance.
const WIDTH: usize = 16;

/// The first sixteen bytes of the digest of `bytes`.
pub(super) fn short(bytes: &[u8]) -> [u8; WIDTH] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut short = [0; WIDTH];
    short.copy_from_slice(&digest[..WIDTH]);
    short
}

/// The form in which a business key is stored and looked up.
pub(super) fn key(key: &Key) -> [u8; WIDTH] {
    let mut bytes = Vec::with_capacity(8 + key.kind.len() + key.value.len());
    bytes.extend_from_slice(&(key.kind.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key.kind.as_bytes());
    bytes.extend_from_slice(key.value.as_bytes());
    short(&bytes)
}

/// The keys of the lanes that one delivery stands in, one after the other.
pub(super) struct Lanes(Vec<u8>);

impl Lanes {
    /// The lanes of these order keys, each once.
    pub(super) fn of(order_keys: &[Key]) -> Self {
        let mut keys: Vec<_> = order_keys.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        Self(keys.concat())
    }

    /// As they were stored with a delivery.
    pub(super) fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As they are stored with a delivery.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Each of them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chunks_exact(WIDTH)
    }

    /// In how many of them something is pending.
    pub(super) fn occupied(&self, db: &Connection, partner: i64, target: i64) -> rusqlite::Result<i64> {
        let mut find = db.prepare_cached(
            "SELECT 1 FROM lane_entry WHERE partner = ? AND target = ? AND key = ? LIMIT 1",
        )?;
        let mut occupied = 0;
        for key in self.keys() {
            occupied += i64::from(find.exists(params![partner, target, key])?);
        }
        Ok(occupied)
    }

    /// The first of each in which something is pending.
    pub(super) fn heads(&self, db: &Connection, partner: i64, target: i64) -> rusqlite::Result<Vec<i64>> {
        let mut first = db.prepare_cached(
            "SELECT delivery FROM lane_entry WHERE partner = ? AND target = ? AND key = ? ORDER BY delivery LIMIT 1",
        )?;
        let mut heads = Vec::new();
        for key in self.keys() {
            heads.extend(
                first.query_row(params![partner, target, key], |row| row.get::<_, i64>(0)).optional()?,
            );
        }
        Ok(heads)
    }

    /// Puts a delivery at the end of each.
    pub(super) fn enter(&self, db: &Connection, partner: i64, target: i64, id: i64) -> rusqlite::Result<()> {
        let mut add =
            db.prepare_cached("INSERT INTO lane_entry(partner, target, key, delivery) VALUES (?, ?, ?, ?)")?;
        for key in self.keys() {
            add.execute(params![partner, target, key, id])?;
        }
        Ok(())
    }

    /// Takes a head out of each; answers the next of each, a delivery as often as it moved up.
    pub(super) fn leave(
        &self,
        db: &Connection,
        partner: i64,
        target: i64,
        id: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut remove = db.prepare_cached(
            "DELETE FROM lane_entry WHERE partner = ? AND target = ? AND key = ? AND delivery = ?",
        )?;
        let mut next = db.prepare_cached(
            "SELECT delivery FROM lane_entry WHERE partner = ? AND target = ? AND key = ? ORDER BY delivery LIMIT 1",
        )?;
        let mut heads = Vec::new();
        for key in self.keys() {
            remove.execute(params![partner, target, key, id])?;
            heads.extend(
                next.query_row(params![partner, target, key], |row| row.get::<_, i64>(0)).optional()?,
            );
        }
        Ok(heads)
    }

    /// How many deliveries stand behind this one, each counted once.
    pub(super) fn behind(
        &self,
        db: &Connection,
        partner: i64,
        target: i64,
        id: i64,
    ) -> rusqlite::Result<u64> {
        let mut later = db.prepare_cached(
            "SELECT delivery FROM lane_entry WHERE partner = ? AND target = ? AND key = ? AND delivery > ?
             ORDER BY delivery LIMIT ?",
        )?;
        let mut found = std::collections::HashSet::new();
        for key in self.keys() {
            let limit = i64::try_from(WAITING_COUNTED).unwrap_or(i64::MAX);
            let mut rows = later.query(params![partner, target, key, id, limit])?;
            while let Some(row) = rows.next()? {
                found.insert(row.get::<_, i64>(0)?);
            }
        }
        Ok(unsigned(i64::try_from(found.len()).unwrap_or(i64::MAX)).min(WAITING_COUNTED))
    }
}
