//! Each way to forge or misuse a token, and the few ways that are good.

use super::*;

fn gate(pair: &Pair) -> Authenticator {
    authenticator(issuer(KeySet::from_json(&set(&[pair])).unwrap(), &[Algorithm::ES256, Algorithm::EdDSA]))
}

fn pair() -> Pair {
    Pair::new("k1", Algorithm::ES256)
}

async fn refusal(token: &str) -> Error {
    present(&gate(&pair()), token, at(NOW)).await.unwrap_err()
}

#[tokio::test]
async fn a_good_token_is_its_partners_with_the_scopes_it_carries() {
    for pair in [pair(), Pair::new("k2", Algorithm::EdDSA)] {
        let caller = present(&gate(&pair), &pair.sign(&claims()), at(NOW)).await.unwrap();
        assert_eq!((caller.partner.as_str(), &*caller.credential), ("acme-3pl", "wms"));
        assert_eq!(*caller.scopes, ["orders:read", "shipments:write", "x"]);
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_a_single_audience_is_enough() {
    let token = pair().sign(&changed("aud", json!("crossdock")));
    let headers = with(&[("authorization", &format!("bEARER   {token}"))]);
    assert!(ask(&gate(&pair()), &headers, at(NOW)).await.is_ok());
}

#[tokio::test]
async fn a_changed_token_is_refused_wherever_it_is_changed() {
    let token = pair().sign(&claims());
    let gate = gate(&pair());
    for index in (0..token.len()).step_by(7) {
        let mut other = token.clone().into_bytes();
        other[index] = if other[index] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(present(&gate, &other, at(NOW)).await.is_err(), "byte {index}");
    }
}

#[tokio::test]
async fn another_key_with_the_same_name_signs_nothing() {
    let mut forger = Pair::new("forger", Algorithm::ES256);
    forger.kid = "k1";
    assert!(matches!(refusal(&forger.sign(&claims())).await, Error::Signature(_)));
}

#[tokio::test]
async fn none_and_shared_secrets_are_no_algorithms() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    for alg in
        ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "ES256K", "RSA-OAEP", "dir"]
    {
        let header = json!({ "alg": alg, "kid": "k1" }).to_string();
        let signed = pair().sign_texts(&header, &claims().to_string());
        assert!(matches!(refusal(&signed).await, Error::Algorithm { .. }), "{alg}");
        let bare = format!("{}.", signed.rsplit_once('.').unwrap().0);
        assert!(matches!(refusal(&bare).await, Error::Algorithm { .. }), "{alg}");
    }
    // The classic confusion: the public key, which everybody has, as the secret of an HMAC.
    let x = pair().public()["x"].as_str().unwrap().to_owned();
    let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(x).unwrap());
    let library = jsonwebtoken::Header { kid: Some("k1".to_owned()), ..jsonwebtoken::Header::default() };
    let token = jsonwebtoken::encode(&library, &claims(), &secret).unwrap();
    assert!(matches!(refusal(&token).await, Error::Algorithm { .. }));
}

#[tokio::test]
async fn an_algorithm_must_be_pinned_and_fit_its_key() {
    let pair = pair();
    let only_ed = authenticator(issuer(KeySet::from_json(&set(&[&pair])).unwrap(), &[Algorithm::EdDSA]));
    let answer = present(&only_ed, &pair.sign(&claims()), at(NOW)).await;
    assert!(matches!(answer, Err(Error::Algorithm { .. })));
    for alg in ["EdDSA"] {
        let header = json!({ "alg": alg, "kid": "k1" }).to_string();
        let token = pair.sign_texts(&header, &claims().to_string());
        assert!(matches!(refusal(&token).await, Error::Key { .. }), "{alg}");
    }
    let mut public = pair.public();
    public["alg"] = json!("ES256");
    let pinned = json!({ "keys": [public] }).to_string();
    let pinned = authenticator(issuer(KeySet::from_json(&pinned).unwrap(), &[Algorithm::ES256]));
    assert!(present(&pinned, &pair.sign(&claims()), at(NOW)).await.is_ok());
}

