//! Every case and every real document, run natively; and what must hold for documents of any shape.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crossdock_mapper::{
    Context, Input, Mapped, Mapper, Recorded, Refusal,
    canonical::{
        Canonical, Carrier, Classifier, Identifier, Milestone, Reference, ShipmentDelivered,
        ShipmentDispatched, ShipmentMilestone,
    },
    serde_json::{self, Value, json},
    tables,
};
use easypost::EasyPost;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

#[test]
fn cases_hold() {
    crossdock_mapper::testing::cases::<EasyPost>(CASES);
}

#[test]
fn real_trackers_become_milestones() {
    let Some(folder) = samples() else { return };
    let milestones = |file: &str| -> Vec<(Milestone, Option<Classifier>, Option<String>)> {
        let mapped = read(&fs::read(folder.join(file)).unwrap()).unwrap();
        let data = mapped.events.iter().map(|event| event.data::<ShipmentMilestone>().unwrap());
        data.map(|told| (told.milestone, told.happened.classifier, told.happened.text())).collect()
    };
    let kinds = |told: &[(Milestone, Option<Classifier>, Option<String>)]| {
        told.iter().map(|told| told.0).collect::<Vec<_>>()
    };
    let tracker = milestones("tracker.json");
    assert_eq!(kinds(&tracker), [Milestone::Other, Milestone::Other, Milestone::DeliveryEstimated]);
    assert_eq!(tracker[2].1, Some(Classifier::Estimated));
    let event = milestones("event-tracker-updated.json");
    assert_eq!(
        kinds(&event),
        [
            Milestone::Other,
            Milestone::Arrived,
            Milestone::Arrived,
            Milestone::Departed,
            Milestone::InTransit,
            Milestone::InTransit,
            Milestone::Arrived,
            Milestone::DeliveryEstimated,
        ]
    );
    // The carrier names the day where it delivers, and nobody knows its zone.
    assert_eq!(event[7].2.as_deref(), Some("2024-08-05"));
}

#[test]
fn other_real_documents_are_refused_with_their_place() {
    let Some(folder) = samples() else { return };
    for file in ["refunds-list.json", "shipment-bought.json"] {
        let refusal = read(&fs::read(folder.join(file)).unwrap()).unwrap_err();
        let place = refusal.0[0].at.as_ref().unwrap();
        assert_eq!((refusal.0[0].code.as_str(), place.path.as_str()), ("not-a-tracker", "/object"), "{file}");
    }
}

#[test]
fn an_entry_is_the_same_fact_in_every_later_history() {
    let content = fs::read(format!("{CASES}/tracker-delivered/in.json")).unwrap();
    let whole = read(&content).unwrap().events;
    let mut tracker: Value = serde_json::from_slice(&content).unwrap();
    tracker["status"] = "in_transit".into();
    tracker["updated_at"] = "2026-11-25T00:00:00Z".into();
    tracker["tracking_details"].as_array_mut().unwrap().truncate(2);
    let earlier = read(tracker.to_string().as_bytes()).unwrap().events;
    for (early, late) in earlier.iter().zip(&whole).take(2) {
        assert_eq!(early.natural_key, late.natural_key);
    }
    let keys: std::collections::BTreeSet<_> = whole.iter().map(|event| event.natural_key.clone()).collect();
    assert_eq!(keys.len(), whole.len(), "each entry is a fact of its own");
}

#[test]
fn only_delivered_is_delivered() {
    for (status, detail) in [
        ("in_transit", "arrived_at_destination"),
        ("available_for_pickup", "arrived_at_destination"),
        ("out_for_delivery", "out_for_delivery"),
        ("return_to_sender", "return"),
        ("failure", "delivery_exception"),
    ] {
        let tracker = json!({"object": "Tracker", "tracking_code": "X", "est_delivery_date": "2026-11-26T00:00:00Z",
            "tracking_details": [{"status": status, "status_detail": detail, "datetime": "2026-11-25T00:00:00Z"}]});
        for event in read(tracker.to_string().as_bytes()).unwrap().events {
            assert!(!event.is::<ShipmentDelivered>(), "{status}/{detail}");
        }
    }
}

#[test]
fn a_bad_tracker_of_a_list_does_not_sink_its_neighbours() {
    let content = fs::read(format!("{CASES}/list-of-trackers/in.json")).unwrap();
    let mapped = read(&content).unwrap();
    let rejects: Vec<_> =
        mapped.rejects.iter().map(|reject| (reject.unit.as_str(), reject.at.path.as_str())).collect();
    assert_eq!(rejects, [("Tracker*9401", "/trackers/1"), ("Tracker*3", "/trackers/2")]);
    let at = mapped.rejects[0].diagnostics[0].at.as_ref().unwrap();
    assert_eq!(at.path, "/trackers/1/tracking_details/0/datetime");
    let start = usize::try_from(at.offset.unwrap()).unwrap();
    assert_eq!(&content[start..start + usize::try_from(at.length.unwrap()).unwrap()], b"\"soon\"");
}

