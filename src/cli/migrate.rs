//! `shakerqueue migrate`

use super::{
    error::{CliError, say},
    startup,
};
use crate::{cli::deployment::Deployment, config::Database, store::migrations::app_role::RoleName};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

/// Which database to migrate, and for whom.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: Database,

    /// A role of PostgreSQL for `serve` and `work`, with the password in `APP_ROLE_PASSWORD`: made, or brought up to date. It may
    /// read and write rows and nothing else, so the database's owner is needed for migrating and seeding only.
    #[arg(long, env = "APP_ROLE", value_name = "NAME")]
    app_role: Option<RoleName>,

    /// Prefer the variable: a flag shows in the list of processes.
    #[arg(long, env = "APP_ROLE_PASSWORD", value_name = "PASSWORD", hide_env_values = true, hide = true)]
    app_role_password: Option<SecretString>,
}

/// Brings the database to this version's schema, and makes the role that uses it.
pub async fn run(args: MigrateArgs) -> Result<(), CliError> {
    let password = args.app_role_password.filter(|password| !password.expose_secret().is_empty());
    let app_role = match (args.app_role, password) {
        (Some(name), Some(password)) => Some((name, password)),
        (Some(_), None) => {
            return Err(CliError::new("--app-role (or APP_ROLE) needs APP_ROLE_PASSWORD beside it"));
        }
        (None, Some(_)) => {
            return Err(CliError::new("APP_ROLE_PASSWORD needs --app-role NAME (or APP_ROLE) beside it"));
        }
        (None, None) => None,
    };
    let deployment = Deployment::database(args.database)?;
    if app_role.is_some() {
        deployment.need_roles()?;
    }
    startup::ready_database(&deployment, true).await?;
    if let Some((name, password)) = app_role {
        deployment
            .store
            .grant_app_role(&name, &password)
            .await
            .map_err(|error| CliError::new(error.to_string()))?;
        say(format_args!("the role {name} may read and write rows"));
    }
    say("the database is up to date");
    Ok(())
}
