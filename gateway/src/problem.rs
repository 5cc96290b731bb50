//! A refusal as the caller reads it: problem details (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde::Serialize;

use crate::{
    contract::Refused,
    mapper,
    refusal::{Fault, Refusal},
    server::Body,
    throttle::fields,
    words::{Acknowledgement, Diagnostic, MessageId, Mode, RateLimit, Revision, Unit},
};

/// Diagnostics that one answer carries.
const MOST_ERRORS: usize = 20;

/// Problem details as they are sent and stored.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// Stable address of the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem it is, in words.
    pub title: &'static str,
    /// Status of the answer.
    pub status: u16,
    /// What is wrong with this very request and what to do.
    pub detail: String,
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The message, for look-ups.
    pub message_id: MessageId,
    /// The revision that decided.
    pub revision: Revision,
    /// Places in the caller's own document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Diagnostic>,
    /// What an EDI sender waits for, where the operation answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Acknowledgement>,
}

impl Problem {
    /// Says `refusal` to the caller of `message_id`.
    pub fn new(refusal: &Refusal, message_id: MessageId, revision: Revision) -> Self {
        let class = refusal.class();
        let mut errors = errors(refusal);
        let detail = detail(refusal, &errors);
        errors.truncate(MOST_ERRORS);
        Self {
            kind: format!("https://crossdock.dev/problems/{}", class.name),
            title: class.title,
            status: class.status.as_u16(),
            detail,
            fault: class.fault,
            retryable: class.retryable,
            message_id,
            revision,
            errors,
            acknowledgement: None,
        }
    }

