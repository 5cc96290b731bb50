//! What only a store on a disk has to show: kills, foreign files, full disks, errors that stop it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rusqlite::{Connection, ffi};

use super::{Options, Store};
use crate::{
    journal::{
        Error, ExceptionFilter, Journal as _, Next, Stuck,
        suite::{Maker, erp, estate, park, small, stored, to},
    },
    words::EstateName,
};

fn open(folder: &Path, maker: &Maker) -> Result<Store, Error> {
    Store::open_with(folder, &estate(), maker.clock.clone(), &small())
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("journal.db")).unwrap()
}

fn sentence(opened: Result<Store, Error>) -> String {
    match opened {
        Ok(_) => panic!("it must not open"),
        Err(error) => error.to_string(),
    }
}

async fn fill(store: &Store, maker: &Maker, facts: &[&str]) {
    for fact in facts {
        let document = maker.document(vec![(maker.event(fact, &["1"]), to("sap-erp"))]);
        stored(store.append(document).await.unwrap());
    }
}

async fn ready(store: &Store, maker: &Maker) -> Vec<u64> {
    store.ready(erp(), maker.now(), 100).await.unwrap().iter().map(|id| id.0).collect()
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let (maker, folder, copy) = (Maker::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nothing is carried back while the files are copied one after the other.
    let options = Options { carry_bytes: usize::MAX, ..small() };
    let store = Store::open_with(folder.path(), &estate(), maker.clock.clone(), &options).unwrap();
    fill(&store, &maker, &["a", "b", "c"]).await;
    let id = store.ready(erp(), maker.now(), 1).await.unwrap()[0];
    store.advance(maker.outcome(id, 200, Next::Delivered)).await.unwrap();
    let id = store.ready(erp(), maker.now(), 1).await.unwrap()[0];
    store.advance(maker.outcome(id, 422, park(Stuck::Hold))).await.unwrap();
    let status = store.status().await.unwrap();
    // The files as a kill at this instant would leave them, while the store is still open.
    for file in ["journal.db", "journal.db-wal"] {
        fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let again = open(copy.path(), &maker).unwrap();
    assert_eq!(again.status().await.unwrap(), status);
    assert_eq!(again.exceptions(ExceptionFilter::default()).await.unwrap().len(), 1);
    again.discard(1, "no".to_owned(), "ada".to_owned(), maker.now()).await.unwrap();
    assert_eq!(ready(&again, &maker).await, [3]);
}

/// A sync that failed leaves pages that read as if they were on the disk: only in the database, synced anew, they are.
#[tokio::test]
async fn after_a_kill_the_log_is_carried_back_before_the_store_is_used() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    fill(&store, &maker, &["a", "b"]).await;
    drop(store);
    let log = || fs::metadata(folder.path().join("journal.db-wal")).unwrap().len();
    assert!(log() > 0, "it was not closed, so its log is there");
    let again = open(folder.path(), &maker).unwrap();
    assert_eq!(log(), 0);
    assert_eq!(again.status().await.unwrap().messages, 2);
}

#[tokio::test]
async fn a_store_that_was_closed_has_nothing_left_in_its_log() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    fill(&store, &maker, &["a"]).await;
    store.close().await.unwrap();
    drop(store);
    assert_eq!(fs::metadata(folder.path().join("journal.db-wal")).map_or(0, |found| found.len()), 0);
    let state: String = database(folder.path())
        .query_row("SELECT value FROM meta WHERE key = 'state'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(state, "closed");
    assert_eq!(ready(&open(folder.path(), &maker).unwrap(), &maker).await, [1]);
}

#[tokio::test]
async fn the_log_is_carried_back_and_begun_anew() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    // The header of the log counts how often it was begun (bytes 12 to 16, SQLite's file format, section 4.1).
    let begun = || fs::read(folder.path().join("journal.db-wal")).unwrap()[12..16].to_vec();
    let first = begun();
    let mut document = maker.document(Vec::new());
    document.document.content = vec![7; 20_000].into();
    let mut appended = 0;
    while begun() == first {
        assert!(appended < 5_000, "100 MB were logged, and the log was never begun anew");
        document.message_id = maker.document(Vec::new()).message_id;
        stored(store.append(document.clone()).await.unwrap());
        appended += 1;
    }
    assert_eq!(store.status().await.unwrap().messages, appended);
}

#[test]
fn a_later_version_is_refused() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    drop(open(folder.path(), &maker).unwrap());
    database(folder.path()).pragma_update(None, "user_version", 7).unwrap();
    let said = sentence(open(folder.path(), &maker));
    assert!(said.contains("the store has version 7, this program knows versions up to 2"), "{said}");
}

#[test]
fn another_programs_database_is_refused() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    database(folder.path()).execute_batch("CREATE TABLE theirs(x)").unwrap();
    let said = sentence(open(folder.path(), &maker));
    assert!(said.contains("another program's database"), "{said}");
    fs::write(
        folder.path().join("journal.db"),
        "this is no database, this is a letter to a friend".repeat(100),
    )
    .unwrap();
    let said = sentence(open(folder.path(), &maker));
    assert!(said.contains("not a database"), "{said}");
}

#[test]
fn another_estate_is_refused() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    drop(open(folder.path(), &maker).unwrap());
    let south = EstateName::new("south").unwrap();
    let said = sentence(Store::open(folder.path(), &south, maker.clock.clone()));
    assert!(said.contains("belongs to estate `north`, not to `south`"), "{said}");
}

