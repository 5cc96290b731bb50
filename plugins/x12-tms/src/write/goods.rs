//! The goods of a stop: OID, LAD, L5, AT8 and dangerous goods.

use crossdock_mapper::Refusal;
use crossdock_mapper::canonical::{Line, Quantity};
use crossdock_x12::tables::{PRODUCTS, product_code};
use crossdock_x12::{Kept, Sheet, clean, text, unit};

use super::common::{self, volume_letter, weight_letter};
use crate::tables::{WEIGHTS, code_of};

/// Schemes of commodity codes, which L5 holds, with their qualifiers (element 23).
const COMMODITIES: &[(&str, &str)] =
    &[("N", "nmfc"), ("T", "stcc"), ("S", "sic"), ("Z", "commodity"), ("H", "hs")];

pub fn line(sheet: &mut Sheet, line: &Line) -> Result<(), Refusal> {
    let kept = Kept::of(&line.extensions);
    let of_oid = |n: &str| {
        line.references
            .iter()
            .find(|reference| reference.source_kind.as_deref() == Some(n))
            .map_or("", |reference| reference.value.as_str())
    };
    let order = ["OID/1", "OID/2", "OID/3"].map(of_oid);
    let counted = line.ordered.as_ref().filter(|ordered| {
        ordered.unit.is_some() || ordered.source_unit.as_deref().is_some_and(|unit| unit.len() == 2)
    });
    let is_order = order.iter().any(|value| !value.is_empty()) || counted.is_some() || kept.has("OID");
    let packed = line.ordered.as_ref().filter(|_| counted.is_none());
    let form = packed.and_then(|packed| packed.source_unit.as_deref()).unwrap_or_default();
    let products: Vec<_> = line
        .item
        .identifiers
        .iter()
        .filter(|identifier| {
            PRODUCTS.iter().any(|(_, scheme)| *scheme == identifier.scheme)
                || identifier.scheme.starts_with("x12-")
        })
        .collect();
    let has_lading = kept.has("LAD") || !products.is_empty() || form.len() == 3;
    let plain = line.measures.iter().all(|measure| matches!(measure.kind.as_str(), "weight" | "volume"));
    let find = |is: fn(&str) -> bool| {
        let found = line.measures.iter().find(|measure| is(&measure.kind));
        found.map(|measure| {
            (
                measure.kind.clone(),
                Quantity {
                    value: measure.value.clone(),
                    unit: measure.unit.clone(),
                    source_unit: measure.source_unit.clone(),
                },
            )
        })
    };
    let weighed = find(|kind| kind.ends_with("weight") || kind.starts_with("x12-"));
    let filled = find(|kind| kind == "volume").map(|(_, volume)| volume);
    let (weight_unit, weight) = (
        weight_letter(weighed.as_ref().map(|(_, weight)| weight), "/lines/measures")?,
        value(weighed.as_ref().map(|(_, weight)| weight)),
    );
    let (volume_unit, volume) = (volume_letter(filled.as_ref(), "/lines/measures")?, value(filled.as_ref()));
    let in_order = is_order && plain;
    if is_order {
        let (unit, count) = match counted {
            Some(counted) => (unit(counted, "/lines/ordered")?, counted.value.as_str()),
            None => (String::new(), ""),
        };
        let [so, po, third] = order;
        let measured = if in_order { [&*weight_unit, &*weight, &*volume_unit, &*volume] } else { [""; 4] };
        sheet.row(&kept, "OID", "OID", [so, po, third, &unit, count].into_iter().chain(measured));
    }
    let in_lading = has_lading && plain && !is_order;
    let mut words = line.item.description.iter().chain(
        line.notes.iter().filter(|note| note.kind.as_deref() == Some("description")).map(|note| &note.text),
    );
    let commodity = line.item.identifiers.iter().find_map(|identifier| {
        let listed = COMMODITIES.iter().find(|(_, scheme)| *scheme == identifier.scheme);
        listed.map(|(qualifier, _)| (*qualifier, &identifier.value))
    });
    if has_lading {
        let mut values = vec![String::new(); 13];
        if form.len() == 3 {
            values[0] = form.to_owned();
            values[1] = value(packed);
        }
        if in_lading {
            values[4].clone_from(&weight_unit);
            values[5].clone_from(&weight);
        }
        for (place, product) in [6, 8, 10].into_iter().zip(&products) {
            values[place] = product_code(&product.scheme, &product.value).unwrap_or_else(|| "ZZ".to_owned());
            values[place + 1].clone_from(&product.value);
        }
        // Where an L5 follows for its own reasons, the words stand there.
        if commodity.is_none() && !kept.has("L5") {
            values[12] = text(&words.next().cloned());
        }
        sheet.row(&kept, "LAD", "LAD", values);
    }
    let first = words.next();
    let has_hazards = !line.hazards.is_empty();
    if first.is_some() || commodity.is_some() || kept.has("L5") || (!is_order && !has_lading && !has_hazards)
    {
        let (qualifier, code) =
            commodity.as_ref().map_or(("", ""), |(qualifier, code)| (*qualifier, code.as_str()));
        sheet.row(&kept, "L5", "L5", ["", &text(&first.cloned()), code, qualifier]);
    }
    for more in words {
        let said = kept.get("L5/1").unwrap_or_default();
        sheet.row(&Kept::default(), "L5", "L5", [said, &clean(more)]);
    }
    let loose = packed.filter(|_| form.len() != 3);
    let unsaid = !in_order && !in_lading && !(weight.is_empty() && volume.is_empty());
    if unsaid || loose.is_some() || kept.has("AT8") {
        let kind = weighed.as_ref().and_then(|(kind, _)| code_of(WEIGHTS, kind)).unwrap_or_default();
        let count = value(loose);
        let values = match unsaid {
            true => [kind, weight_unit, weight, count, String::new(), volume_unit, volume],
            false => [
                String::new(),
                String::new(),
                String::new(),
                count,
                String::new(),
                String::new(),
                String::new(),
            ],
        };
        sheet.row(&kept, "AT8", "AT8", values);
    }
    let elsewhere = ["OID/1", "OID/2", "OID/3"];
    common::references(sheet, &kept, &line.references, "L11", &elsewhere);
    hazards(sheet, &kept, line);
    sheet.kept_segments(&kept, &[]);
    Ok(())
}

/// LH1 with the class and the name of each.
fn hazards(sheet: &mut Sheet, kept: &Kept<'_>, line: &Line) {
    for hazard in &line.hazards {
        let number = hazard.un_number.as_deref().unwrap_or_default();
        let is_un = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        let code = if is_un { format!("UN{number}") } else { number.to_owned() };
        let mut values = vec![String::new(); 10];
        values[2].clone_from(&code);
        values[9] = hazard.packing_group.clone().unwrap_or_default();
        sheet.row(kept, &format!("LH1*{code}"), "LH1", values);
        if let Some(class) = &hazard.class {
            sheet.row(kept, &format!("LH2*{class}"), "LH2", [class]);
        }
        if let Some(name) = &hazard.name {
            sheet.row(kept, &format!("LH3*{name}"), "LH3", [clean(name)]);
        }
    }
}

fn value(quantity: Option<&Quantity>) -> String {
    quantity.map_or("", |quantity| quantity.value.as_str()).to_owned()
}
