//! Arguments to command. The only place that reads the machine's clock and randomness.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use crossdock::{
    cli::{self, Cli},
    words::{SystemClock, SystemRandom},
};

/// A message is read into and written from trees of small values, on several threads: glibc's allocator took a
/// quarter of the CPU of a mapped message.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse(), Arc::new(SystemClock), Arc::new(SystemRandom))
}
