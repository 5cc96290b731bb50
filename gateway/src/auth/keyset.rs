//! An issuer's public keys (JWK Set, RFC 7517): from a file, or fetched and kept fresh.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{
    Algorithm, Error, Issuer,
    algorithm::Kind,
    fetch::{Fetch, Fetcher},
    token::excerpt,
};
use crate::words::{Time, json};

/// Keys in one set; real issuers have two to ten.
const MOST_KEYS: usize = 100;

/// RSA moduli in bits: at least what NIST SP 800-131A allows, at most what the library computes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Members that only a private or shared key has.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a set of keys is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON by the strict reader.
    #[error("not a JWK set: {0}")]
    Json(#[from] json::Error),
    /// JSON, but not a set of keys.
    #[error("not a JWK set: {0}")]
    Shape(&'static str),
    /// One key spoils it.
    #[error("key `{kid}` {why}")]
    Key {
        /// Its `kid`, or its place in the set.
        kid: String,
        /// What is wrong.
        why: &'static str,
    },
    /// None of its keys can verify a token.
    #[error("no key of the set can verify a token")]
    Empty,
    /// The address is neither `https` nor on this machine.
    #[error("`{0}` is not an https address")]
    Address(String),
}

/// The keys of one issuer. Shared between revisions of the policies, so that a reload fetches nothing.
#[derive(Debug)]
pub struct KeySet {
    current: ArcSwapOption<Keys>,
    generation: AtomicU64,
    fetcher: Option<Fetcher>,
}

#[derive(Debug)]
pub(super) struct Keys {
    all: Vec<Key>,
    generation: u64,
    /// From when on they are too old to be believed; none for a file.
    void_from: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Key {
    kid: Option<String>,
    kind: Kind,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// A key for a token, and the set that it is from.
pub(super) struct Found {
    keys: Arc<Keys>,
    index: usize,
}

impl Found {
    /// Generation of the set.
    pub(super) fn generation(&self) -> u64 {
        self.keys.generation
    }

    /// Whether `signature` (base64url) is this key's over `signed`.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &str) -> bool {
        let key = &self.keys.all[self.index].key;
        jsonwebtoken::crypto::verify(signature, signed, key, algorithm.library()).unwrap_or(false)
    }
}

impl KeySet {
    /// A set from the text of a file. Keys for encryption and of unknown kinds are passed over, as RFC 7517
    /// (section 5) asks.
    ///
    /// # Errors
    /// Not a set; a private or shared key; RSA below 2048 bits; the same `kid` twice; a point that is not on
    /// its curve; no usable key.
    pub fn from_json(text: &str) -> Result<Self, KeySetError> {
        let set = Self { current: ArcSwapOption::empty(), generation: AtomicU64::new(0), fetcher: None };
        set.install(parse(text.as_bytes())?, None);
        Ok(set)
    }

    /// A set that is fetched from `url`: https, or http on this machine. It is empty until the first
    /// [`KeySet::refresh`]; [`KeySet::keep_fresh`] does the first and all later ones.
    ///
    /// # Errors
    /// The address is not allowed.
    pub fn from_url(url: http::Uri, fetch: Fetch) -> Result<Self, KeySetError> {
        let fetcher = Fetcher::new(url, fetch)?;
        Ok(Self { current: ArcSwapOption::empty(), generation: AtomicU64::new(0), fetcher: Some(fetcher) })
    }

    /// Changes whenever the keys do.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there are keys at all and they are not too old.
    pub fn usable(&self, now: Time) -> bool {
        self.fresh(now).is_some()
    }

    pub(super) fn fetcher(&self) -> Option<&Fetcher> {
        self.fetcher.as_ref()
    }

    /// Puts other keys in place. The same keys again keep their generation, so that a routine refresh
    /// does not empty the cache of verified tokens.
    pub(super) fn install(&self, all: Vec<Key>, void_from: Option<Time>) {
        let before = self.current.load();
        let same = before.as_ref().is_some_and(|before| before.all == all);
        let generation = self.generation() + u64::from(!same);
        self.current.store(Some(Arc::new(Keys { all, generation, void_from })));
        self.generation.store(generation, Ordering::Release);
    }

    /// A key of the set as it is now.
    #[cfg(test)]
    pub(super) fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Found> {
        self.current.load_full()?.find(kid, algorithm)
    }

    fn fresh(&self, now: Time) -> Option<Arc<Keys>> {
        self.current.load_full().filter(|keys| keys.void_from.is_none_or(|void| now < void))
    }

    /// The key that the token names, or the only one that fits where it names none. A name that is not known
    /// makes the set be fetched again, at most once per cooldown.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        issuer: &Issuer,
        now: Time,
    ) -> Result<Found, Error> {
        let unknown =
            || Error::Key { kid: excerpt(kid.unwrap_or_default()), issuer: Arc::clone(&issuer.name) };
        let seen = self.generation();
        let keys = self.fresh(now);
        if let Some(found) = keys.as_ref().and_then(|keys| keys.find(kid, algorithm)) {
            return Ok(found);
        }
        let known = keys.as_ref().is_some_and(|keys| keys.all.iter().any(|key| key.kid.as_deref() == kid));
        let mut why = None;
        if let Some(fetcher) = &self.fetcher
            && !known
        {
            why = fetcher.refetch(self, seen, now).await.err();
        }
        match self.fresh(now) {
            Some(keys) => keys.find(kid, algorithm).ok_or_else(unknown),
            None => Err(Error::KeysUnavailable {
                issuer: Arc::clone(&issuer.name),
                why: why.map_or_else(|| "none were fetched yet".to_owned(), |why| why.to_string()),
            }),
        }
    }
}

impl Keys {
    fn find(self: &Arc<Self>, kid: Option<&str>, algorithm: Algorithm) -> Option<Found> {
        let fits = |key: &Key| {
            key.kind == algorithm.kind() && key.algorithm.is_none_or(|pinned| pinned == algorithm)
        };
        let named = |key: &Key| kid.is_none() || key.kid.as_deref() == kid;
        let mut fitting = self.all.iter().enumerate().filter(|(_, key)| named(key) && fits(key));
        let (index, _) = fitting.next()?;
        // Without a name, trying one after the other would let the sender choose.
        if fitting.next().is_some() {
            return None;
        }
        Some(Found { keys: Arc::clone(self), index })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let same_key = match (self.key.kind(), other.key.kind()) {
            (SecretOrDer(a), SecretOrDer(b)) => a == b,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: other_n, e: other_e }) => {
                n == other_n && e == other_e
            }
            _ => false,
        };
        same_key && self.kid == other.kid && self.kind == other.kind && self.algorithm == other.algorithm
    }
}

