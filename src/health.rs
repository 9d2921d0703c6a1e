//! Which parts are up, and whether that is enough.

use crate::{queue::Broker, store::Store, telemetry::metrics::Part};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a part has to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a role needs in order to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To take orders: anything that keeps them, the broker or the database.
    Either,
    /// To work: both.
    Both,
}

/// Looks at the parts.
#[derive(Clone)]
pub struct Health {
    /// The database.
    pub store: Store,
    /// The broker, where there is one.
    pub broker: Option<Broker>,
    /// What must be up.
    pub needs: Needs,
    /// Set once this process stops.
    pub stopping: CancellationToken,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether requests (or work) should come here.
    pub ready: bool,
    /// Whether this process is ending.
    pub stopping: bool,
    /// Whether the database answers.
    pub database: bool,
    /// Whether the broker can be reached, where there is one.
    pub broker: Option<bool>,
    /// What that means, for each part that is down.
    pub missing: Vec<Missing>,
}

/// A part that is down, and what that means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub part: Part,
    /// What is done without it.
    pub works: &'static [&'static str],
    /// What is not.
    pub fails: &'static [&'static str],
}

impl Health {
    /// Asks each part.
    pub async fn report(&self) -> Report {
        let database = matches!(timeout(PATIENCE, self.store.ping()).await, Ok(Ok(())));
        let broker = self.broker.as_ref().map(Broker::is_up);
        let stopping = self.stopping.is_cancelled();
        let enough = match self.needs {
            Needs::Either => database || broker == Some(true),
            Needs::Both => database && broker != Some(false),
        };
        let missing = self.missing(database, broker);
        Report { ready: enough && !stopping, stopping, database, broker, missing }
    }

    fn missing(&self, database: bool, broker: Option<bool>) -> Vec<Missing> {
        let mut missing = Vec::new();
        if !database {
            missing.push(without_database(self.needs, broker));
        }
        if broker == Some(false) {
            missing.push(without_broker(self.needs, database));
        }
        missing
    }
}

fn without_database(needs: Needs, broker: Option<bool>) -> Missing {
    let (works, fails): (&[_], &[_]) = match (needs, broker) {
        (Needs::Either, Some(true)) => {
            (&["taking orders, which wait at the broker (202)", MENU, TOKENS], &[READING, ACCOUNTS])
        }
        (Needs::Either, _) => (&[MENU, TOKENS], &["taking orders", READING, ACCOUNTS]),
        (Needs::Both, _) => (&["keeping orders, which wait at the broker"], &["storing orders"]),
    };
    Missing { part: Part::Database, works, fails }
}

fn without_broker(needs: Needs, database: bool) -> Missing {
    let (works, fails): (&[_], &[_]) = match (needs, database) {
        (Needs::Either, true) => {
            (&["taking orders, which are stored directly (201)", READING, ACCOUNTS], &[])
        }
        (Needs::Either, false) => (&[MENU, TOKENS], &["taking orders"]),
        (Needs::Both, _) => (&[], &["taking orders from the queue; each serve stores its own meanwhile"]),
    };
    Missing { part: Part::Broker, works, fails }
}

const MENU: &str = "reading the menu";
const TOKENS: &str = "tokens that were given out";
const READING: &str = "reading and working orders";
const ACCOUNTS: &str = "signing in and managing";
