//! The story: what happens to one order and its neighbours, a step a function. Each step does something as a partner or
//! an operator would, looks at what came of it, and judges.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{
    Step,
    caller::{ACME_KEY, Answer, GLOBEX_KEY, Partner},
    estate::Estate,
    systems::Arrived,
};
use crate::{
    cli::client::encode,
    mapper::{Host, with_manifest},
    words::Clock,
};

const ORDER: &str = include_str!("documents/order.idoc.xml");
const SHIPPED: &str = include_str!("documents/shipped.945.edi");
const OVERSHIPPED: &str = include_str!("documents/overshipped.945.edi");
const TEMPLATE: &str = include_str!("documents/template.945.edi");
const UNDER_WAY: &str = include_str!("documents/under-way.json");
const DELIVERED: &str = include_str!("documents/delivered.json");

/// The order that the story follows.
const FOLLOWED: &str = "0080001234";

/// Tells every step.
pub(super) async fn tell(
    estate: &mut Estate,
    clock: &dyn Clock,
    told: &mut impl FnMut(Step),
) -> anyhow::Result<()> {
    let listen = estate.running.listen;
    let erp = Partner::new(listen, GLOBEX_KEY, "application/xml");
    let wms = Partner::new(listen, ACME_KEY, "application/edi-x12");
    let carrier = Partner::new(listen, &estate.issuer.token(clock.now())?, "application/json");
    told(order_released(estate, &erp).await?);
    told(shipment_dispatched(estate, &wms).await?);
    told(shipment_under_way(estate, &carrier).await?);
    told(known_facts_are_suppressed(estate, &carrier).await?);
    told(mistake_is_refused_with_its_place(&wms).await?);
    told(caller_is_throttled(&erp).await?);
    told(target_is_down_and_recovers(estate, &wms).await?);
    told(policy_changes_while_it_runs(estate).await?);
    told(mapper_is_swapped_under_traffic(estate, &wms).await?);
    told(order_is_followed(estate).await?);
    Ok(())
}

async fn order_released(estate: &Estate, erp: &Partner) -> anyhow::Result<Step> {
    let answer = erp.post("/orders/releases", ORDER).await?;
    let arrived = estate.wms.wait_for(&format!("W05*N*{FOLLOWED}"), 1).await;
    let lines = arrived.first().map_or(0, |found| found.text.matches("W01*").count());
    let wanted = ORDER.matches("<E1EDL24 ").count();
    let mut text = vec![
        "The ERP releases an order to the warehouse   globex → acme-wms".to_owned(),
        format!("came in    SAP IDoc DELVRY03, {} bytes", ORDER.len()),
    ];
    text.extend(excerpt(
        ORDER,
        &["<VBELN>", "<POSNR>000010", "<ARKTX>Strudel blueberry", "<LFIMG>240", "<VRKME>"],
        5,
    ));
    text.extend(became(&answer));
    text.push(went("acme-wms", "X12 940", &answer, arrived.first()));
    text.extend(sent(arrived.first(), &["W05*", "N1*ST", "W01*", "G69*"], 5));
    Ok(Step {
        name: "order-released",
        ok: answer.status == 202 && arrived.len() == 1 && lines == wanted,
        figures: json!({ "status": answer.status, "arrived": arrived.len(), "lines": lines, "lines_wanted": wanted,
            "receipt_ms": millis(answer.took), "delivery_ms": after(&answer, arrived.first()) }),
        lines: text,
    })
}

