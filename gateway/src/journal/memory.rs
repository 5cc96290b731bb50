//! The in-memory twin of the embedded store: for tests of other rooms, for trials, and as the oracle of the suite.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

mod look;

use super::{
    Accepted, Appended, Attempt, Cause, Counter, DeliveryFilter, DeliveryId, DeliveryRecord, DeliveryState,
    Destination, Edit, Error, EventFilter, EventRecord, ExceptionFilter, ExceptionGroup, ExceptionRecord,
    ExceptionSummary, GroupBy, Journal, MessageFilter, MessageRecord, MessageState, MessageSummary, Next,
    Outbound, Outcome, PastOutbound, Pending, Refused, Remembered, Resolution, Status, Stuck, Successor,
    WAITING_COUNTED, Work,
};
use crate::words::{
    Clock, Disposition, Document, EstateName, Event, EventId, EventOutcome, Identity, Key, MessageId,
    PartnerName, Receipt, SubscriptionName, TargetName, Time,
};

/// A store that forgets everything when it is dropped.
pub struct Store {
    estate: EstateName,
    clock: Option<Arc<dyn Clock>>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl Store {
    /// An empty store. Its time is the latest that any command told it.
    pub fn new(estate: EstateName) -> Self {
        Self { estate, clock: None, state: Mutex::new(State::new()), changes: watch::Sender::new(0) }
    }

    /// An empty store that takes the time from `clock`.
    pub fn with_clock(estate: EstateName, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..Self::new(estate) }
    }

    /// The estate that it serves.
    pub fn estate(&self) -> &EstateName {
        &self.estate
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every command checks before it changes, so a panic elsewhere leaves whole state behind.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = &self.clock {
            state.now = clock.now();
        }
        state
    }

    fn told(&self, now: Time) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if self.clock.is_none() {
            state.now = state.now.max(now);
        }
        state
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

struct State {
    now: Time,
    messages: BTreeMap<MessageId, Message>,
    accepted: u64,
    events: Vec<EventRecord>,
    by_id: HashMap<EventId, usize>,
    holders: HashMap<(PartnerName, Identity), usize>,
    deliveries: Vec<Delivery>,
    lanes: HashMap<Lane, BTreeSet<usize>>,
    exceptions: Vec<Exception>,
    /// Events that a later message told again.
    repeats: BTreeSet<(usize, MessageId)>,
    idempotency: HashMap<(PartnerName, String), (Remembered, Time)>,
    counters: HashMap<Counter, u64>,
}

type Lane = (TargetName, PartnerName, Key);

struct Message {
    summary: MessageSummary,
    receipt: Option<Receipt>,
    problem: Option<String>,
    document: Option<Document>,
    parent: Option<MessageId>,
}

struct Delivery {
    partner: PartnerName,
    event: usize,
    subscription: SubscriptionName,
    target: TargetName,
    state: DeliveryState,
    /// Lanes in which an earlier pending delivery stands.
    waits: usize,
    /// The lanes that it stands in; none once they were released.
    lanes: Vec<Lane>,
    due: Time,
    attempts: u32,
    first_attempt_at: Option<Time>,
    enqueued_at: Time,
    ended_at: Option<Time>,
    outbound: Option<Outbound>,
    /// Documents that a person replaced.
    past: Vec<PastOutbound>,
    /// What its lane does now that it is parked.
    stuck: Stuck,
    history: Vec<Attempt>,
}

impl Delivery {
    fn revision(&self) -> u32 {
        self.past.last().map_or(1, |past| past.revision + 1)
    }
}

struct Exception {
    event: usize,
    delivery: Option<usize>,
    contradicts: Option<EventId>,
    cause: Cause,
    since: Time,
    owner: Option<String>,
    resolution: Option<Resolution>,
}

/// Before everything.
fn dawn() -> Time {
    Time::from_millis(0)
}

impl State {
    fn new() -> Self {
        Self {
            now: dawn(),
            messages: BTreeMap::new(),
            accepted: 0,
            events: Vec::new(),
            by_id: HashMap::new(),
            holders: HashMap::new(),
            deliveries: Vec::new(),
            lanes: HashMap::new(),
            exceptions: Vec::new(),
            repeats: BTreeSet::new(),
            idempotency: HashMap::new(),
            counters: HashMap::new(),
        }
    }

