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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        deliver::Endpoint,
        words::{Diagnostic, Severity, TargetName},
    };

    /// Always the same bits.
    struct Fixed(u64);

    impl Random for Fixed {
        fn next(&self) -> u64 {
            self.0
        }
    }

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn target(retry: Retry) -> Target {
        let endpoint = Endpoint::parse("https://erp.example/in").unwrap();
        Target { retry, stuck: Stuck::Skip, ..Target::new(TargetName::new("erp").unwrap(), endpoint) }
    }

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Result<Answer, CallError> {
        let content = Bytes::copy_from_slice(body.as_bytes());
        let retry_after = retry_after.map(str::to_owned);
        Ok(Answer { status, retry_after, media_type: "text/plain".into(), content, cut: false })
    }

    fn after_first(ended: &Result<Answer, CallError>) -> Decision {
        let target = target(Retry::default());
        let state = State { target: &target, attempts: 0, first_attempt_at: None, recorded_at: at(0) };
        decide(&state, &Happened::Called(at(100), ended), at(100), &Fixed(u64::MAX))
    }

    fn cause(next: &Next) -> Cause {
        match next {
            Next::Park { cause, .. } => cause.clone(),
            Next::Delivered | Next::Retry { .. } => panic!("{next:?} is no exception"),
        }
    }

    #[test]
    fn every_answer_has_its_consequence() {
        let (delivered, retry, parked) = ("delivered", "retry", "target-refused");
        let table = [
            (200, delivered, Health::Took),
            (201, delivered, Health::Took),
            (202, delivered, Health::Took),
            (204, delivered, Health::Took),
            (299, delivered, Health::Took),
            (301, parked, Health::Turned),
            (302, parked, Health::Turned),
            (304, parked, Health::Turned),
            (308, parked, Health::Turned),
            (400, parked, Health::Judged),
            (401, parked, Health::Turned),
            (402, parked, Health::Judged),
            (403, parked, Health::Turned),
            (404, parked, Health::Turned),
            (405, parked, Health::Judged),
            (408, retry, Health::Failed),
            (409, parked, Health::Judged),
            (410, parked, Health::Gone),
            (413, parked, Health::Judged),
            (422, parked, Health::Judged),
            (425, retry, Health::Failed),
            (429, retry, Health::Failed),
            (499, parked, Health::Judged),
            (500, retry, Health::Failed),
            (502, retry, Health::Failed),
            (503, retry, Health::Failed),
            (504, retry, Health::Failed),
            (599, retry, Health::Failed),
            (101, retry, Health::Failed),
            (999, retry, Health::Failed),
        ];
        for (status, expected, health) in table {
            let decision = after_first(&answer(status, None, "no"));
            let code = match &decision.next {
                Next::Delivered => "delivered",
                Next::Retry { .. } => "retry",
                Next::Park { cause, stuck } => {
                    assert_eq!(*stuck, Stuck::Skip, "{status}: the policy says what its lanes do");
                    &cause.code
                }
            };
            assert_eq!((code, decision.health), (expected, health), "{status}");
        }
    }

    #[test]
    fn every_failed_call_is_repeated_but_one_that_cannot_be_made() {
        let repeated = [
            CallError::Unresolved,
            CallError::Refused,
            CallError::Unreachable("no route".into()),
            CallError::Tls("expired".into()),
            CallError::TimedOut { sent: false },
            CallError::TimedOut { sent: true },
            CallError::Broken { sent: true, what: "reset".into() },
        ];
        for error in repeated {
            let decision = after_first(&Err(error.clone()));
            assert_eq!(
                decision,
                Decision { next: Next::Retry { due: at(101) }, health: Health::Failed },
                "{error}"
            );
        }
        let decision = after_first(&Err(CallError::Unsendable("no `order`".into())));
        assert_eq!((cause(&decision.next).code.as_str(), decision.health), ("unsendable", Health::Silent));
    }

    #[test]
    fn a_conflict_that_means_in_progress_is_repeated() {
        for body in ["Request In Progress", r#"{"code":"idempotency_in_progress"}"#, "still processing"] {
            let decision = after_first(&answer(409, None, body));
            assert!(matches!(decision.next, Next::Retry { .. }), "{body}");
        }
        assert!(
            matches!(after_first(&answer(409, Some("5"), "")).next, Next::Retry { due } if due == at(105))
        );
        assert_eq!(cause(&after_first(&answer(409, None, "other document")).next).code, "target-refused");
    }

    #[test]
    fn the_pause_that_a_target_asks_for_is_obeyed_up_to_an_hour() {
        let table = [
            (429, "7", Some(at(107))),
            (503, "120", Some(at(220))),
            (503, "86400", Some(at(3700))),
            (503, "99999999999999999999999", Some(at(3700))),
            (429, "Thu, 01 Jan 1970 00:03:20 GMT", Some(at(200))),
            (429, "Thu, 01 Jan 1970 00:00:05 GMT", Some(at(101))),
            (500, "7", Some(at(107))),
            (429, "soon", Some(at(101))),
            (429, "-7", Some(at(101))),
            (429, "", Some(at(101))),
            (422, "7", None),
        ];
        for (status, text, due) in table {
            let next = after_first(&answer(status, Some(text), "")).next;
            match due {
                Some(due) => assert_eq!(next, Next::Retry { due }, "{status} {text}"),
                None => assert_eq!(cause(&next).code, "target-refused"),
            }
        }
        assert_eq!(after_first(&answer(429, Some("7"), "")).health, Health::Asked(at(107)));
        assert_eq!(after_first(&answer(503, Some("7"), "")).health, Health::Asked(at(107)));
        assert_eq!(after_first(&answer(500, Some("7"), "")).health, Health::Failed);
    }

    #[test]
    fn the_budget_ends_by_time_and_by_number() {
        let failed = answer(500, None, "try again");
        let with = |retry: Retry, attempts, first: Option<Time>, now| {
            let target = target(retry);
            let state = State { target: &target, attempts, first_attempt_at: first, recorded_at: at(0) };
            decide(&state, &Happened::Called(now, &failed), now, &Fixed(0)).next
        };
        let hours = |hours: i64| at(hours * 3600);
        let three = Retry { attempts: Some(3), ..Retry::default() };
        assert!(matches!(with(Retry::default(), 500, Some(at(0)), at(72 * 3600 - 1)), Next::Retry { .. }));
        assert_eq!(cause(&with(Retry::default(), 2, Some(at(0)), hours(72))).code, "retries-exhausted");
        assert!(matches!(with(three, 1, Some(at(0)), at(9)), Next::Retry { .. }));
        let third = cause(&with(three, 2, Some(at(0)), at(9)));
        assert_eq!(third.detail, "3 attempts failed, the last one: the target answered 500: try again");
        assert!(matches!(with(three, 7, None, at(9)), Next::Retry { .. }), "a person gave it a fresh budget");
    }

    #[test]
    fn a_mapper_that_refuses_or_fails_needs_a_person_and_a_busy_host_does_not() {
        let target = target(Retry::default());
        let state = State { target: &target, attempts: 0, first_attempt_at: None, recorded_at: at(0) };
        let after =
            |failure: MapFailure, now| decide(&state, &Happened::NotMapped(&failure), now, &Fixed(u64::MAX));
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            code: "unit-unknown".into(),
            standard_code: None,
            at: None,
            message: "unit `XX` is unknown".into(),
            rule: None,
        };
        let refused = cause(&after(MapFailure::Refused(vec![diagnostic.clone()]), at(1)).next);
        assert_eq!((refused.code.as_str(), &refused.diagnostics), ("mapper-refused", &vec![diagnostic]));
        assert_eq!(refused.detail, "the mapper refused the event: unit `XX` is unknown");
        assert_eq!(cause(&after(MapFailure::Failed("trapped".into()), at(1)).next).code, "mapper-failed");
        let busy = after(MapFailure::Later("queue full".into()), at(1));
        assert_eq!(busy, Decision { next: Next::Retry { due: at(3) }, health: Health::Silent });
        let too_long = after(MapFailure::Later("queue full".into()), at(72 * 3600));
        assert_eq!(cause(&too_long.next).code, "retries-exhausted");
    }

    #[test]
    fn waits_grow_up_to_the_cap() {
        let retry = Retry::default();
        let waits: Vec<u64> = (1..13).map(|attempt| longest_wait(&retry, attempt).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(longest_wait(&Retry { factor: 1, ..retry }, u32::MAX), Duration::from_secs(1));
        assert_eq!(longest_wait(&Retry { first: Duration::ZERO, ..retry }, 9), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_retry_lies_within_its_jitter_and_never_before_what_was_asked(
            attempts in 0u32..5000,
            bits in any::<u64>(),
            now in 0i64..10_000_000,
            first in 0u64..100_000,
            factor in 0u32..10,
            cap in 0u64..10_000_000,
            asked in prop::option::of(0u64..10_000),
        ) {
            let retry = Retry {
                first: Duration::from_millis(first),
                factor,
                cap: Duration::from_millis(cap),
                ..Retry::default()
            };
            let target = target(retry);
            let now = Time::from_millis(now);
            let state = State { target: &target, attempts, first_attempt_at: Some(now), recorded_at: now };
            let text = asked.map(|asked| asked.to_string());
            let ended = answer(503, text.as_deref(), "");
            let decision = decide(&state, &Happened::Called(now, &ended), now, &Fixed(bits));
            let Next::Retry { due } = decision.next else { panic!("{decision:?}") };
            let pause = Duration::from_secs(asked.unwrap_or(0).min(3600));
            prop_assert!(due >= now.after(pause));
            prop_assert!(due <= now.after(longest_wait(&retry, attempts + 1).max(pause)));
            prop_assert!(longest_wait(&retry, attempts + 1) <= retry.cap);
        }

        #[test]
        fn no_header_and_no_body_makes_it_panic(
            status in 100u16..1000,
            retry_after in prop::option::of(".*"),
            body in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            let content = Bytes::from(body);
            let ended = Ok(Answer { status, retry_after, media_type: String::new(), content, cut: true });
            after_first(&ended);
        }
    }
}
