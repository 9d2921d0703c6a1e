//! An order that this process has accepted, and its known location.

use super::Placement;
use crate::domain::{Timestamp, now, order::NewOrder};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering},
};

/// Being accepted: location unknown.
const UNKNOWN_MARK: i64 = i64::MIN;
/// Found in the database, or recorded directly.
const STORED_MARK: i64 = i64::MAX;

pub(super) struct AcceptedOrder {
    pub(super) order: Arc<NewOrder>,
    /// Time of the last publication in microseconds since the Unix epoch, or one of the marks above.
    location: AtomicI64,
    attempts: AtomicU8,
    is_answered: AtomicBool,
}

impl AcceptedOrder {
    pub(super) fn new(order: Arc<NewOrder>) -> Self {
        Self {
            order,
            location: AtomicI64::new(UNKNOWN_MARK),
            attempts: AtomicU8::new(0),
            is_answered: AtomicBool::new(false),
        }
    }

    pub(super) fn set_placed(&self, placement: Placement) {
        match placement {
            Placement::Queued => self.location.store(now().micros(), Ordering::Relaxed),
            Placement::Stored(_) => self.set_stored(),
        }
    }

    /// Marks it as stored: nothing remains to be done for it.
    pub(super) fn set_stored(&self) {
        self.location.store(STORED_MARK, Ordering::Relaxed);
    }

    /// Returns when it was published, unless it is known to be stored.
    pub(super) fn published_at(&self) -> Option<Timestamp> {
        match self.location.load(Ordering::Relaxed) {
            UNKNOWN_MARK | STORED_MARK => None,
            micros => Timestamp::from_micros(micros),
        }
    }

    /// Returns whether the broker or the database confirmed it.
    pub(super) fn is_confirmed(&self) -> bool {
        self.location.load(Ordering::Relaxed) != UNKNOWN_MARK
    }

    pub(super) fn is_stored(&self) -> bool {
        self.location.load(Ordering::Relaxed) == STORED_MARK
    }

    /// Returns true for the first caller, who is the one to report the order as safe.
    pub(super) fn is_first_answer(&self) -> bool {
        !self.is_answered.swap(true, Ordering::Relaxed)
    }

    pub(super) fn next_attempt(&self) -> u8 {
        self.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}
