//! Times: from what a source states to a moment, where that can be known.

use jiff::{
    Timestamp, ZonedDateTime,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};
use serde_json::{Map, Value};

/// Longest time as text: nine digits of fraction, an offset and a zone's name.
const TEXT_MAX_BYTES: usize = 128;

/// When an event occurred: RFC 3339 where the moment is known, else local. `text` has an offset, or is local
/// with its zone in brackets (RFC 9557), or is local and in `zone`, if there is one. A day stays a day.
pub(super) fn occurred(text: &str, zone: Option<&str>) -> Result<String, String> {
    if text.len() > TEXT_MAX_BYTES || !text.is_ascii() {
        return Err("the time it occurred at is no RFC 3339 time".to_owned());
    }
    let (plain, own_zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((plain, zone)) => (plain, Some(zone)),
        None => (text, None),
    };
    if is_rfc3339(plain) {
        return Ok(plain.to_owned());
    }
    match local(plain) {
        Some(Local::Day) => Ok(plain.to_owned()),
        Some(Local::Time(time)) => match (own_zone, zone) {
            (Some(own), _) => {
                let zone = TimeZone::get(own).map_err(|_| unknown_zone(own))?;
                Ok(resolve(time, zone).map_err(|error| error.to_string())?.at)
            }
            (None, Some(zone)) => match TimeZone::get(zone) {
                Ok(zone) => Ok(resolve(time, zone).map_err(|error| error.to_string())?.at),
                Err(_) => Ok(plain.to_owned()),
            },
            (None, None) => Ok(plain.to_owned()),
        },
        None => Err(format!("`{text}` is no time by RFC 3339, with or without an offset")),
    }
}

/// Works out the moment of a canonical time (an object with `basis`) that states a local time only.
pub(super) fn settle(time: &mut Map<String, Value>, zone: Option<&str>) -> Result<(), String> {
    let text = |name: &str| time.get(name).and_then(Value::as_str);
    if text("basis") == Some("offset") {
        return Ok(());
    }
    let Some(local_text) = text("local") else { return Ok(()) };
    let civil = match local(local_text) {
        Some(Local::Time(civil)) => civil,
        Some(Local::Day) => return Ok(()),
        None => return Err(format!("`{local_text}` is no time that a clock shows")),
    };
    let (name, known) = match (text("zone"), zone) {
        (Some(own), _) => (own.to_owned(), TimeZone::get(own).map_err(|_| unknown_zone(own))?),
        // A zone of the policy that this machine does not know leaves the time local: nothing is invented.
        (None, Some(zone)) => match TimeZone::get(zone) {
            Ok(known) => (zone.to_owned(), known),
            Err(_) => return Ok(()),
        },
        (None, None) => return Ok(()),
    };
    let resolved = resolve(civil, known).map_err(|error| error.to_string())?;
    time.insert("at".to_owned(), resolved.at.into());
    time.insert("zone".to_owned(), name.into());
    time.insert("basis".to_owned(), "zone".into());
    match resolved.odd {
        Some(odd) => time.insert("resolution".to_owned(), odd.into()),
        None => time.remove("resolution"),
    };
    Ok(())
}

/// A moment with seconds and a whole offset. jiff alone would also take the shorter forms of ISO 8601.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let whole = bytes.len() >= 20 && bytes[10] == b'T' && bytes[13] == b':' && bytes[16] == b':';
    let sign = |byte: &u8| matches!(byte, b'+' | b'-');
    let offset = text.ends_with('Z')
        || bytes.iter().rev().nth(2) == Some(&b':') && bytes.iter().rev().nth(5).is_some_and(sign);
    whole && offset && text.parse::<Timestamp>().is_ok()
}

enum Local {
    Day,
    Time(DateTime),
}

fn local(text: &str) -> Option<Local> {
    match text.len() {
        10 => text.parse::<Date>().ok().map(|_| Local::Day),
        // An hour and a minute at least, and no offset: that would be no local time.
        16.. if text.as_bytes()[10] == b'T' && !text[11..].contains(['+', '-', 'Z', 'z']) => {
            text.parse().ok().map(Local::Time)
        }
        _ => None,
    }
}

struct Resolved {
    at: String,
    odd: Option<&'static str>,
}

/// A time that the clock showed twice is taken as the first, one that it skipped as if it had not been put
/// forward (RFC 5545, and what jiff calls compatible).
fn resolve(time: DateTime, zone: TimeZone) -> Result<Resolved, jiff::Error> {
    let found = zone.to_ambiguous_zoned_datetime(time);
    let odd = match found.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Fold { .. } => Some("ambiguous"),
        AmbiguousOffset::Gap { .. } => Some("nonexistent"),
    };
    Ok(Resolved { at: rfc3339(&found.compatible()?), odd })
}

fn rfc3339(moment: &ZonedDateTime) -> String {
    // Before standard time, offsets had seconds, which RFC 3339 cannot say.
    if moment.offset().seconds() % 60 == 0 {
        moment.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
    } else {
        moment.timestamp().to_string()
    }
}

fn unknown_zone(name: &str) -> String {
    format!("`{name}` is no time zone that this gateway knows")
}
