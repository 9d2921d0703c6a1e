//! `shakerqueue migrate`

use super::{Failure, say, startup};
use crate::{config::Servers, deployment::Deployment};

/// Brings the database to this version's schema.
pub async fn run(servers: Servers) -> Result<(), Failure> {
    let deployment = Deployment::choose(&Servers { amqp_url: None, ..servers })?;
    startup::ready_database(&deployment, true).await?;
    say("the database is up to date");
    Ok(())
}
