//! How a document's parts ended, and what a mapper of either door answers to it.

use super::*;
use crate::{
    mapper::outcome::{Ended, outcomes},
    words::{Diagnostic, Location, Severity},
};

const INTERCHANGE: &[u8] = b"\
    ISA*00*          *00*          *ZZ*ACME           *ZZ*NORTH          *261120*1412*U*00401*000000042*0*P*>~\n\
    GS*SW*ACME*NORTH*20261120*1412*7*X*004010~\n\
    ST*945*0001~W06*F*88*20261120~SE*3*0001~\n\
    ST*945*0002~W06*F*89*2026112O~SE*3*0002~\n\
    GE*2*7~IEA*1*000000042~\n";

fn interchange() -> Document {
    Document { media_type: "application/edi-x12".to_owned(), ..document(INTERCHANGE) }
}

fn find(text: &str) -> u64 {
    let found = INTERCHANGE.windows(text.len()).position(|window| window == text.as_bytes());
    u64::try_from(found.unwrap()).unwrap()
}

fn said(severity: Severity, path: &str, at: Option<&str>) -> Diagnostic {
    let location = Location {
        scheme: "x12".to_owned(),
        path: path.to_owned(),
        offset: at.map(find),
        length: at.map(|text| text.len() as u64),
    };
    Diagnostic {
        severity,
        code: "bad-date".to_owned(),
        standard_code: Some("8".to_owned()),
        at: Some(location),
        message: "no date".to_owned(),
        rule: None,
    }
}

fn bad_date() -> Diagnostic {
    said(Severity::Error, "ST*945*0002/W06/3", Some("2026112O"))
}

fn rejected() -> Reject {
    let at = said(Severity::Error, "ST*945*0002", Some("ST*945*0002~")).at.unwrap();
    Reject { unit: "ST*945*0002".to_owned(), at, diagnostics: vec![bad_date()] }
}

fn pairs(pairs: &[(&str, &str)]) -> crate::words::Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_transaction_set_is_a_part_that_ends_by_itself() {
    let rejects = [rejected()];
    let ended = Ended { rejects: &rejects, diagnostics: &[], kept: true };
    let [first, second] = outcomes(&interchange(), &ended).try_into().unwrap();
    assert_eq!((first.accepted, first.diagnostics.len(), second.accepted), (true, 0, false));
    assert_eq!((first.part.unit.as_str(), first.part.offset), ("transaction-set", find("ST*945*0001")));
    let envelope = String::from_utf8_lossy(&first.part.envelope).into_owned();
    assert!(
        envelope.starts_with("ISA*00*")
            && envelope.ends_with(">~\nGS*SW*ACME*NORTH*20261120*1412*7*X*004010~\n")
    );
    assert_eq!(second.more, pairs(&[("header", "ST*945*0002"), ("group-trailer", "GE*2*7")]));
    let [(found, more)] = second.diagnostics.as_slice() else { panic!("{second:?}") };
    assert_eq!(*found, bad_date());
    assert_eq!(*more, pairs(&[("segment", "W06"), ("position", "2"), ("value", "2026112O")]));
}

#[test]
fn in_a_document_that_is_taken_whole_a_bad_part_takes_the_good_ones_with_it() {
    let ended = Ended { rejects: &[], diagnostics: &[bad_date()], kept: false };
    let [first, second] = outcomes(&interchange(), &ended).try_into().unwrap();
    assert_eq!((first.accepted, second.accepted, second.diagnostics.len()), (false, false, 1));
    assert_eq!(first.diagnostics[0].0.code, "document-refused");
}

#[test]
fn a_remark_without_a_place_is_said_of_the_first_part_and_one_between_parts_of_the_part_before() {
    let nowhere = Diagnostic { at: None, ..bad_date() };
    let behind = said(Severity::Warning, "GE/1", Some("GE*2"));
    let by_name = said(Severity::Warning, "ST*945*0002/W06/3", None);
    let diagnostics = [nowhere, behind, by_name];
    let ended = Ended { rejects: &[], diagnostics: &diagnostics, kept: true };
    let [first, second] = outcomes(&interchange(), &ended).try_into().unwrap();
    assert_eq!((first.diagnostics.len(), second.diagnostics.len()), (1, 2));
    // What is not in a set has no position in one.
    assert_eq!(second.diagnostics[0].1, []);
}

