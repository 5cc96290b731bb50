//! From a delivery IDoc to events: what a warehouse is to ship, or what was shipped.

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Location, Mapped, Refusal,
    canonical::{
        Address, Carrier, Code, Contact, Content, Dated, Decimal, Extensions, Identifier, Item, Line, LineStatus,
        Lot, Measure, OrderReleased, Pack, Party, Quantity, Reference, ShipmentDispatched, Time, Totals,
    },
    serde_json::{Map, Value},
};

use crate::{
    units,
    xml::{self, Node},
};

/// Fields of the header, item and handling unit that have a place in the model; the others go to `extensions.sap`.
const HEADER: [&str; 12] = [
    "VBELN", "BTGEW", "NTGEW", "GEWEI", "VOLUM", "VOLEH", "ANZPK", "INCO1", "INCO2", "BOLNR", "LIFEX", "TRAID",
];
const ITEM: [&str; 19] = [
    "POSNR", "MATNR", "ARKTX", "EAN11", "KDMAT", "CHARG", "LFIMG", "VRKME", "NTGEW", "BRGEW", "GEWEI", "VOLUM",
    "VOLEH", "HIPOS", "UECHA", "VFDAT", "HSDAT", "VGBEL", "VGPOS",
];

pub fn map(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
    let text = xml::decode(&document.content)?;
    let root = xml::read(&text)?;
    if !root.name.starts_with("DELVRY") {
        let what = format!("a delivery IDoc (DELVRY01 to DELVRY07) is read here; this is {}", root.name);
        return Err(Diagnostic::error("not-a-delivery", what).at(root.place()).into());
    }
    let mut reader = Reading { zone: context.zone.clone().unwrap_or_default(), wrong: Vec::new() };
    let mut events = Vec::new();
    for idoc in root.all("IDOC") {
        events.extend(reader.idoc(idoc));
    }
    if !reader.wrong.is_empty() {
        return Err(Refusal(reader.wrong));
    }
    if events.is_empty() {
        return Err(Diagnostic::error("empty", "there is no IDOC in the document").at(root.place()).into());
    }
    Ok(events.into())
}

/// A delivery while it is read; everything that is wrong with it is kept, not only the first.
struct Reading {
    zone: String,
    wrong: Vec<Diagnostic>,
}

impl Reading {
    fn idoc(&mut self, idoc: &Node) -> Option<Event> {
        let control = self.must(idoc, "EDI_DC40")?;
        let delivery = self.must(idoc, "E1EDL20")?;
        let number = delivery.get("VBELN");
        if number.is_empty() {
            self.say("missing", "the delivery has no number", delivery.place_of("VBELN"));
            return None;
        }
        match control.get("MESTYP") {
            "WHSORD" | "SHPORD" => Some(self.released(control, delivery, number)),
            "DESADV" | "SHPCON" | "WHSCON" => Some(self.dispatched(control, delivery, number)),
            other => {
                let what = format!("message type `{other}` is not read; WHSORD, SHPORD, DESADV, SHPCON and WHSCON are");
                self.say("message-type", &what, control.place_of("MESTYP"));
                None
            }
        }
    }

    fn released(&mut self, control: &Node, delivery: &Node, number: &str) -> Event {
        let lines = self.lines(delivery, false);
        let created = Time::digits(control.get("CREDAT"), control.get("CRETIM")).map(|time| time.in_zone(&self.zone));
        let order = OrderReleased {
            order: number.to_owned(),
            purpose: Some("original".to_owned()),
            references: references(delivery, number),
            released: created.clone(),
            dates: self.dates(delivery),
            parties: parties(delivery),
            carrier: carrier(delivery),
            incoterms: incoterms(delivery),
            lines,
            packs: self.packs(delivery),
            totals: self.totals(delivery),
            extensions: extensions(control, delivery),
            ..OrderReleased::default()
        };
        let event = Event::new(&order).natural_key("delivery", number).order_key("order", number);
        created.iter().fold(event, |event, time| event.occurred_at(time))
    }

    fn dispatched(&mut self, control: &Node, delivery: &Node, number: &str) -> Event {
        let lines = self.lines(delivery, true);
        let left = self.date(delivery, "006");
        let shipment = ShipmentDispatched {
            shipment: number.to_owned(),
            references: references(delivery, number),
            dispatched: left.clone(),
            dates: self.dates(delivery),
            parties: parties(delivery),
            carrier: carrier(delivery),
            lines,
            packs: self.packs(delivery),
            totals: self.totals(delivery),
            extensions: extensions(control, delivery),
            ..ShipmentDispatched::default()
        };
        let event = Event::new(&shipment).natural_key("delivery", number).order_key("order", number);
        left.iter().fold(event, |event, time| event.occurred_at(time))
    }

