//! HTTP message signatures (RFC 9421) of requests, with the digest of their content (RFC 9530).

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, request::Parts};
use ring::{digest, hmac, signature};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use sfv::{Dictionary, InnerList, ListEntry, Parameters, Parser};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::{Error, signed::Repeats, token::excerpt};
use crate::words::{Caller, Digest, PartnerName, Peer, Time};

mod base;

/// Signatures of one request that are looked at.
const MOST_SIGNATURES: usize = 8;
/// How far a sender's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(30);

/// A key that signs a partner's requests.
#[derive(Clone, Debug)]
pub struct SignerRule {
    /// Whose.
    pub partner: PartnerName,
    /// The credential's name in the policy.
    pub credential: Arc<str>,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// The key's name in requests.
    pub keyid: String,
    /// The key.
    pub key: VerifyingKey,
    /// Components that the signature must cover; `content-digest` always, where there is content.
    pub components: Vec<String>,
    /// How long after `created` a request is taken.
    pub window: Duration,
    /// The application that the signature must be meant for.
    pub tag: Option<String>,
    /// From when on it is void.
    pub expires: Option<Time>,
}

/// A key that is pinned to one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: SignatureAlgorithm,
    key: Vec<u8>,
}

/// Algorithms of RFC 9421, section 6.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// `ed25519`
    Ed25519,
    /// `ecdsa-p256-sha256`
    EcdsaP256Sha256,
    /// `rsa-pss-sha512`
    RsaPssSha512,
    /// `hmac-sha256`
    HmacSha256,
}

impl SignatureAlgorithm {
    /// Every one, by its registered name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("ed25519", Self::Ed25519),
        ("ecdsa-p256-sha256", Self::EcdsaP256Sha256),
        ("rsa-pss-sha512", Self::RsaPssSha512),
        ("hmac-sha256", Self::HmacSha256),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }

    fn of_ring(self) -> Option<&'static dyn signature::VerificationAlgorithm> {
        match self {
            Self::Ed25519 => Some(&signature::ED25519),
            Self::EcdsaP256Sha256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::RsaPssSha512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Self::HmacSha256 => None,
        }
    }
}

impl VerifyingKey {
    /// Reads a public key (PEM, `BEGIN PUBLIC KEY`), or for `hmac-sha256` a shared secret in base64.
    ///
    /// # Errors
    /// It is not of this form or of another algorithm.
    pub fn read(algorithm: SignatureAlgorithm, text: &str) -> Result<Self, String> {
        let key = match algorithm {
            SignatureAlgorithm::HmacSha256 => {
                let secret = STANDARD.decode(text.trim());
                let secret = secret.map_err(|_| "the shared secret is not base64".to_owned())?;
                if secret.len() < 32 {
                    return Err(format!(
                        "the shared secret has {} bytes, at least 32 are needed",
                        secret.len()
                    ));
                }
                secret
            }
            _ => public(algorithm, text)?,
        };
        Ok(Self { algorithm, key })
    }

    fn verifies(&self, signed: &[u8], given: &[u8]) -> bool {
        match self.algorithm.of_ring() {
            Some(algorithm) => {
                signature::UnparsedPublicKey::new(algorithm, &self.key).verify(signed, given).is_ok()
            }
            // ring compares in constant time.
            None => hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), signed, given).is_ok(),
        }
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({})", self.algorithm.name())
    }
}

