use proptest::prelude::*;

use super::*;

fn shown(content: &str, media_type: &str) -> Vec<String> {
    let leaves = find(content.as_bytes(), media_type);
    leaves
        .iter()
        .map(|leaf| {
            assert!(content.is_char_boundary(leaf.range.start), "{leaf:?}");
            format!("{} = {} @{}", leaf.path, leaf.value, leaf.range.start)
        })
        .collect()
}

#[test]
fn the_values_of_json_are_found_whatever_they_are_called() {
    let content = r#"{"a/b": ["x", 1, {"c": "ü\"y"}], "d": null, "e": "", "f": true}"#;
    assert_eq!(
        shown(content, "application/json"),
        ["/a~1b/0 = x @9", "/a~1b/1 = 1 @14", "/a~1b/2/c = ü\"y @23", "/f = true @59"]
    );
    let kinds: Vec<_> = find(content.as_bytes(), "").into_iter().map(|leaf| leaf.kind).collect();
    assert_eq!(kinds, ["a/b[]", "a/b[]", "a/b[].c", "f"]);
    assert_eq!(shown("{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson"), ["/0/a = 1 @5", "/1/a = 2 @13"]);
    assert_eq!(shown("{\"a\":1,\"b\":", "application/json"), ["/a = 1 @5"]);
    assert_eq!(shown(&"[".repeat(100_000), "application/json"), [""; 0]);
}

#[test]
fn the_elements_of_x12_are_found_with_their_loops_and_without_the_marks() {
    let content = "ISA*00*          *00*          *ZZ*ACME           *ZZ*CROSSDOCK      *260115*1200*U*00401*000000042*0*P*>~\
        GS*SW*ACME*CD*20260115*1200*7*X*004010~ST*945*0001~W06*N*8841~LX*1~W12*CC*24*24**EA~N9*ZZ*free>text~LX*2~\
        N9*LT*L1~SE*8*0001~GE*1*7~IEA*1*000000042~";
    let found = shown(content, "application/edi-x12");
    for leaf in [
        "ISA/13 = 000000042",
        "GE/1 = 1",
        "ST*945*0001/LX[1]/W12/2 = 24",
        "ST*945*0001/LX[1]/N9/2/2 = text",
        "ST*945*0001/LX[2]/N9/2 = L1",
    ] {
        assert!(found.iter().any(|line| line.starts_with(&format!("{leaf} @"))), "{leaf} in {found:#?}");
    }
    assert!(!found.iter().any(|line| line.starts_with("ISA/16")));
    let leaves = find(content.as_bytes(), "");
    let unit = leaves.iter().find(|leaf| leaf.value == "EA").unwrap();
    assert_eq!((unit.kind.as_str(), unit.group.as_deref()), ("W12[5]", Some("W12")));
    let lot = leaves.iter().find(|leaf| leaf.value == "L1").unwrap();
    assert_eq!((lot.kind.as_str(), lot.group.as_deref()), ("N9*LT[2]", Some("N9*LT")));
}

#[test]
fn the_components_of_edifact_are_found_and_released_marks_divide_nothing() {
    let content = "UNA:+.? 'UNB+UNOC:3+A?+B+C'\nUNH+1+DESADV:D'BGM+351+8841'LIN+1++4012345678901:SRV'QTY+12:24'\
        LIN+2'QTY+12:5:PCE'UNT+7+1'UNZ+1+1'";
    let found = shown(content, "");
    for leaf in [
        "UNB/2 = A?+B",
        "UNH+1+DESADV/BGM[1]/2 = 8841",
        "UNH+1+DESADV/LIN[1]/3/1 = 4012345678901",
        "UNH+1+DESADV/LIN[2]/QTY[1]/1/2 = 5",
        "UNZ/1 = 1",
    ] {
        assert!(found.iter().any(|line| line.starts_with(&format!("{leaf} @"))), "{leaf} in {found:#?}");
    }
}

#[test]
fn the_texts_and_attributes_of_xml_are_found() {
    let content = "<?xml version=\"1.0\"?><!-- <no/> --><A xmlns=\"u:n\" b='1'><C>x &amp; y</C>\n<C><![CDATA[<z>]]></C><D/></A>";
    assert_eq!(
        shown(content, "application/xml"),
        ["/A/@b = 1 @53", "/A/C[1] = x & y @59", "/A/C[2] = <z> @85"]
    );
    let leaves = find(content.as_bytes(), "");
    let changed = String::from_utf8(leaves[1].changed(content.as_bytes()).remove(0)).unwrap();
    assert!(changed.contains("<C>x &amp; z</C>"), "{changed}");
}

