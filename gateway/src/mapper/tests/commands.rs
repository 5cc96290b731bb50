//! The second door: command modules, friendly and hostile, as text around the functions of WASI preview 1.

use super::*;
use crate::words::Severity;

/// What most guests need: `$say` writes bytes to a stream, `$exit` ends, `$argument` gives an argument's place.
const PRELUDE: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "crossdock" "lookup" (func $lookup (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $say (param $fd i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
    (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))
  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (loop $next (if (i32.load8_u (local.get $end))
      (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
    (i32.sub (local.get $end) (local.get $at)))
  ;; Reads all that fits at `at`, and gives its length.
  (func $read (param $at i32) (result i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (i32.const 16384))
    (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (i32.load (i32.const 8)))
  ;; A place of no use must be refused.
  (func $refuse (param $errno i32) (if (i32.eqz (local.get $errno)) (then unreachable)))
"#;

fn module(fields: &str, start: &str) -> Vec<u8> {
    let text = format!(r#"(module {PRELUDE} {fields} (func (export "_start") {start}))"#);
    wat::parse_str(text).unwrap()
}

pub(super) fn command_with(fields: &str, start: &str) -> Bytes {
    let manifest = Manifest { writes: vec!["application/edi-x12".to_owned()], ..manifest() };
    with_manifest(&module(fields, start), &manifest).into()
}

fn escaped(text: &[u8]) -> String {
    text.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A command that writes these to its standard output and error, and ends with this code.
pub(super) fn says(stdout: impl AsRef<[u8]>, stderr: impl AsRef<[u8]>, code: i32) -> Bytes {
    let (stdout, stderr) = (stdout.as_ref(), stderr.as_ref());
    let fields = format!(
        r#"(data (i32.const 1024) "{}") (data (i32.const 65536) "{}")"#,
        escaped(stdout),
        escaped(stderr)
    );
    let start = format!(
        "(call $say (i32.const 1) (i32.const 1024) (i32.const {}))
         (call $say (i32.const 2) (i32.const 65536) (i32.const {})) (call $exit (i32.const {code}))",
        stdout.len(),
        stderr.len()
    );
    command_with(&fields, &start)
}

fn mapped(wasm: Bytes, content: &[u8]) -> Mapped {
    house().map(wasm, roomy(), content).unwrap().value
}

fn fails(wasm: Bytes) -> Failure {
    let failure = house().map(wasm, strict(), b"x").unwrap_err();
    // Whatever it did, the next message is served as if nothing had been.
    assert_eq!(mapped(says("[]", "", 0), b"x").drafts, []);
    failure
}

fn nonsense(stdout: impl AsRef<[u8]>) -> String {
    match fails(says(stdout, "", 0)) {
        Failure::Nonsense { what } => what,
        other => panic!("{other:?}"),
    }
}

fn limit(wasm: Bytes) -> Option<Which> {
    match fails(wasm) {
        Failure::Limit { which, .. } => Some(which),
        other => panic!("{other:?}"),
    }
}

/// One event whose data is what the body puts between the braces.
fn event_of(body: &str) -> Bytes {
    let fields = r#"(data (i32.const 1024) "[{\"type\":\"t\",\"data\":") (data (i32.const 1100) "}]")"#;
    let start = format!(
        "(local $at i32) (call $say (i32.const 1) (i32.const 1024) (i32.const 20)) {body}
         (call $say (i32.const 1) (i32.const 1100) (i32.const 2))"
    );
    command_with(fields, &start)
}

const SECOND_ARGUMENT: &str = "
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (if (i32.ne (i32.load (i32.const 16)) (i32.const 3)) (then unreachable))
    (drop (call $args_get (i32.const 32) (i32.const 2048)))
    (local.set $at (i32.load (i32.const 40)))
    (call $say (i32.const 1) (local.get $at) (call $length (local.get $at)))";

fn tables() -> Arc<Tables> {
    let mut tables = Tables::new();
    tables.from_csv("units", "code,name\nCA,case\nBX,\"a \"\"box\"\"\"\n", 1).unwrap();
    let rows: String = (0..2_000).map(|number| format!("{number},item {number}\n")).collect();
    tables.from_csv("items", &format!("code,name\n{rows}"), 1).unwrap();
    Arc::new(tables)
}

fn call_with(limits: Limits, tables: Arc<Tables>) -> Call {
    Call { tables, ..call(limits) }
}

#[test]
fn a_command_is_recognised_from_its_bytes() {
    let inspection = Host::inspect(&says("[]", "", 0)).unwrap();
    assert_eq!((inspection.kind, inspection.obstacles), (Kind::Command, Vec::new()));
    assert!(inspection.imports.contains(&"wasi_snapshot_preview1.fd_write".to_owned()));
    let module = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
    let inspection = Host::inspect(&with_manifest(&module, &manifest())).unwrap();
    assert_eq!((inspection.kind, inspection.obstacles), (Kind::Module, vec![Rejection::NotMapper]));
}

#[test]
fn a_command_gets_its_context_as_one_argument() {
    let mapper = house().load(event_of(SECOND_ARGUMENT)).unwrap();
    let document = Document { parameters: vec![("id".to_owned(), "7".to_owned())], ..document("x") };
    let call = call_with(roomy(), tables());
    let ran = house().runtime.block_on(house().host.to_canonical(&mapper, call, document)).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&ran.value.drafts[0].data).unwrap();
    let wanted = serde_json::json!({
        "partner": "acme-3pl", "sender": "ACME", "receiver": "GLOBEX", "operation": "shipments/confirm",
        "version": "v2", "stage": "request", "received_at": told["received_at"], "zone": "Europe/Berlin",
        "control_numbers": [["isa13", "000000042"]], "config": {}, "media_type": "text/plain",
        "parameters": [["id", "7"]],
        "tables": {"items": null, "units": [{"code": "BX", "name": "a \"box\""}, {"code": "CA", "name": "case"}]},
    });
    assert_eq!(told, wanted);
    assert!(told["received_at"].as_str().unwrap().starts_with("2026-11-18T"), "{told}");
}

#[test]
fn numbers_pass_as_they_are_written() {
    let body = "(local.set $at (call $read (i32.const 2048))) (call $say (i32.const 1) (i32.const 2048) (local.get $at))";
    let number = br#"{"quantity": 20.0, "weight": 12345678901234567890.10, "e": 1E2}"#;
    assert_eq!(mapped(event_of(body), number).drafts[0].data, number[..]);
}

#[test]
fn an_array_of_events_and_a_whole_mapped_object_are_read() {
    let event = r#"{"type": "order.released", "natural_key": [["order", "1"]], "order_keys": {"order": "1"}, "occurred_at": "2026-11-20", "data": {}}"#;
    let list = mapped(says(format!("[{event}]\n"), "", 0), b"x");
    assert_eq!(
        (list.drafts[0].kind.as_str(), list.drafts[0].schema_version.as_str()),
        ("order.released", "1.0")
    );
    assert_eq!(list.drafts[0].natural_key, list.drafts[0].order_keys);
    let whole = format!(
        r#"{{"events": [{event}], "rejects": [{{"unit": "row", "at": {{"scheme": "csv", "path": "2"}},
           "diagnostics": [{{"code": "short", "message": "too short"}}]}}],
           "diagnostics": [{{"severity": "warning", "code": "odd", "message": "an odd one", "at": "/a"}}]}}"#
    );
    let whole = mapped(says(whole, "", 0), b"x");
    assert_eq!(whole.drafts, list.drafts);
    assert_eq!((whole.rejects[0].unit.as_str(), whole.rejects[0].at.scheme.as_str()), ("row", "csv"));
    assert_eq!(whole.rejects[0].diagnostics[0].severity, Severity::Error);
    assert_eq!(whole.diagnostics[0].at.as_ref().unwrap().scheme, "json-pointer");
}

#[test]
fn diagnostics_and_the_log_share_the_standard_error() {
    let stderr = b"reading\n{\"level\":\"info\",\"message\":\"no code\"}\n{\"severity\":\"warning\",\"code\":\"odd\",\"message\":\"m\"}\n\xffend";
    let ran = house().map(says("[]", stderr, 0), roomy(), b"x").unwrap();
    assert_eq!(ran.value.diagnostics.len(), 1);
    let log: Vec<_> = ran.log.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(log, ["reading", "{\"level\":\"info\",\"message\":\"no code\"}", "\u{fffd}end"]);
}

#[test]
fn an_exit_code_with_an_error_refuses_and_without_one_is_a_failure_that_says_so() {
    let error = r#"{"code": "bad-lot", "message": "no such lot", "at": {"scheme": "bytes", "path": "", "offset": 0, "length": 1}}"#;
    let Failure::Refused(said) = fails(says("[]", error, 3)) else { panic!() };
    assert_eq!((said[0].code.as_str(), said[0].severity), ("bad-lot", Severity::Error));
    for code in [1, -1, 126, i32::MIN] {
        let failure = fails(says("[]", "it went wrong\n", code));
        let wanted = format!(
            "the mapper trapped: it ended with exit code {code} and no diagnostic of severity `error`"
        );
        assert_eq!(failure.to_string(), wanted);
        assert_eq!(failure.in_full(), format!("{wanted}\n  log: it went wrong"));
    }
    let outside = error.replace("\"length\": 1", "\"length\": 2");
    assert!(matches!(fails(says("", outside, 1)), Failure::Nonsense { .. }));
}

fn document_of(wasm: Bytes) -> Result<Document, Failure> {
    let mapper = house().load(wasm).unwrap();
    let writing = house().host.from_canonical(&mapper, call(roomy()), vec![calls::recorded()]);
    house().runtime.block_on(writing).map(|ran| ran.value)
}

#[test]
fn a_document_is_the_standard_output_byte_by_byte() {
    let written = document_of(says(b"ISA*\xff~", "", 0)).unwrap();
    assert_eq!(
        (written.media_type.as_str(), &written.content[..]),
        ("application/edi-x12", &b"ISA*\xff~"[..])
    );
    let about = r#"{"document": {"media_type": "text/csv", "parameters": {"order": "7"}}}"#;
    let written = document_of(says("a,b", about, 0)).unwrap();
    assert_eq!(
        (written.media_type.as_str(), written.parameters),
        ("text/csv", vec![("order".to_owned(), "7".to_owned())])
    );
    let error = r#"{"code": "no-lot", "message": "the event has no lot"}"#;
    assert!(matches!(document_of(says("half", error, 0)), Err(Failure::Refused(_))));
}

#[test]
fn events_are_on_the_standard_input_in_the_form_of_the_cases() {
    let echo = "(call $say (i32.const 1) (i32.const 2048) (call $read (i32.const 2048)))";
    let written = document_of(command_with("", echo)).unwrap();
    let events: serde_json::Value = serde_json::from_slice(&written.content).unwrap();
    let recorded = calls::recorded();
    assert_eq!(events[0]["type"], recorded.event.kind.as_str());
    assert_eq!(events[0]["id"], recorded.event.id.to_string());
    assert!(events[0]["natural_key"].is_array() && events[0]["data"].is_object(), "{events}");
}

#[test]
fn a_table_is_looked_up_by_a_key_in_json() {
    let fields = r#"(data (i32.const 1200) "units") (data (i32.const 1210) "[\"CA\"]") (data (i32.const 1220) "\"CA\"")
        (data (i32.const 1230) "[\"?\"]") (data (i32.const 1024) "[{\"type\":\"t\",\"data\":") (data (i32.const 1100) "}]")"#;
    let lookup = |key: i32, length: i32, capacity: i32| {
        format!(
            "(call $lookup (i32.const 1200) (i32.const 5) (i32.const {key}) (i32.const {length}) (i32.const 4096) (i32.const {capacity}))"
        )
    };
    let start = format!(
        "(call $say (i32.const 1) (i32.const 1024) (i32.const 20))
         (if (i32.ne {} (i32.const 27)) (then unreachable)) (if (i32.load (i32.const 4096)) (then unreachable))
         (if (i32.ne {} (i32.const 27)) (then unreachable)) (if (i32.ne {} (i32.const -1)) (then unreachable))
         (if (i32.ne {} (i32.const -2)) (then unreachable)) (if (i32.ne {} (i32.const -2)) (then unreachable))
         (call $say (i32.const 1) (i32.const 4096) {}) (call $say (i32.const 1) (i32.const 1100) (i32.const 2))",
        lookup(1210, 6, 26),
        lookup(1220, 4, 27),
        lookup(1230, 5, 100),
        lookup(1210, 5, 100),
        lookup(-8, 6, 100),
        lookup(1210, 6, 100),
    );
    let mapper = house().load(command_with(fields, &start)).unwrap();
    let call = call_with(roomy(), tables());
    let ran = house().runtime.block_on(house().host.to_canonical(&mapper, call, document("x"))).unwrap();
    assert_eq!(ran.value.drafts[0].data, br#"{"code":"CA","name":"case"}"#[..]);
}

#[test]
fn random_numbers_follow_from_the_mapper_and_the_document() {
    let start = "(drop (call $random_get (i32.const 2048) (i32.const 40))) (drop (call $random_get (i32.const 2088) (i32.const 8)))
        (call $say (i32.const 1) (i32.const 2048) (i32.const 48))";
    let first = document_of(command_with("", start)).unwrap().content;
    assert_eq!(first, document_of(command_with("", start)).unwrap().content);
    assert_ne!(first, document_of(command_with("(global i32 (i32.const 1))", start)).unwrap().content);
    assert!(first.iter().collect::<std::collections::BTreeSet<_>>().len() > 20);
}

#[test]
fn the_clock_stands_at_the_message_and_waiting_moves_the_monotonic_one_alone() {
    // A subscription to the monotonic clock, an hour from now; then both clocks are written as they are.
    let start = "(i32.store (i32.const 2064) (i32.const 1)) (i64.store (i32.const 2072) (i64.const 3600000000000))
        (if (call $poll_oneoff (i32.const 2048) (i32.const 2200) (i32.const 1) (i32.const 2300)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 2300)) (i32.const 1)) (then unreachable))
        (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 3000)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 3008)))
        (call $say (i32.const 1) (i32.const 3000) (i32.const 16))";
    let content = document_of(command_with("", start)).unwrap().content;
    let nanos = |at: usize| u64::from_le_bytes(content[at..at + 8].try_into().unwrap());
    assert_eq!(nanos(0), 1_795_000_000_000_000_000);
    assert_eq!(nanos(8) - nanos(0), 3_600_000_000_000);
}

