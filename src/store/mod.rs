//! PostgreSQL or SQLite through Diesel: one schema, one migrations folder, queries written once.
//!
//! Query functions take a [`Conn`]; their caller owns the transaction. All database work runs as tasks of the
//! main runtime, never inside the future of a request: a client that disconnects may cancel its request, but
//! not half of a transaction.

pub mod audit;
pub mod boards;
pub mod changes;
mod connections;
pub mod counts;
pub mod dead_letters;
mod error;
pub mod idempotency_keys;
pub mod insert_orders;
pub mod instances;
pub mod login_attempts;
pub mod migrations;
pub mod open_orders;
pub mod orders;
mod postgres;
mod query_macros;
pub mod recipes;
#[allow(clippy::wildcard_imports, reason = "printed by the Diesel CLI")]
mod schema;
pub mod sessions;
pub mod settings;
pub mod sql_types;
mod transaction;
pub mod users;

pub use connections::pool::ConnectionCounts;
pub use error::{Error, Result, Unique};
pub use insert_orders::key_conflicts;
pub use postgres::{Fitness, UrlError};
pub(crate) use transaction::transaction_error;
pub use transaction::{TransactionError, Work};

use crate::telemetry::{
    Scope,
    traces::{Span, SpanKind},
};
use connections::attempts::{Mode, Progress};
use connections::liveness::LivenessProbe;
use connections::sqlite_blocking::{InPlace, blocking};
use connections::sqlite_files::SqliteFiles;
use error::SqlState;
use postgres::last_error;
use query_macros::{narrow, narrow_to, on, on_locked};

use diesel::{SqliteConnection, connection::AnsiTransactionManager};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, TransactionManager,
    pooled_connection::deadpool::{Object, Pool},
    sync_connection_wrapper::SyncConnectionWrapper,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::config::Config;

type PgConn = AsyncPgConnection;
type SqliteConn = SyncConnectionWrapper<SqliteConnection, InPlace>;
type PgTransaction = <PgConn as AsyncConnection>::TransactionManager;
type SqliteTransaction = <SqliteConn as AsyncConnection>::TransactionManager;

/// Time limit for all statements of one piece of database work. Waiting for its turn or for a connection has
/// the same limit again.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(6);

/// Database of either kind. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    /// Runtime of all database work.
    runtime: Handle,
    /// SQLite has one writer at a time. This semaphore is fair, and waiting for it occupies no thread.
    sqlite_writer: Arc<Semaphore>,
    liveness: LivenessProbe,
    /// Set by a transaction that failed with a transient error, cleared once a change is known to be
    /// committed.
    write_failed: Arc<AtomicBool>,
    /// Wakes a task that waits for a connection while the server accepts no further one.
    connection_freed: Arc<Notify>,
    /// Queue of those tasks, in order of arrival.
    full_server_queue: Arc<Mutex<()>>,
    /// Wakes the task that tells readers of the feed about a commit.
    changed: Arc<Notify>,
}

#[derive(Clone)]
enum Pools {
    /// With its parsed URL, for connections outside the pool.
    Pg(Pool<PgConn>, Arc<Config>),
    Sqlite(Pool<SqliteConn>, Arc<SqliteFiles>),
}

/// Connection to a database of either kind.
#[expect(clippy::large_enum_variant, reason = "there are as many as connections, each in one task")]
pub enum Conn {
    Pg(Object<PgConn>),
    Sqlite(Object<SqliteConn>),
}

impl Store {
    /// Runs `work` on a connection, without a transaction. It must be read-only, because it is run again on a
    /// new connection if the first is lost.
    pub async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> Work<&'c mut Conn, Result<T>, Future: Send> + Clone + Send + 'static,
    {
        self.run(Mode::Read, work).await?
    }

    /// Runs `work` in a transaction, which commits if it succeeds and rolls back if it fails. It is run again
    /// on a new connection if the first is lost before the commit.
    pub async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> Work<&'c mut Conn, Result<T>, Future: Send> + Clone + Send + 'static,
    {
        self.transaction(work).await
    }

