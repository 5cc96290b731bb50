//! The goods of a stop: OID, LAD, L5, AT8 and dangerous goods.

use crossdock_mapper::canonical::{Identifier, Line, Measure, Quantity};
use crossdock_mapper::{Diagnostic, Location, Refusal};
use crossdock_x12::tables::{PRODUCTS, product_code};
use crossdock_x12::{Kept, Sheet, clean, text, unit};

use super::common::{self, value, volume_letter, weight_letter};
use crate::tables::{WEIGHTS, code_of};

/// Schemes of commodity codes, which L5 holds, with their qualifiers (element 23).
const COMMODITIES: &[(&str, &str)] =
    &[("N", "nmfc"), ("T", "stcc"), ("S", "sic"), ("Z", "commodity"), ("H", "hs")];

/// References of the order that a line belongs to.
const OF_ORDER: [&str; 3] = ["OID/1", "OID/2", "OID/3"];

pub fn line(sheet: &mut Sheet, line: &Line) -> Result<(), Refusal> {
    let goods = Goods::of(line)?;
    goods.order(sheet)?;
    goods.lading(sheet)?;
    goods.words(sheet);
    goods.weights(sheet);
    common::references(sheet, &goods.kept, &line.references, "L11", &OF_ORDER);
    goods.hazards(sheet);
    sheet.kept_segments(&goods.kept, &[]);
    Ok(())
}

/// Whether a LAD alone says what a line is.
pub fn is_lading(line: &Line) -> bool {
    Goods::of(line).is_ok_and(|goods| {
        let is_described = goods.commodity.is_some() || goods.kept.has("L5") || !line.hazards.is_empty();
        goods.has_lading() && !goods.is_order() && !is_described
    })
}

/// A line, and which of the segments say what of it.
struct Goods<'l> {
    line: &'l Line,
    kept: Kept<'l>,
    /// Counted in units of X12, which OID says.
    counted: Option<&'l Quantity>,
    /// So many packages of a form, which LAD says.
    packed: Option<(&'l Quantity, &'l str)>,
    /// So many handling units of no form, which AT8 says.
    loose: Option<&'l Quantity>,
    products: Vec<&'l Identifier>,
    commodity: Option<(&'static str, &'l str)>,
    /// Words about the goods, the description first.
    words: Vec<&'l str>,
    measures: Measures,
}

/// Weight and volume as X12 writes them.
#[derive(Default)]
struct Measures {
    kind: String,
    weight: [String; 2],
    volume: [String; 2],
}

impl<'l> Goods<'l> {
    fn of(line: &'l Line) -> Result<Self, Refusal> {
        let source = |ordered: &&Quantity| ordered.source_unit.as_deref().map_or(0, str::len);
        let ordered = line.ordered.as_ref();
        let kept = Kept::of(&line.extensions);
        let of_order = has_order(line) || kept.has("OID");
        let counts = |ordered: &&Quantity| {
            ordered.unit.is_some() || source(ordered) == 2 || (of_order && source(ordered) == 0)
        };
        let counted = ordered.filter(counts);
        let others = ordered.filter(|_| counted.is_none());
        let form = others.filter(|ordered| source(ordered) == 3);
        let described = line.notes.iter().filter(|note| note.kind.as_deref() == Some("description"));
        let is_product = |identifier: &&Identifier| {
            PRODUCTS.iter().any(|(_, scheme)| *scheme == identifier.scheme)
                || identifier.scheme.starts_with("x12-")
                || identifier.scheme == "other"
        };
        let commodity = line.item.identifiers.iter().find_map(|identifier| {
            let listed = COMMODITIES.iter().find(|(_, scheme)| *scheme == identifier.scheme)?;
            Some((listed.0, identifier.value.as_str()))
        });
        Ok(Self {
            line,
            kept,
            counted,
            packed: form.and_then(|form| Some((form, form.source_unit.as_deref()?))),
            loose: others.filter(|_| form.is_none()),
            products: line.item.identifiers.iter().filter(is_product).collect(),
            commodity,
            words: line
                .item
                .description
                .iter()
                .chain(described.map(|note| &note.text))
                .map(String::as_str)
                .collect(),
            measures: Measures::of(&line.measures)?,
        })
    }

    fn is_order(&self) -> bool {
        self.counted.is_some() || self.kept.has("OID") || has_order(self.line)
    }

    fn has_lading(&self) -> bool {
        self.packed.is_some() || !self.products.is_empty() || self.kept.has("LAD")
    }

    /// OID and LAD say weights without a kind; one with a kind stands in an AT8.
    fn weighs_plainly(&self) -> bool {
        self.line.measures.iter().all(|measure| matches!(measure.kind.as_str(), "weight" | "volume"))
    }

    fn order(&self, sheet: &mut Sheet) -> Result<(), Refusal> {
        if !self.is_order() {
            return Ok(());
        }
        let named = OF_ORDER.map(|source| {
            let mut references = self.line.references.iter();
            let found = references.find(|reference| reference.source_kind.as_deref() == Some(source));
            found.map(|reference| reference.value.clone()).unwrap_or_default()
        });
        let (code, count) = match self.counted {
            Some(counted) => (unit(counted, "/lines/ordered")?, value(Some(counted))),
            None => Default::default(),
        };
        let mut values = named.to_vec();
        values.extend([code, count]);
        if self.weighs_plainly() {
            values.extend([self.measures.weight.clone(), self.measures.volume.clone()].concat());
        }
        sheet.row(&self.kept, "OID", "OID", values);
        Ok(())
    }

