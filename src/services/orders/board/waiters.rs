//! Clients that wait until their order is stored. One query per process serves all of them.

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
/// Time from the first waiter to the first query, by which most orders are stored.
const FIRST_DELAY: Duration = Duration::from_millis(20);
/// Interval of queries while some waiter is recent.
const SHORT_INTERVAL: Duration = Duration::from_millis(80);
/// Interval of queries once all have waited for long.
const LONG_INTERVAL: Duration = Duration::from_millis(320);
/// Age up to which a waiter is recent.
const RECENT: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Waiters {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    store: Store,
    waiting: Mutex<Waiting>,
    /// Wakes the polling task for a new waiter.
    registered: Notify,
}

#[derive(Default)]
struct Waiting {
    by_order: HashMap<OrderId, Vec<ReplySender<Order>>>,
    count: usize,
    latest: Option<Instant>,
    /// Running while there are waiters.
    polling: Option<JoinHandle<()>>,
}

impl Waiters {
    pub fn new(store: Store) -> Self {
        let shared = Shared { store, waiting: Mutex::default(), registered: Notify::new() };
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
            waiting.by_order.entry(id).or_default().push(reply);
            waiting.count += 1;
            waiting.latest = Some(Instant::now());
            if waiting.polling.as_ref().is_none_or(JoinHandle::is_finished) {
                waiting.polling = Some(self.runtime.spawn(poll(Arc::clone(&self.shared))));
            }
        }
        self.shared.registered.notify_one();
        Some(stored)
    }
}

impl Shared {
    /// Removes waiters that went away, and returns the orders of the others. `None` ends the polling task.
    fn wanted(&self) -> Option<Vec<OrderId>> {
        let mut waiting = lock(&self.waiting);
        waiting.by_order.retain(|_, replies| {
            replies.retain(|reply| !reply.is_unwanted());
            !replies.is_empty()
        });
        waiting.count = waiting.by_order.values().map(Vec::len).sum();
        if waiting.by_order.is_empty() {
            waiting.polling = None;
            return None;
        }
        Some(waiting.by_order.keys().copied().collect())
    }

    /// Delivers orders to their waiters.
    fn bring(&self, orders: Vec<Order>) {
        let mut brought = Vec::new();
        {
            let mut waiting = lock(&self.waiting);
            for order in orders {
                let replies = waiting.by_order.remove(&order.placed.id).unwrap_or_default();
                waiting.count = waiting.count.saturating_sub(replies.len());
                brought.extend(replies.into_iter().map(|reply| (reply, order.clone())));
            }
        }
        reply_channel::give_all(brought);
    }

    fn interval(&self) -> Duration {
        let is_recent = lock(&self.waiting).latest.is_some_and(|latest| latest.elapsed() < RECENT);
        if is_recent { SHORT_INTERVAL } else { LONG_INTERVAL }
    }
}

/// Queries the awaited orders until nobody waits.
async fn poll(shared: Arc<Shared>) {
    let mut next = Instant::now() + FIRST_DELAY;
    // A new waiter does not advance the first query.
    let mut soonest = next;
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = shared.registered.notified() => {
                next = next.min(soonest);
                continue;
            }
        }
        let Some(ids) = shared.wanted() else { return };
        let asked = Instant::now();
        let stored = shared.store.read(async move |conn| orders::find_all(conn, &ids).await);
        match stored.await {
            Ok(stored) => shared.bring(stored),
            // While the database is unavailable, nothing is stored.
            Err(error) => tracing::debug!(%error, "failed to load awaited orders"),
        }
        soonest = asked + SHORT_INTERVAL;
        next = asked + shared.interval();
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
