//! One run: clients post, targets fail, the gateway is killed again and again; what all of them saw is the history.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use crossdock_tests::{ACME_KEY, Estate, Gateway, PATIENCE, Reply, binary, mappers, open, until};
use http_body_util::{BodyExt, Full};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::{process::Command, sync::watch, task::JoinSet, time::timeout};

use crate::{
    churn,
    history::{Answered, Doc, History, PER_ORDER, Stored},
    rough::{Log, Rough, TIMEOUT},
};

/// Where ship confirmations go, by subscription.
pub const TARGETS: [&str; 3] = ["globex-sap", "nordfracht-tms", "customer-portal"];
/// The operation that is called.
const CONFIRMATIONS: &str = "/shipments/confirmations";
/// Between two tries of a client; a new address ends it at once.
const CLIENT_PAUSE: Duration = Duration::from_millis(5);
/// A gateway that does not answer for so long hangs.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(20);

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Everything random comes from it.
    pub seed: u64,
    /// How often the gateway is killed.
    pub kills: u32,
    /// Clients at the same time, each with orders and a connection of its own.
    pub clients: usize,
    /// Whether policies are reloaded and mappers swapped all the while.
    pub churn: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Kills of a serving gateway and of one that was coming up.
    pub kills: u32,
    /// Documents that were answered with a receipt.
    pub accepted: usize,
    /// Calls that reached targets.
    pub arrivals: usize,
    /// Those of them that a target dropped because it had taken the same before.
    pub duplicates: usize,
    /// Reloads and swaps that were in force or under way when a kill came.
    pub changes: u32,
}

/// Runs it.
///
/// # Errors
/// The gateway did not come up, did not drain, or did not deliver in time.
pub async fn run(shape: Shape, folder: &Path) -> anyhow::Result<(History, Tally)> {
    let log = Log::new(shape.seed);
    let (estate, _targets) = estate(&log).await?;
    let data = folder.join("data");
    let clients = Arc::new(Clients::default());
    let mut posting = JoinSet::new();
    for _ in 0..shape.clients {
        posting.spawn(Arc::clone(&clients).post());
    }
    let mut random = StdRng::seed_from_u64(shape.seed ^ 0x6b69_6c6c);
    let mut tally = Tally::default();
    while tally.kills < shape.kills {
        if random.random_range(0..4) == 0 {
            kill_at_start(&estate, &data, random.random_range(0..150)).await?;
        } else {
            kill_in_service(shape, &estate, &data, &clients, &mut random, &mut tally).await?;
        }
        tally.kills += 1;
    }
    log.calm();
    let gateway = Gateway::start(&estate, &data).await.context("after the last kill")?;
    clients.address.send_replace(Some(gateway.address.clone()));
    clients.stop.store(true, Ordering::Relaxed);
    timeout(PATIENCE, posting.join_all()).await.context("the clients did not get their answers")?;
    all_delivered(&gateway).await?;
    let answered = clients.answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut odd = clients.odd.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let again = ask_again(&gateway, &answered, &mut odd).await?;
    let stored = read_journal(&gateway).await?;
    ensure!(gateway.stop().await? == Some(0), "the gateway did not end in good order");
    let arrivals = log.arrivals();
    tally.accepted = answered.len();
    tally.arrivals = arrivals.len();
    let mut seen = std::collections::HashSet::new();
    tally.duplicates =
        arrivals.iter().filter(|call| call.taken && !seen.insert((call.target, &call.id))).count();
    Ok((History { targets: TARGETS.to_vec(), answered, again, stored, arrivals, odd }, tally))
}

/// The worked estate with rough targets, quick retries, and no limit that would slow the clients down.
///
/// # Errors
/// It cannot be copied, or no port is free.
pub async fn estate(log: &Arc<Log>) -> anyhow::Result<(Estate, Vec<Rough>)> {
    let mut estate = unlimited()?;
    let mut targets = Vec::new();
    for name in TARGETS {
        let target = Rough::start(name, Arc::clone(log)).await?;
        estate = estate.edit(&format!("targets/{name}.yaml"), |text| {
            let url = format!("url: http://{}/in", target.address);
            let kept =
                text.lines().filter(|line| !["timeout:", "retry:"].iter().any(|key| line.starts_with(key)));
            let lines = kept.map(|line| if line.starts_with("url:") { &url } else { line });
            let mut text = lines.collect::<Vec<_>>().join("\n");
            text += &format!("\ntimeout: {}ms\n", TIMEOUT.as_millis());
            text += "retry: { first: 20ms, factor: 2, cap: 200ms, give_up_after: 1h }\n";
            // Failures come at random here: an open circuit would only make the run longer.
            text + "breaker: { samples: 10000, in_a_row: 10000 }\n"
        })?;
        targets.push(target);
    }
    Ok((estate, targets))
}

