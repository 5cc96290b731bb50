//! `CPS`: what stands in what, and what is in it. A pack is known by its SSCC, else by the number of its `CPS`.

use std::collections::{BTreeMap, BTreeSet};

use crossdock_mapper::canonical::{Content, Identifier, Line, Note, Pack, Quantity};

use crate::line::{self, Lines};
use crate::parts;
use crate::source::{Source, excerpt};
use crate::tables;
use crate::tree::Node;

/// Lines and packs of an advice or a receipt.
#[derive(Default)]
pub struct Packed {
    pub lines: Vec<Line>,
    pub packs: Vec<Pack>,
    /// What is said of the shipment as a whole or of a pack.
    pub notes: Vec<Note>,
}

/// Reads every `CPS` below a node, and lines that stand in none.
pub fn read<'d>(source: &Source<'d>, root: &Node<'d>, quantity: fn(&Line) -> Option<&Quantity>) -> Packed {
    let mut lines = Lines::default();
    let mut packs: Vec<Pack> = Vec::new();
    let levels: Vec<_> = root.all("CPS").collect();
    // Which CPS has others in it.
    let outer: BTreeSet<String> = levels.iter().map(|cps| cps.segment.value(2, 1).into_owned()).collect();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    // The packs of each CPS, and the CPS that it stands in.
    let mut known: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    let mut position = 0;
    let mut notes = Vec::new();
    for cps in &levels {
        let number = source.take(cps.segment, 1, 1).into_owned();
        let above = source.take(cps.segment, 2, 1).into_owned();
        source.take(cps.segment, 3, 1);
        notes.extend(parts::notes(source, cps));
        let has_inner = !number.is_empty() && outer.contains(&number);
        let mut own = packs_of(source, cps, &number, has_inner);
        // What stands in no pack of its own stands in the pack around it.
        let parents = ancestors(&known, &above);
        if let [parent] = parents.as_slice() {
            own.iter_mut().for_each(|pack| pack.parent = Some(parent.clone()));
        }
        let alone = own.len() == 1;
        for lin in cps.all("LIN") {
            position += 1;
            let line = line::read(source, lin, position, None);
            let held = quantity(&line).cloned();
            let lots: Vec<_> = line.lots.iter().map(|lot| lot.number.clone()).collect();
            let serials = if alone { line.serials.clone() } else { Vec::new() };
            let at = lines.add(line);
            let line = &mut lines.lines[at];
            for pack in &mut own {
                pack.contents.push(Content {
                    line: line.number.clone(),
                    // Several packs are alike, and nobody says how much is in which.
                    quantity: held.clone().filter(|_| alone),
                    lot: lots.first().filter(|_| lots.len() == 1).cloned(),
                    serials: serials.clone(),
                });
                if !line.packs.contains(&pack.id) {
                    line.packs.push(pack.id.clone());
                }
            }
        }
        known.insert(number, (own.iter().map(|pack| pack.id.clone()).collect(), above));
        for pack in own {
            if !ids.insert(pack.id.clone()) {
                let message = format!("pack `{}` stands twice", excerpt(&pack.id));
                source.warning(cps.segment, 1, 1, "pack-repeated", "26", message);
            } else {
                packs.push(pack);
            }
        }
    }
    for lin in root.all("LIN") {
        position += 1;
        lines.add(line::read(source, lin, position, None));
    }
    Packed { lines: lines.lines, packs, notes }
}

/// The nearest packs around: those of the CPS above, or where it has none, of the one above that.
fn ancestors(known: &BTreeMap<String, (Vec<String>, String)>, above: &str) -> Vec<String> {
    let mut at = above;
    // A CPS that stands in itself would go round forever.
    for _ in 0..known.len() {
        match known.get(at) {
            Some((packs, _)) if !packs.is_empty() => return packs.clone(),
            Some((_, further)) => at = further,
            None => break,
        }
    }
    Vec::new()
}

/// The packs that one CPS describes: one for each SSCC; one without, where the innermost CPS names a kind of pack.
fn packs_of<'d>(source: &Source<'d>, cps: &Node<'d>, number: &str, has_inner: bool) -> Vec<Pack> {
    let mut found: Vec<Pack> = Vec::new();
    let mut plain: Option<&Node<'d>> = None;
    for pac in cps.all("PAC") {
        let codes = identities(source, pac);
        if codes.is_empty() {
            plain.get_or_insert(pac);
            continue;
        }
        let (kind, source_kind) = kind(source, pac);
        source.take(pac.segment, 1, 1);
        let measures = parts::measures(source, pac);
        for (n, code) in codes.into_iter().enumerate() {
            if code.is_invalid() {
                let message = format!("`{}` is no SSCC: its check digit is wrong", excerpt(&code.value));
                source.warning(pac.segment, 1, 1, "check-digit", "12", message);
            }
            found.push(Pack {
                id: code.value.clone(),
                identifiers: vec![code],
                kind: kind.clone(),
                source_kind: source_kind.clone(),
                measures: if n == 0 { measures.clone() } else { Vec::new() },
                ..Pack::default()
            });
        }
    }
    if let (true, false, Some(pac)) = (found.is_empty(), has_inner || number.is_empty(), plain) {
        let (kind, source_kind) = kind(source, pac);
        if pac.segment.value(1, 1) == "1" {
            source.take(pac.segment, 1, 1);
        }
        let measures = parts::measures(source, pac);
        found.push(Pack { id: format!("cps-{number}"), kind, source_kind, measures, ..Pack::default() });
    }
    found
}

/// SSCCs of `PCI` and `GIN` (BJ, AW), and of `GIR` sets.
pub fn identities<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Identifier> {
    let mut found = Vec::new();
    for pci in node.all("PCI") {
        let before = found.len();
        for gin in pci.all("GIN").filter(|gin| matches!(&*gin.segment.value(1, 1), "BJ" | "AW")) {
            found.extend(line::identities(source, gin.segment).into_iter().map(Identifier::sscc));
        }
        for gir in pci.all("GIR") {
            for n in 2..=6 {
                if matches!(&*gir.segment.value(n, 2), "BJ" | "AW") {
                    found.extend(source.some(gir.segment, n, 1).map(Identifier::sscc));
                    source.take(gir.segment, n, 2);
                }
            }
        }
        if found.len() > before {
            source.take(pci.segment, 1, 1);
        }
    }
    found
}

/// C202 of a `PAC`: the kind of pack.
fn kind<'d>(source: &Source<'d>, pac: &Node<'d>) -> (Option<String>, Option<String>) {
    let code = source.some(pac.segment, 3, 1);
    source.take(pac.segment, 3, 3);
    let known = code.as_deref().map(|code| tables::name_of(tables::PACKAGES, code));
    (known, code.or_else(|| source.some(pac.segment, 3, 4)))
}
