//! Messages on their way to the task that publishes.

use super::confirm_tracker::ConfirmReply;
use crate::{broker::retry_headers::RetryInfo, telemetry::traces::TraceContext};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Route {
    Orders,
    /// The queue of orders, after this delay.
    OrdersAfter(Duration),
    /// The queue that shows whether messages survive.
    Probe,
}

pub(in crate::broker) struct Message {
    pub(in crate::broker) id: Uuid,
    /// The content type, if it is not one of this program's.
    pub(in crate::broker) foreign: Option<String>,
    pub(in crate::broker) body: Vec<u8>,
    pub(in crate::broker) failures: RetryInfo,
    pub(in crate::broker) route: Route,
}

impl Message {
    pub(super) fn new(id: Uuid, body: Vec<u8>, route: Route) -> Self {
        Self { id, foreign: None, body, failures: RetryInfo::default(), route }
    }
}

/// A message with the caller that waits for its outcome.
pub(in crate::broker) struct Outgoing {
    pub(super) message: Message,
    pub(super) trace: TraceContext,
    /// Asked before the message is sent.
    pub(super) check: Option<Arc<dyn DuplicateCheck>>,
    pub(super) reply: ConfirmReply,
}

impl Outgoing {
    /// Returns whether the message may share a publish batch. Properties belong to the whole batch, and those of a retry are its own.
    pub(super) fn can_share(&self) -> bool {
        matches!(self.message.route, Route::Orders) && self.message.failures.count == 0
    }
}

/// Finds messages whose ids were used before. It is asked about a whole publish batch just before the batch is sent: that costs one
/// query for each batch, and no further switch between threads.
pub trait DuplicateCheck: Send + Sync {
    /// Returns those of the ids that were used before. It must end soon: the batch waits for it.
    fn used(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Vec<Uuid>>;
}
