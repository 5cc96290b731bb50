//! The segments that all messages share, and what each becomes: parties, references, places, carriers, measures, notes.
//!
//! Elements are counted from 1 without the tag, components from 1: `take(segment, 2, 1)` of a `NAD` is C082 3039.

use crossdock_edi::edifact::Segment;
use crossdock_mapper::canonical::{
    Address, Carrier, Code, Contact, Equipment, Hazard, Identifier, Item, Measure, Money, Note, Party, Place,
    Quantity, Reference, Temperature, Totals,
};

use crate::source::Source;
use crate::tables;
use crate::tree::Node;

/// Every `NAD` below a node.
pub fn parties<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Party> {
    node.all("NAD").map(|nad| party(source, nad)).collect()
}

/// `NAD`: role, identifier, name and address, with the contacts and registration numbers below it.
pub fn party<'d>(source: &Source<'d>, node: &Node<'d>) -> Party {
    let nad = node.segment;
    let role = source.take(nad, 1, 1);
    let mut party = Party::new(&tables::name_of(tables::ROLES, &role));
    party.source_role = (!role.is_empty()).then(|| role.into_owned());
    party.identifiers.extend(identifier(source, nad, 2, "party"));
    // C058 is name and address without structure; the first line of it is the name where no other is given.
    let mut lines = source.rest(nad, 3, 1, 5);
    let mut names = source.rest(nad, 4, 1, 5);
    source.take(nad, 4, 6);
    if names.is_empty() && !lines.is_empty() {
        names.push(lines.remove(0));
    }
    let name = joined(&mut names);
    // A name that is longer than a field goes on as lines of the address.
    lines.splice(0..0, names);
    party.name = name;
    lines.extend(source.rest(nad, 5, 1, 4));
    let country = nad.value(9, 1).into_owned();
    let is_country =
        (2..=3).contains(&country.len()) && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let address = Address {
        lines,
        city: source.some(nad, 6, 1),
        region: region(source, nad),
        postal_code: source.some(nad, 8, 1),
        country: is_country.then(|| source.take(nad, 9, 1).into_owned()),
    };
    party.address = (address != Address::default()).then_some(address);
    party.contacts = node.all("CTA").filter_map(|cta| contact(source, cta)).collect();
    // Numbers that a party is registered under are its identifiers; references of the consignment are not.
    for rff in node.all("RFF") {
        let scheme = tables::listed(tables::REFERENCES, &rff.segment.value(1, 1));
        let value = rff.segment.value(1, 2).into_owned();
        if let Some(scheme) = scheme.filter(|_| !value.is_empty()) {
            source.take(rff.segment, 1, 1);
            source.take(rff.segment, 1, 2);
            party.identifiers.push(Identifier::new(scheme, value));
        }
    }
    party
}

/// As many texts as a field has room for, joined; the others stay where they are.
fn joined(texts: &mut Vec<String>) -> Option<String> {
    const CHARACTERS_MAX: usize = 512;
    let mut length = 0;
    let fits = |text: &&String| {
        length += text.chars().count() + 1;
        length <= CHARACTERS_MAX + 1
    };
    let count = texts.iter().take_while(fits).count();
    let taken: Vec<String> = texts.drain(..count).collect();
    (!taken.is_empty()).then(|| taken.join(" "))
}

/// C819 since D.98; before it was 3229 alone: its first component either way, else the name of the region.
fn region<'d>(source: &Source<'d>, nad: Segment<'d>) -> Option<String> {
    source.some(nad, 7, 1).or_else(|| source.some(nad, 7, 4))
}

/// `CTA` and the `COM`s below it; one that names nobody and no way to reach them is left.
fn contact<'d>(source: &Source<'d>, node: &Node<'d>) -> Option<Contact> {
    let cta = node.segment;
    let name = source.some(cta, 2, 2).or_else(|| source.some(cta, 2, 1));
    let mut contact = Contact { name, ..Contact::default() };
    for com in node.all("COM") {
        for element in com.segment.elements().flat_map(|element| element.repetitions()) {
            let parts: Vec<_> = element.components().collect();
            let [address, kind, ..] = parts.as_slice() else { continue };
            let way = match &*kind.value() {
                "TE" | "AL" | "MOB" => &mut contact.phone,
                "EM" => &mut contact.email,
                _ => continue,
            };
            if way.is_none() && address.length() > 0 {
                *way = Some(address.value().into_owned()).filter(|value| !value.is_empty());
                source.mark(*address);
                source.mark(*kind);
            }
        }
    }
    if contact == Contact::default() {
        return None;
    }
    let role = source.take(cta, 1, 1);
    contact.role = (!role.is_empty()).then(|| tables::name_of(tables::CONTACTS, &role));
    Some(contact)
}

