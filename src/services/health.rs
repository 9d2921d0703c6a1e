//! Health of the database and the broker, and readiness of this process.

use crate::{
    broker::{Broker, Source},
    services::orders::recorder::takes_orders,
    store::Store,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Time limit for one part to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Minimum time between trial writes to a database that failed to commit.
const WRITE_PROBE_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// For taking orders: the broker or a writable database.
    Either,
    /// For recording: both.
    Both,
}

#[derive(Clone)]
pub struct Health {
    pub store: Store,
    pub broker: Option<Broker>,
    pub needs: Needs,
    /// Cancelled when the process begins to stop.
    pub stopping: CancellationToken,
    writes: Arc<WriteProbe>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Requests (or work) should be sent here.
    pub ready: bool,
    pub stopping: bool,
    pub database: DatabaseState,
    /// Reachability of the broker, if there is one.
    pub broker: Option<bool>,
    /// Consequences for each part that is down.
    pub missing: Vec<Missing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    Up,
    /// It answers queries and rejects changes: its disk is full, or it is a standby.
    ReadOnly,
    Down,
}

/// Labels of the servers that this process depends on.
pub const DATABASE: &str = "database";
pub const BROKER: &str = "broker";

/// A part that is down, and the consequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub part: &'static str,
    /// Reason, if it is known.
    pub reason: Option<Arc<str>>,
    /// Operations that work without it.
    pub works: &'static [&'static str],
    /// Operations that fail without it.
    pub fails: &'static [&'static str],
}

impl Health {
    pub fn new(store: Store, broker: Option<Broker>, needs: Needs, stopping: CancellationToken) -> Self {
        Self { store, broker, needs, stopping, writes: Arc::default() }
    }

    pub async fn report(&self) -> HealthReport {
        let database = self.database().await;
        let stopping = self.stopping.is_cancelled();
        let writable = database == DatabaseState::Up;
        // Without a database nothing is consumed, whatever the state of the broker.
        let silent = if writable { self.silent() } else { None };
        let broker = self.broker.as_ref().map(|broker| broker.is_up() && silent.is_none());
        let enough = match self.needs {
            Needs::Either => writable || broker == Some(true),
            Needs::Both => writable && broker != Some(false),
        };
        let missing = self.missing(database, broker, silent);
        HealthReport { ready: enough && !stopping, stopping, database, broker, missing }
    }

    async fn database(&self) -> DatabaseState {
        if !matches!(timeout(PROBE_TIMEOUT, self.store.ping()).await, Ok(Ok(()))) {
            return DatabaseState::Down;
        }
        if self.writes.accepts_changes(&self.store).await {
            DatabaseState::Up
        } else {
            DatabaseState::ReadOnly
        }
    }

    /// Returns why no orders are delivered to this process, if it needs them.
    fn silent(&self) -> Option<Arc<str>> {
        let silent = self.broker.as_ref().filter(|_| self.needs == Needs::Both)?.silent()?;
        let queue = match silent {
            Source::Orders => "orders",
            Source::Overrun => "orders that were delivered very often",
        };
        let reason =
            format!("the subscription to the queue of {queue} could not be renewed; the log says why");
        Some(reason.into())
    }

    fn missing(
        &self,
        database: DatabaseState,
        broker: Option<bool>,
        silent: Option<Arc<str>>,
    ) -> Vec<Missing> {
        let mut missing = Vec::new();
        if database != DatabaseState::Up {
            let is_read_only = database == DatabaseState::ReadOnly;
            let reason = if is_read_only { None } else { self.store.file_fault() };
            let (works, fails) = without_database(self.needs, broker == Some(true), is_read_only);
            missing.push(Missing { part: DATABASE, reason, works, fails });
        }
        if broker == Some(false) {
            let reason = self.broker.as_ref().and_then(Broker::loses_orders).or(silent);
            let (works, fails) = without_broker(self.needs, database == DatabaseState::Up);
            missing.push(Missing { part: BROKER, reason, works, fails });
        }
        missing
    }
}

/// Finds out with a trial write whether a database that failed to commit accepts changes again. Normally
/// nothing failed, and nothing is tried.
#[derive(Default)]
struct WriteProbe(Mutex<Option<(Instant, bool)>>);

impl WriteProbe {
    async fn accepts_changes(&self, store: &Store) -> bool {
        if !store.write_failed() {
            return true;
        }
        // Concurrent callers wait for the same answer.
        let mut last = self.0.lock().await;
        if let Some((_, accepted)) = last.filter(|(asked, _)| asked.elapsed() < WRITE_PROBE_INTERVAL) {
            return accepted;
        }
        let accepted_before = last.is_none_or(|(_, accepted)| accepted);
        let error = match timeout(PROBE_TIMEOUT, takes_orders(store)).await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(timeout) => Some(timeout.to_string()),
        };
        let accepted = error.is_none();
        if accepted {
            store.note_written();
        }
        match error {
            None if !accepted_before => tracing::info!("the database accepts changes again"),
            Some(error) if accepted_before => {
                tracing::error!(error, "the database answers and accepts no changes");
            }
            _ => {}
        }
        *last = Some((Instant::now(), accepted));
        accepted
    }
}

/// Operations that work, and operations that fail.
type Consequences = (&'static [&'static str], &'static [&'static str]);

fn without_database(needs: Needs, has_broker: bool, is_read_only: bool) -> Consequences {
    match (needs, has_broker, is_read_only) {
        (Needs::Either, true, false) => (&[QUEUEING, MENU, TOKENS], &[READING, ACCOUNTS]),
        (Needs::Either, false, false) => (&[MENU, TOKENS], &[TAKING, READING, ACCOUNTS]),
        (Needs::Either, true, true) => (&[QUEUEING, "reading orders", MENU, TOKENS], &[WORKING, ACCOUNTS]),
        (Needs::Either, false, true) => (&["reading orders", MENU, TOKENS], &[TAKING, WORKING, ACCOUNTS]),
        (Needs::Both, ..) => (&["keeping orders, which wait at the broker"], &["storing orders"]),
    }
}

fn without_broker(needs: Needs, is_writable: bool) -> Consequences {
    match (needs, is_writable) {
        (Needs::Either, true) => {
            (&["taking orders, which are stored directly (201)", READING, ACCOUNTS], &[])
        }
        (Needs::Either, false) => (&[MENU, TOKENS], &[TAKING]),
        (Needs::Both, _) => (&[], &["taking orders from the queue; each serve stores its own meanwhile"]),
    }
}

const TAKING: &str = "taking orders";
const QUEUEING: &str = "taking orders, which wait at the broker (202)";
const WORKING: &str = "working orders";
const MENU: &str = "reading the menu";
const TOKENS: &str = "tokens that were given out";
const READING: &str = "reading and working orders";
const ACCOUNTS: &str = "signing in and managing";
