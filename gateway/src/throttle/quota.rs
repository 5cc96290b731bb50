//! So much in a period: by the calendar, or in any stretch of time of a given length.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::{RoundMode, Timestamp, ToSpan, Unit as Span, ZonedDateTime, ZonedDateTimeRound, tz::TimeZone};

use crate::words::{Time, Unit};

/// Parts of a rolling window. What was used leaves it a part at a time, so that no window of its length ever passes more
/// than the quota.
const PARTS: i64 = 60;

/// So much in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests, or bytes of documents.
    pub most: u64,
    /// Which of them.
    pub unit: Unit,
    /// In which period.
    pub window: Window,
    /// Its name behind the scope's: `day`, `month-bytes`. Quotas of one scope differ in it.
    pub name: Arc<str>,
}

/// A period of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// From one beginning of the period to the next, in a time zone.
    Calendar(Period, TimeZone),
    /// Every stretch of this length.
    Rolling(Duration),
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From minute 0.
    Hour,
    /// From midnight.
    Day,
    /// From Monday's midnight (ISO 8601).
    Week,
    /// From the first's midnight.
    Month,
}

impl Quota {
    /// So much in a period.
    pub fn new(most: u64, unit: Unit, window: Window) -> Self {
        let period = match &window {
            Window::Calendar(Period::Hour, _) => "hour".to_owned(),
            Window::Calendar(Period::Day, _) => "day".to_owned(),
            Window::Calendar(Period::Week, _) => "week".to_owned(),
            Window::Calendar(Period::Month, _) => "month".to_owned(),
            Window::Rolling(length) => format!("rolling-{}s", length.as_secs()),
        };
        let name = if unit == Unit::Bytes { format!("{period}-bytes") } else { period };
        Self { most, unit, window, name: name.into() }
    }

    /// What one request costs it.
    pub(super) fn cost(&self, bytes: u64) -> u64 {
        if self.unit == Unit::Bytes { bytes } else { 1 }
    }
}

/// What was used of one quota: by the moment at which each part began. A calendar's window has a single part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    parts: VecDeque<Part>,
}

/// A part of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Milliseconds since the epoch at which it began.
    pub(super) from: i64,
    /// When it stops counting.
    pub(super) until: i64,
    /// What was used in it.
    pub(super) used: u64,
}

/// What a quota says before anything is taken from it.
pub(super) struct Standing {
    pub(super) remaining: u64,
    /// Until all of it is there again.
    pub(super) reset: Duration,
    /// Length of the present window.
    pub(super) window: Duration,
    /// How long to wait, if it is refused.
    pub(super) wait: Option<Duration>,
}

impl Used {
    /// What is left after this cost, or how long to wait for it.
    pub(super) fn ask(&mut self, quota: &Quota, cost: u64, now: Time) -> Standing {
        self.forget(now);
        let present = self.present(quota, now);
        let used: u64 = self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.used));
        let left = quota.most.saturating_sub(used);
        let until = |moment: i64| Time::from_millis(moment).since(now);
        let wait = (left < cost.max(1)).then(|| {
            // The oldest parts leave first; what costs more than there ever is waits for all of them.
            let mut free = left;
            let enough = self.parts.iter().find(|part| {
                free = free.saturating_add(part.used);
                free >= cost.max(1)
            });
            until(enough.or(self.parts.back()).map_or(present.until, |part| part.until))
        });
        let last = self.parts.back().map_or(present.until, |part| part.until);
        let window = match quota.window {
            Window::Calendar(..) => Time::from_millis(present.until).since(Time::from_millis(present.from)),
            Window::Rolling(length) => length,
        };
        Standing { remaining: left.saturating_sub(cost), reset: until(last), window, wait }
    }

    /// Takes the cost; answers the part that it was counted in.
    pub(super) fn take(&mut self, quota: &Quota, cost: u64, now: Time) -> Part {
        let present = self.present(quota, now);
        match self.parts.back_mut() {
            Some(last) if last.from == present.from => {
                last.used = last.used.saturating_add(cost);
                *last
            }
            _ => {
                let part = Part { used: cost, ..present };
                self.parts.push_back(part);
                part
            }
        }
    }

    /// Takes in what was kept before a restart.
    pub(super) fn restore(&mut self, part: Part) {
        match self.parts.iter_mut().find(|known| known.from == part.from) {
            Some(known) => *known = part,
            None => {
                let at = self.parts.partition_point(|known| known.from < part.from);
                self.parts.insert(at, part);
            }
        }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    pub(super) fn is_idle(&self, now: Time) -> bool {
        self.parts.back().is_none_or(|part| part.until <= now.millis())
    }

    fn forget(&mut self, now: Time) {
        while self.parts.front().is_some_and(|part| part.until <= now.millis()) {
            self.parts.pop_front();
        }
        // A clock that stepped back far leaves parts of a future that may not come for long: they would lock out.
        self.parts.retain(|part| part.from <= now.after(Duration::from_secs(86_400)).millis());
    }

    /// The part that now is in, empty. A calendar is asked once a window.
    fn present(&self, quota: &Quota, now: Time) -> Part {
        match &quota.window {
            Window::Calendar(period, zone) => match self.parts.back() {
                Some(last) if last.from <= now.millis() && now.millis() < last.until => {
                    Part { used: 0, ..*last }
                }
                _ => {
                    let (from, until) = bounds(*period, zone, now);
                    Part { from, until, used: 0 }
                }
            },
            Window::Rolling(length) => {
                let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 4);
                let part = (length / PARTS).max(1);
                let from = now.millis().div_euclid(part) * part;
                Part { from, until: from.saturating_add(part).saturating_add(length), used: 0 }
            }
        }
    }
}

