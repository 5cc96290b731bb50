//! Measures one gateway: what each step of a proxied call costs, how fast documents become durable, and how fast
//! their events are delivered, and what a thousand swaps of the mapper do to them. `tests/bench/run` builds what it needs and starts it.

mod document;
mod gateway;
mod http;
mod load;
mod swap;
mod target;

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::{runtime::Builder, task::LocalSet, time::sleep};

use document::Template;
use gateway::{Gateway, Serving, bind};
use load::{Load, Outcome};
use target::Target;

/// Documents that one run may send.
const ROOM: usize = 4_000_000;
/// Order lines: 0.4, 4.4 and 20.7 KB.
const SIZES: [usize; 3] = [1, 40, 200];
/// The keys whose hashes are in `estate/partners`.
const QUIET: &str = "xd_bench_quiet_0000000000000000000000000000000000000001";
const LIMITED: &str = "xd_bench_limited_0000000000000000000000000000000000000002";
const HEARD: &str = "xd_bench_heard_0000000000000000000000000000000000000003";
/// The ways of a proxied call, each one step longer.
const WAYS: [(&str, &str, &str); 4] = [
    ("key", "/plain", QUIET),
    ("key + limits", "/limited", LIMITED),
    ("key + limits + schema", "/checked", LIMITED),
    ("key + limits + schema + mapper", "/mapped", LIMITED),
];

const HELP: &str =
    "usage: tests/bench/run [--seconds N] [--only proxy,exchange,delivery,swap] [--data DIR] [--json FILE]

  --seconds N  of load for each figure (4)
  --only       what to measure (all)
  --data DIR   where the gateway keeps its journal, on the disk that is meant (/var/tmp)
  --json FILE  also write every figure there";

struct Options {
    serving: Serving,
    seconds: u64,
    only: Vec<String>,
    data: PathBuf,
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let mut figures = Vec::new();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    if wanted("proxy") {
        figures.extend(measured(&options, &[0], &[1], proxy)?);
    }
    for (name, phase) in [("exchange", exchange as Phase), ("delivery", delivery), ("swap", swap::swap)] {
        if wanted(name) {
            figures.extend(measured(&options, &[0, 1], &[0, 1], phase)?);
        }
    }
    table(&figures);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    let wrong: u64 = figures.iter().filter_map(|row| row["wrong"].as_u64()).sum();
    if wrong > 0 {
        bail!("{wrong} answers were wrong or lost: the figures do not count");
    }
    Ok(())
}

fn options() -> anyhow::Result<Options> {
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set: start tests/bench/run"))
    };
    let serving =
        Serving { binary: from("CROSSDOCK")?, estate: from("BENCH_ESTATE")?, mapper: from("BENCH_MAPPER")? };
    let mut options = Options { serving, seconds: 4, only: Vec::new(), data: "/var/tmp".into(), json: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--help" {
            println!("{HELP}");
            std::process::exit(0);
        }
        let value = arguments.next().with_context(|| format!("{name} needs a value\n{HELP}"))?;
        match name.as_str() {
            "--seconds" => options.seconds = value.parse()?,
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            "--data" => options.data = value.into(),
            "--json" => options.json = Some(value.into()),
            _ => bail!("unknown option {name}\n{HELP}"),
        }
    }
    Ok(options)
}

/// What a phase works with.
struct Bench {
    gateway: Gateway,
    target: Rc<Target>,
    next: Rc<Cell<u64>>,
    time: Duration,
    mapper: PathBuf,
}

type Phase = fn(Rc<Bench>) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Vec<Value>>>>>;

/// Runs a phase on a gateway of its own, each on its cores.
fn measured(
    options: &Options,
    gateway_cores: &[usize],
    own_cores: &[usize],
    phase: Phase,
) -> anyhow::Result<Vec<Value>> {
    bind(own_cores)?;
    let data = tempfile::Builder::new().prefix("crossdock-bench-").tempdir_in(&options.data)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let target = Target::start(ROOM).await?;
        bind(gateway_cores)?;
        let gateway = start(&options.serving, data.path(), &target)?;
        bind(own_cores)?;
        let bench = Bench {
            gateway,
            target,
            next: Rc::new(Cell::new(1)),
            time: Duration::from_secs(options.seconds),
            mapper: options.serving.mapper.clone(),
        };
        phase(Rc::new(bench)).await
    })
}

fn start(serving: &Serving, data: &Path, target: &Target) -> anyhow::Result<Gateway> {
    Gateway::start(serving, data, target.address)
}

fn proxy(bench: Rc<Bench>) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Vec<Value>>>>> {
    Box::pin(async move {
        let mut rows = Vec::new();
        for lines in SIZES {
            for (name, path, key) in WAYS {
                let load = |time| bench.load(path, key, 200, lines, 32, time, None);
                load::run(load(Duration::from_secs(1)), &bench.target, &bench.next).await?;
                let (calls, cpu) = (bench.target.calls(), bench.gateway.cpu()?);
                let outcome = load::run(load(bench.time), &bench.target, &bench.next).await?;
                let cpu = bench.gateway.cpu()? - cpu;
                let lost = (outcome.took.len() as u64).abs_diff(bench.target.calls() - calls);
                rows.push(bench.row(&format!("proxy, {name}"), lines, &outcome, cpu, lost)?);
            }
        }
        Ok(rows)
    })
}

