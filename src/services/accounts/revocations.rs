//! Tokens say who someone was when they signed in; this says what changed since.

use super::Caller;
use crate::{
    config::MAX_TOKEN_MINUTES,
    domain::{
        account::Role,
        ids::{SessionId, UserId},
        now,
    },
    store::{self, Store, sessions, users},
};
use arc_swap::ArcSwap;
use chrono::TimeDelta;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How soon a change made by another process counts here.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Clocks of different machines may differ by this much.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// The accounts whose role or activity changed, and the sessions that ended, while tokens from before may still be valid: few,
/// whatever the number of accounts, since each took somebody a login or an admin a decision not long ago. Cheap to clone.
#[derive(Clone)]
pub struct Revocations {
    store: Store,
    changes: Arc<ArcSwap<Changes>>,
    /// One reads at a time, so that what was read later is never replaced by what was read before.
    reading: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Changes {
    accounts: HashMap<UserId, (Role, bool)>,
    ended: HashSet<SessionId>,
}

impl Revocations {
    /// Reads what changed within a token's lifetime.
    pub async fn load(store: Store) -> store::Result<Self> {
        let access = Self { store, changes: Arc::default(), reading: Arc::default() };
        access.refresh().await?;
        Ok(access)
    }

    /// The holder of a token as they are now, unless it counts no more.
    pub fn now(&self, holder: Caller) -> Option<Caller> {
        let changes = self.changes.load();
        if changes.ended.contains(&holder.session) {
            return None;
        }
        match changes.accounts.get(&holder.id) {
            Some((_, false)) => None,
            Some((role, true)) => Some(Caller { role: *role, ..holder }),
            None => Some(holder),
        }
    }

    /// Looks for changes by others until it is stopped. While the database is away, what is known goes on to count.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL)).await.is_some() {
            match self.refresh().await {
                Err(error) if !failing => {
                    tracing::warn!(%error, "changed roles and ended sessions can't be read: what was known holds");
                    failing = true;
                }
                Ok(()) if failing => {
                    tracing::info!("changed roles and ended sessions are read again");
                    failing = false;
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Reads all that changed within a token's lifetime anew.
    pub async fn refresh(&self) -> store::Result<()> {
        let _alone = self.reading.lock().await;
        // The longest lifetime there can be: a token may be from when a longer one was set, or from another process.
        let since = now() - TimeDelta::minutes(MAX_TOKEN_MINUTES.into()) - MAX_CLOCK_SKEW;
        let read = self.store.read(async move |conn| {
            let accounts = users::access_changed_since(conn, since).await?;
            // A session knows how long its own tokens last.
            Ok((accounts, sessions::ended_with_tokens(conn, now() - MAX_CLOCK_SKEW).await?))
        });
        let (accounts, ended) = read.await?;
        self.changes.store(Arc::new(Changes {
            accounts: accounts.into_iter().map(|(id, role, active)| (id, (role, active))).collect(),
            ended: ended.into_iter().collect(),
        }));
        Ok(())
    }

    /// The same for a change of one's own. It is made already: should reading fail, it counts here as soon as it does elsewhere.
    pub async fn note_change(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "accounts could not be refreshed");
        }
    }
}