    fn append(&mut self, accepted: Accepted) -> Result<Appended, Error> {
        let memory = accepted.idempotency.as_ref().map(|given| (accepted.partner.clone(), given.key.clone()));
        if let Some((remembered, expires_at)) = memory.as_ref().and_then(|key| self.idempotency.get(key))
            && *expires_at > accepted.received_at
        {
            return Ok(Appended::Remembered(remembered.clone()));
        }
        if self.messages.contains_key(&accepted.message_id) {
            return Err(Error::Unreadable(format!("message {} is stored already", accepted.message_id)));
        }
        let outcomes: Vec<_> =
            accepted.events.iter().map(|(event, to)| self.take(&accepted, event, to)).collect();
        let receipt = super::receipt(&accepted, outcomes);
        let summary = MessageSummary {
            id: accepted.message_id,
            partner: accepted.partner.clone(),
            operation: receipt.operation.clone(),
            state: MessageState::Accepted,
            received_at: accepted.received_at,
            length: accepted.document.content.len() as u64,
            events: u32::try_from(receipt.events.len()).unwrap_or(u32::MAX),
        };
        self.accepted += 1;
        self.messages.insert(
            accepted.message_id,
            Message {
                summary,
                receipt: Some(receipt.clone()),
                problem: None,
                document: Some(accepted.document),
                parent: accepted.parent,
            },
        );
        if let (Some(key), Some(given)) = (memory, accepted.idempotency) {
            let remembered = Remembered { fingerprint: given.fingerprint, receipt: receipt.clone() };
            self.idempotency.insert(key, (remembered, given.expires_at));
        }
        Ok(Appended::Stored(receipt))
    }

    fn take(&mut self, accepted: &Accepted, event: &Event, destinations: &[Destination]) -> EventOutcome {
        let fact = (accepted.partner.clone(), event.identity);
        let held_by = self.holders.get(&fact).copied();
        let holder = held_by.map(|index| &self.events[index]);
        let disposition = match holder {
            Some(first) if first.event.data_digest == event.data_digest => {
                // A fact told twice in one document is no news to anybody.
                if first.message_id != accepted.message_id {
                    self.repeats.extend(held_by.map(|index| (index, accepted.message_id)));
                }
                let first = &self.events[held_by.unwrap_or_default()];
                Disposition::Repeats { event: first.event.id, message: first.message_id }
            }
            Some(first) if event.corrects.is_none() => {
                let contradicts = first.event.id;
                let index = self.store(accepted, event, true);
                let cause = super::contradiction(contradicts);
                let exception = self.raise(index, None, Some(contradicts), cause, accepted.received_at);
                Disposition::Held { exception, contradicts }
            }
            _ => {
                let index = self.store(accepted, event, false);
                self.holders.insert(fact, index);
                if event.corrects.is_some() {
                    self.settle_corrected(accepted, event, destinations);
                }
                destinations.iter().for_each(|to| self.enqueue(accepted, index, to));
                Disposition::Stored { deliveries: u32::try_from(destinations.len()).unwrap_or(u32::MAX) }
            }
        };
        EventOutcome { id: event.id, kind: event.kind.clone(), keys: event.order_keys.clone(), disposition }
    }

    fn store(&mut self, accepted: &Accepted, event: &Event, held: bool) -> usize {
        let index = self.events.len();
        self.by_id.insert(event.id, index);
        self.events.push(EventRecord {
            sequence: index as u64 + 1,
            partner: accepted.partner.clone(),
            message_id: accepted.message_id,
            event: event.clone(),
            held,
            revises: None,
        });
        index
    }

