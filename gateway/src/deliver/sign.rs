//! Signatures of outgoing calls by Standard Webhooks (specification 1.0.0): HMAC-SHA256 over id, timestamp and body.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

use crate::words::{Time, webhook::shared_secret};

pub use crate::words::webhook::InvalidKey;

/// The secrets that sign calls of one target, newest first. While a secret is rotated there are two, and every call
/// carries both signatures, so that the receiver can change over when it likes.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey {
    secrets: Vec<Vec<u8>>,
}

impl WebhookKey {
    /// Reads secrets as `whsec_` and base64; the prefix may be missing.
    ///
    /// # Errors
    /// One of them is not of this form, or there is none.
    pub fn parse(secrets: &[&str]) -> Result<Self, InvalidKey> {
        if secrets.is_empty() {
            return Err(InvalidKey::None);
        }
        let secrets = secrets.iter().map(|text| shared_secret(text)).collect::<Result<_, _>>()?;
        Ok(Self { secrets })
    }

    /// The value of `webhook-signature` for a call.
    pub fn sign(&self, id: &str, at: Time, body: &[u8]) -> String {
        let signatures = self.secrets.iter().map(|secret| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
            context.update(format!("{id}.{}.", timestamp(at)).as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// The value of `webhook-timestamp`: whole seconds.
pub fn timestamp(at: Time) -> i64 {
    at.millis().div_euclid(1000)
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKey({} secrets)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The body, the headers and the verdict of one published case.
    struct Case {
        name: String,
        valid: bool,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        secrets: Vec<String>,
    }

    fn cases() -> Option<Vec<Case>> {
        let folder = std::env::var_os("CROSSDOCK_CONFORMANCE").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
            PathBuf::from,
        );
        let path = folder.join("standard-webhooks/vectors.json");
        let Ok(text) = std::fs::read(&path) else {
            assert!(std::env::var_os("CI").is_none(), "{} is needed", path.display());
            eprintln!("{} is absent, nothing was checked", path.display());
            return None;
        };
        let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let words = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let case = |case: &serde_json::Value| Case {
            name: words(&case["id"]),
            valid: case["valid"].as_bool().unwrap(),
            headers: (case["headers"].as_array().unwrap().iter())
                .map(|pair| (words(&pair[0]).to_ascii_lowercase(), words(&pair[1])))
                .collect(),
            body: STANDARD.decode(words(&case["body_b64"])).unwrap(),
            secrets: case["secrets"].as_array().unwrap().iter().map(words).collect(),
        };
        Some(file["cases"].as_array().unwrap().iter().map(case).collect())
    }

    #[test]
    fn every_published_signature_is_made_and_no_wrong_one() {
        let Some(cases) = cases() else { return };
        let mut made = 0;
        // Their signature is right; what is wrong is told by the receiver's clock, the header's form or its number.
        let receivers_business =
            ["timestamp-too-old", "timestamp-too-new", "duplicate-id-field", "id-with-dot-shift"];
        for case in cases {
            let header = |name: &str| {
                case.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
            };
            let (Some(id), Some(at)) = (header("webhook-id"), header("webhook-timestamp")) else { continue };
            let (Ok(at), false) = (at.parse::<i64>(), case.secrets.is_empty()) else { continue };
            let secrets: Vec<&str> = case.secrets.iter().map(String::as_str).collect();
            let Ok(key) = WebhookKey::parse(&secrets) else {
                assert!(!case.valid, "{}: the secret was not read", case.name);
                continue;
            };
            let ours = key.sign(id, Time::from_millis(at * 1000 + 999), &case.body);
            let given = case.headers.iter().filter(|(name, _)| name == "webhook-signature");
            let given: Vec<&str> = given.flat_map(|(_, value)| value.split(' ')).collect();
            let same = ours.split(' ').any(|signature| given.contains(&signature));
            if case.valid {
                assert!(same, "{}: made {ours}, published {given:?}", case.name);
                made += 1;
            } else if at > 0 && !receivers_business.contains(&case.name.as_str()) {
                assert!(!same, "{}: a wrong signature was made", case.name);
            }
        }
        assert!(made >= 10, "only {made} valid cases were found");
    }

    #[test]
    fn secrets_are_never_shown() {
        let key = WebhookKey::parse(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        assert_eq!(format!("{key:?}"), "WebhookKey(1 secrets)");
        let wrong = WebhookKey::parse(&["whsec_secret but no base64"]).unwrap_err();
        assert!(!wrong.to_string().contains("secret but"), "{wrong}");
    }

    #[test]
    fn short_long_and_missing_secrets_are_refused() {
        let of = |length: usize| WebhookKey::parse(&[STANDARD.encode(vec![7; length]).as_str()]);
        assert_eq!(of(15), Err(InvalidKey::Length(15)));
        assert!(of(16).is_ok() && of(64).is_ok());
        assert_eq!(of(65), Err(InvalidKey::Length(65)));
        assert_eq!(WebhookKey::parse(&[]), Err(InvalidKey::None));
        assert_eq!(WebhookKey::parse(&["whsec_"]), Err(InvalidKey::Length(0)));
    }
}
