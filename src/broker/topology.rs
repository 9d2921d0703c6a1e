//! The exchanges and queues, and how they are declared.

use super::{
    amqp_call::CALL_TIMEOUT,
    channel_pool::ChannelPool,
    error::QueueError,
    field_table::{insert, table},
};
use crate::telemetry::metrics::MetricLabel;
use amqprs::{
    FieldTable, FieldValue,
    channel::{
        BasicGetArguments, ExchangeDeclareArguments, ExchangeType, QueueBindArguments, QueueDeclareArguments,
        QueueDeleteArguments, QueuePurgeArguments,
    },
};
use std::time::Duration;
use uuid::Uuid;

/// For all declarations together. The first declaration of a quorum queue elects a leader.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(4);
/// Deliveries of a message after which the broker moves it to the queue of overruns. It must be positive, because `RabbitMQ`
/// 3.10.8 moves messages at once on -1, and it must be set, because 4.x defaults to 20.
pub(super) const DELIVERY_LIMIT: i64 = 1000;
/// The queue of probes of a process that is gone is deleted after this time, which is longer than it is used without being declared.
const PROBE_EXPIRY_MS: i64 = 2 * 60 * 60 * 1000;
/// For the queue of overruns: a message that exceeded a limit there would be lost.
const NO_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// A queue in which orders wait for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Orders,
    /// Orders that were delivered very often and never acknowledged.
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

/// The names of exchanges and queues.
#[derive(Clone)]
pub(super) struct Topology {
    /// The exchange, the queue and the routing key of orders.
    pub(super) orders: String,
    /// The queue to which the broker moves orders that were delivered too often. Workers consume it as well.
    pub(super) overrun: String,
    /// The name of a queue that does not exist.
    pub(super) nowhere: String,
    /// The queue of probes, which only show whether messages survive. Every process has its own.
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

    pub(super) fn queue(&self, source: Source) -> &str {
        match source {
            Source::Orders => &self.orders,
            Source::Overrun => &self.overrun,
        }
    }

    /// Declares missing exchanges and queues. An existing queue with other arguments is an error.
    pub(super) async fn declare(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let names = self.clone();
        let channel = pool.get().await?;
        channel
            .request("declare the queues", DECLARE_TIMEOUT, async move |channel| {
                // The destination of dead-lettered messages comes first, so that none can be sent before it exists.
                let Self { orders, overrun, dead, .. } = names;
                channel.exchange_declare(exchange(&dead, ExchangeType::Fanout)).await?;
                let unlimited = table([("x-delivery-limit", FieldValue::l(NO_DELIVERY_LIMIT))]);
                channel.queue_declare(queue(&overrun, unlimited)).await?;
                channel.queue_bind(QueueBindArguments::new(&overrun, &dead, "")).await?;
                channel.exchange_declare(exchange(&orders, ExchangeType::Direct)).await?;
                let limited = table([("x-delivery-limit", FieldValue::l(DELIVERY_LIMIT))]);
                channel.queue_declare(queue(&orders, dead_lettering_to(limited, &dead))).await?;
                channel.queue_bind(QueueBindArguments::new(&orders, &orders, &orders)).await
            })
            .await
    }

    /// Returns the name of the queue in which messages wait for `delay` before they go to the orders again. It contains the delay,
    /// because the arguments of a queue can't be changed.
    pub(super) fn delay_queue(&self, delay: Duration) -> String {
        format!("{}.after.{}ms", self.orders, delay.as_millis())
    }

    /// Declares the queue for a delay and returns the number of messages in it.
    pub(super) async fn declare_delay(&self, pool: &ChannelPool, delay: Duration) -> Result<u32, QueueError> {
        let (name, orders) = (self.delay_queue(delay), self.orders.clone());
        let wait = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let channel = pool.get().await?;
        channel
            .request("declare a delay queue", DECLARE_TIMEOUT, async move |channel| {
                let mut arguments =
                    dead_lettering_to(table([("x-message-ttl", FieldValue::l(wait))]), &orders);
                insert(&mut arguments, "x-dead-letter-routing-key", orders.as_str().into());
                counted(&name, channel.queue_declare(queue(&name, arguments)).await?)
            })
            .await
    }

    /// Declares the queue of probes and returns their number. Policies for the other queues apply to it as well, because it has the
    /// same type and its name begins like theirs.
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

    /// Counts the probes as a consumer would find them, and removes one.
    pub(super) async fn count_probes(&self, pool: &ChannelPool) -> Result<u32, QueueError> {
        let get = BasicGetArguments::new(&self.probe).no_ack(true).finish();
        let channel = pool.get().await?;
        let found = channel
            .request("count the probes", CALL_TIMEOUT, async move |channel| channel.basic_get(get).await)
            .await?;
        Ok(found.map_or(0, |(got, ..)| got.message_count().saturating_add(1)))
    }

    pub(super) async fn purge_probes(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let purge = QueuePurgeArguments::new(&self.probe);
        let channel = pool.get().await?;
        channel
            .request("empty the queue of probes", CALL_TIMEOUT, async move |channel| {
                channel.queue_purge(purge).await.map(drop)
            })
            .await
    }

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

/// Returns the number of messages in the answer to a declaration.
fn counted(name: &str, declared: Option<(String, u32, u32)>) -> Result<u32, amqprs::error::Error> {
    match declared {
        Some((queue, messages, _)) if queue == name => Ok(messages),
        // The answer to a request that was given up.
        _ => Err(amqprs::error::Error::ChannelUseError("another queue was declared".into())),
    }
}

/// Returns the arguments of a queue that dead-letters its messages to an exchange and never drops them.
fn dead_lettering_to(mut arguments: FieldTable, exchange: &str) -> FieldTable {
    insert(&mut arguments, "x-dead-letter-exchange", exchange.into());
    insert(&mut arguments, "x-dead-letter-strategy", "at-least-once".into());
    // Required by at-least-once dead lettering; besides, a full queue must refuse messages and not drop them.
    insert(&mut arguments, "x-overflow", "reject-publish".into());
    arguments
}

fn exchange(name: &str, kind: ExchangeType) -> ExchangeDeclareArguments {
    ExchangeDeclareArguments::of_type(name, kind).durable(true).finish()
}

/// Declares a durable quorum queue: replicated in a cluster, and written to disk before a message is confirmed.
fn queue(name: &str, mut arguments: FieldTable) -> QueueDeclareArguments {
    insert(&mut arguments, "x-queue-type", "quorum".into());
    QueueDeclareArguments::durable_client_named(name).arguments(arguments).finish()
}
