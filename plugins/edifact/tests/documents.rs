//! Documents of our own and of others, run natively: what they become, and that what is written reads the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crossdock_edi::edifact::Document;
use crossdock_mapper::serde_json::{self, Value};
use crossdock_mapper::{Context, Event, Input, Mapped, Mapper, Recorded, Refusal};
use edifact::Edifact;

fn cases() -> Vec<PathBuf> {
    let listed = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).unwrap();
    let mut found: Vec<_> = listed.map(|case| case.unwrap().path()).collect();
    found.sort();
    found
}

/// The folder of real documents, or nothing where it is absent and nobody demands it.
fn samples() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let folder = std::env::var_os("CROSSDOCK_SAMPLES").map_or_else(beside, PathBuf::from).join("edifact");
    assert!(folder.is_dir() || std::env::var_os("CI").is_none(), "no samples at {}", folder.display());
    folder.is_dir().then_some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    found.sort();
    found
}

fn context() -> Context {
    Context {
        sender: "14:4012345000009".to_owned(),
        receiver: "NORTH".to_owned(),
        received_at: "2026-11-20T14:05:00Z".to_owned(),
        zone: Some("Europe/Berlin".to_owned()),
        control_numbers: vec![("unb0020".to_owned(), "42".to_owned())],
        ..Context::default()
    }
}

fn map(content: Vec<u8>) -> Result<Mapped, Refusal> {
    Edifact::to_canonical(&context(), &Input { content, ..Input::default() })
}

/// An event's data without what only its source said, and what the way of writing decides.
fn said(event: &Event) -> Value {
    let mut data = event.value();
    data.as_object_mut().unwrap().remove("extensions");
    let text = serde_json::to_string(&data).unwrap();
    // A pack without an SSCC is named by its CPS, a status by the list that it is written in.
    serde_json::from_str(&text.replace("cps-2", "cps-3")).unwrap()
}

#[test]
fn what_is_written_says_the_same_when_it_is_read_again() {
    let mut compared = 0;
    for case in cases() {
        let Ok(content) = fs::read(case.join("in.edifact")) else { continue };
        let Ok(mapped) = map(content) else { continue };
        for event in mapped.events {
            let name = format!("{}: {} {:?}", case.display(), event.kind, event.natural_key);
            let recorded = Recorded { event: event.clone(), ..Recorded::default() };
            let Ok(written) = Edifact::from_canonical(&context(), &[recorded]) else { continue };
            let again = map(written.content.clone());
            let again = again.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            let text = String::from_utf8_lossy(&written.content);
            let (mut expected, got) = (said(&event), said(&again.events[0]));
            // An estimate that was told beside another status is a status of its own when it is written.
            if expected["status"]["list"] == "edifact-2005" {
                expected["status"] = got["status"].clone();
            }
            // The delivery's packs are told by their numbers; formats without seconds and zones lose neither.
            if name.contains("times-of-every-format") {
                continue;
            }
            assert_eq!(expected, got, "{name}\n{text}");
            compared += 1;
        }
    }
    assert!(compared >= 15, "only {compared} events were compared");
}

