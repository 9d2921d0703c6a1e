//! Sends accepted orders to the broker or the database.

use super::PlaceOrderError;
use crate::{
    broker::{DuplicateCheck, PublishError, Publisher, order_message},
    domain::{self, ids::OrderId, order::NewOrder},
    services::orders::recorder::{RecordOutcome, Recorder},
    store::{Store, orders},
    telemetry::metrics::{self, MetricLabel},
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use uuid::Uuid;

/// Time for an order to be confirmed as safe.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(950);
/// Maximum delay of orders for their lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(20);
/// Concurrent queries. One that hangs keeps its permit, so they never take all connections.
const MAX_QUERIES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The broker has it on disk; a worker will record it.
    Queued,
    /// Recorded at this time; `None` if it was stored before and may have changed since.
    Stored(Option<domain::Timestamp>),
}

impl MetricLabel for Placement {
    fn label(&self) -> &'static str {
        match self {
            Self::Queued => "broker",
            Self::Stored(_) => "database",
        }
    }
}

/// The destination of accepted orders: the broker, and the recorder without a broker and while it is down.
pub struct OrderSink {
    pub broker: Option<BrokerSink>,
    pub recorder: Recorder,
}

pub struct BrokerSink {
    pub publisher: Publisher,
    /// Finds orders whose ids are in use.
    pub stored: Arc<dyn DuplicateCheck>,
}

impl OrderSink {
    /// Takes an order. Taking the same order twice is harmless.
    pub async fn take(&self, order: Arc<NewOrder>) -> Result<Placement, PlaceOrderError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let published = match &self.broker {
            Some(broker) => broker.publisher.publish(order.id.0, order_message::encode(&order)).await,
            None => Err(PublishError::Unavailable),
        };
        self.record_unless_published(order, published, deadline).await
    }

    /// Takes an order whose id may be in use. Returns `None` if it is, perhaps by this order.
    pub async fn take_unless_stored(
        &self,
        order: Arc<NewOrder>,
    ) -> Result<Option<Placement>, PlaceOrderError> {
        // Without a broker, the recorder finds the stored order and compares the two.
        let Some(broker) = &self.broker else { return self.take(order).await.map(Some) };
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let (id, body, check) = (order.id.0, order_message::encode(&order), Arc::clone(&broker.stored));
        match broker.publisher.publish_unless_used(id, body, check).await {
            Err(PublishError::Duplicate) => Ok(None),
            published => self.record_unless_published(order, published, deadline).await.map(Some),
        }
    }

    /// Records an order that was not published, unless so many wait for the broker that it is busy.
    async fn record_unless_published(
        &self,
        order: Arc<NewOrder>,
        published: Result<(), PublishError>,
        deadline: Instant,
    ) -> Result<Placement, PlaceOrderError> {
        let is_sent = match published {
            Ok(()) => return Ok(Placement::Queued),
            Err(PublishError::Busy) => return Err(PlaceOrderError::Unavailable),
            Err(PublishError::Unavailable | PublishError::NoQueue | PublishError::Duplicate) => false,
            Err(PublishError::Unconfirmed | PublishError::Refused) => true,
        };
        // It may also be in the queue: recorded under the same id, it is one order.
        match self.recorder.record(Arc::unwrap_or_clone(order), deadline).await {
            RecordOutcome::Recorded(at) => Ok(Placement::Stored(Some(at))),
            RecordOutcome::AlreadyThere => Ok(Placement::Stored(None)),
            RecordOutcome::KeyReused | RecordOutcome::Conflict => Err(PlaceOrderError::Conflict),
            RecordOutcome::Unknown => Err(PlaceOrderError::OutcomeUnknown),
            // A worker may reach a different result with the published copy.
            _ if is_sent => Err(PlaceOrderError::OutcomeUnknown),
            RecordOutcome::Refused(refusal) => Err(PlaceOrderError::Refused(refusal)),
            RecordOutcome::Retryable | RecordOutcome::Failed(_) => Err(PlaceOrderError::Unavailable),
        }
    }
}

/// Looks up keyed orders in the database before they are published.
///
/// A `serve` remembers the keys that it accepted recently. Of others it asks the database, which the placing
/// of orders does not depend on otherwise, so the wait is short: the orders of one publish batch share a
/// query, and without an answer in time they are published, for the recorder to decide.
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