/// The period that a moment is in. Where the calendar has no answer (the end of time), it is a day.
fn bounds(period: Period, zone: &TimeZone, now: Time) -> (i64, i64) {
    let found = Timestamp::from_millisecond(now.millis()).ok().and_then(|moment| {
        let local = moment.to_zoned_datetime(zone.clone());
        let (from, until) = edges(period, &local)?;
        Some((from.timestamp().as_millisecond(), until.timestamp().as_millisecond()))
    });
    found.filter(|(from, until)| *from <= now.millis() && now.millis() < *until).unwrap_or_else(|| {
        let day = now.millis().div_euclid(86_400_000) * 86_400_000;
        (day, day.saturating_add(86_400_000))
    })
}

fn edges(period: Period, local: &ZonedDateTime) -> Option<(ZonedDateTime, ZonedDateTime)> {
    match period {
        Period::Hour => {
            let from =
                local.round(ZonedDateTimeRound::new().smallest(Span::Hour).mode(RoundMode::Trunc)).ok()?;
            let until = from.checked_add(1.hour()).ok()?;
            Some((from, until))
        }
        Period::Day => {
            let from = local.start_of_day().ok()?;
            let until = local.tomorrow().ok()?.start_of_day().ok()?;
            Some((from, until))
        }
        Period::Week => {
            let days = i64::from(local.weekday().to_monday_zero_offset());
            let from = local.checked_sub(days.days()).ok()?.start_of_day().ok()?;
            let until = from.checked_add(7.days()).ok()?.start_of_day().ok()?;
            Some((from, until))
        }
        Period::Month => {
            let from = local.first_of_month().ok()?.start_of_day().ok()?;
            let until = from.checked_add(1.month()).ok()?.start_of_day().ok()?;
            Some((from, until))
        }
    }
}

/// What a scope has used, quota by quota, under the quota's name.
pub(super) type Ledger = Vec<(Arc<str>, Used)>;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn calendar(period: Period, zone: &str) -> Quota {
        Quota::new(3, Unit::Requests, Window::Calendar(period, TimeZone::get(zone).unwrap()))
    }

    #[test]
    fn a_calendars_window_begins_where_the_zone_says() {
        for (period, zone, now, until) in [
            (Period::Day, "UTC", "2026-11-23T12:00:00Z", "2026-11-24T00:00:00Z"),
            (Period::Day, "America/Chicago", "2026-11-23T05:59:59Z", "2026-11-23T06:00:00Z"),
            (Period::Hour, "Asia/Kolkata", "2026-11-23T12:00:00Z", "2026-11-23T12:30:00Z"),
            (Period::Week, "UTC", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"),
            (Period::Month, "Europe/Berlin", "2026-11-23T12:00:00Z", "2026-11-30T23:00:00Z"),
            // The day on which clocks go back has 25 hours.
            (Period::Day, "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25T23:00:00Z"),
        ] {
            let quota = calendar(period, zone);
            let mut used = Used::default();
            let now = at(now);
            for _ in 0..3 {
                assert_eq!(used.ask(&quota, 1, now).wait, None);
                used.take(&quota, 1, now);
            }
            assert_eq!(used.ask(&quota, 1, now).wait, Some(at(until).since(now)), "{period:?} {zone}");
            assert_eq!(used.ask(&quota, 1, at(until)).remaining, 2, "{period:?} {zone}");
        }
    }

    #[test]
    fn no_window_of_a_rolling_quota_ever_passes_more() {
        let quota = Quota::new(10, Unit::Requests, Window::Rolling(Duration::from_secs(60)));
        let (mut used, mut passed) = (Used::default(), Vec::new());
        for tick in 0..3_000_i64 {
            let now = Time::from_millis(1_795_000_000_000 + tick * 137);
            if used.ask(&quota, 1, now).wait.is_none() {
                used.take(&quota, 1, now);
                passed.push(now.millis());
            }
        }
        assert!(passed.len() > 50, "only {} passed", passed.len());
        for (index, first) in passed.iter().enumerate() {
            let within = passed[index..].iter().filter(|moment| **moment < first + 60_000).count();
            assert!(within <= 10, "{within} within a minute");
        }
        assert!(used.parts().count() <= 62);
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        let quota = Quota::new(1_000, Unit::Bytes, Window::Rolling(Duration::from_secs(3600)));
        let (mut used, start) = (Used::default(), at("2026-11-23T12:00:00Z"));
        for minute in 0..10 {
            used.take(&quota, 100, start.after(Duration::from_secs(minute * 60)));
        }
        let now = start.after(Duration::from_secs(600));
        let wait = used.ask(&quota, 250, now).wait.unwrap();
        let early = now.after(wait - Duration::from_millis(1));
        assert!(used.clone().ask(&quota, 250, early).wait.is_some());
        assert_eq!(used.ask(&quota, 250, now.after(wait)).wait, None);
    }
}
