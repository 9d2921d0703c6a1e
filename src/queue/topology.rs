//! The exchanges and queues, and how they are declared.

use std::time::Duration;

use amqprs::channel::{ExchangeDeclareArguments, ExchangeType, QueueBindArguments, QueueDeclareArguments};
use amqprs::{FieldTable, FieldValue};

use super::QueueError;
use super::channels::ChannelPool;

/// All of it together. A quorum queue's first declaration elects a leader.
const DECLARE_WITHIN: Duration = Duration::from_secs(4);
/// Deliveries of one message before the broker itself gives it up: far beyond what the workers allow. It must be
/// positive, for `RabbitMQ` 3.10.8 dead-letters at once on -1, and given, for 4.x defaults to 20.
const DELIVERY_LIMIT: i64 = 1000;

/// The names of everything on the broker, all of which begin with the prefix.
#[derive(Clone)]
pub(super) struct Topology {
    /// Exchange, queue and routing key of orders.
    pub(super) orders: String,
    dead: String,
    dead_orders: String,
}

impl Topology {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            orders: format!("{prefix}.orders"),
            dead: format!("{prefix}.dead"),
            dead_orders: format!("{prefix}.orders.dead"),
        }
    }

    /// Declares what is missing; harmless when all is there. An existing queue with other arguments is an error.
    pub(super) async fn declare(&self, pool: &ChannelPool) -> Result<(), QueueError> {
        let names = self.clone();
        let channel = pool.get().await?;
        channel
            .request("declare the queues", DECLARE_WITHIN, async move |channel| {
                // What dead letters need comes first, so that no message can die before it is there.
                let Self { orders, dead, dead_orders } = names;
                channel.exchange_declare(exchange(&dead, ExchangeType::Fanout)).await?;
                channel.queue_declare(queue(&dead_orders, table([]))).await?;
                channel.queue_bind(QueueBindArguments::new(&dead_orders, &dead, "")).await?;
                channel.exchange_declare(exchange(&orders, ExchangeType::Direct)).await?;
                let arguments = table([
                    ("x-delivery-limit", FieldValue::l(DELIVERY_LIMIT)),
                    // At-least-once dead lettering needs it, and a full queue must refuse rather than drop.
                    ("x-overflow", "reject-publish".into()),
                    ("x-dead-letter-exchange", dead.as_str().into()),
                    ("x-dead-letter-strategy", "at-least-once".into()),
                ]);
                channel.queue_declare(queue(&orders, arguments)).await?;
                channel.queue_bind(QueueBindArguments::new(&orders, &orders, &orders)).await
            })
            .await
    }
}

fn exchange(name: &str, kind: ExchangeType) -> ExchangeDeclareArguments {
    ExchangeDeclareArguments::of_type(name, kind).durable(true).finish()
}

/// A durable quorum queue: replicated where the broker is a cluster, and on disk before it is confirmed.
fn queue(name: &str, mut arguments: FieldTable) -> QueueDeclareArguments {
    insert(&mut arguments, "x-queue-type", "quorum".into());
    QueueDeclareArguments::durable_client_named(name).arguments(arguments).finish()
}

fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> FieldTable {
    let mut table = FieldTable::new();
    for (key, value) in entries {
        insert(&mut table, key, value);
    }
    table
}

fn insert(table: &mut FieldTable, key: &str, value: FieldValue) {
    // Only a key of more than 255 bytes fails, and the keys are those above.
    if let Ok(key) = key.try_into() {
        table.insert(key, value);
    }
}
