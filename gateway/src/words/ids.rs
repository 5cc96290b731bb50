//! Time-ordered identifiers (ULID: 48 bits of milliseconds, 80 random bits) and the randomness they need.

use std::{fmt, str::FromStr, sync::Mutex};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Time;

/// A source of randomness; passed in, so that a seeded one can stand in its place.
pub trait Random: Send + Sync {
    /// 64 random bits.
    fn next(&self) -> u64;
}

/// The machine's randomness, from its cryptographic generator.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next(&self) -> u64 {
        rand::random()
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// The sixteen bytes, in order of time.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// Read back from where it was stored.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Ulid::from_string(text).map(Self).map_err(|_| format!("`{}` is not an id: 26 letters and digits are needed", text.chars().take(40).collect::<String>()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// One document that was handed in, accepted or refused.
    MessageId;
    /// One canonical event.
    EventId;
}

/// Hands out identifiers in strictly rising order, even within one millisecond.
pub struct IdSource {
    last: Mutex<Ulid>,
}

impl IdSource {
    /// A fresh source.
    pub fn new() -> Self {
        Self { last: Mutex::new(Ulid::nil()) }
    }

    /// The next message id.
    pub fn message(&self, now: Time, random: &dyn Random) -> MessageId {
        MessageId(self.next(now, random))
    }

    /// The next event id.
    pub fn event(&self, now: Time, random: &dyn Random) -> EventId {
        EventId(self.next(now, random))
    }

    fn next(&self, now: Time, random: &dyn Random) -> Ulid {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        let bits = (u128::from(random.next()) << 64) | u128::from(random.next());
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = Ulid::from_parts(millis, bits);
        // A clock that stands still or steps back must not break the order.
        *last = if fresh > *last { fresh } else { last.increment().unwrap_or(fresh) };
        *last
    }
}

impl Default for IdSource {
    fn default() -> Self {
        Self::new()
    }
}
