//! Changes since access tokens were issued: ended sessions, and accounts with another role or activity.

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
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

/// Delay until a change applies here that the feed does not have: one by a program of an earlier version.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// The same while the feed is late.
const LATE_REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Tolerated difference between the clocks of machines.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Accounts whose role or activity changed, and ended sessions, while older tokens may still be valid. They
/// are few, whatever the number of accounts, since each took a recent login or a decision of an admin. Cheap
/// to clone.
#[derive(Clone)]
pub struct Revocations {
    store: Store,
    changes: Arc<ArcSwap<Changes>>,
    /// Serializes refreshes, so that an older result never replaces a newer one.
    reading: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Changes {
    accounts: HashMap<UserId, (Role, bool)>,
    ended: HashSet<SessionId>,
}

impl Revocations {
    /// Loads the changes of the longest lifetime of a token.
    pub async fn load(store: Store) -> store::Result<Self> {
        let access = Self { store, changes: Arc::default(), reading: Arc::default() };
        access.refresh().await?;
        Ok(access)
    }

    /// Returns the holder of a token with the current role, unless the token is revoked.
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

    /// Refreshes until `stop`, besides the feed. While the database is unavailable, the known changes continue to
    /// apply.
    pub async fn keep_fresh(self, is_feed_late: impl Fn() -> bool, stop: CancellationToken) {
        let mut is_failing = false;
        let interval = || if is_feed_late() { LATE_REFRESH_INTERVAL } else { REFRESH_INTERVAL };
        while stop.run_until_cancelled(sleep(interval())).await.is_some() {
            let outcome = self.refresh().await;
            match &outcome {
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "failed to load changed roles and ended sessions; known ones still apply");
                }
                Ok(()) if is_failing => tracing::info!("changed roles and ended sessions are read again"),
                Ok(()) | Err(_) => {}
            }
            is_failing = outcome.is_err();
        }
    }

    /// Reloads all changes of the longest lifetime of a token.
    pub async fn refresh(&self) -> store::Result<()> {
        let _alone = self.reading.lock().await;
        // The maximum, because a token may have been issued under another setting or by another process.
        let since = now() - TimeDelta::minutes(MAX_TOKEN_MINUTES.into()) - MAX_CLOCK_SKEW;
        let read = self.store.read(async move |conn| {
            let accounts = users::access_changed_since(conn, since).await?;
            // A session stores the expiry of its own tokens.
            Ok((accounts, sessions::ended_with_tokens(conn, now() - MAX_CLOCK_SKEW).await?))
        });
        let (accounts, ended) = read.await?;
        self.changes.store(Arc::new(Changes {
            accounts: accounts.into_iter().map(|(id, role, active)| (id, (role, active))).collect(),
            ended: ended.into_iter().collect(),
        }));
        Ok(())
    }

    /// Refreshes after a change of this process. The change is committed: if this fails, it applies here when
    /// it does elsewhere.
    pub async fn note_change(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "failed to refresh changed roles and ended sessions");
        }
    }
}
