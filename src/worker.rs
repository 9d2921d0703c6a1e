//! Takes orders from the broker to the recorder, and acknowledges them once they are committed.

use crate::{
    domain::{ids::OrderId, order::NewOrder},
    intake::message,
    queue::{Broker, Delivery, Subscription},
    recorder::{Outcome, record_apart, record_batch},
    store::{
        Store,
        dead_letters::{self, DeadLetter},
    },
};
use futures_util::FutureExt;
use rand::random_range;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How often a batch is tried before it is tried in parts.
const TRIES: u32 = 4;
/// The pauses between two attempts.
const LEAST_PAUSE: Duration = Duration::from_millis(200);
const MOST_PAUSE: Duration = Duration::from_secs(10);
/// How long a batch is held while the database answers and takes nothing (it is read-only, or full). Well within the broker's
/// 30 minutes for an acknowledgement; and seldom enough, for each time that an order goes back counts towards its delivery limit.
const HOLD: Duration = Duration::from_secs(20 * 60);

/// Stores what the broker holds.
pub struct Worker {
    /// Where orders wait.
    pub broker: Broker,
    /// Where they are stored.
    pub store: Store,
    /// The most orders in one transaction.
    pub batch_size: usize,
}

/// What became of a batch.
enum Batch {
    /// All of it is stored, or set apart for good: it may be acknowledged.
    Done,
    /// The database is away.
    Kept,
}

impl Worker {
    /// Works until it is stopped; what it has begun it finishes.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Nothing is taken that could not be stored: it would only be held from workers who can.
            if self.store.ping().await.is_ok() {
                // Room for one batch that is written and the next that comes in.
                let prefetch = u16::try_from(self.batch_size.saturating_mul(2)).unwrap_or(u16::MAX);
                match self.broker.subscribe(prefetch).await {
                    Ok(subscription) => self.consume(subscription, &stop).await,
                    Err(error) => tracing::debug!(%error, "not subscribed"),
                }
            }
            stop.run_until_cancelled(sleep(Duration::from_millis(random_range(200..600)))).await;
        }
    }

    async fn consume(&self, mut subscription: Subscription, stop: &CancellationToken) {
        tracing::info!("taking orders");
        while let Some(Some(deliveries)) =
            stop.run_until_cancelled(subscription.next_batch(self.batch_size)).await
        {
            let Some(last) = deliveries.last().map(|delivery| delivery.tag) else { continue };
            match self.store_batch(deliveries, stop).await {
                Batch::Kept => {
                    tracing::warn!("the database is away: orders stay with the broker");
                    break;
                }
                Batch::Done => {
                    // If this is lost the orders come again, and are there already.
                    if let Err(error) = subscription.acknowledge_up_to(last).await {
                        tracing::warn!(%error, "orders could not be acknowledged");
                        break;
                    }
                }
            }
        }
        subscription.close().await;
    }

    async fn store_batch(&self, deliveries: Vec<Delivery>, stop: &CancellationToken) -> Batch {
        let mut letters = Vec::new();
        let mut bodies = Vec::with_capacity(deliveries.len());
        let mut orders: Vec<NewOrder> = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match message::decode(&delivery.body) {
                Ok(order) => {
                    orders.push(order);
                    bodies.push(delivery.body);
                }
                Err(error) => {
                    let id = delivery.message_id.and_then(|id| id.parse().ok()).map(OrderId);
                    letters.push(DeadLetter::new(id, error.to_string(), delivery.body));
                }
            }
        }
        let orders: Arc<[NewOrder]> = orders.into();
        let Some(outcomes) = self.record(&orders, stop).await else { return Batch::Kept };
        for ((outcome, order), body) in outcomes.into_iter().zip(orders.iter()).zip(bodies) {
            let reason = match outcome {
                Outcome::Recorded | Outcome::AlreadyThere => continue,
                Outcome::TryLater => return Batch::Kept,
                Outcome::Conflict => "another order is stored under its id".to_owned(),
                Outcome::Refused(refusal) => refusal.to_string(),
            };
            letters.push(DeadLetter::new(Some(order.id), reason, body));
        }
        if self.keep(letters).await { Batch::Done } else { Batch::Kept }
    }

    /// Records the orders, patiently. None: the database stays away.
    async fn record(&self, orders: &Arc<[NewOrder]>, stop: &CancellationToken) -> Option<Vec<Outcome>> {
        if orders.is_empty() {
            return Some(Vec::new());
        }
        let give_back = Instant::now() + HOLD;
        let mut pause = LEAST_PAUSE;
        for attempt in 1_u32.. {
            let mut outcomes = record_batch(&self.store, Arc::clone(orders)).await;
            if outcomes.contains(&Outcome::TryLater) && attempt >= TRIES {
                // Whoever answers and yet fails may do so because of one order.
                self.store.ping().await.ok()?;
                outcomes = record_apart(&self.store, orders).await;
            }
            if !outcomes.contains(&Outcome::TryLater) {
                return Some(outcomes);
            }
            if Instant::now() >= give_back {
                break;
            }
            stop.run_until_cancelled(sleep(pause.mul_f64(random_range(0.5..1.0)))).await?;
            pause = (pause * 2).min(MOST_PAUSE);
        }
        None
    }

    /// Keeps what can never be stored, so that it may be acknowledged. False if that was not possible now.
    async fn keep(&self, letters: Vec<DeadLetter>) -> bool {
        if letters.is_empty() {
            return true;
        }
        tracing::error!(letters = letters.len(), "orders can't be stored and became dead letters");
        let kept = self
            .store
            .write(move |conn| {
                async move {
                    for letter in &letters {
                        dead_letters::keep(conn, letter).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await;
        kept.inspect_err(|error| tracing::warn!(%error, "dead letters could not be kept")).is_ok()
    }
}
