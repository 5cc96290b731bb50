//! `ownership.yaml`: which partner may assert which types of events.

use std::collections::BTreeMap;

use super::{Ask, EVENT_KINDS, reader::Reader};
use crate::{
    policy::{
        checked::Owned,
        raw::{Entry, Node},
        report::Finding,
    },
    words::PartnerName,
};

pub(super) fn ownership(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Owned> {
    let Some(entries) = reader.map(node) else { return BTreeMap::new() };
    entries.iter().filter_map(|entry| owned(reader, entry)).collect()
}

fn owned(reader: &mut Reader<'_>, entry: &Entry) -> Option<(String, Owned)> {
    let family = entry.key.strip_suffix("*").filter(|family| family.ends_with('.'));
    let known = match family {
        Some(family) => EVENT_KINDS.iter().any(|kind| kind.starts_with(family)),
        None => EVENT_KINDS.contains(&entry.key.as_str()),
    };
    if !known {
        let finding =
            Finding::error(format!("there is no type of events `{}`", super::reader::clip(&entry.key)));
        let finding =
            finding.help("a type, such as `shipment.dispatched`, or a family, such as `shipment.*`");
        reader.push(finding.did_you_mean(&entry.key, EVENT_KINDS.iter().copied()), entry.at);
    }
    let owners = reader.some(&entry.value, |reader, item| {
        let name = reader.parsed(item, PartnerName::new)?;
        reader.refers(Ask::Partner, name.as_str(), item.span);
        Some(name)
    })?;
    Some((entry.key.clone(), Owned { origin: reader.origin(entry.at), owners }))
}
