//! `shakerqueue seed`

use super::{Failure, startup};
use crate::{config::Servers, deployment::Deployment, domain::account::Email, seed};
use clap::Args;
use secrecy::SecretString;
use std::path::PathBuf;

/// What to fill the database with.
#[derive(Debug, Args)]
pub struct Seeding {
    #[command(flatten)]
    servers: Servers,

    /// Another menu, from a JSON file: {"recipes":[{"name":…,"build":…,"glass":…,"ingredients":[…],"method":…}]}.
    #[arg(long, value_name = "FILE")]
    menu: Option<PathBuf>,

    /// An admin's account with the password in `ADMIN_PASSWORD`, instead of the demo accounts with their public passwords.
    #[arg(long, env = "ADMIN_EMAIL", value_name = "EMAIL", requires = "admin_password")]
    admin: Option<String>,

    /// Prefer the variable: a flag shows in the list of processes.
    #[arg(long, env = "ADMIN_PASSWORD", value_name = "PASSWORD", hide_env_values = true, hide = true)]
    admin_password: Option<String>,
}

/// Migrates the database and fills it.
pub async fn run(seeding: Seeding) -> Result<(), Failure> {
    // What can be wrong is found before anything is written.
    let menu = match &seeding.menu {
        Some(file) => seed::menu_from(file).map_err(Failure::new)?,
        None => seed::house_menu().map_err(Failure::new)?,
    };
    let accounts = match (&seeding.admin, seeding.admin_password) {
        (Some(email), Some(password)) => {
            let email = Email::try_from(email.as_str())
                .map_err(|problem| Failure::new(format!("--admin {problem}")))?;
            let password = (&SecretString::from(password))
                .try_into()
                .map_err(|problem| Failure::new(format!("ADMIN_PASSWORD {problem}")))?;
            seed::admin(email, password)
        }
        (None, Some(_)) => {
            return Err(Failure::new("ADMIN_PASSWORD needs --admin EMAIL (or ADMIN_EMAIL) beside it"));
        }
        _ => seed::demo_accounts().map_err(Failure::new)?,
    };
    let deployment = Deployment::choose(&Servers { amqp_url: None, ..seeding.servers })?;
    startup::ready_database(&deployment, true).await?;
    let report = seed::fill(&deployment.store, menu, accounts).await?;
    println!("{report}");
    Ok(())
}
