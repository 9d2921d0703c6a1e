//! The broker, and taking orders from it.

use super::{
    super::kinds::{By, counter, counters, gauges, histogram, label, number, numbers},
    PART_SECONDS, group,
};
use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

label! {
    /// What became of an order that was given to the broker.
    Published, "outcome" {
        /// It has it on disk.
        Confirmed = "confirmed",
        /// It was away.
        Unavailable = "unavailable",
        /// Too many waited already.
        Busy = "busy",
        /// It did not answer in time.
        Unconfirmed = "unconfirmed",
        /// It refused it.
        Refused = "refused",
        /// It has no queue for it.
        NoQueue = "no_queue",
        /// Its id was used before.
        Duplicate = "duplicate",
    }
}

label! {
    /// What a connection to the broker is for.
    Purpose, "purpose" {
        /// Giving orders to it.
        Publishing = "publishing",
        /// Taking orders from it.
        Consuming = "consuming",
    }
}

label! {
    /// A queue at the broker.
    Queue, "queue" {
        /// The orders.
        Orders = "orders",
        /// Those that were delivered very often.
        Overrun = "overrun",
    }
}

group! {
    /// The broker.
    Broker, broker {
        /// Orders given to it.
        publishes: By<Published, IntCounter> = counters(
            "shakerqueue_broker_publishes_total",
            "Orders given to the broker, and what became of that.",
        ),
        /// From sending a message to its confirm.
        confirms: Histogram = histogram(
            "shakerqueue_broker_confirm_duration_seconds",
            "How long the broker took to confirm a message.",
            PART_SECONDS,
        ),
        /// Sent, and not answered.
        unconfirmed: IntGauge = number(
            "shakerqueue_broker_unconfirmed_messages",
            "Messages that the broker has not answered yet.",
        ),
        /// Whether it is open.
        connected: By<Purpose, IntGauge> = numbers(
            "shakerqueue_broker_connected",
            "1 while the connection to the broker is open.",
        ),
        /// How often it was opened.
        opened: By<Purpose, IntCounter> = counters(
            "shakerqueue_broker_connections_opened_total",
            "How often the connection to the broker was opened.",
        ),
        /// Open on it.
        channels: By<Purpose, IntGauge> = numbers("shakerqueue_broker_channels", "Channels that are open."),
        /// Whether messages would be lost there.
        loses_orders: IntGauge = number(
            "shakerqueue_broker_loses_orders",
            "1 while a policy of the broker would remove orders, which are therefore stored directly.",
        ),
        /// Waiting there.
        messages: By<Queue, Gauge> = gauges(
            "shakerqueue_queue_messages",
            "Messages that no worker has yet, each with one order or more.",
        ),
        /// Taking from it.
        consumers: By<Queue, Gauge> = gauges("shakerqueue_queue_consumers", "Workers that take from the queue."),
    }
}

label! {
    /// Whether an order was delivered before.
    Redelivered, "redelivered" {
        /// It was.
        Yes = "true",
        /// It was not.
        No = "false",
    }
}

group! {
    /// Taking orders from the broker.
    Worker, worker {
        /// Came from it.
        deliveries: By<Redelivered, IntCounter> = counters(
            "shakerqueue_worker_deliveries_total",
            "Orders that came from the broker.",
        ),
        /// Come again later.
        postponed: IntCounter = counter(
            "shakerqueue_orders_postponed_total",
            "Orders that could not be stored and come again after a pause.",
        ),
        /// Never will be stored.
        dead_letters: IntCounter = counter(
            "shakerqueue_dead_letters_created_total",
            "Orders that became dead letters.",
        ),
    }
}
