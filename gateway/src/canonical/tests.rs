//! The canonical check, tried with good drafts, bad ones and whatever the schemas allow.

use canonical::{Canonical, Decimal, Identifier, Item, Line, Quantity, Reference, ShipmentDispatched};
use crossdock_canonical as canonical;
use proptest::prelude::*;
use serde::{Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;
use crate::words::{SystemRandom, json};

fn check(drafts: Vec<Draft>, zone: Option<&str>) -> Result<Vec<Event>, Error> {
    let partner = PartnerName::new("acme-3pl").unwrap();
    let api = ApiName::new("shipments").unwrap();
    let recorded_at = Time::from_millis(1_800_000_000_000);
    let origin =
        Origin { partner: &partner, api: &api, document: Digest::of(b"document"), recorded_at, zone };
    CANON.with(|canon| canon.check(drafts, &origin, &IdSource::new(), &SystemRandom))
}

thread_local! {
    static CANON: Canon = Canon::new();
}

fn draft(data: &Value) -> Draft {
    Draft {
        kind: "shipment.dispatched".into(),
        schema_version: "1.0".into(),
        natural_key: vec![("shipment".into(), "4711".into())],
        order_keys: vec![("order".into(), "8841-22".into())],
        sequence: None,
        corrects: Vec::new(),
        occurred_at: None,
        data: data.to_string().into(),
    }
}

fn broken(draft: Draft) -> Vec<(String, String)> {
    match check(vec![draft], None) {
        Err(Error::Broken(faults)) => faults
            .into_iter()
            .map(|fault| (fault.diagnostic.code, fault.diagnostic.at.unwrap().path))
            .collect(),
        other => panic!("not broken: {other:?}"),
    }
}

#[test]
fn a_typed_event_passes_and_is_canonical() {
    let dispatched = ShipmentDispatched {
        shipment: "4711".into(),
        references: vec![Reference::new("order", "8841-22")],
        dispatched: Some(canonical::Time::at("2026-11-20T14:05:00+01:00")),
        lines: vec![Line {
            number: "1".into(),
            item: Item { identifiers: vec![Identifier::gtin("4006381333932")], description: None },
            shipped: Some(Quantity::x12(Decimal::from(40), "CA")),
            ..Line::default()
        }],
        ..ShipmentDispatched::default()
    };
    let events = check(vec![draft(&serde_json::to_value(&dispatched).unwrap())], None).unwrap();
    let data = std::str::from_utf8(&events[0].data).unwrap();
    assert!(
        data.starts_with(
            r#"{"dispatched":{"at":"2026-11-20T14:05:00+01:00","basis":"offset"},"lines":[{"item":"#
        ),
        "{data}"
    );
    assert!(data.contains(r#""check":"invalid""#), "{data}");
    assert_eq!(events[0].source, "/acme-3pl/shipments");
    assert_eq!(events[0].data_digest, Digest::of(&events[0].data));
}

#[test]
fn what_breaks_the_model_is_named_with_its_place() {
    let fine = json!({"shipment": "4711"});
    let with = |change: fn(&mut Draft)| {
        let mut draft = draft(&fine);
        change(&mut draft);
        broken(draft)
    };
    let at = |code: &str, path: &str| vec![(code.to_owned(), path.to_owned())];
    assert_eq!(broken(draft(&json!({"shipment": 4711}))), at("schema", "/shipment"));
    assert_eq!(
        broken(draft(
            &json!({"shipment": "1", "lines": [{"number": "1", "item": {}, "shipped": {"value": 40}}]})
        )),
        at("schema", "/lines/0/shipped/value")
    );
    assert_eq!(broken(draft(&json!({"shipment": "1", "colour": "red"}))), at("schema", ""));
    assert_eq!(
        broken(draft(
            &json!({"shipment": "1", "extensions": {"acme": {"a/b": [9_007_199_254_740_993_u64]}}})
        )),
        at("inexact-number", "/extensions/acme/a~1b/0")
    );
    assert_eq!(
        broken(draft(
            &json!({"shipment": "1", "dispatched": {"local": "2026-02-30T10:00:00", "basis": "local"}})
        )),
        at("time", "/dispatched")
    );
    assert_eq!(
        broken(draft(
            &json!({"shipment": "1", "dispatched": {"local": "2026-02-03T10:00:00", "zone": "Mars/Base", "basis": "local"}})
        )),
        at("time", "/dispatched")
    );
    assert_eq!(with(|draft| draft.kind = "shipment.dispached".into()), at("unknown-type", ""));
    assert_eq!(with(|draft| draft.schema_version = "2.0".into()), at("unknown-version", ""));
    assert_eq!(with(|draft| draft.data = r#"{"shipment":"1","shipment":"2"}"#.into()), at("not-json", ""));
    assert_eq!(with(|draft| draft.data = Bytes::new()), at("not-json", ""));
    assert_eq!(with(|draft| draft.data = [b'['; 70].to_vec().into()), at("not-json", ""));
    assert_eq!(with(|draft| draft.natural_key = vec![("a".into(), "b".into()); 33]), at("key", ""));
    assert_eq!(with(|draft| draft.order_keys[0].1 = "x".repeat(257)), at("key", ""));
    assert_eq!(with(|draft| draft.order_keys[0].1 = String::new()), at("key", ""));
    assert_eq!(with(|draft| draft.occurred_at = Some("yesterday".into())), at("occurred-at", ""));
    assert_eq!(with(|draft| draft.occurred_at = Some("2026-11-20T14:05Z".into())), at("occurred-at", ""));
    assert_eq!(
        with(|draft| draft.occurred_at = Some("2026-11-20T14:05:00+01".into())),
        at("occurred-at", "")
    );
    assert_eq!(check(vec![draft(&fine); 1001], None), Err(Error::TooMany(1001)));
}

#[test]
fn an_unknown_type_suggests_the_near_one() {
    let mut wrong = draft(&json!({"shipment": "1"}));
    wrong.kind = "shipment.dispached".into();
    let error = check(vec![wrong], None).unwrap_err().to_string();
    assert!(error.contains("did you mean `shipment.dispatched`?"), "{error}");
}

#[test]
fn a_local_time_becomes_a_moment_where_the_zone_is_known() {
    let settled = |local: &str, zone: Option<&str>| {
        let events = check(
            vec![draft(&json!({"shipment": "1", "dispatched": {"local": local, "basis": "local"}}))],
            zone,
        )
        .unwrap();
        serde_json::from_slice::<Value>(&events[0].data).unwrap()["dispatched"].clone()
    };
    let berlin = Some("Europe/Berlin");
    assert_eq!(
        settled("2026-11-20T14:05:00", None),
        json!({"local": "2026-11-20T14:05:00", "basis": "local"})
    );
    assert_eq!(settled("2026-11-20", berlin), json!({"local": "2026-11-20", "basis": "local"}));
    assert_eq!(
        settled("2026-11-20T14:05:00", berlin),
        json!({"at": "2026-11-20T14:05:00+01:00", "local": "2026-11-20T14:05:00", "zone": "Europe/Berlin", "basis": "zone"})
    );
    let twice = settled("2026-10-25T02:30:00", berlin);
    assert_eq!(
        (&twice["at"], &twice["resolution"]),
        (&json!("2026-10-25T02:30:00+02:00"), &json!("ambiguous"))
    );
    let never = settled("2026-03-29T02:30:00", berlin);
    assert_eq!(
        (&never["at"], &never["resolution"]),
        (&json!("2026-03-29T03:30:00+02:00"), &json!("nonexistent"))
    );
}

#[test]
fn a_time_within_extensions_is_left_alone() {
    let data = json!({"shipment": "1", "extensions": {"acme": {"basis": "local", "local": "never"}}});
    let events = check(vec![draft(&data)], Some("Europe/Berlin")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&events[0].data).unwrap(), data);
}

#[test]
fn the_time_it_occurred_at_is_as_exact_as_it_is_known() {
    let occurred = |text: &str, zone: Option<&str>| {
        let mut draft = draft(&json!({"shipment": "1"}));
        draft.occurred_at = Some(text.into());
        check(vec![draft], zone).unwrap()[0].occurred_at.clone().unwrap()
    };
    let berlin = Some("Europe/Berlin");
    assert_eq!(occurred("2026-11-20T14:05:00-05:00", berlin), "2026-11-20T14:05:00-05:00");
    assert_eq!(occurred("2026-11-20T14:05:00", berlin), "2026-11-20T14:05:00+01:00");
    assert_eq!(occurred("2026-11-20T14:05:00[America/New_York]", berlin), "2026-11-20T14:05:00-05:00");
    assert_eq!(occurred("2026-11-20T14:05:00", None), "2026-11-20T14:05:00");
    assert_eq!(occurred("2026-11-20", berlin), "2026-11-20");
    assert_eq!(occurred("2026-11-20T14:05:00.123456789Z", None), "2026-11-20T14:05:00.123456789Z");
}

#[test]
fn the_same_fact_has_the_same_identity_and_another_has_not() {
    let identity = |pairs: &[(&str, &str)]| {
        let mut draft = draft(&json!({"shipment": "1"}));
        draft.natural_key = pairs.iter().map(|(kind, value)| ((*kind).into(), (*value).into())).collect();
        check(vec![draft], None).unwrap()[0].identity
    };
    assert_eq!(identity(&[("a", "1"), ("b", "2")]), identity(&[("b", "2"), ("a", "1")]));
    assert_ne!(identity(&[("a", "bc")]), identity(&[("ab", "c")]));
    assert_ne!(identity(&[("a", "1")]), identity(&[("a", "1"), ("b", "2")]));
    assert_eq!(identity(&[]), identity(&[]));

    let mut bare = draft(&json!({"shipment": "1"}));
    bare.natural_key.clear();
    let two = check(vec![bare.clone(), bare], None).unwrap();
    assert_ne!(two[0].identity, two[1].identity);
}

#[test]
fn a_correction_names_the_fact_that_it_corrects() {
    let first = draft(&json!({"shipment": "1"}));
    let mut second = draft(&json!({"shipment": "2"}));
    second.natural_key = vec![("shipment".into(), "4711-R".into())];
    second.corrects = first.natural_key.clone();
    let events = check(vec![first, second], None).unwrap();
    assert_eq!(events[1].corrects, Some(events[0].identity));
}

#[test]
fn an_event_leaves_as_a_cloud_event() {
    let mut draft = draft(&json!({"shipment": "4711"}));
    draft.occurred_at = Some("2026-11-20T14:05:00".into());
    let event = &check(vec![draft], None).unwrap()[0];
    let message = IdSource::new().message(event.recorded_at, &SystemRandom);
    let envelope = cloud_event(event, message);
    assert_eq!(envelope["type"], "shipment.dispatched");
    assert_eq!(envelope["partitionkey"], "order:8841-22");
    assert_eq!(envelope["dataschema"], "https://crossdock.dev/canonical/v1/shipment.dispatched.json");
    assert_eq!((&envelope["time"], &envelope["localtime"]), (&Value::Null, &json!("2026-11-20T14:05:00")));
    assert_eq!(envelope["data"]["shipment"], "4711");
    // CloudEvents 1.0: attribute names are lower-case letters and digits.
    let names = envelope.as_object().unwrap().keys();
    assert!(
        names.flat_map(|name| name.bytes()).all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    );
    assert_eq!(document(std::slice::from_ref(event), message).media_type, "application/cloudevents+json");
    assert_eq!(document(&[], message).content, Bytes::from_static(b"[]"));
    let read =
        |events: &[Event]| serde_json::from_slice::<Value>(&document(events, message).content).unwrap();
    assert_eq!(read(std::slice::from_ref(event)), cloud_event(event, message));
    let twice = [event.clone(), event.clone()];
    assert_eq!(read(&twice), Value::Array(twice.iter().map(|event| cloud_event(event, message)).collect()));
}

/// The names of a struct's fields, as serde asks a format for them.
fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
    struct Ask<'a>(&'a mut Vec<&'static str>);
    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = serde::de::value::Error;
        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only asked"))
        }
        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            self.deserialize_any(visitor)
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut found = Vec::new();
    assert!(T::deserialize(Ask(&mut found)).is_err());
    found.sort_unstable();
    found
}

fn defs() -> Value {
    serde_json::from_str::<Value>(canonical::DEFS).unwrap()["$defs"].take()
}

fn schema(kind: &str) -> Value {
    serde_json::from_str(canonical::schemas().iter().find(|(found, _)| *found == kind).unwrap().1).unwrap()
}

#[test]
fn types_and_schemas_have_the_same_fields() {
    fn same<T: DeserializeOwned>(name: &str, schema: &Value) {
        let mut named: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        named.sort_unstable();
        assert_eq!(fields::<T>(), named, "{name}");
    }
    macro_rules! events { ($($type:ident)*) => { $(same::<canonical::$type>(canonical::$type::KIND, &schema(canonical::$type::KIND));)* } }
    events!(OrderReleased OrderCancelled OrderAccepted OrderRejected ShipmentTendered ShipmentTenderAccepted ShipmentTenderDeclined
        ShipmentDispatched ShipmentMilestone
        ShipmentDelivered ShipmentCancelled ReceivingReceived InventoryCounted InventoryAdjusted FreightInvoiced
        BillingInvoiced BillingCredited);
    let defs = defs();
    macro_rules! parts { ($($type:ident $name:literal)*) => { $(same::<canonical::$type>($name, &defs[$name]);)* } }
    parts!(Time "time" Identifier "identifier" Quantity "quantity" Money "money" Measure "measure" Reference "reference"
        Code "code" Address "address" Contact "contact" Party "party" Place "place" Item "item" Lot "lot" Line "line"
        Content "content" Pack "pack" Carrier "carrier" Equipment "equipment" Temperature "temperature" Note "note"
        Dated "dated" Correction "correction" Totals "totals" Proof "proof" Stock "stock" Hazard "hazard" Stop "stop" Tax "tax" Charge "charge" Amount "amount"
        InvoiceLine "invoice-line");
}

#[test]
fn every_property_of_a_schema_is_described_and_closed() {
    fn look(value: &Value, path: &str) {
        if let Some(properties) =
            value.get("properties").and_then(Value::as_object).filter(|_| value["type"] == "object")
        {
            assert_eq!(value["additionalProperties"], false, "{path}");
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{path}/{name}");
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            look(inner, &format!("{path}/{name}"));
        }
    }
    for (kind, text) in canonical::schemas() {
        look(&serde_json::from_str(text).unwrap(), kind);
    }
}

/// Makes any value that a schema allows, choosing by the bytes of `choice`.
fn make(schema: &Value, name: &str, choice: &mut std::slice::Iter<'_, u8>, defs: &Value) -> Value {
    let pick = |choice: &mut std::slice::Iter<'_, u8>, of: usize| {
        usize::from(choice.next().copied().unwrap_or(0)) % of
    };
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.rsplit('/').next().unwrap();
        return match target {
            "decimal" => {
                json!(["0", "40", "-3.50", "0.000000000000000001", "999999999999999999"][pick(choice, 5)])
            }
            "time" => [
                json!({"at": "2026-11-20T14:05:00Z", "basis": "offset"}),
                json!({"local": "2026-11-20", "basis": "local", "classifier": "planned"}),
                json!({"local": "2026-11-20T14:05:00.25", "basis": "local", "zone": "Europe/Berlin"}),
            ][pick(choice, 3)]
            .clone(),
            "extensions" => json!({"acme": {"any": [1, null, 0.5, "x"]}}),
            target => make(&defs[target], target, choice, defs),
        };
    }
    if let Some(options) = schema["enum"].as_array() {
        return options[pick(choice, options.len())].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let properties = schema["properties"].as_object().unwrap().iter();
            let wanted: Vec<_> = properties
                .filter(|(name, _)| required.contains(&name.as_str()) || pick(choice, 2) == 1)
                .collect();
            wanted
                .into_iter()
                .map(|(name, property)| (name.clone(), make(property, name, choice, defs)))
                .collect()
        }
        Some("array") => (0..=pick(choice, 2)).map(|_| make(&schema["items"], name, choice, defs)).collect(),
        _ => match name {
            "expiry" | "produced" => json!("2027-03-31"),
            "unit" | "currency" | "country" => json!("KGM"),
            "kind" | "role" | "scheme" | "list" => json!("any-kind"),
            _ => json!(["x", "Größe 10", "a\"b\\c\u{1F4E6}"][pick(choice, 3)]),
        },
    }
}

