//! The broker and its consumers.

use super::{
    super::families::{ByLabel, counter, counters, gauges, histogram, int_gauge, int_gauges},
    CALL_SECONDS, group,
};
use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

const CONNECTIONS: &[&str] = &["publishing", "consuming"];
const QUEUES: &[&str] = &["orders", "overrun"];

group! {
    BrokerMetrics, broker {
        /// Orders published to the broker, by outcome.
        publishes: ByLabel<IntCounter> = counters(
            "shakerqueue_broker_publishes_total",
            "outcome",
            &["confirmed", "unavailable", "busy", "unconfirmed", "refused", "no_queue", "duplicate"],
        ),
        /// Time from sending a message to its confirm.
        confirms: Histogram = histogram("shakerqueue_broker_confirm_duration_seconds", CALL_SECONDS),
        /// Messages that were sent and that the broker has not answered yet.
        unconfirmed: IntGauge = int_gauge("shakerqueue_broker_unconfirmed_messages"),
        /// 1 while the connection to the broker is open.
        connected: ByLabel<IntGauge> = int_gauges("shakerqueue_broker_connected", "purpose", CONNECTIONS),
        /// Connections to the broker that were opened.
        opened: ByLabel<IntCounter> = counters(
            "shakerqueue_broker_connections_opened_total",
            "purpose",
            CONNECTIONS,
        ),
        /// Open channels on the connection to the broker.
        channels: ByLabel<IntGauge> = int_gauges("shakerqueue_broker_channels", "purpose", CONNECTIONS),
        /// 1 while a policy of the broker would remove orders, which are therefore recorded directly.
        loses_orders: IntGauge = int_gauge("shakerqueue_broker_loses_orders"),
        /// Messages that no worker has taken yet, each with one order or more.
        messages: ByLabel<Gauge> = gauges("shakerqueue_queue_messages", "queue", QUEUES),
        /// Consumers that receive from the queue.
        consumers: ByLabel<Gauge> = gauges("shakerqueue_queue_consumers", "queue", QUEUES),
    }
}

group! {
    WorkerMetrics, worker {
        /// Orders that the broker delivered.
        deliveries: ByLabel<IntCounter> = counters(
            "shakerqueue_worker_deliveries_total",
            "redelivered",
            &["false", "true"],
        ),
        /// Orders that could not be recorded and that are tried again after a delay.
        postponed: IntCounter = counter("shakerqueue_orders_postponed_total"),
        /// Orders that became dead letters.
        dead_letters: IntCounter = counter("shakerqueue_dead_letters_created_total"),
    }
}
