//! Every case and every real document, run natively; and what must hold for documents of any shape.

mod pairs;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crossdock_mapper::{
    Context, Diagnostic, Event, Input, Mapped, Mapper, Output, Recorded, Refusal,
    canonical::{Canonical, Check, LineStatus, OrderReleased, ShipmentDispatched},
    serde_json::{self, json},
    tables,
};
use sap_idoc::SapIdoc;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

#[test]
fn cases_hold() {
    let mut folders: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 60);
    folders.iter().for_each(|folder| pairs::run(folder));
}

#[test]
fn real_deliveries_become_one_event_each() {
    let Some(folder) = samples("sap-idoc") else { return };
    for (file, number, weight) in
        [("delvry03-boatyard.xml", "boatyard", "33"), ("delvry03-but.xml", "but", "92")]
    {
        let mapped = read(&fs::read(folder.join(file)).unwrap()).unwrap();
        let [event] = mapped.events.as_slice() else { panic!("{file}: {} events", mapped.events.len()) };
        let shipment: ShipmentDispatched = event.data().unwrap();
        assert_eq!((shipment.shipment.as_str(), event.key("order")), (number, Some(number)));
        let sap = &shipment.extensions["sap"];
        // A net weight is no total weight, but it is not lost.
        assert_eq!((&sap["NTGEW"], &sap["GEWEI"]), (&json!(weight), &json!("KGM")));
        assert_eq!(shipment.totals, None);
        assert_eq!(shipment.dispatched, None, "{file} has no date");
    }
}

