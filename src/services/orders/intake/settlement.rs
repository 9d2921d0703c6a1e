//! Whether an accepted order may still be on its way to the database.
//!
//! An order that was given to the broker is in a queue, held by a worker, waiting in a delay queue, stored, or a dead letter. The broker
//! tells what is in its queues, but not what workers hold. They hold an order for seconds as long as the database stores orders, and one
//! whose worker is gone is back in its queue within half a minute. So: once all queues were seen empty, each time that was looked
//! for as long as `quiet`, while workers took orders and the database stored a trial order, what was accepted before that time
//! is settled: stored, a dead letter, or gone.

use crate::domain::{Timestamp, ids::OrderId};
use quick_cache::sync::Cache;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant as Tick;
use uuid::Uuid;

/// How much the clocks of two processes may differ, and how long accepting an order takes, in microseconds.
const CLOCK_TOLERANCE: i64 = 5_000_000;
/// How many orders are remembered about which this process was asked and whose ids don't tell when they were accepted.
const ASKED_CAPACITY: usize = 10_000;

/// What is known of the orders on their way.
pub struct Settlement {
    /// What was accepted before is settled, in microseconds since 1970 began.
    before: AtomicI64,
    run: Mutex<Run>,
    first_asked: Cache<OrderId, Timestamp>,
}

/// A time in which the queues were seen empty whenever they were looked at.
#[derive(Debug, Default)]
struct Run {
    began: Option<(Tick, Timestamp)>,
}

impl Settlement {
    /// Nothing is known so far.
    pub fn unknown() -> Self {
        Self::since(i64::MIN)
    }

    /// Nothing is ever on its way: what is accepted is stored.
    pub fn complete() -> Self {
        Self::since(i64::MAX)
    }

    fn since(before: i64) -> Self {
        let first_asked = Cache::new(ASKED_CAPACITY);
        Self { before: AtomicI64::new(before), run: Mutex::default(), first_asked }
    }

    /// Whether what was accepted at this time, by the clock of whichever process, is settled.
    pub fn is_settled(&self, accepted_at: Timestamp) -> bool {
        accepted_at.micros().saturating_add(CLOCK_TOLERANCE) < self.before()
    }

    /// Whether an order is settled that another process accepted, or this one before it forgot.
    pub fn is_settled_elsewhere(&self, id: OrderId, now: Timestamp) -> bool {
        let accepted_at = accepted_at(id.0).unwrap_or_else(|| {
            let asked = self.first_asked.get_or_insert_with(&id, || Ok::<_, std::convert::Infallible>(now));
            asked.unwrap_or(now)
        });
        self.is_settled(accepted_at)
    }

    /// Notes that the queues were looked at, and whether they were empty and the database stores orders.
    pub fn observe(&self, is_drained: bool, quiet: Duration, tick: Tick, now: Timestamp) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = run.observe(is_drained, quiet, tick, now) {
            self.before.fetch_max(until, Ordering::Relaxed);
        }
    }

    fn before(&self) -> i64 {
        self.before.load(Ordering::Relaxed)
    }
}

impl Run {
    /// Until when everything is settled, in microseconds, if that can be said.
    fn observe(&mut self, is_drained: bool, quiet: Duration, tick: Tick, now: Timestamp) -> Option<i64> {
        if !is_drained {
            self.began = None;
            return None;
        }
        let (began, began_at) = *self.began.get_or_insert((tick, now));
        let length = tick.saturating_duration_since(began);
        let by_clock = now.micros().saturating_sub(began_at.micros());
        // A clock that was set tells nothing about when orders were accepted before.
        if by_clock.abs_diff(micros(length)) > CLOCK_TOLERANCE.unsigned_abs() {
            self.began = Some((tick, now));
            return None;
        }
        (length >= quiet).then(|| now.micros().saturating_sub(micros(quiet)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// When the order of this id was accepted, if it says so: one with an `Idempotency-Key` does not.
fn accepted_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    Timestamp::from_micros(micros.checked_add(i64::from(nanoseconds / 1000))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;
    use chrono::TimeDelta;

    const SECOND: Duration = Duration::from_secs(1);
    const QUIET: Duration = Duration::from_secs(60);

    /// Looks every second from `from` to `until`, in seconds after the start.
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
        // Something waits: what is known stays known, and what comes is not.
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
            (OrderId(uuid::Builder::from_custom_bytes([7; 16]).into_uuid()), OrderId(Uuid::now_v7()));
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
