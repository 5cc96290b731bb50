//! Write a mapper: what turns a vendor's documents into canonical events, and events into documents.
//!
//! ```
//! use crossdock_mapper::{Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Refusal, canonical};
//!
//! struct Acme;
//!
//! impl Mapper for Acme {
//!     fn to_canonical(_: &Context, document: &Input) -> Result<Mapped, Refusal> {
//!         let confirmation: serde_json::Value = document.json()?;
//!         let shipment = confirmation["shipmentId"].as_str().ok_or_else(|| {
//!             Diagnostic::error("missing", "the shipment has no number").at(Location::json_pointer("/shipmentId"))
//!         })?;
//!         let dispatched = canonical::ShipmentDispatched { shipment: shipment.into(), ..Default::default() };
//!         Ok(Event::new(&dispatched).natural_key("shipment", shipment).order_key("shipment", shipment).into())
//!     }
//! }
//!
//! crossdock_mapper::export!(Acme);
//! ```
//!
//! A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. It
//! compiles natively too, so that its cases run as ordinary tests.

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod diagnostic;
mod event;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
pub mod log;
mod message;
pub mod tables;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use crossdock_canonical as canonical;
pub use diagnostic::{Diagnostic, Location, Refusal, Severity};
pub use event::{Event, Mapped, Recorded, Reject};
pub use message::{Context, Input, Outcome, Output, Part, Stage};
pub use serde_json;

/// A name and its value; order and repeats are kept.
pub type Pairs = Vec<(String, String)>;

/// What a mapper offers. A direction that it leaves out answers with a diagnostic `unsupported`.
pub trait Mapper {
    /// Reads a document and drafts the events that it tells of.
    ///
    /// # Errors
    /// What is wrong with the document, each with its place in it.
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        let _ = (context, document);
        Err(Diagnostic::error("unsupported", "this mapper reads no documents").into())
    }

    /// Writes the document that tells a target of these events.
    ///
    /// # Errors
    /// What of the events cannot be said in the target's format.
    fn from_canonical(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        let _ = (context, events);
        Err(Diagnostic::error("unsupported", "this mapper writes no documents").into())
    }

    /// Writes the functional acknowledgement of a group whose parts ended so; none where the format has none.
    ///
    /// # Errors
    /// Why there can be no acknowledgement.
    fn acknowledge(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
        let _ = (context, outcomes);
        Err(Diagnostic::error("unsupported", "this mapper writes no acknowledgements").into())
    }
}

/// Makes a type the mapper that this crate exports. In a native build it only checks the type.
#[macro_export]
macro_rules! export {
    ($mapper:ty) => {
        const _: () = {
            const fn is_a_mapper<M: $crate::Mapper>() {}
            is_a_mapper::<$mapper>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::export_glue!($mapper);
    };
}