#[test]
fn what_cannot_be_told_apart_is_remarked_on() {
    let content = fs::read(format!("{CASES}/out-of-order-and-twice/in.json")).unwrap();
    let mapped = read(&content).unwrap();
    let told: Vec<_> = mapped
        .diagnostics
        .iter()
        .map(|told| (told.code.as_str(), told.at.as_ref().unwrap().path.as_str()))
        .collect();
    assert_eq!(told, [("test", "/mode"), ("repeated", "/tracking_details/3")]);
}

#[test]
fn the_table_names_the_carrier_as_easypost_does() {
    tables::insert("carriers", &["FDEG"], &[("easypost", "FedEx")]);
    let request = |scac: &str| -> Value {
        let dispatched = ShipmentDispatched {
            shipment: "1".to_owned(),
            carrier: Some(Carrier {
                name: Some("Federal".to_owned()),
                identifiers: vec![Identifier::scac(scac)],
                references: vec![Reference::new("tracking", "7777")],
                ..Carrier::default()
            }),
            ..ShipmentDispatched::default()
        };
        let event = crossdock_mapper::Event::new(&dispatched);
        let output =
            EasyPost::from_canonical(&Context::default(), &[Recorded { event, ..Recorded::default() }])
                .unwrap();
        serde_json::from_slice(&output.content).unwrap()
    };
    assert_eq!(request("FDEG"), json!({"tracker": {"tracking_code": "7777", "carrier": "FedEx"}}));
    assert_eq!(request("ABFS")["tracker"]["carrier"], "Federal");
    let milestone = Recorded {
        event: crossdock_mapper::Event { kind: ShipmentMilestone::KIND.to_owned(), ..Default::default() },
        ..Recorded::default()
    };
    assert_eq!(
        EasyPost::from_canonical(&Context::default(), &[milestone]).unwrap_err().0[0].code,
        "wrong-event"
    );
}

#[test]
fn work_and_words_are_bounded() {
    let entries = |count: usize| -> Vec<Value> {
        let time = |nth| format!("2026-11-25T{:02}:{:02}:{:02}Z", nth / 3_600, nth / 60 % 60, nth % 60);
        (0..count).map(|nth| json!({"status": "in_transit", "datetime": time(nth)})).collect()
    };
    let tracker = |entries: Vec<Value>| {
        json!({"object": "Tracker", "tracking_code": "X", "tracking_details": entries}).to_string()
    };
    assert_eq!(read(tracker(entries(999)).as_bytes()).unwrap().events.len(), 999);
    assert_eq!(read(tracker(entries(20_000)).as_bytes()).unwrap_err().0[0].code, "too-many");
    let wrong =
        read(tracker(vec![json!({"status": 1, "datetime": "é".repeat(400)}); 900]).as_bytes()).unwrap_err();
    assert_eq!(wrong.0.len(), 100);
    assert!(wrong.0.iter().all(|wrong| wrong.message.len() < 200));
    let long = json!({"object": "x".repeat(100_000)}).to_string();
    assert!(read(long.as_bytes()).unwrap_err().0[0].message.len() < 200);
    assert_eq!(read("[".repeat(1_000_000).as_bytes()).unwrap_err().0[0].code, "not-understood");
}

#[test]
fn damaged_documents_never_panic() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for folder in fs::read_dir(CASES).unwrap() {
        let folder = folder.unwrap().path();
        let content = fs::read(folder.join("in.json")).or_else(|_| fs::read(folder.join("in.txt"))).unwrap();
        assert_eq!(read(&content), read(&content), "the same input gives the same outcome");
        for at in 0..content.len() {
            let _ = read(&content[..at]);
        }
        for _ in 0..2_000 {
            let mut damaged = content.clone();
            let at = usize::try_from(next()).unwrap() % damaged.len();
            match next() % 4 {
                0 => damaged[at] = next().to_le_bytes()[0],
                1 => damaged[at] = b"{}[],:\"\\0-.TZ+"[usize::try_from(next() % 14).unwrap()],
                2 => drop(damaged.remove(at)),
                _ => damaged.insert(at, damaged[at]),
            }
            if let Err(refusal) = read(&damaged) {
                assert!(refusal.0.iter().all(|wrong| wrong.at.is_some()));
            }
        }
    }
}

/// The real documents, which nobody in this project wrote.
fn samples() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let folder = std::env::var_os("CROSSDOCK_SAMPLES").map_or(usual, PathBuf::from).join("easypost");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is absent, and this is CI", folder.display());
    println!("skipped: {} is absent; CROSSDOCK_SAMPLES says where the real documents are", folder.display());
    None
}

fn read(content: &[u8]) -> Result<Mapped, Refusal> {
    let document =
        Input { media_type: "application/json".to_owned(), content: content.to_vec(), ..Input::default() };
    EasyPost::to_canonical(&Context::default(), &document)
}