#[test]
fn places_outside_of_memory_are_told_to_the_guest() {
    let bad = "(i32.const 0xfffffff0)";
    let calls = [
        format!("(call $fd_write (i32.const 1) {bad} (i32.const 1) (i32.const 8))"),
        format!("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) {bad})"),
        format!("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1025) {bad})"),
        format!("(call $fd_read (i32.const 0) {bad} (i32.const 1) (i32.const 8))"),
        format!("(call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) {bad})"),
        format!("(call $args_get {bad} (i32.const 64))"),
        format!("(call $args_get (i32.const 64) {bad})"),
        format!("(call $args_sizes_get {bad} (i32.const 64))"),
        format!("(call $args_sizes_get (i32.const 64) {bad})"),
        format!("(call $environ_sizes_get {bad} (i32.const 64))"),
        format!("(call $clock_time_get (i32.const 0) (i64.const 0) {bad})"),
        "(call $clock_time_get (i32.const 9) (i64.const 0) (i32.const 64))".to_owned(),
        format!("(call $clock_res_get (i32.const 0) {bad})"),
        format!("(call $fd_fdstat_get (i32.const 1) {bad})"),
        format!("(call $fd_filestat_get (i32.const 1) {bad})"),
        "(call $fd_prestat_get (i32.const 3) (i32.const 64))".to_owned(),
        "(call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 64))".to_owned(),
        format!("(call $random_get {bad} (i32.const 64))"),
        "(call $random_get (i32.const 64) (i32.const -1))".to_owned(),
        format!("(call $poll_oneoff {bad} (i32.const 64) (i32.const 1) (i32.const 512))"),
        format!("(call $poll_oneoff (i32.const 64) {bad} (i32.const 1) (i32.const 512))"),
        format!("(call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) {bad})"),
        "(call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const -1) (i32.const 512))".to_owned(),
        "(call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 0) (i32.const 512))".to_owned(),
    ];
    let start: String = calls.iter().map(|call| format!("(call $refuse {call}) ")).collect();
    let fields = r#"(data (i32.const 1024) "[]")"#;
    let start = format!("{start} (call $say (i32.const 1) (i32.const 1024) (i32.const 2))");
    assert_eq!(mapped(command_with(fields, &start), b"x").drafts, []);
}

