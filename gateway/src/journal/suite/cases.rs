//! One function a promise.

use std::time::Duration;

use super::{World, erp, given, name, order, outbound, park, stored, to};
use crate::{
    journal::{
        Appended, Counter, DeliveryFilter, DeliveryId, DeliveryState, Error, EventFilter, ExceptionFilter,
        MessageFilter, MessageState, Next, Outcome, Refused, Stuck,
    },
    words::{Digest, Disposition, Key, Revision, TargetName},
};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn an_append_answers_with_a_receipt_that_can_be_read_again(world: World) {
    let event = world.maker.event("a", &["8841-22"]);
    let receipt = world.tell(vec![event.clone()]).await;
    assert_eq!(receipt.events[0].disposition, Disposition::Stored { deliveries: 1 });
    assert_eq!(receipt.operation, "shipments/confirm");

    let message = world.journal.message(receipt.message_id).await.unwrap().unwrap();
    assert_eq!(message.receipt, Some(receipt.clone()));
    assert_eq!(message.document.unwrap().content, "ISA*00*~");
    assert_eq!((message.summary.length, message.summary.events), (8, 1));
    assert_eq!(message.deliveries.len(), 1);
    assert_eq!(message.deliveries[0].state, DeliveryState::Ready);

    let record = world.journal.event(event.id).await.unwrap().unwrap();
    assert_eq!(record.event, event);
    assert_eq!((record.sequence, record.message_id), (1, receipt.message_id));
}

pub(super) async fn the_same_fact_is_stored_once_and_names_the_first(world: World) {
    let first = world.tell(vec![world.maker.event("a", &["1"])]).await;
    let again = world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    let repeats = Disposition::Repeats { event: first.events[0].id, message: first.message_id };
    assert_eq!(again.events[0].disposition, repeats);
    assert_eq!(again.events[1].disposition, Disposition::Stored { deliveries: 1 });
    assert_eq!(world.journal.status().await.unwrap().events, 2);
}

pub(super) async fn a_fact_told_twice_in_one_document_is_stored_once(world: World) {
    let receipt = world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("a", &["1"])]).await;
    let repeats = Disposition::Repeats { event: receipt.events[0].id, message: receipt.message_id };
    assert_eq!(receipt.events[1].disposition, repeats);
    assert_eq!(world.journal.status().await.unwrap().events, 1);
}

pub(super) async fn a_contradiction_is_held_for_a_person(world: World) {
    let first = world.tell(vec![world.maker.event("a", &["1"])]).await;
    let other = world.tell(vec![world.maker.otherwise("a", &["1"])]).await;
    let contradicts = first.events[0].id;
    assert_eq!(other.events[0].disposition, Disposition::Held { exception: 1, contradicts });
    assert_eq!(world.ready().await, ["a"], "nothing new is sent");

    let record = world.journal.exception(1).await.unwrap().unwrap();
    assert_eq!(record.summary.cause.code, "contradiction");
    assert_eq!((record.contradicts, record.summary.delivery), (Some(contradicts), None));
    assert_eq!(record.event.id, other.events[0].id);

    let retried = world.journal.retry(1, false, "ada".to_owned(), world.maker.now()).await;
    assert!(matches!(retried, Err(Error::NotFound(_))), "{retried:?}");
    world.journal.discard(1, "a typing error".to_owned(), "ada".to_owned(), world.maker.now()).await.unwrap();
    assert_eq!(world.journal.exceptions(ExceptionFilter::default()).await.unwrap(), []);
    let again = world.tell(vec![world.maker.event("a", &["1"])]).await;
    assert!(
        matches!(again.events[0].disposition, Disposition::Repeats { .. }),
        "the first still holds the fact"
    );
}

pub(super) async fn a_correction_takes_the_facts_place(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    let mut correction = world.maker.otherwise("a", &["1"]);
    correction.corrects = Some(correction.identity);
    let corrected = world.tell(vec![correction]).await;
    assert_eq!(corrected.events[0].disposition, Disposition::Stored { deliveries: 1 });
    let again = world.tell(vec![world.maker.otherwise("a", &["1"])]).await;
    let repeats = Disposition::Repeats { event: corrected.events[0].id, message: corrected.message_id };
    assert_eq!(again.events[0].disposition, repeats);
}

