//! A profile for this package alone, as Cargo.toml has it, makes cargo forget that the names of functions are to be left
//! out of the module. The linker is told here.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|machine| machine == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--strip-all");
    }
}