fn round_trip<T: Canonical + PartialEq + std::fmt::Debug>(choice: &[u8]) -> Result<(), TestCaseError> {
    let made = make(&schema(T::KIND), "", &mut choice.iter(), &defs());
    let typed: T = serde_json::from_value(made.clone())
        .map_err(|error| TestCaseError::fail(format!("{error}: {made}")))?;
    let written = serde_json::to_value(&typed).unwrap();
    prop_assert_eq!(&written, &made);
    let mut draft = draft(&written);
    draft.kind = T::KIND.into();
    let events =
        check(vec![draft], Some("Europe/Berlin")).map_err(|error| TestCaseError::fail(error.to_string()))?;
    // What the gateway filled in has its place in the types, and checking again changes nothing.
    let settled: T = serde_json::from_slice(&events[0].data).unwrap();
    let mut again = super::tests::draft(&serde_json::to_value(&settled).unwrap());
    again.kind = T::KIND.into();
    prop_assert_eq!(&check(vec![again], Some("Europe/Berlin")).unwrap()[0].data, &events[0].data);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_schema_allows_the_types_carry_and_write_the_same(choice in proptest::collection::vec(any::<u8>(), 0..400)) {
        round_trip::<canonical::OrderReleased>(&choice)?;
        round_trip::<canonical::OrderCancelled>(&choice)?;
        round_trip::<ShipmentDispatched>(&choice)?;
        round_trip::<canonical::ShipmentMilestone>(&choice)?;
        round_trip::<canonical::ShipmentDelivered>(&choice)?;
        round_trip::<canonical::ShipmentTendered>(&choice)?;
        round_trip::<canonical::ShipmentTenderAccepted>(&choice)?;
        round_trip::<canonical::ShipmentTenderDeclined>(&choice)?;
        round_trip::<canonical::ShipmentCancelled>(&choice)?;
        round_trip::<canonical::OrderAccepted>(&choice)?;
        round_trip::<canonical::OrderRejected>(&choice)?;
        round_trip::<canonical::ReceivingReceived>(&choice)?;
        round_trip::<canonical::InventoryCounted>(&choice)?;
        round_trip::<canonical::InventoryAdjusted>(&choice)?;
        round_trip::<canonical::FreightInvoiced>(&choice)?;
        round_trip::<canonical::BillingInvoiced>(&choice)?;
        round_trip::<canonical::BillingCredited>(&choice)?;
    }

    #[test]
    fn the_short_way_writes_what_the_canonicalizer_writes(names in proptest::collection::vec("\\PC{1,3}|[a-z~/\"]{1,3}", 1..6), texts in proptest::collection::vec(".{0,8}", 1..6), number in any::<i32>(), fraction in any::<f64>(), whole in any::<bool>()) {
        let number = if whole { json!(number) } else { json!(fraction) };
        let members = names.iter().cycle().zip(&texts).map(|(name, text)| (name.clone(), json!([text, number, {name: text}, null, true])));
        // In the order that they come in, which is not that of their names.
        let members: serde_json::Map<String, Value> = members.collect();
        let text: Vec<String> = members.iter().rev().map(|(name, value)| format!("{} : {value}", json!(name))).collect();
        let text = format!("{{{}}}", text.join(" , "));
        let tree = json::tree(text.as_bytes(), DEPTH_MAX).unwrap();
        prop_assert_eq!(form::of(tree.root(), text.len(), None).unwrap(), serde_json_canonicalizer::to_vec(&members).unwrap());
    }

    #[test]
    fn no_draft_makes_it_panic(kind in "\\PC{0,20}|shipment.dispatched", data in proptest::collection::vec(any::<u8>(), 0..60), occurred in "\\PC{0,30}|2026-11-20T14:05:00\\PC{0,12}", key in "\\PC{0,10}") {
        let mut draft = draft(&Value::Null);
        draft.kind = kind;
        draft.data = data.into();
        draft.occurred_at = Some(occurred);
        draft.natural_key = vec![(key.clone(), key)];
        let _ = check(vec![draft], Some("Europe/Berlin"));
    }
}
