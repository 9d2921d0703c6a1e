//! The command line.

use crate::{
    config::{Logging, Serving, Working},
    roles, telemetry,
};
use clap::{Parser, Subcommand};

/// The order engine of a bar: takes cocktail orders, loses none, makes none twice.
#[derive(Debug, Parser)]
#[command(version = env!("VERSION_AND_REVISION"), about, arg_required_else_help = true, after_help = telemetry::HELP)]
pub struct Cli {
    #[command(subcommand)]
    role: Role,

    /// How it logs.
    #[command(flatten)]
    pub logging: Logging,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Answers the HTTP API; without a broker it also records the orders it takes.
    Serve(Box<Serving>),
    /// Takes orders from the broker and stores them; run more of it to store more.
    Work(Working),
    /// Migrates the database and fills it: the menu, and an account for each role. Safe to repeat.
    Seed(roles::seed::Seeding),
    /// Brings the database to this version's schema; on PostgreSQL also makes the role that `serve` and `work` use.
    Migrate(roles::migrate::MigrateArgs),
    /// Shows accepted orders that could not be stored, and decides about them.
    DeadLetters(roles::dead_letters::Deciding),
    /// Asks a running role whether it is well; exits with 1 if not.
    Health(roles::health::Asking),
    /// Prints the HTTP API's description (OpenAPI 3.1).
    Openapi,
}

impl Cli {
    /// Plays the role that was asked for, to its end.
    pub async fn run(self) -> Result<(), roles::Failure> {
        match self.role {
            Role::Serve(serving) => roles::serve::run(*serving).await,
            Role::Work(working) => roles::work::run(working).await,
            Role::Seed(seeding) => roles::seed::run(seeding).await,
            Role::Migrate(args) => roles::migrate::run(args).await,
            Role::DeadLetters(deciding) => roles::dead_letters::run(deciding).await,
            Role::Health(asking) => roles::health::run(asking).await,
            Role::Openapi => roles::openapi::run(),
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