pub(super) async fn an_idempotency_key_gives_the_first_answer_until_it_expires(world: World) {
    let mut first = world.maker.document(vec![(world.maker.event("a", &[]), to("sap-erp"))]);
    first.idempotency = given("k1", &world.maker);
    let receipt = stored(world.journal.append(first).await.unwrap());

    let ask = || world.journal.remembered(name("acme-3pl"), "k1".to_owned(), world.maker.now());
    assert_eq!(ask().await.unwrap().unwrap().receipt, receipt);
    let stranger =
        world.journal.remembered(name("globex"), "k1".to_owned(), world.maker.now()).await.unwrap();
    assert_eq!(stranger, None, "a key belongs to its partner");

    let mut second = world.maker.document(vec![(world.maker.event("b", &[]), to("sap-erp"))]);
    second.idempotency = given("k1", &world.maker);
    let Appended::Remembered(remembered) = world.journal.append(second.clone()).await.unwrap() else {
        panic!("the second is remembered");
    };
    assert_eq!((remembered.receipt, remembered.fingerprint), (receipt, Digest::of(b"k1")));
    assert_eq!(world.journal.message(second.message_id).await.unwrap().map(|found| found.summary), None);

    world.maker.pass(MINUTE);
    assert_eq!(ask().await.unwrap(), None);
    let mut third = world.maker.document(vec![(world.maker.event("c", &[]), to("sap-erp"))]);
    third.idempotency = given("k1", &world.maker);
    let receipt = stored(world.journal.append(third).await.unwrap());
    assert_eq!(ask().await.unwrap().unwrap().receipt, receipt);
}

pub(super) async fn two_at_once_under_one_key_store_one(world: World) {
    let document = |fact| {
        let mut document = world.maker.document(vec![(world.maker.event(fact, &[]), to("sap-erp"))]);
        document.idempotency = given("k1", &world.maker);
        world.journal.append(document)
    };
    let (one, two) = tokio::join!(document("a"), document("b"));
    let answers = [one.unwrap(), two.unwrap()];
    let kept: Vec<_> = answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(world.ready().await.len(), 1);
}

pub(super) async fn a_lane_goes_one_by_one_in_order(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.tell(vec![world.maker.event("c", &["1"])]).await;
    for fact in ["a", "b", "c"] {
        assert_eq!(world.ready().await, [fact]);
        world.deliver(fact).await;
    }
    assert!(world.ready().await.is_empty());
    assert_eq!(world.journal.next_due(erp()).await.unwrap(), None);
    world.tell(vec![world.maker.event("d", &["1"])]).await;
    assert_eq!(world.ready().await, ["d"], "an empty lane is entered at its head");
}

pub(super) async fn lanes_do_not_wait_for_each_other(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["2"])]).await;
    let mut other = world.maker.document(vec![(world.maker.event("c", &["1"]), to("tms"))]);
    other.partner = name("globex");
    stored(world.journal.append(other).await.unwrap());
    assert_eq!(world.ready().await, ["a", "b"]);
    let tms = world.journal.ready(name("tms"), world.maker.now(), 10).await.unwrap();
    assert_eq!(tms.len(), 1, "the same key of another target is another lane");
    let mut other = world.maker.document(vec![(world.maker.event("d", &["1"]), to("sap-erp"))]);
    other.partner = name("globex");
    stored(world.journal.append(other).await.unwrap());
    assert_eq!(world.ready().await, ["a", "b", "d"], "the same key of another partner is another lane");
}

pub(super) async fn two_subscriptions_of_one_target_share_its_lanes(world: World) {
    let mut both = to("sap-erp");
    both.extend(to("sap-erp"));
    both[1].subscription = name("sap-erp-again");
    stored(
        world
            .journal
            .append(world.maker.document(vec![(world.maker.event("a", &["1"]), both)]))
            .await
            .unwrap(),
    );
    assert_eq!(world.ready().await, ["a"]);
    world.deliver("a").await;
    assert_eq!(world.ready().await, ["a"]);
    world.deliver("a").await;
    assert!(world.ready().await.is_empty());
}

