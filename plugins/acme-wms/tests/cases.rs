//! Every case, run natively, and what must hold for confirmations of any shape.

use crossdock_mapper::{
    Context, Event, Input, Mapped, Mapper, Refusal,
    canonical::ShipmentDispatched,
    serde_json::{Value, json},
};

use acme_wms::AcmeWms;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

#[test]
fn cases_hold() {
    crossdock_mapper::testing::cases::<AcmeWms>(CASES);
}

#[test]
fn every_number_of_every_line_arrives_as_it_was_sent() {
    for lines in [1, 2, 40, 1_000] {
        let document = confirmation(lines);
        let mapped = read(document.to_string().as_bytes()).unwrap();
        let [event] = mapped.events.as_slice() else { panic!("{} events", mapped.events.len()) };
        assert_eq!(mapped.diagnostics, []);
        assert_eq!(
            event.natural_key[0],
            ("shipment".to_owned(), document["shipmentNumber"].as_str().unwrap().to_owned())
        );
        let shipment: ShipmentDispatched = event.data().unwrap();
        assert_eq!(shipment.lines.len(), lines);
        for (line, sent) in shipment.lines.iter().zip(document["lines"].as_array().unwrap()) {
            assert_eq!(line.item.identifier("sku"), sent["sku"].as_str());
            assert_eq!(line.item.identifier("gtin"), sent["gtin"].as_str());
            assert_eq!(Some(line.lots[0].number.as_str()), sent["lot"].as_str());
            assert_eq!(Some(line.packs[0].as_str()), sent["sscc"].as_str());
            assert!(shipment.packs.iter().any(
                |pack| pack.id == line.packs[0] && pack.contents.iter().any(|of| of.line == line.number)
            ));
            assert_eq!(line.shipped.as_ref().unwrap().value.as_str(), sent["qty"].to_string());
        }
    }
}

#[test]
fn a_wrong_check_digit_is_kept_flagged_and_told() {
    let content = std::fs::read(format!("{CASES}/wrong-check-digits/in.json")).unwrap();
    let told = read(&content).unwrap().diagnostics;
    let places: Vec<_> = told.iter().map(|told| told.at.as_ref().unwrap().path.as_str()).collect();
    assert_eq!(places, ["/lines/0/gtin", "/lines/1/sscc", "/warehouseGln"]);
    assert!(told.iter().all(|told| told.code == "check-digit"));
}

#[test]
fn many_lines_in_one_unit_are_one_pack() {
    let mut document = confirmation(20_000);
    for (index, line) in document["lines"].as_array_mut().unwrap().iter_mut().enumerate() {
        line["sscc"] = if index % 2 == 0 { "006141410000000011".into() } else { "006141410000000028".into() };
    }
    let shipment: ShipmentDispatched =
        read(document.to_string().as_bytes()).unwrap().events[0].data().unwrap();
    let held: Vec<_> = shipment.packs.iter().map(|pack| pack.contents.len()).collect();
    assert_eq!(held, [10_000, 10_000]);
}

#[test]
fn no_more_is_said_than_the_gateway_takes() {
    for line in [json!({"qty": "x"}), json!(1), json!({}), json!({"sku": 1, "qty": 1, "gtin": 2})] {
        let document = json!({ "shipmentNumber": "S", "orderNumber": "O", "lines": vec![line; 5_000] });
        assert_eq!(read(document.to_string().as_bytes()).unwrap_err().0.len(), 100);
    }
    let mut document = confirmation(500);
    for line in document["lines"].as_array_mut().unwrap() {
        line["gtin"] = "1".into();
    }
    assert_eq!(read(document.to_string().as_bytes()).unwrap().diagnostics.len(), 100);
}

#[test]
fn damaged_confirmations_never_panic() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for folder in std::fs::read_dir(CASES).unwrap() {
        let folder = folder.unwrap().path();
        let content =
            std::fs::read(folder.join("in.json")).or_else(|_| std::fs::read(folder.join("in.txt"))).unwrap();
        assert_eq!(read(&content), read(&content), "the same input gives the same outcome");
        for at in 0..content.len() {
            let _ = read(&content[..at]);
        }
        for _ in 0..3_000 {
            let mut damaged = content.clone();
            let at = usize::try_from(next()).unwrap() % damaged.len();
            match next() % 4 {
                0 => damaged[at] = next().to_le_bytes()[0],
                1 => damaged[at] = b"{}[],:\"\\0-.eE"[usize::try_from(next() % 13).unwrap()],
                2 => drop(damaged.remove(at)),
                _ => damaged.insert(at, damaged[at]),
            }
            if let Err(refusal) = read(&damaged) {
                assert!(refusal.0.iter().all(|wrong| wrong.at.is_some() && wrong.message.len() < 2_000));
            }
        }
    }
}

#[test]
fn deep_and_long_documents_are_refused() {
    for document in [
        "[".repeat(1_000_000),
        format!("{{\"x\":{}", "[".repeat(1_000_000)),
        String::new(),
    ] {
        assert_eq!(read(document.as_bytes()).unwrap_err().0[0].code, "not-understood");
    }
}

#[test]
fn a_byte_order_mark_is_read_over() {
    assert_eq!(read("\u{feff}{}".as_bytes()).unwrap_err().0[0].code, "missing");
}

/// A confirmation with that many lines.
fn confirmation(lines: usize) -> Value {
    let checked = |digits: String| {
        let weighted = digits
            .bytes()
            .rev()
            .zip([3, 1].into_iter().cycle())
            .map(|(digit, weight)| u32::from(digit - b'0') * weight);
        let check = (10 - weighted.sum::<u32>() % 10) % 10;
        format!("{digits}{check}")
    };
    let unit = ["EA", "CS", "LB", "KG"];
    let line = |number: usize| {
        json!({
            "sku": format!("A{}", 1000 + number),
            "gtin": checked(format!("0061414{:06}", 100_000 + number)),
            "qty": number,
            "uom": unit[number % 4],
            "lot": format!("L{number}"),
            "sscc": checked(format!("00614141{number:09}")),
        })
    };
    json!({
        "messageId": "m-1", "shipmentNumber": "SHP-1", "orderNumber": "SO-1", "warehouseGln": checked("061414100001".to_owned()),
        "carrierScac": "ABFS", "shippedAt": "2026-11-23T14:05:00-06:00",
        "shipTo": {"name": "Nordlicht Märkte", "street": "4 Quay St", "city": "Duluth", "zip": "55802", "country": "US"},
        "lines": (1..=lines).map(line).collect::<Vec<_>>(),
    })
}

fn read(content: &[u8]) -> Result<Mapped, Refusal> {
    let document =
        Input { media_type: "application/json".to_owned(), content: content.to_vec(), ..Input::default() };
    AcmeWms::to_canonical(&Context::default(), &document)
}

/// The event of one confirmation, for the comparison of natural keys.
#[test]
fn a_resent_confirmation_is_the_same_fact() {
    let key = |message: &str| -> Event {
        let mut document = confirmation(1);
        document["messageId"] = message.into();
        read(document.to_string().as_bytes()).unwrap().events.remove(0)
    };
    assert_eq!(key("m-1").natural_key, key("m-2").natural_key);
}
