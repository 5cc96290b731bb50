//! Times as EasyPost writes them: RFC 3339.

use crossdock_mapper::canonical::Time;

/// What a time says about its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// It states its offset from UTC.
    Offset,
    /// It does not.
    Local,
}

/// Is it a time in the form of RFC 3339, with an offset or without one?
pub fn of(text: &str) -> Option<Kind> {
    let bytes = text.as_bytes();
    let formed = bytes.len() >= 19
        && text.is_ascii()
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
            .iter()
            .all(|(at, mark)| bytes[*at] == *mark);
    if !formed {
        return None;
    }
    let digits = |from: usize, to: usize| &text[from..to];
    let date = [digits(0, 4), digits(5, 7), digits(8, 10)].concat();
    let clock = [digits(11, 13), digits(14, 16), digits(17, 19)].concat();
    Time::digits(&date, &clock)?;
    let rest = &text[19..];
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let end = fraction.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
            if !(1..=9).contains(&end) {
                return None;
            }
            &fraction[end..]
        }
        None => rest,
    };
    match rest.as_bytes() {
        [] => Some(Kind::Local),
        b"Z" => Some(Kind::Offset),
        [b'+' | b'-', hours @ .., b':', m1, m2] => {
            let two = |tens: &u8, ones: &u8, most: u8| {
                tens.is_ascii_digit() && ones.is_ascii_digit() && (tens - b'0') * 10 + (ones - b'0') <= most
            };
            let [h1, h2] = hours else { return None };
            (two(h1, h2, 23) && two(m1, m2, 59)).then_some(Kind::Offset)
        }
        _ => None,
    }
}

/// Is it a day, `2026-11-23`?
pub fn is_day(text: &str) -> bool {
    text.len() == 10 && of(&format!("{text}T00:00:00")) == Some(Kind::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_form_of_rfc_3339() {
        for text in
            ["2026-11-23T14:05:00-06:00", "2026-11-23T14:05:00Z", "2024-02-29T00:00:00.123456789+14:00"]
        {
            assert_eq!(of(text), Some(Kind::Offset), "{text}");
        }
        for text in ["2026-11-23T14:05:00", "2026-11-23T14:05:00.5"] {
            assert_eq!(of(text), Some(Kind::Local), "{text}");
        }
        for text in [
            "",
            "2026-11-23",
            "2026-11-23 14:05:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T14:05Z",
            "2026-11-23T14:05:00.Z",
            "2026-11-23T14:05:00.1234567890Z",
            "2026-11-23T14:05:00+24:00",
            "2026-11-23T14:05:00+0600",
            "2026-11-23T14:05:00é",
            "2026-11-23T14:05:00[Europe/Berlin]",
            "+026-11-23T14:05:00Z",
            "2026-11-23T14:05:00-6:00",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
