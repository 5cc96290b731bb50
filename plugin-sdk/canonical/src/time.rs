//! A time as its source stated it: with an offset, in a zone that somebody knows, or merely local.

use serde::{Deserialize, Serialize};

/// Whence the moment of a [`Time`] is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The source stated an offset from UTC.
    Offset,
    /// The source stated a local time; the zone of its place was known, and the gateway worked out `at`.
    Zone,
    /// The source stated a local time and nobody knows the zone: there is no `at`.
    #[default]
    Local,
}

/// Fact, plan or estimate (DCSA `eventClassifierCode` ACT, PLN, EST).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Classifier {
    /// It happened.
    Actual,
    /// It is arranged.
    Planned,
    /// It is expected.
    Estimated,
}

/// What was odd about a local time when the gateway worked out its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// The clock showed it twice (the hour after summer time); the first was taken.
    Ambiguous,
    /// The clock never showed it (the hour before summer time); it was read as the time before the change.
    Nonexistent,
}

/// When something happens or happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Time {
    /// The moment, RFC 3339 with an offset. A mapper writes it where the source states the offset; else
    /// the gateway fills it in from `local` and a zone, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The local time `2026-11-20T14:05:00`, or the day `2026-11-20` where the source says no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// The IANA zone that `local` is in: `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whence the moment is known.
    pub basis: Basis,
    /// Fact, plan or estimate, where that is not plain from the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<Classifier>,
    /// Written by the gateway where the local time was odd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

impl Time {
    /// A moment whose source states its offset, RFC 3339: `2026-11-20T14:05:00+01:00`.
    pub fn at(moment: impl Into<String>) -> Self {
        Self { at: Some(moment.into()), basis: Basis::Offset, ..Self::default() }
    }

    /// A local time or day: `2026-11-20T14:05:00`, `2026-11-20`.
    pub fn local(text: impl Into<String>) -> Self {
        Self { local: Some(text.into()), ..Self::default() }
    }

    /// A time as its source wrote it, in the form of RFC 3339: a moment where it states its offset, else local, and a
    /// day where it says no more. None where it is none of these: `2026-02-30`, `14:05`, `2026-11-20T14:05`.
    pub fn read(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() < 10 {
            return None;
        }
        let (day, clock) = text.split_at(10);
        let formed = day.as_bytes()[4] == b'-' && day.as_bytes()[7] == b'-';
        let digits = [&day[..4], &day[5..7], &day[8..]].concat();
        if !formed {
            return None;
        }
        if clock.is_empty() {
            return Self::digits(&digits, "");
        }
        let hour = clock.strip_prefix('T')?;
        if hour.len() < 8 || hour.as_bytes()[2] != b':' || hour.as_bytes()[5] != b':' {
            return None;
        }
        Self::digits(&digits, &[&hour[..2], &hour[3..5], &hour[6..8]].concat())?;
        let mut rest = &hour[8..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let end = fraction.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
            if !(1..=9).contains(&end) {
                return None;
            }
            rest = &fraction[end..];
        }
        match rest.as_bytes() {
            [] => Some(Self::local(text)),
            b"Z" => Some(Self::at(text)),
            [b'+' | b'-', h1, h2, b':', m1, m2] => {
                let upto = |tens: u8, ones: u8, most: u8| {
                    tens.is_ascii_digit()
                        && ones.is_ascii_digit()
                        && (tens - b'0') * 10 + (ones - b'0') <= most
                };
                (upto(*h1, *h2, 23) && upto(*m1, *m2, 59)).then(|| Self::at(text))
            }
            _ => None,
        }
    }

    /// A local day, and a time where there is one, from the digits that X12 and SAP write:
    /// `20261120` or `261120` (taken as 20..), and `1405`, `140530` or `14053000`. An empty `time` means
    /// that only the day is known. None where they are no date or no time.
    pub fn digits(date: &str, time: &str) -> Option<Self> {
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let century = match date.len() {
            8 => date.get(..2)?,
            6 => "20",
            _ => return None,
        };
        number(date)?;
        let rest = &date[date.len() - 6..];
        let (year, month, day) = (format!("{century}{}", &rest[..2]), &rest[2..4], &rest[4..]);
        if !is_day(number(&year)?, number(month)?, number(day)?) {
            return None;
        }
        let day = format!("{year}-{month}-{day}");
        if time.is_empty() {
            return Some(Self::local(day));
        }
        if !matches!(time.len(), 4 | 6 | 7 | 8) {
            return None;
        }
        number(time)?;
        let (hour, minute) = (&time[..2], &time[2..4]);
        let second = time.get(4..6).unwrap_or("00");
        let fits = number(hour)? < 24 && number(minute)? < 60 && number(second)? < 60;
        fits.then(|| Self::local(format!("{day}T{hour}:{minute}:{second}")))
    }

