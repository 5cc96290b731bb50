//! Items and handling units. An item of several batches is split as SAP splits it: sub-items from 900001 that name their
//! item, which keeps what is not split.

use std::collections::{BTreeMap, BTreeSet};

use crossdock_mapper::{
    Diagnostic, Location, Refusal,
    canonical::{Decimal, Identifier, Line, Lot, Pack, Quantity, Reference},
    serde_json::{Map, Value},
};

use super::{KEYS, amount, kept, signed};
use crate::{encoding::excerpt, units, write::Segment};

/// Items of an order; what SAP told of them besides goes with them.
pub fn ordered(delivery: &mut Segment, lines: &[Line], packs: &[Pack], number: &str) -> Result<(), Refusal> {
    write(delivery, lines, packs, number, false)
}

/// Items of a confirmation: each quantity is to be taken over.
pub fn confirmed(
    delivery: &mut Segment,
    lines: &[Line],
    packs: &[Pack],
    number: &str,
) -> Result<(), Refusal> {
    write(delivery, lines, packs, number, true)
}

fn write(
    delivery: &mut Segment,
    lines: &[Line],
    packs: &[Pack],
    number: &str,
    confirmed: bool,
) -> Result<(), Refusal> {
    let mut writing = Writing { confirmed, next: 900_000, ..Writing::default() };
    writing.number(lines);
    if writing.wrong.is_empty() {
        for (index, line) in lines.iter().enumerate() {
            writing.item(delivery, index, line);
        }
        writing.units(delivery, packs, number);
    }
    if writing.wrong.is_empty() { Ok(()) } else { Err(writing.wrong.into()) }
}

#[derive(Default)]
struct Writing<'e> {
    confirmed: bool,
    /// The number of the sub-item that was written last.
    next: u32,
    /// SAP's item number of each line, and by line and batch those of the sub-items.
    numbers: BTreeMap<&'e str, String>,
    batches: BTreeMap<(&'e str, &'e str), String>,
    taken: BTreeSet<String>,
    wrong: Vec<Diagnostic>,
}

impl<'e> Writing<'e> {
    /// SAP's item number: the one that the order gave to the line, where the shipment tells it, else the line's own.
    fn number(&mut self, lines: &'e [Line]) {
        for (index, line) in lines.iter().enumerate() {
            let stated = Reference::find(&line.references, "order-line").unwrap_or(&line.number);
            let digits = (1..=6).contains(&stated.len()) && stated.bytes().all(|byte| byte.is_ascii_digit());
            let number = format!("{stated:0>6}");
            if !digits || number == "000000" {
                let what =
                    format!("`{}` is no item number of SAP, which has six digits", excerpt(stated, 30));
                self.say("item-number", &what, format!("/lines/{index}/number"));
            } else if !self.taken.insert(number.clone()) {
                let what = format!("two lines are item {number} of the delivery");
                self.say("item-number", &what, format!("/lines/{index}/number"));
            }
            self.numbers.insert(&line.number, number);
        }
        for line in lines {
            self.taken.extend(batches(line).filter_map(|kept| Some(kept.get("POSNR")?.as_str()?.to_owned())));
        }
    }

    fn item(&mut self, delivery: &mut Segment, index: usize, line: &'e Line) {
        let quantity = if self.confirmed { line.shipped.as_ref() } else { line.ordered.as_ref() };
        let number = self.numbers.get(line.number.as_str()).cloned().unwrap_or_default();
        let mut item = Segment::from("E1EDL24", format!("/lines/{index}"));
        item.set("POSNR", number.as_str());
        product(&mut item, line);
        measures(&mut item, line);
        references(&mut item, line);
        let split = !line.lots.is_empty() && !is_whole(line, quantity);
        if split {
            match quantity.map(|quantity| (quantity, unsplit(quantity, &line.lots))) {
                Some((quantity, Ok(left))) => {
                    amount(&mut item, "LFIMG", "VRKME", &Quantity { value: left, ..quantity.clone() })
                }
                None => {
                    self.say("lot-quantities", "the line has lots and no quantity", format!("/lines/{index}"))
                }
                Some((_, Err(what))) => self.say("lot-quantities", what, format!("/lines/{index}/lots")),
            }
        } else {
            line.lots.iter().for_each(|lot| batch(&mut item, lot));
            if let Some(quantity) = quantity {
                amount(&mut item, "LFIMG", "VRKME", quantity);
            }
        }
        for serial in line.serials.iter().filter(|serial| !batches(line).any(|kept| has_serial(kept, serial)))
        {
            item.keyed("E1EDL11", "SERNR", serial);
        }
        if self.confirmed && quantity.is_some() {
            item.keyed("E1EDL19", "QUALF", if split { "BAS" } else { "QUA" });
        }
        item.complete(kept(&line.extensions), KEYS, &["E1EDL24"]);
        self.precise(&item, index);
        delivery.put(item);
        if split {
            self.split(delivery, index, line, &number);
        }
    }

