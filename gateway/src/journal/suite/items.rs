//! Exceptions as work items (rule 8), and what is known of facts that were told again.

use std::time::Duration;

use super::{World, erp, outbound, park, stored, to};
use crate::{
    journal::{
        DeliveryFilter, DeliveryState, Edit, Error, EventFilter, ExceptionFilter, GroupBy, Next, Repeat,
        Stuck,
    },
    words::Event,
};

const HOUR: Duration = Duration::from_secs(3600);

fn ada() -> String {
    "ada".to_owned()
}

fn corrected(world: &World, fact: &str, keys: &[&str]) -> Event {
    let event = world.maker.otherwise(fact, keys);
    Event { corrects: Some(event.identity), ..event }
}

pub(super) async fn rule_8_the_reason_of_a_discard_is_kept(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    world.journal.discard(1, "sent by post".to_owned(), ada(), world.maker.now()).await.unwrap();
    let ended = world.journal.exception(1).await.unwrap().unwrap().summary.resolution.unwrap();
    assert_eq!((ended.reason.as_deref(), ended.by.as_str()), (Some("sent by post"), "ada"));
}

pub(super) async fn rule_8_exceptions_are_filtered_and_grouped(world: World) {
    for fact in ["a", "b", "c"] {
        world.tell(vec![world.maker.event(fact, &[fact])]).await;
        world.advance(fact, 422, park(Stuck::Hold)).await;
    }
    world.maker.pass(2 * HOUR);
    world.tell(vec![world.maker.otherwise("a", &["1"])]).await;
    world.journal.assign(2, Some(ada())).await.unwrap();
    let ids = async |filter: ExceptionFilter| {
        let found = world.journal.exceptions(filter).await.unwrap();
        found.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let all = ExceptionFilter::default;
    let since = world.maker.now();
    assert_eq!(ids(ExceptionFilter { cause: Some("contradiction".to_owned()), ..all() }).await, [4]);
    assert_eq!(ids(ExceptionFilter { owner: Some(ada()), ..all() }).await, [2]);
    assert_eq!(ids(ExceptionFilter { owner: Some("nobody".to_owned()), ..all() }).await, [4, 3, 1]);
    let before = crate::words::Time::from_millis(since.millis() - 1000);
    assert_eq!(ids(ExceptionFilter { until: Some(before), ..all() }).await, [3, 2, 1]);
    let first = world.journal.exception(1).await.unwrap().unwrap().summary;
    assert_eq!(ids(ExceptionFilter { fingerprint: Some(first.fingerprint), ..all() }).await, [3, 2, 1]);
    assert_eq!(ids(ExceptionFilter { event: Some(first.event), ..all() }).await, [1]);

    let groups = async |by| {
        let found = world.journal.exception_groups(all(), by, world.maker.now()).await.unwrap();
        found.into_iter().map(|group| (group.value, group.count, group.example)).collect::<Vec<_>>()
    };
    let counted = |expected: &[(&str, u64, u64)]| {
        expected.iter().map(|(value, count, id)| ((*value).to_owned(), *count, *id)).collect::<Vec<_>>()
    };
    assert_eq!(groups(GroupBy::Cause).await, counted(&[("target-refused", 3, 3), ("contradiction", 1, 4)]));
    assert_eq!(groups(GroupBy::Owner).await, counted(&[("nobody", 3, 4), ("ada", 1, 2)]));
    assert_eq!(groups(GroupBy::Target).await, counted(&[("sap-erp", 3, 3), ("-", 1, 4)]));
    assert_eq!(groups(GroupBy::Age).await, counted(&[("1 h to 1 d", 3, 3), ("under 1 h", 1, 4)]));
    let alike: Vec<_> = groups(GroupBy::Fingerprint).await.into_iter().map(|(_, count, _)| count).collect();
    assert_eq!(alike, [3, 1]);
    world.journal.assign(2, None).await.unwrap();
    assert_eq!(groups(GroupBy::Owner).await.len(), 1);
}

pub(super) async fn rule_8_only_what_is_open_is_assigned_or_edited(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    world.journal.discard(1, "no".to_owned(), ada(), world.maker.now()).await.unwrap();
    for id in [0, 1, 2, u64::MAX] {
        assert!(matches!(world.journal.assign(id, Some(ada())).await, Err(Error::NotFound(_))), "{id}");
        let edit = Edit::Outbound(outbound(b"two"));
        let edited = world.journal.edit(id, edit, ada(), world.maker.now()).await;
        assert!(matches!(edited, Err(Error::NotFound(_))), "{id}");
    }
}

pub(super) async fn rule_8_an_edited_document_takes_the_heads_place_and_what_it_replaced_is_kept(
    world: World,
) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    let id = world.find("a").await;
    world.journal.pin(id, outbound(b"one")).await.unwrap();
    world.advance("a", 422, park(Stuck::Hold)).await;
    let edit = Edit::Outbound(outbound(b"two"));
    let resolution = world.journal.edit(1, edit, ada(), world.maker.now()).await.unwrap();
    assert_eq!((resolution.action.as_str(), resolution.waiting), ("edited", 1));
    assert_eq!(world.ready().await, ["a"], "it is at the head still");
    let work = world.journal.work(vec![id]).await.unwrap().remove(0);
    assert_eq!((work.outbound, work.revision), (Some(outbound(b"two")), 2));
    assert_eq!(work.first_attempt_at, None, "a fresh budget");
    world.advance("a", 422, park(Stuck::Hold)).await;
    let record = world.journal.exception(2).await.unwrap().unwrap();
    let past: Vec<_> = record.past.iter().map(|past| (past.revision, past.by.as_str())).collect();
    assert_eq!((past, record.past[0].outbound.clone()), (vec![(1, "ada")], outbound(b"one")));
    world.journal.retry(2, true, ada(), world.maker.now()).await.unwrap();
    assert_eq!(
        world.journal.work(vec![id]).await.unwrap().remove(0).revision,
        3,
        "other bytes, another revision"
    );
    world.deliver("a").await;
    assert_eq!(world.ready().await, ["b"]);
}

