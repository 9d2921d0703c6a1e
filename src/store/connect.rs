//! Opens either database. What differs between them when connecting is here.

use super::{Conn, Error, PgConn, Pools, Pulse, Result, SqliteConn, Store, blocking};
use diesel::ConnectionError;
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool},
};
use futures_util::FutureExt;
use rand::random_range;
use secrecy::{ExposeSecret, SecretString};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore, time::sleep};

/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(2);
/// How long to wait for a new one to open.
const CONNECT: Duration = Duration::from_secs(3);

/// FULL: what was answered must survive a power cut, so each commit reaches the disk. The log is copied into the file every
/// 16 MiB: more often costs more flushes. (`fullfsync` is for macOS, where a flush otherwise stops at the drive's cache.)
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
                            PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                            PRAGMA wal_autocheckpoint = 4000; PRAGMA fullfsync = ON;";

impl Store {
    /// A SQLite database in a file, which is made when missing. The file is first opened when it is needed.
    /// Must be called on the runtime that its work shall run on.
    pub fn sqlite(path: &Path, connections: usize) -> Result<Self> {
        let mut config = ManagerConfig::<SqliteConn>::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(|path| {
            let path = path.to_owned();
            let opened = blocking(async move {
                let mut conn = SqliteConn::establish(&path).await?;
                set_up(&mut conn).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            });
            opened.map(|opened| opened.unwrap_or_else(|error| Err(bad(&error)))).boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(path.to_string_lossy(), config);
        Ok(Self::new(Pools::Sqlite(pool(manager, connections)?), Pulse::of_a_file()))
    }

    /// A PostgreSQL database. The server is first asked when it is needed; a URL that can't be read is refused now.
    /// Must be called on the runtime that its work shall run on.
    pub fn postgres(url: &SecretString, connections: usize) -> Result<Self> {
        // The error is not passed on: it may hold parts of the URL.
        let parsed: tokio_postgres::Config =
            url.expose_secret().parse().map_err(|_| Error::unavailable("the URL can't be read"))?;
        let mut config = ManagerConfig::<PgConn>::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(|url| {
            let url = url.to_owned();
            async move { pg_connection(&url, "-c statement_timeout=5000 -c lock_timeout=3000").await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url.expose_secret(), config);
        Ok(Self::new(Pools::Pg(pool(manager, connections)?, url.clone()), Pulse::of(&parsed)))
    }

    fn new(pools: Pools, pulse: Pulse) -> Self {
        Self {
            pools,
            runtime: Handle::current(),
            sqlite_writer: Arc::new(Semaphore::new(1)),
            pulse,
            write_failed: Arc::default(),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read(|conn| {
            async move {
                match conn {
                    Conn::Pg(conn) => conn.batch_execute("SELECT 1").await?,
                    Conn::Sqlite(conn) => conn.batch_execute("SELECT 1").await?,
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Closes the connections as they come back. Work after this fails.
    pub fn close(&self) {
        match &self.pools {
            Pools::Pg(pool, _) => pool.close(),
            Pools::Sqlite(pool) => pool.close(),
        }
    }
}

/// Sets a connection to SQLite up. A new file's first two connections may both want to switch it to WAL, and then SQLite refuses
/// one at once instead of waiting for its busy timeout: tried again within the time that connecting may take.
async fn set_up(conn: &mut SqliteConn) -> diesel::QueryResult<()> {
    for _ in 0..30 {
        match conn.batch_execute(SQLITE_SETUP).await {
            Err(error) if error.to_string() == "database is locked" => {
                sleep(Duration::from_millis(random_range(20..100))).await;
            }
            done => return done,
        }
    }
    conn.batch_execute(SQLITE_SETUP).await
}

/// Opens one connection to PostgreSQL that notices when its server is gone.
pub(super) async fn pg_connection(url: &str, options: &str) -> Result<PgConn, ConnectionError> {
    let mut config: tokio_postgres::Config = url.parse().map_err(|error| bad(&error))?;
    let options = match config.get_options() {
        Some(given) => format!("{options} {given}"),
        None => options.to_owned(),
    };
    config
        .options(options)
        .application_name("shakerqueue")
        .connect_timeout(CONNECT)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(|error| bad(&error))?;
    PgConn::try_from_client_and_connection(client, connection).await
}

fn bad(error: &dyn std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(with_causes(error))
}

/// An error with what caused it: tokio-postgres itself only says "db error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn pool<C>(manager: AsyncDieselConnectionManager<C>, connections: usize) -> Result<Pool<C>>
where
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    Pool::builder(manager)
        .max_size(connections)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(WAIT))
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(Error::unavailable)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_new_file_may_be_opened_by_many_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("bar.db");
            let opened = join_all((0..6).map(|_| {
                let store = Store::sqlite(&file, 1).unwrap();
                tokio::spawn(async move { store.ping().await })
            }));
            for opened in opened.await {
                opened.unwrap().unwrap();
            }
        }
    }
}