/// Reads a JWK set from outside.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Key>, KeySetError> {
    let set = json::read(bytes, 8)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::Shape("no list `keys`"))?;
    if keys.len() > MOST_KEYS {
        return Err(KeySetError::Shape("more than 100 keys"));
    }
    let mut seen = HashSet::new();
    let mut usable = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let key = key.as_object().ok_or(KeySetError::Shape("a key is not an object"))?;
        let kid = match key.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(KeySetError::Shape("a `kid` is not a text")),
        };
        let bad =
            |why| KeySetError::Key { kid: kid.as_deref().map_or_else(|| format!("#{index}"), excerpt), why };
        if PRIVATE.iter().any(|member| key.contains_key(*member)) {
            return Err(bad("is private or shared; only public keys belong here"));
        }
        if kid.as_ref().is_some_and(|kid| !seen.insert(kid.clone())) {
            return Err(bad("appears twice"));
        }
        usable.extend(public(key).map_err(bad)?.map(|(kind, algorithm, key)| Key {
            kid,
            kind,
            algorithm,
            key,
        }));
    }
    if usable.is_empty() { Err(KeySetError::Empty) } else { Ok(usable) }
}

type Public = (Kind, Option<Algorithm>, DecodingKey);

/// A key that can verify tokens; `None` if it is for something else.
fn public(key: &Map<String, Value>) -> Result<Option<Public>, &'static str> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if key.contains_key("use") && text("use") != Some("sig") {
        return Ok(None);
    }
    if let Some(operations) = key.get("key_ops")
        && !operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
    {
        return Ok(None);
    }
    let algorithm = match key.get("alg") {
        None => None,
        Some(name) => match name.as_str().and_then(|name| name.parse().ok()) {
            Some(algorithm) => Some(algorithm),
            None => return Ok(None),
        },
    };
    let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let (kind, key) = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let (Some(n), Some(e)) = (bytes("n"), bytes("e")) else {
                return Err("has no modulus or exponent in base64url");
            };
            (Kind::Rsa, rsa(&n, &e)?)
        }
        (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
            let (kind, size) = if curve == "P-256" { (Kind::P256, 32) } else { (Kind::P384, 48) };
            let point = bytes("x").zip(bytes("y")).filter(|(x, y)| x.len() == size && y.len() == size);
            let (x, y) = point.ok_or("has coordinates of a wrong length")?;
            (kind, DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()))
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = bytes("x").filter(|x| x.len() == 32).ok_or("has a coordinate of a wrong length")?;
            (Kind::Ed25519, DecodingKey::from_ed_der(&x))
        }
        (Some(_), _) => return Ok(None),
        (None, _) => return Err("has no `kty`"),
    };
    let fitting =
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.kind() == kind).expect("every kind has one");
    if algorithm.is_some_and(|algorithm: Algorithm| algorithm.kind() != kind) {
        return Err("has an `alg` of another kind of key");
    }
    // The library looks at a point only when it verifies; an empty signature makes it look now.
    if jsonwebtoken::crypto::verify("", b"", &key, fitting.library()).is_err() {
        return Err("is not a point of its curve");
    }
    Ok(Some((kind, algorithm, key)))
}

fn rsa(n: &[u8], e: &[u8]) -> Result<DecodingKey, &'static str> {
    let significant = |bytes: &[u8]| bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let (n, e) = (&n[significant(n)..], &e[significant(e)..]);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if bits < *RSA_BITS.start() {
        return Err("is an RSA key below 2048 bits");
    }
    if bits > *RSA_BITS.end() {
        return Err("is an RSA key above 4096 bits");
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
    if !odd(n) || !odd(e) || e.len() > 4 || e == [1] {
        return Err("has an impossible modulus or exponent");
    }
    if has_roca_fingerprint(n) {
        return Err("has a modulus of the kind that can be factored (ROCA, CVE-2017-15361)");
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

/// Whether a modulus bears the mark of the library whose keys can be factored: its primes are powers of 65537 modulo all
/// small primes, and so is their product (Nemec et al., "The Return of Coppersmith's Attack", 2017, section 2.2). An
/// honest modulus looks so once in 2^27.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
        103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.into_iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65537 % prime));
        powers.take(prime as usize).any(|power| power == rest)
    })
}