pub(super) async fn an_event_with_two_keys_waits_for_both_lanes(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["2"])]).await;
    world.tell(vec![world.maker.event("both", &["2", "1", "2"]), world.maker.event("c", &["1"])]).await;
    assert_eq!(world.ready().await, ["a", "b"]);
    world.deliver("a").await;
    assert_eq!(world.ready().await, ["b"]);
    world.deliver("b").await;
    assert_eq!(world.ready().await, ["both"]);
    world.deliver("both").await;
    assert_eq!(world.ready().await, ["c"]);
}

pub(super) async fn events_without_keys_go_at_once(world: World) {
    world.tell(vec![world.maker.event("a", &[]), world.maker.event("b", &[])]).await;
    assert_eq!(world.ready().await, ["a", "b"]);
}

pub(super) async fn a_retry_waits_until_it_is_due(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    let first = world.maker.now();
    let due = first.after(MINUTE);
    world.advance("a", 503, Next::Retry { due }).await;
    assert!(world.ready().await.is_empty());
    assert_eq!(world.journal.next_due(erp()).await.unwrap(), Some(due));
    world.maker.pass(MINUTE);
    let id = world.find("a").await;
    let work = world.journal.work(vec![id]).await.unwrap().remove(0);
    assert_eq!((work.attempts, work.first_attempt_at), (1, Some(first)));
    world.advance("a", 200, Next::Delivered).await;
    let record = &world.journal.deliveries(DeliveryFilter::default()).await.unwrap()[1];
    assert_eq!((record.attempts, record.last_status, record.ended_at), (2, Some(200), Some(due)));
    assert_eq!(world.ready().await, ["b"]);
}

pub(super) async fn a_held_lane_waits_behind_its_exception(world: World) {
    world.tell(vec![world.maker.event("a", &["1", "2"]), world.maker.event("b", &["1"])]).await;
    world.tell(vec![world.maker.event("c", &["2", "1"]), world.maker.event("d", &["3"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    assert_eq!(world.ready().await, ["d"]);
    let record = world.journal.exception(1).await.unwrap().unwrap();
    assert_eq!((record.summary.waiting, record.summary.target.clone()), (2, Some(erp())));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].status, Some(422));
    assert_eq!(record.document.content, "ISA*00*~");
    let resolution = world.journal.retry(1, false, "ada".to_owned(), world.maker.now()).await.unwrap();
    assert_eq!((resolution.waiting, resolution.action.as_str()), (2, "retried"));
    assert_eq!(world.ready().await, ["a", "d"]);
    for fact in ["a", "b", "c"] {
        world.deliver(fact).await;
    }
}

pub(super) async fn a_skipped_lane_goes_on(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Skip)).await;
    assert_eq!(world.ready().await, ["b"]);
    assert_eq!(world.journal.exception(1).await.unwrap().unwrap().summary.waiting, 0);
    world.journal.retry(1, false, "ada".to_owned(), world.maker.now()).await.unwrap();
    assert_eq!(world.ready().await, ["a", "b"], "what was skipped goes out of order");
    world.deliver("a").await;
    assert_eq!(world.ready().await, ["b"]);
    world.tell(vec![world.maker.event("c", &["1"])]).await;
    world.deliver("b").await;
    assert_eq!(world.ready().await, ["c"]);
}

