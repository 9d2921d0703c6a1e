//! Publishing with confirms. Any thread may publish; one task sends (`publish_task`).

pub(super) mod circuit_breaker;
mod confirm_tracker;
mod confirms;
pub(super) mod outgoing;
mod publish_batch;
pub(super) mod publish_task;

use super::error::PublishError;
use crate::{
    telemetry::{
        metrics::{self, MetricLabel},
        traces::{Span, SpanKind, TraceContext},
    },
    util::reply_channel,
};
use circuit_breaker::{CircuitBreaker, CircuitState};
use confirm_tracker::ConfirmReply;
use outgoing::{DuplicateCheck, Message, Outgoing, Route};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::DropGuard;
use uuid::Uuid;

/// Messages of one process that wait to be sent or confirmed: this many if they are of usual size, fewer if they are larger.
pub(super) const MAX_UNCONFIRMED_ORDERS: usize = 4096;
/// A message takes one permit, and one more for each 4 KiB: together all messages have at most 16 MiB.
const PERMIT_BYTES: usize = 4096;

/// Publishes orders. Clones are cheap, share the same limits, and work on any thread.
#[derive(Clone)]
pub struct Publisher {
    pub(super) breaker: Arc<CircuitBreaker>,
    permits: Arc<Semaphore>,
    outgoing: mpsc::Sender<Outgoing>,
    /// Keeps the connections open as long as somebody may publish.
    _stop: Arc<[DropGuard; 2]>,
}

impl Publisher {
    /// Returns a publisher and the messages that it hands to the task that publishes.
    pub(super) fn new(
        breaker: Arc<CircuitBreaker>,
        stop: Arc<[DropGuard; 2]>,
    ) -> (Self, mpsc::Receiver<Outgoing>) {
        let (outgoing, messages) = mpsc::channel(MAX_UNCONFIRMED_ORDERS);
        let permits = Arc::new(Semaphore::new(MAX_UNCONFIRMED_ORDERS));
        (Self { breaker, permits, outgoing, _stop: stop }, messages)
    }

    /// Publishes `body` as a persistent JSON message and waits until the broker has confirmed it.
    ///
    /// Answers at once while the broker is not available, and soon after the confirm timeout at the latest. Dropping the future
    /// stops the wait; the message may be sent or not.
    pub async fn publish(&self, message_id: Uuid, body: Vec<u8>) -> Result<(), PublishError> {
        self.send(Message::new(message_id, body, Route::Orders), None).await
    }

    /// Publishes `body` as [`publish`](Self::publish) does, unless `check` finds that the id was used before.
    pub async fn publish_unless_used(
        &self,
        message_id: Uuid,
        body: Vec<u8>,
        check: Arc<dyn DuplicateCheck>,
    ) -> Result<(), PublishError> {
        self.send(Message::new(message_id, body, Route::Orders), Some(check)).await
    }

    pub(super) async fn send(
        &self,
        message: Message,
        check: Option<Arc<dyn DuplicateCheck>>,
    ) -> Result<(), PublishError> {
        let id = message.id;
        let mut span = Span::child(SpanKind::Producer, "send order");
        let outcome = self.hand_over(message, span.context(), check).await;
        metrics::broker().publishes.of(outcome.label()).inc();
        if span.is_recorded() {
            span.set("messaging.system", "rabbitmq");
            span.set("messaging.operation.type", "send");
            span.set("messaging.message.id", id.to_string());
            if let Err(error) = outcome {
                span.failed(error.to_string());
            }
        }
        outcome
    }

    /// Publishes a message to the queue of probes. It is no order, and not counted as one.
    pub(super) async fn probe(&self) -> Result<(), PublishError> {
        let probe = Message::new(Uuid::now_v7(), Vec::new(), Route::Probe);
        self.hand_over(probe, TraceContext::default(), None).await
    }

    async fn hand_over(
        &self,
        message: Message,
        trace: TraceContext,
        check: Option<Arc<dyn DuplicateCheck>>,
    ) -> Result<(), PublishError> {
        let is_admitted = match message.route {
            // A probe is what finds out whether orders would be safe.
            Route::Probe => self.breaker.state() == CircuitState::Up,
            Route::Orders | Route::OrdersAfter(_) => self.breaker.admits(),
        };
        if !is_admitted {
            return Err(PublishError::Unavailable);
        }
        let permits = u32::try_from(1 + message.body.len() / PERMIT_BYTES).unwrap_or(u32::MAX);
        let permit = self.permits.clone().try_acquire_many_owned(permits).map_err(|_| PublishError::Busy)?;
        let (to, outcome) = reply_channel::channel();
        let reply = ConfirmReply { to, permit: Some(permit) };
        self.outgoing.try_send(Outgoing { message, trace, check, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PublishError::Busy,
            mpsc::error::TrySendError::Closed(_) => PublishError::Unavailable,
        })?;
        outcome.await.unwrap_or(Err(PublishError::Unconfirmed))
    }
}

impl MetricLabel for Result<(), PublishError> {
    fn label(&self) -> &'static str {
        match self {
            Ok(()) => "confirmed",
            Err(PublishError::Unavailable) => "unavailable",
            Err(PublishError::Busy) => "busy",
            Err(PublishError::Unconfirmed) => "unconfirmed",
            Err(PublishError::Refused) => "refused",
            Err(PublishError::NoQueue) => "no_queue",
            Err(PublishError::Duplicate) => "duplicate",
        }
    }
}
