//! The shared hostile files, read in place: whatever they are, admission names a reason and nothing of the host.

use std::path::PathBuf;

use super::*;

#[derive(serde::Deserialize)]
struct Case {
    file: String,
    kind: String,
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

#[test]
fn every_hostile_file_is_refused_with_a_reason() {
    let Some(folder) = folder() else { return };
    let cases = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    let mut seen = 0;
    for case in &cases {
        // Components get a manifest, so that they are refused for their own reason.
        let wasm = bytes(&folder, case);
        let wasm = if case.kind == "component" { with_manifest(&wasm, &manifest()) } else { wasm };
        let told = match house().load(wasm.into()) {
            Err(LoadError::Rejected(rejection)) => rejection.to_string(),
            other => panic!("{}: {} ({other:?})", case.file, case.must),
        };
        assert!(!told.contains('/') || told.contains("crossdock:mapper/"), "{}: {told}", case.file);
        assert!(told.len() < 600, "{}: {told}", case.file);
        seen += 1;
    }
    assert!(seen > 0, "no case was tried");
}
