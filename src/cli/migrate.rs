//! `shakerqueue migrate`

use super::{
    deployment::Deployment,
    error::{CliError, both_or_none, say},
    startup,
};
use crate::{config::DatabaseArgs, store::migrations::app_role::RoleName};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The PostgreSQL role for `serve` and `work`, with the password in `APP_ROLE_PASSWORD`: it is created, or its privileges are
    /// renewed. It may read and write rows and nothing else, so only migrating and seeding need the database's owner.
    #[arg(long, env = "APP_ROLE", value_name = "NAME")]
    app_role: Option<RoleName>,

    /// Prefer the variable: flags are visible in the list of processes.
    #[arg(long, env = "APP_ROLE_PASSWORD", value_name = "PASSWORD", hide_env_values = true, hide = true)]
    app_role_password: Option<SecretString>,
}

pub(super) async fn run(args: MigrateArgs) -> Result<(), CliError> {
    let password = args.app_role_password.filter(|password| !password.expose_secret().is_empty());
    let app_role =
        both_or_none(("--app-role (or APP_ROLE)", args.app_role), ("APP_ROLE_PASSWORD", password))?;
    let deployment = Deployment::database(args.database)?;
    if app_role.is_some() {
        deployment.need_roles()?;
    }
    startup::ready_database(&deployment, true).await?;
    if let Some((name, password)) = app_role {
        deployment.store.grant_app_role(&name, &password).await?;
        say(format_args!("the role {name} may read and write rows"));
    }
    say("the database is up to date");
    Ok(())
}
