//! Every metric, by concern. `docs/metrics.md` says more about each.

use super::kinds::{
    By, counter, counters, gauge, gauges, gauges_of, histogram, histograms_of, label, number, numbers,
};
use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntGauge};
use std::sync::LazyLock;

/// Seconds that requests take, as OpenTelemetry recommends them.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds that the broker or the database take for one thing.
const PART_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Seconds that an order may wait until it is stored.
const WAIT_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Orders in a batch.
const BATCH_ORDERS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// Declares a group: its type, and how to get at it.
macro_rules! group {
    ($(#[$doc:meta])* $name:ident, $get:ident { $($(#[$metric_doc:meta])* $metric:ident: $kind:ty = $made:expr,)+ }) => {
        $(#[$doc])*
        pub struct $name {
            $($(#[$metric_doc])* pub $metric: $kind,)+
        }

        $(#[$doc])*
        pub fn $get() -> &'static $name {
            static GROUP: LazyLock<$name> = LazyLock::new(|| $name { $($metric: $made,)+ });
            &GROUP
        }
    };
}

group! {
    /// Requests and connections.
    Http, http {
        /// By method, route and status.
        requests: HistogramVec = histograms_of(
            "http_server_request_duration_seconds",
            "How long answers took.",
            REQUEST_SECONDS,
            &["http_request_method", "http_route", "http_response_status_code"],
        ),
        /// Open now.
        connections: IntGauge = number("shakerqueue_http_connections", "Connections of clients that are open."),
    }
}

label! {
    /// Who keeps an accepted order.
    KeptBy, "kept_by" {
        /// The broker: a worker will store it.
        Broker = "broker",
        /// The database: it was recorded directly.
        Database = "database",
    }
}

label! {
    /// Why an order was not taken.
    Refused, "reason" {
        /// Something is wrong with what was asked for.
        Invalid = "invalid",
        /// A drink of it is sold out.
        SoldOut = "sold_out",
        /// It was for somebody else.
        NotPermitted = "not_permitted",
        /// Another order has its key.
        Conflict = "conflict",
        /// The database refuses it.
        Unstorable = "unstorable",
        /// Nothing that could keep it is up.
        Unavailable = "unavailable",
        /// Nobody knows whether it is kept.
        Undecided = "undecided",
        /// A defect.
        Failed = "failed",
    }
}

group! {
    /// Orders that come in.
    Intake, intake {
        /// Promised to their guests.
        accepted: By<KeptBy, IntCounter> = counters(
            "shakerqueue_orders_accepted_total",
            "Orders that were promised to their guests.",
        ),
        /// Not taken.
        refused: By<Refused, IntCounter> = counters("shakerqueue_orders_refused_total", "Orders that were not taken."),
    }
}

group! {
    /// Orders that are not stored yet.
    Waiting, waiting {
        /// The age of the oldest.
        oldest: Gauge = gauge(
            "shakerqueue_orders_oldest_waiting_seconds",
            "The age of the oldest order that this process accepted or holds and that is not stored yet.",
        ),
    }
}

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

label! {
    /// What became of an order that was to be stored.
    Recorded, "outcome" {
        /// It is stored now.
        Recorded = "recorded",
        /// It was stored before.
        Duplicate = "duplicate",
        /// Another order has its id.
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
        /// Pieces of work without one.
        waiting: IntGauge = number(
            "shakerqueue_database_connections_waiting",
            "Pieces of work that wait for a connection to the database.",
        ),
    }
}

label! {
    /// Where an order on the board stands.
    OnBoard, "status" {
        /// Nobody works on it.
        Pending = "pending",
        /// A bartender has it.
        InProgress = "in_progress",
        /// It waits to be collected.
        Ready = "ready",
    }
}

label! {
    /// Where an order moved.
    MovedTo, "to" {
        /// Back on the board.
        Pending = "pending",
        /// To a bartender.
        InProgress = "in_progress",
        /// It is made.
        Ready = "ready",
        /// It is collected.
        Completed = "completed",
        /// It is called off.
        Cancelled = "cancelled",
        /// It can't be made.
        Failed = "failed",
    }
}

group! {
    /// What is in the database.
    Board, board {
        /// How many there are.
        orders: By<OnBoard, Gauge> = gauges("shakerqueue_orders", "Orders on the board, counted up to 10,000 each."),
        /// Since when.
        oldest: By<OnBoard, Gauge> = gauges(
            "shakerqueue_orders_oldest_age_seconds",
            "How long ago the first of the orders on the board was placed.",
        ),
        /// Nobody has decided about them.
        dead_letters: Gauge = gauge(
            "shakerqueue_dead_letters_open",
            "Dead letters that nobody has decided about, counted up to 10,000.",
        ),
    }
}

group! {
    /// Working the queue.
    Moves, moves {
        /// By where to.
        moves: By<MovedTo, IntCounter> = counters("shakerqueue_order_moves_total", "Moves of orders."),
    }
}

label! {
    /// What became of an attempt to sign in.
    Login, "outcome" {
        /// A session began.
        Succeeded = "succeeded",
        /// The password was wrong, or there is no such account.
        WrongPassword = "wrong_password",
        /// The account is switched off.
        Inactive = "inactive",
        /// So many had failed that it was not looked at.
        TooManyFailures = "too_many_failures",
        /// Too many passwords were being checked.
        Busy = "busy",
        /// The database could not do it.
        Unavailable = "unavailable",
    }
}

group! {
    /// Accounts.
    Accounts, accounts {
        /// Attempts to sign in.
        logins: By<Login, IntCounter> = counters("shakerqueue_logins_total", "Attempts to sign in."),
    }
}

group! {
    /// The process itself.
    Process, process {
        /// What runs.
        build: GaugeVec = {
            #[cfg(target_os = "linux")]
            super::kinds::register(prometheus::process_collector::ProcessCollector::for_self());
            gauges_of("shakerqueue_build_info", "What runs: its version and commit, and as what.", &["version", "revision", "role", "deployment"])
        },
    }
}
