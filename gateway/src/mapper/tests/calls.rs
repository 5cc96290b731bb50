//! What a friendly guest gets and gives.

use super::*;
use crate::words::{Event, EventId, Identity, Key, Severity};

/// One event of kind "k", version "1", whose data is the document itself.
const ECHO: &str = r#"
    (i32.store (i32.const 2052) (i32.const 3072)) (i32.store (i32.const 2056) (i32.const 1))
    (i32.store (i32.const 3072) (i32.const 3200)) (i32.store (i32.const 3076) (i32.const 1))
    (i32.store (i32.const 3080) (i32.const 3201)) (i32.store (i32.const 3084) (i32.const 1))
    (i32.store (i32.const 3136) (i32.load offset=136 (local.get $in)))
    (i32.store (i32.const 3140) (i32.load offset=140 (local.get $in)))
    (i32.const 2048)"#;

fn echo() -> Bytes {
    Guest { fields: r#"(data (i32.const 3200) "k1")"#, to: ECHO, ..Guest::default() }.wasm()
}

/// Answers a text/plain document made of the bytes at `pointer` and `length`.
fn answer(pointer: &str, length: &str) -> String {
    format!(
        "(i32.store (i32.const 2052) (i32.const 3300)) (i32.store (i32.const 2056) (i32.const 10))
         (i32.store (i32.const 2060) {pointer}) (i32.store (i32.const 2064) {length}) (i32.const 2048)"
    )
}

/// An event on its way to a mapper.
pub(super) fn recorded() -> Recorded {
    let data = Bytes::from_static(br#"{"order":"8841-22"}"#);
    let event = Event {
        id: EventId::from_bytes([7; 16]),
        identity: Identity(Digest::of(b"i")),
        source: "/acme-3pl/shipments".to_owned(),
        kind: "order.released".to_owned(),
        schema_version: "1.0".to_owned(),
        natural_key: vec![("order".to_owned(), "8841-22".to_owned())],
        order_keys: vec![Key { kind: "order".to_owned(), value: "8841-22".to_owned() }],
        sequence: None,
        corrects: None,
        occurred_at: None,
        recorded_at: Time::from_millis(0),
        data_digest: Digest::of(&data),
        data,
    };
    Recorded { event }
}

#[test]
fn a_document_becomes_events_and_the_call_says_what_it_used() {
    let content = vec![b'x'; 300_000];
    let ran = house().map(echo(), roomy(), &content).unwrap();
    let [draft] = ran.value.drafts.as_slice() else { panic!("{ran:?}") };
    assert_eq!((draft.kind.as_str(), draft.schema_version.as_str()), ("k", "1"));
    assert_eq!(draft.data, content);
    assert_eq!(ran.usage.input_bytes, 300_000);
    assert_eq!(ran.usage.output_bytes, 300_002);
    assert!(ran.usage.memory_bytes >= 300_000 && ran.usage.cpu > Duration::ZERO, "{:?}", ran.usage);
}

#[test]
fn an_event_becomes_a_document() {
    // The list of events is at the end of the parameters; its first event's data is 56 bytes in after id, source and time.
    let from = answer(
        "(i32.load offset=88 (i32.load offset=128 (local.get $in)))",
        "(i32.load offset=92 (i32.load offset=128 (local.get $in)))",
    );
    let guest = Guest { fields: r#"(data (i32.const 3300) "text/plain")"#, from: &from, ..Guest::default() };
    let house = house();
    let mapper = house.load(guest.wasm()).unwrap();
    let call = call(roomy());
    let ran = house.runtime.block_on(house.host.from_canonical(&mapper, call, vec![recorded()])).unwrap();
    let data = recorded().event.data;
    assert_eq!((ran.value.media_type.as_str(), ran.value.content), ("text/plain", data));
}

/// One diagnostic: the weight, then a location in the document.
fn diagnostic(severity: u32, offset: u32, length: u32) -> String {
    format!(
        "(i32.store8 (i32.const 2048) (i32.const 1))
         (i32.store (i32.const 2052) (i32.const 3072)) (i32.store (i32.const 2056) (i32.const 1))
         (i32.store8 (i32.const 3072) (i32.const {severity}))
         (i32.store (i32.const 3076) (i32.const 3300)) (i32.store (i32.const 3080) (i32.const 4))
         (i32.store8 (i32.const 3096) (i32.const 1))
         (i32.store (i32.const 3100) (i32.const 3300)) (i32.store (i32.const 3104) (i32.const 4))
         (i32.store (i32.const 3108) (i32.const 3300)) (i32.store (i32.const 3112) (i32.const 4))
         (i32.store8 (i32.const 3116) (i32.const 1)) (i32.store (i32.const 3120) (i32.const {offset}))
         (i32.store8 (i32.const 3124) (i32.const 1)) (i32.store (i32.const 3128) (i32.const {length}))
         (i32.store (i32.const 3132) (i32.const 3300)) (i32.store (i32.const 3136) (i32.const 4))
         (i32.const 2048)"
    )
}

fn refusing(severity: u32, offset: u32, length: u32) -> Bytes {
    let body = diagnostic(severity, offset, length);
    Guest { fields: r#"(data (i32.const 3300) "a\n\1bb")"#, to: &body, ..Guest::default() }.wasm()
}

#[test]
fn a_refusal_keeps_the_mappers_words_and_place_without_control_characters() {
    let refused = house().map(refusing(2, 1, 3), roomy(), b"four").unwrap_err();
    let Failure::Refused(diagnostics) = refused else { panic!("{refused:?}") };
    let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
    let at = diagnostic.at.clone().unwrap();
    assert_eq!((diagnostic.severity, diagnostic.message.as_str()), (Severity::Error, "a  b"));
    assert_eq!((at.offset, at.length), (Some(1), Some(3)));
}

#[test]
fn a_place_outside_the_document_is_nonsense() {
    let failure = house().map(refusing(2, 2, 3), roomy(), b"four").unwrap_err();
    let Failure::Nonsense { what } = failure else { panic!("{failure:?}") };
    assert_eq!(what, "a location ends at byte 5 of a document of 4 bytes");
}

#[test]
fn a_severity_that_does_not_exist_is_nonsense() {
    let failure = house().map(refusing(7, 0, 1), roomy(), b"four").unwrap_err();
    assert!(matches!(failure, Failure::Nonsense { .. }), "{failure:?}");
}

#[test]
fn state_does_not_leak_into_the_next_message() {
    // Two words of memory and a global: a mapper that finds one of them set answers with an unreachable.
    let body = "
        (if (i32.or (i32.load (i32.const 60000)) (global.get $seen)) (then unreachable))
        (i32.store (i32.const 60000) (i32.const 1)) (global.set $seen (i32.const 1))
        (drop (memory.grow (i32.const 3))) (i32.store (i32.const 200000) (i32.const 1))
        (global.get $empty)";
    let guest = Guest { fields: "(global $seen (mut i32) (i32.const 0))", to: body, ..Guest::default() };
    let wasm = guest.wasm();
    for _ in 0..20 {
        house().map(wasm.clone(), roomy(), b"").unwrap();
    }
}

/// Looks up "a\n\1bb" in table "t" and answers one event with the first value of the row, or traps without a row.
const LOOK_UP: &str = r#"
    (i32.store (i32.const 3400) (i32.const 3300)) (i32.store (i32.const 3404) (i32.const 4))
    (call $lookup (i32.const 3304) (i32.const 1) (i32.const 3400) (i32.const 1) (i32.const 3500))
    (if (i32.eqz (i32.load8_u (i32.const 3500))) (then unreachable))
    (local.set $p (i32.load (i32.const 3504)))
    (i32.store (i32.const 2052) (i32.const 3072)) (i32.store (i32.const 2056) (i32.const 1))
    (i32.store (i32.const 3136) (i32.load offset=24 (local.get $p)))
    (i32.store (i32.const 3140) (i32.load offset=28 (local.get $p)))
    (i32.const 2048)"#;

#[test]
fn a_granted_table_is_looked_up_and_another_is_not_there() {
    let guest = Guest { fields: r#"(data (i32.const 3300) "UPSNt")"#, to: LOOK_UP, ..Guest::default() };
    let house = house();
    let mapper = house.load(guest.wasm()).unwrap();
    let mut tables = Tables::new();
    tables.from_csv("t", "scac,name\nUPSN,United Parcel\n", 1).unwrap();
    let granted = Call { tables: Arc::new(tables), ..call(roomy()) };
    let ran = house.runtime.block_on(house.host.to_canonical(&mapper, granted, document("x"))).unwrap();
    assert_eq!(ran.value.drafts[0].data, "United Parcel");
    let failure = house.map_with(&mapper, roomy(), b"x").unwrap_err();
    assert!(matches!(failure, Failure::Trapped { .. }), "{failure:?}");
}

#[test]
fn log_lines_are_kept_up_to_their_limit() {
    let flood = "
        (loop $again
          (call $write (i32.const 1) (i32.const 3300) (i32.const 4))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 20000))))
        (global.get $empty)";
    let guest = Guest { fields: r#"(data (i32.const 3300) "a\n\1bb")"#, to: flood, ..Guest::default() };
    let ran = house().map(guest.wasm(), roomy(), b"").unwrap();
    assert_eq!(ran.log.len(), 1024);
    assert_eq!((ran.log[0].severity, ran.log[0].message.as_str()), (Severity::Warning, "a  b"));
}

#[test]
fn a_table_says_which_line_is_wrong() {
    let mut tables = Tables::new();
    let repeated = tables.from_csv("t", "a,b\n1,x\n1,y\n", 1).unwrap_err();
    assert_eq!(repeated.to_string(), "table `t`, line 3: the key was there before");
    let short = tables.from_csv("t", "a,b\n1,x\n2\n", 1).unwrap_err();
    assert_eq!(short.line, 3, "{short}");
    assert_eq!(tables.from_csv("t", "a,b\n", 3).unwrap_err().line, 1);
    tables.from_csv("t", "\u{feff}a,b,c\n1,2,x\n1,3,y\n", 2).unwrap();
    assert_eq!(tables.keys("t"), Some(2));
    assert!(tables.lookup("t", &["1".into(), "3".into()]).is_some());
    assert!(tables.lookup("t", &["1".into()]).is_none());
    assert_eq!(tables.only(&["u".to_owned()]).names(), Vec::<&str>::new());
}
