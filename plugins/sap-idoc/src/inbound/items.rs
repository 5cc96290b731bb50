//! Items of a delivery, with the sub-items of a batch split folded into the lots of the item that they split.

use std::collections::{BTreeMap, BTreeSet};

use crossdock_mapper::{
    canonical::{Extensions, Identifier, Item, Line, LineStatus, Lot, Quantity},
    serde_json::{Map, Value},
};

use super::{Reading, heading, put_rests, rest};
use crate::{encoding::excerpt, xml::Node};

const KNOWN: [&str; 21] = [
    "POSNR", "MATNR", "ARKTX", "EAN11", "KDMAT", "CHARG", "LFIMG", "VRKME", "ORMNG", "NTGEW", "BRGEW",
    "GEWEI", "VOLUM", "VOLEH", "VFDAT", "HSDAT", "VGBEL", "VGPOS", "E1EDL41", "E1EDL43", "E1EDL11",
];
/// Measures of an item: the model's name, the field and that of its unit.
pub const MEASURES: &[(&str, &str, &str)] =
    &[("gross-weight", "BRGEW", "GEWEI"), ("net-weight", "NTGEW", "GEWEI"), ("volume", "VOLUM", "VOLEH")];

/// What the items' quantities tell of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// What is to be shipped.
    Ordered,
    /// What was shipped.
    Shipped,
}

/// The lines of a delivery.
pub struct Items {
    pub lines: Vec<Line>,
    /// Sub-items of batch splits: the line and the batch that they became.
    pub split: BTreeMap<String, (String, String)>,
}

impl Reading<'_> {
    pub(super) fn items(&mut self, delivery: Node<'_>, told: Told) -> Items {
        let mut items = Items { lines: Vec::new(), split: BTreeMap::new() };
        let mut by_number: BTreeMap<&str, Node<'_>> = BTreeMap::new();
        for item in delivery.all("E1EDL24") {
            let number = item.get("POSNR");
            if number.is_empty() {
                self.say("missing", "the item has no number", item.place_of("POSNR"));
            } else if by_number.insert(number, item).is_some() {
                let what = format!("item {} stands twice in the delivery", excerpt(number, 30));
                self.say("repeated", &what, item.place_of("POSNR"));
            }
        }
        let mut lines = BTreeMap::new();
        let mut splits = Vec::new();
        for item in delivery.all("E1EDL24") {
            match parent(item)
                .and_then(|parent| by_number.get(parent))
                .filter(|main| splits_batch(**main, item))
            {
                Some(main) => splits.push((main.get("POSNR"), item)),
                None => {
                    self.orphan(item, &by_number);
                    lines.insert(item.get("POSNR"), items.lines.len());
                    items.lines.push(self.line(item, told));
                }
            }
        }
        let own: Vec<_> = items.lines.iter().map(|line| of(line, told).clone()).collect();
        let mut split_lines = BTreeSet::new();
        for (main, item) in splits {
            let Some(at) = lines.get(main).copied() else { continue };
            let Some(line) = items.lines.get_mut(at) else { continue };
            self.fold(item, line, told);
            split_lines.insert((main, at));
            let to = (main.to_owned(), item.get("CHARG").to_owned());
            items.split.insert(item.get("POSNR").to_owned(), to);
        }
        for (main, at) in split_lines {
            let Some(own) = &own[at] else { continue };
            let twice = own.value.checked_add(&own.value);
            let total = of(&items.lines[at], told).as_ref().map(|total| &total.value);
            if !own.value.is_zero()
                && twice.zip(total).is_some_and(|(twice, total)| twice.compare(total).is_eq())
            {
                let what = "the item's own quantity is that of its batches together; both are counted";
                self.remark("batch-total", what, by_number[main].place_of("LFIMG"));
            }
        }
        if told == Told::Shipped {
            for line in &mut items.lines {
                line.status = line
                    .ordered
                    .as_ref()
                    .zip(line.shipped.as_ref())
                    .and_then(|(ordered, shipped)| LineStatus::of(ordered, shipped));
            }
        }
        items
    }

    /// An item that names another as the one above it, which is not there, is a line of its own.
    fn orphan(&mut self, item: Node<'_>, by_number: &BTreeMap<&str, Node<'_>>) {
        if let Some(above) = parent(item).filter(|above| !by_number.contains_key(above)) {
            let what = format!("item {} is not in the delivery", excerpt(above, 30));
            let field = if item.get("HIPOS") == above { "HIPOS" } else { "UECHA" };
            self.remark("no-parent", &what, item.place_of(field));
        }
    }

    fn line(&mut self, item: Node<'_>, told: Told) -> Line {
        let quantity = self.quantity(item, "LFIMG", "VRKME");
        let mut line = Line {
            number: item.get("POSNR").to_owned(),
            item: trade_item(item),
            measures: self.measures(item, MEASURES),
            references: heading::of_item(item),
            serials: serials(item, "E1EDL11"),
            extensions: leftovers(item, told),
            ..Line::default()
        };
        if !item.get("CHARG").is_empty() {
            line.lots.push(self.lot(item, quantity.clone()));
        }
        match told {
            Told::Ordered => line.ordered = quantity,
            Told::Shipped => {
                line.shipped = quantity;
                line.ordered = item
                    .set("ORMNG")
                    .and_then(|_| self.quantity(item, "ORMNG", "VRKME"))
                    .filter(|of| !of.value.is_zero());
            }
        }
        line
    }

    /// A sub-item of a batch split: a lot of its line, whose own quantity is what is not split.
    fn fold(&mut self, item: Node<'_>, line: &mut Line, told: Told) {
        let quantity = self.quantity(item, "LFIMG", "VRKME");
        line.lots.push(self.lot(item, quantity.clone()));
        line.serials.extend(serials(item, "E1EDL11"));
        let total = if told == Told::Shipped { &mut line.shipped } else { &mut line.ordered };
        if !add(total, quantity) {
            let what = "the quantity of this batch cannot be added to that of its item";
            self.say("quantity", what, item.place_of("LFIMG"));
        }
        let mut left = rest(
            item,
            &[
                "MATNR", "ARKTX", "EAN11", "KDMAT", "LFIMG", "VRKME", "VFDAT", "HSDAT", "E1EDL41", "E1EDL43",
                "VGBEL", "VGPOS",
            ],
        );
        // Its number and how it names its item are kept, so that it is written as it was.
        left.retain(|_, value| value.as_str() != Some("000000"));
        let sap = line.extensions.entry("sap".to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if let Some(Value::Array(batches)) =
            sap.as_object_mut().map(|sap| sap.entry("E1EDL24").or_insert_with(|| Value::Array(Vec::new())))
        {
            batches.push(Value::Object(left));
        }
    }

    fn lot(&mut self, item: Node<'_>, quantity: Option<Quantity>) -> Lot {
        let (expiry, produced) = (self.day(item, "VFDAT"), self.day(item, "HSDAT"));
        Lot { number: item.get("CHARG").to_owned(), expiry, produced, quantity }
    }
}

