//! The contract's own types, and the way between them and the SDK's. Only [`crate::export!`] uses it.

use crate::{
    Context, Diagnostic, Event, Input, Location, Mapped, Mapper, Outcome, Output, Pairs, Part, Recorded,
    Refusal, Reject, Severity, Stage,
};

/// Bindings generated from the contract.
#[expect(missing_docs, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "mapper",
        pub_export_macro: true,
        export_macro_name: "export_bindings",
    });
}

use bindings::crossdock::mapper::{log as host_log, tables as host_tables, types as wit};

/// Exports the contract's functions for a mapper.
#[doc(hidden)]
#[macro_export]
macro_rules! export_glue {
    ($mapper:ty) => {
        const _: () = {
            use bindings::crossdock::mapper::types as wit;
            use $crate::glue::bindings;
            struct Exported;
            impl bindings::Guest for Exported {
                fn to_canonical(
                    context: wit::Context,
                    document: wit::Document,
                ) -> Result<wit::Mapped, Vec<wit::Diagnostic>> {
                    $crate::glue::to_canonical::<$mapper>(context, document)
                }
                fn from_canonical(
                    context: wit::Context,
                    events: Vec<wit::RecordedEvent>,
                ) -> Result<wit::Document, Vec<wit::Diagnostic>> {
                    $crate::glue::from_canonical::<$mapper>(context, events)
                }
                fn acknowledge(
                    context: wit::Context,
                    outcomes: Vec<wit::Outcome>,
                ) -> Result<Option<wit::Document>, Vec<wit::Diagnostic>> {
                    $crate::glue::acknowledge::<$mapper>(context, outcomes)
                }
            }
    bindings::export_bindings!(Exported with_types_in $crate::glue::bindings);
        };
    };
}

pub fn to_canonical<M: Mapper>(
    context: wit::Context,
    document: wit::Document,
) -> Result<wit::Mapped, Vec<wit::Diagnostic>> {
    log_panics();
    M::to_canonical(&context.into(), &document.into()).map(Into::into).map_err(Into::into)
}

pub fn from_canonical<M: Mapper>(
    context: wit::Context,
    events: Vec<wit::RecordedEvent>,
) -> Result<wit::Document, Vec<wit::Diagnostic>> {
    log_panics();
    let events: Vec<Recorded> = all(events);
    M::from_canonical(&context.into(), &events).map(Into::into).map_err(Into::into)
}

pub fn acknowledge<M: Mapper>(
    context: wit::Context,
    outcomes: Vec<wit::Outcome>,
) -> Result<Option<wit::Document>, Vec<wit::Diagnostic>> {
    log_panics();
    let outcomes: Vec<Outcome> = all(outcomes);
    M::acknowledge(&context.into(), &outcomes).map(|output| output.map(Into::into)).map_err(Into::into)
}

pub fn lookup(table: &str, key: &[String]) -> Option<Pairs> {
    host_tables::lookup(table, key)
}

pub fn log(severity: Severity, message: &str) {
    host_log::write(severity.into(), message);
}

/// A panic ends the instance; its message and place would be lost without a line in the log.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log(Severity::Error, &panic.to_string())));
}

fn all<A, B: From<A>>(items: Vec<A>) -> Vec<B> {
    items.into_iter().map(Into::into).collect()
}

impl From<Severity> for wit::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
        }
    }
}

impl From<wit::Severity> for Severity {
    fn from(severity: wit::Severity) -> Self {
        match severity {
            wit::Severity::Info => Self::Info,
            wit::Severity::Warning => Self::Warning,
            wit::Severity::Error => Self::Error,
        }
    }
}

impl From<wit::Stage> for Stage {
    fn from(stage: wit::Stage) -> Self {
        match stage {
            wit::Stage::Request => Self::Request,
            wit::Stage::Answer => Self::Answer,
        }
    }
}

macro_rules! same_fields {
    ($($from:ty => $into:ty { $($field:ident),* $(; $($optional:ident),*)? $(| $($list:ident),*)? };)*) => {$(
        impl From<$from> for $into {
            fn from(from: $from) -> Self {
                Self {
                    $($field: from.$field.into(),)*
                    $($($optional: from.$optional.map(Into::into),)*)?
                    $($($list: all(from.$list),)*)?
                }
            }
        }
    )*};
}

same_fields! {
    Location => wit::Location { scheme, path, offset, length };
    wit::Location => Location { scheme, path, offset, length };
    Diagnostic => wit::Diagnostic { severity, code, standard_code, message, more; at };
    wit::Diagnostic => Diagnostic { severity, code, standard_code, message, more; at };
    wit::Part => Part { index, unit, offset, envelope };
    wit::Context => Context { partner, sender, receiver, operation, version, stage, received_at, zone, control_numbers, config, more; part };
    wit::Document => Input { media_type, content, parameters, more };
    Output => wit::Document { media_type, content, parameters, more };
    Event => wit::Event { kind, schema_version, natural_key, order_keys, sequence, corrects, occurred_at, data, more };
    wit::Event => Event { kind, schema_version, natural_key, order_keys, sequence, corrects, occurred_at, data, more };
    wit::RecordedEvent => Recorded { id, source, recorded_at, event };
    Reject => wit::Reject { unit, at, more | diagnostics };
    Mapped => wit::Mapped { more | events, rejects, diagnostics };
    wit::Outcome => Outcome { part, accepted, more | diagnostics };
}

impl From<Refusal> for Vec<wit::Diagnostic> {
    fn from(refusal: Refusal) -> Self {
        all(refusal.0)
    }
}
