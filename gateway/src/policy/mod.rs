//! Policy files: raw, checked, built, swapped.
//!
//! A folder is read into memory; its bytes become a [`checked::Checked`] tree, or a report of
//! everything that is wrong with them. Neither step resolves a secret, opens a socket or compiles a mapper, so
//! `policy check` sees all that serving would see and changes nothing.

pub mod built;
pub mod checked;
mod credentials;
mod lives;
pub mod live;
mod outward;
pub mod raw;
mod secrets;
pub mod source;
mod targets;
pub mod units;
mod watch;

pub use built::{Contract, Mapping, Operation, Snapshot, Subscription, Workshop};
pub use checked::{Checked, Origin};
pub use credentials::KeySets;
pub use live::{LiveMapper, Policies, Pushed, keep, read_checked};
pub use secrets::read_secret;
pub use watch::follow;
pub use source::{ReadError, Source, read};
