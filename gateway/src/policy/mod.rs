//! Policy files: raw, checked, built, swapped.
//!
//! A folder is read into memory; its bytes become a [`checked::Checked`] tree, or a report of
//! everything that is wrong with them. Neither step resolves a secret, opens a socket or compiles a mapper, so
//! `policy check` sees all that serving would see and changes nothing.

pub mod checked;
pub mod raw;
pub mod source;
pub mod units;

pub use checked::{Checked, Origin};
pub use source::{ReadError, Source, read};
