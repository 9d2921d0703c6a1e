//! Publishing with confirms, as its callers see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::circuit_breaker::{CircuitBreaker, CircuitState};
use super::confirm_tracker::ConfirmReply;
use super::duplicates::DuplicateCheck;
use super::error::PublishError;
use super::retry_headers::RetryInfo;
use crate::{
    telemetry::{
        metrics::{self, MetricLabel},
        traces::{Span, SpanKind, TraceContext},
    },
    util::reply_channel,
};

/// Messages of one process that wait to be sent or confirmed, together: so many if they are as small as most, fewer if not.
pub(super) const MAX_UNCONFIRMED_ORDERS: usize = 4096;
/// A message counts for one, and for one more for each so many bytes: together they have at most 16 MiB.
const PERMIT_BYTES: usize = 4096;

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    /// Among the orders.
    Orders,
    /// Among the orders, after this time.
    OrdersAfter(Duration),
    /// To the queue that shows whether messages survive.
    Probe,
}

/// What is to be published.
pub(super) struct Message {
    pub(super) id: Uuid,
    /// Its content type, where that is not ours.
    pub(super) foreign: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) failures: RetryInfo,
    pub(super) route: Route,
}

impl Message {
    fn order(id: Uuid, body: Vec<u8>) -> Self {
        Self { id, foreign: None, body, failures: RetryInfo::default(), route: Route::Orders }
    }
}

/// A message on its way to the task that publishes.
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// Where it is in a trace.
    pub(super) place: TraceContext,
    /// Asked before it is sent.
    pub(super) check: Option<Arc<dyn DuplicateCheck>>,
    pub(super) reply: ConfirmReply,
}

/// Publishes orders; cheap to clone, and usable from any thread.
#[derive(Clone)]
pub struct Publisher {
    pub(super) gate: Arc<CircuitBreaker>,
    pub(super) bound: Arc<Semaphore>,
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    /// Keeps the connections up as long as somebody may publish.
    pub(super) _stop: Arc<super::StopOnDrop>,
}

impl Publisher {
    /// Publishes `body` as a persistent JSON message and waits until the broker has it safe.
    ///
    /// Answers at once while the broker is away, and soon after the confirm deadline at the latest. Dropping the
    /// future stops the waiting and leaves open whether the message is sent.
    pub async fn publish(&self, message_id: Uuid, body: Vec<u8>) -> Result<(), PublishError> {
        self.send(Message::order(message_id, body), None).await
    }

    /// Publishes `body` as [`publish`](Self::publish) does, unless `check` knows that the id was used before.
    pub async fn publish_unless_used(
        &self,
        message_id: Uuid,
        body: Vec<u8>,
        check: Arc<dyn DuplicateCheck>,
    ) -> Result<(), PublishError> {
        self.send(Message::order(message_id, body), Some(check)).await
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

    /// Publishes a message to the queue of probes. It is no order, and is not counted as one.
    pub(super) async fn probe(&self) -> Result<(), PublishError> {
        let (failures, route) = (RetryInfo::default(), Route::Probe);
        let probe = Message { id: Uuid::now_v7(), foreign: None, body: Vec::new(), failures, route };
        self.hand_over(probe, TraceContext::default(), None).await
    }

    async fn hand_over(
        &self,
        message: Message,
        place: TraceContext,
        check: Option<Arc<dyn DuplicateCheck>>,
    ) -> Result<(), PublishError> {
        let admitted = match message.route {
            // It is what finds out whether the others are safe.
            Route::Probe => self.gate.state() == CircuitState::Up,
            Route::Orders | Route::OrdersAfter(_) => self.gate.admits(),
        };
        if !admitted {
            return Err(PublishError::Unavailable);
        }
        let room = u32::try_from(1 + message.body.len() / PERMIT_BYTES).unwrap_or(u32::MAX);
        let permit = self.bound.clone().try_acquire_many_owned(room).map_err(|_| PublishError::Busy)?;
        let (to, outcome) = reply_channel::channel();
        let reply = ConfirmReply { to, permit: Some(permit) };
        self.outgoing.try_send(Outgoing { message, place, check, reply }).map_err(|error| match error {
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
