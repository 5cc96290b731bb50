//! IFTMIN (instruction) and IFTMBF (firm booking) become `shipment.tendered` or `shipment.cancelled`.

use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Carrier, Charge, Code, Content, Identifier, Item, Line, Note, Pack, Quantity, Reference, ShipmentTendered,
};

use crate::heading::{self, Heading, in_lanes, when};
use crate::packs;
use crate::parts::{self, ItemRead};
use crate::source::Source;
use crate::tables;
use crate::times;
use crate::tree::Node;

/// An instruction or booking.
pub fn tendered<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let heading = heading::read(source, root);
    let (carrier, legs, vehicles) = parts::carriers(source, root);
    if heading.id.cancels() {
        return heading::shipment_cancelled(source, heading, carrier);
    }
    let Heading { id, mut dates, references, parties, notes, .. } = heading;
    let number = id.number.as_str();
    let mut goods = Goods::default();
    for (position, gid) in root.all("GID").enumerate() {
        goods.add(source, gid, position + 1);
    }
    let mut places = parts::places(source, root);
    // The dates of a place or of a leg are dates of the whole: when it is collected, when it arrives.
    let tendered = dates.take("document");
    let mut all_dates = dates.rest();
    for loc in root.all("LOC") {
        all_dates.extend(times::all(source, loc));
    }
    for tdt in root.all("TDT") {
        all_dates.extend(times::all(source, tdt));
        for loc in tdt.all("LOC") {
            places.extend(parts::place(source, loc.segment));
            all_dates.extend(times::all(source, loc));
        }
    }
    let mut equipment = parts::equipment(source, root);
    equipment.extend(vehicles);
    let kind = if source.message.kind() == "IFTMBF" { "booking" } else { "instruction" };
    let data = ShipmentTendered {
        shipment: number.to_owned(),
        purpose: id.changes(),
        kind: Some(kind.to_owned()),
        references,
        tendered,
        respond_by: None,
        dates: all_dates,
        parties,
        places,
        stops: Vec::new(),
        carrier: paid(source, root, carrier),
        legs,
        equipment,
        lines: goods.lines,
        packs: goods.packs,
        incoterms: parts::incoterms(source, root),
        temperature: goods.temperature,
        charges: charges(source, root),
        totals: parts::totals(source, root),
        correction: id.correction("shipment"),
        notes,
        extensions: source.left(),
    };
    let event = id.corrected(Event::new(&data), "shipment", number);
    let event = in_lanes(event, data.references.iter(), ("shipment", number));
    when(event, data.tendered.as_ref())
}

/// Goods items, and the packs that they say they are in.
#[derive(Default)]
struct Goods {
    lines: Vec<Line>,
    packs: Vec<Pack>,
    temperature: Option<crossdock_mapper::canonical::Temperature>,
}

impl Goods {
    fn add<'d>(&mut self, source: &Source<'d>, node: &Node<'d>, position: usize) {
        let gid = node.segment;
        let number = source.some(gid, 1, 1).unwrap_or_else(|| position.to_string());
        let ItemRead { item, lots, serials, .. } = parts::item(source, node);
        let mut notes = parts::notes(source, node);
        let is_name = |note: &Note| note.kind.as_deref() == Some("goods") && note.text.chars().count() <= 512;
        let said = notes.iter().position(is_name);
        // What the goods are called: the first text that describes them.
        let description = said.filter(|_| item.description.is_none()).map(|at| notes.remove(at).text);
        let (kind, packed) = packages(source, node);
        let mut line = Line {
            number: number.clone(),
            item: Item { description: item.description.or(description), ..item },
            ordered: packed,
            lots: lots
                .into_iter()
                .map(|number| crossdock_mapper::canonical::Lot { number, ..Default::default() })
                .collect(),
            serials,
            measures: [parts::measures(source, node), parts::dimensions(source, node)].concat(),
            hazards: parts::hazards(source, node),
            references: parts::references(source, node),
            notes,
            ..Line::default()
        };
        for sgp in node.all("SGP") {
            let container = source.some(sgp.segment, 1, 1);
            line.references.extend(container.map(|number| Reference::new("equipment", number).source("SGP")));
        }
        let codes = packs::identities(source, node);
        let alone = codes.len() == 1;
        for code in codes {
            line.packs.push(code.value.clone());
            self.pack(
                code,
                &kind,
                Content {
                    line: number.clone(),
                    quantity: line.ordered.clone().filter(|_| alone),
                    ..Content::default()
                },
            );
        }
        self.temperature = self.temperature.take().or_else(|| parts::temperature(source, node));
        self.lines.push(line);
    }

    fn pack(&mut self, code: Identifier, kind: &(Option<String>, Option<String>), content: Content) {
        if let Some(pack) = self.packs.iter_mut().find(|pack| pack.id == code.value) {
            pack.contents.push(content);
            return;
        }
        let (kind, source_kind) = kind.clone();
        self.packs.push(Pack {
            id: code.value.clone(),
            identifiers: vec![code],
            kind,
            source_kind,
            contents: vec![content],
            ..Pack::default()
        });
    }
}

