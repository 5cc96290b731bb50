//! The envelope in which an event leaves the gateway when no mapper writes the document: CloudEvents 1.0.

use serde_json::{Map, Value};

use crate::words::{Document, Event, MessageId};

/// Where the schemas are found, by the `$id` that they carry.
const SCHEMAS: &str = "https://crossdock.dev/canonical";

/// Room for an envelope's text around its data.
const ENVELOPE: usize = 1024;

/// The event as a CloudEvent in JSON. `partitionkey` and `sequence` are CloudEvents' own extensions; ours are
/// `correlationid` (the flow's own key), `causationid` (the message that brought it), `identity`, `corrects`,
/// `recordedtime`, and `localtime` where nobody knows the moment at which it occurred.
pub fn cloud_event(event: &Event, message: MessageId) -> Value {
    let mut envelope = envelope(event, message);
    let data = serde_json::from_slice(&event.data).expect("an event's data is canonical JSON");
    envelope.insert("data".to_owned(), data);
    Value::Object(envelope)
}

/// The envelope without its data.
fn envelope(event: &Event, message: MessageId) -> Map<String, Value> {
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
    envelope
}

/// Appends the CloudEvent's text. The data is JSON already and is copied, not read and written again.
fn write(event: &Event, message: MessageId, text: &mut Vec<u8>) {
    serde_json::to_writer(&mut *text, &envelope(event, message)).expect("a list of bytes takes everything");
    let closed = text.pop();
    debug_assert_eq!(closed, Some(b'}'), "an envelope is an object");
    text.extend_from_slice(b",\"data\":");
    text.extend_from_slice(&event.data);
    text.push(b'}');
}

/// Events as a document: one as a CloudEvent, any other number as a batch.
pub fn document(events: &[Event], message: MessageId) -> Document {
    let mut text = Vec::with_capacity(events.iter().map(|event| event.data.len() + ENVELOPE).sum());
    let media_type = match events {
        [event] => {
            write(event, message, &mut text);
            "application/cloudevents+json"
        }
        events => {
            text.push(b'[');
            for (index, event) in events.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(event, message, &mut text);
            }
            text.push(b']');
            "application/cloudevents-batch+json"
        }
    };
    Document { media_type: media_type.to_owned(), content: text.into(), parameters: Vec::new() }
}
