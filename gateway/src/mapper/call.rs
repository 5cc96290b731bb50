//! One call of a mapper: what goes in, what comes out, and how it can fail.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use super::{
    clip,
    command::Streams,
    limits::{Ceiling, Limits, Meter, Stop, Usage, Which},
    pool::{Budget, Ticker},
    tables::Tables,
    wire,
};
use crate::words::{Diagnostic, Draft, Event, Location, Pairs, PartnerName, Severity, Time};

/// Look-ups and log lines of one call; the clock is looked at between them, when the guest goes on.
const HOST_CALLS: u32 = 100_000;

/// What wasmtime counts beside the payload when it copies an answer: the host's own structs around short strings.
const LIFT_OVERHEAD: usize = 1 << 20;

/// Frames of a back trace that are shown.
const FRAMES: usize = 20;

/// Bytes of one of its names.
const LONGEST_FRAME: usize = 200;

/// Bytes of a failure on one line.
const LONGEST_LINE: usize = 2 << 10;

/// A call of a mapper.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose message it is; the queue is fair between partners.
    pub partner: PartnerName,
    /// What the mapper is told.
    pub context: Context,
    /// The tables that it may look things up in.
    pub tables: Arc<Tables>,
    /// What it may use.
    pub limits: Limits,
}

/// Which half of a synchronous call a document belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The caller's document, and every document of an exchange.
    #[default]
    Request,
    /// The target's answer to it.
    Answer,
}

/// What a mapper is told about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The partner that owns the message.
    pub partner: String,
    /// Sender of the interchange, where the format has one.
    pub sender: String,
    /// Its receiver.
    pub receiver: String,
    /// `api/operation`.
    pub operation: String,
    /// Version of the API.
    pub version: String,
    /// Request or answer.
    pub stage: Stage,
    /// The only clock that a mapper sees.
    pub received_at: Time,
    /// IANA zone for times that carry none.
    pub zone: Option<String>,
    /// Control numbers that were taken for it.
    pub control_numbers: Pairs,
    /// The mapper's configuration from the policy, JSON.
    pub config: Bytes,
}

/// A canonical event on its way to a mapper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event: Event,
}

/// What a document became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its events, not checked yet.
    pub drafts: Vec<Draft>,
    /// Units that could not be mapped while their neighbours could.
    pub rejects: Vec<Reject>,
    /// What the mapper remarked.
    pub diagnostics: Vec<Diagnostic>,
}

impl Mapped {
    /// Whether its rejected units sink it: all of a document or nothing, unless parts of one are taken.
    pub fn is_sunk(&self, partial: bool) -> bool {
        !self.rejects.is_empty() && (!partial || self.drafts.is_empty())
    }

    /// The first thing that it is refused for, if it is.
    pub fn objection(&self, partial: bool) -> Option<&Diagnostic> {
        let sunk = self.is_sunk(partial);
        let rejected = self.rejects.iter().filter(|_| sunk).flat_map(|reject| &reject.diagnostics);
        let errors = self.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        rejected.chain(errors).next()
    }
}

/// A unit that could not be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// `transaction-set`, `row`, …
    pub unit: String,
    /// Where it is.
    pub at: Location,
    /// Why.
    pub diagnostics: Vec<Diagnostic>,
}

/// A line that a mapper logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it weighs.
    pub severity: Severity,
    /// The line, without control characters.
    pub message: String,
}

/// A result with what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran<T> {
    /// The result.
    pub value: T,
    /// What it cost.
    pub usage: Usage,
    /// What the mapper logged, as far as it was kept.
    pub log: Vec<LogLine>,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The mapper refused the document, in its own words: the caller's fault.
    #[error("the mapper refused the document with {} diagnostics", .0.len())]
    Refused(Vec<Diagnostic>),
    /// A limit was met.
    #[error("{} over its limit: {used} of {allowed} allowed", which.label())]
    Limit {
        /// Which.
        which: Which,
        /// What is allowed, in the limit's unit.
        allowed: u64,
        /// What was asked for.
        used: u64,
    },
    /// The mapper trapped, or ended without a word.
    #[error("the mapper trapped: {what}")]
    Trapped {
        /// The kind of trap.
        what: String,
        /// Where in the mapper: for its author and the operator, never for the sender.
        trace: Box<Trace>,
    },
    /// What the mapper answered breaks the contract.
    #[error("the mapper's answer breaks the contract: {what}")]
    Nonsense {
        /// How.
        what: String,
    },
    /// Too much is waiting or held in memory. Safe to retry.
    #[error("too much work is waiting for the mappers")]
    Overloaded,
    /// Too many of this partner's messages met a limit of this mapper, or made it trap, just before. Safe to retry.
    #[error("too many messages met the mapper's limits just before")]
    Wasteful {
        /// When the next one is tried.
        retry_after: Duration,
    },
    /// The machine was too busy to finish in time: the gateway's fault. Safe to retry.
    #[error("the mapper was not finished in time")]
    TooLong,
    /// The host itself failed on this message: the gateway's fault. Safe to retry.
    #[error("the mapper host failed")]
    Broken,
}

