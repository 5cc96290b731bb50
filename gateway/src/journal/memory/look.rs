//! Questions to the store in memory.

use std::collections::BTreeMap;

use super::State;
use crate::{
    journal::{
        ATTEMPTS_SHOWN, Attempt, DeliveryFilter, DeliveryId, DeliveryRecord, DeliveryState, EventFilter,
        EventRecord, ExceptionFilter, ExceptionGroup, ExceptionRecord, ExceptionSummary, GroupBy,
        MessageFilter, MessageRecord, MessageSummary, PendingCount, Repeat, Status, Work, fingerprint, page,
        records::{Grouped, Groups},
    },
    words::{MessageId, TargetName, Time},
};

impl State {
    pub(super) fn work(&self, index: usize) -> Option<Work> {
        let delivery = self.deliveries.get(index)?;
        (delivery.state == DeliveryState::Ready).then(|| Work {
            id: DeliveryId(index as u64 + 1),
            subscription: delivery.subscription.clone(),
            target: delivery.target.clone(),
            partner: delivery.partner.clone(),
            message_id: self.events[delivery.event].message_id,
            event: self.events[delivery.event].event.clone(),
            outbound: delivery.outbound.clone(),
            attempts: delivery.attempts,
            first_attempt_at: delivery.first_attempt_at,
            revision: delivery.revision(),
        })
    }

    pub(super) fn delivery_record(&self, index: usize) -> DeliveryRecord {
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
            last_error: (delivery.state != DeliveryState::Delivered)
                .then(|| delivery.history.last().and_then(Attempt::trouble))
                .flatten(),
            revision: delivery.revision(),
        }
    }

    pub(super) fn message(&self, id: MessageId) -> Option<MessageRecord> {
        let message = self.messages.get(&id)?;
        let of_it = |event: usize| self.events[event].message_id == id;
        let deliveries = (0..self.deliveries.len()).filter(|index| of_it(self.deliveries[*index].event));
        let exceptions = (0..self.exceptions.len()).filter(|index| of_it(self.exceptions[*index].event));
        let repeats = self.repeats.iter().filter(|(event, _)| of_it(*event));
        let children = self.messages.values().filter(|message| message.parent == Some(id));
        Some(MessageRecord {
            summary: message.summary.clone(),
            receipt: message.receipt.clone(),
            problem: message.problem.clone(),
            document: message.document.clone(),
            pruned: false,
            parent: message.parent,
            children: children.map(|message| message.summary.id).collect(),
            repeats: repeats
                .map(|(event, message)| Repeat { event: self.events[*event].event.id, message: *message })
                .collect(),
            deliveries: deliveries.map(|index| self.delivery_record(index)).collect(),
            exceptions: exceptions.map(|index| self.exception_summary(index)).collect(),
        })
    }

    pub(super) fn messages(&self, filter: &MessageFilter) -> Vec<MessageSummary> {
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

    pub(super) fn events(&self, filter: &EventFilter) -> Vec<EventRecord> {
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
                && filter.message.is_none_or(|message| record.message_id == message)
                && filter.after.is_none_or(|after| record.sequence > after)
        };
        let limit = page(filter.limit);
        if filter.newest {
            self.events.iter().rev().filter(fits).take(limit).cloned().collect()
        } else {
            self.events.iter().filter(fits).take(limit).cloned().collect()
        }
    }

    pub(super) fn deliveries(&self, filter: &DeliveryFilter) -> Vec<DeliveryRecord> {
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

    pub(super) fn exception_summary(&self, index: usize) -> ExceptionSummary {
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
            fingerprint: self.fingerprint(index),
            owner: exception.owner.clone(),
            resolution: exception.resolution.clone(),
        }
    }

    fn fingerprint(&self, index: usize) -> String {
        let exception = &self.exceptions[index];
        let target = exception.delivery.map(|delivery| self.deliveries[delivery].target.as_str());
        fingerprint(&self.events[exception.event].event.kind, target, &exception.cause)
    }

    fn met(&self, filter: &ExceptionFilter) -> impl Iterator<Item = ExceptionSummary> {
        (0..self.exceptions.len())
            .rev()
            .map(|index| self.exception_summary(index))
            .filter(|summary| filter.partner.as_ref().is_none_or(|partner| summary.partner == *partner))
            .filter(|summary| {
                filter.target.as_ref().is_none_or(|target| summary.target.as_ref() == Some(target))
            })
            .filter(|summary| filter.cause.as_ref().is_none_or(|code| summary.cause.code == *code))
            .filter(|summary| filter.fingerprint.as_ref().is_none_or(|alike| summary.fingerprint == *alike))
            .filter(|summary| {
                let owner = summary.owner.as_deref().unwrap_or("nobody");
                filter.owner.as_ref().is_none_or(|wanted| owner == wanted)
            })
            .filter(|summary| filter.until.is_none_or(|until| summary.since <= until))
            .filter(|summary| filter.event.is_none_or(|event| summary.event == event))
            .filter(|summary| filter.all || summary.resolution.is_none())
            .filter(|summary| filter.before.is_none_or(|before| summary.id < before))
    }

    pub(super) fn exceptions(&self, filter: &ExceptionFilter) -> Vec<ExceptionSummary> {
        self.met(filter).take(page(filter.limit)).collect()
    }

    pub(super) fn exception_groups(
        &self,
        filter: &ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Vec<ExceptionGroup> {
        let mut groups = Groups::default();
        for met in self.met(filter) {
            let of = Grouped {
                id: met.id,
                partner: met.partner.as_str(),
                target: met.target.as_ref().map(TargetName::as_str),
                fingerprint: &met.fingerprint,
                owner: met.owner.as_deref(),
                cause: &met.cause,
                since: met.since,
            };
            groups.add(by, &of, now);
        }
        groups.largest(page(filter.limit))
    }

    pub(super) fn exception(&self, id: u64) -> Option<ExceptionRecord> {
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
            past: delivery.map(|delivery| delivery.past.clone()).unwrap_or_default(),
            attempts: history[history.len().saturating_sub(ATTEMPTS_SHOWN)..].to_vec(),
        })
    }

    pub(super) fn status(&self) -> Status {
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
