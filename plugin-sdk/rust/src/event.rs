//! Events, drafted by a mapper or recorded by the gateway.

use canonical::{Canonical, Time};
use crossdock_canonical as canonical;
use serde_json::value::Value;

use crate::{Diagnostic, Location, Pairs, Refusal};

/// A canonical event without its envelope, which is the gateway's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Canonical type: `shipment.dispatched`.
    pub kind: String,
    /// Version of its schema.
    pub schema_version: String,
    /// What makes it the same business fact when it is told again.
    pub natural_key: Pairs,
    /// The business keys whose order it keeps, the flow's own key first.
    pub order_keys: Pairs,
    /// The source's own number of it, where the source counts.
    pub sequence: Option<String>,
    /// Natural key of the fact that it corrects or reverses.
    pub corrects: Pairs,
    /// When it happened.
    pub occurred_at: Option<String>,
    /// JSON by the schema of its kind.
    pub data: Vec<u8>,
    /// Room to grow.
    pub more: Pairs,
}

impl Event {
    /// An event of this data, of its kind and version.
    pub fn new<T: Canonical>(data: &T) -> Self {
        let data = serde_json::to_vec(data).expect("canonical data has text for keys and no floats");
        Self { kind: T::KIND.into(), schema_version: T::VERSION.into(), data, ..Self::default() }
    }

    /// Adds to what makes it the same business fact: `("shipment", "4711")`.
    #[must_use]
    pub fn natural_key(mut self, kind: &str, value: impl Into<String>) -> Self {
        self.natural_key.push((kind.to_owned(), value.into()));
        self
    }

    /// Adds a business key whose order it keeps; the flow's own key, usually the order, comes first.
    #[must_use]
    pub fn order_key(mut self, kind: &str, value: impl Into<String>) -> Self {
        self.order_keys.push((kind.to_owned(), value.into()));
        self
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at(mut self, time: &Time) -> Self {
        self.occurred_at = time.text();
        self
    }

    /// The source's own number of it.
    #[must_use]
    pub fn sequence(mut self, number: impl Into<String>) -> Self {
        self.sequence = Some(number.into());
        self
    }

    /// Adds to the natural key of the fact that it corrects or reverses.
    #[must_use]
    pub fn corrects(mut self, kind: &str, value: impl Into<String>) -> Self {
        self.corrects.push((kind.to_owned(), value.into()));
        self
    }

    /// Is it of this kind?
    pub fn is<T: Canonical>(&self) -> bool {
        self.kind == T::KIND
    }

    /// The data, typed.
    ///
    /// # Errors
    /// The event is of another kind, or its data does not have the form of this one.
    pub fn data<T: Canonical>(&self) -> Result<T, Refusal> {
        if !self.is::<T>() {
            let message = format!("a {} event is needed, this is {}", T::KIND, self.kind);
            return Err(Diagnostic::error("wrong-event", message).into());
        }
        serde_json::from_slice(&self.data).map_err(|error| {
            Diagnostic::error("wrong-event", format!("{}: {error}", self.kind))
                .at(Location::json_pointer(""))
                .into()
        })
    }

    /// The data as plain JSON; null where it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.data).unwrap_or(Value::Null)
    }

    /// The value of its first order key of a kind.
    pub fn key(&self, kind: &str) -> Option<&str> {
        self.order_keys.iter().find(|(name, _)| name == kind).map(|(_, value)| value.as_str())
    }
}

/// An event as the gateway recorded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its id.
    pub id: String,
    /// Who said it: `/acme-3pl/shipments`.
    pub source: String,
    /// When the gateway recorded it, RFC 3339.
    pub recorded_at: String,
    /// What it says.
    pub event: Event,
}

impl Recorded {
    /// Is it of this kind?
    pub fn is<T: Canonical>(&self) -> bool {
        self.event.is::<T>()
    }

    /// The data, typed.
    ///
    /// # Errors
    /// As [`Event::data`].
    pub fn data<T: Canonical>(&self) -> Result<T, Refusal> {
        self.event.data()
    }
}

/// What a document became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The events that it tells of.
    pub events: Vec<Event>,
    /// Units of it that could not be mapped while their neighbours could.
    pub rejects: Vec<Reject>,
    /// Remarks on what was accepted.
    pub diagnostics: Vec<Diagnostic>,
    /// Room to grow.
    pub more: Pairs,
}

impl From<Event> for Mapped {
    fn from(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }
}

impl From<Vec<Event>> for Mapped {
    fn from(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }
}

/// A unit of a document that could not be mapped while its neighbours could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reject {
    /// Which: `ST*945*0002`.
    pub unit: String,
    /// Where it is.
    pub at: Location,
    /// Why.
    pub diagnostics: Vec<Diagnostic>,
    /// Room to grow.
    pub more: Pairs,
}
