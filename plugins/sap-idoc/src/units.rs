//! Units as SAP writes them in IDocs: ISO codes, which are UN/ECE Recommendation 20 but for a few old ones.

/// Codes that stand for themselves in Recommendation 20.
const SAME: [&str; 22] = [
    "BG", "BX", "C62", "CMK", "CMT", "CS", "CT", "DZN", "EA", "FTQ", "GRM", "H87", "KGM", "LBR", "LTR", "MTK",
    "MTQ", "MTR", "ONZ", "PF", "PK", "TNE",
];

/// The unit by Recommendation 20, where it is known. `PCE` is EDIFACT's old piece.
pub fn canonical(code: &str) -> Option<&'static str> {
    match code {
        "PCE" => Some("H87"),
        "CR" => Some("CS"),
        _ => SAME.iter().find(|known| **known == code).copied(),
    }
}

/// The unit as SAP reads it.
pub fn sap(code: &str) -> &str {
    match code {
        "H87" | "C62" => "PCE",
        other => other,
    }
}
