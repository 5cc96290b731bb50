//! HTTP message signatures: the published cases, and what a signature must cover.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{hmac, signature::Ed25519KeyPair, signature::KeyPair as _};

use super::*;

fn rule(keyid: &str, key: VerifyingKey, components: &[&str]) -> SignerRule {
    SignerRule {
        partner: partner("acme-3pl"),
        credential: "signed".into(),
        scopes: ["shipments:write".to_owned()].into(),
        keyid: keyid.to_owned(),
        key,
        components: components.iter().map(|name| (*name).to_owned()).collect(),
        window: Duration::from_secs(300),
        tag: None,
        expires: None,
    }
}

async fn posts(
    rules: Vec<SignerRule>,
    head: http::request::Parts,
    body: &[u8],
    peer: &Peer,
    now: Time,
) -> Result<(Caller, Repeats), Error> {
    let gate = Authenticator::new(Believed { signers: rules, ..Believed::default() });
    match gate.authenticate(&head, peer, now).await? {
        Identified::Known(_) => panic!("known without its body"),
        Identified::Signed(signed) => {
            let repeats = signed.repeats();
            Ok((signed.prove(body)?, repeats))
        }
    }
}

/// A public key in PEM from a JWK of the suite.
fn pem(jwk: &Value) -> String {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let der = match jwk["kty"].as_str().unwrap() {
        "OKP" => [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &bytes("x")].concat(),
        "EC" => {
            let start = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
            [start.as_slice(), &bytes("x"), &bytes("y")].concat()
        }
        _ => {
            // A number with its highest bit set would be negative without a zero before it.
            let zero = |bytes: &[u8]| if bytes[0] >= 128 { vec![0] } else { vec![] };
            let number = |bytes: Vec<u8>| tagged(2, &[zero(&bytes), bytes].concat());
            let key = tagged(0x30, &[number(bytes("n")), number(bytes("e"))].concat());
            let kind = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
            tagged(0x30, &[kind.as_slice(), &tagged(3, &[&[0], key.as_slice()].concat())].concat())
        }
    };
    public_pem(&der)
}

fn public_pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

/// Tag, length and content by DER.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match content.len() {
        0..128 => vec![length[1]],
        128..256 => vec![0x81, length[1]],
        _ => vec![0x82, length[0], length[1]],
    };
    [vec![tag], length, content.to_vec()].concat()
}

fn keys(file: &Value) -> HashMap<String, (SignatureAlgorithm, VerifyingKey)> {
    let mut keys = HashMap::new();
    for jwk in file["keys"]["jwks"]["keys"].as_array().unwrap() {
        let kid = jwk["kid"].as_str().unwrap();
        let algorithm = match kid {
            "test-key-rsa-pss" => SignatureAlgorithm::RsaPssSha512,
            "test-key-ecc-p256" => SignatureAlgorithm::EcdsaP256Sha256,
            "test-key-ed25519" => SignatureAlgorithm::Ed25519,
            _ => continue,
        };
        keys.insert(kid.to_owned(), (algorithm, VerifyingKey::read(algorithm, &pem(jwk)).unwrap()));
    }
    let secret = file["keys"]["hmac"].to_string();
    let secret = secret.split('"').find(|word| word.len() > 60).expect("a shared secret");
    let algorithm = SignatureAlgorithm::HmacSha256;
    keys.insert("test-shared-secret".to_owned(), (algorithm, VerifyingKey::read(algorithm, secret).unwrap()));
    keys
}

#[tokio::test]
async fn every_published_case_is_judged_as_it_should_be() {
    let Some(folder) = vectors::conformance("http-message-signatures") else { return };
    let file = vectors::read(folder.join("rfc9421.json"));
    let keys = keys(&file);
    let mut judged = 0;
    for case in file["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == "request") {
        let name = case["id"].as_str().unwrap();
        let own = name.starts_with("own-");
        let mut line = case["start_line"].as_str().unwrap().split(' ');
        let request = http::Request::builder().method(line.next().unwrap()).uri(line.next().unwrap());
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        for pair in case["fields"].as_array().unwrap() {
            head.headers.append(
                http::HeaderName::from_bytes(pair[0].as_str().unwrap().to_ascii_lowercase().as_bytes())
                    .unwrap(),
                HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap(),
            );
        }
        // The cases of the RFC tell whether a signature verifies, and their clock stands at `created`.
        let now = case["verifier_clock"].as_i64().unwrap_or(1_618_884_473);
        let rules = keys.iter().map(|(keyid, (_, key))| rule(keyid, key.clone(), &[])).collect();
        let body = if own { case["body"].as_str().unwrap_or_default() } else { "" };
        let gate = Authenticator::new(Believed { signers: rules, ..Believed::default() });
        let mut answer = gate.authenticate(&head, &Peer::default(), at(now)).await.map(Some);
        if own && let Ok(Some(Identified::Signed(signed))) = answer {
            answer = signed.prove(body.as_bytes()).map(|_| None);
        }
        assert_eq!(answer.is_ok(), case["valid"] == true, "{name}: {answer:?}");
        judged += 1;
    }
    assert!(judged >= 30, "only {judged} cases were found");
}

