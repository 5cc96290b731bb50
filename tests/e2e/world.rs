//! The worked estate with a small system at each of its ends.

use std::path::Path;

use anyhow::ensure;
use crossdock_tests::{ACME_KEY, Estate, GLOBEX_KEY, Gateway, Receiver, Reply, root};
use serde_json::Value;
use tempfile::TempDir;

pub const CONFIRMATIONS: &str = "/shipments/confirmations";
pub const RELEASES: &str = "/orders/releases";
pub const MILESTONES: &str = "/tracking/milestones";

/// Headers of a 945 of `acme-3pl`.
pub const ACME: [(&str, &str); 2] = [("x-api-key", ACME_KEY), ("content-type", "application/edi-x12")];
/// Headers of an IDoc of `globex`.
pub const GLOBEX: [(&str, &str); 2] = [("x-api-key", GLOBEX_KEY), ("content-type", "application/xml")];

/// A gateway that serves the worked estate; the systems behind it are ours.
pub struct World {
    pub gateway: Gateway,
    pub estate: Estate,
    pub data: TempDir,
    pub wms: Receiver,
    pub sap: Receiver,
    pub tms: Receiver,
    pub portal: Receiver,
}

impl World {
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(Ok).await
    }

    /// The same on a changed estate.
    pub async fn with(change: impl FnOnce(Estate) -> anyhow::Result<Estate>) -> anyhow::Result<Self> {
        let (wms, sap) = (Receiver::start().await?, Receiver::start().await?);
        let (tms, portal) = (Receiver::start().await?, Receiver::start().await?);
        let estate = Estate::new()?
            .target("acme-wms", &wms)?
            .target("globex-sap", &sap)?
            .target("nordfracht-tms", &tms)?
            .target("customer-portal", &portal)?;
        let estate = change(estate)?;
        let data = tempfile::tempdir()?;
        let gateway = Gateway::start(&estate, data.path()).await?;
        Ok(Self { gateway, estate, data, wms, sap, tms, portal })
    }

    /// Posts a ship confirmation as `acme-3pl`.
    pub async fn confirm(&self, document: impl Into<bytes::Bytes>) -> anyhow::Result<Reply> {
        self.gateway.post(CONFIRMATIONS, &ACME, document).await
    }

    /// Posts one under an idempotency key.
    pub async fn confirm_as(&self, key: &str, document: impl Into<bytes::Bytes>) -> anyhow::Result<Reply> {
        let headers = [ACME[0], ACME[1], ("idempotency-key", key)];
        self.gateway.post(CONFIRMATIONS, &headers, document).await
    }
}

/// The receipt of an answer that must be one.
pub fn receipt(reply: &Reply) -> anyhow::Result<Value> {
    ensure!(reply.status == 202, "{} {}", reply.status, reply.text());
    reply.json()
}

/// A document of the demo.
pub fn document(name: &str) -> anyhow::Result<String> {
    read(&root().join("gateway/src/cli/demo/documents").join(name))
}

/// The input of a mapper's case.
pub fn case(mapper: &str, case: &str) -> anyhow::Result<String> {
    read(&root().join("plugins").join(mapper).join("cases").join(case))
}

/// A 945 of an order; each `number` is another shipment.
pub fn confirmation(order: &str, number: u32) -> anyhow::Result<String> {
    let values = [
        ("{order}", order.to_owned()),
        ("{bol}", format!("BOL-{number:07}")),
        ("{pro}", format!("NF{number:08}")),
        ("{po}", format!("PO-{order}")),
        ("{control}", format!("{number:09}")),
        ("{group}", number.to_string()),
    ];
    let template = document("template.945.edi")?;
    Ok(values.iter().fold(template, |text, (name, value)| text.replace(name, value)))
}

/// Limits that a busy test does not meet.
pub fn generous(estate: Estate) -> anyhow::Result<Estate> {
    estate.edit("partners/acme-3pl.yaml", |text| {
        text.replace("rate: 50/s, burst: 100, concurrency: 32", "rate: 9000/s, burst: 9000, concurrency: 500")
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}