async fn shipment_dispatched(estate: &Estate, wms: &Partner) -> anyhow::Result<Step> {
    let answer = wms.post("/shipments/confirmations", SHIPPED).await?;
    let erp = estate.erp.wait_for(&format!("<VBELN>{FOLLOWED}</VBELN>"), 1).await;
    let tms = estate.tms.wait_for("NF20264711", 1).await;
    let portal = estate.portal.wait_for("shipment.dispatched", 1).await;
    let labels = SHIPPED.matches("MAN*GM*").count();
    let units = erp.first().map_or(0, |found| found.text.matches("<EXIDV>").count());
    let mut text = vec![
        "The warehouse ships it, one line short   acme-3pl → globex-sap, nordfracht-tms, customer-portal"
            .to_owned(),
        format!("came in    X12 945, {} bytes", SHIPPED.len()),
    ];
    text.extend(excerpt(SHIPPED, &["W06*", "W27*", "W12*CP", "MAN*"], 4));
    text.extend(became(&answer));
    text.push(went("globex-sap", "SAP IDoc SHPCON", &answer, erp.first()));
    text.extend(sent(erp.first(), &["<MESTYP>", "<BOLNR>", "<CHARG>L19301", "<EXIDV>"], 4));
    text.push(went("nordfracht-tms", "EasyPost tracker request", &answer, tms.first()));
    text.extend(sent(tms.first(), &[""], 1));
    text.push(went("customer-portal", "CloudEvents JSON", &answer, portal.first()));
    Ok(Step {
        name: "shipment-dispatched",
        ok: answer.status == 202
            && [&erp, &tms, &portal].iter().all(|found| found.len() == 1)
            && units == labels,
        figures: json!({ "status": answer.status, "at_erp": erp.len(), "at_tms": tms.len(), "at_portal": portal.len(),
            "packs": units, "packs_wanted": labels, "receipt_ms": millis(answer.took), "delivery_ms": after(&answer, erp.first()) }),
        lines: text,
    })
}

async fn shipment_under_way(estate: &Estate, carrier: &Partner) -> anyhow::Result<Step> {
    let answer = carrier.post("/tracking/milestones", UNDER_WAY).await?;
    let wanted = history(UNDER_WAY) + 1;
    let arrived = estate.portal.wait_for("\"shipment.milestone\"", wanted).await;
    let mut text = vec![
        "The carrier reports where it is, with a token   nordfracht → customer-portal".to_owned(),
        format!("came in    EasyPost tracker event, JSON, {} bytes", UNDER_WAY.len()),
    ];
    text.extend(excerpt(
        UNDER_WAY,
        &["\"tracking_code\"", "\"message\": \"Departed", "\"status_detail\": \"departed"],
        3,
    ));
    text.extend(became(&answer));
    text.push(went("customer-portal", "CloudEvents JSON", &answer, arrived.first()));
    Ok(Step {
        name: "shipment-under-way",
        ok: answer.status == 202 && arrived.len() == wanted,
        figures: json!({ "status": answer.status, "events": events(&answer).len(), "arrived": arrived.len(), "wanted": wanted }),
        lines: text,
    })
}

async fn known_facts_are_suppressed(estate: &Estate, carrier: &Partner) -> anyhow::Result<Step> {
    let before = estate.portal.arrived().len();
    let answer = carrier.post("/tracking/milestones", DELIVERED).await?;
    let repeats = events(&answer).iter().filter(|event| event["outcome"] == "repeats").count();
    let known = history(UNDER_WAY);
    let fresh = events(&answer).len() - repeats;
    let delivered = estate.portal.wait_for("\"shipment.delivered\"", 1).await;
    let new_fact = history(DELIVERED) - history(UNDER_WAY);
    estate.portal.wait_for("", before + new_fact).await;
    let arrived = estate.portal.arrived().len() - before;
    let text = vec![
        "It is delivered; the carrier sends its whole history again   nordfracht → customer-portal"
            .to_owned(),
        format!("came in    {} entries, {known} of them known before", history(DELIVERED)),
        format!(
            "became     {fresh} new events; {repeats} repeats, which the receipt names, and nobody gets twice"
        ),
        went("customer-portal", "shipment.delivered", &answer, delivered.first()),
    ];
    Ok(Step {
        name: "known-facts-suppressed",
        ok: answer.status == 202
            && repeats == known
            && fresh == new_fact
            && arrived == new_fact
            && delivered.len() == 1,
        figures: json!({ "status": answer.status, "repeats": repeats, "new": fresh, "arrived": arrived, "wanted": new_fact }),
        lines: text,
    })
}

