//! Runs work on PostgreSQL, and runs it again on a new connection if the first one was lost (the server ended
//! its sessions, a failover, a connection reset). Nothing uncommitted survives a lost connection, so the work
//! can be repeated.

use crate::store::{Conn, Error, Pools, Result, Store, TRANSACTION_TIMEOUT, TransactionError, Work};
use crate::{
    telemetry::{Scope, log_throttle, metrics},
    util::work_start::WorkStart,
};
use diesel_async::SimpleAsyncConnection;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};

/// Time limit for the query that tells a working connection from a lost one.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each statement on its own; none of them changes anything.
    Read,
    Write,
    /// One transaction that may be committed twice.
    IdempotentWrite,
}

impl Mode {
    pub(crate) fn is_transaction(self) -> bool {
        self != Self::Read
    }

    /// Marks an error of a transaction as one after which the change may have been committed.
    pub(crate) fn late(self, error: Error) -> Error {
        if self.is_transaction() { error.while_committing() } else { error }
    }

    /// Returns whether the work can be run again after this error if its connection is lost.
    fn may_repeat_after(self, error: &Error) -> bool {
        match error {
            // COMMIT was not sent, so the server rolls the transaction back.
            Error::Unavailable(_) => true,
            Error::OutcomeUnknown(_) => self == Self::IdempotentWrite,
            _ => false,
        }
    }
}

#[derive(Default)]
pub(crate) struct Progress {
    /// Begun once the work has its connection.
    pub(crate) start: WorkStart,
    /// Set while the work waits for a second connection because the first was lost.
    is_waiting_again: AtomicBool,
}

impl Progress {
    /// Returns whether the work waits for the server, rather than for a connection that other work holds.
    pub(crate) fn needs_server(&self) -> bool {
        self.start.is_begun() && !self.is_waiting_again.load(Ordering::Relaxed)
    }

    async fn wait_again<T>(&self, waiting: impl Future<Output = T>) -> T {
        self.is_waiting_again.store(true, Ordering::Relaxed);
        let outcome = waiting.await;
        self.is_waiting_again.store(false, Ordering::Relaxed);
        outcome
    }
}

enum AttemptOutcome<T> {
    Done(Result<T>),
    /// The connection was lost, and the work can be run again.
    Lost(Error),
}

impl Store {
    /// Runs work on this connection, and once more on a new one if the first was lost and the work can be
    /// repeated. Both attempts share [`TRANSACTION_TIMEOUT`].
    pub(crate) async fn run_on_postgres<T, E, W>(
        &self,
        conn: Conn,
        mode: Mode,
        scope: Scope,
        work: W,
        progress: &Progress,
    ) -> Result<Result<T, E>>
    where
        T: Send,
        E: TransactionError,
        W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send> + Clone,
    {
        let deadline = Instant::now() + TRANSACTION_TIMEOUT;
        let first = attempt(conn, mode, scope.clone(), work.clone(), deadline).await;
        self.connection_freed.notify_one();
        let lost = match first {
            AttemptOutcome::Done(outcome) => return outcome,
            AttemptOutcome::Lost(error) => error,
        };
        metrics::database().lost_connections.inc();
        if let Some(repeated) = log_throttle::admit("lost a connection to the database") {
            tracing::warn!(error = %lost, repeated, "lost a connection to the database; retrying its work on a new one");
        }
        self.close_idle_connections();
        // A second attempt that fails does not undo what the first may have committed.
        let was_unknown = matches!(lost, Error::OutcomeUnknown(_));
        let again = async {
            let conn = progress.wait_again(self.conn()).await?;
            let second = attempt(conn, mode, scope, work, deadline).await;
            self.connection_freed.notify_one();
            match second {
                AttemptOutcome::Done(outcome) => outcome,
                AttemptOutcome::Lost(error) => Err(error),
            }
        };
        let outcome = timeout_at(deadline, again).await.unwrap_or(Err(lost));
        outcome.map_err(|error| if was_unknown { error.while_committing() } else { error })
    }

    /// Closes idle connections: after one was lost the others most likely are too, without anyone having
    /// noticed.
    pub(crate) fn close_idle_connections(&self) {
        if let Pools::Pg(pool, _) = &self.pools {
            pool.retain(|_, _| false);
        }
    }
}

async fn attempt<T, E, W>(
    mut conn: Conn,
    mode: Mode,
    scope: Scope,
    work: W,
    deadline: Instant,
) -> AttemptOutcome<Result<T, E>>
where
    T: Send,
    E: TransactionError,
    W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send>,
{
    let attempting = async {
        let outcome = conn.run(mode.is_transaction(), scope, work).await;
        let is_lost = match &outcome {
            Err(error) if mode.may_repeat_after(error) => conn.is_lost().await,
            _ => false,
        };
        (outcome, is_lost)
    };
    match timeout_at(deadline, attempting).await {
        Ok((Err(error), true)) => {
            conn.discard();
            AttemptOutcome::Lost(error)
        }
        Ok((outcome, _)) => {
            // The next user of the connection would get the same error.
            if outcome.as_ref().is_err_and(Error::spoils_connection) {
                conn.discard();
            }
            AttemptOutcome::Done(outcome)
        }
        Err(_) => {
            // The state of the connection is unknown, so the next user must not get it.
            conn.discard();
            AttemptOutcome::Done(Err(mode.late(Error::unavailable("the work timed out"))))
        }
    }
}

impl Conn {
    /// Tests whether a connection on which a statement failed is lost. The error alone does not tell: a reset
    /// connection has no SQLSTATE, and the server's messages are localized.
    async fn is_lost(&mut self) -> bool {
        match self {
            Self::Pg(conn) => {
                matches!(timeout(PROBE_TIMEOUT, conn.batch_execute("SELECT 1")).await, Ok(Err(_)))
            }
            Self::Sqlite(_) => false,
        }
    }
}
