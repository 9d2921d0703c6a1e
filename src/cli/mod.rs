//! The command line: one file for each command, and what they share.

mod dead_letters;
mod deployment;
pub mod error;
mod health;
mod lifecycle;
mod migrate;
mod open_files;
mod openapi;
pub mod seed;
pub mod serve;
mod startup;
mod work;

use crate::{
    config::{LogArgs, ServeArgs, WorkArgs},
    telemetry,
};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version = env!("VERSION_AND_REVISION"), about, arg_required_else_help = true, after_help = telemetry::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    pub logging: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the HTTP API. Without a broker it also records the orders that it accepts.
    Serve(Box<ServeArgs>),
    /// Records orders from the broker. Several processes share the work.
    Work(WorkArgs),
    /// Migrates the database and adds a menu and accounts. Safe to repeat.
    Seed(seed::SeedArgs),
    /// Migrates the database to this version's schema. On PostgreSQL it can also create the role for `serve` and `work`.
    Migrate(migrate::MigrateArgs),
    /// Lists dead letters (accepted orders that could not be recorded), shows them, records them after all, or discards them.
    DeadLetters(dead_letters::DeadLetterArgs),
    /// Asks a running `serve` or `work` for its health. Exits with 1 if it is not healthy.
    Health(health::HealthArgs),
    /// Prints the description of the HTTP API (OpenAPI 3.1).
    Openapi,
}

impl Cli {
    pub async fn run(self) -> Result<(), error::CliError> {
        match self.command {
            Command::Serve(args) => Box::pin(serve::run(*args)).await,
            Command::Work(args) => work::run(args).await,
            Command::Seed(args) => seed::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::DeadLetters(args) => dead_letters::run(args).await,
            Command::Health(args) => health::run(args).await,
            Command::Openapi => openapi::run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
