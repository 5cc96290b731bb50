//! Third stage: what was called, in which version, and whether the document has the shape that this version
//! promises. Pure: it compiles what the policies give it and answers about requests.

pub mod condition;
pub mod lives;
pub mod routes;
pub mod schema;

pub use condition::{Condition, Facts, Invalid, Unjudged};
pub use lives::{By, Life, Lives, LivesError, Refused, Selected, State, split_version};
pub use routes::{Match, RouteError, Routes};
pub use schema::{Error, Library, Schema, place};

pub use crate::words::json::locate;
