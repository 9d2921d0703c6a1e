//! Parses the command line and plays the role.

use clap::Parser;
use shakerqueue::{cli::Cli, telemetry};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start();
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("shakerqueue: {failure}");
            ExitCode::FAILURE
        }
    }
}
