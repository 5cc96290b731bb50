//! Friendly and hostile guests, written as text around one component that has the contract's full types.

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::words::Time;

mod acknowledge;
mod admission;
mod calls;
mod commands;
mod conformance;
mod hostile;
mod queues;
mod versions;

/// A guest: its bodies take the place of the template's comments.
#[derive(Clone, Copy)]
struct Guest<'a> {
    imports: &'a str,
    realloc: &'a str,
    post: &'a str,
    fields: &'a str,
    to: &'a str,
    from: &'a str,
    acknowledge: &'a str,
    exports: &'a str,
}

const EMPTY: &str = "(global.get $empty)";

impl Default for Guest<'_> {
    fn default() -> Self {
        let (to, from, acknowledge) = (EMPTY, EMPTY, EMPTY);
        Self { imports: "", realloc: "", post: "", fields: "", to, from, acknowledge, exports: "" }
    }
}

impl Guest<'_> {
    fn bare(&self) -> Vec<u8> {
        let text = include_str!("guest.wat")
            .replace(";;IMPORTS", self.imports)
            .replace(";;REALLOC", self.realloc)
            .replace("(;POST;)", self.post)
            .replace(";;FIELDS", self.fields)
            .replace(";;TO", self.to)
            .replace(";;FROM", self.from)
            .replace(";;ACKNOWLEDGE", self.acknowledge)
            .replace(";;EXPORTS", self.exports);
        wat::parse_str(text).unwrap()
    }

    fn wasm(&self) -> Bytes {
        with_manifest(&self.bare(), &manifest()).into()
    }
}

fn manifest() -> Manifest {
    serde_json::from_value(serde_json::json!({
        "name": "guest", "version": "1.0.0", "contract": CONTRACT, "language": "text",
        "directions": ["to-canonical", "from-canonical"], "canonical": "v1",
    }))
    .unwrap()
}

fn to(body: &str) -> Bytes {
    Guest { to: body, ..Guest::default() }.wasm()
}

/// Limits that a busy machine cannot make a friendly guest meet.
fn roomy() -> Limits {
    Limits { cpu: Duration::from_secs(5), wall_ratio: 1_000, ..Limits::default() }
}

/// Ten milliseconds of CPU as usual, but any time by the clock on the wall, for the same reason.
fn strict() -> Limits {
    Limits { wall_ratio: 10_000, ..Limits::default() }
}

fn call(limits: Limits) -> Call {
    call_of("acme-3pl", limits)
}

fn call_of(partner: &str, limits: Limits) -> Call {
    let context = Context {
        partner: partner.to_owned(),
        sender: "ACME".to_owned(),
        receiver: "GLOBEX".to_owned(),
        operation: "shipments/confirm".to_owned(),
        version: "v2".to_owned(),
        stage: Stage::Request,
        received_at: Time::from_millis(1_795_000_000_000),
        zone: Some("Europe/Berlin".to_owned()),
        control_numbers: vec![("isa13".to_owned(), "000000042".to_owned())],
        config: Bytes::from_static(b"{}"),
    };
    Call { partner: PartnerName::new(partner).unwrap(), context, tables: Arc::default(), limits }
}

fn document(content: impl Into<Bytes>) -> Document {
    Document { media_type: "text/plain".to_owned(), content: content.into(), parameters: Vec::new() }
}

/// A host with its own folder and threads.
struct House {
    host: Arc<Host>,
    runtime: Runtime,
    folder: TempDir,
}

impl House {
    fn new(workers: usize, byte_budget: usize, queue_per_partner: usize) -> Self {
        Self::serving(workers, byte_budget, queue_per_partner, false, SERVED)
    }

    fn serving(
        workers: usize,
        byte_budget: usize,
        queue_per_partner: usize,
        bound_waste: bool,
        contracts: &'static [&'static Contract],
    ) -> Self {
        let settings = |cache, compiler| Settings {
            cache,
            compiler,
            workers,
            byte_budget,
            queue_per_partner,
            bound_waste,
        };
        Self::making(settings, contracts, Code::Fast)
    }

    fn making(
        settings: impl FnOnce(PathBuf, PathBuf) -> Settings,
        contracts: &'static [&'static Contract],
        code: Code,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let compiler = folder.path().join("compiler");
        let exe = std::env::current_exe().unwrap();
        // The test program stands in for the product's: it runs one test, which does what the hidden command does.
        let script = format!(
            "#!/bin/sh\nexec env CROSSDOCK_COMPILES=\"$2\" '{}' --exact {STAND_IN} --nocapture 3>&1 1>/dev/null\n",
            exe.display()
        );
        std::fs::write(&compiler, script).unwrap();
        std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755)).unwrap();
        let cache = folder.path().join("cache");
        let host = Host::serving(settings(cache, compiler), contracts, code).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { host, runtime, folder }
    }

    fn load(&self, wasm: Bytes) -> Result<Mapper, LoadError> {
        self.runtime.block_on(self.host.load(wasm))
    }

    fn map(&self, wasm: Bytes, limits: Limits, content: &[u8]) -> Result<Ran<Mapped>, Failure> {
        let mapper = self.load(wasm).unwrap();
        self.map_with(&mapper, limits, content)
    }

    fn map_with(&self, mapper: &Mapper, limits: Limits, content: &[u8]) -> Result<Ran<Mapped>, Failure> {
        let document = document(content.to_vec());
        self.runtime.block_on(self.host.to_canonical(mapper, call(limits), document))
    }
}

/// The house that most tests share, so that neighbours really are neighbours.
fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| House::new(2, 512 << 20, 256))
}

const STAND_IN: &str = "mapper::tests::stand_in_for_the_compile_command";

#[test]
fn stand_in_for_the_compile_command() {
    let Ok(code) = std::env::var("CROSSDOCK_COMPILES") else { return };
    // SAFETY: the script opened descriptor 3; from here on it is the standard output, without the test's own lines.
    assert_ne!(unsafe { libc::dup2(3, 1) }, -1);
    let code = match compile::child(Code::named(&code).unwrap()) {
        Ok(()) => 0,
        Err(what) => {
            eprintln!("{what}");
            1
        }
    };
    // SAFETY: ends the process at once, before the test harness writes more.
    unsafe { libc::_exit(code) }
}
