//! `DTM`: dates, times, periods, and the zones that some of them carry.

use crossdock_edi::edifact::Segment;
use crossdock_mapper::canonical::{Dated, Time};

use crate::source::{Source, excerpt};
use crate::tables;
use crate::tree::Node;

/// What a `DTM` says.
pub enum Read {
    /// A day or a moment.
    One(Time),
    /// From when until when.
    Period(Time, Time),
    /// Nothing that a time of the model could say: a duration, a week, the time of any day.
    Other,
}

/// The `DTM`s of a level by their meaning, each read once.
pub struct Dates {
    found: Vec<(String, Time)>,
}

impl Dates {
    /// Reads the dates that stand directly below a node.
    pub fn of<'d>(source: &Source<'d>, node: &Node<'d>) -> Self {
        let mut found = Vec::new();
        for dtm in node.all("DTM") {
            push(source, dtm.segment, None, &mut found);
        }
        // Directories have a DTM stand before the RFF; where it stands behind, it seems to be of the reference.
        for rff in node.all("RFF") {
            let number = tables::name_of(tables::REFERENCES, &rff.segment.value(1, 1));
            for dtm in rff.all("DTM") {
                let own = dtm.segment.value(1, 1) == "171";
                push(source, dtm.segment, own.then_some(number.as_str()), &mut found);
            }
        }
        Self { found }
    }

    /// Takes the first date of a kind out of the rest.
    pub fn take(&mut self, kind: &str) -> Option<Time> {
        let at = self.found.iter().position(|(found, _)| found == kind)?;
        Some(self.found.remove(at).1)
    }

    /// Takes the first of several kinds, the most telling one first. Whether it is a fact is plain from the field.
    pub fn take_first(&mut self, kinds: &[&str]) -> Option<Time> {
        let time = kinds.iter().find_map(|kind| self.take(kind))?;
        Some(Time { classifier: None, ..time })
    }

    /// Takes the first date of all, whatever it is.
    pub fn take_any(&mut self) -> Option<Time> {
        (!self.found.is_empty()).then(|| self.found.remove(0).1)
    }

    /// What is left of them.
    pub fn rest(self) -> Vec<Dated> {
        self.found.into_iter().map(|(kind, time)| Dated { kind, time }).collect()
    }
}

/// All dates directly below a node.
pub fn all<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Dated> {
    Dates::of(source, node).rest()
}

/// Reads one date; that of a reference is named by it: `po-date`.
fn push<'d>(source: &Source<'d>, segment: Segment<'d>, of: Option<&str>, found: &mut Vec<(String, Time)>) {
    let qualifier = segment.value(1, 1);
    let classify = |time: Time| match tables::column(tables::DATES, &qualifier, 2) {
        Some("actual") => time.actual(),
        Some("planned") => time.planned(),
        Some("estimated") => time.estimated(),
        _ => time,
    };
    let kind = match of {
        Some(reference) => format!("{reference}-date"),
        None => tables::name_of(tables::DATES, &qualifier),
    };
    match read(source, segment) {
        Some(Read::One(time)) => found.push((kind, classify(time))),
        Some(Read::Period(from, until)) => {
            found.push((format!("{kind}-from"), classify(from)));
            found.push((format!("{kind}-until"), classify(until)));
        }
        Some(Read::Other) | None => return,
    }
    source.take(segment, 1, 1);
}

/// The day alone, `2027-03-31`, for expiry and production.
pub fn day(time: &Time) -> Option<String> {
    let text = time.local.as_deref().or(time.at.as_deref())?;
    text.get(..10).map(str::to_owned)
}

