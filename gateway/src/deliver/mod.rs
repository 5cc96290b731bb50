//! From the journal to the targets: what is ready is mapped, pinned, called and recorded.
//!
//! `decide` and `desk` do no I/O: the one says what follows from an attempt, the other what may start and when to
//! look again. `runner` drives them over the journal, the mappers and the network.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{
    journal::{Counter, Outbound, Work},
    words::{Diagnostic, Pairs, SubscriptionName, TargetName},
};

pub mod breaker;
pub mod call;
mod carry;
pub mod decide;
pub mod desk;
pub mod runner;
pub mod sign;
#[cfg(test)]
mod simulation;
pub mod target;

pub use call::{Answer, Call, CallError, HttpCall, Request};
pub use runner::{Parts, Runner, RuntimeTimer, Stats, TargetStats, Timer};
pub use sign::WebhookKey;
pub use target::{Breaker, Credentials, Endpoint, InvalidEndpoint, Retry, Secret, Target};

/// A value that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where events go: the part of a policy snapshot that deliveries need. One snapshot serves one delivery from its
/// first look-up to its record.
pub trait Plan: Send + Sync {
    /// Every target.
    fn targets(&self) -> Vec<Arc<Target>>;

    /// The target of this name, if the policy still has it.
    fn target(&self, name: &TargetName) -> Option<Arc<Target>>;

    /// The subscription of this name, if the policy still has it.
    fn subscription(&self, name: &SubscriptionName) -> Option<Arc<Subscription>>;
}

/// A binding of event types to a target, as far as a delivery needs it.
#[derive(Clone)]
pub struct Subscription {
    /// Its name.
    pub name: SubscriptionName,
    /// The target that new events go to. A delivery goes where it was enqueued to.
    pub target: TargetName,
    /// Makes the target's document, with the mapper, tables, limits, zone and configuration that the snapshot gives.
    pub map: Arc<dyn Map>,
}

/// Makes a target's document from an event.
pub trait Map: Send + Sync {
    /// The control numbers that the document carries: taken once from the journal, then handed to `map` as
    /// `(kind, number)` in this order.
    fn wants(&self, target: &Target) -> Vec<Counter>;

    /// Maps the event. The same work, target and control numbers give the same bytes.
    ///
    /// # Errors
    /// The mapper refused, failed, or could not run just now.
    fn map(
        &self,
        work: &Work,
        target: &Target,
        control_numbers: Pairs,
    ) -> Later<'static, Result<Outbound, MapFailure>>;
}

/// Why there is no document for a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapFailure {
    /// The mapper says that this event cannot be put into the target's format; a person must look.
    #[error("the mapper refused the event")]
    Refused(Vec<Diagnostic>),
    /// The mapper trapped, exceeded a limit, gave nonsense, or is not there; a person must look.
    #[error("{0}")]
    Failed(String),
    /// The mapper host has no room just now; nothing is wrong with the event.
    #[error("{0}")]
    Later(String),
}
