//! Consumes orders in batches, as long as the broker can be reached.
//!
//! A consumer can stop receiving without notice. If a queue is deleted and declared again within milliseconds, RabbitMQ 3.10 counts
//! the consumers of the old queue as consumers of the new one, and sends them messages that never arrive. No request of a client
//! shows this. So no consumer is relied on for long: every few seconds a new one replaces it, on a new channel. The old one is
//! cancelled, and its channel is closed once its deliveries are settled: messages that never arrived are then delivered to others.

pub mod acknowledgements;
pub mod channel_consumer;
pub mod reception;

use super::{
    channel_pool::ChannelPool,
    error::QueueError,
    topology::{Source, Topology},
};
use acknowledgements::DeliveryTag;
use channel_consumer::{Consumer, Delivery};
use rand::random_range;
use reception::{Reception, SourceReception};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A subscription to a queue. Dropping it returns unacknowledged messages to the queue, in the background.
pub struct Subscription {
    opening: Opening,
    reception: SourceReception,
    current: Consumer,
    /// The consumer before, until all of its deliveries are settled.
    retiring: Option<Consumer>,
    renewal_at: Instant,
}

/// The arguments for opening a consumer.
pub(super) struct Opening {
    pub(super) topology: Topology,
    pub(super) pool: ChannelPool,
    pub(super) source: Source,
    pub(super) prefetch: u16,
    /// A consumer is replaced after this time.
    pub(super) lifetime: Duration,
}

impl Opening {
    async fn open(&self, number: u64) -> Result<Consumer, QueueError> {
        self.topology.declare(&self.pool).await?;
        Consumer::open(&self.pool, self.topology.queue(self.source), self.prefetch, number).await
    }

    /// Returns the time at which a consumer that is opened now must be replaced, with jitter.
    fn renewal_at(&self) -> Instant {
        Instant::now() + self.lifetime.mul_f64(random_range(0.8..1.0))
    }
}

impl Subscription {
    pub(super) async fn open(opening: Opening, reception: &Reception) -> Result<Self, QueueError> {
        let current = opening.open(0).await?;
        let reception = reception.of(opening.source);
        let renewal_at = opening.renewal_at();
        Ok(Self { opening, reception, current, retiring: None, renewal_at })
    }

    /// Waits for a message and returns it with others that have arrived, at most `max` in all, in the order of their tags.
    ///
    /// Returns `None` when the subscription has ended: the connection or channel is lost, or the queue was deleted. Unacknowledged
    /// messages are then delivered to other subscriptions. Cancelling the future loses nothing.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        self.reception.waiting();
        let batch = self.receive(max).await;
        if batch.is_some() {
            self.reception.handling();
        }
        batch
    }

    async fn receive(&mut self, max: usize) -> Option<Vec<Delivery>> {
        // Only one turn in the lifetime of a consumer does not return.
        loop {
            if let Some(retiring) = &mut self.retiring {
                // This does not wait: nothing more is delivered to a cancelled consumer.
                if let Some(batch) = retiring.next_batch(max).await {
                    return Some(batch);
                }
                if retiring.is_done() {
                    self.retiring = None;
                }
            }
            if self.retiring.is_some() {
                // The caller has not settled its deliveries yet: two consumers are enough.
                self.renewal_at = self.opening.renewal_at();
            } else if Instant::now() >= self.renewal_at {
                self.renew().await?;
                continue;
            }
            if let Ok(batch) = timeout_at(self.renewal_at, self.current.next_batch(max)).await {
                return batch;
            }
        }
    }

    async fn renew(&mut self) -> Option<()> {
        let renewed = self.opening.open(self.current.number.wrapping_add(1)).await;
        let renewed =
            renewed.inspect_err(|error| tracing::debug!(%error, "failed to replace a consumer")).ok()?;
        let retiring = std::mem::replace(&mut self.current, renewed);
        self.renewal_at = self.opening.renewal_at();
        self.reception.waiting();
        // If this fails, its channel is closed at once, and its unsettled messages are delivered again.
        if retiring.cancel().await.is_ok() {
            self.retiring = Some(retiring);
        }
        Some(())
    }

    /// Acknowledges deliveries that are handled for good.
    ///
    /// `Ok` means that the acknowledgements are on their way. If they get lost, the messages are delivered again.
    pub async fn settle(&mut self, tags: impl IntoIterator<Item = DeliveryTag>) -> Result<(), QueueError> {
        let (of_current, of_retiring): (Vec<_>, Vec<_>) =
            tags.into_iter().partition(|tag| tag.consumer == self.current.number);
        self.current.settle(of_current).await?;
        match &mut self.retiring {
            Some(retiring) => retiring.settle(of_retiring).await,
            None if of_retiring.is_empty() => Ok(()),
            // The channel of these deliveries was lost.
            None => Err(QueueError::NotConnected),
        }
    }

    /// Stops consuming. If the broker answers, unacknowledged messages are back in the queue before this returns.
    pub async fn close(mut self) {
        if let Some(retiring) = self.retiring.take() {
            retiring.close().await;
        }
        self.current.close().await;
    }
}
