//! Admission by looking: what a file is and what keeps it out, without running or compiling anything of it.

use serde::Serialize;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds, Validator, WasmFeatures};

use super::{
    Cases, clip, command,
    contract::Contract,
    manifest::{Manifest, SECTION},
    sections,
};
use crate::words::Digest;

/// Largest mapper in bytes; the largest that a known toolchain makes is 18 MB.
pub const LARGEST: usize = 32 << 20;

/// Longest name that is repeated in an answer.
const LONGEST_NAME: usize = 120;

/// Why a mapper is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// More bytes than are allowed.
    #[error("the mapper has {size} bytes, {LARGEST} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// Not the binary form of Wasm.
    #[error("this is not a WebAssembly binary but {0}")]
    NotWasm(&'static str),
    /// It breaks the rules of Wasm, or uses a feature that is off.
    #[error("the WebAssembly is not valid at byte {offset}: {what}")]
    Invalid {
        /// Where.
        offset: u64,
        /// Which rule.
        what: String,
    },
    /// Valid Wasm of a kind that is not served.
    #[error(
        "this is a WebAssembly module without the function `_start`: a mapper is a component or a WASI preview 1 command, and `crossdock plugin build` makes both"
    )]
    NotMapper,
    /// It has no manifest.
    #[error(
        "the mapper has no manifest (custom section `crossdock:manifest`); `crossdock plugin build` writes it"
    )]
    NoManifest,
    /// Its manifest cannot be used.
    #[error("the manifest (custom section `crossdock:manifest`) cannot be used: {0}")]
    Manifest(String),
    /// The cases that it carries cannot be used.
    #[error("the cases (custom section `crossdock:cases`) cannot be used: {0}")]
    Cases(String),
    /// It needs what the host does not give.
    #[error(
        "the mapper imports {0}; a mapper gets `tables` and `log` of the contract that it names, nothing else"
    )]
    Imports(String),
    /// The same for a command.
    #[error(
        "the mapper imports {0}; a command module gets `wasi_snapshot_preview1` and `crossdock.lookup`, nothing else"
    )]
    CommandImports(String),
    /// It lacks what the host calls.
    #[error("the mapper does not export {0}")]
    Exports(String),
    /// An export has another type than the contract says.
    #[error("the export `{export}` does not have the type of the contract: {what}")]
    Type {
        /// The export.
        export: &'static str,
        /// What differs.
        what: String,
    },
    /// It asks for more memory, tables or instances than a call may have.
    #[error("the mapper asks for too much: {0}")]
    Needs(String),
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A component: the first door.
    Component,
    /// A WASI preview 1 command module: the second door.
    Command,
    /// Another core module, which is no mapper.
    Module,
}

/// What a file says about itself.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Component, command or module.
    pub kind: Kind,
    /// Its manifest, if it has one that can be used.
    pub manifest: Option<Manifest>,
    /// What it imports, sorted; names for types that are known left out.
    pub imports: Vec<String>,
    /// What it exports, in its order.
    pub exports: Vec<String>,
    /// How many cases it carries.
    pub cases: usize,
    /// Its length in bytes.
    pub size: usize,
    /// Its digest.
    pub digest: Digest,
    /// Everything that keeps it from admission; empty if nothing does.
    pub obstacles: Vec<Rejection>,
}

