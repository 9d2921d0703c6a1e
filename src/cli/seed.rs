//! `shakerqueue seed`

use super::{
    deployment::Deployment,
    error::{CliError, both_or_none, say},
    startup,
};
use crate::{config::DatabaseArgs, domain::account::Email, services::seed};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct SeedArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// A JSON file with another menu: {"recipes":[{"name":…,"build":…,"glass":…,"ingredients":[…],"method":…}]}.
    #[arg(long, value_name = "FILE")]
    menu: Option<PathBuf>,

    /// The email of an admin account, with the password in `ADMIN_PASSWORD`. It replaces the demo accounts, whose passwords are public.
    #[arg(long, env = "ADMIN_EMAIL", value_name = "EMAIL")]
    admin: Option<String>,

    /// Prefer the variable: flags are visible in the list of processes.
    #[arg(long, env = "ADMIN_PASSWORD", value_name = "PASSWORD", hide_env_values = true, hide = true)]
    admin_password: Option<SecretString>,
}

pub(super) async fn run(args: SeedArgs) -> Result<(), CliError> {
    // Wrong settings are found before anything is written.
    let menu = match &args.menu {
        Some(file) => seed::menu_from(file).map_err(CliError::new)?,
        None => seed::house_menu().map_err(CliError::new)?,
    };
    let email = args.admin.filter(|email| !email.is_empty());
    let password = args.admin_password.filter(|password| !password.expose_secret().is_empty());
    let wrong_password = |problem: &dyn std::fmt::Display| CliError::new(format!("ADMIN_PASSWORD {problem}"));
    let (admin, accounts) =
        match both_or_none(("--admin (or ADMIN_EMAIL)", email), ("ADMIN_PASSWORD", password))? {
            Some((email, password)) => {
                let email = Email::try_from(email.as_str())
                    .map_err(|problem| CliError::new(format!("--admin {problem}")))?;
                let password = (&password).try_into().map_err(|problem| wrong_password(&problem))?;
                let accounts =
                    seed::admin(email.clone(), password).map_err(|problem| wrong_password(&problem))?;
                (Some(email), accounts)
            }
            None => (None, seed::demo_accounts().map_err(CliError::new)?),
        };
    let deployment = Deployment::database(args.database)?;
    startup::ready_database(&deployment, true).await?;
    let report = seed::fill(&deployment.store, menu, accounts).await?;
    say(report);
    match admin {
        Some(email) if !seed::is_admin(&deployment.store, email.clone()).await? => Err(CliError::new(
            format!("the account {} exists and is not an active admin: it was not changed", email.as_str()),
        )),
        _ => Ok(()),
    }
}
