//! The start of a command: it waits for the database, and reserves the addresses that it will listen on.

use super::{deployment::Deployment, error::CliError};
use crate::{
    store::{self, Fitness, migrations::Schema},
    util::backoff::Backoff,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::{
    net::TcpSocket,
    time::{Instant, sleep},
};

/// Longest wait for the database: when everything starts at once it may be the last server to be up.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(30);
const DATABASE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(400), Duration::from_millis(800));

const LISTEN_BACKLOG_CONNECTIONS: u32 = 1024;

/// Waits until the database answers, and checks that it is usable and has this version's schema.
pub(super) async fn ready_database(deployment: &Deployment, migrate: bool) -> Result<(), CliError> {
    match &deployment.file {
        // Waiting would not help: nobody else starts a file.
        Some(file) => deployment
            .store
            .ping()
            .await
            .map_err(|error| CliError::new(format!("failed to open {}: {error}", file.display())))?,
        None => match retry_until_available(|| deployment.store.fitness()).await? {
            Fitness::Fit => retry_until_available(|| deployment.store.ping()).await?,
            Fitness::Unfit(why) => return Err(CliError::new(why)),
        },
    }
    let mut schema = retry_until_available(|| deployment.store.schema()).await?;
    // A later version's database is left as it is: an earlier program's rules would undo some of it.
    let may_migrate = matches!(schema, Schema::Behind | Schema::Current);
    if may_migrate && (migrate || deployment.migrates_itself()) {
        deployment.store.migrate().await?;
        schema = retry_until_available(|| deployment.store.schema()).await?;
    }
    match schema {
        Schema::Current => Ok(()),
        Schema::Behind => Err(CliError::new(
            "the database is older than this program: run `shakerqueue migrate` (or `serve --migrate`)",
        )),
        Schema::Ahead => {
            tracing::info!("the database is newer than this program, and this program still works with it");
            Ok(())
        }
        Schema::Incompatible => Err(CliError::new(
            "the database is newer than this program and no longer works with it: run the program's newer version",
        )),
    }
}

/// Runs a query, and repeats it while the database is not available.
pub(super) async fn retry_until_available<T, F>(query: impl Fn() -> F) -> Result<T, CliError>
where
    F: Future<Output = store::Result<T>>,
{
    let deadline = Instant::now() + DATABASE_TIMEOUT;
    let seconds = DATABASE_TIMEOUT.as_secs();
    let mut backoff = DATABASE_BACKOFF;
    let mut is_logged = false;
    loop {
        match query().await {
            Err(error) if error.is_transient() => {
                if Instant::now() >= deadline {
                    return Err(CliError::new(format!(
                        "the database was not available for {seconds} s: {error}"
                    )));
                }
                if !is_logged {
                    tracing::warn!(%error, "waiting for the database for up to {seconds} s");
                    is_logged = true;
                }
                sleep(backoff.next_delay()).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// An address that this process owns, and on which nobody can connect yet: until it can answer, clients must go elsewhere.
pub(super) struct ReservedAddress(TcpSocket);

impl ReservedAddress {
    pub(super) fn new(address: SocketAddr) -> Result<Self, CliError> {
        let reserve = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Otherwise a process that has just ended still counts as the owner.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(Self(socket))
        };
        reserve().map_err(|error| failed_to_listen(address, &error))
    }

    /// Returns the address, with the port that the system chose if none was given.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) fn listen(self) -> Result<TcpListener, CliError> {
        let address = self.address()?;
        let listener = self.0.listen(LISTEN_BACKLOG_CONNECTIONS).and_then(tokio::net::TcpListener::into_std);
        listener.map_err(|error| failed_to_listen(address, &error))
    }
}

fn failed_to_listen(address: SocketAddr, error: &io::Error) -> CliError {
    CliError::new(format!("failed to listen on {address}: {error}"))
}
