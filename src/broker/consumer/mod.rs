//! Consuming orders, a batch at a time, for as long as the broker can be reached.
//!
//! A consumer can go deaf without being told. Of a queue that is deleted and declared again within
//! milliseconds, RabbitMQ 3.10 counts it as a consumer of the new queue, and hands it messages that never
//! arrive; nothing that a client can ask shows it. So no consumer is relied on for long: every few seconds a
//! new one takes its place, on a new channel. The one before it stops, and its channel is closed once what it
//! got is settled: what never arrived there is then delivered to others.

pub mod acknowledgements;
pub mod channel_consumer;
pub mod reception;

use std::time::Duration;

use rand::random_range;
use tokio::time::{Instant, timeout_at};

use super::QueueError;
use super::channel_pool::ChannelPool;
use super::topology::{Source, Topology};
use acknowledgements::DeliveryTag;
use channel_consumer::{Consumer, Delivery, Generation};
use reception::{Reception, SourceReception};

/// A place in a queue's deliveries. Dropping it returns what is not acknowledged to the queue, in the
/// background.
pub struct Subscription {
    opening: Opening,
    reception: SourceReception,
    current: Consumer,
    /// The one before, until all that it got is settled.
    retiring: Option<Consumer>,
    renewal_at: Instant,
}

/// The parts that it takes to open a consumer.
pub(super) struct Opening {
    pub(super) topology: Topology,
    pub(super) pool: ChannelPool,
    pub(super) source: Source,
    pub(super) prefetch: u16,
    /// The longest time for which a consumer is relied on.
    pub(super) lifetime: Duration,
}

impl Opening {
    async fn open(&self, generation: Generation) -> Result<Consumer, QueueError> {
        self.topology.declare(&self.pool).await?;
        Consumer::open(&self.pool, self.topology.queue(self.source), self.prefetch, generation).await
    }

    /// When a consumer that was opened just now is to be renewed: not all of them at once.
    fn renewal_at(&self) -> Instant {
        Instant::now() + self.lifetime.mul_f64(random_range(0.8..1.0))
    }
}

impl Subscription {
    pub(super) async fn open(opening: Opening, reception: &Reception) -> Result<Self, QueueError> {
        let current = opening.open(Generation::FIRST).await?;
        let reception = reception.of(opening.source);
        let renewal_at = opening.renewal_at();
        Ok(Self { opening, reception, current, retiring: None, renewal_at })
    }

    /// Waits for a message and returns it with what else is here, at most `max` in all, in the order of their tags.
    ///
    /// `None` means that the subscription is over: the connection or channel is lost, or the queue was deleted. What
    /// was delivered and not acknowledged then comes again, to another subscription. Cancelling loses nothing.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        self.reception.waiting();
        let batch = self.receive(max).await;
        if batch.is_some() {
            self.reception.handling();
        }
        batch
    }

    async fn receive(&mut self, max: usize) -> Option<Vec<Delivery>> {
        // Each turn returns, or is the only one for the lifetime of a consumer.
        loop {
            if let Some(retiring) = &mut self.retiring {
                // It does not wait: nothing more is delivered to it.
                if let Some(batch) = retiring.next_batch(max).await {
                    return Some(batch);
                }
                if retiring.is_done() {
                    self.retiring = None;
                }
            }
            if self.retiring.is_some() {
                // The caller holds on to what it got: two consumers are enough.
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

    /// Puts a new consumer in the place of the current one.
    async fn renew(&mut self) -> Option<()> {
        let renewed = self.opening.open(self.current.generation().next()).await;
        let renewed =
            renewed.inspect_err(|error| tracing::debug!(%error, "failed to renew a consumer")).ok()?;
        let retiring = std::mem::replace(&mut self.current, renewed);
        self.renewal_at = self.opening.renewal_at();
        self.reception.waiting();
        // If that fails its channel is closed at once, and what it got and was not returned here is delivered
        // again.
        if retiring.cancel().await.is_ok() {
            self.retiring = Some(retiring);
        }
        Some(())
    }

    /// Acknowledges what is dealt with for good.
    ///
    /// `Ok` means that it is on its way. If it gets lost, the messages are delivered again.
    pub async fn settle(&mut self, tags: impl IntoIterator<Item = DeliveryTag>) -> Result<(), QueueError> {
        let (of_current, of_retiring): (Vec<_>, Vec<_>) =
            tags.into_iter().partition(|tag| self.current.got(*tag));
        self.current.settle(of_current).await?;
        match &mut self.retiring {
            Some(retiring) => retiring.settle(of_retiring).await,
            None if of_retiring.is_empty() => Ok(()),
            // Its channel was lost.
            None => Err(QueueError::NotConnected),
        }
    }

    /// Stops consuming; what is not acknowledged goes back to the queue before this returns, if the broker answers.
    pub async fn close(mut self) {
        if let Some(retiring) = self.retiring.take() {
            retiring.close().await;
        }
        self.current.close().await;
    }
}
