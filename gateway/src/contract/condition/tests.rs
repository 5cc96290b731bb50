use bytes::Bytes;

use super::*;
use crate::words::{Digest, EventId, Identity, Key, PartnerName, Time};

fn caller() -> Caller {
    Caller {
        partner: PartnerName::new("nordfracht").unwrap(),
        credential: "tms".into(),
        scopes: ["tracking:write".to_owned(), "tracking:read".to_owned()].into(),
    }
}

fn milestone(data: &str) -> Event {
    Event {
        id: EventId::from_bytes([1; 16]),
        identity: Identity(Digest::of(b"x")),
        source: "/nordfracht/tracking".to_owned(),
        kind: "shipment.milestone".to_owned(),
        schema_version: "1.0".to_owned(),
        natural_key: Vec::new(),
        order_keys: vec![Key { kind: "shipment".to_owned(), value: "NF1".to_owned() }],
        sequence: None,
        corrects: None,
        occurred_at: None,
        recorded_at: Time::from_millis(0),
        data: Bytes::copy_from_slice(data.as_bytes()),
        data_digest: Digest::of(data.as_bytes()),
    }
}

fn judge(text: &str, data: &str) -> Result<bool, Unjudged> {
    let condition = Condition::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let (api, operation) = (ApiName::new("tracking").unwrap(), OperationName::new("milestone").unwrap());
    let (version, event, caller) = (VersionName::new("v1").unwrap(), milestone(data), caller());
    let facts =
        Facts { caller: &caller, api: &api, operation: &operation, version: &version, event: Some(&event) };
    condition.holds(&facts)
}

const CARRIER: &str =
    r#"{"carrier":{"scac":"NFRA"},"items":[{"lot":"L1","quantity":2},{"lot":"L2","quantity":3.5}]}"#;

#[test]
fn a_condition_speaks_of_caller_operation_and_event() {
    for (text, holds) in [
        ("event.data.carrier.scac == 'NFRA'", true),
        ("event.data.carrier.scac in ['UPSN', 'FDEG']", false),
        ("caller.partner == 'nordfracht' && 'tracking:write' in caller.scopes", true),
        ("operation.api == 'tracking' && operation.name == 'milestone' && operation.version == 'v1'", true),
        ("event.type.startsWith('shipment.') && event.keys.shipment.matches('^NF[0-9]+$')", true),
        ("event.data.items.all(item, item.lot.startsWith('L'))", true),
        ("event.data.items.exists(item, item.quantity > 3)", true),
        ("event.data.items.map(item, item.lot) == ['L1', 'L2'] && size(event.data.items) == 2", true),
        ("has(event.data.seal) || event.data.items[0].quantity == 2", true),
        ("event.type != 'shipment.milestone' || event.data.carrier.scac == 'UPSN'", false),
    ] {
        assert_eq!(judge(text, CARRIER), Ok(holds), "{text}");
    }
}

#[test]
fn what_cannot_be_judged_is_not_met() {
    assert!(matches!(judge("event.data.seal == 'x'", CARRIER), Err(Unjudged::Failed(_))));
    assert!(matches!(judge("event.data.items[7].lot == 'x'", CARRIER), Err(Unjudged::Failed(_))));
    assert!(matches!(judge("event.data.carrier > 3", CARRIER), Err(Unjudged::Failed(_))));
    assert_eq!(judge("event.data.carrier.scac", CARRIER), Err(Unjudged::NoTruth));
    // An alternative that holds makes up for one that cannot be judged.
    assert_eq!(judge("event.data.seal == 'x' || caller.partner == 'nordfracht'", CARRIER), Ok(true));
}

#[test]
fn what_is_wrong_is_found_when_it_is_compiled() {
    let wrong = |text: &str| Condition::compile(text).map(|_| ()).unwrap_err();
    assert!(matches!(wrong("event.data.scac =="), Invalid::Syntax { .. }));
    assert!(matches!(wrong(""), Invalid::Syntax { .. }));
    assert_eq!(wrong("partner == 'x'"), Invalid::Name("partner".to_owned()));
    assert_eq!(wrong("event.data.items.all(item, itm.lot == 'x')"), Invalid::Name("itm".to_owned()));
    assert_eq!(wrong("now() > 3"), Invalid::Function("now".to_owned()));
    assert_eq!(wrong("timestamp(event.data.at) > 3"), Invalid::Function("timestamp".to_owned()));
    assert!(matches!(
        wrong(&format!("{}true", "true && ".repeat(400))),
        Invalid::Large(_) | Invalid::Syntax { .. }
    ));
    let deep = "event.data.a.all(a, a.all(b, b.all(c, c == 1)))";
    assert_eq!(wrong(deep), Invalid::Large("its macros are nested more than 2 deep"));
    assert!(Condition::compile(&format!("{}true{}", "(".repeat(1000), ")".repeat(1000))).is_err());
}

#[test]
fn whether_it_is_about_events_is_known() {
    assert!(Condition::compile("event.type == 'x'").unwrap().is_about_events());
    assert!(!Condition::compile("caller.partner == 'x'").unwrap().is_about_events());
    assert!(!Condition::compile("['x'].exists(event, event == caller.partner)").unwrap().is_about_events());
}

#[test]
fn an_event_that_is_too_large_for_a_condition_is_told_before_it_is_judged() {
    let many = |count: usize| format!("{{\"items\":[{}]}}", vec!["\"a\""; count].join(","));
    let square = "event.data.items.all(a, event.data.items.all(b, a == b))";
    let started = std::time::Instant::now();
    assert!(matches!(judge(square, &many(20_000)), Err(Unjudged::TooMuch(_))));
    assert_eq!(judge(square, &many(50)), Ok(true));
    let long = format!("{{\"items\":[],\"note\":\"{}\"}}", "a".repeat(4 << 20));
    assert!(matches!(
        judge("(event.data.note + event.data.note).matches('(a*)*b')", &long),
        Err(Unjudged::TooMuch(_))
    ));
    assert!(started.elapsed().as_secs() < 5, "it took {:?}", started.elapsed());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(text in "[a-z.()\\[\\]'\"&|!<>=+,0-9 {}?:@-]{0,80}") {
        let _ = Condition::compile(&text);
    }
}
