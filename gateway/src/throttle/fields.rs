//! The fields of an answer that tell a caller its limits: draft-ietf-httpapi-ratelimit-headers-10 and
//! `Retry-After` (RFC 9110, section 10.2.3).

use std::time::Duration;

use crate::words::{RateLimit, Unit};

const SECOND: Duration = Duration::from_secs(1);

/// The `RateLimit-Policy` field: each limit's quota `q` and window `w` in seconds, or the unit `qu` where
/// requests under way are counted. `None` if nothing limits.
pub fn policy(limits: &[RateLimit]) -> Option<String> {
    list(limits, |limit| {
        // The default unit, requests, is not named.
        let unit = match limit.unit {
            Unit::Requests => "",
            Unit::Bytes => ";qu=\"content-bytes\"",
            Unit::Concurrent => return format!(";q={};qu=\"concurrent-requests\"", integer(limit.quota)),
        };
        // The field has whole seconds; a shorter or broken window is told as the same rate over whole ones.
        let seconds = ceil_seconds(limit.window).max(1);
        let window = limit.window.as_nanos().max(1);
        let quota = u128::from(limit.quota) * Duration::from_secs(seconds).as_nanos() / window;
        format!(";q={};w={}{unit}", integer(u64::try_from(quota).unwrap_or(u64::MAX)), integer(seconds))
    })
}

/// The `RateLimit` field: what remains (`r`) and in how many seconds it is whole again (`t`). `None` if
/// nothing limits.
pub fn remaining(limits: &[RateLimit]) -> Option<String> {
    list(limits, |limit| {
        let reset = integer(ceil_seconds(limit.reset));
        let remaining = integer(limit.remaining);
        if limit.unit == Unit::Concurrent {
            format!(";r={remaining}")
        } else {
            format!(";r={remaining};t={reset}")
        }
    })
}

/// The `Retry-After` field: whole seconds, rounded up so that a caller who obeys is let in, at least one.
pub fn retry_after(wait: Duration) -> String {
    ceil_seconds(wait.max(SECOND)).to_string()
}

fn list(limits: &[RateLimit], parameters: impl Fn(&RateLimit) -> String) -> Option<String> {
    let items: Vec<_> =
        limits.iter().map(|limit| format!("\"{}\"{}", sf_string(&limit.name), parameters(limit))).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

/// The inside of a structured field's string (RFC 9651, section 3.3.3): printable ASCII, escaped.
fn sf_string(text: &str) -> String {
    text.chars()
        .filter(|c| (' '..='~').contains(c))
        .flat_map(|c| ['\\'].into_iter().filter(move |_| matches!(c, '"' | '\\')).chain([c]))
        .collect()
}

/// Structured fields have integers of at most fifteen digits (RFC 9651, section 3.3.1).
fn integer(value: u64) -> u64 {
    value.min(999_999_999_999_999)
}

fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, quota: u64, window_ms: u64, remaining: u64, reset_ms: u64) -> RateLimit {
        RateLimit {
            name: name.into(),
            quota,
            unit: if window_ms == 0 { Unit::Concurrent } else { Unit::Requests },
            window: Duration::from_millis(window_ms),
            remaining,
            reset: Duration::from_millis(reset_ms),
        }
    }

    #[test]
    fn fields_are_written_as_the_draft_says() {
        let limits = [limit("partner", 50, 1000, 12, 760), limit("operation", 1000, 3_600_000, 0, 3_600_000)];
        assert_eq!(policy(&limits).unwrap(), r#""partner";q=50;w=1, "operation";q=1000;w=3600"#);
        assert_eq!(remaining(&limits).unwrap(), r#""partner";r=12;t=1, "operation";r=0;t=3600"#);
        let concurrency = [limit("partner-concurrency", 20, 0, 0, 1000)];
        assert_eq!(policy(&concurrency).unwrap(), r#""partner-concurrency";q=20;qu="concurrent-requests""#);
        assert_eq!(remaining(&concurrency).unwrap(), r#""partner-concurrency";r=0"#);
        assert_eq!(policy(&[]), None);
        let bytes =
            [RateLimit { unit: Unit::Bytes, ..limit("partner-day-bytes", 5 << 30, 86_400_000, 7, 60_000) }];
        assert_eq!(policy(&bytes).unwrap(), r#""partner-day-bytes";q=5368709120;w=86400;qu="content-bytes""#);
        assert_eq!(remaining(&bytes).unwrap(), r#""partner-day-bytes";r=7;t=60"#);
    }

    /// What is written is what others read: the parser that passes the structured-field tests gives it back unchanged.
    #[test]
    fn fields_are_structured_fields_and_written_in_their_one_form() {
        let limits = [
            limit("partner", 50, 1000, 12, 760),
            limit("operation \"\\", u64::MAX, 86_400_000, u64::MAX, 3_600_000),
            limit("partner-concurrency", 20, 0, 0, 1000),
        ];
        for text in [policy(&limits).unwrap(), remaining(&limits).unwrap()] {
            let read: sfv::List = sfv::Parser::new(&text).parse().unwrap();
            assert_eq!(read.len(), 3, "{text}");
            assert_eq!(sfv::FieldType::serialize(&read), Some(text));
        }
    }

    #[test]
    fn a_window_that_is_not_whole_seconds_is_told_as_the_same_rate() {
        assert_eq!(policy(&[limit("p", 10, 100, 0, 0)]).unwrap(), r#""p";q=100;w=1"#);
        assert_eq!(policy(&[limit("p", 3, 1500, 0, 0)]).unwrap(), r#""p";q=4;w=2"#);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_string() {
        assert_eq!(remaining(&[limit("a\"\\\r\nb\u{e9}", 1, 1000, 1, 0)]).unwrap(), r#""a\"\\b";r=1;t=0"#);
    }

    #[test]
    fn retry_after_is_never_too_early() {
        assert_eq!(retry_after(Duration::ZERO), "1");
        assert_eq!(retry_after(Duration::from_millis(1001)), "2");
    }
}
