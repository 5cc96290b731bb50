//! Every case in `cases/` there and back, and every real document, run natively.

use std::fs;
use std::path::{Path, PathBuf};

use crossdock_mapper::serde_json::{self, Value, json};
use crossdock_mapper::{Context, Input, Mapped, Mapper, Recorded};
use x12_tms::X12Tms;

/// Places of cases where a document is read into more than the standard's own way of writing can say again.
const LOSSY: &[(&str, &str)] = &[
    // A point and one decimal, where the standard has two implied ones.
    ("210-amounts-with-a-point", "/amounts/0/money/amount"),
];

#[test]
fn what_is_written_says_the_same_when_it_is_read_again() {
    let mut compared = 0;
    let mut differing = Vec::new();
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let context = context(&folder);
        let Ok(mapped) = X12Tms::to_canonical(&context, &document(fs::read(folder.join("in.x12")).unwrap()))
        else {
            continue;
        };
        // A bill of lading is written as the tender that it is an instruction of.
        for event in mapped.events.into_iter().filter(|_| !name.starts_with("211")) {
            let context = Context { config: version(&folder), ..context.clone() };
            let recorded = Recorded { event: event.clone(), ..Recorded::default() };
            let written = X12Tms::from_canonical(&context, &[recorded])
                .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            let text = String::from_utf8_lossy(&written.content).replace('~', "~\n");
            let again = X12Tms::to_canonical(&context, &document(written.content.clone()))
                .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}\n{text}"));
            assert_eq!(again.events.len(), 1, "{name}\n{text}");
            let (first, second) = (event.value(), again.events[0].value());
            if let Some(place) = difference("", &first, &second) {
                if !LOSSY.iter().any(|(case, at)| *case == name && place.starts_with(at)) {
                    differing.push(format!("{name}: {place}\n{text}"));
                }
            } else if again.events[0] != event {
                differing.push(format!("{name}: keys or times\n{:?}\n{:?}", event, again.events[0]));
            }
            compared += 1;
        }
    }
    assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
    assert!(compared >= 30, "only {compared} events were compared");
}

#[test]
fn real_transport_documents_become_events_and_nothing_of_them_is_dropped() {
    let Some(folder) = samples() else { return };
    for (file, kinds) in [
        ("204-catalyst.edi", vec!["shipment.tendered"]),
        ("204-x12types-3.edi", vec!["shipment.tendered"]),
        ("990-catalyst-accept.edi", vec!["shipment.tender-accepted"]),
        ("214-ballerina.edi", vec!["shipment.milestone"; 4]),
        ("210-catalyst.edi", vec!["freight.invoiced"]),
        ("210-cn-rail-1.txt", vec!["freight.invoiced"]),
    ] {
        let content = fs::read(folder.join("x12-transport").join(file)).expect("readable");
        let mapped = X12Tms::to_canonical(&Context::default(), &document(content.clone()))
            .unwrap_or_else(|refusal| panic!("{file}: {refusal:?}"));
        let got: Vec<_> = mapped.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(got, kinds, "{file}");
        assert!(mapped.rejects.is_empty(), "{file}");
        nothing_is_dropped(file, &content, &mapped);
    }
}

#[test]
fn each_parcel_of_a_real_status_report_becomes_an_event() {
    let Some(folder) = samples() else { return };
    let content = fs::read(folder.join("x12-transport/214-canadapost-multi-st.txt")).expect("readable");
    let mapped = X12Tms::to_canonical(&Context::default(), &document(content.clone())).unwrap();
    assert_eq!((mapped.events.len(), mapped.rejects.len()), (19, 0));
    let delivered = mapped.events.iter().filter(|event| event.kind == "shipment.delivered").count();
    let said = String::from_utf8_lossy(&content).matches("AT7*D1*").count();
    assert_eq!(delivered, said);
    nothing_is_dropped("214-canadapost-multi-st.txt", &content, &mapped);
}

#[test]
fn every_other_real_interchange_is_named_as_unsupported() {
    let Some(folder) = samples() else { return };
    for family in ["x12-ack", "x12-trade", "x12-warehouse", "x12-transport"] {
        for file in fs::read_dir(folder.join(family)).expect("the family is there") {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ["204", "990", "214", "210", "211"].iter().any(|set| name.starts_with(set)) {
                continue;
            }
            let refusal =
                X12Tms::to_canonical(&Context::default(), &document(fs::read(&path).unwrap())).unwrap_err();
            let unsupported = refusal.0.iter().find(|found| found.code == "unsupported-set");
            let place = unsupported
                .and_then(|found| found.at.as_ref())
                .unwrap_or_else(|| panic!("{name}: {refusal:?}"));
            assert!(place.path.starts_with("ST*") && place.offset.is_some(), "{name}: {place:?}");
        }
    }
}