/// An identification in components 1 to 3 of element `n`: code, list (1131) and agency (3055).
fn identifier<'d>(
    source: &Source<'d>,
    segment: Segment<'d>,
    n: usize,
    unnamed: &'static str,
) -> Option<Identifier> {
    let value = source.some(segment, n, 1)?;
    let (list, agency) = (segment.value(n, 2), segment.value(n, 3));
    let is_location = list == "139" || agency == "6";
    let scheme = match &*agency {
        _ if is_location => "un-locode".to_owned(),
        "" => unnamed.to_owned(),
        agency => tables::name_of(tables::AGENCIES, agency),
    };
    source.take(segment, n, 3);
    // 160 and 172 say that a code is one of a party or carrier, which the segment says too.
    if is_location || matches!(&*list, "160" | "172") {
        source.take(segment, n, 2);
    }
    Some(Identifier::new(scheme, value))
}

/// Every `RFF` below a node.
pub fn references<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Reference> {
    node.all("RFF").filter_map(|rff| reference(source, rff.segment)).collect()
}

/// `RFF`: the number by its qualifier, and the line of it as a reference of its own where one is given.
pub fn reference<'d>(source: &Source<'d>, rff: Segment<'d>) -> Option<Reference> {
    let qualifier = rff.value(1, 1).into_owned();
    let value = source.some(rff, 1, 2)?;
    source.take(rff, 1, 1);
    Some(
        Reference::new(&tables::name_of(tables::REFERENCES, &qualifier), value)
            .source(&format!("RFF+{qualifier}")),
    )
}

/// Every `LOC` below a node.
pub fn places<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Place> {
    node.all("LOC").filter_map(|loc| place(source, loc.segment)).collect()
}

/// `LOC`: a place by its code, its name or both.
pub fn place<'d>(source: &Source<'d>, loc: Segment<'d>) -> Option<Place> {
    let identifiers: Vec<_> = identifier(source, loc, 2, "place").into_iter().collect();
    let name = source.some(loc, 2, 4);
    if identifiers.is_empty() && name.is_none() {
        return None;
    }
    let role = source.take(loc, 1, 1);
    let role = (!role.is_empty()).then(|| tables::name_of(tables::PLACES, &role));
    Some(Place { role, name, identifiers, ..Place::default() })
}

/// `TDT`: the carrier, and the ship, truck or train that it uses.
pub fn carrier<'d>(source: &Source<'d>, node: &Node<'d>) -> (Carrier, Option<Equipment>) {
    let tdt = node.segment;
    source.take(tdt, 1, 1);
    let mode = source.some(tdt, 3, 1);
    let known = mode.as_deref().and_then(|mode| tables::listed(tables::MODES, mode));
    let mut references: Vec<_> = source
        .some(tdt, 2, 1)
        .map(|number| Reference::new("conveyance", number).source("TDT/2"))
        .into_iter()
        .collect();
    references.extend(self::references(source, node));
    let carrier = Carrier {
        name: source.some(tdt, 5, 4),
        identifiers: identifier(source, tdt, 5, "carrier").into_iter().collect(),
        mode: known.map(str::to_owned),
        source_mode: mode,
        service: source.some(tdt, 4, 2),
        payment: None,
        references,
    };
    let (kind, numbered) = match carrier.mode.as_deref() {
        Some("sea" | "inland-water") => ("vessel", "vessel-name"),
        Some("road") => ("truck", "plate"),
        Some("rail") => ("train", "train"),
        Some("air") => ("aircraft", "aircraft"),
        _ => ("vehicle", "vehicle"),
    };
    let scheme = match (&*tdt.value(8, 2), &*tdt.value(8, 3)) {
        ("146", _) | (_, "11") => "imo",
        ("103", _) => "call-sign",
        _ if kind == "vessel" => "vessel",
        _ => numbered,
    };
    let mut identifiers = Vec::new();
    if let Some(number) = source.some(tdt, 8, 1) {
        source.take(tdt, 8, 2);
        source.take(tdt, 8, 3);
        identifiers.push(Identifier::new(scheme, number));
    }
    identifiers.extend(source.some(tdt, 8, 4).map(|name| Identifier::new(numbered, name)));
    let vehicle = (!identifiers.is_empty()).then(|| Equipment {
        kind: Some(kind.to_owned()),
        identifiers,
        ..Equipment::default()
    });
    (carrier, vehicle)
}

