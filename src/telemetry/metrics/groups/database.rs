//! The database, and recording orders in it.

use super::{
    super::families::{ByLabel, counter, counters, gauge_vec, histogram, int_gauge, int_gauges},
    BATCH_ORDERS, CALL_SECONDS, RECORDING_SECONDS, group,
};
use prometheus::{GaugeVec, Histogram, IntCounter, IntGauge};

group! {
    RecorderMetrics, recorder {
        orders: ByLabel<IntCounter> = counters(
            "shakerqueue_recorder_orders_total",
            "Attempts to record an order, by outcome.",
            "outcome",
            &["recorded", "duplicate", "key_reused", "conflict", "refused", "failed", "try_later", "undecided"],
        ),
        batch_orders: Histogram = histogram(
            "shakerqueue_recorder_batch_orders",
            "Orders recorded in one transaction.",
            BATCH_ORDERS,
        ),
        batch_duration: Histogram = histogram(
            "shakerqueue_recorder_batch_duration_seconds",
            "Duration of a transaction that records orders, including the wait for a connection.",
            CALL_SECONDS,
        ),
        delay: Histogram = histogram(
            "shakerqueue_recorder_delay_seconds",
            "Time from accepting an order to recording it.",
            RECORDING_SECONDS,
        ),
    }
}

group! {
    DatabaseMetrics, database {
        // Only the servers that are configured: others would look as if they were down.
        up: GaugeVec = gauge_vec("shakerqueue_part_up", "1 while this server answers.", &["part"]),
        read_only: IntGauge = int_gauge(
            "shakerqueue_database_read_only",
            "1 while the database answers but refuses changes.",
        ),
        connections: ByLabel<IntGauge> = int_gauges(
            "shakerqueue_database_connections",
            "Connections in the pool.",
            "state",
            &["idle", "in_use"],
        ),
        max_connections: IntGauge = int_gauge(
            "shakerqueue_database_connections_max",
            "Limit on connections to the database.",
        ),
        lost_connections: IntCounter = counter(
            "shakerqueue_database_connections_lost_total",
            "Connections to the database that were lost in use, and whose work was repeated on a new one.",
        ),
        waiting: IntGauge = int_gauge(
            "shakerqueue_database_connections_waiting",
            "Tasks that wait for a connection to the database.",
        ),
    }
}
