//! A pool of the channels of one supervised connection.

use super::{
    amqp_call::{CALL_TIMEOUT, OnRuntime, call},
    connection::{Current, Live},
    error::QueueError,
};
use crate::telemetry::{log_throttle, metrics::Open};
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, Nack, Return, callbacks::ChannelCallback, channel::Channel,
};
use async_trait::async_trait;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Channels for short requests. Those of publishers and consumers leave the pool, because they can't be reused.
const MAX_POOLED_CHANNELS: usize = 8;
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct ChannelPool(Option<Pool<ChannelManager>>);

impl ChannelPool {
    pub(super) fn new(current: Current) -> Self {
        let pool = Pool::builder(ChannelManager { current })
            .max_size(MAX_POOLED_CHANNELS)
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(CALL_TIMEOUT))
            .recycle_timeout(Some(WAIT_TIMEOUT))
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        // Building fails only if timeouts are set without a runtime.
        Self(pool.ok())
    }

    /// Returns a channel that goes back to the pool.
    pub(super) async fn get(&self) -> Result<Object<ChannelManager>, QueueError> {
        let pool = self.0.as_ref().ok_or(QueueError::NotConnected)?;
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => QueueError::TimedOut("get a channel"),
            _ => QueueError::NotConnected,
        })
    }

    /// Returns a channel that leaves the pool and is closed when it is dropped.
    pub(super) async fn keep(&self) -> Result<PooledChannel, QueueError> {
        self.get().await.map(Object::take)
    }

    pub(super) fn close(&self) {
        if let Some(pool) = &self.0 {
            pool.close();
        }
    }
}

pub(super) struct PooledChannel {
    channel: OnRuntime<Channel>,
    pub(super) live: Arc<Live>,
    closed_by_server: CloseReason,
    _open: Open,
}

impl PooledChannel {
    /// Returns whether the channel and its connection can still be used.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_open() && self.channel.get().is_some_and(Channel::is_open)
    }

    pub(super) fn raw(&self) -> Result<&Channel, QueueError> {
        self.channel.get().ok_or(QueueError::NotConnected)
    }

    /// Returns the server's reason for closing the channel, if it did.
    pub(super) fn close_reason(&self) -> Option<&str> {
        self.closed_by_server.0.get().map(String::as_str)
    }

    /// Makes several calls, all of them together within `limit`.
    pub(super) async fn request<T, F>(
        &self,
        what: &'static str,
        limit: Duration,
        request: impl FnOnce(Channel) -> F,
    ) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, amqprs::error::Error>> + Send + 'static,
    {
        let answer = call(self.channel.runtime(), what, limit, request(self.raw()?.clone())).await;
        answer.map_err(|error| match self.closed_by_server.0.get() {
            Some(reason) => QueueError::Refused { what, reason: reason.clone() },
            None => error,
        })
    }

    /// Closes the channel and waits for that; dropping it closes it in the background.
    pub(super) async fn close(mut self) -> Result<(), QueueError> {
        match self.channel.take() {
            Some(channel) => {
                call(self.channel.runtime(), "close a channel", CALL_TIMEOUT, channel.close()).await
            }
            None => Ok(()),
        }
    }
}

impl Drop for PooledChannel {
    fn drop(&mut self) {
        // A channel that was closed, not by us, on an open connection: the server closed it.
        if self.live.is_open() && self.channel.get().is_some_and(|channel| !channel.is_open()) {
            self.live.channel_lost();
        }
    }
}

pub(super) struct ChannelManager {
    current: Current,
}

impl Manager for ChannelManager {
    type Type = PooledChannel;
    type Error = QueueError;

    async fn create(&self) -> Result<PooledChannel, QueueError> {
        let live = self.current.borrow().clone().ok_or(QueueError::NotConnected)?;
        let channel = live.open_channel().await?;
        let closed_by_server = CloseReason::default();
        let callback = closed_by_server.clone();
        let channel = PooledChannel { channel, closed_by_server, _open: live.count_channel(), live };
        // This queues the callback locally; it does not wait.
        channel
            .raw()?
            .register_callback(callback)
            .await
            .map_err(|cause| QueueError::Failed { what: "open a channel", cause })?;
        Ok(channel)
    }

    async fn recycle(&self, channel: &mut PooledChannel, _: &Metrics) -> RecycleResult<QueueError> {
        if channel.is_open() {
            Ok(())
        } else {
            Err(RecycleError::message("the channel or its connection is closed"))
        }
    }
}

/// The server's reason for closing a channel: a call that fails only learns that there is no answer.
#[derive(Clone, Default)]
struct CloseReason(Arc<OnceLock<String>>);

pub(super) fn describe(close: &CloseChannel) -> String {
    format!("{} {}", close.reply_code(), close.reply_text())
}

/// Logs that the server closed a channel on which no call was waiting.
pub(super) fn log_closed(connection: &str, reason: &str) {
    if let Some(repeated) = log_throttle::admit(reason) {
        tracing::warn!(connection, reason, repeated, "the broker closed a channel");
    }
}

#[async_trait]
impl ChannelCallback for CloseReason {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), amqprs::error::Error> {
        let _ = self.0.set(describe(&close));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, _: Ack) {}

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {}

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}
