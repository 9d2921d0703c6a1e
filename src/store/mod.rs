//! PostgreSQL or SQLite through Diesel: one schema, one migrations folder, queries written once.
//!
//! Query functions take a [`Conn`]; whoever calls them owns the transaction. All database work runs as tasks of the main
//! runtime, never inside a request's own future: a client that goes away can cancel its request, but not
//! half of a transaction.

pub mod app_role;
mod append_only;
pub mod audit;
pub mod cancellations;
pub mod census;
mod connect;
pub mod dead_letters;
mod error;
mod in_place;
pub mod keys;
pub mod lists;
pub mod login_attempts;
pub mod migrations;
pub mod moves;
pub mod not_taken;
pub mod open_orders;
pub mod orders;
mod pulse;
mod recipe_keys;
pub mod recipes;
pub mod record;
#[allow(clippy::wildcard_imports, reason = "printed by the Diesel CLI")]
mod schema;
pub mod sessions;
pub mod settings;
pub mod sql_types;
mod stored;
pub mod users;

pub use error::{Error, Result, Unique};

use crate::telemetry::{
    Scope,
    traces::{Kind, Span},
};
use in_place::{InPlace, blocking};
use pulse::Pulse;

use deadpool::Status;
use diesel::{SqliteConnection, connection::AnsiTransactionManager};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, TransactionManager,
    pooled_connection::deadpool::{Object, Pool},
    sync_connection_wrapper::SyncConnectionWrapper,
};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

type PgConn = AsyncPgConnection;
type SqliteConn = SyncConnectionWrapper<SqliteConnection, InPlace>;
type PgTransaction = <PgConn as AsyncConnection>::TransactionManager;
type SqliteTransaction = <SqliteConn as AsyncConnection>::TransactionManager;

/// The longest that the statements of one piece of database work may take together; to wait for its turn or for a connection
/// it has as long again at most.
pub const DEADLINE: Duration = Duration::from_secs(6);

/// How long work goes on before the server is asked whether it is there at all.
const UNASKED: Duration = Duration::from_millis(500);

/// A database, whichever it is. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    /// The runtime that database work runs on.
    runtime: Handle,
    /// SQLite has one writer at a time. Waiting here is fair and costs no thread.
    sqlite_writer: Arc<Semaphore>,
    pulse: Pulse,
    /// Set by a transaction that failed for a reason that may pass, until one is known to be kept.
    write_failed: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Pools {
    /// With its URL, for connections that don't belong in the pool.
    Pg(Pool<PgConn>, SecretString),
    Sqlite(Pool<SqliteConn>),
}

/// The connections of one process to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open, and unused.
    pub idle: usize,
    /// Open, and doing something.
    pub in_use: usize,
    /// How many there may be.
    pub most: usize,
    /// Pieces of work that wait for one.
    pub waiting: usize,
}

/// A connection to whichever database it is.
#[expect(clippy::large_enum_variant, reason = "there are as many as connections, each in one task")]
pub enum Conn {
    /// To PostgreSQL.
    Pg(Object<PgConn>),
    /// To SQLite.
    Sqlite(Object<SqliteConn>),
}

/// Runs one Diesel query on whichever database `$conn` speaks to.
macro_rules! on {
    ($conn:expr, $c:ident => $query:expr) => {
        match $conn {
            $crate::store::Conn::Pg(object) => {
                let $c = &mut **object;
                $query.await
            }
            $crate::store::Conn::Sqlite(object) => {
                let $c = &mut **object;
                $query.await
            }
        }
    };
}
pub(crate) use on;

