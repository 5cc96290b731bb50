//! Policy files: raw, checked, built, swapped.
//!
//! [`read`] takes a folder into memory; [`check()`] turns its bytes into a [`Checked`] tree or says everything
//! that is wrong with them. Neither resolves a secret, opens a socket or compiles a mapper, so `policy check`
//! sees all that serving would see and changes nothing.

pub mod built;
mod canary;
#[cfg(test)]
mod cases;
mod check;
pub mod checked;
pub mod compat;
mod credentials;
pub mod diff;
pub mod differ;
mod fit;
mod git;
pub mod live;
mod lives;
mod lock;
mod mappers;
pub mod openapi;
mod outward;
mod raw;
pub mod registry;
pub mod report;
pub mod sarif;
pub mod schema;
mod secrets;
pub mod signature;
mod source;
mod targets;
pub mod trial;
pub mod units;
mod watch;

pub use built::{
    Contract, Expiry, Mapping, Operation, Owned, Ownership, Snapshot, Subscription, When, Workshop,
    rehearsing,
};
pub use canary::{BESIDE, Canary, Field, Pair, Part, Progress, Terms, is_its_own};
pub use check::{
    CheckSchema, check,
    trial::{by_file, trials},
};
pub use checked::{Checked, Origin};
pub use credentials::KeySets;
pub use fit::fit;
pub use git::{Error as GitError, from_git};
pub use live::{Error as StartError, Policies, compiles, read_checked};
pub use mappers::{
    ChangeError, Described, LiveMapper, Mappers, Push, Pushed, StoredGeneration, StoredMapper, Tidied,
    Unsound, Use, Verified,
};
pub use raw::yaml_or_json;
pub use registry::{Damage, Ended, Out, Registry};
pub use report::Report;
pub use secrets::read_secret;
pub use source::{Problem, ReadError, Source, read};
pub use watch::follow;
