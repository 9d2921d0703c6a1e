//! Orders: placed, waiting, on the board.

use super::{
    super::families::{ByLabel, MetricLabel, counters, gauge, gauges, int_gauge},
    group,
};
use crate::domain::order_state::Status;
use prometheus::{Gauge, IntCounter, IntGauge};

impl MetricLabel for Status {
    fn label(&self) -> &'static str {
        self.as_str()
    }
}

const ON_BOARD: &[&str] = &[Status::Pending.as_str(), Status::InProgress.as_str(), Status::Ready.as_str()];

group! {
    IntakeMetrics, intake {
        /// Orders that were accepted, by what keeps them.
        accepted: ByLabel<IntCounter> = counters(
            "shakerqueue_orders_accepted_total",
            "kept_by",
            &["broker", "database"],
        ),
        /// Orders that were not accepted.
        refused: ByLabel<IntCounter> = counters(
            "shakerqueue_orders_refused_total",
            "reason",
            &[
                "invalid", "sold_out", "not_permitted", "conflict", "too_many_open", "unstorable",
                "unavailable", "undecided", "failed",
            ],
        ),
        /// Idempotency keys of orders that were looked up in the database.
        lookups: ByLabel<IntCounter> = counters(
            "shakerqueue_key_lookups_total",
            "outcome",
            &["stored", "not_stored", "unanswered"],
        ),
    }
}

group! {
    WaitingMetrics, waiting {
        /// Age of the oldest order that this process accepted or holds and that is not recorded yet.
        oldest: Gauge = gauge("shakerqueue_orders_oldest_waiting_seconds"),
    }
}

group! {
    BoardMetrics, board {
        /// Orders on the board, counted up to 10,000 each.
        orders: ByLabel<Gauge> = gauges("shakerqueue_orders", "status", ON_BOARD),
        /// Time since the first of the orders on the board was placed.
        oldest: ByLabel<Gauge> = gauges("shakerqueue_orders_oldest_age_seconds", "status", ON_BOARD),
        /// Waiting orders that no open board has shown for `UNSEEN_SECONDS`, counted up to 200.
        unseen: IntGauge = int_gauge("shakerqueue_orders_unseen"),
        /// Dead letters that wait for a decision, counted up to 10,000.
        dead_letters: Gauge = gauge("shakerqueue_dead_letters_open"),
    }
}

group! {
    TransitionsMetrics, transitions {
        /// Transitions of orders, by their new status.
        orders: ByLabel<IntCounter> = counters(
            "shakerqueue_order_moves_total",
            "to",
            &[
                Status::Pending.as_str(), Status::InProgress.as_str(), Status::Ready.as_str(),
                Status::Completed.as_str(), Status::Cancelled.as_str(), Status::Failed.as_str(),
            ],
        ),
    }
}
