//! Orders: placed, waiting, on the board.

use super::{
    super::families::{ByLabel, MetricLabel, counters, gauge, gauges},
    group,
};
use crate::domain::order_state::Status;
use prometheus::{Gauge, IntCounter};

impl MetricLabel for Status {
    fn label(&self) -> &'static str {
        self.as_str()
    }
}

const ON_BOARD: &[&str] = &[Status::Pending.as_str(), Status::InProgress.as_str(), Status::Ready.as_str()];

group! {
    IntakeMetrics, intake {
        accepted: ByLabel<IntCounter> = counters(
            "shakerqueue_orders_accepted_total",
            "Orders that were accepted, by what keeps them.",
            "kept_by",
            &["broker", "database"],
        ),
        refused: ByLabel<IntCounter> = counters(
            "shakerqueue_orders_refused_total",
            "Orders that were not accepted.",
            "reason",
            &[
                "invalid", "sold_out", "not_permitted", "conflict", "too_many_open", "unstorable", "unavailable",
                "undecided", "failed",
            ],
        ),
        lookups: ByLabel<IntCounter> = counters(
            "shakerqueue_key_lookups_total",
            "Idempotency keys of orders that were looked up in the database.",
            "outcome",
            &["stored", "not_stored", "unanswered"],
        ),
    }
}

group! {
    WaitingMetrics, waiting {
        oldest: Gauge = gauge(
            "shakerqueue_orders_oldest_waiting_seconds",
            "Age of the oldest order that this process accepted or holds and that is not recorded yet.",
        ),
    }
}

group! {
    BoardMetrics, board {
        orders: ByLabel<Gauge> = gauges(
            "shakerqueue_orders",
            "Orders on the board, counted up to 10,000 each.",
            "status",
            ON_BOARD,
        ),
        oldest: ByLabel<Gauge> = gauges(
            "shakerqueue_orders_oldest_age_seconds",
            "Time since the first of the orders on the board was placed.",
            "status",
            ON_BOARD,
        ),
        dead_letters: Gauge = gauge(
            "shakerqueue_dead_letters_open",
            "Dead letters that wait for a decision, counted up to 10,000.",
        ),
    }
}

group! {
    TransitionsMetrics, transitions {
        orders: ByLabel<IntCounter> = counters(
            "shakerqueue_order_moves_total",
            "Transitions of orders, by their new status.",
            "to",
            &[
                Status::Pending.as_str(), Status::InProgress.as_str(), Status::Ready.as_str(),
                Status::Completed.as_str(), Status::Cancelled.as_str(), Status::Failed.as_str(),
            ],
        ),
    }
}
