//! Names from the policy files: short, printable, cheap to clone.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: it must fit a log field, a header and a file name.
const LONGEST: usize = 64;

/// A name that breaks the rule for names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: 1 to 64 of a–z, 0–9, `-`, `_` and `.`, beginning with a letter or digit")]
pub struct InvalidName(pub String);

fn check(text: &str) -> Result<(), InvalidName> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fine = text.len() <= LONGEST && text.bytes().next().is_some_and(first) && text.bytes().all(inner);
    if fine { Ok(()) } else { Err(InvalidName(text.chars().take(LONGEST + 1).collect())) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the rule for names.
            ///
            /// # Errors
            /// The text breaks it.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The estate that a gateway serves; every stored row and key begins with it.
    EstateName;
    /// An organisation with credentials.
    PartnerName;
    /// A group of operations that live and die together.
    ApiName;
    /// A method and path of an API.
    OperationName;
    /// A version of an API: `v2`.
    VersionName;
    /// A mapper, without its version.
    MapperName;
    /// A system that events are delivered to.
    TargetName;
    /// A binding of event types to a target and its mapper.
    SubscriptionName;
}
