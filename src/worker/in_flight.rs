//! Since when the orders have been waiting that a worker holds.

use crate::{broker::Source, domain::Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker holds of each queue. Cheap to clone; each clone tells the same.
#[derive(Clone, Default)]
pub struct InFlight(Arc<[Mutex<Option<Timestamp>>; 2]>);

impl InFlight {
    /// Notes the oldest order of what is held of a queue, until what this returns is dropped.
    pub(super) fn hold(&self, source: Source, oldest: Option<Timestamp>) -> InFlightGuard {
        let holding = InFlightGuard { held: self.clone(), source };
        holding.set(oldest);
        holding
    }

    /// Since when the oldest of all has been waiting.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|held| *held.lock().unwrap_or_else(PoisonError::into_inner)).min()
    }
}

/// Something is held.
pub(super) struct InFlightGuard {
    held: InFlight,
    source: Source,
}

impl InFlightGuard {
    fn set(&self, oldest: Option<Timestamp>) {
        let [orders, overrun] = &*self.held.0;
        let held = match self.source {
            Source::Orders => orders,
            Source::Overrun => overrun,
        };
        *held.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.set(None);
    }
}
