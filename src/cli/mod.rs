//! The command line.

pub mod dead_letters;
pub mod deployment;
pub mod error;
pub mod health;
pub mod lifecycle;
pub mod migrate;
mod open_files;
pub mod openapi;
pub mod seed;
pub mod serve;
mod startup;
pub mod work;

use crate::{
    config::{Logging, ServeArgs, WorkArgs},
    telemetry,
};
use clap::{Parser, Subcommand};

/// The order engine of a bar: takes cocktail orders, loses none, makes none twice.
#[derive(Debug, Parser)]
#[command(version = env!("VERSION_AND_REVISION"), about, arg_required_else_help = true, after_help = telemetry::HELP)]
pub struct Cli {
    #[command(subcommand)]
    role: Command,

    /// How it logs.
    #[command(flatten)]
    pub logging: Logging,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers the HTTP API; without a broker it also records the orders it takes.
    Serve(Box<ServeArgs>),
    /// Takes orders from the broker and stores them; run more of it to store more.
    Work(WorkArgs),
    /// Migrates the database and fills it: the menu, and an account for each role. Safe to repeat.
    Seed(seed::SeedArgs),
    /// Brings the database to this version's schema; on PostgreSQL also makes the role that `serve` and `work` use.
    Migrate(migrate::MigrateArgs),
    /// Shows accepted orders that could not be stored, and decides about them.
    DeadLetters(dead_letters::DeadLetterArgs),
    /// Asks a running role whether it is well; exits with 1 if not.
    Health(health::HealthArgs),
    /// Prints the HTTP API's description (OpenAPI 3.1).
    Openapi,
}

impl Cli {
    /// Plays the role that was asked for, to its end.
    pub async fn run(self) -> Result<(), error::CliError> {
        match self.role {
            Command::Serve(serving) => serve::run(*serving).await,
            Command::Work(working) => work::run(working).await,
            Command::Seed(seeding) => seed::run(seeding).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::DeadLetters(deciding) => dead_letters::run(deciding).await,
            Command::Health(asking) => health::run(asking).await,
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