#[test]
fn the_cells_of_csv_are_found_by_row_and_name() {
    let content = "order;\"qty\";note\r\n8841;24;\"a;\n\"\"b\"\"\"\r\n8842;;x";
    assert_eq!(
        shown(content, "text/csv"),
        [
            "2/order = 8841 @18",
            "2/qty = 24 @23",
            "2/note = a;\n\"b\" @27",
            "3/order = 8842 @38",
            "3/note = x @44"
        ]
    );
}

#[test]
fn what_is_not_understood_has_no_leaves() {
    for content in ["", "   ", "hello", "\u{feff}"] {
        assert_eq!(find(content.as_bytes(), "application/octet-stream"), [], "{content}");
    }
}

/// Replacing a leaf keeps every other byte, and every other leaf.
fn hold(content: &[u8], media_type: &str) {
    let leaves = find(content, media_type);
    let (mut end, mut line) = (0, 0);
    for leaf in &leaves {
        assert!(leaf.range.start >= end && leaf.range.end <= content.len(), "{leaf:?} after {end}");
        (end, line) = (leaf.range.end, line + 1);
        for changed in leaf.changed(content) {
            assert_ne!(changed, content);
            assert_eq!(changed[..leaf.range.start], content[..leaf.range.start]);
            assert!(changed.ends_with(&content[leaf.range.end..]));
            let again = find(&changed, media_type);
            let others = |leaves: &[Leaf]| -> Vec<String> {
                let mut values: Vec<_> = leaves.iter().map(|leaf| leaf.value.clone()).collect();
                if values.len() >= line {
                    values.remove(line - 1);
                }
                values
            };
            // A truth that became null is no leaf any more.
            if again.len() == leaves.len() {
                assert_eq!(others(&again), others(&leaves));
            } else {
                assert_eq!(again.len() + 1, leaves.len(), "{}", readable(&changed));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn replacing_a_leaf_of_json_keeps_all_else(texts in proptest::collection::vec("[a-z0-9A-Z ü\"\\\\/-]{0,12}", 1..8), number in any::<i32>(), truth in any::<bool>()) {
        let value = serde_json::json!({"texts": texts, "number": number, "truth": truth, "float": f64::from(number) / 7.0});
        hold(value.to_string().as_bytes(), "application/json");
        hold(&serde_json::to_vec_pretty(&value).unwrap(), "application/json");
    }

    #[test]
    fn replacing_a_leaf_of_x12_keeps_all_else(values in proptest::collection::vec("[a-zA-Z0-9 >.-]{0,9}", 1..12)) {
        let body = format!("ST*945*0001~W12*{}~SE*3*0001~", values.join("*"));
        hold(body.as_bytes(), "application/edi-x12");
    }

    #[test]
    fn replacing_a_leaf_of_edifact_keeps_all_else(values in proptest::collection::vec("([a-zA-Z0-9 .:-]|\\?[+:'?]){0,9}", 1..12)) {
        hold(format!("UNH+1+DESADV'FTX+{}'UNT+3+1'", values.join("+")).as_bytes(), "");
    }

    #[test]
    fn replacing_a_leaf_of_xml_keeps_all_else(values in proptest::collection::vec("[a-zA-Z0-9 .&<>\"'-]{0,9}", 1..8)) {
        let inner: String = values.iter().map(|value| {
            let text = String::from_utf8(xml::encode(value.as_bytes())).unwrap();
            format!("<v a=\"{text}\">{text}</v>")
        }).collect();
        hold(format!("<all>{inner}</all>").as_bytes(), "application/xml");
    }

    #[test]
    fn replacing_a_leaf_of_csv_keeps_all_else(rows in proptest::collection::vec(("[a-z0-9 .]{0,6}", "[a-z0-9,;\n\" ]{0,6}"), 1..6)) {
        let text: String =
            rows.iter().map(|(plain, quoted)| format!("{plain},\"{}\"\n", quoted.replace('"', "\"\""))).collect();
        hold(format!("one,two\n{text}").as_bytes(), "text/csv");
    }

    #[test]
    fn no_bytes_make_the_finder_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), begin in "(ISA\\*|UNA|UNB\\+|<a|<|\\{\"|\\[|)") {
        for media_type in ["", "text/csv", "application/json"] {
            let content = [begin.as_bytes(), &bytes].concat();
            for leaf in find(&content, media_type) {
                leaf.changed(&content);
            }
        }
    }
}