#[test]
fn an_order_comes_back_as_it_went() {
    let mut compared = 0;
    for (name, content) in documents().into_iter().chain([("demo".to_owned(), demo_order())]) {
        let context = Context { zone: Some("America/Chicago".to_owned()), ..context() };
        let Ok(mapped) = to_canonical(&context, &content) else { continue };
        for event in mapped.events.into_iter().filter(|event| event.is::<OrderReleased>()) {
            let written = write(&context, &event).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            let text = String::from_utf8(written.content.clone()).unwrap();
            let again = to_canonical(&context, &written.content)
                .unwrap_or_else(|wrong| panic!("{name}: {wrong:?}\n{text}"));
            // The IDoc that brings it is a new one, made at another time.
            let plain = |event: &Event| {
                let mut order: OrderReleased = event.data().unwrap();
                order.released = None;
                order.extensions.get_mut("sap").unwrap().as_object_mut().unwrap().remove("EDI_DC40");
                (serde_json::to_value(order).unwrap(), event.order_keys.clone())
            };
            assert_eq!(again.events.len(), 1, "{name}");
            let (first, second) = (plain(&event), plain(&again.events[0]));
            assert_eq!(first, second, "{name}\n{text}");
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} orders were compared");
}

#[test]
fn the_order_of_the_demo_is_known_by_its_delivery() {
    let mapped = read(&demo_order()).unwrap();
    let [event] = mapped.events.as_slice() else { panic!("{} events", mapped.events.len()) };
    let order: OrderReleased = event.data().unwrap();
    assert_eq!((event.kind.as_str(), event.key("order")), (OrderReleased::KIND, Some("0080001234")));
    assert_eq!(order.order, "0080001234");
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| {
            let ordered = line.ordered.as_ref().unwrap();
            (
                line.number.as_str(),
                ordered.value.as_str(),
                ordered.unit.as_deref(),
                line.item.identifier("gtin").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("000010", "240.000", Some("CT"), "10614141002204"),
            ("000020", "96.000", Some("CT"), "10614141003300"),
            ("000030", "30.000", Some("CT"), "10614141004406"),
        ]
    );
    assert!(order.lines.iter().all(|line| line.item.identifiers[0].check == Some(Check::Valid)));
    assert_eq!(order.carrier.unwrap().identifiers[0].scheme, "scac");
}

#[test]
fn a_bad_idoc_does_not_sink_its_neighbours() {
    let idoc = |number: &str, quantity: &str| {
        format!(
            "<IDOC><EDI_DC40><DOCNUM>{number}</DOCNUM><MESTYP>WHSORD</MESTYP></EDI_DC40><E1EDL20><VBELN>{number}</VBELN>\
         <E1EDL24><POSNR>10</POSNR><LFIMG>{quantity}</LFIMG></E1EDL24></E1EDL20></IDOC>"
        )
    };
    let document = format!("<DELVRY03>{}{}{}</DELVRY03>", idoc("1", "2"), idoc("2", "two"), idoc("3", "4"));
    let mapped = read(document.as_bytes()).unwrap();
    assert_eq!(mapped.events.iter().map(|event| event.key("order").unwrap()).collect::<Vec<_>>(), ["1", "3"]);
    let [reject] = mapped.rejects.as_slice() else { panic!("{:?}", mapped.rejects) };
    assert_eq!((reject.unit.as_str(), reject.at.path.as_str()), ("IDOC*2", "/DELVRY03/IDOC[2]"));
    let at = reject.diagnostics[0].at.as_ref().unwrap();
    assert_eq!(at.path, "/DELVRY03/IDOC[2]/E1EDL20[1]/E1EDL24[1]/LFIMG[1]");
    assert_eq!(place(document.as_bytes(), &reject.diagnostics[0]), b"two");
}

#[test]
fn a_place_is_in_bytes_of_the_document_as_it_came() {
    let body = "<DELVRY03><IDOC><EDI_DC40><MESTYP>WHSORD</MESTYP></EDI_DC40><E1EDL20><VBELN>ÄÖ</VBELN>\
                <E1EDL24><POSNR>1</POSNR><LFIMG>drei€</LFIMG></E1EDL24></E1EDL20></IDOC></DELVRY03>";
    let marked = format!("\u{feff}{body}");
    assert_eq!(place(marked.as_bytes(), &read(marked.as_bytes()).unwrap_err().0[0]), "drei€".as_bytes());
    let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{}", body.replace('€', "ß"));
    let latin: Vec<u8> = latin.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    assert_eq!(place(&latin, &read(&latin).unwrap_err().0[0]), b"drei\xDF");
}

#[test]
fn other_encodings_are_refused_and_not_guessed() {
    for (document, bytes) in [
        (&b"\xFF\xFE<\0D\0\0\xD8<\0"[..], &b"\0"[..]),
        (b"\xFF\xFE<\0D", b"D"),
        (b"<?xml version='1.0' encoding='EBCDIC-1'?><DELVRY03/>", b"EBCDIC-1"),
        (b"<?xml version='1.0' encoding='windows-1252'?><DELVRY03>\x81</DELVRY03>", b"\x81"),
        (b"<?xml version='1.0'?><DELVRY03>\xE4</DELVRY03>", b"\xE4"),
    ] {
        let refusal = read(document).unwrap_err();
        assert_eq!(refusal.0[0].code, "encoding", "{document:?}");
        assert_eq!(place(document, &refusal.0[0]), bytes, "{document:?}");
    }
}

#[test]
fn one_document_is_the_same_in_every_encoding() {
    let body = |encoding: &str, name: &str, quantity: &str| {
        format!(
            "<?xml version='1.0' encoding='{encoding}'?>\n<DELVRY03><IDOC><EDI_DC40><MESTYP>WHSORD</MESTYP></EDI_DC40>\
             <E1EDL20><VBELN>1</VBELN><E1ADRM1><PARTNER_Q>WE</PARTNER_Q><NAME1>{name}</NAME1></E1ADRM1>{}\
             <E1EDL24><POSNR>1</POSNR><LFIMG>{quantity}</LFIMG></E1EDL24></E1EDL20></IDOC></DELVRY03>",
            // Further than from one mark to the next.
            "<!-- Größe -->".repeat(1_000)
        )
    };
    let wide = |text: &str, big: bool| -> Vec<u8> {
        let pair = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(pair).collect()
    };
    let narrow = |text: &str, others: &[(char, u8)]| -> Vec<u8> {
        let byte = |letter: char| others.iter().find(|(known, _)| *known == letter).map(|(_, byte)| *byte);
        text.chars()
            .map(|letter| byte(letter).unwrap_or_else(|| u8::try_from(u32::from(letter)).unwrap()))
            .collect()
    };
    let name = "Łódź 📦 & Söhne".replace('&', "&amp;");
    for (name, encode) in [
        (name.as_str(), &(|text: &str| wide(text, false)) as &dyn Fn(&str) -> Vec<u8>),
        (&name, &|text| wide(text, true)),
        (&name, &|text| wide(text, false)[2..].to_vec()),
        // SAP says what the text was in its memory.
        (&name, &|text| text.as_bytes().to_vec()),
        ("Größe", &|text| narrow(&text.replace("utf-16", "ISO-8859-1"), &[])),
        ("Größe für 5 €", &|text| narrow(&text.replace("utf-16", "windows-1252"), &[('€', 0x80)])),
        ("Größe für 5 €", &|text| narrow(&text.replace("utf-16", "iso-8859-15"), &[('€', 0xA4)])),
    ] {
        let document = encode(&body("utf-16", name, "2"));
        let order: OrderReleased = read(&document).unwrap().events[0].data().unwrap();
        assert_eq!(order.parties[0].name.as_deref(), Some(name.replace("&amp;", "&").as_str()));
        let document = encode(&body("utf-16", name, "zwölf"));
        let refusal = read(&document).unwrap_err();
        let found = &refusal.0[0];
        assert_eq!(found.at.as_ref().unwrap().path, "/DELVRY03/IDOC[1]/E1EDL20[1]/E1EDL24[1]/LFIMG[1]");
        let found = place(&document, found);
        assert!([5, 6, 10].contains(&found.len()) && document.windows(found.len()).any(|part| part == found));
        assert!(found.contains(&b'z') && found.contains(&b'f'), "{found:?}");
    }
}

/// Attacks that are XML, and that do nothing where nothing is fetched or expanded.
const HARMLESS: [&str; 10] = [
    "comment-huge.xml",
    "encoding-latin1.xml",
    "encoding-utf16le-bom.xml",
    "pi-flood.xml",
    "schema-location.xml",
    "signature-wrapping-comment.xml",
    "stylesheet-pi.xml",
    "text-huge-line.xml",
    "version-1.1.xml",
    "xinclude.xml",
];

#[test]
fn hostile_xml_is_refused_with_its_line_and_column() {
    let Some(folder) = shared("conformance").map(|root| root.join("xml-attacks")) else { return };
    let text = fs::read(folder.join("cases.json")).unwrap();
    let attacks: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for attack in attacks.as_array().unwrap() {
        let file = attack["file"].as_str().unwrap();
        let content = fs::read(folder.join(file)).unwrap();
        let found = read(&content).unwrap_err().0[0].clone();
        let at = found.at.clone().unwrap();
        assert!(usize::try_from(at.offset.unwrap()).unwrap() <= content.len(), "{file}: {at:?}");
        assert!(found.message.len() < 300, "{file}: {}", found.message);
        // What is XML is refused for not being a delivery, and what is none for that.
        let is_xml = attack["accept"] == true || HARMLESS.contains(&file);
        let code = match file {
            "soap-action-smuggle.xml" => "envelope",
            _ if is_xml => "not-a-delivery",
            _ if file.starts_with("encoding-") && file != "encoding-utf16-hides-doctype.xml" => "encoding",
            _ => "not-xml",
        };
        assert_eq!(found.code, code, "{file}: {}", found.message);
        if code == "not-xml" || code == "encoding" {
            assert!(at.path.starts_with("line "), "{file}: {at:?}");
        }
    }
}

#[test]
fn a_zone_of_sap_is_looked_up_and_never_guessed() {
    tables::insert("zones", &["CST"], &[("iana", "America/Chicago")]);
    let released = |zone: &str| {
        let document = format!(
            "<DELVRY03><IDOC><EDI_DC40><MESTYP>WHSORD</MESTYP></EDI_DC40><E1EDL20><VBELN>1</VBELN><E1EDT13><QUALF>006</QUALF>\
             <NTANF>20261123</NTANF><NTANZ>120000</NTANZ>{zone}</E1EDT13></E1EDL20></IDOC></DELVRY03>"
        );
        let context = Context { zone: Some("Europe/Berlin".to_owned()), ..Context::default() };
        let mapped = to_canonical(&context, document.as_bytes()).unwrap();
        mapped.events[0].data::<OrderReleased>().unwrap().dates[0].time.text().unwrap()
    };
    assert_eq!(released(""), "2026-11-23T12:00:00[Europe/Berlin]");
    assert_eq!(released("<TZONE_BEG>CST</TZONE_BEG>"), "2026-11-23T12:00:00[America/Chicago]");
    assert_eq!(released("<TZONE_BEG>ZZZ</TZONE_BEG>"), "2026-11-23T12:00:00");
    assert_eq!(released("<TZONE_BEG>UTC</TZONE_BEG>"), "2026-11-23T12:00:00Z");
}

#[test]
fn a_line_that_is_not_complete_is_not_called_so() {
    let document = "<DELVRY03><IDOC><EDI_DC40><MESTYP>SHPCON</MESTYP></EDI_DC40><E1EDL20><VBELN>1</VBELN>\
        <E1EDL24><POSNR>10</POSNR><LFIMG>8</LFIMG><VRKME>CS</VRKME><ORMNG>10</ORMNG></E1EDL24>\
        <E1EDL24><POSNR>20</POSNR><LFIMG>8</LFIMG><VRKME>CS</VRKME></E1EDL24></E1EDL20></IDOC></DELVRY03>";
    let shipment: ShipmentDispatched = read(document.as_bytes()).unwrap().events[0].data().unwrap();
    let status: Vec<_> = shipment.lines.iter().map(|line| line.status).collect();
    assert_eq!(status, [Some(LineStatus::Short), None]);
}

#[test]
fn what_sap_cannot_hold_is_refused_with_its_place() {
    let line = |more: &str| {
        format!(r#"{{"number": "10", "item": {{}}, "shipped": {{"value": "18", "unit": "CS"}}{more}}}"#)
    };
    for (lines, code, path) in [
        (line(r#", "lots": [{"number": "A"}, {"number": "B"}]"#), "lot-quantities", "/lines/0/lots"),
        (
            line(r#", "lots": [{"number": "A", "quantity": {"value": "20", "unit": "CS"}}]"#),
            "lot-quantities",
            "/lines/0/lots",
        ),
        (line("").replace("\"10\"", "\"900-A\""), "item-number", "/lines/0/number"),
        (format!("{},{}", line(""), line("").replace("\"10\"", "\"010\"")), "item-number", "/lines/1/number"),
        (line("").replace("\"18\"", "\"18.0005\""), "too-precise", "/lines/0"),
    ] {
        let data = format!(
            r#"{{"shipment": "S", "references": [{{"kind": "order", "value": "8"}}], "lines": [{lines}]}}"#
        );
        let event =
            Event { kind: ShipmentDispatched::KIND.to_owned(), data: data.into_bytes(), ..Event::default() };
        let refusal = write(&Context::default(), &event).unwrap_err();
        let found = &refusal.0[0];
        assert_eq!((found.code.as_str(), found.at.as_ref().unwrap().path.as_str()), (code, path), "{lines}");
    }
    let data = br#"{"shipment": "S", "references": [{"kind": "order", "value": "12345678901"}]}"#;
    let event = Event { kind: ShipmentDispatched::KIND.to_owned(), data: data.to_vec(), ..Event::default() };
    assert_eq!(write(&Context::default(), &event).unwrap_err().0[0].code, "too-long");
}

#[test]
fn kept_fields_cannot_smuggle_markup() {
    let order = OrderReleased {
        order: "1".to_owned(),
        extensions: [("sap".to_owned(), json!({
            "VSTEL": "<&>", "X><Y": "no", "E1EDL20": {"VBELN": "2"}, "lower": "no", "1ST": "no",
            "E1EDL24": [{"POSNR": "7"}], "ZE1": {"Z": ["a", "b"], "DEEP": {"D": {"D": {"D": {"D": {"D": {"D": {"D": {"D": "x"}}}}}}}}}
        }))].into(),
        ..OrderReleased::default()
    };
    let written =
        String::from_utf8(write(&Context::default(), &Event::new(&order)).unwrap().content).unwrap();
    assert!(written.contains("<VSTEL>&lt;&amp;&gt;</VSTEL>"), "{written}");
    assert!(
        !written.contains("no<") && !written.contains("E1EDL24") && !written.contains(">x<"),
        "{written}"
    );
    assert!(read(written.as_bytes()).is_ok());
}

#[test]
fn work_grows_with_the_document_and_not_faster() {
    let head = "<EDI_DC40><MESTYP>WHSORD</MESTYP></EDI_DC40>";
    let items: String = (1..40_000).fold(String::new(), |mut items, number| {
        let _ = write!(items, "<E1EDL24><POSNR>{number}</POSNR><VGBEL>{number}</VGBEL></E1EDL24>");
        items
    });
    let units: String = (1..30_000).fold(String::new(), |mut units, number| {
        let _ = write!(
            units,
            "<E1EDL37><EXIDV>U{number}</EXIDV><E1EDL44><EXIDV>U{}</EXIDV></E1EDL44></E1EDL37>",
            number + 1
        );
        units
    });
    let many = "<A/>".repeat(100_000);
    let names: String = (0..100_000).fold(String::new(), |mut names, number| {
        let _ = write!(names, "<N{number}/>");
        names
    });
    let deliveries = "<E1EDL20><VBELN>1</VBELN></E1EDL20>".repeat(50_000);
    for (what, body) in [("items", &items), ("units", &units), ("siblings", &many), ("names", &names)] {
        let document =
            format!("<DELVRY03><IDOC>{head}<E1EDL20><VBELN>1</VBELN>{body}</E1EDL20></IDOC></DELVRY03>");
        let mapped = read(document.as_bytes()).unwrap();
        assert_eq!(mapped.events.len(), 1, "{what}");
    }
    let mapped = read(format!("<DELVRY03><IDOC>{head}{deliveries}</IDOC></DELVRY03>").as_bytes()).unwrap();
    assert_eq!(mapped.events.len(), 50_000);
    // Each of these is wrong, and 100 of them are enough to say so.
    let bad = "<E1EDL24><LFIMG>x</LFIMG></E1EDL24>".repeat(50_000);
    let refused = read(
        format!("<DELVRY03><IDOC>{head}<E1EDL20><VBELN>1</VBELN>{bad}</E1EDL20></IDOC></DELVRY03>")
            .as_bytes(),
    );
    assert_eq!(refused.unwrap_err().0.len(), 100);
    let bad = format!("<IDOC>{head}</IDOC>").repeat(30_000);
    assert_eq!(read(format!("<DELVRY03>{bad}</DELVRY03>").as_bytes()).unwrap_err().0.len(), 100);
}

#[test]
fn what_is_too_deep_too_much_or_too_long_is_refused() {
    for document in [
        "<DELVRY03>".repeat(100_000),
        format!("<DELVRY03>{}</DELVRY03>", "<A/>".repeat(200_001)),
        format!("<{}/>", "D".repeat(70_000)),
        format!("<DELVRY03>{}</DELVRY04>", "x".repeat(1_000)),
    ] {
        let refusal = read(document.as_bytes()).unwrap_err();
        assert_eq!(refusal.0[0].code, "not-xml");
        assert!(refusal.0[0].message.len() < 500);
    }
    let long = format!(
        "<DELVRY03><IDOC><EDI_DC40><MESTYP>WHSORD</MESTYP></EDI_DC40><E1EDL20><VBELN>1</VBELN><E1EDL24><POSNR>1</POSNR>\
        <LFIMG>{}</LFIMG></E1EDL24></E1EDL20></IDOC></DELVRY03>",
        "9".repeat(100_000)
    );
    assert!(read(long.as_bytes()).unwrap_err().0[0].message.len() < 200);
}

#[test]
fn damaged_documents_never_panic() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for (name, content) in documents() {
        let whole = to_canonical(&context(), &content);
        assert_eq!(
            whole,
            to_canonical(&context(), &content),
            "{name}: the same input gives the same outcome"
        );
        for at in 0..content.len() {
            let _ = to_canonical(&context(), &content[..at]);
        }
        let rounds = if content.is_empty() { 0 } else { 500 };
        for _ in 0..rounds {
            let mut damaged = content.clone();
            for _ in 0..1 + next() % 4 {
                let at = usize::try_from(next()).unwrap() % damaged.len();
                match next() % 4 {
                    0 => damaged[at] = next().to_le_bytes()[0],
                    1 => damaged[at] = b"<>&;/09-."[usize::try_from(next() % 9).unwrap()],
                    2 => drop(damaged.remove(at)),
                    _ => damaged.insert(at, damaged[at]),
                }
                if damaged.is_empty() {
                    break;
                }
            }
            let Ok(mapped) = to_canonical(&context(), &damaged) else { continue };
            for event in mapped.events {
                let _ = write(&context(), &event);
            }
        }
    }
}

/// The cases' documents.
fn documents() -> Vec<(String, Vec<u8>)> {
    let mut folders: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let input = |folder: PathBuf| Some((folder.display().to_string(), fs::read(folder.join("in.xml")).ok()?));
    let documents: Vec<_> = folders.into_iter().filter_map(input).collect();
    assert!(documents.len() >= 10);
    documents
}

fn demo_order() -> Vec<u8> {
    let file = "../../gateway/src/cli/demo/documents/order.idoc.xml";
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// A family of the real documents, which nobody in this project wrote.
fn samples(family: &str) -> Option<PathBuf> {
    shared("samples").map(|root| root.join(family))
}

fn shared(name: &str) -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    let told = std::env::var_os(format!("CROSSDOCK_{}", name.to_ascii_uppercase()));
    let folder = told.map_or(usual, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is absent, and this is CI", folder.display());
    println!("skipped: {} is absent; CROSSDOCK_{} says where", folder.display(), name.to_ascii_uppercase());
    None
}

/// The bytes that a diagnostic points to.
fn place<'c>(content: &'c [u8], diagnostic: &Diagnostic) -> &'c [u8] {
    let at = diagnostic.at.as_ref().unwrap();
    let start = at.offset.unwrap() as usize;
    &content[start..start + at.length.unwrap() as usize]
}

fn context() -> Context {
    Context {
        sender: "XDOCK".to_owned(),
        receiver: "GLXPRD100".to_owned(),
        received_at: "2026-11-24T17:35:02Z".to_owned(),
        control_numbers: vec![("idoc".to_owned(), "77".to_owned())],
        ..Context::default()
    }
}

fn read(content: &[u8]) -> Result<Mapped, Refusal> {
    to_canonical(&Context::default(), content)
}

fn to_canonical(context: &Context, content: &[u8]) -> Result<Mapped, Refusal> {
    let document =
        Input { media_type: "application/xml".to_owned(), content: content.to_vec(), ..Input::default() };
    SapIdoc::to_canonical(context, &document)
}

fn write(context: &Context, event: &Event) -> Result<Output, Refusal> {
    SapIdoc::from_canonical(context, &[Recorded { event: event.clone(), ..Recorded::default() }])
}
