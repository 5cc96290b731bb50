//! Every case in `cases/` and every real document, run natively.
//!
//! `UPDATE_CASES=1` writes what the mapper gives as what is expected; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use crossdock_mapper::serde_json::{self, Value, json};
use crossdock_mapper::{Context, Diagnostic, Event, Input, Mapped, Mapper, Output, Part, Recorded, Refusal};
use x12_wms::X12Wms;

#[test]
fn every_case_gives_what_it_expects() {
    let mut failed = Vec::new();
    let mut run = 0;
    // An acknowledgement answers what the host framed, so those cases are for `plugin test`.
    let is_answer = |folder: &PathBuf| folder.join("in.x12").exists() && folder.join("out.x12").exists();
    for folder in cases().into_iter().filter(|folder| !is_answer(folder)) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (expected_file, got) = match folder.join("in.x12").exists() {
            true => {
                let mapped = to_canonical(&folder);
                (
                    "out.json",
                    pretty(
                        &mapped.map_or_else(|refusal| refusal_json(&refusal), |mapped| mapped_json(&mapped)),
                    ),
                )
            }
            false => match from_canonical(&folder) {
                Ok(output) => ("out.x12", output.content),
                Err(refusal) => ("out.json", pretty(&refusal_json(&refusal))),
            },
        };
        let path = folder.join(expected_file);
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(&path, &got).unwrap();
        }
        let expected = fs::read(&path).unwrap_or_default();
        if expected != got {
            failed.push(format!("{name}: {}", first_difference(&expected, &got)));
        }
        run += 1;
    }
    assert!(failed.is_empty(), "{} of {run} cases differ\n{}", failed.len(), failed.join("\n"));
    assert!(run >= 20, "only {run} cases were found");
}

