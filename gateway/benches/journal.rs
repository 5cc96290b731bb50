//! Appends a second of the embedded store: 4 KB documents, one event of 2 KB, one order key, one delivery; and the
//! whole exchange, where each delivery is pinned and carried out as well.
//!
//! `cargo bench --bench journal [seconds] [folder]`; the folder's disk is what is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use crossdock::{
    journal::{Accepted, Attempt, Destination, Journal, Next, Outbound, Outcome, sqlite},
    words::{
        Clock, Digest, Document, EstateName, Event, IdSource, Identity, Key, Revision, SystemClock,
        SystemRandom, TargetName,
    },
};

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let seconds = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let run = Duration::from_secs_f64(seconds);
    let parent = arguments.get(1).map_or_else(std::env::temp_dir, Into::into);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    for writers in [1, 8, 64, 256] {
        let folder = tempfile::tempdir_in(&parent).expect("the folder can be written");
        runtime.block_on(appends(folder.path(), writers, run));
    }
    let folder = tempfile::tempdir_in(&parent).expect("the folder can be written");
    runtime.block_on(exchange(folder.path(), run));
}

struct Load {
    ids: IdSource,
    content: Bytes,
    data: Bytes,
    count: AtomicU64,
}

impl Load {
    fn new() -> Arc<Self> {
        let content = "ST*945*0001~W06*F*PO1*20261123*".repeat(140)[..4096].to_owned();
        let data = format!(r#"{{"items":"{}"}}"#, "x".repeat(2000));
        Arc::new(Self {
            ids: IdSource::new(),
            content: content.into(),
            data: data.into(),
            count: AtomicU64::new(0),
        })
    }

    fn document(&self) -> Accepted {
        let now = SystemClock.now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let event = Event {
            id: self.ids.event(now, &SystemRandom),
            identity: Identity(Digest::of(&number.to_le_bytes())),
            source: "/acme-3pl/shipments".to_owned(),
            kind: "shipment.dispatched".to_owned(),
            schema_version: "1.0".to_owned(),
            natural_key: vec![("shipment".to_owned(), number.to_string())],
            order_keys: vec![Key { kind: "order".to_owned(), value: (number % 50_000).to_string() }],
            sequence: None,
            corrects: None,
            occurred_at: None,
            recorded_at: now,
            data: self.data.clone(),
            data_digest: Digest::of(&number.to_be_bytes()),
        };
        let to = Destination { subscription: name("erp-all"), target: name("sap-erp") };
        Accepted {
            message_id: self.ids.message(now, &SystemRandom),
            partner: name("acme-3pl"),
            api: name("shipments"),
            operation: name("confirm"),
            version: name("v2"),
            credential: "main".to_owned(),
            received_at: now,
            revision: Revision::stored("7f3a9c21"),
            document_digest: Digest::of(&number.to_le_bytes()),
            document: Document {
                media_type: "application/edi-x12".to_owned(),
                content: self.content.clone(),
                parameters: Vec::new(),
            },
            mapper: name("x12-wms"),
            mapper_digest: Digest::of(b"mapper"),
            diagnostics: Vec::new(),
            rejects: Vec::new(),
            acknowledgement: None,
            events: vec![(event, vec![to])],
            idempotency: None,
            parent: None,
        }
    }
}

fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).ok().expect("it is a name")
}

fn open(folder: &std::path::Path) -> Arc<sqlite::Store> {
    let estate = EstateName::new("bench").expect("it is a name");
    Arc::new(sqlite::Store::open(folder, &estate, Arc::new(SystemClock)).expect("an empty store opens"))
}

async fn appends(folder: &std::path::Path, writers: usize, run: Duration) {
    let (store, load, began, cpu) = (open(folder), Load::new(), Instant::now(), processor_time());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, load) = (store.clone(), load.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < run {
                    let document = load.document();
                    let start = Instant::now();
                    store.append(document).await.expect("the store takes it");
                    took.push(start.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("no task panics"));
    }
    report(&format!("append, {writers} at once"), &mut took, began.elapsed());
    let each =
        (processor_time() - cpu).as_secs_f64() * 1e6 / Duration::from_secs(took.len() as u64).as_secs_f64();
    println!("{:<24} {each:>9.1} µs of processor time each, those who ask included", "");
}

/// Processor time of all threads so far.
fn processor_time() -> Duration {
    // SAFETY: rusage is plain data for which zeroes are a value, and the call fills it.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut used);
        used
    };
    let micros = |time: libc::timeval| u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0);
    Duration::from_micros(micros(used.ru_utime) + micros(used.ru_stime))
}

/// 64 append; 64 more pin and deliver what is ready.
async fn exchange(folder: &std::path::Path, run: Duration) {
    let (store, load, began) = (open(folder), Load::new(), Instant::now());
    let appending: Vec<_> = (0..64)
        .map(|_| {
            let (store, load) = (store.clone(), load.clone());
            tokio::spawn(async move {
                while began.elapsed() < run {
                    store.append(load.document()).await.expect("the store takes it");
                }
            })
        })
        .collect();
    let target: TargetName = name("sap-erp");
    let mut took = Vec::new();
    while began.elapsed() < run {
        let ready = store.ready(target.clone(), SystemClock.now(), 64).await.expect("the store answers");
        let work = store.work(ready).await.expect("the store answers");
        let delivering: Vec<_> = work
            .into_iter()
            .map(|work| {
                let store = store.clone();
                tokio::spawn(async move {
                    let start = Instant::now();
                    let outbound = Outbound {
                        mapper: name("erp-idoc"),
                        mapper_digest: Digest::of(b"erp"),
                        document: Document {
                            media_type: "application/xml".to_owned(),
                            content: work.event.data,
                            parameters: Vec::new(),
                        },
                        control_numbers: Vec::new(),
                    };
                    store.pin(work.id, outbound).await.expect("the store takes it");
                    let attempt = Attempt {
                        started_at: SystemClock.now(),
                        took: start.elapsed(),
                        status: Some(200),
                        error: None,
                        excerpt: None,
                    };
                    let outcome =
                        Outcome { delivery: work.id, attempt: Some(attempt), next: Next::Delivered };
                    store.advance(outcome).await.expect("the store takes it");
                    start.elapsed()
                })
            })
            .collect();
        if delivering.is_empty() {
            tokio::task::yield_now().await;
        }
        for task in delivering {
            took.push(task.await.expect("no task panics"));
        }
    }
    for task in appending {
        task.await.expect("no task panics");
    }
    println!(
        "{:<24} {:>9.0} appends a second",
        "exchange",
        per_second(load.count.load(Ordering::Relaxed), began.elapsed())
    );
    report("  pinned and delivered", &mut took, began.elapsed());
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    Duration::from_secs(count).as_secs_f64() / elapsed.as_secs_f64()
}

fn report(what: &str, took: &mut [Duration], elapsed: Duration) {
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or_default();
    let count = u64::try_from(took.len()).unwrap_or(u64::MAX);
    println!(
        "{what:<24} {:>9.0} a second   p50 {:>9.2?}   p99 {:>9.2?}   p99.9 {:>9.2?}",
        per_second(count, elapsed),
        at(500),
        at(990),
        at(999),
    );
}
