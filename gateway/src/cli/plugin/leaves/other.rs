//! Another value of the same shape: digits for digits, a day for a day, a letter for a letter.

use std::ops::Range;

/// The longest code; a code is tried with another first letter too.
const CODE: usize = 4;

/// Other values in the order in which they are tried. Only letters and digits are changed, each into its like, so that
/// what divides or escapes values stays what it is.
pub(super) fn values(bytes: &[u8]) -> Vec<Vec<u8>> {
    let marks: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_alphanumeric()).collect();
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else {
        return vec![b"X".to_vec()];
    };
    let mut found = Vec::new();
    if let Some(date) = date(bytes) {
        found.push(with(bytes, date.day.clone(), another_day(&bytes[date.day])));
        found.push(with(bytes, date.year.clone(), year_before(&bytes[date.year])));
    }
    found.push(with(bytes, *last..last + 1, vec![after(bytes[*last])]));
    let less = marks.iter().rev().find(|at| bytes[**at] != b'0').unwrap_or(last);
    found.push(with(bytes, *less..less + 1, vec![before(bytes[*less])]));
    found.push(bytes.iter().map(|byte| far(*byte)).collect());
    if marks.len() > 1 && marks.len() <= CODE {
        found.push(with(bytes, *first..first + 1, vec![after(bytes[*first])]));
    }
    let mut seen = vec![bytes.to_vec()];
    found.retain(|value| {
        let new = !seen.contains(value);
        seen.push(value.clone());
        new
    });
    found
}

fn with(bytes: &[u8], range: Range<usize>, part: Vec<u8>) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy.splice(range, part);
    copy
}

/// Where a date has its year and its day.
struct Date {
    year: Range<usize>,
    day: Range<usize>,
}

/// `20260115`, alone or before a time, or `2026-01-15…`.
fn date(bytes: &[u8]) -> Option<Date> {
    let number = |range: Range<usize>| -> Option<u32> {
        let part = bytes.get(range)?;
        part.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (month, day) = if digits == bytes.len() && matches!(digits, 8 | 12 | 14) {
        (4..6, 6..8)
    } else if bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') {
        (5..7, 8..10)
    } else {
        return None;
    };
    let is_date = (1900..2200).contains(&number(0..4)?)
        && (1..=12).contains(&number(month)?)
        && (1..=31).contains(&number(day.clone())?);
    is_date.then_some(Date { year: 0..4, day })
}

/// The next day, of which every month has one: never past the 28th.
fn another_day(day: &[u8]) -> Vec<u8> {
    let number = day.iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    format!("{:02}", number % 28 + 1).into_bytes()
}

fn year_before(year: &[u8]) -> Vec<u8> {
    let number = year.iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    format!("{:04}", number.saturating_sub(1)).into_bytes()
}

/// The next of its kind; the last of a kind becomes the one before it, so that nothing wraps to zero.
fn after(byte: u8) -> u8 {
    match byte {
        b'9' => b'8',
        b'z' => b'y',
        b'Z' => b'Y',
        other => other + 1,
    }
}

/// The one before of its kind; the first becomes one that [`after`] does not give. A number becomes smaller unless it
/// is zero.
fn before(byte: u8) -> u8 {
    match byte {
        b'0' => b'2',
        b'9' => b'7',
        b'a' => b'c',
        b'A' => b'C',
        b'z' => b'x',
        b'Z' => b'X',
        other => other - 1,
    }
}

/// One far away of its kind; no digit becomes a zero, which numbers may not begin with.
fn far(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => b'1' + (byte - b'0' + 4) % 9,
        b'a'..=b'z' => b'a' + (byte - b'a' + 13) % 26,
        b'A'..=b'Z' => b'A' + (byte - b'A' + 13) % 26,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<String> {
        values(value.as_bytes()).into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
    }

    #[test]
    fn a_date_becomes_another_valid_date_first() {
        assert_eq!(texts("20260115")[..2], ["20260116", "20250115"]);
        assert_eq!(texts("20260131")[0], "20260104");
        assert_eq!(texts("2026-01-28T12:00:00-06:00")[0], "2026-01-01T12:00:00-06:00");
        assert_eq!(texts("20261399")[0], "20261398", "no date, a number");
    }

    #[test]
    fn a_number_is_tried_larger_smaller_and_far_away() {
        assert_eq!(texts("24"), ["25", "23", "79", "34"]);
        assert_eq!(texts("40"), ["41", "30", "95", "50"]);
        assert_eq!(texts("12.50"), ["12.51", "12.40", "67.15", "22.50"]);
    }

    #[test]
    fn a_code_becomes_other_codes_and_what_has_no_letter_becomes_one() {
        assert_eq!(texts("ZZ"), ["ZY", "ZX", "MM", "YZ"]);
        assert_eq!(texts("-"), ["X"]);
        assert_eq!(texts("ä"), ["X"]);
    }

    #[test]
    fn the_shape_stays_and_the_value_never_does() {
        for value in ["0", "9", "a", "Zürich 9-b", "4011", "2026-02-28", "A?+B", "1e5"] {
            let others = texts(value);
            assert!(others.len() >= 2, "{value}: {others:?}");
            for other in &others {
                assert_ne!(other, value);
                assert_eq!(other.len(), value.len());
            }
        }
    }
}
