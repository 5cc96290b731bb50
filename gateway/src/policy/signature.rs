//! Signatures of mappers: Ed25519 (RFC 8032) over their digest, by a key that the policy names.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::checked::Signatures;
use crate::words::Digest;

/// What is signed, so that a signature is good for nothing else.
fn text(digest: Digest) -> String {
    format!("crossdock mapper\nsha256:{digest}\n")
}

/// Why a mapper's signature is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// There is none, and the policy asks for one.
    #[error(
        "the policies ask for a signature of every mapper (gateway.yaml, `mappers`), and {0} has none\n  help: crossdock plugin push {0} --key FILE"
    )]
    Missing(String),
    /// No key of the policy made it.
    #[error(
        "the signature of {0} is by no key that the policies name (gateway.yaml, `mappers`)\n  help: the keys are {1}"
    )]
    Unknown(String, String),
}

/// The name of the key that signed a digest; nothing where it is not signed and need not be.
///
/// # Errors
/// A signature is needed and there is none, or it is by none of the keys.
pub fn signer(
    signatures: &Signatures,
    mapper: &str,
    digest: Digest,
    signature: Option<&[u8]>,
) -> Result<Option<String>, Unsigned> {
    let Some(signature) = signature else {
        return if signatures.required { Err(Unsigned::Missing(mapper.to_owned())) } else { Ok(None) };
    };
    let text = text(digest);
    let signed =
        |key: &[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), signature).is_ok();
    let signer = signatures.keys.iter().find(|(_, key)| signed(key));
    let names = || signatures.keys.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    signer.map(|(name, _)| Some(name.clone())).ok_or_else(|| Unsigned::Unknown(mapper.to_owned(), names()))
}

/// Signs a digest with the key of this seed.
///
/// # Errors
/// The seed is not 32 bytes.
pub fn sign(seed: &[u8], digest: Digest) -> Result<Vec<u8>, String> {
    let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| error.to_string())?;
    Ok(key.sign(text(digest).as_bytes()).as_ref().to_vec())
}

/// The public key of a seed.
///
/// # Errors
/// The seed is not 32 bytes.
pub fn public(seed: &[u8]) -> Result<Vec<u8>, String> {
    let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| error.to_string())?;
    Ok(key.public_key().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_digest_and_its_key_alone() {
        let (nina, otto) = ([1; 32], [2; 32]);
        let key = |seed: &[u8]| <[u8; 32]>::try_from(public(seed).unwrap()).unwrap();
        let policy = |required| Signatures { required, keys: [("nina".to_owned(), key(&nina))].into() };
        let (digest, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let by = |seed: &[u8]| sign(seed, digest).unwrap();
        let asked =
            |required, digest, signature: Option<&[u8]>| signer(&policy(required), "m", digest, signature);
        assert_eq!(asked(true, digest, Some(&by(&nina))), Ok(Some("nina".to_owned())));
        assert_eq!(asked(false, digest, None), Ok(None));
        assert_eq!(asked(true, digest, None), Err(Unsigned::Missing("m".to_owned())));
        let unknown = Err(Unsigned::Unknown("m".to_owned(), "nina".to_owned()));
        assert_eq!(asked(false, digest, Some(&by(&otto))), unknown);
        assert_eq!(asked(false, other, Some(&by(&nina))), unknown);
        assert_eq!(asked(false, digest, Some(b"")), unknown);
    }
}
