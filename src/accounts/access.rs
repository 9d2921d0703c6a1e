//! Tokens say who someone was when they signed in; this says what changed since.

use crate::{
    config::MOST_TOKEN_MINUTES,
    domain::{account::Role, ids::UserId, now},
    store::{self, Store, users},
};
use arc_swap::ArcSwap;
use chrono::TimeDelta;
use futures_util::FutureExt;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How soon a change made by another process counts here.
const REFRESH: Duration = Duration::from_secs(1);

/// Clocks of different machines may differ by this much.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The accounts whose role or activity changed while tokens from before may still be valid: few, whatever the number of
/// accounts. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    store: Store,
    changed: Arc<ArcSwap<HashMap<UserId, (Role, bool)>>>,
}

impl Access {
    /// Reads what changed within a token's lifetime.
    pub async fn load(store: Store) -> store::Result<Self> {
        let access = Self { store, changed: Arc::default() };
        access.refresh().await?;
        Ok(access)
    }

    /// The account's role now and whether it is active, if either changed lately.
    pub fn of(&self, id: UserId) -> Option<(Role, bool)> {
        self.changed.load().get(&id).copied()
    }

    /// Looks for changes by others until it is stopped. While the database is away, what is known goes on to count.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH)).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "accounts could not be refreshed");
            }
        }
    }

    /// Reads all that changed within a token's lifetime anew.
    pub async fn refresh(&self) -> store::Result<()> {
        // The longest lifetime there can be: a token may be from when a longer one was set, or from another process.
        let since = now() - TimeDelta::minutes(MOST_TOKEN_MINUTES.into()) - SKEW;
        let changed = self.store.read(move |conn| users::access_changed_since(conn, since).boxed()).await?;
        self.changed
            .store(Arc::new(changed.into_iter().map(|(id, role, active)| (id, (role, active))).collect()));
        Ok(())
    }
}
