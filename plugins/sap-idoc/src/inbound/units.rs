//! Handling units: what they hold, and which stand in which.

use std::collections::BTreeMap;

use crossdock_mapper::canonical::{Content, Identifier, Pack};

use super::{Reading, items::Items};
use crate::xml::Node;

/// Fields that the model has places for. A handling unit has units of its own: GWEIM for what it weighs, VOLEM for its
/// volume, MEABM for its lengths.
pub const KNOWN: &[&str] = &[
    "EXIDV", "TARAG", "GWEIT", "BRGEW", "NTGEW", "GWEIM", "BTVOL", "VOLEM", "VHILM", "LAENG", "BREIT",
    "HOEHE", "MEABM", "E1EDL44",
];
/// Measures of a handling unit: the model's name, the field and that of its unit.
pub const MEASURES: &[(&str, &str, &str)] = &[
    ("gross-weight", "BRGEW", "GWEIM"),
    ("net-weight", "NTGEW", "GWEIM"),
    ("tare-weight", "TARAG", "GWEIT"),
    ("volume", "BTVOL", "VOLEM"),
    ("length", "LAENG", "MEABM"),
    ("width", "BREIT", "MEABM"),
    ("height", "HOEHE", "MEABM"),
];

impl Reading<'_> {
    pub(super) fn packs(&mut self, delivery: Node<'_>, items: &Items) -> Vec<Pack> {
        let mut packs: Vec<Pack> = Vec::new();
        let mut by_label = BTreeMap::new();
        for unit in delivery.all("E1EDL37") {
            let identifier = identifier(unit.get("EXIDV"));
            let id =
                identifier.as_ref().map_or_else(|| format!("hu-{}", packs.len() + 1), |id| id.value.clone());
            if by_label.insert(id.clone(), packs.len()).is_some() {
                self.say(
                    "repeated",
                    "the handling unit stands twice in the delivery",
                    unit.place_of("EXIDV"),
                );
            }
            packs.push(Pack {
                id,
                identifiers: identifier.into_iter().collect(),
                source_kind: unit.some("VHILM"),
                contents: unit.all("E1EDL44").filter_map(|content| self.content(content, items)).collect(),
                measures: self.measures(unit, MEASURES),
                ..Pack::default()
            });
        }
        // A handling unit names the ones that stand in it.
        for (outer, unit) in delivery.all("E1EDL37").enumerate() {
            for label in unit.all("E1EDL44").filter_map(|content| identifier(content.get("EXIDV"))) {
                let inner = by_label.get(&label.value).copied().filter(|inner| *inner != outer);
                if let Some(inner) = inner {
                    packs[inner].parent = Some(packs[outer].id.clone());
                }
            }
        }
        packs
    }

    /// What a handling unit holds of an item, or of a batch of it: SAP names the sub-item of the split then.
    fn content(&mut self, content: Node<'_>, items: &Items) -> Option<Content> {
        let quantity = self.quantity(content, "VEMNG", "VEMEH");
        let number = content.set("POSNR")?;
        let (line, lot) = match items.split.get(&number) {
            Some((line, lot)) => (line.clone(), Some(lot.clone())),
            None => (number, None),
        };
        Some(Content { line, quantity, lot: content.some("CHARG").or(lot), serials: Vec::new() })
    }
}

/// A label of 18 digits, or of 20 that SAP filled with zeros, is an SSCC. Eight zeros and more are no GS1 company's:
/// such a label is a number that SAP gave out itself.
fn identifier(label: &str) -> Option<Identifier> {
    if label.is_empty() {
        return None;
    }
    let digits = label.bytes().all(|byte| byte.is_ascii_digit());
    let number = if label.len() == 20 { label.strip_prefix("00").unwrap_or(label) } else { label };
    if digits && number.len() == 18 && !number.starts_with("00000000") {
        return Some(Identifier::sscc(number));
    }
    let plain = if digits { label.trim_start_matches('0') } else { label };
    (!plain.is_empty()).then(|| Identifier::new("handling-unit", plain))
}
