//! Orders: accepted, waiting, on the board.

use super::{
    super::kinds::{By, counters, gauge, gauges, label},
    group,
};
use prometheus::{Gauge, IntCounter};

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
        /// Its customer has too many open orders.
        TooManyOpen = "too_many_open",
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

label! {
    /// The answer to a look-up of a key.
    LookedUp, "outcome" {
        /// An order is stored under it.
        Stored = "stored",
        /// None is.
        NotStored = "not_stored",
        /// The database did not say in time.
        Unanswered = "unanswered",
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
        /// Of keys that this process does not know.
        lookups: By<LookedUp, IntCounter> = counters(
            "shakerqueue_key_lookups_total",
            "Idempotency keys of orders that were looked up in the database.",
        ),
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