    /// Exceptions about a fact need nobody any more once it was corrected and the correction goes the same way.
    fn settle_corrected(&mut self, accepted: &Accepted, event: &Event, destinations: &[Destination]) {
        for index in 0..self.exceptions.len() {
            let exception = &self.exceptions[index];
            let about = &self.events[exception.event];
            let same = about.partner == accepted.partner && about.event.identity == event.identity;
            let follows = exception.delivery.is_none_or(|delivery| {
                let delivery = &self.deliveries[delivery];
                destinations.iter().any(|to| to.subscription == delivery.subscription)
            });
            if exception.resolution.is_none() && same && follows {
                let by = Successor { event: event.id, message: accepted.message_id, corrects: true };
                self.supersede(index, by, accepted.received_at);
            }
        }
    }

    /// Ends an exception because `by` says what it would have said, or better.
    fn supersede(&mut self, index: usize, by: Successor, now: Time) {
        let delivery = self.exceptions[index].delivery;
        let waiting = delivery.map_or(0, |delivery| self.behind(delivery));
        let number = index as u64 + 1;
        self.exceptions[index].resolution = Some(super::superseded(number, by, now, waiting));
        if let Some(delivery) = delivery {
            self.deliveries[delivery].state = DeliveryState::Discarded;
            self.deliveries[delivery].ended_at = Some(now);
            self.release(delivery, now);
        }
    }

    /// Where a later state of the same thing stands behind a parked one whose lane says so, the later one wins.
    fn settle_outdated(&mut self, parked: usize, now: Time) {
        let delivery = &self.deliveries[parked];
        if delivery.state != DeliveryState::Parked || delivery.stuck != Stuck::LatestWins {
            return;
        }
        let about = &self.events[delivery.event].event;
        let later = delivery.lanes.iter().filter_map(|lane| self.lanes.get(lane));
        let later = later.flat_map(|pending| pending.range(parked + 1..)).copied();
        let newest = later
            .filter(|later| {
                let later = &self.deliveries[*later];
                let told = &self.events[later.event].event;
                later.subscription == delivery.subscription
                    && told.kind == about.kind
                    && told.order_keys == about.order_keys
            })
            .max();
        let open = self
            .exceptions
            .iter()
            .position(|exception| exception.delivery == Some(parked) && exception.resolution.is_none());
        if let (Some(newest), Some(open)) = (newest, open) {
            let told = &self.events[self.deliveries[newest].event];
            let corrects = told.event.corrects.is_some();
            let by = Successor { event: told.event.id, message: told.message_id, corrects };
            self.supersede(open, by, now);
        }
    }

    fn enqueue(&mut self, accepted: &Accepted, event: usize, to: &Destination) {
        let index = self.deliveries.len();
        let keys: BTreeSet<&Key> = self.events[event].event.order_keys.iter().collect();
        let lanes: Vec<Lane> =
            keys.into_iter().map(|key| (to.target.clone(), accepted.partner.clone(), key.clone())).collect();
        let mut waits = 0;
        for lane in &lanes {
            let pending = self.lanes.entry(lane.clone()).or_default();
            waits += usize::from(!pending.is_empty());
            pending.insert(index);
        }
        self.deliveries.push(Delivery {
            partner: accepted.partner.clone(),
            event,
            subscription: to.subscription.clone(),
            target: to.target.clone(),
            state: if waits == 0 { DeliveryState::Ready } else { DeliveryState::Waiting },
            waits,
            lanes,
            due: accepted.received_at,
            attempts: 0,
            first_attempt_at: None,
            enqueued_at: accepted.received_at,
            ended_at: None,
            outbound: None,
            past: Vec::new(),
            stuck: Stuck::Hold,
            history: Vec::new(),
        });
        let heads: BTreeSet<usize> = self.deliveries[index]
            .lanes
            .iter()
            .filter_map(|lane| self.lanes.get(lane)?.first().copied())
            .collect();
        heads.into_iter().for_each(|head| self.settle_outdated(head, accepted.received_at));
    }

    fn raise(
        &mut self,
        event: usize,
        delivery: Option<usize>,
        contradicts: Option<EventId>,
        cause: Cause,
        since: Time,
    ) -> u64 {
        let (owner, resolution) = (None, None);
        self.exceptions.push(Exception { event, delivery, contradicts, cause, since, owner, resolution });
        self.exceptions.len() as u64
    }

