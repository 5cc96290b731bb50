//! INVOIC becomes `freight.invoiced` where a carrier or forwarder bills transport, else `billing.invoiced` or
//! `billing.credited`.

use crossdock_mapper::Event;
use crossdock_mapper::canonical::{
    Amount, BillingCredited, BillingInvoiced, Charge, Code, FreightInvoiced, Invoice, InvoiceLine, Money,
    Reference, Tax,
};

use crate::heading::{self, Heading, Identity, in_lanes, when};
use crate::line;
use crate::parts;
use crate::source::Source;
use crate::tables;
use crate::tree::Node;

/// References that only transport has.
const OF_TRANSPORT: &[&str] = &[
    "shipment",
    "waybill",
    "transport-document",
    "bol",
    "master-bol",
    "awb",
    "house-waybill",
    "carrier-reference",
    "booking",
    "freight-bill",
    "consignor-reference",
];

/// An invoice or credit note.
pub fn invoiced<'d>(source: &Source<'d>, root: &Node<'d>) -> Event {
    let Heading { bgm, id, mut dates, references, parties, notes, .. } = heading::read(source, root);
    let number = id.number.clone();
    let document = bgm.and_then(|bgm| source.some(bgm, 1, 1));
    let kind = document.as_deref().and_then(|code| tables::listed(tables::DOCUMENTS, code));
    let what = document.as_deref().and_then(|code| tables::column(tables::DOCUMENTS, code, 2));
    let currency = parts::currency(source, root);
    let currency = currency.as_deref();
    let lines: Vec<_> =
        root.all("LIN").enumerate().map(|(at, lin)| invoice_line(source, lin, at + 1, currency)).collect();
    let (carrier, _, mut equipment) = parts::carriers(source, root);
    equipment.extend(parts::equipment(source, root));
    let mut places = parts::places(source, root);
    for tdt in root.all("TDT") {
        places.extend(tdt.all("LOC").filter_map(|loc| parts::place(source, loc.segment)));
    }
    let charges: Vec<_> = root.all("ALC").map(|alc| charge(source, alc, currency)).collect();
    let taxes: Vec<_> = root.all("TAX").map(|tax| self::tax(source, tax, currency)).collect();
    let amounts: Vec<_> = root.all("MOA").filter_map(|moa| amount(source, moa, currency)).collect();
    check_sum(source, root, &lines, &amounts);
    let invoice = Invoice {
        invoice: number,
        kind: kind.map(str::to_owned),
        source_kind: document,
        references,
        invoiced: dates.take_first(&["invoice", "document"]),
        dates: {
            let mut all = dates.rest();
            root.all("PAT").for_each(|pat| all.extend(crate::times::all(source, pat)));
            all
        },
        currency: currency.map(str::to_owned),
        parties,
        carrier,
        places,
        equipment,
        measures: root.all("PAC").flat_map(|pac| parts::measures(source, pac)).collect(),
        terms: root.first("PAT").and_then(|pat| {
            let code = source.some(pat.segment, 1, 1)?;
            Some(Code { list: Some("edifact-4279".to_owned()), code, text: source.some(pat.segment, 2, 4) })
        }),
        incoterms: parts::incoterms(source, root),
        lines,
        charges,
        taxes,
        amounts,
        totals: parts::totals(source, root),
        correction: id.correction("invoice"),
        notes,
        extensions: source.left(),
    };
    event(&id, invoice, what)
}

/// Which event it is: by the document's name, else by whether it bills transport.
fn event(id: &Identity, invoice: Invoice, what: Option<&str>) -> Event {
    let (number, at) = (invoice.invoice.clone(), invoice.invoiced.clone());
    let of_lines = invoice.lines.iter().flat_map(|line| &line.line.references);
    let references: Vec<Reference> = invoice.references.iter().chain(of_lines).cloned().collect();
    let event = match what {
        Some("freight") => Event::new(&FreightInvoiced(invoice)),
        Some("credited") => Event::new(&BillingCredited(invoice)),
        _ if is_of_transport(&invoice) => Event::new(&FreightInvoiced(invoice)),
        _ => Event::new(&BillingInvoiced(invoice)),
    };
    let event = id.corrected(event, "invoice", &number);
    when(in_lanes(event, references.iter(), ("invoice", &number)), at.as_ref())
}

/// Transport is billed where no line sells a trade item, and the invoice names a carrier or a consignment.
fn is_of_transport(invoice: &Invoice) -> bool {
    let sells = |line: &InvoiceLine| {
        line.line.item.identifiers.iter().any(|one| one.scheme == "gtin" || one.scheme == "isbn")
    };
    let of_lines = invoice.lines.iter().flat_map(|line| &line.line.references);
    let consigned =
        invoice.references.iter().chain(of_lines).any(|one| OF_TRANSPORT.contains(&one.kind.as_str()));
    let carried = invoice.parties.iter().any(|party| matches!(party.role.as_str(), "carrier" | "forwarder"));
    !invoice.lines.iter().any(sells) && (consigned || carried) && !invoice.lines.is_empty()
}

