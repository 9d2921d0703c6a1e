//! Sends accepted orders to the broker or the database.

use super::PlaceOrderError;
use crate::broker::order_message;
use crate::{
    broker::{DuplicateCheck, PublishError, Publisher},
    domain::{self, order::NewOrder},
    services::orders::recorder::{RecordOutcome, Recorder},
    telemetry::metrics::MetricLabel,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Time for an order to be confirmed as safe.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(950);

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

/// The destination of accepted orders.
pub enum OrderSink {
    Direct(Recorder),
    /// The broker, and the recorder while the broker is down.
    BrokerFirst(BrokerFirst),
}

pub struct BrokerFirst {
    pub publisher: Publisher,
    pub recorder: Recorder,
    /// Finds orders whose ids are in use.
    pub stored: Arc<dyn DuplicateCheck>,
}

impl OrderSink {
    /// Takes an order. Taking the same order twice is harmless.
    pub async fn take(&self, order: Arc<NewOrder>) -> Result<Placement, PlaceOrderError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        match self {
            Self::Direct(recorder) => store(recorder, order, deadline).await,
            Self::BrokerFirst(sink) => {
                let published = sink.publisher.publish(order.id.0, order_message::encode(&order)).await;
                sink.taken(order, published, deadline).await
            }
        }
    }

    /// Takes an order whose id may be in use. Returns `None` if it is, perhaps by this order.
    pub async fn take_unless_stored(
        &self,
        order: Arc<NewOrder>,
    ) -> Result<Option<Placement>, PlaceOrderError> {
        let sink = match self {
            // The recorder finds the stored order and compares the two.
            Self::Direct(_) => return self.take(order).await.map(Some),
            Self::BrokerFirst(sink) => sink,
        };
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let (id, body, check) = (order.id.0, order_message::encode(&order), Arc::clone(&sink.stored));
        match sink.publisher.publish_unless_used(id, body, check).await {
            Err(PublishError::Duplicate) => Ok(None),
            published => sink.taken(order, published, deadline).await.map(Some),
        }
    }
}

impl BrokerFirst {
    /// Records an order that was not published, unless more orders wait for the broker than the database
    /// could take.
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
        // It may also be in the queue: recorded under the same id, it is one order.
        match store(&self.recorder, order, deadline).await {
            // A worker may reach a different result with the published copy.
            Err(PlaceOrderError::Unavailable | PlaceOrderError::Refused(_)) if sent => {
                Err(PlaceOrderError::OutcomeUnknown)
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
        RecordOutcome::Unknown => Err(PlaceOrderError::OutcomeUnknown),
    }
}
