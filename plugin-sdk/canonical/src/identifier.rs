//! Identifiers with their scheme, and the check digits of the schemes that have one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What the check digit of an identifier says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The form is the scheme's and the check digit is right.
    Valid,
    /// The form is not the scheme's, or the check digit is wrong. The value is kept as it was sent.
    Invalid,
}

/// An identifier and the scheme that it follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// `gtin`, `gln`, `sscc`, `grai`, `scac`, `container`, `duns`, `seller`, `buyer`, `tracking`, …
    pub scheme: Cow<'static, str>,
    /// As it was sent, without padding.
    pub value: String,
    /// Absent where the scheme has no check digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

impl Identifier {
    /// An identifier of a scheme; where the scheme has a check digit, it is checked.
    pub fn new(scheme: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        let (scheme, value) = (scheme.into(), value.into());
        let right = match scheme.as_ref() {
            "gtin" => Some(matches!(value.len(), 8 | 12 | 13 | 14) && check_gs1(&value)),
            "gln" => Some(value.len() == 13 && check_gs1(&value)),
            "sscc" => Some(value.len() == 18 && check_gs1(&value)),
            "gsin" => Some(value.len() == 17 && check_gs1(&value)),
            "container" => Some(check_container(&value)),
            "imo" => Some(check_imo(&value)),
            "awb" => Some(check_awb(&value)),
            _ => None,
        };
        let check = right.map(|right| if right { Check::Valid } else { Check::Invalid });
        Self { scheme, value, check }
    }

    /// A trade item number, of 8, 12, 13 or 14 digits (X12 `UP`, `UK`, `EN`; EDIFACT `SRV`; IDoc `EAN11`).
    pub fn gtin(value: impl Into<String>) -> Self {
        Self::new("gtin", value)
    }

    /// A location or party number of 13 digits (X12 `N103` `UL`).
    pub fn gln(value: impl Into<String>) -> Self {
        Self::new("gln", value)
    }

    /// A logistic unit's number of 18 digits. The application identifier `00`, which `MAN*GM` often carries
    /// before it, is not part of the number and is taken off.
    pub fn sscc(value: impl Into<String>) -> Self {
        let mut value = value.into();
        if value.len() == 20 && value.starts_with("00") {
            value.drain(..2);
        }
        Self::new("sscc", value)
    }

    /// A freight container's number by ISO 6346: four letters and seven digits.
    pub fn container(value: impl Into<String>) -> Self {
        Self::new("container", value)
    }

    /// A carrier's code of two to four letters, by the NMFTA.
    pub fn scac(value: impl Into<String>) -> Self {
        Self::new("scac", value)
    }

    /// Is it known to be wrong?
    pub fn is_invalid(&self) -> bool {
        self.check == Some(Check::Invalid)
    }
}

/// Is the last digit the GS1 check digit of those before it (weights 3 and 1 from the right, modulo 10)?
/// The length is not looked at, but there must be digits only, and two at least.
pub fn check_gs1(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    if bytes.len() < 2 || bytes.len() > 64 || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weighted = |(index, byte): (usize, &u8)| u32::from(byte - b'0') * if index % 2 == 0 { 1 } else { 3 };
    bytes.iter().rev().enumerate().map(weighted).sum::<u32>().is_multiple_of(10)
}

/// Is it a container number with the right check digit (ISO 6346: letters count 10 to 38 without multiples
/// of 11, weights are powers of two, modulo 11, and ten is written 0)?
pub fn check_container(number: &str) -> bool {
    let bytes = number.as_bytes();
    let formed = bytes.len() == 11
        && bytes[..3].iter().all(u8::is_ascii_uppercase)
        && b"UJZ".contains(&bytes[3])
        && bytes[4..].iter().all(u8::is_ascii_digit);
    if !formed {
        return false;
    }
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        // 11, 22 and 33 are left out: one is skipped after A, another after K, another after U.
        letter => {
            let place = u32::from(letter - b'A');
            10 + place + u32::from(letter > b'A') + u32::from(letter > b'K') + u32::from(letter > b'U')
        }
    };
    let sum: u32 = bytes[..10].iter().enumerate().map(|(index, byte)| value(*byte) << index).sum();
    sum % 11 % 10 == u32::from(bytes[10] - b'0')
}

/// Is it a ship's IMO number: seven digits, the last one that of the sum of the first six by weights 7 to 2?
pub fn check_imo(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != 7 || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 =
        bytes[..6].iter().zip([7, 6, 5, 4, 3, 2]).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    sum % 10 == u32::from(bytes[6] - b'0')
}

/// Is it an air waybill number: three digits of the airline, seven of the serial and its remainder by seven?
/// A hyphen after the third digit is usual and allowed.
pub fn check_awb(number: &str) -> bool {
    let bytes: Vec<u8> =
        number.bytes().enumerate().filter(|pair| *pair != (3, b'-')).map(|(_, byte)| byte).take(12).collect();
    if bytes.len() != 11 || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let serial = bytes[3..10].iter().fold(0u32, |serial, byte| serial * 10 + u32::from(byte - b'0'));
    serial % 7 == u32::from(bytes[10] - b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_are_valid() {
        for (scheme, value) in [
            ("gtin", "4006381333931"),
            ("gtin", "036000291452"),
            ("gtin", "96385074"),
            ("gln", "4000001000005"),
            ("sscc", "106141412345678908"),
            ("container", "CSQU3054383"),
            ("imo", "9074729"),
            ("awb", "020-12345675"),
        ] {
            assert_eq!(Identifier::new(scheme, value).check, Some(Check::Valid), "{scheme} {value}");
        }
    }

    #[test]
    fn a_wrong_check_digit_is_kept_and_flagged() {
        let wrong = Identifier::gtin("4006381333932");
        assert_eq!((wrong.value.as_str(), wrong.check), ("4006381333932", Some(Check::Invalid)));
        assert!(Identifier::container("CSQU3054384").is_invalid());
        assert!(Identifier::gln("123456789").is_invalid());
        assert_eq!(Identifier::scac("NFRT").check, None);
    }

    #[test]
    fn the_application_identifier_of_an_sscc_is_taken_off() {
        assert_eq!(Identifier::sscc("00106141412345678908"), Identifier::sscc("106141412345678908"));
    }

    proptest! {
        #[test]
        fn exactly_one_last_digit_is_right(body in "[0-9]{7,17}") {
            let right = (0..10).filter(|digit| check_gs1(&format!("{body}{digit}"))).count();
            prop_assert_eq!(right, 1);
        }

        #[test]
        fn nothing_panics(scheme in "gtin|gln|sscc|gsin|container|imo|awb|other", value in "\\PC{0,24}") {
            let _ = Identifier::new(scheme, value.clone());
            let _ = Identifier::sscc(value);
        }
    }
}
