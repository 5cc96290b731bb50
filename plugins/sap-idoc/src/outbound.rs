//! From events to a delivery IDoc: an order to a warehouse (WHSORD), or the confirmation of what was shipped (SHPCON).

mod items;

use crossdock_mapper::{
    Context, Diagnostic, Location, Output, Recorded, Refusal, Severity,
    canonical::{
        Canonical, Carrier, Dated, Decimal, Extensions, OrderCancelled, OrderReleased, Party, Quantity,
        Reference, ShipmentDispatched, Time, Totals,
    },
    log,
    serde_json::{Map, Value},
};
use serde::Deserialize;

use crate::{
    inbound, units,
    write::{Keys, Segment},
};

/// What a policy may say about the IDocs that are written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// `WHSORD`, or `SHPORD` where the receiver is a service agent.
    order: Order,
    /// `SHPCON`, or `WHSCON` where SAP knows the sender as a warehouse of its own.
    confirmation: Confirmation,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Order {
    #[default]
    Whsord,
    Shpord,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Confirmation {
    #[default]
    Shpcon,
    Whscon,
}

/// By which fields the segments are found again that the reader kept the rest of.
const KEYS: &Keys = &[
    ("E1ADRM1", &["PARTNER_Q"]),
    ("E1EDT13", &["QUALF"]),
    ("E1EDL18", &["QUALF"]),
    ("E1EDL19", &["QUALF"]),
    ("E1EDL37", &["EXIDV"]),
    ("E1EDL41", &["QUALI"]),
    ("E1EDL43", &["QUALF"]),
    ("E1EDL44", &["POSNR", "CHARG", "EXIDV"]),
    ("E1EDL11", &["SERNR"]),
    ("E1EDL46", &["SERNR"]),
];

pub fn map(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
    let [recorded] = events else {
        let what = format!("one event makes one IDoc; {} came", events.len());
        return Err(Diagnostic::error("one-at-a-time", what).into());
    };
    let config: Config = context.config()?;
    let (message, delivery) = if recorded.is::<ShipmentDispatched>() {
        let message = match config.confirmation {
            Confirmation::Shpcon => "SHPCON",
            Confirmation::Whscon => "WHSCON",
        };
        (message, confirmation(&recorded.data()?)?)
    } else if recorded.is::<OrderReleased>() {
        (config.order.message(), order(&recorded.data()?)?)
    } else if recorded.is::<OrderCancelled>() {
        (config.order.message(), cancellation(&recorded.data()?)?)
    } else {
        let what = format!(
            "{}, {} and {} become IDocs; other events do not",
            OrderReleased::KIND,
            OrderCancelled::KIND,
            ShipmentDispatched::KIND
        );
        return Err(Diagnostic::error("unsupported", what).into());
    };
    let mut idoc = Segment::new("IDOC");
    idoc.put(control(context, message));
    idoc.put(delivery);
    let text = idoc.document("DELVRY03")?;
    Ok(Output::new("application/xml", text))
}

impl Order {
    fn message(self) -> &'static str {
        match self {
            Self::Whsord => "WHSORD",
            Self::Shpord => "SHPORD",
        }
    }
}

/// A shipping confirmation carries the delivery's number as SAP gave it out with the order.
fn confirmation(shipment: &ShipmentDispatched) -> Result<Segment, Refusal> {
    let kinds = ["delivery", "depositor-order", "order"];
    let Some(number) = kinds.iter().find_map(|kind| Reference::find(&shipment.references, kind)) else {
        let what = "the shipment names no delivery or order that SAP would know";
        return Err(Diagnostic::error("no-delivery", what).at(Location::json_pointer("/references")).into());
    };
    let mut delivery = Segment::new("E1EDL20");
    delivery.set("VBELN", number);
    let none = Carrier::default();
    let carrier = shipment.carrier.as_ref().unwrap_or(&none);
    let find = |kind: &str| {
        Reference::find(&shipment.references, kind).or_else(|| Reference::find(&carrier.references, kind))
    };
    delivery.set("BOLNR", find("bol").unwrap_or_default());
    delivery.set("LIFEX", find("pro").or_else(|| find("tracking")).unwrap_or(&shipment.shipment));
    let vehicle = shipment.equipment.iter().flat_map(|equipment| &equipment.identifiers).next();
    delivery.set("TRAID", vehicle.map_or("", |id| &id.value));
    // What stands in another unit is no package of its own.
    let packs = shipment.packs.iter().filter(|pack| pack.parent.is_none()).count();
    totals(&mut delivery, shipment.totals.as_ref(), packs, &shipment.extensions);
    // The goods issue is posted, not only the picking confirmed.
    delivery.keyed("E1EDL18", "QUALF", "PGI");
    parties(&mut delivery, &shipment.parties, shipment.carrier.as_ref());
    if let Some(left) = &shipment.dispatched {
        dated(&mut delivery, "006", ["ISDD", "ISDZ", "TZONE_BEG"], left);
    }
    // Planned and other dates, as far as they came from SAP.
    let known = |date: &&Dated| date.kind.starts_with("planned-") || date.kind.starts_with("actual-");
    shipment.dates.iter().filter(known).for_each(|date| planned(&mut delivery, date));
    items::confirmed(&mut delivery, &shipment.lines, &shipment.packs, number)?;
    delivery.complete(kept(&shipment.extensions), KEYS, &["EDI_DC40", "E1EDL24", "E1EDL44"]);
    Ok(delivery)
}

