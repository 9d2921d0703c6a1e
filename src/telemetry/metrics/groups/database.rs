//! The database, and recording orders in it.

use super::{
    super::families::{ByLabel, counter, counters, gauge_vec, histogram, int_gauge, int_gauges},
    BATCH_ORDERS, CALL_SECONDS, RECORDING_SECONDS, group,
};
use prometheus::{GaugeVec, Histogram, IntCounter, IntGauge};

group! {
    RecorderMetrics, recorder {
        /// Attempts to record an order, by outcome.
        orders: ByLabel<IntCounter> = counters(
            "shakerqueue_recorder_orders_total",
            "outcome",
            &[
                "recorded", "duplicate", "key_reused", "conflict", "refused", "failed", "try_later",
                "undecided",
            ],
        ),
        /// Orders recorded in one transaction.
        batch_orders: Histogram = histogram("shakerqueue_recorder_batch_orders", BATCH_ORDERS),
        /// Duration of a transaction that records orders, including the wait for a connection.
        batch_duration: Histogram = histogram("shakerqueue_recorder_batch_duration_seconds", CALL_SECONDS),
        /// Time from accepting an order to recording it.
        delay: Histogram = histogram("shakerqueue_recorder_delay_seconds", RECORDING_SECONDS),
    }
}

group! {
    DatabaseMetrics, database {
        // Only the servers that are configured: others would look as if they were down.
        /// 1 while this server answers.
        up: GaugeVec = gauge_vec("shakerqueue_part_up", &["part"]),
        /// 1 while the database answers but refuses changes.
        read_only: IntGauge = int_gauge("shakerqueue_database_read_only"),
        /// Connections in the pool, by state.
        connections: ByLabel<IntGauge> = int_gauges(
            "shakerqueue_database_connections",
            "state",
            &["idle", "in_use"],
        ),
        /// Limit on connections to the database.
        max_connections: IntGauge = int_gauge("shakerqueue_database_connections_max"),
        /// Connections to the database that were lost in use, and whose work was repeated on a new one.
        lost_connections: IntCounter = counter("shakerqueue_database_connections_lost_total"),
        /// Tasks that wait for a connection to the database.
        waiting: IntGauge = int_gauge("shakerqueue_database_connections_waiting"),
    }
}