    /// Runs `work` as [`write`](Self::write) does, for a use case with an error of its own: a refusal rolls
    /// back too.
    pub async fn transaction<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send> + Clone + Send + 'static,
    {
        self.run_transaction(Mode::Write, work).await
    }

    /// Runs `work` as [`write`](Self::write) does, for work that may be committed twice: it is run again also
    /// if the connection is lost during the commit.
    pub async fn write_idempotent<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> Work<&'c mut Conn, Result<T>, Future: Send> + Clone + Send + 'static,
    {
        self.run_transaction(Mode::IdempotentWrite, work).await
    }

    async fn run_transaction<T, E, W>(&self, mode: Mode, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send> + Clone + Send + 'static,
    {
        let outcome = self.run(mode, work).await;
        match &outcome {
            Ok(Ok(_)) => self.changed.notify_one(),
            Err(error) if error.is_transient() => self.write_failed.store(true, Ordering::Relaxed),
            Ok(Err(_)) | Err(_) => {}
        }
        outcome?
    }

    /// Returns whether a transaction failed and no change is known to have been committed since. The database
    /// may answer all queries and still reject changes, because its disk is full or it is a standby.
    pub fn write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Relaxed)
    }

    /// Records that a change was committed. Success of a transaction does not imply that, because it may have
    /// had nothing to change.
    pub fn note_written(&self) {
        self.write_failed.store(false, Ordering::Relaxed);
    }

    async fn run<T, E, W>(&self, mode: Mode, work: W) -> Result<Result<T, E>>
    where
        T: Send + 'static,
        E: TransactionError,
        W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send> + Clone + Send + 'static,
    {
        if self.liveness.is_down() {
            return Err(Error::unavailable("the server does not answer"));
        }
        let (store, scope, progress) = (self.clone(), Scope::current(), Arc::new(Progress::default()));
        let going = Arc::clone(&progress);
        let mut task = self.runtime.spawn(async move {
            let transaction = mode.is_transaction();
            let turn = if transaction { store.turn_to_write().await? } else { None };
            let conn = store.conn().await?;
            if !going.start.begin() {
                return Err(Error::unavailable("the work was abandoned"));
            }
            match (conn, &store.pools) {
                (Conn::Sqlite(conn), Pools::Sqlite(_, files)) => {
                    let files = Arc::clone(files);
                    // Blocking work can't be cancelled: it keeps its connection and its turn until it ends.
                    let work = async move {
                        let _turn = turn;
                        Conn::Sqlite(conn).run_on_files(&files, transaction, scope, work).await
                    };
                    let outcome = timeout(TRANSACTION_TIMEOUT, blocking(work)).await.map(Result::flatten);
                    outcome.unwrap_or_else(|_| Err(mode.late(Error::unavailable("the work timed out"))))
                }
                (conn, _) => store.run_on_postgres(conn, mode, scope, work, &going).await,
            }
        });
        tokio::select! {
            biased;
            outcome = &mut task => {
                outcome.unwrap_or_else(|error| Err(mode.late(Error::unavailable(error))))
            }
            () = self.liveness.until_down(&self.runtime, || progress.needs_server()) => {
                let error = Error::unavailable("the server does not answer");
                if progress.start.abandon() {
                    task.abort();
                    return Err(error);
                }
                // The task continues until its own deadline, and nobody waits for it.
                Err(mode.late(error))
            }
        }
    }

    async fn turn_to_write(&self) -> Result<Option<OwnedSemaphorePermit>> {
        if matches!(self.pools, Pools::Pg(..)) {
            return Ok(None);
        }
        match timeout(TRANSACTION_TIMEOUT, Arc::clone(&self.sqlite_writer).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            Ok(Err(error)) => Err(Error::unavailable(error)),
            Err(_) => Err(Error::unavailable("timed out waiting for other writers")),
        }
    }
}

