//! From events to a delivery IDoc: an order to a warehouse (WHSORD), or the confirmation of what was shipped (SHPCON).

use crossdock_mapper::{
    Context, Diagnostic, Output, Recorded, Refusal,
    canonical::{
        Canonical, Carrier, Dated, Identifier, Line, OrderReleased, Pack, Party, Quantity, Reference,
        ShipmentDispatched, Time, Totals,
    },
};

use crate::{units, write::Writer};

pub fn map(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
    let [recorded] = events else {
        let what = format!("one event makes one IDoc; {} came", events.len());
        return Err(Diagnostic::error("one-at-a-time", what).into());
    };
    let text = if recorded.is::<ShipmentDispatched>() {
        confirmation(context, &recorded.data()?)?
    } else if recorded.is::<OrderReleased>() {
        order(context, &recorded.data()?)
    } else {
        let what = format!("{} and {} become IDocs; other events do not", OrderReleased::KIND, ShipmentDispatched::KIND);
        return Err(Diagnostic::error("unsupported", what).into());
    };
    Ok(Output::new("application/xml", text))
}

/// A shipping confirmation carries the delivery's number as SAP gave it out with the order.
fn confirmation(context: &Context, shipment: &ShipmentDispatched) -> Result<String, Refusal> {
    let known = ["delivery", "depositor-order", "order"].iter().find_map(|kind| Reference::find(&shipment.references, kind));
    let Some(delivery) = known else {
        let what = "the shipment names no delivery or order that SAP would know";
        return Err(Diagnostic::error("no-delivery", what).into());
    };
    let mut out = begin(context, "SHPCON");
    out.segment("E1EDL20");
    out.field("VBELN", delivery);
    let carrier = shipment.carrier.clone().unwrap_or_default();
    let find = |kind: &str| Reference::find(&shipment.references, kind).or_else(|| Reference::find(&carrier.references, kind));
    out.field("BOLNR", find("bol").unwrap_or_default());
    totals(&mut out, shipment.totals.as_ref(), shipment.packs.len());
    out.field("TRAID", shipment.equipment.first().and_then(|equipment| equipment.identifiers.first()).map_or("", |id| &id.value));
    out.field("LIFEX", find("pro").or_else(|| find("tracking")).unwrap_or(&shipment.shipment));
    out.segment("E1EDL18");
    out.field("QUALF", "PGI");
    out.end();
    parties(&mut out, &shipment.parties, &carrier);
    if let Some(left) = &shipment.dispatched {
        out.segment("E1EDT13");
        out.field("QUALF", "006");
        out.field("ISDD", &left.date_digits().unwrap_or_default());
        out.field("ISDZ", &left.time_digits().unwrap_or_default());
        out.end();
    }
    let lines: Vec<_> = shipment.lines.iter().collect();
    items(&mut out, &lines, |line| line.shipped.as_ref());
    packs(&mut out, &shipment.packs, delivery);
    Ok(out.finish())
}

fn order(context: &Context, order: &OrderReleased) -> String {
    let mut out = begin(context, "WHSORD");
    out.segment("E1EDL20");
    out.field("VBELN", &order.order);
    totals(&mut out, order.totals.as_ref(), order.packs.len());
    if let Some(terms) = &order.incoterms {
        out.field("INCO1", &terms.code);
        out.field("INCO2", terms.text.as_deref().unwrap_or_default());
    }
    parties(&mut out, &order.parties, &order.carrier.clone().unwrap_or_default());
    for date in &order.dates {
        planned(&mut out, date);
    }
    let lines: Vec<_> = order.lines.iter().collect();
    items(&mut out, &lines, |line| line.ordered.as_ref());
    packs(&mut out, &order.packs, &order.order);
    out.finish()
}

fn begin(context: &Context, message: &str) -> Writer {
    let mut out = Writer::new("DELVRY03");
    out.segment("EDI_DC40");
    out.field("TABNAM", "EDI_DC40");
    let number = context.control_number("idoc").unwrap_or_default();
    out.field("DOCNUM", &format!("{number:0>16}"));
    out.field("DIRECT", "2");
    out.field("IDOCTYP", "DELVRY03");
    out.field("MESTYP", message);
    for (port, kind, name, value) in [("SNDPOR", "SNDPRT", "SNDPRN", &context.sender), ("RCVPOR", "RCVPRT", "RCVPRN", &context.receiver)] {
        out.field(port, value);
        out.field(kind, "LS");
        out.field(name, value);
    }
    let now = Time::at(&context.received_at);
    out.field("CREDAT", &now.date_digits().unwrap_or_default());
    out.field("CRETIM", &now.time_digits().unwrap_or_default());
    out.end();
    out
}

fn totals(out: &mut Writer, totals: Option<&Totals>, packs: usize) {
    let Some(totals) = totals else { return };
    if let Some(weight) = &totals.weight {
        out.field("BTGEW", weight.value.as_str());
        out.field("GEWEI", &unit(weight));
    }
    if let Some(volume) = &totals.volume {
        out.field("VOLUM", volume.value.as_str());
        out.field("VOLEH", &unit(volume));
    }
    let stated = totals.packs.as_ref().map(|packs| packs.value.as_str().to_owned());
    let counted = (packs > 0).then(|| packs.to_string());
    out.field("ANZPK", &stated.or(counted).unwrap_or_default());
}