/// The main carriage (stage 20, else the first), the other legs, and the vehicles of all.
pub fn carriers<'d>(source: &Source<'d>, node: &Node<'d>) -> (Option<Carrier>, Vec<Carrier>, Vec<Equipment>) {
    let stages: Vec<_> = node.all("TDT").collect();
    let main = stages.iter().position(|tdt| tdt.segment.value(1, 1) == "20").unwrap_or(0);
    let (mut carriers, mut vehicles) = (Vec::new(), Vec::new());
    for tdt in stages {
        let (carrier, vehicle) = carrier(source, tdt);
        carriers.push(carrier);
        vehicles.extend(vehicle);
    }
    let first = (main < carriers.len()).then(|| carriers.remove(main));
    (first.filter(|carrier| *carrier != Carrier::default()), carriers, vehicles)
}

/// Every `EQD` below a node: containers, trailers, with their seals and temperatures.
pub fn equipment<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Equipment> {
    node.all("EQD").map(|eqd| one_equipment(source, eqd)).collect()
}

fn one_equipment<'d>(source: &Source<'d>, node: &Node<'d>) -> Equipment {
    let eqd = node.segment;
    let kind = source.take(eqd, 1, 1);
    let kind = (!kind.is_empty()).then(|| tables::name_of(tables::EQUIPMENT, &kind));
    let number = source.some(eqd, 2, 1).map(|number| match kind.as_deref() {
        // Some write the prefix of a container apart from its number.
        Some("container") => Identifier::container(number.replace(' ', "")),
        Some("trailer") => Identifier::new("trailer", number),
        _ => Identifier::new("equipment", number),
    });
    // 102:5 is the list of ISO 6346.
    [(2, 2), (2, 3), (3, 2), (3, 3)].into_iter().for_each(|(n, c)| drop(source.take(eqd, n, c)));
    let seals = node.all("SEL").filter_map(|sel| source.some(sel.segment, 1, 1)).collect();
    Equipment {
        kind,
        identifiers: number.into_iter().collect(),
        type_code: source.some(eqd, 3, 1),
        seals,
        temperature: temperature(source, node),
    }
}

/// `TMP` and `RNG` below a node, where the range may stand below the temperature too.
pub fn temperature<'d>(source: &Source<'d>, node: &Node<'d>) -> Option<Temperature> {
    let tmp = node.first("TMP");
    let set_point = tmp.and_then(|tmp| {
        source.take(tmp.segment, 1, 1);
        source.quantity(tmp.segment, 2, (1, 2), "the temperature")
    });
    let range = node.first("RNG").or_else(|| tmp.and_then(|tmp| tmp.first("RNG")));
    let bound = |c: usize| range.and_then(|rng| source.quantity(rng.segment, 2, (c, 1), "the temperature"));
    let temperature = Temperature { set_point, minimum: bound(2), maximum: bound(3) };
    if let Some(range) = range {
        source.take(range.segment, 1, 1);
    }
    (temperature != Temperature::default()).then_some(temperature)
}

/// Every `MEA` below a node, by the property that it measures, else by what it is for.
pub fn measures<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Measure> {
    node.all("MEA").filter_map(|mea| measure(source, mea.segment)).collect()
}

