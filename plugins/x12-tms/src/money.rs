//! Amounts: X12 writes most of them with two implied decimals, and some senders with a point all the same.

use crossdock_mapper::canonical::{Decimal, Money};
use crossdock_mapper::{Diagnostic, Location, Refusal};
use crossdock_x12::{Problems, Reading, excerpt};

/// An amount of type N2: `65940` is 659.40. One with a point says itself where its decimals are.
pub fn amount(
    reading: &mut Reading<'_>,
    n: usize,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<Decimal> {
    let text = reading.take(n);
    if text.is_empty() {
        return None;
    }
    let read = if text.contains('.') { Decimal::parse(&text) } else { Decimal::implied(&text, 2) };
    let number = read.ok();
    if number.is_none() {
        let message = format!("{what} `{}` is no amount", excerpt(&text));
        problems.error(reading.segment, n, "not-a-number", "6", message);
    }
    number
}

/// Money of a currency that the document may name.
pub fn money(amount: Decimal, currency: Option<&str>) -> Money {
    Money { amount, currency: currency.map(str::to_owned) }
}

/// Digits of type N2. `at` is the amount's place in the event.
pub fn cents(amount: &Decimal, at: &str) -> Result<String, Refusal> {
    let text = amount.as_str();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (kept, finer) = fraction.split_at(fraction.len().min(2));
    if finer.bytes().any(|digit| digit != b'0') {
        let message = format!("{text} is finer than a hundredth, which X12 has no room for");
        return Err(Diagnostic::error("amount-too-fine", message).at(Location::json_pointer(at)).into());
    }
    let sign = if amount.is_negative() { "-" } else { "" };
    let digits = format!("{}{kept:0<2}", whole.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    Ok(format!("{sign}{}", if digits.is_empty() { "0" } else { digits }))
}

/// A number without its sign.
pub fn magnitude(number: &Decimal) -> Decimal {
    match number.is_negative() {
        true => Decimal::ZERO.checked_sub(number).unwrap_or_default(),
        false => number.clone(),
    }
}

/// A number with the other sign.
pub fn opposite(number: &Decimal) -> Decimal {
    Decimal::ZERO.checked_sub(number).unwrap_or_default()
}
