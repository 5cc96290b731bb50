//! Code lists of 204, 990, 214, 210 and 211; those that warehouses have too are `crossdock_x12::tables`.
//!
//! Meanings follow the 004010 directory and what later ones added: elements 40, 128, 150, 163, 432, 558, 1650, 1652. A code
//! that is not here keeps its own name as `x12-code`, so that it comes out as it went in.

use crossdock_mapper::canonical::{Classifier, Milestone, units};

pub use crossdock_x12::tables::{NOTES, WEIGHTS, code_of, mode, name_of, payment_code};

/// Element 128, reference identification qualifier (L1102, N901). The first code of a name is the one that is written.
pub const REFERENCES: &[(&str, &str)] = &[
    ("BM", "bol"),
    ("MB", "master-bol"),
    ("CN", "pro"),
    ("2I", "tracking"),
    ("97", "package"),
    ("PO", "po"),
    ("CO", "so"),
    ("OQ", "order"),
    ("ON", "order"),
    ("SI", "shipment"),
    ("SO", "shipper-order"),
    ("IV", "invoice"),
    ("DO", "delivery"),
    ("LO", "load"),
    ("CR", "customer-reference"),
    ("SCA", "scac"),
    ("QN", "stop"),
    ("PK", "packing-list"),
    ("P8", "pick-up"),
    ("RE", "release"),
    ("RN", "run"),
    ("BN", "booking"),
    ("EQ", "equipment"),
    ("SN", "seal"),
    ("CT", "contract"),
    ("GT", "tax-registration"),
    ("WY", "waybill"),
    ("AO", "appointment"),
    ("DP", "department"),
    ("MR", "merchandise-type"),
    ("TN", "transaction"),
];

/// Element 432, date qualifier (G6201).
pub const DATES: &[(&str, &str)] = &[
    ("64", "respond-by"),
    ("10", "requested-ship"),
    ("02", "requested-delivery"),
    ("68", "requested-delivery"),
    ("37", "ship-not-before"),
    ("38", "ship-not-after"),
    ("53", "deliver-not-before"),
    ("54", "deliver-not-after"),
    ("69", "scheduled-pick-up"),
    ("70", "scheduled-delivery"),
    ("17", "estimated-delivery"),
    ("11", "shipped"),
    ("86", "picked-up"),
    ("35", "delivered"),
    ("04", "po"),
    ("01", "cancel-after"),
];

/// Element 374, date qualifier of B310: what the date in B309 is.
pub const INVOICE_DATES: &[(&str, &str)] =
    &[("035", "delivered"), ("017", "estimated-delivery"), ("011", "shipped"), ("002", "requested-delivery")];

/// Element 163, stop reason (S502).
pub const STOPS: &[(&str, &str)] = &[
    ("CL", "pick-up"),
    ("LD", "pick-up"),
    ("PA", "pick-up"),
    ("RT", "pick-up"),
    ("SL", "pick-up"),
    ("CU", "delivery"),
    ("UL", "delivery"),
    ("DR", "delivery"),
    ("DT", "delivery"),
    ("SU", "delivery"),
    ("PL", "part-pick-up"),
    ("PU", "part-delivery"),
    ("CN", "consolidate"),
    ("IT", "transfer"),
    ("HT", "heat"),
    ("WL", "weigh"),
];

/// Element 40, equipment description (N711, MS203).
pub const EQUIPMENT: &[(&str, &str)] = &[
    ("TL", "trailer"),
    ("TF", "trailer"),
    ("TV", "trailer"),
    ("TA", "trailer"),
    ("TN", "tank"),
    ("RT", "reefer"),
    ("RC", "reefer"),
    ("FF", "reefer"),
    ("FT", "flatbed"),
    ("FR", "flatbed"),
    ("CN", "container"),
    ("CH", "chassis"),
    ("RR", "railcar"),
    ("TR", "truck"),
];

/// Element 1650, shipment status (AT701): which point of the way it is, and whether that is a fact or expected. Delivered
/// is an event of its own, see [`is_delivered`].
const STATUSES: &[(&str, Milestone, Classifier)] = &[
    ("X3", Milestone::ArrivedAtPickUp, Classifier::Actual),
    ("X8", Milestone::ArrivedAtPickUp, Classifier::Actual),
    ("CP", Milestone::Loaded, Classifier::Actual),
    ("AM", Milestone::Loaded, Classifier::Actual),
    ("CL", Milestone::Loaded, Classifier::Actual),
    ("AF", Milestone::DepartedPickUp, Classifier::Actual),
    ("BA", Milestone::DepartedPickUp, Classifier::Actual),
    ("X4", Milestone::Arrived, Classifier::Actual),
    ("AR", Milestone::Arrived, Classifier::Actual),
    ("R1", Milestone::Arrived, Classifier::Actual),
    ("AV", Milestone::Arrived, Classifier::Actual),
    ("B6", Milestone::Arrived, Classifier::Estimated),
    ("P1", Milestone::Departed, Classifier::Actual),
    ("RL", Milestone::Departed, Classifier::Actual),
    ("J1", Milestone::Departed, Classifier::Actual),
    ("C1", Milestone::Departed, Classifier::Estimated),
    ("X6", Milestone::InTransit, Classifier::Actual),
    ("BC", Milestone::InTransit, Classifier::Actual),
    ("K1", Milestone::Customs, Classifier::Actual),
    ("PR", Milestone::Customs, Classifier::Actual),
    ("CT", Milestone::Customs, Classifier::Actual),
    ("AJ", Milestone::OutForDelivery, Classifier::Actual),
    ("X1", Milestone::ArrivedAtDelivery, Classifier::Actual),
    ("X5", Milestone::ArrivedAtDelivery, Classifier::Actual),
    ("S1", Milestone::ArrivedAtDelivery, Classifier::Actual),
    ("AH", Milestone::DeliveryAttempted, Classifier::Actual),
    ("AG", Milestone::DeliveryEstimated, Classifier::Estimated),
    ("X2", Milestone::DeliveryEstimated, Classifier::Estimated),
    ("CD", Milestone::DepartedDelivery, Classifier::Actual),
    ("SD", Milestone::Delayed, Classifier::Actual),
    ("A3", Milestone::Exception, Classifier::Actual),
    ("A7", Milestone::Exception, Classifier::Actual),
    ("A9", Milestone::Exception, Classifier::Actual),
    ("AI", Milestone::Exception, Classifier::Actual),
    ("AN", Milestone::Exception, Classifier::Actual),
    ("AP", Milestone::Exception, Classifier::Actual),
    ("CA", Milestone::Exception, Classifier::Actual),
    ("OO", Milestone::Exception, Classifier::Actual),
    ("PA", Milestone::Exception, Classifier::Actual),
    ("XB", Milestone::Other, Classifier::Actual),
];