fn exchange(bench: Rc<Bench>) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Vec<Value>>>>> {
    Box::pin(async move {
        let mut rows = Vec::new();
        for lines in [1, 40] {
            let load = |time| bench.load("/exchange", QUIET, 202, lines, 64, time, None);
            load::run(load(Duration::from_secs(1)), &bench.target, &bench.next).await?;
            let cpu = bench.gateway.cpu()?;
            let outcome = load::run(load(bench.time), &bench.target, &bench.next).await?;
            let cpu = bench.gateway.cpu()? - cpu;
            rows.push(bench.row("exchange, durable receipt", lines, &outcome, cpu, bench.target.calls())?);
        }
        Ok(rows)
    })
}

fn delivery(bench: Rc<Bench>) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Vec<Value>>>>> {
    Box::pin(async move {
        let mut rows = Vec::new();
        for (name, rate) in
            [("exchange + delivery, 1,000/s", Some(1000)), ("exchange + delivery, flat out", None)]
        {
            let load = bench.load("/exchange", HEARD, 202, 40, 64, bench.time, rate);
            let (cpu, begun) = (bench.gateway.cpu()?, bench.target.now());
            let outcome = load::run(load, &bench.target, &bench.next).await?;
            let missing = bench.settled(&outcome).await;
            let cpu = bench.gateway.cpu()? - cpu;
            let arrivals = || {
                outcome.receipts.iter().filter_map(|(number, at)| Some((*at, bench.target.arrival(*number)?)))
            };
            // A delivery may arrive before its receipt was read.
            let mut waits: Vec<u64> =
                arrivals().map(|(receipt, arrival)| arrival.saturating_sub(receipt)).collect();
            waits.sort_unstable();
            let last = arrivals().map(|(_, arrival)| arrival).max().unwrap_or(begun);
            let mut row = bench.row(name, 40, &outcome, cpu, missing)?;
            row["delivered_per_s"] = (waits.len() as f64 / ((last - begun) as f64 / 1e6)).into();
            row["to_target_p50_ms"] = percentile(&waits, 50).into();
            row["to_target_p99_ms"] = percentile(&waits, 99).into();
            rows.push(row);
        }
        Ok(rows)
    })
}

impl Bench {
    #[expect(clippy::too_many_arguments, reason = "the columns of the table")]
    fn load(
        &self,
        path: &'static str,
        key: &'static str,
        status: u16,
        lines: usize,
        connections: usize,
        time: Duration,
        rate: Option<u32>,
    ) -> Load {
        Load {
            gateway: self.gateway.address,
            path,
            key,
            status,
            template: Template::new(lines),
            connections,
            time,
            rate,
            done: None,
        }
    }

    fn row(&self, name: &str, lines: usize, outcome: &Outcome, cpu: f64, lost: u64) -> anyhow::Result<Value> {
        let mut took = outcome.took.clone();
        took.sort_unstable();
        let (count, seconds) = (took.len().max(1) as f64, outcome.elapsed.as_secs_f64());
        Ok(json!({
            "name": name, "bytes": Template::new(lines).len(), "requests": took.len(), "per_s": took.len() as f64 / seconds,
            "cpu_us": cpu / count * 1e6, "cores": cpu / seconds, "p50_ms": percentile(&took, 50), "p99_ms": percentile(&took, 99),
            "wrong": outcome.wrong + lost, "memory_mib": self.gateway.memory()?,
        }))
    }

    /// Waits until all that was accepted has arrived, as long as something arrives; how many never did.
    async fn settled(&self, outcome: &Outcome) -> u64 {
        let missing =
            || outcome.receipts.iter().filter(|(number, _)| self.target.arrival(*number).is_none()).count();
        let (mut before, mut quiet) = (usize::MAX, 0);
        while quiet < 50 {
            let now = missing();
            if now == 0 {
                return 0;
            }
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            sleep(Duration::from_millis(100)).await;
        }
        before as u64
    }
}

/// A percentile of sorted microseconds, in milliseconds.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |micros| *micros as f64 / 1e3)
}

fn table(rows: &[Value]) {
    println!(
        "| what | doc B | req/s | CPU µs/req | cores | p50 ms | p99 ms | delivered/s | to target p50 ms | p99 ms | wrong | MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let number = |name: &str, digits: usize| {
            row[name].as_f64().map_or("–".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row["name"].as_str().unwrap_or_default(),
            row["bytes"],
            number("per_s", 0),
            number("cpu_us", 1),
            number("cores", 2),
            number("p50_ms", 2),
            number("p99_ms", 2),
            number("delivered_per_s", 0),
            number("to_target_p50_ms", 2),
            number("to_target_p99_ms", 2),
            row["wrong"],
            number("memory_mib", 0)
        );
    }
}