/// Looks at a file.
pub(super) fn inspect(wasm: &[u8], contracts: &[&Contract]) -> Result<Inspection, Rejection> {
    if wasm.len() > LARGEST {
        return Err(Rejection::TooLarge { size: wasm.len() });
    }
    recognise(wasm)?;
    let invalid = |error: wasmparser::BinaryReaderError| Rejection::Invalid {
        offset: error.offset(),
        what: clip(error.message(), 200),
    };
    Validator::new_with_features(features()).validate_all(wasm).map_err(invalid)?;
    let (kind, mut imports, exports) = surface(wasm).map_err(invalid)?;
    imports.sort_unstable();
    imports.dedup();
    let mut obstacles = Vec::new();
    let manifest = match sections::named(wasm, SECTION).as_slice() {
        [] => Err(Rejection::NoManifest),
        [section] => Manifest::read(section, contracts),
        [..] => Err(Rejection::Manifest("there is more than one".to_owned())),
    };
    match kind {
        Kind::Component => {
            // Without a manifest that can be used, it is held to every version at once.
            let asked = |contract: &&&Contract| {
                manifest.as_ref().is_ok_and(|manifest| manifest.contract == contract.name)
                    || manifest.is_err()
            };
            let allowed: Vec<_> = contracts.iter().filter(asked).collect();
            let known = |import: &str| allowed.iter().any(|contract| contract.imports.contains(&import));
            obstacles.extend(forbidden(&imports, known).map(Rejection::Imports));
            let wanted = allowed.first().map_or(&[][..], |contract| contract.exports);
            obstacles.extend(missing(&exports, wanted));
        }
        Kind::Command => {
            obstacles.extend(forbidden(&imports, command::imports).map(Rejection::CommandImports));
            obstacles.extend(missing(&exports, &command::EXPORTS));
        }
        Kind::Module => obstacles.push(Rejection::NotMapper),
    }
    // A manifest for another contract is why the imports do not fit; that there is none is the last thing to add.
    let manifest = match manifest {
        Ok(manifest) => Some(manifest),
        Err(none @ Rejection::NoManifest) => {
            obstacles.push(none);
            None
        }
        Err(unusable) => {
            obstacles.insert(0, unusable);
            None
        }
    };
    let cases = match Cases::of(wasm) {
        Ok(cases) => cases.map_or(0, |cases| cases.count()),
        Err(what) => {
            obstacles.push(Rejection::Cases(what));
            0
        }
    };
    let (size, digest) = (wasm.len(), Digest::of(wasm));
    Ok(Inspection { kind, manifest, imports, exports, cases, size, digest, obstacles })
}

/// Wasm in its binary form, or what it looks like instead.
fn recognise(wasm: &[u8]) -> Result<(), Rejection> {
    if wasm.starts_with(b"\0asm") {
        return Ok(());
    }
    let start = wasm.trim_ascii_start();
    let lower: Vec<u8> = start.iter().take(16).map(u8::to_ascii_lowercase).collect();
    Err(Rejection::NotWasm(match wasm {
        [] => "an empty file",
        [0x7f, b'E', b'L', b'F', ..] => "native code; only code that this host compiled itself is loaded",
        [0x1f, 0x8b, ..] => "a gzip archive; unpack it first",
        [b'P', b'K', 3, 4, ..] => "a zip archive; unpack it first",
        _ if start.starts_with(b"(") => "its text form; turn it into the binary form first",
        _ if lower.starts_with(b"<!doctype") || lower.starts_with(b"<html") => {
            "an HTML page; the download may have failed"
        }
        _ => "something else",
    }))
}

/// The same features that the engine compiles, so that what is refused is refused here and by name.
fn features() -> WasmFeatures {
    let off = WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::MEMORY64
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_MAP
        | WasmFeatures::CM_IMPLEMENTS;
    WasmFeatures::default().difference(off)
}

type Surface = (Kind, Vec<String>, Vec<String>);

/// Imports and exports of the outermost module or component.
fn surface(wasm: &[u8]) -> wasmparser::Result<Surface> {
    let (mut kind, mut imports, mut exports) = (Kind::Module, Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 && encoding == Encoding::Component {
                    kind = Kind::Component;
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import?;
                    // A name for a type that is known gives a mapper nothing; toolchains import those that a world uses.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        imports.push(clip(import.name.name, LONGEST_NAME));
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(clip(export?.name.name, LONGEST_NAME));
                }
            }
            Payload::ImportSection(section) if depth == 1 => {
                for import in section.into_imports() {
                    let import = import?;
                    imports.push(clip(&format!("{}.{}", import.module, import.name), LONGEST_NAME));
                }
            }
            Payload::ExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(clip(export?.name, LONGEST_NAME));
                }
            }
            _ => {}
        }
    }
    if kind == Kind::Module && exports.iter().any(|export| export == "_start") {
        kind = Kind::Command;
    }
    Ok((kind, imports, exports))
}

fn forbidden(imports: &[String], known: impl Fn(&str) -> bool) -> Option<String> {
    let other: Vec<&str> = imports.iter().map(String::as_str).filter(|import| !known(import)).collect();
    (!other.is_empty()).then(|| listed(&other))
}

fn missing(exports: &[String], wanted: &[&'static str]) -> Option<Rejection> {
    let there = |wanted: &str| exports.iter().any(|export| export == wanted);
    let missing: Vec<&str> = wanted.iter().copied().filter(|wanted| !there(wanted)).collect();
    (!missing.is_empty()).then(|| Rejection::Exports(listed(&missing)))
}

/// The first few, and how many more.
fn listed(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(3);
    let first = first.join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