#[tokio::test]
async fn headers_that_bring_their_own_key_or_meaning_are_refused() {
    for (name, value) in [
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("jwk", pair().public()),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(1)),
        ("kid", json!(1)),
        ("alg", json!(["ES256"])),
        ("alg", json!(null)),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "k1" });
        header[name] = value.clone();
        let token = pair().sign_texts(&header.to_string(), &claims().to_string());
        assert!(matches!(refusal(&token).await, Error::Header(_)), "{name} {value}");
    }
    for typ in ["at+jwt", "application/at+JWT", "jwt"] {
        let header = json!({ "alg": "ES256", "kid": "k1", "typ": typ }).to_string();
        let token = pair().sign_texts(&header, &claims().to_string());
        assert!(present(&gate(&pair()), &token, at(NOW)).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn a_kid_is_a_name_and_nothing_else() {
    for kid in ["", "k2", "K1", "../../dev/null", "k1' OR '1'='1", "k1\0", "k1\n"] {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let token = pair().sign_texts(&header, &claims().to_string());
        let error = refusal(&token).await;
        assert!(matches!(error, Error::Key { .. }), "{kid:?}");
        assert!(!error.to_string().contains(char::is_control), "{kid:?} reaches the log raw");
    }
}

#[tokio::test]
async fn a_token_without_kid_needs_a_set_where_one_key_fits() {
    let (first, second) = (pair(), Pair::new("k3", Algorithm::ES256));
    let token = first.sign_texts(r#"{"alg":"ES256"}"#, &claims().to_string());
    assert!(present(&gate(&first), &token, at(NOW)).await.is_ok());
    let both = KeySet::from_json(&set(&[&first, &second])).unwrap();
    let answer = present(&authenticator(issuer(both, &[Algorithm::ES256])), &token, at(NOW)).await;
    assert!(matches!(answer, Err(Error::Key { .. })));
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_are_refused() {
    for (claims, name) in [
        (without("aud"), "aud"),
        (changed("aud", json!("someone-else")), "aud"),
        (changed("aud", json!([])), "aud"),
        (changed("aud", json!({ "crossdock": 1 })), "aud"),
        (changed("aud", json!(null)), "aud"),
        (without("exp"), "exp"),
        (changed("exp", json!("2999-01-01")), "exp"),
        (changed("exp", json!(null)), "exp"),
        (changed("nbf", json!("soon")), "nbf"),
        (without("sub"), "sub"),
        (changed("sub", json!("")), "sub"),
        (changed("sub", json!(null)), "sub"),
    ] {
        let error = refusal(&pair().sign(&claims)).await;
        assert!(matches!(&error, Error::Claim { claim, .. } if claim == name), "{claims} {error}");
    }
    for iss in [json!(null), json!(""), json!("https://id.acme.example/"), json!(["https://id.acme.example"])]
    {
        assert!(matches!(refusal(&pair().sign(&changed("iss", iss))).await, Error::Issuer(_)));
    }
    assert!(matches!(refusal(&pair().sign(&without("iss"))).await, Error::Issuer(_)));
    let nobody = Issuer {
        audience: vec![],
        ..issuer(KeySet::from_json(&set(&[&pair()])).unwrap(), &[Algorithm::ES256])
    };
    let answer = present(&authenticator(nobody), &pair().sign(&claims()), at(NOW)).await;
    assert!(matches!(answer, Err(Error::Claim { .. })), "an issuer without audience believes nobody");
}

#[tokio::test]
async fn time_is_the_passed_one_with_leeway_to_the_second() {
    let token = pair().sign(&claims());
    let on = async |seconds| present(&gate(&pair()), &token, at(seconds)).await;
    assert!(on(NOW + 304).await.is_ok());
    assert!(matches!(on(NOW + 305).await, Err(Error::Expired(_))));
    assert!(on(NOW - 15).await.is_ok());
    assert!(matches!(on(NOW - 16).await, Err(Error::NotYet(_))));
    for exp in [json!(-1), json!(0), json!(-1e300), json!(f64::MIN_POSITIVE)] {
        assert!(matches!(refusal(&pair().sign(&changed("exp", exp))).await, Error::Expired(_)));
    }
    assert!(matches!(refusal(&pair().sign(&changed("nbf", json!(1e300)))).await, Error::NotYet(_)));
    assert!(present(&gate(&pair()), &pair().sign(&changed("exp", json!(1e300))), at(NOW)).await.is_ok());
}

#[tokio::test]
async fn what_is_written_twice_or_loosely_is_no_token() {
    let good = claims().to_string();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let twice = good.replacen('{', r#"{"sub":"admin","#, 1);
    for (header, claims) in [
        (header, twice.as_str()),
        (r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, good.as_str()),
        (header, "[]"),
        (header, ""),
        ("", good.as_str()),
        (header, "{} {}"),
    ] {
        assert!(
            matches!(refusal(&pair().sign_texts(header, claims)).await, Error::Malformed(_)),
            "{header} {claims}"
        );
    }
    let token = pair().sign(&claims());
    let (head, rest) = token.split_once('.').unwrap();
    for text in [
        format!("{token}."),
        format!("{token}.e30"),
        format!(".{token}"),
        format!("{head}=.{rest}"),
        format!("{head}\u{e9}.{rest}"),
        "..".to_owned(),
        ".".to_owned(),
        "a.b".to_owned(),
    ] {
        assert!(matches!(refusal(&text).await, Error::Malformed(_)), "{text}");
    }
}

#[tokio::test]
async fn size_is_bounded() {
    let token = pair().sign(&changed("sub", json!("x".repeat(9000))));
    assert!(matches!(refusal(&token).await, Error::Malformed(_)));
}

#[tokio::test]
async fn a_token_is_only_whose_the_rules_say() {
    let keys = || KeySet::from_json(&set(&[&pair()])).unwrap();
    let token = pair().sign(&changed("groups", json!(["a", "acme"])));
    let ask = async |rules| {
        let gate = believing(issuer(keys(), &[Algorithm::ES256]), rules);
        present(&gate, &token, at(NOW)).await
    };
    assert!(matches!(ask(vec![]).await, Err(Error::Nobody(_))));
    assert!(matches!(ask(vec![rule("acme-3pl", "sub", "wms-8")]).await, Err(Error::Nobody(_))));
    let other = TokenRule { issuer: "other".into(), ..rule("acme-3pl", "sub", "wms-7") };
    assert!(matches!(ask(vec![other]).await, Err(Error::Nobody(_))));
    let empty = TokenRule { claims: vec![], ..rule("acme-3pl", "sub", "wms-7") };
    assert!(matches!(ask(vec![empty]).await, Err(Error::Nobody(_))));
    assert_eq!(ask(vec![rule("globex", "groups", "acme")]).await.unwrap().partner.as_str(), "globex");
    let two = vec![rule("acme-3pl", "sub", "wms-7"), rule("globex", "groups", "acme")];
    assert!(matches!(ask(two).await, Err(Error::Ambiguous { .. })));
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let gate = gate(&pair());
    let token = pair().sign(&claims());
    assert!(present(&gate, &token, at(NOW)).await.is_ok());
    assert!(present(&gate, &token, at(NOW + 304)).await.is_ok());
    assert!(matches!(present(&gate, &token, at(NOW + 305)).await, Err(Error::Expired(_))));
    assert!(matches!(present(&gate, &token, at(NOW - 16)).await, Err(Error::NotYet(_))));
    assert_eq!(gate.cache.len(), 0);
}

#[tokio::test]
async fn remembering_is_bounded_and_refusals_are_not_remembered() {
    let pair = Pair::new("k2", Algorithm::EdDSA);
    let gate = gate(&pair);
    for number in 0..20 {
        present(&gate, &pair.sign(&changed("sub", json!(number))), at(NOW)).await.unwrap_err();
    }
    assert_eq!(gate.cache.len(), 0);
    let token = pair.sign(&claims());
    present(&gate, &token, at(NOW)).await.unwrap();
    let (caller, _) = gate.cache.get(&Digest::of(token.as_bytes()), at(NOW)).unwrap();
    let verified = super::super::token::verify(&token, &gate.issuers, at(NOW)).await.unwrap();
    for number in 0..50_000_u32 {
        gate.cache.put(Digest::of(&number.to_le_bytes()), &caller, &verified);
    }
    assert!((1000..=8192).contains(&gate.cache.len()), "{}", gate.cache.len());
}

#[tokio::test]
async fn every_refusal_reads_the_same_to_the_caller() {
    let reasons = [
        refusal("a.b").await,
        refusal(&pair().sign(&without("aud"))).await,
        ask(&gate(&pair()), &HeaderMap::new(), at(NOW)).await.unwrap_err(),
    ];
    assert!(reasons.iter().all(|error| error.public() == Error::Missing.public()));
}

#[tokio::test]
async fn a_claim_may_have_any_of_the_values_that_its_rule_names() {
    let keys = KeySet::from_json(&set(&[&pair()])).unwrap();
    let gate = believing(issuer(keys, &[Algorithm::ES256]), vec![rule("acme-3pl", "sub", "wms-7|wms-8")]);
    for (sub, known) in [("wms-7", true), ("wms-8", true), ("wms-9", false), ("wms-7|wms-8", false)] {
        let token = pair().sign(&changed("sub", json!(sub)));
        assert_eq!(present(&gate, &token, at(NOW)).await.is_ok(), known, "{sub}");
    }
}
