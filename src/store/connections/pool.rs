//! Takes connections from the pools.

use crate::store::{
    Conn, Error, PgConn, Pools, Result, Store, TRANSACTION_TIMEOUT, postgres::is_too_many_connections,
};
use crate::telemetry::log_throttle;
use deadpool::{
    Status,
    managed::{PoolError as DeadpoolError, Timeouts},
};
use diesel_async::pooled_connection::{
    PoolError as ManagerError,
    deadpool::{Object, Pool, PoolError},
};
use rand::random_range;
use std::time::Duration;
use tokio::{
    sync::MutexGuard,
    time::{Instant, timeout, timeout_at},
};

/// The pause before a server that lets in nobody else is asked again, unless a connection of ours is free before: this long, to
/// twice as long.
const FULL_SERVER_PAUSE_MILLIS: u64 = 150;

/// The reason that work waits for a connection which can't be opened, for operators.
const FULL_SERVER: &str =
    "the server lets in no more connections (max_connections, or the role's CONNECTION LIMIT)";

/// The connections of one process to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open, and unused.
    pub idle: usize,
    /// Open, and doing something.
    pub in_use: usize,
    /// The most that there may be.
    pub most: usize,
    /// Pieces of work that wait for one.
    pub waiting: usize,
}

impl Store {
    /// Its connections now.
    pub fn connections(&self) -> ConnectionCounts {
        let Status { max_size, size, available, waiting } = match &self.pools {
            Pools::Pg(pool, _) => pool.status(),
            Pools::Sqlite(pool, _) => pool.status(),
        };
        ConnectionCounts { idle: available, in_use: size.saturating_sub(available), most: max_size, waiting }
    }

    /// Takes a connection from the pool, which may open one. Waits for as long as work may wait for its connection.
    pub(crate) async fn conn(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Pg(pool, _) => {
                self.pg_conn(pool, Instant::now() + TRANSACTION_TIMEOUT).await.map(Conn::Pg)
            }
            Pools::Sqlite(pool, _) => Ok(Conn::Sqlite(pool.get().await?)),
        }
    }

    /// Takes a connection from a pool of this server's. Waits until the deadline, also where the server lets in nobody else for
    /// now.
    pub(crate) async fn pg_conn(&self, pool: &Pool<PgConn>, deadline: Instant) -> Result<Object<PgConn>> {
        // Who comes later takes no connection from those in the line.
        let mut turn = match self.full_server_line.try_lock() {
            Ok(_) => None,
            Err(_) => Some(self.turn(deadline).await?),
        };
        let mut refusal = None;
        loop {
            let left = Some(deadline.saturating_duration_since(Instant::now()));
            let timeouts = Timeouts { wait: left, create: left, ..pool.timeouts() };
            match pool.timeout_get(&timeouts).await {
                Ok(conn) => return Ok(conn),
                Err(error) if is_full(&error) && Instant::now() < deadline => {
                    if let Some(repeated) = log_throttle::admit(FULL_SERVER) {
                        tracing::warn!(%error, repeated, "{FULL_SERVER}; work waits for one");
                    }
                    refusal = Some(error);
                    if turn.is_none() {
                        turn = Some(self.turn(deadline).await?);
                    }
                    // While others had their turn one of ours may have become free.
                    if pool.status().available == 0 {
                        let pause = random_range(FULL_SERVER_PAUSE_MILLIS..2 * FULL_SERVER_PAUSE_MILLIS);
                        let _ = timeout(Duration::from_millis(pause), self.freed.notified()).await;
                    }
                }
                Err(DeadpoolError::Timeout(timeout)) => {
                    return Err(no_connection(refusal.unwrap_or(DeadpoolError::Timeout(timeout))));
                }
                Err(error) => return Err(no_connection(error)),
            }
        }
    }

    /// Waits for the others whom a full server let wait before.
    async fn turn(&self, deadline: Instant) -> Result<MutexGuard<'_, ()>> {
        let turn = timeout_at(deadline, self.full_server_line.lock()).await;
        turn.map_err(|_| Error::unavailable(FULL_SERVER))
    }
}

/// Tells why there is no connection.
fn no_connection(error: PoolError) -> Error {
    if is_full(&error) { Error::unavailable(format!("{FULL_SERVER}: {error}")) } else { error.into() }
}

/// Returns whether there is no connection because the server lets in nobody else for now.
fn is_full(error: &PoolError) -> bool {
    match error {
        DeadpoolError::Backend(ManagerError::ConnectionError(error)) => is_too_many_connections(error),
        _ => false,
    }
}
