//! Which parts are up, and whether that is enough.

use crate::{queue::Broker, store::Store};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Whether requests (or work) should come here.
    pub ready: bool,
    /// Whether this process is ending.
    pub stopping: bool,
    /// Whether the database answers.
    pub database: bool,
    /// Whether the broker can be reached, where there is one.
    pub broker: Option<bool>,
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
        Report { ready: enough && !stopping, stopping, database, broker }
    }
}
