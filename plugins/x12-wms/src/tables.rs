//! Code lists that are of 940 and 945 alone; the others are `crossdock_x12::tables`.
//!
//! Meanings follow the 004010 directory: elements 88, 368, 432, 473.

use crossdock_mapper::canonical::LineStatus;

pub use crossdock_x12::tables::*;

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
    ("69", "scheduled-pick-up"),
    ("35", "delivered"),
];

/// Element 88, marks and numbers qualifier (MAN01).
pub const MARKS: &[(&str, &str)] = &[("GM", "sscc"), ("CP", "tracking")];

/// Element 368, shipment or order status (W1201): what it says about the rest of the line.
const STATUSES: &[(&str, LineStatus)] = &[
    ("CC", LineStatus::Complete),
    ("CL", LineStatus::Complete),
    ("CP", LineStatus::Short),
    ("PR", LineStatus::Short),
    ("DS", LineStatus::Short),
    ("OR", LineStatus::Short),
    ("SC", LineStatus::Short),
    ("SK", LineStatus::Short),
    ("UN", LineStatus::Short),
    ("BP", LineStatus::Backordered),
    ("BO", LineStatus::Backordered),
    ("BM", LineStatus::Backordered),
    ("FS", LineStatus::Backordered),
    ("IS", LineStatus::Substituted),
    ("CS", LineStatus::Substituted),
    ("CM", LineStatus::Over),
    ("CE", LineStatus::Over),
    ("SA", LineStatus::Over),
    ("CU", LineStatus::Cancelled),
    ("IC", LineStatus::Cancelled),
    ("DE", LineStatus::Cancelled),
    ("CK", LineStatus::Cancelled),
    ("DI", LineStatus::Cancelled),
    ("OP", LineStatus::Cancelled),
];

/// Codes of element 368 that say that something went, and nothing about how much of the order that is: shipped, split
/// shipment, released to the carrier, performed as indicated, ordered before and late, order complete.
const SHIPPED: &[&str] = &["SH", "SS", "RC", "SJ", "SE", "SI", "LM", "LS", "BK", "PD", "ZZ"];

/// How a line stands by its status; none for a code that does not say.
pub fn line_status(code: &str) -> Option<LineStatus> {
    STATUSES.iter().find(|(listed, _)| *listed == code).map(|(_, status)| *status)
}

/// Whether the quantities say how a line with this status stands.
pub fn status_by_quantities(code: &str) -> bool {
    SHIPPED.contains(&code)
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

/// Element 473, order status (W0501), as far as it orders, changes or cancels something. `A` only informs and `X` is an
/// exercise.
pub const ORDER_STATUSES: &[&str] = &["N", "R", "F", "D", "G", "L", "T", "B", "C", "E", "S", "Z"];