/// Reads the value of a `DTM` by its format; none where it has no value or one that was told of.
pub fn read<'d>(source: &Source<'d>, segment: Segment<'d>) -> Option<Read> {
    let value = segment.value(1, 2);
    // Zeros are how some say that there is no date.
    if value.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let format = segment.value(1, 3);
    // Without a format the digits speak for themselves.
    let by_length = match value.len() {
        6 => "YYMMDD",
        8 => "CCYYMMDD",
        12 => "CCYYMMDDHHMM",
        14 => "CCYYMMDDHHMMSS",
        _ => "",
    };
    let pattern = match &*format {
        "" => by_length,
        format => tables::listed(tables::FORMATS, format).unwrap_or_default(),
    };
    if pattern.is_empty() {
        return Some(Read::Other);
    }
    let parsed = match pattern.split_once('-') {
        Some((from, until)) => period(source, segment, &value, from, until),
        None => moment(source, segment, &value, pattern).map(Read::One),
    };
    // A day that is sent under the format of a time is a day all the same.
    let parsed = parsed.or_else(|| {
        let time = moment(source, segment, &value, by_length).filter(|_| value.len() != pattern.len())?;
        let message = format!("`{}` is not of format {pattern}; it is read as {by_length}", excerpt(&value));
        source.warning(segment, 1, 2, "format", "12", message);
        Some(Read::One(time))
    });
    if parsed.is_none() {
        let message = format!("`{}` is no date of format {pattern}", excerpt(&value));
        source.error(segment, 1, 2, "not-a-date", "12", message);
    } else {
        source.take(segment, 1, 2);
        source.take(segment, 1, 3);
    }
    parsed
}

fn period<'d>(
    source: &Source<'d>,
    segment: Segment<'d>,
    value: &str,
    from: &str,
    until: &str,
) -> Option<Read> {
    // The hyphen is often left out, as the directory's own examples do.
    let (first, second) = match value.split_once('-') {
        Some(both) => both,
        None if value.is_char_boundary(from.len()) && value.len() > from.len() => value.split_at(from.len()),
        None => return None,
    };
    Some(Read::Period(moment(source, segment, first, from)?, moment(source, segment, second, until)?))
}

/// One moment or day by a pattern of two letters each.
fn moment<'d>(source: &Source<'d>, segment: Segment<'d>, value: &str, pattern: &str) -> Option<Time> {
    let (mut century, mut date, mut clock) = (None, [""; 3], String::new());
    let mut rest = value;
    let mut letters = pattern;
    let mut zone = "";
    while !letters.is_empty() {
        if letters.starts_with('Z') {
            zone = rest;
            break;
        }
        let (letter, digits) = (letters.get(..2)?, rest.get(..2)?);
        match letter {
            "CC" => century = Some(digits),
            "YY" => date[0] = digits,
            "MM" if clock.is_empty() => date[1] = digits,
            "DD" => date[2] = digits,
            _ => clock.push_str(digits),
        }
        (letters, rest) = (&letters[2..], &rest[2..]);
    }
    if zone.is_empty() && !rest.trim().is_empty() {
        return None;
    }
    // Two digits of a year: what is past 69 was in the last century.
    let century = century.unwrap_or(if date[0] >= "70" { "19" } else { "20" });
    let time = Time::digits(&format!("{century}{}{}{}", date[0], date[1], date[2]), &clock)?;
    Some(zoned(source, segment, time, zone.trim(), letters))
}

fn zoned<'d>(source: &Source<'d>, segment: Segment<'d>, time: Time, zone: &str, pattern: &str) -> Time {
    if time.local.as_ref().is_none_or(|local| !local.contains('T')) {
        return time;
    }
    let offset = match pattern {
        "ZHHMM" => offset(zone),
        _ => tables::listed(tables::ZONES, zone).map(str::to_owned).or_else(|| offset(zone)),
    };
    match (offset, &time.local) {
        (Some(offset), Some(local)) => Time::at(format!("{local}{offset}")),
        _ if zone.is_empty() => time.in_zone(source.zone.unwrap_or_default()),
        _ => {
            let message = format!("`{}` names no one zone, so the time stays local", excerpt(zone));
            source.warning(segment, 1, 2, "unknown-zone", "12", message);
            time
        }
    }
}

/// `+0100` or `+01` as RFC 3339 has it.
fn offset(text: &str) -> Option<String> {
    let (sign, digits) = text.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let fits = matches!(sign, "+" | "-") && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 if fits => (digits.get(..2)?, "00"),
        4 if fits => (digits.get(..2)?, digits.get(2..)?),
        _ => return None,
    };
    (hours < "24" && minutes < "60").then(|| format!("{sign}{hours}:{minutes}"))
}
