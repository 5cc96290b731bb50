//! What every store must do. Each case runs against the embedded store and against its twin in memory; a random
//! program compares the two answer by answer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    Accepted, Appended, Attempt, Cause, DeliveryId, Destination, Idempotency, Journal, Next, Outbound,
    Outcome, Stuck, memory, sqlite,
};
use crate::words::{
    Clock, Digest, Document, EstateName, Event, IdSource, Identity, Key, Random, Receipt, Revision,
    TargetName, Time,
};

mod cases;
mod items;
mod program;

/// A clock that is set by hand.
pub(in crate::journal) struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A counter scrambled by a multiplication is random enough for ids.
struct Scrambled(AtomicU64);

impl Random for Scrambled {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A store with all that a case needs to talk to it.
pub(in crate::journal) struct World {
    journal: Arc<dyn Journal>,
    maker: Maker,
    _folder: Option<tempfile::TempDir>,
}

/// Makes documents and events.
pub(in crate::journal) struct Maker {
    pub(in crate::journal) clock: Arc<Hands>,
    ids: IdSource,
    random: Scrambled,
}

const DAWN: i64 = 1_790_000_000_000;

pub(in crate::journal) fn estate() -> EstateName {
    EstateName::new("north").unwrap()
}

pub(in crate::journal) fn small() -> sqlite::Options {
    sqlite::Options {
        ballast_bytes: 1 << 16,
        carry_bytes: 64 << 10,
        restart_bytes: 256 << 10,
        ..Default::default()
    }
}

impl Maker {
    pub(in crate::journal) fn new() -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(DAWN)));
        Self { clock, ids: IdSource::new(), random: Scrambled(AtomicU64::new(1)) }
    }

    pub(in crate::journal) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(in crate::journal) fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(in crate::journal) fn document(&self, events: Vec<(Event, Vec<Destination>)>) -> Accepted {
        let content = Bytes::from_static(b"ISA*00*~");
        Accepted {
            message_id: self.ids.message(self.now(), &self.random),
            partner: name("acme-3pl"),
            api: name("shipments"),
            operation: name("confirm"),
            version: name("v2"),
            credential: "main".to_owned(),
            received_at: self.now(),
            revision: Revision::stored("7f3a9c21"),
            document_digest: Digest::of(&content),
            document: Document {
                media_type: "application/edi-x12".to_owned(),
                content,
                parameters: vec![("path".to_owned(), "/x".to_owned())],
            },
            mapper: name("x12-wms"),
            mapper_digest: Digest::of(b"mapper"),
            diagnostics: Vec::new(),
            rejects: Vec::new(),
            acknowledgement: None,
            events,
            idempotency: None,
            parent: None,
        }
    }

    /// An event of the fact `fact` that keeps the order of the keys.
    pub(in crate::journal) fn event(&self, fact: &str, keys: &[&str]) -> Event {
        let data = Bytes::from(format!(r#"{{"fact":"{fact}"}}"#));
        Event {
            id: self.ids.event(self.now(), &self.random),
            identity: Identity(Digest::of(fact.as_bytes())),
            source: "/acme-3pl/shipments".to_owned(),
            kind: "shipment.dispatched".to_owned(),
            schema_version: "1.0".to_owned(),
            natural_key: vec![("delivery".to_owned(), fact.to_owned())],
            order_keys: keys.iter().map(|key| order(key)).collect(),
            sequence: None,
            corrects: None,
            occurred_at: Some("2026-11-23T09:00:00+01:00".to_owned()),
            recorded_at: self.now(),
            data_digest: Digest::of(&data),
            data,
        }
    }

    /// The same fact, told otherwise.
    pub(in crate::journal) fn otherwise(&self, fact: &str, keys: &[&str]) -> Event {
        let data = Bytes::from(format!(r#"{{"fact":"{fact}","other":true}}"#));
        Event { data_digest: Digest::of(&data), data, ..self.event(fact, keys) }
    }

    pub(in crate::journal) fn outcome(&self, delivery: DeliveryId, status: u16, next: Next) -> Outcome {
        let attempt = Attempt {
            started_at: self.now(),
            took: Duration::from_millis(3),
            status: Some(status),
            error: None,
            excerpt: Some("as it was".to_owned()),
        };
        Outcome { delivery, attempt: Some(attempt), next }
    }
}

pub(in crate::journal) fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap_or_else(|_| panic!("`{text}` is a name"))
}

pub(in crate::journal) fn order(value: &str) -> Key {
    Key { kind: "order".to_owned(), value: value.to_owned() }
}

pub(in crate::journal) fn to(target: &str) -> Vec<Destination> {
    vec![Destination { subscription: name(&format!("{target}-all")), target: name(target) }]
}

pub(in crate::journal) fn erp() -> TargetName {
    name("sap-erp")
}

pub(in crate::journal) fn park(stuck: Stuck) -> Next {
    let cause =
        Cause { code: "target-refused".to_owned(), detail: "it said no".to_owned(), diagnostics: Vec::new() };
    Next::Park { cause, stuck }
}

pub(in crate::journal) fn given(key: &str, maker: &Maker) -> Option<Idempotency> {
    let expires_at = maker.now().after(Duration::from_secs(60));
    Some(Idempotency { key: key.to_owned(), fingerprint: Digest::of(key.as_bytes()), expires_at })
}

/// A document for the target.
fn outbound(content: &'static [u8]) -> Outbound {
    Outbound {
        mapper: name("erp-idoc"),
        mapper_digest: Digest::of(b"erp"),
        document: Document {
            media_type: "application/xml".to_owned(),
            content: content.into(),
            parameters: vec![("url".to_owned(), "/x".to_owned())],
        },
        control_numbers: vec![("idoc".to_owned(), "0000000000000042".to_owned())],
    }
}

impl World {
    fn in_memory() -> Self {
        let maker = Maker::new();
        let journal = Arc::new(memory::Store::with_clock(estate(), maker.clock.clone()));
        Self { journal, maker, _folder: None }
    }

    fn embedded() -> Self {
        let maker = Maker::new();
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(
            sqlite::Store::open_with(folder.path(), &estate(), maker.clock.clone(), &small()).unwrap(),
        );
        Self { journal, maker, _folder: Some(folder) }
    }

    /// Appends a document of these events, all to the ERP.
    async fn tell(&self, events: Vec<Event>) -> Receipt {
        let events = events.into_iter().map(|event| (event, to("sap-erp"))).collect();
        stored(self.journal.append(self.maker.document(events)).await.unwrap())
    }

    /// The facts of what is ready for the ERP, in the order in which it would go.
    async fn ready(&self) -> Vec<String> {
        let ready = self.journal.ready(erp(), self.maker.now(), 100).await.unwrap();
        let work = self.journal.work(ready).await.unwrap();
        work.into_iter().map(|work| work.event.natural_key[0].1.clone()).collect()
    }

    /// The ready delivery of this fact.
    async fn find(&self, fact: &str) -> DeliveryId {
        let ready = self.journal.ready(erp(), self.maker.now(), 100).await.unwrap();
        let work = self.journal.work(ready).await.unwrap();
        work.iter().find(|work| work.event.natural_key[0].1 == fact).expect("the fact is ready").id
    }

    async fn advance(&self, fact: &str, status: u16, next: Next) {
        let delivery = self.find(fact).await;
        self.journal.advance(self.maker.outcome(delivery, status, next)).await.unwrap();
    }

    async fn deliver(&self, fact: &str) {
        self.advance(fact, 200, Next::Delivered).await;
    }
}

pub(in crate::journal) fn stored(appended: Appended) -> Receipt {
    match appended {
        Appended::Stored(receipt) => receipt,
        Appended::Remembered(_) => panic!("stored, not remembered"),
    }
}

type Case = fn(World) -> Pin<Box<dyn Future<Output = ()>>>;

fn run(world: World, case: Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(case(world));
}

macro_rules! every_store {
    ($($room:ident: $($case:ident)*;)*) => {
        mod in_memory {
            $($(#[test] fn $case() { super::run(super::World::in_memory(), |world| Box::pin(super::$room::$case(world))); })*)*
        }
        mod in_sqlite {
            $($(#[test] fn $case() { super::run(super::World::embedded(), |world| Box::pin(super::$room::$case(world))); })*)*
        }
    };
}

every_store! {
    cases:
    an_append_answers_with_a_receipt_that_can_be_read_again
    the_same_fact_is_stored_once_and_names_the_first
    a_fact_told_twice_in_one_document_is_stored_once
    a_contradiction_is_held_for_a_person
    a_correction_takes_the_facts_place
    an_idempotency_key_gives_the_first_answer_until_it_expires
    two_at_once_under_one_key_store_one
    a_lane_goes_one_by_one_in_order
    lanes_do_not_wait_for_each_other
    two_subscriptions_of_one_target_share_its_lanes
    an_event_with_two_keys_waits_for_both_lanes
    events_without_keys_go_at_once
    a_retry_waits_until_it_is_due
    a_held_lane_waits_behind_its_exception
    a_skipped_lane_goes_on
    a_retried_delivery_has_a_fresh_budget_and_may_forget_its_bytes
    a_discarded_delivery_lets_its_lane_go_on
    an_exception_ends_once
    a_message_is_stored_once
    pinned_bytes_stay
    counters_never_give_a_number_twice
    refusals_are_listed_beside_what_was_accepted
    events_are_found_by_cursor_type_partner_and_key
    deliveries_are_found_by_their_state
    the_status_counts_what_is_pending
    changes_wake_who_waits
    strange_questions_have_empty_answers;
    items:
    rule_8_the_reason_of_a_discard_is_kept
    rule_8_exceptions_are_filtered_and_grouped
    rule_8_only_what_is_open_is_assigned_or_edited
    rule_8_an_edited_document_takes_the_heads_place_and_what_it_replaced_is_kept
    rule_8_an_edited_event_names_its_parent_and_leaves_the_fact_with_it
    rule_8_a_correction_ends_the_exceptions_about_its_fact
    rule_8_a_correction_that_goes_elsewhere_ends_nothing
    rule_5_where_the_latest_wins_a_later_state_takes_the_place_of_a_parked_one
    rule_5_a_held_lane_is_not_outdated_by_later_events
    rule_2_a_message_knows_who_told_its_facts_again
    rule_4_a_delivery_says_why_its_last_attempt_failed;
}
