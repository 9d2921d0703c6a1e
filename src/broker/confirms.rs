//! The broker's answers to published messages: from amqprs' callback to whoever waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::Channel;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::PublishError;
use super::channel_pool::{describe, log_closed};
use super::circuit_breaker::{CircuitBreaker, CircuitState};
use super::confirm_tracker::{ConfirmReply, ConfirmTracker};
use crate::telemetry::metrics;

/// The confirms of one channel. Lives until the channel is lost; nothing is published on it afterwards.
pub(super) struct Confirms {
    tracker: Mutex<ConfirmTracker>,
    gate: Arc<CircuitBreaker>,
    ended: CancellationToken,
    answered: Notify,
    returned: Notify,
}

impl Confirms {
    pub(super) fn new(gate: Arc<CircuitBreaker>) -> Arc<Self> {
        Arc::new(Self {
            tracker: Mutex::new(ConfirmTracker::new(Instant::now())),
            gate,
            ended: CancellationToken::new(),
            answered: Notify::new(),
            returned: Notify::new(),
        })
    }

    /// What amqprs calls; when it drops this with the channel, everybody who still waits is told.
    pub(super) fn callback(self: &Arc<Self>) -> impl ChannelCallback + Send + 'static {
        Callback(self.clone())
    }

    /// Lets callers publish: all of them, or after a channel that went silent, one at a time until something is confirmed.
    pub(super) fn begin(&self, after_silence: bool) {
        let _tracker = self.lock();
        if !self.ended.is_cancelled() {
            self.gate.set(if after_silence { CircuitState::Stalled } else { CircuitState::Up });
        }
    }

    /// Expects an answer for the message published next, and returns its tag. Gives the replies back when the channel is gone.
    pub(super) fn register(
        &self,
        replies: Vec<ConfirmReply>,
        is_probe: bool,
        now: Instant,
    ) -> Result<u64, Vec<ConfirmReply>> {
        let mut tracker = self.lock();
        if self.ended.is_cancelled() {
            return Err(replies);
        }
        let tag = tracker.register(replies, is_probe, now);
        show(&tracker);
        Ok(tag)
    }

    /// Gives up on what has been without an answer for longer than `within`.
    pub(super) fn expire(&self, within: Duration) {
        let Some(deadline) = Instant::now().checked_sub(within) else { return };
        let mut tracker = self.lock();
        // The gate first: whoever is told that a message is unconfirmed must find that publishing has stopped.
        if tracker.is_stalled(deadline) && !self.ended.is_cancelled() && self.gate.state() == CircuitState::Up
        {
            self.gate.set(CircuitState::Stalled);
            tracing::warn!(
                unanswered = tracker.unanswered(),
                "the broker confirms nothing, as during a memory or disk alarm; publishing stops until it does"
            );
        }
        tracker.expire(deadline);
    }

    /// Whether nothing at all was confirmed for longer than `within`, though it should have been.
    pub(super) fn is_silent(&self, within: Duration) -> bool {
        Instant::now().checked_sub(within).is_some_and(|deadline| self.lock().is_silent(deadline))
    }

    /// Whether the broker has refused everything for longer than `within`.
    pub(super) fn is_refused(&self, within: Duration) -> bool {
        Instant::now().checked_sub(within).is_some_and(|deadline| self.lock().is_refused(deadline))
    }

    /// Ends this channel's confirms: everybody who waits is told that the outcome is unknown.
    pub(super) fn end(&self) {
        let mut tracker = self.lock();
        if !self.ended.is_cancelled() {
            self.ended.cancel();
            self.gate.set(CircuitState::Down);
        }
        tracker.end();
        show(&tracker);
    }

    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Resolves when the broker has answered something since the last time.
    pub(super) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Resolves when a message was returned because no queue was there for it.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.lock().unanswered()
    }

    fn answer(&self, tag: u64, multiple: bool, outcome: Result<(), PublishError>) {
        let mut tracker = self.lock();
        tracker.answer(tag, multiple, outcome, Instant::now(), |took| {
            metrics::broker().confirms.observe(took.as_secs_f64());
        });
        show(&tracker);
        self.answered.notify_one();
        if self.gate.state() == CircuitState::Stalled && !self.ended.is_cancelled() {
            self.gate.set(CircuitState::Up);
            tracing::info!("the broker confirms again");
        }
    }

    /// A holder that panicked cannot have left the map half-changed.
    fn lock(&self) -> MutexGuard<'_, ConfirmTracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process publishes on one channel at a time.
fn show(tracker: &ConfirmTracker) {
    metrics::broker().unconfirmed.set(i64::try_from(tracker.unanswered()).unwrap_or(i64::MAX));
}

struct Callback(Arc<Confirms>);

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[async_trait]
impl ChannelCallback for Callback {
    async fn close(&mut self, channel: &Channel, close: CloseChannel) -> Result<(), amqprs::error::Error> {
        log_closed(channel.connection_name(), &describe(&close));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.0.answer(ack.delivery_tag(), ack.mutiple(), Ok(()));
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.0.answer(nack.delivery_tag(), nack.multiple(), Err(PublishError::Refused));
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, properties: BasicProperties, _: Vec<u8>) {
        // Only the publisher's tag tells two messages of one id apart.
        if let Some(tag) = properties.correlation_id().and_then(|tag| tag.parse().ok()) {
            self.0.lock().returned(tag);
        }
        self.0.returned.notify_one();
    }
}
