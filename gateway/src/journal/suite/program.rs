//! A random program, run against both stores at once. They must give the same answers all along, survive a kill of
//! the embedded one at any step, and keep the order of every lane.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use proptest::{prelude::*, sample::subsequence};

use super::{Maker, estate, given, name, order, park, small, to};
use crate::{
    journal::{
        Counter, DeliveryFilter, DeliveryId, DeliveryRecord, DeliveryState, Destination, Edit, EventFilter,
        ExceptionFilter, GroupBy, Journal, MessageFilter, Next, Outbound, Stuck, memory, sqlite,
    },
    words::{Digest, Document, Event, TargetName},
};

const PARTNERS: [&str; 2] = ["acme-3pl", "globex"];
const TARGETS: [&str; 2] = ["sap-erp", "tms"];
const KEYS: [&str; 4] = ["1", "2", "3", "4"];

#[derive(Clone, Debug)]
enum Step {
    Append { partner: usize, events: Vec<Told>, idempotency: Option<u8> },
    Advance { target: usize, nth: usize, next: Way },
    Pin { target: usize, nth: usize, content: u8 },
    Retry { exception: u64, remap: bool },
    Discard { exception: u64 },
    Edit { exception: u64, content: u8, event: bool },
    Assign { exception: u64, owner: bool },
    Number { kind: u8 },
    Pass { seconds: u64 },
    Kill,
}

#[derive(Clone, Debug)]
struct Told {
    fact: u8,
    otherwise: bool,
    corrects: bool,
    keys: Vec<&'static str>,
    targets: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Delivered,
    Later,
    Hold,
    Skip,
    LatestWins,
}

