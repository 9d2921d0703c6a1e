//! `shakerqueue migrate`

use super::{Failure, say, startup};
use crate::{config::Database, deployment::Deployment};

/// Brings the database to this version's schema.
pub async fn run(database: Database) -> Result<(), Failure> {
    let deployment = Deployment::database(database)?;
    startup::ready_database(&deployment, true).await?;
    say("the database is up to date");
    Ok(())
}