async fn mistake_is_refused_with_its_place(wms: &Partner) -> anyhow::Result<Step> {
    let answer = wms.post("/shipments/confirmations", OVERSHIPPED).await?;
    let first = &answer.body["errors"][0];
    let at = &first["at"];
    let place = at["path"].as_str().unwrap_or_default();
    let (offset, length) = (at["offset"].as_u64().unwrap_or(0), at["length"].as_u64().unwrap_or(0));
    let pointed = usize::try_from(offset).ok().zip(usize::try_from(offset + length).ok());
    let pointed = pointed.and_then(|(from, to)| OVERSHIPPED.get(from..to)).unwrap_or_default();
    let text = vec![
        "A mistake is refused, with its place in the sender's own document   acme-3pl".to_owned(),
        format!("came in    X12 945, {} bytes: 40 cases shipped of 24 ordered", OVERSHIPPED.len()),
        format!("answered   {} {}", answer.status, answer.body["title"].as_str().unwrap_or_default()),
        format!(
            "           fault {}, retryable {}",
            shown(&answer.body["fault"]),
            shown(&answer.body["retryable"])
        ),
        format!("place      {place}, byte {offset}: `{pointed}`"),
        format!("           {}", shown(&first["message"])),
    ];
    Ok(Step {
        name: "mistake-refused",
        ok: answer.status == 422
            && pointed == "40"
            && place.ends_with("W12/3")
            && answer.body["fault"] == "caller",
        figures: json!({ "status": answer.status, "place": place, "offset": offset, "points_at": pointed }),
        lines: text,
    })
}

async fn caller_is_throttled(erp: &Partner) -> anyhow::Result<Step> {
    // More than the partner's burst, as fast as one connection goes.
    let (mut served, mut refused, mut field) = (0, None, String::new());
    for _ in 0..400 {
        let answer = erp.get("/messages/01JD8Q2M7T6V9K3H5X0YB4N8RC").await?;
        if answer.status == 429 {
            let header = |name: &str| {
                answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
            };
            field = format!("Retry-After: {}   RateLimit: {}", header("retry-after"), header("ratelimit"));
            refused = Some(header("retry-after"));
            break;
        }
        served += 1;
    }
    let wait = refused.as_deref().and_then(|wait| wait.parse::<u64>().ok());
    let text = vec![
        "A caller in a hurry is throttled   globex".to_owned(),
        format!(
            "asked      {} calls at once; its partner file allows 50 a second, 100 in a burst",
            served + 1
        ),
        format!("answered   {served} served, then 429   {field}"),
    ];
    Ok(Step {
        name: "caller-throttled",
        ok: wait.is_some_and(|wait| wait >= 1) && served >= 100,
        figures: json!({ "served": served, "retry_after": wait }),
        lines: text,
    })
}

