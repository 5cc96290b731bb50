//! Code lists of X12 004010 and what the canonical model calls the same. A code that is not here keeps its own name
//! as `x12-code`, so that it comes out as it went in.
//!
//! Meanings follow the 004010 directory: elements 91, 98, 128, 146, 235, 363, 368, 432, 623.

use crossdock_mapper::canonical::LineStatus;

/// The model's name of a code, `x12-code` for one that is not listed, or `other` for what is no code at all.
pub fn name_of(table: &[(&str, &'static str)], code: &str) -> String {
    let known = table.iter().find(|(listed, _)| *listed == code);
    match known {
        Some((_, name)) => (*name).to_owned(),
        None if is_code(code) => format!("x12-{}", code.to_ascii_lowercase()),
        None => "other".to_owned(),
    }
}

/// The code of a name: the first that is listed, or the one that `x12-` kept.
pub fn code_of(table: &[(&'static str, &str)], name: &str) -> Option<String> {
    let known = table.iter().find(|(_, listed)| *listed == name).map(|(code, _)| (*code).to_owned());
    known.or_else(|| name.strip_prefix("x12-").map(str::to_ascii_uppercase).filter(|code| is_code(code)))
}

/// Codes of X12 have capital letters and digits, and three of them at most where they are used here.
fn is_code(code: &str) -> bool {
    (1..=3).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Element 98, entity identifier (N101).
pub const ROLES: &[(&str, &str)] = &[
    ("ST", "ship-to"),
    ("SF", "ship-from"),
    ("DE", "depositor"),
    ("WH", "warehouse"),
    ("CN", "consignee"),
    ("BT", "bill-to"),
    ("BY", "buyer"),
    ("SE", "seller"),
    ("SH", "shipper"),
    ("CA", "carrier"),
    ("PF", "freight-payer"),
    ("VN", "vendor"),
    ("SU", "supplier"),
    ("MA", "mark-for"),
    ("OB", "ordered-by"),
];

/// Element 66, identification code qualifier (N103). A value under 9 is a DUNS number with four more digits even when
/// it happens to have the 13 of a GLN.
pub const PARTY_SCHEMES: &[(&str, &str)] = &[
    ("1", "duns"),
    ("9", "duns4"),
    ("UL", "gln"),
    ("91", "seller"),
    ("92", "buyer"),
    ("2", "scac"),
    ("ZZ", "mutual"),
];

/// Element 128, reference identification qualifier (N901).
pub const REFERENCES: &[(&str, &str)] = &[
    ("BM", "bol"),
    ("MB", "master-bol"),
    ("CN", "pro"),
    ("2I", "tracking"),
    ("PO", "po"),
    ("CO", "so"),
    ("IV", "invoice"),
    ("DO", "delivery"),
    ("LO", "load"),
    ("CR", "customer-reference"),
    ("PK", "packing-list"),
    ("ON", "dealer-order"),
    ("VN", "vendor-order"),
    ("LI", "order-line"),
    ("PC", "production-code"),
];

/// Element 432, date qualifier (G6201).
pub const DATES: &[(&str, &str)] = &[
    ("10", "requested-ship"),
    ("02", "requested-delivery"),
    ("68", "requested-delivery"),
    ("04", "po"),
    ("37", "ship-not-before"),
    ("38", "ship-not-after"),
    ("53", "deliver-not-before"),
    ("54", "deliver-not-after"),
    ("01", "cancel-after"),
    ("17", "estimated-delivery"),
    ("70", "scheduled-delivery"),
];

/// Element 91, transportation method (W2701, W6602).
pub const MODES: &[(&str, &str)] = &[
    ("M", "road"),
    ("LT", "road"),
    ("A", "air"),
    ("R", "rail"),
    ("S", "sea"),
    ("U", "parcel"),
    ("X", "intermodal"),
    ("H", "customer-pick-up"),
];

/// Element 146, shipment method of payment (W2704, W6601).
pub const PAYMENTS: &[(&str, &str)] = &[("PP", "prepaid"), ("CC", "collect"), ("TP", "third-party")];

/// Element 40, equipment description (W2705).
pub const EQUIPMENT: &[(&str, &str)] =
    &[("TL", "trailer"), ("CN", "container"), ("RR", "railcar"), ("TK", "truck")];

/// Element 363, note reference (NTE01).
pub const NOTES: &[(&str, &str)] =
    &[("WHI", "warehouse"), ("DEL", "delivery"), ("GEN", "general"), ("ORI", "order"), ("LAB", "label")];

/// Element 187, weight qualifier (W1211).
pub const WEIGHTS: &[(&str, &str)] = &[("G", "gross-weight"), ("N", "net-weight"), ("A3", "shipped-weight")];

/// Element 88, marks and numbers qualifier (MAN01).
pub const MARKS: &[(&str, &str)] = &[("GM", "sscc"), ("CP", "tracking")];

/// Element 235, product qualifier. GTINs of every length have qualifiers of their own, see [`product_code`].
pub const PRODUCTS: &[(&str, &str)] = &[
    ("VN", "seller"),
    ("VP", "seller"),
    ("BP", "buyer"),
    ("IN", "buyer"),
    ("SK", "sku"),
    ("MG", "manufacturer"),
    ("UA", "upc-case"),
    ("UP", "gtin"),
    ("UK", "gtin"),
    ("EN", "gtin"),
    ("EO", "gtin"),
    ("UI", "gtin"),
];

/// The qualifier of an item's number: for GTINs it follows from their length.
pub fn product_code(scheme: &str, value: &str) -> Option<String> {
    match (scheme, value.len()) {
        ("gtin", 8) => Some("EO".to_owned()),
        ("gtin", 13) => Some("EN".to_owned()),
        ("gtin", 14) => Some("UK".to_owned()),
        _ => code_of(PRODUCTS, scheme),
    }
}

/// Element 368, shipment or order status (W1201).
pub fn line_status(code: &str) -> Option<LineStatus> {
    Some(match code {
        "CC" | "CL" => LineStatus::Complete,
        "CP" | "PR" | "DS" => LineStatus::Short,
        "BP" | "BO" | "BM" => LineStatus::Backordered,
        "IS" | "CS" => LineStatus::Substituted,
        "CM" | "CE" => LineStatus::Over,
        "CU" | "IC" | "DE" => LineStatus::Cancelled,
        _ => return None,
    })
}

/// The code of element 368 that says how a line stands.
pub fn line_status_code(status: LineStatus) -> &'static str {
    match status {
        LineStatus::Complete => "CC",
        LineStatus::Short => "CP",
        LineStatus::Backordered => "BP",
        LineStatus::Substituted => "IS",
        LineStatus::Over => "CM",
        LineStatus::Cancelled => "CU",
    }
}

/// What a time code (element 623) says about the zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    /// An offset from UTC, stated.
    Offset(&'static str),
    /// A zone whose offset depends on the date.
    Named(&'static str),
    /// Local time, or nothing at all.
    Local,
}

/// Element 623: the standard's fixed offsets, the North American zones by name, `LT` for local.
pub fn zone(code: &str) -> Option<Zone> {
    const OFFSETS: [&str; 24] = [
        "+01:00", "+02:00", "+03:00", "+04:00", "+05:00", "+06:00", "+07:00", "+08:00", "+09:00", "+10:00",
        "+11:00", "+12:00", "-12:00", "-11:00", "-10:00", "-09:00", "-08:00", "-07:00", "-06:00", "-05:00",
        "-04:00", "-03:00", "-02:00", "-01:00",
    ];
    Some(match code {
        "" | "LT" => Zone::Local,
        "UT" | "GM" => Zone::Offset("+00:00"),
        "AD" => Zone::Offset("-03:00"),
        "AS" | "ED" => Zone::Offset("-04:00"),
        "CD" | "ES" => Zone::Offset("-05:00"),
        "CS" | "MD" => Zone::Offset("-06:00"),
        "MS" | "PD" => Zone::Offset("-07:00"),
        "PS" => Zone::Offset("-08:00"),
        "AT" => Zone::Named("America/Halifax"),
        "CT" => Zone::Named("America/Chicago"),
        "ET" => Zone::Named("America/New_York"),
        "MT" => Zone::Named("America/Denver"),
        "PT" => Zone::Named("America/Los_Angeles"),
        code => {
            let hours = code.parse::<usize>().ok().filter(|_| code.len() == 2)?;
            Zone::Offset(OFFSETS.get(hours.checked_sub(1)?)?)
        }
    })
}

/// The code of element 623 for an RFC 3339 offset.
pub fn offset_code(offset: &str) -> Option<String> {
    if offset == "+00:00" || offset == "Z" {
        return Some("UT".to_owned());
    }
    (1..=24).map(|hours| format!("{hours:02}")).find(|code| zone(code) == zone_of(offset))
}

fn zone_of(offset: &str) -> Option<Zone> {
    (1..=24)
        .filter_map(|hours| zone(&format!("{hours:02}")))
        .find(|zone| matches!(zone, Zone::Offset(known) if *known == offset))
}
