//! Parts of the process that learn from the feed which orders were stored or changed.

use super::{
    board::{Board, Waiters},
    intake::Intake,
};
use crate::domain::change_set::OrderChange;
use std::sync::{Arc, Weak};

pub struct OrderCaches {
    waiters: Waiters,
    /// Weak, because the recorder ends with the last owner of intake.
    intake: Weak<Intake>,
}

impl OrderCaches {
    pub fn new(board: &Board, intake: &Arc<Intake>) -> Self {
        Self { waiters: board.waiters.clone(), intake: Arc::downgrade(intake) }
    }

    /// Notes orders that were stored or changed, by this process or another one.
    pub fn note_changed<'a>(&self, orders: impl Iterator<Item = &'a OrderChange> + Clone) {
        self.waiters.note_stored(orders.clone().map(|order| order.id));
        let Some(intake) = self.intake.upgrade() else { return };
        for order in orders {
            intake.note_stored(order.id);
            intake.open.note_changed(order.customer_id);
        }
    }
}
