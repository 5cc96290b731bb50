//! Of the delivery's header: who has a part in it, and its references.

use std::collections::BTreeSet;

use crossdock_mapper::canonical::{Address, Carrier, Contact, Identifier, Party, Reference};

use super::{Reading, slug};
use crate::{encoding::excerpt, xml::Node};

/// Segments whose fields the model has places for: their name, the field by which one is found again, and those fields.
pub const KNOWN: [(&str, &str, &[&str]); 2] = [
    (
        "E1ADRM1",
        "PARTNER_Q",
        &[
            "PARTNER_Q",
            "PARTNER_ID",
            "NAME1",
            "NAME2",
            "NAME3",
            "NAME4",
            "STREET1",
            "STREET2",
            "STREET3",
            "CITY1",
            "REGION",
            "POSTL_COD1",
            "COUNTRY1",
            "TELEPHONE1",
            "E_MAIL",
        ],
    ),
    ("E1EDT13", "QUALF", &["QUALF", "NTANF", "NTANZ", "NTEND", "NTENZ", "ISDD", "ISDZ", "IEDD", "IEDZ"]),
];

/// Partner functions (PARTNER_Q) and what the model calls them.
const ROLES: [(&str, &str); 7] = [
    ("AG", "buyer"),
    ("WE", "ship-to"),
    ("RE", "bill-to"),
    ("RG", "payer"),
    ("SP", "carrier"),
    ("LF", "seller"),
    ("OSP", "ship-from"),
];

/// A partner function that has no name in the model keeps its own.
fn role(function: &str) -> String {
    let known = ROLES.iter().find(|(code, _)| *code == function);
    known.map_or_else(|| format!("sap-{}", slug(function)), |(_, role)| (*role).to_owned())
}

/// The partner function of a role.
pub fn function(role: &str) -> Option<String> {
    let known = ROLES.iter().find(|(_, known)| *known == role).map(|(code, _)| (*code).to_owned());
    known.or_else(|| match role {
        "depositor" => Some("LF".to_owned()),
        "warehouse" => Some("OSP".to_owned()),
        "consignee" => Some("WE".to_owned()),
        other => other.strip_prefix("sap-").map(str::to_ascii_uppercase),
    })
}

impl Reading<'_> {
    pub(super) fn parties(&mut self, delivery: Node<'_>) -> Vec<Party> {
        delivery.all("E1ADRM1").map(|found| self.party(found)).collect()
    }

    fn party(&mut self, found: Node<'_>) -> Party {
        let is_code =
            |code: &String| matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let mut lines: Vec<_> =
            ["STREET1", "STREET2", "STREET3"].iter().filter_map(|field| found.some(field)).collect();
        // What is no code has no place in the model but a line of the address.
        let coded = match found.some("COUNTRY1") {
            Some(name) if !is_code(&name) => {
                let what = format!("`{}` is no country code", excerpt(&name, 30));
                self.remark("not-a-country", &what, found.place_of("COUNTRY1"));
                lines.push(name);
                None
            }
            code => code,
        };
        let address = Address {
            lines,
            city: found.some("CITY1"),
            region: found.some("REGION"),
            postal_code: found.some("POSTL_COD1"),
            country: coded,
        };
        let contact =
            Contact { phone: found.some("TELEPHONE1"), email: found.some("E_MAIL"), ..Contact::default() };
        let names: Vec<_> =
            ["NAME1", "NAME2", "NAME3", "NAME4"].iter().filter_map(|field| found.some(field)).collect();
        let name = names.join(", ");
        if name.chars().count() > 512 {
            self.say("too-long", "the names together have at most 512 letters", found.place_of("NAME1"));
        }
        Party {
            source_role: found.some("PARTNER_Q"),
            name: (!name.is_empty()).then_some(name),
            identifiers: identifier(found).into_iter().collect(),
            address: (address != Address::default()).then_some(address),
            contacts: if contact == Contact::default() { Vec::new() } else { vec![contact] },
            ..Party::new(&role(found.get("PARTNER_Q")))
        }
    }
}

/// A carrier's number is its SCAC where it has the form of one; everybody else has the number that SAP gave them.
fn identifier(found: Node<'_>) -> Option<Identifier> {
    let id = found.some("PARTNER_ID")?;
    let is_scac = (2..=4).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_uppercase());
    let carrier = found.get("PARTNER_Q") == "SP";
    Some(if carrier && is_scac { Identifier::scac(id) } else { Identifier::new("sap-partner", id) })
}

/// The forwarding agent.
pub fn carrier(delivery: Node<'_>) -> Option<Carrier> {
    let found = delivery.all("E1ADRM1").find(|found| found.get("PARTNER_Q") == "SP")?;
    let carrier = Carrier {
        name: found.some("NAME1"),
        identifiers: identifier(found).into_iter().collect(),
        ..Carrier::default()
    };
    (carrier != Carrier::default()).then_some(carrier)
}

/// The delivery's own number, those of its header, and each order that its items come from.
pub fn references(delivery: Node<'_>, number: &str) -> Vec<Reference> {
    let mut references = vec![Reference::new("delivery", number).source("VBELN")];
    let header = [("bol", "BOLNR"), ("external", "LIFEX")];
    references.extend(
        header
            .iter()
            .filter_map(|(kind, field)| Some(Reference::new(kind, delivery.some(field)?).source(field))),
    );
    let mut known = BTreeSet::new();
    for item in delivery.all("E1EDL24") {
        let orders =
            of_item(item).into_iter().filter(|reference| matches!(reference.kind.as_str(), "so" | "po"));
        for reference in orders {
            if known.insert((reference.kind.clone(), reference.value.clone())) {
                references.push(reference);
            }
        }
    }
    references
}

/// The orders of an item and its lines in them.
pub fn of_item(item: Node<'_>) -> Vec<Reference> {
    let mut references = Vec::new();
    let mut put = |kind: &str, value: Option<String>, source: &str| {
        references.extend(value.map(|value| Reference::new(kind, value).source(source)));
    };
    // V is a purchase order: of a stock transfer, the delivery comes from one.
    let of_purchase = |order: Node<'_>| order.get("QUALF") == "V" && order.get("BELNR") == item.get("VGBEL");
    let [order, line] =
        if item.all("E1EDL43").any(of_purchase) { ["po", "po-line"] } else { ["so", "so-line"] };
    put(order, item.some("VGBEL"), "VGBEL");
    put(line, item.set("VGPOS"), "VGPOS");
    for order in item.all("E1EDL41").filter(|order| order.get("QUALI") == "001") {
        put("po", order.some("BSTNR"), "E1EDL41/BSTNR");
        put("po-line", order.set("POSEX"), "E1EDL41/POSEX");
    }
    // Where the item does not name its order itself, the reference segment may: C is a sales order.
    if item.get("VGBEL").is_empty() {
        for order in item.all("E1EDL43").filter(|order| order.get("QUALF") == "C") {
            put("so", order.some("BELNR"), "E1EDL43/BELNR");
            put("so-line", order.set("POSNR"), "E1EDL43/POSNR");
        }
    }
    references
}
