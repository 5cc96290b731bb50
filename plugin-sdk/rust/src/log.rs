//! A few lines for the mapper's author: bounded, and never shown to partners.

use crate::Severity;

/// Writes a line to the gateway's log of this mapper.
#[cfg(target_arch = "wasm32")]
pub fn write(severity: Severity, message: &str) {
    crate::glue::log(severity, message);
}

/// Writes a line to standard error, in a native build.
#[cfg(not(target_arch = "wasm32"))]
pub fn write(severity: Severity, message: &str) {
    eprintln!("{severity:?}: {message}");
}
