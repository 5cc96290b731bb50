//! A candidate beside what is live: it serves a share of the business keys, or is only watched. It takes itself back
//! where it refuses more, takes longer or differs more than its terms allow.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::differ::Fields;
use crate::{
    mapper::{Failure, Mapper},
    words::{Digest, PartnerName, Time},
};

/// The queue of what runs beside the traffic: one more among the partners', which are taken in turn.
pub const BESIDE: &str = "crossdock.again";

/// Messages that may run beside the traffic at one time; past them a watch leaves some out.
const BESIDE_MAX: usize = 4;
/// Shares of refusals and differences are those of so many messages at least, or the first one would be all.
const AT_LEAST: u64 = 100;
/// Messages before times are compared: the first ones touch cold code.
const TIMED: u64 = 50;
/// What a candidate may always take longer, so that microseconds decide nothing.
const SLACK: Duration = Duration::from_micros(200);
/// Fields that are told apart.
const FIELDS_MAX: usize = 200;

/// What a candidate is given, and when it is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Percent of business keys that it serves; 0: none, it is only watched.
    pub share: u8,
    /// Percent of messages that it may fail at where live does not.
    #[serde(default = "one")]
    pub failing_max: u8,
    /// Percent of messages that it may map otherwise than live.
    #[serde(default)]
    pub differing_max: u8,
    /// Percent of live's CPU time that it may take on the average.
    #[serde(default = "twice")]
    pub time_max: u16,
    /// When a watch ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

fn one() -> u8 {
    1
}

fn twice() -> u16 {
    200
}

impl Terms {
    /// A candidate that serves a share, under the usual terms.
    pub fn sharing(share: u8) -> Self {
        Self { share, failing_max: one(), differing_max: 0, time_max: twice(), until: None }
    }
}

/// A candidate that is out.
pub struct Canary {
    /// The candidate.
    pub mapper: Mapper,
    /// Its terms.
    pub terms: Terms,
    tally: Mutex<Tally>,
    tripped: OnceLock<String>,
    bell: Arc<Notify>,
    beside: Arc<Semaphore>,
}

/// What a candidate does with a message.
#[derive(Debug)]
pub enum Part {
    /// Nothing.
    Nothing,
    /// It maps it, and what it gives is used.
    Serves,
    /// It maps it beside the traffic, as long as the permit is held, and what it gives is only compared.
    Beside(OwnedSemaphorePermit),
}

/// What a candidate and live made of the same message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pair {
    /// Both gave something; where it differs.
    Both(Fields),
    /// Live mapped it and the candidate did not, for this reason.
    Failed(String),
    /// The candidate mapped what live did not.
    Mended(String),
    /// Neither did.
    Neither,
}

#[derive(Default)]
struct Tally {
    seen: u64,
    same: u64,
    differing: u64,
    failing: u64,
    mended: u64,
    left_out: u64,
    live: Duration,
    candidate: Duration,
    fields: BTreeMap<String, Field>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name.
    pub field: String,
    /// In how many messages.
    pub documents: u64,
    /// What live gave in the first of them.
    pub live: String,
    /// What the candidate gave.
    pub candidate: String,
}

/// How a candidate does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The candidate's version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Its terms.
    pub terms: Terms,
    /// Messages that both ran.
    pub seen: u64,
    /// Those that came out the same.
    pub same: u64,
    /// Those that came out otherwise.
    pub differing: u64,
    /// Those that only live could map.
    pub failing: u64,
    /// Those that only the candidate could map.
    pub mended: u64,
    /// Those that were left out of a watch because too many were under way.
    pub left_out: u64,
    /// Average CPU microseconds of live.
    pub live_micros: u64,
    /// Average CPU microseconds of the candidate.
    pub candidate_micros: u64,
    /// What differs.
    pub fields: Vec<Field>,
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} for {} %", self.mapper, self.terms.share)
    }
}

