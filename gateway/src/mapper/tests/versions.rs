//! Two versions of the contract on one host. `crossdock:mapper@1.1.0` is made up here: its context has a `locale` more,
//! and its mappers may import `units`. All that it takes is one entry of the table.

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lower, WasmStr},
};

use super::*;
use contract::{Exports, V1_0, export, look_up, write_log};

static BOTH: &[&Contract] = &[&V1_0, &V1_1];

static V1_1: Contract = Contract {
    name: "crossdock:mapper@1.1.0",
    imports: &[
        "crossdock:mapper/log@1.1.0",
        "crossdock:mapper/tables@1.1.0",
        "crossdock:mapper/types@1.1.0",
        "crossdock:mapper/units@1.1.0",
    ],
    exports: V1_0.exports,
    link: |linker| {
        linker.instance("crossdock:mapper/types@1.1.0")?;
        linker.instance("crossdock:mapper/tables@1.1.0")?.func_wrap("lookup", look_up)?;
        linker.instance("crossdock:mapper/log@1.1.0")?.func_wrap("write", write_log)?;
        linker.instance("crossdock:mapper/units@1.1.0")?.func_wrap("known", is_known)
    },
    check: |engine, code| {
        type From<'a> = (ContextIn<'a>, Vec<wire::RecordedIn<'a>>);
        type Ended<'a> = (ContextIn<'a>, Vec<wire::OutcomeIn<'a>>);
        Ok(Exports {
            to_canonical: export::<ToParams<'_>, wire::ToResult>(engine, code, "to-canonical")?,
            from_canonical: export::<From<'_>, wire::FromResult>(engine, code, "from-canonical")?,
            acknowledge: export::<Ended<'_>, wire::AcknowledgeResult>(engine, code, "acknowledge")?,
        })
    },
    to_canonical: |component, desk, order, context, document| {
        let input = (ContextIn::new(context), wire::DocumentIn::new(document));
        let index = component.exports.to_canonical;
        // SAFETY: `check` above checked the export at this index against these types.
        unsafe { component.run::<ToParams<'_>, wire::ToResult>(desk, index, order, input) }
    },
    from_canonical: |_, _, _, _, _| Raw::failed(Failure::Broken),
    acknowledge: |_, _, _, _, _| Raw::failed(Failure::Broken),
};

type ToParams<'a> = (ContextIn<'a>, wire::DocumentIn<'a>);

#[derive(ComponentType, Lower)]
#[component(record)]
struct ContextIn<'a> {
    partner: &'a str,
    sender: &'a str,
    receiver: &'a str,
    operation: &'a str,
    version: &'a str,
    stage: wire::WireStage,
    #[component(name = "received-at")]
    received_at: String,
    zone: Option<&'a str>,
    #[component(name = "control-numbers")]
    control_numbers: Vec<(&'a str, &'a str)>,
    part: Option<wire::PartIn<'a>>,
    config: &'a [u8],
    more: Vec<(&'a str, &'a str)>,
    locale: Option<&'a str>,
}

impl<'a> ContextIn<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            partner: &context.partner,
            sender: &context.sender,
            receiver: &context.receiver,
            operation: &context.operation,
            version: &context.version,
            stage: wire::WireStage::Request,
            received_at: context.received_at.to_string(),
            zone: context.zone.as_deref(),
            control_numbers: Vec::new(),
            part: None,
            config: &context.config,
            more: Vec::new(),
            locale: Some("de-DE"),
        }
    }
}

fn is_known(store: StoreContextMut<'_, call::State>, (unit,): (WasmStr,)) -> wasmtime::Result<(bool,)> {
    Ok((unit.to_str(&store)? == "EA",))
}

