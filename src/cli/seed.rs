//! `shakerqueue seed`

use super::{
    error::{CliError, say},
    startup,
};
use crate::{cli::deployment::Deployment, config::Database, domain::account::Email, services::seed};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// What to fill the database with.
#[derive(Debug, Args)]
pub struct SeedArgs {
    #[command(flatten)]
    database: Database,

    /// Another menu, from a JSON file: {"recipes":[{"name":…,"build":…,"glass":…,"ingredients":[…],"method":…}]}.
    #[arg(long, value_name = "FILE")]
    menu: Option<PathBuf>,

    /// An admin's account with the password in `ADMIN_PASSWORD`, instead of the demo accounts with their public passwords.
    #[arg(long, env = "ADMIN_EMAIL", value_name = "EMAIL")]
    admin: Option<String>,

    /// Prefer the variable: a flag shows in the list of processes.
    #[arg(long, env = "ADMIN_PASSWORD", value_name = "PASSWORD", hide_env_values = true, hide = true)]
    admin_password: Option<SecretString>,
}

/// Migrates the database and fills it.
pub async fn run(seeding: SeedArgs) -> Result<(), CliError> {
    // What can be wrong is found before anything is written.
    let menu = match &seeding.menu {
        Some(file) => seed::menu_from(file).map_err(CliError::new)?,
        None => seed::house_menu().map_err(CliError::new)?,
    };
    let email = seeding.admin.filter(|email| !email.is_empty());
    let password = seeding.admin_password.filter(|password| !password.expose_secret().is_empty());
    let (admin, accounts) = match (email, password) {
        (Some(email), Some(password)) => {
            let email = Email::try_from(email.as_str())
                .map_err(|problem| CliError::new(format!("--admin {problem}")))?;
            let password = (&password)
                .try_into()
                .map_err(|problem| CliError::new(format!("ADMIN_PASSWORD {problem}")))?;
            let accounts = seed::admin(email.clone(), password)
                .map_err(|problem| CliError::new(format!("ADMIN_PASSWORD {problem}")))?;
            (Some(email), accounts)
        }
        (Some(_), None) => {
            return Err(CliError::new("--admin (or ADMIN_EMAIL) needs ADMIN_PASSWORD beside it"));
        }
        (None, Some(_)) => {
            return Err(CliError::new("ADMIN_PASSWORD needs --admin EMAIL (or ADMIN_EMAIL) beside it"));
        }
        (None, None) => (None, seed::demo_accounts().map_err(CliError::new)?),
    };
    let deployment = Deployment::database(seeding.database)?;
    startup::ready_database(&deployment, true).await?;
    let report = seed::fill(&deployment.store, menu, accounts).await?;
    say(report);
    if let Some(email) = admin
        && !seed::is_admin(&deployment.store, email.clone()).await?
    {
        let email = email.as_str();
        return Err(CliError::new(format!(
            "{email} has an account that is not an active admin; it stays as it is"
        )));
    }
    Ok(())
}