#[test]
fn endless_things_meet_a_limit() {
    let forever = |body: &str| command_with("", &format!("(loop $again {body} (br $again))"));
    assert_eq!(limit(forever("")), Some(Which::Cpu));
    assert_eq!(
        limit(forever("(call $say (i32.const 1) (i32.const 1024) (i32.const 65536))")),
        Some(Which::Output)
    );
    assert_eq!(limit(forever("(drop (memory.grow (i32.const 16)))")), Some(Which::Cpu));
    for body in [
        "(call $say (i32.const 2) (i32.const 1024) (i32.const 65536))",
        "(drop (call $sched_yield))",
        "(drop (call $poll_oneoff (i32.const 2048) (i32.const 4096) (i32.const 1) (i32.const 8)))",
        "(drop (call $random_get (i32.const 1024) (i32.const 120000)))",
        "(drop (call $read (i32.const 2048)))",
    ] {
        let which = limit(forever(body));
        assert!(matches!(which, Some(Which::Cpu | Which::HostCalls)), "{body}: {which:?}");
    }
    let start = "(func $begin (loop $again (br $again))) (start $begin)";
    assert_eq!(limit(command_with(start, "")), Some(Which::Cpu));
}

#[test]
fn one_long_host_call_is_stopped_too() {
    let start =
        "(drop (memory.grow (i32.const 900))) (drop (call $random_get (i32.const 0) (i32.const 58000000)))";
    assert_eq!(limit(command_with("", start)), Some(Which::Cpu));
}

