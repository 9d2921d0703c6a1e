//! Clients that wait until their order is stored: one query a process asks for all of them.

use crate::{
    domain::{ids::OrderId, order::Order},
    store::{Store, orders},
    util::reply_channel::{self, ReplySender},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// The most clients that wait, as many as connections are open by default; further ones don't.
const MAX_WAITERS: usize = 4096;
/// The time from the first waiter to the first query: most orders are stored by then.
const FIRST_DELAY: Duration = Duration::from_millis(20);
/// The time between two queries while somebody has come lately.
const SHORT_INTERVAL: Duration = Duration::from_millis(80);
/// The time between two queries while all have been waiting for long.
const LONG_INTERVAL: Duration = Duration::from_millis(320);
/// How old the latest waiter is when queries become fewer.
const RECENT: Duration = Duration::from_millis(500);

/// Those who wait. Cheap to clone.
#[derive(Clone)]
pub struct Waiters {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    store: Store,
    waiting: Mutex<Waiting>,
    /// Somebody new waits.
    registered: Notify,
}

#[derive(Default)]
struct Waiting {
    by_order: HashMap<OrderId, Vec<ReplySender<Order>>>,
    count: usize,
    latest: Option<Instant>,
    /// The task that asks, while anybody waits.
    polling: Option<JoinHandle<()>>,
}

impl Waiters {
    /// Nobody, on this runtime.
    pub fn new(store: Store) -> Self {
        let shared = Shared { store, waiting: Mutex::default(), registered: Notify::new() };
        Self { shared: Arc::new(shared), runtime: Handle::current() }
    }

    /// Brings the order once it is stored, unless too many wait. Whoever drops the receiver waits no more.
    pub fn register(&self, id: OrderId) -> Option<oneshot::Receiver<Order>> {
        let (reply, stored) = reply_channel::channel();
        {
            let mut waiting = self.shared.lock();
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
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The orders that are waited for, after those were forgotten who went away. None: the task that asks this ends.
    fn wanted(&self) -> Option<Vec<OrderId>> {
        let mut waiting = self.lock();
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

    /// Brings orders to those who wait for them.
    fn bring(&self, orders: Vec<Order>) {
        let mut brought = Vec::new();
        {
            let mut waiting = self.lock();
            for order in orders {
                let replies = waiting.by_order.remove(&order.placed.id).unwrap_or_default();
                waiting.count = waiting.count.saturating_sub(replies.len());
                brought.extend(replies.into_iter().map(|reply| (reply, order.clone())));
            }
        }
        reply_channel::give_all(brought);
    }

    /// The time until the next query.
    fn interval(&self) -> Duration {
        let is_recent = self.lock().latest.is_some_and(|latest| latest.elapsed() < RECENT);
        if is_recent { SHORT_INTERVAL } else { LONG_INTERVAL }
    }
}

/// Asks for the orders that are waited for, again and again, until nobody waits.
async fn poll(shared: Arc<Shared>) {
    let mut next = Instant::now() + FIRST_DELAY;
    // The first query is not brought forward by those who come before it.
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
            // While the database is away the orders just are not stored yet.
            Err(error) => tracing::debug!(%error, "failed to look for orders that are waited for"),
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
            while waiters.shared.lock().polling.is_some() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), ended).await.unwrap();
        assert_eq!(waiters.shared.lock().count, 0);
        assert!(waiters.shared.lock().by_order.is_empty());
        assert!(waiters.register(OrderId::new_v7()).is_some());
    }
}
