//! What follows from an attempt. Pure: no clock, no randomness of its own, no I/O.

use std::time::Duration;

use super::{
    MapFailure,
    call::{Answer, CallError, excerpt},
    target::{Retry, Target},
};
use crate::{
    journal::{Cause, Next, Stuck},
    words::{Random, Time},
};

/// A target may ask for no longer pause than this; what is longer is tried again after it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long a delivery rests when the mapper host has no room, at most. Short, because nothing is wrong with either side.
const NO_ROOM: Duration = Duration::from_secs(2);

/// What is known of a delivery before its attempt.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Where it goes.
    pub target: &'a Target,
    /// Attempts before this one.
    pub attempts: u32,
    /// When the first attempt of the present retry budget was made, if there was one.
    pub first_attempt_at: Option<Time>,
    /// When its event was recorded.
    pub recorded_at: Time,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Happened<'a> {
    /// The target was called at this moment.
    Called(Time, &'a Result<Answer, CallError>),
    /// There is no document to send.
    NotMapped(&'a MapFailure),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// For the delivery.
    pub next: Next,
    /// For the target.
    pub health: Health,
}

/// What an attempt says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It took the document.
    Took,
    /// It is there, and judged this document.
    Judged,
    /// It does not know us, or is not where we look: one such answer may be about the document, several are not.
    Turned,
    /// It says that it is gone for good.
    Gone,
    /// It failed, or was not there.
    Failed,
    /// It asked for a pause until then.
    Asked(Time),
    /// Nothing: it was not called.
    Silent,
}

/// What an answer means.
enum Meaning {
    Delivered,
    Retry(Health),
    Refused(Health),
}

/// Decides what follows from an attempt, at `now`.
pub fn decide(state: &State<'_>, happened: &Happened<'_>, now: Time, random: &dyn Random) -> Decision {
    match happened {
        Happened::NotMapped(failure) => not_mapped(state, failure, now, random),
        Happened::Called(_, Err(CallError::Unsendable(why))) => {
            Decision { next: park(state, "unsendable", why.clone()), health: Health::Silent }
        }
        Happened::Called(began, Err(error)) => {
            let next = again(state, *began, None, now, random, || error.to_string());
            Decision { next, health: Health::Failed }
        }
        Happened::Called(began, Ok(answer)) => answered(state, *began, answer, now, random),
    }
}

fn answered(state: &State<'_>, began: Time, answer: &Answer, now: Time, random: &dyn Random) -> Decision {
    let pause = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
    match meaning(answer, pause.map(|pause| now.after(pause))) {
        Meaning::Delivered => Decision { next: Next::Delivered, health: Health::Took },
        Meaning::Retry(health) => {
            Decision { next: again(state, began, pause, now, random, || said(answer)), health }
        }
        Meaning::Refused(health) => Decision { next: park(state, "target-refused", said(answer)), health },
    }
}

fn meaning(answer: &Answer, pause_until: Option<Time>) -> Meaning {
    match answer.status {
        200..=299 => Meaning::Delivered,
        300..=399 | 401 | 403 | 404 => Meaning::Refused(Health::Turned),
        410 => Meaning::Refused(Health::Gone),
        409 if is_in_progress(answer, pause_until) => Meaning::Retry(Health::Judged),
        // Both tell of the target's load, and name when it will take documents again.
        429 | 503 => Meaning::Retry(pause_until.map_or(Health::Failed, Health::Asked)),
        408 | 425 => Meaning::Retry(Health::Failed),
        400..=499 => Meaning::Refused(Health::Judged),
        _ => Meaning::Retry(Health::Failed),
    }
}

/// 409 mostly is a verdict. It means "the first attempt is still being worked on" when the target says when to come back
/// (draft-ietf-httpapi-idempotency-key-header-07, section 2.6) or says so in words.
fn is_in_progress(answer: &Answer, pause_until: Option<Time>) -> bool {
    let words = excerpt(&answer.content).unwrap_or_default().to_lowercase().replace(['-', '_'], " ");
    pause_until.is_some()
        || ["in progress", "inprogress", "still processing"].iter().any(|phrase| words.contains(phrase))
}

