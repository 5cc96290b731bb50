//! The envelope in which an event leaves the gateway when no mapper writes the document: CloudEvents 1.0.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::words::{Document, Event, MessageId};

/// Where the schemas are found, by the `$id` that they carry.
const SCHEMAS: &str = "https://crossdock.dev/canonical";

/// The event as a CloudEvent in JSON. `partitionkey` and `sequence` are CloudEvents' own extensions; ours are
/// `correlationid` (the flow's own key), `causationid` (the message that brought it), `identity`, `corrects`,
/// `recordedtime`, and `localtime` where nobody knows the moment at which it occurred.
pub fn cloud_event(event: &Event, message: MessageId) -> Value {
    let mut envelope = Map::new();
    let mut set = |name: &str, value: String| envelope.insert(name.to_owned(), Value::String(value));
    set("specversion", "1.0".to_owned());
    set("id", event.id.to_string());
    set("source", event.source.clone());
    set("type", event.kind.clone());
    set("datacontenttype", "application/json".to_owned());
    set("dataschema", format!("{SCHEMAS}/{}/{}.json", crossdock_canonical::MODEL, event.kind));
    if let Some((_, value)) = event.natural_key.first() {
        set("subject", value.clone());
    }
    if let Some(occurred) = &event.occurred_at {
        // CloudEvents' `time` is a moment; a local time in its place would be read as one.
        let moment = occurred.parse::<jiff::Timestamp>().is_ok();
        set(if moment { "time" } else { "localtime" }, occurred.clone());
    }
    if let Some(key) = event.order_keys.first() {
        let flow = format!("{}:{}", key.kind, key.value);
        set("partitionkey", flow.clone());
        set("correlationid", flow);
    }
    if let Some(sequence) = &event.sequence {
        set("sequence", sequence.clone());
    }
    set("causationid", message.to_string());
    set("identity", event.identity.0.to_string());
    if let Some(corrected) = event.corrects {
        set("corrects", corrected.0.to_string());
    }
    set("recordedtime", event.recorded_at.to_string());
    let data = serde_json::from_slice(&event.data).expect("an event's data is canonical JSON");
    envelope.insert("data".to_owned(), data);
    Value::Object(envelope)
}

/// Events as a document: one as a CloudEvent, any other number as a batch.
pub fn document(events: &[Event], message: MessageId) -> Document {
    let (media_type, value) = match events {
        [event] => ("application/cloudevents+json", cloud_event(event, message)),
        events => {
            let batch = events.iter().map(|event| cloud_event(event, message)).collect();
            ("application/cloudevents-batch+json", Value::Array(batch))
        }
    };
    Document {
        media_type: media_type.to_owned(),
        content: Bytes::from(value.to_string()),
        parameters: Vec::new(),
    }
}
