//! Gives orders from the broker to the recorder, and acknowledges them once they are committed.

mod in_flight;
mod retry;

pub use in_flight::InFlight;

use crate::{
    broker::{
        Broker, Delivery, DeliveryTag, QueueError, Source, Subscription,
        order_message::{self, DecodeError},
    },
    domain::order::NewOrder,
    services::orders::recorder::{RecordOutcome, batch_span, record_apart, record_batch, takes_orders},
    store::{Store, insert_orders},
    telemetry::{
        log_throttle,
        metrics::{self, MetricLabel},
        traces::{Span, SpanKind},
    },
    util::backoff::{Backoff, jittered},
};
use retry::{Reason, Rejected};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Attempts at a whole batch before it is recorded in parts.
const MAX_BATCH_ATTEMPTS: u32 = 3;
const RECORD_BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));
/// Longest time that a batch is retried while the database answers and accepts no orders (it is read-only, or full). Well below the
/// broker's 30 minutes for an acknowledgement; and long, for each return of an order counts towards its delivery limit.
const HOLD_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// A batch that took longer ends its subscription.
const LONG_BATCH_DURATION: Duration = Duration::from_secs(60);
/// Longest delay before the next subscription.
const SUBSCRIBE_DELAY: Duration = Duration::from_millis(600);
/// The same after the broker refused one: it refuses again until somebody changes something there.
const REFUSED_DELAY: Duration = Duration::from_secs(5);
/// Shortest time between the starts of two batches if the first was not full. A commit costs the disk as much for few orders as for
/// many, and the broker's confirms wait for the same disk.
const MIN_BATCH_INTERVAL: Duration = Duration::from_millis(10);
/// The queue of overruns is nearly always empty.
const OVERRUN_PREFETCH: u16 = 10;

pub struct Worker {
    pub broker: Broker,
    pub store: Store,
    /// Maximum number of orders in one transaction.
    pub batch_size: usize,
    /// Delays before each retry of an order that could not be recorded for a reason that may pass. After the last one the order
    /// becomes a dead letter.
    pub retries: Vec<Duration>,
    pub in_flight: InFlight,
}

impl Worker {
    /// Works until `stop`, and finishes what it has begun.
    pub async fn run(self, stop: CancellationToken) {
        // Room for the batch that is being recorded and the next one, which arrives meanwhile.
        let prefetch = u16::try_from(self.batch_size.saturating_mul(2)).unwrap_or(u16::MAX);
        tokio::join!(
            self.consume(Source::Orders, prefetch, &stop),
            self.consume(Source::Overrun, OVERRUN_PREFETCH, &stop),
        );
    }

