//! `GET messages/{id}/bundle`: a message with all that mapping it again takes, for another machine without a gateway.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Admin, Refusal, again};
use crate::{
    mapper::WrittenTable,
    policy::differ,
    words::{Digest, MapperName, MessageId, Pairs, PartnerName, Revision, Time},
};

/// The form of a bundle.
pub const FORMAT: u32 = 1;

/// A message that can be mapped again anywhere. It holds the document: whoever has it has that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`FORMAT`].
    pub format: u32,
    /// The message.
    pub message_id: MessageId,
    /// Who sent it.
    pub partner: PartnerName,
    /// `api/operation`.
    pub operation: String,
    /// Version of the API.
    pub version: String,
    /// Sender of the interchange.
    pub sender: String,
    /// Its receiver.
    pub receiver: String,
    /// IANA zone for times that carry none.
    pub zone: Option<String>,
    /// When it was received.
    pub received_at: Time,
    /// The mapper's configuration.
    pub config: Value,
    /// CPU microseconds that every call has.
    pub cpu_micros: u64,
    /// Whether a rejected part leaves the others.
    pub partial: bool,
    /// The tables that the operation grants.
    pub tables: Vec<WrittenTable>,
    /// The revision that served it.
    pub revision_then: Revision,
    /// The revision that configuration and tables are of.
    pub revision_now: Revision,
    /// The document's media type.
    pub media_type: String,
    /// Its path and query.
    pub parameters: Pairs,
    /// Its bytes in base64.
    pub document: String,
    /// The mapper that read it.
    pub mapper: MapperName,
    /// Its digest.
    pub mapper_digest: Digest,
    /// Its bytes in base64.
    pub wasm: String,
    /// The events as they were stored, as [`differ::whole`] shows them.
    pub events: Vec<Value>,
}

pub(super) async fn of(admin: &Admin, id: MessageId) -> Result<Value, Refusal> {
    let policies = admin.gateway.policies.now();
    let stored = again::found(admin, &policies, id).await?;
    let again::Stored { receipt, document, mapping, partial } = &stored;
    let wasm = admin.gateway.policies.bytes(receipt.mapper_digest).await;
    let wasm = wasm.map_err(|error| again::no_mapper(receipt, error))?;
    let events = again::originals(admin, receipt).await?;
    let context = again::context(&policies, &stored);
    let bundle = Bundle {
        format: FORMAT,
        message_id: id,
        partner: receipt.partner.clone(),
        operation: receipt.operation.clone(),
        version: receipt.version.to_string(),
        sender: context.sender,
        receiver: context.receiver,
        zone: context.zone,
        received_at: receipt.received_at,
        config: serde_json::from_slice(&mapping.config).unwrap_or(Value::Null),
        cpu_micros: u64::try_from(mapping.limits.cpu.as_micros()).unwrap_or(u64::MAX),
        partial: *partial,
        tables: mapping.tables.written(),
        revision_then: receipt.revision.clone(),
        revision_now: policies.revision.clone(),
        media_type: document.media_type.clone(),
        parameters: document.parameters.clone(),
        document: STANDARD.encode(&document.content),
        mapper: receipt.mapper.clone(),
        mapper_digest: receipt.mapper_digest,
        wasm: STANDARD.encode(&wasm),
        events: events.iter().map(differ::whole).collect(),
    };
    Ok(serde_json::to_value(bundle).expect("names, numbers and texts"))
}
