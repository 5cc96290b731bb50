//! Code lists of X12 004010 and what the canonical model calls the same. A code that is not here keeps its own name
//! as `x12-code`, so that it comes out as it went in.
//!
//! Meanings follow the 004010 directory: elements 66, 91, 98, 128, 146, 187, 235, 363, 623.

fn listed<'t>(table: &[(&str, &'t str)], code: &str) -> Option<&'t str> {
    table.iter().find(|(listed, _)| *listed == code).map(|(_, name)| *name)
}

/// The model's name of a code, `x12-code` for one that is not listed, or `other` for what is no code at all.
pub fn name_of(table: &[(&str, &'static str)], code: &str) -> String {
    match listed(table, code) {
        Some(name) => name.to_owned(),
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
    ("PR", "payer"),
    ("RI", "remit-to"),
    ("BK", "broker"),
    ("NP", "notify"),
    ("N1", "notify"),
    ("FW", "forwarder"),
    ("PU", "pick-up"),
    ("DT", "destination-terminal"),
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
    ("25", "carrier-customer"),
    ("93", "originator"),
    ("94", "destination"),
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

/// Element 91, transportation method (W2701, W6602). What is here has a name in the model; customer pick-up, best way
/// and the like say nothing of the means, see [`mode`].
const MODES: &[(&str, &str)] = &[
    ("M", "road"),
    ("LT", "road"),
    ("J", "road"),
    ("E", "road"),
    ("I", "road"),
    ("L", "road"),
    ("P", "road"),
    ("FL", "road"),
    ("HH", "road"),
    ("MB", "road"),
    ("PT", "road"),
    ("SC", "road"),
    ("SR", "road"),
    ("TC", "road"),
    ("TT", "road"),
    ("VA", "road"),
    ("A", "air"),
    ("AC", "air"),
    ("AE", "air"),
    ("AF", "air"),
    ("AH", "air"),
    ("FA", "air"),
    ("PA", "air"),
    ("R", "rail"),
    ("PR", "rail"),
    ("RC", "rail"),
    ("ST", "rail"),
    ("S", "sea"),
    ("N", "sea"),
    ("O", "sea"),
    ("Q", "sea"),
    ("SS", "sea"),
    ("VE", "sea"),
    ("Y1", "sea"),
    ("Y2", "sea"),
    ("B", "inland-water"),
    ("VL", "inland-water"),
    ("W", "inland-water"),
    ("U", "parcel"),
    ("7", "parcel"),
    ("D", "parcel"),
    ("MP", "parcel"),
    ("X", "intermodal"),
    ("PG", "intermodal"),
    ("RR", "intermodal"),
    ("SE", "intermodal"),
    ("PL", "pipeline"),
];

/// The model's name of a transportation method; the code stands beside it as the source's own.
pub fn mode(code: &str) -> &'static str {
    listed(MODES, code).unwrap_or("other")
}

/// The code of a transportation method: the source's own where it means that, else the first that does.
pub fn mode_code(name: &str, own: Option<&str>) -> String {
    let own = own.filter(|code| is_code(code) && code.len() <= 2 && mode(code) == name);
    own.map(str::to_owned).or_else(|| code_of(MODES, name)).unwrap_or_default()
}

/// Element 146, shipment method of payment (W2704, W6601). The model knows who pays the carrier; what else the code
/// says is kept with it, see [`payment`].
const PAYMENTS: &[(&str, &str)] = &[
    ("PP", "prepaid"),
    ("CC", "collect"),
    ("TP", "third-party"),
    ("PA", "prepaid"),
    ("PC", "prepaid"),
    ("PE", "prepaid"),
    ("PO", "prepaid"),
    ("PS", "prepaid"),
    ("BP", "collect"),
    ("CA", "collect"),
    ("CF", "collect"),
];

/// The model's name of a method of payment.
pub fn payment(code: &str) -> &'static str {
    listed(PAYMENTS, code).unwrap_or("other")
}

/// The first code of a method of payment.
pub fn payment_code(name: &str) -> Option<String> {
    code_of(PAYMENTS, name)
}

/// Element 40, equipment description (W2705).
pub const EQUIPMENT: &[(&str, &str)] =
    &[("TL", "trailer"), ("CN", "container"), ("RR", "railcar"), ("TK", "truck")];

/// Element 363, note reference (NTE01).
pub const NOTES: &[(&str, &str)] = &[
    ("WHI", "warehouse"),
    ("DEL", "delivery"),
    ("GEN", "general"),
    ("ORI", "order"),
    ("LAB", "label"),
    ("LOI", "loading"),
    ("SPH", "special-handling"),
];

/// Element 187, weight qualifier (W1211).
pub const WEIGHTS: &[(&str, &str)] = &[("G", "gross-weight"), ("N", "net-weight"), ("A3", "shipped-weight")];

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

/// Element 623 apart from its numbers: what daylight and standard time fix, and zones whose offset follows the date.
const ZONES: &[(&str, Zone)] = &[
    ("", Zone::Local),
    ("LT", Zone::Local),
    ("UT", Zone::Offset("+00:00")),
    ("GM", Zone::Offset("+00:00")),
    ("ND", Zone::Offset("-02:30")),
    ("NS", Zone::Offset("-03:30")),
    ("TD", Zone::Offset("-03:00")),
    ("TS", Zone::Offset("-04:00")),
    ("ED", Zone::Offset("-04:00")),
    ("ES", Zone::Offset("-05:00")),
    ("CD", Zone::Offset("-05:00")),
    ("CS", Zone::Offset("-06:00")),
    ("MD", Zone::Offset("-06:00")),
    ("MS", Zone::Offset("-07:00")),
    ("PD", Zone::Offset("-07:00")),
    ("PS", Zone::Offset("-08:00")),
    ("AD", Zone::Offset("-08:00")),
    ("AS", Zone::Offset("-09:00")),
    ("HD", Zone::Offset("-09:00")),
    ("HS", Zone::Offset("-10:00")),
    ("NT", Zone::Named("America/St_Johns")),
    ("TT", Zone::Named("America/Halifax")),
    ("ET", Zone::Named("America/New_York")),
    ("CT", Zone::Named("America/Chicago")),
    ("MT", Zone::Named("America/Denver")),
    ("PT", Zone::Named("America/Los_Angeles")),
    ("AT", Zone::Named("America/Anchorage")),
    ("HT", Zone::Named("America/Adak")),
];

/// Element 623 from `01` on: hours before and behind UTC, and since 005010 the half hours.
const OFFSETS: &[&str] = &[
    "+01:00", "+02:00", "+03:00", "+04:00", "+05:00", "+06:00", "+07:00", "+08:00", "+09:00", "+10:00",
    "+11:00", "+12:00", "-12:00", "-11:00", "-10:00", "-09:00", "-08:00", "-07:00", "-06:00", "-05:00",
    "-04:00", "-03:00", "-02:00", "-01:00", "-02:30", "-03:30", "+05:30", "+09:30", "+10:30",
];

/// What a time code says; none for what is no time code.
pub fn zone(code: &str) -> Option<Zone> {
    if let Some((_, zone)) = ZONES.iter().find(|(listed, _)| *listed == code) {
        return Some(*zone);
    }
    let number = code.parse::<usize>().ok().filter(|_| code.len() == 2)?;
    OFFSETS.get(number.checked_sub(1)?).map(|offset| Zone::Offset(offset))
}

/// The code of element 623 for an RFC 3339 offset.
pub fn offset_code(offset: &str) -> Option<String> {
    if offset == "+00:00" || offset == "Z" {
        return Some("UT".to_owned());
    }
    OFFSETS.iter().position(|listed| *listed == offset).map(|at| format!("{:02}", at + 1))
}

/// The code of element 623 for a zone whose offset follows the date.
pub fn zone_code(name: &str) -> Option<&'static str> {
    ZONES
        .iter()
        .find(|(_, zone)| matches!(zone, Zone::Named(listed) if *listed == name))
        .map(|(code, _)| *code)
}