    fn split(&mut self, delivery: &mut Segment, index: usize, line: &'e Line, main: &str) {
        for lot in &line.lots {
            let mut item = Segment::from("E1EDL24", format!("/lines/{index}"));
            let known =
                batches(line).find(|kept| kept.get("CHARG").and_then(Value::as_str) == Some(&lot.number));
            let before = known.and_then(|kept| kept.get("POSNR")).and_then(Value::as_str).map(str::to_owned);
            let number = before.unwrap_or_else(|| self.free());
            item.set("POSNR", number.as_str());
            product(&mut item, line);
            batch(&mut item, lot);
            if let Some(quantity) = &lot.quantity {
                amount(&mut item, "LFIMG", "VRKME", quantity);
            }
            let named = known.is_some_and(|kept| kept.contains_key("UECHA") && !kept.contains_key("HIPOS"));
            if !named {
                item.set("HIPOS", main);
            }
            if self.confirmed {
                item.keyed("E1EDL19", "QUALF", "QUA");
            }
            if let Some(kept) = known {
                item.complete(kept, KEYS, &[]);
            }
            self.precise(&item, index);
            delivery.put(item);
            self.batches.insert((&line.number, &lot.number), number);
        }
    }

    /// The next number of a sub-item that is not taken.
    fn free(&mut self) -> String {
        loop {
            self.next += 1;
            let number = self.next.to_string();
            if self.taken.insert(number.clone()) {
                return number;
            }
        }
    }

    /// SAP's quantities have three places; to cut more of them would be another quantity.
    fn precise(&mut self, item: &Segment, index: usize) {
        let value = item.get("LFIMG").trim_end_matches('-');
        let fraction = value.split_once('.').map_or("", |(_, fraction)| fraction);
        if fraction.get(3..).is_some_and(|more| more.bytes().any(|digit| digit != b'0')) {
            let what = format!("SAP's quantities have three places; {value} has more");
            self.say("too-precise", &what, format!("/lines/{index}"));
        }
    }

    fn units(&mut self, delivery: &mut Segment, packs: &'e [Pack], number: &str) {
        let mut inner: BTreeMap<&str, Vec<&Pack>> = BTreeMap::new();
        for pack in packs {
            if let Some(parent) = &pack.parent {
                inner.entry(parent).or_default().push(pack);
            }
        }
        for (index, pack) in packs.iter().enumerate() {
            let mut unit = Segment::from("E1EDL37", format!("/packs/{index}"));
            // Without a label SAP numbers it itself; one that stands in another has to have a name.
            if !pack.identifiers.is_empty() || pack.parent.is_some() {
                unit.set("EXIDV", label(pack));
            }
            unit.set("VHILM", pack.source_kind.as_deref().unwrap_or_default());
            for (kind, field, of) in crate::inbound::UNIT_MEASURES {
                for measure in pack.measures.iter().filter(|measure| measure.kind == *kind) {
                    let known = units::sap(measure.unit.as_deref(), measure.source_unit.as_deref());
                    if unit.get(of).is_empty() || unit.get(of) == known {
                        unit.set(field, signed(&measure.value));
                        unit.set(of, known);
                    }
                }
            }
            for content in &pack.contents {
                let batch =
                    content.lot.as_deref().and_then(|lot| self.batches.get(&(content.line.as_str(), lot)));
                let Some(item) = batch.or_else(|| self.numbers.get(content.line.as_str())) else {
                    let what = format!(
                        "the pack holds something of line `{}`, which is not there",
                        excerpt(&content.line, 30)
                    );
                    self.say("no-line", &what, format!("/packs/{index}/contents"));
                    continue;
                };
                let mut segment = Segment::from("E1EDL44", format!("/packs/{index}/contents"));
                // A part of an item; 3 is another handling unit.
                segment.set("VELIN", "1");
                segment.set("VBELN", number);
                segment.set("POSNR", item.as_str());
                if let Some(quantity) = &content.quantity {
                    amount(&mut segment, "VEMNG", "VEMEH", quantity);
                }
                segment.set("CHARG", content.lot.as_deref().unwrap_or_default());
                for serial in &content.serials {
                    segment.keyed("E1EDL46", "SERNR", serial);
                }
                unit.put(segment);
            }
            for inner in inner.get(pack.id.as_str()).into_iter().flatten() {
                let mut segment = Segment::from("E1EDL44", format!("/packs/{index}"));
                segment.set("VELIN", "3");
                segment.set("EXIDV", label(inner));
                unit.put(segment);
            }
            delivery.put(unit);
        }
    }

    fn say(&mut self, code: &str, what: &str, at: String) {
        if self.wrong.len() < 100 {
            self.wrong.push(Diagnostic::error(code, what).at(Location::json_pointer(at)));
        }
    }
}

/// Is the line of one lot as a whole?
fn is_whole(line: &Line, quantity: Option<&Quantity>) -> bool {
    let [lot] = line.lots.as_slice() else { return false };
    match (&lot.quantity, quantity) {
        (Some(of_lot), Some(of_line)) => {
            of_lot.value.compare(&of_line.value).is_eq() && same_unit(of_lot, of_line)
        }
        (of_lot, _) => of_lot.is_none(),
    }
}

