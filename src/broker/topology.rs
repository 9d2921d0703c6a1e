//! The exchanges and queues, and how they are declared.

use std::time::Duration;

use amqprs::channel::{
    BasicGetArguments, ExchangeDeclareArguments, ExchangeType, QueueBindArguments, QueueDeclareArguments,
    QueueDeleteArguments, QueuePurgeArguments,
};
use amqprs::{FieldTable, FieldValue};

use super::QueueError;
use super::amqp_call::CALL_TIMEOUT;
use super::channel_pool::ChannelPool;
use super::field_table::{insert, table};
use crate::telemetry::metrics::MetricLabel;

use uuid::Uuid;

/// All of it together. A quorum queue's first declaration elects a leader.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(4);
/// Deliveries of one message before the broker moves it out of the way of the others. It must be positive, for `RabbitMQ`
/// 3.10.8 moves at once on -1, and given, for 4.x defaults to 20.
pub(super) const DELIVERY_LIMIT: i64 = 1000;
/// How long the queue of probes of a process that is gone stays, in milliseconds: longer than it is used without being made anew.
const PROBE_EXPIRY_MS: i64 = 2 * 60 * 60 * 1000;
/// Where nothing is behind: what exceeded a limit there would be gone.
const NO_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// Where orders wait for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The orders.
    Orders,
    /// Those that were delivered very often, and never acknowledged.
    Overrun,
}

impl MetricLabel for Source {
    fn label(&self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Overrun => "overrun",
        }
    }
}

/// The names of everything on the broker, all of which begin with the prefix.
#[derive(Clone)]
pub(super) struct Topology {
    /// Exchange, queue and routing key of orders.
    pub(super) orders: String,
    /// Queue of orders that were delivered too often: the broker moves them there, and workers take them from there as well.
    pub(super) overrun: String,
    /// A queue that is not there.
    pub(super) nowhere: String,
    /// Queue of messages that only show whether messages survive; every process has its own.
    pub(super) probe: String,
    dead: String,
}