#[test]
fn a_flood_of_diagnostics_is_cut_and_counted() {
    let line = "{\"severity\":\"warning\",\"code\":\"x\",\"message\":\"noise\"}\n";
    let fields =
        format!(r#"(data (i32.const 1024) "[]") (data (i32.const 2048) "{}")"#, escaped(line.as_bytes()));
    let start = format!(
        "(local $i i32) (loop $again (call $say (i32.const 2) (i32.const 2048) (i32.const {}))
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 500))))
         (call $say (i32.const 1) (i32.const 1024) (i32.const 2))",
        line.len()
    );
    let said = mapped(command_with(&fields, &start), b"x").diagnostics;
    assert_eq!(said.len(), 101);
    assert_eq!(said[100].message, "400 further diagnostics are not shown");
}

#[test]
fn a_command_ends_in_its_start_function_or_when_its_stream_is_closed() {
    let fields = r#"(data (i32.const 1024) "[]")
        (func $begin (call $say (i32.const 1) (i32.const 1024) (i32.const 2)) (call $exit (i32.const 0))) (start $begin)"#;
    assert_eq!(mapped(command_with(fields, "(unreachable)"), b"x").drafts, []);
    let closed = "(drop (call $fd_close (i32.const 1))) (call $refuse (call $fd_close (i32.const 1)))
        (call $refuse (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))";
    let failure = fails(command_with("", closed));
    assert!(failure.to_string().contains("the standard output is empty"), "{failure}");
}

