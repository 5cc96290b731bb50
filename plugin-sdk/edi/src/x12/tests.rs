//! Envelopes of every odd kind, and properties that hold for any bytes.

use proptest::prelude::*;

use super::*;

const LEGAL_ISA: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *261120*1405*U*00401*000000042*0*P*>";

/// Names and values of every segment, so that two documents can be compared whatever divides them.
fn contents(document: &Document<'_>) -> Vec<Vec<String>> {
    let names_and_values = |segment: Segment<'_>| {
        let values = segment.elements().map(|element| element.value().into_owned());
        std::iter::once(segment.name().to_owned()).chain(values).collect()
    };
    document.sets().flat_map(|set| set.segments().iter().map(names_and_values).collect::<Vec<_>>()).collect()
}

fn interchange(end: &str) -> String {
    [
        "GS*SW*S*R*20261120*1405*7*X*004010",
        "ST*945*0001",
        "W06*F*88*20261120",
        "SE*3*0001",
        "GE*1*7",
        "IEA*1*000000042",
    ]
    .iter()
    .fold(format!("{LEGAL_ISA}{end}"), |text, segment| text + segment + end)
}

fn expected() -> Vec<Vec<String>> {
    [&["ST", "945", "0001"][..], &["W06", "F", "88", "20261120"], &["SE", "3", "0001"]]
        .iter()
        .map(|segment| segment.iter().map(|value| (*value).to_owned()).collect())
        .collect()
}

#[test]
fn every_terminator_reads_the_same() {
    for end in [
        "~", "~\n", "~\r\n", "\n", "\r\n", "\r", "\\", "'", "}\r\n  ", "¬", "¬\n", "\u{1c}", "~\n\n", "~~",
        "$\n",
    ] {
        let text = interchange(end);
        let document = Document::read(text.as_bytes()).unwrap_or_else(|error| panic!("{end:?}: {error}"));
        assert_eq!(contents(&document), expected(), "terminator {end:?}");
        assert!(document.findings().is_empty(), "terminator {end:?}: {:?}", document.findings());
    }
}

#[test]
fn a_byte_order_mark_and_blanks_before_isa_do_not_matter() {
    for start in ["\u{feff}", "\u{feff}\r\n", "\n\n  ", "\t"] {
        let text = format!("{start}{}\n\u{1a}", interchange("~"));
        let document = Document::read(text.as_bytes()).unwrap();
        assert_eq!(contents(&document), expected());
    }
}

#[test]
fn an_isa_without_padding_is_read_by_its_elements() {
    let short = "ISA*00* *00* *ZZ*WAQE *ZZ*YOUR-ID-HERE *200901*1409*U*00401*042*0*P*>~";
    let text = interchange("~").replace(&format!("{LEGAL_ISA}~"), short).replace("000000042", "042");
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(contents(&document), expected());
    let header = document.interchanges().next().unwrap().header().unwrap();
    assert_eq!(header.value(8), "YOUR-ID-HERE");
    assert!(document.findings().is_empty());
}

#[test]
fn lines_wrapped_at_eighty_columns_are_joined_again() {
    let text = interchange("~");
    for line_end in ["\n", "\r\n"] {
        let lines: Vec<&str> =
            text.as_bytes().chunks(80).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let wrapped = lines.join(line_end);
        let document = Document::read(wrapped.as_bytes()).unwrap();
        assert_eq!(contents(&document), expected());
        assert!(document.findings().is_empty(), "{:?}", document.findings());
    }
    // Wrapping that hits names and values.
    let wrapped = "ST*945*0001~W\n06*F*8\r\n8*20261120~SE*3*0001~";
    assert_eq!(contents(&Document::read(wrapped.as_bytes()).unwrap()), expected());
}

#[test]
fn an_isa_that_leaves_out_its_component_separator_still_shows_its_terminator() {
    for end in ["~", "~\n"] {
        let text = interchange(end).replace("*P*>", "*P*");
        let document = Document::read(text.as_bytes()).unwrap_or_else(|error| panic!("{end:?}: {error}"));
        assert_eq!(contents(&document), expected());
        assert_eq!(document.interchanges().next().unwrap().delimiters().component, None);
    }
}

