//! UN/EDIFACT (ISO 9735, syntax versions 1 to 4): interchanges (`UNB`), groups (`UNG`), messages (`UNH`), segments,
//! elements, their repetitions and components.
//!
//! [`Document::read`] takes what partners really send: a byte order mark, a line for each segment, no `UNA`, messages
//! without an interchange, wrong counts, UTF-8 under the name of UNOA. What is merely wrong becomes a [`Finding`]; only
//! what can't be read at all is an [`Error`]. Every segment, element and component knows its place in the bytes that
//! came in.
//!
//! ```
//! use crossdock_edi::edifact::Document;
//!
//! let document = Document::read(b"UNH+1+DESADV:D:96A:UN'BGM+351+4711+9'UNT+3+1'").unwrap();
//! let message = document.messages().next().unwrap();
//! assert_eq!(message.kind(), "DESADV");
//! assert_eq!(message.segments().get(1).unwrap().value(2, 1), "4711");
//! ```

mod charset;
mod check;
mod error;
mod headers;
mod read;
mod service;
mod view;
mod write;

#[cfg(test)]
mod tests;

pub use charset::Charset;
pub use error::{Error, Finding, Severity};
pub use headers::Headers;
pub use read::Document;
pub use service::Service;
pub use view::{Component, Element, Group, Interchange, Message, Segment, Segments};
pub use write::{Envelope, WriteError, Writer};
