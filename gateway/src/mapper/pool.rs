//! The workers: own threads, a fair queue per partner, one byte budget, and the ticker that lets calls be stopped.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use wasmtime::Engine;

use super::Error;
use crate::words::PartnerName;

/// How often running calls look whether they must stop.
const TICK: Duration = Duration::from_millis(1);

/// Idle ticks before the ticker sleeps: waking it for every call of a busy second would cost a system call each.
const IDLE_TICKS: u32 = 20;

/// Native stack of a worker: the guests' own limit, and room for the host's frames below it.
const WORKER_STACK: usize = 4 << 20;

/// One message's work.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Bytes that the host may hold for all calls together: bodies, guest memory and output.
pub(super) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    /// Takes `bytes`, or nothing if they are not there.
    pub fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Gives `bytes` back that were taken.
    pub fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Takes `bytes` for as long as the answer lives.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        self.take(bytes).then(|| Held { budget: Arc::clone(self), bytes })
    }

    /// What is left.
    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }
}

/// A share of the budget; given back on drop.
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// The worker threads and their queues.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    per_partner: usize,
}

#[derive(Default)]
struct Queues {
    waiting: HashMap<PartnerName, VecDeque<Job>>,
    /// Partners that have work, the next one first; each is here once.
    turn: VecDeque<PartnerName>,
    closed: bool,
}

impl Pool {
    /// Starts `workers` threads.
    pub fn start(workers: usize, per_partner: usize) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            work: Condvar::new(),
            per_partner: per_partner.max(1),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(workers) };
        for number in 0..workers {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new()
                .name(format!("mapper-{number}"))
                .stack_size(WORKER_STACK)
                .spawn(move || shared.work_until_closed())
                .map_err(|error| Error::Thread(error.to_string()))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Queues a job behind the other jobs of its partner; gives up if there are too many.
    pub fn submit(&self, partner: &PartnerName, job: Job) -> Result<(), Full> {
        let mut queues = self.shared.lock();
        let Queues { waiting, turn, .. } = &mut *queues;
        match waiting.get_mut(partner) {
            Some(queue) if queue.len() >= self.shared.per_partner => return Err(Full),
            Some(queue) => queue.push_back(job),
            None => {
                waiting.insert(partner.clone(), VecDeque::from([job]));
                turn.push_back(partner.clone());
            }
        }
        drop(queues);
        self.shared.work.notify_one();
        Ok(())
    }
}

/// A partner's queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last handle of a host can be dropped by a worker's job; a thread cannot wait for itself.
            if thread.thread().id() != own {
                // A worker catches what its jobs do, so there is nothing to learn from how it ended.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing that can panic runs under the lock, so a poisoned one is still whole.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_until_closed(&self) {
        while let Some(job) = self.next() {
            // A panic costs the one message: its answer channel is dropped, and its caller is told so.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.pop() {
                return Some(job);
            }
            queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queues {
    /// The next job, one of each partner in turn.
    fn pop(&mut self) -> Option<Job> {
        let partner = self.turn.pop_front()?;
        let queue = self.waiting.get_mut(&partner)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&partner);
        } else {
            self.turn.push_back(partner);
        }
        job
    }
}

/// Moves the engine's epoch while calls run, and sleeps while none do.
pub(super) struct Ticker {
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

struct Pulse {
    engine: Engine,
    running: AtomicUsize,
    asleep: AtomicBool,
    ended: AtomicBool,
    gate: Mutex<()>,
    wake: Condvar,
}

/// While it lives, the epoch moves.
pub(super) struct Ticking<'a>(&'a Pulse);

impl Ticker {
    /// Starts the thread.
    pub fn start(engine: Engine) -> Result<Self, Error> {
        let pulse = Arc::new(Pulse {
            engine,
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            gate: Mutex::new(()),
            wake: Condvar::new(),
        });
        let own = Arc::clone(&pulse);
        let thread = std::thread::Builder::new()
            .name("mapper-tick".to_owned())
            .spawn(move || own.tick_until_ended())
            .map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { pulse, thread: Some(thread) })
    }

    /// A call begins.
    pub fn run(&self) -> Ticking<'_> {
        // Both sides use sequentially consistent operations: either this sees `asleep`, or the ticker sees `running`.
        self.pulse.running.fetch_add(1, Ordering::SeqCst);
        if self.pulse.asleep.load(Ordering::SeqCst) {
            self.pulse.rouse();
        }
        Ticking(&self.pulse)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.ended.store(true, Ordering::SeqCst);
        self.pulse.rouse();
        if let Some(thread) = self.thread.take() {
            // The thread only sleeps and ticks; there is nothing to learn from how it ended.
            let _ = thread.join();
        }
    }
}

impl Pulse {
    fn rouse(&self) {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake.notify_all();
    }

    fn tick_until_ended(&self) {
        let mut idle = 0;
        while !self.ended.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            self.engine.increment_epoch();
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                self.sleep_until_needed();
                idle = 0;
            }
        }
    }

    fn sleep_until_needed(&self) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.ended.load(Ordering::SeqCst) {
            gate = self.wake.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}
