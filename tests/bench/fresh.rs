//! What the sandbox costs: a fresh instance for every message beside the same mapping compiled natively, on one thread
//! and on two; a runaway beside a well-behaved neighbour; a swap; and whether memory stays flat over many calls.
//!
//! `CROSSDOCK=…/crossdock cargo bench -p crossdock-tests --bench fresh -- MAPPER.wasm [calls]`; CROSSDOCK compiles, MAPPER is
//! what `crossdock plugin build tests/bench/mapper` made. Times are CPU time of all threads of this process, so a busy machine
//! disturbs them less than a clock on the wall would be; latencies and the runaway's are by the wall.

#![allow(missing_docs, reason = "a benchmark has no readers from outside")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use crossdock::{
    mapper::{
        Call, Context, Failure, Host, Limits, Manifest, Mapper, Settings, Stage, Tables, with_manifest,
    },
    words::{Clock, Document, PartnerName, SystemClock},
};
use crossdock_mapper::Mapper as _;
use tokio::runtime::Runtime;

#[path = "load/src/document.rs"]
#[expect(dead_code, reason = "the load tool needs more of it")]
mod document;
#[path = "mapper/src/lib.rs"]
mod mapping;

/// A command that never ends.
const RUNAWAY: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wasm = arguments.first().expect("the mapper's file is the first argument");
    let wasm: Bytes = std::fs::read(wasm).expect("the mapper can be read").into();
    let calls = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let bench = Bench::new(wasm);
    bench.beside_native(calls);
    bench.on_two_threads(calls);
    bench.over_many_calls(calls);
    bench.beside_a_runaway();
}

struct Bench {
    runtime: Runtime,
    host: Arc<Host>,
    mapper: Mapper,
    runaway: Mapper,
    _cache: tempfile::TempDir,
}

