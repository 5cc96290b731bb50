//! Keys of Standard Webhooks (specification 1.0.0): what signs and what checks, as people hand them around.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Secrets are handed around with and without their padding, and cut where their last letter has bits to spare.
const SECRET_TEXT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The specification asks makers of secrets for 24 to 64 bytes, and its own libraries sign with 23. Below 128 bits a
/// secret could be guessed.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// A key that checks webhooks.
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookSecret {
    /// `whsec_…`: both sides have it (HMAC-SHA256, signatures `v1`).
    Shared(Vec<u8>),
    /// `whpk_…`: the sender's public key (Ed25519, signatures `v1a`).
    Public([u8; 32]),
}

/// A text that is no key of webhooks. The text itself is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is not base64.
    #[error("the signing secret is not `whsec_` and base64")]
    NotBase64,
    /// It is too short or too long.
    #[error("the signing secret has {0} bytes, 16 to 64 are needed")]
    Length(usize),
    /// A public key of another length.
    #[error("the public key has {0} bytes, 32 are needed")]
    PublicLength(usize),
    /// There is none.
    #[error("there is no signing secret")]
    None,
}

impl WebhookSecret {
    /// Reads `whsec_` or `whpk_` and base64; without a prefix it is a shared secret.
    ///
    /// # Errors
    /// It is not of this form.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        match text.trim().strip_prefix("whpk_") {
            None => shared_secret(text).map(Self::Shared),
            Some(key) => {
                let key = SECRET_TEXT.decode(key).map_err(|_| InvalidKey::NotBase64)?;
                <[u8; 32]>::try_from(key).map(Self::Public).map_err(|key| InvalidKey::PublicLength(key.len()))
            }
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(_) => "Shared(…)",
            Self::Public(_) => "Public(…)",
        })
    }
}

/// Reads `whsec_` and base64; the prefix may be missing.
///
/// # Errors
/// It is not of this form, or too short or long.
pub fn shared_secret(text: &str) -> Result<Vec<u8>, InvalidKey> {
    let text = text.trim();
    let text = text.strip_prefix("whsec_").unwrap_or(text);
    let secret = SECRET_TEXT.decode(text).map_err(|_| InvalidKey::NotBase64)?;
    if SECRET_BYTES.contains(&secret.len()) { Ok(secret) } else { Err(InvalidKey::Length(secret.len())) }
}
