//! The age of orders that a worker has received and not acknowledged yet.

use crate::{broker::Source, domain::Timestamp, util::lock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// The time at which the oldest order in flight of each queue was placed. Clones share it.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashMap<Source, Timestamp>>>);

impl InFlight {
    /// Notes the time of a queue's oldest order in flight, until the guard is dropped.
    pub(super) fn begin(&self, source: Source, oldest: Option<Timestamp>) -> InFlightGuard {
        lock(&self.0).extend(oldest.map(|oldest| (source, oldest)));
        InFlightGuard(self.clone(), source)
    }

    /// Returns the time at which the oldest order of all was placed.
    pub fn oldest(&self) -> Option<Timestamp> {
        lock(&self.0).values().min().copied()
    }
}

pub(super) struct InFlightGuard(InFlight, Source);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        lock(&self.0.0).remove(&self.1);
    }
}
