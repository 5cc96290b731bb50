//! Arguments to command. The only place that reads the machine's clock and randomness.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use crossdock::{
    cli::{self, Cli},
    words::{SystemClock, SystemRandom},
};

fn main() -> ExitCode {
    cli::run(Cli::parse(), Arc::new(SystemClock), Arc::new(SystemRandom))
}