fn public(algorithm: SignatureAlgorithm, pem: &str) -> Result<Vec<u8>, String> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|_| "expected a public key in PEM: `-----BEGIN PUBLIC KEY-----`".to_owned())?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| "not a public key".to_owned())?;
    // RFC 8410, RFC 5480, RFC 8017: the kind of key; ring then holds it to curve and length.
    let kinds: &[&str] = match algorithm {
        SignatureAlgorithm::Ed25519 => &["1.3.101.112"],
        SignatureAlgorithm::EcdsaP256Sha256 => &["1.2.840.10045.2.1"],
        SignatureAlgorithm::RsaPssSha512 => &["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"],
        SignatureAlgorithm::HmacSha256 => &[],
    };
    let key = info.subject_public_key.data.to_vec();
    // An uncompressed point of P-256; another curve's has another length.
    let point = algorithm != SignatureAlgorithm::EcdsaP256Sha256 || key.len() == 65;
    if !kinds.contains(&info.algorithm.algorithm.to_id_string().as_str()) || !point {
        return Err(format!("the key is not one of `{}`", algorithm.name()));
    }
    Ok(key)
}

/// A request whose signature holds; its content is still to be compared with its digest.
#[derive(Debug)]
pub(super) struct Message {
    rule: Arc<SignerRule>,
    content: Option<Vec<(&'static digest::Algorithm, Vec<u8>)>>,
    repeats: Repeats,
}

impl Message {
    /// Verifies the signature of a request; none if it has none.
    pub(super) fn read(
        head: &Parts,
        peer: &Peer,
        rules: &[Arc<SignerRule>],
        now: Time,
    ) -> Result<Option<Self>, Error> {
        if rules.is_empty() || !head.headers.contains_key("signature-input") {
            return Ok(None);
        }
        let bad = |why| Error::Message { keyid: String::new(), why };
        let inputs =
            dictionary(&head.headers, "signature-input").ok_or(bad("`Signature-Input` is malformed"))?;
        let signatures = dictionary(&head.headers, "signature").ok_or(bad("`Signature` is malformed"))?;
        if inputs.len() > MOST_SIGNATURES {
            return Err(bad("more than 8 signatures"));
        }
        // Others may have signed on the way; the first whose key is a partner's speaks for the request.
        let known = inputs.iter().find_map(|(label, input)| {
            let ListEntry::InnerList(input) = input else { return None };
            let keyid = text(&input.params, "keyid")?;
            let rule = rules.iter().find(|rule| rule.keyid == keyid)?;
            Some((label, input, rule))
        });
        let Some((label, input, rule)) = known else {
            let named = inputs.values().find_map(|input| match input {
                ListEntry::InnerList(input) => text(&input.params, "keyid").map(excerpt),
                ListEntry::Item(_) => None,
            });
            return Err(Error::Message { keyid: named.unwrap_or_default(), why: "no partner has this key" });
        };
        let bad = |why| Error::Message { keyid: rule.keyid.clone(), why };
        in_time(rule, &input.params, now)?;
        if let Some(alg) = input.params.get("alg")
            && alg.as_string().map(sfv::StringRef::as_str) != Some(rule.key.algorithm.name())
        {
            return Err(bad("`alg` is not the key's algorithm"));
        }
        if rule.tag.is_some() && text(&input.params, "tag") != rule.tag.as_deref() {
            return Err(bad("`tag` is missing or another application's"));
        }
        let covered = base::identifiers(input).map_err(bad)?;
        if let Some(missing) = rule.components.iter().find(|wanted| !base::covers(head, &covered, wanted)) {
            tracing::debug!(keyid = rule.keyid, missing, "a signature covers too little");
            return Err(bad("it does not cover a component that the policy requires"));
        }
        let signed = base::text(head, peer, input).map_err(bad)?;
        let given = match signatures.get(label) {
            Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence(),
            _ => None,
        };
        let given = given.ok_or(bad("its bytes are missing"))?;
        if !rule.key.verifies(signed.as_bytes(), given) {
            return Err(bad("it does not verify"));
        }
        let is_covered = |name: &str| covered.iter().any(|covered| covered == name);
        let content = is_covered("\"content-digest\"").then(|| digests(&head.headers)).transpose();
        let content = content.map_err(bad)?;
        let repeats = match text(&input.params, "nonce") {
            _ if is_covered("\"idempotency-key\"") => Repeats::Header,
            Some(nonce) => Repeats::Key(format!("{}/{}", rule.keyid, Digest::of(nonce.as_bytes()))),
            None => Repeats::Key(format!("{}/{}", rule.keyid, Digest::of(given))),
        };
        Ok(Some(Self { rule: Arc::clone(rule), content, repeats }))
    }