fn measure<'d>(source: &Source<'d>, mea: Segment<'d>) -> Option<Measure> {
    let quantity = source.quantity(mea, 3, (2, 1), "the measure")?;
    let (purpose, property) = (source.take(mea, 1, 1), source.take(mea, 2, 1));
    let known = [&property, &purpose].into_iter().find_map(|code| tables::listed(tables::MEASURES, code));
    let kind = match known {
        Some(kind) => kind.to_owned(),
        None if property.is_empty() => tables::name_of(tables::MEASURES, &purpose),
        None => tables::name_of(tables::MEASURES, &property),
    };
    let Quantity { value, unit, source_unit } = quantity;
    Some(Measure { kind, value, unit, source_unit })
}

/// `DIM`: length, width and height in one segment.
pub fn dimensions<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Measure> {
    let mut found = Vec::new();
    for dim in node.all("DIM") {
        let dim = dim.segment;
        source.take(dim, 1, 1);
        for (c, kind) in [(2, "length"), (3, "width"), (4, "height")] {
            if let Some(Quantity { value, unit, source_unit }) = source.quantity(dim, 2, (c, 1), kind) {
                found.push(Measure { kind: kind.to_owned(), value, unit, source_unit });
            }
        }
    }
    found
}

/// Every `FTX` below a node that has text; one of codes alone is left.
pub fn notes<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Note> {
    node.all("FTX").filter_map(|ftx| note(source, ftx.segment)).collect()
}

pub fn note<'d>(source: &Source<'d>, ftx: Segment<'d>) -> Option<Note> {
    let lines = source.rest(ftx, 4, 1, 5);
    if lines.is_empty() {
        return None;
    }
    let subject = source.take(ftx, 1, 1);
    source.take(ftx, 2, 1);
    source.take(ftx, 5, 1);
    let kind = (!subject.is_empty()).then(|| tables::name_of(tables::NOTES, &subject));
    Some(Note { kind, text: lines.join("\n") })
}

/// Every `DGS` below a node, each with its proper shipping name from `FTX+AAD`.
pub fn hazards<'d>(source: &Source<'d>, node: &Node<'d>) -> Vec<Hazard> {
    node.all("DGS").map(|dgs| hazard(source, dgs)).collect()
}

fn hazard<'d>(source: &Source<'d>, node: &Node<'d>) -> Hazard {
    let dgs = node.segment;
    let name = node.qualified("FTX", "AAD").and_then(|ftx| note(source, ftx.segment));
    Hazard {
        regulation: source.some(dgs, 1, 1),
        class: source.some(dgs, 2, 1),
        un_number: source.some(dgs, 3, 1),
        packing_group: source.some(dgs, 5, 1),
        name: name.map(|note| note.text),
        flash_point: source.quantity(dgs, 4, (1, 2), "the flash point"),
    }
}

/// `MOA` (C516): amount and currency; the currency of the whole where it names none.
pub fn money<'d>(source: &Source<'d>, moa: Segment<'d>, currency: Option<&str>) -> Option<Money> {
    let amount = source.number(moa, 1, 2, "the amount")?;
    source.take(moa, 1, 1);
    let own = moa.value(1, 3).into_owned();
    let is_currency = own.len() == 3 && own.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_currency {
        source.take(moa, 1, 3);
    }
    let currency = if own.is_empty() { currency.map(str::to_owned) } else { is_currency.then_some(own) };
    Some(Money { amount, currency })
}

/// `CUX+2`: the currency of what names none, else that of the first `CUX`.
pub fn currency<'d>(source: &Source<'d>, node: &Node<'d>) -> Option<String> {
    let cux = node.qualified("CUX", "2").or_else(|| node.first("CUX"))?.segment;
    let code = cux.value(1, 2).into_owned();
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    [1, 2, 3].into_iter().for_each(|c| drop(source.take(cux, 1, c)));
    Some(code)
}

/// `TOD`: the terms of delivery.
pub fn incoterms<'d>(source: &Source<'d>, node: &Node<'d>) -> Option<Code> {
    let tod = node.first("TOD")?;
    let code = source.some(tod.segment, 3, 1)?;
    source.take(tod.segment, 1, 1);
    source.take(tod.segment, 3, 3);
    let place = tod.all("LOC").find_map(|loc| place(source, loc.segment));
    let named =
        |place: Place| place.name.or_else(|| place.identifiers.into_iter().next().map(|one| one.value));
    let text = source.some(tod.segment, 3, 4).or_else(|| place.and_then(named));
    Some(Code { list: Some("incoterms".to_owned()), code, text })
}

