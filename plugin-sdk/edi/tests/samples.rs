//! Real documents of many senders, read in place; their oddities are findings and never stand in the way.

use std::path::{Path, PathBuf};

use crossdock_edi::edifact;
use crossdock_edi::x12::{Document, Severity};

/// The folder of samples, or nothing where it is absent and nobody demands it.
fn samples() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let folder = std::env::var_os("CROSSDOCK_SAMPLES").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no samples at {}", folder.display());
    eprintln!("skipped: no samples at {}", folder.display());
    None
}

#[test]
fn every_real_interchange_is_read_whole() {
    let Some(folder) = samples() else { return };
    let mut read = 0;
    for family in ["x12-ack", "x12-trade", "x12-transport", "x12-warehouse"] {
        for file in std::fs::read_dir(folder.join(family)).expect("the family is there") {
            let path = file.expect("a file").path();
            let bytes = std::fs::read(&path).expect("readable");
            let document =
                Document::read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let errors: Vec<_> =
                document.findings().iter().filter(|finding| finding.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
            let ids: Vec<_> = document.sets().map(|set| set.id().into_owned()).collect();
            assert!(!ids.is_empty(), "{name}");
            assert!(ids.iter().all(|id| name.starts_with(id.as_str())), "{name} holds {ids:?}");
            assert!(document.sets().all(|set| set.segments().len() > 2), "{name}");
            read += 1;
        }
    }
    assert!(read >= 33, "only {read} documents");
}

#[test]
fn the_oddities_of_real_documents_are_found() {
    let Some(folder) = samples() else { return };
    for (file, sets, codes) in [
        ("x12-transport/214-canadapost-multi-st.txt", 19, ""),
        ("x12-ack/999-partial.edi", 1, ""),
        ("x12-ack/997-accepted-backtick.edi", 1, ""),
        ("x12-trade/180-return-lowes.txt", 1, ""),
        ("x12-trade/856-x12types-2.edi", 1, "set-count"),
        ("x12-trade/865-order-change.txt", 1, "interchange-control-number"),
        ("x12-transport/204-catalyst.edi", 1, "segment-count"),
        (
            "x12-transport/310-ocean-bl.edi",
            1,
            "segment-count set-control-number group-control-number interchange-control-number",
        ),
        ("x12-warehouse/940-wrong-counts.edi", 1, "set-count group-count interchange-control-number"),
        ("x12-warehouse/940-x12types-1.edi", 1, "group-control-number interchange-control-number"),
        ("x12-warehouse/945-x12types-waqe.edi", 1, "segment-count"),
    ] {
        let bytes = std::fs::read(folder.join(file)).expect("readable");
        let document = Document::read(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(document.sets().count(), sets, "{file}");
        let found: Vec<_> = document.findings().iter().map(|finding| finding.code).collect();
        assert_eq!(found.join(" "), codes, "{file}");
    }
}

#[test]
fn real_edifact_is_read_whole_or_refused_where_it_breaks_off() {
    let Some(folder) = samples() else { return };
    for (file, expected) in [
        ("aperak-d96a.edi", "cut-off at 21"),
        ("aperak-rejected-v3.edi", "APERAK, 29 UNH+1+APERAK/UNT/1"),
        ("baplie-d95b-smdg.edi", "BAPLIE"),
        ("coprar-d95b.edi", "COPRAR, 29 UNH+638+COPRAR/UNT/1"),
        ("cuscar-d95b.edi", ", 13 UNH+201701191AB652+/2/1, 29 UNH+201701191AB652+/UNT/1"),
        ("ifcsum-d01b.edi", "IFCSUM, 29 UNH+1+IFCSUM/UNT/1"),
        ("iftmin-d01b-eancom.edi", "IFTMIN"),
        ("invoic-d03b-una-star.txt", "INVOIC, 29 UNH+30+INVOIC/UNT/1"),
        ("orders-d03b-smooks.txt", "ORDERS"),
        ("orders-d96a-kramp.edi", "cut-off at 1194"),
        ("orders-una-comma.edi", "cut-off at 367"),
    ] {
        let bytes = std::fs::read(folder.join("edifact").join(file)).expect("readable");
        let found = match edifact::Document::read(&bytes) {
            Err(error) => format!("{} at {}", error.code(), error.offset()),
            Ok(document) => {
                let kinds = document.messages().map(|message| message.kind().into_owned());
                let told = document.findings().iter();
                let told = told.map(|finding| format!("{} {}", finding.standard_code, finding.path));
                kinds.chain(told).collect::<Vec<_>>().join(", ")
            }
        };
        assert_eq!(found, expected, "{file}");
    }
}
