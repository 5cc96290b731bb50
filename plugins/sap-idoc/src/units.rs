//! Units as SAP writes them in IDocs: ISO codes, which are those of UN/ECE Recommendation 20 but for the piece.

use std::borrow::Cow;

use crossdock_mapper::tables;

/// Codes that mean the same in Recommendation 20.
const SAME: [&str; 43] = [
    "BG", "BX", "C62", "CLT", "CMK", "CMQ", "CMT", "CS", "CT", "DMQ", "DMT", "DZN", "EA", "FOT", "FTK",
    "FTQ", "GLL", "GRM", "HLT", "INH", "INK", "INQ", "KGM", "KMT", "LBR", "LTR", "MGM", "MLT", "MMQ", "MMT",
    "MTK", "MTQ", "MTR", "NAR", "ONZ", "PF", "PK", "PR", "RO", "SET", "STN", "TNE", "YRD",
];

/// The unit by Recommendation 20, where it is known. `PCE` is SAP's ISO code of a piece. Internal codes (`ST`, `KAR`)
/// belong to one system and language: the table `units` (key `sap` and the code, column `rec20`) may know them, else
/// they stay unknown.
pub fn canonical(code: &str) -> Option<Cow<'static, str>> {
    match code {
        "" => None,
        "PCE" => Some("H87".into()),
        _ => match SAME.iter().find(|known| **known == code) {
            Some(known) => Some(Cow::Borrowed(known)),
            None => tables::column("units", &["sap", code], "rec20").map(Cow::Owned),
        },
    }
}

/// The unit as SAP reads it: its own spelling where it came from SAP, else the code, else what the source wrote.
pub fn sap<'a>(unit: Option<&'a str>, source: Option<&'a str>) -> &'a str {
    match (unit, source) {
        (Some(unit), Some(source)) if canonical(source).as_deref() == Some(unit) => source,
        (Some("H87"), _) => "PCE",
        (Some(unit), _) => unit,
        (None, source) => source.unwrap_or_default(),
    }
}
