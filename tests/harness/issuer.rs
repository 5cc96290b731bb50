//! The issuer `corp` of the worked estate, with a key pair of its own.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const KEY_ID: &str = "test-1";

/// Signs tokens that the estate believes.
pub struct Issuer {
    key: EncodingKey,
    /// The public half, as the gateway reads it.
    pub jwks: Value,
}

impl Issuer {
    /// A new pair of keys.
    ///
    /// # Errors
    /// None can be made.
    pub fn new() -> anyhow::Result<Self> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        // An uncompressed point: 4, then both coordinates.
        let point = pair.public_key_raw();
        let (x, y) = point.get(1..).context("a point has coordinates")?.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let jwks = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": x, "y": y }
        ] });
        Ok(Self { key: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?, jwks })
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(encode(&header, claims, &self.key)?)
    }
}
