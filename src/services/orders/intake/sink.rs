//! Where accepted orders go.

use super::PlaceOrderError;
use crate::broker::order_message;
use crate::{
    broker::{DuplicateCheck, PublishError, Publisher},
    domain::{self, order::NewOrder},
    services::orders::recorder::{RecordOutcome, Recorder},
    telemetry::metrics::MetricLabel,
};
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a guest waits at most for the word that an order is safe, or that it can't be made so.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(950);

/// How an order was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The broker has it on disk; a worker will store it.
    Queued,
    /// It is stored: since when, unless it was there before and may have moved since.
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

/// Keeps orders safe.
pub trait OrderSink: Send + Sync {
    /// Takes an order. Taking the same order twice is harmless.
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Placement, PlaceOrderError>>;

    /// Takes an order under whose id another may be stored. None: one is, perhaps this one.
    fn take_unless_stored(
        &self,
        order: Arc<NewOrder>,
    ) -> BoxFuture<'_, Result<Option<Placement>, PlaceOrderError>>;
}

/// Stores orders at once.
pub struct Direct(pub Recorder);

/// Gives orders to the broker, and stores them at once while that is down.
pub struct BrokerFirst {
    /// The way to the broker.
    pub publisher: Publisher,
    /// The way round it.
    pub recorder: Recorder,
    /// The orders whose keys are used.
    pub stored: Arc<dyn DuplicateCheck>,
}

impl OrderSink for Direct {
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Placement, PlaceOrderError>> {
        store(&self.0, order, Instant::now() + ANSWER_TIMEOUT).boxed()
    }

    fn take_unless_stored(
        &self,
        order: Arc<NewOrder>,
    ) -> BoxFuture<'_, Result<Option<Placement>, PlaceOrderError>> {
        // Storing an order finds the other one, and compares them.
        self.take(order).map_ok(Some).boxed()
    }
}

impl OrderSink for BrokerFirst {
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Placement, PlaceOrderError>> {
        async move {
            let deadline = Instant::now() + ANSWER_TIMEOUT;
            let published = self.publisher.publish(order.id.0, order_message::encode(&order)).await;
            self.taken(order, published, deadline).await
        }
        .boxed()
    }

    fn take_unless_stored(
        &self,
        order: Arc<NewOrder>,
    ) -> BoxFuture<'_, Result<Option<Placement>, PlaceOrderError>> {
        async move {
            let deadline = Instant::now() + ANSWER_TIMEOUT;
            let (id, body, check) = (order.id.0, order_message::encode(&order), Arc::clone(&self.stored));
            match self.publisher.publish_unless_used(id, body, check).await {
                Err(PublishError::Duplicate) => Ok(None),
                published => self.taken(order, published, deadline).await.map(Some),
            }
        }
        .boxed()
    }
}

impl BrokerFirst {
    /// Stores an order that was not published, unless more wait for the broker already than the database could take.
    async fn taken(
        &self,
        order: Arc<NewOrder>,
        published: Result<(), PublishError>,
        deadline: Instant,
    ) -> Result<Placement, PlaceOrderError> {
        let sent = match published {
            Ok(()) => return Ok(Placement::Queued),
            Err(PublishError::Busy) => return Err(PlaceOrderError::Unavailable),
            Err(PublishError::Unavailable | PublishError::NoQueue | PublishError::Duplicate) => false,
            Err(PublishError::Unconfirmed | PublishError::Refused) => true,
        };
        // Whether or not it reached the queue: recorded under the same id, it is one order.
        match store(&self.recorder, order, deadline).await {
            // A worker may come to another end with what was sent.
            Err(PlaceOrderError::Unavailable | PlaceOrderError::Refused(_)) if sent => {
                Err(PlaceOrderError::Undecided)
            }
            outcome => outcome,
        }
    }
}

async fn store(
    recorder: &Recorder,
    order: Arc<NewOrder>,
    deadline: Instant,
) -> Result<Placement, PlaceOrderError> {
    match recorder.record(Arc::unwrap_or_clone(order), deadline).await {
        RecordOutcome::Recorded(at) => Ok(Placement::Stored(Some(at))),
        RecordOutcome::AlreadyThere => Ok(Placement::Stored(None)),
        RecordOutcome::KeyReused | RecordOutcome::Conflict => Err(PlaceOrderError::Conflict),
        RecordOutcome::Refused(refusal) => Err(PlaceOrderError::Refused(refusal)),
        RecordOutcome::Retryable | RecordOutcome::Failed(_) => Err(PlaceOrderError::Unavailable),
        RecordOutcome::Unknown => Err(PlaceOrderError::Undecided),
    }
}