pub(super) async fn a_retried_delivery_has_a_fresh_budget_and_may_forget_its_bytes(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    let id = world.find("a").await;
    world.journal.pin(id, outbound(b"one")).await.unwrap();
    world.advance("a", 422, park(Stuck::Hold)).await;
    assert!(world.journal.work(vec![id]).await.unwrap().is_empty(), "what is parked is no work");
    world.journal.retry(1, false, "ada".to_owned(), world.maker.now()).await.unwrap();
    let work = world.journal.work(vec![id]).await.unwrap().remove(0);
    assert_eq!((work.attempts, work.first_attempt_at, work.outbound), (1, None, Some(outbound(b"one"))));
    world.advance("a", 422, park(Stuck::Hold)).await;
    let record = world.journal.exception(2).await.unwrap().unwrap();
    assert_eq!((record.attempts.len(), record.outbound), (2, Some(outbound(b"one"))));
    world.journal.retry(2, true, "ada".to_owned(), world.maker.now()).await.unwrap();
    assert_eq!(world.journal.work(vec![id]).await.unwrap().remove(0).outbound, None);
}

pub(super) async fn a_discarded_delivery_lets_its_lane_go_on(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    world.maker.pass(MINUTE);
    let now = world.maker.now();
    let resolution =
        world.journal.discard(1, "sent by post".to_owned(), "ada".to_owned(), now).await.unwrap();
    assert_eq!((resolution.waiting, resolution.action.as_str()), (1, "discarded"));
    assert_eq!(world.ready().await, ["b"]);
    let filter = DeliveryFilter { state: Some(DeliveryState::Discarded), ..Default::default() };
    assert_eq!(world.journal.deliveries(filter).await.unwrap()[0].ended_at, Some(now));
    let all = world.journal.exceptions(ExceptionFilter { all: true, ..Default::default() }).await.unwrap();
    assert_eq!(all[0].resolution, Some(resolution));
}

pub(super) async fn an_exception_ends_once(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    let id = world.find("a").await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    let now = world.maker.now();
    let late = world.journal.advance(world.maker.outcome(id, 200, Next::Delivered)).await;
    assert!(matches!(late, Err(Error::NotFound(_))), "what is parked cannot be delivered: {late:?}");
    world.journal.discard(1, "no".to_owned(), "ada".to_owned(), now).await.unwrap();
    for again in [
        world.journal.retry(1, false, "ada".to_owned(), now).await,
        world.journal.discard(1, "no".to_owned(), "ada".to_owned(), now).await,
        world.journal.discard(2, "no".to_owned(), "ada".to_owned(), now).await,
        world.journal.retry(0, false, "ada".to_owned(), now).await,
        world.journal.retry(u64::MAX, false, "ada".to_owned(), now).await,
    ] {
        assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
    }
}

pub(super) async fn a_message_is_stored_once(world: World) {
    let first = world.maker.document(vec![(world.maker.event("a", &["1"]), to("sap-erp"))]);
    let mut second = first.clone();
    second.events = vec![(world.maker.event("b", &["1"]), to("sap-erp"))];
    let third = world.maker.document(vec![(world.maker.event("c", &["1"]), to("sap-erp"))]);
    let append = |document| world.journal.append(document);
    let (one, two, three) = tokio::join!(append(first), append(second), append(third));
    assert!(matches!((&one, &two, &three), (Ok(_), Err(Error::Unreadable(_)), Ok(_))), "{two:?}");
    assert_eq!(world.ready().await, ["a"]);
    world.deliver("a").await;
    assert_eq!(world.ready().await, ["c"], "what failed left nothing behind");
}

pub(super) async fn pinned_bytes_stay(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    let id = world.find("a").await;
    world.journal.pin(id, outbound(b"one")).await.unwrap();
    world.journal.pin(id, outbound(b"one")).await.unwrap();
    assert!(world.journal.pin(id, outbound(b"two")).await.is_err());
    assert!(world.journal.pin(DeliveryId(id.0 + 1), outbound(b"two")).await.is_err(), "it waits");
    assert!(world.journal.pin(DeliveryId(99), outbound(b"two")).await.is_err(), "it is not there");
    assert_eq!(world.journal.work(vec![id]).await.unwrap().remove(0).outbound, Some(outbound(b"one")));
}

