//! Tables, and how a file of an older shape becomes one of today's.

use rusqlite::{Connection, OptionalExtension as _};

use crate::{journal::Error, words::EstateName};

/// The shape that this build reads and writes, in `PRAGMA user_version`.
const VERSION: i64 = 2;

/// `PRAGMA application_id`: "CDOK", so that another program's file is never taken for ours.
const APPLICATION: i64 = 0x43_44_4f_4b;

/// One step for each version: the first makes version 1 out of an empty file.
const STEPS: [&str; VERSION as usize] = [FIRST, SECOND];

/// Rows are appended in the order of time; payload bytes have tables of their own, so that walks over the small
/// rows stay short. Names are interned, keys are the first sixteen bytes of a digest: index entries are small
/// and of one length. The newest row of a table is never pruned, so a number is never given twice.
const FIRST: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE partner(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

CREATE TABLE message(
  num INTEGER PRIMARY KEY, id BLOB NOT NULL, partner INTEGER NOT NULL, state INTEGER NOT NULL,
  operation INTEGER NOT NULL, received_at INTEGER NOT NULL, length INTEGER NOT NULL, events INTEGER NOT NULL,
  revision TEXT NOT NULL, credential TEXT, document INTEGER, answer TEXT NOT NULL);
CREATE UNIQUE INDEX message_id ON message(id);
CREATE INDEX message_partner ON message(partner, id);
CREATE INDEX message_refused ON message(id) WHERE state = 1;

CREATE TABLE document(
  num INTEGER PRIMARY KEY, partner INTEGER NOT NULL, media_type TEXT NOT NULL, parameters TEXT NOT NULL,
  content BLOB NOT NULL);

CREATE TABLE idempotency(
  partner INTEGER NOT NULL, key BLOB NOT NULL, fingerprint BLOB NOT NULL, message INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, PRIMARY KEY(partner, key)) WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency(expires_at);

CREATE TABLE event(
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, partner INTEGER NOT NULL, message INTEGER NOT NULL,
  kind INTEGER NOT NULL, held INTEGER NOT NULL, identity BLOB NOT NULL, corrects BLOB, source TEXT NOT NULL,
  schema_version TEXT NOT NULL, natural_key TEXT NOT NULL, order_keys TEXT NOT NULL, sequence TEXT,
  occurred_at TEXT, recorded_at INTEGER NOT NULL, data_digest BLOB NOT NULL);
CREATE UNIQUE INDEX event_id ON event(id);
CREATE INDEX event_message ON event(message);

CREATE TABLE event_data(seq INTEGER PRIMARY KEY, partner INTEGER NOT NULL, data BLOB NOT NULL);

CREATE TABLE holder(
  partner INTEGER NOT NULL, identity BLOB NOT NULL, event INTEGER NOT NULL, PRIMARY KEY(partner, identity))
  WITHOUT ROWID;
CREATE TABLE event_key(
  partner INTEGER NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL, PRIMARY KEY(partner, key, event))
  WITHOUT ROWID;

CREATE TABLE delivery(
  id INTEGER PRIMARY KEY, partner INTEGER NOT NULL, target INTEGER NOT NULL, subscription INTEGER NOT NULL,
  event INTEGER NOT NULL, state INTEGER NOT NULL, waits INTEGER NOT NULL, due INTEGER NOT NULL,
  attempts INTEGER NOT NULL, first_attempt_at INTEGER, enqueued_at INTEGER NOT NULL, ended_at INTEGER,
  last_status INTEGER, lanes BLOB NOT NULL);
CREATE INDEX delivery_event ON delivery(event);
CREATE INDEX delivery_ready ON delivery(target, due, id) WHERE state = 1;
CREATE INDEX delivery_pending ON delivery(target, state, id) WHERE state <= 2;
CREATE INDEX delivery_discarded ON delivery(id) WHERE state = 4;

CREATE TABLE lane_entry(
  partner INTEGER NOT NULL, target INTEGER NOT NULL, key BLOB NOT NULL, delivery INTEGER NOT NULL,
  PRIMARY KEY(partner, target, key, delivery)) WITHOUT ROWID;

CREATE TABLE attempt(num INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX attempt_delivery ON attempt(delivery, num);

CREATE TABLE outbound(
  delivery INTEGER PRIMARY KEY, partner INTEGER NOT NULL, mapper INTEGER NOT NULL, mapper_digest BLOB NOT NULL,
  media_type TEXT NOT NULL, parameters TEXT NOT NULL, control_numbers TEXT NOT NULL, content BLOB NOT NULL);

CREATE TABLE counter(
  kind TEXT NOT NULL, sender TEXT NOT NULL, receiver TEXT NOT NULL, value INTEGER NOT NULL,
  PRIMARY KEY(kind, sender, receiver)) WITHOUT ROWID;

CREATE TABLE exception(
  id INTEGER PRIMARY KEY, partner INTEGER NOT NULL, target INTEGER, delivery INTEGER, event INTEGER NOT NULL,
  contradicts BLOB, cause TEXT NOT NULL, since INTEGER NOT NULL, resolution TEXT, reason TEXT);
CREATE INDEX exception_open ON exception(id) WHERE resolution IS NULL;
";

/// Work items: who is in charge of an exception, what is alike, what was edited, what was told again. An exception's
/// `fact` is its event's identity; open ones are found by it when the fact is told anew.
const SECOND: &str = "
ALTER TABLE message ADD COLUMN parent BLOB;
CREATE INDEX message_parent ON message(parent) WHERE parent IS NOT NULL;

ALTER TABLE event ADD COLUMN revises BLOB;
CREATE INDEX event_partner ON event(partner, seq);
CREATE TABLE repeat(event INTEGER NOT NULL, message INTEGER NOT NULL, PRIMARY KEY(event, message)) WITHOUT ROWID;

ALTER TABLE delivery ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE delivery ADD COLUMN stuck INTEGER NOT NULL DEFAULT 0;

CREATE TABLE outbound_past(
  delivery INTEGER NOT NULL, revision INTEGER NOT NULL, partner INTEGER NOT NULL, mapper INTEGER NOT NULL,
  mapper_digest BLOB NOT NULL, media_type TEXT NOT NULL, parameters TEXT NOT NULL, control_numbers TEXT NOT NULL,
  content BLOB NOT NULL, replaced_by TEXT NOT NULL, replaced_at INTEGER NOT NULL, PRIMARY KEY(delivery, revision));

ALTER TABLE exception ADD COLUMN fingerprint TEXT;
ALTER TABLE exception ADD COLUMN owner TEXT;
ALTER TABLE exception ADD COLUMN fact BLOB;
UPDATE exception SET fact = (SELECT identity FROM event WHERE seq = exception.event);
CREATE INDEX exception_fact ON exception(partner, fact) WHERE resolution IS NULL;
CREATE INDEX exception_event ON exception(event);
CREATE INDEX exception_delivery ON exception(delivery) WHERE delivery IS NOT NULL;
";

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: it is new.
    New,
    /// A store that was closed.
    Clean,
    /// A store whose process ended without closing it.
    Unclean,
}

/// Brings the file to today's shape, checks whose it is, and marks it as in use.
pub(super) fn prepare(db: &mut Connection, estate: &EstateName) -> Result<Found, Error> {
    let version = pragma(db, "user_version")?;
    if version > VERSION {
        return Err(Error::Unreadable(format!(
            "the store has version {version}, this program knows versions up to {VERSION}: \
             use the program that wrote it, or a later one"
        )));
    }
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(unreadable)?;
    if tables > 0 && pragma(db, "application_id")? != APPLICATION {
        return Err(Error::Unreadable("the file `journal.db` is another program's database".to_owned()));
    }
    let found = match (version, meta(db, "state")?.as_deref()) {
        (0, _) => Found::New,
        (_, Some("closed")) => Found::Clean,
        _ => Found::Unclean,
    };
    if found == Found::Unclean {
        verify(db)?;
    }
    migrate(db, version)?;
    match meta(db, "estate")? {
        Some(owner) if owner != estate.as_str() => {
            return Err(Error::Unreadable(format!(
                "the store belongs to estate `{owner}`, not to `{estate}`"
            )));
        }
        Some(_) => {}
        None => set_meta(db, "estate", estate.as_str()).map_err(unreadable)?,
    }
    set_meta(db, "state", "open").map_err(unreadable)?;
    Ok(found)
}

/// Marks the store as closed in good order.
pub(super) fn mark_closed(db: &Connection) -> rusqlite::Result<()> {
    set_meta(db, "state", "closed")
}

fn migrate(db: &mut Connection, version: i64) -> Result<(), Error> {
    let change = db.transaction().map_err(unreadable)?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        change.execute_batch(step).map_err(unreadable)?;
    }
    if version < VERSION {
        super::write::fill_fingerprints(&change).map_err(unreadable)?;
    }
    change.pragma_update(None, "application_id", APPLICATION).map_err(unreadable)?;
    change.pragma_update(None, "user_version", VERSION).map_err(unreadable)?;
    change.commit().map_err(unreadable)
}

fn verify(db: &Connection) -> Result<(), Error> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
    if verdict == "ok" { Ok(()) } else { Err(Error::Unreadable(format!("the store is damaged: {verdict}"))) }
}

fn pragma(db: &Connection, name: &str) -> Result<i64, Error> {
    db.pragma_query_value(None, name, |row| row.get(0)).map_err(unreadable)
}

fn meta(db: &Connection, key: &str) -> Result<Option<String>, Error> {
    let present = db.table_exists(None, "meta").map_err(unreadable)?;
    if !present {
        return Ok(None);
    }
    db.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
        .optional()
        .map_err(unreadable)
}

fn set_meta(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", [key, value]).map(drop)
}

/// A failure to read, in the journal's words.
pub(super) fn unreadable(error: rusqlite::Error) -> Error {
    Error::Unreadable(format!("the store cannot be read: {error}"))
}