#[test]
fn a_second_one_is_refused() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let first = open(folder.path(), &maker).unwrap();
    let said = sentence(open(folder.path(), &maker));
    assert!(said.contains("in use by another process"), "{said}");
    drop(first);
    open(folder.path(), &maker).unwrap();
}

#[test]
fn a_lock_that_a_dying_process_still_has_for_a_moment_is_waited_for() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    drop(open(folder.path(), &maker).unwrap());
    // Another descriptor of the file, as a child has between its fork and the start of its program.
    let held = fs::File::open(folder.path().join("lock")).unwrap();
    held.lock().unwrap();
    let dying = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(held);
    });
    open(folder.path(), &maker).unwrap();
    dying.join().unwrap();
}

#[tokio::test]
async fn damage_is_found_after_a_kill() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    fill(&store, &maker, &["a", "b", "c"]).await;
    store.close().await.unwrap();
    drop(store);
    // Open and killed: the state says so, and the pages are all in the database.
    drop(open(folder.path(), &maker).unwrap());
    let path = folder.path().join("journal.db");
    let root: u32 = database(folder.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'event_key'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[(root as usize - 1) * 4096..][..2000].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let said = sentence(open(folder.path(), &maker));
    assert!(said.contains("damaged") || said.contains("malformed"), "{said}");
}

#[tokio::test]
async fn only_its_owner_may_read_it() {
    let (maker, parent) = (Maker::new(), tempfile::tempdir().unwrap());
    let folder = parent.path().join("data/journal");
    let store = open(&folder, &maker).unwrap();
    fill(&store, &maker, &["a"]).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 5, "database, log, its index, lock, ballast: {files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

#[tokio::test]
async fn a_full_store_takes_no_documents_and_recovers() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    fill(&store, &maker, &["a", "b"]).await;
    let limit = |pages: i64| {
        store.command(0, false, move |write| {
            Ok(write.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
        })
    };
    limit(1).await.unwrap();
    let mut large = maker.document(vec![(maker.event("c", &["1"]), to("sap-erp"))]);
    large.document.content = vec![7; 100_000].into();
    for _ in 0..2 {
        let id = store.ready(erp(), maker.now(), 1).await.unwrap()[0];
        let (refused, advanced) =
            tokio::join!(store.append(large.clone()), store.advance(maker.outcome(id, 200, Next::Delivered)));
        assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
        advanced.expect("what was accepted goes on");
    }
    assert_eq!(store.status().await.unwrap().messages, 2);
    limit(1_000_000).await.unwrap();
    stored(store.append(large).await.unwrap());
    assert_eq!(ready(&store, &maker).await, [3]);
}

#[tokio::test]
async fn an_io_error_stops_the_store_for_good() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), &maker).unwrap();
    fill(&store, &maker, &["a"]).await;
    let mut stopped = store.stopped();
    let beside = maker.document(vec![(maker.event("b", &["1"]), to("sap-erp"))]);
    let (failed, beside) = tokio::join!(
        store.command(0, false, |_| {
            Err::<(), _>(
                rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None).into(),
            )
        }),
        store.append(beside),
    );
    assert!(matches!(failed, Err(Error::Stopped(_))), "{failed:?}");
    assert!(matches!(beside, Err(Error::Stopped(_))), "{beside:?}");
    stopped.changed().await.unwrap();
    assert!(stopped.borrow().is_some());
    let later = store.append(maker.document(Vec::new())).await;
    assert!(matches!(later, Err(Error::Stopped(_))), "{later:?}");
    assert!(store.close().await.is_err());
    drop(store);
    let again = open(folder.path(), &maker).unwrap();
    assert_eq!(again.status().await.unwrap().messages, 1, "what was not acknowledged is not there");
}

#[tokio::test]
async fn past_its_bounds_the_store_says_that_it_is_busy() {
    let (maker, folder) = (Maker::new(), tempfile::tempdir().unwrap());
    let options = Options { queue: 2, queue_bytes: 60_000, ..small() };
    let store = Store::open_with(folder.path(), &estate(), maker.clock.clone(), &options).unwrap();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let mut slow = Box::pin(store.command(0, false, move |_| Ok(held.recv().is_ok())));
    // Polled once, the writer has it and waits.
    assert!(futures_now(&mut slow).await.is_none());
    while store.sender().unwrap().capacity() < 2 {
        tokio::task::yield_now().await;
    }
    let document = || {
        let mut document = maker.document(Vec::new());
        document.document.content = vec![7; 50_000].into();
        document
    };
    let mut first = store.append(document());
    assert!(futures_now(&mut first).await.is_none());
    let second = store.append(document()).await;
    assert!(matches!(second, Err(Error::Busy)), "too many bytes: {second:?}");
    let mut third = store.append(maker.document(Vec::new()));
    assert!(futures_now(&mut third).await.is_none_or(|answer| matches!(answer, Err(Error::Busy))));
    let fourth = store.append(maker.document(Vec::new())).await;
    assert!(matches!(fourth, Err(Error::Busy)), "too many commands: {fourth:?}");
    hold.send(()).unwrap();
    assert!(slow.await.unwrap());
    stored(first.await.unwrap());
    stored(store.append(document()).await.unwrap());
}

/// The answer of a future if it has one now.
async fn futures_now<T>(future: &mut std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => Some(answer),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