impl Store {
    /// Runs `work` on a connection, each of its statements by itself.
    pub async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.run(false, work).await
    }

    /// Runs `work` in one transaction: kept if it succeeds, undone if it fails.
    pub async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let outcome = self.run(true, work).await;
        if outcome.as_ref().is_err_and(Error::may_pass) {
            self.write_failed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Returns whether a transaction failed, and none is known to have been kept since: the database may answer all questions
    /// and keep nothing, because its disk is full or it is a standby.
    pub fn write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Relaxed)
    }

    /// Notes that a change was kept. A transaction that succeeds says it not by itself: it may have had nothing to change.
    pub fn note_written(&self) {
        self.write_failed.store(false, Ordering::Relaxed);
    }

    async fn run<T, W>(&self, transaction: bool, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        if self.pulse.is_gone() {
            return Err(Error::unavailable("the server does not answer"));
        }
        let (store, scope) = (self.clone(), Scope::current());
        let late = move |error: Error| if transaction { error.while_committing() } else { error };
        let mut task = self.runtime.spawn(async move {
            let turn = if transaction { store.turn_to_write().await? } else { None };
            let outcome = match store.conn().await? {
                Conn::Sqlite(conn) => {
                    // It can't be called off: it has its connection and its turn until it ends.
                    let work = async move {
                        let _turn = turn;
                        Conn::Sqlite(conn).run(transaction, scope, work).await
                    };
                    timeout(DEADLINE, blocking(work)).await.map(Result::flatten)
                }
                mut conn @ Conn::Pg(_) => {
                    let outcome = timeout(DEADLINE, conn.run(transaction, scope, work)).await;
                    if outcome.is_err() {
                        // Nobody knows what state it is in: the next user must not get it.
                        conn.discard();
                    }
                    outcome
                }
            };
            outcome.unwrap_or_else(|_| Err(late(Error::unavailable("a deadline passed"))))
        });
        loop {
            match timeout(UNASKED, &mut task).await {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(error)) => return Err(late(Error::unavailable(error))),
                Err(_) if self.pulse.beats(&self.runtime).await => {}
                // The task goes on to its own deadline, without anybody who waits for it.
                Err(_) => return Err(late(Error::unavailable("the server does not answer"))),
            }
        }
    }

    async fn turn_to_write(&self) -> Result<Option<OwnedSemaphorePermit>> {
        if matches!(self.pools, Pools::Pg(..)) {
            return Ok(None);
        }
        match timeout(DEADLINE, Arc::clone(&self.sqlite_writer).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            Ok(Err(error)) => Err(Error::unavailable(error)),
            Err(_) => Err(Error::unavailable("too many writers wait")),
        }
    }

    /// Its connections now.
    pub fn connections(&self) -> Connections {
        let Status { max_size, size, available, waiting } = match &self.pools {
            Pools::Pg(pool, _) => pool.status(),
            Pools::Sqlite(pool) => pool.status(),
        };
        Connections { idle: available, in_use: size.saturating_sub(available), most: max_size, waiting }
    }

    async fn conn(&self) -> Result<Conn> {
        Ok(match &self.pools {
            Pools::Pg(pool, _) => Conn::Pg(pool.get().await?),
            Pools::Sqlite(pool) => Conn::Sqlite(pool.get().await?),
        })
    }
}

impl Conn {
    async fn run<T, W>(&mut self, transaction: bool, scope: Scope, work: W) -> Result<T>
    where
        W: for<'c> FnOnce(&'c mut Self) -> BoxFuture<'c, Result<T>>,
    {
        let name = if transaction { "transaction" } else { "read" };
        let mut span = Span::below(&scope.place, Kind::Client, name);
        span.set("db.system.name", self.system());
        let scope = if span.is_recorded() { scope.at(span.place()) } else { scope };
        let work = async { if transaction { self.transaction(work).await } else { work(self).await } };
        let outcome = scope.run(work).await;
        if let Err(error) = &outcome {
            span.failed(error.kind());
        }
        outcome
    }

    /// Its database, as OpenTelemetry names it.
    fn system(&self) -> &'static str {
        match self {
            Self::Pg(_) => "postgresql",
            Self::Sqlite(_) => "sqlite",
        }
    }

    async fn transaction<T, W>(&mut self, work: W) -> Result<T>
    where
        W: for<'c> FnOnce(&'c mut Self) -> BoxFuture<'c, Result<T>>,
    {
        self.begin().await?;
        match work(self).await {
            Ok(value) => self.commit().await.map(|()| value).map_err(Error::while_committing),
            // What went wrong first is what the caller needs to know; a connection that can't even roll
            // back is broken, and the pool drops it.
            Err(error) => self.rollback().await.and(Err(error.clone())).map_err(|_| error),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        match self {
            Self::Pg(conn) => PgTransaction::begin_transaction(&mut **conn).await?,
            // IMMEDIATE: a deferred transaction that later writes fails at once when another one is writing.
            Self::Sqlite(conn) => {
                let begin =
                    |conn: &mut _| AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE");
                conn.spawn_blocking(begin).await?;
            }
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        let _span = Span::here(Kind::Client, "COMMIT");
        match self {
            Self::Pg(conn) => PgTransaction::commit_transaction(&mut **conn).await?,
            Self::Sqlite(conn) => SqliteTransaction::commit_transaction(&mut **conn).await?,
        }
        Ok(())
    }

    async fn rollback(&mut self) -> Result<()> {
        match self {
            Self::Pg(conn) => PgTransaction::rollback_transaction(&mut **conn).await?,
            Self::Sqlite(conn) => SqliteTransaction::rollback_transaction(&mut **conn).await?,
        }
        Ok(())
    }

    /// Closes the connection instead of giving it back to its pool.
    fn discard(self) {
        match self {
            Self::Pg(conn) => drop(Object::take(conn)),
            Self::Sqlite(conn) => drop(Object::take(conn)),
        }
    }
}
