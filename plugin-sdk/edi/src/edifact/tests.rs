//! Envelopes of every odd kind, and properties that hold for any bytes.

use proptest::prelude::*;

use super::*;

/// Names and values of every segment, so that two documents can be compared whatever divides them.
fn contents(document: &Document<'_>) -> Vec<String> {
    let written = |segment: Segment<'_>| {
        let elements = segment.elements().map(|element| {
            let repeated = element.repetitions().map(|repetition| {
                let components: Vec<_> =
                    repetition.components().map(|part| part.value().into_owned()).collect();
                components.join("|")
            });
            repeated.collect::<Vec<_>>().join("^")
        });
        std::iter::once(segment.name().to_owned()).chain(elements).collect::<Vec<_>>().join("/")
    };
    document
        .messages()
        .flat_map(|message| message.segments().iter().map(written).collect::<Vec<_>>())
        .collect()
}

fn codes(document: &Document<'_>) -> String {
    let told =
        document.findings().iter().map(|finding| format!("{} {}", finding.standard_code, finding.path));
    told.collect::<Vec<_>>().join(", ")
}

const ORDER: &str = "UNB+UNOA:3+S:14+R:14+261120:1405+9'UNH+1+ORDERS:D:96A:UN'BGM+220+88'FTX+AAA+++a?+b:c?:d??'UNT+4+1'UNZ+1+9'";
const READ: [&str; 4] = ["UNH/1/ORDERS|D|96A|UN", "BGM/220/88", "FTX/AAA///a+b|c:d?", "UNT/4/1"];

#[test]
fn blanks_line_ends_and_a_byte_order_mark_do_not_matter() {
    for (start, end) in [("", ""), ("\u{feff}", "\n"), ("\r\n ", "\r\n\t"), ("", "\n\n"), ("", "\n\u{1a}")] {
        let text = format!("{start}{}", ORDER.replace("'", &format!("'{end}")));
        let document = Document::read(text.as_bytes()).unwrap();
        assert_eq!(contents(&document), READ, "{end:?}");
        assert_eq!(codes(&document), "", "{end:?}");
    }
}

#[test]
fn a_service_string_divides_as_it_says() {
    for (una, with) in [
        ("UNA:+.? '", [':', '+', '?', '\'']),
        ("UNA|*,! ~", ['|', '*', '!', '~']),
        ("UNA\u{1f}\u{1d}.? \u{1c}", ['\u{1f}', '\u{1d}', '?', '\u{1c}']),
        ("UNA:+.? \n", [':', '+', '?', '\n']),
    ] {
        let changed: String = ORDER
            .chars()
            .map(|c| [':', '+', '?', '\''].iter().position(|mark| *mark == c).map_or(c, |n| with[n]))
            .collect();
        let text = format!("{una}{changed}");
        let document = Document::read(text.as_bytes()).unwrap();
        let read: Vec<_> =
            contents(&document).iter().map(|line| line.replace([with[1], with[0], with[2]], "_")).collect();
        let expected: Vec<_> = READ.iter().map(|line| line.replace(['+', ':', '?'], "_")).collect();
        assert_eq!(read.len(), 4, "{una:?}");
        assert_eq!(read[2].replace('|', "_"), expected[2].replace('|', "_"), "{una:?}");
        assert_eq!(codes(&document), "", "{una:?}");
    }
    for una in ["UNA:+.?", "UNA::.? '", "UNAA+.? '", "UNA:+.? +"] {
        assert!(matches!(Document::read(una.as_bytes()), Err(Error::Envelope { offset: 0, .. })), "{una}");
    }
}

#[test]
fn without_a_release_character_nothing_is_released() {
    let text = "UNA:+.  'UNH+1+ORDERS:D:96A:UN'FTX+AAA+++why?'UNT+3+1'";
    assert_eq!(contents(&Document::read(text.as_bytes()).unwrap())[1], "FTX/AAA///why?");
}

#[test]
fn elements_repeat_in_syntax_version_4_alone() {
    let text = |version| {
        format!(
            "UNB+UNOA:{version}+S+R+20261120:1405+9'UNH+1+ORDERS:D:96A:UN'COM+1:TE*2?*:EM'UNT+3+1'UNZ+1+9'"
        )
    };
    let (three, four) = (text(3), text(4));
    assert_eq!(contents(&Document::read(three.as_bytes()).unwrap())[1], "COM/1|TE*2*|EM");
    assert_eq!(contents(&Document::read(four.as_bytes()).unwrap())[1], "COM/1|TE^2*|EM");
    let named = format!("UNA:+.?^'{}", three.replace('*', "^"));
    assert_eq!(contents(&Document::read(named.as_bytes()).unwrap())[1], "COM/1|TE^2^|EM");
}

