//! The circuit breaker of one target: closed, open, half-open with one probe, then a ramp of 1, 2, 4 … calls. Pure.

use std::{collections::VecDeque, time::Duration};

use super::target::Breaker;
use crate::words::Time;

/// The window is counted in so many slices, so that its memory does not grow with the number of calls.
const SLICES: u32 = 30;

/// How a target's circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Calls go through.
    Closed,
    /// The target counts as down; nothing is sent.
    Open,
    /// One probe may go.
    HalfOpen,
    /// It answered again; calls grow step by step.
    Ramping,
}

/// Which run of the circuit a call began in; an answer that comes after the circuit changed says nothing about now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(u64);

/// The breaker's memory.
#[derive(Clone, Debug)]
pub struct Circuit {
    rules: Breaker,
    phase: Phase,
    run: u64,
    slices: VecDeque<Slice>,
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Time },
    HalfOpen,
    Ramping { limit: u32, passed_of_step: u32, calls: u32, failures: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    begins: Time,
    calls: u32,
    failures: u32,
}

impl Circuit {
    /// A closed circuit without memory.
    pub fn new(rules: Breaker) -> Self {
        Self { rules, phase: Phase::Closed, run: 0, slices: VecDeque::new(), in_a_row: 0 }
    }

    /// Takes other rules over; what was seen so far stays.
    pub fn renew(&mut self, rules: Breaker) {
        self.rules = rules;
    }