/// A signer of tests: Ed25519 with a fixed seed.
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    fn key(&self) -> VerifyingKey {
        let der =
            [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), self.0.public_key().as_ref()];
        VerifyingKey::read(SignatureAlgorithm::Ed25519, &public_pem(&der.concat())).unwrap()
    }

    /// A request whose signature covers these lines, with these parameters.
    fn request(
        &self,
        address: &str,
        lines: &[(&str, &str)],
        params: &str,
        fields: &[(&'static str, &str)],
    ) -> http::request::Parts {
        let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
        let input = format!("({}){params}", names.join(" "));
        let mut base: String = lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        base.push_str(&format!("\"@signature-params\": {input}"));
        let signature = STANDARD.encode(self.0.sign(base.as_bytes()));
        let (mut head, ()) = http::Request::post(address).body(()).unwrap().into_parts();
        head.headers = with(fields);
        head.headers.append("signature-input", HeaderValue::from_str(&format!("sig={input}")).unwrap());
        head.headers.append("signature", HeaderValue::from_str(&format!("sig=:{signature}:")).unwrap());
        head
    }
}

fn digest_of(body: &str) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Digest::of(body.as_bytes()).as_bytes()))
}

fn params() -> String {
    format!(";created={NOW};keyid=\"k\"")
}

#[tokio::test]
async fn what_the_policy_requires_must_be_covered_by_itself_or_by_more() {
    let signer = Signer::new();
    let digest = digest_of("{}");
    let fields = [("host", "Gateway.example:80"), ("content-digest", digest.as_str())];
    let content = ("\"content-digest\"", digest.as_str());
    let whole = ("\"@target-uri\"", "http://gateway.example/a?b=c");
    let (method, path, query) = (("\"@method\"", "POST"), ("\"@path\"", "/a"), ("\"@query\"", "?b=c"));
    let required = ["@method", "@path", "@query"];
    for (lines, fine) in [
        (vec![method, path, query, content], true),
        (vec![method, whole, content], true),
        (vec![method, path, content], false),
        (vec![path, query, content], false),
        (vec![method, path, query], false),
    ] {
        let head = signer.request("/a?b=c", &lines, &params(), &fields);
        let answer =
            posts(vec![rule("k", signer.key(), &required)], head, b"{}", &Peer::default(), at(NOW)).await;
        assert_eq!(answer.is_ok(), fine, "{lines:?} {answer:?}");
    }
    let head = signer.request("/a", &[method, path, content], &params(), &fields);
    let answer =
        posts(vec![rule("k", signer.key(), &required)], head, b"{}", &Peer::default(), at(NOW)).await;
    assert!(answer.is_ok(), "there is no query to cover: {answer:?}");
}

#[tokio::test]
async fn the_scheme_is_the_connections_own() {
    let signer = Signer::new();
    let lines = [("\"@target-uri\"", "https://gateway.example/a"), ("\"@scheme\"", "https")];
    let head = signer.request("/a", &lines, &params(), &[("host", "gateway.example:443")]);
    let secure = Peer { secure: true, ..Peer::default() };
    assert!(posts(vec![rule("k", signer.key(), &[])], head.clone(), b"", &secure, at(NOW)).await.is_ok());
    assert!(posts(vec![rule("k", signer.key(), &[])], head, b"", &Peer::default(), at(NOW)).await.is_err());
}

