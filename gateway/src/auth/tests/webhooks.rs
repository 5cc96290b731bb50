//! Standard Webhooks that come in: the published cases, and whose a webhook is.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

use super::*;
use crate::words::webhook::WebhookSecret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn of(partner_name: &str, secrets: &[&str], tolerance: u64) -> WebhookRule {
    WebhookRule {
        partner: partner(partner_name),
        credential: "hook".into(),
        scopes: ["tracking:write".to_owned()].into(),
        secrets: secrets.iter().map(|text| WebhookSecret::parse(text).unwrap()).collect(),
        tolerance: Duration::from_secs(tolerance),
        expires: None,
    }
}

async fn posts(
    rules: Vec<WebhookRule>,
    address: &str,
    headers: HeaderMap,
    body: &[u8],
    now: Time,
) -> Result<(Caller, Repeats), Error> {
    let gate = Authenticator::new(Believed { webhooks: rules, ..Believed::default() });
    let (mut head, ()) = http::Request::post(address).body(()).unwrap().into_parts();
    head.headers = headers;
    match gate.authenticate(&head, &Peer::default(), now).await? {
        Identified::Known(_) => panic!("known without its body"),
        Identified::Signed(signed) => {
            let repeats = signed.repeats();
            Ok((signed.prove(body)?, repeats))
        }
    }
}

fn signed(secret: &str, id: &str, seconds: i64, body: &str) -> HeaderMap {
    let WebhookSecret::Shared(secret) = WebhookSecret::parse(secret).unwrap() else { panic!("not shared") };
    let made =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), format!("{id}.{seconds}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(made));
    with(&[
        ("webhook-id", id),
        ("webhook-timestamp", &seconds.to_string()),
        ("webhook-signature", &signature),
    ])
}

#[tokio::test]
async fn every_published_case_is_judged_as_it_should_be() {
    let Some(folder) = vectors::conformance("standard-webhooks") else { return };
    let file = vectors::read(folder.join("vectors.json"));
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    let mut judged = 0;
    for case in file["cases"].as_array().unwrap() {
        let name = words(&case["id"]);
        let mut headers = HeaderMap::new();
        for pair in case["headers"].as_array().unwrap() {
            let name = words(&pair[0]).to_ascii_lowercase();
            headers.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap(),
            );
        }
        let keys = ["secrets", "public_keys"].into_iter().filter_map(|name| case[name].as_array()).flatten();
        let keys: Result<Vec<_>, _> = keys.map(|key| WebhookSecret::parse(&words(key))).collect();
        let valid = case["valid"] == true && case["optional"] != true;
        let Ok(secrets) = keys else {
            assert!(!valid, "{name}: its key was not read");
            continue;
        };
        let tolerance = case["tolerance_s"].as_u64().unwrap();
        let rule = WebhookRule { secrets, ..of("acme-3pl", &[], tolerance) };
        let body = STANDARD.decode(words(&case["body_b64"])).unwrap();
        let now = at(case["now"].as_i64().unwrap());
        let answer = posts(vec![rule], "/hook", headers, &body, now).await;
        assert_eq!(answer.is_ok(), valid, "{name}: {answer:?}");
        judged += 1;
    }
    assert!(judged >= 30, "only {judged} cases were found");
}

#[tokio::test]
async fn a_webhook_is_the_partners_that_its_address_names() {
    let other = "whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5u";
    let rules = || vec![of("acme-3pl", &[other], 300), of("nordfracht", &[SECRET], 300)];
    let headers = || signed(SECRET, "msg_1", NOW, "{}");
    let (caller, repeats) =
        posts(rules(), "/hook?x=1&partner=nordfracht", headers(), b"{}", at(NOW)).await.unwrap();
    assert_eq!((caller.partner.as_str(), &*caller.credential), ("nordfracht", "hook"));
    assert_eq!(repeats, Repeats::Key("msg_1".to_owned()));
    for address in
        ["/hook", "/hook?partner=acme-3pl", "/hook?partner=x", "/hook?partner=nordfracht&partner=acme-3pl"]
    {
        assert!(posts(rules(), address, headers(), b"{}", at(NOW)).await.is_err(), "{address}");
    }
    let alone = vec![of("nordfracht", &[SECRET], 300), of("nordfracht", &[other], 300)];
    assert!(posts(alone, "/hook", headers(), b"{}", at(NOW)).await.is_ok(), "nobody else sends webhooks");
}

#[tokio::test]
async fn an_expired_secret_signs_nothing_any_more() {
    let rule = WebhookRule { expires: Some(at(NOW + 10)), ..of("nordfracht", &[SECRET], 300) };
    let headers = || signed(SECRET, "msg_1", NOW, "{}");
    assert!(posts(vec![rule.clone()], "/hook", headers(), b"{}", at(NOW + 9)).await.is_ok());
    let answer = posts(vec![rule], "/hook", headers(), b"{}", at(NOW + 10)).await;
    assert!(matches!(answer, Err(Error::Expired(_))), "{answer:?}");
}

#[test]
fn the_key_itself_is_never_shown() {
    let rule = of("nordfracht", &[SECRET], 300);
    assert!(format!("{rule:?}").contains("Shared(…)"), "{rule:?}");
}