#[test]
fn an_answer_that_is_no_json_or_no_events_says_where() {
    assert_eq!(nonsense(""), "the standard output is empty; no events are written as `[]`");
    assert_eq!(nonsense(b"[\xff]"), "the standard output is not UTF-8, at byte 1");
    assert!(nonsense("Hello").contains("line 1 column 1"));
    assert!(nonsense("[] []").contains("trailing characters"));
    assert!(nonsense("[{\"type\":\"a\",\"data\":{},\"tpye\":1}]").contains("unknown field `tpye`"));
    assert!(nonsense("[{\"type\":\"a\",\"type\":\"b\",\"data\":{}}]").contains("duplicate field `type`"));
    assert!(nonsense("\u{feff}[]").contains("column 1"));
    assert!(nonsense("[".repeat(40_000)).contains("invalid type"));
    let deep = format!("[{{\"type\":\"a\",\"data\":{}", "[".repeat(40_000));
    assert!(nonsense(deep).contains("EOF"));
}

#[test]
fn a_trap_shows_the_mappers_own_functions_to_its_author() {
    let fields = "(func $inner unreachable) (func $_ZN4acme5parse17h0123456789abcdefE (call $inner))
        (data (i32.const 1024) \"lot 7\")";
    let start =
        "(call $say (i32.const 2) (i32.const 1024) (i32.const 5)) (call $_ZN4acme5parse17h0123456789abcdefE)";
    let failure = fails(command_with(fields, start));
    let full = failure.in_full();
    assert!(full.contains("\n  in inner\n  in acme::parse\n") && full.ends_with("\n  log: lot 7"), "{full}");
    assert!(!failure.to_string().contains("inner"));
    let deep = "(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))";
    let failure = fails(command_with(deep, "(drop (call $deep (i32.const 0)))"));
    assert!(failure.to_string().contains("the stack overflowed"), "{failure}");
    assert!(failure.in_full().matches("in deep").count() <= 20);
}

#[test]
fn what_a_command_may_not_import_or_must_export_is_named() {
    let told = |text: &str| {
        let wasm = with_manifest(&wat::parse_str(text).unwrap(), &manifest());
        house().load(wasm.into()).unwrap_err().to_string()
    };
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    let foreign = told(&format!(r#"(module (import "env" "abort" (func)) {start})"#));
    assert_eq!(
        foreign,
        "the mapper imports `env.abort`; a command module gets `wasi_snapshot_preview1` and `crossdock.lookup`, nothing else"
    );
    let unstable = told(&format!(r#"(module (import "wasi_unstable" "fd_write" (func)) {start})"#));
    assert!(unstable.contains("`wasi_unstable.fd_write`"), "{unstable}");
    let other = told(&format!(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) {start})"#));
    assert!(other.contains("another type"), "{other}");
    assert!(told(r#"(module (func (export "_start")))"#).contains("does not export `memory`"));
    let number = r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#;
    assert!(told(number).contains("a function without parameters"));
}