/// The quantity that is told of.
fn of(line: &Line, told: Told) -> &Option<Quantity> {
    if told == Told::Shipped { &line.shipped } else { &line.ordered }
}

/// Serial numbers: segments E1EDL11 of an item, E1EDL46 of what a handling unit holds.
pub fn serials(node: Node<'_>, segment: &str) -> Vec<String> {
    node.all(segment).filter_map(|serial| serial.some("SERNR")).collect()
}

/// The item that a sub-item names as the one above it.
fn parent(item: Node<'_>) -> Option<&str> {
    [item.get("HIPOS"), item.get("UECHA")].into_iter().find(|at| at.bytes().any(|digit| digit != b'0'))
}

/// A sub-item is a part of its item where both are the same material and the sub-item is of one batch. Others are
/// components, free goods or substitutes: lines of their own.
fn splits_batch(main: Node<'_>, item: Node<'_>) -> bool {
    let other = main.get("POSNR") != item.get("POSNR") && parent(main).is_none();
    other && !item.get("CHARG").is_empty() && main.get("MATNR") == item.get("MATNR")
}

/// Adds where both are of one unit; nothing to add is always added.
fn add(total: &mut Option<Quantity>, more: Option<Quantity>) -> bool {
    let Some(more) = more else { return true };
    let Some(sum) = total.as_mut() else {
        *total = Some(more);
        return true;
    };
    let same = sum.unit == more.unit && sum.source_unit == more.source_unit;
    match sum.value.checked_add(&more.value).filter(|_| same) {
        Some(value) => sum.value = value,
        None => return false,
    }
    true
}

fn trade_item(item: Node<'_>) -> Item {
    let mut identifiers = Vec::new();
    identifiers.extend(item.some("EAN11").map(Identifier::gtin));
    identifiers.extend(item.some("MATNR").map(|number| Identifier::new("sap-material", number)));
    identifiers.extend(item.some("KDMAT").map(|number| Identifier::new("buyer", number)));
    Item { identifiers, description: item.some("ARKTX") }
}

fn leftovers(item: Node<'_>, told: Told) -> Extensions {
    let mut known = KNOWN.to_vec();
    if item.get("CHARG").is_empty() {
        // These are of the lot, and there is none to have them.
        known.retain(|field| !matches!(*field, "VFDAT" | "HSDAT"));
    }
    if told == Told::Ordered {
        known.retain(|field| *field != "ORMNG");
    }
    let mut sap = rest(item, &known);
    // A zero says that nothing stands above the item, or that no date is set.
    sap.retain(|name, value| {
        let zero = value.as_str().is_some_and(|text| text.bytes().all(|digit| digit == b'0'));
        !(zero && matches!(name.as_str(), "HIPOS" | "UECHA" | "UEPOS" | "VFDAT" | "HSDAT"))
    });
    put_rests(&mut sap, item.all("E1EDL41"), "QUALI", &["QUALI", "BSTNR", "POSEX"]);
    put_rests(&mut sap, item.all("E1EDL43"), "QUALF", &["QUALF"]);
    put_rests(&mut sap, item.all("E1EDL11"), "SERNR", &["SERNR"]);
    if sap.is_empty() { Extensions::new() } else { [("sap".to_owned(), Value::Object(sap))].into() }
}