/// What a status code says; none for one that is not listed.
pub fn status(code: &str) -> Option<(Milestone, Classifier)> {
    STATUSES
        .iter()
        .find(|(listed, ..)| *listed == code)
        .map(|(_, milestone, classifier)| (*milestone, *classifier))
}

/// Unloaded at the place of delivery, or the last part of a shipment that was delivered in parts.
pub fn is_delivered(code: &str) -> bool {
    matches!(code, "D1" | "CB")
}

/// The first status code of a milestone that is a fact, or expected.
pub fn status_code(milestone: Milestone, expected: bool) -> Option<&'static str> {
    let means = |(_, listed, classifier): &&(&str, Milestone, Classifier)| {
        *listed == milestone && (*classifier == Classifier::Estimated) == expected
    };
    let found =
        STATUSES.iter().find(means).or_else(|| STATUSES.iter().find(|(_, listed, _)| *listed == milestone));
    found.map(|(code, ..)| *code)
}

/// Element 1652, shipment appointment status (AT703): pick-up and delivery, arranged or secured.
pub const APPOINTMENTS: &[&str] = &["AA", "AB", "X9", "XA"];

/// Element 150, special charge or allowance (L108, L901, L308).
pub const CHARGES: &[(&str, &str)] = &[
    ("400", "freight"),
    ("LHS", "freight"),
    ("FRT", "freight"),
    ("FUE", "fuel-surcharge"),
    ("405", "fuel-surcharge"),
    ("FSC", "fuel-surcharge"),
    ("DSC", "discount"),
    ("DIS", "discount"),
    ("ENS", "fuel-surcharge"),
    ("DET", "waiting"),
    ("DTL", "waiting"),
    ("DTU", "waiting"),
    ("DEM", "demurrage"),
    ("STO", "storage"),
    ("SOC", "stop-off"),
    ("LFT", "lift-gate"),
    ("LUM", "unloading"),
    ("UNL", "unloading"),
    ("HAZ", "dangerous-goods"),
    ("RES", "residential-delivery"),
    ("RED", "redelivery"),
    ("IND", "inside-delivery"),
    ("COD", "collect-on-delivery"),
    ("CUS", "customs"),
    ("INS", "insurance"),
    ("TAX", "tax"),
    ("GST", "tax"),
    ("HST", "tax"),
];

/// Volume units of one letter (element 184) and their codes by Recommendation 20.
const VOLUMES: &[(&str, &str)] =
    &[("E", "FTQ"), ("N", "INQ"), ("X", "MTQ"), ("G", "GLL"), ("V", "LTR"), ("C", "CMQ")];

/// The code by Recommendation 20 of a volume unit of one letter; some senders write the two letters of other segments.
pub fn volume_unit(code: &str) -> Option<&'static str> {
    let letter = VOLUMES.iter().find(|(listed, _)| *listed == code).map(|(_, unit)| *unit);
    letter.or_else(|| units::from_x12(code))
}

/// The code by Recommendation 20 of a weight unit of one letter (element 188), or of two.
pub fn weight_unit(code: &str) -> Option<&'static str> {
    let tons = match code {
        "E" => Some("TNE"),
        "S" => Some("STN"),
        "T" => Some("LTN"),
        "O" => Some("ONZ"),
        _ => None,
    };
    units::from_x12_weight(code).or(tons).or_else(|| units::from_x12(code))
}

/// The one letter of a volume unit.
pub fn volume_letter(unit: &str) -> Option<&'static str> {
    VOLUMES.iter().find(|(_, listed)| *listed == unit).map(|(letter, _)| *letter)
}

/// Element 558, reservation action (B104).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The carrier takes it on.
    Accepted,
    /// It does under conditions.
    Conditional,
    /// It proposes something else.
    Counter,
    /// It does not, or gives it back.
    Declined,
}

/// What a carrier's answer says; none for what answers no tender (new, change, split booking, change of vessel).
pub fn answer(code: &str) -> Option<Answer> {
    match code {
        "A" => Some(Answer::Accepted),
        "B" => Some(Answer::Conditional),
        "C" => Some(Answer::Counter),
        "D" | "E" | "R" => Some(Answer::Declined),
        _ => None,
    }
}
