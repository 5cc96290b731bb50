//! The demo's token issuer: a key pair made at its start, its public half as a JWKS file, tokens by RFC 7515.

use anyhow::anyhow;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;

use crate::words::Time;

/// Signs tokens with ES256.
pub(super) struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// Makes a key pair.
    pub fn new() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| anyhow!("no key could be made"))?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|error| anyhow!("no key could be made: {error}"))?;
        Ok(Self { key, random })
    }

    /// The public half as a key set (RFC 7517).
    pub fn jwks(&self) -> String {
        // An uncompressed point: 4, then 32 bytes of x and 32 of y (SEC 1, section 2.3.3).
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let key = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "demo", "x": x, "y": y });
        json!({ "keys": [key] }).to_string()
    }

    /// A token of the carrier's TMS, good for an hour.
    pub fn token(&self, now: Time) -> anyhow::Result<String> {
        let seconds = now.millis() / 1000;
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "demo" });
        let claims = json!({
            "iss": "https://login.northstar.example", "aud": "https://gateway.northstar.example",
            "sub": "nordfracht-tms", "client_id": "nordfracht-tms", "scope": "tracking:write",
            "iat": seconds, "exp": seconds + 3600,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature =
            self.key.sign(&self.random, signed.as_bytes()).map_err(|_| anyhow!("a token was not signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}