    /// How many calls may be in flight at `now`, of `concurrency` at most.
    pub fn allowed(&mut self, now: Time, concurrency: u32) -> u32 {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.enter(Phase::HalfOpen);
        }
        match self.phase {
            Phase::Closed => concurrency,
            Phase::Open { .. } => 0,
            Phase::HalfOpen => concurrency.min(1),
            Phase::Ramping { limit, .. } => concurrency.min(limit),
        }
    }

    /// The run that a call beginning now belongs to.
    pub fn run(&self) -> Run {
        Run(self.run)
    }

    /// Takes note of a call's end: `passed` if the target did its part, whatever it thought of the document.
    pub fn record(&mut self, run: Run, passed: bool, now: Time, concurrency: u32) {
        if run.0 != self.run {
            return;
        }
        match &mut self.phase {
            Phase::Open { .. } => {}
            Phase::Closed => {
                self.count(passed, now);
                if self.is_failing(now) {
                    self.open(now);
                }
            }
            Phase::HalfOpen if passed => {
                self.enter(Phase::Ramping { limit: 1, passed_of_step: 0, calls: 1, failures: 0 });
                self.grow(concurrency);
            }
            Phase::HalfOpen => self.open(now),
            Phase::Ramping { passed_of_step, calls, failures, .. } => {
                *calls = calls.saturating_add(1);
                if passed {
                    *passed_of_step += 1;
                    self.grow(concurrency);
                } else {
                    *failures = failures.saturating_add(1);
                    // One bad document must not send a healthy target back to the start; half of them must.
                    if u64::from(*failures) * 100 >= u64::from(*calls) * u64::from(self.rules.failure_share) {
                        self.open(now);
                    }
                }
            }
        }
    }

    /// Lets one probe through, as after an outage.
    pub fn probe(&mut self) {
        self.enter(Phase::HalfOpen);
    }

    /// When an open circuit lets its probe through.
    pub fn opens_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::Closed | Phase::HalfOpen | Phase::Ramping { .. } => None,
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        match self.phase {
            Phase::Closed => Standing::Closed,
            Phase::Open { .. } => Standing::Open,
            Phase::HalfOpen => Standing::HalfOpen,
            Phase::Ramping { .. } => Standing::Ramping,
        }
    }

    fn open(&mut self, now: Time) {
        self.enter(Phase::Open { until: now.after(self.rules.open_for) });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.run += 1;
        self.slices.clear();
        self.in_a_row = 0;
    }

    fn count(&mut self, passed: bool, now: Time) {
        let length = (self.rules.window / SLICES).max(Duration::from_millis(1));
        let fresh =
            self.slices.back().is_none_or(|slice| now.since(slice.begins) >= length || now < slice.begins);
        if fresh {
            self.slices.push_back(Slice { begins: now, calls: 0, failures: 0 });
        }
        while self.slices.len() > SLICES as usize {
            self.slices.pop_front();
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.calls = slice.calls.saturating_add(1);
            slice.failures = slice.failures.saturating_add(u32::from(!passed));
        }
        self.in_a_row = if passed { 0 } else { self.in_a_row.saturating_add(1) };
    }

    fn is_failing(&mut self, now: Time) -> bool {
        let window = self.rules.window;
        self.slices.retain(|slice| now.since(slice.begins) <= window);
        let calls: u64 = self.slices.iter().map(|slice| u64::from(slice.calls)).sum();
        let failures: u64 = self.slices.iter().map(|slice| u64::from(slice.failures)).sum();
        let by_share = calls >= u64::from(self.rules.samples.max(1))
            && failures > 0
            && failures * 100 >= calls * u64::from(self.rules.failure_share);
        let by_row = self.rules.in_a_row > 0 && self.in_a_row >= self.rules.in_a_row;
        by_share || by_row
    }

    /// A step is passed when as many calls as it allows went well; the next one allows twice as many.
    fn grow(&mut self, concurrency: u32) {
        if let Phase::Ramping { limit, passed_of_step, .. } = &mut self.phase
            && (*passed_of_step >= *limit || *limit >= concurrency)
        {
            *passed_of_step = 0;
            *limit = limit.saturating_mul(2);
            if *limit >= concurrency.max(2) {
                self.enter(Phase::Closed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn circuit() -> Circuit {
        Circuit::new(Breaker::default())
    }

    /// `+` is a call that passed, `-` one that failed, each 100 ms after the one before.
    fn play(circuit: &mut Circuit, from: Time, calls: &str) -> Time {
        let mut now = from;
        for call in calls.chars() {
            let run = circuit.run();
            circuit.record(run, call == '+', now, 16);
            now = now.after(Duration::from_millis(100));
        }
        now
    }

    #[test]
    fn opening_follows_share_and_row() {
        let table = [
            ("---------", Standing::Closed, "nine in a row are one too few"),
            ("----------", Standing::Open, "ten in a row"),
            ("+-+-+-+-+", Standing::Closed, "nine samples are too few for the share"),
            ("+-+-+-+-+-", Standing::Open, "half of ten"),
            ("++++++-----", Standing::Closed, "five of eleven are less than half"),
            ("++++++++++++++++++++----------", Standing::Open, "ten in a row count beside the share"),
            ("++++++++++++", Standing::Closed, "nothing failed"),
        ];
        for (calls, expected, why) in table {
            let mut circuit = circuit();
            play(&mut circuit, at(0), calls);
            assert_eq!(circuit.standing(), expected, "{calls}: {why}");
        }
    }

    #[test]
    fn failures_outside_the_window_are_forgotten() {
        let mut circuit = circuit();
        play(&mut circuit, at(0), "-----+");
        play(&mut circuit, at(60), "----+");
        assert_eq!(circuit.standing(), Standing::Closed, "five of the failures are a minute old");
    }

    #[test]
    fn an_open_circuit_lets_nothing_through_until_its_time_and_then_one_probe() {
        let mut circuit = circuit();
        let opened = play(&mut circuit, at(0), "----------");
        assert_eq!(circuit.allowed(opened, 16), 0);
        let until = circuit.opens_at().unwrap();
        assert_eq!(until, at(30).after(Duration::from_millis(900)));
        assert_eq!(circuit.allowed(Time::from_millis(until.millis() - 1), 16), 0);
        assert_eq!(circuit.allowed(until, 16), 1);
        assert_eq!(circuit.standing(), Standing::HalfOpen);
        let run = circuit.run();
        circuit.record(run, false, until, 16);
        assert_eq!(
            circuit.opens_at(),
            Some(until.after(Duration::from_secs(30))),
            "a failed probe opens it again"
        );
    }

    #[test]
    fn calls_grow_by_one_two_four_after_a_probe_that_passed() {
        let mut circuit = circuit();
        circuit.probe();
        let mut seen = vec![circuit.allowed(at(0), 16)];
        for _ in 0..16 {
            let run = circuit.run();
            circuit.record(run, true, at(0), 16);
            seen.push(circuit.allowed(at(0), 16));
        }
        assert_eq!(seen, [1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 16]);
        assert_eq!(circuit.standing(), Standing::Closed);
    }

    #[test]
    fn a_relapse_in_the_ramp_opens_it_and_one_bad_document_does_not() {
        let mut relapse = circuit();
        relapse.probe();
        play(&mut relapse, at(0), "+-");
        assert_eq!(relapse.standing(), Standing::Open);
        let mut steady = circuit();
        steady.probe();
        play(&mut steady, at(0), "+++-+++");
        assert_eq!(steady.standing(), Standing::Ramping);
    }

    #[test]
    fn an_answer_from_before_the_circuit_changed_says_nothing() {
        let mut circuit = circuit();
        let before = circuit.run();
        play(&mut circuit, at(0), "----------");
        circuit.allowed(at(100), 16);
        circuit.record(before, true, at(100), 16);
        assert_eq!(circuit.standing(), Standing::HalfOpen);
        circuit.record(before, false, at(100), 16);
        assert_eq!(circuit.standing(), Standing::HalfOpen);
    }

    #[test]
    fn its_memory_does_not_grow_with_the_calls() {
        let mut circuit = circuit();
        for n in 0..100_000 {
            let run = circuit.run();
            circuit.record(run, true, Time::from_millis(n), 16);
        }
        assert!(circuit.slices.len() <= SLICES as usize);
    }
}