impl Topology {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            orders: format!("{prefix}.orders"),
            overrun: format!("{prefix}.orders.overrun"),
            nowhere: format!("{prefix}.nowhere"),
            probe: format!("{prefix}.orders.probe.{}", Uuid::new_v4().simple()),
            dead: format!("{prefix}.dead"),
        }
    }

    /// The queue of this source.
    pub(super) fn queue(&self, source: Source) -> &str {
        match source {
            Source::Orders => &self.orders,
            Source::Overrun => &self.overrun,
        }
    }

    /// Declares what is missing; harmless when all is there. An existing queue with other arguments is an error.
    pub(super) async fn declare(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let names = self.clone();
        let channel = pool.get().await?;
        channel
            .request("declare the queues", DECLARE_TIMEOUT, async move |channel| {
                // Where messages can go comes first, so that none can go before it is there.
                let Self { orders, overrun, dead, .. } = names;
                channel.exchange_declare(exchange(&dead, ExchangeType::Fanout)).await?;
                let unlimited = table([("x-delivery-limit", FieldValue::l(NO_DELIVERY_LIMIT))]);
                channel.queue_declare(queue(&overrun, unlimited)).await?;
                channel.queue_bind(QueueBindArguments::new(&overrun, &dead, "")).await?;
                channel.exchange_declare(exchange(&orders, ExchangeType::Direct)).await?;
                let limited = table([("x-delivery-limit", FieldValue::l(DELIVERY_LIMIT))]);
                channel.queue_declare(queue(&orders, passing_on(limited, &dead))).await?;
                channel.queue_bind(QueueBindArguments::new(&orders, &orders, &orders)).await
            })
            .await
    }

    /// The queue in which messages wait for `delay` before they come among the orders again. Its name tells the delay, for
    /// the arguments of a queue can't be changed.
    pub(super) fn delay_queue(&self, delay: Duration) -> String {
        format!("{}.after.{}ms", self.orders, delay.as_millis())
    }

    /// Declares that queue; harmless when it is there. Returns how many messages wait in it.
    pub(super) async fn declare_delay(&self, pool: &ChannelPool, delay: Duration) -> Result<u32, QueueError> {
        let (name, orders) = (self.delay_queue(delay), self.orders.clone());
        let wait = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let channel = pool.get().await?;
        channel
            .request("declare a delay queue", DECLARE_TIMEOUT, async move |channel| {
                let mut arguments = passing_on(table([("x-message-ttl", FieldValue::l(wait))]), &orders);
                insert(&mut arguments, "x-dead-letter-routing-key", orders.as_str().into());
                counted(&name, channel.queue_declare(queue(&name, arguments)).await?)
            })
            .await
    }

    /// Declares the queue of probes, which policies for the other queues apply to as well, for it is of the same type and its
    /// name begins like theirs. Returns how many probes are in it.
    pub(super) async fn declare_probes(&self, pool: &ChannelPool) -> Result<u32, QueueError> {
        let name = self.probe.clone();
        let channel = pool.get().await?;
        channel
            .request("declare the queue of probes", DECLARE_TIMEOUT, async move |channel| {
                let arguments = table([("x-expires", FieldValue::l(PROBE_EXPIRY_MS))]);
                counted(&name, channel.queue_declare(queue(&name, arguments)).await?)
            })
            .await
    }

    /// Counts the probes as a consumer would find them, and takes one out.
    pub(super) async fn count_probes(&self, pool: &ChannelPool) -> Result<u32, QueueError> {
        let get = BasicGetArguments::new(&self.probe).no_ack(true).finish();
        let channel = pool.get().await?;
        let found = channel
            .request("count the probes", CALL_TIMEOUT, async move |channel| channel.basic_get(get).await)
            .await?;
        Ok(found.map_or(0, |(got, ..)| got.message_count().saturating_add(1)))
    }

    /// Removes all probes.
    pub(super) async fn purge_probes(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let purge = QueuePurgeArguments::new(&self.probe);
        let channel = pool.get().await?;
        channel
            .request("empty the queue of probes", CALL_TIMEOUT, async move |channel| {
                channel.queue_purge(purge).await.map(drop)
            })
            .await
    }

    /// Deletes the queue of probes and those in it.
    pub(super) async fn delete_probes(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let delete = QueueDeleteArguments::new(&self.probe);
        let channel = pool.get().await?;
        channel
            .request("delete the queue of probes", CALL_TIMEOUT, async move |channel| {
                channel.queue_delete(delete).await.map(drop)
            })
            .await
    }
}

/// The messages that the answer to a declaration counts.
fn counted(name: &str, declared: Option<(String, u32, u32)>) -> Result<u32, amqprs::error::Error> {
    match declared {
        Some((queue, messages, _)) if queue == name => Ok(messages),
        // The answer to somebody who did not wait for it.
        _ => Err(amqprs::error::Error::ChannelUseError("another queue was declared".into())),
    }
}

/// Arguments of a queue whose messages go on to that exchange, and are not dropped on the way.
fn passing_on(mut arguments: FieldTable, exchange: &str) -> FieldTable {
    insert(&mut arguments, "x-dead-letter-exchange", exchange.into());
    insert(&mut arguments, "x-dead-letter-strategy", "at-least-once".into());
    // At-least-once dead lettering needs it, and a full queue must refuse rather than drop.
    insert(&mut arguments, "x-overflow", "reject-publish".into());
    arguments
}

fn exchange(name: &str, kind: ExchangeType) -> ExchangeDeclareArguments {
    ExchangeDeclareArguments::of_type(name, kind).durable(true).finish()
}

/// A durable quorum queue: replicated where the broker is a cluster, and on disk before it is confirmed.
fn queue(name: &str, mut arguments: FieldTable) -> QueueDeclareArguments {
    insert(&mut arguments, "x-queue-type", "quorum".into());
    QueueDeclareArguments::durable_client_named(name).arguments(arguments).finish()
}
