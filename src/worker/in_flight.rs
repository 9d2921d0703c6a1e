//! The age of orders that a worker has received and not acknowledged yet.

use crate::{broker::Source, domain::Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// The oldest order in flight of each queue. Clones share it.
#[derive(Clone, Default)]
pub struct InFlight(Arc<[Mutex<Option<Timestamp>>; 2]>);

impl InFlight {
    /// Notes the time of a queue's oldest order in flight, until the guard is dropped.
    pub(super) fn begin(&self, source: Source, oldest: Option<Timestamp>) -> InFlightGuard {
        let guard = InFlightGuard { in_flight: self.clone(), source };
        guard.set(oldest);
        guard
    }

    /// Returns the time at which the oldest order of all was placed.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|oldest| *oldest.lock().unwrap_or_else(PoisonError::into_inner)).min()
    }
}

pub(super) struct InFlightGuard {
    in_flight: InFlight,
    source: Source,
}

impl InFlightGuard {
    fn set(&self, oldest: Option<Timestamp>) {
        let [orders, overrun] = &*self.in_flight.0;
        let of_source = match self.source {
            Source::Orders => orders,
            Source::Overrun => overrun,
        };
        *of_source.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.set(None);
    }
}
