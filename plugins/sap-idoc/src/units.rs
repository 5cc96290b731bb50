//! Units as SAP writes them in IDocs: ISO codes, which are those of UN/ECE Recommendation 20 but for the piece.

/// Codes that mean the same in Recommendation 20.
const SAME: [&str; 25] = [
    "BG", "BX", "C62", "CMK", "CMT", "CS", "CT", "DZN", "EA", "FTQ", "GLL", "GRM", "INH", "KGM", "LBR",
    "LTR", "MLT", "MMT", "MTK", "MTQ", "MTR", "ONZ", "PF", "PK", "TNE",
];

/// The unit by Recommendation 20, where it is known. `PCE` is SAP's ISO code of a piece. Internal codes (`ST`, `KAR`)
/// belong to one system and language, and stay unknown.
pub fn canonical(code: &str) -> Option<&'static str> {
    match code {
        "PCE" => Some("H87"),
        _ => SAME.iter().find(|known| **known == code).copied(),
    }
}

/// The unit as SAP reads it: its own spelling where it came from SAP, else the code, else what the source wrote.
pub fn sap<'a>(unit: Option<&'a str>, source: Option<&'a str>) -> &'a str {
    match (unit, source) {
        (Some(unit), Some(source)) if canonical(source) == Some(unit) => source,
        (Some("H87"), _) => "PCE",
        (Some(unit), _) => unit,
        (None, source) => source.unwrap_or_default(),
    }
}