/// `CNT`: the totals that the source states.
pub fn totals<'d>(source: &Source<'d>, node: &Node<'d>) -> Option<Totals> {
    let mut totals = Totals::default();
    for cnt in node.all("CNT") {
        let cnt = cnt.segment;
        let field = match &*cnt.value(1, 1) {
            "1" => &mut totals.units,
            "2" => &mut totals.lines,
            "7" | "17" | "18" | "26" => &mut totals.weight,
            "8" | "11" => &mut totals.packs,
            "15" => &mut totals.volume,
            _ => continue,
        };
        if field.is_none() {
            *field = source.quantity(cnt, 1, (2, 3), "the total");
            source.take(cnt, 1, 1);
        }
    }
    (totals != Totals::default()).then_some(totals)
}

/// The trade item of a `LIN`, its `PIA`s and `IMD`s.
#[derive(Default)]
pub struct ItemRead {
    pub item: Item,
    /// The item that was ordered, where another one goes instead.
    pub substitutes: Option<Item>,
    pub lots: Vec<String>,
    pub serials: Vec<String>,
}

/// Reads which item a line is about.
pub fn item<'d>(source: &Source<'d>, node: &Node<'d>) -> ItemRead {
    let mut read = ItemRead::default();
    let mut others: [Vec<Identifier>; 2] = Default::default();
    // A goods item (GID) has packages where a line has its item.
    if node.segment.name() == "LIN" {
        number(source, node.segment, 3, &mut read, None);
    }
    for pia in node.all("PIA") {
        let pia = pia.segment;
        // 3: the item of the line is substituted by this one; 4: it is substituted for this one.
        let other = match &*source.take(pia, 1, 1) {
            "3" => Some(0),
            "4" => Some(1),
            _ => None,
        };
        for n in 2..=6 {
            number(source, pia, n, &mut read, other.map(|at| &mut others[at]));
        }
    }
    let [goes, ordered] = others;
    if !goes.is_empty() {
        let ordered = std::mem::replace(&mut read.item.identifiers, goes);
        read.substitutes = Some(Item { identifiers: ordered, description: None });
    } else if !ordered.is_empty() {
        read.substitutes = Some(Item { identifiers: ordered, description: None });
    }
    for imd in node.all("IMD") {
        let imd = imd.segment;
        let text = |c| imd.value(3, c);
        // Colours, sizes and the like have a code of their own in C272, and stay with what is left.
        let is_whole = matches!(&*imd.value(2, 1), "" | "ANM" | "DSC" | "79" | "8");
        if read.item.description.is_some() || !is_whole || (text(4).is_empty() && text(5).is_empty()) {
            continue;
        }
        let mut texts = source.rest(imd, 3, 4, 5);
        read.item.description = joined(&mut texts);
        if !texts.is_empty() {
            source.keep(imd, 3, 5);
        }
        source.take(imd, 1, 1);
        source.take(imd, 2, 1);
    }
    read
}

/// C212 in element `n`: a number of the item, or its lot or serial number.
fn number<'d>(
    source: &Source<'d>,
    segment: Segment<'d>,
    n: usize,
    read: &mut ItemRead,
    other: Option<&mut Vec<Identifier>>,
) {
    let Some(value) = source.some(segment, n, 1) else { return };
    let kind = source.take(segment, n, 2);
    let scheme = match &*kind {
        "" => "item".to_owned(),
        kind => tables::name_of(tables::ITEMS, kind),
    };
    source.take(segment, n, 4);
    match (scheme.as_str(), other) {
        (_, Some(other)) => other.push(Identifier::new(scheme, value)),
        ("lot", None) => read.lots.push(value),
        ("serial", None) => read.serials.push(value),
        (_, None) => {
            let identifier = Identifier::new(scheme, value);
            if !read.item.identifiers.contains(&identifier) {
                read.item.identifiers.push(identifier);
            }
        }
    }
}