    /// The problem as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a problem has only strings and numbers")
    }

    /// The answer, with the fields that belong to this kind of refusal.
    pub fn answer(&self, refusal: &Refusal) -> Response<Body> {
        let mut answer = Response::new(Body::from(Bytes::from(self.json())));
        *answer.status_mut() = refusal.class().status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match refusal {
            Refusal::Unauthenticated(_) => {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crossdock\""));
            }
            Refusal::TooMany(exceeded) => {
                write_limits(headers, &exceeded.all);
                headers.insert(header::RETRY_AFTER, seconds(exceeded.retry_after));
            }
            Refusal::TooManyFailures { retry_after }
            | Refusal::Mapper { failure: mapper::Failure::Wasteful { retry_after }, .. } => {
                headers.insert(header::RETRY_AFTER, seconds(*retry_after));
            }
            Refusal::Method { allow } => {
                if let Ok(value) = HeaderValue::from_str(allow) {
                    headers.insert(header::ALLOW, value);
                }
            }
            Refusal::MediaType { taken, .. } => {
                if let Ok(value) = HeaderValue::from_str(&taken.join(", ")) {
                    headers.insert(header::ACCEPT, value);
                }
            }
            _ if self.status == 503 => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if self.status == 408 || matches!(refusal, Refusal::Body(_)) {
            // The rest of the body is still on its way: this connection cannot be used again.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Puts the limits that a request met on its answer.
pub fn write_limits(headers: &mut HeaderMap, limits: &[RateLimit]) {
    for (name, value) in
        [("ratelimit-policy", fields::policy(limits)), ("ratelimit", fields::remaining(limits))]
    {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
}

fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::try_from(fields::retry_after(wait)).expect("digits are a legal value")
}

fn errors(refusal: &Refusal) -> Vec<Diagnostic> {
    match refusal {
        Refusal::NotJson(diagnostic) => vec![(**diagnostic).clone()],
        Refusal::Schema(diagnostics) => diagnostics.clone(),
        Refusal::Mapper { failure: mapper::Failure::Refused(diagnostics), .. } => diagnostics.clone(),
        _ => Vec::new(),
    }
}

/// One sentence or two: what is wrong, and what to do.
fn detail(refusal: &Refusal, errors: &[Diagnostic]) -> String {
    match refusal {
        Refusal::Unauthenticated(_) => {
            "Send one valid credential, not expired: an API key in `X-Api-Key`, or a token in `Authorization: Bearer`."
                .to_owned()
        }
        Refusal::TooMany(exceeded) => {
            let limit = &exceeded.limit;
            let what = match limit.unit {
                Unit::Requests => format!("{} requests in {} s", limit.quota, limit.window.as_secs()),
                Unit::Bytes => format!("{} bytes in {} s", limit.quota, limit.window.as_secs()),
                Unit::Concurrent => format!("{} requests at the same time", limit.quota),
            };
            let wait = exceeded.retry_after.as_secs() + 1;
            format!("The limit `{}` allows {what}. Try again in {wait} s.", limit.name)
        }
        Refusal::Crowded(_) => {
            "More is under way than the gateway can take, and your share of it is used. Try again in a moment."
                .to_owned()
        }
        Refusal::TooManyFailures { retry_after } => {
            format!(
                "Too many calls without a valid credential came before. Try again in {} s.",
                retry_after.as_secs() + 1
            )
        }
        Refusal::NoOperation => "No operation that is granted to you has this path.".to_owned(),
        Refusal::Method { allow } => format!("This path takes {allow}."),
        Refusal::NotGranted { operation, version, .. } => {
            format!("{operation} {version} is not granted to you. Ask the owner of the API for a grant.")
        }
        Refusal::Condition { rule, .. } => {
            format!(
                "Your grant has a condition ({rule}) that this request does not meet. Nothing was kept. Ask the owner of the API."
            )
        }
        Refusal::NotOwner { kind, .. } => {
            format!("`{kind}` is not yours to assert. Nothing was kept. Ask the owner of the API.")
        }
        Refusal::Scopes { missing, .. } => {
            format!("The credential lacks {}. Ask for a token or key that carries it.", missing.join(", "))
        }
        Refusal::Version(refused) => version(refused),
        Refusal::Body(error) => body(error),
        Refusal::Empty => "The request has no body. Send the document as the body.".to_owned(),
        Refusal::MediaType { sent, taken } if sent.is_empty() => {
            format!("The request does not say what the document is. Send `Content-Type`; taken: {}.", taken.join(", "))
        }
        Refusal::MediaType { sent, taken } => {
            format!("The document came as `{sent}`. Taken: {}.", taken.join(", "))
        }
        Refusal::Encoding(encoding) => format!("The body is encoded as `{encoding}`. Send it as it is."),
        Refusal::NotJson(diagnostic) => format!("{}. Nothing was kept.", diagnostic.message),
        Refusal::Schema(_) => summary(errors, "place", "places"),
        Refusal::KeyRequired { .. } => {
            "Send an `Idempotency-Key` of your own, the same on every retry of one document.".to_owned()
        }
        Refusal::KeyMalformed => "An `Idempotency-Key` is 1 to 255 printable ASCII characters.".to_owned(),
        Refusal::KeyReused => {
            "This `Idempotency-Key` came before with another document. Use a new key for a new document."
                .to_owned()
        }
        Refusal::KeyBusy => {
            "The first request under this `Idempotency-Key` is being served. Ask again in a moment."
                .to_owned()
        }
        Refusal::Mapper { name, failure, .. } => mapping(name, failure, errors),
        Refusal::Canonical { name, .. } => {
            format!(
                "Mapper {name} made events that break the canonical model. Its author has to look; nothing was kept."
            )
        }
        Refusal::NoEvents { name } => {
            format!(
                "Mapper {name} read the document and found nothing to record. Check that it is the document you meant."
            )
        }
        Refusal::Journal(_) => {
            "Nothing was kept. Send the document again, with the same `Idempotency-Key`.".to_owned()
        }
        Refusal::Target { target, retryable, .. } if *retryable => {
            format!("`{target}` could not be reached or is not ready. Try again in a moment.")
        }
        Refusal::Target { target, .. } => format!("`{target}` did not give an answer that can be passed on."),
        Refusal::Stopping => "This copy of the gateway is being stopped. Connect again.".to_owned(),
        Refusal::Asked(what) => format!("{}.", capital(what)),
        Refusal::NoCursor => {
            "No event of yours that is kept has this id. Begin again with `after=0`; what you know already comes with the same ids."
                .to_owned()
        }
        Refusal::TooManyFollowers => "Ask without waiting, or try again in a moment.".to_owned(),
        Refusal::NoMessage => "No message of yours has this id.".to_owned(),
        Refusal::Mode(Mode::Exchange) => {
            "The mapper of this operation is damaged. Whoever runs the gateway has to look; then send it again."
                .to_owned()
        }
        Refusal::Mode(Mode::Proxy) => {
            "The operation cannot answer this call. Whoever runs the gateway has to look.".to_owned()
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn version(refused: &Refused) -> String {
    match refused {
        Refused::Unnamed => "Name the version that you mean, as the API's description says.".to_owned(),
        Refused::Unknown { asked, usable } if usable.is_empty() => {
            format!("There is no version `{asked}` that you may call.")
        }
        Refused::Unknown { asked, usable } => {
            let usable: Vec<&str> = usable.iter().map(|version| version.as_str()).collect();
            format!("There is no version `{asked}` that you may call. You may call {}.", usable.join(", "))
        }
        Refused::NotGranted { version } => {
            format!(
                "This operation is not granted to you in version {version}. Ask the owner of the API for a grant."
            )
        }
        Refused::Retired { version, successor: Some(successor), .. } => {
            format!("Version {version} has reached its sunset. Use {successor}.")
        }
        Refused::Retired { version, successor: None, .. } => {
            format!("Version {version} has reached its sunset, and nothing takes its place.")
        }
    }
}

fn body(error: &crate::spool::Error) -> String {
    use crate::spool::Error;
    match error {
        Error::TooLarge { limit } => format!("This operation takes documents of at most {limit} bytes."),
        Error::TooSlow(within) => {
            format!("The body did not arrive within {} s. Send it again.", within.as_secs())
        }
        Error::Broken => "The connection broke before the body was whole. Send it again.".to_owned(),
        Error::Full | Error::Disk(_) => "Nothing was kept. Send the document again in a moment.".to_owned(),
    }
}

fn mapping(name: &str, failure: &mapper::Failure, errors: &[Diagnostic]) -> String {
    use mapper::Failure;
    match failure {
        Failure::Refused(_) => summary(errors, "place", "places"),
        Failure::Limit { which, allowed, .. } => {
            format!(
                "Mapper {name} was stopped at its limit on {} ({allowed}). Send a smaller document, or ask for a higher limit.",
                which.label()
            )
        }
        Failure::Trapped { .. } => {
            format!("Mapper {name} failed on this document. Its author has to look; nothing was kept.")
        }
        Failure::Nonsense { .. } => format!(
            "Mapper {name} gave something that is no event. Its author has to look; nothing was kept."
        ),
        Failure::Wasteful { retry_after } => format!(
            "Too many of your last documents made mapper {name} fail or meet a limit. Nothing was kept. Send this one again in {} s, and look at those.",
            retry_after.as_secs() + 1
        ),
        Failure::Overloaded | Failure::TooLong | Failure::Broken => {
            "Nothing was kept. Send the document again in a moment.".to_owned()
        }
    }
}

fn summary(errors: &[Diagnostic], one: &str, many: &str) -> String {
    let Some(first) = errors.first() else { return "The document cannot be used.".to_owned() };
    // What concerns the whole document has a place without a path; the message says it all then.
    let place = first.at.as_ref().filter(|at| !at.path.is_empty());
    let place = place.map(|at| format!(" at {}", at.path)).unwrap_or_default();
    let many = if errors.len() == 1 { one } else { many };
    format!(
        "{} {many} need{} attention. The first{place}: {}.",
        errors.len(),
        if errors.len() == 1 { "s" } else { "" },
        first.message.trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mapper::{Failure, LogLine, Trace},
        words::{Location, Severity},
    };

    #[test]
    fn a_place_is_named_only_where_there_is_one() {
        let whole = Diagnostic {
            severity: Severity::Error,
            code: "not-x12".to_owned(),
            standard_code: None,
            at: Some(Location {
                scheme: "x12".to_owned(),
                path: String::new(),
                offset: Some(0),
                length: None,
            }),
            message: "no ISA begins at byte 0".to_owned(),
            rule: None,
        };
        assert_eq!(
            summary(&[whole], "place", "places"),
            "1 place needs attention. The first: no ISA begins at byte 0."
        );
    }

    #[test]
    fn a_document_without_a_media_type_hears_which_to_send() {
        let refusal =
            Refusal::MediaType { sent: String::new(), taken: vec!["application/edi-x12".to_owned()] };
        let said = detail(&refusal, &[]);
        assert!(said.contains("`Content-Type`") && said.ends_with("application/edi-x12."), "{said}");
    }

    #[test]
    fn a_mappers_back_trace_is_for_the_log_and_never_for_the_sender() {
        let log = vec![LogLine { severity: Severity::Error, message: "lot of globex".to_owned() }];
        let trace = Box::new(Trace { frames: vec!["acme::parse".to_owned()], log });
        let failure = Failure::Trapped { what: "it ended with exit code 3".to_owned(), trace };
        let refusal =
            Refusal::Mapper { name: "acme@1".to_owned(), failure, rule: "apis/a.yaml:3".to_owned() };
        let problem = Problem::new(&refusal, MessageId::from_bytes([7; 16]), Revision::stored("r"));
        let told = format!("{} {:?} {refusal}", problem.json(), problem.detail);
        assert!(!told.contains("acme::parse") && !told.contains("globex"), "{told}");
        assert_eq!(
            refusal.for_the_log(),
            "mapper acme@1: the mapper trapped: it ended with exit code 3; in acme::parse; it logged: lot of globex"
        );
    }
}
