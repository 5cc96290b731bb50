//! Client certificates, and tokens that are bound to one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;
use crate::words::Subject;

fn shown(name: &str) -> Certificate {
    Certificate {
        sha256: Digest::of(name.as_bytes()),
        subject: Subject::parse(&format!("CN={name},O=Acme")).unwrap(),
        names: vec![format!("dns:{name}"), "uri:spiffe://acme/edi".to_owned()],
        not_before: at(NOW - 60),
        not_after: at(NOW + 60),
        untrusted: None,
    }
}

fn over(certificate: Certificate) -> Peer {
    Peer { certificate: Some(Arc::new(certificate)), secure: true, address: None }
}

fn known_by(partner_name: &str, known_by: KnownBy) -> CertificateRule {
    let scopes = ["shipments:write".to_owned()].into();
    CertificateRule { partner: partner(partner_name), credential: "edi".into(), scopes, known_by }
}

async fn arrives(rules: Vec<CertificateRule>, certificate: Certificate, now: Time) -> Result<Caller, Error> {
    let gate = Authenticator::new(Believed { certificates: rules, ..Believed::default() });
    ask_over(&gate, &HeaderMap::new(), &over(certificate), now).await
}

#[tokio::test]
async fn a_certificate_is_known_by_subject_name_or_fingerprint() {
    let by = [
        KnownBy::Subject(Subject::parse("CN=edi.acme.example, O=Acme").unwrap()),
        KnownBy::Name("dns:edi.acme.example".to_owned()),
        KnownBy::Name("uri:spiffe://acme/edi".to_owned()),
        KnownBy::Fingerprint(Digest::of(b"edi.acme.example")),
    ];
    for by in by {
        let caller =
            arrives(vec![known_by("acme-3pl", by)], shown("edi.acme.example"), at(NOW)).await.unwrap();
        assert_eq!((caller.partner.as_str(), &*caller.credential), ("acme-3pl", "edi"));
        assert_eq!(*caller.scopes, ["shipments:write"]);
    }
    let others = [
        KnownBy::Subject(Subject::parse("CN=edi.acme.example").unwrap()),
        KnownBy::Name("email:edi.acme.example".to_owned()),
        KnownBy::Fingerprint(Digest::of(b"other")),
    ];
    for by in others {
        let answer = arrives(vec![known_by("acme-3pl", by)], shown("edi.acme.example"), at(NOW)).await;
        assert!(matches!(answer, Err(Error::Certificate { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_whatever_it_says() {
    let rules = vec![known_by("acme-3pl", KnownBy::Name("dns:edi.acme.example".to_owned()))];
    let mut stranger = shown("edi.acme.example");
    stranger.untrusted = Some("UnknownIssuer".to_owned());
    let answer = arrives(rules, stranger, at(NOW)).await.unwrap_err();
    assert_eq!(answer.to_string(), "certificate `CN=edi.acme.example,O=Acme`: UnknownIssuer");
}

#[tokio::test]
async fn a_certificate_that_expires_on_an_open_connection_is_refused_from_then_on() {
    let rules = || vec![known_by("acme-3pl", KnownBy::Name("dns:edi.acme.example".to_owned()))];
    assert!(arrives(rules(), shown("edi.acme.example"), at(NOW + 60)).await.is_ok());
    let answer = arrives(rules(), shown("edi.acme.example"), Time::from_millis((NOW + 60) * 1000 + 1)).await;
    assert!(matches!(answer, Err(Error::Expired(_))), "{answer:?}");
    let answer = arrives(rules(), shown("edi.acme.example"), at(NOW - 61)).await;
    assert!(matches!(answer, Err(Error::NotYet(_))), "{answer:?}");
}

#[tokio::test]
async fn a_certificate_of_two_partners_is_nobodys() {
    let rules = vec![
        known_by("acme-3pl", KnownBy::Name("dns:edi.acme.example".to_owned())),
        known_by("globex", KnownBy::Subject(Subject::parse("CN=edi.acme.example,O=Acme").unwrap())),
    ];
    assert!(arrives(rules, shown("edi.acme.example"), at(NOW)).await.is_err());
}

#[tokio::test]
async fn a_key_in_the_request_goes_before_the_certificate_of_the_connection() {
    let gate = Authenticator::new(Believed {
        certificates: vec![known_by("acme-3pl", KnownBy::Name("dns:edi.acme.example".to_owned()))],
        ..Believed::default()
    });
    let answer =
        ask_over(&gate, &with(&[("x-api-key", "xd_wrong")]), &over(shown("edi.acme.example")), at(NOW)).await;
    assert_eq!(answer.map(drop), Err(Error::Unknown));
}

fn bound_to(certificate: &Certificate) -> Value {
    json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(certificate.sha256.as_bytes()) })
}

async fn token_over(gate: &Authenticator, token: &str, peer: &Peer) -> Result<Caller, Error> {
    ask_over(gate, &with(&[("authorization", &format!("Bearer {token}"))]), peer, at(NOW)).await
}

#[tokio::test]
async fn a_bound_token_serves_its_certificate_alone_and_the_cache_keeps_to_it() {
    let pair = Pair::new("a", Algorithm::ES256);
    let gate = authenticator(issuer(KeySet::from_json(&set(&[&pair])).unwrap(), &[Algorithm::ES256]));
    let own = shown("wms.acme.example");
    let token = pair.sign(&changed("cnf", bound_to(&own)));
    for _ in 0..2 {
        assert!(token_over(&gate, &token, &over(own.clone())).await.is_ok());
        for peer in [Peer::default(), over(shown("evil.example"))] {
            let answer = token_over(&gate, &token, &peer).await;
            assert!(matches!(&answer, Err(Error::Claim { claim, .. }) if claim == "cnf"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_anything_else_is_refused() {
    let pair = Pair::new("a", Algorithm::ES256);
    let gate = authenticator(issuer(KeySet::from_json(&set(&[&pair])).unwrap(), &[Algorithm::ES256]));
    let own = shown("wms.acme.example");
    let mut two = bound_to(&own);
    two["jkt"] = json!("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    for cnf in [json!({}), json!({ "jkt": "x" }), two, json!("x"), json!({ "x5t#S256": "short" })] {
        let answer = token_over(&gate, &pair.sign(&changed("cnf", cnf.clone())), &over(own.clone())).await;
        assert!(matches!(answer, Err(Error::Claim { .. })), "{cnf}");
    }
}

#[tokio::test]
async fn an_issuer_whose_tokens_must_be_bound_is_believed_with_no_other() {
    let pair = Pair::new("a", Algorithm::ES256);
    let issuer = issuer(KeySet::from_json(&set(&[&pair])).unwrap(), &[Algorithm::ES256]);
    let gate = authenticator(Issuer { certificate_bound: true, ..issuer });
    let own = shown("wms.acme.example");
    assert!(token_over(&gate, &pair.sign(&claims()), &over(own.clone())).await.is_err());
    let token = pair.sign(&changed("cnf", bound_to(&own)));
    assert!(token_over(&gate, &token, &over(own)).await.is_ok());
}