impl Bench {
    fn new(wasm: Bytes) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let cache = tempfile::tempdir().expect("a folder can be made");
        let host = Host::new(Settings {
            cache: cache.path().to_owned(),
            compiler: std::env::var_os("CROSSDOCK")
                .expect("CROSSDOCK names the gateway, which compiles")
                .into(),
            workers: 2,
            byte_budget: 512 << 20,
            queue_per_partner: 64,
            bound_waste: true,
        })
        .expect("a host starts");
        let mut manifest: Manifest =
            Host::inspect(&wasm).ok().and_then(|found| found.manifest).expect("it has a manifest");
        let started = Instant::now();
        let mapper = runtime.block_on(host.load(wasm.clone())).expect("the mapper is admitted");
        let cold = started.elapsed();
        manifest.name = crossdock::words::MapperName::new("runaway").expect("a name");
        let runaway = with_manifest(&wat::parse_str(RUNAWAY).expect("it is a module"), &manifest);
        let runaway = runtime.block_on(host.load(runaway.into())).expect("the runaway is admitted");
        println!("admitted and compiled in {:.0} ms: {} KB\n", cold.as_secs_f64() * 1e3, wasm.len() / 1000);
        Self { runtime, host, mapper, runaway, _cache: cache }
    }

    fn beside_native(&self, calls: u32) {
        println!(
            "| document B | native µs | fresh instance µs, its thread | whole, with the hand-over | over native | page faults a call |"
        );
        println!("|--:|--:|--:|--:|--:|--:|");
        for lines in [1, 40] {
            let calls = calls / (1 + lines as u32 / 10);
            let document = confirmation(lines);
            let input = crossdock_mapper::Input {
                media_type: document.media_type.clone(),
                content: document.content.to_vec(),
                ..Default::default()
            };
            let context = crossdock_mapper::Context::default();
            let native = each(calls, || {
                let mapped = mapping::BenchWms::to_canonical(&context, &input);
                black_box(mapped).is_ok()
            });
            let mut inside = Duration::ZERO;
            let faults = page_faults();
            let whole = self.runtime.block_on(async {
                let before = cpu();
                for _ in 0..calls {
                    inside += self.map("acme-3pl", &document).await.expect("it is mapped");
                }
                micros(cpu() - before, calls)
            });
            let faults = (page_faults() - faults) as f64 / f64::from(calls);
            let inside = micros(inside, calls);
            println!(
                "| {} | {native:.1} | {inside:.1} | {whole:.1} | {:+.1} | {faults:.2} |",
                document.content.len(),
                inside - native
            );
        }
        println!();
    }

    fn on_two_threads(&self, calls: u32) {
        let document = confirmation(1);
        let mut alone = 0.0;
        println!("| callers | small calls a second of CPU | CPU µs a call, its thread |");
        println!("|--:|--:|--:|");
        for callers in [1_u32, 2] {
            let inside = self.runtime.block_on(async {
                let calls = calls / callers;
                let work = (0..callers).map(|caller| {
                    let (host, mapper, document) = (self.host.clone(), self.mapper.clone(), document.clone());
                    tokio::spawn(async move {
                        let mut inside = Duration::ZERO;
                        for _ in 0..calls {
                            let call = call(&format!("partner-{caller}"));
                            let ran = host.to_canonical(&mapper, call, document.clone()).await;
                            inside += ran.expect("it is mapped").usage.cpu;
                        }
                        inside
                    })
                });
                let mut all = Duration::ZERO;
                for one in work.collect::<Vec<_>>() {
                    all += one.await.expect("the caller ends");
                }
                micros(all, calls * callers)
            });
            println!("| {callers} | {:.0} | {inside:.2} |", 1e6 / inside);
            if callers == 1 {
                alone = inside;
            } else {
                println!("\ntwo threads cost {:.2} times the CPU a call of one\n", inside / alone);
            }
        }
    }

    fn over_many_calls(&self, calls: u32) {
        let documents = [confirmation(1), confirmation(10), confirmation(40)];
        let run = |calls: u32| {
            self.runtime.block_on(async {
                for number in 0..calls {
                    let document = &documents[number as usize % documents.len()];
                    self.map("acme-3pl", document).await.expect("it is mapped");
                }
            });
            resident()
        };
        let (warm, late) = (run(1_000), run(calls));
        println!("resident after 1,000 calls {warm:.1} MiB, after {calls} more {late:.1} MiB\n");
    }

    fn beside_a_runaway(&self) {
        let document = confirmation(1);
        let limits = Limits::default();
        let budget = limits.for_input(document.content.len()).cpu;
        let mut stopped: Vec<Duration> = (0..50)
            .map(|number| {
                // Each is another partner's: one alone would be told to wait after some twenty.
                let call = call(&format!("hostile-{number}"));
                let ran = self.host.to_canonical(&self.runaway, call, document.clone());
                let before = cpu();
                let failed = self.runtime.block_on(ran).map(drop);
                assert!(matches!(failed, Err(Failure::Limit { .. })), "{failed:?}");
                cpu() - before
            })
            .collect();
        stopped.sort();
        println!(
            "a runaway is stopped after {:.1} ms of CPU (median of 50; at most {:.1} ms), its budget is {:.1} ms",
            stopped[25].as_secs_f64() * 1e3,
            stopped[49].as_secs_f64() * 1e3,
            budget.as_secs_f64() * 1e3
        );
        let quiet = self.latencies(&document);
        let going = Arc::new(AtomicBool::new(true));
        let (host, runaway, busy, sent) =
            (self.host.clone(), self.runaway.clone(), going.clone(), document.clone());
        let hostile = self.runtime.spawn(async move {
            while busy.load(Ordering::Relaxed) {
                // One after the other, as fast as they are stopped.
                let _ = host.to_canonical(&runaway, call("hostile"), sent.clone()).await;
            }
        });
        // Until it has wasted what nobody has to wait for.
        std::thread::sleep(Duration::from_millis(500));
        let beside = self.latencies(&document);
        going.store(false, Ordering::Relaxed);
        self.runtime.block_on(hostile).expect("the hostile caller ends");
        println!(
            "a neighbour's call, p50 and p99 in µs: alone {quiet}, beside a caller that sends only runaways {beside}"
        );
    }

    fn latencies(&self, document: &Document) -> String {
        let mut taken: Vec<Duration> = self.runtime.block_on(async {
            let mut taken = Vec::with_capacity(2_000);
            for _ in 0..2_000 {
                let started = Instant::now();
                self.map("acme-3pl", document).await.expect("it is mapped");
                taken.push(started.elapsed());
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
            taken
        });
        taken.sort();
        format!("{:.0} / {:.0}", taken[1_000].as_secs_f64() * 1e6, taken[1_980].as_secs_f64() * 1e6)
    }

    async fn map(&self, partner: &str, document: &Document) -> Result<Duration, Failure> {
        let ran = self.host.to_canonical(&self.mapper, call(partner), document.clone()).await?;
        Ok(black_box(ran).usage.cpu)
    }
}

fn confirmation(lines: usize) -> Document {
    let mut text = Vec::new();
    document::Template::new(lines).write(1, &mut text);
    Document { media_type: "application/json".to_owned(), content: text.into(), parameters: Vec::new() }
}

fn call(partner: &str) -> Call {
    let context = Context {
        partner: partner.to_owned(),
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
    let partner = PartnerName::new(partner).expect("a name");
    Call { partner, context, tables: Arc::new(Tables::default()), limits: Limits::default() }
}

/// Microseconds of CPU a call, after some to warm up.
fn each<T>(calls: u32, mut work: impl FnMut() -> T) -> f64 {
    for _ in 0..calls / 10 {
        black_box(work());
    }
    let before = cpu();
    for _ in 0..calls {
        black_box(work());
    }
    micros(cpu() - before, calls)
}

fn micros(time: Duration, calls: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(calls)
}

fn cpu() -> Duration {
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let usage = usage();
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn page_faults() -> i64 {
    usage().ru_minflt
}

/// What this process used so far.
fn usage() -> libc::rusage {
    // SAFETY: rusage is plain data for which zeroes are a value, and the call fills it.
    unsafe {
        let mut usage = std::mem::zeroed();
        assert_eq!(
            libc::getrusage(libc::RUSAGE_SELF, &raw mut usage),
            0,
            "a process may ask for its own usage"
        );
        usage
    }
}

/// Resident memory in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / (1 << 20) as f64
}