impl Canary {
    /// A candidate that goes out; `bell` rings when it takes itself back.
    pub(super) fn new(mapper: Mapper, terms: Terms, bell: Arc<Notify>) -> Self {
        Self {
            mapper,
            terms,
            tally: Mutex::default(),
            tripped: OnceLock::new(),
            bell,
            beside: Arc::new(Semaphore::new(BESIDE_MAX)),
        }
    }

    /// What it does with a message of this business key. The same key always has the same answer.
    pub fn part(&self, partner: &PartnerName, key: &str) -> Part {
        if self.tripped.get().is_some() {
            return Part::Nothing;
        }
        if self.terms.share == 0 {
            return match Arc::clone(&self.beside).try_acquire_owned() {
                Ok(permit) => Part::Beside(permit),
                Err(_) => {
                    self.tally().left_out += 1;
                    Part::Nothing
                }
            };
        }
        let name = self.mapper.name().as_str();
        if falls_in(name, partner.as_str(), key, self.terms.share) { Part::Serves } else { Part::Nothing }
    }

    /// Takes note of a message that both ran, and of the CPU time of each.
    pub fn saw(&self, pair: Pair, live: Duration, candidate: Duration) {
        let mut tally = self.tally();
        tally.seen += 1;
        tally.live += live;
        tally.candidate += candidate;
        let fields = match pair {
            Pair::Both(fields) if fields.is_empty() => {
                tally.same += 1;
                fields
            }
            Pair::Neither => {
                tally.same += 1;
                Fields::new()
            }
            Pair::Both(fields) => {
                tally.differing += 1;
                fields
            }
            Pair::Failed(what) => {
                tally.failing += 1;
                super::differ::one("(refused)", "mapped", &what)
            }
            Pair::Mended(what) => {
                tally.mended += 1;
                super::differ::one("(refused)", &what, "mapped")
            }
        };
        for (name, (live, candidate)) in fields {
            if tally.fields.len() < FIELDS_MAX || tally.fields.contains_key(&name) {
                let field = Field { field: name.clone(), documents: 0, live, candidate };
                tally.fields.entry(name).or_insert(field).documents += 1;
            }
        }
        let why = judge(&self.terms, &tally);
        drop(tally);
        if let Some(why) = why
            && self.tripped.set(why).is_ok()
        {
            self.bell.notify_one();
        }
    }

    /// Why it took itself back, if it did.
    pub fn tripped(&self) -> Option<&str> {
        self.tripped.get().map(String::as_str)
    }

