//! Handling units: what they hold, and which stand in which.

use std::collections::{BTreeMap, BTreeSet};

use crossdock_mapper::{
    canonical::{Content, Identifier, Pack},
    serde_json::{Map, Value},
};

use super::{
    Reading,
    items::{Items, serials},
    put_rests, rest,
};
use crate::{encoding::excerpt, xml::Node};

/// Fields that the model has places for. A handling unit has units of its own: GWEIM for what it weighs, VOLEM for its
/// volume, MEABM for its lengths.
const KNOWN: &[&str] = &[
    "EXIDV", "TARAG", "GWEIT", "BRGEW", "NTGEW", "GWEIM", "BTVOL", "VOLEM", "VHILM", "LAENG", "BREIT",
    "HOEHE", "MEABM", "E1EDL44",
];
/// Fields of what a unit holds of an item: the model's, and those that the item has itself.
const KNOWN_CONTENT: &[&str] = &[
    "VELIN", "VBELN", "POSNR", "EXIDV", "VEMNG", "VEMEH", "CHARG", "MATNR", "KDMAT", "WERKS", "LGORT",
    "E1EDL46",
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
    pub(super) fn packs(&mut self, delivery: Node<'_>, number: &str, items: &Items) -> Vec<Pack> {
        let mut packs: Vec<Pack> = Vec::new();
        let mut by_label = BTreeMap::new();
        let lines: BTreeSet<_> = items.lines.iter().map(|line| line.number.as_str()).collect();
        for unit in delivery.all("E1EDL37") {
            let identifier = identifier(unit.get("EXIDV"));
            let id =
                identifier.as_ref().map_or_else(|| format!("hu-{}", packs.len() + 1), |id| id.value.clone());
            if by_label.insert(id.clone(), packs.len()).is_some() {
                let what = "the handling unit stands twice in the delivery";
                self.say("repeated", what, unit.place_of("EXIDV"));
            }
            let contents =
                unit.all("E1EDL44").filter_map(|content| self.content(content, number, items, &lines));
            packs.push(Pack {
                id,
                identifiers: identifier.into_iter().collect(),
                source_kind: unit.some("VHILM"),
                contents: contents.collect(),
                measures: self.measures(unit, MEASURES),
                ..Pack::default()
            });
        }
        // A handling unit names the ones that stand in it. One that is only named is there all the same.
        for (outer, unit) in delivery.all("E1EDL37").enumerate() {
            for content in unit.all("E1EDL44") {
                let Some(label) = identifier(content.get("EXIDV")) else { continue };
                let named = by_label.get(&label.value).copied();
                let Some(inner) = named.or_else(|| {
                    (!is_of_item(content)).then(|| {
                        by_label.insert(label.value.clone(), packs.len());
                        let id = label.value.clone();
                        packs.push(Pack { id, identifiers: vec![label], ..Pack::default() });
                        packs.len() - 1
                    })
                }) else {
                    continue;
                };
                let id = packs[outer].id.clone();
                if inner == outer {
                    continue;
                }
                let before = packs[inner].parent.replace(id.clone());
                if before.is_some_and(|before| before != id) {
                    self.say("nesting", "the handling unit stands in two others", content.place_of("EXIDV"));
                }
            }
        }
        if let Some(unit) = in_a_circle(&packs, &by_label) {
            let found = delivery.all("E1EDL37").nth(unit).unwrap_or(delivery);
            self.say("nesting", "the handling unit stands in itself", found.place_of("EXIDV"));
        }
        packs
    }

    /// What a handling unit holds of an item, or of a batch of it: SAP names the sub-item of the split then.
    fn content(
        &mut self,
        content: Node<'_>,
        delivery: &str,
        items: &Items,
        lines: &BTreeSet<&str>,
    ) -> Option<Content> {
        let quantity = self.quantity(content, "VEMNG", "VEMEH");
        let number = content.set("POSNR")?;
        if !is_of(content, delivery) {
            let what = "this is of another delivery, and is no part of this one";
            self.remark("other-delivery", what, content.place_of("VBELN"));
            return None;
        }
        let (line, lot) = match items.split.get(&number) {
            Some((line, lot)) => (line.clone(), Some(lot.clone())),
            None => (number, None),
        };
        if !lines.contains(line.as_str()) {
            let what = format!("item {} is not in the delivery", excerpt(&line, 30));
            self.remark("no-line", &what, content.place_of("POSNR"));
        }
        let lot = content.some("CHARG").or(lot);
        Some(Content { line, quantity, lot, serials: serials(content, "E1EDL46") })
    }
}

/// Does it hold a part of an item?
fn is_of_item(content: Node<'_>) -> bool {
    content.set("POSNR").is_some()
}

/// A unit may hold goods of several deliveries. Where it does not say of which, it is this one.
fn is_of(content: Node<'_>, delivery: &str) -> bool {
    let stated = content.get("VBELN").trim_start_matches('0');
    stated.is_empty() || stated == delivery.trim_start_matches('0')
}

/// The first unit that stands in itself, by others or at once. Each is looked at once.
fn in_a_circle(packs: &[Pack], by_label: &BTreeMap<String, usize>) -> Option<usize> {
    // The walk on which a unit was met.
    let mut met = vec![0; packs.len()];
    for start in 0..packs.len() {
        let mut at = start;
        while met[at] == 0 {
            met[at] = start + 1;
            match packs[at].parent.as_ref().and_then(|parent| by_label.get(parent)) {
                Some(parent) if met[*parent] == start + 1 => return Some(*parent),
                Some(parent) => at = *parent,
                None => break,
            }
        }
    }
    None
}

/// What the model has no place for of units and of what they hold, with the fields by which each is found again.
pub fn rests(delivery: Node<'_>) -> Vec<Value> {
    let number = delivery.get("VBELN");
    let mut rests = Vec::new();
    for unit in delivery.all("E1EDL37") {
        let mut left = rest(unit, KNOWN);
        let contents: Vec<_> =
            unit.all("E1EDL44").filter_map(|content| content_rest(content, unit, number)).collect();
        if !contents.is_empty() {
            left.insert("E1EDL44".to_owned(), Value::Array(contents));
        }
        left.remove("EXIDV");
        if !left.is_empty() {
            if let Some(label) = unit.some("EXIDV") {
                left.insert("EXIDV".to_owned(), label.into());
            }
            rests.push(Value::Object(left));
        }
    }
    rests
}

fn content_rest(content: Node<'_>, unit: Node<'_>, delivery: &str) -> Option<Value> {
    let inner = content.some("EXIDV").filter(|label| label != unit.get("EXIDV"));
    let known = is_of(content, delivery) && (is_of_item(content) || inner.is_some());
    let mut left = if known { rest(content, KNOWN_CONTENT) } else { rest(content, &[]) };
    if known {
        put_rests(&mut left, content.all("E1EDL46"), "SERNR", &["SERNR"]);
        // Zeros say that nothing is set.
        left.retain(|_, value| value.as_str().is_none_or(|text| text.bytes().any(|byte| byte != b'0')));
    } else if left.keys().all(|name| matches!(name.as_str(), "VELIN" | "VBELN" | "POSNR" | "EXIDV")) {
        // It names its own unit and says nothing of it.
        left = Map::new();
    }
    if left.is_empty() {
        return None;
    }
    let keys: &[&str] = if is_of_item(content) { &["POSNR", "CHARG"] } else { &["EXIDV"] };
    for key in keys.iter().filter(|_| known) {
        left.extend(content.some(key).map(|value| ((*key).to_owned(), value.into())));
    }
    Some(Value::Object(left))
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