    /// Consumes one queue, with a new subscription whenever one ends.
    async fn consume(&self, source: Source, prefetch: u16, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let mut delay = SUBSCRIBE_DELAY;
            // Orders that can't be recorded here would only be withheld from workers that can record them.
            if self.store.ping().await.is_ok() {
                match self.broker.subscribe(source, prefetch).await {
                    Ok(subscription) => self.record_deliveries(source, subscription, stop).await,
                    Err(QueueError::Refused { .. }) => delay = REFUSED_DELAY,
                    Err(error) => tracing::debug!(%error, "failed to subscribe"),
                }
            }
            stop.run_until_cancelled(sleep(jittered(delay))).await;
        }
    }

    async fn record_deliveries(
        &self,
        source: Source,
        mut subscription: Subscription,
        stop: &CancellationToken,
    ) {
        tracing::info!(?source, "receiving orders");
        while let Some(Some(deliveries)) =
            stop.run_until_cancelled(subscription.next_batch(self.batch_size)).await
        {
            let received = deliveries.len();
            let begun = Instant::now();
            let settled = self.record_or_reject(source, deliveries, stop).await;
            let is_complete = settled.len() == received;
            // Orders without an acknowledgement are delivered again, and found to be recorded.
            if let Err(error) = subscription.settle(settled).await {
                tracing::warn!(%error, "failed to acknowledge orders");
                break;
            }
            if !is_complete {
                let failure = "failed to record some orders: they stay at the broker";
                if let Some(repeated) = log_throttle::admit(failure) {
                    tracing::warn!(repeated, "{failure}");
                }
                break;
            }
            // The next batch arrived when this one began. It is returned, or it would be held for twice that time.
            if begun.elapsed() > LONG_BATCH_DURATION {
                break;
            }
            if received < self.batch_size {
                stop.run_until_cancelled(sleep_until(begun + MIN_BATCH_INTERVAL)).await;
            }
        }
        subscription.close().await;
    }

    /// Records the orders that can be recorded, and retries or dead-letters the others. Returns the tags of messages that are safe
    /// now and can be acknowledged.
    async fn record_or_reject(
        &self,
        source: Source,
        deliveries: Vec<Delivery>,
        stop: &CancellationToken,
    ) -> Vec<DeliveryTag> {
        let (orders, deliveries, mut rejected) = decode(deliveries);
        let orders: Arc<[NewOrder]> = orders.into();
        let _in_flight = self.in_flight.begin(source, orders.iter().map(|order| order.placed_at).min());
        let outcomes = self.record_traced(&orders, &deliveries, stop).await;
        let mut settled = Vec::with_capacity(deliveries.len());
        let mut open_messages = HashSet::new();
        for ((outcome, order), delivery) in outcomes.into_iter().zip(orders.iter()).zip(deliveries) {
            let reason = match outcome {
                RecordOutcome::Recorded(_) | RecordOutcome::AlreadyThere => {
                    settled.push(delivery.tag);
                    continue;
                }
                RecordOutcome::Retryable | RecordOutcome::Unknown => {
                    open_messages.insert(delivery.tag.message());
                    continue;
                }
                RecordOutcome::KeyReused => Reason::key_reused(order),
                RecordOutcome::Conflict => Reason::Permanent(insert_orders::CONFLICT.into()),
                RecordOutcome::Refused(refusal) => refusal.into(),
                RecordOutcome::Failed(why) => Reason::Transient(why),
            };
            rejected.push(Rejected { delivery, order_id: Some(order.id), reason });
        }
        // If one order of a message stays open, the whole message is delivered again: a retry would double the others.
        rejected.retain(|rejected| !open_messages.contains(&rejected.delivery.tag.message()));
        settled.extend(self.retry_or_dead_letter(rejected).await);
        settled
    }

    /// Records orders under spans of their own and one for the batch.
    async fn record_traced(
        &self,
        orders: &Arc<[NewOrder]>,
        deliveries: &[Delivery],
        stop: &CancellationToken,
    ) -> Vec<RecordOutcome> {
        let mut spans: Vec<_> = deliveries
            .iter()
            .map(|delivery| Span::child_of(&delivery.trace, SpanKind::Consumer, "process order"))
            .collect();
        let traces: Vec<_> = spans.iter().map(Span::context).collect();
        let batch = batch_span(traces.iter(), orders.len());
        let outcomes = batch.run(self.record(orders, stop)).await;
        for ((span, order), outcome) in spans.iter_mut().zip(orders.iter()).zip(&outcomes) {
            if span.is_recorded() {
                span.set("messaging.system", "rabbitmq");
                span.set("messaging.operation.type", "process");
                span.set("messaging.message.id", order.id.to_string());
                span.set("shakerqueue.outcome", outcome.label());
                span.link(&batch.context());
                if !matches!(outcome, RecordOutcome::Recorded(_) | RecordOutcome::AlreadyThere) {
                    span.failed(outcome.label());
                }
            }
        }
        outcomes
    }

    /// Records orders, with retries. Some outcomes stay open if the database stays away or accepts no orders.
    async fn record(&self, orders: &Arc<[NewOrder]>, stop: &CancellationToken) -> Vec<RecordOutcome> {
        let mut outcomes = Vec::new();
        if orders.is_empty() {
            return outcomes;
        }
        let deadline = Instant::now() + HOLD_TIMEOUT;
        let mut backoff = RECORD_BACKOFF;
        for attempt in 1_u32.. {
            outcomes = record_batch(&self.store, Arc::clone(orders)).await;
            if outcomes.iter().any(RecordOutcome::is_open) && attempt >= MAX_BATCH_ATTEMPTS {
                if self.store.ping().await.is_err() {
                    break;
                }
                // A database that accepts orders in general may fail because of one of these.
                if takes_orders(&self.store).await.is_ok() {
                    match stop.run_until_cancelled(record_apart(&self.store, orders)).await {
                        Some(apart) => outcomes = apart,
                        None => break,
                    }
                }
            }
            if !outcomes.iter().any(RecordOutcome::is_open) || Instant::now() >= deadline {
                break;
            }
            if stop.run_until_cancelled(sleep(backoff.next_delay())).await.is_none() {
                break;
            }
        }
        outcomes
    }
}

/// Returns the orders, the deliveries that they came in, and the deliveries that hold no order.
fn decode(received: Vec<Delivery>) -> (Vec<NewOrder>, Vec<Delivery>, Vec<Rejected>) {
    let (mut orders, mut deliveries, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in received {
        let redelivered = if delivery.redelivered { "true" } else { "false" };
        metrics::worker().deliveries.of(redelivered).inc();
        let message_id = || delivery.message_id.as_deref().and_then(|id| id.parse().ok());
        let (order_id, reason) = if let Some(oversize) = delivery.oversize {
            (message_id(), Reason::Permanent(oversize.to_string()))
        } else {
            match order_message::decode(&delivery.body) {
                Ok(order) => {
                    orders.push(order);
                    deliveries.push(delivery);
                    continue;
                }
                Err(error) => {
                    let error = delivery.foreign.clone().map_or(error, DecodeError::Foreign);
                    // A part of a publish batch has no message id of its own.
                    (message_id().or_else(|| order_message::named_id(&delivery.body)), error.into())
                }
            }
        };
        rejected.push(Rejected { delivery, order_id, reason });
    }
    (orders, deliveries, rejected)
}
