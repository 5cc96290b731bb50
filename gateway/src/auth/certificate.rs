//! Client certificates: whose they are, and tokens that are bound to one (RFC 8705).

use std::sync::Arc;

use super::Error;
use crate::words::{Caller, Certificate, Digest, PartnerName, Subject, Time};

/// Which client certificates speak for a partner. An authority that the policy names must vouch for them too.
#[derive(Clone, Debug)]
pub struct CertificateRule {
    /// For whom.
    pub partner: PartnerName,
    /// The credential's name in the policy.
    pub credential: Arc<str>,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// By what it is known.
    pub known_by: KnownBy,
}

/// By what a client certificate is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Its whole subject.
    Subject(Subject),
    /// One of its subject alternative names, with its kind: `dns:edi.acme.example`.
    Name(String),
    /// SHA-256 of its DER form.
    Fingerprint(Digest),
}

impl KnownBy {
    fn is(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Subject(subject) => certificate.subject == *subject,
            Self::Name(name) => certificate.names.contains(name),
            Self::Fingerprint(sha256) => certificate.sha256 == *sha256,
        }
    }
}

/// The partner whose certificate this is.
pub(super) fn caller(rules: &[CertificateRule], shown: &Certificate, now: Time) -> Result<Caller, Error> {
    let subject = || shown.subject.to_string();
    // Before who vouches for it: an authority refuses what has expired too, and says less well why.
    if now > shown.not_after {
        return Err(Error::Expired(format!("certificate `{}`, at {}", subject(), shown.not_after)));
    }
    if let Some(why) = &shown.untrusted {
        return Err(Error::Certificate { subject: subject(), why: why.clone() });
    }
    if now < shown.not_before {
        return Err(Error::NotYet(shown.not_before));
    }
    let mut matching = rules.iter().filter(|rule| rule.known_by.is(shown));
    let rule = matching.next().ok_or_else(|| Error::Certificate {
        subject: subject(),
        why: "no partner has this certificate".to_owned(),
    })?;
    if let Some(other) = matching.find(|other| other.partner != rule.partner) {
        let why = format!("it matches credentials of `{}` and `{}`", rule.partner, other.partner);
        return Err(Error::Certificate { subject: subject(), why });
    }
    Ok(Caller {
        partner: rule.partner.clone(),
        credential: Arc::clone(&rule.credential),
        scopes: Arc::clone(&rule.scopes),
    })
}

/// Holds a token to the certificate that it is bound to, if it is.
pub(super) fn hold(bound: Option<&Digest>, shown: Option<&Certificate>) -> Result<(), Error> {
    let wrong = |why| Err(Error::Claim { claim: "cnf".to_owned(), why });
    match (bound, shown) {
        (None, _) => Ok(()),
        (Some(_), None) => wrong("binds the token to a certificate, and the client shows none"),
        (Some(bound), Some(shown)) if *bound == shown.sha256 => Ok(()),
        (Some(_), Some(_)) => wrong("binds the token to another certificate"),
    }
}