#[test]
fn messages_need_no_interchange_and_tags_may_tell_their_nesting() {
    let document = Document::read(b"UNH+1+DESADV:D:01B:UN:EAN007'CPS:1+1'LIN:1:2+1'UNT+4+1'").unwrap();
    assert_eq!(contents(&document)[1..], ["CPS/1", "LIN/1", "UNT/4/1"]);
    let message = document.messages().next().unwrap();
    assert_eq!((message.directory().as_str(), &*message.subset()), ("D.01B", "EAN007"));
    assert!(message.interchange().header().is_none());
}

#[test]
fn several_interchanges_and_groups_are_kept_apart() {
    let group = "UNG+ORDERS+S+R+261120:1405+7+UN+D:96A'UNH+1+ORDERS:D:96A:UN'UNT+2+1'UNH+2+ORDERS:D:96A:UN'UNT+2+2'UNE+2+7'";
    let text = format!(
        "UNB+UNOA:2+S+R+261120:1405+1'{group}{group}UNZ+2+1'UNA|*.? ~UNB*UNOC|3*T*R*261120|1405*2~UNH*1*DESADV|D|96A|UN~UNT*2*1~UNZ*1*2~"
    );
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(codes(&document), "");
    let counts: Vec<_> =
        document.interchanges().map(|one| (one.sender().into_owned(), one.messages().count())).collect();
    assert_eq!(counts, [("S".to_owned(), 4), ("T".to_owned(), 1)]);
    let groups: Vec<_> =
        document.messages().map(|message| message.group().map(|group| group.index())).collect();
    assert_eq!(groups, [Some(0), Some(0), Some(1), Some(1), None]);
}

#[test]
fn wrong_counts_and_references_are_placed_with_the_codes_of_the_standard() {
    let text = ORDER.replace("UNT+4+1", "UNT+5+1").replace("UNZ+1+9", "UNZ+3+8");
    assert_eq!(codes(&Document::read(text.as_bytes()).unwrap()), "29 UNH+1+ORDERS/UNT/1, 29 UNZ/1, 28 UNZ/2");
    let text = ORDER.replace("UNT+4+1", "UNT+4+2");
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(codes(&document), "28 UNH+1+ORDERS/UNT/2");
    assert!(!document.messages().next().unwrap().is_sound());
    let finding = &document.findings()[0];
    assert_eq!(&text[finding.offset..finding.offset + finding.length], "2");
}

#[test]
fn what_stands_outside_or_is_no_segment_is_told() {
    let text = ORDER.replace("UNH+1", "BGM+1'UNH+1").replace("BGM+220", "bgm+220");
    assert_eq!(codes(&Document::read(text.as_bytes()).unwrap()), "33 BGM, 12 UNH+1+ORDERS/?");
}