#[test]
fn isa11_is_the_repetition_separator_since_004020_only() {
    let marks =
        |text: &str| Document::read(text.as_bytes()).unwrap().interchanges().next().unwrap().delimiters();
    let old = interchange("~");
    assert_eq!(marks(&old).repetition, None);
    let new = old.replace("*U*00401*", "*^*00501*").replace("W06*F*88", "W06*F*A>1^B>2");
    assert_eq!(marks(&new).repetition, Some(Delimiter::byte(b'^')));
    let document = Document::read(new.as_bytes()).unwrap();
    let set = document.sets().next().unwrap();
    let element = set.segments().get(1).unwrap().element(2).unwrap();
    let parts: Vec<Vec<String>> = element
        .repetitions()
        .map(|repetition| repetition.components().map(|part| part.value().into_owned()).collect())
        .collect();
    assert_eq!(parts, [["A", "1"], ["B", "2"]]);
}

#[test]
fn sets_and_groups_without_an_envelope_are_read() {
    for end in ["~", "~\n", "\n", "\r\n"] {
        let set = ["ST*945*0001", "W06*F*88*20261120", "SE*3*0001"]
            .map(|segment| format!("{segment}{end}"))
            .concat();
        assert_eq!(contents(&Document::read(set.as_bytes()).unwrap()), expected(), "{end:?}");
        let group = format!("GS*SW*A B*R-1*20261120*1405*7*X*004010{end}{set}GE*1*7{end}");
        let document = Document::read(group.as_bytes()).unwrap();
        assert_eq!(contents(&document), expected(), "{end:?}");
        assert_eq!(document.groups().next().unwrap().header().unwrap().value(2), "A B");
        assert!(document.findings().is_empty(), "{:?}", document.findings());
    }
}

#[test]
fn a_framed_part_is_read_with_the_delimiters_of_its_isa() {
    let isa = LEGAL_ISA.replace('*', "|");
    let delimiters = Delimiters::of_isa(format!("{isa}'").as_bytes(), 0).unwrap();
    let document = Document::read_part(b"ST|945|0001'W06|F|88|20261120'SE|3|0001'", delimiters).unwrap();
    assert_eq!(contents(&document), expected());
}

#[test]
fn bytes_that_are_not_utf8_are_windows_1252() {
    let text = b"ST*945*0001~N1*ST*M\xFCller\x92s\x81*92*1~NTE**Stra\xC3\x9Fe~SE*4*0001~";
    let document = Document::read(text).unwrap();
    let set = document.sets().next().unwrap();
    assert_eq!(set.segments().get(1).unwrap().value(2), "Müller’s\u{81}");
    assert_eq!(set.segments().get(2).unwrap().value(2), "Straße");
}

#[test]
fn places_are_bytes_of_the_document_that_came_in() {
    let text = "\u{feff}ST*945*0001~N1*ST*Müller*92*1~SE*3*0001~";
    let document = Document::read(text.as_bytes()).unwrap();
    let set = document.sets().next().unwrap();
    let element = set.segments().get(1).unwrap().element(2).unwrap();
    assert_eq!(&text.as_bytes()[element.offset()..element.offset() + element.length()], "Müller".as_bytes());
    assert_eq!(
        &text.as_bytes()[set.offset()..set.offset() + set.length()],
        &text.as_bytes()[3..text.len() - 1]
    );
}

#[test]
fn paths_name_loops_and_count_what_repeats() {
    let text = "ST*945*1~W06*F~N1*ST*A~N1*SF*B~LX*1~W12*CC~LX*2~W12*CP~N9*LT*A~N9*LT*B~W03*3~SE*12*1~";
    let document = Document::read(text.as_bytes()).unwrap();
    let set = document.sets().next().unwrap();
    let paths: Vec<String> = set.segments().iter().map(|segment| set.path(segment, 0)).collect();
    let expected = [
        "",
        "/W06",
        "/N1[1]",
        "/N1[2]",
        "/LX[1]",
        "/LX[1]/W12",
        "/LX[2]",
        "/LX[2]/W12",
        "/LX[2]/N9[1]",
        "/LX[2]/N9[2]",
        "/W03",
        "/SE",
    ];
    assert_eq!(paths, expected.map(|path| format!("ST*945*1{path}")));
    assert_eq!(set.path(set.segments().get(7).unwrap(), 3), "ST*945*1/LX[2]/W12/3");
}

/// The findings as severity, code, the standard's code and place.
fn findings(text: &str) -> Vec<(Severity, &'static str, Option<&'static str>, String)> {
    let document = Document::read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let findings = document.findings().iter();
    findings.map(|f| (f.severity, f.code, f.standard_code, f.path.clone())).collect()
}