/// One event of kind "k", version "1", whose data is what is at this place in the parameters.
fn answers(offset: usize) -> String {
    format!(
        "(i32.store (i32.const 2052) (i32.const 3072)) (i32.store (i32.const 2056) (i32.const 1))
         (i32.store (i32.const 3072) (i32.const 3200)) (i32.store (i32.const 3076) (i32.const 1))
         (i32.store (i32.const 3080) (i32.const 3201)) (i32.store (i32.const 3084) (i32.const 1))
         (i32.store (i32.const 3136) (i32.load offset={offset} (local.get $in)))
         (i32.store (i32.const 3140) (i32.load offset={} (local.get $in)))
         (i32.const 2048)",
        offset + 4
    )
}

/// A component of the newer version, with the contract's name as its manifest says it.
fn newer(to: &str, contract: &str) -> Bytes {
    let units = r#"(import "crossdock:mapper/units@1.1.0" (instance (export "known" (func (param "unit" string) (result bool)))))"#;
    let text = include_str!("guest.wat")
        .replace("@1.0.0", "@1.1.0")
        .replace(
            "(field \"more\" (list $pair))))\n    (export \"context\"",
            "(field \"more\" (list $pair)) (field \"locale\" (option string))))\n    (export \"context\"",
        )
        .replace(";;IMPORTS", units)
        .replace(";;FIELDS", r#"(data (i32.const 3200) "k1")"#)
        .replace(";;TO", to)
        .replace(";;FROM", EMPTY)
        .replace(";;ACKNOWLEDGE", EMPTY);
    let manifest =
        Manifest { name: MapperName::new("newer").unwrap(), contract: contract.to_owned(), ..manifest() };
    with_manifest(&wat::parse_str(text).unwrap(), &manifest).into()
}

fn older(to: &str) -> Bytes {
    Guest { fields: r#"(data (i32.const 3200) "k1")"#, to, ..Guest::default() }.wasm()
}

#[test]
fn mappers_of_two_versions_of_the_contract_run_side_by_side() {
    let house = House::serving(2, 64 << 20, 8, false, BOTH);
    let data = |wasm: Bytes| {
        let drafts = house.map(wasm, roomy(), b"the document").unwrap().value.drafts;
        String::from_utf8_lossy(&drafts[0].data).chars().take(40).collect::<String>()
    };
    // In the newer version a field more lies before the document, and holds the locale.
    assert_eq!(data(older(&answers(136))), "the document");
    assert_eq!(data(newer(&answers(152), V1_1.name)), "the document");
    assert_eq!(data(newer(&answers(132), V1_1.name)), "de-DE");
    assert_eq!(data(older(&answers(136))), "the document");
    // What is common to both stays common: limits, pool, figures, and the second door.
    let endless = house.map(newer("(loop $again (br $again)) (unreachable)", V1_1.name), strict(), b"x");
    assert!(matches!(endless, Err(Failure::Limit { which: Which::Cpu, .. })), "{endless:?}");
    let figures = house.host.figures();
    let counted = figures.iter().find(|figures| figures.mapper == "newer").unwrap();
    assert_eq!(counted.calls[..2], [("mapped", 2), ("refused", 0)]);
    assert_eq!(counted.limits[1], ("cpu", 1));
    let wasm = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    let manifest = Manifest { contract: V1_1.name.to_owned(), ..manifest() };
    house.load(with_manifest(&wasm, &manifest).into()).unwrap();
}

#[test]
fn a_mapper_is_held_to_the_version_that_it_names() {
    let house = House::serving(1, 64 << 20, 8, false, BOTH);
    let told = |wasm: Bytes| house.load(wasm).unwrap_err().to_string();
    let mixed = told(newer(EMPTY, V1_0.name));
    assert!(mixed.starts_with("the mapper imports `crossdock:mapper/log@1.1.0`"), "{mixed}");
    let unknown = told(newer(EMPTY, "crossdock:mapper@2.0.0"));
    assert!(unknown.contains("serves `crossdock:mapper@1.0.0` and `crossdock:mapper@1.1.0`"), "{unknown}");
    // A host of one version does not know the other.
    let told = super::house().load(newer(EMPTY, V1_1.name)).unwrap_err().to_string();
    assert!(told.contains("this gateway serves `crossdock:mapper@1.0.0`"), "{told}");
}