async fn target_is_down_and_recovers(estate: &mut Estate, wms: &Partner) -> anyhow::Result<Step> {
    estate.erp.go_down().await;
    // Three partial shipments of one order, one after the other: their order must be kept.
    let order = "0080001260";
    let mut accepted = 0;
    for part in 1..=3 {
        accepted += u32::from(
            wms.post("/shipments/confirmations", confirmation(order, 700 + part)).await?.status == 202,
        );
    }
    let query = "deliveries?target=globex-sap&state=ready";
    let mut tried = 0;
    let down = Instant::now();
    while tried == 0 && down.elapsed() < Duration::from_secs(10) {
        let found = estate.admin.get(query).await?;
        let rows = found["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
        tried = rows.iter().filter_map(|row| row["attempts"].as_u64()).max().unwrap_or(0);
        sleep(Duration::from_millis(10)).await;
    }
    let during = estate.erp.arrived().iter().filter(|found| found.text.contains(order)).count();
    let away = down.elapsed();
    estate.erp.come_back().await?;
    let back = Instant::now();
    let arrived = estate.erp.wait_for(&format!("<VBELN>{order}</VBELN>"), 3).await;
    let recovered = back.elapsed();
    let bills: Vec<String> =
        arrived.iter().filter_map(|found| between(&found.text, "<BOLNR>", "<")).collect();
    let wanted: Vec<String> = (1..=3).map(|part| format!("BOL-{}", 700 + part)).collect();
    let text = vec![
        "A system is down, and gets everything in order when it is back   globex-sap".to_owned(),
        format!(
            "meanwhile  {accepted} shipments of order {order} accepted with 202; attempts failed: {tried}, arrived: {during}"
        ),
        format!("back       after {}; all of it there {} later", brief(away), brief(recovered)),
        format!("order      {}", bills.join(", ")),
    ];
    Ok(Step {
        name: "target-recovers",
        ok: accepted == 3 && tried >= 1 && during == 0 && bills == wanted,
        figures: json!({ "accepted": accepted, "attempts_while_down": tried, "arrived_while_down": during,
            "recovered_ms": millis(recovered), "order": bills }),
        lines: text,
    })
}

async fn policy_changes_while_it_runs(estate: &Estate) -> anyhow::Result<Step> {
    let before = estate.running.policies.now().revision.clone();
    estate.edit("partners/acme-3pl.yaml", |text| {
        text.replace("rate: 50/s, burst: 100", "rate: 5000/s, burts: 5000")
    })?;
    let waited = Instant::now();
    while estate.running.policies.refused().is_none() && waited.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(1)).await;
    }
    let refused = estate.running.policies.refused();
    let kept = estate.running.policies.now().revision == before;
    estate.edit("partners/acme-3pl.yaml", |text| text.replace("burts: 5000", "burst: 5000"))?;
    let saved = Instant::now();
    while estate.running.policies.now().revision == before && saved.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(1)).await;
    }
    let took = saved.elapsed();
    let now = estate.running.policies.now().revision.clone();
    let report = refused.as_deref().unwrap_or_default();
    let why = report.lines().find(|line| line.contains("burts")).unwrap_or_default().to_owned();
    let text = vec![
        "A governor raises a limit while it runs   partners/acme-3pl.yaml".to_owned(),
        format!("mistyped   {why}; revision {before} stays in force"),
        format!("corrected  50 → 5000 requests a second, revision {before} → {now}"),
        format!("           in force {} after it was saved", brief(took)),
    ];
    Ok(Step {
        name: "policy-changed",
        ok: why.contains("burts") && kept && now != before,
        figures: json!({ "refused": why, "kept": kept, "before": before, "after": now, "save_to_enforced_ms": millis(took) }),
        lines: text,
    })
}

/// What the callers of the swap saw.
#[derive(Default)]
struct Seen {
    by_digest: BTreeMap<String, u64>,
    failed: u64,
    mixed: u64,
    slowest: Duration,
}