fn told() -> impl Strategy<Value = Told> {
    let targets = subsequence(TARGETS.to_vec(), 0..=2);
    (
        0..12_u8,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        subsequence(KEYS.to_vec(), 0..=3),
        targets,
    )
        .prop_map(|(fact, otherwise, corrects, keys, targets)| Told {
            fact,
            otherwise,
            corrects,
            keys,
            targets,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![4 => Just(Way::Delivered), 1 => Just(Way::Later), 1 => Just(Way::Hold), 1 => Just(Way::Skip), 1 => Just(Way::LatestWins)];
    let idempotency = prop::option::weighted(0.3, 0..3_u8);
    prop_oneof![
        6 => (0..2_usize, prop::collection::vec(told(), 0..4), idempotency)
            .prop_map(|(partner, events, idempotency)| Step::Append { partner, events, idempotency }),
        8 => (0..2_usize, 0..4_usize, way).prop_map(|(target, nth, next)| Step::Advance { target, nth, next }),
        1 => (0..2_usize, 0..4_usize, 0..2_u8).prop_map(|(target, nth, content)| Step::Pin { target, nth, content }),
        2 => (0..8_u64, any::<bool>()).prop_map(|(exception, remap)| Step::Retry { exception, remap }),
        1 => (0..8_u64).prop_map(|exception| Step::Discard { exception }),
        1 => (0..8_u64, 0..3_u8, any::<bool>())
            .prop_map(|(exception, content, event)| Step::Edit { exception, content, event }),
        1 => (0..8_u64, any::<bool>()).prop_map(|(exception, owner)| Step::Assign { exception, owner }),
        1 => (0..2_u8).prop_map(|kind| Step::Number { kind }),
        2 => (0..40_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Kill),
    ]
}

fn written(content: u8) -> Outbound {
    Outbound {
        mapper: name("erp-idoc"),
        mapper_digest: Digest::of(b"erp"),
        document: Document {
            media_type: "text/plain".to_owned(),
            content: vec![content; 40].into(),
            parameters: vec![],
        },
        control_numbers: vec![("idoc".to_owned(), content.to_string())],
    }
}

struct Pair {
    memory: memory::Store,
    sqlite: Option<sqlite::Store>,
    folder: tempfile::TempDir,
    maker: Maker,
    /// Deliveries whose lane went on without them.
    skipped: HashSet<DeliveryId>,
}

/// Asks both the same and answers what they agree on.
macro_rules! both {
    ($pair:expr, |$journal:ident| $ask:expr) => {{
        let $journal: &dyn Journal = &$pair.memory;
        let expected = $ask.await;
        let $journal: &dyn Journal = $pair.sqlite.as_ref().expect("the store is open");
        let answer = $ask.await;
        assert_eq!(shown(&answer), shown(&expected));
        expected
    }};
}

fn shown(answer: &impl Debug) -> String {
    format!("{answer:#?}")
}

impl Pair {
    fn new() -> Self {
        let maker = Maker::new();
        let memory = memory::Store::with_clock(estate(), maker.clock.clone());
        let folder = tempfile::tempdir().unwrap();
        let mut pair = Self { memory, sqlite: None, folder, maker, skipped: HashSet::new() };
        pair.kill();
        pair
    }

    fn kill(&mut self) {
        self.sqlite = None;
        let clock = Arc::clone(&self.maker.clock);
        let opened = sqlite::Store::open_with(self.folder.path(), &estate(), clock, &small());
        self.sqlite = Some(opened.unwrap());
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append { partner, events, idempotency } => {
                let events = events.iter().map(|told| self.tell(partner, told)).collect();
                let mut document = self.maker.document(events);
                document.partner = name(PARTNERS[partner]);
                document.idempotency = idempotency.and_then(|key| given(&format!("key {key}"), &self.maker));
                let _ = both!(self, |journal| journal.append(document.clone()));
            }
            Step::Advance { target, nth, next } => {
                let Some(id) = self.ready(target, nth).await else { return };
                let next = match next {
                    Way::Delivered => Next::Delivered,
                    Way::Later => Next::Retry { due: self.maker.now().after(Duration::from_secs(20)) },
                    Way::Hold => park(Stuck::Hold),
                    Way::LatestWins => park(Stuck::LatestWins),
                    Way::Skip => {
                        self.skipped.insert(id);
                        park(Stuck::Skip)
                    }
                };
                let outcome = self.maker.outcome(id, 200, next);
                both!(self, |journal| journal.advance(outcome.clone())).expect("it was ready");
            }
            Step::Pin { target, nth, content } => {
                let Some(id) = self.ready(target, nth).await else { return };
                let outbound = written(content);
                let _ = both!(self, |journal| journal.pin(id, outbound.clone()));
            }
            Step::Retry { exception, remap } => {
                let now = self.maker.now();
                let _ = both!(self, |journal| journal.retry(exception, remap, "ada".to_owned(), now));
            }
            Step::Discard { exception } => {
                let now = self.maker.now();
                let _ =
                    both!(self, |journal| journal.discard(exception, "no".to_owned(), "ada".to_owned(), now));
            }
            Step::Edit { exception, content, event } => {
                let now = self.maker.now();
                let edit = if event {
                    let Some(found) = both!(self, |journal| journal.exception(exception)).unwrap() else {
                        return;
                    };
                    let edited = self.maker.otherwise("fact", &[]);
                    let (identity, order_keys) = (found.event.identity, found.event.order_keys.clone());
                    Edit::Event(Box::new(Event { identity, order_keys, corrects: Some(identity), ..edited }))
                } else {
                    Edit::Outbound(written(content))
                };
                let _ = both!(self, |journal| journal.edit(exception, edit.clone(), "ada".to_owned(), now));
            }
            Step::Assign { exception, owner } => {
                let owner = owner.then(|| "ada".to_owned());
                let _ = both!(self, |journal| journal.assign(exception, owner.clone()));
            }
            Step::Number { kind } => {
                let counter =
                    Counter { kind: kind.to_string(), sender: "a".to_owned(), receiver: "b".to_owned() };
                let _ = both!(self, |journal| journal.take_number(counter.clone()));
            }
            Step::Pass { seconds } => self.maker.pass(Duration::from_secs(seconds)),
            Step::Kill => self.kill(),
        }
    }

    fn tell(&self, partner: usize, told: &Told) -> (Event, Vec<Destination>) {
        let fact = format!("fact {}", told.fact);
        let make = if told.otherwise { Maker::otherwise } else { Maker::event };
        let mut event = make(&self.maker, &fact, &told.keys);
        event.source = format!("/{}/shipments", PARTNERS[partner]);
        event.corrects = told.corrects.then_some(event.identity);
        (event, told.targets.iter().flat_map(|target| to(target)).collect())
    }

    async fn ready(&self, target: usize, nth: usize) -> Option<DeliveryId> {
        let (target, now): (TargetName, _) = (name(TARGETS[target]), self.maker.now());
        both!(self, |journal| journal.ready(target.clone(), now, 10)).unwrap().get(nth).copied()
    }

    /// Everything that can be asked has the same answer, and the lanes are in order.
    async fn compare(&self) {
        for target in TARGETS.map(name::<TargetName>) {
            let now = self.maker.now();
            let ready = both!(self, |journal| journal.ready(target.clone(), now, 100)).unwrap();
            let _ = both!(self, |journal| journal.work(ready.clone()));
            let _ = both!(self, |journal| journal.next_due(target.clone()));
        }
        for message in both!(self, |journal| journal.messages(MessageFilter::default())).unwrap() {
            let _ = both!(self, |journal| journal.message(message.id));
        }
        let events = EventFilter { limit: 1000, ..Default::default() };
        let _ = both!(self, |journal| journal.events(events.clone()));
        for key in KEYS {
            let filter =
                EventFilter { key: Some(order(key)), partner: Some(name("globex")), ..Default::default() };
            let _ = both!(self, |journal| journal.events(filter.clone()));
        }
        let filter = ExceptionFilter { all: true, ..Default::default() };
        for exception in both!(self, |journal| journal.exceptions(filter.clone())).unwrap() {
            let _ = both!(self, |journal| journal.exception(exception.id));
        }
        let (any, now) = (ExceptionFilter::default(), self.maker.now());
        for by in [GroupBy::Fingerprint, GroupBy::Owner, GroupBy::Cause, GroupBy::Age] {
            let _ = both!(self, |journal| journal.exception_groups(any.clone(), by, now));
        }
        let _ = both!(self, |journal| journal.status());
        let filter = DeliveryFilter { limit: 1000, ..Default::default() };
        self.check_order(&both!(self, |journal| journal.deliveries(filter.clone())).unwrap());
    }

    /// A delivery is ready if and only if nothing earlier is pending in any of its lanes.
    fn check_order(&self, deliveries: &[DeliveryRecord]) {
        let in_line: Vec<_> = deliveries
            .iter()
            .filter(|record| record.state.is_pending() && !self.skipped.contains(&record.id))
            .collect();
        for one in &in_line {
            let behind = in_line.iter().any(|other| {
                other.id < one.id
                    && (&other.target, &other.partner) == (&one.target, &one.partner)
                    && other.keys.iter().any(|key| one.keys.contains(key))
            });
            assert_eq!(one.state == DeliveryState::Waiting, behind, "{one:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn both_stores_answer_alike_and_keep_the_order(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.take(step).await;
                pair.ready(0, 0).await;
            }
            pair.compare().await;
            pair.kill();
            pair.compare().await;
        });
    }
}