#[test]
fn damaged_documents_never_panic() {
    for folder in cases() {
        let content = fs::read(folder.join("in.x12")).unwrap();
        let context = context(&folder);
        for at in (0..content.len()).step_by(5) {
            let _ = X12Tms::to_canonical(&context, &document(content[..at].to_vec()));
            for byte in [b'*', b'~', b'9', 0xFF] {
                let mut damaged = content.clone();
                damaged[at] = byte;
                let Ok(mapped) = X12Tms::to_canonical(&context, &document(damaged)) else { continue };
                for event in mapped.events {
                    let _ = X12Tms::from_canonical(&context, &[Recorded { event, ..Recorded::default() }]);
                }
            }
        }
    }
}

#[test]
fn a_report_that_would_grow_beyond_measure_is_refused_with_a_place() {
    let references: String = (0..400).map(|n| format!("L11*{n}*PO~")).collect();
    let statuses = "AT7*X6*NS***20261122*1200~".repeat(400);
    let set = format!("ST*214*0001~B10*P*S*NORD~{references}LX*1~{statuses}SE*804*0001~");
    let refusal = X12Tms::to_canonical(&Context::default(), &document(set.into_bytes())).unwrap_err();
    let place = refusal.0[0].at.as_ref().unwrap();
    assert_eq!(refusal.0[0].code, "too-many-statuses");
    assert_eq!(place.path, "ST*214*0001/LX[1]/AT7[125]");
}

/// The version that the case has, for it decides over some segments.
fn version(folder: &Path) -> Vec<u8> {
    let content = fs::read(folder.join("in.x12")).unwrap();
    let read = crossdock_edi::x12::Document::read(&content).unwrap();
    let version =
        read.groups().find_map(|group| Some(group.header()?.value(8).into_owned())).unwrap_or_default();
    json!({ "version": version }).to_string().into_bytes()
}

/// The first place where two values differ, as a JSON Pointer with both.
fn difference(at: &str, first: &Value, second: &Value) -> Option<String> {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => {
            let names = first.keys().chain(second.keys().filter(|name| !first.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let get = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
                difference(&format!("{at}/{name}"), &get(first), &get(second))
            })
        }
        (Value::Array(first), Value::Array(second)) if first.len() == second.len() => first
            .iter()
            .zip(second)
            .enumerate()
            .find_map(|(index, (first, second))| difference(&format!("{at}/{index}"), first, second)),
        _ => (first != second).then(|| format!("{at}: {first} became {second}")),
    }
}

/// Every value of the document's sets stands somewhere in the events, apart from what frames and qualifies.
fn nothing_is_dropped(file: &str, content: &[u8], mapped: &Mapped) {
    let text: String =
        mapped.events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect();
    let read = crossdock_edi::x12::Document::read(content).unwrap();
    for segment in read.sets().flat_map(|set| set.segments().iter().collect::<Vec<_>>()) {
        if matches!(segment.name(), "ST" | "SE" | "LX") {
            continue;
        }
        for element in segment.elements() {
            let value = element.value();
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
            // Codes, dates, times and amounts take the model's form; what is longer must be there as it was sent.
            if value.len() > 4 && !is_number {
                let quoted = serde_json::to_string(&*value).unwrap();
                let bare = quoted.trim_matches('"');
                let bare = bare.strip_prefix("UN").filter(|rest| rest.len() == 4).unwrap_or(bare);
                assert!(text.contains(bare), "{file}: {value} of {segment:?} is lost");
            }
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.join("in.x12").exists());
    folders.sort();
    folders
}

fn samples() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let folder = std::env::var_os("CROSSDOCK_SAMPLES").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no samples at {}", folder.display());
    eprintln!("skipped: no samples at {}", folder.display());
    None
}

fn context(folder: &Path) -> Context {
    let read = fs::read(folder.join("context.json")).ok();
    let value: Value = read.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    Context {
        zone: value["zone"].as_str().map(str::to_owned),
        received_at: "2026-11-20T14:12:31Z".to_owned(),
        control_numbers: vec![("isa13".to_owned(), "1".to_owned()), ("gs06".to_owned(), "1".to_owned())],
        ..Context::default()
    }
}

fn document(content: Vec<u8>) -> Input {
    Input { media_type: "application/edi-x12".to_owned(), content, ..Input::default() }
}
