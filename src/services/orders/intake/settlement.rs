//! Determines which accepted orders can no longer be on their way to the database.
//!
//! A published order is in a queue, held by a worker, in a delay queue, stored, or a dead letter. The broker
//! reports the contents of its queues, but not what workers hold. Workers hold an order for seconds while the
//! database accepts orders, and an order whose worker is gone returns to its queue within half a minute. So:
//! if every look within `quiet` found all queues empty, workers connected, and the database accepting a trial
//! order, then everything accepted before that time is settled: stored, a dead letter, or lost.

use crate::{
    domain::{
        Timestamp,
        ids::{OrderId, generated_at},
    },
    util::lock,
};
use quick_cache::sync::Cache;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant as Tick;

/// Tolerated difference between clocks, plus the time to accept an order, in microseconds.
const CLOCK_TOLERANCE: i64 = 5_000_000;
/// Looked-up orders remembered whose ids do not contain the time of acceptance.
const ASKED_CAPACITY: usize = 10_000;

pub struct Settlement {
    /// Orders accepted before this are settled; microseconds since the Unix epoch.
    before: AtomicI64,
    /// Begin of the period in which every look found the queues empty.
    empty_since: Mutex<Option<(Tick, Timestamp)>>,
    first_asked: Cache<OrderId, Timestamp>,
}

impl Settlement {
    /// Nothing is settled so far.
    pub fn unknown() -> Self {
        Self::since(i64::MIN)
    }

    /// Everything is settled: accepted orders are stored.
    pub fn complete() -> Self {
        Self::since(i64::MAX)
    }

    fn since(before: i64) -> Self {
        let first_asked = Cache::new(ASKED_CAPACITY);
        Self { before: AtomicI64::new(before), empty_since: Mutex::default(), first_asked }
    }

    /// Returns whether orders accepted at this time, by the clock of any process, are settled.
    pub fn is_settled(&self, accepted_at: Timestamp) -> bool {
        accepted_at.micros().saturating_add(CLOCK_TOLERANCE) < self.before.load(Ordering::Relaxed)
    }

    /// Returns whether an order is settled that is not among the remembered ones of this process.
    pub fn is_settled_elsewhere(&self, id: OrderId, now: Timestamp) -> bool {
        // Ids derived from an `Idempotency-Key` contain no time.
        let accepted_at = generated_at(id.0).unwrap_or_else(|| {
            let asked = self.first_asked.get_or_insert_with(&id, || Ok::<_, std::convert::Infallible>(now));
            asked.unwrap_or(now)
        });
        self.is_settled(accepted_at)
    }

    /// Adds a look at the queues: whether they were empty and the database accepts orders.
    pub fn observe(&self, is_drained: bool, quiet: Duration, tick: Tick, now: Timestamp) {
        let mut empty_since = lock(&self.empty_since);
        if !is_drained {
            *empty_since = None;
            return;
        }
        let (began, began_at) = *empty_since.get_or_insert((tick, now));
        let length = tick.saturating_duration_since(began);
        let by_clock = now.micros().saturating_sub(began_at.micros());
        // After a clock was set, the times of earlier orders are meaningless.
        if by_clock.abs_diff(micros(length)) > CLOCK_TOLERANCE.unsigned_abs() {
            *empty_since = Some((tick, now));
        } else if length >= quiet {
            self.before.fetch_max(now.micros().saturating_sub(micros(quiet)), Ordering::Relaxed);
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;
    use chrono::TimeDelta;
    use uuid::{Builder, Uuid};

    const SECOND: Duration = Duration::from_secs(1);
    const QUIET: Duration = Duration::from_secs(60);

    /// Adds a look each second from `from` to `until`, in seconds after the start.
    fn look(settlement: &Settlement, is_drained: bool, from: i64, until: i64, start: (Tick, Timestamp)) {
        for second in from..=until {
            let tick = start.0 + SECOND * u32::try_from(second).unwrap_or(0);
            settlement.observe(is_drained, QUIET, tick, start.1 + TimeDelta::seconds(second));
        }
    }

    #[test]
    fn what_was_accepted_before_a_quiet_time_is_settled() {
        let (settlement, start) = (Settlement::unknown(), (Tick::now(), now()));
        let at = |seconds| start.1 + TimeDelta::seconds(seconds);
        look(&settlement, true, 0, 59, start);
        assert!(!settlement.is_settled(at(-3600)), "a moment too early");
        look(&settlement, true, 60, 80, start);
        assert!(settlement.is_settled(at(-3600)) && settlement.is_settled(at(14)));
        assert!(!settlement.is_settled(at(16)), "within the time for which clocks may differ");
        // Settled orders stay settled while new ones wait.
        look(&settlement, false, 81, 81, start);
        look(&settlement, true, 82, 141, start);
        assert!(settlement.is_settled(at(14)) && !settlement.is_settled(at(20)));
        look(&settlement, true, 142, 142, start);
        assert!(settlement.is_settled(at(76)));
    }

    #[test]
    fn orders_that_wait_for_workers_for_a_night_are_not_settled() {
        let (settlement, start) = (Settlement::unknown(), (Tick::now(), now()));
        look(&settlement, false, 0, 40_000, start);
        assert!(!settlement.is_settled(start.1) && !settlement.is_settled(Timestamp::EARLIEST));
    }

    #[test]
    fn a_clock_that_is_set_begins_the_quiet_time_anew() {
        let (settlement, start) = (Settlement::unknown(), (Tick::now(), now()));
        look(&settlement, true, 0, 50, start);
        let ahead = (start.0, start.1 + TimeDelta::minutes(10));
        look(&settlement, true, 51, 100, ahead);
        assert!(!settlement.is_settled(start.1 + TimeDelta::seconds(40)));
        look(&settlement, true, 101, 111, ahead);
        assert!(settlement.is_settled(start.1 + TimeDelta::seconds(40)));
    }

    #[test]
    fn an_id_without_a_time_counts_from_the_first_question() {
        let (settlement, start) = (Settlement::unknown(), (Tick::now(), now()));
        let at = |seconds| start.1 + TimeDelta::seconds(seconds);
        let (keyed, timed) =
            (OrderId(Builder::from_custom_bytes([7; 16]).into_uuid()), OrderId(Uuid::now_v7()));
        look(&settlement, true, 0, 90, start);
        assert!(settlement.is_settled_elsewhere(timed, at(90)));
        assert!(!settlement.is_settled_elsewhere(keyed, at(90)));
        look(&settlement, true, 91, 150, start);
        assert!(!settlement.is_settled_elsewhere(keyed, at(150)));
        look(&settlement, true, 151, 160, start);
        assert!(settlement.is_settled_elsewhere(keyed, at(160)));
        assert!(Settlement::complete().is_settled_elsewhere(keyed, at(0)));
    }
}