#[test]
fn a_document_that_ends_too_early_is_cut_off_where_it_ends() {
    for (text, by, at) in [
        (&ORDER[..ORDER.len() - 8], "UNB", ORDER.len() - 8),
        (&ORDER[..60], "UNH", 60),
        ("UNH+1+ORDERS:D:96A:UN'UNH+2+ORDERS:D:96A:UN'UNT+2+2'", "UNH", 22),
    ] {
        match Document::read(text.as_bytes()) {
            Err(Error::CutOff { opened_by, offset, .. }) => {
                assert_eq!((opened_by, offset), (by, at), "{text}")
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(Document::read(b" \r\n").unwrap_err(), Error::Empty);
    assert_eq!(Document::read(b"ISA*00*").unwrap_err(), Error::NotEdifact { offset: 0 });
}

#[test]
fn character_sets_are_read_by_their_syntax_identifier() {
    let text = |syntax: &str, value: &[u8]| {
        let mut bytes =
            format!("UNB+{syntax}:3+S+R+261120:1405+9'UNH+1+ORDERS:D:96A:UN'FTX+AAA+++").into_bytes();
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"'UNT+3+1'UNZ+1+9'");
        let document = Document::read(&bytes).unwrap();
        let read = document.messages().next().unwrap().segments().get(1).unwrap().value(4, 1).into_owned();
        (read, codes(&document))
    };
    for (syntax, value, expected) in [
        ("UNOA", "Größe".as_bytes(), "Größe"),
        ("UNOC", b"Gr\xF6\xDFe", "Größe"),
        ("UNOD", b"\xA3\xF3d\xBC", "Łódź"),
        ("UNOE", b"\xBC\xDE\xE1\xDA\xD2\xD0", "Москва"),
        ("UNOF", b"\xC1\xE8\xDE\xED\xE1", "Αθήνα"),
        ("UNOK", b"\xDDzmir", "İzmir"),
        ("UNOL", b"5 \xA4", "5 €"),
        ("UNOW", "Łódź".as_bytes(), "Łódź"),
    ] {
        assert_eq!(text(syntax, value), (expected.to_owned(), String::new()), "{syntax}");
    }
    assert_eq!(text("UNO?", b"a").1, "46 UNB/1/1");
}

#[test]
fn paths_name_pack_line_and_repeat() {
    let text =
        b"UNH+1+DESADV:D:96A:UN'BGM+351'CPS+1'CPS+2+1'LIN+1'QTY+12:1'QTY+21:2'LIN+2'QTY+12:3'UNT+10+1'";
    let document = Document::read(text).unwrap();
    let message = document.messages().next().unwrap();
    let paths: Vec<_> = message.segments().iter().map(|segment| message.path(segment, 0, 0)).collect();
    let within: Vec<_> = paths.iter().map(|path| path.trim_start_matches("UNH+1+DESADV")).collect();
    let expected = [
        "",
        "/BGM",
        "/CPS[1]",
        "/CPS[2]",
        "/CPS[2]/LIN[1]",
        "/CPS[2]/LIN[1]/QTY[1]",
        "/CPS[2]/LIN[1]/QTY[2]",
        "/CPS[2]/LIN[2]",
        "/CPS[2]/LIN[2]/QTY",
        "/UNT",
    ];
    assert_eq!(within, expected);
    assert_eq!(
        message.path(message.segments().get(5).unwrap(), 1, 2),
        "UNH+1+DESADV/CPS[2]/LIN[1]/QTY[1]/1/2"
    );
}

#[test]
fn a_value_that_the_character_set_lacks_is_not_written() {
    let envelope = Envelope {
        syntax: "UNOC",
        version: "3",
        sender: ("S", ""),
        recipient: ("R", ""),
        date: "261120",
        time: "1405",
        reference: "1",
        test: false,
    };
    for value in ["Łódź", "a\nb"] {
        let mut writer = Writer::new(&envelope).unwrap();
        writer.message("1", &["ORDERS", "D", "96A", "UN"]).unwrap();
        let wrong = writer.segment("FTX", &[&["AAA"], &[], &[], &[value]]).unwrap_err();
        assert!(matches!(wrong, WriteError::Character { element: 4, .. }), "{wrong}");
    }
    let long = Envelope { reference: "123456789012345", ..envelope };
    assert!(matches!(Writer::new(&long), Err(WriteError::Envelope { element: "0020", .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(head in "(UNA:\\+\\.\\?.')?(UNB\\+UNOA:3\\+S\\+R\\+261120:1405\\+9')?(UNH\\+1\\+X:D')?", tail in proptest::collection::vec(prop_oneof![Just(b'\''), Just(b'+'), Just(b':'), Just(b'?'), Just(b'*'), Just(b'U'), Just(b'N'), any::<u8>()], 0..80)) {
        let mut bytes = head.into_bytes();
        bytes.extend(tail);
        if let Ok(document) = Document::read(&bytes) {
            for message in document.messages() {
                for segment in message.segments().iter() {
                    let _ = message.path(segment, 1, 1);
                    for element in segment.elements() {
                        let _ = element.repetitions().flat_map(|one| one.components().map(|part| part.value().len()).collect::<Vec<_>>()).count();
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_written_reads_the_same(values in proptest::collection::vec("[ -~À-ÿ]{0,12}", 1..6)) {
        let envelope = Envelope { syntax: "UNOC", version: "4", sender: ("S?+", "14"), recipient: ("R", ""), date: "20261120", time: "1405", reference: "1", test: true };
        let mut writer = Writer::new(&envelope).unwrap();
        writer.message("7", &["ORDERS", "D", "96A", "UN"]).unwrap();
        let components: Vec<&str> = values.iter().map(|value| value.trim()).collect();
        writer.segment("FTX", &[&["AAA"], &components, &["x"]]).unwrap();
        let bytes = writer.finish().unwrap();
        let document = Document::read(&bytes).unwrap();
        prop_assert_eq!(codes(&document), "");
        let message = document.messages().next().unwrap();
        prop_assert!(message.interchange().is_test());
        let segment = message.segments().get(1).unwrap();
        for (n, value) in components.iter().enumerate() {
            prop_assert_eq!(&*segment.value(2, n + 1), *value);
        }
        prop_assert_eq!(&*segment.value(3, 1), "x");
    }
}
