//! Work that takes longer than a request: planned first, then done step by step at a rate, watched, cancelled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;

use crate::{server, words::Time};

/// Jobs that are remembered; the oldest ended ones are forgotten first.
const KEPT: usize = 100;
/// Jobs that run at one time.
const RUNNING: usize = 8;
/// What went wrong is told of so many steps.
const TROUBLES: usize = 20;

/// The jobs of this process.
#[derive(Default)]
pub struct Jobs(Mutex<BTreeMap<u64, Arc<Job>>>);

/// One job.
pub(super) struct Job {
    id: u64,
    what: String,
    by: String,
    began: Time,
    total: u64,
    progress: watch::Sender<Progress>,
    cancelled: watch::Sender<bool>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Progress {
    state: State,
    done: u64,
    failed: u64,
    /// What went wrong, the first ones.
    troubles: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Running,
    Done,
    Cancelled,
    Stopped,
}

/// A job as it is shown.
#[derive(Serialize)]
pub(super) struct Shown {
    job: u64,
    what: String,
    by: String,
    began: Time,
    total: u64,
    #[serde(flatten)]
    progress: Progress,
}

impl Job {
    pub(super) fn shown(&self) -> Shown {
        Shown {
            job: self.id,
            what: self.what.clone(),
            by: self.by.clone(),
            began: self.began,
            total: self.total,
            progress: self.progress.borrow().clone(),
        }
    }

    /// A step is done, well or not.
    pub(super) fn step(&self, ended: Result<(), String>) {
        self.progress.send_modify(|progress| match ended {
            Ok(()) => progress.done += 1,
            Err(what) => {
                progress.failed += 1;
                if progress.troubles.len() < TROUBLES {
                    progress.troubles.push(what);
                }
            }
        });
    }

    /// Waits before the next step; false when there shall be none.
    pub(super) async fn pace(&self, wait: Duration, stop: &mut watch::Receiver<bool>) -> bool {
        let mut cancelled = self.cancelled.subscribe();
        tokio::select! {
            biased;
            () = server::stopped(stop) => {
                self.end(State::Stopped);
                false
            }
            () = server::stopped(&mut cancelled) => {
                self.end(State::Cancelled);
                false
            }
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// All steps are done.
    pub(super) fn finish(&self) {
        self.end(State::Done);
    }

    fn end(&self, state: State) {
        self.progress.send_modify(|progress| progress.state = state);
    }

    fn is_running(&self) -> bool {
        self.progress.borrow().state == State::Running
    }
}

impl Jobs {
    /// Takes a new job in; none while too many run.
    pub(super) fn begin(&self, what: String, by: String, began: Time, total: u64) -> Option<Arc<Job>> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.values().filter(|job| job.is_running()).count() >= RUNNING {
            return None;
        }
        while jobs.len() >= KEPT {
            let ended = jobs.iter().find(|(_, job)| !job.is_running()).map(|(id, _)| *id);
            jobs.remove(&ended?);
        }
        let id = jobs.last_key_value().map_or(1, |(last, _)| last + 1);
        let (progress, cancelled) = (watch::Sender::new(Progress::default()), watch::Sender::new(false));
        let job = Arc::new(Job { id, what, by, began, total, progress, cancelled });
        jobs.insert(id, Arc::clone(&job));
        Some(job)
    }

    /// All of them, the newest first.
    pub(super) fn all(&self) -> Vec<Shown> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.values().rev().map(|job| job.shown()).collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Lets a job end after its present step.
    pub(super) fn cancel(&self, id: u64) -> Option<Shown> {
        let job = self.get(id)?;
        job.cancelled.send_replace(true);
        Some(job.shown())
    }
}

/// The wait between two steps of a job that does so many in a second.
pub(super) fn between(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.clamp(1, 10_000)
}