    /// Items, with the sub-items of a batch split folded into the lots of the item that they split.
    fn lines(&mut self, delivery: &Node, shipped: bool) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for item in delivery.all("E1EDL24") {
            let number = item.get("POSNR");
            if number.is_empty() {
                self.say("missing", "the item has no number", item.place_of("POSNR"));
                continue;
            }
            let quantity = self.quantity(item, "LFIMG", "VRKME");
            let parent = [item.get("HIPOS"), item.get("UECHA")].into_iter().find(|at| at.bytes().any(|digit| digit != b'0'));
            let split = parent.filter(|_| !item.get("CHARG").is_empty());
            if let Some(line) = split.and_then(|parent| lines.iter_mut().find(|line| line.number == parent)) {
                line.lots.push(lot(item, quantity.clone()));
                let total = if shipped { &mut line.shipped } else { &mut line.ordered };
                add(total, quantity);
                continue;
            }
            let mut line = Line {
                number: number.to_owned(),
                item: trade_item(item),
                measures: self.measures(item),
                references: item_references(item),
                extensions: leftovers(item, &ITEM),
                ..Line::default()
            };
            if !item.get("CHARG").is_empty() {
                line.lots.push(lot(item, quantity.clone()));
            }
            if shipped {
                line.shipped = quantity;
                line.status = line.shipped.as_ref().map(|_| LineStatus::Complete);
            } else {
                line.ordered = quantity;
            }
            lines.push(line);
        }
        lines
    }

    fn packs(&mut self, delivery: &Node) -> Vec<Pack> {
        let mut packs: Vec<Pack> = Vec::new();
        for unit in delivery.all("E1EDL37") {
            let label = unit.get("EXIDV");
            let id = label.trim_start_matches('0');
            let sscc = label.len() >= 18 && label.bytes().all(|byte| byte.is_ascii_digit());
            let identifier = match (sscc, label.get(label.len().saturating_sub(18)..)) {
                (true, Some(digits)) => Identifier::sscc(digits),
                _ => Identifier::new("handling-unit", label),
            };
            let mut pack = Pack {
                id: if id.is_empty() { format!("hu-{}", packs.len() + 1) } else { identifier.value.clone() },
                identifiers: vec![identifier],
                source_kind: unit.some("VHILM"),
                measures: self.measures(unit),
                ..Pack::default()
            };
            for content in unit.all("E1EDL44") {
                let quantity = self.quantity(content, "VEMNG", "VEMEH");
                if content.get("POSNR").bytes().any(|digit| digit != b'0') {
                    pack.contents.push(Content {
                        line: content.get("POSNR").to_owned(),
                        quantity,
                        lot: content.some("CHARG"),
                        serials: Vec::new(),
                    });
                }
            }
            packs.push(pack);
        }
        // A handling unit names the ones that stand in it.
        for unit in delivery.all("E1EDL37") {
            let outer = unit.get("EXIDV").to_owned();
            for inner in unit.all("E1EDL44").filter_map(|content| content.some("EXIDV")) {
                let parent = packs.iter().find(|pack| outer.ends_with(&pack.id)).map(|pack| pack.id.clone());
                if let Some(pack) = packs.iter_mut().find(|pack| inner.ends_with(&pack.id)) {
                    pack.parent = parent;
                }
            }
        }
        packs
    }

    fn totals(&mut self, delivery: &Node) -> Option<Totals> {
        let totals = Totals {
            packs: self.number(delivery, "ANZPK").map(|value| Quantity::new(value, None, "")),
            weight: self.quantity(delivery, "BTGEW", "GEWEI").or_else(|| self.quantity(delivery, "NTGEW", "GEWEI")),
            volume: self.quantity(delivery, "VOLUM", "VOLEH"),
            ..Totals::default()
        };
        (totals != Totals::default()).then_some(totals)
    }

    fn measures(&mut self, node: &Node) -> Vec<Measure> {
        let kinds = [("gross-weight", "BRGEW", "GEWEI"), ("net-weight", "NTGEW", "GEWEI"), ("volume", "VOLUM", "VOLEH")];
        let mut measures = Vec::new();
        for (kind, field, unit) in kinds {
            if let Some(value) = self.number(node, field) {
                let unit = node.get(unit);
                measures.push(Measure::new(kind, value, units::canonical(unit), unit));
            }
        }
        measures
    }

    /// Planned and actual dates (segment E1EDT13: NTANF planned from, NTEND planned to, ISDD actual from).
    fn dates(&mut self, delivery: &Node) -> Vec<Dated> {
        let mut dates = Vec::new();
        for dated in delivery.all("E1EDT13") {
            let name = match dated.get("QUALF") {
                "006" => "goods-issue".to_owned(),
                "007" => "delivery".to_owned(),
                "010" => "picking".to_owned(),
                other => format!("sap-{other}"),
            };
            for (day, hour, prefix) in [("NTANF", "NTANZ", "planned"), ("NTEND", "NTENZ", "planned-end"), ("ISDD", "ISDZ", "actual")] {
                if let Some(time) = self.time(dated, day, hour) {
                    let time = if prefix == "actual" { time.actual() } else { time.planned() };
                    dates.push(Dated { kind: format!("{prefix}-{name}"), time });
                }
            }
        }
        dates
    }

    fn date(&mut self, delivery: &Node, qualifier: &str) -> Option<Time> {
        let found = delivery.all("E1EDT13").find(|dated| dated.get("QUALF") == qualifier)?;
        self.time(found, "ISDD", "ISDZ").or_else(|| self.time(found, "NTANF", "NTANZ"))
    }

    fn time(&mut self, node: &Node, day: &str, hour: &str) -> Option<Time> {
        let (date, clock) = (node.get(day), node.get(hour));
        if date.is_empty() || date.bytes().all(|digit| digit == b'0') {
            return None;
        }
        // SAP fills an unknown time with zeros; 240000 is the end of the day.
        let clock = if clock == "240000" || clock == "000000" { "" } else { clock };
        let time = Time::digits(date, clock).map(|time| time.in_zone(&self.zone));
        if time.is_none() {
            self.say("not-a-date", &format!("`{date} {clock}` is no date and time"), node.place_of(day));
        }
        time
    }

    fn quantity(&mut self, node: &Node, field: &str, unit: &str) -> Option<Quantity> {
        let value = self.number(node, field)?;
        let unit = node.get(unit);
        Some(Quantity::new(value, units::canonical(unit), unit))
    }

    /// A number as SAP writes it: `12.500`, and `12.500-` for less than nothing.
    fn number(&mut self, node: &Node, field: &str) -> Option<Decimal> {
        let text = node.get(field);
        if text.is_empty() {
            return None;
        }
        let plain = text.strip_suffix('-').map_or_else(|| text.to_owned(), |number| format!("-{number}"));
        match Decimal::parse(&plain) {
            Ok(number) => Some(number),
            Err(_) => {
                self.say("not-a-number", &format!("`{text}` is no number"), node.place_of(field));
                None
            }
        }
    }

    fn must<'a>(&mut self, node: &'a Node, name: &str) -> Option<&'a Node> {
        let found = node.child(name);
        if found.is_none() {
            self.say("missing", &format!("segment {name} is missing"), node.place());
        }
        found
    }

    fn say(&mut self, code: &str, what: &str, at: Location) {
        self.wrong.push(Diagnostic::error(code, what).at(at));
    }
}

