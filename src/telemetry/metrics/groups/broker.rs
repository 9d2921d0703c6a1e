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
        publishes: ByLabel<IntCounter> = counters(
            "shakerqueue_broker_publishes_total",
            "Orders published to the broker, by outcome.",
            "outcome",
            &["confirmed", "unavailable", "busy", "unconfirmed", "refused", "no_queue", "duplicate"],
        ),
        confirms: Histogram = histogram(
            "shakerqueue_broker_confirm_duration_seconds",
            "Time from sending a message to its confirm.",
            CALL_SECONDS,
        ),
        unconfirmed: IntGauge = int_gauge(
            "shakerqueue_broker_unconfirmed_messages",
            "Messages that were sent and that the broker has not answered yet.",
        ),
        connected: ByLabel<IntGauge> = int_gauges(
            "shakerqueue_broker_connected",
            "1 while the connection to the broker is open.",
            "purpose",
            CONNECTIONS,
        ),
        opened: ByLabel<IntCounter> = counters(
            "shakerqueue_broker_connections_opened_total",
            "Connections to the broker that were opened.",
            "purpose",
            CONNECTIONS,
        ),
        channels: ByLabel<IntGauge> = int_gauges(
            "shakerqueue_broker_channels",
            "Open channels on the connection to the broker.",
            "purpose",
            CONNECTIONS,
        ),
        loses_orders: IntGauge = int_gauge(
            "shakerqueue_broker_loses_orders",
            "1 while a policy of the broker would remove orders, which are therefore recorded directly.",
        ),
        messages: ByLabel<Gauge> = gauges(
            "shakerqueue_queue_messages",
            "Messages that no worker has taken yet, each with one order or more.",
            "queue",
            QUEUES,
        ),
        consumers: ByLabel<Gauge> =
            gauges("shakerqueue_queue_consumers", "Consumers of the queue.", "queue", QUEUES),
    }
}

group! {
    WorkerMetrics, worker {
        deliveries: ByLabel<IntCounter> = counters(
            "shakerqueue_worker_deliveries_total",
            "Orders that the broker delivered.",
            "redelivered",
            &["false", "true"],
        ),
        postponed: IntCounter = counter(
            "shakerqueue_orders_postponed_total",
            "Orders that could not be recorded and that are tried again after a delay.",
        ),
        dead_letters: IntCounter = counter(
            "shakerqueue_dead_letters_created_total",
            "Orders that became dead letters.",
        ),
    }
}