impl Conn {
    /// Runs work while the files on disk are the ones that this connection has open. A change counts only if
    /// they still are afterwards.
    async fn run_on_files<T, E, W>(
        &mut self,
        files: &SqliteFiles,
        transaction: bool,
        scope: Scope,
        work: W,
    ) -> Result<Result<T, E>>
    where
        T: Send,
        E: TransactionError,
        W: for<'c> Work<&'c mut Self, Result<T, E>, Future: Send>,
    {
        files.check().map_err(Error::unavailable)?;
        let value = self.run(transaction, scope, work).await?;
        if transaction {
            files.check().map_err(|error| Error::unavailable(error).while_committing())?;
        }
        Ok(value)
    }

    async fn run<T, E, W>(&mut self, transaction: bool, scope: Scope, work: W) -> Result<Result<T, E>>
    where
        T: Send,
        E: TransactionError,
        W: for<'c> Work<&'c mut Self, Result<T, E>, Future: Send>,
    {
        let name = if transaction { "transaction" } else { "read" };
        let mut span = Span::child_of(&scope.trace, SpanKind::Client, name);
        span.set("db.system.name", self.system());
        let scope = if span.is_recorded() { scope.with_trace(span.context()) } else { scope };
        // Discards the error of an earlier user of the connection.
        self.last_error();
        let work = async {
            if transaction {
                self.transaction(work).await
            } else {
                refusable(work(self).await).map_err(|error| error.with_state(self.last_error()))
            }
        };
        let outcome = scope.run(work).await;
        if let Err(error) = &outcome {
            span.failed(error.kind());
        }
        outcome
    }

    /// Name of the database system in OpenTelemetry's conventions.
    fn system(&self) -> &'static str {
        match self {
            Self::Pg(_) => "postgresql",
            Self::Sqlite(_) => "sqlite",
        }
    }

    async fn transaction<T, E, W>(&mut self, work: W) -> Result<Result<T, E>>
    where
        T: Send,
        E: TransactionError,
        W: for<'c> Work<&'c mut Self, Result<T, E>, Future: Send>,
    {
        self.begin().await.map_err(|error| error.with_state(self.last_error()))?;
        match refusable(work(self).await) {
            Ok(Ok(value)) => match self.commit().await {
                Ok(()) => Ok(Ok(value)),
                Err(error) => Err(error.with_state(self.last_error()).while_committing()),
            },
            // A connection that can't roll back is broken, and the pool drops it.
            Ok(Err(refusal)) => self.rollback().await.map(|()| Err(refusal)),
            // The first failure is the one to report.
            Err(error) => {
                let error = error.with_state(self.last_error());
                self.rollback().await.and(Err(error.clone())).map_err(|_| error)
            }
        }
    }

    /// Takes the SQLSTATE of the last error on a PostgreSQL connection.
    fn last_error(&mut self) -> Option<SqlState> {
        match self {
            Self::Pg(conn) => last_error(conn),
            Self::Sqlite(_) => None,
        }
    }

    async fn begin(&mut self) -> Result<()> {
        match self {
            Self::Pg(conn) => PgTransaction::begin_transaction(&mut **conn).await?,
            // IMMEDIATE: a deferred transaction that writes later fails at once if another one is writing.
            Self::Sqlite(conn) => {
                let begin =
                    |conn: &mut _| AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE");
                conn.spawn_blocking(begin).await?;
            }
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        let _span = Span::child(SpanKind::Client, "COMMIT");
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

    /// Closes the connection instead of returning it to its pool.
    fn discard(self) {
        match self {
            Self::Pg(conn) => drop(Object::take(conn)),
            Self::Sqlite(conn) => drop(Object::take(conn)),
        }
    }
}

/// Separates a use case's refusal from a failure of the database.
fn refusable<T, E: TransactionError>(outcome: Result<T, E>) -> Result<Result<T, E>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.into_refusal().map(Err),
    }
}
