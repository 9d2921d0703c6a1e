//! Looks up keyed orders in the database before they are published.
//!
//! A `serve` remembers the keys that it accepted recently. Of others it asks the database, which the placing
//! of orders does not depend on otherwise, so the wait is short: the orders of one publish batch share a
//! query, and without an answer in time they are published, for the recorder to decide.

use crate::{
    broker::DuplicateCheck,
    domain::ids::OrderId,
    store::{Store, orders},
    telemetry::metrics,
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

/// Maximum delay of orders for their lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(20);
/// Concurrent queries. One that hangs keeps its permit, so they never take all connections.
const MAX_QUERIES: usize = 2;

#[derive(Clone)]
pub struct StoredOrders {
    store: Store,
    queries: Arc<Semaphore>,
}

impl StoredOrders {
    pub fn new(store: Store) -> Self {
        Self { store, queries: Arc::new(Semaphore::new(MAX_QUERIES)) }
    }

    async fn stored(self, ids: Vec<OrderId>) -> Option<Vec<OrderId>> {
        let turn = Arc::new(self.queries.acquire_owned().await.ok()?);
        let stored = self.store.read(async move |conn| {
            // Held until the query ends, even if nobody waits for it any more.
            let _turn = turn;
            orders::stored(conn, &ids).await
        });
        stored.await.inspect_err(|error| tracing::debug!(%error, "failed to look up keys")).ok()
    }
}

impl DuplicateCheck for StoredOrders {
    fn used(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Vec<Uuid>> {
        let lookup = self.clone();
        async move {
            let asked = ids.len();
            let stored = lookup.stored(ids.into_iter().map(OrderId).collect());
            let stored = timeout(LOOKUP_TIMEOUT, stored).await.ok().flatten();
            let counted = |outcome, count: usize| metrics::intake().lookups.of(outcome).inc_by(count as u64);
            match &stored {
                Some(stored) => {
                    counted("stored", stored.len());
                    counted("not_stored", asked.saturating_sub(stored.len()));
                }
                None => counted("unanswered", asked),
            }
            stored.into_iter().flatten().map(|id| id.0).collect()
        }
        .boxed()
    }
}
