//! An order that this process has accepted, and what it knows of its way.

use crate::domain::{Timestamp, order::NewOrder};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering},
};

/// It is not known where it is: it is being accepted.
const UNDECIDED_MARK: i64 = i64::MIN;
/// It was found in the database, or went there directly.
const STORED_MARK: i64 = i64::MAX;

/// An accepted order.
pub(super) struct AcceptedOrder {
    pub(super) order: Arc<NewOrder>,
    /// When it was last given to the broker, in microseconds since 1970 began, or one of the above.
    way: AtomicI64,
    attempts: AtomicU8,
    is_answered: AtomicBool,
}

impl AcceptedOrder {
    pub(super) fn new(order: Arc<NewOrder>) -> Self {
        Self {
            order,
            way: AtomicI64::new(UNDECIDED_MARK),
            attempts: AtomicU8::new(0),
            is_answered: AtomicBool::new(false),
        }
    }

    /// Notes that the broker has it since this time.
    pub(super) fn set_published(&self, at: Timestamp) {
        self.way.store(at.micros(), Ordering::Relaxed);
    }

    /// Notes that nothing needs to be done for it any more.
    pub(super) fn set_stored(&self) {
        self.way.store(STORED_MARK, Ordering::Relaxed);
    }

    /// Since when the broker has it, unless it is known to be stored.
    pub(super) fn published_at(&self) -> Option<Timestamp> {
        match self.way.load(Ordering::Relaxed) {
            UNDECIDED_MARK | STORED_MARK => None,
            micros => Timestamp::from_micros(micros),
        }
    }

    /// Returns whether the broker or the database was seen to have it.
    pub(super) fn is_kept(&self) -> bool {
        self.way.load(Ordering::Relaxed) != UNDECIDED_MARK
    }

    /// Whether it was stored when it was looked for.
    pub(super) fn is_stored(&self) -> bool {
        self.way.load(Ordering::Relaxed) == STORED_MARK
    }

    /// Returns whether nobody was told yet that it is safe. Whoever asks is telling somebody.
    pub(super) fn is_first_answer(&self) -> bool {
        !self.is_answered.swap(true, Ordering::Relaxed)
    }

    /// Counts an attempt to publish it again.
    pub(super) fn next_attempt(&self) -> u8 {
        self.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}