fn order(order: &OrderReleased) -> Result<Segment, Refusal> {
    let mut delivery = Segment::new("E1EDL20");
    delivery.set("VBELN", order.order.as_str());
    for (field, kind) in [("BOLNR", "bol"), ("LIFEX", "external")] {
        delivery.set(field, Reference::find(&order.references, kind).unwrap_or_default());
    }
    if let Some(terms) = &order.incoterms {
        delivery.set("INCO1", terms.code.as_str());
        delivery.set("INCO2", terms.text.as_deref().unwrap_or_default());
    }
    totals(&mut delivery, order.totals.as_ref(), 0, &order.extensions);
    if matches!(order.purpose.as_deref(), Some("change" | "replace")) {
        delivery.keyed("E1EDL18", "QUALF", "CHG");
    }
    parties(&mut delivery, &order.parties, order.carrier.as_ref());
    order.dates.iter().for_each(|date| planned(&mut delivery, date));
    items::ordered(&mut delivery, &order.lines, &order.packs, &order.order)?;
    delivery.complete(kept(&order.extensions), KEYS, &["EDI_DC40", "E1EDL24", "E1EDL44"]);
    if let Some(priority) = order.priority.as_deref().filter(|priority| priority.len() <= 2) {
        delivery.keyed("E1EDL21", "LPRIO", priority);
    }
    Ok(delivery)
}

fn cancellation(order: &OrderCancelled) -> Result<Segment, Refusal> {
    if !order.lines.is_empty() && order.reason.as_ref().is_none_or(|reason| reason.code != "DEL") {
        let what = "a delivery is deleted as a whole in SAP; this cancels some of its lines";
        return Err(Diagnostic::error("some-lines", what).at(Location::json_pointer("/lines")).into());
    }
    let mut delivery = Segment::new("E1EDL20");
    delivery.set("VBELN", order.order.as_str());
    delivery.keyed("E1EDL18", "QUALF", "DEL");
    parties(&mut delivery, &order.parties, None);
    Ok(delivery)
}

/// What the reader of IDocs kept.
fn kept(extensions: &Extensions) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    extensions.get("sap").and_then(Value::as_object).unwrap_or(&NONE)
}

fn control(context: &Context, message: &str) -> Segment {
    let mut control = Segment::new("EDI_DC40");
    control.set("TABNAM", "EDI_DC40");
    if let Some(number) = context.control_number("idoc") {
        control.set("DOCNUM", format!("{number:0>16}"));
    }
    // Inbound, from where SAP stands.
    control.set("DIRECT", "2");
    control.set("IDOCTYP", "DELVRY03");
    control.set("MESTYP", message);
    for (port, kind, name, value) in
        [("SNDPOR", "SNDPRT", "SNDPRN", &context.sender), ("RCVPOR", "RCVPRT", "RCVPRN", &context.receiver)]
    {
        control.set(port, value.as_str());
        control.set(kind, "LS");
        control.set(name, value.as_str());
    }
    let now = Time::at(&context.received_at);
    control.set("CREDAT", now.date_digits().unwrap_or_default());
    control.set("CRETIM", now.time_digits().unwrap_or_default());
    control
}

fn totals(delivery: &mut Segment, totals: Option<&Totals>, packs: usize, extensions: &Extensions) {
    let stated = totals.and_then(|totals| totals.packs.as_ref()).map(|packs| packs.value.as_str().to_owned());
    // Where an IDoc left them uncounted, they stay so.
    let counted = (packs > 0 && !kept(extensions).contains_key("ANZPK")).then(|| packs.to_string());
    delivery.set("ANZPK", stated.or(counted).unwrap_or_default());
    let Some(totals) = totals else { return };
    for (quantity, field, unit) in [(&totals.weight, "BTGEW", "GEWEI"), (&totals.volume, "VOLUM", "VOLEH")] {
        if let Some(quantity) = quantity {
            amount(delivery, field, unit, quantity);
        }
    }
}

fn amount(segment: &mut Segment, field: &str, unit: &str, quantity: &Quantity) {
    segment.set(field, signed(&quantity.value));
    segment.set(unit, units::sap(quantity.unit.as_deref(), quantity.source_unit.as_deref()));
}

/// SAP writes a minus behind the number.
fn signed(value: &Decimal) -> String {
    value.as_str().strip_prefix('-').map_or_else(|| value.to_string(), |digits| format!("{digits}-"))
}

