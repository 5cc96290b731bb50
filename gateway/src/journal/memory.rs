//! The in-memory twin of the embedded store: for tests of other rooms, for trials, and as the oracle of the suite.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    Accepted, Appended, Attempt, Cause, Counter, DeliveryFilter, DeliveryId, DeliveryRecord, DeliveryState,
    Destination, Error, EventFilter, EventRecord, ExceptionFilter, ExceptionRecord, ExceptionSummary,
    Journal, MessageFilter, MessageRecord, MessageState, MessageSummary, Next, Outbound, Outcome, Pending,
    PendingCount, Refused, Remembered, Resolution, Status, Stuck, WAITING_COUNTED, Work, page,
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
    idempotency: HashMap<(PartnerName, String), (Remembered, Time)>,
    counters: HashMap<Counter, u64>,
}

type Lane = (TargetName, PartnerName, Key);

struct Message {
    summary: MessageSummary,
    receipt: Option<Receipt>,
    problem: Option<String>,
    document: Option<Document>,
}

struct Delivery {
    partner: PartnerName,
    message: MessageId,
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
    history: Vec<Attempt>,
}

struct Exception {
    event: usize,
    delivery: Option<usize>,
    contradicts: Option<EventId>,
    cause: Cause,
    since: Time,
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
        let holder = self.holders.get(&fact).map(|index| &self.events[*index]);
        let disposition = match holder {
            Some(first) if first.event.data_digest == event.data_digest => {
                Disposition::Repeats { event: first.event.id, message: first.message_id }
            }
            Some(first) if event.corrects.is_none() => {
                let contradicts = first.event.id;
                let index = self.store(accepted, event);
                let cause = super::contradiction(contradicts);
                let exception = self.raise(index, None, Some(contradicts), cause, accepted.received_at);
                Disposition::Held { exception, contradicts }
            }
            _ => {
                let index = self.store(accepted, event);
                self.holders.insert(fact, index);
                destinations.iter().for_each(|to| self.enqueue(accepted, index, to));
                Disposition::Stored { deliveries: u32::try_from(destinations.len()).unwrap_or(u32::MAX) }
            }
        };
        EventOutcome { id: event.id, kind: event.kind.clone(), keys: event.order_keys.clone(), disposition }
    }

    fn store(&mut self, accepted: &Accepted, event: &Event) -> usize {
        let index = self.events.len();
        self.by_id.insert(event.id, index);
        self.events.push(EventRecord {
            sequence: index as u64 + 1,
            partner: accepted.partner.clone(),
            message_id: accepted.message_id,
            event: event.clone(),
        });
        index
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
            message: accepted.message_id,
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
            history: Vec::new(),
        });
    }

    fn raise(
        &mut self,
        event: usize,
        delivery: Option<usize>,
        contradicts: Option<EventId>,
        cause: Cause,
        since: Time,
    ) -> u64 {
        self.exceptions.push(Exception { event, delivery, contradicts, cause, since, resolution: None });
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
                let event = delivery.event;
                self.raise(event, Some(index), None, cause, now);
                if stuck == Stuck::Skip {
                    self.release(index, now);
                }
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

    fn resolve(&mut self, exception: u64, action: &str, by: String, at: Time) -> Result<Resolution, Error> {
        let waiting = self.open(exception)?.delivery.map_or(0, |index| self.behind(index));
        let resolution = Resolution { exception, action: action.to_owned(), by, at, waiting };
        self.open(exception)?.resolution = Some(resolution.clone());
        Ok(resolution)
    }

    fn retry(&mut self, exception: u64, remap: bool, by: String, now: Time) -> Result<Resolution, Error> {
        let index = self.open(exception)?.delivery.ok_or_else(|| super::only_discardable(exception))?;
        let resolution = self.resolve(exception, "retried", by, now)?;
        let delivery = &mut self.deliveries[index];
        delivery.state = DeliveryState::Ready;
        delivery.due = now;
        delivery.first_attempt_at = None;
        if remap {
            delivery.outbound = None;
        }
        Ok(resolution)
    }

    fn discard(&mut self, exception: u64, by: String, now: Time) -> Result<Resolution, Error> {
        let delivery = self.open(exception)?.delivery;
        let resolution = self.resolve(exception, "discarded", by, now)?;
        if let Some(index) = delivery {
            self.deliveries[index].state = DeliveryState::Discarded;
            self.deliveries[index].ended_at = Some(now);
            self.release(index, now);
        }
        Ok(resolution)
    }

    fn work(&self, index: usize) -> Option<Work> {
        let delivery = self.deliveries.get(index)?;
        (delivery.state == DeliveryState::Ready).then(|| Work {
            id: DeliveryId(index as u64 + 1),
            subscription: delivery.subscription.clone(),
            target: delivery.target.clone(),
            partner: delivery.partner.clone(),
            message_id: delivery.message,
            event: self.events[delivery.event].event.clone(),
            outbound: delivery.outbound.clone(),
            attempts: delivery.attempts,
            first_attempt_at: delivery.first_attempt_at,
        })
    }

    fn delivery_record(&self, index: usize) -> DeliveryRecord {
        let delivery = &self.deliveries[index];
        let event = &self.events[delivery.event].event;
        DeliveryRecord {
            id: DeliveryId(index as u64 + 1),
            partner: delivery.partner.clone(),
            event: event.id,
            kind: event.kind.clone(),
            keys: event.order_keys.clone(),
            subscription: delivery.subscription.clone(),
            target: delivery.target.clone(),
            state: delivery.state,
            attempts: delivery.attempts,
            due: (delivery.state == DeliveryState::Ready).then_some(delivery.due),
            enqueued_at: delivery.enqueued_at,
            ended_at: delivery.ended_at,
            last_status: delivery.history.last().and_then(|attempt| attempt.status),
        }
    }

    fn message(&self, id: MessageId) -> Option<MessageRecord> {
        let message = self.messages.get(&id)?;
        let deliveries = (0..self.deliveries.len()).filter(|index| self.deliveries[*index].message == id);
        Some(MessageRecord {
            summary: message.summary.clone(),
            receipt: message.receipt.clone(),
            problem: message.problem.clone(),
            document: message.document.clone(),
            deliveries: deliveries.map(|index| self.delivery_record(index)).collect(),
        })
    }

    fn messages(&self, filter: &MessageFilter) -> Vec<MessageSummary> {
        self.messages
            .values()
            .rev()
            .map(|message| &message.summary)
            .filter(|summary| filter.partner.as_ref().is_none_or(|partner| summary.partner == *partner))
            .filter(|summary| filter.state.is_none_or(|state| summary.state == state))
            .filter(|summary| filter.since.is_none_or(|since| summary.received_at >= since))
            .filter(|summary| filter.before.is_none_or(|before| summary.id < before))
            .take(page(filter.limit))
            .cloned()
            .collect()
    }

    fn events(&self, filter: &EventFilter) -> Vec<EventRecord> {
        let family =
            filter.kind.as_deref().and_then(|kind| kind.strip_suffix('*')).filter(|k| k.ends_with('.'));
        let fits = |record: &&EventRecord| {
            let event = &record.event;
            filter.partner.as_ref().is_none_or(|partner| record.partner == *partner)
                && filter.kind.as_deref().is_none_or(|kind| match family {
                    Some(family) => event.kind.starts_with(family),
                    None => event.kind == kind,
                })
                && filter.key.as_ref().is_none_or(|key| event.order_keys.contains(key))
                && filter.after.is_none_or(|after| record.sequence > after)
        };
        let limit = page(filter.limit);
        if filter.newest {
            self.events.iter().rev().filter(fits).take(limit).cloned().collect()
        } else {
            self.events.iter().filter(fits).take(limit).cloned().collect()
        }
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Vec<DeliveryRecord> {
        (0..self.deliveries.len())
            .rev()
            .map(|index| self.delivery_record(index))
            .filter(|record| filter.partner.as_ref().is_none_or(|partner| record.partner == *partner))
            .filter(|record| filter.target.as_ref().is_none_or(|target| record.target == *target))
            .filter(|record| filter.event.is_none_or(|event| record.event == event))
            .filter(|record| filter.state.is_none_or(|state| record.state == state))
            .filter(|record| filter.before.is_none_or(|before| record.id < before))
            .take(page(filter.limit))
            .collect()
    }

    fn exception_summary(&self, index: usize) -> ExceptionSummary {
        let exception = &self.exceptions[index];
        let record = &self.events[exception.event];
        let waiting = match (&exception.resolution, exception.delivery) {
            (None, Some(delivery)) => self.behind(delivery),
            _ => 0,
        };
        ExceptionSummary {
            id: index as u64 + 1,
            partner: record.partner.clone(),
            target: exception.delivery.map(|delivery| self.deliveries[delivery].target.clone()),
            delivery: exception.delivery.map(|delivery| DeliveryId(delivery as u64 + 1)),
            event: record.event.id,
            kind: record.event.kind.clone(),
            keys: record.event.order_keys.clone(),
            cause: exception.cause.clone(),
            since: exception.since,
            waiting,
            resolution: exception.resolution.clone(),
        }
    }

    fn exceptions(&self, filter: &ExceptionFilter) -> Vec<ExceptionSummary> {
        (0..self.exceptions.len())
            .rev()
            .map(|index| self.exception_summary(index))
            .filter(|summary| filter.partner.as_ref().is_none_or(|partner| summary.partner == *partner))
            .filter(|summary| {
                filter.target.as_ref().is_none_or(|target| summary.target.as_ref() == Some(target))
            })
            .filter(|summary| filter.all || summary.resolution.is_none())
            .filter(|summary| filter.before.is_none_or(|before| summary.id < before))
            .take(page(filter.limit))
            .collect()
    }

    fn exception(&self, id: u64) -> Option<ExceptionRecord> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        let exception = self.exceptions.get(index)?;
        let record = &self.events[exception.event];
        let delivery = exception.delivery.map(|delivery| &self.deliveries[delivery]);
        let history = delivery.map_or(&[][..], |delivery| &delivery.history);
        Some(ExceptionRecord {
            summary: self.exception_summary(index),
            message_id: record.message_id,
            document: self.messages.get(&record.message_id)?.document.clone()?,
            event: record.event.clone(),
            contradicts: exception.contradicts,
            outbound: delivery.and_then(|delivery| delivery.outbound.clone()),
            attempts: history[history.len().saturating_sub(super::ATTEMPTS_SHOWN)..].to_vec(),
        })
    }

    fn status(&self) -> Status {
        let mut pending: BTreeMap<(TargetName, u8), PendingCount> = BTreeMap::new();
        for delivery in self.deliveries.iter().filter(|delivery| delivery.state.is_pending()) {
            let slot = (delivery.target.clone(), delivery.state.number());
            let count = pending.entry(slot).or_insert_with(|| PendingCount {
                target: delivery.target.clone(),
                state: delivery.state,
                count: 0,
                oldest: Some(delivery.enqueued_at),
            });
            count.count += 1;
        }
        Status {
            messages: self.accepted,
            events: self.events.len() as u64,
            pending: pending.into_values().collect(),
            exceptions: self.exceptions.iter().filter(|exception| exception.resolution.is_none()).count()
                as u64,
            queued: 0,
        }
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
            let message = Message { summary, receipt: None, problem, document: None };
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
            let resolution = self.told(now).retry(exception, remap, by, now)?;
            self.changed();
            Ok(resolution)
        })
    }

    fn discard(&self, exception: u64, _reason: String, by: String, now: Time) -> Pending<'_, Resolution> {
        Box::pin(async move {
            let resolution = self.told(now).discard(exception, by, now)?;
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
