//! Drives the deliveries: one task a target, bounded calls, and every outcome recorded before its lane goes on.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;

use super::{Call, Later, Plan};
use crate::{
    journal::Journal,
    words::{Clock, Random, TargetName, Time},
};

/// What the deliveries work with.
#[derive(Clone)]
pub struct Parts {
    /// Where deliveries are kept.
    pub journal: Arc<dyn Journal>,
    /// The policy in force. A new value is seen at once; a delivery keeps the one that it began with.
    pub plan: watch::Receiver<Arc<dyn Plan>>,
    /// Calls targets.
    pub call: Arc<dyn Call>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Spreads retries.
    pub random: Arc<dyn Random>,
    /// Waits.
    pub timer: Arc<dyn Timer>,
}

/// Waits for a moment; passed in, so that simulated time can pass at once.
pub trait Timer: Send + Sync {
    /// Ready when the clock has reached `at`.
    fn until(&self, at: Time) -> Later<'static, ()>;
}

/// Carries events from the journal to the targets.
pub struct Runner {
    parts: Parts,
    stats: Mutex<BTreeMap<TargetName, TargetStats>>,
}

impl Runner {
    /// A runner at rest.
    pub fn new(parts: Parts) -> Arc<Self>;

    /// Delivers until `stop` is ready. Then nothing new is started, what is in flight may finish within `drain`, and the rest stays with the journal.
    ///
    /// # Errors
    /// The store stopped, and the process must end.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send, drain: Duration) -> Result<(), journal::Error>;

    /// How the deliveries stand, for metrics and the console.
    pub fn stats(&self) -> Stats;
}