    pub(super) fn repeats(&self) -> Repeats {
        self.repeats.clone()
    }

    pub(super) fn prove(self, body: &[u8]) -> Result<Caller, Error> {
        let bad = |why| Err(Error::Message { keyid: self.rule.keyid.clone(), why });
        match &self.content {
            None if !body.is_empty() => {
                return bad("it does not cover `content-digest`, and there is content");
            }
            None => {}
            Some(digests) => {
                let same = |(algorithm, given): &(&'static digest::Algorithm, Vec<u8>)| {
                    digest::digest(algorithm, body).as_ref() == given.as_slice()
                };
                if !digests.iter().all(same) {
                    return bad("`Content-Digest` is not the content's");
                }
            }
        }
        Ok(Caller {
            partner: self.rule.partner.clone(),
            credential: Arc::clone(&self.rule.credential),
            scopes: Arc::clone(&self.rule.scopes),
        })
    }
}

fn in_time(rule: &SignerRule, params: &Parameters, now: Time) -> Result<(), Error> {
    let bad = |why| Err(Error::Message { keyid: rule.keyid.clone(), why });
    if rule.expires.is_some_and(|expires| now >= expires) {
        return Err(Error::Expired(format!("key `{}` of `{}`", rule.keyid, rule.partner)));
    }
    let moment = |name: &str| {
        let seconds = params.get(name).map(|value| value.as_integer().map(i64::from));
        seconds.map(|seconds| seconds.map(|seconds| Time::from_millis(seconds.saturating_mul(1000))))
    };
    let created = match moment("created") {
        Some(Some(created)) => created,
        Some(None) => return bad("`created` is not a number of seconds"),
        None => return bad("it has no `created`"),
    };
    if created > now.after(AHEAD) {
        return bad("`created` is in the future");
    }
    if now > created.after(rule.window) {
        return bad("`created` is too long ago");
    }
    match moment("expires") {
        Some(None) => bad("`expires` is not a number of seconds"),
        Some(Some(expires)) if now >= expires => bad("it has expired"),
        _ => Ok(()),
    }
}

/// The digests of the content that are known here. Any that differs refuses the request, so that nobody can smuggle
/// other content behind a digest that only the next system reads.
fn digests(headers: &HeaderMap) -> Result<Vec<(&'static digest::Algorithm, Vec<u8>)>, &'static str> {
    let all = dictionary(headers, "content-digest").ok_or("`Content-Digest` is malformed")?;
    let mut found = Vec::new();
    for (name, value) in &all {
        let algorithm = match name.as_str() {
            "sha-256" => &digest::SHA256,
            "sha-512" => &digest::SHA512,
            _ => continue,
        };
        let ListEntry::Item(item) = value else { return Err("`Content-Digest` is malformed") };
        let bytes = item.bare_item.as_byte_sequence().ok_or("`Content-Digest` is malformed")?;
        found.push((algorithm, bytes.to_vec()));
    }
    if found.is_empty() { Err("`Content-Digest` has neither sha-256 nor sha-512") } else { Ok(found) }
}

/// All lines of a field as one dictionary (RFC 9651).
fn dictionary(headers: &HeaderMap, name: &str) -> Option<Dictionary> {
    let lines: Option<Vec<&str>> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
    Parser::new(&lines?.join(", ")).parse().ok()
}

fn text<'a>(params: &'a Parameters, name: &str) -> Option<&'a str> {
    params.get(name)?.as_string().map(sfv::StringRef::as_str)
}

/// The parameters as the signature's own line of its base.
fn parameters(input: &InnerList) -> Option<String> {
    sfv::FieldType::serialize(&vec![ListEntry::InnerList(input.clone())])
}