#[test]
fn every_message_of_an_edifact_interchange_is_a_part_that_says_how_it_is_divided() {
    let text = "UNB+UNOC:3+ACME+NORTH+261120:1412+42'\nUNG+DESADV+A+N+261120:1412+7+UN+D:96A'\n\
        UNH+1+DESADV:D:96A:UN'BGM+351+88+9'UNT+3+1'\n\
        UNH+2+DESADV:D:96A:UN'BGM+351+89+9'DTM+11:2026112O:102'UNT+4+2'UNE+2+7'UNZ+1+42'";
    let document = Document { media_type: "application/edifact".to_owned(), ..document(text.as_bytes()) };
    let offset = u64::try_from(text.find("2026112O").unwrap()).unwrap();
    let at = Location {
        scheme: "edifact".to_owned(),
        path: "UNH+2+DESADV/DTM/1/2".to_owned(),
        offset: Some(offset),
        length: Some(8),
    };
    let found = Diagnostic { at: Some(at.clone()), ..bad_date() };
    let rejects = [Reject { unit: "UNH+2+DESADV".to_owned(), at, diagnostics: vec![found] }];
    let ended = Ended { rejects: &rejects, diagnostics: &[], kept: true };
    let [first, second] = outcomes(&document, &ended).try_into().unwrap();
    assert_eq!((first.accepted, second.accepted, first.part.unit.as_str()), (true, false, "message"));
    let envelope =
        "UNA:+.? 'UNB+UNOC:3+ACME+NORTH+261120:1412+42'UNG+DESADV+A+N+261120:1412+7+UN+D:96A'".as_bytes();
    assert_eq!(second.part.envelope, envelope);
    assert_eq!(second.more, pairs(&[("header", "UNH+2+DESADV:D:96A:UN"), ("group-trailer", "UNE+2+7")]));
    assert_eq!(second.diagnostics[0].1, pairs(&[("segment", "DTM"), ("position", "3")]));
}

#[test]
fn what_is_no_interchange_is_one_part() {
    for content in ["{}", "ISA*00*cut off"] {
        let whole = Document { media_type: "application/edi-x12".to_owned(), ..document(content) };
        let ended = Ended { rejects: &[], diagnostics: &[bad_date()], kept: false };
        let [only] = outcomes(&whole, &ended).try_into().unwrap();
        assert_eq!((only.part.unit.as_str(), only.accepted), ("document", false));
    }
}

fn acknowledge(wasm: Bytes) -> Result<Ran<Option<Document>>, Failure> {
    let house = house();
    let mapper = house.load(wasm).unwrap();
    let ended = Ended { rejects: &[rejected()], diagnostics: &[], kept: true };
    let outcomes = outcomes(&interchange(), &ended);
    house.runtime.block_on(house.host.acknowledge(&mapper, call(roomy()), outcomes))
}

/// Answers a text/plain document made of the bytes at a place in the second outcome.
fn answers(place: u32) -> String {
    format!(
        "(local.set $p (i32.add (i32.load offset=128 (local.get $in)) (i32.const {})))
         (i32.store8 (i32.const 2052) (i32.const 1))
         (i32.store (i32.const 2056) (i32.const 3300)) (i32.store (i32.const 2060) (i32.const 10))
         (i32.store (i32.const 2064) (i32.load (local.get $p)))
         (i32.store (i32.const 2068) (i32.load offset=4 (local.get $p))) (i32.const 2048)",
        56 + place
    )
}

#[test]
fn a_component_is_told_the_outcomes_and_answers_a_document_or_none() {
    let fields = r#"(data (i32.const 3300) "text/plain")"#;
    let answer = |place| {
        let body = answers(place);
        let guest = Guest { fields, acknowledge: &body, ..Guest::default() };
        acknowledge(guest.wasm()).unwrap().value.unwrap()
    };
    // In an outcome the unit stands at 4 and the envelope at 24.
    assert_eq!((answer(4).media_type.as_str(), answer(4).content), ("text/plain", "transaction-set".into()));
    assert!(answer(24).content.starts_with(b"ISA*00*"));
    assert_eq!(acknowledge(Guest::default().wasm()).unwrap().value, None);
    let refusing = Guest {
        acknowledge: "(i32.store8 (i32.const 2048) (i32.const 1)) (i32.const 2048)",
        ..Guest::default()
    };
    assert_eq!(acknowledge(refusing.wasm()).unwrap_err(), Failure::Refused(Vec::new()));
    let trapping = Guest { acknowledge: "(unreachable)", ..Guest::default() };
    assert!(matches!(acknowledge(trapping.wasm()), Err(Failure::Trapped { .. })));
}

#[test]
fn a_command_reads_the_outcomes_and_writes_a_document_or_nothing() {
    let echo = "(call $say (i32.const 1) (i32.const 4096) (call $read (i32.const 4096)))";
    let document = acknowledge(super::commands::command_with("", echo)).unwrap().value.unwrap();
    assert_eq!(document.media_type, "application/edi-x12");
    let told: serde_json::Value = serde_json::from_slice(&document.content).unwrap();
    assert_eq!((&told[0]["accepted"], &told[1]["accepted"]), (&true.into(), &false.into()));
    assert_eq!(told[1]["part"]["unit"], "transaction-set");
    assert!(told[1]["part"]["envelope"].as_str().unwrap().contains("GS*SW*"));
    assert_eq!(told[1]["diagnostics"][0]["standard_code"], "8");
    assert_eq!(told[1]["diagnostics"][0]["more"][1], serde_json::json!(["position", "2"]));
    assert_eq!(told[1]["more"][0], serde_json::json!(["header", "ST*945*0002"]));
    assert_eq!(acknowledge(super::commands::says("", "", 0)).unwrap().value, None);
    let refused = acknowledge(super::commands::says("", r#"{"code":"no-ack","message":"none"}"#, 1));
    assert!(matches!(refused, Err(Failure::Refused(said)) if said[0].code == "no-ack"));
}
