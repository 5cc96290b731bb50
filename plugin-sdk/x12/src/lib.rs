//! What mappers of X12 share, whatever their transaction sets: the way of a document, the reading of segments, parties and
//! dates, code lists of the standard, and the writing of interchanges.
//!
//! A mapper says which sets it reads and how; envelopes, findings, places and what is left over are the same for all.

mod acknowledge;
mod document;
mod interchange;
mod party;
mod sheet;
mod source;
pub mod tables;

pub use acknowledge::acknowledge;
pub use document::{Mapping, read};
pub use interchange::{Config, Group, write};
pub use party::{Parties, is_country};
pub use sheet::{Kept, Row, Sheet, clean, is_code, mode_code, moment, scac, text, unit};
pub use source::{Left, Problems, Reading, Values, Zones, excerpt};
