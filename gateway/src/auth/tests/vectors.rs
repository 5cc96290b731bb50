//! Signatures that others made: Wycheproof and the JOSE cookbook (RFC 7520, RFC 8037), read in place.

use std::{collections::BTreeSet, path::PathBuf};

use super::{super::token::header, *};

pub(super) fn conformance(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CROSSDOCK_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance")),
        PathBuf::from,
    );
    let folder = root.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there", folder.display());
    eprintln!("not run: {} is not there", folder.display());
    None
}

pub(super) fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The way of `token::verify` without its claims, which these payloads are not.
fn holds(jws: &str, keys: &Value) -> bool {
    let parts: Vec<_> = jws.split('.').collect();
    let [head, body, signature] = parts[..] else { return false };
    let (Ok(header), Ok(keys)) = (header(head), KeySet::from_json(&keys.to_string())) else { return false };
    let Ok(algorithm) = header.alg.parse::<Algorithm>() else { return false };
    let found = keys.known(header.kid.as_deref(), algorithm);
    found
        .is_some_and(|key| key.verifies(algorithm, &jws.as_bytes()[..head.len() + 1 + body.len()], signature))
}

/// Valid vectors that are refused here, by what they have in common.
fn refused_on_purpose(group: &Value, test: &Value) -> Option<&'static str> {
    let public = &group["public"];
    if public.is_null() {
        return Some("shared secrets are not offered");
    }
    match (public["alg"].as_str(), public["crv"].as_str()) {
        (Some("ES521"), _) | (_, Some("P-521")) => Some("the library has no P-521"),
        _ => LISTED.iter().find(|(id, _)| test["tcId"] == *id).map(|(_, reason)| *reason),
    }
}

const LISTED: [(i64, &str); 2] = [
    (346, "the key is pinned to PS256 and the token is signed with PS384"),
    (350, "the key is pinned to PS256 and the token is signed with PS384"),
];

#[test]
fn wycheproof_signatures_hold_or_fail_as_they_say() {
    let Some(folder) = conformance("wycheproof/testvectors_v1") else { return };
    let (mut wrong, mut passing, mut ran) = (Vec::new(), BTreeSet::new(), 0);
    for group in read(folder.join("json_web_signature_test.json"))["testGroups"].as_array().unwrap() {
        let keys = json!({ "keys": [group["public"]] });
        for test in group["tests"].as_array().unwrap() {
            ran += 1;
            let held = holds(test["jws"].as_str().unwrap_or_default(), &keys);
            let line =
                format!("{} {} {} {:?}", test["tcId"], group["comment"], test["comment"], test["result"]);
            match (test["result"].as_str().unwrap(), refused_on_purpose(group, test)) {
                ("valid", Some(reason)) if held => {
                    passing.insert(format!("{line}: {reason}"));
                }
                ("valid", None) if !held => wrong.push(line),
                ("invalid", _) if held => wrong.push(line),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(passing.is_empty(), "exceptions that are none any more: {passing:#?}");
    assert!(ran > 390, "only {ran} vectors");
}

#[test]
fn wycheproof_sets_of_keys_are_refused_as_they_say() {
    let Some(folder) = conformance("wycheproof/testvectors_v1") else { return };
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for group in read(folder.join("json_web_key_test.json"))["testGroups"].as_array().unwrap() {
        let keys = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        for test in group["tests"].as_array().unwrap() {
            ran += 1;
            let held = holds(test["jws"].as_str().unwrap_or_default(), keys);
            // Only invalid ones are binding: a set with a private key is refused whatever it signed.
            let private =
                keys["keys"].as_array().unwrap().iter().any(|key| key.get("d").or(key.get("k")).is_some());
            let wanted = test["result"] == "valid" && !private;
            if held != wanted {
                wrong.push(format!(
                    "{} {} {} {}",
                    test["tcId"], group["comment"], test["comment"], test["result"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(ran > 20, "only {ran} vectors");
}

#[test]
fn the_cookbooks_answers_are_known() {
    let Some(folder) = conformance("jose-cookbook") else { return };
    for (file, held) in [
        ("jws/4_1.rsa_v15_signature.json", true),
        ("jws/4_2.rsa-pss_signature.json", true),
        ("jws/4_3.ecdsa_signature.json", false),
        ("jws/4_4.hmac-sha2_integrity_protection.json", false),
        ("curve25519/jws.json", true),
        ("rfc7797/hmac-sha2_b64_false.json", false),
    ] {
        let case = read(folder.join(file));
        let mut key = case["input"]["key"].clone();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(private);
        }
        let compact = case["output"]["compact"].as_str().unwrap_or_default();
        assert_eq!(holds(compact, &json!({ "keys": [key] })), held, "{file}");
    }
}
