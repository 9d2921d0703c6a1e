//! The feed of changes: one reader in each process, which keeps caches fresh and hands changes to streams.
//!
//! A transaction that changes what people look at adds a row ([`store::changes`]). The reader loads the rows
//! that it has not seen when it is woken by a commit of this or another process, and at least every
//! `POLL_INTERVAL`: a lost notification delays a change, and loses none.

mod cursor;
mod hub;
mod reader;
mod ring;

pub use cursor::Cursor;
pub use hub::{Mailbox, OrderEvent, Pending, PendingMenu};
pub use reader::Caches;

use crate::{
    domain::{
        ids::{OrderId, UserId},
        now,
    },
    services::{DatabaseError, accounts::Caller},
    store::{
        self, Store,
        changes::{self, StoredChange},
        orders,
    },
    util::lock,
};
use chrono::TimeDelta;
use hub::{Hub, MAX_PENDING};
use ring::{RETENTION, Ring};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Longest time between two reads.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Shortest time between two notifications of other processes.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(20);
/// Age at which changes are deleted.
const CHANGE_RETENTION: TimeDelta = TimeDelta::hours(2);
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Batches that are deleted at one time.
const MAX_PRUNE_BATCHES: usize = 200;
/// Changes that are read at one time. With more of them, everything is read again.
const MAX_UNSEEN_CHANGES: i64 = 10_000;

#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    /// The pool of requests, for the time in which the server gives the reader no connection of its own.
    store: Store,
    /// With a connection of its own.
    own: Store,
    wake: Arc<Notify>,
    state: Mutex<State>,
    hub: Hub,
    /// Orders that no open board has shown, with their customers.
    unseen: Mutex<HashMap<OrderId, UserId>>,
    stop: CancellationToken,
}

struct State {
    feed: String,
    ring: Ring,
    /// Beginning of the latest read that succeeded: what was committed before is seen.
    seen_at: Instant,
}

/// A stream's part in the feed. It ends when this is dropped.
pub struct Subscriber {
    feed: Feed,
    caller: Caller,
    number: u64,
    pub mailbox: Arc<Mailbox>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.feed.shared.hub.remove(self.caller, self.number);
    }
}