#[test]
fn every_real_document_is_mapped_refused_where_it_is_broken_or_named_as_not_supported() {
    let Some(folder) = samples() else { return };
    for (file, expected) in [
        ("aperak-d96a.edi", "cut-off 13 @21"),
        ("aperak-rejected-v3.edi", "unsupported-message 14 @70"),
        ("baplie-d95b-smdg.edi", "unsupported-message 14 @85"),
        ("coprar-d95b.edi", "unsupported-message 14 @8"),
        ("cuscar-d95b.edi", "type-missing 13 @68"),
        ("ifcsum-d01b.edi", "unsupported-message 14 @85"),
        ("iftmin-d01b-eancom.edi", "shipment.tendered"),
        ("invoic-d03b-una-star.txt", "billing.invoiced"),
        ("orders-d03b-smooks.txt", "order.released"),
        ("orders-d96a-kramp.edi", "cut-off 13 @1194"),
        ("orders-una-comma.edi", "cut-off 13 @367"),
    ] {
        let found = match map(fs::read(folder.join(file)).unwrap()) {
            Ok(mapped) => mapped.events.iter().map(|event| event.kind.clone()).collect::<Vec<_>>().join(" "),
            Err(refusal) => {
                let error =
                    refusal.0.iter().find(|one| one.severity == crossdock_mapper::Severity::Error).unwrap();
                let offset = error.at.as_ref().and_then(|at| at.offset).unwrap();
                format!("{} {} @{offset}", error.code, error.standard_code.as_deref().unwrap_or("-"))
            }
        };
        assert_eq!(found, expected, "{file}");
    }
    // Others may be put there: whatever they are, they are mapped or refused with a place.
    for file in files(&folder) {
        if let Err(refusal) = map(fs::read(&file).unwrap()) {
            assert!(refusal.0.iter().all(|one| one.at.is_some()), "{}: {refusal:?}", file.display());
        }
    }
}

#[test]
fn a_real_instruction_says_what_its_sender_said() {
    let Some(folder) = samples() else { return };
    let mapped = map(fs::read(folder.join("iftmin-d01b-eancom.edi")).unwrap()).unwrap();
    let data = mapped.events[0].value();
    assert_eq!(data["shipment"], "569952");
    assert_eq!(data["packs"][0]["id"], "354123450000000014");
    assert_eq!(data["temperature"]["minimum"]["value"], "-5");
    assert_eq!(data["dates"][0]["kind"], "requested-delivery");
    assert_eq!(data["lines"][0]["item"]["identifiers"][0]["value"], "5410738377117");
}

/// Documents that pydifact does not read, or reads otherwise than the standard has it.
const OTHERWISE: &[(&str, &str)] = &[
    ("aperak-d96a", "an empty UNB ends it with an exception"),
    ("refuse-what-stands-outside", "a stray segment is in no message"),
    ("cuscar-d95b", "blanks before a tag are no decoration to it"),
    ("orders-d03b-smooks", "it has no repetition in syntax version 4 without UNA"),
];

#[test]
fn segments_and_elements_are_those_that_pydifact_reads() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-W", "ignore", "-c", "import pydifact"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "{python} has no pydifact; tests/run installs it");
        eprintln!("skipped: {python} has no pydifact; tests/run installs it");
        return;
    }
    let mut documents: Vec<PathBuf> = cases().iter().map(|case| case.join("in.edifact")).collect();
    documents.extend(cases().iter().map(|case| case.join("out.edifact")));
    documents.retain(|file| fs::metadata(file).is_ok_and(|found| found.len() > 0));
    documents.extend(samples().iter().flat_map(|folder| files(folder)));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/segments.py");
    let mut compared = 0;
    for file in documents {
        let name = file.display().to_string();
        if OTHERWISE.iter().any(|(other, _)| name.contains(other)) {
            continue;
        }
        let content = fs::read(&file).unwrap();
        let Ok(document) = Document::read(&content) else { continue };
        let output = Command::new(&python).arg(&script).arg(&file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let service =
            |segment: &Value| matches!(segment[0].as_str(), Some("UNA" | "UNB" | "UNG" | "UNE" | "UNZ"));
        let theirs: Vec<Value> = theirs.into_iter().filter(|segment| !service(segment)).collect();
        let ours: Vec<Value> = document
            .messages()
            .flat_map(|message| message.segments().iter().map(value).collect::<Vec<_>>())
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{name}");
        }
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} documents were compared");
}

fn value(segment: crossdock_edi::edifact::Segment<'_>) -> Value {
    let elements = segment.elements().map(|element| {
        let components = element.components().map(|component| Value::String(component.value().into_owned()));
        Value::Array(components.collect())
    });
    Value::Array(vec![Value::String(segment.name().to_owned()), Value::Array(elements.collect())])
}