pub(super) async fn counters_never_give_a_number_twice(world: World) {
    let counter =
        |kind: &str| Counter { kind: kind.to_owned(), sender: "US".to_owned(), receiver: "ACME".to_owned() };
    let mut given = Vec::new();
    for _ in 0..3 {
        let (one, two) = tokio::join!(
            world.journal.take_number(counter("isa13")),
            world.journal.take_number(counter("isa13"))
        );
        given.extend([one.unwrap(), two.unwrap()]);
    }
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    assert_eq!(world.journal.take_number(counter("gs06")).await.unwrap(), 1);
}

pub(super) async fn refusals_are_listed_beside_what_was_accepted(world: World) {
    let accepted = world.tell(vec![world.maker.event("a", &["1"])]).await;
    world.maker.pass(MINUTE);
    let refused = Refused {
        message_id: world.maker.ids.message(world.maker.now(), &world.maker.random),
        partner: name("globex"),
        operation: "shipments/confirm".to_owned(),
        received_at: world.maker.now(),
        revision: Revision::stored("7f3a9c21"),
        length: 7,
        problem: r#"{"status":422}"#.to_owned(),
    };
    world.journal.note_refusal(refused.clone()).await.unwrap();
    // Another command has its answer when those before it are kept.
    world.tell(vec![world.maker.event("b", &["1"])]).await;

    let list = async |filter| world.journal.messages(filter).await.unwrap();
    assert_eq!(list(MessageFilter::default()).await.len(), 3);
    let only = list(MessageFilter { state: Some(MessageState::Refused), ..Default::default() }).await;
    assert_eq!((only.len(), only[0].id, only[0].length), (1, refused.message_id, 7));
    let later = list(MessageFilter { since: Some(world.maker.now()), ..Default::default() }).await;
    assert_eq!(later.len(), 2);
    let before = list(MessageFilter { before: Some(refused.message_id), ..Default::default() }).await;
    assert_eq!((before.len(), before[0].id), (1, accepted.message_id));
    let partner = list(MessageFilter { partner: Some(name("globex")), limit: 1, ..Default::default() }).await;
    assert_eq!(partner, only);
    let record = world.journal.message(refused.message_id).await.unwrap().unwrap();
    assert_eq!((record.problem, record.receipt, record.document), (Some(refused.problem), None, None));
    assert_eq!(world.journal.status().await.unwrap().messages, 2, "a refused message was not accepted");
}

