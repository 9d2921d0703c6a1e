//! Parses the command line and plays the role.

use clap::Parser;
use mimalloc::MiMalloc;
use shakerqueue::{cli::Cli, telemetry};
use std::process::ExitCode;

// Gives memory back after a rush, and is faster with many threads than most systems' own (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let _flushed = telemetry::start(cli.logging);
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            telemetry::report_failure(&failure);
            ExitCode::FAILURE
        }
    }
}