    /// Takes a delivery out of its lanes; the next of each moves up.
    fn release(&mut self, index: usize, now: Time) {
        for lane in std::mem::take(&mut self.deliveries[index].lanes) {
            let Some(pending) = self.lanes.get_mut(&lane) else { continue };
            pending.remove(&index);
            match pending.first() {
                None => {
                    self.lanes.remove(&lane);
                }
                Some(next) => {
                    let next = &mut self.deliveries[*next];
                    next.waits -= 1;
                    if next.waits == 0 {
                        next.state = DeliveryState::Ready;
                        next.due = now;
                    }
                }
            }
        }
    }

    fn behind(&self, index: usize) -> u64 {
        let later: BTreeSet<usize> = self.deliveries[index]
            .lanes
            .iter()
            .filter_map(|lane| self.lanes.get(lane))
            .flat_map(|pending| pending.range(index + 1..).copied())
            .collect();
        (later.len() as u64).min(WAITING_COUNTED)
    }

    fn delivery(&mut self, id: DeliveryId) -> Option<(usize, &mut Delivery)> {
        let index = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.deliveries.get_mut(index).map(|delivery| (index, delivery))
    }

    fn ready_delivery(&mut self, id: DeliveryId) -> Result<(usize, &mut Delivery), Error> {
        self.delivery(id)
            .filter(|(_, delivery)| delivery.state == DeliveryState::Ready)
            .ok_or_else(|| super::no_ready_delivery(id))
    }

    fn pin(&mut self, id: DeliveryId, outbound: Outbound) -> Result<(), Error> {
        let (_, delivery) = self.ready_delivery(id)?;
        match &delivery.outbound {
            Some(pinned) if *pinned != outbound => Err(super::pinned_already(id)),
            _ => {
                delivery.outbound = Some(outbound);
                Ok(())
            }
        }
    }

    fn advance(&mut self, outcome: Outcome) -> Result<(), Error> {
        let now = self.now;
        let (index, delivery) = self.ready_delivery(outcome.delivery)?;
        if let Some(attempt) = outcome.attempt {
            delivery.attempts += 1;
            delivery.first_attempt_at.get_or_insert(attempt.started_at);
            delivery.history.push(attempt);
        }
        match outcome.next {
            Next::Delivered => {
                delivery.state = DeliveryState::Delivered;
                delivery.ended_at = Some(now);
                self.release(index, now);
            }
            Next::Retry { due } => delivery.due = due,
            Next::Park { cause, stuck } => {
                delivery.state = DeliveryState::Parked;
                delivery.stuck = stuck;
                let event = delivery.event;
                self.raise(event, Some(index), None, cause, now);
                if stuck == Stuck::Skip {
                    self.release(index, now);
                }
                self.settle_outdated(index, now);
            }
        }
        Ok(())
    }

    fn open(&mut self, exception: u64) -> Result<&mut Exception, Error> {
        usize::try_from(exception)
            .ok()
            .and_then(|number| self.exceptions.get_mut(number.checked_sub(1)?))
            .filter(|open| open.resolution.is_none())
            .ok_or_else(|| super::no_open_exception(exception))
    }

    fn resolve(&mut self, exception: u64, action: &str, by: &str, at: Time) -> Result<Resolution, Error> {
        let waiting = self.open(exception)?.delivery.map_or(0, |index| self.behind(index));
        let resolution = super::resolution(exception, action, by, at, waiting);
        self.open(exception)?.resolution = Some(resolution.clone());
        Ok(resolution)
    }

    fn retry(&mut self, exception: u64, remap: bool, by: &str, now: Time) -> Result<Resolution, Error> {
        let index = self.open(exception)?.delivery.ok_or_else(|| super::only_discardable(exception))?;
        let resolution = self.resolve(exception, "retried", by, now)?;
        if remap {
            self.replace(index, None, by, now);
        }
        self.again(index, now);
        Ok(resolution)
    }