pub(super) async fn events_are_found_by_cursor_type_partner_and_key(world: World) {
    let mut picked = world.maker.event("a", &["1", "2"]);
    picked.kind = "fulfilment.picked".to_owned();
    world.tell(vec![picked, world.maker.event("b", &["2"])]).await;
    let mut other = world.maker.document(vec![(world.maker.event("c", &["2"]), Vec::new())]);
    other.partner = name("globex");
    stored(world.journal.append(other).await.unwrap());
    world.tell(vec![world.maker.otherwise("a", &["9"])]).await;

    let list = async |filter| {
        let found = world.journal.events(filter).await.unwrap();
        found.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    assert_eq!(list(EventFilter::default()).await, [1, 2, 3, 4]);
    assert_eq!(list(EventFilter { after: Some(2), ..Default::default() }).await, [3, 4]);
    assert_eq!(list(EventFilter { newest: true, limit: 2, ..Default::default() }).await, [4, 3]);
    assert_eq!(list(EventFilter { kind: Some("fulfilment.*".to_owned()), ..Default::default() }).await, [1]);
    assert_eq!(
        list(EventFilter { kind: Some("shipment.dispatched".to_owned()), ..Default::default() }).await,
        [2, 3, 4]
    );
    assert!(list(EventFilter { kind: Some("shipment*".to_owned()), ..Default::default() }).await.is_empty());
    assert_eq!(list(EventFilter { partner: Some(name("globex")), ..Default::default() }).await, [3]);
    assert_eq!(list(EventFilter { key: Some(order("2")), ..Default::default() }).await, [1, 2, 3]);
    let narrow = EventFilter {
        key: Some(order("2")),
        partner: Some(name("acme-3pl")),
        after: Some(1),
        ..Default::default()
    };
    assert_eq!(list(narrow).await, [2]);
    let elsewhere = Key { kind: "shipment".to_owned(), value: "2".to_owned() };
    assert!(list(EventFilter { key: Some(elsewhere), ..Default::default() }).await.is_empty());
}

pub(super) async fn deliveries_are_found_by_their_state(world: World) {
    let receipt = world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.tell(vec![world.maker.event("c", &["2"]), world.maker.event("d", &["3"])]).await;
    world.deliver("d").await;
    world.advance("c", 422, park(Stuck::Hold)).await;
    let list = async |filter| {
        let found = world.journal.deliveries(filter).await.unwrap();
        found.iter().map(|record| record.id.0).collect::<Vec<_>>()
    };
    let of = |state| DeliveryFilter { state: Some(state), target: Some(erp()), ..Default::default() };
    assert_eq!(list(DeliveryFilter::default()).await, [4, 3, 2, 1]);
    assert_eq!(list(of(DeliveryState::Waiting)).await, [2]);
    assert_eq!(list(of(DeliveryState::Ready)).await, [1]);
    assert_eq!(list(of(DeliveryState::Parked)).await, [3]);
    assert_eq!(list(of(DeliveryState::Delivered)).await, [4]);
    assert!(list(of(DeliveryState::Discarded)).await.is_empty());
    assert_eq!(list(DeliveryFilter { before: Some(DeliveryId(3)), ..Default::default() }).await, [2, 1]);
    assert_eq!(list(DeliveryFilter { event: Some(receipt.events[1].id), ..Default::default() }).await, [2]);
    assert!(list(DeliveryFilter { partner: Some(name("globex")), ..Default::default() }).await.is_empty());
}

pub(super) async fn the_status_counts_what_is_pending(world: World) {
    let began = world.maker.now();
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.maker.pass(MINUTE);
    world.tell(vec![world.maker.event("c", &["1"]), world.maker.event("d", &["2"])]).await;
    world.advance("d", 422, park(Stuck::Hold)).await;
    let status = world.journal.status().await.unwrap();
    assert_eq!((status.messages, status.events, status.exceptions, status.queued), (2, 4, 1, 0));
    let pending: Vec<_> =
        status.pending.iter().map(|line| (line.state, line.count, line.oldest.unwrap())).collect();
    let later = world.maker.now();
    let expected = [
        (DeliveryState::Waiting, 2, began),
        (DeliveryState::Ready, 1, began),
        (DeliveryState::Parked, 1, later),
    ];
    assert_eq!(pending, expected);
}

pub(super) async fn changes_wake_who_waits(world: World) {
    let mut changes = world.journal.changes();
    changes.mark_unchanged();
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    changes.changed().await.unwrap();
    world.deliver("a").await;
    changes.changed().await.unwrap();
    world.advance("b", 422, park(Stuck::Hold)).await;
    changes.mark_unchanged();
    world.journal.retry(1, false, "ada".to_owned(), world.maker.now()).await.unwrap();
    changes.changed().await.unwrap();
}

pub(super) async fn strange_questions_have_empty_answers(world: World) {
    let nobody: TargetName = name("nobody");
    let id = world.maker.event("a", &[]).id;
    assert_eq!(world.journal.ready(nobody.clone(), world.maker.now(), usize::MAX).await.unwrap(), []);
    assert_eq!(world.journal.next_due(nobody).await.unwrap(), None);
    assert!(
        world
            .journal
            .work(vec![DeliveryId(0), DeliveryId(7), DeliveryId(u64::MAX)])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(world.journal.event(id).await.unwrap().is_none());
    assert!(world.journal.exception(u64::MAX).await.unwrap().is_none());
    let filter = EventFilter { after: Some(u64::MAX), limit: usize::MAX, ..Default::default() };
    assert!(world.journal.events(filter).await.unwrap().is_empty());
    let empty = stored(world.journal.append(world.maker.document(Vec::new())).await.unwrap());
    assert!(empty.events.is_empty());
    let attempt = Outcome { delivery: DeliveryId(1), attempt: None, next: Next::Delivered };
    assert!(matches!(world.journal.advance(attempt).await, Err(Error::NotFound(_))));
}
