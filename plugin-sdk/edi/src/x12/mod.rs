//! ASC X12: interchanges (`ISA`), groups (`GS`), transaction sets (`ST`), segments and elements.
//!
//! [`Document::read`] takes what partners really send: a byte order mark, envelopes without padding, lines wrapped
//! by a mail system, any terminator, wrong counts. What is merely wrong becomes a [`Finding`]; only what can't be
//! read at all is an [`Error`]. Every segment and element knows its place in the bytes that came in.
//!
//! ```
//! use crossdock_edi::x12::Document;
//!
//! let document = Document::read(b"ST*945*0001~W06*F*88*20261120~SE*3*0001~").unwrap();
//! let set = document.sets().next().unwrap();
//! assert_eq!(set.id(), "945");
//! assert_eq!(set.segments().get(1).unwrap().value(2), "88");
//! ```

mod acknowledge;
mod check;
mod delimiters;
mod error;
mod read;
mod view;
mod write;

#[cfg(test)]
mod tests;

pub use acknowledge::{Form, GUIDE_999, GroupAnswer, Headers, Remark, SetAnswer};
pub use delimiters::{Delimiter, Delimiters, Terminator};
pub use error::{Error, Finding, Severity};
pub use read::Document;
pub use view::{Element, Group, Interchange, Segment, Segments, TransactionSet};
pub use write::{Conflict, Envelope, Style, WriteError, Writer};
