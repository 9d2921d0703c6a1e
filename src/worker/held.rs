//! Since when the orders have been waiting that a worker holds.

use crate::{domain::Instant, queue::Source};
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker holds of each queue. Cheap to clone; each clone tells the same.
#[derive(Clone, Default)]
pub struct Held(Arc<[Mutex<Option<Instant>>; 2]>);

impl Held {
    /// Notes the oldest order of what is held of a queue, until what this returns is dropped.
    pub(super) fn hold(&self, source: Source, oldest: Option<Instant>) -> Holding {
        let holding = Holding { held: self.clone(), source };
        holding.set(oldest);
        holding
    }

    /// Since when the oldest of all has been waiting.
    pub fn oldest(&self) -> Option<Instant> {
        self.0.iter().filter_map(|held| *held.lock().unwrap_or_else(PoisonError::into_inner)).min()
    }
}

/// Something is held.
pub(super) struct Holding {
    held: Held,
    source: Source,
}

impl Holding {
    fn set(&self, oldest: Option<Instant>) {
        let [orders, overrun] = &*self.held.0;
        let held = match self.source {
            Source::Orders => orders,
            Source::Overrun => overrun,
        };
        *held.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(None);
    }
}
