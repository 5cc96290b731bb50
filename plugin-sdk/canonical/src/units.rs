//! Unit codes of the sources and their codes by UN/ECE Recommendation 20.

/// X12 element 355 (unit or basis for measurement) and its code by Recommendation 20. Only codes whose meaning is the same
/// on both sides are here; what is missing stays with the source's own code.
const X12: [(&str, &str); 29] = [
    ("BG", "BG"),
    ("BX", "BX"),
    ("CA", "CS"),
    ("CF", "FTQ"),
    ("CI", "INQ"),
    ("CM", "CMT"),
    ("CR", "MTQ"),
    ("CT", "CT"),
    ("DZ", "DZN"),
    ("EA", "EA"),
    ("FT", "FOT"),
    ("GA", "GLL"),
    ("GR", "GRM"),
    ("IN", "INH"),
    ("KG", "KGM"),
    ("LB", "LBR"),
    ("LT", "LTR"),
    ("ML", "MLT"),
    ("MM", "MMT"),
    ("MR", "MTR"),
    ("OZ", "ONZ"),
    ("PC", "H87"),
    ("PK", "PK"),
    ("PL", "PF"),
    ("PR", "PR"),
    ("ST", "ST"),
    ("TN", "STN"),
    ("UN", "C62"),
    ("YD", "YRD"),
];

/// The code by Recommendation 20 of an X12 unit (element 355).
pub fn from_x12(code: &str) -> Option<&'static str> {
    X12.iter().find(|(source, _)| *source == code).map(|(_, unit)| *unit)
}

/// The X12 unit (element 355) of a code by Recommendation 20.
pub fn to_x12(unit: &str) -> Option<&'static str> {
    X12.iter().find(|(_, code)| *code == unit).map(|(source, _)| *source)
}

/// The code by Recommendation 20 of the one-letter weight unit of AT8, L0, L3 and W12 (element 188).
pub fn from_x12_weight(code: &str) -> Option<&'static str> {
    match code {
        "L" => Some("LBR"),
        "K" => Some("KGM"),
        "G" => Some("GRM"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_comes_back_as_it_went() {
        for (source, unit) in X12 {
            assert_eq!(from_x12(source), Some(unit));
            assert_eq!(to_x12(unit), Some(source));
        }
    }

    #[test]
    fn an_unknown_unit_stays_unknown() {
        assert_eq!(from_x12("ZZ"), None);
        assert_eq!(from_x12_weight("X"), None);
    }
}