async fn mapper_is_swapped_under_traffic(estate: &Estate, wms: &Partner) -> anyhow::Result<Step> {
    let built =
        estate.mappers.iter().find(|built| built.name == "x12-wms").context("the estate has x12-wms")?;
    let wasm = std::fs::read(&built.wasm)?;
    let found = Host::inspect(&wasm).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut manifest = found.manifest.context("it was built with a manifest")?;
    manifest.version = "1.0.1".to_owned();
    let candidate = with_manifest(&wasm, &manifest);
    let (stop, stopped) = watch::channel(false);
    let mut callers = JoinSet::new();
    for caller in 0..4 {
        callers.spawn(post_until(wms.clone(), caller, stopped.clone()));
    }
    sleep(Duration::from_millis(400)).await;
    let pushed = estate.admin.upload("mappers", "application/wasm", candidate.into()).await?;
    sleep(Duration::from_millis(400)).await;
    stop.send_replace(true);
    let mut seen = Seen::default();
    while let Some(ended) = callers.join_next().await {
        let ended = ended??;
        seen.failed += ended.failed;
        seen.mixed += ended.mixed;
        seen.slowest = seen.slowest.max(ended.slowest);
        for (digest, count) in ended.by_digest {
            *seen.by_digest.entry(digest).or_default() += count;
        }
    }
    let (old, new) = (shown(&pushed["before"]["digest"]), shown(&pushed["live"]["digest"]));
    let count = |digest: &str| seen.by_digest.get(digest).copied().unwrap_or(0);
    let strangers = seen.by_digest.keys().filter(|digest| **digest != old && **digest != new).count();
    let (by_old, by_new) = (count(&old), count(&new));
    let text = vec![
        "A mapper is swapped under traffic   x12-wms 1.0.0 → 1.0.1".to_owned(),
        format!(
            "traffic    {} shipments by 4 callers; slowest answer {}",
            by_old + by_new,
            brief(seen.slowest)
        ),
        format!(
            "swap       took {} µs, revision now {}",
            shown(&pushed["took_micros"]),
            shown(&pushed["revision"])
        ),
        format!(
            "mapped by  {by_old} by {}, {by_new} by {}; {} failed",
            short(&old),
            short(&new),
            seen.failed
        ),
    ];
    Ok(Step {
        name: "mapper-swapped",
        ok: seen.failed == 0 && seen.mixed == 0 && strangers == 0 && by_old > 0 && by_new > 0 && old != new,
        figures: json!({ "by_old": by_old, "by_new": by_new, "failed": seen.failed, "saw_two_versions": seen.mixed,
            "swap_micros": pushed["took_micros"], "slowest_ms": millis(seen.slowest) }),
        lines: text,
    })
}

async fn post_until(wms: Partner, caller: u32, stopped: watch::Receiver<bool>) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut revisions: BTreeMap<String, String> = BTreeMap::new();
    let mut number = caller * 100_000;
    while !*stopped.borrow() {
        number += 1;
        let answer = wms
            .post("/shipments/confirmations", confirmation(&format!("S{number}"), 10_000 + number))
            .await?;
        seen.slowest = seen.slowest.max(answer.took);
        if answer.status != 202 {
            seen.failed += 1;
            continue;
        }
        let digest = shown(&answer.body["mapper_digest"]);
        // One revision never maps with two mappers.
        let known = revisions.entry(shown(&answer.body["revision"])).or_insert_with(|| digest.clone());
        seen.mixed += u64::from(*known != digest);
        *seen.by_digest.entry(digest).or_default() += 1;
    }
    Ok(seen)
}

async fn order_is_followed(estate: &Estate) -> anyhow::Result<Step> {
    let found =
        estate.admin.get(&format!("events?limit=100&key={}", encode(&format!("order:{FOLLOWED}")))).await?;
    let mut rows = found["events"].as_array().cloned().unwrap_or_default();
    let tracked = rows.iter().find_map(|row| {
        let data = &row["event"]["data"];
        let carrier = data["carrier"]["references"].as_array().into_iter().flatten();
        let own = data["references"].as_array().into_iter().flatten();
        let found = carrier.chain(own).find(|found| found["kind"] == "pro" || found["kind"] == "tracking")?;
        found["value"].as_str().map(str::to_owned)
    });
    if let Some(number) = &tracked {
        let key = encode(&format!("tracking:{number}"));
        let more = estate.admin.get(&format!("events?limit=100&key={key}")).await?;
        rows.extend(more["events"].as_array().cloned().unwrap_or_default());
    }
    let mut milestones: Vec<(String, String, String)> = rows.iter().map(milestone).collect();
    milestones.sort();
    let mut text = vec![
        format!("Where order {FOLLOWED} stands, across three systems"),
        format!(
            "           joined by order {FOLLOWED} and tracking number {}",
            tracked.as_deref().unwrap_or("-")
        ),
    ];
    text.extend(milestones.iter().map(|(when, what, who)| format!("{when:<26} {what:<44} {who}")));
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["event"]["type"].as_str()).collect();
    let has = |kind: &str| kinds.contains(&kind);
    let partners: std::collections::BTreeSet<_> = rows.iter().map(|row| shown(&row["partner"])).collect();
    let whole = ["order.released", "shipment.dispatched", "shipment.milestone", "shipment.delivered"]
        .into_iter()
        .all(has);
    Ok(Step {
        name: "order-followed",
        ok: whole && partners.len() == 3,
        figures: json!({ "events": rows.len(), "partners": partners, "tracking": tracked,
            "milestones": milestones.iter().map(|(when, what, _)| json!({ "at": when, "what": what })).collect::<Vec<_>>() }),
        lines: text,
    })
}

