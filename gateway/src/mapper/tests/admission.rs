//! What is admitted, and what is told to those whose mapper is not.

use super::*;

fn rejected(wasm: impl Into<Bytes>) -> String {
    match house().load(wasm.into()) {
        Err(LoadError::Rejected(rejection)) => rejection.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mapper_is_inspected_without_running_it() {
    let wasm = to("(unreachable)");
    let inspection = Host::inspect(&wasm).unwrap();
    assert_eq!(inspection.obstacles, []);
    assert_eq!(inspection.manifest, Some(manifest()));
    assert_eq!(
        (inspection.kind, inspection.size, inspection.digest),
        (Kind::Component, wasm.len(), Digest::of(&wasm))
    );
    assert_eq!(inspection.exports, ["to-canonical", "from-canonical", "acknowledge"]);
    assert_eq!(inspection.imports.len(), 3);
}

#[test]
fn the_manifest_replaces_the_one_that_was_there() {
    let bare = Guest::default().bare();
    let once = with_manifest(&bare, &manifest());
    let newer = Manifest { version: "1.0.1".to_owned(), ..manifest() };
    let twice = with_manifest(&once, &newer);
    assert_eq!(Host::inspect(&twice).unwrap().manifest, Some(newer));
    assert_eq!(with_manifest(&twice, &manifest()), once);
}

#[test]
fn a_mapper_without_a_manifest_is_told_who_writes_it() {
    assert!(rejected(Guest::default().bare()).contains("`crossdock plugin build` writes it"));
}

#[test]
fn a_manifest_for_another_contract_is_told_which_is_served() {
    let future = Manifest { contract: "crossdock:mapper@99.0.0".to_owned(), ..manifest() };
    let told = rejected(with_manifest(&Guest::default().bare(), &future));
    assert!(told.contains("this gateway serves `crossdock:mapper@1.0.0`"), "{told}");
}

#[test]
fn forbidden_imports_are_named() {
    let imports = r#"(import "wasi:http/outgoing-handler@0.2.0" (instance)) (import "b" (instance))
        (import "c" (instance)) (import "d" (instance))"#;
    let told = rejected(Guest { imports, ..Guest::default() }.wasm());
    assert!(told.contains("`b`, `c`, `d` and 1 more"), "{told}");
}

#[test]
fn a_resource_is_no_name_for_a_known_type() {
    let told =
        rejected(Guest { imports: r#"(import "door" (type (sub resource)))"#, ..Guest::default() }.wasm());
    assert!(told.contains("imports `door`"), "{told}");
}

#[test]
fn more_exports_than_the_contract_are_tolerated() {
    let exports = r#"(func (export "init") (type $to) (canon lift (core func $main "to-canonical") (memory $memory) (realloc $realloc)))"#;
    house().map(Guest { exports, ..Guest::default() }.wasm(), roomy(), b"").unwrap();
}

#[test]
fn missing_and_mistyped_exports_are_named() {
    let text = include_str!("guest.wat").replace(";;ACKNOWLEDGE", EMPTY);
    let with = |text: String| with_manifest(&wat::parse_str(text).unwrap(), &manifest());
    let missing = text.replace(r#"(export "acknowledge") (type $ack)"#, r#"(export "thank") (type $ack)"#);
    let missing = missing.replace(";;TO", EMPTY).replace(";;FROM", EMPTY);
    assert_eq!(rejected(with(missing)), "the mapper does not export `acknowledge`");
    let other = text.replace(r#"(field "media-type" string)"#, r#"(field "mime" string)"#);
    let told = rejected(with(other.replace(";;TO", EMPTY).replace(";;FROM", EMPTY)));
    assert!(
        told.contains("`to-canonical`") && told.contains("media-type") && told.contains("mime"),
        "{told}"
    );
}

#[test]
fn what_is_not_a_component_is_told_what_it_is() {
    let told = |bytes: &[u8]| rejected(bytes.to_vec());
    assert!(told(b"").contains("an empty file"));
    assert!(told(b"(module)").contains("text form"));
    assert!(told(b"\x7fELF\x02\x01").contains("native code"));
    assert!(told(b"<!DOCTYPE html><p>404").contains("HTML"));
    assert!(told(b"\0asm\x01\0\0\0").contains("a WebAssembly module"));
    assert!(told(b"\0asm\x02\0\0\0").contains("not valid"));
    assert_eq!(rejected(vec![0; LARGEST + 1]), "the mapper has 33554433 bytes, 33554432 are allowed");
}

#[test]
fn damaged_copies_never_panic() {
    let wasm = Guest::default().wasm();
    for index in 0..wasm.len() {
        let mut damaged = wasm.to_vec();
        damaged[index] ^= 0x55;
        let _ = Host::inspect(&damaged);
        let _ = Host::inspect(&wasm[..index]);
        let _ = with_manifest(&wasm[..index], &manifest());
    }
}

#[test]
fn too_much_declared_memory_and_too_many_instances_are_refused() {
    let told = rejected(Guest { fields: "(memory $big 1025)", ..Guest::default() }.wasm());
    assert!(told.starts_with("the mapper asks for too much"), "{told}");
    let told = rejected(Guest { fields: "(table $big 10000000 funcref)", ..Guest::default() }.wasm());
    assert!(told.starts_with("the mapper asks for too much"), "{told}");
    let instances = "(core module $tiny) ".to_owned() + &"(core instance (instantiate $tiny)) ".repeat(500);
    let told = rejected(Guest { exports: &instances, ..Guest::default() }.wasm());
    assert!(told.starts_with("the mapper asks for too much"), "{told}");
}

#[test]
fn features_that_are_off_are_refused() {
    for fields in ["(memory $m i64 1)", "(memory $m 1 1 shared)", "(type $s (struct))", "(tag $t)"] {
        let told = rejected(Guest { fields, ..Guest::default() }.wasm());
        assert!(told.contains("not valid at byte"), "{fields}: {told}");
    }
}

#[test]
fn compiled_code_is_kept_and_a_changed_file_is_not_loaded() {
    let house = House::new(1, 64 << 20, 8);
    let wasm = Guest::default().wasm();
    drop(house.load(wasm.clone()).unwrap());
    let cache = house.folder.path().join("cache");
    let kept: Vec<_> = std::fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "native"))
        .collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let compiler = house.folder.path().join("compiler");
    let working = std::fs::read(&compiler).unwrap();
    std::fs::write(&compiler, "#!/bin/sh\necho no compiler today >&2; exit 1\n").unwrap();
    // Without a compiler the kept code still serves.
    drop(house.load(wasm.clone()).unwrap());
    let mut code = std::fs::read(kept).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(kept, code).unwrap();
    // Changed code is compiled anew, so now the compiler is missed.
    assert_eq!(house.load(wasm.clone()).unwrap_err(), LoadError::Compile("no compiler today ".to_owned()));
    std::fs::write(&compiler, working).unwrap();
    house.load(wasm).unwrap();
}

#[test]
fn a_mapper_that_is_loaded_twice_is_one() {
    let wasm = to("(nop) (nop) (global.get $empty)");
    let (first, second) = (house().load(wasm.clone()).unwrap(), house().load(wasm).unwrap());
    assert!(Arc::ptr_eq(&first.0, &second.0));
}

#[test]
fn instructions_are_counted_where_code_is_made_for_it_and_are_always_as_many() {
    let count = |code: Code| {
        let settings = |cache, compiler| Settings {
            cache,
            compiler,
            workers: 1,
            byte_budget: 64 << 20,
            queue_per_partner: 8,
            bound_waste: false,
        };
        let house = House::making(settings, SERVED, code);
        let mapper = house.load(Guest::default().wasm()).unwrap();
        [b"a".as_slice(), b"a"]
            .map(|content| house.map_with(&mapper, Limits::default(), content).unwrap().usage.instructions)
    };
    let [one, again] = count(Code::Counting);
    assert!(one.is_some_and(|count| count > 0), "{one:?}");
    assert_eq!(one, again);
    assert_eq!(count(Code::Fast), [None, None]);
    assert_eq!(count(Code::Hasty), [None, None]);
    for code in [Code::Fast, Code::Counting, Code::Hasty] {
        assert_eq!(Code::named(code.name()), Some(code));
    }
}
