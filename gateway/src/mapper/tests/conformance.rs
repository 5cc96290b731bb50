//! The shared hostile files, read in place: whatever they are, admission names a reason and nothing of the host.

use std::path::PathBuf;

use super::*;

#[derive(serde::Deserialize)]
struct Case {
    file: String,
    kind: String,
    stage: String,
    must: String,
}

fn folder() -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder =
        std::env::var_os("CROSSDOCK_CONFORMANCE").map_or_else(default, PathBuf::from).join("hostile-wasm");
    if folder.join("cases.json").exists() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there", folder.display());
    eprintln!("skipped: {} is not there; set CROSSDOCK_CONFORMANCE", folder.display());
    None
}

fn bytes(folder: &std::path::Path, case: &Case) -> Vec<u8> {
    let text = std::fs::read_to_string(folder.join(&case.file)).unwrap();
    if case.file.ends_with(".hex") {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        return pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    }
    // Text that no parser takes is as good as any other bytes.
    wat::parse_str(&text).unwrap_or_else(|_| text.into_bytes())
}

/// What keeps a file out, if anything does.
fn kept_out(case: &Case, wasm: &Bytes) -> Option<String> {
    match house().load(wasm.clone()) {
        Ok(_) => None,
        Err(LoadError::Rejected(rejection)) => Some(rejection.to_string()),
        Err(LoadError::Compile(what)) => Some(what),
        Err(other) => panic!("{}: {} ({other:?})", case.file, case.must),
    }
}

fn says_nothing_of_the_host(case: &Case, told: &str) {
    let path = told.contains(" /") || told.contains("`/") || told.contains("(/");
    assert!(!path, "{}: {told}", case.file);
    assert!(told.len() < 600, "{}: {told}", case.file);
}

/// Files that are within all limits or whose harm the host takes from them; every other one is refused.
const HARMLESS: [&str; 8] = [
    "cmd-control-ok.wat",
    "cmd-data-segment-sparse.wat",
    // Traps if there is an environment or a folder.
    "cmd-environment.wat",
    "cmd-exit-0.wat",
    "cmd-log-injection.wat",
    "cmd-log-not-utf8.wat",
    "cmd-memory-grow-then-ok.wat",
    // A whole mapped object is an answer of ours.
    "cmd-output-object.wat",
];

#[test]
fn every_hostile_file_is_refused_with_a_reason_or_does_no_harm() {
    let Some(folder) = folder() else { return };
    let cases = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    let (mut refused, mut ran) = (0, 0);
    for case in &cases {
        // All get a manifest, so that they are refused for their own reason.
        let wasm = bytes(&folder, case);
        let wasm: Bytes = if case.kind == "raw" { wasm } else { with_manifest(&wasm, &manifest()) }.into();
        if let Some(told) = kept_out(case, &wasm) {
            assert!(!HARMLESS.contains(&case.file.as_str()), "{}: {told}", case.file);
            says_nothing_of_the_host(case, &told);
            refused += 1;
            continue;
        }
        // Sockets are denied when they are asked for; relaxed SIMD is compiled to one result on all machines.
        let denied_when_called = case.file == "cmd-import-sock.wat";
        let same_everywhere = case.file == "feature-relaxed-simd.wat";
        let within_limits = HARMLESS.contains(&case.file.as_str()) || case.file.starts_with("core-");
        assert!(
            case.stage != "admit" || denied_when_called || same_everywhere || within_limits,
            "{}",
            case.file
        );
        let mapped = house().map(wasm, strict(), b"ISA*00~");
        match &mapped {
            Ok(_) => assert!(HARMLESS.contains(&case.file.as_str()), "{}: {mapped:?}", case.file),
            Err(failure) => {
                // Traps if a file could be opened.
                let ended = matches!(failure, Failure::Nonsense { .. });
                assert!(ended || case.file != "cmd-import-path-open.wat", "{}: {failure:?}", case.file);
                assert!(!HARMLESS.contains(&case.file.as_str()), "{}: {failure:?}", case.file);
                says_nothing_of_the_host(case, &failure.to_string());
                assert!(!failure.to_string().contains("0x"), "{}: {failure}", case.file);
            }
        }
        // Its neighbours go on as if nothing had been.
        house().map(Guest::default().wasm(), roomy(), b"four").unwrap();
        ran += 1;
    }
    assert!(refused > 30 && ran > 30, "{refused} were refused and {ran} ran");
}