fn parties(out: &mut Writer, parties: &[Party], carrier: &Carrier) {
    for party in parties.iter().filter(|party| party.role != "carrier") {
        let function = match party.role.as_str() {
            "buyer" => "AG",
            "ship-to" => "WE",
            "bill-to" => "RE",
            "payer" => "RG",
            "seller" | "depositor" => "LF",
            "ship-from" | "warehouse" => "OSP",
            _ => continue,
        };
        out.segment("E1ADRM1");
        out.field("PARTNER_Q", function);
        out.field("PARTNER_ID", party.identifiers.first().map_or("", |id| &id.value));
        out.field("NAME1", party.name.as_deref().unwrap_or_default());
        if let Some(address) = &party.address {
            for (field, line) in ["STREET1", "STREET2", "STREET3"].iter().zip(&address.lines) {
                out.field(field, line);
            }
            out.field("POSTL_COD1", address.postal_code.as_deref().unwrap_or_default());
            out.field("CITY1", address.city.as_deref().unwrap_or_default());
            out.field("REGION", address.region.as_deref().unwrap_or_default());
            out.field("COUNTRY1", address.country.as_deref().unwrap_or_default());
        }
        out.end();
    }
    let scac = carrier.identifiers.iter().find(|id| id.scheme == "scac").or(carrier.identifiers.first());
    if scac.is_some() || carrier.name.is_some() {
        out.segment("E1ADRM1");
        out.field("PARTNER_Q", "SP");
        out.field("PARTNER_ID", scac.map_or("", |id| &id.value));
        out.field("NAME1", carrier.name.as_deref().unwrap_or_default());
        out.end();
    }
}

fn planned(out: &mut Writer, date: &Dated) {
    let qualifier = match date.kind.strip_prefix("planned-").unwrap_or(&date.kind) {
        "goods-issue" | "requested-ship" => "006",
        "delivery" | "requested-delivery" => "007",
        "picking" => "010",
        other => match other.strip_prefix("sap-") {
            Some(code) => code,
            None => return,
        },
    };
    out.segment("E1EDT13");
    out.field("QUALF", qualifier);
    out.field("NTANF", &date.time.date_digits().unwrap_or_default());
    out.field("NTANZ", &date.time.time_digits().unwrap_or_default());
    out.end();
}

/// Items. An item of several lots is split as SAP splits batches: sub-items from 900001 that name their item.
fn items(out: &mut Writer, lines: &[&Line], quantity: impl Fn(&Line) -> Option<&Quantity>) {
    let mut split = 900_000;
    for line in lines {
        let several = line.lots.len() > 1 && line.lots.iter().all(|lot| lot.quantity.is_some());
        let number = format!("{:0>6}", line.number);
        out.segment("E1EDL24");
        out.field("POSNR", &number);
        item(out, line);
        if !several && let Some(lot) = line.lots.first() {
            out.field("CHARG", &lot.number);
            out.field("VFDAT", &lot.expiry.as_deref().unwrap_or_default().replace('-', ""));
        }
        match quantity(line) {
            Some(quantity) if !several => amount(out, quantity),
            Some(quantity) => {
                out.field("LFIMG", "0");
                out.field("VRKME", &unit(quantity));
            }
            None => {}
        }
        for (field, kind) in [("VGBEL", "so"), ("VGPOS", "so-line")] {
            out.field(field, Reference::find(&line.references, kind).unwrap_or_default());
        }
        if let Some(order) = Reference::find(&line.references, "po") {
            out.segment("E1EDL41");
            out.field("QUALI", "001");
            out.field("BSTNR", order);
            out.field("POSEX", Reference::find(&line.references, "po-line").unwrap_or_default());
            out.end();
        }
        out.end();
        if several {
            for lot in &line.lots {
                split += 1;
                out.segment("E1EDL24");
                out.field("POSNR", &split.to_string());
                item(out, line);
                out.field("CHARG", &lot.number);
                out.field("VFDAT", &lot.expiry.as_deref().unwrap_or_default().replace('-', ""));
                if let Some(quantity) = &lot.quantity {
                    amount(out, quantity);
                }
                out.field("HIPOS", &number);
                out.end();
            }
        }
    }
}

fn item(out: &mut Writer, line: &Line) {
    let find = |scheme: &str| line.item.identifier(scheme).unwrap_or_default();
    let material = [find("sap-material"), find("seller"), find("sku")].into_iter().find(|number| !number.is_empty());
    out.field("MATNR", material.unwrap_or_default());
    out.field("ARKTX", line.item.description.as_deref().unwrap_or_default());
    out.field("EAN11", find("gtin"));
    out.field("KDMAT", find("buyer"));
}

fn amount(out: &mut Writer, quantity: &Quantity) {
    out.field("LFIMG", quantity.value.as_str());
    out.field("VRKME", &unit(quantity));
}

fn unit(quantity: &Quantity) -> String {
    match (&quantity.unit, &quantity.source_unit) {
        (Some(unit), _) => units::sap(unit).to_owned(),
        (None, source) => source.clone().unwrap_or_default(),
    }
}

fn packs(out: &mut Writer, packs: &[Pack], delivery: &str) {
    for pack in packs {
        out.segment("E1EDL37");
        out.field("EXIDV", label(pack));
        out.field("VHILM", pack.source_kind.as_deref().unwrap_or_default());
        for content in &pack.contents {
            out.segment("E1EDL44");
            out.field("VBELN", delivery);
            out.field("POSNR", &format!("{:0>6}", content.line));
            if let Some(quantity) = &content.quantity {
                out.field("VEMNG", quantity.value.as_str());
                out.field("VEMEH", &unit(quantity));
            }
            out.field("CHARG", content.lot.as_deref().unwrap_or_default());
            out.end();
        }
        for inner in packs.iter().filter(|inner| inner.parent.as_deref() == Some(pack.id.as_str())) {
            out.segment("E1EDL44");
            out.field("EXIDV", label(inner));
            out.end();
        }
        out.end();
    }
}

fn label(pack: &Pack) -> &str {
    pack.identifiers.first().map_or(&pack.id, |id: &Identifier| &id.value)
}