fn not_mapped(state: &State<'_>, failure: &MapFailure, now: Time, random: &dyn Random) -> Decision {
    let next = match failure {
        MapFailure::Refused(diagnostics) => {
            let first =
                diagnostics.first().map_or("it gave no reason", |diagnostic| diagnostic.message.as_str());
            let cause = Cause {
                code: "mapper-refused".into(),
                detail: format!("the mapper refused the event: {first}"),
                diagnostics: diagnostics.clone(),
            };
            Next::Park { cause, stuck: state.target.stuck }
        }
        MapFailure::Failed(what) => park(state, "mapper-failed", format!("the mapper failed: {what}")),
        MapFailure::Later(what) if now.since(state.recorded_at) >= state.target.retry.give_up_after => {
            park(state, "retries-exhausted", format!("the mapper had no room for too long: {what}"))
        }
        MapFailure::Later(_) => Next::Retry { due: now.after(part_of(NO_ROOM, random)) },
    };
    Decision { next, health: Health::Silent }
}

fn again(
    state: &State<'_>,
    began: Time,
    pause: Option<Duration>,
    now: Time,
    random: &dyn Random,
    what: impl FnOnce() -> String,
) -> Next {
    let retry = &state.target.retry;
    // A fresh budget counts from one, however often the delivery was tried before a person sent it again.
    let attempt = state.first_attempt_at.map_or(1, |_| state.attempts.saturating_add(1));
    let tried_for = now.since(state.first_attempt_at.unwrap_or(began));
    if retry.attempts.is_some_and(|most| attempt >= most) || tried_for >= retry.give_up_after {
        let times = if attempt == 1 { "1 attempt".to_owned() } else { format!("{attempt} attempts") };
        return park(state, "retries-exhausted", format!("{times} failed, the last one: {}", what()));
    }
    let wait = part_of(longest_wait(retry, attempt), random);
    Next::Retry { due: now.after(wait.max(pause.unwrap_or_default())) }
}

/// The longest wait after the failed attempt of this number, beginning with 1.
pub fn longest_wait(retry: &Retry, attempt: u32) -> Duration {
    let mut wait = retry.first;
    for _ in 1..attempt {
        if wait >= retry.cap || retry.factor <= 1 {
            break;
        }
        wait = wait.saturating_mul(retry.factor);
    }
    wait.min(retry.cap)
}

/// Full jitter: any part of `longest`, evenly.
fn part_of(longest: Duration, random: &dyn Random) -> Duration {
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    let part = (u128::from(random.next()) * (u128::from(millis) + 1)) >> 64;
    Duration::from_millis(u64::try_from(part).unwrap_or(millis))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. An hour at most; none if it cannot be read.
pub fn retry_after(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    let pause = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean a very long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX / 1000))
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Time::from_millis(date.timestamp().as_millisecond()).since(now)
    };
    Some(pause.min(LONGEST_RETRY_AFTER))
}

fn park(state: &State<'_>, code: &str, detail: String) -> Next {
    parked(code, detail, state.target.stuck)
}

/// A parked delivery with this cause.
pub(super) fn parked(code: &str, detail: String, stuck: Stuck) -> Next {
    Next::Park { cause: Cause { code: code.into(), detail, diagnostics: Vec::new() }, stuck }
}

/// What the target said, in one line.
fn said(answer: &Answer) -> String {
    let status = answer.status;
    let not_followed = if (300..400).contains(&status) { ", and redirects are not followed" } else { "" };
    match excerpt(&answer.content) {
        Some(words) => format!("the target answered {status}{not_followed}: {words}"),
        None => format!("the target answered {status}{not_followed}"),
    }
}
