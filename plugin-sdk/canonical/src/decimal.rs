//! Exact decimal numbers as text: what the source wrote, with its scale, never through a float.

use std::{borrow::Cow, cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

/// Most digits before the point, and most after it. Two numbers brought to one scale then have at most 36
/// digits, and their sum fits 128 bits.
const DIGITS: usize = 18;

/// A decimal number as text: `40`, `-3.50`. Its scale is kept (`12.5000` stays so), leading zeros and
/// signs that say nothing are not. `==` compares the text; [`Decimal::compare`] compares the number.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Decimal(Cow<'static, str>);

/// A text that is no decimal number of at most 18 digits before and 18 after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDecimal;

impl fmt::Display for InvalidDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a decimal number: digits with at most one point are needed, 18 before and 18 after it",
        )
    }
}

impl std::error::Error for InvalidDecimal {}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(Cow::Borrowed("0"));

    /// Reads a number as sources write it: `40`, `040`, `+1`, `.5`, `12.`, `-3.50`, `3.50-` (SAP).
    ///
    /// # Errors
    /// There are no digits, too many of them, or something that is neither digit, point nor sign.
    pub fn parse(text: &str) -> Result<Self, InvalidDecimal> {
        let (negative, digits) = if let Some(rest) = text.strip_prefix('-') {
            (true, rest)
        } else if let Some(rest) = text.strip_suffix('-') {
            (true, rest)
        } else {
            (false, text.strip_prefix('+').unwrap_or(text))
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return Err(InvalidDecimal);
        }
        Self::build(negative, whole, fraction)
    }

    /// Reads digits with a number of implied decimal places, as X12 type `N2` has them: `1700` is `17.00`.
    ///
    /// # Errors
    /// As [`Decimal::parse`]; a point is an error here.
    pub fn implied(text: &str, places: usize) -> Result<Self, InvalidDecimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let fits = !digits.is_empty() && digits.len() <= 2 * DIGITS && places <= DIGITS;
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidDecimal);
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        Self::build(negative, whole, fraction)
    }

    fn build(negative: bool, whole: &str, fraction: &str) -> Result<Self, InvalidDecimal> {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        if whole.len() > DIGITS || fraction.len() > DIGITS {
            return Err(InvalidDecimal);
        }
        let zero = whole == "0" && fraction.bytes().all(|byte| byte == b'0');
        let mut text = String::with_capacity(whole.len() + fraction.len() + 2);
        if negative && !zero {
            text.push('-');
        }
        text.push_str(whole);
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        Ok(Self(text.into()))
    }

    /// The text: digits, perhaps a sign before and a point within.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Digits after the point.
    pub fn scale(&self) -> usize {
        self.0.split_once('.').map_or(0, |(_, fraction)| fraction.len())
    }

    /// Is it zero, at whatever scale?
    pub fn is_zero(&self) -> bool {
        self.at_scale(self.scale()) == 0
    }

    /// Is it below zero?
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    /// Which number is larger; `12.50` and `12.5` are equal here.
    pub fn compare(&self, other: &Self) -> Ordering {
        let scale = self.scale().max(other.scale());
        self.at_scale(scale).cmp(&other.at_scale(scale))
    }

    /// The sum, at the larger scale of the two; none where it would need more than 18 digits before the point.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let scale = self.scale().max(other.scale());
        Self::of(self.at_scale(scale) + other.at_scale(scale), scale)
    }

    /// The difference, at the larger scale of the two; none where it would need more than 18 digits before
    /// the point.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let scale = self.scale().max(other.scale());
        Self::of(self.at_scale(scale) - other.at_scale(scale), scale)
    }

    /// The sum of them all; zero of none.
    pub fn sum<'a>(numbers: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        numbers.into_iter().try_fold(Self::ZERO, |total, number| total.checked_add(number))
    }

    /// The number as an integer of units of 10⁻ˢᶜᵃˡᵉ; `scale` is at most 18 and not below its own.
    fn at_scale(&self, scale: usize) -> i128 {
        let mut value: i128 = 0;
        let mut after_point = 0;
        let mut seen_point = false;
        for byte in self.0.bytes() {
            match byte {
                b'.' => seen_point = true,
                b'-' => {}
                digit => {
                    value = value * 10 + i128::from(digit - b'0');
                    after_point += usize::from(seen_point);
                }
            }
        }
        for _ in after_point..scale {
            value *= 10;
        }
        if self.is_negative() { -value } else { value }
    }

    fn of(value: i128, scale: usize) -> Option<Self> {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        Self::build(value < 0, whole, fraction).ok()
    }
}

impl Default for Decimal {
    fn default() -> Self {
        Self::ZERO
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;
    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        Self::parse(text)
    }
}

impl From<u32> for Decimal {
    fn from(number: u32) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// Canonical data holds the one written form, so that a round trip changes no byte.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Self::parse(&text) {
            Ok(number) if number.as_str() == text => Ok(number),
            _ => Err(serde::de::Error::custom(InvalidDecimal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn the_forms_of_the_sources_become_one() {
        for (source, canonical) in [
            ("40", "40"),
            ("040", "40"),
            ("+1", "1"),
            (".5", "0.5"),
            ("12.", "12"),
            ("12.5000", "12.5000"),
            ("3.50-", "-3.50"),
            ("-0.00", "0.00"),
            ("000", "0"),
        ] {
            assert_eq!(decimal(source).as_str(), canonical, "{source}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "1e3", "1,5", "--1", "1.2.3", "NaN", "٣", " 1", "1234567890123456789"] {
            assert!(Decimal::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn implied_places_are_set_from_the_right() {
        assert_eq!(Decimal::implied("1700", 2).unwrap().as_str(), "17.00");
        assert_eq!(Decimal::implied("-5", 2).unwrap().as_str(), "-0.05");
        assert!(Decimal::implied("1.5", 2).is_err());
    }

    #[test]
    fn sums_keep_the_larger_scale_and_stop_at_the_bound() {
        assert_eq!(decimal("1.5").checked_add(&decimal("2.25")).unwrap().as_str(), "3.75");
        assert_eq!(decimal("24").checked_sub(&decimal("40")).unwrap().as_str(), "-16");
        assert_eq!(decimal("999999999999999999").checked_add(&decimal("1")), None);
    }

    #[test]
    fn a_form_that_is_not_canonical_does_not_decode() {
        assert!(serde_json::from_str::<Decimal>("\"12.50\"").is_ok());
        assert!(serde_json::from_str::<Decimal>("\"012.50\"").is_err());
        assert!(serde_json::from_str::<Decimal>("12.5").is_err());
    }

    proptest! {
        #[test]
        fn addition_and_subtraction_undo_each_other(a in "-?[0-9]{1,12}(\\.[0-9]{1,12})?", b in "-?[0-9]{1,12}(\\.[0-9]{1,12})?") {
            let (a, b) = (decimal(&a), decimal(&b));
            let back = a.checked_add(&b).unwrap().checked_sub(&b).unwrap();
            prop_assert_eq!(back.compare(&a), Ordering::Equal);
        }

        #[test]
        fn parsing_what_was_written_changes_nothing(text in "\\PC{0,40}") {
            if let Ok(number) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(number.as_str()).unwrap(), number);
            }
        }
    }
}