/// Waits until no delivery is pending.
///
/// # Errors
/// Some still are when patience ends.
pub async fn all_delivered(gateway: &Gateway) -> anyhow::Result<()> {
    until("all is delivered", async || {
        let status = gateway.ask("status").await?;
        Ok(status["store"]["pending"].as_array().is_some_and(Vec::is_empty))
    })
    .await
}

/// The worked estate without limits for the warehouse.
///
/// # Errors
/// It cannot be copied.
pub fn unlimited() -> anyhow::Result<Estate> {
    Estate::new()?.edit("partners/acme-3pl.yaml", |text| {
        let limits = "limits: { rate: 100000/s, burst: 100000, concurrency: 1024 }";
        let lines = text.lines().map(|line| if line.starts_with("limits:") { limits } else { line });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// The command that serves, for tests that need more of the process than the harness gives.
pub fn serve(estate: &Estate, data: &Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policies"]);
    command.arg(estate.folder()).arg("--data").arg(data);
    for mapper in mappers() {
        command.arg("--mapper").arg(mapper);
    }
    command.env("CROSSDOCK_LOG", "warn").kill_on_drop(true);
    command
}

/// Kills it on its way up: while it verifies, recovers the log, or compiles.
async fn kill_at_start(estate: &Estate, data: &Path, after_ms: u64) -> anyhow::Result<()> {
    let null = std::process::Stdio::null;
    let mut child = serve(estate, data).stdin(null()).stdout(null()).stderr(null()).spawn()?;
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    child.kill().await.context("kill")
}

/// Lets it serve some documents and kills it at any moment after that.
async fn kill_in_service(
    shape: Shape,
    estate: &Estate,
    data: &Path,
    clients: &Clients,
    random: &mut StdRng,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let gateway =
        Gateway::start(estate, data).await.with_context(|| format!("after {} kills", tally.kills))?;
    clients.address.send_replace(Some(gateway.address.clone()));
    let wanted = clients.count() + random.random_range(0..120);
    let moment = Duration::from_micros(random.random_range(0..5000));
    let seed = random.random();
    let served = async {
        let mut count = clients.accepted.subscribe();
        timeout(PATIENCE, count.wait_for(|count| *count >= wanted))
            .await
            .context("nothing was accepted any more")??;
        tokio::time::sleep(moment).await;
        anyhow::Ok(())
    };
    if shape.churn {
        tokio::select! {
            served = served => served?,
            changed = churn::forever(&gateway, estate, seed, &mut tally.changes) => changed?,
        }
    } else {
        served.await?;
    }
    gateway.kill().await?;
    clients.address.send_replace(None);
    Ok(())
}

/// Those who send ship confirmations.
#[derive(Default)]
struct Clients {
    /// Where the gateway is; none while it is down.
    address: watch::Sender<Option<String>>,
    /// How many were accepted.
    accepted: watch::Sender<usize>,
    stop: AtomicBool,
    orders: AtomicU32,
    answered: Mutex<Vec<Answered>>,
    odd: Mutex<Vec<String>>,
}

impl Clients {
    fn count(&self) -> usize {
        *self.accepted.borrow()
    }

    /// One client: an order after the other, each document after the one before it was acknowledged.
    async fn post(self: Arc<Self>) {
        let mut line = None;
        let mut address = self.address.subscribe();
        while !self.stop.load(Ordering::Relaxed) {
            let order = self.orders.fetch_add(1, Ordering::Relaxed);
            for place in 0..PER_ORDER {
                let doc = Doc { order, place };
                match acknowledged(doc, &mut line, &mut address).await {
                    Ok(receipt) => {
                        let answered = Answered { doc, receipt };
                        self.answered.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
                        self.accepted.send_modify(|count| *count += 1);
                    }
                    Err(odd) => {
                        let odd = format!("{}: {odd:#}", doc.token());
                        self.odd.lock().unwrap_or_else(PoisonError::into_inner).push(odd);
                        break;
                    }
                }
            }
        }
    }
}

/// A connection, while it stands.
pub type Line = Option<hyper::client::conn::http1::SendRequest<Full<Bytes>>>;

/// Sends a document until it is acknowledged, as partners do: the same key after a broken connection and after every
/// answer that says to try again.
async fn acknowledged(
    doc: Doc,
    line: &mut Line,
    address: &mut watch::Receiver<Option<String>>,
) -> anyhow::Result<Value> {
    loop {
        let at = address.wait_for(Option::is_some).await?.clone().unwrap_or_default();
        let reply = timeout(CLIENT_PATIENCE, send(doc, line, &at)).await.context("no answer in time")?;
        match reply {
            Ok(reply) if reply.status == 202 => return reply.json(),
            Ok(reply) => {
                let problem = reply.json()?;
                if problem["retryable"] != Value::Bool(true) {
                    bail!("{} {problem}", reply.status);
                }
            }
            Err(_) => *line = None,
        }
        let _ = timeout(CLIENT_PAUSE, address.changed()).await;
    }
}

/// Sends a document on a connection, opening one where there is none.
///
/// # Errors
/// No whole answer came.
pub async fn send(doc: Doc, line: &mut Line, address: &str) -> anyhow::Result<Reply> {
    if line.as_ref().is_none_or(|line| line.is_closed()) {
        *line = Some(open(address).await?);
    }
    let line = line.as_mut().context("it was just opened")?;
    line.ready().await?;
    let mut request = http::Request::post(CONFIRMATIONS).header("host", address);
    for (name, value) in headers(doc) {
        request = request.header(name, value);
    }
    let (head, body) = line.send_request(request.body(Full::new(document(doc)))?).await?.into_parts();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
}

fn headers(doc: Doc) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("authorization", format!("Bearer {ACME_KEY}")),
        ("content-type", "application/edi-x12".to_owned()),
    ];
    if doc.keyed() {
        headers.push(("idempotency-key", doc.token()));
    }
    headers
}

/// The document itself; always the same bytes.
fn document(doc: Doc) -> Bytes {
    let number = format!("{:09}", u64::from(doc.order) * u64::from(PER_ORDER) + u64::from(doc.place) + 1);
    let token = doc.token();
    include_str!("../../gateway/src/cli/demo/documents/template.945.edi")
        .replace("{order}", &format!("{:010}", 8_000_000_000 + u64::from(doc.order)))
        .replace("{control}", &number)
        .replace("{group}", number.trim_start_matches('0'))
        .replace("{po}", "PO-77120")
        .replace("{bol}", &token)
        .replace("{pro}", &token)
        .into()
}

/// The same keys with the same documents once more.
///
/// # Errors
/// No answer came.
pub async fn ask_again(
    gateway: &Gateway,
    answered: &[Answered],
    odd: &mut Vec<String>,
) -> anyhow::Result<Vec<Answered>> {
    let mut line = None;
    let mut again = Vec::new();
    for doc in answered.iter().map(|answered| answered.doc).filter(|doc| doc.keyed()) {
        let reply = send(doc, &mut line, &gateway.address).await?;
        if reply.status != 202 || reply.header("idempotency-replayed") != "true" {
            odd.push(format!("{} asked again: {} {}", doc.token(), reply.status, reply.text()));
            continue;
        }
        again.push(Answered { doc, receipt: reply.json()? });
    }
    Ok(again)
}

/// Every accepted message, by way of the operators' door.
///
/// # Errors
/// It cannot be read.
pub async fn read_journal(gateway: &Gateway) -> anyhow::Result<Vec<Stored>> {
    let mut stored = Vec::new();
    let mut page = "messages?state=accepted&limit=1000".to_owned();
    loop {
        let listed = gateway.ask(&page).await?;
        let ids =
            listed["messages"].as_array().context("a list")?.iter().filter_map(|found| found["id"].as_str());
        let mut last = None;
        for id in ids {
            let found = gateway.ask(&format!("messages/{id}")).await?;
            let text = found["document"]["text"].as_str().context("a document")?;
            let doc = Doc::find(text).context("a document of this run")?;
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let deliveries = found["deliveries"].as_array().context("deliveries")?;
            let deliveries = deliveries.iter().map(|found| (word(&found["target"]), word(&found["state"])));
            stored.push(Stored { doc, receipt: found["receipt"].clone(), deliveries: deliveries.collect() });
            last = Some(id.to_owned());
        }
        let Some(last) = last else { return Ok(stored) };
        page = format!("messages?state=accepted&limit=1000&before={last}");
    }
}
