//! Callers: each has a connection of its own and waits for its answer before it calls again.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::LocalSet,
    time::{Instant as Tick, MissedTickBehavior, interval_at},
};

use crate::{document::Template, http::Reader, target::Target};

/// What is asked of the gateway.
pub struct Load {
    pub gateway: SocketAddr,
    pub path: &'static str,
    pub key: &'static str,
    pub status: u16,
    pub template: Template,
    pub connections: usize,
    pub time: Duration,
    /// Calls a second of all connections together; none for as many as the gateway answers.
    pub rate: Option<u32>,
    /// Ends the load before its time, where somebody says so; then what served each document is noted as well.
    pub done: Option<Rc<Cell<bool>>>,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Microseconds from call to answer.
    pub took: Vec<u64>,
    /// The number of each document, and when its answer was there, by the target's clock.
    pub receipts: Vec<(u64, u64)>,
    /// Answers of another status than asked for.
    pub wrong: u64,
    /// How many documents were served under which revision by which mapper, where that was asked for.
    pub seen: BTreeMap<(String, String), u64>,
    pub elapsed: Duration,
}

/// Runs the load. `next` is the number of the next document, each of which is sent once.
pub async fn run(load: Load, target: &Rc<Target>, next: &Rc<Cell<u64>>) -> anyhow::Result<Outcome> {
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let (load, started) = (Rc::new(load), Instant::now());
    let callers = LocalSet::new();
    let mut running = Vec::new();
    for index in 0..load.connections {
        let caller =
            call(index, Rc::clone(&load), Rc::clone(target), Rc::clone(next), Rc::clone(&outcome), started);
        running.push(callers.spawn_local(caller));
    }
    callers.await;
    for caller in running {
        caller.await??;
    }
    let mut outcome = outcome.take();
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

async fn call(
    index: usize,
    load: Rc<Load>,
    target: Rc<Target>,
    next: Rc<Cell<u64>>,
    outcome: Rc<RefCell<Outcome>>,
    started: Instant,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(load.gateway).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        load.path,
        load.gateway,
        load.key,
        load.template.len()
    );
    let mut pace = load.rate.map(|rate| {
        let every = Duration::from_secs(1).mul_f64(load.connections as f64 / f64::from(rate));
        let mut pace =
            interval_at(Tick::now() + every.mul_f64(index as f64 / load.connections as f64), every);
        // A caller that was late catches up: the rate is kept, and waiting shows as latency.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });
    let (mut reader, mut used, mut request) = (Reader::new(), 0, Vec::new());
    let done = || load.done.as_ref().is_some_and(|done| done.get());
    while started.elapsed() < load.time && !done() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let number = next.replace(next.get() + 1);
        request.clear();
        request.extend_from_slice(head.as_bytes());
        load.template.write(number, &mut request);
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let Some(length) = reader.next(&mut stream, used).await? else {
            stream = TcpStream::connect(load.gateway).await?;
            used = 0;
            outcome.borrow_mut().wrong += 1;
            continue;
        };
        used = length;
        let mut outcome = outcome.borrow_mut();
        if reader.message(length).status() == load.status {
            outcome.took.push(u64::try_from(sent.elapsed().as_micros())?);
            outcome.receipts.push((number, target.now()));
            if load.done.is_some() {
                let body = String::from_utf8_lossy(reader.message(length).body);
                let served = (member(&body, "revision"), member(&body, "mapper_digest"));
                *outcome.seen.entry(served).or_default() += 1;
            }
        } else {
            if outcome.wrong == 0 {
                eprintln!("{}", String::from_utf8_lossy(reader.message(length).body));
            }
            outcome.wrong += 1;
        }
    }
    Ok(())
}

/// A text in an answer, without the cost of reading all of it.
fn member(body: &str, name: &str) -> String {
    let after = body.split_once(&format!("\"{name}\":\"")).map(|(_, after)| after).unwrap_or_default();
    after.split('"').next().unwrap_or_default().to_owned()
}