    /// In an IANA zone; an empty name changes nothing.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<String>) -> Self {
        let zone = zone.into();
        if !zone.is_empty() {
            self.zone = Some(zone);
        }
        self
    }

    /// It happened.
    #[must_use]
    pub fn actual(mut self) -> Self {
        self.classifier = Some(Classifier::Actual);
        self
    }

    /// It is arranged.
    #[must_use]
    pub fn planned(mut self) -> Self {
        self.classifier = Some(Classifier::Planned);
        self
    }

    /// It is expected.
    #[must_use]
    pub fn estimated(mut self) -> Self {
        self.classifier = Some(Classifier::Estimated);
        self
    }

    /// The moment where it is known, else the local time, with its zone in brackets (RFC 9557) where that
    /// is known: the form of an event's `occurred_at`. None where neither is there.
    pub fn text(&self) -> Option<String> {
        match (&self.at, &self.local, &self.zone) {
            (Some(at), _, _) => Some(at.clone()),
            (None, Some(local), Some(zone)) if local.contains('T') => Some(format!("{local}[{zone}]")),
            (None, Some(local), _) => Some(local.clone()),
            (None, None, _) => None,
        }
    }

    /// Year, month and day as eight digits, as X12 and SAP write them: of the local time where there is
    /// one, else of the moment at its own offset. None where the time is not in its form.
    pub fn date_digits(&self) -> Option<String> {
        let text = self.local.as_deref().or(self.at.as_deref())?;
        let (year, month, day) = (text.get(..4)?, text.get(5..7)?, text.get(8..10)?);
        let digits = format!("{year}{month}{day}");
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
    }

    /// Hour, minute and second as six digits, in the same place; none where only the day is known.
    pub fn time_digits(&self) -> Option<String> {
        let text = self.local.as_deref().or(self.at.as_deref())?;
        let (hour, minute, second) = (text.get(11..13)?, text.get(14..16)?, text.get(17..19).unwrap_or("00"));
        let digits = format!("{hour}{minute}{second}");
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
    }
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_become_a_local_time() {
        assert_eq!(Time::digits("20261120", "1405"), Some(Time::local("2026-11-20T14:05:00")));
        assert_eq!(Time::digits("261120", "140530"), Some(Time::local("2026-11-20T14:05:30")));
        assert_eq!(Time::digits("20240229", ""), Some(Time::local("2024-02-29")));
    }

    #[test]
    fn a_time_is_read_as_its_source_wrote_it() {
        for text in
            ["2026-11-20T14:05:00Z", "2026-11-20T14:05:00.123456789-06:00", "2024-02-29T00:00:00+14:00"]
        {
            assert_eq!(Time::read(text), Some(Time::at(text)), "{text}");
        }
        for text in ["2026-11-20T14:05:00", "2026-11-20T23:59:59.5", "2026-11-20"] {
            assert_eq!(Time::read(text), Some(Time::local(text)), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "20261120",
            "2026-11-2",
            "2026-02-29",
            "2026-13-01",
            "2026-11-20T",
            "2026-11-20T14:05",
            "2026-11-20 14:05:00",
            "2026-11-20t14:05:00",
            "2026-11-20T24:00:00",
            "2026-11-20T14:05:60",
            "2026-11-20T14:05:00.",
            "2026-11-20T14:05:00.0123456789",
            "2026-11-20T14:05:00z",
            "2026-11-20T14:05:00+1",
            "2026-11-20T14:05:00+01",
            "2026-11-20T14:05:00+0100",
            "2026-11-20T14:05:00+24:00",
            "2026-11-20Z",
            "2026-11-20T14:05:00Z ",
            "2026-11-20T14:05:00\u{661}",
            "+026-11-20",
            "2026-11-20T14:-5:00",
        ] {
            assert_eq!(Time::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_day_or_time_is_none() {
        for (date, time) in [
            ("20260229", ""),
            ("20261301", ""),
            ("00000000", ""),
            ("2026112", ""),
            ("20261120", "2400"),
            ("20261120", "1460"),
            ("20261120", "14"),
            ("2026é20", ""),
        ] {
            assert_eq!(Time::digits(date, time), None, "{date} {time}");
        }
    }

    #[test]
    fn the_text_says_as_much_as_is_known() {
        assert_eq!(Time::at("2026-11-20T14:05:00+01:00").text().unwrap(), "2026-11-20T14:05:00+01:00");
        assert_eq!(
            Time::local("2026-11-20T14:05:00").in_zone("Europe/Berlin").text().unwrap(),
            "2026-11-20T14:05:00[Europe/Berlin]"
        );
        assert_eq!(Time::local("2026-11-20").in_zone("").text().unwrap(), "2026-11-20");
    }

    #[test]
    fn digits_come_back_as_they_went() {
        let time = Time::digits("20261120", "140530").unwrap();
        assert_eq!(
            (time.date_digits().unwrap(), time.time_digits().unwrap()),
            ("20261120".into(), "140530".into())
        );
        assert_eq!(Time::local("2026-11-20").time_digits(), None);
    }

    proptest! {
        #[test]
        fn hostile_digits_do_not_panic(date in "\\PC{0,9}", time in "\\PC{0,9}") {
            if let Some(time) = Time::digits(&date, &time) {
                prop_assert!(time.date_digits().is_some());
            }
        }
    }
}