#[test]
fn wrong_trailers_are_warnings_with_the_codes_of_the_standard() {
    let good = interchange("~");
    let warning =
        |code, standard, path: &str| vec![(Severity::Warning, code, Some(standard), path.to_owned())];
    assert_eq!(findings(&good), []);
    assert_eq!(findings(&good.replace("SE*3", "SE*12")), warning("segment-count", "4", "ST*945*0001/SE/1"));
    assert_eq!(
        findings(&good.replace("SE*3*0001", "SE*3*0002")),
        warning("set-control-number", "3", "ST*945*0001/SE/2")
    );
    assert_eq!(findings(&good.replace("GE*1*", "GE*2*")), warning("set-count", "5", "GE/1"));
    assert_eq!(findings(&good.replace("GE*1*7", "GE*1*9")), warning("group-control-number", "4", "GE/2"));
    assert_eq!(findings(&good.replace("IEA*1", "IEA*x")), warning("group-count", "021", "IEA/1"));
    assert_eq!(
        findings(&good.replace("IEA*1*000000042", "IEA*1*42")),
        warning("interchange-control-number", "001", "IEA/2")
    );
    assert_eq!(findings(&good.replace("GE*1*7~", "")), warning("trailer-missing", "3", "GS"));
}

#[test]
fn a_set_without_se_is_unsound_and_its_neighbours_are_not() {
    let text = "ST*945*1~W06*F~ST*945*2~W06*F~SE*3*2~ST*945*2~SE*2*2~";
    let document = Document::read(text.as_bytes()).unwrap();
    let sound: Vec<bool> = document.sets().map(|set| set.is_sound()).collect();
    assert_eq!(sound, [false, true, true]);
    let codes: Vec<_> =
        document.findings().iter().map(|finding| (finding.set, finding.standard_code)).collect();
    assert_eq!(codes, [(Some(0), Some("2")), (Some(2), Some("23"))]);
}

#[test]
fn what_stands_outside_of_sets_is_an_error_and_not_lost_in_silence() {
    let text = interchange("~").replace("ST*945", "W06*F*99~ST*945");
    assert_eq!(findings(&text), [(Severity::Error, "outside-of-sets", Some("022"), "W06".to_owned())]);
}

#[test]
fn what_comes_twice_is_told_with_the_codes_of_the_standard() {
    let good = interchange("~");
    let warning =
        |code, standard, path: &str| vec![(Severity::Warning, code, Some(standard), path.to_owned())];
    assert_eq!(
        findings(&(good.clone() + &good)),
        warning("interchange-control-number-repeated", "025", "ISA/13")
    );
    // Another sender may use the same number.
    assert_eq!(findings(&(good.clone() + &good.replace("SENDER  ", "OTHER   "))), []);
    let (group, end) = (good.find("GS*").unwrap(), good.find("IEA").unwrap());
    let twice = good[..end].to_owned() + &good[group..end] + "IEA*2*000000042~";
    assert_eq!(findings(&twice), warning("group-control-number-repeated", "19", "GS/6"));
}

#[test]
fn a_set_without_a_control_number_is_told() {
    let text = interchange("~").replace("945*0001", "945").replace("SE*3*0001", "SE*3");
    let warning = (Severity::Warning, "set-control-number-missing", Some("7"), "ST*945*/2".to_owned());
    assert_eq!(findings(&text), [warning]);
}

#[test]
fn acknowledgements_of_interchanges_stand_outside_of_sets() {
    let text = interchange("~").replace("GS*SW", "TA1*000000041*261120*1405*A*000~GS*SW");
    let document = Document::read(text.as_bytes()).unwrap();
    let numbers: Vec<_> = document.acknowledgements().map(|ta1| ta1.value(1).into_owned()).collect();
    assert_eq!(numbers, ["000000041"]);
    assert!(document.findings().is_empty());
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let good = interchange("~");
    let refused = |text: &str| Document::read(text.as_bytes()).unwrap_err();
    assert_eq!(refused(""), Error::Empty);
    assert_eq!(refused("\u{feff} \r\n"), Error::Empty);
    assert_eq!(refused("<xml/>"), Error::NotX12 { offset: 0 });
    assert_eq!(
        refused("STAMP"),
        Error::Envelope {
            offset: 0,
            reason: "no element separator after the first segment's name",
            standard_code: "026"
        }
    );
    let few = Error::Envelope { offset: 0, reason: "ISA has fewer than 16 elements", standard_code: "022" };
    assert_eq!(refused("ISA*00*"), few);
    let header = good.find("ST*").unwrap();
    let cut = refused(&good[..good.find("SE*").unwrap()]);
    assert_eq!(cut, Error::CutOff { opened_by: "ST", opened_at: header, offset: good.find("SE*").unwrap() });
    let cut = refused(&good[..good.find("IEA").unwrap()]);
    assert!(matches!(cut, Error::CutOff { opened_by: "ISA", opened_at: 0, .. }), "{cut:?}");
    let twice = good[..good.find("IEA").unwrap()].to_owned() + &good;
    assert!(matches!(refused(&twice), Error::CutOff { opened_by: "ISA", opened_at: 0, .. }));
    let tail = good.clone() + "garbage";
    assert_eq!(refused(&tail), Error::NotX12 { offset: good.len() });
    assert_eq!(refused(&tail).standard_code(), Some("022"));
}

