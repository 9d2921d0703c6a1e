//! Clients that wait until their order is stored. The feed names stored orders; one query loads those of all
//! clients.

use crate::{
    domain::{ids::OrderId, order::Order},
    store::{Store, orders},
    util::{
        lock,
        reply_channel::{self, ReplySender},
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Waiting clients, as many as connections are open by default; further ones are declined.
const MAX_WAITERS: usize = 4096;
/// Time from a registration to its first query, by which most orders are stored, and shortest time between two
/// queries.
const QUERY_INTERVAL: Duration = Duration::from_millis(20);
/// Interval of queries for an order that the feed doesn't name: a program of an earlier version may store it,
/// and the feed may not be readable.
const UNNAMED_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Waiters {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    store: Store,
    waiting: Mutex<Waiting>,
    /// Wakes the polling task for a new waiter or a stored order.
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    by_order: HashMap<OrderId, Awaited>,
    count: usize,
    /// Running while there are waiters.
    polling: Option<JoinHandle<()>>,
}

struct Awaited {
    replies: Vec<ReplySender<Order>>,
    next_query: Instant,
}

/// Orders to query now, and the time of the next query if nothing happens before.
struct Due {
    ids: Vec<OrderId>,
    next_query: Instant,
}

impl Waiters {
    pub fn new(store: Store) -> Self {
        let shared = Shared { store, waiting: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared), runtime: Handle::current() }
    }

    /// Returns a receiver for the order, unless too many wait. Dropping the receiver ends the wait.
    pub fn register(&self, id: OrderId) -> Option<oneshot::Receiver<Order>> {
        let (reply, stored) = reply_channel::channel();
        {
            let mut waiting = lock(&self.shared.waiting);
            if waiting.count >= MAX_WAITERS {
                return None;
            }
            // Once for each order: the feed may have named it before. What is stored later is named later.
            let awaited = waiting.by_order.entry(id).or_insert_with(|| Awaited {
                replies: Vec::new(),
                next_query: Instant::now() + QUERY_INTERVAL,
            });
            awaited.replies.push(reply);
            waiting.count += 1;
            if waiting.polling.as_ref().is_none_or(JoinHandle::is_finished) {
                waiting.polling = Some(self.runtime.spawn(poll(Arc::clone(&self.shared))));
            }
        }
        self.shared.changed.notify_one();
        Some(stored)
    }

    /// Loads those of these stored orders that somebody waits for.
    pub fn note_stored(&self, ids: impl Iterator<Item = OrderId>) {
        let mut is_awaited = false;
        {
            let mut waiting = lock(&self.shared.waiting);
            if waiting.by_order.is_empty() {
                return;
            }
            let now = Instant::now();
            for id in ids {
                if let Some(awaited) = waiting.by_order.get_mut(&id) {
                    awaited.next_query = now;
                    is_awaited = true;
                }
            }
        }
        if is_awaited {
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    /// Removes waiters that went away, and returns the orders to query for the others. `None` ends the polling
    /// task.
    fn due(&self, now: Instant) -> Option<Due> {
        let mut waiting = lock(&self.waiting);
        waiting.by_order.retain(|_, awaited| {
            awaited.replies.retain(|reply| !reply.is_unwanted());
            !awaited.replies.is_empty()
        });
        waiting.count = waiting.by_order.values().map(|awaited| awaited.replies.len()).sum();
        if waiting.by_order.is_empty() {
            waiting.polling = None;
            return None;
        }
        let mut due = Due { ids: Vec::new(), next_query: now + UNNAMED_INTERVAL };
        for (id, awaited) in &mut waiting.by_order {
            if awaited.next_query <= now {
                awaited.next_query = now + UNNAMED_INTERVAL;
                due.ids.push(*id);
            }
            due.next_query = due.next_query.min(awaited.next_query);
        }
        Some(due)
    }

    /// Delivers orders to their waiters.
    fn bring(&self, orders: Vec<Order>) {
        let mut brought = Vec::new();
        {
            let mut waiting = lock(&self.waiting);
            for order in orders {
                let Some(awaited) = waiting.by_order.remove(&order.placed.id) else { continue };
                waiting.count = waiting.count.saturating_sub(awaited.replies.len());
                brought.extend(awaited.replies.into_iter().map(|reply| (reply, order.clone())));
            }
        }
        reply_channel::give_all(brought);
    }
}

/// Queries awaited orders until nobody waits.
async fn poll(shared: Arc<Shared>) {
    loop {
        let now = Instant::now();
        let Some(Due { ids, next_query }) = shared.due(now) else { return };
        if !ids.is_empty() {
            let stored = shared.store.read(async move |conn| orders::find_all(conn, &ids).await);
            match stored.await {
                Ok(stored) => shared.bring(stored),
                // While the database is unavailable, nothing is stored.
                Err(error) => tracing::debug!(%error, "failed to load awaited orders"),
            }
        }
        tokio::select! {
            () = sleep_until(next_query) => {}
            () = shared.changed.notified() => {}
        }
        sleep_until(now + QUERY_INTERVAL).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    #[tokio::test]
    async fn no_more_wait_than_there_is_room_for_and_who_goes_away_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let waiters = Waiters::new(Store::sqlite(&folder.path().join("bar.db"), 1).unwrap());
        let waiting: Vec<_> =
            (0..MAX_WAITERS).map(|_| waiters.register(OrderId::new_v7()).unwrap()).collect();
        assert!(waiters.register(OrderId::new_v7()).is_none());
        drop(waiting);
        let ended = async {
            while lock(&waiters.shared.waiting).polling.is_some() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), ended).await.unwrap();
        assert_eq!(lock(&waiters.shared.waiting).count, 0);
        assert!(lock(&waiters.shared.waiting).by_order.is_empty());
        assert!(waiters.register(OrderId::new_v7()).is_some());
    }
}
