//! Policy files: raw, checked, built, swapped.
//!
//! [`read`] takes a folder into memory; [`check()`] turns its bytes into a [`Checked`] tree or says everything
//! that is wrong with them. Neither resolves a secret, opens a socket or compiles a mapper, so `policy check`
//! sees all that serving would see and changes nothing.

pub mod built;
#[cfg(test)]
mod cases;
mod check;
pub mod checked;
mod credentials;
pub mod live;
mod lives;
mod outward;
mod raw;
pub mod report;
mod secrets;
mod source;
mod targets;
pub mod units;
mod watch;

pub use built::{
    Contract, Expiry, Mapping, Operation, Owned, Ownership, Snapshot, Subscription, When, Workshop,
};
pub use check::{CheckSchema, check};
pub use checked::{Checked, Origin};
pub use credentials::KeySets;
pub use live::{Error as StartError, LiveMapper, Policies, Pushed, compiles, keep, read_checked};
pub use report::Report;
pub use secrets::read_secret;
pub use source::{Problem, ReadError, Source, read};
pub use watch::follow;
