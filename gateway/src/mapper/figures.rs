//! What the host counts of each mapper and version, for those who watch it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Failure,
    limits::{Usage, Which},
};

/// Mappers and versions that are counted by themselves. The versions of an estate in a year are fewer; past them the
/// oldest that is loaded no more makes room.
const MOST: usize = 256;

/// Upper bounds of the CPU times that are told apart, in seconds; the usual budget is 10 ms.
pub const CPU_SECONDS: [f64; 8] = [0.000_05, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05];

/// Upper bounds of the memory that is told apart, in bytes; 64 MiB is the most that there is.
pub const MEMORY_BYTES: [f64; 6] =
    [131_072.0, 524_288.0, 2_097_152.0, 8_388_608.0, 33_554_432.0, 67_108_864.0];

/// The figures of one mapper and version since the host started.
#[derive(Clone, Debug, PartialEq)]
pub struct MapperFigures {
    /// Its name.
    pub mapper: String,
    /// Its version.
    pub version: String,
    /// Calls by how they ended: `mapped`, `refused`, `trapped`, `nonsense`, `limit`, and `gateway` where it was not
    /// the mapper's doing.
    pub calls: Vec<(&'static str, u64)>,
    /// Limits that were met, by their name.
    pub limits: Vec<(&'static str, u64)>,
    /// CPU time of its calls in seconds.
    pub cpu: Spread,
    /// Memory of its calls in bytes.
    pub memory: Spread,
    /// Times that its compiled form was found.
    pub cache_hits: u64,
    /// Times that it was compiled.
    pub compilations: u64,
    /// How long that took together.
    pub compile_time: Duration,
}

/// How a measure was spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// All of it together.
    pub sum: f64,
    /// How often it was measured.
    pub count: u64,
    /// How many were at most so much, and more than the bound before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
}

/// Ways to end, in the order of the counters.
const ENDS: [&str; 7] = ["mapped", "refused", "trapped", "nonsense", "limit", "gateway", "wasteful"];

/// Limits, in the order of the counters.
const LIMITS: [Which; 5] = [Which::Memory, Which::Cpu, Which::Input, Which::Output, Which::HostCalls];

/// The counters of one mapper and version. Counting is a few additions; nothing waits.
#[derive(Default)]
pub(super) struct Counters {
    ends: [AtomicU64; ENDS.len()],
    limits: [AtomicU64; LIMITS.len()],
    cpu: [AtomicU64; CPU_SECONDS.len() + 1],
    cpu_micros: AtomicU64,
    memory: [AtomicU64; MEMORY_BYTES.len() + 1],
    memory_bytes: AtomicU64,
    cache_hits: AtomicU64,
    compilations: AtomicU64,
    compile_micros: AtomicU64,
}

impl Counters {
    /// A call ended.
    pub fn ended(&self, failure: Option<&Failure>) {
        let end = match failure {
            None => 0,
            Some(Failure::Refused(_)) => 1,
            Some(Failure::Trapped { .. }) => 2,
            Some(Failure::Nonsense { .. }) => 3,
            Some(Failure::Limit { which, .. }) => {
                let at = LIMITS.iter().position(|limit| limit == which);
                add(at.and_then(|at| self.limits.get(at)), 1);
                4
            }
            Some(Failure::Overloaded | Failure::TooLong | Failure::Broken) => 5,
            Some(Failure::Wasteful { .. }) => 6,
        };
        add(self.ends.get(end), 1);
    }

    /// A guest ran, whatever became of it.
    pub fn used(&self, usage: &Usage) {
        let seconds = usage.cpu.as_secs_f64();
        add(self.cpu.get(CPU_SECONDS.partition_point(|bound| *bound < seconds)), 1);
        add(Some(&self.cpu_micros), micros(usage.cpu));
        let bytes = u64::try_from(usage.memory_bytes).unwrap_or(u64::MAX);
        // Memories have at most 64 MiB: a double holds every such number.
        add(self.memory.get(MEMORY_BYTES.partition_point(|bound| *bound < bytes as f64)), 1);
        add(Some(&self.memory_bytes), bytes);
    }

    /// It was loaded: from its compiled form, or compiled in this time.
    pub fn loaded(&self, compiled: Option<Duration>) {
        match compiled {
            None => add(Some(&self.cache_hits), 1),
            Some(took) => {
                add(Some(&self.compilations), 1);
                add(Some(&self.compile_micros), micros(took));
            }
        }
    }

    fn read(&self, mapper: &str, version: &str) -> MapperFigures {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let spread = |bounds: &[f64], counters: &[AtomicU64], sum: f64| {
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(counters.iter().map(get)).collect();
            Spread { sum, count: buckets.iter().map(|(_, count)| count).sum(), buckets }
        };
        let seconds = Duration::from_micros(get(&self.cpu_micros)).as_secs_f64();
        MapperFigures {
            mapper: mapper.to_owned(),
            version: version.to_owned(),
            calls: ENDS.into_iter().zip(self.ends.iter().map(get)).collect(),
            limits: LIMITS.into_iter().map(Which::name).zip(self.limits.iter().map(get)).collect(),
            cpu: spread(&CPU_SECONDS, &self.cpu, seconds),
            memory: spread(&MEMORY_BYTES, &self.memory, get(&self.memory_bytes) as f64),
            cache_hits: get(&self.cache_hits),
            compilations: get(&self.compilations),
            compile_time: Duration::from_micros(get(&self.compile_micros)),
        }
    }
}

fn add(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The counters of all mappers and versions that were loaded.
#[derive(Default)]
pub(super) struct Figures(Mutex<BTreeMap<(String, String), Arc<Counters>>>);

impl Figures {
    /// The counters of this one; the same for every generation that calls itself so.
    pub fn of(&self, mapper: &str, version: &str) -> Arc<Counters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (mapper.to_owned(), version.to_owned());
        if all.len() >= MOST && !all.contains_key(&name) {
            let unused = all.iter().find(|(_, counters)| Arc::strong_count(counters) == 1);
            let Some(unused) = unused.map(|(name, _)| name.clone()) else { return Arc::default() };
            all.remove(&unused);
        }
        Arc::clone(all.entry(name).or_default())
    }

    /// All of them as they stand.
    pub fn read(&self) -> Vec<MapperFigures> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|((mapper, version), counters)| counters.read(mapper, version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_mappers_that_are_counted_is_bounded() {
        let figures = Figures::default();
        let held = figures.of("a", "held");
        held.ended(None);
        for number in 0..2 * MOST {
            figures.of("b", &number.to_string()).ended(None);
        }
        let read = figures.read();
        assert_eq!((read.len(), read[0].version.as_str(), read[0].calls[0]), (MOST, "held", ("mapped", 1)));
    }

    #[test]
    fn a_measure_falls_under_the_first_bound_that_holds_it() {
        let figures = Figures::default();
        let counters = figures.of("a", "1");
        for (cpu, memory_bytes) in [(50, 131_072), (51, 131_073), (70_000, 64 << 20)] {
            counters.used(&Usage { cpu: Duration::from_micros(cpu), memory_bytes, ..Usage::default() });
        }
        let read = figures.read();
        let counts = |spread: &Spread| spread.buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>();
        assert_eq!(counts(&read[0].cpu), [1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(counts(&read[0].memory), [1, 1, 0, 0, 0, 1, 0]);
        assert_eq!((read[0].cpu.count, read[0].cpu.sum), (3, 0.070_101));
    }
}
