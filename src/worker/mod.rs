//! Takes orders from the broker to the recorder, and acknowledges them once they are committed.

mod in_flight;
mod retry;

use crate::{
    broker::{
        Broker, Delivery, DeliveryTag, QueueError, Source, Subscription,
        order_message::{self, DecodeError},
    },
    domain::order::NewOrder,
    services::orders::recorder::{RecordOutcome, batch_span, record_apart, record_batch, takes_orders},
    store::Store,
    telemetry::{
        log_throttle,
        metrics::{self, MetricLabel},
        traces::{Span, SpanKind},
    },
};
pub use in_flight::InFlight;
use rand::random_range;
use retry::Reason;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often a batch is tried before it is tried in parts.
const MAX_ATTEMPTS: u32 = 3;
/// The pauses between two attempts.
const MIN_RETRY_PAUSE: Duration = Duration::from_millis(200);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(3);
/// How long a batch is held while the database answers and takes nothing (it is read-only, or full). Well within the broker's
/// 30 minutes for an acknowledgement; and seldom enough, for each time that an order goes back counts towards its delivery limit.
const MAX_HOLD: Duration = Duration::from_secs(20 * 60);
/// From when on a batch took long.
const LONG_BATCH: Duration = Duration::from_secs(60);
/// The longest pause before the next subscription.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(600);
/// The same after the broker refused one: it will again, until somebody changes something there.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How soon after the last batch the next one begins that is not full. A commit costs the disk as much for few orders as for
/// many, and the broker's confirms wait for the same disk.
const MIN_BATCH_INTERVAL: Duration = Duration::from_millis(10);
/// Few are ever there.
const OVERRUN_PREFETCH: u16 = 10;

/// Stores what the broker holds.
pub struct Worker {
    /// Where orders wait.
    pub broker: Broker,
    /// Where they are stored.
    pub store: Store,
    /// The most orders in one transaction.
    pub batch_size: usize,
    /// The pauses before an order is tried again that could not be stored, and may be storable later. After the last one it
    /// is a dead letter.
    pub retries: Vec<Duration>,
    /// What it holds.
    pub held: InFlight,
}

impl Worker {
    /// Works until it is stopped; what it has begun it finishes.
    pub async fn run(self, stop: CancellationToken) {
        // Room for one batch that is written and the next that comes in.
        let prefetch = u16::try_from(self.batch_size.saturating_mul(2)).unwrap_or(u16::MAX);
        tokio::join!(
            self.drain(Source::Orders, prefetch, &stop),
            self.drain(Source::Overrun, OVERRUN_PREFETCH, &stop),
        );
    }

