//! Opens either database, with everything in which connecting differs between them.

use super::sqlite_files::SqliteFiles;
use crate::{
    store::{
        Conn, Error, LivenessProbe, PgConn, Pools, Result, SqliteConn, Store, TRANSACTION_TIMEOUT, blocking,
        changes,
        postgres::{ConnectError, Fitness, UrlError, check, parse, pg_connection},
    },
    util::backoff::jittered,
};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool},
};
use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    time::sleep,
};
use tokio_postgres::config::Config;

/// Time limit for checking whether a pooled connection can be reused.
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(2);

const SETUP_DELAY: Duration = Duration::from_millis(100);
const MAX_SETUP_RETRIES: u32 = 30;

/// PostgreSQL session options: time limits for the statements of a request, in ms.
const SESSION_OPTIONS: &str = "-c statement_timeout=5000 -c lock_timeout=3000";

/// `synchronous = FULL`: an acknowledged change must survive a power cut, so each commit reaches the disk.
/// The write-ahead log is copied into the database file every 16 MiB: more often costs more flushes.
/// (`fullfsync` is for macOS, whose flush otherwise stops at the drive's cache.) The query opens the log, so
/// that its inode is known.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
                            PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                            PRAGMA wal_autocheckpoint = 4000; PRAGMA fullfsync = ON; \
                            SELECT count(*) FROM sqlite_master;";

impl Store {
    /// Makes a store in a SQLite file, which is created if missing. The file is opened at first use. Must be
    /// called on the runtime that database work shall run on.
    pub fn sqlite(path: &Path, connections: usize) -> Result<Self> {
        let mut config = ManagerConfig::<SqliteConn>::default();
        config.recycling_method = RecyclingMethod::Fast;
        let files = Arc::new(SqliteFiles::new(path));
        let opening = Arc::clone(&files);
        config.custom_setup = Box::new(move |path| {
            let (path, files) = (path.to_owned(), Arc::clone(&opening));
            let opened = blocking(async move {
                // SQLite would create a new file in place of a removed one.
                files.check().map_err(|error| bad(&error))?;
                let mut conn = SqliteConn::establish(&path).await?;
                set_up(&mut conn).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                conn.set_instrumentation(files.opened().map_err(|error| bad(&error))?);
                Ok(conn)
            });
            opened.map(|opened| opened.unwrap_or_else(|error| Err(bad(&error)))).boxed()
        });
        // Prefixed with the directory, because SQLite gives some names a meaning (`:memory:`, `file:…`).
        let name = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
        let manager = AsyncDieselConnectionManager::new_with_config(name.to_string_lossy(), config);
        Ok(Self::new(Pools::Sqlite(pool(manager, connections)?, files), LivenessProbe::for_file()))
    }

    /// Makes a store in a PostgreSQL database. The server is contacted at first use; an unusable URL is
    /// rejected here. Must be called on the runtime that database work shall run on.
    pub fn postgres(url: &SecretString, connections: usize) -> Result<Self, UrlError> {
        let config = Arc::new(parse(url.expose_secret())?);
        let liveness = LivenessProbe::for_servers(&config);
        let pool = pg_pool(&config, SESSION_OPTIONS, &liveness, connections, None);
        let pool = pool.map_err(|error| UrlError::new(error.to_string()))?;
        Ok(Self::new(Pools::Pg(pool, config), liveness))
    }

    /// Checks, before anything is written, that this program can work with the database. SQLite always
    /// passes.
    pub async fn fitness(&self) -> Result<Fitness> {
        match &self.pools {
            Pools::Pg(_, config) => check(config).await,
            Pools::Sqlite(..) => Ok(Fitness::Fit),
        }
    }

    /// Returns the fault of the SQLite files, if they are why work fails.
    pub fn file_fault(&self) -> Option<Arc<str>> {
        match &self.pools {
            Pools::Pg(..) => None,
            Pools::Sqlite(_, files) => files.fault().map(|error| error.to_string().into()),
        }
    }