fn invoice_line<'d>(
    source: &Source<'d>,
    node: &Node<'d>,
    position: usize,
    currency: Option<&str>,
) -> InvoiceLine {
    let line = line::read(source, node, position, currency);
    let invoiced = node.qualified("QTY", "47").and_then(|qty| line::quantity(source, qty.segment));
    let mut amounts = Vec::new();
    let mut amount_of_line = None;
    for moa in node.all("MOA") {
        let Some(read) = amount(source, moa, currency) else { continue };
        match read.kind.as_str() {
            "line" if amount_of_line.is_none() => amount_of_line = Some(read.money),
            _ => amounts.push(read),
        }
    }
    InvoiceLine {
        line,
        invoiced,
        amount: amount_of_line,
        amounts,
        charges: node.all("ALC").map(|alc| charge(source, alc, currency)).collect(),
        taxes: node.all("TAX").map(|tax| self::tax(source, tax, currency)).collect(),
    }
}

/// `MOA`: an amount by its qualifier (5025).
fn amount<'d>(source: &Source<'d>, node: &Node<'d>, currency: Option<&str>) -> Option<Amount> {
    let moa = node.segment;
    let own = node.first("CUX").and_then(|_| parts::currency(source, node));
    let money = parts::money(source, moa, own.as_deref().or(currency))?;
    let qualifier = moa.value(1, 1).into_owned();
    Some(Amount {
        kind: tables::name_of(tables::AMOUNTS, &qualifier),
        source_kind: Some(qualifier).filter(|code| !code.is_empty()),
        money,
    })
}

/// `ALC` and what stands below it: an allowance (A) or a charge (C).
fn charge<'d>(source: &Source<'d>, node: &Node<'d>, currency: Option<&str>) -> Charge {
    let alc = node.segment;
    let allowance = source.take(alc, 1, 1) == "A";
    let (code, text) = (source.some(alc, 5, 1), source.some(alc, 5, 4));
    let kind = code.as_deref().and_then(|code| tables::listed(tables::CHARGES, code));
    let label = code.or_else(|| text.clone());
    // The amount of the charge itself; what it is worked out from is another.
    let moa = ["8", "23", "204"].into_iter().find_map(|qualifier| node.qualified("MOA", qualifier));
    let moa = moa.or_else(|| node.all("MOA").find(|moa| moa.segment.value(1, 1) != "25"));
    let rate = node.first("RTE");
    Charge {
        kind: kind.map(str::to_owned),
        code: label.map(|code| Code { list: Some("edifact-7161".to_owned()), code, text }),
        allowance,
        amount: moa.and_then(|moa| parts::money(source, moa.segment, currency)),
        basis: node.first("QTY").and_then(|qty| line::quantity(source, qty.segment)),
        rate: rate.and_then(|rte| {
            let amount = source.number(rte.segment, 1, 2, "the rate")?;
            source.take(rte.segment, 1, 1);
            Some(Money { amount, currency: currency.map(str::to_owned) })
        }),
        percent: node.first("PCD").and_then(|pcd| {
            source.take(pcd.segment, 1, 1);
            source.number(pcd.segment, 1, 2, "the percentage")
        }),
        payment: None,
        taxes: node.all("TAX").map(|tax| self::tax(source, tax, currency)).collect(),
        references: parts::references(source, node),
    }
}

/// `TAX` and the `MOA`s below it: what it is raised on (125) and how much it is (124).
fn tax<'d>(source: &Source<'d>, node: &Node<'d>, currency: Option<&str>) -> Tax {
    let tax = node.segment;
    source.take(tax, 1, 1);
    let kind = source.some(tax, 2, 1);
    let money = |qualifiers: &[&str]| {
        let moa = qualifiers.iter().find_map(|qualifier| node.qualified("MOA", qualifier))?;
        parts::money(source, moa.segment, currency)
    };
    Tax {
        kind: kind.as_deref().map(|code| tables::name_of(tables::TAXES, code)),
        source_kind: kind,
        category: source.some(tax, 6, 1),
        percent: source.number(tax, 5, 4, "the percentage"),
        base: money(&["125"]),
        amount: money(&["124", "150", "161"]),
    }
}

/// Whether the lines add up to what the invoice says that they do (`MOA+79`); if not, somebody should look.
fn check_sum<'d>(source: &Source<'d>, root: &Node<'d>, lines: &[InvoiceLine], amounts: &[Amount]) {
    let Some(stated) = amounts.iter().find(|amount| amount.kind == "lines") else { return };
    let of_lines: Option<Vec<_>> =
        lines.iter().map(|line| line.amount.as_ref().map(|money| &money.amount)).collect();
    let Some(sum) = of_lines.and_then(crossdock_mapper::canonical::Decimal::sum) else { return };
    if sum.compare(&stated.money.amount) == std::cmp::Ordering::Equal || lines.is_empty() {
        return;
    }
    if let Some(moa) = root.all("MOA").find(|moa| moa.segment.value(1, 1) == "79") {
        let message =
            format!("the lines add up to {}, not to {}", sum.as_str(), stated.money.amount.as_str());
        source.warning(moa.segment, 1, 2, "sum", "12", message);
    }
}