/// Where a mapper was when it trapped, and what it had logged by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Its functions by name, or by number where it carries no names; the innermost first.
    pub frames: Vec<String>,
    /// What it logged; a panic usually says there what happened.
    pub log: Vec<LogLine>,
}

impl Trace {
    /// The back trace of the error, as far as it is shown.
    fn of(error: &wasmtime::Error) -> Box<Self> {
        let trace = error.downcast_ref::<WasmBacktrace>();
        let frames = trace.into_iter().flat_map(WasmBacktrace::frames).take(FRAMES);
        let frames = frames.map(|frame| match frame.func_name() {
            Some(name) => clip(&format!("{:#}", rustc_demangle::demangle(name)), LONGEST_FRAME),
            None => format!("function {}", frame.func_index()),
        });
        Box::new(Self { frames: frames.collect(), log: Vec::new() })
    }
}

impl Failure {
    /// The failure with the mapper's own back trace and log, some lines: for its author, never for the sender.
    pub fn in_full(&self) -> String {
        let Self::Trapped { trace, .. } = self else { return self.to_string() };
        let frames = trace.frames.iter().map(|frame| format!("\n  in {frame}"));
        let log = trace.log.iter().map(|line| format!("\n  log: {}", line.message));
        std::iter::once(self.to_string()).chain(frames).chain(log).collect()
    }

    /// The same on one line, for the gateway's log and an exception: for the operator, never for the sender.
    pub fn on_one_line(&self) -> String {
        let mut line = self.to_string();
        if let Self::Trapped { trace, .. } = self {
            for (index, frame) in trace.frames.iter().enumerate() {
                line.push_str(if index == 0 { "; in " } else { ", called by " });
                line.push_str(frame);
            }
            for (index, said) in trace.log.iter().enumerate() {
                line.push_str(if index == 0 { "; it logged: " } else { " / " });
                line.push_str(&said.message);
            }
        }
        clip(&line, LONGEST_LINE)
    }
}

/// What a store carries.
pub(super) struct State {
    pub meter: Meter,
    pub tables: Arc<Tables>,
    pub log: Log,
    /// What a command module reads and writes; none for a component.
    pub streams: Option<Box<Streams>>,
    host_calls_left: u32,
}

/// The lines that a mapper logged, as far as they are kept.
pub(super) struct Log {
    lines: Vec<LogLine>,
    left: usize,
}

impl Log {
    /// Nothing yet, and so many bytes at most.
    pub fn new(most: usize) -> Self {
        Self { lines: Vec::new(), left: most }
    }

    /// Bytes that may still be kept.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Keeps a line, or as much of it as there is room for.
    pub fn write(&mut self, severity: Severity, message: &str) {
        if self.left > 0 {
            let message = clip(message, self.left);
            // An empty line costs a byte too, or their number would have no bound.
            self.left -= message.len().max(1);
            self.lines.push(LogLine { severity, message });
        }
    }
}

/// What every call needs of its host.
pub(super) struct Desk {
    pub engine: wasmtime::Engine,
    pub ticker: Ticker,
    pub budget: Arc<Budget>,
    /// Whether its code counts its instructions.
    pub counts: bool,
}

impl State {
    /// Counts a call of the host, and ends the guest's if there were too many.
    pub fn count_host_call(&mut self) -> Result<(), Stop> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(Stop::HostCalls)?;
        Ok(())
    }
}

/// One call on the way to its worker.
pub(super) struct Order {
    pub tables: Arc<Tables>,
    pub limits: Limits,
    pub ceiling: Ceiling,
    pub input_bytes: usize,
    pub abandoned: Arc<AtomicBool>,
}

/// What a call gave back before it was looked at.
pub(super) struct Raw<R> {
    pub value: Result<R, Failure>,
    pub usage: Usage,
    pub log: Vec<LogLine>,
    /// Diagnostics that were not kept.
    pub dropped: usize,
}

impl<R> Raw<R> {
    /// A call that did not begin.
    pub fn failed(failure: Failure) -> Self {
        Self { value: Err(failure), usage: Usage::default(), log: Vec::new(), dropped: 0 }
    }

    /// The same call with another look at what it gave.
    pub fn then<T>(self, read: impl FnOnce(R) -> Result<T, Failure>) -> Raw<T> {
        let Self { value, usage, log, dropped } = self;
        Raw { value: value.and_then(read), usage, log, dropped }
    }