    fn new(pools: Pools, liveness: LivenessProbe) -> Self {
        Self {
            pools,
            runtime: Handle::current(),
            sqlite_writer: Arc::new(Semaphore::new(1)),
            liveness,
            write_failed: Arc::default(),
            connection_freed: Arc::default(),
            full_server_queue: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// Returns a store on the same database with a connection of its own, which calls `notified` when another
    /// process tells of a change ([`changes::notify`]). A SQLite file has no such processes.
    pub fn listening(&self, notified: &Arc<Notify>) -> Result<Self> {
        let Pools::Pg(_, config) = &self.pools else { return Ok(self.clone()) };
        let pool = pg_pool(config, SESSION_OPTIONS, &self.liveness, 1, Some(Arc::clone(notified)))?;
        Ok(Self {
            pools: Pools::Pg(pool, Arc::clone(config)),
            // While the server is full, the connections of requests come first.
            connection_freed: Arc::default(),
            full_server_queue: Arc::default(),
            ..self.clone()
        })
    }

    /// Waits until a transaction of this process was committed.
    pub async fn committed(&self) {
        self.changed.notified().await;
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read(async |conn| {
            match conn {
                Conn::Pg(conn) => conn.batch_execute("SELECT 1").await?,
                Conn::Sqlite(conn) => conn.batch_execute("SELECT 1").await?,
            }
            Ok(())
        })
        .await
    }

    /// Closes the pool; connections in use close when they are returned. Later work fails.
    pub fn close(&self) {
        match &self.pools {
            Pools::Pg(pool, _) => pool.close(),
            Pools::Sqlite(pool, _) => pool.close(),
        }
    }
}

/// Configures a SQLite connection. When two connections switch a new file to WAL at once, SQLite refuses one
/// immediately instead of honouring `busy_timeout`, so this tries again within the time that connecting may
/// take.
async fn set_up(conn: &mut SqliteConn) -> diesel::QueryResult<()> {
    for _ in 0..MAX_SETUP_RETRIES {
        match conn.batch_execute(SQLITE_SETUP).await {
            Err(error) if error.to_string() == "database is locked" => sleep(jittered(SETUP_DELAY)).await,
            outcome => return outcome,
        }
    }
    conn.batch_execute(SQLITE_SETUP).await
}

fn bad(error: &dyn std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}

/// Makes a pool of PostgreSQL connections with these session options. Those with a listener tell it that
/// another process changed something.
pub(crate) fn pg_pool(
    config: &Arc<Config>,
    options: &'static str,
    liveness: &LivenessProbe,
    connections: usize,
    listener: Option<Arc<Notify>>,
) -> Result<Pool<PgConn>> {
    let mut setup = ManagerConfig::<PgConn>::default();
    setup.recycling_method = RecyclingMethod::Fast;
    let (config, liveness) = (Arc::clone(config), liveness.clone());
    setup.custom_setup = Box::new(move |_| {
        let (config, liveness, listener) = (Arc::clone(&config), liveness.clone(), listener.clone());
        async move { open(&config, options, &liveness, listener).await }.boxed()
    });
    pool(AsyncDieselConnectionManager::new_with_config(String::new(), setup), connections)
}

/// Opens a connection, and gives up as soon as the server is found not to answer.
async fn open(
    config: &Config,
    options: &str,
    liveness: &LivenessProbe,
    listener: Option<Arc<Notify>>,
) -> ConnectionResult<PgConn> {
    let runtime = Handle::current();
    let opening = async {
        let listens = listener.is_some();
        let mut conn = pg_connection(config, options, listener).await?;
        if listens {
            let listening = conn.batch_execute(changes::LISTEN).await;
            listening.map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(conn)
    };
    tokio::select! {
        biased;
        opened = opening => opened,
        () = liveness.until_down(&runtime, || true) => Err(ConnectError::TimedOut.into()),
    }
}

fn pool<C>(manager: AsyncDieselConnectionManager<C>, connections: usize) -> Result<Pool<C>>
where
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    Pool::builder(manager)
        .max_size(connections)
        .wait_timeout(Some(TRANSACTION_TIMEOUT))
        .create_timeout(Some(TRANSACTION_TIMEOUT))
        .recycle_timeout(Some(RECYCLE_TIMEOUT))
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(Error::unavailable)
}

#[cfg(test)]
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
