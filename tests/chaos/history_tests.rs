//! The judge is judged: a good history passes, and each way of being bad is found and named.

use serde_json::json;

use super::*;

/// Two orders of three documents each, one with keys and one without, at two targets, with a lost answer here and there.
fn good() -> History {
    let mut history = History { targets: vec!["erp", "portal"], ..History::default() };
    for order in [4, 7] {
        for place in 0..PER_ORDER {
            let doc = Doc { order, place };
            let receipt = receipt(doc, "stored", "");
            history.answered.push(Answered { doc, receipt: receipt.clone() });
            let deliveries = vec![("erp".into(), "delivered".into()), ("portal".into(), "delivered".into())];
            history.stored.push(Stored { doc, receipt: receipt.clone(), deliveries });
            if doc.keyed() {
                history.again.push(Answered { doc, receipt });
            } else {
                // Its first answer was lost with the gateway: it was sent again and repeats the first.
                let receipt = self::receipt(doc, "repeats", "-b");
                history.answered.push(Answered { doc, receipt: receipt.clone() });
                history.stored.push(Stored { doc, receipt, deliveries: Vec::new() });
            }
            for target in ["erp", "portal"] {
                for taken in [false, true, true] {
                    history.arrivals.push(arrival(target, doc, "", taken));
                }
            }
        }
    }
    history
}

fn receipt(doc: Doc, outcome: &str, suffix: &str) -> serde_json::Value {
    json!({ "message_id": format!("m-{}{suffix}", doc.token()), "events": [{ "outcome": outcome }] })
}

fn arrival(target: &'static str, doc: Doc, suffix: &str, taken: bool) -> Arrival {
    let id = format!("{target}-{}{suffix}", doc.token());
    Arrival { target, id, doc: Some(doc), body: [doc.place; 32], taken }
}

/// The one promise that a history breaks.
fn broken(spoil: impl FnOnce(&mut History)) -> Vec<Broken> {
    let mut history = good();
    spoil(&mut history);
    let mut found: Vec<_> = judge(&history).into_iter().map(|violation| violation.broken).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn a_good_history_passes() {
    assert_eq!(judge(&good()), []);
}

#[test]
fn a_document_is_found_in_what_was_made_of_it() {
    let doc = Doc { order: 1_234_567, place: 2 };
    assert_eq!(Doc::find(&format!("<BOLNR>B-{}</BOLNR>", doc.token())), Some(doc));
    assert_eq!(Doc::find("KT12 KT1234567X0 KT€€€€€"), None);
}

#[test]
fn a_lost_message_is_found() {
    let lost = |history: &mut History| {
        history.stored.remove(0);
    };
    assert_eq!(broken(lost), [Broken::Lost]);
    assert_eq!(broken(|history| history.stored[0].doc.place = 2), [Broken::Lost, Broken::StoredTwice]);
    let repeat_of_nothing = |history: &mut History| {
        let first = history.stored.iter_mut().find(|stored| !stored.doc.keyed());
        first.expect("order 7 has no keys").receipt["events"][0]["outcome"] = "repeats".into();
    };
    assert_eq!(broken(repeat_of_nothing), [Broken::Lost, Broken::ReceiptChanged]);
}

#[test]
fn a_receipt_that_changed_is_found() {
    assert_eq!(
        broken(|history| history.stored[0].receipt["revision"] = "x".into()),
        [Broken::ReceiptChanged]
    );
    assert_eq!(broken(|history| history.again[1].receipt["revision"] = "x".into()), [Broken::ReceiptChanged]);
}

#[test]
fn a_key_with_two_messages_is_found() {
    let doubled = |history: &mut History| {
        let doc = history.answered[0].doc;
        let receipt = receipt(doc, "repeats", "-b");
        history.stored.push(Stored { doc, receipt, deliveries: Vec::new() });
    };
    assert_eq!(broken(doubled), [Broken::StoredTwice]);
}

#[test]
fn an_event_that_was_stored_twice_is_found() {
    let doubled = |history: &mut History| {
        for receipt in history
            .stored
            .iter_mut()
            .map(|stored| &mut stored.receipt)
            .chain(history.answered.iter_mut().map(|a| &mut a.receipt))
        {
            receipt["events"][0]["outcome"] = "stored".into();
        }
    };
    assert_eq!(broken(doubled), [Broken::StoredTwice]);
}

#[test]
fn an_event_that_a_target_never_took_is_found() {
    let mut without = good();
    without
        .arrivals
        .retain(|arrival| !(arrival.target == "erp" && arrival.doc == Some(Doc { order: 4, place: 2 })));
    let found = judge(&without);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), "Undelivered: erp never took KT0000004N2");
    let refused = |history: &mut History| {
        let last = history.arrivals.len() - 3;
        history.arrivals[last..].iter_mut().for_each(|arrival| arrival.taken = false);
    };
    assert_eq!(broken(refused), [Broken::Undelivered]);
    assert_eq!(broken(|history| history.stored[0].deliveries[0].1 = "parked".into()), [Broken::Undelivered]);
}

#[test]
fn an_event_that_a_target_took_twice_is_found() {
    let again = arrival("erp", Doc { order: 4, place: 1 }, "-b", true);
    assert_eq!(broken(|history| history.arrivals.push(again)), [Broken::DeliveredTwice]);
}

#[test]
fn a_lane_out_of_order_is_found() {
    // All six arrivals of the second document come before those of the first.
    assert_eq!(broken(|history| history.arrivals[..12].rotate_left(6)), [Broken::OutOfOrder]);
    // A repeat of an older event after a newer one is dropped by the target and is no breach.
    let late = arrival("erp", Doc { order: 4, place: 0 }, "", true);
    assert_eq!(broken(|history| history.arrivals.push(late)), []);
}

#[test]
fn an_attempt_with_other_bytes_is_found() {
    assert_eq!(broken(|history| history.arrivals[2].body = [9; 32]), [Broken::BytesChanged]);
}

#[test]
fn something_that_nobody_sent_is_found() {
    let stranger = arrival("erp", Doc { order: 9, place: 0 }, "", true);
    assert_eq!(broken(|history| history.arrivals.push(stranger)), [Broken::Stranger]);
    assert_eq!(broken(|history| history.arrivals[0].doc = None), [Broken::Stranger]);
}

#[test]
fn an_answer_that_should_not_be_is_found() {
    assert_eq!(broken(|history| history.odd.push("500".to_owned())), [Broken::OddAnswer]);
    assert_eq!(
        broken(|history| {
            history.stored[0].receipt["events"][0]["outcome"] = "held".into();
            history.answered[0].receipt = history.stored[0].receipt.clone();
            history.again[0].receipt = history.stored[0].receipt.clone();
        }),
        [Broken::Lost, Broken::OddAnswer]
    );
}
