//! The document, borrowed from its bytes.

use std::{borrow::Cow, marker::PhantomData};

use crossdock_mapper::{Diagnostic, Location, Refusal};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value, value::RawValue};

/// A ship confirmation. Members that are not named here are the vendor's to add, and stay in the stored document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation<'d> {
    #[serde(default, borrow, deserialize_with = "text")]
    pub message_id: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub shipment_number: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub order_number: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub warehouse_gln: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub carrier_scac: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub shipped_at: Cow<'d, str>,
    #[serde(default, borrow)]
    pub ship_to: Option<Object<ShipTo<'d>>>,
    #[serde(default, borrow)]
    pub lines: Option<Vec<Object<Shipped<'d>>>>,
}

/// Where it goes.
#[derive(Deserialize)]
pub struct ShipTo<'d> {
    #[serde(default, borrow, deserialize_with = "text")]
    pub name: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub street: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub city: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub state: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub zip: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub country: Cow<'d, str>,
}

/// A line: what was shipped of one item, of one lot, in one logistic unit.
#[derive(Deserialize)]
pub struct Shipped<'d> {
    #[serde(default, borrow, deserialize_with = "text")]
    pub sku: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub gtin: Cow<'d, str>,
    /// The number as it was sent.
    #[serde(rename = "qty", borrow)]
    pub quantity: &'d RawValue,
    #[serde(rename = "uom", default, borrow, deserialize_with = "text")]
    pub unit: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub lot: Cow<'d, str>,
    #[serde(default, borrow, deserialize_with = "text")]
    pub sscc: Cow<'d, str>,
}

/// Most letters of a text, in bytes. The gateway's keys have no more.
const LONGEST: usize = 256;

impl<'d> Confirmation<'d> {
    /// Reads the document.
    pub fn read(content: &'d [u8]) -> Result<Self, Refusal> {
        // A byte order mark says nothing, but it counts as bytes.
        let body = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
        let read: Result<Object<Self>, _> = serde_json::from_slice(body);
        read.map(|read| read.0).map_err(|error| explain(body, content.len() - body.len(), &error))
    }
}

/// What is written as a JSON object. Without it an array would do as well, its values in the order of the members here.
pub struct Object<T>(pub T);

impl<'d, T: Deserialize<'d>> Deserialize<'d> for Object<T> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'d, T: Deserialize<'d>> Visitor<'d> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'d>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// A text, borrowed unless it has escapes; null says as little as a member that is not there.
fn text<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Cow<'d, str>, D::Error> {
    struct Text;

    impl<'d> Visitor<'d> for Text {
        type Value = Cow<'d, str>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text of at most 256 bytes")
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'d str) -> Result<Self::Value, E> {
            if text.len() > LONGEST {
                Err(E::invalid_length(text.len(), &self))
            } else {
                Ok(Cow::Borrowed(text))
            }
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.len() > LONGEST {
                Err(E::invalid_length(text.len(), &self))
            } else {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }
    }

    deserializer.deserialize_any(Text)
}

/// What a time says about its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Moment {
    /// It states its offset from UTC.
    Offset,
    /// It does not.
    Local,
}

/// Is it a time in the form of RFC 3339, with an offset or without one?
pub fn moment(text: &str) -> Option<Moment> {
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
    crossdock_mapper::canonical::Time::digits(&date, &clock)?;
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
        [] => Some(Moment::Local),
        b"Z" => Some(Moment::Offset),
        [b'+' | b'-', hours @ .., b':', m1, m2] => {
            let two = |tens: &u8, ones: &u8, most: u8| {
                tens.is_ascii_digit() && ones.is_ascii_digit() && (tens - b'0') * 10 + (ones - b'0') <= most
            };
            let [h1, h2] = hours else { return None };
            (two(h1, h2, 23) && two(m1, m2, 59)).then_some(Moment::Offset)
        }
        _ => None,
    }
}

/// Says where a document that could not be read is wrong. This is the slow way, and only taken then.
fn explain(content: &[u8], marked: usize, error: &serde_json::Error) -> Refusal {
    let found: Result<Value, _> = serde_json::from_slice(content);
    let wrong = found.map(|document| {
        let mut wrong = Vec::new();
        document_is(&document, &mut wrong);
        wrong
    });
    match wrong {
        Ok(wrong) if !wrong.is_empty() => Refusal(wrong),
        // No JSON at all, or a member that stands twice: serde_json knows the line and column.
        _ => {
            let place = Location::new("bytes", format!("line {}, column {}", error.line(), error.column()));
            let lines = content.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
            let before: usize = lines.map(|line| line.len() + 1).sum();
            let offset = (before + error.column().saturating_sub(1)).min(content.len());
            let message: String = error.to_string().chars().take(300).collect();
            // What ends too early is wrong at its end, where there is no byte to point at.
            let length = usize::from(offset < content.len());
            Diagnostic::error("not-understood", message).at(place.bytes(marked + offset, length)).into()
        }
    }
}

fn document_is(document: &Value, wrong: &mut Vec<Diagnostic>) {
    let Some(members) = document.as_object() else {
        wrong.push(shape("an object is needed", ""));
        return;
    };
    texts(
        members,
        &["messageId", "shipmentNumber", "orderNumber", "warehouseGln", "carrierScac", "shippedAt"],
        "",
        wrong,
    );
    match members.get("shipTo") {
        Some(Value::Object(to)) => {
            texts(to, &["name", "street", "city", "state", "zip", "country"], "/shipTo", wrong)
        }
        None | Some(Value::Null) => {}
        Some(_) => wrong.push(shape("an object is needed", "/shipTo")),
    }
    match members.get("lines") {
        Some(Value::Array(lines)) => {
            for (index, line) in lines.iter().enumerate() {
                if wrong.len() >= super::MOST_DIAGNOSTICS {
                    break;
                }
                let at = format!("/lines/{index}");
                let Some(members) = line.as_object() else {
                    wrong.push(shape("an object is needed", &at));
                    continue;
                };
                texts(members, &["sku", "gtin", "uom", "lot", "sscc"], &at, wrong);
                if !members.contains_key("qty") {
                    wrong.push(
                        Diagnostic::error("missing", "the line has no quantity")
                            .at(Location::json_pointer(format!("{at}/qty"))),
                    );
                }
            }
        }
        None | Some(Value::Null) => {}
        Some(_) => wrong.push(shape("an array is needed", "/lines")),
    }
}

fn texts(members: &Map<String, Value>, names: &[&str], at: &str, wrong: &mut Vec<Diagnostic>) {
    for name in names {
        let fits = match members.get(*name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.len() <= LONGEST,
            Some(_) => false,
        };
        if !fits && wrong.len() < super::MOST_DIAGNOSTICS {
            wrong.push(shape("a text of at most 256 bytes is needed", &format!("{at}/{name}")));
        }
    }
}

fn shape(what: &str, at: &str) -> Diagnostic {
    Diagnostic::error("not-understood", what).at(Location::json_pointer(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_form_of_rfc_3339() {
        for text in
            ["2026-11-23T14:05:00-06:00", "2026-11-23T14:05:00Z", "2024-02-29T00:00:00.123456789+14:00"]
        {
            assert_eq!(moment(text), Some(Moment::Offset), "{text}");
        }
        for text in ["2026-11-23T14:05:00", "2026-11-23T14:05:00.5"] {
            assert_eq!(moment(text), Some(Moment::Local), "{text}");
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
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