fn same_unit(one: &Quantity, other: &Quantity) -> bool {
    match (&one.unit, &other.unit) {
        (Some(one), Some(other)) => one == other,
        _ => one.unit == other.unit && one.source_unit == other.source_unit,
    }
}

/// What of a line is in none of its lots.
fn unsplit(quantity: &Quantity, lots: &[Lot]) -> Result<Decimal, &'static str> {
    let mut left = quantity.value.clone();
    for lot in lots {
        let Some(of_lot) = &lot.quantity else {
            return Err("the line names its lots and not how much is of each, which SAP has to know");
        };
        if !same_unit(of_lot, quantity) {
            return Err("a lot is counted in another unit than its line");
        }
        left = left.checked_sub(&of_lot.value).ok_or("the quantities of the lots are out of bounds")?;
    }
    if left.is_negative() { Err("the lots are more than their line") } else { Ok(left) }
}

/// What the reader of IDocs kept of the sub-items.
fn batches(line: &Line) -> impl Iterator<Item = &Map<String, Value>> {
    let batches = kept(&line.extensions).get("E1EDL24").and_then(Value::as_array);
    batches.into_iter().flatten().filter_map(Value::as_object)
}

/// Was the serial number told of this sub-item?
fn has_serial(kept: &Map<String, Value>, serial: &str) -> bool {
    let is = |segment: &Value| segment.get("SERNR").and_then(Value::as_str) == Some(serial);
    match kept.get("E1EDL11") {
        Some(Value::Array(segments)) => segments.iter().any(is),
        Some(segment) => is(segment),
        None => false,
    }
}

fn product(item: &mut Segment, line: &Line) {
    let find = |scheme: &str| line.item.identifier(scheme).unwrap_or_default();
    let material =
        [find("sap-material"), find("seller"), find("sku")].into_iter().find(|number| !number.is_empty());
    let material = material.unwrap_or_default();
    // Longer materials have a field of their own.
    item.set(if material.chars().count() > 18 { "MATNR_EXTERNAL" } else { "MATNR" }, material);
    item.set("ARKTX", line.item.description.as_deref().unwrap_or_default());
    item.set("EAN11", find("gtin"));
    item.set("KDMAT", find("buyer"));
}

fn batch(item: &mut Segment, lot: &Lot) {
    item.set("CHARG", lot.number.as_str());
    item.set("VFDAT", lot.expiry.as_deref().unwrap_or_default().replace('-', ""));
    item.set("HSDAT", lot.produced.as_deref().unwrap_or_default().replace('-', ""));
}

/// Weights of an item share one field for their unit: one that is in another unit is left out.
fn measures(item: &mut Segment, line: &Line) {
    for (kind, field, of) in crate::inbound::ITEM_MEASURES {
        for measure in line.measures.iter().filter(|measure| measure.kind == *kind) {
            let known = units::sap(measure.unit.as_deref(), measure.source_unit.as_deref());
            if item.get(of).is_empty() || item.get(of) == known {
                item.set(field, signed(&measure.value));
                item.set(of, known);
            }
        }
    }
}

fn references(item: &mut Segment, line: &Line) {
    let of_item = |kind: &str| {
        let found = line.references.iter().find(|reference| reference.kind == kind);
        let own = found.filter(|reference| {
            !reference.source_kind.as_deref().is_some_and(|kind| kind.starts_with("E1EDL43"))
        });
        own.map_or("", |reference| reference.value.as_str())
    };
    // Of a stock transfer the item comes from a purchase order, which is not the customer's.
    let above = |kind: &str, field: &str| {
        let found = line
            .references
            .iter()
            .find(|reference| reference.kind == kind && reference.source_kind.as_deref() == Some(field));
        found.map_or("", |reference| reference.value.as_str())
    };
    item.set("VGBEL", above("po", "VGBEL"));
    item.set("VGPOS", above("po-line", "VGPOS"));
    item.set("VGBEL", of_item("so"));
    item.set("VGPOS", of_item("so-line"));
    let of_customer = |kind: &str, field: &str| {
        let mut found = line.references.iter().filter(|reference| reference.kind == kind);
        found
            .find(|reference| reference.source_kind.as_deref() != Some(field))
            .map(|found| found.value.as_str())
    };
    if let Some(order) = of_customer("po", "VGBEL") {
        let segment = item.keyed("E1EDL41", "QUALI", "001");
        segment.set("BSTNR", order);
        segment.set("POSEX", of_customer("po-line", "VGPOS").unwrap_or_default());
    }
}

/// SAP keeps a label that is a number with leading zeros, as long as the field.
fn label(pack: &Pack) -> String {
    let sscc = pack.identifiers.iter().find(|id| id.scheme == "sscc");
    let label = sscc.or(pack.identifiers.first()).map_or(&pack.id, |id: &Identifier| &id.value);
    if label.bytes().all(|byte| byte.is_ascii_digit()) { format!("{label:0>20}") } else { label.clone() }
}