    /// A parked delivery goes again, with a fresh budget.
    fn again(&mut self, index: usize, now: Time) {
        let delivery = &mut self.deliveries[index];
        delivery.state = DeliveryState::Ready;
        delivery.due = now;
        delivery.first_attempt_at = None;
    }

    /// Keeps what a delivery would have sent, and puts something else in its place.
    fn replace(&mut self, index: usize, with: Option<Outbound>, by: &str, at: Time) {
        let delivery = &mut self.deliveries[index];
        let revision = delivery.revision();
        if let Some(outbound) = std::mem::replace(&mut delivery.outbound, with) {
            delivery.past.push(PastOutbound { revision, outbound, by: by.to_owned(), at });
        }
    }

    fn edit(&mut self, exception: u64, edit: Edit, by: &str, now: Time) -> Result<Resolution, Error> {
        let open = self.open(exception)?;
        let about = open.event;
        let index = open.delivery.ok_or_else(|| super::only_discardable(exception))?;
        match edit {
            Edit::Outbound(outbound) => self.replace(index, Some(outbound), by, now),
            Edit::Event(event) => {
                let parent = self.events[about].clone();
                if parent.event.identity != event.identity {
                    return Err(super::not_of_its_fact(exception));
                }
                let number = self.events.len();
                self.by_id.insert(event.id, number);
                self.events.push(EventRecord {
                    sequence: number as u64 + 1,
                    revises: Some(parent.event.id),
                    held: false,
                    event: *event,
                    ..parent
                });
                self.deliveries[index].event = number;
                self.replace(index, None, by, now);
            }
        }
        let resolution = self.resolve(exception, "edited", by, now)?;
        self.again(index, now);
        Ok(resolution)
    }

    fn discard(&mut self, exception: u64, reason: String, by: &str, now: Time) -> Result<Resolution, Error> {
        let delivery = self.open(exception)?.delivery;
        let mut resolution = self.resolve(exception, "discarded", by, now)?;
        resolution.reason = Some(reason);
        if let Some(ended) = usize::try_from(exception).ok().and_then(|id| self.exceptions.get_mut(id - 1)) {
            ended.resolution = Some(resolution.clone());
        }
        if let Some(index) = delivery {
            self.deliveries[index].state = DeliveryState::Discarded;
            self.deliveries[index].ended_at = Some(now);
            self.release(index, now);
        }
        Ok(resolution)
    }
}

impl Journal for Store {
    fn append(&self, accepted: Accepted) -> Pending<'_, Appended> {
        Box::pin(async move {
            let answer = self.told(accepted.received_at).append(accepted)?;
            self.changed();
            Ok(answer)
        })
    }

