//! The database, and storing orders in it.

use super::{
    super::kinds::{By, counter, counters, gauges_of, histogram, label, number, numbers},
    BATCH_ORDERS, PART_SECONDS, WAIT_SECONDS, group,
};
use prometheus::{GaugeVec, Histogram, IntCounter, IntGauge};

label! {
    /// What became of an order that was to be stored.
    Recorded, "outcome" {
        /// It is stored now.
        Recorded = "recorded",
        /// It was stored before.
        Duplicate = "duplicate",
        /// Another order of the same customer has its id.
        KeyReused = "key_reused",
        /// Another customer's order has its id.
        Conflict = "conflict",
        /// The database refuses it.
        Refused = "refused",
        /// The database fails on it.
        Failed = "failed",
        /// The database could not do it then.
        TryLater = "try_later",
        /// The database did not say.
        Undecided = "undecided",
    }
}

group! {
    /// Storing orders.
    Recorder, recorder {
        /// By what became of them.
        orders: By<Recorded, IntCounter> = counters(
            "shakerqueue_recorder_orders_total",
            "Orders that were to be stored, and what became of that.",
        ),
        /// In one transaction.
        batch_orders: Histogram = histogram(
            "shakerqueue_recorder_batch_orders",
            "Orders in a transaction.",
            BATCH_ORDERS,
        ),
        /// Of one transaction.
        batch_duration: Histogram = histogram(
            "shakerqueue_recorder_batch_duration_seconds",
            "How long a transaction took, with waiting for a connection.",
            PART_SECONDS,
        ),
        /// Since they were accepted.
        delay: Histogram = histogram(
            "shakerqueue_recorder_delay_seconds",
            "How long it took from accepting an order to storing it.",
            WAIT_SECONDS,
        ),
    }
}

label! {
    /// What this process depends on.
    Part, "part" {
        /// The database.
        Database = "database",
        /// The broker.
        Broker = "broker",
    }
}

label! {
    /// What a connection to the database does.
    Connections, "state" {
        /// Nothing.
        Idle = "idle",
        /// Something.
        InUse = "in_use",
    }
}

group! {
    /// The parts, and connections to the database.
    Database, database {
        /// Whether it answers. Only those that there are: others would look as if they were down.
        up: GaugeVec = gauges_of("shakerqueue_part_up", "1 while that part answers.", &["part"]),
        /// Whether it answers and keeps no changes.
        read_only: IntGauge = number(
            "shakerqueue_database_read_only",
            "1 while the database answers and keeps no changes.",
        ),
        /// In the pool.
        connections: By<Connections, IntGauge> = numbers(
            "shakerqueue_database_connections",
            "Connections to the database.",
        ),
        /// How many there may be.
        most: IntGauge = number(
            "shakerqueue_database_connections_max",
            "The most connections to the database that there may be.",
        ),
        /// Met by work that was run again.
        lost_connections: IntCounter = counter(
            "shakerqueue_database_connections_lost_total",
            "Connections to the database that were lost while they were used, whose work was run again on a new one.",
        ),
        /// Pieces of work without one.
        waiting: IntGauge = number(
            "shakerqueue_database_connections_waiting",
            "Pieces of work that wait for a connection to the database.",
        ),
    }
}