fn parties(delivery: &mut Segment, parties: &[Party], carrier: Option<&Carrier>) {
    let mut carried = false;
    for (index, party) in parties.iter().enumerate() {
        let Some(function) = inbound::function(&party.role).filter(|function| function.len() <= 3) else {
            let what =
                format!("SAP has no partner function for `{}`: left out, /parties/{index}", party.role);
            log::write(Severity::Warning, &what);
            continue;
        };
        carried |= function == "SP";
        delivery.put(address(party, &function, format!("/parties/{index}")));
    }
    if let Some(carrier) = carrier.filter(|_| !carried) {
        let party = Party {
            name: carrier.name.clone(),
            identifiers: carrier.identifiers.clone(),
            ..Party::new("carrier")
        };
        delivery.put(address(&party, "SP", "/carrier".to_owned()));
    }
}

fn address(party: &Party, function: &str, from: String) -> Segment {
    let mut segment = Segment::from("E1ADRM1", from);
    segment.set("PARTNER_Q", function);
    // SAP's own number for them; X12 has it as the one that the seller assigned.
    let schemes: &[&str] =
        if function == "SP" { &["scac", "sap-partner"] } else { &["sap-partner", "seller", "gln"] };
    let best = schemes.iter().find_map(|scheme| party.identifiers.iter().find(|id| id.scheme == *scheme));
    segment.set("PARTNER_ID", best.or(party.identifiers.first()).map_or("", |id| &id.value));
    let names = lines(party.name.as_deref().unwrap_or_default());
    spread(&mut segment, &["NAME1", "NAME2", "NAME3", "NAME4"], &names);
    if let Some(address) = &party.address {
        spread(&mut segment, &["STREET1", "STREET2", "STREET3"], &address.lines);
        segment.set("POSTL_COD1", address.postal_code.as_deref().unwrap_or_default());
        segment.set("CITY1", address.city.as_deref().unwrap_or_default());
        segment.set("REGION", address.region.as_deref().unwrap_or_default());
        segment.set("COUNTRY1", address.country.as_deref().unwrap_or_default());
    }
    if let Some(contact) = party.contacts.first() {
        segment.set("TELEPHONE1", contact.phone.as_deref().unwrap_or_default());
        segment.set("E_MAIL", contact.email.as_deref().unwrap_or_default());
    }
    segment
}

/// Each line into a field of its own. What is left over makes the last one too long, so that nothing gets lost.
fn spread(segment: &mut Segment, fields: &[&str], lines: &[String]) {
    for (nth, field) in fields.iter().enumerate() {
        let rest = lines.get(nth..).unwrap_or_default();
        let rest = if nth + 1 == fields.len() { rest } else { &rest[..rest.len().min(1)] };
        segment.set(field, rest.join(", "));
    }
}

/// A name in lines of at most 40 letters, broken at its commas where it has some, else between words.
fn lines(name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in name.split(", ") {
        let mut piece = piece;
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + piece.chars().count() <= 40 => {
                line.push_str(", ");
                line.push_str(piece);
                continue;
            }
            _ => {}
        }
        while let Some((end, _)) = piece.char_indices().nth(40) {
            let Some((line, rest)) =
                piece.get(..=end).and_then(|most| most.rfind(' ')).map(|at| piece.split_at(at))
            else {
                break;
            };
            lines.push(line.to_owned());
            piece = rest.trim_start();
        }
        lines.push(piece.to_owned());
    }
    lines
}

fn planned(delivery: &mut Segment, date: &Dated) {
    let (fields, name) = if let Some(name) = date.kind.strip_prefix("planned-end-") {
        (["NTEND", "NTENZ", "TZONE_END"], name)
    } else if let Some(name) = date.kind.strip_prefix("actual-end-") {
        (["IEDD", "IEDZ", "TZONE_END"], name)
    } else if let Some(name) = date.kind.strip_prefix("actual-") {
        (["ISDD", "ISDZ", "TZONE_BEG"], name)
    } else {
        (["NTANF", "NTANZ", "TZONE_BEG"], date.kind.strip_prefix("planned-").unwrap_or(&date.kind))
    };
    let qualifier = match name {
        "goods-issue" | "requested-ship" => "006".to_owned(),
        "delivery" | "requested-delivery" => "007".to_owned(),
        "picking" => "010".to_owned(),
        other => match other.strip_prefix("sap-").map(str::to_ascii_uppercase) {
            Some(code) if code.len() <= 3 => code,
            _ => return,
        },
    };
    dated(delivery, &qualifier, fields, &date.time);
}

/// A day and time of the segment of dates with a qualifier. SAP has no offsets: UTC is named, a local time is as it is.
fn dated(delivery: &mut Segment, qualifier: &str, [day, clock, zone]: [&str; 3], time: &Time) {
    let segment = delivery.keyed("E1EDT13", "QUALF", qualifier);
    if !segment.get(day).is_empty() {
        return;
    }
    segment.set(day, time.date_digits().unwrap_or_default());
    segment.set(clock, time.time_digits().unwrap_or_default());
    let utc = time.local.is_none()
        && time.at.as_deref().is_some_and(|at| at.ends_with(['Z', 'z']) || at.ends_with("+00:00"));
    if utc {
        segment.set(zone, "UTC");
    }
}
