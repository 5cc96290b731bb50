//! The second door: WASI preview 1 command modules, for every language that has a compiler to them.
//!
//! The document is on the standard input, the direction and the context are arguments, the answer comes on the
//! standard output, diagnostics as JSON lines on the standard error. `plugin-sdk/README.md` has the convention.

use bytes::Bytes;
use wasmtime::{Extern, ExternType, InstancePre, Linker, Module, ModuleExport, Store, TypedFunc};

use super::{
    Failure, Outcome, Recorded, Rejection,
    call::{Context, Desk, Order, Raw, State, Trace},
    chain, clip,
    manifest::Manifest,
    wire,
};
use crate::words::{Digest, Document};

mod memory;
mod streams;
mod text;
mod wasi;

pub(super) use streams::Streams;
pub(super) use wasi::{imports, linker};

use wasi::Exit;

/// What a command module must export.
pub(super) const EXPORTS: [&str; 2] = ["_start", "memory"];

/// What a document is if neither the mapper nor its manifest says it.
const MEDIA_TYPE: &str = "application/octet-stream";

/// A command module that is ready to be called.
pub(super) struct Command {
    pre: InstancePre<State>,
    start: ModuleExport,
    memory: ModuleExport,
    digest: Digest,
    media_type: String,
}

/// How a command ended, with what it wrote.
struct Ended {
    code: i32,
    streams: Box<Streams>,
}

impl Command {
    /// Makes compiled code ready to be called.
    ///
    /// # Safety
    /// The code must come from our own compiler.
    pub unsafe fn prepare(
        linker: &Linker<State>,
        code: &[u8],
        manifest: &Manifest,
        digest: Digest,
    ) -> Result<Self, Rejection> {
        // SAFETY: the caller vouches for the code.
        let module = unsafe { Module::deserialize(linker.engine(), code) }
            .map_err(|error| Rejection::Needs(clip(&error.root_cause().to_string(), 300)))?;
        let export = |name: &'static str, fits: fn(&ExternType) -> bool, is: &str| {
            let missing = || Rejection::Exports(format!("`{name}`"));
            let ty = module.get_export(name).ok_or_else(missing)?;
            if !fits(&ty) {
                return Err(Rejection::Type { export: name, what: format!("it must be {is}") });
            }
            module.get_export_index(name).ok_or_else(missing)
        };
        let start = export("_start", is_start, "a function without parameters and results")?;
        let memory = export("memory", |ty| matches!(ty, ExternType::Memory(_)), "a memory")?;
        let pre = linker.instantiate_pre(&module).map_err(|error| {
            Rejection::Imports(format!(
                "something of another type than WASI preview 1 says ({})",
                chain(&error)
            ))
        })?;
        let media_type = manifest.writes.first().map_or(MEDIA_TYPE, String::as_str).to_owned();
        Ok(Self { pre, start, memory, digest, media_type })
    }

    /// From a document to canonical events.
    pub fn document_to_events(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        document: &Document,
    ) -> Raw<wire::ToResult> {
        let argument = text::context(context, Some(document), &order.tables);
        let ran = self.run(desk, order, "to-canonical", argument, context, document.content.clone());
        ran.then(|ended| {
            let Ended { code, mut streams } = ended;
            let said = streams.diagnostics();
            if code != 0 {
                return refused(code, said).map(|diagnostics| (Err(diagnostics),));
            }
            let mut mapped = text::mapped(&streams.stdout())?;
            mapped.diagnostics.extend(said);
            Ok((Ok(mapped),))
        })
    }

    /// From canonical events to a document.
    pub fn events_to_document(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        events: &[Recorded],
    ) -> Raw<wire::FromResult> {
        let argument = text::context(context, None, &order.tables);
        let ran = self.run(desk, order, "from-canonical", argument, context, text::recorded(events));
        ran.then(|ended| self.document(ended).map(|document| (document,)))
    }

    /// From outcomes to an acknowledgement. Nothing on the standard output means that there is none.
    pub fn outcomes_to_document(
        &self,
        desk: &Desk,
        order: Order,
        context: &Context,
        outcomes: &[Outcome],
    ) -> Raw<wire::AcknowledgeResult> {
        let argument = text::context(context, None, &order.tables);
        let ran = self.run(desk, order, "acknowledge", argument, context, text::outcomes(outcomes));
        ran.then(|ended| {
            let document = self.document(ended)?;
            Ok((document.map(|document| (!document.content.is_empty()).then_some(document)),))
        })
    }

    /// The document on the standard output, or why there is none. A document with an error in it must not be sent.
    fn document(
        &self,
        Ended { code, mut streams }: Ended,
    ) -> Result<Result<wire::DocumentOut, Vec<wire::DiagnosticOut>>, Failure> {
        let said = streams.diagnostics();
        if code != 0 || said.iter().any(wire::DiagnosticOut::is_error) {
            return refused(code, said).map(Err);
        }
        let about = streams.about();
        let media_type = about.media_type.unwrap_or_else(|| self.media_type.clone());
        let (content, parameters) = (streams.stdout(), about.parameters);
        Ok(Ok(wire::DocumentOut { media_type, content, parameters, more: Vec::new() }))
    }

    fn run(
        &self,
        desk: &Desk,
        order: Order,
        direction: &str,
        argument: String,
        context: &Context,
        stdin: Bytes,
    ) -> Raw<Ended> {
        // What the host wrote for the guest is in memory beside the input that was counted already.
        let Some(_held) = desk.budget.hold(argument.len().saturating_add(stdin.len())) else {
            return Raw::failed(Failure::Overloaded);
        };
        let arguments = ["mapper".to_owned(), direction.to_owned(), argument];
        let streams = Streams::new(streams::Setting {
            memory: self.memory,
            arguments,
            stdin,
            stdout_most: order.ceiling.output_bytes,
            diagnostics_most: order.limits.diagnostics,
            now: context.received_at,
            mapper: self.digest,
        });
        let mut raw = desk.run(order, Some(Box::new(streams)), |store| self.start(store));
        if let Ok(ended) = &raw.value {
            raw.dropped = ended.streams.dropped();
        }
        raw
    }

    fn start(&self, store: &mut Store<State>) -> wasmtime::Result<Ended> {
        let called = self.pre.instantiate(&mut *store).and_then(|instance| {
            let start = instance.get_module_export(&mut *store, &self.start).and_then(Extern::into_func);
            let start = start.ok_or_else(|| wasmtime::Error::msg("the export is gone"))?;
            let start: TypedFunc<(), ()> = start.typed(&*store)?;
            start.call(&mut *store, ())
        });
        let State { streams, log, .. } = store.data_mut();
        let mut streams = streams.take().ok_or_else(|| wasmtime::Error::msg("the streams are gone"))?;
        streams.finish(log);
        match called {
            Ok(()) => Ok(Ended { code: 0, streams }),
            Err(error) => match error.downcast_ref::<Exit>() {
                Some(Exit(code)) => Ok(Ended { code: *code, streams }),
                None => Err(error),
            },
        }
    }
}

fn is_start(ty: &ExternType) -> bool {
    matches!(ty, ExternType::Func(ty) if ty.params().len() == 0 && ty.results().len() == 0)
}

/// What a command refused, or that it failed without saying why.
fn refused(code: i32, said: Vec<wire::DiagnosticOut>) -> Result<Vec<wire::DiagnosticOut>, Failure> {
    if said.iter().any(wire::DiagnosticOut::is_error) {
        return Ok(said);
    }
    let what = format!("it ended with exit code {code} and no diagnostic of severity `error`");
    Err(Failure::Trapped { what, trace: Box::new(Trace::default()) })
}
