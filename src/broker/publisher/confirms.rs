//! Publisher confirms: takes the broker's answers from amqprs' callback to the callers that wait.

use super::{
    circuit_breaker::{CircuitBreaker, CircuitState},
    confirm_tracker::{ConfirmReply, ConfirmTracker},
};
use crate::{
    broker::{
        channel_pool::{describe, log_closed},
        error::PublishError,
    },
    telemetry::metrics,
};
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, Nack, Return, callbacks::ChannelCallback, channel::Channel,
};
use async_trait::async_trait;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// The confirms of one channel, until the channel is lost.
pub(super) struct Confirms {
    tracker: Mutex<ConfirmTracker>,
    breaker: Arc<CircuitBreaker>,
    pub(super) ended: CancellationToken,
    /// Notified when the broker has answered a message.
    pub(super) answered: Notify,
    /// Notified when the broker has returned a message because it has no queue for it.
    pub(super) returned: Notify,
}

impl Confirms {
    pub(super) fn new(breaker: Arc<CircuitBreaker>) -> Arc<Self> {
        Arc::new(Self {
            tracker: Mutex::new(ConfirmTracker::new(Instant::now())),
            breaker,
            ended: CancellationToken::new(),
            answered: Notify::new(),
            returned: Notify::new(),
        })
    }

    /// Returns the callback for amqprs, which drops it with the channel: then the callers that still wait are told.
    pub(super) fn callback(self: &Arc<Self>) -> impl ChannelCallback + Send + 'static {
        Callback(self.clone())
    }

    /// Admits all callers, or, after a channel that went silent, one at a time until something is confirmed.
    pub(super) fn begin(&self, after_silence: bool) {
        let _tracker = self.lock();
        if !self.ended.is_cancelled() {
            self.breaker.set(if after_silence { CircuitState::Stalled } else { CircuitState::Up });
        }
    }

    /// Expects an answer for the message that is published next, and returns its tag. Returns the replies if the channel is gone.
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
        set_unconfirmed(&tracker);
        Ok(tag)
    }

    /// Tells the callers of messages that are older than `timeout` that they are unconfirmed.
    pub(super) fn expire(&self, timeout: Duration) {
        let Some(deadline) = Instant::now().checked_sub(timeout) else { return };
        let mut tracker = self.lock();
        // The breaker first: a caller that learns that its message is unconfirmed must find that publishing has stopped.
        if tracker.is_stalled(deadline)
            && !self.ended.is_cancelled()
            && self.breaker.state() == CircuitState::Up
        {
            self.breaker.set(CircuitState::Stalled);
            tracing::warn!(
                unanswered = tracker.unanswered(),
                "the broker confirms nothing, as during a memory or disk alarm; publishing stops until it does"
            );
        }
        tracker.expire(deadline);
    }

    /// Returns whether nothing at all was answered for longer than `timeout`, though messages were sent.
    pub(super) fn is_silent(&self, timeout: Duration) -> bool {
        Instant::now().checked_sub(timeout).is_some_and(|deadline| self.lock().is_silent(deadline))
    }

    /// Returns whether the broker has refused everything for longer than `timeout`.
    pub(super) fn is_refused(&self, timeout: Duration) -> bool {
        Instant::now().checked_sub(timeout).is_some_and(|deadline| self.lock().is_refused(deadline))
    }

    /// Ends the confirms of this channel: callers that wait are told that their messages are unconfirmed.
    pub(super) fn end(&self) {
        let mut tracker = self.lock();
        if !self.ended.is_cancelled() {
            self.ended.cancel();
            self.breaker.set(CircuitState::Down);
        }
        tracker.end();
        set_unconfirmed(&tracker);
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
        set_unconfirmed(&tracker);
        self.answered.notify_one();
        if self.breaker.state() == CircuitState::Stalled && !self.ended.is_cancelled() {
            self.breaker.set(CircuitState::Up);
            tracing::info!("the broker confirms again");
        }
    }

    // A panic while it was locked cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, ConfirmTracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the metric: a process publishes on one channel at a time.
fn set_unconfirmed(tracker: &ConfirmTracker) {
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
        // Two messages may have the same id, but not the same tag, which the publisher sent along.
        if let Some(tag) = properties.correlation_id().and_then(|tag| tag.parse().ok()) {
            self.0.lock().returned(tag);
        }
        self.0.returned.notify_one();
    }
}
