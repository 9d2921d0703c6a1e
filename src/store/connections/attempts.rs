//! Runs work on PostgreSQL, and once more on a new connection where the first one was lost: a server that
//! ended its sessions, a failover, a line that was reset. Whatever was not committed then is undone, so that
//! the work can be repeated.

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

/// The time that a connection that failed has to show that it still works.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// The way in which work is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each statement by itself; none of them changes anything.
    Read,
    /// In a transaction.
    Write,
    /// In a transaction that may be committed twice.
    IdempotentWrite,
}

impl Mode {
    /// Returns whether the work is one transaction.
    pub(crate) fn is_transaction(self) -> bool {
        self != Self::Read
    }

    /// Tells of an error that the work may have been committed all the same.
    pub(crate) fn late(self, error: Error) -> Error {
        if self.is_transaction() { error.while_committing() } else { error }
    }

    /// Returns whether work that failed so is safe to run again, if its connection is lost.
    fn may_repeat_after(self, error: &Error) -> bool {
        match error {
            // The commit was not sent, so that the server undoes what there was.
            Error::Unavailable(_) => true,
            Error::Undecided(_) => self == Self::IdempotentWrite,
            _ => false,
        }
    }
}

/// The progress of a piece of work.
#[derive(Default)]
pub(crate) struct Progress {
    start: WorkStart,
    /// Its first connection was lost, and it waits for another one.
    is_waiting_again: AtomicBool,
}

impl Progress {
    /// Begins the work, which has its connection. Returns false if it was given up before.
    pub(crate) fn begin(&self) -> bool {
        self.start.begin()
    }

    /// Gives the work up. Returns false if it has begun.
    pub(crate) fn abandon(&self) -> bool {
        self.start.abandon()
    }

    /// Returns whether it waits for the server, and not for a connection that other work has.
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

/// The outcome of work on one connection.
enum Attempt<T> {
    Done(Result<T>),
    /// The connection was lost, and the work is safe to run again.
    Lost(Error),
}

impl Store {
    /// Runs work on this connection, and once more on a new one where the first was lost and the work is safe
    /// to run again. Both have [`TRANSACTION_TIMEOUT`] together.
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
        self.freed.notify_one();
        let lost = match first {
            Attempt::Done(outcome) => return outcome,
            Attempt::Lost(error) => error,
        };
        metrics::database().lost_connections.inc();
        if let Some(repeated) = log_throttle::admit("lost a connection to the database") {
            tracing::warn!(error = %lost, repeated, "lost a connection to the database; its work is run again on a new one");
        }
        self.close_idle_connections();
        // What the first attempt may have committed is not undone by a second one that fails.
        let was_undecided = matches!(lost, Error::Undecided(_));
        let again = async {
            let conn = progress.wait_again(self.conn()).await?;
            let second = attempt(conn, mode, scope, work, deadline).await;
            self.freed.notify_one();
            match second {
                Attempt::Done(outcome) => outcome,
                Attempt::Lost(error) => Err(error),
            }
        };
        let outcome = timeout_at(deadline, again).await.unwrap_or(Err(lost));
        outcome.map_err(|error| if was_undecided { error.while_committing() } else { error })
    }

    /// Closes the connections that nobody uses: where one was lost the others most likely are, and nobody may
    /// have noticed yet.
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
) -> Attempt<Result<T, E>>
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
            Attempt::Lost(error)
        }
        Ok((outcome, _)) => {
            // It would happen to the next user as well.
            if outcome.as_ref().is_err_and(Error::spoils_connection) {
                conn.discard();
            }
            Attempt::Done(outcome)
        }
        Err(_) => {
            // Nobody knows what state it is in: the next user must not get it.
            conn.discard();
            Attempt::Done(Err(mode.late(Error::unavailable("a deadline passed"))))
        }
    }
}

impl Conn {
    /// Returns whether a connection on which something failed is lost. The error alone does not tell: a line that was
    /// reset has no SQLSTATE, and the server's words are in its own language.
    async fn is_lost(&mut self) -> bool {
        match self {
            Self::Pg(conn) => {
                matches!(timeout(PROBE_TIMEOUT, conn.batch_execute("SELECT 1")).await, Ok(Err(_)))
            }
            Self::Sqlite(_) => false,
        }
    }
}
