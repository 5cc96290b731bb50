//! The document that is sent: a made-up WMS vendor's ship confirmation, of any number of lines.

use serde_json::json;

/// Digits of the number that makes each document a business fact of its own.
pub const DIGITS: usize = 10;

/// What stands before that number in the shipment's name.
pub const MARK: &[u8] = b"SHP-";

/// A document as bytes, and the places of its number.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// A confirmation of so many lines.
    pub fn new(lines: usize) -> Self {
        let blank = "#".repeat(DIGITS);
        let units = ["LB", "EA", "CS", "EA"];
        let lines: Vec<_> = (1..=lines)
            .map(|number| {
                json!({
                    "sku": format!("A{}", 1000 + number),
                    "gtin": checked(&format!("0061414{}", 100_000 + number)),
                    "qty": number * 3,
                    "uom": units[number % 4],
                    "lot": format!("L{:03}", number * 37 % 1000),
                    "sscc": checked(&format!("00614141{number:09}")),
                })
            })
            .collect();
        let document = json!({
            "messageId": format!("acme-{blank}"),
            "shipmentNumber": format!("SHP-{blank}"),
            "orderNumber": format!("SO-{blank}"),
            "warehouseGln": checked("061414100001"),
            "carrierScac": "ABFS",
            "shippedAt": "2026-11-23T14:05:00-06:00",
            "shipTo": { "name": "Nordlicht Märkte", "street": "4 Quay St", "city": "Duluth", "zip": "55802", "country": "US" },
            "lines": lines,
        });
        let bytes = document.to_string().into_bytes();
        let blank = blank.as_bytes();
        let places = (0..bytes.len() - DIGITS).filter(|at| &bytes[*at..*at + DIGITS] == blank).collect();
        Self { bytes, places }
    }

    /// Its length in bytes, whatever the number.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the document of this number.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let digits = format!("{number:010}");
        for place in &self.places {
            out[start + place..start + place + DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

/// The digits with GS1's modulo-10 check digit appended.
fn checked(digits: &str) -> String {
    let weighted = digits.bytes().rev().enumerate();
    let sum: u32 =
        weighted.map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 3 } else { 1 }).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
