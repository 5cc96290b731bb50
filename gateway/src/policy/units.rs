//! Sizes, durations, rates and dates as people write them in the files: `1MiB`, `1h30m`, `50/s`, `2026-10-01`.

use std::time::Duration;

use jiff::{civil::Date, tz::TimeZone};

use crate::words::Time;

/// No duration in a policy is longer: ten years, so that adding one to a moment stays in every calendar.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// A size in bytes: `512`, `64KiB`, `1MiB`, `1.5GiB`, `10MB`.
///
/// # Errors
/// A sentence that says how one is written.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let wrong = || "expected a size such as `64KiB`, `1MiB` or `2GiB`".to_owned();
    let (number, unit) = split_number(text.trim()).ok_or_else(wrong)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    scale(number, *factor).ok_or_else(wrong)
}

/// A duration: `500ms`, `10s`, `15m`, `72h`, `30d`, `2w`, or several of them, largest first: `1h30m`.
///
/// # Errors
/// A sentence that says how one is written, or that it is too long.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 6] = [
        ("w", 7 * 24 * 3_600_000),
        ("d", 24 * 3_600_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let wrong = || "expected a duration such as `500ms`, `10s`, `15m`, `72h` or `30d`".to_owned();
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() || next_unit == 0 {
        let (number, tail) = split_number(rest).ok_or_else(wrong)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if at < next_unit {
            return Err(wrong());
        }
        next_unit = at + 1;
        millis = scale(number, UNITS[at].1).and_then(|more| millis.checked_add(more)).ok_or_else(wrong)?;
        rest = tail;
    }
    let duration = Duration::from_millis(millis);
    if duration > LONGEST { Err("longer than ten years".to_owned()) } else { Ok(duration) }
}

/// Requests in a time: `50/s`, `1000/m`, `5000/h`, `1000000/day`.
///
/// # Errors
/// A sentence that says how one is written.
pub fn rate(text: &str) -> Result<(u32, Duration), String> {
    const UNITS: [(&str, u64); 8] = [
        ("s", 1),
        ("second", 1),
        ("m", 60),
        ("minute", 60),
        ("h", 3600),
        ("hour", 3600),
        ("d", 86_400),
        ("day", 86_400),
    ];
    let wrong = || "expected a rate such as `50/s`, `1000/m` or `5000/h`".to_owned();
    let (requests, unit) = text.trim().split_once('/').ok_or_else(wrong)?;
    let requests: u32 = plain_digits(requests.trim()).and_then(|d| d.parse().ok()).ok_or_else(wrong)?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    if requests == 0 {
        return Err("a rate of 0 lets nothing through: take the grant away instead".to_owned());
    }
    Ok((requests, Duration::from_secs(*seconds)))
}

/// A day, `2026-10-01`; it stands for its beginning in UTC.
///
/// # Errors
/// A sentence that says how one is written.
pub fn date(text: &str) -> Result<Time, String> {
    let wrong = || "expected a date such as `2026-10-01`".to_owned();
    let text = text.trim();
    if text.len() != 10 {
        return Err(wrong());
    }
    let day: Date = text.parse().map_err(|_| wrong())?;
    let moment = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| wrong())?;
    Ok(Time::from_millis(moment.as_millisecond()))
}

/// The day of a moment, for people.
pub fn day(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// A duration as it would be written: `1h30m`.
pub fn span(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (name, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if millis >= length {
            text.push_str(&format!("{}{name}", millis / length));
            millis %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size as it would be written: `64KiB`.
pub fn bytes(size: u64) -> String {
    for (name, unit) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if size >= unit && size.is_multiple_of(unit) {
            return format!("{}{name}", size / unit);
        }
    }
    size.to_string()
}

/// Limits as people read them: `50/s, 100 at once, 32 under way`.
pub fn limits(limits: &super::checked::Limits) -> String {
    let rate = limits.rate.map(|rate| {
        let per = span(rate.per);
        let per = per
            .strip_prefix('1')
            .filter(|unit| !unit.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(&per);
        format!("{}/{per}, {} at once", rate.requests, rate.burst)
    });
    let under_way = limits.concurrency.map(|number| format!("{number} under way"));
    let all: Vec<String> = rate.into_iter().chain(under_way).collect();
    if all.is_empty() { "no limit".to_owned() } else { all.join(", ") }
}

/// `1.5` and what follows it. At most nine digits on either side, so that arithmetic stays small.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    plain_digits(whole)?;
    plain_digits(fraction)?;
    Some((number, rest.trim_start()))
}

fn plain_digits(text: &str) -> Option<&str> {
    let fine = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fine.then_some(text)
}

/// `number × factor`; none where it is not whole or does not fit.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = u128::from(whole.parse::<u64>().ok()?) * u128::from(factor);
    let part = if fraction.is_empty() {
        0
    } else {
        let ten = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor);
        if part % ten != 0 {
            return None;
        }
        part / ten
    };
    u64::try_from(whole + part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back_as_what_it_was() {
        for text in ["500ms", "10s", "1h30m", "30d", "1d12h", "0s"] {
            assert_eq!(span(duration(text).unwrap()), text);
        }
        for text in ["512", "64KiB", "1MiB", "3GiB", "1025"] {
            assert_eq!(bytes(size(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        for (text, bytes) in
            [("512", 512), ("64KiB", 65_536), ("1MiB", 1 << 20), ("1.5GiB", 3 << 29), ("10 MB", 10_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "MiB", "-1MiB", "1mib", "1.MiB", ".5MiB", "1e3", "0.3B", "99999999999999TiB", "１MiB"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_alone_and_joined() {
        for (text, millis) in [
            ("0", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("1.5s", 1500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "10 parsecs", "30m1h", "1s1s", "-5s", "11000d", "1h-", "999999999999999w"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_and_dates_refuse_what_they_do_not_know() {
        assert_eq!(rate("50/s"), Ok((50, Duration::from_secs(1))));
        assert_eq!(rate("1000 / day"), Ok((1000, Duration::from_secs(86_400))));
        for text in ["50", "/s", "50/", "0/s", "50/fortnight", "4294967296/s", "5.5/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(date("1970-01-02"), Ok(Time::from_millis(86_400_000)));
        for text in ["2026-02-30", "2026-1-1", "01.02.2026", "2026-10-01T00:00:00Z", "", "+002026-10"] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_unit_panic(text in ".{0,40}") {
            let _ = (size(&text), duration(&text), rate(&text), date(&text));
        }

        #[test]
        fn a_whole_number_of_any_unit_survives(number in 0u64..1_000_000) {
            proptest::prop_assert_eq!(size(&format!("{number}KiB")), Ok(number * 1024));
            proptest::prop_assert_eq!(duration(&format!("{number}ms")), Ok(Duration::from_millis(number)));
        }
    }
}
