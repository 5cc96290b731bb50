//! What one call may use, and the meter that watches it.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use wasmtime::ResourceLimiter;

use super::pool::Budget;

/// What one call of a mapper may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memories and tables of the whole store, in bytes; 64 MiB at most.
    pub memory_bytes: usize,
    /// CPU time that every call has.
    pub cpu: Duration,
    /// CPU time that is added for every 10 KiB of input.
    pub cpu_per_10_kib: Duration,
    /// A call may take so many times its CPU time by the clock on the wall.
    pub wall_ratio: u32,
    /// Largest input in bytes.
    pub input_bytes: usize,
    /// Output in bytes that every call may give.
    pub output_bytes: usize,
    /// A large input may give so many times its own length.
    pub output_ratio: usize,
    /// Bytes of log lines that are kept.
    pub log_bytes: usize,
    /// Diagnostics that are kept.
    pub diagnostics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_millis(10),
            cpu_per_10_kib: Duration::from_millis(1),
            wall_ratio: 10,
            input_bytes: 1 << 20,
            output_bytes: 256 << 10,
            output_ratio: 8,
            log_bytes: 4 << 10,
            diagnostics: 100,
        }
    }
}

/// The limits that follow from the length of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// CPU time.
    pub cpu: Duration,
    /// Time by the clock on the wall.
    pub wall: Duration,
    /// Bytes of output.
    pub output_bytes: usize,
}

impl Limits {
    /// What an input of so many bytes may use.
    pub fn for_input(&self, bytes: usize) -> Ceiling {
        let parts = u32::try_from(bytes.div_ceil(10 << 10)).unwrap_or(u32::MAX);
        let cpu = self.cpu.saturating_add(self.cpu_per_10_kib.saturating_mul(parts));
        let output_bytes = self.output_bytes.max(bytes.saturating_mul(self.output_ratio));
        Ceiling { cpu, wall: cpu.saturating_mul(self.wall_ratio), output_bytes }
    }
}

/// What one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of its thread, instantiation included.
    pub cpu: Duration,
    /// Time by the clock on the wall, waiting in the queue excluded.
    pub wall: Duration,
    /// Instructions of WebAssembly, where the host's code counts them; the same on every machine.
    pub instructions: Option<u64>,
    /// Linear memories and tables at their largest, in bytes.
    pub memory_bytes: usize,
    /// Bytes that went in.
    pub input_bytes: usize,
    /// Bytes that came out.
    pub output_bytes: usize,
}

/// Which limit a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Memories and tables, in bytes.
    Memory,
    /// CPU time, in milliseconds.
    Cpu,
    /// Input, in bytes.
    Input,
    /// Output, in bytes.
    Output,
    /// Look-ups and log lines.
    HostCalls,
}

impl Which {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Input => "input",
            Self::Output => "output",
            Self::HostCalls => "host-calls",
        }
    }

    /// Its name with its unit, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory (bytes)",
            Self::Cpu => "cpu time (ms)",
            Self::Input => "input (bytes)",
            Self::Output => "output (bytes)",
            Self::HostCalls => "look-ups and log lines",
        }
    }
}

/// Why the host stopped a call; travels through wasmtime as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    #[error("a limit was met")]
    Limit { which: Which, allowed: u64, used: u64 },
    #[error("too many calls of the host")]
    HostCalls,
    #[error("the wall clock ran out")]
    TooLong,
    #[error("the byte budget of the host is spent")]
    Overloaded,
}

/// Watches one call. It sums every memory and table of the store, which wasmtime's own limits do not.
pub(super) struct Meter {
    ceiling: Ceiling,
    memory_allowed: usize,
    memory_used: usize,
    refused: Option<usize>,
    budget: Arc<Budget>,
    reserved: usize,
    cpu_start: Duration,
    wall_start: Instant,
    abandoned: Arc<AtomicBool>,
}

impl Meter {
    /// Starts to measure.
    pub fn start(limits: &Limits, ceiling: Ceiling, budget: Arc<Budget>, abandoned: Arc<AtomicBool>) -> Self {
        Self {
            ceiling,
            memory_allowed: limits.memory_bytes.min(super::engine::SLOT_MEMORY),
            memory_used: 0,
            refused: None,
            budget,
            reserved: 0,
            cpu_start: thread_cpu(),
            wall_start: Instant::now(),
            abandoned,
        }
    }

    /// CPU and wall time since the start.
    pub fn elapsed(&self) -> (Duration, Duration) {
        (thread_cpu().saturating_sub(self.cpu_start), self.wall_start.elapsed())
    }

    /// Bytes of memories and tables; they never shrink, so this is the peak.
    pub fn memory_used(&self) -> usize {
        self.memory_used
    }

    /// The limit that a refused growth met: a guest that traps after it died of the limit.
    pub fn refused_growth(&self) -> Option<Stop> {
        self.refused.map(|wanted| self.memory_stop(wanted))
    }

    /// Called on an epoch tick: go on, or why not.
    pub fn check_time(&self) -> Result<(), Stop> {
        // The caller went away: whatever is answered is dropped.
        if self.abandoned.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Stop::TooLong);
        }
        let (cpu, wall) = self.elapsed();
        if cpu > self.ceiling.cpu {
            return Err(Stop::Limit {
                which: Which::Cpu,
                allowed: whole_millis(self.ceiling.cpu),
                used: whole_millis(cpu),
            });
        }
        if wall > self.ceiling.wall { Err(Stop::TooLong) } else { Ok(()) }
    }

    fn memory_stop(&self, wanted: usize) -> Stop {
        Stop::Limit {
            which: Which::Memory,
            allowed: u64::try_from(self.memory_allowed).unwrap_or(u64::MAX),
            used: u64::try_from(wanted).unwrap_or(u64::MAX),
        }
    }

    fn grow(&mut self, by: usize) -> Result<bool, Stop> {
        let wanted = self.memory_used.saturating_add(by);
        if wanted > self.memory_allowed {
            self.refused = Some(wanted);
            return Ok(false);
        }
        if !self.budget.take(by) {
            // Refusing the growth would let the guest see how busy the host is; the call ends instead.
            return Err(Stop::Overloaded);
        }
        self.reserved += by;
        self.memory_used = wanted;
        Ok(true)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.budget.give_back(self.reserved);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current)).map_err(wasmtime::Error::new)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current).saturating_mul(size_of::<usize>());
        self.grow(bytes).map_err(wasmtime::Error::new)
    }
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write a timespec to; the clock exists on every Linux and macOS.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the thread's CPU clock is always there");
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