fn add(total: &mut Option<Quantity>, more: Option<Quantity>) {
    match (total.as_mut(), more) {
        (Some(total), Some(more)) if total.unit == more.unit && total.source_unit == more.source_unit => {
            if let Some(sum) = total.value.checked_add(&more.value) {
                total.value = sum;
            }
        }
        (None, more) => *total = more,
        _ => {}
    }
}

fn lot(item: &Node, quantity: Option<Quantity>) -> Lot {
    let day = |field: &str| Time::digits(item.get(field), "").and_then(|time| time.local);
    Lot { number: item.get("CHARG").to_owned(), expiry: day("VFDAT"), produced: day("HSDAT"), quantity }
}

fn trade_item(item: &Node) -> Item {
    let mut identifiers = Vec::new();
    if let Some(gtin) = item.some("EAN11") {
        identifiers.push(Identifier::gtin(gtin));
    }
    if let Some(number) = item.some("MATNR") {
        identifiers.push(Identifier::new("sap-material", number));
    }
    if let Some(number) = item.some("KDMAT") {
        identifiers.push(Identifier::new("buyer", number));
    }
    Item { identifiers, description: item.some("ARKTX") }
}

fn item_references(item: &Node) -> Vec<Reference> {
    let mut references = Vec::new();
    if let Some(order) = item.some("VGBEL") {
        references.push(Reference::new("so", order).source("VGBEL"));
    }
    if let Some(line) = item.some("VGPOS") {
        references.push(Reference::new("so-line", line).source("VGPOS"));
    }
    for order in item.all("E1EDL41") {
        if let Some(number) = order.some("BSTNR") {
            references.push(Reference::new("po", number).source("E1EDL41/BSTNR"));
        }
        if let Some(line) = order.some("POSEX") {
            references.push(Reference::new("po-line", line).source("E1EDL41/POSEX"));
        }
    }
    references
}