    fn note_refusal(&self, refused: Refused) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut state = self.told(refused.received_at);
            let summary = MessageSummary {
                id: refused.message_id,
                partner: refused.partner,
                operation: refused.operation,
                state: MessageState::Refused,
                received_at: refused.received_at,
                length: refused.length,
                events: 0,
            };
            let problem = Some(refused.problem);
            let message = Message { summary, receipt: None, problem, document: None, parent: None };
            state.messages.entry(refused.message_id).or_insert(message);
            Ok(())
        })
    }

    fn remembered(&self, partner: PartnerName, key: String, now: Time) -> Pending<'_, Option<Remembered>> {
        Box::pin(async move {
            let state = self.told(now);
            let found = state.idempotency.get(&(partner, key));
            Ok(found.filter(|(_, expires_at)| *expires_at > now).map(|(remembered, _)| remembered.clone()))
        })
    }

    fn ready(&self, target: TargetName, now: Time, limit: usize) -> Pending<'_, Vec<DeliveryId>> {
        Box::pin(async move {
            let state = self.told(now);
            let mut due: Vec<_> = (1..)
                .zip(&state.deliveries)
                .filter(|(_, delivery)| delivery.state == DeliveryState::Ready && delivery.target == target)
                .filter(|(_, delivery)| delivery.due <= now)
                .map(|(id, delivery)| (delivery.due, DeliveryId(id)))
                .collect();
            due.sort_unstable();
            Ok(due.into_iter().take(limit).map(|(_, id)| id).collect())
        })
    }

    fn next_due(&self, target: TargetName) -> Pending<'_, Option<Time>> {
        Box::pin(async move {
            let state = self.lock();
            let ready = state.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Ready);
            Ok(ready.filter(|delivery| delivery.target == target).map(|delivery| delivery.due).min())
        })
    }

    fn work(&self, deliveries: Vec<DeliveryId>) -> Pending<'_, Vec<Work>> {
        Box::pin(async move {
            let state = self.lock();
            let index = |id: &DeliveryId| usize::try_from(id.0).ok()?.checked_sub(1);
            Ok(deliveries.iter().filter_map(|id| state.work(index(id)?)).collect())
        })
    }

    fn take_number(&self, counter: Counter) -> Pending<'_, u64> {
        Box::pin(async move {
            let mut state = self.lock();
            let number = state.counters.entry(counter).or_default();
            *number += 1;
            Ok(*number)
        })
    }

    fn pin(&self, delivery: DeliveryId, outbound: Outbound) -> Pending<'_, ()> {
        Box::pin(async move { self.lock().pin(delivery, outbound) })
    }

    fn advance(&self, outcome: Outcome) -> Pending<'_, ()> {
        Box::pin(async move {
            let ended = outcome.attempt.as_ref().map(|attempt| attempt.started_at.after(attempt.took));
            self.told(ended.unwrap_or_else(dawn)).advance(outcome)?;
            self.changed();
            Ok(())
        })
    }

    fn retry(&self, exception: u64, remap: bool, by: String, now: Time) -> Pending<'_, Resolution> {
        Box::pin(async move {
            let resolution = self.told(now).retry(exception, remap, &by, now)?;
            self.changed();
            Ok(resolution)
        })
    }

    fn edit(&self, exception: u64, edit: Edit, by: String, now: Time) -> Pending<'_, Resolution> {
        Box::pin(async move {
            let resolution = self.told(now).edit(exception, edit, &by, now)?;
            self.changed();
            Ok(resolution)
        })
    }

    fn assign(&self, exception: u64, owner: Option<String>) -> Pending<'_, ()> {
        Box::pin(async move {
            self.lock().open(exception)?.owner = owner;
            Ok(())
        })
    }

    fn discard(&self, exception: u64, reason: String, by: String, now: Time) -> Pending<'_, Resolution> {
        Box::pin(async move {
            let resolution = self.told(now).discard(exception, reason, &by, now)?;
            self.changed();
            Ok(resolution)
        })
    }

    fn message(&self, id: MessageId) -> Pending<'_, Option<MessageRecord>> {
        Box::pin(async move { Ok(self.lock().message(id)) })
    }

    fn messages(&self, filter: MessageFilter) -> Pending<'_, Vec<MessageSummary>> {
        Box::pin(async move { Ok(self.lock().messages(&filter)) })
    }

    fn event(&self, id: EventId) -> Pending<'_, Option<EventRecord>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.by_id.get(&id).map(|index| state.events[*index].clone()))
        })
    }

    fn events(&self, filter: EventFilter) -> Pending<'_, Vec<EventRecord>> {
        Box::pin(async move { Ok(self.lock().events(&filter)) })
    }

    fn deliveries(&self, filter: DeliveryFilter) -> Pending<'_, Vec<DeliveryRecord>> {
        Box::pin(async move { Ok(self.lock().deliveries(&filter)) })
    }

    fn exceptions(&self, filter: ExceptionFilter) -> Pending<'_, Vec<ExceptionSummary>> {
        Box::pin(async move { Ok(self.lock().exceptions(&filter)) })
    }

    fn exception_groups(
        &self,
        filter: ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Pending<'_, Vec<ExceptionGroup>> {
        Box::pin(async move { Ok(self.lock().exception_groups(&filter, by, now)) })
    }

    fn exception(&self, id: u64) -> Pending<'_, Option<ExceptionRecord>> {
        Box::pin(async move { Ok(self.lock().exception(id)) })
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async move { Ok(self.lock().status()) })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
