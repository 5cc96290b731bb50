//! `mappers.lock`: by mapper, the version and the digest that is live.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::{
    policy::{checked::Pin, raw::Node},
    words::{Digest, MapperName},
};

pub(super) fn lock(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<MapperName, Pin> {
    let mut pins = BTreeMap::new();
    for entry in reader.map(node).unwrap_or_default() {
        let name =
            MapperName::new(&entry.key).map_err(|error| reader.error(entry.at, error.to_string())).ok();
        let Some(mut fields) = reader.fields(&entry.value, entry.at) else { continue };
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
        fields.end(reader);
        if let (Some(name), Some(version), Some(digest)) = (name, version, digest) {
            pins.insert(name, Pin { origin: reader.origin(entry.at), version, digest });
        }
    }
    pins
}