fn references(delivery: &Node, number: &str) -> Vec<Reference> {
    let mut references = vec![Reference::new("delivery", number).source("VBELN")];
    let mut put = |kind: &str, value: Option<String>, source: &str| {
        if let Some(value) = value
            && !references.iter().any(|known: &Reference| known.kind == kind && known.value == value)
        {
            references.push(Reference::new(kind, value).source(source));
        }
    };
    put("bol", delivery.some("BOLNR"), "BOLNR");
    put("external", delivery.some("LIFEX"), "LIFEX");
    for item in delivery.all("E1EDL24") {
        put("so", item.some("VGBEL"), "VGBEL");
        for order in item.all("E1EDL41") {
            put("po", order.some("BSTNR"), "E1EDL41/BSTNR");
        }
    }
    references
}

/// Partner functions (PARTNER_Q) by SAP's names for them.
fn role(function: &str) -> &str {
    match function {
        "AG" => "buyer",
        "WE" => "ship-to",
        "RE" => "bill-to",
        "RG" => "payer",
        "SP" => "carrier",
        "LF" => "seller",
        "OSP" => "ship-from",
        other => other,
    }
}

fn parties(delivery: &Node) -> Vec<Party> {
    let parties = delivery.all("E1ADRM1").map(|found| {
        let lines = ["STREET1", "STREET2", "STREET3"].iter().filter_map(|field| found.some(field)).collect();
        let address = Address {
            lines,
            city: found.some("CITY1"),
            region: found.some("REGION"),
            postal_code: found.some("POSTL_COD1"),
            country: found.some("COUNTRY1"),
        };
        let contact = Contact { phone: found.some("TELEPHONE1"), email: found.some("E_MAIL"), ..Contact::default() };
        let names: Vec<String> = ["NAME1", "NAME2", "NAME3", "NAME4"].iter().filter_map(|field| found.some(field)).collect();
        Party {
            source_role: found.some("PARTNER_Q"),
            name: (!names.is_empty()).then(|| names.join(", ")),
            identifiers: found.some("PARTNER_ID").map(|id| Identifier::new("sap-partner", id)).into_iter().collect(),
            address: (address != Address::default()).then_some(address),
            contacts: if contact == Contact::default() { Vec::new() } else { vec![contact] },
            ..Party::new(role(found.get("PARTNER_Q")))
        }
    });
    parties.collect()
}

fn carrier(delivery: &Node) -> Option<Carrier> {
    let found = delivery.all("E1ADRM1").find(|found| found.get("PARTNER_Q") == "SP")?;
    let id = found.get("PARTNER_ID");
    let letters = (2..=4).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_uppercase());
    let identifier = if letters { Identifier::scac(id) } else { Identifier::new("sap-partner", id) };
    Some(Carrier {
        name: found.some("NAME1"),
        identifiers: if id.is_empty() { Vec::new() } else { vec![identifier] },
        ..Carrier::default()
    })
}

fn incoterms(delivery: &Node) -> Option<Code> {
    let code = delivery.some("INCO1")?;
    Some(Code { list: Some("incoterms".to_owned()), code, text: delivery.some("INCO2") })
}

fn extensions(control: &Node, delivery: &Node) -> Extensions {
    let mut sap = fields(delivery, &HEADER);
    let mut header = Map::new();
    for field in control.children.iter().filter(|field| !field.text.is_empty()) {
        header.insert(field.name.clone(), Value::from(field.text.as_str()));
    }
    sap.insert("EDI_DC40".to_owned(), Value::Object(header));
    [("sap".to_owned(), Value::Object(sap))].into()
}

fn leftovers(node: &Node, known: &[&str]) -> Extensions {
    let sap = fields(node, known);
    if sap.is_empty() { Extensions::new() } else { [("sap".to_owned(), Value::Object(sap))].into() }
}

/// The fields of a segment that the model has no place for. Segments within it have readers of their own.
fn fields(node: &Node, known: &[&str]) -> Map<String, Value> {
    let fields = node.children.iter().filter(|field| field.children.is_empty() && !field.text.is_empty());
    let unknown = fields.filter(|field| !known.contains(&field.name.as_str()));
    unknown.map(|field| (field.name.clone(), Value::from(field.text.as_str()))).collect()
}
