//! What each stage of a message costs alone, in microseconds of this process's CPU time: the vendor's confirmation that
//! the other benchmarks send, at three lengths.
//!
//! `cargo bench --bench stages -- MAPPER.wasm [rounds]`; MAPPER is what `crossdock plugin build tests/bench/mapper` made.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crossdock::{
    canonical::{Canon, Origin, document as cloud_events},
    contract::Schema,
    mapper::{Call, Context, Host, Limits, Mapper, Settings, Stage, Tables},
    words::{ApiName, Clock, Digest, Document, IdSource, PartnerName, SystemClock, SystemRandom, json},
};

#[expect(dead_code, reason = "the load tool needs more of it")]
#[path = "../../tests/bench/load/src/document.rs"]
mod document;

const SCHEMA: &str = include_str!("../../tests/bench/estate/schemas/confirmation.json");

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wasm = arguments.first().expect("the mapper's file is the first argument");
    let rounds = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(5_000);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let cache = tempfile::tempdir().expect("a folder can be made");
    let host = Host::new(Settings {
        cache: cache.path().to_owned(),
        compiler: std::env::var_os("CROSSDOCK").expect("CROSSDOCK names the gateway, which compiles").into(),
        workers: 1,
        byte_budget: 256 << 20,
        queue_per_partner: 64,
        bound_waste: false,
    })
    .expect("a host starts");
    let wasm: Bytes = std::fs::read(wasm).expect("the mapper can be read").into();
    let mapper = runtime.block_on(host.load(wasm)).expect("the mapper is admitted");
    println!(
        "| document B | event B | read | schema | map, whole | map, in its thread | canonical | of it read | digest | envelope |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for lines in [1, 40, 200] {
        row(lines, rounds, &runtime, &host, &mapper);
    }
}

fn row(lines: usize, rounds: u32, runtime: &tokio::runtime::Runtime, host: &Arc<Host>, mapper: &Mapper) {
    let mut text = Vec::new();
    document::Template::new(lines).write(1, &mut text);
    let document =
        Document { media_type: "application/json".to_owned(), content: text.into(), parameters: Vec::new() };
    let rounds = (rounds / (1 + lines as u32 / 20)).max(50);
    let read = each(rounds, || json::tree(&document.content, 64).expect("it is JSON"));
    let schema = Schema::compile(SCHEMA, "confirmation.json").expect("the schema compiles");
    let tree = json::tree(&document.content, 64).expect("it is JSON");
    let checked = each(rounds, || schema.check(tree.root()).expect("it is by its schema"));
    let mut inside = Duration::ZERO;
    let mut drafts = Vec::new();
    let mapped = each(rounds, || {
        let ran =
            runtime.block_on(host.to_canonical(mapper, call(), document.clone())).expect("it is mapped");
        inside += ran.usage.cpu;
        drafts = ran.value.drafts;
    });
    let canon = Canon::new();
    let (ids, partner, api) = (
        IdSource::new(),
        PartnerName::new("acme-3pl").expect("a name"),
        ApiName::new("shipments").expect("a name"),
    );
    let origin = Origin {
        partner: &partner,
        api: &api,
        document: Digest::of(&document.content),
        recorded_at: SystemClock.now(),
        zone: Some("America/Chicago"),
    };
    let check = || canon.check(drafts.clone(), &origin, &ids, &SystemRandom).expect("it is canonical");
    let canonical = each(rounds, check);
    let data = &drafts[0].data;
    let reread = each(rounds, || json::tree(data, 64).expect("it is JSON"));
    let digest = each(rounds, || Digest::of(data));
    let events = check();
    let id = ids.message(SystemClock.now(), &SystemRandom);
    let envelope = each(rounds, || cloud_events(&events, id));
    let inside = inside.as_secs_f64() * 1e6 / f64::from(rounds + rounds / 10);
    println!(
        "| {} | {} | {read:.1} | {checked:.1} | {mapped:.1} | {inside:.1} | {canonical:.1} | {reread:.1} | {digest:.1} | {envelope:.1} |",
        document.content.len(),
        data.len(),
    );
}

fn call() -> Call {
    let context = Context {
        partner: "acme-3pl".to_owned(),
        sender: "ACME".to_owned(),
        receiver: "NORTHSTAR".to_owned(),
        operation: "confirm".to_owned(),
        version: "v1".to_owned(),
        stage: Stage::Request,
        received_at: SystemClock.now(),
        zone: None,
        control_numbers: Vec::new(),
        config: Bytes::new(),
    };
    Call {
        partner: PartnerName::new("acme-3pl").expect("a name"),
        context,
        tables: Arc::new(Tables::default()),
        limits: Limits::default(),
    }
}

/// Microseconds of CPU a round, after some rounds to warm up.
fn each<T>(rounds: u32, mut work: impl FnMut() -> T) -> f64 {
    for _ in 0..rounds / 10 {
        std::hint::black_box(work());
    }
    let before = cpu();
    for _ in 0..rounds {
        std::hint::black_box(work());
    }
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(rounds)
}

/// CPU time of this process, all its threads.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write a timespec to; the clock exists on every Linux and macOS.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the process's CPU clock is always there");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