#[test]
fn several_interchanges_may_use_different_delimiters() {
    let text = interchange("~")
        + "\n"
        + &interchange("'").replace('*', "|").replace("000042", "000043")
        + "\nST*940*9\nSE*2*9\n";
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(document.interchanges().count(), 3);
    let ids: Vec<_> = document.sets().map(|set| set.id().into_owned()).collect();
    assert_eq!(ids, ["945", "945", "940"]);
    assert!(document.findings().is_empty(), "{:?}", document.findings());
}

#[test]
fn a_storm_of_findings_is_told_only_in_part() {
    let text = format!("ST*945*1~{}SE*100002*1~", "w*1~".repeat(100_000));
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(document.findings().len(), 100);
    assert!(!document.sets().next().unwrap().is_sound());
}

fn envelope() -> Envelope<'static> {
    Envelope {
        sender: ("ZZ", "SENDER"),
        receiver: ("01", "RECEIVER"),
        date: "261120",
        time: "1405",
        version: "00401",
        control_number: "42",
        acknowledge: false,
        usage: 'P',
    }
}

const GROUP: [&str; 8] = ["OW", "S", "R", "20261120", "1405", "7", "X", "004010"];

#[test]
fn the_isa_has_106_bytes() {
    let bytes = Writer::new(&envelope(), Style::default()).unwrap().finish().unwrap();
    assert_eq!(bytes.iter().position(|byte| *byte == b'~'), Some(105));
    assert!(bytes.ends_with(b"~IEA*0*000000042~"));
}

#[test]
fn values_that_do_not_fit_the_envelope_are_refused() {
    let refused = |envelope: Envelope<'_>| Writer::new(&envelope, Style::default()).unwrap_err().to_string();
    let long = refused(Envelope { sender: ("ZZ", "SIXTEEN-LETTERS!"), ..envelope() });
    assert_eq!(long, "ISA06 can't hold \"SIXTEEN-LETTERS!\"");
    assert!(refused(Envelope { sender: ("ZZ", "A*B"), ..envelope() }).starts_with("ISA06"));
    assert!(refused(Envelope { control_number: "1234567890", ..envelope() }).starts_with("ISA13"));
    assert!(refused(Envelope { date: "20261120", ..envelope() }).starts_with("ISA09"));
}

#[test]
fn a_delimiter_inside_a_value_never_becomes_one() {
    let write = |style: Style, value: &str| {
        let mut writer = Writer::new(&envelope(), style).unwrap();
        writer.group(GROUP).unwrap();
        writer.set("940", "0001").unwrap();
        writer.segment("NTE", ["WHI", value])?;
        writer.finish()
    };
    for value in ["a*b", "a~b", "a>b", "a\nb", "a\u{1b}b"] {
        let refused = write(Style::default(), value).unwrap_err();
        assert!(matches!(refused, WriteError::Delimiter { element: 2, .. }), "{refused:?}");
        let bytes = write(Style { conflict: Conflict::Blank, ..Style::default() }, value).unwrap();
        let document = Document::read(&bytes).unwrap();
        assert_eq!(document.sets().next().unwrap().segments().get(1).unwrap().value(2), "a b");
    }
}

#[test]
fn segments_have_their_place() {
    let mut writer = Writer::new(&envelope(), Style::default()).unwrap();
    assert!(matches!(writer.set("940", "1"), Err(WriteError::Order(_))));
    assert!(matches!(writer.segment("W05", ["N"]), Err(WriteError::Order(_))));
    writer.group(GROUP).unwrap();
    writer.set("940", "1").unwrap();
    for name in ["SE", "w05", "W", "LONG", ""] {
        assert!(matches!(writer.segment(name, ["N"]), Err(WriteError::Name(_))), "{name}");
    }
}

prop_compose! {
    fn any_value()(text in "[ -~äß€]{0,12}") -> String { text.trim().to_owned() }
}