    /// The result with what it cost. A trap takes the log with it, for its author.
    pub fn finish<T>(self, read: impl FnOnce(R) -> Result<T, Failure>) -> Result<Ran<T>, Failure> {
        match self.value.and_then(read) {
            Ok(value) => Ok(Ran { value, usage: self.usage, log: self.log }),
            Err(Failure::Trapped { what, mut trace }) => {
                trace.log = self.log;
                Err(Failure::Trapped { what, trace })
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Desk {
    /// Runs a guest in a fresh store. Everything of the guest's, instantiation included, is under the limits.
    pub fn run<R>(
        &self,
        order: Order,
        streams: Option<Box<Streams>>,
        work: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
    ) -> Raw<R> {
        let output_bytes = order.ceiling.output_bytes;
        let Some(_output) = self.budget.hold(output_bytes) else {
            return Raw::failed(Failure::Overloaded);
        };
        let _ticking = self.ticker.run();
        let meter = Meter::start(&order.limits, order.ceiling, Arc::clone(&self.budget), order.abandoned);
        let state = State {
            meter,
            tables: order.tables,
            log: Log::new(order.limits.log_bytes),
            streams,
            host_calls_left: HOST_CALLS,
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(output_bytes.saturating_mul(2).saturating_add(LIFT_OVERHEAD));
        store.set_epoch_deadline(1);
        if self.counts
            && let Err(error) = store.set_fuel(u64::MAX)
        {
            return Raw::failed(Failure::Nonsense { what: clip(&error.to_string(), 120) });
        }
        store.epoch_deadline_callback(|store| {
            store.data().meter.check_time()?;
            Ok(UpdateDeadline::Continue(1))
        });
        let called = work(&mut store);
        let meter = &store.data().meter;
        let (cpu, wall) = meter.elapsed();
        let memory_bytes = meter.memory_used();
        // What is left is an error where nothing is counted.
        let instructions = store.get_fuel().ok().map(|left| u64::MAX - left);
        let input_bytes = order.input_bytes;
        let usage = Usage { cpu, wall, instructions, memory_bytes, input_bytes, output_bytes: 0 };
        let value = called.map_err(|error| failure(&error, meter, output_bytes));
        Raw { value, usage, log: std::mem::take(&mut store.data_mut().log.lines), dropped: 0 }
    }
}

/// Names what went wrong, without an address or a path in it.
fn failure(error: &wasmtime::Error, meter: &Meter, output_bytes: usize) -> Failure {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.failure();
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        // A guest that asked for more memory than it may have usually aborts next; memory is what it died of.
        return match (meter.refused_growth(), trap_name(*trap)) {
            (Some(stop), _) => stop.failure(),
            (None, Some(what)) => Failure::Trapped { what: what.to_owned(), trace: Trace::of(error) },
            (None, None) => Failure::Nonsense { what: clip(&trap.to_string(), 120) },
        };
    }
    let root = error.root_cause().to_string();
    // The type of this error is private to wasmtime; its text is all that there is to know it by.
    if root.contains("fuel allocated for hostcalls") {
        let allowed = u64::try_from(output_bytes).unwrap_or(u64::MAX);
        return Failure::Limit { which: Which::Output, allowed, used: allowed.saturating_add(1) };
    }
    if let Some(stop) = meter.refused_growth() {
        return stop.failure();
    }
    Failure::Nonsense { what: clip(&root, 120) }
}

impl Stop {
    fn failure(self) -> Failure {
        match self {
            Self::Limit { which, allowed, used } => Failure::Limit { which, allowed, used },
            Self::HostCalls => Failure::Limit {
                which: Which::HostCalls,
                allowed: u64::from(HOST_CALLS),
                used: u64::from(HOST_CALLS) + 1,
            },
            Self::TooLong => Failure::TooLong,
            Self::Overloaded => Failure::Overloaded,
        }
    }
}

/// The kind of a trap in plain words; none if it is the answer that breaks the contract.
fn trap_name(trap: Trap) -> Option<&'static str> {
    Some(match trap {
        Trap::UnreachableCodeReached => "unreachable code was reached (a panic or an abort)",
        Trap::StackOverflow => "the stack overflowed",
        Trap::MemoryOutOfBounds => "memory access out of bounds",
        Trap::TableOutOfBounds => "table access out of bounds",
        Trap::IndirectCallToNull => "an indirect call of nothing",
        Trap::BadSignature => "an indirect call with another type",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "integer division by zero",
        Trap::BadConversionToInteger => "a number that is not an integer",
        Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer
        | Trap::InvalidChar => return None,
        _ => "a trap",
    })
}

/// Weighs an answer, and holds it to what no tick could: its length, and the time of one long last instruction.
pub(super) fn weighed<R: wire::Weight>(raw: &mut Raw<(R,)>, ceiling: Ceiling) {
    let Ok((value,)) = &raw.value else { return };
    raw.usage.output_bytes = value.weight();
    let widen = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    if raw.usage.output_bytes > ceiling.output_bytes {
        let (allowed, used) = (widen(ceiling.output_bytes), widen(raw.usage.output_bytes));
        raw.value = Err(Failure::Limit { which: Which::Output, allowed, used });
    } else if raw.usage.cpu > ceiling.cpu.saturating_add(Duration::from_millis(5)) {
        // A call that ends between two ticks may pass its budget by a little; more than that is not let through.
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (allowed, used) = (millis(ceiling.cpu), millis(raw.usage.cpu));
        raw.value = Err(Failure::Limit { which: Which::Cpu, allowed, used });
    }
}
