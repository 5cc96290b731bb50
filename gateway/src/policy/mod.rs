//! Policy files: raw, checked, built, swapped.
//!
//! [`read`] takes a folder into memory; [`check()`] turns its bytes into a [`Checked`] tree or says everything
//! that is wrong with them. Neither resolves a secret, opens a socket or compiles a mapper, so `policy check`
//! sees all that serving would see and changes nothing.

#[cfg(test)]
mod cases;
mod check;
pub mod checked;
mod raw;
pub mod report;
mod source;
mod units;

pub use check::{CheckSchema, check};
pub use checked::{Checked, Origin};
pub use report::Report;
pub use source::{Problem, ReadError, Source, read};