prop_compose! {
    fn any_segment()(name in "[A-Z][A-Z0-9]{1,2}", values in prop::collection::vec(any_value(), 0..8)) -> (String, Vec<String>) {
        let envelope = matches!(name.as_str(), "ISA" | "IEA" | "GS" | "GE" | "ST" | "SE");
        (if envelope { "ZZZ".to_owned() } else { name }, values)
    }
}

fn any_style() -> impl Strategy<Value = Style> {
    let terminator = prop_oneof![
        Just(Terminator::LineEnd),
        prop::sample::select(vec!['~', '\'', '\\', '}', '¬'])
            .prop_map(|mark| Terminator::Mark(Delimiter::character(mark))),
    ];
    (prop::sample::select(vec![b'*', b'|', b'^', b'\t']), terminator, any::<bool>()).prop_map(
        |(element, terminator, lines)| {
            let element = Delimiter::byte(element);
            let delimiters = Delimiters { element, terminator, ..Delimiters::default() };
            Style { delimiters, lines, conflict: Conflict::Blank }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(style in any_style(), sets in prop::collection::vec(prop::collection::vec(any_segment(), 0..12), 1..4)) {
        let mut writer = Writer::new(&envelope(), style).unwrap();
        writer.group(GROUP).unwrap();
        for (index, segments) in sets.iter().enumerate() {
            writer.set("940", &format!("{:04}", index + 1)).unwrap();
            for (name, values) in segments {
                writer.segment(name, values).unwrap();
            }
        }
        let bytes = writer.finish().unwrap();
        let document = Document::read(&bytes).unwrap();
        prop_assert!(document.findings().is_empty(), "{:?}", document.findings());
        prop_assert_eq!(document.sets().count(), sets.len());

        let marks = style.delimiters;
        let is_mark = |c: char| {
            let mark = Some(Delimiter::character(c));
            mark == Some(marks.element) || mark == marks.component || Terminator::Mark(Delimiter::character(c)) == marks.terminator || c.is_control()
        };
        for (set, sent) in document.sets().zip(&sets) {
            let read: Vec<_> = set.segments().iter().collect();
            prop_assert_eq!(read.len(), sent.len() + 2);
            for (segment, (name, values)) in read[1..].iter().zip(sent) {
                prop_assert_eq!(segment.name(), name);
                for (index, value) in values.iter().enumerate() {
                    let blanked: String = value.chars().map(|c| if is_mark(c) { ' ' } else { c }).collect();
                    prop_assert_eq!(segment.value(index + 1), blanked.trim());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        touch(&bytes);
        touch(&[b"ISA".as_slice(), &bytes].concat());
        touch(&[b"ST*945*".as_slice(), &bytes].concat());
    }

    #[test]
    fn any_mix_of_envelope_segments_never_panics(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "ISA", "IEA*1*1", "GS*SW*S*R*1*1*7*X*004010", "GE*1*7", "ST*945*1", "SE*3*1", "W06*F", "LX*1", "~", "\n", "*", "TA1*1", "é",
        ]), 0..40),
    ) {
        let text = pieces.iter().map(|piece| if *piece == "ISA" { LEGAL_ISA } else { piece }).fold(String::new(), |text, piece| text + piece + "~");
        touch(text.as_bytes());
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0..300_usize, byte in any::<u8>()) {
        let mut bytes = interchange("~\r\n").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        touch(&bytes);
    }
}

#[test]
fn no_truncation_panics_or_loses_a_set_in_silence() {
    let text = interchange("~\n");
    let closed = text.find("IEA*1*").unwrap() + "IEA*1".len();
    for end in 0..text.len() {
        touch(&text.as_bytes()[..end]);
        assert_eq!(Document::read(&text.as_bytes()[..end]).is_ok(), end >= closed - 2, "cut at {end}");
    }
}

/// Walks everything that a document offers.
fn touch(bytes: &[u8]) {
    let Ok(document) = Document::read(bytes) else { return };
    for finding in document.findings() {
        assert!(finding.offset + finding.length <= bytes.len());
    }
    for set in document
        .interchanges()
        .flat_map(|one| one.groups().collect::<Vec<_>>())
        .flat_map(|group| group.sets().collect::<Vec<_>>())
    {
        let _ = (set.id(), set.control_number(), set.group().interchange().delimiters());
        assert!(set.offset() + set.length() <= bytes.len());
        for segment in set.segments().iter() {
            let _ = set.path(segment, 1);
            for element in segment.elements() {
                assert!(element.offset() + element.length() <= bytes.len());
                let _ = (element.value(), element.components().count(), element.repetitions().count());
            }
        }
    }
}
