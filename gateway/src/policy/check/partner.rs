//! `partners/*.yaml`.

use super::{Ask, credential::credential, limits::limits, reader::Reader};
use crate::{
    policy::{
        checked::{Edi, Partner},
        raw::{Entry, Kind, Node},
    },
    words::{PartnerName, Time},
};

pub(super) fn partner(reader: &mut Reader<'_>, node: &Node, now: Time) -> Option<Partner> {
    let mut fields = reader.fields(node, node.span)?;
    let entry = fields.get("partner");
    let name = fields.required(reader, "partner", |r, n| r.parsed(n, PartnerName::new));
    let at = entry.map_or(node.span, Entry::span);
    if let Some(name) = &name {
        reader.declares(Ask::Partner, name.as_str(), at);
    }
    let title = fields.optional(reader, "name", |r, n| r.string(n));
    let owner = fields.optional(reader, "owner", |r, n| r.string(n));
    let zone = fields.optional(reader, "zone", zone);
    let edi = fields.optional(reader, "edi", edi);
    let credentials = fields.or(reader, "credentials", Vec::new(), |reader, node| {
        let entries = reader.map(node)?;
        Some(entries.iter().filter_map(|entry| credential(reader, entry, now)).collect())
    });
    let limits = limits(reader, &mut fields);
    let weight = fields.or(reader, "weight", 1, |r, n| r.number(n, 1, 100));
    fields.end(reader);
    Some(Partner {
        origin: reader.origin(at),
        name: name?,
        title,
        owner,
        zone,
        edi,
        credentials,
        limits,
        weight,
    })
}

/// An IANA time zone.
fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    reader.parsed(node, |text| {
        let known = jiff::tz::TimeZone::get(text).is_ok();
        // A machine without a zone database knows none; then only the form can be judged.
        let shaped = text == "UTC"
            || text.contains('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
        if known || shaped && jiff::tz::TimeZone::get("Europe/Berlin").is_err() {
            Ok(text.to_owned())
        } else {
            Err("expected an IANA time zone such as `America/Chicago`")
        }
    })
}

/// Interchange identities.
pub(super) fn edi(reader: &mut Reader<'_>, node: &Node) -> Option<Edi> {
    let mut fields = reader.fields(node, node.span)?;
    let identity = |reader: &mut Reader<'_>, node: &Node| {
        reader.parsed(node, |text| {
            let fine = (1..=35).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            // X12's ISA06 has 15 places, EDIFACT's 0004 has 35.
            if fine { Ok(text.to_owned()) } else { Err("expected 1 to 35 printable ASCII characters") }
        })
    };
    let sender = fields.required(reader, "sender", identity);
    let receiver = fields.required(reader, "receiver", identity);
    fields.end(reader);
    Some(Edi { sender: sender?, receiver: receiver? })
}

/// Whether a file's node is empty: only comments, or nothing.
pub(super) fn is_empty(node: &Node) -> bool {
    matches!(node.kind, Kind::Null)
}
