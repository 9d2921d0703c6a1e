//! Batches of orders that can be abandoned one by one until their transaction begins.

use super::RecordOutcome;
use crate::{domain::order::NewOrder, store::Error, util::work_start::WorkStart};
use std::sync::Arc;

#[derive(Clone)]
pub struct Batch {
    orders: Arc<[NewOrder]>,
    /// One per order, or empty if none can be abandoned.
    starts: Arc<[Arc<WorkStart>]>,
}

impl From<Arc<[NewOrder]>> for Batch {
    fn from(orders: Arc<[NewOrder]>) -> Self {
        Self { orders, starts: Arc::default() }
    }
}

impl Batch {
    /// Takes orders that can be abandoned until their transaction begins.
    pub(super) fn new(orders: Vec<NewOrder>, starts: Vec<Arc<WorkStart>>) -> Self {
        Self { orders: orders.into(), starts: starts.into() }
    }

    pub(super) fn orders(&self) -> &[NewOrder] {
        &self.orders
    }

    /// Begins recording, and returns the orders that were not abandoned; the same ones each time.
    pub(super) fn begin(&self) -> Arc<[NewOrder]> {
        let given_up = self.starts.iter().filter(|start| !start.begin()).count();
        if given_up == 0 {
            return Arc::clone(&self.orders);
        }
        let orders = self.orders.iter().zip(self.starts.iter());
        orders.filter(|(_, start)| start.is_begun()).map(|(order, _)| order.clone()).collect()
    }

    /// Returns the outcomes of all orders, given those of the ones that were begun.
    pub(super) fn outcomes(&self, mut begun: impl Iterator<Item = RecordOutcome>) -> Vec<RecordOutcome> {
        if self.starts.is_empty() {
            return begun.collect();
        }
        let outcome = |start: &Arc<WorkStart>| {
            if start.is_begun() {
                begun.next().unwrap_or(RecordOutcome::Unknown)
            } else {
                RecordOutcome::Retryable
            }
        };
        self.starts.iter().map(outcome).collect()
    }

    /// Returns the outcomes of all orders after a transient error. An order that was not begun never will be;
    /// the transaction may continue with nobody waiting for it.
    pub(super) fn outcomes_of_failure(&self, error: &Error) -> Vec<RecordOutcome> {
        let outcome = if matches!(error, Error::OutcomeUnknown(_)) {
            RecordOutcome::Unknown
        } else {
            RecordOutcome::Retryable
        };
        if self.starts.is_empty() {
            return vec![outcome; self.orders.len()];
        }
        let starts = self.starts.iter();
        starts.map(|start| if start.abandon() { RecordOutcome::Retryable } else { outcome.clone() }).collect()
    }

    /// Splits the batch, unless it is a single order.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.orders.len() / 2;
        let (left, right) = self.orders.split_at_checked(middle).filter(|(left, _)| !left.is_empty())?;
        let (starts, others) = self.starts.split_at_checked(middle).unwrap_or_default();
        let half = |orders: &[NewOrder], starts: &[Arc<WorkStart>]| Self {
            orders: orders.into(),
            starts: starts.into(),
        };
        Some((half(left, starts), half(right, others)))
    }
}