/// C213 of a `GID`: how many packages of which kind; of several levels the outermost.
fn packages<'d>(
    source: &Source<'d>,
    node: &Node<'d>,
) -> ((Option<String>, Option<String>), Option<Quantity>) {
    let gid = node.segment;
    let code = source.some(gid, 2, 2);
    source.take(gid, 2, 4);
    let unit = code.clone().or_else(|| source.some(gid, 2, 5)).unwrap_or_default();
    let number = source.number(gid, 2, 1, "the number of packages");
    let quantity = number.map(|number| Quantity::new(number, tables::listed(tables::UNITS, &unit), &unit));
    let kind = code.as_deref().map(|code| tables::name_of(tables::PACKAGES, code));
    ((kind, code), quantity)
}

/// `CPI`: whether freight is prepaid or collect.
fn paid<'d>(source: &Source<'d>, root: &Node<'d>, carrier: Option<Carrier>) -> Option<Carrier> {
    let Some(cpi) = root.first("CPI") else { return carrier };
    let Some(payment) = payment(&cpi.segment.value(3, 1)) else { return carrier };
    source.take(cpi.segment, 3, 1);
    let mut carrier = carrier.unwrap_or_default();
    carrier.payment = Some(payment.to_owned());
    Some(carrier)
}

/// 4237: who pays.
pub fn payment(code: &str) -> Option<&'static str> {
    match code {
        "P" => Some("prepaid"),
        "C" => Some("collect"),
        "A" | "B" | "T" => Some("other"),
        _ => None,
    }
}

/// `TCC`: charges that were agreed on.
fn charges<'d>(source: &Source<'d>, root: &Node<'d>) -> Vec<Charge> {
    let currency = parts::currency(source, root);
    root.all("TCC").map(|tcc| charge(source, tcc, currency.as_deref())).collect()
}

fn charge<'d>(source: &Source<'d>, node: &Node<'d>, currency: Option<&str>) -> Charge {
    let tcc = node.segment;
    let (code, text) = (source.some(tcc, 1, 1), source.some(tcc, 1, 4));
    let payment = payment(&tcc.value(1, 5)).map(str::to_owned);
    if payment.is_some() {
        source.take(tcc, 1, 5);
    }
    let kind = code.as_deref().and_then(|code| tables::listed(tables::CHARGES, code));
    let label = code.or_else(|| text.clone());
    let own = parts::currency(source, node);
    let currency = own.as_deref().or(currency);
    Charge {
        kind: kind.map(str::to_owned),
        code: label.map(|code| Code { list: Some("edifact-8023".to_owned()), code, text }),
        amount: node.first("MOA").and_then(|moa| parts::money(source, moa.segment, currency)),
        basis: node.first("QTY").and_then(|qty| crate::line::quantity(source, qty.segment)),
        rate: node.first("PRI").and_then(|pri| {
            let amount = source.number(pri.segment, 1, 2, "the rate")?;
            source.take(pri.segment, 1, 1);
            Some(crossdock_mapper::canonical::Money { amount, currency: currency.map(str::to_owned) })
        }),
        percent: node.first("PCD").and_then(|pcd| {
            source.take(pcd.segment, 1, 1);
            source.number(pcd.segment, 1, 2, "the percentage")
        }),
        payment,
        ..Charge::default()
    }
}
