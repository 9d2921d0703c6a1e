//! Orders that are stored together, and who may still give them up.

use super::RecordOutcome;
use crate::{domain::order::NewOrder, store::Error, util::work_start::WorkStart};
use std::sync::Arc;

/// The orders of one transaction. Cheap to clone.
#[derive(Clone)]
pub(super) struct Batch {
    orders: Arc<[NewOrder]>,
    /// One for each order, or none at all where nobody gives up.
    starts: Arc<[Arc<WorkStart>]>,
}

impl From<Arc<[NewOrder]>> for Batch {
    fn from(orders: Arc<[NewOrder]>) -> Self {
        Self { orders, starts: Arc::default() }
    }
}

impl Batch {
    /// Orders that may be given up until their transaction begins, each with its start.
    pub(super) fn new(orders: Vec<NewOrder>, starts: Vec<Arc<WorkStart>>) -> Self {
        Self { orders: orders.into(), starts: starts.into() }
    }

    /// All of them.
    pub(super) fn orders(&self) -> &[NewOrder] {
        &self.orders
    }

    /// Begins to store the orders, and returns those that nobody gave up before. The same ones each time.
    pub(super) fn begin(&self) -> Arc<[NewOrder]> {
        let given_up = self.starts.iter().filter(|start| !start.begin()).count();
        if given_up == 0 {
            return Arc::clone(&self.orders);
        }
        let orders = self.orders.iter().zip(self.starts.iter());
        orders.filter(|(_, start)| start.is_begun()).map(|(order, _)| order.clone()).collect()
    }

    /// The outcomes of all orders, from those of the orders that were begun.
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

    /// The outcomes of all orders where their transaction failed for a reason that may pass. What was not begun never is: the
    /// transaction may go on without anybody who waits for it.
    pub(super) fn outcomes_of_failure(&self, error: &Error) -> Vec<RecordOutcome> {
        let outcome = if matches!(error, Error::Undecided(_)) {
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

    /// Its two halves, unless it is a single order.
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
