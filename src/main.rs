//! Parses the command line and runs the command.

use clap::Parser;
use mimalloc::MiMalloc;
use shakerqueue::{cli::Cli, telemetry};
use std::process::ExitCode;

// It returns memory after a rush, and with many threads it is faster than most systems' allocators (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let _flush = telemetry::start(cli.logging);
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::report_failure(&error);
            ExitCode::FAILURE
        }
    }
}
