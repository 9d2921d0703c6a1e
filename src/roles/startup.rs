//! What roles do before they begin.

use super::Failure;
use crate::{
    deployment::Deployment,
    store::{Store, migrations::Schema},
};
use rand::random_range;
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a database that does not answer is given: when everything starts at once it may be the last to be up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the database answers, and makes sure that its schema is this version's.
pub async fn ready_database(deployment: &Deployment, migrate: bool) -> Result<(), Failure> {
    match &deployment.file {
        // Nobody will bring up a file.
        Some(file) => deployment
            .store
            .ping()
            .await
            .map_err(|error| Failure::new(format!("can't open {}: {error}", file.display())))?,
        None => until_it_answers(&deployment.store).await?,
    }
    if migrate || deployment.migrates_itself() {
        deployment.store.migrate().await?;
    }
    match deployment.store.schema().await? {
        Schema::Current => Ok(()),
        Schema::Behind => Err(Failure::new(
            "the database is older than this program: run `shakerqueue migrate` (or `serve --migrate`)",
        )),
        Schema::Ahead => {
            Err(Failure::new("the database is newer than this program: run the program's newer version"))
        }
    }
}

/// Asks again while the database is away.
async fn until_it_answers(store: &Store) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut said = false;
    loop {
        match store.ping().await {
            Err(error) if error.may_pass() && Instant::now() < deadline => {
                if !said {
                    tracing::warn!(%error, "waiting for the database for up to {} s", PATIENCE.as_secs());
                    said = true;
                }
                sleep(Duration::from_millis(random_range(200..600))).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Listens there, or says why not.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::new(format!("can't listen on {address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
