//! Events and name-value pairs as people write them in files: in a mapper's cases and on the command line.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use crate::words::{Draft, Pairs};

/// The schema version of an event that names none.
const SCHEMA_VERSION: &str = "1.0";

/// An event in a file: a mapper's draft with its data in plain sight.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "schema_version")]
    schema_version: String,
    #[serde(default)]
    natural_key: PairsForm,
    #[serde(default)]
    order_keys: PairsForm,
    #[serde(default)]
    sequence: Option<String>,
    #[serde(default)]
    corrects: PairsForm,
    #[serde(default)]
    occurred_at: Option<String>,
    data: Value,
}

fn schema_version() -> String {
    SCHEMA_VERSION.to_owned()
}

/// Pairs as `[["order", "8841"]]` or as `{"order": "8841"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PairsForm(pub Pairs);

impl<'de> Deserialize<'de> for PairsForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(&Value::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// Reads pairs in either form.
pub(super) fn pairs(value: &Value) -> Result<Pairs, String> {
    let wrong = || format!("{value} is not pairs: [[\"name\", \"value\"]] or {{\"name\": \"value\"}}");
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(wrong()),
    };
    match value {
        Value::Null => Ok(Pairs::new()),
        Value::Object(map) => map.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect(),
        Value::Array(list) => list
            .iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([name, value]) => Ok((text(name)?, text(value)?)),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// Reads one event: in the form of the case files, or a CloudEvent as the gateway shows it.
pub(super) fn draft(value: &Value) -> Result<Draft, String> {
    let written = match value.as_object() {
        Some(map) if map.contains_key("specversion") => from_cloud_event(map)?,
        Some(_) => Written::deserialize(value).map_err(|error| error.to_string())?,
        None => return Err("an event is an object with `type` and `data`".to_owned()),
    };
    let data = serde_json::to_vec(&written.data).map_err(|error| error.to_string())?;
    Ok(Draft {
        kind: written.kind,
        schema_version: written.schema_version,
        natural_key: written.natural_key.0,
        order_keys: written.order_keys.0,
        sequence: written.sequence,
        corrects: written.corrects.0,
        occurred_at: written.occurred_at,
        data: Bytes::from(data),
    })
}

/// Reads a file of events: an array, one event, or JSON lines as `plugin run --json` prints them.
pub(super) fn drafts(text: &[u8]) -> Result<Vec<Draft>, String> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        match value.map_err(|error| format!("not JSON: {error}"))? {
            Value::Array(list) => values.extend(list),
            Value::Object(mut line) if line.contains_key("kind") => match line.remove("event") {
                Some(event) => values.push(event),
                // The other lines of a run (diagnostics, the receipt) say nothing about events.
                None => continue,
            },
            other => values.push(other),
        }
    }
    if values.is_empty() {
        return Err("there is no event in it".to_owned());
    }
    let each = values.iter().enumerate();
    each.map(|(index, value)| draft(value).map_err(|error| format!("event {}: {error}", index + 1))).collect()
}

/// Whether a value is events rather than somebody's document.
pub(super) fn is_events(value: &Value) -> bool {
    let event =
        |value: &Value| value.get("type").is_some_and(Value::is_string) && value.get("data").is_some();
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(event))
}

/// The envelope carries less than the draft did: of the natural key only its first value, of the order keys the first.
fn from_cloud_event(map: &Map<String, Value>) -> Result<Written, String> {
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let flow = text("partitionkey").unwrap_or_default();
    let flow = flow.split_once(':').map(|(kind, value)| (kind.to_owned(), value.to_owned()));
    Ok(Written {
        kind: text("type").ok_or("a CloudEvent has a `type`")?,
        schema_version: schema_version(),
        natural_key: PairsForm(
            text("subject").map(|value| ("subject".to_owned(), value)).into_iter().collect(),
        ),
        order_keys: PairsForm(flow.into_iter().collect()),
        sequence: text("sequence"),
        corrects: PairsForm::default(),
        occurred_at: text("time").or_else(|| text("localtime")),
        data: map.get("data").cloned().ok_or("a CloudEvent of the gateway has `data`")?,
    })
}

/// A draft in the form of the case files, whole.
pub(super) fn show_whole(draft: &Draft) -> Value {
    let mut value = show(draft);
    value["schema_version"] = json!(draft.schema_version);
    value
}

/// A draft in the form of the case files; what is empty or usual is left out.
pub(super) fn show(draft: &Draft) -> Value {
    let mut map = Map::new();
    map.insert("type".into(), json!(draft.kind));
    if draft.schema_version != SCHEMA_VERSION {
        map.insert("schema_version".into(), json!(draft.schema_version));
    }
    for (name, pairs) in [
        ("natural_key", &draft.natural_key),
        ("order_keys", &draft.order_keys),
        ("corrects", &draft.corrects),
    ] {
        if !pairs.is_empty() {
            map.insert(name.into(), json!(pairs));
        }
    }
    for (name, text) in [("sequence", &draft.sequence), ("occurred_at", &draft.occurred_at)] {
        if let Some(text) = text {
            map.insert(name.into(), json!(text));
        }
    }
    let text = || Value::String(String::from_utf8_lossy(&draft.data).into_owned());
    map.insert("data".into(), serde_json::from_slice(&draft.data).unwrap_or_else(|_| text()));
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_and_shown_alike() {
        let value = json!({"type": "order.released", "natural_key": [["order", "8841"]], "occurred_at": "2026-11-20",
            "order_keys": [["order", "8841"]], "data": {"lines": [1, "20.0"]}});
        assert_eq!(show(&draft(&value).unwrap()), value);
    }

    #[test]
    fn pairs_are_read_in_both_forms_and_refused_in_others() {
        let expected = vec![("order".to_owned(), "1".to_owned())];
        assert_eq!(pairs(&json!([["order", "1"]])), Ok(expected.clone()));
        assert_eq!(pairs(&json!({"order": "1"})), Ok(expected));
        for wrong in [json!([["order"]]), json!({"order": [1]}), json!("order"), json!([1])] {
            assert!(pairs(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_read_from_an_array_one_object_or_lines() {
        let array = r#"[{"type":"a","data":{}},{"type":"b","data":{}}]"#;
        let lines = "{\"kind\":\"event\",\"event\":{\"specversion\":\"1.0\",\"type\":\"a\",\"data\":{}}}\n\
            {\"kind\":\"receipt\",\"digest\":\"x\"}\n";
        let kinds = |text: &str| {
            drafts(text.as_bytes())
                .map(|drafts| drafts.into_iter().map(|draft| draft.kind).collect::<Vec<_>>())
        };
        assert_eq!(kinds(array).unwrap(), ["a", "b"]);
        assert_eq!(kinds(lines).unwrap(), ["a"]);
        let keyed = lines.replace("\"type\"", "\"partitionkey\":\"order:8841:2\",\"type\"");
        assert_eq!(
            drafts(keyed.as_bytes()).unwrap()[0].order_keys,
            [("order".to_owned(), "8841:2".to_owned())]
        );
        assert_eq!(kinds(r#"{"type":"a","data":{}}"#).unwrap(), ["a"]);
        for wrong in
            ["", "[]", "[{\"type\":\"a\"}]", "{\"type\":\"a\",\"data\":{},\"tpye\":1}", "ISA*00", "[1]"]
        {
            assert!(kinds(wrong).is_err(), "{wrong}");
        }
    }
}
