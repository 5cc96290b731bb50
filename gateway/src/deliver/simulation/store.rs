//! The in-memory journal, with no room now and then.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::sync::watch;

use super::{
    super::carry::request_id,
    time::{Dice, SimulatedTime},
    world::{Ledger, estate},
};
use crate::{
    journal::{
        Accepted, Appended, Counter, DeliveryFilter, DeliveryId, DeliveryRecord, Edit, Error, EventFilter,
        EventRecord, ExceptionFilter, ExceptionGroup, ExceptionRecord, ExceptionSummary, GroupBy, Journal,
        MessageFilter, MessageRecord, MessageSummary, Outbound, Outcome, Pending, Refused, Remembered,
        Resolution, Status, Work, memory,
    },
    words::{Clock, EventId, MessageId, PartnerName, TargetName, Time},
};

/// A journal that tells the ledger what goes through it.
pub struct Crowded {
    pub inner: memory::Store,
    time: Arc<SimulatedTime>,
    room: Option<Arc<Dice>>,
    ledger: Arc<Mutex<Ledger>>,
    stopped: AtomicBool,
    /// One channel for each who listens: the runtime wakes the many receivers of one channel in random order.
    listeners: Mutex<Vec<watch::Sender<u64>>>,
}

impl Crowded {
    pub fn new(time: Arc<SimulatedTime>, room: Option<Arc<Dice>>, ledger: Arc<Mutex<Ledger>>) -> Self {
        let inner = memory::Store::with_clock(estate(), Arc::clone(&time) as Arc<dyn Clock>);
        Self { inner, time, room, ledger, stopped: AtomicBool::new(false), listeners: Mutex::default() }
    }

    /// Tells all who listen that something changed, in their order.
    pub fn changed(&self) {
        let mut listeners = self.listeners.lock().unwrap();
        listeners.retain(|listener| !listener.is_closed());
        listeners.iter().for_each(|listener| listener.send_modify(|count| *count += 1));
    }

    /// Its disk broke.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.changed();
    }

    fn crowded<'a, T: Send + 'a>(&'a self, command: Pending<'a, T>) -> Pending<'a, T> {
        self.time.step();
        let full = self.room.as_ref().is_some_and(|dice| dice.one_in(25));
        Box::pin(async move {
            // Another task may run between a command and its answer, as with any real store.
            tokio::task::yield_now().await;
            if self.stopped.load(SeqCst) {
                return Err(Error::Stopped("input/output error".into()));
            }
            if full {
                self.ledger.lock().unwrap().summary.busy += 1;
                return Err(Error::Busy);
            }
            let answer = command.await;
            tokio::task::yield_now().await;
            self.time.step();
            answer
        })
    }
}

impl Journal for Crowded {
    fn append(&self, accepted: Accepted) -> Pending<'_, Appended> {
        self.inner.append(accepted)
    }
    fn note_refusal(&self, refused: Refused) -> Pending<'_, ()> {
        self.inner.note_refusal(refused)
    }
    fn remembered(&self, partner: PartnerName, key: String, now: Time) -> Pending<'_, Option<Remembered>> {
        self.inner.remembered(partner, key, now)
    }
    fn ready(&self, target: TargetName, now: Time, limit: usize) -> Pending<'_, Vec<DeliveryId>> {
        self.crowded(self.inner.ready(target, now, limit))
    }
    fn next_due(&self, target: TargetName) -> Pending<'_, Option<Time>> {
        self.crowded(self.inner.next_due(target))
    }
    fn work(&self, deliveries: Vec<DeliveryId>) -> Pending<'_, Vec<Work>> {
        let command = self.crowded(self.inner.work(deliveries));
        Box::pin(async move {
            let work = command.await?;
            let mut ledger = self.ledger.lock().unwrap();
            work.iter().for_each(|work| ledger.note_work(request_id(work), work.id));
            Ok(work)
        })
    }
    fn take_number(&self, counter: Counter) -> Pending<'_, u64> {
        self.crowded(self.inner.take_number(counter))
    }
    fn pin(&self, delivery: DeliveryId, outbound: Outbound) -> Pending<'_, ()> {
        self.crowded(self.inner.pin(delivery, outbound))
    }
    fn advance(&self, outcome: Outcome) -> Pending<'_, ()> {
        let noted = outcome.clone();
        let command = self.inner.advance(outcome);
        self.crowded(Box::pin(async move {
            command.await?;
            self.ledger.lock().unwrap().note_outcome(&noted);
            self.changed();
            Ok(())
        }))
    }
    fn retry(&self, exception: u64, remap: bool, by: String, now: Time) -> Pending<'_, Resolution> {
        self.inner.retry(exception, remap, by, now)
    }
    fn edit(&self, exception: u64, edit: Edit, by: String, now: Time) -> Pending<'_, Resolution> {
        self.inner.edit(exception, edit, by, now)
    }
    fn assign(&self, exception: u64, owner: Option<String>) -> Pending<'_, ()> {
        self.inner.assign(exception, owner)
    }
    fn discard(&self, exception: u64, reason: String, by: String, now: Time) -> Pending<'_, Resolution> {
        self.inner.discard(exception, reason, by, now)
    }
    fn message(&self, id: MessageId) -> Pending<'_, Option<MessageRecord>> {
        self.inner.message(id)
    }
    fn messages(&self, filter: MessageFilter) -> Pending<'_, Vec<MessageSummary>> {
        self.inner.messages(filter)
    }
    fn event(&self, id: EventId) -> Pending<'_, Option<EventRecord>> {
        self.inner.event(id)
    }
    fn events(&self, filter: EventFilter) -> Pending<'_, Vec<EventRecord>> {
        self.inner.events(filter)
    }
    fn deliveries(&self, filter: DeliveryFilter) -> Pending<'_, Vec<DeliveryRecord>> {
        self.crowded(self.inner.deliveries(filter))
    }
    fn exceptions(&self, filter: ExceptionFilter) -> Pending<'_, Vec<ExceptionSummary>> {
        self.inner.exceptions(filter)
    }
    fn exception_groups(
        &self,
        filter: ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Pending<'_, Vec<ExceptionGroup>> {
        self.inner.exception_groups(filter, by, now)
    }
    fn exception(&self, id: u64) -> Pending<'_, Option<ExceptionRecord>> {
        self.inner.exception(id)
    }
    fn status(&self) -> Pending<'_, Status> {
        self.inner.status()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        let (listener, changes) = watch::channel(0);
        self.listeners.lock().unwrap().push(listener);
        changes
    }
}