pub(super) async fn rule_8_an_edited_event_names_its_parent_and_leaves_the_fact_with_it(world: World) {
    let first = world.maker.event("a", &["1"]);
    let receipt = world.tell(vec![first.clone(), world.maker.event("b", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    let other = Edit::Event(Box::new(world.maker.event("x", &["1"])));
    let other = world.journal.edit(1, other, ada(), world.maker.now()).await;
    assert!(matches!(other, Err(Error::NotFound(_))), "another fact is no edit: {other:?}");
    let edited = corrected(&world, "a", &["1"]);
    let edit = Edit::Event(Box::new(edited.clone()));
    world.journal.edit(1, edit, ada(), world.maker.now()).await.unwrap();
    let id = world.find("a").await;
    let work = world.journal.work(vec![id]).await.unwrap().remove(0);
    assert_eq!((work.event, work.message_id), (edited.clone(), receipt.message_id));
    let record = world.journal.event(edited.id).await.unwrap().unwrap();
    assert_eq!((record.revises, record.held), (Some(first.id), false));
    let filter = EventFilter { message: Some(receipt.message_id), ..Default::default() };
    assert_eq!(world.journal.events(filter).await.unwrap().len(), 3);
    let again = world.tell(vec![world.maker.event("a", &["1"])]).await;
    assert!(
        matches!(again.events[0].disposition, crate::words::Disposition::Repeats { event, .. } if event == first.id),
        "its sender may tell it again: {again:?}"
    );
}

pub(super) async fn rule_8_a_correction_ends_the_exceptions_about_its_fact(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.tell(vec![world.maker.otherwise("a", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    assert_eq!(world.journal.exceptions(ExceptionFilter::default()).await.unwrap().len(), 2);
    world.maker.pass(HOUR);
    let correction = corrected(&world, "a", &["1"]);
    let by = world.tell(vec![correction.clone()]).await;
    assert!(world.journal.exceptions(ExceptionFilter::default()).await.unwrap().is_empty());
    let ended = world.journal.exceptions(ExceptionFilter { all: true, ..Default::default() }).await.unwrap();
    for one in ended {
        let end = one.resolution.unwrap();
        let why = format!("event {} of message {} corrects it", correction.id, by.message_id);
        assert_eq!((end.action.as_str(), end.by.as_str()), ("superseded", "crossdock"));
        assert_eq!((end.reason, end.at), (Some(why), world.maker.now()));
    }
    assert_eq!(world.ready().await, ["b"], "the lane goes on, the correction at its end");
    world.deliver("b").await;
    assert_eq!(world.ready().await, ["a"]);
    assert_eq!(world.journal.status().await.unwrap().exceptions, 0);
}

pub(super) async fn rule_8_a_correction_that_goes_elsewhere_ends_nothing(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    let correction = vec![(corrected(&world, "a", &["1"]), to("tms"))];
    stored(world.journal.append(world.maker.document(correction)).await.unwrap());
    assert_eq!(world.journal.exceptions(ExceptionFilter::default()).await.unwrap().len(), 1);
}

pub(super) async fn rule_5_where_the_latest_wins_a_later_state_takes_the_place_of_a_parked_one(world: World) {
    world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    world.tell(vec![world.maker.event("other", &["1", "2"])]).await;
    world.advance("a", 422, park(Stuck::LatestWins)).await;
    assert_eq!(world.ready().await, ["b"], "it was outdated when it was parked");
    world.advance("b", 422, park(Stuck::LatestWins)).await;
    assert!(world.ready().await.is_empty(), "another set of keys is another thing");
    world.tell(vec![world.maker.event("c", &["1"])]).await;
    assert_eq!(world.ready().await, ["other"]);
    world.deliver("other").await;
    world.deliver("c").await;
    let ended = world.journal.exceptions(ExceptionFilter { all: true, ..Default::default() }).await.unwrap();
    assert_eq!(ended.len(), 2);
    for one in ended {
        let reason = one.resolution.unwrap().reason.unwrap();
        assert!(reason.contains("is a later state of the same"), "{reason}");
    }
}

pub(super) async fn rule_5_a_held_lane_is_not_outdated_by_later_events(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    world.advance("a", 422, park(Stuck::Hold)).await;
    world.tell(vec![world.maker.event("b", &["1"])]).await;
    assert!(world.ready().await.is_empty());
    assert_eq!(world.journal.exceptions(ExceptionFilter::default()).await.unwrap().len(), 1);
}

pub(super) async fn rule_2_a_message_knows_who_told_its_facts_again(world: World) {
    let first = world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("a", &["1"])]).await;
    let again = world.tell(vec![world.maker.event("a", &["1"]), world.maker.event("b", &["1"])]).await;
    let message = world.journal.message(first.message_id).await.unwrap().unwrap();
    assert_eq!(message.repeats, [Repeat { event: first.events[0].id, message: again.message_id }]);
    let mut child = world.maker.document(Vec::new());
    child.parent = Some(first.message_id);
    let child = stored(world.journal.append(child).await.unwrap());
    let parent = world.journal.message(first.message_id).await.unwrap().unwrap();
    assert_eq!((parent.children, parent.parent), (vec![child.message_id], None));
    let child = world.journal.message(child.message_id).await.unwrap().unwrap();
    assert_eq!((child.parent, child.pruned), (Some(first.message_id), false));
}

pub(super) async fn rule_4_a_delivery_says_why_its_last_attempt_failed(world: World) {
    world.tell(vec![world.maker.event("a", &["1"])]).await;
    let last = async || {
        let filter = DeliveryFilter { target: Some(erp()), ..Default::default() };
        world.journal.deliveries(filter).await.unwrap().remove(0)
    };
    assert_eq!((last().await.last_error, last().await.revision), (None, 1));
    world.advance("a", 503, Next::Retry { due: world.maker.now() }).await;
    assert_eq!(last().await.last_error.as_deref(), Some("503: as it was"));
    let id = world.find("a").await;
    let mut silent = world.maker.outcome(id, 0, Next::Retry { due: world.maker.now() });
    let attempt = silent.attempt.as_mut().unwrap();
    (attempt.status, attempt.excerpt, attempt.error) = (None, None, Some("no answer in time".to_owned()));
    world.journal.advance(silent).await.unwrap();
    assert_eq!(last().await.last_error.as_deref(), Some("no answer in time"));
    world.deliver("a").await;
    assert_eq!((last().await.state, last().await.last_error), (DeliveryState::Delivered, None));
}
