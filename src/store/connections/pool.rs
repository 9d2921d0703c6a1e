//! Takes connections from the pools, and queues work while the server accepts no further connection.

use crate::store::{
    Conn, Error, PgConn, Pools, Result, Store, TRANSACTION_TIMEOUT, postgres::is_too_many_connections,
};
use crate::{telemetry::log_throttle, util::backoff::jittered};
use deadpool::{
    Status,
    managed::{PoolError as DeadpoolError, Timeouts},
};
use diesel_async::pooled_connection::{
    PoolError as ManagerError,
    deadpool::{Object, Pool, PoolError},
};
use std::time::Duration;
use tokio::{
    sync::MutexGuard,
    time::{Instant, timeout, timeout_at},
};

/// Longest delay before a full server is tried again, unless one of our own connections becomes free earlier.
const FULL_SERVER_DELAY: Duration = Duration::from_millis(300);

/// Reason given to operators while no connection can be opened.
const FULL_SERVER: &str =
    "the server accepts no further connection (max_connections, or the role's CONNECTION LIMIT)";

/// Connections of this process to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    pub idle: usize,
    pub in_use: usize,
    pub most: usize,
    /// Tasks that wait for a connection.
    pub waiting: usize,
}

impl Store {
    pub fn connections(&self) -> ConnectionCounts {
        let Status { max_size, size, available, waiting } = match &self.pools {
            Pools::Pg(pool, _) => pool.status(),
            Pools::Sqlite(pool, _) => pool.status(),
        };
        ConnectionCounts { idle: available, in_use: size.saturating_sub(available), most: max_size, waiting }
    }

    /// Returns whether work waits because the server accepts no further connection.
    pub(crate) fn is_waiting_for_server(&self) -> bool {
        self.full_server_queue.try_lock().is_err()
    }

    /// Takes a connection from the pool, which may open one. Waits up to [`TRANSACTION_TIMEOUT`].
    pub(crate) async fn conn(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Pg(pool, _) => {
                self.pg_conn(pool, Instant::now() + TRANSACTION_TIMEOUT).await.map(Conn::Pg)
            }
            Pools::Sqlite(pool, _) => Ok(Conn::Sqlite(pool.get().await?)),
        }
    }

    /// Takes a connection from a PostgreSQL pool. Keeps trying until the deadline while the server accepts no
    /// further connection.
    pub(crate) async fn pg_conn(&self, pool: &Pool<PgConn>, deadline: Instant) -> Result<Object<PgConn>> {
        // Tasks that wait for a full server come first.
        let mut turn = match self.full_server_queue.try_lock() {
            Ok(_) => None,
            Err(_) => Some(self.queue_for_connection(deadline).await?),
        };
        let mut refusal = None;
        loop {
            let left = Some(deadline.saturating_duration_since(Instant::now()));
            let timeouts = Timeouts { wait: left, create: left, ..pool.timeouts() };
            match pool.timeout_get(&timeouts).await {
                Ok(conn) => return Ok(conn),
                Err(error) if is_full(&error) && Instant::now() < deadline => {
                    if let Some(repeated) = log_throttle::admit(FULL_SERVER) {
                        tracing::warn!(%error, repeated, "{FULL_SERVER}; work waits for a connection");
                    }
                    refusal = Some(error);
                    if turn.is_none() {
                        turn = Some(self.queue_for_connection(deadline).await?);
                    }
                    // A connection may have become free while this task was queued.
                    if pool.status().available == 0 {
                        let _ = timeout(jittered(FULL_SERVER_DELAY), self.connection_freed.notified()).await;
                    }
                }
                Err(DeadpoolError::Timeout(timeout)) => {
                    return Err(no_connection(refusal.unwrap_or(DeadpoolError::Timeout(timeout))));
                }
                Err(error) => return Err(no_connection(error)),
            }
        }
    }

    /// Queues behind the tasks that wait for a full server.
    async fn queue_for_connection(&self, deadline: Instant) -> Result<MutexGuard<'_, ()>> {
        let turn = timeout_at(deadline, self.full_server_queue.lock()).await;
        turn.map_err(|_| Error::unavailable(FULL_SERVER))
    }
}

fn no_connection(error: PoolError) -> Error {
    if is_full(&error) { Error::unavailable(format!("{FULL_SERVER}: {error}")) } else { error.into() }
}

/// Returns whether the server accepts no further connection for now.
fn is_full(error: &PoolError) -> bool {
    match error {
        DeadpoolError::Backend(ManagerError::ConnectionError(error)) => is_too_many_connections(error),
        _ => false,
    }
}
