//! Who is at the other end of a connection, as far as the connection itself tells.

use std::{net::SocketAddr, sync::Arc};

use super::{Digest, Time};

/// The other end of a connection. Made by `server`.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// The certificate whose key it has shown to hold.
    pub certificate: Option<Arc<Certificate>>,
}

/// A client's certificate (X.509, RFC 5280). Its holder is proven; whether anybody vouches for it is said inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER form: the fingerprint, and `x5t#S256` of RFC 8705.
    pub sha256: Digest,
    /// The subject by RFC 4514: `CN=edi.acme.example,O=Acme`.
    pub subject: Subject,
    /// Subject alternative names with their kind: `dns:edi.acme.example`, `uri:spiffe://acme/edi`.
    pub names: Vec<String>,
    /// It is void before.
    pub not_before: Time,
    /// And void afterwards.
    pub not_after: Time,
    /// Why no authority that the policy names vouches for it; none if one does.
    pub untrusted: Option<String>,
}

/// A distinguished name as RFC 4514 writes it, most specific part first. Two are equal when their parts are,
/// however much room was left between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(Vec<String>);

impl Subject {
    /// A name from its parts, each `CN=edi.acme.example` with special characters escaped.
    pub fn of(parts: Vec<String>) -> Self {
        Self(parts)
    }

    /// Reads `CN=edi.acme.example, O=Acme`.
    ///
    /// # Errors
    /// A part is not `TYPE=value`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = vec![String::new()];
        let mut escaped = false;
        for c in text.chars() {
            match c {
                ',' if !escaped => parts.push(String::new()),
                c => parts.last_mut().expect("there is one from the start").push(c),
            }
            escaped = c == '\\' && !escaped;
        }
        let part = |part: &String| {
            let (kind, value) = part.trim().split_once('=')?;
            let (kind, value) = (kind.trim_end(), value.trim_start());
            let named = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            (named && !value.is_empty()).then(|| format!("{}={value}", kind.to_ascii_uppercase()))
        };
        let parts: Option<Vec<_>> = parts.iter().map(part).collect();
        parts.map(Self).ok_or("expected a subject such as `CN=edi.acme.example,O=Acme`")
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_the_same_with_and_without_room_between_its_parts() {
        let written = Subject::parse("cn = edi.acme.example ,  O=Acme\\, Inc.").unwrap();
        let read = Subject::of(vec!["CN=edi.acme.example".to_owned(), "O=Acme\\, Inc.".to_owned()]);
        assert_eq!(written, read);
        assert_eq!(written.to_string(), "CN=edi.acme.example,O=Acme\\, Inc.");
        assert_ne!(written, Subject::parse("O=Acme\\, Inc.,CN=edi.acme.example").unwrap(), "order is meant");
        for text in ["", "acme", "CN=", "CN=a,", "=a", "C N=a"] {
            assert!(Subject::parse(text).is_err(), "{text}");
        }
    }
}