impl Feed {
    /// Begins at the present position. Changes from here on are seen once [`run`](Self::run) runs.
    pub async fn begin(store: Store, stop: CancellationToken) -> store::Result<Self> {
        let wake = Arc::new(Notify::new());
        let own = store.listening(&wake)?;
        let (feed, position) = begin(&store).await?;
        let state = Mutex::new(State { feed, ring: Ring::new(position), seen_at: Instant::now() });
        let (hub, unseen) = (Hub::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { store, own, wake, state, hub, unseen, stop }) })
    }

    /// Returns the position up to which changes were seen. A list that is read afterwards contains at least
    /// these.
    pub fn cursor(&self) -> Cursor {
        let state = self.shared.state();
        Cursor {
            feed: state.feed.clone(),
            reached_at: now().0.timestamp(),
            position: state.ring.newest().shortened(),
        }
    }

    /// Returns how long ago the latest change may have happened that was not seen yet.
    pub fn lag(&self) -> Duration {
        self.shared.state().seen_at.elapsed()
    }

    pub fn streams(&self) -> usize {
        self.shared.hub.count()
    }

    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_cancelled()
    }

    /// Begins a stream for the caller, unless this process has `limit` of them.
    pub fn subscribe(&self, caller: Caller, limit: usize) -> Option<Subscriber> {
        let (number, mailbox) = self.shared.hub.register(caller, limit)?;
        Some(Subscriber { feed: self.clone(), caller, number, mailbox })
    }

    /// Replaces the set of orders that no open board has shown, and tells those who should know.
    pub fn set_unseen(&self, unseen: &HashMap<OrderId, UserId>) {
        let before = std::mem::replace(&mut *lock(&self.shared.unseen), unseen.clone());
        if before != *unseen {
            let customers = before.values().chain(unseen.values()).copied().collect();
            self.shared.hub.tell_unseen(&customers);
        }
    }

    /// Returns the orders that no open board has shown and that the caller may see, sorted.
    pub fn unseen(&self, caller: Caller) -> Vec<OrderId> {
        let unseen = lock(&self.shared.unseen);
        let visible = unseen.iter().filter(|(_, customer)| caller.role.is_staff() || **customer == caller.id);
        let mut visible: Vec<_> = visible.map(|(id, _)| *id).collect();
        visible.sort_unstable();
        visible
    }

    /// Returns what a client of this cursor has not seen, and may see. It must have subscribed before, so that
    /// nothing falls between.
    pub async fn since(&self, caller: Caller, cursor: &Cursor) -> Result<Pending, DatabaseError> {
        let Some(changes) = self.changes_since(cursor).await? else { return Ok(reset()) };
        let is_visible = |customer_id| caller.role.is_staff() || customer_id == caller.id;
        let orders = changes.iter().flat_map(|change| &change.what.orders);
        let mut ids: Vec<_> =
            orders.filter(|order| is_visible(order.customer_id)).map(|order| order.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > MAX_PENDING {
            return Ok(reset());
        }
        let mut pending = Pending::default();
        if !ids.is_empty() {
            let found = self.shared.store.read(async move |conn| orders::find_all(conn, &ids).await).await?;
            pending.orders = found.into_iter().map(OrderEvent::new).collect();
        }
        for menu in changes.iter().filter_map(|change| change.what.menu.as_ref()) {
            pending.add_menu(&menu.edition, &menu.changed);
        }
        Ok(pending)
    }

    /// Returns the changes that a client of this cursor has not seen, unless it must read everything again.
    async fn changes_since(&self, cursor: &Cursor) -> store::Result<Option<Vec<Arc<StoredChange>>>> {
        let age = now().0.timestamp().saturating_sub(cursor.reached_at);
        let is_old = age.unsigned_abs() > RETENTION.as_secs();
        let position = {
            let state = self.shared.state();
            if is_old
                || cursor.feed != state.feed
                || !cursor.position.is_like(state.ring.newest())
                || state.ring.contradicts(&cursor.position)
            {
                return Ok(None);
            }
            if !cursor.position.is_ahead_of(state.ring.newest())
                && let Some(unseen) = state.ring.unseen(&cursor.position)
            {
                return Ok(Some(unseen));
            }
            cursor.position.clone()
        };
        let read = self.shared.store.read(async move |conn| {
            if !changes::is_known(conn, &position).await?
                || !changes::is_loadable(conn, &position, MAX_UNSEEN_CHANGES).await?
            {
                return Ok(None);
            }
            changes::unseen(conn, &position, MAX_UNSEEN_CHANGES).await
        });
        Ok(read.await?.map(|unseen| unseen.changes.into_iter().map(Arc::new).collect()))
    }

    /// Tells the reader of this process and those of others about commits of this process, until `stop`.
    pub async fn keep_notifying(store: Store, reader: Option<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(store.committed()).await.is_some() {
            if let Some(reader) = &reader {
                reader.shared.wake.notify_one();
            }
            let notified = store.read(async |conn| changes::notify(conn).await).await;
            if let Err(error) = notified {
                tracing::debug!(%error, "failed to notify other processes of changes; they find them anyway");
            }
            if stop.run_until_cancelled(sleep(NOTIFY_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    /// Deletes old changes until `stop`.
    pub async fn keep_pruning(store: Store, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(PRUNE_INTERVAL)).await.is_some() {
            for _ in 0..MAX_PRUNE_BATCHES {
                let before = now() - CHANGE_RETENTION;
                match store.write(async move |conn| changes::prune(conn, before).await).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "failed to delete old changes");
                        break;
                    }
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn reset() -> Pending {
    Pending { reset: true, ..Pending::default() }
}

/// Reads the name of the feed, deletes changes that belong to another one, and reads the present position.
async fn begin(store: &Store) -> store::Result<(String, changes::Position)> {
    let feed = store.read(async |conn| changes::feed(conn).await).await?;
    let name = feed.clone();
    store.write(async move |conn| changes::adopt(conn, &name).await).await?;
    let position = store.read(async |conn| changes::position(conn).await).await?;
    Ok((feed, position))
}
