//! What roles have in common: how they begin, and how they notice that they must end.

use super::error::{CliError, say};
use crate::{
    cli::deployment::Deployment,
    store::{self, Fitness, migrations::Schema},
    util::supervised_tasks::SupervisedTasks,
};
use rand::random_range;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::{
    net::TcpSocket,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long a database that does not answer is given: when everything starts at once it may be the last to be up.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections may wait to be let in.
const BACKLOG: u32 = 1024;

/// Waits until the database answers, and makes sure that it can be worked with and that its schema is this version's.
pub async fn ready_database(deployment: &Deployment, migrate: bool) -> Result<(), CliError> {
    match &deployment.file {
        // Nobody will bring up a file.
        Some(file) => deployment
            .store
            .ping()
            .await
            .map_err(|error| CliError::new(format!("can't open {}: {error}", file.display())))?,
        None => match retry_until_available(|| deployment.store.fitness()).await? {
            Fitness::Fit => retry_until_available(|| deployment.store.ping()).await?,
            Fitness::Unfit(why) => return Err(CliError::new(why)),
        },
    }
    if migrate || deployment.migrates_itself() {
        deployment.store.migrate().await?;
    }
    match retry_until_available(|| deployment.store.schema()).await? {
        Schema::Current => Ok(()),
        Schema::Behind => Err(CliError::new(
            "the database is older than this program: run `shakerqueue migrate` (or `serve --migrate`)",
        )),
        Schema::Ahead => {
            Err(CliError::new("the database is newer than this program: run the program's newer version"))
        }
    }
}

/// Asks the database for something, and again while it is away.
pub async fn retry_until_available<T, F>(ask: impl Fn() -> F) -> Result<T, CliError>
where
    F: Future<Output = store::Result<T>>,
{
    let deadline = Instant::now() + DATABASE_TIMEOUT;
    let mut said = false;
    loop {
        match ask().await {
            Err(error) if error.is_transient() => {
                if Instant::now() >= deadline {
                    return Err(CliError::new(format!(
                        "waited for the database for {} s: {error}",
                        DATABASE_TIMEOUT.as_secs()
                    )));
                }
                if !said {
                    tracing::warn!(%error, "waiting for the database for up to {} s", DATABASE_TIMEOUT.as_secs());
                    said = true;
                }
                sleep(Duration::from_millis(random_range(200..600))).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// An address that is this process's own, and at which nobody is let in yet: until it can answer, clients shall go elsewhere.
pub struct Reserved(TcpSocket);

impl Reserved {
    /// Reserves an address, or says why that is not possible.
    pub fn new(address: SocketAddr) -> Result<Self, CliError> {
        let reserve = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A process that ended a moment ago still counts as its owner otherwise.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(Self(socket))
        };
        reserve().map_err(|error| cannot_listen(address, &error))
    }

    /// Which address it is, with the port that the system chose if none was given.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Lets clients in.
    pub fn listen(self) -> Result<TcpListener, CliError> {
        let address = self.address()?;
        let listener = self.0.listen(BACKLOG).and_then(tokio::net::TcpListener::into_std);
        listener.map_err(|error| cannot_listen(address, &error))
    }
}

/// Says where those are answered who watch over this process.
pub fn say_where(admin: SocketAddr) {
    say(format_args!("ShakerQueue tells its health and metrics on http://{admin}"));
}

/// Runs a server until its handle stops it.
pub async fn run_server(server: impl Future<Output = io::Result<()>>) {
    if let Err(error) = server.await {
        tracing::error!(%error, "a server failed");
    }
}

/// Waits until the role is told to stop. Stops it as failed, which is returned, when one of its tasks ends before.
pub async fn until_stopped(stop: &CancellationToken, tasks: &mut SupervisedTasks) -> Option<CliError> {
    let ended = tokio::select! {
        // First: tasks that were told to stop end as well.
        biased;
        () = stop.cancelled() => return None,
        ended = tasks.first_end() => ended,
    };
    tracing::error!("{ended}: the process stops, to be started anew");
    stop.cancel();
    Some(CliError::new(ended.to_string()))
}

/// Why a role failed that was to stop.
pub fn unfinished(within: Duration) -> CliError {
    CliError::new(format!("not everything was finished within {} s", within.as_secs()))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> CliError {
    CliError::new(format!("can't listen on {address}: {error}"))
}