    fn lading(&self, sheet: &mut Sheet) -> Result<(), Refusal> {
        if !self.has_lading() {
            return Ok(());
        }
        let mut values = vec![String::new(); 13];
        if let Some((count, form)) = self.packed {
            values[0] = form.to_owned();
            values[1] = value(Some(count));
        }
        if self.weighs_plainly() && !self.is_order() {
            let [letter, weight] = self.measures.weight.clone();
            (values[4], values[5]) = (letter, weight);
        }
        let places = [6, 8, 10];
        if self.products.len() > places.len() {
            let message =
                format!("{} product numbers, and LAD has room for {}", self.products.len(), places.len());
            let place = Location::json_pointer("/lines/item/identifiers");
            return Err(Diagnostic::error("too-many-identifiers", message).at(place).into());
        }
        for (place, product) in places.into_iter().zip(&self.products) {
            let code = product_code(&product.scheme, &product.value);
            values[place] = code.unwrap_or_else(|| "ZZ".to_owned());
            values[place + 1].clone_from(&product.value);
        }
        if self.lading_has_words() {
            values[12] = self.words.first().map(|word| clean(word)).unwrap_or_default();
        }
        sheet.row(&self.kept, "LAD", "LAD", values);
        Ok(())
    }

    /// Where an L5 follows for its own reasons, the words stand there.
    fn lading_has_words(&self) -> bool {
        self.has_lading()
            && self.commodity.is_none()
            && !self.kept.has("L5")
            && self.kept.get("LAD/13").is_none()
    }

    /// L5, one for each stretch of words; the first has the commodity code.
    fn words(&self, sheet: &mut Sheet) {
        let said = usize::from(self.lading_has_words() && !self.words.is_empty());
        let words = &self.words[said..];
        let nothing_else = !self.is_order() && !self.has_lading() && self.line.hazards.is_empty();
        if !words.is_empty() || self.commodity.is_some() || self.kept.has("L5") || nothing_else {
            let first = words.first().map(|word| (*word).to_owned());
            let (qualifier, code) = self.commodity.unwrap_or_default();
            sheet.row(&self.kept, "L5", "L5", ["", &text(&first), code, qualifier]);
        }
        for more in words.iter().skip(1) {
            let number = self.kept.get("L5/1").unwrap_or_default();
            sheet.row(&self.kept, "L5", "L5", [number, &clean(more)]);
        }
    }

    /// AT8, for what neither OID nor LAD has said.
    fn weights(&self, sheet: &mut Sheet) {
        let said = self.weighs_plainly() && (self.is_order() || self.has_lading());
        let unsaid = !said && !self.line.measures.is_empty();
        if !unsaid && self.loose.is_none() && !self.kept.has("AT8") {
            return;
        }
        let measures = if unsaid { &self.measures } else { &Measures::default() };
        let [weight_letter, weight] = measures.weight.clone();
        let [volume_letter, volume] = measures.volume.clone();
        let values = [
            measures.kind.clone(),
            weight_letter,
            weight,
            value(self.loose),
            String::new(),
            volume_letter,
            volume,
        ];
        sheet.row(&self.kept, "AT8", "AT8", values);
    }

    /// LH1 with the class and the name of each.
    fn hazards(&self, sheet: &mut Sheet) {
        for hazard in &self.line.hazards {
            let number = hazard.un_number.as_deref().unwrap_or_default();
            let is_un = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
            let code = if is_un { format!("UN{number}") } else { number.to_owned() };
            let mut values = vec![String::new(); 10];
            values[2].clone_from(&code);
            values[9] = hazard.packing_group.clone().unwrap_or_default();
            sheet.row(&self.kept, &format!("LH1*{code}"), "LH1", values);
            if let Some(class) = &hazard.class {
                sheet.row(&self.kept, &format!("LH2*{class}"), "LH2", [class]);
            }
            if let Some(name) = &hazard.name {
                sheet.row(&self.kept, &format!("LH3*{name}"), "LH3", [clean(name)]);
            }
        }
    }
}

/// Whether a line names the order that it belongs to.
fn has_order(line: &Line) -> bool {
    let of_order = |source: &str| OF_ORDER.contains(&source);
    line.references.iter().any(|reference| reference.source_kind.as_deref().is_some_and(of_order))
}

impl Measures {
    fn of(measures: &[Measure]) -> Result<Self, Refusal> {
        let find = |is: fn(&str) -> bool| measures.iter().find(|measure| is(&measure.kind));
        let weight = find(|kind| kind.ends_with("weight") || kind.starts_with("x12-"));
        let volume = find(|kind| kind == "volume").map(common::quantity);
        let kind = weight.and_then(|weight| code_of(WEIGHTS, &weight.kind)).unwrap_or_default();
        let weight = weight.map(common::quantity);
        let at = "/lines/measures";
        Ok(Self {
            kind,
            weight: [weight_letter(weight.as_ref(), at)?, value(weight.as_ref())],
            volume: [volume_letter(volume.as_ref(), at)?, value(volume.as_ref())],
        })
    }
}