    /// How it does.
    pub fn progress(&self) -> Progress {
        let tally = self.tally();
        let mut fields: Vec<Field> = tally.fields.values().cloned().collect();
        fields.sort_by(|left, right| {
            right.documents.cmp(&left.documents).then_with(|| left.field.cmp(&right.field))
        });
        let average = |all: Duration| u64::try_from(all.as_micros()).unwrap_or(u64::MAX) / tally.seen.max(1);
        Progress {
            version: self.mapper.version().to_owned(),
            digest: self.mapper.digest(),
            terms: self.terms.clone(),
            seen: tally.seen,
            same: tally.same,
            differing: tally.differing,
            failing: tally.failing,
            mended: tally.mended,
            left_out: tally.left_out,
            live_micros: average(tally.live),
            candidate_micros: average(tally.candidate),
            fields,
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a key is in the share. A larger share has all keys of a smaller one.
fn falls_in(mapper: &str, partner: &str, key: &str, share: u8) -> bool {
    let digest = Digest::of(format!("{mapper}\n{partner}\n{key}").as_bytes());
    let low = digest.as_bytes().iter().take(4).fold(0_u32, |low, byte| low << 8 | u32::from(*byte));
    low % 100 < u32::from(share)
}

/// Why a candidate takes itself back, if it does.
fn judge(terms: &Terms, tally: &Tally) -> Option<String> {
    let Terms { share, failing_max, differing_max, time_max, .. } = *terms;
    // Who is only watched costs nobody anything.
    if share == 0 {
        return None;
    }
    let seen = tally.seen;
    let above = |count: u64, most: u8| count * 100 > seen.max(AT_LEAST) * u64::from(most);
    let first = || {
        let most = tally.fields.values().max_by_key(|field| field.documents);
        let said = |field: &Field| format!("; {}: {} → {}", field.field, field.live, field.candidate);
        most.map(said).unwrap_or_default()
    };
    if above(tally.failing, failing_max) {
        let count = tally.failing;
        return Some(format!(
            "it failed at {count} of {seen} messages that live maps, {failing_max} % may be{}",
            first()
        ));
    }
    if above(tally.differing + tally.mended, differing_max) {
        let count = tally.differing + tally.mended;
        return Some(format!(
            "it maps {count} of {seen} messages otherwise, {differing_max} % may be{}",
            first()
        ));
    }
    let most = tally.live * u32::from(time_max) / 100 + SLACK * u32::try_from(seen).unwrap_or(u32::MAX);
    if seen >= TIMED && tally.candidate > most {
        let average = |all: Duration| all.as_micros() / u128::from(seen.max(1));
        return Some(format!(
            "it takes {} µs where live takes {}, {time_max} % may be",
            average(tally.candidate),
            average(tally.live)
        ));
    }
    None
}

/// Whether a failure says something of the mapper, and not of the machine or of who sends.
pub fn is_its_own(failure: &Failure) -> bool {
    !matches!(failure, Failure::Overloaded | Failure::TooLong | Failure::Broken | Failure::Wasteful { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn tally(seen: u64, failing: u64, differing: u64) -> Tally {
        Tally { seen, failing, differing, ..Tally::default() }
    }

    fn verdict(terms: &Terms, tally: &Tally) -> Option<String> {
        judge(terms, tally)
    }

    #[test]
    fn a_candidate_may_fail_and_differ_as_often_as_its_terms_say_and_no_more() {
        let terms = Terms { failing_max: 1, differing_max: 5, ..Terms::sharing(10) };
        assert_eq!(verdict(&terms, &tally(3, 1, 5)), None, "of a hundred at least");
        let why = verdict(&terms, &tally(3, 2, 0)).unwrap();
        assert_eq!(why, "it failed at 2 of 3 messages that live maps, 1 % may be");
        assert!(verdict(&terms, &tally(90, 0, 6)).unwrap().starts_with("it maps 6 of 90 messages otherwise"));
        assert_eq!(verdict(&terms, &tally(1_000, 10, 50)), None);
        assert_eq!(verdict(&Terms::sharing(0), &tally(10, 10, 0)), None, "who is watched costs nothing");
    }

    #[test]
    fn time_decides_only_after_some_messages_and_past_a_slack() {
        let slow = |seen: u32, candidate: Duration| Tally {
            live: MS * seen,
            candidate: candidate * seen,
            ..tally(u64::from(seen), 0, 0)
        };
        let terms = Terms::sharing(10);
        assert_eq!(verdict(&terms, &slow(49, MS * 9)), None);
        assert_eq!(verdict(&terms, &slow(50, MS * 2)), None);
        assert_eq!(
            verdict(&terms, &slow(50, MS * 3)).unwrap(),
            "it takes 3000 µs where live takes 1000, 200 % may be"
        );
    }

    #[test]
    fn the_same_key_is_always_on_the_same_side_and_the_share_is_kept() {
        let side = |key: u32, share: u8| falls_in("x12-wms", "acme-3pl", &format!("order {key}"), share);
        let count = |share: u8| (0..10_000).filter(|key| side(*key, share)).count();
        assert!((900..1_100).contains(&count(10)), "{}", count(10));
        assert!((0..1_000).all(|key| side(key, 10) == side(key, 10) && (!side(key, 10) || side(key, 50))));
    }
}
