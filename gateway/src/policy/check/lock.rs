//! `mappers.lock`: by mapper, the version and the digest that is live, and a candidate that serves a share.

use std::collections::BTreeMap;

use super::reader::{Fields, Reader};
use crate::{
    policy::{
        checked::{Pin, PinnedCanary},
        raw::Node,
    },
    words::{Digest, MapperName},
};

pub(super) fn lock(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<MapperName, Pin> {
    let mut pins = BTreeMap::new();
    for entry in reader.map(node).unwrap_or_default() {
        let name =
            MapperName::new(&entry.key).map_err(|error| reader.error(entry.at, error.to_string())).ok();
        let Some(mut fields) = reader.fields(&entry.value, entry.at) else { continue };
        let (version, digest) = generation(reader, &mut fields);
        let canary = fields.optional(reader, "canary", |reader, node| {
            let mut fields = reader.fields(node, node.span)?;
            let (version, digest) = generation(reader, &mut fields);
            let share = fields.required(reader, "share", |reader, node| reader.number(node, 1, 99));
            fields.end(reader);
            let share = u8::try_from(share?).ok()?;
            Some(PinnedCanary { version: version?, digest: digest?, share })
        });
        fields.end(reader);
        if let (Some(name), Some(version), Some(digest)) = (name, version, digest) {
            pins.insert(name, Pin { origin: reader.origin(entry.at), version, digest, canary });
        }
    }
    pins
}

fn generation(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> (Option<String>, Option<Digest>) {
    let version = fields.required(reader, "version", |reader, node| reader.short(node, 64));
    let digest = fields.required(reader, "digest", |reader, node| {
        let text = reader.scalar(node)?;
        let digest = Digest::parse(text.trim_start_matches("sha256:"));
        if digest.is_none() {
            reader.error(
                node.span,
                "a digest is 64 hexadecimal digits, as `crossdock plugin list --json` shows them",
            );
        }
        digest
    });
    (version, digest)
}
