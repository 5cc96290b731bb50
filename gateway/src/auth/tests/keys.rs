//! API keys, and sets of public keys.

use super::*;

const SECRET: &str = "xd_3f9c2b7e41d05a6886aa19e0c7d4b2f1";

fn gate() -> Authenticator {
    let key = |secret: &str, partner_name: &str, expires| ApiKey {
        partner: partner(partner_name),
        credential: "nightly".into(),
        sha256: Digest::of(secret.as_bytes()),
        scopes: ["shipments:write".to_owned()].into(),
        expires,
    };
    let keys = vec![key(SECRET, "acme-3pl", None), key("xd_second", "globex", Some(at(NOW + 60)))];
    Authenticator::new(Believed { keys, ..Believed::default() })
}

#[tokio::test]
async fn an_api_key_is_taken_from_any_of_its_three_places() {
    let places: [(&str, String); 4] = [
        ("authorization", format!("Bearer {SECRET}")),
        ("authorization", format!("ApiKey {SECRET}")),
        ("authorization", format!("apikey  {SECRET}")),
        ("x-api-key", SECRET.to_owned()),
    ];
    for (name, value) in places {
        let caller = ask(&gate(), &with(&[(name, &value)]), at(NOW)).await.unwrap();
        assert_eq!((caller.partner.as_str(), &*caller.credential), ("acme-3pl", "nightly"));
        assert_eq!(*caller.scopes, ["shipments:write"]);
    }
}

#[tokio::test]
async fn a_key_is_known_whole_or_not_at_all() {
    let hash = Digest::of(SECRET.as_bytes()).to_string();
    for secret in
        [&SECRET[..SECRET.len() - 1], &format!("{SECRET}0"), &SECRET.to_uppercase(), &hash, "xd_", "x.y"]
    {
        let answer = ask(&gate(), &with(&[("x-api-key", secret)]), at(NOW)).await;
        assert_eq!(answer.map(drop), Err(Error::Unknown), "{secret}");
    }
}

#[tokio::test]
async fn a_key_expires_to_the_moment() {
    let headers = with(&[("x-api-key", "xd_second")]);
    let last = Time::from_millis((NOW + 60) * 1000 - 1);
    assert!(ask(&gate(), &headers, last).await.is_ok());
    assert!(matches!(ask(&gate(), &headers, at(NOW + 60)).await, Err(Error::Expired(_))));
}

#[tokio::test]
async fn anything_but_one_credential_is_refused() {
    let key = format!("Bearer {SECRET}");
    assert_eq!(ask(&gate(), &HeaderMap::new(), at(NOW)).await.map(drop), Err(Error::Missing));
    for headers in [
        vec![("authorization", key.as_str()), ("authorization", key.as_str())],
        vec![("authorization", key.as_str()), ("x-api-key", SECRET)],
        vec![("x-api-key", SECRET), ("x-api-key", SECRET)],
        vec![("authorization", SECRET)],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "")],
        vec![("x-api-key", "")],
        vec![("authorization", "Basic eGQ6eGQ=")],
        vec![("authorization", "Bearer a b")],
        vec![("authorization", "Bearer a,Bearer b")],
        vec![("authorization", "Bearer xd_\u{e9}")],
        vec![("x-api-key", &"x".repeat(9000))],
    ] {
        let answer = ask(&gate(), &with(&headers), at(NOW)).await;
        assert!(matches!(answer, Err(Error::Malformed(_))), "{headers:?}");
    }
}

fn rsa_key(bits: usize) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] = 0xff >> (n.len() * 8 - bits);
    json!({ "kty": "RSA", "kid": "r", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB" })
}

fn refused(keys: Value) -> String {
    KeySet::from_json(&json!({ "keys": keys }).to_string()).map(drop).expect_err("refused").to_string()
}

fn with_member(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

#[test]
fn a_set_is_refused_for_one_bad_key() {
    let good = Pair::new("k1", Algorithm::ES256).public();
    let again = |name, value| with_member(good.clone(), name, value);
    assert_eq!(refused(json!([rsa_key(2047)])), "key `r` is an RSA key below 2048 bits");
    assert_eq!(refused(json!([rsa_key(4097)])), "key `r` is an RSA key above 4096 bits");
    assert_eq!(refused(json!([good, good])), "key `k1` appears twice");
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert!(refused(json!([good, again(member, json!("AA"))])).contains("private or shared"), "{member}");
    }
    assert!(refused(json!([{ "kty": "oct", "k": "AAAA" }])).contains("private or shared"));
    assert!(refused(json!([again("x", json!("AAAA"))])).contains("wrong length"));
    assert!(refused(json!([again("x", good["y"].clone())])).contains("not a point of its curve"));
    assert!(refused(json!([again("alg", json!("EdDSA"))])).contains("another kind"));
    assert!(refused(json!([with_member(rsa_key(2048), "e", json!("AQ"))])).contains("impossible"));
    assert!(refused(json!([with_member(rsa_key(2048), "e", json!("AQAA"))])).contains("impossible"));
    assert!(refused(json!([with_member(rsa_key(2048), "n", json!("AQ=="))])).contains("no modulus"));
    assert!(refused(json!([])).contains("no key of the set"));
    assert!(refused(json!(vec![1; 101])).contains("more than 100"));
    for text in
        ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[1]}"#, r#"{"keys":[{}]}"#]
    {
        assert!(KeySet::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn keys_for_something_else_are_passed_over() {
    let good = Pair::new("k1", Algorithm::ES256).public();
    let other = |name, value| with_member(with_member(good.clone(), "kid", json!("k2")), name, value);
    for foreign in [
        other("use", json!("enc")),
        other("key_ops", json!(["sign"])),
        other("alg", json!("ECDH-ES")),
        other("crv", json!("secp256k1")),
        other("kty", json!("AKP")),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AAAA", "kid": "x" }),
    ] {
        let keys = KeySet::from_json(&json!({ "keys": [foreign, good] }).to_string()).unwrap();
        assert!(keys.known(Some("k1"), Algorithm::ES256).is_some(), "{foreign}");
        assert!(keys.known(Some("k2"), Algorithm::ES256).is_none(), "{foreign}");
        assert!(KeySet::from_json(&json!({ "keys": [foreign] }).to_string()).is_err(), "{foreign}");
    }
    assert!(KeySet::from_json(&json!({ "keys": [rsa_key(2048), rsa_key(4096).as_object().map(|_| with_member(rsa_key(4096), "kid", json!("s"))).unwrap()] }).to_string()).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_panics_as_key_set_or_credential(text in ".{0,60}", noise in proptest::collection::vec(0x20..0xff_u8, 0..60)) {
        let _ = KeySet::from_json(&text);
        let _ = KeySet::from_json(&json!({ "keys": [{ "kty": "RSA", "n": text, "e": text }] }).to_string());
        let _ = KeySet::from_json(&json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": text }] }).to_string());
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_bytes(&[b"Bearer ", noise.as_slice()].concat()).unwrap_or(HeaderValue::from_static("")));
        let _ = credential(&headers);
    }
}