#[test]
fn what_is_written_says_the_same_when_it_is_read_again() {
    let mut compared = 0;
    for folder in cases().into_iter().filter(|folder| folder.join("in.x12").exists()) {
        let Ok(mapped) = to_canonical(&folder) else { continue };
        let context = context(&folder);
        for event in mapped.events {
            let name = format!("{}: {:?}", folder.display(), event.natural_key);
            let written = X12Wms::from_canonical(&context, &[recorded(event.clone())])
                .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            let again = X12Wms::to_canonical(&context, &document(written.content.clone())).unwrap_or_else(
                |refusal| panic!("{name}: {refusal:?}\n{}", String::from_utf8_lossy(&written.content)),
            );
            let text = String::from_utf8_lossy(&written.content).replace('~', "~\n");
            assert_eq!(again.events.len(), 1, "{name}");
            let (got, expected) = (pretty(&again.events[0].value()), pretty(&event.value()));
            assert!(got == expected, "{name}\n{}\n{text}", first_difference(&expected, &got));
            assert_eq!(again.events[0], event, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} events were compared");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for folder in cases().into_iter().filter(|folder| folder.join("in.x12").exists()) {
        assert_eq!(to_canonical(&folder), to_canonical(&folder), "{}", folder.display());
    }
}

#[test]
fn real_warehouse_documents_become_events_or_are_refused_with_a_place() {
    let Some(folder) = samples() else { return };
    for (file, kinds) in [
        ("940-ediengine-ok.edi", vec!["order.released"]),
        ("940-wrong-counts.edi", vec!["order.released"]),
        ("940-x12types-1.edi", vec!["order.released"]),
        ("940-x12types-3.edi", vec!["order.released"]),
        ("945-x12types-simplot.edi", vec!["shipment.dispatched"]),
        ("945-x12types-waqe.edi", vec!["shipment.dispatched"]),
        ("943-stupidedi.edi", vec![]),
    ] {
        let content = fs::read(folder.join("x12-warehouse").join(file)).expect("readable");
        match X12Wms::to_canonical(&Context::default(), &document(content.clone())) {
            Ok(mapped) => {
                let got: Vec<_> = mapped.events.iter().map(|event| event.kind.as_str()).collect();
                assert_eq!(got, kinds, "{file}");
                assert!(mapped.rejects.is_empty(), "{file}");
                nothing_is_dropped(file, &content, &mapped);
            }
            Err(refusal) => {
                assert!(kinds.is_empty(), "{file}: {refusal:?}");
                let first = &refusal.0[0];
                let place = first.at.as_ref().unwrap();
                assert_eq!((first.code.as_str(), place.path.as_str()), ("unsupported-set", "ST*943*0001/1"));
                let offset = place.offset.unwrap() as usize;
                assert_eq!(&content[offset..offset + place.length.unwrap() as usize], b"943");
            }
        }
    }
}

#[test]
fn every_other_real_interchange_is_refused_and_never_panics() {
    let Some(folder) = samples() else { return };
    for family in ["x12-ack", "x12-trade", "x12-transport"] {
        for file in fs::read_dir(folder.join(family)).expect("the family is there") {
            let path = file.unwrap().path();
            let refusal =
                X12Wms::to_canonical(&Context::default(), &document(fs::read(&path).unwrap())).unwrap_err();
            let unsupported = refusal.0.iter().filter(|found| found.code == "unsupported-set");
            assert!(unsupported.count() > 0, "{}: {refusal:?}", path.display());
        }
    }
}

#[test]
fn a_framed_part_is_read_with_the_delimiters_of_its_envelope() {
    let isa = "ISA|00|          |00|          |ZZ|S              |ZZ|R              |261120|1405|U|00401|000000042|0|P|>'";
    let part = Part { envelope: isa.into(), unit: "transaction-set".to_owned(), ..Part::default() };
    let context = Context { part: Some(part), ..Context::default() };
    let set = "ST|945|0001'W06|F|A-B.C|20261120|S'LX|1'W12|CC|1|1||EA||VN|A*1'SE|5|0001'";
    let mapped = X12Wms::to_canonical(&context, &document(set.into())).unwrap();
    assert!(String::from_utf8_lossy(&mapped.events[0].data).contains("A*1"));
    assert_eq!(mapped.diagnostics, []);
}

#[test]
fn damaged_documents_never_panic() {
    for folder in cases().into_iter().filter(|folder| folder.join("in.x12").exists()) {
        let content = fs::read(folder.join("in.x12")).unwrap();
        let context = context(&folder);
        for at in (0..content.len()).step_by(3) {
            let _ = X12Wms::to_canonical(&context, &document(content[..at].to_vec()));
            for byte in [b'*', b'~', b'9', 0xFF] {
                let mut damaged = content.clone();
                damaged[at] = byte;
                let Ok(mapped) = X12Wms::to_canonical(&context, &document(damaged)) else { continue };
                for event in mapped.events {
                    let _ = X12Wms::from_canonical(&writing(&context), &[recorded(event)]);
                }
            }
        }
    }
}

/// Every value of the document's sets stands somewhere in the events, apart from what frames and qualifies.
fn nothing_is_dropped(file: &str, content: &[u8], mapped: &Mapped) {
    let text: String =
        mapped.events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect();
    let read = crossdock_edi::x12::Document::read(content).unwrap();
    let digits = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    for segment in read.sets().flat_map(|set| set.segments().iter().collect::<Vec<_>>()) {
        if matches!(segment.name(), "ST" | "SE" | "LX") {
            continue;
        }
        for element in segment.elements() {
            let value = element.value();
            // Codes, dates and numbers take the model's form; what is longer must be there as it was sent.
            if value.len() > 4 && !(digits(&value) && (value.len() == 8 || segment.name() == "W03")) {
                let bare = value.strip_prefix("00").filter(|rest| rest.len() == 18).unwrap_or(&value);
                assert!(text.contains(bare), "{file}: {} of {segment:?} is lost", value);
            }
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
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

fn to_canonical(folder: &Path) -> Result<Mapped, Refusal> {
    X12Wms::to_canonical(&context(folder), &document(fs::read(folder.join("in.x12")).unwrap()))
}

fn from_canonical(folder: &Path) -> Result<Output, Refusal> {
    let events: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("in.json")).unwrap()).unwrap();
    let events: Vec<Recorded> = events
        .iter()
        .map(|value| {
            let kind = value["type"].as_str().unwrap().to_owned();
            recorded(Event { kind, data: value["data"].to_string().into_bytes(), ..Event::default() })
        })
        .collect();
    X12Wms::from_canonical(&context(folder), &events)
}

fn context(folder: &Path) -> Context {
    let read = fs::read(folder.join("context.json")).ok();
    let value: Value = read.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let context = Context {
        partner: text("partner"),
        sender: text("sender"),
        receiver: text("receiver"),
        received_at: text("received_at"),
        zone: value["zone"].as_str().map(str::to_owned),
        control_numbers: serde_json::from_value(value["control_numbers"].clone()).unwrap_or_default(),
        config: value.get("config").map(|config| config.to_string().into_bytes()).unwrap_or_default(),
        ..Context::default()
    };
    if context.control_numbers.is_empty() { writing(&context) } else { context }
}

/// The same context with what the host gives to mappers that write.
fn writing(context: &Context) -> Context {
    Context {
        received_at: "2026-11-20T14:12:31Z".to_owned(),
        control_numbers: vec![("isa13".to_owned(), "1".to_owned()), ("gs06".to_owned(), "1".to_owned())],
        ..context.clone()
    }
}

fn document(content: Vec<u8>) -> Input {
    Input { media_type: "application/edi-x12".to_owned(), content, ..Input::default() }
}

fn recorded(event: Event) -> Recorded {
    Recorded { event, ..Recorded::default() }
}

fn mapped_json(mapped: &Mapped) -> Value {
    let events: Vec<Value> = mapped.events.iter().map(event_json).collect();
    let mut value = json!({ "events": events });
    if !mapped.diagnostics.is_empty() {
        value["diagnostics"] = diagnostics_json(&mapped.diagnostics);
    }
    if !mapped.rejects.is_empty() {
        let rejects = mapped.rejects.iter();
        value["rejects"] = rejects
            .map(|reject| json!({ "unit": reject.unit, "at": reject.at, "diagnostics": diagnostics_json(&reject.diagnostics) }))
            .collect();
    }
    if value.as_object().unwrap().len() == 1 { value["events"].take() } else { value }
}

fn event_json(event: &Event) -> Value {
    let mut value =
        json!({ "type": event.kind, "natural_key": event.natural_key, "order_keys": event.order_keys });
    if !event.corrects.is_empty() {
        value["corrects"] = json!(event.corrects);
    }
    if let Some(time) = &event.occurred_at {
        value["occurred_at"] = json!(time);
    }
    value["data"] = event.value();
    value
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({ "diagnostics": diagnostics_json(&refusal.0) })
}

fn diagnostics_json(diagnostics: &[Diagnostic]) -> Value {
    json!(diagnostics)
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap();
    text.push(b'\n');
    text
}

fn first_difference(expected: &[u8], got: &[u8]) -> String {
    let (expected, got) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(got));
    let lines =
        expected.lines().map(Some).chain(std::iter::repeat(None)).zip(got.lines().map(Some).chain([None]));
    let mut differing = lines.enumerate().filter(|(_, (expected, got))| expected != got);
    match differing.next() {
        Some((line, (expected, got))) => {
            format!(
                "line {}: expected {}, got {}",
                line + 1,
                expected.unwrap_or("the end"),
                got.unwrap_or("the end")
            )
        }
        None => "only line ends differ".to_owned(),
    }
}