    /// Empties one queue, again and again.
    async fn drain(&self, source: Source, prefetch: u16, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let mut pause = SUBSCRIBE_PAUSE;
            // Nothing is taken that could not be stored: it would only be held from workers who can.
            if self.store.ping().await.is_ok() {
                match self.broker.subscribe(source, prefetch).await {
                    Ok(subscription) => self.consume(source, subscription, stop).await,
                    Err(QueueError::Refused { .. }) => pause = REFUSED_PAUSE,
                    Err(error) => tracing::debug!(%error, "not subscribed"),
                }
            }
            stop.run_until_cancelled(sleep(pause.mul_f64(random_range(0.4..1.0)))).await;
        }
    }

    async fn consume(&self, source: Source, mut subscription: Subscription, stop: &CancellationToken) {
        tracing::info!(?source, "taking orders");
        while let Some(Some(deliveries)) =
            stop.run_until_cancelled(subscription.next_batch(self.batch_size)).await
        {
            let taken = deliveries.len();
            let begun = Instant::now();
            let settled = self.store_batch(source, deliveries, stop).await;
            let all = settled.len() == taken;
            // If this is lost the orders come again, and are there already.
            if let Err(error) = subscription.settle(settled).await {
                tracing::warn!(%error, "orders could not be acknowledged");
                break;
            }
            if !all {
                let failure = "some orders can't be stored now: they stay with the broker";
                if let Some(repeated) = log_throttle::admit(failure) {
                    tracing::warn!(repeated, "{failure}");
                }
                break;
            }
            // The next batch has been here for as long: it goes back, or it would be held for twice that time.
            if begun.elapsed() > LONG_BATCH {
                break;
            }
            if taken < self.batch_size {
                stop.run_until_cancelled(sleep_until(begun + MIN_BATCH_INTERVAL)).await;
            }
        }
        subscription.close().await;
    }

    /// Stores what can be stored and sets aside what can't. Returns the tags of those that were, one way or the other, dealt with.
    async fn store_batch(
        &self,
        source: Source,
        deliveries: Vec<Delivery>,
        stop: &CancellationToken,
    ) -> Vec<DeliveryTag> {
        let mut settled = Vec::with_capacity(deliveries.len());
        let mut open = HashSet::new();
        let mut aside = Vec::new();
        let mut orders: Vec<NewOrder> = Vec::with_capacity(deliveries.len());
        let mut decoded = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let redelivered = if delivery.redelivered { "true" } else { "false" };
            metrics::worker().deliveries.of(redelivered).inc();
            if let Some(oversize) = delivery.oversize {
                let id = delivery.message_id.as_deref().and_then(|id| id.parse().ok());
                aside.push((delivery, id, Reason::Final(oversize.to_string())));
                continue;
            }
            match order_message::decode(&delivery.body) {
                Ok(order) => {
                    orders.push(order);
                    decoded.push(delivery);
                }
                Err(error) => {
                    // What travelled with others has no message of its own to be named by.
                    let id = delivery.message_id.as_deref().and_then(|id| id.parse().ok());
                    let id = id.or_else(|| order_message::named_id(&delivery.body));
                    let error = delivery.foreign.clone().map_or(error, DecodeError::Foreign);
                    aside.push((delivery, id, Reason::from(error)));
                }
            }
        }
        let orders: Arc<[NewOrder]> = orders.into();
        let _held = self.held.hold(source, orders.iter().map(|order| order.placed_at).min());
        let mut spans: Vec<_> = decoded
            .iter()
            .map(|delivery| Span::child_of(&delivery.place, SpanKind::Consumer, "process order"))
            .collect();
        let places: Vec<_> = spans.iter().map(Span::context).collect();
        let batch = batch_span(places.iter(), orders.len());
        let outcomes = batch.run(self.record(&orders, stop)).await;
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
        drop((spans, batch));
        for ((outcome, order), delivery) in outcomes.into_iter().zip(orders.iter()).zip(decoded) {
            match outcome {
                RecordOutcome::Recorded(_) | RecordOutcome::AlreadyThere => settled.push(delivery.tag),
                RecordOutcome::Retryable | RecordOutcome::Unknown => {
                    open.insert(delivery.tag.message());
                }
                RecordOutcome::KeyReused => aside.push((delivery, Some(order.id), Reason::key_reused(order))),
                RecordOutcome::Conflict => aside.push((delivery, Some(order.id), Reason::conflict())),
                RecordOutcome::Refused(refusal) => aside.push((delivery, Some(order.id), refusal.into())),
                RecordOutcome::Failed(why) => aside.push((delivery, Some(order.id), Reason::MayPass(why))),
            }
        }
        // What comes again anyway, because something that it travels with does, would come twice if it were put off.
        aside.retain(|(delivery, ..)| !open.contains(&delivery.tag.message()));
        settled.extend(self.retry_or_dead_letter(aside).await);
        settled
    }

    /// Records the orders, patiently. Some outcomes are open if the database stays away or takes nothing.
    async fn record(&self, orders: &Arc<[NewOrder]>, stop: &CancellationToken) -> Vec<RecordOutcome> {
        let mut outcomes = Vec::new();
        if orders.is_empty() {
            return outcomes;
        }
        let give_back = Instant::now() + MAX_HOLD;
        let mut pause = MIN_RETRY_PAUSE;
        for attempt in 1_u32.. {
            outcomes = record_batch(&self.store, Arc::clone(orders)).await;
            if outcomes.iter().any(RecordOutcome::is_open) && attempt >= MAX_ATTEMPTS {
                if self.store.ping().await.is_err() {
                    break;
                }
                // Whoever answers and yet fails may do so because of one order.
                if takes_orders(&self.store).await.is_ok() {
                    match stop.run_until_cancelled(record_apart(&self.store, orders)).await {
                        Some(apart) => outcomes = apart,
                        None => break,
                    }
                }
            }
            if !outcomes.iter().any(RecordOutcome::is_open) || Instant::now() >= give_back {
                break;
            }
            let pausing = sleep(pause.mul_f64(random_range(0.5..1.0)));
            if stop.run_until_cancelled(pausing).await.is_none() {
                break;
            }
            pause = (pause * 2).min(MAX_RETRY_PAUSE);
        }
        outcomes
    }
}
