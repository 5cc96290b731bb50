//! Carries one delivery: map, pin, call, decide, record. Reads from top to bottom.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    MapFailure, Plan, Subscription,
    call::{Answer, CallError, Request, excerpt, short},
    decide::{Happened, State, decide},
    desk::Desk,
    runner::Parts,
    target::Target,
};
use crate::{
    journal::{self, Attempt, Next, Outbound, Outcome, Work},
    words::{Pairs, Time},
};

/// How long a delivery waits for its subscription to come back into the policy before it is looked at again.
const ORPHAN_WAIT: Duration = Duration::from_secs(60);

/// How much of an answer is kept in memory; an attempt keeps its excerpt only.
const ANSWER_BYTES: usize = 64 * 1024;

/// Waits between tries of a command that the journal had no room for.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What one delivery is carried with.
pub(super) struct Carrier {
    pub parts: Parts,
    pub plan: Arc<dyn Plan>,
    pub target: Arc<Target>,
    pub desk: Arc<Mutex<Desk>>,
}

impl Carrier {
    /// Carries a delivery until its outcome is durable.
    ///
    /// # Errors
    /// The journal stopped, or no longer knows the delivery.
    pub async fn carry(&self, work: Work) -> Result<(), journal::Error> {
        let Some(subscription) = self.plan.subscription(&work.subscription) else {
            lock(&self.desk).note_orphan();
            let due = self.parts.clock.now().after(ORPHAN_WAIT);
            return self
                .record(Outcome { delivery: work.id, attempt: None, next: Next::Retry { due } })
                .await;
        };
        let document = match self.document(&subscription, &work).await? {
            Ok(outbound) => outbound.document,
            Err(failure) => {
                let next = self.judge(&work, &Happened::NotMapped(&failure));
                return self.record(Outcome { delivery: work.id, attempt: None, next }).await;
            }
        };
        let began = self.parts.clock.now();
        let id = request_id(&work);
        let request = Request { id, document, at: began, traceparent: None, keep_bytes: ANSWER_BYTES };
        let ended = self.parts.call.call(Arc::clone(&self.target), request).await;
        let attempt = attempt(began, self.parts.clock.now(), &ended);
        let next = self.judge(&work, &Happened::Called(began, &ended));
        self.record(Outcome { delivery: work.id, attempt: Some(attempt), next }).await
    }

    /// The bytes to send: those that are pinned, or else they are made and pinned now.
    async fn document(
        &self,
        subscription: &Subscription,
        work: &Work,
    ) -> Result<Result<Outbound, MapFailure>, journal::Error> {
        if let Some(pinned) = &work.outbound {
            return Ok(Ok(pinned.clone()));
        }
        let journal = &self.parts.journal;
        let mut numbers = Pairs::new();
        for counter in subscription.map.wants(&self.target) {
            let number = self.patiently(|| journal.take_number(counter.clone())).await?;
            numbers.push((counter.kind, number.to_string()));
        }
        let outbound = match subscription.map.map(work, &self.target, numbers).await {
            Ok(outbound) => outbound,
            Err(failure) => return Ok(Err(failure)),
        };
        self.patiently(|| journal.pin(work.id, outbound.clone())).await?;
        Ok(Ok(outbound))
    }

    fn judge(&self, work: &Work, happened: &Happened<'_>) -> Next {
        let now = self.parts.clock.now();
        let state = State {
            target: &self.target,
            attempts: work.attempts,
            first_attempt_at: work.first_attempt_at,
            recorded_at: work.event.recorded_at,
        };
        let decision = decide(&state, happened, now, self.parts.random.as_ref());
        let next = lock(&self.desk).judge(work.id, work.event.id, &key(work), decision, now);
        if let Next::Park { cause, .. } = &next {
            let (target, event) = (&self.target.name, work.event.id);
            tracing::warn!(%target, %event, delivery = work.id.0, code = %cause.code, "exception");
        }
        next
    }

    async fn record(&self, outcome: Outcome) -> Result<(), journal::Error> {
        self.patiently(|| self.parts.journal.advance(outcome.clone())).await
    }

    /// Repeats a command until the journal has room for it.
    async fn patiently<'a, T>(
        &'a self,
        command: impl Fn() -> journal::Pending<'a, T>,
    ) -> Result<T, journal::Error> {
        let mut wait = FIRST_WAIT;
        loop {
            match command().await {
                Err(journal::Error::Busy | journal::Error::Full) => {
                    self.parts.timer.until(self.parts.clock.now().after(wait)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
    }
}

/// The same on every attempt of the same bytes to one subscription's target: a target that remembers its answer to the
/// first ones must not give it for those that a person had made instead. A dot would blur the borders of what Standard
/// Webhooks sign, so a name's dots are written as `~`, which no name has.
pub(super) fn request_id(work: &Work) -> String {
    let id = format!("{}-{}", work.event.id, work.subscription.as_str().replace('.', "~"));
    if work.revision > 1 { format!("{id}+{}", work.revision) } else { id }
}

/// The business key that a delivery stands for, in its partner's scope.
fn key(work: &Work) -> String {
    match work.event.order_keys.first() {
        Some(key) => format!("{}\n{}\n{}", work.partner, key.kind, key.value),
        None => work.event.id.to_string(),
    }
}

fn attempt(began: Time, ended_at: Time, ended: &Result<Answer, CallError>) -> Attempt {
    let took = ended_at.since(began);
    match ended {
        Ok(answer) => {
            let excerpt = excerpt(&answer.content);
            Attempt { started_at: began, took, status: Some(answer.status), error: None, excerpt }
        }
        Err(error) => {
            let error = Some(short(&error.to_string()));
            Attempt { started_at: began, took, status: None, error, excerpt: None }
        }
    }
}

/// A panic elsewhere leaves a desk as it was after its last step, which is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