#[tokio::test]
async fn members_bytes_and_parameters_are_read_as_the_standard_says() {
    let signer = Signer::new();
    let lines = [
        ("\"x-dict\";key=\"b\"", "2;x=1"),
        ("\"x-raw\";bs", ":YSwgYg==:, :Yw==:"),
        ("\"@query-param\";name=\"var\"", "this%20is%20a%20big%0Amultiline%20value"),
        ("\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\"", "something"),
    ];
    let address =
        "/p?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus&fa%C3%A7ade%22%3A%20=something";
    let fields = [("x-dict", "a=1,   b=2;x=1"), ("x-raw", "a, b"), ("x-raw", "c")];
    let head = signer.request(address, &lines, &params(), &fields);
    let answer = posts(vec![rule("k", signer.key(), &[])], head, b"", &Peer::default(), at(NOW)).await;
    assert!(answer.is_ok(), "{answer:?}");
    let twice = [("\"@query-param\";name=\"a\"", "1")];
    let head = signer.request("/p?a=1&a=2", &twice, &params(), &[]);
    assert!(posts(vec![rule("k", signer.key(), &[])], head, b"", &Peer::default(), at(NOW)).await.is_err());
    for unknown in ["\"x-dict\";sf", "\"x-dict\";tr", "\"@method\";req"] {
        let head = signer.request("/p", &[(unknown, "a")], &params(), &[("x-dict", "a")]);
        assert!(
            posts(vec![rule("k", signer.key(), &[])], head, b"", &Peer::default(), at(NOW)).await.is_err()
        );
    }
}

#[tokio::test]
async fn a_replay_is_known_by_what_is_signed() {
    let signer = Signer::new();
    let method = ("\"@method\"", "POST");
    let key = async |lines: &[(&str, &str)], params: &str| {
        let head = signer.request("/a", lines, params, &[("idempotency-key", "order-1")]);
        posts(vec![rule("k", signer.key(), &[])], head, b"", &Peer::default(), at(NOW)).await.unwrap().1
    };
    assert_eq!(key(&[method, ("\"idempotency-key\"", "order-1")], &params()).await, Repeats::Header);
    let Repeats::Key(plain) = key(&[method], &params()).await else { panic!("the field is not signed") };
    let nonce = |nonce: &str| format!("{};nonce=\"{nonce}\"", params());
    let Repeats::Key(first) = key(&[method], &nonce("a")).await else { panic!("the field is not signed") };
    let Repeats::Key(second) = key(&[method], &nonce("b")).await else { panic!("the field is not signed") };
    assert!(plain.starts_with("k/") && plain != first && first != second, "{plain} {first} {second}");
}

#[tokio::test]
async fn a_signature_holds_within_its_window_for_its_tag_and_its_keys_life() {
    let signer = Signer::new();
    let head = |params: &str| signer.request("/a", &[("\"@method\"", "POST")], params, &[]);
    let ask = async |rule: SignerRule, params: &str, now: Time| {
        posts(vec![rule], head(params), b"", &Peer::default(), now).await.is_ok()
    };
    let plain = || rule("k", signer.key(), &[]);
    assert!(ask(plain(), &params(), at(NOW + 300)).await);
    assert!(!ask(plain(), &params(), Time::from_millis((NOW + 300) * 1000 + 1)).await);
    assert!(ask(plain(), &params(), at(NOW - 30)).await && !ask(plain(), &params(), at(NOW - 31)).await);
    let until = format!(";created={NOW};expires={};keyid=\"k\"", NOW + 10);
    assert!(ask(plain(), &until, at(NOW + 9)).await && !ask(plain(), &until, at(NOW + 10)).await);
    let tagged = || SignerRule { tag: Some("orders".to_owned()), ..plain() };
    assert!(!ask(tagged(), &params(), at(NOW)).await);
    assert!(ask(tagged(), &format!("{};tag=\"orders\"", params()), at(NOW)).await);
    let ended = SignerRule { expires: Some(at(NOW)), ..plain() };
    assert!(!ask(ended, &params(), at(NOW)).await);
}

#[test]
fn a_key_of_another_kind_is_refused_when_it_is_read() {
    let signer = Signer::new();
    let der =
        [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), signer.0.public_key().as_ref()];
    let pem = public_pem(&der.concat());
    for algorithm in [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::RsaPssSha512] {
        assert!(VerifyingKey::read(algorithm, &pem).is_err());
    }
    assert!(VerifyingKey::read(SignatureAlgorithm::HmacSha256, &pem).is_err());
    assert!(VerifyingKey::read(SignatureAlgorithm::HmacSha256, &STANDARD.encode([1; 31])).is_err());
    let secret = STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"x"), b"y"));
    let read = VerifyingKey::read(SignatureAlgorithm::HmacSha256, &secret).unwrap();
    assert_eq!(format!("{read:?}"), "VerifyingKey(hmac-sha256)");
}