/// When, what, and whose system said so.
fn milestone(row: &Value) -> (String, String, String) {
    let event = &row["event"];
    let when =
        ["time", "localtime", "recordedtime"].iter().find_map(|name| event[*name].as_str()).unwrap_or("-");
    let data = &event["data"];
    let detail = data["milestone"].as_str().map(|what| format!(" {what}")).unwrap_or_default();
    let place = data["place"]["address"]["city"].as_str().map(|city| format!(", {city}")).unwrap_or_default();
    (when.to_owned(), format!("{}{detail}{place}", shown(&event["type"])), shown(&row["partner"]))
}

/// A 945 of one line under an order and bill of lading of its own.
fn confirmation(order: &str, number: u32) -> String {
    let values = [
        ("{order}", order.to_owned()),
        ("{bol}", format!("BOL-{number}")),
        ("{pro}", format!("NFX{number}")),
        ("{po}", format!("PGC-{number}")),
        ("{control}", format!("{number:09}")),
        ("{group}", number.to_string()),
    ];
    values.iter().fold(TEMPLATE.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Entries of a tracker's history.
fn history(document: &str) -> usize {
    document.matches("\"TrackingDetail\"").count()
}

fn events(answer: &Answer) -> &[Value] {
    answer.body["events"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What a document became, a line for each kind of event.
fn became(answer: &Answer) -> Vec<String> {
    if answer.status != 202 {
        return vec![format!("answered   {} {}", answer.status, shown(&answer.body["detail"]))];
    }
    let mut lines = Vec::new();
    for (index, event) in events(answer).iter().take(4).enumerate() {
        let label = if index == 0 { "became" } else { "" };
        let keys = crate::cli::show::keys(&event["keys"]);
        lines.push(format!("{label:<10} {}   {keys}", shown(&event["type"])));
    }
    let receipt =
        format!("receipt    {} in {}, durable", shown(&answer.body["message_id"]), brief(answer.took));
    lines.push(receipt);
    lines
}

fn went(target: &str, what: &str, answer: &Answer, arrived: Option<&Arrived>) -> String {
    match arrived {
        None => format!("went to    {target}: nothing arrived"),
        Some(found) => {
            let took = found.at.saturating_duration_since(answer.at);
            format!(
                "went to    {target}   {what}, {} bytes, {} after the receipt",
                found.text.len(),
                brief(took)
            )
        }
    }
}

/// Lines of what a system received.
fn sent(arrived: Option<&Arrived>, marks: &[&str], most: usize) -> Vec<String> {
    arrived.map(|found| excerpt(&found.text.replace('~', "~\n"), marks, most)).unwrap_or_default()
}

/// The lines of a document that have a mark, in the document's order.
fn excerpt(document: &str, marks: &[&str], most: usize) -> Vec<String> {
    let lines = document.lines().map(str::trim).filter(|line| !line.is_empty());
    let shown = lines.filter(|line| marks.iter().any(|mark| line.contains(mark))).take(most);
    shown.map(|line| format!("             {}", line.chars().take(78).collect::<String>())).collect()
}

fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(value, _)| value.to_owned())
}

fn shown(value: &Value) -> String {
    crate::cli::show::text(value)
}

fn short(digest: &str) -> String {
    digest.chars().take(8).collect()
}

fn brief(took: Duration) -> String {
    crate::observe::brief(took)
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn after(answer: &Answer, arrived: Option<&Arrived>) -> Option<f64> {
    arrived.map(|found| millis(found.at.saturating_duration_since(answer.at)))
}
